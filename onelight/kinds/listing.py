"""What a web server shows of a folder: directory pages, and WebDAV answers. Text in, items out; nothing is asked.

A directory page has no standard. It is read by its links alone, so that nginx, Apache, Caddy, lighttpd, rclone,
``python -m http.server`` and ``onelight serve`` are read by the same few rules. A WebDAV answer is that of RFC 4918.

Both come from outside and may be hostile. So only names directly below the address that was asked get out, each of
them one that :func:`onelight.alf.safe.check_safe` accepts; whoever asks further makes the address himself, from his own
address and the name. Work and memory grow with the length of the page and not faster.
"""

from __future__ import annotations

import re
from html import unescape
from typing import NamedTuple
from urllib.parse import unquote, unquote_to_bytes, urlsplit
from xml.parsers import expat

from onelight.alf.safe import check_safe
from onelight.errors import OneError, RepositoryError, UnsafeData
from onelight.route import origin_of, redact

#: More than this is no folder: a session has some hundred files. Caddy writes 1.1 kB for each, nginx 150 bytes.
MAX_PAGE = 32 << 20
MAX_LINKS = 100_000
# Tags of a page, elements of an answer: Caddy and Apache have 15 and 22 for each entry.
MAX_TAGS = 1_000_000
# A tag with its attributes, or the text of a property. Names have 255 bytes, three characters each when quoted.
MAX_TAG = 64 << 10
# multistatus, response, propstat, prop, lockdiscovery and what is in it: a dozen. Each level costs memory.
MAX_DEPTH = 100
# What stands behind a link is a date and a size; descriptions that Apache shows may follow.
_BEHIND = 256
_STAMP = 64
_ETAG = 256
_CHECKSUMS = 1024

# HTML, "13.2.5 Tokenization": what begins a comment, something else that is no text, or a tag.
_MARK = re.compile(r"<(?:!--|[!?]|/?[a-zA-Z])")
_TAG_NAME = re.compile(r"</?([a-zA-Z][^\s/>]*)")
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)))?""")
_TAG_END = re.compile(r"[\s/]*>")
# Elements whose text is no HTML: what looks like a link in a script is none.
_RAW = {
    name: re.compile(f"</{name}", re.IGNORECASE)
    for name in ("iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp")
}
_ROW_ENDS = frozenset({"hr", "li", "pre", "table", "tr", "ul"})
# 22-Nov-2026 22:07 (nginx), 2026-11-22 22:07 (Apache, ours), 2026-Nov-22 22:07:42 (lighttpd)
_DAY = r"(?:[0-9]{1,2}-[A-Z][a-z]{2}-[0-9]{4}|[0-9]{4}-(?:[0-9]{2}|[A-Z][a-z]{2})-[0-9]{2})"
_TIME = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?"
# Only a number that stands alone is a number of bytes. What follows one space may be its unit.
_BEHIND_LINK = re.compile(rf"[\s/]*({_DAY} {_TIME})(?:\s+([0-9]{{1,19}})(?=\s\s|\s*$))?")
_BYTES = re.compile("[0-9]{1,19}")

_SPACES = " \t\n\f\r"
# Browsers drop tabs and line ends inside of an address, and read "\" as "/": neither is in an address that is well
# quoted (RFC 3986). "?" and "#" begin what is no name: Apache sorts by ?C=N;O=D. U+FFFD was another character once.
_REFUSED = re.compile(r"[\x00-\x20\x7f-\x9f\\?#\ufffd]")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Item(NamedTuple):
    """A file or folder as a server shows it.

    Parameters
    ----------
    name : str
        Its name, one part of a path.
    is_folder : bool
        Whether it is a folder.
    size : int, optional
        Bytes of the file; None where the server shows none, or only about how many ("1.2K").
    modified : str
        When it was changed, in the words of the server: to be compared, not to be reckoned with. May be empty.
    etag : str
        Its entity tag, where the server gives one (WebDAV).
    checksums : str
        What ownCloud and Nextcloud say of its content: ``SHA1:… MD5:…``.
    """

    name: str
    is_folder: bool
    size: int | None
    modified: str
    etag: str = ""
    checksums: str = ""


def read_page(html: str, url: str) -> list[Item]:
    """Read a directory page by its links.

    Parameters
    ----------
    html : str
        The page.
    url : str
        Address of the folder that it shows.

    Returns
    -------
    list of Item
        In the order of the page, each name once. A link that does not lead to a name directly below `url` is none.

    Raises
    ------
    UnsafeData
        If the page is longer than :data:`MAX_PAGE`, has more than :data:`MAX_LINKS` links, or something in it begins
        and does not end: what can be read of such a page would pass for the whole folder.

    Examples
    --------
    >>> page = '<pre><a href="../">../</a>\\n<a href="%231.npy">#1.npy</a>   22-Nov-2026 22:07   8904\\n</pre>'
    >>> read_page(page, "https://a.org/alf/")
    [Item(name='#1.npy', is_folder=False, size=8904, modified='22-Nov-2026 22:07', etag='', checksums='')]
    """
    _check_length(len(html), url)
    page = _Page(url)
    at = 0
    for _ in range(MAX_TAGS):
        mark = _MARK.search(html, at)
        page.text(html, at, mark.start() if mark is not None else len(html))
        if mark is None:
            break
        at = _after(html, mark, page)
    else:
        raise UnsafeData(f"the page at {redact(url)} is refused: it has more than {MAX_TAGS:,} tags")
    page.end_row()
    return [] if page.is_elsewhere else list(page.items.values())


def read_multistatus(xml: bytes, url: str) -> list[Item]:
    """Read what a WebDAV server answers to PROPFIND with ``Depth: 1`` (RFC 4918, sections 9.1 and 13).

    Parameters
    ----------
    xml : bytes
        The answer.
    url : str
        Address of the folder that was asked for.

    Returns
    -------
    list of Item
        In the order of the answer, each name once, without the folder itself.

    Raises
    ------
    UnsafeData
        If the answer has a document type or a limit is passed.
    RepositoryError
        If it is no such answer.

    Examples
    --------
    >>> xml = b'''<multistatus xmlns="DAV:"><response><href>/alf/x%20y.npy</href><propstat><prop>
    ...   <getcontentlength>12</getcontentlength></prop><status>HTTP/1.1 200 OK</status></propstat></response>
    ... </multistatus>'''
    >>> read_multistatus(xml, "https://a.org/alf/")
    [Item(name='x y.npy', is_folder=False, size=12, modified='', etag='', checksums='')]
    """
    _check_length(len(xml), url)
    return _Multistatus(url).read(xml)


# HTML ---------------------------------------------------------------------------------------------------------------


# html.parser takes 12 seconds for 10,000 times "<a " and four times as long for twice as many (CVE-2025-6069 and others
# like it, mended in the last releases of each Python only), and "<![<![" ends it with AssertionError. A directory page
# is made of little: it is read here from left to right, and what does not end within MAX_TAG ends the reading, so that
# nothing is looked at again and again.
def _after(html: str, mark: re.Match[str], page: _Page) -> int:
    """Take in what begins at a mark; return where it ends."""
    start = mark.start()
    if mark[0] == "<!--":
        return _end(html.find("-->", start + 2), page.url) + 3
    if mark[0] in ("<!", "<?"):
        return _end(html.find(">", start), page.url) + 1
    name, attributes, end = _tag(html, start, page.url)
    if mark[0].startswith("</"):
        page.end_tag(name)
        return end
    page.start_tag(name, attributes)
    if name not in _RAW:
        return end
    close = _RAW[name].search(html, end)
    return _end(close.start() if close is not None else -1, page.url)


def _tag(html: str, start: int, url: str) -> tuple[str, dict[str, str], int]:
    """Return the name and the attributes of the tag that begins at a place, and where it ends."""
    limit = start + MAX_TAG
    found = _TAG_NAME.match(html, start, limit)
    at = found.end() if found is not None else limit
    attributes: dict[str, str] = {}
    while (end := _TAG_END.match(html, at, limit)) is None:
        one = _ATTRIBUTE.match(html, at, limit)
        if one is None:
            at = _end(-1, url)
        else:
            # Of attributes of one name the first one counts.
            attributes.setdefault(one[1].lower(), _plain(one[2] or one[3] or one[4] or ""))
            at = one.end()
    return found[1].lower() if found is not None else "", attributes, end.end()


def _plain(text: str) -> str:
    """Return text without character references; one of thousands of digits, at which `int` refuses, makes it none."""
    try:
        return unescape(text)
    except ValueError:
        return ""


def _end(at: int, url: str) -> int:
    if at < 0:
        raise UnsafeData(
            f"the page at {redact(url)} is refused: a tag or comment in it does not end, or has more than 64 KiB",
            hint="If it was cut on its way, ask again",
        )
    return at


class _Page:
    """What was read of a page so far: items, and the link whose row is being read."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.items: dict[tuple[str, bool], Item] = {}
        self.is_elsewhere = False
        self._place = _Place(url)
        self._links = 0
        self._link: tuple[str, bool] | None = None
        self._is_behind = False
        self._behind = ""
        self._size = self._modified = ""

    def text(self, html: str, start: int, stop: int) -> None:
        """Take text behind a link."""
        if self._is_behind and stop > start and len(self._behind) < _BEHIND:
            self._behind += _plain(html[start : min(stop, start + _BEHIND)]).replace("\n", "  ")

    def start_tag(self, name: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        if name == "a" and "href" in attributes:
            self._begin_row(attributes["href"])
        elif name == "base" and "href" in attributes:
            # All links of such a page lead to another place.
            self.is_elsewhere |= self._place.parts_of(attributes["href"]) != [*self._place.parts, ""]
        elif name in _ROW_ENDS:
            self.end_row()
        elif self._is_behind:
            # Caddy and rclone: <td data-order="8904">8.7 KiB</td>, since Caddy 2.7 and here <td data-size="8904">
            self._size = self._size or attributes.get("data-size", "") or attributes.get("data-order", "")
            self._modified = self._modified or (attributes.get("datetime", "") if name == "time" else "")

    def end_tag(self, name: str) -> None:
        """Take the end of an element."""
        if name == "a":
            self._is_behind = self._link is not None
        elif name in _ROW_ENDS:
            self.end_row()
        elif name in ("td", "th") and len(self._behind) < _BEHIND:
            self._behind += "  "

    def end_row(self) -> None:
        """Make an item of a link and what is behind it."""
        if self._link is None:
            return
        (name, is_folder), self._link = self._link, None
        found = _BEHIND_LINK.match(self._behind)
        shown = found or (None, "", None)
        size = (self._size if _BYTES.fullmatch(self._size) else "") or shown[2]
        modified = " ".join((self._modified or shown[1])[:_STAMP].split())
        _add(self.items, Item(name, is_folder, int(size) if size and not is_folder else None, modified))
        self._is_behind = False

    def _begin_row(self, href: str) -> None:
        self.end_row()
        self._links += 1
        if self._links > MAX_LINKS:
            raise UnsafeData(f"the page at {redact(self.url)} is refused: it has more than {MAX_LINKS:,} links")
        self._link = self._place.below(href)
        self._is_behind, self._behind, self._size, self._modified = False, "", "", ""


# WebDAV -------------------------------------------------------------------------------------------------------------


# xml.etree would build the whole tree, and expand entities on the way. With expat a document type is refused where it
# begins, before any entity is declared (RFC 4918, section 20.6, warns of them): no billion laughs, no files of this
# computer. Older versions of expat take quadratic time for a long token that comes in pieces (CVE-2023-52425), so that
# the answer is given to it as one.
class _Multistatus:
    """Reads one answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._place = _Place(url)
        self._items: dict[tuple[str, bool], Item] = {}
        self._open: list[str] = []
        self._text: list[str] | None = None
        self._length = self._elements = self._responses = 0
        self._response: dict[str, str] = {}
        self._properties: dict[str, str] = {}

    def read(self, xml: bytes) -> list[Item]:
        """Return the items of an answer."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(xml, True)
        except OneError:
            raise
        except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: an encoding nobody knows
            raise RepositoryError(f"the answer of {redact(self._url)} to PROPFIND is no XML: {error}") from error
        return list(self._items.values())

    def _refuse(self, reason: str) -> UnsafeData:
        return UnsafeData(f"the answer of {redact(self._url)} to PROPFIND is refused: {reason}")

    def _refuse_doctype(self, *_: object) -> None:
        raise self._refuse("it has a document type, which may declare entities")

    def _start(self, name: str, _: object) -> None:
        if not self._open and name != "DAV: multistatus":
            raise RepositoryError(
                f"the answer of {redact(self._url)} to PROPFIND is not one of WebDAV",
                hint="Is this the address of a WebDAV folder?",
            )
        self._open.append(name)
        self._elements += 1
        if self._elements > MAX_TAGS:
            raise self._refuse(f"it has more than {MAX_TAGS:,} elements")
        if len(self._open) > MAX_DEPTH:
            raise self._refuse(f"it is nested more than {MAX_DEPTH} deep")
        if name == "DAV: response":
            self._responses += 1
            if self._responses > MAX_LINKS:
                raise self._refuse(f"it has more than {MAX_LINKS:,} entries")
            self._response, self._properties = {}, {}
        elif name == "DAV: propstat":
            self._properties = {}
        elif name == "DAV: collection" and self._open[-2] == "DAV: resourcetype":
            self._properties["is_folder"] = "yes"
        self._text, self._length = ([], 0) if tuple(self._open[-2:]) in _WANTED else (None, 0)

    def _characters(self, text: str) -> None:
        if self._text is None:
            return
        self._length += len(text)
        if self._length > MAX_TAG:
            raise self._refuse("a property in it is longer than 64 KiB")
        self._text.append(text)

    def _end(self, name: str) -> None:
        place = tuple(self._open[-2:])
        self._open.pop()
        text = "".join(self._text or ()).strip(_SPACES)
        self._text = None
        if place in _WANTED:
            known = self._response if place[0] == "DAV: response" else self._properties
            known[name] = f"{known[name]} {text}" if name == _CHECKSUM and name in known else text
        elif name == "DAV: resourcetype":
            self._properties.setdefault("is_folder", "")
        elif name == "DAV: propstat":
            # Properties that a server does not have come in a group of their own, with 404.
            if _is_good(self._properties.pop("DAV: status", "")):
                self._response.update(self._properties)
        elif name == "DAV: response":
            self._add()

    def _add(self) -> None:
        known, found = self._response, self._place.below(self._response.get("DAV: href", ""))
        if found is None or not _is_good(known.get("DAV: status", "")):
            return
        # A folder need not end with a slash; what says that it is none is none, whatever it ends with.
        is_folder = bool(known["is_folder"]) if "is_folder" in known else found[1]
        length = known.get("DAV: getcontentlength", "")
        size = int(length) if _BYTES.fullmatch(length) and not is_folder else None
        etag = known.get("DAV: getetag", "")
        modified = " ".join(known.get("DAV: getlastmodified", "")[:_STAMP].split())
        is_usable = len(etag) <= _ETAG and etag.isascii() and etag.isprintable()
        checksums = known.get(_CHECKSUM, "")[:_CHECKSUMS]
        _add(self._items, Item(found[0], is_folder, size, modified, etag if is_usable else "", checksums))


# ownCloud's and Nextcloud's own property. Some write one element, others one for each kind.
_CHECKSUM = "http://owncloud.org/ns checksum"
# An element and what is around it: a lock, for example, has a href of its own.
_WANTED = frozenset(
    (f"DAV: {around}", f"DAV: {name}")
    for around, names in (
        ("response", "href status"),
        ("propstat", "status"),
        ("prop", "getcontentlength getlastmodified getetag"),
    )
    for name in names.split()
) | {("http://owncloud.org/ns checksums", _CHECKSUM)}


def _is_good(status: str) -> bool:
    """Tell whether a status line is that of something that is there; none at all is."""
    return not status or status.split()[1:2] == ["200"]


# Addresses ----------------------------------------------------------------------------------------------------------


class _Place:
    """The folder that was asked for, and what an address in its page means."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._scheme, self._origin = split.scheme, origin_of(url)
        self.parts = [unquote(part) for part in split.path.rstrip("/").split("/")[1:]]

    def below(self, address: str) -> tuple[str, bool] | None:
        """Return the name directly below the folder that an address means, and whether it ends with a slash."""
        parts = self.parts_of(address)
        if parts is None or parts[: len(self.parts)] != self.parts:
            return None
        name, *rest = parts[len(self.parts) :] or [""]
        if rest not in ([], [""]):
            return None
        try:
            check_safe(name)
        except UnsafeData:
            return None
        return name, bool(rest)

    def parts_of(self, address: str) -> list[str] | None:
        """Return the parts of the path that an address means, as they are named; None if it leads elsewhere.

        Nothing is normalised: who writes ``..`` or ``%2F`` shows no folder.
        """
        address = address.strip(_SPACES)
        if _REFUSED.search(address):
            return None
        if address.startswith("//"):
            address = f"{self._scheme}:{address}"
        if _SCHEME.match(address):
            try:
                split = urlsplit(address)
                is_here = "@" not in split.netloc and origin_of(address) == self._origin
            except ValueError:
                return None
            return _named(split.path.split("/")[1:]) if is_here else None
        if address.startswith("/"):
            return _named(address.split("/")[1:])
        named = _named(address.removeprefix("./").split("/"))  # which Caddy writes before each name
        return None if named is None else self.parts + named


def _named(quoted: list[str]) -> list[str] | None:
    """Return the parts of a path without quotes; None if one of them cannot be a name."""
    names = []
    for part in quoted:
        name = part
        if "%" in part:
            if _BAD_ESCAPE.search(part):
                return None
            try:
                name = unquote_to_bytes(part).decode()
            except UnicodeError:  # of a disk that is not in UTF-8, or of a server that does not quote as it should
                return None
        if name in (".", "..") or "/" in name:
            return None
        names.append(name)
    return names


def _add(items: dict[tuple[str, bool], Item], item: Item) -> None:
    """Add an item; what two links say of one name is put together, and a size on which they disagree is none."""
    key = item[:2]
    old = items.get(key)
    if old is not None:
        sizes = {each.size for each in (old, item) if each.size is not None}
        size = sizes.pop() if len(sizes) == 1 else None
        item = old._replace(size=size, modified=old.modified or item.modified, etag=old.etag or item.etag)
    items[key] = item


def _check_length(length: int, url: str) -> None:
    if length > MAX_PAGE:
        raise UnsafeData(f"what {redact(url)} shows is refused: it is longer than {MAX_PAGE >> 20} MiB")
