"""Articles as their owner sees them: list, create, read, change, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from onelight.sandbox.answers import ApiError, bad_request, json_answer, paging, read_json, updated
from onelight.sandbox.authors import resolved
from onelight.sandbox.context import Address, Context, asking
from onelight.sandbox.drafts import change, create, own_article, own_article_id
from onelight.sandbox.fields import cleaned
from onelight.sandbox.records import article_record, complete_record, draft, searched_record
from onelight.sandbox.searching import asked_in_body, found, is_indexed

if TYPE_CHECKING:
    from starlette.requests import Request


class Articles:
    """The owner's articles."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def addresses(self) -> list[Address]:
        """Return the addresses, below `/v2/account/articles`."""
        private = self.ctx.private
        return [
            Address("GET", "", private(self.list_all)),
            Address("POST", "", private(self.create)),
            Address("POST", "/search", private(self.search)),
            Address("GET", "/{article_id:int}", private(self.get)),
            Address("PUT PATCH", "/{article_id:int}", private(self.update)),
            Address("DELETE", "/{article_id:int}", private(self.delete)),
        ]

    async def list_all(self, request: Request) -> Response:
        """List the articles, newest first."""
        rows = self.ctx.state.rows(
            "SELECT * FROM articles WHERE account_id = ? ORDER BY id DESC LIMIT ? OFFSET ?",
            asking(request).id,
            *paging(request, self.ctx.settings),
        )
        return json_answer([article_record(self.ctx, draft(self.ctx, row)) for row in rows])

    async def search(self, request: Request) -> Response:
        """Search the articles, as a body says ("PrivateArticleSearch")."""
        asked = asked_in_body(await read_json(request, default={}))
        rows = self.ctx.state.rows("SELECT * FROM articles WHERE account_id = ?", asking(request).id)
        known = [shown for shown in (draft(self.ctx, row) for row in rows) if is_indexed(self.ctx, shown)]
        chosen = found(self.ctx, known, asked, "created_date")
        return json_answer([searched_record(self.ctx, shown) for shown in chosen])

    async def create(self, request: Request) -> Response:
        """Make a draft; its owner becomes an author, before those that the request names (support ticket 438719)."""
        fields = cleaned(await read_json(request), self.ctx.settings)
        if "title" not in fields:
            raise bad_request("'title' is a required property")
        account = asking(request)
        owner = [account.as_author()] if self.ctx.settings.owner_is_author else []
        with self.ctx.state.transaction():
            fields["authors"] = [*owner, *resolved(self.ctx, fields.get("authors", []))]
            article_id = create(self.ctx, account.id, fields)
        location = self.ctx.origins.own_article(article_id)
        number = {"entity_id": article_id} if self.ctx.settings.entity_id else {}
        return json_answer(
            {**number, "location": location, "warnings": []},
            201,
            location=location,
            as_html=self.ctx.settings.json_as_html,
        )

    async def get(self, request: Request) -> Response:
        """Show one."""
        return json_answer(complete_record(self.ctx, own_article(self.ctx, request)))

    async def update(self, request: Request) -> Response:
        """Change some fields; PUT leaves the others alone like PATCH, which clients rely on."""
        fields = cleaned(await read_json(request), self.ctx.settings)
        article_id = own_article_id(self.ctx, request)
        with self.ctx.state.transaction():
            if "authors" in fields:
                fields["authors"] = resolved(self.ctx, fields["authors"])
            change(self.ctx, article_id, fields)
        return updated(self.ctx.settings, self.ctx.origins.own_article(article_id))

    async def delete(self, request: Request) -> Response:
        """Delete a draft with its files; what was published stays."""
        article_id = own_article_id(self.ctx, request)
        is_published = self.ctx.state.value("SELECT 1 FROM versions WHERE article_id = ?", article_id)
        if is_published and not self.ctx.settings.delete_published:
            raise ApiError(403, "Forbidden", "Insufficient permissions")
        files = self.ctx.state.rows("SELECT id FROM files WHERE article_id = ?", article_id)
        self.ctx.state.run("DELETE FROM articles WHERE id = ?", article_id)
        self.ctx.usage.forget()
        for row in files:
            self.ctx.state.blob(row["id"]).unlink(missing_ok=True)
        return Response(status_code=204)
