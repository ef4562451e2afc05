"""Ways to the content of a file: the address that files state, the one of the API, and the signed one both lead to.

::

    api       /files/{id}                 public: 302 to a signed address · unpublished: the bytes, to its owner
    api       /v2/file/download/{id}      public: 302 to a signed address
    download  /pfigshare-u-files/...      the bytes, as S3 gives them; no token may come here
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import json
import time
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from onelight.ranges import wanted
from onelight.sandbox.answers import ApiError, not_found
from onelight.sandbox.context import Address, Context
from onelight.sandbox.links import opens
from onelight.sandbox.ranges import Slice
from onelight.sandbox.records import STORED
from onelight.sandbox.restrictions import hides_files
from onelight.sandbox.state import now_ms
from onelight.sandbox.uploads import safe_name

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request


BUCKET = "pfigshare-u-files"
ALGORITHM = "AWS4-HMAC-SHA256"
FORBIDDEN = ("Forbidden", "Forbidden")
METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS"


class Downloads:
    """The content of files, for who may have it."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def api_addresses(self) -> list[Address]:
        """Return the addresses at the API's origin."""
        return [
            Address("GET", "/files/{file_id:int}", self.by_file),
            Address("GET", "/v2/file/download/{file_id:int}", self.by_api),
        ]

    def signed_addresses(self) -> list[Address]:
        """Return the addresses at the download origin."""
        return [Address(METHODS, "/{key:path}", self.signed)]

    async def by_file(self, request: Request) -> Response:
        """Give a file to whoever may have it (on figshare: ndownloader.figshare.com/files)."""
        file = self._file(request)
        if file["link"]:
            return RedirectResponse(file["link"], 302)
        is_public = self._is_public(file)
        if is_public and not self._is_withheld(file):
            return self._redirect(file)
        account = self.ctx.account_of(request, "token")
        if account is not None and account.id == self._owner_of(file):
            return self._private_content(request, file)
        if opens(self.ctx, request.query_params.get("private_link", ""), file["article_id"]):
            return self._redirect(file)
        settings = self.ctx.settings
        raise ApiError(settings.disabled_status if is_public else settings.private_refusal_status, *FORBIDDEN)

    async def by_api(self, request: Request) -> Response:
        """Give a published file."""
        file = self._file(request)
        if not self._is_public(file):
            raise not_found("File")
        if self._is_withheld(file):
            raise ApiError(self.ctx.settings.disabled_status, *FORBIDDEN)
        return RedirectResponse(file["link"], 302) if file["link"] else self._redirect(file)

    def _file(self, request: Request) -> sqlite3.Row:
        file = self.ctx.state.row("SELECT * FROM files WHERE id = ?", request.path_params["file_id"])
        if file is None or file["status"] == "created":
            raise not_found("File")
        return file

    def _owner_of(self, file: sqlite3.Row) -> int:
        return int(self.ctx.state.value("SELECT account_id FROM articles WHERE id = ?", file["article_id"]))

    def _is_public(self, file: sqlite3.Row) -> bool:
        return bool(
            file["public"]
            and self.ctx.state.value(
                "SELECT 1 FROM version_files JOIN versions USING (article_id, version)"
                " WHERE file_id = ? AND visible <= ?",
                file["id"],
                now_ms(),
            )
        )

    def _is_withheld(self, file: sqlite3.Row) -> bool:
        """Tell whether a file of a published version is kept from readers."""
        row = self.ctx.state.row(
            "SELECT v.fields, a.shows FROM versions v JOIN articles a ON a.id = v.article_id"
            " WHERE v.article_id = ? ORDER BY v.version DESC LIMIT 1",
            file["article_id"],
        )
        if row is None:
            return False
        shows = json.loads(row["shows"])
        is_disabled = shows.get("download_disabled", json.loads(row["fields"]).get("download_disabled", False))
        return bool(is_disabled) or hides_files(shows)

    def _private_content(self, request: Request, file: sqlite3.Row) -> Response:
        """Send an unpublished file: chunks of unannounced length (seen by WaterButler), and no ETag to hold on to."""
        path = self.ctx.state.blob(file["id"])
        size = path.stat().st_size
        span = wanted(request.headers.get("range", ""), size)
        if span is None:
            return Response(status_code=416, headers={"content-range": f"bytes */{size}"})
        headers = {"content-type": file["mimetype"]}
        return Slice(path, span, size, headers, with_length=self.ctx.settings.private_length)

    # -----------------------------------------------------------------------------------------------------------
    # Signed addresses
    # -----------------------------------------------------------------------------------------------------------

    def _redirect(self, file: sqlite3.Row) -> Response:
        key = f"{BUCKET}/{file['id']}/{safe_name(file['name'])}"
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        query = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Date": date,
            "X-Amz-Expires": str(self.ctx.settings.signature_seconds),
            "X-Amz-SignedHeaders": "host",
        }
        query["X-Amz-Signature"] = self._signature(key, date, query["X-Amz-Expires"])
        return RedirectResponse(f"{self.ctx.origins.download}/{key}?{urlencode(query)}", 302)

    def _signature(self, key: str, date: str, expires: str) -> str:
        text = f"{key}\n{date}\n{expires}".encode()
        return hmac.new(self.ctx.state.signing_key, text, hashlib.sha256).hexdigest()

    async def signed(self, request: Request) -> Response:
        """Give the content of a file at a signed address, as S3 does."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        file = self.ctx.state.row("SELECT * FROM files WHERE id = ?", request.path_params["key"].split("/")[1])
        path = self.ctx.state.blob(file["id"]) if file is not None else None
        if file is None or path is None or not path.exists():
            return _xml(404, "NoSuchKey", "The specified key does not exist.")
        stat = path.stat()
        headers = {"content-type": file["mimetype"], "last-modified": formatdate(stat.st_mtime, usegmt=True)}
        if file["status"] in STORED:
            headers["etag"] = f'"{file["md5"]}"'
        span = wanted(_range(request, headers), stat.st_size)
        if span is None:
            refusal = _xml(416, "InvalidRange", "The requested range is not satisfiable")
            refusal.headers["content-range"] = f"bytes */{stat.st_size}"
            return refusal
        return Slice(path, span, stat.st_size, headers)

    def _refusal(self, request: Request) -> Response | None:
        """Return why a request is refused, in the order in which S3 looks."""
        key, query = request.path_params["key"], request.query_params
        date, expires = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
        if request.method == "HEAD":
            return Response(status_code=self.ctx.settings.signed_head_status)
        if "authorization" in request.headers:
            return _xml(400, "InvalidArgument", "Unsupported Authorization Type")
        stated = query.get("X-Amz-Signature", "").encode()
        if not hmac.compare_digest(self._signature(key, date, expires).encode(), stated):
            return _xml(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
        if request.method != "GET":
            return _xml(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        if time.time() >= _seconds(date) + int(expires):
            return _xml(403, "AccessDenied", "Request has expired")
        return None


def _seconds(date: str) -> int:
    """Return a signature's date as seconds since 1970; it is one that we wrote."""
    return calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))


def _range(request: Request, headers: dict[str, str]) -> str:
    """Return the range to send; none if it is of a file that has changed since (RFC 9110, "If-Range")."""
    condition = request.headers.get("if-range")
    if condition is not None and condition not in (headers.get("etag"), headers["last-modified"]):
        return ""
    return request.headers.get("range", "")


def _xml(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(body, status, media_type="application/xml")
