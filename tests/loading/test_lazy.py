"""A slice of an array in a file is what NumPy gives for the same index, and costs the bytes that it needs."""

from __future__ import annotations

import gc
import io
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onelight.errors import AlfError, OneError, RepositoryError, UnsafeData
from onelight.loading import lazy, npy
from onelight.loading.lazy import LazyArray, RawArray, open_array

NAME = Path("ephys.raw.npy")
ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


class Counted(io.RawIOBase):
    """A file in memory that notes what is read, and gives no more than so much of it at once."""

    def __init__(self, content: bytes, most: int = 1 << 30) -> None:
        super().__init__()
        self.content = content
        self.most = most
        self.reads: list[tuple[int, int]] = []
        self._at = 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = offset if whence == 0 else len(self.content) + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        data = self.content[self._at : self._at + min(len(buffer), self.most)]
        buffer[: len(data)] = data
        if self.reads and sum(self.reads[-1]) == self._at and self.most < 1 << 30:
            self.reads[-1] = (self.reads[-1][0], self.reads[-1][1] + len(data))
        else:
            self.reads.append((self._at, len(data)))
        self._at += len(data)
        return len(data)


def saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def opened(array: Any, most: int = 1 << 30) -> tuple[LazyArray, Counted]:
    """Return the array in a file, and the file, as if nothing had been read of it."""
    file = Counted(saved(array), most)
    found = open_array(file, NAME)
    file.reads.clear()
    return found, file


def same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


# Any index gives what it gives in memory

TYPES = st.sampled_from(
    ["<i2", ">i2", "<f8", ">f4", "u1", "?", "<c8", "<U3", "S2", "<M8[s]", [("a", "<i2"), ("b", ">f8", (2,))], "<f2"]
)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))
    dtype = np.dtype(draw(TYPES))
    raw = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 100, int(np.prod(shape)) * dtype.itemsize)
    array = np.frombuffer(raw.astype(np.uint8).tobytes(), dtype).reshape(shape)
    if dtype.kind == "b":
        array = array.view(np.uint8) % 2 == 0
    if dtype.kind == "U":
        array = raw[: array.size].astype(dtype).reshape(shape)
    return np.asarray(array, order=draw(st.sampled_from("CF")))


@st.composite
def lists(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """An index with one list of positions in it, or of truth values."""
    axis = draw(st.integers(0, len(shape) - 1))
    length = shape[axis]
    if draw(st.booleans()):
        listed: Any = draw(hnp.arrays(bool, (length,)))
    elif length:
        sizes = hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4)
        listed = draw(hnp.arrays(np.intp, sizes, elements=st.integers(-length, length - 1)))
    else:
        listed = []
    before = draw(hnp.basic_indices(shape[:axis], allow_newaxis=True)) if axis else ()
    after = draw(hnp.basic_indices(shape[axis + 1 :], allow_newaxis=True)) if axis + 1 < len(shape) else ()
    before = before if isinstance(before, tuple) else (before,)
    after = after if isinstance(after, tuple) else (after,)
    named = sum(each is not None and each is not Ellipsis for each in before)
    if any(each is Ellipsis for each in before):
        # An index has one ellipsis: what a second one would stand for is written out in its place.
        rest = len(shape) - axis - 1 - sum(each is not None and each is not Ellipsis for each in after)
        place = next((place for place, each in enumerate(after) if each is Ellipsis), len(after))
        after = (*after[:place], *[slice(None)] * rest, *after[place + 1 :])
    else:
        before += (slice(None),) * (axis - named)
    return (*before, listed, *after)


@pytest.mark.parametrize("gap", [0, 24, lazy.GAP])
@pytest.mark.parametrize("piece", [16, lazy.PIECE])
@given(data=st.data(), array=arrays(), most=st.sampled_from([1 << 30, 7]))
@ONE_FOLDER
def test_any_basic_index_gives_what_numpy_gives(
    data: st.DataObject, array: Any, most: int, gap: int, piece: int
) -> None:
    index = data.draw(hnp.basic_indices(array.shape, allow_newaxis=True))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lazy, "GAP", gap)
        patched.setattr(lazy, "PIECE", piece)
        with opened(array, most)[0] as found:
            same(found[index], array[index])


@pytest.mark.parametrize("gap", [0, 24, lazy.GAP])
@pytest.mark.parametrize("piece", [16, lazy.PIECE])
@given(data=st.data(), array=arrays().filter(lambda array: array.ndim))
@ONE_FOLDER
def test_a_list_in_an_index_gives_what_numpy_gives(data: st.DataObject, array: Any, gap: int, piece: int) -> None:
    index = data.draw(lists(array.shape))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lazy, "GAP", gap)
        patched.setattr(lazy, "PIECE", piece)
        with opened(array)[0] as found:
            expected = array[index]
            assert found[index].dtype == expected.dtype
            assert found[index].shape == expected.shape
            assert found[index].tobytes() == expected.tobytes()


@given(array=arrays())
@example(np.zeros((0, 3), ">f4"))
@example(np.array(7.5))
@settings(deadline=None)
def test_all_of_it_is_the_array(array: Any) -> None:
    with opened(array)[0] as found:
        assert (found.shape, found.dtype, found.ndim) == (array.shape, array.dtype, array.ndim)
        assert (found.size, found.nbytes) == (array.size, array.nbytes)
        same(np.asarray(found), array)
        same(np.array(found, copy=True), array)


WRONG: list[Any] = [
    9, -10, (0, 3), (0, 0, 0), 1.5, "a", (slice(None), 4), (..., ...), slice(1.5), slice(0, 5, 0), [9], [[-10]],
    [1.5], [True], np.ones(8, bool), np.ones((9, 4), bool), True, np.True_, np.array(1.5), (slice(None), [0, 3]),
    ([0], 3), ([0], 0, 0), {}, np.array([2**64 - 1], np.uint64),
]  # fmt: skip


@pytest.mark.parametrize("index", WRONG, ids=repr)
def test_a_wrong_index_is_the_error_of_numpy(index: Any) -> None:
    array = np.arange(27.0).reshape(9, 3)
    found, _ = opened(array)
    try:
        array[index]
    except (IndexError, TypeError, ValueError) as error:
        expected: type[Exception] = type(error)
    else:
        expected = IndexError  # truth values of another kind than one for each position
    with pytest.raises(expected):
        found[index]


def test_two_lists_in_one_index_are_too_many() -> None:
    with pytest.raises(IndexError, match="read a slice, and index that"):
        opened(np.zeros((3, 3)))[0][[0, 1], [0, 1]]


def test_a_number_is_a_number_and_a_row_of_fields_a_row() -> None:
    found, _ = opened(np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]))
    assert found[0].tolist() == (1, 2.5)
    assert isinstance(opened(np.arange(3.0))[0][1], np.float64)
    assert opened(np.arange(3.0))[0][1, ...].shape == ()
    assert isinstance(opened(np.array(3.0))[0][()], np.float64)


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_given_one_by_one(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy, "_ROWS", 100)
    array = np.asarray(np.arange(60.0).reshape(20, 3), order=order)  # type: ignore[call-overload]
    assert np.array_equal(np.stack(list(opened(array)[0])), array)
    assert list(opened(np.arange(40))[0]) == list(range(40))
    assert list(opened(np.zeros((0, 3)))[0]) == []


def test_what_has_no_dimension_has_no_length() -> None:
    found, _ = opened(np.array(1.5))
    with pytest.raises(TypeError, match="unsized"):
        len(found)
    with pytest.raises(TypeError, match="0-d"):
        iter(found)
    assert len(opened(np.zeros((7, 2)))[0]) == 7


def test_an_array_can_have_another_type_and_is_always_a_copy() -> None:
    found, _ = opened(np.arange(3))
    same(np.asarray(found, np.float32), np.arange(3, dtype=np.float32))
    with pytest.raises(ValueError, match="copied"):
        found.__array__(copy=False)
    assert float(np.mean(found)) == 1.0
    assert "ephys.raw.npy" in repr(found)
    assert "int64" in repr(found)
    assert "(3,)" in repr(found)


# Only what is needed is read


def test_rows_are_one_read_of_their_bytes() -> None:
    found, file = opened(np.zeros((100_000, 10), "<i2"))
    found[1_000:2_000]
    assert file.reads == [(128 + 20_000, 20_000)]


def test_rows_of_a_fortran_array_are_one_read_for_each_column() -> None:
    found, file = opened(np.zeros((100_000, 2), order="F"))
    found[1_000:2_000]
    assert file.reads == [(128 + 8_000, 8_000), (128 + 808_000, 8_000)]
    file.reads.clear()
    found[:, 1]
    assert file.reads == [(128 + 800_000, 800_000)]


def test_a_column_is_read_in_pieces_with_what_lies_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy, "PIECE", 1_000_000)
    array = np.arange(1_000_000, dtype="<i2").reshape(10_000, 100)
    found, file = opened(array)
    same(found[:, 7], array[:, 7])
    assert max(length for _, length in file.reads) <= 1_000_000
    assert len(file.reads) == 2
    file.reads.clear()
    same(found[5_000:, [3, 99, 3]], array[5_000:, [3, 99, 3]])
    assert sum(length for _, length in file.reads) <= 1_000_000


def test_elements_far_apart_are_read_one_by_one() -> None:
    array = np.arange(1_000_000.0)
    found, file = opened(array)
    same(found[::100_000], array[::100_000])
    assert [length for _, length in file.reads] == [8] * 10
    file.reads.clear()
    same(found[[999_999, 5, 5, 6, -4]], array[[999_999, 5, 5, 6, -4]])
    assert file.reads == [(128 + 40, 16), (128 + 999_996 * 8, 32)]


def test_whole_frames_are_read_and_no_others() -> None:
    found, file = opened(np.zeros((50, 300, 300), "u1"))
    found[::20]
    assert [length for _, length in file.reads] == [90_000] * 3
    file.reads.clear()
    found[3, 100:200]
    assert file.reads == [(128 + 3 * 90_000 + 30_000, 30_000)]


def test_steps_backwards_read_what_steps_forward_read() -> None:
    array = np.arange(3_000.0).reshape(1_000, 3)
    found, file = opened(array)
    same(found[900:100:-1], array[900:100:-1])
    assert file.reads == [(128 + 101 * 24, 800 * 24)]


def test_nothing_costs_nothing() -> None:
    found, file = opened(np.zeros((100, 3)))
    assert found[50:50].shape == (0, 3)
    assert found[:, 3:].shape == (100, 0)
    assert found[np.zeros(100, bool)].shape == (0, 3)
    assert not file.reads


@pytest.mark.parametrize(("index", "pieces"), [(999, 1.1), ([0, 500], 2.1)], ids=["column", "list"])
def test_the_memory_for_what_is_left_out_is_bounded(tmp_path: Path, index: Any, pieces: float) -> None:
    path = tmp_path / "ephys.raw.bin"
    with path.open("wb") as stream:
        stream.truncate(2_000_000_000)
    metadata = {"dtype": "int16", "shape": [-1, 1_000]}
    with open_array(path.open("rb", buffering=0), path, metadata=metadata) as found:
        tracemalloc.start()
        try:
            assert len(found[:200_000, index]) == 200_000
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < pieces * lazy.PIECE


# Files


def local(path: Path) -> LazyArray:
    return open_array(path.open("rb", buffering=0), path)


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_local_file_is_closed_when_nobody_has_the_array_any_more(tmp_path: Path, buffering: int) -> None:
    path = tmp_path / "spikes.times.npy"
    np.save(path, np.arange(5))
    file = path.open("rb", buffering=buffering)
    found = open_array(file, path)
    assert found[1:3].tolist() == [1, 2]
    del found
    gc.collect()
    assert file.closed


def test_a_closed_array_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spikes.times.npy"
    np.save(path, np.arange(5))
    with local(path) as found:
        assert found[0] == 0
    with pytest.raises(ValueError, match="closed"):
        found[0]
    found.close()


def test_a_file_that_becomes_shorter_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "spikes.times.npy"
    np.save(path, np.arange(5))
    with local(path) as found:
        os.truncate(path, 150)
        assert found[0] == 0
        with pytest.raises(UnsafeData, match="18 bytes too early"):
            found[:]


def test_a_disk_that_fails_is_told() -> None:
    class Broken(Counted):
        def readinto(self, buffer: Any, /) -> int:
            raise OSError(5, "Input/output error")

    with pytest.raises(RepositoryError, match="Input/output error"):
        open_array(Broken(b""), NAME)
    with (
        RawArray(Broken(b""), np.dtype("u1"), (3,), "C", 0, "a") as found,
        pytest.raises(RepositoryError, match="disk"),
    ):
        found[0]


@pytest.mark.parametrize("wrap", [lambda path: path.open("rb", buffering=0), lambda path: path.open("rb")])
def test_threads_do_not_disturb_each_other(tmp_path: Path, wrap: Callable[[Path], Any]) -> None:
    path = tmp_path / "spikes.times.npy"
    np.save(path, np.arange(100_000))
    wrong: list[int] = []
    with open_array(wrap(path), path) as found:

        def look(number: int) -> None:
            places = range(number, 100_000, 997)
            wrong.extend(at for at in places if found[at] != at or found[at : at + 50][0] != at)

        threads = [threading.Thread(target=look, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork") or not hasattr(os, "preadv"), reason="needs fork and preadv")
def test_a_forked_process_does_not_move_the_place_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spikes.times.npy"
    np.save(path, np.arange(10_000))
    with local(path) as found:
        before = os.lseek(found._file.fileno(), 0, os.SEEK_CUR)  # type: ignore[attr-defined]
        assert found[9_000] == 9_000
        assert os.lseek(found._file.fileno(), 0, os.SEEK_CUR) == before  # type: ignore[attr-defined]


# What is not an array


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<html><title>Log in</title>", "HTML page"),
        (saved(np.arange(5))[:-1], "1 of its 168 bytes are missing"),
        (saved(np.arange(5)) + b"!", "1 more follow"),
        (saved(np.array([None])), "Python objects"),
        (npy.MAGIC + b"\1\0\xff\xff", "header of 65535 bytes"),
        (saved(np.zeros((1,) * 10))[:60], "ends within its header"),
    ],
)
def test_a_file_that_is_no_array_is_refused_as_it_is_when_it_is_loaded(content: bytes, message: str) -> None:
    with pytest.raises(UnsafeData, match=message) as caught:
        open_array(Counted(content), NAME)
    assert "ephys.raw.npy" in caught.value.message
    assert caught.value.hint


def test_more_dimensions_than_numpy_has_are_refused() -> None:
    text = f"{{'descr': '<i2', 'fortran_order': False, 'shape': ({'1, ' * 100}), }}\n".encode()
    content = npy.MAGIC + b"\1\0" + len(text).to_bytes(2, "little") + text + b"\0\0"
    with pytest.raises(UnsafeData, match="cannot be read as an array"):
        open_array(Counted(content), NAME)


def test_a_header_is_one_read_of_a_few_bytes() -> None:
    file = Counted(saved(np.zeros(100_000)))
    open_array(file, NAME)
    assert len(file.reads) == 1
    assert file.reads[0][1] < 16_384


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_flat_file_is_what_its_metadata_say(order: str) -> None:
    array = np.arange(12, dtype="<i2").reshape(4, 3)
    metadata = {"dtype": "int16", "shape": [4, 3], "order": order}
    with open_array(Counted(array.tobytes(order)), Path("ephys.raw.bin"), metadata=metadata) as found:  # type: ignore[arg-type]
        same(found[1:3], array[1:3])


@pytest.mark.parametrize(
    ("name", "metadata", "kind", "message"),
    [
        ("ephys.raw.bin", None, AlfError, "nothing says what its bytes are"),
        ("ephys.raw.dat", {"units": "uV"}, AlfError, "nothing says what its bytes are"),
        ("ephys.raw.bin", {"dtype": "object"}, UnsafeData, "objects"),
        ("ephys.raw.bin", {"dtype": "int16", "shape": [5, 3]}, UnsafeData, "missing"),
        ("clusters.metrics.pqt", None, AlfError, "load_dataset"),
        ("camera.left", None, AlfError, "slices"),
    ],
)
def test_what_has_no_slices_is_told(name: str, metadata: Any, kind: type[OneError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        open_array(Counted(bytes(24)), Path(name), metadata=metadata)
    assert name in caught.value.message
    assert caught.value.hint


def test_a_page_in_place_of_a_recording_is_refused() -> None:
    page = b"<!DOCTYPE html><html>" + bytes(21)
    with pytest.raises(UnsafeData, match="HTML"):
        open_array(Counted(page), Path("ephys.raw.bin"), metadata={"dtype": "int16"})
