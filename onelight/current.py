"""Which index answers: the one that is kept on disk, asked for again where it is old, and made anew where it changed.

All processes of this account share the file ``.one_index`` in the data folder of a repository. It is replaced as a
whole by a rename; whoever has the old one open goes on with it. Its time of change is when the repository was last
asked, so that "is it old?" needs no lock and no second file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from onelight.errors import DamagedIndex, OneError, RateLimited, Unreachable
from onelight.index import Index
from onelight.index.catalogue import KEPT_INDEX
from onelight.notes import log
from onelight.repository import Repository

# After an answer that did not come, the old index answers for so many seconds before the repository is asked again.
_REST = 30.0
# Another process that is asking is waited for so long: it asks for all.
_PATIENCE = 30.0
# An index that this process asked for so many seconds ago is as good as one that is asked for again.
_JUST_NOW = 3.0
_T = TypeVar("_T")


class CurrentIndex:
    """The index of a repository as it is now. Safe for several threads.

    Parameters
    ----------
    repository : Repository
        Whose index it is.
    folder : Path
        The folder in which the index is kept.
    max_age : float
        Seconds after which the repository is asked again, where it does not decide that itself.
    offline : bool
        Never ask the repository.
    """

    def __init__(self, repository: Repository, folder: Path, *, max_age: float, offline: bool = False) -> None:
        self._repository = repository
        self.folder = folder
        self._max_age = max_age if repository.max_age is None else repository.max_age
        # What is on this computer is no network.
        self._offline = offline and repository.max_age != 0
        self._lock = threading.RLock()
        self._index: Index | None = None
        self._checked = 0.0
        self._asked = -_REST
        self._rests_until = 0.0
        self._file: tuple[int, ...] = ()
        self._damaged: tuple[int, ...] | None = None
        self._is_expired = False
        self._process = os.getpid()
        self._told: tuple[str, ...] = ()

    def ask(self, question: Callable[[Index], _T]) -> _T:
        """Return the answer to a question, all of it from one version of the index.

        Raises
        ------
        Unreachable, RateLimited
            If the repository cannot be asked and no index of an earlier time is there.
        """
        try:
            return question(self.get())
        except DamagedIndex as error:
            if self._offline:  # nobody could make it again
                raise
            log.info("%s; it is made again", error.message)
            with self._lock:
                self._index, self._damaged = None, self._file
                with contextlib.suppress(OSError):
                    if _number(self._kept.stat()) == self._file:
                        self._kept.unlink()
            return question(self.get())

    def get(self, *, refresh: bool = False) -> Index:
        """Return the index; with ``refresh`` the repository is asked, however new it is."""
        if self._process != os.getpid():  # forked, perhaps while another thread held the lock: that thread is not here
            self._process, self._lock = os.getpid(), threading.RLock()
        with self._lock:
            refresh |= self._is_expired and time.monotonic() >= self._rests_until
            is_new = self._age(self._checked) < self._max_age or time.monotonic() < self._rests_until
            if self._index is not None and not refresh and is_new:
                return self._index
            if self._offline and self._index is not None:
                return self._index
            return self._renew(refresh=refresh)

    @property
    def may_be_old(self) -> bool:
        """Whether something may have come to the repository that the index in use does not know."""
        now = time.monotonic()
        return not self._offline and now - self._asked > _JUST_NOW and now >= self._rests_until

    def expire(self) -> None:
        """Let the repository be asked next time, here and in every process that begins then: it was changed."""
        with self._lock:
            self._is_expired = True
            self._rests_until = 0.0
            before = time.time() - self._max_age - 1
            try:
                _set_time(self._kept, before)
            except OSError:  # somebody else's file
                with contextlib.suppress(OSError):
                    self._kept.unlink()

    @property
    def _kept(self) -> Path:
        return self.folder / KEPT_INDEX

    def _renew(self, *, refresh: bool) -> Index:
        kept = self._open() or self._in_use
        if kept is not None and (self._offline or not (refresh or self._is_old(kept))):
            return self._use(*kept)
        if self._offline:
            raise Unreachable(
                f"the index of '{self._repository.name}' is not here, and the network is not to be used",
                hint="Ask once without --offline (ONELIGHT_OFFLINE); from then on it is kept",
            )
        with _one_at_a_time(self.folder):
            now = self._open() or kept  # another process may have asked meanwhile
            if now is not None and not refresh and not self._is_old(now):
                return self._use(*now)
            return self._ask_repository(now, refresh=refresh)

    def _ask_repository(self, kept: tuple[Index, float] | None, *, refresh: bool) -> Index:
        last = kept[0] if kept is not None and not (refresh and self._is_doubtful(kept[0])) else None
        asked = time.time()
        self._asked = time.monotonic()
        try:
            index = self._made(last)
        except (Unreachable, RateLimited) as error:
            if kept is None:
                raise
            age = duration(self._age(kept[1]))
            log.warning("%s; answering from the index of %s ago", error.message, age)
            self._rests_until = time.monotonic() + _REST
            return self._use(*kept)
        self._rests_until = 0.0
        self._is_expired = False
        if index is last:
            with contextlib.suppress(OSError):  # somebody else's file: it answers all the same
                _set_time(self._kept, asked)
        return self._use(index, asked)

    def _is_doubtful(self, index: Index) -> bool:
        """Tell whether an index that somebody wants to be sure of is damaged, or may have changed unseen."""
        try:
            if not self._repository.is_certain(index.fact("stamp")):
                return True
            index.check()
        except DamagedIndex as error:
            log.info("%s", error.message)
            return True
        return False

    def _made(self, last: Index | None) -> Index:
        """Ask the repository, and keep what is new."""
        temporary = self.folder / f"{KEPT_INDEX}.{os.urandom(4).hex()}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            index = self._repository.refresh(last, path=temporary)
        except OSError as error:
            if isinstance(error, OneError):
                raise
            # Reading works without it; only the next process has to ask again.
            log.info("the index could not be kept for later: %s", error)
            return self._repository.refresh(last)
        if index is last:
            return index
        # Kept open, so that it is this one that answers, whatever another process puts in its place.
        if os.name == "nt":  # which renames no open file, and replaces none
            index.close()
            for other in {id(one): one for one in (last, self._index) if one is not None}.values():
                other.close()
            self._index = None
        where = self._kept
        try:
            self._file = _number(temporary.stat())
            temporary.replace(where)
            self._damaged = None
        except OSError as error:  # a folder in its place; on Windows, open elsewhere
            log.info("the index could not be kept for later: %s", error)
            self._file, where = (), temporary
        if os.name == "nt":
            index = Index.open(where)
        elif where == temporary:
            with contextlib.suppress(OSError):
                temporary.unlink()
        return index

    def _open(self) -> tuple[Index, float] | None:
        """Return the index that is kept and when the repository was last asked, if there is one that is right."""
        try:
            found = self._kept.stat()
            # An open file keeps its number, so that this is the one in use, and no other.
            if self._index is not None and self._file == _number(found):
                return self._index, found.st_mtime
            if self._damaged == _number(found):  # and may not be removed
                return None
            index = Index.open(self._kept)
            if index.fact("source") == self._repository.identity:
                # Replaced while it was opened: which one this is is not known, and it is opened again next time.
                self._file = _number(found) if _number(self._kept.stat()) == _number(found) else ()
                return index, found.st_mtime
            log.info("the index that was kept is that of %s", index.fact("source"))
            index.close()
        except FileNotFoundError:
            pass
        except (DamagedIndex, OSError) as error:
            log.info("the index that was kept is not used: %s", error)
        return None

    @property
    def _in_use(self) -> tuple[Index, float] | None:
        return None if self._index is None else (self._index, self._checked)

    def _is_old(self, kept: tuple[Index, float]) -> bool:
        return self._age(kept[1]) >= self._max_age

    @staticmethod
    def _age(checked: float) -> float:
        """Return the seconds since a moment; one that is still to come is no moment at which anything was asked."""
        seconds = time.time() - checked
        return max(0.0, seconds) if seconds >= -1 else float("inf")

    def _use(self, index: Index, checked: float) -> Index:
        if index is not self._index:
            self._index = index
            if index.remarks != self._told:  # a folder that changes is looked through often
                self._tell(index)
        self._checked = checked
        return index

    def _tell(self, index: Index) -> None:
        """Say what the index leaves out: one line, for most questions are about the rest."""
        self._told = index.remarks
        if not index.remarks:
            return
        more = f"; and {index.remarked - 1:,} more remarks on '{self._repository.name}'" if index.remarked > 1 else ""
        where = f" (onelight scan {self._repository.address})" if more and self._repository.kind == "local" else ""
        log.warning("%s%s%s", index.remarks[0], more, where)


def last_index(folder: Path) -> Index | None:
    """Return the index of a repository as it was when it was last asked for, kept in its data folder; None if none.

    It is read once as a whole: nobody is there to make a damaged one again.
    """
    try:
        index = Index.open(folder / KEPT_INDEX)
        index.check()
        return index  # noqa: TRY300 - what it is checked for stands below
    except (OSError, DamagedIndex):
        return None


def duration(seconds: float) -> str:
    """Return a time for a person.

    Examples
    --------
    >>> duration(59), duration(7300)
    ('59 seconds', '2 hours')
    """
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} seconds"


def _set_time(path: Path, moment: float) -> None:
    """Set the time of change of a file, and not of one that a link leads to."""
    follow = os.utime not in os.supports_follow_symlinks
    os.utime(path, (moment, moment), follow_symlinks=follow)


def _number(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process ask the repository for all; where a disk has no locks, each asks for itself.

    The lock is that of SQLite on an empty database: it works on every system, and ends with the process.
    """
    path = folder / f"{KEPT_INDEX}.lock"
    lock = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while lock is None:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666))
            number = _number(path.stat())
            lock = sqlite3.connect(path, timeout=0, check_same_thread=False)
            _wait_for(lock)
            if not path.exists() or _number(path.stat()) != number:  # removed by whoever had it, and of no use
                lock.close()
                lock = None
    except (OSError, sqlite3.Error):
        pass
    try:
        yield
    finally:
        if lock is not None:
            with contextlib.suppress(OSError):
                path.unlink()
            lock.close()


def _wait_for(lock: sqlite3.Connection) -> None:
    """Wait until nobody else has a lock, in small steps, so that Ctrl-C ends it; not for ever."""
    until = time.monotonic() + _PATIENCE
    with contextlib.suppress(sqlite3.Error):  # a disk without locks
        while True:
            try:
                lock.execute("PRAGMA journal_mode = MEMORY")  # a killed process would leave one on the disk
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    return
                time.sleep(0.02)
            else:
                return
