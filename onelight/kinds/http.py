"""A repository on a web server: a ``.one_root`` file at its address, and the files it names.

Any server that serves files will do; one that speaks WebDAV takes them as well (:mod:`onelight.kinds.dav`). The
addresses in ``.one_root`` may be absolute, relative or missing (one column), and may lie elsewhere; what the user signs
in with goes to the origin of ``base_url`` only.
"""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar, cast

from onelight.config import Settings
from onelight.errors import AccessDenied, ConfigError, NotFound, RepositoryNotFound
from onelight.index import DATASETS_NAME, INDEX_NAME, Entry, Index
from onelight.kinds.writing import TreeRepository
from onelight.route import Credential, Inline, Route, Source, check_url, origin_of, path_url, redact

if TYPE_CHECKING:
    from onelight.client import Client
    from onelight.kinds.tree import Tree

# A million rows of 120 bytes are 120 MB (docs/benchmarks.md); this is room for ten.
MAX_INDEX = 2 << 30


class HttpRepository(TreeRepository):
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
    token : str
        Instead of them, a bearer token (RFC 6750).
    certificate, key : str
        Files (PEM) of a client certificate and its key, which may be in one; beside the others, or alone.

    Raises
    ------
    ConfigError
        If the address, the token or the certificate cannot be used.
    UnsafeData
        If a secret would travel without encryption.
    """

    kind: ClassVar[str] = "http"

    def __init__(
        self,
        name: str,
        base_url: str,
        client: Client,
        *,
        login: str = "",
        password: str = "",
        token: str = "",
        certificate: str = "",
        key: str = "",
    ) -> None:
        super().__init__(name, client)
        if not base_url.startswith(("http://", "https://")):
            raise ConfigError(
                f"the base_url '{redact(base_url)}' of the repository '{name}' is not a web address",
                hint="It begins with https:// (or http://)",
            )
        check_url(base_url, trusted=base_url)
        self._base_url = base_url.rstrip("/")
        # A name stays the same person with another password; of a token only the token itself says whose it is.
        who = " ".join(filter(None, (login or token, certificate)))
        # What must not be shown (a query, a name) is told apart all the same.
        self._whose = zlib.crc32(f"{self._base_url} {who}".encode())
        self._credential: Credential | None = None
        header = _authorization(name, login, password, token)
        if certificate or key:
            from onelight.client.certificates import check_certificate  # few have one

            certificate, key = check_certificate(name, base_url, certificate, key)
        if header or certificate:
            self._credential = Credential(origin_of(base_url), header=header, certificate=certificate, key=key)

    @classmethod
    def from_settings(cls, settings: Settings, client: Client) -> HttpRepository:
        """Return the repository of ``base_url``, with what its owner signs in with, if anything.

        That is ``token``; or ``login`` and ``password`` (or ``pwd``, or ``token``). Beside it, or alone,
        ``certificate`` and ``key``. No variable of the environment has a secret of this kind.
        """
        login, secret = settings.text("login"), settings.secret
        is_bearer = not login and bool(settings.text("token"))
        return cls(
            settings.name,
            settings.require("base_url"),
            client,
            login=login,
            password="" if is_bearer else secret,
            token=secret if is_bearer else "",
            certificate=settings.text("certificate"),
            key=settings.text("key"),
        )

    @property
    def address(self) -> str:
        """The address of the folder."""
        return redact(self._base_url)

    @property
    def identity(self) -> str:
        """The address and who signs in there: others may see something else."""
        return f"{super().identity} {self._whose:08x}"

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
        from onelight.kinds.joined import joined  # what an answer from the disk does without

        return joined(root, tables, base_url=self._base_url, path=path, facts=self.facts(stamp))

    def is_certain(self, stamp: str) -> bool:
        """Tell whether the server names its versions: a date may be older than that of what was there before."""
        return "If-None-Match" in stamp

    def source(self, entry: Entry) -> Source:
        """Return the address of an entry; the password is offered to its own origin only."""
        if entry.size == 0 and entry.url.startswith("data:"):
            return Inline()
        return (Route(entry.url, self._credential),)

    def _tree(self) -> Tree:
        """Return the folder as one that can be written by WebDAV."""
        from onelight.kinds.dav import DavTree

        return DavTree(self._client, self._base_url, self._credential)


def _authorization(name: str, login: str, password: str, token: str) -> str:
    """Return the header that says who asks; empty for anybody."""
    if token:
        if not re.fullmatch(r"[!-~]+", token):
            raise ConfigError(
                f"the token of the repository '{name}' has a space in it",
                hint="Give what stands behind the word Bearer, and nothing else",
            )
        return f"Bearer {token}"
    if not (login or password):
        return ""
    import base64  # takes a millisecond, and passwords are rare

    return f"Basic {base64.b64encode(f'{login}:{password}'.encode()).decode()}"


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
