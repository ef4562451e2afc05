"""What a path means: sessions and datasets as frozen values, and back to text without a change.

The grammar is the lenient one of the convention: object and attribute are anything without a dot, because the best
known public repository has names such as ``Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy`` that a stricter one
cannot address. Whether a name is strict ALF as well is said by :mod:`onelight.alf.strict`; ``docs/alf.md`` has both
grammars and every difference from ONE-api. Nothing here opens a file.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import lru_cache

from onelight.alf.safe import UNSHAREABLE, devices, printable
from onelight.errors import AlfError

SESSION_FORM = "LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER"
DATASET_FORM = "object.attribute.extension"

# Lab and subject are part of addresses and of other clients' patterns, which know these characters only.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NUMBER = re.compile(r"[0-9]{1,3}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_CONTROLS = re.compile(r"[\\\x00-\x1f\x7f]")
_FIELD = r"[^./\\\x00-\x1f\x7f]+"
# Namespace, object, second field, and the others. An empty alternative is matched faster than "?" is.
_FILE = re.compile(rf"(?:_([A-Za-z0-9]+)_|)({_FIELD})\.({_FIELD})\.({_FIELD}(?:\.{_FIELD})*)").fullmatch
_TAILS = frozenset({"times", "intervals"})
_PREFIX = re.compile(r"_[a-z]+_")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


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

    @staticmethod
    def parse(text: str) -> Session:
        """Parse ``lab/Subjects/subject/date/number``, with or without a slash at the end.

        Raises
        ------
        AlfError
            If the text has another form; the message names the part that is wrong.
        """
        return _session(text.strip().rstrip("/"))

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
    object : str
        What the file describes, such as ``spikes``.
    attribute : str
        Which property of it, such as ``times`` or ``goCue_times``.
    timescale : str
        The clock of it, as in ``times_ephysClock``; empty for that of the session. As in ONE-api any text behind an
        underscore that is neither ``times`` nor ``intervals`` counts as one: ``visualStim_contrastLeft`` has the
        attribute ``visualStim``. :attr:`field` and :attr:`key` do not depend on it.
    extra : str
        Further fields between attribute and extension, joined by dots; no formal meaning.
    extension : str
        The last field, such as ``npy``.

    Examples
    --------
    >>> dataset = Dataset.parse("alf/probe00/#2024-05-06#/_ibl_spikes.times_ephysClock.npy")
    >>> dataset.collection, dataset.revision, dataset.namespace, dataset.timescale
    ('alf/probe00', '2024-05-06', 'ibl', 'ephysClock')
    >>> str(dataset)
    'alf/probe00/#2024-05-06#/_ibl_spikes.times_ephysClock.npy'
    >>> Dataset.parse("alf/trials.visualStim_contrastLeft.npy").key
    'visualStim_contrastLeft'
    """

    collection: str
    revision: str
    namespace: str
    object: str
    attribute: str
    timescale: str
    extra: str
    extension: str

    @staticmethod
    def parse(path: str) -> Dataset:
        """Parse a path relative to its session.

        Raises
        ------
        AlfError
            If the file name is not ``object.attribute.extension``, or a folder is not a collection or revision.
        """
        known = _PARSED.get(path)
        if known is not None:
            return known
        folder, slash, name = path.rpartition("/")
        where = _split_folder(folder) if slash else ("", "")
        found = _FILE(name)
        if where is None or found is None:
            raise _not_a_dataset(path)
        namespace, object_, field, others = found.groups("")
        draft = _Draft()
        draft.collection, draft.revision = where
        draft.namespace = namespace
        draft.object = object_
        draft.attribute, draft.timescale = _split_field(field) if "_" in field else (field, "")
        draft.extra, _, draft.extension = others.rpartition(".")
        draft.__class__ = Dataset  # type: ignore[assignment]
        parsed: Dataset = draft  # type: ignore[assignment]
        if len(_PARSED) >= 4096:
            _PARSED.clear()
        _PARSED[path] = parsed if path in _PARSED else None
        return parsed

    @property
    def field(self) -> str:
        """The second field of the name: the attribute and its timescale, as written."""
        return f"{self.attribute}_{self.timescale}" if self.timescale else self.attribute

    @property
    def name(self) -> str:
        """The file name."""
        return self._name_with(self.extra)

    @property
    def type(self) -> str:
        """The dataset type: object and second field, such as ``trials.goCue_times``."""
        return f"{self.object}.{self.field}"

    @property
    def extras(self) -> tuple[str, ...]:
        """The extra fields that say something: a UUID, which some servers add to every name, does not."""
        fields = _without_uuid(self.extra)
        return tuple(
            fields[:-1] if self.extension == "gz" else fields
        )  # the form that is packed is no part of the name

    @property
    def key(self) -> str:
        """The name of this dataset within its object: ``attribute[_timescale][.extra]``.

        Examples
        --------
        >>> Dataset.parse("spikes.times.6252a2f0-c10f-4e49-b085-75749ba29c35.npy").key
        'times'
        """
        return ".".join((self.field, *self.extras))

    @property
    def stem(self) -> str:
        """The file name without what differs between revisions on some servers, its UUID."""
        return self._name_with(".".join(_without_uuid(self.extra)))

    def __str__(self) -> str:
        revision = f"#{self.revision}#" if self.revision else ""
        return "/".join(filter(None, (self.collection, revision, self.name)))

    def _name_with(self, extra: str) -> str:
        namespace = f"_{self.namespace}_" if self.namespace else ""
        return ".".join(filter(None, (namespace + self.object, self.field, extra, self.extension)))


class _Draft:
    """A dataset that is being parsed, and then becomes one: the slots are the same, and setting them is fast.

    The constructor of a frozen class takes three times as long.
    """

    __slots__ = Dataset.__slots__
    collection: str
    revision: str
    namespace: str
    object: str
    attribute: str
    timescale: str
    extra: str
    extension: str


# What has been parsed twice, and None for what was parsed once: a repository of a million files has some hundred of
# these names, and to keep datasets that nobody asks for again slows the parsing by a tenth to a quarter.
_PARSED: dict[str, Dataset | None] = {}


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
    return _session(path[: -1 - len(parts[5])]), parts[5]


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
    bad = sorted(set(UNSHAREABLE.findall(path)))
    if bad:
        problems.append(f"the name has {' '.join(bad)}, which some systems and repositories cannot hold")
    return problems + devices(path)


@lru_cache(maxsize=65536)  # every file of a session asks for it
def _session(text: str) -> Session:
    parts = text.split("/")
    if len(parts) != 5 or parts[1] != "Subjects":
        raise AlfError(
            f"{printable(text)} is not a session",
            hint=f"A session has the form {SESSION_FORM}, such as nicklab/Subjects/Cori/2016-12-14/001",
        )
    lab, _, subject, date, number = parts
    problems = [*_name_problems("lab", lab), *_name_problems("subject", subject), *_date_problems(date)]
    if not _NUMBER.fullmatch(number):
        problems.append(f"number {printable(number)} is not of up to three digits, such as 001")
    if problems:
        raise AlfError(
            f"{printable(text)} is not a session: {'; '.join(problems)}", hint=f"The right form is {SESSION_FORM}"
        )
    return Session(lab, subject, date, number)


@lru_cache(maxsize=4096)
def _split_field(field: str) -> tuple[str, str]:
    """Split the second field of a name as ONE-api does.

    ``_times`` and ``_intervals`` belong to the attribute, any other text behind an underscore is the timescale. A field
    of another form is an attribute as a whole.
    """
    start = prefix[0] if field[0] == "_" and (prefix := _PREFIX.match(field)) else ""
    word, _, rest = field[len(start) :].partition("_")
    if rest in _TAILS or not (word.isalnum() and word.isascii() and rest.replace("_", "0").isalnum()):
        return field, ""
    tail, _, clock = rest.partition("_")
    if clock and tail in _TAILS:
        return f"{start}{word}_{tail}", clock
    return start + word, rest


def _without_uuid(extra: str) -> list[str]:
    return [field for field in extra.split(".") if field and not _UUID.fullmatch(field)]


@lru_cache(maxsize=4096)
def _split_folder(folder: str) -> tuple[str, str] | None:
    """Split the folders below a session into collection and revision; None if they are neither."""
    collection, _, last = folder.rpartition("/")
    revision = ""
    if len(last) > 2 and last.startswith("#") and last.endswith("#"):
        revision = last[1:-1]
    else:
        collection = folder
    parts = collection.split("/")
    is_only_revision = folder == last and revision
    is_good = is_only_revision or {"", ".", ".."}.isdisjoint(parts)
    if "#" in collection or "#" in revision or not is_good or _CONTROLS.search(folder):
        return None
    return collection, revision


def _not_a_dataset(path: str) -> AlfError:
    """Say why a path below a session cannot be parsed."""
    folder, slash, name = path.rpartition("/")
    fields = name.split(".")
    reason = ""
    if "" in fields:
        reason = "a field between its dots is empty"
    elif len(fields) < 3:
        reason = f"it has {len(fields)} field{'s'[: len(fields) != 1]} between dots, and needs three or more"
    elif _CONTROLS.search(name):
        reason = "it has a backslash or a control character"
    if reason:
        return AlfError(
            f"{printable(name)} is not an ALF file name: {reason}",
            hint=f"The right form is {DATASET_FORM}, such as spikes.times.npy",
        )
    if _CONTROLS.search(folder):
        reason = "has a backslash or a control character in the name of a folder"
    elif slash and "" in folder.split("/"):
        reason = "has an empty part"
    elif not {".", ".."}.isdisjoint(folder.split("/")):
        reason = "has a part that climbs"
    else:
        return AlfError(
            f"{printable(path)} has a '#' outside a revision folder",
            hint="A revision is the last folder and stands between two '#': alf/#2024-05-06#/spikes.times.npy",
        )
    return AlfError(f"{printable(path)} {reason}", hint="Give the path below the session: alf/spikes.times.npy")


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
