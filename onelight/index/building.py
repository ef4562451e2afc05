"""Rows in order become an index file, in little memory however many they are."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from onelight.alf import printable, split_path
from onelight.errors import UnsafeData
from onelight.index.catalogue import SEGMENT, Catalogue, checksum, create, first_sessions, summary_of
from onelight.index.entry import Entry

# Names that occur in few sessions fill a segment sooner than sessions do.
_MOST_NAMES = 8192
# Rows are written in blocks of about so many bytes. Larger ones make reading a session slower, smaller ones the file
# larger.
_BLOCK = 128 << 10
_BATCH = 4096
_MOST_REMARKS = 100
_UNKNOWN = -1


class Builder:
    """Takes the rows of an index, session by session and sorted, and writes the file.

    Parameters
    ----------
    path : Path or None
        Where the file is made; None for one that disappears.
    check : callable, optional
        Called with each path below a session when it comes first in a segment; may raise.
    """

    def __init__(self, path: Path | None, check: Callable[[bytes], None] | None = None) -> None:
        self._path = path
        self._connection = create(path)
        self.last: tuple[bytes, bytes] = (b"", b"")
        """Session, with a slash at its end, and path below it of the last row."""
        self._check = check
        self._segments = 0
        self._place = 0
        self._block: list[bytes] = []
        self._written = 0
        self._rows = 0
        self._remarks: list[str] = []
        self._more_remarks = 0
        self._begin_segment()

    def _begin_segment(self) -> None:
        self._texts: list[bytes] = []
        self._places: list[int] = []
        self._counts: list[int] = []
        self._sizes: list[int] = []
        self._marks: dict[bytes, list[int]] = {}

    def add(self, session: bytes, names: list[bytes], rows: bytes, size: int = _UNKNOWN) -> None:
        """Take rows of one session; they follow all rows before.

        Parameters
        ----------
        session : bytes
            The session, with a slash at its end.
        names : list of bytes
            Paths below the session, sorted, each once.
        rows : bytes
            A line for each of them, with its end: the whole path, and, separated by tabs, what is known of address,
            size and md5.
        size : int
            Bytes of all these files, -1 where they are not known of each.
        """
        if session != self.last[0]:
            if len(self._texts) == SEGMENT or len(self._marks) > _MOST_NAMES:
                self._end_segment()
            self._texts.append(session[:-1])
            self._places.append(self._place)
            self._counts.append(0)
            self._sizes.append(0)
        self.last = (session, names[-1])
        self._block.append(rows)
        self._place += len(rows)
        if self._place - self._written >= _BLOCK:
            self._write_block()
        self._rows += len(names)
        self._counts[-1] += len(names)
        self._sizes[-1] = _UNKNOWN if _UNKNOWN in (size, self._sizes[-1]) else self._sizes[-1] + size
        place, marks = len(self._texts) - 1, self._marks
        try:
            for places in map(marks.__getitem__, names):
                places.append(place)
        except KeyError:
            for name in names:
                if name not in marks:
                    if self._check is not None:
                        self._check(name)
                    marks[name] = []
                # Those before the new name were counted already.
                if marks[name][-1:] != [place]:
                    marks[name].append(place)

    def remark(self, text: str) -> None:
        """Note something that was seen and left out; the first hundred are kept, the others counted."""
        if len(self._remarks) < _MOST_REMARKS:
            self._remarks.append(text)
        else:
            self._more_remarks += 1

    def finish(self, facts: Mapping[str, str]) -> Catalogue:
        """Complete the file and open it."""
        self._end_segment()
        self._write_block()
        remarks = self._remarks + ([f"and {self._more_remarks:,} more"] if self._more_remarks else [])
        remarked = len(self._remarks) + self._more_remarks
        notes = {"rows": str(self._rows), "remarks": json.dumps(remarks), "remarked": str(remarked), **facts}
        notes["contents"] = json.dumps([summary_of(first_sessions(self._connection)), *notes])
        self._connection.executemany(
            "INSERT INTO facts VALUES (?, ?, ?)",
            [(name, text, checksum(f"{name} {text}".encode())) for name, text in notes.items()],
        )
        self._connection.execute("COMMIT")
        if self._path is None:
            return Catalogue(self._connection)
        self._connection.close()
        return Catalogue.open(self._path)

    def abandon(self) -> None:
        """Remove what was begun."""
        self._connection.close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _write_block(self) -> None:
        rows = b"".join(self._block)
        if rows:
            self._connection.execute(
                "INSERT INTO lines VALUES (?, ?, ?)", (self._written, rows, checksum(b"%d" % self._written, rows))
            )
        self._written = self._place
        self._block = []

    def _end_segment(self) -> None:
        count = len(self._texts)
        if not count:
            return
        width = (count + 7) // 8
        names = sorted(self._marks)
        bitmaps = b"".join(_bits(self._marks[name], count).to_bytes(width, "little") for name in names)
        numbers = struct.pack(f"<{3 * count + 1}q", *self._places, self._place, *self._counts, *self._sizes)
        blobs = (b"\n".join(self._texts), b"\n".join(names), bitmaps)
        self._connection.execute(
            "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)",
            (self._segments, self._texts[0].decode(), *blobs, checksum(*blobs)),
        )
        self._connection.execute(
            "INSERT INTO numbers VALUES (?, ?, ?)",
            (self._segments, numbers, checksum(b"numbers %d" % self._segments, numbers)),
        )
        self._segments += 1
        self._begin_segment()


def _bits(places: list[int], count: int) -> int:
    """Return a number of so many bits, of which these are set."""
    digits = bytearray(b"0") * count
    for place in places:
        digits[-1 - place] = 49
    return int(digits, 2)


@contextlib.contextmanager
def building(path: Path | None, check: Callable[[bytes], None] | None = None) -> Iterator[Builder]:
    """Give a builder, and remove what it made if anything goes wrong."""
    builder: Builder | None = None
    try:
        builder = Builder(path, check)
        yield builder
    except BaseException as error:
        if builder is not None:
            builder.abandon()
        if isinstance(error, sqlite3.OperationalError):  # the disk is full, or the folder closed
            raise OSError(f"the index cannot be written: {error}") from error
        raise


def add_entries(builder: Builder, entries: Iterable[Entry]) -> list[Entry]:
    """Give entries to a builder, but for those whose path is not higher than any before: return these.

    Raises
    ------
    AlfError
        If one of them is in no session: nothing could find it.
    UnsafeData
        If a name or an address cannot be a cell of a line.
    """
    late: list[Entry] = []
    highest: str | None = None
    gathered = _Gathered(builder)
    for entry in entries:
        if highest is not None and entry.path <= highest:
            late.append(entry)
        else:
            highest = entry.path
            gathered.add(entry)
    gathered.flush()
    return late


class _Gathered:
    """Rows of one session that are handed on together."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._session = ""
        self._paths: list[str] = []
        self._rows: list[str] = []
        self._size = 0

    def add(self, entry: Entry) -> None:
        path = entry.path
        if not self._session or not path.startswith(self._session) or len(self._rows) == _BATCH:
            self.flush()
            session, below = split_path(path)
            self._session = f"{session}/"
            if not below:
                split_path(str(session))  # refuses it: there is no file in it
        self._paths.append(path)
        if entry.size is None and entry.md5 is None:
            row, tabs = (f"{path}\t{entry.url}\n", 1) if entry.url else (f"{path}\n", 0)
        else:
            row, tabs = f"{path}\t{entry.url}\t{'' if entry.size is None else entry.size}\t{entry.md5 or ''}\n", 3
        if row.count("\t") != tabs or row.count("\n") != 1:
            raise UnsafeData(f"{printable(path)} cannot be kept: its name or address has a control character")
        self._rows.append(row)
        self._size = _UNKNOWN if entry.size is None or self._size == _UNKNOWN else self._size + entry.size

    def flush(self) -> None:
        """Hand on what was gathered."""
        if not self._rows:
            return
        cut = len(self._session.encode())
        try:
            rows = "".join(self._rows).encode()
        except UnicodeEncodeError as error:
            raise UnsafeData(f"{printable(self._paths[0])}, or one that follows, is not text") from error
        names = [path.encode()[cut:] for path in self._paths]
        self._builder.add(self._session.encode(), names, rows, self._size)
        self._paths, self._rows, self._size = [], [], 0
