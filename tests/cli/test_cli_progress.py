"""What a run shows while it goes: bars on a terminal, lines elsewhere, nothing where nothing is wanted."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import Good, WebServer, cut, drip
from shared import CHECKOUT, SESSION, address, begin, share

from onelight.cli.progress import Meter
from onelight.errors import Unreachable
from onelight.transfer import Outcome, Progress, Status

BIG = os.urandom(3_000_000)
HERE = Path("x")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> Meter:
    return Meter("Downloading", clock)


def flow(meter: Meter, clock: Clock, path: str, seconds: int, per_second: int) -> None:
    for _ in range(seconds * 10):
        clock.now += 0.1
        meter.advance(path, per_second // 10)


class TestMeter:
    def test_the_meter_is_somebody_who_watches(self, meter: Meter) -> None:
        watcher: Progress = meter
        assert watcher is meter

    def test_rate_and_time_left_are_those_of_the_last_seconds(self, meter: Meter, clock: Clock) -> None:
        meter.begin(2, 10_000_000)
        meter.start("a", 9_000_000)
        flow(meter, clock, "a", 20, 10_000)
        flow(meter, clock, "a", 20, 100_000)
        now = meter.reading()
        assert now.moved == 2_200_000
        assert now.rate == pytest.approx(100_000, rel=0.1)
        assert now.left == pytest.approx(78, rel=0.1)
        assert now.line().startswith("Downloading: 0/2 files, 2.2 MB of 10.0 MB (22%), ")
        assert re.search(r", 1:1\d left$", now.line())
        [file] = now.running
        assert (file.path, file.moved, file.size) == ("a", 2_200_000, 9_000_000)
        clock.now += 60
        assert (meter.reading().rate, meter.reading().left) == (0, None)
        assert ", 0 B/s" in meter.reading().line()

    def test_what_has_to_be_fetched_again_takes_the_bar_back_and_not_the_rate(self, meter: Meter, clock: Clock) -> None:
        meter.begin(1, 10_000_000)
        meter.start("a", 10_000_000)
        flow(meter, clock, "a", 10, 100_000)
        before = meter.reading().rate
        meter.advance("a", -1_000_000)
        now = meter.reading()
        assert (now.moved, now.running[0].moved) == (0, 0)
        assert now.rate == before > 0
        assert now.left == pytest.approx(100, rel=0.1)

    def test_what_an_earlier_run_brought_is_no_speed(self, meter: Meter, clock: Clock) -> None:
        meter.begin(1, 10_000_000)
        meter.start("a", 10_000_000)
        meter.advance("a", 8_000_000)
        clock.now += 1
        assert (meter.reading().moved, meter.reading().rate) == (8_000_000, 0)

    def test_retries_are_counted_with_the_last_reason(self, meter: Meter, clock: Clock) -> None:
        meter.begin(1, 100)
        meter.start("a", 100)
        meter.again("a", "the connection was\nlost", 4)
        now = meter.reading()
        assert (now.retries, now.running[0].retries, now.running[0].wait) == (1, 1, 4)
        assert now.line().endswith("1 retry (last: the connection was lost)")
        meter.advance("a", 1)
        meter.again("a", "nobody answers", 0)
        assert meter.reading().running[0].wait == 0
        assert meter.reading().line().endswith("2 retries (last: nobody answers)")

    def test_files_that_fail_or_were_there_leave_a_bar_that_reaches_its_end(self, meter: Meter) -> None:
        meter.begin(3, 600)
        meter.finish(Outcome("kept", HERE, Status.KEPT, 50))
        meter.start("good", 200)
        meter.finish(Outcome("good", HERE, Status.DONE, 200))
        meter.start("bad", 300)
        meter.advance("bad", 100)
        meter.finish(Outcome("bad", HERE, Status.FAILED, 300, error=Unreachable("no")))
        meter.advance("quick", 100)
        meter.finish(Outcome("quick", HERE, Status.DONE, 100))
        now = meter.reading()
        assert (now.done, now.failed, now.moved, now.size) == (2, 1, 300, 300)
        assert now.running == []
        assert "2/3 files, 1 failed, 300 B of 300 B (100%)" in now.line()
        assert [outcome.path for outcome in meter.outcomes()] == ["bad", "good", "kept", "quick"]

    def test_sizes_that_nobody_states_are_no_percentage(self, meter: Meter) -> None:
        meter.begin(1, 0)
        meter.start("a", None)
        meter.advance("a", 5000)
        assert "0/1 file, 5.0 kB, " in meter.reading().line()
        assert meter.reading().left is None


@pytest.fixture
def web(add_repository: Callable[..., str]) -> Iterator[WebServer]:
    with WebServer() as server:
        share(server, {"spikes.big.npy": BIG, "spikes.small.npy": b"small"})
        add_repository("web", "http", base_url=f"{server.url}/data")
        yield server


class TestWithoutATerminal:
    @pytest.fixture(autouse=True)
    def slow(self, web: WebServer) -> None:
        web.faults[address("spikes.big.npy")] = [drip(0.04)]

    def test_a_plain_line_now_and_then(self, web: WebServer) -> None:
        with begin("download", SESSION, env={"ONELIGHT_PROGRESS_INTERVAL": "0.3"}) as process:
            out, err = process.communicate(timeout=60)
        lines = [line for line in err.splitlines() if line.startswith("Downloading: ")]
        assert len(lines) >= 2
        assert all(re.fullmatch(r"Downloading: [01]/2 files, [\d.]+ k?M?B, [\d.]+ k?M?B/s", line) for line in lines)
        assert "\x1b" not in err
        assert "\r" not in err
        assert len(out.splitlines()) == 2

    def test_none_before_half_a_minute(self, web: WebServer) -> None:
        with begin("download", SESSION) as process:
            _, err = process.communicate(timeout=60)
        assert "Downloading" not in err
        assert "2 files fetched" in err

    def test_none_where_none_is_wanted(self, web: WebServer) -> None:
        env = {"ONELIGHT_PROGRESS_INTERVAL": "0.1", "ONELIGHT_NO_PROGRESS": "1"}
        with begin("download", SESSION, env=env) as process:
            _, err = process.communicate(timeout=60)
        assert "Downloading" not in err
        assert "2 files fetched" in err

    @pytest.mark.parametrize("value", ["soon", "-1", "nan"])
    def test_an_interval_that_is_none_is_told(self, web: WebServer, value: str) -> None:
        with begin("download", SESSION, env={"ONELIGHT_PROGRESS_INTERVAL": value}) as process:
            _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "ONELIGHT_PROGRESS_INTERVAL must be a number" in err


def test_retries_stand_in_the_summary(web: WebServer, config_dir: Path) -> None:
    web.faults[address("spikes.big.npy")] = [cut(1_500_000), cut(1_000_000), Good]
    with begin("download", SESSION, "spikes.big", env={"ONELIGHT_PROGRESS_INTERVAL": "0.1"}) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "0 failed; 2 retries" in err
    assert "1 retry (last: " in err


@pytest.mark.skipif(os.name != "posix", reason="a terminal of one's own is POSIX's")
class TestTerminal:
    def test_bars_for_the_run_and_its_files_with_rate_and_time_left(self, config_dir: Path) -> None:
        shown = screens(PLAY)
        text = "\n".join(shown)
        assert "Downloading 0/2 files" in text
        assert "spikes.times.npy" in text
        assert re.search(r"[\d.]+ k?M?B/s", text)
        assert re.search(r"\d:\d\d left", text)
        assert "again in 9 s" in text
        assert "1 retry" in text
        assert any("━" in screen for screen in shown)

    def test_a_bar_goes_back_when_a_file_begins_again(self, config_dir: Path) -> None:
        moved = re.findall(r"spikes\.times\.npy.*?([\d.]+ [kM]B)/4\.0 MB", "\n".join(screens(PLAY)))
        assert "500.0 kB" in moved[moved.index("3.0 MB") :]

    def test_nothing_is_left_of_the_bars_and_the_cursor_is_shown(self, config_dir: Path) -> None:
        raw = played(PLAY)
        assert raw.count("\x1b[?25l") == raw.count("\x1b[?25h") == 1
        assert raw.rstrip().endswith("\x1b[2K")

    def test_a_signal_is_answered_on_the_bar(self, config_dir: Path) -> None:
        text = played(STOPPED)
        assert "Once more stops at once" in text
        assert "Traceback" not in text

    def test_two_signals_leave_the_cursor_shown(self, config_dir: Path) -> None:
        text = played(STOPPED_TWICE)
        assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")

    @pytest.mark.parametrize(("columns", "term"), [(20, "xterm"), (80, "dumb"), (200, "xterm-256color")])
    def test_no_terminal_breaks_it(self, web: WebServer, columns: int, term: str) -> None:
        """Row L16."""
        web.faults[address("spikes.big.npy")] = [drip(0.02)]
        env = {"COLUMNS": str(columns), "TERM": term}
        code = ["onelight.py", "download", SESSION]
        text = played(code, env)
        assert "2 files fetched" in text.replace("\r\n", "\n")
        assert ("\x1b" in text) == (term != "dumb")

    def test_none_where_none_is_wanted(self, web: WebServer) -> None:
        text = played(["onelight.py", "download", SESSION], {"ONELIGHT_NO_PROGRESS": "1"})
        assert "\x1b" not in text
        assert "2 files fetched" in text


PLAY = [
    "-c",
    """
import time
from pathlib import Path
from onelight.cli.progress import watch
from onelight.transfer import Outcome, Status
with watch("Downloading") as meter:
    meter.begin(2, 8_000_000)
    meter.start("lab/spikes.times.npy", 4_000_000)
    for _ in range(30):
        meter.advance("lab/spikes.times.npy", 100_000)
        time.sleep(0.02)
    meter.again("lab/spikes.times.npy", "lost", 9)
    time.sleep(0.4)
    meter.advance("lab/spikes.times.npy", -2_500_000)
    time.sleep(0.4)
    meter.finish(Outcome("lab/spikes.times.npy", Path(), Status.DONE, 4_000_000))
    time.sleep(0.3)
""",
]
STOPPED = [
    "-c",
    """
import os, signal, time
from onelight.cli import runs, stopping
def work(watcher):
    try:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    finally:
        time.sleep(0.5)
stopping.listen()
ran = runs.run("Downloading", work)
assert ran.stopped == 130
""",
]
STOPPED_TWICE = ["-c", STOPPED[1].replace("time.sleep(0.5)", "os.kill(os.getpid(), signal.SIGINT)")]


def played(arguments: list[str], env: dict[str, str] | None = None) -> str:
    """Return what a program writes to its stderr, which is a terminal."""
    import pty

    keyboard, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=terminal, env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **(env or {})},
    )  # fmt: skip
    os.close(terminal)
    written = bytearray()
    end = time.monotonic() + 60
    with contextlib.suppress(OSError):  # so Linux says that the last writer is gone
        while time.monotonic() < end and (data := os.read(keyboard, 1 << 16)):
            written += data
    os.close(keyboard)
    process.wait(timeout=30)
    return written.decode()


def screens(arguments: list[str]) -> list[str]:
    """Return what was drawn, picture by picture, without colours."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", played(arguments))
    return re.split(r"\r(?:\x1b\[2K|\x1b\[1A)+", plain)
