"""Arrays from flat files, .bin and .dat: bare values, and beside them a .metadata.json that says what they are."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from onelight.errors import AmbiguousQuery, UnsafeData
from onelight.loading.content import HEAD, damaged, refuse_no_recording
from onelight.loading.npy import MAX_DEPTH, Header, check_size, dtype_of, take

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_EXAMPLE = """Give metadata={"dtype": "int16", "shape": [-1, 385]}, or correct the .metadata.json beside it"""


class Layout(NamedTuple):
    """What the bytes of a flat file are: the type of one value, the length of each dimension, and their order."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]


def read_flat(
    path: Path, *, mmap: bool | None = None, metadata: Mapping[str, Any] | None = None
) -> NDArray[Any] | Path:
    """Read a file of bare values, as the metadata beside it say.

    Parameters
    ----------
    path : pathlib.Path
        A ``.bin`` or ``.dat`` file.
    mmap : bool, optional
        Whether the file is mapped into memory, for reading. If not given, files above 100 MB are.
    metadata : mapping, optional
        What is read otherwise from the ``.metadata.json`` beside the file, see `sidecar`; `layout` says which keys.

    Returns
    -------
    numpy.ndarray or pathlib.Path
        The path itself if nothing says what the bytes are: no metadata, or no ``dtype`` in them.

    Raises
    ------
    UnsafeData
        If the metadata do not fit the file, or say something that no array is.
    AmbiguousQuery
        If several metadata files fit.

    Examples
    --------
    >>> import json, tempfile, pathlib, numpy
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "ephys.raw.bin"
    ...     numpy.arange(6, dtype="int16").tofile(path)
    ...     _ = path.with_suffix(".metadata.json").write_text(json.dumps({"dtype": "int16", "columns": ["a", "b"]}))
    ...     read_flat(path).tolist()
    [[0, 1], [2, 3], [4, 5]]
    """
    if metadata is None:
        metadata = _read_metadata(path)
    if "dtype" not in metadata:
        return path
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(HEAD)
        refuse_no_recording(path, head)
        header, dtype = _understood(metadata, size, path)
        return take(file, header, dtype, path, mmap)


def layout(metadata: Mapping[str, Any], size: int, path: Path) -> Layout:
    """Return what metadata say about the bytes of a flat file, once it is certain that they fit its size exactly.

    Parameters
    ----------
    metadata : mapping
        ``dtype`` is the type of one value, as NumPy calls it: ``"int16"``, ``"<f4"``, or a list of fields
        ``["name", "type"]``. ``shape`` is a list of lengths; the first may be -1, and then is found from the size.
        Without it, ``columns`` is a list that has one item for each column. Without both, the values are one vector.
        ``order`` is ``"C"``, where the last index varies fastest (the default), or ``"F"``, where the first does.
    size : int
        All bytes of the file.
    path : pathlib.Path
        Its name, for messages.

    Raises
    ------
    UnsafeData
        If the metadata say something else, or if the size is another one.

    Examples
    --------
    >>> import pathlib
    >>> found = layout({"dtype": "int16", "shape": [-1, 385]}, 7700, pathlib.Path("ephys.raw.bin"))
    >>> found.dtype, found.shape, found.order
    (dtype('int16'), (10, 385), 'C')
    """
    header, dtype = _understood(metadata, size, path)
    return Layout(dtype, header.shape, "F" if header.fortran_order else "C")


def sidecar(path: Path) -> Path | None:
    """Return the metadata file that describes a file of a recording, if there is one.

    The names, in the order in which they are tried, for ``_spikeglx_ephysData.raw.probe00.bin``:
    ``_spikeglx_ephysData.raw.probe00.metadata.json``, ``_spikeglx_ephysData.raw.metadata.json``, and at last
    ``_spikeglx_ephysData.raw.*.json`` with ``metadata`` among its parts.

    Parameters
    ----------
    path : pathlib.Path
        Any file; it need not exist.

    Raises
    ------
    AmbiguousQuery
        If several files of the last form are there.

    Examples
    --------
    >>> from pathlib import Path
    >>> sidecar(Path("ephys.raw.bin")) is None
    True
    """
    parts = path.name.split(".")
    own = path.with_name(".".join([*parts[:-1], "metadata", "json"]))
    shared = path.with_name(".".join([*parts[:-1][:2], "metadata", "json"]))
    for name in (own, shared):
        if name.is_file():
            return name
    if len(parts) < 3 or not path.parent.is_dir():
        return None
    start = f"{parts[0]}.{parts[1]}."
    names = sorted(file.name for file in path.parent.iterdir() if file.name.startswith(start))
    found = [name for name in names if name.endswith(".json") and "metadata" in name.split(".")[2:-1]]
    if len(found) > 1:
        raise AmbiguousQuery(
            f"{path} may be described by {len(found)} files, {found[0]} and {found[1]} among them",
            hint=f"Call the right one {own.name}, or give metadata=",
        )
    return path.with_name(found[0]) if found else None


def _read_metadata(path: Path) -> Mapping[str, Any]:
    from onelight.loading.texts import read_json

    beside = sidecar(path)
    if beside is None:
        return {}
    found = read_json(beside)
    if not isinstance(found, dict):
        raise damaged(beside, "it describes a recording, and is not a JSON object")
    return found


def _understood(metadata: Mapping[str, Any], size: int, path: Path) -> tuple[Header, np.dtype[Any]]:
    """Return the header that the file would have as a .npy, and the type of its elements."""
    order = metadata.get("order", "C")
    if order not in ("C", "F"):
        raise _nonsense(path, f"an order of {order!r}, where 'C' and 'F' are known")
    shape = _stated_shape(metadata, path)
    dtype = dtype_of(Header(_descr(metadata["dtype"], path), order == "F", (), 0), path)
    if shape[0] == -1:
        row = dtype.itemsize * math.prod(shape[1:])
        if not row or size % row:
            raise damaged(path, f"it has {size} bytes, which are no whole number of rows of {row} bytes")
        shape = (size // row, *shape[1:])
    header = Header(dtype.str, order == "F", shape, 0)
    check_size(header, dtype.itemsize, size, None, path)
    return header, dtype


def _stated_shape(metadata: Mapping[str, Any], path: Path) -> tuple[int, ...]:
    """Return the shape, with -1 in the first place if that is to be found from the size."""
    shape, columns = metadata.get("shape"), metadata.get("columns")
    if shape is None and isinstance(metadata["dtype"], str) and columns is not None:
        if not isinstance(columns, list) or not columns:
            raise _nonsense(path, f"columns that are not a list of columns: {str(columns)[:60]}")
        shape = [-1, len(columns)]
    if shape is None:
        shape = [-1]
    if type(shape) is int:  # as MATLAB writes a list of one number
        shape = [shape]
    whole = isinstance(shape, list | tuple) and shape and all(type(n) is int for n in shape)
    if not whole or shape[0] < -1 or any(n < 0 for n in shape[1:]):
        raise _nonsense(path, f"a shape of {str(shape)[:60]}")
    return tuple(shape)


def _descr(dtype: Any, path: Path, depth: int = 0) -> Any:
    """Return a type from JSON as NumPy writes it: fields are tuples there."""
    if not isinstance(dtype, list):
        return dtype
    if depth > MAX_DEPTH:
        raise _nonsense(path, "a type that is nested too deeply")
    return [
        (field[0], _descr(field[1], path, depth + 1), *(tuple(n) if isinstance(n, list) else n for n in field[2:]))
        if isinstance(field, list | tuple) and len(field) in (2, 3)
        else field
        for field in dtype
    ]


def _nonsense(path: Path, what: str) -> UnsafeData:
    return UnsafeData(f"{path} cannot be read: its metadata state {what}", hint=_EXAMPLE)
