"""One file as it comes: its partial file, which bytes are there, their md5, and what is known of the server's copy.

:class:`Incoming` belongs to the thread that fetches the file; a :class:`Stream` takes the bytes of one answer. A large
file may have several streams at a time, in threads of their own.
"""

from __future__ import annotations

import contextlib
import errno
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from onelight.client import Response, interrupted
from onelight.errors import (
    ChecksumMismatch,
    NoSpace,
    OneError,
    SizeMismatch,
    TransferError,
    Unreachable,
    UnsafeData,
)
from onelight.index import Entry
from onelight.route import redact
from onelight.transfer.answer import Copy, OtherBytes, place
from onelight.transfer.digest import Digest
from onelight.transfer.outcome import Progress, Verified
from onelight.transfer.partial import Partial
from onelight.transfer.pieces import Pieces, Span, span_for
from onelight.transfer.place import DISK_FULL

#: Bytes; from here on a file is asked for in pieces, so that several connections can share it.
LARGE = 64 << 20
_FIRST = 16 << 20
# Seconds of one connection before it is decided whether others would help.
_LOOK = 0.1
# Bytes; what is longer is no page of a server that excuses itself.
_LARGEST_PAGE = 256 * 1024
# Decoded bytes for one that came, where nobody says how many there should be: deflate reaches 1,032 at the most.
_RATIO = 1100
# A login page, or the error of a store, under status 200.
_PAGE = re.compile(rb"\s*<(!doctype html|html[\s>]|\?xml|error>)", re.IGNORECASE)


class Incoming:
    """One file as it comes.

    Parameters
    ----------
    entry : Entry
        What is expected.
    partial : Partial
        Where the bytes go.
    watcher : Progress
        Told of every block.
    stopped : threading.Event
        Set when the run is to end.
    """

    def __init__(self, entry: Entry, partial: Partial, watcher: Progress, stopped: threading.Event) -> None:
        self.entry = entry
        self.continued = False
        self.more: Callable[[], None] | None = None
        """Called whenever it shows that another connection would help."""
        self._partial = partial
        self._watcher = watcher
        self._stopped = stopped
        self._change = threading.Condition()
        self._sidecar = threading.Lock()
        self._marks: list[tuple[int, str]] = []
        self._generation = 0
        self._ended = False
        self._rate = 0.0
        self._shown = 0
        known = partial.claim()
        self._in_pieces = known.pieces
        self._as_one = self._replaced = self._is_page = False
        self._copy = Copy(known.etag, entry.size)
        self._digest = Digest(self._read, self._mark)
        have, there = 0, partial.size
        if there and (entry.md5 is not None or known.etag):
            believe = entry.md5 is not None and not known.pieces
            have = self._digest.reread(min(there, entry.size or there), known.marks, believe=believe)
            self._marks = [mark for mark in known.marks if mark[0] <= have]
        self._pieces = Pieces(have)
        if have:
            self.continued = True
            self._advance(have)
        elif there:
            self._restart()

    @property
    def length(self) -> int:
        """Bytes of the beginning that are there."""
        with self._change:
            return self._pieces.length

    @property
    def arrived(self) -> int:
        """Bytes that are there, those after a gap included."""
        return self._shown

    def is_full(self) -> bool:
        """Whether every byte that should come is here already."""
        return self._ended or (self._copy.size is not None and self.length == self._copy.size)

    def lead(self) -> Stream | None:
        """Return a stream for the next bytes that nobody fetches; None if there are none, or others fetch the last."""
        with self._change:
            sure = self._copy.etag or self.entry.md5
            if self._copy.zipped or (self.length and (not sure or self._copy.ranges is False)):
                self._restart()  # nothing could tell whether the rest belongs to what is here, or all would come anyway
            span = self._pieces.take(self._copy.size, self._most())
            return Stream(self, span, self._copy, self._generation) if span is not None else None

    def another(self) -> Stream | None:
        """Return a stream for a further connection; None if there is nothing left to share."""
        with self._change:
            if not self._in_pieces:
                self._in_pieces = True
                with self._sidecar:
                    self._partial.remember(self._copy.etag, self._copy.size, pieces=True, marks=self._marks)
            span = self._pieces.take(self._copy.size, self._most())
            return Stream(self, span, self._copy, self._generation, is_lead=False) if span is not None else None

    def leave(self, stream: Stream) -> None:
        """Leave what a stream did not bring to others."""
        with self._change:
            if stream.generation == self._generation:
                self._pieces.give_back(stream.span)
            self._change.notify_all()

    def wait_for_others(self) -> bool:
        """Wait for the streams that fetch the last bytes; False if there are none."""
        with self._change:
            if not self._pieces.is_shared:
                return False
            self._change.wait(1.0)
            return True

    def _most(self) -> int | None:
        """Return how much to ask for at a time: of a large file only so much that others can take the rest."""
        size, copy = self._copy.size, self._copy
        if size is None or size - self.length < LARGE or self._as_one or copy.ranges is False:
            return None
        if copy.ranges and not copy.etag:
            return None
        return span_for(self._rate, size - self._shown) if self._rate else _FIRST

    # What a stream tells

    def began(self, stream: Stream, response: Response) -> None:
        """Look at the headers before a byte is taken."""
        with self._change:
            self._check_generation(stream)
            if not self._partial.is_own():
                self._restart()
                if response.status == 206:
                    raise Unreachable("another process took this download over", hint="The same command continues")
            end = stream.span.end if stream.headers() else None
            etag = response.headers.get("etag", "")
            self._replaced = self._replaced or bool(stream.copy.etag and etag and etag != stream.copy.etag)
            try:
                placed = place(response, stream.span.at, end, stream.copy, self.entry)
            except SizeMismatch as error:
                if response.status != 200 or (response.size or 0) > _LARGEST_PAGE:
                    raise
                stream.refused = error  # the first bytes will tell whether it is a page
                return
            more = end is not None and placed.end is not None and placed.end > end
            if not stream.is_lead:
                if response.status != 206 or more:
                    raise OtherBytes(f"{redact(response.url)} sends other bytes than were asked for")
                return
            self._copy = placed.copy
            if response.status == 206:
                self.continued = self.continued or stream.span.at > 0
                if more:
                    self._take_more(stream)
                # What nothing can tell apart is not continued.
                self._as_one = self._as_one or not (placed.copy.etag or self.entry.md5)
            else:
                self._begin_whole(stream, placed.copy)
            if not self.length:
                with self._sidecar:
                    self._partial.remember(self._copy.etag, self._copy.size)

    def _begin_whole(self, stream: Stream, copy: Copy) -> None:
        """Take all of the file from the beginning, whatever was asked for."""
        if self.length or self._in_pieces:
            self._restart()
        self._copy = copy
        self._pieces = Pieces(0)
        span = self._pieces.take(None if copy.zipped else copy.size, None)
        stream.span = span or stream.span
        stream.generation = self._generation

    def _take_more(self, stream: Stream) -> None:
        """Take all the rest from a server that sends more than was asked for."""
        self._as_one = True
        if self._in_pieces:  # begun again as a whole
            raise OtherBytes(f"{self.entry.path} comes in other pieces than were asked for")
        at = stream.span.at
        self._pieces = Pieces(at)
        stream.span = self._pieces.take(self._copy.size, None) or stream.span

    def took(self, stream: Stream, blocks: list[bytes]) -> None:
        """Take the next bytes of a stream."""
        size = sum(map(len, blocks))
        if self._stopped.is_set() or stream.stopped():
            raise interrupted()
        span = stream.span
        if span.at == 0 and _is_page(self.entry, blocks[0]):
            if self.entry.md5 is None or stream.refused is not None:
                raise TransferError(
                    f"a web page came instead of {self.entry.path}",
                    hint="Open its address in a browser: does it want you to log in, or has the address expired?",
                )
            self._is_page = True
        if stream.refused is not None:
            raise stream.refused
        end = self._copy.size if span.end is None else span.end
        if end is not None and span.at + size > end:
            raise SizeMismatch(
                f"more than {end:,} bytes came for {self.entry.path}",
                hint="Nothing was saved; tell whoever shares the repository",
            )
        try:
            self._partial.write(span.at, blocks)
            with self._change:
                self._check_generation(stream)
                before, after = self._pieces.wrote(span, size)
                if after > before:
                    self._digest.add(after - before)
        except OSError as error:
            raise disk_error(error, Path(self._partial.path)) from error
        self._advance(size)
        self._rate = stream.rate() or self._rate
        if self.more is not None and self._rate and self._would_help():
            self.more()

    def _would_help(self) -> bool:
        """Tell whether the network is what everything waits for, and the server can send several parts at a time."""
        copy, behind = self._copy, self._digest.behind
        return bool(copy.etag and copy.ranges and copy.size and copy.size - self._shown > LARGE and behind < (4 << 20))

    def finished(self, stream: Stream, response: Response) -> None:
        """Look at the end of an answer: it may have ended early, or the server may have less than is here."""
        span = stream.span
        if response.status == 416:
            same = self.entry.md5 is not None or response.headers.get("etag") == self._copy.etag
            if same and self._copy.size is None and response.headers.get("content-range") == f"bytes */{span.at}":
                self._copy, self._ended = replace(self._copy, size=span.at), True
                return  # all of it had come, but not the word that it was all
            raise SizeMismatch(f"{redact(response.url)} has fewer bytes than were here already")
        if stream.refused is not None:
            raise stream.refused
        if span.end is None and not stream.is_cut():
            self._ended = stream.is_lead
        elif span.end is None or not span.is_whole:
            stated = "more" if self._copy.size is None else f"{self._copy.size:,}"
            raise Unreachable(
                f"{redact(response.url)} ended after {span.at:,} of {stated} bytes",
                hint="The same command continues from there",
            )

    def _check_generation(self, stream: Stream) -> None:
        if stream.generation != self._generation:
            raise Unreachable(f"{self.entry.path} is fetched from the beginning again")

    # The end

    def take_all(self, blocks: Iterable[bytes]) -> None:
        """Take bytes that are on this machine, from the beginning."""
        with self._change:
            if self.length:
                self._restart()
            self._copy = replace(self._copy, etag="", size=self.entry.size)
            span = self._pieces.take(None, None)
        if span is not None:
            stream = Stream(self, span, self._copy, self._generation)
            for block in blocks:
                self.took(stream, [block])
        self._ended = True

    def verify(self) -> tuple[Verified, str]:
        """Compare what came with what is stated, and return how far that went and the md5."""
        md5, stated = self._digest.md5(), self._copy.size
        if (stated is not None and self.length != stated) or self._partial.size != self.length:
            raise SizeMismatch(
                f"{self.entry.path} has {self.length:,} bytes, and should have {stated or 0:,}",
                hint="Nothing was saved; try again, and if it stays so tell whoever shares the repository",
            )
        if self.entry.md5 is not None and md5 != self.entry.md5:
            why = "; it was replaced on the server" if self._replaced else "; it begins as a web page does"
            raise ChecksumMismatch(
                f"{self.entry.path} has the md5 {md5}, and should have {self.entry.md5}"
                f"{why if self._replaced or self._is_page else ''}",
                hint="Nothing was saved; try again, and if it stays so tell whoever shares the repository",
            )
        if self.entry.md5 is not None:
            return Verified.MD5, md5
        return (Verified.SIZE if stated is not None else Verified.NOTHING), md5

    def restart_if_wrong(self, error: OneError) -> None:
        """Begin anew for the next route if what is here cannot be trusted."""
        wrong = isinstance(error, (SizeMismatch, ChecksumMismatch, OtherBytes, UnsafeData))
        if wrong or self.entry.md5 is None:
            self.restart()
        else:
            with self._change:  # another address may have another ETag for the same bytes
                self._copy = Copy("", self.entry.size)

    def restart(self) -> None:
        """Throw away what is here."""
        with self._change:
            self._restart()

    def commit(self) -> None:
        """Give the file its name."""
        self._digest.end()
        self._partial.commit()

    def discard(self) -> None:
        """Throw everything away, for good."""
        self._digest.end()
        self._partial.discard()

    def release(self) -> None:
        """Leave what is here for the next run."""
        with contextlib.suppress(OSError):  # on a full or vanished disk there is nothing left to keep
            with contextlib.suppress(OneError):
                if self.length and not self._copy.zipped:
                    self._mark(self.length, self._digest.md5())
            self._digest.end()
            self._partial.release()

    def _restart(self) -> None:
        self._advance(-self._shown)
        self._digest.end()
        self._partial.restart()
        self._digest = Digest(self._read, self._mark)
        self._pieces = Pieces(0)
        self._copy = Copy("", self.entry.size, self._copy.ranges)
        self._generation += 1
        self._marks = []
        self._in_pieces = self.continued = self._ended = False

    def _read(self, offset: int, buffer: memoryview) -> int:
        if self._stopped.is_set():
            raise interrupted()
        return self._partial.read(offset, buffer)

    def _mark(self, length: int, md5: str) -> None:
        with self._sidecar:
            self._marks.append((length, md5))
            self._partial.mark(length, md5)

    def _advance(self, count: int) -> None:
        with self._change:
            self._shown += count
        if count:
            self._watcher.advance(self.entry.path, count)


class Stream:
    """Takes the bytes of one answer: a sink for the client.

    Parameters
    ----------
    incoming : Incoming
        The file.
    span : Span
        The bytes that are asked for.
    copy : Copy
        What was known of the server's copy when they were asked for.
    generation : int
        How often the file had been begun anew.
    is_lead : bool
        Whether it may take a whole file in answer; the others only what they asked for.
    """

    def __init__(self, incoming: Incoming, span: Span, copy: Copy, generation: int, *, is_lead: bool = True) -> None:
        self._incoming = incoming
        self.span = span
        self.copy = copy
        self.generation = generation
        self.is_lead = is_lead
        self.stopped: Callable[[], bool] = lambda: False
        self.refused: OneError | None = None
        self._asked = span.start
        self._first = 0.0
        self._unzip: zlib._Decompress | None = None
        self._zipped = 0

    def headers(self) -> dict[str, str]:
        """Return the headers that ask for these bytes only, and only of the same file."""
        span = self.span
        if not span.at and (span.end is None or span.end == self.copy.size):
            return {}
        headers = {"Range": f"bytes={span.at}-" + ("" if span.end in (None, self.copy.size) else str(span.end - 1))}
        if self.copy.etag:
            headers["If-Range"] = self.copy.etag
        return headers

    def begin(self, response: Response) -> None:
        """Look at the headers before a byte is taken."""
        self._incoming.began(self, response)
        if response.status == 200 and response.headers.get("content-encoding", "identity").lower() != "identity":
            self._unzip = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is

    def write(self, blocks: list[bytes]) -> None:
        """Take the next bytes."""
        if not self._first:
            self._first, self._asked = time.monotonic(), self.span.at
        if self._unzip is None:
            self._incoming.took(self, blocks)
            return
        data = b"".join(blocks)
        self._zipped += len(data)
        while data and not self._unzip.eof:
            try:
                block = self._unzip.decompress(data, 1 << 20)
            except zlib.error as error:
                raise TransferError(
                    f"{self._incoming.entry.path} came in a damaged compressed form: {error}",
                    hint="Nothing was saved; tell whoever runs this server",
                ) from error
            data = self._unzip.unconsumed_tail
            if self.span.at + len(block) > _RATIO * self._zipped:
                raise UnsafeData(
                    f"{self._incoming.entry.path} came in a compressed form that never ends",
                    hint="Nothing was saved; tell whoever runs this server",
                )
            if block:
                self._incoming.took(self, [block])

    def is_cut(self) -> bool:
        """Whether a compressed form ended before its end."""
        return self._unzip is not None and not self._unzip.eof

    def rate(self) -> float:
        """Return how fast the bytes come, in bytes a second; 0 while that is too early to say."""
        seconds = time.monotonic() - self._first
        return (self.span.at - self._asked) / seconds if seconds >= _LOOK else 0.0


def disk_error(error: OSError, target: Path) -> OneError:
    """Say what an error of the local disk means."""
    if isinstance(error, OneError):
        return error
    full = error.errno in DISK_FULL - {errno.EROFS}
    reason = "the disk is full" if full else (error.strerror or str(error))
    hint = "Make room, or choose another folder; the same command continues"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        hint = "Let this process open more files (ulimit -n), or use fewer connections (-j); the same command continues"
    return NoSpace(f"{target} cannot be written: {reason}", hint=hint)


def _is_page(entry: Entry, data: bytes) -> bool:
    return _PAGE.match(data[:64]) is not None and not entry.path.endswith((".html", ".htm", ".xml", ".svg"))
