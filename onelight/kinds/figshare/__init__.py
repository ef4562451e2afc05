"""A repository in a figshare article: one figshare file per dataset, and ``.one_root`` among them.

figshare has no folders that every client understands, so that the path of a dataset is its name with ``~`` for
``/``, as the first client of 2019 wrote it; names with ``/`` and figshare's own folders are understood on reading.
With a token the private draft is read and written; without one, the public version is read.

The rules of the API that this file follows are figshare's documentation (OpenAPI 2.0, CC0) and what others saw of
the live service; the sandbox (``onelight.sandbox``) reproduces both, and is what the tests run against.
"""

from __future__ import annotations

import functools
import hashlib
import re
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from onelight.alf import check_safe, printable, split_path
from onelight.checksum import md5_of
from onelight.client import Client
from onelight.config import FIGSHARE_API, Settings
from onelight.errors import (
    AccessDenied,
    AlfError,
    ChecksumMismatch,
    ConfigError,
    NotFound,
    OneError,
    RepositoryError,
    RepositoryNotFound,
    Unreachable,
    UnsafeData,
)
from onelight.index import EMPTY_MD5, EMPTY_URL, INDEX_NAME, Entry, Index, read_one_root, write_one_root
from onelight.kinds.figshare.api import HOW_TO_SIGN_IN, Api, File, as_documented, is_conflict
from onelight.kinds.figshare.sending import Sender
from onelight.repository import PublishableRepository, Room
from onelight.route import Credential, Inline, Route, Source, origin_of

MAX_INDEX = 2 << 30
FILES_PER_ITEM = 500  # for a free account; figshare raises it on request and does not tell the API


class FigshareRepository(PublishableRepository):
    """A figshare article.

    Parameters
    ----------
    name : str
        Its name in the configuration.
    article_id : int
        Number of the article.
    client : Client
        The HTTP client.
    token : str
        Personal token of the owner; empty to read what is public.
    api_url : str
        Address of the API: figshare's, or a sandbox's.
    patience : float
        Seconds to wait for figshare's own checksum of a file that was sent.
    """

    kind: ClassVar[str] = "figshare"

    def __init__(
        self,
        name: str,
        article_id: int,
        client: Client,
        *,
        token: str = "",
        api_url: str = FIGSHARE_API,
        patience: float = 120.0,
    ) -> None:
        super().__init__(name)
        self._api = Api(client, api_url, article_id, token)
        self._sender = Sender(self._api, patience)
        self._client = client
        self._patience = patience
        self._private = bool(token)
        self._files: dict[str, list[File]] = {}
        self._index_files: list[File] = []
        self._listing = threading.Lock()
        self._listed = False
        self._read: tuple[int, Index] | None = None

    @classmethod
    def from_settings(cls, settings: Settings, client: Client) -> FigshareRepository:
        """Return the repository of ``article_id``, with ``token`` and ``api_url`` if they are given."""
        api_url = settings.text("api_url", default=FIGSHARE_API)
        if not api_url.startswith(("https://", "http://")):
            raise ConfigError(f"the api_url of the repository '{settings.name}' is not a web address")
        article_id = article_id_of(settings.require("article_id"))
        return cls(settings.name, article_id, client, token=settings.secret, api_url=api_url)

    @property
    def address(self) -> str:
        """The article; for a sandbox, its API."""
        if self._api.url == FIGSHARE_API:
            return f"https://figshare.com/articles/dataset/_/{self._api.article_id}"
        return f"{self._api.url}/articles/{self._api.article_id}"

    # Reading

    @property
    def identity(self) -> str:
        """The article and the token that asks: to others only a published version is shown."""
        token = self._api.token
        return super().identity + (f" with token {zlib.crc32(token.encode()):08x}" if token else "")

    def refresh(self, last: Index | None = None, *, path: Path | None = None) -> Index:
        """List the files, read ``.one_root``, and join to its rows the size and md5 that figshare states.

        What is public changes with a new version only; of a draft, the list of its files says whether it has changed.
        """
        stamp = "" if self._api.token else self._public_version()
        if self.is_still(last, stamp):
            return last
        files, remarks = self._readable_files()
        stamp = stamp or _fingerprint(files, remarks)
        if self.is_still(last, stamp):
            return last
        return self._index_of(files, remarks, path, self.facts(stamp))

    def _public_version(self) -> str:
        """Return what tells the public version of the article from any other, empty where that is not stated."""
        try:
            article = self._api.call("GET", f"articles/{self._api.article_id}").json()
        except RepositoryNotFound:  # the list of files says so, if there is none
            return ""
        with as_documented(self._api.url):
            version = article.get("version")
            return f"version {int(version)}" if version else ""

    def _index_of(
        self,
        files: list[File],
        remarks: list[str],
        path: Path | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> Index:
        roots = [file for file in files if file.name == INDEX_NAME and file.whole]
        if not roots:
            found = [file.entry(path) for path, file in self._by_path(files).items() if file.whole]
            if files:
                remarks = [*remarks, f"the article has no {INDEX_NAME}: this is the list of its files"]
            return Index.build(found, remarks, path=path, facts=facts)
        newest = max(roots, key=lambda file: file.id)
        if self._read is None or self._read[0] != newest.id:
            self._read = (newest.id, self._read_index(newest))
        rows = self._read[1]
        return Index.build(self._join(rows, files), [*rows.remarks, *remarks], path=path, facts=facts)

    def source(self, entry: Entry) -> Source:
        """Return figshare's two ways to a file: its download address, then the API's."""
        if entry.url == EMPTY_URL:
            return Inline()
        return self._routes(entry.url)

    def _routes(self, url: str) -> tuple[Route, ...]:
        # figshare.com/ndownloader stands behind a firewall that answers scripts with 202 and nothing.
        url = re.sub(r"^https?://[^/]*figshare\.com/ndownloader/", "https://ndownloader.figshare.com/", url)
        parts = urlsplit(url)
        number = re.search(r"/files/(\d+)$", parts.path)
        theirs = origin_of(url) == origin_of(self._api.url) or re.search(
            r"(^|\.)(figshare|figstatic)\.com$", parts.hostname or ""
        )
        credential = self._api.credential if self._private else None
        first = Route(url, credential)
        if credential and self._api.url == FIGSHARE_API and parts.hostname == "ndownloader.figshare.com":
            # A private file is given to a token in the query, by this host of figshare's only.
            first = Route(url, Credential(origin_of(url), query=f"token={self._api.token}"))
        if number is None or not theirs:
            return (first,)
        return (first, Route(f"{self._api.url}/file/download/{number[1]}", credential))

    def _readable_files(self) -> tuple[list[File], list[str]]:
        """List the draft if the token is the owner's, else what is public."""
        remarks: list[str] = []
        self._private = bool(self._api.token)
        if self._private:
            try:
                return self._api.list_files("account/", remarks), remarks
            except (AccessDenied, NotFound) as error:
                denied = error
            try:
                files = self._api.list_files("", remarks)
            except OneError as error:
                raise denied from error
            self._private = False
            if isinstance(denied, AccessDenied):
                remarks.append("figshare does not accept the token; this is the public version")
            return files, remarks
        return self._api.list_files("", remarks), remarks

    def _read_index(self, file: File) -> Index:
        errors: list[OneError] = []
        for route in self._routes(file.download_url):
            try:
                spool, _ = self._client.spool(route, MAX_INDEX)
            except OneError as error:
                errors.append(error)
                continue
            if spool is None:  # nothing was asked that could be answered so
                continue
            with spool:
                md5 = hashlib.md5()
                while block := spool.read(1 << 20):
                    md5.update(block)
                if file.computed_md5 and md5.hexdigest() != file.computed_md5:
                    errors.append(
                        ChecksumMismatch(f"{INDEX_NAME} from {route.url} has another md5 than figshare states")
                    )
                    continue
                spool.seek(0)
                return read_one_root(spool, trusted=self._api.url)
        raise errors[0]

    def _join(self, rows: Index, files: list[File]) -> Iterator[Entry]:
        by_id = {file.id: file for file in files}
        by_name = {file.name: file for file in files}
        for entry in rows:
            number = re.search(r"/files/(\d+)$", entry.url)
            file = by_id.get(int(number[1])) if number else by_name.get(_flat(entry.path))
            if file is not None:
                yield file.entry(entry.path)
            elif entry.url.startswith(("http", "data:")):
                yield entry

    def _by_path(self, files: list[File]) -> dict[str, File]:
        """Return the newest file of each path that lies in a session."""
        folders: dict[str, str] | None = None
        found: dict[str, File] = {}
        for file in sorted(files, key=lambda file: file.id):
            path = _session_path(file.name)
            if path is None and file.name != INDEX_NAME:
                if folders is None:
                    folders = self._folders()
                path = _session_path(f"{folders.get(str(file.id), '').strip('/')}/{file.name}")
            if path is not None:
                found[path] = file
        return found

    def _folders(self) -> dict[str, str]:
        view = "account/" if self._private else ""
        article = self._api.call("GET", f"{view}articles/{self._api.article_id}").json()
        return dict(article.get("folder_structure") or {})

    # Writing

    def stored(self) -> Index:
        """List the draft: what is whole, and remember what is not."""
        self._need_token()
        self._private = True
        files = self._api.list_files("account/")
        self._files = {}
        for file in files:
            path = _session_path(file.name)
            if path is not None:
                self._files.setdefault(path, []).append(file)
        self._index_files = [file for file in files if file.name == INDEX_NAME]
        self._listed = True
        entries = {
            path: file.entry(path) for path, file in self._by_path([file for file in files if file.whole]).items()
        }
        remarks = []
        try:
            for entry in self._index_of(files, []):
                if entry.url == EMPTY_URL:  # an empty file is in the index only
                    entries.setdefault(entry.path, entry)
        except UnsafeData as error:  # the next upload writes it anew
            remarks.append(f"the index in the article cannot be read, and is replaced: {error.message}")
        return Index(entries.values(), remarks)

    def room(self) -> Room:
        """Ask the account for its quota, and count the files of the article."""
        account = self._api.call("GET", "account").json()
        with as_documented(self._api.url):
            used = account.get("used_quota_private")
            used = account.get("used_quota") if used is None else used
            quota, largest = account.get("quota"), account.get("maximum_file_size")
            # What was begun counts as used already, and is continued.
            begun = sum(file.size for files in self._files.values() for file in files if file.status == "created")
            left = int(quota) - int(used or 0) + begun if quota is not None else None
        count = sum(map(len, self._files.values())) + len(self._index_files)
        return Room(
            bytes_left=left,
            largest_file=int(largest) if largest else None,
            files_left=FILES_PER_ITEM - count,
            soft=f"figshare allows {FILES_PER_ITEM} files in an article unless it was asked for more",
        )

    def put(self, entry: Entry, path: Path, progress: Callable[[int], None]) -> Entry:
        """Send one file, and wait until figshare has checked it."""
        return self.send(entry, path, progress)()

    def send(self, entry: Entry, path: Path, progress: Callable[[int], None]) -> Callable[[], Entry]:
        """Send one file in the parts that figshare asks for; what is returned waits for its checksum."""
        self._need_token()
        check_safe(entry.path)
        if _session_path(_flat(entry.path)) != entry.path:
            raise AlfError(
                f"{printable(entry.path)} cannot be the name of a file at figshare",
                hint="It must lie in a session and have no '~', which stands for '/' there",
            )
        self._list_once()
        if entry.size == 0:  # figshare refuses empty files; the index says that there is one
            empty = replace(entry, url=EMPTY_URL, md5=EMPTY_MD5)
            return lambda: empty
        known = self._files.get(entry.path, [])
        same = [
            file for file in known if file.size == entry.size and entry.md5 in (file.computed_md5, file.supplied_md5)
        ]
        for file in same:
            if file.whole and file.computed_md5 == entry.md5:
                progress(file.size)
                there = file.entry(entry.path)
                return lambda: there
        # One that is there and whose checksum figshare has not made yet is waited for, not sent again.
        begun = [file.id for file in same if file.status != "ic_failure" and file.computed_md5 in ("", entry.md5)]
        check = self._sender.send(_flat(entry.path), path, entry, begun[-1] if begun else None, progress)

        def checked() -> Entry:
            file = check()
            self._files[entry.path] = [*(other for other in known if other.id != file.id), file]
            return file.entry(entry.path)

        return checked

    def _list_once(self) -> None:
        """Know what the draft holds before anything is sent to it."""
        with self._listing:
            if not self._listed:
                self.stored()

    def delete(self, entry: Entry) -> None:
        """Remove the file that an entry points to."""
        number = re.search(r"/files/(\d+)$", entry.url)
        if number:
            self._api.delete_file(int(number[1]))

    def write_index(self, index: Index) -> bool:
        """Send ``.one_root``, and then remove the older one and every file that the new one replaces."""
        self._look_again()
        newest = max((file.id for file in self._index_files if file.whole), default=0)
        with tempfile.TemporaryDirectory(prefix="onelight-") as folder:
            path = Path(folder) / INDEX_NAME
            with path.open("xb") as stream:
                write_one_root(index, stream)
            md5 = md5_of(path)
            same = {file.id: file for file in self._index_files if md5 in (file.computed_md5, file.supplied_md5)}
            changed = not (newest in same and same[newest].computed_md5 == md5)
            if changed:
                entry = Entry(INDEX_NAME, size=path.stat().st_size, md5=md5)
                begun = [file.id for file in same.values() if file.status != "ic_failure"]
                check = self._sender.send(INDEX_NAME, path, entry, begun[-1] if begun else None, lambda _: None)
                file = check()
        if changed:
            # Where figshare never makes its checksum, a file that it calls available was compared with the one we gave.
            if md5 not in (file.computed_md5, file.supplied_md5 if file.status == "available" else ""):
                raise Unreachable(
                    f"figshare has not confirmed {INDEX_NAME} within {self._patience:.0f} s",
                    hint="The files are there; run the same command again to finish",
                )
            newest = file.id
            self._index_files = [*(other for other in self._index_files if other.id != newest), file]
        self._clean(index, newest)
        return changed

    def _look_again(self) -> None:
        """List the draft anew before the commit, and refuse if somebody else has committed since the plan was made."""
        before = {file.id for file in self._index_files}
        listed = self._listed
        self.stored()
        if listed and any(file.id not in before and file.whole for file in self._index_files):
            raise Unreachable(
                f"somebody else has written the index of '{self.name}' meanwhile",
                hint="Your files are there; run the same command again to put both together",
            )

    def _clean(self, index: Index, newest_index: int) -> None:
        """Remove older indexes, and every file whose place another one has taken."""
        kept = {entry.path: entry.url for entry in index}
        old = [file for file in self._index_files if file.id != newest_index]
        for path, files in self._files.items():
            old.extend(file for file in files if path in kept and not kept[path].endswith(f"/{file.id}"))
        for file in old:
            self._api.delete_file(file.id)
        self._index_files = [file for file in self._index_files if file.id == newest_index]

    # Publishing

    def missing_for_publication(self) -> list[str]:
        """Ask for the draft and compare it with what figshare wants before it publishes."""
        self._need_token()
        article = self._api.call("GET", f"account/articles/{self._api.article_id}").json()
        fields = {
            "a title": article.get("title"),
            "a description": article.get("description"),
            "an author": article.get("authors"),
            "a category": article.get("categories"),
            "a keyword": article.get("tags") or article.get("keywords"),
        }
        missing = [what for what, value in fields.items() if not value]
        files = self._api.list_files("account/")
        if not any(file.whole for file in files):
            missing.append("a file")
        unfinished = [file for file in files if not file.whole]
        if unfinished:
            missing.append(f"the rest of {len(unfinished)} half-uploaded files (run `onelight upload` again)")
        missing.extend(self._missing_from_index(files))
        return missing

    def _missing_from_index(self, files: list[File]) -> list[str]:
        """Say whether the index in the draft is that of the files in the draft: what is published stays for ever."""
        stored = self._by_path([file for file in files if file.whole])
        if not stored:
            return []
        if not any(file.name == INDEX_NAME and file.whole for file in files):
            return [f"{INDEX_NAME}, the index: the upload is not finished (run `onelight upload` again)"]
        try:
            indexed = {entry.path: entry.url for entry in self.refresh()}
        except UnsafeData:
            return [f"an {INDEX_NAME} that can be read (run `onelight upload` again)"]
        left = sum(not indexed.get(path, "").endswith(f"/{file.id}") for path, file in stored.items())
        return [f"{left} files in the index: the upload is not finished (run `onelight upload` again)"] if left else []

    def publish(self) -> str:
        """Publish the draft and wait until the public version answers."""
        missing = self.missing_for_publication()
        if missing:
            raise RepositoryError(
                f"the article is not ready to be published; it still needs {', '.join(missing)}",
                hint=f"Nothing was published. Add what is missing on the page of the article: {self.address}",
            )
        self._publish_once()
        end = time.monotonic() + 60
        while True:
            try:
                article = self._api.call("GET", f"articles/{self._api.article_id}").json()
                return str(article.get("figshare_url") or article.get("url_public_html") or self.address)
            except NotFound:  # the public view lags behind by some seconds
                if time.monotonic() > end:
                    return self.address
                self._client.wait(0.5)

    def _publish_once(self) -> None:
        """Publish, and never a second time: where the answer is lost, the article says whether it was done."""
        own = f"account/articles/{self._api.article_id}"
        before = self._version(own)
        try:
            self._api.call("POST", f"{own}/publish")
        except Unreachable as error:
            if is_conflict(error):
                raise RepositoryError(
                    f"figshare cannot publish the article now: {error.message}",
                    hint="Is somebody else publishing it? Look at its page, and try again when that has ended",
                ) from error
            self._client.pause(error, 1)
            if self._version(own) == before:
                raise

    def _version(self, article: str) -> tuple[int, str]:
        """Return which version of the article is published, and since when."""
        answer = self._api.call("GET", article).json()
        with as_documented(self._api.url):
            return int(answer.get("version") or 0), str(answer.get("published_date") or "")

    def _need_token(self) -> None:
        if not self._api.token:
            raise AccessDenied(
                f"the repository '{self.name}' has no token, so that it can only be read", hint=HOW_TO_SIGN_IN
            )


def article_id_of(text: str) -> int:
    """Return the number of an article from what people paste: the number, an address, or a DOI of figshare's.

    Raises
    ------
    ConfigError
        If it is something else, such as a collection or a single file; the message says what.

    Examples
    --------
    >>> article_id_of("https://figshare.com/articles/dataset/Some_title/9974357/3")
    9974357
    >>> article_id_of("doi:10.6084/m9.figshare.9974357.v3")
    9974357
    """
    hint = "Give the number of the article, its address, or its DOI (10.6084/m9.figshare.NUMBER)"
    pasted = text.strip().split("?")[0].rstrip("/")
    for pattern, what in (
        (r"/collections/|figshare\.c\.\d", "a collection"),
        (r"/projects/", "a project"),
        (r"/s/[0-9a-f]{20}$", "a private link, from which the article cannot be found"),
        (r"/files/\d+$", "a single file"),
    ):
        if re.search(pattern, pasted):
            raise ConfigError(f"'{text}' is {what}, not an article", hint=hint)
    for pattern in (
        r"(\d+)(?:(?:\.v|/)\d+)?",  # 14763051, 14763051.v2, 14763051/2
        r".*/articles/(?:.*/)?(\d+)/(?:versions/)?\d+",  # …/articles/dataset/Title/14763051/2
        r".*/articles/(?:.*/)?(\d+)",
        r".*10\.\d{4,}/.*?(\d+)(?:\.v\d+)?",  # a DOI, with or without https://doi.org/
    ):
        found = re.fullmatch(pattern, pasted)
        if found:
            return int(found[1])
    raise ConfigError(f"'{text}' is not an article of figshare", hint=hint)


def _fingerprint(files: list[File], remarks: list[str]) -> str:
    """Return what changes with the files of a draft, or with what is said of them."""
    stated = [(file.id, file.name, file.size, file.status, file.computed_md5, file.download_url) for file in files]
    return hashlib.sha256(repr((sorted(stated), remarks)).encode()).hexdigest()


def _flat(path: str) -> str:
    return path.replace("/", "~")


@functools.lru_cache(1 << 16)  # of each file it is asked several times in one upload
def _session_path(name: str) -> str | None:
    """Return the path that a name stands for, or None if it is not one in a session."""
    path = name.replace("~", "/").strip("/")
    try:
        check_safe(path)
        split_path(path)
    except (UnsafeData, AlfError):
        return None
    return path
