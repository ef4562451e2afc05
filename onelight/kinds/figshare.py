"""A repository in a figshare article: one figshare file per dataset, and ``.one_root`` among them.

figshare has no folders that every client understands, so that the path of a dataset is its name with ``~`` for
``/``, as the first client of 2019 wrote it; names with ``/`` and figshare's own folders are understood on reading.
With a token the private draft is read and written; without one, the public version is read.

The rules of the API that this file follows are figshare's documentation (OpenAPI 2.0, CC0) and what others saw of
the live service; the sandbox (``onelight.sandbox``) reproduces both, and is what the tests run against.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from onelight.alf import check_safe, printable, split_path
from onelight.client import Client, FilePart, Response
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
from onelight.repository import PublishableRepository, Room
from onelight.route import Credential, Inline, Route, Source, check_url, origin_of, redact

MAX_INDEX = 2 << 30
PAGE = 1000  # the most that figshare gives at a time
FILES_PER_ITEM = 500  # for a free account; figshare raises it on request and does not tell the API
# While figshare checks a file its status goes created, ic_checking, ic_success, moving_to_final, available. Files were
# seen stuck in moving_to_final for ever with the right md5, so that the last three all mean that the bytes are there.
_WHOLE = frozenset({"available", "moving_to_final", "ic_success", ""})
_UPLOAD_THREADS = 4
_HOW_TO_SIGN_IN = (
    "Make a personal token at https://figshare.com/account/applications and put it into the environment as "
    "FIGSHARE_TOKEN, or into the configuration: onelight add-repo NAME --figshare ID --token-stdin"
)


@dataclass(frozen=True, slots=True)
class _File:
    """A file as figshare states it."""

    id: int
    name: str
    size: int
    status: str
    computed_md5: str
    supplied_md5: str
    download_url: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> _File:
        texts = (str(row.get(key) or "") for key in ("status", "computed_md5", "supplied_md5", "download_url"))
        return cls(int(row["id"]), str(row["name"]), int(row.get("size") or 0), *texts)

    @property
    def whole(self) -> bool:
        """Whether its bytes have arrived and were checked."""
        return self.status in _WHOLE and (self.status in ("", "available") or bool(self.computed_md5))

    def entry(self, path: str) -> Entry:
        return Entry(path, self.download_url, self.size, self.computed_md5 or None)


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
        self._article_id = article_id
        self._client = client
        self._api = api_url.rstrip("/")
        self._patience = patience
        self._token = token
        self._credential = Credential(origin_of(self._api), header=f"token {token}") if token else None
        self._private = bool(token)
        self._files: dict[str, list[_File]] = {}
        self._index_files: list[_File] = []
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
        if self._api == FIGSHARE_API:
            return f"https://figshare.com/articles/dataset/_/{self._article_id}"
        return f"{self._api}/articles/{self._article_id}"

    # Reading

    def refresh(self) -> Index:
        """List the files, read ``.one_root``, and join to its rows the size and md5 that figshare states."""
        files, remarks = self._readable_files()
        roots = [file for file in files if file.name == INDEX_NAME and file.whole]
        if not roots:
            found = Index(file.entry(path) for path, file in self._by_path(files).items() if file.whole)
            return Index(
                found,
                [*remarks, f"the article has no {INDEX_NAME}: this is the list of its files"] if files else remarks,
            )
        newest = max(roots, key=lambda file: file.id)
        if self._read is None or self._read[0] != newest.id:
            self._read = (newest.id, self._read_index(newest))
        rows = self._read[1]
        return Index(self._join(rows, files), [*rows.remarks, *remarks])

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
        theirs = origin_of(url) == origin_of(self._api) or re.search(
            r"(^|\.)(figshare|figstatic)\.com$", parts.hostname or ""
        )
        credential = self._credential if self._private else None
        first = Route(url, credential)
        if credential and self._api == FIGSHARE_API and parts.hostname == "ndownloader.figshare.com":
            # A private file is given to a token in the query, by this host of figshare's only.
            first = Route(url, Credential(origin_of(url), query=f"token={self._token}"))
        if number is None or not theirs:
            return (first,)
        return (first, Route(f"{self._api}/file/download/{number[1]}", credential))

    def _readable_files(self) -> tuple[list[_File], list[str]]:
        """List the draft if the token is the owner's, else what is public."""
        remarks: list[str] = []
        self._private = bool(self._token)
        if self._private:
            try:
                return self._list("account/"), remarks
            except (AccessDenied, NotFound) as error:
                denied = error
            try:
                files = self._list("")
            except OneError as error:
                raise denied from error
            self._private = False
            if isinstance(denied, AccessDenied):
                remarks.append("figshare does not accept the token; this is the public version")
            return files, remarks
        return self._list(""), remarks

    def _list(self, view: str) -> list[_File]:
        """Return every file of the article, all pages, or raise."""
        files: dict[int, _File] = {}
        page = 1
        while True:
            rows = self._call("GET", f"{view}articles/{self._article_id}/files?page={page}&page_size={PAGE}").json()
            if not isinstance(rows, list):
                raise RepositoryError(f"{self._api} answered with something that is not a list of files")
            with _as_documented(self._api):
                files.update((file.id, file) for file in map(_File.of, rows))
            if len(rows) < PAGE:
                return list(files.values())
            page += 1

    def _read_index(self, file: _File) -> Index:
        errors: list[OneError] = []
        for route in self._routes(file.download_url):
            try:
                spool, _ = self._client.spool(route, MAX_INDEX)
            except OneError as error:
                errors.append(error)
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
                return read_one_root(spool, trusted=self._api)
        raise errors[0]

    def _join(self, rows: Index, files: list[_File]) -> Iterator[Entry]:
        by_id = {file.id: file for file in files}
        by_name = {file.name: file for file in files}
        for entry in rows:
            number = re.search(r"/files/(\d+)$", entry.url)
            file = by_id.get(int(number[1])) if number else by_name.get(_flat(entry.path))
            if file is not None:
                yield file.entry(entry.path)
            elif entry.url.startswith(("http", "data:")):
                yield entry

    def _by_path(self, files: list[_File]) -> dict[str, _File]:
        """Return the newest file of each path that lies in a session."""
        folders: dict[str, str] | None = None
        found: dict[str, _File] = {}
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
        article = self._call("GET", f"{view}articles/{self._article_id}").json()
        return dict(article.get("folder_structure") or {})

    # Writing

    def stored(self) -> Index:
        """List the draft: what is whole, and remember what is not."""
        self._need_token()
        files = self._list("account/")
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
            for entry in self.refresh():
                if entry.url == EMPTY_URL:  # an empty file is in the index only
                    entries.setdefault(entry.path, entry)
        except UnsafeData as error:  # the next upload writes it anew
            remarks.append(f"the index in the article cannot be read, and is replaced: {error.message}")
        return Index(entries.values(), remarks)

    def room(self) -> Room:
        """Ask the account for its quota, and count the files of the article."""
        account = self._call("GET", "account").json()
        with _as_documented(self._api):
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
        """Send one file in the parts that figshare asks for, and wait for its checksum."""
        self._need_token()
        check_safe(entry.path)
        if _session_path(_flat(entry.path)) != entry.path:
            raise AlfError(
                f"{printable(entry.path)} cannot be the name of a file at figshare",
                hint="It must lie in a session and have no '~', which stands for '/' there",
            )
        self._list_once()
        if entry.size == 0:  # figshare refuses empty files; the index says that there is one
            return replace(entry, url=EMPTY_URL, md5=EMPTY_MD5)
        known = self._files.get(entry.path, [])
        same = [
            file for file in known if file.size == entry.size and entry.md5 in (file.computed_md5, file.supplied_md5)
        ]
        for file in same:
            if file.whole and file.computed_md5 == entry.md5:
                progress(file.size)
                return file.entry(entry.path)
        # One that is there and whose checksum figshare has not made yet is waited for, not sent again.
        begun = [file.id for file in same if file.status != "ic_failure" and file.computed_md5 in ("", entry.md5)]
        file = self._send(_flat(entry.path), path, entry, begun[-1] if begun else None, progress)
        self._files[entry.path] = [*(other for other in known if other.id != file.id), file]
        return file.entry(entry.path)

    def _list_once(self) -> None:
        """Know what the draft holds before anything is sent to it."""
        with self._listing:
            if not self._listed:
                self.stored()

    def delete(self, entry: Entry) -> None:
        """Remove the file that an entry points to."""
        number = re.search(r"/files/(\d+)$", entry.url)
        if number:
            self._delete_file(int(number[1]))

    def write_index(self, index: Index) -> bool:
        """Send ``.one_root``, and then remove the older one and every file that the new one replaces."""
        self._look_again()
        content = io.BytesIO()
        write_one_root(index, content)
        md5 = hashlib.md5(content.getvalue()).hexdigest()
        newest = max((file.id for file in self._index_files if file.whole), default=0)
        same = {file.id: file for file in self._index_files if md5 in (file.computed_md5, file.supplied_md5)}
        changed = not (newest in same and same[newest].computed_md5 == md5)
        if changed:
            with tempfile.TemporaryDirectory(prefix="onelight-") as folder:
                path = Path(folder) / INDEX_NAME
                path.write_bytes(content.getvalue())
                entry = Entry(INDEX_NAME, size=len(content.getvalue()), md5=md5)
                begun = [file.id for file in same.values() if file.status != "ic_failure"]
                file = self._send(INDEX_NAME, path, entry, begun[-1] if begun else None, lambda _: None)
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
            self._delete_file(file.id)
        self._index_files = [file for file in self._index_files if file.id == newest_index]

    def _delete_file(self, number: int) -> None:
        with contextlib.suppress(NotFound):  # gone already, which is what was asked for
            self._call("DELETE", f"account/articles/{self._article_id}/files/{number}")

    def _send(self, name: str, path: Path, entry: Entry, begun: int | None, progress: Callable[[int], None]) -> _File:
        """Send a file, continuing one that was begun if figshare still knows it, and wait until it is checked."""
        location = self._file_url(begun) if begun else self._initiate(name, entry)
        row = self._await_file(location)
        if row.get("status") == "created":
            if not row.get("upload_url") or not self._send_parts(str(row["upload_url"]), path, entry, progress):
                # The session of an old upload has ended on figshare's side: what it holds cannot be completed.
                self._delete_file(int(row["id"]))
                if begun is None:
                    raise Unreachable(f"figshare ended the upload of {name}", hint="The same command sends it again")
                return self._send(name, path, entry, None, progress)
            self._call("POST", location, repeat=True)
        return self._await_checksum(location, path, entry)

    def _initiate(self, name: str, entry: Entry) -> str:
        body = {"name": name, "size": entry.size, "md5": entry.md5}
        try:
            answer = self._call("POST", f"account/articles/{self._article_id}/files", body)
        except RepositoryError as error:
            if re.search(r"files?\b.*\blimit|limit\b.*\bfiles?\b|at most \d+ files", error.message, re.IGNORECASE):
                error.hint = "Ask figshare for a higher limit, or share the sessions in several articles"
            raise
        location = answer.json().get("location") or answer.headers.get("location")
        if not location:
            raise RepositoryError(f"figshare did not say where to send {printable(name)}", hint="Try again later")
        return urljoin(answer.url, str(location))

    def _await_file(self, location: str) -> dict[str, Any]:
        """Return a file just made; figshare may not know it for a moment."""
        end = time.monotonic() + 10
        while True:
            try:
                return dict(self._call("GET", location).json())
            except NotFound:
                if time.monotonic() > end:
                    raise
                self._client.wait(0.2)

    def _send_parts(self, upload_url: str, path: Path, entry: Entry, progress: Callable[[int], None]) -> bool:
        """Send the parts that the upload service does not have; False if it no longer takes any."""
        check_url(upload_url, trusted=self._api)
        try:
            session = self._client.request("GET", upload_url).json()
        except NotFound:
            return False
        with _as_documented(upload_url):
            if session.get("status") == "ABORTED":
                return False
            parts = session["parts"]
            missing = [part for part in parts if part["status"] != "COMPLETE"]
            there = sum(_length(part) for part in parts) - sum(_length(part) for part in missing)
        progress(there)

        def send(part: dict[str, Any]) -> None:
            if part["startOffset"] < 0 or part["endOffset"] >= (entry.size or 0):
                raise UnsafeData("the upload service asks for bytes outside the file")
            with path.open("rb") as stream:
                body = FilePart(stream, part["startOffset"], _length(part), lambda data: progress(len(data)))
                headers = {"Content-Type": "application/octet-stream"}
                self._client.request(
                    "PUT", f"{upload_url.rstrip('/')}/{int(part['partNo'])}", headers=headers, body=body
                )

        if len(missing) <= 1:
            for part in missing:
                send(part)
        else:
            with ThreadPoolExecutor(_UPLOAD_THREADS, "onelight-part") as pool:
                list(pool.map(send, missing))
        return True

    def _await_checksum(self, location: str, path: Path, entry: Entry) -> _File:
        """Wait until figshare has checked a file: 202 meant only that it will."""
        end = time.monotonic() + self._patience
        wait = 0.02
        while True:
            answer = self._call("GET", location).json()
            with _as_documented(location):
                file = _File.of(answer)
            if file.status == "ic_failure" or (file.computed_md5 and file.computed_md5 != entry.md5):
                self._delete_file(file.id)
                raise ChecksumMismatch(
                    f"figshare received {path} with another md5",
                    hint="Did it change while it was sent? The same command sends it again",
                )
            if file.whole and file.computed_md5 == entry.md5:
                return file
            if time.monotonic() > end:
                if file.status == "created":
                    raise Unreachable(
                        f"figshare has not taken {path}: it still waits for parts of it",
                        hint="The same command sends what is missing",
                    )
                return file
            self._client.wait(wait)
            wait = min(wait * 1.6, 5.0)

    # Publishing

    def missing_for_publication(self) -> list[str]:
        """Ask for the draft and compare it with what figshare wants before it publishes."""
        self._need_token()
        article = self._call("GET", f"account/articles/{self._article_id}").json()
        fields = {
            "a title": article.get("title"),
            "a description": article.get("description"),
            "an author": article.get("authors"),
            "a category": article.get("categories"),
            "a keyword": article.get("tags") or article.get("keywords"),
        }
        missing = [what for what, value in fields.items() if not value]
        files = self._list("account/")
        if not any(file.whole for file in files):
            missing.append("a file")
        unfinished = [file for file in files if not file.whole]
        if unfinished:
            missing.append(f"the rest of {len(unfinished)} half-uploaded files (run `onelight upload` again)")
        missing.extend(self._missing_from_index(files))
        return missing

    def _missing_from_index(self, files: list[_File]) -> list[str]:
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
        self._call("POST", f"account/articles/{self._article_id}/publish")
        end = time.monotonic() + 60
        while True:
            try:
                article = self._call("GET", f"articles/{self._article_id}").json()
                return str(article.get("figshare_url") or article.get("url_public_html") or self.address)
            except NotFound:  # the public view lags behind by some seconds
                if time.monotonic() > end:
                    return self.address
                self._client.wait(0.5)

    # Talking

    def _file_url(self, number: int) -> str:
        return f"{self._api}/account/articles/{self._article_id}/files/{number}"

    def _need_token(self) -> None:
        if not self._token:
            raise AccessDenied(
                f"the repository '{self.name}' has no token, so that it can only be read", hint=_HOW_TO_SIGN_IN
            )

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, repeat: bool | None = None
    ) -> Response:
        """Ask the API; ``path`` is relative to it, or an address that it gave."""
        url = path if path.startswith(("http://", "https://")) else f"{self._api}/{path}"
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body).encode() if body is not None else None
        try:
            return self._client.request(
                method, url, credential=self._credential, headers=headers, body=data, repeat=repeat
            )
        except AccessDenied as error:
            raise AccessDenied(f"figshare refuses access: {error.message}", hint=_HOW_TO_SIGN_IN) from error
        except NotFound as error:
            raise RepositoryNotFound(
                f"figshare does not know this: {error.message}",
                hint=f"Is {self._article_id} the right article_id? A draft can be read with its owner's token only",
            ) from error


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


@contextlib.contextmanager
def _as_documented(url: str) -> Iterator[None]:
    """Turn an answer of another form than figshare documents into an error that says so."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, OneError):
            raise
        raise RepositoryError(
            f"{redact(url)} answered in another form than figshare documents ({type(error).__name__}: {error})",
            hint="Is this the address of figshare's API, or of a sandbox?",
        ) from error


def _flat(path: str) -> str:
    return path.replace("/", "~")


def _session_path(name: str) -> str | None:
    """Return the path that a name stands for, or None if it is not one in a session."""
    path = name.replace("~", "/").strip("/")
    try:
        check_safe(path)
        split_path(path)
    except (UnsafeData, AlfError):
        return None
    return path


def _length(part: dict[str, Any]) -> int:
    return int(part["endOffset"]) - int(part["startOffset"]) + 1  # both ends count
