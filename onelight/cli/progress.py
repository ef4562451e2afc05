"""A bar for the whole run and one for each file on its way, on stderr of a terminal; elsewhere nothing."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from onelight.cli.output import is_terminal
from onelight.transfer import Outcome, Progress, Silent, Status


@contextlib.contextmanager
def watch(verb: str) -> Iterator[Progress]:
    """Return somebody who watches a run.

    Parameters
    ----------
    verb : str
        What the run does, such as ``"Downloading"``.
    """
    if not is_terminal():
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Watcher(bars, verb)


class _Watcher:
    """Keeps the bars. ``bars`` is a rich Progress, which is safe to use from several threads."""

    def __init__(self, bars, verb: str) -> None:  # type: ignore[no-untyped-def]  # rich is imported when it is used
        self._bars = bars
        self._verb = verb
        self._lock = threading.Lock()
        self._files: dict[str, int] = {}
        self._moved: dict[str, int] = {}
        self._done = self._all = 0
        self._total = bars.add_task(verb, total=None)

    def begin(self, files: int, size: int) -> None:
        self._all = files
        self._bars.update(self._total, total=size or None, description=f"{self._verb} 0/{files} files")

    def start(self, path: str, size: int | None) -> None:
        with self._lock:
            if path in self._files:
                return  # asked for once more, in another way
            self._moved[path] = 0
            self._files[path] = self._bars.add_task("  " + path.rpartition("/")[2][:40], total=size)

    def advance(self, path: str, count: int) -> None:
        with self._lock:
            self._moved[path] = self._moved.get(path, 0) + count
            if path in self._files:
                self._bars.advance(self._files[path], count)
            self._bars.advance(self._total, count)

    def finish(self, outcome: Outcome) -> None:
        if outcome.status is Status.KEPT:
            return
        with self._lock:
            self._done += 1
            task = self._files.pop(outcome.path, None)
            if task is not None:
                self._bars.remove_task(task)
            # What did not count on the way (a file that was there already) counts now, so that the bar reaches its end.
            self._bars.advance(self._total, outcome.size - self._moved.pop(outcome.path, 0))
            self._bars.update(self._total, description=f"{self._verb} {self._done}/{self._all} files")
