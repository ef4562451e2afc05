"""Which of several files is meant: one, or the error that shows the call that picks one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from onelight.alf import Dataset, Query
from onelight.errors import AmbiguousQuery, DatasetNotFound, OneError
from onelight.index import Entry
from onelight.loading.objects import names_of

_PARTS = ("collection", "revision", "namespace", "timescale", "extension")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of One as its user wrote it, to be shown with what was left open."""

    verb: str
    session: str
    what: str | None
    query: Query
    more: dict[str, object] = field(default_factory=dict)

    def choosing(self, **choice: str) -> str:
        """Return the call as it can be typed, where ``one`` is the module or the One in use."""
        asked = {name: getattr(self.query, name) for name in _PARTS}
        keywords = {name: given for name, given in (asked | self.more).items() if given is not None} | choice
        words = [repr(text) for text in (self.session, self.what) if text is not None]
        return f"one.{self.verb}({', '.join(words + [f'{name}={given!r}' for name, given in keywords.items()])})"

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Say of what several things fit how this call picks one."""
        try:
            yield
        except AmbiguousQuery as error:
            if error.keyword:
                error.hint = f"Choose one: {self.choosing(**{error.keyword: error.values[0]})}"
            raise


def ambiguous(message: str, entries: Sequence[Entry], call: Call, *, until_one: bool = True) -> AmbiguousQuery:
    """Return the error for several files where fewer are needed, with the call that picks them.

    Parameters
    ----------
    message : str
        What fits.
    entries : sequence of Entry
        The files.
    call : Call
        What was asked.
    until_one : bool
        Whether one file is needed, or only those of one value.
    """
    left = [entry.dataset for entry in entries if entry.dataset]
    ways: dict[str, list[str]] = {}
    for keyword in ("collection", "namespace", "timescale", "extension"):
        values = sorted({getattr(dataset, keyword) for dataset in left})
        if len(values) > 1 and (until_one or not ways):
            ways[keyword] = values
            left = [dataset for dataset in left if getattr(dataset, keyword) == values[0]]
    first = {keyword: values[0] for keyword, values in ways.items()}
    if ways and (len(left) == 1 or not until_one):
        keyword, values = next(iter(ways.items()))
        listed = ", ".join(value or f"(no {keyword})" for value in values)
        return AmbiguousQuery(
            f"{message}, by {keyword}: {listed}",
            hint=f"Choose one: {call.choosing(**first)}",
            keyword=keyword,
            values=values,
        )
    listed = ", ".join(sorted(entry.below for entry in entries)[:20])
    if call.verb == "load_dataset" and len({dataset.type for dataset in left}) == 1 and _are_pieces(left):
        whole = Call("load_object", call.session, left[0].object, call.query)
        return AmbiguousQuery(
            f"{message}, numbered pieces of one: {listed}",
            hint=f"Load them joined: {whole.choosing(**first, attribute=left[0].field)}",
        )
    longest = max((entry.below for entry in entries), key=len)  # another name may be this one without a UUID
    shown = replace(call, what=longest).choosing()
    return AmbiguousQuery(f"{message}: {listed}", hint=f"Ask for one of them by its whole name: {shown}")


def _are_pieces(datasets: Sequence[Dataset]) -> bool:
    numbered = all(any(part.isdecimal() for part in dataset.extras) for dataset in datasets)
    return numbered and len({dataset.extras for dataset in datasets}) == len(datasets)


def one_place(entries: Sequence[Entry], message: str, call: Call, *, objects: bool = True) -> None:
    """Refuse files of several collections, or of several objects."""
    datasets = [entry.dataset for entry in entries if entry.dataset]
    if len({dataset.collection for dataset in datasets}) > 1:
        raise ambiguous(f"several collections {message}", entries, call, until_one=False)
    names = sorted({dataset.object for dataset in datasets})
    if objects and len(names) > 1:
        raise AmbiguousQuery(f"several objects {message}: {', '.join(names)}", hint="Load one at a time")


def only(entries: Sequence[Entry], wanted: Sequence[str], session: str, obj: str) -> list[Entry]:
    """Return the files that have these attributes; where some are missing, also the tables that may have them."""
    files = [(entry, entry.dataset) for entry in entries if entry.dataset]
    had = set().union(*(names_of(dataset) for _, dataset in files))
    found = [
        entry
        for entry, dataset in files
        if names_of(dataset) & {*wanted} or (dataset.field == "table" and not {*wanted} <= had)
    ]
    if not found:
        raise no_attribute(session, obj, wanted, sorted({entry.dataset.key for entry in entries if entry.dataset}))
    return found


def no_attribute(session: str, obj: str, absent: Iterable[str], there: Iterable[str]) -> OneError:
    """Return the error for attributes that an object does not have."""
    names = ", ".join(f"{obj}.{name}" for name in absent)
    return DatasetNotFound(f"{session} has no dataset '{names}'", hint=f"'{obj}' has: {', '.join(there) or 'others'}")
