"""The md5 of a local file: what figshare and the index state of content, not a protection against an adversary."""

from __future__ import annotations

import hashlib
from pathlib import Path

BLOCK = 1 << 20


def md5_of(path: Path) -> str:
    """Return the md5 of a file in hexadecimal, read block by block."""
    with path.open("rb") as stream:
        if hasattr(hashlib, "file_digest"):  # Python 3.11
            return hashlib.file_digest(stream, "md5").hexdigest()
        md5 = hashlib.md5()
        while block := stream.read(BLOCK):
            md5.update(block)
        return md5.hexdigest()
