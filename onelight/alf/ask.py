"""Questions for datasets: patterns, the parts that a name must have, and which revision answers.

Fields are always parsed and then compared as wholes: ``spikes`` never finds ``spikesExtra.times``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from onelight.alf.names import Dataset
from onelight.alf.safe import printable
from onelight.errors import AlfError


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
        if not isinstance(self.text, str):
            raise AlfError(f"{self.text!r} is not a dataset pattern", hint="Give it as text: 'spikes.times'")
        name = self.text.rpartition("/")[2]
        if not name.strip() or self.text.startswith("/") or name.startswith(".") or name.endswith("."):
            raise AlfError(
                f"{printable(self.text)} is not a dataset pattern",
                hint="Ask for an object (spikes), a dataset type (spikes.times) or a file name (spikes.times.npy)",
            )

    def matches(self, path: str) -> bool:
        """Tell whether a path below a session is asked for."""
        return _matcher(self.text)(path)


@dataclass(frozen=True, slots=True)
class Query:
    """Which datasets of a session are meant: a pattern, and parts that their names must have.

    Parameters
    ----------
    pattern : Pattern, optional
        Object, dataset type or file name.
    collection, namespace, timescale, extension : str, optional
        Whole parts of the name, with ``*`` for any text; an empty text asks for names without that part.
    revision : str, optional
        The newest revision up to this one is meant, of each dataset by itself; an empty text asks for what has none.

    Examples
    --------
    >>> files = ["alf/probe00/spikes.times.npy", "alf/probe01/spikes.times.npy"]
    >>> [path for path in files if Query(Pattern("spikes"), collection="alf/probe01").matches(path)]
    ['alf/probe01/spikes.times.npy']
    """

    pattern: Pattern | None = None
    collection: str | None = None
    revision: str | None = None
    namespace: str | None = None
    timescale: str | None = None
    extension: str | None = None

    def __post_init__(self) -> None:
        # The signs around a part in a path are no part of it: "alf/", "#2024#", "_ibl_", ".npy".
        signs = {"collection": "/", "revision": "#", "namespace": "_", "timescale": "", "extension": "."}
        for name, sign in signs.items():
            part = getattr(self, name)
            if part is not None and not isinstance(part, str):
                raise AlfError(f"{name}={part!r} is not a text", hint="Give one text, as the path has it")
            if name == "revision" and part and "*" in part:
                raise AlfError(
                    f"revision={part!r} is not a revision", hint="Give a whole one: the newest up to it is meant"
                )
            if part and sign:
                object.__setattr__(self, name, part.strip(sign))

    def matches(self, path: str) -> bool:
        """Tell whether a path below a session is asked for; of its revisions, any that is not too new."""
        if self.pattern is not None and not _matcher(self.pattern.text, timed=self.timescale is not None)(path):
            return False
        wanted = (self.collection, self.namespace, self.timescale, self.extension)
        if self.revision is None and all(part is None for part in wanted):
            return True
        try:
            dataset = Dataset.parse(path)
        except AlfError:  # it has none of these parts, a revision that is too new neither
            return all(part is None for part in wanted)
        if self.revision is not None and dataset.revision > self.revision:
            return False
        has = (dataset.collection, dataset.namespace, dataset.timescale, dataset.extension)
        return all(part is None or wildcard(part)(own) for part, own in zip(wanted, has, strict=True))


def newest(paths: Iterable[str], revision: str | None = None) -> list[str]:
    """Return each dataset in its newest revision, in the order in which the datasets come.

    Revisions are compared as texts, as the convention has it; a dataset without one is older than any. Two files that
    differ only in a UUID are one dataset.

    Parameters
    ----------
    paths : iterable of str
        Paths below one session.
    revision : str, optional
        None that is newer than this one.

    Examples
    --------
    >>> newest(["alf/a.b.npy", "alf/#2022#/a.b.npy", "alf/#2024#/a.b.npy"], "2023")
    ['alf/#2022#/a.b.npy']
    """
    latest = None if revision is None else revision.strip("#")
    found: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for path in paths:
        try:
            dataset = Dataset.parse(path)
        except AlfError:
            found["", path] = ("", [path])
            continue
        if latest is not None and dataset.revision > latest:
            continue
        where = (dataset.collection, dataset.stem)
        known = found.get(where)
        if known is None or dataset.revision > known[0]:
            found[where] = (dataset.revision, [path])
        elif dataset.revision == known[0]:
            known[1].append(path)  # two UUIDs: told by whoever needs one
    return [path for _, files in found.values() for path in files]


@lru_cache(maxsize=64)
def _matcher(text: str, *, timed: bool = False) -> Callable[[str], bool]:
    """Compile a pattern, and remember its answers: a repository has far fewer names than files.

    With ``timed`` the timescale is asked for by itself, and the second field of the pattern is the attribute alone.
    """
    folder, _, name = text.rpartition("/")
    in_folder = wildcard(folder) if folder else None
    fields = name.split(".")
    # A full file name may have a "*" anywhere; shorter patterns are compared by fields, so that "*s" is not "*.s".
    whole_name = wildcard(name) if len(fields) > 2 else name.__eq__
    namespace, object_ = re.fullmatch(r"(?:_([A-Za-z0-9*]+)_)?(.+)", fields[0], re.DOTALL).groups()  # type: ignore[union-attr]
    of_namespace, of_object = wildcard(namespace or "*"), wildcard(object_)
    of_attribute = wildcard(fields[1] if len(fields) > 1 else "*")

    @lru_cache(maxsize=16384)
    def matches(path: str) -> bool:
        parent, _, file = path.rpartition("/")
        if in_folder and not (in_folder(parent) or in_folder(parent.rpartition("/#")[0])):
            return False
        if whole_name(file):
            return True
        try:
            dataset = Dataset.parse(path)
        except AlfError:
            return False
        if len(fields) > 2:  # also without what tells copies apart, or by its key: ephysData.imec0.ap
            return whole_name(dataset.stem) or (bool(dataset.extra) and whole_name(f"{dataset.object}.{dataset.key}"))
        attributes = {dataset.field, dataset.attribute} if timed else {dataset.field}
        return of_object(dataset.object) and any(map(of_attribute, attributes)) and of_namespace(dataset.namespace)

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
        wanted = list(wanted)
        if None in wanted:
            raise AlfError(
                f"{wanted!r} is not a filter: it has None", hint="Leave the filter out to let everything pass"
            )
        filters = [value_filter(one, number=number) for one in wanted]
        return lambda text: any(matches(text) for matches in filters)
    value = f"{wanted:%Y-%m-%d}" if isinstance(wanted, dt.date) else str(wanted)
    if number and value.isdecimal():
        return lambda text: text.lstrip("0") == value.lstrip("0")
    return wildcard(value)


def date_filter(wanted: object) -> Callable[[str], bool]:
    """Compile a filter of dates: a day, a text with ``*``, or a sequence of such.

    Raises
    ------
    AlfError
        If a text is neither a day of the calendar nor a pattern.

    Examples
    --------
    >>> date_filter(["2016-12-14", "2017-*"])("2017-01-01")
    True
    """
    several = not isinstance(wanted, str) and isinstance(wanted, Iterable)
    dates = list(wanted) if several else [wanted]  # type: ignore[call-overload]  # looked at twice
    for one in dates:
        problem = _day_problem(one) if isinstance(one, str) else "it is neither a text nor a datetime.date"
        if problem and not isinstance(one, dt.date) and not (isinstance(one, str) and "*" in one):
            raise AlfError(
                f"{one!r} is not a date: {problem}",
                hint="Give YYYY-MM-DD, with * for any text ('2016-12-*'), or a range (date_range=('2016-12', None))",
            )
    return value_filter(dates)


def range_filter(wanted: object) -> Callable[[str], bool]:
    """Compile a filter of dates between two, both included.

    Parameters
    ----------
    wanted : pair of str, datetime.date or None
        First and last; a text may be a year or a month, all of which is meant; None is open.

    Raises
    ------
    AlfError
        If it is no pair of dates, or the first is after the last.

    Examples
    --------
    >>> between = range_filter(("2019-01", None))
    >>> between("2018-12-31"), between("2019-01-01")
    (False, True)
    """
    pair = list(wanted) if isinstance(wanted, Iterable) and not isinstance(wanted, str) else []
    if len(pair) != 2:
        raise AlfError(
            f"date_range={wanted!r} is not a pair of dates", hint="Give the first and the last: ('2019-01', '2019-06')"
        )
    first, last = (_bound(one) for one in pair)
    if first and last and first[: len(last)] > last[: len(first)]:
        raise AlfError(f"date_range={wanted!r} is empty: the first date is after the last", hint="Change their places")
    return lambda date: date >= first and (not last or date[: len(last)] <= last)


def _bound(date: object) -> str:
    """Return a day, month or year as text, empty for an open end."""
    if date is None:
        return ""
    text = f"{date:%Y-%m-%d}" if isinstance(date, dt.date) else date if isinstance(date, str) else ""
    # A year or a month is completed to see whether it is one.
    whole = text + "2000-01-01"[len(text) :] if len(text) in (4, 7) else text
    if _day_problem(whole):
        raise AlfError(
            f"{date!r} is not a date", hint="Give YYYY, YYYY-MM, YYYY-MM-DD, a datetime.date, or None for an open end"
        )
    return text


def _day_problem(text: str) -> str:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return "the form is YYYY-MM-DD"
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return "there is no such day"
    return ""
