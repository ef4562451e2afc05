"""A folder on the local network: ``onelight serve ROOT``. Read only; files, ranges of files, directory pages.

Who has a data folder with a ``.one_root`` makes a repository of it in one line, and anybody near by reads it with
``onelight`` or a browser. It is for people who trust each other: there is no TLS, so that a token keeps guests out,
not listeners. To the whole world a web server such as nginx or Caddy serves the same folder.

What is served is what lies in the folder and can be named by everybody (:func:`onelight.alf.safe.check_safe`). Names
that begin with a dot are not, apart from the two lists of a repository; links are followed as far as they lead to
something in the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import hashlib
import hmac
import os
import re
import socket
import stat
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from datetime import timezone
from email.utils import formatdate, parsedate_to_datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onelight.alf.safe import check_safe, devices
from onelight.errors import ConfigError, UnsafeData
from onelight.notes import log
from onelight.ranges import Span, wanted
from onelight.route import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
#: Hidden files that are served: the lists of a repository. Its tables (sessions.pqt, datasets.pqt) are not hidden.
SHOWN = frozenset({".one_root", ".one_packs"})

# Bytes that are in memory at a time, for each reader. As little as LITTLE is read at once: a thread would cost more.
PIECE = 2**18
LITTLE = 2**16
# A path of more than this is none on any system that we know (PATH_MAX of Linux).
LONGEST_PATH = 4096
LONGEST_NAME = 255
# What a client may send before it is answered, and how long that may take: uvicorn and httptools set no limit.
MAX_HEAD = 2**16
HEAD_SECONDS = 30
KEEP_ALIVE_SECONDS = 60
# A reader who takes nothing for as long is gone (a laptop that was closed), and his file is.
STALL_SECONDS = 120
# A server that is stopped gives the requests in hand this long.
GRACE_SECONDS = 0.5
BACKLOG = 1024
REALM = "onelight"

_TYPES = {
    ".avi": "video/x-msvideo",
    ".csv": "text/csv; charset=utf-8",
    ".gz": "application/gzip",
    ".h5": "application/x-hdf5",
    ".htm": "text/html; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".mp4": "video/mp4",
    ".npz": "application/zip",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".pqt": "application/vnd.apache.parquet",
    ".ssv": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".tar": "application/x-tar",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".toml": "application/toml",
    ".tsv": "text/tab-separated-values; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".wav": "audio/wav",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
}
_ANY_BYTES = "application/octet-stream"  # .npy and all that has no type of its own
_ALLOWED = "GET, HEAD, OPTIONS"
# For pages of other origins (notebooks, viewers), as figshare and S3 do. No cookie is involved: a page that wants to
# read what a token protects has to know it.
_ALWAYS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified",
    "x-content-type-options": "nosniff",
}
_PREFLIGHT = {
    "allow": _ALLOWED,
    "access-control-allow-methods": _ALLOWED,
    "access-control-allow-headers": "Authorization, If-Match, If-Modified-Since, If-None-Match, If-Range, "
    "If-Unmodified-Since, Range",
    "access-control-max-age": "86400",
}
# A page among the data must not run scripts that read the rest with the password that the browser has.
_NO_SCRIPTS = "sandbox allow-downloads; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"
_OWN_PAGE = "default-src 'none'; style-src 'unsafe-inline'"

_TAGS = re.compile(r'(W/)?("[^"]*")')

_RELATIVE = os.open in os.supports_dir_fd and os.name == "posix"
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# A pipe that nobody writes to would be waited for when it is opened.
_FILE = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_FILE |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
_PREAD: Callable[[int, int, int], bytes] | None = getattr(os, "pread", None)
_PREADV: Callable[[int, list[memoryview], int, int], int] | None = getattr(os, "preadv", None)
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
_IS_LINK = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)  # the last is FreeBSD's word for it


def app(root: Path | str, token: str = "") -> ASGIApp:
    """Return what serves a folder, for any ASGI server.

    Parameters
    ----------
    root : Path or str
        The folder. It may itself be a link.
    token : str
        Who does not send it, as bearer token or as password with any name (RFC 6750, RFC 7617), sees nothing; empty
        if everybody may read.
    """
    return _Serving(Path(root), token)


def exposure(host: str, token: str = "") -> str:
    """Say who can read what is served at an address; empty if only this computer can.

    Examples
    --------
    >>> exposure("127.0.0.1")
    ''
    >>> print(exposure("0.0.0.0"))
    Everybody who reaches this computer can read all that is served: no token is asked for
    """
    if is_loopback(host):
        return ""
    if not token:
        return "Everybody who reaches this computer can read all that is served: no token is asked for"
    return "The token and the data travel without encryption: whoever listens on the network can read both"


class Server:
    """A folder on the local network.

    Parameters
    ----------
    root : Path or str
        The folder.
    host : str
        Address of this computer to listen at; by default, nobody else is answered. ``0.0.0.0`` and ``::`` are all.
    port : int
        0 for any that is free.
    token : str
        As for :func:`app`.

    Attributes
    ----------
    url : str
        The address of the folder, for a person or a configuration, without a slash at its end; known once the server
        has started. Where it listens at all addresses, that of this computer in its network.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from urllib.request import urlopen
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "spikes.times.npy").write_bytes(b"0123456789")
    ...     with Server(folder) as server, urlopen(f"{server.url}/spikes.times.npy") as answer:
    ...         answer.read()
    b'0123456789'
    """

    def __init__(self, root: Path | str, host: str = LOOPBACK, port: int = 0, token: str = "") -> None:
        self.root = Path(root)
        self.host = host
        self.port = port
        self.url = ""
        self._token = token
        self._running: tuple[_Uvicorn, threading.Thread] | None = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start in the background; return when it answers. Who else can read then is said as a warning.

        Raises
        ------
        ConfigError
            If there is no such folder, or the address cannot be used.
        """
        if self._running is not None:
            return
        if not self.root.is_dir():
            raise ConfigError(f"There is no folder {self.root}", hint="Name the folder that is to be served")
        listener = _listening(self.host, self.port)
        warning = exposure(self.host, self._token)
        if warning:
            log.warning("%s", warning)
        server = _Uvicorn(app(self.root, self._token))
        thread = threading.Thread(target=server.run_in_thread, args=(listener,), name="onelight-serve", daemon=True)
        self._running = server, thread
        self.url = f"http://{_shown(self.host)}:{listener.getsockname()[1]}"
        thread.start()
        server.answers.wait()

    def stop(self) -> None:
        """Stop: end the requests in hand, close all connections."""
        if self._running is None:
            return
        (server, thread), self._running = self._running, None
        server.should_exit = True
        thread.join()


# Requests -----------------------------------------------------------------------------------------------------------


class _Serving:
    """Answers requests."""

    def __init__(self, root: Path, token: str) -> None:
        self._root = root.absolute()  # whoever goes elsewhere later does not take it along
        self._digest = hashlib.sha256(token.encode()).digest() if token else b""
        # Asked again each time, which costs little: data that are served may be added to.
        self._always = {**_ALWAYS, "cache-control": "private, no-cache" if token else "no-cache"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise ValueError("only HTTP is served")
        headers = Headers(scope=scope)
        method = scope["method"]
        if method == "OPTIONS":  # A browser asks before it sends the token.
            answer: Response = Response(status_code=204, headers=_PREFLIGHT)
        elif not self._may_read(headers):
            answer = PlainTextResponse("A token is asked for\n", 401)
            answer.headers.append("www-authenticate", f'Bearer realm="{REALM}"')
            answer.headers.append("www-authenticate", f'Basic realm="{REALM}", charset="UTF-8"')
        elif method not in ("GET", "HEAD"):
            answer = PlainTextResponse("This can be read only\n", 405, {"allow": _ALLOWED})
        else:
            try:
                answer = await self._answer(scope, headers)
            except OSError as error:
                answer = _refusal(error)
        answer.headers.update(self._always)
        await answer(scope, receive, send)

    def _may_read(self, headers: Headers) -> bool:
        if not self._digest:
            return True
        return any(
            # Digests are of one length, and compared in constant time: nothing is learned of the token bit by bit.
            hmac.compare_digest(hashlib.sha256(secret).digest(), self._digest)
            for value in headers.getlist("authorization")
            for secret in _secrets(value)
        )

    async def _answer(self, scope: Scope, headers: Headers) -> Response:
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        names = _names(raw)
        found = _Found.at(self._root, names)
        try:
            return await self._answer_found(scope["method"], headers, names, found, has_slash=raw.endswith(b"/"))
        except BaseException:
            found.close()
            raise

    async def _answer_found(
        self, method: str, headers: Headers, names: list[str], found: _Found, *, has_slash: bool
    ) -> Response:
        answer: Response
        if not found.is_folder and not has_slash:
            answer = _answer_file(method, headers, names[-1], found)
            if isinstance(answer, _Sending):
                return answer
        elif found.is_folder and has_slash:
            # A large folder on a slow disk must not keep the others waiting.
            page = await asyncio.to_thread(_page, self._root, names, found)
            answer = HTMLResponse(page, headers={"content-security-policy": _OWN_PAGE})
        elif found.is_folder:
            answer = RedirectResponse(quote(names[-1]) + "/", 301)
        else:
            answer = _refusal(FileNotFoundError())
        found.close()
        return answer


def _secrets(authorization: str) -> list[bytes]:
    """Return what may be the token in an Authorization header.

    >>> _secrets("Bearer abc"), _secrets("Basic YW55Ym9keTphYmM=")
    ([b'abc'], [b'abc'])
    """
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return [value.encode("latin-1")]
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            return [b64decode(value, validate=True).partition(b":")[2]]
    return []


def _names(raw: bytes) -> list[str]:
    """Return the parts of the path that is asked for.

    Raises
    ------
    FileNotFoundError
        If one of them is not served, whatever lies there.
    """
    if not raw.startswith(b"/") or len(raw) > 3 * LONGEST_PATH:
        raise FileNotFoundError
    try:
        names = [unquote_to_bytes(part).decode() for part in raw[1:].split(b"/")]
    except UnicodeDecodeError as error:
        raise FileNotFoundError from error
    return _checked(names[:-1] if names[-1] == "" else names)


def _checked(names: list[str]) -> list[str]:
    # The length first: what is remembered of names must not grow with what strangers send.
    is_long = any(len(name) > LONGEST_NAME for name in names)
    if is_long or not all(map(_is_served, names)) or not SHOWN.isdisjoint(names[:-1]):
        raise FileNotFoundError
    return names


@functools.lru_cache(maxsize=4096)
def _is_served(name: str) -> bool:
    """Tell whether something of this name is served: nothing hidden, and nothing that leads elsewhere on any system."""
    if (name.startswith(".") and name not in SHOWN) or "/" in name:
        return False
    try:
        check_safe(name)
    except UnsafeData:
        return False
    return os.name != "nt" or not devices(name)


def _refusal(error: OSError) -> Response:
    if isinstance(error, PermissionError):
        return PlainTextResponse("The server may not read this\n", 403)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return PlainTextResponse("Too many readers at a time\n", 503, {"retry-after": "5"})
    if error.errno in (errno.EIO, getattr(errno, "ESTALE", errno.EIO)):
        return PlainTextResponse("The disk of the server fails\n", 500)
    # Whatever else: not there, a link that leads outside or in a circle, a name that is too long, a pipe.
    return PlainTextResponse("There is no such file\n", 404)


# Files --------------------------------------------------------------------------------------------------------------


class _Found:
    """An open file or folder that may be served.

    Parameters
    ----------
    handle : int
        Open; -1 for a folder on Windows, which has no such thing.
    path : Path
        Where it is.
    names : list of str
        Its path below the folder that is served.
    """

    __slots__ = ("_buffer", "_handle", "_path", "status")

    def __init__(self, handle: int, path: Path, names: list[str]) -> None:
        self._handle = handle
        self._path = path
        self._buffer: bytearray | None = None
        self.status = os.fstat(handle) if handle >= 0 else path.stat()
        is_hidden = self.is_folder and not SHOWN.isdisjoint(names)
        if is_hidden or not (self.is_folder or stat.S_ISREG(self.status.st_mode)):
            self.close()
            raise FileNotFoundError
        if self.status.st_size > LITTLE and _NOWAIT:
            self._buffer = bytearray(PIECE)  # used again and again: a new one takes longer than what it is for

    @classmethod
    def at(cls, root: Path, names: list[str]) -> _Found:
        """Open what has these names below a folder.

        Each folder is opened step by step, and links are refused (``O_NOFOLLOW``). Where there is one, the place that
        it leads to is looked up and reached in the same way: who exchanges a folder for a link meanwhile gains nothing.

        Raises
        ------
        OSError
            If it is not there, is not served, or cannot be opened.
        """
        if _RELATIVE:
            try:
                return cls(_walk(root, names), root, names)
            except OSError as error:
                if error.errno not in _IS_LINK:
                    raise
        try:
            real, real_root = root.joinpath(*names).resolve(strict=True), root.resolve(strict=True)
            names = _checked(list(real.relative_to(real_root).parts))
        except (ValueError, RuntimeError) as error:  # elsewhere; in a circle, before Python 3.13
            raise FileNotFoundError from error
        if _RELATIVE:
            return cls(_walk(real_root, names), real, names)
        return cls(-1 if real.is_dir() else os.open(real, _FILE), real, names)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def etag(self) -> str:
        """The entity tag: strong, since what is written to changes its times, in steps of some milliseconds or less.

        The time of change (ctime) is in it because the time of modification can be set back, by ``rsync -t`` for
        example. On Windows it is that of creation, which does no harm.
        """
        return _etag(self.status)

    def is_as_before(self) -> bool:
        """Tell whether the file is still the one that was opened, unchanged."""
        return _etag(os.fstat(self._handle)) == self.etag

    def read(self, count: int, offset: int) -> bytes:
        """Read bytes from a place; for one reader at a time."""
        if _PREAD is not None:
            return _PREAD(self._handle, count, offset)
        os.lseek(self._handle, offset, os.SEEK_SET)
        return os.read(self._handle, count)

    def read_cached(self, count: int, offset: int) -> bytes | None:
        """Read bytes that the system has in memory, or some of them; None if the disk must be waited for.

        A thread that reads them costs ten times as much as reading them. Only Linux can tell.
        """
        if _PREADV is None or self._buffer is None:
            return None
        view = memoryview(self._buffer)[:count]
        try:
            return bytes(view[: _PREADV(self._handle, [view], offset, _NOWAIT)])
        except BlockingIOError:
            pass
        except OSError:  # a file system that cannot tell
            self._buffer = None
        return None

    def entries(self) -> list[os.DirEntry[str]]:
        """Return what is in the folder."""
        with os.scandir(self._handle if self._handle >= 0 else self._path) as entries:
            return list(entries)

    def close(self) -> None:
        """Let go of it."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    # Closed by whoever lets go of it last: a thread that still reads for a reader who is gone must not meet another
    # file under the number of this one.
    __del__ = close


def _walk(root: Path, names: list[str]) -> int:
    handle = os.open(root, _FOLDER)
    for number, name in enumerate(names, 1):
        flags = _FILE | _NO_LINK | (_FOLDER if number < len(names) else 0)
        try:
            handle, above = os.open(name, flags, dir_fd=handle), handle
        except BaseException:
            os.close(handle)
            raise
        os.close(above)
    return handle


def _etag(status: os.stat_result) -> str:
    text = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
    return f'"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"'


def _answer_file(method: str, headers: Headers, name: str, found: _Found) -> Response:
    """Answer a request for a file (RFC 9110, section 13.2.2, for the order of the conditions)."""
    size, etag = found.status.st_size, found.etag
    modified = found.status.st_mtime_ns // 10**9
    kind = _TYPES.get(f".{name.rpartition('.')[2].lower()}", _ANY_BYTES)
    if name in SHOWN:
        kind = _TYPES[".tsv"]
    stated = {"etag": etag, "accept-ranges": "bytes", "content-type": kind}
    if 0 <= modified <= time.time():  # a date of tomorrow is none (RFC 9110, section 8.8.2.1)
        stated["last-modified"] = formatdate(modified, usegmt=True)
    if kind.startswith(("text/html", "image/svg")):
        stated["content-security-policy"] = _NO_SCRIPTS
    if _has_changed(headers, etag, modified):
        return PlainTextResponse("The file is another one\n", 412, {"etag": etag})
    if _is_known(headers, etag, modified):
        del stated["content-type"]
        return Response(status_code=304, headers=stated)
    span = Span(0, size, is_part=False)
    if method == "GET" and _is_same(headers.get("if-range"), etag, modified):
        asked = wanted(headers.get("range", ""), size)
        if asked is None:
            return PlainTextResponse("The file has no such bytes\n", 416, {"content-range": f"bytes */{size}"})
        span = asked
    return _Sending(found, span, stated)


def _has_changed(headers: Headers, etag: str, modified: int) -> bool:
    if "if-match" in headers:
        value = headers["if-match"].strip()
        return value != "*" and not any(not weak and tag == etag for weak, tag in _TAGS.findall(value))
    before = _moment(headers.get("if-unmodified-since", ""))
    return before is not None and modified > before


def _is_known(headers: Headers, etag: str, modified: int) -> bool:
    if "if-none-match" in headers:
        value = ", ".join(headers.getlist("if-none-match")).strip()
        return value == "*" or any(tag == etag for _, tag in _TAGS.findall(value))
    since = _moment(headers.get("if-modified-since", ""))
    return since is not None and modified <= since


def _is_same(condition: str | None, etag: str, modified: int) -> bool:
    """Tell whether If-Range holds: the same tag, a strong one, or exactly the same date."""
    if condition is None:
        return True
    condition = condition.strip()
    if condition.startswith(('"', "W/")):
        return condition == etag
    return _moment(condition) == modified


def _moment(text: str) -> int | None:
    """Return the seconds of a date in a header; None if it is none."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)).timestamp())
    except (TypeError, ValueError, OverflowError, OSError):
        return None


class _Sending(Response):
    """An answer with bytes of a file, which are in memory a piece at a time.

    Parameters
    ----------
    found : _Found
        The open file; closed at the end.
    span : Span
        Which bytes: 206 for a part, otherwise 200.
    stated : Mapping
        What else to state.
    """

    def __init__(self, found: _Found, span: Span, stated: Mapping[str, str]) -> None:
        headers = {**stated, "content-length": str(span.stop - span.start)}
        if span.is_part:
            headers["content-range"] = f"bytes {span.start}-{span.stop - 1}/{found.status.st_size}"
        super().__init__(None, 206 if span.is_part else 200, headers)
        self._found = found
        self._span = span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, as long as there is somebody who takes it."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD" or self._span.start == self._span.stop:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif self._span.stop - self._span.start <= LITTLE:
                await self._send_pieces(send, None)
            else:
                gone = asyncio.ensure_future(_gone(receive))
                try:
                    await self._send_pieces(send, gone)
                finally:
                    gone.cancel()
        except OSError:  # of the connection, or of the disk: the client sees that bytes are missing
            pass
        finally:
            self._found.close()

    async def _send_pieces(self, send: Send, gone: asyncio.Future[None] | None) -> None:
        """Send the bytes; the answer is not ended if they are not what its entity tag stands for.

        Then the server closes the connection, and the client knows that it has a part only.
        """
        at, stop = self._span[:2]
        while at < stop and (gone is None or not gone.done()):
            count = min(PIECE, stop - at)
            piece = self._found.read(count, at) if count <= LITTLE else self._found.read_cached(count, at)
            if piece is None:
                piece = await asyncio.to_thread(self._found.read, count, at)
            at += len(piece)
            if not piece or (at >= stop and not self._found.is_as_before()):
                return
            await send({"type": "http.response.body", "body": piece, "more_body": at < stop})
            if at < stop:
                await asyncio.sleep(0)  # the others' turn: sending does not wait for who takes all at once


async def _gone(receive: Receive) -> None:
    """Return when the client has closed the connection: uvicorn throws away what is sent to nobody."""
    while (await receive())["type"] != "http.disconnect":
        pass


# Folders ------------------------------------------------------------------------------------------------------------

_STYLE = "body{font-family:sans-serif;margin:2em}td{padding:.1em 1.5em .1em 0}.size{text-align:right}"


def _page(root: Path, names: list[str], found: _Found) -> str:
    """Return the page of a folder: folders first, then files, with exact sizes."""
    folders: list[tuple[str, os.stat_result]] = []
    files: list[tuple[str, os.stat_result]] = []
    for entry in found.entries():
        if not _is_served(entry.name):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode) or (os.name == "nt" and not stat.S_ISREG(status.st_mode)):
                there = _Found.at(root, [*names, entry.name])
                status = there.status
                there.close()
        except OSError:  # gone meanwhile, or a link that leads outside
            continue
        if stat.S_ISDIR(status.st_mode):
            if entry.name not in SHOWN:
                folders.append((entry.name, status))
        elif stat.S_ISREG(status.st_mode):
            files.append((entry.name, status))
    title = escape("/" + "".join(f"{name}/" for name in names))
    rows = ['<tr><td><a href="../">../</a></td><td class="size"></td><td></td></tr>'] if names else []
    rows += [_row(name, "/", "", status) for name, status in sorted(folders, key=lambda each: each[0])]
    rows += [_row(name, "", str(status.st_size), status) for name, status in sorted(files, key=lambda each: each[0])]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head><body>',
            f"<h1>{title}</h1>",
            '<table><tr><th>Name</th><th class="size">Bytes</th><th>Modified (UTC)</th></tr>',
            *rows,
            "</table></body></html>\n",
        ]
    )


def _row(name: str, slash: str, size: str, status: os.stat_result) -> str:
    day, clock = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(max(0, status.st_mtime_ns // 10**9))).split()
    return (
        f'<tr><td><a href="{quote(name)}{slash}">{escape(name)}{slash}</a></td>'
        f'<td class="size" data-size="{size}">{size}</td>'
        f'<td><time datetime="{day}T{clock}Z">{day} {clock}</time></td></tr>'
    )


# The server ---------------------------------------------------------------------------------------------------------


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that takes connections at an address of this computer.

    Made with its protocol stated, for only then does asyncio set TCP_NODELAY on the connections
    (`asyncio.base_events._set_nodelay`), without which each answer takes 40 ms.
    """
    listener = None
    try:
        # Without the port: getaddrinfo takes 99999 for 34463.
        found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = found[0]
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name == "posix":  # A port that was in use a moment ago may be taken again; on Windows this means more.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address[0], port, *address[2:]))
        listener.listen(BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        if listener is not None:
            listener.close()
        raise ConfigError(f"Address {host}, port {port}, cannot be used: {error}", hint="Choose another") from error
    return listener


def _shown(host: str) -> str:
    """Return how others write the address of this computer."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - this is a comparison
        host = LOOPBACK
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            # Nothing is sent: the system says from which address it would be. 192.0.2.1 is nobody (RFC 5737).
            asking.connect(("192.0.2.1", 9))
            host = asking.getsockname()[0]
    return f"[{host}]" if ":" in host else host


class _Bounded(HttpToolsProtocol):
    """A connection whose requests have to come within limits."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._head = 0
        self._deadline = self.loop.call_later(HEAD_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._deadline.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Wait for the rest of the head."""
        super().on_message_begin()
        self._head = 0
        self._deadline.cancel()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def on_headers_complete(self) -> None:
        """Wait no more; what follows is not kept."""
        self._deadline.cancel()
        self._head = -1
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take what comes, up to a limit."""
        super().data_received(data)
        if self._head >= 0:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.transport.abort()


class _Uvicorn(uvicorn.Server):
    """uvicorn in a thread."""

    def __init__(self, serving: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                serving,
                loop="asyncio",
                http=_Bounded,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        self.answers = threading.Event()
        self._waiting: dict[object, tuple[int, float]] = {}

    def run_in_thread(self, listener: socket.socket) -> None:
        """Serve, in a thread of its own."""
        try:
            asyncio.run(self.serve([listener]))
        finally:
            listener.close()
            self.answers.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the thread that waits for it when the server answers."""
        await super().startup(sockets)
        self.answers.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the connections of requests that go on, which uvicorn would wait for."""
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._abort)
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Look ten times a second whether to stop, and each second for readers who take nothing any more."""
        if counter % 10 == 0:
            self._cut_stalled()
        return await super().on_tick(counter)

    def _cut_stalled(self) -> None:
        now, before, self._waiting = time.monotonic(), self._waiting, {}
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            size = transport.get_write_buffer_size() if transport is not None else 0
            if transport is not None and size:
                since = before[connection][1] if before.get(connection, (0, 0))[0] == size else now
                self._waiting[connection] = size, since
                if now - since > STALL_SECONDS:
                    transport.abort()

    def _abort(self) -> None:
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
