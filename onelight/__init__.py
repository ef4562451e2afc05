"""Share, search, download and load neurophysiology recordings that are plain ALF files.

>>> import onelight as one
>>> sessions = one.search(["trials"])                       # doctest: +SKIP
>>> trials = one.load_object(sessions[0], "trials")         # doctest: +SKIP
>>> trials.intervals                                        # doctest: +SKIP

The functions work on the current repository (``onelight repo NAME`` or :func:`set_repository` choose it). For several
at once, make a :class:`One` of each. Errors are in :mod:`onelight.errors`.
"""

from __future__ import annotations

from onelight.version import __version__ as __version__

# Importing `typing` for this would take longer than the rest of `import onelight` (docs/benchmarks.md).
TYPE_CHECKING = False

__all__ = [
    "ONE",
    "Bunch",
    "One",
    "OneError",
    "describe",
    "download",
    "load_collection",
    "load_dataset",
    "load_object",
    "load_session",
    "publish",
    "refresh",
    "register_reader",
    "repositories",
    "scan",
    "search",
    "search_terms",
    "set_repository",
    "status",
    "times",
    "to_dataframe",
    "totals",
    "upload",
]

if TYPE_CHECKING:
    from typing import Any

    from onelight.api import One
    from onelight.errors import OneError
    from onelight.loading import Bunch, register_reader
    from onelight.loading.clock import times
    from onelight.loading.objects import to_dataframe

    ONE = One
    _one: One = One()
    describe = _one.describe
    download = _one.download
    list = _one.list  # noqa: A001 - the field's verb for what a session holds
    load_collection = _one.load_collection
    load_dataset = _one.load_dataset
    load_object = _one.load_object
    load_session = _one.load_session
    open = _one.open  # noqa: A001 - as in h5py.File and zarr.open: what is opened gives slices
    publish = _one.publish
    refresh = _one.refresh
    repositories = _one.repositories
    scan = _one.scan
    search = _one.search
    search_terms = _one.search_terms
    set_repository = _one.set_repository
    status = _one.status
    totals = _one.totals
    upload = _one.upload

# Not in __all__: `from onelight import *` must not replace these functions of Python.
_LIKE_PYTHONS = ("list", "open")
# What is no method of One, and where it is.
_ELSEWHERE = {
    "ONE": "onelight.api",
    "Bunch": "onelight.loading",
    "One": "onelight.api",
    "OneError": "onelight.errors",
    "register_reader": "onelight.loading",
    "times": "onelight.loading.clock",
    "to_dataframe": "onelight.loading.objects",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that ``import onelight`` is instant."""
    import importlib

    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), "One" if name == "ONE" else name)
    if name not in __all__ and name not in _LIKE_PYTHONS:
        msg = f"module 'onelight' has no attribute '{name}'"
        raise AttributeError(msg)
    from onelight.api import module_function

    return module_function(name)


def __dir__() -> Any:
    return sorted([*globals(), *__all__, *_LIKE_PYTHONS])
