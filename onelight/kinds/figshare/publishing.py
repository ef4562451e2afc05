"""Publication: what must be there first, the step that cannot be undone, and what the public sees afterwards."""

from __future__ import annotations

import time
from typing import Any

from onelight.errors import NotFound, RepositoryError, Unreachable
from onelight.index import INDEX_NAME, Index
from onelight.kinds.figshare.api import as_documented, is_conflict
from onelight.kinds.figshare.article import Article
from onelight.kinds.figshare.draft import Draft
from onelight.kinds.figshare.metadata import missing_for_publication as missing_fields
from onelight.kinds.figshare.reading import Reader
from onelight.pack import is_pack
from onelight.repository import Publication

#: Seconds that the public view of an article may lag behind its publication.
_LAG = 60.0


class Publisher:
    """Publishes the articles of one repository.

    Parameters
    ----------
    reader : Reader
        Reads them.
    draft : Draft
        Their owner's view.
    """

    def __init__(self, reader: Reader, draft: Draft) -> None:
        self._reader = reader
        self._draft = draft
        self._api = reader.api

    def missing(self) -> list[str]:
        """Ask for the drafts and compare them with what figshare wants before it publishes."""
        found: list[str] = []
        stored = self._draft.stored()
        files = self._draft.files
        for article in self._reader.articles:
            if article is not self._reader.first and not self._draft.holds(article):
                continue
            where = "" if article is self._reader.first else f" (article {article.number})"
            found += [f"{what}{where}" for what in missing_fields(self._api.record(article.own))]
        if not any(file.whole for file in files):
            found.append("a file")
        unfinished = sum(not file.whole for file in files)
        if unfinished:
            found.append(
                f"the rest of {unfinished} half-uploaded file{'s' if unfinished > 1 else ''} (run `onelight upload`"
                " again, or with --clean to remove what nobody goes on with)"
            )
        return found + self._missing_from_index(stored)

    def _missing_from_index(self, stored: Index) -> list[str]:
        """Say whether the index in the draft is that of the files in the draft: what is published stays for ever."""
        again = "the upload is not finished (run `onelight upload` again)"
        if stored.remarks:
            return [f"an {INDEX_NAME} that can be read (run `onelight upload` again)"]
        left = self._draft.uncommitted()
        if left and not self._draft.has_index:
            return [f"{INDEX_NAME}, the index: {again}"]
        unknown = sum(is_pack(entry.path) for entry in stored)
        if unknown:
            return [f"what is in {unknown} packed sessions, which no reader would know (send them again)"]
        gone = self._draft.dangling()
        if gone:
            return [f"{len(gone)} files that the index names, such as {gone[0]} (run `onelight upload` again)"]
        return [f"{left} files in the index: {again}"] if left else []

    def publish(self) -> Publication:
        """Publish every article, that with the index last, and wait until the public version answers."""
        *others, first = reversed(self._reader.articles)
        for article in others:
            if self._draft.holds(article):  # figshare publishes none without files
                self._publish_once(article)
        self._publish_once(first)
        record = self._wait_for(first)
        with as_documented(self._api.url):
            return Publication(
                address=str(record.get("figshare_url") or record.get("url_public_html") or first.page),
                version=int(record["version"]) if record.get("version") else None,
                doi=str(record.get("doi") or ""),
                is_visible=bool(record),
            )

    def _wait_for(self, article: Article) -> dict[str, Any]:
        """Return the public record of what was published; empty if it does not show in time."""
        wanted = self._version(article)
        end = time.monotonic() + _LAG
        while True:
            try:
                record = self._api.record(article.public)
                if int(record.get("version") or 0) >= wanted[0]:
                    return record
            except NotFound:  # the public view lags behind by some seconds
                pass
            if time.monotonic() > end:
                return {}
            self._api.client.wait(0.5)

    def _publish_once(self, article: Article) -> None:
        """Publish, and never a second time: where the answer is lost, the article says whether it was done."""
        before = self._version(article)
        try:
            self._api.call("POST", f"{article.own}/publish")
        except Unreachable as error:
            if is_conflict(error):
                raise RepositoryError(
                    f"figshare cannot publish article {article.number} now: {error.message}",
                    hint="Is somebody else publishing it? Look at its page, and try again when that has ended",
                ) from error
            self._api.client.pause(error, 1)
            if self._version(article) == before:
                raise

    def _version(self, article: Article) -> tuple[int, str]:
        """Return which version of the article is published, and since when."""
        record = self._api.record(article.own)
        with as_documented(self._api.url):
            return int(record.get("version") or 0), str(record.get("published_date") or "")
