"""How a run shows itself while it goes: bars on a terminal, elsewhere a plain line now and then, both on stderr.

Whoever transfers tells a :class:`Meter`, which only counts; a thread looks at it ten times a second and draws, or
every 30 s and writes a line. So a byte that moves costs an addition, and not a picture.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from onelight import threads
from onelight.cli import stopping
from onelight.cli.errors import visible
from onelight.cli.output import count, is_terminal, say, size_text
from onelight.config import progress_interval
from onelight.transfer import Outcome, Status

_WINDOW = 15.0  # seconds over which the rate is taken
_STEP = 0.5  # seconds that are counted together
_BARS = 10  # files that are shown at a time; more would leave no room for anything else
# More at once than a connection brings: what an earlier run had brought, which says nothing of the speed.
_HELD = 2 << 20


class _Rate:
    """Bytes a second, over the last seconds."""

    def __init__(self, now: float) -> None:
        self._begun = now
        self._recent: deque[list[float]] = deque()

    def add(self, size: int, now: float) -> None:
        if self._recent and now - self._recent[-1][0] < _STEP:
            self._recent[-1][1] += size
        else:
            self._recent.append([now, size])

    def per_second(self, now: float) -> float:
        while self._recent and self._recent[0][0] < now - _WINDOW:
            self._recent.popleft()
        return sum(size for _, size in self._recent) / min(_WINDOW, max(_STEP, now - self._begun))


@dataclass(slots=True)
class _File:
    size: int | None
    rate: _Rate
    started: bool = False
    moved: int = 0
    retries: int = 0
    waits_until: float = 0.0


@dataclass(frozen=True, slots=True)
class FileReading:
    """How far one file on its way is."""

    path: str
    size: int | None
    moved: int
    rate: float
    retries: int
    wait: float


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a run is.

    Parameters
    ----------
    verb : str
        What it does.
    done, failed, files : int
        Files that ended well, that failed, and all of them.
    moved, size : int
        Bytes that moved, of how many; 0 where nobody knows.
    rate : float
        Bytes a second.
    left : float or None
        Seconds that the rest takes at this rate, where that can be said.
    retries : int
        How often something was tried once more; ``reason`` is why the last time.
    running : list of FileReading
        The files on their way, the first one first.
    """

    verb: str
    done: int
    failed: int
    files: int
    moved: int
    size: int
    rate: float
    left: float | None
    retries: int
    reason: str
    running: list[FileReading] = field(default_factory=list)

    @property
    def files_text(self) -> str:
        """Files done of all, and those that failed."""
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.done:,}/{count(self.files, 'file')}{failed}"

    @property
    def retries_text(self) -> str:
        """How often something was tried once more, in words; empty for never."""
        return retries_text(self.retries)

    def line(self) -> str:
        """Return all of it in one line."""
        size = f" of {size_text(self.size)} ({100 * self.moved // self.size}%)" if self.size else ""
        words = [self.files_text, f"{size_text(self.moved)}{size}", f"{size_text(self.rate)}/s"]
        if self.left is not None:
            words.append(f"{duration(self.left)} left")
        if self.retries:
            words.append(f"{self.retries_text} (last: {self.reason})")
        return f"{self.verb}: {', '.join(words)}"


class Meter:
    """Somebody who watches a run and only counts. Called from several threads.

    Parameters
    ----------
    verb : str
        What the run does, such as ``"Downloading"``.
    clock : callable, optional
        Seconds that only grow.
    """

    def __init__(self, verb: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.verb = verb
        self.retries = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._files: dict[str, _File] = {}
        self._outcomes: list[Outcome] = []
        self._done = self._failed = self._all = self._moved = self._size = 0
        self._reason = ""
        self._rate = _Rate(clock())

    def begin(self, files: int, size: int) -> None:
        """Take down how much there is to do."""
        with self._lock:
            self._all, self._size = self._all + files, self._size + size
            self._rate = _Rate(self._clock())

    def start(self, path: str, size: int | None) -> None:
        """Take down that a file begins, or is asked for once more in another way."""
        with self._lock:
            file = self._file(path)
            file.size, file.started = size, True

    def advance(self, path: str, count: int) -> None:
        """Count bytes; negative ones take the bar back, and not the rate."""
        now = self._clock()
        with self._lock:
            file = self._file(path)
            held = count > _HELD and not file.moved
            file.moved += count
            self._moved += count
            file.waits_until = 0.0
            if count > 0 and not held:
                file.rate.add(count, now)
                self._rate.add(count, now)

    def again(self, path: str, reason: str, wait: float) -> None:
        """Take down that a file is tried once more, why, and after how many seconds."""
        with self._lock:
            file = self._file(path)
            file.retries += 1
            file.waits_until = self._clock() + wait
            self.retries += 1
            self._reason = " ".join(reason.split())

    def finish(self, outcome: Outcome) -> None:
        """Take down what came of a file."""
        with self._lock:
            self._outcomes.append(outcome)
            file = self._files.pop(outcome.path, None)
            if outcome.status is Status.KEPT:
                return
            moved = file.moved if file is not None else 0
            if outcome.status is Status.FAILED:  # what it would have brought will not come
                self._failed += 1
                self._moved -= moved
                self._size = max(0, self._size - outcome.size)
            else:
                self._done += 1
                # What did not count on the way counts now, so that the bar reaches its end.
                self._moved += outcome.size - moved

    def outcomes(self) -> list[Outcome]:
        """Return what came of the files that ended so far, sorted by path."""
        with self._lock:
            return sorted(self._outcomes, key=lambda outcome: outcome.path)

    def reading(self) -> Reading:
        """Return how far it is now."""
        now = self._clock()
        with self._lock:
            rate = self._rate.per_second(now)
            size = self._size if self._size >= self._moved else 0  # some sizes were not known
            running = [
                FileReading(
                    path, file.size, file.moved, file.rate.per_second(now), file.retries, max(0, file.waits_until - now)
                )
                for path, file in self._files.items()
                if file.started
            ]
            left = (size - self._moved) / rate if size and rate > 0 else None
            return Reading(
                self.verb, self._done, self._failed, self._all, self._moved, size, rate, left, self.retries,
                self._reason, running,
            )  # fmt: skip

    def _file(self, path: str) -> _File:
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = _File(None, _Rate(self._clock()))
        return file


@contextlib.contextmanager
def watch(verb: str) -> Iterator[Meter]:
    """Return somebody who watches a run, and show what he sees while it goes.

    Parameters
    ----------
    verb : str
        What the run does, such as ``"Downloading"``.
    """
    meter = Meter(verb)
    if os.environ.get("ONELIGHT_NO_PROGRESS"):
        with stopping.told_by(_tell):
            yield meter
    elif is_terminal():
        with _bars(meter):
            yield meter
    else:
        with stopping.told_by(_tell), _every(progress_interval(), lambda: say(meter.reading().line())):
            yield meter


def duration(seconds: float) -> str:
    """Return a time for a person.

    Examples
    --------
    >>> duration(76), duration(3 * 3600 + 5)
    ('1:16', '3:00:05')
    """
    minutes, rest = divmod(round(min(seconds, 359_999)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def retries_text(number: int) -> str:
    """Return a number of repetitions with its noun; empty for none."""
    return "" if not number else "1 retry" if number == 1 else f"{number:,} retries"


def _tell(text: str) -> None:
    stopping.write_past(f"{text}\n")


@contextlib.contextmanager
def _every(seconds: float, do: Callable[[], None]) -> Iterator[None]:
    """Do something again and again in a thread, until the end."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(seconds):
            with contextlib.suppress(OSError):  # nobody reads stderr any more: no reason to stop the run
                do()

    thread = threads.start(go_on, "onelight-progress")
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def _bars(meter: Meter) -> Iterator[None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    words = [TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in ("amount", "rate", "left", "retries")]
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), *words)
    bars = Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True, redirect_stdout=False)
    picture = _Picture(bars, meter)
    with stopping.told_by(picture.tell), bars:
        try:
            with _every(0.1, picture.draw):
                yield
        finally:
            with contextlib.suppress(OSError):
                picture.draw()


class _Picture:
    """Draws a bar for the whole run and one for each file on its way. ``bars`` is a rich Progress."""

    def __init__(self, bars, meter: Meter) -> None:  # type: ignore[no-untyped-def]  # rich is imported when it is used
        self._bars = bars
        self._meter = meter
        self._tasks: dict[str, int] = {}
        self._said = ""
        self._total = bars.add_task(meter.verb, total=None, amount="", rate="", left="", retries="")

    def tell(self, text: str) -> None:
        """Say something in the place of the verb, from the next picture on."""
        self._said = text

    def draw(self) -> None:
        """Bring the bars up to date."""
        now = self._meter.reading()
        left = f"{duration(now.left)} left" if now.left is not None else ""
        self._bars.update(
            self._total, completed=now.moved, total=now.size or None, description=f"{now.verb} {now.files_text}",
            amount=_amount(now.moved, now.size), rate=f"{size_text(now.rate)}/s", left=left, retries=now.retries_text,
        )  # fmt: skip
        if self._said:
            self._bars.update(self._total, description=self._said)
        shown = {file.path: file for file in now.running[:_BARS]}
        for path in [path for path in self._tasks if path not in shown]:
            self._bars.remove_task(self._tasks.pop(path))
        for path, file in shown.items():
            if path not in self._tasks:
                name = "  " + visible(path.rpartition("/")[2])[:40]
                self._tasks[path] = self._bars.add_task(name, total=None, amount="", rate="", left="", retries="")
            retries = f"again in {file.wait:.0f} s" if file.wait else retries_text(file.retries)
            rest = (file.size - file.moved) / file.rate if file.size and file.rate > 0 else None
            self._bars.update(
                self._tasks[path], completed=file.moved, total=file.size or None,
                amount=_amount(file.moved, file.size or 0), rate=f"{size_text(file.rate)}/s",
                left=f"{duration(rest)} left" if rest is not None and rest >= 0 else "", retries=retries,
            )  # fmt: skip
        self._bars.refresh()


def _amount(moved: int, size: int) -> str:
    return f"{size_text(moved)}/{size_text(size)}" if size else size_text(moved)
