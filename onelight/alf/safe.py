"""Which names are safe, and which of them every system can hold.

The rules of POSIX and of Windows on where a path leads both hold everywhere: what is harmless on one system must not
be a drive, a share or a climb on the other. Nothing here knows what a name means.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from onelight.errors import UnsafeData

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\:]")
# Names of devices on Windows, whatever follows the first dot (ntpath.isreserved).
_RESERVED = re.compile(r"con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]", re.IGNORECASE)
# Windows cannot save these, and "~" stands for "/" in the names of figshare files.
UNSHAREABLE = re.compile(r'[*?"<>|~]')


def check_safe(path: str) -> None:
    """Refuse a relative path that could leave its folder or that some file system cannot hold.

    The rules of POSIX and of Windows on where a path leads both hold everywhere: what is harmless on one system must
    not be a drive, a share or a climb on the other.

    Raises
    ------
    UnsafeData
        If the path is empty, absolute, climbs (``..``), names a drive, a share or a stream, has control characters, or
        has a part that begins or ends with a space, ends with a dot, or is longer than 255 bytes.
    """
    if not path:
        raise UnsafeData("an empty path is refused")
    for part in path.split("/"):
        reason = _unsafe(part)
        if reason:
            raise UnsafeData(f"the path {printable(path)} is refused: {reason}")


def printable(text: str, limit: int = 200) -> str:
    """Quote a text from outside so that it cannot move the cursor, hide itself or fill the screen."""
    shown = text if len(text) <= limit else text[:limit] + "…"
    hides = any(unicodedata.category(char)[0] == "C" or char in "\u2028\u2029" for char in shown)
    return ascii(shown) if hides else f"'{shown}'"


def windows_problems(path: str) -> list[str]:
    """Say what Windows cannot hold of a path that other systems can.

    Examples
    --------
    >>> windows_problems("lab/Subjects/s/2016-12-14/001/alf/con.times.npy")
    ["'con.times.npy' is the name of a device on Windows"]
    """
    bad = sorted(set(UNSHAREABLE.findall(path)) - {"~"})
    return ([f"the name has {' '.join(bad)}, which Windows cannot hold"] if bad else []) + devices(path)


def devices(path: str) -> list[str]:
    """Say which part of a path is the name of a device on Windows."""
    reserved = [part for part in path.split("/") if _RESERVED.fullmatch(part.partition(".")[0].rstrip(" "))]
    return [f"{printable(reserved[0])} is the name of a device on Windows"] if reserved else []


@functools.lru_cache(maxsize=4096)  # the parts of paths repeat: lab, subject, date, alf
def _unsafe(part: str) -> str:  # noqa: PLR0911 - a list of rules, each with its reason
    if part == "":
        return "it is absolute, or has an empty part"
    # Wide forms such as U+FF0E are turned into plain ones by some file systems.
    if unicodedata.normalize("NFKC", part).strip(" .") == "":
        return f"the part {printable(part)} is not a name"
    if part != part.rstrip(" .") or part != part.lstrip(" "):
        return f"the part {printable(part)} begins or ends with a space or ends with a dot"
    if _UNSAFE.search(part) or any(unicodedata.category(char) == "Cs" for char in part):
        return f"the part {printable(part)} has a character that cannot be in a name on every system"
    if "/" in unicodedata.normalize("NFKC", part) or "\\" in unicodedata.normalize("NFKC", part):
        return f"the part {printable(part)} has a character that some systems read as a separator"
    if len(part.encode()) > 255:
        return "a part of it is longer than 255 bytes"
    return ""
