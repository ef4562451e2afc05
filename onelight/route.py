"""Where bytes are, and who may see which secret.

A repository answers "where are the bytes of this entry?" with a :data:`Source`: a local path, or routes to be
tried in order. A route is an address and the credential that its own origin may see. All of it is data: nothing
here opens a connection, so that a repository can be tested without a network.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeAlias
from urllib.parse import quote, urljoin, urlsplit

from onelight.errors import UnsafeData

# What stays as it is in an address that somebody else wrote: reserved and unreserved characters, and escapes.
# "#" is not among them: ALF revisions contain it, and a download address has no use for a fragment.
_MAY_BE_NUMBER = re.compile(r".*[0-9:]").match
_KEEP = "%/:=&?~+!$,;'@()*[]-._"


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret that one origin may see.

    Parameters
    ----------
    origin : str
        ``scheme://host:port``; the secret goes there and nowhere else, not to redirects.
    header : str
        Value of the ``Authorization`` header; never shown.
    query : str
        Instead of a header, the text ``name=value`` added to the query of the address; never shown.
    certificate, key : str
        Files (PEM) of a certificate that is shown to who asks for one, and of its key; the key may be in the same file.

    Raises
    ------
    UnsafeData
        If the origin is neither TLS nor this machine.
    """

    origin: str
    header: str = field(default="", repr=False)
    query: str = field(default="", repr=False)
    certificate: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.origin)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise UnsafeData(
                f"a token or password for {self.origin} would travel without encryption",
                hint="Use an https:// address, or remove the token or password from the configuration",
            )


@dataclass(frozen=True, slots=True)
class Route:
    """An address where bytes are, and the credential for it, if any.

    Parameters
    ----------
    url : str
        The address.
    credential : Credential, optional
        What its own origin may see.
    span : (int, int), optional
        Only these bytes of what is there are meant: offset and size. The client then asks for ranges, and shows them
        as a resource of its own; nobody who asks the client has to know.
    """

    url: str
    credential: Credential | None = None
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Inline:
    """Bytes that the index itself holds: so far the empty file, which figshare cannot store."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Opened:
    """Bytes that a library brings, of a store that no address leads to.

    Parameters
    ----------
    name : str
        Where they are, for messages.
    open : callable
        Opens them: a binary file that can be read at any place, and is closed by the caller. Its ``version``, if it has
        one, is an entity tag as HTTP has them: a weak one (``W/"…"``) where it is only a date. To read from it may fail
        as a server does (:class:`~onelight.errors.Unreachable`): then it is opened again.
    """

    name: str
    open: Callable[[], IO[bytes]]


Source: TypeAlias = Path | tuple[Route, ...] | Inline | Opened


def origin_of(url: str) -> str:
    """Return ``scheme://host:port`` of an address, with the port always stated.

    Examples
    --------
    >>> origin_of("https://API.figshare.com/v2")
    'https://api.figshare.com:443'
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    """Tell whether a host name means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    if not _MAY_BE_NUMBER(host):
        return False
    import ipaddress  # takes four milliseconds, and hosts have names

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str, *, trusted: str = "") -> None:
    """Refuse an address that is not plain HTTP(S), or that points into a private network.

    Parameters
    ----------
    url : str
        The address.
    trusted : str
        An address of the repository that the user configured; its host may be private.

    Raises
    ------
    UnsafeData
        If the scheme is another, a user name or password stands in the address, it has control characters, or its
        host is a private address and not the trusted one (CVE-2018-10857 is such a case in git-annex).
    """
    shown = redact(url)
    if re.search(r"[\x00-\x20\x7f]", url):
        raise UnsafeData(f"the address {shown!a} is refused: it has a space or a control character")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise UnsafeData(f"the address {shown!a} is refused: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise UnsafeData(f"the address {shown!a} is refused: only http:// and https:// are data")
    if "@" in parts.netloc:
        raise UnsafeData(f"the address {shown!a} is refused: it holds a user name or password")
    # Asked in this order, the address of the repository itself is not looked at.
    if host != urlsplit(trusted).hostname and _is_private(host) and not (is_loopback(host) and _on_loopback(trusted)):
        raise UnsafeData(f"the address {shown!a} is refused: it points into a private network")


def resolve(base_url: str, address: str) -> str:
    """Make an address of an index absolute and well quoted.

    Parameters
    ----------
    base_url : str
        Address of the folder that holds the index; a missing slash at its end is added.
    address : str
        Absolute, root-relative or relative address.

    Examples
    --------
    >>> resolve("https://a.org/data", "lab/#2024-05-06#/x y.npy")
    'https://a.org/data/lab/%232024-05-06%23/x%20y.npy'
    """
    return urljoin(base_url.rstrip("/") + "/" if base_url else "", quoted(address))


def quoted(address: str) -> str:
    """Return an address that somebody else wrote with every character quoted that cannot stand in one.

    Examples
    --------
    >>> quoted("https://a.org/#2024-05-06#/x%20y z.npy")
    'https://a.org/%232024-05-06%23/x%20y%20z.npy'
    """
    return quote(address, safe=_KEEP)


def path_url(base_url: str, path: str) -> str:
    """Return the address of a file by its path below an address; every special character is quoted.

    Examples
    --------
    >>> path_url("https://a.org/data", "lab/a?b#c.npy")
    'https://a.org/data/lab/a%3Fb%23c.npy'
    """
    return f"{base_url.rstrip('/')}/{quote(path, safe='/')}" if base_url else quote(path, safe="/")


def redact(url: str) -> str:
    """Return an address that can be shown: without query, user name and password."""
    bare = re.sub(r"(?<=//)[^/?#]*@", "", url)
    head, mark, _ = bare.partition("?")
    return head + ("?…" if mark else "")


def _is_private(host: str) -> bool:
    host = unicodedata.normalize("NFKC", host).rstrip(".")
    if is_loopback(host):
        return True
    if not _MAY_BE_NUMBER(host):
        return False
    import ipaddress

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        import socket  # takes four milliseconds

        try:  # 127.1, 0x7f000001 and 2130706433 are addresses as well, to libcurl
            address = ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            return False
    return not address.is_global


def _on_loopback(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")
