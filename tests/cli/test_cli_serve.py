"""``onelight serve``: a folder that somebody else reads while it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onelight.api import One, write_index
from onelight.config import Config, Settings

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    running: list[subprocess.Popen[str]] = []

    def begin(root: Path, *more: str, given: str = "") -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "onelight", "serve", str(root), "--port", "0", "--json", *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(given)
        process.stdin.close()
        return process, str(json.loads(process.stdout.readline())["url"])

    yield begin
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def read(url: str, **options: str) -> One:
    Config.load().add(Settings("served", "http", {"base_url": url, **options}))
    return One("served")


@posix
def test_a_folder_is_read_by_others_until_it_is_stopped(start: Callable[..., object], data_root: Path) -> None:
    write_index(data_root)
    process, url = start(data_root)  # type: ignore[misc]
    one = read(url)
    session = one.search()[0]
    for path in one.download(session, "trials"):
        assert path.read_bytes() == (data_root / session / "alf" / path.name).read_bytes()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert "Ctrl-C ends it" in process.stderr.read()


def test_with_a_token_nobody_else_gets_anything(start: Callable[..., object], data_root: Path) -> None:
    write_index(data_root)
    _, url = start(data_root, "--token-stdin", given="let-me-in-please\n")  # type: ignore[misc]
    with pytest.raises(Exception, match="401"):
        read(url).search()
    assert read(url, login="me", password="let-me-in-please").search()


def test_a_folder_without_an_index_is_said(start: Callable[..., object], tmp_path: Path) -> None:
    process, _ = start(tmp_path)  # type: ignore[misc]
    assert "has no .one_root yet" in process.stderr.readline()


def test_what_is_no_folder_is_not_found(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "onelight", "serve", str(tmp_path / "nowhere")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "there is no folder" in done.stderr
