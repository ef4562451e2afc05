"""Requests made up from figshare's own description of its API: the sandbox answers each as the description says.

Each is asked twice where its address has numbers: of what is made up, and of what is there.
schemathesis makes them, some as the description wants them and some not. What is not held to it is said in relaxed.py;
which answers may come that the description does not name, in `UNNAMED`.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import ValidationError
from relaxed import CONTRACT, SCHEMAS, check
from schemathesis import GenerationMode

EXAMPLES = 8
# There are more ways for a body to be wrong than to be right.
WRONG_BODIES = 25
BODILESS = (202, 204, 205, 302)
# Answers that may come though the description does not name them for the operation, and why.
UNNAMED = {
    302: "a download, which the live service gives from another host",
    400: "a body that does not fit; seen on the live service where only 422 is named, or nothing",
    404: "an address whose number is none; and 'Not allowed to set category' on an article that is there",
    405: "a made-up part of an address that makes it another address",
    422: "both styles of paging at once, or a page out of bounds, which the narrative documentation names",
    403: "a category, an account's limits, or a published article: named for most operations, but not for all",
}
# Operations whose made-up requests are refused each time, and why.
REFUSED = {
    ("post", "/account/articles/{article_id}/unpublish"): "an ordinary account may not",
    ("post", "/account/articles/{article_id}/files"): "a made-up link is no address",
    ("put", "/account/articles/{article_id}/embargo"): "a made-up text is no date",
}


def operations():
    """Return all operations of the description, by method and path."""
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps({**CONTRACT, "servers": []})))
    schema.config.generation.update(with_security_parameters=False)
    return {(op.method, op.path): op for op in (found.ok() for found in schema.get_all_operations())}


OPERATIONS = operations()


def can_be_wrong(key):
    """Tell whether there is anything in an operation's requests that could be wrong."""
    operation = CONTRACT["paths"][key[1]][key[0]]
    return "parameters" in operation or "requestBody" in operation


CASES = [(key, GenerationMode.POSITIVE) for key in OPERATIONS]
CASES += [(key, GenerationMode.NEGATIVE) for key in OPERATIONS if can_be_wrong(key)]


class World:
    """A sandbox with a published article and, when something is to be changed, a new draft with all there can be."""

    def __init__(self, owner):
        self.owner = owner
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"token {owner.box.token}"
        article = owner.new_article()
        record = owner.upload(article, b"abc")
        assert owner("POST", f"{article}/publish").status == 201
        self.published = {"article_id": int(article.rpartition("/")[2]), "file_id": record["id"], "version_id": 1}
        self.draft = self.new_draft()

    def ask(self, method, path, body=None):
        answer = self.session.request(method, f"{self.owner.box.api_url}{path}", json=body, timeout=10)
        assert answer.status_code < 400, answer.text
        return answer

    def new_draft(self):
        body = {"title": "A draft", "description": "Text", "keywords": ["a"], "categories": [24277]}
        article = self.ask("POST", "/account/articles", body).json()["entity_id"]
        own = f"/account/articles/{article}"
        file = self.ask("POST", f"{own}/files", {"link": "https://example.org/a.npy"}).headers["location"]
        link = self.ask("POST", f"{own}/private_links", {}).json()["token"]
        author = self.ask("GET", f"{own}/authors").json()[0]["id"]
        numbers = {"article_id": article, "file_id": int(file.rpartition("/")[2]), "author_id": author}
        return {**numbers, "link_id": link, "category_id": 24277, "version_id": 1}

    def numbers(self, key):
        """Return numbers of things that are there, for the parameters of an operation's path."""
        method, path = key
        if not path.startswith("/account"):
            return self.published
        return self.draft if method == "get" else self.new_draft()


@pytest.fixture(scope="module")
def world(owner):
    return World(owner)


def held_to_the_description(key, status, text):
    """Hold an answer to the description of its operation."""
    method, path = key
    stated = CONTRACT["paths"][path][method]["responses"]
    assert status < 500, f"{status} {text}"
    assert str(status) in stated or status in UNNAMED, f"{status} is not named: {text}"
    if status in BODILESS or method == "head":
        return
    if status >= 400:
        check({"$ref": "#/ErrorMessage"}, json.loads(text))
        return
    content = stated[str(status)].get("content")
    if content:
        check(content["application/json"]["schema"], json.loads(text))


@pytest.mark.parametrize(("key", "mode"), CASES, ids=lambda x: " ".join(x) if isinstance(x, tuple) else x.value)
def test_made_up_requests_are_answered_as_described(world, key, mode):
    seen = SimpleNamespace(good=0)
    has_body = "requestBody" in CONTRACT["paths"][key[1]][key[0]]
    examples = WRONG_BODIES if has_body and mode is GenerationMode.NEGATIVE else EXAMPLES

    @given(case=OPERATIONS[key].as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        phases=(Phase.generate,),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        made_up = case.path_parameters
        asked = [made_up]
        if made_up:
            there = world.numbers(key)
            asked.append({name: there.get(name, value) for name, value in made_up.items()})
        for path_parameters in asked:
            case.path_parameters = path_parameters
            answer = case.call(
                base_url=world.owner.box.api_url, session=world.session, allow_redirects=False, timeout=10
            )
            held_to_the_description(key, answer.status_code, answer.text)
            seen.good += answer.status_code < 400

    ask()
    if mode is GenerationMode.POSITIVE:
        assert seen.good or key in REFUSED, "no request was good"


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", "27000001"), ("size", None), ("is_public", "yes"), ("files", [{"id": 1}]), ("license", {"value": "1"})],
)
def test_the_checks_would_find_a_wrong_field(world, name, value):
    key = ("get", "/account/articles/{article_id}")
    record = world.ask("GET", f"/account/articles/{world.draft['article_id']}").json()
    held_to_the_description(key, 200, json.dumps(record))
    if value is None:
        del record[name]
    else:
        record[name] = value
    with pytest.raises(ValidationError):
        held_to_the_description(key, 200, json.dumps(record))


@pytest.mark.parametrize(("status", "text"), [(500, "{}"), (418, "{}"), (201, "{}")])
def test_the_checks_would_find_a_wrong_status(status, text):
    with pytest.raises(AssertionError):
        held_to_the_description(("get", "/account"), status, text)


def test_the_description_is_whole():
    text = json.dumps(CONTRACT)
    for name in SCHEMAS:
        assert f"#/components/schemas/{name}" in text or name in ("UploadInfo", "UploadFilePart")
    assert len(OPERATIONS) == sum(len(methods) for methods in CONTRACT["paths"].values()) > 40
