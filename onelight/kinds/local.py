"""A repository in a local folder: what is there is found by a scan and loaded in place, without a copy."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from onelight.alf import check_safe
from onelight.checksum import BLOCK, md5_of
from onelight.client import Client
from onelight.config import Settings
from onelight.errors import ChecksumMismatch, NoSpace, OneError, RepositoryNotFound
from onelight.folder import scan
from onelight.index import INDEX_NAME, Entry, Index, write_one_root
from onelight.repository import Room, WritableRepository
from onelight.route import Source


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

    def __init__(self, name: str, root: Path) -> None:
        super().__init__(name)
        self.root = root

    @classmethod
    def from_settings(cls, settings: Settings, client: Client) -> LocalRepository:  # noqa: ARG003 - the one signature
        """Return the repository of ``root_dir``."""
        return cls(settings.name, Path(settings.require("root_dir")).expanduser().absolute())

    @property
    def address(self) -> str:
        """The folder."""
        return str(self.root)

    def refresh(self) -> Index:
        """Scan the folder."""
        if not self.root.is_dir():
            raise RepositoryNotFound(
                f"the folder {self.root} of the repository '{self.name}' is not there",
                hint=f"Create it, or point elsewhere: onelight add-repo {self.name} --local FOLDER",
            )
        found = scan(self.root)
        # An empty repository is not a fault: a new configuration begins with one.
        remarks = [str(problem) for problem in found.problems if problem.path != "."]
        return Index(found.index, remarks)

    def source(self, entry: Entry) -> Source:
        """Return the file itself."""
        check_safe(entry.path)
        return self.root / entry.path

    def stored(self) -> Index:
        """Scan the folder and read every file for its md5."""
        if not self.root.is_dir():
            return Index()
        return Index(replace(entry, md5=md5_of(self.root / entry.path)) for entry in scan(self.root).index)

    def room(self) -> Room:
        """Ask the disk."""
        existing = next(folder for folder in (self.root, *self.root.parents) if folder.is_dir())
        return Room(bytes_left=shutil.disk_usage(existing).free)

    def put(self, entry: Entry, path: Path, progress: Callable[[int], None]) -> Entry:
        """Copy a file to its place: beside it first, compared, then renamed."""
        check_safe(entry.path)
        target = self.root / entry.path
        if target.is_file() and target.stat().st_size == entry.size and md5_of(target) == entry.md5:
            return replace(entry, url="")
        md5 = hashlib.md5()
        temporary = target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
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

    def delete(self, entry: Entry) -> None:
        """Remove a file."""
        check_safe(entry.path)
        (self.root / entry.path).unlink(missing_ok=True)

    def write_index(self, index: Index) -> bool:
        """Write ``.one_root`` with one column: a folder may be moved, and is served from anywhere."""
        content = io.BytesIO()
        write_one_root((Entry(entry.path) for entry in index), content)
        target = self.root / INDEX_NAME
        if target.is_file() and target.read_bytes() == content.getvalue():
            return False
        temporary = target.with_name(f"{INDEX_NAME}.{secrets.token_hex(4)}.part")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content.getvalue())
            temporary.replace(target)
        except OSError as error:
            raise NoSpace(
                f"{target} cannot be written: {error.strerror}", hint="Make room, or put its mode right"
            ) from error
        return True
