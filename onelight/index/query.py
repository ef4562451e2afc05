"""The index: what a repository holds, as questions that are answered from its file."""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from onelight import route
from onelight.alf import Dataset, Pattern, Query, Session, date_filter, range_filter, value_filter
from onelight.errors import AlfError, DamagedIndex
from onelight.index.catalogue import Catalogue, Segment
from onelight.index.entry import EMPTY_MD5, EMPTY_URL, Entry

if TYPE_CHECKING:
    from onelight.index.building import Builder

_T = TypeVar("_T")
_BITS = bytes.maketrans(b"01", b"\0\1")
_WHOLE = re.compile(r"https?://[A-Za-z0-9%/:=&?~+!$,;'@()*._-]+").fullmatch
#: The group of files whose names are not ALF.
OTHER = "(other files)"


class Terms(NamedTuple):
    """What can be asked for: the values that occur in an index, each sorted."""

    lab: list[str]
    subject: list[str]
    date: list[str]
    number: list[str]
    dataset_types: list[str]


class Total(NamedTuple):
    """How much there is of something.

    Parameters
    ----------
    name : str
        What it is: a session, a subject (``lab/Subjects/subject``), an object.
    sessions, datasets : int
        Sessions that have it, and files.
    size : int or None
        Bytes of these files; None where they are not known of each.
    """

    name: str
    sessions: int
    datasets: int
    size: int | None


class Index:
    """What a repository holds, sorted by path.

    No row is an object before it is asked for: a million need some megabytes. Safe for several threads.

    Parameters
    ----------
    entries : iterable of Entry
        The files; each lies in a session. They are streamed as long as they come sorted. Of two with the same path,
        the later counts.
    remarks : iterable of str
        What was seen in reading the index and left out, in words for a person.

    Raises
    ------
    AlfError
        If an entry is not in a session.

    Examples
    --------
    >>> index = Index([Entry("lab/Subjects/Cori/2016-12-14/001/alf/spikes.times.npy")])
    >>> index.search([Pattern("spikes")], subject="Co*")
    ['lab/Subjects/Cori/2016-12-14/001']
    """

    def __init__(self, entries: Iterable[Entry] = (), remarks: Iterable[str] = ()) -> None:
        self._use(_catalogue_of(entries, remarks, None, {}))

    def _use(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._base = json.loads(catalogue.fact("base") or "null")
        self._length = int(catalogue.fact("rows"))
        #: What was left out, in words: the first hundred things; and how many things there were.
        self.remarks: tuple[str, ...] = tuple(json.loads(catalogue.fact("remarks")))
        self.remarked = int(catalogue.fact("remarked"))
        self._last: tuple[str, dict[str, bytes]] = ("", {})

    @classmethod
    def of(cls, catalogue: Catalogue) -> Index:
        """Return the index that an open file holds."""
        index = cls.__new__(cls)
        try:
            index._use(catalogue)  # noqa: SLF001 - its own
        except ValueError as error:  # a note that every index has is not there
            raise DamagedIndex(f"the index that was kept is not one of this version: {error}") from error
        return index

    @classmethod
    def build(
        cls,
        entries: Iterable[Entry],
        remarks: Iterable[str] = (),
        *,
        path: Path | None = None,
        facts: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
    ) -> Index:
        """Make an index in a file of its own.

        Parameters
        ----------
        entries, remarks : iterable
            As for the class.
        path : Path, optional
            The file; by default one that disappears with the object.
        facts : mapping, optional
            What is to be known of it later, such as what it was made from; see :meth:`fact`. A function is called when
            all entries were taken, and so are the remarks.
        """
        return cls.of(_catalogue_of(entries, remarks, path, facts or {}))

    @classmethod
    def open(cls, path: Path) -> Index:
        """Open an index that was made in a file.

        Raises
        ------
        OSError
            If the file is not there or cannot be read.
        DamagedIndex
            If it is not an index of this version, as it was written.
        """
        return cls.of(Catalogue.open(path))

    def close(self) -> None:
        """Let go of the file; nothing can be asked afterwards."""
        self._catalogue.close()

    def fact(self, name: str) -> str:
        """Return what was noted of this index when it was made, empty if nothing was."""
        return self._catalogue.fact(name)

    def check(self) -> None:
        """Read all of the file behind the index.

        Raises
        ------
        DamagedIndex
            If any of it is not as it was written.
        """
        self._catalogue.check()

    # All of it

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Entry]:
        for segment in self._catalogue.segments():
            for place, session in enumerate(segment.sessions):
                for row in self._rows(segment, place):
                    yield self._entry(session, row)

    @property
    def sessions(self) -> list[str]:
        """Every session, sorted."""
        return [session for segment in self._catalogue.segments() for session in segment.sessions]

    # One file, one session

    def __contains__(self, path: str) -> bool:
        session, below = _split(path)
        return below in self._files(session)

    def __getitem__(self, path: str) -> Entry:
        found = self.get(path)
        if found is None:
            raise KeyError(path)
        return found

    def get(self, path: str) -> Entry | None:
        """Return the entry of a path, or None."""
        session, below = _split(path)
        row = self._files(session).get(below)
        return None if row is None else self._entry(session, row)

    def find_session(self, session: Session) -> str | None:
        """Return the text under which a session is held; ``1`` and ``001`` are the same number."""
        number = int(session.number)
        day = str(session).rpartition("/")[0]
        for text in (str(session), *(f"{day}/{number:0{digits}}" for digits in (3, 2, 1))):
            if self._find(text) is not None:
                return text
        return None

    def select(self, session: str, pattern: Pattern | Query | None = None) -> list[Entry]:
        """Return the entries of a session, sorted; only those asked for, if a question is given."""
        return [
            self._entry(session, row)
            for below, row in self._files(session).items()
            if pattern is None or pattern.matches(below)
        ]

    # Questions

    def search(
        self,
        patterns: Iterable[Pattern | Query] = (),
        *,
        any_of: Iterable[Pattern | Query] = (),
        without: Iterable[Pattern | Query] = (),
        lab: object = None,
        subject: object = None,
        date: object = None,
        number: object = None,
        date_range: object = None,
    ) -> list[str]:
        """Return the sessions, sorted, that pass every filter.

        Parameters
        ----------
        patterns : iterable of Pattern or Query
            A session has a dataset for each of them,
        any_of : iterable of Pattern or Query
            and for one of these, if there are any,
        without : iterable of Pattern or Query
            and for none of these.
        lab, subject, date, number : object
            As for :func:`onelight.alf.value_filter`.
        date_range : object
            As for :func:`onelight.alf.range_filter`.
        """
        passes = _filter(lab, subject, date, number, date_range)
        all_, any_, none = ([_Marked(pattern) for pattern in group] for group in (patterns, any_of, without))
        found: list[str] = []
        for segment in self._catalogue.segments():
            bits = segment.everything
            for question in all_:
                bits &= question.sessions(segment)
            if any_:
                bits &= _union(any_, segment)
            if none:
                bits &= ~_union(none, segment)
            if bits:
                texts = _chosen(segment.sessions, bits)
                found.extend(texts if passes is None else filter(passes, texts))
        return found

    def occurs(self, pattern: Pattern | Query) -> bool:
        """Tell whether any session has a dataset for a pattern."""
        question = _Marked(pattern)
        return any(question.sessions(segment) for segment in self._catalogue.segments())

    def names(self) -> set[str]:
        """Return the paths below a session that occur."""
        return {name for segment in self._catalogue.segments() for name in segment.names}

    def terms(self) -> Terms:
        """Return the values that occur in this index."""
        columns: list[set[str]] = [set() for _ in range(5)]
        for segment in self._catalogue.segments():
            for text in segment.sessions:
                for column, value in zip(columns, text.split("/"), strict=True):
                    column.add(value)
        names = set(filter(None, map(_type_of, self.names())))
        lab, _, subject, date, number = map(sorted, columns)
        return Terms(lab, subject, date, number, sorted(names))

    def by_session(self, sessions: Iterable[str] | None = None) -> list[Total]:
        """Return how much each session holds; of all, or of some that :meth:`search` returned."""
        totals: list[Total] = []
        for segment, bits in self._segments_with(sessions):
            texts, counts, sizes = segment.sessions, segment.counts, segment.sizes
            totals.extend(
                Total(texts[place], 1, counts[place], None if sizes[place] < 0 else sizes[place])
                for place in _chosen(range(len(texts)), bits)
            )
        return totals

    def by_subject(self, sessions: Iterable[str] | None = None) -> list[Total]:
        """Return how much there is of each subject, ``lab/Subjects/subject``, sorted."""
        return by_subject(self.by_session(sessions))

    def by_object(self, sessions: Iterable[str] | None = None) -> list[Total]:
        """Return how much there is of each object, sorted; what is not ALF is one group."""
        sums: dict[str, _Sum] = {}
        for segment, bits in self._segments_with(sessions):
            groups: dict[str, int] = {}
            for place, name in enumerate(segment.names):
                having = segment.having(place) & bits
                if having:
                    group = _object_of(name)
                    groups[group] = groups.get(group, 0) | having
                    sums.setdefault(group, _Sum()).add(0, having.bit_count(), 0)
            for group, having in groups.items():
                sums[group].sessions += having.bit_count()
            self._add_sizes(segment, bits, groups, sums)
        return [each.total(name) for name, each in sorted(sums.items())]

    def _add_sizes(self, segment: Segment, bits: int, groups: dict[str, int], sums: dict[str, _Sum]) -> None:
        """Add the bytes of the files of some sessions to their objects."""
        sizes = segment.sizes
        wanted = -1
        for place in _chosen(range(len(sizes)), bits):
            # Where sizes are not known, those of an object are soon given up, and no more rows are read for it.
            if sizes[place] < 0:
                if wanted < 0 or wanted >> place & 1:
                    wanted = 0
                    for group, having in groups.items():
                        wanted |= having if sums[group].size is not None else 0
                if not wanted >> place & 1:
                    continue
            for row in self._rows(segment, place):
                below, *known = row.decode().split("\t")
                size = known[1] if len(known) > 1 else ""
                sums[_object_of(below)].add(0, 0, int(size) if size else None)

    # Where it is

    def _segments_with(self, sessions: Iterable[str] | None) -> Iterator[tuple[Segment, int]]:
        """Yield the segments that hold some of these sessions, with those as bits."""
        if sessions is None:
            for segment in self._catalogue.segments():
                yield segment, segment.everything
            return
        wanted = set(sessions)
        for segment in self._catalogue.segments():
            marks = bytes(48 + (text in wanted) for text in reversed(segment.sessions))
            bits = int(marks, 2)
            if bits:
                yield segment, bits

    def _find(self, session: str) -> tuple[Segment, int] | None:
        """Return where a session is."""
        firsts = self._catalogue.firsts
        number = bisect_right(firsts, session, key=lambda first: first[0]) - 1
        if number < 0:
            return None
        segment = self._catalogue.segment(firsts[number][1])
        place = bisect_left(segment.sessions, session)
        return (segment, place) if segment.sessions[place : place + 1] == [session] else None

    def _rows(self, segment: Segment, place: int) -> Iterator[bytes]:
        """Yield the rows of a session, without the session in front of them."""
        cut = len(segment.sessions[place].encode()) + 1
        for lines in self._catalogue.lines(*segment.span(place)):
            for line in lines:
                yield line[cut:]

    def _files(self, session: str) -> dict[str, bytes]:
        """Return the rows of a session by path below it; those of the last session asked for are kept."""
        last = self._last  # one look, for another thread may replace it
        if last[0] == session:
            return last[1]
        where = self._find(session)
        if where is None:
            return {}
        rows = {row.partition(b"\t")[0].decode(): row for row in self._rows(*where)}
        self._last = (session, rows)
        return rows

    def _entry(self, session: str, row: bytes) -> Entry:
        below, *known = row.decode().split("\t")
        address, size, md5 = [*known, "", "", ""][:3]
        path = f"{session}/{below}"
        if self._base is None:  # whoever made the index knew the whole address
            return Entry(path, address, int(size) if size else None, md5 or None)
        if address == EMPTY_URL:
            return Entry(path, EMPTY_URL, 0, EMPTY_MD5)
        if _WHOLE(address):  # nearly always, and much faster
            url = address
        else:
            url = route.resolve(self._base, address) if address else route.path_url(self._base, path)
        return Entry(path, url, int(size) if size else None, md5 or None)


class _Marked:
    """A question, and which names of a segment it means: segments mostly have the same names."""

    def __init__(self, pattern: Pattern | Query) -> None:
        self._pattern = pattern
        self._places: dict[bytes, list[int]] = {}

    def sessions(self, segment: Segment) -> int:
        """Return the sessions of a segment that have a dataset of the kind, as bits."""
        places = self._places.get(segment.names_text)
        if places is None:
            matches = self._pattern.matches
            places = [place for place, name in enumerate(segment.names) if matches(name)]
            if len(self._places) < 64:
                self._places[segment.names_text] = places
        bits = 0
        for place in places:
            bits |= segment.having(place)
        return bits


class _Sum:
    """A total that grows."""

    def __init__(self) -> None:
        self.sessions = 0
        self.datasets = 0
        self.size: int | None = 0

    def add(self, sessions: int, datasets: int, size: int | None) -> None:
        self.sessions += sessions
        self.datasets += datasets
        self.size = None if size is None or self.size is None else self.size + size

    def total(self, name: str) -> Total:
        return Total(name, self.sessions, self.datasets, self.size)


def _catalogue_of(
    entries: Iterable[Entry],
    remarks: Iterable[str],
    path: Path | None,
    facts: Mapping[str, str] | Callable[[], Mapping[str, str]],
) -> Catalogue:
    from onelight.index.building import add_entries, building  # a question needs none of it

    with building(path) as builder:
        late = add_entries(builder, entries)
        told = list(remarks)
        if not late:
            return _finished(builder, told, facts)
        catalogue = builder.finish({})
    # Not sorted: whoever makes such a list has it in memory.
    by_path = {entry.path: entry for entry in (*Index.of(catalogue), *late)}
    catalogue.close()
    if path is not None:
        path.unlink()
    with building(path) as builder:
        add_entries(builder, (by_path[each] for each in sorted(by_path)))
        return _finished(builder, told, facts)


def _finished(
    builder: Builder, remarks: Iterable[str], facts: Mapping[str, str] | Callable[[], Mapping[str, str]]
) -> Catalogue:
    for remark in remarks:
        builder.remark(remark)
    return builder.finish(facts() if callable(facts) else facts)


def by_subject(sessions: Iterable[Total]) -> list[Total]:
    """Add up the totals of sessions for each subject, ``lab/Subjects/subject``, sorted."""
    sums: dict[str, _Sum] = {}
    for total in sessions:
        sums.setdefault(total.name.rsplit("/", 2)[0], _Sum()).add(1, total.datasets, total.size)
    return [each.total(name) for name, each in sorted(sums.items())]


def _union(questions: Iterable[_Marked], segment: Segment) -> int:
    bits = 0
    for question in questions:
        bits |= question.sessions(segment)
    return bits


def _chosen(items: Sequence[_T], bits: int) -> Iterable[_T]:
    """Return the items whose bits are set."""
    return compress(items, f"{bits:0{len(items)}b}"[::-1].encode().translate(_BITS))


def _filter(
    lab: object, subject: object, date: object, number: object, date_range: object
) -> Callable[[str], bool] | None:
    """Compile the filters of sessions by their parts into one; None where everything passes."""
    filters: list[tuple[int, Callable[[str], bool]]] = []
    if lab is not None:
        filters.append((0, cache(value_filter(lab))))
    if subject is not None:
        filters.append((2, cache(value_filter(subject))))
    if date is not None:
        filters.append((3, cache(date_filter(date))))
    if date_range is not None:
        filters.append((3, cache(range_filter(date_range))))
    if number is not None:
        filters.append((4, cache(value_filter(number, number=True))))
    if not filters:
        return None

    def passes(session: str) -> bool:
        parts = session.split("/")
        return all(matches(parts[place]) for place, matches in filters)

    return passes


def _split(path: str) -> tuple[str, str]:
    parts = path.split("/", 5)
    return "/".join(parts[:5]), parts[5] if len(parts) == 6 else ""


@lru_cache(maxsize=16384)
def _object_of(below: str) -> str:
    try:
        return Dataset.parse(below).object
    except AlfError:
        return OTHER


def _type_of(below: str) -> str:
    try:
        return Dataset.parse(below).type
    except AlfError:
        return ""
