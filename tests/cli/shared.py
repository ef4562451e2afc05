"""A repository on a web server that can be told to misbehave, and commands that run beside the test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from servers import WebServer

CHECKOUT = Path(__file__).resolve().parents[2]
SESSION = "lab/Subjects/Cori/2016-12-14/001"


def share(server: WebServer, files: Mapping[str, bytes], session: str = SESSION) -> None:
    """Serve files of one session, by name, beside those that are served already, and an index of all of them."""
    server.files.update({f"/data/{session}/alf/{name}": content for name, content in files.items()})
    paths = sorted(path.removeprefix("/data/") for path in server.files if not path.endswith(".one_root"))
    server.files["/data/.one_root"] = "".join(f"{path}\n" for path in paths).encode()


def address(name: str, session: str = SESSION) -> str:
    """Return the path of a file on that server."""
    return f"/data/{session}/alf/{name}"


def begin(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """Start a command without a terminal."""
    environment = {**os.environ, **options.pop("env", {})}  # type: ignore[dict-item]
    return subprocess.Popen(
        [sys.executable, "onelight.py", *map(str, arguments)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options},
        cwd=CHECKOUT,
        text=True,
        env=environment,
    )  # type: ignore[call-overload]


def wait_until(true: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def partials(folder: Path) -> dict[str, int]:
    """Return the partial files below a folder with their sizes."""
    return {path.name: path.stat().st_size for path in folder.rglob(".*.part")}
