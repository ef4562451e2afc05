"""Files of other libraries come back as those wrote them; what they would crash, fill or deceive us with is refused."""

from __future__ import annotations

import io
import json
import logging
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peaks import check_refusals, needs_linux

from onelight.errors import MissingExtra, OneError, UnsafeData
from onelight.loading import Bunch, load_file
from onelight.loading.foreign import VideoInfo, frames_of, read_tif

av = pytest.importorskip("av")
h5py = pytest.importorskip("h5py")
scipy_io = pytest.importorskip("scipy.io")
scipy_sparse = pytest.importorskip("scipy.sparse")
sparse = pytest.importorskip("sparse")
tifffile = pytest.importorskip("tifffile")

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
#: Files that MATLAB itself wrote, versions 4 to 7.4, and damaged ones: SciPy's own tests.
MATLAB_FILES = sorted((Path(scipy_io.__file__).parent / "matlab" / "tests" / "data").glob("*.mat"))


def refused(path: Path, content: bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnsafeData) as caught:
        load_file(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize("extension", ["h5", "hdf5", "nwb", "mat", "tif", "tiff", "sparse_npz"])
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "is empty (0 bytes)"),
        (b"<!DOCTYPE html><html>502 Bad Gateway</html>", "is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"\x80\4\x95 a pickle", "is a Python pickle"),
        (b"\xffhello, world", "not a"),
    ],
)
def test_something_else_is_called_what_it_is(tmp_path: Path, extension: str, content: bytes, name: str) -> None:
    assert name in refused(tmp_path / f"a.b.{extension}", content)


@pytest.mark.parametrize(
    ("extension", "module", "extra"),
    [
        ("h5", "h5py", "hdf5"),
        ("nwb", "h5py", "hdf5"),
        ("mat", "scipy", "matlab"),
        ("tif", "tifffile", "tiff"),
        ("sparse_npz", "sparse", "sparse"),
    ],
)
def test_a_library_that_is_not_installed_is_named(tmp_path: Path, extension: str, module: str, extra: str) -> None:
    path = tmp_path / f"a.b.{extension}"
    write_one(path)
    done = without(module, "load_file(Path(sys.argv[1]))", path)
    assert f"{path} is read by {module}" in done
    assert f"pip install 'onelight[{extra}]'" in done


def test_a_sparse_array_of_scipy_needs_scipy(tmp_path: Path) -> None:
    path = tmp_path / "a.b.sparse_npz"
    with path.open("wb") as file:
        scipy_sparse.save_npz(file, scipy_sparse.csr_array(np.eye(2)))
    message = without("scipy", "load_file(Path(sys.argv[1]))", path)
    assert "is read by scipy.sparse" in message
    assert "onelight[matlab]" in message


def without(module: str, statement: str, path: Path) -> str:
    """Run a statement where a library is not installed, and return what it printed, or its MissingExtra."""
    code = f"""
import sys
from pathlib import Path
from onelight.errors import MissingExtra
from onelight.loading import load_file
from onelight.loading.foreign import frames_of

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotInstalled())
try:
    {statement}
except MissingExtra as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def write_one(path: Path) -> None:
    """Write the smallest file of a format with its library."""
    if path.suffix in {".h5", ".nwb"}:
        with h5py.File(path, "w") as file:
            file["x"] = [1.0]
    elif path.suffix == ".mat":
        scipy_io.savemat(path, {"x": 1.0})
    elif path.suffix == ".tif":
        tifffile.imwrite(path, np.zeros((2, 8, 8), "u2"))
    elif path.suffix == ".sparse_npz":
        with path.open("wb") as file:
            sparse.save_npz(file, sparse.COO(np.array([[1]]), np.array([2.0]), shape=(30,)))
    else:
        film(path)


# HDF5


def test_an_hdf5_file_is_opened_for_reading(tmp_path: Path) -> None:
    for name in ("ephys.lfp.h5", "ephys.lfp.hdf5", "session.nwb"):
        with h5py.File(tmp_path / name, "w") as file:
            file["group/x"] = np.arange(3)
            file.attrs["rate"] = 2500
        with load_file(tmp_path / name) as found:
            assert found.mode == "r"
            assert found["group/x"][:].tolist() == [0, 1, 2]
            assert found.attrs["rate"] == 2500


@pytest.mark.parametrize("size", [512, 1024, 4096])
def test_what_a_person_put_before_an_hdf5_file_is_skipped(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.b.h5"
    with h5py.File(path, "w", userblock_size=size) as file:
        file["x"] = [1.0]
    with load_file(path) as found:
        assert found["x"][0] == 1


def test_an_hdf5_file_that_is_not_whole_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.b.h5"
    write_one(path)
    content = path.read_bytes()
    for cut in (1, 1000, len(content) - 8):
        assert "is damaged: h5py cannot read it" in refused(path, content[:-cut])
    assert "not an HDF5 file: it begins with" in refused(path, content[:7])


# MATLAB


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<2I", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(mclass: int, shape: tuple[int, ...], *parts: bytes, name: bytes = b"x") -> bytes:
    lengths = struct.pack(f"<{len(shape)}i", *shape)
    return element(
        14, b"".join([element(6, struct.pack("<2I", mclass, 0)), element(5, lengths), element(1, name), *parts])
    )


def packed(variable: bytes) -> bytes:
    content = zlib.compress(variable)
    return struct.pack("<2I", 15, len(content)) + content


PREFACE = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
CELL, STRUCT, OBJECT, CHAR, SPARSE, DOUBLE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 6, 16, 17


@pytest.fixture
def mat(tmp_path: Path) -> Path:
    return tmp_path / "rig.settings.mat"


@pytest.mark.filterwarnings("ignore:The default value for `spmatrix`")
@pytest.mark.parametrize("compressed", [False, True])
def test_variables_come_back_as_matlab_has_them(mat: Path, compressed: bool) -> None:
    cells = np.empty((1, 3), object)
    cells[0, :] = [np.ones((2, 2)), "text", np.zeros((0, 0))]
    written = {
        "row": np.arange(3.0),
        "complex": np.array([[1 + 2j]]),
        "flags": np.array([[True, False]]),
        "name": "größe",
        "names": np.array(["ab", "cde"]),
        "cells": cells,
        "settings": {"gain": 500, "inner": {"list": [1, 2]}},
        "sparse": scipy_sparse.csc_matrix(np.eye(4)),
    }
    scipy_io.savemat(mat, written, do_compression=compressed)
    found = load_file(mat)
    assert isinstance(found, Bunch)
    assert list(found) == list(written)
    expected = scipy_io.loadmat(mat)
    for name, value in found.items():
        assert repr(value) == repr(expected[name])
    assert found.row.shape == (1, 3)
    assert found.name.tolist() == ["größe"]
    assert found.settings["inner"][0, 0]["list"][0, 0].tolist() == [[1, 2]]
    assert found.sparse.toarray().tolist() == np.eye(4).tolist()


def test_the_oldest_version_is_read(mat: Path) -> None:
    scipy_io.savemat(mat, {"x": np.arange(6.0).reshape(2, 3), "name": "abc"}, format="4")
    found = load_file(mat)
    assert found.x.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.name.tolist() == ["abc"]
    refused(mat, mat.read_bytes()[:-1])
    refused(mat, b"\0\0\0\0" + mat.read_bytes()[4:6])
    refused(mat, struct.pack("<5I", 0, 2**31 - 1, 2**31 - 1, 1, 2**31 - 1) + bytes(100))


def test_version_7_3_is_opened_as_hdf5(mat: Path) -> None:
    with h5py.File(mat, "w", userblock_size=512) as file:
        file["x"] = [[1.0, 2.0]]
    content = b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + mat.read_bytes()[128:]
    mat.write_bytes(content)
    with load_file(mat) as found:
        assert found["x"][:].tolist() == [[1, 2]]
    assert "of no version that is known, or not whole" in refused(mat, content[:510])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file", MATLAB_FILES, ids=lambda file: file.name)
def test_what_matlab_wrote_is_read_as_scipy_reads_it(file: Path) -> None:
    try:
        expected = {name: value for name, value in scipy_io.loadmat(file).items() if not name.startswith("__")}
    except NotImplementedError:  # version 7.3
        load_file(file).close()
    except Exception:  # noqa: BLE001  # of any type
        refused(file)
    else:
        found = load_file(file)
        assert list(found) == list(expected)
        assert [repr(value) for value in found.values()] == [repr(value) for value in expected.values()]


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 60, 190, 200])
def test_a_matlab_file_that_is_not_whole_is_damaged(mat: Path, cut: int) -> None:
    scipy_io.savemat(mat, {"x": np.arange(3.0), "y": 1})
    refused(mat, mat.read_bytes()[:-cut])


@pytest.mark.parametrize("kind", [0, 8, 10, 11, 14, 15, 19, 20, 21, 255])
def test_a_kind_of_number_that_crashes_scipy_is_refused(mat: Path, kind: int) -> None:
    assert load_file_of(mat, matrix(DOUBLE, (1, 2), element(9, bytes(16)))).x.tolist() == [[0, 0]]
    for variable in (
        matrix(DOUBLE, (1, 2), element(kind, bytes(16))),
        matrix(CHAR, (1, 2), element(kind, bytes(16))),
        matrix(CELL, (1, 1), matrix(DOUBLE, (1, 2), element(kind, bytes(16)), name=b"")),
        matrix(SPARSE, (1, 1), element(kind, bytes(4)), element(5, bytes(8)), element(9, b"")),
        matrix(SPARSE, (1, 1), element(5, bytes(4)), element(kind, bytes(8)), element(9, b"")),
    ):
        for form in (variable, packed(variable)):
            assert "does not consist of the parts" in refused(mat, PREFACE + form)


def load_file_of(path: Path, variable: bytes) -> Any:
    path.write_bytes(PREFACE + variable)
    return load_file(path)


def test_variables_that_claim_what_they_do_not_have_are_refused(mat: Path) -> None:
    value = element(9, bytes(8))
    inner = matrix(DOUBLE, (1, 1), value, name=b"")
    names = element(5, struct.pack("<i", 8)) + element(1, b"a".ljust(8, b"\0") + b"b".ljust(8, b"\0"))
    assert load_file_of(mat, matrix(CELL, (1, 2), inner, inner)).x.shape == (1, 2)
    assert load_file_of(mat, matrix(STRUCT, (1, 1), names, inner, inner)).x.dtype.names == ("a", "b")
    for variable in (
        matrix(DOUBLE, (1, 1)),
        matrix(DOUBLE, (1, 1), value, value),
        matrix(DOUBLE, (1,), value),
        matrix(DOUBLE, (-1, -1), value),
        matrix(DOUBLE, (1,) * 33, value),
        matrix(CELL, (1, 2), inner),
        matrix(CELL, (1, 1), inner, inner),
        matrix(CELL, (2**31 - 1, 2**31 - 1), inner),
        matrix(STRUCT, (1, 1), names, inner),
        matrix(STRUCT, (1, 1), element(5, struct.pack("<i", 0)), element(1, b"a"), inner),
        matrix(STRUCT, (1, 1), element(5, struct.pack("<i", -8)), element(1, b"a"), inner),
        matrix(OBJECT, (1, 1), names, inner, inner),
        matrix(FUNCTION, (1, 1)),
        matrix(OPAQUE, (1, 1), inner),
        matrix(18, (1, 1), value),
        matrix(0, (1, 1), value),
        inner[:8] + inner[16:],
        element(14, bytes(16)),
        element(9, bytes(16)),
        struct.pack("<2I", 14, 100),
        packed(inner)[:-1],
        packed(inner + b"more"),
        packed(struct.pack("<2I", 14, 1000) + inner[8:]),
        packed(b"abc"),
        struct.pack("<2I", 15, 8) + b"no zlib!",
        inner + b"more",
    ):
        refused(mat, PREFACE + variable)
    for _ in range(120):
        inner = matrix(CELL, (1, 1), inner, name=b"")
    assert "nested too deeply" in refused(mat, PREFACE + inner)


def test_two_variables_of_one_name_are_refused(mat: Path) -> None:
    variable = matrix(DOUBLE, (1, 1), element(9, bytes(8)))
    assert "two variables of the name 'x'" in refused(mat, PREFACE + variable + variable)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [([0, 7], [0, 1, 2]), ([0, -1], [0, 1, 2]), ([0, 1], [0, 2, 1]), ([0, 1], [1, 1, 2]), ([0], [0, 1, 2])],
)
def test_sparse_matrices_with_places_outside_of_them_are_refused(
    mat: Path, rows: list[int], columns: list[int]
) -> None:
    def variable(rows: list[int], columns: list[int]) -> bytes:
        lists = [element(5, struct.pack(f"<{len(numbers)}i", *numbers)) for numbers in (rows, columns)]
        return matrix(SPARSE, (3, 2), *lists, element(9, bytes(16)))

    assert load_file_of(mat, variable([0, 1], [0, 1, 2])).x.shape == (3, 2)
    refused(mat, PREFACE + variable(rows, columns))
    refused(mat, PREFACE + matrix(CELL, (1, 1), variable(rows, columns)))


@pytest.mark.parametrize(
    "variable",
    [
        matrix(CHAR, (1, 2**31 - 1), element(4, b"")),  # SciPy makes two thousand million blanks of it
        matrix(CELL, (1, 1), matrix(CHAR, (1, 2**31 - 1), element(4, b""))),
        matrix(STRUCT, (30_000, 30_000), element(5, struct.pack("<i", 8)), element(1, b"")),
        matrix(STRUCT, (0, 0), element(5, struct.pack("<i", 1)), element(1, b"a\0" * 10_000)),
        packed(matrix(CELL, (1, 1_500_000), element(14, b"") * 1_500_000)),
        packed(struct.pack("<2I", 14, 2_000_000_000) + bytes(100)),
    ],
)
def test_variables_that_would_fill_the_memory_are_refused(mat: Path, variable: bytes) -> None:
    assert "made to fill the memory" in refused(mat, PREFACE + variable)


@pytest.mark.filterwarnings("ignore")
@settings(ONE_FOLDER, max_examples=300)
@given(
    file=st.integers(0, 10**9),
    changes=st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(0, 255) | st.sampled_from([1, 5, 6, 8, 14])),
        min_size=1,
        max_size=3,
    ),
)
def test_a_changed_matlab_file_is_read_or_an_error_of_ours(
    mat: Path, file: int, changes: list[tuple[int, int]]
) -> None:
    content = io.BytesIO()
    scipy_io.savemat(content, {"s": {"a": [1, 2], "b": "text"}, "m": scipy_sparse.csc_matrix(np.eye(3))})
    contents = [content.getvalue(), *(file.read_bytes() for file in MATLAB_FILES if file.stat().st_size < 5000)]
    mutated = bytearray(contents[file % len(contents)])
    for position, value in changes:
        mutated[position % len(mutated)] = value
    mat.write_bytes(mutated)
    try:
        found = load_file(mat)
    except OneError as error:
        str(error).encode("utf-8", "replace")
    else:
        found.close() if isinstance(found, h5py.File) else None


# Files that HDF5 would open for another


def link_outside(file: Any, target: Path) -> str:
    file["a"] = h5py.ExternalLink(str(target), "/x")
    return "the link /a"


def store_outside(file: Any, target: Path) -> str:
    file.create_dataset("g/a", (4,), "u1", external=[(str(target), 0, 4)])
    return "the dataset /g/a"


def map_outside(file: Any, target: Path) -> str:
    layout = h5py.VirtualLayout((2,), "i8")
    layout[:1] = h5py.VirtualSource(file.create_dataset("own", data=[1]))
    layout[1:] = h5py.VirtualSource(str(target), "x", (1,))
    file.create_virtual_dataset("a", layout)
    return "the dataset /a"


@pytest.mark.parametrize("extension", ["h5", "nwb", "mat"])
@pytest.mark.parametrize("form", [link_outside, store_outside, map_outside])
def test_a_file_that_would_read_another_one_is_refused(tmp_path: Path, extension: str, form: Any) -> None:
    path, target = tmp_path / f"a.b.{extension}", tmp_path / "secret"
    with h5py.File(path, "w") as file:
        file["first/inner"] = [1]
        where = form(file, target)
    message = refused(path)
    assert f"names another file: {where} leads to {target}" in message
    assert "download_only=True, and open it with h5py" in message
    path.unlink()  # it is closed


def test_links_and_virtual_datasets_within_a_file_are_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.b.h5"
    with h5py.File(path, "w") as file:
        file["g/x"] = [1, 2]
        file["y"] = file["g/x"]
        file["g/up"] = file["/"]  # a circle
        file["soft"], file["nowhere"] = h5py.SoftLink("/g/x"), h5py.SoftLink("/z")
        file["type"] = np.dtype("i4")
        layout = h5py.VirtualLayout((2,), file["y"].dtype)
        layout[:] = h5py.VirtualSource(file["y"])
        file.create_virtual_dataset("virtual", layout)
    with load_file(path) as file:
        assert [file[name][:].tolist() for name in ("g/x", "y", "soft", "g/up/y", "virtual")] == [[1, 2]] * 5


def test_groups_within_groups_and_objects_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.b.h5"
    with h5py.File(path, "w", libver="latest") as file:
        group = file.id
        for _ in range(30_000):  # the visitor of HDF5 crashes over them
            group = h5py.h5g.create(group, b"a")
    assert "nested too deeply: more than 100" in refused(path)
    with h5py.File(path, "w") as file:
        for name in "abc":
            file[f"{name}/x"] = 1
    monkeypatch.setattr("onelight.loading.foreign.MAX_OBJECTS", 5)
    assert "has more than 5 objects" in refused(path)


# TIFF

STACK = np.random.default_rng(0).integers(0, 4000, (5, 16, 20)).astype("u2")


def written_one_by_one(path: Path, **options: Any) -> None:
    with tifffile.TiffWriter(path) as file:
        for image in STACK:
            file.write(image, contiguous=False, **options)


TIFFS: dict[str, Any] = {
    "plain": lambda path: tifffile.imwrite(path, STACK),
    "bare": lambda path: tifffile.imwrite(path, STACK, metadata=None),
    "deflated": lambda path: tifffile.imwrite(path, STACK, compression="zlib"),
    "strips": lambda path: tifffile.imwrite(path, STACK, compression="zlib", rowsperstrip=3, metadata=None),
    "tiles": lambda path: tifffile.imwrite(path, STACK, tile=(16, 16)),
    "imagej": lambda path: tifffile.imwrite(path, STACK, imagej=True),
    "ome": lambda path: tifffile.imwrite(path, STACK, ome=True, metadata={"axes": "TYX"}),
    "big": lambda path: tifffile.imwrite(path, STACK, bigtiff=True, byteorder=">"),
    "one-by-one": written_one_by_one,
    "bare-one-by-one": lambda path: written_one_by_one(path, metadata=None),
}


@pytest.fixture
def tif(tmp_path: Path) -> Path:
    return tmp_path / "widefield.frames.tif"


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Keep what tifffile logs about damaged files out of the report."""
    logging.getLogger("tifffile").disabled = True
    yield
    logging.getLogger("tifffile").disabled = False


@pytest.mark.parametrize("form", TIFFS)
def test_images_come_back(tif: Path, form: str) -> None:
    TIFFS[form](tif)
    for mmap in (None, True):
        found = load_file(tif, mmap=mmap)
        np.testing.assert_array_equal(found, STACK)
        assert isinstance(found, np.memmap) == (mmap is True and form in {"plain", "bare", "imagej", "ome", "big"})


def test_images_of_different_forms_are_a_list(tif: Path) -> None:
    with tifffile.TiffWriter(tif) as file:
        file.write(STACK[0])
        file.write(STACK[0, :5, :5])
    found = load_file(tif)
    assert [image.shape for image in found] == [(16, 20), (5, 5)]


def test_a_large_stack_is_mapped(tif: Path) -> None:
    tifffile.imwrite(tif, shape=(1000, 256, 256), dtype="u2")
    found = load_file(tif)
    assert isinstance(found, np.memmap)
    assert found.shape == (1000, 256, 256)
    assert not isinstance(load_file(tif, mmap=False), np.memmap)


@pytest.mark.parametrize("form", TIFFS)
def test_images_that_are_cut_off_are_never_fewer_in_silence(tif: Path, form: str) -> None:
    TIFFS[form](tif)
    content = tif.read_bytes()
    for length in [*range(0, len(content), len(content) // 40), len(content) - 1]:
        tif.write_bytes(content[:length])
        try:
            found = read_tif(tif)
        except UnsafeData:
            continue
        np.testing.assert_array_equal(found, STACK)  # only text about them is missing


def test_a_stack_of_imagej_beyond_four_gigabytes_says_how_many_images_it_has(tif: Path) -> None:
    tifffile.imwrite(tif, STACK, imagej=True)
    content = bytearray(tif.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * entries, 0)  # such files have one table only
    tif.write_bytes(content)
    np.testing.assert_array_equal(load_file(tif), STACK)
    start = content.index(STACK.tobytes())
    assert "it states 5 images, and is too short" in refused(tif, bytes(content[: start + STACK[0].nbytes + 10]))


def test_a_list_of_images_that_comes_back_to_itself_is_refused(tif: Path) -> None:
    written_one_by_one(tif, metadata=None)
    content = bytearray(tif.read_bytes())
    tables = []
    (at,) = struct.unpack_from("<I", content, 4)
    while at:
        tables.append(at)
        at += 2 + 12 * struct.unpack_from("<H", content, at)[0]
        (at,) = struct.unpack_from("<I", content, at)
    last = tables[-1] + 2 + 12 * struct.unpack_from("<H", content, tables[-1])[0]
    for target in tables:
        struct.pack_into("<I", content, last, target)
        assert "leads nowhere" in refused(tif, bytes(content))


def tag(content: bytes, number: int, value: int, kind: int = 3) -> bytes:
    """Change a number in the first table of images, wherever it stands there."""
    (first,) = struct.unpack_from("<I", content, 4)
    changed = bytearray(content)
    for entry in range(struct.unpack_from("<H", content, first)[0]):
        position = first + 2 + 12 * entry
        if struct.unpack_from("<H", content, position)[0] == number:
            struct.pack_into("<HHII", changed, position, number, kind, 1, value)
    return bytes(changed)


WIDTH, LENGTH, COMPRESSION, STRIP, ROWS, BYTES = 256, 257, 259, 273, 278, 279


def test_images_that_would_fill_the_memory_are_refused(tif: Path) -> None:
    tifffile.imwrite(tif, STACK[0], compression="zlib", metadata=None)
    content = tif.read_bytes()
    huge = tag(tag(content, WIDTH, 2**31, 4), LENGTH, 2**31, 4)
    assert "made to fill the memory" in refused(tif, huge)


def test_a_piece_that_becomes_larger_than_its_image_is_refused(tif: Path) -> None:
    packer = zlib.compressobj()
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    tifffile.imwrite(tif, STACK[0], compression="zlib", metadata=None)
    content = tif.read_bytes()
    bomb = start + zeros * 2000
    content = tag(tag(content, STRIP, len(content), 4), BYTES, len(bomb), 4) + bomb
    assert "becomes larger than 640 bytes" in refused(tif, content)


def test_a_compression_of_another_library_says_which(tif: Path) -> None:
    tifffile.imwrite(tif, STACK[0], metadata=None)
    tif.write_bytes(tag(tif.read_bytes(), COMPRESSION, 5))
    try:
        import imagecodecs  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtra, match="python -m pip install imagecodecs"):
            load_file(tif)
    else:
        refused(tif)


def test_no_other_file_is_opened_because_an_image_names_it(tif: Path) -> None:
    tifffile.imwrite(tif.with_name("secret.tif"), np.full((1, 16, 20), 7, "u2"))
    tifffile.imwrite(tif, STACK[:1], metadata=None)
    plane = '<TiffData FirstT="{0}" IFD="0" PlaneCount="1"><UUID FileName="{1}">urn:uuid:{0}</UUID></TiffData>'
    text = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:0">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="20" SizeY="16" '
        'SizeZ="1" SizeC="1" SizeT="2">'
        + plane.format(0, tif.name)
        + plane.format(1, "secret.tif")
        + "</Pixels></Image></OME>"
    )
    tifffile.imwrite(tif, STACK[:1], description=text, metadata=None)
    assert tifffile.imread(tif)[1].max() == 7  # tifffile does open it
    np.testing.assert_array_equal(load_file(tif).squeeze(), STACK[0])


OPENED = """
import json, sys
from pathlib import Path
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event in ("open", "glob.glob") else None)
if sys.argv[2] == "ours":
    from onelight.loading import load_file
    shape = load_file(Path(sys.argv[1])).shape
else:
    import tifffile
    shape = tifffile.imread(sys.argv[1]).shape
print(json.dumps([shape, [name for name in opened if "sibling" in name or "NDTiff.index" in name]]))
"""


def micromanager(path: Path, header: bytes) -> None:
    """Write an image whose header is one of Micro-Manager, behind which all of the rest moves."""
    tifffile.imwrite(path, STACK[0], metadata=None, extratags=[(51123, 2, 9, '{"a": 1}', True)])
    content = path.read_bytes()
    at = 8 + len(header)
    (first,) = struct.unpack_from("<I", content, 4)
    moved = bytearray(content[:4] + struct.pack("<I", first + at) + header + content)
    for entry in range(struct.unpack_from("<H", content, first)[0]):
        place = first + at + 2 + 12 * entry
        number, kind, count, value = struct.unpack_from("<HHII", moved, place)
        if number == STRIP or count * {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}[kind] > 4:
            struct.pack_into("<I", moved, place + 8, value + at)
    path.write_bytes(moved)


@pytest.mark.parametrize("form", ["mmstack", "ndtiff"])
def test_no_file_beside_an_image_of_micro_manager_is_opened(tmp_path: Path, form: str) -> None:
    path, sibling = tmp_path / "x_MMStack_0.tif", tmp_path / "x_MMStack_sibling.tif"
    summary = json.dumps({"Prefix": "x", "MicroManagerVersion": "2", "Frames": 2}).encode()
    if form == "mmstack":
        for number, where in enumerate((path, sibling)):
            places = struct.pack("<8I", 54773648, 40 + len(summary), 0, 0, 0, 0, 2355492, len(summary))
            index = struct.pack("<7I", 3453623, 1, 0, 0, number, 0, 76 + len(summary))
            micromanager(where, places + summary + index)
    else:
        for where in (path, sibling):
            micromanager(where, struct.pack("<4I", 483729, 2, 2355492, len(summary)) + summary)
        entry = b""
        for number, where in enumerate((path, sibling)):
            axes, name = json.dumps({"time": number}).encode(), where.name.encode()
            entry += struct.pack("<I", len(axes)) + axes + struct.pack("<I", len(name)) + name
            entry += struct.pack("<8I", 0, 20, 16, 1, 0, 0, 0, 0)
        (tmp_path / "NDTiff.index").write_bytes(entry)
    found = {}
    for reader in ("ours", "tifffile"):
        command = [sys.executable, "-c", OPENED, str(path), reader]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        found[reader] = json.loads(done.stdout)
    assert any("sibling" in name for name in found["tifffile"][1]), found  # or this tests nothing
    assert found["ours"][1] == []
    np.testing.assert_array_equal(load_file(path).squeeze(), STACK[0])


@settings(ONE_FOLDER, max_examples=150)
@given(
    form=st.sampled_from(sorted(TIFFS)),
    changes=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_a_changed_image_is_read_or_an_error_of_ours(tif: Path, form: str, changes: list[tuple[int, int]]) -> None:
    TIFFS[form](tif)
    content = bytearray(tif.read_bytes())
    for position, value in changes:
        content[position % min(len(content), 700)] = value
    tif.write_bytes(content)
    try:
        load_file(tif)
    except (UnsafeData, MissingExtra) as error:
        str(error).encode("utf-8", "replace")


# Sparse arrays


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "templates.pcs.sparse_npz"


def dense(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    values = np.random.default_rng(1).integers(-1, 4, shape)
    return np.where(values > 1, values, 0).astype("f4")


@pytest.mark.parametrize("kind", ["coo", "gcxs"])
@pytest.mark.parametrize("shape", [(40,), (12, 13), (5, 6, 7), (0, 3)])
@pytest.mark.parametrize("compressed", [False, True])
def test_sparse_arrays_come_back(path: Path, kind: str, shape: tuple[int, ...], compressed: bool) -> None:
    if kind == "gcxs" and len(shape) == 1 and not hasattr(sparse.COO, "get_nodes"):
        pytest.skip("this version of sparse writes a Python object for a vector")
    expected = dense(shape)
    with path.open("wb") as file:
        sparse.save_npz(file, sparse.COO(expected).asformat(kind), compressed=compressed)
    found = load_file(path)
    assert type(found).__name__ == kind.upper()
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found.todense(), expected)


def test_what_is_not_stored_may_be_another_number(path: Path) -> None:
    with path.open("wb") as file:
        sparse.save_npz(file, sparse.COO(np.array([[1]]), np.array([2.0]), shape=(30,), fill_value=np.nan))
    assert np.isnan(load_file(path).todense()).sum() == 29


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "dia", "bsr"])
@pytest.mark.parametrize("form", ["array", "matrix"])
def test_sparse_arrays_of_scipy_come_back(path: Path, kind: str, form: str) -> None:
    expected = dense((12, 14))
    with path.open("wb") as file:
        scipy_sparse.save_npz(file, getattr(scipy_sparse, f"{kind}_{form}")(expected))
    found = load_file(path)
    assert type(found).__name__ == f"{kind}_{form}"
    np.testing.assert_array_equal(found.toarray(), expected)


def nodes(kind: str = "coo") -> dict[str, Any]:
    file = io.BytesIO()
    sparse.save_npz(file, sparse.COO(dense((12, 13))).asformat(kind))
    file.seek(0)
    with np.load(file) as parts:
        return dict(parts)


@pytest.mark.parametrize("missing", ["data", "coords", "shape"])
def test_a_sparse_array_without_a_part_is_damaged(path: Path, missing: str) -> None:
    save(path, {name: value for name, value in nodes().items() if name != missing})
    assert "is damaged" in refused(path)


def save(path: Path, arrays: dict[str, Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


def test_files_of_older_versions_have_no_name_of_their_form(path: Path) -> None:
    for kind in ("coo", "gcxs"):
        save(path, {name: value for name, value in nodes(kind).items() if name != "format"})
        np.testing.assert_array_equal(load_file(path).todense(), dense((12, 13)))


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [12, 3]},
        {"shape": [12]},
        {"shape": [-12, 13]},
        {"shape": [12.0, 13.0]},
        {"shape": 12},
        {"coords": [[0, 11], [0, 13]], "data": [1.0, 2.0]},
        {"coords": [[0, -1], [0, 3]], "data": [1.0, 2.0]},
        {"coords": [[0.0, 1.0], [0, 3]], "data": [1.0, 2.0]},
        {"coords": [[1, 0], [0, 3]], "data": [1.0, 2.0]},
        {"coords": [[1, 1], [3, 3]], "data": [1.0, 2.0]},
        {"coords": [[1, 1], [3, 4]], "data": [1.0]},
        {"coords": [1, 2], "data": [1.0, 2.0]},
        {"coords": [[1, 1], [3, 4]], "data": 1.0},
        {"data": [[1.0]]},
    ],
)
def test_places_outside_of_a_sparse_array_are_refused(path: Path, changes: dict[str, Any]) -> None:
    save(path, nodes() | changes)
    assert "is damaged" in refused(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [12, 3]},
        {"shape": [11, 13]},
        {"compressed_axes": [1]},
        {"compressed_axes": [0, 1]},
        {"compressed_axes": [2]},
        {"compressed_axes": [0, 0]},
        {"indptr": np.zeros(13, int)},
        {"indptr": np.full(13, 10**9)},
        {"indptr": np.linspace(0, 1, 13)},
        {"indices": [10**9]},
        {"data": [1.0]},
    ],
)
def test_places_outside_of_a_compressed_sparse_array_are_refused(path: Path, changes: dict[str, Any]) -> None:
    save(path, nodes("gcxs") | changes)
    assert "is damaged" in refused(path)


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr"])
@pytest.mark.parametrize("change", ["indices", "indptr", "shape"])
def test_places_outside_of_a_sparse_array_of_scipy_are_refused(path: Path, kind: str, change: str) -> None:
    array = getattr(scipy_sparse, f"{kind}_array")(dense((12, 14)))
    parts = {name: getattr(array, name) for name in ("data", "indices", "indptr", "shape")}
    parts[change] = np.asarray(parts[change]) + (100 if change == "indices" else -1)
    save(path, {"format": kind.encode(), "_is_array": True, **parts})
    assert "is damaged" in refused(path)


@pytest.mark.parametrize("kind", [b"lil", b"__class__", "öl", b"\xff", 5])
def test_a_form_that_is_none_is_refused(path: Path, kind: Any) -> None:
    save(path, {"format": kind, "data": [1.0], "shape": [3, 3]})
    assert "is damaged" in refused(path)


def test_an_archive_of_other_arrays_is_no_sparse_array(path: Path) -> None:
    save(path, {"a": np.zeros(2)})
    assert "none of a sparse array" in refused(path)


def test_objects_in_a_sparse_array_are_refused(path: Path) -> None:
    marker = path.with_name("exploded")

    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (marker,)

    save(path, nodes() | {"fill_value": np.array(Bomb(), dtype=object)})
    assert "contains Python objects" in refused(path)
    assert not marker.exists()


# Videos


def film(path: Path, frames: int = 10, rate: int = 25, **options: str) -> None:
    with av.open(str(path), "w", format="mp4" if path.suffix == ".mj2" else None, options=options) as file:
        stream = file.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            image = np.full((48, 64, 3), number * 10 % 256, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())


@pytest.mark.parametrize("extension", ["mp4", "avi", "mov", "mj2", "MP4"])
def test_a_video_says_what_it_is(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"_iblrig_leftCamera.raw.{extension}"
    film(path.with_suffix(f".{extension.lower()}"), 30, 60)
    path.with_suffix(f".{extension.lower()}").rename(path)
    found = frames_of(path)
    assert found is not None
    assert found == VideoInfo(30, 64, 48, 60.0, pytest.approx(0.5))
    assert load_file(path) == path


def test_a_video_that_does_not_count_its_frames_has_as_many_as_fit_its_duration(tmp_path: Path) -> None:
    path = tmp_path / "a.b.mp4"
    film(path, 40, movflags="frag_keyframe+empty_moov")
    found = frames_of(path)
    assert found is not None
    assert (found.frames, found.seconds) == (40, pytest.approx(1.6))


def test_a_video_that_is_not_whole_is_damaged(tmp_path: Path) -> None:
    for name in ("a.b.mp4", "a.b.avi"):
        path = tmp_path / name
        film(path)
        for length in (20, 100, len(path.read_bytes()) // 3):
            path.write_bytes(path.read_bytes()[:length])
            with pytest.raises(UnsafeData, match="is damaged"):
                frames_of(path)
        path.write_bytes(b"")
        with pytest.raises(UnsafeData, match="is empty"):
            frames_of(path)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.b.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=48000)
        sound = av.AudioFrame.from_ndarray(np.zeros((2, 1024), "f4"), format="fltp", layout="stereo")
        sound.sample_rate = 48000
        file.mux(stream.encode(sound))
        file.mux(stream.encode())
    with pytest.raises(UnsafeData, match="no images in it"):
        frames_of(path)


def test_a_playlist_is_no_video_and_nothing_that_it_names_is_fetched(tmp_path: Path, serve: Any) -> None:
    film(tmp_path / "secret.mp4")
    url = serve(tmp_path)
    path = tmp_path / "a.b.mp4"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10.0,\n{url}/secret.mp4\n#EXT-X-ENDLIST\n")
    with pytest.raises(UnsafeData, match="is damaged"):
        frames_of(path)
    path.write_text(f"ffconcat version 1.0\nfile {tmp_path / 'secret.mp4'}\n")
    with pytest.raises(UnsafeData, match="is damaged"):
        frames_of(path)


def test_without_pyav_nothing_is_said_about_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.b.mp4"
    film(path)
    assert without("av", "print(frames_of(Path(sys.argv[1])))", path) == "None"
    assert frames_of(tmp_path / "a.b.tif") is None


# Memory


@needs_linux
def test_no_refusal_takes_much_memory(tmp_path: Path) -> None:
    packer = zlib.compressobj()
    start = packer.compress(struct.pack("<2I", 14, 2_000_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = start + (packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)) * 2000
    good = tmp_path / "a.b.tif"
    tifffile.imwrite(good, STACK[0], compression="zlib", metadata=None)
    coo = nodes()
    bad: dict[str, bytes] = {
        "bomb.mat": PREFACE + struct.pack("<2I", 15, len(zeros)) + zeros,
        "blanks.mat": PREFACE + matrix(CELL, (1, 1), matrix(CHAR, (1, 2**31 - 1), element(4, b""))),
        "cells.mat": PREFACE + packed(matrix(CELL, (1, 1_500_000), element(14, b"") * 1_500_000)),
        "huge.mat": PREFACE + matrix(DOUBLE, (2**31 - 1, 2**31 - 1), element(9, bytes(8))),
        "old.mat": struct.pack("<5I", 0, 2**31 - 1, 2**31 - 1, 1, 2**31 - 1) + bytes(100),
        "huge.tif": tag(tag(good.read_bytes(), WIDTH, 2**31, 4), LENGTH, 2**31, 4),
        "page.h5": b"<html>" + bytes(1000),
        "cut.h5": b"\x89HDF\r\n\x1a\n" + bytes(1000),
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    save(tmp_path / "places.sparse_npz", coo | {"coords": coo["coords"] + 10**6})
    goods = [tmp_path / f"a.b.{extension}" for extension in ("h5", "mat", "sparse_npz")]
    for path in goods:
        write_one(path)
    check_refusals([*goods, good], [tmp_path / "places.sparse_npz", *(tmp_path / name for name in bad)])
