"""A session as one tar: what tar and tarfile make of it, every byte of its reader, and the list of its members."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import random
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onelight import pack
from onelight.errors import ChecksumMismatch, Interrupted, OneError, RepositoryError, SizeMismatch, UnsafeData
from onelight.index import EMPTY_MD5, Entry, Index
from onelight.kinds.localfile import SMALL, LocalFile, Reading
from onelight.pack import (
    PACK_NAME,
    Member,
    MemberRow,
    Pack,
    expand,
    is_pack,
    member_entry,
    merge_packs,
    packs_of,
    read_packs,
    span_of,
    split,
    write_packs,
)

SESSION = "lab/Subjects/Cori/2016-12-14/001"
OTHER = "lab/Subjects/Cori/2016-12-15/002"
URL = "https://example.org/files/123"
A, B, C = "a" * 32, "b" * 32, "c" * 32
SEVERAL = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])

# A part is short or long, ASCII or not; with several of them ustar's 155 and 100 bytes are passed.
PARTS = st.one_of(
    st.sampled_from(
        ["alf", "probe00", "spikes.times.npy", "#2024-05-06#", "e\u0301t\u00e9.npy", "\u8133.npy", "x" * 180]
    ),
    st.text("abcdefgh._~=-", min_size=1, max_size=60).map(lambda text: f"{text}o"),
)
BELOW = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
SIZES = st.one_of(st.sampled_from([0, 1, 511, 512, 513, 1024]), st.integers(0, 3000))


def content_of(path: str, size: int) -> bytes:
    return random.Random(path).randbytes(size)


def put(root: Path, path: str, content: bytes) -> Entry:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)
    return Entry(path, size=len(content), md5=hashlib.md5(content).hexdigest())


def one_of(root: Path, sizes: dict[str, int]) -> Pack:
    """Return the pack of files of these sizes in one session."""
    paths = [f"{SESSION}/{below}" for below in sizes]
    entries = [put(root, path, content_of(path, size)) for path, size in zip(paths, sizes.values(), strict=True)]
    [packed] = packs_of(entries, root)
    return packed


def bytes_of(packed: Pack) -> bytes:
    with packed.open() as reader:
        return reader.read()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    sizes = {"alf/a.npy": 700, "alf/b.npy": 0, "alf/c.npy": 512, "alf/d.npy": 40_000, f"alf/{'e' * 150}/f.npy": 5}
    return one_of(tmp_path_factory.mktemp("packed"), sizes)


class TestTheTar:
    @pytest.mark.skipif(os.name != "posix", reason="paths have to be short on Windows")
    @SEVERAL
    @given(sizes=st.dictionaries(BELOW, SIZES, min_size=1, max_size=8))
    def test_tarfile_reads_what_was_packed_and_each_member_lies_where_it_is_said_to(
        self, sizes: dict[str, int], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        # Where one name is a folder of another one, they cannot both be files.
        sizes = {
            name: size
            for name, size in sizes.items()
            if not any(f"{name}/" in f"{one}/" for one in sizes.keys() - {name})
        }
        if not sizes:
            return
        root = tmp_path_factory.mktemp("any")
        packed = one_of(root, sizes)
        data = bytes_of(packed)
        assert len(data) == packed.size
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = tar.getmembers()
            found = {member.name: tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]
        assert list(found) == sorted(found)
        assert found == {f"{SESSION}/{below}": content_of(f"{SESSION}/{below}", size) for below, size in sizes.items()}
        for member, stated in zip(packed.members, members, strict=True):
            assert (member.path, member.offset, member.size) == (stated.name, stated.offset_data, stated.size)
            assert data[member.offset : member.end] == (root / member.path).read_bytes()
            assert (stated.mode, stated.uid, stated.gid, stated.uname, stated.gname, stated.mtime) == (
                0o644,
                0,
                0,
                "",
                "",
                0,
            )
            assert stated.isreg()

    @pytest.mark.skipif(
        os.name != "posix" or not shutil.which("tar"), reason="there is no tar, or paths have to be short"
    )
    def test_tar_puts_every_file_where_it_belongs(self, tmp_path: Path) -> None:
        sizes = {
            "alf/spikes.times.npy": 5000,
            "alf/empty.data.npy": 0,
            "alf/#2024-05-06#/e\u0301t\u00e9.npy": 700,
            f"{'l' * 120}/{'o' * 120}/ng.npy": 512,
            f"{'p' * 90}.npy": 3,
        }
        packed = one_of(tmp_path / "root", sizes)
        (tmp_path / "out").mkdir()
        done = subprocess.run(
            ["tar", "xf", "-", "-C", str(tmp_path / "out")],
            input=bytes_of(packed),
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        assert (done.returncode, done.stderr) == (0, b"")
        there = {path.relative_to(tmp_path / "out"): path.read_bytes() for path in (tmp_path / "out").rglob("*.npy")}
        assert there == {
            path.relative_to(tmp_path / "root"): path.read_bytes() for path in (tmp_path / "root").rglob("*.npy")
        }
        assert len(there) == len(sizes)

    def test_a_file_of_more_than_ustar_can_say_is_said_by_pax(self) -> None:
        large = Entry(f"{SESSION}/alf/ephys.raw.bin", size=9 << 30, md5=A)
        last = Entry(f"{SESSION}/alf/z.npy", size=1, md5=B)
        [packed] = packs_of([large, last], Path("nowhere"))
        first, second = packed.members
        with tarfile.open(fileobj=io.BytesIO(pack._header(large.path, 9 << 30) + bytes(512))) as tar:
            member = tar.next()
        assert member is not None
        assert (member.size, member.offset_data) == (9 << 30, first.offset)
        assert second.offset == first.end + 512
        assert packed.size == second.offset + 512 + 1024

    def test_most_members_cost_one_header_and_no_more(self, tmp_path: Path) -> None:
        packed = one_of(tmp_path, {"alf/a.npy": 512, f"alf/{'b' * 60}/{'c' * 60}.npy": 512})
        assert [member.offset for member in packed.members] == [512, 1536]  # the second name fits into ustar's prefix
        assert packed.size == 4 * 512 + 1024

    @pytest.mark.parametrize("size", [0, 8**11 - 1, 8**11, 1 << 40])
    @pytest.mark.parametrize("name", ["a", "\u00e9", *("a" * length for length in (62, 63, 64, 65, 66, 99, 100, 101))])
    def test_the_size_of_a_header_is_known_without_making_it(self, name: str, size: int) -> None:
        path = f"{SESSION}/{name}"
        assert pack._header_size(path, size) == len(pack._header(path, size))

    def test_the_same_files_give_the_same_bytes(self, tmp_path: Path) -> None:
        sizes = {"alf/b.npy": 100, "alf/a.npy": 0, "alf/\u00e9.npy": 3}
        first = one_of(tmp_path / "one", sizes)
        second = one_of(tmp_path / "two", dict(reversed(sizes.items())))
        for path in (tmp_path / "two").rglob("*.npy"):
            os.utime(path, (1, 1))
            path.chmod(0o600)
        assert bytes_of(first) == bytes_of(second)
        assert first.md5() == second.md5() == hashlib.md5(bytes_of(first)).hexdigest()
        # On every version of Python, and next year: another md5 would be another pack, to be sent again.
        assert first.md5() == "330f4d08f5d5e50f659b9a52ca9e31f2"

    def test_there_is_one_for_each_session_in_order(self, tmp_path: Path) -> None:
        paths = [
            f"{OTHER}/alf/a.npy",
            f"{SESSION}/z.npy",
            f"{SESSION}/alf/a.npy",
            "lab/Subjects/A-b/2016-12-14/1/x.npy",
        ]
        packs = packs_of([put(tmp_path, path, b"x") for path in paths], tmp_path)
        assert [str(one) for one in packs] == [
            f"lab/Subjects/A-b/2016-12-14/1/{PACK_NAME}",
            f"{SESSION}/{PACK_NAME}",
            f"{OTHER}/{PACK_NAME}",
        ]
        assert [[member.path for member in one.members] for one in packs] == [
            [paths[3]],
            [paths[2], paths[1]],
            [paths[0]],
        ]
        assert all(is_pack(one.path) for one in packs)
        assert packs_of([], tmp_path) == []

    @pytest.mark.parametrize(
        ("entries", "why"),
        [
            ([Entry(f"{SESSION}/a.npy", size=1)], "not known"),
            ([Entry(f"{SESSION}/a.npy", md5=A)], "not known"),
            ([Entry(f"{SESSION}/{PACK_NAME}", size=1, md5=A)], "name of the pack itself"),
            ([Entry(f"{SESSION}/a.npy", size=1, md5=A), Entry(f"{SESSION}/a.npy", size=2, md5=B)], "twice"),
        ],
    )
    def test_what_cannot_be_packed_is_told(self, entries: list[Entry], why: str) -> None:
        with pytest.raises(UnsafeData, match=why):
            packs_of(entries, Path("nowhere"))


class TestReading:
    @SEVERAL
    @given(
        moves=st.lists(
            st.tuples(
                st.sampled_from(["seek", "from here", "from the end", "read", "readinto"]), st.integers(0, 50_000)
            ),
            max_size=30,
        )
    )
    def test_any_sequence_of_moves_reads_as_from_a_file(self, packed: Pack, moves: list[tuple[str, int]]) -> None:
        data = bytes_of(packed)
        expected = io.BytesIO(data)
        with packed.open() as reader:
            for move, number in moves:
                if move == "read":
                    assert reader.read(number) == expected.read(number)
                elif move == "readinto":
                    mine, theirs = bytearray(number), bytearray(number)
                    assert reader.readinto(mine) == expected.readinto(theirs)
                    assert mine == theirs
                elif move == "seek":
                    assert reader.seek(number) == expected.seek(number)
                elif move == "from here":
                    assert reader.seek(number, 1) == expected.seek(number, 1)
                else:
                    back = min(number, len(data))
                    assert reader.seek(-back, 2) == expected.seek(-back, 2)
                assert reader.tell() == expected.tell()

    @pytest.mark.parametrize("step", [1, 7, 511, 512, 513, 4096])
    def test_steps_of_any_length_give_the_same_bytes(self, packed: Pack, step: int) -> None:
        with packed.open() as reader:
            assert b"".join(iter(lambda: reader.read(step), b"")) == bytes_of(packed)

    def test_it_is_a_file_that_is_read_only(self, packed: Pack) -> None:
        reader = packed.open()
        assert (reader.readable(), reader.seekable(), reader.writable()) == (True, True, False)
        with pytest.raises(ValueError, match="no byte -1"):
            reader.seek(-1)
        with pytest.raises(ValueError, match="whence"):
            reader.seek(0, 3)
        reader.close()
        for act in (reader.tell, reader.read, lambda: reader.seek(0)):
            with pytest.raises(ValueError, match="closed"):
                act()

    def test_threads_that_open_it_each_for_themselves_do_not_disturb_each_other(self, packed: Pack) -> None:
        data, wrong = bytes_of(packed), []

        def read(seed: int) -> None:
            chance = random.Random(seed)
            with packed.open() as reader:
                for _ in range(200):
                    at, count = chance.randrange(packed.size), chance.randrange(3000)
                    reader.seek(at)
                    if reader.read(count) != data[at : at + count]:
                        wrong.append(at)

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_one_member_is_open_at_a_time(self, packed: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: list[io.FileIO] = []

        class Counted(io.FileIO):
            def __init__(self, *arguments: object) -> None:
                assert all(one.closed for one in opened)
                super().__init__(*arguments)  # type: ignore[arg-type]
                opened.append(self)

        monkeypatch.setattr(pack.io, "FileIO", Counted)
        with packed.open() as reader:
            while reader.read(100):
                pass
        assert len(opened) == 4  # the empty file has no bytes to be read
        assert all(one.closed for one in opened)

    @pytest.mark.parametrize("size", [699, 701, 0])
    def test_a_member_that_has_another_size_is_an_error(self, tmp_path: Path, size: int) -> None:
        packed = one_of(tmp_path, {"a.npy": 700, "b.npy": 100})
        (tmp_path / SESSION / "a.npy").write_bytes(bytes(size))
        for act in (lambda: bytes_of(packed), packed.look, packed.md5):
            with pytest.raises(SizeMismatch, match=r"a\.npy has changed: it had 700 bytes, and now"):
                act()

    @pytest.mark.parametrize("size", [20, 701])
    def test_also_a_piece_from_the_middle_of_one_is_not_taken(self, tmp_path: Path, size: int) -> None:
        packed = one_of(tmp_path, {"a.npy": 700})
        (tmp_path / SESSION / "a.npy").write_bytes(bytes(size))
        with packed.open() as reader:
            reader.seek(512 + 5)
            with pytest.raises(SizeMismatch):
                reader.read(10)

    def test_a_member_that_shrinks_or_grows_while_it_is_read_is_an_error(self, tmp_path: Path) -> None:
        packed = one_of(tmp_path, {"a.npy": 7000})
        file = tmp_path / SESSION / "a.npy"
        for size in (3000, 8000):
            file.write_bytes(bytes(7000))
            with packed.open() as reader:
                reader.read(512 + 1000)
                os.truncate(file, size)
                with pytest.raises(SizeMismatch) as caught:
                    reader.read()
                assert caught.value.__cause__ is None

    def test_a_member_of_other_content_is_told_by_its_md5_and_by_a_look(self, tmp_path: Path) -> None:
        packed = one_of(tmp_path, {"a.npy": 700, "b.npy": 100})
        before, md5 = packed.look(), packed.md5()
        assert packed.look() == before
        (tmp_path / SESSION / "b.npy").write_bytes(b"x" * 100)
        os.utime(tmp_path / SESSION / "b.npy", (1, 1))
        assert packed.look() != before
        with pytest.raises(ChecksumMismatch, match=r"b\.npy has changed"):
            packed.md5()
        (tmp_path / SESSION / "b.npy").write_bytes(content_of(f"{SESSION}/b.npy", 100))
        assert packed.md5() == md5

    def test_a_member_that_is_gone_is_named(self, tmp_path: Path) -> None:
        packed = one_of(tmp_path, {"a.npy": 700, "b.npy": 100})
        (tmp_path / SESSION / "b.npy").unlink()
        for act in (lambda: bytes_of(packed), packed.look, packed.md5):
            with pytest.raises(RepositoryError, match=r"b\.npy cannot be read: "):
                act()

    def test_the_md5_tells_how_far_it_is_and_can_be_stopped(self, packed: Pack) -> None:
        told: list[int] = []
        packed.md5(told=told.append)
        assert sum(told) == packed.size
        stopped = threading.Event()
        stopped.set()
        with pytest.raises(Interrupted):
            packed.md5(stopped)


class TestSending:
    """What an upload makes of it: the same as of a file with these bytes."""

    @pytest.fixture(params=["small", "large"])
    def packed(self, request: pytest.FixtureRequest, tmp_path: Path) -> Pack:
        return one_of(tmp_path, {"a.npy": 700, "b.npy": 100 if request.param == "small" else SMALL + 5})

    def sent(self, source: Path | Pack, entry: Entry, cuts: Iterable[int]) -> tuple[bytes, int]:
        told: list[int] = []
        local, data = LocalFile(source, entry, told.append), b""
        ends = [*cuts, entry.size or 0]
        for begin, end in zip([0, *ends], ends, strict=False):
            with local.part(begin, end - begin) as body:
                if isinstance(body, bytes):
                    data += body
                else:
                    body.stream.seek(body.offset)
                    data += body.stream.read(body.length)
        local.check()
        return data, sum(told)

    @pytest.mark.parametrize("cuts", [[], [600, 2000]])
    def test_a_pack_is_sent_as_a_file_of_its_bytes_would_be(
        self, packed: Pack, tmp_path: Path, cuts: list[int]
    ) -> None:
        entry = Entry(packed.path, size=packed.size, md5=packed.md5())
        (tmp_path / "same.tar").write_bytes(bytes_of(packed))
        assert self.sent(packed, entry, cuts) == self.sent(tmp_path / "same.tar", entry, cuts)
        assert self.sent(packed, entry, cuts) == (bytes_of(packed), packed.size)

    @pytest.mark.parametrize("cuts", [[], [600, 2000]])
    def test_a_member_that_changes_meanwhile_fails_the_pack(
        self, packed: Pack, tmp_path: Path, cuts: list[int]
    ) -> None:
        entry = Entry(packed.path, size=packed.size, md5=packed.md5())
        file = tmp_path / SESSION / "b.npy"
        local = LocalFile(packed, entry, lambda _: None)
        file.write_bytes(bytes(file.stat().st_size))
        if packed.size <= SMALL:
            local.check()  # its bytes were compared, and are in the memory
            with pytest.raises(ChecksumMismatch):
                LocalFile(packed, entry, lambda _: None)
            return
        for begin, end in zip([0, *cuts], [*cuts, packed.size], strict=True):
            with local.part(begin, end - begin) as body:
                assert not isinstance(body, bytes)
                body.stream.seek(body.offset)
                body.stream.read(body.length)
        with pytest.raises(ChecksumMismatch, match="has changed"):
            local.check()

    def test_a_pack_of_another_size_than_planned_is_refused(self, packed: Pack) -> None:
        with pytest.raises(SizeMismatch, match=PACK_NAME):
            LocalFile(packed, Entry(packed.path, size=packed.size + 1, md5=packed.md5()), lambda _: None)

    def test_reading_counts_and_hashes_from_where_it_was_sought(self, packed: Pack) -> None:
        told: list[int] = []
        with Reading(packed, told.append) as stream:
            stream.read(100)
            stream.seek(512)
            assert stream.read(700) == bytes_of(packed)[512:1212]
            assert stream.tell() == 1212
            assert stream.md5.hexdigest() == hashlib.md5(bytes_of(packed)[512:1212]).hexdigest()
        assert told == [100, 700]
        assert stream.closed


def row(
    below: str = "alf/a.npy", offset: int = 512, size: int = 700, md5: str = A, of: str = B, session: str = SESSION
) -> MemberRow:
    return MemberRow(f"{session}/{below}", offset, size, md5, of)


def text_of(*rows: MemberRow) -> bytes:
    return b"".join("\t".join(map(str, one)).encode() + b"\n" for one in rows)


GOOD = row()


class TestTheList:
    @SEVERAL
    @given(
        sizes=st.dictionaries(st.sampled_from([SESSION, OTHER]), st.dictionaries(BELOW, SIZES, min_size=1), min_size=1),
        chance=st.randoms(),
    )
    def test_what_is_written_is_read(self, sizes: dict[str, dict[str, int]], chance: random.Random) -> None:
        rows = []
        for session, files in sizes.items():
            entries = [
                Entry(f"{session}/{below}", size=size, md5=EMPTY_MD5 if not size else A)
                for below, size in files.items()
            ]
            for of in (B, C):  # before and after
                rows += list(packs_of(entries, Path("nowhere"))[0].rows(of))
        shuffled = list(rows)
        chance.shuffle(shuffled)
        first, second = io.BytesIO(), io.BytesIO()
        write_packs(shuffled, first)
        write_packs([*rows, *rows], second)
        assert first.getvalue() == second.getvalue()
        first.seek(0)
        found = list(read_packs(first))
        assert sorted(found) == sorted(rows)
        assert first.getvalue() == text_of(*found)

    def test_nothing_is_a_good_list(self) -> None:
        assert list(read_packs(io.BytesIO())) == []

    @pytest.mark.parametrize(
        ("text", "number", "why"),
        [
            (b"\n", 1, "1 columns"),
            (text_of(GOOD) + b"\n", 2, "1 columns"),
            (text_of(GOOD)[:-1], 1, "cut off"),
            (text_of(GOOD)[:-9], 1, "cut off"),
            (text_of(GOOD).replace(b"\n", b"\r\n"), 1, "md5"),
            (b"\xef\xbb\xbf" + text_of(GOOD), 1, "lab"),
            (b"<!DOCTYPE html>\n", 1, "columns"),
            (b"\x1f\x8b\xff\xff\n", 1, "UTF-8"),
            (b"x" * 70_000, 1, "longer than"),
            (text_of(GOOD)[:-1] + b"\tmore\n", 1, "6 columns"),
            (text_of(GOOD, GOOD), 2, "twice"),
            (text_of(row("b.npy"), row("a.npy", 5120)), 2, "sorted"),
            (text_of(row(of=C), row("b.npy", 5120, of=B)), 2, "sorted"),
            (text_of(row(session=OTHER), row()), 2, "sorted"),
            (text_of(GOOD, row("alf/b.npy", 1024)), 2, "overlaps"),
            (text_of(row(size=512), row("alf/b.npy", 1024)), 2, "overlaps"),  # there is no room for a header
            (text_of(row(offset=5120), row("alf/b.npy", 512, 1)), 2, "overlaps"),
            (text_of(row(offset=0)), 1, "overlaps"),
            (text_of(row(offset=-512)), 1, "no place"),
            (text_of(row(offset=513)), 1, "no place"),
            (text_of(row(size=-1)), 1, "no place"),
            (text_of(row(offset=1 << 63)), 1, "no place"),
            (text_of(row(size=10**19)), 1, "no place"),
            (text_of(GOOD).replace(b"\t512\t", b"\t0512\t"), 1, "no place"),
            (text_of(GOOD).replace(b"\t512\t", b"\t+512\t"), 1, "no place"),
            (text_of(GOOD).replace(b"\t512\t", b"\t5_12\t"), 1, "no place"),
            (text_of(GOOD).replace(b"\t512\t", "\t\u0665\u0661\u0662\t".encode()), 1, "no place"),
            (text_of(GOOD).replace(b"\t512\t", b"\t512.0\t"), 1, "no place"),
            (text_of(GOOD).replace(b"\t512\t", b"\t\t"), 1, "no place"),
            (text_of(row(md5=A[1:])), 1, "md5"),
            (text_of(row(md5=A.upper())), 1, "md5"),
            (text_of(row(of="")), 1, "md5"),
            (text_of(row(of=f"{B[1:]}\u0665")), 1, "md5"),
            (text_of(row(size=0)), 1, "empty"),
            (text_of(row(md5=EMPTY_MD5)), 1, "empty"),
            (text_of(row("../../../../../../etc/passwd")), 1, "refused"),
            (text_of(row("alf/../../x.npy")), 1, "refused"),
            (text_of(row("a\0b")), 1, "refused"),
            (text_of(row("a:b")), 1, "refused"),
            (text_of(row("")), 1, "refused"),
            (text_of(row(PACK_NAME)), 1, "is a pack"),
            (b"\t".join([b"", *text_of(GOOD).split(b"\t")[1:]]), 1, "empty path"),
            (b"/" + text_of(GOOD), 1, "refused"),
            (b"C:/" + text_of(GOOD), 1, "refused"),
            (text_of(row(session="lab/Subjects/Cori")), 1, "session|date"),
            (text_of(row(session="lab/Subjects/Cori/2016-13-14/001")), 1, "date"),
        ],
    )
    def test_anything_else_is_refused_with_its_row(self, text: bytes, number: int, why: str) -> None:
        found: list[MemberRow] = []
        with pytest.raises(UnsafeData, match=why) as caught:
            found.extend(read_packs(io.BytesIO(text)))
        assert str(caught.value).startswith(f"row {number} of .one_packs: ")
        assert len(found) == number - 1
        assert str(caught.value).isprintable()

    @SEVERAL
    @given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 3))
    def test_noise_is_refused_or_read_and_never_anything_else(self, noise: bytes, place: int, cut: int) -> None:
        good = text_of(GOOD, row("alf/b.npy", 2048), row("alf/c.npy", 4096, 0, EMPTY_MD5))
        text = good[:place] + noise + good[place + cut :]
        try:
            found = list(read_packs(io.BytesIO(text)))
        except UnsafeData:
            return
        assert text_of(*found) == text

    def test_a_line_without_end_fills_no_memory(self) -> None:
        class Endless(io.RawIOBase):
            given = 0

            def readline(self, size: int | None = -1, /) -> bytes:
                assert size is not None
                assert 0 < size <= 1 << 20
                self.given += size
                return b"x" * size

        stream = Endless()
        with pytest.raises(UnsafeData, match="longer than"):
            list(read_packs(stream))  # type: ignore[arg-type]
        assert stream.given <= 1 << 20

    def test_what_readers_would_refuse_is_not_written(self) -> None:
        for wrong in (row(offset=5), row(size=0), row("../x"), row(md5=""), row("a\tb"), row("a\nb")):
            with pytest.raises(OneError):
                write_packs([wrong], io.BytesIO())
        with pytest.raises(UnsafeData, match="twice"):
            write_packs([GOOD, GOOD._replace(offset=1024)], io.BytesIO())


class TestMembers:
    @pytest.mark.parametrize("size", [0, 1, 20_000])
    def test_an_address_of_a_member_says_where_its_bytes_are(self, size: int) -> None:
        entry = member_entry(URL, row(offset=1536, size=size))
        assert span_of(entry.url) == (URL, 1536, size)
        assert (entry.path, entry.size, entry.md5) == (f"{SESSION}/alf/a.npy", size, A)
        member = Member(entry.path, Path("nowhere"), 1536, size, A)
        assert member_entry(URL, member) == entry

    @pytest.mark.parametrize(
        "url",
        [
            "",
            URL,
            "data:,",
            f"{URL}%23bytes=5-9",
            f"{URL}#bytes=",
            f"{URL}#bytes=9-5",
            f"{URL}#bytes=-5-9",
            f"{URL}#bytes=5-9 ",
            f"{URL}#bytes=5-9\n",
            f"{URL}#bytes=\u0665-\u0669",
            f"{URL}#bytes=0-{10**18 * 9}",
            f"{URL}#page=5",
            "#bytes=5-9",
        ],
    )
    def test_any_other_address_is_none_of_a_member(self, url: str) -> None:
        assert span_of(url) is None

    @given(st.text(min_size=1), st.integers(0, 1 << 60), st.integers(0, 1 << 60))
    def test_an_address_of_any_kind_keeps_its_span(self, url: str, offset: int, size: int) -> None:
        if offset or size:
            assert span_of(member_entry(url, row(offset=offset, size=size)).url) == (url, offset, size)

    @pytest.mark.parametrize("path", [f"{SESSION}/alf/{PACK_NAME}", PACK_NAME, f"{SESSION}/x{PACK_NAME}", SESSION])
    def test_only_in_the_folder_of_a_session_lies_a_pack(self, path: str) -> None:
        assert not is_pack(path)
        assert is_pack(f"{SESSION}/{PACK_NAME}")


def pack_entry(session: str = SESSION, url: str = URL, size: int | None = 10_000, md5: str | None = B) -> Entry:
    return Entry(f"{session}/{PACK_NAME}", url, size, md5)


ROWS = [row("alf/a.npy", 512, 700), row("alf/b.npy", 2048, 5), row("alf/empty.npy", 3072, 0, EMPTY_MD5)]
PLAIN = Entry(f"{OTHER}/alf/x.npy", "https://example.org/files/7", 5, C)


class TestTheIndex:
    def test_a_pack_is_replaced_by_its_members(self) -> None:
        remarks: list[str] = []
        found = list(expand([PLAIN, pack_entry()], ROWS, remarks))
        assert found == [*(member_entry(URL, one) for one in ROWS), PLAIN]
        assert remarks == []

    def test_an_index_keeps_them(self, tmp_path: Path) -> None:
        index = Index.build(expand([PLAIN, pack_entry()], ROWS), path=tmp_path / "index")
        assert list(index) == list(expand([PLAIN, pack_entry()], ROWS))
        assert index.get(f"{SESSION}/alf/empty.npy") == Entry(
            f"{SESSION}/alf/empty.npy", f"{URL}#bytes=3072-3071", 0, EMPTY_MD5
        )

    @pytest.mark.parametrize("entry", [pack_entry(md5=C), pack_entry(md5=None), pack_entry(url=""), pack_entry(OTHER)])
    def test_rows_hold_for_the_pack_of_this_session_with_this_md5_only(self, entry: Entry) -> None:
        remarks: list[str] = []
        assert list(expand([entry], ROWS, remarks)) == [entry]
        assert remarks == [f"'{entry.path}' stays one file: .one_packs does not say what is in it"]
        assert list(expand([entry], ROWS)) == [entry]

    def test_a_file_of_its_own_wins_over_a_member(self) -> None:
        newer = Entry(f"{SESSION}/alf/b.npy", "https://example.org/files/9", 6, C)
        assert list(expand([pack_entry(), newer], ROWS)) == [
            member_entry(URL, ROWS[0]),
            newer,
            member_entry(URL, ROWS[2]),
        ]

    def test_old_and_new_lists_are_read_together(self) -> None:
        new = [one._replace(pack_md5=C, path=one.path.replace("/a.", "/a2.")) for one in ROWS]
        other = [one._replace(path=one.path.replace(SESSION, OTHER)) for one in ROWS]
        both = list(merge_packs(sorted([*ROWS, *other]), new))
        assert len(both) == 9
        assert list(merge_packs(both, both, [])) == both
        assert list(merge_packs()) == []
        for entry, its in ((pack_entry(), ROWS), (pack_entry(md5=C), new), (pack_entry(OTHER), other)):
            assert {found.path for found in expand([entry], both)} == {one.path for one in its}

    @pytest.mark.parametrize(
        ("rows", "why"),
        [
            ([*ROWS, ROWS[0]._replace(offset=4096)], "twice"),
            ([*ROWS, row("alf/c.npy", 1024)], "overlaps"),
            ([*ROWS, row("x.npy", 1024, of=C), row("y.npy", 1024, of=C)], "overlaps"),  # of which nothing is used
        ],
    )
    def test_rows_that_cannot_be_true_are_refused_before_anything_is_given(
        self, rows: list[MemberRow], why: str
    ) -> None:
        with pytest.raises(UnsafeData, match=why):
            next(iter(expand([Entry("a/Subjects/b/2000-01-01/1/c.npy", URL), pack_entry()][1:], rows)))

    @pytest.mark.parametrize("beyond", [row(size=10_000), row(offset=8704, size=512)])  # no room for the end of the tar
    def test_a_pack_whose_members_cannot_lie_in_it_stays_a_file(self, beyond: MemberRow) -> None:
        remarks: list[str] = []
        assert list(expand([pack_entry()], [beyond], remarks)) == [pack_entry()]
        assert "cannot lie in it" in remarks[0]

    def test_a_pack_that_ends_right_behind_its_last_member_is_whole(self) -> None:
        assert len(list(expand([pack_entry(size=8704 + 512 + 1024)], [row(offset=8704, size=512)]))) == 1

    def test_members_become_a_pack_again(self) -> None:
        entries = list(expand([PLAIN, pack_entry()], ROWS))
        files, rows = split(entries, {URL: (pack_entry().path, B, 10_000), "https://other": ("x", C, 5)})
        assert files == [pack_entry(), PLAIN]
        assert rows == ROWS

    def test_a_member_whose_pack_is_gone_is_not_written(self) -> None:
        with pytest.raises(RepositoryError, match="is not in the repository any more"):
            split([member_entry(URL, GOOD)], {})
        with pytest.raises(UnsafeData, match="another session"):
            split([member_entry(URL, GOOD)], {URL: (f"{OTHER}/{PACK_NAME}", B, 5)})

    @SEVERAL
    @given(
        sizes=st.dictionaries(st.sampled_from([SESSION, OTHER]), st.dictionaries(BELOW, SIZES, min_size=1), min_size=1),
        alone=st.sets(BELOW),
        beside=st.booleans(),
    )
    def test_taking_apart_and_putting_together_changes_nothing(
        self, sizes: dict[str, dict[str, int]], alone: set[str], beside: bool
    ) -> None:
        whole: dict[str, Entry] = {}
        packs: dict[str, tuple[str, str, int]] = {}
        for number, (session, files) in enumerate(sizes.items()):
            entries = [
                Entry(f"{session}/{one}", size=size, md5=A if size else EMPTY_MD5) for one, size in files.items()
            ]
            [packed] = packs_of(entries, Path("nowhere"))
            url = f"{URL}{number}"
            packs[url] = (packed.path, (B, C)[number], packed.size)
            for member in packed.members:
                whole[member.path] = member_entry(url, member)
            for one in alone if beside else ():
                whole[f"{session}/{one}"] = Entry(f"{session}/{one}", "https://example.org/x", 3, A)
        before = [whole[path] for path in sorted(whole)]
        files, rows = split(before, packs)
        listed = io.BytesIO()
        write_packs(rows, listed)
        listed.seek(0)
        assert list(expand(files, read_packs(listed))) == before
        assert split(before, packs) == (files, rows)


def test_a_pack_cannot_be_changed(packed: Pack) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        packed.size = 5  # type: ignore[misc]
    assert hash(packed) == hash(dataclasses.replace(packed))
