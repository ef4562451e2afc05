"""A repository in a local folder: what is there is found by a scan and loaded in place, without a copy."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from onelight.alf import check_safe
from onelight.config import Settings, default_folder
from onelight.errors import ChecksumMismatch, NoSpace, OneError, RepositoryError, RepositoryNotFound
from onelight.folder import Walk, changed
from onelight.index import INDEX_NAME, Entry, Index, write_one_root
from onelight.repository import Room, WritableRepository
from onelight.route import Source

if TYPE_CHECKING:
    from onelight.client import Client
    from onelight.pack import Pack
    from onelight.tables import Facts


class LocalRepository(WritableRepository):
    """A folder that holds ``LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER/``.

    Parameters
    ----------
    name : str
        Its name in the configuration.
    root : Path
        The folder.
    """

    kind: ClassVar[str] = "local"
    max_age: ClassVar[float | None] = 0.0  # to look costs little, and who works on a folder wants to see it at once

    def __init__(self, name: str, root: Path) -> None:
        super().__init__(name)
        self.root = root
        self._tidied: set[Path] = set()

    @classmethod
    def from_settings(cls, settings: Settings, client: Client) -> LocalRepository:  # noqa: ARG003 - the one signature
        """Return the repository of ``root_dir``."""
        return cls(settings.name, Path(settings.require("root_dir")).expanduser().absolute())

    @property
    def address(self) -> str:
        """The folder."""
        return str(self.root)

    def refresh(self, last: Index | None = None, *, path: Path | None = None) -> Index:
        """Scan the folder, unless no folder in it was changed since the last time."""
        if not self.root.is_dir():
            raise RepositoryNotFound(
                f"the folder {self.root} of the repository '{self.name}' is not there",
                hint=f"Create it, or point elsewhere: onelight add-repo {self.name} --replace --local FOLDER",
            )
        stamp = last.fact("stamp") if last is not None else ""
        if self.is_still(last, stamp) and not changed(self.root, stamp.encode("latin-1")):
            return last
        walk = Walk(self.root)

        def remarks() -> Iterator[str]:
            """Say what was not used, when the walk has ended; that all is empty is how a new repository begins."""
            yield from (str(problem) for problem in walk.problems if problem.path != ".")

        return Index.build(walk, remarks(), path=path, facts=lambda: self.facts(walk.folders.decode("latin-1")))

    def is_certain(self, stamp: str) -> bool:  # noqa: ARG002 - that of the port
        """Return False: a file that grew in its place does not show in its folder."""
        return False

    def look(self, entries: list[Entry]) -> list[Entry]:
        """Return those that are still there, with the sizes that they have now: a file may grow in its place."""
        found = []
        for entry in entries:
            with contextlib.suppress(OSError):
                found.append(replace(entry, size=(self.root / entry.path).stat().st_size))
        return found

    def source(self, entry: Entry) -> Source:
        """Return the file itself."""
        check_safe(entry.path)
        return self.root / entry.path

    def stored(self) -> Index:
        """Scan the folder, and read what was not read before for its md5."""
        if not self.root.is_dir():
            return Index()
        from onelight.hashes import HASHES_NAME, Hashes  # processes and their pipes, which only an upload needs

        with Hashes(default_folder() / HASHES_NAME) as hashes:
            return Index(hashes.add(self.root, Walk(self.root)))

    def room(self, puts: Sequence[Entry] = (), *, grow: bool = False) -> Room:  # noqa: ARG002 - those of the port
        """Ask the disk."""
        import shutil  # brings all kinds of archives with it

        existing = next(folder for folder in (self.root, *self.root.parents) if folder.is_dir())
        return Room(bytes_left=shutil.disk_usage(existing).free)

    def put(self, entry: Entry, path: Path | Pack, progress: Callable[[int], None]) -> Entry:
        """Copy a file to its place: beside it first, compared, then renamed."""
        if not isinstance(path, Path):
            raise RepositoryError("a folder takes single files only", hint="Leave out --pack")
        import hashlib  # takes five milliseconds, as does what follows

        from onelight import owners
        from onelight.checksum import BLOCK, md5_of

        check_safe(entry.path)
        target = self.root / entry.path
        if target.is_file() and target.stat().st_size == entry.size and md5_of(target) == entry.md5:
            return replace(entry, url="")
        md5 = hashlib.md5()
        temporary = target.with_name(f".{owners.owner()}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._tidy(target.parent)
            with path.open("rb") as reader, temporary.open("xb") as writer:
                while block := reader.read(BLOCK):
                    md5.update(block)
                    writer.write(block)
                    progress(len(block))
                writer.flush()
                os.fsync(writer.fileno())
            if md5.hexdigest() != entry.md5:
                raise ChecksumMismatch(
                    f"{path} changed while it was read", hint="Run the command again once nothing writes to it any more"
                )
            temporary.replace(target)
        except OSError as error:
            if isinstance(error, OneError):
                raise
            raise NoSpace(
                f"{target} cannot be written: {error.strerror}", hint="Make room, or put its mode right"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        return replace(entry, url="")

    def _tidy(self, folder: Path) -> None:
        """Remove what a process that was killed has left in a folder."""
        if folder in self._tidied:
            return
        from onelight import owners  # takes some milliseconds with what it imports

        self._tidied.add(folder)
        for part in folder.glob(".*.part"):
            if owners.is_alive(part.name[1 : -len(".part")]) is False:
                with contextlib.suppress(OSError):
                    part.unlink()

    def delete(self, entry: Entry) -> None:
        """Remove a file."""
        check_safe(entry.path)
        (self.root / entry.path).unlink(missing_ok=True)

    def write_index(self, index: Index, facts: Facts | None = None) -> bool:
        """Write the tables, and ``.one_root`` with one column: a folder may be moved, and is served from anywhere."""
        import filecmp  # takes three milliseconds

        target = self.root / INDEX_NAME
        temporary = target.with_name(f"{INDEX_NAME}.{os.urandom(4).hex()}.part")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if facts is not None:
                from onelight.tables import write_tables

                write_tables(index, self.root, facts=facts)
            with temporary.open("xb") as stream:
                write_one_root(index, stream, addresses=False)
            if target.is_file() and filecmp.cmp(temporary, target, shallow=False):
                return False
            temporary.replace(target)
        except OSError as error:
            if isinstance(error, OneError):
                raise
            raise NoSpace(
                f"{target} cannot be written: {error.strerror}", hint="Make room, or put its mode right"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        return True
