"""What is remembered of files that were read: one SQLite file for all processes, and never a reason to fail.

A row has number, stamp and md5 of a file (:func:`~onelight.hashes.reading.identify`) and the day on which it was last
of use. A process writes some thousand rows at a time and holds nobody up in between. A crash of the computer can damage
the file; it is then made anew.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from onelight.hashes.reading import identify
from onelight.notes import log

if TYPE_CHECKING:
    import sqlite3

_APPLICATION, _VERSION = 0x314D4435, 1
#: Rows that nobody asked for in so many days are dropped; that a row was of use is taken down once in so many.
_DAYS, _FRESH = 180, 30
_MOST_WAITING, _SECONDS = 20_000, 5.0
#: Seconds to wait for another process that writes. It takes milliseconds; who takes longer is not waited for twice.
_PATIENCE = 1.0
_TABLES = """
create table if not exists hashes (id integer primary key, stamp text not null, md5 text not null, used int not null);
create table if not exists dropped (day int not null);
"""
_Answer = TypeVar("_Answer")


class Store:
    """The rows of one cache file, or of none.

    Parameters
    ----------
    path : Path or None
        The file.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._is_opened = path is None
        self._is_empty = True
        self._waiting: list[str] = []
        self._used: list[tuple[int, int]] = []
        self._today = int(time.time() // 86_400)
        self._written = time.monotonic()

    def find(self, folder: str, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Return size and md5 of the files below a folder that are known, by path."""
        self._open()
        if self._db is None or self._is_empty:
            return {}
        seen: dict[str, tuple[int, str, int]] = {}
        for path in paths:
            with contextlib.suppress(OSError):  # said by whoever reads it
                found = os.stat(folder + path)  # noqa: PTH116 - asked for every file; a third of Path.stat
                seen[path] = (*identify(found), found.st_size)
        marks = ",".join("?" * len(seen))
        question = f"select id, stamp, md5, used from hashes where id in ({marks})"  # noqa: S608 - question marks
        numbers = [number for number, _, _ in seen.values()]
        rows = self._do(lambda db: {row[0]: row for row in db.execute(question, numbers)}, "read") or {}
        known = {}
        for path, (number, stamp, size) in seen.items():
            row = rows.get(number)
            if row is not None and row[1] == stamp and len(str(row[2])) == 32:
                known[path] = size, str(row[2])
                if row[3] < self._today - _FRESH:
                    self._used.append((self._today, number))
        return known

    def put(self, row: str) -> None:
        """Remember what was read of a file (:func:`~onelight.hashes.reading.read`), if it may be; written later."""
        if self._db is not None and row[-1] != "\t":
            self._waiting.append(row)

    def flush_if_due(self) -> None:
        """Write down what has gathered, if it is much, or long ago."""
        if len(self._waiting) > _MOST_WAITING or time.monotonic() > self._written + _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write down what has gathered."""
        if self._waiting or self._used:
            self._do(self._write, "written")
        self._waiting.clear()
        self._used.clear()
        self._written = time.monotonic()

    def rest(self) -> None:
        """Write down what has gathered: the files that come next may be those of before."""
        self.flush()
        self._is_empty = False

    def close(self) -> None:
        """Write down what has gathered, and let go of the file."""
        self.flush()
        if self._db is not None:
            self._db.close()
        self._db, self._is_opened = None, True

    def _write(self, db: sqlite3.Connection) -> None:
        db.execute("begin immediate")
        try:
            rows = [(int(number), stamp, md5, self._today) for _, md5, number, stamp in map(_fields, self._waiting)]
            db.executemany("insert or replace into hashes values (?, ?, ?, ?)", sorted(rows))
            db.executemany("update hashes set used = ? where id = ?", self._used)
            if not db.execute("select 1 from dropped where day = ?", (self._today,)).fetchall():
                db.execute("delete from dropped")
                db.execute("insert into dropped values (?)", (self._today,))
                db.execute("delete from hashes where used < ?", (self._today - _DAYS,))
            db.execute("commit")
        except BaseException:
            with contextlib.suppress(Exception):  # it has been rolled back already
                db.execute("rollback")
            raise

    def _do(self, act: Callable[[sqlite3.Connection], _Answer], what: str) -> _Answer | None:
        """Do something with the file; from the first failure on it is done without."""
        import sqlite3

        if self._db is None:
            return None
        try:
            return act(self._db)
        except sqlite3.Error as error:
            log.info("%s cannot be %s (%s): from here on every file is read", self._path, what, error)
            is_damaged = not isinstance(error, sqlite3.OperationalError)
            self._db.close()
            self._db = None
            if is_damaged:
                self._remove()
            return None

    def _open(self) -> None:
        if self._is_opened or self._path is None:
            return
        self._is_opened = True
        try:
            import sqlite3
        except ImportError:  # some builds of Python have none
            log.info("this Python has no SQLite: every file is read")
            return
        for _ in range(2):
            try:
                self._db = self._connect(self._path)
            except (OSError, sqlite3.OperationalError) as error:
                log.info("%s cannot be used (%s): every file is read", self._path, error)
            except sqlite3.DatabaseError as error:
                log.info("%s is damaged (%s) and made anew", self._path, error)
                self._remove()
                continue
            return

    def _connect(self, path: Path) -> sqlite3.Connection | None:
        import sqlite3

        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # one that can only be read is of use as well
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            (application,), (version,) = (db.execute(f"pragma {name}").fetchone() for name in _MARKS)
            if (application, version) == (0, 0) and not db.execute("select 1 from sqlite_master").fetchall():
                db.executescript(f"begin immediate; {_TABLES} {_SIGN} commit;")
            elif (application, version) != (_APPLICATION, _VERSION):
                log.info("%s is of another program or version, and left alone: every file is read", path)
                db.close()
                return None
            db.execute("pragma synchronous = off")  # it is a cache: a crash may cost it
            _check_tables(db)
            self._is_empty = not db.execute("select 1 from hashes limit 1").fetchall()
        except BaseException:
            db.close()
            raise
        return db

    def _remove(self) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()


def _fields(row: str) -> list[str]:
    return row.split("\t")


def _check_tables(db: sqlite3.Connection) -> None:
    """Refuse a file whose tables have gone, or are others.

    Raises
    ------
    sqlite3.DatabaseError
        If it is so.
    """
    import sqlite3

    try:
        db.execute("select id, stamp, md5, used from hashes limit 0")
        db.execute("select day from dropped limit 0")
    except sqlite3.OperationalError as error:
        if "no such" not in str(error):
            raise
        raise sqlite3.DatabaseError(str(error)) from error


_MARKS = ("application_id", "user_version")
_SIGN = f"pragma application_id = {_APPLICATION}; pragma user_version = {_VERSION};"
