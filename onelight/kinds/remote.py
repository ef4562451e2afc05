"""A repository in a store that fsspec reaches: S3, Google, Azure, SFTP, SMB, FTP.

It is written by :mod:`onelight.kinds.growing`. Where everybody finds the same files on the web (``base_url``), it is
read there, as any repository on a web server, and fsspec need not be there to read; without that it is read as it is
written.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from onelight.alf import check_safe
from onelight.config import Settings
from onelight.errors import ConfigError, RepositoryNotFound
from onelight.index import DATASETS_NAME, INDEX_NAME, Entry, Index
from onelight.kinds.http import HttpRepository
from onelight.kinds.place import Place, secrets_of
from onelight.kinds.writing import TreeRepository
from onelight.route import Inline, Opened, Route, Source

if TYPE_CHECKING:
    from onelight.client import Client
    from onelight.kinds.fs import FsTree
    from onelight.kinds.tree import Held, Tree

# Seconds; a date that is younger says nothing of what is written in the same second.
_SETTLED = 2.0


class RemoteRepository(TreeRepository):
    """A folder in a store that fsspec reaches.

    Parameters
    ----------
    name : str
        Its name in the configuration.
    url : str
        ``s3://BUCKET/FOLDER``, ``sftp://USER@HOST/FOLDER`` and the like.
    client : Client
        Says how long to wait and how often to try, and reads what is on the web.
    base_url : str
        Where everybody reads the same files; empty where they are read from the store.
    login, password : str
        For SFTP, SMB and FTP; empty where keys are looked for, or nobody signs in.
    options : mapping
        What fsspec is told as well.

    Raises
    ------
    ConfigError
        If the address, the options or ``base_url`` cannot be used.
    """

    kind: ClassVar[str] = "remote"

    def __init__(
        self,
        name: str,
        url: str,
        client: Client,
        *,
        base_url: str = "",
        login: str = "",
        password: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name, client)
        self._place = Place.of(name, url, login, password, options or {})
        self._base_url = base_url
        for secret in [password, *secrets_of(options or {})]:
            _hide(secret)
        self._public = _Public(name, base_url, client, self.identity) if base_url else None
        self._opening = threading.Lock()
        self._opened: FsTree | None = None

    @classmethod
    def from_settings(cls, settings: Settings, client: Client) -> RemoteRepository:
        """Return the repository of ``url``, with ``base_url``, ``login``, ``password`` and ``options`` if given."""
        return cls(
            settings.name,
            settings.require("url"),
            client,
            base_url=settings.text("base_url"),
            login=settings.text("login"),
            password=settings.secret,
            options=settings.options.get("options") or {},
        )

    @property
    def address(self) -> str:
        """The address of the folder, without the name of who signs in."""
        return self._place.shown

    @property
    def identity(self) -> str:
        """The address, who signs in there, and which server of several has the bucket."""
        told = (self._place.shown, self._place.user, self._base_url)
        which = [str(self._place.arguments.get(key, "")) for key in ("port", "endpoint_url", "account_name", "key")]
        return f"{super().identity} {zlib.crc32(' '.join((*told, *which)).encode()):08x}"

    def refresh(self, last: Index | None = None, *, path: Path | None = None) -> Index:
        """Read ``.one_root`` and the tables beside it, unless both are still those that we have."""
        if self._public is not None:
            return self._public.refresh(last, path=path)
        store = self._store
        stamp = last.fact("stamp") if last is not None else ""
        if self.is_still(last, stamp) and stamp == _stamp(store.find(INDEX_NAME), store.find(DATASETS_NAME)):
            return last
        with contextlib.ExitStack() as opened:
            root, held = store.fetch(INDEX_NAME)
            if root is None:
                raise RepositoryNotFound(
                    f"there is no {INDEX_NAME} at {self.address}",
                    hint="Check the url; whoever owns it puts one there with `onelight upload FOLDER`",
                )
            opened.enter_context(root)
            tables, held_tables = store.fetch(DATASETS_NAME)
            if tables is not None:
                opened.enter_context(tables)
            from onelight.kinds.joined import joined  # what an answer from the disk does without

            return joined(root, tables, path=path, facts=self.facts(_stamp(held, held_tables)))

    def is_certain(self, stamp: str) -> bool:
        """Tell whether the store names its versions: a date may be that of what was there before."""
        if self._public is not None:
            return self._public.is_certain(stamp)
        return bool(stamp) and all(" " not in version for version in json.loads(stamp))

    def source(self, entry: Entry) -> Source:
        """Return where an entry is: its address on the web, or what opens it in the store."""
        if self._public is not None:
            return self._public.source(entry)
        if entry.size == 0 and entry.url.startswith("data:"):
            return Inline()
        if "://" in entry.url:  # what the index names elsewhere
            return (Route(entry.url),)
        # A file that waits for its commit lies under another name than its own.
        place = unquote(entry.url) or entry.path
        check_safe(entry.path)
        check_safe(place)
        from onelight.kinds.fs import Opener

        return Opened(f"{self.address}/{place}", Opener(self._store, place))

    def _tree(self) -> Tree:
        return self._store

    @property
    def _store(self) -> FsTree:
        """The store, made when it is first wanted; nobody is asked by that."""
        with self._opening:
            if self._opened is None:
                from onelight.kinds.fs import FsTree

                self._opened = FsTree(self._place, self._client, base_url=self._base_url)
            return self._opened


class _Public(HttpRepository):
    """The same files on the web, whose index is that of the repository in the store."""

    def __init__(self, name: str, base_url: str, client: Client, identity: str) -> None:
        super().__init__(name, base_url, client)
        self._identity = identity

    @property
    def identity(self) -> str:
        """That of the repository in the store."""
        return self._identity


def _stamp(root: Held | None, tables: Held | None) -> str:
    """Return the versions of both files, as text; empty where they do not tell them apart from later ones."""
    found = [held for held in (root, tables) if held is not None]
    for held in found:
        is_date = " " in held.version
        if not held.version or (is_date and time.time() - (held.moment or time.time()) < _SETTLED):
            return ""
    return json.dumps([held.version for held in found]) if root is not None else ""


def _hide(secret: str) -> None:
    """Let no message show a secret."""
    with contextlib.suppress(ConfigError):  # a key of several lines is shown by nobody
        _ = Settings("", "remote", {"password": secret}).secret if secret else ""
