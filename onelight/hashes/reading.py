"""Reading files for their md5; as a program, a process that does it for another one.

Python runs one thread at a time, and for small files opening and closing costs more than the md5: only processes read
them on all cores. This file is such a process (``python -I -S reading.py``). It imports nothing but the standard
library, so that it starts in some 20 ms, needs no environment, and does not run the program of its user again.

What is asked: the length in four bytes, and as many bytes: a folder and names below it, with NUL between. The answer:
the length, and a row for each file in turn (:func:`read`).
"""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator

#: In the place of the size.
FAULTS = FAILED, CHANGED = "failed", "changed"
BLOCK = 1 << 20
_SMALL = 1 << 16
#: Time stamps are as coarse as two seconds (FAT): a file that was written so short a time ago may be written again
#: without a trace, and is not remembered.
_COARSE = 2_000_000_000
# A pipe in the place of a file must not be waited for.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Stopped(Exception):
    """Nobody wants to know any more."""


def identify(found: os.stat_result) -> tuple[int, str]:
    """Return the number and the stamp of a file."""
    # Inodes that were made one after the other are neighbours in the cache as well; devices are far from each other.
    number = (found.st_ino + found.st_dev * 0x9E3779B97F4A7C15) & 0x7FFFFFFFFFFFFFFF
    return number, f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def read(path: str | bytes, is_stopped: Callable[[], bool]) -> str:
    """Read a file, and return a row; what fails stands in it, so that other files are read all the same.

    Returns
    -------
    str
        With tabs between: size, md5, and number and stamp if the file may be remembered; or what failed, and why.

    Raises
    ------
    Stopped
        If it was stopped in the middle.
    """
    try:
        handle = os.open(path, _FLAGS)
        try:
            block = os.read(handle, _SMALL)
            found = os.fstat(handle)
            young = time.time_ns() - _COARSE
            # Nobody has written to it since long before it was read, and it was read in one piece.
            if found.st_size == len(block) < _SMALL and found.st_mtime_ns < young and found.st_ctime_ns < young:
                md5 = hashlib.md5(block).hexdigest()
            else:
                found, md5 = _read_on(handle, block, is_stopped)
        finally:
            os.close(handle)
    except OSError as error:
        return f"{FAILED}\t{error.strerror or type(error).__name__}"
    if not md5:
        return f"{CHANGED}\t"
    if not stat.S_ISREG(found.st_mode):
        return f"{FAILED}\tit is no file any more"
    # Whoever puts the time of modification back leaves the time of change.
    is_old = found.st_mtime_ns < young and found.st_ctime_ns < young
    number, stamp = identify(found) if is_old else ("", "")
    return f"{found.st_size}\t{md5}\t{number}\t{stamp}"


def _read_on(handle: int, block: bytes, is_stopped: Callable[[], bool]) -> tuple[os.stat_result, str]:
    """Read a file that is large or new, from its beginning; an empty md5 means that it changed meanwhile."""
    before = os.fstat(handle)
    if stat.S_ISREG(before.st_mode):
        os.lseek(handle, 0, os.SEEK_SET)
    md5 = hashlib.md5()
    size = 0
    while block := os.read(handle, BLOCK):
        if is_stopped():
            raise Stopped
        md5.update(block)
        size += len(block)
        if size > before.st_size:
            break
    after = os.fstat(handle)
    same = (after.st_size, after.st_mtime_ns, after.st_ctime_ns) == (size, before.st_mtime_ns, before.st_ctime_ns)
    return after, md5.hexdigest() if same else ""


def read_all(folder: str, names: Iterable[str], is_stopped: Callable[[], bool]) -> list[str]:
    """Read files below a folder."""
    return [read(folder + name, is_stopped) for name in names]


def pack(folder: str, names: Iterable[str]) -> bytes:
    """Return the question for files below a folder."""
    return _with_length(os.fsencode("\0".join([folder, *names])))


def unpack(answer: bytes) -> list[str]:
    """Return the rows of an answer."""
    return answer.decode().split("\n")


def _with_length(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def _serve() -> None:
    """Answer until nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asks
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(length := asked.read(4)) == 4:
        # Names stay bytes: what they mean as text depends on the environment of who asks.
        folder, *names = asked.read(int.from_bytes(length, "big")).split(b"\0")
        answers.write(_with_length("\n".join(_read_here(folder, names)).encode(errors="replace")))
        answers.flush()


def _read_here(top: bytes, names: Iterable[bytes]) -> Iterator[str]:
    """Read files from the folder they are in, to which the system then need not find its way for each of them."""
    here: bytes | None = None
    for path in names:
        folder, _, name = path.rpartition(b"/")
        if folder != here:
            try:
                os.chdir(top + folder)
            except OSError as error:
                yield f"{FAILED}\t{error.strerror}"
                continue
            here = folder
        yield read(name, _never)


def _never() -> bool:
    return False


if __name__ == "__main__":
    _serve()
