"""What there is to choose from, and whose account it is: licences, categories, the owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onelight.sandbox.answers import json_answer
from onelight.sandbox.context import Address, Context, asking
from onelight.sandbox.records import category_records

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class Catalogue:
    """Lists that do not change while the sandbox runs, and the account."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def addresses(self) -> list[Address]:
        """Return the addresses, below `/v2`."""
        private = self.ctx.private
        return [
            Address("GET", "/account", private(self.account)),
            Address("GET", "/account/licenses", private(self.licenses)),
            Address("GET", "/account/categories", private(self.categories)),
            Address("GET", "/licenses", self.licenses),
            Address("GET", "/categories", self.categories),
        ]

    async def account(self, request: Request) -> Response:
        """Show the owner, with what is used of the quota ("Account")."""
        account = asking(request)
        private, public = self.ctx.usage.private(account.id), self.ctx.usage.public(account.id)
        return json_answer(
            {
                "id": account.id,
                "user_id": account.id,
                "first_name": account.first_name,
                "last_name": account.last_name,
                "email": account.email,
                "active": 1,
                "created_date": "2026-01-01T00:00:00",
                "modified_date": "2026-01-01T00:00:00",
                "group_id": 0,
                "institution_id": 0,
                "institution_user_id": "",
                "symplectic_user_id": "",
                "orcid_id": "",
                "pending_quota_request": False,
                "quota": account.room(self.ctx.settings),
                "used_quota": private + public,
                "used_quota_private": private,
                "used_quota_public": public,
                "maximum_file_size": self.ctx.settings.maximum_file_size,
            }
        )

    async def licenses(self, _request: Request) -> Response:
        """List the licences."""
        return json_answer([item._asdict() for item in self.ctx.settings.licenses])

    async def categories(self, _request: Request) -> Response:
        """List the categories; not each one that is listed may be used."""
        known = self.ctx.settings.categories
        above = {category.parent_id for category in known}
        return json_answer(
            [
                {**record, "is_selectable": item.is_selectable, "has_children": item.id in above}
                for item, record in zip(known, category_records(self.ctx), strict=True)
            ]
        )
