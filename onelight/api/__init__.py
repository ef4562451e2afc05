"""One: what a user holds. Names, index, repository, transfer and loading put together.

Its parts, each on the one before: ``asking``, ``fetching``, ``loads``, and ``sharing``; ``one`` puts them together. The
functions of the module ``onelight`` are those of one :class:`One` that follows the configuration.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onelight.api.copying import Copied, CopyPlan, copy, plan_copy, run_copy
    from onelight.api.creating import create_figshare, find_figshare, write_template
    from onelight.api.fetching import DownloadPlan
    from onelight.api.indexing import Indexed, write_index
    from onelight.api.one import One, choose_repository, default, module_function
    from onelight.api.sharing import UploadPlan

__all__ = [
    "Copied",
    "CopyPlan",
    "DownloadPlan",
    "Indexed",
    "One",
    "UploadPlan",
    "choose_repository",
    "copy",
    "create_figshare",
    "default",
    "find_figshare",
    "module_function",
    "plan_copy",
    "run_copy",
    "write_index",
    "write_template",
]

_WHERE = {
    "Copied": "copying",
    "CopyPlan": "copying",
    "copy": "copying",
    "plan_copy": "copying",
    "run_copy": "copying",
    "DownloadPlan": "fetching",
    "One": "one",
    "UploadPlan": "sharing",
    "create_figshare": "creating",
    "find_figshare": "creating",
    "write_template": "creating",
    "choose_repository": "one",
    "default": "one",
    "module_function": "one",
    "Indexed": "indexing",
    "write_index": "indexing",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: who only asks an index needs neither transfer nor loading."""
    if name not in _WHERE:
        msg = f"module 'onelight.api' has no attribute '{name}'"
        raise AttributeError(msg)
    return getattr(import_module(f"onelight.api.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
