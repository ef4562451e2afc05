"""A search as data, and what to say where nothing is found: the nearest names that there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from onelight.alf import Pattern, Query, Session
from onelight.errors import AlfError, DatasetNotFound, NotFound, ObjectNotFound
from onelight.index import Entry, Index, Terms
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
            tuple(
                replace(query, pattern=Pattern(text)) for text in ([texts] if isinstance(texts, str) else texts or ())
            )
            for texts in (all_of, any_of, without)
        )
        if not (first or second or third) and query != Query():
            first = (query,)
        for value in _plain_values(filters.get("number")):
            if not value.isdecimal():
                raise AlfError(f"{value!r} is not a number of a session", hint="Give 1 or '001', with * for any text")
        return cls(first, second, third, filters)

    def answer(self, index: Index) -> list[str]:
        """Return the sessions, and say what name occurs nowhere, if that is why there are none."""
        found = index.search(self.all_of, any_of=self.any_of, without=self.without, **self.filters)
        unknown = [query for query in self.without if not index.occurs(query)]
        if not found:
            unknown += [query for query in self.all_of if not index.occurs(query)]
            if not any(map(index.occurs, self.any_of)):
                unknown += self.any_of
        if unknown or not found:
            terms = index.terms()
            for query in unknown:
                log.warning("%s", _unknown_dataset(query, terms))
            for name in ("lab", "subject") if not found else ():
                for value in _plain_values(self.filters[name]):
                    if value not in getattr(terms, name):
                        log.warning("no %s is named '%s'%s", name, value, _or(value, getattr(terms, name)))
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


def _unknown_dataset(query: Query, terms: Terms) -> str:
    """Say that nothing has a name, and which names are like it."""
    where = "".join(f" with {name}={getattr(query, name)!r}" for name in _PARTS if getattr(query, name) is not None)
    if query.pattern is None:
        return f"no session has a dataset{where}"
    text = query.pattern.text
    name = text.rpartition("/")[2]
    objects = sorted({type_.partition(".")[0] for type_ in terms.dataset_types})
    known = objects if "." not in name else terms.dataset_types
    what = "object" if "." not in name else "dataset"
    # The name itself may be right, and a part of it not.
    is_known = name in known
    return f"no session has the {what} '{text}'{where}" + ("" if is_known else _or(name, known))


def _plain_values(value: object) -> list[str]:
    """Return the values of a filter that are names, and no patterns."""
    values = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    return [text for text in values if isinstance(text, str) and "*" not in text]


def _or(name: str, known: Sequence[str]) -> str:
    near = _near(name, known)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _near(text: str, known: Sequence[str]) -> list[str]:
    """Return up to three names that are like a text, whatever their case."""
    from difflib import get_close_matches  # takes two milliseconds, and most questions find something

    by_case: dict[str, str] = {name.casefold(): name for name in known}
    return [by_case[name] for name in get_close_matches(text.casefold(), by_case, 3)]
