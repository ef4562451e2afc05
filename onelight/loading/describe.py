"""What a file holds, from its first 16 KiB or the end of a table: type, shape, columns, duration, units, meaning.

A description costs one small read, so that it can be had of a file of 50 GB on a server as quickly as of a local one:
of every form only the first `FIRST` bytes are read, of a parquet table the last `LAST` (more only where its footer is
longer). What stands further inside is not described: rows of a long text table are estimated, values are summed up
only where the whole file was read. What loading would refuse as damaged or foreign is refused here with the same
error, as far as it shows in these bytes.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import math
import re
import zipfile
import zlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from onelight.alf import Dataset
from onelight.errors import AlfError, OneError, UnsafeData
from onelight.loading.content import (
    AGAIN,
    EMPTY,
    HEAD,
    HTML,
    UTF_16,
    XML,
    damaged,
    pieces,
    refuse_foreign,
    refuse_no_recording,
)
from onelight.loading.description import (
    FIRST_LAST,
    LONGEST,
    MIN_MAX,
    SHOWN,
    Column,
    Description,
    Range,
    shown,
)
from onelight.loading.npy import check_size, dtype_of, has_objects, read_header
from onelight.loading.registry import kind_of, translated
from onelight.loading.vocabulary import lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

FIRST = 16 * 1024  # bytes read from the beginning: more than any array header, and one packet train on a network
LAST = 64 * 1024  # bytes read from the end of a parquet table or archive: most footers are shorter
MAX_FOOTER = 1 << 26  # bytes; footers of ten thousand columns are far below it
MAX_UNPACKED = 1 << 18  # bytes that the first 16 KiB of compressed text may become
MAX_STATISTICS = 100_000  # row groups times columns: beyond it the ranges take longer than anybody waits


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was read of a file and what is known from beside it."""

    file: BinaryIO
    path: Path
    size: int
    head: bytes  # the beginning, unpacked where the file is compressed text
    whole: bool  # whether that is all of it
    key: str  # attribute and extra parts; empty for a name that is not ALF
    metadata: Mapping[str, Any]
    companion: bytes | None


def describe_file(
    file: BinaryIO,
    path: Path,
    *,
    size: int,
    metadata: Mapping[str, Any] | None = None,
    companion: bytes | None = None,
) -> Description:
    """Describe a file from its first or last few bytes.

    Parameters
    ----------
    file : binary file
        Open for reading, seekable. It may stand for one on a server: it is asked once for the first `FIRST` bytes,
        or for a parquet table or archive of arrays once for the last `LAST`.
    path : pathlib.Path
        Its name, which says its form and dataset type, and appears in messages. It is opened only for the duration of
        a video, and only if it is a local file of this size.
    size : int
        Bytes of the whole file.
    metadata : mapping, optional
        What the ``.metadata.json`` beside it says: ``dtype`` and ``shape`` or ``sample_rate`` of a flat file, and for
        any form ``units`` and ``description``, which go before the vocabulary.
    companion : bytes, optional
        The content of the ``.ch`` file beside a ``.cbin``.

    Returns
    -------
    Description
        Of a form that ONE light does not read, only size and kind.

    Raises
    ------
    UnsafeData
        If the file is damaged, or something else than its name says.

    Examples
    --------
    >>> import io, pathlib, numpy
    >>> file = io.BytesIO()
    >>> numpy.save(file, numpy.array([[62.9], [64.1]]))
    >>> found = describe_file(file, pathlib.Path("trials.goCue_times.npy"), size=file.tell())
    >>> found.dtype, found.shape, found.rows, found.units, found.duration
    ('float64', (2, 1), 2, 's', 64.1)
    >>> found.note
    ('column vector (N, 1), flattened on loading',)
    """
    kind = kind_of(path)
    describe = _FORMS.get(kind)
    object_, key = _names(path)
    metadata = metadata or {}
    if describe is None:
        return _with_meaning(Description(size, _WORDS.get(kind, "file")), object_, key, metadata)
    with translated(path):
        if reads_end(path):
            head, whole = b"", False
        else:
            head, whole = _beginning(file, path, size)
        found = describe(_Seen(file, path, size, head, whole, key, metadata, companion))
    return _with_meaning(found, object_, key, metadata)


def reads_end(path: Path) -> bool:
    """Tell whether a file is described from its end; a file on a server is asked for it first then.

    Examples
    --------
    >>> from pathlib import Path
    >>> reads_end(Path("trials.table.pqt")), reads_end(Path("spikes.times.npy"))
    (True, False)
    """
    return kind_of(path) in _FROM_THE_END


def _names(path: Path) -> tuple[str, str]:
    try:
        dataset = Dataset.parse(path.name)
    except AlfError:
        return "", ""
    return dataset.object, dataset.key


def _beginning(file: BinaryIO, path: Path, size: int) -> tuple[bytes, bool]:
    """Return the first bytes, unpacked if they are compressed text, and whether they are all."""
    head = _read(file, path, 0, min(size, FIRST))
    if path.suffix.lower() != ".gz":
        return head, size <= FIRST
    if not head.startswith(b"\x1f\x8b"):
        refuse_foreign(path, head[:HEAD], "a gzip archive")
        raise UnsafeData(f"{path} is not a gzip archive: it begins with {head[:8]!r}", hint=AGAIN)
    unpack = zlib.decompressobj(wbits=31)
    try:
        text = unpack.decompress(head, MAX_UNPACKED)
    except zlib.error as error:
        raise damaged(path, f"it cannot be unpacked: {error}") from error
    if size <= FIRST and not unpack.eof and not unpack.unconsumed_tail:
        raise damaged(path, "its compressed text ends too early")
    return text, unpack.eof and not unpack.unused_data


def _read(file: BinaryIO, path: Path, start: int, count: int) -> bytes:
    """Return exactly so many bytes; a file that has fewer than it should is damaged."""
    file.seek(start)
    parts: list[bytes] = []
    missing = count
    while missing and (part := file.read(missing)):  # a raw file may give less than it has
        parts.append(part)
        missing -= len(part)
    if missing:
        raise damaged(path, f"it ends {missing} bytes before it should")
    return b"".join(parts)


def _with_meaning(found: Description, object_: str, key: str, metadata: Mapping[str, Any]) -> Description:
    known = lookup(object_, key) if object_ else None
    units = _said(metadata, "units", "unit") or (known.units if known else "")
    if "; or " in units and found.shape is not None:  # timestamps come in two forms, and the shape says in which
        units = units.split("; or ")[not _has_two_columns(found)]
    has_numbers = found.dtype is not None or found.columns is not None
    columns = found.columns and tuple(_with_units(column, object_) for column in found.columns)
    return dataclasses.replace(
        found,
        units=(units or None) if has_numbers else None,
        meaning=_said(metadata, "description") or (known.meaning if known else None),
        columns=columns,
    )


def _has_two_columns(found: Description) -> bool:
    return found.shape is not None and len(found.shape) == 2 and found.shape[1] == 2


def _with_units(column: Column, object_: str) -> Column:
    known = lookup(object_, column.name) if object_ and column.units is None else None
    return dataclasses.replace(column, units=known.units or None) if known else column


def _said(metadata: Mapping[str, Any], *names: str) -> str:
    said = (metadata.get(name) for name in names)
    return next((text.strip() for text in said if isinstance(text, str) and text.strip()), "")


# Arrays


def _npy(seen: _Seen) -> Description:
    import numpy as np

    file = io.BytesIO(seen.head)
    header = read_header(file, seen.path)
    order: Literal["C", "F"] = "F" if header.fortran_order else "C"
    if has_objects(header):
        return Description(
            seen.size,
            "array",
            dtype="object",
            shape=header.shape,
            rows=header.shape[0] if header.shape else None,
            order=order,
            note=("pickled objects, which loading refuses",),
        )
    dtype = dtype_of(header, seen.path)
    check_size(header, dtype.itemsize, seen.size, file, seen.path)
    values = None
    if seen.whole and 0 not in header.shape:
        values = np.frombuffer(seen.head, dtype, offset=header.offset).reshape(header.shape, order=order)
    return _array("array", dtype, header.shape, order, values, seen)


def _array(
    kind: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    order: str,
    values: NDArray[Any] | None,
    seen: _Seen,
) -> Description:
    notes = []
    if len(shape) == 2 and shape[1] == 1:
        notes.append("column vector (N, 1), flattened on loading")
    if dtype.newbyteorder("<") != dtype:
        notes.append("big-endian")
    if 0 in shape:
        notes.append("no values")
    columns = None
    if dtype.names:
        columns = tuple(Column(name, _type_text(dtype[name])) for name in dtype.names)
    found, duration, remarks = _values(values, seen.key)
    return Description(
        seen.size,
        kind,
        dtype="record" if columns else str(dtype),
        shape=shape,
        columns=columns,
        rows=shape[0] if shape else None,
        order=order,
        duration=duration,
        range=found,
        note=(*notes, *remarks),
    )


def _type_text(dtype: np.dtype[Any]) -> str:
    text = str(dtype)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _values(values: NDArray[Any] | None, key: str) -> tuple[Range | None, float | None, list[str]]:
    """Return range, latest time and remarks of an array that was read as a whole."""
    import numpy as np

    if values is None or values.dtype.kind not in "iuf":
        return None, None, []
    notes = []
    missing = int(np.isnan(values).sum())
    if missing:
        notes.append(f"{missing} of {values.size} values are NaN")
    times, in_time = _times(values, key)
    if times is not None:
        values = times
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None, None, notes
    if times is not None and times.dtype.kind in "iu":
        notes.append("whole numbers: samples or milliseconds perhaps, not seconds")
    latest = _number(finite.max()) if times is not None and times.dtype.kind == "f" else None
    if not in_time:
        return Range(MIN_MAX, _number(finite.min()), _number(finite.max())), latest, notes
    if bool((finite[1:] < finite[:-1]).any()):
        notes.append("not in ascending order")
    return Range(FIRST_LAST, _number(finite[0]), _number(finite[-1])), latest, notes


_TIMES = re.compile(r"(?:.+_)?(times|intervals|timestamps)(?:_.+)?")


def _times(values: NDArray[Any], key: str) -> tuple[NDArray[Any] | None, bool]:
    """Return those of the values that are times by the name of the file, and whether one follows the other."""
    which = next((match[1] for field in key.split(".") if (match := _TIMES.fullmatch(field))), "")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if which in {"times", "timestamps"} and values.ndim == 1:
        return values, True
    if which and values.ndim == 2 and values.shape[1] == 2:
        # Timestamps of two columns are numbers of samples and their times.
        return (values[:, 1], True) if which == "timestamps" else (values, False)
    return None, False


def _number(value: Any) -> int | float:
    """Return a NumPy number as Python's; long doubles have no other way."""
    return int(value) if value.dtype.kind in "iu" else float(value)


def _npz(seen: _Seen) -> Description:
    kind = "sparse array" if seen.path.suffix.lower() == ".sparse_npz" else "archive of arrays"
    tail = _read(seen.file, seen.path, max(0, seen.size - LAST), min(seen.size, LAST))
    try:
        with zipfile.ZipFile(io.BytesIO(tail)) as archive:  # offsets are counted from the end of what it is given
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except (zipfile.BadZipFile, ValueError, LookupError, OSError, NotImplementedError) as error:
        if b"PK\5\6" in tail:  # there is a list, longer than what was read
            return Description(seen.size, kind)
        refuse_foreign(seen.path, tail if seen.size <= LAST else _read(seen.file, seen.path, 0, HEAD), "an archive")
        raise damaged(seen.path, "it is an archive without its end") from error
    some = ", ".join(map(shown, names[:SHOWN])) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return Description(seen.size, kind, note=(f"holds {some or 'nothing'}",))


# Recordings


def _flat(seen: _Seen) -> Description:
    import numpy as np

    from onelight.loading.flat import layout

    refuse_no_recording(seen.path, seen.head[:HEAD])
    if "dtype" not in seen.metadata:
        note = "type and shape are not known: no .metadata.json says them"
        return Description(seen.size, "flat binary", note=(note,))
    dtype, shape, order = layout(seen.metadata, seen.size, seen.path)
    values = np.frombuffer(seen.head, dtype).reshape(shape, order=order) if seen.whole else None
    found = _array("flat binary", dtype, shape, order, values, seen)
    columns = found.columns or _columns_said(seen.metadata, str(dtype), shape)
    return _at_rate(dataclasses.replace(found, columns=columns), seen.metadata.get("sample_rate"))


def _columns_said(metadata: Mapping[str, Any], dtype: str, shape: tuple[int, ...]) -> tuple[Column, ...] | None:
    """Return the columns that metadata name: each a text, or an object with ``name`` and ``unit``."""
    columns = metadata.get("columns")
    if not isinstance(columns, list) or len(shape) != 2 or len(columns) != shape[1]:
        return None
    said = [column if isinstance(column, dict) else {"name": column} for column in columns]
    names = [_said(column, "name") for column in said]
    if not all(names):
        return None
    return tuple(
        Column(name, dtype, _said(column, "unit", "units") or None) for name, column in zip(names, said, strict=True)
    )


def _at_rate(found: Description, rate: Any) -> Description:
    """Add the duration of a recording, if its rate is one."""
    from onelight.loading.cbin import MAX_RATE

    number = isinstance(rate, (int, float)) and not isinstance(rate, bool) and 0 < rate < MAX_RATE
    if not number or found.rows is None:
        return found
    note = (*found.note, f"{rate:g} samples per second")
    return dataclasses.replace(found, duration=found.rows / rate, note=note)


def _cbin(seen: _Seen) -> Description:
    from onelight.loading.cbin import layout_of

    refuse_no_recording(seen.path, seen.head[:HEAD])
    kind = "compressed recording"
    if seen.companion is None:
        return Description(seen.size, kind, note=("type and shape are not known: its .ch is not at hand",))
    layout = layout_of(seen.companion, seen.size, seen.path)
    found = Description(seen.size, kind, str(layout.dtype), layout.shape, rows=layout.shape[0])
    return _at_rate(found, layout.sample_rate)


def _meta(seen: _Seen) -> Description:
    """Describe the settings of a SpikeGLX recording: ``key=value`` in each line."""
    text = _text(seen, "text")
    lines = text.splitlines()
    if not seen.whole:
        del lines[-1:]  # cut off
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    seconds = _positive(values.get("fileTimeSecs"))
    kind = "SpikeGLX metadata" if "fileTimeSecs" in values or "nSavedChans" in values else "text"
    channels = values.get("nSavedChans", "")
    rate = _positive(values.get("imSampRate")) or _positive(values.get("niSampRate"))
    note = []
    if channels.isdecimal():
        note.append(f"of a recording of {shown(channels)} channels")
    if rate:
        note.append(f"of a recording of {rate:g} samples per second")
    rows = len(lines) if seen.whole else None
    return Description(seen.size, kind, rows=rows, duration=seconds, note=tuple(note))


def _positive(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _video(seen: _Seen) -> Description:
    refuse_foreign(seen.path, seen.head[:HEAD], "a video")
    found = Description(seen.size, "video")
    # A file on a server has a name that may also be one here: only a file of this very size is opened.
    if not (seen.path.is_file() and seen.path.stat().st_size == seen.size):
        return found
    from onelight.loading.foreign import frames_of

    video = frames_of(seen.path)
    if video is None:
        return found
    return dataclasses.replace(
        found,
        shape=(video.frames, video.height, video.width),
        rows=video.frames,
        duration=video.seconds or None,
        note=(f"{video.rate:g} frames per second",) if video.rate else (),
    )


# Tables


def _parquet(seen: _Seen) -> Description:
    import pyarrow as pa
    import pyarrow.parquet as pq

    footer = _footer(seen)
    try:
        # To pyarrow a footer between two marks is a file, of which it reads nothing else.
        metadata = pq.read_metadata(io.BytesIO(b"PAR1" + footer))
        schema = metadata.schema.to_arrow_schema()
        index = _index_names(schema.pandas_metadata)
        ranges = _statistics(metadata)
        fields = [(field.name, str(field.type)) for field in schema]
        rows = int(metadata.num_rows)
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        if isinstance(error, OneError):
            raise
        raise damaged(seen.path, f"pyarrow cannot read its footer: {_first_line(error)}") from error
    if rows < 0:
        raise damaged(seen.path, f"its footer states {rows} rows")
    columns = tuple(
        Column(name, _ARROW_TYPES.get(dtype, dtype), range=ranges.get(name))
        for name, dtype in fields
        if name not in index
    )
    note = tuple(f"the index is {shown(name)}" for name, _ in fields if name in index)
    return Description(seen.size, "table", shape=(rows, len(columns)), columns=columns, rows=rows, note=note)


_ARROW_TYPES = MappingProxyType(
    {
        "double": "float64",
        "float": "float32",
        "halffloat": "float16",
        "large_string": "text",
        "string": "text",
        "string_view": "text",
    }
)


def _footer(seen: _Seen) -> bytes:
    """Return the footer of a parquet table and what follows it, read from the end of the file."""
    path, size = seen.path, seen.size
    tail = _read(seen.file, path, max(0, size - LAST), min(size, LAST))
    head = tail[:HEAD] if size <= LAST else b"PAR1"  # the beginning costs a further read: only if the end is wrong
    if not tail.endswith(b"PAR1") or not head.startswith(b"PAR1"):
        head = tail[:HEAD] if size <= LAST else _read(seen.file, path, 0, HEAD)
        if head.startswith(b"PAR1"):
            raise damaged(path, "it is a parquet table without its end")
        refuse_foreign(path, head, "a table")
        raise UnsafeData(f"{path} is not a parquet table: it begins with {head[:8]!r}", hint=AGAIN)
    length = int.from_bytes(tail[-8:-4], "little")
    if size < 12 or length > size - 12:
        raise damaged(path, f"its footer states to be {length} bytes long, and the file is {size}")
    if length > MAX_FOOTER:
        raise UnsafeData(f"{path} has a footer of {length} bytes, where {MAX_FOOTER} are the limit", hint=AGAIN)
    missing = length + 8 - len(tail)
    if missing > 0:
        tail = _read(seen.file, path, size - length - 8, missing) + tail
    return tail[-length - 8 :]


def _index_names(metadata: Any) -> set[str]:
    """Return the columns that pandas makes the names of the rows; whatever is written there, it may be wrong."""
    names = metadata.get("index_columns", []) if isinstance(metadata, dict) else []
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def _statistics(metadata: Any) -> dict[str, Range]:
    """Return minimum and maximum of the columns of which every row group states them."""
    groups, count = metadata.num_row_groups, metadata.num_columns
    if not groups or groups * count > MAX_STATISTICS:
        return {}
    paths = [metadata.schema.column(number).path for number in range(count)]
    found: dict[str, Range] = {}
    for number, name in enumerate(paths):
        if paths.count(name) > 1:  # a column "a.b", and a field b of a column "a"
            continue
        stated = [metadata.row_group(group).column(number).statistics for group in range(groups)]
        stated = [one for one in stated if one is None or one.num_values or not one.null_count]
        if not stated or not all(one is not None and one.has_min_max for one in stated):
            continue
        values = [value for one in stated for value in (one.min, one.max)]
        # Of a text only a beginning may be stated; and a NaN is no value to compare with.
        comparable = all(isinstance(value, (int, float, dt.date)) and value == value for value in values)  # noqa: PLR0124
        if comparable and not isinstance(values[0], bool):
            found[name] = Range(MIN_MAX, _positive_zero(min(values)), _positive_zero(max(values)))
    return found


def _positive_zero(value: Any) -> Any:
    """Return a value; parquet writes a minimum of 0.0 as -0.0, so that it is right for both."""
    return value + 0.0 if isinstance(value, float) else value


def _text_table(seen: _Seen) -> Description:
    from onelight.loading.tables import text_table

    refuse_foreign(seen.path, seen.head[:HEAD], "a table")
    kind = kind_of(seen.path)
    lines = seen.head if seen.whole else _whole_rows(seen.head)
    if not lines:
        return Description(seen.size, "table", note=(f"its first row is longer than {FIRST // 1024} KiB",))
    table = text_table(seen.path, lambda: io.BytesIO(lines), _SEPARATORS[kind], seen.metadata, header=kind == ".htsv")
    names = [str(name) for name in table.columns]
    notes = []
    first = lines.lstrip(b"\r\n").split(b"\n", 1)[0].decode("utf-8-sig")
    if names[0] == "column_0" and "column_0" not in first:  # what the reader calls columns without names
        notes.append("header row missing")
    if not seen.whole:
        notes += [*_estimate(seen, len(table), len(lines)), f"types of columns as in the first {len(table):,} rows"]
    rows = len(table) if seen.whole else None
    return Description(
        seen.size,
        "table",
        shape=(len(table), len(names)) if seen.whole else None,
        columns=tuple(_text_column(name, table[name], seen.whole) for name in names),
        rows=rows,
        note=tuple(notes),
    )


_SEPARATORS = MappingProxyType({".csv": ",", ".htsv": "\t", ".ssv": " ", ".tsv": "\t"})


def _whole_rows(head: bytes) -> bytes:
    """Return what is before the last end of a row: within quotes, of which a whole row has an even number, is none."""
    end = len(head)
    while end:
        end = head.rfind(b"\n", 0, end - 1) + 1
        if head.count(b'"', 0, end) % 2 == 0:
            break
    return head[:end]


def _text_column(name: str, values: pd.Series[Any], whole: bool) -> Column:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values.dtype) or values.dtype.kind == "b":
        return Column(name, "bool" if values.dtype.kind == "b" else "text")
    known = values.dropna()
    span = Range(MIN_MAX, known.min().item(), known.max().item()) if whole and len(known) else None
    return Column(name, str(values.dtype), range=span)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# JSON and text


def _json(seen: _Seen) -> Description:
    text = _text(seen, "JSON")
    if not seen.whole:
        if not re.match(r"\s*(?:[\[{\"]|-?[0-9]|$)", text):
            raise damaged(seen.path, f"it is no JSON: it begins with {text[:8]!r}")
        return Description(seen.size, "JSON")
    value = _parsed(text, seen.path, 1)
    if isinstance(value, dict):
        return Description(seen.size, "JSON", columns=_names_of([value]))
    if isinstance(value, list):
        return Description(seen.size, "JSON", rows=len(value), columns=_names_of(value))
    return Description(seen.size, "JSON", note=(f"one value: {_json_type(value)}",))


def _json_lines(seen: _Seen) -> Description:
    lines = _text(seen, "JSON").split("\n")
    if not seen.whole:
        del lines[-1:]  # cut off
    values = [_parsed(line, seen.path, number) for number, line in enumerate(lines, 1) if line.strip()]
    rows = len(values) if seen.whole else None
    note = () if seen.whole else _estimate(seen, len(values), sum(len(line.encode()) + 1 for line in lines))
    return Description(seen.size, "JSON lines", rows=rows, columns=_names_of(values), note=note)


def _estimate(seen: _Seen, rows: int, length: int) -> tuple[str, ...]:
    """Return how many rows the file has if all are as long as the first ones; of a compressed one nobody can say."""
    if not rows or seen.path.suffix.lower() == ".gz":
        return ()
    about = f"{seen.size / length * rows:.2g}"
    return (f"about {float(about):,.0f} rows, if all are as long as the first {rows:,}",)


def _parsed(text: str, path: Path, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {line + error.lineno - 1}, column {error.colno}"
        raise damaged(path, f"it is no JSON at {where}: {error.msg}") from error
    except RecursionError as error:
        raise UnsafeData(f"{path} is JSON that is nested too deeply", hint=AGAIN) from error


def _names_of(values: list[Any]) -> tuple[Column, ...] | None:
    """Return the names of JSON objects with the types of their first values; None if there is anything else."""
    if not values or not all(isinstance(value, dict) for value in values):
        return None
    types: dict[str, str] = {}
    for value in values:
        for name, item in value.items():
            types.setdefault(name, _json_type(item))
    return tuple(Column(name, kind) for name, kind in types.items())


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, list):
        return f"list of {len(value)}"
    return "text" if isinstance(value, str) else "null" if value is None else "object"


def _plain_text(seen: _Seen) -> Description:
    text = _text(seen, "text", (EMPTY, HTML, XML))
    return Description(seen.size, "text", rows=len(text.splitlines()) if seen.whole else None)


def _yaml(seen: _Seen) -> Description:
    text = _text(seen, "YAML")
    return Description(seen.size, "YAML", rows=len(text.splitlines()) if seen.whole else None)


def _xml(seen: _Seen) -> Description:
    refuse_foreign(seen.path, seen.head[:HEAD], "XML", (XML, UTF_16))  # XML may name an encoding
    return Description(seen.size, "XML")


_CUT = re.compile(rb"[\xc0-\xff][\x80-\xbf]{0,3}\Z")  # the last character, if it has several bytes


def _text(seen: _Seen, wanted: str, but: tuple[str, ...] = ()) -> str:
    """Return the text that was read, having looked at it as the readers of text do."""
    refuse_foreign(seen.path, seen.head[:HEAD], wanted, but)
    data = seen.head if seen.whole else _CUT.sub(b"", seen.head)
    return b"".join(pieces(seen.path, io.BytesIO(data))).decode()


# Forms of which only the kind is told


_HDF5 = b"\x89HDF\r\n\x1a\n"


def _hdf5(seen: _Seen) -> Description:
    # What comes before the mark is the user's, and may be longer than what was read.
    if any(seen.head.startswith(_HDF5, at) for at in (0, 512, 1024, 2048, 4096, 8192)):
        return Description(seen.size, "NWB (HDF5)" if kind_of(seen.path) == ".nwb" else "HDF5")
    refuse_foreign(seen.path, seen.head[:HEAD], "an HDF5 file")
    if seen.whole:
        raise UnsafeData(f"{seen.path} is not an HDF5 file: it begins with {seen.head[:8]!r}", hint=AGAIN)
    return Description(seen.size, "file", note=(f"no mark of HDF5 in its first {FIRST // 1024} KiB",))


def _mat(seen: _Seen) -> Description:
    if seen.head.startswith((b"MATLAB 7.3", _HDF5)) or seen.head.startswith(_HDF5, 512):
        return Description(seen.size, "MATLAB file", note=("version 7.3, which is HDF5",))
    refuse_foreign(seen.path, seen.head[:HEAD], "a MATLAB file", ("a MATLAB file",))
    return Description(seen.size, "MATLAB file")


def _tiff(seen: _Seen) -> Description:
    refuse_foreign(seen.path, seen.head[:HEAD], "an image")
    if not seen.head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        raise UnsafeData(f"{seen.path} is not a TIFF image: it begins with {seen.head[:8]!r}", hint=AGAIN)
    return Description(seen.size, "image")


def _index_of_recording(seen: _Seen) -> Description:
    _json(seen)
    return Description(seen.size, "index of a compressed recording")


_FORMS: Mapping[str, Callable[[_Seen], Description]] = MappingProxyType(
    {
        ".bin": _flat,
        ".cbin": _cbin,
        ".ch": _index_of_recording,
        ".csv": _text_table,
        ".dat": _flat,
        ".h5": _hdf5,
        ".hdf5": _hdf5,
        ".htsv": _text_table,
        ".json": _json,
        ".jsonable": _json_lines,
        ".log": _plain_text,
        ".mat": _mat,
        ".meta": _meta,
        ".npy": _npy,
        ".npz": _npz,
        ".nwb": _hdf5,
        ".parquet": _parquet,
        ".pqt": _parquet,
        ".sparse_npz": _npz,
        ".ssv": _text_table,
        ".tif": _tiff,
        ".tiff": _tiff,
        ".tsv": _text_table,
        ".txt": _plain_text,
        ".xml": _xml,
        ".yaml": _yaml,
        ".yml": _yaml,
        **dict.fromkeys((".avi", ".mj2", ".mkv", ".mov", ".mp4"), _video),
    }
)
_FROM_THE_END = frozenset({".npz", ".parquet", ".pqt", ".sparse_npz"})
# Forms that ONE light hands over as they are: a word for them is all there is.
_WORDS = MappingProxyType(
    {
        ".flac": "sound",
        ".gz": "gzip archive",
        ".jpeg": "image",
        ".jpg": "image",
        ".pdf": "document",
        ".png": "image",
        ".tar": "archive",
        ".wav": "sound",
        ".zip": "archive",
    }
)
