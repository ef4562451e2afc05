"""A sandbox behind proxies that break: real sockets between the client and figshare's three origins.

::

    with Behind(folder) as behind:
        behind.rules.append(Rule("PUT", "/upload/", lose_answer))     # the first PUT of a part is lost on its way back
        ...
        behind.asked("PUT")                                           # what the client asked, in order
        behind.arrived("PUT")                                         # what the sandbox was given of it

A rule is used once, or ``times`` as often, for the first requests that it fits; every other request passes.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from onelight.sandbox import Origins, Sandbox, Settings


@dataclass
class Asked:
    """A request of the client's, and what the sandbox answered, if it was given it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    status: int = 0


@dataclass
class Passage:
    """One request on its way: pass it on, answer, hang up."""

    proxy: Proxy
    asked: Asked
    connection: socket.socket
    stream: BinaryIO
    left: int

    def read(self, count: int | None = None) -> None:
        """Read the body, or its first bytes."""
        count = self.left if count is None else min(count, self.left)
        data = self.stream.read(count)
        if len(data) < count:
            raise ConnectionAbortedError  # by the client
        self.asked.body += data
        self.left -= count

    def forward(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Give all of it to the sandbox, and return its answer."""
        self.read()
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.upstream, timeout=30)
        with contextlib.closing(upstream):
            headers = {name: value for name, value in self.asked.headers.items() if name not in ("host", "connection")}
            upstream.request(self.asked.method, self.asked.target, self.asked.body or None, headers)
            answer = upstream.getresponse()
            body = answer.read()
            self.asked.status = answer.status
            return answer.status, answer.getheaders(), body

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        lines = [f"HTTP/1.1 {status} Whatever"]
        skipped = ("content-length", "transfer-encoding", "connection")
        lines += [f"{name}: {value}" for name, value in headers if name.lower() not in skipped]
        lines += [f"Content-Length: {len(body)}", "", ""]
        self.connection.sendall("\r\n".join(lines).encode("latin-1") + body)

    def hang_up(self) -> None:
        """End the connection as a network does that breaks."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError


Fault = Callable[[Passage], None]


def good(passage: Passage) -> None:
    passage.answer(*passage.forward())


def lose_answer(passage: Passage) -> None:
    """Let all of it arrive, and hang up before the answer is back: did it land? It did."""
    passage.forward()
    passage.hang_up()


def lose_request(passage: Passage) -> None:
    """Take the last byte, and hang up: did it land? It did not."""
    passage.read()
    passage.hang_up()


def cut(after: int) -> Fault:
    """Hang up when so many bytes of the body have come."""

    def fault(passage: Passage) -> None:
        passage.read(after)
        passage.hang_up()

    return fault


def say(status: int, body: object = None, **headers: str) -> Fault:
    """Answer in place of the sandbox."""

    def fault(passage: Passage) -> None:
        passage.read()
        content = b"" if body is None else json.dumps(body).encode()
        passage.answer(status, [(name.replace("_", "-"), value) for name, value in headers.items()], content)

    return fault


def meddle(change: Callable[[dict[str, Any]], None]) -> Fault:
    """Pass the request on, and change the JSON of its answer."""

    def fault(passage: Passage) -> None:
        status, headers, body = passage.forward()
        row = json.loads(body)
        change(row)
        passage.answer(status, headers, json.dumps(row).encode())

    return fault


@dataclass
class Rule:
    """Which requests are treated how."""

    method: str
    part: str
    fault: Fault
    times: float = 1
    ends: str = ""

    def fits(self, asked: Asked) -> bool:
        path = asked.target.partition("?")[0]
        return self.method == asked.method and self.part in path and path.endswith(self.ends)


class Proxy:
    """One of the proxies."""

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self.upstream = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # wakes accept() where shutdown does not
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        self._accepting.join()
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._behind.stopping.is_set():
                connection.close()
                return
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb") as stream:
                while (passage := self._read(connection, stream)) is not None:
                    self._behind.fault_of(passage.asked)(passage)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            self._open.discard(connection)
            connection.close()

    def _read(self, connection: socket.socket, stream: BinaryIO) -> Passage | None:
        line = stream.readline()
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split()
        headers = {}
        while (line := stream.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        asked = Asked(method, target, headers)
        self._behind.seen.append(asked)
        return Passage(self, asked, connection, stream, int(headers.get("content-length", 0)))


@dataclass
class Behind:
    """A sandbox behind three proxies."""

    folder: Path
    settings: Settings = field(default_factory=Settings)
    rules: list[Rule] = field(default_factory=list)
    seen: list[Asked] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    chance: Callable[[Asked], Fault | None] = lambda _: None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Behind:
        self._proxies = [Proxy(self) for _ in range(3)]
        seen_as = Origins(*(f"http://127.0.0.1:{proxy.port}" for proxy in self._proxies))
        self.box = Sandbox(self.folder, settings=self.settings, seen_as=seen_as)
        self.box.start()
        for proxy, port in zip(self._proxies, self.box.ports, strict=True):
            proxy.upstream = port
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for proxy in self._proxies:
            proxy.stop()
        self.box.stop()

    def fault_of(self, asked: Asked) -> Fault:
        with self._lock:
            for rule in self.rules:
                if rule.times > 0 and rule.fits(asked):
                    rule.times -= 1
                    return rule.fault
        return self.chance(asked) or good

    def asked(self, method: str, part: str = "", ends: str = "") -> list[Asked]:
        """Return what the client asked."""
        rule = Rule(method, part, good, ends=ends)
        return [one for one in self.seen if rule.fits(one)]

    def arrived(self, method: str, part: str = "", ends: str = "") -> list[Asked]:
        """Return what of it the sandbox was given."""
        return [one for one in self.asked(method, part, ends) if one.status]

    # Behind the back of the product and of the proxies

    def ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.box.ports[0], timeout=30)
        with contextlib.closing(connection):
            data = None if body is None else json.dumps(body)
            connection.request(method, f"/v2{path}", data, {"Authorization": f"token {self.box.token}"})
            answer = connection.getresponse()
            content = answer.read()
            return json.loads(content) if content.startswith((b"{", b"[")) else content

    @property
    def article(self) -> str:
        return f"/account/articles/{self.box.article_id}"

    def files(self) -> list[dict[str, Any]]:
        return list(self.ask("GET", f"{self.article}/files?page_size=1000"))

    def content(self, row: dict[str, Any]) -> bytes:
        return (self.box.data_dir / "blobs" / str(row["id"])).read_bytes()
