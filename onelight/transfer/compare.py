"""Comparing: what is here, what the repository holds, what the public sees. Pure; the proof that an upload is whole."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from onelight.index import Entry, Index
from onelight.pack import is_pack
from onelight.repository import Leftover


class Mark(str, Enum):
    """How one side is to the other; the signs are those of ``rclone check --combined``."""

    SAME = "="
    """The same size and md5."""
    HERE = "+"
    """Only on the first side."""
    THERE = "-"
    """Only on the second side."""
    DIFFERS = "*"
    """Another size or md5."""
    BROKEN = "!"
    """Not whole, not confirmed, or not in the index."""


class Compared(NamedTuple):
    """One file, compared.

    Parameters
    ----------
    path : str
        Its path, or the name of something that is no dataset.
    local : Mark or None
        The local folder against the repository; None where no folder was given, and for what neither has.
    public : Mark or None
        The repository against what the public sees; None where nothing was published, and for what neither has.
    why : str
        What is wrong, in words; empty if nothing is.
    """

    path: str
    local: Mark | None
    public: Mark | None
    why: str

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return {self.local, self.public} <= {Mark.SAME, None}


def compare(
    local: Index | None,
    stored: Index,
    indexed: Index,
    public: Index | None,
    leftovers: Iterable[Leftover] = (),
) -> list[Compared]:
    """Compare every file of every side.

    Parameters
    ----------
    local : Index or None
        The local folder, with md5; None to compare the repository with what is public only.
    stored : Index
        What is whole in the repository.
    indexed : Index
        What its own index says; a file that is not in it is seen by no reader.
    public : Index or None
        What the public sees; None if nothing was published.
    leftovers : iterable of Leftover
        What broken runs have left.

    Returns
    -------
    list of Compared
        Sorted by path.
    """
    mine, theirs = _by_path(local), _by_path(stored)
    seen, shown = _by_path(indexed), _by_path(public)
    found: list[Compared] = []
    for path in sorted({*mine, *theirs, *seen, *shown}):
        there = theirs.get(path)
        here_mark: Mark | None
        here_mark, why = (None, "") if local is None else _mark(mine.get(path), there, "here", "in the repository")
        if there is None and path in seen:
            here_mark, why = Mark.BROKEN, "in the index, and not in the repository: readers find nothing there"
        elif there is not None and is_pack(path):
            here_mark, why = Mark.BROKEN, "what is in this pack is not known: send the session again"
        elif there is not None and there.md5 is None:
            here_mark, why = Mark.BROKEN, "its md5 is not known yet: look again later, or run the upload again"
        elif there is not None and (path not in seen or seen[path].url != there.url):
            here_mark, why = Mark.BROKEN, "not in the index: the upload was not finished"
        public_mark: Mark | None = None
        if public is not None:
            public_mark, words = _mark(there, shown.get(path), "in the draft", "public")
            why = why or words
        found.append(Compared(path, here_mark, public_mark, why))
    found += [Compared(leftover.path, Mark.BROKEN, None, leftover.why) for leftover in leftovers]
    return sorted(found, key=lambda one: one.path)


def _by_path(index: Index | None) -> dict[str, Entry]:
    return {entry.path: entry for entry in index} if index is not None else {}


def _mark(one: Entry | None, other: Entry | None, here: str, there: str) -> tuple[Mark | None, str]:
    if one is None:
        return (Mark.THERE, f"only {there}") if other is not None else (None, "")
    if other is None:
        return Mark.HERE, f"only {here}"
    if one.size != other.size:
        return Mark.DIFFERS, f"{one.size or 0:,} bytes {here}, {other.size or 0:,} {there}"
    if one.md5 != other.md5:
        return Mark.DIFFERS, f"another md5 {here} than {there}"
    return Mark.SAME, ""
