"""When each row of an object was: its times, or its timestamps spread over its rows.

Convention: ``timestamps`` are one time per row, or sync points, pairs of a sample number and its time in seconds,
between which time runs evenly. Also here: numbers that count from one where the convention counts from zero, as the
best known public repository has them in some files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onelight.errors import AlfError, DatasetNotFound, RowsDiffer, UnsafeData
from onelight.loading.objects import is_timestamps, rows_of, squeezed
from onelight.notes import log

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_OWNER = "Tell the owner of the data"


def times(bunch: dict[str, Any], *, rows: int | None = None) -> NDArray[np.float64]:
    """Return the time of each row of an object, in seconds of its clock.

    Parameters
    ----------
    bunch : dict
        An object as :meth:`onelight.One.load_object` gives it, with ``times`` or ``timestamps``. Timestamps are one
        time per row, ``(n,)`` or ``(n, 1)``, or sync points, ``(m, 2)``: sample number and seconds. Time runs evenly
        between two points, and before the first and behind the last as it does beside them.
    rows : int, optional
        Number of rows, where the object has no other attribute that says it.

    Returns
    -------
    numpy.ndarray
        float64, ``(rows,)``.

    Raises
    ------
    DatasetNotFound
        If the object has neither times nor timestamps, or several timestamps.
    RowsDiffer
        If there is one time per row, but not as many as rows; or nobody says how many rows there are.
    UnsafeData
        If sync points do not ascend, or there is one only.

    Examples
    --------
    >>> import numpy
    >>> wheel = {"position": numpy.zeros(5), "timestamps": numpy.array([[0, 10.0], [4, 12.0]])}
    >>> times(wheel).tolist()
    [10.0, 10.5, 11.0, 11.5, 12.0]
    """
    import numpy as np

    if not isinstance(bunch, dict):
        raise AlfError("times takes an object", hint="Give it what load_object returns")
    if rows is None:
        rows = _rows(bunch)
    if dict.__contains__(bunch, "times"):  # a Bunch may have a dataset called keys
        found = squeezed(np.asarray(bunch["times"]))
        if found.ndim != 1 or (rows is not None and len(found) != rows):
            raise RowsDiffer(f"times has the shape {found.shape}, and there are {rows} rows", hint=_OWNER)
        return np.asarray(found, dtype=np.float64)
    keys = [key for key, value in dict.items(bunch) if is_timestamps(key) and hasattr(value, "shape")]
    key = "timestamps" if "timestamps" in keys else keys[0] if len(keys) == 1 else None
    if key is None:
        there = ", ".join(keys or sorted(dict.keys(bunch))) or "nothing"
        raise DatasetNotFound(
            f"the object has no single timestamps; there is: {there}", hint="Load it with times or timestamps"
        )
    stamps = squeezed(np.asarray(bunch[key]))
    if stamps.ndim == 1:
        if rows is not None and len(stamps) != rows:
            raise RowsDiffer(f"{key} has {len(stamps):,} times for {rows:,} rows", hint=_OWNER)
        return np.asarray(stamps, dtype=np.float64)
    if stamps.ndim != 2 or stamps.shape[1] != 2:
        raise RowsDiffer(f"{key} has the shape {stamps.shape}: neither one time per row nor sync points", hint=_OWNER)
    if rows is None:
        raise RowsDiffer(
            f"{key} are sync points, and nothing says how many rows there are",
            hint="Load another attribute of the object as well, or say rows=…",
        )
    return _between(np.asarray(stamps, dtype=np.float64), rows, key)


def _rows(bunch: dict[str, Any]) -> int | None:
    lengths = [rows_of(key, value) for key, value in dict.items(bunch)]
    found = sorted({rows for rows in lengths if rows is not None})
    several = [rows for rows in found if rows != 1]  # a single row counts for all
    if len(several) > 1:
        raise RowsDiffer(
            f"the attributes have {' and '.join(f'{rows:,}' for rows in several)} rows",
            hint=f"Say which of them the times are for: rows={several[0]}",
        )
    return next(iter(several or found), None)


def _between(points: NDArray[np.float64], rows: int, key: str) -> NDArray[np.float64]:
    """Spread sync points over rows."""
    import numpy as np

    samples, seconds = points[:, 0], points[:, 1]
    if len(points) < 2 or not np.isfinite(points).all() or not (np.diff(samples) > 0).all():
        raise UnsafeData(f"the sync points of {key} are not two or more that ascend", hint=_OWNER)
    first = 0
    if samples[0] == 1 and samples[-1] == rows:
        first = 1  # counted as MATLAB does; half a truth would be a shift of one sample
        log.warning("%s counts samples from 1 to %s; that is how it is taken", key, f"{rows:,}")
    at = np.arange(first, first + rows, dtype=np.float64)
    result = np.interp(at, samples, seconds)
    # numpy.interp stands still outside; time does not.
    before, behind = at < samples[0], at > samples[-1]
    result[before] = seconds[0] + (at[before] - samples[0]) * _slope(points[:2])
    result[behind] = seconds[-1] + (at[behind] - samples[-1]) * _slope(points[-2:])
    return np.asarray(result, dtype=np.float64)


def _slope(pair: NDArray[np.float64]) -> float:
    return float((pair[1, 1] - pair[0, 1]) / (pair[1, 0] - pair[0, 0]))


def counts_from_one(values: Any, rows: int) -> bool:
    """Tell whether numbers that should be rows of another object, from 0, can only be meant from 1.

    Parameters
    ----------
    values : numpy.ndarray
        The numbers.
    rows : int
        Rows of the other object.

    Examples
    --------
    >>> import numpy
    >>> counts_from_one(numpy.array([1, 374]), 374), counts_from_one(numpy.array([0, 373]), 374)
    (True, False)
    """
    import numpy as np

    array = np.asarray(values)
    if array.size == 0 or array.dtype.kind not in "iuf":
        return False
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return bool(finite.size and finite.min() >= 1 and finite.max() == rows and (finite == np.floor(finite)).all())
