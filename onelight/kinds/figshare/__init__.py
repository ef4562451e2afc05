"""A repository in figshare articles: one figshare file per dataset, and ``.one_root`` among them.

The rooms: ``api`` asks figshare, at its ``pace``; ``article`` is one article and how it states a file; ``naming`` and
``address`` say what names and addresses mean, ``finding`` asks; ``reading`` finds what there is (``states``: why not);
``draft`` writes, with ``sending`` for one file and ``spreading`` for many articles; ``creating``, ``metadata`` and
``citation`` are about what an article says of itself; ``publishing`` cannot be undone. This module is the port to all.

The rules of the API that these files follow are figshare's documentation (OpenAPI 2.0, CC0) and what others saw of
the live service; the sandbox (``onelight.sandbox``) reproduces both, and is what the tests run against.
"""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from onelight.client import Client
from onelight.config import FIGSHARE_API, Settings
from onelight.errors import AccessDenied, ConfigError, NotFound, ReadOnlyRepository, RepositoryError
from onelight.index import EMPTY_URL, Entry, Index
from onelight.kinds.figshare.address import read_address
from onelight.kinds.figshare.api import HOW_TO_SIGN_IN, Api
from onelight.kinds.figshare.article import Article
from onelight.kinds.figshare.naming import FLAT, layout_of
from onelight.kinds.figshare.reading import Reader, fingerprint
from onelight.kinds.figshare.states import why_no_files
from onelight.notes import log
from onelight.pack import span_of
from onelight.repository import Citation, Leftover, Publication, PublishableRepository, Room
from onelight.route import Inline, Source

if TYPE_CHECKING:
    from onelight.description import Description, Difference
    from onelight.kinds.figshare.draft import Draft
    from onelight.kinds.figshare.publishing import Publisher
    from onelight.pack import Pack
    from onelight.tables import Facts

#: Seconds to wait for figshare's own checksum of a file that was sent.
PATIENCE = 120.0
#: For a free account; figshare raises it on request and does not tell the API.
FILES_PER_ARTICLE = 500


class FigshareRepository(PublishableRepository):
    """One figshare article, or several under one index.

    Parameters
    ----------
    name : str
        Its name in the configuration.
    article_id : int
        Number of the article that holds the index.
    client : Client
        The HTTP client.
    token : str
        Personal token of the owner; empty to read what is public.
    api_url : str
        Address of the API: figshare's, or a sandbox's.
    patience : float
        Seconds to wait for figshare's own checksum of a file that was sent.
    version : int, optional
        Read this version, whatever is newer; nothing can be written then.
    articles : sequence of int
        Numbers of all articles, where one did not take all files; the first is ``article_id``.
    layout : str
        ``flat`` or ``folders``: how the path of a dataset becomes the name of a file.
    files_per_article : int
        Files that an article takes.
    rate : float, optional
        Requests a second to the API, 0 for any number; by default one, as figshare asks, and any number to a sandbox.
    """

    kind: ClassVar[str] = "figshare"
    takes_packs: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        article_id: int,
        client: Client,
        *,
        token: str = "",
        api_url: str = FIGSHARE_API,
        patience: float = PATIENCE,
        version: int | None = None,
        articles: Sequence[int] = (),
        layout: str = FLAT,
        files_per_article: int = FILES_PER_ARTICLE,
        rate: float | None = None,
    ) -> None:
        super().__init__(name)
        self._api = Api(client, api_url, token, rate)
        numbers = dict.fromkeys([article_id, *articles])
        self._reader = Reader([Article(self._api, number) for number in numbers], version)
        self._patience, self._layout, self._limit = patience, layout, files_per_article
        self._lock = threading.Lock()
        self._writes: Draft | None = None

    @classmethod
    def from_settings(cls, settings: Settings, client: Client) -> FigshareRepository:
        """Return the repository of ``article_id``; other keys are those of the parameters."""
        api_url = settings.text("api_url", default=FIGSHARE_API)
        if not api_url.startswith(("https://", "http://")):
            raise ConfigError(f"the api_url of the repository '{settings.name}' is not a web address")
        address = read_address(settings.require("article_id"))
        if address.article_id is None:
            raise ConfigError(
                f"the article_id of the repository '{settings.name}' is a DOI that does not hold a number",
                hint=f"Let it be looked up: onelight add-repo {settings.name} --replace --figshare {address.doi}",
            )
        rate = settings.number("requests_per_second", 0, 100)
        return cls(
            settings.name,
            address.article_id,
            client,
            token=settings.secret,
            api_url=api_url,
            patience=settings.number("patience", 0, 86_400) or PATIENCE,
            version=settings.whole("version", 1, 2**31) or address.version,
            articles=settings.wholes("articles"),
            layout=layout_of(settings.text("layout")),
            files_per_article=settings.whole("files_per_article", 2, 1_000_000) or FILES_PER_ARTICLE,
            rate=rate,
        )

    @property
    def address(self) -> str:
        """The article; for a sandbox, its API."""
        page = self._reader.first.page
        return page if self._reader.version is None else f"{page}/{self._reader.version}"

    # Reading

    @property
    def identity(self) -> str:
        """The article and the token that asks: to others only a published version is shown."""
        token = self._api.token
        return super().identity + (f" with token {zlib.crc32(token.encode()):08x}" if token else "")

    def refresh(self, last: Index | None = None, *, path: Path | None = None) -> Index:
        """List the files, read ``.one_root``, and join to its rows the size and md5 that figshare states.

        What is public changes with a new version only, and a version never; of a draft, the list of its files says
        whether it has changed.
        """
        if self._reader.version is not None and self.is_still(last, f"version {self._reader.version}"):
            return last
        if not self._api.token or self._reader.version is not None:
            view = self._reader.public_view()
            stamp = f"version {view.version}" if view.version else ""
            if self.is_still(last, stamp):
                return last
            remarks: list[str] = []
            files = self._reader.list_public(view, remarks)
        else:
            view, files, remarks = self._reader.look()
            for article in self._reader.articles[1:]:
                with contextlib.suppress(AccessDenied, NotFound):  # the index has every address all the same
                    files += article.list_files(article.own if self._reader.is_private else article.public)
            stamp = fingerprint(files, remarks)
            if self.is_still(last, stamp):
                return last
        entries, remarks = self._reader.index_of(view, files, remarks)
        return Index.build(entries, remarks, path=path, facts=self.facts(stamp or fingerprint(files, remarks)))

    def source(self, entry: Entry) -> Source:
        """Return figshare's two ways to a file: its download address, then the API's."""
        if entry.url == EMPTY_URL or entry.size == 0:
            return Inline()
        span = span_of(entry.url)
        if span is None:
            return self._reader.routes(entry.url)
        url, offset, size = span
        return self._reader.routes(url, (offset, size))

    # Writing

    def stored(self) -> Index:
        """List the drafts: what is whole, and remember what is not."""
        self._need_to_write()
        return self._draft.stored()

    def committed(self) -> Index:
        """Return what the index in the draft says; empty if there is none."""
        self._draft.list_once()
        return self._draft.committed

    def room(self, puts: Sequence[Entry] = (), *, grow: bool = False) -> Room:
        """Ask the account for its quota, and count the files of the articles."""
        self._need_to_write()
        self._draft.list_once()
        return self._draft.room(puts, grow=grow)

    def grow(self, puts: Sequence[Entry]) -> Mapping[str, Any]:
        """Make the further articles that these files need, and return what the configuration is to say of them."""
        from onelight.kinds.figshare.creating import make_part

        self._need_to_write()
        made = self._draft.grow(puts, lambda: make_part(self._reader.first, self._numbers))
        return {"articles": self._numbers} if made else {}

    def put(self, entry: Entry, path: Path | Pack, progress: Callable[[int], None]) -> Entry:
        """Send one file, and wait until figshare has checked it."""
        return self.send(entry, path, progress)()

    def send(self, entry: Entry, path: Path | Pack, progress: Callable[[int], None]) -> Callable[[], Entry]:
        """Send one file in the parts that figshare asks for; what is returned waits for its checksum."""
        self._need_to_write()
        return self._draft.send(entry, path, progress)

    def delete(self, entry: Entry) -> None:
        """Remove the file that an entry points to."""
        self._need_to_write()
        self._draft.delete(entry)

    def leftovers(self, continued: Sequence[Entry] = ()) -> list[Leftover]:
        """Return what broken runs have left in the drafts; nothing of it is public."""
        self._need_to_write()
        self._draft.list_once()
        return self._draft.leftovers(continued)

    def clean(self, leftovers: Sequence[Leftover]) -> None:
        """Remove leftovers."""
        self._need_to_write()
        self._draft.clean(leftovers)

    def write_index(self, index: Index, facts: Facts | None = None) -> bool:
        """Send ``.one_root``, and then remove the older one and every file that the new one replaces."""
        self._need_to_write()
        return self._draft.write_index(index, facts)

    @property
    def _draft(self) -> Draft:
        """What writes, made when it is first wanted: whoever reads imports none of it."""
        with self._lock:
            if self._writes is None:
                from onelight.kinds.figshare.draft import Draft

                self._writes = Draft(self._reader, self.name, self._patience, layout=self._layout, limit=self._limit)
            return self._writes

    def _need_to_write(self) -> None:
        if self._reader.version is not None:
            raise ReadOnlyRepository(
                f"the repository '{self.name}' is pinned to version {self._reader.version}, which never changes",
                hint="Take 'version' out of the configuration to work on the draft",
            )
        if not self._api.token:
            raise AccessDenied(
                f"the repository '{self.name}' has no token, so that it can only be read", hint=HOW_TO_SIGN_IN
            )

    # Publishing

    def published(self) -> Index | None:
        """Return what the public sees, None if nothing was published."""
        reader = Reader([Article(self._api.anonymous(), article.number) for article in self._reader.articles])
        try:
            view = reader.public_view()
        except NotFound:
            return None
        remarks: list[str] = []
        files = reader.first.list_files(view.path, remarks)
        reason = why_no_files(view.record, reader.first.page) if not files else None
        if reason is not None:  # an embargo, for example, which the owner knows of
            log.warning("%s", reason.message)
            return Index((), [reason.message])
        entries, remarks = reader.index_of(view, files, remarks)
        return Index.build(entries, remarks, facts=self.facts(f"version {view.version}"))

    @property
    def _publisher(self) -> Publisher:
        from onelight.kinds.figshare.publishing import Publisher

        return Publisher(self._reader, self._draft)

    def missing_for_publication(self) -> list[str]:
        """Ask for the drafts and compare them with what figshare wants before it publishes."""
        self._need_to_write()
        return self._publisher.missing()

    def publish(self) -> Publication:
        """Publish the drafts and wait until the public version answers."""
        missing = self.missing_for_publication()
        if missing:
            raise RepositoryError(
                f"the article is not ready to be published; it still needs {', '.join(missing)}",
                hint="Nothing was published. `onelight metadata push` sets what an article says of itself; its page is "
                + self.address,
            )
        return self._publisher.publish()

    # What it says of itself

    def record(self) -> Mapping[str, Any]:
        """Return what figshare says of the article: of the draft for its owner, of the public version for others."""
        if self._api.token and self._reader.version is None:
            try:
                return self._api.record(self._reader.first.own)
            except (AccessDenied, NotFound):
                return self._reader.public_view().record
        return self._reader.public_view().record

    def description(self) -> Description:
        """Return title, description, authors and so on, as figshare has them."""
        from onelight.kinds.figshare.creating import described

        return described(self.record(), self._numbers)

    def unpublished(self) -> list[Difference]:
        """Return what the draft says of itself otherwise than the public version; empty if nothing was published."""
        from onelight.description import differences
        from onelight.kinds.figshare.creating import described

        try:
            public = self._api.record(self._reader.first.public)
        except NotFound:
            return []
        return differences(described(self.record(), self._numbers), described(public, self._numbers))

    def compare_description(self, description: Description) -> list[Difference]:
        """Return in which fields the draft says something else."""
        from onelight.kinds.figshare.creating import compare

        self._need_to_write()
        return compare(self._reader.first, description, self._numbers)

    def set_description(self, description: Description, *, how_to_download: bool = False) -> list[str]:
        """Change what differs in the draft; return the names of these fields."""
        from onelight.kinds.figshare.creating import describe, describe_parts

        self._need_to_write()
        self._reader.discover()
        changed = describe(
            self._reader.first, description, self._numbers, name=self.name, how_to_download=how_to_download
        )
        describe_parts(self._reader.articles)
        return changed

    @property
    def articles(self) -> list[str]:
        """The pages of all articles, that with the index first."""
        return [article.page for article in self._reader.articles]

    @property
    def _numbers(self) -> list[int]:
        return [article.number for article in self._reader.articles]

    def choices(self, field: str) -> list[str]:
        """Return the categories or the licences that the account may use; those of figshare without one."""
        from onelight.kinds.figshare.creating import vocabulary
        from onelight.kinds.figshare.metadata import category_names

        categories, licenses = vocabulary(self._api)
        if field == "categories":
            return category_names(categories)
        return [str(item.get("name") or item.get("value")) for item in licenses]

    def reserve_doi(self) -> str:
        """Return the DOI that the first version will have."""
        from onelight.kinds.figshare.creating import reserve_doi

        self._need_to_write()
        return reserve_doi(self._reader.first)

    def cite(self) -> Citation:
        """Return how the article is cited."""
        from onelight.kinds.figshare.citation import bibtex, citation

        try:  # what others can look up: a draft may say something else by now
            record = self._reader.public_view().record
        except NotFound:
            record = dict(self.record())
        return Citation(citation(record), bibtex(record))
