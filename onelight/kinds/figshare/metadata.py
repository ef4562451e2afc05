"""A description as figshare has it: its records read, and its fields written.

Nothing here asks figshare anything: lists of categories and licences are handed in. The rules are those of
figshare's documentation (OpenAPI 2.0, "ArticleCreate", CC0), and of what others saw of the live service.
"""

from __future__ import annotations

import difflib
import html as entities
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import Any

from onelight.alf import printable
from onelight.description import LONGEST_DESCRIPTION, LONGEST_TITLE, Author, Description, orcid_of
from onelight.errors import ConfigError

# Said in hints: how a person sees what there is to choose from.
LIST_CATEGORIES = "`onelight metadata categories` lists those that there are"
LIST_LICENSES = "`onelight metadata licenses` lists those that there are"

# Written as a word, read as a number and a word (figshare API, "ArticleCreate" and "Article").
ITEM_TYPES = {
    1: "figure",
    2: "media",
    3: "dataset",
    5: "poster",
    6: "journal contribution",
    7: "presentation",
    8: "thesis",
    9: "software",
    11: "online resource",
    12: "preprint",
    13: "book",
    14: "conference contribution",
}
_OLD_TYPES = {"fileset": "dataset", "code": "software", "paper": "journal contribution"}

#: By this a block that says how to download is known again, whatever figshare makes of its HTML.
HOW_TO_DOWNLOAD = "Download these data with ONE light"
#: So began the block that the first client of 2019 added.
_FIRST_CLIENT = "ONE interface"


# ---------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------


def description_of(record: Mapping[str, Any], categories: Sequence[Mapping[str, Any]] = ()) -> Description:
    """Return what an article says of itself.

    The description is plain text if nothing is lost by that, otherwise HTML; a block that says how to download is
    left out. figshare answers null where there is nothing, and older records lack keys: both say nothing.

    Parameters
    ----------
    record : mapping
        The article ("ArticleComplete" or "ArticleCompletePrivate").
    categories : sequence of mapping, optional
        All categories. With them, one whose title others have too is named with the field above it.

    Examples
    --------
    >>> found = description_of({"title": "Two mice", "description": "<p>Both black.</p>", "license": None})
    >>> found.description, found.authors, found.license
    ('Both black.', (), '')
    """
    license_ = record.get("license")
    return Description(
        title=_text(record.get("title")),
        description=_as_written(without_how_to_download(_text(record.get("description")))),
        authors=tuple(author for author in map(_author_of, _list(record.get("authors"))) if author),
        categories=_unique(_category_name(item, categories) for item in _list(record.get("categories"))),
        keywords=_unique(_texts(record.get("keywords")) or _texts(record.get("tags"))),
        license=_text(license_.get("name")) if isinstance(license_, Mapping) else "",
        funding=_funding_of(record),
        references=_unique(_texts(record.get("references"))),
        item_type=_item_type_of(record),
    )


def _author_of(item: Any) -> Author | None:
    if not isinstance(item, Mapping):
        return None
    name = _text(item.get("full_name")) or _text(item.get("name"))
    name = name or " ".join(filter(None, (_text(item.get("first_name")), _text(item.get("last_name")))))
    number = item.get("id")
    is_number = isinstance(number, int) and not isinstance(number, bool) and number > 0
    if not name.strip():
        return None
    return Author(name, orcid_of(_text(item.get("orcid_id"))), number if is_number else None)


def _category_name(item: Any, categories: Sequence[Mapping[str, Any]]) -> str:
    if not isinstance(item, Mapping):
        return ""
    title = _text(item.get("title"))
    named_so = [c for c in categories if _is_selectable(c) and _plain_name(_text(c.get("title"))) == _plain_name(title)]
    if len(named_so) > 1:
        path = _path(item, _by_id(categories))
        return "/".join(path[-2:])
    return title


def _funding_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    listed = [_text(item.get("title")) for item in _list(record.get("funding_list")) if isinstance(item, Mapping)]
    return _unique(listed) or _unique([_text(record.get("funding"))])


def _item_type_of(record: Mapping[str, Any]) -> str:
    name = _text(record.get("defined_type_name")).replace("_", " ").casefold().strip()
    number = record.get("defined_type")
    if not name:  # an untitled draft of the web site has 0 and ""
        name = ITEM_TYPES.get(number, "") if isinstance(number, int) else _text(number)
    return _OLD_TYPES.get(name, name)


def _text(value: Any) -> str:
    """Return a text without halves of characters, which JSON can hold and no file can."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _texts(value: Any) -> list[str]:
    return [_text(item) for item in _list(value)]


def _unique(texts: Collection[str] | Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text.strip()))


def missing_for_publication(record: Mapping[str, Any]) -> list[str]:
    """Return, in words, what figshare wants of an article before it publishes it, files aside.

    A licence is not among it: where none is chosen, figshare takes CC BY 4.0.

    Examples
    --------
    >>> missing_for_publication({"title": "Two mice", "description": "<p></p>", "defined_type_name": "dataset"})
    ['a description', 'an author', 'a category', 'a keyword']
    """
    there = {
        "a title": _text(record.get("title")).strip(),
        "a description": text_of(_text(record.get("description"))),
        "an author": _list(record.get("authors")),
        "a category": _list(record.get("categories")),
        "a keyword": _unique([*_texts(record.get("tags")), *_texts(record.get("keywords"))]),
        "an item type": record.get("defined_type") or record.get("defined_type_name"),
    }
    return [what for what, value in there.items() if not value]


# ---------------------------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------------------------


def fields_of(
    d: Description,
    categories: Sequence[Mapping[str, Any]],
    licenses: Sequence[Mapping[str, Any]],
    *,
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """Return the body of a request that makes or changes an article.

    An empty field says nothing, and is left out; named in ``only`` it is sent empty, where figshare has empty ones
    (all but title, licence and item type). There is never a null, which figshare refuses for texts, nor an email,
    which it refuses for authors. Grants go as ``funding_list``, the documented way to have several; the older
    ``funding`` is one text for all.

    Parameters
    ----------
    d : Description
        What the article is to say.
    categories, licenses : sequence of mapping
        All that there are (``account/categories``, ``account/licenses``).
    only : collection of str, optional
        Fields of the description that are sent; by default all.

    Raises
    ------
    ConfigError
        For a category, licence or item type that there is not, and for a description that is too long as HTML.

    Examples
    --------
    >>> fields_of(Description(title="Two mice", keywords=("mouse",)), [], [], only=["title", "references"])
    {'title': 'Two mice', 'references': []}
    """
    known = [field.name for field in fields(Description)]
    unknown = [name for name in only or () if name not in known]
    if unknown:
        raise ConfigError(f"there is no field '{unknown[0]}'", hint=f"There are {', '.join(known)}")
    made: dict[str, Callable[[], tuple[str, Any]]] = {
        "title": lambda: ("title", d.title),
        "description": lambda: ("description", _fitting(html_of(d.description))),
        "authors": lambda: ("authors", [_author_fields(author) for author in d.authors]),
        "categories": lambda: ("categories", pick_categories(d.categories, categories)),
        "keywords": lambda: ("keywords", list(d.keywords)),
        "license": lambda: ("license", pick_license(d.license, licenses)),
        "funding": lambda: ("funding_list", [{"title": text} for text in d.funding]),
        "references": lambda: ("references", [_link(text) for text in d.references]),
        "item_type": lambda: ("defined_type", _item_type(d.item_type)),
    }
    never_empty = ("title", "license", "item_type")
    body: dict[str, Any] = {}
    for name in known:
        said = bool(getattr(d, name)) or (only is not None and name not in never_empty)
        if said and (only is None or name in only):
            field, value = made[name]()
            body[field] = value
    return body


def _author_fields(author: Author) -> dict[str, Any]:
    if author.id is not None:  # "If an id is supplied, it will take priority and everything else will be ignored"
        return {"id": author.id}
    return {"name": author.name, **({"orcid_id": author.orcid} if author.orcid else {})}


def _link(text: str) -> str:
    """Return a reference as figshare wants it: it takes addresses only, so that a DOI gets its resolver."""
    doi = re.fullmatch(r"(?:doi:\s*)?(10\.\S+)", text, re.IGNORECASE)
    return f"https://doi.org/{doi[1]}" if doi else text


def _item_type(name: str) -> str:
    words = " ".join(name.replace("_", " ").casefold().split())
    words = _OLD_TYPES.get(words, words)
    if words not in ITEM_TYPES.values():
        near = difflib.get_close_matches(words, ITEM_TYPES.values(), 1)
        raise ConfigError(
            f"{printable(name, 60)} is not a type of item at figshare",
            hint=f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(ITEM_TYPES.values())}",
        )
    return words


def canonical(
    d: Description, categories: Sequence[Mapping[str, Any]], licenses: Sequence[Mapping[str, Any]]
) -> Description:
    """Return a description spelled as figshare would spell it, so that two can be compared.

    The description becomes plain text, categories and licence get their titles there, references their addresses.

    Raises
    ------
    ConfigError
        For a category, licence or item type that there is not.
    """
    by_id = _by_id(categories)
    chosen = [by_id[number] for number in pick_categories(d.categories, categories)]
    named = {_number(item.get("value")): _text(item.get("name")) for item in licenses}
    return replace(
        d,
        description=text_of(html_of(d.description)),
        categories=tuple(_category_name(item, categories) for item in chosen),
        license=named[pick_license(d.license, licenses)] if d.license else "",
        references=tuple(map(_link, d.references)),
        item_type=_item_type(d.item_type) if d.item_type else "",
    )


# ---------------------------------------------------------------------------------------------------------------
# Categories
# ---------------------------------------------------------------------------------------------------------------


def pick_categories(names: Sequence[str], categories: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the numbers of categories that are named by title, ``Parent/Title``, number, or number in ANZSRC.

    Raises
    ------
    ConfigError
        If there is none of the name, or only one that groups others, or several; the message names them.

    Examples
    --------
    >>> there = [{"id": 1, "title": "Neurosciences", "parent_id": 0, "source_id": "3209", "is_selectable": False},
    ...          {"id": 2, "title": "Sensory systems", "parent_id": 1, "source_id": "320907", "is_selectable": True}]
    >>> pick_categories(["sensory systems"], there), pick_categories(["320907"], there)
    ([2], [2])
    """
    by_id = _by_id(categories)
    paths = {number: _path(item, by_id) for number, item in by_id.items()}
    return list(dict.fromkeys(_pick_category(name, by_id, paths) for name in names))


def _pick_category(name: str, by_id: Mapping[int, Mapping[str, Any]], paths: Mapping[int, list[str]]) -> int:
    wanted = _plain_name(name)
    found = [number for number, item in by_id.items() if _is_named(number, item, paths[number], wanted)]
    chosen = [number for number in found if _is_selectable(by_id[number])]
    if len(chosen) == 1:
        return chosen[0]
    shown = printable(name, 80)
    if chosen:
        ways = " or ".join(f"'{'/'.join(paths[number][-2:])}' ({number})" for number in chosen)
        raise ConfigError(f"there are {len(chosen)} categories {shown}", hint=f"Write {ways}: the name, or the number")
    if found:
        below = [f"'{paths[n][-1]}'" for n, item in by_id.items() if item.get("parent_id") in found and paths[n][-1]]
        some = f"{', '.join(below[:8])}{' …' * (len(below) > 8)}"
        raise ConfigError(
            f"{shown} groups categories, and cannot be chosen itself",
            hint=f"Choose one below it: {some}" if below else f"Choose another: {LIST_CATEGORIES}",
        )
    near = _near_titles(wanted, [paths[number][-1] for number, item in by_id.items() if _is_selectable(item)])
    question = f"Did you mean {' or '.join(near)}? " if near else ""
    raise ConfigError(f"figshare has no category {shown}", hint=f"{question}{LIST_CATEGORIES}")


def _is_named(number: int, item: Mapping[str, Any], path: list[str], wanted: str) -> bool:
    if wanted in (str(number), str(item.get("source_id") or "")):
        return True
    full = _plain_name("/".join(path))  # a title may have a "/" itself
    return bool(wanted) and (wanted in (full, _plain_name(path[-1])) or full.endswith(f"/{wanted}"))


def _near_titles(wanted: str, titles: Sequence[str]) -> list[str]:
    by_name = {_plain_name(title): title for title in titles if title}
    last = wanted.rpartition("/")[2]
    near = difflib.get_close_matches(last, by_name, 3)
    if len(last) > 3:
        near += [name for name in by_name if last in name and name not in near]
    return [f"'{by_name[name]}'" for name in near[:3]]


def _by_id(categories: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    return {number: item for item in categories if (number := _number(item.get("id"))) is not None}


def _path(item: Mapping[str, Any], by_id: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """Return the titles from the top down to a category; a circle of parents ends somewhere."""
    path: list[str] = []
    above: Mapping[str, Any] | None = item
    while above is not None and len(path) < 20:
        path.insert(0, _text(above.get("title")))
        above = by_id.get(_number(above.get("parent_id")) or 0)
    return path


def category_names(categories: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the categories that can be chosen, each with those above it, sorted.

    Examples
    --------
    >>> above = {"id": 1, "title": "Neurosciences", "parent_id": 0, "is_selectable": False}
    >>> category_names([{"id": 2, "title": "Sensory systems", "parent_id": 1}, above])
    ['Neurosciences/Sensory systems']
    """
    by_id = _by_id(categories)
    return sorted("/".join(_path(item, by_id)) for item in by_id.values() if _is_selectable(item))


def _plain_name(name: str) -> str:
    return re.sub(r" ?/ ?", "/", " ".join(name.casefold().split()))


def _is_selectable(item: Mapping[str, Any]) -> bool:
    return item.get("is_selectable") is not False  # records of articles do not say


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# ---------------------------------------------------------------------------------------------------------------
# Licences
# ---------------------------------------------------------------------------------------------------------------


def pick_license(name: str, licenses: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of a licence that is named as figshare does, by SPDX, by its address, or by number.

    Another version of the same licence is never taken for it; a name without a version takes the only one.

    Raises
    ------
    ConfigError
        If there is none, or several; the message names them.

    Examples
    --------
    >>> there = [{"value": 1, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"},
    ...          {"value": 2, "name": "CC0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"}]
    >>> [pick_license(name, there) for name in ("cc-by-4.0", "CC BY", "CC0-1.0", "2")]
    [1, 1, 2, 2]
    """
    known = [item for item in licenses if _number(item.get("value")) is not None]
    wanted = _license_words(name)
    without_version = not any(map(_is_version, wanted))
    found = [item for item in known if name.strip() == str(item["value"])]
    found = found or [item for item in known if wanted and wanted in _license_names(item)]
    if not found and without_version and wanted:
        found = [item for item in known if wanted in map(_without_version, _license_names(item))]
    if len(found) == 1:
        return int(found[0]["value"])
    shown = printable(name, 60)
    if found:
        ways = " or ".join(f"{item['value']} ({_text(item.get('name'))})" for item in found)
        raise ConfigError(f"there are {len(found)} licences {shown}", hint=f"Write {ways}")
    names = [_text(item.get("name")) for item in known]
    lower = {name.casefold(): name for name in names}
    near = [f"'{lower[key]}'" for key in difflib.get_close_matches(name.casefold().replace("-", " "), lower, 3)]
    question = f"Did you mean {' or '.join(near)}? " if near else ""
    raise ConfigError(f"figshare has no licence {shown}", hint=f"{question}{LIST_LICENSES}")


_CC = re.compile(r"https?://creativecommons\.org/(?:licenses/([a-z-]+)|publicdomain/(zero))/([0-9.]+)")
_OSI = re.compile(r"https?://(?:www\.)?opensource\.org/licen[sc]es?/([\w.+-]+)")


def _license_names(item: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return all names of a licence: figshare's own, and the one that its address stands for."""
    return [_license_words(_text(item.get("name"))), _license_words(_text(item.get("url")))]


def _license_words(name: str) -> tuple[str, ...]:
    """Return a name in pieces: "CC-BY-4.0" and "CC BY 4.0" are the same, and so are "3.0+" and "3.0-or-later"."""
    plain = " ".join(name.casefold().split()).rstrip("/")
    address = _CC.match(plain)
    if address:
        plain = f"cc-{address[1]}-{address[3]}" if address[1] else f"cc0-{address[3]}"
    else:
        address = _OSI.match(plain)
        plain = address[1] if address else plain
    plain = plain.replace("creative commons", "cc").replace("attribution", "by").removesuffix(" international")
    plain = re.sub(r"[ -]or[ -]later\Z", "+", plain)
    return tuple(re.findall(r"[^\W\d_]+|[0-9]+(?:\.[0-9]+)*|\+", plain))


def _is_version(word: str) -> bool:
    return "." in word  # the 0 of CC0 is none


def _without_version(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in words if not _is_version(word))


# ---------------------------------------------------------------------------------------------------------------
# HTML
# ---------------------------------------------------------------------------------------------------------------

_INLINE = "a|abbr|b|cite|code|del|em|font|i|ins|q|s|small|span|strike|strong|sub|sup|u"
_BLOCKS = (
    "address|article|aside|blockquote|center|dd|div|dl|dt|figure|footer|h1|h2|h3|h4|h5|h6|header|hr|main|ol|p|pre|"
    "section|table|tbody|td|th|thead|tr|ul"
)
_TAG_FIRST = re.compile(rf"\s*</?(?:{_INLINE}|{_BLOCKS}|br|img|li)(?:\s[^<>]*)?/?>", re.IGNORECASE)
_PARAGRAPHS = frozenset(_BLOCKS.split("|"))
_UNSHOWN = frozenset(("script", "style", "head", "title", "template", "noscript", "iframe", "object"))
_PLAIN_TAGS = frozenset(("p", "br", "div", "span"))  # of these nothing is left out in plain text
_LONGEST_PARSED = 200_000  # ten times what figshare takes


def html_of(text: str) -> str:
    """Return a description as figshare wants it. HTML, which begins with a tag, stays as it is.

    Examples
    --------
    >>> html_of("Firing < 5 Hz.\\nTwo mice.\\n\\nBoth black.")
    '<p>Firing &lt; 5 Hz.<br>Two mice.</p><p>Both black.</p>'
    """
    if _TAG_FIRST.match(text):
        return text
    paragraphs = [entities.escape(part, quote=False).replace("\n", "<br>") for part in plain(text).split("\n\n")]
    return "".join(f"<p>{part}</p>" for part in paragraphs if part)


def plain(text: str) -> str:
    """Return plain text as it comes back from HTML: one blank line between paragraphs, one space between words."""
    lines = [" ".join(line.split()) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def text_of(html: str) -> str:
    """Return HTML as plain text: paragraphs, lists with ``-`` or numbers, links with their address behind.

    Only read, never carried out: scripts and styles are left out. ``text_of(html_of(text))`` is ``plain(text)``,
    unless the text begins with a tag.

    Examples
    --------
    >>> print(text_of("<p>See <a href='https://a.org'>here</a> &amp; there:</p><ul><li>one</li><li>two</li></ul>"))
    See here (https://a.org) & there:
    <BLANKLINE>
    - one
    - two
    """
    return _parsed(html).text()


def _as_written(html: str) -> str:
    """Return a description as a person would write it: plain text where that says the same, otherwise HTML."""
    if not html.strip():
        return ""
    parsed = _parsed(html)
    text = parsed.text()
    if not parsed.lost and not _TAG_FIRST.match(text):
        return text
    return html if _TAG_FIRST.match(html) else f"<div>{html}</div>"


_NEVER_MORE = 9


class _Reader(HTMLParser):
    """Collects the text of a page; ``lost`` is whether plain text would not say all of it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lost = False
        self._parts: list[str] = []
        self._ended = _NEVER_MORE  # so many line ends are there already
        self._unshown = 0
        self._verbatim = 0
        self._lists: list[int | None] = []  # the number of the last entry; None for lists without numbers
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.lost = self.lost or tag not in _PLAIN_TAGS
        if tag in _UNSHOWN:
            self._unshown += 1
        elif tag == "br":
            self._parts.append("\n")
            self._ended += 1
        elif tag == "li":
            self._entry()
        elif tag == "a":
            self._links.append((next((value or "" for name, value in attrs if name == "href"), ""), len(self._parts)))
        elif tag in _PARAGRAPHS:
            self._break(tag)
            self._verbatim += tag == "pre"
            if tag in ("ul", "ol"):
                self._lists.append(0 if tag == "ol" else None)

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSHOWN:
            self._unshown = max(0, self._unshown - 1)
        elif tag == "a" and self._links:
            self._end_link(*self._links.pop())
        elif tag in _PARAGRAPHS:
            self._verbatim -= tag == "pre" and self._verbatim > 0
            if tag in ("ul", "ol") and self._lists:
                self._lists.pop()
            self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._unshown:
            return
        shown = data if self._verbatim else re.sub(r"\s+", " ", data)
        if self._verbatim or shown != " " or not self._ended:
            self._parts.append(shown)
            self._ended = 0

    def _break(self, tag: str) -> None:
        """Begin a new paragraph, in lists and tables a new line; nothing just after the sign of an entry."""
        wanted = 1 if self._lists or tag in ("td", "th", "tr") else 2
        if self._ended < wanted:
            self._parts.append("\n" * (wanted - self._ended))
            self._ended = wanted

    def _entry(self) -> None:
        if self._ended == 0:
            self._parts.append("\n")
        number = self._lists[-1] if self._lists else None
        if number is not None:
            self._lists[-1] = number + 1
        self._parts.append("- " if number is None else f"{number + 1}. ")
        self._ended = _NEVER_MORE

    def _end_link(self, address: str, begin: int) -> None:
        shown = " ".join("".join(self._parts[begin:]).split())
        if address and address != shown and not self._unshown:
            self._parts.append(f" ({address})" if shown else address)
            self._ended = 0

    def text(self) -> str:
        """Return what was collected."""
        return plain("".join(self._parts))


def _parsed(html: str) -> _Reader:
    reader = _Reader()
    if len(html) <= _LONGEST_PARSED:
        try:
            reader.feed(_closed(html))
            reader.close()
        except AssertionError:  # how html.parser refuses a "<![…" that it does not know
            pass
        else:
            return reader
    reader = _Reader()  # without what the other may have collected
    reader.handle_data(entities.unescape(re.sub(r"<[^<>]*>", " ", html)))
    reader.lost = True
    return reader


def _closed(html: str) -> str:
    """Return HTML without comments, and with each ``<`` that begins no tag written as text.

    For html.parser needs time in proportion to the square of their number.
    """
    parts, at = [], 0
    while (start := html.find("<!--", at)) >= 0 and (stop := html.find("-->", start)) >= 0:
        parts.append(html[at:start])
        at = stop + len("-->")
    return re.sub(r"<(?=[^<>]*(?:<|\Z))", "&lt;", "".join([*parts, html[at:]]))


# ---------------------------------------------------------------------------------------------------------------
# How to download
# ---------------------------------------------------------------------------------------------------------------


def how_to_download(name: str, address: str) -> str:
    """Return a paragraph for the description of an article that says how its data are downloaded.

    Parameters
    ----------
    name : str
        What the repository is called in the commands.
    address : str
        Number, DOI or address of the article.
    """
    lines = [
        f"<b>{HOW_TO_DOWNLOAD}</b>",
        "The data are ALF files: one array or table for each attribute of an object, such as spikes.times.",
        "The program onelight searches, downloads and loads them. In a terminal:",
        entities.escape(f"onelight add-repo {shlex.quote(name)} --figshare {shlex.quote(address)}", quote=False),
        entities.escape(f"onelight repo {shlex.quote(name)}", quote=False),
        "onelight search",
        "In Python:",
        "import onelight as one",
        "sessions = one.search()",
        "print(one.list(sessions[0]))",
    ]
    return f"<p>{'<br>'.join(lines)}</p>"


def has_how_to_download(html: str) -> bool:
    """Return whether a description says how to download already, from us or from the first client of 2019."""
    words = " ".join(text_of(html).split())
    return any(phrase in text for phrase in (HOW_TO_DOWNLOAD, _FIRST_CLIENT) for text in (html, words))


def with_how_to_download(html: str, how: str) -> str:
    """Return a description with a block added at its end that says how to download, unless it has one.

    Raises
    ------
    ConfigError
        If it becomes longer than figshare allows.
    """
    return html if has_how_to_download(html) else _fitting(html + how)


def without_how_to_download(html: str) -> str:
    """Return a description without the block that says how to download; all else stays byte for byte."""
    for phrase, begin, end in (
        (HOW_TO_DOWNLOAD, "<p", "</p>"),
        (_FIRST_CLIENT, "<h3", "</blockquote>"),
    ):
        at = html.find(phrase)
        start, stop = html.rfind(begin, 0, max(at, 0)), html.find(end, at)
        if at >= 0 and start >= 0 and stop >= 0 and end not in html[start:at]:
            before, after = html[:start], html[stop + len(end) :]
            if phrase == _FIRST_CLIENT:  # it put <br> around its block, one for each line
                before, after = re.sub(r"(?:<br ?/?>\s*)+\Z", "", before), re.sub(r"\A(?:\s*<br ?/?>)+", "", after)
            html = before + after
    return html


def _fitting(html: str) -> str:
    if len(html) > LONGEST_DESCRIPTION:
        raise ConfigError(
            f"the description has {len(html):,} characters as HTML; figshare takes {LONGEST_DESCRIPTION:,}",
            hint=f"Make it shorter by {len(html) - LONGEST_DESCRIPTION:,}",
        )
    return html


def numbered_title(title: str, part: int) -> str:
    """Return the title of one of several articles that hold the data together.

    Raises
    ------
    ConfigError
        If the part is not 1 or more.

    Examples
    --------
    >>> numbered_title("Two mice", 1), numbered_title("Two mice", 2)
    ('Two mice', 'Two mice (part 2)')
    """
    if part < 1:
        raise ConfigError(f"there is no part {part}", hint="Parts count from 1")
    suffix = f" (part {part})" if part > 1 else ""
    room = LONGEST_TITLE - len(suffix)
    return (title if len(title) <= room else title[:room].rstrip()) + suffix
