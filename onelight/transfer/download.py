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
import errno
import hashlib
import re
import shutil
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import IO

from onelight.checksum import BLOCK
from onelight.client import Client, NoConnection, Response
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
from onelight.route import Inline, Route, Source, redact
from onelight.transfer.ledger import Ledger
from onelight.transfer.outcome import Outcome, Progress, Silent, Status, Verified
from onelight.transfer.partial import Partial, begun, expectation, left_of
from onelight.transfer.plan import DownloadStep, Fetch, Keep
from onelight.transfer.small import SmallFiles, is_small

# A login page, or the error of a store, under status 200.
_PROGRESS = 64 * 1024
# After so many files in a row for which nobody answered, the rest of a session is not tried, three times each.
_UNREACHED = 8
_PAGE = re.compile(rb"\s*<(!doctype html|html[\s>]|\?xml|error>)", re.IGNORECASE)


def download(
    steps: Iterable[DownloadStep],
    repository: Repository,
    client: Client,
    folder: Path,
    ledger: Ledger,
    *,
    parallel: int = 8,
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
    parallel : int
        Files at a time.
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
    run = _Run(repository, client, ledger, watcher)
    outcomes: dict[str, Outcome] = {}
    for step in plan:
        if isinstance(step, Keep):
            size = step.target.stat().st_size
            outcomes[step.entry.path] = Outcome(step.entry.path, step.target, Status.KEPT, size, step.verified)
            watcher.finish(outcomes[step.entry.path])
    client.widen(parallel)
    pool = ThreadPoolExecutor(max(1, parallel), "onelight-download")
    try:
        # What was begun by an earlier run is continued, and cleared away, by the thorough way.
        thorough = begun(step.target for step in fetches)
        quick = [step for step in fetches if is_small(step) and step.target not in thorough]
        thorough.update(step.target for step in fetches if not is_small(step))
        futures = [pool.submit(run.fetch, step) for step in fetches if step.target in thorough]
        left: list[Fetch] = []
        small = SmallFiles(repository, client, ledger, watcher, run.stopped, left.append)
        small.run(quick, parallel)
        futures += [pool.submit(run.fetch, step) for step in left]
        for future in as_completed(futures):
            outcome = future.result()
            outcomes[outcome.path] = outcome
        small.flush_folders()
        outcomes.update((outcome.path, outcome) for outcome in small.outcomes)
    except BaseException:
        run.stopped.set()
        client.abort()
        raise
    finally:
        try:
            pool.shutdown(cancel_futures=True)
        finally:  # also after a second Ctrl-C
            client.allow()
    return [outcomes[step.entry.path] for step in plan]


class _Run:
    """What the files of one run share."""

    def __init__(self, repository: Repository, client: Client, ledger: Ledger, watcher: Progress) -> None:
        self._repository = repository
        self._client = client
        self._ledger = ledger
        self._watcher = watcher
        self.stopped = threading.Event()
        self._fatal: OneError | None = None
        self._unreached = 0

    def fetch(self, step: Fetch) -> Outcome:
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
        source = self._repository.source(step.entry)
        partial = Partial(step.target, expectation(step.entry))
        try:
            known = partial.claim()
            incoming = _Incoming(step.entry, partial, known, self._watcher, self.stopped)
            begun_at = incoming.length
            self._fill(incoming, source)
            verified, md5 = incoming.verify()
            partial.commit()
        except (SizeMismatch, ChecksumMismatch, UnsafeData):
            partial.discard()
            raise
        except OneError:
            _release(partial)
            raise
        except OSError as error:
            _release(partial)
            raise _disk_error(error, step.target) from error
        except BaseException:
            _release(partial)
            raise
        self._ledger.record(step.entry.path, step.target, md5)
        return Outcome(step.entry.path, step.target, Status.DONE, incoming.length, verified, resumed_from=begun_at)

    def _fill(self, incoming: _Incoming, source: Source) -> None:
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
            self._try_routes(incoming, source)

    def _try_routes(self, incoming: _Incoming, routes: tuple[Route, ...]) -> None:
        reasons: list[OneError] = []
        for number, route in enumerate(routes, 1):
            try:
                self._try_route(incoming, route)
            except (TransferError, RepositoryError, NotFound, UnsafeData) as error:
                if isinstance(error, (NoSpace, Interrupted)) or self.stopped.is_set():
                    raise
                reasons.append(error)
                if number < len(routes):
                    incoming.restart_if_wrong(error)
            else:
                return
        raise _summary(incoming.entry, reasons)

    def _try_route(self, incoming: _Incoming, route: Route) -> None:
        """Fetch from one address, continuing where a connection was lost, until nothing more comes."""
        attempt, clean = 1, False
        while True:
            before = incoming.length
            try:
                if incoming.is_full():
                    incoming.verify()
                    return
                response = self._client.stream(route, incoming, incoming.range_headers())
                incoming.check_complete(response)
                incoming.verify()
            except (Unreachable, RateLimited) as error:
                # Counted anew whenever bytes came, and more than a trickle: one byte a try would never end.
                attempt = 1 if incoming.length >= before + _PROGRESS else attempt
                if self._client.gives_up(error, attempt) or self.stopped.is_set():
                    raise
                self._client.pause(error, attempt)
                attempt += 1
            except (SizeMismatch, ChecksumMismatch):
                # Bytes of an earlier try may be the ones that are wrong: once more from the beginning, then the truth.
                if clean or not (before or incoming.continued):
                    raise
                clean = True
                incoming.restart()
            else:
                return


class _Incoming:
    """The bytes of one file as they come: a sink that counts, hashes and writes them.

    Parameters
    ----------
    entry : Entry
        What is expected.
    partial : Partial
        Where the bytes go.
    known : dict
        What an earlier try knew of the server's copy.
    watcher : Progress
        Told of every block.
    stopped : threading.Event
        Set when the run is to end.
    """

    def __init__(
        self, entry: Entry, partial: Partial, known: dict[str, str], watcher: Progress, stopped: threading.Event
    ) -> None:
        self.entry = entry
        self._partial = partial
        self._etag = known.get("etag", "")
        self._stated: int | None = entry.size
        self._watcher = watcher
        self._stopped = stopped
        self.length = 0
        self.continued = False
        self._md5 = hashlib.md5()
        if entry.md5 is None and not self._etag:
            self._truncate()  # nothing could tell whether what comes belongs to what is here
        else:
            self._reread()

    def _reread(self) -> None:
        stream = self._stream
        stream.seek(0)
        while block := stream.read(BLOCK):
            self._md5.update(block)
            self.length += len(block)
        self.continued = self.length > 0
        if self.length:
            self._watcher.advance(self.entry.path, self.length)

    @property
    def _stream(self) -> IO[bytes]:
        if self._partial.stream is None:
            raise Interrupted("the partial file is closed")
        return self._partial.stream

    def is_full(self) -> bool:
        """Whether every byte that the index states is here already."""
        return self.entry.size is not None and self.length == self.entry.size

    def range_headers(self) -> dict[str, str]:
        """Return the headers that ask for the rest only, and only of the same file."""
        if self.length and not (self._etag or self.entry.md5):
            self.restart()  # nothing could tell whether the rest belongs to what is here
        if not self.length:
            return {}
        headers = {"Range": f"bytes={self.length}-"}
        if self._etag:
            headers["If-Range"] = self._etag
        return headers

    def begin(self, response: Response) -> None:
        """Look at the headers before a byte is taken."""
        encoding = response.headers.get("content-encoding", "identity").lower()
        if encoding not in ("", "identity"):
            raise TransferError(
                f"{redact(response.url)} sends its data in the form '{encoding}', which was not asked for"
            )
        etag = response.headers.get("etag", "")
        if not self._partial.is_own():
            self.restart()
            if response.status == 206:
                raise Unreachable("another process took this download over", hint="The same command continues")
        if response.status == 206:
            self._check_range(response, etag)
            self.continued = True
            return
        if self.length:
            self.restart()
        self._state_size(response.size, response)
        self._etag = "" if etag.startswith("W/") else etag  # a weak one says nothing of bytes (RFC 9110, 13.1.5)
        if self._etag:
            self._partial.remember({"etag": self._etag})

    def _check_range(self, response: Response, etag: str) -> None:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("content-range", ""))
        if found is None or int(found[1]) != self.length:
            raise SizeMismatch(f"{redact(response.url)} sends other bytes than were asked for")
        if self._etag and etag != self._etag and (etag or not self.entry.md5):
            raise SizeMismatch(f"{redact(response.url)} was replaced on the server meanwhile")
        if found[3] != "*":
            self._state_size(int(found[3]), response)

    def _state_size(self, size: int | None, response: Response) -> None:
        if size is None:
            return
        if self.entry.size is not None and size != self.entry.size:
            raise SizeMismatch(
                f"the server's copy of {self.entry.path} is {size:,} bytes, the repository says {self.entry.size:,}",
                hint=f"It was asked for at {redact(response.url)}; tell whoever shares the repository",
            )
        self._stated = size

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._stopped.is_set():
            raise Interrupted("the transfer was stopped", hint="The same command continues where it stopped")
        if not self.length and self.entry.md5 is None and _is_page(self.entry, data):
            raise TransferError(f"a web page came instead of {self.entry.path}")
        if self._stated is not None and self.length + len(data) > self._stated:
            raise SizeMismatch(f"more than {self._stated:,} bytes came for {self.entry.path}")
        try:
            self._stream.write(data)
        except OSError as error:
            raise _disk_error(error, self._partial.path) from error
        self._md5.update(data)
        self.length += len(data)
        self._watcher.advance(self.entry.path, len(data))

    def take_all(self, blocks: Iterable[bytes]) -> None:
        """Take bytes that are on this machine, from the beginning."""
        self._truncate()
        for block in blocks:
            self.write(block)

    def check_complete(self, response: Response) -> None:
        """Ask for more if the answer ended early, and begin anew if what is here is more than the server has."""
        if response.status == 416:
            raise SizeMismatch(f"{redact(response.url)} has fewer bytes than were here already")
        if self._stated is not None and self.length < self._stated:
            raise Unreachable(
                f"{redact(response.url)} ended after {self.length:,} of {self._stated:,} bytes",
                hint="The same command continues from there",
            )

    def verify(self) -> tuple[Verified, str]:
        """Compare what came with what is stated, and return how far that went and the md5."""
        self._stream.flush()
        md5 = self._md5.hexdigest()
        if self._stated is not None and self.length != self._stated:
            raise SizeMismatch(
                f"{self.entry.path} has {self.length:,} bytes, and should have {self._stated:,}",
                hint="Nothing was saved; try again, and if it stays so tell whoever shares the repository",
            )
        if self.entry.md5 is not None and md5 != self.entry.md5:
            raise ChecksumMismatch(
                f"{self.entry.path} has the md5 {md5}, and should have {self.entry.md5}",
                hint="Nothing was saved; try again, and if it stays so tell whoever shares the repository",
            )
        if self.entry.md5 is not None:
            return Verified.MD5, md5
        return (Verified.SIZE if self._stated is not None else Verified.NOTHING), md5

    def restart_if_wrong(self, error: OneError) -> None:
        """Begin anew for the next route if what is here cannot be trusted."""
        if isinstance(error, (SizeMismatch, ChecksumMismatch, UnsafeData)) or self.entry.md5 is None:
            self.restart()

    def restart(self) -> None:
        """Throw away what is here."""
        self._watcher.advance(self.entry.path, -self.length)
        self._truncate()

    def _truncate(self) -> None:
        self._partial.restart()
        self.length = 0
        self.continued = False
        self._md5 = hashlib.md5()
        self._etag = ""
        self._stated = self.entry.size


def _is_page(entry: Entry, data: bytes) -> bool:
    return _PAGE.match(data[:64]) is not None and not entry.path.endswith((".html", ".htm", ".xml", ".svg"))


def _summary(entry: Entry, reasons: list[OneError]) -> OneError:
    """Return the most telling of the errors of several routes, with the others named."""
    rank: tuple[type[OneError], ...] = (
        UnsafeData,
        ChecksumMismatch,
        SizeMismatch,
        TransferError,
        AccessDenied,
        RateLimited,
        Unreachable,
    )
    first = min(
        reasons, key=lambda error: next((place for place, kind in enumerate(rank) if isinstance(error, kind)), 9)
    )
    others = "; ".join(error.message for error in reasons if error is not first)
    shown = f"{entry.path} could not be fetched: {first.message}"
    first.message = f"{shown} (and: {others})" if others else shown
    return first


def _release(partial: Partial) -> None:
    with contextlib.suppress(OSError):  # on a full or vanished disk there is nothing left to keep
        partial.release()


def _disk_error(error: OSError, target: Path) -> OneError:
    """Say what an error of the local disk means."""
    if isinstance(error, OneError):
        return error
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1))
    reason = "the disk is full" if full else (error.strerror or str(error))
    return NoSpace(
        f"{target} cannot be written: {reason}", hint="Make room, or choose another folder; the same command continues"
    )


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
