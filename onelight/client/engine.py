"""The thread that drives every connection through libcurl; the only file that knows libcurl.

libcurl's multi interface on a selector (``socket_action``): of twelve clients measured side by side it moves many
small files fastest (docs/benchmarks.md). Callers hand in a :class:`Job` and are told when it is done.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import queue
import selectors
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

from onelight.client.answers import MAX_ERROR_BODY, Response
from onelight.errors import Interrupted, OneError, TransferError, Unreachable, UnsafeData
from onelight.route import redact

MAX_BODY = 256 * 1024 * 1024
_SUPPRESS_CONNECT_HEADERS = 265  # CURLOPT_SUPPRESS_CONNECT_HEADERS of curl/curl.h, which pycurl 7.49 does not name
_PAUSE = 0x10000001  # CURL_WRITEFUNC_PAUSE of curl/curl.h
# libcurl's own numbers (curl/curl.h), by what they mean for the user.
_NEVER_ARRIVED = {5: "the proxy's name is unknown", 6: "its name is unknown", 7: "nobody answers there"}
_CERTIFICATE = {35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 83, 90, 91}


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

    def write(self, data: bytes) -> None:
        """Take the next bytes; raise to stop."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """Bytes of a file to be sent: from ``offset``, ``length`` of them.

    Parameters
    ----------
    stream : binary file
        An open file of its own, not shared with another part that is sent at the same time.
    sent : callable, optional
        Called with the bytes of each block as it is sent.
    """

    stream: IO[bytes]
    offset: int
    length: int
    sent: Callable[[bytes], None] | None = None


class NoConnection(Unreachable):
    """The server was never reached, so that any request may be sent again."""


class Untrusted(Unreachable):
    """A server whose certificate does not hold: asking again does not help, and asking without is not done."""


class Pipe:
    """Takes bytes from the thread of the client to the one that asked, so that hashing and disks stall no connection.

    Parameters
    ----------
    most : int
        Bytes that may lie in it; beyond that libcurl is told to pause this transfer until half of them are taken.
    """

    def __init__(self, most: int = 8 << 20) -> None:
        self._items: queue.SimpleQueue[Response | bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._most = most
        self._size = 0
        self._paused = False

    def begin(self, response: Response) -> None:
        """Pass on that the bytes begin."""
        self._items.put(replace(response, headers=dict(response.headers)))

    def write(self, data: bytes) -> bool:
        """Pass on bytes; False if there is no room, and they have to be offered again."""
        with self._lock:
            if self._size >= self._most:
                self._paused = True
                return False
            self._size += len(data)
        self._items.put(data)
        return True

    def end(self, _: Job) -> None:
        """Pass on that nothing more comes."""
        self._items.put(None)

    def pour(self, sink: Sink, more: Callable[[], None]) -> None:
        """Give everything to a sink, in the thread that calls; ``more`` is called when a pause can end."""
        while (item := self._items.get()) is not None:
            if isinstance(item, Response):
                sink.begin(item)
                continue
            sink.write(item)
            with self._lock:
                self._size -= len(item)
                resume = self._paused and self._size <= self._most // 2
                if resume:
                    self._paused = False
            if resume:
                more()


class Job:
    """One request on its way: what is asked, what came so far, and the event that tells the caller."""

    __slots__ = (
        "body", "done", "error", "handle", "headers", "host", "kept", "limit", "limits",
        "method", "pipe", "response", "told", "url",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | FilePart | None,
        pipe: Pipe | None,
        limits: Limits,
        shown: str,
        limit: int | None = None,
        told: Callable[[Job], None] | None = None,
    ) -> None:
        self.method = method
        self.url = url
        self.host = url.partition("://")[2].partition("/")[0]
        self.headers = headers
        self.body = body
        self.pipe = pipe
        self.limits = limits
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.response = Response(shown)  # without a secret that the query of the address may have
        self.kept = bytearray()
        self.handle: Any = None
        self.limit = MAX_BODY if limit is None else limit
        self.told = told

    def on_header(self, line: bytes) -> int | None:
        """Take one line of the headers; at their end, let the sink look at them."""
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            status = text.split(None, 2)[1]
            self.response.status = int(status) if status.isdecimal() else 0
            self.response.headers.clear()
            self.kept.clear()
        elif text:
            name, _, value = text.partition(":")
            self.response.headers[name.strip().lower()] = value.strip()
        elif self.pipe is not None and self.response.status in (200, 206):
            self.pipe.begin(self.response)
        return None

    def on_data(self, data: bytes) -> int | None:
        """Take the next bytes of the body; 0 tells libcurl to stop."""
        if self.pipe is not None and self.response.status in (200, 206):
            return None if self.pipe.write(data) else _PAUSE
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


class Engine:
    """The thread that drives every connection, by libcurl's multi interface on a selector."""

    def __init__(self, connections: int) -> None:
        import pycurl  # first used here, so that commands without a network do not pay for it

        self.pid = os.getpid()
        self._curl = pycurl
        self._queue: deque[tuple[str, Job]] = deque()
        self._jobs: dict[Any, Job] = {}
        self._idle: list[Any] = []
        self.connections = connections
        # libcurl would queue as well, but its time-out for connecting runs while a request waits for its turn.
        self._waiting: dict[str, deque[Job]] = {}
        self._busy: Counter[str] = Counter()
        self._deadline: float | None = None
        self._running = True
        self._woken = False
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._multi = pycurl.CurlMulti()
        # How many connections a host gets is decided here, and may change; libcurl is told no limit of its own.
        self._multi.setopt(pycurl.M_MAXCONNECTS, 128)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._thread = threading.Thread(target=self._loop, name="onelight-client", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Take a job from any thread."""
        self._post("start", job)

    def cancel(self, job: Job) -> None:
        """Drop a job from any thread, and wait until it is dropped."""
        self._post("cancel", job)
        job.done.wait(5)

    def resume(self, job: Job) -> None:
        """Go on with a job that had paused for want of room, from any thread."""
        self._post("resume", job)

    def is_alive(self) -> bool:
        """Tell whether the thread still takes jobs."""
        return self._running and self._thread.is_alive()

    def stop(self) -> None:
        """End the thread; whatever is under way gets an Interrupted error."""
        if os.getpid() != self.pid or not self._running:
            return
        self._running = False
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(10)

    def _post(self, what: str, job: Job) -> None:
        self._queue.append((what, job))
        if not self._running:
            self._finish(job, interrupted())
        self._wake()

    def _wake(self) -> None:
        if self._woken:
            return  # it will look at the queue anyway
        self._woken = True
        with contextlib.suppress(OSError):  # a full pipe wakes as well; a closed one has nobody to wake
            self._wake_in.send(b"\0")

    def _loop(self) -> None:
        try:
            while self._running:
                wait = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
                for key, mask in self._selector.select(wait):
                    if key.fileobj is self._wake_out:
                        with contextlib.suppress(BlockingIOError):
                            self._wake_out.recv(4096)
                    else:
                        flags = (self._curl.CSELECT_IN if mask & selectors.EVENT_READ else 0) | (
                            self._curl.CSELECT_OUT if mask & selectors.EVENT_WRITE else 0
                        )
                        self._multi.socket_action(key.fd, flags)
                self._woken = False  # before the queue is looked at: what comes after that wakes again
                while self._queue:
                    what, job = self._queue.popleft()
                    {"start": self._start, "cancel": self._drop, "resume": self._resume}[what](job)
                if self._deadline is not None and time.monotonic() >= self._deadline:
                    self._deadline = None
                    self._multi.socket_action(self._curl.SOCKET_TIMEOUT, 0)
                self._collect()
        finally:
            self._running = False  # first, so that nobody waits for a thread that has ended
            self._close()

    def _close(self) -> None:
        waiting = itertools.chain.from_iterable(self._waiting.values())
        for job in [*waiting, *(job for _, job in self._queue), *self._jobs.values()]:
            self._drop(job)
        for handle in self._idle:
            handle.close()
        self._multi.close()
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()

    def _on_socket(self, event: int, fd: int, _multi: object, _data: object) -> None:
        curl = self._curl
        if event == curl.POLL_REMOVE:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(fd)
            return
        mask = (selectors.EVENT_READ if event in (curl.POLL_IN, curl.POLL_INOUT) else 0) | (
            selectors.EVENT_WRITE if event in (curl.POLL_OUT, curl.POLL_INOUT) else 0
        )
        try:
            self._selector.modify(fd, mask)
        except KeyError:
            self._selector.register(fd, mask)

    def _on_timer(self, milliseconds: int) -> None:
        self._deadline = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def _start(self, job: Job) -> None:
        if self._busy[job.host] >= self.connections:
            self._waiting.setdefault(job.host, deque()).append(job)
            return
        self._busy[job.host] += 1
        try:
            job.handle = self._idle.pop() if self._idle else self._curl.Curl()
            _set_up(self._curl, job)
            self._jobs[job.handle] = job
            self._multi.add_handle(job.handle)
        except Exception as error:  # noqa: BLE001 - handed to the caller, who waits in another thread
            self._jobs.pop(job.handle, None)
            self._finish(job, error)
            self._next(job.host)

    def _next(self, host: str) -> None:
        """Let the next request to a host begin, now that one has ended."""
        self._busy[host] -= 1
        waiting = self._waiting.get(host)
        while waiting:
            job = waiting.popleft()
            if not job.done.is_set():
                self._start(job)
                return
        self._waiting.pop(host, None)

    def _resume(self, job: Job) -> None:
        if job.handle is not None and self._jobs.get(job.handle) is job:
            job.handle.pause(self._curl.PAUSE_CONT)

    def _drop(self, job: Job) -> None:
        if job.handle is not None and self._jobs.pop(job.handle, None) is not None:
            self._multi.remove_handle(job.handle)
            job.handle.close()
            self._next(job.host)
        self._finish(job, interrupted())

    def _collect(self) -> None:
        more = 1
        while more:
            more, good, bad = self._multi.info_read()
            for handle in good:
                self._done(handle, None)
            for handle, code, text in bad:
                self._done(handle, (code, text))

    def _done(self, handle: Any, failure: tuple[int, str] | None) -> None:
        job = self._jobs.pop(handle)
        self._multi.remove_handle(handle)
        handle.reset()
        self._idle.append(handle)
        error = job.error
        if error is None and failure is not None:
            error = _translate(job, *failure)
        self._finish(job, error)
        self._next(job.host)

    @staticmethod
    def _finish(job: Job, error: BaseException | None) -> None:
        if not job.done.is_set():
            job.error = error
            job.done.set()
            if job.told is not None:
                job.told(job)


def _set_up(curl: Any, job: Job) -> None:
    """Tell libcurl what to send, and how long to wait."""
    handle, limits = job.handle, job.limits
    handle.setopt(curl.URL, job.url)
    handle.setopt(curl.HTTPHEADER, [f"{name}: {value}" for name, value in job.headers.items()] + ["Expect:"])
    handle.setopt(curl.HEADERFUNCTION, job.on_header)
    handle.setopt(curl.WRITEFUNCTION, job.on_data)
    handle.setopt(curl.NOSIGNAL, 1)
    handle.setopt(curl.BUFFERSIZE, 512 * 1024)
    handle.setopt(curl.FOLLOWLOCATION, 0)
    handle.setopt(_SUPPRESS_CONNECT_HEADERS, 1)  # a proxy's "200 Connection established" is no answer
    handle.setopt(curl.PROTOCOLS, curl.PROTO_HTTP | curl.PROTO_HTTPS)
    handle.setopt(curl.NETRC, curl.NETRC_IGNORED)
    handle.setopt(curl.CONNECTTIMEOUT_MS, int(limits.connect * 1000))
    handle.setopt(curl.LOW_SPEED_LIMIT, max(1, int(limits.floor)))
    handle.setopt(curl.LOW_SPEED_TIME, max(1, int(limits.idle)))
    handle.setopt(curl.TIMEOUT_MS, int(limits.total * 1000))
    handle.setopt(curl.NOPROXY, _no_proxy())
    handle.setopt(curl.CAINFO, _certificates())
    _set_body(curl, job)


def _set_body(curl: Any, job: Job) -> None:
    handle, body = job.handle, job.body
    if isinstance(body, FilePart):
        body.stream.seek(body.offset)

        def seek(offset: int, _origin: int) -> int:
            body.stream.seek(body.offset + offset)
            return int(curl.SEEKFUNC_OK)

        handle.setopt(curl.UPLOAD, 1)
        handle.setopt(curl.INFILESIZE_LARGE, body.length)
        handle.setopt(curl.READFUNCTION, job.on_read)
        handle.setopt(curl.SEEKFUNCTION, seek)
    elif body is not None or job.method in ("POST", "PUT", "PATCH"):
        handle.setopt(curl.POST, 1)
        handle.setopt(curl.POSTFIELDS, body or b"")
    if job.method != "GET":
        handle.setopt(curl.CUSTOMREQUEST, job.method)
    if job.method == "HEAD":
        handle.setopt(curl.NOBODY, 1)


@functools.cache
def _certificates() -> str:
    """Return the bundle of certificate authorities: the one named by the environment, else certifi's.

    The libcurl inside the wheel was built elsewhere and does not find the system's bundle by itself.
    """
    for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        if os.environ.get(name):
            return os.environ[name]
    import certifi

    return certifi.where()


def _no_proxy() -> str:
    """Never send what is meant for this machine through a proxy."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return ",".join(filter(None, (named, "localhost", "127.0.0.1", "::1")))


def interrupted() -> Interrupted:
    """Return the error of a transfer that was stopped."""
    return Interrupted("the transfer was stopped", hint="The same command continues where it stopped")


def _translate(job: Job, code: int, text: str) -> OneError:
    """Turn a failure of libcurl into the error it means: the one border for its errors."""
    host = urlsplit(job.url).netloc.rpartition("@")[2]
    shown = redact(job.url)
    if code in _NEVER_ARRIVED:
        return NoConnection(
            f"{host} cannot be reached: {_NEVER_ARRIVED[code]}", hint="Check the address and the network"
        )
    if code in _CERTIFICATE:
        return Untrusted(
            f"{host} cannot be trusted: {text}",
            hint="Is a proxy in between? SSL_CERT_FILE names further certificates; verification is never switched off",
        )
    if code in (1, 3) and "HTTP/0.9" not in text:
        return UnsafeData(f"the address {shown!a} is refused: {text}")
    if code == 28:
        return Unreachable(f"{shown} stopped answering", hint="The same command continues where it stopped")
    return Unreachable(
        f"the connection to {host} was lost ({text or f'code {code}'})", hint="The same command continues"
    )
