"""Which bytes of a file are there, and who fetches which. Pure bookkeeping; whoever uses it holds the lock.

A file is fetched from its beginning. While one connection is enough there is one span, the rest of the file. When
several share the work, each takes the next few megabytes in order, so that what is there is always a beginning and a
few islands not far behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Bytes of a span that one of several connections takes: about two seconds of it, within these bounds.
SHORTEST, LONGEST = 4 << 20, 64 << 20
_SECONDS = 2.0


@dataclass(eq=False, slots=True)
class Span:
    """Bytes from ``start`` to ``end``, of which those up to ``at`` are there; ``end`` None: to the end of the file."""

    start: int
    end: int | None
    at: int

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there."""
        return self.end is not None and self.at >= self.end


class Pieces:
    """The spans of one file.

    Parameters
    ----------
    have : int
        Bytes of the beginning that are there.
    """

    def __init__(self, have: int) -> None:
        self._next = have
        self._spans: list[Span] = []
        self._returned: list[Span] = []

    @property
    def length(self) -> int:
        """Bytes of the beginning that are there without a gap."""
        for span in self._spans:
            if not span.is_whole:
                return span.at
        return self._next

    @property
    def is_shared(self) -> bool:
        """Whether anybody still fetches any of them."""
        return any(not span.is_whole for span in self._spans)

    def take(self, size: int | None, most: int | None) -> Span | None:
        """Return the next bytes that nobody fetches, or None if there are none.

        Parameters
        ----------
        size : int or None
            Bytes of the file; None if nobody knows.
        most : int or None
            Bytes to take at the most; None for all the rest.
        """
        if self._returned:
            self._returned.sort(key=lambda span: span.start)
            return self._returned.pop(0)
        if size is not None and self._next >= size:
            return None
        end = size if most is None or size is None else min(size, self._next + most)
        span = Span(self._next, end, self._next)
        self._next = span.start if end is None else end
        self._spans.append(span)
        return span

    def give_back(self, span: Span) -> None:
        """Leave the rest of a span to somebody else."""
        if span.is_whole or span not in self._spans:
            self._forget()
        elif span.end is None or span is self._spans[-1]:
            # What came of it stays known: otherwise the span before it would be the last, and be taken again with it.
            self._spans[-1:] = [Span(span.start, span.at, span.at)] if span.at > span.start else []
            self._next = span.at
            self._forget()
        else:
            place = self._spans.index(span)
            rest = Span(span.at, span.end, span.at)
            self._spans[place : place + 1] = [Span(span.start, span.at, span.at), rest]
            self._returned.append(rest)

    def wrote(self, span: Span, count: int) -> tuple[int, int]:
        """Take down that the next bytes of a span are there; return how the beginning grew: from, to."""
        before = self.length
        span.at += count
        if span.end is None:
            self._next = span.at
        after = self.length
        self._forget()
        return before, after

    def _forget(self) -> None:
        while self._spans and self._spans[0].is_whole:
            self._spans.pop(0)


def span_for(rate: float, left: int) -> int:
    """Return how many bytes a connection of this speed (bytes a second) should take at a time, of those that are left.

    Examples
    --------
    >>> span_for(10e6, 10**9), span_for(100.0, 10**9) == SHORTEST, span_for(1e12, 10**9) == LONGEST
    (20000000, True, True)
    >>> span_for(1e12, 40_000_000)
    10000000
    """
    return int(max(SHORTEST, min(LONGEST, rate * _SECONDS, left // 4)))
