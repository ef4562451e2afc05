"""Sessions and datasets: every text is a value that is written the same way, or refused with the reason."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import pickle
import re
import string
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from onelight.alf import Dataset, Session, check_safe, names, sharing_problems, split_path
from onelight.errors import AlfError, OneError

name_text = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}", fullmatch=True)
sessions = st.builds(
    Session,
    lab=name_text,
    subject=name_text,
    date=st.dates().map(dt.date.isoformat),
    number=st.integers(0, 999).flatmap(lambda n: st.sampled_from([str(n), f"{n:03}"])),
)
field_text = st.text(string.ascii_letters + string.digits + "_- é'#~", min_size=1, max_size=8)
attribute_text = field_text | st.sampled_from(
    ["times", "goCue_times", "goCue_times_bpod", "intervals_bpod", "visualStim_contrastLeft", "_phy_annotation", "x_"]
)
folder_text = st.text(string.ascii_letters + string.digits + "_-. é", min_size=1, max_size=8).filter(
    lambda text: text not in {".", ".."}
)
uuids = st.uuids().map(str)
paths = st.builds(
    lambda folders, revision, namespace, fields: "/".join(
        [*folders, *([f"#{revision}#"] if revision else []), namespace + ".".join(fields)]
    ),
    st.lists(folder_text, max_size=3),
    st.just("") | folder_text,
    st.just("") | st.text(string.ascii_letters + string.digits, min_size=1, max_size=5).map("_{}_".format),
    st.tuples(field_text, attribute_text, st.lists(field_text | uuids, min_size=1, max_size=4)).map(
        lambda fields: [fields[0], fields[1], *fields[2]]
    ),
)
any_path = (
    paths
    | st.text(max_size=40)
    | st.text("ab_./#é 1-\\\n", max_size=24)
    | st.from_regex(r"\A(_\w+_)?\w+(\.[\w-]+){2,4}\Z")
)

# The same grammar, written down a second time in a slow way.
FIELD = r"[^.\\\x00-\x1f\x7f]+"
SLOW_FILE = re.compile(rf"(?:_([A-Za-z0-9]+)_)?({FIELD})\.({FIELD})(?:\.({FIELD}(?:\.{FIELD})*))?\.({FIELD})")
SLOW_ATTRIBUTE = re.compile(r"((?:_[a-z]+_)?[a-zA-Z0-9]+(?:_times(?=_|\Z)|_intervals(?=_|\Z))?)(?:_(\w+))?")
SLOW_FOLDER = re.compile(r"((?!\.{1,2}(?:/|\Z))[^/#]+(?:/(?!\.{1,2}(?:/|\Z))[^/#]+)*)?")


def slow_parse(path: str) -> Dataset | None:
    """Parse with regular expressions, part by part."""
    folder, slash, name = path.rpartition("/")
    found = SLOW_FILE.fullmatch(name)
    ends = re.fullmatch(r"(?:(.*)/)?#([^#/]+)#", folder, re.DOTALL)
    collection, revision = (ends[1], ends[2]) if ends else (folder, "")
    if found is None or re.search(r"[\\\x00-\x1f\x7f]", folder):
        return None
    if not SLOW_FOLDER.fullmatch(collection or "") or (slash and not folder) or collection == "" != folder:
        return None
    namespace, object_, field, extra, extension = found.groups("")
    parts = SLOW_ATTRIBUTE.fullmatch(field)
    attribute, timescale = parts.groups("") if parts else (field, "")
    return Dataset(collection or "", revision, namespace, object_, attribute, timescale, extra, extension)


class TestSession:
    @given(sessions)
    def test_what_is_written_is_read_again(self, session: Session) -> None:
        assert Session.parse(str(session)) == session
        assert Session.parse(f"{session}/") == session

    @given(st.text() | st.from_regex(r"\w*/Subjects/\w+/[0-9]{4}-[0-9-]{2,5}/[0-9]{1,4}/?\n?"))
    def test_any_text_is_a_session_that_reads_the_same_or_refused(self, text: str) -> None:
        try:
            session = Session.parse(text)
        except AlfError:
            return
        assert str(session) == text.strip().rstrip("/")

    def test_the_parts_of_a_session_have_their_names(self) -> None:
        session = Session.parse("nicklab/Subjects/Cori/2016-12-14/001")
        assert (session.lab, session.subject, session.date, session.number) == ("nicklab", "Cori", "2016-12-14", "001")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "not a session"),
            ("nicklab", "not a session"),
            ("nicklab/Cori/2016-12-14/001", "LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER"),
            ("nicklab/subjects/Cori/2016-12-14/001", "LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER"),
            ("/nicklab/Subjects/Cori/2016-12-14/001", "LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER"),
            ("nicklab/Subjects/Cori/2016-12-14/001/alf", "LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER"),
            ("nicklab/Subjects/Cori/2019-1-1/001", "2019-01-01"),
            ("nicklab/Subjects/Cori/20161214/001", "2016-12-14"),
            ("nicklab/Subjects/Cori/14-12-2016/001", "not of the form YYYY-MM-DD"),
            ("nicklab/Subjects/Cori/2019-02-30/001", "not a day of the calendar"),
            ("nicklab/Subjects/Cori/2016-13-45/001", "not a day of the calendar"),
            ("nicklab/Subjects/Cori/0000-01-01/001", "not a day of the calendar"),
            ("nicklab/Subjects/Cori/2016-12-14/one", "such as 001"),
            ("nicklab/Subjects/Cori/2016-12-14/0001", "up to three digits"),
            ("nicklab/Subjects/Cori/2016-12-14/\u0661", "up to three digits"),
            ("nicklab/Subjects/Cori/\u0662016-12-14/001", "not of the form YYYY-MM-DD"),
            ("nick lab/Subjects/Cori/2016-12-14/001", "lab 'nick lab' has ' '"),
            ("nicklab/Subjects/Co#ri/2016-12-14/001", "subject 'Co#ri' has '#'"),
            ("nicklab/Subjects/Córi/2016-12-14/001", "allowed are A-Z a-z 0-9 _ - ."),
            ("nicklab/Subjects/.Cori/2016-12-14/001", "must begin with a letter"),
            ("../Subjects/Cori/2016-12-14/001", "must begin with a letter"),
            ("nicklab/Subjects/-Cori/2016-12-14/001", "must begin with a letter"),
        ],
    )
    def test_what_is_no_session_is_refused_with_the_reason_and_the_right_form(self, text: str, reason: str) -> None:
        with pytest.raises(AlfError) as caught:
            Session.parse(text)
        assert reason in str(caught.value)
        assert "LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER" in str(caught.value)

    def test_all_that_is_wrong_is_said_at_once(self) -> None:
        with pytest.raises(AlfError) as caught:
            Session.parse("nick lab/Subjects/Co#ri/2019-1-1/x")
        for part in ("nick lab", "Co#ri", "2019-01-01", "number 'x'"):
            assert part in caught.value.message


class TestDataset:
    @given(any_path)
    @example("alf/#r#/_ibl_spikes.times_bpod.00.npy")
    def test_any_text_is_a_dataset_that_is_written_the_same_or_refused_with_a_reason(self, text: str) -> None:
        try:
            dataset = Dataset.parse(text)
        except AlfError as error:
            assert error.message  # noqa: PT017 - many texts are datasets
            assert error.hint  # noqa: PT017
            assert all(char.isprintable() or char.isspace() for char in str(error))  # noqa: PT017
            assert len(str(error).splitlines()) == 1  # noqa: PT017
            return
        assert str(dataset) == text
        assert text.endswith(dataset.name)
        assert Dataset.parse(dataset.name).name == dataset.name

    @given(any_path)
    @example("trials.goCue_times_.npy")
    @example("clusters._phy_annotation_x_times.npy")
    @example("/#r#/a.b.npy")
    @example("#r#/a.b.npy")
    @example("alf/##/a.b.npy")
    @example("alf/..a/a.b.npy")
    @example("alf/\u200b/a.b.npy")
    @example("_a_.b.c..npy")
    @example("_ibl__a.b.c.d.npy")
    @example("a.b.npy\n")
    def test_it_has_the_parts_that_the_grammar_gives_it(self, text: str) -> None:
        names._PARSED.clear()
        try:
            found = Dataset.parse(text)
        except AlfError:
            found = None
        assert found == slow_parse(text)

    def test_the_parts_of_a_dataset_have_their_names(self) -> None:
        dataset = Dataset.parse("alf/probe00/#2024-05-06#/_ibl_spikes.times_bpod.raw.v2.npy")
        assert dataset == Dataset("alf/probe00", "2024-05-06", "ibl", "spikes", "times", "bpod", "raw.v2", "npy")
        assert dataset.type == "spikes.times_bpod"
        assert dataset.key == "times_bpod.raw.v2"
        assert dataset.extras == ("raw", "v2")

    @pytest.mark.parametrize(
        ("field", "attribute", "timescale"),
        [
            ("times", "times", ""),
            ("goCue_times", "goCue_times", ""),
            ("stimOn_intervals", "stimOn_intervals", ""),
            ("goCue_times_bpod", "goCue_times", "bpod"),
            ("stimOn_intervals_ephys_clock", "stimOn_intervals", "ephys_clock"),
            ("times_ephysClock", "times", "ephysClock"),
            ("times_times", "times_times", ""),
            ("visualStim_contrastLeft", "visualStim", "contrastLeft"),
            ("attr_timestamps", "attr", "timestamps"),
            ("foo_timesX", "foo", "timesX"),
            ("foo_times_", "foo", "times_"),
            ("_phy_annotation", "_phy_annotation", ""),
            ("_phy_goCue_times_bpod", "_phy_goCue_times", "bpod"),
            ("_PHY_annotation", "_PHY_annotation", ""),
            ("itiDuration_", "itiDuration_", ""),
            ("brainLocationIds_ccf_2017", "brainLocationIds", "ccf_2017"),
            ("ti-mes_bpod", "ti-mes_bpod", ""),
        ],
    )
    def test_the_second_field_is_split_as_one_api_does_and_the_key_is_the_same_however_it_is_split(
        self, field: str, attribute: str, timescale: str
    ) -> None:
        dataset = Dataset.parse(f"alf/trials.{field}.npy")
        assert (dataset.attribute, dataset.timescale) == (attribute, timescale)
        assert (dataset.field, dataset.key, dataset.type) == (field, field, f"trials.{field}")

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("", "field"),
            ("README", "1 field between dots, and needs three"),
            ("notes.txt", "2 fields between dots, and needs three"),
            ("alf/notes.txt", "2 fields between dots"),
            ("spikes..npy", "a field between its dots is empty"),
            (".times.npy", "a field between its dots is empty"),
            ("spikes.times.", "a field between its dots is empty"),
            ("spikes.times..npy", "a field between its dots is empty"),
            ("alf/", "field"),
            ("/spikes.times.npy", "empty part"),
            ("//spikes.times.npy", "empty part"),
            ("/#2024-05-06#/spikes.times.npy", "empty part"),
            ("alf//spikes.times.npy", "empty part"),
            ("alf//#2024-05-06#/spikes.times.npy", "empty part"),
            ("../spikes.times.npy", "climbs"),
            ("./alf/spikes.times.npy", "climbs"),
            ("alf/../#r#/spikes.times.npy", "climbs"),
            ("#2024-05-06#/alf/spikes.times.npy", "'#' outside a revision folder"),
            ("#r1#/#r2#/spikes.times.npy", "'#' outside a revision folder"),
            ("alf/#2024/spikes.times.npy", "'#' outside a revision folder"),
            ("alf/##/spikes.times.npy", "'#' outside a revision folder"),
            ("alf/###/spikes.times.npy", "'#' outside a revision folder"),
            ("alf\\spikes.times.npy", "a backslash or a control character"),
            ("spikes.times.npy\n", "a backslash or a control character"),
            ("alf\\probe00/spikes.times.npy", "a backslash or a control character in the name of a folder"),
            ("alf/\x1b[2J/spikes.times.npy", "a backslash or a control character in the name of a folder"),
        ],
    )
    def test_what_is_no_dataset_is_refused_with_the_reason(self, path: str, reason: str) -> None:
        with pytest.raises(AlfError, match="right form|revision|below the session") as caught:
            Dataset.parse(path)
        assert reason in caught.value.message

    @pytest.mark.parametrize(
        ("name", "key"),
        [
            ("spikes.times.npy", "times"),
            ("spikes.times.6252a2f0-c10f-4e49-b085-75749ba29c35.npy", "times"),
            ("spikes.times.00.npy", "times.00"),
            ("spikes.times.00.6252a2f0-c10f-4e49-b085-75749ba29c35.npy", "times.00"),
            ("_ibl_trials.intervals_bpod.raw.npy", "intervals_bpod.raw"),
            ("trials.visualStim_contrastLeft.npy", "visualStim_contrastLeft"),
            ("clusters._phy_annotation.npy", "_phy_annotation"),
            ("trials.table.csv.gz", "table"),
            ("trials.table.00.csv.gz", "table.00"),
            ("data.raw.tar.gz", "raw"),
            ("spikes.times.6252A2F0.npy", "times.6252A2F0"),  # no UUID
        ],
    )
    def test_a_key_is_what_a_dataset_is_called_within_its_object(self, name: str, key: str) -> None:
        assert Dataset.parse(name).key == key

    @given(paths, uuids)
    def test_a_uuid_behind_the_attribute_changes_neither_key_nor_stem(self, path: str, uuid: str) -> None:
        plain = Dataset.parse(path)
        assume(plain.extension != "gz")
        extra = f"{plain.extra}.{uuid}".removeprefix(".")
        served = Dataset.parse(str(dataclasses.replace(plain, extra=extra)))
        assert (served.key, served.stem, served.type) == (plain.key, plain.stem, plain.type)
        assert served != plain

    def test_a_uuid_in_the_place_of_an_attribute_is_one(self) -> None:
        one, other = (
            Dataset.parse(f"a.{start}a2f0-c10f-4e49-b085-75749ba29c35.x.npy") for start in ("62520000", "62520001")
        )
        assert one.stem != other.stem


class TestValues:
    """Datasets and sessions are values: equal, ordered, hashed and copied by their parts, and never changed."""

    PATHS = ("alf/#r#/_ibl_spikes.times_bpod.00.npy", "alf/spikes.times.npy", "spikes.times.npy")

    @pytest.fixture(params=[*PATHS, "lab/Subjects/Cori/2016-12-14/001"])
    def value(self, request: pytest.FixtureRequest) -> Dataset | Session:
        text: str = request.param
        return Session.parse(text) if "Subjects" in text else Dataset.parse(text)

    def test_one_that_was_parsed_is_one_that_was_made(self, value: Any) -> None:
        made = type(value)(**dataclasses.asdict(value))
        assert type(made) is type(value) in {Dataset, Session}
        assert made == value
        assert hash(made) == hash(value)
        assert repr(made) == repr(value)
        assert not made < value
        assert made <= value

    def test_it_is_no_tuple_and_no_text(self, value: Any) -> None:
        assert value != dataclasses.astuple(value)
        assert value != str(value)
        assert not isinstance(value, tuple)
        with pytest.raises(TypeError):
            iter(value)

    def test_it_cannot_be_changed(self, value: Any) -> None:
        for name in (*(field.name for field in dataclasses.fields(value)), "other"):
            with pytest.raises((dataclasses.FrozenInstanceError, TypeError, AttributeError)):
                setattr(value, name, "x")
            with pytest.raises((dataclasses.FrozenInstanceError, TypeError, AttributeError)):
                delattr(value, name)
        assert not hasattr(value, "__dict__")

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1)[2:])
    def test_it_is_pickled_and_copied(self, value: Any, protocol: int) -> None:
        for same in (pickle.loads(pickle.dumps(value, protocol)), copy.copy(value), copy.deepcopy(value)):
            assert same == value
            assert type(same) is type(value)

    def test_a_part_can_be_replaced_in_a_copy(self, value: Any) -> None:
        ways: list[Callable[..., Any]] = [dataclasses.replace]
        if sys.version_info >= (3, 13):
            ways.append(copy.replace)
        part = "date" if isinstance(value, Session) else "collection"
        for replace in ways:
            changed = replace(value, **{part: "other"})
            assert getattr(changed, part) == "other"
            assert dataclasses.asdict(changed) == dataclasses.asdict(value) | {part: "other"}

    def test_they_are_sorted_by_their_parts(self) -> None:
        parsed = [Dataset.parse(path) for path in self.PATHS]
        assert [str(dataset) for dataset in sorted(parsed)] == [self.PATHS[2], self.PATHS[1], self.PATHS[0]]
        assert sorted(parsed) == sorted(parsed, key=dataclasses.astuple)

    def test_what_was_parsed_is_remembered_within_limits_and_by_several_threads(self) -> None:
        texts = [f"alf/spikes{number}.times.npy" for number in range(9000)] * 2
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda some: [*map(Dataset.parse, some)], [texts] * 4):
                assert list(map(str, found)) == texts
        assert len(names._PARSED) <= 4096 + 4

    def test_a_name_that_comes_again_is_one_value_and_one_that_comes_once_is_not_kept(self) -> None:
        names._PARSED.clear()
        first, second, third = (Dataset.parse("alf/spikes.times.npy") for _ in range(3))
        assert first == second
        assert second is third
        Dataset.parse("alf/spikes.amps.npy")
        assert names._PARSED["alf/spikes.times.npy"] is second
        assert names._PARSED["alf/spikes.amps.npy"] is None


class TestPaths:
    def test_a_path_is_split_into_session_and_rest(self) -> None:
        session, below = split_path("nicklab/Subjects/Cori/2016-12-14/001/alf/probe00/spikes.times.npy")
        assert (str(session), below) == ("nicklab/Subjects/Cori/2016-12-14/001", "alf/probe00/spikes.times.npy")

    @given(
        st.tuples(sessions.map(str), any_path).map("/".join)
        | st.from_regex(r"\A ?lab/Subjects/s/2016-12-14/001[/ ]{1,2}(a.b.npy)?\Z")
    )
    def test_any_path_is_split_into_what_gives_it_again_or_refused(self, path: str) -> None:
        try:
            session, below = split_path(path)
        except AlfError:
            return
        assert f"{session}/{below}" == path

    @pytest.mark.parametrize(
        "path",
        [
            "spikes.times.npy",
            "nicklab/Subjects/Cori/2016-12-14/001",
            "a/b/c/d/e/f",
            "/nicklab/Subjects/Cori/2016-12-14/001/alf/a.b.npy",
            " nicklab/Subjects/Cori/2016-12-14/001/alf/a.b.npy",
            "nicklab/Subjects/Cori/2016-12-14/001 /alf/a.b.npy",
        ],
    )
    def test_a_path_that_lies_in_no_session_is_refused(self, path: str) -> None:
        with pytest.raises(AlfError, match="LAB/Subjects"):
            split_path(path)


class TestSharing:
    @pytest.mark.parametrize(
        ("session", "below", "reason"),
        [
            ("lab/Subjects/s/2016-12-14/1", "alf/spikes.times.npy", "should have three digits: 001"),
            ("lab/Subjects/s/2016-12-14/12", "alf/spikes.times.npy", "should have three digits: 012"),
            ("lab/Subjects/s/2016-12-14/001", "alf/spikes~old.times.npy", "has ~"),
            ("lab/Subjects/s/2016-12-14/001", "alf/spi?kes.ti*mes.npy", "has * ?"),
            ("lab/Subjects/s/2016-12-14/001", 'alf/"spikes".times.npy', 'has "'),
            ("lab/Subjects/s/2016-12-14/001", "alf/con.times.npy", "is the name of a device on Windows"),
        ],
    )
    def test_what_others_cannot_hold_is_told_to_the_sharer(self, session: str, below: str, reason: str) -> None:
        """Row D3."""
        (problem,) = sharing_problems(Session.parse(session), below)
        assert reason in problem

    def test_a_good_name_is_no_problem(self) -> None:
        below = "alf/probe00/#2024-05-06#/spikes.times.npy"
        assert sharing_problems(Session.parse("lab/Subjects/s/2016-12-14/001"), below) == []


def test_every_error_of_a_name_is_one_error_and_a_value_error() -> None:
    for question in (lambda: Session.parse("x"), lambda: Dataset.parse("x"), lambda: check_safe("..")):
        with pytest.raises(OneError) as caught:
            question()
        assert isinstance(caught.value, ValueError)


def test_every_name_of_the_synthetic_dataset_is_read(shared_data_root: Path) -> None:
    found = {path.name for path in shared_data_root.rglob("*.*") if path.is_file()}
    assert len(found) == 53 + 2 * 3  # 53 of every session and two of the probes of each
    assert {Dataset.parse(name).name for name in found} == found
