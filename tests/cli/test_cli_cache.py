"""cache dir and cache gc: what broken downloads left goes, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from onelight.index import Entry
from onelight.transfer import Ledger, leftovers, partial
from onelight.transfer.leftovers import find_leftovers, remove
from onelight.transfer.partial import Partial
from onelight.transfer.place import Folders

SESSION = "lab/Subjects/Cori/2016-12-14/001/alf"
Run = Callable[..., Any]


@pytest.fixture
def data(add_repository: Callable[..., str], config_dir: Path) -> Path:
    add_repository("web", "http", base_url="https://example.org/data")
    folder = config_dir / "data" / "web"
    (folder / SESSION).mkdir(parents=True)
    return folder


def partial_of(target: Path) -> Partial:
    return Partial(Folders(target.parent).of(target.name), target.name, "10 md5")


def begin(target: Path, content: bytes = b"12345") -> Partial:
    """Return a partial file that this process works on."""
    begun = partial_of(target)
    begun.claim()
    begun.write(0, [content])
    begun.remember('"a"', 10)
    return begun


def of_a_dead_process(target: Path) -> list[Path]:
    """Return the files of a process that was killed."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    begun = begin(target)
    begun._close()
    path = Path(begun.path)
    moved = [path.with_name(path.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-"))]
    moved.append(moved[0].with_suffix(".json"))
    path.rename(moved[0])
    path.with_suffix(".json").rename(moved[1])
    return sorted(moved)


def everything(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def test_dir_prints_where_the_files_of_a_repository_land(onelight: Run, data: Path, config_dir: Path) -> None:
    assert onelight("cache", "dir").lines == [str(data)]
    assert onelight("cache", "dir", "-R", "nick19").lines == [str(config_dir / "data" / "nick19")]
    assert onelight("cache", "dir", "--json").rows == [{"repository": "web", "folder": str(data)}]
    assert not (config_dir / "data" / "nick19").exists()


@pytest.mark.parametrize("command", ["dir", "gc"])
def test_an_unknown_repository_is_not_found(onelight: Run, command: str) -> None:
    missing = onelight("cache", command, "-R", "nowhere")
    assert (missing.code, missing.out) == (3, "")


def test_the_files_of_a_killed_process_and_those_that_were_let_go_are_removed(onelight: Run, data: Path) -> None:
    """Row L3."""
    left = of_a_dead_process(data / SESSION / "spikes.times.npy")
    begin(data / SESSION / "trials.intervals.npy").release()
    left = sorted([*left, *(data / SESSION).glob(".trials.*")])
    assert len(left) == 4
    size = sum(path.stat().st_size for path in left)
    cleaned = onelight("cache", "gc")
    assert (cleaned.code, [Path(line) for line in cleaned.lines]) == (0, left)
    assert f"removed 4 partial files ({size} B) in {data}" in cleaned.err
    assert everything(data) == []
    again = onelight("cache", "gc")
    assert (again.code, again.out) == (0, "")
    assert "removed 0 partial files" in again.err


def test_what_a_living_process_works_on_stays_and_it_can_go_on(onelight: Run, data: Path) -> None:
    """Row L8."""
    begun = begin(data / SESSION / "spikes.times.npy")
    cleaned = onelight("cache", "gc")
    assert (cleaned.code, cleaned.out) == (0, "")
    assert "2 files in use" in cleaned.err
    assert begun.is_own()
    begun.commit()
    assert everything(data) == [data / SESSION / "spikes.times.npy"]


def test_what_another_machine_works_on_stays_for_six_hours(onelight: Run, data: Path) -> None:
    """Row L8."""
    far = data / SESSION / f".spikes.times.npy.{'0' * 8}.{'f' * 12}-1-{'0' * 8}.part"
    far.write_bytes(b"12345")
    assert onelight("cache", "gc").out == ""
    long_ago = time.time() - partial._ORPHAN_AFTER - 60
    os.utime(far, (long_ago, long_ago))
    assert onelight("cache", "gc").lines == [str(far)]


def test_nothing_else_is_touched(onelight: Run, data: Path, tmp_path: Path) -> None:
    names = [
        "spikes.times.npy", ".part", ".json", "a.part", ".a.part", ".a.b.part", ".hidden.json", ".a.12345678.txt",
        "a.12345678.part", ".a.1234567.part", ".a.12345678.part.bak", ".a.12345678.part~", ".a.1234567G.part",
        ".a.12345678.host-1-12345678.parts", "..12345678.part",
    ]  # fmt: skip
    for name in names:
        (data / SESSION / name).write_bytes(b"mine")
    (data / ".one_index").write_bytes(b"mine")
    Ledger(data).record(f"{SESSION}/spikes.times.npy", data / SESSION / "spikes.times.npy", "0" * 32)
    (data / SESSION / ".a.12345678.part").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".a.npy.12345678.part").write_bytes(b"of another place")
    with contextlib.suppress(OSError):  # Windows lets not everybody make links
        (data / "lab" / "link").symlink_to(elsewhere, target_is_directory=True)
        (data / SESSION / ".b.12345678.part").symlink_to(elsewhere / ".a.npy.12345678.part")
    before = everything(tmp_path)
    assert onelight("cache", "gc").out == ""
    assert everything(tmp_path) == before


def test_partial_files_of_every_name_are_found(data: Path) -> None:
    names = ["spikes.times.npy", "x" * 240 + ".times.npy", "ß€" * 40 + ".times.npy", "a.b.#c#.npy", "README", "a\nb.c"]
    for name in names:
        begin(data / SESSION / name).release()
    found = find_leftovers(data)
    assert len(found) == 2 * len(names)
    assert all(remove(each) for each in found)
    assert everything(data) == []


def test_a_dry_run_prints_the_same_and_removes_nothing(onelight: Run, data: Path) -> None:
    left = of_a_dead_process(data / SESSION / "spikes.times.npy")
    planned = onelight("cache", "gc", "--dry-run")
    assert (planned.code, [Path(line) for line in planned.lines]) == (0, left)
    assert "dry run: would remove 2 partial files" in planned.err
    assert everything(data) == left
    assert onelight("cache", "gc").lines == planned.lines


def test_json_has_an_object_per_file_and_a_summary(onelight: Run, data: Path) -> None:
    left = of_a_dead_process(data / SESSION / "spikes.times.npy")
    sizes = [path.stat().st_size for path in left]
    working = begin(data / SESSION / "spikes.clusters.npy")
    *rows, summary = onelight("cache", "gc", "--json").rows
    assert rows == [
        {"action": "remove", "file": str(path), "bytes": size, "status": "ok"}
        for path, size in zip(left, sizes, strict=True)
    ]
    assert summary == {
        "action": "summary", "repository": "web", "dry_run": False,
        "ok": 2, "in_use": 2, "error": 0, "bytes": sum(sizes), "exit": 0,
    }  # fmt: skip
    working.discard()


def test_a_repository_nothing_was_fetched_from_has_nothing_to_remove(onelight: Run) -> None:
    cleaned = onelight("cache", "gc", "-R", "nick19")
    assert (cleaned.code, cleaned.out) == (0, "")


def test_one_repository_at_a_time(onelight: Run, data: Path) -> None:
    left = of_a_dead_process(data / SESSION / "spikes.times.npy")
    assert onelight("cache", "gc", "-R", "local").out == ""
    assert everything(data) == left


def test_a_file_that_is_taken_over_meanwhile_is_left_to_its_new_owner(data: Path) -> None:
    of_a_dead_process(data / SESSION / "spikes.times.npy")
    found = find_leftovers(data)
    owner = partial_of(data / SESSION / "spikes.times.npy")
    assert owner.claim().etag == '"a"'
    assert [remove(each) for each in found] == [False, False]
    assert owner.is_own()
    owner.discard()


def test_a_file_that_cannot_be_removed_is_told_and_the_others_go(
    onelight: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    json_file, _ = of_a_dead_process(data / SESSION / "spikes.times.npy")

    def refuse(leftover: leftovers.Leftover) -> bool:
        if leftover.path == json_file:
            raise PermissionError(13, "Permission denied")
        return remove(leftover)

    monkeypatch.setattr(leftovers, "remove", refuse)
    cleaned = onelight("cache", "gc", "--json")
    assert cleaned.code == 7
    assert [row.get("status") for row in cleaned.rows] == ["error", "ok", None]
    assert f"{json_file} cannot be removed: Permission denied" in cleaned.err
    assert everything(data) == [json_file]


@pytest.fixture
def closed(data: Path) -> Iterator[Path]:
    (data / "lab").chmod(0)
    yield data / "lab"
    (data / "lab").chmod(0o700)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_an_error_of_the_disk(onelight: Run, closed: Path) -> None:
    cleaned = onelight("cache", "gc")
    assert (cleaned.code, cleaned.out) == (7, "")
    assert str(closed) in cleaned.err


def test_after_the_partial_file_is_gone_a_download_begins_anew(
    onelight: Run, data: Path, serve: Callable[[Path], Any], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / SESSION).mkdir(parents=True)
    (root / SESSION / "spikes.times.npy").write_bytes(b"1234567890")
    (root / ".one_root").write_text(f"{SESSION}/spikes.times.npy\n")
    assert onelight("add-repo", "web", "--replace", "--http", serve(root).url).code == 0
    of_a_dead_process(data / SESSION / "spikes.times.npy")
    assert onelight("cache", "gc").code == 0
    fetched = onelight("download", SESSION.removesuffix("/alf"), "--json")
    assert fetched.code == 0, fetched.err
    assert "resumed_from" not in fetched.rows[0]
    assert (data / SESSION / "spikes.times.npy").read_bytes() == b"1234567890"


def test_names_in_json_are_text(onelight: Run, data: Path) -> None:
    """Row D4."""
    begin(data / SESSION / "café\n.times.npy").release()
    assert all("café\n" in json.loads(line)["file"] for line in onelight("cache", "gc", "--json").lines[:-1])


def test_an_entry_of_the_index_is_no_leftover(data: Path) -> None:
    wanted = Entry(f"{SESSION}/spikes.times.npy")
    (data / wanted.path).write_bytes(b"x")
    assert find_leftovers(data) == []
