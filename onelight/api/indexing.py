"""A folder becomes a repository for any web server: its index, and the tables with all that is known of each file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from onelight.api.sharing import unfit, write_index_file
from onelight.config import default_folder
from onelight.errors import NoSpace, OneError
from onelight.folder import Scan, scan
from onelight.hashes import HASHES_NAME, Hashes
from onelight.index import INDEX_NAME, Entry, Index
from onelight.route import path_url
from onelight.tables import DATASETS_NAME, Foreign, TableRow, read_tables, write_tables


class Indexed(NamedTuple):
    """What was written into a folder.

    Parameters
    ----------
    file : Path
        The index, ``.one_root``.
    scan : Scan
        What was found.
    foreign : list of Foreign
        What ONE-api cannot read: it is in the index, and not in the tables.
    """

    file: Path
    scan: Scan
    foreign: list[Foreign]


def write_index(root: Path | str, *, base_url: str = "", allow_partial: bool = False, md5: bool = False) -> Indexed:
    """Make a folder a repository that any web server can serve.

    ``.one_root`` says what there is. ``sessions.pqt`` and ``datasets.pqt`` beside it, the cache tables of ONE-api, say
    the size of each file, its md5 if it is known, and the dtype and shape of arrays: for our readers, and for ONE-api,
    which opens the folder with them (``One(cache_dir=root, mode="local")``).

    Parameters
    ----------
    root : Path or str
        Folder that holds ``LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER/``.
    base_url : str, optional
        Address at which the folder will be served. With it every row has the full address of its file; without it
        rows have one column, and the folder can be served from anywhere.
    allow_partial : bool
        Index what is ALF and leave out the rest, instead of refusing.
    md5 : bool
        Read every file for its md5; one that was read before and not touched since is not read again.

    Returns
    -------
    Indexed
        The index, what was found, and what ONE-api cannot read.

    Raises
    ------
    AlfError
        If something in the folder is not ALF; every problem is listed, and nothing is written.
    NoSpace
        If the folder cannot be written.
    """
    folder = Path(root).expanduser().absolute()
    found = scan(folder)
    if not found.index or (found.problems and not allow_partial):
        raise unfit(folder, found.problems)
    if md5:
        with Hashes(default_folder() / HASHES_NAME) as hashes:
            found = replace(found, index=Index(hashes.add(folder, found.index)))
    before = {row.path: row for row in _last_rows(folder)}
    facts = dict(_facts(folder, found.index, before))
    rows = Index(Entry(entry.path, path_url(base_url, entry.path) if base_url else "") for entry in found.index)
    target = folder / INDEX_NAME
    try:
        # The tables first: whoever has the new index finds what it names in them.
        foreign = write_tables(found.index, folder, facts=facts)
        write_index_file(target, rows)
    except OSError as error:
        if isinstance(error, OneError):
            raise
        raise NoSpace(
            f"{target} cannot be written: {error.strerror}", hint="Make room, or put the mode of the folder right"
        ) from error
    return Indexed(target, found, foreign)


def _last_rows(folder: Path) -> Iterator[TableRow]:
    """Return what the tables of the last time say; of none, or of damaged ones, nothing."""
    with contextlib.suppress(OneError, OSError):
        yield from read_tables(folder / DATASETS_NAME)


def _facts(
    folder: Path, entries: Iterable[Entry], before: dict[str, TableRow]
) -> Iterator[tuple[str, tuple[str, tuple[int, ...]]]]:
    """Return dtype and shape of each array, from its header if it may have changed since the last time."""
    for entry in entries:
        if not entry.path.endswith(".npy"):
            continue
        last = before.get(entry.path)
        is_same = last is not None and entry.md5 is not None and (last.size, last.md5) == (entry.size, entry.md5)
        if last is not None and is_same and last.dtype is not None and last.shape is not None:
            yield entry.path, (last.dtype, last.shape)
        elif (fact := _header(folder / entry.path)) is not None:
            yield entry.path, fact


def _header(path: Path) -> tuple[str, tuple[int, ...]] | None:
    """Return dtype and shape from the header of a file; None of one that is no array, which its reader will say."""
    from onelight.loading.npy import dtype_of, read_header

    try:
        with path.open("rb") as stream:
            header = read_header(stream, path)
        return str(dtype_of(header, path)), header.shape
    except (OneError, OSError):
        return None
