"""The fourth part of One: a folder is shared."""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onelight.api.asking import Asking
from onelight.api.headers import ArrayFacts
from onelight.config import Config, default_folder
from onelight.errors import AlfError, ReadOnlyRepository, RepositoryError, UnsafeData
from onelight.folder import Problem, Scan, scan
from onelight.hashes import HASHES_NAME, Hashes
from onelight.index import INDEX_NAME, Index, write_one_root
from onelight.notes import log
from onelight.pack import folded
from onelight.repository import Leftover, Room, WritableRepository
from onelight.transfer import (
    Conflict,
    Drop,
    Outcome,
    Progress,
    Put,
    Skip,
    packed,
    plan_drops,
    plan_upload,
    raise_failures,
)
from onelight.transfer import upload as run_upload
from onelight.transfer.upload import check_room, tidy

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
    steps : list of Put, Skip and Drop
        One for each dataset, or for each session that is packed.
    stored : Index
        What the repository holds already.
    room : Room
        How much more it takes.
    leftovers : list of Leftover
        What broken runs have left in the repository, and nobody goes on with.
    spread, clean : bool
        Whether the repository may be made larger, and leftovers are removed.
    """

    root: Path
    scan: Scan
    steps: list[Put | Skip | Drop]
    stored: Index
    room: Room
    leftovers: list[Leftover]
    spread: bool = False
    clean: bool = False

    @property
    def elsewhere(self) -> int:
        """Files that the repository holds and this folder does not, and that stay there."""
        gone = sum(entry.path not in self.scan.index for entry in self.stored)
        return gone - len(self.drops)

    @property
    def puts(self) -> list[Put]:
        """The files to be sent."""
        return [step for step in self.steps if isinstance(step, Put)]

    @property
    def drops(self) -> list[Drop]:
        """The files to be removed."""
        return [step for step in self.steps if isinstance(step, Drop)]

    @property
    def counts(self) -> dict[str, int]:
        """How many files are new, changed, the same, and only in the repository; a pack counts as one."""
        puts = self.puts
        changed = sum(not step.is_new for step in puts)
        same = sum(isinstance(step, Skip) for step in self.steps)
        gone = self.elsewhere + len(self.drops)
        return {"new": len(puts) - changed, "changed": changed, "same": same, "gone": gone}


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

    def plan_upload(
        self,
        root: Path | str,
        *,
        limit: int | None = None,
        allow_partial: bool = False,
        delete: bool = False,
        spread: bool = False,
        clean: bool = False,
        pack: bool = False,
    ) -> UploadPlan:
        """Decide what an upload would do; sends nothing.

        Parameters and errors are those of :meth:`upload`.
        """
        folder = Path(root).expanduser().absolute()
        if delete and (allow_partial or limit is not None):
            raise UnsafeData(
                "to delete what a folder does not have is refused where a part of the folder is left out",
                hint="Leave out --delete (delete=True), or --allow-partial and --limit",
            )
        repository = self._writable()
        refuse_nested(folder, getattr(repository, "root", None))
        if pack and not repository.takes_packs:
            raise RepositoryError(
                f"the repository '{repository.name}' is of type {repository.kind}: it takes single files only",
                hint="Leave out --pack (pack=True)",
            )
        found = scan(folder)
        if not found.index or (found.problems and not allow_partial):
            raise unfit(folder, found.problems)
        stored = repository.stored()
        for remark in stored.remarks:
            log.warning("%s", remark)
        with Hashes(default_folder() / HASHES_NAME) as hashes:
            md5s = {entry.path: entry.md5 or "" for entry in hashes.add(folder, found.index)}
        kept = _without(stored, plan_drops(found.index, stored) if delete else [])
        steps = plan_upload(found.index, folder, kept, md5s)
        conflicts = [step for step in steps if isinstance(step, Conflict)]
        if conflicts:
            problems = [Problem(step.entry.path, step.why) for step in conflicts]
            raise unfit(folder, problems)
        chosen: builtins.list[Put | Skip] = [step for step in steps if isinstance(step, (Put, Skip))]
        if pack:
            chosen = packed(chosen, folder, kept)
        wanted = [step.entry for step in chosen if isinstance(step, Put)]
        if limit is not None:
            left = set([id(step) for step in chosen if isinstance(step, Put)][limit:])
            chosen = [step for step in chosen if id(step) not in left]
        drops = plan_drops(found.index, stored) if delete else []
        puts = [step.entry for step in chosen if isinstance(step, Put)]
        room = repository.room(puts, grow=spread)
        leftovers = repository.leftovers(wanted)
        plan = UploadPlan(folder, found, [*chosen, *drops], stored, room, leftovers, spread=spread, clean=clean)
        check_room(plan.steps, plan.room)
        return plan

    def run_upload(
        self,
        plan: UploadPlan,
        *,
        parallel: int | None = None,
        progress: Progress | None = None,
        verify: bool = False,
    ) -> builtins.list[Outcome]:
        """Do what a plan says; return the outcome of each file instead of raising for one that failed."""
        most = self._most(parallel) or PARALLEL
        repository = self._writable()
        if plan.spread:
            self._keep_settings(repository.grow([step.entry for step in plan.puts]))
        outcomes, index = run_upload(
            plan.steps,
            repository,
            plan.stored,
            self._client,
            parallel=most,
            progress=progress,
            facts=ArrayFacts(plan.root, plan.scan.index),
            verify=verify,
        )
        if index is not None:
            self._current.expire()
            self._save_one_root(plan.root, index)
            if plan.clean:
                tidy(lambda: repository.clean(plan.leftovers))
        return outcomes

    def upload(
        self,
        root: Path | str,
        *,
        limit: int | None = None,
        allow_partial: bool = False,
        delete: bool = False,
        spread: bool = False,
        clean: bool = False,
        pack: bool = False,
        parallel: int | None = None,
        verify: bool = False,
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
        delete : bool
            Remove from the repository what the folder does not have. What was published stays published.
        spread : bool
            Make further articles at figshare where one does not take all files.
        clean : bool
            Remove what broken runs have left in the repository.
        pack : bool
            Send each session as one file, of which readers get single datasets all the same.
        parallel : int, optional
            Files at a time; by default what the configuration says of connections, else 8.
        verify : bool
            Read back what is sent and compare it, where the repository does not compare the md5 itself.

        Returns
        -------
        list of Outcome
            One for each dataset, or for each session that is packed.

        Raises
        ------
        AlfError
            If something in the folder is not ALF; every problem is listed, and nothing is sent.
        ReadOnlyRepository, AccessDenied, QuotaExceeded
            If the repository does not take files.
        RepositoryError, TransferError
            If a file could not be sent; the index is then not written, and the same call continues.
        """
        plan = self.plan_upload(
            root, limit=limit, allow_partial=allow_partial, delete=delete, spread=spread, clean=clean, pack=pack
        )
        outcomes = self.run_upload(plan, parallel=parallel, verify=verify)
        raise_failures(outcomes)
        return outcomes

    def _keep_settings(self, changes: Mapping[str, Any]) -> None:
        """Write into the configuration what has changed in how this repository is made up."""
        if changes:
            config = Config.load()
            settings = config.repository(self._repository.name)
            config.add(replace(settings, options={**settings.options, **changes}))

    def _writable(self) -> WritableRepository:
        if isinstance(self._repository, WritableRepository):
            return self._repository
        raise ReadOnlyRepository(
            f"the repository '{self._repository.name}' ({self._repository.address}) can be read only",
            hint="Share into a repository of another type",
        )

    def _save_one_root(self, root: Path, index: Index) -> None:
        index = Index(folded(index))  # which address a member has is not for this file
        try:
            write_index_file(root / INDEX_NAME, index)
        except OSError:
            kept = self._folder / INDEX_NAME
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                write_index_file(kept, index)
            except OSError as error:
                log.warning("neither %s nor %s can be written (%s): no local %s", root, kept, error, INDEX_NAME)
            else:
                log.warning("%s cannot be written; %s is kept as %s instead", root, INDEX_NAME, kept)


def refuse_nested(folder: Path, root: Path | None) -> None:
    """Refuse a folder that holds the repository, or lies in it: its copy would become a part of the data."""
    if root is None:
        return
    one, other = folder.resolve(), root.resolve()
    if one != other and (one.is_relative_to(other) or other.is_relative_to(one)):
        raise UnsafeData(
            f"{folder} and the repository in {root} lie one in the other: the copy would become a part of the data",
            hint="Nothing was sent. Put the repository elsewhere: onelight add-repo NAME --local FOLDER",
        )


def _without(stored: Index, drops: Sequence[Drop]) -> Index:
    """Return what will be left of what is stored: a name that goes stands in the way of none."""
    if not drops:
        return stored
    gone = {step.entry.path for step in drops}
    return Index(entry for entry in stored if entry.path not in gone)


def write_index_file(target: Path, index: Index) -> None:
    """Write ``.one_root`` beside its place, and rename it."""
    temporary = target.with_name(f"{INDEX_NAME}.{os.urandom(4).hex()}")
    try:
        with temporary.open("xb") as stream:
            write_one_root(index, stream)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def unfit(root: Path, problems: Sequence[Problem]) -> AlfError:
    """Return the error that says what of a folder cannot be shared as it is."""
    shown = "\n".join(f"  {problem}" for problem in problems[:50])
    more = f"\n  and {len(problems) - 50} more" if len(problems) > 50 else ""
    return AlfError(
        f"{root} cannot be shared as it is:\n{shown}{more}\n",
        hint="Nothing was sent or written. Put these right, or leave them out: --allow-partial (allow_partial=True)",
    )
