"""Bare values become arrays when the metadata beside them say what they are, and only if they fit to the byte."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelight.errors import AmbiguousQuery, OneError, UnsafeData
from onelight.loading import load_file, npy
from onelight.loading.flat import Layout, layout, read_flat, sidecar

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
DATA = np.arange(12, dtype="<i2")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ephys.raw.bin"
    DATA.tofile(path)
    return path


def describe(path: Path, **metadata: Any) -> Path:
    """Write metadata beside a file."""
    beside = path.with_suffix(".metadata.json")
    beside.write_text(json.dumps(metadata))
    return beside


def refused(metadata: dict[str, Any], size: int = 24) -> str:
    with pytest.raises(UnsafeData) as caught:
        layout(metadata, size, Path("ephys.raw.bin"))
    assert "ephys.raw.bin" in caught.value.message
    assert caught.value.hint
    return str(caught.value)


# What metadata say


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, DATA),
        ({"shape": None, "columns": None}, DATA),
        ({"shape": [12]}, DATA),
        ({"shape": 12}, DATA),  # as MATLAB writes [12]
        ({"shape": [-1]}, DATA),
        ({"shape": [-1, 3]}, DATA.reshape(4, 3)),
        ({"shape": [4, 3]}, DATA.reshape(4, 3)),
        ({"shape": [-1, 2, 3]}, DATA.reshape(2, 2, 3)),
        ({"shape": [4, 3], "order": "F"}, DATA.reshape(4, 3, order="F")),
        ({"shape": [-1, 3], "order": "F"}, DATA.reshape(4, 3, order="F")),
        ({"columns": ["left", "right"]}, DATA.reshape(6, 2)),
        ({"columns": [{"name": "left", "unit": "V"}, {"name": "right"}]}, DATA.reshape(6, 2)),
        ({"columns": ["left"]}, DATA.reshape(12, 1)),
        ({"columns": ["left", "right"], "shape": [4, 3]}, DATA.reshape(4, 3)),
        ({"sample_rate": 30000, "units": "µV"}, DATA),
    ],
)
@pytest.mark.parametrize("extension", ["bin", "dat"])
def test_a_flat_file_is_what_its_metadata_say(
    path: Path, metadata: dict[str, Any], expected: np.ndarray[Any, Any], extension: str
) -> None:
    path = path.rename(path.with_suffix(f".{extension}"))
    describe(path, dtype="int16", **metadata)
    for mmap in (None, True):
        found = load_file(path, mmap=mmap)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.int16
        assert found.flags.f_contiguous == expected.flags.f_contiguous
        assert isinstance(found, np.memmap) == bool(mmap)
        assert found.flags.writeable != bool(mmap)


@pytest.mark.parametrize("dtype", ["int16", "<i2", ">f4", "float64", "uint8", "bool", "complex64", "S3", "single"])
def test_types_are_called_as_by_numpy(path: Path, dtype: str) -> None:
    describe(path, dtype=dtype)
    expected = np.fromfile(path, dtype)
    found = load_file(path)
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()


def test_a_type_may_have_fields(path: Path) -> None:
    expected = np.array(
        [(1, [1.5, 2.5], (3,)), (2, [3.5, 4.5], (4,))], [("n", "<i4"), ("xy", "<f4", (2,)), ("in", [("a", "u1")])]
    )
    expected.tofile(path)
    describe(path, dtype=[["n", "<i4"], ["xy", "<f4", [2]], ["in", [["a", "u1"]]]], columns=["n", "xy", "in"])
    found = load_file(path)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_a_large_file_is_mapped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(path, dtype="int16")
    assert not isinstance(load_file(path), np.memmap)
    monkeypatch.setattr(npy, "MMAP_ABOVE", 20)
    assert isinstance(load_file(path), np.memmap)
    assert not isinstance(load_file(path, mmap=False), np.memmap)


def test_metadata_that_are_given_are_not_looked_for(path: Path) -> None:
    describe(path, dtype="int16")
    assert load_file(path, metadata={"dtype": "uint8", "shape": (-1, 3)}).shape == (8, 3)
    assert load_file(path, metadata={}) == path


def test_layout_is_for_files_that_are_elsewhere() -> None:
    found = layout({"dtype": ">f4", "shape": [-1, 3], "order": "F"}, 120, Path("nowhere.raw.dat"))
    assert found == Layout(np.dtype(">f4"), (10, 3), "F")
    dtype, shape, order = found
    assert (dtype.itemsize, shape, order) == (4, (10, 3), "F")
    assert layout({"dtype": "int16", "shape": [0, 3]}, 0, Path("a.b.bin")).shape == (0, 3)
    assert layout({"dtype": "int16", "shape": [-1, 3]}, 0, Path("a.b.bin")).shape == (0, 3)


# Where metadata are


@pytest.mark.parametrize(
    ("data", "beside"),
    [
        ("ephys.raw.bin", "ephys.raw.metadata.json"),
        ("_spikeglx_ephysData.raw.bin", "_spikeglx_ephysData.raw.metadata.json"),
        ("ephys.raw.probe00.bin", "ephys.raw.probe00.metadata.json"),
        ("ephys.raw.probe00.bin", "ephys.raw.metadata.json"),
        ("ephys.raw.probe00.bin", "ephys.raw.metadata.probe00.json"),
        ("ephys.raw.00.bin", "ephys.raw.2622b17c-9408-4910-99cb-abf16d9225b9.metadata.json"),
        ("ephys.bin", "ephys.metadata.json"),
        ("a[0].raw.bin", "a[0].raw.metadata.json"),
    ],
)
def test_metadata_are_found_beside_a_file(tmp_path: Path, data: str, beside: str) -> None:
    path = tmp_path / data
    DATA.tofile(path)
    for other in (
        "ephys.rawFiltered.metadata.json",
        "ephys.raw.json",
        "lfp.raw.metadata.json",
        "ephys.raw.metadata.tsv",
    ):
        (tmp_path / other).write_text("no")
    (tmp_path / beside).write_text('{"dtype": "int16"}')
    assert sidecar(path) == tmp_path / beside
    assert load_file(path).tolist() == DATA.tolist()


def test_the_metadata_of_the_very_name_come_first(tmp_path: Path) -> None:
    path = tmp_path / "ephys.raw.probe00.bin"
    names = ["ephys.raw.probe00.metadata.json", "ephys.raw.metadata.json", "ephys.raw.probe01.metadata.json"]
    for name in names:
        (tmp_path / name).write_text("{}")
    for name in names:
        assert sidecar(path) == tmp_path / name
        (tmp_path / name).unlink()
    assert sidecar(path) is None


def test_metadata_of_several_files_are_ambiguous(tmp_path: Path) -> None:
    path = tmp_path / "ephys.raw.probe00.bin"
    DATA.tofile(path)
    for number in (1, 2):
        (tmp_path / f"ephys.raw.probe0{number}.metadata.json").write_text('{"dtype": "int16"}')
    with pytest.raises(AmbiguousQuery, match=r"Call the right one ephys.raw.probe00.metadata.json, or give metadata="):
        load_file(path)
    assert load_file(path, metadata={"dtype": "int16"}).tolist() == DATA.tolist()


def test_without_metadata_the_path_is_all_there_is(path: Path) -> None:
    assert load_file(path) == path
    describe(path, columns=["left", "right"], units="V")
    assert load_file(path) == path


@pytest.mark.parametrize("name", ["_iblrig_bodyCamera.GPIO.bin", "_iblrig_bodyCamera.frame_counter.bin"])
def test_real_files_without_metadata_give_their_paths(name: str) -> None:
    if not REAL.is_dir():
        pytest.skip(f"no real recordings at {REAL}")
    found = [load_file(file) for file in REAL.rglob(name)]
    assert found
    assert all(isinstance(file, Path) for file in found)


@pytest.mark.parametrize("text", ["[1]", '"int16"', "", "{", "<html>"])
def test_metadata_that_are_none_are_named(path: Path, text: str) -> None:
    describe(path).write_text(text)
    with pytest.raises(UnsafeData) as caught:
        load_file(path)
    assert "ephys.raw.metadata.json" in caught.value.message


# What does not fit


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"shape": [11]}, "its array ends after 22 bytes, and 2 more follow"),
        ({"shape": [13]}, "2 of its 26 bytes are missing"),
        ({"shape": [5, 3]}, "6 of its 30 bytes are missing"),
        ({"shape": [-1, 5]}, "it has 24 bytes, which are no whole number of rows of 10 bytes"),
        ({"columns": list("abcde")}, "no whole number of rows of 10 bytes"),
        ({"shape": [-1, 0]}, "no whole number of rows of 0 bytes"),
        ({"shape": [2**64]}, "impossible shape"),
        ({"shape": [2**62, 2**62]}, "impossible shape"),
        ({"shape": [0, 2**64]}, "impossible shape"),
        ({"shape": []}, "a shape of []"),
        ({"shape": [3, -1]}, "a shape of [3, -1]"),
        ({"shape": [-2, 3]}, "a shape of [-2, 3]"),
        ({"shape": [12.0]}, "a shape of [12.0]"),
        ({"shape": [True]}, "a shape of [True]"),
        ({"shape": ["12"]}, "a shape of ['12']"),
        ({"shape": "12"}, "a shape of 12"),
        ({"shape": {"rows": 12}}, "a shape of {'rows': 12}"),
        ({"columns": []}, "columns that are not a list"),
        ({"columns": 3}, "columns that are not a list"),
        ({"order": "c"}, "an order of 'c'"),
        ({"order": ["C"]}, "an order of ['C']"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(metadata: dict[str, Any], message: str) -> None:
    assert message in refused({"dtype": "int16", **metadata})


@pytest.mark.parametrize(
    "dtype",
    ["O", "|O", "object", [["a", "O"]], [["a", "<i4"], ["b", [["c", "object"]]]], [["a", "O", [2]]]],
)
def test_python_objects_are_refused(dtype: Any) -> None:
    message = refused({"dtype": dtype})
    assert "contains Python objects" in message
    assert "pickle" not in message


@pytest.mark.parametrize(
    "dtype",
    [
        "",
        "int17",
        "i4,f4",
        "(2,)i4",
        5,
        None,
        {},
        {"names": ["a"], "formats": ["i4"]},
        [["a"]],
        ["i4"],
        [[1, "i4"]],
        [],
    ],
)
def test_types_that_are_none_are_refused(dtype: Any) -> None:
    refused({"dtype": dtype})


def test_a_type_that_is_nested_too_deeply_is_refused(path: Path) -> None:
    dtype: Any = "u1"
    for _ in range(400):
        dtype = [["a", dtype]]
    assert "nested too deeply" in refused({"dtype": dtype})
    describe(path, dtype=dtype)
    with pytest.raises(UnsafeData, match="nested too deeply"):
        load_file(path)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>" + bytes(3)])
def test_what_a_server_sent_instead_is_called_what_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    describe(path, dtype="int16")
    with pytest.raises(UnsafeData, match=r"is empty|is an HTML page"):
        load_file(path)


@pytest.mark.parametrize("begin", [b"\xff\xfe", b"\x1f\x8b", b"PK\3\4", b"\x80\4"])
def test_a_recording_may_begin_with_any_numbers(path: Path, begin: bytes) -> None:
    path.write_bytes(begin + bytes(20))
    describe(path, dtype="int16")
    assert load_file(path).tobytes() == path.read_bytes()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["int16", "O", "C", "F", "<f4"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "a"]), inner, max_size=2),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(
    metadata=st.fixed_dictionaries(
        {"dtype": JSON | st.sampled_from(["int16", [["a", "<f4"], ["b", "i2"]]])},
        optional={"shape": JSON | st.lists(st.integers(-1, 6), max_size=3), "columns": JSON, "order": JSON},
    ),
    size=st.integers(0, 60),
)
def test_metadata_of_any_kind_give_a_layout_that_fits_or_an_error_of_ours(metadata: dict[str, Any], size: int) -> None:
    try:
        dtype, shape, _ = layout(metadata, size, Path("a.b.bin"))
    except OneError as error:
        str(error).encode()
    else:
        assert dtype.itemsize * int(np.prod(shape, dtype=object)) == size


def test_other_files_of_the_same_folder_are_read_without_metadata(tmp_path: Path) -> None:
    DATA.tofile(tmp_path / "a.bin")
    assert read_flat(tmp_path / "a.bin") == tmp_path / "a.bin"
    assert sidecar(tmp_path / "nowhere" / "a.b.bin") is None


def test_no_large_library_is_needed(path: Path) -> None:
    describe(path, dtype="int16")
    code = (
        "import sys, pathlib, onelight.loading; onelight.loading.load_file(pathlib.Path(sys.argv[1])); "
        "print(sorted({'pandas', 'pyarrow', 'scipy', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
