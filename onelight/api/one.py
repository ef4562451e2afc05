"""One, put together of its parts, and the one that the functions of the module ``onelight`` use."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any

from onelight.api.loads import Loading
from onelight.api.publishing import Publishing
from onelight.config import Config
from onelight.notes import log


class One(Loading, Publishing):
    """A repository to search, download from, load from and share through.

    Parameters
    ----------
    repository : str, optional
        Name of a repository of the configuration; by default the current one.
    cache_dir : Path or str, optional
        Folder that gets a folder of data for each repository; by default ``~/.one/data``.
    offline : bool, optional
        Never use the network: what is on this computer answers. By default as ``ONELIGHT_OFFLINE`` says.

    Raises
    ------
    RepositoryNotFound
        If the configuration has no repository of this name.

    Examples
    --------
    >>> one = One("local")
    >>> one.search("trials")
    []
    """


_default: One | None = None
_followed: object = None


def default() -> One:
    """Return the One of the module functions: that of the current repository, as the configuration says now."""
    global _default, _followed
    config = Config.load()
    settings = config.repository()
    places = (config.folder, config.data_folder(settings.name))
    how = (places, config.limits, config.connections, config.offline, config.index_max_age, os.getpid())
    followed = (settings.name, settings.kind, dict(settings.options), settings.secret, how)
    if _default is None or followed != _followed:
        _default, _followed = One(), followed
    return _default


@functools.cache
def module_function(name: str) -> Callable[..., Any]:
    """Return the function of the module ``onelight`` that does what a method of the default :class:`One` does."""
    method = {"set_repository": choose_repository}.get(name) or getattr(One, name)

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        if method is choose_repository:
            return choose_repository(*args, **kwargs)
        return getattr(default(), name)(*args, **kwargs)

    if method is not choose_repository:
        signature = inspect.signature(method)
        call.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return call


def choose_repository(name: str) -> None:
    """Make a repository the current one, in the configuration, as ``onelight repo NAME`` does.

    Raises
    ------
    RepositoryNotFound
        If there is none of this name; nothing is changed then.
    """
    config = Config.load()
    config.choose(name)
    if config.remark:
        log.warning("%s", config.remark)
