"""A repository without an index, found by the lists that its web server makes: WebDAV's, or pages for people.

Slower than an index, for each folder is asked for, and without checksums. How deep and how many is limited, for a list
may lead in circles; what a list may say at all is decided in :mod:`onelight.kinds.listing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from onelight import threads
from onelight.alf import check_safe, split_path
from onelight.client import Client
from onelight.errors import AlfError, NotFound, OneError, RateLimited, RepositoryError, Unreachable, UnsafeData
from onelight.index import Entry
from onelight.kinds.listing import MAX_PAGE, Item, read_multistatus, read_page
from onelight.route import Route, path_url

if TYPE_CHECKING:
    from onelight.route import Credential

#: Folders below a repository: lab/Subjects/subject/date/number and some collections.
MAX_DEPTH = 12
MAX_FOLDERS = 20_000
MAX_FILES = 500_000
_AT_A_TIME = 8
_PROPFIND = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/>'
    b"<getlastmodified/><getetag/></prop></propfind>"
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
    """

    def __init__(self, client: Client, base_url: str, credential: Credential | None) -> None:
        self._client = client
        self._base_url = base_url
        self._credential = credential
        self._has_dav = True
        #: What was left out, in words.
        self.remarks: list[str] = []

    def entries(self) -> list[Entry]:
        """Return the files that lie in sessions, sorted by path.

        Raises
        ------
        Unreachable, RateLimited
            If the server stops answering in between: a part is never taken for the whole.
        UnsafeData
            If there is more than anybody could mean, or a list that cannot be read to its end.
        """
        try:
            level = [self._folder("")]
        except (NotFound, RepositoryError, UnsafeData) as error:
            if isinstance(error, (Unreachable, RateLimited)):
                raise
            return []  # no list, and so no repository
        found: dict[str, Entry] = {}
        folders = 0
        for _ in range(MAX_DEPTH):
            below: list[str] = []
            for folder in level:
                for item in folder.items:
                    path = f"{folder.path}/{item.name}" if folder.path else item.name
                    if item.is_folder and _leads_on(path):
                        below.append(path)
                    elif not item.is_folder:
                        self._take(path, item, found)
            folders += len(below)
            if folders > MAX_FOLDERS or len(found) > MAX_FILES:
                raise UnsafeData(
                    f"{self._base_url} lists more than {MAX_FOLDERS:,} folders or {MAX_FILES:,} files",
                    hint="Ask whoever runs the server for an index: onelight index FOLDER",
                )
            if not below:
                return [found[path] for path in sorted(found)]
            level = self._folders(below)
        self.remarks.append(f"what lies deeper than {MAX_DEPTH} folders is left out")
        return [found[path] for path in sorted(found)]

    def _take(self, path: str, item: Item, found: dict[str, Entry]) -> None:
        try:
            check_safe(path)
            split_path(path)
        except (AlfError, UnsafeData):
            return  # beside the sessions lies what is none of our business
        found[path] = Entry(path, path_url(self._base_url, path), item.size)

    def _folders(self, paths: Iterable[str]) -> list[_Folder]:
        with threads.pool(_AT_A_TIME, "onelight-list") as pool:
            return list(pool.map(self._folder, paths))

    def _folder(self, path: str) -> _Folder:
        url = f"{path_url(self._base_url, path)}/" if path else f"{self._base_url}/"
        if self._has_dav:
            try:
                answer = self._client.request(
                    "PROPFIND",
                    url,
                    credential=self._credential,
                    headers={"Depth": "1", "Content-Type": "application/xml"},
                    body=_PROPFIND,
                )
                if answer.status == 207:
                    return _Folder(path, read_multistatus(answer.body, url))
            except (Unreachable, RateLimited):
                raise
            except OneError:
                if path:  # it was spoken at the top
                    raise
            self._has_dav = False
        spool, _ = self._client.spool(Route(url, self._credential), MAX_PAGE)
        if spool is None:  # nothing was asked that could be answered so
            return _Folder(path, [])
        with spool:
            return _Folder(path, read_page(spool.read().decode("utf-8", "replace"), url))


def _leads_on(path: str) -> bool:
    """Tell whether a session may lie below a folder, so that not all of a server is looked through.

    Examples
    --------
    >>> _leads_on("lab"), _leads_on("lab/Subjects/Cori"), _leads_on("lab/photos"), _leads_on("lab/Subjects/Cori/notes")
    (True, True, False, False)
    """
    parts = path.split("/")
    if parts[0].startswith(".") or (len(parts) > 1 and parts[1] != "Subjects"):
        return False
    return len(parts) < 4 or (len(parts[3]) == 10 and parts[3][4] == parts[3][7] == "-")
