"""Fetching: bytes from a source into a file that has its name only when it is whole and right.

::

    plan      [Fetch | Keep]                         plan.plan_download, printed by a dry run
    route     the source's addresses in order        one that gives no data is left, and the reason told
    bytes     partial file beside the target         connection lost: asked again from there, Range and If-Range
    compare   size, then md5                         differs: thrown away; tried once more if it had been continued
    commit    fsync, rename, fsync of the folder
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterable
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path
from typing import IO

from onelight import threads
from onelight.checksum import BLOCK
from onelight.client import Challenged, Client, NoConnection, Response, Walled, raise_for_want_of_data
from onelight.errors import (
    AccessDenied,
    ChecksumMismatch,
    DatasetNotFound,
    Interrupted,
    NoSpace,
    NotFound,
    OneError,
    RateLimited,
    RepositoryError,
    SizeMismatch,
    TransferError,
    Unreachable,
    UnsafeData,
)
from onelight.index import Entry
from onelight.repository import Repository
from onelight.route import Inline, Opened, Route, Source
from onelight.transfer.answer import OtherBytes
from onelight.transfer.incoming import Incoming, Stream, disk_error
from onelight.transfer.ledger import Ledger
from onelight.transfer.outcome import Outcome, Progress, Silent, Status
from onelight.transfer.partial import Partial, begun, expectation, left_of
from onelight.transfer.place import Folders
from onelight.transfer.plan import DownloadStep, Fetch, Keep
from onelight.transfer.small import SmallFiles, is_small

# Bytes; what brings fewer is no progress.
_PROGRESS = 64 * 1024
# Files at a time where nobody says otherwise, connections for one large file, and further ones for all large files.
_PARALLEL = 16
_CONNECTIONS = 4
FURTHER = 12
# Bytes that are read at once of what a library brings, and seconds between which that should take.
_SHORTEST, _LONGEST = 64 * 1024, 16 << 20
_SHORT, _LONG = 0.2, 1.0
# After so many files in a row for which nobody answered, the rest of a session is not tried, three times each.
_UNREACHED = 8


def download(
    steps: Iterable[DownloadStep],
    repository: Repository,
    client: Client,
    folder: Path,
    ledger: Ledger,
    *,
    parallel: int | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Do what a plan says, several files at a time.

    One failure does not stop the others, except where nothing else could succeed: a full or read-only disk.

    Parameters
    ----------
    steps : iterable of Fetch and Keep
        The plan.
    repository : Repository
        Asked for the source of each entry.
    client : Client
        The HTTP client.
    folder : Path
        The data folder.
    ledger : Ledger
        Takes down what was compared.
    parallel : int, optional
        Connections to a host, and larger files, at a time; by default as many as pay.
    progress : Progress, optional
        Told of every step.

    Returns
    -------
    list of Outcome
        One for each step, in the order of the plan.

    Raises
    ------
    NoSpace
        If the disk has not enough room, before anything is fetched.
    """
    plan = list(steps)
    watcher = progress or Silent()
    fetches = [step for step in plan if isinstance(step, Fetch)]
    total = sum(step.entry.size or 0 for step in fetches)
    if fetches:
        _check_room(folder, fetches, total)
    watcher.begin(len(fetches), total)
    folders = Folders(folder)
    further = min(FURTHER, (parallel or _PARALLEL) - 1)
    run = Fetching(repository, client, ledger, folders, watcher, threading.Semaphore(further))
    outcomes: dict[str, Outcome] = {}
    for step in plan:
        if isinstance(step, Keep):
            outcomes[step.entry.path] = Outcome(step.entry.path, step.target, Status.KEPT, step.size, step.verified)
            watcher.finish(outcomes[step.entry.path])
    if parallel is not None:
        client.connect(parallel)
    pool = threads.pool(parallel or _PARALLEL, "onelight-download")
    try:
        # What was begun by an earlier run is continued, and cleared away, by the thorough way.
        thorough = begun(step.target for step in fetches)
        quick = [step for step in fetches if is_small(step) and step.target not in thorough]
        thorough.update(step.target for step in fetches if not is_small(step))
        futures = [pool.submit(run.fetch, step) for step in fetches if step.target in thorough]
        left: list[tuple[Fetch, Response | None]] = []
        small = SmallFiles(repository, client, ledger, folders, watcher, run.stopped, lambda *one: left.append(one))
        small.run(quick)
        futures += [pool.submit(run.fetch, step, refused) for step, refused in left]
        for future in as_completed(futures):
            outcome = future.result()
            outcomes[outcome.path] = outcome
        outcomes.update((outcome.path, outcome) for outcome in small.outcomes)
        _flush(folders, outcomes)
    except BaseException:
        run.stopped.set()
        client.abort()
        raise
    finally:
        try:
            pool.shutdown(cancel_futures=True)
        finally:  # also after a second Ctrl-C
            client.allow()
            folders.close()
    return [outcomes[step.entry.path] for step in plan]


class Fetching:
    """What the files of one run share."""

    def __init__(
        self,
        repository: Repository,
        client: Client,
        ledger: Ledger,
        folders: Folders,
        watcher: Progress,
        further: threading.Semaphore,
    ) -> None:
        self._repository = repository
        self._client = client
        self._ledger = ledger
        self._folders = folders
        self._watcher = watcher
        self._further = further
        self.stopped = threading.Event()
        self._fatal: OneError | None = None
        self._unreached = 0

    def fetch(self, step: Fetch, refused: Response | None = None) -> Outcome:
        """Fetch one file, or take down that it was refused already."""
        entry = step.entry
        self._watcher.start(entry.path, entry.size)
        try:
            if self._fatal is not None:
                raise self._fatal
            if self._unreached >= _UNREACHED:
                raise Unreachable(
                    f"{entry.path} was not asked for: nobody answered for the files before it",
                    hint="Check the address and the network; the same command continues",
                )
            if refused is not None:
                _refuse(entry, refused)
            outcome = self._fetch(step)
            self._unreached = 0
        except OneError as error:
            if isinstance(error, NoSpace):
                self._fatal = error  # the next files would fail as well
            self._unreached = self._unreached + 1 if isinstance(error, NoConnection) else self._unreached
            outcome = Outcome(entry.path, step.target, Status.FAILED, entry.size or 0, error=error)
        self._watcher.finish(outcome)
        return outcome

    def _fetch(self, step: Fetch) -> Outcome:
        entry = step.entry
        source = self._repository.source(entry)
        try:
            partial = Partial(self._folders.of(entry.path), entry.path.rpartition("/")[2], expectation(entry))
            incoming = self._begin(entry, partial)
        except OSError as error:
            raise disk_error(error, step.target) from error
        begun_at = incoming.length
        try:
            self._fill(incoming, source)
            verified, md5 = incoming.verify()
            incoming.commit()
        except (SizeMismatch, ChecksumMismatch, UnsafeData):
            incoming.discard()
            raise
        except OSError as error:
            incoming.release()
            raise disk_error(error, step.target) from error
        except BaseException:
            incoming.release()
            raise
        self._ledger.record(entry.path, step.target, md5)
        return Outcome(entry.path, step.target, Status.DONE, incoming.length, verified, resumed_from=begun_at)

    def _begin(self, entry: Entry, partial: Partial) -> Incoming:
        try:
            return Incoming(entry, partial, self._watcher, self.stopped)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.release()
            raise

    def _fill(self, incoming: Incoming, source: Source) -> None:
        if isinstance(source, Inline):
            incoming.take_all([source.data])
        elif isinstance(source, Path):
            try:
                stream = source.open("rb")
            except OSError as error:
                raise DatasetNotFound(
                    f"{source} cannot be read: {error.strerror}", hint="Is the disk there?"
                ) from error
            with stream:
                incoming.take_all(iter(lambda: stream.read(BLOCK), b""))
        else:
            self._try_routes(incoming, (source,) if isinstance(source, Opened) else source)

    def _try_routes(self, incoming: Incoming, routes: tuple[Route | Opened, ...]) -> None:
        reasons: list[OneError] = []
        until = self._client.deadline()
        for number, route in enumerate(routes, 1):
            try:
                self._try_route(incoming, route, until)
            except (TransferError, RepositoryError, NotFound, UnsafeData) as error:
                if isinstance(error, (NoSpace, Interrupted)) or self.stopped.is_set():
                    raise
                reasons.append(error)
                if number < len(routes):
                    self._watcher.again(incoming.entry.path, f"another address is tried: {error.message}", 0.0)
                    incoming.restart_if_wrong(error)
            else:
                return
        raise _summary(incoming.entry, reasons)

    def _try_route(self, incoming: Incoming, route: Route | Opened, until: float | None) -> None:
        """Fetch from one address, continuing where a connection was lost, until nothing more comes."""
        attempt, clean, resolved = 1, False, False
        while True:
            before = incoming.arrived
            try:
                if isinstance(route, Opened):
                    _read_opened(incoming, route)
                else:
                    self._pull(incoming, route, until)
                incoming.verify()
            except (SizeMismatch, ChecksumMismatch, OtherBytes) as error:
                # Bytes of an earlier try may be the ones that are wrong: once more from the beginning, then the truth.
                if clean or not (before or incoming.continued):
                    raise
                clean = True
                self._watcher.again(incoming.entry.path, error.message, 0.0)
                incoming.restart()
            except AccessDenied as error:
                if resolved or not incoming.arrived:
                    raise
                resolved = True  # a signed address may have expired meanwhile: its own address gives a new one
                self._watcher.again(incoming.entry.path, error.message, 0.0)
            except (Unreachable, RateLimited) as error:
                # Counted anew whenever bytes came, and more than a trickle: one byte a try would never end.
                attempt = 1 if incoming.arrived >= before + _PROGRESS else attempt
                if self._client.gives_up(error, attempt, until) or self.stopped.is_set():
                    raise
                wait = self._client.patience(error, attempt)
                self._watcher.again(incoming.entry.path, error.message, wait)
                self._client.wait(wait)
                attempt += 1
            else:
                return

    def _pull(self, incoming: Incoming, route: Route, until: float | None) -> None:
        """Ask for all that is missing; of a large file by several connections, where that helps."""
        helpers = _Helpers(incoming, route, self._client, self._further, until)
        incoming.more = helpers.add
        try:
            while not incoming.is_full():
                stream = incoming.lead()
                if stream is not None:
                    _ask(self._client, route, incoming, stream, until)
                elif not incoming.wait_for_others():
                    break
        except BaseException:
            helpers.stop()
            raise
        finally:
            incoming.more = None
            helpers.join()


class _Helpers:
    """Threads that fetch further pieces of one large file.

    Parameters
    ----------
    incoming, route, client
        The file, where it comes from, and who asks.
    further : threading.Semaphore
        How many such threads the whole run may have.
    until : float or None
        The moment by which the file must be there.
    """

    def __init__(
        self, incoming: Incoming, route: Route, client: Client, further: threading.Semaphore, until: float | None
    ) -> None:
        self._incoming = incoming
        self._route = route
        self._client = client
        self._further = further
        self._until = until
        self._threads: list[threading.Thread] = []
        self._adding = threading.Lock()
        self._stopped = False

    def add(self) -> None:
        """Begin as many as there may be; every thread that takes bytes of this file may call it."""
        with self._adding:  # two that count at once would begin one too many
            while len(self._threads) < _CONNECTIONS - 1 and not self._stopped and self._further.acquire(blocking=False):
                self._threads.append(threads.start(self._run, "onelight-piece"))

    def stop(self) -> None:
        """Let each end with the next block that comes."""
        self._stopped = True

    def join(self) -> None:
        """Wait until all have ended."""
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        try:
            while not self._stopped and (stream := self._incoming.another()) is not None:
                stream.stopped = lambda: self._stopped
                _ask(self._client, self._route, self._incoming, stream, self._until)
        except OneError:
            return  # what it left is fetched by the lead, which tells if that does not work either
        finally:
            self._further.release()


def _ask(client: Client, route: Route, incoming: Incoming, stream: Stream, until: float | None) -> None:
    """Ask for the bytes of one stream."""
    try:
        incoming.finished(stream, client.stream(route, stream, stream.headers(), until))
    finally:
        incoming.leave(stream)


def _read_opened(incoming: Incoming, source: Opened) -> None:
    """Read all that is missing of what a library brings, as if it were answers of a server that sends ranges."""
    with source.open() as file:
        size = file.seek(0, os.SEEK_END)
        tag = str(getattr(file, "version", ""))
        while not incoming.is_full():
            stream = incoming.lead()
            if stream is None:
                break
            try:
                answer = _answer(source.name, stream, size, tag)
                if answer.status != 416:
                    stream.begin(answer)
                    _pour(file, stream, size)
                incoming.finished(stream, answer)
            finally:
                incoming.leave(stream)


def _answer(name: str, stream: Stream, size: int, tag: str) -> Response:
    """Return what a server would answer to what a stream asks for."""
    span, headers = stream.span, {"etag": tag} if tag else {}
    if not stream.headers():
        return Response(name, 200, {**headers, "content-length": str(size)})
    if span.at >= size:
        return Response(name, 416, {**headers, "content-range": f"bytes */{size}"})
    end = size if span.end is None else min(span.end, size)
    return Response(name, 206, {**headers, "content-range": f"bytes {span.at}-{end - 1}/{size}"})


def _pour(file: IO[bytes], stream: Stream, size: int) -> None:
    """Read what a stream asks for, in larger blocks where they come fast: each may be a request."""
    length = BLOCK
    end = size if stream.span.end is None else min(stream.span.end, size)
    file.seek(stream.span.at)
    while stream.span.at < end:
        began = time.monotonic()
        block = file.read(min(length, end - stream.span.at))
        if not block:
            return
        stream.write([block])
        took = time.monotonic() - began
        if took < _SHORT:
            length = min(_LONGEST, 2 * length)
        elif took > _LONG:
            length = max(_SHORTEST, length // 2)


def _refuse(entry: Entry, answer: Response) -> None:
    try:
        raise_for_want_of_data(answer)
    except OneError as error:
        raise _summary(entry, [error]) from None


def _summary(entry: Entry, reasons: list[OneError]) -> OneError:
    """Return the most telling of the errors of several routes, with the others named."""
    rank: tuple[type[OneError], ...] = (
        UnsafeData,
        ChecksumMismatch,
        SizeMismatch,
        TransferError,
        Challenged,
        AccessDenied,
        RateLimited,
        Unreachable,
    )
    first = min(
        reasons, key=lambda error: next((place for place, kind in enumerate(rank) if isinstance(error, kind)), 9)
    )
    if len(reasons) > 1 and all(isinstance(error, (Walled, Challenged)) for error in reasons):
        first = Unreachable(first.message, hint="A firewall? Try again later, or from another network")
    others = "; ".join(error.message for error in reasons if error.message != first.message)
    shown = f"{entry.path} could not be fetched: {first.message}"
    first.message = f"{shown} (and: {others})" if others else shown
    return first


def _flush(folders: Folders, outcomes: dict[str, Outcome]) -> None:
    """Make the names durable, too, before anybody is told that all is done; without that nothing is."""
    try:
        folders.flush()
    except OSError as error:
        failure = NoSpace(
            f"the folder {error.filename} could not be flushed to the disk: {error.strerror}",
            hint="Check the disk; the same command then looks at the files again",
        )
        for path, outcome in outcomes.items():
            if outcome.status is Status.DONE:
                outcomes[path] = replace(outcome, status=Status.FAILED, error=failure)


def _check_room(folder: Path, fetches: list[Fetch], total: int) -> None:
    existing = next((parent for parent in (folder, *folder.parents) if parent.is_dir()), None)
    if existing is None:
        return
    free = shutil.disk_usage(existing).free
    if total > free:
        # What an earlier run brought needs no room again; looked for only when it matters.
        total -= sum(left_of(step.target) for step in fetches)
    if total > free:
        raise NoSpace(
            f"{total:,} bytes are to be fetched, and {existing} has room for {free:,}",
            hint="Make room, or choose another folder (--output)",
        )
