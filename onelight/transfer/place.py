"""Folders below the data folder, opened so that no link leads anywhere else.

Whoever can write into a data folder (a careless archive, another user of a shared disk) could plant a link there, and
what is downloaded would land where it leads. So each folder is opened step by step from the data folder, which alone
may be a link of the user's own, and links are refused (``O_NOFOLLOW``); all that follows is done relative to the open
folder (``dir_fd``), so that exchanging a folder for a link between the look and the writing changes nothing. rclone
does the same since CVE-2026-54572. Windows has no such calls: there each step is looked at.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import stat
import sys
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from onelight import threads
from onelight.errors import UnsafeData

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_RELATIVE = os.open in os.supports_dir_fd and os.name == "posix"
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FILE = os.O_RDWR | _NO_LINK | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# Folders that are kept open: macOS lets a process have 256 files of all kinds.
_OPEN = 32
#: Errors that mean that the disk takes nothing more: of the disk, of a user's share of it, or of both.
DISK_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EROFS})
# Up to so many files or folders are flushed each for itself rather than with all else that waits for the disk.
_FEW = 16


class Folder:
    """An open folder; closed when nobody holds it any more.

    Parameters
    ----------
    path : str
        Where it is, for messages and for systems without ``dir_fd``.
    handle : int or None
        The open folder.
    """

    __slots__ = ("__weakref__", "_device", "_handle", "path")

    def __init__(self, path: str, handle: int | None) -> None:
        self.path = path
        self._handle = handle
        self._device = -1

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it, so that the disk can be taken away."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def create(self, name: str) -> int:
        """Make a new file, open for reading and writing; one that is there is an error."""
        return os.open(self._at(name), _FILE | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=self._handle)

    def open(self, name: str) -> int:
        """Open a file for reading and writing; a link is an error."""
        return os.open(self._at(name), _FILE, dir_fd=self._handle)

    def replace(self, name: str, new: str) -> None:
        """Rename a file; on Windows somebody who reads the old one may be in the way for a moment."""
        for attempt in range(5):
            try:
                os.replace(self._at(name), self._at(new), src_dir_fd=self._handle, dst_dir_fd=self._handle)
            except PermissionError:
                if os.name != "nt" or attempt == 4:
                    raise
                time.sleep(0.1 * 2**attempt)
            else:
                return

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._handle)

    def stat(self, name: str) -> os.stat_result:
        """Look at a file, or at a link itself."""
        return os.stat(self._at(name), dir_fd=self._handle, follow_symlinks=False)

    def names(self) -> list[str]:
        """Return what is in it."""
        if self._handle is None:
            return os.listdir(self.path)
        own = os.open(".", _FOLDER, dir_fd=self._handle)  # two that read one handle would share its position
        try:
            return os.listdir(own)
        finally:
            os.close(own)

    def flush(self) -> None:
        """Make the names in it durable; Windows knows no such thing."""
        if self._handle is not None:
            fsync(self._handle)

    def flush_disk(self) -> bool:
        """Flush the whole file system that it is on; False where that cannot be done."""
        sync = _syncfs()
        return sync is not None and self._handle is not None and sync(self._handle) == 0

    def device(self) -> int:
        """Return the number of the file system that it is on."""
        if self._device < 0:
            self._device = os.stat(self.path if self._handle is None else self._handle).st_dev
        return self._device

    def _at(self, name: str) -> str:
        return name if self._handle is not None else os.path.join(self.path, name)


class Folders:
    """The folders below a data folder.

    Parameters
    ----------
    root : Path
        The data folder; made if it is missing. It may itself be a link.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = Lock()
        self._open: OrderedDict[str, Folder] = OrderedDict()
        self._touched: set[str] = set()
        self._all: weakref.WeakSet[Folder] = weakref.WeakSet()

    def close(self) -> None:
        """Let go of every folder."""
        with self._lock:
            self._open.clear()
            for folder in list(self._all):
                folder.close()

    def of(self, path: str) -> Folder:
        """Return the folder of a file, made and opened.

        Parameters
        ----------
        path : str
            Path of the file below the data folder, with ``/``.

        Raises
        ------
        UnsafeData
            If a link or a file stands where a folder should be.
        OSError
            If the disk refuses.
        """
        below = path.rpartition("/")[0]
        with self._lock:
            found = self._open.get(below)
            if found is not None:
                self._open.move_to_end(below)
                return found
            found = self._enter(below)
            self._open[below] = found
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)
            return found

    def flush(self) -> None:
        """Make durable what was made in any of them.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        with self._lock:
            touched, self._touched = sorted(self._touched), set()
            done: set[int] = set()
            for number, below in enumerate(touched):
                folder = self._enter(below)
                try:
                    if len(touched) - number > _FEW and folder.device() not in done and folder.flush_disk():
                        done.add(folder.device())
                    if folder.device() not in done:
                        folder.flush()
                except OSError as error:
                    raise OSError(error.errno, error.strerror, folder.path) from error
            self._touched = set()

    def _enter(self, below: str) -> Folder:
        self._root.mkdir(parents=True, exist_ok=True)
        folder = Folder(str(self._root), os.open(self._root, _FOLDER) if _RELATIVE else None)
        walked: list[str] = []
        for name in below.split("/") if below else ():
            if self._make(folder, name):
                self._touched.add("/".join(walked))
            folder = self._step(folder, name)
            walked.append(name)
        self._touched.add(below)
        self._all.add(folder)
        return folder

    @staticmethod
    def _make(folder: Folder, name: str) -> bool:
        try:
            os.mkdir(folder._at(name), dir_fd=folder._handle)  # noqa: SLF001 - two classes of one thing
        except FileExistsError:
            return False
        return True

    @staticmethod
    def _step(folder: Folder, name: str) -> Folder:
        path = os.path.join(folder.path, name)
        refused = UnsafeData(
            f"{path} is a link or a file where a folder should be: nothing is written through it",
            hint="Move it away, or choose another folder (--output)",
        )
        if not _RELATIVE:
            if not stat.S_ISDIR(os.lstat(path).st_mode) or os.path.realpath(path) != os.path.join(
                os.path.realpath(folder.path), name
            ):
                raise refused
            return Folder(path, None)
        try:
            return Folder(path, os.open(name, _FOLDER | _NO_LINK, dir_fd=folder._handle))  # noqa: SLF001 - as above
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):  # the last is FreeBSD's word for a link
                raise refused from error
            raise


def flush(files: Sequence[tuple[Folder, str]]) -> None:
    """Bring files to the disk: on Linux by one call for all, elsewhere, and for a few, each for itself.

    Raises
    ------
    OSError
        If the disk does not take them.
    """
    left = list(files)
    if len(left) > _FEW:
        disks = {folder.device(): folder for folder, _ in left}
        flushed = {device for device, folder in disks.items() if folder.flush_disk()}
        left = [(folder, name) for folder, name in left if folder.device() not in flushed]
    if left:
        with threads.pool(8, "onelight-flush") as pool:
            list(pool.map(_flush_one, left))


def _flush_one(file: tuple[Folder, str]) -> None:
    folder, name = file
    handle = folder.open(name)
    try:
        fsync(handle)
    finally:
        os.close(handle)


def fsync(handle: int) -> None:
    """Bring a file to the disk; on macOS also out of the memory of the disk itself, which fsync there does not."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        with contextlib.suppress(OSError):  # a disk of the network does not know it
            fcntl.fcntl(handle, full)
            return
    os.fsync(handle)


@functools.cache
def _syncfs() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "syncfs", None)
    return found
