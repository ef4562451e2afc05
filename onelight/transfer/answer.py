"""Deciding where the bytes of an answer belong. Pure: the answer, what was asked, and what is known go in.

The rules are those of RFC 9110 (13.1.5 If-Range, 14.4 Content-Range, 8.8.3 ETag), and what servers do all the same:
ignore Range, ignore If-Range, send other bytes than asked for, compress what was to be left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from onelight.client import Response
from onelight.errors import SizeMismatch, TransferError, Unreachable
from onelight.index import Entry
from onelight.route import redact

_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")
_ZIPPED = frozenset({"gzip", "x-gzip", "deflate"})


class OtherBytes(Unreachable):
    """A part that is not the one that was asked for: a fault of the server, which may pass."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What is known of the server's copy of a file.

    Parameters
    ----------
    etag : str
        Its strong ETag; empty where there is none. A weak one says nothing of bytes.
    size : int or None
        Its bytes, as the index or the server states them.
    ranges : bool or None
        Whether the server sends parts of it; None while that is not known.
    zipped : bool
        Whether it comes compressed although it was not to: such bytes are never continued.
    """

    etag: str = ""
    size: int | None = None
    ranges: bool | None = None
    zipped: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the bytes of an answer belong.

    Parameters
    ----------
    start : int
        Offset of the first; 0 means that what was there is to be thrown away.
    end : int or None
        Offset after the last one, if the answer says so.
    copy : Copy
        What is known of the server's copy now.
    """

    start: int
    end: int | None
    copy: Copy


def place(response: Response, start: int, end: int | None, copy: Copy, entry: Entry) -> Placed:
    """Decide where the bytes of an answer of status 200 or 206 belong.

    Parameters
    ----------
    response : Response
        Its status and headers.
    start, end : int, int or None
        The bytes that were asked for; end None for all the rest.
    copy : Copy
        What was known.
    entry : Entry
        What is expected.

    Raises
    ------
    SizeMismatch
        If they belong nowhere: the file was replaced, or other bytes came than were asked for.
    TransferError
        If they come in a form that cannot be undone.
    """
    encoding = response.headers.get("content-encoding", "").lower() or "identity"
    etag = response.headers.get("etag", "")
    if response.status == 206:
        if encoding != "identity":
            raise _other(response)
        last, total = _check_range(response, start)
        if total is not None and total != (total if copy.size is None else copy.size):
            raise _other(response)
        if copy.etag and etag != copy.etag and (etag or entry.md5 is None):
            raise SizeMismatch(f"{redact(response.url)} was replaced on the server meanwhile")
        size = copy.size if total is None else total
        return Placed(start, last, Copy(copy.etag or _strong(etag), size, ranges=True))
    if encoding != "identity":
        if encoding not in _ZIPPED:
            raise TransferError(
                f"{redact(response.url)} sends its data in the form '{encoding}', which was not asked for",
                hint="Tell whoever runs this server",
            )
        return Placed(0, None, Copy("", entry.size, ranges=False, zipped=True))
    ranges = False if start or end is not None else copy.ranges
    return Placed(0, None, Copy(_strong(etag), _check_size(response.size, response, entry), ranges))


def _other(response: Response) -> OtherBytes:
    return OtherBytes(
        f"{redact(response.url)} sends other bytes than were asked for",
        hint="Try again later, and if it stays so tell whoever runs this server",
    )


def _check_range(response: Response, start: int) -> tuple[int, int | None]:
    """Compare the part that came with the one that was asked for, and return where it ends and the size of the whole.

    A server may send more than was asked for (RFC 9110, 14.2), or less.
    """
    found = _RANGE.fullmatch(response.headers.get("content-range", ""))
    if found is None or int(found[1]) != start or int(found[2]) < start:
        raise _other(response)
    return int(found[2]) + 1, None if found[3] == "*" else int(found[3])


def _check_size(size: int | None, response: Response, entry: Entry) -> int | None:
    if size is not None and entry.size is not None and size != entry.size:
        raise SizeMismatch(
            f"the server's copy of {entry.path} is {size:,} bytes, the repository says {entry.size:,}",
            hint=f"It was asked for at {redact(response.url)}; tell whoever shares the repository",
        )
    return entry.size if size is None else size


def _strong(etag: str) -> str:
    return "" if etag.startswith("W/") else etag
