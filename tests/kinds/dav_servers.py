"""Real WebDAV servers on loopback, and a proxy before them that remembers every request and can be told to break.

::

    with place() as root, nginx(root) as server, FaultyProxy(server.url) as proxy:
        proxy.rules.append(Rule("PUT", "spikes", lose_answer))     # the first PUT arrives, and its answer is lost
        ...
        proxy.asked("PUT")                                         # what the client asked, in order
        proxy.arrived("PUT")                                       # what the server was given of it, with its answer

The servers run as they are installed, each in a process of its own; one that is missing is skipped by its name. A rule
is used once, or ``times`` as often, for the first requests that it fits; every other request passes.
"""

from __future__ import annotations

import contextlib
import getpass
import http.client
import importlib.util
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit

import pytest

from onelight.kinds.tree import is_part

PIECE = 1 << 16
#: The requests that change a place, or would.
CHANGING = ("PUT", "MKCOL", "MOVE", "DELETE", "COPY", "PATCH", "PROPPATCH", "POST")
LOGIN, PASSWORD = "reader", "canary-7c1e"


@dataclass(frozen=True)
class Served:
    """A server that runs: its address, without a slash at its end, and the folder that it serves."""

    url: str
    root: Path
    home: Path

    def said(self) -> str:
        """Return what the server wrote into its logs."""
        logs = [self.home / "log", self.home / "error"]
        return "\n".join(log.read_text(errors="replace") for log in logs if log.exists())


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """Make a folder that every server can serve and write to, whoever it runs as."""
    # Not below tmp_path, which is its owner's only: a server that root starts gives up being root.
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "www"
        root.mkdir()
        Path(temporary).chmod(0o755)
        root.chmod(0o777)
        yield root


def fill(root: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder hold exactly these files, in which whoever serves it may write."""
    empty(root)
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    for found in root.rglob("*"):
        found.chmod(0o777 if found.is_dir() else 0o666)


def empty(root: Path) -> None:
    for found in list(root.iterdir()):
        if found.is_dir():
            shutil.rmtree(found)
        else:
            found.unlink()


def held(root: Path) -> dict[str, bytes]:
    """Return every file in a folder, hidden ones and those that servers keep for themselves included."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def needed(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def module_of(name: str, *folders: str) -> Path:
    """Return a module that a server loads."""
    for folder in folders:
        if (found := Path(folder) / name).exists():
            return found
    pytest.skip(f"{name} is not installed")


@contextlib.contextmanager
def running(command: Sequence[object], port: int, root: Path, home: Path) -> Iterator[Served]:
    """Run a server until the end of the block."""
    # Its own home and no more than it needs: rclone keeps files there.
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    with (home / "log").open("wb") as said:
        process = subprocess.Popen([str(word) for word in command], stdout=said, stderr=said, env=environment)
    served = Served(f"http://127.0.0.1:{port}", root, home)
    try:
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{command[0]} does not run: {served.said()}")
            time.sleep(0.02)
        yield served
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def home_of(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=name) as temporary:
        home = Path(temporary)
        home.chmod(0o777)
        yield home


# The servers. ``login`` and ``password`` ask for basic authentication; ``writes=False`` is a server that only reads.


@contextlib.contextmanager
def nginx(
    root: Path, *, login: str = "", password: str = "", writes: bool = True, moves: bool = True, lists: bool = True
) -> Iterator[Served]:
    """nginx; without ``lists`` its own module of WebDAV only, which does not know PROPFIND."""
    program, port = needed("nginx"), free_port()
    load = extended = zone = ""
    if lists:
        folders = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/local/lib/nginx/modules")
        load = f"load_module {module_of('ngx_http_dav_ext_module.so', *folders)};\n"
        zone = "dav_ext_lock_zone zone=locks:1m;"
        extended = "dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK; dav_ext_lock zone=locks;"
    methods = f"dav_methods PUT DELETE MKCOL COPY{' MOVE' if moves else ''};" if writes else ""
    with home_of("nginx") as home:
        secret = ""
        if login:
            (home / "users").write_text(f"{login}:{{PLAIN}}{password}\n")
            secret = f"auth_basic data; auth_basic_user_file {home}/users;"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {home}/{kind};\n" for kind in kinds)
        user = "user root;" if getpass.getuser() == "root" else ""  # one who may write to the folder of the test
        (home / "nginx.conf").write_text(
            f"{load}daemon off; {user} pid {home}/pid; error_log {home}/error; events {{}}\n"
            f"http {{ access_log off; {temporary} {zone} server {{ listen 127.0.0.1:{port}; root {root};\n"
            f"client_max_body_size 0; create_full_put_path off; dav_access user:rw group:rw all:rw; {secret}\n"
            f"location / {{ {methods} {extended if writes else extended.replace(' LOCK UNLOCK', '')} }} }} }}"
        )
        with running([program, "-c", home / "nginx.conf", "-e", home / "error"], port, root, home) as served:
            yield served


@contextlib.contextmanager
def apache(root: Path, *, login: str = "", password: str = "", writes: bool = True) -> Iterator[Served]:
    """Apache with mod_dav."""
    program, port = needed("apache2"), free_port()
    wanted = ["mpm_event", "authn_core", "authz_core", "dav", "dav_fs", "dav_lock"]
    if login:
        wanted += ["auth_basic", "authn_file", "authz_user"]
    folders = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules")
    load = "".join(f"LoadModule {name}_module {module_of(f'mod_{name}.so', *folders)}\n" for name in wanted)
    with home_of("apache") as home:
        require = "Require all granted"
        if login:
            import hashlib  # the form that Apache knows without another program
            from base64 import b64encode

            digest = b64encode(hashlib.sha1(password.encode()).digest()).decode()
            (home / "users").write_text(f"{login}:{{SHA}}{digest}\n")
            require = f"AuthType Basic\nAuthName data\nAuthUserFile {home}/users\nRequire valid-user"
        if not writes:
            reading = "GET HEAD OPTIONS PROPFIND"
            require = f"<Limit {reading}>\n{require}\n</Limit>"
            require += f"\n<LimitExcept {reading}>\nRequire all denied\n</LimitExcept>"
        user = "User nobody\nGroup nogroup\n" if getpass.getuser() == "root" else ""  # it refuses to run as root
        (home / "apache.conf").write_text(
            f"{load}ServerRoot {home}\nPidFile {home}/pid\nListen 127.0.0.1:{port}\nServerName localhost\n{user}"
            f"ErrorLog {home}/error\nDocumentRoot {root}\nDavLockDB {home}/locks\nLimitRequestBody 0\n"
            f"<Directory {root}>\nDav On\n{require}\n</Directory>\n"
        )
        command = [program, "-d", home, "-f", home / "apache.conf", "-D", "FOREGROUND"]
        with running(command, port, root, home) as served:
            yield served


@contextlib.contextmanager
def wsgidav(root: Path, *, login: str = "", password: str = "", writes: bool = True) -> Iterator[Served]:
    """WsgiDAV, in Python."""
    for name in ("wsgidav", "cheroot"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    port = free_port()
    users: object = {login: {"password": password}} if login else True
    configuration = {
        "host": "127.0.0.1",
        "port": port,
        "server": "cheroot",
        "provider_mapping": {"/": {"root": str(root), "readonly": not writes}},
        "simple_dc": {"user_mapping": {"*": users}},
        "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
        "lock_storage": True,
        "property_manager": False,
        "logging": {"enable": True},
    }
    with home_of("wsgidav") as home:
        (home / "wsgidav.json").write_text(json.dumps(configuration))
        program = [sys.executable, "-m", "wsgidav.server.server_cli", "--config", home / "wsgidav.json"]
        with running(program, port, root, home) as served:
            yield served


@contextlib.contextmanager
def rclone(root: Path, *, login: str = "", password: str = "", writes: bool = True) -> Iterator[Served]:
    """``rclone serve webdav``."""
    program, port = needed("rclone"), free_port()
    # What a test puts into the folder by itself is seen at once.
    more = ["--dir-cache-time", "0s"]
    more += ["--user", login, "--pass", password] if login else []
    more += [] if writes else ["--read-only"]
    with home_of("rclone") as home:
        command = [program, "serve", "webdav", root, "--addr", f"127.0.0.1:{port}", *more]
        with running(command, port, root, home) as served:
            yield served


Start = Callable[..., contextlib.AbstractContextManager[Served]]
SERVERS: tuple[Start, ...] = (nginx, apache, wsgidav, rclone)


# The proxy


@dataclass
class Asked:
    """A request of the client's, and what the server answered, if it was given it; names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    status: int = 0  # of the server
    told: int = 0  # what the client was told
    length: int = 0  # bytes of the body that were read

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def destination(self) -> str:
        return unquote(urlsplit(self.headers.get("destination", "")).path)


@dataclass
class Passage:
    """One request on its way: pass it on, answer, hang up."""

    proxy: FaultyProxy
    asked: Asked
    connection: socket.socket
    stream: BinaryIO
    left: int

    def body(self, count: int | None = None) -> Iterator[bytes]:
        """Read the body, or its first bytes, piece by piece."""
        count = self.left if count is None else min(count, self.left)
        while count > 0:
            data = self.stream.read(min(PIECE, count))
            if not data:
                raise ConnectionAbortedError  # by the client
            count -= len(data)
            self.left -= len(data)
            self.asked.length += len(data)
            yield data

    def read(self) -> None:
        """Read the body and forget it."""
        for _ in self.body():
            pass

    def open(self, length: int | None = None) -> http.client.HTTPConnection:
        """Begin the request at the server: all but the body."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.upstream, timeout=60)
        upstream.connect()
        upstream.putrequest(self.asked.method, self.asked.target, skip_host=True, skip_accept_encoding=True)
        for name, value in self.asked.headers.items():
            # The host stays that of the client: what is moved is moved within one host.
            if name not in ("connection", "content-length", "expect"):
                upstream.putheader(name, value)
        if "content-length" in self.asked.headers:
            upstream.putheader("Content-Length", str(self.left if length is None else length))
        upstream.endheaders()
        return upstream

    def forward(self, *, less: int = 0) -> tuple[int, list[tuple[str, str]], bytes]:
        """Give all of it to the server, or so many bytes less, and return its answer."""
        kept = max(0, self.left - less)
        with contextlib.closing(self.open(kept)) as upstream:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before all was read
                for data in self.body(kept):
                    upstream.send(data)
            answer = upstream.getresponse()
            content = answer.read()
            self.asked.status = answer.status
        self.read()
        return answer.status, answer.getheaders(), content

    def answer(self, status: int, headers: Sequence[tuple[str, str]] = (), content: bytes = b"") -> None:
        self.asked.told = status
        lines = [f"HTTP/1.1 {status} Whatever"]
        length = str(len(content))
        for name, value in headers:
            if name.lower() == "content-length" and self.asked.method == "HEAD":
                length = value
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "keep-alive"):
                lines.append(f"{name}: {value}")
        if status >= 200 and status not in (204, 304):
            lines.append(f"Content-Length: {length}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.connection.sendall(head + (b"" if self.asked.method == "HEAD" else content))

    def hang_up(self) -> None:
        """End the connection as a network does that breaks."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError


Fault = Callable[[Passage], None]


def good(passage: Passage) -> None:
    passage.answer(*passage.forward())


def lose_answer(passage: Passage) -> None:
    """Let all of it arrive, and hang up before the answer is back: did it land? It did."""
    passage.forward()
    passage.hang_up()


def lose_request(passage: Passage) -> None:
    """Take the last byte, and hang up: did it land? It did not."""
    passage.read()
    passage.hang_up()


def cut(after: int) -> Fault:
    """Let so many bytes of the body arrive, and break the connection to both sides."""

    def fault(passage: Passage) -> None:
        with contextlib.closing(passage.open()) as upstream:
            for data in passage.body(after):
                upstream.send(data)
        passage.hang_up()

    return fault


def say(status: int, content: bytes = b"", **headers: str) -> Fault:
    """Answer in place of the server, which hears nothing of it; ``retry_after`` becomes ``Retry-After``."""

    def fault(passage: Passage) -> None:
        passage.read()
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        passage.answer(status, named, content)

    return fault


def pretend(status: int = 201) -> Fault:
    """Say that it is done, and do nothing."""
    return say(status)


def truncate(by: int) -> Fault:
    """Give the server so many bytes less, and say so to it: what it stores is shorter than what was sent."""

    def fault(passage: Passage) -> None:
        passage.answer(*passage.forward(less=by))

    return fault


def damage(passage: Passage) -> None:
    """Give the server as many bytes, of which the first is another one."""
    with contextlib.closing(passage.open()) as upstream:
        for number, data in enumerate(passage.body()):
            upstream.send(bytes([data[0] ^ 1]) + data[1:] if not number else data)
        answer = upstream.getresponse()
        content = answer.read()
        passage.asked.status = answer.status
    passage.answer(answer.status, answer.getheaders(), content)


def delay(seconds: float) -> Fault:
    """Pass it on after a while."""

    def fault(passage: Passage) -> None:
        passage.proxy.stopping.wait(seconds)
        good(passage)

    return fault


@dataclass
class Hold:
    """A fault that holds a request back: tells that it is there, and waits until it may go on.

    With ``after`` so many bytes of its body have reached the server by then; with ``done`` all of it, and only the
    answer is held back.
    """

    after: int | None = None
    done: bool = False
    there: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def wait(self, passage: Passage) -> None:
        self.there.set()
        while not (self.go_on.wait(0.02) or passage.proxy.stopping.is_set()):
            # A client that was killed does not come back: the server sees that, as it would without us.
            with contextlib.suppress(BlockingIOError):
                if self.after is None and passage.left == 0:
                    flags = socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0)
                    if not passage.connection.recv(1, flags):
                        raise ConnectionAbortedError

    def __call__(self, passage: Passage) -> None:
        if self.done:
            answer = passage.forward()
            self.wait(passage)
            passage.answer(*answer)
        elif self.after is None:
            self.wait(passage)
            good(passage)
        else:
            with contextlib.closing(passage.open()) as upstream:
                for data in passage.body(self.after):
                    upstream.send(data)
                self.wait(passage)
                for data in passage.body():
                    upstream.send(data)
                answered = upstream.getresponse()
                content = answered.read()
                passage.asked.status = answered.status
            passage.answer(answered.status, answered.getheaders(), content)


@dataclass
class Rule:
    """Which requests are treated how: those of a method whose path has ``part`` in it; ``skip`` of them pass first.

    With ``slashes`` only those whose path has so many: two are those of what lies at the top of a repository.
    """

    method: str
    part: str
    fault: Fault
    times: float = 1
    skip: int = 0
    ends: str = ""
    slashes: int = 0

    def fits(self, asked: Asked) -> bool:
        path = asked.path
        fits = self.method in ("", asked.method) and self.part in path and path.endswith(self.ends)
        return fits and self.slashes in (0, path.count("/"))


class FaultyProxy:
    """A reverse proxy on sockets, one thread for each connection.

    Parameters
    ----------
    url : str
        The server behind it.

    Attributes
    ----------
    url : str
        Its own address.
    rules : list of Rule
        What is treated otherwise than by passing it on.
    seen : list of Asked
        Every request, in the order in which they came.
    chance : callable
        Asked for a fault where no rule fits.
    """

    def __init__(self, url: str) -> None:
        self.upstream = int(urlsplit(url).port or 80)
        self.rules: list[Rule] = []
        self.seen: list[Asked] = []
        self.chance: Callable[[Asked], Fault | None] = lambda _: None
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{urlsplit(url).path.rstrip('/')}"
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def __enter__(self) -> FaultyProxy:
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
        """Begin a new log, without rules."""
        with self._lock:
            self.rules.clear()
            self.seen.clear()
            self.chance = lambda _: None

    def asked(self, method: str = "", part: str = "", ends: str = "") -> list[Asked]:
        """Return what the client asked."""
        rule = Rule(method, part, good, ends=ends)
        return [one for one in list(self.seen) if rule.fits(one)]

    def arrived(self, method: str = "", part: str = "", ends: str = "") -> list[Asked]:
        """Return what of it the server has answered."""
        return [one for one in self.asked(method, part, ends) if one.status]

    def changes(self) -> list[Asked]:
        """Return the requests that change the place, or would."""
        return [one for one in list(self.seen) if one.method in CHANGING]

    def log(self) -> str:
        """Return what happened, for the message of a test that fails."""
        return "\n".join(f"{one.method} {one.path} {one.status} {one.told} {one.destination}" for one in self.seen)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb") as stream:
                while not self.stopping.is_set() and (passage := self._read(connection, stream)) is not None:
                    self._fault_of(passage.asked)(passage)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _read(self, connection: socket.socket, stream: BinaryIO) -> Passage | None:
        line = stream.readline()
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split()
        headers: dict[str, str] = {}
        while (line := stream.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        asked = Asked(method, target, headers)
        with self._lock:
            self.seen.append(asked)
        passage = Passage(self, asked, connection, stream, int(headers.get("content-length", 0)))
        if "transfer-encoding" in headers:
            passage.answer(411)  # which says: with a length, please
            passage.hang_up()
        return passage

    def _fault_of(self, asked: Asked) -> Fault:
        with self._lock:
            for rule in self.rules:
                if rule.times > 0 and rule.fits(asked):
                    if rule.skip > 0:
                        rule.skip -= 1
                        continue
                    rule.times -= 1
                    return rule.fault
        return self.chance(asked) or good


def ask(url: str, method: str, target: str, body: bytes | None = None, **headers: Any) -> tuple[int, bytes]:
    """Ask a server, behind the back of the product."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    with contextlib.closing(connection):
        named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        connection.request(method, urlsplit(url).path.rstrip("/") + target, body, named)
        answer = connection.getresponse()
        return answer.status, answer.read()


# A repository on such a server, and commands that use it

CHECKOUT = Path(__file__).resolve().parents[2]
TABLES = ("sessions.pqt", "datasets.pqt")


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The lines of stdout, each parsed as one JSON object."""
        return [json.loads(line) for line in self.out.splitlines()]


def begin(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Begin a command in a process of its own, without a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "onelight", *map(str, arguments)],
        cwd=CHECKOUT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str], seconds: float = 120) -> Ended:
    with process:
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException:
            process.kill()
            raise
    assert "Traceback" not in err, err
    return Ended(process.returncode, out, err)


def run(*arguments: object, **how: Any) -> Ended:
    """Begin a command and wait for its end."""
    return end(begin(*arguments, **how))


def share(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write a data root."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


@dataclass
class Site:
    """A folder on a server behind a proxy, which is a repository or becomes one.

    Parameters
    ----------
    server : Served
        The server.
    proxy : FaultyProxy
        What stands before it.
    base : str
        The folder, below the top of the server.
    start : callable, optional
        What started the server.
    """

    server: Served
    proxy: FaultyProxy
    base: str = "data"
    start: Start | None = None

    @property
    def root(self) -> Path:
        return self.server.root / self.base

    @property
    def url(self) -> str:
        return f"{self.proxy.url}/{quote(self.base)}".rstrip("/")

    def add(self, name: str = "web", **options: object) -> None:
        """Add it to the configuration, and choose it."""
        from onelight.config import Config, Settings

        config = Config.load()
        config.add(Settings(name, "http", {"base_url": self.url, **options}))
        config.choose(name)

    def files(self) -> dict[str, bytes]:
        """Return what it holds, without the index, its tables, temporary files and what a server keeps for itself."""
        found = held(self.root) if self.root.is_dir() else {}
        return {path: content for path, content in found.items() if path not in TABLES and not _is_beside(path)}

    def leftovers(self) -> list[str]:
        """Return what broken runs have left, and what they have locked."""
        found = [path.relative_to(self.root).as_posix() for path in self.root.rglob("*")]
        return sorted(path for path in found if _is_beside(path) and path != ".one_root" and ".DAV" not in path)

    def index(self) -> list[str]:
        """Return the paths in the index."""
        text = (self.root / ".one_root").read_text(encoding="utf-8")
        return [line.partition("\t")[0] for line in text.splitlines()]

    def check(self, files: Mapping[str, bytes]) -> None:
        """Every file is there once, whole and in the index, and nothing else is."""
        assert self.files() == dict(files), self.proxy.log()
        assert self.index() == sorted(files), self.index()
        assert self.leftovers() == [], self.leftovers()

    def check_nothing_wrong(self, *contents: Mapping[str, bytes]) -> None:
        """Under no name that the index has lies anything but a content that it was meant to have."""
        there = self.files()
        for path in self.index() if (self.root / ".one_root").exists() else []:
            assert any(there[path] == files.get(path) for files in contents), path


def _is_beside(path: str) -> bool:
    """Tell whether something is no data: hidden, or a temporary file of an upload."""
    return is_part(path) or any(name.startswith(".") for name in path.split("/"))
