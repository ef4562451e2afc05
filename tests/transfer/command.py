"""``onelight`` in processes of its own, a repository for it to download from, and disks for it to fail on.

=====================  =================================================================================
``Article``            a figshare article on a :class:`servers.WebServer`: sizes and md5s are stated
``begin``, ``run``     ``python -m onelight …``: begun, or begun and ended
``here``               the same command line in this process, in a tenth of the time, where the process plays no part
``calls``              fixture: ``calls.c`` compiled, for ``LD_PRELOAD``
``disk``               fixture: function ``(size)``, which mounts an empty disk of this size
``unprivileged``       what stands before a command so that the modes of files count for root as well
=====================  =================================================================================
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from servers import WebServer
from shelf import SESSION, leftovers

from onelight.config import Config, Settings

CHECKOUT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="signals, modes and limits of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="mounts and LD_PRELOAD of Linux")


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


@dataclass
class Article:
    """An article that a server shares, and the folder of a computer that its files land in.

    Parameters
    ----------
    server : WebServer
        The figshare.
    folder : Path
        Where ``--output`` points to.
    contents : dict
        Content by name below ``alf`` of the one session there is.
    """

    server: WebServer
    folder: Path
    contents: dict[str, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        config = Config.load()
        config.add(Settings("figs", "figshare", {"article_id": 7, "api_url": f"{self.server.url}/v2"}))
        config.choose("figs")

    def share(self, contents: Mapping[str, bytes]) -> None:
        """Add files, and list them as figshare does."""
        self.contents.update(contents)
        rows = []
        for number, (name, content) in enumerate(self.contents.items(), 1):
            self.server.files[f"/get/{name}"] = content
            md5 = hashlib.md5(content).hexdigest()
            row = {"id": number, "name": f"{SESSION}/alf/{name}".replace("/", "~"), "size": len(content)}
            row |= {"status": "available", "computed_md5": md5, "download_url": self.server.url + quote(f"/get/{name}")}
            rows.append(row)
        self.server.files["/v2/articles/7/files"] = json.dumps(rows).encode()
        self.server.files["/v2/articles/7"] = b'{"folder_structure": {}}'

    @property
    def arguments(self) -> list[str]:
        """The command that downloads all of it."""
        return ["download", SESSION, "--output", str(self.folder)]

    def target(self, name: str) -> Path:
        return self.folder / SESSION / "alf" / name

    def wrong(self) -> list[str]:
        """Return the names that are taken by something other than their file."""
        there = {name: self.target(name) for name in self.contents if os.path.lexists(self.target(name))}
        return [name for name, path in there.items() if path.read_bytes() != self.contents[name]]

    def missing(self) -> list[str]:
        return [name for name in self.contents if not self.target(name).exists()]

    def asked(self) -> list[str]:
        """Return the files that were asked for, in order."""
        return [seen.path[5:] for seen in self.server.requests if seen.path.startswith("/get/")]

    def held(self) -> int:
        """Return the bytes in partial files."""
        size = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                if name.startswith(".") and name.endswith(".part"):
                    with contextlib.suppress(FileNotFoundError):  # it has just got its name
                        size += os.stat(os.path.join(folder, name)).st_size  # noqa: PTH116, PTH118 - as os.walk does
        return size

    def check_done(self, **how: Any) -> Ended:
        """Run the command once more: everything is there and right, and nothing else is."""
        self.server.heal()
        done = run(*self.arguments, "--json", **how) if how else here(*self.arguments, "--json")
        assert done.code == 0, done.err
        assert (self.wrong(), self.missing(), leftovers(self.folder)) == ([], [], [])
        return done


def begin(
    *arguments: str | Path,
    env: Mapping[str, str | None] | None = None,
    before: Sequence[str] = (),
    stdin: Any = subprocess.DEVNULL,
    stdout: Any = subprocess.PIPE,
    stderr: Any = subprocess.PIPE,
    **more: Any,
) -> subprocess.Popen[bytes]:
    """Begin a command; ``env`` changes the environment (None: takes out), ``before`` stands before the command."""
    changed = {**os.environ, **(env or {})}
    return subprocess.Popen(
        [*before, sys.executable, "-m", "onelight", *map(str, arguments)],
        cwd=CHECKOUT,
        env={name: value for name, value in changed.items() if value is not None},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        **more,
    )


def end(process: subprocess.Popen[bytes], seconds: float = 30) -> Ended:
    """Wait for the end of a command."""
    with process:
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException:
            process.kill()
            raise
    ended = Ended(process.returncode, (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace"))
    assert "Traceback" not in ended.err, ended.err
    return ended


def run(*arguments: str | Path, seconds: float = 30, **how: Any) -> Ended:
    """Begin a command and wait for its end."""
    return end(begin(*arguments, **how), seconds)


def here(*arguments: str | Path) -> Ended:
    """Run a command in this process."""
    from onelight.cli import run as run_here

    logger = logging.getLogger("onelight")
    out, err = io.StringIO(), io.StringIO()
    handlers, propagate = list(logger.handlers), logger.propagate
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_here([*map(str, arguments)])
    finally:
        logger.handlers, logger.propagate = handlers, propagate
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return Ended(code, out.getvalue(), err.getvalue())


def wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something is true."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def calls(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Compile ``calls.c``, and return what ``LD_PRELOAD`` is to be."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("calls") / "calls.so"
    source = Path(__file__).with_name("calls.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl", "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"calls.c cannot be compiled here: {done.stderr[:200]}")
    return str(library)


def unprivileged() -> list[str]:
    """Return what makes root one whom the modes and owners of files concern; empty for anybody else."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv")
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search,-fowner,-sys_resource"]


@dataclass(frozen=True)
class Disk:
    """A disk of its own.

    Parameters
    ----------
    folder : Path
        Where it is for a command; as the test sees it, ``seen``.
    before : list of str
        What stands before a command that is to see it.
    """

    folder: Path
    seen: Path
    before: list[str]

    def remount(self, options: str) -> None:
        subprocess.run([*self.before, "mount", "-o", f"remount,{options}", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Disk]]:
    """Mount disks in memory: as root, or else in a namespace of one's own."""
    mounted: list[Path] = []
    holders: list[subprocess.Popen[bytes]] = []

    def mount(size: str) -> Disk:
        folder = tmp_path / f"disk{len(mounted) + len(holders)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if sys.platform != "linux":
            pytest.skip("disks in memory are of Linux")
        if os.geteuid() == 0:
            if subprocess.run(command, check=False, capture_output=True).returncode:
                pytest.skip("nothing can be mounted here")
            mounted.append(folder)
            return Disk(folder, folder, [])
        if not (shutil.which("unshare") and shutil.which("nsenter")):
            pytest.skip("a disk can be mounted by root, or with unshare and nsenter")
        script = f'mount -t tmpfs -o size={size} tmpfs "$0" && echo mounted && exec sleep 600'
        holder = subprocess.Popen(
            ["unshare", "-r", "-m", "sh", "-c", script, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        holders.append(holder)
        assert holder.stdout is not None
        if holder.stdout.readline() != b"mounted\n":
            pytest.skip("nothing can be mounted here, not even in a namespace of one's own")
        number = str(holder.pid)
        before = ["nsenter", "-t", number, "-U", "-m", "--preserve-credentials", f"--wd={CHECKOUT}"]
        return Disk(folder, Path(f"/proc/{number}/root{folder}"), before)

    yield mount
    for holder in holders:
        holder.kill()
        holder.communicate()
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
