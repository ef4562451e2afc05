"""A part of a resource, shown as a resource of its own. Pure: headers and answers go in, and come out moved.

A member of a tar is asked for by Range (RFC 9110, section 14). Whoever asks the client knows nothing of that: without
Range all of the member is meant, and 206 becomes 200; a Range counts from the first byte of the member, and so does the
Content-Range of its answer. What a server states of the whole, such as its ETag, holds for the part as well.

An answer that is not what was asked for is never made to look as if it were: a 206 without a Content-Range that
fits stays one, so that it is refused as any other; a 200 is all of the tar, perhaps gigabytes, and ends here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from onelight.client.answers import Response
from onelight.client.job import Sink
from onelight.errors import SizeMismatch, TransferError, Unreachable
from onelight.route import redact

_ASKED = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})").fullmatch
_CAME = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)").fullmatch
_NONE = re.compile(r"bytes \*/([0-9]{1,19})").fullmatch


class Window:
    """One request for a span, or for a part of it.

    Parameters
    ----------
    span : (int, int)
        Offset and size of the span.
    headers : mapping
        The request as it was meant: its Range, if it has one, counts from the beginning of the span.

    Attributes
    ----------
    headers : dict
        The request as it is sent.
    settled : Response or None
        The answer, where nobody has to be asked: there is no range of no bytes.
    came : int
        Bytes of the answer so far.

    Raises
    ------
    ValueError
        If several ranges are asked for, or none that there could be: nobody above does.

    Examples
    --------
    >>> Window((1536, 20_000), {}).headers
    {'Range': 'bytes=1536-21535'}
    >>> Window((1536, 20_000), {"Range": "bytes=16384-"}).headers
    {'Range': 'bytes=17920-21535'}
    >>> Window((1536, 20_000), {"Range": "bytes=-500"}).headers
    {'Range': 'bytes=21036-21535'}
    """

    def __init__(self, span: tuple[int, int], headers: Mapping[str, str]) -> None:
        self._offset, self._size = span
        self._asked = headers.get("Range")
        self._condition = headers.get("If-Range")
        self.settled: Response | None = None
        self.came = 0
        self.headers = dict(headers)
        first, end = self._wanted()
        if first < end:
            self.headers["Range"] = f"bytes={self._offset + first}-{self._offset + end - 1}"
        elif self._asked is None:
            self.settled = Response("", 200, {"content-length": "0"})
        else:
            self.settled = Response("", 416, {"content-range": f"bytes */{self._size}"})

    def _wanted(self) -> tuple[int, int]:
        """Return the bytes of the span that are asked for, from and to; no more than there are."""
        if self._asked is None:
            return 0, self._size
        found = _ASKED(self._asked)
        if found is None or not (found[1] or found[2]):
            raise ValueError(f"of a span only one range can be asked for, and not {self._asked}")
        if not found[1]:
            return max(0, self._size - int(found[2])), self._size
        first, last = int(found[1]), int(found[2] or self._size)
        if last < first and found[2]:
            raise ValueError(f"{self._asked} is no range")
        return first, min(last + 1, self._size)

    def sink(self, sink: Sink) -> Sink:
        """Return a sink for what the server sends, which shows another one what was meant."""
        return _Moved(self, sink)

    def ended(self, response: Response) -> Response:
        """Return the answer as :meth:`shown` does, now that all of it has come.

        Raises
        ------
        Unreachable
            If that is not all of the span: a server need not say how long its answer is.
        """
        shown = self.shown(response)
        if shown.status == 200 and self.came != self._size:
            raise Unreachable(
                f"{redact(response.url)} sent {self.came:,} of {self._size:,} bytes", hint="The same command continues"
            )
        return shown

    def shown(self, response: Response) -> Response:
        """Return an answer of the server as one of the span.

        Raises
        ------
        TransferError
            If it is all of the tar: the server gives no parts.
        SizeMismatch
            If it is of another tar, or of one that ends before the span.
        """
        if response.status == 200:
            self._refuse(response)
        headers = dict(response.headers)
        if response.status == 416:
            return self._without(response, headers)
        if response.status != 206:
            return response
        whole, length = "", headers.pop("content-range", "")
        found = _CAME(length)
        if found is not None:
            first, last = int(found[1]) - self._offset, int(found[2]) - self._offset
            if 0 <= first <= last < self._size:
                total = self._size if found[3] == "*" else self._left(int(found[3]))
                whole = f"bytes {first}-{last}/{total}"
        plain = headers.get("content-encoding", "identity").lower() in ("", "identity")
        fits = response.size in (None, self._size)
        if self._asked is None and plain and fits and whole == f"bytes 0-{self._size - 1}/{self._size}":
            headers["content-length"] = str(self._size)
            return replace(response, status=200, headers=headers)
        if whole:
            headers["content-range"] = whole
        return replace(response, headers=headers)

    def _left(self, total: int) -> int:
        """Return how much of the span lies in a tar of this size."""
        return max(0, min(self._size, total - self._offset))

    def _without(self, response: Response, headers: dict[str, str]) -> Response:
        found = _NONE(headers.pop("content-range", ""))
        left = self._left(int(found[1])) if found is not None else None
        if self._asked is None or (left is not None and left < self._size):
            raise SizeMismatch(
                f"{redact(response.url)} ends before byte {self._offset + self._size:,}, where a part of it should",
                hint="Nothing was saved; tell whoever shares the repository",
            )
        if left is not None:
            headers["content-range"] = f"bytes */{left}"
        return replace(response, headers=headers)

    def _refuse(self, response: Response) -> NoReturn:
        """Refuse all of the tar, before its bytes come."""
        if self._condition and response.headers.get("etag") != self._condition:
            raise SizeMismatch(  # RFC 9110, 13.1.5: it sends all of another one
                f"{redact(response.url)} was replaced on the server meanwhile", hint="Run the same command again"
            )
        if response.headers.get("content-type", "").lower().startswith("text/html"):
            raise TransferError(
                f"{redact(response.url)} sends a web page, and not the {self._size:,} bytes that are wanted",
                hint="Open this address in a browser: does it want you to log in, or has it expired?",
            )
        raise TransferError(
            f"{redact(response.url)} sends whole files only, and not the {self._size:,} bytes that are wanted of it",
            hint="Try another network: a proxy may hide ranges. Else download the tar whole, and unpack it into the "
            "data folder (tar xf)",
        )


class _Moved:
    """A sink that shows another one the answers of a window."""

    def __init__(self, window: Window, sink: Sink) -> None:
        self._window = window
        self._sink = sink

    def begin(self, response: Response) -> None:
        """Take note of status and headers, as they are meant."""
        self._sink.begin(self._window.shown(response))

    def write(self, blocks: list[bytes]) -> None:
        """Take the next bytes."""
        self._window.came += sum(map(len, blocks))
        self._sink.write(blocks)
