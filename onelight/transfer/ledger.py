"""Which local files were compared with what, so that a good file is kept without reading it again.

One text file in the data folder of a repository: a line per file with size, modification time, inode and md5. A file
that no longer has these is read again; a ledger that is damaged or gone costs time, never truth.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path

LEDGER_NAME = ".one_verified"


class Ledger:
    """The record of the files below one folder.

    Parameters
    ----------
    folder : Path
        The data folder of a repository.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LEDGER_NAME
        self._lock = threading.Lock()
        self._rows: dict[str, str] = {}
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        for line in lines:
            path, _, rest = line.partition("\t")
            if rest.count("\t") == 3:
                self._rows[path] = rest

    def md5(self, path: str, target: Path) -> str | None:
        """Return the md5 that a file had when it was compared, if it has not been touched since."""
        recorded, _, md5 = self._rows.get(path, "").rpartition("\t")
        try:
            return md5 if recorded and recorded == _stamp(target) else None
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
        lines = []
        with self._lock, contextlib.suppress(OSError):  # a folder that cannot be written is read again next time
            for path, target, md5 in compared:
                self._rows[path] = f"{_stamp(target)}\t{md5}"
                lines.append(f"{path}\t{self._rows[path]}\n")
            with self._path.open("ab", buffering=0) as stream:
                stream.write("".join(lines).encode())


def _stamp(target: Path) -> str:
    found = os.stat(target)  # noqa: PTH116 - asked for every file of a session; a third faster than Path.stat
    return f"{found.st_size}\t{found.st_mtime_ns}\t{found.st_ino}"
