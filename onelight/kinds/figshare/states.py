"""States of an article in which not everything can be had, in words: embargoed, confidential, linked, no downloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onelight.errors import AccessDenied, OneError, RepositoryError


def why_no_files(record: Mapping[str, Any], address: str) -> OneError | None:
    """Return the error that says why an article shows no files to the public, if its record tells a reason.

    The list of files of such an article is empty, and the key ``files`` may be missing ("ArticleComplete").
    """
    if record.get("is_embargoed"):
        until = str(record.get("embargo_date") or "")[:10]
        reason = _words(record.get("embargo_reason") or record.get("embargo_title"))
        return AccessDenied(
            f"the files of {address} are under embargo{f' until {until}' if until else ''}{reason}",
            hint=f"Come back {'then' if until else 'later'}, or ask the authors; its owner reads it with a token",
        )
    if record.get("is_confidential"):
        return AccessDenied(
            f"the files of {address} are confidential{_words(record.get('confidential_reason'))}",
            hint="Ask the authors for them; its owner reads it with a token",
        )
    if record.get("is_metadata_record"):
        return RepositoryError(
            f"{address} describes data and has no files{_words(record.get('metadata_reason'))}",
            hint="Its page says where the data is",
        )
    return None


def remarks_of(record: Mapping[str, Any], address: str, links: int) -> list[str]:
    """Return what a reader should know of an article that does show its files."""
    found = []
    if record.get("download_disabled"):
        found.append(
            f"the owner of {address} has switched downloads off: it can be searched, and figshare gives no files"
        )
    if links:
        found.append(
            f"{links} files of {address} are links to other places: figshare states neither their size nor md5"
        )
    return found


def _words(text: object) -> str:
    line = " ".join(str(text or "").split())[:300]
    return f": {line}" if line else ""
