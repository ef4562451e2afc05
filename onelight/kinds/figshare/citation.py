"""How an article is cited: as a sentence, and as an entry of BibTeX.

Both are made from the record that figshare answers with; what it lacks is left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from onelight.kinds.figshare.metadata import description_of

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# BibTeX counts every brace, also one after a backslash, so that braces become commands without an odd one.
_TEX = {
    "\\": r"{\textbackslash}",
    "{": r"{\textbraceleft}",
    "}": r"{\textbraceright}",
    "~": r"{\textasciitilde}",
    "^": r"{\textasciicircum}",
    **{char: f"\\{char}" for char in "&%$#_"},
}


def citation(record: Mapping[str, Any]) -> str:
    """Return how an article is to be cited: in figshare's own words if it has some, otherwise in the same form.

    Examples
    --------
    >>> citation({"title": "Two mice", "authors": [{"full_name": "Ada Lovelace"}], "defined_type_name": "dataset",
    ...           "published_date": "2026-11-22T00:00:00Z", "doi": "10.6084/m9.figshare.1.v2"})
    'Ada Lovelace (2026). Two mice. figshare. Dataset. https://doi.org/10.6084/m9.figshare.1.v2'
    """
    own = _line(record.get("citation"))
    if own:
        return own
    year, _ = _published(record)
    when = f"({year or 'not published'})."
    names = "; ".join(f"{last}, {first}" if first else last for last, first in _names(record))
    title = _line(record.get("title")) or "Untitled"
    ended = title if title[-1] in ".!?" else f"{title}."
    kind = _line(description_of(record).item_type) or "dataset"
    doi = _doi(record)
    where = f"https://doi.org/{doi}" if doi else _page(record)
    first = [names, when, ended] if names else [ended, when]
    return " ".join([*first, "figshare.", f"{kind[0].upper()}{kind[1:]}.", where]).strip()


def bibtex(record: Mapping[str, Any]) -> str:
    r"""Return an entry for BibTeX and biblatex.

    It is a ``@misc``: every style of BibTeX knows that, while ``@dataset`` is biblatex's alone, and styles of BibTeX
    warn of it. biblatex prints the type from ``type``. Letters outside ASCII stay as they are. ``doi`` and ``url`` are
    not escaped, because biblatex, and ``\url`` in styles of BibTeX, take them word for word.

    Examples
    --------
    >>> print(bibtex({"id": 1, "title": "Mice & men", "version": 2, "doi": "10.6084/m9.figshare.1.v2",
    ...     "authors": [{"first_name": "Ada", "last_name": "Lovelace"}], "published_date": "2026-11-22T00:00:00Z"}))
    @misc{Lovelace2026_1,
      author = {Lovelace, Ada},
      title = {{Mice \& men}},
      year = {2026},
      month = nov,
      publisher = {figshare},
      type = {Dataset},
      version = {2},
      doi = {10.6084/m9.figshare.1.v2},
      url = {https://doi.org/10.6084/m9.figshare.1.v2}
    }
    """
    year, month = _published(record)
    doi, page = _doi(record), _page(record)
    kind = _line(description_of(record).item_type) or "dataset"
    version = record.get("version")
    names = _names(record)
    entry = {
        "author": _braced(" and ".join(_tex_name(last, first) for last, first in names)),
        "title": f"{{{{{_tex(_line(record.get('title')) or 'Untitled')}}}}}",  # twice: styles leave its case alone
        "year": _braced(year),
        "month": _MONTHS[month - 1] if month else "",  # a word that every style defines, and so without braces
        "publisher": "{figshare}",
        "type": _braced(_tex(f"{kind[0].upper()}{kind[1:]}")),
        "version": _braced(str(version) if isinstance(version, int) and version > 0 else ""),
        "doi": _braced(_verbatim(doi)),
        "url": _braced(_verbatim(f"https://doi.org/{doi}" if doi else page)),
        "note": "" if doi or year else "{Draft, not published}",
    }
    lines = ",\n".join(f"  {name} = {value}" for name, value in entry.items() if value)
    return f"@misc{{{_key(names, year, record.get('id'))},\n{lines}\n}}"


def _key(names: list[tuple[str, str]], year: str, number: Any) -> str:
    letters = unicodedata.normalize("NFKD", names[0][0] if names else "")
    first = re.sub(r"[^A-Za-z]", "", letters) or "figshare"
    return f"{first}{year}_{number}" if isinstance(number, int) else f"{first}{year}"


def _names(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return family and given names; the given is empty where figshare has the name in one piece only."""
    found = []
    authors = record.get("authors")
    for author in authors if isinstance(authors, (list, tuple)) else ():
        if not isinstance(author, Mapping):
            continue
        last, first = _line(author.get("last_name")), _line(author.get("first_name"))
        full = _line(author.get("full_name")) or _line(author.get("name"))
        name = (last, first) if last and first else (full or last or first, "")
        if name[0]:
            found.append(name)
    return found


def _tex_name(last: str, first: str) -> str:
    """Return a name so that "and" and commas in it part nothing."""
    if first:
        return f"{_one_piece(last)}, {_one_piece(first)}"
    return _one_piece(last)


def _one_piece(name: str) -> str:
    parts = re.search(r",|(?:^|\s)and(?:\s|$)", name, re.IGNORECASE)
    # "others" alone would be printed as "et al."
    return f"{{{_tex(name)}}}" if parts or name.casefold() == "others" else _tex(name)


def _published(record: Mapping[str, Any]) -> tuple[str, int]:
    """Return year and month of publication; an empty text and 0 for a draft."""
    timeline = record.get("timeline")
    posted = timeline.get("posted") if isinstance(timeline, Mapping) else None
    for date in (record.get("published_date"), posted):
        found = re.match(r"([0-9]{4})-(0[1-9]|1[0-2])(?![0-9])", date) if isinstance(date, str) else None
        if found:
            return found[1], int(found[2])
    return "", 0


def _doi(record: Mapping[str, Any]) -> str:
    return re.sub(r"\A(?:https?://(?:dx\.)?doi\.org/|doi:\s*)", "", _line(record.get("doi")), flags=re.IGNORECASE)


def _page(record: Mapping[str, Any]) -> str:
    if not _published(record)[0]:  # the page of a draft is its owner's only
        return ""
    return _line(record.get("figshare_url")) or _line(record.get("url_public_html"))


def _line(value: Any) -> str:
    """Return a text in one line, without what cannot be printed."""
    if not isinstance(value, str):
        return ""
    words = " ".join(value.split())
    return "".join(char for char in words if unicodedata.category(char) not in ("Cc", "Cs"))


def _tex(text: str) -> str:
    return "".join(_TEX.get(char, char) for char in text)


def _verbatim(address: str) -> str:
    return quote(address, safe="!#$%&'()*+,/:;=?@[]~_.-<>") if re.search(r"[\s{}\\]", address) else address


def _braced(text: str) -> str:
    return f"{{{text}}}" if text else ""
