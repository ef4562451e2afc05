"""Tables from .tsv, .csv and .pqt files, and values from .json files; every byte of text is UTF-8."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

from onelight.errors import OneError, UnsafeData
from onelight.loading.content import AGAIN, HEAD, damaged, refuse_foreign

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_EMPTY = ["", "NaN", "nan"]  # MATLAB and Python write missing numbers so; "NA" or "None" may be a name
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]+")
_PARQUET = b"PAR1"
# A compressed table may be a bomb. Cells that all are equal compress well too, but no real table becomes
# a gigabyte and a thousand times its file at once.
_LARGE_TABLE = 1 << 30  # bytes in memory
_LARGE_RATIO = 1000  # times the file


def read_tsv(path: Path) -> pd.DataFrame:
    r"""Read a table of tab-separated text whose first row names the columns.

    Columns of numbers become numbers, and text stays text: ``NA``, ``None`` or ``001`` are names, not missing values
    or numbers. Empty cells and ``NaN`` are missing.

    Parameters
    ----------
    path : pathlib.Path
        A ``.tsv`` file.

    Returns
    -------
    pandas.DataFrame
        One row per line below the first, in the order of the file.

    Raises
    ------
    UnsafeData
        If the file is no such table: rows of unequal length, text that is not UTF-8, an HTML page.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "channels.brainLocation.tsv"
    ...     _ = path.write_text("ccf_ap\tallen_ontology\n4054.4\tACA\n")
    ...     list(read_tsv(path).columns)
    ['ccf_ap', 'allen_ontology']
    """
    return _read_text_table(path, "\t")


def read_csv(path: Path) -> pd.DataFrame:
    r"""Read a table of comma-separated text whose first row names the columns; otherwise as `read_tsv`.

    Parameters
    ----------
    path : pathlib.Path
        A ``.csv`` file.

    Returns
    -------
    pandas.DataFrame
        One row per line below the first, in the order of the file.

    Raises
    ------
    UnsafeData
        If the file is no such table.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "clusters.metrics.csv"
    ...     _ = path.write_text("label\n1\n")
    ...     read_csv(path).shape
    (1, 1)
    """
    return _read_text_table(path, ",")


def read_pqt(path: Path) -> pd.DataFrame:
    """Read a parquet table.

    Parameters
    ----------
    path : pathlib.Path
        A ``.pqt`` file.

    Returns
    -------
    pandas.DataFrame
        With the index that the table was written with.

    Raises
    ------
    UnsafeData
        If the file is no parquet table, is not whole, or would take an absurd amount of memory.

    Examples
    --------
    >>> import tempfile, pathlib, pandas
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "trials.table.pqt"
    ...     pandas.DataFrame({"choice": [1, -1]}).to_parquet(path)
    ...     read_pqt(path).shape
    (2, 1)
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - len(_PARQUET), 0))
        tail = file.read()
    if not head.startswith(_PARQUET):
        refuse_foreign(path, head, "a table")
        raise UnsafeData(f"{path} is not a parquet table: it begins with {head[:8]!r}", hint=AGAIN)
    if tail != _PARQUET:
        raise damaged(path, "it is a parquet table without its end")
    return _read_parquet(path, size)


def _read_parquet(path: Path, size: int) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            memory = file.metadata.num_rows * file.metadata.num_columns * 8
        if memory > _LARGE_TABLE and memory > size * _LARGE_RATIO:
            raise UnsafeData(f"{path} has {size} bytes and would take {memory} in memory", hint=AGAIN)
        return pd.read_parquet(path, engine="pyarrow")
    # A footer or page that cannot be decoded is a bare OSError of pyarrow, without a number; what the footer says of
    # pandas is trusted by pandas, and wrong in many ways.
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        if isinstance(error, OneError) or getattr(error, "errno", None) is not None:
            raise
        raise damaged(path, f"pyarrow cannot read it: {_first_line(error)}") from error


def read_json(path: Path) -> Any:  # whatever the file says
    """Read the value that a JSON file holds.

    Parameters
    ----------
    path : pathlib.Path
        A ``.json`` file, in UTF-8.

    Returns
    -------
    dict, list, str, float, int, bool or None
        What the file says.

    Raises
    ------
    UnsafeData
        If the file is no JSON; the message names line and column.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "session.metadata.json"
    ...     _ = path.write_text('{"weight": 21.5}')
    ...     read_json(path)
    {'weight': 21.5}
    """
    text = _text(path, "JSON")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise damaged(path, f"it is no JSON at line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise UnsafeData(f"{path} is JSON that is nested too deeply", hint=AGAIN) from error


def _text(path: Path, wanted: str) -> str:
    data = path.read_bytes()
    refuse_foreign(path, data[:HEAD], wanted)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise damaged(path, f"it is not UTF-8 text at line {line} (byte {error.start})") from error


def _read_text_table(path: Path, separator: str) -> pd.DataFrame:
    import pandas as pd

    text = _text(path, "a table")
    if "\0" in text:
        raise damaged(path, "it holds bytes that are no text")
    columns, as_text = _survey(text, separator, path)
    table: pd.DataFrame
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            dtype=dict.fromkeys(as_text, str),
            na_values=_EMPTY,
            keep_default_na=False,
            skip_blank_lines=columns > 1,  # in a table of one column a blank line is a row with an empty cell
            low_memory=False,  # types are found from whole columns, not from pieces
            **_exact_numbers(pd.__version__),
        )
    except ValueError as error:  # pandas.errors.ParserError and EmptyDataError are ValueErrors
        raise damaged(path, f"pandas cannot read it as a table: {_first_line(error)}") from error
    return table


def _exact_numbers(version: str) -> dict[str, Any]:
    """Return the option that makes pandas read each number to the last bit: since 3.1 that is the only way it has."""
    major, minor = map(int, version.split(".")[:2])
    return {} if (major, minor) >= (3, 1) else {"float_precision": "round_trip"}


def _survey(text: str, separator: str, path: Path) -> tuple[int, list[int]]:
    """Return the number of columns, and which of them hold numbers with leading zeros: those are names.

    pandas would fill short rows with missing values and take a surplus column for the names of the rows, in silence.
    """
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    as_text: set[int] = set()
    try:
        header = next((row for row in rows if row), None)
        if header is None:
            raise damaged(path, "it holds blank lines only")
        for row in rows:
            if row and len(row) != len(header):
                raise damaged(
                    path, f"line {rows.line_num} has {len(row)} cells, and the first row names {len(header)} columns"
                )
            as_text.update(i for i, cell in enumerate(row) if _LEADING_ZERO.fullmatch(cell))
    except csv.Error as error:
        raise damaged(path, f"line {rows.line_num} cannot be read: {error}") from error
    return len(header), sorted(as_text)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
