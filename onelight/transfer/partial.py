"""The file that lies beside its target until it is whole.

Its name, ``.NAME.FINGERPRINT.part``, is hidden and not ALF, so that no scan takes it for a dataset. The fingerprint
is of what is expected, so that a file that was replaced on the server does not continue the old one. Whoever works on
a partial file owns it by renaming it first (``.NAME.FINGERPRINT.HOST-PID-RANDOM.part``): a rename has one winner on
every file system, also where locks lie (huggingface_hub, pull request 4306). A partial file whose process died on this
machine is taken over by the next that comes; one of another machine, of which nobody can tell, after six hours. What
is known of the server's copy (its ETag) lies in a ``.json`` file that moves along.

Should a living owner lose its file all the same, it does no harm: bytes are thrown away by beginning a new file, never
by shortening this one, and before each answer is written it is looked whether the file is still one's own.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import os
import secrets
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from onelight.index import Entry

# Names of one's own: a random number for each would cost more than the rest of the name.
_NUMBERS = itertools.count(secrets.randbits(32))
# Where it cannot be seen whether the owner lives (another machine, Windows), a file untouched for so long is an orphan:
# longer than any pause that a server may ask for.
_ORPHAN_AFTER = 6 * 3600.0


class Partial:
    """One partial file, owned by this process from :meth:`claim` to :meth:`release` or :meth:`commit`.

    Parameters
    ----------
    target : Path
        Where the whole file will be.
    expected : str
        What is known of its content, as text.
    """

    def __init__(self, target: Path, expected: str) -> None:
        self._target = target
        self._stem = _stem(target, expected)
        self._others: list[Path] = []
        self.path = self._own_path()
        self.stream: IO[bytes] | None = None

    def claim(self) -> dict[str, str]:
        """Take over what is left of an earlier try, or begin; return what is known of the server's copy."""
        self._target.parent.mkdir(parents=True, exist_ok=True)
        claimed = False
        for left in self._left_behind():
            if claimed:
                self._others.append(left)
                continue
            try:
                left.rename(self.path)
            except OSError:
                continue  # somebody else was faster
            with contextlib.suppress(OSError):
                left.with_suffix(".json").rename(self.path.with_suffix(".json"))
            claimed = True
        self.stream = self.path.open("r+b" if claimed else "x+b")
        try:
            known = json.loads(self.path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}

    def remember(self, known: dict[str, str]) -> None:
        """Keep what is known of the server's copy, for whoever continues."""
        self.path.with_suffix(".json").write_text(json.dumps(known), encoding="utf-8")

    def is_own(self) -> bool:
        """Tell whether the open file is still the one of this name, and nobody took it over."""
        if self.stream is None:
            return False
        try:
            return os.path.samestat(os.fstat(self.stream.fileno()), self.path.stat())
        except OSError:
            return False

    def restart(self) -> None:
        """Begin a new, empty file; the old one is removed if it is still one's own."""
        if self.is_own():
            self.discard()
        else:
            self._close()
        self.path = self._own_path()
        self.stream = self.path.open("x+b")

    def release(self) -> None:
        """Close it and leave it for the next try; one without a byte is removed."""
        if self.stream is None:
            return
        with contextlib.suppress(OSError):  # on a full disk the last block stays behind; what is there is right
            self._close()
        try:
            if self.path.stat().st_size == 0:
                self.discard()
                return
        except FileNotFoundError:
            return  # somebody took it over
        free = self._target.with_name(f"{self._stem}.part")
        self.path.replace(free)
        with contextlib.suppress(FileNotFoundError):
            self.path.with_suffix(".json").replace(free.with_suffix(".json"))

    def discard(self) -> None:
        """Close and remove it."""
        self._close()
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".json").unlink(missing_ok=True)

    def commit(self) -> None:
        """Make it durable and give it its name: the bytes first, then the name, then the folder."""
        if self.stream is not None:
            self.stream.flush()
            os.fsync(self.stream.fileno())
        self._close()
        _replace(self.path, self._target)
        for left in (self.path, *self._others):
            left.with_suffix(".json").unlink(missing_ok=True)
        for left in self._others:
            left.unlink(missing_ok=True)
        if os.name == "posix":
            folder = os.open(self._target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _close(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.close()

    def _own_path(self) -> Path:
        return self._target.with_name(f"{self._stem}.{_owner()}.part")

    def _left_behind(self) -> list[Path]:
        """Return partial files of the same content that nobody works on, the longest first."""
        found = []
        with os.scandir(self._target.parent) as items:
            for item in items:
                if item.name.startswith(self._stem) and item.name.endswith(".part"):
                    with contextlib.suppress(OSError):
                        owner = item.name[len(self._stem) : -len(".part")].lstrip(".")
                        if not owner or is_orphan(owner, item.stat().st_mtime):
                            found.append((item.stat().st_size, Path(item.path)))
        return [path for _, path in sorted(found, reverse=True)]


def expectation(entry: Entry) -> str:
    """Return what is known of the content of an entry, as text."""
    return f"{entry.size} {entry.md5}"


def own_name(target: Path, entry: Entry) -> str:
    """Return the path of a partial file of one's own, as text: there may be many."""
    return f"{target.parent}{os.sep}{_stem(target, expectation(entry))}.{_owner()}.part"


def begun(targets: Iterable[Path]) -> set[Path]:
    """Return those of many targets of which partial files lie there; each folder is read once."""
    names: dict[Path, list[str]] = {}
    found = set()
    for target in targets:
        if target.parent not in names:
            try:
                there = os.listdir(target.parent)  # noqa: PTH208 - names are enough
            except OSError:
                there = []
            names[target.parent] = [name for name in there if name.startswith(".") and name.endswith(".part")]
        if any(name.startswith(f".{_short(target.name)}.") for name in names[target.parent]):
            found.add(target)
    return found


def _stem(target: Path, expected: str) -> str:
    fingerprint = hashlib.md5(expected.encode()).hexdigest()[:8]
    return f".{_short(target.name)}.{fingerprint}"


def _short(name: str) -> str:
    """Return a name, or its checksum where it leaves no room for more: 255 bytes are the most a name may have."""
    return name if len(name.encode()) < 160 else hashlib.md5(name.encode()).hexdigest()


def _owner() -> str:
    return f"{_machine()}-{os.getpid()}-{next(_NUMBERS) & 0xFFFFFFFF:08x}"


def left_of(target: Path) -> int:
    """Return the bytes of partial files of a target that are there already."""
    with contextlib.suppress(OSError), os.scandir(target.parent) as items:
        return sum(
            item.stat().st_size
            for item in items
            if item.name.startswith(f".{_short(target.name)}.") and item.name.endswith(".part")
        )
    return 0


def is_orphan(owner: str, modified: float) -> bool:
    """Tell whether nobody works on a partial file of this owner any more."""
    machine, _, pid = owner.rpartition("-")[0].rpartition("-")
    if machine == _machine() and pid.isdecimal() and os.name == "posix":
        if int(pid) == os.getpid():
            return False
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False
    return time.time() - modified > _ORPHAN_AFTER


@functools.cache
def _machine() -> str:
    """Return a short name of what process numbers belong to: this host, and on Linux this namespace of processes."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - a text, not a path
    except OSError:
        namespace = ""
    return hashlib.md5(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:12]


def _replace(path: Path, target: Path) -> None:
    """Give a file its name; on Windows somebody who reads the old one may be in the way for a moment."""
    for attempt in range(5):
        try:
            os.replace(path, target)  # noqa: PTH105 - the one call whose atomicity everything rests on
        except PermissionError:
            if os.name != "nt" or attempt == 4:
                raise
            time.sleep(0.1 * 2**attempt)
        else:
            return
