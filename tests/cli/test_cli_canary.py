"""A token and a password that can be recognised go through every command and failure, and are looked for everywhere.

They may be in the configuration file, in the environment of the command itself, and in requests to the origin they
belong to. Nowhere else: not on stdout or stderr, in no other file, at no other server, in no child process.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import servers
from servers import Exchange, WebServer, redirect
from shared import CHECKOUT, SESSION, address, share

NEEDLE = "canary-7e1a"
SECRET = f"{NEEDLE}-93b5c0d2f4e6a8b7c9d1e3f5"
LOGIN = "reader"
BASIC = "Basic " + base64.b64encode(f"{LOGIN}:{SECRET}".encode()).decode()
FILES = {"spikes.times.npy": os.urandom(3000), "spikes.clusters.npy": os.urandom(2000), "spikes.far.npy": b"far"}

# The command as it is, and a note of every process that it starts, with its arguments and environment.
SPY = """
import os, sys
notes = os.open(os.environ.pop("SPY"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
starts = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "os.forkpty")
sys.addaudithook(lambda event, args: os.write(notes, f"{event} {args!r}\\n".encode()) if event in starts else None)
sys.argv[0] = "onelight"
from onelight.cli import main
main()
"""


def shows(data: bytes | str) -> bool:
    """Tell whether the secret is in there: as it is, escaped, or inside something in base64."""
    text = data if isinstance(data, str) else data.decode("latin-1")
    if NEEDLE in text or quote(NEEDLE, safe="") in text or NEEDLE.encode().hex() in text.lower():
        return True
    for found in re.findall(r"[A-Za-z0-9+/_-]{16,}", text):
        for start in range(4):
            piece = found[start:].replace("-", "+").replace("_", "/")
            with_padding = piece[: len(piece) // 4 * 4]
            try:
                if NEEDLE.encode() in base64.b64decode(with_padding):
                    return True
            except binascii.Error:
                continue
    return False


@dataclass
class Person:
    """Somebody with a secret, a home of their own, and a record of everything that was said to them."""

    home: Path
    onelight: Callable[..., Any]
    said: list[str] = field(default_factory=list)

    def has(self, **row: object) -> None:
        """Write the configuration by hand, with one repository."""
        (self.home / "config").mkdir(exist_ok=True)
        config = {"current_repository": row["name"], "repositories": [row]}
        (self.home / "config" / "config.json").write_text(json.dumps(config))

    def types_quickly(self, *arguments: object) -> int:
        """Type a command within this process, which takes a tenth of the time, and return its exit code."""
        done = self.onelight(*arguments, "--debug")
        self.look_at(f"{arguments} → {done.code}\n{done.out}\n{done.err}")
        return int(done.code)

    def look_at(self, line: str) -> None:
        self.said.append(line)
        assert not shows(line), line
        assert "this is a bug" not in line, line

    def types(self, *arguments: object, given: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
        """Type a command in a process of its own, as people do."""
        done = subprocess.run(
            [sys.executable, "-c", SPY, *map(str, arguments)],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "ONELIGHT_PROGRESS_INTERVAL": "0.05",
                "SPY": str(self.home / "children"),
                "TMPDIR": str(self.home / "tmp"),
                **environment,
            },
            input=given.encode(),
            capture_output=True,
            check=False,
            timeout=60,
        )
        self.look_at(f"{arguments} → {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}")
        return done

    def types_in_every_way(self, *arguments: object, **environment: str) -> int:
        """Type a command as it is, for a program, and for somebody who looks for a fault; return its exit code."""
        codes = {self.types(*arguments, *more, **environment).returncode for more in ([], ["--json", "--debug"])}
        assert len(codes) == 1, (arguments, codes)
        return codes.pop()

    def check_home(self) -> None:
        children = self.home / "children"
        assert not children.exists() or children.read_bytes() == b""
        files = [path for path in self.home.rglob("*") if path.is_file() and path.name != "config.json"]
        assert [path for path in files if shows(str(path)) or shows(path.read_bytes())] == []


@pytest.fixture
def person(tmp_path: Path, config_dir: Path, monkeypatch: pytest.MonkeyPatch, onelight: Callable[..., Any]) -> Person:
    home = tmp_path / "person"
    (home / "tmp").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("ONELIGHT_CONFIG_DIR", str(home / "config"))
    monkeypatch.setenv("ONELIGHT_ATTEMPTS", "1")
    monkeypatch.setenv("ONELIGHT_IDLE_TIMEOUT", "1")
    monkeypatch.setattr("tempfile.tempdir", str(home / "tmp"))
    return Person(home, onelight)


def data_root(person: Person) -> Path:
    root = person.home / "dataroot"
    for name, content in FILES.items():
        target = root / SESSION / "alf" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return root


def test_the_test_sees_what_it_looks_for() -> None:
    assert shows(SECRET)
    assert shows(BASIC)
    assert shows(base64.b64encode(f"x{SECRET}".encode()))
    assert shows(f"login_{base64.urlsafe_b64encode(SECRET.encode()).decode()}")
    assert shows(SECRET.encode().hex())
    assert not shows("canary")


# figshare


@dataclass
class Box:
    """A sandbox of its own whose token is the secret, and what was asked at each of its origins."""

    api_url: str
    article_id: int
    asked: dict[int, list[str]]


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    from onelight.sandbox import Sandbox, server

    asked: dict[int, list[str]] = {}
    make = server._apps

    def recorded(app: Any, number: int) -> Any:
        async def record(scope: Any, receive: Any, send: Any) -> None:
            asked.setdefault(number, []).append(f"{scope['path']}?{scope['query_string']} {scope['headers']}")
            await app(scope, receive, send)

        return record

    monkeypatch.setattr(server, "_apps", lambda *all_: [recorded(app, n) for n, app in enumerate(make(*all_))])
    with Sandbox(tmp_path_factory.mktemp("canary-box")) as running:
        assert running._state is not None
        running._state.token = SECRET
        yield Box(running.api_url, running.article_id, asked)


@pytest.mark.parametrize("where", ["file", "environment"])
def test_a_token_of_figshare_goes_to_its_api_only(person: Person, box: Box, where: str) -> None:
    env = {"FIGSHARE_TOKEN": SECRET} if where == "environment" else {}
    added = ["add-repo", "box", "--figshare", box.article_id, "--api-url", box.api_url]
    if where == "file":
        assert person.types(*added, "--token-stdin", given=f"{SECRET}\n").returncode == 0
        config = person.home / "config" / "config.json"
        assert SECRET in config.read_text()
        # Somebody adds a comment, and the next change keeps the file as it was beside the new one.
        config.write_text(config.read_text().replace("{", "{ # the token is secret\n", 1))
        assert person.types("add-repo", "other", "--local", "/nowhere").returncode == 0
        assert (person.home / "config" / "config.json.bak").exists()
    else:
        assert person.types(*added, **env).returncode == 0
    root = data_root(person)
    assert person.types("repo", "box", **env).returncode == 0
    assert person.types_in_every_way("repo", **env) == 0
    assert person.types_in_every_way("scan", root, **env) == 0
    assert person.types_in_every_way("upload", root, "--dry-run", **env) == 0
    assert person.types_in_every_way("publish", "--yes", **env) == 1, "it has no files yet"
    assert person.types_in_every_way("upload", root, **env) == 0
    assert person.types_in_every_way("search", "spikes", **env) == 0
    assert person.types_in_every_way("list", SESSION, **env) == 0
    assert person.types_in_every_way("download", SESSION, "--dry-run", **env) == 0
    assert person.types("download", SESSION, **env).returncode == 0
    damaged = person.home / "config" / "data" / "box" / SESSION / "alf" / "spikes.times.npy"
    damaged.write_bytes(b"damaged")
    assert person.types_in_every_way("cache", "verify", **env) == 6
    assert person.types_in_every_way("cache", "verify", "--refetch", **env) == 0
    for command in ("dir", "list", "gc"):
        assert person.types_in_every_way("cache", command, **env) == 0
    assert person.types_in_every_way("publish", **env) == 2, "nobody said yes"
    for wrong in (["list", "Cori"], ["download", SESSION, "nothing"], ["search", "-R", "nowhere"], ["serch"]):
        assert person.types_in_every_way(*wrong, **env) in {2, 3}
    assert person.types("publish", "--yes", **env).returncode == 0
    public = ["add-repo", "public", "--figshare", box.article_id, "--api-url", box.api_url]
    assert person.types(*public).returncode == 0
    assert person.types("download", SESSION, "-R", "public").returncode == 0
    person.check_home()
    assert any(shows(line) for line in box.asked[0]), "the API was asked with it"
    for origin in (1, 2):  # where parts are sent, and where signed addresses lead
        assert box.asked[origin]
        assert not any(shows(line) for line in box.asked[origin])


def echo(number: int) -> servers.Fault:
    """Repeat everything that was asked in the answer, as a careless server does."""

    def fault(exchange: Exchange) -> None:
        request = exchange.request
        words = f"{request.method} {request.target} with {request.headers} is refused"
        exchange.answer(number, json.dumps({"message": words}).encode(), {"Content-Type": "application/json"})

    return fault


def echo_as_text(exchange: Exchange) -> None:
    exchange.answer(200, f"{exchange.request.headers.get('authorization')}".encode())


class Everything(dict[str, Any]):
    """One fault for every path that has none of its own."""

    def __init__(self, fault: servers.Fault) -> None:
        super().__init__()
        self.fault = fault

    def get(self, path: str, default: object = None) -> Any:
        return super().get(path) or [self.fault]


@pytest.mark.parametrize(
    "fault",
    [
        *map(echo, (200, 400, 401, 403, 404, 409, 413, 429, 500)),
        echo_as_text,
        servers.hangs_up,
        servers.page,
        servers.challenge,
    ],
)
def test_a_server_in_the_place_of_figshare_that_repeats_it_is_not_shown(person: Person, fault: servers.Fault) -> None:
    root = data_root(person)
    with WebServer() as api, WebServer() as other:
        api.faults = Everything(fault)
        person.has(name="api", type="figshare", article_id=1, token=SECRET, api_url=f"{api.url}/v2")
        for command in (["search"], ["upload", root, "--json"], ["publish", "--yes"]):
            assert person.types_quickly(*command) > 0
        api.faults = Everything(redirect(f"{other.url}/elsewhere"))
        person.types_quickly("search", "--json")
        assert any(shows(str(request.headers)) for request in api.requests)
        assert not any(shows(request.target + str(request.headers)) for request in other.requests)
    person.check_home()


# A web server


@pytest.fixture
def web() -> Iterator[tuple[WebServer, WebServer]]:
    """A server that asks for the password and sends everybody who wants ``far`` on to another one."""
    with WebServer() as near, WebServer() as far:
        near.password = BASIC
        share(near, FILES)
        far.files["/far"] = FILES["spikes.far.npy"]
        near.faults[address("spikes.far.npy")] = [redirect(f"{far.url}/far")]
        far_row = f"{SESSION}/alf/spikes.further.npy\t{far.url}/far\n"
        near.files["/data/.one_root"] = bytes(near.files["/data/.one_root"]) + far_row.encode()  # type: ignore[arg-type]
        yield near, far


def add_web(person: Person, near: WebServer) -> None:
    added = ["add-repo", "web", "--replace", "--http", f"{near.url}/data", "--login", LOGIN, "--token-stdin"]
    assert person.types(*added, given=SECRET).returncode == 0
    assert person.types("repo", "web").returncode == 0


def test_a_password_goes_to_its_own_server_only(person: Person, web: tuple[WebServer, WebServer]) -> None:
    near, far = web
    add_web(person, near)
    for command in (["repo"], ["search"], ["list", SESSION], ["download", SESSION, "--dry-run"]):
        assert person.types_in_every_way(*command) == 0
    assert len(person.types("download", SESSION).stdout.splitlines()) == 4
    for command in (["cache", "list"], ["cache", "verify"], ["cache", "gc"], ["cache", "dir"]):
        assert person.types_in_every_way(*command) == 0
    assert person.types_in_every_way("upload", data_root(person)) == 4, "it can be read only"
    assert person.types_in_every_way("publish", "--yes") == 4
    person.check_home()
    assert all(request.headers["authorization"] == BASIC for request in near.requests)
    assert len(far.requests) >= 2
    assert not any(shows(request.target + str(request.headers)) for request in far.requests)


FAULTS: dict[str, Callable[[WebServer], servers.Fault]] = {
    **{f"echo {number}": (lambda _, number=number: echo(number)) for number in (400, 401, 403, 404, 429, 500, 503)},
    "cut": lambda _: servers.cut(100),
    "reset": lambda _: servers.cut(100, reset=True),
    "page": lambda _: servers.page,
    "short": lambda _: servers.short(1),
    "gzip": lambda _: servers.gzipped,
    "silence": lambda _: servers.silence,
    "no answer": lambda _: servers.hangs_up,
    "firewall": lambda _: servers.challenge,
    "loop": lambda _: lambda exchange: redirect(exchange.request.target)(exchange),
    "to another": lambda far: redirect(f"{far.url}/elsewhere"),
    "to a private place": lambda _: redirect("http://10.0.0.1/secret"),
    "to a file": lambda _: redirect("file:///etc/passwd"),
    "to another way of writing": lambda far: redirect(far.url.replace("http://", "http://x@") + "/far"),
}


def test_no_failure_of_a_file_on_a_web_server_shows_it(person: Person, web: tuple[WebServer, WebServer]) -> None:
    near, far = web
    names = {f"spikes.a{number}.npy": name for number, name in enumerate(FAULTS)}
    share(near, dict.fromkeys(names, b"content"))
    near.faults |= {address(file): [FAULTS[name](far)] for file, name in names.items()}
    person.has(name="web", type="http", base_url=f"{near.url}/data", login=LOGIN, password=SECRET)
    for arguments in (["--json"], []):
        person.types_quickly("download", SESSION, *arguments)
    rows = [json.loads(line) for line in person.said[0].splitlines() if line.startswith('{"action": "download"')]
    assert sum(row["status"] == "error" for row in rows) > len(FAULTS) / 2
    person.check_home()
    assert any(shows(str(request.headers)) for request in near.requests)
    assert not any(shows(request.target + str(request.headers)) for request in far.requests)


@pytest.mark.parametrize("name", FAULTS)
def test_no_failure_of_an_index_on_a_web_server_shows_it(
    person: Person, web: tuple[WebServer, WebServer], name: str
) -> None:
    near, far = web
    near.faults["/data/.one_root"] = [FAULTS[name](far)]
    person.has(name="web", type="http", base_url=f"{near.url}/data", login=LOGIN, password=SECRET)
    for arguments in (["--json"], []):
        person.types_quickly("search", *arguments)
    person.check_home()
    assert any(shows(str(request.headers)) for request in near.requests)
    assert not any(shows(request.target + str(request.headers)) for request in far.requests)


def test_a_password_that_is_not_accepted_or_would_travel_in_the_clear_is_not_shown(
    person: Person, web: tuple[WebServer, WebServer]
) -> None:
    near, _ = web
    near.password = "another"
    add_web(person, near)
    assert person.types_in_every_way("search") == 4
    clear = ["add-repo", "clear", "--http", "http://example.org/data", "--login", LOGIN, "--token-stdin"]
    assert person.types(*clear, "--debug", given=SECRET).returncode == 8
    config = person.home / "config" / "config.json"
    config.write_text(config.read_text().replace('"login"', "'login'", 1))  # a slip in the very row
    for command in (["repo"], ["search"], ["cache", "list"]):
        assert person.types_in_every_way(*command) == 2
    person.check_home()
