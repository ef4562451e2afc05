"""What this computer has sent to stores that state no checksum: so that it is known later, and not sent again.

One SQLite file for all processes. A receipt says under which name of a store lies content of which md5, and by which
version the store shows it; where it shows another one by now, the receipt is worth nothing. One without md5 says that
a file was begun. Like every cache of ours it is a help and never a condition: without it, what lies in the store is
read back to be compared, and no more.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from onelight import owners
from onelight.notes import log

if TYPE_CHECKING:
    import sqlite3

#: The name of the file in the folder of the configuration.
RECEIPTS_NAME = "receipts.sqlite"
_APPLICATION, _VERSION = 0x314F5250, 2
_TABLE = """
create table if not exists receipts (
    store text not null, path text not null, place text not null, size int, version text not null, md5 text not null,
    owner text not null, base text not null, primary key (store, path, place)
) without rowid
"""


class Receipt(NamedTuple):
    """What was sent once.

    Parameters
    ----------
    path : str
        The dataset that it is, or is to be.
    place : str
        The name under which it lies.
    size : int or None
        Bytes, as the store showed them.
    version : str
        As the store showed it.
    md5 : str
        Of the content; empty while it is being sent.
    owner : str
        The process that sends or sent it (:mod:`onelight.owners`).
    base : str
        The version of the file that it is to replace; with another one there by now, it is out of date.
    """

    path: str
    place: str
    size: int | None
    version: str
    md5: str
    owner: str
    base: str = ""


class Receipts:
    """The receipts of one store; safe to use from several threads.

    Parameters
    ----------
    path : Path
        The file, which all stores share.
    store : str
        What tells this store from all others.
    """

    def __init__(self, path: Path, store: str) -> None:
        self._path = path
        self._store = store
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._owner = owners.owner()

    def all(self) -> list[Receipt]:
        """Return every receipt of this store."""
        question = (
            "select path, place, size, version, md5, owner, base from receipts where store = ? order by path, place"
        )
        return [Receipt(*row) for row in self._do(question, (self._store,))]

    def begin(self, path: str, place: str) -> None:
        """Take down that a file is about to be sent under this name."""
        self._put(Receipt(path, place, None, "", "", self._owner))

    def add(
        self,
        path: str,
        place: str,
        size: int | None,
        version: str,
        md5: str,
        *,
        instead_of: str = "",
        base: str = "",
    ) -> None:
        """Take down what lies under a name now; the name that it had before has nothing any more."""
        if instead_of:
            self.forget(path, instead_of)
        self._put(Receipt(path, place, size, version, md5, self._owner, base))

    def forget(self, path: str, place: str) -> None:
        """Take down that nothing lies under this name any more."""
        self._do("delete from receipts where store = ? and path = ? and place = ?", (self._store, path, place))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    def _put(self, receipt: Receipt) -> None:
        self._do("insert or replace into receipts values (?, ?, ?, ?, ?, ?, ?, ?)", (self._store, *receipt))

    def _do(self, statement: str, values: tuple[object, ...]) -> list[tuple[str, str, int | None, str, str, str, str]]:
        import sqlite3  # takes some milliseconds, and most repositories are only read

        with self._lock:
            try:
                if self._db is None:
                    self._db = self._open()
                return self._db.execute(statement, values).fetchall()
            except (sqlite3.Error, OSError) as error:
                log.warning(
                    "%s cannot be used (%s): what is sent now is read back the next time to be known", self._path, error
                )
                with contextlib.suppress(sqlite3.Error):
                    if self._db is not None:
                        self._db.close()
                self._path = Path(":memory:")
                self._db = _connect(self._path)
                return self._db.execute(statement, values).fetchall()

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _connect(self._path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # busy, or not to be written: it is not damaged
                raise
            log.info("%s is made anew: %s", self._path, error)
            for end in ("", "-wal", "-shm", "-journal"):
                self._path.with_name(self._path.name + end).unlink(missing_ok=True)
            return _connect(self._path)


def _connect(path: Path) -> sqlite3.Connection:
    import sqlite3

    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        known, version = (db.execute(f"pragma {name}").fetchone()[0] for name in ("application_id", "user_version"))
        if known not in (0, _APPLICATION) or version not in (0, _VERSION):
            raise sqlite3.DatabaseError("it is of another version")  # noqa: TRY301 - as what sqlite itself raises
        # A crash of the computer may lose the last rows and no more; a killed process loses none.
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
        db.execute(f"pragma application_id = {_APPLICATION}")
        db.execute(f"pragma user_version = {_VERSION}")
        db.execute(_TABLE)
    except BaseException:
        db.close()
        raise
    return db
