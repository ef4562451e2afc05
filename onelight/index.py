"""What a repository holds: entries, the index of them, and the ``.one_root`` file.

``.one_root`` is the protocol between all clients: UTF-8, tab-separated, no header, two columns: the path of a file,
starting with the lab, and the address to download it from. A row of one column has the address of the repository
plus its quoted path. There is never a third column, because the first client of 2019 refuses it; what else is known
of a file (size, md5) comes from the repository, and is kept locally by :func:`write_table`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

from onelight import route
from onelight.alf import Dataset, Pattern, Query, Session, check_safe, printable, split_path, value_filter
from onelight.errors import AlfError, UnsafeData

INDEX_NAME = ".one_root"
#: The address of an empty file (RFC 2397): figshare stores none, so the index itself says that there is one.
EMPTY_URL = "data:,"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
# A path of 4,096 bytes and a signed address of a few thousand fit; a line without end does not fill the memory.
MAX_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a repository.

    Parameters
    ----------
    path : str
        Path relative to the data folder: ``lab/Subjects/subject/date/number/alf/object.attribute.ext``.
    url : str
        Address to download it from; empty in a local repository.
    size : int or None
        Bytes, where the repository states them.
    md5 : str or None
        Hexadecimal md5 of the content, where the repository states it.
    """

    path: str
    url: str = ""
    size: int | None = None
    md5: str | None = None

    @property
    def session(self) -> str:
        """The session as text: ``lab/Subjects/subject/date/number``."""
        return "/".join(self.path.split("/", 5)[:5])

    @property
    def below(self) -> str:
        """The path below the session, such as ``alf/spikes.times.npy``."""
        return self.path.split("/", 5)[5]

    @property
    def dataset(self) -> Dataset | None:
        """The parsed dataset, or None for a file whose name is not ALF."""
        try:
            return Dataset.parse(self.below)
        except AlfError:
            return None


class Terms(NamedTuple):
    """What can be asked for: the values that occur in an index, each sorted."""

    lab: list[str]
    subject: list[str]
    date: list[str]
    number: list[str]
    dataset_types: list[str]


class Index:
    """What a repository holds, sorted by path.

    Parameters
    ----------
    entries : iterable of Entry
        The files, in any order; each path once.
    remarks : iterable of str
        What was seen in reading the index and left out, in words for a person.

    Examples
    --------
    >>> index = Index([Entry("lab/Subjects/Cori/2016-12-14/001/alf/spikes.times.npy")])
    >>> index.search([Pattern("spikes")], subject="Co*")
    ['lab/Subjects/Cori/2016-12-14/001']
    """

    def __init__(self, entries: Iterable[Entry] = (), remarks: Iterable[str] = ()) -> None:
        self._entries = {entry.path: entry for entry in sorted(entries, key=lambda entry: entry.path)}
        self._sessions: dict[str, list[Entry]] = {}
        for entry in self._entries.values():
            self._sessions.setdefault(entry.session, []).append(entry)
        self.remarks = tuple(remarks)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def __getitem__(self, path: str) -> Entry:
        return self._entries[path]

    def get(self, path: str) -> Entry | None:
        """Return the entry of a path, or None."""
        return self._entries.get(path)

    @property
    def sessions(self) -> list[str]:
        """Every session, sorted."""
        return list(self._sessions)

    def search(
        self,
        patterns: Iterable[Pattern | Query] = (),
        *,
        lab: object = None,
        subject: object = None,
        date: object = None,
        number: object = None,
    ) -> list[str]:
        """Return the sessions, sorted, that pass every filter and have a dataset for every pattern."""
        wanted = list(patterns)
        filters = [*(value_filter(value) for value in (lab, subject, date)), value_filter(number, number=True)]
        found = []
        for text, entries in self._sessions.items():
            lab_, _, *rest = text.split("/")
            if not all(passes(part) for passes, part in zip(filters, (lab_, *rest), strict=True)):
                continue
            if all(any(pattern.matches(entry.below) for entry in entries) for pattern in wanted):
                found.append(text)
        return found

    def find_session(self, session: Session) -> str | None:
        """Return the text under which a session is held; ``1`` and ``001`` are the same number."""
        if str(session) in self._sessions:
            return str(session)
        found = self.search(
            lab=[session.lab], subject=[session.subject], date=[session.date], number=[int(session.number)]
        )
        return found[0] if found else None

    def select(self, session: str, pattern: Pattern | Query | None = None) -> list[Entry]:
        """Return the entries of a session, sorted; only those asked for, if a question is given."""
        entries = self._sessions.get(session, [])
        return [entry for entry in entries if pattern is None or pattern.matches(entry.below)]

    def terms(self) -> Terms:
        """Return the values that occur in this index."""
        parts = [text.split("/") for text in self._sessions]
        types = {entry.dataset.type for entry in self if entry.dataset}
        lab, subject, date, number = (sorted({row[column] for row in parts}) for column in (0, 2, 3, 4))
        return Terms(lab, subject, date, number, sorted(types))


def read_one_root(stream: IO[bytes], *, base_url: str = "", trusted: str = "") -> Index:
    """Read a ``.one_root`` file, as any client has written it.

    LF, CRLF and the CR CR LF of the first Windows clients end a line; blank lines mean nothing; ``\\`` between the
    parts of a path is read as ``/``; a byte order mark is passed over.

    Parameters
    ----------
    stream : binary file
        The content.
    base_url : str
        Address of the folder that holds it, for rows of one column and relative addresses.
    trusted : str
        Address that the user configured, by default ``base_url``; its host may be a private one.

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
    entries: dict[str, Entry] = {}
    remarks: list[str] = []
    for row, line in _lines(stream):
        try:
            entry = _parse_row(line, base_url, trusted or base_url)
            if entry is None:
                continue
            split_path(entry.path)
        except UnsafeData as error:
            raise UnsafeData(
                f"row {row} of {INDEX_NAME}: {error.message}",
                hint="Nothing of this index was used; ask whoever shares it to write it again (onelight index)",
            ) from error
        except AlfError as error:
            remarks.append(f"row {row} of {INDEX_NAME} is left out: {error.message}")
            continue
        known = entries.setdefault(entry.path, entry)
        if known.url != entry.url:
            raise UnsafeData(
                f"row {row} of {INDEX_NAME}: {printable(entry.path)} stands there twice with different addresses",
                hint="Nothing of this index was used; ask whoever shares it to write it again (onelight index)",
            )
    return Index(entries.values(), remarks)


def write_one_root(entries: Iterable[Entry], stream: IO[bytes]) -> None:
    """Write entries as ``.one_root``: two columns, or one where the entry has no address of its own."""
    for entry in sorted(entries, key=lambda entry: entry.path):
        stream.write(("\t".join(filter(None, (entry.path, entry.url))) + "\n").encode())


def read_table(stream: IO[bytes]) -> Index:
    """Read what :func:`write_table` wrote.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    entries = []
    for line in stream:
        path, url, size, md5 = line.decode().rstrip("\n").split("\t")
        entries.append(Entry(path, url, int(size) if size else None, md5 or None))
    return Index(entries)


def write_table(index: Index, stream: IO[bytes]) -> None:
    """Write an index with all that is known of each file: path, address, size, md5."""
    for entry in index:
        size = "" if entry.size is None else str(entry.size)
        stream.write("\t".join((entry.path, entry.url, size, entry.md5 or "")).encode() + b"\n")


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, str]]:
    row = 0
    while line := stream.readline(MAX_LINE + 1):
        row += 1
        if len(line) > MAX_LINE:
            raise UnsafeData(
                f"row {row} of {INDEX_NAME} is longer than {MAX_LINE:,} bytes", hint="This is not an index"
            )
        try:
            text = line.decode("utf-8-sig" if row == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UnsafeData(
                f"row {row} of {INDEX_NAME} is not UTF-8 text (byte {error.start + 1} of the row)",
                hint="This is not an index, or it is damaged",
            ) from error
        yield row, text


def _parse_row(line: str, base_url: str, trusted: str) -> Entry | None:
    """Return the entry of a line, or None for a blank one."""
    if not line.strip():
        return None
    if "\0" in line:
        raise UnsafeData("it has a NUL character")
    if re.match(r"\s*<(!doctype|html|\?xml)", line, re.IGNORECASE):
        raise UnsafeData("this is a web page, not an index")
    try:
        cells = next(csv.reader([line], delimiter="\t")) if '"' in line else line.split("\t")
    except csv.Error as error:
        raise UnsafeData(f"it cannot be read: {error}") from error
    if len(cells) > 2:
        raise UnsafeData(f"it has {len(cells)} columns, and must have one or two")
    path = cells[0].replace("\\", "/")
    check_safe(path)
    if len(cells) == 1 or not cells[1]:
        return Entry(path, route.path_url(base_url, path))
    if cells[1] == EMPTY_URL:
        return Entry(path, EMPTY_URL, 0, EMPTY_MD5)
    url = route.resolve(base_url, cells[1])
    route.check_url(url, trusted=trusted)
    return Entry(path, url)
