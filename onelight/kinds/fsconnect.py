"""Connections to a store that fsspec reaches, and what the errors of fsspec and the libraries below it mean.

They are imported with the first connection, and missed by name. Each library is told how long to wait; what is
repeated is repeated by :mod:`onelight.kinds.fs`, and not by them as well.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, ClassVar

from onelight.client import Limits, NoConnection
from onelight.config import hide_secrets
from onelight.errors import (
    AccessDenied,
    ConfigError,
    MissingExtra,
    NotFound,
    OneError,
    QuotaExceeded,
    RateLimited,
    ReadOnlyRepository,
    RepositoryError,
    Unreachable,
    UnsafeData,
)
from onelight.kinds.place import PACKAGES, Place
from onelight.kinds.tree import Taken

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_BUSY = {errno.EBUSY, getattr(errno, "EREMOTEIO", errno.EIO), errno.EAGAIN, errno.ETIMEDOUT}
# By the names of classes, because most of these libraries are not there to be asked.
_NOT_LET_IN = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "ProfileNotFound",
        "ClientAuthenticationError",
        "CredentialUnavailableError",
        "DefaultCredentialsError",
        "RefreshError",
        "AuthenticationException",
        "PasswordRequiredException",
        "SMBAuthenticationError",
        "LogonFailure",
        "AccessDenied",
    }
)
_NOBODY = frozenset(
    {
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "NoValidConnectionsError",
        "ClientConnectorError",
        "ClientConnectorDNSError",
        "gaierror",
        "ServiceRequestError",
    }
)
_LOST = frozenset(
    {
        "ReadTimeoutError",
        "ConnectionClosedError",
        "HTTPClientError",
        "ConnectionError",
        "ClientConnectionError",
        "ServerDisconnectedError",
        "ClientPayloadError",
        "ResponseStreamingError",
        "IncompleteReadError",
        "IncompleteRead",
        "ServiceResponseError",
        "FSTimeoutError",
        "SSHException",
        "SMBConnectionClosed",
        "SMBOSError",
        "TransportError",
        "error_temp",
    }
)
_CODES = {
    "401": AccessDenied,
    "403": AccessDenied,
    "530": AccessDenied,
    "404": NotFound,
    "413": QuotaExceeded,
    "507": QuotaExceeded,
    "552": QuotaExceeded,
    "452": QuotaExceeded,
    "QuotaExceeded": QuotaExceeded,
    "EntityTooLarge": QuotaExceeded,
    "XMinioStorageFull": QuotaExceeded,
    "SlowDown": RateLimited,
    "429": RateLimited,
    "PreconditionFailed": Taken,
    "ConditionalRequestConflict": Taken,
    "412": Taken,
}
_HINTS: dict[type[OneError], str] = {
    AccessDenied: "Give the right name and password, key or token: in the configuration, or where the library looks",
    NotFound: "Is the address right?",
    QuotaExceeded: "Make room there, or share fewer sessions",
    RateLimited: "Try again later: the same command continues",
    ReadOnlyRepository: "Ask whoever runs the store for the right to write",
    Taken: "Run the command again, which looks anew",
    Unreachable: "Check the address and the network; the same command continues",
}


class Connections:
    """The connections to a store: one for all, or one for each that works.

    Parameters
    ----------
    connect : callable
        Opens one.
    shared : bool
        Whether one serves all threads.
    """

    #: One after the other: an ssh server refuses those who come at the same time beyond the tenth.
    _connecting: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, connect: Callable[[], Any], *, shared: bool) -> None:
        self._connect = connect
        self._shared = shared
        self._lock = threading.Lock()
        self._free: list[Any] = []
        self._pid = os.getpid()

    @contextlib.contextmanager
    def lease(self, shown: str) -> Iterator[Any]:
        """Give a connection for a while; one that was lost is not used again."""
        with translated(shown):
            fs = self.take()
        good = False
        try:
            with translated(shown):
                yield fs
            good = True
        except OneError as error:
            good = not isinstance(error, Unreachable)
            raise
        finally:
            self.give_back(fs, good=good)

    def close(self) -> None:
        """Close those that nobody uses."""
        with self._lock:
            free, self._free = self._free, []
        for fs in free:
            _disconnect(fs)

    def take(self) -> Any:
        """Return a connection that nobody else uses, or all."""
        with self._lock:
            if self._pid != os.getpid():  # a forked child must not talk on the connections of its parent
                self._free, self._pid = [], os.getpid()
            if self._free:
                return self._free[-1] if self._shared else self._free.pop()
        with self._connecting:
            if not self._shared:
                return self._connect()
            with self._lock:
                if not self._free:
                    self._free.append(self._connect())
                return self._free[-1]

    def give_back(self, fs: Any, *, good: bool) -> None:
        """Take it back, or close it."""
        if self._shared:
            return
        if good:
            with self._lock:
                self._free.append(fs)
        else:
            _disconnect(fs)
            self.close()  # the others went the same way, and who tries again is not to come upon each of them


def _disconnect(fs: Any) -> None:
    """Close a connection; those of object stores close with their last file."""
    for name in ("client", "ftp"):
        with contextlib.suppress(Exception):
            getattr(fs, name).close()


def connect(place: Place, limits: Limits) -> Any:
    """Open a connection with the package that speaks the protocol.

    Raises
    ------
    MissingExtra
        If it is not installed.
    ConfigError
        If it does not understand what it is told.
    """
    module, package = PACKAGES[place.protocol]
    for name, needed in (("fsspec", "fsspec"), (module, package)):
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            raise MissingExtra(
                f"{place.shown} is reached by {needed}, which is not installed",
                hint=f"python -m pip install 'onelight[remote]', or only: python -m pip install fsspec {needed}",
            ) from error
    arguments = _defaults(place.protocol, limits)
    for key, value in place.arguments.items():
        both = isinstance(value, dict) and isinstance(arguments.get(key), dict)
        arguments[key] = {**arguments[key], **value} if both else value
    if place.protocol == "s3" and "profile" not in arguments:
        arguments.setdefault("session", _aws_session())
    make = (
        _sftp() if place.protocol in ("sftp", "ssh") else import_module("fsspec").get_filesystem_class(place.protocol)
    )
    try:
        fs = make(skip_instance_cache=True, **arguments)
    except (TypeError, ValueError, KeyError) as error:
        raise ConfigError(
            f"{place.shown}: {package or 'ftplib'} does not understand its 'options': {_words(error)}",
            hint="Put them right in the configuration file",
        ) from error
    if place.protocol == "s3":
        fs.retries = 1  # what is repeated is repeated here
    if place.protocol in ("sftp", "ssh"):
        fs.ftp.get_channel().settimeout(limits.idle)
    return fs


def _defaults(protocol: str, limits: Limits) -> dict[str, Any]:
    """Return how long each library is to wait, in its own words."""
    if protocol == "s3":
        waits = {"connect_timeout": limits.connect, "read_timeout": limits.idle}
        return {"use_listings_cache": False, "config_kwargs": {**waits, "retries": {"total_max_attempts": 1}}}
    if protocol in ("gcs", "gs"):
        return {"use_listings_cache": False, "requests_timeout": limits.idle}
    if protocol in ("abfs", "az"):
        return {"use_listings_cache": False}
    if protocol == "ftp":
        return {"use_listings_cache": False, "timeout": limits.idle}
    if protocol == "smb":
        return {"timeout": limits.connect, "share_access": "rwd", "register_session_retries": 0}
    return {"timeout": limits.connect, "banner_timeout": limits.connect, "auth_timeout": limits.idle}


@functools.cache
def _aws_session() -> Any:
    """Return what all S3 connections of this process share: to read its descriptions takes a third of a second."""
    return import_module("aiobotocore.session").get_session()


@functools.cache
def _sftp() -> Any:
    """Return fsspec's file system for SFTP, made to look who the server is before a password goes to it."""
    paramiko = import_module("paramiko")
    base: Any = import_module("fsspec.implementations.sftp").SFTPFileSystem

    class KnownHosts(base):  # type: ignore[misc]  # of a library without types
        """fsspec believes every server; this one only those of known_hosts, as ssh does."""

        def __init__(self, host: str, *, known_hosts: str | None = None, **arguments: Any) -> None:
            self._known_hosts = known_hosts
            super().__init__(host, **arguments)

        def _connect(self) -> None:
            self.client = paramiko.SSHClient()
            try:
                self.client.load_system_host_keys(self._known_hosts)
                self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
                self.client.connect(self.host, **self.ssh_kwargs)
                self.ftp = self.client.open_sftp()
            except BaseException:
                self.client.close()
                raise

    return KnownHosts


# Errors


@contextlib.contextmanager
def translated(shown: str) -> Iterator[None]:
    """Turn what fsspec and the libraries below it raise into errors that say what to do."""
    try:
        yield
    except OneError:
        raise
    except Exception as error:
        raise _told(error, shown) from error


def _told(error: Exception, shown: str) -> OneError:
    """Say what an error of a library means."""
    names = {kind.__name__ for kind in type(error).__mro__}
    text = _words(error)
    if "BadHostKeyException" in names:
        return UnsafeData(
            f"{shown}: the server is not the one that known_hosts knows",
            hint="Nothing was sent. Ask whoever runs it whether its key has changed",
        )
    if "known_hosts" in text:
        return AccessDenied(
            f"{shown}: nobody has said yet that this is the right server: {text}",
            hint="Connect once with ssh, and compare the fingerprint that it shows",
        )
    kind = _kind_of(error, names, text)
    return kind(f"{shown}: {text}", hint=_HINTS.get(kind, "The words are those of the library or the server"))


def _kind_of(error: Exception, names: set[str], text: str) -> type[OneError]:  # noqa: PLR0911 - a list of rules
    number = getattr(error, "errno", None)
    code = code_of(error)
    if code in _CODES:
        return _CODES[code]
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return NotFound
    if isinstance(error, PermissionError) or names & _NOT_LET_IN or "authentication methods" in text:
        return AccessDenied
    if number == errno.EROFS:
        return ReadOnlyRepository
    if number in _FULL:
        return QuotaExceeded
    if isinstance(error, ConnectionRefusedError) or names & _NOBODY:
        return NoConnection
    if isinstance(error, (ConnectionError, TimeoutError, EOFError)) or names & _LOST or "closed" in text.lower():
        return Unreachable
    if number in _BUSY or (code.isdecimal() and (int(code) in (408, 409) or 500 <= int(code) < 600)):
        return Unreachable
    return RepositoryError


def code_of(error: BaseException) -> str:
    """Return the code that a server gave, wherever the libraries keep it; empty if there is none."""
    seen: BaseException | None = error
    for _ in range(5):
        if seen is None:
            break
        response = getattr(seen, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        for key in ("status_code", "status", "code"):
            value = getattr(seen, key, None)
            if isinstance(value, int) and 100 <= value < 600:
                return str(value)
        if type(seen).__name__ in ("error_perm", "error_temp"):  # of ftplib: the words of the server
            return str(seen)[:3]
        seen = seen.__cause__
    return ""


def _words(error: BaseException) -> str:
    """Return what a library says, on one line and without secrets."""
    said = " ".join(str(error).split()) or type(error).__name__
    return hide_secrets(said)[:300].rstrip(" .")
