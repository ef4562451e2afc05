"""Tables: rows of text from .tsv, .htsv, .csv and .ssv files, and parquet from .pqt files.

Text is looked at before pandas reads it, in pieces, so that a file that is refused never takes much memory: pandas
itself would rename columns, fill short rows and lose the first record of a file without names, all in silence.
"""

from __future__ import annotations

import csv
import io
import re
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from onelight.errors import OneError, UnsafeData
from onelight.loading.content import AGAIN, HEAD, PIECE, damaged, open_text, pieces, refuse_foreign
from onelight.loading.npz import LARGE, RATIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    import pandas as pd
    import pyarrow.parquet as pq
    from numpy.typing import NDArray

    Opened = Callable[[], BinaryIO]

MAX_LINE = 4 << 20  # bytes
MAX_ROW = 2 << 20  # characters, in a file with quotes: one that is never closed makes all that follows one cell
MAX_COLUMNS = 200_000  # pandas takes minutes for as many

_EMPTY = ["", "NaN", "nan"]  # MATLAB and Python write missing numbers so; "NA" or "None" may be a name
_LEADING_ZERO = re.compile(r" *[+-]?0[0-9]+ *")
_WHOLE = r" *[+-]?[0-9]+ *"
_EXACT, _LARGEST = 1 << 53, 1 << 63  # beyond the one, floats lack whole numbers; beyond the other, integers end
# What a value looks like and the name of a column does not: numbers, dates, times, truth values, UUIDs.
_VALUE = re.compile(
    r"[-+.,:/ \d]+|[-+]?[\d.,]+e[-+]?\d+|[-+]?(?:nan|inf|infinity)|true|false|\d{4}-\d\d-\d\dt[-+.:\d]+z?"
    r"|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}",
    re.IGNORECASE,
)
_LINE_ENDS = (ord("\r"), ord("\n"))
_SAMPLE = 1000  # cells of a column that say whether it holds values
_limit_of_cells = threading.Lock()  # the csv module has one limit for the whole process

_PARQUET = b"PAR1"
# A compressed table may be a bomb. Cells that all are equal compress well too, but no real table becomes
# a gigabyte and a thousand times its file at once.
_LARGE_TABLE = 1 << 30  # bytes in memory
_LARGE_RATIO = 1000  # times the file
# A list of a million zeros is one cell, and takes a few bytes of a file: lists have the limits of other archives.
_LARGE_LISTS, _LIST_RATIO = LARGE, RATIO


def read_tsv(path: Path, *, metadata: Mapping[str, Any] | None = None) -> pd.DataFrame:
    r"""Read a table of tab-separated text, with or without a first row that names the columns.

    The first row names the columns if it can: text in every cell, no number or date among them, and numbers or dates
    below. When all of a table is text, its first row names the columns unless one of its cells stands again below in
    its own column. Columns without a name are ``column_0``, ``column_1`` and so on, counted from the left. What
    the metadata say about ``columns`` comes first.

    Columns of numbers become numbers, and text stays text: ``NA``, ``None`` or ``001`` are names, not missing values
    or numbers. Empty cells and ``NaN`` are missing.

    Parameters
    ----------
    path : pathlib.Path
        A ``.tsv`` file, or a ``.tsv.gz`` file.
    metadata : mapping, optional
        What the ``.metadata.json`` beside the file says. Its ``columns``, names or objects with a ``name``, are used
        if there are as many as in the table; then the first row is one of names only if it says the same.

    Returns
    -------
    pandas.DataFrame
        One row per line, in the order of the file.

    Raises
    ------
    UnsafeData
        If the file is no such table: rows of unequal length, two columns of one name, text that is not UTF-8, lines
        without an end, an HTML page.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "channels.brainLocation.tsv"
    ...     _ = path.write_text("ccf_ap\tallen_ontology\n4054.4\tACA\n")
    ...     named = read_tsv(path)
    ...     _ = path.write_text("4054.4\tACA\n3986.0\tMOs\n")
    ...     unnamed = read_tsv(path)
    >>> list(named.columns), len(named)
    (['ccf_ap', 'allen_ontology'], 1)
    >>> list(unnamed.columns), len(unnamed)
    (['column_0', 'column_1'], 2)
    """
    return text_table(path, partial(open_text, path, "a table"), "\t", metadata)


def read_htsv(path: Path, *, metadata: Mapping[str, Any] | None = None) -> pd.DataFrame:
    r"""Read a table of tab-separated text whose first row always names the columns; otherwise as `read_tsv`.

    Parameters
    ----------
    path : pathlib.Path
        A ``.htsv`` file, or a ``.htsv.gz`` file.
    metadata : mapping, optional
        As for `read_tsv`; its names take the place of those in the file.

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
    ...     path = pathlib.Path(folder) / "wheel.velocity.htsv"
    ...     _ = path.write_text("2016\t2017\n0.5\t0.25\n")
    ...     list(read_htsv(path).columns)
    ['2016', '2017']
    """
    return text_table(path, partial(open_text, path, "a table"), "\t", metadata, header=True)


def read_csv(path: Path, *, metadata: Mapping[str, Any] | None = None) -> pd.DataFrame:
    r"""Read a table of comma-separated text; otherwise as `read_tsv`.

    Parameters
    ----------
    path : pathlib.Path
        A ``.csv`` file, or a ``.csv.gz`` file.
    metadata : mapping, optional
        As for `read_tsv`.

    Returns
    -------
    pandas.DataFrame
        One row per line, in the order of the file.

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
    return text_table(path, partial(open_text, path, "a table"), ",", metadata)


def read_ssv(path: Path, *, metadata: Mapping[str, Any] | None = None) -> pd.DataFrame:
    r"""Read a table of text between blanks, as recording rigs write it: usually without a row of names.

    Cells are separated by one or more blanks or tabs; those at the beginning and at the end of a line mean nothing.
    When all of a table is text, its first row is a record like the others. Otherwise as `read_tsv`.

    Parameters
    ----------
    path : pathlib.Path
        A ``.ssv`` file, or a ``.ssv.gz`` file.
    metadata : mapping, optional
        As for `read_tsv`.

    Returns
    -------
    pandas.DataFrame
        One row per line, in the order of the file.

    Raises
    ------
    UnsafeData
        If the file is no such table.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "_iblrig_encoderPositions.raw.ssv"
    ...     _ = path.write_text("3993633 0 \n4554928 0 \n5659336 -1 \n")
    ...     read_ssv(path)["column_1"].tolist()
    [0, 0, -1]
    """
    return text_table(path, partial(open_text, path, "a table"), " ", metadata)


def read_pqt(path: Path) -> pd.DataFrame:
    """Read a parquet table.

    Parameters
    ----------
    path : pathlib.Path
        A ``.pqt`` or ``.parquet`` file.

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


def _refuse_large(path: Path, size: int, file: pq.ParquetFile) -> None:
    """Refuse a table that would fill the memory, from what its end says of each column, those within lists, too."""
    metadata = file.metadata
    memory = lists = 0
    for place in range(metadata.num_columns):
        column = metadata.schema.column(place)
        chunks = [metadata.row_group(group).column(place) for group in range(metadata.num_row_groups)]
        # Equal values are stored once, so that what is unpacked says nothing of numbers, and is the least of texts.
        width = max(8, column.length or 0)
        taken = sum(max(chunk.num_values * width, chunk.total_uncompressed_size) for chunk in chunks)
        memory += taken
        lists += taken if column.max_repetition_level else 0
    # A missing list of a fixed length has no values in the file, and all of them in memory.
    lists = max(lists, metadata.num_rows * 8 * sum(_fixed(kind) for kind in file.schema_arrow.types))
    memory = max(memory, lists, metadata.num_rows * metadata.num_columns * 8)
    if (memory > _LARGE_TABLE and memory > size * _LARGE_RATIO) or (
        lists > _LARGE_LISTS and lists > size * _LIST_RATIO
    ):
        raise UnsafeData(f"{path} has {size} bytes and would take {memory} in memory", hint=AGAIN)


def _fixed(kind: Any) -> int:  # pyarrow.DataType
    """Return how many values a type has in lists of a fixed length."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * max(_fixed(kind.value_type), 1)
    if pa.types.is_struct(kind):
        return sum(_fixed(kind.field(place).type) for place in range(kind.num_fields))
    return 0


def _read_parquet(path: Path, size: int) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _refuse_large(path, size, file)
        return pd.read_parquet(path, engine="pyarrow")
    # A footer or page that cannot be decoded is a bare OSError of pyarrow, without a number; what the footer says of
    # pandas is trusted by pandas, and wrong in many ways.
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        if isinstance(error, OneError) or getattr(error, "errno", None) is not None:
            raise
        raise damaged(path, f"pyarrow cannot read it: {_first_line(error)}") from error


def text_table(
    path: Path, opened: Opened, separator: str, metadata: Mapping[str, Any] | None, *, header: bool = False
) -> pd.DataFrame:
    r"""Read a table of text from wherever it lies.

    Parameters
    ----------
    path : pathlib.Path
        The name of the file, for messages.
    opened : callable
        Opens the bytes of the table for reading; it is called several times.
    separator : str
        What stands between two cells. A blank means any number of blanks.
    metadata : mapping or None
        As for `read_tsv`.
    header : bool, optional
        Whether the first row names the columns, whatever it looks like.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    UnsafeData
        If the bytes are no such table.

    Examples
    --------
    >>> import io, pathlib
    >>> text_table(pathlib.Path("a.csv"), lambda: io.BytesIO(b"x,y\n1,2\n"), ",", None).to_dict("list")
    {'x': [1], 'y': [2]}
    """
    survey = _survey(path, opened, separator)
    said = _names_said(metadata, len(survey.first))
    names = said or _named(survey.first)
    if said and not header:
        header = [cell.strip() for cell in survey.first] == said
    elif not header and _may_be_names(survey.first):
        # Which of the two it is can only be told from the types of the columns below.
        table = _parse(path, opened, separator, survey, header=True)
        header = _are_names(survey.first, table, separator)
        if header:
            return _with_names(path, table, names)
    table = _parse(path, opened, separator, survey, header=header)
    return _with_names(path, table, names if header or said else _named([""] * len(names)))


def _with_names(path: Path, table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        # pandas would call the second one "name.1", and nobody would know which of them is meant.
        raise UnsafeData(
            f"{path} has two columns of the name {twice!r}",
            hint="Ask the owner to name them differently, or read it yourself: download_only=True gives its path",
        )
    table.columns = names
    return table


def _names_said(metadata: Mapping[str, Any] | None, count: int) -> list[str]:
    """Return the names that metadata give to the columns, if they name each of them."""
    columns = metadata.get("columns") if isinstance(metadata, Mapping) else None
    if not isinstance(columns, list) or len(columns) != count:
        return []
    said = [column.get("name") if isinstance(column, Mapping) else column for column in columns]
    names = [name for name in said if isinstance(name, str) and name]
    return names if len(set(names)) == count else []


def _named(cells: list[str]) -> list[str]:
    return [cell or f"column_{i}" for i, cell in enumerate(cells)]


def _may_be_names(cells: list[str]) -> bool:
    # pandas writes an empty cell above the numbers of the rows, and numbers above columns that have no names.
    return any(cells) and (not cells[0] or not any(_VALUE.fullmatch(cell) for cell in cells))


def _are_names(cells: list[str], below: pd.DataFrame, separator: str) -> bool:
    """Tell whether the first row names the columns, from the rows below it."""
    if not cells[0] and below["column_0"].tolist() == list(range(len(below))):
        return True
    if any(_VALUE.fullmatch(cell) for cell in cells):
        return False
    if any(cell and _has_values(column) for cell, (_, column) in zip(cells, below.items(), strict=True)):
        return True
    # Nothing but text. Rigs write no names into .ssv; elsewhere names are the rule, but they are not values, too.
    if separator == " " or not all(cells) or len(set(cells)) < len(cells):
        return False
    return not any((column == cell).any() for cell, (_, column) in zip(cells, below.items(), strict=True))


def _has_values(column: pd.Series[Any]) -> bool:
    cells = column.dropna().head(_SAMPLE)
    return len(cells) > 0 and (cells.dtype.kind in "biuf" or all(_VALUE.fullmatch(str(cell)) for cell in cells))


def _parse(path: Path, opened: Opened, separator: str, survey: _Survey, *, header: bool) -> pd.DataFrame:
    """Return the table with neutral names, whether or not the first row is one of names."""
    names = _named([""] * len(survey.first))
    as_text = set(survey.as_text)
    if not header:
        as_text.update(i for i, cell in enumerate(survey.first) if _LEADING_ZERO.fullmatch(cell))
    texts = dict.fromkeys((names[i] for i in as_text), str)
    read = partial(_pandas, path, opened, separator, survey, names, header)
    table = read(texts, names)
    # With a missing value among them, whole numbers become floating-point numbers, and large ones others.
    rounded = [name for name in names if _EXACT <= _largest(table[name]) < _LARGEST]
    if rounded:
        for name, column in read(dict.fromkeys(rounded, str), rounded).items():
            if column.dropna().str.fullmatch(_WHOLE).all():
                table[name] = column.str.strip().astype("Int64")
    return table


def _largest(column: pd.Series[Any]) -> float:
    """Return the largest of floating-point numbers, whatever their signs; 0 for a column of anything else."""
    import numpy as np

    if column.dtype != np.float64:
        return 0.0
    values = column.to_numpy()
    return float(max(np.fmax.reduce(values, initial=0.0), -np.fmin.reduce(values, initial=0.0)))


def _pandas(
    path: Path,
    opened: Opened,
    separator: str,
    survey: _Survey,
    names: list[str],
    header: bool,
    texts: dict[str, type[str]],
    wanted: list[str],
) -> pd.DataFrame:
    import pandas as pd

    # Behind lone returns pandas overlooks empty cells, and makes rows of blank lines.
    newline = None if survey.returns else ""
    with opened() as file, io.TextIOWrapper(file, "utf-8-sig", newline=newline) as text:
        for _ in range(survey.blank_lines if header else 0):
            text.readline()
        table: pd.DataFrame
        try:
            table = pd.read_csv(
                text,
                sep=r"\s+" if separator == " " else separator,
                header=0 if header else None,
                names=names,
                usecols=wanted,
                dtype=texts,
                na_values=_EMPTY,
                keep_default_na=False,
                skip_blank_lines=len(names) > 1,  # in a table of one column a blank line is a row with an empty cell
                low_memory=False,  # types are found from whole columns, not from pieces
                **_exact_numbers(pd.__version__),
            )
        except ValueError as error:  # pandas.errors.ParserError is a ValueError
            if isinstance(error, OneError):
                raise
            raise damaged(path, f"pandas cannot read it as a table: {_first_line(error)}") from error
    return table


def _exact_numbers(version: str) -> dict[str, Any]:
    """Return the option that makes pandas read each number to the last bit: since 3.1 that is the only way it has."""
    major, minor = map(int, version.split(".")[:2])
    return {} if (major, minor) >= (3, 1) else {"float_precision": "round_trip"}


# What is looked at before pandas reads a table


@dataclass
class _Survey:
    """What a table of text consists of; every row has as many cells as the first one."""

    first: list[str] = field(default_factory=list)  # cells of the first row that is not blank
    blank_lines: int = 0  # before it
    as_text: set[int] = field(default_factory=set)  # columns below with leading zeros: those are names, no numbers
    returns: bool = False  # whether lines end with a lone return, as on an old Mac


def _survey(path: Path, opened: Opened, separator: str) -> _Survey:
    """Look at a whole table; lines are counted by NumPy, where no quotes are, and by the csv module elsewhere."""
    with opened() as file:
        survey = _survey_lines(path, pieces(path, file), separator)
    survey = survey or _survey_quoted(path, opened, separator)
    if not survey.first:
        raise damaged(path, "it holds blank lines only")
    return survey


def _survey_lines(path: Path, text: Iterator[bytes], separator: str) -> _Survey | None:
    """Return None for a table with quotes, or whose lines end as on an old Mac: that needs the csv module."""
    survey = _Survey()
    lines, rest = 0, b""
    for piece in text:
        data = rest + piece
        end = data.rfind(b"\n") + 1
        block, rest = data[:end], data[end:]
        lone = block.count(b"\r") != block.count(b"\r\n") or rest.find(b"\r", 0, max(len(rest) - 1, 0)) >= 0
        if lone or b'"' in piece:
            for _ in text:  # is it text to its end?
                pass
            return None
        _survey_block(path, block, separator, survey, lines)
        lines += block.count(b"\n")
        _check_length(path, rest, separator, lines + 1)
    if rest:
        _survey_block(path, rest + b"\n", separator, survey, lines)
    return survey


def _survey_block(path: Path, block: bytes, separator: str, survey: _Survey, lines: int) -> None:
    """Count the cells of whole lines, and find numbers with leading zeros among them."""
    import numpy as np

    if not survey.first:
        begun = block.lstrip(b" \t\r\n" if separator == " " else b"\r\n")
        blank = block.count(b"\n", 0, len(block) - len(begun))
        survey.blank_lines += blank
        if not begun:
            return
        first, _, block = begun.partition(b"\n")
        lines += blank + 1
        _check_length(path, first, separator, lines)
        survey.first = _split(first.decode(), separator)
    if not block:
        return
    bytes_ = np.frombuffer(block, np.uint8)
    starts, stops = _cells(bytes_, separator)
    counts = np.diff(stops, prepend=0)
    wrong = np.flatnonzero(counts != len(survey.first))
    if separator == " ":
        wrong = wrong[counts[wrong] > 0]
    elif wrong.size:
        blank_line = (counts[wrong] == 1) & np.isin(bytes_[starts[stops[wrong] - 1]], _LINE_ENDS)
        wrong = wrong[~blank_line]
    if wrong.size:
        raise _ragged(path, lines + int(wrong[0]) + 1, int(counts[wrong[0]]), survey)
    survey.as_text.update(_leading_zeros(block, bytes_, starts, stops, separator))


def _cells(block: NDArray[np.uint8], separator: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where each cell begins, and how many cells there are up to the end of each line."""
    import numpy as np

    marks = np.zeros(256, bool)  # one look at each byte, and one array as large as the block
    marks[list(b" \t\r\n" if separator == " " else separator.encode() + b"\n")] = True
    marked = marks[block]
    if separator == " ":
        starts = np.flatnonzero(marked[:-1] > marked[1:]) + 1
        starts = starts if marked[0] else np.concatenate(([0], starts))
        return starts, np.searchsorted(starts, np.flatnonzero(block == ord("\n")))
    edges = np.flatnonzero(marked)
    return np.concatenate(([0], edges[:-1] + 1)), np.flatnonzero(block[edges] == ord("\n")) + 1


def _leading_zeros(
    block: bytes, bytes_: NDArray[np.uint8], starts: NDArray[np.intp], stops: NDArray[np.intp], separator: str
) -> set[int]:
    """Return the columns in which a cell is a whole number with leading zeros."""
    import numpy as np

    first, second, third = (bytes_[np.minimum(starts + i, len(bytes_) - 1)] for i in range(3))
    is_digit = second - ord("0") < 10  # unsigned: what lies below "0" becomes large
    signed = ((first == ord("-")) | (first == ord("+"))) & (second == ord("0")) & (third - ord("0") < 10)
    cells = np.flatnonzero(((first == ord("0")) & is_digit) | signed | (first == ord(" ")))
    columns = cells - np.concatenate(([0], stops))[np.searchsorted(stops, cells, side="right")]
    end = separator.encode() + (b"\t" if separator == " " else b"")
    pattern = re.compile(_LEADING_ZERO.pattern.encode() + b"(?=[\r\n" + end + b"])")
    found: set[int] = set()
    for column, start in zip(columns.tolist(), starts[cells].tolist(), strict=True):
        if column not in found and pattern.match(block, start):
            found.add(column)
    return found


@dataclass
class _Row:
    """What was read of the row that the csv module is about to return."""

    begin: int = 0  # line
    length: int = 0  # characters
    has_zeros: bool = False  # whether its cells may be numbers with leading zeros


def _survey_quoted(path: Path, opened: Opened, separator: str) -> _Survey:
    survey, state = _Survey(), _Row()
    with opened() as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text, _cells_up_to(MAX_ROW):
        lines = _lines(path, text, separator, survey, state)
        rows = csv.reader(lines, delimiter=separator, skipinitialspace=separator == " ")
        try:
            for row in rows:
                state.length = 0
                if not survey.first:
                    survey.first = row
                    survey.blank_lines += not row
                elif row and len(row) != len(survey.first):
                    raise _ragged(path, rows.line_num, len(row), survey)
                elif state.has_zeros:
                    survey.as_text.update(i for i, cell in enumerate(row) if _LEADING_ZERO.fullmatch(cell))
        except csv.Error as error:
            raise damaged(path, f"line {rows.line_num} cannot be read: {error}") from error
    return survey


def _lines(path: Path, text: io.TextIOWrapper, separator: str, survey: _Survey, state: _Row) -> Iterator[str]:
    """Yield lines for the csv module, and refuse a row that does not end."""
    may_be_zeros = re.compile(r"(?:^|[ \t\r\n\"" + re.escape(separator) + r"])[+-]?0[0-9]")
    number, line = 0, ""
    for block in _blocks(text):
        state.has_zeros = state.has_zeros or may_be_zeros.search(block) is not None
        for next_line in io.StringIO(block, newline=""):
            number += 1
            if not state.length:  # the line before it was the end of a row
                state.begin = number
                survey.returns = survey.returns or line.endswith("\r")
            line = next_line
            state.length += len(line)
            if state.length > MAX_ROW:
                where = f"the row that begins in line {state.begin}"
                raise damaged(path, f"{where} has more than {MAX_ROW >> 20} MB; is a quote not closed?")
            if len(line) > MAX_COLUMNS and line.count(separator) >= MAX_COLUMNS:
                raise _too_wide(path, number)
            yield line.replace("\t", " ").rstrip(" \r\n") + "\n" if separator == " " else line
    if state.length:
        raise damaged(path, f"a quote that is opened in line {state.begin} is never closed")


def _blocks(text: io.TextIOWrapper) -> Iterator[str]:
    """Read text in blocks of whole lines, or of a line that is too long anyway; a line may end with a lone return."""
    rest = ""
    while read := text.read(PIECE):
        rest += read
        # Of a return at the end it is not known yet whether a line feed belongs to it.
        end = max(rest.rfind("\n"), rest.rfind("\r", 0, len(rest) - 1)) + 1
        end = end or (len(rest) if len(rest) > MAX_ROW else 0)
        yield rest[:end]
        rest = rest[end:]
    yield rest


@contextmanager
def _cells_up_to(characters: int) -> Iterator[None]:
    """Let the csv module read cells of this length, whatever another part of the program has set."""
    with _limit_of_cells:
        before = csv.field_size_limit(characters)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _split(line: str, separator: str) -> list[str]:
    cells = line.removesuffix("\r").split(separator)
    if separator != " ":
        return cells
    return [cell for cell in line.replace("\t", " ").removesuffix("\r").split(" ") if cell]


def _check_length(path: Path, line: bytes, separator: str, number: int) -> None:
    if len(line) > MAX_LINE:
        raise damaged(path, f"line {number} has more than {MAX_LINE >> 20} MB")
    if line.count(separator.encode()) >= MAX_COLUMNS:
        raise _too_wide(path, number)


def _too_wide(path: Path, line: int) -> UnsafeData:
    return damaged(path, f"line {line} has more than {MAX_COLUMNS} cells")


def _ragged(path: Path, line: int, cells: int, survey: _Survey) -> UnsafeData:
    what = "1 cell" if cells == 1 else f"{cells} cells"
    return damaged(path, f"line {line} has {what}, and the first row has {len(survey.first)}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
