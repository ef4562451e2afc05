"""Private links: addresses that open an unpublished article to whoever has them."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from onelight.sandbox.answers import bad_request, json_answer, not_found, read_json, updated
from onelight.sandbox.context import Address, Context
from onelight.sandbox.drafts import own_article_id
from onelight.sandbox.fields import must_be

if TYPE_CHECKING:
    from starlette.requests import Request


LIFETIME = timedelta(days=365)


def opens(ctx: Context, token: str, article_id: int) -> bool:
    """Tell whether a private link opens an article, today."""
    if not token or not ctx.settings.private_links:
        return False
    expires = ctx.state.value("SELECT expires FROM links WHERE token = ? AND article_id = ?", token, article_id)
    return expires is not None and _now().isoformat() < expires


def _now() -> datetime:
    return datetime.now(tz=timezone.utc).replace(tzinfo=None, microsecond=0)


class PrivateLinks:
    """The private links of an article."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def addresses(self) -> list[Address]:
        """Return the addresses, below an article's."""
        private = self.ctx.private
        return [
            Address("GET", "/private_links", private(self.list_all)),
            Address("POST", "/private_links", private(self.create)),
            Address("PUT", "/private_links/{link_id}", private(self.update)),
            Address("DELETE", "/private_links/{link_id}", private(self.delete)),
        ]

    async def list_all(self, request: Request) -> Response:
        """List the links, of which there is at most one."""
        rows = self.ctx.state.rows("SELECT * FROM links WHERE article_id = ?", own_article_id(self.ctx, request))
        now = _now().isoformat()
        return json_answer(
            [
                {
                    "id": row["id"],
                    "is_active": now < row["expires"],
                    "expires_date": row["expires"],
                    "html_location": self._page(row["token"]),
                }
                for row in rows
            ]
        )

    async def create(self, request: Request) -> Response:
        """Make a link; an earlier one of the same article ends (seen by RSpace)."""
        expires = _expiry(await read_json(request, default={}))
        article_id = own_article_id(self.ctx, request)
        token = secrets.token_hex(10)
        with self.ctx.state.transaction():
            self.ctx.state.run("DELETE FROM links WHERE article_id = ?", article_id)
            self.ctx.state.run(
                "INSERT INTO links VALUES (?, ?, ?, ?)", secrets.token_hex(42), article_id, token, expires
            )
        location = f"{self.ctx.origins.own_article(article_id)}/private_links/{token}"
        body = {"location": location, "html_location": self._page(token), "token": token}
        return json_answer(body, 201, location=location)

    async def update(self, request: Request) -> Response:
        """Change when a link ends."""
        expires = _expiry(await read_json(request, default={}))
        article_id, link_id = own_article_id(self.ctx, request), request.path_params["link_id"]
        done = self.ctx.state.run(
            "UPDATE links SET expires = ? WHERE article_id = ? AND ? IN (id, token)", expires, article_id, link_id
        )
        if done.rowcount == 0:
            raise not_found("PrivateLink")
        return updated(self.ctx.settings, f"{self.ctx.origins.own_article(article_id)}/private_links/{link_id}")

    async def delete(self, request: Request) -> Response:
        """End a link."""
        done = self.ctx.state.run(
            "DELETE FROM links WHERE article_id = ? AND ? IN (id, token)",
            own_article_id(self.ctx, request),
            request.path_params["link_id"],
        )
        if done.rowcount == 0:
            raise not_found("PrivateLink")
        return Response(status_code=204)

    def _page(self, token: str) -> str:
        return f"{self.ctx.origins.api}/s/{token}"


def _expiry(body: dict[str, Any]) -> str:
    if "expires_date" not in body:
        return (_now() + LIFETIME).isoformat()
    text = body["expires_date"]
    must_be("expires_date", text, str)
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None, microsecond=0).isoformat()
    except ValueError:
        raise bad_request(f"expires_date: {text!r} is not a date") from None
