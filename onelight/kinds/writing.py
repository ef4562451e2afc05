"""What the kinds have in common whose store is a tree: they write by :mod:`onelight.kinds.growing`.

In a file of its own, because whoever only reads imports none of that.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from onelight.index import Entry, Index
from onelight.repository import Leftover, Room, WritableRepository

if TYPE_CHECKING:
    from onelight.client import Client
    from onelight.kinds.growing import Growing
    from onelight.kinds.tree import Tree
    from onelight.pack import Pack
    from onelight.tables import Facts


class TreeRepository(WritableRepository):
    """A repository whose store is a tree.

    Parameters
    ----------
    name : str
        Its name in the configuration.
    client : Client
        The HTTP client, which also knows when a run is stopped.
    """

    compares_md5: ClassVar[bool] = False

    def __init__(self, name: str, client: Client) -> None:
        super().__init__(name)
        self._client = client
        self._making = threading.Lock()
        self._writes: Growing | None = None

    @abstractmethod
    def _tree(self) -> Tree:
        """Return the store."""

    @property
    def _growing(self) -> Growing:
        """What writes, made when it is first wanted."""
        with self._making:
            if self._writes is None:
                from onelight.kinds.growing import Growing

                self._writes = Growing(self._tree(), self.name, self.identity, self._client.wait)
            return self._writes

    def stored(self) -> Index:
        """List the store, and say of each file what is known of it."""
        return self._growing.stored()

    def committed(self) -> Index:
        """Return what the index in the store says; empty if there is none."""
        return self._growing.committed()

    def room(self, puts: Sequence[Entry] = (), *, grow: bool = False) -> Room:  # noqa: ARG002 - those of the port
        """Ask the store for its quota."""
        return self._growing.room(puts)

    def put(self, entry: Entry, path: Path | Pack, progress: Callable[[int], None]) -> Entry:
        """Send one file, and look at it in the store."""
        return self.send(entry, path, progress)()

    def send(self, entry: Entry, path: Path | Pack, progress: Callable[[int], None]) -> Callable[[], Entry]:
        """Send one file; what is returned looks at it in the store."""
        return self._growing.send(entry, path, progress)

    def has_compared(self, entry: Entry) -> bool:
        """Tell whether the store has said that it has the md5 of what was sent."""
        return self._growing.has_compared(entry.path)

    def delete(self, entry: Entry) -> None:
        """Remove a file."""
        self._growing.delete(entry)

    def discard(self, entry: Entry) -> None:
        """Remove what was just sent."""
        self._growing.discard(entry)

    def settled(self, index: Index) -> Index:
        """Return an index with the addresses of the places that its files have by now."""
        return self._growing.settled(index)

    def leftovers(self, continued: Sequence[Entry] = ()) -> list[Leftover]:
        """Return temporary files that nobody goes on with."""
        return self._growing.leftovers(continued)

    def clean(self, leftovers: Sequence[Leftover]) -> None:
        """Remove leftovers."""
        self._growing.clean(leftovers)

    def write_index(self, index: Index, facts: Facts | None = None) -> bool:
        """Give everything its place: what replaces other files, the tables, and ``.one_root`` last."""
        return self._growing.write_index(index, facts)
