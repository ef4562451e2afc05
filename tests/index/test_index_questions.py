"""Any rows in any order, and any question: the same answer as a search through a list of all files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onelight.alf import Dataset, Pattern, Query, Session, date_filter, range_filter, value_filter
from onelight.errors import AlfError
from onelight.index import Entry, Index, Total, read_one_root, write_one_root
from onelight.index.query import OTHER

BASE = "https://example.org/data"
UUID = "6252a2f0-c10f-4e49-b085-75749ba29c35"
# Names that sort otherwise with a slash behind them than without, and numbers that are the same and are not.
SESSIONS = st.builds(
    "{}/Subjects/{}/{}/{}".format,
    st.sampled_from(["lab", "lab-b", "lab.c", "la"]),
    st.sampled_from(["a", "a-b", "a.b", "a_b", "A", "1", "001", "10"]),
    st.sampled_from(["2016-12-14", "2016-12-15", "2017-01-01"]),
    st.sampled_from(["1", "01", "001", "10", "010", "100", "2"]),
)
BELOW = [
    "alf/spikes.times.npy",
    "alf/spikes.clusters.npy",
    "alf/spikesExtra.times.npy",
    "alf/probe00/spikes.times.npy",
    "alf/probe00/#2024-05-06#/spikes.times.npy",
    "alf/probe00/#2025#/spikes.times.npy",
    "alf/#2024-05-06#/_ibl_trials.goCue_times.npy",
    "#2024#/_ibl_spikes.times.npy",
    "_ibl_trials.goCue_times.npy",
    "alf/trials.goCue.npy",
    "alf/wheel.position_ephysClock.npy",
    "alf/wheel.position_ephysClock.bin.gz",
    f"alf/spikes.times.{UUID}.npy",
    "alf/spikes.times.extra part.é漢字.npy",
    "alf/été/𝔘nicode.times.npy",
    "alf/\ufffdspikes.times.npy",
    "alf/notes.txt",
    "notes",
    "alf",
    "alf-b/spikes.times.npy",
    "alf.b/spikes.times.npy",
    "a/very/deep/folder/eye.blink.npy",
    "Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy",
]
SIZES = st.one_of(st.none(), st.integers(0, 5), st.just(1 << 40))
KNOWN = st.tuples(
    st.sampled_from(["", "https://a.org/files/1", "data:,"]), SIZES, st.sampled_from([None, "0" * 32])
)  # fmt: skip
# Few sessions, so that each has several files.
ENTRIES = st.lists(SESSIONS, min_size=1, max_size=8, unique=True).flatmap(
    lambda sessions: st.dictionaries(
        st.builds("{}/{}".format, st.sampled_from(sessions), st.sampled_from(BELOW)), KNOWN, max_size=40
    ).map(lambda rows: [Entry(path, *known) for path, known in rows.items()])
)
PATTERNS = st.sampled_from(
    [
        *("spikes", "spikes.times", "*.times", "trials", "_ibl_trials", "*", "s*", "alf/spikes.times.npy", "notes.txt"),
        *("alf/probe00/*", "spikes.times.npy", "*.t*.npy", "*é*.n*.npy", "nothing", "alf/*/spikes"),
        "trials.goCue_times",
    ]
).map(Pattern)
PARTS = {
    "collection": ["alf", "alf/*", "", "*"],
    "revision": ["2024-05-06", "2024-06", "2025", ""],
    "namespace": ["ibl", "", "*"],
    "timescale": ["ephysClock", "", "*"],
    "extension": ["npy", "gz", "n*"],
}
QUERIES = st.builds(
    Query,
    st.one_of(st.none(), PATTERNS),
    **{name: st.one_of(st.none(), st.none(), st.sampled_from(values)) for name, values in PARTS.items()},
)
QUESTIONS = st.one_of(PATTERNS, QUERIES)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "lab": st.sampled_from(["lab", "lab*", ["la", "lab.c"], "none", []]),
        "subject": st.sampled_from(["a", "a*", "1", "001", ["A", "10"], "*b", 1]),
        "date": st.sampled_from(["2016-12-14", "2016-*", ["2017-01-01", "2016-12-15"]]),
        "date_range": st.sampled_from([("2016-12-15", None), ("2016", "2016-12-14"), (None, None), (None, "2016")]),
        "number": st.sampled_from([1, "001", "10", [2, "100"], "0*", 10, "*"]),
    },
)
SHAPES = st.fixed_dictionaries(
    {
        "SEGMENT": st.sampled_from([1, 2, 3, 7, 8, 9, 1024]),
        "_MOST_NAMES": st.sampled_from([0, 1, 4, 8192]),
        "_BLOCK": st.sampled_from([1, 100, 1000, 128 << 10]),
        "_BATCH": st.sampled_from([1, 2, 3, 4096]),
    }
)


class Listed:
    """A search through all files, without an index."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = sorted({entry.path: entry for entry in entries}.values(), key=lambda entry: entry.path)
        self.files: dict[str, list[Entry]] = {}
        for entry in self.entries:
            self.files.setdefault(entry.session, []).append(entry)

    def search(
        self,
        all_of: Sequence[Pattern | Query] = (),
        any_of: Sequence[Pattern | Query] = (),
        without: Sequence[Pattern | Query] = (),
        **filters: object,
    ) -> list[str]:
        wanted: list[tuple[int, Callable[[str], bool]]] = [
            (0, value_filter(filters.get("lab"))),
            (2, value_filter(filters.get("subject"))),
            (3, date_filter(filters["date"]) if "date" in filters else bool),
            (3, range_filter(filters.get("date_range", (None, None)))),
            (4, value_filter(filters.get("number"), number=True)),
        ]

        def has(session: str, asked: Pattern | Query) -> bool:
            return any(asked.matches(entry.below) for entry in self.files[session])

        return sorted(
            session
            for session in self.files
            if all(matches(session.split("/")[place]) for place, matches in wanted)
            and all(has(session, one) for one in all_of)
            and (not any_of or any(has(session, one) for one in any_of))
            and not any(has(session, one) for one in without)
        )

    def totals(self, name_of: Callable[[Entry], str], sessions: Sequence[str] | None) -> list[Total]:
        groups: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if sessions is None or entry.session in sessions:
                groups.setdefault(name_of(entry), []).append(entry)
        return [
            Total(
                name,
                len({entry.session for entry in group}),
                len(group),
                None if any(entry.size is None for entry in group) else sum(entry.size or 0 for entry in group),
            )
            for name, group in sorted(groups.items())
        ]


def object_of(entry: Entry) -> str:
    return entry.dataset.object if entry.dataset else OTHER


def subject_of(entry: Entry) -> str:
    return "/".join(entry.path.split("/")[:3])


def shaped(shape: dict[str, int], entries: Sequence[Entry]) -> Index:
    """Make an index in segments and blocks of these sizes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shape.items():
            patch.setattr(f"onelight.index.building.{name}", value)
        return Index(entries)


def in_any_order(entries: list[Entry]) -> st.SearchStrategy[list[Entry]]:
    return st.one_of(st.permutations(entries), st.just(sorted(entries, key=lambda entry: entry.path)))


ROWS = ENTRIES.flatmap(in_any_order)


@settings(max_examples=150)
@given(
    ROWS,
    SHAPES,
    st.lists(QUESTIONS, max_size=3),
    st.lists(QUESTIONS, max_size=2),
    st.lists(QUESTIONS, max_size=2),
    FILTERS,
)
def test_a_search_answers_as_a_look_at_every_file_does(
    entries: list[Entry],
    shape: dict[str, int],
    all_of: list[Pattern | Query],
    any_of: list[Pattern | Query],
    without: list[Pattern | Query],
    filters: dict[str, object],
) -> None:
    index, listed = shaped(shape, entries), Listed(entries)
    found = index.search(all_of, any_of=any_of, without=without, **filters)
    assert found == listed.search(all_of, any_of, without, **filters)
    for asked in (*all_of, *any_of, *without):
        assert index.occurs(asked) == any(asked.matches(entry.below) for entry in entries)


@settings(max_examples=100)
@given(ROWS, SHAPES, st.one_of(st.none(), QUESTIONS))
def test_every_file_and_no_other_is_found_by_its_path_and_in_its_session(
    entries: list[Entry], shape: dict[str, int], asked: Pattern | Query | None
) -> None:
    index, listed = shaped(shape, entries), Listed(entries)
    assert list(index) == listed.entries
    assert len(index) == len(listed.entries)
    assert index.sessions == sorted(listed.files)
    for entry in reversed(listed.entries):
        assert entry.path in index
        assert index.get(entry.path) == index[entry.path] == entry
        for other in (
            entry.path[:-1],
            f"{entry.path}x",
            f"{entry.path}/",
            entry.session,
            entry.below,
            f"x{entry.path}",
        ):
            known = next((one for one in entries if one.path == other), None)
            assert (other in index, index.get(other)) == (known is not None, known)
    for session, files in listed.files.items():
        assert index.select(session, asked) == [one for one in files if asked is None or asked.matches(one.below)]
    for text in ("", "/", "lab", "lab/Subjects/zz/2016-12-14/001", "zz/Subjects/a/2016-12-14/001", "\U0010ffff"):
        assert text not in index
        assert index.select(text) == []
        with pytest.raises(KeyError):
            index[text]


@settings(max_examples=100)
@given(ROWS, SHAPES, st.lists(SESSIONS, max_size=6))
def test_a_session_is_found_under_any_way_to_write_its_number(
    entries: list[Entry], shape: dict[str, int], others: list[str]
) -> None:
    index, listed = shaped(shape, entries), Listed(entries)
    for text in (*listed.files, *others):
        day, _, number = text.rpartition("/")
        same = [
            one for one in listed.files if one.rpartition("/")[0] == day and int(one[len(day) + 1 :]) == int(number)
        ]
        found = index.find_session(Session.parse(text))
        # As it is written, else in the form that has three digits, else in the longest that there is.
        assert found == (text if text in same else max(same, key=len, default=None))


@settings(max_examples=100)
@given(st.sets(st.sampled_from(["1", "01", "001", "10", "010", "2", "02"]), min_size=1))
def test_a_number_is_the_same_with_and_without_zeros(numbers: set[str]) -> None:
    index = Index(Entry(f"lab/Subjects/a/2016-12-14/{number}/a.b.npy") for number in numbers)
    for asked in ("1", "01", "001", "10", "010", "2", "02", "002", "3"):
        same = [number for number in numbers if int(number) == int(asked)]
        wanted = asked if asked in same else max(same, key=len, default=None)
        found = index.find_session(Session.parse(f"lab/Subjects/a/2016-12-14/{asked}"))
        assert found == (wanted and f"lab/Subjects/a/2016-12-14/{wanted}")


@settings(max_examples=100)
@given(ROWS, SHAPES, st.one_of(st.none(), st.lists(SESSIONS, max_size=8)))
def test_terms_and_totals_are_those_of_every_file(
    entries: list[Entry], shape: dict[str, int], others: list[str] | None
) -> None:
    index, listed = shaped(shape, entries), Listed(entries)
    sessions = None if others is None else [*others, *list(listed.files)[::2]]
    assert index.by_session(sessions) == listed.totals(lambda entry: entry.session, sessions)
    assert index.by_subject(sessions) == listed.totals(subject_of, sessions)
    assert index.by_object(sessions) == listed.totals(object_of, sessions)
    assert index.by_object(iter(sessions) if sessions is not None else None) == index.by_object(sessions)
    parts = [session.split("/") for session in listed.files]
    lab, subject, date, number = (sorted({part[place] for part in parts}) for place in (0, 2, 3, 4))
    types = sorted({entry.dataset.type for entry in entries if entry.dataset})
    assert index.terms() == (lab, subject, date, number, types)


@settings(max_examples=60)
@given(ENTRIES, st.data())
def test_of_two_entries_of_one_path_the_later_counts(entries: list[Entry], data: st.DataObject) -> None:
    again = [Entry(entry.path, "https://b.org/again", 7) for entry in entries[::2]]
    both = data.draw(in_any_order([*entries, *again]))
    assert list(Index(both)) == Listed(both).entries


@settings(max_examples=40)
@given(ROWS, SHAPES)
def test_an_index_in_a_file_answers_as_one_in_memory(entries: list[Entry], shape: dict[str, int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name, value in shape.items():
            patch.setattr(f"onelight.index.building.{name}", value)
        Index.build(entries, ["a remark"], path=Path(folder, "x"), facts={"source": "é"}).close()
        assert [path.name for path in Path(folder).iterdir()] == ["x"]
        index = Index.open(Path(folder, "x"))
        assert list(index) == Listed(entries).entries
        assert (index.remarks, index.fact("source"), index.fact("none")) == (("a remark",), "é", "")
        index.close()


@settings(max_examples=60)
@given(ENTRIES)
def test_what_is_written_as_one_root_is_the_same_index_again(entries: list[Entry]) -> None:
    stream = io.BytesIO()
    write_one_root(Index(entries), stream)
    again = read_one_root(io.BytesIO(stream.getvalue()), base_url=BASE)
    assert [entry.path for entry in again] == [entry.path for entry in Listed(entries).entries]
    twice = io.BytesIO()
    write_one_root(again, twice)
    assert list(read_one_root(io.BytesIO(twice.getvalue()), base_url="https://b.org")) == list(again)
    for entry in entries:
        assert again[entry.path].url == (entry.url or again[entry.path].url)
        assert (again[entry.path].size == 0) == (entry.url == "data:,")


@pytest.mark.parametrize(
    "path", ["", "/", "x", "lab/Subjects/a/2016-12-14/001", "lab/Subjects/a/2016-02-30/001/a.b.npy", "lab\0/a/b/c/d/e"]
)
@pytest.mark.parametrize("before", [[], ["zz/Subjects/a/2016-12-14/001/a.b.npy"]])
def test_an_entry_that_is_in_no_session_is_refused_and_never_left_out(path: str, before: list[str]) -> None:
    with pytest.raises(AlfError):
        Index(map(Entry, [*before, path]))


@settings(max_examples=10)
@given(st.sampled_from(["a\tb.c.npy", "a\nb.c.npy"]), st.sampled_from(["", "https://a.org/x"]))
@example("a.b.npy", "https://a.org/x\ty")
@example("a.b.npy", "https://a.org/x\n")
def test_what_would_break_the_rows_is_refused(name: str, url: str) -> None:
    from onelight.errors import UnsafeData

    with pytest.raises(UnsafeData, match="control character"):
        Index([Entry(f"lab/Subjects/a/2016-12-14/001/{name}", url)])


def test_a_session_with_more_files_than_a_batch_and_a_block_hold_is_whole() -> None:
    session = "lab/Subjects/a/2016-12-14/001"
    entries = [Entry(f"{session}/alf/a{number:05}.b.npy", "", number) for number in range(10_000)]
    index = Index([*entries, Entry(f"{session}/zz.b.npy", "", 5)])
    assert list(index) == [*entries, Entry(f"{session}/zz.b.npy", "", 5)]
    assert index.by_session() == [Total(session, 1, 10_001, sum(range(10_000)) + 5)]
    assert index.select(session, Pattern("a07654")) == [entries[7654]]


def test_datasets_of_all_kinds_are_among_the_names_that_are_drawn() -> None:
    parsed = []
    for below in BELOW:
        try:
            parsed.append(Dataset.parse(below))
        except AlfError:
            continue
    assert 0 < len(parsed) < len(BELOW)
    assert all(any(getattr(dataset, part) for dataset in parsed) for part in (*PARTS, "extra"))
