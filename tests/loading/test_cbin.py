"""Compressed recordings come back bit for bit as mtscomp gives them, and a .ch that lies is found out."""

from __future__ import annotations

import io
import itertools
import json
import sys
import tracemalloc
import types
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onelight.errors import DatasetNotFound, RepositoryError, UnsafeData
from onelight.loading import cbin, lazy
from onelight.loading.cbin import CbinArray, open_cbin, read_cbin
from onelight.loading.lazy import open_array

NAME = Path("ephys.raw.cbin")
ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real_alf" / "ibl-neuropixel"


@pytest.fixture
def mtscomp(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library of those who invented the format; it draws bars with tqdm, which it does not say that it needs."""
    try:
        import tqdm  # type: ignore[import-untyped,unused-ignore]  # noqa: F401
    except ImportError:
        stand_in: Any = types.ModuleType("tqdm")
        stand_in.tqdm = lambda items, **_: items
        monkeypatch.setitem(sys.modules, "tqdm", stand_in)
    return pytest.importorskip("mtscomp")


def recording(rows: int = 1_050, channels: int = 5, dtype: str = "int16") -> Any:
    """Something like a signal, with the extremes of its type."""
    random = np.random.default_rng(rows)
    kind = np.dtype(dtype)
    walk = np.cumsum(random.normal(0, 20, (rows, channels)), axis=0)
    if kind.kind in "iu":
        array = walk.astype(np.int64).astype(kind)
        array[3, 0], array[4, 0] = np.iinfo(kind).max, np.iinfo(kind).min
        return array
    return walk.astype(kind)


def packed(array: Any, bounds: list[int], *, order: str = "F", time: bool = True, space: bool = False) -> Any:
    """Compress as mtscomp does: what is in the file, and what is said of it."""
    chunks = []
    for first, last in itertools.pairwise(bounds):
        chunk = array[first:last]
        if time:
            chunk = np.concatenate((chunk[:1], np.diff(chunk, axis=0)))
        if space:
            chunk = np.concatenate((chunk[:, :1], np.diff(chunk, axis=1)), axis=1)
        chunks.append(zlib.compress(chunk.astype(array.dtype).tobytes(order=order)))
    said = {
        "version": "1.0",
        "algorithm": "zlib",
        "comp_level": -1,
        "do_time_diff": time,
        "do_spatial_diff": space,
        "dtype": str(array.dtype),
        "n_channels": array.shape[1],
        "sample_rate": 100.0,
        "chunk_bounds": bounds,
        "chunk_offsets": [0, *itertools.accumulate(map(len, chunks))],
        "chunk_order": order,
        "shape": list(array.shape),
    }
    return b"".join(chunks), said


class Counted(io.BytesIO):
    """A file in memory that notes what is read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads: list[tuple[int, int]] = []

    def readinto(self, buffer: Any, /) -> int:
        at = self.tell()
        count = super().readinto(buffer)
        self.reads.append((at, count))
        return count


def opened(array: Any, bounds: list[int], **how: Any) -> tuple[CbinArray, Counted, list[int]]:
    content, said = packed(array, bounds, **how)
    file = Counted(content)
    found = open_cbin(file, json.dumps(said).encode(), NAME)
    file.reads.clear()
    return found, file, said["chunk_offsets"]


# The same as mtscomp


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int8", "uint8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("time", [True, False])
@pytest.mark.parametrize("space", [True, False])
@pytest.mark.parametrize("order", ["F", "C"])
def test_what_mtscomp_wrote_is_read_as_mtscomp_reads_it(
    mtscomp: Any, tmp_path: Path, dtype: str, time: bool, space: bool, order: str
) -> None:
    array = recording(dtype=dtype)
    raw, path = tmp_path / "ephys.raw.bin", tmp_path / "ephys.raw.cbin"
    array.tofile(raw)
    how = {"do_time_diff": time, "do_spatial_diff": space, "chunk_order": order, "check_after_compress": False}
    mtscomp.compress(
        raw, path, path.with_suffix(".ch"), sample_rate=100.0, n_channels=5, dtype=dtype, quiet=True, n_threads=1, **how
    )
    reader = mtscomp.decompress(path, path.with_suffix(".ch"), n_threads=1)
    with read_cbin(path) as found:
        expected = reader[:]
        assert found.sample_rate == reader.sample_rate
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert np.asarray(found).tobytes() == expected.tobytes()
        assert found[123:777].tobytes() == reader[123:777].tobytes()
        if np.dtype(dtype).kind in "iu":
            assert np.asarray(found).tobytes() == array.tobytes()
    reader.close()


def test_the_order_of_bytes_is_kept() -> None:
    array = recording().astype(">i2")
    found, _, _ = opened(array, [0, 500, 1_050], space=True)
    assert found[:].dtype == np.dtype(">i2")
    assert found[:].tobytes() == array.tobytes()


@pytest.mark.skipif(not REAL.is_dir(), reason="needs recordings that others have shared")
def test_a_real_companion_is_understood() -> None:
    [path] = REAL.rglob("*.ap.ch")
    layout = cbin.layout_of(path.read_bytes(), 12_028_183, NAME)
    assert (layout.shape, layout.sample_rate, layout.dtype) == ((30_000, 385), 30_000, np.dtype("int16"))


@given(data=st.data(), order=st.sampled_from("CF"), inner=st.sets(st.integers(1, 39), max_size=6))
@ONE_FOLDER
def test_any_index_gives_what_numpy_gives(data: st.DataObject, order: str, inner: set[int]) -> None:
    array = recording(40, 3)
    found, _, _ = opened(array, [0, *sorted(inner), 40], order=order, space=data.draw(st.booleans()))
    index = data.draw(
        hnp.basic_indices(array.shape, allow_newaxis=True)
        | hnp.arrays(np.intp, st.integers(0, 9), elements=st.integers(-40, 39))
        | hnp.arrays(bool, 40)
        | st.tuples(st.slices(40), st.lists(st.integers(-3, 2), max_size=4))
    )
    with found:
        expected, got = array[index], found[index]
        assert (type(got), got.dtype, got.shape) == (type(expected), expected.dtype, expected.shape)
        assert got.tobytes() == expected.tobytes()


# Only the chunks that are needed


def test_only_the_chunks_of_a_slice_are_read_and_they_in_one_read() -> None:
    array = recording()
    found, file, offsets = opened(array, [*range(0, 1_050, 100), 1_050])
    assert np.array_equal(found[250:430, 2], array[250:430, 2])
    assert file.reads == [(offsets[2], offsets[5] - offsets[2])]
    assert np.array_equal(found[200:500], array[200:500])  # held, unpacked
    assert len(file.reads) == 1
    assert np.array_equal(found[1_049], array[1_049])
    assert file.reads[1:] == [(offsets[10], offsets[11] - offsets[10])]


def test_rows_far_apart_need_their_own_chunks_only() -> None:
    array = recording()
    found, file, offsets = opened(array, [*range(0, 1_050, 100), 1_050])
    assert np.array_equal(found[50::400], array[50::400])
    assert [at for at, _ in file.reads] == [offsets[0], offsets[4], offsets[8]]
    file.reads.clear()
    assert np.array_equal(found[[999, 3, 120]], array[[999, 3, 120]])
    assert [at for at, _ in file.reads] == [offsets[1], offsets[9]]


def test_much_is_read_in_several_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    array = recording()
    found, file, _ = opened(array, [*range(0, 1_050, 100), 1_050])
    monkeypatch.setattr(cbin, "PIECE", 1_500)
    assert np.array_equal(np.asarray(found), array)
    assert len(file.reads) > 2
    assert max(length for _, length in file.reads) <= 1_500


def test_few_chunks_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    array = recording()
    found, _, _ = opened(array, [*range(0, 1_050, 100), 1_050])
    monkeypatch.setattr(cbin, "HELD", 2_500)
    assert np.array_equal(found[:], array)
    assert list(found._held) == [8, 9, 10]
    monkeypatch.setattr(cbin, "HELD", 1)
    assert np.array_equal(found[::-1], array[::-1])
    assert list(found._held) == [10]


def test_rows_are_given_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy, "_ROWS", 300)
    array = recording()
    found, file, _ = opened(array, [*range(0, 1_050, 100), 1_050])
    assert np.array_equal(np.stack(list(found)), array)
    assert len(file.reads) == 11


# Files


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Any, bytes, dict[str, Any]]:
    array = recording()
    content, said = packed(array, [0, 500, 1_050])
    path = tmp_path / "_spikeglx_ephysData_g0_t0.imec0.ap.cbin"
    path.write_bytes(content)
    path.with_suffix(".ch").write_text(json.dumps(said))
    return path, array, content, said


def test_the_companion_may_lie_elsewhere(written: Any, tmp_path: Path) -> None:
    path, array, _, _ = written
    with read_cbin(path) as found:
        assert np.array_equal(found[:], array)
        assert path.name in repr(found)
    elsewhere = path.with_suffix(".ch").rename(tmp_path / "other.ch")
    with read_cbin(path, companion=elsewhere) as found:
        assert np.array_equal(found[400:600], array[400:600])
    with open_array(path.open("rb", buffering=0), path, companion=elsewhere) as found:
        assert found.shape == array.shape
    with open_array(path.open("rb", buffering=0), path, companion=elsewhere.read_bytes()) as found:
        assert np.array_equal(found[400:600], array[400:600])


def test_without_a_companion_nothing_can_be_read(written: Any) -> None:
    path, *_ = written
    path.with_suffix(".ch").unlink()
    with pytest.raises(DatasetNotFound, match=r"imec0\.ap\.ch is not there, and without it") as caught:
        read_cbin(path)
    assert caught.value.hint
    path.with_suffix(".ch").mkdir()
    with pytest.raises(RepositoryError):
        read_cbin(path)


# What lies


def refused(content: bytes, said: Any) -> str:
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    with pytest.raises(UnsafeData) as caught:
        open_cbin(io.BytesIO(content), text, NAME)
    assert "ephys.raw.cbin" in caught.value.message
    assert caught.value.hint
    return caught.value.message


LIES: list[tuple[dict[str, Any], str]] = [
    ({"algorithm": "bzip2"}, "algorithm"),
    ({"version": "2.0"}, "unknown version '2.0'"),
    ({"n_channels": 0}, "number of channels 0"),
    ({"n_channels": True}, "number of channels True"),
    ({"n_channels": 5.0}, "number of channels 5.0"),
    ({"n_channels": 10**30}, "chunk 0 has"),
    ({"n_channels": 6}, "does not have the size"),
    ({"sample_rate": 0}, "sample rate 0"),
    ({"sample_rate": float("inf")}, "sample rate inf"),
    ({"sample_rate": float("nan")}, "sample rate nan"),
    ({"sample_rate": "fast"}, "sample rate 'fast'"),
    ({"chunk_order": "K"}, "chunk order 'K'"),
    ({"chunk_order": ["F"]}, "chunk order"),
    ({"do_time_diff": 1}, "differences"),
    ({"do_spatial_diff": None}, "differences"),
    ({"dtype": "object"}, "Python objects"),
    ({"dtype": "O"}, "Python objects"),
    ({"dtype": "i2,i2"}, "unknown type"),
    ({"dtype": "<U4"}, "no numbers"),
    ({"dtype": "bool"}, "no numbers"),
    ({"dtype": [["a", "<i2"]]}, "no numbers"),
    ({"dtype": None}, "no numbers"),
    ({"dtype": "int64"}, "does not have the size"),
    ({"chunk_bounds": [0, 500]}, "2 bounds and 3 offsets"),
    ({"chunk_bounds": [0]}, "not a list of whole numbers"),
    ({"chunk_bounds": "0, 500"}, "not a list of whole numbers"),
    ({"chunk_bounds": [0, 500.0, 1_050]}, "not a list of whole numbers"),
    ({"chunk_bounds": [0, True, 1_050]}, "not a list of whole numbers"),
    ({"chunk_bounds": [1, 500, 1_050]}, "ascend from 0"),
    ({"chunk_bounds": [0, 500, 500]}, "ascend from 0"),
    ({"chunk_bounds": [0, -5, 1_050]}, "ascend from 0"),
    ({"chunk_bounds": [0, 500, 10**15]}, "where 1,073,741,824 are the limit"),
    ({"chunk_bounds": [0, 500, 60_000_000]}, "which zlib cannot do"),
    ({"chunk_offsets": [0, 9_000_000, 9_000_100]}, "which zlib cannot do"),
    ({"chunk_offsets": [0, 10, 20]}, "its .ch says 20"),
]


@pytest.mark.parametrize(("lie", "message"), LIES, ids=[str(lie)[:50] for lie, _ in LIES])
def test_a_companion_that_lies_is_found_out(lie: dict[str, Any], message: str) -> None:
    content, said = packed(recording(), [0, 500, 1_050])
    if "does not have the size" in message:  # found out when a chunk is unpacked
        found = open_cbin(io.BytesIO(content), json.dumps({**said, **lie}).encode(), NAME)
        with pytest.raises(UnsafeData, match=message):
            found[0]
        return
    assert message in refused(content, {**said, **lie})


@pytest.mark.parametrize("key", ["algorithm", "n_channels", "sample_rate", "chunk_order", "chunk_bounds", "dtype"])
def test_a_companion_that_leaves_something_out_is_refused(key: str) -> None:
    content, said = packed(recording(), [0, 500, 1_050])
    del said[key]
    refused(content, said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\xfa", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"n_channels": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b" " * (cbin.MAX_COMPANION + 1), "more than 16,777,216 bytes"),
    ],
    ids=["empty", "binary", "deep", "digits", "list", "long"],
)
def test_a_companion_that_is_none_is_refused(text: bytes, message: str) -> None:
    assert message in refused(b"x\x9c", text)


def test_a_page_in_place_of_a_recording_is_refused() -> None:
    assert "HTML" in refused(b"<!DOCTYPE html><html></html>", {})
    assert "is empty" in refused(b"", {})


def test_a_bomb_goes_off_no_further_than_the_size_that_is_stated() -> None:
    bomb = zlib.compress(bytes(200_000_000))
    said = {**packed(recording(100), [0, 100])[1], "n_channels": 1_000, "chunk_offsets": [0, len(bomb)]}
    with open_cbin(io.BytesIO(bomb), json.dumps(said).encode(), NAME) as found:
        tracemalloc.start()
        try:
            with pytest.raises(UnsafeData, match="does not have the size"):
                found[0]
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < 2_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda chunk: chunk[:-1], "does not have the size"),
        (lambda chunk: chunk + b"!", "does not have the size"),
        (lambda chunk: chunk[:50] + b"\0\0\0" + chunk[53:], "chunk 0 of 1"),
        (lambda chunk: chunk[:-4] + bytes(4), "cannot be unpacked"),
        (lambda chunk: b"x\x9c" + bytes(len(chunk)), "chunk 0 of 1"),
    ],
    ids=["short", "long", "inside", "sum", "nothing"],
)
def test_a_damaged_chunk_is_found(change: Any, message: str) -> None:
    content, said = packed(recording(100), [0, 100])
    content = change(content)
    said["chunk_offsets"] = [0, len(content)]
    with open_cbin(io.BytesIO(content), json.dumps(said).encode(), NAME) as found:
        with pytest.raises(UnsafeData, match=message) as caught:
            found[5]
        assert "ephys.raw.cbin" in caught.value.message


def test_a_file_that_is_cut_is_refused_at_once() -> None:
    content, said = packed(recording(), [0, 500, 1_050])
    assert "its .ch says" in refused(content[:-10], said)
    assert "its .ch says" in refused(content + b"more", said)
