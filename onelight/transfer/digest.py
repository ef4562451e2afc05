"""The md5 of a file while it comes, taken by a thread of its own so that network, disk and md5 overlap.

Of 2 GB the md5 alone takes three seconds, writing and receiving one each. Whoever does them one after the other takes
five. Small files are not worth a thread: it begins after the first megabyte.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable

#: Bytes between two marks, and seconds.
STEP = 4 << 20
_SECONDS = 1.0
_BLOCK = 1 << 20
# Bytes that the md5 may be behind: in memory, and in all.
_HELD = 16 << 20
_BEHIND = 128 << 20


class Digest:
    """The md5 of the beginning of a file, as far as it is there.

    Parameters
    ----------
    read : callable
        Returns bytes of the file: offset, number.
    mark : callable
        Told of the length and md5 of the beginning, every 4 MiB and every second.
    """

    def __init__(self, read: Callable[[int, int], bytes], mark: Callable[[int, str], None]) -> None:
        self._read = read
        self._mark = mark
        self._md5 = hashlib.md5()
        self._length = 0
        self._marked = 0
        self._marked_at = time.monotonic()
        self._change = threading.Condition()
        self._work: deque[tuple[int, bytes | None]] = deque()
        self._given = 0
        self._held = 0
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
            return self._length
        self._md5, self._length, self._marked, self._given = at_good, good, good, good
        return good

    def add(self, length: int, data: bytes | None) -> None:
        """Take the next bytes of the file: those given, or, if they are None, those that were written there."""
        with self._change:
            if self._failure is not None:
                raise self._failure
            self._given += length
            if self._thread is None and self._given - self._length <= _BLOCK and data is not None:
                self._update(data)
                return
            self._work.append((length, data))
            self._held += len(data) if data is not None else 0
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="onelight-md5", daemon=True)
                self._thread.start()
            self._change.notify_all()
            while (self._held > _HELD or self.behind > _BEHIND) and self._failure is None:
                self._change.wait()

    @property
    def behind(self) -> int:
        """Bytes that are there and not yet in the md5."""
        return self._given - self._length

    def md5(self) -> str:
        """Return the md5 of all that was added, once it is known."""
        with self._change:
            while self.behind and self._failure is None:
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
                    while not self._work and not self._ended:
                        self._change.wait()
                    if self._ended:
                        return
                    length, data = self._work.popleft()
                if data is not None:
                    self._update(data)
                else:
                    self._advance_to(self._length + length)
                with self._change:
                    self._held -= len(data) if data is not None else 0
                    self._change.notify_all()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that adds
            with self._change:
                self._failure = error
                self._change.notify_all()

    def _advance_to(self, end: int) -> bool:
        """Read and add what was written; False if the file ends before."""
        while self._length < end and not self._ended:
            block = self._read(self._length, min(_BLOCK, end - self._length))
            if not block:
                return False
            self._update(block)
        self._given = max(self._given, self._length)
        return self._length == end

    def _update(self, data: bytes) -> None:
        self._md5.update(data)
        self._length += len(data)
        now = time.monotonic()
        if self._length >= self._marked + STEP or now > self._marked_at + _SECONDS:
            self._mark(self._length, self._md5.hexdigest())
            self._marked, self._marked_at = self._length, now
