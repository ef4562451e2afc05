"""Compressed recordings: ``.cbin`` files with a ``.ch`` beside them, as mtscomp writes them.

A ``.cbin`` is chunks of about a second, one behind the other, each compressed by itself with zlib; before that, each
sample was replaced by its difference from the one before it in time, from the channel before it, or both. The ``.ch``
is JSON: type, number of channels, and where each chunk begins, in samples and in bytes.

Decoded here rather than by mtscomp, because that reads local files only, believes all that the ``.ch`` says, and lets
a chunk grow to any size. Format: github.com/int-brain-lab/mtscomp, version 1.0.
"""

from __future__ import annotations

import bisect
import itertools
import json
import operator
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from onelight.errors import DatasetNotFound, UnsafeData
from onelight.loading.content import AGAIN, HEAD, damaged, refuse_foreign
from onelight.loading.lazy import PIECE, LazyArray, Readable, read_at
from onelight.loading.npy import Header, dtype_of
from onelight.loading.registry import translated

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_RATE = 1e12  # samples a second; a number of JSON may be larger than any float
MAX_COMPANION = 16 * 1024 * 1024  # bytes of JSON: more than five days of chunks of a second
MAX_CHUNK = 1024**3  # bytes of one chunk in memory; a second of 384 channels has 23 million
HELD = 128 * 1024 * 1024  # bytes of decoded chunks that are held; one is held whatever its size
_RATIO = 1032  # zlib cannot make more than so many bytes of one


@dataclass(frozen=True)
class Layout:
    """What a ``.ch`` file says of its recording, checked.

    Parameters
    ----------
    dtype : numpy.dtype
        The type of one sample.
    channels : int
        Number of channels: columns of the array.
    sample_rate : float
        Samples a second of each channel.
    bounds : list of int
        Row with which each chunk begins, and at the end the number of all rows.
    offsets : list of int
        Byte with which each chunk begins, and at the end the size of the file.
    order : str
        ``"F"`` if a chunk has one channel after the other, ``"C"`` if it has one sample after the other.
    in_time, in_space : bool
        Whether a chunk holds differences from the sample before, and from the channel before.
    """

    dtype: np.dtype[Any]
    channels: int
    sample_rate: float
    bounds: list[int]
    offsets: list[int]
    order: Literal["C", "F"]
    in_time: bool
    in_space: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the recording."""
        return self.bounds[-1], self.channels

    def decode(self, number: int, data: bytes | memoryview, path: Path) -> NDArray[Any]:
        """Return one chunk as an array of samples by channels.

        Parameters
        ----------
        number : int
            Which chunk.
        data : bytes
            Its bytes in the file.
        path : pathlib.Path
            The name of the file, for messages.

        Raises
        ------
        UnsafeData
            If the chunk is damaged, or is longer or shorter than it should be.
        """
        import numpy as np

        rows = self.bounds[number + 1] - self.bounds[number]
        size = rows * self.channels * self.dtype.itemsize
        unpacker = zlib.decompressobj()
        try:
            raw = unpacker.decompress(data, size + 1)  # one more shows that there is more, and that is never unpacked
        except zlib.error as error:
            raise damaged(path, f"its chunk {number} of {len(self.bounds) - 1} cannot be unpacked ({error})") from error
        if len(raw) != size or not unpacker.eof or unpacker.unused_data:
            raise damaged(path, f"its chunk {number} of {len(self.bounds) - 1} does not have the size that it should")
        chunk = np.frombuffer(raw, self.dtype).reshape((rows, self.channels), order=self.order)
        # In this order, and in the type of the samples, which runs over and back as it did when they were written.
        for axis, wanted in ((1, self.in_space), (0, self.in_time)):
            if wanted:
                chunk = np.cumsum(chunk, axis=axis, dtype=self.dtype, out=np.empty_like(chunk))
        return chunk


class CbinArray(LazyArray):
    """A compressed recording, of which the chunks are read and unpacked that a slice needs.

    The chunks that were used last are held, unpacked.

    Parameters
    ----------
    file : binary file
        The ``.cbin``; closed with the array.
    layout : Layout
        What its ``.ch`` says.
    name : str or Path
        The name of the file, for messages.

    Attributes
    ----------
    sample_rate : float
        Samples a second.
    """

    def __init__(self, file: Readable, layout: Layout, name: str | Path) -> None:
        super().__init__(file, layout.dtype, layout.shape, name)
        self.sample_rate = layout.sample_rate
        self._layout = layout
        self._held: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._holding = threading.Lock()

    def _near(self, axis: int) -> int:
        # Between rows that are nearer than a chunk is long lies no chunk that is not needed anyway.
        return self.shape[1] if axis else self._layout.bounds[1]

    def _take(self, ranges: tuple[range, ...]) -> NDArray[Any]:
        import numpy as np

        rows, columns = ranges
        result = np.empty((len(rows), len(columns)), self.dtype)
        if not result.size:
            return result
        bounds = self._layout.bounds
        first, last = bisect.bisect_right(bounds, rows[0]) - 1, bisect.bisect_right(bounds, rows[-1])
        targets = {
            number: slice(_count(rows, bounds[number]), _count(rows, bounds[number + 1]))
            for number in range(first, last)
        }
        wanted = [number for number, target in targets.items() if target.start < target.stop]
        for number, chunk in self._chunks(wanted):
            here = rows[targets[number]]
            begin = bounds[number]
            part = slice(here.start - begin, here[-1] - begin + 1, here.step)
            result[targets[number]] = chunk[part, columns.start : columns.stop : columns.step]
        return result

    def _chunks(self, numbers: list[int]) -> Iterator[tuple[int, NDArray[Any]]]:
        """Give chunks in their order; those that follow each other in the file are read at once."""
        offsets = self._layout.offsets
        path = Path(self.name)
        at = 0
        while at < len(numbers):
            first = numbers[at]
            if (held := self._recall(first)) is not None:
                yield first, held
                at += 1
                continue
            run = [first]
            for number in numbers[at + 1 :]:
                if number != run[-1] + 1 or number in self._held or offsets[number + 1] - offsets[first] > PIECE:
                    break
                run.append(number)
            data = memoryview(bytearray(offsets[run[-1] + 1] - offsets[first]))
            self._read(offsets[first], data)
            for number in run:
                begin, end = offsets[number] - offsets[first], offsets[number + 1] - offsets[first]
                yield number, self._hold(number, self._layout.decode(number, data[begin:end], path))
            at += len(run)

    def _recall(self, number: int) -> NDArray[Any] | None:
        with self._holding:
            chunk = self._held.get(number)
            if chunk is not None:
                self._held.move_to_end(number)
            return chunk

    def _hold(self, number: int, chunk: NDArray[Any]) -> NDArray[Any]:
        with self._holding:
            self._held[number] = chunk
            self._held.move_to_end(number)
            while len(self._held) > 1 and sum(each.nbytes for each in self._held.values()) > HELD:
                self._held.popitem(last=False)
        return chunk


def read_cbin(path: Path, *, companion: Path | None = None) -> CbinArray:
    """Open a compressed recording; what it holds is read and unpacked when a slice of it is taken.

    Parameters
    ----------
    path : pathlib.Path
        A ``.cbin`` file.
    companion : pathlib.Path, optional
        Its ``.ch``; by default the file of the same name beside it.

    Returns
    -------
    CbinArray
        Samples by channels; ``numpy.asarray`` gives all of it.

    Raises
    ------
    DatasetNotFound
        If the ``.ch`` is not there.
    UnsafeData
        If it does not describe this file, or is no description at all.

    Examples
    --------
    >>> import json, tempfile, zlib, numpy
    >>> said = {"version": "1.0", "algorithm": "zlib", "dtype": "int16", "n_channels": 2, "sample_rate": 3.0,
    ...         "do_time_diff": True, "do_spatial_diff": False, "chunk_order": "F", "chunk_bounds": [0, 3]}
    >>> packed = zlib.compress(numpy.array([[7, 1, 1], [9, -1, -1]], "<i2").tobytes())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "ephys.raw.cbin"
    ...     _ = path.write_bytes(packed)
    ...     _ = path.with_suffix(".ch").write_text(json.dumps({**said, "chunk_offsets": [0, len(packed)]}))
    ...     with read_cbin(path) as recording:
    ...         recording[1:]
    array([[8, 8],
           [9, 7]], dtype=int16)
    """
    content = read_companion(path, companion)
    file = path.open("rb", buffering=0)
    try:
        return open_cbin(file, content, path)
    except BaseException:
        file.close()
        raise


def open_cbin(file: Readable, content: bytes, path: Path) -> CbinArray:
    """Open a compressed recording of which slices can be read.

    Parameters
    ----------
    file : binary file
        The ``.cbin``. It belongs to the array from now on; if this fails, it still belongs to the caller.
    content : bytes
        The content of its ``.ch``.
    path : pathlib.Path
        The name of the ``.cbin``, for messages.

    Raises
    ------
    UnsafeData
        If the ``.ch`` does not describe this file, or is no description at all.
    """
    refuse_foreign(path, read_at(file, 0, HEAD, path), "a compressed recording")
    return CbinArray(file, layout_of(content, file.seek(0, os.SEEK_END), path), path)


def read_companion(path: Path, companion: Path | None = None) -> bytes:
    """Return the content of the ``.ch`` of a ``.cbin``.

    Raises
    ------
    DatasetNotFound
        If it is not there.
    """
    where = path.with_suffix(".ch") if companion is None else companion
    with translated(where):
        try:
            with where.open("rb") as stream:
                return stream.read(MAX_COMPANION + 1)
        except FileNotFoundError as error:
            raise DatasetNotFound(
                f"{where} is not there, and without it {path} cannot be read",
                hint="Download it as well: it says where each second of the recording begins",
            ) from error


def layout_of(content: bytes, size: int, path: Path) -> Layout:
    """Return what a ``.ch`` says, having compared it with its ``.cbin`` and with what zlib can do at all.

    Parameters
    ----------
    content : bytes
        The content of the ``.ch``.
    size : int
        Bytes of the ``.cbin``.
    path : pathlib.Path
        The name of the ``.cbin``, for messages.

    Raises
    ------
    UnsafeData
        If it is no description of a recording, or of another one.

    Examples
    --------
    >>> said = {"algorithm": "zlib", "dtype": "int16", "n_channels": 385, "sample_rate": 30000.0, "chunk_order": "F",
    ...         "do_time_diff": True, "do_spatial_diff": False}
    >>> content = json.dumps({**said, "chunk_bounds": [0, 30000], "chunk_offsets": [0, 12028183]}).encode()
    >>> layout_of(content, 12028183, Path("ephys.raw.cbin")).shape
    (30000, 385)
    """
    said = _parsed(content, path)
    if said.get("algorithm") != "zlib":
        raise _wrong(path, 'does not say "algorithm": "zlib"')
    if not str(said.get("version", "1.0")).startswith("1."):
        raise _wrong(path, f"is of the unknown version {said['version']!r:.40}")
    channels, rate = said.get("n_channels"), said.get("sample_rate")
    if type(channels) is not int or channels < 1:
        raise _wrong(path, f"has the number of channels {channels!r:.40}")
    if not isinstance(rate, (int, float)) or not 0 < rate < MAX_RATE:
        raise _wrong(path, f"has the sample rate {rate!r:.40}")
    order = said.get("chunk_order")
    if order not in ("C", "F"):
        raise _wrong(path, f"has the chunk order {order!r:.40}")
    in_time, in_space = said.get("do_time_diff"), said.get("do_spatial_diff")
    if not isinstance(in_time, bool) or not isinstance(in_space, bool):
        raise _wrong(path, "does not say whether differences were taken")
    descr = said.get("dtype")
    dtype = dtype_of(Header(descr, False, (), 0), path) if isinstance(descr, str) else None
    if dtype is None or dtype.kind not in "iufc":
        raise _wrong(path, f"has samples of the type {descr!r:.40}, which are no numbers")
    bounds, offsets = (_places(said.get(name), name, path) for name in ("chunk_bounds", "chunk_offsets"))
    layout = Layout(dtype, channels, float(rate), bounds, offsets, order, in_time, in_space)
    _check_chunks(layout, size, path)
    return layout


def _parsed(content: bytes, path: Path) -> dict[str, Any]:
    if len(content) > MAX_COMPANION:
        raise _wrong(path, f"has more than {MAX_COMPANION:,} bytes")
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"is not JSON ({error!s:.60})") from error
    if not isinstance(said, dict):
        raise _wrong(path, "is not a JSON object")
    return said


def _places(said: Any, name: str, path: Path) -> list[int]:
    """Return where chunks begin: whole numbers that ascend from 0."""
    if not isinstance(said, list) or len(said) < 2 or not all(type(each) is int for each in said):
        raise _wrong(path, f'has a "{name}" that is not a list of whole numbers')
    if said[0] or not all(map(operator.lt, said, said[1:])):
        raise _wrong(path, f'has a "{name}" that does not ascend from 0')
    return said


def _check_chunks(layout: Layout, size: int, path: Path) -> None:
    """Refuse what the file cannot hold, before memory is taken for it."""
    if len(layout.bounds) != len(layout.offsets):
        raise _wrong(path, f"has {len(layout.bounds)} bounds and {len(layout.offsets)} offsets, which must be as many")
    row = layout.channels * layout.dtype.itemsize
    steps = zip(itertools.pairwise(layout.bounds), itertools.pairwise(layout.offsets), strict=True)
    for number, ((first, last), (begin, end)) in enumerate(steps):
        unpacked, packed = (last - first) * row, end - begin
        if unpacked > MAX_CHUNK:
            raise _wrong(path, f"says that chunk {number} has {unpacked:,} bytes, where {MAX_CHUNK:,} are the limit")
        if not unpacked <= _RATIO * packed <= _RATIO * (2 * unpacked + 1024):
            raise _wrong(path, f"says that {packed:,} bytes of chunk {number} were {unpacked:,}, which zlib cannot do")
    if layout.offsets[-1] != size:
        raise damaged(path, f"it has {size:,} bytes, and its .ch says {layout.offsets[-1]:,}")


def _count(rows: range, limit: int) -> int:
    """Return how many of some ascending rows come before a limit."""
    return min(len(rows), max(0, -((rows.start - limit) // rows.step)))


def _wrong(path: Path, why: str) -> UnsafeData:
    return UnsafeData(f"the .ch of {path} {why}", hint=AGAIN)
