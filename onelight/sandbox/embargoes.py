"""Embargo and confidentiality, as the owner sets them and as everybody reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from onelight.sandbox.answers import bad_request, json_answer, read_json, updated
from onelight.sandbox.context import Address, Context
from onelight.sandbox.drafts import own_article, own_article_id
from onelight.sandbox.fields import must_be
from onelight.sandbox.restrictions import EMBARGO, KNOWN, WAITS, check_embargo, confidentiality, embargo, keep

if TYPE_CHECKING:
    from starlette.requests import Request


class Restrictions:
    """Embargo and confidentiality of the owner's articles."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def addresses(self) -> list[Address]:
        """Return the addresses, below an article's."""
        private = self.ctx.private
        return [
            Address("GET", "/embargo", private(self.embargo)),
            Address("PUT", "/embargo", private(self.set_embargo)),
            Address("DELETE", "/embargo", private(self.end_embargo)),
            Address("GET", "/confidentiality", private(self.confidentiality)),
            Address("PUT", "/confidentiality", private(self.set_confidentiality)),
            Address("DELETE", "/confidentiality", private(self.end_confidentiality)),
        ]

    async def embargo(self, request: Request) -> Response:
        """Show the embargo ("ArticleEmbargo")."""
        return json_answer(embargo(own_article(self.ctx, request).shows))

    async def set_embargo(self, request: Request) -> Response:
        """Set an embargo ("ArticleEmbargoUpdater"); one of the whole article lets publication wait for its end."""
        said = await read_json(request)
        for name in ("is_embargoed", "embargo_date", "embargo_type"):
            if name not in said:
                raise bad_request(f"{name!r} is a required property")
        said = {name: value for name, value in said.items() if name in EMBARGO}
        for name, value in said.items():
            must_be(name, value, KNOWN[name])
        for option in said.get("embargo_options", ()):
            must_be("embargo_options", option, dict)
        check_embargo(said)
        return self._change(request, EMBARGO, {**said, WAITS: said["embargo_type"] == "article"}, "embargo")

    async def end_embargo(self, request: Request) -> Response:
        """End the embargo."""
        self._change(request, (*EMBARGO, WAITS), {}, "embargo")
        return Response(status_code=204)

    async def confidentiality(self, request: Request) -> Response:
        """Show whether the article is confidential ("ArticleConfidentiality")."""
        return json_answer(_as_asked(own_article(self.ctx, request).shows))

    async def set_confidentiality(self, request: Request) -> Response:
        """Make the article confidential ("ConfidentialityCreator")."""
        reason = (await read_json(request)).get("reason")
        must_be("reason", reason, str)
        said = {"is_confidential": True, "confidential_reason": reason}
        return self._change(request, (), said, "confidentiality")

    async def end_confidentiality(self, request: Request) -> Response:
        """Make the article confidential no longer."""
        self._change(request, ("is_confidential", "confidential_reason"), {}, "confidentiality")
        return Response(status_code=204)

    def _change(self, request: Request, without: tuple[str, ...], said: dict[str, Any], what: str) -> Response:
        article_id = own_article_id(self.ctx, request)
        before = json.loads(self.ctx.state.value("SELECT shows FROM articles WHERE id = ?", article_id))
        kept = {name: value for name, value in before.items() if name not in without}
        keep(self.ctx, article_id, {**kept, **said})
        return updated(self.ctx.settings, f"{self.ctx.origins.own_article(article_id)}/{what}")


def _as_asked(shows: dict[str, Any]) -> dict[str, Any]:
    found = confidentiality(shows)
    return {"is_confidential": found["is_confidential"], "reason": found["confidential_reason"]}


def public_answer(shows: dict[str, Any], what: str) -> Response:
    """Show one of the two for a published version."""
    return json_answer(embargo(shows) if what == "embargo" else _as_asked(shows))
