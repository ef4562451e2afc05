"""Arrays come back bit for bit, and a file that is no whole array is refused and called what it is."""

from __future__ import annotations

import io
import pickle
import struct
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from peaks import check_refusals, needs_linux

from onelight.errors import OneError, RepositoryError, UnsafeData
from onelight.loading import load_file, npy

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
REAL = Path(__file__).resolve().parents[3] / "shared" / "data"


def header(text: str | bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    raw = text.encode("latin-1") if isinstance(text, str) else text
    return npy.MAGIC + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(raw)) + raw


def described(descr: str, shape: str = "(1,)") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n")


def saved(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spikes.times.npy"


def load(path: Path, content: bytes) -> Any:
    path.write_bytes(content)
    return load_file(path)


def same_as_numpy(path: Path, found: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers of Python 2, and of types that are going away
        expected = np.load(path, allow_pickle=False)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()
    assert found.flags.f_contiguous == expected.flags.f_contiguous
    assert found.flags.c_contiguous == expected.flags.c_contiguous


def refused(path: Path, content: bytes) -> str:
    with pytest.raises(UnsafeData) as caught:
        load(path, content)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return str(caught.value)


# Round trips


DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.byte_string_dtypes(),
    hnp.unicode_string_dtypes(),
    hnp.array_dtypes(st.one_of(hnp.integer_dtypes(), hnp.floating_dtypes()), min_size=1, max_size=3),
)


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")  # field names beyond latin-1
@ONE_FOLDER
@given(
    array=hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)),
    fortran=st.booleans(),
)
def test_an_array_comes_back_as_numpy_saved_it(path: Path, array: np.ndarray[Any, Any], fortran: bool) -> None:
    np.save(path, np.asfortranarray(array) if fortran and array.ndim else array)
    found = load_file(path)
    same_as_numpy(path, found)
    assert found.flags.writeable
    same_as_numpy(path, load_file(path, mmap=True))


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_format_version_is_read(path: Path, version: tuple[int, int]) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.arange(3.0), version=version)
    assert load_file(path).tolist() == [0, 1, 2]


def test_field_names_of_any_language_are_read(path: Path) -> None:
    array = np.zeros(2, [("größe", "<f8"), ("it's", "<i4", (2, 2)), ("names O and object", [("O", "<U3")])])
    with pytest.warns(UserWarning, match=r"format 3\.0"):
        np.save(path, np.zeros(2, [("時刻", "<f8")]))
    assert load_file(path).dtype.names == ("時刻",)
    assert load(path, saved(array)).dtype == array.dtype


def test_the_header_of_matlab_is_read(path: Path) -> None:
    text = "{'descr': '<b1', 'fortran_order': True, 'shape': (3, 1), }"
    assert load(path, header(text.ljust(69) + "\n") + b"\1\0\1").tolist() == [[True], [False], [True]]


def test_the_header_of_python_2_is_read(path: Path) -> None:
    assert load(path, described("'<f8'", "(2L, 1L)") + bytes(16)).shape == (2, 1)


def test_a_column_stays_a_column(path: Path) -> None:
    assert load(path, saved(np.zeros((5, 1)))).shape == (5, 1)


def test_fortran_order_is_kept(path: Path) -> None:
    array = load(path, saved(np.asfortranarray(np.arange(6).reshape(2, 3))))
    assert array.flags.f_contiguous
    assert not array.flags.c_contiguous
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


PLAIN = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(sizes=(64, 128)),
)


@given(
    dtype=PLAIN,
    shape=st.lists(st.integers(0, 2**62), max_size=5).map(tuple),
    fortran=st.booleans(),
    spaces=st.integers(0, 70),
)
def test_an_ordinary_header_is_read_the_short_way_to_the_same_end(
    dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool, spaces: int
) -> None:
    text = f"{{'descr': {dtype.str!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}{' ' * spaces}\n"
    found = npy.read_header(io.BytesIO(header(text)), Path("a.npy"))
    assert npy._ORDINARY.fullmatch(text.encode())
    assert found == npy._parse_header(text, 10 + len(text))
    assert (found.descr, found.shape, found.fortran_order) == (dtype.str, shape, fortran)


# In memory, or mapped


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_file_is_mapped_for_reading_only(path: Path, monkeypatch: pytest.MonkeyPatch, order: Any) -> None:
    monkeypatch.setattr(npy, "MMAP_ABOVE", 1000)
    expected = np.arange(600.0).reshape(200, 3, order=order)
    np.save(path, expected)
    found = load_file(path)
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert found.flags.f_contiguous == (order == "F")
    np.testing.assert_array_equal(found, expected)


def test_the_limit_of_mapping_is_100_megabytes(path: Path) -> None:
    assert npy.MMAP_ABOVE == 100_000_000
    start = described("'|u1'", "(100000000,)")
    with path.open("wb") as file:
        file.write(start)
        file.truncate(len(start) + 100_000_000)  # a hole in the file: quick to make
    assert isinstance(load_file(path), np.memmap)
    assert not isinstance(npy.read_npy(path, mmap=False), np.memmap)


def test_a_file_of_any_size_is_mapped_if_asked_for(path: Path) -> None:
    np.save(path, np.arange(3.0))
    found = load_file(path, mmap=True)
    assert isinstance(found, np.memmap)
    assert found.filename == str(path)
    assert found.tolist() == [0, 1, 2]
    assert not isinstance(load_file(path), np.memmap)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_an_array_without_values_is_not_mapped(path: Path, shape: tuple[int, ...]) -> None:
    np.save(path, np.zeros(shape))
    found = load_file(path, mmap=True)
    assert found.shape == shape
    assert not isinstance(found, np.memmap)


def test_where_files_cannot_be_mapped_a_large_one_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*args: Any, **options: Any) -> None:
        raise OSError(19, "No such device")  # what drives over a network may say

    monkeypatch.setattr(npy, "MMAP_ABOVE", 10)
    monkeypatch.setattr(np, "memmap", failing)
    np.save(path, np.arange(3.0))
    assert load_file(path).tolist() == [0, 1, 2]
    with pytest.raises(RepositoryError, match="No such device"):
        load_file(path, mmap=True)


# Python objects


@pytest.mark.parametrize("kind", ["|O", "O", "O8", "<O8", "object"])
def test_python_objects_are_refused_without_a_way_to_force_it(path: Path, kind: str) -> None:
    message = refused(path, described(repr(kind)) + bytes(100))
    assert "contains Python objects" in message
    assert "pickle" not in message
    assert "allow" not in message


@pytest.mark.parametrize(
    "descr",
    [
        "[('a', '<f8'), ('b', '|O')]",
        "[('a', [('b', [('c', '|O')])])]",
        "[('a', '|O', (2,))]",
        "[(('title', 'a'), '|O')]",
        "('|O', (2,))",
    ],
)
def test_python_objects_within_fields_are_refused(path: Path, descr: str) -> None:
    assert "contains Python objects" in refused(path, described(descr) + bytes(100))


class Bomb:
    """An object that makes a file when it is unpickled; another would delete one."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def test_nothing_within_a_pickled_array_is_executed(path: Path) -> None:
    bomb = Bomb(path.with_name("exploded"))
    array = np.array([bomb, 1], dtype=object)
    assert "contains Python objects" in refused(path, saved(array, allow_pickle=True))
    structured = np.zeros(1, [("a", "<f8"), ("b", object)])
    structured["b"][0] = bomb
    assert "contains Python objects" in refused(path, saved(structured, allow_pickle=True))
    assert "a Python pickle" in refused(path, pickle.dumps(bomb))
    assert not bomb.marker.exists()
    pickle.loads(pickle.dumps(bomb))
    assert bomb.marker.exists()  # it would have


def test_who_asks_for_it_by_its_name_has_the_code_executed(path: Path) -> None:
    bomb = Bomb(path.with_name("exploded"))
    content = saved(np.array([[bomb, {"a": [1]}]], dtype=object), allow_pickle=True)
    path.write_bytes(content)
    found = load_file(path, execute_code_in_the_file=True)
    assert found.shape == (1, 2)
    assert found[0, 1] == {"a": [1]}
    assert bomb.marker.exists()
    path.write_bytes(content + b"more")
    with pytest.raises(UnsafeData, match="more follows"):
        npy.read_npy(path, execute_code_in_the_file=True)


@pytest.mark.parametrize("pickled", [b"", b"cnowhere\nnothing\n.", b"\x80\x05garbage"])
def test_objects_that_cannot_be_made_are_an_error_of_ours(path: Path, pickled: bytes) -> None:
    path.write_bytes(described("'|O'") + pickled)
    with pytest.raises(UnsafeData, match="Python objects that cannot be made here"):
        load_file(path, execute_code_in_the_file=True)


def test_numbers_and_damage_stay_what_they_are_for_who_asks_for_code(path: Path) -> None:
    path.write_bytes(saved(np.arange(3.0)))
    assert load_file(path, execute_code_in_the_file=True).tolist() == [0, 1, 2]
    for content in (saved(np.arange(3.0))[:-1], pickle.dumps([1]), described("[('a', 'i4,O')]") + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(UnsafeData):
            load_file(path, execute_code_in_the_file=True)


# What is damaged, or something else


@pytest.mark.parametrize("cut", [1, 8, 200])
def test_a_truncated_file_says_how_much_is_missing(path: Path, cut: int) -> None:
    content = saved(np.zeros(100))
    assert f"is damaged: {cut} of its {len(content)} bytes are missing" in refused(path, content[:-cut])


@pytest.mark.parametrize("length", [6, 7, 8, 9, 10, 11, 40, 127])
def test_a_file_that_ends_within_its_header_is_damaged(path: Path, length: int) -> None:
    assert "ends within its header" in refused(path, saved(np.zeros(100))[:length])


def test_a_doubled_file_is_damaged(path: Path) -> None:
    assert "a second array follows" in refused(path, saved(np.zeros(3)) * 2)


def test_a_file_with_a_tail_is_damaged(path: Path) -> None:
    assert "ends after 152 bytes, and 5 more follow" in refused(path, saved(np.zeros(3)) + b"12345")


def test_an_empty_file_is_called_empty(path: Path) -> None:
    assert "is empty (0 bytes)" in refused(path, b"")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "an HTML page"),
        (b"\n  <HTML><head><title>Sign in</title>", "an HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
        (b"\x1f\x8b\x08" + bytes(20), "a gzip archive"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"MATLAB 5.0 MAT-file", "a MATLAB file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"1.0 2.0 3.0\n", "not an array: it begins with b'1.0 2.0 '"),
        (b"\x93NUMPX" + bytes(100), "not an array"),
    ],
)
def test_something_else_is_called_what_it_is(path: Path, content: bytes, name: str) -> None:
    message = refused(path, content)
    assert name in message
    assert "Download it again" in message


def test_a_zip_archive_is_called_one(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", saved(np.zeros(3)))
    assert "is a zip archive" in refused(path, path.read_bytes())


# Headers


@pytest.mark.parametrize(
    "content",
    [
        header("{'descr': '<f8', 'fortran_order': False}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'more': 1}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'shape': (2,)}"),
        header("{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}"),
        header("{'descr': '<f8', 'fortran_order': None, 'shape': (1,)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': 1}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1.0,)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': ('1',)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (01,)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (18446744073709551616,)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)"),
        header("{'descr': '<f8' 'fortran_order': False, 'shape': (1,)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)} 1"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1 2)}"),
        header("{{'descr'}: '<f8'}"),
        header("{['descr']: '<f8'}"),
        header("__import__('os').system('true')"),
        header(b""),
        header(b"   \n"),
        header(b"(\0)"),
        header(b"\xff\xfe", (3, 0)),
        described("'<f8'", "(9223372036854775807, 9223372036854775807)"),
        described("'<f8'", "(0, 9223372036854775807, 9223372036854775807)"),
        described("'<f8'", "(99999999999999999999999,)"),
        described("[('a', '<f8'), ('a', '<f8')]"),
        described("'<U999999999'", "(999999999999,)"),
        described("'<f7'"),
        described("'<M8[7Q]'"),
        described("[('a', '<f8', 'b')]"),
        described("[('a', '<f8', (999999999999, 999999999999))]"),
    ],
)
def test_a_header_that_no_array_has_is_damaged(path: Path, content: bytes) -> None:
    assert "is damaged" in refused(path, content + bytes(8))


@pytest.mark.parametrize(
    "descr", ["'i4,f8'", "'(1000000,)f8'", "'a5'", "5", "{'a': 'b'}", "'float8'", "[('a',)]", "()"]
)
def test_types_beside_the_plain_ones_are_refused(path: Path, descr: str) -> None:
    assert "unknown type" in refused(path, described(descr) + bytes(8))


def test_elements_without_bytes_are_refused(path: Path) -> None:
    assert "elements of no bytes" in refused(path, described("'|V0'", "(999999999999,)"))


def test_an_unknown_version_is_refused(path: Path) -> None:
    assert "unknown array format 4.0" in refused(path, header("{}", (4, 0)))


def test_more_dimensions_than_numpy_has_are_refused(path: Path) -> None:
    assert "cannot be read as an array" in refused(path, described("'|u1'", f"({'1, ' * 100})") + b"1")


def test_a_long_header_is_refused_before_it_is_read(path: Path) -> None:
    assert "has a header of 4294967295 bytes" in refused(path, npy.MAGIC + b"\2\0" + b"\xff" * 4 + bytes(1000))


@pytest.mark.parametrize(
    "text",
    [
        "-" * 9_900 + "1",
        "(" * 9_900,
        "[" * 4_900 + "]" * 4_900,
        "'" + "\\" * 9_900,
        "{'a':" * 1_900,
        "1" * 9_900,
        " " * 9_900,
    ],
)
def test_a_malicious_header_costs_little(path: Path, text: str) -> None:
    begin = time.perf_counter()
    refused(path, header(text))
    assert time.perf_counter() - begin < 1


LITERALS = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.text(max_size=5), st.none(), st.sampled_from(["<f8", "|O", "descr"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.sampled_from(["descr", "shape", "fortran_order", "a"]), inner, max_size=4),
    ),
    max_leaves=20,
)
HEADERS = st.one_of(
    st.binary(max_size=200),
    LITERALS.map(repr).map(lambda text: text.encode("utf-8", "replace")),
    st.fixed_dictionaries({"descr": LITERALS, "fortran_order": st.booleans(), "shape": LITERALS})
    .map(repr)
    .map(lambda text: text.encode("utf-8", "replace")),
    st.lists(st.sampled_from([*"[](){}:,'\"\\ 01TrueFalseOf8<|", "True", "'shape'", "'descr'"]), max_size=60)
    .map("".join)
    .map(str.encode),
)


def array_or_error(path: Path) -> None:
    """Read a file: it gives what NumPy reads in it, or an error of ours; and so it does from a stream."""
    try:
        found = load_file(path)
    except OneError as error:
        str(error).encode()  # printable, whatever the file holds
        with pytest.raises(OneError):
            npy.read_array(io.BytesIO(path.read_bytes()), path.stat().st_size, path)
    else:
        same_as_numpy(path, found)
        same_as_numpy(path, npy.read_array(io.BytesIO(path.read_bytes()), path.stat().st_size, path))


@settings(ONE_FOLDER, max_examples=500)
@given(raw=HEADERS, version=st.sampled_from([(1, 0), (2, 0), (3, 0), (9, 9)]), data=st.binary(max_size=40))
@example(raw=b"{'descr': '\\ud800', 'fortran_order': True, 'shape': ()}", version=(1, 0), data=b"")
@example(raw=b"{'descr': '\\U0010ffff', 'fortran_order': True, 'shape': ()}", version=(1, 0), data=b"")
def test_a_header_of_any_bytes_gives_an_array_or_an_error_of_ours(
    path: Path, raw: bytes, version: tuple[int, int], data: bytes
) -> None:
    path.write_bytes(header(raw, version) + data)
    array_or_error(path)


@ONE_FOLDER
@given(content=st.binary(max_size=100))
def test_a_file_of_any_bytes_gives_an_error_of_ours(path: Path, content: bytes) -> None:
    with pytest.raises(OneError):
        load(path, content)


@settings(ONE_FOLDER, max_examples=300)
@given(content=st.binary(max_size=300))
def test_any_bytes_behind_the_mark_give_an_array_or_an_error_of_ours(path: Path, content: bytes) -> None:
    path.write_bytes(npy.MAGIC + content)
    array_or_error(path)


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@settings(ONE_FOLDER, max_examples=300)
@given(
    array=hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    changes=st.lists(
        st.tuples(st.integers(0, 150), st.integers(0, 255) | st.sampled_from(b"0123456789,()'")), max_size=3
    ),
    cut=st.integers(0, 3),
    more=st.binary(max_size=3),
)
def test_a_changed_file_gives_an_array_or_an_error_of_ours(
    path: Path, array: np.ndarray[Any, Any], changes: list[tuple[int, int]], cut: int, more: bytes
) -> None:
    content = bytearray(saved(array))
    for position, value in changes:
        content[position % len(content)] = value
    path.write_bytes(content[: len(content) - cut] + more)
    array_or_error(path)


# Memory


@needs_linux
def test_no_refusal_takes_much_memory(tmp_path: Path) -> None:
    gigabytes = described("'<f8'", "(500000000,)")
    bad = {
        "minus": npy.MAGIC + b"\1\0" + struct.pack("<H", 20_000) + b"-" * 20_000,
        "minus-short": header("-" * 9_000),
        "long": npy.MAGIC + b"\2\0" + b"\xff" * 4 + bytes(1000),
        "shape": described("'<f8'", "(18446744073709551616,)") + bytes(100),
        "product": described("'<f8'", "(4294967296, 4294967296, 0)") + bytes(100),
        "no-bytes": described("'|V0'", "(1000000000000000,)"),
        "wide": described("'<U99999999'", "(2,)") + bytes(100),
        "field": described("[('a', '<f8', (99999999,))]") + bytes(100),
        "html": b"<html>" + bytes(1000),
        "zip": b"PK\3\4" + bytes(1000),
        "empty": b"",
        "truncated": gigabytes + bytes(1000),
        "doubled": saved(np.zeros(100)) * 2,
        "tailed": saved(np.zeros(100)) + b"1",
        "objects": described("[('a', '<f8'), ('b', [('c', '|O')])]") + bytes(100),
        "nested": header("(" * 9_900),
        "fields": header("{'descr': [" + "('a','<f8')," * 700 + "], 'fortran_order': False, 'shape': (3,)}"),
    }
    for name, content in bad.items():
        (tmp_path / f"{name}.npy").write_bytes(content)
    with (tmp_path / "large.npy").open("wb") as file:
        file.write(gigabytes)
        file.truncate(4_000_000_000 + len(gigabytes) + 1)  # a hole, with one byte too many
    np.save(tmp_path / "good.npy", np.zeros(3))
    check_refusals([tmp_path / "good.npy"], [tmp_path / f"{name}.npy" for name in ("large", *bad)])


def test_real_files_are_read_as_numpy_reads_them() -> None:
    if not REAL.is_dir():
        pytest.skip(f"no real recordings at {REAL}")
    files = sorted(REAL.rglob("*.npy"))
    for file in files:
        found, expected = load_file(file), np.load(file)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    assert files
