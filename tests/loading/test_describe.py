"""A description is right against NumPy and pandas, costs one small read, and refuses what loading would refuse."""

from __future__ import annotations

import gzip
import io
import json
import math
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelight.errors import OneError, UnsafeData
from onelight.loading import load_file
from onelight.loading.describe import FIRST, LAST, describe_file
from onelight.loading.description import FIRST_LAST, MIN_MAX, Column, Description, Range, as_json, as_rows

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real_alf"


class Counted(io.BytesIO):
    """A file that knows which of its bytes were read, and in how many reads."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.spans: list[tuple[int, int]] = []

    def read(self, size: int | None = -1, /) -> bytes:
        start = self.tell()
        data = super().read(size)
        self.spans.append((start, start + len(data)))
        return data

    def readinto(self, buffer: Any, /) -> int:
        raise AssertionError("only read is counted")


def described(name: str, content: bytes | str, **options: Any) -> Description:
    data = content.encode() if isinstance(content, str) else content
    return describe_file(io.BytesIO(data), Path(name), size=len(data), **options)


def refused(name: str, content: bytes | str, **options: Any) -> str:
    with pytest.raises(UnsafeData) as caught:
        described(name, content, **options)
    assert name in caught.value.message
    assert caught.value.hint
    return str(caught.value)


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def parquet(table: pd.DataFrame, **options: Any) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, **options)
    return file.getvalue()


# One small read


def large(name: str) -> tuple[bytes, dict[str, Any]]:
    """Return the content of a file of several MB, and what else describe_file is given."""
    random = np.random.default_rng(1)
    numbers = random.random(500_000)
    options: dict[str, Any] = {}
    if name.endswith(".npy"):
        content = npy(numbers)
    elif name.endswith(".bin"):
        content = numbers.tobytes()
        options["metadata"] = {"dtype": "float64", "shape": [100_000, 5], "sample_rate": 1000}
    elif name.endswith(".cbin"):
        content = numbers.tobytes()
        options["companion"] = ch_file(len(content))
    elif name.endswith(".pqt"):
        content = parquet(pd.DataFrame({"x": numbers, "y": numbers}))
    elif name.endswith(".npz"):
        file = io.BytesIO()
        np.savez(file, x=numbers, y=numbers)
        content = file.getvalue()
    elif name.endswith((".tsv", ".csv", ".ssv", ".csv.gz")):
        separator = {"t": "\t", "c": ",", "s": " "}[Path(name.removesuffix(".gz")).suffix[1]]
        rows = [f"{a}{separator}{b}" for a, b in zip(numbers[:100_000], numbers[100_000:], strict=False)]
        content = "\n".join([f"a{separator}b", *rows, ""]).encode()
        content = gzip.compress(content) if name.endswith(".gz") else content
    elif name.endswith((".json", ".ch")):
        content = json.dumps({"values": numbers[:200_000].tolist()}).encode()
    elif name.endswith(".jsonable"):
        content = "".join(json.dumps({"trial": n, "x": x}) + "\n" for n, x in enumerate(numbers[:80_000])).encode()
    elif name.endswith(".meta"):
        lines = [
            "fileTimeSecs=824.5",
            "imSampRate=30000.39",
            "nSavedChans=385",
            "~imroTbl=" + "(0 0 0 500 250 1)" * 200_000,
        ]
        content = "\n".join(lines).encode()
    elif name.endswith((".txt", ".log", ".yaml")):
        content = ("µ: a line of text\n" * 200_000).encode()
    else:
        starts = {
            ".nwb": b"\x89HDF\r\n\x1a\n",
            ".mat": b"MATLAB 5.0 MAT-file",
            ".tif": b"II*\0",
            ".xml": b"<?xml version='1.0'?>",
        }
        content = starts.get(Path(name).suffix, b"") + bytes(3_000_000)
        if name.endswith(".xml"):
            content = content.replace(b"\0", b" ")
    return content, options


LARGE = [
    ("spikes.times.npy", "array"),
    ("ephys.raw.bin", "flat binary"),
    ("ephys.raw.dat", "flat binary"),
    ("ephys.raw.cbin", "compressed recording"),
    ("ephys.raw.ch", "index of a compressed recording"),
    ("ephys.raw.meta", "SpikeGLX metadata"),
    ("trials.table.pqt", "table"),
    ("clusters.waveforms.npz", "archive of arrays"),
    ("clusters.metrics.tsv", "table"),
    ("clusters.metrics.csv", "table"),
    ("clusters.metrics.csv.gz", "table"),
    ("encoderEvents.raw.ssv", "table"),
    ("probes.description.json", "JSON"),
    ("taskData.raw.jsonable", "JSON lines"),
    ("sorting.info.log", "text"),
    ("experiment.description.yaml", "YAML"),
    ("experiment.description.xml", "XML"),
    ("leftCamera.raw.mp4", "video"),
    ("session.data.nwb", "NWB (HDF5)"),
    ("session.data.mat", "MATLAB file"),
    ("slice.image.tif", "image"),
]


@pytest.mark.parametrize(("name", "kind"), LARGE)
def test_of_a_file_of_megabytes_only_one_piece_is_read(name: str, kind: str) -> None:
    content, options = large(name)
    assert len(content) > 1_000_000
    file = Counted(content)
    found = describe_file(file, Path(name), size=len(content), **options)
    assert (found.kind, found.size) == (kind, len(content))
    assert len(file.spans) == 1
    (start, end) = file.spans[0]
    assert end <= FIRST or start >= len(content) - LAST


@pytest.mark.parametrize("name", ["spikes.times.tdms", "spikes.times", "micData.raw.flac", "codeFiles.raw.zip"])
def test_of_a_form_that_is_not_read_nothing_is_read(name: str) -> None:
    file = Counted(b"anything")
    found = describe_file(file, Path(name), size=8)
    assert file.spans == []
    assert (found.size, found.dtype, found.shape, found.columns) == (8, None, None, None)


def test_a_small_file_is_read_once() -> None:
    content = npy(np.arange(5.0))
    file = Counted(content)
    describe_file(file, Path("spikes.times.npy"), size=len(content))
    assert file.spans == [(0, len(content))]


def test_a_file_may_give_less_than_it_was_asked_for() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 7))

    content = npy(np.arange(5.0))
    assert describe_file(Slow(content), Path("a.b.npy"), size=len(content)).shape == (5,)


# Arrays


@pytest.mark.parametrize(
    "dtype", ["<f8", "<f4", "<f2", ">f8", ">i2", "<u4", "<i8", "|b1", "<c16", "<U7", "|S3", "<M8[us]"]
)
@pytest.mark.parametrize(
    ("shape", "order"), [((4000,), "C"), ((500, 8), "C"), ((500, 8), "F"), ((40, 10, 10), "F"), ((), "C")]
)
def test_an_array_is_what_numpy_says(dtype: str, shape: tuple[int, ...], order: Any) -> None:
    array = np.zeros(shape, dtype, order=order)
    found = described("clusters.waveforms.npy", npy(array))
    assert np.dtype(found.dtype) == array.dtype
    assert (found.shape, found.order) == (shape, order)
    assert found.rows == (shape[0] if shape else None)
    assert ("big-endian" in found.note) == dtype.startswith(">")


def test_a_column_vector_is_told() -> None:
    found = described("spikes.times.npy", npy(np.asfortranarray(np.zeros((50, 1)))))
    assert found.shape == (50, 1)
    assert "column vector (N, 1), flattened on loading" in found.note
    assert described("spikes.times.npy", npy(np.zeros((50, 2)))).note == ()


def test_pickled_objects_are_told_and_not_touched() -> None:
    for array in (np.array([{}, []], object), np.zeros(3, [("a", "f8"), ("b", "O")])):
        found = described("trials.stuff.npy", npy(array, allow_pickle=True))
        assert (found.dtype, found.shape) == ("object", array.shape)
        assert found.note == ("pickled objects, which loading refuses",)


def test_records_have_columns() -> None:
    array = np.zeros(3, [("sample", "<i8"), ("place", "<f4", (2,))])
    found = described("sync.events.npy", npy(array))
    assert found.dtype == "record"
    assert found.columns == (Column("sample", "int64"), Column("place", "('<f4', (2,))"))


def test_values_are_summed_up_where_all_were_read() -> None:
    values = np.array([3.5, np.nan, -1.0, 2.0])
    found = described("clusters.depths.npy", npy(values))
    assert found.range == Range(MIN_MAX, -1.0, 3.5)
    assert found.note == ("1 of 4 values are NaN",)
    assert described("clusters.depths.npy", npy(np.full(3, np.nan))).range is None
    assert described("clusters.depths.npy", npy(np.arange(10_000.0))).range is None
    assert described("clusters.ids.npy", npy(np.array([7, 2], "u8"))).range == Range(MIN_MAX, 2, 7)
    assert described("clusters.good.npy", npy(np.array([True]))).range is None
    empty = described("licks.times.npy", npy(np.zeros(0)))
    assert (empty.range, empty.duration, empty.note) == (None, None, ("no values",))


def test_times_have_a_first_and_a_last_and_a_duration() -> None:
    found = described("_ibl_trials.goCue_times.npy", npy(np.array([[62.9], [np.nan], [2700.0]])))
    assert found.range == Range(FIRST_LAST, 62.9, 2700.0)
    assert (found.duration, found.units) == (2700.0, "s")


def test_times_that_do_not_ascend_are_told() -> None:
    found = described("sparseNoise.times.npy", npy(np.array([3.0, 9.0, 5.0])))
    assert found.range == Range(FIRST_LAST, 3.0, 5.0)
    assert found.duration == 9.0
    assert found.note == ("not in ascending order",)


def test_intervals_and_sync_points() -> None:
    found = described("trials.intervals.npy", npy(np.array([[1.0, 2.0], [3.0, 4.5]])))
    assert (found.range, found.duration, found.units) == (Range(MIN_MAX, 1.0, 4.5), 4.5, "s")
    found = described("wheel.timestamps.npy", npy(np.array([[0, 0.5], [2e6, 810.0]])))
    assert (found.range, found.duration, found.units) == (Range(FIRST_LAST, 0.5, 810.0), 810.0, "sample, s")
    found = described("wheel.timestamps.npy", npy(np.array([0.5, 0.6])))
    assert (found.range, found.duration, found.units) == (Range(FIRST_LAST, 0.5, 0.6), 0.6, "s")
    found = described("_spikeglx_ephysData_g0_t0.imec0.timestamps.npy", npy(np.array([[0, 0.5], [300.0, 7.0]])))
    assert (found.duration, found.units) == (7.0, "sample, s")


def test_times_in_whole_numbers_are_not_believed_to_be_seconds() -> None:
    found = described("licks.times.npy", npy(np.array([1000, 2000])))
    assert found.duration is None
    assert found.note == ("whole numbers: samples or milliseconds perhaps, not seconds",)


def test_the_header_that_matlab_code_writes() -> None:
    text = "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 1), }".ljust(69) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + np.array([1.0, 2.0]).tobytes()
    found = described("trials.response_times.npy", content)
    assert (found.dtype, found.shape, found.order, found.duration) == ("float64", (2, 1), "F", 2.0)


# Meaning


def test_metadata_goes_before_the_vocabulary() -> None:
    content = npy(np.zeros(3))
    assert described("spikes.amps.npy", content).units == "V; µV in Steinmetz 2019"
    found = described("spikes.amps.npy", content, metadata={"units": "mV", "description": "amplitudes"})
    assert (found.units, found.meaning) == ("mV", "amplitudes")
    found = described("spikes.amps.npy", content, metadata={"unit": 5, "description": ["no"], "units": " "})
    assert found.units == "V; µV in Steinmetz 2019"


def test_a_name_that_is_not_known_or_not_alf_has_no_meaning() -> None:
    for name in ("barcodes.colour.npy", "array.npy"):
        found = described(name, npy(np.zeros(3)))
        assert (found.units, found.meaning) == (None, None)


def test_a_text_has_a_meaning_but_no_units() -> None:
    found = described("ephysData_g0_t0.imec0.sync.meta", "a=1\n")
    assert found.meaning
    assert found.units is None


# Recordings


def ch_file(compressed: int, **changes: Any) -> bytes:
    """Return the index of a recording of 2.5 s at 30 kHz, 385 channels, in three chunks."""
    said = {
        "version": "1.0",
        "algorithm": "zlib",
        "dtype": "int16",
        "n_channels": 385,
        "sample_rate": 30000.0,
        "chunk_bounds": [0, 30000, 60000, 75000],
        "chunk_offsets": [0, compressed // 3, compressed // 3 * 2, compressed],
        "chunk_order": "F",
        "do_time_diff": True,
        "do_spatial_diff": False,
        "shape": [75000, 385],
    }
    return json.dumps({**said, **changes}).encode()


def test_a_compressed_recording_is_described_by_its_index() -> None:
    found = described("ephys.raw.cbin", bytes(900_000), companion=ch_file(900_000))
    assert (found.kind, found.dtype, found.shape, found.rows) == ("compressed recording", "int16", (75000, 385), 75000)
    assert found.duration == 2.5
    assert "30000 samples per second" in found.note


def test_a_compressed_recording_without_its_index_says_so() -> None:
    found = described("ephys.raw.cbin", bytes(999))
    assert (found.dtype, found.shape, found.duration) == (None, None, None)
    assert found.note == ("type and shape are not known: its .ch is not at hand",)


@pytest.mark.parametrize("companion", [b"{}", b"not json", b"[1]", ch_file(999, chunk_bounds=[0, "x"]), ch_file(5000)])
def test_an_index_that_is_damaged_or_of_another_file_is_refused(companion: bytes) -> None:
    with pytest.raises(UnsafeData):
        described("ephys.raw.cbin", bytes(999), companion=companion)


def test_a_small_index_alone() -> None:
    assert described("ephys.raw.ch", ch_file(999)).kind == "index of a compressed recording"
    refused("ephys.raw.ch", b"<!DOCTYPE html><html>")
    refused("ephys.raw.ch", ch_file(999)[:-2])


def test_a_flat_file_is_described_by_its_metadata() -> None:
    values = np.arange(600, dtype="<i2").reshape(200, 3)
    metadata = {"dtype": "int16", "shape": [200, 3], "sample_rate": 100}
    found = described("ephys.raw.bin", values.tobytes(), metadata=metadata)
    assert (found.kind, found.dtype, found.shape, found.rows) == ("flat binary", "int16", (200, 3), 200)
    assert (found.duration, found.range) == (2.0, Range(MIN_MAX, 0, 599))
    assert found.note == ("100 samples per second",)


def test_columns_of_a_flat_file_are_named_by_its_metadata() -> None:
    columns: list[Any] = ["x", {"name": "y", "unit": "mV"}]
    found = described("ephys.raw.bin", bytes(40), metadata={"dtype": "<f4", "columns": columns})
    assert (found.shape, found.columns) == ((5, 2), (Column("x", "float32"), Column("y", "float32", "mV")))
    for wrong in (["x"], ["x", 5], ["x", {"unit": "mV"}], "xy", None):
        metadata = {"dtype": "<f4", "shape": [5, 2], "columns": wrong}
        assert described("ephys.raw.bin", bytes(40), metadata=metadata).columns is None


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "fast", None, True, [1]])
def test_a_rate_that_is_none_gives_no_duration(rate: Any) -> None:
    found = described("ephys.raw.bin", bytes(600), metadata={"dtype": "int16", "shape": [100, 3], "sample_rate": rate})
    assert found.duration is None


def test_a_flat_file_without_metadata_says_so() -> None:
    found = described("ephys.raw.bin", bytes(600))
    assert (found.kind, found.dtype, found.size) == ("flat binary", None, 600)
    assert "no .metadata.json" in found.note[0]


def test_spikeglx_metadata_tell_the_duration() -> None:
    content = "fileSizeBytes=19045367880\nfileTimeSecs=824.4640643928594\nimSampRate=30000.39\nnSavedChans=385\n"
    found = described("ephysData_g0_t0.imec0.ap.meta", content)
    assert (found.kind, found.duration, found.rows) == ("SpikeGLX metadata", 824.4640643928594, 4)
    assert found.note == ("of a recording of 385 channels", "of a recording of 30000.4 samples per second")
    assert described("session.notes.meta", "a line\nanother\n").kind == "text"


def test_real_spikeglx_metadata() -> None:
    files = sorted((REAL / "ibl-neuropixel").rglob("*.meta"))
    if not files:
        pytest.skip("the small real recordings are not here")
    for path in files:
        with path.open("rb") as file:
            found = describe_file(file, Path(f"ephysData_g0_t0.{path.name}"), size=path.stat().st_size)
        text = path.read_text(encoding="utf-8")
        seconds = [line.partition("=")[2] for line in text.splitlines() if line.startswith("fileTimeSecs=")]
        assert found.duration == (float(seconds[0]) if seconds else None)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    av = pytest.importorskip("av", reason="PyAV reads videos, and is not installed")
    path = tmp_path / "_iblrig_leftCamera.raw.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(30):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_local_video_has_frames_and_a_duration(video: Path) -> None:
    with video.open("rb") as file:
        found = describe_file(file, video, size=video.stat().st_size)
    assert (found.kind, found.shape, found.rows) == ("video", (30, 48, 64), 30)
    assert found.duration == pytest.approx(1.5)
    assert found.note == ("20 frames per second",)


def test_a_video_that_is_not_here_is_not_mistaken_for_one_that_is(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(video.parent)
    content = video.read_bytes() + b"more"
    assert described(video.name, content).shape is None
    assert described("no such." + video.name, content).shape is None


# Tables


COLUMNS = {
    "goCue_times": [62.9, 64.1, 70.25],
    "choice": [1, -1, 0],
    "contrastLeft": [0.25, np.nan, 1.0],
    "acronym": ["VISp", "CA1", "root"],
    "included": [True, False, True],
    "day": pd.to_datetime(["2016-12-14", "2016-12-15", "2016-12-18"]),
}


def test_a_parquet_table_is_what_pandas_says() -> None:
    table = pd.DataFrame(COLUMNS)
    found = described("_ibl_trials.table.pqt", parquet(table))
    assert (found.kind, found.shape, found.rows) == ("table", (3, 6), 3)
    assert found.columns is not None
    assert [column.name for column in found.columns] == list(table.columns)
    by_name = {column.name: column for column in found.columns}
    for name in ("goCue_times", "choice", "contrastLeft"):
        assert by_name[name].dtype == str(table[name].dtype)
        assert by_name[name].range == Range(MIN_MAX, table[name].min(), table[name].max())
    assert (by_name["acronym"].dtype, by_name["acronym"].range) == ("text", None)
    assert (by_name["included"].dtype, by_name["included"].range) == ("bool", None)
    assert by_name["day"].range == Range(MIN_MAX, pd.Timestamp("2016-12-14"), pd.Timestamp("2016-12-18"))
    assert by_name["goCue_times"].units == "s"
    assert by_name["contrastLeft"].units == "proportion"
    assert by_name["choice"].units is None


def test_ranges_of_several_row_groups() -> None:
    table = pd.DataFrame({"x": np.arange(100.0), "y": [np.nan] * 50 + [7.0] * 50, "z": [np.nan] * 100})
    found = described("a.table.pqt", parquet(table, row_group_size=25))
    assert found.columns is not None
    assert [column.range for column in found.columns] == [Range(MIN_MAX, 0.0, 99.0), Range(MIN_MAX, 7.0, 7.0), None]


def test_without_statistics_there_is_no_range() -> None:
    found = described("a.table.pqt", parquet(pd.DataFrame({"x": [1.0]}), write_statistics=False))
    assert found.columns == (Column("x", "float64"),)


def test_the_index_of_a_table_is_no_column() -> None:
    table = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["u", "v"], name="id"))
    found = described("a.table.pqt", parquet(table))
    assert (found.shape, found.note) == ((2, 1), ("the index is id",))


def test_nested_columns_have_no_range() -> None:
    table = pa.table({"a": [{"b": 1}], "a.b": [5], "c": [[1, 2]]})
    file = io.BytesIO()
    pq.write_table(table, file)
    found = described("a.table.pqt", file.getvalue())
    assert found.columns is not None
    assert [(column.name, column.range) for column in found.columns] == [("a", None), ("a.b", None), ("c", None)]


def test_a_table_without_rows_or_columns() -> None:
    assert described("a.table.pqt", parquet(pd.DataFrame({"x": np.zeros(0)}))).shape == (0, 1)
    assert described("a.table.pqt", parquet(pd.DataFrame())).shape == (0, 0)


def test_a_footer_longer_than_what_is_read_costs_a_second_read() -> None:
    content = parquet(pd.DataFrame({f"column {n}": np.arange(3000.0) for n in range(400)}))
    length = int.from_bytes(content[-8:-4], "little")
    assert length > LAST
    file = Counted(content)
    found = describe_file(file, Path("a.table.pqt"), size=len(content))
    assert found.shape == (3000, 400)
    assert file.spans == [(len(content) - LAST, len(content)), (len(content) - length - 8, len(content) - LAST)]


@pytest.mark.parametrize(("name", "separator"), [("a.b.tsv", "\t"), ("a.b.htsv", "\t"), ("a.b.csv", ",")])
def test_a_text_table_is_what_pandas_says(name: str, separator: str, tmp_path: Path) -> None:
    table = pd.DataFrame({"ccf_ap": [4054.4, np.nan], "n": [1, 2], "acronym": ["ACA", "MOs"]})
    content = table.to_csv(sep=separator, index=False)
    found = described(name, content)
    assert (found.kind, found.shape, found.rows) == ("table", (2, 3), 2)
    ranges = (Range(MIN_MAX, 4054.4, 4054.4), Range(MIN_MAX, 1, 2), None)
    assert found.columns == tuple(
        Column(column, dtype, range=span)
        for column, dtype, span in zip(table.columns, ("float64", "int64", "text"), ranges, strict=True)
    )
    path = tmp_path / name
    path.write_text(content)
    assert load_file(path).shape == found.shape


def test_rows_of_a_long_text_table_are_estimated() -> None:
    content, _ = large("clusters.metrics.tsv")
    found = described("clusters.metrics.tsv", content)
    assert found.rows is None
    assert found.shape is None
    assert found.columns is not None
    assert [(column.name, column.dtype, column.range) for column in found.columns] == [
        ("a", "float64", None),
        ("b", "float64", None),
    ]
    assert found.note[1].startswith("types of columns as in the first ")
    about = int(found.note[0].split()[1].replace(",", ""))
    assert about == pytest.approx(100_000, rel=0.1)


def test_a_table_without_a_header_row_is_told() -> None:
    found = described("_iblrig_encoderPositions.raw.ssv", "1597 -1 \n1606 -2 \n1612 -3 \n")
    assert found.shape == (3, 2)
    assert "header row missing" in found.note


def test_compressed_text_is_looked_through() -> None:
    found = described("clusters.metrics.csv.gz", gzip.compress(b"label,n\n1.0,5\n0.33,6\n"))
    assert (found.kind, found.shape) == ("table", (2, 2))
    refused("clusters.metrics.csv.gz", gzip.compress(b"label,n\n1.0,5\n")[:-12])
    assert "HTML" in refused("clusters.metrics.csv.gz", b"<html><body>login")
    refused("clusters.metrics.csv.gz", b"\x1f\x8b" + b"garbage" * 9)


def test_compressed_text_does_not_fill_the_memory() -> None:
    bomb = zlib.compressobj(9, wbits=31)
    content = bomb.compress(b"1\n" * 40_000_000) + bomb.flush()
    found = described("a.b.csv.gz", content)
    assert found.rows is None


# JSON and text


def test_a_json_object_has_names() -> None:
    found = described(
        "session.metadata.json", '{"mouse": "Cori", "weight": 21.5, "probes": [1, 2], "ok": true, "x": null, "y": {}}'
    )
    kinds = ["text", "number", "list of 2", "true or false", "null", "object"]
    assert found.columns is not None
    assert [column.dtype for column in found.columns] == kinds
    assert [column.name for column in found.columns] == ["mouse", "weight", "probes", "ok", "x", "y"]


def test_a_json_list_has_rows() -> None:
    found = described("probes.trajectory.json", '[{"x": 1.0}, {"x": 2.0, "label": "probe01"}]')
    assert (found.rows, found.units) == (2, "µm, degrees")
    assert found.columns == (Column("x", "number"), Column("label", "text"))
    assert described("a.b.json", "[1, 2, 3]").rows == 3
    assert described("a.b.json", "5").note == ("one value: number",)


def test_json_lines_have_rows() -> None:
    found = described("_iblrig_taskData.raw.jsonable", '{"trial": 1}\n{"trial": 2, "x": [NaN]}\n')
    assert (found.kind, found.rows) == ("JSON lines", 2)
    assert found.columns == (Column("trial", "number"), Column("x", "list of 1"))
    content, _ = large("taskData.raw.jsonable")
    found = described("_iblrig_taskData.raw.jsonable", content)
    assert found.rows is None
    assert found.note[0].startswith("about 8")


def test_texts_have_lines() -> None:
    assert described("a.b.log", "one\ntwo\n").rows == 2
    assert described("a.b.txt", "").rows == 0
    assert described("a.b.txt", "<html>").rows == 1
    assert described("a.b.yaml", "one: 1\n").kind == "YAML"
    assert described("a.b.xml", "<?xml version='1.0'?>\n<a/>\n").kind == "XML"


def test_a_character_on_the_border_is_not_damage() -> None:
    content = (b"x" * (FIRST - 1) + "µ".encode()) * 3
    assert described("a.b.txt", content).rows is None


# Other forms


def test_hdf5_in_its_several_places() -> None:
    mark = b"\x89HDF\r\n\x1a\n"
    for start in (0, 512, 2048):
        assert described("a.b.h5", bytes(start) + mark + bytes(99)).kind == "HDF5"
    assert described("a.b.mat", b"MATLAB 7.3 MAT-file".ljust(512) + mark).note == ("version 7.3, which is HDF5",)
    refused("a.b.h5", bytes(4096))
    assert described("a.b.h5", bytes(40_000)).note == ("no mark of HDF5 in its first 16 KiB",)


def test_an_archive_of_arrays_names_them() -> None:
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, traces=np.zeros(3), channels=np.zeros(30_000))
        assert described("waveforms.channels.npz", file.getvalue()).note == ("holds traces, channels",)
    refused("waveforms.channels.npz", file.getvalue()[:-30])
    assert "HTML" in refused("waveforms.channels.npz", b"<html>")


# What is refused


READ = [name for name, _ in LARGE if not name.endswith(".log")]  # any text may be one, and even none


@pytest.mark.parametrize("name", READ)
def test_a_page_of_a_server_is_refused_under_every_name(name: str) -> None:
    page = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>" + b"Please sign in. " * 9_000
    for content in (page, page[:900]):
        assert "HTML" in refused(name, content)


@pytest.mark.parametrize("name", READ)
def test_an_empty_file_is_refused(name: str) -> None:
    assert "empty" in refused(name, b"")


def test_a_file_that_is_shorter_than_its_size_is_damaged() -> None:
    content = npy(np.arange(5.0))
    with pytest.raises(UnsafeData, match="8 bytes before it should"):
        describe_file(io.BytesIO(content), Path("a.b.npy"), size=len(content) + 8)


def test_a_truncated_array_is_damaged() -> None:
    content = npy(np.arange(5000.0))
    assert "missing" in refused("spikes.times.npy", content[:-1])
    assert "more follow" in refused("spikes.times.npy", content + b"\0")
    assert "header" in refused("spikes.times.npy", content[:30])


def test_a_truncated_table_is_damaged() -> None:
    content = parquet(pd.DataFrame(COLUMNS))
    assert "without its end" in refused("trials.table.pqt", content[:-1])
    assert "without its end" in refused("trials.table.pqt", content[: len(content) // 2])
    wrong_length = content[:-8] + (1 << 30).to_bytes(4, "little") + b"PAR1"
    assert "footer" in refused("trials.table.pqt", wrong_length)
    zeroed = content[:-300] + bytes(292) + content[-8:]
    assert "footer" in refused("trials.table.pqt", zeroed)
    refused("trials.table.pqt", b"PAR1")
    refused("trials.table.pqt", b"PAR1PAR1")


@pytest.mark.parametrize("text", ["{", '{"a": }', "nonsense", "[1, 2", '{"a": 1} x', "[" * 6000, "1" * 5000])
def test_json_garbage_is_refused(text: str) -> None:
    refused("session.metadata.json", text)
    if text != "[" * 6000:
        refused("_iblrig_taskData.raw.jsonable", '{"a": 1}\n' + text + "\n")


def test_long_json_garbage_is_refused_by_its_beginning() -> None:
    refused("session.metadata.json", "nothing of JSON here " * 3000)
    refused("session.metadata.json", b"\xff\xfe" + "{}".encode("utf-16-le") * 9000)


@pytest.mark.parametrize("name", ["a.b.tsv", "a.b.csv", "a.b.json", "a.b.jsonable", "a.b.ssv"])
def test_text_that_is_not_utf_8_is_refused(name: str) -> None:
    assert "UTF-8" in refused(name, b"\xb5m\n1\n")


def test_unequal_rows_are_refused() -> None:
    refused("a.b.tsv", "a\tb\n1\t2\n1\t2\t3\n")


FORMS = {
    "a.b.npy": npy(np.arange(9.0)),
    "a.b.pqt": parquet(pd.DataFrame(COLUMNS)),
    "a.b.tsv": b"a\tb\n1\tx\n",
    "a.b.csv.gz": gzip.compress(b"a,b\n1,x\n", mtime=0),
    "a.b.json": b'{"a": [1, 2.5, "x"]}',
    "a.b.jsonable": b'{"a": 1}\n',
    "a.b.meta": b"fileTimeSecs=1\nnSavedChans=3\n",
    "a.b.npz": b"PK\3\4" + bytes(30) + b"PK\5\6" + bytes(18),
}


@given(st.sampled_from(sorted(FORMS)), st.data())
def test_whatever_is_in_a_file_it_is_described_or_refused(name: str, data: st.DataObject) -> None:
    content = bytearray(FORMS[name])
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    try:
        found = described(name, bytes(content))
    except OneError:
        return
    json.dumps(as_json(found), allow_nan=False)
    assert all(text.isprintable() for row in as_rows(found) for text in row)


@given(
    st.sampled_from([*sorted(FORMS), "a.b.bin", "a.b.cbin", "a.b.mat", "a.b.h5", "a.b.yaml"]), st.binary(max_size=300)
)
def test_whatever_bytes_there_are_they_are_described_or_refused(name: str, content: bytes) -> None:
    try:
        found = described(name, content)
    except OneError:
        return
    json.dumps(as_json(found), allow_nan=False)


# For a person and for a program


def test_rows_for_a_terminal() -> None:
    found = described(
        "_ibl_trials.table.pqt", parquet(pd.DataFrame({"goCue_times": [62.9, 2700.0], "choice": [1, -1]}))
    )
    rows = as_rows(found)
    assert rows[0] == ("kind", "table")
    assert ("column", "goCue_times: float64, s, 62.9 to 2700") in rows
    assert ("column", "choice: int64, -1 to 1") in rows
    assert ("shape", "(2, 2)") in rows
    found = described("spikes.times.npy", npy(np.array([0.5, 2702.25])))
    assert ("first and last", "0.5 and 2702.25") in as_rows(found)
    assert ("duration", "2,702.2 s (45 min 2 s)") in as_rows(found)
    assert ("units", "s") in as_rows(found)


def test_rows_say_the_order_only_where_there_is_one() -> None:
    assert dict(as_rows(described("a.b.npy", npy(np.zeros((3, 2), order="F")))))["shape"].startswith("(3, 2), column")
    assert dict(as_rows(described("a.b.npy", npy(np.zeros((3, 2))))))["shape"].startswith("(3, 2), row by row")
    assert dict(as_rows(described("a.b.npy", npy(np.zeros((3, 1), order="F")))))["shape"] == "(3, 1)"


def test_texts_of_a_file_cannot_act_on_a_terminal() -> None:
    found = described("a.table.pqt", parquet(pd.DataFrame({"\x1b[2Jx": [1], "\u202ey": [2], "long" * 999: [3]})))
    hostile = described("a.b.npy", npy(np.zeros(2)), metadata={"units": "\x1b]0;x\x07", "description": "a\nb" * 999})
    for _, text in as_rows(found) + as_rows(hostile):
        assert text.isprintable()
        assert len(text) < 300


def test_many_columns_are_shortened() -> None:
    rows = as_rows(described("a.table.pqt", parquet(pd.DataFrame({f"c{n}": [1] for n in range(100)}))))
    assert rows[-1] == ("column", "and 40 more")


def test_json_is_plain() -> None:
    found = Description(
        1,
        "table",
        shape=(2,),
        columns=(Column("a", "float64", range=Range(MIN_MAX, float("nan"), np.float32(2))),),
        range=Range(MIN_MAX, pd.Timestamp("2016-12-14"), np.int64(5)),
        duration=math.inf,
        note=("x",),
    )
    plain = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert plain["shape"] == [2]
    assert plain["columns"] == [
        {"name": "a", "dtype": "float64", "units": None, "range": {"what": MIN_MAX, "low": None, "high": 2.0}}
    ]
    assert plain["range"] == {"what": MIN_MAX, "low": "2016-12-14T00:00:00", "high": 5}
    assert plain["duration"] is None
    assert plain["note"] == ["x"]


# Real files


def test_what_is_said_of_real_files_is_what_loading_finds(tmp_path: Path) -> None:
    paths = [path for path in sorted(REAL.rglob("*")) if path.suffix in {".npy", ".pqt", ".csv"}]
    if not paths:
        pytest.skip("the small real recordings are not here")
    for path in paths:
        copy = tmp_path / f"a.b{path.suffix}"
        shutil.copyfile(path, copy)
        with copy.open("rb") as file:
            found = describe_file(file, copy, size=copy.stat().st_size)
        value = load_file(copy)
        if found.shape is not None:
            assert found.shape == value.shape, path
        if isinstance(value, pd.DataFrame):
            assert found.columns is not None
            assert [column.name for column in found.columns] == list(value.columns), path
        else:
            assert np.dtype(found.dtype) == value.dtype
