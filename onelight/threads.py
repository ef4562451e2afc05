"""Threads that leave signals to the main one, which alone can answer them.

The system gives a signal to any thread that takes it; the main one then goes on waiting, and hears of Ctrl-C when it
wakes for another reason. It happens where two come at once, as at the end of a session.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_ENDING = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}


def pool(threads: int, name: str) -> ThreadPoolExecutor:
    """Return a pool of so many threads."""
    return ThreadPoolExecutor(threads, name, initializer=_be_deaf)


def start(run: Callable[[], object], name: str) -> threading.Thread:
    """Start a thread that the end of the process does not wait for."""

    def deaf() -> None:
        _be_deaf()
        run()

    thread = threading.Thread(target=deaf, name=name, daemon=True)
    thread.start()
    return thread


def _be_deaf() -> None:
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
