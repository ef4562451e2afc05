"""What a file turns out to be, whatever its name says; and the bytes of text, looked at piece by piece."""

from __future__ import annotations

import codecs
import io
import re
import zlib
from typing import TYPE_CHECKING, BinaryIO

from onelight.errors import UnsafeData

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

AGAIN = "Download it again; if it stays so, tell the owner of the repository"
HEAD = 512  # bytes that are enough to say what a file looks like
EMPTY = "empty"
HTML = "an HTML page (a server answers with one for an error or a login)"
XML = "an XML document"
UTF_16 = "text in UTF-16, not UTF-8"

PIECE = 1 << 18  # bytes of text that are looked at in one go, so that no refusal takes much memory
_GZIP = b"\x1f\x8b"
_GZIP_PIECE = 1 << 14  # many small archives in one file cost the square of this, and a larger one reads no faster
# Text becomes ten times smaller in an archive, equal rows a thousand times: a bomb does so and is large.
_LARGE_TEXT = 64 << 20  # bytes
_LARGE_RATIO = 200  # times the archive

# What arrives under the name of a dataset when a transfer, a server or a person went wrong.
_LOOKS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body|title)\b", re.IGNORECASE), HTML),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\b", re.IGNORECASE), XML),
    (re.compile(rb"PK(?:\x03\x04|\x05\x06)"), "a zip archive (so are .npz files)"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
    (re.compile(rb"\x89HDF\r\n"), "an HDF5 file"),
    (re.compile(rb"MATLAB 5\.0"), "a MATLAB file"),
    (re.compile(rb"\x93NUMPY"), "a NumPy array (.npy)"),
    (re.compile(rb"PAR1"), "a parquet table (.pqt)"),
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer, not the file that it points to"),
    (re.compile(rb"\x80[\x02-\x05]"), "a Python pickle, which could run any program when it is read"),
    (re.compile(rb"\xff\xfe|\xfe\xff"), UTF_16),
)


def looks_like(head: bytes) -> str:
    r"""Return what the first bytes of a file say that it is, or an empty text when they say nothing.

    Parameters
    ----------
    head : bytes
        The beginning of the file, `HEAD` bytes or all there are.

    Examples
    --------
    >>> looks_like(b"PK\x03\x04...")
    'a zip archive (so are .npz files)'
    >>> looks_like(b"ccf_ap\tccf_dv")
    ''
    """
    return next((what for pattern, what in _LOOKS if pattern.match(head)), "")


def refuse_foreign(path: Path, head: bytes, wanted: str, but: tuple[str, ...] = ()) -> None:
    """Refuse a file whose first bytes show that it is something else than its name says.

    Parameters
    ----------
    path : pathlib.Path
        The file, for the message.
    head : bytes
        Its beginning.
    wanted : str
        What its name says: ``"an array"``, ``"a table"``.
    but : tuple of str, optional
        What it may be nevertheless: `EMPTY`, or something in the words of `looks_like`.

    Raises
    ------
    UnsafeData
        If the file is empty, or known to be something else.
    """
    if not head and EMPTY not in but:
        raise UnsafeData(f"{path} is empty (0 bytes), not {wanted}", hint=AGAIN)
    what = looks_like(head)
    if what and what not in but:
        raise UnsafeData(f"{path} is {what}, not {wanted}", hint=AGAIN)


def refuse_no_recording(path: Path, head: bytes) -> None:
    """Refuse what no recording is: nothing at all, and a web page.

    Of all that `looks_like` knows only these: most marks are two or four bytes, with which samples may well begin.

    Raises
    ------
    UnsafeData
        If the file is empty, or HTML or XML.
    """
    if not head or looks_like(head) in {HTML, XML}:
        refuse_foreign(path, head, "a recording")


def damaged(path: Path, why: str) -> UnsafeData:
    """Return the error for a file that is what it should be, but not whole or not right.

    Examples
    --------
    >>> from pathlib import Path
    >>> str(damaged(Path("a.npy"), "it ends within its header"))
    'a.npy is damaged: it ends within its header. Download it again; if it stays so, tell the owner of the repository'
    """
    return UnsafeData(f"{path} is damaged: {why}", hint=AGAIN)


def too_large(path: Path, limit: int) -> UnsafeData:
    """Return the error for a file of text that is not read into memory.

    Examples
    --------
    >>> from pathlib import Path
    >>> str(too_large(Path("a.log"), 256 << 20))
    'a.log has more than 256 MB, the limit of its format. Take its path with download_only=True, and read it in pieces'
    """
    return UnsafeData(
        f"{path} has more than {limit >> 20} MB, the limit of its format",
        hint="Take its path with download_only=True, and read it in pieces",
    )


def open_text(path: Path, wanted: str, but: tuple[str, ...] = ()) -> io.BufferedReader:
    r"""Open a file of text for reading its bytes; those of ``table.csv.gz`` are the ones within the archive.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    wanted : str
        What its name says, for messages: ``"a table"``.
    but : tuple of str, optional
        What it may be nevertheless: `EMPTY`, or something in the words of `looks_like`.

    Returns
    -------
    binary file
        Reading it raises UnsafeData where an archive is damaged, or turns out to be a bomb.

    Raises
    ------
    UnsafeData
        If the file is empty, or its first bytes show that it is something else.

    Examples
    --------
    >>> import gzip, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "clusters.metrics.csv.gz"
    ...     _ = path.write_bytes(gzip.compress(b"label\n1\n"))
    ...     with open_text(path, "a table") as file:
    ...         file.read()
    b'label\n1\n'
    """
    file = path.open("rb")
    try:
        if path.suffix.lower() == ".gz":
            file = io.BufferedReader(_Unzipped(file, path), PIECE)
        refuse_foreign(path, file.peek(HEAD)[:HEAD], wanted, but)
    except BaseException:
        file.close()
        raise
    return file


def pieces(path: Path, file: BinaryIO, limit: int = 0) -> Iterator[bytes]:
    r"""Read text piece by piece, each of them looked at: UTF-8, no NULs, not more than is allowed.

    Parameters
    ----------
    path : pathlib.Path
        Its name, for messages.
    file : binary file
        From `open_text`, not yet read.
    limit : int, optional
        The number of bytes that are allowed; any number by default.

    Yields
    ------
    bytes
        Whole characters, without a byte order mark.

    Raises
    ------
    UnsafeData
        If something is not as it should be; the message names the line.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "a.csv"
    ...     _ = path.write_bytes(b"\xef\xbb\xbfa,b\n")
    ...     with open_text(path, "a table") as file:
    ...         list(pieces(path, file))
    [b'a,b\n']
    """
    if limit and path.stat().st_size > limit:
        raise too_large(path, limit)
    position, lines, rest = 0, 0, b""
    while True:
        read = file.read(PIECE)
        data = rest + read
        if limit and position + len(data) > limit:
            raise too_large(path, limit)
        nul = data.find(b"\0")
        if nul >= 0:
            line = lines + data.count(b"\n", 0, nul) + 1
            raise damaged(path, f"it holds bytes that are no text, the first of them in line {line}")
        try:
            _, length = codecs.utf_8_decode(data, "strict", not read)
        except UnicodeDecodeError as error:
            line = lines + data.count(b"\n", 0, error.start) + 1
            raise UnsafeData(
                f"{path} is not UTF-8 text at line {line} (byte {position + error.start})",
                hint="If that is another encoding, take the path with download_only=True; if not, download it again",
            ) from error
        if not read:
            return
        piece, rest = data[:length], data[length:]
        yield piece.removeprefix(codecs.BOM_UTF8) if position == 0 else piece
        position += length
        lines += piece.count(b"\n")


class _Unzipped(io.RawIOBase):
    """The bytes within a gzip archive.

    Python's own module reads the name that an archive may state byte by byte, and a hostile name has gigabytes.
    """

    def __init__(self, file: io.BufferedReader, path: Path) -> None:
        self._file = file
        self._path = path
        self._inflate = zlib.decompressobj(wbits=31)
        self._taken = 0
        self._given = 0
        head = file.peek(HEAD)[:HEAD]
        if not head.startswith(_GZIP):
            refuse_foreign(path, head, "a gzip archive")
            raise UnsafeData(f"{path} is not a gzip archive: it begins with {head[:8]!r}", hint=AGAIN)

    def readable(self) -> bool:
        """Tell readers that this file can be read."""
        return True

    def close(self) -> None:
        """Close the archive, too."""
        self._file.close()
        super().close()

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer with what comes next, as far as it goes."""
        view = memoryview(buffer).cast("B")
        try:
            data = self._next(len(view))
        except zlib.error as error:
            raise damaged(self._path, f"its archive cannot be read: {error}") from error
        self._given += len(data)
        if self._given > max(_LARGE_TEXT, self._taken * _LARGE_RATIO):
            raise UnsafeData(
                f"{self._path} would become {self._given} bytes or more, over {_LARGE_RATIO} times its own size",
                hint=AGAIN,
            )
        view[: len(data)] = data
        return len(data)

    def _next(self, size: int) -> bytes:
        while True:
            if self._inflate.eof:  # archives may follow each other, and then their texts do so, too
                rest = self._inflate.unused_data.lstrip(b"\0")  # zeros fill the last block of a tape
                while not rest:
                    taken = self._take()
                    if not taken:
                        return b""
                    rest = taken.lstrip(b"\0")
                self._inflate = zlib.decompressobj(wbits=31)
            else:
                rest = self._inflate.unconsumed_tail or self._take()
            data = self._inflate.decompress(rest, size)
            if data:
                return data
            if not rest and not self._inflate.eof:
                raise damaged(self._path, "its archive ends too early")

    def _take(self) -> bytes:
        data = self._file.read(_GZIP_PIECE)
        self._taken += len(data)
        return data
