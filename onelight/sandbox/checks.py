"""What happens to a file once its content is complete: its md5 is computed and compared, and it is moved.

::

    created → ic_checking → moving_to_final → available
                          ↘ ic_failure

What goes wrong with a file on purpose is decided when its content is complete, once, and written down with it.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from onelight.sandbox.state import now_ms

if TYPE_CHECKING:
    import sqlite3
    import threading
    from pathlib import Path

    from onelight.sandbox.context import Context

PIECE = 2**20
# A file as little as this is read at once: a thread would cost more than its md5.
LITTLE = 2**16
# How late an md5 is that is late on purpose, if the settings do not say.
LATE_MS = 2000
NEVER = 2**62


def start(ctx: Context, file_id: int) -> None:
    """Begin the checks of a file whose parts are all there."""
    outcome = ctx.faults.of_file() if ctx.faults.rules else []
    is_late = "md5_late" in outcome or (ctx.settings.md5_late_ms > 0 and "md5_late" not in ctx.faults.rules)
    is_hidden = (is_late or "md5_missing" in outcome) and "stuck" not in outcome
    ctx.state.run(
        "UPDATE files SET status = 'ic_checking', outcome = ?, md5_from = ? WHERE id = ?",
        " ".join(outcome),
        NEVER if is_hidden else 0,
        file_id,
    )
    ctx.begin(_settle(ctx, file_id))


def resume(ctx: Context) -> None:
    """Begin the checks again that a server before this one left unfinished."""
    for row in ctx.state.rows("SELECT id FROM files WHERE status IN ('ic_checking', 'moving_to_final')"):
        ctx.begin(_settle(ctx, row["id"]))


async def _settle(ctx: Context, file_id: int) -> None:
    delay = ctx.settings.status_delay_ms / 1000
    row = _file(ctx, file_id)
    if row is not None and row["status"] == "ic_checking":
        await asyncio.sleep(delay)
        if row["size"] <= LITTLE:
            md5 = _md5(ctx.state.blob(file_id), ctx.stopping)
        else:
            md5 = await asyncio.to_thread(_md5, ctx.state.blob(file_id), ctx.stopping)
        row = _file(ctx, file_id)
        if row is None or md5 is None:
            return
        is_wrong = ctx.settings.check_md5 and row["supplied_md5"].lower() not in ("", md5)
        is_failure = is_wrong or not md5 or "ic_failure" in row["outcome"].split()
        status = "ic_failure" if is_failure else "moving_to_final"
        ctx.state.run("UPDATE files SET status = ?, md5 = ? WHERE id = ?", status, md5, file_id)
    if row is None or ctx.settings.stuck_moving or "stuck" in row["outcome"].split():
        return
    await asyncio.sleep(delay)
    ctx.state.run(
        "UPDATE files SET status = 'available', md5_from = ? WHERE id = ? AND status = 'moving_to_final'",
        _md5_from(ctx, row),
        file_id,
    )


def _md5_from(ctx: Context, row: sqlite3.Row) -> int:
    """Return from when on the md5 of a file is shown that is available now."""
    if row["md5_from"] == 0 or "md5_missing" in row["outcome"].split():
        return int(row["md5_from"])
    return now_ms() + (ctx.settings.md5_late_ms or LATE_MS)


def _file(ctx: Context, file_id: int) -> sqlite3.Row | None:
    return ctx.state.row("SELECT status, size, supplied_md5, outcome, md5_from FROM files WHERE id = ?", file_id)


def _md5(path: Path, stopping: threading.Event) -> str | None:
    """Return the md5 of a blob: empty if it is not there, None if the sandbox stops before the end."""
    digest = hashlib.md5()
    try:
        with path.open("rb", buffering=0) as blob:
            while piece := blob.read(PIECE):
                if stopping.is_set():
                    return None
                digest.update(piece)
    except FileNotFoundError:
        return ""
    return digest.hexdigest()
