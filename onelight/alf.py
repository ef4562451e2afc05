"""What a path means: sessions, datasets, and patterns that ask for them.

A data folder holds ``LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER/`` (a *session*), and below it *datasets*, files named
``[collection/][#revision#/][_namespace_]object.attribute[.extra]*.extension``. This module turns such texts into
frozen values and back, and says of a text that is not ALF why not, and what the right form is. It opens no file.

The grammar is the lenient one of the convention: object and attribute are anything without a dot, because the best
known public repository has names such as ``Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy`` that a stricter one
cannot address. Fields are always parsed and then compared as wholes: ``spikes`` never finds ``spikesExtra.times``.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from onelight.errors import AlfError, UnsafeData

SESSION_FORM = "LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER"
DATASET_FORM = "object.attribute.extension"

# Lab and subject are part of addresses and of other clients' patterns, which know these characters only.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NUMBER = re.compile(r"[0-9]{1,3}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FILE = re.compile(
    r"(?:_(?P<namespace>[A-Za-z0-9]+)_)?(?P<object>[^.]+)\.(?P<attribute>[^.]+)(?:\.(?P<extra>.+))?\.(?P<extension>[^.]+)"
)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\:]")
# Names of devices on Windows, whatever follows the first dot (ntpath.isreserved).
_RESERVED = re.compile(r"con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]", re.IGNORECASE)
# Windows cannot save these, and "~" stands for "/" in the names of figshare files.
_UNSHAREABLE = re.compile(r'[*?"<>|~]')


@dataclass(frozen=True, slots=True, order=True)
class Session:
    """One recording session: ``lab/Subjects/subject/date/number``.

    Parameters
    ----------
    lab, subject : str
        Names of letters, digits, ``_``, ``-`` and ``.``.
    date : str
        ISO date, ``YYYY-MM-DD``.
    number : str
        Number of the session on that day, of three digits in ALF (``001``); other texts of digits are kept as found.

    Examples
    --------
    >>> session = Session.parse("nicklab/Subjects/Cori/2016-12-14/001/")
    >>> session.subject, str(session)
    ('Cori', 'nicklab/Subjects/Cori/2016-12-14/001')
    """

    lab: str
    subject: str
    date: str
    number: str

    @classmethod
    def parse(cls, text: str) -> Session:
        """Parse ``lab/Subjects/subject/date/number``, with or without a slash at the end.

        Raises
        ------
        AlfError
            If the text has another form; the message names the part that is wrong.
        """
        parts = text.strip().rstrip("/").split("/")
        if len(parts) != 5 or parts[1] != "Subjects":
            msg = f"{printable(text)} is not a session"
            raise AlfError(
                msg, hint=f"A session has the form {SESSION_FORM}, such as nicklab/Subjects/Cori/2016-12-14/001"
            )
        lab, _, subject, date, number = parts
        problems = [*_name_problems("lab", lab), *_name_problems("subject", subject), *_date_problems(date)]
        if not _NUMBER.fullmatch(number):
            problems.append(f"number {printable(number)} is not of up to three digits, such as 001")
        if problems:
            raise AlfError(
                f"{printable(text)} is not a session: {'; '.join(problems)}", hint=f"The right form is {SESSION_FORM}"
            )
        return cls(lab, subject, date, number)

    def __str__(self) -> str:
        return f"{self.lab}/Subjects/{self.subject}/{self.date}/{self.number}"


@dataclass(frozen=True, slots=True, order=True)
class Dataset:
    """One file of a session, by the parts of its path below the session.

    Parameters
    ----------
    collection : str
        Folders below the session, such as ``alf/probe00``; empty for the session folder itself.
    revision : str
        Text between the ``#`` of a revision folder; empty for none.
    namespace : str
        Text between the underscores of ``_namespace_object``; empty for none.
    object, attribute : str
        What the file describes and which property of it, such as ``spikes`` and ``times``. The attribute is the
        whole second field, timescale included: ``visualStim_contrastLeft``.
    extra : str
        Further fields between attribute and extension, joined by dots; no formal meaning.
    extension : str
        The last field, such as ``npy``.

    Examples
    --------
    >>> Dataset.parse("alf/probe00/#2024-05-06#/_ibl_spikes.times.npy").collection
    'alf/probe00'
    >>> Dataset.parse("alf/trials.visualStim_contrastLeft.npy").key
    'visualStim_contrastLeft'
    """

    collection: str
    revision: str
    namespace: str
    object: str
    attribute: str
    extra: str
    extension: str

    @classmethod
    @lru_cache(maxsize=65536)
    def parse(cls, path: str) -> Dataset:
        """Parse a path relative to its session.

        Raises
        ------
        AlfError
            If the file name is not ``object.attribute.extension``, or a folder is not a collection or revision.
        """
        *folders, name = path.split("/")
        revision = ""
        if folders and folders[-1].startswith("#") and folders[-1].endswith("#") and len(folders[-1]) > 2:
            revision = folders.pop()[1:-1]
        if "" in folders:
            raise AlfError(
                f"{printable(path)} has an empty part", hint="Give the path below the session: alf/spikes.times.npy"
            )
        if any("#" in folder for folder in folders) or "#" in revision:
            raise AlfError(
                f"{printable(path)} has a '#' outside a revision folder",
                hint="A revision is the last folder and stands between two '#': alf/#2024-05-06#/spikes.times.npy",
            )
        match = _FILE.fullmatch(name)
        if match is None:
            raise AlfError(
                f"{printable(name)} is not an ALF file name: {_why_not_file(name)}",
                hint=f"The right form is {DATASET_FORM}, such as spikes.times.npy",
            )
        namespace, object_, attribute, extra, extension = (part or "" for part in match.groups())
        return cls("/".join(folders), revision, namespace, object_, attribute, extra, extension)

    @property
    def name(self) -> str:
        """The file name."""
        namespace = f"_{self.namespace}_" if self.namespace else ""
        return ".".join(filter(None, (namespace + self.object, self.attribute, self.extra, self.extension)))

    @property
    def type(self) -> str:
        """The dataset type, ``object.attribute``."""
        return f"{self.object}.{self.attribute}"

    @property
    def key(self) -> str:
        """The name of this dataset within its object: the attribute and, if there are any, the extra parts."""
        return f"{self.attribute}.{self.extra}" if self.extra else self.attribute

    def __str__(self) -> str:
        revision = f"#{self.revision}#" if self.revision else ""
        return "/".join(filter(None, (self.collection, revision, self.name)))


def split_path(path: str) -> tuple[Session, str]:
    """Split a path of a repository into its session and the path below the session.

    Parameters
    ----------
    path : str
        Path relative to the data folder, starting with the lab.

    Returns
    -------
    Session
        The session.
    str
        Path below the session, such as ``alf/spikes.times.npy``.

    Raises
    ------
    AlfError
        If the path does not lie in a session.

    Examples
    --------
    >>> split_path("nicklab/Subjects/Cori/2016-12-14/001/alf/spikes.times.npy")[1]
    'alf/spikes.times.npy'
    """
    parts = path.split("/", 5)
    if len(parts) < 6:
        raise AlfError(
            f"{printable(path)} does not lie in a session", hint=f"The right form is {SESSION_FORM}/alf/{DATASET_FORM}"
        )
    return Session.parse("/".join(parts[:5])), parts[5]


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
    return ascii(shown) if any(unicodedata.category(char)[0] == "C" for char in shown) else f"'{shown}'"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A question for datasets: ``spikes``, ``spikes.times``, ``trials.*_times``, ``spikes.times.npy``.

    One field asks for an object, two for a dataset type, more for a full file name; ``*`` stands for any text
    within. A pattern with ``/`` also asks for the collection. The namespace is ignored unless the pattern has one.

    Parameters
    ----------
    text : str
        The pattern as written.

    Examples
    --------
    >>> Pattern("spikes").matches("alf/spikes.times.npy"), Pattern("spikes").matches("alf/spikesExtra.times.npy")
    (True, False)
    >>> Pattern("alf/probe01/spikes.*").matches("alf/probe00/spikes.times.npy")
    False
    """

    text: str

    def __post_init__(self) -> None:
        name = self.text.rpartition("/")[2]
        if not name.strip() or self.text.startswith("/") or name.startswith(".") or name.endswith("."):
            raise AlfError(
                f"{printable(self.text)} is not a dataset pattern",
                hint="Ask for an object (spikes), a dataset type (spikes.times) or a file name (spikes.times.npy)",
            )

    def matches(self, path: str) -> bool:
        """Tell whether a path below a session is asked for."""
        return _matcher(self.text)(path)


@lru_cache(maxsize=256)
def _matcher(text: str) -> Callable[[str], bool]:
    """Compile a pattern, and remember its answers: a repository has far fewer names than files."""
    folder, _, name = text.rpartition("/")
    in_folder = wildcard(folder) if folder else None
    fields = name.split(".")
    # A full file name may have a "*" anywhere; shorter patterns are compared by fields, so that "*s" is not "*.s".
    whole_name = wildcard(name) if len(fields) > 2 else name.__eq__
    namespace, object_ = re.fullmatch(r"(?:_([A-Za-z0-9*]+)_)?(.+)", fields[0], re.DOTALL).groups()  # type: ignore[union-attr]
    of_namespace, of_object = wildcard(namespace or "*"), wildcard(object_)
    of_attribute = wildcard(fields[1] if len(fields) > 1 else "*")

    @lru_cache(maxsize=65536)
    def matches(path: str) -> bool:
        if in_folder and not in_folder(path.rpartition("/")[0]):
            return False
        if whole_name(path.rpartition("/")[2]):
            return True
        if len(fields) > 2:
            return False
        try:
            dataset = Dataset.parse(path)
        except AlfError:
            return False
        return of_object(dataset.object) and of_attribute(dataset.attribute) and of_namespace(dataset.namespace)

    return matches


@lru_cache(maxsize=1024)
def wildcard(pattern: str) -> Callable[[str], bool]:
    """Compile a whole-text comparison in which ``*`` stands for any text, and nothing else is special."""
    if "*" not in pattern:
        return pattern.__eq__
    regex = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
    return lambda text: regex.fullmatch(text) is not None


def value_filter(wanted: object, *, number: bool = False) -> Callable[[str], bool]:
    """Compile a filter of one part of a session: a value, a value with ``*``, or a sequence of such.

    Parameters
    ----------
    wanted : object
        ``None`` lets everything pass.
    number : bool
        Compare as numbers: 1, ``"1"`` and ``"001"`` are the same. Names are not: subjects ``1`` and ``001`` are two.

    Examples
    --------
    >>> value_filter(["Cori", "Forss*"])("Forssmann"), value_filter(1, number=True)("001")
    (True, True)
    """
    if wanted is None:
        return lambda _: True
    if isinstance(wanted, Iterable) and not isinstance(wanted, str):
        filters = [value_filter(one, number=number) for one in wanted]
        return lambda text: any(matches(text) for matches in filters)
    value = f"{wanted:%Y-%m-%d}" if isinstance(wanted, dt.date) else str(wanted)
    if number and value.isdecimal():
        return lambda text: text.lstrip("0") == value.lstrip("0")
    return wildcard(value)


def sharing_problems(session: Session, path: str) -> list[str]:
    """Say what a sharer should put right in a dataset that readers would still understand.

    Parameters
    ----------
    session : Session
        The session.
    path : str
        Path of the dataset below the session.
    """
    problems = []
    if len(session.number) != 3:
        problems.append(f"number '{session.number}' should have three digits: {session.number.zfill(3)}")
    bad = sorted(set(_UNSHAREABLE.findall(path)))
    if bad:
        problems.append(f"the name has {' '.join(bad)}, which some systems and repositories cannot hold")
    return problems + _devices(path)


def windows_problems(path: str) -> list[str]:
    """Say what Windows cannot hold of a path that other systems can.

    Examples
    --------
    >>> windows_problems("lab/Subjects/s/2016-12-14/001/alf/con.times.npy")
    ["'con.times.npy' is the name of a device on Windows"]
    """
    bad = sorted(set(_UNSHAREABLE.findall(path)) - {"~"})
    return ([f"the name has {' '.join(bad)}, which Windows cannot hold"] if bad else []) + _devices(path)


def _devices(path: str) -> list[str]:
    reserved = [part for part in path.split("/") if _RESERVED.fullmatch(part.partition(".")[0].rstrip(" "))]
    return [f"{printable(reserved[0])} is the name of a device on Windows"] if reserved else []


def _name_problems(what: str, name: str) -> list[str]:
    if _NAME.fullmatch(name):
        return []
    bad = sorted({char for char in name if not re.fullmatch(r"[A-Za-z0-9_.-]", char)})
    if bad:
        return [
            f"{what} {printable(name)} has {' '.join(printable(char) for char in bad)}; allowed are A-Z a-z 0-9 _ - ."
        ]
    return [f"{what} {printable(name)} must begin with a letter, a digit or _"]


def _date_problems(date: str) -> list[str]:
    if _DATE.fullmatch(date):
        try:
            dt.date.fromisoformat(date)
        except ValueError:
            return [f"date '{date}' is not a day of the calendar"]
        return []
    loose = re.fullmatch(r"(\d{4})[-_./]?(\d{1,2})[-_./]?(\d{1,2})", date)
    right = f": {loose[1]}-{int(loose[2]):02}-{int(loose[3]):02}" if loose else ", such as 2016-12-14"
    return [f"date {printable(date)} is not of the form YYYY-MM-DD{right}"]


def _why_not_file(name: str) -> str:
    fields = name.split(".")
    if "" in fields:
        return "a field between its dots is empty"
    return f"it has {len(fields)} field{'s'[: len(fields) != 1]} between dots, and needs three or more"


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
