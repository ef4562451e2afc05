"""What ``.one_root`` says of a repository, and what the tables beside it state of each file, put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import IO

from onelight.errors import UnsafeData
from onelight.index import Entry, Index, read_one_root
from onelight.index.sorting import sorted_lines


def joined(
    root: IO[bytes],
    tables: IO[bytes] | None,
    *,
    base_url: str = "",
    path: Path | None = None,
    facts: Mapping[str, str] | None = None,
) -> Index:
    """Return the index that ``.one_root`` is, with sizes and md5 of ``datasets.pqt`` where there is one.

    Parameters
    ----------
    root, tables : binary file
        Both open; None for no tables.
    base_url : str
        What addresses are relative to.
    path : Path, optional
        File that the index is made in.
    facts : mapping, optional
        What the index is to know of itself.
    """
    if tables is None:
        return read_one_root(root, base_url=base_url, path=path, facts=facts or {})
    rows = read_one_root(root, base_url=base_url)
    remarks = list(rows.remarks)
    try:  # all of them are read before the first comes
        stated = _stated(tables)
        first = next(stated, None)
    except UnsafeData as error:
        remarks.append(f"sizes and md5 are not known: {error.message}")
        return Index.build(rows, remarks, path=path, facts=facts or {})
    others = chain([first], stated) if first is not None else iter(())
    return Index.build(_with_sizes(rows, others), remarks, path=path, facts=facts or {})


def _stated(tables: IO[bytes]) -> Iterator[tuple[str, int | None, str | None]]:
    """Yield path, size and md5 of each row, sorted by path on the disk: a million of them are 100 MB of text."""
    from onelight.tables import read_tables  # takes ten milliseconds, and many repositories have no tables

    lines = (
        f"{row.path}\t{'' if row.size is None else row.size}\t{row.md5 or ''}".encode() for row in read_tables(tables)
    )
    for batch in sorted_lines(lines):
        for line in batch:
            name, size, md5 = line.decode().split("\t")
            yield name, int(size) if size else None, md5 or None


def _with_sizes(rows: Iterable[Entry], stated: Iterator[tuple[str, int | None, str | None]]) -> Iterator[Entry]:
    """Put two lists that are sorted by path together: addresses from the first, size and md5 from the second."""
    other = next(stated, None)
    for entry in rows:
        while other is not None and other[0] < entry.path:
            other = next(stated, None)
        if other is not None and other[0] == entry.path:
            yield replace(entry, size=other[1], md5=other[2])
        else:
            yield entry
