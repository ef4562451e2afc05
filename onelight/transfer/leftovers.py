"""What broken downloads left behind, and which of it nobody works on any more.

A partial file is normally continued by the next download of its file. Where there is none (the file came in another
way, or nobody wants it any more), it would lie there for ever; ``onelight cache gc`` removes it. The rule of who works
on a file is that of :mod:`onelight.transfer.partial`. Removing one that is taken over at this moment does no harm:
a rename and a removal of one name have one winner, and the loser finds nothing.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from onelight.transfer.partial import is_orphan

# ``.NAME.FINGERPRINT[.MACHINE-PID-RANDOM].part``, and its ``.json``: nothing else is ever looked at.
_FORM = re.compile(
    r"\..+\.[0-9a-f]{8}(?:\.(?P<owner>[0-9a-f]{12}-[0-9]+-[0-9a-f]{8}))?\.(?P<kind>part|json)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Leftover:
    """A partial file, or what is known of one.

    Parameters
    ----------
    path : Path
        Where it is.
    size : int
        Its bytes.
    in_use : bool
        Whether somebody works on it, or may: a process of this machine that lives, or one of another machine that
        touched it less than six hours ago.
    """

    path: Path
    size: int
    in_use: bool


def find_leftovers(folder: Path) -> list[Leftover]:
    """Return every partial file below a folder, sorted by path.

    Parameters
    ----------
    folder : Path
        The data folder of a repository. Links inside it are not followed.

    Raises
    ------
    OSError
        If a folder cannot be read: nobody could say that nothing is left.
    """
    found = []
    for parent, _, names in os.walk(folder, onerror=unless_missing):
        for name in names:
            form = _FORM.fullmatch(name)
            if form is None:
                continue
            leftover = _look(Path(parent, name), form["owner"])
            if leftover is not None:
                found.append(leftover)
    return sorted(found, key=lambda leftover: leftover.path)


def remove(leftover: Leftover) -> bool:
    """Remove a partial file, or a folder of them; return False if it is in use, or no longer there.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    if leftover.in_use:
        return False
    try:
        if leftover.path.is_dir():  # of a copy between repositories
            shutil.rmtree(leftover.path)
        else:
            leftover.path.unlink()
    except FileNotFoundError:
        return False  # continued by a download that began meanwhile
    return True


def _look(path: Path, owner: str | None) -> Leftover | None:
    if path.is_symlink() or not path.is_file():
        return None
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return Leftover(path, found.st_size, owner is not None and not is_orphan(owner, found.st_mtime))


def unless_missing(error: OSError) -> None:
    """Raise what a walk through a data folder came upon, but for a folder that is not there."""
    if not isinstance(error, FileNotFoundError):  # nothing was ever fetched
        raise error
