"""A sandbox that remembers every request and can be told to misbehave, and a way behind the back of the product."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from onelight.sandbox import Sandbox

PART = 1_000_000
ORIGINS = ("api", "upload", "download")


@dataclass
class Seen:
    """A request that came to the sandbox."""

    origin: str
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Recorder:
    """What came to the sandbox; ``refuse`` may answer in its place with a status."""

    seen: list[Seen] = field(default_factory=list)
    refuse: Callable[[Seen], int | None] = lambda _: None

    def wrap(self, origin: str, app: Any) -> Any:
        async def recorded(scope: Any, receive: Any, send: Any) -> None:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            query = scope["query_string"].decode()
            one = Seen(origin, scope["method"], scope["path"] + (f"?{query}" if query else ""), headers)
            self.seen.append(one)
            status = self.refuse(one)
            if status is None:
                await app(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

        return recorded

    def of(self, method: str = "", *, origin: str = "", path: str = "") -> list[Seen]:
        return [
            one for one in self.seen if method in ("", one.method) and origin in ("", one.origin) and path in one.path
        ]

    @property
    def changes(self) -> list[Seen]:
        return [one for one in self.seen if one.method not in ("GET", "HEAD")]


class Recorded(Sandbox):
    """The sandbox, with a record of what came."""

    recorder: Recorder

    @property
    def token_header(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"}


class Owner:
    """The owner of an article at the browser, so to speak: knows nothing of the product."""

    def __init__(self, box: Recorded) -> None:
        self.box = box
        self.article = f"{box.api_url}/account/articles/{box.article_id}"

    def ask(
        self, method: str, url: str, body: object = None, *, token: bool = True
    ) -> tuple[int, bytes, dict[str, str]]:
        parts = urlsplit(url if url.startswith("http") else self.box.api_url + url)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, data, self.box.token_header if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def files(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in itertools.count(1):
            rows = json.loads(self.ask("GET", f"{self.article}/files?page={page}&page_size=1000")[1])
            found += rows
            if len(rows) < 1000:
                return found
        raise AssertionError

    def names(self) -> list[str]:
        """Return the names of all files but the tables beside the index (test_figshare_tables.py)."""
        return sorted(row["name"] for row in self.files() if not row["name"].endswith(".pqt"))

    def begin(self, name: str, content: bytes, **more: object) -> dict[str, Any]:
        stated = {"name": name, "size": len(content), "md5": hashlib.md5(content).hexdigest(), **more}
        status, body, _ = self.ask("POST", f"{self.article}/files", stated)
        assert status == 201, body
        return dict(json.loads(self.ask("GET", json.loads(body)["location"])[1]))

    def send_part(self, row: dict[str, Any], number: int, content: bytes) -> None:
        size = self.box.settings.part_size
        data = content[(number - 1) * size : number * size]
        assert self.ask("PUT", f"{row['upload_url']}/{number}", data, token=False)[0] == 200

    def add(self, name: str, content: bytes, **more: object) -> int:
        """Put a file into the article, whole."""
        row = self.begin(name, content, **more)
        for number in range(1, -(-len(content) // self.box.settings.part_size) + 1):
            self.send_part(row, number, content)
        self.ask("POST", f"{self.article}/files/{row['id']}")
        while json.loads(self.ask("GET", f"{self.article}/files/{row['id']}")[1])["status"] not in (
            "available",
            "ic_failure",
        ):
            time.sleep(0.002)
        return int(row["id"])

    def content(self, row: dict[str, Any]) -> bytes:
        status, body, headers = self.ask("GET", row["download_url"])
        if status == 302:
            status, body, _ = self.ask("GET", headers["location"], token=False)
        assert status == 200
        return body

    def read(self, name: str) -> bytes | None:
        """Return the content of the one file of this name, or None."""
        rows = [row for row in self.files() if row["name"] == name]
        assert len(rows) <= 1, f"{name} is there {len(rows)} times"
        return self.content(rows[0]) if rows else None

    def publish(self) -> None:
        status, body, _ = self.ask("POST", f"{self.article}/publish")
        assert status == 201, body
