"""The one HTTP client: the only room that talks to the network.

Callers are plain synchronous Python in any thread: :meth:`Client.request` for answers that fit in memory,
:meth:`Client.stream` for bytes that go to a sink as they come.

What is decided here and nowhere else: time-outs, retries and ``Retry-After``, redirects (followed here, hop by hop,
never from https to http), and which origin may see which credential (:class:`onelight.route.Credential`).

The engine, and libcurl with it, is imported with the first request: most commands make a client, and many of them
answer from what is on the disk.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import IO, TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from onelight.client.answers import (
    PASSING,
    Challenged,
    NoConnection,
    Offline,
    Response,
    Untrusted,
    Walled,
    raise_for_status,
    raise_for_want_of_data,
    refuse_redirect,
    retry_after,
    server_message,
)
from onelight.client.job import Feed, FilePart, Job, Limits, Pipe, Sink, interrupted
from onelight.errors import OneError, RateLimited, TransferError, Unreachable, UnsafeData
from onelight.route import Credential, Route, check_url, origin_of, redact
from onelight.version import __version__

if TYPE_CHECKING:
    from onelight.client.engine import Engine
    from onelight.client.pace import Pace
    from onelight.client.packed import Unpacking
    from onelight.client.span import Window

__all__ = [
    "PASSING",
    "Challenged",
    "Client",
    "FilePart",
    "Limits",
    "NoConnection",
    "Response",
    "Sink",
    "Walled",
    "Wanted",
    "interrupted",
    "raise_for_status",
    "raise_for_want_of_data",
    "retry_after",
    "server_message",
]

USER_AGENT = f"onelight/{__version__}"
MAX_REDIRECTS = 10


class Wanted(NamedTuple):
    """A small answer that is wanted, for :meth:`Client.gather`.

    Parameters
    ----------
    route : Route
        Where it is; redirects are followed as everywhere.
    limit : int
        Bytes that are expected at the most.
    done : callable
        Called once, with the answer, or with None where none came that could be used.
    """

    route: Route
    limit: int
    done: Callable[[Response | None], None]


class Client:
    """The one HTTP client; safe to use from any number of threads.

    Parameters
    ----------
    connections : int, optional
        Connections to one host at a time; None adapts their number to what pays.
    limits : Limits
        Time-outs and retries.
    offline : bool
        Refuse every request.
    """

    def __init__(self, *, connections: int | None = None, limits: Limits | None = None, offline: bool = False) -> None:
        self.limits = limits or Limits()
        self._offline = offline
        self._connections = connections
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._aborted = threading.Event()
        self._closed_until: dict[str, float] = {}
        self._paces: dict[str, Pace] = {}
        self._engine: Engine | None = None
        self._stop: weakref.finalize[[], Client] | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what is under way and close every connection; the next request opens new ones."""
        with self._lock:
            stop = self._stop
            self._engine = self._stop = None
            self._closing.set()
            self._closing = threading.Event()
        if stop is not None:
            stop()  # without the lock, which the thread that is to end may want

    def abort(self) -> None:
        """Stop what is under way, and refuse all else until :meth:`allow`: for the end of an interrupted run."""
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
        answers: Container[int] = (),
        limit: int | None = None,
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
        answers : container of int
            Further statuses that are an answer, and no error: 405 to MKCOL says that the folder is there.
        limit : int, optional
            Bytes that the answer may have; by default 256 MB.

        Returns
        -------
        Response
            An answer of status 2xx or 304, or one of `answers`.

        Raises
        ------
        AccessDenied, NotFound, QuotaExceeded, RateLimited, RepositoryError, Unreachable
            By the status of the answer, or for want of one.
        UnsafeData
            If a redirect leads to a place that is refused.
        """
        repeat = method != "POST" if repeat is None else repeat
        route, until = Route(url, credential), self.deadline()
        for attempt in range(1, self.limits.attempts + 1):
            try:
                response = self._follow(
                    method, route, headers or {}, body, None, once=not repeat, until=until, limit=limit
                )
                if response.status not in answers:
                    raise_for_status(response, method)
                    refuse_redirect(response, method)
            except (Unreachable, RateLimited) as error:
                never_arrived = isinstance(error, (RateLimited, NoConnection))
                if self.gives_up(error, attempt, until) or not (repeat or never_arrived):
                    raise
                self.pause(error, attempt)
            else:
                return response
        raise Unreachable(f"{redact(url)} was not asked", hint="Set the number of attempts to 1 or more")

    def deadline(self) -> float | None:
        """Return the moment by which what begins now must have ended, if there is a limit."""
        return time.monotonic() + self.limits.total if self.limits.total else None

    def stream(
        self, route: Route, sink: Sink, headers: Mapping[str, str] | None = None, until: float | None = None
    ) -> Response:
        """Get the bytes of one address once, without repeating; they go to the sink as they come.

        ``until`` is a moment of :meth:`deadline`; without one this answer may take all of the time that there is.
        Only 200 and 206 are data. figshare's firewall, for one, answers scripts with 202 and nothing.

        Raises
        ------
        TransferError
            If the answer is no data, or ends early.
        AccessDenied, NotFound, RateLimited, Unreachable, UnsafeData
            As for :meth:`request`.
        """
        asked, until = headers or {}, until or self.deadline()
        if route.span is None:
            response = self._follow("GET", route, asked, None, sink, until=until)
        else:
            response = self._follow_span(route, route.span, sink, asked, until)
        answers_it = {304: "If-None-Match" in asked or "If-Modified-Since" in asked, 416: "Range" in asked}
        if response.status not in (200, 206) and not answers_it.get(response.status, False):
            raise_for_want_of_data(response)
        return response

    def gather(self, wanted: Iterable[Wanted | None]) -> None:
        """Get many small answers, each kept in memory, without a thread for each and without repeating any.

        Parameters
        ----------
        wanted : iterable of Wanted or None
            Advanced, as there is room for more requests, by the client's own thread, which also calls ``done`` of
            each: neither must wait. None means that nothing can be asked for until :meth:`poke` is called.

        Raises
        ------
        Interrupted
            If the client is closed meanwhile.
        """
        engine = self._running_engine()
        feed = Feed(self._small_jobs(wanted))
        engine.feed(feed)
        try:
            feed.done.wait()
        except BaseException:  # Ctrl-C: nothing must go on behind the caller's back
            engine.starve(feed)
            raise
        if feed.error is not None:
            raise feed.error

    def check_online(self) -> None:
        """Refuse where the network is not to be used: also for what does not go through this client.

        Raises
        ------
        Unreachable
            If it is not.
        """
        if self._offline:
            raise Offline(
                "the network is not to be used", hint="Leave out --offline, or unset ONELIGHT_OFFLINE, to fetch this"
            )

    def poke(self) -> None:
        """Let :meth:`gather` go on that had nothing to ask for; from any thread."""
        self._running_engine().poke()

    def call(self, function: Callable[[], None]) -> None:
        """Let the client's own thread call a function, which must neither wait nor raise; from any thread."""
        self._running_engine().call(function)

    def _small_jobs(self, wanted: Iterable[Wanted | None]) -> Iterator[Job | None]:
        for want in wanted:
            if want is None:
                yield None
            elif self._is_paced(want.route.url):  # nothing here may wait; the thorough way does
                want.done(None)
            elif want.route.span is None:
                yield self._small_job(want, want.route.url, 0)
            else:
                from onelight.client.span import Window  # most repositories have no packs

                window = Window(want.route.span, {})
                if window.settled is None:
                    yield self._small_job(want, want.route.url, 0, window)
                else:
                    want.done(replace(window.settled, url=want.route.url))

    def _small_job(self, want: Wanted, url: str, hops: int, window: Window | None = None) -> Job:
        sent_to, headers = _authorise(url, want.route.credential, {} if window is None else window.headers)
        job = Job("GET", sent_to, headers, self.limits, url, waits=False)
        job.certificate = _certificate(url, want.route.credential)
        job.limit = want.limit

        def follow(ended: Job) -> Job | None:
            answer = ended.response if ended.error is None else None
            try:
                if answer is not None:
                    self._note_gate(answer)
                    following = _following(answer, url, want.route, "GET")
                    if (
                        following is not None
                        and hops < MAX_REDIRECTS
                        and not self._gate(following)
                        and not self._is_paced(following)
                    ):
                        return self._small_job(want, following, hops + 1, window)
                    if window is not None:
                        window.came = len(answer.body)
                        answer = window.ended(answer)
            except OneError:
                answer = None  # told by whoever asks again, in a way that can be told
            want.done(answer)
            return None

        job.follow = follow
        return job

    def spool(
        self, route: Route, limit: int, conditions: Mapping[str, str] | None = None
    ) -> tuple[IO[bytes] | None, dict[str, str]]:
        """Get the bytes of one address into a temporary file, repeating the request where that may help.

        Parameters
        ----------
        route : Route
            Where they are.
        limit : int
            More bytes than so many are refused.
        conditions : mapping, optional
            Headers such as ``If-None-Match``: the bytes are wanted only if they are others than before.

        Returns
        -------
        binary file or None
            At its beginning; the caller closes it. None where nothing has changed.
        dict
            Headers of the answer, with lower-case names.
        """
        until, asked = self.deadline(), {**(conditions or {}), "Accept-Encoding": "gzip"}
        for attempt in range(1, self.limits.attempts + 1):
            sink = _Spool(limit)
            try:
                response = self.stream(route, sink, asked, until=until)
                sink.end(response)
            except (Unreachable, RateLimited) as error:
                sink.stream.close()
                if self.gives_up(error, attempt, until):
                    raise
                self.pause(error, attempt)
            except BaseException:
                sink.stream.close()
                raise
            else:
                if response.status == 304:
                    sink.stream.close()
                    return None, response.headers
                sink.stream.seek(0)
                return sink.stream, response.headers
        raise Unreachable(f"{redact(route.url)} was not asked", hint="Set the number of attempts to 1 or more")

    def gives_up(self, error: OneError, attempt: int, until: float | None = None) -> bool:
        """Tell whether this try was the last: fewer for a server nobody reaches, one for one not to trust."""
        if until is not None and time.monotonic() >= until:
            return True
        tries = min(3, self.limits.attempts) if isinstance(error, NoConnection) else self.limits.attempts
        return attempt >= tries or isinstance(error, (Untrusted, Challenged, Offline))

    def pause(self, error: OneError, attempt: int) -> None:
        """Wait before a request is sent again: as long as the server asks, else longer each time.

        Raises
        ------
        RateLimited
            If the server asks for more patience than is reasonable within one command.
        Interrupted
            If the client is closed meanwhile.
        """
        self.wait(self.patience(error, attempt))

    def patience(self, error: OneError, attempt: int) -> float:
        """Return for how many seconds to wait before a request is sent again.

        Raises
        ------
        RateLimited
            If the server asks for more patience than is reasonable within one command.
        """
        if isinstance(error, RateLimited) and error.retry_after > self.limits.longest_wait:
            raise error
        backoff = min(60.0, self.limits.pause * 2 ** (attempt - 1)) * _jitter(0.5, 1.0)
        asked = error.retry_after if isinstance(error, RateLimited) else 0.0
        return float(max(backoff, asked))

    def _note_gate(self, response: Response) -> None:
        """Remember that a server asks for patience: whoever wants something of it waits, not only this request."""
        if self._paces and (pace := self._paces.get(origin_of(response.url))):
            pace.learn(too_often=response.status == 429)
        if response.status in (429, 503) and (seconds := retry_after(response.headers)):
            self._closed_until[origin_of(response.url)] = time.monotonic() + seconds

    def set_pace(self, url: str, rate: float) -> None:
        """Ask a server so many times a second at the most, whatever it is asked for, repetitions included."""
        from onelight.client.pace import Pace  # few servers want it

        with self._lock:
            known = self._paces.get(origin_of(url))
            if rate <= 0:
                self._paces.pop(origin_of(url), None)
            elif known is None or known.rate != rate:
                self._paces[origin_of(url)] = Pace(rate, self.wait)

    def _is_paced(self, url: str) -> bool:
        return bool(self._paces) and origin_of(url) in self._paces

    def _gate(self, url: str) -> float:
        """Return the seconds for which a server does not want to be asked."""
        if not self._closed_until:  # nearly always
            return 0.0
        return max(0.0, self._closed_until.get(origin_of(url), 0.0) - time.monotonic())

    def _wait_at_gate(self, url: str) -> None:
        seconds = self._gate(url)
        if seconds > self.limits.longest_wait:
            raise RateLimited(
                f"{origin_of(url)} asks not to be asked for {seconds:.0f} s",
                hint=f"Come back in {seconds:.0f} s: the same command continues",
                retry_after=seconds,
            )
        if seconds > 0:
            self.wait(seconds * _jitter(1.0, 1.05))

    def connect(self, connections: int | None) -> None:
        """Set the number of connections to one host at a time; None adapts it."""
        with self._lock:
            if connections != self._connections:
                self._connections = connections
                if self._engine is not None:
                    self._engine.connect(connections)

    def wait(self, seconds: float) -> None:
        """Wait, unless the client is closed meanwhile.

        Raises
        ------
        Interrupted
            If it is.
        """
        closing = self._closing  # taken first, so that an abort in between is not missed
        if self._aborted.is_set() or closing.wait(seconds):
            raise interrupted()

    def _follow(
        self,
        method: str,
        route: Route,
        headers: Mapping[str, str],
        body: bytes | FilePart | None,
        sink: Sink | None,
        *,
        once: bool = False,
        until: float | None = None,
        limit: int | None = None,
    ) -> Response:
        """Send a request and follow redirects, each hop with only what its origin may see."""
        url = route.url
        for _ in range(MAX_REDIRECTS + 1):
            self._wait_at_gate(url)
            if self._is_paced(url):
                self._paces[origin_of(url)].take()
            sent_to, sent_headers = _authorise(url, route.credential, headers)
            pipe = Pipe() if sink is not None else None
            told = pipe.end if pipe is not None else None
            limits = self.limits
            if until is not None:
                limits = replace(limits, total=max(0.001, until - time.monotonic()))
            job = Job(method, sent_to, sent_headers, limits, url, body=body, pipe=pipe, told=told, once=once)
            job.certificate = _certificate(url, route.credential)
            job.limit = limit or job.limit
            response = self._run(job, sink)
            self._note_gate(response)
            following = _following(response, url, route, method)
            if following is None:
                return response
            url = following
        raise UnsafeData(f"{redact(route.url)} redirects more than {MAX_REDIRECTS} times", hint="Nothing was fetched")

    def _follow_span(
        self, route: Route, span: tuple[int, int], sink: Sink, headers: Mapping[str, str], until: float | None
    ) -> Response:
        """Get a part of what an address has, which looks like all of something."""
        from onelight.client.span import Window

        window = Window(span, headers)
        if window.settled is not None:
            answer = replace(window.settled, url=route.url)
            if answer.status == 200:
                sink.begin(answer)
            return answer
        return window.ended(self._follow("GET", route, window.headers, None, window.sink(sink), until=until))

    def _run(self, job: Job, sink: Sink | None) -> Response:
        if self._aborted.is_set():
            raise interrupted()
        engine = self._running_engine()
        engine.submit(job)
        try:
            if job.pipe is not None and sink is not None:
                job.pipe.pour(sink, lambda: engine.resume(job))
            job.wait()
        except BaseException:  # Ctrl-C, or a sink that refuses: nothing must go on behind the caller's back
            engine.cancel(job)
            raise
        if job.error is not None:
            raise job.error
        job.response.body = bytes(job.kept)
        return job.response

    def _running_engine(self) -> Engine:
        """Return the engine of this process; a forked child must not use its parent's connections."""
        from onelight.client.engine import Engine

        self.check_online()
        with self._lock:
            if self._engine is None or self._engine.pid != os.getpid() or not self._engine.is_alive():
                self._engine = Engine(self._connections)
                self._stop = weakref.finalize(self, self._engine.stop)
            return self._engine


def _jitter(low: float, high: float) -> float:
    """Return a random number in between, so that those who were refused together do not come back together."""
    import random  # takes a millisecond, and requests are rarely repeated

    return random.uniform(low, high)  # noqa: S311 - nothing secret


def _following(response: Response, url: str, route: Route, method: str) -> str | None:
    """Return the address that an answer redirects to, if it does and may.

    Raises
    ------
    UnsafeData
        If it leads to a place that is refused.
    """
    target = response.headers.get("location")
    if response.status not in (301, 302, 303, 307, 308) or not target or method not in ("GET", "HEAD"):
        return None
    following = urljoin(url, target)
    try:
        check_url(following, trusted=route.url)
    except UnsafeData as error:
        error.hint = error.hint or "Nothing was fetched; tell whoever runs this server"
        raise
    if url.startswith("https:") and following.startswith("http:"):
        raise UnsafeData(
            f"{redact(url)} redirects to {redact(following)}, without encryption",
            hint="Nothing was fetched; tell whoever runs this server",
        )
    return following


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


def _certificate(url: str, credential: Credential | None) -> tuple[str, str] | None:
    """Return the files of the certificate and its key that may be shown at an address; None if there are none."""
    if credential is None or not credential.certificate or origin_of(credential.origin) != origin_of(url):
        return None
    return credential.certificate, credential.key or credential.certificate


class _Spool:
    """A sink that keeps bytes in memory, in a temporary file once they are many, and unpacks what a server packs."""

    def __init__(self, limit: int) -> None:
        import tempfile  # takes a while, and is rarely needed

        self.stream: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=8 << 20)  # noqa: SIM115 - the caller closes it
        self._left = limit
        self._packed: Unpacking | None = None

    def begin(self, response: Response) -> None:
        if response.status == 304:
            return
        if response.status != 200:
            raise TransferError(f"{redact(response.url)} sends a part of its content, though all was asked for")
        if response.size is not None and response.size > self._left:
            raise UnsafeData(f"{redact(response.url)} is {response.size:,} bytes long, too many for an index")
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding in ("gzip", "x-gzip"):
            from onelight.client.packed import Unpacking  # few servers pack

            self._packed = Unpacking()
        elif encoding not in ("", "identity"):
            raise TransferError(
                f"{redact(response.url)} is packed with {encoding!a}, for which nobody asked",
                hint="Tell whoever runs the server",
            )

    def write(self, blocks: list[bytes]) -> None:
        for block in blocks:
            for part in (block,) if self._packed is None else self._packed.take(block):
                self._left -= len(part)
                if self._left < 0:
                    raise UnsafeData("the answer is too long for an index")
                self.stream.write(part)

    def end(self, response: Response) -> None:
        """Refuse what was packed and ends too early."""
        if self._packed is not None and not self._packed.is_whole:
            raise Unreachable(f"{redact(response.url)} ended before its content did", hint="Try again")
