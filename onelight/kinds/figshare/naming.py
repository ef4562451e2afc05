"""How the path of a dataset becomes the name of a file at figshare, and back.

Two layouts are written. ``flat``: the path with ``~`` for ``/``, as the first client of 2019 wrote it, which every
client reads. ``folders``: the last part as the name, the rest as figshare's own folder (since December 2023). Names
with ``/`` in them, which other tools write, are understood as well.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from onelight.alf import check_safe, printable, split_path
from onelight.errors import AlfError, ConfigError, UnsafeData
from onelight.index import DATASETS_NAME, INDEX_NAME, SESSIONS_NAME
from onelight.kinds.figshare.article import File
from onelight.pack import PACKS_NAME

FLAT, FOLDERS = "flat", "folders"
LAYOUTS = (FLAT, FOLDERS)
#: Files that say what there is, and are no datasets.
_OWN = frozenset({INDEX_NAME, PACKS_NAME, DATASETS_NAME, SESSIONS_NAME})


def layout_of(text: str) -> str:
    """Return the layout of this name, ``flat`` if there is none.

    Raises
    ------
    ConfigError
        If there is no such layout.
    """
    if text and text not in LAYOUTS:
        raise ConfigError(f"'{text}' is no layout of a figshare repository", hint=f"There are {' and '.join(LAYOUTS)}")
    return text or FLAT


def flat_name(path: str) -> str:
    """Return the name of a file in the flat layout.

    Raises
    ------
    AlfError
        If the path would come back as another one.
    """
    name = path.replace("/", "~")
    if session_path(name) != path:
        raise AlfError(
            f"{printable(path)} cannot be the name of a file at figshare",
            hint="It must lie in a session and have no '~', which stands for '/' there",
        )
    return name


def stored_name(path: str, layout: str) -> tuple[str, str]:
    """Return name and folder of a file at figshare; the folder is empty in the flat layout.

    Examples
    --------
    >>> stored_name("lab/Subjects/Cori/2016-12-14/001/alf/spikes.times.npy", "folders")
    ('spikes.times.npy', 'lab/Subjects/Cori/2016-12-14/001/alf')
    """
    name = flat_name(path)
    if layout == FLAT:
        return name, ""
    folder, _, last = path.rpartition("/")
    return last, folder


@functools.lru_cache(1 << 16)  # of each file it is asked several times in one upload
def session_path(name: str) -> str | None:
    """Return the path that a name stands for, or None if it is not one in a session."""
    path = name.replace("~", "/").strip("/")
    try:
        check_safe(path)
        split_path(path)
    except (UnsafeData, AlfError):
        return None
    return path


def needs_folders(files: Iterable[File]) -> bool:
    """Tell whether some name is no path, so that the folders are to be asked for, which no list of files has."""
    return any(session_path(file.name) is None and file.name not in _OWN for file in files)


def placed(files: Iterable[File], folders: Mapping[str, str]) -> dict[str, list[File]]:
    """Return the files of each path that lies in a session, oldest first.

    Parameters
    ----------
    files : iterable of File
        What figshare lists.
    folders : mapping
        Its ``folder_structure``: the number of a file, as text, and its folder.
    """
    found: dict[str, list[File]] = {}
    for file in sorted(files, key=lambda file: file.id):
        if file.name in _OWN:
            continue
        path = session_path(file.name) or session_path(f"{str(folders.get(str(file.id)) or '').strip('/')}/{file.name}")
        if path is not None:
            found.setdefault(path, []).append(file)
    return found
