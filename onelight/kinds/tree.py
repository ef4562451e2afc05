"""A store that is a tree of files and folders: what :mod:`onelight.kinds.growing` needs of one to write to it.

WebDAV (:mod:`onelight.kinds.dav`) and all that fsspec reaches (:mod:`onelight.kinds.remote`) are such stores. Paths are
those of the repository, with ``/`` and relative to its top, which is ``""``; they were checked before they get here.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from onelight.errors import RepositoryError
from onelight.index import Entry

# No dot at its beginning: nginx lists no such names, and what is left of a broken run has to be found. Not ".part":
# Nextcloud and ownCloud refuse it. nginx adds ten digits to a copy of its own when the disk is full.
_PART = re.compile(r"(?:.*/)?[0-9a-f]{16}\.onelight(?:\.[0-9]{10})?")


def part_beside(path: str) -> str:
    """Return a new temporary name in the folder of a file, which is no name of ALF."""
    folder = path.rpartition("/")[0]
    return f"{folder}/{os.urandom(8).hex()}.onelight" if folder else f"{os.urandom(8).hex()}.onelight"


def is_part(path: str) -> bool:
    """Tell whether a path is a temporary name of ours.

    Examples
    --------
    >>> is_part("alf/0123456789abcdef.onelight"), is_part("alf/spikes.times.npy")
    (True, False)
    """
    return _PART.fullmatch(path) is not None


class Held(NamedTuple):
    """A file that a store holds, as the store tells.

    Parameters
    ----------
    path : str
        Where it is.
    size : int or None
        Bytes; None where the store does not tell.
    version : str
        Its entity tag, or the date of its last change: other content has another one, as far as the store can tell.
    md5 : str or None
        Hexadecimal, where the store states one that it has compared or made itself.
    moment : float or None
        When it was last changed, in seconds by the clock of the store.
    """

    path: str
    size: int | None
    version: str = ""
    md5: str | None = None
    moment: float | None = None


class Taken(RepositoryError):
    """A name that was free has been taken, or a file has been changed, by somebody else meanwhile."""


class NoMove(RepositoryError):
    """The store does not rename files."""


class Tree(ABC):
    """A store. All methods may be called from several threads at once; what passes is repeated here, nowhere above.

    Raises
    ------
    AccessDenied, ReadOnlyRepository, QuotaExceeded, RateLimited, Unreachable, RepositoryError
        By any method, in the words of the port.
    """

    @abstractmethod
    def url(self, path: str) -> str:
        """Return the address at which readers find a file."""

    @abstractmethod
    def walk(self) -> Iterator[Held]:
        """Yield every file in a session (``LAB/Subjects/…``) and at the top, hidden ones too; nothing of no tree.

        Raises an error rather than to leave out a folder that cannot be listed.
        """

    @abstractmethod
    def look(self, folder: str) -> dict[str, Held]:
        """Return the files directly in a folder, by path; none of one that is not there."""

    def find(self, path: str) -> Held | None:
        """Return one file, also one that lists do not show (nginx: ``.one_root``); None if it is not there."""
        return self.look(path.rpartition("/")[0]).get(path)

    @abstractmethod
    def age(self, path: str) -> float | None:
        """Return for how many seconds a file or folder has been unchanged, by one clock; None if it is not there."""

    @abstractmethod
    def read(self, path: str) -> IO[bytes] | None:
        """Return the content of a file of a few megabytes, at its beginning; None if it is not there."""

    @abstractmethod
    def md5(self, path: str) -> str:
        """Read a file of any size back and return the md5 of its content."""

    @abstractmethod
    def make(self, folder: str) -> None:
        """Make a folder and those above it, where they are not there yet."""

    @abstractmethod
    def write(self, path: str, source: Path, entry: Entry, told: Callable[[int], None]) -> bool:
        """Store a local file under a name of which nobody else knows; one that is there is replaced.

        Returns whether the store itself has compared what came with the md5: that it is in a listing proves nothing
        of a store that only repeats what it was told.

        Exactly ``entry.size`` bytes with ``entry.md5``; bytes sent are reported to ``told``, which may raise to stop.

        Raises
        ------
        ChecksumMismatch
            If the local file has other content by now; nothing is left under the name.
        """

    @abstractmethod
    def write_over(self, path: str, source: Path, entry: Entry, told: Callable[[int], None], old: Held | None) -> bool:
        """As :meth:`write`, under a name that others know: for a store that does not rename.

        Raises
        ------
        Taken
            If there is another file than ``old`` (None: if there is any), as far as the store can tell.
        """

    @abstractmethod
    def move(self, path: str, target: str, old: Held | None) -> None:
        """Rename a file, at once for whoever reads.

        Parameters
        ----------
        path, target : str
            Its name and its new one.
        old : Held or None
            The file that it replaces; None if it replaces none.

        Raises
        ------
        Taken
            If at ``target`` is another file than ``old`` (None: any file), as far as the store can tell.
        NotFound
            If ``path`` is not there.
        NoMove
            If the store renames nothing.
        """

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all in it; what is not there is no error."""

    @abstractmethod
    def claim(self, mark: str, token: str) -> str | None:
        """Make a mark at the top that only one can make, until it is removed; return the token of whoever has it.

        Parameters
        ----------
        mark : str
            Its name. It is a file or a folder, whichever the store makes for one only.
        token : str
            A word without special characters. The caller has the mark if it comes back; None means that somebody has
            it who has not said yet who he is.
        """

    @abstractmethod
    def holder(self, mark: str) -> str | None:
        """Return the token of whoever has a mark; None if nobody has said so."""

    @abstractmethod
    def release(self, mark: str, token: str) -> None:
        """Take a mark away if it has this token, or none where this is empty; not that of somebody else.

        Never asked twice: should the answer be lost, the mark may be the next one's by then.
        """

    @abstractmethod
    def room(self) -> int | None:
        """Return how many bytes more the store takes; None where it does not say."""
