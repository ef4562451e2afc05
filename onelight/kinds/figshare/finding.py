"""From what people paste to an article: asked of figshare, so that what is added is there and is what was meant."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import quote

from onelight.errors import AccessDenied, NotFound, OneError, RepositoryNotFound
from onelight.kinds.figshare.address import Address, read_address
from onelight.kinds.figshare.api import HOW_TO_SIGN_IN, Api, as_documented
from onelight.kinds.figshare.article import Article, File
from onelight.kinds.figshare.reading import Reader, is_part, referenced
from onelight.kinds.figshare.states import why_no_files

#: Of so many references it is looked whether they are parts.
_MOST_PARTS = 20


class Found(NamedTuple):
    """An article, as figshare shows it to who asks.

    Parameters
    ----------
    article_id : int
        Its number.
    version : int or None
        The version that was asked for; None for the newest.
    shown : int or None
        The version that is shown; None for a draft.
    title, doi, license : str
        What it says of itself.
    files, size : int
        How many files it has, and their bytes.
    remark : str
        Why its files cannot be had, if so.
    """

    article_id: int
    version: int | None
    shown: int | None
    title: str
    doi: str
    license: str
    files: int
    size: int
    remark: str = ""


def find(api: Api, text: str) -> Found:
    """Return the article that a text means.

    Raises
    ------
    ConfigError
        If the text means no article.
    RepositoryNotFound
        If figshare knows no such article, or shows it to its owner only.
    """
    address = read_address(text)
    number = address.article_id
    if number is None or address.is_guess:
        number = _by_doi(api, address)
    article = Article(api, number)
    path, record, remark = _record(article, address)
    with as_documented(api.url):
        shown = int(record.get("version") or 0) or None
        license_ = str((record.get("license") or {}).get("name") or "")
        files = article.list_files(path)
        for number_of_part in referenced(record, article)[:_MOST_PARTS]:  # its files may be in several articles
            files += _files_of_part(Article(api, number_of_part), article, private=path == article.own)
        none = None if files or path == article.own else why_no_files(record, article.page)
        return Found(
            article_id=number,
            version=address.version,
            shown=None if path == article.own and not shown else shown,
            title=str(record.get("title") or ""),
            doi=str(record.get("doi") or ""),
            license=license_,
            files=len(files),
            size=sum(file.size for file in files),
            remark=none.message if none is not None else remark,
        )


def _files_of_part(part: Article, first: Article, *, private: bool) -> list[File]:
    path = part.own if private else part.public
    try:
        return part.list_files(path) if is_part(part.api.record(path), first) else []
    except (AccessDenied, NotFound):  # somebody else's draft, or no longer there
        return []


def _record(article: Article, address: Address) -> tuple[str, dict[str, Any], str]:
    """Return the view that is shown, what it says, and a remark: a version, the owner's draft, or what is public."""
    if address.version is not None:
        view = Reader([article], address.version).public_view()  # which knows the versions that there are
        return view.path, view.record, ""
    remark = ""
    if article.api.token:
        try:
            return article.own, article.api.record(article.own), ""
        except NotFound:
            pass  # somebody else's, which is no fault
        except AccessDenied:
            remark = "figshare does not accept the token"
    try:
        return article.public, article.api.record(article.public), remark
    except NotFound as error:
        raise RepositoryNotFound(
            f"figshare shows nobody an article {article.number}: {error.message}",
            hint="A draft is shown to its owner only: "
            + ("is this token its owner's?" if article.api.token else HOW_TO_SIGN_IN),
        ) from error


def _by_doi(api: Api, address: Address) -> int:
    """Return the article that has a DOI: that of its digits if it has it, else the one that figshare finds."""
    if address.article_id is not None:
        try:
            record = api.record(Article(api, address.article_id).public)
        except OneError as error:
            if not isinstance(error, (NotFound, AccessDenied)):
                raise
        else:
            if _bare(str(record.get("doi") or "")) == _bare(address.doi):
                return address.article_id
    for doi in dict.fromkeys([address.doi, _bare(address.doi)]):
        rows = api.call("GET", f"articles?doi={quote(doi, safe='')}").json()
        with as_documented(api.url):
            if rows:
                return int(rows[0]["id"])
    raise RepositoryNotFound(
        f"figshare has no public article with the DOI {address.doi}",
        hint="Open the page of the DOI: if it is at figshare, give the address of that page or its number",
    )


def _bare(doi: str) -> str:
    """Return a DOI without its version, for comparing: case does not count (DOI Handbook, 2.4)."""
    return re.sub(r"\.v\d+$", "", doi.strip().lower())
