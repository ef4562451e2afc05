"""Being told to stop: once ends what is under way in good order, twice ends at once.

Ctrl-C (SIGINT), SIGTERM and SIGHUP are one thing here: the first raises :class:`Stopped` in the main thread, so that
what came is kept, the summary is printed, and the exit code says which signal it was, as a shell would say it. The
second ends the process there and then; nothing is lost by that, either (docs/reliability.md), it is only not told.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading

EXIT_CODES = frozenset({129, 130, 143})
_ONCE_MORE = "stopping; what came is kept. Once more stops at once"


class Stopped(KeyboardInterrupt):
    """Somebody wants this process to end.

    Parameters
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _State:
    """What the handler knows: there is one process, and so there is one of these."""

    number = 0
    tell: Callable[[str], None] | None = None


def listen() -> None:
    """Take the signals that ask for an end, except those that whoever started this process wants ignored."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        # nohup ignores SIGHUP, and a shell SIGINT for what it runs in the background.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


def finish() -> None:
    """Nothing is left to be ended in good order: from now on the first signal ends at once."""
    _State.number = _State.number or -1


@contextlib.contextmanager
def told_by(tell: Callable[[str], None]) -> Iterator[None]:
    """Say at the first signal that it was heard, where the end may take a moment.

    What is called must be short and wait for nobody: it is called in the middle of anything.
    """
    _State.tell = tell
    try:
        yield
    finally:
        _State.tell = None


def exit_code(error: BaseException) -> int:
    """Return the exit code of an interruption: 128 and the number of the signal."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, Stopped):
            return 128 + found.number
        found = found.__cause__
    return 128 + signal.SIGINT


def name_of(code: int) -> str:
    """Return what a person calls the signal of an exit code.

    Examples
    --------
    >>> name_of(130), name_of(143)
    ('Ctrl-C', 'SIGTERM')
    """
    number = code - 128
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def _on_signal(number: int, _: Any) -> None:
    if _State.number:
        if sys.stderr is not None and sys.stderr.isatty():
            write_past("\x1b[?25h\n")  # the bars hide the cursor
        os._exit(128 + number)
    _State.number = number
    if _State.tell is not None:
        _State.tell(_ONCE_MORE)
    raise Stopped(number)


def write_past(text: str) -> None:
    """Write to stderr past Python's buffers, which this very moment may be in the middle of something."""
    if sys.stderr is not None:  # without one, its number may be that of a file with data
        with contextlib.suppress(OSError, ValueError):
            os.write(sys.stderr.fileno(), text.encode())


@contextlib.contextmanager
def until_a_signal() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event, from before anyone is told that there is something to end."""
    import threading

    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
