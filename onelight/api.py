"""One: what a user holds. Names, index, repository, transfer and loading put together.

The functions of the module ``onelight`` are those of one :class:`One` that follows the configuration.
"""

from __future__ import annotations

import builtins
import contextlib
import difflib
import functools
import inspect
import io
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onelight.alf import Pattern, Session, printable
from onelight.client import Client, Limits
from onelight.config import Config
from onelight.errors import (
    AlfError,
    AmbiguousQuery,
    DatasetNotFound,
    NotFound,
    ObjectNotFound,
    RateLimited,
    ReadOnlyRepository,
    RepositoryError,
    SessionNotFound,
    Unreachable,
)
from onelight.folder import Problem, Scan, scan
from onelight.index import INDEX_NAME, Entry, Index, Terms, read_table, write_one_root, write_table
from onelight.kinds import open_repository
from onelight.loading import Bunch, load_file
from onelight.repository import PublishableRepository, Repository, Room, WritableRepository
from onelight.route import path_url
from onelight.transfer import (
    Conflict,
    Fetch,
    Keep,
    Ledger,
    Outcome,
    Progress,
    Put,
    Silent,
    Skip,
    Status,
    Verified,
    hash_files,
    plan_download,
    plan_upload,
    raise_failures,
)
from onelight.transfer import download as run_download
from onelight.transfer import upload as run_upload
from onelight.transfer.kept import Checked, Survey, survey, verify
from onelight.transfer.upload import check_room

PARALLEL = 8
CACHED_INDEX = ".one_index"
_log = logging.getLogger("onelight")


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


class One:
    """A repository to search, download from, load from and share through.

    Parameters
    ----------
    repository : str, optional
        Name of a repository of the configuration; by default the current one.
    cache_dir : Path or str, optional
        Folder that gets a folder of data for each repository; by default ``~/.one/data``.

    Raises
    ------
    RepositoryNotFound
        If the configuration has no repository of this name.

    Examples
    --------
    >>> one = One("local")
    >>> one.search("trials")
    []
    """

    def __init__(self, repository: str | None = None, cache_dir: Path | str | None = None) -> None:
        self._cache_dir = Path(cache_dir).expanduser().absolute() if cache_dir is not None else None
        self._open(Config.load(), repository)

    def _open(self, config: Config, name: str | None) -> None:
        settings = config.repository(name)
        self._folder = self._cache_dir / settings.name if self._cache_dir else config.data_folder(settings.name)
        self._connections = config.connections
        limits = Limits(**config.limits)  # type: ignore[arg-type]  # attempts is an int there
        most = self._connections
        self._client = Client(limits=limits) if most is None else Client(connections=most, limits=limits)
        self._ledgers: dict[Path, Ledger] = {}
        self._repository: Repository = open_repository(settings, self._client)
        self._index: Index | None = None
        if config.remark:
            _log.warning("%s", config.remark)

    def __repr__(self) -> str:
        return f"<One: {self._repository.kind} repository '{self._repository.name}' at {self._repository.address}>"

    @property
    def repository(self) -> Repository:
        """The repository in use."""
        return self._repository

    @property
    def folder(self) -> Path:
        """The folder below which the files of the repository land."""
        return self._folder

    def repositories(self) -> builtins.list[str]:
        """Return the names of the repositories in the configuration.

        Examples
        --------
        >>> One("local").repositories()[1]
        'nick19'
        """
        return [settings.name for settings in Config.load().repositories]

    def set_repository(self, name: str) -> None:
        """Use another repository from now on; the configuration is not changed.

        Parameters
        ----------
        name : str
            Name of a repository of the configuration.

        Raises
        ------
        RepositoryNotFound
            If there is none of this name; the one in use stays in use.
        """
        self._open(Config.load(), Config.load().repository(name).name)

    # Asking

    def refresh(self) -> Index:
        """Bring the index up to date and return it.

        When the repository cannot be reached, the index of the last time answers, with a warning that says its age.

        Raises
        ------
        Unreachable, RateLimited
            If the repository cannot be reached and there is no index of an earlier time.
        """
        try:
            index = self._repository.refresh()
        except (Unreachable, RateLimited) as error:
            index = self._cached_index(error)
        else:
            self._cache_index(index)
            for remark in index.remarks[:5]:
                _log.warning("%s", remark)
            if len(index.remarks) > 5:
                _log.warning("and %d more remarks on the index of '%s'", len(index.remarks) - 5, self._repository.name)
        self._index = index
        return index

    def search(
        self,
        datasets: str | Iterable[str] | None = None,
        *,
        lab: object = None,
        subject: object = None,
        date: object = None,
        number: object = None,
    ) -> builtins.list[str]:
        """Return the sessions that have all of the datasets asked for.

        Parameters
        ----------
        datasets : str or iterable of str, optional
            Objects (``"spikes"``), dataset types (``"spikes.times"``) or file names, each with ``*`` for any text;
            a session must have every one of them. By default every session is returned.
        lab, subject, date : str or sequence of str, optional
            Whole values, with ``*`` for any text; of a sequence, any.
        number : int, str or sequence, optional
            Number of the session on its day; 1 and ``"001"`` are the same.

        Returns
        -------
        list of str
            Sessions, ``lab/Subjects/subject/date/number``, sorted.

        Raises
        ------
        AlfError
            If a pattern is empty or not a pattern.

        Examples
        --------
        >>> One("local").search(["spikes.times", "trials"], subject="Cori", number=1)
        []
        """
        patterns = [datasets] if isinstance(datasets, str) else list(datasets or ())
        return self._the_index().search(
            [Pattern(text) for text in patterns], lab=lab, subject=subject, date=date, number=number
        )

    def search_terms(self) -> Terms:
        """Return what can be searched for.

        Returns
        -------
        Terms
            ``(lab, subject, date, number, dataset_types)``, each a sorted list of str.
        """
        return self._the_index().terms()

    def list(self, session: str) -> builtins.list[str]:
        """Return the dataset types of a session.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.

        Returns
        -------
        list of str
            ``object.attribute``, each once, sorted.

        Raises
        ------
        AlfError
            If the text is not a session.
        SessionNotFound
            If the repository has no such session.
        """
        return sorted({entry.dataset.type for entry in self.entries(session) if entry.dataset})

    def entries(self, session: str, dataset: str | None = None, collection: str | None = None) -> builtins.list[Entry]:
        """Return the files of a session as the index has them, sorted.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.
        dataset : str, optional
            Only those of an object, dataset type or file name, as for :meth:`search`.
        collection : str, optional
            Only those of this collection, such as ``alf/probe00``.

        Raises
        ------
        AlfError
            If the text is not a session or a pattern.
        SessionNotFound
            If the repository has no such session.
        ObjectNotFound, DatasetNotFound
            If the session has nothing of the kind; the message names what there is.
        """
        index = self._the_index()
        found = index.find_session(Session.parse(session))
        if found is None:
            raise SessionNotFound(
                f"the repository '{self._repository.name}' has no session {session}", hint=_suggest(session, index)
            )
        entries = index.select(found, Pattern(dataset) if dataset is not None else None)
        if collection is not None:
            wanted = collection.strip("/")
            entries = [entry for entry in entries if entry.dataset and entry.dataset.collection == wanted]
        if not entries and dataset is not None:
            raise _not_found(dataset, found, index.select(found), collection)
        return entries

    # Fetching

    def plan_download(
        self, session: str, dataset: str | None = None, *, output: Path | str | None = None
    ) -> DownloadPlan:
        """Decide what a download would do; changes nothing.

        Parameters and errors are those of :meth:`download`.
        """
        return self._plan(self.entries(session, dataset), output)

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
        index = self._the_index()
        wanted: dict[str, Entry] = {}
        absent: dict[str, Outcome] = {}
        folder = self._target_folder(output)
        for path in paths:
            entry = index.get(path)
            entries = [entry] if entry is not None else self._entries_of_session(path, index)
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

    def _entries_of_session(self, text: str, index: Index) -> builtins.list[Entry]:
        try:
            found = index.find_session(Session.parse(text))
        except AlfError:
            return []
        return index.select(found) if found is not None else []

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
        plan = self._plan(self.entries(session, dataset), output)
        return self._run(plan, parallel)

    # Loading

    def load_dataset(
        self, session: str, dataset: str, *, collection: str | None = None, download_only: bool = False
    ) -> Any:
        """Load one dataset, downloading it first where needed.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.
        dataset : str
            A dataset type (``"spikes.times"``) or a file name.
        collection : str, optional
            Collection it lies in, where several have one of this name.
        download_only : bool
            Return the path instead of the content.

        Returns
        -------
        object
            ``numpy.ndarray`` for ``.npy`` (memory-mapped above 100 MB), ``pandas.DataFrame`` for ``.tsv``, ``.csv``
            and ``.pqt``, the parsed value for ``.json``, a Path for anything else.

        Raises
        ------
        DatasetNotFound
            If the session has no such dataset; the message names those that are near.
        AmbiguousQuery
            If several datasets fit.
        """
        chosen = _newest(self.entries(session, dataset, collection))
        if len(chosen) > 1:
            raise _ambiguous(f"several datasets of {session} fit '{dataset}'", chosen)
        path = self._run(self._plan(chosen))[0]
        return path if download_only else load_file(path)

    def load_object(
        self, session: str, obj: str, *, collection: str | None = None, download_only: bool = False
    ) -> Bunch:
        """Load an object: all its attributes, downloading them first where needed.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.
        obj : str
            Name of the object, such as ``"trials"``.
        collection : str, optional
            Collection it lies in, where several have one of this name.
        download_only : bool
            Return paths instead of contents.

        Returns
        -------
        Bunch
            By attribute, such as ``trials.intervals``: arrays or DataFrames, as for :meth:`load_dataset`. Of several
            revisions of a dataset, the newest.

        Raises
        ------
        ObjectNotFound
            If the session has no such object; the message names those that are there.
        AmbiguousQuery
            If several collections have one.
        """
        if "." in obj:
            raise AlfError(f"'{obj}' is not an object", hint=f"Load one dataset with load_dataset(session, '{obj}')")
        chosen = [entry for entry in _newest(self.entries(session, obj, collection)) if entry.dataset]
        if len({entry.dataset.collection for entry in chosen if entry.dataset}) > 1:
            raise _ambiguous(f"several collections of {session} have '{obj}'", chosen)
        objects = sorted({entry.dataset.object for entry in chosen if entry.dataset})
        if len(objects) > 1:
            raise AmbiguousQuery(
                f"several objects of {session} fit '{obj}': {', '.join(objects)}", hint="Load one at a time"
            )
        by_key = {entry.dataset.key: entry for entry in chosen if entry.dataset}
        if len(by_key) < len(chosen):
            raise _ambiguous(f"several files of {session} are the same attribute of '{obj}'", chosen)
        paths = dict(zip(by_key, self._run(self._plan(by_key.values())), strict=True))
        return Bunch({key: path if download_only else load_file(path) for key, path in paths.items()})

    # What is here

    def survey(self) -> Survey:
        """Say what of this repository lies in its data folder, without reading a file or asking the repository."""
        return survey(self._folder, self._ledger(self._folder), last_index(self._folder) or Index())

    def verify(self, *, progress: Progress | None = None) -> builtins.list[Checked]:
        """Read every file in the data folder again and compare it with the index of the last command.

        Where there is no such index yet, the repository is asked for it. A file that is found damaged stays as it is;
        it is looked at anew when it is next downloaded.
        """
        index = last_index(self._folder)
        if index is None:
            index = self._the_index()
        return verify(self._folder, self._ledger(self._folder), index, progress=progress)

    def plan_repair(self, damaged: Iterable[Checked]) -> DownloadPlan:
        """Decide how files that were found damaged are fetched again; changes nothing.

        Each stays in its place until the right one is there.
        """
        index = self._the_index()
        steps: builtins.list[Fetch | Keep] = []
        absent = []
        for checked in damaged:
            entry = index.get(checked.path)
            if entry is not None:
                steps.append(Fetch(entry, checked.target, checked.why))
                continue
            error = DatasetNotFound(
                f"the repository '{self._repository.name}' does not have {checked.path} any more",
                hint="The damaged file stays where it is; remove it if nobody needs it",
            )
            absent.append(Outcome(checked.path, checked.target, Status.FAILED, error=error))
        return DownloadPlan(steps, self._folder, self._ledger(self._folder), absent)

    # Sharing

    def scan(self, root: Path | str) -> Scan:
        """Look through a local folder and say what would be shared; see :func:`onelight.folder.scan`."""
        return scan(Path(root).expanduser())

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
            _log.warning("%s", remark)
        steps = plan_upload(found.index, folder, stored, hash_files(found.index, folder))
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
            self._index = None
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

    # Behind the doors

    def _the_index(self) -> Index:
        return self._index if self._index is not None else self.refresh()

    def _cache_index(self, index: Index) -> None:
        if self._repository.kind == "local":
            return
        temporary = self._folder / f"{CACHED_INDEX}.{secrets.token_hex(4)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as stream:
                write_table(index, stream)
            temporary.replace(self._folder / CACHED_INDEX)
        except OSError as error:
            # Reading works without it; only the next time without a network will not.
            _log.info("the index could not be kept for later: %s", error)
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _cached_index(self, error: RepositoryError) -> Index:
        index = last_index(self._folder)
        if index is None:
            raise error from None
        age = time.time() - (self._folder / CACHED_INDEX).stat().st_mtime
        _log.warning("%s; answering from the index of %s ago", error.message, _duration(age))
        return index

    def _plan(self, entries: Iterable[Entry], output: Path | str | None = None) -> DownloadPlan:
        wanted = list(entries)
        folder = self._target_folder(output)
        if output is None and self._repository.kind == "local":
            places = [(entry, self._repository.source(entry)) for entry in wanted]
            there = [(entry, path) for entry, path in places if isinstance(path, Path)]
            return DownloadPlan(
                [Keep(entry, path, Verified.SOURCE, path.stat().st_size) for entry, path in there], folder
            )
        ledger = self._ledger(folder)
        return DownloadPlan(list(plan_download(wanted, folder, ledger)), folder, ledger)

    def _target_folder(self, output: Path | str | None) -> Path:
        return Path(output).expanduser().absolute() if output is not None else self._folder

    def _ledger(self, folder: Path) -> Ledger:
        """Return the record of a folder; it is read again only where somebody else wrote to it."""
        ledger = self._ledgers.get(folder)
        if ledger is None or not ledger.is_current():
            ledger = self._ledgers[folder] = Ledger(folder)
        return ledger

    def _most(self, parallel: int | None) -> int | None:
        """Return the most connections to one host: what is asked for, else what the configuration says, if anything."""
        return parallel if parallel is not None else self._connections

    def _run(self, plan: DownloadPlan, parallel: int | None = None) -> builtins.list[Path]:
        outcomes = self.run_download(plan, parallel=parallel)
        raise_failures(outcomes)
        return [outcome.target for outcome in outcomes]

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
                _log.warning("neither %s nor %s can be written (%s): no local %s", root, kept, error, INDEX_NAME)
            else:
                _log.warning("%s cannot be written; %s is kept as %s instead", root, INDEX_NAME, kept)


def last_index(folder: Path) -> Index | None:
    """Return the index of a repository as it was when it was last asked for, kept in its data folder; None if none."""
    try:
        with (folder / CACHED_INDEX).open("rb") as stream:
            return read_table(stream)
    except (OSError, ValueError):
        return None


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
        raise RepositoryError(
            f"{target} cannot be written: {error.strerror}", hint="Put the mode of the folder right"
        ) from error
    return target, found


def _write_index_file(target: Path, index: Index) -> None:
    content = io.BytesIO()
    write_one_root(index, content)
    temporary = target.with_name(f"{INDEX_NAME}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content.getvalue())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _newest(entries: Iterable[Entry]) -> list[Entry]:
    """Return each dataset in its newest revision, by text as the convention has it."""
    newest: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        dataset = entry.dataset
        where = (dataset.collection, dataset.name) if dataset else ("", entry.path)
        known = newest.get(where)
        if known is None or (known.dataset and dataset and dataset.revision > known.dataset.revision):
            newest[where] = entry
    return list(newest.values())


def _unfit(root: Path, problems: Sequence[Problem]) -> AlfError:
    shown = "\n".join(f"  {problem}" for problem in problems[:50])
    more = f"\n  and {len(problems) - 50} more" if len(problems) > 50 else ""
    return AlfError(
        f"{root} cannot be shared as it is:\n{shown}{more}\n",
        hint="Nothing was sent. Put these right, or leave them out with --allow-partial (allow_partial=True)",
    )


def _suggest(session: str, index: Index) -> str:
    near = difflib.get_close_matches(session, index.sessions, 3)
    return f"Did you mean {' or '.join(near)}?" if near else "`onelight search` lists the sessions that are there"


def _not_found(pattern: str, session: str, entries: Sequence[Entry], collection: str | None) -> NotFound:
    datasets = [entry.dataset for entry in entries if entry.dataset]
    where = f" in {collection}" if collection is not None else ""
    if "." not in pattern.rpartition("/")[2]:
        names = ", ".join(sorted({dataset.object for dataset in datasets}))
        return ObjectNotFound(f"{session} has no object '{pattern}'{where}", hint=f"It has: {names}")
    types = sorted({dataset.type for dataset in datasets})
    near = difflib.get_close_matches(pattern, types, 3) or types
    return DatasetNotFound(f"{session} has no dataset '{pattern}'{where}", hint=f"It has: {', '.join(near)}")


def _ambiguous(message: str, entries: Sequence[Entry]) -> AmbiguousQuery:
    collections = sorted({entry.dataset.collection for entry in entries if entry.dataset})
    listed = ", ".join(sorted(entry.below for entry in entries)[:20])
    if len(collections) > 1:
        return AmbiguousQuery(f"{message}: {', '.join(collections)}", hint=f"Choose one: collection={collections[0]!r}")
    return AmbiguousQuery(f"{message}: {listed}", hint="Ask for one of them by its file name with load_dataset")


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} seconds"


_default: One | None = None
_followed: object = None


def default() -> One:
    """Return the One of the module functions: that of the current repository, as the configuration says now."""
    global _default, _followed
    config = Config.load()
    settings = config.repository()
    how = (config.folder, config.limits, config.connections, os.getpid())
    followed = (settings.name, settings.kind, dict(settings.options), settings.secret, how)
    if _default is None or followed != _followed:
        _default, _followed = One(), followed
    return _default


@functools.cache
def module_function(name: str) -> Callable[..., Any]:
    """Return the function of the module ``onelight`` that does what a method of the default :class:`One` does."""
    method = {"set_repository": choose_repository}.get(name) or getattr(One, name)

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        if method is choose_repository:
            return choose_repository(*args, **kwargs)
        return getattr(default(), name)(*args, **kwargs)

    if method is not choose_repository:
        signature = inspect.signature(method)
        call.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return call


def choose_repository(name: str) -> None:
    """Make a repository the current one, in the configuration, as ``onelight repo NAME`` does.

    Raises
    ------
    RepositoryNotFound
        If there is none of this name; nothing is changed then.
    """
    config = Config.load()
    config.choose(name)
    if config.remark:
        _log.warning("%s", config.remark)
