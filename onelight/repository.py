"""The port: what a repository is to everything above it.

A repository answers two questions, what it holds and where the bytes are, and one that can be written takes bytes
too. It never retries, verifies, resumes or picks a local path: that is the business of ``transfer``, once for all
kinds. Abilities are types: a repository that can be written *is* a :class:`WritableRepository`.

The comments are the contract for implementers; ``tests/kinds/contract.py`` holds every kind to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeGuard

from onelight.index import Entry, Index
from onelight.route import Source

if TYPE_CHECKING:
    from onelight.description import Description, Difference
    from onelight.pack import Pack
    from onelight.tables import Facts


@dataclass(frozen=True, slots=True)
class Room:
    """How much a repository still takes; None where it does not say.

    Parameters
    ----------
    bytes_left, largest_file : int or None
        Bytes in all, and of one file.
    files_left : int or None
        Files, the index included.
    notes, refusals : tuple of str
        What is told before anything is sent, and what makes that it cannot succeed.
    requests, seconds : int and float, or None
        How many requests it will take at the least, and how long these take at the pace that the server asks for.
    """

    bytes_left: int | None = None
    largest_file: int | None = None
    files_left: int | None = None
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    requests: int | None = None
    seconds: float | None = None


class Leftover(NamedTuple):
    """What a broken run has left in a store: no reader sees it, and it takes up room.

    Parameters
    ----------
    path : str
        The dataset that it was to be, or its name.
    why : str
        What is wrong with it, in words.
    key : str
        By which the store knows it.
    """

    path: str
    why: str
    key: str


class Publication(NamedTuple):
    """What was published.

    Parameters
    ----------
    address : str
        Where the public finds it.
    version : int or None
        The number of the version.
    doi : str
        Its DOI.
    is_visible : bool
        Whether the public sees it already.
    """

    address: str
    version: int | None
    doi: str
    is_visible: bool


class Citation(NamedTuple):
    """How a repository is cited: as a line of text, and as an entry for BibTeX."""

    text: str
    bibtex: str


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

    def cite(self) -> Citation | None:
        """Return how the repository is cited; None for one that has no publication."""
        return None


class WritableRepository(Repository):
    """A repository that takes files."""

    #: Whether it takes a session as one file, and gives single datasets of it.
    takes_packs: ClassVar[bool] = False
    #: Whether the store makes the md5 of every file itself, sooner or later.
    compares_md5: ClassVar[bool] = True

    @abstractmethod
    def stored(self) -> Index:
        """Return what is whole in the store now, committed or not, with size and md5 where the store knows them.

        Each path once. What a broken upload left half-way is not in it.
        """

    def committed(self) -> Index:
        """Return what the index in the store says, and nothing else, after :meth:`stored` has looked."""
        return self.refresh()

    @abstractmethod
    def room(self, puts: Sequence[Entry] = (), *, grow: bool = False) -> Room:
        """Say how much more fits, and what is to be known before these are sent; sends nothing.

        ``grow`` says that the store may be made larger, as :meth:`grow` does.
        """

    def grow(self, puts: Sequence[Entry]) -> Mapping[str, Any]:  # noqa: ARG002 - the kinds decide
        """Make the store large enough for these; return keys of the configuration that have changed by it."""
        return {}

    @abstractmethod
    def put(self, entry: Entry, path: Path | Pack, progress: Callable[[int], None]) -> Entry:
        """Store one file and return its entry as stored: size, md5 and address as the store states them.

        ``entry`` has the size and md5 of ``path``. Called from several threads at once, once per path. Idempotent:
        content that is already there is not sent again, and what an earlier run left half-way is continued. Bytes
        sent are reported to ``progress``. An md5 of None in the answer means that the store has not confirmed it yet.
        Whoever reads meanwhile finds the old file or the new one, whole.
        """

    def send(self, entry: Entry, path: Path | Pack, progress: Callable[[int], None]) -> Callable[[], Entry]:
        """Store one file as :meth:`put` does, and return what waits until the store has checked it.

        For a store that takes its time to check (figshare does): others are sent meanwhile. What is returned is
        called once, and gives or raises what :meth:`put` would.
        """
        stored = self.put(entry, path, progress)
        return lambda: stored

    def has_compared(self, entry: Entry) -> bool:
        """Tell whether the store has compared the md5 of a file, as it was returned by :meth:`put`."""
        return entry.md5 is not None

    @abstractmethod
    def delete(self, entry: Entry) -> None:
        """Remove one file; one that is not there is no error."""

    def discard(self, entry: Entry) -> None:
        """Remove what :meth:`put` has just stored and returned, and nothing that it was to replace."""
        self.delete(entry)

    def settled(self, index: Index) -> Index:
        """Return an index, once it was written, with the addresses that its files have since."""
        return index

    def leftovers(self, continued: Sequence[Entry] = ()) -> list[Leftover]:  # noqa: ARG002 - the kinds decide
        """Return what broken runs have left, but not what sending these would go on with."""
        return []

    def clean(self, leftovers: Sequence[Leftover]) -> None:
        """Remove leftovers."""

    @abstractmethod
    def write_index(self, index: Index, facts: Facts | None = None) -> bool:
        """Commit: make this the index that readers see, then remove what it replaces.

        With it go the tables of :mod:`onelight.tables`, for which ``facts`` has dtype and shape of arrays by path.
        Returns False, and sends nothing, if readers see this very index already. Readers find the old index or the
        new one at any moment, never none and never half of one.
        """


class PublishableRepository(WritableRepository):
    """A repository with a private draft and a public face."""

    @abstractmethod
    def missing_for_publication(self) -> list[str]:
        """Return what must be there first, in words for a person; empty if nothing is missing. Sends nothing."""

    @abstractmethod
    def published(self) -> Index | None:
        """Return what the public sees, with size and md5 where the store states them; None if nothing was published."""

    @abstractmethod
    def publish(self) -> Publication:
        """Make everything public. Cannot be undone."""

    @abstractmethod
    def description(self) -> Description:
        """Return what the repository says of itself."""

    @abstractmethod
    def unpublished(self) -> list[Difference]:
        """Return what the draft says of itself otherwise than what is public; empty if nothing was published."""

    @abstractmethod
    def compare_description(self, description: Description) -> list[Difference]:
        """Return in which fields the repository says something else; a field that is empty says nothing."""

    @abstractmethod
    def set_description(self, description: Description, *, how_to_download: bool = False) -> list[str]:
        """Say this of the repository; return the names of the fields that were changed."""

    @abstractmethod
    def choices(self, field: str) -> list[str]:
        """Return what there is to choose from for ``categories`` or ``licenses`` of a description."""

    @abstractmethod
    def reserve_doi(self) -> str:
        """Return the DOI that it will have when it is published."""
