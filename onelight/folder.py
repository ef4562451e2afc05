"""What a local folder holds: one walk that finds every dataset and says of everything else why it is none.

A data root is the folder that holds the labs. Nothing is skipped in silence: what is not ALF comes back as a
:class:`Problem` with the reason and the right form, one for a whole folder where the folder is what is wrong. What is
shared although it is not strict ALF, which other clients may not read, is remarked on in the same way.
Files and folders that a system or a tool leaves behind (hidden ones, ``Thumbs.db``, copies that are not finished) are
no data, and are counted.
``docs/scan.md`` has all the rules.
"""

from __future__ import annotations

import os
import re
import stat
import time
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
from onelight.index import DATASETS_NAME, SESSIONS_NAME, Entry, Index

_LEFT_BEHIND = frozenset(
    {
        # Windows
        *("Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini"),
        *("$RECYCLE.BIN", "$Recycle.Bin", "RECYCLER", "System Volume Information"),
        # macOS, and servers that serve it
        *("Icon\r", "__MACOSX", "Network Trash Folder", "Temporary Items"),
        # Linux, Synology, QNAP
        *("lost+found", "@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot"),
    }
)
#: What says what the data are, beside the labs: no data itself (:mod:`onelight.description`, :mod:`onelight.tables`).
_BESIDE = frozenset({"one.toml", SESSIONS_NAME, DATASETS_NAME})
#: How the names of copies that are not finished end, of browsers and of programs that copy.
_UNFINISHED = (".part", ".partial", ".crdownload", ".filepart")
#: The last character of these: nearly all names end with another one, and this is asked of every file.
_UNFINISHED_LAST = frozenset("tldTLD")
#: Names of files that were found to be good, by the folder below a session. They repeat in every session.
_MOST_REMEMBERED = 100_000
#: Time stamps are as coarse as two seconds (FAT): in a folder that changed so short a time ago, more may be on its way.
_COARSE = 2_000_000_000
_FOLDER = re.compile(rb"([^\0]*)\0([^\0]*)\0")
#: A folder that is open is looked through faster than one that is named: the system finds its way there once.
_BY_HANDLE = os.scandir in os.supports_fd
_OPEN_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_IS_FOLDER = -1


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
        return sum(total.size or 0 for total in self.index.by_session())


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
    walk = Walk(root)
    index = Index(walk)
    return Scan(index, walk.problems, walk.ignored, walk.remarks)


class Walk:
    """One walk over a data root: iterate it once, and it yields every dataset, in the order of the paths, as found.

    What it could not use, and what it remarks on, is known in full when it has ended.

    Parameters
    ----------
    root : Path
        Folder that holds ``LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER/``.

    Attributes
    ----------
    ignored : int
        Hidden files and leftovers of systems and tools; a folder of them counts once.
    folders : bytearray
        Every folder that was entered, and when it had last changed before that; for :func:`changed`.

    Raises
    ------
    RepositoryNotFound
        If there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise RepositoryNotFound(f"there is no folder {root}", hint="Give the folder that holds the labs")
        self._given = root
        self._root = os.path.join(root.absolute(), "")  # noqa: PTH118 - a Path would lose the slash
        self.ignored = 0
        self.folders = bytearray()
        self._problems: dict[tuple[str, str], int] = {}
        self._remarks: dict[_Remark, _Told] = {}
        self._good: dict[str, set[str]] = {}
        self._remembered = 0
        self._unsure = False
        self._links = _Links(self._root)
        self._is_empty = True

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What cannot be shared, sorted by path; complete when the walk has ended."""
        found = [Problem(path, reason, files) for (path, reason), files in self._problems.items()]
        return tuple(sorted([*found, _no_session(self._given)] if self._is_empty else found))

    @property
    def remarks(self) -> tuple[Problem, ...]:
        """What is shared and not strict ALF, sorted by path; complete when the walk has ended."""
        return tuple(sorted(told.problem(remark) for remark, told in self._remarks.items() if told.files))

    def __iter__(self) -> Iterator[Entry]:
        for path, size in self.pairs():
            yield Entry(path, "", size)

    def pairs(self) -> Iterator[tuple[str, int]]:
        """Yield path and size of every dataset: the same, without the cost of an object for each."""
        for prefix, names, sizes in self.blocks():
            for name in names:
                yield prefix + name, sizes[name]

    def blocks(self) -> Iterator[tuple[str, list[str], dict[str, int]]]:
        """Yield datasets that lie in one folder together: what stands before their names, the names, sizes by name."""
        stack = [self._enter("", _Place(0, "", set()))]
        while stack:
            names, sizes, prefix, place = stack[-1]
            below = ""
            if place.good.issuperset(sizes):  # nearly always: no folder below, and all was good in another session
                run = list(names)
            else:
                run = []
                for name in names:
                    if sizes[name] < 0:
                        below = name
                        break
                    if name in place.good or self._judge(prefix, name, place, sizes):
                        run.append(name)
            if run:
                yield prefix, run, sizes
            if below:
                stack.append(self._enter(prefix + below, self._place(prefix + below, place)))
            else:
                stack.pop()

    def _enter(self, prefix: str, place: _Place) -> _Listing:
        """List a folder: its names in the order of the paths below it, a slash behind those of folders."""
        sizes: dict[str, int] = {}
        others: list[os.DirEntry[str]] = []
        folder = self._root + prefix
        self._unsure = False
        when = 0
        try:
            handle = os.open(folder, _OPEN_FOLDER) if _BY_HANDLE else None
            try:
                # Looked at before it is listed: what comes while it is, changes it once more.
                when = (os.stat(folder) if handle is None else os.fstat(handle)).st_mtime_ns  # noqa: PTH116
                with os.scandir(folder if handle is None else handle) as items:
                    for item in items:
                        name = item.name
                        if (
                            name[0] == "."
                            or name in _LEFT_BEHIND
                            or (not prefix and name in _BESIDE)
                            or ("~" in name and _is_editors(name))
                        ):
                            self.ignored += 1
                            continue
                        try:
                            if item.is_file():
                                if name[-1] in _UNFINISHED_LAST and name.lower().endswith(_UNFINISHED):
                                    self.ignored += 1
                                    continue
                                sizes[name] = item.stat().st_size
                            else:
                                others.append(item)
                        except OSError as error:
                            self._tell_unread(prefix + name, error)
                for item in sorted(others, key=lambda item: item.name):  # which of two links is followed: the first
                    if self._is_folder(item, prefix):
                        sizes[item.name + "/"] = _IS_FOLDER
            finally:
                if handle is not None:
                    os.close(handle)
        except OSError as error:
            self._tell_unread(prefix.rstrip("/") or ".", error)
        is_sure = not self._unsure and when < time.time_ns() - _COARSE
        self.folders += f"{prefix[:-1]}\0{when if is_sure else ''}\0".encode("utf-8", "surrogatepass")
        files = sum(size >= 0 for size in sizes.values()) if place.lab else 0
        for remark in place.lab:
            self._note(remark, prefix, files)
        return iter(sorted(sizes)), sizes, prefix, place

    def _is_folder(self, item: os.DirEntry[str], prefix: str) -> bool:
        """Tell whether something that is no file is a folder to be entered, and take down why not."""
        path = prefix + item.name
        try:
            if item.is_dir():
                reason = self._links.problem(self._root + path) if _is_link(item) else ""
            elif item.is_symlink():
                self._unsure = True  # it may lead to something by the next time, and the folder looks the same
                reason = "is neither a file nor a folder: a broken link"
            elif os.path.lexists(self._root + path):
                reason = "is neither a file nor a folder: a pipe, a socket or a device"
            else:
                return False  # gone since the folder was listed: as if it had been gone before
        except OSError as error:
            self._tell_unread(path, error)
            return False
        if reason:
            self._tell(path, reason)
        return not reason

    def _tell_unread(self, path: str, error: OSError) -> None:
        self._unsure = True
        if not isinstance(error, FileNotFoundError):  # gone since the folder above was listed: it might as well be
            self._tell(path, f"cannot be read: {error.strerror}")

    def _place(self, prefix: str, above: _Place) -> _Place:
        """Return what a folder means: it is found out once what is wrong with a lab or a session as a whole."""
        if above.problem is not None:
            return above
        depth = above.depth + 1
        parts = prefix.split("/")  # the last one, empty, stands for the file
        if depth > 5:
            below = f"{above.below}{parts[-2]}/"
            names = self._names(below) if above.is_plain else set()
            return _Place(depth, below, names, None, above.lab, above.is_plain)
        problem = _layout_problem(parts) if depth == 5 or (depth == 2 and parts[1] != "Subjects") else None
        if depth < 5 or problem is not None:
            return _Place(depth, "", set(), problem)
        session = Session.parse(prefix)
        is_plain = len(session.number) == 3 and _is_safe(prefix[:-1])
        return _Place(5, "", self._names("") if is_plain else set(), None, _lab_remarks(session), is_plain)

    def _names(self, below: str) -> set[str]:
        """Return the names known to be good in a folder below a session."""
        known = self._good.get(below)
        if known is None:
            self._remember()
            known = self._good[below] = set()
        return known

    def _remember(self) -> None:
        self._remembered += 1
        if self._remembered > _MOST_REMEMBERED:
            for names in self._good.values():
                names.clear()
            self._good.clear()
            self._remembered = 0

    def _judge(self, prefix: str, name: str, place: _Place, sizes: dict[str, int]) -> bool:
        """Tell whether a file can be shared, and take down why not, or what others may not read."""
        path = prefix + name
        problem = place.problem or _problem_of(path)
        if problem is not None:
            self._tell(*problem)
            for remark in place.lab:  # it was counted with its folder
                self._remarks[remark].files -= 1
            return False
        self._is_empty = False
        remarks = _dataset_remarks(place.below + name)
        for remark in remarks:
            # The folder has been listed: whether its right name is taken is known here.
            self._note(remark, path, 1, is_taken=remark.parts is None and sizes.get(remark.right, -1) >= 0)
        if not remarks and place.is_plain:
            self._remember()
            place.good.add(name)
        return True

    def _tell(self, path: str, reason: str) -> None:
        self._problems[path, reason] = self._problems.get((path, reason), 0) + 1

    def _note(self, remark: _Remark, path: str, files: int, *, is_taken: bool = False) -> None:
        told = self._remarks.get(remark)
        if told is None:
            told = self._remarks[remark] = _Told("/".join(path.split("/")[: remark.parts]))
        told.files += files
        told.is_taken |= is_taken


def changed(root: Path, folders: bytes | bytearray) -> bool:
    """Tell whether something came, went or was renamed in one of these folders since a walk entered them.

    What was written into a file that was there already does not show in its folder, and is not seen.

    Parameters
    ----------
    root : Path
        The data root of that walk.
    folders : bytes
        Its :attr:`Walk.folders`, when it had ended.

    Returns
    -------
    bool
        Also True where that cannot be known: a folder that had changed in the two seconds before the walk saw it,
        that could not be read, or that holds a link to nothing.
    """
    if b"\0\0" in folders or not folders:
        return True
    top = os.path.join(root.absolute(), "")  # noqa: PTH118 - a Path would lose the slash
    end = 0
    try:
        for found in _FOLDER.finditer(folders):
            end = found.end()
            now = os.stat(top + found[1].decode("utf-8", "surrogatepass"))  # noqa: PTH116 - a third of Path.stat
            if now.st_mtime_ns != int(found[2]):
                return True
    except (OSError, ValueError):  # gone, or a record that is none
        return True
    return end != len(folders)


class _Place(NamedTuple):
    """What a folder means: how deep it lies, its path below the session, and what holds for all of its files."""

    depth: int
    below: str
    good: set[str]
    problem: tuple[str, str] | None = None
    lab: tuple[_Remark, ...] = ()
    is_plain: bool = False


_Listing = tuple[Iterator[str], dict[str, int], str, _Place]


class _Links:
    """Links to folders: each folder outside of the root once, and none twice."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)
        self._shared: set[str] = set()
        self._above: set[str] = set()
        self._add(self._root)

    def _add(self, folder: str) -> None:
        self._shared.add(folder)
        self._above.update(_above(folder))

    def problem(self, link: str) -> str:
        """Say why a link to a folder is not followed; if it is, no further link may lead there."""
        real = os.path.realpath(link)
        if real == self._root or real in self._above:
            return "is a link to a folder that holds a folder that is shared already: a circle"
        if real in self._shared or not self._shared.isdisjoint(_above(real)):
            return "is a link that leads to a folder that is shared already"
        self._add(real)
        return ""


def _above(folder: str) -> Iterator[str]:
    """Yield every folder that holds this one."""
    above = os.path.dirname(folder)  # noqa: PTH120 - text, and millions of it
    while above != folder:
        yield above
        folder, above = above, os.path.dirname(above)  # noqa: PTH120


def _is_link(item: os.DirEntry[str]) -> bool:
    """Tell whether a folder is a link to one; on Windows a junction is, too."""
    if os.name != "nt":
        return item.is_symlink()
    attributes = getattr(item.stat(follow_symlinks=False), "st_file_attributes", 0)
    return bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)


def _is_editors(name: str) -> bool:
    """Tell whether a file with a ``~`` is a copy or a lock that an editor or an office left."""
    return name[-1] == "~" or name.startswith("~$")


def _is_safe(path: str) -> bool:
    try:
        check_safe(path)
    except OneError:
        return False
    return True


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


@dataclass(slots=True)
class _Told:
    """What became of a remark: the first path it is about, how many, and whether a right name is taken."""

    path: str
    files: int = 0
    is_taken: bool = False

    def problem(self, remark: _Remark) -> Problem:
        taken = ", which is taken" if self.is_taken else ""
        return Problem(self.path, remark.reason + _suggestion(remark.right) + taken, self.files)


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
