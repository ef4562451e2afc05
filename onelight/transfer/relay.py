"""From one repository to another: each file is fetched, compared, sent on, and removed again.

The sending is that of :mod:`onelight.transfer.upload`, which also writes the index; a :class:`Relay` stands between it
and the repository that gets the files, and fetches each just before it is sent. So this disk needs room for some files,
and not for the repository. The fetching is that of :mod:`onelight.transfer.download`: a partial file of a killed run is
continued, and what had come whole is not fetched again.

::

    copying/NAME.part/                  what a run has left; the next one of the same two repositories goes on with it
    copying/NAME.MACHINE-PID-RANDOM.part/   that of a run: whoever wants it renames it first, as with a partial file
        lab/Subjects/…                  the files on their way
        .one_verified                   the md5 of what was fetched; kept where the source states none
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from onelight import owners
from onelight.checksum import md5_of
from onelight.client import Client
from onelight.errors import ChecksumMismatch, NoSpace, SizeMismatch
from onelight.index import Entry, Index
from onelight.pack import Pack, is_pack
from onelight.repository import Leftover, Repository, Room, WritableRepository
from onelight.route import Source
from onelight.transfer.download import FURTHER, Fetching
from onelight.transfer.incoming import disk_error
from onelight.transfer.ledger import LEDGER_NAME, Ledger
from onelight.transfer.leftovers import Leftover as Orphan
from onelight.transfer.outcome import Outcome, Progress, Silent, Status, Verified
from onelight.transfer.partial import is_orphan
from onelight.transfer.place import DISK_FULL, Folders
from onelight.transfer.plan import Conflict, Keep, Put, Skip, UploadStep, plan_download, plan_upload
from onelight.transfer.upload import md5_of_source

#: Bytes of files on their way that lie here at the most, unless a single file is larger.
MOST_HELD = 8 << 30
# Seconds after which what a run has left is not wanted any more.
_FORGOTTEN = 30 * 86400.0
_END = ".part"


def plan_relay(
    entries: Sequence[Entry],
    root: Path,
    stored: Index,
    fetched: Callable[[str], str | None] = lambda _: None,
    *,
    takes_packs: bool = False,
) -> list[UploadStep]:
    """Decide which files are to be copied. Pure: everything it needs is in its arguments.

    Parameters
    ----------
    entries : sequence of Entry
        What is to be copied, as the source states it: with or without size and md5.
    root : Path
        Where the files are, or will be, on this computer.
    stored : Index
        What the target holds.
    fetched : callable
        The md5 that a file had when it was last fetched for this target: what counts where the source states none.
    takes_packs : bool
        Whether the target takes a pack for a whole session, and not for a file like others.

    Returns
    -------
    list
        A step for each entry, with the entry as it was given: Put, Skip or Conflict.
    """
    stated: list[Entry] = []
    for entry in entries:
        there = stored.get(entry.path)
        md5 = entry.md5 or fetched(entry.path) or ""
        same = there is not None and bool(md5) and there.md5 == md5
        size = there.size if entry.size is None and there is not None and same else entry.size
        stated.append(replace(entry, size=size, md5=md5))
    given = {entry.path: entry for entry in entries}
    steps: list[UploadStep] = []
    for step in plan_upload(Index(stated), root, stored, {entry.path: entry.md5 or "" for entry in stated}):
        entry = given[step.entry.path]
        if takes_packs and is_pack(entry.path) and not isinstance(step, Conflict):
            steps.append(Conflict(entry, "is a whole session as one file, and nobody knows what is in it"))
        else:
            steps.append(replace(step, entry=entry))
    return steps


class Relay(WritableRepository):
    """A repository that gets its files from another one: what is sent to it is fetched there first.

    Parameters
    ----------
    source, target : Repository
        Where the files are, and where they go.
    client : Client
        The HTTP client of the source.
    base : Path
        The folder for files on their way: that of these two repositories. None where they lie on this computer
        already, and are sent from their place.
    steps : iterable of Put and Skip
        The plan: what an earlier run has left, and is not to be sent, is removed.
    parallel : int
        Files at a time.
    progress : Progress, optional
        Told of the run; to be asked for as :attr:`watcher`.
    reader : Client, optional
        The HTTP client of the target: with it is read back what the target does not compare the md5 of.

    Attributes
    ----------
    watcher : Progress
        For whoever sends: it tells the truth of each file.
    unstated : set of str
        Paths of files of which the source states no md5.
    unconfirmed : set of str
        Of files that the target will compare the md5 of, and has not yet.
    by_size : set of str
        Of files that the target has compared by size only, and does no more.
    """

    kind: ClassVar[str] = "relay"

    def __init__(
        self,
        source: Repository,
        target: WritableRepository,
        client: Client,
        base: Path | None,
        steps: Iterable[UploadStep],
        *,
        parallel: int = 8,
        progress: Progress | None = None,
        reader: Client | None = None,
    ) -> None:
        super().__init__(target.name)
        self._reader = reader
        self._target = target
        self._base = base
        self._watcher = progress or Silent()
        self.watcher: Progress = _Truth(self, self._watcher)
        plan = list(steps)
        # What was there already, and is known to be what was fetched once: the source states no md5 of it.
        self._kept = {step.entry.path: step.stored for step in plan if isinstance(step, Skip) and not step.entry.md5}
        self.unstated = {step.entry.path for step in plan if step.entry.md5 is None}
        self.unconfirmed: set[str] = set()
        self.by_size: set[str] = set()
        self._compared: set[str] = set()
        self._arrived: dict[str, tuple[Entry, Outcome]] = {}
        self._known_now: dict[str, Entry] = {}
        self._told = _Told(self._watcher)
        self._full: NoSpace | None = None
        if base is None:
            return
        self._folder = claim(base)
        sizes = {step.entry.path: step.entry.size for step in plan if isinstance(step, Put)}
        _sweep(self._folder, sizes)
        self._ledger = Ledger(self._folder)
        self._folders = Folders(self._folder)
        further = threading.Semaphore(max(0, min(FURTHER, parallel - 1)))
        self._run = Fetching(source, client, self._ledger, self._folders, self._told, further)
        left = shutil.disk_usage(self._folder).free + held(self._folder)
        largest = max((size or 0 for size in sizes.values()), default=0)
        self._space = _Space(min(left, max(largest, MOST_HELD)), self._remove)

    # What is asked of the target

    @property
    def address(self) -> str:
        """That of the target."""
        return self._target.address

    @property
    def identity(self) -> str:
        """That of the target."""
        return self._target.identity

    def refresh(self, last: Index | None = None, *, path: Path | None = None) -> Index:
        """Ask the target."""
        return self._target.refresh(last, path=path)

    def source(self, entry: Entry) -> Source:
        """Ask the target."""
        return self._target.source(entry)

    def stored(self) -> Index:
        """Ask the target."""
        return self._target.stored()

    def committed(self) -> Index:
        """Ask the target."""
        return self._target.committed()

    def room(self, puts: Sequence[Entry] = (), *, grow: bool = False) -> Room:
        """Ask the target."""
        return self._target.room(puts, grow=grow)

    def grow(self, puts: Sequence[Entry]) -> Mapping[str, Any]:
        """Ask the target."""
        return self._target.grow(puts)

    def delete(self, entry: Entry) -> None:
        """Tell the target."""
        self._target.delete(entry)

    def leftovers(self, continued: Sequence[Entry] = ()) -> list[Leftover]:
        """Ask the target."""
        return self._target.leftovers(continued)

    def clean(self, leftovers: Sequence[Leftover]) -> None:
        """Tell the target."""
        self._target.clean(leftovers)

    def discard(self, entry: Entry) -> None:
        """Tell the target."""
        self._target.discard(entry)

    def settled(self, index: Index) -> Index:
        """Ask the target."""
        return self._target.settled(index)

    def write_index(self, index: Index, *rest: Any, **more: Any) -> bool:
        """Tell the target, with size and md5 of what the source does not state them of."""
        if self._known_now:
            entries = (self._known_now.get(entry.path, entry) for entry in index)
            index = Index.build(entries, facts={"seen": index.fact("seen")})
        return self._target.write_index(index, *rest, **more)

    # A file

    def put(self, entry: Entry, path: Path | Pack, progress: Callable[[int], None]) -> Entry:
        """Fetch one file, send it, and wait until the target has checked it."""
        return self.send(entry, path, progress)()

    def send(self, entry: Entry, path: Path | Pack, progress: Callable[[int], None]) -> Callable[[], Entry]:
        """Fetch one file and send it; what is returned waits until the target has checked it."""
        if self._base is None:
            check = self._target.send(entry, path, progress)
            return lambda: self._confirmed(check(), entry.md5)
        if self._full is not None:
            raise self._full  # nothing is fetched that would find no room there
        size = entry.size or 0
        way = _Way(progress)
        self._space.take(size, lambda: progress(0))
        try:
            arrived, file = self._fetch(entry, way)
        except BaseException:
            self._space.give(size)
            raise
        try:
            check = self._target.send(arrived, file, way.add)
        except BaseException as error:
            if isinstance(error, NoSpace) and getattr(error.__cause__, "errno", None) in DISK_FULL:
                self._full = error
            self._leave(file, arrived, size, error)
            raise
        return lambda: self._checked(entry, arrived, file, check)

    def _fetch(self, entry: Entry, way: _Way) -> tuple[Entry, Path]:
        """Fetch a file, or take the one that an earlier run has left; return it with the size and md5 that it has."""
        (step,) = plan_download([entry], self._folder, self._ledger)
        if isinstance(step, Keep):
            way.add(step.size)
            outcome = Outcome(entry.path, step.target, Status.KEPT, step.size, step.verified, resumed_from=step.size)
        else:
            self._told.ways[entry.path] = way
            outcome = self._run.fetch(step)
            if outcome.error is not None:
                raise outcome.error
        try:
            md5 = entry.md5 or self._ledger.last_md5(entry.path) or md5_of(step.target)
        except OSError as error:
            raise disk_error(error, step.target) from error
        arrived = replace(entry, size=outcome.size, md5=md5)
        self._arrived[entry.path] = arrived, outcome
        return arrived, step.target

    def _checked(self, entry: Entry, arrived: Entry, file: Path, check: Callable[[], Entry]) -> Entry:
        size = entry.size or 0
        try:
            stored = check()
            _compare(stored, arrived)
            self._confirmed(stored, arrived.md5)
        except BaseException as error:
            self._leave(file, arrived, size, error)
            raise
        self._remove(file)
        self._space.give(size)
        if entry.md5 is None or entry.size is None:  # the index gets what is known now
            self._known_now[entry.path] = replace(stored, md5=stored.md5 or arrived.md5)
        # Compared with what was asked for by whoever sends: of more he knows nothing.
        return replace(stored, size=entry.size, md5=stored.md5 if entry.md5 is not None else None)

    def _confirmed(self, stored: Entry, md5: str | None) -> Entry:
        """Take down how far the target has compared a file; read it back, if that is wanted."""
        path = stored.path
        is_compared = self._target.has_compared(stored)
        if not is_compared and not self._target.compares_md5 and self._reader is not None:
            if md5_of_source(self._target.source(stored), self._reader) != md5:
                self._target.discard(stored)
                raise ChecksumMismatch(
                    f"{path} was sent, and comes back with another md5",
                    hint="It was removed there; the same command sends it again. Is a proxy in between?",
                )
            is_compared = True
        if is_compared:
            self._compared.add(path)
        else:
            (self.unconfirmed if self._target.compares_md5 else self.by_size).add(path)
        return stored

    def has_compared(self, entry: Entry) -> bool:
        """Tell whether the target has compared a file that was sent, or it was read back."""
        return entry.path in self._compared

    def _leave(self, file: Path, arrived: Entry, size: int, error: BaseException) -> None:
        """Leave a file that could not be sent to the next run, which need not fetch it again; but not a damaged one."""
        if isinstance(error, (ChecksumMismatch, SizeMismatch)):
            with contextlib.suppress(OSError):
                if md5_of(file) != arrived.md5:
                    file.unlink()
        self._space.spare(file, size)

    def _remove(self, file: Path) -> None:
        with contextlib.suppress(OSError):
            file.unlink()

    def true(self, outcome: Outcome) -> Outcome:
        """Return what came of a file as it is: how far the source let it be compared, and its bytes.

        Whoever sends knows of the target only.
        """
        if outcome.path in self._arrived and outcome.status is Status.DONE:
            arrived, fetch = self._arrived[outcome.path]
            verified = outcome.verified if fetch.verified is Verified.MD5 else fetch.verified
            return replace(outcome, size=arrived.size or 0, verified=verified, resumed_from=fetch.resumed_from)
        if outcome.path in self._kept:
            return replace(outcome, size=self._kept[outcome.path].size or 0, verified=Verified.SIZE)
        return outcome

    def close(self, *, is_done: bool) -> None:
        """End: remove the folder if every file has arrived, else leave it to the next run.

        The md5 of what was fetched stays where the source states none: the next run compares with them.
        """
        if self._base is None:
            return
        self._folders.close()
        keeps = bool(self.unstated) and (self._folder / LEDGER_NAME).is_file()
        with contextlib.suppress(OSError):  # what cannot be removed now is removed by a later run
            for item in list(self._folder.iterdir()) if is_done else []:
                if item.is_dir():
                    shutil.rmtree(item, ignore_errors=True)
                elif not (keeps and item.name == LEDGER_NAME):
                    item.unlink()
            if is_done and not keeps:
                self._folder.rmdir()
                self._folder.parent.rmdir()
            else:
                self._folder.rename(_free(self._base))


class _Truth:
    """Hands on what the sending tells, each outcome as it is."""

    def __init__(self, relay: Relay, watcher: Progress) -> None:
        self._relay = relay
        self._watcher = watcher

    def begin(self, files: int, size: int) -> None:
        self._watcher.begin(files, size)

    def start(self, path: str, size: int | None) -> None:
        self._watcher.start(path, size)

    def advance(self, path: str, count: int) -> None:
        if count:
            self._watcher.advance(path, count)

    def again(self, path: str, reason: str, wait: float) -> None:
        self._watcher.again(path, reason, wait)

    def finish(self, outcome: Outcome) -> None:
        self._watcher.finish(self._relay.true(outcome))


class _Told(Silent):
    """Told by the fetching; begin and end of a file are for the sending to tell."""

    def __init__(self, watcher: Progress) -> None:
        self._watcher = watcher
        self.ways: dict[str, _Way] = {}

    def advance(self, path: str, count: int) -> None:
        self.ways[path].add(count)

    def again(self, path: str, reason: str, wait: float) -> None:
        self._watcher.again(path, reason, wait)


class _Way:
    """Tells of the bytes of a file, which move twice, as if they moved once: half of each time."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._moved = self._told = 0

    def add(self, count: int) -> None:
        """Take down that bytes were fetched, or sent; raises if the run was stopped."""
        with self._lock:
            self._moved += count
            more = self._moved // 2 - self._told
            self._told += more
        self._tell(more)


class _Space:
    """Bytes that there is room for: who fetches a file takes its bytes first, and gives them back when it is gone.

    Parameters
    ----------
    size : int
        How many there are.
    remove : callable
        Removes a file that nobody needs now.
    """

    def __init__(self, size: int, remove: Callable[[Path], None]) -> None:
        self._left = size
        self._remove = remove
        self._change = threading.Condition()
        self._spare: list[tuple[Path, int]] = []

    def take(self, size: int, still: Callable[[], None]) -> None:
        """Wait until there is room; ``still`` is called now and then, and raises when the run is to end."""
        still()
        while True:
            with self._change:
                while size > self._left and self._spare:
                    file, freed = self._spare.pop()
                    self._remove(file)
                    self._left += freed
                if size <= self._left:
                    self._left -= size
                    return
                self._change.wait(0.2)
            still()

    def give(self, size: int) -> None:
        """Give bytes back."""
        with self._change:
            self._left += size
            self._change.notify_all()

    def spare(self, file: Path, size: int) -> None:
        """Say that a file stays for the next run, unless its room is needed."""
        with self._change:
            self._spare.append((file, size))
            self._change.notify_all()


def _compare(stored: Entry, arrived: Entry) -> None:
    if stored.size != arrived.size or stored.md5 not in (arrived.md5, None):
        raise ChecksumMismatch(f"{arrived.path} was stored with another size or md5", hint="Run the command again")


# The folder of files on their way


def claim(base: Path) -> Path:
    """Take over what a run has left, or begin; return the folder, which is this process's own.

    What other runs have left and nobody has gone on with for a month is removed; a mere record, after half a year.
    """
    own = base.with_name(f"{base.name}.{owners.owner()}{_END}")
    found = None
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        for left in left_behind(base):
            if found is None:
                with contextlib.suppress(OSError):  # somebody else was faster
                    left.rename(own)
                    found = own
            else:
                shutil.rmtree(left, ignore_errors=True)
        for folder, _, modified in _unused(base.parent):
            is_record = [item.name for item in folder.iterdir()] == [LEDGER_NAME]
            if time.time() - modified > (6 * _FORGOTTEN if is_record else _FORGOTTEN):
                shutil.rmtree(folder, ignore_errors=True)
        own.mkdir(exist_ok=True)
    except OSError as error:
        raise disk_error(error, own) from error
    return own


def left_behind(base: Path) -> list[Path]:
    """Return the folders of these two repositories that nobody works with, the fullest first."""
    mine = [(held(folder), folder) for folder, name, _ in _unused(base.parent) if name == base.name]
    return [folder for _, folder in sorted(mine, reverse=True)]


def held(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                found = Path(parent, name).stat()
                size += min(found.st_size, 512 * getattr(found, "st_blocks", found.st_size))  # written in pieces: holes
    return size


def check_space(puts: Iterable[Put], base: Path, target: Path | None) -> None:
    """Refuse what this disk has no room for: the largest file, and all of them where the target is on it, too.

    Parameters
    ----------
    puts : iterable of Put
        What is to be copied.
    base : Path
        The folder for files on their way.
    target : Path, optional
        The folder of the target, if it is one.

    Raises
    ------
    NoSpace
        If there is not enough room; nothing was fetched.
    """
    sizes = {put.entry.path: put.entry.size or 0 for put in puts}
    if not sizes:
        return
    disk = _existing(base)
    free = shutil.disk_usage(disk).free + sum(map(held, left_behind(base)))
    largest = max(sizes, key=lambda path: sizes[path])
    needed = sizes[largest]
    if target is not None and _existing(target).stat().st_dev == disk.stat().st_dev:
        needed += sum(sizes.values())
    if needed > free:
        raise NoSpace(
            f"{largest} has {sizes[largest]:,} bytes and lies in {disk} while it is copied; with what else goes there"
            f" that is {needed:,} bytes, and there is room for {free:,}",
            hint="Nothing was fetched. Make room, or put the configuration on a larger disk (ONELIGHT_CONFIG_DIR)",
        )


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.is_dir())


def _free(base: Path) -> Path:
    return base.with_name(f"{base.name}{_END}")


def _unused(parent: Path) -> list[tuple[Path, str, float]]:
    """Return the folders that no run works with: folder, name without owner, and when it was last changed."""
    found = []
    with contextlib.suppress(OSError):
        for folder in parent.iterdir():
            name, _, owner = folder.name.removesuffix(_END).partition(".")
            with contextlib.suppress(OSError):
                if folder.name.endswith(_END) and folder.is_dir():
                    modified = _newest(folder)
                    if not owner or is_orphan(owner, modified):
                        found.append((folder, name, modified))
    return found


def left_copies(parent: Path) -> list[Orphan]:
    """Return what broken copies have left on this computer: a folder for each."""
    return [Orphan(folder, held(folder), in_use=False) for folder, _, _ in _unused(parent)]


def _newest(folder: Path) -> float:
    """Return when anything in a folder was last changed."""
    newest = folder.stat().st_mtime
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                newest = max(newest, Path(parent, name).stat().st_mtime)
    return newest


def _sweep(folder: Path, wanted: Mapping[str, int | None]) -> None:
    """Remove whole files that are not to be sent: they have arrived, or nobody wants them any more."""
    for parent, _, names in os.walk(folder):
        for name in names:
            file = Path(parent, name)
            if not name.startswith(".") and file.relative_to(folder).as_posix() not in wanted:
                with contextlib.suppress(OSError):
                    file.unlink()
