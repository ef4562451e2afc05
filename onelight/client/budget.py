"""How many connections one host gets: a number that was asked for, or one that adapts.

The number that serves best depends on what the limit is. Where every request waits for 50 ms, 64 connections are eight
times as fast as 8; where the disk or this program is the limit, more only cost; and a server that answers 429 asks for
fewer. So it begins with few and doubles while that pays, steps back where it does not, and halves where a server pushes
back (docs/benchmarks.md has the measurements). Pure: times come in as arguments.
"""

from __future__ import annotations

#: Connections to one host at the most, where nobody says otherwise.
MOST = 64
_FIRST = 8
# What a request costs beside its bytes, in bytes: about what moves in the time that it takes.
_REQUEST = 32 * 1024
# A larger number must bring so much more to be kept, and a window be so long to be believed.
_GAIN = 1.15
_WINDOW = 0.02
# Seconds until a larger number is tried again: after it did not pay, and after a server pushed back.
_AGAIN = 5.0
_PUSHED = 30.0


class Budget:
    """The connections of one host.

    Parameters
    ----------
    fixed : int, optional
        The number, if it is not to adapt.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self._adapts = fixed is None
        self.allowed = _FIRST if fixed is None else max(1, fixed)
        self.busy = 0
        self._before = (0, 0.0)  # the number that the present one must beat, and what it moved a second
        self._not_before = 0.0
        self._window: tuple[float, float] | None = None  # when it began, and how long the client had waited by then
        self._requests = 0
        self._work = 0

    def ended(self, size: int, now: float, idle: float, *, wanted: bool) -> None:
        """Take note of a request that went well, and adapt.

        Parameters
        ----------
        size : int
            Bytes that moved.
        now : float
            Seconds of a monotonic clock.
        idle : float
            Seconds for which this program had nothing to do, since its beginning.
        wanted : bool
            Whether more requests are waiting for their turn: otherwise nothing can be learnt from how fast it goes.
        """
        if not self._adapts:
            return
        if not wanted or self._window is None:
            self._window, self._requests, self._work = ((now, idle) if wanted else None), 0, 0
            return
        self._requests += 1
        self._work += size + _REQUEST
        began, idle_then = self._window
        seconds = now - began
        if self._requests < self.allowed or seconds < _WINDOW:
            return
        self._judge(self._work / seconds, (idle - idle_then) / seconds, now)
        self._window, self._requests, self._work = (now, idle), 0, 0

    def pushed_back(self, now: float) -> None:
        """Take note that the server refuses or cuts connections: half as many, and no more for a while."""
        if self._adapts and now >= self._not_before - _PUSHED + 1:  # what is refused together counts once a second
            self.allowed = max(1, self.allowed // 2)
            self._before = (0, 0.0)
            self._not_before = now + _PUSHED
            self._window = None

    def _judge(self, rate: float, idle: float, now: float) -> None:
        fewer, rate_then = self._before
        if fewer and rate < rate_then * _GAIN:
            self.allowed, self._before, self._not_before = fewer, (0, 0.0), now + _AGAIN
        elif now < self._not_before or idle < 0.3 or self.allowed >= MOST:  # this program is the limit, or will be
            self._before = (0, 0.0)
        else:
            self._before = (self.allowed, rate)
            self.allowed = min(MOST, 2 * self.allowed)
