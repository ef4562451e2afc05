"""``sessions.pqt`` and ``datasets.pqt``: the cache tables of ONE-api, and what our own readers learn from them.

::

    write_tables(entries, folder)    both tables, beside .one_root; what ONE-api could not read is returned
    renew_tables(index, folder, …)   the same over those of the last time, from which what is known is taken over
    read_tables(file)                path, size, md5, dtype and shape of each file, from datasets.pqt alone

ONE-api 3 (``one.alf.cache``) loads every ``*.pqt`` of a folder. Columns and their types are those that its own
``make_parquet_db`` writes. Beside them stand ``default_revision``, which ONE-api looks for and without which it warns
at each load, and three of our own: ``session``, because ``datasets.pqt`` otherwise has no more than an id of it,
``dtype`` and ``shape``. ONE-api shows these where it is asked for details, and does nothing else with them.

Ids are UUIDs of version 3, made from the path below a name that never changes, so that they are the same on every
computer and after every indexing. (ONE-api takes a new name for each table that it makes, and the same id for the same
file name in all sessions.) Version 5 would do as well, but its ``eid2path`` refuses that.

Rows are sorted by id. ONE-api sorts others when it loads them, which takes as long again as reading them, and pandas
3.1 warns of the way in which it does.

What ONE-api cannot read has no row, as one such row makes it fail on the whole table. Our readers know these files by
the metadata at the end of ``datasets.pqt``, which ONE-api does not look at, up to 4 MiB of them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import re
import sqlite3
import uuid
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from onelight.alf import Dataset, Session, check_safe, printable, session_remarks, split_path, strict_problems
from onelight.checksum import md5_of
from onelight.errors import AlfError, NoSpace, OneError, UnsafeData
from onelight.index import DATASETS_NAME, EMPTY_MD5, SESSIONS_NAME, Entry, Index

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Facts = Mapping[str, tuple[str, tuple[int, ...]]]

# Another name is another id for everything: never to be changed.
_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "https://onelight/tables").bytes
# The rules by which the rows are made; another number, and the date is new although the data are not.
_RULES = b"1"
# one.alf.spec.QC, in its order; the column is compared with "FAIL", which is an error if that is no category.
_QC = ("NOT_SET", "PASS", "WARNING", "FAIL", "CRITICAL")
_GROUP = 1 << 16
_BATCH = 1 << 12
_OTHERS = "onelight_others"
_PRINT = "onelight"
_MOST_OTHERS = 4 << 20

# one.alf.spec.REL_PATH_SPEC and FILE_SPEC, but for the groups. The extra parts are "(\.[.\w-]+)*" there, which means
# the same and takes twice as long with each further dot.
_ACCEPTED = re.compile(
    r"(?:[\w./-]+/)?(?:#[\w.-]+#/)?"
    r"_?(?:(?<=_)[a-zA-Z0-9]+)?_?\w+\.(?:_[a-z]+_)?[a-zA-Z0-9]+(?:_times(?=[_.])|_intervals(?=[_.]))?(?:_\w+)?"
    r"(?:\.[.\w-]+)?\.\w+"
).fullmatch
# With 13 extra parts ONE-api takes 2 ms to see that a name is not the one asked for, with 20 parts 0.7 s, and so on.
_MOST_FIELDS = 16
_REVISION = re.compile(r"(?:(.*)/)?#([^/]*)#").fullmatch

_MD5 = re.compile(r"[0-9a-f]{32}").fullmatch
_DTYPE = re.compile(r"[\x20-\x7e]{1,200}").fullmatch
_LENGTH = r"(?:0|[1-9][0-9]{0,17})"
_SHAPE = re.compile(rf"(?:{_LENGTH}(?:,{_LENGTH}){{0,31}})?").fullmatch
_MOST_BYTES = 1 << 63  # what an index can hold

_MAGIC = b"PAR1"
_LARGEST_FOOTER = 8 << 20
_MOST_COLUMNS = 64
_MOST_VALUES = 1 << 20
# Numbers of types in parquet.thrift.
_INT32, _INT64, _TEXT = 1, 2, 6
#: ONE-api puts so many rows into one group when it saves a table.
_MOST_ROWS = 1 << 20
_MOST_MEMORY = 128 << 20
_AGAIN = "Whoever shares it can write it again (onelight index)"


class Foreign(NamedTuple):
    """What ONE-api cannot read.

    Parameters
    ----------
    path : str
        A file, or a session if it is the session that cannot be read.
    reason : str
        Why, in words for a person.
    """

    path: str
    reason: str


class TableRow(NamedTuple):
    """What a table states of a file.

    Parameters
    ----------
    path : str
        As in ``.one_root``.
    size : int or None
        Bytes, where they were known.
    md5 : str or None
        Hexadecimal md5 of the content, where it was known.
    dtype : str or None
        Of an array, in NumPy's words.
    shape : tuple of int or None
        Of an array.
    """

    path: str
    size: int | None
    md5: str | None
    dtype: str | None = None
    shape: tuple[int, ...] | None = None


def write_tables(entries: Iterable[Entry], folder: Path, *, facts: Facts | None = None) -> list[Foreign]:
    """Write both tables into a folder; they are replaced together, and left alone where nothing has changed.

    Rows are sorted on the disk, in the folder for temporary files; some ten thousand are in memory at a time, or those
    of one session. ONE-api compares each file that it loads
    with its md5. If no file of a table has one, it compares nothing; if only some have, it warns of the others.

    Parameters
    ----------
    entries : iterable of Entry
        Sorted by path, each once. An unknown size is written as 0, by which ONE-api compares none.
    folder : Path
        Where ``.one_root`` is.
    facts : mapping, optional
        By path the dtype and shape of arrays.

    Returns
    -------
    list of Foreign
        Files and sessions that ONE-api cannot read; they have no row.

    Raises
    ------
    AlfError
        If an entry lies in no session.
    ValueError
        If the entries are not sorted.
    NoSpace
        If the folder cannot be written; the tables are as they were.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> session = "lab/Subjects/Cori/2016-12-14/001"
    >>> entries = [Entry(f"{session}/alf/{name}.npy", size=208) for name in ("my spikes.times", "spikes.times")]
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = pathlib.Path(name)
    ...     foreign = write_tables(entries, folder, facts={f"{session}/alf/spikes.times.npy": ("float64", (10, 1))})
    ...     rows = sorted(read_tables(folder / DATASETS_NAME))
    >>> print(foreign[0].reason)
    object 'my spikes' has ' '; allowed are letters, digits and _
    >>> rows[1].path[33:], rows[1].size, rows[1].dtype, rows[1].shape
    ('alf/spikes.times.npy', 208, 'float64', (10, 1))
    """
    try:
        for name in (SESSIONS_NAME, DATASETS_NAME):
            if (folder / name).exists() and not (folder / name).is_file():
                raise NoSpace(f"{folder / name} is in the way: it is no file", hint="Give it another name")
        with contextlib.ExitStack() as stack:
            spool = stack.enter_context(_Spool())
            foreign = _fill(spool, entries, facts or {})
            made = []
            # A session without datasets is an error in ONE-api, datasets without a session are merely not found.
            for name, columns in ((DATASETS_NAME, spool.dataset_columns), (SESSIONS_NAME, _SESSIONS)):
                target = folder / name
                # Not "*.pqt", which ONE-api would load.
                temporary = target.with_name(f".{name}.{os.urandom(4).hex()}.part")
                stack.callback(_remove, temporary)
                _write(temporary, target, columns, spool)
                made.append((temporary, target))
            for temporary, target in made:
                _put(temporary, target)
    except sqlite3.OperationalError as error:
        raise NoSpace(f"there is no room to sort the tables: {error}", hint="TMPDIR names another folder") from error
    except OSError as error:
        if isinstance(error, OneError):
            raise
        raise NoSpace(
            f"the tables in {folder} cannot be written: {error.strerror or error}",
            hint="Make room, or put its mode right",
        ) from error
    return foreign


class Renewed(NamedTuple):
    """What came of making tables anew.

    Parameters
    ----------
    changed : list of str
        Names of the tables that are others now.
    foreign : list of Foreign
        What ONE-api cannot read; it has no row.
    """

    changed: list[str]
    foreign: list[Foreign]


def renew_tables(index: Index, folder: Path, facts: Facts) -> Renewed:
    """Write both tables of an index over those that a folder has, if any.

    What these say of arrays is taken over where the file is still the same, before ``facts`` are asked: to look into
    them may mean to open files.

    Parameters
    ----------
    index : Index
        What the repository holds.
    folder : Path
        Where the last tables are, or nothing.
    facts : mapping
        By path the dtype and shape of arrays.

    Raises
    ------
    AlfError, NoSpace
        As for :func:`write_tables`.
    """
    known: dict[str, tuple[str, tuple[int, ...]]] = {}
    before = {name: _digest(folder / name) for name in (DATASETS_NAME, SESSIONS_NAME)}
    with contextlib.suppress(OneError, OSError):  # there are none, or damaged ones
        for row in read_tables(folder / DATASETS_NAME):
            entry = index.get(row.path) if row.dtype is not None else None
            is_same = entry is not None and row.md5 is not None and (row.size, row.md5) == (entry.size, entry.md5)
            if is_same and row.dtype is not None and row.shape is not None:
                known[row.path] = row.dtype, row.shape
    foreign = write_tables(index, folder, facts=cast("Facts", ChainMap(known, cast("Any", facts))))
    return Renewed([name for name, md5 in before.items() if _digest(folder / name) != md5], foreign)


def _digest(path: Path) -> str:
    try:
        return md5_of(path)
    except OSError:
        return ""


def read_tables(datasets: IO[bytes] | Path) -> Iterator[TableRow]:
    """Read what ``datasets.pqt`` says, from whoever has written it.

    A row group is in memory at a time, and it may take 128 MiB at most, by what the end of the file says of it. That
    cannot be seen to be a lie before it is read: a page that claims to be larger is given up to 2 GiB by pyarrow, and
    what makes pyarrow itself fail ends the process. Whoever cannot afford either reads it in a process of its own.

    Parameters
    ----------
    datasets : Path or binary file
        The file; one that is open has to be seekable, and stays open.

    Yields
    ------
    TableRow
        In the order of the file, which is no order of paths. That no path comes twice is not checked.

    Raises
    ------
    OSError
        If the file is not there or cannot be read.
    UnsafeData
        If it is damaged, absurdly large, of another form, or states what cannot be; rows may have come before.

    Examples
    --------
    >>> import io
    >>> list(read_tables(io.BytesIO(b"PAR1, and then nothing")))
    Traceback (most recent call last):
    onelight.errors.UnsafeData: datasets.pqt is refused: it is cut off, or no parquet file. Whoever shares it can write it again (onelight index)
    """  # noqa: E501 - a message is one line
    name = str(datasets) if isinstance(datasets, Path) else DATASETS_NAME
    try:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(datasets.open("rb")) if isinstance(datasets, Path) else datasets
            footer = _footer(stream)
            yield from _rows(stream, footer)
            yield from _others(footer)
    except (UnsafeData, AlfError) as error:
        raise UnsafeData(f"{name} is refused: {error.message}", hint=_AGAIN) from error


# What ONE-api can read


@lru_cache(maxsize=1 << 16)  # the same in all sessions
def _problem(below: str) -> str:
    """Say why ONE-api cannot read the path of a dataset below its session; empty if it can."""
    if below.count(".") >= _MOST_FIELDS and below.rpartition("/")[2].count(".") >= _MOST_FIELDS:
        return f"it has more than {_MOST_FIELDS} fields between dots, which takes ONE-api too long to read"
    if _ACCEPTED(below) and {"", ".", ".."}.isdisjoint(below.split("/")):
        return ""
    try:
        problems = strict_problems(Dataset.parse(below))
    except AlfError as error:
        return error.message
    return "; ".join(problems) or "ONE-api does not read this name"


def _session_problem(session: Session) -> str:
    """Say why ONE-api cannot read a session; empty if it can."""
    problems = list(session_remarks(session))
    if len(session.number) != 3:
        problems.append(f"number '{session.number}' is not of three digits, and ONE-api looks for those only")
    return "; ".join(problems)


def _id(text: str) -> str:
    """Return the id of a path: ``str(uuid.uuid3(NAME, text))``, in a quarter of the time."""
    digits = hashlib.md5(_IDS + text.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-3{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _split_revision(below: str) -> tuple[str, str]:
    """Return a path without its revision, and the revision."""
    folder, _, name = below.rpartition("/")
    found = _REVISION(folder)
    return (f"{found[1] or ''}/{name}", found[2]) if found else (f"{folder}/{name}", "")


def _newest(belows: Iterable[str]) -> set[str]:
    """Return of each dataset of a session the path of its newest revision."""
    newest: dict[str, tuple[str, str]] = {}
    for below in belows:
        dataset, revision = _split_revision(below)
        if dataset not in newest or revision > newest[dataset][0]:
            newest[dataset] = (revision, below)
    return {below for _, below in newest.values()}


# Writing


class _Column(NamedTuple):
    """A column: its name, its type in pyarrow, and what pandas calls it."""

    name: str
    arrow: str
    pandas_type: str
    numpy_type: str
    has_few: bool = False
    """Whether the same values come again and again."""
    constant: Any = None
    """The value of each row, if it is the same."""


_DATASETS = (
    _Column("rel_path", "string", "unicode", "object", True),
    _Column("file_size", "uint64", "uint64", "UInt64"),
    _Column("hash", "string", "unicode", "object"),
    _Column("exists", "bool", "bool", "bool", constant=True),
    _Column("qc", "qc", "categorical", "int8", True, constant="NOT_SET"),
    _Column("default_revision", "bool", "bool", "bool"),
    _Column("session", "string", "unicode", "object", True),
    _Column("dtype", "string", "unicode", "object", True),
    _Column("shape", "string", "unicode", "object", True),
    _Column("eid", "string", "unicode", "object", True),
    _Column("id", "string", "unicode", "object"),
)
_SESSIONS = (
    _Column("lab", "string", "unicode", "object", True),
    _Column("subject", "string", "unicode", "object", True),
    _Column("date", "date", "date", "object"),
    _Column("number", "uint16", "uint16", "uint16"),
    _Column("task_protocol", "string", "unicode", "object", True, constant=""),
    _Column("projects", "string", "unicode", "object", True, constant=""),
    _Column("id", "string", "unicode", "object"),
)
_INDEX = ("eid", "id")


def _schema(columns: Sequence[_Column], created: str) -> pa.Schema:
    """Return a schema with what pandas writes of types and index: a size may be missing, and is no float then."""
    import pyarrow as pa

    kinds = {
        "string": pa.string(),
        "null": pa.null(),
        "bool": pa.bool_(),
        "uint16": pa.uint16(),
        "uint64": pa.uint64(),
        "date": pa.date32(),
        "qc": pa.dictionary(pa.int8(), pa.string(), ordered=True),
    }
    of_qc = {"num_categories": len(_QC), "ordered": True}
    pandas = {
        "index_columns": [column.name for column in columns if column.name in _INDEX],
        "column_indexes": [],
        "columns": [
            {
                "name": column.name,
                "field_name": column.name,
                "pandas_type": column.pandas_type,
                "numpy_type": column.numpy_type,
                "metadata": of_qc if column.arrow == "qc" else None,
            }
            for column in columns
        ],
        "creator": {"library": "onelight"},
        "pandas_version": "2.2.0",
    }
    fields = [(column.name, kinds[column.arrow]) for column in columns]
    # No folder as origin: it says who has indexed where, and would be another for each copy.
    said = {"date_created": created, "origin": "onelight"}
    return pa.schema(fields, metadata={"pandas": json.dumps(pandas), "one_metadata": json.dumps(said)})


class _Spool:
    """Rows that are sorted by id on the disk, in a file that nobody else sees and that is gone with the process."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._waiting: dict[str, list[tuple[Any, ...]]] = {}
        self._marks = {DATASETS_NAME: 0, SESSIONS_NAME: 0}
        self._has_md5 = False
        self.others: list[str] = []
        for name, columns in ((DATASETS_NAME, _DATASETS), (SESSIONS_NAME, _SESSIONS)):
            # Without types: what is put in comes out. The rows are sorted when they are read, which is much faster
            # than to keep them sorted.
            cells = ", ".join(column.name for column in columns if column.constant is None)
            self._connection.execute(f'CREATE TABLE "{name}" ({cells})')
        self._connection.execute("BEGIN")

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def dataset_columns(self) -> tuple[_Column, ...]:
        """The columns of datasets; where there is no md5 at all, that of md5 has no type.

        pandas reads it as None then, which ONE-api takes for none; NaN, which it is otherwise, is another md5 to it.
        """
        if self._has_md5:
            return _DATASETS
        return tuple(column._replace(arrow="null") if column.name == "hash" else column for column in _DATASETS)

    def add(self, name: str, row: tuple[Any, ...]) -> None:
        """Take a row of a table: a value for each column that is not the same everywhere."""
        waiting = self._waiting.setdefault(name, [])
        waiting.append(row)
        self._has_md5 = self._has_md5 or (name == DATASETS_NAME and row[2] is not None)
        if len(waiting) == _BATCH:
            self._flush(name)

    def _flush(self, name: str) -> None:
        rows = self._waiting.pop(name, [])
        if rows:
            self._connection.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(rows[0]))})', rows)  # noqa: S608 - a name of ours

    def mark(self, name: str, text: str) -> None:
        """Note what a row says."""
        self._marks[name] += _mark(text)

    def fingerprint(self, name: str) -> str:
        """Return what is another if anything of a table is another."""
        return _fingerprint(self._marks[name], self.others if name == DATASETS_NAME else [])

    def rows(self, name: str) -> Iterator[tuple[Any, ...]]:
        """Return the rows of a table, sorted."""
        self._flush(name)
        order = "eid, id" if name == DATASETS_NAME else "id"
        return self._connection.execute(f'SELECT * FROM "{name}" ORDER BY {order}')  # noqa: S608 - a name of ours


def _write(temporary: Path, target: Path, columns: Sequence[_Column], spool: _Spool) -> None:
    """Write a table, with the date of the one in its place if that says the same."""
    import pyarrow.parquet as pq

    fingerprint = spool.fingerprint(target.name)
    # ONE-api writes minutes, and compares them with a time that has no zone.
    now = f"{dt.datetime.now(dt.timezone.utc):%Y-%m-%d %H:%M}"
    schema = _schema(columns, _date_of(target, fingerprint) or now)
    metadata = {_PRINT: fingerprint}
    if target.name == DATASETS_NAME:
        metadata[_OTHERS] = "".join(spool.others)
    rows = spool.rows(target.name)
    with temporary.open("xb") as stream:
        with pq.ParquetWriter(
            stream,
            schema,
            compression="zstd",
            use_dictionary=[column.name for column in columns if column.has_few],
            write_page_checksum=True,
        ) as writer:
            while group := list(islice(rows, _GROUP)):
                writer.write_batch(_batch(columns, schema, group), row_group_size=_GROUP)
            writer.add_key_value_metadata(metadata)
        stream.flush()
        os.fsync(stream.fileno())


def _batch(columns: Sequence[_Column], schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    import pyarrow as pa

    given = zip(*rows, strict=True)
    arrays = []
    for column, field in zip(columns, schema, strict=True):
        values = next(given) if column.constant is None else [column.constant] * len(rows)
        if column.arrow == "date":
            values = [dt.date.fromisoformat(value) for value in values]
        elif column.arrow == "bool":
            values = [bool(value) for value in values]
        if column.arrow == "qc":
            codes = pa.array([_QC.index(column.constant)] * len(rows), pa.int8())
            arrays.append(pa.DictionaryArray.from_arrays(codes, pa.array(_QC), ordered=True))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.record_batch(arrays, schema=schema)


def _put(temporary: Path, target: Path) -> None:
    """Rename a file to its place, unless the same is there."""
    import filecmp  # takes three milliseconds

    if target.is_file() and filecmp.cmp(temporary, target, shallow=False):
        return
    temporary.replace(target)
    if hasattr(os, "O_DIRECTORY"):  # not on Windows, where a rename needs no more
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _date_of(target: Path, fingerprint: str) -> str:
    """Return when a table was first written, if it is one of ours with the same content."""
    try:
        with target.open("rb") as stream:
            metadata = _footer(stream, of_datasets=target.name == DATASETS_NAME).metadata
        if metadata.get(_PRINT) != fingerprint:
            return ""
        return f"{dt.datetime.fromisoformat(json.loads(metadata['one_metadata'])['date_created']):%Y-%m-%d %H:%M}"
    except (OSError, UnsafeData, LookupError, TypeError, ValueError):  # it is written anew
        return ""


def _fill(spool: _Spool, entries: Iterable[Entry], facts: Facts) -> list[Foreign]:
    """Make the rows of both tables; return what has none."""
    foreign: list[Foreign] = []
    room = _MOST_OTHERS
    for text, group in groupby(_in_order(entries), key=attrgetter("session")):
        session = split_path(f"{text}/-")[0]
        problem = _session_problem(session)
        if problem:
            foreign.append(Foreign(text, problem))
        rows: dict[str, Entry] = {}
        for entry in group:
            below = entry.below
            reason = problem or _problem(below)
            if not reason:
                rows[below] = entry
                continue
            if not problem:
                foreign.append(Foreign(entry.path, reason))
            line = _other(entry, facts)
            room -= len(line.encode())
            if room >= 0:
                spool.others.append(line)
        if rows:
            _add(spool, session, rows, facts)
    return foreign


def _add(spool: _Spool, session: Session, rows: Mapping[str, Entry], facts: Facts) -> None:
    """Make the rows of a session."""
    text = str(session)
    eid = _id(text)
    spool.mark(SESSIONS_NAME, text)
    spool.add(SESSIONS_NAME, (session.lab, session.subject, session.date, int(session.number), eid))
    newest = _newest(rows)
    for below, entry in rows.items():
        size, md5 = _stated(entry)
        dtype, shape = _fact(facts, entry.path)
        spool.mark(DATASETS_NAME, _line(entry.path, size, md5, dtype, shape))
        spool.add(DATASETS_NAME, (below, size, md5, below in newest, text, dtype, shape, eid, _id(entry.path)))


def _in_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    last = ""
    for entry in entries:
        if entry.path <= last:
            raise ValueError(f"{printable(entry.path)} does not come after {printable(last)}")
        if entry.path.count("/") < 5:
            split_path(entry.path)  # refuses it
        last = entry.path
        yield entry


def _stated(entry: Entry) -> tuple[int, str | None]:
    """Return size and md5 as the tables have them; 0 is that of an empty file only with the md5 of one."""
    if entry.size == 0 or entry.md5 == EMPTY_MD5:
        return 0, EMPTY_MD5
    return entry.size or 0, entry.md5


def _fact(facts: Facts, path: str) -> tuple[str | None, str | None]:
    """Return dtype and shape as the tables have them."""
    dtype, shape = facts.get(path, (None, None))
    if dtype is None or shape is None or not _DTYPE(dtype):
        return None, None
    text = ",".join(map(str, shape))
    return (dtype, text) if _SHAPE(text) else (None, None)


def _other(entry: Entry, facts: Facts) -> str:
    """Return what is known of a file that has no row, as a line; empty if it cannot be one."""
    try:
        check_safe(entry.path)
    except UnsafeData:
        return ""
    return _line(entry.path, *_stated(entry), *_fact(facts, entry.path))


def _line(path: str, size: int | None, md5: str | None, dtype: str | None, shape: str | None) -> str:
    return f"{path}\t{size or 0}\t{md5 or ''}\t{dtype or ''}\t{'-' if shape is None else shape}\n"


def _mark(line: str) -> int:
    return int.from_bytes(hashlib.md5(line.encode(), usedforsecurity=False).digest(), "little")


def _fingerprint(marks: int, others: Iterable[str]) -> str:
    """Return what stands for rows in any order: the sum of their marks; and for files that have no row."""
    text = "".join(others).encode()
    return hashlib.sha256(b"%b %d %b" % (_RULES, marks % (1 << 128), text)).hexdigest()


# Reading


#: The columns that we read.
_TEXTS = ("session", "rel_path", "hash", "dtype", "shape")
_READ = (*_TEXTS, "file_size")


def _footer(stream: IO[bytes], *, of_datasets: bool = True) -> _Footer:
    """Read the end of a parquet file and look at all that can be seen before any of the file is unpacked."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(4)
    stream.seek(max(0, size - 8))
    tail = stream.read(8)
    if size < 12 or head != _MAGIC or tail[4:] != _MAGIC:
        raise UnsafeData("it is cut off, or no parquet file")
    length = int.from_bytes(tail[:4], "little")
    if length > min(size - 12, _LARGEST_FOOTER):
        raise UnsafeData(f"its end claims to have {length:,} bytes, of {size:,} in all")
    stream.seek(size - 8 - length)
    data = stream.read(length)
    stream.seek(0)
    try:
        said = _Compact(data).struct()
        _look_at_columns(said[2], _READ if of_datasets else ())
        return _Footer(_rows_of_groups(said, size), _pairs(said.get(5, [])))
    except UnsafeData:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as error:  # a value of another kind, or none
        raise UnsafeData("its end is damaged") from error


class _Footer(NamedTuple):
    """What the end of a file says, as far as it was looked at."""

    groups: list[int]
    """Of each group of rows how many there are."""
    metadata: dict[str, str]


class _Compact:
    """Reads a struct in Thrift's compact protocol, in which the end of a parquet file is written.

    pyarrow reads it as well, and shows it; but some damage to it ends the process as soon as Python looks at a column.

    Parameters
    ----------
    data : bytes
        The struct, and nothing else is read.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0
        self._left = _MOST_VALUES

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields of a struct by their numbers."""
        fields: dict[int, Any] = {}
        number = 0
        while kind := self._byte():
            number = number + (kind >> 4) if kind >> 4 else self._number()
            if number in fields:
                raise UnsafeData("its end is damaged")
            kind &= 15
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > 16:
            raise UnsafeData("its end is absurdly large")
        if kind in (1, 2, 3):  # in a list, a truth is a byte
            return self._byte()
        if kind in (4, 5, 6):
            return self._number()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            size, kind = divmod(self._byte(), 16)
            return [self._value(kind, depth + 1) for _ in range(self._varint() if size == 15 else size)]
        if kind == 12:
            return self.struct(depth + 1)
        raise UnsafeData("its end is damaged")

    def _byte(self) -> int:
        self._place += 1
        return self._data[self._place - 1]

    def _bytes(self, count: int) -> bytes:
        self._place += count
        if self._place > len(self._data):
            raise UnsafeData("its end is damaged")
        return self._data[self._place - count : self._place]

    def _varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
        raise UnsafeData("its end is damaged")

    def _number(self) -> int:
        number = self._varint()
        return -(number >> 1) - 1 if number & 1 else number >> 1


def _look_at_columns(elements: list[dict[int, Any]], wanted: Sequence[str]) -> None:
    """Refuse a table that is no plain one, or has not the columns that we read."""
    root, *leaves = elements
    names = [leaf[4].decode() for leaf in leaves]
    if len(leaves) > _MOST_COLUMNS or root.get(5) != len(leaves) or len(set(names)) < len(names):
        raise UnsafeData(f"it has {len(leaves):,} columns, or other ones than it claims")
    if any(leaf.get(5) or leaf.get(3) not in (0, 1) for leaf in leaves):
        raise UnsafeData("it has lists in its cells")
    missing = sorted({*wanted} - {*names})
    if missing:
        raise UnsafeData(f"it has no column {', '.join(missing)}, which onelight index writes")
    for name, leaf in zip(names, leaves, strict=True):
        kind = leaf.get(1)
        if (
            name in wanted
            and kind != (_INT64 if name == "file_size" else _TEXT)
            and not (
                # Nothing but missing cells: a column without a type is stored so.
                name in {"hash", "dtype", "shape"} and kind == _INT32
            )
        ):
            raise UnsafeData(f"column '{name}' is of another type")


def _rows_of_groups(said: dict[int, Any], size: int) -> list[int]:
    """Return the number of rows of each group, if the groups can be as large as they claim and lie where they claim."""
    rows, groups = said[3], said.get(4, [])
    # An id of 16 bytes that are as good as random is part of each row, so that no honest table is smaller.
    if not 0 <= rows * 16 <= size:
        raise UnsafeData(f"it claims to have {rows:,} rows in {size:,} bytes")
    counts: list[int] = []
    for group in groups:
        counts.append(group[3])
        if not 0 <= group[3] <= _MOST_ROWS or len(group[1]) != len(said[2]) - 1:
            raise UnsafeData(f"a group claims to have {group[3]:,} rows in {len(group[1]):,} columns")
        memory = 0
        for element, chunk in zip(said[2][1:], group[1], strict=True):
            column = chunk[3]
            begin = min(column[9], column.get(11, column[9]))
            unpacked, packed = column[6], column[7]
            is_whole = column[3] == [element[4]] and column[1] == element[1] and column[5] == group[3]
            # Field 1 is the name of another file.
            if not is_whole or 1 in chunk or begin < 4 or packed < 0 or unpacked < 0 or begin + packed > size:
                raise UnsafeData(f"column {printable(element[4].decode())} cannot lie where it claims to")
            memory += unpacked
        if memory > _MOST_MEMORY:
            raise UnsafeData(f"a group of its rows would take {memory:,} bytes")
    if sum(counts) != rows:
        raise UnsafeData(f"it claims to have {rows:,} rows, and {sum(counts):,} in its groups")
    return counts


def _pairs(pairs: list[dict[int, Any]]) -> dict[str, str]:
    return {pair[1].decode(): pair.get(2, b"").decode() for pair in pairs}


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the errors of pyarrow into ours, and leave those of the disk and of the network as they are."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        # What pyarrow makes of a damaged page is an OSError without a number.
        if isinstance(error, OneError) or getattr(error, "errno", None) is not None:
            raise
        first = str(error).partition("\n")[0]
        raise UnsafeData(f"pyarrow cannot read it: {printable(first)}") from error


def _rows(stream: IO[bytes], footer: _Footer) -> Iterator[TableRow]:
    """Yield the rows of a file that was looked at."""
    import pyarrow.parquet as pq

    if not footer.groups:
        return
    with _translated():
        file = pq.ParquetFile(
            stream,
            # Texts stay as they are stored: each once, with its places. To write them out may take a thousand times
            # the memory.
            read_dictionary=list(_TEXTS),
            page_checksum_verification=True,
            pre_buffer=False,
        )
    sessions: dict[str, str] = {}
    marks = 0
    # Not to be closed: the stream is not ours.
    for cells in _groups(file, len(footer.groups)):
        values = (cells[name] for name in _READ)
        for session, below, md5, dtype, shape, size in zip(*values, strict=True):
            if session not in sessions:
                sessions[session] = _checked_session(session)
            row = _row(session, below, size, md5, dtype, shape)
            marks += _mark(_line(row.path, size, md5, dtype, shape))
            yield row
    # Each page has a checksum, but not the end of the file. ONE-api keeps neither when it saves a table.
    fingerprint = footer.metadata.get(_PRINT)
    if fingerprint and fingerprint != _fingerprint(marks, [footer.metadata.get(_OTHERS, "")]):
        raise UnsafeData("its rows are not those that were written")


def _groups(file: pq.ParquetFile, count: int) -> Iterator[dict[str, list[Any]]]:
    """Yield the cells of some thousand rows at a time, by column."""
    for number in range(count):
        # Each group by itself: what is read in one go is kept until it ends.
        with _translated():
            batches = file.iter_batches(_GROUP, [number], list(_READ), use_threads=False)
        while True:
            with _translated():
                batch = next(batches, None)
                if batch is None:
                    break
                cells = {name: _cells(batch, name) for name in _READ}
            yield cells


def _cells(batch: pa.RecordBatch, name: str) -> list[Any]:
    """Return the cells of a column; equal texts are one object."""
    import pyarrow as pa

    column = batch.column(name)
    kind = column.type
    if pa.types.is_null(kind):
        return [None] * len(column)
    if name == "file_size":
        if not pa.types.is_integer(kind):
            raise UnsafeData(f"column 'file_size' is of the type {kind}")
        return list(column.to_pylist())
    if not pa.types.is_dictionary(kind) or not (
        pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
    ):
        raise UnsafeData(f"column '{name}' is of the type {kind}")
    column.validate(full=True)  # that the places are within, and the texts are UTF-8
    places = column.indices.unique().drop_null()
    texts = dict(zip(places.to_pylist(), column.dictionary.take(places).to_pylist(), strict=True))
    return [texts.get(place) for place in column.indices.to_pylist()]


def _checked_session(text: object) -> str:
    if not isinstance(text, str):
        raise UnsafeData("a row has no session")
    check_safe(text)
    if str(split_path(f"{text}/-")[0]) != text:
        raise UnsafeData(f"{printable(text)} is no session")
    return text


def _row(
    session: str, below: object, size: int | None, md5: str | None, dtype: str | None, shape: str | None
) -> TableRow:
    """Return what a row says, if it can be true."""
    if not isinstance(below, str):
        raise UnsafeData("a row has no path")
    check_safe(below)
    path = f"{session}/{below}"
    if md5 and not _MD5(md5):
        raise UnsafeData(f"the md5 of {printable(path)} is not of 32 digits, 0 to 9 and a to f")
    if size is not None and not 0 <= size < _MOST_BYTES:
        raise UnsafeData(f"the size of {printable(path)} is {size:,}")
    if size and md5 == EMPTY_MD5:
        raise UnsafeData(f"{printable(path)} has {size:,} bytes, and the md5 of an empty file")
    if dtype is not None and not _DTYPE(dtype):
        raise UnsafeData(f"the dtype of {printable(path)} is {printable(dtype)}")
    if shape is not None and not _SHAPE(shape):
        raise UnsafeData(f"the shape of {printable(path)} is {printable(shape)}")
    return TableRow(
        path,
        size or (0 if md5 == EMPTY_MD5 else None),
        md5 or None,
        dtype,
        None if shape is None else tuple(map(int, shape.split(","))) if shape else (),
    )


def _others(footer: _Footer) -> list[TableRow]:
    """Return the files that have no row."""
    text = footer.metadata.get(_OTHERS, "")
    if len(text) > _MOST_OTHERS:
        raise UnsafeData(f"its metadata have {len(text):,} characters")
    rows: list[TableRow] = []
    lines = text.removesuffix("\n").split("\n") if text else []
    for line in lines:
        path, *cells = line.split("\t")
        if len(cells) != 4 or not re.fullmatch(r"[0-9]{1,19}", cells[0]):
            raise UnsafeData(f"its metadata have a line of another form: {printable(line)}")
        session, below = split_path(path)
        size, md5, dtype, shape = cells
        known = int(size), md5, dtype or None, None if shape == "-" else shape
        rows.append(_row(_checked_session(str(session)), below, *known))
    return rows
