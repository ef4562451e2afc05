"""What a file turns out to be, whatever its name says; nothing is decoded here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from onelight.errors import UnsafeData

if TYPE_CHECKING:
    from pathlib import Path

AGAIN = "Download it again; if it stays so, tell the owner of the repository"
HEAD = 512  # bytes that are enough to say what a file looks like

# What arrives under the name of a dataset when a transfer, a server or a person went wrong.
_LOOKS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (
        re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body|title)\b", re.IGNORECASE),
        "an HTML page (a server answers with one for an error or a login)",
    ),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\b", re.IGNORECASE), "an XML document"),
    (re.compile(rb"PK(?:\x03\x04|\x05\x06)"), "a zip archive (so are .npz files)"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
    (re.compile(rb"\x89HDF\r\n"), "an HDF5 file"),
    (re.compile(rb"MATLAB 5\.0"), "a MATLAB file"),
    (re.compile(rb"\x93NUMPY"), "a NumPy array (.npy)"),
    (re.compile(rb"PAR1"), "a parquet table (.pqt)"),
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer, not the file that it points to"),
    (re.compile(rb"\x80[\x02-\x05]"), "a Python pickle, which could run any program when it is read"),
    (re.compile(rb"\xff\xfe|\xfe\xff"), "text in UTF-16, not UTF-8"),
)


def looks_like(head: bytes) -> str:
    r"""Return what the first bytes of a file say that it is, or an empty text when they say nothing.

    Parameters
    ----------
    head : bytes
        The beginning of the file, `HEAD` bytes or all there are.

    Examples
    --------
    >>> looks_like(b"PK\x03\x04...")
    'a zip archive (so are .npz files)'
    >>> looks_like(b"ccf_ap\tccf_dv")
    ''
    """
    return next((what for pattern, what in _LOOKS if pattern.match(head)), "")


def refuse_foreign(path: Path, head: bytes, wanted: str) -> None:
    """Refuse a file whose first bytes show that it is something else than its name says.

    Parameters
    ----------
    path : pathlib.Path
        The file, for the message.
    head : bytes
        Its beginning.
    wanted : str
        What its name says: ``"an array"``, ``"a table"``.

    Raises
    ------
    UnsafeData
        If the file is empty, or known to be something else.
    """
    if not head:
        raise UnsafeData(f"{path} is empty (0 bytes), not {wanted}", hint=AGAIN)
    what = looks_like(head)
    if what:
        raise UnsafeData(f"{path} is {what}, not {wanted}", hint=AGAIN)


def damaged(path: Path, why: str) -> UnsafeData:
    """Return the error for a file that is what it should be, but not whole or not right.

    Examples
    --------
    >>> from pathlib import Path
    >>> str(damaged(Path("a.npy"), "it ends within its header"))
    'a.npy is damaged: it ends within its header. Download it again; if it stays so, tell the owner of the repository'
    """
    return UnsafeData(f"{path} is damaged: {why}", hint=AGAIN)
