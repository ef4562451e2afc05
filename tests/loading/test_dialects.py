"""What the public repositories really hold: one test for each quirk of their files that could mislead a reader.

The first part is the data of Steinmetz et al. 2019 as MATLAB wrote them, the second those of the International Brain
Laboratory, the third small real files of both, where they are.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import onelight
from onelight.api import One, write_index
from onelight.errors import AmbiguousQuery, RowsDiffer, UnsafeData
from onelight.loading import load_file
from onelight.loading.lazy import LazyArray

SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
IBL = "mainenlab/Subjects/ZFM-01935/2021-02-05/001"
UUID = "6252a2f0-c10f-4e49-b085-75749ba29c35"
OTHER_UUID = "0f1c6a2b-9f0e-4a53-a4f9-0d4be0b9b8d1"
REAL = Path(os.environ.get("ONELIGHT_REAL_DATA", Path(__file__).parents[2].parent / "shared/data/real_alf"))
Files = dict[str, Any]
Share = Callable[..., One]


def matlab(array: Any) -> bytes:
    """Return an array as npy-matlab writes it: a header that ends at a multiple of 16 bytes, and Fortran order."""
    array = np.asfortranarray(array)
    descr = "<b1" if array.dtype == bool else array.dtype.newbyteorder("<").str
    text = f"{{'descr': '{descr}', 'fortran_order': True, 'shape': {array.shape}, }}"
    length = -(-(len(text) + 11) // 16) * 16 - 10
    return (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", length) + text.ljust(length - 1).encode() + b"\n" + array.tobytes("F")
    )


def cbin(samples: Any, rate: float) -> tuple[bytes, str]:
    """Return a recording as mtscomp writes it, in chunks of a second, and its table of contents."""
    bounds = [*range(0, len(samples), int(rate)), len(samples)]
    chunks = []
    for first, last in itertools.pairwise(bounds):
        chunk = samples[first:last]
        chunks.append(zlib.compress(np.vstack([chunk[:1], np.diff(chunk, axis=0)]).T.tobytes()))
    said = {"version": "1.0", "algorithm": "zlib", "dtype": "int16", "n_channels": samples.shape[1],
            "sample_rate": rate, "do_time_diff": True, "do_spatial_diff": False, "chunk_order": "F",
            "chunk_bounds": bounds,
            "chunk_offsets": [0, *np.cumsum([len(chunk) for chunk in chunks]).tolist()]}  # fmt: skip
    return b"".join(chunks), json.dumps(said)


@pytest.fixture
def share(tmp_path: Path, add_repository: Callable[..., str], serve: Callable[[Path], Any]) -> Share:
    """Return a function that writes the files of a session and opens them as a repository."""

    def opened(session: str, files: Files, *, served: bool = False) -> One:
        root = tmp_path / "shared"
        for name, value in files.items():
            path = root / session / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(value, bytes):
                path.write_bytes(value)
            elif isinstance(value, str):
                path.write_text(value, encoding="utf-8", newline="")
            elif name.endswith(".pqt"):
                pd.DataFrame(value).to_parquet(path)
            else:
                np.save(path, value)
        if not served:
            add_repository("there", "local", root_dir=str(root))
            return One("there")
        # Not every real name could be shared anew: the index is written as it is found.
        paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        (root / ".one_root").write_text("".join(f"{path}\n" for path in paths if not path.startswith(".")))
        add_repository("there", "http", base_url=serve(root).url)
        return One("there")

    return opened


class TestMatlab:
    def test_headers_of_eighty_bytes_and_columns_are_read_as_vectors(self, share: Share) -> None:
        seconds = np.arange(40.0)[:, None]
        intervals = np.column_stack([np.arange(40.0), np.arange(40.0) + 0.5])
        included = (np.arange(40) % 3 == 0)[:, None]
        assert len(matlab(seconds)) == 80 + 40 * 8
        one = share(
            SESSION,
            {
                "alf/trials.intervals.npy": matlab(intervals),
                "alf/trials.goCue_times.npy": matlab(seconds),
                "alf/trials.included.npy": matlab(included),
                "alf/trials.repNum.npy": matlab(seconds.astype("i4")),
            },
        )
        trials = one.load_object(SESSION, "trials")
        assert {name: value.shape for name, value in trials.items()} == {
            "goCue_times": (40,), "included": (40,), "intervals": (40, 2), "repNum": (40,),
        }  # fmt: skip
        assert trials.included.dtype == bool
        assert trials.included.tolist() == included[:, 0].tolist()
        assert np.array_equal(trials.intervals, intervals)
        assert trials.intervals.flags.f_contiguous
        assert one.load_dataset(SESSION, "trials.goCue_times", squeeze=False).shape == (40, 1)
        assert len(onelight.to_dataframe(trials)) == 40

    @pytest.mark.parametrize("mmap", [False, True])
    def test_arrays_of_three_dimensions_are_stored_the_other_way_round(self, share: Share, mmap: bool) -> None:
        waveforms = np.arange(3 * 4 * 5.0).reshape(3, 4, 5)
        one = share(SESSION, {"alf/clusters.templateWaveforms.npy": matlab(waveforms)})
        loaded = one.load_object(SESSION, "clusters", mmap=mmap).templateWaveforms
        assert np.array_equal(loaded, waveforms)
        assert isinstance(loaded, np.memmap) is mmap
        with one.open(SESSION, "clusters.templateWaveforms") as opened:
            assert np.array_equal(opened[1:, ::2, 3], waveforms[1:, ::2, 3])


class TestSteinmetz:
    def test_names_with_underscores_keep_them(self, share: Share) -> None:
        names = ["visualStim_contrastLeft", "visualStim_contrastRight", "visualStim_times", "response_choice"]
        one = share(SESSION, {f"alf/trials.{name}.npy": np.zeros(3) for name in names})
        assert list(one.load_object(SESSION, "trials")) == sorted(names)
        assert one.load_dataset(SESSION, "trials.visualStim_contrastLeft").shape == (3,)
        assert list(one.load_object(SESSION, "trials", attribute="visualStim_times")) == ["visualStim_times"]
        assert one.search("trials.visualStim_contrastRight") == [SESSION]

    def test_an_attribute_may_begin_with_an_underscore(self, share: Share) -> None:
        one = share(SESSION, {"alf/clusters._phy_annotation.npy": matlab(np.ones((5, 1)))})
        assert one.load_object(SESSION, "clusters")._phy_annotation.tolist() == [1] * 5
        assert one.load_dataset(SESSION, "clusters._phy_annotation").shape == (5,)

    def test_an_object_may_have_hyphens_and_its_fields_may_be_many(self, share: Share) -> None:
        name = "Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy"
        other = name.replace("M2", "V1")
        one = share(
            SESSION,
            {
                f"alf/{name}": matlab(np.array([[0, 10.0], [2499, 10.9996]])),
                f"alf/{other}": matlab(np.array([[0, 20.0], [2499, 20.9996]])),
            },
        )
        assert one.load_dataset(SESSION, name).tolist() == [[0, 10], [2499, 10.9996]]
        lfp = one.load_object(SESSION, "Cori_2016-12-14_M2_g0_t0")
        assert list(lfp) == ["imec.lf.timestamps"]
        assert onelight.times(lfp, rows=2500) == pytest.approx(10 + np.arange(2500) / 2500)
        assert one.search(name) == one.search("Cori_2016-12-14_V1_g0_t0") == [SESSION]

    @pytest.mark.parametrize(
        ("stamps", "told"),
        [
            (np.array([[0, 10.0], [4, 14.0]]), False),
            (np.array([[1, 10.0], [5, 14.0]]), True),
            (np.column_stack([np.arange(5), np.arange(10.0, 15)]), False),
            (np.column_stack([np.arange(1, 6), np.arange(10.0, 15)]), True),
            (np.array([[0, 10.0], [2, 12.0], [3, 13.0]]), False),
            (np.arange(10.0, 15)[:, None], False),
        ],
    )
    def test_timestamps_of_every_form_become_a_time_for_each_row(
        self, share: Share, stamps: Any, told: bool, notes: list[str]
    ) -> None:
        one = share(
            SESSION,
            {"alf/eye.area.npy": matlab(np.zeros((5, 1), "f4")), "alf/eye.xyPos.npy": matlab(np.zeros((5, 2), "f4")),
             "alf/eye.timestamps.npy": matlab(stamps)},
        )  # fmt: skip
        eye = one.load_object(SESSION, "eye")
        assert notes == []
        assert onelight.times(eye).tolist() == [10, 11, 12, 13, 14]
        assert notes == (["timestamps counts samples from 1 to 5; that is how it is taken"] if told else [])

    def test_channels_counted_from_one_are_told(self, share: Share, notes: list[str]) -> None:
        one = share(
            SESSION,
            {
                "alf/channels.site.npy": matlab(np.zeros((374, 1), "i4")),
                "alf/channels.sitePositions.npy": matlab(np.zeros((374, 2))),
                "alf/clusters.peakChannel.npy": matlab(np.array([[1.0], [7], [374]])),
                "alf/clusters.templateWaveformChans.npy": matlab(np.full((3, 50), 374.0)),
                "alf/clusters.probes.npy": matlab(np.zeros((3, 1))),
                "alf/probes.rawFilename.tsv": "rawFilename\na\n",
            },
        )
        assert one.load_object(SESSION, "clusters").peakChannel.tolist() == [1, 7, 374]  # as they are
        words = "counts from 1: it goes up to 374, and channels has 374 rows; subtract 1 before using it as a row"
        assert notes == [f"clusters.peakChannel {words}"]
        one.load_collection(SESSION, "alf", check="ignore")
        assert notes == [f"clusters.peakChannel {words}"] * 2

    @pytest.mark.parametrize(
        "files",
        [
            {"channels.site": np.zeros(374), "clusters.peakChannel": np.array([0, 373])},
            {"channels.site": np.zeros(375), "clusters.peakChannel": np.array([1, 374])},
            {"clusters.peakChannel": np.array([1, 374])},
            {"channels.site": np.zeros(374), "clusters.depths": np.array([1, 374])},
            {"probe00/channels.site": np.zeros(374), "clusters.peakChannel": np.array([1, 374])},
        ],
    )
    def test_and_not_where_they_may_count_from_zero(self, share: Share, files: Files, notes: list[str]) -> None:
        one = share(SESSION, {f"alf/{name}.npy": value for name, value in files.items()})
        one.load_object(SESSION, "clusters")
        assert notes == []

    def test_nothing_is_fetched_to_tell_it(self, share: Share, notes: list[str], config_dir: Path) -> None:
        files = {"alf/channels.site.npy": np.zeros(374), "alf/clusters.peakChannel.npy": np.array([1, 374])}
        one = share(SESSION, files, served=True)
        one.load_object(SESSION, "clusters")
        assert notes == []
        assert not list(config_dir.rglob("channels.*"))
        one.download(SESSION, "channels")
        one.load_object(SESSION, "clusters")
        assert len(notes) == 1

    def test_rows_of_spikes_count_from_zero_and_their_clusters_too(self, share: Share, notes: list[str]) -> None:
        one = share(
            SESSION,
            {"alf/spikes.clusters.npy": matlab(np.array([[0], [2]], "u4")), "alf/clusters.depths.npy": np.zeros(3)},
        )
        assert one.load_object(SESSION, "spikes").clusters.tolist() == [0, 2]
        assert notes == []

    def test_times_that_do_not_ascend_are_given_as_they_are(self, share: Share) -> None:
        one = share(SESSION, {"alf/sparseNoise.times.npy": matlab(np.array([[3.0], [1], [2]]))})
        assert one.load_object(SESSION, "sparseNoise").times.tolist() == [3, 1, 2]

    def test_text_tables_have_their_names_in_the_first_row(self, share: Share) -> None:
        one = share(
            SESSION,
            {
                "alf/channels.brainLocation.tsv": "ccf_ap\tccf_dv\tccf_lr\tallen_ontology\n4054\t1.5\t2\tACA\n",
                "alf/probes.rawFilename.tsv": "rawFilename\nCori_2016-12-14_M2_g0_t0.imec.lf.bin\n",
            },
        )
        places = one.load_object(SESSION, "channels").brainLocation
        assert list(places) == ["ccf_ap", "ccf_dv", "ccf_lr", "allen_ontology"]
        assert places.allen_ontology.tolist() == ["ACA"]
        assert list(one.load_dataset(SESSION, "probes.rawFilename")) == ["rawFilename"]

    def test_sites_of_probes_are_more_than_the_probes(self, share: Share) -> None:
        one = share(
            SESSION,
            {"alf/probes.rawFilename.tsv": "rawFilename\na\nb\n", "alf/probes.sitePositions.npy": np.zeros((384, 2))},
        )
        with pytest.raises(RowsDiffer, match="    2 rows  rawFilename\n  384 rows  sitePositions"):
            one.load_object(SESSION, "probes")
        assert one.load_object(SESSION, "probes", attribute="sitePositions").sitePositions.shape == (384, 2)


class TestServerOfTheIBL:
    def test_the_uuid_in_every_name_is_no_part_of_the_key(self, share: Share) -> None:
        files: Files = {
            f"alf/probe00/spikes.times.{UUID}.npy": np.arange(3.0),
            f"alf/probe00/spikes.clusters.{OTHER_UUID}.npy": np.zeros(3, "u2"),
            f"alf/_ibl_trials.table.{UUID}.pqt": {"choice": [1, -1]},
            f"raw/_iblrig_leftCamera.raw.{UUID}.mp4": b"film",
            f"raw/ephys.raw.ap.{UUID}.bin": np.arange(6, dtype="<i2").tobytes(),
            f"raw/ephys.raw.ap.metadata.{OTHER_UUID}.json": '{"dtype": "int16", "columns": ["a", "b"]}',
        }
        one = share(IBL, files, served=True)
        assert list(one.load_object(IBL, "spikes")) == ["clusters", "times"]
        assert one.load_object(IBL, "trials").choice.tolist() == [1, -1]
        assert one.load_dataset(IBL, "spikes.times.npy").tolist() == [0, 1, 2]
        assert one.load_dataset(IBL, f"spikes.times.{UUID}.npy").tolist() == [0, 1, 2]
        assert one.load_dataset(IBL, "leftCamera.raw", download_only=True).name == f"_iblrig_leftCamera.raw.{UUID}.mp4"
        ephys = one.load_object(IBL, "ephys")
        assert ephys["raw.ap"].tolist() == [[0, 1], [2, 3], [4, 5]]
        assert set(ephys) == {"raw.ap", "raw.ap.metadata"}

    def test_two_uuids_of_one_dataset_are_not_guessed(self, share: Share) -> None:
        one = share(IBL, {f"alf/spikes.times.{uuid}.npy": np.zeros(2) for uuid in (UUID, OTHER_UUID)})
        calls: list[Callable[[], object]] = [
            lambda: one.load_object(IBL, "spikes"),
            lambda: one.load_dataset(IBL, "spikes.times"),
            lambda: one.load_dataset(IBL, "spikes.times.npy"),
        ]
        for call in calls:
            with pytest.raises(AmbiguousQuery) as caught:
                call()
            assert UUID in caught.value.message
            assert OTHER_UUID in caught.value.message
            assert "name" in caught.value.hint
        assert one.load_dataset(IBL, f"spikes.times.{UUID}.npy").tolist() == [0, 0]

    def test_another_revision_has_another_uuid(self, share: Share) -> None:
        one = share(
            IBL,
            {
                f"alf/spikes.times.{UUID}.npy": np.zeros(2),
                f"alf/#2024-05-06#/spikes.times.{OTHER_UUID}.npy": np.ones(2),
            },
        )
        assert one.load_dataset(IBL, "spikes.times").tolist() == [1, 1]
        assert one.load_object(IBL, "spikes", revision="").times.tolist() == [0, 0]

    def test_the_number_of_a_session_need_not_be_padded(self, share: Share) -> None:
        session = "churchlandlab/Subjects/clns0730/2018-08-24/1"
        one = share(session, {"_ibl_trials.choice.npy": np.arange(3), "licks.times.npy": np.arange(2.0)}, served=True)
        assert one.search(number=1) == [session]
        for asked in (session, session[:-1] + "001", session + "/"):
            assert one.load_object(asked, "trials").choice.tolist() == [0, 1, 2]
        assert one.load_dataset(session, "licks.times").tolist() == [0, 1]

    def test_files_may_lie_in_the_folder_of_the_session(self, share: Share) -> None:
        one = share(IBL, {"_ibl_trials.choice.npy": np.arange(3), "alf/_ibl_trials.goCue_times.npy": np.arange(4.0)})
        with pytest.raises(AmbiguousQuery, match=r"by collection: \(no collection\), alf"):
            one.load_object(IBL, "trials")
        assert list(one.load_object(IBL, "trials", collection="")) == ["choice"]
        assert list(one.load_collection(IBL, "")) == ["trials"]

    def test_one_session_mixes_revisions_and_each_dataset_has_its_own_newest(self, share: Share) -> None:
        folder = "alf/probe00/pykilosort"
        files = {
            f"{folder}/spikes.times.npy": 0,
            f"{folder}/spikes.amps.npy": 0,
            f"{folder}/spikes.depths.npy": 0,
            f"{folder}/#2022-01-28#/spikes.times.npy": 2022,
            f"{folder}/#2022-01-28#/spikes.amps.npy": 2022,
            f"{folder}/#2024-05-06#/spikes.times.npy": 2024,
        }
        one = share(IBL, {path: np.full(3, value) for path, value in files.items()})

        def loaded(**asked: Any) -> list[int]:
            spikes = one.load_object(IBL, "spikes", **asked)
            return [int(spikes[name][0]) for name in ("times", "amps", "depths")]

        assert loaded() == loaded(revision="2024-05-06") == [2024, 2022, 0]
        assert loaded(revision="2022-01-28") == loaded(revision="2024-05-05") == [2022, 2022, 0]
        assert loaded(revision="2021") == loaded(revision="") == [0, 0, 0]

    def test_a_sorter_below_a_probe_is_a_collection_of_its_own(self, share: Share) -> None:
        folders = ["alf/probe00", "alf/probe00/pykilosort", "alf/probe00a"]
        one = share(IBL, {f"{folder}/spikes.times.npy": np.full(2, n) for n, folder in enumerate(folders)})
        for number, folder in enumerate(folders):
            assert one.load_object(IBL, "spikes", collection=folder).times.tolist() == [number] * 2
        assert list(one.load_session(IBL)) == folders

    def test_trials_are_a_table_in_a_revision_and_its_intervals_two_columns(self, share: Share) -> None:
        columns = {"choice": [1.0, -1], "intervals_0": [0.0, 2], "intervals_1": [1.0, 3], "goCue_times": [0.5, np.nan]}
        one = share(
            IBL,
            {"alf/#2025-03-03#/_ibl_trials.table.pqt": columns, "alf/_ibl_trials.goCueTrigger_times.npy": np.zeros(2)},
        )
        trials = one.load_object(IBL, "trials")
        assert sorted(trials) == ["choice", "goCueTrigger_times", "goCue_times", "intervals"]
        assert trials.intervals.tolist() == [[0, 1], [2, 3]]
        assert list(one.load_object(IBL, "trials", attribute="intervals")) == ["intervals"]
        assert list(one.load_dataset(IBL, "trials.table")) == list(columns)
        assert list(one.load_object(IBL, "trials", revision="2025-01-01")) == ["goCueTrigger_times"]
        assert len(onelight.to_dataframe(trials)) == 2

    @pytest.mark.parametrize(
        ("obj", "files", "table"),
        [
            (
                "trials",
                {"_ibl_trials.choice.npy": np.zeros(412), "_ibl_trials.goCue_times.npy": np.zeros(415)},
                "  412 rows  choice\n  415 rows  goCue_times",
            ),
            (
                "clusters",
                {"clusters.metrics.pqt": {"label": np.zeros(430)}, "clusters.depths.npy": np.zeros(437)},
                "  430 rows  metrics\n  437 rows  depths",
            ),
            (
                "clusters",
                {"clusters.waveformDuration.npy": np.zeros((256, 256)), "clusters.depths.npy": np.zeros(437)},
                "  256 rows  waveformDuration\n  437 rows  depths",
            ),
            (
                "leftROIMotionEnergy",
                {
                    "leftROIMotionEnergy.position.npy": np.zeros(4),
                    "leftROIMotionEnergy.ROIMotionEnergy.npy": np.zeros(60_000, "u1"),
                },
                "       4 rows  position\n  60,000 rows  ROIMotionEnergy",
            ),
        ],
    )
    def test_rows_that_differ_are_told_and_loaded_all_the_same_on_request(
        self, share: Share, obj: str, files: Files, table: str, notes: list[str]
    ) -> None:
        one = share(IBL, {f"alf/{name}": value for name, value in files.items()})
        with pytest.raises(RowsDiffer) as caught:
            one.load_object(IBL, obj)
        assert caught.value.message == f"the attributes of {obj} differ in their number of rows:\n{table}\n"
        assert len(one.load_object(IBL, obj, check="warn")) == 2
        assert table in notes[0]

    def test_numbers_of_channels_may_be_the_second_dimension(self, share: Share) -> None:
        one = share(IBL, {"raw_ephys_data/probe00/_iblqc_ephysChannels.apRMS.npy": np.zeros((2, 384))})
        assert one.load_object(IBL, "ephysChannels").apRMS.shape == (2, 384)

    def test_one_attribute_in_two_forms_is_not_guessed(self, share: Share) -> None:
        files: Files = {"alf/clusters.amps.npy": np.arange(2.0), "alf/clusters.amps.tsv": "amps\n7\n8\n"}
        one = share(IBL, files | {"alf/clusters.depths.npy": np.zeros(2)})
        with pytest.raises(AmbiguousQuery, match="clusters.amps.npy, clusters.amps.tsv.*extension='npy'"):
            one.load_object(IBL, "clusters")
        assert one.load_object(IBL, "clusters", extension="npy").amps.tolist() == [0, 1]
        assert one.load_object(IBL, "clusters", extension="tsv").amps.amps.tolist() == [7, 8]
        assert list(one.load_object(IBL, "clusters", attribute="depths")) == ["depths"]

    def test_a_table_of_one_column_of_uuids_has_a_header(self, share: Share) -> None:
        one = share(IBL, {"alf/clusters.uuids.csv": f"uuids\n{UUID}\n{OTHER_UUID}\n"})
        assert one.load_object(IBL, "clusters").uuids.uuids.tolist() == [UUID, OTHER_UUID]

    @pytest.mark.parametrize("ending", ["\n", "\r\n"])
    def test_tables_of_the_rig_have_no_names_and_keep_their_first_record(self, share: Share, ending: str) -> None:
        lines = [f"Position {1000 + number} {-number} 2019-02-13T14:24:59.3946368+00:00 " for number in range(936)]
        one = share(IBL, {"raw_behavior_data/_iblrig_encoderPositions.raw.ssv": ending.join([*lines, ""])})
        table = one.load_dataset(IBL, "encoderPositions.raw")
        assert table.shape[0] == 936
        assert table.iloc[0, 1] == 1000

    def test_pieces_of_a_rig_that_was_started_again_are_joined_and_other_extras_are_not(self, share: Share) -> None:
        raw = "raw_behavior_data/_iblrig_encoderEvents.raw"
        record = "Event {} 2019-02-13T14:24:59.3946368+00:00 \n"
        files = {f"{raw}.01.ssv": [3], f"{raw}.00.ssv": [1, 2], f"{raw}.CorruptMiddle.ssv": [9]}
        one = share(IBL, {name: "".join(map(record.format, numbers)) for name, numbers in files.items()})
        events = one.load_object(IBL, "encoderEvents", check="ignore")
        assert list(events) == ["raw", "raw.CorruptMiddle"]
        assert events.raw.iloc[:, 1].tolist() == [1, 2, 3]

    def test_lines_of_json_are_a_list_and_need_no_rows(self, share: Share) -> None:
        lines = "".join(f'{{"trial_num": {number}}}\n' for number in range(3))
        one = share(IBL, {"raw/_iblrig_taskData.raw.jsonable": lines, "raw/_iblrig_taskSettings.raw.json": '{"a": 1}'})
        assert [row["trial_num"] for row in one.load_dataset(IBL, "taskData.raw")] == [0, 1, 2]
        assert one.load_object(IBL, "taskSettings").raw == {"a": 1}


class TestSpikeGlx:
    @pytest.fixture
    def probe(self, share: Share) -> One:
        folder = "raw_ephys_data/probe00/_spikeglx_ephysData_g0_t0.imec0"
        files: Files = {f"{folder}.sync.npy": np.zeros(7), f"{folder}.timestamps.npy": np.array([[0, 1.0], [39, 2.3]])}
        for band, rate in (("ap", 30.0), ("lf", 2.5)):
            samples = np.arange(int(rate * 4) * 3, dtype="i2").reshape(-1, 3) * (1 if band == "ap" else 2)
            files[f"{folder}.{band}.cbin"], files[f"{folder}.{band}.ch"] = cbin(samples, rate)
            files[f"{folder}.{band}.meta"] = f"imSampRate={rate}\nnSavedChans=3\n"
        return share(IBL, files)

    def test_a_recording_is_one_value_with_what_explains_it_used_for_it(self, probe: One) -> None:
        ephys = probe.load_object(IBL, "_spikeglx_ephysData_g0_t0")
        assert sorted(ephys) == ["imec0.ap", "imec0.lf", "imec0.sync", "imec0.timestamps"]
        assert isinstance(ephys["imec0.ap"], LazyArray)
        assert (ephys["imec0.ap"].shape, ephys["imec0.lf"].shape) == ((120, 3), (10, 3))
        assert ephys["imec0.ap"][31:33].tolist() == [[93, 94, 95], [96, 97, 98]]
        assert np.asarray(ephys["imec0.lf"])[9].tolist() == [54, 56, 58]
        for band in ("ap", "lf"):
            ephys[f"imec0.{band}"].close()

    def test_one_band_alone_and_its_slices(self, probe: One) -> None:
        ephys = probe.load_object(IBL, "ephysData_g0_t0", attribute="imec0.lf")
        assert list(ephys) == ["imec0.lf"]
        ephys["imec0.lf"].close()
        with probe.open(IBL, "_spikeglx_ephysData_g0_t0.imec0.ap.cbin") as opened:
            assert opened[-1].tolist() == [357, 358, 359]

    def test_its_settings_are_a_dataset_of_their_own_by_name(self, probe: One) -> None:
        said = probe.load_dataset(IBL, "_spikeglx_ephysData_g0_t0.imec0.lf.meta")
        assert said["nSavedChans"] == 3
        with pytest.raises(AmbiguousQuery):
            probe.load_dataset(IBL, "ephysData_g0_t0.imec0")

    def test_sync_points_of_a_probe_give_the_time_of_its_samples(self, probe: One) -> None:
        ephys = probe.load_object(IBL, "ephysData_g0_t0", attribute="imec0.timestamps")
        assert onelight.times(ephys, rows=40)[-1] == pytest.approx(2.3)

    def test_the_table_of_contents_is_fetched_with_the_recording(self, share: Share) -> None:
        data, said = cbin(np.ones((5, 2), "i2"), 2.0)
        name = "raw/_spikeglx_ephysData_g0_t0.imec0.ap"
        files: Files = {f"{name}.{UUID}.cbin": data, f"{name}.{OTHER_UUID}.ch": said, f"{name}.meta": "a=1\n"}
        one = share(IBL, files, served=True)
        with one.load_dataset(IBL, f"_spikeglx_ephysData_g0_t0.imec0.ap.{UUID}.cbin") as recording:
            assert np.asarray(recording).tolist() == [[1, 1]] * 5


@pytest.fixture
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip(f"no real recordings at {REAL}; ONELIGHT_REAL_DATA may name their folder")
    return REAL


class TestRealFiles:
    def test_every_file_is_loaded_or_refused_for_the_reason_that_it_has(self, real: Path) -> None:
        """What the rigs damaged is damaged; of what ONE light does not read the path is given."""
        paths = {path.relative_to(real).as_posix(): path for path in real.rglob("*") if path.is_file()}
        refused: dict[str, str] = {}
        as_path: set[str] = set()
        for name, path in paths.items():
            try:
                value = load_file(path)
            except UnsafeData as error:
                refused[name.partition("extractors/data/")[2]] = error.message.rpartition(": ")[2]
            else:
                if isinstance(value, Path):
                    as_path.add(path.suffix)
                else:
                    assert len(value) > 0, name
        assert len(paths) > 80
        assert refused == {
            "session_training_lt5/raw_behavior_data/_iblrig_encoderPositions.raw.ssv": (
                "line 15 has 1 cell, and the first row has 4"
            ),
            "wheel/lt5/_iblrig_encoderEvents.raw.00.ssv": "line 10 has 3 cells, and the first row has 5",
            "wheel/lt5/_iblrig_encoderEvents.raw.CorruptMiddle.ssv": "line 9 has 3 cells, and the first row has 5",
            "wheel/lt5/_iblrig_encoderEvents.raw.CorruptTimestamp.ssv": "line 5 has 2 cells, and the first row has 5",
            "wheel/lt5/_iblrig_encoderPositions.raw.00.ssv": "line 12 has 6 cells, and the first row has 4",
            "wheel/lt5/_iblrig_encoderPositions.raw.01.ssv": "line 15 has 1 cell, and the first row has 4",
        }
        assert as_path <= {"", ".md", ".ch", ".bin", ".zip"}

    def test_the_trials_of_a_real_session_are_an_object(self, real: Path, add_repository: Callable[..., str]) -> None:
        add_repository("dandi", "local", root_dir=str(real / "dandi_000017"))
        one = One("dandi")
        assert one.search("trials") == [SESSION]
        trials = one.load_object(SESSION, "trials")
        assert len(trials) == 11
        assert {value.shape for name, value in trials.items() if name != "intervals"} == {(40,)}
        assert trials.intervals.shape == (40, 2)
        assert trials.included.dtype == bool
        frame = onelight.to_dataframe(trials)
        typed = load_file(real / "dandi_000017" / "trials_Cori_2016-12-14_first40.csv")
        assert frame.intervals_0.to_numpy() == pytest.approx(typed["start"].to_numpy())
        assert frame.intervals_1.to_numpy() == pytest.approx(typed["stop"].to_numpy())
        assert (np.diff(trials.intervals[:, 0]) > 0).all()

    def test_a_real_object_in_pieces_of_which_some_are_damaged_is_refused_and_the_rest_can_be_had(
        self, real: Path, share: Share
    ) -> None:
        folder = real / "ibllib/ibllib/tests/extractors/data/wheel/lt5"
        one = share(IBL, {f"raw_behavior_data/{path.name}": path.read_bytes() for path in folder.iterdir()})
        with pytest.raises(UnsafeData, match="_iblrig_encoderPositions.raw.00.ssv is damaged: line 12 has 6 cells"):
            one.load_object(IBL, "encoderPositions")
        assert (
            one.load_object(IBL, "encoderPositions", attribute="raw.2firstsamples")["raw.2firstsamples"].shape[0] == 16
        )

    def test_the_names_of_a_real_server_are_asked_for_without_their_uuids(
        self, real: Path, tmp_path: Path, add_repository: Callable[..., str], serve: Callable[[Path], Any]
    ) -> None:
        (listing,) = real.glob("neuroconv/**/_path_expander_demo_ibl_filepaths.txt")
        paths = listing.read_text().split()
        for path in paths:
            (tmp_path / "server" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "server" / path).write_bytes(b"film")
        write_index(tmp_path / "server")
        add_repository("server", "http", base_url=serve(tmp_path / "server").url)
        one = One("server")
        session = "/".join(paths[0].split("/")[:5])
        assert len(one.search("leftCamera.raw")) == len({path.rpartition("/raw_video_data/")[0] for path in paths})
        assert one.load_dataset(session, "_iblrig_bodyCamera.raw.mp4").name == paths[0].rpartition("/")[2]
        assert list(one.load_object(session, "leftCamera")) == ["raw"]
