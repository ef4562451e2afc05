"""A search as data, and what to say where nothing is found: the nearest names that there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from onelight.alf import Dataset, Pattern, Query, Session, value_filter
from onelight.errors import AlfError, DatasetNotFound, NotFound, ObjectNotFound
from onelight.index import Entry, Index
from onelight.notes import log

_PARTS = ("collection", "revision", "namespace", "timescale", "extension")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which sessions are asked for.

    Parameters
    ----------
    all_of, any_of, without : tuple of Query
        What a session must have, must have one of, and must not have.
    filters : mapping
        ``lab``, ``subject``, ``date``, ``date_range``, ``number``, as for :meth:`onelight.index.Index.search`.
    """

    all_of: tuple[Query, ...]
    any_of: tuple[Query, ...]
    without: tuple[Query, ...]
    filters: Mapping[str, object]

    @classmethod
    def of(
        cls,
        query: Query,
        all_of: str | Iterable[str] | None,
        any_of: str | Iterable[str] | None,
        without: str | Iterable[str] | None,
        filters: Mapping[str, object],
    ) -> Asked:
        """Read what a user wrote; ``query`` has the parts that all of these names must have."""
        first, second, third = (
            tuple(replace(query, pattern=Pattern(text)) for text in _texts(texts))
            for texts in (all_of, any_of, without)
        )
        if not (first or second or third) and query != Query():
            first = (query,)
        # What can be gone through once only is looked at twice.
        kept = {name: value if _is_one(value) else list(value) for name, value in filters.items()}  # type: ignore[call-overload]
        if kept.get("number") is not None:
            kept["number"] = [_number(value) for value in _values(kept["number"])]
        return cls(first, second, third, kept)

    def answer(self, index: Index) -> list[str]:
        """Return the sessions, and say what occurs nowhere: a slip of the pen must not look like an answer."""
        found = index.search(self.all_of, any_of=self.any_of, without=self.without, **self.filters)
        asked = (*self.any_of, *self.without) if found else (*self.all_of, *self.any_of, *self.without)
        unknown = [query for query in asked if not index.occurs(query)]
        if unknown:
            names = index.names()
            for query in unknown:
                log.warning("%s", _unknown_dataset(query, names))
        if not found:
            terms = index.terms()
            for name in ("lab", "subject"):
                known = getattr(terms, name)
                for value in _values(self.filters[name]):
                    if isinstance(value, str) and not any(map(value_filter(value), known)):
                        near = "" if "*" in value else _or(value, known)
                        verb = "fits" if "*" in value else "is named"
                        log.warning("no %s %s '%s'%s", name, verb, value, near)
        return found


def nearest_session(session: Session, index: Index) -> str:
    """Return a hint with the sessions that are nearest to one that is not there."""
    terms = index.terms()
    subjects = [session.subject] if session.subject in terms.subject else _near(session.subject, terms.subject)
    candidates = index.search(subject=subjects) if subjects else []
    day = [text for text in candidates if text.split("/")[3] == session.date]
    near = _near(str(session), (day or candidates)[:1000])
    return f"Did you mean {' or '.join(near)}?" if near else "`onelight search` lists the sessions that are there"


def not_found(query: Query, session: str, entries: Sequence[Entry]) -> NotFound:
    """Say that a session has nothing of the kind, and what it has that is nearest."""
    datasets = [entry.dataset for entry in entries if entry.dataset]
    parts = {name: getattr(query, name) for name in _PARTS}
    where = "".join(f" with {name}={value!r}" for name, value in parts.items() if value is not None)
    text = query.pattern.text if query.pattern is not None else ""
    fitting = [dataset for dataset in datasets if query.pattern is None or query.pattern.matches(str(dataset))]
    if fitting and where:  # the pattern is right, a part is not: say what that part can be
        has = {
            name: sorted({getattr(dataset, name) for dataset in fitting}) for name in parts if parts[name] is not None
        }
        hint = "; ".join(f"{name} is one of: {', '.join(map(repr, values))}" for name, values in has.items())
        if text and "." not in text.rpartition("/")[2]:
            return ObjectNotFound(f"{session} has no object '{text}'{where}", hint=f"Of it, {hint}")
        what = f" '{text}'" if text else ""
        return DatasetNotFound(f"{session} has no dataset{what}{where}", hint=f"Of it, {hint}")
    if "." not in text.rpartition("/")[2]:
        names = sorted({dataset.object for dataset in datasets})
        near = _near(text, names)
        guess = f"Did you mean {near[0]}? " if near else ""
        return ObjectNotFound(f"{session} has no object '{text}'{where}", hint=f"{guess}It has: {', '.join(names)}")
    types = sorted({dataset.type for dataset in datasets})
    near = _near(text, types) or types
    return DatasetNotFound(f"{session} has no dataset '{text}'{where}", hint=f"It has: {', '.join(near)}")


def _unknown_dataset(query: Query, names: Iterable[str]) -> str:
    """Say that nothing has a name, and which names are like it; or which values a part of it has."""
    asked = {name: getattr(query, name) for name in _PARTS if getattr(query, name) is not None}
    where = "".join(f" with {name}={value!r}" for name, value in asked.items())
    text = query.pattern.text if query.pattern is not None else ""
    name = text.rpartition("/")[2]
    what = "dataset" if "." in name or not text else "object"
    message = f"no session has {f'the {what}' if text else 'a dataset'}{f' {text!r}' if text else ''}{where}"
    datasets = [dataset for dataset in map(_parsed, names) if dataset is not None]
    fitting = [one for one in datasets if query.pattern is None or query.pattern.matches(str(one))]
    if fitting and asked:  # the pattern is right, a part is not
        values = {part: sorted({getattr(one, part) for one in fitting} - {""}) for part in asked}
        has = [f"{part} is one of: {', '.join(map(repr, some[:10]))}" for part, some in values.items() if some]
        return f"{message}; of it, {'; '.join(has)}" if has else message
    known = sorted({one.object if what == "object" else one.type for one in datasets})
    return message if name in known else message + _or(name, known)


def _parsed(below: str) -> Dataset | None:
    try:
        return Dataset.parse(below)
    except AlfError:
        return None


def _texts(texts: object) -> list[str]:
    """Return patterns as a list.

    Raises
    ------
    AlfError
        If it is neither a text nor several.
    """
    if texts is None or isinstance(texts, str):
        return [texts] if texts is not None else []
    if not isinstance(texts, Iterable):
        raise AlfError(f"{texts!r} is not a dataset pattern", hint="Give it as text: 'spikes.times'; several as a list")
    return list(texts)


def _is_one(value: object) -> bool:
    return isinstance(value, str) or not isinstance(value, Iterable)


def _values(value: object) -> list[object]:
    """Return the values of a filter; none where it lets everything pass."""
    if value is None:
        return []
    return [value] if _is_one(value) else list(value)  # type: ignore[call-overload]


def _number(value: object) -> object:
    """Return the number of a session as it is compared.

    Raises
    ------
    AlfError
        If it is none.
    """
    if isinstance(value, float) and value.is_integer():  # a column of pandas
        value = int(value)
    text = str(value)
    if value is None or not (text.isdecimal() or (isinstance(value, str) and "*" in text)):
        raise AlfError(f"{value!r} is not a number of a session", hint="Give 1 or '001', with * for any text")
    return value


def _or(name: str, known: Sequence[str]) -> str:
    near = _near(name, known)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _near(text: str, known: Sequence[str]) -> list[str]:
    """Return up to three names that are like a text, whatever their case."""
    from difflib import get_close_matches  # takes two milliseconds, and most questions find something

    by_case: dict[str, str] = {name.casefold(): name for name in known}
    return [by_case[name] for name in get_close_matches(text.casefold(), by_case, 3)]
