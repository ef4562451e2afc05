"""The pace at which a server is asked that wants to be asked seldom, such as figshare: once a second at the most."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: The pace goes down to one request in so many times the interval.
_SLOWEST = 32.0


class Pace:
    """Hands out moments at which a request may be sent, evenly spaced, to any number of threads.

    Nobody is let through early for having waited long before: an hour without requests is no leave for a burst. Each
    time that the server says that this was too often, the pace is halved; answers bring it back, a twentieth each.

    Parameters
    ----------
    rate : float
        Requests a second at the most; 0 for no limit.
    wait : callable
        Waits for so many seconds, and raises if the work is stopped meanwhile.
    """

    def __init__(self, rate: float, wait: Callable[[float], None]) -> None:
        self.rate = rate
        self._wait = wait
        self._lock = threading.Lock()
        self._next = 0.0
        self._factor = 1.0  # on the interval

    @property
    def interval(self) -> float:
        """Seconds between two requests as they should be, 0 for no limit."""
        return 1.0 / self.rate if self.rate > 0 else 0.0

    def take(self) -> None:
        """Wait for one's turn."""
        if self.rate <= 0:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self.interval * self._factor
        if turn > now:
            self._wait(turn - now)

    def learn(self, *, too_often: bool) -> None:
        """Take note of an answer, and whether it was that the server is asked too often."""
        with self._lock:
            self._factor = min(_SLOWEST, 2 * self._factor) if too_often else max(1.0, 0.95 * self._factor)
