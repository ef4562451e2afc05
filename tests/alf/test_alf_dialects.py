"""The names of real repositories: each is addressable, and what is not strict ALF of them is known.

A part of each list stands here. The whole lists (manifests of two public repositories, small real files) are used
where they lie beside this checkout.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onelight.alf import (
    Dataset,
    Pattern,
    Query,
    Session,
    nearest,
    newest,
    sharing_problems,
    split_path,
    strict_problems,
)
from onelight.errors import AlfError

SHARED = Path(__file__).resolve().parents[3] / "shared"
FACTS = SHARED / "facts"
REAL = SHARED / "data" / "real_alf"

# Steinmetz et al. 2019, the best known repository of ONE light, with the raw files of one of its sessions.
STEINMETZ = [
    "Cori_2016-12-14_M2_g0_t0.imec.lf.bin",
    "Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy",
    "channels.brainLocation.tsv",
    "channels.probe.npy",
    "channels.sitePositions.npy",
    "clusters._phy_annotation.npy",
    "clusters.templateWaveformChans.npy",
    "eye.xyPos.npy",
    "face.motionEnergy.npy",
    "lickPiezo.timestamps.npy",
    "passiveValveClick.times.npy",
    "passiveVisual.contrastLeft.npy",
    "probes.rawFilename.tsv",
    "sparseNoise.positions.npy",
    "spikes.times.npy",
    "spontaneous.intervals.npy",
    "trials.feedbackType.npy",
    "trials.goCue_times.npy",
    "trials.response_choice.npy",
    "trials.visualStim_contrastLeft.npy",
    "trials.visualStim_times.npy",
    "wheelMoves.type.npy",
]

# The International Brain Laboratory, as its public server and its rigs write them.
IBL = [
    "_ibl_experiment.description.yaml",
    "alf/_ibl_leftCamera.lightningPose.pqt",
    "alf/_ibl_passiveRFM.times.npy",
    "alf/_ibl_trials.goCueTrigger_times.npy",
    "alf/_ibl_trials.intervals_bpod.npy",
    "alf/_ibl_trials.table.pqt",
    "alf/#2025-03-03#/_ibl_trials.table.pqt",
    "alf/leftCamera.ROIMotionEnergy.npy",
    "alf/probes.trajectory.json",
    "alf/probe00/electrodeSites.brainLocationIds_ccf_2017.npy",
    "alf/probe00/pykilosort/#2024-05-06#/_ibl_log.info_pykilosort.log",
    "alf/probe00/pykilosort/#2024-05-06#/_kilosort_whitening.matrix.npy",
    "alf/probe00/pykilosort/#2024-05-06#/_phy_spikes_subset.waveforms.npy",
    "alf/probe00/pykilosort/#2024-05-06#/channels.brainLocationIds_ccf_2017.npy",
    "alf/probe00/pykilosort/#2024-05-06#/clusters.metrics.pqt",
    "alf/probe00/pykilosort/#2024-05-06#/clusters.uuids.csv",
    "alf/probe00/pykilosort/#2024-05-06#/drift_depths.um.npy",
    "alf/probe00/pykilosort/#2024-05-06#/waveforms.channels.npz",
    "raw_behavior_data/_iblrig_encoderEvents.raw.CorruptMiddle.ssv",
    "raw_behavior_data/_iblrig_encoderPositions.raw.00.ssv",
    "raw_behavior_data/_iblrig_encoderPositions.raw.2firstsamples.ssv",
    "raw_behavior_data/_iblrig_taskData.raw.jsonable",
    "raw_ephys_data/_spikeglx_ephysData_g0_t0.nidq.wiring.json",
    "raw_ephys_data/probe00/_iblqc_ephysSpectralDensityAP.power.npy",
    "raw_ephys_data/probe00/_spikeglx_ephysData_g0_t0.imec0.ap.cbin",
    "raw_ephys_data/probe00/_spikeglx_ephysData_g0_t0.imec0.timestamps.npy",
    "raw_ephys_data/probe00/_spikeglx_sync.times.probe00.npy",
    "raw_video_data/_iblrig_leftCamera.frame_counter.bin",
    "raw_video_data/_iblrig_leftCamera.raw.6252a2f0-c10f-4e49-b085-75749ba29c35.mp4",
    "spike_sorters/ks2_matlab/probe01/_kilosort_raw.output.e8c9d765764778b7ee5bda08c982037f8f07e690.tar",
]

# What lies among the small real files and has no ALF name: documents, tables and fixtures of the libraries.
NOT_ALF = {
    "2019-12-04_KS014_001_probe00_pts.csv",
    "LICENSE",
    "README.md",
    "_path_expander_demo_ibl_filepaths.txt",
    "camera_times.npy",
    "datasets.pqt",
    "license.txt",
    "passiveChoiceWorld_trials_fixtures.pqt",
    "pupil_diameter.npy",
    "session_0_ephys_pcqs.npy",
    "sessions.pqt",
    "stimOn_times.npy",
    "test_arr_in.npy",
    "test_arr_peak.npy",
    "test_df.csv",
    "test_df_wavinfo.csv",
    "trials_Cori_2016-12-14_first40.csv",
    "trials_df_test.csv",
    "units_Cori_2016-12-14_sample.csv",
    "wheel.npy",
}


def manifest(name: str) -> list[str]:
    """Return the paths of a manifest, its places filled."""
    file = FACTS / f"{name}-manifest.json"
    if not file.is_file():
        pytest.skip(f"the manifest of {name} is not beside this checkout")
    rows = json.loads(file.read_text(encoding="utf-8"))["datasets"]
    places = {"subject": "Cori", "date": "2016-12-14", "tag": "M2", "NN": "00", "N": "0", "rev": "#2024-05-06#"}
    return [row["path"].format(**places) for row in rows]


def not_strict(paths: list[str]) -> list[str]:
    """Parse every path, and return those that are not strict."""
    found = []
    for path in paths:
        dataset = Dataset.parse(path)
        assert str(dataset) == path
        fields = path.rpartition("/")[2].split(".")
        namespace = f"_{dataset.namespace}_" if dataset.namespace else ""
        assert (namespace + dataset.object, dataset.field, dataset.extension) == (fields[0], fields[1], fields[-1])
        if strict_problems(dataset):
            found.append(path)
    return found


class TestNames:
    def test_of_the_names_of_steinmetz_those_with_a_hyphen_are_not_strict(self) -> None:
        assert not_strict(STEINMETZ) == STEINMETZ[:2]

    def test_every_name_of_ibl_is_strict(self) -> None:
        assert not_strict(IBL) == []

    def test_the_whole_manifest_of_steinmetz_has_one_pattern_that_is_not_strict(self) -> None:
        paths = manifest("steinmetz")
        assert len(paths) == 55
        assert not_strict(paths) == ["alf/Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy"]

    def test_the_whole_manifest_of_ibl_is_strict(self) -> None:
        paths = manifest("ibl")
        assert len(paths) == 133
        assert not_strict(paths) == []

    @pytest.mark.skipif(not REAL.is_dir(), reason="the small real files are not beside this checkout")
    def test_every_real_file_has_a_strict_name_or_is_known_to_have_none(self) -> None:
        files = [path.name for path in REAL.rglob("*") if path.is_file()]
        assert len(files) > 80
        refused = set()
        for name in files:
            try:
                assert strict_problems(Dataset.parse(name)) == (), name
            except AlfError:
                refused.add(name)
        assert refused == NOT_ALF

    @pytest.mark.skipif(not REAL.is_dir(), reason="the small real files are not beside this checkout")
    def test_every_path_that_a_public_server_gives_is_read_with_its_uuid_set_aside(self) -> None:
        (listed,) = REAL.rglob("_path_expander_demo_ibl_filepaths.txt")
        paths = listed.read_text(encoding="utf-8").split()
        assert len(paths) == 39
        for path in paths:
            session, below = split_path(path)
            dataset = Dataset.parse(below)
            assert f"{session}/{dataset}" == path
            assert (dataset.namespace, dataset.key, dataset.extension) == ("iblrig", "raw", "mp4")
            assert len(dataset.extra) == 36
            assert strict_problems(dataset) == ()

    @pytest.mark.skipif(not REAL.is_dir(), reason="the small real files are not beside this checkout")
    def test_every_path_of_a_real_cache_table_is_read(self) -> None:
        import pyarrow.parquet as pq

        (table,) = REAL.rglob("datasets.pqt")
        paths = pq.read_table(table, columns=["rel_path"]).column("rel_path").to_pylist()
        assert len(paths) == 693
        assert not_strict(paths) == []


class TestQuirks:
    def test_a_server_that_adds_a_uuid_to_every_name_has_the_same_datasets(self) -> None:
        path = "alf/probe00/#2024-05-06#/spikes.times.6252a2f0-c10f-4e49-b085-75749ba29c35.npy"
        dataset = Dataset.parse(path)
        assert (dataset.key, dataset.type, dataset.stem) == ("times", "spikes.times", "spikes.times.npy")
        assert strict_problems(dataset) == ()
        for asked in ("spikes", "spikes.times", "spikes.times.npy", "alf/probe00/spikes.times.npy", dataset.name):
            assert Pattern(asked).matches(path)

    def test_files_that_differ_in_uuid_and_revision_are_one_dataset(self) -> None:
        old = "alf/probe00/spikes.times.6252a2f0-c10f-4e49-b085-75749ba29c35.npy"
        new = "alf/probe00/#2024-05-06#/spikes.times.2f88d70a-2172-4635-8ee9-88d9c5193aae.npy"
        assert newest([old, new]) == [new]
        assert newest([old, new], "2023") == [old]
        assert newest([old, new], "") == [old]

    @pytest.mark.parametrize("number", ["1", "01", "001"])
    def test_a_number_that_is_not_padded_is_read_as_it_is_and_told_to_the_sharer(self, number: str) -> None:
        path = f"cortexlab/Subjects/clns0730/2018-08-24/{number}/spikes.times.npy"
        session, below = split_path(path)
        assert f"{session}/{below}" == path
        assert bool(sharing_problems(session, below)) is (number != "001")

    def test_files_in_the_session_folder_itself_have_no_collection(self) -> None:
        session, below = split_path("cortexlab/Subjects/clns0730/2018-08-24/001/_ibl_experiment.description.yaml")
        assert session == Session("cortexlab", "clns0730", "2018-08-24", "001")
        dataset = Dataset.parse(below)
        assert (dataset.collection, dataset.revision, dataset.namespace) == ("", "", "ibl")
        assert Query(collection="").matches(below)
        assert Pattern("experiment.description").matches(below)
        assert Dataset.parse("#2024-05-06#/spikes.times.npy").revision == "2024-05-06"

    def test_a_session_that_mixes_revisions_gives_of_each_dataset_its_own_newest(self) -> None:
        session = [
            "alf/_ibl_trials.table.pqt",
            "alf/#2025-03-03#/_ibl_trials.table.pqt",
            "alf/_ibl_wheel.position.npy",
            "alf/probe00/pykilosort/spikes.times.npy",
            "alf/probe00/pykilosort/#2024-05-06#/spikes.times.npy",
            "alf/probe00/pykilosort/#2022-01-28#/channels.labels.npy",
        ]
        assert newest(session) == [session[1], session[2], session[4], session[5]]
        assert newest(session, "2024-05-06") == [session[0], session[2], session[4], session[5]]
        assert newest(session, "2023-12-31") == [session[0], session[2], session[3], session[5]]
        assert newest(session, "") == [session[0], session[2], session[3]]

    def test_an_object_with_hyphens_is_addressable_in_every_way_and_told_the_name_that_others_read(self) -> None:
        path = "alf/Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy"
        dataset = Dataset.parse(path)
        assert (dataset.object, dataset.attribute) == ("Cori_2016-12-14_M2_g0_t0", "imec")
        assert (dataset.extra, dataset.key) == ("lf.timestamps", "imec.lf.timestamps")
        for asked in ("Cori_2016-12-14_M2_g0_t0", "Cori_*.imec", "*.lf.timestamps.npy", path):
            assert Pattern(asked).matches(path)
        assert str(nearest(dataset)) == "alf/Cori_2016_12_14_M2_g0_t0.imec.lf.timestamps.npy"

    def test_the_namespace_of_an_attribute_belongs_to_it(self) -> None:
        dataset = Dataset.parse("alf/clusters._phy_annotation.npy")
        assert (dataset.namespace, dataset.object, dataset.attribute) == ("", "clusters", "_phy_annotation")
        assert dataset.key == "_phy_annotation"
        assert strict_problems(dataset) == ()
        assert Pattern("clusters._phy_annotation").matches(str(dataset))
        assert Pattern("clusters.*").matches(str(dataset))

    @pytest.mark.parametrize("name", ["trials.visualStim_contrastLeft.npy", "trials.response_choice.npy"])
    def test_an_attribute_with_an_underscore_is_asked_for_as_it_is_written(self, name: str) -> None:
        _, field, _ = name.split(".")
        dataset = Dataset.parse(f"alf/{name}")
        assert dataset.timescale == field.partition("_")[2]  # as ONE-api has it
        assert dataset.key == field
        assert Pattern(f"trials.{field}").matches(f"alf/{name}")
        assert not Pattern(f"trials.{dataset.attribute}").matches(f"alf/{name}")
        assert Query(Pattern(f"trials.{dataset.attribute}"), timescale=dataset.timescale).matches(f"alf/{name}")

    def test_one_letter_decides_between_two_objects(self) -> None:
        """``channels.probe`` and ``clusters.probes``, ``leftCamera`` and ``leftROIMotionEnergy``."""
        assert not Pattern("clusters.probe").matches("alf/clusters.probes.npy")
        assert not Pattern("left").matches("alf/leftCamera.ROIMotionEnergy.npy")

    def test_the_pieces_of_an_interrupted_recording_have_keys_of_their_own(self) -> None:
        pieces = ["_iblrig_encoderEvents.raw.00.ssv", "_iblrig_encoderEvents.raw.01.ssv"]
        assert [Dataset.parse(piece).extras for piece in pieces] == [("00",), ("01",)]
        assert newest(pieces) == pieces

    def test_the_folded_name_of_a_figshare_file_is_no_path_and_is_told_so(self) -> None:
        with pytest.raises(AlfError, match="does not lie in a session"):
            split_path("nicklab~Subjects~Cori~2016-12-14~001~alf~spikes.times.npy")
