"""One request on its way through the engine: what is asked, what came so far, and who is told.

Everything here is called by the thread of the engine, but for :meth:`Pipe.pour` and what the caller waits for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from onelight.client.answers import MAX_ERROR_BODY, Response
from onelight.errors import Interrupted, TransferError, UnsafeData
from onelight.route import redact

if TYPE_CHECKING:
    import queue

MAX_BODY = 256 * 1024 * 1024
PAUSE = 0x10000001  # CURL_WRITEFUNC_PAUSE of curl/curl.h
# libcurl hands over 16 kB at a time. To wake a thread for each would cost more than to hash and write them.
_BLOCK = 512 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, and how often to try.

    Parameters
    ----------
    connect : float
        Seconds to wait for a connection.
    idle : float
        Seconds for which fewer than ``floor`` bytes a second may move before a connection counts as lost.
    floor : float
        Bytes a second; 1 means that only silence counts.
    total : float
        Seconds that one file or one answer may take in all, its repetitions included; 0 for no limit.
    attempts : int
        Tries of one request without progress.
    pause : float
        Seconds before the first repetition; doubled each time, up to a minute, with jitter.
    longest_wait : float
        Longest ``Retry-After`` that is waited for; beyond it the command ends and says when to come back.
    """

    connect: float = 10.0
    idle: float = 60.0
    floor: float = 1024.0
    total: float = 0.0
    attempts: int = 4
    pause: float = 0.5
    longest_wait: float = 600.0


class Sink(Protocol):
    """Where the bytes of a successful answer go. Both methods are called in the thread that asked for them."""

    def begin(self, response: Response) -> None:
        """Take note of status and headers; raise to refuse the answer."""

    def write(self, blocks: list[bytes]) -> None:
        """Take the next bytes, in the blocks in which they came; raise to stop."""


class Readable(Protocol):
    """What bytes can be sent from: an open file, or whatever reads like one."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Say where the next read begins."""

    def tell(self) -> int:
        """Return where the next read begins."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, none at the end."""


class FilePart(NamedTuple):
    """Bytes of a file to be sent: from ``offset``, ``length`` of them.

    Parameters
    ----------
    stream : binary file, or what reads like one
        An open file of its own, not shared with another part that is sent at the same time.
    sent : callable, optional
        Called with the bytes of each block as it is sent.
    """

    stream: Readable
    offset: int
    length: int
    sent: Callable[[bytes], None] | None = None


class Pipe:
    """Takes bytes from the thread of the engine to the one that asked, so that hashing and disks stall no connection.

    Parameters
    ----------
    most : int
        Bytes that may lie in it; beyond that libcurl is told to pause this transfer until half of them are taken.
    """

    def __init__(self, most: int = 8 << 20) -> None:
        import queue  # takes a millisecond, and a client that is asked nothing has no pipes

        self._items: queue.SimpleQueue[Response | list[bytes] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._most = most
        self._size = 0
        self._paused = False
        self._part: list[bytes] = []
        self._part_size = 0
        self.since = 0.0
        """When the oldest bytes came that were not passed on yet; 0 if there are none."""

    def begin(self, response: Response) -> None:
        """Pass on that the bytes begin."""
        self._items.put(replace(response, headers=dict(response.headers)))

    def write(self, data: bytes) -> bool:
        """Take bytes; False if there is no room, and they have to be offered again."""
        if self._size >= self._most:
            with self._lock:
                if self._size >= self._most:
                    self._paused = True
                    return False
        if not self._part:
            self.since = time.monotonic()
        self._part.append(data)
        self._part_size += len(data)
        if self._part_size >= _BLOCK:
            self.flush()
        return True

    def flush(self) -> None:
        """Pass on what was taken since."""
        if self._part:
            with self._lock:
                self._size += self._part_size
            self._items.put(self._part)
            self._part, self._part_size, self.since = [], 0, 0.0

    def end(self, _: Job) -> None:
        """Pass on that nothing more comes."""
        self.flush()
        self._items.put(None)

    def pour(self, sink: Sink, more: Callable[[], None]) -> None:
        """Give everything to a sink, in the thread that calls; ``more`` is called when a pause can end."""
        while (item := self._items.get()) is not None:
            if isinstance(item, Response):
                sink.begin(item)
                continue
            sink.write(item)
            size = sum(map(len, item))
            with self._lock:
                self._size -= size
                resume = self._paused and self._size <= self._most // 2
                if resume:
                    self._paused = False
            if resume:
                more()


class Job:
    """One request: what is asked, what came so far, and the event that tells the caller."""

    __slots__ = (
        "_done", "body", "certificate", "error", "feed", "follow", "handle", "headers", "host", "is_over", "kept",
        "limit", "limits", "method", "once", "pipe", "quick", "response", "told", "url",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        limits: Limits,
        shown: str,
        *,
        body: bytes | FilePart | None = None,
        pipe: Pipe | None = None,
        told: Callable[[Job], None] | None = None,
        once: bool = False,
        waits: bool = True,
    ) -> None:
        self.method = method
        self.url = url
        self.host = url.partition("://")[2].partition("/")[0]
        self.headers = headers
        self.body = body
        self.pipe = pipe
        self.limits = limits
        self.is_over = False
        self._done = threading.Event() if waits else None  # one for each of many small files would be felt
        self.error: BaseException | None = None
        self.response = Response(shown)  # without a secret that the query of the address may have
        self.kept = bytearray()
        self.handle: Any = None
        self.quick: Any = None
        self.feed: Feed | None = None
        self.follow: Callable[[Job], Job | None] | None = None
        self.limit = MAX_BODY
        self.told = told
        self.once = once
        self.certificate: tuple[str, str] | None = None  # and its key: files

    def finish(self, error: BaseException | None) -> None:
        """Tell whoever waits, once."""
        if not self.is_over:
            self.error = error
            self.is_over = True
            if self._done is not None:
                self._done.set()
            if self.told is not None:
                self.told(self)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it is over."""
        if self._done is not None:
            self._done.wait(seconds)

    def on_header(self, line: bytes) -> int | None:
        """Take one line of the headers; at their end, let the sink look at them."""
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            status = text.split(None, 2)[1]
            self.response.status = int(status) if status.isdecimal() else 0
            self.response.headers.clear()
            self.kept.clear()
        elif text:
            name, value = header_of(text)
            self.response.headers[name] = value
        elif self.pipe is not None and self.response.status in (200, 206):
            self.pipe.begin(self.response)
        return None

    def on_data(self, data: bytes) -> int | None:
        """Take the next bytes of the body; 0 tells libcurl to stop."""
        if self.pipe is not None and self.response.status in (200, 206):
            return None if self.pipe.write(data) else PAUSE
        self.kept += data
        if len(self.kept) > (self.limit if self.pipe is None and self.response.status < 400 else MAX_ERROR_BODY):
            if self.response.status >= 400 or self.pipe is not None:
                del self.kept[MAX_ERROR_BODY:]
                return None
            self.error = UnsafeData(
                f"{redact(self.url)} sends more than {self.limit:,} bytes where an answer was expected"
            )
            return 0
        return None

    def on_read(self, size: int) -> bytes:
        """Give the next bytes to be sent."""
        try:
            return self._read_part(self.body, size) if isinstance(self.body, FilePart) else b""
        except Exception as error:  # noqa: BLE001 - handed to the caller, who waits in another thread
            self.error = error
            return b""  # fewer bytes than were announced: libcurl ends the request

    @staticmethod
    def _read_part(part: FilePart, size: int) -> bytes:
        left = part.offset + part.length - part.stream.tell()
        data = part.stream.read(min(size, max(left, 0)))
        if left > 0 and not data:
            raise TransferError(
                f"the file changed while it was sent: {left:,} bytes of it are gone",
                hint="Run the command again once nothing writes to it any more",
            )
        if part.sent is not None and data:
            part.sent(data)
        return data


class Feed:
    """Many small requests that the engine takes one by one as there is room for them, without a thread for each.

    Parameters
    ----------
    jobs : iterator of Job or None
        Advanced by the thread of the engine. None means: not now; :meth:`Engine.poke` asks again.
    """

    def __init__(self, jobs: Iterator[Job | None]) -> None:
        self._jobs = jobs
        self.under_way = 0
        self.exhausted = False
        self.done = threading.Event()
        self.error: BaseException | None = None

    def next(self) -> Job | None:
        """Return the next job, if there is one now; whatever its making raises ends the feed."""
        try:
            job = next(self._jobs)
        except StopIteration:
            self.exhausted = True
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for the feed
            self.fail(error)
        else:
            if job is not None:
                job.feed = self
                self.under_way += 1
            return job
        self.check()
        return None

    def fail(self, error: BaseException) -> None:
        """End for this reason once what is under way has come."""
        self.error = self.error or error
        self.exhausted = True
        self.check()

    def check(self) -> None:
        """Tell whoever waits if nothing more comes."""
        if self.exhausted and not self.under_way:
            self.done.set()


def header_of(text: str) -> tuple[str, str]:
    """Return the lower-case name and the value of one line of headers."""
    name, _, value = text.partition(":")
    return name.strip().lower(), value.strip()


def interrupted() -> Interrupted:
    """Return the error of a transfer that was stopped."""
    return Interrupted("the transfer was stopped", hint="The same command continues where it stopped")
