"""What the headers of local arrays say: dtype and shape, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from onelight.errors import OneError
from onelight.index import Index

Fact = tuple[str, tuple[int, ...]]


class ArrayFacts(Mapping[str, Fact]):
    """Dtype and shape by path of the arrays of a folder.

    Parameters
    ----------
    root : Path
        The folder.
    index : Index
        What it holds.
    """

    def __init__(self, root: Path, index: Index) -> None:
        self._root = root
        self._index = index
        self._last: tuple[str, Fact | None] = ("", None)

    def __getitem__(self, path: str) -> Fact:
        if path != self._last[0]:
            is_array = path.endswith(".npy") and self._index.get(path) is not None
            self._last = path, _header(self._root / path) if is_array else None
        fact = self._last[1]
        if fact is None:
            raise KeyError(path)
        return fact

    def __iter__(self) -> Iterator[str]:
        return (entry.path for entry in self._index if entry.path in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _header(path: Path) -> Fact | None:
    """Return dtype and shape from the header of a file; None of one that is no array, which its reader will say."""
    from onelight.loading.npy import dtype_of, read_header

    try:
        with path.open("rb") as stream:
            header = read_header(stream, path)
        return str(dtype_of(header, path)), header.shape
    except (OneError, OSError):
        return None
