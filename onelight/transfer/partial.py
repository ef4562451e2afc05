"""The file that lies beside its target until it is whole.

Its name, ``.NAME.FINGERPRINT.part``, is hidden and not ALF, so that no scan takes it for a dataset. The fingerprint
is of what is expected, so that a file that was replaced on the server does not continue the old one. Whoever works on
a partial file owns it by renaming it first (``.NAME.FINGERPRINT.HOST-PID-RANDOM.part``): a rename has one winner on
every file system, also where locks lie (huggingface_hub, pull request 4306). A partial file whose process died on this
machine is taken over by the next that comes; one of another machine, of which nobody can tell, after six hours.

What is known of it lies in a ``.json`` file that moves along: a line with the ETag and size of the server's copy, and
then a line for every 4 MiB with the md5 of all up to there. A file that is continued is read from its beginning (the
state of an md5 cannot be kept) and believed as far as these lines agree.

Should a living owner lose its file all the same, it does no harm: bytes are thrown away by beginning a new file, never
by shortening this one, and before each answer is written it is looked whether the file is still one's own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from onelight import owners
from onelight.errors import Interrupted
from onelight.index import Entry
from onelight.transfer.place import Folder, fsync

# Names of one's own: a random number for each would cost more than the rest of the name.
# Where it cannot be seen whether the owner lives (another machine, Windows), a file untouched for so long is an orphan:
# longer than any pause that a server may ask for.
_ORPHAN_AFTER = 6 * 3600.0
# The most blocks that one call of the system takes (IOV_MAX of Linux and macOS).
_BLOCKS = 1024


@dataclass(slots=True)
class Known:
    """What is known of a partial file.

    Parameters
    ----------
    etag : str
        The strong ETag of the server's copy; empty where there is none.
    pieces : bool
        Whether bytes were written elsewhere than at the end, so that its length says nothing.
    marks : list of (int, str)
        Lengths, and the md5 of all bytes up to there.
    """

    etag: str = ""
    pieces: bool = False
    marks: list[tuple[int, str]] = field(default_factory=list)


class Partial:
    """One partial file, owned by this process from :meth:`claim` to :meth:`release` or :meth:`commit`.

    Parameters
    ----------
    folder : Folder
        Where the whole file will be.
    name : str
        Its name there.
    expected : str
        What is known of its content, as text.
    """

    def __init__(self, folder: Folder, name: str, expected: str) -> None:
        self._folder = folder
        self._target = name
        self._stem = _stem(name, expected)
        self._others: list[str] = []
        self._handle: int | None = None
        self._lock = threading.Lock()
        self.name = self._own_name()

    @property
    def path(self) -> str:
        """Where it is, for a message."""
        return os.path.join(self._folder.path, self.name)

    def claim(self) -> Known:
        """Take over what is left of an earlier try, or begin; return what is known of it."""
        claimed = False
        for left in self._left_behind():
            if claimed:
                self._others.append(left)
                continue
            try:
                self._folder.replace(left, self.name)
            except OSError:
                continue  # somebody else was faster
            with contextlib.suppress(OSError):
                self._folder.replace(_sidecar(left), _sidecar(self.name))
            claimed = True
        self._handle = self._folder.open(self.name) if claimed else self._folder.create(self.name)
        return self._recall()

    def remember(
        self, etag: str, size: int | None, *, pieces: bool = False, marks: Iterable[tuple[int, str]] = ()
    ) -> None:
        """Keep what is known of the server's copy, for whoever continues."""
        self._folder.remove(_sidecar(self.name))
        handle = self._folder.create(_sidecar(self.name))
        with open(handle, "w", encoding="utf-8") as stream:
            lines = [{"etag": etag, "size": size, "pieces": pieces}, *(list(mark) for mark in marks)]
            stream.write("".join(json.dumps(line) + "\n" for line in lines))

    def mark(self, length: int, md5: str) -> None:
        """Keep the md5 of the first bytes: so much can be believed, whatever a crash does to the rest."""
        try:
            handle = self._folder.open(_sidecar(self.name))
        except FileNotFoundError:
            return  # nothing is known of the server's copy, or somebody took the file over
        with open(handle, "r+", encoding="utf-8") as stream:
            stream.seek(0, os.SEEK_END)
            stream.write(json.dumps([length, md5]) + "\n")

    @property
    def size(self) -> int:
        """Bytes of the file as it is on the disk."""
        return os.fstat(self._opened()).st_size

    def read(self, offset: int, buffer: memoryview) -> int:
        """Read bytes that were written, and return how many; from any thread."""
        if hasattr(os, "preadv"):
            return os.preadv(self._opened(), [buffer], offset)
        with self._lock:
            os.lseek(self._opened(), offset, os.SEEK_SET)
            data = os.read(self._opened(), len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, offset: int, blocks: list[bytes]) -> None:
        """Write bytes at their place; from any thread."""
        left, end = blocks, offset + sum(map(len, blocks))
        while offset < end:
            if hasattr(os, "pwritev"):
                count = os.pwritev(self._opened(), left[:_BLOCKS], offset)
            else:
                with self._lock:
                    os.lseek(self._opened(), offset, os.SEEK_SET)
                    count = os.write(self._opened(), b"".join(left))
            offset += count
            if offset < end:
                left = _after(left, count)

    def is_own(self) -> bool:
        """Tell whether the open file is still the one of this name, and nobody took it over."""
        if self._handle is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._handle), self._folder.stat(self.name))
        except OSError:
            return False

    def restart(self) -> None:
        """Begin a new, empty file; the old one is removed if it is still one's own."""
        if self.is_own():
            self.discard()
        else:
            self._close()
        self.name = self._own_name()
        self._handle = self._folder.create(self.name)

    def release(self) -> None:
        """Close it and leave it for the next try; one without a byte is removed."""
        if self._handle is None:
            return
        self._close()
        try:
            if self._folder.stat(self.name).st_size == 0:
                self.discard()
                return
            free = f"{self._stem}.part"
            self._folder.replace(self.name, free)
        except FileNotFoundError:
            return  # somebody took it over
        with contextlib.suppress(FileNotFoundError):
            self._folder.replace(_sidecar(self.name), _sidecar(free))

    def discard(self) -> None:
        """Close and remove it."""
        self._close()
        self._folder.remove(self.name)
        self._folder.remove(_sidecar(self.name))

    def commit(self) -> None:
        """Make it durable and give it its name: the bytes first, then the name, then the folder."""
        fsync(self._opened())
        self._close()
        self._folder.replace(self.name, self._target)
        for left in (self.name, *self._others):
            self._folder.remove(_sidecar(left))
        for left in self._others:
            self._folder.remove(left)
        self._folder.flush()

    def _opened(self) -> int:
        if self._handle is None:
            raise Interrupted("the partial file is closed")
        return self._handle

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _own_name(self) -> str:
        return f"{self._stem}.{owners.owner()}.part"

    def _recall(self) -> Known:
        """Read what is known; whatever is damaged is not known."""
        known = Known()
        try:
            with open(self._folder.open(_sidecar(self.name)), encoding="utf-8") as stream:
                lines = [json.loads(line) for line in stream.read(1 << 24).split("\n")[:-1]]
        except (OSError, ValueError, RecursionError):
            return known
        if lines and isinstance(lines[0], dict):
            known.etag = str(lines[0].get("etag", ""))
            known.pieces = lines[0].get("pieces") is True
            known.marks = [
                (line[0], line[1])
                for line in lines[1:]
                if isinstance(line, list) and len(line) == 2 and isinstance(line[0], int) and isinstance(line[1], str)
            ]
        return known

    def _left_behind(self) -> list[str]:
        """Return partial files of the same content that nobody works on, the longest first."""
        found = []
        for name in self._folder.names():
            if name.startswith(self._stem) and name.endswith(".part"):
                with contextlib.suppress(OSError):
                    there = self._folder.stat(name)
                    owner = name[len(self._stem) : -len(".part")].lstrip(".")
                    if stat.S_ISREG(there.st_mode) and (not owner or is_orphan(owner, there.st_mtime)):
                        found.append((there.st_size, name))
        return [name for _, name in sorted(found, reverse=True)]


def _after(blocks: list[bytes], count: int) -> list[bytes]:
    """Return blocks without their first bytes."""
    for number, block in enumerate(blocks):
        if count < len(block):
            return [block[count:], *blocks[number + 1 :]]
        count -= len(block)
    return []


def _sidecar(name: str) -> str:
    return name.removesuffix(".part") + ".json"


def expectation(entry: Entry) -> str:
    """Return what is known of the content of an entry, as text."""
    return f"{entry.size} {entry.md5}"


def own_name(name: str, entry: Entry) -> str:
    """Return the name of a partial file of one's own."""
    return f"{_stem(name, expectation(entry))}.{owners.owner()}.part"


def begun(targets: Iterable[Path]) -> set[Path]:
    """Return those of many targets of which partial files lie there; each folder is read once."""
    names: dict[Path, list[str]] = {}
    found = set()
    for target in targets:
        if target.parent not in names:
            try:
                there = os.listdir(target.parent)
            except OSError:
                there = []
            names[target.parent] = [name for name in there if name.startswith(".") and name.endswith(".part")]
        if any(name.startswith(f".{_short(target.name)}.") for name in names[target.parent]):
            found.add(target)
    return found


def _stem(name: str, expected: str) -> str:
    fingerprint = hashlib.md5(expected.encode()).hexdigest()[:8]
    return f".{_short(name)}.{fingerprint}"


def _short(name: str) -> str:
    """Return a name, or its checksum where it leaves no room for more: 255 bytes are the most a name may have."""
    return name if len(name.encode()) < 160 else hashlib.md5(name.encode()).hexdigest()


def left_of(target: Path) -> int:
    """Return the bytes of partial files of a target that are there already."""
    with contextlib.suppress(OSError), os.scandir(target.parent) as items:
        return sum(
            _held(item.stat())
            for item in items
            if item.name.startswith(f".{_short(target.name)}.") and item.name.endswith(".part")
        )
    return 0


def _held(found: os.stat_result) -> int:
    """Return the bytes that a file takes: one that was written in pieces has holes."""
    return min(found.st_size, 512 * getattr(found, "st_blocks", found.st_size))


def is_orphan(owner: str, modified: float) -> bool:
    """Tell whether nobody works on a partial file of this owner any more."""
    alive = owners.is_alive(owner)
    if alive is not None:
        return not alive
    return time.time() - modified > _ORPHAN_AFTER
