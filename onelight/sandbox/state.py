"""What the sandbox remembers: one SQLite file, and one blob for the content of each file.

Everything that a client was told is done is in here before it is told, so that a killed server continues where it
was. Locks on parts are not: they end with the requests that hold them.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from onelight.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYOUT = 2
DATABASE = "sandbox.sqlite"
BLOBS = "blobs"

# The first numbers look like figshare's (a client must not count on small ones) and differ from each other,
# so that an article number used as a file number is noticed.
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE articles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    doi TEXT NOT NULL DEFAULT '',
    fields TEXT NOT NULL,
    account_id INTEGER NOT NULL DEFAULT 4000001,
    shows TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    article_id INTEGER NOT NULL REFERENCES articles ON DELETE CASCADE,
    attached INTEGER NOT NULL DEFAULT 1,
    created INTEGER NOT NULL,
    name TEXT NOT NULL,
    folder TEXT NOT NULL,
    size INTEGER NOT NULL,
    supplied_md5 TEXT NOT NULL,
    md5 TEXT NOT NULL DEFAULT '',
    mimetype TEXT NOT NULL,
    status TEXT NOT NULL,
    link TEXT NOT NULL DEFAULT '',
    token TEXT NOT NULL UNIQUE,
    part_size INTEGER NOT NULL,
    public INTEGER NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL DEFAULT '',
    md5_from INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX files_of_article ON files (article_id, attached, id);
CREATE INDEX unpublished_files ON files (size) WHERE public = 0;
CREATE INDEX unsettled_files ON files (id) WHERE status IN ('ic_checking', 'moving_to_final');
CREATE TABLE parts (
    file_id INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    number INTEGER NOT NULL,
    PRIMARY KEY (file_id, number)
) WITHOUT ROWID;
CREATE TABLE versions (
    article_id INTEGER NOT NULL REFERENCES articles ON DELETE CASCADE,
    version INTEGER NOT NULL,
    published INTEGER NOT NULL,
    visible INTEGER NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (article_id, version)
) WITHOUT ROWID;
CREATE TABLE version_files (
    article_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    file_id INTEGER NOT NULL,
    PRIMARY KEY (article_id, version, file_id),
    FOREIGN KEY (article_id, version) REFERENCES versions ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX versions_of_file ON version_files (file_id);
CREATE TABLE links (
    id TEXT PRIMARY KEY,
    article_id INTEGER NOT NULL REFERENCES articles ON DELETE CASCADE,
    token TEXT NOT NULL UNIQUE,
    expires TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE authors (id INTEGER PRIMARY KEY AUTOINCREMENT, fields TEXT NOT NULL);
INSERT INTO sqlite_sequence (name, seq) VALUES
    ('articles', 27000000), ('files', 53000000), ('authors', 19000000);
"""
# What came with the second layout. The first account is not in the table: its token is that of the sandbox.
ACCOUNTS = """
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    token TEXT NOT NULL UNIQUE,
    quota INTEGER,
    max_files INTEGER
);
"""
# How the tables of an earlier layout become those of the next.
STEPS = {
    1: """
ALTER TABLE articles ADD COLUMN account_id INTEGER NOT NULL DEFAULT 4000001;
ALTER TABLE articles ADD COLUMN shows TEXT NOT NULL DEFAULT '{}';
ALTER TABLE files ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
ALTER TABLE files ADD COLUMN md5_from INTEGER NOT NULL DEFAULT 0;
"""
    + ACCOUNTS,
}


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class State:
    """The folder of one sandbox, open.

    Parameters
    ----------
    folder : Path
        Made when missing, and closed to other users of the computer (mode 0700). A folder that holds anything but
        a sandbox is refused.

    Raises
    ------
    ConfigError
        If the folder cannot be used, or another sandbox is using it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own_folder()
        self._db = self._connect()
        self.token = self._remember("token", secrets.token_hex(32))
        self.signing_key = bytes.fromhex(self._remember("signing_key", secrets.token_hex(32)))
        self._drop_orphans()

    def _own_folder(self) -> None:
        database = self.folder / DATABASE
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not database.exists() and any(p.name != BLOBS for p in self.folder.iterdir()):
                raise ConfigError(f"{self.folder} holds other files", hint="Give the sandbox a folder of its own.")
            self.folder.chmod(0o700)
            (self.folder / BLOBS).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"The sandbox cannot use {self.folder}: {error.strerror}") from error

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.folder / DATABASE, isolation_level=None, check_same_thread=False, timeout=1.0)
        try:
            db.row_factory = sqlite3.Row
            # Exclusive: one server per folder. WAL with NORMAL: a commit is a write without fsync, and a killed
            # process loses nothing (https://www.sqlite.org/pragma.html#pragma_synchronous).
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
                db.execute(f"PRAGMA {pragma}")
            _lay_out(db, self.folder)
        except (sqlite3.DatabaseError, ConfigError) as error:
            db.close()
            if isinstance(error, ConfigError):
                raise
            if "locked" in str(error):
                raise ConfigError(f"Another sandbox is using {self.folder}", hint="Stop it first.") from error
            raise ConfigError(f"{self.folder} is no sandbox: {error}", hint="Give it another folder.") from error
        return db

    def _remember(self, key: str, default: str) -> str:
        self.run("INSERT OR IGNORE INTO meta VALUES (?, ?)", key, default)
        return str(self.value("SELECT value FROM meta WHERE key = ?", key))

    def _drop_orphans(self) -> None:
        """Remove blobs whose file was deleted just before the server was killed."""
        for path in (self.folder / BLOBS).iterdir():
            if self.value("SELECT 1 FROM files WHERE id = ?", path.name) is None:
                path.unlink()

    def close(self) -> None:
        """Close the database; nothing is lost by not doing so."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes inside one: all of them or none. There must be no `await` inside."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def run(self, sql: str, *values: object) -> sqlite3.Cursor:
        """Run one statement."""
        return self._db.execute(sql, values)

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        """Return the first row of an answer, or None."""
        row: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return row

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of an answer."""
        return self._db.execute(sql, values).fetchall()

    def value(self, sql: str, *values: object) -> Any:
        """Return the first value of the first row, or None."""
        row = self._db.execute(sql, values).fetchone()
        return None if row is None else row[0]

    def insert(self, sql: str, *values: object) -> int:
        """Insert one row and return its number."""
        number = self._db.execute(sql, values).lastrowid
        return number or 0

    def blob(self, file_id: int) -> Path:
        """Return where the content of a file is, or will be."""
        return self.folder / BLOBS / str(file_id)


def _lay_out(db: sqlite3.Connection, folder: Path) -> None:
    """Make the tables of a new database, or bring those of an earlier version up to date; refuse those of a later."""
    layout = db.execute("PRAGMA user_version").fetchone()[0]
    if layout == 0:
        db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {ACCOUNTS} PRAGMA user_version={LAYOUT}; COMMIT;")
        return
    while layout in STEPS:
        db.executescript(f"BEGIN IMMEDIATE; {STEPS[layout]} PRAGMA user_version={layout + 1}; COMMIT;")
        layout += 1
    if layout != LAYOUT:
        raise ConfigError(
            f"{folder} was made by a later version of ONE light",
            hint="Give the sandbox another folder, or delete this one.",
        )


def packed(fields: object) -> str:
    """Return JSON for a column or an answer."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
