"""The one HTTP client: the only file that talks to the network, and the only one that knows libcurl.

One thread drives every connection through libcurl's multi interface (of twelve clients measured side by side it moves
many small files fastest; docs/design.md). Callers are plain synchronous Python in any thread: :meth:`Client.request`
for answers that fit in memory, :meth:`Client.stream` for bytes that go to a sink as they come.

What is decided here and nowhere else: time-outs, retries and ``Retry-After``, redirects (followed here, hop by hop,
never from https to http), and which origin may see which credential (:class:`onelight.route.Credential`).
"""

from __future__ import annotations

import contextlib
import email.utils
import functools
import http.client
import itertools
import json
import os
import random
import re
import selectors
import socket
import tempfile
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timezone
from typing import IO, Any, Protocol
from urllib.parse import urljoin, urlsplit

from onelight.errors import (
    AccessDenied,
    Interrupted,
    NotFound,
    OneError,
    QuotaExceeded,
    RateLimited,
    RepositoryError,
    TransferError,
    Unreachable,
    UnsafeData,
)
from onelight.route import Credential, Route, check_url, origin_of, redact
from onelight.version import __version__

USER_AGENT = f"onelight/{__version__}"
MAX_REDIRECTS = 10
MAX_ERROR_BODY = 64 * 1024
MAX_BODY = 256 * 1024 * 1024
#: Seconds; what a server asks for beyond this is for ever.
MAX_WAIT = 1e9
#: Answers that mean "try again": those of curl's --retry, and those of a place that somebody else is writing to.
PASSING = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504, 522, 524})


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, and how often to try.

    Parameters
    ----------
    connect : float
        Seconds to wait for a connection.
    stall : float
        Seconds for which fewer than 1 KiB/s may arrive before a connection counts as lost.
    attempts : int
        Tries of one request without progress.
    pause : float
        Seconds before the first repetition; doubled each time, up to a minute, with jitter.
    longest_wait : float
        Longest ``Retry-After`` that is waited for; beyond it the command ends and says when to come back.
    """

    connect: float = 10.0
    stall: float = 60.0
    attempts: int = 4
    pause: float = 0.5
    longest_wait: float = 600.0


@dataclass(slots=True)
class Response:
    """An answer: status, headers (lower-case names), the body where it was kept, and the address that gave it."""

    url: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """Return the body as JSON, whatever its stated type: figshare serves some of it as text/html."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            shown = self.body[:80].decode("utf-8", "replace")
            raise RepositoryError(
                f"{redact(self.url)} answered {self.status} with something that is not JSON: {shown!a}",
                hint="Is this the address of the right server? Try again later if it is",
            ) from error

    @property
    def size(self) -> int | None:
        """Bytes of the body as the server states them."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() and len(text) < 20 else None


class Sink(Protocol):
    """Where the bytes of a successful answer go. Both methods are called from the client's own thread."""

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


class Client:
    """The one HTTP client; safe to use from any number of threads.

    Parameters
    ----------
    connections : int
        Connections to one host at a time.
    limits : Limits
        Time-outs and retries.
    """

    def __init__(self, *, connections: int = 8, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._connections = connections
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._aborted = threading.Event()
        self._engine: _Engine | None = None
        self._stop: weakref.finalize[[], Client] | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what is under way and close every connection; the next request opens new ones."""
        with self._lock:
            if self._stop is not None:
                self._stop()
            self._engine = self._stop = None
            self._closing.set()
            self._closing = threading.Event()

    def abort(self) -> None:
        """Stop what is under way, and refuse everything else until :meth:`allow`: for the end of an interrupted run."""
        self._aborted.set()
        self.close()

    def allow(self) -> None:
        """Take requests again after :meth:`abort`."""
        self._aborted.clear()

    def request(
        self,
        method: str,
        url: str,
        *,
        credential: Credential | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | FilePart | None = None,
        repeat: bool | None = None,
    ) -> Response:
        """Send a request and return the answer, whose body is kept in memory.

        Parameters
        ----------
        method, url : str
            What to ask, and where.
        credential : Credential, optional
            Sent if the address, or the one it redirects to, is of the credential's origin.
        headers : mapping, optional
            Further headers.
        body : bytes or FilePart, optional
            What to send.
        repeat : bool, optional
            Whether the request may be sent again after it may have been received; by default for all but POST.

        Returns
        -------
        Response
            An answer of status 2xx or 304.

        Raises
        ------
        AccessDenied, NotFound, QuotaExceeded, RateLimited, RepositoryError, Unreachable
            By the status of the answer, or for want of one.
        UnsafeData
            If a redirect leads to a place that is refused.
        """
        repeat = method != "POST" if repeat is None else repeat
        for attempt in range(1, self.limits.attempts + 1):
            try:
                response = self._follow(method, Route(url, credential), headers or {}, body, None)
                raise_for_status(response, method)
                _refuse_redirect(response, method)
            except (Unreachable, RateLimited) as error:
                never_arrived = isinstance(error, (RateLimited, _NoConnection))
                if self.gives_up(error, attempt) or not (repeat or never_arrived):
                    raise
                self.pause(error, attempt)
            else:
                return response
        raise Unreachable(f"{redact(url)} was not asked", hint="Set the number of attempts to 1 or more")

    def stream(self, route: Route, sink: Sink, headers: Mapping[str, str] | None = None) -> Response:
        """Get the bytes of one address once, without repeating; they go to the sink as they come.

        Only 200 and 206 are data. figshare's firewall, for one, answers scripts with 202 and nothing.

        Raises
        ------
        TransferError
            If the answer is no data, or ends early.
        AccessDenied, NotFound, RateLimited, Unreachable, UnsafeData
            As for :meth:`request`.
        """
        response = self._follow("GET", route, headers or {}, None, sink)
        if response.status not in (200, 206) and not (response.status == 416 and headers):
            raise_for_status(response, "GET")
            challenge = response.headers.get("x-amzn-waf-action")
            reason = f", a firewall's {challenge} for browsers" if challenge else ""
            raise TransferError(f"{redact(response.url)} answered {response.status} without data{reason}")
        return response

    def spool(self, route: Route, limit: int) -> tuple[IO[bytes], dict[str, str]]:
        """Get the bytes of one address into a temporary file, repeating the request where that may help.

        Returns
        -------
        binary file
            At its beginning; the caller closes it.
        dict
            Headers of the answer, with lower-case names.
        """
        for attempt in range(1, self.limits.attempts + 1):
            sink = _Spool(limit)
            try:
                response = self.stream(route, sink)
            except (Unreachable, RateLimited) as error:
                sink.stream.close()
                if self.gives_up(error, attempt):
                    raise
                self.pause(error, attempt)
            except BaseException:
                sink.stream.close()
                raise
            else:
                sink.stream.seek(0)
                return sink.stream, response.headers
        raise Unreachable(f"{redact(route.url)} was not asked", hint="Set the number of attempts to 1 or more")

    def gives_up(self, error: OneError, attempt: int) -> bool:
        """Tell whether this try was the last: fewer for a server nobody reaches, one for one not to trust."""
        tries = min(3, self.limits.attempts) if isinstance(error, _NoConnection) else self.limits.attempts
        return attempt >= tries or isinstance(error, _Untrusted)

    def pause(self, error: OneError, attempt: int) -> None:
        """Wait before a request is sent again: as long as the server asks, else longer each time.

        Raises
        ------
        RateLimited
            If the server asks for more patience than is reasonable within one command.
        Interrupted
            If the client is closed meanwhile.
        """
        if isinstance(error, RateLimited) and error.retry_after > self.limits.longest_wait:
            raise error
        backoff = min(60.0, self.limits.pause * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        asked = error.retry_after if isinstance(error, RateLimited) else 0.0
        self.wait(max(backoff, asked))

    def wait(self, seconds: float) -> None:
        """Wait, unless the client is closed meanwhile.

        Raises
        ------
        Interrupted
            If it is.
        """
        closing = self._closing  # taken first, so that an abort in between is not missed
        if self._aborted.is_set() or closing.wait(seconds):
            raise _interrupted()

    def _follow(
        self, method: str, route: Route, headers: Mapping[str, str], body: bytes | FilePart | None, sink: Sink | None
    ) -> Response:
        """Send a request and follow redirects, each hop with only what its origin may see."""
        url = route.url
        for _ in range(MAX_REDIRECTS + 1):
            sent_to, sent_headers = _authorise(url, route.credential, headers)
            response = self._run(_Job(method, sent_to, sent_headers, body, sink, self.limits, shown=url))
            target = response.headers.get("location")
            if response.status not in (301, 302, 303, 307, 308) or not target or method not in ("GET", "HEAD"):
                return response
            following = urljoin(url, target)
            check_url(following, trusted=route.url)
            if url.startswith("https:") and following.startswith("http:"):
                raise UnsafeData(
                    f"{redact(url)} redirects to {redact(following)}, without encryption",
                    hint="Nothing was fetched; tell whoever runs this server",
                )
            url = following
        raise UnsafeData(f"{redact(route.url)} redirects more than {MAX_REDIRECTS} times", hint="Nothing was fetched")

    def _run(self, job: _Job) -> Response:
        if self._aborted.is_set():
            raise _interrupted()
        engine = self._running_engine()
        engine.submit(job)
        try:
            job.done.wait()
        except BaseException:  # Ctrl-C while waiting: the connection must not go on behind the caller's back
            engine.cancel(job)
            raise
        if job.error is not None:
            raise job.error
        job.response.body = bytes(job.kept)
        return job.response

    def _running_engine(self) -> _Engine:
        """Return the engine of this process; a forked child must not use its parent's connections."""
        with self._lock:
            if self._engine is None or self._engine.pid != os.getpid() or not self._engine.is_alive():
                self._engine = _Engine(self._connections)
                self._stop = weakref.finalize(self, self._engine.stop)
            return self._engine


def raise_for_status(response: Response, method: str) -> None:
    """Raise the error that fits a status of 400 or more, with the words of the server."""
    status = response.status
    if status < 400:
        return
    where = f"{redact(response.url)} answered {status} {http.client.responses.get(status, '')}".rstrip()
    said = server_message(response)
    message = f"{where}: {said}" if said else where
    wait = retry_after(response.headers)
    if status in (429, 503) and wait is not None:
        raise RateLimited(message, hint=f"Come back in {round(wait)} s: the same command continues", retry_after=wait)
    if status in PASSING:
        raise Unreachable(message, hint="This usually passes: try the same command again in a while")
    if status in (401, 403, 407):
        raise AccessDenied(message, hint="Check the token or password of this repository")
    if status in (404, 410):
        raise NotFound(message, hint="Check the address of this repository")
    if status in (413, 507):
        raise QuotaExceeded(message, hint="Make room on the server, or share fewer or smaller files")
    raise RepositoryError(f"{message} (to {method})", hint="Check the address of this repository")


def _refuse_redirect(response: Response, method: str) -> None:
    """Raise for a redirect that was not followed: it is no answer to what was sent."""
    if 300 <= response.status < 400 and response.status != 304:
        raise RepositoryError(
            f"{redact(response.url)} answered {response.status} to {method}: it leads elsewhere, and was not followed",
            hint="Check the address of this repository",
        )


def server_message(response: Response) -> str:
    """Return what a server says of an error, in one line: the message of a JSON body, or the first line of a text."""
    text = response.body[:MAX_ERROR_BODY].decode("utf-8", "replace").strip()
    if text.startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            said = json.loads(text)
            text = str(said.get("message") or said.get("code") or "")
    elif text.startswith("<"):
        found = re.search(r"<(title|Message)>\s*([^<]*)", text, re.IGNORECASE)
        text = found[2].strip() if found else ""
    line = text.splitlines()[0][:512] if text else ""
    return "".join(char if char.isprintable() else " " for char in line).strip()


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, or None where it asks for nothing sensible.

    A date is measured against the ``Date`` of the same answer, because clocks differ (RFC 9110, 10.2.3).

    Examples
    --------
    >>> retry_after({"retry-after": "120"}), retry_after({"retry-after": "soon"})
    (120.0, None)
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), MAX_WAIT)
    then = _http_date(text)
    if then is None:
        return None
    said_now = _http_date(headers.get("date", ""))
    return max(0.0, then - (said_now or now or time.time()))


def _http_date(text: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _authorise(url: str, credential: Credential | None, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return address and headers as they go out; the credential only if this is its origin."""
    sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
    if credential is None or origin_of(credential.origin) != origin_of(url):
        return url, sent
    if credential.header:
        sent["Authorization"] = credential.header
    if credential.query:
        url += ("&" if urlsplit(url).query else "?") + credential.query
    return url, sent


class _NoConnection(Unreachable):
    """The server was never reached, so that any request may be sent again."""


class _Untrusted(Unreachable):
    """A server whose certificate does not hold: asking again does not help, and asking without is not done."""


class _Spool:
    """A sink that keeps bytes in memory, and in a temporary file once they are many."""

    def __init__(self, limit: int) -> None:
        self.stream: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=8 << 20)  # noqa: SIM115 - the caller closes it
        self._left = limit

    def begin(self, response: Response) -> None:
        if response.status != 200:
            raise TransferError(f"{redact(response.url)} sends a part of its content, though all was asked for")
        if response.size is not None and response.size > self._left:
            raise UnsafeData(f"{redact(response.url)} is {response.size:,} bytes long, too many for an index")

    def write(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise UnsafeData("the answer is too long for an index")
        self.stream.write(data)


class _Job:
    """One request on its way: what is asked, what came so far, and the event that tells the caller."""

    __slots__ = (
        "body", "done", "error", "handle", "headers", "host", "kept", "limits", "method", "response", "sink", "url",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | FilePart | None,
        sink: Sink | None,
        limits: Limits,
        shown: str,
    ) -> None:
        self.method = method
        self.url = url
        self.host = url.partition("://")[2].partition("/")[0]
        self.headers = headers
        self.body = body
        self.sink = sink
        self.limits = limits
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.response = Response(shown)  # without a secret that the query of the address may have
        self.kept = bytearray()
        self.handle: Any = None

    def on_header(self, line: bytes) -> int | None:
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            status = text.split(None, 2)[1]
            self.response.status = int(status) if status.isdecimal() else 0
            self.response.headers.clear()
            self.kept.clear()
        elif text:
            name, _, value = text.partition(":")
            self.response.headers[name.strip().lower()] = value.strip()
        elif self.sink is not None and self.response.status in (200, 206):
            return self._guard(self.sink.begin, self.response)
        return None

    def on_data(self, data: bytes) -> int | None:
        if self.sink is not None and self.response.status in (200, 206):
            return self._guard(self.sink.write, data)
        self.kept += data
        if len(self.kept) > (MAX_BODY if self.sink is None and self.response.status < 400 else MAX_ERROR_BODY):
            if self.response.status >= 400 or self.sink is not None:
                del self.kept[MAX_ERROR_BODY:]
                return None
            self.error = UnsafeData(
                f"{redact(self.url)} sends more than {MAX_BODY:,} bytes where an answer was expected"
            )
            return 0
        return None

    def on_read(self, size: int) -> bytes:
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

    def _guard(self, action: Callable[[Any], None], value: Any) -> int | None:
        """Run a sink; its error goes to the caller, and 0 tells libcurl to stop."""
        try:
            action(value)
        except Exception as error:  # noqa: BLE001 - handed to the caller, who waits in another thread
            self.error = error
            return 0
        return None


class _Engine:
    """The thread that drives every connection, by libcurl's multi interface on a selector."""

    def __init__(self, connections: int) -> None:
        import pycurl  # first used here, so that commands without a network do not pay for it

        self.pid = os.getpid()
        self._curl = pycurl
        self._queue: deque[tuple[str, _Job]] = deque()
        self._jobs: dict[Any, _Job] = {}
        self._idle: list[Any] = []
        self._connections = connections
        # libcurl would queue as well, but its time-out for connecting runs while a request waits for its turn.
        self._waiting: dict[str, deque[_Job]] = {}
        self._busy: Counter[str] = Counter()
        self._deadline: float | None = None
        self._running = True
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, connections)
        self._multi.setopt(pycurl.M_MAXCONNECTS, 4 * connections)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._thread = threading.Thread(target=self._loop, name="onelight-client", daemon=True)
        self._thread.start()

    def submit(self, job: _Job) -> None:
        self._post("start", job)

    def cancel(self, job: _Job) -> None:
        self._post("cancel", job)
        job.done.wait(5)

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

    def _post(self, what: str, job: _Job) -> None:
        self._queue.append((what, job))
        if not self._running:
            self._finish(job, _interrupted())
        self._wake()

    def _wake(self) -> None:
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
                while self._queue:
                    what, job = self._queue.popleft()
                    (self._start if what == "start" else self._drop)(job)
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

    def _start(self, job: _Job) -> None:
        if self._busy[job.host] >= self._connections:
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

    def _drop(self, job: _Job) -> None:
        if job.handle is not None and self._jobs.pop(job.handle, None) is not None:
            self._multi.remove_handle(job.handle)
            job.handle.close()
            self._next(job.host)
        self._finish(job, _interrupted())

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
    def _finish(job: _Job, error: BaseException | None) -> None:
        if not job.done.is_set():
            job.error = error
            job.done.set()


_SUPPRESS_CONNECT_HEADERS = 265  # CURLOPT_SUPPRESS_CONNECT_HEADERS of curl/curl.h, which pycurl 7.49 does not name


def _set_up(curl: Any, job: _Job) -> None:
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
    handle.setopt(curl.LOW_SPEED_LIMIT, 1024)
    handle.setopt(curl.LOW_SPEED_TIME, max(1, int(limits.stall)))
    handle.setopt(curl.NOPROXY, _no_proxy())
    handle.setopt(curl.CAINFO, _certificates())
    _set_body(curl, job)


def _set_body(curl: Any, job: _Job) -> None:
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


def _interrupted() -> Interrupted:
    return Interrupted("the transfer was stopped", hint="The same command continues where it stopped")


# libcurl's own numbers (curl/curl.h), by what they mean for the user.
_NEVER_ARRIVED = {5: "the proxy's name is unknown", 6: "its name is unknown", 7: "nobody answers there"}
_CERTIFICATE = {35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 83, 90, 91}


def _translate(job: _Job, code: int, text: str) -> OneError:
    """Turn a failure of libcurl into the error it means: the one border for its errors."""
    host = urlsplit(job.url).netloc.rpartition("@")[2]
    shown = redact(job.url)
    if code in _NEVER_ARRIVED:
        return _NoConnection(
            f"{host} cannot be reached: {_NEVER_ARRIVED[code]}", hint="Check the address and the network"
        )
    if code in _CERTIFICATE:
        return _Untrusted(
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
