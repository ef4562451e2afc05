"""Writing to a store that is a tree of files (:class:`~onelight.kinds.tree.Tree`): WebDAV, and what fsspec reaches.

::

    send        a temporary name beside the place     0123456789abcdef.onelight; nobody reads it
    place       new: renamed at once                  no reader knows it before the index names it
                replaces what readers see: waits      so that they find what their index says
    commit      a mark at the top, for one at a time  .one_root.lock
                the index is still the one seen?      else somebody else has shared meanwhile: told, and nothing lost
                rename what waits, the tables, and .one_root last; the mark goes

Such a store tells size and date of a file, rarely a checksum. What it holds is known by what the store states, by the
receipts of this computer (:mod:`onelight.receipts`), by the tables beside the index where the file is not younger than
they are, and else by reading it back.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, NamedTuple

from onelight import owners, threads
from onelight.alf import check_safe
from onelight.config import default_folder
from onelight.errors import NotFound, OneError, RepositoryError, SizeMismatch, Unreachable
from onelight.index import DATASETS_NAME, EMPTY_MD5, INDEX_NAME, SESSIONS_NAME, Entry, Index, write_one_root
from onelight.kinds.joined import joined
from onelight.kinds.tree import Held, NoMove, Taken, Tree, is_part, part_beside
from onelight.kinds.walking import is_data
from onelight.notes import log
from onelight.pack import Pack
from onelight.receipts import RECEIPTS_NAME, Receipt, Receipts
from onelight.repository import Leftover, Room
from onelight.tables import Facts, renew_tables

MARK = f"{INDEX_NAME}.lock"
#: Seconds after which a mark of another computer is taken for that of a process that has died: a commit renames, which
#: takes seconds. One whose owner has not written his name is younger than this only for the time of one request.
MARK_DEAD_AFTER = 900.0
NAMELESS_DEAD_AFTER = 10.0
#: Seconds to wait for somebody else's commit.
PATIENCE = 60.0
#: Tokens of the marks that this process holds now.
_HELD: set[str] = set()
_AT_A_TIME = 8
_FOLDERS_KEPT = 64


class _Waiting(NamedTuple):
    """Content that lies under a temporary name until the commit."""

    place: str
    held: Held
    md5: str


class Growing:
    """What a repository holds and takes whose store is a tree.

    Parameters
    ----------
    tree : Tree
        The store.
    name : str
        Of the repository, for messages.
    identity : str
        What tells this repository from all others.
    wait : callable
        Waits for so many seconds; raises where the run is stopped.
    """

    def __init__(self, tree: Tree, name: str, identity: str, wait: Callable[[float], None]) -> None:
        self._tree = tree
        self._name = name
        self._wait = wait
        self._receipts = Receipts(default_folder() / RECEIPTS_NAME, identity)
        self._lock = threading.RLock()
        self._looking = threading.Lock()
        self._held: dict[str, Held] | None = None
        self._parts: dict[str, Held] = {}
        self._md5s: dict[str, str] = {}  # of what lies under its own name
        self._waiting: dict[str, _Waiting] = {}
        self._begun: list[Receipt] = []
        self._others: set[str] = set()
        self._had_mark = False
        self._compared: set[str] = set()
        self._committed = Index()
        self._seen = b""  # the md5 of the index that was there, empty for none
        self._renames: bool | None = None
        self._numbers = itertools.count()
        self._moved: dict[str, int] = {}
        self._looks: OrderedDict[str, tuple[int, dict[str, Held]]] = OrderedDict()

    # What is there

    def stored(self) -> Index:
        """List the store, and say of each file what is known of it."""
        with self._lock:
            self._list()
            entries = sorted(self._entries(), key=lambda entry: entry.path)
            return Index.build(entries, self._committed.remarks, facts={"seen": self._seen.hex()})

    def committed(self) -> Index:
        """Return what the index in the store says, as :meth:`stored` has seen it."""
        self._list_once()
        return self._committed

    def has_compared(self, path: str) -> bool:
        """Tell whether the store itself has compared the md5 of what was sent to it."""
        return path in self._compared

    def _list_once(self) -> dict[str, Held]:
        with self._lock:
            if self._held is None:
                self._list()
            return self._held if self._held is not None else {}

    def _list(self) -> None:
        tree = self._tree
        self._had_mark = self._await_mark()
        with ExitStack() as opened:
            # The index first: what somebody else commits while the rest is looked at is then noticed at our commit.
            root, tables = (_opened(opened, tree.read(name)) for name in (INDEX_NAME, DATASETS_NAME))
            self._seen = _md5(root)
            self._committed = joined(root, tables, base_url=tree.url("")) if root is not None else Index()
        held = {one.path: one for one in tree.walk()}
        written = held[DATASETS_NAME].moment if DATASETS_NAME in held else None
        self._parts = {path: one for path, one in held.items() if is_part(path)}
        self._held = {path: one for path, one in held.items() if not is_part(path) and is_data(path)}
        receipts = self._receipts.all()
        # What another process of this computer is about to commit is its own business.
        self._others = {
            receipt.place
            for receipt in receipts
            if receipt.place != receipt.path and owners.is_alive(receipt.owner) and not owners.is_mine(receipt.owner)
        }
        receipts = [receipt for receipt in receipts if receipt.place not in self._others]
        self._begun = [receipt for receipt in receipts if not receipt.md5]
        placed = {receipt.path: receipt for receipt in receipts if receipt.md5 and receipt.place == receipt.path}
        self._waiting = {
            receipt.path: _Waiting(receipt.place, held[receipt.place], receipt.md5)
            for receipt in receipts
            if receipt.md5
            and receipt.place != receipt.path
            and _is_same(held.get(receipt.place), receipt)
            # What it was to replace has been replaced by somebody else: it is out of date.
            and receipt.base == _version(held.get(receipt.path))
        }
        self._md5s = {}
        for path, one in self._held.items():
            receipt, stated = placed.get(path), self._committed.get(path)
            if one.size == 0:
                self._md5s[path] = EMPTY_MD5
            elif one.md5:
                self._md5s[path] = one.md5
            elif receipt is not None and _is_same(one, receipt):
                self._md5s[path] = receipt.md5
            # A commit that was broken off may have renamed files that are older than the tables are.
            elif self._had_mark:
                continue
            elif stated is not None and stated.md5 and stated.size == one.size and _is_older(one.moment, written):
                self._md5s[path] = stated.md5

    def _entries(self) -> Iterator[Entry]:
        held = self._list_once()
        for path, one in held.items():
            if path in self._waiting:
                continue
            yield Entry(path, self._tree.url(path), one.size, self._md5s.get(path))
        for path, waiting in self._waiting.items():
            yield Entry(path, self._tree.url(waiting.place), waiting.held.size, waiting.md5)
        for entry in self._committed:  # which lie elsewhere: the index is all that is here of them
            if entry.path not in held and entry.path not in self._waiting and not self._is_own(entry):
                yield entry

    def _is_own(self, entry: Entry) -> bool:
        """Tell whether the address of an entry is that of its path below this store, or of where it waits or waited."""
        top = self._tree.url("")
        return entry.url in ("", self._tree.url(entry.path)) or (entry.url.startswith(top) and is_part(entry.url))

    def room(self, puts: Sequence[Entry] = ()) -> Room:
        """Ask the store for its quota."""
        held = self._list_once()
        unknown = [one for one in puts if one.path in held and one.path not in self._md5s]
        size = sum(entry.size or 0 for entry in unknown)
        note = (
            f"{len(unknown):,} of these files ({size:,} bytes) may be there already, which nobody knows: they are read"
            " back first, and not sent if they are the same"
        )
        return Room(bytes_left=self._tree.room(), notes=(note,) if unknown else ())

    # Sending

    def send(
        self, entry: Entry, path: Path | Pack, progress: Callable[[int], None], *, again: bool = True
    ) -> Callable[[], Entry]:
        """Send a file, unless it is there; what is returned looks at it in the store."""
        check_safe(entry.path)
        if not isinstance(path, Path):
            raise RepositoryError("this repository takes single files only", hint="Leave out --pack")
        known = self._known(entry)
        if known is not None:
            return lambda: known
        self._compared.discard(entry.path)
        self._drop_waiting(entry.path)
        old = self._list_once().get(entry.path)
        must_wait = old is not None  # readers may see it, or come to
        folder = entry.path.rpartition("/")[0]
        self._tree.make(folder)
        if self._renames is False:
            return self._write_over(entry, path, progress, old)
        part = part_beside(entry.path)
        self._receipts.begin(entry.path, part)
        compared = self._write(part, entry, path, progress)
        try:
            if must_wait:
                place = part = self._proven(part, entry.path)
            else:
                place = entry.path
                self._tree.move(part, place, old)
                self._renames = True
        except NoMove as error:
            if self._renames:  # it did before
                raise RepositoryError(f"{entry.path} was not sent: {error.message}", hint="Try again") from error
            return self._without_moves(entry, path, progress, old, part)
        except NotFound as error:
            self._receipts.forget(entry.path, part)
            if again:  # somebody tidied it away
                return self.send(entry, path, progress, again=False)
            raise Unreachable(
                f"{entry.path} was sent, and is not there under its temporary name any more",
                hint="The same command sends it again. Does somebody tidy up there?",
            ) from error
        except Taken:
            return self._met(entry, part)
        with self._lock:
            self._moved[place] = next(self._numbers)
            if compared:
                self._compared.add(entry.path)
        return lambda: self._confirm(entry, place, part)

    def _write(self, part: str, entry: Entry, path: Path, progress: Callable[[int], None]) -> bool:
        """Send a file under a temporary name; of one that turned out to be another, nothing is left."""
        try:
            return self._tree.write(part, path, entry, progress)
        except Unreachable:  # nor can anything be removed now
            raise
        except OneError as error:
            with suppress(OneError):  # some servers keep what came of it (WsgiDAV, rclone)
                self._tree.remove(part)
                self._receipts.forget(entry.path, part)
            if entry.path not in error.message:  # the server knows it by another name
                error.message = f"{entry.path} was not sent: {error.message}"
            raise

    def _known(self, entry: Entry) -> Entry | None:
        """Return the entry of a file that the store holds with this content, if it does."""
        old, waiting = self._list_once().get(entry.path), self._waiting.get(entry.path)
        if waiting is not None and waiting.md5 == entry.md5:
            return Entry(entry.path, self._tree.url(waiting.place), entry.size, entry.md5)
        if old is None or old.size != entry.size:
            return None
        md5 = self._md5s.get(entry.path)
        if md5 is None:
            md5 = self._tree.md5(entry.path)
            self._note(entry.path, entry.path, old, md5)
        if md5 != entry.md5:
            return None
        self._drop_waiting(entry.path)
        return replace(entry, url=self._tree.url(entry.path))

    def _drop_waiting(self, path: str) -> None:
        """Remove what was to replace a file, and is not wanted any more."""
        with self._lock:
            waiting = self._waiting.pop(path, None)
        if waiting is not None:
            self._tree.remove(waiting.place)
            self._receipts.forget(path, waiting.place)

    def _proven(self, part: str, path: str) -> str:
        """Return the name under which a file waits, once it is known that it can be renamed when its time comes."""
        if self._renames:
            return part
        other = part_beside(path)
        self._receipts.begin(path, other)
        self._tree.move(part, other, None)
        self._receipts.forget(path, part)
        self._renames = True
        return other

    def _without_moves(
        self, entry: Entry, path: Path, progress: Callable[[int], None], old: Held | None, part: str
    ) -> Callable[[], Entry]:
        with self._lock:
            if self._renames is not False:
                self._renames = False
                log.warning(
                    "the server of '%s' renames no files: each is sent to its place at once, and whoever reads one that"
                    " is being replaced may find half of it",
                    self._name,
                )
        self._tree.remove(part)
        self._receipts.forget(entry.path, part)
        return self._write_over(entry, path, progress, old)

    def _write_over(
        self, entry: Entry, path: Path, progress: Callable[[int], None], old: Held | None
    ) -> Callable[[], Entry]:
        """Send a file to its place, for want of renaming."""
        if self._tree.write_over(entry.path, path, entry, progress, old):
            self._compared.add(entry.path)
        with self._lock:
            self._moved[entry.path] = next(self._numbers)
        return lambda: self._confirm(entry, entry.path, "")

    def _met(self, entry: Entry, part: str) -> Callable[[], Entry]:
        """Come upon a file that somebody else has just put: the same, which is well, or another."""
        self._tree.remove(part)
        self._receipts.forget(entry.path, part)
        now = self._tree.look(entry.path.rpartition("/")[0]).get(entry.path)
        if now is not None and now.size == entry.size and self._tree.md5(entry.path) == entry.md5:
            self._note(entry.path, entry.path, now, str(entry.md5))
            return lambda: replace(entry, url=self._tree.url(entry.path))
        raise Taken(
            f"somebody else has put another {entry.path} there meanwhile",
            hint="It was not touched. Run the command again: it compares with what is there now",
        )

    def _confirm(self, entry: Entry, place: str, part: str) -> Entry:
        """Look at a file in the store; one look at a folder is enough for all that were put there before it."""
        now = self._look(place)
        if now is None:
            raise RepositoryError(
                f"{entry.path} was sent, and the server does not show it", hint="The same command tries again"
            )
        if now.size != entry.size and (now.size is not None or self._tree.md5(place) != entry.md5):
            # Under its own name it might be somebody else's by now, but only if he has committed it.
            if place == part or self._current() == self._seen:
                self._tree.remove(place)
                self._receipts.forget(entry.path, part or place)
            raise SizeMismatch(
                f"{entry.path} has {entry.size or 0:,} bytes, and the server has {now.size or 0:,} of it",
                hint="The same command sends it again. Is a proxy in between?",
            )
        self._note(entry.path, place, now, str(entry.md5), instead_of=part if part != place else "")
        return Entry(entry.path, self._tree.url(place), entry.size, entry.md5)

    def _look(self, place: str) -> Held | None:
        folder = place.rpartition("/")[0]
        with self._looking:  # not the lock that the threads want which send
            number, found = self._looks.get(folder, (-1, {}))
            if number < self._moved.get(place, 0):
                number = next(self._numbers)
                found = self._tree.look(folder)
                self._looks[folder] = number, found
                self._looks.move_to_end(folder)
                while len(self._looks) > _FOLDERS_KEPT:
                    self._looks.popitem(last=False)
            return found.get(place)

    def _note(self, path: str, place: str, held: Held, md5: str, *, instead_of: str = "") -> None:
        """Remember what lies under a name now."""
        with self._lock:
            base = _version(self._list_once().get(path)) if place != path else ""
            self._receipts.add(path, place, held.size, held.version, md5, instead_of=instead_of, base=base)
            if place == path:
                self._list_once()[path] = held
                self._md5s[path] = md5
            else:
                self._waiting[path] = _Waiting(place, held, md5)

    # Removing

    def delete(self, entry: Entry) -> None:
        """Remove a file; one that lies elsewhere is not ours, nor is one that somebody has changed meanwhile."""
        check_safe(entry.path)
        self._drop_waiting(entry.path)
        with self._lock:
            old = self._list_once().pop(entry.path, None)
            self._md5s.pop(entry.path, None)
        if old is None:
            return
        now = self._tree.find(entry.path)
        if now is not None and _version(now) != _version(old):
            log.warning("%s stays in '%s': somebody has changed it meanwhile", entry.path, self._name)
            return
        self._tree.remove(entry.path)
        self._receipts.forget(entry.path, entry.path)

    def discard(self, entry: Entry) -> None:
        """Remove what was just sent; what it was to replace stays."""
        waiting = self._waiting.get(entry.path)
        if waiting is not None and entry.url == self._tree.url(waiting.place):
            self._drop_waiting(entry.path)
        else:
            self.delete(entry)

    def settled(self, index: Index) -> Index:
        """Return an index with the addresses of the places that its files have by now."""
        if not any(is_part(entry.url) for entry in index):
            return index
        return Index(
            replace(entry, url=self._tree.url(entry.path)) if is_part(entry.url) and self._is_own(entry) else entry
            for entry in index
        )

    def leftovers(self, continued: Sequence[Entry] = ()) -> list[Leftover]:
        """Return temporary files that wait for no commit, but those that the next upload removes by itself."""
        self._list_once()
        wanted = {waiting.place for waiting in self._waiting.values()}
        paths = {entry.path for entry in continued}
        mine = {receipt.place: receipt for receipt in self._begun}
        found = []
        for path in sorted(self._parts):
            receipt = mine.get(path)
            if path in wanted or path in self._others or (receipt is not None and receipt.path in paths):
                continue
            shown = receipt.path if receipt is not None else path
            found.append(
                Leftover(
                    shown,
                    "half sent by an upload that has ended, or by one that is under way on another computer",
                    path,
                )
            )
        return found

    def clean(self, leftovers: Sequence[Leftover]) -> None:
        """Remove leftovers."""
        for leftover in leftovers:
            self._tree.remove(leftover.key)
            self._receipts.forget(leftover.path, leftover.key)
            self._parts.pop(leftover.key, None)

    # The commit

    def write_index(self, index: Index, facts: Facts | None = None) -> bool:
        """Make an index that which readers see, with the tables beside it and all that waits for it."""
        self._list_once()
        with tempfile.TemporaryDirectory(prefix="onelight-") as name:
            new = Path(name) / INDEX_NAME
            with new.open("w+b") as stream:
                write_one_root(self._rows(index), stream)
                content = _md5(stream)
            waiting = self._due(index)
            if not waiting and content == self._seen == self._current() and _is_told(index, self._committed):
                self._tidy()
                return False
            seen = bytes.fromhex(index.fact("seen")) if index.fact("seen") else self._seen
            files = [*self._tables(index, {} if facts is None else facts, Path(name)), new]
            with self._marked() as still_marked:
                if self._current() != seen:
                    raise Taken(
                        f"somebody else has shared into '{self._name}' since this upload looked at it",
                        hint="Nothing of theirs or yours is lost. Run the command again: it adds what is missing",
                    )
                self._place_all(files, waiting, still_marked)
                self._seen = content
        with self._lock:
            self._committed = self.settled(index)
        self._tidy()
        return True

    def _rows(self, index: Iterable[Entry]) -> Iterator[Entry]:
        """Yield what ``.one_root`` says: no address where it follows from the path, so that the tree may be moved."""
        return (replace(entry, url="") if self._is_own(entry) else entry for entry in index)

    def _due(self, index: Index) -> dict[str, _Waiting]:
        """Return what has to get its place now, by path."""
        due = {}
        for path, waiting in self._waiting.items():
            entry = index.get(path)
            if entry is not None and entry.md5 == waiting.md5:
                due[path] = waiting
        return due

    def _current(self) -> bytes:
        with ExitStack() as opened:
            return _md5(_opened(opened, self._tree.read(INDEX_NAME)))

    def _tables(self, index: Index, facts: Facts, folder: Path) -> list[Path]:
        """Make the tables, and return those that differ from what is there."""
        for name in (DATASETS_NAME, SESSIONS_NAME):
            stream = self._tree.read(name)
            if stream is not None:
                with stream, (folder / name).open("wb") as writer:
                    shutil.copyfileobj(stream, writer)
        return [folder / name for name in renew_tables(index, folder, facts).changed]

    def _place_all(
        self, files: Sequence[Path], waiting: Mapping[str, _Waiting], still_marked: Callable[[], None]
    ) -> None:
        """Give everything its place: what waits, the tables, and the index last."""
        folders = {one.place.rpartition("/")[0] for one in waiting.values()}
        there = {path: held for folder in folders for path, held in self._tree.look(folder).items()}
        gone = [path for path, one in waiting.items() if _version(there.get(one.place)) != _version(one.held)]
        if gone:  # looked at before the first is renamed
            raise Taken(
                f"what was sent of {gone[0]} is not there any more: somebody has tidied up",
                hint="Nothing was changed. Run the command again: it sends what is missing",
            )
        parts = {file.name: self._put_aside(file) for file in files} if self._renames is not False else {}
        shown = self._tree.look("") if parts else {}
        for file in files:
            part = shown.get(parts[file.name]) if parts else None
            if parts and (part is None or part.size not in (None, file.stat().st_size)):
                raise SizeMismatch(
                    f"{file.name} did not arrive whole", hint="Nothing was changed; the same command tries again"
                )
        with threads.pool(_AT_A_TIME, "onelight-commit") as pool:
            list(pool.map(self._place, waiting.items()))
        for path, one in waiting.items():
            now = self._look(path)
            if now is None or now.size != one.held.size:
                raise RepositoryError(
                    f"{path} was renamed, and the server does not show it so",
                    hint="Readers see the old index. Run the command again",
                )
            self._note(path, path, now, one.md5, instead_of=one.place)
        still_marked()
        for file in files:
            self._place_file(file, parts.get(file.name), self._tree.find(file.name))

    def _place_file(self, file: Path, part: str | None, old: Held | None) -> None:
        """Give a file of the top its place; where nothing is renamed, by sending it there."""
        if part is not None:
            try:
                self._tree.move(part, file.name, old)
            except NoMove:
                self._renames = False
                self._tree.remove(part)
            self._receipts.forget(file.name, part)
        if part is None or self._renames is False:
            entry = Entry(file.name, size=file.stat().st_size, md5=_md5_of(file).hex())
            self._tree.write_over(file.name, file, entry, _nobody, old)

    def _put_aside(self, file: Path) -> str:
        """Send a file of the top under a temporary name."""
        part = part_beside(file.name)
        self._tree.make("")
        self._receipts.begin(file.name, part)
        self._tree.write(part, file, Entry(file.name, size=file.stat().st_size, md5=_md5_of(file).hex()), _nobody)
        return part

    def _place(self, one: tuple[str, _Waiting]) -> None:
        path, waiting = one
        self._tree.move(waiting.place, path, self._list_once().get(path))
        with self._lock:
            self._waiting.pop(path, None)
            self._moved[path] = next(self._numbers)

    def _await_mark(self) -> bool:
        """Wait for the end of a commit that is under way; tell whether there is the mark of one that was broken off."""
        for _ in range(int(PATIENCE)):
            age = self._tree.age(MARK)
            if age is None:
                return False
            if _is_dead(self._tree.holder(MARK), age):
                return True
            self._wait(1.0)
        return True

    @contextmanager
    def _marked(self) -> Iterator[Callable[[], None]]:
        """Hold the mark, so that nobody else commits; one of a process that has died is taken away.

        Gives what refuses to go on if somebody has taken this one away, because it took too long.
        """
        token = owners.owner()
        self._tree.make("")
        for _ in range(int(PATIENCE) + 1):
            holder = self._tree.claim(MARK, token)
            if holder == token:
                break
            age = self._tree.age(MARK)
            if age is not None and _is_dead(holder, age):
                if holder is not None and not self._had_mark:  # our lists do not know what it has renamed
                    raise Taken(
                        f"an upload to '{self._name}' has ended in the middle of its commit",
                        hint="Run the command again: it looks at everything anew",
                    )
                log.info("%s of '%s' was left by an upload that has ended; it is taken away", MARK, self._name)
                self._tree.release(MARK, holder or "")
            self._wait(1.0)
        else:
            raise RepositoryError(
                f"somebody else is finishing an upload to '{self._name}'",
                hint="Every file was sent. Run the command again in a minute: it only finishes. If nobody is, it does"
                f" after {MARK_DEAD_AFTER / 60:.0f} minutes all the same",
            )
        _HELD.add(token)

        def still_marked() -> None:
            if self._tree.holder(MARK) != token:
                raise Taken(
                    f"the commit to '{self._name}' took so long that somebody else began one", hint="Run it again"
                )

        try:
            yield still_marked
        finally:
            _HELD.discard(token)
            try:
                self._tree.release(MARK, token)
            except OneError as error:  # the commit is made or it is not, whatever becomes of this
                log.warning("%s is left in '%s': %s", MARK, self._name, error.message)

    def _tidy(self) -> None:
        """Remove what processes of this computer have begun and do not go on with."""
        kept = {waiting.place for waiting in self._waiting.values()}
        for receipt in self._receipts.all():
            if receipt.md5 or receipt.place in kept or owners.is_alive(receipt.owner) is not False:
                continue
            try:
                self._tree.remove(receipt.place)
            except OneError as error:
                log.info("%s is left in '%s': %s", receipt.place, self._name, error)
            else:
                self._receipts.forget(receipt.path, receipt.place)


def _nobody(_: int) -> None:
    """Be told of bytes, and do nothing."""


def _is_same(held: Held | None, receipt: Receipt) -> bool:
    return held is not None and bool(held.version) and (held.size, held.version) == (receipt.size, receipt.version)


def _is_told(index: Index, committed: Index) -> bool:
    """Tell whether the tables say of every file what is known of it: a file may have been replaced without them."""
    pairs = itertools.zip_longest(index, committed)
    return all(
        one is not None and other is not None and (one.path, one.size, one.md5) == (other.path, other.size, other.md5)
        for one, other in pairs
    )


def _is_older(moment: float | None, written: float | None) -> bool:
    """Tell whether a file was last changed before the tables that speak of it."""
    return moment is not None and written is not None and moment <= written


def _is_dead(holder: str | None, age: float) -> bool:
    """Tell whether nobody holds a mark any more: by its process, if that can be seen, else by its age."""
    if holder is None:
        return age > NAMELESS_DEAD_AFTER
    if owners.is_mine(holder):
        return holder not in _HELD
    return owners.is_alive(holder) is False or age > MARK_DEAD_AFTER


def _version(held: Held | None) -> str:
    """Return what tells one content of a file from another, as far as the store tells; empty for none."""
    return f"{held.size} {held.version}" if held is not None else ""


def _opened(opened: ExitStack, stream: IO[bytes] | None) -> IO[bytes] | None:
    return opened.enter_context(stream) if stream is not None else None


def _md5(stream: IO[bytes] | None) -> bytes:
    """Return the md5 of a file, which is at its beginning afterwards; empty for none."""
    if stream is None:
        return b""
    stream.seek(0)
    md5 = hashlib.md5()
    while block := stream.read(1 << 20):
        md5.update(block)
    stream.seek(0)
    return md5.digest()


def _md5_of(path: Path) -> bytes:
    with path.open("rb") as stream:
        return _md5(stream)
