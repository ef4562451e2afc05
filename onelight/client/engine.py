"""The thread that drives every connection through libcurl; the only file that knows libcurl.

libcurl's multi interface on a selector (``socket_action``): of twelve clients measured side by side it moves many
small files fastest (docs/benchmarks.md). Callers hand in a :class:`Job` and are told when it is done, or a
:class:`Feed` of small ones, from which the thread takes as many as there are connections for. What a feed does with an
answer is done by this thread, too: Python runs one thread at a time, and handing 20 kB to another costs three times
what their md5 and their file cost.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import os
import re
import select
import selectors
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from onelight import threads
from onelight.client.answers import NoConnection, Untrusted
from onelight.client.budget import Budget
from onelight.client.job import Feed, FilePart, Job, Limits, header_of, interrupted
from onelight.errors import AccessDenied, ConfigError, OneError, Unreachable, UnsafeData
from onelight.route import redact

_SUPPRESS_CONNECT_HEADERS = 265  # CURLOPT_SUPPRESS_CONNECT_HEADERS of curl/curl.h, which pycurl 7.49 does not name
# libcurl's own numbers (curl/curl.h), by what they mean for the user.
_NEVER_ARRIVED = {5: "the proxy's name is unknown", 6: "its name is unknown", 7: "nobody answers there"}
_CERTIFICATE = {35, 51, 53, 54, 59, 60, 64, 66, 77, 80, 83, 90, 91}
_OWN_CERTIFICATE = {43, 58}  # not the server's, ours: its key, and itself
# What a server says of a certificate of ours, or of none: such an alert never comes from who checks the server's.
_REFUSED = re.compile(
    "alert (certificate (required|revoked|expired|unknown)|(bad|unsupported) certificate|unknown ca|access denied)",
    re.IGNORECASE,
)
_SIGN_IN_HINT = "onelight add-repo NAME --replace --http URL --certificate FILE"
_RESET = re.compile("reset|SYSCALL|unexpected eof", re.IGNORECASE)
_PROXY_HINT = "Check the proxy that the environment names (http_proxy, https_proxy, no_proxy)"
_PROXY_FAILED = 97  # CURLE_PROXY: of SOCKS
_CUT = {18, 52, 55, 56, 92}  # connections that were lost after they had been made
_FLUSH = 0.005  # seconds for which bytes may wait for more of their kind


class Engine:
    """The thread that drives every connection, by libcurl's multi interface on a selector.

    Parameters
    ----------
    connections : int, optional
        Connections to one host; None adapts their number (:mod:`onelight.client.budget`).
    """

    def __init__(self, connections: int | None = None) -> None:
        import pycurl  # first used here, so that commands without a network do not pay for it

        self.pid = os.getpid()
        self._curl = pycurl
        self._queue: deque[tuple[str, Any]] = deque()
        self._jobs: dict[Any, Job] = {}
        self._idle: list[Any] = []
        self._quick: list[_Quick] = []
        self._connections = connections
        # libcurl would queue as well, but its time-out for connecting runs while a request waits for its turn.
        self._waiting: dict[str, deque[Job]] = {}
        self._budgets: dict[str, Budget] = {}
        self._feeds: list[Feed] = []
        self._fed_waiting = 0
        self._streams: set[Job] = set()
        self._holding = False
        self._deadline: float | None = None
        self._idled = 0.0
        self._running = True
        self._woken = False
        self._sockets = _Sockets()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._wake_handle = self._wake_out.fileno()
        self._sockets.watch(self._wake_handle, pycurl.CSELECT_IN)
        self._multi = pycurl.CurlMulti()
        # How many connections a host gets is decided here, and may change; libcurl is told no limit of its own.
        self._multi.setopt(pycurl.M_MAXCONNECTS, 128)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        _ENGINES.add(self)
        self._thread = threads.start(self._loop, "onelight-client")

    def submit(self, job: Job) -> None:
        """Take a job from any thread."""
        self._post("start", job)

    def cancel(self, job: Job) -> None:
        """Drop a job from any thread, and wait until it is dropped."""
        self._post("cancel", job)
        job.wait(5)

    def resume(self, job: Job) -> None:
        """Go on with a job that had paused for want of room, from any thread."""
        self._post("resume", job)

    def feed(self, feed: Feed) -> None:
        """Take a feed from any thread."""
        self._post("feed", feed)

    def poke(self) -> None:
        """Ask the feeds again that had nothing to ask for, from any thread."""
        self._post("poke", None)

    def starve(self, feed: Feed) -> None:
        """Drop all that is under way of a feed from any thread, and wait until it is dropped."""
        self._post("starve", feed)
        feed.done.wait(5)

    def connect(self, connections: int | None) -> None:
        """Set the number of connections to a host, from any thread."""
        self._post("connect", connections)

    def call(self, function: Any) -> None:
        """Let the thread of the engine call a function, from any thread."""
        self._post("call", function)

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

    def abandon(self) -> None:
        """Never free what libcurl holds: in a forked child its connections are the parent's, and must not be closed."""
        for held in (self._multi, *self._idle, *self._jobs, *(quick.handle for quick in self._quick)):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))

    def _post(self, what: str, subject: Any) -> None:
        self._queue.append((what, subject))
        if not self._running:
            self._refuse(what, subject)
        self._wake()

    def _refuse(self, what: str, subject: Any) -> None:
        if what == "call":
            subject()  # whoever waits for it must not wait for ever
        elif isinstance(subject, Job):
            subject.finish(interrupted())
        elif isinstance(subject, Feed):
            subject.under_way = 0
            subject.fail(interrupted())

    def _wake(self) -> None:
        if self._woken:
            return  # it will look at the queue anyway
        self._woken = True
        with contextlib.suppress(OSError):  # a full pipe wakes as well; a closed one has nobody to wake
            self._wake_in.send(b"\0")

    def _loop(self) -> None:
        try:
            while self._running:
                self._turn()
        finally:
            self._running = False  # first, so that nobody waits for a thread that has ended
            self._close()

    def _turn(self) -> None:
        """Wait until something can be done, and do it."""
        began = time.monotonic()
        wait = None if self._deadline is None else max(0.0, self._deadline - began)
        if self._holding:
            wait = _FLUSH if wait is None else min(wait, _FLUSH)
        ready = self._sockets.wait(wait)
        self._idled += time.monotonic() - began
        for handle, flags in ready:
            if handle == self._wake_handle:
                with contextlib.suppress(BlockingIOError):
                    self._wake_out.recv(4096)
            else:
                self._multi.socket_action(handle, flags)
        self._woken = False  # before the queue is looked at: what comes after that wakes again
        while self._queue:
            what, subject = self._queue.popleft()
            self._obey(what, subject)
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._deadline = None
            self._multi.socket_action(self._curl.SOCKET_TIMEOUT, 0)
        self._collect()
        if self._streams:
            self._flush()

    def _obey(self, what: str, subject: Any) -> None:
        if what == "start":
            self._start(subject)
        elif what == "cancel":
            self._drop(subject)
        elif what == "resume":
            self._resume(subject)
        elif what == "call":
            subject()
        elif what == "feed":
            self._feeds.append(subject)
            self._pull()
        elif what == "poke":
            self._pull()
        elif what == "connect":
            self._connect(subject)
        else:
            self._starve(subject)

    def _resume(self, job: Job) -> None:
        if job.handle is not None and self._jobs.get(job.handle) is job:
            job.handle.pause(self._curl.PAUSE_CONT)

    def _flush(self) -> None:
        """Hand over what has waited for more of its kind long enough."""
        before = time.monotonic() - _FLUSH
        self._holding = False
        for job in self._streams:
            if job.pipe is None or not job.pipe.since:
                continue
            if job.pipe.since <= before:
                job.pipe.flush()
            else:
                self._holding = True

    def _close(self) -> None:
        for feed in [*self._feeds, *(subject for _, subject in self._queue if isinstance(subject, Feed))]:
            feed.fail(interrupted())
        for what, subject in self._queue:
            if what == "call":
                subject()
        waiting = itertools.chain.from_iterable(self._waiting.values())
        queued = (subject for _, subject in self._queue if isinstance(subject, Job))
        for job in [*waiting, *queued, *self._jobs.values()]:
            self._drop(job)
        for feed in self._feeds:
            feed.under_way = 0
            feed.check()
        for handle in [*self._idle, *(quick.handle for quick in self._quick)]:
            handle.close()
        self._multi.close()
        self._sockets.close()
        self._wake_in.close()
        self._wake_out.close()

    def _on_socket(self, event: int, fd: int, _multi: object, _data: object) -> None:
        if event == self._curl.POLL_REMOVE:
            self._sockets.forget(fd)
        else:
            self._sockets.watch(fd, event)  # POLL_IN, POLL_OUT and POLL_INOUT are CSELECT_IN, _OUT and their sum

    def _on_timer(self, milliseconds: int) -> None:
        self._deadline = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    # Beginning

    def _budget(self, host: str) -> Budget:
        if host not in self._budgets:
            self._budgets[host] = Budget(self._connections)
        return self._budgets[host]

    def _connect(self, connections: int | None) -> None:
        self._connections = connections
        for host, budget in self._budgets.items():
            self._budgets[host] = Budget(connections)
            self._budgets[host].busy = budget.busy

    def _pull(self) -> None:
        """Take from the feeds as long as what they give can begin at once, and one more."""
        while self._feeds and not self._fed_waiting:
            feed = self._feeds[0]
            job = feed.next()
            if job is not None:
                self._start(job)
            elif feed.exhausted:
                self._feeds.pop(0)
            else:
                return

    def _start(self, job: Job) -> None:
        budget = self._budget(job.host)
        if budget.busy >= budget.allowed:
            self._waiting.setdefault(job.host, deque()).append(job)
            self._fed_waiting += job.feed is not None
            return
        budget.busy += 1
        try:
            if job.feed is not None:
                self._start_quick(job)
            else:
                job.handle = self._idle.pop() if self._idle else self._curl.Curl()
                _set_up(self._curl, job)
                if job.pipe is not None:
                    self._streams.add(job)
            self._jobs[job.handle] = job
            self._multi.add_handle(job.handle)
        except Exception as error:  # noqa: BLE001 - handed to the caller, who waits in another thread
            self._jobs.pop(job.handle, None)
            self._finish(job, error)
            self._next(job.host)

    def _start_quick(self, job: Job) -> None:
        quick = self._quick.pop() if self._quick else _Quick(self._curl)
        quick.ask(self._curl, job)
        job.handle = quick.handle
        job.quick = quick

    def _next(self, host: str) -> None:
        """Let the next requests to a host begin, now that one has ended."""
        budget = self._budgets[host]
        budget.busy -= 1
        waiting = self._waiting.get(host)
        while waiting and budget.busy < budget.allowed:
            job = waiting.popleft()
            self._fed_waiting -= job.feed is not None
            if not job.is_over:
                self._start(job)
        if not waiting:
            self._waiting.pop(host, None)
        self._pull()

    # Ending

    def _starve(self, feed: Feed) -> None:
        feed.fail(interrupted())
        if feed in self._feeds:
            self._feeds.remove(feed)
        waiting = itertools.chain.from_iterable(self._waiting.values())
        for job in [*waiting, *self._jobs.values()]:
            if job.feed is feed:
                self._drop(job)

    def _drop(self, job: Job) -> None:
        if job.handle is not None and self._jobs.pop(job.handle, None) is not None:
            self._multi.remove_handle(job.handle)
            job.handle.close()
            self._finish(job, interrupted())
            self._next(job.host)
        else:
            self._finish(job, interrupted())

    def _collect(self) -> None:
        more = 1
        while more:
            more, good, bad = self._multi.info_read()
            for handle in good:
                self._done(handle, 0, "")
            for handle, code, text in bad:
                self._done(handle, code, text)

    def _done(self, handle: Any, code: int, text: str) -> None:
        job = self._jobs.pop(handle)
        self._multi.remove_handle(handle)
        size = 0
        if job.quick is not None:
            size = job.quick.answer(self._curl, job)
            self._quick.append(job.quick)
            job.quick = None
        else:
            size = int(handle.getinfo(self._curl.SIZE_DOWNLOAD_T) + handle.getinfo(self._curl.SIZE_UPLOAD_T))
            handle.reset()
            self._idle.append(handle)
        job.handle = None
        budget = self._budgets[job.host]
        if code in _CUT or job.response.status in (429, 503):
            budget.pushed_back(time.monotonic())
        elif not code:
            budget.ended(size, time.monotonic(), self._idled, wanted=bool(self._waiting.get(job.host)))
        error = job.error
        if error is None and code:
            error = _translate(job, code, text)
        self._finish(job, error)
        self._next(job.host)

    def _finish(self, job: Job, error: BaseException | None) -> None:
        self._streams.discard(job)
        feed = job.feed
        if feed is None:
            job.finish(error)
            return
        if job.is_over:
            return
        job.is_over = True
        job.error = error
        following = None
        try:
            following = job.follow(job) if job.follow is not None else None
        except BaseException as failure:  # noqa: BLE001 - raised in the thread that waits for the feed
            feed.fail(failure)
        if following is not None and not feed.error:
            following.feed = feed
            self._start(following)
        else:
            feed.under_way -= 1
            feed.check()


class _Sockets:
    """The sockets that are watched.

    Where there is epoll it is used without :mod:`selectors`, which costs a fifth of all that a small file costs.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._selector = None if self._epoll is not None else selectors.DefaultSelector()
        self._known: set[int] = set()

    def watch(self, handle: int, flags: int) -> None:
        """Watch a socket for being readable (1), writable (2), or either (3)."""
        if self._epoll is not None:
            mask = (select.EPOLLIN if flags & 1 else 0) | (select.EPOLLOUT if flags & 2 else 0)
            if handle in self._known:
                try:
                    self._epoll.modify(handle, mask)
                except FileNotFoundError:  # closed meanwhile, and another one of the same number
                    self._epoll.register(handle, mask)
            else:
                self._epoll.register(handle, mask)
        elif self._selector is not None:
            if handle in self._known:
                self._selector.modify(handle, flags)
            else:
                self._selector.register(handle, flags)
        self._known.add(handle)

    def forget(self, handle: int) -> None:
        """Watch it no longer."""
        if handle in self._known:
            self._known.discard(handle)
            with contextlib.suppress(OSError, ValueError, KeyError):  # it may be closed already
                if self._epoll is not None:
                    self._epoll.unregister(handle)
                elif self._selector is not None:
                    self._selector.unregister(handle)

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """Return what can be read (1), written (2), or either, as soon as anything can."""
        if self._epoll is not None:
            read, write = ~select.EPOLLOUT, ~select.EPOLLIN  # an error or a hang-up is both
            return [
                (handle, (1 if mask & read else 0) | (2 if mask & write else 0))
                for handle, mask in self._epoll.poll(seconds)
            ]
        found = self._selector.select(seconds) if self._selector is not None else []
        return [(key.fd, flags) for key, flags in found]

    def close(self) -> None:
        """Watch nothing any more."""
        for watched in (self._epoll, self._selector):
            if watched is not None:
                watched.close()


class _Quick:
    """A handle of libcurl for small answers, set up once: nothing of Python runs while an answer comes."""

    def __init__(self, curl: Any) -> None:
        self.handle = curl.Curl()
        self._lines: list[bytes] = []
        self._blocks: list[bytes] = []
        self._begin(curl, None)

    def _begin(self, curl: Any, certificate: tuple[str, str] | None) -> None:
        """Set what stays from one request to the next."""
        self._headers: Mapping[str, str] = {}
        self._limits: Limits | None = None
        self._certificate = certificate
        self.handle.reset()
        _set_common(curl, self.handle)
        _set_certificate(curl, self.handle, certificate)
        self.handle.setopt(curl.HEADERFUNCTION, self._lines.append)
        self.handle.setopt(curl.WRITEFUNCTION, self._blocks.append)

    def ask(self, curl: Any, job: Job) -> None:
        """Set what differs from one request to the next."""
        handle = self.handle
        if job.certificate != self._certificate:
            self._begin(curl, job.certificate)  # pycurl cannot unset a certificate but with all else
        handle.setopt(curl.URL, job.url)
        handle.setopt(curl.MAXFILESIZE_LARGE, max(job.limit, 1))
        if job.headers != self._headers:
            handle.setopt(curl.HTTPHEADER, _header_lines(job))
            self._headers = job.headers
        if job.limits is not self._limits:
            _set_limits(curl, handle, job)
            self._limits = job.limits

    def answer(self, curl: Any, job: Job) -> int:
        """Give the job what came, and return how many bytes that was."""
        job.response.status = self.handle.getinfo(curl.RESPONSE_CODE)
        if job.response.status != 200:
            job.response.headers = _headers_of(self._lines)
        body = self._blocks[0] if len(self._blocks) == 1 else b"".join(self._blocks)
        job.response.body = body
        self._lines.clear()
        self._blocks.clear()
        return len(body)


def _headers_of(lines: list[bytes]) -> dict[str, str]:
    """Return the last of several blocks of headers: one for each interim answer and one for the true one."""
    headers: dict[str, str] = {}
    for line in lines:
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            headers = {}
        elif text:
            name, value = header_of(text)
            headers[name] = value
    return headers


#: Engines of this process, for the moment at which it is forked.
_ENGINES: weakref.WeakSet[Engine] = weakref.WeakSet()


def _abandon_all() -> None:
    for engine in list(_ENGINES):
        engine.abandon()


if hasattr(os, "register_at_fork"):  # everywhere but on Windows
    os.register_at_fork(after_in_child=_abandon_all)


def _set_up(curl: Any, job: Job) -> None:
    """Tell libcurl what to send, and how long to wait."""
    handle = job.handle
    _set_common(curl, handle)
    _set_certificate(curl, handle, job.certificate)
    handle.setopt(curl.URL, job.url)
    handle.setopt(curl.HTTPHEADER, _header_lines(job))
    handle.setopt(curl.HEADERFUNCTION, job.on_header)
    handle.setopt(curl.WRITEFUNCTION, job.on_data)
    if job.once:
        # By itself libcurl sends a request again, a POST too, when a connection that it had kept open is lost.
        answers = iter((curl.PREREQFUNC_OK,))
        handle.setopt(curl.PREREQFUNCTION, lambda *_: next(answers, curl.PREREQFUNC_ABORT))
    _set_limits(curl, handle, job)
    _set_body(curl, job)


def _header_lines(job: Job) -> list[str]:
    return [*(f"{name}: {value}" for name, value in job.headers.items()), "Expect:"]


def _set_limits(curl: Any, handle: Any, job: Job) -> None:
    limits = job.limits
    handle.setopt(curl.CONNECTTIMEOUT_MS, int(limits.connect * 1000))
    handle.setopt(curl.LOW_SPEED_LIMIT, max(1, int(limits.floor)))
    handle.setopt(curl.LOW_SPEED_TIME, max(1, int(limits.idle)))
    handle.setopt(curl.TIMEOUT_MS, int(limits.total * 1000))


def _set_common(curl: Any, handle: Any) -> None:
    """Set what is the same for every request."""
    handle.setopt(curl.NOSIGNAL, 1)
    handle.setopt(curl.BUFFERSIZE, 512 * 1024)
    handle.setopt(curl.FOLLOWLOCATION, 0)
    handle.setopt(_SUPPRESS_CONNECT_HEADERS, 1)  # a proxy's "200 Connection established" is no answer
    handle.setopt(curl.PROTOCOLS, curl.PROTO_HTTP | curl.PROTO_HTTPS)
    handle.setopt(curl.NETRC, curl.NETRC_IGNORED)
    handle.setopt(curl.NOPROXY, _no_proxy())
    handle.setopt(curl.CAINFO, _certificates())
    if folder := _certificate_folder():
        handle.setopt(curl.CAPATH, folder)


def _set_certificate(curl: Any, handle: Any, certificate: tuple[str, str] | None) -> None:
    """Let a handle show a certificate; it was reset since it showed another one."""
    if certificate is not None:
        handle.setopt(curl.SSLCERT, certificate[0])
        handle.setopt(curl.SSLKEY, certificate[1])
        handle.setopt(curl.KEYPASSWD, "")  # without one, OpenSSL would ask for it on the terminal


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


def _certificate_folder() -> str:
    """Return the folder of further authorities that the environment names; as to curl, CURL_CA_BUNDLE is all."""
    return "" if os.environ.get("CURL_CA_BUNDLE") else os.environ.get("SSL_CERT_DIR", "")


def _proxy_of(url: str) -> str:
    """Return words about the proxy that the environment names for an address, if it names one."""
    scheme = url.partition(":")[0]
    names = (f"{scheme}_proxy", "all_proxy", *(() if scheme == "http" else (f"{scheme.upper()}_PROXY",)), "ALL_PROXY")
    for name in names:  # those that libcurl looks at: HTTP_PROXY in capitals is not one of them
        if os.environ.get(name):
            # "name:password@host:port", without a scheme, is an address of a proxy, too.
            shown = re.sub(r"^(\w+://)?.*@", r"\1", os.environ[name], flags=re.DOTALL)
            return f", or at the proxy {shown} that {name} names"
    return ""


def _no_proxy() -> str:
    """Never send what is meant for this machine through a proxy."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if named.strip() == "*":  # no proxy at all; in a list it would mean nothing
        return "*"
    return ",".join(filter(None, (named, "localhost", "127.0.0.1", "::1")))


def _translate(job: Job, code: int, text: str) -> OneError:
    """Turn a failure of libcurl into the error it means: the one border for its errors."""
    host = urlsplit(job.url).netloc.rpartition("@")[2]
    shown = redact(job.url)
    if code == _PROXY_FAILED or "CONNECT tunnel failed" in text or "Proxy CONNECT" in text:
        return NoConnection(f"{host} cannot be reached: the proxy does not let through ({text})", hint=_PROXY_HINT)
    if code in _NEVER_ARRIVED:
        proxy = _proxy_of(job.url)
        return NoConnection(
            f"{host} cannot be reached: {_NEVER_ARRIVED[code]}{proxy}",
            hint=_PROXY_HINT if proxy else "Check the address and the network",
        )
    if error := _of_certificates(job, code, host, text):
        return error
    if code in (1, 3) and "HTTP/0.9" not in text:
        return UnsafeData(f"the address {shown!a} is refused: {text}")
    if code == 28:
        return Unreachable(f"{shown} stopped answering", hint="The same command continues where it stopped")
    return Unreachable(
        f"the connection to {host} was lost ({text or f'code {code}'})", hint="The same command continues"
    )


def _of_certificates(job: Job, code: int, host: str, text: str) -> OneError | None:
    """Return the error of a handshake in which one of the two did not take the other for who he is."""
    ours, refused = job.certificate, _REFUSED.search(text)
    if code in _OWN_CERTIFICATE and ours is not None:
        return ConfigError(
            f"the certificate {ours[0]} cannot be shown to {host}: {text}",
            hint="Is it still there, with its key, and whole? Both must be PEM files, the key without a password",
        )
    if refused and ours is not None:
        return AccessDenied(
            f"{host} does not accept the certificate {ours[0]} ({refused[1].lower()})",
            hint="Is it the one that whoever runs the server gave you, and is it still valid?",
        )
    if refused:
        return AccessDenied(
            f"{host} wants to see a certificate before it answers ({refused[1].lower()})",
            hint=f"Ask whoever runs it for one, and give it to this repository: {_SIGN_IN_HINT}",
        )
    if code not in _CERTIFICATE or (code == 35 and _RESET.search(text)):
        return None
    hint = "Is a proxy in between? SSL_CERT_FILE names further certificates; verification is never switched off"
    if "handshake failure" in text and ours is None:  # all that TLS 1.2 says to who shows none
        hint = f"If it wants to see a certificate of yours: {_SIGN_IN_HINT}. {hint}"
    return Untrusted(f"{host} cannot be trusted: {text}", hint=hint)
