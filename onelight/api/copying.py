"""Copying from one repository to another. Two are at work here, and a One is of one: so these are functions."""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from onelight.alf import Session, printable
from onelight.api.asking import Asking
from onelight.api.fetching import _entries_of
from onelight.api.question import nearest_session
from onelight.api.sharing import Sharing, refuse_nested
from onelight.config import default_folder
from onelight.errors import AlfError, DatasetNotFound, RepositoryError, SessionNotFound
from onelight.hashes import HASHES_NAME, Hashes
from onelight.index import INDEX_NAME, Entry, Index
from onelight.kinds.local import LocalRepository
from onelight.notes import log
from onelight.repository import Repository, Room, WritableRepository
from onelight.transfer import Conflict, Ledger, Outcome, Progress, Put, Skip, raise_failures
from onelight.transfer import upload as run_upload
from onelight.transfer.relay import Relay, check_space, left_behind, plan_relay
from onelight.transfer.upload import check_room

if TYPE_CHECKING:
    from onelight.client import Client

#: The folder for files on their way, in that of the configuration.
COPYING_NAME = "copying"
#: Files at a time: from a disk, and from elsewhere, where most of the time is waiting.
_FROM_DISK, _FROM_ELSEWHERE = 8, 16


class _Source(Asking):
    """The repository that is copied."""

    def named(self, names: Iterable[str] | None) -> list[Entry]:
        """Return the files of these sessions, or of all, as the repository has them now."""
        index = self.refresh()
        if names is None:
            return list(index)
        found: dict[str, Entry] = {}
        for name in names:
            entries = _entries_of(name, index)
            if not entries:
                raise self._missing(name, index)
            found.update((entry.path, entry) for entry in entries)
        return [found[path] for path in sorted(found)]

    def _missing(self, name: str, index: Index) -> DatasetNotFound | SessionNotFound:
        words = f"the repository '{self._repository.name}' has no"
        try:
            session = Session.parse(name)
        except AlfError:
            if name.count("/") < 5:
                raise
            return DatasetNotFound(f"{words} {printable(name)}", hint="`onelight list SESSION` shows what there is")
        return SessionNotFound(f"{words} session {name}", hint=nearest_session(session, index))

    @property
    def client(self) -> Client:
        return self._client


class _Target(Sharing):
    """The repository that gets the files."""

    @property
    def writable(self) -> WritableRepository:
        return self._writable()

    @property
    def client(self) -> Client:
        return self._client

    def grow(self, plan: CopyPlan) -> None:
        """Make the store large enough, where that is wanted."""
        if plan.spread:
            self._keep_settings(self.writable.grow([step.entry for step in plan.puts]))

    def changed(self) -> None:
        """Let the index be asked for the next time that somebody wants it."""
        self._current.expire()


class _Clients:
    """The clients of both repositories, to be stopped together: each has its own secrets and connections."""

    def __init__(self, *clients: Client) -> None:
        self._clients = clients

    def abort(self) -> None:
        for client in self._clients:
            client.abort()

    def allow(self) -> None:
        for client in self._clients:
            client.allow()


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What copying would do.

    Parameters
    ----------
    steps : list of Put and Skip
        One for each file.
    stored : Index
        What the target holds already.
    room : Room
        How much more it takes.
    spread : bool
        Whether it may be made larger.
    """

    steps: list[Put | Skip]
    stored: Index
    room: Room
    _source: _Source = field(repr=False)
    _target: _Target = field(repr=False)
    spread: bool = False

    @property
    def source(self) -> Repository:
        """The repository that is copied."""
        return self._source.repository

    @property
    def target(self) -> WritableRepository:
        """The repository that gets the files."""
        return self._target.writable

    @property
    def puts(self) -> list[Put]:
        """The files to be copied."""
        return [step for step in self.steps if isinstance(step, Put)]

    @property
    def elsewhere(self) -> int:
        """Files that the target holds and that are not among these; they stay there."""
        asked = {step.entry.path for step in self.steps}
        return sum(entry.path not in asked for entry in self.stored)

    @property
    def counts(self) -> dict[str, int]:
        """How many files are new, changed, the same, and only in the target."""
        puts = self.puts
        changed = sum(not step.is_new for step in puts)
        same = len(self.steps) - len(puts)
        return {"new": len(puts) - changed, "changed": changed, "same": same, "gone": self.elsewhere}


class Copied(list[Outcome]):
    """What came of each file, and how sure that is.

    Attributes
    ----------
    unstated : set of str
        Paths of files of which the source states no md5.
    unconfirmed : set of str
        Of files that the target will compare the md5 of, and has not yet.
    by_size : set of str
        Of files that the target has compared by size only, and does no more.
    """

    def __init__(self, outcomes: Iterable[Outcome] = ()) -> None:
        super().__init__(outcomes)
        self.unstated: set[str] = set()
        self.unconfirmed: set[str] = set()
        self.by_size: set[str] = set()


def plan_copy(
    source: str, target: str, sessions: str | Iterable[str] | None = None, *, spread: bool = False
) -> CopyPlan:
    """Decide what copying would do; fetches and sends nothing.

    Parameters and errors are those of :func:`copy`.
    """
    one, other = _Source(source), _Target(target)
    _refuse_same(one.repository, other.repository)
    writable = other.writable
    entries = one.named([sessions] if isinstance(sessions, str) else sessions)
    if not entries:
        raise DatasetNotFound(f"the repository '{one.repository.name}' is empty: there is nothing to copy")
    stored = writable.stored()
    for remark in stored.remarks:
        log.warning("%s", remark)
    base = _base(one.repository, writable)
    root = base
    if isinstance(one.repository, LocalRepository):
        root = one.repository.root
        with Hashes(default_folder() / HASHES_NAME) as hashes:
            entries = list(hashes.add(root, entries))
    fetched = Ledger(next(iter(left_behind(base)), base))
    steps = plan_relay(entries, root, stored, fetched.last_md5, takes_packs=writable.takes_packs)
    conflicts = [f"  {printable(step.entry.path)}: {step.why}" for step in steps if isinstance(step, Conflict)]
    if conflicts:
        more = f"\n  and {len(conflicts) - 50} more" if len(conflicts) > 50 else ""
        raise AlfError(
            f"'{source}' cannot be copied to '{target}' as it is:\n" + "\n".join(conflicts[:50]) + f"{more}\n",
            hint="Nothing was sent. Name the sessions that are to be copied, without these",
        )
    chosen = [step for step in steps if isinstance(step, (Put, Skip))]
    puts = [step for step in chosen if isinstance(step, Put)]
    plan = CopyPlan(
        chosen, stored, writable.room([step.entry for step in puts], grow=spread), one, other, spread=spread
    )
    check_room(plan.steps, plan.room)
    if not isinstance(one.repository, LocalRepository):
        check_space(puts, base, writable.root if isinstance(writable, LocalRepository) else None)
    return plan


def run_copy(
    plan: CopyPlan, *, parallel: int | None = None, progress: Progress | None = None, verify: bool = False
) -> Copied:
    """Do what a plan says; return the outcome of each file instead of raising for one that failed."""
    source, target, one, other = plan.source, plan.target, plan._source, plan._target  # noqa: SLF001 - its own
    in_place = isinstance(source, LocalRepository)
    most = one._most(parallel) or (_FROM_DISK if in_place else _FROM_ELSEWHERE)  # noqa: SLF001 - as run_upload
    other.grow(plan)
    if parallel is not None and not in_place:
        one.client.connect(parallel)
    base = None if in_place else _base(source, target)
    if base is not None and not plan.puts and not left_behind(base):
        base = None  # nothing is fetched, and nothing cleared away
    reader = other.client if verify else None
    relay = Relay(source, target, one.client, base, plan.steps, parallel=most, progress=progress, reader=reader)
    clients = cast("Client", _Clients(other.client, one.client))
    is_done = False
    try:
        outcomes, index = run_upload(plan.steps, relay, plan.stored, clients, parallel=most, progress=relay.watcher)
        is_done = all(outcome.error is None for outcome in outcomes if outcome.path != INDEX_NAME)
        if index is not None:
            other.changed()
    finally:
        relay.close(is_done=is_done)
    copied = Copied(relay.true(outcome) for outcome in outcomes)
    copied.unstated, copied.unconfirmed, copied.by_size = relay.unstated, relay.unconfirmed, relay.by_size
    return copied


def copy(
    source: str,
    target: str,
    sessions: str | Iterable[str] | None = None,
    *,
    spread: bool = False,
    parallel: int | None = None,
    verify: bool = False,
) -> builtins.list[Outcome]:
    """Copy a repository, or some sessions of it, to another one of any kind.

    What the target has already, with the same size and md5, is not fetched. Of everything else each file is fetched,
    compared with what the source states, sent, and compared with what the target states; then its index is written.
    What else the target holds stays there. The same call continues what was interrupted.

    Parameters
    ----------
    source, target : str
        Names of repositories of the configuration.
    sessions : str or iterable of str, optional
        Sessions (``lab/Subjects/subject/date/number``) or paths of files; by default everything.
    spread : bool
        Make further articles at figshare where one does not take all files.
    parallel : int, optional
        Files at a time, and the most connections to one host; by default what the configuration says.
    verify : bool
        Read back what is sent and compare it, where the target does not compare the md5 itself.

    Returns
    -------
    list of Outcome
        One for each file.

    Raises
    ------
    NotFound
        If there is no such repository or session.
    ReadOnlyRepository, AccessDenied, QuotaExceeded
        If the target does not take files.
    NoSpace
        If this disk has no room for the largest file.
    RepositoryError, TransferError
        If a file could not be copied; the index of the target is then not written, and the same call continues.
    """
    outcomes = run_copy(plan_copy(source, target, sessions, spread=spread), parallel=parallel, verify=verify)
    raise_failures(outcomes)
    return outcomes


def _refuse_same(source: Repository, target: Repository) -> None:
    same = (source.kind, source.address) == (target.kind, target.address)
    if isinstance(source, LocalRepository) and isinstance(target, LocalRepository):
        with contextlib.suppress(OSError):  # one of them is not there
            same = same or source.root.samefile(target.root)
        refuse_nested(source.root, target.root)
    if same:
        raise RepositoryError(
            f"'{source.name}' and '{target.name}' are the same repository ({source.address})",
            hint="Nothing was copied. `onelight repo` lists the repositories that there are",
        )


def _base(source: Repository, target: Repository) -> Path:
    """Return the folder for files on their way between these two."""
    key = hashlib.md5(f"{source.identity}\n{target.identity}".encode()).hexdigest()[:8]
    names = re.sub(r"[^A-Za-z0-9_-]", "_", f"{source.name[:60]}-to-{target.name[:60]}")
    return copying_folder() / f"{names}-{key}"


def copying_folder() -> Path:
    """Return the folder for all that is on its way between repositories."""
    return default_folder() / COPYING_NAME
