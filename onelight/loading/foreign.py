"""Formats of other libraries: MATLAB, HDF5, TIFF, sparse arrays, and what a video says of itself.

Each library is an extra, imported with the first file that needs it. None of them was written for files of strangers:
one crashes Python over a changed byte, another returns ten images of a thousand and says nothing, a third takes two
gigabytes of memory for two megabytes. So what a file claims is checked here before a library hears of it.
"""

from __future__ import annotations

import errno
import inspect
import io
import itertools
import math
import struct
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from onelight.errors import MissingExtra, OneError, UnsafeData
from onelight.loading.bunch import Bunch
from onelight.loading.content import AGAIN, HEAD, damaged, refuse_foreign
from onelight.loading.npy import MMAP_ABOVE, PIECE
from onelight.loading.npz import LARGE, RATIO, read_npz
from onelight.loading.registry import extra

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    _Part = tuple[int, memoryview]  # the kind of a part of a MATLAB variable, and its content

_HDF5 = b"\x89HDF\r\n\x1a\n"
MAX_OBJECTS = 200_000  # of an HDF5 file; to look at 10,000 takes half a second
_WITH_H5PY = "If you trust it, take the path with download_only=True, and open it with h5py"
_DEFLATE = frozenset({8, 32946})  # two numbers for the same
_MOST_DEFLATED = 1032  # bytes that can come of one
_TIFF = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}  # the last two: BigTIFF
_VIDEO = {".avi": "avi", ".mj2": "mov", ".mov": "mov", ".mp4": "mov"}  # what FFmpeg calls them


@dataclass(frozen=True)
class VideoInfo:
    """What a video says about itself.

    Parameters
    ----------
    frames : int
        Number of images.
    width, height : int
        Pixels of an image.
    rate : float
        Images per second on average; 0 if the file does not say.
    seconds : float
        Duration; 0 if the file does not say.
    """

    frames: int
    width: int
    height: int
    rate: float
    seconds: float


# HDF5


def open_hdf5(path: Path) -> Any:  # h5py.File
    """Open an HDF5 file, which NWB files are too, for reading; what is in it is read when it is asked for.

    The file stays open until it is closed: ``with load_file(path) as file``. A file may name any other on this
    computer, whose bytes would be values of a dataset, or objects behind a link; then it is refused.

    Parameters
    ----------
    path : pathlib.Path
        A ``.h5``, ``.hdf5`` or ``.nwb`` file.

    Returns
    -------
    h5py.File
        In mode ``"r"``.

    Raises
    ------
    UnsafeData
        If the file is something else, is not whole, or names other files: external links, datasets with external
        storage, and virtual datasets of other files. Or if it has more than `MAX_OBJECTS` links.
    MissingExtra
        If h5py is not installed.

    Examples
    --------
    >>> import h5py, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "ephys.lfp.h5"
    ...     with h5py.File(path, "w") as file:
    ...         file["lfp"] = [1.0, 2.0]
    ...     with open_hdf5(path) as file:
    ...         file["lfp"][:].tolist()
    [1.0, 2.0]
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        if not _has_hdf5(file):
            refuse_foreign(path, head, "an HDF5 file", ("an HDF5 file",))
            raise UnsafeData(f"{path} is not an HDF5 file: it begins with {head[:8]!r}", hint=AGAIN)
    return _hdf5(path, "hdf5")


def _has_hdf5(file: BinaryIO) -> bool:
    """Tell whether the mark of HDF5 is where it may be: at the beginning, or behind 512, 1024, 2048… other bytes."""
    end = file.seek(0, io.SEEK_END)
    position = 0
    while position < end:
        file.seek(position)
        if file.read(len(_HDF5)) == _HDF5:
            return True
        position = max(512, 2 * position)
    return False


def _hdf5(path: Path, name: str) -> Any:
    h5py = extra("h5py", name, path)
    with _library(path, "h5py"):
        file = h5py.File(path, "r")
        try:
            _Links(h5py, path).within(file.id, ())
        except BaseException:
            file.close()
            raise
    return file


class _Links:
    """A look at all objects of an HDF5 file, without following what leads out of it.

    HDF5 has a visitor of its own, which crashes Python in groups that are nested deeply enough.
    """

    def __init__(self, h5py: Any, path: Path) -> None:
        self._h5py = h5py
        self._path = path
        self._seen: set[int] = set()
        self._count = 0

    def within(self, group: Any, names: tuple[str, ...]) -> None:
        """Refuse links and datasets of a group that lead out of the file."""
        if len(names) > _DEPTH:
            raise UnsafeData(f"{self._path} has groups that are nested too deeply: more than {_DEPTH}", hint=_WITH_H5PY)
        h5l, h5o = self._h5py.h5l, self._h5py.h5o
        links: list[tuple[bytes, int, int]] = []

        def add(name: bytes, link: Any) -> bool | None:
            links.append((name, link.type, link.u))
            self._count += 1
            return True if self._count > MAX_OBJECTS else None  # which ends it

        group.links.iterate(add, info=True)
        if self._count > MAX_OBJECTS:
            what = (
                f"{self._path} has more than {MAX_OBJECTS} objects, too many to look at each for where its values are"
            )
            raise UnsafeData(what, hint=_WITH_H5PY)
        for name, kind, address in links:
            inner = (*names, name.decode(errors="replace"))
            if kind == h5l.TYPE_EXTERNAL:
                raise self._outside("the link", inner, group.links.get_val(name)[0])
            if kind not in {h5l.TYPE_HARD, h5l.TYPE_SOFT}:
                raise self._outside("the link", inner, b"a place of its own kind")
            if kind == h5l.TYPE_SOFT or address in self._seen:
                continue
            self._seen.add(address)
            found = h5o.open(group, name)
            if isinstance(found, self._h5py.h5g.GroupID):
                self.within(found, inner)
            elif isinstance(found, self._h5py.h5d.DatasetID):
                self._dataset(found, inner)

    def _dataset(self, dataset: Any, names: tuple[str, ...]) -> None:
        stored = dataset.get_create_plist()
        if stored.get_external_count():
            raise self._outside("the dataset", names, stored.get_external(0)[0])
        if stored.get_layout() == self._h5py.h5d.VIRTUAL:
            for place in range(stored.get_virtual_count()):
                source = stored.get_virtual_filename(place)
                if source != ".":  # this file
                    raise self._outside("the dataset", names, source)

    def _outside(self, what: str, names: tuple[str, ...], target: bytes | str) -> UnsafeData:
        name = target.decode(errors="replace") if isinstance(target, bytes) else target
        return UnsafeData(
            f"{self._path} names another file: {what} /{'/'.join(names)} leads to {name}", hint=_WITH_H5PY
        )


@contextmanager
def _library(path: Path, name: str) -> Iterator[None]:
    """Call a file damaged if a library fails over it, whatever it raises; a failure of the disk stays one."""
    try:
        yield
    except (OneError, MemoryError, Warning):
        raise
    except Exception as error:
        # A place far outside of the file is an invalid argument.
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
            raise
        lines = str(error).strip().splitlines() or [""]
        raise damaged(path, f"{name} cannot read it ({type(error).__name__}: {lines[0][:200]})") from error


def _refuse_bomb(path: Path, size: int, memory: int, reader: str) -> None:
    if memory > LARGE and memory > size * RATIO:
        raise UnsafeData(
            f"{path} has {size} bytes and would take {memory} in memory: it may be made to fill the memory",
            hint=f"If you know who wrote it, take the path with download_only=True and read it with {reader}",
        )


# MATLAB

_MATRIX, _COMPRESSED = 14, 15
_LENGTHS = frozenset({5, 6})
_TEXTS = frozenset({1, 16})
_INTEGERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 12: "i8", 13: "u8"}
_VALUES = frozenset({*_INTEGERS, 7, 9, 16, 17, 18})  # floats and texts, too
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, 16, 17
_NUMBERS = range(6, 16)
_DEPTH = 100  # of cells within cells; SciPy has no limit, and the stack has
_OVERHEAD = 200  # bytes of the smallest array in memory


def read_mat(path: Path) -> Any:  # a Bunch, or h5py.File
    """Read the variables of a MATLAB file as MATLAB has them.

    Every variable has two dimensions or more, texts are arrays of texts, structs are arrays with fields, cells are
    arrays of arrays: what ``scipy.io.loadmat`` returns. Objects and functions are what SciPy makes of them.

    Parameters
    ----------
    path : pathlib.Path
        A ``.mat`` file.

    Returns
    -------
    Bunch or h5py.File
        Variables by name. A file of version 7.3 is an HDF5 file, and is opened as by `open_hdf5`.

    Raises
    ------
    UnsafeData
        If the file is something else, is not whole, contradicts itself, or is a bomb.
    MissingExtra
        If SciPy or h5py is not installed.

    Examples
    --------
    >>> import scipy.io, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "rig.settings.mat"
    ...     scipy.io.savemat(path, {"gain": 500.0, "name": "imec"})
    ...     read_mat(path)
    Bunch with 2 values
      gain  (1, 1) float64
      name  (1,) <U4
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        order = {b"\0\1IM": "<", b"\1\0MI": ">"}.get(head[124:128])
        if order is None and _has_hdf5(file):  # version 7.3
            return _hdf5(path, "matlab")
        if order is None and not _is_version_4(head):
            if head.startswith(b"MATLAB"):
                raise damaged(path, "it is of no version that is known, or not whole")
            refuse_foreign(path, head, "a MATLAB file")
            raise UnsafeData(f"{path} is not a MATLAB file: it begins with {head[:8]!r}", hint=AGAIN)
        scipy_io = extra("scipy.io", "matlab", path)
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        found = Bunch()
        for part in _variables(file, size, order, path) if order else [file.read()]:
            with _library(path, "SciPy"):
                variables = _loaded(scipy_io, part)
            for name, value in variables.items():
                if name in found:
                    raise damaged(path, f"it has two variables of the name {name!r}")
                found[name] = value
    return found


def _is_version_4(head: bytes) -> bool:
    """Tell whether a file begins as the oldest MATLAB files do: with four decimal digits for kinds of things."""
    if len(head) < 20:
        return False
    return any(
        kind < 5000 and kind // 100 % 10 == 0 and kind // 10 % 10 <= 5 and kind % 10 <= 2
        for kind in struct.unpack("<I", head[:4]) + struct.unpack(">I", head[:4])
    )


def _loaded(scipy_io: Any, content: bytes) -> dict[str, Any]:
    import numpy as np

    # Sparse ones are matrices in every version of SciPy; those that will change their mind about it warn if not told.
    options = {"spmatrix": True} if "spmatrix" in inspect.signature(scipy_io.loadmat).parameters else {}
    with np.errstate(all="ignore"):  # lengths of version 4 that overflow are found later
        variables: dict[str, Any] = scipy_io.loadmat(io.BytesIO(content), **options)
    # MATLAB's names begin with a letter; these are SciPy's own.
    return {name: value for name, value in variables.items() if not name.startswith("__")}


def _variables(file: BinaryIO, size: int, order: str, path: Path) -> Iterator[bytes]:
    """Yield each variable as a file of its own, unpacked and checked."""
    preface = file.read(128)
    check = _Check(path, size, order)
    while (position := file.tell()) < size:
        tag = file.read(8)
        if len(tag) < 8:
            raise damaged(path, "it ends within a variable")
        kind, length = struct.unpack(order + "2I", tag)
        if position + 8 + length > size:
            raise damaged(path, f"{position + 8 + length - size} of its {position + 8 + length} bytes are missing")
        content = file.read(length)
        if kind == _COMPRESSED:
            unpack = zlib.decompressobj()
            try:
                tag = unpack.decompress(content, 8).ljust(8, b"\0")
                kind, length = struct.unpack(order + "2I", tag)
                check.takes(length)
                content = unpack.decompress(unpack.unconsumed_tail, length) if length else b""
                more = unpack.decompress(unpack.unconsumed_tail, 1)
            except zlib.error as error:
                raise damaged(path, f"a variable cannot be decompressed: {error}") from error
            if len(content) != length or more or not unpack.eof:
                raise damaged(path, "a variable does not have the size that it states")
        if kind != _MATRIX:
            raise damaged(path, f"it has something of kind {kind} where a variable should be")
        check.matrix(memoryview(content), 0)
        content = b"".join((preface, tag, content))
        yield content


class _Check:
    """A check of variables before SciPy's reader in C has them, which believes what it finds, and crashes."""

    def __init__(self, path: Path, size: int, order: str) -> None:
        self._path = path
        self._size = size
        self._order = order
        self._memory = 0

    def takes(self, memory: int) -> None:
        """Add what will be taken in memory, and refuse what is a bomb."""
        self._memory += memory
        _refuse_bomb(self._path, self._size, self._memory, "scipy.io.loadmat")

    def matrix(self, content: memoryview, depth: int) -> None:
        """Refuse a matrix that does not consist of exactly the parts that SciPy will look for in it."""
        self.takes(_OVERHEAD)
        if not content:  # the empty matrix
            return
        if depth > _DEPTH:
            raise UnsafeData(f"{self._path} is nested too deeply", hint=AGAIN)
        parts = self._parts(content)
        flags = self._integers(self._next(parts, _LENGTHS))
        if len(flags) != 2 or content[:4] != struct.pack(self._order + "I", 6):
            raise self._wrong()
        kind, numbers = flags[0] & 0xFF, 1 + (flags[0] >> 11 & 1)  # two for complex ones
        if kind == _OPAQUE:
            for _ in range(3):
                self._next(parts, _TEXTS)
            children = 1
        else:
            shape = self._integers(self._next(parts, _LENGTHS))
            if not 2 <= len(shape) <= 32 or min(shape) < 0:
                raise self._wrong()
            self._next(parts, _TEXTS)
            children = self._contents(kind, numbers, shape, parts)
        for _ in range(children):
            self.matrix(self._next(parts, {_MATRIX}), depth + 1)
        if next(parts, None):
            raise self._wrong()

    def _contents(self, kind: int, numbers: int, shape: tuple[int, ...], parts: Iterator[_Part]) -> int:
        """Check what follows the name of a matrix, and return how many matrices come then."""
        count = math.prod(shape)
        if kind in {_STRUCT, _OBJECT}:
            if kind == _OBJECT:
                self._next(parts, _TEXTS)
            length = self._integers(self._next(parts, _LENGTHS))
            names = len(self._next(parts, _TEXTS))
            if len(length) != 1 or length[0] < 1:
                raise self._wrong()
            fields = names // length[0]
            self.takes(fields**2 if fields else 8 * count)  # each name is compared with each: that is time, not memory
            return count * fields
        if kind == _CELL:
            return count
        if kind == _FUNCTION:
            return 1
        if kind == _CHAR:
            self.takes(8 * count)  # SciPy makes as many blanks of a text without any bytes
            self._next(parts, _VALUES)
        elif kind == _SPARSE:
            self._sparse(parts, shape)
        elif kind not in _NUMBERS:
            raise self._wrong()
        if kind == _SPARSE or kind in _NUMBERS:
            for _ in range(numbers):
                self._next(parts, _VALUES)
        return 0

    def _sparse(self, parts: Iterator[_Part], shape: tuple[int, ...]) -> None:
        """Refuse a sparse matrix with places outside of it, which SciPy would write to."""
        import numpy as np

        lists = []
        for kind, content in itertools.islice(parts, 2):
            if kind not in _INTEGERS:
                raise self._wrong()
            dtype = np.dtype(self._order + _INTEGERS[kind])
            lists.append(np.frombuffer(content, dtype, len(content) // dtype.itemsize))
        if len(lists) < 2 or len(lists[1]) <= shape[1]:
            raise self._wrong()
        rows, columns = lists[0], lists[1][: shape[1] + 1]
        count = int(columns[-1])
        if count > len(rows) or not _rises(columns, count) or not _within(rows[:count], shape[0]):
            raise self._wrong()

    def _parts(self, content: memoryview) -> Iterator[_Part]:
        """Yield the parts of a matrix one after the other; short ones lie within their tag."""
        position = 0
        while position < len(content):
            if position + 8 > len(content):
                raise self._wrong()
            kind, length = struct.unpack_from(self._order + "2I", content, position)
            start = position + 8
            position = start
            if kind >> 16:
                kind, length, start = kind & 0xFFFF, kind >> 16, start - 4
            else:
                position += length + -length % 8
            if (length > 4 and start == position - 4) or position > len(content):
                raise self._wrong()
            yield kind, content[start : start + length]

    def _next(self, parts: Iterator[_Part], kinds: Collection[int]) -> memoryview:
        kind, content = next(parts, (0, memoryview(b"")))
        if kind not in kinds:
            raise self._wrong()
        return content

    def _integers(self, content: memoryview) -> tuple[int, ...]:
        return struct.unpack_from(f"{self._order}{len(content) // 4}i", content)

    def _wrong(self) -> UnsafeData:
        return damaged(self._path, "a variable does not consist of the parts that it states")


# TIFF


def read_tif(path: Path, *, mmap: bool | None = None) -> Any:  # an array, or a list of arrays
    """Read the images of a TIFF file.

    Parameters
    ----------
    path : pathlib.Path
        A ``.tif`` or ``.tiff`` file: plain, BigTIFF, or of ImageJ, ScanImage, Micro-Manager or OME. Of a stack that is
        distributed over several files, only what is in this one.
    mmap : bool, optional
        Whether the file is mapped into memory, for reading. If not given, images above 100 MB are. Images that are
        compressed, or do not lie one behind the other, are always read.

    Returns
    -------
    numpy.ndarray or list of numpy.ndarray
        One array, whose last two dimensions are rows and columns, or three with colours; a list of them if the file
        has images of different forms.

    Raises
    ------
    UnsafeData
        If the file is something else, is not whole, or is a bomb.
    MissingExtra
        If tifffile is not installed; or imagecodecs, for compressions other than deflate.

    Examples
    --------
    >>> import numpy, tifffile, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "widefield.frames.tif"
    ...     tifffile.imwrite(path, numpy.zeros((10, 64, 48), "uint16"))
    ...     read_tif(path).shape
    (10, 64, 48)
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        if head[:4] not in _TIFF:
            refuse_foreign(path, head, "an image")
            raise UnsafeData(f"{path} is not a TIFF image: it begins with {head[:8]!r}", hint=AGAIN)
        size = file.seek(0, io.SEEK_END)
        _check_images(file, head, size, path)
        tifffile = extra("tifffile", "tiff", path)
        # Images of OME and Micro-Manager may name other files, which would be opened; they are datasets of their own.
        with (
            _library(path, "tifffile"),
            _Alone(path) as alone,
            tifffile.TiffFile(io.BufferedReader(alone), _multifile=False) as tif,
        ):
            _check_pixels(tif, file, size, path)
            try:
                return _images(tif, path, mmap)
            except Exception as error:
                if "imagecodecs" not in str(error):
                    raise
                raise MissingExtra(
                    f"{path} is compressed in a way that is read by imagecodecs, which is not installed",
                    hint="python -m pip install imagecodecs, or take the path with download_only=True",
                ) from error


class _Alone(io.FileIO):
    """A file in whose folder nothing else is found, whatever a library looks for."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self.name = str(path / path.name)  # the folder is this file

    def fileno(self) -> int:
        """Say that it is no file of the disk: those of tifffile have others beside them."""
        raise io.UnsupportedOperation("fileno")


def _check_images(file: BinaryIO, head: bytes, size: int, path: Path) -> None:
    """Follow the list of images to its end: tifffile takes a list that is cut off for a shorter one, and says nothing.

    Each image has a table, which ends with the place of the next image's table.
    """
    big = b"+" in head[:4]
    place, number, entry = (
        struct.Struct(_TIFF[head[:4]] + code) for code in (("Q", "Q", "20s") if big else ("I", "H", "12s"))
    )
    images, mark, next_mark = 0, 0, 1
    (at,) = place.unpack_from(head.ljust(16, b"\0"), 8 if big else 4)
    while at:
        file.seek(min(at, size))
        raw = file.read(number.size)
        end = at + number.size + entry.size * (number.unpack(raw)[0] if len(raw) == number.size else size)
        if end + place.size > size or at == mark:
            raise damaged(path, f"it has {images} images, and then its list of images leads nowhere")
        images += 1
        if images == next_mark:  # a circle comes back to one of the marks
            mark, next_mark = at, 2 * images
        file.seek(end)
        (at,) = place.unpack(file.read(place.size))
    if not images:
        raise damaged(path, "it has no image")


def _check_pixels(tif: Any, file: BinaryIO, size: int, path: Path) -> None:
    """Refuse images that lie outside of the file, would fill the memory, or are fewer than the file says."""
    _refuse_bomb(path, size, sum(series.nbytes for series in tif.series), "tifffile.imread")
    stated = (tif.imagej_metadata or {}).get("images", 1)
    if isinstance(stated, int) and stated > len(tif.pages) and tif.series[0].kind != "imagej":
        raise damaged(path, f"it states {stated} images, and is too short for them")
    for series in tif.series:
        if series.dataoffset is not None:  # one block
            if series.dataoffset + series.nbytes > size:
                raise damaged(path, f"{series.dataoffset + series.nbytes - size} bytes of its images are missing")
            continue
        for page in series.pages:
            if page is None:
                raise damaged(path, "an image that it names is not in it")
            for start, length in zip(page.dataoffsets, page.databytecounts, strict=True):
                if start + length > size:
                    raise damaged(path, f"{start + length - size} bytes of an image are missing")
                if page.compression in _DEFLATE and length > LARGE // _MOST_DEFLATED:
                    _check_deflated(file, start, length, math.prod(page.chunks) * page.dtype.itemsize, path)


def _check_deflated(file: BinaryIO, start: int, length: int, most: int, path: Path) -> None:
    """Refuse a piece of an image that would become larger than it can be; tifffile unpacks pieces of any size."""
    file.seek(start)
    unpack, data, total = zlib.decompressobj(), file.read(length), 0
    while data and not unpack.eof:
        total += len(unpack.decompress(data, PIECE))
        data = unpack.unconsumed_tail
        if total > most:
            raise damaged(path, f"a piece of an image becomes larger than {most} bytes")


def _images(tif: Any, path: Path, mmap: bool | None) -> NDArray[Any] | list[NDArray[Any]]:
    import numpy as np

    first = tif.series[0]
    if len(tif.series) == 1:
        if first.dataoffset is not None and (first.nbytes > MMAP_ABOVE if mmap is None else mmap):
            dtype = first.dtype.newbyteorder(tif.byteorder)
            return np.memmap(path, dtype, mode="r", offset=first.dataoffset, shape=first.shape)
        only: NDArray[Any] = first.asarray()
        return only
    if any((series.shape, series.dtype) != (first.shape, first.dtype) for series in tif.series):
        return [series.asarray() for series in tif.series]
    # Written one by one: for tifffile these are many series, of which imread returns the first.
    stack = np.empty((len(tif.series), *first.shape), first.dtype)
    for place, series in zip(stack, tif.series, strict=True):
        series.asarray(out=place)
    return stack


# Sparse arrays


def read_sparse(path: Path) -> Any:  # sparse.COO, sparse.GCXS, or an array or matrix of scipy.sparse
    """Read a sparse array, as written by ``sparse.save_npz`` or by ``scipy.sparse.save_npz``.

    Parameters
    ----------
    path : pathlib.Path
        A ``.sparse_npz`` file. It is read as by `read_npz`, and its places are checked to be within the array.

    Returns
    -------
    sparse.COO or sparse.GCXS
        What the library sparse wrote.
    scipy.sparse array or matrix
        What SciPy wrote.

    Raises
    ------
    UnsafeData
        If the file is something else, contradicts itself, or contains Python objects.
    MissingExtra
        If the library that wrote it is not installed.

    Examples
    --------
    >>> import numpy, scipy.sparse, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "templates.pcs.sparse_npz"
    ...     with path.open("wb") as file:
    ...         scipy.sparse.save_npz(file, scipy.sparse.eye_array(3).tocsr())
    ...     read_sparse(path).shape
    (3, 3)
    """
    parts = read_npz(path)
    if "fill_value" in parts:  # which SciPy does not have
        sparse = extra("sparse", "sparse", path)
        with _library(path, "sparse"):
            return _coo(sparse, parts, path) if "coords" in parts else _gcxs(sparse, parts, path)
    if "format" in parts:
        scipy_sparse = extra("scipy.sparse", "matlab", path)
        with _library(path, "SciPy"):
            return _of_scipy(scipy_sparse, parts)
    raise UnsafeData(f"{path} is an archive of arrays, and none of a sparse array", hint=AGAIN)


def _coo(sparse: Any, parts: Bunch, path: Path) -> Any:
    import numpy as np

    coords, data, shape = parts["coords"], parts["data"], _numbers(parts["shape"])
    if coords.shape != (len(shape), len(data)) or not all(map(_within, coords, shape)):
        raise damaged(path, "it has values outside of its shape")
    rising = np.zeros(max(len(data) - 1, 0), bool)
    for axis in coords[::-1]:
        rising = (axis[:-1] < axis[1:]) | ((axis[:-1] == axis[1:]) & rising)
    if not rising.all():
        raise damaged(path, "its values are not in order")
    fill = parts["fill_value"][()]
    return sparse.COO(coords, data, shape=shape, has_duplicates=False, sorted=True, fill_value=fill)


def _gcxs(sparse: Any, parts: Bunch, path: Path) -> Any:
    data, indices, starts = parts["data"], parts["indices"], parts["indptr"]
    shape, axes = _numbers(parts["shape"]), _numbers(parts["compressed_axes"])
    rows = math.prod(shape[axis] for axis in axes)
    columns = math.prod(n for axis, n in enumerate(shape) if axis not in axes)
    if data.shape != indices.shape or data.ndim != 1 or starts.shape != (rows + 1,) or not _within(indices, columns):
        raise damaged(path, "it has values outside of its shape")
    if not _rises(starts, len(data)):
        raise damaged(path, "its rows do not begin and end where they should")
    fill = parts["fill_value"][()]
    return sparse.GCXS((data, indices, starts), shape=shape, compressed_axes=axes or None, fill_value=fill)


def _of_scipy(scipy_sparse: Any, parts: Bunch) -> Any:
    written = parts["format"][()]
    kind = written.decode("ascii") if isinstance(written, bytes) else str(written)
    if kind not in {"bsr", "coo", "csc", "csr", "dia"}:
        raise ValueError(f"unknown format {kind[:20]}")
    make = getattr(scipy_sparse, kind + ("_array" if "_is_array" in parts else "_matrix"))
    data, shape = parts["data"], _numbers(parts["shape"])
    if kind == "dia":
        return make((data, parts["offsets"]), shape=shape)
    if kind == "coo":
        return make((data, parts["coords"] if "coords" in parts else (parts["row"], parts["col"])), shape=shape)
    found = make((data, parts["indices"], parts["indptr"]), shape=shape)
    found.check_format(full_check=True)  # otherwise places outside of the shape are found when they are written to
    return found


def _numbers(array: NDArray[Any]) -> tuple[int, ...]:
    """Return a shape, or a list of axes."""
    if array.ndim != 1 or (array.size and (array.dtype.kind not in "iu" or array.min() < 0)):
        raise ValueError("lengths that are not whole numbers")
    return tuple(int(n) for n in array)


def _within(array: NDArray[Any], end: int) -> bool:
    """Tell whether all are places in a list of that length."""
    if not array.size:
        return True
    return array.dtype.kind in "iu" and int(array.min()) >= 0 and int(array.max()) < end


def _rises(starts: NDArray[Any], end: int) -> bool:
    """Tell whether rows begin at 0, follow each other, and end at the end."""
    whole = starts.dtype.kind in "iu" and starts.ndim == 1 and starts.size > 0
    return bool(whole and starts[0] == 0 and (starts[1:] >= starts[:-1]).all() and starts[-1] == end)


# Videos


def frames_of(path: Path) -> VideoInfo | None:
    """Return what a video says about itself; no image is decoded.

    Parameters
    ----------
    path : pathlib.Path
        A ``.mp4``, ``.avi``, ``.mov`` or ``.mj2`` file.

    Returns
    -------
    VideoInfo or None
        None if PyAV is not installed, or the file has another extension. Where the file does not state the number of
        frames, it is the duration times the rate.

    Raises
    ------
    UnsafeData
        If the file is no video, or is not whole.

    Examples
    --------
    >>> from pathlib import Path
    >>> frames_of(Path("widefield.frames.tif")) is None
    True
    """
    kind = _VIDEO.get(path.suffix.lower())
    if kind is None:
        return None
    try:
        av = extra("av", "video", path)
    except MissingExtra:
        return None
    with path.open("rb") as file:
        refuse_foreign(path, file.read(HEAD), "a video")
        try:
            try:
                found = _video_info(av, file, kind)
            except UnicodeDecodeError:  # of a text in it; from version 19 on, PyAV does not mind
                found = _video_info(av, file, kind, metadata_errors="replace")
        except (av.error.FFmpegError, OSError) as error:
            # FFmpeg's are OSErrors in part, and none is one of the disk.
            if not isinstance(error, av.error.FFmpegError) and error.errno != errno.EINVAL:
                raise
            raise damaged(path, f"there is no video in it; was the recording ended? ({error.strerror})") from error
    if found is None:
        raise damaged(path, "there are no images in it")
    return found


def _video_info(av: Any, file: BinaryIO, kind: str, **options: str) -> VideoInfo | None:
    """Return what FFmpeg makes of an open file, None if it has no images."""
    file.seek(0)
    # Open, and of a known kind: FFmpeg would take a playlist for a video, and fetch what it names.
    with av.open(file, format=kind, **options) as container:
        if not container.streams.video:
            return None
        stream = container.streams.video[0]
        seconds = (container.duration or 0) / av.time_base
        if stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        rate = float(stream.average_rate or 0)
        frames = stream.frames or round(seconds * rate)
        # Streams of codecs that this FFmpeg does not have lack the size.
        return VideoInfo(frames, getattr(stream, "width", 0), getattr(stream, "height", 0), rate, seconds)
