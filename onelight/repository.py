"""The port: what a repository is to everything above it.

A repository answers two questions, what it holds and where the bytes are, and one that can be written takes bytes
too. It never retries, verifies, resumes or picks a local path: that is the business of ``transfer``, once for all
kinds. Abilities are types: a repository that can be written *is* a :class:`WritableRepository`.

The comments are the contract for implementers; ``tests/kinds/contract.py`` holds every kind to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeGuard

from onelight.index import Entry, Index
from onelight.route import Source


@dataclass(frozen=True, slots=True)
class Room:
    """How much a repository still takes; None where it does not say.

    Parameters
    ----------
    bytes_left, largest_file : int or None
        Bytes in all, and of one file.
    files_left : int or None
        Files, the index included.
    soft : str
        Words about a limit that the server may have raised without saying so; it is told, not enforced.
    """

    bytes_left: int | None = None
    largest_file: int | None = None
    files_left: int | None = None
    soft: str = ""


class Repository(ABC):
    """A named place that holds sessions.

    Parameters
    ----------
    name : str
        Its name in the configuration.
    """

    kind: ClassVar[str]
    """The word for it in the configuration file."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is, for a person; never a secret."""

    #: Seconds for which an index is not asked for again; None where the configuration decides.
    max_age: ClassVar[float | None] = None

    @property
    def identity(self) -> str:
        """What makes an index that of this repository, and of no other that had its name; never a secret."""
        return f"{self.kind} {self.address}"

    @abstractmethod
    def refresh(self, last: Index | None = None, *, path: Path | None = None) -> Index:
        """Bring the index up to date and return it; cheap when nothing changed.

        All of the new index, or an error and nothing. Readers see what the last complete upload committed.

        Parameters
        ----------
        last : Index, optional
            What an earlier call returned, in this process or in another: returned again if it is still right.
        path : Path, optional
            File that a new index is made in; without it one that disappears.
        """

    def facts(self, stamp: str) -> dict[str, str]:
        """Return what a new index is to know of itself: whose it is, and how it is told whether it is still right."""
        return {"source": self.identity, "stamp": stamp}

    def is_still(self, last: Index | None, stamp: str) -> TypeGuard[Index]:
        """Tell whether an index is this repository's, and was made when it had the same stamp."""
        return (
            last is not None
            and bool(stamp)
            and self.facts(stamp) == {name: last.fact(name) for name in ("source", "stamp")}
        )

    def is_certain(self, stamp: str) -> bool:  # noqa: ARG002 - the kinds decide
        """Tell whether by this stamp every change is seen; where not, who says ``--refresh`` gets all of it anew."""
        return True

    def look(self, entries: list[Entry]) -> list[Entry]:
        """Return entries of one session as they are at this moment, where that can be seen without asking anybody."""
        return entries

    @abstractmethod
    def source(self, entry: Entry) -> Source:
        """Say where the bytes of an entry are; open nothing, ask nobody."""


class WritableRepository(Repository):
    """A repository that takes files."""

    @abstractmethod
    def stored(self) -> Index:
        """Return what is whole in the store now, committed or not, with size and md5 where the store knows them.

        Each path once. What a broken upload left half-way is not in it.
        """

    @abstractmethod
    def room(self) -> Room:
        """Say how much more fits."""

    @abstractmethod
    def put(self, entry: Entry, path: Path, progress: Callable[[int], None]) -> Entry:
        """Store one file and return its entry as stored: size, md5 and address as the store states them.

        ``entry`` has the size and md5 of ``path``. Called from several threads at once, once per path. Idempotent:
        content that is already there is not sent again, and what an earlier run left half-way is continued. Bytes
        sent are reported to ``progress``. An md5 of None in the answer means that the store has not confirmed it yet.
        Whoever reads meanwhile finds the old file or the new one, whole.
        """

    def send(self, entry: Entry, path: Path, progress: Callable[[int], None]) -> Callable[[], Entry]:
        """Store one file as :meth:`put` does, and return what waits until the store has checked it.

        For a store that takes its time to check (figshare does): others are sent meanwhile. What is returned is
        called once, and gives or raises what :meth:`put` would.
        """
        stored = self.put(entry, path, progress)
        return lambda: stored

    @abstractmethod
    def delete(self, entry: Entry) -> None:
        """Remove one file; one that is not there is no error."""

    @abstractmethod
    def write_index(self, index: Index) -> bool:
        """Commit: make this the index that readers see, then remove what it replaces.

        Returns False, and sends nothing, if readers see this very index already. Readers find the old index or the
        new one at any moment, never none and never half of one.
        """


class PublishableRepository(WritableRepository):
    """A repository with a private draft and a public face."""

    @abstractmethod
    def missing_for_publication(self) -> list[str]:
        """Return what must be there first, in words for a person; empty if nothing is missing. Sends nothing."""

    @abstractmethod
    def publish(self) -> str:
        """Make everything public and return the public address. Cannot be undone."""
