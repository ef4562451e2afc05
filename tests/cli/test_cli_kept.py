"""cache list and cache verify: what is there, and whether it is still what it was."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Good, WebServer, cut, status
from shared import SESSION, address, share

Run = Callable[..., Any]
OTHER = "lab/Subjects/Forssmann/2017-01-02/001"
TIMES, CLUSTERS = os.urandom(5000), os.urandom(3000)


def rot(path: Path) -> None:
    """Change one byte as a disk does: without a trace in size, times and number."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def believe(folder: Path) -> None:
    """Make the ledger believe that every file of it is as it is now: no test can set the change time of a file."""
    ledger = folder / ".one_verified"
    rows = []
    for line in ledger.read_text().splitlines():
        path, *_, md5 = line.split("\t")
        found = (folder / path).stat()
        rows.append(f"{path}\t{found.st_size}\t{found.st_mtime_ns}\t{found.st_ino}\t{found.st_ctime_ns}\t{md5}\n")
    ledger.write_text("".join(rows))


@pytest.fixture
def web(add_repository: Callable[..., str]) -> Iterator[WebServer]:
    with WebServer() as server:
        share(server, {"spikes.times.npy": TIMES, "spikes.clusters.npy": CLUSTERS})
        share(server, {"trials.intervals.npy": b"trials"}, OTHER)
        add_repository("web", "http", base_url=f"{server.url}/data")
        yield server


@pytest.fixture
def folder(onelight: Run, web: WebServer, config_dir: Path) -> Path:
    """The data folder, with the three files in it."""
    fetched = onelight("download", "--from-file", "-", given=f"{SESSION}\n{OTHER}\n")
    assert (fetched.code, len(fetched.lines)) == (0, 3)
    return config_dir / "data" / "web"


@pytest.fixture
def stored(onelight: Run, box: int, tmp_path: Path, config_dir: Path) -> Path:
    """The same data in a repository that states md5s, downloaded; its data folder."""
    root = tmp_path / "root"
    for name, content in (("spikes.times.npy", TIMES), ("spikes.clusters.npy", CLUSTERS)):
        target = root / SESSION / "alf" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    assert onelight("upload", root).code == 0
    assert onelight("download", SESSION).code == 0
    return config_dir / "data" / "box"


class TestList:
    def test_by_repository_and_session_with_counts_bytes_and_how_sure(
        self, onelight: Run, folder: Path, stored: Path
    ) -> None:
        listed = onelight("cache", "list")
        assert (listed.code, listed.lines) == (
            0,
            [
                f"web: {SESSION}  2 files, 8.0 kB, size only",
                f"web: {OTHER}  1 file, 6 B, size only",
                f"box: {SESSION}  2 files, 8.0 kB, verified",
            ],
        )
        assert f"web: 2 sessions, 8.0 kB in {folder}" in listed.err
        assert "5 files, 16.0 kB" in listed.err
        assert onelight("cache", "list", "-R", "box").lines == listed.lines[2:]

    def test_json_is_one_object_per_session(self, onelight: Run, stored: Path) -> None:
        assert onelight("cache", "list", "--json").rows == [
            {
                "repository": "box", "session": SESSION, "files": 2, "bytes": 8000,
                "verified": 2, "size_only": 0, "not_verified": 0,
            }
        ]  # fmt: skip

    def test_what_was_touched_or_came_in_another_way_is_not_verified(self, onelight: Run, stored: Path) -> None:
        (stored / SESSION / "alf" / "spikes.times.npy").write_bytes(b"changed")
        (stored / SESSION / "alf" / "spikes.mine.npy").write_bytes(b"mine")
        [line] = onelight("cache", "list").lines
        assert line.endswith("3 files, 3.0 kB, 1 verified, 2 not verified")

    def test_nothing_is_read_and_nothing_changed(self, onelight: Run, folder: Path, web: WebServer) -> None:
        web.stop()
        times = [(path, path.stat().st_atime_ns, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*.npy"))]
        assert onelight("cache", "list").code == 0
        assert times == [
            (path, path.stat().st_atime_ns, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*.npy"))
        ]

    def test_other_files_and_partial_ones_are_told_apart(self, onelight: Run, folder: Path) -> None:
        (folder / "notes.txt").write_text("mine")
        (folder / SESSION / "alf" / ".spikes.times.npy.01234567.part").write_bytes(bytes(99))
        listed = onelight("cache", "list", "-R", "web")
        assert len(listed.lines) == 2
        assert "1 other file, 4 B, in no session" in listed.err
        assert "1 partial file, 99 B; remove with: onelight cache gc -R web" in listed.err

    def test_nothing_downloaded_is_no_error(self, onelight: Run) -> None:
        listed = onelight("cache", "list")
        assert (listed.code, listed.out) == (0, "")
        assert "0 files" in listed.err

    def test_a_local_repository_has_no_copy(self, onelight: Run) -> None:
        for command in ("list", "verify"):
            listed = onelight("cache", command, "-R", "local")
            assert (listed.code, listed.out) == (0, "")
            assert "read where they are" in listed.err

    @pytest.mark.parametrize("command", ["list", "verify"])
    def test_an_unknown_repository_is_not_found(self, onelight: Run, command: str) -> None:
        assert onelight("cache", command, "-R", "nowhere").code == 3


class TestVerify:
    def test_what_is_well_is_said_to_be_so_without_a_network(self, onelight: Run, folder: Path, web: WebServer) -> None:
        web.stop()  # no network is needed
        checked = onelight("cache", "verify", "-R", "web")
        assert (checked.code, checked.out) == (0, "")
        assert "3 files read (8.0 kB), 3 good, 0 damaged" in checked.err

    @pytest.mark.parametrize("states_md5", [True, False])
    def test_a_byte_that_the_disk_changed_is_found_and_left_alone(
        self, onelight: Run, request: pytest.FixtureRequest, states_md5: bool
    ) -> None:
        """Row L13."""
        folder = request.getfixturevalue("stored" if states_md5 else "folder")
        target = folder / SESSION / "alf" / "spikes.times.npy"
        rot(target)
        believe(folder)
        rotten = target.read_bytes()
        assert onelight("download", SESSION, "spikes.times").lines == [str(target)], "which a look does not see"
        checked = onelight("cache", "verify")
        assert (checked.code, checked.lines) == (6, [str(target)])
        assert f"damaged: {SESSION}/alf/spikes.times.npy has the md5 " in checked.err
        assert target.read_bytes() == rotten, "nothing is removed or moved"
        assert onelight("cache", "verify").code == 6, "it stays known"

        command = shlex.split(checked.err.partition("fetch them again with: ")[2].splitlines()[0])
        fetched = onelight(*command[1:])
        assert (fetched.code, fetched.lines) == (0, [str(target)])
        assert "1 file fetched" in fetched.err
        assert target.read_bytes() == TIMES
        assert onelight("cache", "verify").code == 0

    def test_refetch_repairs_it(self, onelight: Run, stored: Path) -> None:
        target = stored / SESSION / "alf" / "spikes.times.npy"
        rot(target)
        believe(stored)
        repaired = onelight("cache", "verify", "--refetch")
        assert repaired.code == 0
        assert "1 file fetched again" in repaired.err
        assert target.read_bytes() == TIMES
        assert onelight("cache", "verify").code == 0

    def test_until_the_right_one_is_there_the_damaged_one_stays(
        self, onelight: Run, folder: Path, web: WebServer
    ) -> None:
        target = folder / SESSION / "alf" / "spikes.times.npy"
        rot(target)
        rotten = target.read_bytes()
        web.faults[address("spikes.times.npy")] = [status(403)]
        failed = onelight("cache", "verify", "--refetch")
        assert failed.code == 6
        assert "answered 403" in failed.err
        assert "fetch them again with: onelight download --from-file" in failed.err
        assert target.read_bytes() == rotten
        web.faults[address("spikes.times.npy")] = [cut(2000), Good]
        assert onelight("cache", "verify", "--refetch").code == 0
        assert target.read_bytes() == TIMES

    @pytest.mark.parametrize("damage", ["cut", "grown", "emptied", "folder", "link", "pipe"])
    def test_other_damage_is_found_too(self, onelight: Run, stored: Path, damage: str) -> None:
        """Row L13."""
        target = stored / SESSION / "alf" / "spikes.times.npy"
        if damage in ("cut", "grown", "emptied"):
            target.write_bytes({"cut": TIMES[:-1], "grown": TIMES + b"\0", "emptied": b""}[damage])
        else:
            if damage != "folder" and os.name != "posix":
                pytest.skip("links and pipes of POSIX")
            target.unlink()
            {"folder": target.mkdir, "link": lambda: target.symlink_to("nowhere"), "pipe": lambda: os.mkfifo(target)}[
                damage
            ]()
        checked = onelight("cache", "verify")
        assert (checked.code, checked.lines) == (6, [str(target)])

    def test_what_was_touched_and_is_good_is_verified_from_then_on(self, onelight: Run, stored: Path) -> None:
        (stored / SESSION / "alf" / "spikes.times.npy").touch()
        assert onelight("cache", "list").lines[0].endswith("1 verified, 1 not verified")
        assert onelight("cache", "verify").code == 0
        assert onelight("cache", "list").lines[0].endswith("2 files, 8.0 kB, verified")
        size = (stored / ".one_verified").stat().st_size
        assert onelight("cache", "verify").code == 0
        assert (stored / ".one_verified").stat().st_size == size, "nothing new is nothing to take down"

    def test_what_somebody_removed_is_no_damage(self, onelight: Run, stored: Path) -> None:
        (stored / SESSION / "alf" / "spikes.times.npy").unlink()
        checked = onelight("cache", "verify")
        assert (checked.code, checked.out) == (0, "")
        assert "1 file read" in checked.err

    def test_a_newer_one_in_the_repository_is_no_damage(self, onelight: Run, stored: Path, tmp_path: Path) -> None:
        (tmp_path / "root" / SESSION / "alf" / "spikes.times.npy").write_bytes(b"newer")
        assert onelight("upload", tmp_path / "root").code == 0
        assert onelight("list", SESSION).code == 0  # from now on the newer index is known here
        checked = onelight("cache", "verify")
        assert (checked.code, checked.out) == (0, "")
        assert f"outdated: {SESSION}/alf/spikes.times.npy is as it was fetched" in checked.err
        assert onelight("download", SESSION).code == 0
        assert "outdated" not in onelight("cache", "verify").err

    def test_a_file_that_nobody_knows_is_neither(self, onelight: Run, stored: Path) -> None:
        (stored / SESSION / "alf" / "spikes.mine.npy").write_bytes(b"mine")
        checked = onelight("cache", "verify")
        assert (checked.code, checked.out) == (0, "")
        assert "1 file of unknown origin" in checked.err

    def test_json_has_an_object_per_file_and_a_summary(self, onelight: Run, stored: Path) -> None:
        rot(stored / SESSION / "alf" / "spikes.times.npy")
        *rows, summary = onelight("cache", "verify", "--json").rows
        assert [(row["path"].rpartition("/")[2], row["status"]) for row in rows] == [
            ("spikes.clusters.npy", "ok"),
            ("spikes.times.npy", "damaged"),
        ]
        assert "has the md5" in rows[1]["why"]
        assert summary == {
            "action": "summary", "repository": "box", "files": 2, "ok": 1, "outdated": 0, "unknown": 0, "damaged": 1,
            "refetched": 0, "exit": 6,
        }  # fmt: skip
        *rows, summary = onelight("cache", "verify", "--json", "--refetch").rows
        assert [(row["action"], row["status"]) for row in rows] == [
            ("verify", "ok"), ("verify", "damaged"), ("refetch", "ok"),
        ]  # fmt: skip
        assert (summary["refetched"], summary["exit"]) == (1, 0)

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
    def test_a_file_that_cannot_be_read_is_damaged(self, onelight: Run, stored: Path) -> None:
        (stored / SESSION / "alf" / "spikes.times.npy").chmod(0)
        assert onelight("cache", "verify").code == 6
