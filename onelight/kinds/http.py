"""A repository on a web server: a ``.one_root`` file at its address, and the files it names.

Any server that serves files will do. The addresses in ``.one_root`` may be absolute, relative or missing (one
column), and may lie elsewhere; user name and password go to the origin of ``base_url`` only.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar, cast

from onelight.config import Settings
from onelight.errors import AccessDenied, ConfigError, NotFound, RepositoryNotFound, UnsafeData
from onelight.index import INDEX_NAME, Entry, Index
from onelight.repository import Repository
from onelight.route import Credential, Inline, Route, Source, check_url, origin_of, path_url, redact

if TYPE_CHECKING:
    from onelight.client import Client

#: Beside the index: what is known of each file (:mod:`onelight.tables`, which is not imported for its name).
DATASETS_NAME = "datasets.pqt"
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
        """Fetch ``.one_root``, unless the server says that it is still the one we have (RFC 9110, section 13).

        Where there are tables beside it (``datasets.pqt``), sizes and md5 are read from them.
        """
        stamp = last.fact("stamp") if last is not None else ""
        before = json.loads(stamp) if self.is_still(last, stamp) else {}
        had_tables = before.pop("tables", None)
        with contextlib.ExitStack() as opened:
            try:
                root, answered = self._ask(INDEX_NAME, before, opened)
            except NotFound as error:
                listed = self._listed(path)
                if listed is not None:
                    return listed
                raise RepositoryNotFound(
                    f"there is no {INDEX_NAME} at {self.address}",
                    hint="Check base_url; whoever runs the server makes one with `onelight index FOLDER`",
                ) from error
            # "None" is answered to conditions only, and these are those of the last one.
            if root is None and had_tables is None:
                return cast("Index", last)
            said: dict[str, str] | None = None
            tables: IO[bytes] | None = None
            with contextlib.suppress(AccessDenied, NotFound):
                tables, said = self._ask(DATASETS_NAME, had_tables if root is None and had_tables else {}, opened)
                if root is None and tables is None:
                    return cast("Index", last)
            if root is None:
                root, answered = self._ask(INDEX_NAME, {}, opened)
            return self._joined(cast("IO[bytes]", root), tables, _stamp(answered, said), path)

    def _listed(self, path: Path | None) -> Index | None:
        """Return what the server's own lists of its folders show; None if it shows no session."""
        from onelight.kinds.walking import Lists  # most servers have an index

        lists = Lists(self._client, self._base_url, self._credential)
        entries = lists.entries()
        if not entries:
            return None
        remark = (
            f"there is no {INDEX_NAME} at {self.address}: this is what its folders list, which is slower, and of which"
            " no checksum is known"
        )
        return Index.build(entries, [remark, *lists.remarks], path=path, facts=self.facts(""))

    def _ask(
        self, name: str, conditions: Mapping[str, str], opened: contextlib.ExitStack
    ) -> tuple[IO[bytes] | None, dict[str, str]]:
        """Return a file of the folder, which is closed with the stack; None if it is still the one we have."""
        route = Route(path_url(self._base_url, name), self._credential)
        stream, headers = self._client.spool(route, MAX_INDEX, conditions)
        return (opened.enter_context(stream) if stream is not None else None), headers

    def _joined(self, root: IO[bytes], tables: IO[bytes] | None, stamp: str, path: Path | None) -> Index:
        """Return what ``.one_root`` says, with what the tables state of each file."""
        from onelight.index import read_one_root  # what an answer from the disk does without

        if tables is None:
            return read_one_root(root, base_url=self._base_url, path=path, facts=self.facts(stamp))
        from onelight.tables import read_tables

        rows = read_one_root(root, base_url=self._base_url)
        remarks = list(rows.remarks)
        stated = Index()
        try:  # sorted on the disk, as an index is: a million of them fit
            stated = Index(Entry(row.path, "", row.size, row.md5) for row in read_tables(tables))
        except UnsafeData as error:
            remarks.append(f"sizes and md5 are not known: {error.message}")
        entries = _with_sizes(rows, stated)
        return Index.build(entries, remarks, path=path, facts=self.facts(stamp))

    def is_certain(self, stamp: str) -> bool:
        """Tell whether the server names its versions: a date may be older than that of what was there before."""
        return "If-None-Match" in stamp

    def source(self, entry: Entry) -> Source:
        """Return the address of an entry; the password is offered to its own origin only."""
        if entry.size == 0 and entry.url.startswith("data:"):
            return Inline()
        return (Route(entry.url, self._credential),)


def _with_sizes(rows: Iterable[Entry], stated: Iterable[Entry]) -> Iterator[Entry]:
    """Put two lists that are sorted by path together: addresses from the first, size and md5 from the second."""
    others = iter(stated)
    other = next(others, None)
    for entry in rows:
        while other is not None and other.path < entry.path:
            other = next(others, None)
        if other is not None and other.path == entry.path:
            yield replace(entry, size=other.size, md5=other.md5)
        else:
            yield entry


def _stamp(root: Mapping[str, str], tables: Mapping[str, str] | None) -> str:
    """Return what asks whether anything has changed; empty if there is no way to ask."""
    conditions = _conditions(root)
    if not conditions or tables is None:
        return conditions
    return json.dumps({**json.loads(conditions), "tables": json.loads(_conditions(tables) or "{}")})


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
