"""Reading a repository at figshare: which view of its articles, which files, and the index that puts them together.

The first article holds the index, ``.one_root``. Its rows may point to files of further articles, where there were too
many for one: these are named in the configuration, or found among the references of the first. A reader needs them for
the size and md5 of each file only; whoever reads nothing but ``.one_root`` finds every address in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from onelight.errors import (
    AccessDenied,
    ChecksumMismatch,
    ConfigError,
    NotFound,
    OneError,
    RepositoryNotFound,
    UnsafeData,
)
from onelight.index import INDEX_NAME, Entry, Index, read_one_root
from onelight.kinds.figshare.address import read_address
from onelight.kinds.figshare.api import Api, as_documented
from onelight.kinds.figshare.article import Article, File
from onelight.kinds.figshare.naming import needs_folders, placed
from onelight.kinds.figshare.states import remarks_of, why_no_files
from onelight.pack import PACKS_NAME, MemberRow, expand, is_pack, merge_packs, read_packs
from onelight.route import Credential, Route, origin_of

MAX_INDEX = 2 << 30
#: Of so many references the files are listed, where the index points to files that are not in its article.
_MOST_PARTS = 20


class View(NamedTuple):
    """What a repository shows at one moment.

    Parameters
    ----------
    path : str
        Which view of the first article, relative to the API: of its owner, of the public, or of a version.
    version : int or None
        The version that the public sees; None for a draft.
    record : dict
        What figshare says of the first article; empty for a draft until it is asked for.
    """

    path: str
    version: int | None
    record: dict[str, Any]


class Reader:
    """Reads the articles of one repository; safe to use from several threads.

    Parameters
    ----------
    articles : list of Article
        The first holds the index.
    version : int, optional
        Read this version of the first article, whatever is newer.
    """

    def __init__(self, articles: list[Article], version: int | None = None) -> None:
        self.articles = articles
        self.version = version
        self.first = articles[0]
        self.api: Api = self.first.api
        #: Whether the owner's draft is read; until somebody has looked, a token is taken for the owner's.
        self.is_private = bool(self.api.token) and version is None
        self._read: dict[int, Index] = {}

    # Which view

    def look(self) -> tuple[View, list[File], list[str]]:
        """List the draft if the token is the owner's, else what is public; with remarks on that."""
        remarks: list[str] = []
        denied: OneError | None = None
        self.is_private = bool(self.api.token) and self.version is None
        if self.is_private:
            try:
                return View(self.first.own, None, {}), self.first.list_files(self.first.own, remarks), remarks
            except (AccessDenied, NotFound) as error:
                denied = error
        try:
            view = self.public_view()
            files = self.list_public(view, remarks)
        except OneError as error:
            raise denied or error from (error if denied else error.__cause__)
        self.is_private = False
        if isinstance(denied, AccessDenied):
            remarks.append("figshare does not accept the token; this is the public version")
        return view, files, remarks

    def public_view(self) -> View:
        """Ask for the record of what the public sees: the newest version, or the one that is wanted."""
        path = self.first.public if self.version is None else self.first.version(self.version)
        try:
            record = self.api.record(path)
        except RepositoryNotFound as error:
            if self.version is None:
                raise
            raise RepositoryNotFound(
                f"article {self.first.number} has no version {self.version}: {error.message}", hint=self._versions()
            ) from error
        with as_documented(self.api.url):
            return View(path, int(record.get("version") or self.version or 0) or None, record)

    def list_public(self, view: View, remarks: list[str]) -> list[File]:
        """Return the files of a public view, or say why it shows none."""
        files = self.first.list_files(view.path, remarks)
        error = None if files else why_no_files(view.record, self.first.page)
        if error is not None:
            raise error
        remarks += remarks_of(view.record, self.first.page, sum(file.is_link for file in files))
        return files

    def _versions(self) -> str:
        try:
            rows = self.api.call("GET", f"{self.first.public}/versions").json()
            known = ", ".join(str(row["version"]) for row in rows)
        except (OneError, KeyError, TypeError):
            known = ""
        return f"It has {known}" if known else "Is the article public? Leave the version out for the newest"

    def folders(self, articles: Iterable[Article], view: View) -> dict[str, str]:
        """Return in which folder each file is; no list of files says so, only the record of an article."""
        found: dict[str, str] = {}
        for article in articles:
            path = view.path if article is self.first else article.own if self.is_private else article.public
            record = view.record if article is self.first and view.record else self.api.record(path)
            with as_documented(self.api.url):
                found.update(dict(record.get("folder_structure") or {}))
        return found

    # The index

    def index_of(
        self,
        view: View,
        files: list[File],
        remarks: list[str],
    ) -> tuple[Iterable[Entry], list[str]]:
        """Return what the files of all articles are, by the newest index among them, with size and md5 of each.

        Parameters
        ----------
        view, files, remarks
            As :meth:`look` returned them, and files of further articles, if they were listed already.
        """
        mine = [file for file in files if file.article_id == self.first.number]
        roots = [file for file in mine if file.name == INDEX_NAME and file.whole]
        folders = self.folders(self.articles, view) if needs_folders(files) else {}
        by_path = {path: found[-1] for path, found in placed([f for f in files if f.whole], folders).items()}
        packs = self.packs(mine, remarks)
        if not roots:
            if files:
                remarks = [*remarks, f"the article has no {INDEX_NAME}: this is the list of its files"]
            return expand((file.entry(path) for path, file in by_path.items()), packs, remarks), remarks
        newest = max(roots, key=lambda file: file.id)
        try:
            if newest.id not in self._read:
                self._read = {newest.id: self.read_index(newest)}
        except AccessDenied:
            if not view.record.get("download_disabled"):
                raise
            return self.index_of(view, [file for file in files if file.name != INDEX_NAME], remarks)
        rows = self._read[newest.id]
        unknown = _numbers(rows) - {file.id for file in files}
        if unknown:
            files = [*files, *self._elsewhere(view, unknown, {file.article_id for file in files})]
        entries = _joined(rows, files, by_path)
        remarks = [*rows.remarks, *remarks]
        # To look for packs sorts all entries, which a repository without any does not need.
        has_packs = packs or any(is_pack(path) for path in by_path)
        return (expand(entries, packs, remarks) if has_packs else entries), remarks

    def packs(self, files: list[File], remarks: list[str]) -> list[MemberRow]:
        """Return what lies in the packed sessions: while an upload goes on there may be two lists, and both count."""
        lists: list[list[MemberRow]] = []
        for file in files:
            if file.name == PACKS_NAME and file.whole:
                try:
                    with self.fetch(file) as stream:
                        lists.append(list(read_packs(stream)))
                except UnsafeData as error:
                    remarks.append(f"what is packed cannot be told: {error.message}")
        return list(merge_packs(*lists))

    def _elsewhere(self, view: View, unknown: set[int], listed: set[int]) -> list[File]:
        """Return the files of further articles that the index points to."""
        further = [article for article in self.articles if article.number not in listed] or self._referenced(view)
        found: list[File] = []
        for article in further[:_MOST_PARTS]:
            if unknown <= {file.id for file in found}:
                break
            path = article.own if self.is_private else article.public
            try:
                found += article.list_files(path)
            except (AccessDenied, NotFound):  # somebody else's, or not published: the addresses may work nevertheless
                continue
            if self.version is not None:
                found += self._older(article, unknown - {file.id for file in found})
        return found

    def _older(self, article: Article, wanted: set[int]) -> list[File]:
        """Return files that are in older versions only: a version of the index may be older than that of its parts."""
        found: list[File] = []
        if wanted:
            with as_documented(self.api.url):
                rows = self.api.call("GET", f"{article.public}/versions").json()
                versions = sorted((int(row["version"]) for row in rows), reverse=True)[1:]
            for version in versions:
                found += [file for file in article.list_files(article.version(version)) if file.id in wanted]
                wanted -= {file.id for file in found}
                if not wanted:
                    break
        return found

    def discover(self) -> None:
        """Add further articles of the owner that the configuration does not name.

        The first refers to each, and each says what it is a part of. What was shared from another computer is not sent
        again from this one.
        """
        known = {article.number for article in self.articles}
        for number in referenced(self.api.record(self.first.own), self.first):
            article = Article(self.api, number)
            if number not in known:
                with contextlib.suppress(NotFound):  # somebody else's, which is what references are for
                    if is_part(self.api.record(article.own), self.first):
                        self.articles.append(article)

    def _referenced(self, view: View) -> list[Article]:
        """Return the articles among the references of the first: where its further files are."""
        record = view.record or self.api.record(view.path)
        return [Article(self.api, number) for number in referenced(record, self.first)]

    def read_index(self, file: File) -> Index:
        """Read one ``.one_root``."""
        with self.fetch(file) as stream:
            return read_one_root(stream, trusted=self.api.url)

    def fetch(self, file: File) -> IO[bytes]:
        """Return the bytes of a small file, compared with the md5 that figshare states; the caller closes it."""
        errors: list[OneError] = []
        for route in self.routes(file.download_url):
            try:
                spool, _ = self.api.client.spool(route, MAX_INDEX)
            except OneError as error:
                errors.append(error)
                continue
            if spool is None:  # nothing was asked that could be answered so
                continue
            md5 = hashlib.md5()
            while block := spool.read(1 << 20):
                md5.update(block)
            if file.computed_md5 and md5.hexdigest() != file.computed_md5:
                spool.close()
                errors.append(ChecksumMismatch(f"{file.name} from {route.url} has another md5 than figshare states"))
                continue
            spool.seek(0)
            return spool
        raise errors[0]

    # Where the bytes are

    def routes(self, url: str, span: tuple[int, int] | None = None) -> tuple[Route, ...]:
        """Return figshare's two ways to a file: its download address, then the API's."""
        # figshare.com/ndownloader, also a portal's, stands behind a firewall that answers scripts with 202 and nothing.
        url = re.sub(r"^https?://[^/]*figshare\.com/ndownloader/", "https://ndownloader.figshare.com/", url)
        url = re.sub(r"^http://ndownloader\.fig", "https://ndownloader.fig", url)
        parts = urlsplit(url)
        number = re.search(r"/files/(\d+)$", parts.path)
        theirs = origin_of(url) == origin_of(self.api.url) or re.search(
            r"(^|\.)(figshare|figstatic)\.com$", parts.hostname or ""
        )
        credential = self.api.credential if self.is_private else None
        first = Route(url, credential, span)
        if credential and self.api.is_figshare and parts.hostname == "ndownloader.figshare.com":
            # A private file is given to a token in the query, by this host of figshare's only.
            first = Route(url, Credential(origin_of(url), query=f"token={self.api.token}"), span)
        if number is None or not theirs:
            return (first,)
        return (first, Route(f"{self.api.url}/file/download/{number[1]}", credential, span))


def referenced(record: Mapping[str, Any], first: Article) -> list[int]:
    """Return the numbers of the articles that a record refers to, in its order, but not its own."""
    found: list[int] = []
    references = record.get("references")
    for text in references if isinstance(references, list) else ():
        try:
            address = read_address(str(text))
        except ConfigError:
            continue
        number = address.article_id
        if number is not None and not address.is_guess and number != first.number and number not in found:
            found.append(number)
    return found


def part_note(first: Article) -> str:
    """Return the paragraph by which a further article is known to be a part."""
    return f'<p>A part of <a href="{first.page}">{first.page}</a>, which holds the index of all parts.</p>'


def is_part(record: Mapping[str, Any], first: Article) -> bool:
    """Tell whether an article says that it is a part of another: that it refers to it is not enough."""
    words = str(record.get("description") or "")[:500]
    page = re.search(rf"{re.escape(first.page)}(?![0-9])", words)
    return "A part of" in words and page is not None and "which holds the index of all parts" in words


def fingerprint(files: Iterable[File], remarks: list[str]) -> str:
    """Return what changes with the files of a draft, or with what is said of them."""
    stated = [(file.id, file.name, file.size, file.status, file.computed_md5, file.download_url) for file in files]
    return hashlib.sha256(repr((sorted(stated), remarks)).encode()).hexdigest()


def number_of(url: str) -> int | None:
    """Return the number of the file that an address of figshare's leads to."""
    found = re.search(r"/files/(\d+)$", url)
    return int(found[1]) if found else None


def _numbers(rows: Index) -> set[int]:
    return {number for entry in rows if (number := number_of(entry.url)) is not None}


def _joined(rows: Index, files: list[File], by_path: Mapping[str, File]) -> Iterator[Entry]:
    """Return the rows of an index with the size and md5 that figshare states of each file."""
    by_id = {file.id: file for file in files}
    for entry in rows:
        number = number_of(entry.url)
        file = by_id.get(number) if number is not None else by_path.get(entry.path)
        if file is not None:
            yield file.entry(entry.path)
        elif entry.url.startswith(("http", "data:")):
            yield entry
