"""What is known of a file without reading all of it, as a value, for a person and for a program."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from onelight.alf import printable

SHOWN = 60  # columns that a terminal shows
LONGEST = 160  # characters of one text that came from the file

FIRST_LAST = "first and last"
MIN_MAX = "minimum and maximum"


@dataclass(frozen=True, slots=True)
class Range:
    """Between which values the numbers lie.

    Parameters
    ----------
    what : str
        ``"first and last"`` of times, ``"minimum and maximum"`` of other numbers; missing values (NaN) aside.
    low, high : int, float, datetime.datetime or datetime.date
        The two values.
    """

    what: str
    low: Any
    high: Any


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, or a field of an array of records.

    Parameters
    ----------
    name : str
        As the file writes it.
    dtype : str
        As NumPy calls it, such as ``"float64"``; ``"text"`` for text.
    units : str, optional
        Such as ``"s"``.
    range : Range, optional
        Of a parquet table what the file says of itself, of a text table only where the whole file was read.
    """

    name: str
    dtype: str
    units: str | None = None
    range: Range | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of a file without reading all of it; None where it is not known.

    Parameters
    ----------
    size : int or None
        Bytes.
    kind : str
        The form in a word or two: ``"array"``, ``"table"``, ``"compressed recording"``, ``"JSON"``.
    dtype : str, optional
        Type of one element, as NumPy calls it. ``">f8"`` is big-endian, ``"object"`` pickled.
    shape : tuple of int, optional
        As the file states it, before anything is flattened.
    columns : tuple of Column, optional
        Columns of a table, fields of records, names of a JSON object.
    rows : int, optional
        Length of the first dimension, rows of a table, lines of a text, frames of a video.
    order : {"C", "F"}, optional
        Whether the last (C) or the first index (F) varies fastest in the file.
    duration : float, optional
        Seconds: length of a recording or video; of times, the latest one on their clock.
    range : Range, optional
        Of the values of an array that was read as a whole.
    units, meaning : str, optional
        What the metadata of the file or else the vocabulary of dataset types says.
    note : tuple of str
        What a reader should know before loading it.
    """

    size: int | None
    kind: str
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    columns: tuple[Column, ...] | None = None
    rows: int | None = None
    order: str | None = None
    duration: float | None = None
    range: Range | None = None
    units: str | None = None
    meaning: str | None = None
    note: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The most important of it in one line, as a Bunch of descriptions shows it.

        Examples
        --------
        >>> Description(400, "array", dtype="float64", shape=(40, 1), meaning="1 reward, -1 noise").summary
        '(40, 1) float64, 400 B: 1 reward, -1 noise'
        """
        shape = f"{self.shape} " if self.shape is not None else ""
        return f"{shape}{self.dtype or self.kind}, {_size_text(self.size)}" + (
            f": {self.meaning}" if self.meaning else ""
        )


def as_rows(description: Description) -> list[tuple[str, str]]:
    """Return a description as labels and texts for a terminal.

    Parameters
    ----------
    description : Description
        What :func:`describe_file` found.

    Returns
    -------
    list of (str, str)
        One label and one line of text each, in the order in which they are read; what is not known is left out, and
        no text can move the cursor.

    Examples
    --------
    >>> for label, text in as_rows(Description(4_586_880, "array", "float64", (573344,), duration=2702.6, units="s")):
    ...     print(f"{label:9}{text}")
    kind     array
    size     4.6 MB (4,586,880 bytes)
    type     float64
    shape    (573344,)
    duration 2,702.6 s (45 min 3 s)
    units    s
    """
    found = description
    rows = [("kind", found.kind), ("size", _size_text(found.size))]
    if found.dtype is not None:
        rows.append(("type", found.dtype))
    if found.shape is not None:
        # A vector has no order, and one column has the same in both.
        several = len(found.shape) > 1 and sum(length > 1 for length in found.shape) > 1
        rows.append(("shape", str(found.shape) + (f", {_ORDERS[found.order]}" if several and found.order else "")))
    elif found.rows is not None:
        rows.append(("rows", f"{found.rows:,}"))
    if found.duration is not None:
        rows.append(("duration", _duration_text(found.duration)))
    if found.range is not None:
        rows.append((found.range.what, f"{_value_text(found.range.low)} and {_value_text(found.range.high)}"))
    if found.units:
        rows.append(("units", shown(found.units)))
    if found.meaning:
        rows.append(("meaning", shown(found.meaning)))
    columns = found.columns or ()
    rows += [("column", _column_text(column)) for column in columns[:SHOWN]]
    if len(columns) > SHOWN:
        rows.append(("column", f"and {len(columns) - SHOWN:,} more"))
    return rows + [("note", note) for note in found.note]


_ORDERS = MappingProxyType({"C": "row by row (C order)", "F": "column by column (Fortran order)"})


def _column_text(column: Column) -> str:
    parts = [shown(column.dtype)]
    if column.units:
        parts.append(shown(column.units))
    if column.range is not None:
        parts.append(f"{_value_text(column.range.low)} to {_value_text(column.range.high)}")
    return f"{shown(column.name)}: {', '.join(parts)}"


def _size_text(size: int | None) -> str:
    if size is None:
        return "size unknown"
    if size < 1000:
        return f"{size} B"
    power = min((len(str(size)) - 1) // 3, 4)
    return f"{size / 1000**power:.1f} {_SIZES[power]} ({size:,} bytes)"


_SIZES = ("B", "kB", "MB", "GB", "TB")


def _duration_text(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    text = f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
    return f"{seconds:,.1f} s ({text})"


def _value_text(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else shown(str(value))


def shown(text: str) -> str:
    """Return a text from a file so that it cannot move the cursor, hide itself or fill the screen."""
    quoted = printable(text, LONGEST)
    return quoted[1:-1] if quoted == f"'{text}'" else quoted


def as_json(description: Description) -> dict[str, Any]:
    """Return a description as plain JSON values.

    Parameters
    ----------
    description : Description
        What :func:`describe_file` found.

    Returns
    -------
    dict
        One item per field, None where nothing is known and for numbers that JSON does not have (NaN, infinity).

    Examples
    --------
    >>> found = Description(96, "array", "float64", (2,), range=Range("first and last", 1.5, float("nan")))
    >>> import json
    >>> json.dumps(as_json(found))[:82]
    '{"size": 96, "kind": "array", "dtype": "float64", "shape": [2], "columns": null, "'
    >>> as_json(found)["range"]
    {'what': 'first and last', 'low': 1.5, 'high': None}
    """
    found: dict[str, Any] = _plain(dataclasses.asdict(description))
    return found


def _plain(value: Any) -> Any:  # a JSON value
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # a scalar of NumPy
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return value.isoformat() if isinstance(value, dt.date) else str(value)
