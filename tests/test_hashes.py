"""The md5 of many files: right, in order, on all cores, and not read twice."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onelight.errors import RepositoryError
from onelight.hashes import Hashes, crew, reading
from onelight.hashes.store import Store
from onelight.index import Entry

Fill = Callable[..., list[Entry]]


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Return a function that makes files that have rested for a minute, and returns their entries."""

    def make(number: int = 3, size: int = 10) -> list[Entry]:
        entries = []
        for at in range(number):
            path = tmp_path / f"root/folder{at % 7}/a.b{at:05}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((b"%d " % at) * size)
            rest(path)
            entries.append(Entry(path.relative_to(tmp_path / "root").as_posix(), size=path.stat().st_size))
        return entries

    return make


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "some/folder/hashes.sqlite"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files be remembered that were made just now: nobody can put the time of change back."""
    monkeypatch.setattr(reading, "_COARSE", 0)
    monkeypatch.setattr(crew, "_MANY", 1 << 30)  # the helping processes have a module of their own


def rest(path: Path) -> None:
    then = time.time() - 60
    os.utime(path, (then, then))


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def run(root: Path, entries: list[Entry], cache: Path | None = None) -> tuple[list[Entry], int, int]:
    with Hashes(cache) as hashes:
        found = list(hashes.add(root, entries))
        return found, hashes.read, hashes.kept


def is_right(root: Path, found: list[Entry], entries: list[Entry]) -> bool:
    return [(entry.path, entry.size, entry.md5) for entry in found] == [
        (entry.path, (root / entry.path).stat().st_size, md5_of(root / entry.path)) for entry in entries
    ]


class TestReading:
    @pytest.mark.parametrize(("number", "size"), [(0, 0), (1, 0), (3, 10), (2000, 3), (3, 100_000), (150, 40_000)])
    def test_every_md5_is_right_and_the_order_is_kept(self, root: Path, fill: Fill, number: int, size: int) -> None:
        entries = fill(number, size)[::-1]
        found, read, kept = run(root, entries)
        assert is_right(root, found, entries)
        assert (read, kept) == (number, 0)

    @pytest.mark.parametrize("size", [reading._SMALL - 1, reading._SMALL, reading._SMALL + 1, 2 * reading.BLOCK])
    def test_sizes_around_those_of_a_block_are_right(self, root: Path, size: int) -> None:
        root.mkdir()
        (root / "old").write_bytes(os.urandom(size))
        (root / "new").write_bytes(os.urandom(size))
        rest(root / "old")
        entries = [Entry("new", size=size), Entry("old", size=size)]
        assert is_right(root, run(root, entries)[0], entries)

    def test_what_is_known_of_an_entry_stays(self, root: Path, fill: Fill) -> None:
        (entry,) = fill(1)
        (found,) = run(root, [Entry(entry.path, "https://example.org/a", 1)])[0]
        assert (found.url, found.size) == ("https://example.org/a", entry.size)

    def test_many_small_files_are_read_by_as_many_processes_as_there_are_cores(self, root: Path, fill: Fill) -> None:
        entries = fill(3000)
        with Hashes() as hashes:
            found = hashes.rows(root, ((entry.path, entry.size or 0) for entry in entries))
            for _ in range(1500):
                next(found)
            assert len(_children()) in range(1, crew._cores() + 1)
            found.close()
            assert _children() == set()

    def test_a_process_that_is_killed_costs_time_only(self, root: Path, fill: Fill) -> None:
        entries = fill(4000)
        with Hashes() as hashes:
            rows = hashes.add(root, entries)
            found = [next(rows) for _ in range(600)]
            for child in _children():
                os.kill(child, signal.SIGKILL)
            found += rows
        assert is_right(root, found, entries)

    def test_without_processes_threads_read(
        self, root: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
        entries = fill(600)
        assert is_right(root, run(root, entries)[0], entries)
        monkeypatch.setattr(sys, "executable", "")
        assert is_right(root, run(root, entries)[0], entries)

    def test_a_program_that_is_one_file_is_not_run_once_more(
        self, root: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("a process was started")

        monkeypatch.setattr(sys, "frozen", True, raising=False)
        monkeypatch.setattr(subprocess, "Popen", refuse)
        entries = fill(600)
        assert is_right(root, run(root, entries)[0], entries)

    def test_no_more_is_taken_than_is_needed_to_keep_the_cores_busy(self, root: Path, fill: Fill) -> None:
        entries = fill(20) * 1000
        taken = 0

        def watched() -> Iterator[Entry]:
            nonlocal taken
            for entry in entries:
                taken += 1
                yield entry

        with Hashes() as hashes:
            rows = hashes.add(root, watched())
            next(rows)
            assert taken <= 256 * (crew._cores() * 4 + 2)  # the first answer does not wait for a long list
            for _ in range(2000):
                next(rows)
            assert taken <= 2001 + 256 * (crew._cores() * 4 + 2)
            rows.close()

    def test_names_that_are_no_ascii_or_no_text_are_read(self, root: Path, fill: Fill) -> None:
        fill(1)
        names = [os.fsdecode(b"bad\xff.%d.npy" % number) for number in range(300)] + ["é.é.é"]
        for name in names:
            (root / name).write_bytes(name.encode(errors="surrogateescape"))
        entries = [Entry(name, size=1) for name in names]
        assert is_right(root, run(root, entries)[0], entries)


class TestFaults:
    @pytest.mark.parametrize("number", [1, 1000])
    def test_a_file_that_is_not_there_is_named(self, root: Path, fill: Fill, number: int) -> None:
        entries = fill(number)
        (root / entries[-1].path).unlink()
        with Hashes() as hashes, pytest.raises(RepositoryError, match="cannot be read: No such file") as caught:
            list(hashes.add(root, entries))
        assert str(root / entries[-1].path) in caught.value.message

    def test_a_folder_that_is_gone_is_told_with_a_file_of_it(self, root: Path, fill: Fill) -> None:
        fill(1)
        entries = [Entry(f"gone/a.b{number}.npy") for number in range(500)]
        with Hashes() as hashes, pytest.raises(RepositoryError, match="gone/a.b0.npy cannot be read: No such file"):
            list(hashes.add(root, entries))

    @pytest.mark.skipif(os.name != "posix", reason="no pipes among files")
    def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(self, root: Path, fill: Fill) -> None:
        fill(1)
        os.mkfifo(root / "a.b.npy")
        with Hashes() as hashes, pytest.raises(RepositoryError, match="a.b.npy cannot be read: it is no file any more"):
            list(hashes.add(root, [Entry("a.b.npy", size=3)]))

    def test_a_file_that_changes_while_it_is_read_is_named(self, root: Path) -> None:
        root.mkdir()
        path = root / "a.b.npy"
        path.write_bytes(bytes(300_000_000))
        stop = threading.Event()

        def change() -> None:
            while not stop.wait(0.001):
                os.utime(path)

        thread = threading.Thread(target=change)
        thread.start()
        try:
            with Hashes() as hashes, pytest.raises(RepositoryError, match="a.b.npy changed while it was read"):
                list(hashes.add(root, [Entry("a.b.npy", size=300_000_000)]))
        finally:
            stop.set()
            thread.join()

    @pytest.mark.parametrize("number", [3, 1000])
    def test_what_cannot_be_read_is_collected_and_the_rest_is_read(self, root: Path, fill: Fill, number: int) -> None:
        paths = [entry.path for entry in fill(number)]
        (root / paths[1]).unlink()
        (root / paths[-1]).unlink()
        unread: list[tuple[str, str]] = []
        with Hashes() as hashes:
            rows = list(hashes.rows(root, ((path, 10) for path in paths), unread))
            assert hashes.read == number - 2
        assert [(path, md5) for path, _, md5 in rows] == [
            (path, md5_of(root / path)) for path in paths if (root / path).exists()
        ]
        reason = f"cannot be read: {os.strerror(errno.ENOENT)}"
        assert unread == [(paths[1], reason), (paths[-1], reason)]

    def test_closing_ends_the_reading_of_a_large_file(self, root: Path) -> None:
        root.mkdir()
        with (root / "a.b.npy").open("wb") as stream:
            stream.truncate(200 << 30)  # minutes to read
        (root / "small").write_bytes(b"1")
        with Hashes() as hashes:
            rows = hashes.add(root, [Entry("small", size=1), Entry("a.b.npy", size=200 << 30)])
            next(rows)
            begun = time.monotonic()
            rows.close()
            assert time.monotonic() - begun < 5


@pytest.mark.usefixtures("at_once")
class TestCache:
    def test_the_second_time_no_file_is_read(self, root: Path, fill: Fill, cache: Path) -> None:
        entries = fill(500)
        first, read, kept = run(root, entries, cache)
        assert (read, kept) == (500, 0)
        for entry in entries:
            (root / entry.path).chmod(0)  # which changes them: so they are put back, and read once more
            (root / entry.path).chmod(0o600)
        assert run(root, entries, cache)[1:] == (500, 0)
        again, read, kept = run(root, entries, cache)
        assert (again, read, kept) == (first, 0, 500)

    def test_the_next_round_of_the_same_process_reads_no_file_either(self, root: Path, fill: Fill, cache: Path) -> None:
        entries = fill(5)
        with Hashes(cache) as hashes:
            for _ in range(3):
                assert is_right(root, list(hashes.add(root, entries)), entries)
            assert (hashes.read, hashes.kept) == (5, 10)

    @pytest.mark.parametrize("keeps_times", [True, False])
    def test_a_file_that_was_touched_is_read_again(
        self, root: Path, fill: Fill, cache: Path, keeps_times: bool
    ) -> None:
        entries = fill(3)
        run(root, entries, cache)
        path = root / entries[1].path
        before = path.stat()
        path.write_bytes(path.read_bytes()[::-1])  # as long as before
        if keeps_times:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        found, read, kept = run(root, entries, cache)
        assert is_right(root, found, entries)
        assert (read, kept) == (1, 2)

    def test_a_file_that_took_the_place_of_another_is_read(self, root: Path, fill: Fill, cache: Path) -> None:
        entries = fill(2)
        run(root, entries, cache)
        (root / "new").write_bytes(b"other bytes")
        rest(root / "new")
        (root / "new").replace(root / entries[0].path)
        found, read, _ = run(root, entries, cache)
        assert (is_right(root, found, entries), read) == (True, 1)

    def test_a_file_that_was_renamed_is_not_read_where_the_system_leaves_its_times(
        self, root: Path, fill: Fill, cache: Path
    ) -> None:
        entries = fill(1)
        run(root, entries, cache)
        (root / entries[0].path).rename(root / "new")
        found, read, kept = run(root, [Entry("new", size=1)], cache)
        assert is_right(root, found, [Entry("new")])
        assert read + kept == 1

    @pytest.mark.parametrize("size", [10, reading._SMALL])
    def test_a_file_written_just_now_is_not_remembered(
        self, root: Path, fill: Fill, cache: Path, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        monkeypatch.setattr(reading, "_COARSE", 2_000_000_000)
        entries = fill(3, size)
        (root / entries[0].path).write_bytes(bytes(size))
        run(root, entries, cache)
        # That of the others was put back, and when it was shows in their time of change.
        assert run(root, entries, cache)[1:] == (3, 0)
        time.sleep(2.1)
        assert run(root, entries, cache)[1:] == (3, 0)
        assert run(root, entries, cache)[1:] == (0, 3)

    def test_what_was_read_before_a_stop_is_remembered(self, root: Path, fill: Fill, cache: Path) -> None:
        entries = fill(100)
        with Hashes(cache) as hashes:
            rows = hashes.add(root, entries)
            for _ in range(10):
                next(rows)
            rows.close()
        assert run(root, entries, cache)[2] >= 10

    def test_many_processes_share_it(self, root: Path, fill: Fill, cache: Path) -> None:
        entries = fill(400)
        program = (
            "import sys; from pathlib import Path; from onelight.hashes import Hashes, crew, reading\n"
            "reading._COARSE, crew._MANY = 0, 1 << 30\n"
            "with Hashes(Path(sys.argv[1])) as hashes:\n"
            "    rows = hashes.rows(Path(sys.argv[2]), [(path, 1) for path in sys.argv[3:]])\n"
            "    print(*(md5 for _, _, md5 in rows))"
        )
        command = [sys.executable, "-c", program, str(cache), str(root), *(entry.path for entry in entries)]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
        answers = {process.communicate()[0] for process in processes}
        assert {process.returncode for process in processes} == {0}
        assert answers == {" ".join(md5_of(root / entry.path) for entry in entries) + "\n"}
        assert run(root, entries, cache)[1:] == (0, 400)

    def test_it_is_for_its_owner_only(self, root: Path, fill: Fill, cache: Path) -> None:
        run(root, fill(1), cache)
        assert cache.stat().st_mode & 0o777 == 0o600

    def test_what_nobody_asked_for_in_half_a_year_is_dropped(
        self, root: Path, fill: Fill, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entries = fill(4)
        run(root, entries, cache)
        today = int(time.time() // 86_400)
        monkeypatch.setattr(time, "time", lambda: (today + 100) * 86_400.0)
        assert run(root, entries[:2], cache)[1:] == (0, 2)  # of use now
        monkeypatch.setattr(time, "time", lambda: (today + 200) * 86_400.0)
        (root / entries[3].path).write_bytes(b"other")
        os.utime(root / entries[3].path, (1e9, 1e9))
        run(root, entries[3:], cache)
        with sqlite3.connect(cache) as db:
            assert db.execute("select count(*) from hashes").fetchone() == (3,)
        db.close()


@pytest.mark.usefixtures("at_once")
class TestCachesThatCannotBeUsed:
    """None is an error: files are read."""

    @pytest.fixture(autouse=True)
    def listen(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "onelight")
        logging.getLogger("onelight").propagate = True

    def check(self, root: Path, entries: list[Entry], cache: Path, read: int) -> None:
        found, was_read, _ = run(root, entries, cache)
        assert is_right(root, found, entries)
        assert was_read == read

    @pytest.mark.parametrize("content", [b"no database at all, but a text" * 99, b"SQLite format 3\0" + b"\xff" * 5000])
    def test_one_that_is_damaged_is_made_anew(
        self, root: Path, fill: Fill, cache: Path, content: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache.parent.mkdir(parents=True)
        cache.write_bytes(content)
        entries = fill(3)
        self.check(root, entries, cache, 3)
        self.check(root, entries, cache, 0)
        assert "made anew" in caplog.text

    @pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
    def test_one_that_is_damaged_in_the_middle_is_found_out(
        self, root: Path, fill: Fill, cache: Path, at: float
    ) -> None:
        entries = fill(2000)
        run(root, entries, cache)
        content = bytearray(cache.read_bytes())
        begin = int(len(content) * at)
        content[begin : begin + 9000] = os.urandom(9000)
        cache.write_bytes(content)
        for _ in range(3):
            found = run(root, entries, cache)[0]
            assert is_right(root, found, entries)

    def test_one_that_is_cut_off_is_found_out(self, root: Path, fill: Fill, cache: Path) -> None:
        entries = fill(2000)
        run(root, entries, cache)
        os.truncate(cache, cache.stat().st_size // 2)
        for _ in range(3):
            assert is_right(root, run(root, entries, cache)[0], entries)
        self.check(root, entries, cache, 0)

    def test_one_without_its_tables_is_made_anew(self, root: Path, fill: Fill, cache: Path) -> None:
        entries = fill(3)
        run(root, entries, cache)
        _change(cache, "drop table hashes")
        self.check(root, entries, cache, 3)
        self.check(root, entries, cache, 0)

    @pytest.mark.parametrize("change", ["pragma user_version = 2", "pragma application_id = 7"])
    def test_one_of_another_program_or_version_is_left_alone(
        self, root: Path, fill: Fill, cache: Path, change: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        entries = fill(3)
        run(root, entries, cache)
        _change(cache, change)
        before = cache.read_bytes()
        self.check(root, entries, cache, 3)
        assert cache.read_bytes() == before
        assert "left alone" in caplog.text

    def test_a_folder_or_a_file_in_its_way_does_no_harm(self, root: Path, fill: Fill, cache: Path) -> None:
        cache.mkdir(parents=True)
        self.check(root, fill(3), cache, 3)
        (root / "file").write_bytes(b"")
        self.check(root, fill(3), root / "file/hashes.sqlite", 3)

    def test_one_that_is_locked_for_long_is_waited_for_once(self, root: Path, fill: Fill, cache: Path) -> None:
        entries = fill(1000)
        run(root, entries, cache)
        other = sqlite3.connect(cache, isolation_level=None)
        other.execute("begin exclusive")
        try:
            begun = time.monotonic()
            self.check(root, entries, cache, 1000)
            assert time.monotonic() - begun < 5
        finally:
            other.close()
        self.check(root, entries, cache, 0)

    def test_a_row_of_nonsense_is_not_believed(self, root: Path, fill: Fill, cache: Path) -> None:
        entries = fill(3)
        run(root, entries, cache)
        _change(cache, "update hashes set md5 = 'x'")
        self.check(root, entries, cache, 3)

    def test_without_sqlite_every_file_is_read(
        self, root: Path, fill: Fill, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "sqlite3", None)
        self.check(root, fill(3), cache, 3)
        assert not cache.exists()

    def test_none_makes_no_file(self, root: Path, fill: Fill) -> None:
        run(root, fill(3))
        Store(None).close()
        assert sorted(path.name for path in root.parent.iterdir()) == ["root"]


def _change(cache: Path, statement: str) -> None:
    db = sqlite3.connect(cache)
    with db:
        db.execute(statement)
    db.close()


def _children() -> set[int]:
    """Return the processes that read files for this one."""
    done = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in done.stdout.splitlines()[1:]]
    return {int(pid) for pid, parent, args in rows if int(parent) == os.getpid() and "reading.py" in args}
