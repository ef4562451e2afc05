"""Strict ALF: a name is told why it is not, and which right name is nearest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelight.alf import Dataset, Session, nearest, nearest_name, session_remarks, strict_problems
from onelight.errors import AlfError

names = (
    st.text(max_size=30)
    | st.text("abA1_.- é()/#?~:\n\\", max_size=24)
    | st.from_regex(
        r"(_[a-z]*_?)?[\w -]{0,6}\.(_[a-zA-Z]+_)?[\w -]{0,6}(_times|_intervals)?(_\w*)?(\.[\w -]*){1,3}", fullmatch=True
    )
)


def parsed(text: str) -> Dataset | None:
    try:
        return Dataset.parse(text)
    except AlfError:
        return None


@pytest.mark.parametrize(
    ("path", "reasons", "right"),
    [
        (
            "alf/Cori_2016-12-14_M2_g0_t0.imec.lf.bin",
            ["object 'Cori_2016-12-14_M2_g0_t0' has '-'; allowed are letters, digits and _"],
            "alf/Cori_2016_12_14_M2_g0_t0.imec.lf.bin",
        ),
        ("spike-s.times.npy", ["object 'spike-s' has '-'"], "spike_s.times.npy"),
        ("my spikes.times.npy", ["object 'my spikes' has ' '"], "mySpikes.times.npy"),
        ("eye.xy-pos.npy", ["attribute 'xy-pos' is not of letters and digits"], "eye.xyPos.npy"),
        ("trials.goCue-times.npy", ["attribute 'goCue-times' is not of"], "trials.goCue_times.npy"),
        ("trials.go cue times.npy", ["attribute 'go cue times' is not of"], "trials.goCue_times.npy"),
        ("spikes.spike times.npy", ["attribute 'spike times' is not of letters and digits"], "spikes.spike_times.npy"),
        ("spikes.tímes.npy", ["attribute 'tímes' is not of letters and digits (A-Z a-z 0-9)"], ""),
        ("trials.itiDuration_.npy", ["attribute 'itiDuration_' is not of"], "trials.itiDuration.npy"),
        ("clusters._PHY_annotation.npy", ["attribute '_PHY_annotation' is not of"], "clusters._phy_annotation.npy"),
        ("_spikes.times.npy", ["object '_spikes' begins with _, which only a namespace does"], "spikes.times.npy"),
        ("__ibl_spikes.times.npy", ["object '__ibl_spikes' begins with _"], "_ibl_spikes.times.npy"),
        ("_ibl__spikes.times.npy", ["object '_spikes' begins with _"], "_ibl_spikes.times.npy"),
        ("spikes.times.a b.npy", ["extra part 'a b' has ' '"], "spikes.times.a-b.npy"),
        ("spikes.times (1).npy", ["attribute 'times (1)' is not of letters"], "spikes.times.npy"),
        ("spikes.times.npy (1)", ["extension 'npy (1)' has ' ' '(' ')'"], "spikes.times.npy"),
        ("spikes.times.npy ", ["extension 'npy ' has ' '"], "spikes.times.npy"),
        ("spikes.times.n-py", ["extension 'n-py' has '-'"], "spikes.times.npy"),
        ("spikes.times.npy?download=1", ["extension 'npy?download=1' has '=' '?'"], "spikes.times.npy"),
        ("alf/my probe/spikes.times.npy", ["folder 'my probe' has ' '"], "alf/my-probe/spikes.times.npy"),
        ("alf/#a b#/spikes.times.npy", ["folder 'a b' has ' '"], "alf/#a-b#/spikes.times.npy"),
        (
            "my probe/spike-s.times.npy",
            ["folder 'my probe' has ' '", "object 'spike-s' has '-'"],
            "my-probe/spike_s.times.npy",
        ),
        ("-.times.npy", ["object '-' has '-'"], ""),
        ("spikes.-.npy", ["attribute '-' is not of"], ""),
        (
            "lab~Subjects~subject~2019-01-01~001~alf~spikes.times.npy",
            ["object 'lab~Subjects~subject~2019-01-01~001~alf~spikes' has '-' '~'"],
            "lab_Subjects_subject_2019_01_01_001_alf_spikes.times.npy",
        ),
    ],
)
def test_what_is_not_strict_is_told_with_each_reason_and_the_nearest_right_name(
    path: str, reasons: list[str], right: str
) -> None:
    dataset = Dataset.parse(path)
    problems = strict_problems(dataset)
    assert len(problems) == len(reasons)
    assert [problem[: len(reason)] for problem, reason in zip(problems, reasons, strict=True)] == reasons
    found = nearest(dataset)
    assert str(found or "") == right


@pytest.mark.parametrize(
    "path",
    [
        "spikes.times.npy",
        "alf/probe00/pykilosort/#2024-05-06#/spikes.times.npy",
        "_ibl_trials.goCue_times_bpod.csv",
        "clusters._phy_annotation.npy",
        "channels.brainLocationIds_ccf_2017.npy",
        "_spikeglx_ephysData_g0_t0.imec0.ap.cbin",
        "_ns_obj.attr1.2622b17c-9408-4910-99cb-abf16d9225b9.metadata.json",
        "_ibl_spikes_.times.npy",
        "1.2.3",
        "alf/é/spikés.times_é.ñpy",
        "ks2.1/spikes.times.npy",
    ],
)
def test_a_strict_name_has_no_problem_and_needs_no_other(path: str) -> None:
    dataset = Dataset.parse(path)
    assert strict_problems(dataset) == ()
    assert nearest(dataset) is None
    assert nearest_name(dataset.name) == ""


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("trials_times.npy", "trials.times.npy"),
        ("spikes:times.npy", "spikes.times.npy"),
        ("spikes..times.npy", "spikes.times.npy"),
        ("spikes.times.npy\n", "spikes.times.npy"),
        ("spikes.times - Copy.npy", "spikes.times.npy"),
        ("spikes\\times.raw.npy", "spikes_times.raw.npy"),
        ("readme.txt", ""),
        ("LICENSE", ""),
        ("", ""),
        (".", ""),
        ("...", ""),
        ("_.npy", ""),
        ("é.é.é", ""),
    ],
)
def test_a_text_that_is_no_name_has_a_nearest_one_where_somebody_can_guess_it(name: str, right: str) -> None:
    assert nearest_name(name) == right


@given(names)
def test_the_nearest_name_of_any_text_is_strict_or_there_is_none(name: str) -> None:
    right = nearest_name(name)
    if right:
        assert right != name
        assert strict_problems(Dataset.parse(right)) == ()
        assert nearest_name(right) == ""


@given(st.tuples(st.just("") | st.text("ab ./#é-", max_size=8).map("{}/".format), names).map("".join))
def test_the_nearest_of_any_dataset_is_strict_and_written_as_it_is_read(path: str) -> None:
    dataset = parsed(path)
    if dataset is None:
        return
    right = nearest(dataset)
    if not strict_problems(dataset):
        assert right is None
    if right is not None:
        assert right != dataset
        assert strict_problems(right) == ()
        assert Dataset.parse(str(right)) == right


@given(names)
def test_a_reason_can_be_printed_on_one_line(name: str) -> None:
    dataset = parsed(name)
    for reason in strict_problems(dataset) if dataset else ():
        reason.encode()
        assert len(reason.splitlines()) == 1
        assert "\x1b" not in reason


@pytest.mark.parametrize(("lab", "signs"), [("my-lab", "'-'"), ("my.lab", "'.'"), ("my.other-lab", "'-' '.'")])
def test_a_lab_that_other_clients_cut_is_remarked_on(lab: str, signs: str) -> None:
    (remark,) = session_remarks(Session.parse(f"{lab}/Subjects/Cori/2016-12-14/001"))
    assert remark.startswith(f"lab '{lab}' has {signs}, which ONE-api does not read")


@pytest.mark.parametrize("lab", ["nicklab", "my_lab", "lab2"])
def test_another_lab_is_not(lab: str) -> None:
    assert session_remarks(Session.parse(f"{lab}/Subjects/Co.ri-1/2016-12-14/001")) == ()
