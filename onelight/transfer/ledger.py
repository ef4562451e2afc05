"""Which local files were compared with what, so that a good file is kept without reading it again.

One text file in the data folder of a repository: a line per file with size, modification time, inode, change time and
md5. A file that no longer has these is read again; a ledger that is damaged or gone costs time, never truth. The
change time is in it because a program can set the modification time back, and a restored backup does.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

LEDGER_NAME = ".one_verified"
#: In the place of a stamp: no file has it, so that the next look reads the file.
_DOUBTED = "-\t-\t-\t-"


class Ledger:
    """The record of the files below one folder, read once.

    Parameters
    ----------
    folder : Path
        The data folder of a repository.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LEDGER_NAME
        self._lock = threading.Lock()
        self._rows: dict[str, str] = {}
        self._seen = (0, 0, 0)
        try:
            with self._path.open("rb") as stream:
                self._seen = _identity(os.fstat(stream.fileno()))
                lines = stream.read().decode("utf-8", "surrogateescape").split("\n")
        except OSError:
            lines = []
        for line in lines:
            path, _, rest = line.partition("\t")
            # Three tabs: of an earlier version, without the change time. The file is read again, its md5 still known.
            if rest.count("\t") in (3, 4):
                self._rows[path] = rest

    def __iter__(self) -> Iterator[str]:
        """Return the path of every file that was ever compared."""
        return iter(self._rows)

    def is_current(self) -> bool:
        """Tell whether this is still the record as it is on the disk, so that it need not be read again."""
        try:
            return self._seen == _identity(self._path.stat())
        except OSError:
            return self._seen == (0, 0, 0)

    def md5(self, path: str, target: Path, found: os.stat_result | None = None) -> str | None:
        """Return the md5 that a file had when it was compared, if it has not been touched since.

        Parameters
        ----------
        path : str
            Path relative to the data folder.
        target : Path
            The local file.
        found : os.stat_result, optional
            What a look at the file has just found, so that it is not looked at again.
        """
        recorded, _, md5 = self._rows.get(path, "").rpartition("\t")
        if not recorded:
            return None
        try:
            return md5 if recorded == _stamp(found or _look(target)) else None
        except OSError:
            return None

    def last_md5(self, path: str) -> str | None:
        """Return the md5 that a file had when it was last compared, whatever happened to it since."""
        return self._rows.get(path, "").rpartition("\t")[2] or None

    def record(self, path: str, target: Path, md5: str) -> None:
        """Take down that a file was compared just now."""
        self.record_all([(path, target, md5)])

    def record_all(self, compared: Iterable[tuple[str, Path, str]]) -> None:
        """Take down that files were compared just now, in one write, so that processes can share the record."""
        rows = []
        with contextlib.suppress(OSError):
            for path, target, md5 in compared:
                rows.append((path, f"{_stamp(_look(target))}\t{md5}"))
        self._append(rows)

    def doubt(self, paths: Iterable[str]) -> None:
        """Take down that files are not to be believed any more, though they look untouched: the next look reads them.

        What they were when they were whole stays known.
        """
        self._append([(path, f"{_DOUBTED}\t{md5}") for path in paths if (md5 := self.last_md5(path))])

    def _append(self, rows: list[tuple[str, str]]) -> None:
        if not rows:
            return
        content = "".join(f"{path}\t{row}\n" for path, row in rows).encode("utf-8", "surrogateescape")
        with self._lock, contextlib.suppress(OSError):  # a folder that cannot be written is read again next time
            self._rows.update(rows)
            with self._path.open("ab", buffering=0) as stream:
                stream.write(content)
                now = _identity(os.fstat(stream.fileno()))
            if now[0] == self._seen[0] + len(content):  # otherwise somebody else wrote, too
                self._seen = now


def _look(target: Path) -> os.stat_result:
    return os.stat(target)  # noqa: PTH116 - asked for every file of a session; a third faster than Path.stat


def _stamp(found: os.stat_result) -> str:
    return f"{found.st_size}\t{found.st_mtime_ns}\t{found.st_ino}\t{found.st_ctime_ns}"


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ino
