"""Who reads: threads for large files, whose md5 is made beside Python, and processes for many small ones."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from onelight import threads
from onelight.errors import Interrupted
from onelight.hashes import reading
from onelight.notes import log

#: From so many files on, a process is worth the handing over.
_MANY = 64


class Crew:
    """As many threads as there are cores, each with a process at hand once there is much to read."""

    def __init__(self) -> None:
        self.size = _cores()
        self._pool = threads.pool(self.size, "onelight-md5")
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._idle: list[subprocess.Popen[bytes]] = []
        # In a program that is one file, the executable is not Python but that program: it would run once more.
        self._is_alone = not sys.executable or bool(getattr(sys, "frozen", False))

    def read(self, folder: str, names: Sequence[str]) -> Future[list[str]]:
        """Begin to read files below a folder."""
        return self._pool.submit(self._read, folder, names)

    def close(self) -> None:
        """End at once whatever is under way."""
        self._stopped.set()
        with self._lock:
            for process in self._processes:
                process.kill()
        self._pool.shutdown(cancel_futures=True)
        for process in self._processes:
            _let_go(process)

    def _read(self, folder: str, names: Sequence[str]) -> list[str]:
        process = self._take() if len(names) >= _MANY else None
        if process is not None:
            try:
                found = _ask(process, folder, names)
            except (OSError, ValueError) as error:
                if not self._stopped.is_set():  # it was killed: what it had is read here
                    log.info("a process that reads files ended (%s); it is done without", error)
                    self._is_alone = True
            else:
                self._idle.append(process)
                return found
        try:
            return reading.read_all(folder, names, self._stopped.is_set)
        except reading.Stopped:
            raise Interrupted("the reading of local files was stopped") from None

    def _take(self) -> subprocess.Popen[bytes] | None:
        """Return a process that has nothing to do; None where there can be none."""
        with self._lock:
            if self._is_alone or self._stopped.is_set():
                return None
            if self._idle:
                return self._idle.pop()
            try:
                process = subprocess.Popen(  # noqa: S603 - this Python, and a file of this package
                    [sys.executable, "-I", "-S", str(Path(reading.__file__))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            except OSError as error:  # Python is not where it was, or there can be no more processes
                log.info("no process can be started to read files (%s); threads do it", error)
                self._is_alone = True
                return None
            self._processes.append(process)
            return process


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ask(process: subprocess.Popen[bytes], folder: str, names: Sequence[str]) -> list[str]:
    """Let a process read files.

    Raises
    ------
    OSError, ValueError
        If it has ended.
    """
    if process.stdin is None or process.stdout is None:
        raise ValueError("it has no pipes")
    process.stdin.write(reading.pack(folder, names))
    process.stdin.flush()
    length = int.from_bytes(process.stdout.read(4), "big")
    found = reading.unpack(process.stdout.read(length))
    if len(found) != len(names):
        raise ValueError("it ended in the middle")
    return found


def _let_go(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # what was not written any more is not needed
                stream.close()
    process.wait()
