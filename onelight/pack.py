"""A session as one tar: made while it is read, and read in parts without being unpacked.

::

    packs_of(entries, root)        the files of each session, as a tar that is never written to the disk
    .one_root                      one row for the tar: whoever knows nothing of packs downloads and unpacks it
    .one_packs                     beside it: where each member lies in its tar, its size and md5, the md5 of the tar
    expand(entries, rows)          an index in which every member is a file: its address is that of the tar and a range
    split(entries, packs)          the way back, for writing

The tar is the ustar format of POSIX.1-1988, with the extended headers of POSIX.1-2001 (pax) only where a name is too
long or not ASCII, or a file of 8 GiB or more. The same files give the same bytes: members are sorted, and times, owners
and modes are left out. Members have their whole path, so that ``tar xf`` in a data folder puts each where it belongs.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import os
import re
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from onelight.alf import check_safe, printable, split_path
from onelight.checksum import BLOCK
from onelight.errors import (
    AlfError,
    ChecksumMismatch,
    Interrupted,
    RepositoryError,
    SizeMismatch,
    UnsafeData,
)
from onelight.index import EMPTY_MD5, Entry

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Where the tar is, in the folder of its session: the first client finds nothing outside of alf.
PACK_NAME = "alf/_one_session.pack.tar"
#: The name of the file beside ``.one_root`` that says what lies where in which tar.
PACKS_NAME = ".one_packs"

_RECORD = 512  # a tar is made of records of so many bytes (POSIX pax, "ustar Interchange Format")
_END = 2 * _RECORD  # of zeros
_MAX_LINE = 1 << 16  # no system has a path of a tenth of that
_MOST = 1 << 62  # bytes; what reaches further is no place in a file
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}").fullmatch
_MD5 = re.compile(r"[0-9a-f]{32}").fullmatch
_SPAN = re.compile(r"(.+)#bytes=([0-9]{1,19})-([0-9]{1,19})", re.DOTALL).fullmatch
_PATH, _SESSION, _OFFSET = attrgetter("path"), attrgetter("session"), attrgetter("offset")
_STILL = "Run the command again once nothing writes to it any more"
_ASK_THEM = f"Nothing of this {PACKS_NAME} was used; ask whoever shares it to upload again"


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a pack.

    Parameters
    ----------
    path : str
        Path relative to the data folder, starting with the lab.
    source : Path
        The local file.
    offset : int
        Where its bytes begin in the tar.
    size : int
        How many they are.
    md5 : str
        Their md5.
    """

    path: str
    source: Path
    offset: int
    size: int
    md5: str

    @property
    def end(self) -> int:
        """The byte after its last one."""
        return self.offset + self.size


class MemberRow(NamedTuple):
    """One row of ``.one_packs``: where a member lies in which tar.

    Parameters
    ----------
    path : str
        Path of the member, relative to the data folder; its session is that of the tar.
    offset, size : int
        Its bytes in the tar.
    md5 : str
        Of the member.
    pack_md5 : str
        Of the tar. The row says nothing of a tar with another one.
    """

    path: str
    offset: int
    size: int
    md5: str
    pack_md5: str

    @property
    def session(self) -> str:
        """The session as text, of the member and of the tar."""
        return "/".join(self.path.split("/", 5)[:5])


@dataclass(frozen=True, slots=True)
class Pack:
    """One session as a tar that is never written to the disk.

    Parameters
    ----------
    path : str
        Path of the tar relative to the data folder, ``lab/Subjects/subject/date/number/_one_session.pack.tar``.
    members : tuple of Member
        What is in it, sorted by path.
    size : int
        Bytes of the tar.
    """

    path: str
    members: tuple[Member, ...]
    size: int

    def __str__(self) -> str:
        return self.path

    def open(self) -> PackReader:
        """Open it for reading; every part that is sent at the same time opens its own."""
        return PackReader(self)

    def look(self) -> tuple[tuple[int, int, int], ...]:
        """Return what changes when a member does: size, modification time and inode of each.

        Raises
        ------
        SizeMismatch
            If one has another size than the tar was made for.
        RepositoryError
            If one cannot be looked at.
        """
        return tuple(_look(member) for member in self.members)

    def md5(self, stopped: threading.Event | None = None, told: Callable[[int], None] | None = None) -> str:
        """Read everything once, and return the md5 of the tar.

        Parameters
        ----------
        stopped : threading.Event, optional
            Set from another thread, it ends the reading.
        told : callable, optional
            Told of the bytes of each block.

        Raises
        ------
        SizeMismatch, ChecksumMismatch
            If a member is not the one any more that was looked at.
        Interrupted
            If it was stopped.
        RepositoryError
            If a member cannot be read.
        """
        whole = hashlib.md5()

        def take(block: bytes) -> bytes:
            whole.update(block)
            if told is not None:
                told(len(block))
            if stopped is not None and stopped.is_set():
                raise Interrupted("the reading of local files was stopped")
            return block

        with self.open() as reader:
            for member in self.members:
                take(reader.read(member.offset - reader.tell()))
                own = hashlib.md5()
                while left := member.end - reader.tell():
                    own.update(take(reader.read(min(BLOCK, left))))
                if own.hexdigest() != member.md5:
                    raise _changed(member)
            take(reader.read())
        return whole.hexdigest()

    def rows(self, md5: str) -> Iterator[MemberRow]:
        """Yield the rows of ``.one_packs`` for the tar of this md5."""
        for member in self.members:
            yield MemberRow(member.path, member.offset, member.size, member.md5, md5)


class PackReader(io.RawIOBase):
    """A pack that is read like a file: headers, the contents of files, and the zeros in between.

    One member is open at a time. Not to be shared between threads.

    Parameters
    ----------
    pack : Pack
        The tar.
    """

    def __init__(self, pack: Pack) -> None:
        super().__init__()
        self._pack = pack
        self._position = 0
        self._member: Member | None = None
        self._file: io.FileIO | None = None

    def close(self) -> None:
        """Close the member that is open."""
        self._leave()
        super().close()

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Say where the next read begins.

        Raises
        ------
        ValueError
            If that is before the beginning, as for every file.
        """
        self._check_open()
        if whence not in (io.SEEK_SET, io.SEEK_CUR, io.SEEK_END):
            raise ValueError(f"whence is {whence}, and must be 0, 1 or 2")
        base = (0, self._position, self._pack.size)[whence]
        if base + offset < 0:
            raise ValueError(f"{self._pack} has no byte {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read the next bytes into a buffer: all of it, unless the tar ends before.

        Raises
        ------
        SizeMismatch
            If a member became shorter or longer meanwhile.
        RepositoryError
            If one cannot be read.
        """
        self._check_open()
        count = 0
        with memoryview(buffer) as given, given.cast("B") as view:
            while count < len(view) and self._position < self._pack.size:
                with view[count:] as rest:
                    taken = self._fill(rest)
                count += taken
                self._position += taken
        return count

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError(f"{self._pack} is closed")

    def _fill(self, view: memoryview) -> int:
        """Read what lies here: of one member, of one header, or of the zeros behind either."""
        members, at = self._pack.members, self._position
        number = bisect_right(members, at, key=_OFFSET)
        begin = 0
        if number:
            member = members[number - 1]
            if at < member.end:
                return self._read(member, view)
            begin = _padded(member.end)
            if at < begin:
                return _copy(bytes(begin - at), view)
        self._leave()
        if number == len(members):
            return _copy(bytes(self._pack.size - at), view)
        member = members[number]
        return _copy(_header(member.path, member.size)[at - begin :], view)

    def _read(self, member: Member, view: memoryview) -> int:
        at = self._position - member.offset
        try:
            if self._member is not member or self._file is None:
                self._leave()
                self._file, self._member = io.FileIO(member.source, "rb"), member
                _compare_size(member, os.fstat(self._file.fileno()).st_size)
            if self._file.tell() != at:
                self._file.seek(at)
            with view[: member.size - at] as wanted:
                count = self._file.readinto(wanted) or 0
            if not count:
                _compare_size(member, at)
            if at + count == member.size:
                _compare_size(member, os.fstat(self._file.fileno()).st_size)
        except SizeMismatch:  # an OSError as well, and said in our own words already
            raise
        except OSError as error:
            raise _unread(member, error) from error
        return count

    def _leave(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._member = None


def packs_of(entries: Iterable[Entry], root: Path) -> list[Pack]:
    """Make a tar of the files of each session.

    Parameters
    ----------
    entries : iterable of Entry
        Local files, each with its size and md5.
    root : Path
        The folder that their paths are relative to.

    Returns
    -------
    list of Pack
        One for each session, sorted; no file is opened for that.

    Raises
    ------
    UnsafeData
        If a file has no size or md5, has the name of a pack itself, or stands there twice.

    Examples
    --------
    >>> entry = Entry("lab/Subjects/cat/2024-05-06/001/alf/spikes.times.npy", size=700, md5="0" * 32)
    >>> [pack] = packs_of([entry], Path("data"))
    >>> pack.path, pack.members[0].offset, pack.size
    ('lab/Subjects/cat/2024-05-06/001/alf/_one_session.pack.tar', 512, 2560)
    """
    in_order = sorted(entries, key=_PATH)
    return [_pack_of(session, found, root) for session, found in groupby(in_order, key=_SESSION)]


def _pack_of(session: str, entries: Iterable[Entry], root: Path) -> Pack:
    pack, at, last = f"{session}/{PACK_NAME}", 0, ""
    members: list[Member] = []
    for entry in entries:
        if entry.size is None or entry.md5 is None:
            raise UnsafeData(f"{printable(entry.path)} cannot be packed: its size or md5 is not known")
        if entry.path == pack:
            raise UnsafeData(
                f"{printable(entry.path)} cannot be packed: it has the name of the pack itself",
                hint="Move it out of the data folder; its files are packed from where they lie",
            )
        if entry.path == last:
            raise UnsafeData(f"{printable(entry.path)} cannot be packed: it stands there twice")
        offset = at + _header_size(entry.path, entry.size)
        members.append(Member(entry.path, root / entry.path, offset, entry.size, entry.md5))
        at, last = _padded(offset + entry.size), entry.path
    return Pack(pack, tuple(members), at + _END)


def is_pack(path: str) -> bool:
    """Tell whether a path is that of a pack.

    Examples
    --------
    >>> is_pack("lab/Subjects/cat/2024-05-06/001/alf/_one_session.pack.tar"), is_pack("lab/alf/_one_session.pack.tar")
    (True, False)
    """
    return path.endswith(f"/{PACK_NAME}") and path.count("/") == 6


def member_entry(pack_url: str, row: MemberRow | Member) -> Entry:
    """Return a member as a file of its own: its address is that of the tar, and the bytes that it has there.

    Examples
    --------
    >>> row = MemberRow("lab/Subjects/cat/2024-05-06/001/alf/spikes.times.npy", 1536, 20000, "0" * 32, "1" * 32)
    >>> member_entry("https://example.org/files/123", row).url
    'https://example.org/files/123#bytes=1536-21535'
    """
    url = f"{pack_url}#bytes={row.offset}-{row.offset + row.size - 1}"
    return Entry(row.path, url, row.size, row.md5)


def span_of(url: str) -> tuple[str, int, int] | None:
    """Return the address of a tar, and offset and size of the member in it; None for any other address.

    A range of which the end is one before its beginning is an empty file. There is no request for it.

    Examples
    --------
    >>> span_of("https://example.org/files/123#bytes=1536-21535")
    ('https://example.org/files/123', 1536, 20000)
    >>> span_of("https://example.org/files/123#bytes=1536-1535")
    ('https://example.org/files/123', 1536, 0)
    >>> span_of("https://example.org/files/123"), span_of("https://example.org/files/123#bytes=9-5")
    (None, None)
    """
    if "#" not in url:  # nearly always
        return None
    found = _SPAN(url)
    if found is None:
        return None
    offset, last = int(found[2]), int(found[3])
    return (found[1], offset, last + 1 - offset) if offset <= last + 1 < _MOST else None


def write_packs(rows: Iterable[MemberRow], stream: IO[bytes]) -> None:
    """Write ``.one_packs``.

    Parameters
    ----------
    rows : iterable of MemberRow
        In any order; the same one twice is written once.
    stream : binary file
        Takes UTF-8 text: five columns with tabs between them, no header, sorted, LF.

    Raises
    ------
    UnsafeData
        If :func:`read_packs` would refuse what was written.
    """
    for row in _checked(_once(sorted(rows, key=_key))):
        line = "\t".join(map(str, row)).encode()
        _parsed(line)
        stream.write(line + b"\n")


def read_packs(stream: IO[bytes]) -> Iterator[MemberRow]:
    """Read ``.one_packs``, a row at a time.

    Parameters
    ----------
    stream : binary file
        The content. It comes from outside: the whole of it has to be read before any of it is believed.

    Raises
    ------
    UnsafeData
        If it is anything but what :func:`write_packs` writes: a path that is refused or lies in no session, a number
        that is none, a member that overlaps another one, rows that are not sorted. The message has the number of the
        row.
    """
    order, row = _Order(), 0
    while line := stream.readline(_MAX_LINE):
        row += 1
        try:
            member = _parsed(_whole(line))
            order.check(member)
        except (UnsafeData, AlfError) as error:
            raise UnsafeData(f"row {row} of {PACKS_NAME}: {error.message}", hint=_ASK_THEM) from error
        yield member


def merge_packs(*rows: Iterable[MemberRow]) -> Iterator[MemberRow]:
    """Put the rows of several ``.one_packs`` together, each sorted; what several of them say is said once.

    While an upload is half done there are two: the rows of either hold for the packs that have their md5.
    """
    return _once(heapq.merge(*rows, key=_key))


def expand(entries: Iterable[Entry], rows: Iterable[MemberRow], remarks: list[str] | None = None) -> Iterator[Entry]:
    """Replace each pack by its members, where there are rows with its md5.

    A file of its own wins over a member of the same path: it came later. A pack of which nothing is known stays a file.

    Parameters
    ----------
    entries : iterable of Entry
        What ``.one_root`` says, with the sizes and md5 that the repository states.
    rows : iterable of MemberRow
        What ``.one_packs`` says, in any order; of several of them what :func:`merge_packs` yields.
    remarks : list of str, optional
        Takes a line for each pack that stays a file, by the time that its session is yielded.

    Yields
    ------
    Entry
        Sorted by path.

    Raises
    ------
    UnsafeData
        If members overlap, or are stated in two ways.
    """
    of_session = _by_session(rows)  # whoever begins to read has had all rows looked at
    for session, group in groupby(sorted(entries, key=_PATH), key=_SESSION):
        yield from _expanded(session, list(group), of_session.get(session, []), remarks)


def _expanded(session: str, entries: list[Entry], rows: list[MemberRow], remarks: list[str] | None) -> Iterable[Entry]:
    name = f"{session}/{PACK_NAME}"
    pack = next((entry for entry in entries if entry.path == name), None)
    if pack is None:
        return entries
    mine = [row for row in rows if row.pack_md5 == pack.md5]
    if not mine or not pack.url:
        if remarks is not None:
            remarks.append(f"{printable(name)} stays one file: {PACKS_NAME} does not say what is in it")
        return entries
    furthest = max(mine, key=_OFFSET)
    if pack.size is not None and _padded(furthest.offset + furthest.size) + _END > pack.size:
        if remarks is not None:  # damaged, or made up: whoever downloads the tar sees what is in it
            remarks.append(f"{printable(name)} stays one file: {printable(furthest.path)} cannot lie in it")
        return entries
    whole = {row.path: member_entry(pack.url, row) for row in mine}
    whole.update((entry.path, entry) for entry in entries if entry is not pack)
    return [whole[path] for path in sorted(whole)]


def split(entries: Iterable[Entry], packs: Mapping[str, tuple[str, str, int]]) -> tuple[list[Entry], list[MemberRow]]:
    """Take members and packs apart again, for writing.

    Parameters
    ----------
    entries : iterable of Entry
        What an index holds.
    packs : mapping
        Path, md5 and size of each pack, by its address.

    Returns
    -------
    list of Entry
        For ``.one_root``: files that are no members, and one entry for each pack that members lie in; sorted.
    list of MemberRow
        For ``.one_packs``.

    Raises
    ------
    RepositoryError
        If the pack of a member is not among them, or one session has two.
    UnsafeData
        If a member lies in the pack of another session.
    """
    files: dict[str, Entry] = {}
    rows: list[MemberRow] = []
    for entry in entries:
        span = span_of(entry.url)
        if span is None:
            files[entry.path] = entry
            continue
        url, offset, size = span
        path, md5, pack_size = packs.get(url, ("", "", 0))
        if not path or entry.md5 is None:
            raise RepositoryError(
                f"the pack that {printable(entry.path)} lies in is not in the repository any more",
                hint="Run the same command again",
            )
        if path != f"{entry.session}/{PACK_NAME}":
            raise UnsafeData(f"{printable(entry.path)} lies in the pack of another session, {printable(path)}")
        if files.setdefault(path, Entry(path, url, pack_size, md5)).url != url:
            raise RepositoryError(
                f"datasets of {entry.session} lie in two packs, and a session has one",
                hint="Upload all of the session from one folder with --pack session, or without --pack",
            )
        rows.append(MemberRow(entry.path, offset, size, entry.md5, md5))
    return [files[path] for path in sorted(files)], rows


def folded(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Put one entry for each pack in the place of its members, as those read it who know nothing of packs.

    Examples
    --------
    >>> session = "lab/Subjects/cat/2024-05-06/001"
    >>> members = [Entry(f"{session}/alf/{name}.times.npy", "https://a.org/9#bytes=512-519") for name in "ab"]
    >>> [(entry.path[-26:], entry.url) for entry in folded(members)]
    [('/alf/_one_session.pack.tar', 'https://a.org/9')]
    """
    seen: set[str] = set()
    for entry in entries:
        span = span_of(entry.url)
        if span is None:
            yield entry
        elif span[0] not in seen:
            seen.add(span[0])
            yield Entry(f"{entry.session}/{PACK_NAME}", span[0])


class _Order:
    """Looks at one row after the other: they are sorted, and no two members of a pack have a byte in common."""

    def __init__(self) -> None:
        self._last: tuple[str, str, str] = ("", "", "")
        self._end = 0

    def check(self, row: MemberRow) -> None:
        """Refuse a row that cannot follow the one before."""
        key = _key(row)
        if key <= self._last:
            raise UnsafeData(f"{printable(row.path)} stands there twice, or not where it belongs: rows are sorted")
        begin = self._end if key[:2] == self._last[:2] else 0
        if row.offset < begin + _RECORD:  # a header stands before each
            raise UnsafeData(f"{printable(row.path)} overlaps the member before it")
        self._last, self._end = key, _padded(row.offset + row.size)


def _by_session(rows: Iterable[MemberRow]) -> dict[str, list[MemberRow]]:
    """Group rows, each once, and look at them together."""
    in_order = _checked(_once(sorted(rows, key=_key)))
    return {session: list(group) for session, group in groupby(in_order, key=_SESSION)}


def _once(rows: Iterable[MemberRow]) -> Iterator[MemberRow]:
    last: MemberRow | None = None
    for row in rows:
        if row != last:
            yield row
        last = row


def _checked(rows: Iterable[MemberRow]) -> Iterator[MemberRow]:
    order = _Order()
    for row in rows:
        order.check(row)
        yield row


def _key(row: MemberRow) -> tuple[str, str, str]:
    return f"{row.session}/", row.pack_md5, row.path


def _whole(line: bytes) -> bytes:
    """Return a line without its end, which it must have."""
    if not line.endswith(b"\n"):
        raise UnsafeData("it is cut off" if len(line) < _MAX_LINE else f"it is longer than {_MAX_LINE:,} bytes")
    return line[:-1]


def _parsed(line: bytes) -> MemberRow:
    """Return what a line says, if it is a right one."""
    try:
        cells = line.decode().split("\t")
    except UnicodeDecodeError as error:
        raise UnsafeData(f"it is not UTF-8 text (byte {error.start + 1} of the row)") from error
    if len(cells) != 5:
        raise UnsafeData(f"it has {len(cells)} columns, and must have five")
    path, offset, size, md5, pack_md5 = cells
    check_safe(path)
    if split_path(path)[1] == PACK_NAME:
        raise UnsafeData(f"{printable(path)} is a pack, and not in one")
    if not (_NUMBER(offset) and _NUMBER(size)) or int(offset) % _RECORD or int(offset) + int(size) >= _MOST:
        raise UnsafeData(f"{printable(offset)} and {printable(size)} are no place and size in a tar")
    if not (_MD5(md5) and _MD5(pack_md5)):
        raise UnsafeData("its md5 are not 32 digits of 0 to 9 and a to f")
    if (size == "0") != (md5 == EMPTY_MD5):
        raise UnsafeData("its size and md5 cannot both be right: only one of them is that of an empty file")
    return MemberRow(path, int(offset), int(size), md5, sys.intern(pack_md5))  # the same in all rows of a pack


def _header(path: str, size: int) -> bytes:
    """Return what stands before the bytes of a member: one record, or several where ustar cannot say it."""
    import tarfile  # takes several milliseconds, and few commands make a tar

    member = tarfile.TarInfo(path)
    member.size = size  # mtime, uid and gid are 0, and the mode 0644
    try:
        return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    except ValueError:  # the name is too long or not ASCII, or the size has more than eleven octal digits
        return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _header_size(path: str, size: int) -> int:
    """Return how many bytes stand before a member; to make them takes a tenth of a millisecond."""
    return _RECORD if path.isascii() and len(path) <= 100 and size < 8**11 else len(_header(path, size))


def _padded(offset: int) -> int:
    return -(-offset // _RECORD) * _RECORD


def _copy(data: bytes, view: memoryview) -> int:
    count = min(len(data), len(view))
    view[:count] = data[:count]
    return count


def _look(member: Member) -> tuple[int, int, int]:
    try:
        found = member.source.stat()
    except OSError as error:
        raise _unread(member, error) from error
    _compare_size(member, found.st_size)
    return found.st_size, found.st_mtime_ns, found.st_ino


def _compare_size(member: Member, size: int) -> None:
    if size != member.size:
        raise SizeMismatch(f"{member.source} has changed: it had {member.size:,} bytes, and now {size:,}", hint=_STILL)


def _changed(member: Member) -> ChecksumMismatch:
    return ChecksumMismatch(f"{member.source} has changed: it was written to since it was looked at", hint=_STILL)


def _unread(member: Member, error: OSError) -> RepositoryError:
    return RepositoryError(f"{member.source} cannot be read: {error.strerror}", hint="Is the disk still there?")
