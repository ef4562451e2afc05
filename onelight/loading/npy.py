"""Arrays from .npy files: never unpickled, never larger than the file, never short of a byte.

The header of such a file is a Python literal, written by whoever wrote the file. Here it is read with a grammar of its
own, which knows only what array headers consist of, in a time that grows with its length; NumPy is then told what
the file holds and never reads the header itself. Format: numpy.org/neps/nep-0001-npy-format.html (versions 1.0, 2.0
and 3.0). The parts are for other readers too: `read_header`, `dtype_of` and `check_size` for whoever has the beginning
of a file only, `read_array` for an array within another file, `take` for values that lie in a file as they are.
"""

from __future__ import annotations

import ast
import io
import math
import os
import re
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

from onelight.errors import UnsafeData
from onelight.loading.content import AGAIN, HEAD, damaged, refuse_foreign

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

MAGIC = b"\x93NUMPY"
MMAP_ABOVE = 100_000_000  # bytes; the first ONE light's limit: below it a copy in memory is the simpler thing to hold
MAX_HEADER = 10_000  # bytes; NumPy's own limit, far above what any real header needs
MAX_DEPTH = 20  # of brackets; structured types of structured types do not go deeper
PIECE = 1 << 20  # bytes that are read from a stream at once

_LENGTH_FORMAT: dict[tuple[int, ...], str] = {(1, 0): "<H", (2, 0): "<I", (3, 0): "<I"}
_KEYS = {"descr", "fortran_order", "shape"}

# The header that NumPy writes for plain types. It is almost every header, and the grammar takes ten times as long.
_ORDINARY = re.compile(
    rb"\{'descr': '([<>|][biufc](?:1|2|4|8|16))', 'fortran_order': (True|False), "
    rb"'shape': \(((?:(?:0|[1-9][0-9]{0,18}),(?: (?:0|[1-9][0-9]{0,18})(?:, (?:0|[1-9][0-9]{0,18}))*)?)?)\), \} *\n"
)
_ESCAPE = r"\\(?:[\\'\"abfnrtv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})"
_SPACE = r"[ \t\n\r\f]*"  # Python's; there are many more in Unicode
_TOKEN = re.compile(
    rf"""{_SPACE}(?:
        (?P<text>  '(?:[^'\\\n\r\0]|{_ESCAPE})*' | "(?:[^"\\\n\r\0]|{_ESCAPE})*")
      | (?P<number>0|[1-9][0-9]{{0,18}})L?(?![0-9A-Za-z_])    # L: written by Python 2
      | (?P<word>  True|False)(?![0-9A-Za-z_])
      | (?P<mark>  [][(){{}}:,])
    ){_SPACE}""",
    re.VERBOSE,
)
# What dtype.str gives, '<b1' of npy-matlab, and plain names such as 'float64'. Nothing that NumPy would parse as
# several fields, and no letter whose meaning is deprecated.
_TYPE = re.compile(r"[<>=|]?(?:[biufcSUV][0-9]{1,9}|[mM]8(?:\[[0-9]{0,9}[A-Za-z]{1,2}\])?|\?)")
_TYPE_NAME = re.compile(r"bool|u?int(?:8|16|32|64)|float(?:16|32|64)|complex(?:64|128)|single|double")
_OBJECT = re.compile(r"[<>=|]?(?:O[0-9]*|object_?)")
_LINE = 60  # characters of a header that a message repeats
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Header:
    """What an array file says about itself.

    Parameters
    ----------
    descr : str or list
        The type of one element, as NumPy writes it: ``"<f8"``, or a list of fields.
    fortran_order : bool
        Whether the first index varies fastest.
    shape : tuple of int
        Length of each dimension; empty for a single value.
    offset : int
        Bytes before the data.
    """

    descr: Any
    fortran_order: bool
    shape: tuple[int, ...]
    offset: int


class Readable(Protocol):
    """What a stream must know to be read here."""

    def read(self, size: int, /) -> bytes:
        """Return that many bytes, or fewer at the end."""
        ...


class _HeaderError(Exception):
    """The header is not one of an array; the message says why."""


def read_npy(path: Path, *, mmap: bool | None = None, execute_code_in_the_file: bool = False) -> NDArray[Any]:
    """Read an array in the form in which it was written.

    The shape is the file's: a MATLAB-written vector stays ``(N, 1)``. Fortran order and byte order are kept.

    Parameters
    ----------
    path : pathlib.Path
        A ``.npy`` file.
    mmap : bool, optional
        Whether the file is mapped into memory, for reading: it then costs nothing until it is used. If not given,
        files above `MMAP_ABOVE` bytes are. An array without values is never mapped.
    execute_code_in_the_file : bool
        Also read arrays of Python objects, which are a program that runs while they are read and can do whatever
        you can. Only for files that you wrote yourself.

    Returns
    -------
    numpy.ndarray
        A ``numpy.memmap`` if the file is mapped.

    Raises
    ------
    UnsafeData
        If the file contains Python objects, is something else than an array, or does not have exactly the size that
        its header states.

    Examples
    --------
    >>> import tempfile, pathlib, numpy
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "trials.intervals.npy"
    ...     numpy.save(path, numpy.ones((2, 2)))
    ...     read_npy(path).shape
    (2, 2)
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = read_header(file, path)
        if execute_code_in_the_file and has_objects(header):
            return _execute(file, path)
        dtype = dtype_of(header, path)
        check_size(header, dtype.itemsize, size, file, path)
        return take(file, header, dtype, path, mmap)


def take(file: BinaryIO, header: Header, dtype: np.dtype[Any], path: Path, mmap: bool | None) -> NDArray[Any]:
    """Take the values out of a file whose size is known to be right; `mmap` as for `read_npy`.

    Raises
    ------
    UnsafeData
        If NumPy cannot have an array of this shape.
    """
    import numpy as np

    count = math.prod(header.shape)
    order: Literal["C", "F"] = "F" if header.fortran_order else "C"
    try:
        if count and (header.offset + count * dtype.itemsize > MMAP_ABOVE if mmap is None else mmap):
            try:
                return np.memmap(file, dtype, mode="r", offset=header.offset, shape=header.shape, order=order)
            except OSError:  # not every network drive can map; nobody asked for it
                if mmap:
                    raise
        file.seek(header.offset)
        return np.fromfile(file, dtype, count=count).reshape(header.shape, order=order)
    except ValueError as error:  # more dimensions than this NumPy has
        raise _unreadable(path, error) from error


def read_array(stream: Readable, size: int, path: Path, *, execute_code_in_the_file: bool = False) -> NDArray[Any]:
    """Read an array from a stream, as from a file of its own.

    Parameters
    ----------
    stream : binary stream
        At the beginning of the array.
    size : int
        All bytes of the array with its header.
    path : pathlib.Path
        What the array is called in messages.
    execute_code_in_the_file : bool
        As for `read_npy`.

    Raises
    ------
    UnsafeData
        If the stream is no array of that size.

    Examples
    --------
    >>> import io, numpy, pathlib
    >>> stream = io.BytesIO()
    >>> numpy.save(stream, numpy.arange(3))
    >>> size = stream.tell()
    >>> _ = stream.seek(0)
    >>> read_array(stream, size, pathlib.Path("a.npz/a.npy")).tolist()
    [0, 1, 2]
    """
    import numpy as np

    if execute_code_in_the_file:
        whole = io.BytesIO(stream.read(size))
        if has_objects(read_header(whole, path)):
            return _execute(whole, path)
        whole.seek(0)
        stream = whole
    header = read_header(stream, path)
    dtype = dtype_of(header, path)
    check_size(header, dtype.itemsize, size, None, path)
    try:
        flat = np.empty(math.prod(header.shape), dtype)
        array = flat.reshape(header.shape, order="F" if header.fortran_order else "C")
    except ValueError as error:
        raise _unreadable(path, error) from error
    place = flat.view(np.uint8) if flat.nbytes else np.empty(0, np.uint8)
    start = 0
    while start < place.size:
        piece = stream.read(min(PIECE, place.size - start))
        if not piece:
            raise damaged(path, f"{place.size - start} of its {size} bytes are missing")
        place[start : start + len(piece)] = np.frombuffer(piece, np.uint8)
        start += len(piece)
    return array


def read_header(file: Readable, path: Path) -> Header:
    """Read the header of an array file, and nothing behind it.

    Parameters
    ----------
    file : binary file or stream
        The beginning of the array file.
    path : pathlib.Path
        Its name, for messages.

    Raises
    ------
    UnsafeData
        If the file does not begin with the header of an array.

    Examples
    --------
    >>> import io, numpy, pathlib
    >>> file = io.BytesIO()
    >>> numpy.save(file, numpy.zeros((3, 1)))
    >>> _ = file.seek(0)
    >>> read_header(file, pathlib.Path("a.npy")).shape
    (3, 1)
    """
    head = file.read(10)
    if not head.startswith(MAGIC):
        head += file.read(HEAD - len(head))
        refuse_foreign(path, head, "an array")
        raise UnsafeData(f"{path} is not an array: it begins with {head[:8]!r}", hint=AGAIN)
    if len(head) < 10:
        raise damaged(path, "it ends within its header")
    version = tuple(head[6:8])
    length_format = _LENGTH_FORMAT.get(version)
    if length_format is None:
        raise UnsafeData(f"{path} is of the unknown array format {version[0]}.{version[1]}", hint=AGAIN)
    start = 8 + struct.calcsize(length_format)
    head += file.read(start - len(head))
    if len(head) < start:
        raise damaged(path, "it ends within its header")
    (length,) = struct.unpack(length_format, head[8:])
    if length > MAX_HEADER:
        raise UnsafeData(f"{path} has a header of {length} bytes, where {MAX_HEADER} are the limit", hint=AGAIN)
    raw = file.read(length)
    if len(raw) < length:
        raise damaged(path, "it ends within its header")
    if ordinary := _ORDINARY.fullmatch(raw):
        shape = tuple(int(n) for n in ordinary[3].split(b",") if n)
        return Header(ordinary[1].decode("ascii"), ordinary[2] == b"True", shape, start + length)
    try:
        return _parse_header(raw.decode("utf-8" if version == (3, 0) else "latin-1"), start + length)
    except UnicodeDecodeError as error:
        raise damaged(path, "its header is not UTF-8 text") from error
    except _HeaderError as error:
        raise damaged(path, f"its header {error}") from error


def _parse_header(text: str, offset: int) -> Header:
    value = _parse(text)
    if not isinstance(value, dict) or value.keys() != _KEYS:
        raise _HeaderError("does not state descr, fortran_order and shape")
    shape = value["shape"]
    if not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
        raise _HeaderError("states a shape that is not a tuple of whole numbers")
    if not isinstance(value["fortran_order"], bool):
        raise _HeaderError("states an order that is neither True nor False")
    return Header(value["descr"], value["fortran_order"], shape, offset)


def _parse(text: str) -> Any:  # a literal: text, number, truth value or a container of them
    """Return the value of a literal made of texts, whole numbers, truth values, tuples, lists and dictionaries."""
    tokens = _tokens(text)
    value, position = _value(tokens, 0, 0)
    if position != len(tokens):
        raise _HeaderError("goes on behind its end")
    return value


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _HeaderError(f"cannot be understood at {text[position : position + 20]!r}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


def _value(tokens: list[tuple[str, str]], position: int, depth: int) -> tuple[Any, int]:
    """Return the value that begins at a token, and the position behind it."""
    kind, token = tokens[position] if position < len(tokens) else ("end", "")
    if kind == "text":
        return (ast.literal_eval(token) if "\\" in token else token[1:-1]), position + 1
    if kind == "number":
        return int(token), position + 1
    if kind == "word":
        return token.startswith("T"), position + 1
    if token in _CLOSING and depth < MAX_DEPTH:
        return _container(tokens, position, depth)
    raise _HeaderError("is not the literal of an array" if depth < MAX_DEPTH else "is nested too deeply")


def _container(tokens: list[tuple[str, str]], position: int, depth: int) -> tuple[Any, int]:
    opening = tokens[position][1]
    closing = ("mark", _CLOSING[opening])
    items: list[Any] = []
    names: list[str] = []
    comma = True
    position += 1
    while position < len(tokens) and tokens[position] != closing:
        if not comma:
            raise _HeaderError("lacks a comma")
        item, position = _value(tokens, position, depth + 1)
        if opening == "{":
            if not isinstance(item, str) or item in names or tokens[position : position + 1] != [("mark", ":")]:
                raise _HeaderError("has a key that is no text, or has it twice")
            names.append(item)
            item, position = _value(tokens, position + 1, depth + 1)
        items.append(item)
        comma = tokens[position : position + 1] == [("mark", ",")]
        position += comma
    if position >= len(tokens):
        raise _HeaderError("has a bracket that is not closed")
    position += 1
    if opening == "{":
        return dict(zip(names, items, strict=True)), position
    if opening == "[":
        return items, position
    # As in Python, brackets around one item without a comma are no tuple.
    return (items[0] if len(items) == 1 and not comma else tuple(items)), position


def dtype_of(header: Header, path: Path) -> np.dtype[Any]:
    """Return the type of one element; types that hold Python objects are refused before NumPy hears of them.

    Parameters
    ----------
    header : Header
        What the file says about itself.
    path : pathlib.Path
        Its name, for messages.

    Raises
    ------
    UnsafeData
        If the elements are Python objects, or of no type that NumPy has.

    Examples
    --------
    >>> import pathlib
    >>> dtype_of(Header("<f4", False, (10,), 128), pathlib.Path("a.npy")).itemsize
    4
    """
    import numpy as np

    if has_objects(header):
        raise _contains_objects(path)
    for name in _type_names(header.descr):
        if not (_TYPE.fullmatch(name) or _TYPE_NAME.fullmatch(name)):
            raise UnsafeData(f"{path} has elements of the unknown type {name[:40]!r}", hint=AGAIN)
    try:
        dtype = np.lib.format.descr_to_dtype(header.descr)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError) as error:
        raise damaged(path, f"NumPy knows no type of elements {str(header.descr)[:_LINE]!r}") from error
    if dtype.hasobject:
        raise _contains_objects(path)
    return dtype


def has_objects(header: Header) -> bool:
    """Tell whether elements are pickled Python objects, or have such among their fields."""
    return any(_OBJECT.fullmatch(name) for name in _type_names(header.descr))


def _contains_objects(path: Path) -> UnsafeData:
    return UnsafeData(
        f"{path} contains Python objects, and reading those could run any program",
        hint="Ask the owner to share it as numbers, or as a table",
    )


def _execute(file: BinaryIO, path: Path) -> NDArray[Any]:
    """Read Python objects, which may do anything meanwhile; the caller has asked for it by a frightening name."""
    import numpy as np

    file.seek(0)
    try:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=True)
    except Exception as error:  # what a program raises
        raise UnsafeData(
            f"{path} contains Python objects that cannot be made here: {error!r}",
            hint="Use the libraries with which it was written",
        ) from error
    if file.read(1):
        raise damaged(path, "more follows behind its Python objects")
    return array


def _unreadable(path: Path, error: ValueError) -> UnsafeData:
    return UnsafeData(f"{path} cannot be read as an array: {error}", hint=AGAIN)


def _type_names(descr: Any) -> list[str]:
    """Return every name of a type within a description; the names of fields are not among them."""
    if isinstance(descr, str):
        return [descr]
    if isinstance(descr, tuple) and descr:  # (type, shape): a field that is an array
        return _type_names(descr[0])
    if isinstance(descr, list):  # fields: (name, type) or (name, type, shape)
        return [name for field in descr for name in _field_type(field)]
    return [str(descr)]


def _field_type(field: Any) -> list[str]:
    if not isinstance(field, tuple) or len(field) not in (2, 3):
        return [str(field)]
    return _type_names(field[1])


def check_size(header: Header, itemsize: int, size: int, file: BinaryIO | None, path: Path) -> None:
    """Refuse a file that is not exactly its header and its data; then no array is larger than its file.

    Parameters
    ----------
    header : Header
        What the file says about itself.
    itemsize : int
        Bytes of one element.
    size : int
        All bytes of the file.
    file : binary file or None
        The file, to say what follows the array if something does. None where only its beginning is there.
    path : pathlib.Path
        Its name, for messages.

    Raises
    ------
    UnsafeData
        If the size is another one.

    Examples
    --------
    >>> import pathlib
    >>> check_size(Header("<f4", False, (10,), 128), 4, 168, None, pathlib.Path("a.npy"))
    """
    # NumPy multiplies the dimensions that are not zero, whether or not another one is.
    if math.prod(max(n, 1) for n in header.shape) * max(itemsize, 1) > sys.maxsize:
        raise damaged(path, f"it states the impossible shape {_short_shape(header.shape)}")
    count = math.prod(header.shape)
    if count and not itemsize:
        raise UnsafeData(f"{path} has elements of no bytes, so its size says nothing about its length", hint=AGAIN)
    expected = header.offset + count * itemsize
    if size < expected:
        raise damaged(path, f"{expected - size} of its {expected} bytes are missing")
    if size > expected:
        more = f"{size - expected} more follow"
        if file and file.seek(expected) and file.read(len(MAGIC)) == MAGIC:
            more = "a second array follows"
        raise damaged(path, f"its array ends after {expected} bytes, and {more}")


def _short_shape(shape: tuple[int, ...]) -> str:
    return str(shape) if len(str(shape)) <= _LINE else str(shape)[:_LINE] + "…"
