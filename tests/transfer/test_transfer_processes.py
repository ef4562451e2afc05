"""Killed, side by side, or without room: nothing done is lost, and nothing wrong is left."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import servers
from servers import Gate, Good, WebServer, cut, drip, status
from shelf import SESSION, entry, fetch, leftovers, start

from onelight.errors import ChecksumMismatch, NoSpace, UnsafeData
from onelight.folder import scan
from onelight.index import Entry
from onelight.route import Inline
from onelight.transfer import Fetch, Keep, Ledger, Status, Verified, plan_download

A = os.urandom(4_000_000)
PATH = "/spikes.times.npy"
posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        running.files[PATH] = A
        yield running


def wanted(server: WebServer, *, md5: bool = True) -> Entry:
    return entry("spikes.times.npy", server.url + PATH, A, size=md5, md5=md5)


def wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def size_of_partials(folder: Path) -> int:
    size = 0
    for path in leftovers(folder):
        with contextlib.suppress(FileNotFoundError):  # it was given another name since
            size += path.stat().st_size if path.suffix == ".part" else 0
    return size


def marks(folder: Path) -> int:
    return sum(path.read_text().count("\n") - 1 for path in leftovers(folder) if path.suffix == ".json")


def result(process: subprocess.Popen[str]) -> list[list[object]]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out)["outcomes"]


# Killed


@posix
@pytest.mark.parametrize("md5", [True, False])
def test_a_killed_download_is_continued_by_the_next_process(server: WebServer, tmp_path: Path, md5: bool) -> None:
    """Row L3."""
    server.faults[PATH] = [drip(0.03)]
    with start([wanted(server, md5=md5)], tmp_path) as process:
        wait_until(lambda: size_of_partials(tmp_path) > 1_000_000 and (md5 or marks(tmp_path)))
        process.kill()
        process.communicate()
    target = tmp_path / wanted(server).path
    assert not target.exists()
    held = size_of_partials(tmp_path)
    assert held > 1_000_000
    server.heal()
    with start([wanted(server, md5=md5)], tmp_path) as process:
        [[state, _, _, resumed_from]] = result(process)
    assert state == "ok"
    # Where no md5 will tell, only what was marked is believed: a power loss may have torn what came after.
    assert resumed_from == held if md5 else 0 < resumed_from <= held
    assert [seen.range_start for seen in server.requests] == [resumed_from]
    assert "if-range" in server.requests[0].headers
    assert target.read_bytes() == A
    assert leftovers(tmp_path) == []


@posix
def test_a_download_killed_again_and_again_ends_right(server: WebServer, tmp_path: Path) -> None:
    """Row L3."""
    server.faults[PATH] = [drip(0.02)]
    target = tmp_path / wanted(server).path
    for share in (0.2, 0.4, 0.6):
        with start([wanted(server)], tmp_path) as process:
            wait_until(lambda share=share: size_of_partials(tmp_path) > share * len(A))
            process.kill()
            process.communicate()
        assert not target.exists()
    server.faults.clear()
    assert fetch([wanted(server)], tmp_path)[0].error is None
    assert target.read_bytes() == A
    assert leftovers(tmp_path) == []


@posix
def test_ctrl_c_keeps_what_came_and_the_next_run_continues(server: WebServer, tmp_path: Path) -> None:
    """Row L4."""
    server.faults[PATH] = [drip(0.03)]
    with start([wanted(server)], tmp_path) as process:
        wait_until(lambda: size_of_partials(tmp_path) > 1_000_000)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert json.loads(out) == "interrupted", err
    assert time.monotonic() - begun < 5
    assert "Traceback" not in err
    held = size_of_partials(tmp_path)
    assert held > 1_000_000
    server.heal()
    assert fetch([wanted(server)], tmp_path)[0].resumed_from == held
    assert (tmp_path / wanted(server).path).read_bytes() == A


@posix
def test_ctrl_c_does_not_wait_for_a_server_that_asks_for_patience(server: WebServer, tmp_path: Path) -> None:
    """Row L4."""
    server.faults[PATH] = [status(503, Retry_After=60)]
    with start([wanted(server)], tmp_path) as process:
        wait_until(lambda: server.requests)
        time.sleep(0.2)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=50)
    assert json.loads(out) == "interrupted"
    assert time.monotonic() - begun < 5


# Side by side


def test_several_processes_may_download_the_same_file(server: WebServer, tmp_path: Path) -> None:
    """Row L6."""
    server.faults[PATH] = [drip(0.005)]
    running = [start([wanted(server)], tmp_path) for _ in range(4)]
    for process in running:
        with process:
            assert result(process)[0][0] in ("ok", "notneeded")
    assert (tmp_path / wanted(server).path).read_bytes() == A
    assert leftovers(tmp_path) == []


def test_a_process_takes_nothing_away_from_one_that_is_alive(server: WebServer, tmp_path: Path) -> None:
    """Row L6."""
    server.faults[PATH] = [drip(0.03), Good]
    with start([wanted(server)], tmp_path) as slow:
        wait_until(lambda: size_of_partials(tmp_path) > 500_000)
        [quick] = fetch([wanted(server)], tmp_path)
        assert (quick.error, quick.resumed_from) == (None, 0)
        assert result(slow)[0][0] == "ok"
    assert (tmp_path / wanted(server).path).read_bytes() == A
    assert leftovers(tmp_path) == []


def test_eight_files_come_at_the_same_time(server: WebServer, tmp_path: Path) -> None:
    contents = {f"/probe{number:02}.times.npy": os.urandom(3_000_000) for number in range(16)}
    server.files.update(contents)
    gate = Gate(8)
    server.faults.update({path: [gate] for path in contents})
    entries = [entry(path[1:], server.url + path, content) for path, content in contents.items()]
    outcomes = fetch(entries, tmp_path)
    assert [outcome.path for outcome in outcomes] == [one.path for one in entries], "in the order of the plan"
    assert all((tmp_path / one.path).read_bytes() == contents[f"/{Path(one.path).name}"] for one in entries)
    assert server.busiest == 8
    assert not gate.barrier.broken


def test_one_failure_does_not_stop_the_others(server: WebServer, tmp_path: Path) -> None:
    entries = [entry(f"spikes.a{number}.npy", f"{server.url}{PATH}?{number}", A) for number in range(4)]
    entries.insert(1, entry("spikes.gone.npy", f"{server.url}/gone", A))
    outcomes = fetch(entries, tmp_path)
    assert [outcome.status for outcome in outcomes] == [Status.DONE, Status.FAILED, *[Status.DONE] * 3]


# Kept


def test_a_good_file_is_kept_without_a_request(server: WebServer, tmp_path: Path) -> None:
    fetch([wanted(server)], tmp_path)
    before = (tmp_path / wanted(server).path).stat()
    server.forget()
    [outcome] = fetch([wanted(server)], tmp_path)
    assert (outcome.status, outcome.verified, outcome.size) == (Status.KEPT, Verified.MD5, len(A))
    assert server.requests == []
    assert (tmp_path / wanted(server).path).stat() == before


def test_a_good_file_that_came_in_another_way_is_kept_too(server: WebServer, tmp_path: Path) -> None:
    target = tmp_path / wanted(server).path
    target.parent.mkdir(parents=True)
    target.write_bytes(A)
    assert fetch([wanted(server)], tmp_path)[0].status is Status.KEPT
    assert server.requests == []


@pytest.mark.parametrize("damage", ["truncated", "grown", "one byte", "emptied", "another file"])
def test_a_damaged_file_is_fetched_again(server: WebServer, tmp_path: Path, damage: str) -> None:
    """Row L13."""
    fetch([wanted(server)], tmp_path)
    target = tmp_path / wanted(server).path
    content = {
        "truncated": A[:-1],
        "grown": A + b"\0",
        "one byte": A[:1_000_000] + bytes([A[1_000_000] ^ 1]) + A[1_000_001:],
        "emptied": b"",
        "another file": os.urandom(len(A)),
    }[damage]
    target.write_bytes(content)
    os.utime(target, ns=(time.time_ns(), time.time_ns()))
    [step] = plan_download([wanted(server)], tmp_path, Ledger(tmp_path))
    assert isinstance(step, Fetch)
    assert step.why.startswith("differs")
    assert target.read_bytes() == content, "a plan changes nothing"
    assert fetch([wanted(server)], tmp_path)[0].status is Status.DONE
    assert target.read_bytes() == A


def test_a_damaged_file_stays_where_it_is_until_a_right_one_is_there(server: WebServer, tmp_path: Path) -> None:
    """Row L13."""
    target = tmp_path / wanted(server).path
    target.parent.mkdir(parents=True)
    target.write_bytes(b"mine")
    server.faults[PATH] = [servers.short(1)]
    assert fetch([wanted(server)], tmp_path)[0].error is not None
    assert target.read_bytes() == b"mine"


def test_a_file_that_was_compared_is_not_read_again(server: WebServer, tmp_path: Path) -> None:
    fetch([wanted(server)], tmp_path)
    target = tmp_path / wanted(server).path
    assert Ledger(tmp_path).md5(wanted(server).path, target) == hashlib.md5(A).hexdigest()
    os.utime(target)
    assert Ledger(tmp_path).md5(wanted(server).path, target) is None
    target.unlink()
    assert Ledger(tmp_path).md5(wanted(server).path, target) is None


@pytest.mark.parametrize("nonsense", [b"", b"\xff\xfe", b"a\tb\n", b"\t\t\t\t\n" * 3, b"x" * 100_000])
def test_a_ledger_that_is_damaged_costs_time_and_no_truth(server: WebServer, tmp_path: Path, nonsense: bytes) -> None:
    """Row L13."""
    fetch([wanted(server)], tmp_path)
    (tmp_path / ".one_verified").write_bytes(nonsense)
    server.forget()
    assert fetch([wanted(server)], tmp_path)[0].status is Status.KEPT
    (tmp_path / wanted(server).path).write_bytes(os.urandom(len(A)))
    assert fetch([wanted(server)], tmp_path)[0].status is Status.DONE
    assert len(server.requests) == 1


@posix
def test_good_files_in_a_folder_that_cannot_be_written_are_kept(server: WebServer, tmp_path: Path) -> None:
    """Row L2."""
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    fetch([wanted(server)], tmp_path)
    tmp_path.chmod(0o500)
    try:
        assert fetch([wanted(server)], tmp_path)[0].status is Status.KEPT
    finally:
        tmp_path.chmod(0o700)


def test_a_file_of_unknown_origin_is_fetched_again_where_nobody_states_its_md5(
    server: WebServer, tmp_path: Path
) -> None:
    unknown = wanted(server, md5=False)
    target = tmp_path / unknown.path
    target.parent.mkdir(parents=True)
    target.write_bytes(b"whatever")
    [step] = plan_download([unknown], tmp_path, Ledger(tmp_path))
    assert isinstance(step, Fetch)
    assert "nobody knows" in step.why


def test_a_fetched_file_that_was_changed_is_fetched_again_where_nobody_states_its_md5(
    server: WebServer, tmp_path: Path
) -> None:
    unknown = wanted(server, md5=False)
    [outcome] = fetch([unknown], tmp_path)
    [step] = plan_download([unknown], tmp_path, Ledger(tmp_path))
    assert isinstance(step, Keep)
    outcome.target.touch()  # the same content under another time is read again, and kept
    [step] = plan_download([unknown], tmp_path, Ledger(tmp_path))
    assert isinstance(step, Keep)
    outcome.target.write_bytes(b"damaged")
    [step] = plan_download([unknown], tmp_path, Ledger(tmp_path))
    assert isinstance(step, Fetch)


# Where files land


@pytest.mark.parametrize(
    "path",
    [
        "../x.y.npy",
        "/etc/x.y.npy",
        f"{SESSION}/../../../../../x.y.npy",
        "C:/x.y.npy",
        "a\\..\\x.y.npy",
        "a//b",
        "",
        "a/.",
    ],
)
def test_an_entry_that_would_land_outside_is_refused_before_anything_happens(tmp_path: Path, path: str) -> None:
    """Row D1."""
    with pytest.raises(UnsafeData):
        plan_download([Entry(path, "http://127.0.0.1/x")], tmp_path / "data", Ledger(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_a_file_is_refused(server: WebServer, tmp_path: Path) -> None:
    """Row L13."""
    (tmp_path / wanted(server).path).mkdir(parents=True)
    with pytest.raises(UnsafeData, match="in the way"):
        fetch([wanted(server)], tmp_path)


def test_files_of_one_name_in_two_collections_do_not_meet(server: WebServer, tmp_path: Path) -> None:
    server.files["/one"], server.files["/two"] = A, A[::-1]
    entries = [
        entry("probe00/spikes.times.npy", f"{server.url}/one", A),
        entry("probe01/spikes.times.npy", f"{server.url}/two", A[::-1]),
    ]
    fetch(entries, tmp_path)
    assert [(tmp_path / one.path).read_bytes() for one in entries] == [A, A[::-1]]


@pytest.mark.parametrize(
    "name", ["spikes.times.npy", "x" * 240 + ".times.npy", "ß€" * 40 + ".times.npy", "a.b.#c#.npy"]
)
def test_partial_files_are_never_taken_for_datasets(server: WebServer, tmp_path: Path, name: str) -> None:
    """Row L12."""
    server.faults[PATH] = [cut(2_000_000), status(500)]
    begun = entry(name, server.url + PATH, A)
    assert fetch([begun], tmp_path)[0].error is not None
    assert size_of_partials(tmp_path) == 2_000_000
    found = scan(tmp_path)
    assert len(found.index) == 0
    assert [problem.path for problem in found.problems] == ["."]
    server.heal()
    assert fetch([begun], tmp_path)[0].resumed_from == 2_000_000
    assert len(list(scan(tmp_path).index)) + len([p for p in scan(tmp_path).problems if p.path != "."]) == 1


def test_an_empty_file_needs_no_server(tmp_path: Path) -> None:
    empty = entry("spikes.none.npy", "data:,", b"")
    [outcome] = fetch([empty], tmp_path, sources={empty.path: Inline()})
    assert (outcome.error, outcome.verified) == (None, Verified.MD5)
    assert (tmp_path / empty.path).read_bytes() == b""


def test_a_local_source_is_copied_and_compared(tmp_path: Path) -> None:
    (tmp_path / "there.npy").write_bytes(A)
    good, bad = entry("spikes.good.npy", "", A), entry("spikes.bad.npy", "", A[::-1])
    outcomes = fetch([good, bad], tmp_path / "to", sources=dict.fromkeys((good.path, bad.path), tmp_path / "there.npy"))
    assert outcomes[0].error is None
    assert isinstance(outcomes[1].error, ChecksumMismatch)
    assert (tmp_path / "to" / good.path).read_bytes() == A
    assert not (tmp_path / "to" / bad.path).exists()
    assert leftovers(tmp_path / "to") == []


# Room


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if sys.platform != "linux" or mount is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can be made by root on Linux only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_without_room_is_told_before_anything_is_fetched(server: WebServer, small_disk: Path) -> None:
    """Row L1."""
    with pytest.raises(NoSpace, match="4,000,000 bytes"):
        fetch([wanted(server)], small_disk)
    assert server.requests == []


def test_a_disk_that_fills_up_stops_the_run_and_holds_nothing_wrong(server: WebServer, small_disk: Path) -> None:
    """Row L1."""
    entries = [entry(f"spikes.a{number}.npy", f"{server.url}{PATH}?{number}") for number in range(5)]
    outcomes = fetch(entries, small_disk, parallel=1)
    assert all(isinstance(outcome.error, NoSpace) for outcome in outcomes)
    assert "full" in outcomes[0].error.message
    assert not any((small_disk / one.path).exists() for one in entries)
    assert len(server.requests) == 1, "where one file finds no room, the next would not either"
    subprocess.run(["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
    server.forget()
    outcomes = fetch(entries, small_disk)
    assert [outcome.error for outcome in outcomes] == [None] * 5
    assert any(seen.range_start for seen in server.requests)
    assert all((small_disk / one.path).read_bytes() == A for one in entries)
    assert leftovers(small_disk) == []


@posix
def test_a_file_larger_than_may_be_written_is_an_error_of_the_disk(server: WebServer, tmp_path: Path) -> None:
    """Row L1."""
    with start([wanted(server)], tmp_path, largest_file=1_000_000) as process:
        [[state, error, words, _]] = result(process)
    assert (state, error) == ("error", "NoSpace"), words
    assert not (tmp_path / wanted(server).path).exists()
    assert fetch([wanted(server)], tmp_path)[0].error is None


def test_a_folder_that_is_a_file_is_an_error_of_the_disk(server: WebServer, tmp_path: Path) -> None:
    """Row L2."""
    (tmp_path / "lab").write_bytes(b"")
    with pytest.raises(NoSpace, match="cannot be looked at"):
        fetch([wanted(server)], tmp_path)


def test_memory_does_not_grow_with_the_size_of_a_file(tmp_path: Path) -> None:
    """Row L14."""
    size = 300_000_000
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as stream:
        stream.truncate(size)
    md5 = hashlib.md5()
    for _ in range(300):
        md5.update(bytes(1_000_000))
    with WebServer() as server:
        server.files["/big"] = sparse
        big = Entry(f"{SESSION}/alf/ephys.raw.bin", f"{server.url}/big", size, md5.hexdigest())
        with start([big], tmp_path / "to") as process:
            out, err = process.communicate(timeout=60)
    told = json.loads(out)
    assert told["outcomes"][0][0] == "ok", err
    assert 0 <= told["memory"] < 120_000_000
    (tmp_path / "to" / big.path).unlink()
