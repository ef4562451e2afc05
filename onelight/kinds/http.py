"""A repository on a web server: a ``.one_root`` file at its address, and the files it names.

Any server that serves files will do. The addresses in ``.one_root`` may be absolute, relative or missing (one
column), and may lie elsewhere; user name and password go to the origin of ``base_url`` only.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from onelight.config import Settings
from onelight.errors import ConfigError, NotFound, RepositoryNotFound
from onelight.index import INDEX_NAME, Entry, Index
from onelight.repository import Repository
from onelight.route import Credential, Inline, Route, Source, check_url, origin_of, path_url, redact

if TYPE_CHECKING:
    from onelight.client import Client

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
        self._login = login
        self._credential: Credential | None = None
        if login or password:
            import base64  # takes a millisecond, and passwords are rare

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

    @property
    def identity(self) -> str:
        """The address and who signs in there: others may see something else."""
        # What must not be shown (a query, a name) is told apart all the same.
        whole = zlib.crc32(f"{self._base_url} {self._login}".encode())
        return f"{super().identity} {whole:08x}"

    def refresh(self, last: Index | None = None, *, path: Path | None = None) -> Index:
        """Fetch ``.one_root``, unless the server says that it is still the one we have (RFC 9110, section 13)."""
        from onelight.index import read_one_root  # what an answer from the disk does without

        stamp = last.fact("stamp") if last is not None else ""
        conditions = json.loads(stamp) if self.is_still(last, stamp) else {}
        try:
            spool, answered = self._client.spool(
                Route(path_url(self._base_url, INDEX_NAME), self._credential), MAX_INDEX, conditions
            )
        except NotFound as error:
            raise RepositoryNotFound(
                f"there is no {INDEX_NAME} at {self.address}",
                hint="Check base_url; whoever runs the server makes one with `onelight index FOLDER`",
            ) from error
        if spool is None:  # which is answered to conditions only, and these are those of the last one
            return cast("Index", last)
        with spool:
            return read_one_root(spool, base_url=self._base_url, path=path, facts=self.facts(_conditions(answered)))

    def is_certain(self, stamp: str) -> bool:
        """Tell whether the server names its versions: a date may be older than that of what was there before."""
        return "If-None-Match" in stamp

    def source(self, entry: Entry) -> Source:
        """Return the address of an entry; the password is offered to its own origin only."""
        if entry.size == 0 and entry.url.startswith("data:"):
            return Inline()
        return (Route(entry.url, self._credential),)


def _conditions(headers: Mapping[str, str]) -> str:
    """Return the headers that ask for a newer version than this answer was, as text; empty if there is no way to ask.

    A date alone says nothing of what happened later in the same second.
    """
    from email.utils import parsedate_to_datetime  # takes ten milliseconds, and is needed after a request only

    if headers.get("etag"):
        return json.dumps({"If-None-Match": headers["etag"]})
    modified, now = headers.get("last-modified", ""), headers.get("date", "")
    try:
        is_settled = (parsedate_to_datetime(now) - parsedate_to_datetime(modified)).total_seconds() > 1
    except (TypeError, ValueError):
        return ""
    return json.dumps({"If-Modified-Since": modified}) if is_settled else ""
