"""Who works on something: a name for this process that others can ask about, also on other computers."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import socket
from pathlib import Path

_NUMBERS = itertools.count(int.from_bytes(os.urandom(4), "little"))


def owner() -> str:
    """Return a new name of this process: its computer, its number, and a number that no other name of it has."""
    return f"{_machine()}-{os.getpid()}-{next(_NUMBERS) & 0xFFFFFFFF:08x}"


def is_alive(name: str) -> bool | None:
    """Tell whether the process of a name still runs; None where that cannot be seen, as of another computer.

    Examples
    --------
    >>> is_alive(owner()), is_alive("another-computer-12-0000abcd")
    (True, None)
    """
    machine, _, pid = name.rpartition("-")[0].rpartition("-")
    if machine != _machine() or not pid.isdecimal():
        return None
    if int(pid) == os.getpid():
        return True
    if os.name != "posix":
        return None  # there, to ask in this way is to kill
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def is_mine(name: str) -> bool:
    """Tell whether a name is one of this process."""
    return name.rpartition("-")[0] == f"{_machine()}-{os.getpid()}"


@functools.cache
def _machine() -> str:
    """Return a short name of what process numbers belong to: this host, and on Linux this namespace of processes."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return hashlib.md5(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:12]
