"""Authors and categories of an article."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from onelight.sandbox.accounts import author
from onelight.sandbox.answers import bad_request, json_answer, not_found, read_json, unprocessable, updated
from onelight.sandbox.context import Address, Context
from onelight.sandbox.drafts import change, own_article
from onelight.sandbox.fields import allowed_category, must_be
from onelight.sandbox.records import category_records
from onelight.sandbox.state import packed

if TYPE_CHECKING:
    from starlette.requests import Request


def resolved(ctx: Context, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return authors as they are stored; one given by name is new each time, as on figshare.

    Parameters
    ----------
    ctx : Context
        The sandbox.
    given : list of dict
        Each with `id`, which takes priority, or with `name`, or with `first_name` and `last_name`.
    """
    return [_resolve(ctx, item) for item in given]


def _resolve(ctx: Context, item: dict[str, Any]) -> dict[str, Any]:
    if "id" in item:
        return _known(ctx, item["id"])
    if "email" in item and not ctx.settings.author_email:
        raise unprocessable("authors: 'email' is not allowed")
    for name in ("name", "first_name", "last_name", "orcid_id", "email"):
        if name in item:
            must_be(f"authors: {name}", item[name], str)
    first, _, last = item.get("name", "").strip().rpartition(" ")
    first, last = item.get("first_name", first), item.get("last_name", last)
    if not f"{first}{last}".strip():
        raise bad_request("authors: 'name' is a required property")
    number = ctx.state.insert("INSERT INTO authors (fields) VALUES ('')")
    record = author(number, first, last, item.get("orcid_id", ""))
    ctx.state.run("UPDATE authors SET fields = ? WHERE id = ?", packed(record), number)
    return record


def _known(ctx: Context, number: object) -> dict[str, Any]:
    must_be("authors: id", number, int)
    account = ctx.accounts.by_id(number) if isinstance(number, int) else None
    if account is not None:
        return account.as_author()
    fields = ctx.state.value("SELECT fields FROM authors WHERE id = ?", number)
    if fields is None:
        raise not_found("Author")
    record: dict[str, Any] = json.loads(fields)
    return record


class Details:
    """The parts of an article that have addresses of their own."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def addresses(self) -> list[Address]:
        """Return the addresses, below an article's."""
        private = self.ctx.private
        return [
            Address("GET", "/authors", private(self.authors)),
            Address("PUT POST", "/authors", private(self.set_authors)),
            Address("DELETE", "/authors/{author_id:int}", private(self.remove_author)),
            Address("GET", "/categories", private(self.categories)),
            Address("PUT POST", "/categories", private(self.set_categories)),
            Address("DELETE", "/categories/{category_id:int}", private(self.remove_category)),
        ]

    async def authors(self, request: Request) -> Response:
        """List the authors."""
        return json_answer(own_article(self.ctx, request).fields["authors"])

    async def set_authors(self, request: Request) -> Response:
        """Replace the authors (PUT) or add some (POST)."""
        given = (await read_json(request)).get("authors")
        must_be("authors", given, list)
        for item in given or ():
            must_be("authors", item, dict)
        article = own_article(self.ctx, request)
        before = article.fields["authors"] if request.method == "POST" else []
        with self.ctx.state.transaction():
            change(self.ctx, article.id, {"authors": [*before, *resolved(self.ctx, given or [])]})
        return updated(self.ctx.settings, f"{self.ctx.origins.own_article(article.id)}/authors")

    async def remove_author(self, request: Request) -> Response:
        """Remove one author."""
        article = own_article(self.ctx, request)
        before = article.fields["authors"]
        after = [item for item in before if item["id"] != request.path_params["author_id"]]
        if len(after) == len(before):
            raise not_found("Author")
        change(self.ctx, article.id, {"authors": after})
        return Response(status_code=204)

    async def categories(self, request: Request) -> Response:
        """List the categories."""
        chosen = own_article(self.ctx, request).fields["categories"]
        return json_answer(category_records(self.ctx, chosen))

    async def set_categories(self, request: Request) -> Response:
        """Replace the categories (PUT) or add some (POST)."""
        given = (await read_json(request)).get("categories")
        must_be("categories", given, list)
        for number in given or ():
            must_be("categories", number, int)
            allowed_category(number, self.ctx.settings)
        article = own_article(self.ctx, request)
        before = article.fields["categories"] if request.method == "POST" else []
        change(self.ctx, article.id, {"categories": list(dict.fromkeys([*before, *(given or [])]))})
        return updated(self.ctx.settings, f"{self.ctx.origins.own_article(article.id)}/categories")

    async def remove_category(self, request: Request) -> Response:
        """Remove one category."""
        article = own_article(self.ctx, request)
        before = article.fields["categories"]
        if request.path_params["category_id"] not in before:
            raise not_found("Category")
        change(self.ctx, article.id, {"categories": [n for n in before if n != request.path_params["category_id"]]})
        return Response(status_code=204)
