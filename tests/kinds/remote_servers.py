"""Stores for the tests of the kind "remote", as they are installed: moto's S3 and sshd, each a process of its own.

Between a test and its store is a :class:`Wire`, which counts what goes through, and can be cut.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from onelight.index import INDEX_NAME

BUCKET = "lab-bucket"
SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")

needs_s3 = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("moto", "flask", "s3fs")),
    reason="moto[server] and s3fs are not installed",
)
needs_sshd = pytest.mark.skipif(
    os.name != "posix" or SSHD is None or importlib.util.find_spec("paramiko") is None,
    reason="sshd (openssh-server) or paramiko is not installed",
)

# On a port of its own choice, which it prints; it ends with whoever started it.
_MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class Wire:
    """A way to a port of this computer that counts what is asked, and can be cut."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        #: Bytes that went to the server, that came from it, and requests of HTTP that change something.
        self.asked = 0
        self.came = 0
        self.changes = 0
        #: Bytes that may still come from the server before it is cut, once.
        self.cut_after: int | None = None
        self.cuts = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def cut(self) -> None:
        """End every connection."""
        with self._lock:
            connections, self._open = self._open, []
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open += [near, far]
            ends = threading.Semaphore(0)
            for source, sink, told in ((near, far, self._count), (far, near, self._came)):
                thread = threading.Thread(target=self._pump, args=(source, sink, told, ends), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, told: Callable[[bytes], None], ends: threading.Semaphore
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                told(data)
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        if ends.acquire(blocking=False):  # the second of the two
            source.close()
            sink.close()
        else:
            ends.release()

    def _count(self, data: bytes) -> None:
        self.asked += len(data)
        self.changes += len(re.findall(rb"(?:PUT|POST|DELETE) /\S* HTTP/1.1\r\n", data))

    def _came(self, data: bytes) -> None:
        self.came += len(data)
        if self.cut_after is not None:
            self.cut_after -= len(data)
            if self.cut_after < 0:
                self.cut_after = None
                self.cuts += 1
                self.cut()
                raise OSError("cut")


class S3:
    """moto's S3; what a test does here goes to it over plain HTTP, without the libraries of the product."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _MOTO],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "AWS_ACCESS_KEY_ID": "mock", "AWS_SECRET_ACCESS_KEY": "mock"},
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """Send a request; the body of the answer."""
        # Without a type it would be a form, which moto reads in another way.
        headers = {"Content-Type": "application/octet-stream", "Authorization": "AWS owner:any", **headers}
        request = urllib.request.Request(f"{self.url}/{path}", data=body, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())

    def reset(self) -> None:
        self.ask("POST", "moto-api/reset", b"")
        self.ask("PUT", BUCKET)

    def put(self, key: str, content: bytes) -> None:
        self.ask("PUT", f"{BUCKET}/{quote(key)}", content)

    def all_keys(self) -> list[str]:
        """Return every key of the bucket."""
        found = ET.fromstring(self.ask("GET", f"{BUCKET}?list-type=2&max-keys=1000"))
        return [element.text or "" for element in found.iter() if element.tag.endswith("}Key")]

    def files(self, prefix: str) -> dict[str, bytes]:
        """Return every file below a prefix."""
        return {
            key.removeprefix(f"{prefix}/"): self.ask("GET", f"{BUCKET}/{quote(key)}")
            for key in self.all_keys()
            if key.startswith(f"{prefix}/")
        }

    def uploads(self) -> int:
        """How many uploads in parts have begun and not ended."""
        found = ET.fromstring(self.ask("GET", f"{BUCKET}?uploads"))
        return sum(element.tag.endswith("}Upload") for element in found.iter())


class Ssh:
    """A sshd with a key of its own and one for who runs the test, which gives SFTP and nothing else."""

    def __init__(self, folder: Path, largest: int | None = None) -> None:
        import pwd  # not on Windows, where there is no such sshd

        self.folder, self._largest = folder, largest
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.key, host_key = folder / "user_key", folder / "host_key"
        for path in (self.key, host_key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        self.host_line = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
        (folder / "authorized_keys").write_bytes(self.key.with_suffix(".pub").read_bytes())
        if os.getuid() == 0:  # the package of the system makes it when the service starts
            Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
        self.port = _free_port()
        (folder / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\nMaxStartups 100\nSubsystem sftp internal-sftp\n"
        )
        self.start()

    def _limit(self) -> None:
        """Let no file grow beyond a size, as if the disk were full; called in the process of the server."""
        import resource
        import signal

        if self._largest is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._largest, self._largest))

    def start(self) -> None:
        assert SSHD is not None
        self._process = subprocess.Popen(
            [SSHD, "-D", "-f", str(self.folder / "config"), "-E", str(self.folder / "log")],
            start_new_session=True,
            preexec_fn=self._limit,  # noqa: PLW1509 - no thread of this process holds anything that it wants
        )
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    log = self.folder / "log"
                    pytest.skip(f"sshd does not start here: {log.read_text() if log.exists() else ''}")
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def known_hosts(self, port: int) -> Path:
        """Return a file that says which server this is, as seen through a port."""
        path = self.folder / f"known_hosts-{port}"
        path.write_text(f"[127.0.0.1]:{port} {self.host_line}\n")
        return path

    def options(self, port: int) -> dict[str, object]:
        """Return what the product is told to be let in."""
        return {
            "known_hosts": str(self.known_hosts(port)),
            "key_filename": str(self.key),
            "look_for_keys": False,
            "allow_agent": False,
        }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def index_of(files: Mapping[str, bytes]) -> bytes:
    """Return the index of files, made by hand."""
    return "".join(f"{path}\n" for path in sorted(files)).encode()


def fill_folder(root: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder hold exactly these files and their index."""
    shutil.rmtree(root, ignore_errors=True)
    for path, content in {**files, INDEX_NAME: index_of(files)}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def files_of(root: Path) -> Iterator[Path]:
    """Yield what lies below a folder."""
    return (path for path in root.rglob("*") if path.is_file())
