"""Ctrl-C once and twice, SIGTERM, SIGHUP, and an output that nobody reads: what came is kept, and the truth is told."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import WebServer, drip, silence
from shared import CHECKOUT, SESSION, address, begin, partials, share, wait_until

Run = Callable[..., Any]
BIG = os.urandom(4_000_000)
FILES = {"clusters.small.npy": b"small", "spikes.big.npy": BIG}
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def web(add_repository: Callable[..., str]) -> Iterator[WebServer]:
    with WebServer() as server:
        share(server, FILES)
        server.faults[address("spikes.big.npy")] = [drip(0.2)]
        add_repository("web", "http", base_url=f"{server.url}/data")
        yield server


def begun(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a download of both files and wait until one is there and the other on its way."""
    process = begin("download", SESSION, *arguments)
    small = folder / SESSION / "alf" / "clusters.small.npy"
    wait_until(small.exists)
    wait_until(lambda: sum(partials(folder).values()) > 500_000)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_one_signal_ends_in_good_order_and_the_command_that_is_told_goes_on(
    web: WebServer, config_dir: Path, number: signal.Signals
) -> None:
    folder = config_dir / "data" / "web"
    with begun(folder) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert [Path(line).name for line in out.splitlines()] == ["clusters.small.npy"], "what came is told"
    assert "1 file fetched" in err
    assert f"stopped by {'Ctrl-C' if number == signal.SIGINT else number.name}: 1 file not fetched" in err
    assert "Traceback" not in err
    assert "once more stops at once" in err.lower()
    assert not (folder / SESSION / "alf" / "spikes.big.npy").exists()
    [held] = partials(folder).values()
    assert held > 500_000
    command = shlex.split(err.partition("continue with: ")[2].splitlines()[0])
    assert command == ["onelight", "download", SESSION]
    web.forget()
    web.faults.clear()
    with begin(*command[1:], "--json") as process:
        out, _ = process.communicate(timeout=30)
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["status"] for row in rows[:-1]] == ["notneeded", "ok"]
    assert 100_000 < rows[1]["resumed_from"] <= held
    assert (folder / SESSION / "alf" / "spikes.big.npy").read_bytes() == BIG


def test_json_says_that_it_was_stopped(web: WebServer, config_dir: Path) -> None:
    with begun(config_dir / "data" / "web", "--json") as process:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    *rows, summary = [json.loads(line) for line in out.splitlines()]
    assert [row["status"] for row in rows] == ["ok"]
    assert (summary["action"], summary["ok"], summary["error"]) == ("summary", 1, 0)
    assert (summary["stopped"], summary["exit"]) == ("SIGTERM", 143)


SLOW_TO_END = """
import time
from onelight.cli import runs, stopping

def work(watcher):
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        time.sleep(60)

stopping.listen()
runs.run("Downloading", work)
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_end_at_once_what_one_would_end_slowly(second: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_TO_END], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert "Once more stops at once" in process.stderr.readline()
        told = time.monotonic()
        process.send_signal(second)
        process.wait(timeout=30)
        assert time.monotonic() - told < 5
        assert process.returncode == 128 + second
        assert process.stderr.read() == ""


def test_after_two_signals_the_next_run_goes_on(web: WebServer, config_dir: Path) -> None:
    folder = config_dir / "data" / "web"
    with begun(folder) as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    # The last: it was at its very end already, where Python answers no signal any more, and the system does.
    assert process.returncode in {130, 143, -signal.SIGTERM}
    assert "Traceback" not in err
    assert not (folder / SESSION / "alf" / "spikes.big.npy").exists()
    web.faults.clear()
    with begin("download", SESSION) as process:
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert (folder / SESSION / "alf" / "spikes.big.npy").read_bytes() == BIG
    assert partials(folder) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_server_says_nothing_is_heard_at_once(web: WebServer, number: signal.Signals) -> None:
    web.faults["/data/.one_root"] = [silence]
    with begin("search") as process:
        wait_until(lambda: web.requests)
        told = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert time.monotonic() - told < 5
    assert (process.returncode, out) == (128 + number, "")
    assert "interrupted" in err
    assert "Traceback" not in err


def test_what_whoever_started_it_wants_ignored_is_ignored(web: WebServer, config_dir: Path) -> None:
    """So ``nohup`` begins a program: SIGHUP is ignored before it starts."""
    web.faults[address("spikes.big.npy")] = [drip(0.03)]
    ignore = "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); \
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    folder = config_dir / "data" / "web"
    with subprocess.Popen(
        [sys.executable, "-c", ignore, "onelight.py", "download", SESSION],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        wait_until(lambda: sum(partials(folder).values()) > 200_000)
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert (folder / SESSION / "alf" / "spikes.big.npy").read_bytes() == BIG


def test_a_demo_that_is_stopped_is_not_a_demo_that_failed(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    with begin("demo", env={"TMPDIR": str(tmp_path / "tmp")}) as process:
        assert process.stdout is not None
        while "onelight upload" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "the demo failed" not in err
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_upload_that_is_stopped_says_how_to_go_on(
    onelight: Run, box: int, sandbox: Any, tmp_path: Path, write_files: Callable[..., Path]
) -> None:
    root = write_files(tmp_path / "root", f"{SESSION}/alf/spikes.times.npy")
    (root / SESSION / "alf" / "spikes.big.npy").write_bytes(bytes(120_000_000))
    with begin("upload", root, "-j", 1) as process:
        time.sleep(0.2)
        wait_until(lambda: process.poll() is not None or "spikes.big" in box_log(sandbox, box))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopped by Ctrl-C" in err
    assert "the index was not written: readers see what they saw before" in err
    assert f"continue with: onelight upload {root}" in err
    assert not (root / ".one_root").exists()
    assert onelight("upload", root).code == 0


def box_log(sandbox: Any, article: int) -> str:
    import urllib.request

    request = urllib.request.Request(
        f"{sandbox.api_url}/account/articles/{article}/files", headers={"Authorization": f"token {sandbox.token}"}
    )
    with urllib.request.urlopen(request) as answer:
        return str(answer.read().decode())


class TestNobodyReads:
    def test_a_closed_stdout_is_no_error(self, web: WebServer, config_dir: Path) -> None:
        web.faults.clear()
        done = shell(f"{sys.executable} onelight.py download {SESSION} >&-")
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        assert (config_dir / "data" / "web" / SESSION / "alf" / "spikes.big.npy").read_bytes() == BIG

    def test_a_closed_stderr_is_no_error(self, web: WebServer) -> None:
        """Row L16."""
        web.faults.clear()
        done = shell(f"{sys.executable} onelight.py download {SESSION} 2>&-")
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)

    def test_stdout_that_is_read_no_more_shows_no_traceback(self, web: WebServer) -> None:
        web.faults.clear()
        code = "${PIPESTATUS[0]}"
        done = shell(f"{sys.executable} onelight.py download {SESSION} | exec true; echo {code} >&2")
        assert "Traceback" not in done.stderr
        assert "Broken" not in done.stderr
        assert done.stderr.splitlines()[-1] in {"141", "0"}

    def test_stderr_that_is_read_no_more_stops_nothing(self, web: WebServer, config_dir: Path) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        web.faults[address("spikes.big.npy")] = [drip(0.01)]
        env = {"ONELIGHT_PROGRESS_INTERVAL": "0.05"}
        with begin("download", SESSION, stderr=writing, env=env) as process:
            out, _ = process.communicate(timeout=60)
        os.close(writing)
        assert (process.returncode, len(out.splitlines())) == (0, 2)
        assert (config_dir / "data" / "web" / SESSION / "alf" / "spikes.big.npy").read_bytes() == BIG

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
    def test_stdout_on_a_full_disk_is_an_error_of_the_disk(self, web: WebServer) -> None:
        web.faults.clear()
        done = shell(f"{sys.executable} onelight.py download {SESSION} > /dev/full")
        assert done.returncode == 7, done.stderr
        assert "No space left" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60
    )
