"""The local file or pack of an upload: compared while it is read, and looked at again afterwards, for it may change."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from onelight.client import FilePart
from onelight.errors import ChecksumMismatch, SizeMismatch
from onelight.index import Entry
from onelight.pack import Pack

# A file of up to so many bytes is read and compared as a whole, before anything of it is sent.
SMALL = 1 << 20
_HINT = "Run the command again once nothing writes to it any more"


class LocalFile:
    """A local file, or several as a pack, to be sent as they were when the upload was planned, or not at all.

    Parameters
    ----------
    source : Path or Pack
        What is sent.
    entry : Entry
        Its size and md5 when the upload was planned.
    progress : callable
        Told of the bytes that are sent, of each byte once.

    Raises
    ------
    SizeMismatch, ChecksumMismatch
        If it is another file already.
    """

    def __init__(self, source: Path | Pack, entry: Entry, progress: Callable[[int], None]) -> None:
        self.source = source
        self.size = entry.size or 0
        self._md5 = entry.md5
        self._progress = progress
        self._told: dict[int, int] = {}
        self._sent_md5: str | None = None
        self._before = self._look()
        self._content = self._read() if self.size <= SMALL else None

    def _look(self) -> tuple[object, ...]:
        if isinstance(self.source, Pack):
            self._compare_size(self.source.size)
            return self.source.look()
        found = self.source.stat()
        self._compare_size(found.st_size)
        return found.st_size, found.st_mtime_ns, found.st_ino

    def _read(self) -> bytes:
        with Reading(self.source) as stream:
            content = stream.read(self.size + 1)
            self._compare_size(len(content))
            self._compare_md5(stream.md5.hexdigest())
        return content

    @contextlib.contextmanager
    def part(self, offset: int, length: int) -> Iterator[bytes | FilePart]:
        """Give bytes of the file as the body of a request; again, where it has to be sent again."""
        if self._content is not None:
            yield self._content[offset : offset + length]  # all of it is not copied
            self.tell(offset, length)
            return

        def read(count: int) -> None:
            if count == self.size:  # kept, for the client goes back to the beginning when a connection is lost
                self._sent_md5 = stream.md5.hexdigest()
            self.tell(offset, count)

        with Reading(self.source, read, hashed=length == self.size) as stream:
            yield FilePart(stream, offset, length)

    def tell(self, offset: int, count: int) -> None:
        """Report that so many bytes from there on were sent, but not those of which that was told before."""
        told = self._told.get(offset, 0)
        if count > told:
            self._told[offset] = count
            self._progress(count - told)

    def check(self) -> None:
        """Look at the file again, now that all of it was read.

        One that was sent in one piece is compared by the md5 of the bytes that were sent. One of several parts, some
        of them perhaps sent by an earlier run, must not have been touched; its md5 is compared by figshare.

        Raises
        ------
        SizeMismatch, ChecksumMismatch
            If it changed: what was sent may be half of one file and half of another.
        """
        if self._content is not None:
            return  # compared before these very bytes were sent
        now = self._look()
        if self._sent_md5 is not None:
            self._compare_md5(self._sent_md5)
        elif now != self._before:
            self._compare_md5("")

    def _compare_size(self, size: int) -> None:
        if size != self.size:
            raise SizeMismatch(f"{self.source} has changed: it had {self.size:,} bytes, and now {size:,}", hint=_HINT)

    def _compare_md5(self, md5: str) -> None:
        if md5 != self._md5:
            raise ChecksumMismatch(f"{self.source} has changed: it was written to since it was looked at", hint=_HINT)


class Reading(io.RawIOBase):
    """An open file that counts what is read of it from where it was last sought, and takes the md5 of that."""

    def __init__(
        self, source: Path | Pack, told: Callable[[int], None] = lambda _: None, *, hashed: bool = True
    ) -> None:
        super().__init__()
        self.name = str(source)
        self._file = source.open() if isinstance(source, Pack) else io.FileIO(source, "rb")
        self._told = told
        self._hashed = hashed
        self._count = 0
        self.md5 = hashlib.md5()

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Begin anew: the client does so before it sends, and when it has to send again."""
        self._count = 0
        self.md5 = hashlib.md5()
        return self._file.seek(offset, whence)

    def read(self, size: int = -1, /) -> bytes:
        """Read the next bytes."""
        data = self._file.read(size) or b""
        if self._hashed:
            self.md5.update(data)
        self._count += len(data)
        self._told(self._count)
        return data
