"""Names: what a path means, what a pattern finds, and which paths are refused."""

from __future__ import annotations

import datetime as dt
import json
import ntpath
import posixpath
import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelight.alf import (
    Dataset,
    Pattern,
    Session,
    check_safe,
    printable,
    sharing_problems,
    split_path,
    value_filter,
    wildcard,
)
from onelight.errors import AlfError, OneError, UnsafeData

ONE_API_CASES = Path(__file__).resolve().parents[2] / "shared" / "facts" / "alf-cases.json"

# The names of the dataset of Steinmetz et al. 2019, with the raw files of one of its sessions.
STEINMETZ = [
    "Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy",
    "Cori_2016-12-14_V1_g0_t0.imec.lf.timestamps.npy",
    "channels.brainLocation.tsv",
    "channels.site.npy",
    "clusters._phy_annotation.npy",
    "clusters.templateWaveformChans.npy",
    "eye.xyPos.npy",
    "face.motionEnergy.npy",
    "lickPiezo.timestamps.npy",
    "passiveValveClick.times.npy",
    "passiveVisual.contrastLeft.npy",
    "probes.rawFilename.tsv",
    "spikes.times.npy",
    "spontaneous.intervals.npy",
    "trials.visualStim_contrastLeft.npy",
    "wheelMoves.type.npy",
]

name_text = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}", fullmatch=True)
sessions = st.builds(
    Session,
    lab=name_text,
    subject=name_text,
    date=st.dates().map(dt.date.isoformat),
    number=st.integers(0, 999).flatmap(lambda n: st.sampled_from([str(n), f"{n:03}"])),
)
field_text = st.text(string.ascii_letters + string.digits + "_- é'", min_size=1, max_size=8)
folder_text = st.text(string.ascii_letters + string.digits + "_-. é", min_size=1, max_size=8)
datasets = st.builds(
    lambda folders, revision, namespace, object_, attribute, extra, extension: Dataset(
        "/".join(folders), revision, namespace, object_, attribute, ".".join(extra), extension
    ),
    st.lists(folder_text, max_size=3),
    st.one_of(st.just(""), folder_text),
    st.one_of(st.just(""), st.text(string.ascii_letters + string.digits, min_size=1, max_size=5)),
    # An object that begins with "_" could be read as a namespace; texts of that kind are covered by the next property.
    field_text.filter(lambda text: not text.startswith("_")),
    field_text,
    st.lists(field_text, max_size=3),
    field_text,
)


class TestSession:
    @given(sessions)
    def test_what_is_written_is_read_again(self, session: Session) -> None:
        assert Session.parse(str(session)) == session
        assert Session.parse(f"{session}/") == session

    @given(st.one_of(st.text(), st.from_regex(r"\w*/Subjects/\w+/[0-9]{4}-[0-9-]{2,5}/[0-9]{1,4}/?\n?")))
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
            ("nicklab/Subjects/Cori/2016-12-14/one", "such as 001"),
            ("nicklab/Subjects/Cori/2016-12-14/0001", "up to three digits"),
            ("nicklab/Subjects/Cori/2016-12-14/\u0661", "up to three digits"),
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
    @given(datasets)
    def test_what_is_written_is_read_again(self, dataset: Dataset) -> None:
        assert Dataset.parse(str(dataset)) == dataset

    @given(st.text("ab_./#é 1-", max_size=24))
    def test_any_text_is_a_dataset_that_reads_the_same_or_refused(self, text: str) -> None:
        try:
            dataset = Dataset.parse(text)
        except AlfError:
            return
        assert str(dataset) == text
        assert dataset.type == f"{dataset.object}.{dataset.attribute}"

    @pytest.mark.parametrize("name", STEINMETZ)
    def test_every_form_of_name_of_the_steinmetz_dataset_is_read(self, name: str) -> None:
        dataset = Dataset.parse(f"alf/{name}")
        fields = name.split(".")
        assert (dataset.collection, dataset.object, dataset.attribute) == ("alf", fields[0], fields[1])
        assert (dataset.extra, dataset.extension) == (".".join(fields[2:-1]), fields[-1])
        assert dataset.name == name

    def test_every_name_of_the_synthetic_dataset_is_read(self, shared_data_root: Path) -> None:
        names = {path.name for path in shared_data_root.rglob("*.*") if path.is_file()}
        assert len(names) == 53 + 2 * 3  # 53 of every session and two of the probes of each
        assert {Dataset.parse(name).name for name in names} == names

    def test_the_parts_of_a_dataset_have_their_names(self) -> None:
        dataset = Dataset.parse("alf/probe00/#2024-05-06#/_ibl_spikes.times_bpod.raw.v2.npy")
        assert dataset == Dataset("alf/probe00", "2024-05-06", "ibl", "spikes", "times_bpod", "raw.v2", "npy")
        assert dataset.type == "spikes.times_bpod"
        assert dataset.key == "times_bpod.raw.v2"

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
            ("alf/", "field"),
            ("/spikes.times.npy", "empty part"),
            ("alf//spikes.times.npy", "empty part"),
            ("#2024-05-06#/alf/spikes.times.npy", "'#' outside a revision folder"),
            ("alf/#2024/spikes.times.npy", "'#' outside a revision folder"),
            ("alf/##/spikes.times.npy", "'#' outside a revision folder"),
            ("alf/###/spikes.times.npy", "'#' outside a revision folder"),
        ],
    )
    def test_what_is_no_dataset_is_refused_with_the_reason(self, path: str, reason: str) -> None:
        with pytest.raises(AlfError, match="right form|revision|below the session") as caught:
            Dataset.parse(path)
        assert reason in caught.value.message

    @pytest.mark.skipif(not ONE_API_CASES.is_file(), reason="the cases of ONE-api are not on this computer")
    def test_every_file_name_that_one_api_reads_is_read_with_the_same_fields(self) -> None:
        cases = json.loads(ONE_API_CASES.read_text(encoding="utf-8"))["filename"]
        cases = [case for case in cases if case["valid"] and case["input"].isprintable()]
        assert len(cases) > 30
        for case in cases:
            found, wanted = Dataset.parse(case["input"]), case["parts"]
            if re.match(r"_(?![A-Za-z0-9]+_[A-Za-z0-9])", case["input"]):  # "_spikes" is object "s" of "spike" there
                continue
            attribute = "_".join(filter(None, (wanted["attribute"], wanted["timescale"])))
            assert (found.namespace or None, found.object) == (wanted["namespace"], wanted["object"]), case
            assert (found.attribute, found.extension) == (attribute, wanted["extension"]), case


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
            ("Cori_2016-12-14_M2_g0_t0.imec", f"alf/{STEINMETZ[0]}", True),
            ("Cori_2016-12-14_M2_g0_t0", f"alf/{STEINMETZ[0]}", True),
            ("*.imec", f"alf/{STEINMETZ[0]}", True),
            ("*.lf", f"alf/{STEINMETZ[0]}", False),
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


# The table of hostile names: facts/transfer-faults.md D1, and what Windows makes of names that POSIX holds harmless.
UNSAFE = [
    "",
    ".",
    "..",
    "./",
    "./x",
    "x/.",
    "../x",
    "a/../x",
    "a/../../x",
    "a/..",
    "/",
    "/etc/x",
    "//host/share/x",
    "a//b",
    "a/",
    "C:\\x",
    "C:x",
    "C:/x",
    "\\\\host\\share\\x",
    "\\x",
    "a/C:\\x",
    "a/\\h\\s",
    "..\\x",
    "..\\\\x",
    "a\\..\\..\\x",
    "\\\\?\\C:\\x",
    "\\\\.\\NUL",
    "\uff0e\uff0e/x",  # fullwidth dots
    "a/\uff0e\uff0e/x",
    "\u2025/x",  # two dot leader: ".." in NFKC
    "a/\u2024\u2024/x",  # one dot leaders
    "a\uff0fb",  # fullwidth slash
    "a\uff3cb",  # fullwidth backslash
    "a/.. /x",
    "a/ ../x",
    "a/... /x",
    "a/.../x",
    "a. /x",
    "a./x",
    " a/x",
    "a:stream/x",
    "a/x.npy:stream",
    "a\0b",
    "a\nb",
    "a\tb",
    "a\rb",
    "a\x1b[2Jb",
    "a\x7fb",
    "a\x9b2Jb",
    "a\ud800b",
    "a/" + "b" * 256,
    "a/" + "é" * 128,
]


class TestSafety:
    @pytest.mark.parametrize("path", UNSAFE)
    def test_a_path_that_could_leave_its_folder_is_refused(self, path: str) -> None:
        """Row D1."""
        with pytest.raises(UnsafeData, match="refused") as caught:
            check_safe(path)
        str(caught.value).encode()
        assert str(caught.value).isprintable()

    @given(st.text(st.sampled_from("ab.: /\\\uff0e\uff0f\u2025~C"), max_size=12))
    def test_what_is_let_through_stays_below_its_folder_on_every_system(self, path: str) -> None:
        """Row D1."""
        try:
            check_safe(path)
        except UnsafeData:
            return
        assert posixpath.normpath(posixpath.join("/root", path)) == f"/root/{path}"
        assert ntpath.normpath(ntpath.join("C:\\root", path)) == "C:\\root\\" + path.replace("/", "\\")

    @pytest.mark.parametrize(
        "path",
        [
            "nicklab/Subjects/Cori/2016-12-14/001/alf/spikes.times.npy",
            "nicklab/Subjects/Cori/2016-12-14/001/alf/probe00/#2024-05-06#/_ibl_spikes.times.npy",
            "nicklab/Subjects/Cori/2016-12-14/001/alf/café.times.npy",
            "nicklab/Subjects/Cori/2016-12-14/001/alf/a b.c%20d.npy",
            "a/..b/c",
            "a/.hidden",
        ],
    )
    def test_the_names_of_real_datasets_are_let_through(self, path: str) -> None:
        check_safe(path)

    def test_a_path_is_split_into_session_and_rest(self) -> None:
        session, below = split_path("nicklab/Subjects/Cori/2016-12-14/001/alf/probe00/spikes.times.npy")
        assert (str(session), below) == ("nicklab/Subjects/Cori/2016-12-14/001", "alf/probe00/spikes.times.npy")

    @pytest.mark.parametrize("path", ["spikes.times.npy", "nicklab/Subjects/Cori/2016-12-14/001", "a/b/c/d/e/f"])
    def test_a_path_that_lies_in_no_session_is_refused(self, path: str) -> None:
        with pytest.raises(AlfError, match="LAB/Subjects"):
            split_path(path)

    @given(st.text())
    def test_a_text_from_outside_is_shown_without_control_characters(self, text: str) -> None:
        """Row D4."""
        shown = printable(text)
        assert all(char.isprintable() or char.isspace() for char in shown)
        assert "\n" not in shown
        assert "\x1b" not in shown
        assert len(shown) < 2000
        shown.encode()


class TestSharing:
    @pytest.mark.parametrize(
        ("session", "below", "reason"),
        [
            ("lab/Subjects/s/2016-12-14/1", "alf/spikes.times.npy", "should have three digits: 001"),
            ("lab/Subjects/s/2016-12-14/12", "alf/spikes.times.npy", "should have three digits: 012"),
            ("lab/Subjects/s/2016-12-14/001", "alf/spikes~old.times.npy", "has ~"),
            ("lab/Subjects/s/2016-12-14/001", "alf/spi?kes.ti*mes.npy", "has * ?"),
            ("lab/Subjects/s/2016-12-14/001", 'alf/"spikes".times.npy', 'has "'),
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
