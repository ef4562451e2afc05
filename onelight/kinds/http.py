"""A repository on a web server: a ``.one_root`` file at its address, and the files it names.

Any server that serves files will do. The addresses in ``.one_root`` may be absolute, relative or missing (one
column), and may lie elsewhere; user name and password go to the origin of ``base_url`` only.
"""

from __future__ import annotations

import base64
from typing import ClassVar

from onelight.client import Client
from onelight.config import Settings
from onelight.errors import ConfigError, NotFound, RateLimited, RepositoryError, RepositoryNotFound, Unreachable
from onelight.index import INDEX_NAME, Entry, Index, read_one_root
from onelight.repository import Repository
from onelight.route import Credential, Inline, Route, Source, check_url, origin_of, path_url, redact

# A million rows of 120 bytes are 120 MB (docs/benchmarks.md); this is room for ten.
MAX_INDEX = 2 << 30


class HttpRepository(Repository):
    """A folder on a web server.

    Parameters
    ----------
    name : str
        Its name in the configuration.
    base_url : str
        Address of the folder that holds ``.one_root``.
    client : Client
        The HTTP client.
    login, password : str
        For basic authentication; empty for none.
    """

    kind: ClassVar[str] = "http"

    def __init__(self, name: str, base_url: str, client: Client, *, login: str = "", password: str = "") -> None:
        super().__init__(name)
        if not base_url.startswith(("http://", "https://")):
            raise ConfigError(
                f"the base_url '{redact(base_url)}' of the repository '{name}' is not a web address",
                hint="It begins with https:// (or http://)",
            )
        check_url(base_url, trusted=base_url)
        self._base_url = base_url.rstrip("/")
        self._client = client
        self._credential: Credential | None = None
        self._known: tuple[str, Index] | None = None
        if login or password:
            basic = base64.b64encode(f"{login}:{password}".encode()).decode()
            self._credential = Credential(origin_of(base_url), header=f"Basic {basic}")

    @classmethod
    def from_settings(cls, settings: Settings, client: Client) -> HttpRepository:
        """Return the repository of ``base_url``, with ``login`` and ``password`` (or ``pwd``) if they are given."""
        base_url = settings.require("base_url")
        return cls(settings.name, base_url, client, login=settings.text("login"), password=settings.secret)

    @property
    def address(self) -> str:
        """The address of the folder."""
        return redact(self._base_url)

    def refresh(self) -> Index:
        """Fetch ``.one_root``, unless the server says that it is still the one we have."""
        url = path_url(self._base_url, INDEX_NAME)
        try:
            if self._known is not None and self._is_unchanged(url, self._known[0]):
                return self._known[1]
            spool, headers_seen = self._client.spool(Route(url, self._credential), MAX_INDEX)
        except NotFound as error:
            raise RepositoryNotFound(
                f"there is no {INDEX_NAME} at {self.address}",
                hint="Check base_url; whoever runs the server makes one with `onelight index FOLDER`",
            ) from error
        with spool:
            index = read_one_root(spool, base_url=self._base_url)
        etag = headers_seen.get("etag")
        self._known = (etag, index) if etag else None
        return index

    def _is_unchanged(self, url: str, etag: str) -> bool:
        try:
            answer = self._client.request("HEAD", url, credential=self._credential, headers={"If-None-Match": etag})
        except (Unreachable, RateLimited):
            raise
        except RepositoryError:  # a server that takes no HEAD, as with signed addresses
            return False
        return answer.status == 304

    def source(self, entry: Entry) -> Source:
        """Return the address of an entry; the password is offered to its own origin only."""
        if entry.size == 0 and entry.url.startswith("data:"):
            return Inline()
        return (Route(entry.url, self._credential),)
