"""A running sandbox, and its owner as a small HTTP client."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from onelight.sandbox import Sandbox, Settings

FINAL = ("available", "ic_failure")


class Answer:
    """What a server answered."""

    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


def ask(method, address, body=None, headers=None):
    """Send one request, on a connection of its own."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers or {})
        response = connection.getresponse()
        return Answer(response, response.read())
    finally:
        connection.close()


class Owner:
    """The owner of the one token: asks with it, and knows the steps of an upload."""

    def __init__(self, box):
        self.box = box
        self.article = f"{box.api_url}/account/articles/{box.article_id}"
        self.public = f"{box.api_url}/articles/{box.article_id}"

    def __call__(self, method, address, body=None, headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        address = address if address.startswith("http") else self.box.api_url + address
        return ask(method, address, body, {"Authorization": f"token {self.box.token}", **(headers or {})})

    def new_article(self, **fields):
        """Make a draft that only needs files; return its address."""
        usable = next(c.id for c in self.box.settings.categories if c.is_selectable and c.is_allowed)
        filled = {"title": "A draft", "description": "Some text", "categories": [usable], "keywords": ["spikes"]}
        answer = self("POST", "/account/articles", {**filled, **fields})
        assert answer.status == 201, answer
        return answer.headers["Location"]

    def begin(self, article, content, name="spikes.times.npy", **more):
        """Announce a file; return its address."""
        stated = {"name": name, "size": len(content), "md5": hashlib.md5(content).hexdigest(), **more}
        answer = self("POST", f"{article}/files", {k: v for k, v in stated.items() if v is not None})
        assert answer.status == 201, answer
        return answer.headers["Location"]

    def send(self, file, content):
        """Send all parts of a file that are not there yet."""
        upload = self("GET", file).json()["upload_url"]
        for part in ask("GET", upload).json()["parts"]:
            if part["status"] == "PENDING":
                piece = content[part["startOffset"] : part["endOffset"] + 1]
                assert ask("PUT", f"{upload}/{part['partNo']}", piece).status == 200

    def settled(self, file, until=FINAL):
        """Wait for a file's status; return its record."""
        for _ in range(500):
            record = self("GET", file).json()
            if record["status"] in until:
                return record
            time.sleep(0.01)
        raise AssertionError(record)

    def upload(self, article, content, name="spikes.times.npy", **more):
        """Send a file and wait for the end of its checks; return its record."""
        file = self.begin(article, content, name, **more)
        self.send(file, content)
        assert self("POST", file).status == 202
        return self.settled(file)


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """A sandbox with small parts and otherwise as it comes, shared by the tests of a module."""
    with Sandbox(tmp_path_factory.mktemp("box") / "data", settings=Settings(part_size=1000)) as box:
        yield box


@pytest.fixture(scope="module")
def owner(box):
    """Its owner."""
    return Owner(box)


@pytest.fixture
def start(tmp_path):
    """Start a sandbox with some settings of its own; gives its owner."""
    with ExitStack() as stack:

        def start(folder="data", **settings):
            settings = Settings(**{"part_size": 1000, **settings})
            return Owner(stack.enter_context(Sandbox(tmp_path / folder, settings=settings)))

        yield start


@pytest.fixture
def as_owner():
    """Become the owner of any sandbox."""
    return Owner


@pytest.fixture(name="ask")
def ask_fixture():
    """Send a request without a token."""
    return ask
