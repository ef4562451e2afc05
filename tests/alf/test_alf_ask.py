"""Questions for datasets: what a pattern and the parts of a question find, and which revision answers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelight.alf import Dataset, Pattern, Query, newest, value_filter, wildcard
from onelight.errors import AlfError

LFP = "alf/Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy"


def slow_wildcard(pattern: str, text: str) -> bool:
    """Compare by trying every length for each ``*``."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(slow_wildcard(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and text[0] == pattern[0] and slow_wildcard(pattern[1:], text[1:])


class TestPattern:
    @pytest.mark.parametrize(
        ("pattern", "path", "found"),
        [
            ("spikes", "alf/spikes.times.npy", True),
            ("spikes", "alf/spikesExtra.times.npy", False),
            ("spikes", "alf/mySpikes.times.npy", False),
            ("times", "alf/spikes.times.npy", False),
            ("npy", "alf/spikes.times.npy", False),
            ("alf", "alf/spikes.times.npy", False),
            ("spikes.times", "alf/spikes.times.npy", True),
            ("spikes.times", "alf/spikes.times.old.npy", True),
            ("spikes.times", "alf/spikes.times_bpod.npy", False),
            ("spikes.time", "alf/spikes.times.npy", False),
            ("ikes.times", "alf/spikes.times.npy", False),
            ("spikes.times.npy", "alf/spikes.times.npy", True),
            ("spikes.times.np", "alf/spikes.times.npy", False),
            ("spikes.times.npy", "alf/spikes.times.npy2", False),
            ("spikes*", "alf/spikesExtra.times.npy", True),
            ("*", "alf/spikes.times.npy", True),
            ("*s", "alf/spikes.times.npy", True),
            ("*y", "alf/spikes.times.npy", False),
            ("s*y", "alf/spikes.times.npy", False),
            ("*.times", "alf/spikes.times.npy", True),
            ("*.npy", "alf/spikes.times.npy", False),
            ("*.*", "alf/spikes.times.npy", True),
            ("trials.*_times", "alf/trials.goCue_times.npy", True),
            ("trials.*_times", "alf/trials.intervals.npy", False),
            ("*.times.npy", "alf/spikes.times.npy", True),
            ("*.npy", "alf/notes.npy", False),
            ("spikes?times", "alf/spikes.times.npy", False),
            ("spikes|trials", "alf/spikes.times.npy", False),
            ("[s]pikes", "alf/spikes.times.npy", False),
            ("trials", "alf/_ibl_trials.intervals.npy", True),
            ("_ibl_trials", "alf/_ibl_trials.intervals.npy", True),
            ("_ibl_trials", "alf/trials.intervals.npy", False),
            ("_other_trials.intervals", "alf/_ibl_trials.intervals.npy", False),
            ("_ibl_trials.intervals.npy", "alf/_ibl_trials.intervals.npy", True),
            ("alf/probe00/spikes", "alf/probe00/spikes.times.npy", True),
            ("alf/probe00/spikes", "alf/probe01/spikes.times.npy", False),
            ("probe00/spikes", "alf/probe00/spikes.times.npy", False),
            ("*/spikes", "alf/probe00/spikes.times.npy", True),
            ("alf/probe*/spikes.times", "alf/probe01/spikes.times.npy", True),
            ("notes.txt", "alf/notes.txt", True),
            ("Cori_2016-12-14_M2_g0_t0.imec", LFP, True),
            ("Cori_2016-12-14_M2_g0_t0", LFP, True),
            ("*.imec", LFP, True),
            ("*.lf", LFP, False),
        ],
    )
    def test_fields_are_compared_as_wholes(self, pattern: str, path: str, found: bool) -> None:
        assert Pattern(pattern).matches(path) is found

    @given(
        st.lists(st.text("ab*", min_size=1, max_size=4), min_size=1, max_size=2),
        st.lists(st.text("ab", min_size=1, max_size=4), min_size=3, max_size=5),
    )
    def test_one_or_two_fields_find_what_a_comparison_field_by_field_finds(
        self, pattern: list[str], name: list[str]
    ) -> None:
        wanted = all(slow_wildcard(one, field) for one, field in zip(pattern, name, strict=False))
        assert Pattern(".".join(pattern)).matches(f"alf/{'.'.join(name)}") is wanted

    @given(st.text("ab*.", max_size=8), st.text("ab.", max_size=8))
    def test_only_the_asterisk_is_special(self, pattern: str, text: str) -> None:
        assert wildcard(pattern)(text) is slow_wildcard(pattern, text)

    @given(st.text("ab", min_size=1, max_size=4), st.text("ab", min_size=1, max_size=4))
    def test_an_object_is_never_found_by_a_part_of_its_name(self, asked: str, there: str) -> None:
        assert Pattern(asked).matches(f"alf/{there}.times.npy") is (asked == there)

    @given(st.text("abc*._/# ", max_size=12), st.text("abc._/# ", max_size=12))
    def test_any_text_is_a_pattern_that_answers_or_refused(self, text: str, path: str) -> None:
        try:
            pattern = Pattern(text)
        except AlfError as error:
            assert "Ask for an object" in str(error)  # noqa: PT017 - some texts are patterns
            return
        assert pattern.matches(path) in (True, False)

    @pytest.mark.parametrize(
        "text", ["", "  ", "/spikes", "spikes/", "alf/probe00/", ".times", "alf/.times", "spikes."]
    )
    def test_what_asks_for_nothing_is_refused(self, text: str) -> None:
        with pytest.raises(AlfError, match="not a dataset pattern"):
            Pattern(text)


class TestFilters:
    @pytest.mark.parametrize(
        ("wanted", "text", "passes"),
        [
            (None, "Cori", True),
            ("Cori", "Cori", True),
            ("Cor", "Cori", False),
            ("Co*", "Cori", True),
            ("*", "Cori", True),
            (["Hench", "Co*"], "Cori", True),
            (("Hench",), "Cori", False),
            ([], "Cori", False),
            ({"Cori"}, "Cori", True),
            (dt.date(2016, 12, 14), "2016-12-14", True),
            (dt.datetime(2016, 12, 14, 9, 30, tzinfo=dt.timezone.utc), "2016-12-14", True),
            (12, "12", True),
            ("1", "001", False),  # names of subjects are texts
        ],
    )
    def test_a_whole_value_with_asterisks_or_any_of_several_passes(
        self, wanted: object, text: str, passes: bool
    ) -> None:
        assert value_filter(wanted)(text) is passes

    @pytest.mark.parametrize("wanted", [1, "1", "01", "001", [7, 1], ("001",), "0*", "*"])
    def test_a_number_is_the_same_as_int_and_as_text(self, wanted: object) -> None:
        assert value_filter(wanted, number=True)("001")

    @pytest.mark.parametrize("wanted", [0, 2, 10, "11", "1*", [2, 3], "9" * 5000, "x"])
    def test_another_number_does_not_pass(self, wanted: object) -> None:
        assert not value_filter(wanted, number=True)("001")


SESSION = [
    "_ibl_experiment.description.yaml",
    "alf/_ibl_trials.intervals.npy",
    "alf/_ibl_trials.intervals_bpod.npy",
    "alf/#2025-03-03#/_ibl_trials.table.pqt",
    "alf/probe00/spikes.times.npy",
    "alf/probe00/pykilosort/spikes.times.npy",
    "alf/probe00/pykilosort/#2024-05-06#/spikes.times.npy",
    "alf/probe01/spikes.times.6252a2f0-c10f-4e49-b085-75749ba29c35.npy",
    "alf/wheel.position.npy",
    "alf/wheel.position_ephysClock.csv",
    "notes.txt",
]


class TestQuery:
    @pytest.mark.parametrize(
        ("pattern", "parts", "found"),
        [
            (None, {}, range(11)),
            ("spikes", {}, [4, 5, 6, 7]),
            ("spikes.times.npy", {}, [4, 5, 6, 7]),  # a UUID does not hide a file from its name
            ("spikes", {"collection": "alf/probe00"}, [4]),
            ("spikes", {"collection": "alf/probe00/"}, [4]),
            ("spikes", {"collection": "alf/probe00*"}, [4, 5, 6]),
            ("alf/probe00/pykilosort/spikes", {}, [5, 6]),
            ("alf/probe00/pykilosort/#2024-05-06#/spikes", {}, [6]),
            (None, {"collection": ""}, [0]),
            (None, {"collection": "ALF"}, []),
            ("trials", {}, [1, 2, 3]),
            ("_ibl_trials.*", {}, [1, 2, 3]),
            ("_ibl_trials", {}, [1, 2, 3]),
            ("_iblrig_trials", {}, []),
            ("Trials", {}, []),
            ("trials.intervals", {}, [1]),
            ("trials.intervals", {"timescale": ""}, [1]),
            ("trials.intervals", {"timescale": "bpod"}, [2]),
            ("trials.intervals_bpod", {}, [2]),
            ("trials.intervals_bpod", {"timescale": "bpod"}, [2]),
            ("trials.intervals", {"timescale": "*"}, [1, 2]),
            ("trials.intervals*", {}, [1, 2]),
            (None, {"timescale": "ephysClock"}, [9]),
            (None, {"namespace": "ibl"}, [0, 1, 2, 3]),
            (None, {"namespace": "_ibl_"}, [0, 1, 2, 3]),
            ("trials", {"namespace": ""}, []),
            (None, {"namespace": "", "collection": "alf"}, [8, 9]),
            (None, {"extension": "pqt"}, [3]),
            (None, {"extension": ".pqt"}, [3]),
            ("wheel", {"extension": "npy"}, [8]),
            ("wheel", {"extension": "n*"}, [8]),
            ("wheel.position.npy", {}, [8]),
            ("notes.txt", {}, [10]),
            ("notes.txt", {"extension": "txt"}, []),  # what is no ALF name has no parts
        ],
    )
    def test_the_pattern_and_every_part_must_fit(
        self, pattern: str | None, parts: dict[str, Any], found: list[int]
    ) -> None:
        query = Query(Pattern(pattern) if pattern else None, **parts)
        assert [number for number, path in enumerate(SESSION) if query.matches(path)] == [*found]

    @pytest.mark.parametrize(
        ("revision", "found"),
        [
            (None, [4, 5, 6, 7]),
            ("", [4, 5, 7]),
            ("2024-05-05", [4, 5, 7]),
            ("2024-05-06", [4, 5, 6, 7]),
            ("#2024-05-06#", [4, 5, 6, 7]),
            ("2025", [4, 5, 6, 7]),
        ],
    )
    def test_a_revision_lets_nothing_pass_that_is_newer(self, revision: str | None, found: list[int]) -> None:
        query = Query(Pattern("spikes"), revision=revision)
        assert [number for number, path in enumerate(SESSION) if query.matches(path)] == found
        assert Query(revision=revision).matches("notes.txt")

    @given(st.sampled_from(SESSION), st.data())
    def test_a_dataset_is_found_by_each_of_its_parts_and_by_its_name(self, path: str, data: st.DataObject) -> None:
        if path == "notes.txt":
            return
        dataset = Dataset.parse(path)
        parts = {
            name: getattr(dataset, name)
            for name in ("collection", "revision", "namespace", "timescale", "extension")
            if data.draw(st.booleans())
        }
        texts = [dataset.object, dataset.type, dataset.name, f"_{dataset.namespace or '*'}_{dataset.object}"]
        if not dataset.namespace:
            texts.pop()
        asked = data.draw(st.sampled_from(texts))
        assert Query(Pattern(asked), **parts).matches(path)


class TestNewest:
    @pytest.mark.parametrize(
        ("revision", "found"),
        [
            (None, ["alf/#2024-05-06#/a.b.npy", "alf/#2022-01-28#/c.d.npy", "alf/e.f.npy"]),
            ("2024-05-06", ["alf/#2024-05-06#/a.b.npy", "alf/#2022-01-28#/c.d.npy", "alf/e.f.npy"]),
            ("2024-05-05", ["alf/#2022-01-28#/a.b.npy", "alf/#2022-01-28#/c.d.npy", "alf/e.f.npy"]),
            ("#2023#", ["alf/#2022-01-28#/a.b.npy", "alf/#2022-01-28#/c.d.npy", "alf/e.f.npy"]),
            ("2022", ["alf/a.b.npy", "alf/e.f.npy"]),
            ("", ["alf/a.b.npy", "alf/e.f.npy"]),
        ],
    )
    def test_of_each_dataset_the_newest_that_is_not_after_the_asked_one_answers(
        self, revision: str | None, found: list[str]
    ) -> None:
        """A real session mixes datasets without revision with several revisions of others."""
        paths = [
            "alf/#2024-05-06#/a.b.npy",
            "alf/a.b.npy",
            "alf/#2022-01-28#/c.d.npy",
            "alf/#2022-01-28#/a.b.npy",
            "alf/e.f.npy",
        ]
        assert newest(paths, revision) == found
        assert sorted(newest(paths[::-1], revision)) == sorted(found)

    def test_revisions_are_compared_as_texts(self) -> None:
        assert newest(["#v9#/a.b.npy", "#v10#/a.b.npy"]) == ["#v9#/a.b.npy"]
        assert newest(["#2024#/a.b.npy", "#2024a#/a.b.npy"], "2024") == ["#2024#/a.b.npy"]

    def test_collections_namespaces_timescales_extras_and_extensions_are_datasets_of_their_own(self) -> None:
        paths = [
            "alf/a.b.npy",
            "alf/#r#/x/../a.b.npy",  # no name at all
            "alf/probe00/a.b.npy",
            "alf/_ns_a.b.npy",
            "alf/a.b_clock.npy",
            "alf/a.b.00.npy",
            "alf/a.b.csv",
            "notes.txt",
        ]
        assert newest(paths) == paths

    def test_two_files_that_differ_in_a_uuid_alone_are_one_dataset_in_two_revisions(self) -> None:
        old = "alf/a.b.6252a2f0-c10f-4e49-b085-75749ba29c35.npy"
        new = "alf/#2024#/a.b.9041b63e-02e2-480e-aaa7-4f6b776a647f.npy"
        assert newest([old, new]) == newest([new, old]) == [new]
        assert newest([old, new], "2023") == [old]

    def test_two_uuids_in_one_revision_both_come_since_a_uuid_has_no_order(self) -> None:
        paths = [
            "alf/#r#/a.b.6252a2f0-c10f-4e49-b085-75749ba29c35.npy",
            "alf/a.b.2f88d70a-2172-4635-8ee9-88d9c5193aae.npy",
            "alf/#r#/a.b.9041b63e-02e2-480e-aaa7-4f6b776a647f.npy",
        ]
        assert newest(paths) == [paths[0], paths[2]]

    @given(
        st.lists(
            st.tuples(st.sampled_from(["", "#1#/", "#2#/", "#30#/"]), st.sampled_from(["a.b.npy", "c.d.npy"])).map(
                "".join
            ),
            unique=True,
        ),
        st.none() | st.sampled_from(["", "1", "2", "25", "3", "30"]),
    )
    def test_it_is_the_greatest_of_those_that_may_answer(self, paths: list[str], revision: str | None) -> None:
        wanted = set()
        for name in ("a.b.npy", "c.d.npy"):
            may = [
                dataset.revision
                for dataset in map(Dataset.parse, paths)
                if dataset.name == name and (revision is None or dataset.revision <= revision)
            ]
            if may:
                wanted.add((f"#{max(may)}#/" if max(may) else "") + name)
        assert set(newest(paths, revision)) == wanted


def test_a_revision_is_whole() -> None:
    with pytest.raises(AlfError, match="is not a revision"):
        Query(revision="2024*")


def test_a_filter_that_holds_nothing_is_no_filter() -> None:
    with pytest.raises(AlfError, match="it has None"):
        value_filter(["Cori", None])


@pytest.mark.parametrize(
    "text", ["ephysData_g0_t0.imec0.ap", "ephysData_g0_t0.imec0.*", "alf/ephysData_g0_t0.imec0.ap"]
)
def test_a_dataset_is_found_by_its_object_and_key(text: str) -> None:
    assert Pattern(text).matches("alf/_spikeglx_ephysData_g0_t0.imec0.ap.cbin")
    assert not Pattern("ephysData_g0_t0.imec0.lf").matches("alf/_spikeglx_ephysData_g0_t0.imec0.ap.cbin")
