"""An article as its owner edits it: finding it, changing it. Publication is another matter (publishing.py)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from onelight.sandbox.answers import not_found
from onelight.sandbox.context import asking
from onelight.sandbox.records import Shown, draft
from onelight.sandbox.state import now_ms, packed

if TYPE_CHECKING:
    from starlette.requests import Request

    from onelight.sandbox.context import Context


def own_article(ctx: Context, request: Request) -> Shown:
    """Return the article that a request of its owner names.

    Raises
    ------
    ApiError
        404 if there is none.
    """
    row = ctx.state.row(
        "SELECT * FROM articles WHERE id = ? AND account_id = ?", request.path_params["article_id"], asking(request).id
    )
    if row is None:
        raise not_found("Article")
    return draft(ctx, row)


def own_article_id(ctx: Context, request: Request) -> int:
    """Return the number of the article that a request of its owner names, if there is such an article."""
    article_id: int = request.path_params["article_id"]
    owner = ctx.state.value("SELECT account_id FROM articles WHERE id = ?", article_id)
    if owner != asking(request).id:
        raise not_found("Article")
    return article_id


def create(ctx: Context, account_id: int, fields: dict[str, Any]) -> int:
    """Add an article and return its number."""
    now = now_ms()
    return ctx.state.insert(
        "INSERT INTO articles (created, modified, fields, account_id) VALUES (?, ?, ?, ?)",
        now,
        now,
        packed(fields),
        account_id,
    )


def change(ctx: Context, article_id: int, fields: dict[str, Any]) -> None:
    """Set some fields of an article; the others stay as they are."""
    before = json.loads(ctx.state.value("SELECT fields FROM articles WHERE id = ?", article_id))
    ctx.state.run(
        "UPDATE articles SET fields = ?, modified = ? WHERE id = ?", packed({**before, **fields}), now_ms(), article_id
    )


def touch(ctx: Context, article_id: int) -> None:
    """Note that an article was changed now."""
    ctx.state.run("UPDATE articles SET modified = ? WHERE id = ?", now_ms(), article_id)
