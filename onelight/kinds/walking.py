"""A repository without an index, found by the lists that its web server makes: WebDAV's, or pages for people.

Slower than an index, for each folder is asked for, and without checksums. How deep and how many is limited, for a list
may lead in circles; what a list may say at all is decided in :mod:`onelight.kinds.listing`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from onelight import threads
from onelight.alf import check_safe, split_path
from onelight.client import Client
from onelight.errors import (
    AlfError,
    NotFound,
    OneError,
    RateLimited,
    ReadOnlyRepository,
    RepositoryError,
    Unreachable,
    UnsafeData,
)
from onelight.index import Entry
from onelight.kinds.listing import MAX_PAGE, Item, read_multistatus, read_page
from onelight.kinds.tree import is_part
from onelight.route import Route, path_url, redact

if TYPE_CHECKING:
    from onelight.route import Credential

#: Folders below a repository: lab/Subjects/subject/date/number and some collections.
MAX_DEPTH = 12
MAX_FOLDERS = 20_000
MAX_FILES = 500_000
_AT_A_TIME = 8
# What servers without WebDAV answer to PROPFIND.
_NO_DAV = frozenset({400, 405, 415, 501})
#: What is asked of each file.
PROPFIND = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/>'
    b'<getlastmodified/><getetag/><checksums xmlns="http://owncloud.org/ns"/></prop></propfind>'
)


class _Folder(NamedTuple):
    path: str
    items: list[Item]


class Lists:
    """The lists of the folders of one repository.

    Parameters
    ----------
    client : Client
        The HTTP client.
    base_url : str
        Address of the folder that holds the labs.
    credential : Credential or None
        For the origin of that address.
    needs_dav : bool
        Whether pages for people will not do: they do not show all that there is.
    most : int
        A multiple of the limits of numbers.
    """

    def __init__(
        self,
        client: Client,
        base_url: str,
        credential: Credential | None,
        *,
        needs_dav: bool = False,
        most: int = 1,
    ) -> None:
        self._client = client
        self._base_url = base_url
        self._credential = credential
        self._needs_dav = needs_dav
        self._most = most
        self._has_dav = True
        #: What was left out, in words.
        self.remarks: list[str] = []

    def entries(self) -> list[Entry]:
        """Return the files that lie in sessions, sorted by path; none where there are no lists.

        Raises
        ------
        Unreachable, RateLimited
            If the server stops answering in between: a part is never taken for the whole.
        UnsafeData
            If there is more than anybody could mean, or a list that cannot be read to its end.
        """
        try:
            top = self.items("")
        except (NotFound, RepositoryError, UnsafeData) as error:
            if isinstance(error, (Unreachable, RateLimited)):
                raise
            return []  # no list, and so no repository
        found: dict[str, Entry] = {}
        for path, item in self.walk(top):
            if not item.is_folder:
                self._take(path, item, found)
        return [found[path] for path in sorted(found)]

    def walk(self, top: list[Item]) -> Iterator[tuple[str, Item]]:
        """Yield files and folders with their paths, from the top down, without what can lie in no session."""
        level: Iterable[_Folder] = [_Folder("", top)]
        folders = files = 0
        for _ in range(MAX_DEPTH):
            below: list[str] = []
            for folder in level:
                for item in folder.items:
                    path = f"{folder.path}/{item.name}" if folder.path else item.name
                    if item.is_folder and not leads_on(path):
                        continue
                    yield path, item
                    if item.is_folder:
                        below.append(path)
                    files += not item.is_folder
                self._count(folders + len(below), files)
            folders += len(below)
            if not below:
                return
            level = self._folders(below)
        self.remarks.append(f"what lies deeper than {MAX_DEPTH} folders is left out")

    def _count(self, folders: int, files: int) -> None:
        if folders > self._most * MAX_FOLDERS or files > self._most * MAX_FILES:
            raise UnsafeData(
                f"{redact(self._base_url)} lists more than {self._most * MAX_FOLDERS:,} folders or"
                f" {self._most * MAX_FILES:,} files",
                hint="Ask whoever runs the server for an index: onelight index FOLDER",
            )

    def _take(self, path: str, item: Item, found: dict[str, Entry]) -> None:
        if is_data(path):
            found[path] = Entry(path, path_url(self._base_url, path), item.size)

    def _folders(self, paths: Iterable[str]) -> Iterator[_Folder]:
        """Yield folders with what is in them as they come; a few are ahead of whoever takes them."""
        waiting: deque[Future[_Folder]] = deque()
        pool = threads.pool(_AT_A_TIME, "onelight-list")
        try:
            for path in paths:
                waiting.append(pool.submit(lambda path: _Folder(path, self.items(path)), path))
                if len(waiting) >= _AT_A_TIME:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def items(self, path: str) -> list[Item]:
        """Return what lies directly in a folder.

        Raises
        ------
        NotFound
            If it is not there.
        ReadOnlyRepository
            If pages for people will not do, and there is nothing else.
        """
        url = f"{path_url(self._base_url, path)}/" if path else f"{self._base_url}/"
        if self._has_dav:
            try:
                items = self._multistatus(url)
                if items is not None:
                    return items
            except (Unreachable, RateLimited):
                raise
            except OneError:
                if path or self._needs_dav:  # it was spoken at the top
                    raise
            if self._needs_dav:
                raise ReadOnlyRepository(
                    f"{redact(self._base_url)} does not speak WebDAV: it can be read only",
                    hint="Run `onelight index FOLDER` and copy the folder to the server, share through figshare, or let"
                    " the server speak WebDAV (docs/hosting.md)",
                )
            self._has_dav = False
        spool, _ = self._client.spool(Route(url, self._credential), MAX_PAGE)
        if spool is None:  # nothing was asked that could be answered so
            return []
        with spool:
            return read_page(spool.read().decode("utf-8", "replace"), url)

    def _multistatus(self, url: str) -> list[Item] | None:
        """Ask for a list as WebDAV has them; None if the server does not speak it.

        rclone writes an error behind a list if a file in the folder is renamed meanwhile: it is asked again.
        """
        attempt = 1
        while True:
            answer = self._client.request(
                "PROPFIND",
                url,
                credential=self._credential,
                headers={"Depth": "1", "Content-Type": "application/xml"},
                body=PROPFIND,
                answers=_NO_DAV,
                limit=MAX_PAGE,
            )
            if answer.status != 207:
                return None
            try:
                return read_multistatus(answer.body, url)
            except RepositoryError as error:
                if not self._needs_dav or self._client.gives_up(error, attempt):
                    raise
                self._client.pause(error, attempt)
                attempt += 1


def leads_on(path: str) -> bool:
    """Tell whether a session may lie below a folder, so that not all of a server is looked through.

    Examples
    --------
    >>> leads_on("lab"), leads_on("lab/Subjects/Cori"), leads_on("lab/photos"), leads_on("lab/Subjects/Cori/notes")
    (True, True, False, False)
    """
    parts = path.split("/")
    if parts[-1].startswith(".") or (len(parts) > 1 and parts[1] != "Subjects"):
        return False
    return len(parts) < 4 or (len(parts[3]) == 10 and parts[3][4] == parts[3][7] == "-")


def is_data(path: str) -> bool:
    """Tell whether a path is that of a file in a session; what lies beside them is none of our business.

    Examples
    --------
    >>> is_data("lab/Subjects/Cori/2016-12-14/001/alf/a.b.npy"), is_data("lab/notes.txt")
    (True, False)
    """
    try:
        check_safe(path)
        split_path(path)
    except (AlfError, UnsafeData):
        return False
    return not is_part(path) and not any(part.startswith(".") for part in path.split("/"))
