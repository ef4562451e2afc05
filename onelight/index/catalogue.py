"""The file behind an index: one SQLite database that any number of processes read, and nobody ever changes.

The rows are kept as the sorted text that ``.one_root`` is, with size and md5 behind the address where they are known
(table ``lines``, by the place of the first byte). Up to 1,024 sessions make a *segment*: their names, where their rows
begin, the names of the files that occur in them, and for each of these a bitmap of the sessions that have it. A
question reads the segments (some kB each) and no row at all.

Everything is in the one file, so that it is replaced as one, by a rename. It is never flushed to the disk: what a
power failure leaves of it is found by its checksums and made again. ``docs/benchmarks.md`` has the times, and what
other shapes were tried.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
import struct
import threading
import weakref
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from onelight.errors import DamagedIndex

#: The name of the file where an index is kept.
KEPT_INDEX = ".one_index"
# "One" and "Light", and the version of what follows. Another number is another file, which is made again.
APPLICATION = 0x4F4E454C
SCHEMA = 1
SEGMENT = 1024
_MAGIC = b"SQLite format 3\0"
# What may stay in memory of the segments; a million rows need 3 MB.
_KEPT = 64 << 20
# Held while SQLite is asked, and while the process is forked: what is locked then, stays locked in the child.
_ASKING = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_ASKING.acquire, after_in_parent=_ASKING.release, after_in_child=_ASKING.release)

_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (id INTEGER PRIMARY KEY, first TEXT NOT NULL, sessions BLOB NOT NULL, names BLOB NOT NULL,
    bitmaps BLOB NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE numbers (id INTEGER PRIMARY KEY, numbers BLOB NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE lines (place INTEGER PRIMARY KEY, rows BLOB NOT NULL, checksum INTEGER NOT NULL);
"""


class Segment:
    """Some sessions that follow each other, and which of them have which files.

    Parameters
    ----------
    sessions, names : bytes
        Texts, one per line: sessions, and paths below them.
    bitmaps : bytes
        For each name as many bytes as hold one bit a session, the lowest bit first.
    numbers : callable
        Returns, when they are first needed, for each session the place of its first row, and the place behind the
        last; for each its number of files, and for each their bytes, -1 where these are not known of every file.
    """

    def __init__(self, sessions: bytes, names: bytes, bitmaps: bytes, numbers: Callable[[], bytes]) -> None:
        self._sessions = sessions
        self._texts: list[str] | None = None
        self._unpacked: tuple[int, ...] | None = None
        self._bitmaps = bitmaps
        self._numbers = numbers
        self._count = sessions.count(b"\n") + 1
        self._width = (self._count + 7) // 8
        self.names_text = names
        self.everything = (1 << self._count) - 1

    # No cached_property: up to Python 3.11 it has a lock, which stays locked in a child that is forked meanwhile.
    @property
    def sessions(self) -> list[str]:
        """The sessions, sorted."""
        if self._texts is None:
            self._texts = self._sessions.decode().split("\n")
        return self._texts

    @property
    def names(self) -> list[str]:
        """The paths below a session that occur, sorted."""
        return self.names_text.decode().split("\n")

    def having(self, name: int) -> int:
        """Return the sessions that have a name, by its place among the names, as bits."""
        return int.from_bytes(self._bitmaps[name * self._width : (name + 1) * self._width], "little")

    @property
    def _values(self) -> tuple[int, ...]:
        if self._unpacked is None:
            self._unpacked = struct.unpack(f"<{3 * self._count + 1}q", self._numbers())
        return self._unpacked

    @property
    def places(self) -> tuple[int, ...]:
        """Where the rows of each session begin, and where the last of them end."""
        return self._values[: self._count + 1]

    @property
    def counts(self) -> tuple[int, ...]:
        """How many files each session has."""
        return self._values[self._count + 1 : 2 * self._count + 1]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many bytes each session has, -1 where that is not known of each file."""
        return self._values[2 * self._count + 1 :]

    def span(self, place: int) -> tuple[int, int]:
        """Return where the rows of a session begin and end."""
        return self._values[place], self._values[place + 1]


class Catalogue:
    """An open index file.

    Safe for several threads. A process that was forked goes on with the file of its parent, which nobody writes to.

    Parameters
    ----------
    connection : sqlite3.Connection
        The database; closed with this object.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._close = weakref.finalize(self, _close, connection)
        self._kept: dict[int, Segment] = {}
        self._room = _KEPT
        self._last_block = (0, b"")
        with _as_damage():
            self._firsts = first_sessions(connection)
        self._facts: set[str] = set()
        summary, *facts = json.loads(self.fact("contents") or "[null]")
        if summary != summary_of(self._firsts):
            raise _damaged("a segment is missing")
        self._facts = set(facts)

    @classmethod
    def open(cls, path: Path) -> Catalogue:
        """Open a file that :class:`onelight.index.building.Builder` made.

        Raises
        ------
        FileNotFoundError, PermissionError
            If it is not there, or may not be read.
        DamagedIndex
            If it is something else, of another version, cut short, or damaged.
        """
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would be to wait
            raise _damaged("it is no file")
        with path.open("rb") as stream:
            header = stream.read(100)
            size = stream.seek(0, 2)
        if len(header) < 100 or not header.startswith(_MAGIC):
            raise _damaged("it is no database")
        page, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
        if size != (65536 if page == 1 else page) * pages:
            raise _damaged("its length is not the one it states")
        schema, application = int.from_bytes(header[60:64], "big"), int.from_bytes(header[68:72], "big")
        if application != APPLICATION or schema != SCHEMA:
            raise _damaged("it was made by another program or version")
        # Nobody writes to it, so that no lock is needed: it may lie on any disk, also one that is read-only.
        address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        with _as_damage():
            connection = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
        try:
            return cls(connection)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Let go of the file; nothing can be asked afterwards."""
        self._close()

    @property
    def firsts(self) -> list[tuple[str, int]]:
        """The first session of each segment, and the number of the segment; sorted."""
        return self._firsts

    def fact(self, name: str) -> str:
        """Return what was noted under a name, empty if nothing was."""
        found = self._one("SELECT value, checksum FROM facts WHERE name = ?", name)
        if found is None and name not in self._facts:
            return ""
        if found is None or checksum(f"{name} {found[0]}".encode()) != found[1]:
            raise _damaged("a note is not as it was written")
        return str(found[0])

    def segment(self, number: int) -> Segment:
        """Return a segment by its number."""
        known = self._kept.get(number)
        if known is not None:
            return known
        row = self._one("SELECT sessions, names, bitmaps, checksum FROM segments WHERE id = ?", number)
        if row is None or not _are_intact(row[:3], row[3]):
            raise _damaged("a segment is not as it was written")
        sessions, names, bitmaps = row[:3]
        segment = Segment(sessions, names, bitmaps, partial(self._numbers, number))
        weight = 3 * sum(map(len, row[:3])) + 64 * segment.everything.bit_length()  # as Python's objects
        if weight <= self._room:
            self._room -= weight
            self._kept[number] = segment
        return segment

    def _numbers(self, number: int) -> bytes:
        row = self._one("SELECT numbers, checksum FROM numbers WHERE id = ?", number)
        if row is None or not _are_intact((b"numbers %d" % number, row[0]), row[1]):
            raise _damaged("a segment is not as it was written")
        return bytes(row[0])

    def segments(self) -> Iterator[Segment]:
        """Yield every segment, in order."""
        for _, number in self._firsts:
            yield self.segment(number)

    def lines(self, begin: int, end: int) -> Iterator[list[bytes]]:
        """Yield the lines between two places, some thousands at a time."""
        while begin < end:
            place, block = self._block(begin)
            text = block[max(0, begin - place) : end - place]
            if not text or begin < place:
                raise _damaged("rows are missing")
            yield text.removesuffix(b"\n").split(b"\n")
            begin += len(text)

    def check(self) -> None:
        """Read all of the file.

        Raises
        ------
        DamagedIndex
            If any of it is not as it was written.
        """
        for name in self._facts:
            self.fact(name)
        end = 0
        for segment in self.segments():
            places = segment.places
            if places[0] != end:
                raise _damaged("a segment is missing")
            end = places[-1]
        for _ in self.lines(0, end):
            pass

    def _block(self, place: int) -> tuple[int, bytes]:
        """Return the block of lines that a place is in, and the place of its first byte."""
        last = self._last_block  # one look: another thread may replace it
        if last[0] <= place < last[0] + len(last[1]):
            return last
        row = self._one("SELECT place, rows, checksum FROM lines WHERE place <= ? ORDER BY place DESC LIMIT 1", place)
        if row is None or not _are_intact((b"%d" % row[0], row[1]), row[2]):
            raise _damaged("a block of lines is not as it was written")
        self._last_block = (row[0], row[1])
        return self._last_block

    def _one(self, question: str, value: object) -> Any:
        with _ASKING, _as_damage():
            return self._connection.execute(question, (value,)).fetchone()


def create(path: Path | None) -> sqlite3.Connection:
    """Make an empty index file; without a path one that disappears with its connection."""
    # An empty name is a database in memory that moves to a temporary file when it grows (sqlite.org/inmemorydb).
    connection = sqlite3.connect("" if path is None else path, check_same_thread=False, isolation_level=None)
    try:
        _lay_out(connection)
    except BaseException:
        connection.close()
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()
        raise
    return connection


def _lay_out(connection: sqlite3.Connection) -> None:
    for setting in ("page_size = 16384", "journal_mode = OFF", "synchronous = OFF", "cache_size = -8000"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.executescript(_TABLES)
    connection.execute("BEGIN")


def first_sessions(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Return the first session of each segment, and its number."""
    return list(connection.execute("SELECT first, id FROM segments ORDER BY id"))


def summary_of(firsts: list[tuple[str, int]]) -> int:
    """Return what tells whether a segment is missing, or stands under another name."""
    return checksum(repr(firsts).encode())


def checksum(*blobs: bytes) -> int:
    """Return the CRC-32 of several texts, one after the other."""
    value = 0
    for blob in blobs:
        value = zlib.crc32(blob, value)
    return value


def _are_intact(blobs: Sequence[object], value: object) -> bool:
    """Tell whether these are bytes, and those of which the checksum was taken."""
    found = [blob for blob in blobs if isinstance(blob, bytes)]
    return len(found) == len(blobs) and checksum(*found) == value


def _close(connection: sqlite3.Connection) -> None:
    with _ASKING:  # not while another thread is in the middle of a question
        connection.close()


@contextlib.contextmanager
def _as_damage() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
        raise _damaged(str(error)) from error


def _damaged(why: str) -> DamagedIndex:
    return DamagedIndex(
        f"the index that was kept is damaged: {why}", hint="Make it again: onelight search --refresh (one.refresh())"
    )
