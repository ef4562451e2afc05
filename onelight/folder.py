"""What a local folder holds: one walk that finds every dataset and says of everything else why it is none.

A data root is the folder that holds the labs. Nothing is skipped in silence: what is not ALF comes back as a
:class:`Problem` with the reason and the right form, one for a whole folder where the folder is what is wrong. What is
shared although it is not strict ALF, which other clients may not read, is remarked on in the same way.
Files and folders that a system or a tool leaves behind (hidden ones, ``Thumbs.db``) are no data, and are counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from onelight.alf import (
    DATASET_FORM,
    SESSION_FORM,
    Dataset,
    Session,
    check_safe,
    nearest,
    nearest_name,
    session_remarks,
    sharing_problems,
    split_path,
    strict_problems,
)
from onelight.errors import AlfError, OneError, RepositoryNotFound
from onelight.index import Entry, Index

_LEFT_BEHIND = frozenset({"Thumbs.db", "desktop.ini", "Icon\r", "__MACOSX"})


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something in a data root that cannot be shared as it is, or that others may not read (``Scan.remarks``).

    Parameters
    ----------
    path : str
        Path relative to the data root; ``.`` for the root itself. Of files of one name, the first.
    reason : str
        Why not, and what the right form is.
    files : int
        Files that it is about.
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
    remarks : tuple of Problem
        Datasets that are shared and are not strict ALF: one for each file name, folder or lab, sorted by path.
    """

    index: Index
    problems: tuple[Problem, ...]
    ignored: int
    remarks: tuple[Problem, ...] = ()

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
    index = Index(walk.entries())
    problems = _merge(walk.problems)
    if not index:
        problems.append(_no_session(root))
    return Scan(index, tuple(sorted(problems)), walk.ignored, tuple(sorted(_remarks(index))))


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
        return path, f"{error.message}. {error.hint}".removesuffix(". ") + _suggestion(nearest_name(_file(path)))
    problems = sharing_problems(session, below)
    if len(session.number) != 3:
        return str(session), "; ".join(problems)
    return (path, "; ".join(problems) + _suggestion(nearest_name(_file(path)))) if problems else None


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


class _Remark(NamedTuple):
    """What others may not read: the first ``parts`` of a path (of a file name: all), why, and what would be right."""

    about: str
    parts: int | None
    reason: str
    right: str = ""


def _remarks(index: Index) -> Iterator[Problem]:
    """Say once of each lab, folder and file name that is not strict ALF why not."""
    found: dict[_Remark, list[str]] = {}
    for entry in index:
        session, below = split_path(entry.path)
        for remark in _lab_remarks(session) + _dataset_remarks(below):
            found.setdefault(remark, []).append(entry.path)
    for remark, paths in found.items():
        first = "/".join(paths[0].split("/")[: remark.parts])
        taken = remark.parts is None and any(f"{path.rpartition('/')[0]}/{remark.right}" in index for path in paths)
        reason = remark.reason + _suggestion(remark.right) + (", which is taken" if taken else "")
        yield Problem(first, reason, len(paths))


@lru_cache(maxsize=4096)
def _lab_remarks(session: Session) -> tuple[_Remark, ...]:
    return tuple(_Remark(session.lab, 1, reason) for reason in session_remarks(session))


@lru_cache(maxsize=4096)
def _dataset_remarks(below: str) -> tuple[_Remark, ...]:
    """Return what is not strict in the folders below a session, and what in a file name."""
    dataset = Dataset.parse(below)
    if not strict_problems(dataset):
        return ()
    folder, _, name = below.rpartition("/")
    remarks = []
    strict = Dataset.parse("object.attribute.extension")
    in_folder = replace(strict, collection=dataset.collection, revision=dataset.revision)
    for half, about, parts in ((in_folder, folder, 6 + folder.count("/")), (Dataset.parse(name), name, None)):
        reasons = strict_problems(half)
        if reasons:
            right = str(nearest(half) or "")
            right = right if parts is None else right.rpartition("/")[0]
            remarks.append(_Remark(about, parts, "; ".join(reasons), right))
    return tuple(remarks)


def _suggestion(right: str) -> str:
    return f"; the nearest right name is {right}" if right else ""


def _file(path: str) -> str:
    return path.rpartition("/")[2]


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
