"""Arrays from .npz files, which are zip archives of .npy files; nothing is written to disk, nothing is executed.

The archive is read here, by the standard library's zlib, and not by its zipfile, for three reasons. Limits hold before
an object is made for each of a million members. Where the directory at the end and the beginning of a member disagree,
the file is refused: two programs would read two different things in it. And a member that goes on after the size that
was stated for it is refused, where zipfile would return its beginning. What NumPy, SciPy and others write is read:
members stored or deflated, of any size. Format: APPNOTE.TXT of PKWARE, sections 4.3 to 4.5.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from onelight.errors import UnsafeData
from onelight.loading.bunch import Bunch
from onelight.loading.content import AGAIN, HEAD, damaged, refuse_foreign
from onelight.loading.npy import read_array

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_MEMBERS = 10_000
MAX_DIRECTORY = 4_000_000  # bytes; 400 for each member
# Repetitive arrays compress very well; but none of them becomes this large in memory and a hundred times its file.
LARGE = 256_000_000  # bytes
RATIO = 100  # times the file

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s4x2H4x3L3H8xL")
_LOCAL = struct.Struct("<4s2x2H4x3L2H")
_WIDE = 0xFFFFFFFF  # the number is found among the extra fields instead
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 1, 8, 0x800  # bits of the flags
_STORED, _DEFLATED = 0, 8
_PIECE = 1 << 16  # compressed bytes that are read at once; zlib copies those that it does not use
# Names become keys only, never files. But whoever meets one of these has no array of a person in hand.
_ODD_NAME = re.compile(r"/|[A-Za-z]:|(?:.*/)?\.\.?(?:/|$)|.*[\\\x00-\x1f\x7f]|.*//|.*/$|$", re.DOTALL)


@dataclass(frozen=True)
class _Member:
    """One line of the directory."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int  # bytes in the file
    size: int  # bytes of the .npy
    start: int  # where its own header begins

    @property
    def key(self) -> str:
        """What the array is called: the name of the member without .npy."""
        return self.name.decode("utf-8" if self.flags & _UTF8 else "cp437").removesuffix(".npy")


def read_npz(path: Path, *, execute_code_in_the_file: bool = False) -> Bunch:
    """Read every array of an archive of arrays.

    Parameters
    ----------
    path : pathlib.Path
        A ``.npz`` file, of ``numpy.savez`` or ``numpy.savez_compressed``.
    execute_code_in_the_file : bool
        Also read arrays of Python objects, which are a program that runs while they are read and can do whatever
        you can. Only for files that you wrote yourself.

    Returns
    -------
    Bunch
        Arrays by name, in the order of the file; also if there is one only, or none. Arrays that were saved without
        a name are called ``arr_0``, ``arr_1`` and so on.

    Raises
    ------
    UnsafeData
        If the archive is damaged, encrypted or a bomb, has a member that is no array or two of one name, or contains
        Python objects.

    Examples
    --------
    >>> import tempfile, pathlib, numpy
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "clusters.waveforms.npz"
    ...     numpy.savez(path, mean=numpy.zeros((2, 82)), count=numpy.array([10, 12]))
    ...     read_npz(path)
    Bunch with 2 values
      mean   (2, 82) float64
      count  (2,) int64
    """
    arrays = Bunch()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(HEAD)
        if not head.startswith((b"PK\3\4", b"PK\5\6")):
            refuse_foreign(path, head, "an archive of arrays")
            raise UnsafeData(f"{path} is not an archive of arrays: it begins with {head[:8]!r}", hint=AGAIN)
        start, length, count = _find_directory(file, size, path)
        if count > MAX_MEMBERS or length > MAX_DIRECTORY:
            limits = f"{MAX_MEMBERS} members and {MAX_DIRECTORY} bytes"
            raise UnsafeData(f"{path} has a directory beyond the limits of {limits}", hint=AGAIN)
        file.seek(start)
        members = _members(_entries(file.read(length), count, path), size, path)
        places = _places(file, list(members.values()), start, path)
        for key, member in members.items():
            content = _Content(file, member, places[member.start], path / f"{key}.npy")
            arrays[key] = read_array(
                content, member.size, content.path, execute_code_in_the_file=execute_code_in_the_file
            )
            content.check_end()
    return arrays


def _members(entries: list[_Member], size: int, path: Path) -> dict[str, _Member]:
    """Return the members by key, after everything was checked that the directory says."""
    found: dict[str, _Member] = {}
    for member in entries:
        try:
            key = member.key
        except UnicodeDecodeError as error:
            raise damaged(path, f"a name of a member is not UTF-8: {member.name[:40]!r}") from error
        if _ODD_NAME.match(key):
            raise UnsafeData(f"{path} has a member of the name {key[:40]!r}, which no array has", hint=AGAIN)
        if key in found:
            raise UnsafeData(f"{path} has two members of the name {key[:40]!r}", hint=AGAIN)
        if member.flags & _ENCRYPTED:
            raise UnsafeData(f"{path} is encrypted", hint="Ask the owner to share it as it is")
        if member.method not in {_STORED, _DEFLATED}:
            raise UnsafeData(f"{path} is compressed by a method other than NumPy's ({member.method})", hint=AGAIN)
        found[key] = member
    total = sum(member.size for member in entries)
    if total > LARGE and total > size * RATIO:
        raise UnsafeData(
            f"{path} has {size} bytes and would take {total} in memory: it may be made to fill the memory",
            hint="If you know who wrote it, take the path with download_only=True and read it with numpy.load",
        )
    return found


def _places(file: BinaryIO, members: list[_Member], directory: int, path: Path) -> dict[int, int]:
    """Return where the content of each member begins, by where the member begins.

    Each says again at its beginning what the directory says of it; members do not overlap.
    """
    places, end = {}, 0
    for member in sorted(members, key=lambda member: member.start):
        if not end <= member.start <= directory - _LOCAL.size:
            raise damaged(path, "its members do not lie one behind the other")
        file.seek(member.start)
        signature, flags, method, crc, packed, size, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
        if signature != b"PK\3\4":
            raise damaged(path, "a member is not where the directory says")
        places[member.start] = member.start + _LOCAL.size + name + extra
        end = places[member.start] + member.packed
        if end > directory:
            raise damaged(path, "a member goes on into the directory")
        same = (file.read(name), method, flags & _ENCRYPTED) == (member.name, member.method, 0)
        if not flags & _SIZES_FOLLOW:
            size, packed = _wide([size, packed], file.read(extra), path)
            same = same and (crc, packed, size) == (member.crc, member.packed, member.size)
        if not same:
            raise damaged(path, "a member says something else of itself than the directory does")
    return places


def _find_directory(file: BinaryIO, size: int, path: Path) -> tuple[int, int, int]:
    """Return where the directory begins, its bytes and its members. It must end where the end record begins.

    A comment may follow the end record in general, and then it is not certain which end record is meant. No program
    writes comments into archives of arrays.
    """
    file.seek(max(size - _END.size - _LOCATOR.size - _END_64.size, 0))
    tail = file.read()
    if len(tail) < _END.size:
        raise damaged(path, "it is a zip archive without its end")
    signature, disk, first_disk, here, count, length, start, comment = _END.unpack(tail[-_END.size :])
    if signature != b"PK\5\6" or comment:
        raise damaged(path, "it is a zip archive without its end")
    end = size - _END.size
    locator = tail[-_END.size - _LOCATOR.size : -_END.size]
    if locator.startswith(b"PK\6\7"):
        end = size - len(tail)
        if len(tail) != _END.size + _LOCATOR.size + _END_64.size or _LOCATOR.unpack(locator)[2] != end:
            raise damaged(path, "it is a zip archive whose end is not where it says")
        signature, _, _, _, disk, first_disk, here, count, length, start = _END_64.unpack(tail[: _END_64.size])
    if signature not in {b"PK\5\6", b"PK\6\6"} or disk or first_disk or here != count or start + length != end:
        raise damaged(path, "it is a zip archive whose directory is not where it says")
    return start, length, count


def _entries(directory: bytes, count: int, path: Path) -> list[_Member]:
    members, position = [], 0
    for _ in range(count):
        if directory[position : position + 4] != b"PK\1\2" or len(directory) < position + _ENTRY.size:
            raise damaged(path, f"its directory does not have the {count} members that it states")
        entry = _ENTRY.unpack_from(directory, position)
        _, flags, method, crc, packed, size, name, extra, comment, start = entry
        position += _ENTRY.size
        fields = directory[position + name : position + name + extra]
        size, packed, start = _wide([size, packed, start], fields, path)
        members.append(_Member(directory[position : position + name], flags, method, crc, packed, size, start))
        position += name + extra + comment
    if position != len(directory):
        raise damaged(path, f"its directory has more than the {count} members that it states")
    return members


def _wide(numbers: Sequence[int], fields: bytes, path: Path) -> list[int]:
    """Return the numbers, those that need eight bytes from the extra field that has them, in the same order."""
    wide, position = b"", 0
    while position + 4 <= len(fields):
        kind, length = struct.unpack_from("<2H", fields, position)
        if kind == 1:
            wide = fields[position + 4 : position + 4 + length]
        position += 4 + length
    missing = sum(number == _WIDE for number in numbers)
    if len(wide) < 8 * missing:
        raise damaged(path, "a member does not state its size")
    found = iter(struct.unpack_from(f"<{missing}Q", wide))
    return [next(found) if number == _WIDE else number for number in numbers]


class _Content:
    """The bytes of one member, unpacked as they are asked for; `path` is what it is called in messages."""

    def __init__(self, file: BinaryIO, member: _Member, start: int, path: Path) -> None:
        self._file = file
        self._crc_stated = member.crc
        self.path = path
        self._packed = member.packed  # bytes still in the file
        self._crc = 0
        self._input = b""
        self._unpack = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == _DEFLATED else None
        file.seek(start)

    def read(self, size: int, /) -> bytes:
        """Return that many bytes, or fewer at the end."""
        pieces, missing = [], size
        while missing > 0:
            piece = self._next(missing)
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        data = b"".join(pieces)
        self._crc = zlib.crc32(data, self._crc)
        return data

    def _next(self, most: int) -> bytes:
        """Return some bytes, none only at the end."""
        if self._unpack is None:
            data = self._file.read(min(most, self._packed))
            self._packed -= len(data)
            return data
        data = b""
        while not data and not self._unpack.eof:
            if not self._input:
                self._input = self._file.read(min(_PIECE, self._packed))
                self._packed -= len(self._input)
            last = not self._input
            try:
                data = self._unpack.decompress(self._input, most)
            except zlib.error as error:
                raise damaged(self.path, f"it cannot be decompressed: {error}") from error
            self._input = self._unpack.unconsumed_tail
            if last and not data:
                break
        return data

    def check_end(self) -> None:
        """Refuse a member that goes on after its size, ends before its packed size, or was changed."""
        more = self.read(1)
        if more or self._packed or (self._unpack and (self._unpack.unused_data or not self._unpack.eof)):
            raise damaged(self.path, "it does not end where the directory of the archive says")
        if self._crc != self._crc_stated:
            raise damaged(self.path, "its checksum is wrong")
