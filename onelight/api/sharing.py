"""The fourth part of One: a folder is shared."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onelight.api.asking import Asking
from onelight.config import default_folder
from onelight.errors import AlfError, NoSpace, ReadOnlyRepository
from onelight.folder import Problem, Scan, scan
from onelight.hashes import HASHES_NAME, Hashes
from onelight.index import INDEX_NAME, Entry, Index, write_one_root
from onelight.notes import log
from onelight.repository import PublishableRepository, Room, WritableRepository
from onelight.route import path_url
from onelight.transfer import Conflict, Outcome, Progress, Put, Skip, plan_upload, raise_failures
from onelight.transfer import upload as run_upload
from onelight.transfer.upload import check_room

PARALLEL = 8


@dataclass(frozen=True, slots=True)
class UploadPlan:
    """What an upload would do.

    Parameters
    ----------
    root : Path
        The data root.
    scan : Scan
        What was found in it.
    steps : list of Put and Skip
        One for each dataset.
    stored : Index
        What the repository holds already.
    room : Room
        How much more it takes.
    """

    root: Path
    scan: Scan
    steps: list[Put | Skip]
    stored: Index
    room: Room

    @property
    def elsewhere(self) -> int:
        """Files that the repository holds and this folder does not."""
        return sum(entry.path not in self.scan.index for entry in self.stored)

    @property
    def puts(self) -> list[Put]:
        """The files to be sent."""
        return [step for step in self.steps if isinstance(step, Put)]


class Sharing(Asking):
    """Uploads: what is not there yet is sent, then the index, and what is a draft can be published."""

    def scan(self, root: Path | str, *, md5: bool = False) -> Scan:
        """Look through a local folder and say what would be shared.

        Parameters
        ----------
        root : Path or str
            Folder that holds ``LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER/``.
        md5 : bool
            Read every file for its md5; one that was read before and not touched since is not read again.

        Returns
        -------
        Scan
            Datasets, with their md5 if it was asked for, and what is wrong with everything else.

        Raises
        ------
        RepositoryNotFound
            If there is no such folder.
        RepositoryError
            If a file cannot be read, or changed while it was read.
        """
        folder = Path(root).expanduser()
        found = scan(folder)
        if not md5:
            return found
        with Hashes(default_folder() / HASHES_NAME) as hashes:
            return replace(found, index=Index(hashes.add(folder, found.index)))

    def plan_upload(self, root: Path | str, *, limit: int | None = None, allow_partial: bool = False) -> UploadPlan:
        """Decide what an upload would do; sends nothing.

        Parameters and errors are those of :meth:`upload`.
        """
        folder = Path(root).expanduser().absolute()
        repository = self._writable()
        found = scan(folder)
        if not found.index or (found.problems and not allow_partial):
            raise _unfit(folder, found.problems)
        stored = repository.stored()
        for remark in stored.remarks:
            log.warning("%s", remark)
        with Hashes(default_folder() / HASHES_NAME) as hashes:
            md5s = {entry.path: entry.md5 or "" for entry in hashes.add(folder, found.index)}
        steps = plan_upload(found.index, folder, stored, md5s)
        conflicts = [step for step in steps if isinstance(step, Conflict)]
        if conflicts:
            problems = [Problem(step.entry.path, step.why) for step in conflicts]
            raise _unfit(folder, problems)
        chosen: builtins.list[Put | Skip] = [step for step in steps if not isinstance(step, Conflict)]
        if limit is not None:
            left = set([id(step) for step in chosen if isinstance(step, Put)][limit:])
            chosen = [step for step in chosen if id(step) not in left]
        plan = UploadPlan(folder, found, chosen, stored, repository.room())
        check_room(plan.steps, plan.room)
        return plan

    def run_upload(
        self, plan: UploadPlan, *, parallel: int | None = None, progress: Progress | None = None
    ) -> builtins.list[Outcome]:
        """Do what a plan says; return the outcome of each file instead of raising for one that failed."""
        most = self._most(parallel) or PARALLEL
        outcomes, index = run_upload(
            plan.steps, self._writable(), plan.stored, self._client, parallel=most, progress=progress
        )
        if index is not None:
            self._current.expire()
            self._save_one_root(plan.root, index)
        return outcomes

    def upload(
        self,
        root: Path | str,
        *,
        limit: int | None = None,
        allow_partial: bool = False,
        parallel: int | None = None,
    ) -> builtins.list[Outcome]:
        """Share a data folder: send what the repository does not have, then the index.

        Parameters
        ----------
        root : Path or str
            Folder that holds ``LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER/``.
        limit : int, optional
            Send at most so many files, to try it out.
        allow_partial : bool
            Share what is ALF and leave out the rest, instead of refusing.
        parallel : int, optional
            Files at a time; by default what the configuration says of connections, else 8.

        Returns
        -------
        list of Outcome
            One for each dataset.

        Raises
        ------
        AlfError
            If something in the folder is not ALF; every problem is listed, and nothing is sent.
        ReadOnlyRepository, AccessDenied, QuotaExceeded
            If the repository does not take files.
        RepositoryError, TransferError
            If a file could not be sent; the index is then not written, and the same call continues.
        """
        outcomes = self.run_upload(self.plan_upload(root, limit=limit, allow_partial=allow_partial), parallel=parallel)
        raise_failures(outcomes)
        return outcomes

    def missing_for_publication(self) -> builtins.list[str]:
        """Return what the repository still needs before it can be published; empty if nothing."""
        return self._publishable().missing_for_publication()

    def publish(self) -> str:
        """Publish the repository. This cannot be undone.

        Returns
        -------
        str
            The public address.

        Raises
        ------
        RepositoryError
            If something that publication needs is missing; nothing is published then.
        """
        return self._publishable().publish()

    def _writable(self) -> WritableRepository:
        if isinstance(self._repository, WritableRepository):
            return self._repository
        raise ReadOnlyRepository(
            f"the repository '{self._repository.name}' ({self._repository.address}) can be read only",
            hint="Run `onelight index FOLDER` and copy the folder to the server, or share through figshare",
        )

    def _publishable(self) -> PublishableRepository:
        if isinstance(self._repository, PublishableRepository):
            return self._repository
        raise ReadOnlyRepository(
            f"the repository '{self._repository.name}' is of type {self._repository.kind}: it has no draft",
            hint="What is uploaded there is public at once for those who may read it",
        )

    def _save_one_root(self, root: Path, index: Index) -> None:
        try:
            _write_index_file(root / INDEX_NAME, index)
        except OSError:
            kept = self._folder / INDEX_NAME
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                _write_index_file(kept, index)
            except OSError as error:
                log.warning("neither %s nor %s can be written (%s): no local %s", root, kept, error, INDEX_NAME)
            else:
                log.warning("%s cannot be written; %s is kept as %s instead", root, INDEX_NAME, kept)


def write_index(root: Path | str, *, base_url: str = "", allow_partial: bool = False) -> tuple[Path, Scan]:
    """Make a folder a repository that any web server can serve: write ``.one_root`` into it.

    Parameters
    ----------
    root : Path or str
        Folder that holds ``LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER/``.
    base_url : str, optional
        Address at which the folder will be served. With it every row has the full address of its file; without it
        rows have one column, and the folder can be served from anywhere.
    allow_partial : bool
        Index what is ALF and leave out the rest, instead of refusing.

    Returns
    -------
    Path
        The file written.
    Scan
        What was found.

    Raises
    ------
    AlfError
        If something in the folder is not ALF; every problem is listed, and nothing is written.
    """
    folder = Path(root).expanduser().absolute()
    found = scan(folder)
    if not found.index or (found.problems and not allow_partial):
        raise _unfit(folder, found.problems)
    rows = Index(Entry(entry.path, path_url(base_url, entry.path) if base_url else "") for entry in found.index)
    target = folder / INDEX_NAME
    try:
        _write_index_file(target, rows)
    except OSError as error:
        raise NoSpace(
            f"{target} cannot be written: {error.strerror}", hint="Make room, or put the mode of the folder right"
        ) from error
    return target, found


def _write_index_file(target: Path, index: Index) -> None:
    temporary = target.with_name(f"{INDEX_NAME}.{os.urandom(4).hex()}")
    try:
        with temporary.open("xb") as stream:
            write_one_root(index, stream)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _unfit(root: Path, problems: Sequence[Problem]) -> AlfError:
    shown = "\n".join(f"  {problem}" for problem in problems[:50])
    more = f"\n  and {len(problems) - 50} more" if len(problems) > 50 else ""
    return AlfError(
        f"{root} cannot be shared as it is:\n{shown}{more}\n",
        hint="Nothing was sent or written. Put these right, or leave them out: --allow-partial (allow_partial=True)",
    )
