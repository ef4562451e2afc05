"""The kinds of repository, and the one table that names them.

A new kind is one file here, one line in :data:`KINDS`, and one test class that inherits the contract suite.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from onelight.config import Settings
from onelight.errors import ConfigError

if TYPE_CHECKING:
    from onelight.client import Client
    from onelight.repository import Repository

#: The word in the configuration → module and class. Each class has ``from_settings(settings, client)``.
KINDS = {
    "local": ("onelight.kinds.local", "LocalRepository"),
    "http": ("onelight.kinds.http", "HttpRepository"),
    "figshare": ("onelight.kinds.figshare", "FigshareRepository"),
    "remote": ("onelight.kinds.remote", "RemoteRepository"),
}


def open_repository(settings: Settings, client: Client) -> Repository:
    """Return the repository that settings describe; asks nobody yet.

    Raises
    ------
    ConfigError
        If the kind is unknown or a setting is missing or wrong.
    UnsafeData
        If a secret would travel without encryption.
    """
    if settings.kind not in KINDS:
        raise ConfigError(
            f"the repository '{settings.name}' is of the unknown type '{settings.kind}'",
            hint=f"Known types are {', '.join(KINDS)}",
        )
    module, name = KINDS[settings.kind]
    return cast("Repository", getattr(importlib.import_module(module), name).from_settings(settings, client))
