"""A synthetic data root has the names, types, shapes, relations and quirks of the published dataset."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onelight.errors import AlfError, ConfigError, NoSpace
from onelight.loading import Bunch, load_file
from onelight.synthetic import DEMO, STEINMETZ, SessionSpec, write_dataset

TINY = SessionSpec("Cori", "2016-12-14", 40, 400.0, 1085, 1_500_000, scale=0.01)

# The 55 names of the published dataset; one of them occurs once per probe, one is not in every copy. Type, and shape:
# T trials, S spikes, C clusters, K channels, P probes, - anything; a vector is a matrix of one column.
NAMES = """
channels.brainLocation.tsv
channels.probe.npy                       float64 K 1
channels.rawRow.npy                      float64 K 1
channels.site.npy                        int32   K 1
channels.sitePositions.npy               float64 K 2
clusters._phy_annotation.npy             float64 C 1
clusters.depths.npy                      float64 C 1
clusters.originalIDs.npy                 uint32  C 1
clusters.peakChannel.npy                 float64 C 1
clusters.probes.npy                      float64 C 1
clusters.templateWaveformChans.npy       float64 C 50
clusters.templateWaveforms.npy           float64 C 82 50
clusters.waveformDuration.npy            float64 C 1
eye.area.npy                             float32 - 1
eye.blink.npy                            bool    - 1
eye.timestamps.npy                       float64 - 2
eye.xyPos.npy                            float32 - 2
face.motionEnergy.npy                    float32 - 1
face.timestamps.npy                      float64 2 2
lickPiezo.raw.npy                        float32 - 1
lickPiezo.timestamps.npy                 float64 2 2
licks.times.npy                          float64 - 1
passiveBeeps.times.npy                   float64 - 1
passiveValveClick.times.npy              float64 - 1
passiveVisual.contrastLeft.npy           float64 - 1
passiveVisual.contrastRight.npy          float64 - 1
passiveVisual.times.npy                  float64 - 1
passiveWhiteNoise.times.npy              float64 - 1
probes.description.tsv
probes.insertion.tsv
probes.rawFilename.tsv
probes.sitePositions.npy                 float64 384 2
sparseNoise.positions.npy                float64 - 2
sparseNoise.times.npy                    float64 - 1
spikes.amps.npy                          float64 S 1
spikes.clusters.npy                      uint32  S 1
spikes.depths.npy                        float32 S 1
spikes.times.npy                         float64 S 1
spontaneous.intervals.npy                float64 4 2
trials.feedbackType.npy                  float64 T 1
trials.feedback_times.npy                float64 T 1
trials.goCue_times.npy                   float64 T 1
trials.included.npy                      bool    T 1
trials.intervals.npy                     float64 T 2
trials.repNum.npy                        float64 T 1
trials.response_choice.npy               float64 T 1
trials.response_times.npy                float64 T 1
trials.visualStim_contrastLeft.npy       float64 T 1
trials.visualStim_contrastRight.npy      float64 T 1
trials.visualStim_times.npy              float64 T 1
wheel.position.npy                       float32 - 1
wheel.timestamps.npy                     float64 2 2
wheelMoves.intervals.npy                 float64 - 2
wheelMoves.type.npy                      float64 - 1
{subject}_{date}_{tag}_g0_t0.imec.lf.timestamps.npy float64 2 2
"""
PATTERNS = {words[0]: words[1:] for words in map(str.split, NAMES.strip().splitlines())}
LFP = "{subject}_{date}_{tag}_g0_t0.imec.lf.timestamps.npy"


def names_of(spec: SessionSpec) -> set[str]:
    lfp = {LFP.format(subject=spec.subject, date=spec.date, tag=tag) for tag in spec.probes}
    return (set(PATTERNS) - {LFP}) | lfp


def read(folder: Path) -> dict[str, Bunch]:
    """Return every object of a session; vectors without their second dimension."""
    objects: dict[str, Bunch] = {}
    for path in folder.iterdir():
        name, attribute = path.stem.rsplit(".", 1)
        value = load_file(path)
        if path.suffix == ".npy" and value.shape[1:] == (1,):
            value = value[:, 0]
        objects.setdefault(name, Bunch())[attribute] = value
    return objects


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    write_dataset(root)
    return root


@pytest.fixture(scope="module", params=range(3))
def folder(demo: Path, request: pytest.FixtureRequest) -> Path:
    spec: SessionSpec = DEMO[request.param]
    return demo / spec.path / "alf"


@pytest.fixture(scope="module")
def session(folder: Path) -> dict[str, Bunch]:
    return read(folder)


def spec_of(folder: Path) -> SessionSpec:
    return next(spec for spec in DEMO if folder.match(f"{spec.path}/alf"))


# Names and sizes


def test_there_are_55_names() -> None:
    assert len(PATTERNS) == 55


def test_the_demo_is_three_real_sessions_of_two_mice() -> None:
    assert [(spec.subject, spec.date, spec.n_trials) for spec in DEMO] == [
        ("Cori", "2016-12-14", 214),
        ("Cori", "2016-12-17", 251),
        ("Forssmann", "2017-11-01", 249),
    ]
    assert all(len(spec.probes) == 2 for spec in DEMO)


def test_a_session_has_exactly_these_names(folder: Path) -> None:
    found = {path.name for path in folder.iterdir()}
    assert found == names_of(spec_of(folder))
    assert len(found) == 56


def test_without_the_optional_dataset_there_are_55_files_and_the_others_are_the_same(tmp_path: Path) -> None:
    everything = write_dataset(tmp_path / "a", sessions=[TINY])
    published = write_dataset(tmp_path / "b", sessions=[TINY], optional=False)
    assert len(published) == 55
    assert {path.name for path in everything} - {path.name for path in published} == {"eye.blink.npy"}
    assert all((everything[0].parent / path.name).read_bytes() == path.read_bytes() for path in published)


def test_the_files_are_returned_sorted(tmp_path: Path) -> None:
    files = write_dataset(tmp_path, sessions=[STEINMETZ[3], STEINMETZ[0]], scale=0.001)
    assert files == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert files[0].parent == tmp_path / "nicklab" / "Subjects" / "Cori" / "2016-12-14" / "001" / "alf"


def test_the_demo_is_small(demo: Path) -> None:
    assert 12e6 < sum(path.stat().st_size for path in demo.rglob("*.*")) < 20e6


def test_all_39_sessions_are_there() -> None:
    assert len(STEINMETZ) == len({spec.path for spec in STEINMETZ}) == 39
    assert len({spec.subject for spec in STEINMETZ}) == 10
    assert sum(spec.n_trials for spec in STEINMETZ) == 10_050
    assert sum(spec.n_clusters for spec in STEINMETZ) == 48_661
    assert {len(spec.probes) for spec in STEINMETZ} == {2}


def test_all_39_sessions_can_be_written_small(tmp_path: Path) -> None:
    files = write_dataset(tmp_path, sessions=STEINMETZ, optional=False, scale=0.001)
    assert len(files) == len(set(files)) == 39 * 55
    assert sum(path.stat().st_size for path in files) / len(files) < 12_000
    for spec in STEINMETZ:
        alf = tmp_path / spec.path / "alf"
        assert {path.name for path in alf.iterdir()} == names_of(spec) - {"eye.blink.npy"}
        assert len(load_file(alf / "trials.intervals.npy")) == spec.n_trials


# Form


def test_headers_are_those_of_npy_matlab(folder: Path) -> None:
    for path in folder.glob("*.npy"):
        content = path.read_bytes()
        assert content[:10] == b"\x93NUMPY\x01\x00\x46\x00"
        assert content[79:80] == b"\n"
        assert b"'fortran_order': True, " in content[10:80]
        assert content[10:22] == b"{'descr': '<"
        assert content[10:80].rstrip().endswith(b", }")
        array = load_file(path)
        assert len(content) == 80 + array.nbytes
        assert array.flags.f_contiguous
        np.testing.assert_array_equal(array, np.load(path))
    assert b"'<b1'" in (folder / "trials.included.npy").read_bytes()[:80]


def test_types_and_shapes_are_those_of_the_dataset(folder: Path) -> None:
    spec = spec_of(folder)
    lengths = {
        "T": spec.n_trials,
        "S": len(load_file(folder / "spikes.times.npy")),
        "C": round(spec.n_clusters * spec.scale),
        "K": 374 * len(spec.probes),
    }
    for path in folder.glob("*.npy"):
        dtype, *shape = PATTERNS.get(path.name) or PATTERNS[LFP]
        array = load_file(path)
        assert array.dtype == np.dtype(dtype), path.name
        assert array.ndim == len(shape), path.name
        for word, length in zip(shape, array.shape, strict=True):
            assert word == "-" or length == (lengths.get(word) or int(word)), path.name
        assert array.size, path.name


def test_tables_have_a_row_of_names(session: dict[str, Bunch], folder: Path) -> None:
    spec = spec_of(folder)
    locations = session["channels"].brainLocation
    assert list(locations.columns) == ["ccf_ap", "ccf_dv", "ccf_lr", "allen_ontology"]
    assert len(locations) == 374 * 2
    assert set(locations["allen_ontology"]) == set(spec.regions)
    assert session["probes"].description["description"].tolist() == ["Neuropixels Phase3A opt3"] * 2
    names = [f"{spec.subject}_{spec.date}_{tag}_g0_t0.imec.ap.bin" for tag in spec.probes]
    assert session["probes"].rawFilename["rawFilename"].tolist() == names
    insertion = session["probes"].insertion
    assert list(insertion.columns) == [
        "entry_point_rl",
        "entry_point_ap",
        "vertical_angle",
        "horizontal_angle",
        "axial_angle",
        "distance_advanced",
    ]
    assert insertion.shape == (2, 6)
    assert all(dtype == np.float64 for dtype in insertion.dtypes)


def test_every_number_is_finite(folder: Path) -> None:
    assert all(np.isfinite(load_file(path)).all() for path in folder.glob("*.npy"))


# The same seed


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*.*"))
        if path.is_file()
    }


def test_the_same_seed_writes_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    write_dataset(tmp_path / "a", sessions=[TINY], seed=7)
    code = (
        "import pathlib, sys; from onelight.synthetic import *; write_dataset(pathlib.Path(sys.argv[1]), seed=7,"
        " sessions=[SessionSpec('Cori', '2016-12-14', 40, 400.0, 1085, 1_500_000, scale=0.01)])"
    )
    command = [sys.executable, "-X", "utf8", "-c", code, str(tmp_path / "b")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "1"})
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_another_seed_writes_other_numbers_under_the_same_names(tmp_path: Path) -> None:
    write_dataset(tmp_path / "a", sessions=[TINY], seed=1)
    write_dataset(tmp_path / "b", sessions=[TINY], seed=2)
    a, b = digests(tmp_path / "a"), digests(tmp_path / "b")
    assert a.keys() == b.keys()
    same = {Path(name).name for name in a if a[name] == b[name]}
    assert "spikes.times.npy" not in same
    assert "trials.intervals.npy" not in same


def test_a_session_does_not_depend_on_those_beside_it(demo: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path, sessions=DEMO[1:2])
    beside = digests(demo)
    assert all(beside[name] == digest for name, digest in digests(tmp_path).items())


def test_writing_again_replaces(tmp_path: Path) -> None:
    first = write_dataset(tmp_path, sessions=[TINY])
    assert write_dataset(tmp_path, sessions=[TINY]) == first
    assert len(list(tmp_path.rglob("*.*"))) == 56


# Trials


def test_trials_follow_the_flow_of_the_task(session: dict[str, Bunch]) -> None:
    trials = session["trials"]
    start, end = trials.intervals.T
    stimulus, cue = trials.visualStim_times, trials.goCue_times
    response, feedback = trials.response_times, trials.feedback_times
    assert start[0] == 62.9
    np.testing.assert_allclose(start[1:] - end[:-1], 0.995, atol=2e-4)
    for earlier, later, least, most in [
        (start, stimulus, 0.33, 8.2),
        (stimulus, cue, 0.49, 1.19),
        (cue, response, 0.08, 1.5),
        (response, feedback, 0.002, 0.04),
        (feedback, end, 0.9, 2.2),
    ]:
        assert (later - earlier >= least - 2e-4).all()
        assert (later - earlier <= most + 2e-4).all()
    still = trials.response_choice == 0
    np.testing.assert_allclose((response - cue)[still], 1.5, atol=2e-4)
    assert 3 < np.median(end - start) < 5


def test_choice_and_feedback_agree_with_the_stimuli(session: dict[str, Bunch]) -> None:
    trials = session["trials"]
    left, right = trials.visualStim_contrastLeft, trials.visualStim_contrastRight
    choice, reward = trials.response_choice, trials.feedbackType > 0
    assert set(np.concatenate([left, right])) == {0, 0.25, 0.5, 1}
    assert set(choice) == {-1, 0, 1}
    assert set(trials.feedbackType) == {-1, 1}
    unequal = left != right
    np.testing.assert_array_equal(reward[unequal], (choice == np.sign(left - right))[unequal])
    blank = (left == 0) & (right == 0)
    np.testing.assert_array_equal(reward[blank], choice[blank] == 0)
    assert not reward[(left == right) & (left > 0) & (choice == 0)].any()
    engaged = unequal & trials.included
    assert 0.6 < reward[engaged].mean() < 0.98
    assert 0 < trials.included.mean() < 1


def test_repetitions_are_counted_from_one_and_follow_errors(session: dict[str, Bunch]) -> None:
    trials = session["trials"]
    assert trials.repNum[0] == 1
    again = np.flatnonzero(trials.repNum > 1)
    assert len(again)
    np.testing.assert_array_equal(trials.repNum[again], trials.repNum[again - 1] + 1)
    assert (trials.feedbackType[again - 1] == -1).all()
    for attribute in ("visualStim_contrastLeft", "visualStim_contrastRight"):
        np.testing.assert_array_equal(trials[attribute][again], trials[attribute][again - 1])


# Spikes, clusters, channels


def test_spikes_refer_to_clusters_and_are_sorted(session: dict[str, Bunch]) -> None:
    spikes, clusters = session["spikes"], session["clusters"]
    end = session["spontaneous"].intervals[-1, 1]
    assert (np.diff(spikes.times) >= 0).all()
    assert spikes.times[0] > 0
    assert spikes.times[-1] <= end
    assert spikes.clusters.max() < len(clusters.depths)
    assert len(np.unique(spikes.clusters)) == len(clusters.depths)
    assert spikes.depths.min() >= 0
    assert spikes.depths.max() <= 3840
    assert np.abs(spikes.depths - clusters.depths[spikes.clusters]).max() < 60
    assert (spikes.amps > 0).all()
    np.testing.assert_allclose(spikes.times * 30_000, np.rint(spikes.times * 30_000), atol=1e-5)


def test_the_number_of_spikes_follows_the_scale(session: dict[str, Bunch], folder: Path) -> None:
    spec = spec_of(folder)
    assert len(session["spikes"].times) == pytest.approx(spec.n_spikes * spec.scale, rel=0.03)


def test_rates_are_those_of_neurons(session: dict[str, Bunch]) -> None:
    end = session["spontaneous"].intervals[-1, 1]
    rates = np.bincount(session["spikes"].clusters) / end
    assert 0.5 < np.median(rates) < 8
    assert rates.max() < 60
    assert rates.max() > 3 * np.median(rates)


def gain(session: dict[str, Bunch], events: Any, regions: tuple[str, ...], begin: float, end: float) -> float:
    """Return the rate of the clusters in some regions, from `begin` to `end` s around events, relative to its mean."""
    spikes, clusters = session["spikes"], session["clusters"]
    label = session["channels"].brainLocation["allen_ontology"].to_numpy()[clusters.peakChannel.astype(int) - 1]
    there = np.flatnonzero([name.startswith(regions) for name in label])
    times = spikes.times[np.isin(spikes.clusters, there)]
    around = np.searchsorted(times, events + end) - np.searchsorted(times, events + begin)
    return float(around.mean() / (end - begin) / (len(times) / times[-1]))


def test_spikes_follow_the_task(session: dict[str, Bunch], folder: Path) -> None:
    trials, moves = session["trials"], session["wheelMoves"]
    visual, motor = ("VIS", "LG"), ("MO", "ACA")
    seen = trials.visualStim_times[trials.visualStim_contrastRight > 0]
    assert gain(session, seen, visual, 0.03, 0.2) > 1.5
    assert gain(session, seen, visual, -0.2, 0) < 1
    if any(region.startswith(motor) for region in spec_of(folder).regions):
        turns = moves.intervals[moves.type > 0, 0]
        assert gain(session, turns, motor, -0.1, 0.2) > 1.5
        assert gain(session, trials.visualStim_times, motor, -0.2, 0) < 1


def test_channels_are_374_per_probe_without_the_reference_sites(session: dict[str, Bunch]) -> None:
    channels, probes = session["channels"], session["probes"]
    assert len(channels.site) == 748
    for probe in (0, 1):
        site = channels.site[channels.probe == probe]
        assert len(set(site.tolist())) == 374
        assert set(range(384)) - set(site.tolist()) == {36, 75, 112, 151, 188, 227, 264, 303, 340, 379}
    np.testing.assert_array_equal(channels.sitePositions, probes.sitePositions[channels.site])
    np.testing.assert_array_equal(channels.rawRow, channels.site)
    assert probes.sitePositions[:, 1].max() == 3820


def test_peak_channels_are_counted_from_one_over_all_probes(session: dict[str, Bunch]) -> None:
    channels, clusters = session["channels"], session["clusters"]
    assert clusters.peakChannel.min() >= 1
    assert clusters.peakChannel.max() <= len(channels.site)
    row = clusters.peakChannel.astype(int) - 1
    np.testing.assert_array_equal(channels.probe[row], clusters.probes)
    assert np.abs(channels.sitePositions[row, 1] - clusters.depths).max() <= 40


def test_template_channels_are_counted_from_zero_and_may_exceed_the_probe(tmp_path: Path) -> None:
    write_dataset(tmp_path, sessions=DEMO[:1], scale=4)
    clusters = read(tmp_path / DEMO[0].path / "alf")["clusters"]
    assert clusters.templateWaveformChans.min() >= 0
    assert (np.diff(clusters.templateWaveformChans, axis=1) == 1).all()
    within = clusters.templateWaveformChans - 384 * clusters.probes[:, None]
    assert within.min() >= 0
    assert within.max() > 383


def test_templates_are_largest_on_the_peak_channel_and_as_long_as_stated(session: dict[str, Bunch]) -> None:
    channels, clusters = session["channels"], session["clusters"]
    row = clusters.peakChannel.astype(int) - 1
    site = channels.site[row] + 384 * channels.probe[row]
    for i, waveforms in enumerate(clusters.templateWaveforms):
        peak = np.flatnonzero(clusters.templateWaveformChans[i] == site[i])[0]
        assert np.ptp(waveforms, axis=0).argmax() == peak
        assert abs(waveforms[:, peak].argmax() - waveforms[:, peak].argmin() - clusters.waveformDuration[i]) <= 1
    assert clusters.waveformDuration.min() >= 1
    assert clusters.waveformDuration.max() <= 40


def test_annotations_and_original_numbers_are_plausible(session: dict[str, Bunch]) -> None:
    clusters = session["clusters"]
    assert set(clusters._phy_annotation) <= {1, 2, 3}
    for probe in (0, 1):
        ids = clusters.originalIDs[clusters.probes == probe].astype(int)
        assert len(ids)
        assert (np.diff(ids) > 0).all()


# What is sampled, and the rest


@pytest.mark.parametrize(
    ("name", "attribute"), [("wheel", "position"), ("lickPiezo", "raw"), ("face", "motionEnergy"), ("eye", "area")]
)
def test_sync_points_cover_the_samples_from_zero(session: dict[str, Bunch], name: str, attribute: str) -> None:
    samples, seconds = session[name].timestamps.T
    assert samples[0] == 0
    assert samples[-1] == len(session[name][attribute]) - 1
    assert (np.diff(seconds) > 0).all()
    assert 0 <= seconds[0] < 1
    assert seconds[-1] <= session["spontaneous"].intervals[-1, 1]


def test_eye_timestamps_are_two_rows_or_one_per_frame(demo: Path) -> None:
    forms = set()
    for spec in DEMO:
        eye = read(demo / spec.path / "alf")["eye"]
        assert len(eye.area) == len(eye.xyPos) == len(eye.blink)
        assert 0 < eye.blink.mean() < 0.1
        assert len(eye.timestamps) in (2, len(eye.area))
        forms.add(len(eye.timestamps) == 2)
    assert forms == {True, False}


def test_the_wheel_turns_to_the_left_with_positive_ticks(session: dict[str, Bunch]) -> None:
    wheel, moves, trials = session["wheel"], session["wheelMoves"], session["trials"]
    times = np.interp(np.arange(len(wheel.position)), *wheel.timestamps.T)
    way = np.diff(np.interp(moves.intervals, times, wheel.position), axis=1)[:, 0]
    assert (way[moves.type == 1] > 20).all()
    assert (way[moves.type == 2] < -20).all()
    assert np.abs(way[moves.type == 0]).max() < 20
    assert (np.diff(moves.intervals.ravel()) > 0).all()
    assert (moves.type == 1).sum() == (trials.response_choice == 1).sum()
    assert (moves.type == 2).sum() == (trials.response_choice == -1).sum()


def test_sparse_noise_is_not_in_order_of_time(session: dict[str, Bunch]) -> None:
    noise = session["sparseNoise"]
    assert (np.diff(noise.times) < 0).any()
    assert len(noise.times) == len(noise.positions)


def test_the_passive_part_lies_behind_the_task_and_between_the_pauses(session: dict[str, Bunch]) -> None:
    pauses = session["spontaneous"].intervals
    assert (np.diff(pauses.ravel()) > 0).all()
    assert pauses[0, 1] < session["trials"].intervals[0, 0]
    assert pauses[1, 0] == session["trials"].intervals[-1, 1]
    noise = session["sparseNoise"].times
    assert pauses[1, 1] <= noise.min()
    assert noise.max() <= pauses[2, 0]
    for name in ("passiveBeeps", "passiveValveClick", "passiveWhiteNoise", "passiveVisual"):
        times = session[name].times
        assert (np.diff(times) >= 0).all()
        assert pauses[2, 1] <= times[0]
        assert times[-1] <= pauses[3, 0]
    assert len(session["passiveVisual"].contrastLeft) == len(session["passiveVisual"].times)


def test_licks_are_sorted_and_follow_rewards(session: dict[str, Bunch]) -> None:
    licks, trials = session["licks"].times, session["trials"]
    assert (np.diff(licks) >= 0).all()
    rewards = trials.feedback_times[trials.feedbackType > 0]
    assert (np.searchsorted(licks, rewards + 0.6) - np.searchsorted(licks, rewards) >= 3).all()


# What is asked for wrongly


@pytest.mark.parametrize("subject", ["", "..", "a/b", "a~b", ".hidden"])
def test_a_subject_that_is_no_folder_is_refused(subject: str) -> None:
    with pytest.raises(AlfError, match="cannot be part of a path"):
        SessionSpec(subject, "2016-12-14", 1, 1.0, 1, 1)


def test_a_date_in_another_form_is_refused() -> None:
    with pytest.raises(AlfError, match="is not a date"):
        SessionSpec("Cori", "14.12.2016", 1, 1.0, 1, 1)


@pytest.mark.parametrize(
    "change", [{"n_trials": 0}, {"duration": float("nan")}, {"n_spikes": -1}, {"scale": 0.0}, {"probes": ()}]
)
def test_sizes_that_are_not_positive_are_refused(change: dict[str, Any]) -> None:
    fields = {"subject": "Cori", "date": "2016-12-14", "n_trials": 1, "duration": 1.0, "n_clusters": 1, "n_spikes": 1}
    with pytest.raises(ConfigError, match="not positive"):
        SessionSpec(**{**fields, **change})


def test_arguments_that_make_no_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be a seed"):
        write_dataset(tmp_path, seed=-1)
    with pytest.raises(ConfigError, match="not positive"):
        write_dataset(tmp_path, scale=0)
    with pytest.raises(ConfigError, match="given twice"):
        write_dataset(tmp_path, sessions=[TINY, TINY])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "nicklab").write_text("a file")
    with pytest.raises(NoSpace, match="cannot be written"):
        write_dataset(tmp_path, sessions=[TINY])


@pytest.mark.parametrize("n_probes", [1, 3])
@pytest.mark.parametrize("n_trials", [1, 2])
def test_the_smallest_sessions_can_be_written(tmp_path: Path, n_probes: int, n_trials: int) -> None:
    spec = SessionSpec("a", "2020-01-01", n_trials, 1.0, 1, 1, ("root",), tuple("ABC"[:n_probes]))
    for seed in range(5):
        files = write_dataset(tmp_path, sessions=[spec], seed=seed, scale=1e-6)
        assert len(files) == 54 + n_probes
        assert all(load_file(path) is not None for path in files)
