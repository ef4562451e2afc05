"""Sending a file, or a range of one, from disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, BinaryIO

from starlette.responses import StreamingResponse

from onelight.ranges import Span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

PIECE = 2**18
# As little as this is read at once: a thread would cost more than the read.
LITTLE = 2**16


class Slice(StreamingResponse):
    """An answer with bytes of a file, which are in memory a piece at a time.

    Parameters
    ----------
    path : Path
        The file.
    span : Span
        Which bytes: 206 for a part, otherwise 200.
    size : int
        Bytes of the whole file.
    headers : Mapping
        What else to state.
    with_length : bool
        Whether to state how many bytes follow; otherwise they are sent in chunks.
    """

    def __init__(
        self, path: Path, span: Span, size: int, headers: Mapping[str, str], *, with_length: bool = True
    ) -> None:
        stated = {**headers, "accept-ranges": "bytes"}
        if with_length:
            stated["content-length"] = str(span.stop - span.start)
        if span.is_part:
            stated["content-range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
        super().__init__((), 206 if span.is_part else 200, stated)
        self._path = path
        self._span = span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the file for as long as it is sent."""
        with self._path.open("rb", buffering=0) as file:
            self.body_iterator = _pieces(file, self._span)
            await super().__call__(scope, receive, send)


async def _pieces(file: BinaryIO, span: Span) -> AsyncIterator[bytes]:
    file.seek(span.start)
    left = span.stop - span.start
    while left > 0:
        count = min(PIECE, left)
        piece = file.read(count) if count <= LITTLE else await asyncio.to_thread(file.read, count)
        if not piece:
            return
        left -= len(piece)
        yield piece
