"""What a local folder holds: one walk that finds every dataset and says of everything else why it is none.

A data root is the folder that holds the labs. Nothing is skipped in silence: what is not ALF comes back as a
:class:`Problem` with the reason and the right form, one for a whole folder where the folder is what is wrong.
Files and folders that a system or a tool leaves behind (hidden ones, ``Thumbs.db``) are no data, and are counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onelight.alf import DATASET_FORM, SESSION_FORM, Dataset, Session, check_safe, sharing_problems, split_path
from onelight.errors import AlfError, OneError, RepositoryNotFound
from onelight.index import Entry, Index

_LEFT_BEHIND = frozenset({"Thumbs.db", "desktop.ini", "Icon\r", "__MACOSX"})


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something in a data root that cannot be shared as it is.

    Parameters
    ----------
    path : str
        Path relative to the data root; ``.`` for the root itself.
    reason : str
        Why not, and what the right form is.
    files : int
        Files that are left out because of it.
    """

    path: str
    reason: str
    files: int = 1

    def __str__(self) -> str:
        shown = self.path if self.path.isprintable() else ascii(self.path)
        return f"{shown}: {self.reason}" + (f" ({self.files:,} files)" if self.files > 1 else "")


@dataclass(frozen=True, slots=True)
class Scan:
    """What a walk over a data root found.

    Parameters
    ----------
    index : Index
        Every dataset, with its size in bytes.
    problems : tuple of Problem
        Everything else, sorted by path.
    ignored : int
        Hidden files and leftovers of systems and tools.
    """

    index: Index
    problems: tuple[Problem, ...]
    ignored: int

    @property
    def sessions(self) -> list[str]:
        """Every session found, sorted."""
        return self.index.sessions

    @property
    def size(self) -> int:
        """Bytes of all datasets."""
        return sum(entry.size or 0 for entry in self.index)


def scan(root: Path) -> Scan:
    """Walk over a data root.

    Parameters
    ----------
    root : Path
        Folder that holds ``LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER/``.

    Returns
    -------
    Scan
        Datasets, problems, and the number of files that are no data.

    Raises
    ------
    RepositoryNotFound
        If there is no such folder.
    """
    if not root.is_dir():
        raise RepositoryNotFound(f"there is no folder {root}", hint="Give the folder that holds the labs")
    walk = _Walk(root)
    entries = list(walk.entries())
    problems = _merge(walk.problems)
    if not entries:
        problems.append(_no_session(root))
    return Scan(Index(entries), tuple(sorted(problems)), walk.ignored)


class _Walk:
    """One walk: yields entries, and keeps what it could not use."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.problems: list[Problem] = []
        self.ignored = 0

    def entries(self) -> Iterator[Entry]:
        for path, size in self._files(str(self._root), ""):
            reason = _problem_of(path)
            if reason is None:
                yield Entry(path, size=size)
            else:
                self.problems.append(Problem(reason[0], reason[1]))

    def _files(self, folder: str, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield path and size of every file below a folder, sorted; links to folders are not followed."""
        try:
            with os.scandir(folder) as found:
                items = sorted(found, key=lambda item: item.name)
        except OSError as error:
            self.problems.append(Problem(prefix.rstrip("/") or ".", f"cannot be read: {error.strerror}"))
            return
        for item in items:
            path = prefix + item.name
            if item.name.startswith(".") or item.name in _LEFT_BEHIND:
                self.ignored += 1
            elif item.is_dir(follow_symlinks=False):
                yield from self._files(item.path, path + "/")
            elif item.is_file():
                yield path, item.stat().st_size
            else:
                self.problems.append(
                    Problem(path, "is neither a file nor a folder: a broken link, or a link to a folder")
                )


def _problem_of(path: str) -> tuple[str, str] | None:
    """Return what is wrong with a file: the part of its path that is wrong and the reason, or None."""
    parts = path.split("/")
    place = _layout_problem(parts)
    if place is not None:
        return place
    try:
        check_safe(path)
        session, below = split_path(path)
        Dataset.parse(below)
    except OneError as error:
        return path, f"{error.message}. {error.hint}".removesuffix(". ")
    problems = sharing_problems(session, below)
    if problems:
        at = str(session) if len(session.number) != 3 else path
        return at, "; ".join(problems)
    return None


def _layout_problem(parts: list[str]) -> tuple[str, str] | None:
    """Return the folder that is not where a session needs it, and why."""
    if len(parts) == 1:
        return parts[0], f"is not in a session; the right form is {SESSION_FORM}/alf/{DATASET_FORM}"
    if len(parts) > 1 and parts[1] != "Subjects":
        what = "the folder" if len(parts) > 2 else "the file"
        return parts[0], f"holds {what} {parts[1]!a} where 'Subjects' should be; the right form is {SESSION_FORM}"
    if len(parts) < 6:
        return "/".join(parts), f"does not lie in a session; the right form is {SESSION_FORM}/alf/{DATASET_FORM}"
    try:
        Session.parse("/".join(parts[:5]))
    except AlfError as error:
        return "/".join(parts[:5]), f"{error.message}. {error.hint}"
    return None


def _merge(problems: list[Problem]) -> list[Problem]:
    """Say once, with the number of files, what is wrong for every file below a folder."""
    merged: dict[tuple[str, str], int] = {}
    for problem in problems:
        merged[problem.path, problem.reason] = merged.get((problem.path, problem.reason), 0) + problem.files
    return [Problem(path, reason, files) for (path, reason), files in merged.items()]


def _no_session(root: Path) -> Problem:
    """Say that a root has no session, and where one is if the wrong folder was given."""
    form = f"a data root holds {SESSION_FORM}/alf/{DATASET_FORM}"
    parts = root.absolute().parts
    if "Subjects" in parts:
        right = Path(*parts[: len(parts) - parts[::-1].index("Subjects") - 2])
        return Problem(".", f"has no session: {form}; did you mean {right}?", 0)
    if (root / "Subjects").is_dir():
        return Problem(".", f"has no session: {form}; did you mean {root.absolute().parent}?", 0)
    for below in sorted(root.glob("*/*/Subjects")):
        return Problem(".", f"has no session: {form}; did you mean {below.parent.parent}?", 0)
    return Problem(".", f"has no session: {form}", 0)
