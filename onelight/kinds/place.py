"""Where a store is that fsspec reaches: an address and what goes with it, understood without fsspec being there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onelight.alf import check_safe
from onelight.config import SECRET_WORD
from onelight.errors import ConfigError, UnsafeData
from onelight.route import is_loopback

#: Protocol → module that speaks it, and the package that has it; ftplib is part of Python.
PACKAGES = {
    "s3": ("s3fs", "s3fs"),
    "gcs": ("gcsfs", "gcsfs"),
    "gs": ("gcsfs", "gcsfs"),
    "abfs": ("adlfs", "adlfs"),
    "az": ("adlfs", "adlfs"),
    "sftp": ("paramiko", "paramiko"),
    "ssh": ("paramiko", "paramiko"),
    "smb": ("smbclient", "smbprotocol"),
    "ftp": ("ftplib", ""),
}
#: Stores of objects: no folders, no names that change, and all of a file at once or nothing of it.
OBJECTS = frozenset({"s3", "gcs", "gs", "abfs", "az"})
_INSTEAD = {
    "file": 'Use {"type": "local", "root_dir": …} for a folder of this computer',
    "local": 'Use {"type": "local", "root_dir": …} for a folder of this computer',
    "http": 'Use {"type": "http", "base_url": …} for a web server',
    "https": 'Use {"type": "http", "base_url": …} for a web server',
    "webdav": 'Use {"type": "http", "base_url": …}: what can be written by WebDAV is',
}


# The name of a file with a key is none: hidden, it would take the beginning of every path out of every message.
_FILE = re.compile(r"file|path|dir|hosts", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where a store is.

    Parameters
    ----------
    protocol, root, shown : str
        How it is spoken to, the path of its top as fsspec has it, and its address for a person.
    user : str
        Who signs in; empty for nobody, or where the options say it.
    arguments : mapping
        What fsspec is told; may hold secrets, and so is never shown.
    """

    protocol: str
    root: str
    shown: str
    user: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_objects(self) -> bool:
        """Whether it is a store of objects."""
        return self.protocol in OBJECTS

    @classmethod
    def of(cls, name: str, url: str, login: str, password: str, options: Mapping[str, Any]) -> Place:
        """Understand the address of a store.

        Parameters
        ----------
        name : str
            Of the repository, for messages.
        url : str
            ``s3://BUCKET/FOLDER``, ``sftp://USER@HOST:PORT/FOLDER`` and the like.
        login, password : str
            For what is signed in to with these; empty for none.
        options : mapping
            What fsspec is told as well.

        Raises
        ------
        ConfigError
            If it is no such address.
        UnsafeData
            If a password would travel without encryption.
        """
        scheme, mark, rest = url.partition("://")
        protocol = scheme.lower()
        is_chain = "::" in re.sub(r"\[[0-9a-fA-F:.]*\]", "", url)  # of fsspec: one store within another
        if is_chain or not mark or protocol not in PACKAGES:
            raise _refused(name, scheme if mark and not is_chain else "")
        if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
            raise ConfigError(
                f"the 'options' of the repository '{name}' are not a list of names and values",
                hint='They look like {"endpoint_url": "https://…"}',
            )
        host, _, path = rest.partition("/")
        path = _folder(name, path)
        user, at, host = host.rpartition("@")
        if ":" in user:
            raise ConfigError(
                f"the address of the repository '{name}' holds a password, which would be shown",
                hint="Give it as 'password', and leave it out of the url",
            )
        if not re.fullmatch(r"[^\s?#@\\]+", host):
            raise ConfigError(
                f"the address of the repository '{name}' names no host or bucket",
                hint=f"It looks like {protocol}://…/…",
            )
        shown = f"{protocol}://{host}" + (f"/{path}" if path else "")
        if protocol in OBJECTS:
            return _objects(name, protocol, host, path, user if at else "", password, options)
        arguments = {**_host(name, protocol, host), **options}
        user = user or login or str(options.get("username", ""))
        if user:
            arguments["username"] = user
        if password:
            arguments["password"] = password
        if protocol == "smb" and not path:
            raise ConfigError(f"the address of the repository '{name}' names no share", hint="smb://HOST/SHARE/FOLDER")
        needs_tls = protocol == "ftp" and "password" in arguments and not is_loopback(str(arguments["host"]))
        if needs_tls and not arguments.setdefault("tls", True):
            raise UnsafeData(
                f"the password for {shown} would travel without encryption",
                hint="Use sftp://, or leave out the option 'tls': false",
            )
        root = f"/{path}" if path else ""
        if path == "~" or path.startswith("~/"):  # as curl has it: from the home of who signs in
            root = path[2:] or "."
        return cls(protocol, root, shown, user, arguments)


def secrets_of(options: Any, *, named: bool = False) -> list[str]:
    """Return the values in options whose names say that they are secret, however deep they lie."""
    if isinstance(options, Mapping):
        return [
            secret
            for key, value in options.items()
            for secret in secrets_of(
                value, named=not _FILE.search(str(key)) and (named or bool(SECRET_WORD.search(str(key))))
            )
        ]
    if isinstance(options, list):
        return [secret for value in options for secret in secrets_of(value, named=named)]
    return [options] if named and isinstance(options, str) and options else []


def _refused(name: str, scheme: str) -> ConfigError:
    instead = _INSTEAD.get(scheme.lower(), f"It begins with one of {', '.join(f'{known}://' for known in PACKAGES)}")
    what = f"'{scheme}://' is no store for it" if scheme else "it is no address of a store, or one within another"
    return ConfigError(f"the url of the repository '{name}' cannot be used: {what}", hint=instead)


def _folder(name: str, path: str) -> str:
    """Return the folder of an address without slashes around it."""
    path = path.strip("/")
    try:
        if path:
            check_safe(path)
        good = "?" not in path
    except UnsafeData:
        good = False
    if not good:
        raise ConfigError(
            f"the address of the repository '{name}' has a folder that cannot be one",
            hint="Leave out what begins with '?', '..' and empty parts",
        )
    return path


def _host(name: str, protocol: str, text: str) -> dict[str, Any]:
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(\d{1,5}))?", text)
    if found is None or not 0 < int(found[2] or 1) < 65_536:
        raise ConfigError(
            f"the address of the repository '{name}' has a host that cannot be one",
            hint=f"{protocol}://HOST:PORT/FOLDER",
        )
    host = {"host": found[1].strip("[]")}
    return {**host, "port": int(found[2])} if found[2] else host


def _objects(
    name: str, protocol: str, bucket: str, path: str, container: str, password: str, options: Mapping[str, Any]
) -> Place:
    """Return the place of a store of objects; of Azure's, an address may have CONTAINER@ACCOUNT.HOST."""
    if password or (container and protocol not in ("abfs", "az")):
        raise ConfigError(
            f"the repository '{name}' has a user name, password or token, and {protocol}:// knows none",
            hint="Give what it knows under 'options' (such as key and secret), or set what its library looks for",
        )
    arguments = dict(options)
    shown = f"{protocol}://{f'{container}@' if container else ''}{bucket}"
    if container:
        arguments.setdefault("account_name", bucket.partition(".")[0])
        bucket = container
    root = f"{bucket}/{path}" if path else bucket
    return Place(protocol, root, f"{shown}/{path}" if path else shown, "", arguments)
