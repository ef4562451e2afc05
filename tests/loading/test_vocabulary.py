"""Each dataset type of the two best known collections has a meaning, and the exact row wins over the general one."""

from __future__ import annotations

import csv
import json
import re
from importlib import resources
from pathlib import Path

import pytest

from onelight.alf import Dataset
from onelight.loading import vocabulary
from onelight.loading.vocabulary import Meaning, lookup

FACTS = Path(__file__).resolve().parents[3] / "shared" / "facts"
FILLED = {"{subject}_{date}_{tag}": "Cori_2016-12-14_M2", "{NN}": "00", "{N}": "0", "{rev}/": "#2024-05-06#/"}

# Of each collection what is used most, and what is easily missed.
STEINMETZ = """
    alf/spikes.times.npy alf/spikes.clusters.npy alf/clusters._phy_annotation.npy alf/clusters.peakChannel.npy
    alf/channels.brainLocation.tsv alf/probes.insertion.tsv alf/Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy
    alf/eye.xyPos.npy alf/lickPiezo.raw.npy alf/passiveVisual.contrastLeft.npy alf/sparseNoise.positions.npy
    alf/trials.visualStim_contrastLeft.npy alf/trials.visualStim_times.npy alf/wheelMoves.type.npy
"""
IBL = """
    alf/#2025-03-03#/_ibl_trials.table.pqt alf/_ibl_trials.intervals_bpod.npy alf/_ibl_leftCamera.dlc.pqt
    alf/bodyROIMotionEnergy.position.npy alf/probes.trajectory.json alf/probe00/pykilosort/clusters.metrics.pqt
    alf/probe00/pykilosort/channels.brainLocationIds_ccf_2017.npy alf/probe00/_phy_spikes_subset.waveforms.npy
    alf/probe00/_kilosort_whitening.matrix.npy raw_ephys_data/_spikeglx_sync.polarities.npy
    raw_ephys_data/probe00/_spikeglx_ephysData_g0_t0.imec0.ap.cbin raw_video_data/_iblrig_leftCamera.raw.mp4
    raw_ephys_data/probe00/_iblqc_ephysTimeRmsLF.rms.npy raw_behavior_data/_iblrig_taskData.raw.jsonable
    raw_ephys_data/probe00/_spikeglx_sync.times.probe00.npy _ibl_experiment.description.yaml
"""
# Types whose numbers have units; those of the others are codes, counts, references or no numbers at all.
UNITS = {
    "spikes.times": "s",
    "spikes.depths": "µm",
    "clusters.peakToTrough": "ms",
    "trials.rewardVolume": "µL",
    "sparseNoise.positions": "degrees",
    "lickPiezo.raw": "V",
    "leftCamera.lightningPose": "px",
    "ephysSpectralDensityLF.freqs": "Hz",
    "channels.mlapdv": "µm",
}


def known(path: str) -> Meaning | None:
    dataset = Dataset.parse(path)
    return lookup(dataset.object, dataset.key)


@pytest.mark.parametrize("path", (STEINMETZ + IBL).split())
def test_a_well_known_type_has_a_meaning(path: str) -> None:
    found = known(path)
    assert found is not None
    assert found.meaning


@pytest.mark.parametrize("name", ["steinmetz", "ibl"])
def test_every_type_of_the_manifests_has_a_meaning(name: str) -> None:
    file = FACTS / f"{name}-manifest.json"
    if not file.exists():
        pytest.skip(f"{file} is not there; the literal names above are tested all the same")
    manifest = json.loads(file.read_text(encoding="utf-8"))
    paths = [row["path"] for row in manifest["datasets"]]
    for pattern, text in FILLED.items():
        paths = [path.replace(pattern, text) for path in paths]
    assert [path for path in paths if known(path) is None] == []
    columns = {column for row in manifest["datasets"] for column in row.get("columns", []) if "trials" in row["path"]}
    assert [column for column in columns if lookup("trials", column) is None] == []


@pytest.mark.parametrize(("name", "units"), UNITS.items())
def test_units(name: str, units: str) -> None:
    object_, attribute = name.split(".")
    found = lookup(object_, attribute)
    assert found is not None
    assert found.units == units


@pytest.mark.parametrize("column", ["goCue_times", "choice", "intervals_0", "intervals_1", "probabilityLeft"])
def test_columns_of_the_trials_table_are_types_of_trials(column: str) -> None:
    assert lookup("trials", column) is not None


def test_traps_are_told() -> None:
    traps = {"clusters.peakChannel": "1-BASED", "sparseNoise.times": "NOT sorted", "channels.probe": "singular"}
    for name, words in traps.items():
        found = lookup(*name.split("."))
        assert found is not None
        assert words in found.meaning


def test_the_exact_row_wins_over_the_general_one() -> None:
    exact, general = lookup("spikes", "times"), lookup("barcodes", "times")
    assert exact is not None
    assert general is not None
    assert "spike" in exact.meaning
    assert (general.units, "spike" in general.meaning) == ("s", False)


def test_general_rows_know_the_clock() -> None:
    clocks = {"reward_times": "s", "intervals": "s", "go_intervals": "s", "timestamps": "sample, s; or s"}
    for attribute, units in clocks.items():
        found = lookup("anything", attribute)
        assert found is not None
        assert found.units == units
    for attribute in ("times_bpod", "intervals_ephysClock", "timestamps_bpod"):
        found = lookup("anything", attribute)
        assert found is not None
        assert "clock that the name ends with" in found.units


def test_extra_parts_do_not_matter_but_where_they_say_what_the_file_is() -> None:
    assert lookup("spikes", "times.6252a2f0-5a5c") == lookup("spikes", "times")
    recording, clock = lookup("ephysData_g0_t0", "imec0.ap"), lookup("ephysData_g0_t0", "imec0.timestamps")
    assert recording is not None
    assert clock is not None
    assert (recording.units, clock.units) == ("", "sample, s")
    assert lookup("ephysData_g0_t0", "imec0.timestamps.6252a2f0-5a5c") == clock


@pytest.mark.parametrize(("object_", "attribute"), [("a", "b"), ("", ""), ("spikes", "Times"), ("spikes.times", "x")])
def test_what_is_not_known_is_none(object_: str, attribute: str) -> None:
    assert lookup(object_, attribute) is None


def test_the_table_is_well_formed() -> None:
    text = resources.files("onelight.loading").joinpath("vocabulary.tsv").read_text(encoding="utf-8")
    assert text.endswith("\n")
    rows = list(csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows[0] == ["type", "units", "meaning"]
    assert [row for row in rows if len(row) != 3] == []
    types = [row[0] for row in rows[1:]]
    assert sorted(set(types)) == sorted(types)
    assert [name for name in types if not re.fullmatch(r"[\w*]+(\.[\w*]+)+", name)] == []
    assert [row for row in rows if not row[2] or len(row[2]) > 120 or row[2] != row[2].strip()] == []


def test_no_row_is_hidden_behind_a_more_general_one_above_it() -> None:
    text = resources.files("onelight.loading").joinpath("vocabulary.tsv").read_text(encoding="utf-8")
    types = [line.split("\t")[0] for line in text.splitlines()[1:]]
    exact, patterns = vocabulary._vocabulary()
    general = [name for name in types if "*" in name]
    assert len(exact) + len(patterns) == len(types)
    for position, name in enumerate(general):
        for earlier, (pattern, _) in zip(general[:position], patterns, strict=False):
            assert not pattern.fullmatch(name.replace("*", "x")), (earlier, name)


def test_the_table_is_in_the_package_that_is_installed() -> None:
    tomllib = pytest.importorskip("tomllib", reason="tomllib is part of Python 3.11 and later")
    top = Path(__file__).resolve().parents[2]
    settings = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    # hatchling takes every file of a package along, unless it is told otherwise or git ignores it.
    assert settings["wheel"]["packages"] == ["onelight"]
    assert "onelight" in settings["sdist"]["include"]
    assert [name for name in ("exclude", "only-include") if name in settings["wheel"]] == []
