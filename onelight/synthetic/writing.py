"""Bytes of files as the original lab wrote them: arrays by npy-matlab, tables as tab-separated text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

# The types that MATLAB has and npy-matlab writes. '<b1' is its way to write a logical array; NumPy reads it.
_DESCR = {"float64": "<f8", "float32": "<f4", "uint32": "<u4", "int32": "<i4", "bool": "<b1"}
_PREFIX = 10  # bytes before the text of the header: magic, version, length
_BLOCK = 16


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Return an array as the bytes of a file by npy-matlab.

    Format 1.0, column-major, a header of 80 bytes (for the shapes of this dataset), little-endian. MATLAB knows no
    vectors: one becomes a matrix of one column. Rules: ``constructNPYheader.m`` of kwikteam/npy-matlab.

    Parameters
    ----------
    array : numpy.ndarray
        Of type float64, float32, uint32, int32 or bool.

    Examples
    --------
    >>> content = npy_bytes(np.arange(3.0))
    >>> len(content), content[10:69]
    (104, b"{'descr': '<f8', 'fortran_order': True, 'shape': (3, 1), } ")
    """
    matrix = array if array.ndim > 1 else array.reshape(-1, 1)
    descr = _DESCR[matrix.dtype.name]
    shape = ", ".join(map(str, matrix.shape))
    text = f"{{'descr': '{descr}', 'fortran_order': True, 'shape': ({shape}), }}"
    length = -(-(_PREFIX + len(text) + 1) // _BLOCK) * _BLOCK - _PREFIX
    header = b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text.ljust(length - 1).encode("ascii") + b"\n"
    return header + matrix.astype(np.dtype(descr), copy=False).tobytes(order="F")


def tsv_bytes(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    r"""Return a table as tab-separated text, the names of its columns in the first row.

    Examples
    --------
    >>> tsv_bytes(["description"], [["Neuropixels Phase3A opt3"]])
    b'description\nNeuropixels Phase3A opt3\n'
    """
    return "".join("\t".join(row) + "\n" for row in [columns, *rows]).encode("utf-8")
