"""Publication of an article, and what the public sees of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from onelight.sandbox.answers import ApiError, bad_request, json_answer, not_found, paging, read_json
from onelight.sandbox.context import Address, Context
from onelight.sandbox.drafts import own_article
from onelight.sandbox.embargoes import public_answer
from onelight.sandbox.fields import must_be
from onelight.sandbox.records import (
    STORED,
    Shown,
    article_record,
    complete_record,
    doi_of,
    draft,
    file_record,
    files_of,
    published,
    searched_record,
)
from onelight.sandbox.restrictions import hides_files, mark, waits_until
from onelight.sandbox.searching import asked_in_body, found, is_indexed
from onelight.sandbox.state import now_ms, packed

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request


SHORTEST_REASON, LONGEST_REASON = 5, 500


class Publishing:
    """The step that cannot be undone."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def addresses(self) -> list[Address]:
        """Return the addresses, below an article's."""
        private = self.ctx.private
        return [
            Address("POST", "/publish", private(self.publish)),
            Address("POST", "/unpublish", private(self.unpublish)),
            Address("POST", "/reserve_doi", private(self.reserve_doi)),
        ]

    async def reserve_doi(self, request: Request) -> Response:
        """Give the article the DOI that its first version will have."""
        article = own_article(self.ctx, request)
        doi = article.doi or doi_of(self.ctx, article.shows, article.id, 1)
        self.ctx.state.run("UPDATE articles SET doi = ? WHERE id = ?", doi, article.id)
        return json_answer({"doi": doi})

    async def publish(self, request: Request) -> Response:
        """Publish the draft: as a new version, or in place of the last when nothing that counts has changed.

        With a review, this only submits it; :func:`approve` publishes.
        """
        article = own_article(self.ctx, request)
        files = _files(self.ctx, article.id)
        self._require(article, any(row["status"] == "available" for row in files))
        if self.ctx.settings.review:
            mark(self.ctx, article.id, {"curation_status": "pending"})
        else:
            _publish(self.ctx, article, files)
        location = self.ctx.origins.article(article.id)
        return json_answer({"location": location}, 201, location=location)

    async def unpublish(self, request: Request) -> Response:
        """Make the article a draft again; an ordinary account may not."""
        reason = (await read_json(request)).get("reason")
        must_be("reason", reason, str)
        if not isinstance(reason, str) or not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
            raise bad_request(f"reason: {reason!r} is too short or too long")
        article = own_article(self.ctx, request)
        if not self.ctx.settings.unpublish:
            raise ApiError(403, "Forbidden", "Insufficient permissions")
        with self.ctx.state.transaction():
            self.ctx.state.run("DELETE FROM versions WHERE article_id = ?", article.id)
            self.ctx.state.run("UPDATE files SET public = 0 WHERE article_id = ?", article.id)
        self.ctx.usage.forget()
        return Response(status_code=204)

    def _require(self, article: Shown, has_file: bool) -> None:
        there = {**article.fields, "files": has_file or article.fields["is_metadata_record"]}
        for name in self.ctx.settings.publish_requires:
            value = there[name]
            if not (value.strip() if isinstance(value, str) else value):
                raise bad_request(f"Missing mandatory field for publication - {name}")


def approve(ctx: Context, article_id: int) -> None:
    """Publish an article that was submitted, as a reviewer does."""
    row = ctx.state.row("SELECT * FROM articles WHERE id = ?", article_id)
    if row is None:
        raise not_found("Article")
    _publish(ctx, draft(ctx, row), _files(ctx, article_id))


def _files(ctx: Context, article_id: int) -> list[sqlite3.Row]:
    return ctx.state.rows("SELECT id, status FROM files WHERE article_id = ? AND attached = 1 ORDER BY id", article_id)


def _publish(ctx: Context, article: Shown, files: list[sqlite3.Row]) -> None:
    stored = [row["id"] for row in files if row["status"] in STORED]
    with ctx.state.transaction():
        _write(ctx, article, stored)
    ctx.usage.forget()


def _write(ctx: Context, article: Shown, files: list[int]) -> None:
    """Write down what is published, in a transaction."""
    state = ctx.state
    last = state.row("SELECT * FROM versions WHERE article_id = ? ORDER BY version DESC LIMIT 1", article.id)
    if last is not None and not _is_new(ctx, article, files, last):
        state.run(
            "UPDATE versions SET fields = ? WHERE article_id = ? AND version = ?",
            packed(article.fields),
            article.id,
            last["version"],
        )
        return
    version, now = 1 if last is None else last["version"] + 1, now_ms()
    visible = max(now + ctx.settings.publish_lag_ms, waits_until(article.shows))
    state.run("INSERT INTO versions VALUES (?, ?, ?, ?, ?)", article.id, version, now, visible, packed(article.fields))
    for file_id in files:
        state.run("INSERT INTO version_files VALUES (?, ?, ?)", article.id, version, file_id)
        state.run("UPDATE files SET public = 1 WHERE id = ?", file_id)


def _is_new(ctx: Context, article: Shown, files: list[int], last: sqlite3.Row) -> bool:
    rows = ctx.state.rows(
        "SELECT file_id FROM version_files WHERE article_id = ? AND version = ? ORDER BY file_id",
        article.id,
        last["version"],
    )
    before = {**json.loads(last["fields"]), "files": [row["file_id"] for row in rows]}
    after: dict[str, Any] = {**article.fields, "files": files}
    return any(before[name] != after[name] for name in ctx.settings.version_fields)


class Public:
    """Published articles, for everybody."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def addresses(self) -> list[Address]:
        """Return the addresses, below `/v2/articles`."""
        return [
            Address("GET", "", self.list_all),
            Address("POST", "/search", self.search),
            Address("GET", "/{article_id:int}", self.get),
            Address("GET", "/{article_id:int}/files", self.files),
            Address("GET", "/{article_id:int}/files/{file_id:int}", self.file),
            Address("GET", "/{article_id:int}/versions", self.versions),
            Address("GET", "/{article_id:int}/versions/{version:int}", self.get),
            Address("GET", "/{article_id:int}/versions/{version:int}/files", self.files),
            Address("GET", "/{article_id:int}/versions/{version:int}/embargo", self.embargo),
            Address("GET", "/{article_id:int}/versions/{version:int}/confidentiality", self.confidentiality),
        ]

    async def list_all(self, request: Request) -> Response:
        """List the articles, last published first; `doi` finds the one that has it, in any version."""
        asked = dict(request.query_params.items())
        chosen = found(self.ctx, self._all(), asked, "published_date")
        return json_answer([article_record(self.ctx, shown) for shown in chosen])

    async def search(self, request: Request) -> Response:
        """Search the articles, as a body says ("ArticleSearch")."""
        asked = asked_in_body(await read_json(request, default={}))
        known = [shown for shown in self._all() if is_indexed(self.ctx, shown)]
        chosen = found(self.ctx, known, asked, "created_date")
        return json_answer([searched_record(self.ctx, shown) for shown in chosen])

    def _all(self) -> list[Shown]:
        now = now_ms()
        return [published(self.ctx, row) for row in self.ctx.state.rows(_LATEST, now, now)]

    async def get(self, request: Request) -> Response:
        """Show one, as of its last version or of the version asked for."""
        return json_answer(complete_record(self.ctx, self._shown(request)))

    async def versions(self, request: Request) -> Response:
        """List the versions."""
        shown = self._shown(request)
        address = f"{self.ctx.origins.article(shown.id)}/versions"
        rows = self._visible(shown.id)
        return json_answer([{"version": row["version"], "url": f"{address}/{row['version']}"} for row in rows])

    async def files(self, request: Request) -> Response:
        """List the files of the last version, or of the version asked for."""
        shown, page = self._shown(request), paging(request, self.ctx.settings)
        rows = [] if hides_files(shown.shows) else files_of(self.ctx, shown, *page)
        return json_answer([file_record(self.ctx, row) for row in rows])

    async def file(self, request: Request) -> Response:
        """Show one file of the last version."""
        shown = self._shown(request)
        for row in [] if hides_files(shown.shows) else files_of(self.ctx, shown, -1):
            if row["id"] == request.path_params["file_id"]:
                return json_answer(file_record(self.ctx, row))
        raise not_found("File")

    async def embargo(self, request: Request) -> Response:
        """Show the embargo of a version."""
        return public_answer(self._shown(request).shows, "embargo")

    async def confidentiality(self, request: Request) -> Response:
        """Show whether a version is confidential."""
        return public_answer(self._shown(request).shows, "confidentiality")

    def _visible(self, article_id: int) -> list[sqlite3.Row]:
        return self.ctx.state.rows(_VERSIONS, now_ms(), article_id)

    def _shown(self, request: Request) -> Shown:
        rows = self._visible(request.path_params["article_id"])
        if "version" in request.path_params:
            rows = [row for row in rows if row["version"] == request.path_params["version"]]
            if not rows:
                raise not_found("ArticleVersion")
        if not rows:
            raise not_found("Article")
        return published(self.ctx, rows[-1])


_VERSIONS = """
    SELECT v.*, a.created, a.account_id, a.shows FROM versions v JOIN articles a ON a.id = v.article_id
    WHERE v.visible <= ? AND v.article_id = ? ORDER BY version
    """
_LATEST = """
    SELECT v.*, a.created, a.account_id, a.shows FROM versions v JOIN articles a ON a.id = v.article_id
    WHERE v.visible <= ?
    AND version = (SELECT MAX(version) FROM versions w WHERE w.article_id = v.article_id AND visible <= ?)
    """
