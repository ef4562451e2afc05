"""The upload origin: takes the content of files, part by part.

It asks for no token (the address is the secret) and does not mind one. Answers to errors have no body.

A part that is being written is locked, in memory only. What is on record is which parts are complete.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Any, BinaryIO

import anyio
from starlette.responses import Response

from onelight.sandbox.answers import json_answer
from onelight.sandbox.context import Address, Context

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from starlette.requests import Request


# Bytes that are gathered in memory before a thread writes them; the most that a request needs.
GATHERED = 2**20
# As little as this is written at once: a thread would cost more than the write.
LITTLE = 2**16

TIMEOUT = 408
CLOSE = {"connection": "close"}


class PartError(Exception):
    """A part cannot be taken; carries the status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def part_count(file: sqlite3.Row) -> int:
    """Return in how many parts a file is sent."""
    return int(-(-file["size"] // file["part_size"]))


def missing_parts(ctx: Context, file: sqlite3.Row) -> int:
    """Return how many parts of a file are not complete."""
    done = ctx.state.value("SELECT COUNT(*) FROM parts WHERE file_id = ?", file["id"])
    return part_count(file) - int(done)


def safe_name(name: str) -> str:
    """Return a name as figshare's storage spells it, without the characters that trouble it."""
    return re.sub(r"[^A-Za-z0-9._]", "", name) or "file"


class Uploads:
    """The upload service."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._locked: set[tuple[int, int]] = set()

    def addresses(self) -> list[Address]:
        """Return the addresses of this origin."""
        part = "/upload/{token}/{number:int}"
        return [
            Address("PUT", part, self.put),
            Address("GET", part, self.part),
            Address("DELETE", part, self.reset),
            Address("GET", "/upload/{token}", self.info),
        ]

    async def info(self, request: Request) -> Response:
        """Show the session of a file: all its parts, with inclusive offsets ("UploadInfo")."""
        file = self._file(request)
        if file is None:
            return Response(status_code=404)
        rows = self.ctx.state.rows("SELECT number FROM parts WHERE file_id = ?", file["id"])
        done = {row["number"] for row in rows}
        return json_answer(
            {
                "token": file["token"],
                "name": f"{file['id']}/{safe_name(file['name'])}",
                "size": file["size"],
                "md5": file["supplied_md5"],
                "status": "PENDING" if file["status"] == "created" else "COMPLETED",
                "parts": [self._part_record(file, n, n in done) for n in range(1, part_count(file) + 1)],
            }
        )

    async def part(self, request: Request) -> Response:
        """Show one part ("UploadFilePart")."""
        file, number = self._file(request), request.path_params["number"]
        if file is None or not 1 <= number <= part_count(file):
            return Response(status_code=404)
        done = self.ctx.state.value("SELECT 1 FROM parts WHERE file_id = ? AND number = ?", file["id"], number)
        return json_answer(self._part_record(file, number, done is not None))

    async def reset(self, request: Request) -> Response:
        """Forget a part; not when the file is completed or the part is being written."""
        file, number = self._file(request), request.path_params["number"]
        if file is None or not 1 <= number <= part_count(file):
            return Response(status_code=404)
        if file["status"] != "created" or (file["id"], number) in self._locked:
            return Response(status_code=409)
        self.ctx.state.run("DELETE FROM parts WHERE file_id = ? AND number = ?", file["id"], number)
        return Response(status_code=200)

    async def put(self, request: Request) -> Response:
        """Take one part. Only when all its bytes are written is it complete."""
        try:
            await self._take(request)
        except PartError as error:
            if error.status != TIMEOUT:
                await self._drain(request)
            return Response(status_code=error.status, headers=CLOSE)
        return Response("OK", media_type="text/plain")

    async def _take(self, request: Request) -> None:
        file, number = self._file(request), request.path_params["number"]
        if file is None or not 1 <= number <= part_count(file):
            raise PartError(404)
        key = (file["id"], number)
        if file["status"] != "created" or key in self._locked:
            raise PartError(409)
        self._locked.add(key)
        try:
            await self._store(request, file, number)
        finally:
            self._locked.discard(key)

    async def _store(self, request: Request, file: sqlite3.Row, number: int) -> None:
        start, size = _extent(file, number)
        if int(request.headers.get("content-length", "0")) > size:
            raise PartError(self.ctx.settings.long_put_status)
        self.ctx.state.run("DELETE FROM parts WHERE file_id = ? AND number = ?", file["id"], number)
        with _opened(self.ctx.state.blob(file["id"])) as blob:
            blob.seek(start)
            await self._write(request, blob, size)
        with self.ctx.state.transaction():
            if self.ctx.state.value("SELECT 1 FROM files WHERE id = ?", file["id"]) is None:
                raise PartError(404)
            self.ctx.state.run("INSERT INTO parts VALUES (?, ?)", file["id"], number)

    async def _write(self, request: Request, blob: BinaryIO, size: int) -> None:
        """Write the body of a request, which must have this size.

        One that ends before waits until its client or its time is gone: figshare hands the bytes on as they come,
        and its storage waits for the rest (figshare API, "Upload parts").
        """
        patience = self.ctx.settings.short_put_hang_seconds
        # One for all pieces, and moved on with each: to make it costs more than a small piece.
        with anyio.CancelScope(deadline=_now() + patience) as limit:
            await self._write_pieces(request, blob, size, limit)
        if limit.cancelled_caught:
            raise PartError(TIMEOUT)

    async def _write_pieces(self, request: Request, blob: BinaryIO, size: int, limit: anyio.CancelScope) -> None:
        gathered = bytearray()
        received = 0
        is_whole = False
        while not is_whole or received < size:
            message = await request.receive()
            limit.deadline = _now() + self.ctx.settings.short_put_hang_seconds
            if message["type"] == "http.disconnect":
                raise PartError(400)  # Nobody is there to read it.
            piece = message.get("body", b"")
            received += len(piece)
            if received > size:
                raise PartError(self.ctx.settings.long_put_status)
            is_whole = is_whole or not message.get("more_body", False)
            gathered += piece
            if len(gathered) >= GATHERED or is_whole:
                await _flush(blob, gathered)

    async def _drain(self, request: Request) -> None:
        """Read a refused body to its end, within reason, so that its client comes to read the answer.

        One that waits to be told to continue is not told.
        """
        if "expect" in request.headers:
            return
        left = 2 * self.ctx.settings.part_size
        with anyio.move_on_after(1.0):
            while left > 0:
                message = await request.receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return

    def _file(self, request: Request) -> sqlite3.Row | None:
        return self.ctx.state.row(
            "SELECT * FROM files WHERE token = ? AND attached = 1 AND link = ''", request.path_params["token"]
        )

    def _part_record(self, file: sqlite3.Row, number: int, is_done: bool) -> dict[str, Any]:
        start, size = _extent(file, number)
        return {
            "partNo": number,
            "startOffset": start,
            "endOffset": start + size - 1,
            "status": "COMPLETE" if is_done else "PENDING",
            "locked": (file["id"], number) in self._locked,
        }


def _extent(file: sqlite3.Row, number: int) -> tuple[int, int]:
    """Return where a part begins, and its size."""
    start = (number - 1) * file["part_size"]
    return start, min(file["part_size"], file["size"] - start)


def _opened(path: Path) -> BinaryIO:
    """Open a blob for writing anywhere in it, new or not."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o600)
    return os.fdopen(descriptor, "r+b", buffering=0)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _flush(blob: BinaryIO, gathered: bytearray) -> None:
    if len(gathered) <= LITTLE:
        blob.write(gathered)
    else:
        await asyncio.to_thread(blob.write, bytes(gathered))
    gathered.clear()
