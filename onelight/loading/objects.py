"""Files of one object become one Bunch: which of them belong together, and whether they agree.

A dataset is a value under its key, ``attribute[_timescale][.extra]``. What is split into numbered pieces is joined, a
table is spread into its columns, the file that only explains another (``.metadata.json``, ``.ch``) goes to the reader
of that one, and all attributes must have one number of rows. ``docs/loading.md`` tells it with examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from onelight.alf import Dataset
from onelight.errors import AlfError, AmbiguousQuery, RowsDiffer
from onelight.loading.bunch import Bunch
from onelight.loading.lazy import LazyArray
from onelight.loading.registry import load_file
from onelight.notes import log

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

Check = Literal["raise", "warn", "ignore"]

#: Extensions of files that only explain the one of the same name beside them.
_EXPLAINING = ("ch", "meta")


@dataclass(frozen=True, slots=True)
class Part:
    """A file of an object, and where it is.

    Parameters
    ----------
    dataset : Dataset
        What it is.
    path : pathlib.Path
        Where it is on this computer.
    """

    dataset: Dataset
    path: Path


def companions(dataset: Dataset, others: Iterable[Dataset]) -> list[Dataset]:
    """Return the datasets that are needed to read one: its ``.metadata.json``, and the ``.ch`` of a ``.cbin``.

    Of each comes one revision: the newest that is not after that of the dataset, for a later one may speak of other
    bytes, and only where there is none the first after it. What is said of this file alone comes before what is said
    of several.

    Parameters
    ----------
    dataset : Dataset
        What is to be read.
    others : iterable of Dataset
        What its session has.

    Examples
    --------
    >>> files = ["ephys.raw.bin", "ephys.raw.metadata.json", "ephys.other.metadata.json"]
    >>> [str(found) for found in companions(Dataset.parse(files[0]), map(Dataset.parse, files))]
    ['ephys.raw.metadata.json']
    """
    if is_metadata(dataset) or dataset.extension in _EXPLAINING:
        return []  # what explains needs no explanation
    own = (dataset.collection, dataset.namespace, dataset.type)
    same = [other for other in others if other != dataset and (other.collection, other.namespace, other.type) == own]
    found = [other for other in same if is_metadata(other) and _explains(other, dataset)]
    if dataset.extension.lower() == "cbin":
        found += [other for other in same if other.extension.lower() == "ch" and other.extras == dataset.extras]
    chosen: dict[str, Dataset] = {}
    for other in sorted(found, key=lambda other: other.revision):
        if other.revision <= dataset.revision or other.stem not in chosen:
            chosen[other.stem] = other
    return sorted(chosen.values(), key=lambda other: -len(other.extras))


def without_explaining(datasets: Sequence[Dataset], *, keep_metadata: bool = False) -> list[Dataset]:
    """Leave out what only explains another one of these: ``.ch``, ``.meta``, ``.metadata.json``.

    Parameters
    ----------
    datasets : sequence of Dataset
        Files of one session.
    keep_metadata : bool
        Keep the ``.metadata.json``, which say something of their own.

    Examples
    --------
    >>> files = ["ephys.raw.cbin", "ephys.raw.ch", "ephys.other.meta"]
    >>> [str(left) for left in without_explaining([Dataset.parse(file) for file in files])]
    ['ephys.raw.cbin', 'ephys.other.meta']
    """

    def is_needed(one: Dataset) -> bool:
        if not (one.extension in _EXPLAINING or (is_metadata(one) and not keep_metadata)):
            return True
        own = (one.collection, one.namespace, one.type)
        same = [other for other in datasets if (other.collection, other.namespace, other.type) == own]
        if one.extension in _EXPLAINING:
            return not any(one.extras == other.extras and other.extension not in _EXPLAINING for other in same)
        return not any(not is_metadata(other) and _explains(one, other) for other in same)

    return [one for one in datasets if is_needed(one)]


def is_metadata(dataset: Dataset) -> bool:
    """Tell whether a dataset is the ``.metadata.json`` of another one."""
    return dataset.extension.lower() == "json" and "metadata" in dataset.extras


def load_parts(
    parts: Sequence[Part],
    beside: Sequence[Part] = (),
    *,
    attributes: Sequence[str] | None = None,
    squeeze: bool = True,
    check: Check = "raise",
    **options: Any,
) -> Bunch:
    """Load the files of one object, of one collection and each in one revision.

    Parameters
    ----------
    parts : sequence of Part
        The files.
    beside : sequence of Part
        Further files that may explain these.
    attributes : sequence of str, optional
        Only these keys, of files and of the columns of tables.
    squeeze : bool
        Make vectors of the columns ``(N, 1)`` that MATLAB writes.
    check : {"raise", "warn", "ignore"}
        What to do if attributes differ in their number of rows.
    **options
        For the readers, as for :func:`onelight.loading.load_file`.

    Raises
    ------
    AmbiguousQuery
        If two files are the same attribute.
    RowsDiffer
        If attributes differ in their number of rows.
    UnsafeData
        If a file is refused.
    """
    if check not in ("raise", "warn", "ignore"):
        raise AlfError(f"check={check!r} is unknown", hint="It is 'raise', 'warn' or 'ignore'")
    bunch = Bunch()
    tables: list[tuple[Dataset, Any]] = []
    for key, pieces in by_key(parts, attributes).items():
        values = [load_part(piece, [*parts, *beside], squeeze=squeeze, **options) for piece in pieces]
        if len(values) > 1 and any(isinstance(value, LazyArray) for value in values):
            # To join recordings is to decode them, and one alone may be larger than the memory.
            bunch |= {piece.dataset.key: value for piece, value in zip(pieces, values, strict=True)}
            continue
        value = values[0] if len(values) == 1 else _joined(values, key, [piece.dataset for piece in pieces])
        if pieces[0].dataset.field == "table" and hasattr(value, "columns"):
            tables.append((pieces[0].dataset, value))
        else:
            bunch[key] = value
    for dataset, table in tables:
        _spread(table, bunch, dataset, attributes)
    if check != "ignore":
        check_rows(bunch, parts[0].dataset.object if parts else "", warn=check == "warn")
    return bunch


def load_part(part: Part, beside: Iterable[Part] = (), *, squeeze: bool = True, **options: Any) -> Any:
    """Load one file, with what explains it.

    Parameters
    ----------
    part : Part
        The file.
    beside : iterable of Part
        Where what explains it may be.
    squeeze : bool
        Make a vector of a column ``(N, 1)``.
    """
    from onelight.loading.texts import read_json

    near = {other.dataset: other.path for other in beside}
    for other in companions(part.dataset, near):
        if is_metadata(other):
            said = read_json(near[other])  # whatever is registered for a lab's own .json
            options.setdefault("metadata", said if isinstance(said, dict) else None)
        else:
            options.setdefault("companion", near[other])
    options.setdefault("metadata", {})  # or the reader would look around for itself
    value = load_file(part.path, **options)
    return squeezed(value) if squeeze else value


def squeezed(value: Any) -> Any:
    """Return a column ``(N, 1)`` as a vector ``(N,)``, and anything else as it is.

    Only this one form: MATLAB has no vectors and writes columns. A row ``(1, N)`` or a stack ``(N, 1, M)`` is meant.

    Examples
    --------
    >>> import numpy
    >>> squeezed(numpy.zeros((3, 1))).shape, squeezed(numpy.zeros((1, 3))).shape
    ((3,), (1, 3))
    """
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and len(shape) == 2 and shape[1] == 1 and hasattr(value, "reshape"):
        return value.reshape(shape[0])
    return value


def check_rows(bunch: dict[str, Any], name: str = "", *, warn: bool = False) -> None:
    """Check that the attributes of an object have one number of rows.

    Timestamps are exempt, for they may be a few sync points; so are single rows, which count for all, recordings that
    are read in slices, and what has no rows, such as a path or a text.

    Parameters
    ----------
    bunch : dict
        The object.
    name : str
        Its name, for the message.
    warn : bool
        Log a warning instead of raising.

    Raises
    ------
    RowsDiffer
        If they differ; the message has the numbers.
    """
    found = {key: rows_of(key, value) for key, value in dict.items(bunch)}  # a Bunch may have a dataset called items
    lengths = {key: rows for key, rows in found.items() if rows is not None and rows != 1}
    if len(set(lengths.values())) < 2:
        return
    error = _differ(lengths, name or "this object")
    if not warn:
        raise error
    log.warning("%s", error.message.rstrip("\n"))


def _differ(lengths: dict[str, int], name: str) -> RowsDiffer:
    """Return the error for attributes of unlike length, with a table of them."""
    by_rows: dict[int, list[str]] = {}
    for key, rows in lengths.items():
        by_rows.setdefault(rows, []).append(key)
    width = max(len(f"{rows:,}") for rows in by_rows)
    lines = [f"  {rows:>{width},} rows  {', '.join(keys)}\n" for rows, keys in sorted(by_rows.items())]
    return RowsDiffer(
        f"the attributes of {name} differ in their number of rows:\n{''.join(lines)}",
        hint="Tell the owner; check='warn' loads them as they are, attribute=[…] only some of them",
    )


def rows_of(key: str, value: Any) -> int | None:
    """Return the rows that a value must share with the others of its object; None if it need not."""
    shape = getattr(value, "shape", None)
    if is_timestamps(key) or not isinstance(shape, tuple) or not shape or isinstance(value, LazyArray):
        return None
    return int(shape[0])


def is_timestamps(key: str) -> bool:
    """Tell whether a key is that of timestamps, which have rows of their own.

    Examples
    --------
    >>> is_timestamps("timestamps"), is_timestamps("timestamps_bpod"), is_timestamps("lf.timestamps")
    (True, True, True)
    """
    return any(part == "timestamps" or part.startswith("timestamps_") for part in key.split(".")) or key.endswith(
        "_timestamps"
    )


def to_dataframe(bunch: dict[str, Any]) -> pd.DataFrame:
    """Return an object as one table, a row for each of its rows.

    A pair of columns such as ``intervals`` becomes ``intervals_0`` and ``intervals_1``, as table files have them.

    Parameters
    ----------
    bunch : dict
        An object, as :meth:`onelight.One.load_object` gives it: vectors of one length.

    Raises
    ------
    AlfError
        If a value has more dimensions, or none; the message names it.
    RowsDiffer
        If the values differ in their number of rows.

    Examples
    --------
    >>> import numpy
    >>> to_dataframe({"choice": numpy.array([1, -1]), "intervals": numpy.zeros((2, 2))}).columns.tolist()
    ['choice', 'intervals_0', 'intervals_1']
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    unfit: list[str] = []
    for key, value in dict.items(bunch):
        shape = getattr(value, "shape", None)
        if key.endswith(".metadata") and isinstance(value, dict):
            continue  # it explains, and is no column
        if hasattr(value, "columns"):
            columns |= {f"{key}.{column}": value[column].to_numpy() for column in value.columns}
        elif isinstance(shape, tuple) and len(shape) == 1:
            columns[key] = value
        elif isinstance(shape, tuple) and len(shape) == 2 and shape[1] == 2 and not is_timestamps(key):
            columns |= {f"{key}_{side}": value[:, side] for side in (0, 1)}
        else:
            unfit.append(f"{key} {shape}" if isinstance(shape, tuple) else f"{key} ({type(value).__name__})")
    if unfit:
        raise AlfError(
            f"not one-dimensional: {', '.join(unfit)}", hint="Load without them, with attribute=[…], or delete them"
        )
    lengths = {len(value) for value in columns.values()}
    if len(lengths - {1}) > 1:
        raise _differ({key: len(value) for key, value in columns.items() if len(value) != 1}, "this object")
    rows = max(lengths - {1}, default=1)
    return pd.DataFrame({key: _column(value, rows) for key, value in columns.items()})


def _column(value: Any, rows: int) -> Any:
    """Return a value as pandas takes it: a single row counts for all, and bytes are in this computer's order."""
    import numpy as np

    array = np.asarray(value)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("="))
    return np.repeat(array, rows) if len(array) == 1 != rows else array


def by_key(parts: Sequence[Part], attributes: Sequence[str] | None = None) -> dict[str, list[Part]]:
    """Group files of one object by the key of what they are: one each, or the numbered pieces of one, in order.

    Parameters
    ----------
    parts : sequence of Part
        The files; none is opened.
    attributes : sequence of str, optional
        Only these keys, and tables, which may have them as columns.

    Raises
    ------
    AmbiguousQuery
        If two files are the same attribute.
    """
    groups: dict[str, list[Part]] = {}
    itself = set(without_explaining([part.dataset for part in parts], keep_metadata=True))
    for part in parts:
        key = _without_number(part.dataset)
        if part.dataset in itself and (attributes is None or _is_wanted(key, part.dataset, attributes)):
            groups.setdefault(key, []).append(part)
    for key, files in groups.items():
        if len(files) > 1:
            _check_pieces(key, [file.dataset for file in files])
            files.sort(key=lambda file: (_number(file.dataset), file.dataset.extras))
    return dict(sorted(groups.items()))


def _without_number(dataset: Dataset) -> str:
    return ".".join((dataset.field, *(part for part in dataset.extras if not part.isdecimal())))


def _number(dataset: Dataset) -> int:
    return next((int(part) for part in dataset.extras if part.isdecimal()), 0)


def _check_pieces(key: str, files: Sequence[Dataset]) -> None:
    """Refuse two files that are the same attribute: only numbered pieces of one kind belong together."""
    for keyword in ("namespace", "extension"):
        values = sorted({getattr(file, keyword) for file in files})
        if len(values) > 1:
            raise AmbiguousQuery(
                f"the attribute {key} is there {len(files)} times: {', '.join(file.name for file in files)}",
                hint=f"Choose one: {keyword}={values[0]!r}",
                keyword=keyword,
                values=values,
            )
    numbers = [[part for part in file.extras if part.isdecimal()] for file in files]
    if any(len(number) != 1 for number in numbers) or len({int(number[0]) for number in numbers}) < len(files):
        raise AmbiguousQuery(
            f"the attribute {key} is there {len(files)} times: {', '.join(file.name for file in files)}",
            hint="Ask for one of them by its file name with load_dataset",
        )


def _joined(values: Sequence[Any], key: str, files: Sequence[Dataset]) -> Any:
    """Join pieces of one array or table, in order."""
    for before, after in pairwise(map(_number, files)):
        if after - before > 1:  # said by its ends: a number may be any, such as a date
            absent = str(before + 1) if after - before == 2 else f"{before + 1} to {after - 1}"
            log.warning("of the pieces of %s, number %s is not there", key, absent)
    if all(isinstance(value, list) for value in values):
        return [row for value in values for row in value]
    if all(hasattr(value, "columns") for value in values):
        import pandas as pd

        if len({tuple(map(str, value.columns)) for value in values}) == 1:
            return pd.concat(values, ignore_index=True)
    elif all(isinstance(getattr(value, "shape", None), tuple) for value in values):
        import numpy as np

        types = {"text" if value.dtype.kind in "SU" else str(value.dtype) for value in values}
        if len({value.shape[1:] for value in values}) == len(types) == 1 and all(value.shape for value in values):
            return np.concatenate(values)
    raise RowsDiffer(
        f"the pieces of {key} do not fit together: {', '.join(file.name for file in files)}",
        hint="Load them one by one, by file name, with load_dataset",
    )


def names_of(dataset: Dataset) -> set[str]:
    """Return what an attribute may be called that is asked for: ``intervals`` is not ``intervals_bpod``."""
    return {dataset.key, dataset.field, dataset.type}


def _is_wanted(key: str, dataset: Dataset, attributes: Sequence[str]) -> bool:
    return dataset.field == "table" or not (names_of(dataset) | {key}).isdisjoint(attributes)


def _spread(table: pd.DataFrame, bunch: Bunch, dataset: Dataset, attributes: Sequence[str] | None) -> None:
    """Put the columns of a table beside the other attributes; ``x_0`` and ``x_1`` become one ``x`` of two columns."""
    import numpy as np

    if named := [name for name in table.index.names if name is not None and name not in table.columns]:
        table = table.reset_index(level=named)
    names = [str(column) for column in table.columns]
    columns = dict(zip(names, (table[column].to_numpy() for column in table.columns), strict=True))
    for name in names:
        base = name[:-2]
        sides = (f"{base}_0", f"{base}_1")
        are_two = name == sides[0] and sides[1] in columns and f"{base}_2" not in columns and base not in columns
        # Numbers of two types would be changed by being put into one array.
        if are_two and columns[sides[0]].dtype == columns[sides[1]].dtype:
            columns[base] = np.column_stack([columns.pop(side) for side in sides])
    for name, values in columns.items():
        if attributes is not None and name not in attributes and "table" not in attributes:
            continue
        if dict.__contains__(bunch, name) and not _same(bunch[name], values):
            raise AmbiguousQuery(
                f"the attribute {name} is there twice, in {dataset.name} and in a file of its own, and they differ",
                hint=f"Choose one: extension={dataset.extension!r} takes that of the table",
                keyword="extension",
                values=(dataset.extension,),
            )
        dict.setdefault(bunch, name, values)


def _same(one: Any, other: Any) -> bool:
    import numpy as np

    one = squeezed(one)  # a column of a table has one dimension always
    if getattr(one, "shape", None) != other.shape:
        return False
    try:
        return bool(np.array_equal(one, other, equal_nan=True))
    except TypeError:  # texts have no NaN
        return bool(np.array_equal(one, other))


def _explains(metadata: Dataset, dataset: Dataset) -> bool:
    before = metadata.extras[: metadata.extras.index("metadata")]
    return dataset.extras[: len(before)] == before
