"""What explains a file is of its own time and place, and one file of many does not keep back the others."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from servers import WebServer, status

from onelight.api import One, write_index
from onelight.errors import AlfError, DatasetNotFound, RowsDiffer, UnsafeData
from onelight.loading.lazy import LazyArray

Add = Callable[..., None]
SESSION = "nicklab/Subjects/Cori/2016-12-14/001"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a session."""
    made = tmp_path / "root" / SESSION
    made.mkdir(parents=True)
    return made


@pytest.fixture
def one(tmp_path: Path, folder: Path, add_repository: Add) -> Callable[[], One]:
    """Return a function that opens what is in that folder by then."""

    def opened() -> One:
        add_repository("here", "local", root_dir=str(tmp_path / "root"))
        return One("here")

    return opened


@pytest.fixture
def server(tmp_path: Path, folder: Path, add_repository: Add) -> Iterator[WebServer]:
    with WebServer(root=tmp_path / "root") as running:
        add_repository("far", "http", base_url=running.url)
        yield running


def flat(path: Path, values: Any, dtype: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.array(values, dtype).tofile(path)
    path.with_suffix(".metadata.json").write_text(json.dumps({"dtype": dtype}))


def recording(path: Path, rows: int) -> None:
    """Write a compressed recording of two channels in one chunk, as mtscomp does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = zlib.compress(np.arange(rows * 2, dtype="<i2").reshape(rows, 2).tobytes())
    path.write_bytes(data)
    said = {"version": "1.0", "algorithm": "zlib", "dtype": "int16", "n_channels": 2, "sample_rate": 100.0}
    said |= {"chunk_bounds": [0, rows], "chunk_offsets": [0, len(data)], "chunk_order": "C"}
    said |= {"do_time_diff": False, "do_spatial_diff": False}
    path.with_suffix(".ch").write_text(json.dumps(said))


def test_a_file_is_never_explained_by_what_a_later_revision_says(folder: Path, one: Callable[[], One]) -> None:
    flat(folder / "alf/ephys.raw.bin", [1, 2], "int16")
    flat(folder / "alf/#2024#/ephys.raw.bin", [1.5], "float32")
    (folder / "alf/#2022#").mkdir()
    np.array([3, 4, 5], "int16").tofile(folder / "alf/#2022#/ephys.raw.bin")  # what it is, is said before
    made = one()
    assert made.load_dataset(SESSION, "alf/#2022#/ephys.raw.bin").tolist() == [3, 4, 5]
    assert made.load_dataset(SESSION, "ephys.raw", revision="2022").tolist() == [3, 4, 5]
    assert made.load_dataset(SESSION, "ephys.raw").tolist() == [1.5]
    described = made.describe(SESSION, collection="alf")
    assert described["alf/#2022#/ephys.raw.bin"].dtype == "int16"


def test_a_collection_with_metadata_in_two_revisions_is_loaded(folder: Path, one: Callable[[], One]) -> None:
    flat(folder / "alf/ephys.raw.bin", [1, 2], "int16")
    flat(folder / "alf/#2024#/ephys.raw.bin", [1.5], "float32")
    loaded = one().load_collection(SESSION, "alf", check="raise").ephys
    assert loaded.raw.tolist() == [1.5]
    assert list(loaded) == ["raw", "raw.metadata"]


def test_what_explains_a_file_is_not_looked_for_in_the_folder_of_the_program(
    folder: Path, tmp_path: Path, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording(folder / "alf/ephys.raw.cbin", 100)
    (folder / "alf/ephys.raw.ch").rename(tmp_path / "kept.ch")
    write_index(tmp_path / "root")
    for stranger in (tmp_path / "alf", tmp_path / "elsewhere" / SESSION / "alf"):
        stranger.mkdir(parents=True)
        (stranger / "ephys.raw.ch").write_bytes((tmp_path / "kept.ch").read_bytes())
        monkeypatch.chdir(tmp_path if stranger.parent == tmp_path else tmp_path / "elsewhere")
        with pytest.raises(DatasetNotFound, match="there is no .ch beside it"):
            One("far").open(SESSION, "ephys.raw")


def test_pieces_of_compressed_recordings_stay_apart(folder: Path, one: Callable[[], One]) -> None:
    recording(folder / "alf/ephys.raw.00.cbin", 100)
    recording(folder / "alf/ephys.raw.01.cbin", 50)
    loaded = one().load_object(SESSION, "ephys")
    assert {key: value.shape for key, value in loaded.items()} == {"raw.00": (100, 2), "raw.01": (50, 2)}
    assert all(isinstance(value, LazyArray) for value in loaded.values())


class TestTables:
    def save(self, folder: Path, table: pd.DataFrame) -> None:
        (folder / "alf").mkdir()
        table.to_parquet(folder / "alf/trials.table.pqt")

    def test_columns_of_two_types_are_not_changed_by_being_joined(self, folder: Path, one: Callable[[], One]) -> None:
        large = 2**63 + 1
        self.save(folder, pd.DataFrame({"x_0": np.array([large], "u8"), "x_1": np.array([1], "i8"), "y_0": [1.0]}))
        trials = one().load_object(SESSION, "trials")
        assert list(trials) == ["x_0", "x_1", "y_0"]
        assert trials.x_0.tolist() == [large]

    def test_a_named_index_is_a_column(self, folder: Path, one: Callable[[], One]) -> None:
        self.save(folder, pd.DataFrame({"trial": [7, 9], "choice": [1, -1]}).set_index("trial"))
        assert one().load_object(SESSION, "trials").trial.tolist() == [7, 9]


class TestAttributes:
    @pytest.fixture
    def trials(self, folder: Path, one: Callable[[], One]) -> One:
        (folder / "alf/ks2.5").mkdir(parents=True)
        for name in ("trials.intervals", "trials.intervals_bpod", "trials.choice", "ks2.5/spikes.times"):
            np.save(folder / f"alf/{name}.npy", np.zeros(3))
        return one()

    def test_only_what_is_asked_for_is_loaded(self, trials: One) -> None:
        assert list(trials.load_object(SESSION, "trials", attribute="intervals")) == ["intervals"]
        assert list(trials.load_object(SESSION, "trials", attribute="intervals_bpod")) == ["intervals_bpod"]

    def test_with_a_timescale_the_attribute_is_asked_for_by_itself(self, trials: One) -> None:
        found = trials.load_object(SESSION, "trials", attribute="intervals", timescale="bpod")
        assert list(found) == ["intervals_bpod"]

    def test_a_dot_in_a_collection_is_none_in_the_object(self, trials: One) -> None:
        assert list(trials.load_object(SESSION, "alf/ks2.5/spikes")) == ["times"]

    @pytest.mark.parametrize(("session", "dataset"), [(5, "trials"), (SESSION, 3), (None, "trials")])
    def test_what_is_no_text_is_no_question(self, trials: One, session: Any, dataset: Any) -> None:
        with pytest.raises(AlfError, match="is not a"):
            trials.load_dataset(session, dataset)


class TestOneOfMany:
    @pytest.fixture
    def damaged(self, folder: Path) -> None:
        (folder / "alf").mkdir()
        np.save(folder / "alf/spikes.times.npy", np.zeros((4, 1)))
        np.save(folder / "alf/trials.choice.npy", np.zeros(3))
        (folder / "alf/eye.area.npy").write_text("<!DOCTYPE html><html>")
        np.save(folder / "alf/face.x.npy", np.zeros(2))
        (folder / "alf/face.x.csv").write_text("x\n1\n")

    def test_one_damaged_object_does_not_keep_back_the_others(
        self, damaged: None, one: Callable[[], One], caplog: pytest.LogCaptureFixture
    ) -> None:
        loaded = one().load_session(SESSION)
        assert list(loaded["alf"]) == ["spikes", "trials"]
        told = [record.getMessage() for record in caplog.records]
        assert any(note.startswith("eye of") and "is left out: " in note and "HTML" in note for note in told)
        assert any(note.startswith("face of") and "extension=" in note for note in told)
        with pytest.raises(UnsafeData, match="HTML"):
            one().load_object(SESSION, "eye")

    def test_one_file_that_is_refused_by_the_server_does_not_keep_back_the_descriptions(
        self, damaged: None, server: WebServer, tmp_path: Path
    ) -> None:
        write_index(tmp_path / "root")
        server.faults[f"/{SESSION}/alf/trials.choice.npy"] = [status(403)] * 20
        found = One("far").describe(SESSION)
        assert found["alf/spikes.times.npy"].shape == (4, 1)
        assert found["alf/trials.choice.npy"].kind == "unknown"
        assert found["alf/eye.area.npy"].kind == "refused"

    @pytest.mark.parametrize("number", ["1" + "0" * 400, "1e999", "-1", "true"])
    def test_a_number_without_measure_in_metadata_breaks_nothing(
        self, folder: Path, one: Callable[[], One], number: str
    ) -> None:
        (folder / "alf").mkdir()
        np.arange(4, dtype="int16").tofile(folder / "alf/ephys.raw.bin")
        (folder / "alf/ephys.raw.metadata.json").write_text(f'{{"dtype": "int16", "sample_rate": {number}}}')
        made = one()
        assert made.describe(SESSION, "alf/ephys.raw.bin")["alf/ephys.raw.bin"].duration is None
        assert made.load_dataset(SESSION, "alf/ephys.raw.bin").tolist() == [0, 1, 2, 3]


class TestColumns:
    @pytest.fixture
    def spikes(self, folder: Path, tmp_path: Path, server: WebServer) -> One:
        (folder / "alf").mkdir()
        np.save(folder / "alf/spikes.times.npy", np.asfortranarray(np.arange(5.0)[:, None]))
        write_index(tmp_path / "root")
        return One("far")

    def test_slices_have_the_form_that_loading_gives(self, spikes: One) -> None:
        with spikes.open(SESSION, "spikes.times") as opened:
            assert opened.shape == spikes.load_dataset(SESSION, "spikes.times").shape == (5,)
            assert opened[1:3].tolist() == [1.0, 2.0]
        with spikes.open(SESSION, "spikes.times", squeeze=False) as opened:
            assert opened.shape == (5, 1)
            assert opened[1:3].tolist() == [[1.0], [2.0]]


def test_times_that_are_not_one_for_each_row_are_an_error() -> None:
    from onelight import times

    assert times({"times": np.zeros((3, 1)), "amps": np.zeros(3)}).shape == (3,)
    for wrong in (np.zeros(4), np.zeros((3, 2))):
        with pytest.raises(RowsDiffer, match="rows"):
            times({"times": wrong, "amps": np.zeros(3)})


def test_a_reader_of_your_own_for_json_does_not_explain_files(folder: Path, one: Callable[[], One]) -> None:
    from onelight.loading import register_reader, registry

    flat(folder / "alf/ephys.raw.bin", [1, 2], "int16")
    register_reader("json", lambda path: 1 / 0)
    try:
        assert one().load_dataset(SESSION, "ephys.raw").tolist() == [1, 2]
        assert one().describe(SESSION, "ephys.raw")["alf/ephys.raw.bin"].dtype == "int16"
    finally:
        registry._own.clear()


def test_a_table_is_asked_for_the_columns_that_no_file_has(folder: Path, one: Callable[[], One]) -> None:
    (folder / "alf").mkdir()
    pd.DataFrame({"intervals_0": [0.0], "intervals_1": [1.0]}).to_parquet(folder / "alf/_ibl_trials.table.pqt")
    np.save(folder / "alf/_ibl_trials.intervals_bpod.npy", np.zeros((1, 2)))
    found = one().load_object(SESSION, "trials", attribute="intervals")
    assert {key: value.tolist() for key, value in found.items()} == {"intervals": [[0.0, 1.0]]}
    with pytest.raises(DatasetNotFound, match="'trials' has: intervals, intervals_bpod$"):
        one().load_object(SESSION, "trials", attribute="nope")
