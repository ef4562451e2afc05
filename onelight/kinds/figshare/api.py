"""figshare's API: how it is asked, and how it states a file."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from onelight.client import Client, Response
from onelight.errors import AccessDenied, NotFound, OneError, RepositoryError, RepositoryNotFound
from onelight.index import Entry
from onelight.route import Credential, origin_of, redact

PAGE = 1000  # the most that figshare gives at a time
# How often a list of several pages is read again until it agrees with the reading before.
_READINGS = 3
# While figshare checks a file its status goes created, ic_checking, ic_success, moving_to_final, available. Files were
# seen stuck in moving_to_final for ever with the right md5, so that the last three all mean that the bytes are there.
_WHOLE = frozenset({"available", "moving_to_final", "ic_success", ""})
HOW_TO_SIGN_IN = (
    "Make a personal token at https://figshare.com/account/applications and put it into the environment as "
    "FIGSHARE_TOKEN, or into the configuration: onelight add-repo NAME --figshare ID --token-stdin"
)


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

    @classmethod
    def of(cls, row: dict[str, Any]) -> File:
        """Read a row of a list, or the answer for one file."""
        texts = (str(row.get(key) or "") for key in ("status", "computed_md5", "supplied_md5", "download_url"))
        return cls(int(row["id"]), str(row["name"]), int(row.get("size") or 0), *texts)

    @property
    def whole(self) -> bool:
        """Whether its bytes have arrived and were checked."""
        return self.status in _WHOLE and (self.status in ("", "available") or bool(self.computed_md5))

    def entry(self, path: str) -> Entry:
        """Return it as a dataset."""
        return Entry(path, self.download_url, self.size, self.computed_md5 or None)


class Api:
    """The API for one article.

    Parameters
    ----------
    client : Client
        The HTTP client.
    url : str
        Address of the API: figshare's, or a sandbox's.
    article_id : int
        Number of the article.
    token : str
        Personal token of the owner; empty to read what is public.
    """

    def __init__(self, client: Client, url: str, article_id: int, token: str) -> None:
        self.client = client
        self.url = url.rstrip("/")
        self.article_id = article_id
        self.token = token
        self.credential = Credential(origin_of(self.url), header=f"token {token}") if token else None

    @property
    def files_url(self) -> str:
        """Where the owner's files are listed and begun."""
        return f"{self.url}/account/articles/{self.article_id}/files"

    def file_url(self, number: int) -> str:
        """Return where the owner finds a file."""
        return f"{self.files_url}/{number}"

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, repeat: bool | None = None
    ) -> Response:
        """Ask the API; ``path`` is relative to it, or an address that it gave."""
        url = path if path.startswith(("http://", "https://")) else f"{self.url}/{path}"
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body).encode() if body is not None else None
        try:
            return self.client.request(
                method, url, credential=self.credential, headers=headers, body=data, repeat=repeat
            )
        except AccessDenied as error:
            raise AccessDenied(f"figshare refuses access: {error.message}", hint=HOW_TO_SIGN_IN) from error
        except NotFound as error:
            raise RepositoryNotFound(
                f"figshare does not know this: {error.message}",
                hint=f"Is {self.article_id} the right article_id? A draft can be read with its owner's token only",
            ) from error

    def list_files(self, view: str, remarks: list[str] | None = None) -> list[File]:
        """Return every file of the article, all pages, or raise; ``view`` is ``account/`` for the owner's draft.

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

    def _read_list(self, view: str) -> tuple[dict[int, File], int, int]:
        """Read all pages once: the files, the number of pages, and of files that came again."""
        files: dict[int, File] = {}
        page = repeated = nothing_new = 0
        while True:
            page += 1
            rows = self.call("GET", f"{view}articles/{self.article_id}/files?page={page}&page_size={PAGE}").json()
            if not isinstance(rows, list):
                raise RepositoryError(
                    f"{self.url} answered with something that is not a list of files",
                    hint="Is this the address of figshare's API, or of a sandbox? Try again later if it is",
                )
            before = len(files)
            with as_documented(self.url):
                files.update((file.id, file) for file in map(File.of, rows))
            repeated += before + len(rows) - len(files)
            nothing_new = nothing_new + 1 if len(files) == before else 0
            if len(rows) < PAGE:
                return files, page, repeated
            if nothing_new > 1:
                raise self._changing("repeats itself without an end")

    def _changing(self, how: str) -> RepositoryError:
        return RepositoryError(f"the list of the files of article {self.article_id} {how}", hint="Try again in a while")

    def file(self, location: str) -> File:
        """Return one file of the draft."""
        row = self.call("GET", location).json()
        with as_documented(location):
            return File.of(row)

    def delete_file(self, number: int) -> None:
        """Remove a file from the draft; one that is not there is no error."""
        with contextlib.suppress(NotFound):  # gone already, which is what was asked for
            self.call("DELETE", self.file_url(number))


@contextlib.contextmanager
def as_documented(url: str) -> Iterator[None]:
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


def is_conflict(error: OneError) -> bool:
    """Tell whether a server said 409: for what is sent to the API, no repetition makes that better."""
    return re.search(r" answered 409\b", error.message) is not None
