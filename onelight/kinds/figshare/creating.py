"""Making an article and saying what it is, without making it twice where an answer is lost."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from onelight.client import NoConnection
from onelight.description import LONGEST_DESCRIPTION, Description, Difference, differences
from onelight.errors import ConfigError, NotFound, RepositoryError, Unreachable
from onelight.kinds.figshare.address import read_address
from onelight.kinds.figshare.api import Api, as_documented, is_conflict
from onelight.kinds.figshare.article import Article
from onelight.kinds.figshare.metadata import (
    canonical,
    description_of,
    fields_of,
    has_how_to_download,
    how_to_download,
    html_of,
    numbered_title,
    text_of,
    with_how_to_download,
    without_how_to_download,
)
from onelight.kinds.figshare.reading import is_part, part_note, referenced

#: Of so many of the newest own articles the titles are looked at, where an answer was lost.
_NEWEST = 50


def create(api: Api, fields: Mapping[str, Any], made: Callable[[Article], None] = lambda _: None) -> Article:
    """Make a draft, and tell ``made`` of it as soon as it is there, whatever follows.

    The owner of the token becomes an author by itself, and those of ``fields`` would come after (figshare's support,
    ticket 438719): so authors are set afterwards, in place of what is there.
    """
    first = {name: value for name, value in fields.items() if name != "authors"}
    before = {int(row["id"]) for row in _newest(api)}
    article = Article(api, _create_once(api, first, before))
    made(article)
    if fields.get("authors"):
        change(article, {"authors": fields["authors"]})
    return article


def _create_once(api: Api, fields: Mapping[str, Any], before: Collection[int]) -> int:
    attempt = 0
    while True:
        attempt += 1
        try:
            answer = api.call("POST", "account/articles", dict(fields))
        except Unreachable as error:
            if isinstance(error, NoConnection) or is_conflict(error) or api.client.gives_up(error, attempt):
                raise
            api.client.pause(error, attempt)
            rows = [row for row in _newest(api) if int(row["id"]) not in before]
            found = [int(row["id"]) for row in rows if row.get("title") == fields["title"]]
            if found:
                return max(found)
        else:
            with as_documented(answer.url):
                # The documented entity_id was seen to be missing (ticket 437956): the address has the number as well.
                location = str(answer.json().get("location") or answer.headers.get("location") or "")
                number = re.search(r"/articles/(\d+)$", location)
                return int(number[1]) if number else int(answer.json()["entity_id"])


def _newest(api: Api) -> list[dict[str, Any]]:
    answer = api.call("GET", f"account/articles?page=1&page_size={_NEWEST}")
    with as_documented(answer.url):
        return [dict(row) for row in answer.json()]


def change(article: Article, fields: Mapping[str, Any]) -> None:
    """Set some fields of a draft; the others stay as they are."""
    try:
        article.api.call("PATCH", article.own, dict(fields))
    except RepositoryError as error:
        if not re.search(r" answered 405\b", error.message):
            raise
        article.api.call("PUT", article.own, dict(fields))  # which leaves the others alone as well, as others saw


def vocabulary(api: Api) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the categories and the licences that this account may use; without one, those that there are."""
    mine = "account/" if api.token else ""
    categories = api.call("GET", f"{mine}categories")
    licenses = api.call("GET", f"{mine}licenses")
    with as_documented(api.url):
        return [dict(row) for row in categories.json()], [dict(row) for row in licenses.json()]


def compare(article: Article, wanted: Description, own: Collection[int]) -> list[Difference]:
    """Return in which fields the draft says something else; a field that is empty says nothing."""
    record = article.api.record(article.own)
    categories, licenses = vocabulary(article.api)
    with as_documented(article.api.url):
        return _differing(canonical(wanted, categories, licenses), described(record, own, categories))


def _differing(wanted: Description, there: Description) -> list[Difference]:
    there = replace(there, description=text_of(html_of(there.description)))
    return [one for one in differences(wanted, there) if getattr(wanted, one.field)]


def described(
    record: Mapping[str, Any], own: Collection[int] = (), categories: Sequence[Mapping[str, Any]] = ()
) -> Description:
    """Return what an article says of itself, without what this program added: how to download, and its other parts."""
    references = [text for text in record.get("references") or [] if _number(str(text)) not in own]
    html = without_how_to_download(str(record.get("description") or ""))
    return description_of({**record, "description": html, "references": references}, categories)


def describe(
    article: Article, wanted: Description, own: Collection[int], *, name: str, how_to_download: bool
) -> list[str]:
    """Change what differs; a field that is empty says nothing, and is left as it is.

    Parameters
    ----------
    article : Article
        Whose draft is changed.
    wanted : Description
        What it is to say.
    own : collection of int
        Numbers of the articles of the same repository: references to them stay.
    name : str
        Name of the repository.
    how_to_download : bool
        Whether the text is to say how the data are downloaded; where it does so already, it goes on to.

    Returns
    -------
    list of str
        The fields that were changed.
    """
    api = article.api
    record = api.record(article.own)
    categories, licenses = vocabulary(api)
    with as_documented(api.url):
        said = canonical(wanted, categories, licenses)
        differing = [one.field for one in _differing(said, described(record, own, categories))]
        fields = fields_of(wanted, categories, licenses, only=differing)
        before = str(record.get("description") or "")
        if "references" in fields:
            fields["references"] += [t for t in record.get("references") or [] if _number(str(t)) in own]
        if "description" in fields or how_to_download:
            html = str(fields.get("description", before))
            if how_to_download or has_how_to_download(before):
                html = with_how_to_download(html, how(article, name))
            if html != before:
                fields["description"] = html
                differing = list(dict.fromkeys([*differing, "description"]))
    if fields:
        change(article, fields)
    return differing


def how(article: Article, name: str) -> str:
    """Return the paragraph that says how the data are downloaded."""
    word = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-") or "data"
    return how_to_download(word, str(article.number))


def _number(text: str) -> int | None:
    try:
        return read_address(text).article_id
    except ConfigError:
        return None


def reserve_doi(article: Article) -> str:
    """Return the DOI that the first version will have; asked for again, it is the same."""
    answer = article.api.call("POST", f"{article.own}/reserve_doi", repeat=True)
    with as_documented(answer.url):
        return str(answer.json()["doi"])


def make_part(first: Article, known: Collection[int]) -> Article:
    """Make a further article for files that the first does not take; its title says so, and each refers to the other.

    Killed in between and run again, the one that was made is found by its title and its reference to the first.
    """
    api = first.api
    record = api.record(first.own)
    own = _newest(api)
    part = len(known) + 1
    titles = {row.get("title") for row in own if row.get("id") in known}
    while numbered_title(str(record.get("title") or ""), part) in titles:  # one before it was removed
        part += 1
    with as_documented(api.url):
        fields = _fields_of_part(record, first, part)
    article = _orphan(first, fields["title"], [row for row in own if row.get("id") not in known])
    if article is None:
        article = create(api, fields)
    elif _numbers(api.record(article.own)) != [author["id"] for author in fields["authors"]]:
        change(article, {"authors": fields["authors"]})  # it was killed in between: the owner is its author
    references = [str(text) for text in record.get("references") or []]
    if article.number not in referenced(record, first):
        change(first, {"references": [*references, article.page]})
    return article


def describe_parts(articles: Sequence[Article]) -> None:
    """Let the further articles say what the first says, as far as they do not."""
    first, *others = articles
    if others:
        record = first.api.record(first.own)
        for part, article in enumerate(others, 2):
            with as_documented(first.api.url):
                fields = _fields_of_part(record, first, part)
                there = _fields_of_part(first.api.record(article.own), first, 1, note=False)
            differing = {name: value for name, value in fields.items() if value != there.get(name)}
            differing.pop("references", None)  # the first, and perhaps more
            if differing:
                change(article, differing)


def _numbers(record: Mapping[str, Any]) -> list[int]:
    return [int(author["id"]) for author in record.get("authors") or []]


def _orphan(first: Article, title: str, rows: Sequence[Mapping[str, Any]]) -> Article | None:
    for row in rows:
        if row.get("title") == title:
            article = Article(first.api, int(row["id"]))
            with contextlib.suppress(NotFound):
                if is_part(first.api.record(article.own), first):
                    return article
    return None


def _fields_of_part(record: Mapping[str, Any], first: Article, part: int, *, note: bool = True) -> dict[str, Any]:
    """Return what a further article says of itself: what the first says, and where that is."""
    html = str(record.get("description") or "")
    words = part_note(first)
    fields: dict[str, Any] = {
        "title": numbered_title(str(record.get("title") or ""), part),
        "description": words * note + html if len(words + html) <= LONGEST_DESCRIPTION else words,
        "authors": [{"id": number} for number in _numbers(record)],
        "categories": [int(category["id"]) for category in record.get("categories") or []],
        "keywords": [str(word) for word in record.get("keywords") or record.get("tags") or []],
        "references": [first.page],
        "defined_type": str(record.get("defined_type_name") or "dataset"),
    }
    license_ = record.get("license") or {}
    return fields | ({"license": int(license_["value"])} if "value" in license_ else {})
