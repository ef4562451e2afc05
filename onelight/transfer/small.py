"""Many small files: fetched into memory without a thread for each, compared, and made durable in batches.

This is the quick way for what goes well, which is nearly everything: one answer of status 200 with the size and md5
that the index states. Whatever else comes of a file is left to :mod:`onelight.transfer.download`, which continues,
repeats, tries the other routes and tells what was wrong. Nothing gets its name before its bytes are on the disk: a
batch is written under partial names, flushed at once, and only then renamed (one flush for 256 files costs what one
for each of three would; docs/benchmarks.md).
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from onelight.client import Client, Response
from onelight.errors import NoSpace
from onelight.repository import Repository
from onelight.transfer.ledger import Ledger
from onelight.transfer.outcome import Outcome, Progress, Status, Verified
from onelight.transfer.partial import own_name
from onelight.transfer.plan import Fetch

#: Bytes; a larger file is worth a thread of its own, and continuing.
SMALL = 1 << 20
_BATCH_FILES = 256
_BATCH_BYTES = 32 << 20
# Bytes on their way or in memory; the disk is not left behind further than this.
_PENDING = 64
# After so many files in a row that did not go well the rest is left to the thorough way at once.
_FAILED = 16


@dataclass(frozen=True, slots=True)
class _Written:
    step: Fetch
    path: str
    md5: str


def is_small(step: Fetch) -> bool:
    """Tell whether a file can take the quick way: it is small, and size and md5 are stated."""
    entry = step.entry
    return entry.md5 is not None and entry.size is not None and 0 < entry.size <= SMALL


class SmallFiles:
    """Fetches small files; what does not go well at once is handed back.

    Parameters
    ----------
    repository, client, ledger, watcher
        As for a download.
    stopped : threading.Event
        Set when the run is to end.
    leave : callable
        Given every step that is left to the thorough way.
    """

    def __init__(
        self,
        repository: Repository,
        client: Client,
        ledger: Ledger,
        watcher: Progress,
        stopped: threading.Event,
        leave: Callable[[Fetch], None],
    ) -> None:
        self._repository = repository
        self._client = client
        self._ledger = ledger
        self._watcher = watcher
        self._stopped = stopped
        self._leave = leave
        self._arrived: queue.SimpleQueue[tuple[Fetch, bytes] | None] = queue.SimpleQueue()
        self._folders: set[str] = set()
        self._failed = 0
        self._failure: BaseException | None = None
        self.outcomes: list[Outcome] = []

    def run(self, steps: Iterable[Fetch], parallel: int) -> None:
        """Fetch these; return when each has an outcome or was handed back."""
        room = threading.Semaphore(parallel + _PENDING)
        writer = threading.Thread(target=self._write_all, args=(room,), name="onelight-writer")
        writer.start()
        try:
            for step in steps:
                room.acquire()
                if self._stopped.is_set():
                    room.release()
                    break
                if self._failed >= _FAILED:  # a server in trouble is not asked twice for everything
                    self._leave(step)
                    room.release()
                else:
                    self._ask(step, room)
            for _ in range(parallel + _PENDING):  # wait until all have arrived
                room.acquire()
        finally:
            self._arrived.put(None)
            writer.join()
        if self._failure is not None:
            raise self._failure

    def _ask(self, step: Fetch, room: threading.Semaphore) -> None:
        source = self._repository.source(step.entry)
        size, md5 = step.entry.size, step.entry.md5

        def done(response: Response | None) -> None:
            body = response.body if response is not None else b""
            if response is None or len(body) != size or hashlib.md5(body).hexdigest() != md5:
                self._failed += 1
                self._leave(step)
                room.release()
            else:
                self._failed = 0
                self._arrived.put((step, body))

        if isinstance(source, tuple) and source:
            self._watcher.start(step.entry.path, size)
            self._client.collect(source[0], size or 0, done)
        else:
            done(None)

    def _write_all(self, room: threading.Semaphore) -> None:
        try:
            self._write_batches(room)
        except BaseException as error:  # noqa: BLE001 - raised by run, which would otherwise wait for this thread
            self._failure = error
            while self._arrived.get() is not None:
                room.release()

    def _write_batches(self, room: threading.Semaphore) -> None:
        """Write what arrived, and give a batch its names when it is full or nothing more is waiting."""
        batch: list[_Written] = []
        size = 0
        while True:
            try:
                item = self._arrived.get(timeout=0.05 if batch else None)
            except queue.Empty:
                self._commit(batch)
                batch, size = [], 0
                continue
            if item is None:
                self._commit(batch)
                return
            step, body = item
            try:
                written = self._write(step, body)
            finally:  # whatever comes of it, nobody must wait for its place
                room.release()
            if written is None:
                self._leave(step)
                continue
            batch.append(written)
            size += len(body)
            if len(batch) >= _BATCH_FILES or size >= _BATCH_BYTES:
                self._commit(batch)
                batch, size = [], 0

    def _write(self, step: Fetch, body: bytes) -> _Written | None:
        """Write one file under a partial name; None if the disk does not take it, which the thorough way then tells."""
        path = own_name(step.target, step.entry)
        try:
            folder = os.path.dirname(path)  # noqa: PTH120 - once per file; a tenth of the time of pathlib's
            if folder not in self._folders:
                os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as above
                self._folders.add(folder)
            with open(path, "xb", buffering=0) as stream:  # noqa: PTH123 - as above
                whole = stream.write(body) == len(body)
        except OSError:
            whole = False
        if not whole:
            _remove(path)
            return None
        return _Written(step, path, str(step.entry.md5))

    def _commit(self, batch: list[_Written]) -> None:
        """Flush a batch, then name its files: what has its name is on the disk."""
        if not batch:
            return
        try:
            flush([written.path for written in batch])
        except OSError:
            for written in batch:
                _remove(written.path)
                self._leave(written.step)
            return
        named = []
        for written in batch:
            try:
                os.replace(written.path, written.step.target)  # noqa: PTH105 - as above
            except OSError:
                _remove(written.path)
                self._leave(written.step)
            else:
                named.append(written)
        self._ledger.record_all([(each.step.entry.path, each.step.target, each.md5) for each in named])
        for each in named:
            entry = each.step.entry
            self._watcher.advance(entry.path, entry.size or 0)
            outcome = Outcome(entry.path, each.step.target, Status.DONE, entry.size or 0, Verified.MD5)
            self.outcomes.append(outcome)
            self._watcher.finish(outcome)

    def flush_folders(self) -> None:
        """Make the names durable, too, before anybody is told that all is done."""
        try:
            flush(sorted(self._folders))
        except OSError as error:
            raise NoSpace(f"the folders of the data could not be flushed: {error}", hint="Check the disk") from error


def flush(paths: list[str]) -> None:
    """Bring files or folders to the disk.

    On Linux one call flushes the whole file system; elsewhere, and for a few, each is flushed for itself.
    """
    if len(paths) > 16 and (sync := _syncfs()) is not None:
        handle = os.open(paths[0], os.O_RDONLY)
        try:
            if sync(handle) == 0:
                return
        finally:
            os.close(handle)
    if os.name == "nt":
        paths = [path for path in paths if not Path(path).is_dir()]  # Windows flushes no folders
    with ThreadPoolExecutor(8, "onelight-flush") as pool:
        list(pool.map(_flush_one, paths))


def _flush_one(path: str) -> None:
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@functools.cache
def _syncfs() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "syncfs", None)
    return found


def _remove(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108 - as above
    except OSError:
        return  # it was never made, or the disk is gone: nothing that could be taken for a dataset
