"""One article of figshare: its record, its files, how figshare states a file."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from dataclasses import dataclass
from typing import Any

from onelight.errors import NotFound, RepositoryError
from onelight.index import Entry
from onelight.kinds.figshare.api import PAGE, Api, as_documented
from onelight.pack import is_pack

# How often a list of several pages is read again until it agrees with the reading before.
_READINGS = 3
# While figshare checks a file its status goes created, ic_checking, ic_success, moving_to_final, available. Files were
# seen stuck in moving_to_final for ever with the right md5, so that the last three all mean that the bytes are there.
_WHOLE = frozenset({"available", "moving_to_final", "ic_success", ""})


@dataclass(frozen=True, slots=True)
class File:
    """A file as figshare states it."""

    id: int
    name: str
    size: int
    status: str
    computed_md5: str
    supplied_md5: str
    download_url: str
    article_id: int = 0
    is_link: bool = False

    @classmethod
    def of(cls, row: dict[str, Any], article_id: int = 0) -> File:
        """Read a row of a list, or the answer for one file."""
        status, computed, supplied, url = (
            str(row.get(key) or "") for key in ("status", "computed_md5", "supplied_md5", "download_url")
        )
        size, is_link = int(row.get("size") or 0), bool(row.get("is_link_only"))
        return cls(int(row["id"]), str(row["name"]), size, status, computed, supplied, url, article_id, is_link)

    @property
    def whole(self) -> bool:
        """Whether its bytes have arrived and were checked."""
        return self.status in _WHOLE and (self.status in ("", "available") or bool(self.computed_md5))

    def entry(self, path: str) -> Entry:
        """Return it as a dataset; of one that is a link to another place figshare knows neither size nor md5."""
        if self.is_link:
            return Entry(path, self.download_url)
        # Members of a pack are found by its md5, also while figshare has only the one that it was given.
        md5 = self.computed_md5 or (self.supplied_md5 if is_pack(path) else "")
        return Entry(path, self.download_url, self.size, md5 or None)


class Article:
    """One article, seen by its owner, by the public, or as it was in one version.

    Parameters
    ----------
    api : Api
        Who is asked.
    number : int
        Its number.
    """

    def __init__(self, api: Api, number: int) -> None:
        self.api = api
        self.number = number
        self._glancing = threading.Lock()
        self._glanced: tuple[float, dict[int, File], int] = (-math.inf, {}, 1)

    @property
    def own(self) -> str:
        """The draft, for its owner; relative to the API as the two that follow."""
        return f"account/articles/{self.number}"

    @property
    def public(self) -> str:
        """The newest version that is published."""
        return f"articles/{self.number}"

    def version(self, number: int) -> str:
        """Return where a version is that was published."""
        return f"articles/{self.number}/versions/{number}"

    @property
    def page(self) -> str:
        """The page of the article, for a person; of a sandbox, what its API says of it."""
        if self.api.is_figshare:
            return f"https://figshare.com/articles/dataset/_/{self.number}"
        return f"{self.api.url}/articles/{self.number}"

    @property
    def files_url(self) -> str:
        """Where the owner's files are listed and begun."""
        return f"{self.api.url}/{self.own}/files"

    def file_url(self, number: int) -> str:
        """Return where the owner finds a file."""
        return f"{self.files_url}/{number}"

    def list_files(self, view: str, remarks: list[str] | None = None) -> list[File]:
        """Return every file of the article, all pages, or raise; ``view`` is one of the above.

        Where a file is removed while the pages are read, those behind it move up, and one of them is on no page that
        comes. So a list of several pages is read until it comes out the same twice.
        """
        files, pages, repeated = self._read_list(view)
        for _ in range(_READINGS):
            if pages == 1:
                break
            before = files.keys()
            files, pages, repeated = self._read_list(view)
            if files.keys() == before:
                break
        else:
            raise self._changing("changes while it is read")
        if repeated and remarks is not None:
            remarks.append(f"figshare lists {repeated} files twice; each is taken once")
        return list(files.values())

    def glance(self, since: float = math.inf) -> tuple[dict[int, File], int]:
        """Return the files of the draft by number, and how many pages they came on.

        All pages are read once, so that one may be missing if others were removed meanwhile. Threads that ask at the
        same time share an answer, if it was asked for after the moment ``since`` of the monotonic clock.
        """
        with self._glancing:
            if self._glanced[0] < since:
                begun = time.monotonic()
                files, pages, _ = self._read_list(self.own)
                self._glanced = (begun, files, pages)
            return self._glanced[1:]

    def _read_list(self, view: str) -> tuple[dict[int, File], int, int]:
        """Read all pages once: the files, the number of pages, and of files that came again."""
        files: dict[int, File] = {}
        page = repeated = nothing_new = 0
        while True:
            page += 1
            rows = self.api.call("GET", f"{view}/files?page={page}&page_size={PAGE}").json()
            if not isinstance(rows, list):
                raise RepositoryError(
                    f"{self.api.url} answered with something that is not a list of files",
                    hint="Is this the address of figshare's API, or of a sandbox? Try again later if it is",
                )
            before = len(files)
            with as_documented(self.api.url):
                files.update((file.id, file) for file in (File.of(row, self.number) for row in rows))
            repeated += before + len(rows) - len(files)
            nothing_new = nothing_new + 1 if len(files) == before else 0
            if len(rows) < PAGE:
                return files, page, repeated
            if nothing_new > 1:
                raise self._changing("repeats itself without an end")

    def _changing(self, how: str) -> RepositoryError:
        return RepositoryError(f"the list of the files of article {self.number} {how}", hint="Try again in a while")

    def file(self, location: str) -> File:
        """Return one file of the draft."""
        row = self.api.call("GET", location).json()
        with as_documented(location):
            return File.of(row, self.number)

    def delete_file(self, number: int) -> None:
        """Remove a file from the draft; one that is not there is no error."""
        with contextlib.suppress(NotFound):  # gone already, which is what was asked for
            self.api.call("DELETE", self.file_url(number))
