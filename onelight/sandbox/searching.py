"""Finding articles: by DOI, by words of the title, by type and date; in the order and the pages asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from onelight.sandbox.answers import bad_request, page_of, unprocessable
from onelight.sandbox.records import Shown, doi_of, stamp
from onelight.sandbox.state import now_ms

if TYPE_CHECKING:
    from onelight.sandbox.context import Context

ORDERS = ("published_date", "created_date", "modified_date", "views", "shares", "downloads", "cites")
TEXTS = ("search_for", "doi", "resource_doi", "handle", "published_since", "modified_since", "resource_id")
NUMBERS = ("item_type", "institution", "group", "project_id")
PAGES = ("page", "page_size", "limit", "offset")


def asked_in_body(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the question of a body, in the form of an address's.

    Raises
    ------
    ApiError
        400 for a value of the wrong type.
    """
    asked = {}
    for name, value in body.items():
        if name in (*NUMBERS, *PAGES):
            if isinstance(value, bool) or not isinstance(value, int):
                raise bad_request(f"{name}: {value!r} is not of type 'integer'")
            asked[name] = str(value)
        elif name in (*TEXTS, "order", "order_direction"):
            if not isinstance(value, str):
                raise bad_request(f"{name}: {value!r} is not of type 'string'")
            asked[name] = value
    return asked


def found(ctx: Context, articles: list[Shown], asked: Mapping[str, str], order: str) -> list[Shown]:
    """Return those of some articles that are asked for, one page of them.

    Parameters
    ----------
    ctx : Context
        The sandbox.
    articles : list of Shown
        All that the one who asks may see.
    asked : Mapping
        The question.
    order : str
        The field that articles are sorted by if the question does not say.

    Raises
    ------
    ApiError
        422 for a value that is none of the possible ones.
    """
    rows, offset = page_of(asked, ctx.settings)
    tests = [test(ctx, asked[name]) for name, test in _TESTS.items() if asked.get(name)]
    tests += [_numbered(name, asked[name]) for name in NUMBERS if name in asked]
    kept = [article for article in articles if all(test(article) for test in tests)]
    by = _one_of("order", asked.get("order", order), ORDERS)
    is_down = _one_of("order_direction", asked.get("order_direction", "desc"), ("asc", "desc")) == "desc"
    kept.sort(key=lambda article: (_KEYS.get(by, _KEYS["created_date"])(article), article.id), reverse=is_down)
    return kept[offset : offset + rows]


_KEYS: dict[str, Callable[[Shown], int]] = {
    "published_date": lambda article: article.published,
    "created_date": lambda article: article.created,
    "modified_date": lambda article: article.modified,
}


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise unprocessable(f"{name}: {value} is not one of {', '.join(known)}")
    return value


def _numbered(name: str, text: str) -> Callable[[Shown], bool]:
    if not text.lstrip("-").isdigit() or not text.isascii():
        raise unprocessable(f"{name}: {text} is not a number")
    if name == "item_type":
        return lambda article: str(article.fields["defined_type"]) == text
    if name == "group":
        return lambda article: str(article.fields["group_id"] or 0) == text
    return lambda _: text == "0"  # there are no institutions and no projects here


def _with_doi(ctx: Context, doi: str) -> Callable[[Shown], bool]:
    """Find an article by the DOI of any of its versions, or by the one of the publication it belongs to."""

    def test(article: Shown) -> bool:
        versions = range(1, article.version + 1)
        own = {doi_of(ctx, article.shows, article.id, version) for version in versions}
        return doi in own or doi in (article.doi, article.fields["resource_doi"])

    return test


def _with_words(_ctx: Context, words: str) -> Callable[[Shown], bool]:
    """Find an article by words of its title; `:title: words`, as figshare's own pages write it, is the same."""
    wanted = words.lower().removeprefix(":title:").strip(' "').split()
    return lambda article: all(word in article.fields["title"].lower() for word in wanted)


def _since(read: Callable[[Shown], int]) -> Callable[[Context, str], Callable[[Shown], bool]]:
    return lambda _ctx, date: lambda article: read(article) > 0 and stamp(read(article)) >= date


_TESTS: dict[str, Callable[[Context, str], Callable[[Shown], bool]]] = {
    "doi": _with_doi,
    "resource_doi": lambda _, doi: lambda article: article.fields["resource_doi"] == doi,
    "handle": lambda _, handle: lambda article: article.fields["handle"] == handle,
    "search_for": _with_words,
    "published_since": _since(lambda article: article.published),
    "modified_since": _since(lambda article: article.modified),
    "resource_id": lambda _ctx, _wanted: lambda _: False,
}


def is_indexed(ctx: Context, article: Shown) -> bool:
    """Tell whether a search knows of an article by now."""
    return now_ms() - article.modified >= ctx.settings.search_lag_ms
