"""Files of an article as its owner sees them: list, begin, read, complete, delete. Their content is in uploads.py."""

from __future__ import annotations

import mimetypes
import uuid
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from onelight.sandbox import checks
from onelight.sandbox.accounts import Account
from onelight.sandbox.answers import ApiError, bad_request, json_answer, not_found, paging, read_json, unprocessable
from onelight.sandbox.context import Address, Context, asking
from onelight.sandbox.drafts import own_article_id, touch
from onelight.sandbox.fields import must_be
from onelight.sandbox.records import private_file_record
from onelight.sandbox.state import now_ms
from onelight.sandbox.uploads import missing_parts

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request


ACCEPTED = b"<html><head><title>202 Accepted</title></head><body><h1>202 Accepted</h1></body></html>"


class Files:
    """The files of the owner's articles."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def addresses(self) -> list[Address]:
        """Return the addresses, below an article's."""
        private = self.ctx.private
        return [
            Address("GET", "/files", private(self.list_all)),
            Address("POST", "/files", private(self.begin)),
            Address("GET", "/files/{file_id:int}", private(self.get)),
            Address("POST", "/files/{file_id:int}", private(self.complete)),
            Address("DELETE", "/files/{file_id:int}", private(self.delete)),
        ]

    async def list_all(self, request: Request) -> Response:
        """List the files, oldest first."""
        rows = self.ctx.state.rows(
            "SELECT * FROM files WHERE article_id = ? AND attached = 1 ORDER BY id LIMIT ? OFFSET ?",
            own_article_id(self.ctx, request),
            *paging(request, self.ctx.settings),
        )
        return json_answer([private_file_record(self.ctx, row) for row in rows])

    async def begin(self, request: Request) -> Response:
        """Announce a file ("FileCreator"): its name and size, and what else is known."""
        body = await read_json(request)
        article_id = own_article_id(self.ctx, request)
        new = _linked(body) if "link" in body else _announced(body, self.ctx)
        account = asking(request)
        self._check_room(account, article_id, new)
        with self.ctx.state.transaction():
            file_id = self._insert(article_id, new)
            touch(self.ctx, article_id)
        self.ctx.usage.add(account.id, article_id, new["size"])
        location = f"{self.ctx.origins.own_article(article_id)}/files/{file_id}"
        return json_answer({"location": location}, 201, location=location, as_html=self.ctx.settings.json_as_html)

    def _insert(self, article_id: int, new: dict[str, Any]) -> int:
        return self.ctx.state.insert(
            "INSERT INTO files (article_id, created, name, folder, size, supplied_md5, mimetype, status, link, token,"
            " part_size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            article_id,
            now_ms(),
            new["name"],
            new["folder"],
            new["size"],
            new["md5"],
            mimetypes.guess_type(new["name"])[0] or "application/octet-stream",
            "available" if new["link"] else "created",
            new["link"],
            str(uuid.uuid4()),
            self.ctx.settings.part_size,
        )

    def _check_room(self, account: Account, article_id: int, new: dict[str, Any]) -> None:
        settings, state = self.ctx.settings, self.ctx.state
        limit, quota = account.file_limit(settings), account.room(settings)
        if new["size"] > settings.maximum_file_size:
            text = f"The file is larger than {settings.maximum_file_size} bytes"
            raise ApiError(settings.file_size_status, "MaximumFileSizeExceeded", text)
        if self.ctx.usage.files_of(article_id) >= limit:
            text = f"An article has at most {limit} files"
            raise ApiError(settings.file_limit_status, "FileLimitExceeded", text)
        if self.ctx.usage.private(account.id) + new["size"] > quota:
            text = f"The quota of {quota} bytes is not enough for this file"
            raise ApiError(settings.quota_status, "QuotaExceeded", text)
        if not settings.duplicate_names and state.value(
            "SELECT 1 FROM files WHERE article_id = ? AND attached = 1 AND name = ? AND folder = ?",
            article_id,
            new["name"],
            new["folder"],
        ):
            raise bad_request(f"name: there is already a file {new['name']!r}")

    async def get(self, request: Request) -> Response:
        """Show one."""
        row = self._row(request)
        if now_ms() - row["created"] < self.ctx.settings.location_404_ms:
            raise not_found("File")
        return json_answer(private_file_record(self.ctx, row))

    async def complete(self, request: Request) -> Response:
        """Take note that all parts were sent; with parts missing, the file stays as it is and nothing says so."""
        row = self._row(request)
        status = 202
        if row["status"] == "created":
            if missing_parts(self.ctx, row):
                status = self.ctx.settings.complete_pending_status
            else:
                checks.start(self.ctx, row["id"])
        if not self.ctx.settings.complete_as_html:
            return Response(status_code=status)
        return Response(ACCEPTED, status, media_type="text/html")

    async def delete(self, request: Request) -> Response:
        """Take a file out of the draft; published versions that have it keep it."""
        row = self._row(request)
        if row["public"]:
            self.ctx.state.run("UPDATE files SET attached = 0 WHERE id = ?", row["id"])
        else:
            self.ctx.state.run("DELETE FROM files WHERE id = ?", row["id"])
            self.ctx.state.blob(row["id"]).unlink(missing_ok=True)
        self.ctx.usage.forget()
        touch(self.ctx, row["article_id"])
        return Response(status_code=204)

    def _row(self, request: Request) -> sqlite3.Row:
        row = self.ctx.state.row(
            "SELECT f.* FROM files f JOIN articles a ON a.id = f.article_id"
            " WHERE f.id = ? AND f.article_id = ? AND f.attached = 1 AND a.account_id = ?",
            request.path_params["file_id"],
            request.path_params["article_id"],
            asking(request).id,
        )
        if row is None:
            raise not_found("File")
        return row


def _linked(body: dict[str, Any]) -> dict[str, Any]:
    must_be("link", body["link"], str)
    if not body["link"].startswith(("http://", "https://")):
        raise bad_request(f"link: {body['link']!r} is not a 'url'")
    name = body["link"].rstrip("/").rpartition("/")[2]
    return {"name": name, "size": 0, "md5": "", "folder": "", "link": body["link"]}


def _announced(body: dict[str, Any], ctx: Context) -> dict[str, Any]:
    missing = [name for name in ("name", "size") if name not in body]
    if missing:
        raise unprocessable(f"Parameters missing or incorrect: {', '.join(missing)}")
    for name in ("name", "md5", "folder_path"):
        if name in body:
            must_be(name, body[name], str)
    if not body["name"]:
        raise unprocessable("Parameters missing or incorrect: name")
    size = _size(body["size"])
    if size == 0:
        raise ApiError(ctx.settings.empty_file_status, "BadRequest", "size: empty files are not allowed")
    folder = body.get("folder_path", "").strip("/")
    return {"name": body["name"], "size": size, "md5": body.get("md5", ""), "folder": folder, "link": ""}


def _size(value: object) -> int:
    """Read a size, which may be a text (OSF sends one)."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < len(str(2**63)):
        value = int(value)
    must_be("size", value, int)
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise bad_request(f"size: {value!r} is not a size")
    return value
