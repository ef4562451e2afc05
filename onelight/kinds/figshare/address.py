"""What people paste for an article of figshare, and which article and version it means.

Nothing is asked of any server: what cannot be known from the text alone is marked as such. The host of an address
is not looked at, because portals have domains of their own (``repository.lboro.ac.uk/articles/…``); its path is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from onelight.alf import printable
from onelight.errors import ConfigError

FORMS = "a number, an address https://figshare.com/articles/…/NUMBER, or a DOI (10.6084/m9.figshare.NUMBER)"

_LONGEST = 2000  # browsers cut addresses at about this length
_LARGEST = 2**53  # from here on JSON numbers are not exact
_DIGITS = re.compile(r"[0-9]+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20})://")
_NUMBER = re.compile(r"([0-9]+)(?:(?:\.v|/v?)([0-9]+))?", re.IGNORECASE)
_DOI_LABEL = re.compile(r"(?:info:doi/|urn:doi:|doi:)\s*", re.IGNORECASE)
_DOI_PREFIX = re.compile(r"10\.[0-9]{4,9}(?:\.[0-9]{1,9})?")
_VERSION_SUFFIX = re.compile(r"\.v([0-9]+)", re.IGNORECASE)
_OF_FIGSHARE = re.compile(r"(?:.*[./])?figshare\.(?:plus\.)?([0-9]+)", re.IGNORECASE)
_OF_COLLECTION = re.compile(r"(?:.*[./])?c\.[0-9]+", re.IGNORECASE)
# A DOI of an institution ends in the number of its article, but a publisher's may end in any digits; below six,
# and after a leading zero, they are never figshare's.
_GUESSED = re.compile(r"(?:.*[./])?([1-9][0-9]{5,15})")
_VERSION_DIGITS = 4  # the second of two trailing numbers with more digits than this is the article, not a version
_RESOLVERS = ("doi.org", "www.doi.org", "dx.doi.org")


@dataclass(frozen=True, slots=True)
class Address:
    """An article, as far as a text says which.

    Parameters
    ----------
    article_id : int or None
        Its number; None where only a DOI is known, to be looked up (``articles?doi=…``).
    version : int or None
        The version asked for; None for the latest.
    doi : str
        The DOI, without resolver and with its version as pasted; empty if none was pasted.
    is_guess : bool
        The number is the end of an institution's DOI: right only if that article has this DOI.
    private : bool
        An address of an account: its owner's token is needed.
    """

    article_id: int | None
    version: int | None = None
    doi: str = ""
    is_guess: bool = False
    private: bool = False


def read_address(text: str) -> Address:
    """Return what a pasted text says: a number, an address of a web page or of the API, or a DOI.

    Raises
    ------
    ConfigError
        If it is something else, such as a collection or a single file: the message says what, the hint what to do.

    Examples
    --------
    >>> read_address("https://figshare.com/articles/dataset/Some_title/9974357/3")
    Address(article_id=9974357, version=3, doi='', is_guess=False, private=False)
    >>> read_address("doi:10.6084/m9.figshare.9974357.v3").doi
    '10.6084/m9.figshare.9974357.v3'
    >>> read_address("10.1371/journal.pone.0039704").article_id is None
    True
    """
    pasted = text.strip().lstrip("<\"'").rstrip(">\"'.,; ")  # as it stands in a mail or at the end of a sentence
    if not pasted:
        raise ConfigError("no article was given", hint=f"Give {FORMS}")
    if len(pasted) > _LONGEST:
        raise _refusal(pasted, "is too long for an address")
    number = _NUMBER.fullmatch(pasted.rstrip("/"))
    if number:
        return _article(number[1], number[2], pasted)
    label = _DOI_LABEL.match(pasted)
    if label:
        return _read_doi(unquote(_without_query(pasted[label.end() :])), pasted)
    if _DOI_PREFIX.match(pasted) and "/" in unquote(pasted):
        return _read_doi(unquote(_without_query(pasted)), pasted)
    return _read_url(pasted)


# ---------------------------------------------------------------------------------------------------------------
# DOIs
# ---------------------------------------------------------------------------------------------------------------


def _read_doi(doi: str, pasted: str) -> Address:
    doi = doi.strip().strip("/")
    prefix, _, suffix = doi.partition("/")
    if not _DOI_PREFIX.fullmatch(prefix) or not suffix or not doi.isprintable() or " " in doi:
        raise _refusal(pasted, "is not a DOI", f"A DOI looks like 10.6084/m9.figshare.NUMBER. Give {FORMS}")
    base, version = suffix, None
    found = _VERSION_SUFFIX.fullmatch(suffix, max(0, suffix.lower().rfind(".v")))
    if found:
        base, version = suffix[: found.start()], found[1]
    if _OF_COLLECTION.fullmatch(base):
        raise _collection(pasted)
    exact = _OF_FIGSHARE.fullmatch(base)
    if exact:
        return replace(_article(exact[1], version, pasted), doi=doi)
    guessed = _GUESSED.fullmatch(base)
    if guessed and int(guessed[1]) <= _LARGEST:
        return replace(_article(guessed[1], version, pasted), doi=doi, is_guess=True)
    return Address(None, _version(version, pasted), doi)


# ---------------------------------------------------------------------------------------------------------------
# Addresses of pages and of the API
# ---------------------------------------------------------------------------------------------------------------


def _read_url(pasted: str) -> Address:
    scheme = _SCHEME.match(pasted)
    if scheme and scheme[1].lower() not in ("http", "https"):
        raise _refusal(pasted, "is not a web address")
    rest = pasted[scheme.end() :] if scheme else pasted.removeprefix("//")
    if not scheme and "/" not in rest:
        raise _refusal(pasted, "is not an article of figshare")
    host, _, path = _without_query(rest).partition("/")
    host = host.rpartition("@")[2].lower()
    parts = [part for part in unquote(path).split("/") if part]
    if host in _RESOLVERS:
        return _read_doi("/".join(parts), pasted)
    words = [part.lower() for part in parts]
    at = _place_of_article(words)
    if at is None:
        doi = next((n for n, part in enumerate(parts[:-1]) if _DOI_PREFIX.fullmatch(part)), None)
        if doi is not None:
            return _read_doi("/".join(parts[doi:]), pasted)
        raise _not_an_article(words, pasted)
    article_id, version = _numbers(words[at + 1 :], pasted)
    return replace(_article(article_id, version, pasted), private="account" in words[:at])


def _place_of_article(words: list[str]) -> int | None:
    """Return where a path says ``articles``, or ``items``, the word of the newer pages and of version 3 of the API."""
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if word == "articles" and before not in ("projects", "collections"):  # those would have a title there
            return place
        if word == "items" and before in ("account", "v3"):
            return place
    return None


def _numbers(rest: list[str], pasted: str) -> tuple[str, str | None]:
    """Return article and version from what follows ``articles``: [TYPE/][TITLE/]ID[/VERSION], ID/files/…, ID/edit."""
    runs = [n for n, word in enumerate(rest) if _DIGITS.fullmatch(word)]
    if not runs:
        raise _refusal(pasted, "is an address without the number of an article", f"Open the article, and give {FORMS}")
    if 0 in runs and 1 not in runs:  # the API: a title never comes after a number
        with_version = rest[1:2] == ["versions"] and 2 in runs
        return rest[0], rest[2] if with_version else None
    last = runs[-1]
    if len(rest) > 2 and rest[last - 1] == "versions" and last - 2 in runs:
        return rest[last - 2], rest[last]
    if last - 1 in runs and len(rest[last]) <= _VERSION_DIGITS:
        return rest[last - 1], rest[last]
    return rest[last], None


def _not_an_article(words: list[str], pasted: str) -> ConfigError:
    """Say what an address is that has no article in it."""
    if "collections" in words:
        return _collection(pasted)
    if "projects" in words:
        return _refusal(
            pasted,
            "is a project, not an article",
            f"Open it, choose one of its articles, and give {FORMS}",
        )
    if "s" in words[:-1]:
        # Whoever has the address may read what it leads to, so that it is not repeated.
        return ConfigError(
            "this is a private link for reviewers, from which the article cannot be found",
            hint=f"Ask its owner for the number of the article, or to publish it, and give {FORMS}",
        )
    if any(word in ("files", "file", "ndownloader") for word in words):
        return _refusal(
            pasted,
            "is a single file, not an article",
            f"A repository is a whole article: open the page that the file is on, and give {FORMS}",
        )
    if "authors" in words:
        return _refusal(pasted, "is the page of an author, not an article")
    return _refusal(pasted, "is not an article of figshare")


# ---------------------------------------------------------------------------------------------------------------
# What all have in common
# ---------------------------------------------------------------------------------------------------------------


def _article(number: str, version: str | None, pasted: str) -> Address:
    if number[0] == "0" or int(number) > _LARGEST:
        raise _refusal(pasted, "has no number that an article can have")
    return Address(int(number), _version(version, pasted))


def _version(digits: str | None, pasted: str) -> int | None:
    if digits is None:
        return None
    if len(digits) > 9 or int(digits) == 0:
        raise _refusal(
            pasted,
            f"asks for version {digits[:9]}{'…' * (len(digits) > 9)}, which cannot be",
            "Versions count from 1; without one, the latest is taken",
        )
    return int(digits)


def _without_query(text: str) -> str:
    return text.partition("#")[0].partition("?")[0]


def _collection(pasted: str) -> ConfigError:
    return _refusal(pasted, "is a collection, not an article", f"Open it, choose one of its articles, and give {FORMS}")


def _refusal(pasted: str, what: str, hint: str = "") -> ConfigError:
    # A query, and what stands before an @, may be a token.
    scheme, mark, rest = _without_query(pasted).rpartition("://")
    host, slash, path = rest.partition("/")
    shown = f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"
    return ConfigError(f"{printable(shown)} {what}", hint=hint or f"Give {FORMS}")
