"""scan: the first line at once, every line once, in order, with md5 if asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared import CHECKOUT, begin, wait_until

from onelight.hashes import reading

SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
GOOD = f"{SESSION}/alf/spikes.times.npy"

Onelight = Callable[..., Any]
Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, write_files: Write) -> Path:
    """Return a root of two sessions, whose files have rested for a minute."""
    names = ["alf/spikes.times.npy", "alf/spikes.amps.npy", "alf/probe00/a.b.npy"]
    sessions = [SESSION, "nicklab/Subjects/Cori/2016-12-15/001"]
    root = write_files(tmp_path / "root", *(f"{session}/{name}" for session in sessions for name in names))
    for path in root.rglob("*.npy"):
        os.utime(path, (1e9, 1e9))
    return root


def paths_of(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.npy"))


class TestPlain:
    def test_paths_are_printed_in_order(self, onelight: Onelight, root: Path) -> None:
        ended = onelight("scan", root)
        assert (ended.code, ended.out.splitlines()) == (0, paths_of(root))
        assert ended.err.endswith(f"2 sessions, 6 datasets, {sum(p.stat().st_size for p in root.rglob('*.npy'))} B\n")

    def test_sessions_are_printed_once(self, onelight: Onelight, root: Path) -> None:
        assert onelight("scan", root, "--sessions-only").out.splitlines() == [
            SESSION,
            "nicklab/Subjects/Cori/2016-12-15/001",
        ]
        rows = [json.loads(line) for line in onelight("scan", root, "--sessions-only", "--json").out.splitlines()]
        assert rows == [{"session": SESSION}, {"session": "nicklab/Subjects/Cori/2016-12-15/001"}]

    def test_a_session_that_begins_like_another_is_another(self, onelight: Onelight, write_files: Write) -> None:
        names = ["lab/Subjects/s/2016-12-14/001/a.b.c", "lab/Subjects/s-1/2016-12-14/001/a.b.c"]
        root = write_files(Path(os.environ["ONELIGHT_CONFIG_DIR"]).parent / "like", *names)
        ended = onelight("scan", root, "--sessions-only")
        assert ended.out.splitlines() == ["lab/Subjects/s-1/2016-12-14/001", "lab/Subjects/s/2016-12-14/001"]
        assert "2 sessions, 2 datasets" in ended.err

    def test_json_has_a_row_for_each_file_and_each_problem(self, onelight: Onelight, root: Path) -> None:
        (root / "notes.txt").write_bytes(b"")
        ended = onelight("scan", root, "--json")
        *rows, problem = [json.loads(line) for line in ended.out.splitlines()]
        assert rows == [
            {"path": path, "session": path[: len(SESSION)], "bytes": (root / path).stat().st_size}
            for path in paths_of(root)
        ]
        assert (problem["status"], problem["path"], problem["files"], ended.code) == ("error", "notes.txt", 1, 1)

    @pytest.mark.parametrize(
        ("paths", "said"),
        [
            (["notes.txt"], "; 1 thing is not ALF\n"),
            (["notes.txt", "lab/Subjects/s/2019-1-1/001/a.b.c", "lab/Subjects/s/2019-1-1/001/a.c.c"], "; 3 things are"),
            (["notes.txt", ".hidden"], "; 1 hidden or system file left out; 1 thing is not ALF\n"),
        ],
    )
    def test_the_last_line_counts_what_is_not_alf(
        self, onelight: Onelight, root: Path, write_files: Write, paths: list[str], said: str
    ) -> None:
        write_files(root, *paths)
        last = onelight("scan", root).err.splitlines(keepends=True)[-1]
        assert last.startswith("2 sessions, 6 datasets, ")
        assert said in last

    def test_an_empty_root_is_one_thing(self, onelight: Onelight, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert onelight("scan", tmp_path / "empty").err.endswith("0 B; 1 thing is not ALF\n")

    def test_a_root_that_is_not_there_ends_with_3(self, onelight: Onelight, tmp_path: Path) -> None:
        ended = onelight("scan", tmp_path / "nowhere")
        assert (ended.code, ended.out) == (3, "")

    def test_it_needs_no_configuration(self, onelight: Onelight, root: Path, config_dir: Path) -> None:
        assert onelight("scan", root).code == 0
        assert not config_dir.exists()


class TestStreaming:
    @pytest.fixture
    def large(self, tmp_path: Path) -> Path:
        """Return a root of 30,000 files, which take a while."""
        for number in range(100):
            folder = tmp_path / f"large/lab/Subjects/s{number:03}/2016-12-14/001/alf"
            folder.mkdir(parents=True)
            for name in range(300):
                (folder / f"a.b{name:03}.npy").touch()
        return tmp_path / "large"

    @pytest.mark.parametrize("options", [[], ["--hash"], ["--json"]])
    def test_the_first_line_comes_before_the_rest_is_found(self, large: Path, options: list[str]) -> None:
        process = begin("scan", large, *options)
        try:
            assert process.stdout is not None
            assert "a.b000.npy" in process.stdout.readline()
            assert process.poll() is None
            last = large / "lab/Subjects/s099/2016-12-14/001/alf/z.added.npy"
            last.touch()  # found all the same: it has not got there
            rest = process.stdout.read()
        finally:
            process.kill()
            process.communicate()
        assert rest.count("\n") == 30_000
        assert "z.added.npy" in rest

    def test_a_reader_that_has_enough_is_no_failure(self, large: Path) -> None:
        for options in ("", "--hash"):
            command = f"{sys.executable} onelight.py scan {large} {options} | head -n 3; exit ${{PIPESTATUS[0]}}"
            done = subprocess.run(["bash", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout.count("\n"), done.stderr) == (141, 3, "")

    def test_the_memory_does_not_grow_with_the_tree(self, large: Path) -> None:
        program = (
            "import resource, sys; from onelight.cli import run; run(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        peaks = []
        for root in (large / "lab/Subjects/s000/2016-12-14/001/alf", large):
            command = [sys.executable, "-c", program, "scan", str(root)]
            done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
            peaks.append(int(done.stderr.split()[-1]))
        assert peaks[1] - peaks[0] < 4000  # kB; 30,000 paths alone are 3,500 kB, and entries of them three times that

    def test_ctrl_c_ends_it_and_the_processes_that_read(self, large: Path) -> None:
        process = begin("scan", large, "--hash")
        assert process.stdout is not None
        for _ in range(1000):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        process.communicate()
        assert process.returncode == 130
        assert time.monotonic() - begun < 5

    @pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
    def test_killed_it_leaves_no_process(self, large: Path) -> None:
        process = begin("scan", large, "--hash")
        assert process.stdout is not None
        for _ in range(1000):
            process.stdout.readline()
        children = _readers_of(process.pid)
        assert children
        process.kill()
        process.communicate()
        wait_until(lambda: not any(_is_alive(child) for child in children), 10)


def _readers_of(process: int) -> list[int]:
    done = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    return [int(pid) for pid, parent in rows if int(parent) == process]


def _is_alive(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False


class TestHash:
    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let files be remembered that were made just now."""
        monkeypatch.setattr(reading, "_COARSE", 0)

    def test_md5sum_agrees(self, onelight: Onelight, root: Path) -> None:
        ended = onelight("scan", root, "--hash")
        assert ended.code == 0
        assert [line.partition("  ")[2] for line in ended.out.splitlines()] == paths_of(root)
        done = subprocess.run(["md5sum", "-c", "--strict"], cwd=root, input=ended.out.encode(), check=False)
        assert done.returncode == 0

    def test_the_second_time_no_file_is_read(self, onelight: Onelight, root: Path, config_dir: Path) -> None:
        first = onelight("scan", root, "--hash")
        assert "6 files read, 0 known from before" in first.err
        second = onelight("scan", root, "--hash")
        assert "0 files read, 6 known from before" in second.err
        assert second.out == first.out
        assert [path.name for path in config_dir.iterdir()] == ["hashes.sqlite"]

    def test_an_upload_reads_no_file_that_a_scan_has_read_and_the_other_way_round(
        self, onelight: Onelight, root: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "store").mkdir()
        assert onelight("add-repo", "store", "--local", tmp_path / "store").code == 0
        assert onelight("upload", root, "-R", "store", "--dry-run").code == 0
        assert "0 files read, 6 known from before" in onelight("scan", root, "--hash").err

    def test_json_rows_have_it(self, onelight: Onelight, root: Path) -> None:
        lines = onelight("scan", root, "--hash").out.splitlines()
        rows = [json.loads(line) for line in onelight("scan", root, "--hash", "--json").out.splitlines()]
        assert [f"{row['md5']}  {row['path']}" for row in rows] == lines
        assert set(rows[0]) == {"path", "session", "bytes", "md5"}

    def test_it_is_about_files(self, onelight: Onelight, root: Path) -> None:
        ended = onelight("scan", root, "--hash", "--sessions-only")
        assert (ended.code, ended.out) == (2, "")
        assert "--sessions-only prints none" in ended.err

    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            ("changed\t", "changed while it was read"),
            ("failed\tInput/output error", "cannot be read: Input/output error"),
        ],
    )
    def test_a_file_that_cannot_be_read_is_told_at_the_end_and_the_rest_is_printed(
        self, onelight: Onelight, root: Path, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
    ) -> None:
        read = reading.read

        def faulty(path: str, is_stopped: Callable[[], bool]) -> str:
            return fault if path.endswith(GOOD) else read(path, is_stopped)

        monkeypatch.setattr(reading, "read", faulty)
        ended = onelight("scan", root, "--hash")
        assert ended.code == 1
        assert [line.partition("  ")[2] for line in ended.out.splitlines()] == [
            path for path in paths_of(root) if path != GOOD
        ]
        assert f"not read: {GOOD}: {reason}\n" in ended.err
        assert "2 sessions, 5 datasets, " in ended.err
        assert ended.err.endswith("; 1 file not read\n")
        ended = onelight("scan", root, "--hash", "--json")
        *rows, last = [json.loads(line) for line in ended.out.splitlines()]
        assert (ended.code, len(rows)) == (1, 5)
        assert last == {"status": "error", "path": GOOD, "message": reason, "files": 1}

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
    def test_a_file_that_is_closed_is_told(self, onelight: Onelight, root: Path) -> None:
        (root / GOOD).chmod(0)
        ended = onelight("scan", root, "--hash")
        assert (ended.code, len(ended.out.splitlines())) == (1, 5)
        assert f"not read: {GOOD}: cannot be read: Permission denied" in ended.err

    def test_a_configuration_folder_that_cannot_be_written_costs_time_only(
        self, onelight: Onelight, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("ONELIGHT_CONFIG_DIR", str(tmp_path / "file" / "below"))
        for _ in range(2):
            ended = onelight("scan", root, "--hash")
            assert (ended.code, "6 files read, 0 known" in ended.err) == (0, True)

    def test_in_python_the_index_has_it(self, onelight: Onelight, root: Path) -> None:
        import onelight as one

        lines = onelight("scan", root, "--hash").out.splitlines()
        assert [f"{entry.md5}  {entry.path}" for entry in one.scan(root, md5=True).index] == lines
        assert {entry.md5 for entry in one.scan(root).index} == {None}
