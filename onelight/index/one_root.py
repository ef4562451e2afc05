"""``.one_root``, the protocol between all clients: reading what any of them wrote, and writing it.

UTF-8, tab-separated, no header, two columns: the path of a file, starting with the lab, and the address to download
it from. A row of one column has the address of the repository plus its quoted path. There is never a third column,
because the first client of 2019 refuses it; what else is known of a file comes from the repository.

A file that is sorted, as all clients write it, is read in blocks: what the rows of a session have in common is
checked once, and only a row that is new in some way is looked at by itself. Any other is sorted first, on disk.
"""

from __future__ import annotations

import codecs
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter, lt
from pathlib import Path
from typing import IO, Any, NamedTuple

from onelight import route
from onelight.alf import check_safe, printable, split_path
from onelight.errors import AlfError, UnsafeData
from onelight.index.building import building
from onelight.index.entry import EMPTY_URL, INDEX_NAME, Entry
from onelight.index.query import Index
from onelight.index.sorting import sorted_lines

# A path of 4,096 bytes and a signed address of a few thousand fit; a line without end does not fill the memory.
MAX_LINE = 1 << 20
_CHUNK = 1 << 19
# What needs no second look in a line: printable ASCII without spaces, the quotes of csv and the backslash of Windows.
_PLAIN = bytes(set(range(0x21, 0x7F)) - set(b'"\\')) + b"\t\n"
_MOST_KNOWN = 65536
_MOST_ORIGINS = 16
_SESSION = re.compile(rb"(?:[^/\t]*/){5}").match
# A part of what a session may be, but for the calendar: names that are safe on every system, too.
_USUAL_SESSION = re.compile(
    rb"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}/Subjects/[A-Za-z0-9_][A-Za-z0-9_-]{0,99}/([0-9-]{10})/[0-9]{1,3}/"
).fullmatch
_ORIGIN = re.compile(r"https?://[^/?#]+/").match
_ASK_THEM = "Nothing of this index was used; ask whoever shares it to write it again (onelight index)"


def read_one_root(
    stream: IO[bytes],
    *,
    base_url: str = "",
    trusted: str = "",
    path: Path | None = None,
    facts: Mapping[str, str] | None = None,
) -> Index:
    """Read a ``.one_root`` file, as any client has written it.

    LF, CRLF and the CR CR LF of the first Windows clients end a line; blank lines mean nothing; ``\\`` between the
    parts of a path is read as ``/``; a byte order mark is passed over.

    Parameters
    ----------
    stream : binary file
        The content; one that is not sorted is read twice, and has to be seekable.
    base_url : str
        Address of the folder that holds it, for rows of one column and relative addresses.
    trusted : str
        Address that the user configured, by default ``base_url``; its host may be a private one.
    path, facts : optional
        As for :meth:`Index.build`.

    Returns
    -------
    Index
        Its entries, with paths and addresses; rows that are safe but not in a session become remarks.

    Raises
    ------
    UnsafeData
        If a row has three columns, a path or an address that is refused, a line of more than 1 MiB, a NUL, or
        bytes that are not UTF-8; the message has the number of the row.
    """
    start = stream.tell() if stream.seekable() else 0
    try:
        try:
            with _Rows(base_url, trusted or base_url, path) as rows:
                for chunk in _chunks(stream):
                    rows.take(chunk)
                return rows.finish(facts or {})
        except _NotSorted:
            stream.seek(start)
        with _Rows(base_url, trusted or base_url, path) as rows:
            for lines in sorted_lines(line for chunk in _chunks(stream) for line in rows.checked(chunk)):
                rows.take_checked(lines)
            return rows.finish(facts or {})
    except _Twice as error:
        raise _twice(stream, start, str(error), base_url) from None


def write_one_root(entries: Iterable[Entry], stream: IO[bytes], *, addresses: bool = True) -> None:
    """Write entries as ``.one_root``: two columns, or one where an entry has no address, or none are wanted."""
    in_order = entries if isinstance(entries, Index) else sorted(entries, key=attrgetter("path"))
    stream.writelines(
        (f"{entry.path}\t{entry.url}\n" if addresses and entry.url else f"{entry.path}\n").encode()
        for entry in in_order
    )


class _NotSorted(Exception):
    """The rows have to be sorted first."""


class _Twice(Exception):
    """A path stands there twice with different addresses."""


class _Chunk(NamedTuple):
    """Some lines of a file."""

    row: int
    """The number of the first; from 1."""
    rows: int
    """How many there are."""
    text: bytes
    """The lines, each with a line feed at its end."""
    plain: bool
    """There is nothing in them that needs a second look."""

    @property
    def lines(self) -> list[bytes]:
        return self.text[:-1].split(b"\n")


class _Rows:
    """Checks rows and hands them to a builder, a session at a time."""

    def __init__(self, base_url: str, trusted: str, path: Path | None) -> None:
        self._base_url = base_url
        self._trusted = trusted
        self._building = building(path, self._check_name)
        self._last_path = b""
        self._last_row = b""
        # What was found good: dates, paths below a session, origins of addresses with the tab before them.
        self._days: set[bytes] = set()
        self._names: set[bytes] = set()
        self._origins: list[bytes] = []

    def __enter__(self) -> _Rows:
        self._builder = self._building.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._building.__exit__(*error)

    def finish(self, facts: Mapping[str, str]) -> Index:
        """Return the index of what was taken."""
        return Index.of(self._builder.finish({**facts, "base": json.dumps(self._base_url)}))

    def take(self, chunk: _Chunk) -> None:
        """Check lines and hand them on.

        Raises
        ------
        UnsafeData
            If one of them is refused.
        _NotSorted
            If they do not follow each other and those before.
        _Twice
            If one path has two addresses.
        """
        if chunk.plain and self._take_plain(chunk):
            return
        self.take_checked(list(self.checked(chunk)))

    def _take_plain(self, chunk: _Chunk) -> bool:
        """Hand on lines that hold nothing new but their own path and address, and say whether that is so.

        None has an address, or each has one, the origin of which is known. That is counted: were it in the wrong cell,
        something that begins with ``https://`` would stand where a path is expected, and that is in no session.
        """
        text, cells = chunk.text, chunk.text.split()
        columns = 2 if len(cells) == 2 * chunk.rows else 1
        origins = chunk.rows if columns == 2 else 0
        if len(cells) != columns * chunk.rows or sum(map(text.count, self._origins)) != origins:
            return False
        paths = cells[::columns]
        if paths[0] <= self._last_path or not all(map(lt, paths, islice(paths, 1, None))):
            return False
        # The cells, and a tab or a line feed behind each.
        sessions = [
            (session, place, after, sum(map(len, cells[columns * place : columns * after])) + columns * (after - place))
            for session, place, after in self._sessions(paths)
        ]
        # Where more than one stands between two cells, one of them is empty, and may be the second of three.
        if sum(length for _, _, _, length in sessions) != len(text):
            return False
        if not all(self._knows_session(session) for session, _, _, _ in sessions):
            return False
        begin = 0
        try:
            for session, place, after, length in sessions:
                cut = len(session)
                self._builder.add(session, [path[cut:] for path in paths[place:after]], text[begin : begin + length])
                begin += length
        except UnsafeData:  # a name is refused: say in which row
            list(self.checked(chunk._replace(plain=False)))
            raise
        self._last_path = paths[-1]
        self._last_row = b"\t".join(cells[-columns:])
        return True

    def take_checked(self, lines: list[bytes]) -> None:
        """Hand on lines that :meth:`checked` returned."""
        if not lines:
            return
        kept = self._once(lines)
        paths = [line.partition(b"\t")[0] for line in kept]
        for session, place, after in self._sessions(paths):
            cut = len(session)
            names = [path[cut:] for path in paths[place:after]]
            self._builder.add(session, names, b"".join(line + b"\n" for line in kept[place:after]))

    @staticmethod
    def _sessions(paths: list[bytes]) -> Iterator[tuple[bytes, int, int]]:
        """Yield the sessions of sorted paths, with a slash at the end: where each begins, and where the next does."""
        place = 0
        while place < len(paths):
            found = _SESSION(paths[place])
            session = found[0] if found else paths[place]
            # No UTF-8 has this byte: all that begin with the session are lower.
            after = bisect_left(paths, session + b"\xff", place)
            yield session, place, after
            place = after

    def checked(self, chunk: _Chunk) -> Iterator[bytes]:
        """Yield each good line in its one right form; what is safe but in no session becomes a remark.

        Raises
        ------
        UnsafeData
            If one is refused; the message has the number of its row.
        """
        for row, line in enumerate(chunk.lines, chunk.row):
            if chunk.plain and self._is_known(line):
                yield line
                continue
            try:
                whole = self._judge(line)
            except UnsafeData as error:
                raise UnsafeData(f"row {row} of {INDEX_NAME}: {error.message}", hint=error.hint or _ASK_THEM) from error
            except AlfError as error:
                self._builder.remark(f"row {row} of {INDEX_NAME} is left out: {error.message}")
            else:
                if whole:
                    yield whole

    def _knows_session(self, session: bytes) -> bool:
        """Tell whether a text with a slash at its end is a session."""
        usual = _USUAL_SESSION(session)
        if usual and usual[1] in self._days:
            return True
        try:
            path = f"{session.decode()}file"
            check_safe(path)
            split_path(path)
        except (AlfError, UnsafeData, UnicodeDecodeError):
            return False
        _remember(self._days, session.split(b"/")[3])
        return True

    def _check_name(self, name: bytes) -> None:
        """Refuse a path below a session that is not safe."""
        if name not in self._names:
            check_safe(name.decode())
            _remember(self._names, name)

    def _is_known(self, line: bytes) -> bool:
        """Tell whether a line holds nothing new but its own path and address."""
        found = _SESSION(line)
        if found is None:
            return False
        name, tab, address = line[found.end() :].partition(b"\t")
        if b"\t" in address or (tab and not any((tab + address).startswith(origin) for origin in self._origins)):
            return False
        return name in self._names and self._knows_session(found[0])

    def _judge(self, line: bytes) -> bytes:
        """Return a line in its one right form, empty for a blank one."""
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise UnsafeData(
                f"it is not UTF-8 text (byte {error.start + 1} of the row)",
                hint="This is not an index, or it is damaged",
            ) from error
        cells = _cells(text)
        if not cells:
            return b""
        path, address = cells[0].replace("\\", "/"), cells[1] if len(cells) > 1 else ""
        check_safe(path)
        if address and address != EMPTY_URL:
            route.check_url(route.resolve(self._base_url, address), trusted=self._trusted)
            address = route.quoted(address)
        _, below = split_path(path)
        _remember(self._names, below.encode())
        origin = _ORIGIN(address)
        if origin and len(self._origins) < _MOST_ORIGINS and f"\t{origin[0]}".encode() not in self._origins:
            self._origins.append(f"\t{origin[0]}".encode())
        return (f"{path}\t{address}" if address else path).encode()

    def _once(self, lines: list[bytes]) -> list[bytes]:
        """Return checked lines without those that stand there more than once, with one and the same address."""
        kept: list[bytes] = []
        path, row = self._last_path, self._last_row
        for line in lines:
            next_path = line.partition(b"\t")[0]
            if next_path > path:
                kept.append(line)
                path, row = next_path, line
            elif next_path < path:
                raise _NotSorted
            elif self._address(line) != self._address(row):
                raise _Twice(path.decode())
        self._last_path, self._last_row = path, row
        return kept

    def _address(self, line: bytes) -> str:
        path, _, address = line.decode().partition("\t")
        return route.resolve(self._base_url, address) if address else route.path_url(self._base_url, path)


def _chunks(stream: IO[bytes]) -> Iterator[_Chunk]:
    """Yield the lines of a file."""
    row = 1
    rest = b""
    while block := stream.read(_CHUNK):
        text, end, rest = (rest + block).rpartition(b"\n")
        if end:
            chunk = _chunk(row, text + end)
            yield chunk
            row += chunk.rows
        if len(rest) > MAX_LINE:
            raise _too_long(row)
    if rest:
        yield _chunk(row, rest + b"\n")


def _chunk(row: int, text: bytes) -> _Chunk:
    if row == 1:
        text = text.removeprefix(codecs.BOM_UTF8)
    if b"\r" in text:
        text = re.sub(rb"\r+\n", b"\n", text)
    if len(text) >= MAX_LINE:
        for place, line in enumerate(text.split(b"\n")):
            if len(line) >= MAX_LINE:
                raise _too_long(row + place)
    return _Chunk(row, text.count(b"\n"), text, plain=not text.translate(None, _PLAIN))


def _too_long(row: int) -> UnsafeData:
    return UnsafeData(f"row {row} of {INDEX_NAME} is longer than {MAX_LINE:,} bytes", hint="This is not an index")


def _twice(stream: IO[bytes], start: int, path: str, base_url: str) -> UnsafeData:
    """Say which row repeats a path with another address; what comes after it was not looked at yet."""
    stream.seek(start)
    rows = ((row, line) for chunk in _chunks(stream) for row, line in enumerate(chunk.lines, chunk.row))
    first, last = None, 0
    for row, line in rows:
        cells = _cells(line.decode())
        if cells and cells[0].replace("\\", "/") == path:
            address = "".join(cells[1:])
            url = route.resolve(base_url, address) if address else route.path_url(base_url, path)
            last = row
            if url != (first := first or url):
                break
    return UnsafeData(
        f"row {last} of {INDEX_NAME}: {printable(path)} stands there twice with different addresses", hint=_ASK_THEM
    )


def _cells(line: str) -> list[str]:
    """Return the one or two cells of a line, none of a blank one."""
    if not line.strip():
        return []
    if "\0" in line:
        raise UnsafeData("it has a NUL character")
    if re.match(r"\s*<(!doctype|html|\?xml)", line, re.IGNORECASE):
        raise UnsafeData("this is a web page, not an index")
    cells = _unquoted(line) if '"' in line else line.split("\t")
    if len(cells) > 2:
        raise UnsafeData(f"it has {len(cells)} columns, and must have one or two")
    return cells


def _unquoted(line: str) -> list[str]:
    """Return the cells of a line in which a spreadsheet put quotes."""
    import csv  # takes two milliseconds, and such lines are rare

    try:
        return next(csv.reader([line], delimiter="\t"))
    except csv.Error as error:
        raise UnsafeData(f"it cannot be read: {error}") from error


def _remember(known: set[bytes], one: bytes) -> None:
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known.add(one)
