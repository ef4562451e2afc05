"""Many small files: fetched into memory without a thread for each, compared, and made durable in batches.

This is the quick way for what goes well, which is nearly everything: one answer of status 200 with the size and md5
that the index states. Whatever else comes of a file is left to :mod:`onelight.transfer.download`, which continues,
repeats, tries the other routes and tells what was wrong. Nothing gets its name before its bytes are on the disk: a
batch is written under partial names, flushed at once, and only then renamed (one flush for 256 files costs what one
for each of three would; docs/benchmarks.md).

Who does what, and why: Python runs one thread at a time, and to hand 20 kB to another thread costs three times what
their md5 and their file cost. So the client's own thread compares, writes and renames the smallest files between two
looks at the network; larger ones, and all where the disk is slow, go to a few threads; flushing, which may take long,
always does.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from onelight import threads
from onelight.client import Client, Response, Wanted
from onelight.errors import OneError
from onelight.repository import Repository
from onelight.transfer.ledger import Ledger
from onelight.transfer.outcome import Outcome, Progress, Status, Verified
from onelight.transfer.partial import own_name
from onelight.transfer.place import DISK_FULL, Folder, Folders, flush
from onelight.transfer.plan import Fetch

#: Bytes; a larger file is worth a thread of its own, and continuing.
SMALL = 1 << 20
# Bytes; up to so many are compared and written by the thread of the client, if that takes less than so many seconds,
# which is the middle of the last few; where it takes longer one of so many is tried all the same.
_AT_ONCE = 1 << 16
_SLOW = 0.002
_LAST_FEW = 9
_TRIED = 32
_BATCH_FILES = 256
_BATCH_BYTES = 32 << 20
_BATCH_FOLDERS = 32
_BATCH_SECONDS = 2.0
# Bytes that were asked for and have no name yet: the disk is not left behind further than this.
_PENDING = 64 << 20
# After so many files in a row that did not go well the rest is left to the thorough way at once.
_FAILED = 16
_REFUSED = frozenset({401, 403, 404, 410, 451})


@dataclass(frozen=True, slots=True)
class _Written:
    step: Fetch
    folder: Folder
    part: str
    name: str


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
    folders : Folders
        The data folder.
    stopped : threading.Event
        Set when the run is to end.
    leave : callable
        Given every step that is left to the thorough way, or else the answer that refuses it for good.
    """

    def __init__(
        self,
        repository: Repository,
        client: Client,
        ledger: Ledger,
        folders: Folders,
        watcher: Progress,
        stopped: threading.Event,
        leave: Callable[[Fetch, Response | None], None],
    ) -> None:
        self._repository = repository
        self._client = client
        self._ledger = ledger
        self._folders = folders
        self._watcher = watcher
        self._stopped = stopped
        self._leave = leave
        self._failed = 0
        self._refused = False
        self._costs: deque[float] = deque(maxlen=_LAST_FEW)
        self._handed_on = 0
        self._began = 0.0
        self._batch: list[_Written] = []
        self._batch_size = 0
        self._batch_folders: set[Folder] = set()
        self._change = threading.Condition()
        self._pending = 0
        self._hungry = False
        self._working = 0
        self._failure: BaseException | None = None
        self.outcomes: list[Outcome] = []

    def run(self, steps: Sequence[Fetch]) -> None:
        """Fetch these; return when each has an outcome or was handed back."""
        if not steps:
            return
        with threads.pool(8, "onelight-small") as self._pool:
            try:
                self._client.gather(self._wanted(steps))
                self._settle()
            except BaseException:
                self._stopped.set()
                self._settle()  # what came whole gets its name
                raise
        if self._failure is not None:
            raise self._failure

    def _settle(self) -> None:
        """Wait until all that was written has its name."""
        while True:
            with self._change:
                while self._working:
                    self._change.wait()
                batch = self._take_batch()
            if not batch:
                return
            self._name(batch, _flushed(batch))

    # In the thread of the client

    def _wanted(self, steps: Sequence[Fetch]) -> Iterator[Wanted | None]:
        for step in steps:
            size = step.entry.size or 0
            while not self._make_room(size):
                yield None
            gone = self._failed >= _FAILED or self._refused or self._stopped.is_set()
            source = None if gone else self._repository.source(step.entry)
            if not isinstance(source, tuple) or not source:
                # A server or a disk in trouble is not troubled twice, and not all there is has an address.
                self._hand_back(step)
                continue
            self._watcher.start(step.entry.path, size)
            yield Wanted(source[0], size, functools.partial(self._arrived, step, len(source) == 1))

    def _make_room(self, size: int) -> bool:
        with self._change:
            if self._pending and self._pending + size > _PENDING and not self._stopped.is_set():
                self._hungry = True
                return False
            self._pending += size
            return True

    def _arrived(self, step: Fetch, is_last: bool, answer: Response | None) -> None:
        entry = step.entry
        body = answer.body if answer is not None and answer.status == 200 else b""
        if len(body) != entry.size:
            self._failed += 1
            # What is refused for good at its only address need not be asked for once more.
            refused = answer if is_last and answer is not None and answer.status in _REFUSED else None
            self._hand_back(step, refused)
        elif len(body) <= _AT_ONCE and self._is_quick():
            began = time.perf_counter()
            self._store(step, body)
            self._costs.append(time.perf_counter() - began)
        else:
            self._handed_on += 1
            with self._change:
                self._working += 1
            self._pool.submit(self._guard, self._store, step, body)

    def _is_quick(self) -> bool:
        """Tell whether the disk takes a small file at once; one of a network may take several milliseconds."""
        if len(self._costs) < _LAST_FEW or self._handed_on % _TRIED == _TRIED - 1:
            return True
        return sorted(self._costs)[_LAST_FEW // 2] < _SLOW

    # In either

    def _store(self, step: Fetch, body: bytes) -> None:
        """Compare one file and write it under a partial name; what the disk refuses is told by the thorough way."""
        if hashlib.md5(body).hexdigest() != step.entry.md5:
            self._failed += 1
            self._hand_back(step)
            return
        name = step.entry.path.rpartition("/")[2]
        part = own_name(name, step.entry)
        try:
            folder = self._folders.of(step.entry.path)
            handle = folder.create(part)
            try:
                whole = os.write(handle, body) == len(body)
            finally:
                os.close(handle)
            if not whole:
                folder.remove(part)
        except OneError:
            whole = False
        except OSError as error:
            whole, self._refused = False, error.errno in DISK_FULL
        if not whole:
            self._hand_back(step)
            return
        self._failed = 0
        self._add(_Written(step, folder, part, name))

    def _add(self, written: _Written) -> None:
        with self._change:
            if not self._batch:
                self._began = time.monotonic()
            self._batch.append(written)
            self._batch_size += written.step.entry.size or 0
            self._batch_folders.add(written.folder)
            if (
                len(self._batch) < _BATCH_FILES
                and self._batch_size < _BATCH_BYTES
                and len(self._batch_folders) < _BATCH_FOLDERS
                and time.monotonic() - self._began < _BATCH_SECONDS
            ):
                return
            batch = self._take_batch()
            self._working += 1
        self._pool.submit(self._guard, self._flush, batch)

    def _take_batch(self) -> list[_Written]:
        batch, self._batch = self._batch, []
        self._batch_size, self._batch_folders = 0, set()
        return batch

    def _flush(self, batch: list[_Written]) -> None:
        done = _flushed(batch)
        with self._change:
            self._working += 1
        self._client.call(functools.partial(self._guard, self._name, batch, done))

    def _name(self, batch: list[_Written], flushed: bool) -> None:
        """Give the files of a flushed batch their names: what has its name is on the disk."""
        named = []
        for written in batch:
            try:
                if flushed:
                    written.folder.replace(written.part, written.name)
                    named.append(written.step)
                    continue
                written.folder.remove(written.part)
            except OSError:
                pass  # told by the thorough way, which comes upon the same disk
            self._hand_back(written.step)
        self._ledger.record_all([(step.entry.path, step.target, str(step.entry.md5)) for step in named])
        for step in named:
            entry = step.entry
            self._watcher.advance(entry.path, entry.size or 0)
            outcome = Outcome(entry.path, step.target, Status.DONE, entry.size or 0, Verified.MD5)
            self.outcomes.append(outcome)
            self._watcher.finish(outcome)
        self._free(sum(step.entry.size or 0 for step in named))

    def _hand_back(self, step: Fetch, refused: Response | None = None) -> None:
        self._leave(step, refused)
        self._free(step.entry.size or 0)

    def _free(self, size: int) -> None:
        with self._change:
            self._pending -= size
            hungry, self._hungry = self._hungry, False
        if hungry:
            self._client.poke()

    def _guard(self, act: Callable[..., None], *arguments: object) -> None:
        """Do something that :meth:`_settle` waits for."""
        try:
            act(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised by run, in the thread that asked
            self._failure = error
        finally:
            with self._change:
                self._working -= 1
                self._change.notify_all()


def _flushed(batch: list[_Written]) -> bool:
    """Bring the files of a batch to the disk; False if it does not take them."""
    try:
        flush([(written.folder, written.part) for written in batch])
    except OSError:
        return False
    return True
