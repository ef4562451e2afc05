"""Sending: files first, all of them checked by the repository, then the index.

The index is the commit point. It is written only if every file arrived, so that readers see the old state or the
new one; killed at any moment, the same command finishes what is left.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import as_completed
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from onelight import threads
from onelight.checksum import BLOCK, md5_of
from onelight.client import Client
from onelight.client.digest import md5_of_route
from onelight.errors import (
    ChecksumMismatch,
    Interrupted,
    OneError,
    QuotaExceeded,
    RateLimited,
    RepositoryError,
    Unreachable,
)
from onelight.index import INDEX_NAME, Entry, Index
from onelight.notes import log
from onelight.pack import Pack, member_entry
from onelight.repository import Room, WritableRepository
from onelight.route import Inline, Opened, Source
from onelight.transfer.outcome import Outcome, Progress, Silent, Status, Verified
from onelight.transfer.plan import Drop, Put, Skip, UploadStep

if TYPE_CHECKING:
    from onelight.tables import Facts


def check_room(steps: Iterable[UploadStep], room: Room) -> None:
    """Refuse what cannot succeed before anything is sent.

    Raises
    ------
    QuotaExceeded
        If the files are more than the repository has room for, or one is larger than it takes.
    """
    if room.refusals:
        raise QuotaExceeded(
            "; ".join(room.refusals),
            hint="Nothing was sent. Let more articles be made (--spread), send each session as one file"
            " (--pack session), or say what figshare allows you: files_per_article in the configuration",
        )
    sizes = {step.entry.path: step.entry.size or 0 for step in steps if isinstance(step, Put)}
    total = sum(sizes.values())
    if room.bytes_left is not None and total > room.bytes_left:
        raise QuotaExceeded(
            f"{total:,} bytes are to be sent, and the repository has room for {max(room.bytes_left, 0):,}",
            hint="Nothing was sent. Make room there, or share fewer sessions",
        )
    for path, size in sizes.items():  # what is packed is one file
        if room.largest_file is not None and size > room.largest_file:
            raise QuotaExceeded(
                f"{path} has {size:,} bytes, and the repository takes files of up to {room.largest_file:,}",
                hint="Nothing was sent. Split the file, or leave it out",
            )


def upload(
    steps: Iterable[UploadStep],
    repository: WritableRepository,
    stored: Index,
    client: Client,
    *,
    parallel: int = 8,
    progress: Progress | None = None,
    facts: Facts | None = None,
    verify: bool = False,
) -> tuple[list[Outcome], Index | None]:
    """Do what a plan says, several files at a time, and then write the index.

    Parameters
    ----------
    steps : iterable of Put, Skip and Drop
        The plan, without conflicts.
    repository : WritableRepository
        Where the files go.
    stored : Index
        What it holds already.
    client : Client
        The HTTP client that the repository uses; its requests end with an interrupted run.
    parallel : int
        Files at a time.
    progress : Progress, optional
        Told of every step.
    facts : mapping, optional
        By path dtype and shape of arrays, for the tables that are written with the index.
    verify : bool
        Read back every file that is sent, where the repository does not compare its md5 itself.

    Returns
    -------
    list of Outcome
        One for each Put and Skip, in the order of the plan; and for the index, if that is what could not be written.
    Index or None
        The index that readers now see; None if a file failed and it was therefore not written.
    """
    plan = list(steps)
    watcher = progress or Silent()
    puts = [step for step in plan if isinstance(step, Put)]
    watcher.begin(len(puts), sum(step.entry.size or 0 for step in puts))
    entries = {entry.path: entry for entry in stored}
    drops = [step.entry for step in plan if isinstance(step, Drop)]
    sources = {step.entry.path: step.source for step in puts}
    outcomes: dict[str, Outcome] = {}
    full: list[QuotaExceeded] = []  # once the repository is full, no further file is tried
    for step in plan:
        if isinstance(step, Skip):
            size = step.entry.size or 0
            outcomes[step.entry.path] = Outcome(step.entry.path, step.source, Status.KEPT, size, Verified.MD5)
            watcher.finish(outcomes[step.entry.path])
    stopped = threading.Event()
    pool = threads.pool(max(1, parallel), "onelight-upload")
    try:
        # The threads send; whether what they sent has arrived whole is asked for here, and holds up none of them.
        sending = _Sending(repository, client, watcher, stopped, full, verify=verify)
        for future in as_completed([pool.submit(sending.send, step) for step in puts]):
            outcome, entry = future.result()()
            watcher.finish(outcome)
            outcomes[outcome.path] = outcome
            if entry is not None:
                entries.pop(entry.path, None)  # a pack of which nothing was known
                entries.update(_held(sources[entry.path], entry))
    except BaseException:
        stopped.set()
        client.abort()
        raise
    finally:
        try:
            pool.shutdown(cancel_futures=True)
        finally:  # also after a second Ctrl-C
            client.allow()
    ordered = [outcomes[step.entry.path] for step in plan if isinstance(step, (Put, Skip))]
    if any(outcome.status is Status.FAILED for outcome in ordered):
        return ordered, None
    for entry in drops:
        entries.pop(entry.path, None)
    # With what its plan was made from: another commit since then has rows that this one lacks.
    index = Index.build(sorted(entries.values(), key=attrgetter("path")), facts={"seen": stored.fact("seen")})
    try:
        repository.write_index(index, {} if facts is None else facts)
    except OneError as error:  # what was sent is there, and told
        return [*ordered, Outcome(INDEX_NAME, Path(INDEX_NAME), Status.FAILED, error=error)], None
    tidy(lambda: [repository.delete(entry) for entry in drops])  # no reader sees them any more
    return ordered, repository.settled(index)


def tidy(remove: Callable[[], object]) -> None:
    """Remove what no reader sees any more: what cannot be removed now is no failure of what was committed."""
    try:
        remove()
    except (Unreachable, RateLimited) as error:
        log.warning("not all that was to go is removed, and the next upload tries again: %s", error.message)


def _held(source: Path | Pack, entry: Entry) -> dict[str, Entry]:
    """Return what the repository holds by having stored this: a file, or the members of a pack."""
    if isinstance(source, Path):
        return {entry.path: entry}
    return {member.path: member_entry(entry.url, member) for member in source.members}


class _Sending:
    """What the files of one run share."""

    def __init__(
        self,
        repository: WritableRepository,
        client: Client,
        watcher: Progress,
        stopped: threading.Event,
        full: list[QuotaExceeded],
        *,
        verify: bool,
    ) -> None:
        self._verify = verify
        self._repository = repository
        self._client = client
        self._watcher = watcher
        self._stopped = stopped
        self._full = full

    def send(self, step: Put) -> Callable[[], tuple[Outcome, Entry | None]]:
        """Send a file, and return what waits until the repository has checked it."""
        entry, source = step.entry, step.source
        self._watcher.start(entry.path, entry.size)
        if self._full:
            refused = _failed(step, self._full[0])
            return lambda: (refused, None)
        try:
            check = self._repository.send(entry, source, _advance(entry.path, self._watcher, self._stopped))
        except (OneError, OSError) as error:
            if isinstance(error, QuotaExceeded):
                self._full.append(error)
            failed = _failed(step, error)
            return lambda: (failed, None)
        return lambda: self._checked(step, check)

    def _checked(self, step: Put, check: Callable[[], Entry]) -> tuple[Outcome, Entry | None]:
        entry = step.entry
        try:
            stored = check()
            if stored.size != entry.size or (stored.md5 is not None and stored.md5 != entry.md5):
                raise ChecksumMismatch(
                    f"{entry.path} was stored with another size or md5", hint="Run the command again"
                )
            is_compared = self._repository.has_compared(stored)
            if self._verify and not is_compared and not self._repository.compares_md5:
                self._read_back(stored)
                is_compared = True
        except (OneError, OSError) as error:
            return _failed(step, error), None
        verified = Verified.MD5 if is_compared else Verified.SIZE
        return Outcome(entry.path, step.target, Status.DONE, entry.size or 0, verified), stored

    def _read_back(self, stored: Entry) -> None:
        """Compare the content of a file as any reader would get it; one that is wrong is removed."""
        if md5_of_source(self._repository.source(stored), self._client) == stored.md5:
            return
        self._repository.discard(stored)
        raise ChecksumMismatch(
            f"{stored.path} was sent, and comes back with another md5",
            hint="It was removed there; the same command sends it again. Is a proxy in between?",
        )


def md5_of_source(source: Source, client: Client) -> str:
    """Read all of what a repository holds of a file, wherever it is, and return its md5."""
    if isinstance(source, Path):
        return md5_of(source)
    if isinstance(source, Inline):
        return hashlib.md5(source.data).hexdigest()
    if isinstance(source, Opened):
        md5 = hashlib.md5()
        with source.open() as stream:
            while block := stream.read(BLOCK):
                md5.update(block)
        return md5.hexdigest()
    return md5_of_route(client, source[0])


def _failed(step: Put, error: OneError | OSError) -> Outcome:
    if not isinstance(error, OneError):
        error = RepositoryError(f"{step.target} cannot be read: {error.strerror}", hint="Is the disk still there?")
    return Outcome(step.entry.path, step.target, Status.FAILED, step.entry.size or 0, error=error)


def _advance(path: str, watcher: Progress, stopped: threading.Event) -> Callable[[int], None]:
    def advance(count: int) -> None:
        if stopped.is_set():
            raise Interrupted("the upload was stopped", hint="The same command continues where it stopped")
        watcher.advance(path, count)

    return advance
