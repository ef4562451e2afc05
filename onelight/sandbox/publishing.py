"""Publication of an article, and what the public sees of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from onelight.sandbox.answers import bad_request, json_answer, not_found, paging
from onelight.sandbox.context import Address, Context
from onelight.sandbox.drafts import own_article
from onelight.sandbox.records import (
    DOI,
    STORED,
    Shown,
    article_record,
    complete_record,
    file_record,
    files_of,
    published,
)
from onelight.sandbox.state import now_ms, packed

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request
    from starlette.responses import Response


class Publishing:
    """The step that cannot be undone."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def addresses(self) -> list[Address]:
        """Return the addresses, below an article's."""
        private = self.ctx.private
        return [
            Address("POST", "/publish", private(self.publish)),
            Address("POST", "/reserve_doi", private(self.reserve_doi)),
        ]

    async def reserve_doi(self, request: Request) -> Response:
        """Give the article the DOI that its first version will have."""
        article = own_article(self.ctx, request)
        doi = article.doi or DOI.format(article_id=article.id, version=1)
        self.ctx.state.run("UPDATE articles SET doi = ? WHERE id = ?", doi, article.id)
        return json_answer({"doi": doi})

    async def publish(self, request: Request) -> Response:
        """Publish the draft: as a new version, or in place of the last when nothing that counts has changed."""
        article = own_article(self.ctx, request)
        files = self.ctx.state.rows(
            "SELECT id, status FROM files WHERE article_id = ? AND attached = 1 ORDER BY id", article.id
        )
        self._require(article, any(row["status"] == "available" for row in files))
        stored = [row["id"] for row in files if row["status"] in STORED]
        with self.ctx.state.transaction():
            self._publish(article, stored)
        self.ctx.usage.forget()
        location = self.ctx.origins.article(article.id)
        return json_answer({"location": location}, 201, location=location)

    def _require(self, article: Shown, has_file: bool) -> None:
        there = {**article.fields, "files": has_file or article.fields["is_metadata_record"]}
        for name in self.ctx.settings.publish_requires:
            value = there[name]
            if not (value.strip() if isinstance(value, str) else value):
                raise bad_request(f"Missing mandatory field for publication - {name}")

    def _publish(self, article: Shown, files: list[int]) -> None:
        state = self.ctx.state
        last = state.row("SELECT * FROM versions WHERE article_id = ? ORDER BY version DESC LIMIT 1", article.id)
        if last is not None and not self._is_new(article, files, last):
            state.run(
                "UPDATE versions SET fields = ? WHERE article_id = ? AND version = ?",
                packed(article.fields),
                article.id,
                last["version"],
            )
            return
        version, now = 1 if last is None else last["version"] + 1, now_ms()
        visible = now + self.ctx.settings.publish_lag_ms
        state.run(
            "INSERT INTO versions VALUES (?, ?, ?, ?, ?)", article.id, version, now, visible, packed(article.fields)
        )
        for file_id in files:
            state.run("INSERT INTO version_files VALUES (?, ?, ?)", article.id, version, file_id)
            state.run("UPDATE files SET public = 1 WHERE id = ?", file_id)

    def _is_new(self, article: Shown, files: list[int], last: sqlite3.Row) -> bool:
        rows = self.ctx.state.rows(
            "SELECT file_id FROM version_files WHERE article_id = ? AND version = ? ORDER BY file_id",
            article.id,
            last["version"],
        )
        before = {**json.loads(last["fields"]), "files": [row["file_id"] for row in rows]}
        after: dict[str, Any] = {**article.fields, "files": files}
        return any(before[name] != after[name] for name in self.ctx.settings.version_fields)


class Public:
    """Published articles, for everybody."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def addresses(self) -> list[Address]:
        """Return the addresses, below `/v2/articles`."""
        return [
            Address("GET", "", self.list_all),
            Address("GET", "/{article_id:int}", self.get),
            Address("GET", "/{article_id:int}/files", self.files),
            Address("GET", "/{article_id:int}/files/{file_id:int}", self.file),
            Address("GET", "/{article_id:int}/versions", self.versions),
            Address("GET", "/{article_id:int}/versions/{version:int}", self.get),
            Address("GET", "/{article_id:int}/versions/{version:int}/files", self.files),
        ]

    async def list_all(self, request: Request) -> Response:
        """List the articles, last published first; `doi` finds the one that has it, in any version."""
        doi = request.query_params.get("doi", "")
        now = now_ms()
        rows = self.ctx.state.rows(
            _LATEST, now, now, doi, doi, DOI.partition("{")[0], *paging(request, self.ctx.settings)
        )
        return json_answer([article_record(self.ctx, published(row)) for row in rows])

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
        rows = files_of(self.ctx, self._shown(request), *paging(request, self.ctx.settings))
        return json_answer([file_record(self.ctx, row) for row in rows])

    async def file(self, request: Request) -> Response:
        """Show one file of the last version."""
        for row in files_of(self.ctx, self._shown(request), -1):
            if row["id"] == request.path_params["file_id"]:
                return json_answer(file_record(self.ctx, row))
        raise not_found("File")

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
        return published(rows[-1])


_VERSIONS = """
    SELECT v.*, a.created FROM versions v JOIN articles a ON a.id = v.article_id
    WHERE v.visible <= ? AND v.article_id = ? ORDER BY version
    """
_LATEST = """
    SELECT v.*, a.created FROM versions v JOIN articles a ON a.id = v.article_id WHERE v.visible <= ?
    AND version = (SELECT MAX(version) FROM versions w WHERE w.article_id = v.article_id AND visible <= ?)
    AND (? = '' OR EXISTS (
        SELECT 1 FROM versions w WHERE w.article_id = v.article_id AND ? = ? || w.article_id || '.v' || w.version))
    ORDER BY published DESC, a.id DESC LIMIT ? OFFSET ?
    """
