"""A .one_root of a million rows and more: read in little memory, and refused with the number of one bad row."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROW = 700_000
MOST_MEMORY = 200_000_000
needs_linux = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="Linux tells the most memory of a process"
)
# As the files lie on the disk, so that no content counts as memory. VmHWM, unlike ru_maxrss, can be set back.
PROGRAM = """
import json, sys
from pathlib import Path
from onelight.errors import UnsafeData
from onelight.index import read_one_root

def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

def measured(name, target):
    Path("/proc/self/clear_refs").write_text("5")  # what was the most until now is forgotten
    try:
        with open(name, "rb") as stream:
            index = read_one_root(stream, base_url="https://example.org/data", path=Path(target))
        last = index.sessions[-1]
        said = [len(index), len(index.sessions), len(index.search(subject="s0000*")), len(index.select(last))]
    except UnsafeData as error:
        said = error.message
    return said, most()

for line in sys.stdin:
    print(json.dumps(measured(*json.loads(line))), flush=True)
"""
NAMES = [f"alf/probe{probe:02}/spikes.a{number:02}.npy" for probe in range(2) for number in range(10)]


def address_of(number: int) -> str:
    return f"https://a.org/files/{number}"


def sorted_rows(count: int) -> Iterator[str]:
    for session in range(count // len(NAMES)):
        date = f"20{session // 28 % 100:02}-01-{session % 28 + 1:02}"
        for number, name in enumerate(NAMES):
            path = f"lab/Subjects/s{session // 100:05}/{date}/{session % 10:03}/{name}"
            yield f"{path}\t{address_of(session * len(NAMES) + number)}\n"


def rows_of(count: int) -> list[str]:
    return sorted(sorted_rows(count))


class Reader:
    """A process that reads files, one after the other, and says what it found and how much memory it took."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("to", "temporary"):
            (folder / name).mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(folder / "temporary")},
        )

    def read(self, path: Path) -> object:
        """Return what was found: numbers, or why the file was refused; it leaves nothing then."""
        assert self._process.stdin
        assert self._process.stdout
        (self.folder / "to" / "index.part").unlink(missing_ok=True)
        print(json.dumps([str(path), str(self.folder / "to" / "index.part")]), file=self._process.stdin, flush=True)
        said, most = json.loads(self._process.stdout.readline())
        assert most < MOST_MEMORY, f"{most:,} bytes of memory"
        if isinstance(said, str):
            assert self.left() == []
        return said

    def left(self) -> list[str]:
        return [item.name for name in ("to", "temporary") for item in (self.folder / name).iterdir()]

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    running = Reader(tmp_path_factory.mktemp("reader"))
    yield running
    running.close()


class File:
    """Rows on the disk; those from one row on are replaced for each case."""

    def __init__(self, folder: Path, rows: Sequence[str], row: int) -> None:
        self.row, self.before, self.first = row, rows[row - 2], rows[0]
        self.path, self._after = folder / "file", folder / "after"
        self.path.write_text("".join(rows[: row - 1]))
        self._size = self.path.stat().st_size
        self._after.write_text("".join(rows[row - 1 :]))

    def with_row(self, bad: bytes) -> Path:
        """Put a row into its place."""
        with self.path.open("r+b") as stream, self._after.open("rb") as after:
            stream.truncate(self._size)
            stream.seek(self._size)
            stream.write(bad + b"\n")
            shutil.copyfileobj(after, stream, 1 << 20)
        return self.path


IN = "lab/Subjects/s99999/2016-12-14/001"
BAD = {
    "three columns": (f"{IN}/a.b.npy\thttps://a.org/1\t5".encode(), "columns"),
    "up": (f"{IN}/alf/../../../../../../x\thttps://a.org/1".encode(), "is refused"),
    "absolute": (b"/etc/passwd\thttps://a.org/1", "absolute"),
    "backslashes": (b"lab\\..\\..\\x\thttps://a.org/1", "is refused"),
    "NUL": (f"{IN}/a\0.b.npy\thttps://a.org/1".encode(), "NUL"),
    "no text": (f"{IN}/a".encode() + b"\xff.b.npy\thttps://a.org/1", "UTF-8"),
    "javascript": (f"{IN}/a.b.npy\tjavascript:x".encode(), "only http"),
    "file": (f"{IN}/a.b.npy\tfile:///etc/passwd".encode(), "only http"),
    "private": (f"{IN}/a.b.npy\thttp://169.254.169.254/x".encode(), "private network"),
    "a user": (f"{IN}/a.b.npy\thttps://me:pw@a.org/x".encode(), "user name"),
    "a user of a known origin": (f"{IN}/a.b.npy\thttps://a.org@b.org/x".encode(), "user name"),
    "a web page": (b"<!DOCTYPE html>", "web page"),
    "a long line": (b"x" * ((1 << 20) + 1), "longer than"),
    "a stream": (f"{IN}/alf/a:b.c.npy\thttps://a.org/1".encode(), "is refused"),
}


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> File:
    return File(tmp_path_factory.mktemp("million"), rows_of(1_000_000), ROW)


@pytest.fixture(scope="module", params=["sorted", "shuffled"])
def thousands(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> File:
    rows = rows_of(3000)
    if request.param == "shuffled":
        random.Random(1).shuffle(rows)
    return File(tmp_path_factory.mktemp("thousands"), rows, 2100)


@needs_linux
@pytest.mark.parametrize("kind", ["three columns", "up", "no text", "private", "a long line", "a stream"])
def test_one_bad_row_of_a_sorted_million_is_refused_with_its_number(million: File, reader: Reader, kind: str) -> None:
    bad, why = BAD[kind]
    said = reader.read(million.with_row(bad))
    assert isinstance(said, str)
    assert said.startswith(f"row {ROW} of .one_root")
    assert why in said


@needs_linux
def test_a_path_twice_with_two_addresses_is_refused_at_row_seven_hundred_thousand(
    million: File, reader: Reader
) -> None:
    path = million.before.partition("\t")[0]
    assert reader.read(million.with_row(f"{path}\thttps://b.org/x".encode())) == (
        f"row {ROW} of .one_root: '{path}' stands there twice with different addresses"
    )


@needs_linux
def test_a_bad_row_in_a_million_that_are_not_sorted_is_refused_with_its_number(
    million: File, tmp_path: Path, reader: Reader
) -> None:
    bad, why = BAD["up"]
    with million.with_row(bad).open("rb") as rows, (tmp_path / "file").open("wb") as stream:
        stream.write(b"zz/Subjects/s/2016-12-14/001/a.b.npy\n")
        shutil.copyfileobj(rows, stream, 1 << 20)
    said = reader.read(tmp_path / "file")
    assert isinstance(said, str)
    assert said.startswith(f"row {ROW + 1} of .one_root")
    assert why in said


@needs_linux
@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("end", [b"", b"\r", b"\r\r"])
def test_every_kind_of_bad_row_is_refused_with_its_number(
    thousands: File, reader: Reader, kind: str, end: bytes
) -> None:
    bad, why = BAD[kind]
    said = reader.read(thousands.with_row(bad + end))
    assert isinstance(said, str)
    assert said.startswith("row 2100 of .one_root"), said
    assert why in said


@needs_linux
@pytest.mark.parametrize("which", ["first", "before"])
def test_a_path_twice_is_refused_near_and_far(thousands: File, reader: Reader, which: str) -> None:
    path = getattr(thousands, which).partition("\t")[0]
    said = reader.read(thousands.with_row(f"{path}\thttps://b.org/x".encode()))
    assert said == f"row 2100 of .one_root: '{path}' stands there twice with different addresses"
    assert isinstance(reader.read(thousands.with_row(getattr(thousands, which).strip().encode())), list)


@needs_linux
def test_three_million_sorted_rows_are_read_in_little_memory(million: File, tmp_path: Path, reader: Reader) -> None:
    rows = million.with_row(b"").read_bytes()
    with (tmp_path / "file").open("wb") as stream:
        for lab in (b"a", b"b", b"c"):
            stream.write(rows.replace(b"lab/Subjects", lab + b"/Subjects"))
    del rows
    assert reader.read(tmp_path / "file") == [3_000_000, 150_000, 3000, 20]
    assert reader.left() == ["index.part"]


@needs_linux
def test_more_than_a_million_shuffled_rows_are_read_in_little_memory(tmp_path: Path, reader: Reader) -> None:
    rows = list(sorted_rows(1_200_000))
    random.Random(1).shuffle(rows)
    with (tmp_path / "file").open("w") as stream:
        stream.writelines(rows)
    assert reader.read(tmp_path / "file") == [1_200_000, 60_000, 1000, 20]
    assert reader.left() == ["index.part"]


@needs_linux
def test_a_path_at_both_ends_of_rows_that_are_not_sorted_is_refused(tmp_path: Path, reader: Reader) -> None:
    rows = list(sorted_rows(300_000))  # more than are sorted in memory at a time
    random.Random(1).shuffle(rows)
    path = rows[0].partition("\t")[0]
    with (tmp_path / "file").open("w") as stream:
        stream.writelines([*rows, f"{path}\thttps://b.org/x\n"])
    assert reader.read(tmp_path / "file") == (
        f"row 300001 of .one_root: '{path}' stands there twice with different addresses"
    )
