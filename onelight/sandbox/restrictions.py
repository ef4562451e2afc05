"""What keeps readers from the files of a published article: embargo, confidentiality, disabled downloads.

They belong to the article, and hold for its draft and all its versions at once. The owner sets an embargo or makes the
article confidential (embargoes.py); the control endpoint (control.py) can set all of it, and a little more, as the web
pages and the staff of figshare can.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from onelight.sandbox.answers import bad_request, not_found
from onelight.sandbox.fields import must_be
from onelight.sandbox.state import packed
from onelight.sandbox.switches import nearest

if TYPE_CHECKING:
    from onelight.sandbox.context import Context

EMBARGO = ("is_embargoed", "embargo_type", "embargo_date", "embargo_title", "embargo_reason", "embargo_options")
TYPES = ("article", "file")
FOR_EVER = "0"
# An embargo of the whole article that its owner set: publication waits for its end.
WAITS = "publication_waits"
# What the control endpoint may say of an article; null takes it back.
KNOWN: dict[str, type] = {
    "is_embargoed": bool,
    "embargo_type": str,
    "embargo_date": str,
    "embargo_title": str,
    "embargo_reason": str,
    "embargo_options": list,
    "is_confidential": bool,
    "confidential_reason": str,
    "download_disabled": bool,
    "files_hidden": bool,
    "doi": str,
    "resource_doi": str,
    "resource_title": str,
    "curation_status": str,
}
# Those of them that stand in place of a field of the article.
IN_PLACE = ("download_disabled", "resource_doi", "resource_title")


def is_embargoed(shows: dict[str, Any]) -> bool:
    """Tell whether an embargo holds now."""
    return bool(shows.get("is_embargoed")) and _end(shows.get("embargo_date")) > _now()


def _end(date: str | None) -> datetime:
    if not date or date == FOR_EVER:
        return datetime.max.replace(tzinfo=timezone.utc)
    return _moment(date)


def _moment(text: str) -> datetime:
    """Return a moment from a date, or from a date and a time; of UTC if it does not say.

    >>> _moment("2030-01-01").isoformat(), _moment("2030-01-01T12:00:00Z").isoformat()
    ('2030-01-01T00:00:00+00:00', '2030-01-01T12:00:00+00:00')
    """
    moment = datetime.fromisoformat(text.strip().removesuffix("Z"))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def _now() -> datetime:
    return datetime.now(tz=timezone.utc)


def waits_until(shows: dict[str, Any]) -> int:
    """Return from when on, in milliseconds since 1970, a version may be seen that is published now; 0 for at once."""
    if not (shows.get(WAITS) and is_embargoed(shows)):
        return 0
    return int(_end(shows["embargo_date"]).timestamp() * 1000)


def hides_files(shows: dict[str, Any]) -> bool:
    """Tell whether the public sees no files of an article."""
    chosen = shows.get("files_hidden")
    return bool(chosen) if chosen is not None else is_embargoed(shows) or bool(shows.get("is_confidential"))


def restricted(shows: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an article that say so."""
    return {
        **confidentiality(shows),
        **{name: value for name, value in embargo(shows).items() if name != "embargo_options"},
        "embargo_options": shows.get("embargo_options", []),
    }


def confidentiality(shows: dict[str, Any]) -> dict[str, Any]:
    """Return whether an article is confidential, and why."""
    is_confidential = bool(shows.get("is_confidential"))
    return {
        "is_confidential": is_confidential,
        "confidential_reason": shows.get("confidential_reason", "") if is_confidential else "",
    }


def embargo(shows: dict[str, Any]) -> dict[str, Any]:
    """Return the embargo of an article ("ArticleEmbargo")."""
    holds = is_embargoed(shows)
    date = shows.get("embargo_date") or None
    return {
        "is_embargoed": holds,
        "embargo_date": date if holds and date != FOR_EVER else None,
        "embargo_type": shows.get("embargo_type", "file") if holds else None,
        "embargo_title": shows.get("embargo_title", "") if holds else "",
        "embargo_reason": shows.get("embargo_reason", "") if holds else "",
        "embargo_options": shows.get("embargo_options", []),
    }


def mark(ctx: Context, article_id: int, said: dict[str, Any]) -> dict[str, Any]:
    """Change what is shown of an article, and return all of it.

    Raises
    ------
    ApiError
        404 if there is no such article, 400 if something said is not known or does not fit.
    """
    before = ctx.state.value("SELECT shows FROM articles WHERE id = ?", article_id)
    if before is None:
        raise not_found("Article")
    for name, value in said.items():
        if name not in KNOWN:
            raise bad_request(f"there is no {name!r}{nearest(name, KNOWN)}")
        if value is not None:
            must_be(name, value, KNOWN[name])
    check_embargo(said)
    shows = {**json.loads(before), **said}
    return keep(ctx, article_id, {name: value for name, value in shows.items() if value is not None})


def keep(ctx: Context, article_id: int, shows: dict[str, Any]) -> dict[str, Any]:
    """Write down what is shown of an article."""
    ctx.state.run("UPDATE articles SET shows = ? WHERE id = ?", packed(shows), article_id)
    return shows


def check_embargo(said: dict[str, Any]) -> None:
    """Refuse a kind of embargo that there is not, and what is no date."""
    kind, date = said.get("embargo_type"), said.get("embargo_date")
    if kind is not None and kind not in TYPES:
        raise bad_request(f"embargo_type: {kind!r} is not one of {list(TYPES)!r}")
    if date is not None and date != FOR_EVER:
        try:
            _moment(date).timestamp()
        except (ValueError, OverflowError):
            raise bad_request(f"embargo_date: {date!r} is not a date") from None
