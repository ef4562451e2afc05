"""What lies in a data folder: by session, and whether it is still what the repository says.

A look (:func:`survey`) costs one ``stat`` for each file: what was compared stands in the ledger. Reading every file
again (:func:`verify`) finds what a ``stat`` cannot, a disk that gives other bytes than it was given. Neither changes a
dataset.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from onelight import threads
from onelight.alf import split_path
from onelight.checksum import md5_of
from onelight.errors import AlfError, Interrupted, UnsafeData
from onelight.index import Entry, Index
from onelight.transfer.ledger import Ledger
from onelight.transfer.leftovers import unless_missing
from onelight.transfer.outcome import Outcome, Progress, Silent, Status, Verified


@dataclass(slots=True)
class KeptSession:
    """The files of one session that lie in a data folder.

    Parameters
    ----------
    session : str
        ``lab/Subjects/subject/date/number``.
    files, size : int
        How many, and their bytes.
    verified : int
        Files that were compared with the md5 of the repository, and not touched since.
    by_size : int
        Files that were fetched whole as far as anybody can tell, and not touched since: the repository states no md5.
    """

    session: str
    files: int = 0
    size: int = 0
    verified: int = 0
    by_size: int = 0

    @property
    def doubtful(self) -> int:
        """Files that were never compared, or touched since."""
        return self.files - self.verified - self.by_size


@dataclass(slots=True)
class Survey:
    """What lies in a data folder.

    Parameters
    ----------
    sessions : list of KeptSession
        Sorted.
    others, other_size : int
        Files that lie in no session, and their bytes.
    partial, partial_size : int
        What broken downloads left, and its bytes.
    """

    sessions: list[KeptSession] = field(default_factory=list)
    others: int = 0
    other_size: int = 0
    partial: int = 0
    partial_size: int = 0


class Verdict(str, Enum):
    """What came of reading a file again."""

    GOOD = "ok"
    """It is what the repository says; where that says no md5, what was fetched."""
    OUTDATED = "outdated"
    """It is what was fetched, and the repository has another by now."""
    UNKNOWN = "unknown"
    """Nobody states its md5, and it was not fetched by this program."""
    DAMAGED = "damaged"
    """It is neither what the repository says nor what was fetched."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One file that was read again.

    Parameters
    ----------
    path : str
        Path relative to the data folder.
    target : Path
        The local file.
    size : int
        Its bytes.
    verdict : Verdict
        What came of it.
    why : str
        In words, where it is not good.
    md5 : str
        The md5 of what was read; empty where it could not be.
    """

    path: str
    target: Path
    size: int
    verdict: Verdict
    why: str = ""
    md5: str = ""


def survey(folder: Path, ledger: Ledger, index: Index) -> Survey:
    """Look through a data folder without reading a file.

    Parameters
    ----------
    folder : Path
        The data folder of a repository. One that is not there is empty.
    ledger : Ledger
        What was compared.
    index : Index
        What the repository said last; may be empty.

    Raises
    ------
    OSError
        If a folder cannot be read: nobody could say what is in it.
    """
    found = Survey()
    sessions: dict[str, KeptSession] = {}
    for path, target, status in _files(folder):
        if target.name.startswith("."):
            if target.suffix == ".part":
                found.partial += 1
                found.partial_size += status.st_size
            continue
        session = _session_of(path)
        if session is None:
            found.others += 1
            found.other_size += status.st_size
            continue
        row = sessions.setdefault(session, KeptSession(session))
        row.files += 1
        row.size += status.st_size
        md5 = ledger.md5(path, target, status)
        entry = index.get(path)
        if md5 is not None and entry is not None and entry.md5 == md5:
            row.verified += 1
        elif md5 is not None and (entry is None or entry.md5 is None):
            row.by_size += 1
    found.sessions = sorted(sessions.values(), key=lambda row: row.session)
    return found


def verify(folder: Path, ledger: Ledger, index: Index, *, progress: Progress | None = None) -> list[Checked]:
    """Read every file of a data folder again, and compare it with what the index says.

    What is good is taken down as compared; what is damaged as doubtful, so that the next download of it looks for
    itself. No dataset is changed, moved or removed.

    Parameters
    ----------
    folder : Path
        The data folder of a repository. One that is not there is empty.
    ledger : Ledger
        What was compared when it was fetched.
    index : Index
        What the repository says.
    progress : Progress, optional
        Told of every step.

    Returns
    -------
    list of Checked
        One for each file that lies in a session, sorted by path.

    Raises
    ------
    OSError
        If a folder cannot be read: nobody could say that all in it is well.
    """
    watcher = progress or Silent()
    files = [row for row in _files(folder) if not row[1].name.startswith(".") and _session_of(row[0]) is not None]
    watcher.begin(len(files), sum(status.st_size for _, _, status in files))
    stopped = threading.Event()

    def check(row: tuple[str, Path, os.stat_result]) -> Checked:
        path, target, status = row
        watcher.start(path, status.st_size)
        checked = _check(path, target, status, ledger.last_md5(path), index.get(path), watcher, stopped)
        good = checked.verdict is Verdict.GOOD
        watcher.finish(Outcome(path, target, Status.DONE, checked.size, Verified.MD5 if good else Verified.NOTHING))
        return checked

    pool = threads.pool(os.cpu_count() or 1, "onelight-verify")
    try:
        found = list(pool.map(check, files))
    finally:  # after Ctrl-C the rest of a large file is not read
        stopped.set()
        pool.shutdown(cancel_futures=True)
    known = {checked.path for checked in found}
    found += [in_the_way for path in ledger if path not in known and (in_the_way := _in_the_way(path, folder))]
    ledger.doubt(checked.path for checked in found if checked.verdict is Verdict.DAMAGED)
    good = (checked for checked in found if checked.verdict is Verdict.GOOD)
    ledger.record_all(
        (checked.path, checked.target, checked.md5) for checked in good if not ledger.md5(checked.path, checked.target)
    )
    return sorted(found, key=lambda checked: checked.path)


def _check(
    path: str,
    target: Path,
    status: os.stat_result,
    fetched: str | None,
    entry: Entry | None,
    watcher: Progress,
    stopped: threading.Event,
) -> Checked:
    try:
        md5 = md5_of(target, stopped, lambda count: watcher.advance(path, count))
    except OSError as error:
        if isinstance(error, Interrupted):
            raise
        return Checked(path, target, status.st_size, Verdict.DAMAGED, f"cannot be read: {error.strerror or error}")
    stated = entry.md5 if entry is not None else None
    size = entry.size if entry is not None else None
    size_differs = size is not None and size != status.st_size
    verdict, why = Verdict.GOOD, ""
    if stated is not None and md5 == stated:
        pass
    elif fetched is not None and md5 == fetched:
        if stated is not None or size_differs:
            verdict, why = Verdict.OUTDATED, "is as it was fetched; the repository has another one by now"
    elif size_differs:
        verdict, why = Verdict.DAMAGED, f"has {status.st_size:,} bytes, and should have {size:,}"
    elif stated is not None or fetched is not None:
        verdict, why = Verdict.DAMAGED, f"has the md5 {md5}, and should have {stated or fetched}"
    else:
        verdict, why = Verdict.UNKNOWN, "nobody states its md5, and it was not fetched by this program"
    return Checked(path, target, status.st_size, verdict, why, md5)


def _in_the_way(path: str, folder: Path) -> Checked | None:
    """Tell of something that is no file and lies where one was fetched; one that is gone is no damage."""
    target = folder / path
    try:
        status = target.stat()
    except OSError:
        is_link = target.is_symlink()
        return Checked(path, target, 0, Verdict.DAMAGED, "is a link to nowhere") if is_link else None
    return None if stat.S_ISREG(status.st_mode) else Checked(path, target, 0, Verdict.DAMAGED, "is not a file any more")


def _files(folder: Path) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Look at every file below a folder; links to folders are not followed."""
    for parent, _, names in os.walk(folder, onerror=unless_missing):
        above = Path(parent)
        for name in names:
            target = above / name
            with contextlib.suppress(FileNotFoundError):
                status = target.stat()
                if stat.S_ISREG(status.st_mode):
                    yield target.relative_to(folder).as_posix(), target, status


def _session_of(path: str) -> str | None:
    try:
        return str(split_path(path)[0])
    except (AlfError, UnsafeData):
        return None
