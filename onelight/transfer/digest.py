"""The md5 of a file while it comes, taken by a thread of its own so that network, disk and md5 overlap.

Of 2 GB the md5 alone takes three seconds, writing and receiving one each. Whoever does them one after the other takes
five. What was just written is read again, from the memory in which the system keeps it: that costs less than to hand
so many bytes from one thread of Python to another, and it does not matter in what order they came. Small files are not
worth a thread: it begins after the first megabyte.
"""

from __future__ import annotations

import errno
import hashlib
import threading
import time
from collections.abc import Callable

from onelight import threads

#: Bytes between two marks, and seconds.
STEP = 4 << 20
_SECONDS = 1.0
_BLOCK = 1 << 20
# Bytes that the md5 may be behind.
_BEHIND = 128 << 20


class Digest:
    """The md5 of the beginning of a file, as far as it is there.

    Parameters
    ----------
    read : callable
        Reads bytes of the file: from an offset, into a buffer; returns how many there were.
    mark : callable
        Told of the length and md5 of the beginning, every 4 MiB and every second.
    """

    def __init__(self, read: Callable[[int, memoryview], int], mark: Callable[[int, str], None]) -> None:
        self._read = read
        self._mark = mark
        self._md5 = hashlib.md5()
        self._length = 0
        self._marked = 0
        self._marked_at = time.monotonic()
        self._change = threading.Condition()
        self._given = 0
        self._buffer = memoryview(b"")
        self._thread: threading.Thread | None = None
        self._ended = False
        self._failure: BaseException | None = None

    def reread(self, length: int, marks: list[tuple[int, str]], *, believe: bool) -> int:
        """Read the beginning of a file again, and return how much of it can be believed.

        Parameters
        ----------
        length : int
            Bytes that are there.
        marks : list of (int, str)
            Lengths, and the md5 of all bytes up to there as it was when they came.
        believe : bool
            Whether what comes after the last mark counts, too: something else will tell whether it is right.
        """
        good, at_good = 0, self._md5.copy()
        for end, md5 in sorted(marks):
            if not self._length < end <= length:
                continue
            if not self._advance_to(end) or self._md5.hexdigest() != md5:
                believe = False
                break
            good, at_good = end, self._md5.copy()
        if believe and self._advance_to(length):
            good, at_good = self._length, self._md5
        self._md5, self._length, self._marked, self._given = at_good, good, good, good
        return good

    def add(self, count: int) -> None:
        """Take the next bytes of the file, which were written; waits if the md5 is too far behind."""
        with self._change:
            self._given += count
            if self._thread is None and self._given <= _BLOCK:
                self._read_to(self._given)
                return
            if self._thread is None:
                self._thread = threads.start(self._run, "onelight-md5")
            self._change.notify_all()
            while self.behind > _BEHIND and self._failure is None:
                self._change.wait()
            if self._failure is not None:
                raise self._failure

    @property
    def behind(self) -> int:
        """Bytes that are there and not yet in the md5."""
        return self._given - self._length

    def md5(self) -> str:
        """Return the md5 of all that was added, once it is known."""
        with self._change:
            while self._thread is not None and self.behind and self._failure is None:
                self._change.wait()
            if self._failure is not None:
                raise self._failure
            return self._md5.hexdigest()

    def end(self) -> None:
        """End the thread."""
        with self._change:
            self._ended = True
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                with self._change:
                    self._change.notify_all()
                    while not self.behind and not self._ended:
                        self._change.wait()
                    if self._ended:
                        return
                    end = min(self._given, self._marked + STEP)
                self._read_to(end)
                if self._length >= self._marked + STEP or time.monotonic() > self._marked_at + _SECONDS:
                    self._mark(self._length, self._md5.hexdigest())
                    self._marked, self._marked_at = self._length, time.monotonic()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that adds
            with self._change:
                self._failure = error
                self._change.notify_all()

    def _read_to(self, end: int) -> None:
        if not self._advance_to(end):
            raise OSError(errno.EIO, "what was written cannot be read again")

    def _advance_to(self, end: int) -> bool:
        """Read and add what was written; False if the file ends before."""
        while self._length < end:
            if not self._buffer:
                self._buffer = memoryview(bytearray(_BLOCK))
            count = self._read(self._length, self._buffer[: min(_BLOCK, end - self._length)])
            if not count:
                return False
            self._md5.update(self._buffer[:count])
            self._length += count
        return True
