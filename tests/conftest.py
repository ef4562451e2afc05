"""What the tests of several rooms share. Real files, real servers on loopback; nothing of the person's own is touched.

=====================  =================================================================================
``config_dir``         the test's own, empty ONELIGHT_CONFIG_DIR (in force for every test, asked for or not)
``data_root``          the test's own data root: three sessions of two subjects, 165 files, 0.5 MB
``shared_data_root``   the same, one for all tests of a process: look, do not touch
``write_files``        function ``(root, *paths)``: files of a few bytes, for layouts of one's own
``add_repository``     function ``(name, kind, **options)``: into the test's configuration, and current
``sandbox``            the figshare-compatible server, one for all tests of a process
``article``            id of a new draft in it, for this test alone, with all that publication asks for but files
``files_of``           function ``(article)``: the files in a draft as the API lists them, by name, without tables
``notes``              what the library warned of in this test
``serve``              function ``(folder)``: a plain static web server for a folder, as ``python -m http.server``
=====================  =================================================================================
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import shutil
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import hypothesis
import pytest

#: Port 9 is that of discard, which no computer of today serves: it refuses at once.
NOWHERE = "http://127.0.0.1:9"

hypothesis.settings.register_profile("onelight", deadline=None)  # a busy computer is no failure
hypothesis.settings.load_profile("onelight")


@pytest.fixture(autouse=True)
def config_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the configuration, the secrets and the proxies of the person who runs it.

    And from the network: a request to any other computer ends at a proxy that is not there.
    """
    for name in list(os.environ):
        is_own = name.startswith("ONELIGHT_") or name in (
            "FIGSHARE_TOKEN",
            "CURL_CA_BUNDLE",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        )
        if is_own or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, NOWHERE)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost,::1,nowhere.invalid")  # the last is nobody (RFC 2606)
    folder = tmp_path / "own-config"
    monkeypatch.setenv("ONELIGHT_CONFIG_DIR", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path / "own-home"))
    return folder


@pytest.fixture(scope="session")
def shared_data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from onelight.synthetic import write_dataset

    root = tmp_path_factory.mktemp("shared") / "dataroot"
    write_dataset(root, optional=False, scale=0.001)
    return root


@pytest.fixture
def data_root(shared_data_root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared_data_root, tmp_path / "dataroot"))


@pytest.fixture
def write_files() -> Callable[..., Path]:
    def write(root: Path, *paths: str) -> Path:
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(f"content of {path}".encode())
        return root

    return write


@pytest.fixture
def add_repository(config_dir: Path) -> Callable[..., str]:
    from onelight.config import Config, Settings

    def add(name: str, kind: str, **options: Any) -> str:
        config = Config.load()
        config.add(Settings(name, kind, options))
        config.choose(name)
        return name

    return add


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from onelight.sandbox import Sandbox

    with Sandbox(tmp_path_factory.mktemp("sandbox")) as box:
        yield box


def _ask(sandbox: Any, path: str, body: object = None) -> Any:
    request = urllib.request.Request(
        f"{sandbox.api_url}/{path}",
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"token {sandbox.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@pytest.fixture
def article(sandbox: Any) -> int:
    body = {
        "title": "A test of its own",
        "description": "What one test uploads.",
        "categories": [24277],
        "keywords": ["test"],
        "authors": [{"name": "A. Tester"}],
    }
    return int(_ask(sandbox, "account/articles", body)["location"].rpartition("/")[2])


@pytest.fixture
def files_of(sandbox: Any) -> Callable[[int], dict[str, dict[str, Any]]]:
    def listed(article: int) -> dict[str, dict[str, Any]]:
        rows = _ask(sandbox, f"account/articles/{article}/files?page_size=1000")
        return {row["name"]: row for row in rows if not row["name"].endswith(".pqt")}

    return listed


@pytest.fixture
def notes() -> Iterator[list[str]]:
    said: list[str] = []

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler = Notes(logging.WARNING)
    logging.getLogger("onelight").addHandler(handler)
    yield said
    logging.getLogger("onelight").removeHandler(handler)


class StaticServer:
    """A folder on the web, as ``python -m http.server`` serves it: HTTP/1.0, no ranges, no index of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        seen = self.requests

        class Handler(SimpleHTTPRequestHandler):
            def parse_request(self) -> bool:
                parsed = super().parse_request()
                if parsed:
                    seen.append((self.command, self.path, dict(self.headers)))
                return parsed

            def log_message(self, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[Path], StaticServer]]:
    with contextlib.ExitStack() as running:

        def start(folder: Path) -> StaticServer:
            server = StaticServer(folder)
            running.callback(server.stop)
            return server

        yield start
