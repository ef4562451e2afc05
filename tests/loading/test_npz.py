"""Archives of arrays come back as NumPy wrote them; one that is a bomb, lies or hides something is refused."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peaks import check_refusals, needs_linux

from onelight.errors import OneError, UnsafeData
from onelight.loading import Bunch, load_file, npz

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def saved(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, content in members.items():
            made.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clusters.waveforms.npz"


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UnsafeData) as caught:
        load_file(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return str(caught.value)


# Round trips


ARRAYS: dict[str, Any] = {
    "x": np.arange(6.0).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "empty": np.zeros((0, 4)),
    "one": np.array(3.5),
    "text": np.array(["größe", "b"]),
    "fields": np.zeros(2, [("a", "<f8"), ("b", ">i2")]),
    "items": np.array([True, False]),
    "group/inner": np.array(["2016-12-14", "NaT"], "<M8[D]"),
    "noise": np.random.default_rng(0).integers(0, 9, 700_000),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_by_name_and_in_order(path: Path, save: Any) -> None:
    save(path, **ARRAYS)
    found = load_file(path)
    assert isinstance(found, Bunch)
    assert list(found) == list(ARRAYS)
    for name, expected in ARRAYS.items():
        assert found[name].dtype == expected.dtype
        assert found[name].shape == expected.shape
        assert found[name].flags.f_contiguous == expected.flags.f_contiguous
        assert found[name].flags.writeable
        np.testing.assert_array_equal(found[name], expected)


def test_an_array_without_a_name_has_a_number(path: Path) -> None:
    np.savez(path, np.arange(2), np.arange(3))
    assert {name: len(array) for name, array in load_file(path).items()} == {"arr_0": 2, "arr_1": 3}


def test_an_archive_without_arrays_is_empty(path: Path) -> None:
    np.savez(path)
    assert load_file(path) == Bunch()


def test_an_archive_that_was_written_into_a_pipe_is_read(path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *args: int) -> int:
            raise OSError(29, "Illegal seek")

        tell = seek

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as made, made.open("a.npy", "w", force_zip64=True) as file:
        file.write(saved(np.arange(5)))  # the sizes stand behind the member
    path.write_bytes(pipe.getvalue())
    assert load_file(path)["a"].tolist() == [0, 1, 2, 3, 4]


def test_an_archive_with_eight_byte_numbers_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    np.savez(path, a=np.arange(5), b=np.arange(3))
    assert b"PK\6\6" in path.read_bytes()
    assert [len(array) for array in load_file(path).values()] == [5, 3]


# Python objects


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def test_no_object_is_made_unless_it_is_asked_for_by_its_name(path: Path) -> None:
    bomb = Bomb(path.with_name("exploded"))
    np.savez(path, good=np.arange(3), bad=np.array([bomb, 1], dtype=object))
    message = refused(path, path.read_bytes())
    assert f"{path / 'bad.npy'} contains Python objects" in message
    assert "pickle" not in message
    assert not bomb.marker.exists()
    found = load_file(path, execute_code_in_the_file=True)
    assert found.good.tolist() == [0, 1, 2]
    assert found.bad[1] == 1
    assert bomb.marker.exists()


@pytest.mark.parametrize("name", ["bad.npy", "bad.pkl", "bad"])
def test_a_member_that_is_a_pickle_is_refused(path: Path, name: str) -> None:
    bomb = Bomb(path.with_name("exploded"))
    assert "a Python pickle" in refused(path, archive({name: pickle.dumps(bomb)}))
    assert not bomb.marker.exists()


# Members that no array has


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_bomb_is_refused_before_it_is_unpacked(path: Path, method: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "LARGE", 1_000_000)
    content = archive({"a.npy": saved(np.zeros(250_000)), "b.npy": saved(np.zeros(250_000))}, method)
    if method == zipfile.ZIP_STORED:
        path.write_bytes(content)
        assert len(load_file(path)) == 2  # as large as its file
    else:
        assert "would take 4000256 in memory" in refused(path, content)


def test_ten_thousand_members_are_the_limit(path: Path) -> None:
    member = saved(np.zeros(0))
    path.write_bytes(archive({f"a{i}.npy": member for i in range(10_000)}))
    assert len(load_file(path)) == 10_000
    assert "beyond the limits of 10000 members" in refused(path, archive({f"a{i}.npy": b"" for i in range(10_001)}))


def test_a_directory_of_endless_names_is_refused(path: Path) -> None:
    content = archive({f"{i}{'a' * 60_000}.npy": b"" for i in range(70)})
    assert "beyond the limits" in refused(path, content)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a.npy", "a.npy"), ("a.npy", "a")])
def test_two_members_of_one_name_are_refused(path: Path, names: tuple[str, str]) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, saved(np.zeros(2)))
    assert "two members of the name 'a'" in refused(path, file.getvalue())


@pytest.mark.parametrize(
    "name",
    ["../a.npy", "a/../../b.npy", "/etc/a.npy", "C:/a.npy", "C:a.npy", "..", "a//b.npy", "./a.npy", "a/", ".npy"],
)
def test_a_name_that_leads_elsewhere_is_refused(path: Path, name: str) -> None:
    assert "which no array has" in refused(path, archive({name: saved(np.zeros(2))}))
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", [b"a\\b.npy", b"a\nb.npy", b"a\0b.npy", b"a\x1b.npy"])
def test_a_name_with_odd_characters_is_refused(path: Path, name: bytes) -> None:
    content = archive({"x" * len(name): saved(np.zeros(2))}).replace(b"x" * len(name), name)
    assert "which no array has" in refused(path, content)


def test_a_name_that_is_not_utf_8_is_damaged(path: Path) -> None:
    content = archive({"größe.npy": saved(np.zeros(2))}).replace("größe".encode(), b"gr\xff\xff\xff\xffe"[:7])
    assert "not UTF-8" in refused(path, content)


def test_a_member_that_is_no_array_is_refused(path: Path) -> None:
    message = refused(path, archive({"a.npy": saved(np.zeros(2)), "readme.txt": b"Hello, world"}))
    assert "readme.txt.npy is not an array: it begins with b'Hello, w'" in message
    assert "is an HTML page" in refused(path, archive({"a.npy": b"<html>"}))
    assert "is empty" in refused(path, archive({"a.npy": b""}))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(path: Path, method: int) -> None:
    assert f"NumPy's ({method})" in refused(path, archive({"a.npy": saved(np.zeros(2))}, method))


def test_an_encrypted_archive_is_refused(path: Path) -> None:
    content = bytearray(archive({"a.npy": saved(np.zeros(2))}))
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    assert "is encrypted" in refused(path, bytes(content))


@pytest.mark.parametrize("change", [{"shape": (3,)}, {"shape": (1,)}, {"tail": b"1"}, {"cut": 1}])
def test_a_member_of_another_size_than_its_header_says_is_damaged(path: Path, change: dict[str, Any]) -> None:
    content = saved(np.zeros(2)).replace(b"(2,)", str(change.get("shape", (2,))).encode())
    content = content[: len(content) - change.get("cut", 0)] + change.get("tail", b"")
    assert "a.npy is damaged" in refused(path, archive({"a.npy": content}, zipfile.ZIP_DEFLATED))


# Archives that are not whole, or lie


GOOD = archive({"a.npy": saved(np.arange(50)), "b.npy": saved(np.arange(20))}, zipfile.ZIP_DEFLATED)
STORED = archive({"a.npy": saved(np.arange(50)), "b.npy": saved(np.arange(20))})


def changed(content: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    """Write bytes at an offset behind the first occurrence of a mark."""
    position = content.index(mark) + offset
    return content[:position] + value + content[position + len(value) :]


def directory_and_member(field: int, member: int, value: int, content: bytes = GOOD) -> bytes:
    """Write a number into the first line of the directory and the beginning of its member."""
    number = struct.pack("<I", value)
    return changed(changed(content, b"PK\1\2", field, number), b"PK\3\4", member, number)


def test_a_wrong_checksum_is_damage(path: Path) -> None:
    assert "a.npy is damaged: its checksum is wrong" in refused(path, directory_and_member(16, 14, 1))
    flipped = changed(STORED, saved(np.arange(20))[-8:], 0, b"\1")
    assert "checksum is wrong" in refused(path, flipped)


def test_a_directory_that_says_something_else_than_its_member_is_refused(path: Path) -> None:
    for content in (
        changed(GOOD, b"PK\1\2", 16, struct.pack("<I", 1)),  # checksum
        changed(GOOD, b"PK\1\2", 20, struct.pack("<I", 1)),  # packed
        changed(GOOD, b"PK\1\2", 24, struct.pack("<I", 1)),  # unpacked
        changed(GOOD, b"PK\1\2", 10, struct.pack("<H", 0)),  # method
        changed(GOOD, b"PK\1\2", 46, b"c"),  # name
        changed(GOOD, b"PK\3\4", 30, b"c"),
    ):
        assert "says something else" in refused(path, content)


def test_a_member_that_is_longer_than_stated_is_refused(path: Path) -> None:
    size = len(saved(np.arange(50)))
    short = saved(np.arange(49))
    lying = directory_and_member(16, 14, zlib.crc32(short), directory_and_member(24, 22, size - 8))
    assert "is damaged" in refused(path, lying)  # zipfile returns the beginning
    lying = directory_and_member(24, 22, size + 8)
    assert "is damaged" in refused(path, lying)
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(saved(np.arange(50)) + b"more") + packer.flush()
    whole = archive({"a.npy": packed})
    whole = changed(changed(whole, b"PK\1\2", 10, b"\x08"), b"PK\3\4", 8, b"\x08")
    whole = directory_and_member(24, 22, size, directory_and_member(16, 14, zlib.crc32(saved(np.arange(50))), whole))
    assert "does not end where" in refused(path, whole)


def test_bytes_behind_the_end_of_a_compressed_member_are_refused(path: Path) -> None:
    packer = zlib.compressobj(wbits=-15)
    content = saved(np.arange(50))
    whole = archive({"a.npy": packer.compress(content) + packer.flush() + b"hidden"})
    whole = changed(changed(whole, b"PK\1\2", 10, b"\x08"), b"PK\3\4", 8, b"\x08")
    whole = directory_and_member(24, 22, len(content), directory_and_member(16, 14, zlib.crc32(content), whole))
    assert "does not end where" in refused(path, whole)


def test_members_in_the_same_place_are_refused(path: Path) -> None:
    first = GOOD.index(b"PK\1\2")
    second = GOOD.index(b"PK\1\2", first + 1)
    assert "do not lie one behind the other" in refused(
        path,
        changed(GOOD[:second], b"PK\1\2", 42, b"\0") + (changed(GOOD[second:], b"PK\1\2", 42, struct.pack("<I", 0))),
    )
    beyond = changed(GOOD[:second], b"PK\1\2", 42, struct.pack("<I", 10**9)) + GOOD[second:]
    assert "do not lie one behind the other" in refused(path, beyond)
    assert "goes on into the directory" in refused(path, directory_and_member(20, 18, 10**6))


def test_an_archive_that_ends_early_is_damaged(path: Path) -> None:
    for cut in (1, 10, 21, 22, 23, 60, 300):
        assert "is damaged" in refused(path, GOOD[:-cut])


def test_what_follows_or_precedes_an_archive_is_not_ignored(path: Path) -> None:
    for content in (GOOD + b"more", GOOD + GOOD, b"PK\3\4" + GOOD, GOOD[:-2] + b"\2\0hi"):
        assert "is damaged" in refused(path, content)


def test_an_archive_within_a_comment_is_not_read(path: Path) -> None:
    comment = archive({"c.npy": saved(np.zeros(2))})
    assert "is damaged" in refused(path, GOOD[:-2] + struct.pack("<H", len(comment)) + comment)


def test_something_else_is_called_what_it_is(path: Path) -> None:
    assert "is empty" in refused(path, b"")
    assert "an HTML page" in refused(path, b"<html>")
    assert "a NumPy array" in refused(path, saved(np.zeros(2)))
    assert "not an archive of arrays: it begins with b'hello'" in refused(path, b"hello")


@settings(ONE_FOLDER, max_examples=500)
@given(
    content=st.sampled_from([GOOD, STORED]),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=3),
    cut=st.integers(0, 3),
)
def test_a_changed_archive_gives_the_same_arrays_or_an_error_of_ours(
    path: Path, content: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    mutated = bytearray(content)
    for position, value in changes:
        mutated[-1 - position % len(content)] = value
    path.write_bytes(mutated[: len(mutated) - cut])
    try:
        found = load_file(path)
    except OneError as error:
        str(error).encode()
    else:
        assert [array.tolist() for array in found.values()] == [list(range(50)), list(range(20))]


@ONE_FOLDER
@given(content=st.binary(max_size=200))
def test_any_bytes_behind_the_mark_give_an_error_of_ours(path: Path, content: bytes) -> None:
    path.write_bytes(b"PK\3\4" + content)
    with pytest.raises(OneError):
        load_file(path)


# Memory


def packed_zeros(stated: int, size: int) -> bytes:
    """Return an archive of a few megabytes, with an array of so many bytes that in truth has another size."""
    start = saved(np.zeros(0, "u1")).replace(b"(0,), }         ", f"({stated},), }}".encode().ljust(16))
    packer = zlib.compressobj(wbits=-15)
    begin = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)  # means the same wherever it stands
    content = archive({"a.npy": begin + zeros * (size // 1_000_000) + packer.flush()})
    content = changed(changed(content, b"PK\1\2", 10, b"\x08"), b"PK\3\4", 8, b"\x08")
    return directory_and_member(24, 22, len(start) + stated, content)


@needs_linux
def test_no_refusal_takes_much_memory(tmp_path: Path) -> None:
    many = archive({f"a{i}.npy": b"" for i in range(60_000)})
    bad = {
        "bomb": packed_zeros(2_000_000_000, 2_000_000_000),
        "hidden-bomb": packed_zeros(20_000_000, 2_000_000_000),
        "many": many,
        "many-hidden": many[:-14] + struct.pack("<2H", 1, 1) + many[-10:],
        "names": archive({f"{i}{'a' * 60_000}.npy": b"" for i in range(300)}),
    }
    for name, content in bad.items():
        (tmp_path / f"{name}.npz").write_bytes(content)
    np.savez(tmp_path / "good.npz", np.zeros(3))
    check_refusals([tmp_path / "good.npz"], [tmp_path / f"{name}.npz" for name in bad])
