"""The md5 of a local file: what figshare and the index state of content, not a protection against an adversary."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from onelight.errors import Interrupted

BLOCK = 1 << 20


def md5_of(path: Path, stopped: threading.Event | None = None, told: Callable[[int], None] | None = None) -> str:
    """Return the md5 of a file in hexadecimal, read block by block.

    Parameters
    ----------
    path : Path
        The file.
    stopped : threading.Event, optional
        Set from another thread, it ends the reading.
    told : callable, optional
        Told of the bytes of each block.

    Raises
    ------
    Interrupted
        If it was stopped.
    """
    md5 = hashlib.md5()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            md5.update(block)
            if told is not None:
                told(len(block))
            if stopped is not None and stopped.is_set():
                raise Interrupted("the reading of local files was stopped")
    return md5.hexdigest()
