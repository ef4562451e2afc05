"""What a repository holds: entries, the index that answers questions about them, and the ``.one_root`` file.

``entry`` is one file; ``catalogue`` is the file behind an index, which ``building`` makes; ``query`` asks it;
``one_root`` reads and writes the protocol between all clients, and ``sorting`` helps where a file of it is not sorted.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onelight.index.entry import DATASETS_NAME, EMPTY_MD5, EMPTY_URL, INDEX_NAME, SESSIONS_NAME, Entry
    from onelight.index.one_root import MAX_LINE, read_one_root, write_one_root
    from onelight.index.query import Index, Terms, Total

__all__ = [
    "DATASETS_NAME",
    "EMPTY_MD5",
    "EMPTY_URL",
    "INDEX_NAME",
    "MAX_LINE",
    "SESSIONS_NAME",
    "Entry",
    "Index",
    "Terms",
    "Total",
    "read_one_root",
    "write_one_root",
]

_WHERE = {
    **dict.fromkeys(("DATASETS_NAME", "EMPTY_MD5", "EMPTY_URL", "INDEX_NAME", "SESSIONS_NAME", "Entry"), "entry"),
    **dict.fromkeys(("MAX_LINE", "read_one_root", "write_one_root"), "one_root"),
    **dict.fromkeys(("Index", "Terms", "Total"), "query"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: who asks an index does not read ``.one_root``."""
    if name not in _WHERE:
        msg = f"module 'onelight.index' has no attribute '{name}'"
        raise AttributeError(msg)
    return getattr(import_module(f"onelight.index.{_WHERE[name]}"), name)
