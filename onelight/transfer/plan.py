"""Deciding: what a run would do, as data. Looks at the disk, changes nothing, asks no server."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import threading
import unicodedata
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from onelight import threads
from onelight.alf import check_safe, printable, windows_problems
from onelight.checksum import md5_of
from onelight.errors import NoSpace, UnsafeData
from onelight.index import Entry, Index
from onelight.pack import Pack, packs_of, span_of
from onelight.transfer.ledger import Ledger
from onelight.transfer.outcome import Verified


@dataclass(frozen=True, slots=True)
class Fetch:
    """A file to be fetched, and why: it is missing, or what is there differs."""

    entry: Entry
    target: Path
    why: str


@dataclass(frozen=True, slots=True)
class Keep:
    """A file that is there already, how far it was compared, and its bytes."""

    entry: Entry
    target: Path
    verified: Verified
    size: int


@dataclass(frozen=True, slots=True)
class Put:
    """A file to be sent, and why: it is new, or differs from what is stored; or all files of a session as a pack."""

    entry: Entry
    source: Path | Pack
    why: str
    is_new: bool = True

    @property
    def target(self) -> Path:
        """The local file, for a person; of a pack, what would be its place."""
        return self.source if isinstance(self.source, Path) else Path(self.source.path)


@dataclass(frozen=True, slots=True)
class Drop:
    """A file that the repository holds and this folder does not: it goes, once no reader sees it any more."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Skip:
    """A file that the repository holds already."""

    entry: Entry
    source: Path
    stored: Entry


@dataclass(frozen=True, slots=True)
class Conflict:
    """A file that cannot be sent, and why."""

    entry: Entry
    why: str


DownloadStep: TypeAlias = Fetch | Keep
UploadStep: TypeAlias = Put | Skip | Drop | Conflict


def plan_download(entries: Iterable[Entry], folder: Path, ledger: Ledger) -> list[DownloadStep]:
    """Decide which files are to be fetched into a folder.

    A file is kept if its size is the one stated and its md5 is, too; the md5 is read from the ledger where the file
    was not touched since it was last compared, and from the file itself otherwise.

    Parameters
    ----------
    entries : iterable of Entry
        The files that are wanted; each lands at its whole path below the folder.
    folder : Path
        The data folder.
    ledger : Ledger
        What was compared before.

    Raises
    ------
    UnsafeData
        If an entry would land outside the folder, or two of them would be one file on this disk.
    """
    wanted = list(entries)
    for entry in wanted:
        _check_name(entry.path)
    _refuse_twins(wanted, folder)
    return [_look(entry, folder, ledger) for entry in wanted]


def _check_name(path: str) -> None:
    check_safe(path)
    if os.name == "nt" and (problems := windows_problems(path)):
        raise UnsafeData(f"the path {printable(path)} is refused: {'; '.join(problems)}")
    if not path.isascii():
        try:
            os.fsencode(path)
        except UnicodeEncodeError as error:
            raise NoSpace(
                f"{printable(path)} cannot be the name of a file here: names are {error.encoding} in this environment",
                hint="Set PYTHONUTF8=1, or a locale of UTF-8 (LC_ALL=C.UTF-8)",
            ) from error


def _look(entry: Entry, folder: Path, ledger: Ledger) -> DownloadStep:
    target = folder / entry.path
    try:
        found = target.stat()
    except FileNotFoundError:
        return Fetch(entry, target, "missing")
    except OSError as error:
        if error.errno == errno.ELOOP and target.is_symlink():
            return Fetch(entry, target, "is a link that leads nowhere")
        raise NoSpace(
            f"{target} cannot be looked at: {error.strerror}", hint="Choose another folder (--output)"
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeData(
            f"{target} is in the way: it is not a file", hint="Move it, or choose another folder (--output)"
        )
    if entry.size is not None and found.st_size != entry.size:
        return Fetch(entry, target, f"differs: {found.st_size:,} bytes, the repository says {entry.size:,}")
    md5 = ledger.md5(entry.path, target, found)
    if entry.md5 is None:
        return _look_unstated(entry, target, md5, found.st_size, ledger)
    if md5 is None:
        md5 = md5_of(target)
        if md5 == entry.md5:
            ledger.record(entry.path, target, md5)
    if md5 != entry.md5:
        return Fetch(entry, target, "differs: another md5 than the repository says")
    return Keep(entry, target, Verified.MD5, found.st_size)


def _look_unstated(entry: Entry, target: Path, md5: str | None, size: int, ledger: Ledger) -> DownloadStep:
    """Decide on a file of which the repository states no md5: kept if it is what was once fetched and compared."""
    if md5 is not None:
        return Keep(entry, target, Verified.SIZE, size)
    before = ledger.last_md5(entry.path)
    if before is None:
        return Fetch(entry, target, "was not fetched by this program: nobody knows whether it is whole")
    if md5_of(target) != before:
        return Fetch(entry, target, "was changed since it was fetched")
    ledger.record(entry.path, target, before)
    return Keep(entry, target, Verified.SIZE, size)


def plan_upload(local: Index, root: Path, stored: Index, md5s: Mapping[str, str]) -> list[UploadStep]:
    """Decide which files are to be sent. Pure: everything it needs is in its arguments.

    Parameters
    ----------
    local : Index
        What the data root holds, with sizes.
    root : Path
        The data root.
    stored : Index
        What the repository holds.
    md5s : mapping
        md5 by path of the local files.

    Returns
    -------
    list
        A step for every local file: :class:`Put`, :class:`Skip` or :class:`Conflict`.
    """
    twins = _twins(entry.path for entry in (*local, *stored))
    steps: list[UploadStep] = []
    for found in local:
        entry = Entry(found.path, size=found.size, md5=md5s[found.path])
        there = stored.get(found.path)
        others = twins[_folded(found.path)] - {found.path}
        if others:
            steps.append(Conflict(entry, f"differs only by case or accents from {min(others)}"))
        elif there is None:
            steps.append(Put(entry, root / found.path, "new"))
        elif (there.size, there.md5) == (entry.size, entry.md5):
            steps.append(Skip(entry, root / found.path, there))
        else:
            steps.append(Put(entry, root / found.path, "differs from what is stored", is_new=False))
    return steps


def plan_drops(local: Index, stored: Index) -> list[Drop]:
    """Return what the repository holds and the local folder does not."""
    here = {entry.path for entry in local}
    return [Drop(entry) for entry in stored if entry.path not in here]


def packed(steps: Iterable[Put | Skip], root: Path, stored: Index) -> list[Put | Skip]:
    """Send each session of which anything is to be sent as one pack; what is stored as it should be stays as it is.

    A session of which the repository has packed what is not in the folder gets its new files singly: a second pack
    would take the place of the first.

    Reads every file of such a session, for the md5 of its pack.

    Parameters
    ----------
    steps : iterable of Put and Skip
        A plan of single files.
    root : Path
        The data root.
    stored : Index
        What the repository holds, and is to hold.
    """
    steps = list(steps)
    here = {step.entry.path for step in steps}
    elsewhere = {entry.session for entry in stored if entry.path not in here and span_of(entry.url)}
    sessions: dict[str, list[Put | Skip]] = {}
    for step in steps:
        sessions.setdefault(step.entry.session, []).append(step)
    found: list[Put | Skip] = []
    with threads.pool(os.cpu_count() or 1, "onelight-pack") as pool:

        def put(group: list[Put | Skip], news: list[Put]) -> Future[Put]:
            [pack] = packs_of([step.entry for step in group], root)
            changed = sum(not step.is_new for step in news)
            why = f"a pack of {len(group)} files: {len(news) - changed} new, {changed} changed"
            is_new = len(news) == len(group) and not changed
            return pool.submit(lambda: Put(Entry(pack.path, size=pack.size, md5=pack.md5(stopped)), pack, why, is_new))

        stopped = threading.Event()
        puts: list[Future[Put]] = []
        try:
            for group in sessions.values():
                news = [step for step in group if isinstance(step, Put)]
                if news and news[0].entry.session in elsewhere:
                    found += group
                elif news:
                    puts.append(put(group, news))
                else:
                    found += group
            found += [future.result() for future in puts]
        except BaseException:  # Ctrl-C: who reads gigabytes ends now
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return sorted(found, key=lambda step: step.entry.path)


def clashes(paths: Iterable[str], *, tells_case: bool, tells_form: bool) -> list[list[str]]:
    """Group the paths that would be one file on a disk. Pure.

    Parameters
    ----------
    paths : iterable of str
        Paths of different files.
    tells_case : bool
        Whether the disk tells ``A`` and ``a`` apart.
    tells_form : bool
        Whether it tells apart the two ways to write an accent, ``é`` and ``e`` with a mark.

    Returns
    -------
    list
        Groups of two or more paths, each sorted.

    Examples
    --------
    >>> clashes(["a.b.npy", "A.b.npy", "c.d.npy"], tells_case=False, tells_form=True)
    [['A.b.npy', 'a.b.npy']]
    """
    if tells_case and tells_form:
        return []
    twins = _twins(paths, tells_case=tells_case, tells_form=tells_form)
    return [sorted(group) for group in twins.values() if len(group) > 1]


def _folded(path: str, *, tells_case: bool = False, tells_form: bool = False) -> str:
    if path.isascii():  # nearly always
        return path if tells_case else path.lower()
    shown = path if tells_form else unicodedata.normalize("NFD", path)
    if tells_case:
        return shown
    return shown.casefold() if tells_form else unicodedata.normalize("NFD", shown.casefold())


def _twins(paths: Iterable[str], *, tells_case: bool = False, tells_form: bool = False) -> dict[str, set[str]]:
    """Group the paths that are one file on a disk that does not tell case or accents apart."""
    twins: dict[str, set[str]] = {}
    for path in paths:
        twins.setdefault(_folded(path, tells_case=tells_case, tells_form=tells_form), set()).add(path)
    return twins


def _refuse_twins(entries: Iterable[Entry], folder: Path) -> None:
    """Refuse files of which one would replace the other on this disk; most disks of Linux can hold them all."""
    asked = cache(_tells_apart)
    found: list[list[str]] = []
    for group in clashes((entry.path for entry in entries), tells_case=False, tells_form=False):
        tells_case, tells_form = asked(_existing(folder / Path(group[0]).parent))
        found += clashes(group, tells_case=tells_case, tells_form=tells_form)
    if found:
        listed = "; ".join(" and ".join(map(printable, group)) for group in found[:20])
        more = f"; and {len(found) - 20} more" if len(found) > 20 else ""
        raise UnsafeData(
            f"names that differ only by case or accents would be one file in {folder}: {listed}{more}",
            hint="Choose a folder on another disk (--output), or ask for one of them at a time",
        )


def _existing(folder: Path) -> Path:
    return next((parent for parent in (folder, *folder.parents) if parent.is_dir()), folder)


def _tells_apart(folder: Path) -> tuple[bool, bool]:
    """Tell whether a folder holds ``a`` beside ``A``, and an accent written in two ways.

    Asked with a file made for it, which is gone afterwards. It has the name of a partial file, so that ``cache gc``
    would remove it. Of a folder that cannot be written the best is assumed: nothing will be written there.
    """
    number = secrets.token_hex(4)
    probe = folder / f".a\u00e9.{number}.part"
    try:
        probe.touch(exist_ok=False)
    except OSError:
        return True, True
    try:
        return not os.path.lexists(folder / f".A\u00e9.{number}.part"), not os.path.lexists(
            folder / f".ae\u0301.{number}.part"
        )
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
