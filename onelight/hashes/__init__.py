"""The md5 of many local files: on all cores, and of a file that has not been touched without reading it.

``store`` remembers what was read, ``reading`` reads (it is what the helping processes run), ``crew`` has the processes
and threads that do it; :class:`Hashes` puts them together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from onelight.errors import RepositoryError
from onelight.hashes.crew import Crew
from onelight.hashes.reading import CHANGED, FAILED, FAULTS
from onelight.hashes.store import Store
from onelight.index import Entry

#: The name of the cache file in the folder of the configuration.
HASHES_NAME = "hashes.sqlite"
#: A batch is given to one process at a time: so many files, or so many bytes.
_MOST_FILES, _MOST_BYTES = 256, 1 << 23
_HINTS = {CHANGED: "Run the command again once nothing writes to it any more", FAILED: "Put its mode right"}
#: Batches in flight for each core: enough that none waits, and few enough that nothing piles up.
_AHEAD = 4


class Hashes:
    """The md5 of local files, and a cache of them.

    A file is known by device, inode, size, modification and change time; whoever touches it changes one of these, and
    it is read again. The cache is a help and never a condition: one that is damaged is made anew, one that cannot be
    used is done without. Rows that nobody asked for in half a year are dropped.

    Parameters
    ----------
    path : Path, optional
        File of the cache, shared by all processes; without it every file is read.

    Attributes
    ----------
    read : int
        Files that were read.
    kept : int
        Files whose md5 came from the cache.

    Examples
    --------
    >>> with Hashes() as hashes:
    ...     entries = list(hashes.add(Path(), []))
    >>> entries, hashes.read, hashes.kept
    ([], 0, 0)
    """

    def __init__(self, path: Path | None = None) -> None:
        self._store = Store(path)
        self.read = 0
        self.kept = 0

    def __enter__(self) -> Hashes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write down what was read and let go of the cache file."""
        self._store.close()

    def add(self, root: Path, entries: Iterable[Entry]) -> Generator[Entry, None, None]:
        """Yield entries with the md5 and the size of their files, in the same order.

        Parameters and errors are those of :meth:`rows`.
        """
        taken: deque[Entry] = deque()

        def pairs() -> Iterator[tuple[str, int]]:
            for entry in entries:
                taken.append(entry)
                yield entry.path, entry.size or 0

        with closing(self.rows(root, pairs())) as rows:
            for path, size, md5 in rows:
                yield Entry(path, taken.popleft().url, size, md5)

    def rows(
        self, root: Path, pairs: Iterable[tuple[str, int]], unread: list[tuple[str, str]] | None = None
    ) -> Generator[tuple[str, int, str], None, None]:
        """Yield path, size and md5 of files, in the same order: what :meth:`add` does, without an object for each.

        Some thousand files are taken ahead of the one that is yielded, never the whole. The reading ends when the
        generator is closed, also by Ctrl-C; what was read until then is remembered.

        Parameters
        ----------
        root : Path
            The folder that the paths are relative to.
        pairs : iterable of (str, int)
            Path of a file, and about how many bytes it has.
        unread : list of (str, str), optional
            Takes path and reason of each file that cannot be read or changed while it was read; it has no row then.
            Without it the first such file is an error.

        Raises
        ------
        RepositoryError
            If a file cannot be read, or changed while it was read, and there is no list for it.
        """
        top = root.absolute().as_posix().rstrip("/") + "/"
        crew = Crew()
        waiting: deque[_Batch] = deque()
        try:
            for paths in _batches(pairs):
                waiting.append(self._begin(crew, top, paths))
                while waiting and (waiting[0].is_done() or len(waiting) > _AHEAD * crew.size):
                    yield from self._finish(top, waiting.popleft(), unread)
            while waiting:
                yield from self._finish(top, waiting.popleft(), unread)
        finally:
            crew.close()
            self._store.rest()

    def _begin(self, crew: Crew, top: str, paths: list[str]) -> _Batch:
        known = self._store.find(top, paths)
        unread = [path for path in paths if path not in known] if known else paths
        return _Batch(paths, known, crew.read(top, unread) if unread else None)

    def _finish(self, top: str, batch: _Batch, unread: list[tuple[str, str]] | None) -> Iterator[tuple[str, int, str]]:
        """Yield the rows of a batch, waiting for it if need be."""
        read = batch.reading.result() if batch.reading is not None else []
        self.kept += len(batch.known)
        rows = iter(read)
        for path in batch.paths:
            if path in batch.known:
                yield path, *batch.known[path]
                continue
            row = next(rows)
            size, md5, *_ = row.split("\t", 2)
            if size in FAULTS:
                reason = "changed while it was read" if size == CHANGED else f"cannot be read: {md5}"
                if unread is None:
                    raise RepositoryError(f"{top}{path} {reason}", hint=_HINTS[size])
                unread.append((path, reason))
                continue
            self.read += 1
            self._store.put(row)
            yield path, int(size), md5
        self._store.flush_if_due()


class _Batch(NamedTuple):
    """Files that are looked for together: size and md5 of those that are known, and what is being read."""

    paths: list[str]
    known: dict[str, tuple[int, str]]
    reading: Future[list[str]] | None

    def is_done(self) -> bool:
        return self.reading is None or self.reading.done()


def _batches(pairs: Iterable[tuple[str, int]]) -> Iterator[list[str]]:
    """Cut files into batches: small ones first, so that the first answer comes at once."""
    limit, bytes_ = 1, 0
    batch: list[str] = []
    for path, size in pairs:
        batch.append(path)
        bytes_ += size
        if len(batch) >= limit or bytes_ >= _MOST_BYTES:
            yield batch
            limit, bytes_ = min(_MOST_FILES, 2 * limit), 0
            batch = []
    if batch:
        yield batch
