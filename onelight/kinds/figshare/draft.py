"""Writing a repository at figshare: the owner's drafts, what is sent to them, and the commit.

Nothing is remembered on this computer: what an earlier run began, or somebody else, is read from figshare. The commit
is the new ``.one_root``; what it replaces is removed after it is whole, so that readers find the old state or the new.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from onelight.alf import check_safe
from onelight.checksum import md5_of
from onelight.errors import NotFound, QuotaExceeded, RateLimited, RepositoryNotFound, Unreachable, UnsafeData
from onelight.index import DATASETS_NAME, EMPTY_MD5, EMPTY_URL, INDEX_NAME, SESSIONS_NAME, Entry, Index, write_one_root
from onelight.kinds.figshare.api import as_documented
from onelight.kinds.figshare.article import Article, File
from onelight.kinds.figshare.naming import needs_folders, placed, stored_name
from onelight.kinds.figshare.reading import Reader, View, number_of
from onelight.kinds.figshare.sending import Damaged, Sender
from onelight.kinds.figshare.spreading import spread
from onelight.notes import log
from onelight.pack import PACKS_NAME, MemberRow, Pack, is_pack, span_of, split, write_packs
from onelight.repository import Leftover, Room
from onelight.tables import Facts, renew_tables

#: Requests to the API for each file: announce it, ask where it goes, say that it is there.
_REQUESTS_PER_FILE = 3
_TRIES = 3
_TABLES = (DATASETS_NAME, SESSIONS_NAME)
# They, the index and the list of packs each stand beside the older one for a while, now and the next time.
_ROOM_FOR_TABLES = 10
#: The files that say what there is.
_OWN = (INDEX_NAME, PACKS_NAME, *_TABLES)


class Draft:
    """The owner's view of the articles of one repository; safe to use from several threads.

    Parameters
    ----------
    reader : Reader
        Reads them.
    name : str
        Name of the repository.
    patience : float
        Seconds to wait for figshare's own checksum of a file that was sent.
    layout : str
        How the path of a dataset becomes the name of a file: see :mod:`onelight.kinds.figshare.naming`.
    limit : int
        Files that an article takes.
    """

    def __init__(self, reader: Reader, name: str, patience: float, *, layout: str, limit: int) -> None:
        self._reader = reader
        self._api = reader.api
        self._name = name
        self._patience = patience
        self._layout = layout
        self._limit = limit
        self._senders: dict[int, Sender] = {}
        self._listing = threading.Lock()
        self._is_listed = self._is_complete = False
        self._files: list[File] = []
        self._by_path: dict[str, list[File]] = {}
        self._by_url: dict[str, int] = {}
        self._seen: set[int] = set()  # numbers of all files that were here, or were sent, by the plan
        self._places: dict[str, int] = {}
        #: What the index says, as far as it can be read.
        self.committed = Index()
        self._used: set[int] = set()  # numbers of the files that the index points to

    @property
    def articles(self) -> list[Article]:
        """The articles, the first of which holds the index."""
        return self._reader.articles

    @property
    def files(self) -> list[File]:
        """The files of all drafts, as they were last listed."""
        return self._files

    # What is there

    def stored(self) -> Index:
        """List the drafts: what is whole, and remember what is not."""
        self._reader.is_private = True
        files = self.look()
        remarks: list[str] = []
        whole = [file for file in files if file.whole]
        entries: dict[str, Entry] = {}
        for path, found in self._by_path.items():
            newest = [file for file in found if file.whole][-1:]
            if newest and not is_pack(path):
                entries[path] = newest[0].entry(path)
        self._used, self.committed = set(), Index()
        try:
            indexed, _ = self._reader.index_of(View(self._reader.first.own, None, {}), whole, [])
            self.committed = Index(indexed if self.has_index else ())
            for entry in self.committed:
                self._used.add(self._number(entry) or 0)
                # An empty file is in the index only, and what is packed in its pack, unless nobody knows what that is.
                # What lies at another place altogether is in the index only as well.
                if entry.url == EMPTY_URL or span_of(entry.url) or is_pack(entry.path) or self._number(entry) is None:
                    entries.setdefault(entry.path, entry)
        except UnsafeData as error:  # the next upload writes it anew
            remarks.append(f"the index in the article cannot be read, and is replaced: {error.message}")
        return Index(entries.values(), remarks)

    def look(self) -> list[File]:
        """List the files of all drafts."""
        if not self._is_complete:
            self._reader.discover()
            self._is_complete = True
        files = [file for article in self.articles for file in self._files_of(article)]
        folders = (
            self._reader.folders(self.articles, View(self._reader.first.own, None, {})) if needs_folders(files) else {}
        )
        self._files = files
        self._by_url = {file.download_url: file.id for file in files}
        self._by_path = placed(files, folders)
        self._is_listed = True
        return files

    def _files_of(self, article: Article) -> list[File]:
        try:
            return article.list_files(article.own)
        except NotFound as error:
            if article is self._reader.first:
                raise
            raise RepositoryNotFound(
                f"article {article.number} is one of '{self._name}', and is not there: {error.message}",
                hint="If it was deleted, take it out of 'articles' in the configuration",
            ) from error

    def list_once(self) -> None:
        """Know what the drafts hold before anything is sent to them."""
        with self._listing:
            if not self._is_listed:
                self.stored()

    def _named(self, name: str) -> list[File]:
        return [file for file in self._files if file.name == name and file.article_id == self._reader.first.number]

    def leftovers(self, continued: Iterable[Entry] = ()) -> list[Leftover]:
        """Return what broken runs have left in the drafts, theirs and ours, and no upload would go on with.

        Parameters
        ----------
        continued : iterable of Entry
            What is about to be sent: a file of it that was begun is gone on with.
        """
        goes_on = {(entry.path, entry.size, entry.md5) for entry in continued}
        path_of = {file.id: path for path, files in self._by_path.items() for file in files}
        newest = {found[-1].id for found in map(_whole, self._by_path.values()) if found}
        newest |= {found[-1].id for found in (_whole(self._named(name)) for name in _OWN) if found}
        found = []
        for file in self._files:
            path = path_of.get(file.id, "")
            goes_on_with = (path, file.size, file.supplied_md5) in goes_on
            if file.status == "ic_failure":
                why = "figshare found it damaged"
            elif not file.whole and not goes_on_with:
                why = f"never finished ({file.status})"
            elif file.id in self._used or goes_on_with or not (path or file.name in _OWN):
                continue
            elif is_pack(path):
                why = "a pack that no index has"
            elif file.id not in newest:
                why = "an older copy of a file that is there" if path else "an older index"
            else:
                continue
            found.append(Leftover(path or file.name, why, f"{file.id} {file.status}"))
        return found

    def clean(self, leftovers: Sequence[Leftover]) -> None:
        """Remove leftovers from the drafts, but nothing that the index has come to need since they were found."""
        by_id = {f"{file.id} {file.status}": file for file in self._files if file.id not in self._used}
        for leftover in leftovers:
            file = by_id.get(leftover.key)
            if file is not None:
                self._delete(file)

    # How much more fits

    def room(self, puts: Sequence[Entry], *, grow: bool) -> Room:
        """Say how much more fits, and what of this cannot."""
        account = self._api.record("account")
        with as_documented(self._api.url):
            used = account.get("used_quota_private")
            used = account.get("used_quota") if used is None else used
            quota, largest = account.get("quota"), account.get("maximum_file_size")
            # What was begun counts as used already, and is continued.
            begun = sum(file.size for file in self._files if file.status == "created")
            left = int(quota) - int(used or 0) + begun if quota is not None else None
        self._places, articles = self._spread(puts)
        refusals, notes = [], []
        if puts and self._counts()[0] + self._reserve(puts) > self._limit:
            refusals.append(
                f"article {self._reader.first.number} has no room for a new index beside the old one (remove a data"
                " file or two on its page: with --spread they go to a further article)"
            )
        more = articles - len(self.articles)
        if more > 0:
            text = (
                f"{len(puts):,} more files are {articles} articles of {self._limit:,} files in all, with room for the"
                f" index; there {'is one' if len(self.articles) == 1 else f'are {len(self.articles)}'}"
            )
            if grow:
                notes.append(f"{more} more article{'s' if more > 1 else ''} will be made: {text}")
            else:
                refusals.append(text)
        requests = _REQUESTS_PER_FILE * len(puts) + 8 if puts else 0
        return Room(
            bytes_left=left,
            largest_file=int(largest) if largest else None,
            files_left=sum(self._limit - count for count in self._counts()),
            notes=tuple(notes),
            refusals=tuple(refusals),
            requests=requests,
            seconds=requests * self._api.interval,
        )

    def _counts(self) -> list[int]:
        return [sum(file.article_id == article.number for file in self._files) for article in self.articles]

    def _spread(self, puts: Sequence[Entry]) -> tuple[dict[str, int], int]:
        """Return which article each file goes to; what was begun goes on where it is."""
        positions = {article.number: position for position, article in enumerate(self.articles)}
        homes: dict[str, int] = {}
        for path, files in self._by_path.items():
            homes[Entry(path).session] = positions[files[-1].article_id]
        begun = {entry.path: file for entry in puts if (file := self._begun(entry)) is not None}
        new = sorted((entry.session, entry.path) for entry in puts if entry.size and entry.path not in begun)
        places, articles = spread(new, self._counts(), self._limit, homes, reserve=self._reserve(puts))
        return {**places, **{path: positions[file.article_id] for path, file in begun.items()}}, articles

    def _reserve(self, puts: Sequence[Entry]) -> int:
        """Return how many places the first article needs for lists: each stands beside the one it replaces for a while.

        So one that is made now takes two, for the next time.
        """
        has_packs = any(is_pack(entry.path) for entry in puts) or bool(self._named(PACKS_NAME))
        return sum(1 if self._named(name) else 2 for name in ((INDEX_NAME, PACKS_NAME) if has_packs else (INDEX_NAME,)))

    # Sending

    def send(self, entry: Entry, source: Path | Pack, progress: Callable[[int], None]) -> Callable[[], Entry]:
        """Send one file in the parts that figshare asks for; what is returned waits for its checksum."""
        check_safe(entry.path)
        name, folder = stored_name(entry.path, self._layout)
        self.list_once()
        if entry.size == 0:  # figshare refuses empty files; the index says that there is one
            empty = replace(entry, url=EMPTY_URL, md5=EMPTY_MD5)
            return lambda: empty
        known = self._by_path.get(entry.path, [])
        for file in known:
            if file.whole and file.size == entry.size and file.computed_md5 == entry.md5:
                progress(file.size)
                there = file.entry(entry.path)
                return lambda: there
        begun = self._begun(entry)
        sender = self._sender(self._article_for(entry, begun))

        def begin(number: int | None) -> Callable[[], File]:
            return sender.send(name, source, entry, number, progress, folder=folder)

        check = begin(begun.id if begun else None)

        def checked() -> Entry:
            nonlocal check
            for left in reversed(range(_TRIES)):
                try:
                    file = check()
                    break
                except Damaged:  # between here and there, once in a hundred files on a bad day
                    if not left:
                        raise
                    check = begin(None)
            self._by_path[entry.path] = [*(other for other in known if other.id != file.id), file]
            self._by_url[file.download_url] = file.id
            self._seen.add(file.id)
            return file.entry(entry.path)

        return checked

    def _begun(self, entry: Entry) -> File | None:
        """Return a file that is there and not checked yet: it is gone on with, and not sent again."""
        same = [
            file
            for file in self._by_path.get(entry.path, [])
            if file.size == entry.size and entry.md5 in (file.computed_md5, file.supplied_md5)
        ]
        begun = [file for file in same if file.status != "ic_failure" and file.computed_md5 in ("", entry.md5)]
        return begun[-1] if begun else None

    def _article_for(self, entry: Entry, begun: File | None) -> Article:
        if begun is not None:
            return next(article for article in self.articles if article.number == begun.article_id)
        place = self._places.get(entry.path, 0)
        if place >= len(self.articles):
            raise QuotaExceeded(
                f"the articles of '{self._name}' are full", hint="Let more of them be made: onelight upload --spread"
            )
        return self.articles[place]

    def _sender(self, article: Article) -> Sender:
        with self._listing:
            if article.number not in self._senders:
                self._senders[article.number] = Sender(article, self._patience)
            return self._senders[article.number]

    def delete(self, entry: Entry) -> None:
        """Remove the file that an entry points to; what is in a pack leaves the index only."""
        number = number_of(entry.url)
        if number is not None:
            self.list_once()
            self._delete(next((file for file in self._files if file.id == number), None) or _gone(number, self))

    def _delete(self, file: File) -> None:
        article = next((one for one in self.articles if one.number == file.article_id), self._reader.first)
        article.delete_file(file.id)

    def holds(self, article: Article) -> bool:
        """Tell whether there is a whole file in an article."""
        return any(file.whole and file.article_id == article.number for file in self._files)

    @property
    def has_index(self) -> bool:
        """Whether there is an index in the first draft."""
        return any(file.whole for file in self._named(INDEX_NAME))

    def dangling(self) -> list[str]:
        """Return the datasets of which the index has an address, and no article the file."""
        there = {file.id for file in self._files if file.whole}
        numbers = ((entry.path, self._number(entry)) for entry in self.committed)
        return [path for path, number in numbers if number is not None and number not in there]

    def _number(self, entry: Entry) -> int | None:
        """Return the number of the file that an entry is of; None if it is no file of figshare's."""
        url = entry.url.partition("#")[0]
        number = self._by_url.get(url)
        return number_of(url) if number is None else number

    def uncommitted(self) -> int:
        """Return how many files are whole, and not those that the index points to."""
        newest = (_whole(files)[-1:] for files in self._by_path.values())
        return sum(file.id not in self._used for files in newest for file in files)

    # The commit

    def write_index(self, index: Index, facts: Facts | None) -> bool:
        """Send the tables and ``.one_root``, and then remove the older ones and every file that the new one replaces.

        Without facts there are no tables, and those of an earlier index go.
        """
        planned = self._look_again(index)
        packs = {
            file.download_url: (path, file.entry(path).md5 or "", file.size)
            for path, files in self._by_path.items()
            if is_pack(path)
            for file in files
            if file.whole
        }
        entries, rows = split(index, packs)
        packed = self._write(PACKS_NAME, lambda path: _write_rows(path, rows)) if rows else None
        tables = self._write_tables(index, facts) if facts is not None else []
        root, changed = self._write(INDEX_NAME, lambda path: _write_root(path, Index(entries)))
        beside = [packed, *tables] if packed else tables
        own = {root.id, *(file.id for file, _ in beside)}
        if changed:
            self._refuse_another(planned | own)
        try:
            self._clean_up(index, own, planned)
        except (Unreachable, RateLimited) as error:  # the commit is made, and the next upload removes it
            log.warning("what the new index replaces is not all removed: %s", error.message)
        return changed or any(is_new for _, is_new in beside)

    def _write_tables(self, index: Index, facts: Facts) -> list[tuple[File, bool]]:
        """Bring the tables up to date, where the article has room for them: readers of figshare do without."""
        if self._counts()[0] + _ROOM_FOR_TABLES > self._limit:
            log.info("article %s has no room for the tables of ONE-api", self._reader.first.number)
            return []
        with tempfile.TemporaryDirectory(prefix="onelight-") as name:
            folder = Path(name)
            for file in sorted((file for table in _TABLES for file in _whole(self._named(table))), key=lambda f: f.id):
                with self._reader.fetch(file) as stream, (folder / file.name).open("wb") as writer:
                    shutil.copyfileobj(stream, writer)
            renew_tables(index, folder, facts)
            return [self._write(table, partial(shutil.copyfile, folder / table)) for table in _TABLES]

    def _write(self, name: str, write: Callable[[Path], object]) -> tuple[File, bool]:
        """Bring one of the files that say what there is up to date; return it, and whether it had to be sent."""
        known = self._named(name)
        newest = max((file.id for file in known if file.whole), default=0)
        with tempfile.TemporaryDirectory(prefix="onelight-") as folder:
            path = Path(folder) / name
            write(path)
            md5 = md5_of(path)
            same = {file.id: file for file in known if md5 in (file.computed_md5, file.supplied_md5)}
            if newest in same and same[newest].computed_md5 == md5:
                return same[newest], False
            entry = Entry(name, size=path.stat().st_size, md5=md5)
            begun = [file.id for file in same.values() if file.status != "ic_failure"]
            file = self._send_own(name, path, entry, begun[-1] if begun else None)
        # Where figshare never makes its checksum, a file that it calls available was compared with the one we gave.
        if md5 not in (file.computed_md5, file.supplied_md5 if file.status == "available" else ""):
            raise Unreachable(
                f"figshare has not confirmed {name} within {self._patience:.0f} s",
                hint="The files are there; run the same command again to finish",
            )
        self._files = [*(other for other in self._files if other.id != file.id), file]
        return file, True

    def _send_own(self, name: str, path: Path, entry: Entry, begun: int | None) -> File:
        sender = self._sender(self._reader.first)
        for left in reversed(range(_TRIES)):
            try:
                return sender.send(name, path, entry, begun, lambda _: None)()
            except Damaged:
                begun = None
                if not left:
                    raise
        raise AssertionError

    def _look_again(self, index: Index) -> set[int]:
        """List the drafts anew before the commit, and refuse if somebody else has changed what it is about.

        Returns the numbers of the files that were there by the plan, or were sent since: only these may be removed.
        """
        known = self._seen | {file.id for file in self._files}
        was_listed = self._is_listed
        self.look()
        if not was_listed:
            return {file.id for file in self._files}
        self._refuse_another(known, listed=True)
        there = {file.id for file in self._files if file.whole or file.id in self._seen}
        numbers = ((entry, self._number(entry)) for entry in index)
        gone = [entry.path for entry, number in numbers if number in known and number not in there]
        if gone:
            raise Unreachable(
                f"{len(gone)} files of the new index are gone from '{self._name}' meanwhile, such as {gone[0]}",
                hint="Run the same command again: it sends them again",
            )
        return known

    def _refuse_another(self, known: set[int], *, listed: bool = False) -> None:
        """Refuse if there is an index that was not there by the plan, and is not the one that was written now."""
        files = self._files if listed else self._files_of(self._reader.first)
        if any(file.name == INDEX_NAME and file.whole and file.id not in known for file in files):
            raise Unreachable(
                f"somebody else has written the index of '{self._name}' meanwhile",
                hint="Your files are there; run the same command again to put both together",
            )

    def _clean_up(self, index: Index, own: set[int], planned: set[int]) -> None:
        """Remove older indexes, and every file whose place another one has taken, of those that the plan knew."""
        used = {self._number(entry) or 0 for entry in index}
        self._used = used | own
        kept = {entry.path for entry in index}
        old = [file for name in _OWN for file in self._named(name) if file.id not in own]
        for path, files in self._by_path.items():
            if path in kept or is_pack(path):
                old.extend(file for file in files if file.id not in used)
        old = [file for file in old if file.id in planned]
        for file in old:
            self._delete(file)
        gone = {file.id for file in old}
        self._files = [file for file in self._files if file.id not in gone]

    # More articles

    def grow(self, puts: Sequence[Entry], make: Callable[[], Article]) -> list[Article]:
        """Make the articles that these files need, one after the other; return those that were made."""
        self._places, articles = self._spread(puts)
        before = len(self.articles)
        while len(self.articles) < articles:
            self.articles.append(make())
        return self.articles[before:]


def _whole(files: Iterable[File]) -> list[File]:
    return [file for file in files if file.whole]


def _gone(number: int, draft: Draft) -> File:
    return File(number, "", 0, "", "", "", "", draft.articles[0].number)


def _write_root(path: Path, index: Index) -> None:
    with path.open("xb") as stream:
        write_one_root(index, stream)


def _write_rows(path: Path, rows: Iterable[MemberRow]) -> None:
    with path.open("xb") as stream:
        write_packs(rows, stream)
