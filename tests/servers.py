"""A small real web server on sockets, which serves files and can be told to misbehave.

::

    with WebServer() as server:
        server.files["/data/a.npy"] = content
        server.faults["/data/a.npy"] = [cut(100_000), Good]     # the first answer is cut, every later one is good
        ...
        server.requests                                          # what was asked, with headers, in order

A fault is a function of an :class:`Exchange`; the list says what each request of a path gets in turn, and its last
one stays for ever. :data:`Good` is the fault that is none.
"""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import hashlib
import os
import re
import socket
import ssl
import struct
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias
from urllib.parse import unquote, urlsplit

PIECE = 1 << 16
REASONS = {200: "OK", 202: "Accepted", 206: "Partial Content", 302: "Found", 304: "Not Modified", 404: "Not Found"}

# Made for these tests and of no other use: localhost and 127.0.0.1, good until 2120.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBZzCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGoF03AgFMkIt4Ms
wBhTgYpmvYZikqbn1IFQGIijLQIQBLBY/Sgyng+buLyw7u6+W3105JGKdcXzsFuT
IxFeWSujTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBTNMSePBM7Tjmi9vN5JHjpLdupAFTAKBggqhkjOPQQD
AgNIADBFAiBhgp1GV3czVuLn32yMzASQSNDeoTQ0tgzSpCd2wVpRAgIhAOIrLD2d
49o/UNrSbU1lpWWFSZXEpX0cTKl1JWNkwR1K
-----END CERTIFICATE-----
"""
# Of the same key: one that was good in the year 2000 only, and one of another host.
EXPIRED = """\
-----BEGIN CERTIFICATE-----
MIIBZDCCAQugAwIBAgIBAjAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwHhcNMDAwMTAxMDAwMDAwWhcNMDEwMTAxMDAwMDAwWjAUMRIwEAYDVQQDDAls
b2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARqBdNwIBTJCLeDLMAY
U4GKZr2GYpKm59SBUBiIoy0CEASwWP0oMp4Pm7i8sO7uvlt9dOSRinXF87BbkyMR
Xlkro04wTDAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwDwYDVR0TAQH/BAUw
AwEB/zAdBgNVHQ4EFgQUzTEnjwTO045ovbzeSR46S3bqQBUwCgYIKoZIzj0EAwID
RwAwRAIgLsOvkQMGYHB8FMesS+5jMEnkVUzQsF1lFCnChtufPLgCIF2E5YwAUdgv
ZLSR5p/vldxGvgJO7aKQhVA7p8X1WLhn
-----END CERTIFICATE-----
"""
ELSEWHERE = """\
-----BEGIN CERTIFICATE-----
MIIBaTCCAQ+gAwIBAgIBAzAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMDAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGoF03AgFMkIt4Ms
wBhTgYpmvYZikqbn1IFQGIijLQIQBLBY/Sgyng+buLyw7u6+W3105JGKdcXzsFuT
IxFeWSujUDBOMBwGA1UdEQQVMBOCEWVsc2V3aGVyZS5leGFtcGxlMA8GA1UdEwEB
/wQFMAMBAf8wHQYDVR0OBBYEFM0xJ48EztOOaL283kkeOkt26kAVMAoGCCqGSM49
BAMCA0gAMEUCIQCSvuHoAMuEg5ys41QwiiIkv27Jhjw52Nxgszs8aBsFcQIgYN4b
UIwf7h+C1xCRiHZh57AjyrrLmZErwg03eV4BcGU=
-----END CERTIFICATE-----
"""
PRIVATE_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4S6KOsG37U1eaS1e
tUdPHjOjGoTB08L1nGnY24l4PqehRANCAARqBdNwIBTJCLeDLMAYU4GKZr2GYpKm
59SBUBiIoy0CEASwWP0oMp4Pm7i8sO7uvlt9dOSRinXF87BbkyMRXlkr
-----END PRIVATE KEY-----
"""


@dataclass
class Request:
    """What somebody asked. Header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    peer: tuple[str, int] = ("", 0)
    status: int = 0  # of the answer
    moment: float = field(default_factory=time.monotonic)  # of its arrival
    shown: str = ""  # the name in the certificate of who asks

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def range_start(self) -> int | None:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        return int(found[1]) if found else None

    @property
    def range_end(self) -> int | None:
        """The byte after the last one that was asked for; None for all the rest."""
        found = re.fullmatch(r"bytes=\d+-(\d+)", self.headers.get("range", ""))
        return int(found[1]) + 1 if found else None


class Hangup(Exception):
    """The server ends the connection here."""


@dataclass
class Exchange:
    """One request and the connection to answer it on."""

    server: WebServer
    connection: socket.socket
    request: Request
    content: bytes | Path | None
    fault: Fault | None = None

    @property
    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content or b"")

    @property
    def etag(self) -> str:
        return self.server.etag_of(self.content)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        if not isinstance(self.content, Path):
            view = memoryview(self.content or b"")[start:stop]
            for at in range(0, len(view), PIECE):
                yield bytes(view[at : at + PIECE])
            return
        with self.content.open("rb") as stream:
            stream.seek(start)
            while start < stop and (data := stream.read(min(PIECE, stop - start))):
                start += len(data)
                yield data

    def head(self, status: int, headers: Mapping[str, object] | None = None) -> None:
        """Send the head of an answer; a header with several values is sent as often."""
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Whatever')}"]
        for name, value in {"Date": formatted_date(), **(headers or {})}.items():
            lines += [f"{name}: {each}" for each in (value if isinstance(value, tuple) else (value,))]
        self.request.status = status
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, object] | None = None) -> None:
        self.head(status, {"Content-Length": len(body), **(headers or {})})
        if self.request.method != "HEAD":
            self.send(body)

    def hang_up(self, *, reset: bool = False) -> None:
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Hangup


Fault: TypeAlias = Callable[[Exchange], None]


def formatted_date(moment: float | None = None) -> str:
    return email.utils.formatdate(moment, usegmt=True)


class WebServer:
    """The server.

    Parameters
    ----------
    etag : str
        ``strong``, ``weak`` or ``none``.
    ranges, if_range : bool
        Whether Range and If-Range are honoured.
    last_modified : str
        Sent as ``Last-Modified``, if there is one.
    tls : bool
        Whether it speaks https.
    certificate : str
        With which; of :data:`PRIVATE_KEY`.
    newest : ssl.TLSVersion, optional
        No newer version of TLS is spoken.
    vouched : str
        Who asks is to show a certificate that one of these vouches for; empty if nobody is asked for one.
    must_show : bool
        Whether who shows none is refused.
    goaways : int
        So many connections speak HTTP/2, give half of the file that is asked for, and are sent away with GOAWAY.
    root : Path, optional
        Folder to serve what ``files`` does not have.

    Attributes
    ----------
    files : dict
        Content by path (not percent-encoded).
    faults : dict
        By path, what each request gets in turn; the last stays.
    requests : list of Request
        Everything that was asked.
    connections : int
        How many connections there were; ``busiest`` is the most at a time.
    """

    def __init__(
        self,
        *,
        etag: str = "strong",
        ranges: bool = True,
        if_range: bool = True,
        last_modified: str = "",
        tls: bool = False,
        certificate: str = CERTIFICATE,
        newest: ssl.TLSVersion | None = None,
        vouched: str = "",
        must_show: bool = True,
        goaways: int = 0,
        root: Path | None = None,
    ) -> None:
        self.etag, self.ranges, self.if_range, self.root = etag, ranges, if_range, root
        self.last_modified, self.goaways, self.sent_away = last_modified, goaways, 0
        self.files: dict[str, bytes | Path] = {}
        self.faults: dict[str, Sequence[Fault]] = {}
        self.requests: list[Request] = []
        self.password = ""
        self.connections = self.busiest = 0
        self.stopping = threading.Event()
        self._turn: dict[str, int] = {}
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._context = _tls_context(certificate, newest) if tls else None
        if self._context is not None and vouched:
            self._context.load_verify_locations(cadata=vouched)
            self._context.verify_mode = ssl.CERT_REQUIRED if must_show else ssl.CERT_OPTIONAL
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def __enter__(self) -> WebServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # wakes accept() where shutdown does not
            socket.create_connection(self._listener.getsockname(), 1).close()
        self._accepting.join()
        self._listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def forget(self) -> None:
        """Begin a new log, and play every list of faults from its beginning."""
        with self._lock:
            self.requests.clear()
            self._turn.clear()

    def heal(self) -> None:
        """Misbehave no more, and begin a new log."""
        self.faults.clear()
        self.forget()

    def etag_of(self, content: bytes | Path | None) -> str:
        if content is None or self.etag == "none":
            return ""
        if isinstance(content, Path):
            found = content.stat()
            text = f"{found.st_size:x}-{found.st_mtime_ns:x}"
        else:
            text = hashlib.md5(content).hexdigest()
        return f'{"W/" if self.etag == "weak" else ""}"{text}"'

    def content_of(self, path: str) -> bytes | Path | None:
        if path in self.files:
            return self.files[path]
        if self.root is not None:
            file = self.root.joinpath(*path.strip("/").split("/"))
            if file.is_file():
                return file
        return None

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, peer = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self.connections += 1
                self.busiest = max(self.busiest, len(self._open))
                thread = threading.Thread(target=self._serve, args=(connection, peer))
                self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket, peer: tuple[str, int]) -> None:
        connection = plain
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                self._context.set_alpn_protocols(["h2"] if self.sent_away < self.goaways else ["http/1.1"])
                connection = self._welcome(plain)
                with self._lock:  # the plain one has no descriptor any more, and could not be shut down
                    self._open.remove(plain)
                    self._open.add(connection)
                if connection.selected_alpn_protocol() == "h2":
                    self.sent_away += 1
                    _go_away(self, connection)
            with connection.makefile("rb") as stream:
                while not self.stopping.is_set():
                    exchange = self._read(connection, stream, peer)
                    if exchange is None:
                        break
                    self._answer(exchange)
        except (Hangup, OSError):
            pass
        finally:
            with self._lock:
                self._open -= {plain, connection}
            connection.close()
            plain.close()

    def _welcome(self, plain: socket.socket) -> ssl.SSLSocket:
        """Speak TLS from here on."""
        assert self._context is not None
        connection = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        try:
            connection.do_handshake()
        except ssl.SSLError:
            # What was sent meanwhile is read: who closes on it resets the connection, and the reason may be lost.
            raw = socket.socket(fileno=connection.detach())
            with raw, contextlib.suppress(OSError):
                raw.settimeout(5)
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(PIECE):
                    pass
            raise
        return connection

    def _read(self, connection: socket.socket, stream: BinaryIO, peer: tuple[str, int]) -> Exchange | None:
        line = stream.readline()
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split()
        headers = {}
        while (line := stream.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        request = Request(method, target, headers, peer=peer, shown=_shown_by(connection))
        # Whoever reads a new index asks once whether there are tables beside it; where there are none, that is no part
        # of what these tests count.
        is_question = request.path.endswith("/datasets.pqt") and request.path not in {*self.files, *self.faults}
        with self._lock:
            if not is_question:
                self.requests.append(request)
        exchange = Exchange(self, connection, request, self.content_of(request.path))
        fault = self._fault(request.path)
        if getattr(fault, "before_body", False):
            fault(exchange)
        length = int(headers.get("content-length", 0))
        request.body = stream.read(length)
        if len(request.body) < length:
            return None
        exchange.fault = fault
        return exchange

    def _fault(self, path: str) -> Fault:
        with self._lock:
            turn = self._turn.get(path, 0)
            self._turn[path] = turn + 1
        faults = self.faults.get(path) or [Good]
        return faults[min(turn, len(faults) - 1)]

    def _answer(self, exchange: Exchange) -> None:
        fault = exchange.fault or Good
        if self.password and exchange.request.headers.get("authorization") != self.password:
            exchange.answer(401, b"who are you?", {"WWW-Authenticate": 'Basic realm="lab"'})
        elif not getattr(fault, "before_body", False):
            fault(exchange)


def _tls_context(certificate: str, newest: ssl.TLSVersion | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        path.write_text(certificate + PRIVATE_KEY)
        context.load_cert_chain(path)
    if newest is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")  # without this, old versions are not even offered
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of old versions, and this is one
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
    return context


def _shown_by(connection: socket.socket) -> str:
    """Return the common name in the certificate of who asks."""
    shown: Any = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    subject = (shown or {}).get("subject", ())  # a pair for each part of the name
    return "".join(value for [(name, value)] in subject if name == "commonName")


def _go_away(server: WebServer, connection: ssl.SSLSocket) -> None:
    """Speak just enough HTTP/2 to begin an answer and break it off as a server does that is shut down."""

    def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
        return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body

    with connection.makefile("rb") as stream:
        stream.read(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
        connection.sendall(frame(4, 0, 0, b""))  # SETTINGS
        while header := stream.read(9):
            stream.read(int.from_bytes(header[:3], "big"))
            if header[3] == 1:  # HEADERS: the request. Which one matters little here: there is one file
                break
    content = next(iter(server.files.values()))
    body = b"".join(Exchange(server, connection, Request("GET", "/", {}), content).read(0, 40_000))
    length = str(len(content) if isinstance(content, bytes) else content.stat().st_size).encode()
    # ":status: 200" and "content-length", as HPACK has them (RFC 7541, appendix A).
    connection.sendall(frame(1, 4, 1, b"\x88\x0f\x0d" + bytes([len(length)]) + length))
    for at in range(0, len(body), 10_000):
        connection.sendall(frame(0, 0, 1, body[at : at + 10_000]))
    connection.sendall(frame(7, 0, 0, bytes([0, 0, 0, 1]) + bytes(4)))  # GOAWAY
    raise Hangup


# What a server may do


def Good(exchange: Exchange) -> None:  # noqa: N802 - reads as the name of a behaviour beside the faults below
    """Serve the file as a good server does: Range, If-Range, If-None-Match, HEAD."""
    request = exchange.request
    if request.method not in ("GET", "HEAD"):
        exchange.answer(200, b"{}")
        return
    if exchange.content is None:
        exchange.answer(404, b"<html><title>404 Not Found</title></html>")
        return
    headers: dict[str, object] = {"Accept-Ranges": "bytes"} if exchange.server.ranges else {}
    if exchange.server.last_modified:
        headers["Last-Modified"] = exchange.server.last_modified
    if exchange.etag:
        headers["ETag"] = exchange.etag
        if request.headers.get("if-none-match") == exchange.etag:
            exchange.head(304, headers)
            return
    start = _start(exchange)
    if start is None:
        _body(exchange, 200, headers, 0)
    elif start >= exchange.size:
        exchange.answer(416, b"", {"Content-Range": f"bytes */{exchange.size}"})
    else:
        end = min(request.range_end or exchange.size, exchange.size)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{exchange.size}"
        headers["Content-Length"] = end - start
        exchange.head(206, headers)
        for data in exchange.read(start, end):
            exchange.send(data)


def _start(exchange: Exchange) -> int | None:
    """Return where the answer begins, or None for all of the file."""
    start = exchange.request.range_start
    condition = exchange.request.headers.get("if-range")
    if start is None or not exchange.server.ranges:
        return None
    is_same = condition in (None, exchange.server.last_modified or None) or (
        condition == exchange.etag and not exchange.etag.startswith("W/")
    )
    return start if is_same or not exchange.server.if_range else None


def _body(exchange: Exchange, status: int, headers: dict[str, object], start: int, stop: int | None = None) -> None:
    headers["Content-Length"] = exchange.size - start
    exchange.head(status, headers)
    if exchange.request.method != "HEAD":
        for data in exchange.read(start, exchange.size if stop is None else min(stop, exchange.size)):
            exchange.send(data)


def cut(after: int, *, reset: bool = False) -> Fault:
    """Send so many bytes of the body, and end the connection: with FIN, or with RST."""

    def fault(exchange: Exchange) -> None:
        start = _start(exchange)
        headers: dict[str, object] = {"ETag": exchange.etag} if exchange.etag else {}
        if start is not None:
            headers["Content-Range"] = f"bytes {start}-{exchange.size - 1}/{exchange.size}"
        _body(exchange, 200 if start is None else 206, headers, start or 0, (start or 0) + after)
        if reset:
            time.sleep(0.1)  # what lies in the buffers is lost with RST
        exchange.hang_up(reset=reset)

    return fault


def cut_at(position: int, *, reset: bool = False) -> Fault:
    """End the connection at this byte of the file, wherever the answer begins."""

    def fault(exchange: Exchange) -> None:
        cut(max(0, position - (_start(exchange) or 0)), reset=reset)(exchange)

    return fault


def without_length(after: int | None = None) -> Fault:
    """Send the body without saying how long it is, and end the connection, perhaps too early."""

    def fault(exchange: Exchange) -> None:
        exchange.head(200, {"Connection": "close", **({"ETag": exchange.etag} if exchange.etag else {})})
        for data in exchange.read(0, exchange.size if after is None else after):
            exchange.send(data)
        exchange.hang_up()

    return fault


def chunked(after: int | None = None) -> Fault:
    """Send the body in chunks; cut, without the last chunk."""

    def fault(exchange: Exchange) -> None:
        exchange.head(200, {"Transfer-Encoding": "chunked", **({"ETag": exchange.etag} if exchange.etag else {})})
        for data in exchange.read(0, exchange.size if after is None else after):
            exchange.send(b"%x\r\n%s\r\n" % (len(data), data))
        if after is not None:
            exchange.hang_up()
        exchange.send(b"0\r\n\r\n")

    return fault


def garbled(after: int) -> Fault:
    """Send the body in chunks, and then something that is none."""

    def fault(exchange: Exchange) -> None:
        exchange.head(200, {"Transfer-Encoding": "chunked", **({"ETag": exchange.etag} if exchange.etag else {})})
        for data in exchange.read(0, after):
            exchange.send(b"%x\r\n%s\r\n" % (len(data), data))
        exchange.send(b"this is no chunk\r\n" * 3)
        exchange.hang_up()

    return fault


def stating(*lengths: object) -> Fault:
    """Send all of the file, with these for ``Content-Length``; ``{}`` in them is the true one."""

    def fault(exchange: Exchange) -> None:
        exchange.head(200, {"Content-Length": tuple(str(text).replace("{}", str(exchange.size)) for text in lengths)})
        for data in exchange.read(0, exchange.size):
            exchange.send(data)
        exchange.hang_up()

    return fault


def beyond_its_length(by: int) -> Fault:
    """Send all of the file and, after the end that was stated, more."""

    def fault(exchange: Exchange) -> None:
        Good(exchange)
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong".ljust(by, b"!"))

    return fault


def broken_record(after: int) -> Fault:
    """Over TLS, send so many bytes of the body, and then a record that does not decrypt."""

    def fault(exchange: Exchange) -> None:
        headers: dict[str, object] = {"ETag": exchange.etag} if exchange.etag else {}
        _body(exchange, 200, headers, 0, after)
        with socket.socket(fileno=os.dup(exchange.connection.fileno())) as plain:
            plain.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
        exchange.server.stopping.wait(0.1)
        exchange.hang_up()

    return fault


def endless_headers(pause: float) -> Fault:
    """Send header after header, and never the empty line."""

    def fault(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n")
        while not exchange.server.stopping.wait(pause):
            exchange.send(b"X-More: " + b"x" * 100 + b"\r\n")

    return fault


def short(by: int) -> Fault:
    """Have fewer bytes than the file should, and say so consistently."""
    return lambda exchange: exchange.answer(200, b"".join(exchange.read(0, exchange.size - by)))


def longer(by: int) -> Fault:
    """Have more bytes than the file should, and say so consistently."""
    return lambda exchange: exchange.answer(200, b"".join(exchange.read(0, exchange.size)) + bytes(by))


def endless(exchange: Exchange) -> None:
    """Send more and more, without saying how much."""
    exchange.head(200, {"Connection": "close"})
    while not exchange.server.stopping.is_set():
        exchange.send(bytes(PIECE))


def page(exchange: Exchange) -> None:
    """Show a login page."""
    exchange.answer(200, b"<!DOCTYPE html><html><title>Please log in</title></html>", {"Content-Type": "text/html"})


def page_as_long_as_the_file(exchange: Exchange) -> None:
    """Show a page which happens to be of the right size."""
    exchange.answer(200, b"<html><body>".ljust(exchange.size, b"."), {"Content-Type": "text/html"})


def challenge(exchange: Exchange) -> None:
    """Do as figshare's firewall does with scripts: 202, and nothing."""
    exchange.answer(202, b"", {"x-amzn-waf-action": "challenge", "Content-Type": "text/html; charset=UTF-8"})


def empty(exchange: Exchange) -> None:
    """Answer 200 without a byte."""
    exchange.answer(200)


def status(number: int, body: bytes = b"", **headers: object) -> Fault:
    """Answer this status; ``retry_after`` becomes ``Retry-After``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.answer(number, body, named)


def stall(after: int) -> Fault:
    """Send so many bytes, then nothing any more, with the connection open."""

    def fault(exchange: Exchange) -> None:
        start = _start(exchange) or 0
        headers: dict[str, object] = {"Content-Length": exchange.size - start}
        if start:
            headers["Content-Range"] = f"bytes {start}-{exchange.size - 1}/{exchange.size}"
        if exchange.etag:
            headers["ETag"] = exchange.etag
        exchange.head(206 if start else 200, headers)
        for data in exchange.read(start, min(start + after, exchange.size)):
            exchange.send(data)
        exchange.server.stopping.wait(30)
        exchange.hang_up()

    return fault


def silence(exchange: Exchange) -> None:
    """Take the request and say nothing."""
    exchange.server.stopping.wait(30)
    exchange.hang_up()


def slowly(seconds: float) -> Fault:
    """Serve well, after a while."""

    def fault(exchange: Exchange) -> None:
        exchange.server.stopping.wait(seconds)
        Good(exchange)

    return fault


def drip(pause: float, piece: int = PIECE) -> Fault:
    """Serve well, but piece by piece with pauses."""

    def fault(exchange: Exchange) -> None:
        asked = _start(exchange)
        start, end = asked or 0, exchange.size
        if asked is not None:
            end = min(exchange.request.range_end or end, end)
        headers: dict[str, object] = {"Content-Length": end - start}
        if asked is not None:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{exchange.size}"
        if exchange.etag:
            headers["ETag"] = exchange.etag
        exchange.head(200 if asked is None else 206, headers)
        for at in range(start, end, piece):
            for data in exchange.read(at, min(at + piece, end)):
                exchange.send(data)
            exchange.server.stopping.wait(pause)

    return fault


def gzipped(exchange: Exchange) -> None:
    """Compress, though nobody asked for it."""
    exchange.answer(
        200, gzip.compress(b"".join(exchange.read(0, exchange.size)), 1), {"Content-Encoding": "gzip", "ETag": '"gz"'}
    )


def gzipped_cut(after: int) -> Fault:
    """Compress, and send only so many bytes of it."""

    def fault(exchange: Exchange) -> None:
        zipped = gzip.compress(b"".join(exchange.read(0, exchange.size)), 1)
        exchange.head(200, {"Content-Encoding": "gzip", "Content-Length": len(zipped), "ETag": '"gz"'})
        exchange.send(zipped[:after])
        exchange.hang_up()

    return fault


def gzipped_range(exchange: Exchange) -> None:
    """Answer a range with these bytes of the compressed form, as some caches do."""
    start = _start(exchange) or 0
    zipped = gzip.compress(b"".join(exchange.read(0, exchange.size)), 1)
    headers = {"Content-Encoding": "gzip", "Content-Range": f"bytes {start}-{len(zipped) - 1}/{len(zipped)}"}
    exchange.answer(206, zipped[start:], headers)


def bomb(size: int) -> Fault:
    """Send few bytes that become so many when they are unpacked."""
    return lambda exchange: exchange.answer(200, gzip.compress(bytes(size)), {"Content-Encoding": "gzip"})


def wrong_range(shift: int) -> Fault:
    """Answer a range with another one, and say so."""

    def fault(exchange: Exchange) -> None:
        start = max(0, (_start(exchange) or 0) + shift)
        _body(exchange, 206, {"Content-Range": f"bytes {start}-{exchange.size - 1}/{exchange.size}"}, start)

    return fault


def lying_range(exchange: Exchange) -> None:
    """Say that these are the bytes asked for, and send others."""
    start = _start(exchange) or 0
    headers: dict[str, object] = {"Content-Range": f"bytes {start}-{exchange.size - 1}/{exchange.size}"}
    if exchange.etag:
        headers["ETag"] = exchange.etag
    headers["Content-Length"] = exchange.size - start
    exchange.head(206, headers)
    exchange.send(bytes(exchange.size - start))


def no_content_range(exchange: Exchange) -> None:
    """Answer a range without saying which."""
    start = _start(exchange) or 0
    _body(exchange, 206, {}, start)


def wrong_total(by: int) -> Fault:
    """Answer a range with its bytes, and say that the file has another length."""

    def fault(exchange: Exchange) -> None:
        start = _start(exchange) or 0
        headers: dict[str, object] = {"ETag": exchange.etag} if exchange.etag else {}
        headers["Content-Range"] = f"bytes {start}-{exchange.size - 1}/{exchange.size + by}"
        _body(exchange, 206, headers, start)

    return fault


def several_parts(exchange: Exchange) -> None:
    """Answer one range in the form for several."""
    start = _start(exchange) or 0
    part = f"--THIS\r\nContent-Range: bytes {start}-{exchange.size - 1}/{exchange.size}\r\n\r\n".encode()
    body = part + b"".join(exchange.read(start, exchange.size)) + b"\r\n--THIS--\r\n"
    exchange.answer(206, body, {"Content-Type": "multipart/byteranges; boundary=THIS", "ETag": exchange.etag})


def to_ranges(fault: Fault) -> Fault:
    """Misbehave only where a range is asked for."""
    return lambda exchange: (Good if exchange.request.range_start is None else fault)(exchange)


def redirect(target: str, number: int = 302, **headers: object) -> Fault:
    """Send the client elsewhere; ``set_cookie`` becomes ``Set-Cookie``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.answer(number, b"", {"Location": target, **named})


def then_swap(fault: Fault, content: bytes) -> Fault:
    """Do something, with this content in the place of the file from then on."""

    def swapping(exchange: Exchange) -> None:
        exchange.server.files[exchange.request.path] = content
        fault(exchange)

    return swapping


def without_head(fault: Fault = Good, number: int = 405) -> Fault:
    """Take GET only, as signed addresses do."""

    def getting(exchange: Exchange) -> None:
        if exchange.request.method == "HEAD":
            exchange.answer(number)
        else:
            fault(exchange)

    return getting


def breaks_while_sent(exchange: Exchange) -> None:
    """Reset the connection before the body of the request is read."""
    exchange.hang_up(reset=True)


breaks_while_sent.before_body = True  # type: ignore[attr-defined]


def hangs_up(exchange: Exchange) -> None:
    """Take the request, and end the connection without an answer."""
    exchange.hang_up()


@dataclass
class Gate:
    """A fault that holds back answers until so many requests are there at once, then serves them well."""

    parties: int
    barrier: threading.Barrier = field(init=False)

    def __post_init__(self) -> None:
        self.barrier = threading.Barrier(self.parties)

    def __call__(self, exchange: Exchange) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            self.barrier.wait(10)
        Good(exchange)


def free_port() -> int:
    """Return a port where nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def random_bytes(size: int) -> bytes:
    """Return bytes of which no two pieces are alike."""
    return os.urandom(size)


class AtOnce:
    """A fault that counts how many answers are given at a time."""

    def __init__(self, fault: Fault) -> None:
        self.now = self.most = 0
        self._fault = fault
        self._lock = threading.Lock()

    def __call__(self, exchange: Exchange) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            self._fault(exchange)
        finally:
            with self._lock:
                self.now -= 1
