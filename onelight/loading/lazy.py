"""Arrays of which only the slices that are asked for are read: from a disk, or from a server.

::

    open_array(file, path)        .npy · flat .bin and .dat · .cbin
    x[1_000_000:1_300_000]        what NumPy gives for the same index of the whole array: type, shape, errors

    index     split into a range for each axis, and what is left for NumPy to do: dropped axes, new ones, order
    ranges    stretches of the file, as few as pay: what lies between two of them is read as well if it is short
    stretch   straight into the result where nothing has to be left out, else in pieces of bounded size

A file here is anything that can be read into a buffer at a place: a local file, or one on a server.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import operator
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from onelight.errors import AlfError, OneError, RepositoryError, UnsafeData
from onelight.loading.content import AGAIN, HEAD, damaged, refuse_no_recording
from onelight.loading.npy import MAX_HEADER, check_size, dtype_of, read_header

if TYPE_CHECKING:
    from types import EllipsisType

    import numpy as np
    from _typeshed import WriteableBuffer
    from numpy.typing import NDArray

    Item: TypeAlias = "int | slice | EllipsisType | NDArray[Any] | None"

PIECE = 64 * 1024 * 1024  # bytes that are read at once where not all of them are wanted
GAP = 64 * 1024  # bytes that are rather read and left out than jumped over
_ROWS = 4 * 1024 * 1024  # bytes of rows that are read at once where they are wanted one by one
_PREAD = hasattr(os, "preadv")  # not on Windows


class Readable(Protocol):
    """A file that can be read at any place: a local one, opened with ``buffering=0``, or one on a server."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Say where the next read begins."""
        ...

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        """Read the next bytes, perhaps fewer than there is room for."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class LazyArray(ABC):
    """An array in a file, of which slices are read when they are asked for.

    It takes every index that a NumPy array takes, but only one array of positions or truth values in it, and gives
    what NumPy gives: ``x[a:b]``, ``x[::-100]``, ``x[a:b, 7]``, ``x[a:b, [3, 5, 8]]``, ``x[..., None]``. The whole of
    it is ``np.asarray(x)``. It may be used by several threads, and is closed by ``close()``, at the end of a ``with``
    block, or when nothing refers to it any more.

    Parameters
    ----------
    file : binary file
        Where the bytes are; closed with the array.
    dtype : numpy.dtype
        The type of one element.
    shape : tuple of int
        Length of each dimension.
    name : str or Path
        The name of the file, for messages.
    """

    def __init__(self, file: Readable, dtype: np.dtype[Any], shape: tuple[int, ...], name: str | Path) -> None:
        import numpy as np

        self.dtype = dtype
        self.shape = shape
        self.name = str(name)
        self._file = file
        self._lock = threading.Lock()
        try:
            # As large as the array and of one byte: NumPy itself says which index is wrong, and why.
            self._like = np.broadcast_to(np.zeros((), np.uint8), shape)
        except ValueError as error:  # more dimensions than this NumPy has
            raise UnsafeData(f"{name} cannot be read as an array: {error}", hint=AGAIN) from error
        self._end = weakref.finalize(self, file.close)  # nobody has to close an array, and no file is left open

    def close(self) -> None:
        """Close the file; nothing can be read any more."""
        self._end()

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that the whole array would take in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={self.dtype}, name={self.name!r})"

    def __enter__(self) -> LazyArray:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError(f"{self.name} is in a file, and can only be copied from it")
        whole: NDArray[Any] = self[...]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __iter__(self) -> Iterator[Any]:  # of arrays; of numbers for one dimension
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        row = max(1, math.prod(self.shape[1:]) * self.dtype.itemsize)
        step = max(1, _ROWS // row)
        return itertools.chain.from_iterable(self[at : at + step] for at in range(0, len(self), step))

    def __getitem__(self, index: Any) -> Any:  # an array, or one element
        import numpy as np

        items = [_item(each) for each in (index if isinstance(index, tuple) else (index,))]
        if not any(each is Ellipsis for each in items):
            items.append(Ellipsis)  # without it NumPy would make a number of what has no dimension left
            is_element = True
        else:
            is_element = False
        arrays = [place for place, each in enumerate(items) if isinstance(each, np.ndarray)]
        if len(arrays) > 1:
            raise IndexError(f"{self.name} takes one list of positions in an index: read a slice, and index that")
        # A slice of nothing stands for the list, which NumPy would otherwise look up.
        _ = self._like[tuple(slice(0, 0) if place in arrays else each for place, each in enumerate(items))]
        ranges, left, listed = self._split(items)
        if listed is None:
            found = self._take(ranges)
        else:
            axis, positions = listed
            wanted, inverse = np.unique(positions, return_inverse=True)
            found = self._gather(ranges, axis, wanted)
            left[arrays[0]] = inverse.reshape(positions.shape)
        result = found[tuple(left)]
        return result[()] if is_element and not result.ndim else result

    def _split(self, items: list[Item]) -> tuple[tuple[range, ...], list[Item], tuple[int, NDArray[Any]] | None]:
        """Return what is to be read of each axis, the index of that, and the axis and positions of a list, if any."""
        ranges: list[range] = []
        left: list[Item] = []
        listed: tuple[int, NDArray[Any]] | None = None
        others = sum(each is not None and each is not Ellipsis for each in items)
        for each in items:
            axis = len(ranges)
            if each is None:
                left.append(None)
            elif each is Ellipsis:
                left.append(each)
                ranges += [range(length) for length in self.shape[axis : axis + self.ndim - others]]
            elif isinstance(each, int):
                left.append(0)
                place = range(self.shape[axis])[each]
                ranges.append(range(place, place + 1))
            elif isinstance(each, slice):
                chosen = range(self.shape[axis])[each]
                left.append(slice(None, None, 1 if chosen.step > 0 else -1))
                ranges.append(chosen if chosen.step > 0 else chosen[::-1])
            else:
                left.append(each)
                listed = axis, _positions(each, axis, self.shape[axis])
                ranges.append(range(self.shape[axis]))
        return tuple(ranges), left, listed

    def _gather(self, ranges: tuple[range, ...], axis: int, wanted: NDArray[Any]) -> NDArray[Any]:
        """Read of one axis only some positions, which ascend: those that are near each other at once."""
        import numpy as np

        shape = [len(wanted) if place == axis else len(chosen) for place, chosen in enumerate(ranges)]
        result = np.empty(shape, self.dtype)
        if not result.size:
            return result
        apart = np.diff(wanted) > self._near(axis)
        row = max(1, result.nbytes // len(wanted))  # bytes of one position
        if not axis:
            apart |= np.diff(wanted // max(1, PIECE // row)) > 0
        bounds = [0, *(np.flatnonzero(apart) + 1).tolist(), len(wanted)]
        for begin, end in itertools.pairwise(bounds):
            first, last = int(wanted[begin]), int(wanted[end - 1])
            here = [slice(None)] * self.ndim
            here[axis] = slice(begin, end)
            chosen = [*ranges[:axis], range(first, last + 1), *ranges[axis + 1 :]]
            inside: list[Any] = [slice(None)] * self.ndim
            inside[axis] = wanted[begin:end] - first
            rows = ranges[0] if axis else range(1)
            step = max(1, PIECE * len(rows) // max(1, row * (last + 1 - first)))
            for at in range(0, len(rows), step):  # memory for what is left out is bounded as well
                if axis:
                    here[0] = slice(at, at + step)
                    chosen[0] = rows[at : at + step]
                result[tuple(here)] = self._take(tuple(chosen))[tuple(inside)]
        return result

    @abstractmethod
    def _take(self, ranges: tuple[range, ...]) -> NDArray[Any]:
        """Read what lies in a range of each axis; each ascends."""

    @abstractmethod
    def _near(self, axis: int) -> int:
        """Return how far apart two positions may be for what lies between them to be read as well."""

    def _read(self, offset: int, view: memoryview) -> None:
        """Fill a buffer with the bytes of the file from some place on."""
        try:
            done = 0
            while done < len(view):
                count = self._read_some(offset + done, view[done:])
                if not count:
                    raise damaged(Path(self.name), f"it ends {len(view) - done} bytes too early")
                done += count
        except OneError:
            raise
        except OSError as error:
            raise RepositoryError(
                f"{self.name} cannot be read: {error.strerror or error}", hint="Check the disk"
            ) from error

    def _read_some(self, offset: int, view: memoryview) -> int | None:
        if _PREAD and isinstance(self._file, io.FileIO):
            # Without a place in the file that has to be set before: forked processes share that.
            with self._lock:  # its number may be another file's as soon as somebody closes this one
                return os.preadv(self._file.fileno(), [view], offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.readinto(view)


class RawArray(LazyArray):
    """An array that lies in its file element by element, as in ``.npy`` and flat binary files.

    Parameters
    ----------
    file : binary file
        Where the bytes are; closed with the array.
    dtype : numpy.dtype
        The type of one element.
    shape : tuple of int
        Length of each dimension.
    order : str
        ``"C"`` if the last index varies fastest, ``"F"`` if the first does. An ``(N, 2)`` array in Fortran order
        is stored column by column: a slice of its rows is two stretches of the file.
    offset : int
        Bytes before the first element.
    name : str or Path
        The name of the file, for messages.

    Examples
    --------
    >>> import io, numpy
    >>> file = io.BytesIO(numpy.arange(12, dtype="<i2").tobytes())
    >>> with RawArray(file, numpy.dtype("<i2"), (4, 3), "C", 0, "ephys.raw.bin") as x:
    ...     x, x[1:3, -1]
    (RawArray(shape=(4, 3), dtype=int16, name='ephys.raw.bin'), array([5, 8], dtype=int16))
    """

    def __init__(
        self,
        file: Readable,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        order: Literal["C", "F"],
        offset: int,
        name: str | Path,
    ) -> None:
        super().__init__(file, dtype, shape, name)
        self.order = order
        self._offset = offset
        lengths = shape[::-1] if order == "C" else shape
        strides = [dtype.itemsize * math.prod(lengths[:axis]) for axis in range(len(shape))]
        self._strides = tuple(strides[::-1] if order == "C" else strides)

    def _near(self, axis: int) -> int:
        return max(1, GAP // max(1, self._strides[axis]))

    def _take(self, ranges: tuple[range, ...]) -> NDArray[Any]:
        import numpy as np

        inwards = 1 if self.order == "C" else -1  # from the axis whose steps are the longest to the shortest
        chosen, strides = ranges[::inwards], self._strides[::inwards]
        result = np.empty([len(each) for each in chosen], self.dtype)
        if result.nbytes:
            offset = self._offset + sum(each.start * stride for each, stride in zip(chosen, strides, strict=True))
            steps = [each.step * stride for each, stride in zip(chosen, strides, strict=True)]
            moving = [place for place, each in enumerate(chosen) if len(each) > 1]
            self._fill(
                result.reshape([len(chosen[place]) for place in moving]), offset, [steps[place] for place in moving]
            )
        return result if self.order == "C" else result.T

    def _fill(self, result: NDArray[Any], offset: int, steps: list[int]) -> None:
        """Fill an array in C order from elements that are so many bytes apart along each of its axes."""
        import numpy as np

        lengths, itemsize = result.shape, self.dtype.itemsize
        covers = [itemsize]  # bytes from the first to the last element of the axes from one on
        for length, step in zip(lengths[::-1], steps[::-1], strict=True):
            covers.insert(0, covers[0] + (length - 1) * step)
        dense = level = result.ndim
        while dense and steps[dense - 1] == covers[dense]:
            dense -= 1  # from this axis on nothing has to be left out
        while level and steps[level - 1] - covers[level] <= GAP:
            level -= 1  # from this axis on what has to be left out is short
        while level < dense and covers[level + 1] > PIECE:
            level += 1
        flat = result.reshape(-1).view(np.uint8).data
        size = math.prod(lengths[level:]) * itemsize
        for number, place in enumerate(itertools.product(*map(range, lengths[:level]))):
            begin = offset + sum(map(operator.mul, place, steps))
            if level >= dense:
                self._read(begin, flat[number * size : (number + 1) * size])
            else:
                self._sift(result[place], begin, steps[level:], covers[level + 1])

    def _sift(self, result: NDArray[Any], offset: int, steps: list[int], cover: int) -> None:
        """Read all that lies between elements, piece by piece, and keep the elements."""
        import numpy as np

        most = min(len(result), max(1, PIECE // steps[0]))
        buffer = np.empty((most - 1) * steps[0] + cover, np.uint8)
        for begin in range(0, len(result), most):
            part = result[begin : begin + most]
            self._read(offset + begin * steps[0], buffer.data[: (len(part) - 1) * steps[0] + cover])
            part[...] = np.ndarray(part.shape, self.dtype, buffer, strides=tuple(steps))


def open_array(
    file: Readable,
    path: Path,
    *,
    metadata: Mapping[str, Any] | None = None,
    companion: bytes | Path | None = None,
    squeeze: bool = False,
) -> LazyArray:
    """Open an array of which slices can be read, by the extension of its file.

    Something of the file is always read, so that a file that is not there, or a server that does not send parts of
    it, is known now and not with the first slice.

    Parameters
    ----------
    file : binary file
        The file, opened with ``buffering=0``, or one on a server. It belongs to the array from now on; if this
        fails, it still belongs to the caller.
    path : pathlib.Path
        Its name, for the extension and for messages. It need not be a path on this computer.
    metadata : mapping, optional
        What the ``.metadata.json`` beside a flat file says.
    companion : bytes or pathlib.Path, optional
        The ``.ch`` of a ``.cbin``: its content or where it is. By default it lies beside ``path``.
    squeeze : bool
        Make a vector of a column ``(N, 1)``.

    Raises
    ------
    AlfError
        If there are no slices of files with this extension.
    DatasetNotFound
        If the ``.ch`` of a ``.cbin`` is not there.
    UnsafeData
        If the file is damaged, or something else than its name says.

    Examples
    --------
    >>> import tempfile, pathlib, numpy
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "spikes.times.npy"
    ...     numpy.save(path, numpy.arange(1_000_000) / 4)
    ...     with open_array(path.open("rb", buffering=0), path) as times:
    ...         len(times), times[-2:]
    (1000000, array([249999.5 , 249999.75]))
    """
    extension = path.suffix.lower()
    if extension == ".npy":
        return open_npy(file, path, squeeze=squeeze)
    if extension in (".bin", ".dat"):
        return open_flat(file, metadata, path, squeeze=squeeze)
    if extension == ".cbin":
        from onelight.loading.cbin import open_cbin, read_companion

        return open_cbin(file, companion if isinstance(companion, bytes) else read_companion(path, companion), path)
    raise AlfError(f"{path} cannot be opened in slices", hint="load_dataset loads it whole")


def open_npy(file: Readable, path: Path, *, squeeze: bool = False) -> RawArray:
    """Open a ``.npy`` file of which slices can be read; only its header is read now.

    Raises
    ------
    UnsafeData
        As for :func:`onelight.loading.npy.read_npy`.

    Examples
    --------
    >>> import io, numpy
    >>> file = io.BytesIO()
    >>> numpy.save(file, numpy.zeros((3, 2), order="F"))
    >>> open_npy(file, Path("trials.intervals.npy"))
    RawArray(shape=(3, 2), dtype=float64, name='trials.intervals.npy')
    """
    size = file.seek(0, os.SEEK_END)
    head = io.BytesIO(read_at(file, 0, MAX_HEADER + 16, path))
    header = read_header(head, path)
    dtype = dtype_of(header, path)
    check_size(header, dtype.itemsize, size, None, path)
    shape = _vector(header.shape) if squeeze else header.shape
    return RawArray(file, dtype, shape, "F" if header.fortran_order else "C", header.offset, path)


def _vector(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a column as that of a vector: the bytes lie the same way."""
    return shape[:1] if len(shape) == 2 and shape[1] == 1 else shape


def open_flat(file: Readable, metadata: Mapping[str, Any] | None, path: Path, *, squeeze: bool = False) -> RawArray:
    """Open a flat binary file of which slices can be read; its metadata says what it holds.

    Raises
    ------
    AlfError
        If nothing says what it holds.
    UnsafeData
        As for :func:`onelight.loading.flat.read_flat`.

    Examples
    --------
    >>> import io
    >>> open_flat(io.BytesIO(bytes(1540)), {"dtype": "int16", "shape": [-1, 385]}, Path("ephys.raw.bin"))
    RawArray(shape=(2, 385), dtype=int16, name='ephys.raw.bin')
    """
    from onelight.loading.flat import layout

    if metadata is None or "dtype" not in metadata:
        raise AlfError(
            f"{path} cannot be opened in slices, because nothing says what its bytes are",
            hint='A .metadata.json beside it could: {"dtype": "int16", "shape": [-1, 385]}',
        )
    refuse_no_recording(path, read_at(file, 0, HEAD, path))
    dtype, shape, order = layout(metadata, file.seek(0, os.SEEK_END), path)
    return RawArray(file, dtype, _vector(shape) if squeeze else shape, order, 0, path)


def read_at(file: Readable, offset: int, length: int, path: Path) -> bytes:
    """Return bytes from some place of a file: fewer than asked for only at its end.

    Raises
    ------
    RepositoryError
        If the disk does not give them.

    Examples
    --------
    >>> import io
    >>> read_at(io.BytesIO(b"abcdef"), 4, 100, Path("a.bin"))
    b'ef'
    """
    buffer = memoryview(bytearray(length))
    done = 0
    try:
        file.seek(offset)
        while done < length and (count := file.readinto(buffer[done:])):
            done += count
    except OneError:
        raise
    except OSError as error:
        raise RepositoryError(f"{path} cannot be read: {error.strerror or error}", hint="Check the disk") from error
    return bytes(buffer[:done])


def _item(each: Any) -> Item:
    """Return a part of an index as one of the few things that it can be."""
    import numpy as np

    if each is None or each is Ellipsis or isinstance(each, slice):
        return each
    if not isinstance(each, (bool, np.bool_)) and not (isinstance(each, np.ndarray) and each.ndim):
        with contextlib.suppress(TypeError):
            return operator.index(each)
    array = np.asarray(each)
    if isinstance(each, (list, tuple)) and not array.size:
        return array.astype(np.intp)  # as NumPy has it: the type of nothing is no type
    if array.ndim and (array.dtype == bool or array.dtype.kind in "iu"):
        return array
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are valid "
        f"indices of an array in a file, and this is {each!r:.60}"
    )


def _positions(array: NDArray[Any], axis: int, length: int) -> NDArray[Any]:
    """Return the positions that an array in an index means; none is negative."""
    import numpy as np

    if array.dtype == bool:
        if array.ndim != 1 or len(array) != length:
            raise IndexError(
                f"boolean index did not match indexed array along axis {axis}; size of axis is {length} "
                f"but the shape of the boolean index is {array.shape}"
            )
        return np.flatnonzero(array)
    for extreme in (int(array.min()), int(array.max())) if array.size else ():
        if not -length <= extreme < length:
            raise IndexError(f"index {extreme} is out of bounds for axis {axis} with size {length}")
    positions = array.astype(np.intp)
    return np.where(positions < 0, positions + length, positions)
