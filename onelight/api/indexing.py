"""A folder becomes a repository for any web server: its index, and the tables with all that is known of each file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from onelight.api.headers import ArrayFacts
from onelight.api.sharing import unfit, write_index_file
from onelight.config import default_folder
from onelight.errors import NoSpace, OneError
from onelight.folder import Scan, scan
from onelight.hashes import HASHES_NAME, Hashes
from onelight.index import INDEX_NAME, Entry, Index
from onelight.route import path_url
from onelight.tables import Foreign, renew_tables


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
    rows = Index(Entry(entry.path, path_url(base_url, entry.path) if base_url else "") for entry in found.index)
    target = folder / INDEX_NAME
    try:
        # The tables first: whoever has the new index finds what it names in them.
        foreign = renew_tables(found.index, folder, ArrayFacts(folder, found.index)).foreign
        write_index_file(target, rows)
    except OSError as error:
        if isinstance(error, OneError):
            raise
        raise NoSpace(
            f"{target} cannot be written: {error.strerror}", hint="Make room, or put the mode of the folder right"
        ) from error
    return Indexed(target, found, foreign)
