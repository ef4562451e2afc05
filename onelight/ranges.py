"""Which bytes of a file a Range header asks for, to whoever serves one (RFC 9110, section 14)."""

from __future__ import annotations

import re
from typing import NamedTuple

_ONE_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,30})\s*-\s*([0-9]{0,30})\s*", re.IGNORECASE)


class Span(NamedTuple):
    """Bytes of a file from `start` up to but without `stop`; `is_part` if they were asked for as a range."""

    start: int
    stop: int
    is_part: bool


def wanted(text: str, size: int) -> Span | None:
    """Return the bytes that a Range header asks for; None if there are none such.

    Several ranges, and what is no range, mean the whole file (RFC 9110, section 14.2, leaves that to the server).

    Examples
    --------
    >>> wanted("bytes=2-", 10)
    Span(start=2, stop=10, is_part=True)
    >>> wanted("bytes=-3", 10)
    Span(start=7, stop=10, is_part=True)
    >>> wanted("", 10)
    Span(start=0, stop=10, is_part=False)
    """
    whole = Span(0, size, is_part=False)
    match = _ONE_RANGE.fullmatch(text)
    if match is None or match[1] == match[2] == "":
        return whole
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
        if match[2] and int(match[2]) < start:
            return whole
    return Span(start, stop, is_part=True) if start < stop else None
