"""A file on a server that is read like one on the disk, and of which only what is read is fetched.

::

    read_into(offset, buffer)
        held      blocks that were read lately cost nothing
        gaps      one request for each stretch that is missing: Range, and If-Range where there is a strong ETag
        routes    in order, each with the client's own repetitions; the one that gave data last is asked first
        answer    Content-Range, size of the whole and ETag are those of the first answer, or nothing is taken

What is handed out is of one version of the file, or it is an error: slices of two versions never mix. There is no md5
of a part, so the size and the ETag are all that can be compared.
"""

from __future__ import annotations

import io
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from onelight.client import Client, Response, raise_for_status
from onelight.errors import (
    DatasetNotFound,
    Interrupted,
    NotFound,
    OneError,
    RateLimited,
    RepositoryError,
    SizeMismatch,
    TransferError,
    Unreachable,
    UnsafeData,
)
from onelight.route import Opened, Route, redact
from onelight.transfer.answer import OtherBytes

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FIRST = 16 * 1024  # bytes of the first request: more than the header of any array has
TAIL = 64 * 1024  # bytes of the first request where the end is wanted: the footer of nearly every table
BLOCK = 256 * 1024  # bytes that are held and forgotten together
HELD = 64 * 1024 * 1024  # bytes that one file holds at the most
# Bytes; shorter reads come in swarms, and fetch whole blocks. Longer ones fetch what they ask for and no byte more.
_SHORT = 32 * 1024
# Bytes that are rather fetched again than left out: another request takes longer.
_NEAR = 1024 * 1024
# Bytes; a try that brought so many counts as the first one again.
_PROGRESS = 64 * 1024

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_NO_RANGE = re.compile(r"bytes \*/(\d{1,18})")


class NoRanges(TransferError):
    """The server sends whole files only, so that there is no way to read a part of one."""


class Replaced(SizeMismatch):
    """The file on the server is not the one any more of which other parts were read."""


class RemoteFile(io.RawIOBase):
    """A file on a server, open for reading at any place; only what is read is fetched.

    Nothing is asked before the first read. One lock keeps threads apart, so that two that want the same bytes fetch
    them once; whoever wants to fetch at the same time opens the file twice.

    Parameters
    ----------
    routes : sequence of Route
        Where the file is; tried in order, as for a download.
    client : Client
        The HTTP client; closed by whoever made it.
    name : str
        Path of the dataset, for messages.
    size : int, optional
        Bytes that the index states. A server that has another number is an error.
    tail : bool
        Whether the first request is for the end of the file, where parquet tables have their table of contents.
    beginning : bool
        Take the first bytes from a server that sends whole files only, and hang up: for whoever looks at a header. What
        is behind them is :class:`NoRanges` then.

    Attributes
    ----------
    requests : int
        Requests so far, with their repetitions; a redirect is part of its request.
    bytes_received : int
        Bytes of data so far.

    Examples
    --------
    >>> client = Client()
    >>> file = RemoteFile([Route("https://example.org/ephys.raw.bin")], client, name="ephys.raw.bin", size=2_000)
    >>> file.seek(-500, io.SEEK_END), file.requests
    (1500, 0)
    >>> file.close()
    """

    def __init__(
        self,
        routes: Sequence[Route],
        client: Client,
        *,
        name: str,
        size: int | None = None,
        tail: bool = False,
        beginning: bool = False,
    ) -> None:
        super().__init__()
        self.name = name
        self.requests = 0
        self.bytes_received = 0
        self._routes = tuple(routes)
        self._client = client
        self._stated = size
        self._tail = tail
        self._beginning = beginning
        self._position = 0
        self._lock = threading.RLock()
        self._blocks = _Blocks(HELD)
        self._version: _Version | None = None
        self._settled = False
        self._route = 0
        if not self._routes:
            raise DatasetNotFound(f"{name} has no address", hint="Tell whoever shares the repository")

    def __repr__(self) -> str:
        size = self._version.size if self._version else self._stated
        return f"<RemoteFile {self.name}{'' if size is None else f', {size:,} bytes'}>"

    # What every file can do

    def close(self) -> None:
        """Forget what is held; nothing can be read any more."""
        self._blocks = _Blocks(0)
        super().close()

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Say where the next read begins; costs a request if the end is meant and not known yet.

        Raises
        ------
        ValueError
            If that is before the beginning, as for every file.
        """
        with self._lock:
            self._check_open()
            if whence not in (io.SEEK_SET, io.SEEK_CUR, io.SEEK_END):
                raise ValueError(f"whence is {whence}, and must be 0, 1 or 2")
            base = 0
            if whence == io.SEEK_CUR:
                base = self._position
            elif whence == io.SEEK_END:
                base = self._size()
            if base + offset < 0:
                raise ValueError(f"{self.name} has no byte {base + offset}")
            self._position = base + offset
            return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read the next bytes into a buffer: all of it, unless the file ends before."""
        with self._lock:
            count = self.read_into(self._position, buffer)
            self._position += count
            return count

    def readall(self) -> bytes:
        """Read everything from here to the end, in one request."""
        with self._lock:
            data = self.read_at(self._position, max(0, self._size() - self._position))
            self._position += len(data)
            return data

    # What this one can do in one step, from any thread

    def read_at(self, offset: int, length: int) -> bytes:
        """Return bytes from some place of the file: fewer than asked for only at its end.

        Parameters
        ----------
        offset, length : int
            Which bytes.

        Raises
        ------
        NoRanges
            If the server sends whole files only; no more than the beginning of one was fetched to learn that.
        Replaced
            If the file is not the one any more of which other parts were read.
        SizeMismatch
            If it has another size than the index states.
        OneError
            As for a download: not there, access denied, nobody answers.
        """
        buffer = bytearray(max(0, min(length, self._size() - offset)))
        return bytes(memoryview(buffer)[: self.read_into(offset, buffer)])

    def read_into(self, offset: int, buffer: WriteableBuffer) -> int:
        """Read bytes from some place of the file into a buffer, and return how many; fewer only at the end.

        Raises
        ------
        OneError
            As for :meth:`read_at`.
        ValueError
            If the offset is negative, or the file closed.
        """
        view = memoryview(buffer)
        with self._lock:
            self._check_open()
            if offset < 0:
                raise ValueError(f"{self.name} has no byte {offset}")
            if not view.nbytes:
                return 0
            version = self._version or self._begin()
            stop = min(offset + view.nbytes, version.size)
            if stop <= offset:
                return 0
            view = view.cast("B")[: stop - offset]
            if len(view) > HELD // 2:  # would drive out all the rest, and is not read twice
                self._fetch(offset, view)
            else:
                self._read(offset, view, version.size)
            return len(view)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError(f"{self.name} is closed")

    def _size(self) -> int:
        if self._version is None and self._stated is not None:
            return self._stated  # compared with what the server says as soon as anything is read
        with self._lock:
            self._check_open()
            return (self._version or self._begin()).size

    def _read(self, start: int, view: memoryview, size: int) -> None:
        """Read through the blocks that are held."""
        stop = start + len(view)
        self._blocks.copy(start, view)
        missing = self._blocks.gaps(start, stop)
        if len(view) < _SHORT:
            whole = ((low // BLOCK * BLOCK, min(-(-high // BLOCK) * BLOCK, size)) for low, high in missing)
            missing = [gap for low, high in whole for gap in self._blocks.gaps(low, high)]
        for low, high in _joined(missing):
            inside = start <= low and high <= stop
            part = view[low - start : high - start] if inside else memoryview(bytearray(high - low))
            self._fetch(low, part)
            self._blocks.keep(low, part)
            if not inside:
                first, last = max(start, low), min(stop, high)
                view[first - start : last - start] = part[first - low : last - low]

    # Asking

    def _begin(self) -> _Version:
        """Ask for the first time, and learn what file this is."""
        try:
            part = self._first()
        except BaseException:
            self._version = None  # nothing of that version was handed out, so that the next try is free
            raise
        if self._version is None:  # no answer is taken without one, which a type checker cannot know
            raise Unreachable(f"{self.name} could not be read: nothing came", hint="Try again later")
        self._settled = True
        self._blocks.keep(part.start or 0, part.taken())
        return self._version

    def _first(self) -> _Part:
        if not self._tail:
            return self._ask(_Part(0, memoryview(bytearray(FIRST))))
        if self._stated is not None:  # every server knows this form of a range, and not every one the other
            return self._ask(_Part(max(0, self._stated - TAIL), memoryview(bytearray(TAIL))))
        try:
            return self._ask(_Part(None, memoryview(bytearray(TAIL))))
        except (NoRanges, RepositoryError) as error:
            if not isinstance(error, NoRanges) and type(error) is not RepositoryError:
                raise
            # Some servers know ranges, only not those that count from the end: this one tells where it is.
            return self._ask(_Part(0, memoryview(bytearray(FIRST))))

    def _fetch(self, start: int, view: memoryview) -> None:
        self._ask(_Part(start, view))

    def _ask(self, part: _Part) -> _Part:
        """Fill a part from the first route that gives it."""
        reasons: list[OneError] = []
        until = self._client.deadline()
        for number in (self._route, *(other for other in range(len(self._routes)) if other != self._route)):
            try:
                self._ask_route(number, part, until)
            except (TransferError, RepositoryError, NotFound, UnsafeData) as error:
                known = self._version is not None and self._version.route == number
                if isinstance(error, Interrupted) or (isinstance(error, Replaced) and known):
                    raise
                reasons.append(error)
                if not self._settled:
                    self._version = None
                    part.restart()
            else:
                self._route = number
                return part
        raise _summary(self.name, reasons)

    def _ask_route(self, number: int, part: _Part, until: float | None) -> None:
        """Fill a part from one address, going on where a connection was lost."""
        attempt = 1
        while not part.is_full():
            before = part.arrived
            try:
                self._ask_once(number, part, until)
            except OtherBytes:
                raise  # to ask the same server for the same bytes again does not help
            except (Unreachable, RateLimited) as error:
                attempt = 1 if part.arrived >= before + _PROGRESS else attempt
                if self._client.gives_up(error, attempt, until):
                    raise
                self._client.pause(error, attempt)
                attempt += 1

    def _ask_once(self, number: int, part: _Part, until: float | None) -> None:
        headers = {"Range": part.range()}
        if self._version is not None and self._version.strong:
            headers["If-Range"] = self._version.etag
        sink = _Sink(self, number, part)
        self.requests += 1
        try:
            response = self._client.stream(self._routes[number], sink, headers, until)
        except _Enough:
            return
        if response.status == 416:
            self._check_refusal(response, number, part)
        elif not part.is_full() and part.at < sink.end:
            raise Unreachable(
                f"{redact(response.url)} ended its answer {sink.end - part.at:,} bytes too early", hint="Try again"
            )

    # Looking at answers

    def check(self, response: Response, number: int, part: _Part) -> int:
        """Compare the head of an answer with what was asked and with the first one; return where its bytes end."""
        if response.status == 200:
            return self._check_whole(response, number, part)
        found = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if found is None or (response.headers.get("content-encoding", "").lower() or "identity") != "identity":
            raise _other(response)
        first, end = int(found[1]), int(found[2]) + 1
        total = int(found[3]) if found[3] != "*" else self._version.size if self._version else self._stated
        if total is None:
            raise TransferError(
                f"{redact(response.url)} does not say how long the file is",
                hint="Download it whole, and tell whoever runs this server",
            )
        if not first < end <= total or first != part.place_in(total) or response.size not in (None, end - first):
            raise _other(response)
        self._compare(response, total, number)
        part.begin(total)
        return end

    def _check_whole(self, response: Response, number: int, part: _Part) -> int:
        """Refuse an answer that is all of the file: this one may have gigabytes, and nobody asked for them."""
        if self._version is None and response.size == 0:  # there is no range of nothing
            self._compare(response, 0, number)
            part.begin(0)
            return part.at
        known = self._version
        is_plain = (response.headers.get("content-encoding", "").lower() or "identity") == "identity"
        if self._beginning and part.start == 0 and part.at == 0 and response.size is not None and is_plain:
            self._compare(response, response.size, number)
            part.begin(response.size)
            return response.size
        if known is not None and (
            response.headers.get("etag", "") != known.etag or response.size not in (None, known.size)
        ):
            raise self._replaced(response)
        raise NoRanges(
            f"{redact(response.url)} sends whole files only, and not the part of {self.name} that was asked for",
            hint="Download it whole, and tell whoever runs this server",
        )

    def _check_refusal(self, response: Response, number: int, part: _Part) -> None:
        """Learn from an answer that there are no such bytes: the file is empty, or another one."""
        found = _NO_RANGE.fullmatch(response.headers.get("content-range", ""))
        total = int(found[1]) if found else None
        expected = self._version.size if self._version else self._stated
        if total == 0 or (total is not None and expected not in (None, total)):
            self._compare(response, total, number)
        if total == 0:
            part.begin(0)
            return
        raise_for_status(response, "GET")

    def _compare(self, response: Response, total: int, number: int) -> None:
        """Take down what file this is, or see that it is the same one."""
        etag, modified = response.headers.get("etag", ""), response.headers.get("last-modified", "")
        known = self._version
        if known is None:
            if self._stated is not None and total != self._stated:
                raise SizeMismatch(
                    f"the server's copy of {self.name} is {total:,} bytes, the repository says {self._stated:,}",
                    hint=f"It was asked for at {redact(response.url)}; tell whoever shares the repository",
                )
            self._version = _Version(total, etag, modified, number)
        elif not known.is_of(total, etag, modified, number):
            raise self._replaced(response)

    def _replaced(self, response: Response) -> Replaced:
        return Replaced(
            f"{self.name} was replaced meanwhile: {redact(response.url)} has another file now",
            hint="Open it again, and read again what was read of it",
        )


class OpenedFile(RemoteFile):
    """As :class:`RemoteFile`, a file that a library opens (:class:`~onelight.route.Opened`).

    Parameters
    ----------
    source : Opened
        What opens it; again where a connection was lost.
    client : Client
        Says how often to try.
    name, size, tail
        As for :class:`RemoteFile`.
    """

    def __init__(
        self, source: Opened, client: Client, *, name: str, size: int | None = None, tail: bool = False
    ) -> None:
        super().__init__([Route(source.name)], client, name=name, size=size, tail=tail)
        self._source = source
        self._file: IO[bytes] | None = None

    def close(self) -> None:
        """Close the file, and forget what is held."""
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _ask_once(self, number: int, part: _Part, until: float | None) -> None:  # noqa: ARG002 - the library has its own
        self.requests += 1
        try:
            if self._file is None:
                self._file = self._source.open()
            size = self._file.seek(0, io.SEEK_END)
            tag = str(getattr(self._file, "version", ""))
            self._compare(Response(self._source.name, headers={"etag": tag}), size, number)
            part.begin(size)
            while not part.is_full():
                self._file.seek(part.at)
                block = self._file.read(part.missing)
                if not block:
                    raise Unreachable(f"{self._source.name} ended too early", hint="Try again")
                self.bytes_received += len(block)
                part.take(block)
        except OneError:
            self._let_go()
            raise


@dataclass(frozen=True, slots=True)
class _Version:
    """What the first answer said of the file, and which route gave it."""

    size: int
    etag: str
    modified: str
    route: int

    @property
    def strong(self) -> bool:
        """Whether the ETag says something of bytes."""
        return bool(self.etag) and not self.etag.startswith("W/")

    def is_of(self, size: int, etag: str, modified: str, route: int) -> bool:
        """Tell whether another answer is of the same bytes, as far as answers say that."""
        if size != self.size or etag != self.etag:
            return False
        if self.strong:
            return True
        if route == self.route:  # a server may leave the date out of an answer
            return modified == self.modified or not modified
        return bool(modified) and modified == self.modified  # for two servers, no date is no proof


class _Enough(Exception):
    """More comes than was asked for: the rest is not waited for."""


class _Part:
    """Bytes that are wanted, and how far they have come.

    Parameters
    ----------
    start : int or None
        Offset of the first one; None for so many at the end of a file whose size is not known.
    view : memoryview
        Where they go.
    """

    def __init__(self, start: int | None, view: memoryview) -> None:
        self.start = start
        self.at = start or 0
        self.arrived = 0
        self._from_end = start is None
        self._view = view
        self._size = len(view)

    def restart(self) -> None:
        """Forget what came."""
        self.start = None if self._from_end else self.start
        self.at = self.start or 0
        self._size = len(self._view)

    def range(self) -> str:
        """Return what is missing, as HTTP has it."""
        if self.start is None:
            return f"bytes=-{self._size}"
        return f"bytes={self.at}-{self.start + self._size - 1}"

    def place_in(self, total: int) -> int:
        """Return the offset of the next byte in a file of this size."""
        return self.at if self.start is not None else max(0, total - self._size)

    def begin(self, total: int) -> None:
        """Take note of the size of the file."""
        if self.start is None:
            self.start = self.at = self.place_in(total)
        self._size = max(0, min(self._size, total - self.start))

    @property
    def missing(self) -> int:
        """Bytes that have not come."""
        return (self.start or 0) + self._size - self.at

    def is_full(self) -> bool:
        """Tell whether all has come."""
        return self.start is not None and self.at >= self.start + self._size

    def take(self, block: bytes) -> int:
        """Take the next bytes, as far as they are wanted, and return how many those are."""
        begin = self.at - (self.start or 0)
        count = min(len(block), self._size - begin)
        self._view[begin : begin + count] = block if count == len(block) else block[:count]
        self.at += count
        self.arrived += count
        return count

    def taken(self) -> memoryview:
        """Return what came."""
        return self._view[: self.at - (self.start or 0)]


class _Sink:
    """Takes one answer for a part."""

    def __init__(self, file: RemoteFile, number: int, part: _Part) -> None:
        self._file = file
        self._number = number
        self._part = part
        self.end = 0

    def begin(self, response: Response) -> None:
        """Refuse an answer that is not what was asked for, before its bytes come."""
        self.end = self._file.check(response, self._number, self._part)

    def write(self, blocks: list[bytes]) -> None:
        """Take bytes; stop where the part ends, or the answer by its own words, although the server goes on."""
        for block in blocks:
            self._file.bytes_received += len(block)
            room = self.end - self._part.at
            taken = self._part.take(block if len(block) <= room else block[:room])
            if taken < len(block) or (self._part.is_full() and self._part.at < self.end):
                raise _Enough


class _Blocks:
    """Bytes that were read lately: of each block one stretch, and the blocks that were used last.

    Parameters
    ----------
    most : int
        Bytes that are held.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._held: OrderedDict[int, tuple[int, bytes]] = OrderedDict()

    def copy(self, start: int, view: memoryview) -> None:
        """Copy what is held of some bytes."""
        stop = start + len(view)
        for number in _numbers(start, stop):
            if number in self._held:
                begin, data = self._held[number]
                low, high = max(start, begin), min(stop, begin + len(data))
                if low < high:
                    view[low - start : high - start] = data[low - begin : high - begin]
                    self._held.move_to_end(number)

    def gaps(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the stretches of some bytes that are not held."""
        found: list[tuple[int, int]] = []
        for number in _numbers(start, stop):
            low, high = max(start, number * BLOCK), min(stop, (number + 1) * BLOCK)
            begin, data = self._held.get(number, (low, b""))
            end = begin + len(data)
            found += [(low, min(high, begin)), (max(low, end), high)]
        return [(low, high) for low, high in found if low < high]

    def keep(self, start: int, view: memoryview) -> None:
        """Hold bytes, and forget those that were not used for longest."""
        stop = start + len(view)
        for number in _numbers(start, stop):
            low, high = max(start, number * BLOCK), min(stop, (number + 1) * BLOCK)
            data = bytes(view[low - start : high - start])
            begin, held = self._held.pop(number, (low, b""))
            self._size -= len(held)
            end = begin + len(held)
            if begin <= high and low <= end:
                data = held[: max(0, low - begin)] + data + held[max(0, high - begin) :]
                low = min(low, begin)
            elif len(held) > len(data):
                low, data = begin, held
            self._held[number] = (low, data)
            self._size += len(data)
        while self._size > self._most:
            _, (_, data) = self._held.popitem(last=False)
            self._size -= len(data)


def _numbers(start: int, stop: int) -> range:
    return range(start // BLOCK, -(-stop // BLOCK))


def _joined(gaps: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return as few stretches as pay, because each is a request."""
    joined: list[tuple[int, int]] = []
    for low, high in gaps:
        if joined and low - joined[-1][1] <= _NEAR:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return joined


def _other(response: Response) -> OtherBytes:
    return OtherBytes(
        f"{redact(response.url)} sends other bytes than were asked for",
        hint="Try again later, and if it stays so tell whoever runs this server",
    )


def _summary(name: str, reasons: list[OneError]) -> OneError:
    """Return the most telling of the errors of several routes, with the others named.

    That one of them has the file, only not in parts, is what a caller can do something about. That another one has
    another file says nothing of the first.
    """
    rank: tuple[type[OneError], ...] = (NoRanges, UnsafeData, SizeMismatch, TransferError, RepositoryError, NotFound)

    def place(error: OneError) -> int:
        last = len(rank)
        return last if isinstance(error, Replaced) else next(n for n in range(last) if isinstance(error, rank[n]))

    first = min(reasons, key=place)
    others = "; ".join(error.message for error in reasons if error.message != first.message)
    shown = first.message if name in first.message else f"{name} could not be read: {first.message}"
    first.message = f"{shown} (and: {others})" if others else shown
    return first
