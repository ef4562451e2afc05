"""The second part of One: files come from the repository, and what is here is looked after."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from onelight.alf import Query, Session, printable
from onelight.api.asking import Asking
from onelight.config import Config
from onelight.current import last_index
from onelight.errors import AlfError, ChecksumMismatch, DatasetNotFound, NotFound, SizeMismatch
from onelight.index import Entry, Index
from onelight.transfer import (
    Fetch,
    Keep,
    Ledger,
    Outcome,
    Progress,
    Silent,
    Status,
    Verified,
    plan_download,
    raise_failures,
)
from onelight.transfer import download as run_download
from onelight.transfer.kept import Checked, Survey, survey, verify


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """What a download would do.

    Parameters
    ----------
    steps : list of Fetch and Keep
        One for each file.
    folder : Path
        The folder below which the files land.
    ledger : Ledger, optional
        What was compared there before, so that it is read once; read again where it is missing.
    absent : list of Outcome
        What was asked for by its path and is not in the repository: failed already.
    """

    steps: list[Fetch | Keep]
    folder: Path
    ledger: Ledger | None = field(default=None, repr=False)
    absent: list[Outcome] = field(default_factory=list)

    @property
    def fetches(self) -> list[Fetch]:
        """The files to be fetched."""
        return [step for step in self.steps if isinstance(step, Fetch)]


class Fetching(Asking):
    """Downloads: what is there and whole is kept, what was begun is continued, what came is compared."""

    def _open(self, config: Config, name: str | None) -> None:
        super()._open(config, name)
        self._ledgers: dict[Path, Ledger] = {}

    def plan_download(
        self,
        session: str,
        dataset: str | None = None,
        *,
        output: Path | str | None = None,
        collection: str | None = None,
        revision: str | None = None,
        namespace: str | None = None,
        timescale: str | None = None,
        extension: str | None = None,
    ) -> DownloadPlan:
        """Decide what a download would do; changes nothing.

        Parameters and errors are those of :meth:`download`.
        """
        query = Query(None, collection, revision, namespace, timescale, extension)
        every = dataset is None and query == Query()  # a whole session is all of it
        return self._plan(self._entries(session, dataset, query, every=every), output)

    def plan_paths(self, paths: Iterable[str], *, output: Path | str | None = None) -> DownloadPlan:
        """Decide what a download of these files and sessions would do; changes nothing.

        Parameters
        ----------
        paths : iterable of str
            Paths as the repository has them, ``lab/Subjects/subject/date/number/alf/object.attribute.ext``, and
            sessions, which mean all of their files. What the repository does not have is told in the plan.
        output : Path or str, optional
            As for :meth:`download`.
        """
        asked = list(paths)

        def look_up(index: Index) -> builtins.list[builtins.list[Entry]]:
            return [_entries_of(path, index) for path in asked]

        found = self._current.ask(look_up)
        if not all(found) and self._current.may_be_old:
            self._current.get(refresh=True)
            found = self._current.ask(look_up)
        wanted: dict[str, Entry] = {}
        absent: dict[str, Outcome] = {}
        folder = self._target_folder(output)
        for path, there in zip(asked, found, strict=True):
            entries = self._repository.look(there)
            wanted.update((each.path, each) for each in entries)
            if not entries:
                error = DatasetNotFound(
                    f"the repository '{self._repository.name}' has no {printable(path)}",
                    hint="A line is a path or a session as the repository has it; `onelight search` lists the sessions",
                )
                absent[path] = Outcome(path, folder, Status.FAILED, error=error)
        plan = self._plan(wanted.values(), output)
        plan.absent.extend(absent.values())
        return plan

    def run_download(
        self, plan: DownloadPlan, *, parallel: int | None = None, progress: Progress | None = None
    ) -> builtins.list[Outcome]:
        """Do what a plan says; return the outcome of each file instead of raising for one that failed."""
        watcher = progress or Silent()
        outcomes = run_download(
            plan.steps,
            self._repository,
            self._client,
            plan.folder,
            plan.ledger or self._ledger(plan.folder),
            parallel=self._most(parallel),
            progress=watcher,
        )
        if any(isinstance(outcome.error, (ChecksumMismatch, NotFound, SizeMismatch)) for outcome in outcomes):
            self._current.expire()  # what is shared may have changed since: the next command asks for its index
        for outcome in plan.absent:
            watcher.finish(outcome)
        return outcomes + plan.absent

    def download(
        self,
        session: str,
        dataset: str | None = None,
        *,
        output: Path | str | None = None,
        parallel: int | None = None,
        collection: str | None = None,
        revision: str | None = None,
        namespace: str | None = None,
        timescale: str | None = None,
        extension: str | None = None,
    ) -> builtins.list[Path]:
        """Download a session, or one object or dataset of it.

        What is there already and whole is kept; what was begun is continued; every file is compared with the size
        and md5 that the repository states before it gets its name.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.
        dataset : str, optional
            An object, dataset type or file name; by default everything.
        output : Path or str, optional
            Folder that gets the files, below ``lab/Subjects/...``; by default the data folder of the repository. A
            local repository is not copied without it.
        parallel : int, optional
            The most connections to one host at a time; by default what the configuration says, else as many as help.
        collection, revision, namespace, timescale, extension : str, optional
            Only these, as for :meth:`entries`. Where something is asked for, of each dataset the newest revision
            comes; a whole session comes with all of them.

        Returns
        -------
        list of Path
            The local files, sorted by their path in the repository.

        Raises
        ------
        NotFound
            If there is nothing of the kind.
        TransferError, RepositoryError
            If a file could not be fetched; the others are there, and the same call continues.
        """
        plan = self.plan_download(
            session,
            dataset,
            output=output,
            collection=collection,
            revision=revision,
            namespace=namespace,
            timescale=timescale,
            extension=extension,
        )
        return self._run(plan, parallel)

    def survey(self) -> Survey:
        """Say what of this repository lies in its data folder, without reading a file or asking the repository."""
        return survey(self._folder, self._ledger(self._folder), last_index(self._current.folder) or Index())

    def verify(self, *, progress: Progress | None = None) -> builtins.list[Checked]:
        """Read every file in the data folder again and compare it with the index of the last command.

        Where there is no such index yet, the repository is asked for it. A file that is found damaged stays as it is;
        it is looked at anew when it is next downloaded.
        """
        index = last_index(self._current.folder)
        if index is not None:
            return verify(self._folder, self._ledger(self._folder), index, progress=progress)
        return self._current.ask(
            lambda index: verify(self._folder, self._ledger(self._folder), index, progress=progress)
        )

    def plan_repair(self, damaged: Iterable[Checked]) -> DownloadPlan:
        """Decide how files that were found damaged are fetched again; changes nothing.

        Each stays in its place until the right one is there.
        """
        steps: builtins.list[Fetch | Keep] = []
        absent = []
        asked = list(damaged)
        entries = self._current.ask(lambda index: [index.get(checked.path) for checked in asked])
        for checked, entry in zip(asked, entries, strict=True):
            if entry is not None:
                steps.append(Fetch(entry, checked.target, checked.why))
                continue
            error = DatasetNotFound(
                f"the repository '{self._repository.name}' does not have {checked.path} any more",
                hint="The damaged file stays where it is; remove it if nobody needs it",
            )
            absent.append(Outcome(checked.path, checked.target, Status.FAILED, error=error))
        return DownloadPlan(steps, self._folder, self._ledger(self._folder), absent)

    def _plan(self, entries: Iterable[Entry], output: Path | str | None = None) -> DownloadPlan:
        wanted = list(entries)
        folder = self._target_folder(output)
        if output is None and self._repository.kind == "local":
            return self._plan_here(wanted, folder)
        ledger = self._ledger(folder)
        return DownloadPlan(list(plan_download(wanted, folder, ledger)), folder, ledger)

    def _plan_here(self, entries: Iterable[Entry], folder: Path) -> DownloadPlan:
        """Keep the files of a local repository where they are."""
        plan = DownloadPlan([], folder)
        for entry in entries:
            path = self._repository.source(entry)
            if not isinstance(path, Path):
                continue
            try:
                plan.steps.append(Keep(entry, path, Verified.SOURCE, path.stat().st_size))
            except FileNotFoundError:
                gone = DatasetNotFound(f"{path} is not there any more", hint="refresh() looks again at what there is")
                plan.absent.append(Outcome(entry.path, path, Status.FAILED, error=gone))
        return plan

    def _target_folder(self, output: Path | str | None) -> Path:
        return Path(output).expanduser().absolute() if output is not None else self._folder

    def _ledger(self, folder: Path) -> Ledger:
        """Return the record of a folder; it is read again only where somebody else wrote to it."""
        ledger = self._ledgers.get(folder)
        if ledger is None or not ledger.is_current():
            ledger = self._ledgers[folder] = Ledger(folder)
        return ledger

    def _run(self, plan: DownloadPlan, parallel: int | None = None) -> builtins.list[Path]:
        outcomes = self.run_download(plan, parallel=parallel)
        raise_failures(outcomes)
        return [outcome.target for outcome in outcomes]


def _entries_of(text: str, index: Index) -> list[Entry]:
    """Return the entry of a path, or those of a session."""
    entry = index.get(text)
    if entry is not None:
        return [entry]
    try:
        found = index.find_session(Session.parse(text))
    except AlfError:
        return []
    return index.select(found) if found is not None else []
