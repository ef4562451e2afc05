"""The endpoint that controls a running sandbox: for tests and benchmarks in another process. figshare has none.

::

    GET  /control                  settings, faults, counts, accounts with their tokens
    POST /control                  {"settings": {"parts": "1MiB"}, "faults": {"5xx": 0.1}, "seed": 3,
                                    "reset_counts": true, "clear_faults": true}
    POST /control/accounts         {"name": "Ada Lovelace", "quota": 1000000, "max_files": 10}
    GET  /control/articles/{id}    what is shown of an article, its restrictions above all
    POST /control/articles/{id}    {"is_embargoed": true, "embargo_type": "file"}; null takes something back

It is on the API's port, beside `/v2`, and asks for no token, as whoever can reach it can read the tokens anyway. A web
page that happens to be open on this computer cannot: what comes with an `Origin`, or for a host that is not this
computer, is refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from onelight.sandbox.answers import ApiError, bad_request, json_answer, not_found, read_json
from onelight.sandbox.context import Address, Context, Handler
from onelight.sandbox.fields import must_be
from onelight.sandbox.publishing import approve
from onelight.sandbox.restrictions import mark
from onelight.sandbox.switches import changed, jsonable, nearest

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SAID: dict[str, type] = {"settings": dict, "faults": dict, "reset_counts": bool, "clear_faults": bool, "seed": int}
_ACCOUNT: dict[str, type] = {"name": str, "quota": int, "max_files": int}


class Control:
    """The control endpoint."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def addresses(self) -> list[Address]:
        """Return the addresses, below `/control`."""
        return [
            Address("GET", "", _local(self.show)),
            Address("POST", "", _local(self.change)),
            Address("POST", "/accounts", _local(self.add_account)),
            Address("GET", "/articles/{article_id:int}", _local(self.article)),
            Address("POST", "/articles/{article_id:int}", _local(self.mark)),
        ]

    async def show(self, _request: Request) -> Response:
        """Show everything."""
        accounts = [
            {**account._asdict(), "used_quota_private": self.ctx.usage.private(account.id)}
            for account in self.ctx.accounts.all()
        ]
        state = {"settings": jsonable(self.ctx.settings), **self.ctx.faults.stated(), "accounts": accounts}
        return json_answer(state)

    async def change(self, request: Request) -> Response:
        """Change settings and faults: all of what is said, or nothing if some of it does not fit."""
        said = await _object(request, _SAID)
        try:
            settings = changed(self.ctx.settings, said.get("settings", {}))
            rules = self.ctx.faults.rules_of(said.get("faults", {}), said.get("seed"))
        except ValueError as error:
            raise bad_request(str(error)) from None
        self.ctx.settings = settings
        if "seed" in said:
            self.ctx.faults.seed = said["seed"]
        if said.get("clear_faults"):
            self.ctx.faults.clear()
        self.ctx.faults.install(rules)
        if said.get("reset_counts"):
            self.ctx.faults.reset_counts()
        return await self.show(request)

    async def add_account(self, request: Request) -> Response:
        """Make another account."""
        said = await _object(request, _ACCOUNT)
        try:
            account = self.ctx.accounts.add(said.get("name", ""), said.get("quota"), said.get("max_files"))
        except ValueError as error:
            raise bad_request(str(error)) from None
        return json_answer(account._asdict(), 201)

    async def article(self, request: Request) -> Response:
        """Show what is shown of an article."""
        shows = self.ctx.state.value("SELECT shows FROM articles WHERE id = ?", request.path_params["article_id"])
        if shows is None:
            raise not_found("Article")
        return json_answer(json.loads(shows))

    async def mark(self, request: Request) -> Response:
        """Change what is shown of an article; a `curation_status` of "approved" publishes what was submitted."""
        return json_answer(said_of(self.ctx, request.path_params["article_id"], await read_json(request)))


def said_of(ctx: Context, article_id: int, said: dict[str, Any]) -> dict[str, Any]:
    """Change what is shown of an article; return all of it."""
    shows = mark(ctx, article_id, said)
    if said.get("curation_status") == "approved":
        approve(ctx, article_id)
    return shows


def _local(handler: Handler) -> Handler:
    """Let only requests through that no web page can have sent."""

    async def guarded(request: Request) -> Response:
        try:
            host = urlsplit(f"//{request.headers.get('host', '')}").hostname
        except ValueError:
            host = None
        if "origin" in request.headers or host not in LOOPBACK:
            raise ApiError(403, "Forbidden", "The control endpoint answers programs on this computer, not web pages")
        return await handler(request)

    return guarded


async def _object(request: Request, known: dict[str, type]) -> dict[str, Any]:
    said = await read_json(request)
    for name, value in said.items():
        if name not in known:
            raise bad_request(f"there is no {name!r}{nearest(name, known)}")
        if value is not None:
            must_be(name, value, known[name])
    return {name: value for name, value in said.items() if value is not None}
