"""What a computer does to a download: no room, no right, killed, without power, side by side, wrong clock, odd names.

Each row is a promise: the final path holds the old good file or the new one, compared; the exit code says which; the
message names the file, the cause and the next command; and the same command, once the cause is gone, ends well.
Rows L3 (killed at random) and L6 (sixteen processes) are in ``test_transfer_kills.py``.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import (
    CHECKOUT,
    Article,
    Disk,
    Ended,
    begin,
    calls,
    disk,
    end,
    here,
    linux,
    posix,
    run,
    unprivileged,
    wait_until,
)
from servers import Good, WebServer, cut, drip, status
from shelf import SESSION, entry, leftovers, start

from onelight.errors import UnsafeData
from onelight.transfer import Ledger, plan_download
from onelight.transfer.plan import _tells_apart, clashes

__all__ = ["calls", "disk"]  # fixtures

SMALL = {f"spikes.a{number:02}.npy": os.urandom(20_000 + 1000 * number) for number in range(12)}
LARGE = {"ephys.raw.npy": os.urandom(3_000_000)}
ONE = next(iter(SMALL))


@pytest.fixture
def article(config_dir: Path, tmp_path: Path) -> Iterator[Article]:
    with WebServer() as server:
        article = Article(server, tmp_path / "data")
        article.share({**SMALL, **LARGE})
        yield article


def told(ended: Ended, article: Article, *words: str) -> None:
    """Look for what every failure says: a file, the cause, and the command that continues."""
    assert re.search(f"error: .*({re.escape(str(article.folder))}|{SESSION})", ended.err), ended.err
    assert all(word in ended.err for word in words), ended.err
    assert re.search(": onelight download .+", ended.err), ended.err


def fill(file: Path) -> None:
    """Write until a disk is full."""
    with file.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(4096))


# Row L1: no room


@linux
@pytest.mark.parametrize(
    "fault",
    [
        f"write {errno.ENOSPC} 0 .part",
        f"write {errno.ENOSPC} 1500000 .part",
        f"write {errno.EDQUOT} 1500000 .part",
        f"open {errno.EDQUOT} 5 .part",
        f"mkdir {errno.ENOSPC} 2 /lab",
        f"fsync {errno.EDQUOT} 0 .part",
        pytest.param(f"fsync {errno.ENOSPC} 0 alf"),
        f"rename {errno.ENOSPC} 0 ephys.raw.npy",
        f"rename {errno.EDQUOT} 3 spikes.a",
    ],
)
def test_l01_a_disk_that_is_full_at_any_moment(article: Article, calls: str, fault: str) -> None:
    failed = run(*article.arguments, env={"LD_PRELOAD": calls, "CALLS_FAIL": fault})
    assert article.wrong() == []
    assert failed.code == 7, failed.err
    assert re.search("full|quota|no space", failed.err, re.IGNORECASE), failed.err
    told(failed, article)
    article.check_done()


@linux
def test_l01_a_disk_that_is_full_when_many_files_are_flushed_at_once(article: Article, calls: str) -> None:
    article.share({f"clusters.a{number:03}.npy": os.urandom(3_000) for number in range(60)})
    for call in ("syncfs", "fsync", "fdatasync"):
        fault = f"{call} {errno.ENOSPC} 0 clusters"
        ended = run(*article.arguments, env={"LD_PRELOAD": calls, "CALLS_FAIL": fault})
        assert article.wrong() == []
        assert ended.code == 7 or (ended.code, article.missing()) == (0, []), ended.err
    article.check_done()


@linux
@pytest.mark.parametrize("file", [".json", ".one_verified", ".one_index"])
@pytest.mark.parametrize("call", ["write", "open"])
def test_l01_what_is_only_remembered_may_find_no_room(article: Article, calls: str, call: str, file: str) -> None:
    fault = f"{call} {errno.ENOSPC} 0 {file}"
    ended = run(*article.arguments, env={"LD_PRELOAD": calls, "CALLS_FAIL": fault})
    assert article.wrong() == []
    assert (ended.code, article.missing()) == (0, []) or ended.code == 7
    article.check_done()


@linux
def test_l01_where_one_file_finds_no_room_the_next_are_not_asked_for(article: Article, calls: str) -> None:
    article.share({f"clusters.a{number:03}.npy": os.urandom(30_000) for number in range(300)})
    fault = f"write {errno.ENOSPC} 0 .part"
    failed = run(*article.arguments, "-j", "2", env={"LD_PRELOAD": calls, "CALLS_FAIL": fault})
    assert failed.code == 7
    assert len(article.asked()) < 200


def test_l01_what_is_needed_and_what_is_free_is_said_before_anything_is_fetched(
    article: Article, disk: Callable[[str], Disk]
) -> None:
    small = disk("2m")
    article.folder = small.folder / "data"
    failed = run(*article.arguments, before=small.before)
    needed = sum(map(len, article.contents.values()))
    assert failed.code == 7
    assert f"{needed:,} bytes" in failed.err
    assert re.search(r"room for [\d,]+", failed.err)
    assert article.asked() == []


def test_l01_a_disk_that_somebody_else_fills_meanwhile(article: Article, disk: Callable[[str], Disk]) -> None:
    small = disk("8m")
    article.folder = small.folder
    article.server.faults["/get/ephys.raw.npy"] = [drip(0.02)]
    process = begin(*article.arguments, before=small.before)
    article.folder = small.seen
    wait_until(lambda: article.held() > 500_000)
    fill(small.seen / "somebody")
    failed = end(process)
    assert failed.code == 7
    assert "full" in failed.err
    assert "ephys.raw.npy" in failed.err
    assert article.wrong() == []
    assert article.missing() == ["ephys.raw.npy"]
    held = article.held()
    assert held > 500_000
    (small.seen / "somebody").unlink()
    article.server.heal()
    article.folder = small.folder
    again = run(*article.arguments, "--json", before=small.before)
    article.folder = small.seen
    assert again.code == 0, again.err
    assert [row["resumed_from"] for row in again.rows if "resumed_from" in row] == [held]
    assert (article.wrong(), article.missing(), leftovers(small.seen)) == ([], [], [])


# Row L2: no right


@pytest.fixture
def half(article: Article) -> Article:
    """An article of which everything but one small file and the large one is there."""
    assert here(*article.arguments).code == 0
    article.target(ONE).unlink()
    article.target("ephys.raw.npy").unlink()
    article.server.forget()
    return article


def of_others(article: Article) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    for path in (article.folder, *article.folder.rglob("*")):
        os.chown(path, 12345, 12345)


def closed(article: Article) -> None:
    for folder in (article.folder, *(path for path in article.folder.rglob("*") if path.is_dir())):
        folder.chmod(0o555)


def opened(folder: Path) -> None:
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        os.chown(path, os.geteuid(), os.getegid())
        path.chmod(0o755)


@posix
@pytest.mark.parametrize("close", [closed, of_others])
def test_l02_good_files_are_kept_and_missing_ones_are_an_error_of_the_disk(
    half: Article, close: Callable[[Article], None]
) -> None:
    close(half)
    try:
        kept = run("download", SESSION, "spikes.a05", "--output", half.folder, before=unprivileged())
        failed = run(*half.arguments, before=unprivileged())
    finally:
        opened(half.folder)
    assert (kept.code, kept.out) == (0, f"{half.target('spikes.a05.npy')}\n"), kept.err
    assert failed.code == 7
    told(failed, half, "Permission denied")
    assert len(failed.out.splitlines()) == len(SMALL) - 1
    assert half.wrong() == []
    half.check_done()


@posix
def test_l02_a_folder_that_cannot_be_entered(half: Article) -> None:
    folder = half.folder / SESSION
    folder.chmod(0o600)
    try:
        failed = run("download", SESSION, "spikes.a05", "--output", half.folder, before=unprivileged())
    finally:
        folder.chmod(0o755)
    assert (failed.code, failed.out) == (7, "")
    assert "spikes.a05.npy cannot be looked at: Permission denied" in failed.err
    half.check_done()


def test_l02_good_files_on_a_disk_that_cannot_be_written_are_read_without_a_touch(
    half: Article, disk: Callable[[str], Disk]
) -> None:
    closed_disk = disk("20m")
    subprocess.run([*closed_disk.before, "cp", "-r", str(half.folder), str(closed_disk.folder)], check=True)
    closed_disk.remount("bind,ro")
    half.folder = closed_disk.folder / "data"
    kept = run("download", SESSION, "spikes.a05", "--output", half.folder, before=closed_disk.before)
    failed = run(*half.arguments, before=closed_disk.before)
    seen = closed_disk.seen / "data" / SESSION / "alf"
    assert (kept.code, kept.out) == (0, f"{half.target('spikes.a05.npy')}\n"), kept.err
    assert failed.code == 7
    told(failed, half, "Read-only file system")
    assert len(list(seen.iterdir())) == len(SMALL) - 1


@posix
@pytest.mark.parametrize("read_only", [False, True])
def test_l02_loading_what_is_here_needs_no_writing(half: Article, config_dir: Path, read_only: bool) -> None:
    import numpy as np

    np.save(half.folder / "array.npy", np.arange(5))
    half.share({"trials.good.npy": (half.folder / "array.npy").read_bytes()})
    assert here("download", SESSION, "trials").code == 0
    program = f"import onelight; print(onelight.load_dataset({SESSION!r}, 'trials.good').sum())"
    half.server.forget()
    if read_only:
        for path in (config_dir, *(path for path in config_dir.rglob("*") if path.is_dir())):
            path.chmod(0o555)
    try:
        command = [*(unprivileged() if read_only else []), sys.executable, "-c", program]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    finally:
        opened(config_dir)
    assert (done.returncode, done.stdout) == (0, "10\n"), done.stderr
    assert half.asked() == []


# Row L4: signals


def under_way(article: Article, **how: object) -> subprocess.Popen[bytes]:
    """Begin a download and return it once some of the large file has come."""
    article.server.faults["/get/ephys.raw.npy"] = [drip(0.03)]
    process = begin(*article.arguments, **how)  # type: ignore[arg-type]
    wait_until(lambda: article.held() > 1_000_000)
    return process


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_l04_told_to_stop_it_keeps_what_came_and_says_how_to_go_on(article: Article, name: str) -> None:
    number = signal.Signals[name]
    process = under_way(article)
    begun = time.monotonic()
    process.send_signal(number)
    ended = end(process)
    assert time.monotonic() - begun < 5
    assert ended.code == 128 + number
    assert "continue" in ended.err
    assert article.missing() == ["ephys.raw.npy"]
    assert article.wrong() == []
    held = article.held()
    assert held > 1_000_000
    done = article.check_done()
    assert [row["resumed_from"] for row in done.rows if "resumed_from" in row] == [held]


@posix
@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT"])
def test_l04_who_was_begun_deaf_to_a_signal_stays_so(article: Article, name: str) -> None:
    before = ["sh", "-c", f'trap "" {name[3:]}; exec "$0" "$@"']  # as nohup does, and a shell with "&" in a script
    process = under_way(article, before=before)
    process.send_signal(signal.Signals[name])
    ended = end(process)
    assert (ended.code, article.wrong(), article.missing()) == (0, [], []), ended.err


@linux
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_l04_told_twice_it_stops_at_once(article: Article, calls: str, name: str, tmp_path: Path) -> None:
    number = signal.Signals[name]
    record = tmp_path / "record"
    environment = {"LD_PRELOAD": calls, "CALLS_HANG": "fsync 30 ephys.raw", "CALLS_RECORD": str(record)}
    process = begin(*article.arguments, env=environment)
    wait_until(lambda: record.exists() and re.search("begin.*fsync.*ephys.raw", record.read_text()))
    process.send_signal(number)
    time.sleep(0.3)
    assert process.poll() is None, "the disk is waited for"
    begun = time.monotonic()
    process.send_signal(number)
    ended = end(process)
    assert time.monotonic() - begun < 3
    assert ended.code in (128 + number, -number)
    assert article.wrong() == []
    article.check_done()


@posix
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_l04_a_reader_who_goes_away_is_no_loss(article: Article, stream: str) -> None:
    reading, writing = os.pipe()
    out, err = (writing, subprocess.PIPE) if stream == "stdout" else (subprocess.PIPE, writing)
    process = begin(*article.arguments, stdout=out, stderr=err)
    os.close(writing)
    os.close(reading)
    ended = end(process)
    assert ended.code in (0, 141) if stream == "stderr" else ended.code == 141
    assert (article.wrong(), article.missing()) == ([], [])
    article.check_done()


# Row L5: no power


@dataclass(frozen=True)
class Call:
    """A call that a process made."""

    when: str
    thread: str
    name: str
    device: int
    inode: int
    size: int
    path: str
    new: str


def recorded(file: Path) -> list[Call]:
    found = []
    for line in file.read_text(errors="surrogateescape").splitlines():
        when, thread, name, device, inode, size, path, new = line.split("\t")
        found.append(Call(when, thread, name, int(device), int(inode), int(size), path, new))
    return found


def is_flush(call: Call, device: int, inode: int) -> bool:
    if call.name in ("fsync", "fdatasync"):
        return (call.device, call.inode) == (device, inode)
    return call.name == "syncfs" and call.device == device


def flushed(made: list[Call], first: int, last: int, device: int, inode: int) -> bool:
    """Tell whether a file or folder was flushed by a call that began and ended between these two."""
    for place in range(first + 1, last):
        call = made[place]
        if call.when == "begin" and is_flush(call, device, inode):
            for later in made[place + 1 : last]:
                if later.thread == call.thread and later.name == call.name:
                    if later.when == "end":
                        return True
                    break
    return False


def unsafe_without_power(made: list[Call], target: Path, size: int) -> list[str]:
    """Return what is wrong with the order in which one file was written, flushed and named."""
    named = [place for place, call in enumerate(made) if call.name in ("rename", "link") and call.new == str(target)]
    if len(named) != 1:
        return [f"{target.name} got its name {len(named)} times"]
    [name] = named
    device, inode = made[name].device, made[name].inode
    own = [place for place, call in enumerate(made) if (call.device, call.inode) == (device, inode)]
    begun = max((place for place in own if place < name and made[place].name == "unlink"), default=-1)
    writes = [place for place in own if place > begun and made[place].name == "write" and made[place].size > 0]
    problems = []
    if sum(made[place].size for place in writes) != size:
        problems.append(f"{target.name}: not every byte was seen on its way")
    if not writes or writes[-1] > name:
        problems.append(f"{target.name} was written under its name")
    if writes and not flushed(made, writes[-1], name, device, inode):
        problems.append(f"{target.name} got its name before its bytes were on the disk")
    folder = target.parent.stat()
    if not flushed(made, name, len(made), folder.st_dev, folder.st_ino):
        problems.append(f"the name of {target.name} was not on the disk when the end was told")
    return problems


def unsafe_folders(made: list[Call], below: Path) -> list[str]:
    """Return the folders whose own names a loss of power could have taken away."""
    problems = []
    for place, call in enumerate(made):
        if call.name == "mkdir" and Path(call.path).is_relative_to(below / "lab"):
            above = Path(call.path).parent.stat()
            if not flushed(made, place, len(made), above.st_dev, above.st_ino):
                problems.append(f"the name of the folder {call.path} was not on the disk when the end was told")
    return problems


def without_power(made: list[Call], targets: dict[Path, bytes], out: Path) -> list[str]:
    """Return what a loss of power could have broken; ``out`` is the file that is stdout."""
    until = next(place for place, call in enumerate(made) if call.name == "write" and call.path == str(out))
    folders = unsafe_folders(made[:until], next(iter(targets)).parents[6])
    return folders + [
        problem
        for target, content in targets.items()
        for problem in unsafe_without_power(made[:until], target, len(content))
    ]


@linux
@pytest.mark.parametrize("number", [3, 40])
def test_l05_a_loss_of_power_leaves_no_name_without_its_bytes(
    article: Article, calls: str, tmp_path: Path, number: int
) -> None:
    article.share({f"clusters.a{place:03}.npy": os.urandom(30_000) for place in range(number)})
    environment = {"LD_PRELOAD": calls, "CALLS_RECORD": str(tmp_path / "record")}
    with (tmp_path / "out").open("wb") as out:
        assert run(*article.arguments, env=environment, stdout=out).code == 0
    made = recorded(tmp_path / "record")
    targets = {article.target(name): content for name, content in article.contents.items()}
    assert sum(call.name == "mkdir" and call.path.startswith(f"{article.folder}/lab") for call in made) == 6
    assert without_power(made, targets, tmp_path / "out") == []


@linux
def test_l05_nor_where_nobody_states_an_md5_or_the_connection_is_lost(
    article: Article, calls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {**SMALL, **LARGE}
    for name in contents:
        article.server.faults[f"/get/{name}"] = [cut(10_000), Good]
    monkeypatch.setenv("LD_PRELOAD", calls)
    monkeypatch.setenv("CALLS_RECORD", str(tmp_path / "record"))
    folder = tmp_path / "plain"
    entries = [
        entry(name, f"{article.server.url}/get/{name}", content, md5=False) for name, content in contents.items()
    ]
    with start(entries, folder) as process:
        out, err = process.communicate(timeout=60)
    assert [row[0] for row in json.loads(out)["outcomes"]] == ["ok"] * len(contents), err
    targets = {folder / one.path: content for one, content in zip(entries, contents.values(), strict=True)}
    made = recorded(tmp_path / "record")
    for target, content in targets.items():
        assert unsafe_without_power(made, target, len(content)) == []


@pytest.mark.parametrize(
    ("order", "right"),
    [
        ("write begin end rename begin_folder end_folder", True),
        ("write begin_all end_all rename begin_all end_all", True),
        ("write rename begin end begin_folder end_folder", False),
        ("begin write end rename begin_folder end_folder", False),
        ("write begin rename end begin_folder end_folder", False),
        ("write begin end rename", False),
        ("write begin end begin_folder end_folder rename", False),
        ("write begin end write rename begin_folder end_folder", False),
    ],
)
def test_l05_a_wrong_order_would_be_seen(tmp_path: Path, order: str, right: bool) -> None:
    target = tmp_path / "a.b.npy"
    folder = tmp_path.stat()
    made = []
    for word in order.split():
        when, _, what = word.partition("_")
        if word in ("write", "rename"):
            new = str(target) if word == "rename" else ""
            made.append(Call("end", "1", word, folder.st_dev, 5, 10 if word == "write" else 0, ".part", new))
        else:
            inode = folder.st_ino if what == "folder" else 5
            made.append(Call(when, "1", "syncfs" if what == "all" else "fsync", folder.st_dev, inode, 0, "", ""))
    size = 10 * order.split().count("write")
    assert (unsafe_without_power(made, target, size) == []) is right


# Row L7: a reader


@posix
def test_l07_whoever_reads_while_a_file_is_replaced_sees_the_old_one_or_the_new_one(article: Article) -> None:
    name = "ephys.raw.npy"
    old, new = article.contents[name], os.urandom(3_000_000)
    target = article.target(name)
    target.parent.mkdir(parents=True)
    target.write_bytes(old)
    article.share({name: new})
    article.server.faults[f"/get/{name}"] = [drip(0.005)]
    seen, stop = [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(hashlib.md5(target.read_bytes()).digest())

    reader = threading.Thread(target=read)
    with target.open("rb") as held:
        first = held.read(1_000_000)
        reader.start()
        try:
            ended = run(*article.arguments)
            time.sleep(0.1)
        finally:
            stop.set()
            reader.join()
        assert first + held.read() == old, "whoever has it open reads it to its end"
    assert ended.code == 0
    assert set(seen) == {hashlib.md5(old).digest(), hashlib.md5(new).digest()}
    assert seen == sorted(seen, key=lambda one: one != seen[0]), "never back to the old one"


@linux
def test_l07_a_file_that_cannot_get_its_name_keeps_its_bytes(article: Article, calls: str) -> None:
    fault = f"rename {errno.EACCES} 0 /ephys.raw.npy"
    failed = run(*article.arguments, env={"LD_PRELOAD": calls, "CALLS_FAIL": fault})
    assert failed.code == 7
    told(failed, article, "ephys.raw.npy", "Permission denied")
    assert article.missing() == ["ephys.raw.npy"]
    article.server.forget()
    done = article.check_done()
    assert article.asked() == [], "all of its bytes were here already"
    assert [row["resumed_from"] for row in done.rows if "resumed_from" in row] == [3_000_000]


@pytest.mark.skipif(os.name != "nt", reason="Windows lets nobody replace a file that is open")
def test_l07_a_reader_on_windows_is_waited_for(article: Article) -> None:
    target = article.target(ONE)
    target.parent.mkdir(parents=True)
    target.write_bytes(b"old")
    with target.open("rb"):
        failed = run(*article.arguments)
        assert failed.code == 7
        assert target.read_bytes() == b"old"
    article.check_done()


# Row L8: there are no locks; what a dead process left is taken over


def left_behind(article: Article) -> Path:
    """Return the partial file of a process that was killed."""
    process = under_way(article)
    process.kill()
    process.communicate()
    [left] = [path for path in leftovers(article.folder) if path.suffix == ".part" and "ephys" in path.name]
    article.server.heal()
    return left


@posix
def test_l08_what_a_dead_process_of_this_machine_left_is_taken_over_at_once(article: Article) -> None:
    held = left_behind(article).stat().st_size
    done = article.check_done()
    assert [row["resumed_from"] for row in done.rows if "resumed_from" in row] == [held]


@posix
@pytest.mark.parametrize(("hours", "taken"), [(7, True), (1, False), (-24, False)])
def test_l08_what_another_machine_left_is_taken_over_once_it_is_old(
    article: Article, hours: float, taken: bool
) -> None:
    left = left_behind(article)
    held = left.stat().st_size
    elsewhere = re.sub(r"\.[0-9a-f]{12}-(?=[0-9]+-[0-9a-f]{8}\.part$)", ".0123456789ab-", left.name)
    assert elsewhere != left.name, "the form of the name that the design states"
    there = left.rename(left.with_name(elsewhere))
    for path in leftovers(article.folder):
        if path.suffix == ".json":
            path.unlink()
    then = time.time() - hours * 3600
    os.utime(there, (then, then))
    begun = time.monotonic()
    done = run(*article.arguments, "--json")
    assert time.monotonic() - begun < 10, "nobody waits for it"
    assert (done.code, article.wrong(), article.missing()) == (0, [], [])
    assert [row["resumed_from"] for row in done.rows if "resumed_from" in row] == ([held] if taken else [])
    assert leftovers(article.folder) == ([] if taken else [there])


# Row L9: clocks


@posix
@pytest.mark.parametrize("seconds", [86_400, -86_400, 3_600, 1 << 36])
def test_l09_the_time_of_a_file_decides_nothing(half: Article, seconds: int) -> None:
    for name in SMALL:
        if name != ONE:
            found = half.target(name).stat()
            os.utime(half.target(name), ns=(found.st_atime_ns, found.st_mtime_ns + seconds * 10**9))
    content = half.contents["spikes.a05.npy"]
    then = half.target("spikes.a05.npy").stat().st_mtime_ns
    half.target("spikes.a05.npy").write_bytes(content[::-1])  # damaged, and of the same time
    os.utime(half.target("spikes.a05.npy"), ns=(then, then))
    half.check_done()
    assert sorted(half.asked()) == sorted([ONE, "spikes.a05.npy", "ephys.raw.npy"])


@posix
def test_l09_times_that_a_disk_rounds_cost_no_second_fetch(half: Article) -> None:
    for name in SMALL:
        if name != ONE:
            then = half.target(name).stat().st_mtime_ns // (2 * 10**9) * 2 * 10**9  # as FAT does
            os.utime(half.target(name), ns=(then, then))
    half.check_done()
    assert sorted(half.asked()) == sorted([ONE, "ephys.raw.npy"])


@linux
@pytest.mark.parametrize("seconds", [86_400, -86_400])
def test_l09_a_wrong_clock_changes_nothing(article: Article, calls: str, seconds: int) -> None:
    held = left_behind(article).stat().st_size
    article.server.faults[f"/get/{ONE}"] = [status(503, Retry_After=1), drip(0)]
    environment = {"LD_PRELOAD": calls, "CALLS_SKEW": str(seconds)}
    article.target(ONE).unlink(missing_ok=True)
    begun = time.monotonic()
    done = run(*article.arguments, "--json", env=environment)
    assert (done.code, article.wrong(), article.missing()) == (0, [], []), done.err
    assert [row["resumed_from"] for row in done.rows if "resumed_from" in row] == [held]
    assert 0 <= done.rows[-1]["seconds"] <= time.monotonic() - begun + 1
    assert leftovers(article.folder) == []


# Row L10: other disks


def test_l10_a_session_that_lies_on_a_disk_of_its_own(article: Article, disk: Callable[[str], Disk]) -> None:
    own = disk("20m")
    article.folder.joinpath(SESSION).parent.mkdir(parents=True)
    article.folder.joinpath(SESSION).symlink_to(own.folder, target_is_directory=True)
    if os.geteuid() == 0:  # with the disk mounted where the session is
        article.folder.joinpath(SESSION).unlink()
        article.folder.joinpath(SESSION).mkdir()
        subprocess.run(["mount", "--bind", str(own.folder), str(article.folder / SESSION)], check=True)
    else:
        pytest.skip("only root can mount a disk at another place")
    try:
        assert (article.folder / SESSION).stat().st_dev != article.folder.stat().st_dev
        article.check_done()
    finally:
        subprocess.run(["umount", "-l", str(article.folder / SESSION)], check=True)


@linux
@pytest.mark.parametrize("call", ["link", "symlink"])
def test_l10_a_disk_without_links(article: Article, calls: str, call: str) -> None:
    environment = {"LD_PRELOAD": calls, "CALLS_FAIL": f"{call} {errno.EPERM} 0 /"}
    article.check_done(env=environment)


@posix
def test_l10_a_partial_file_lies_beside_its_place(article: Article, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    process = under_way(article, env={"TMPDIR": str(tmp_path / "temporary")})
    places = {path.parent for path in leftovers(article.folder)}
    assert list((tmp_path / "temporary").iterdir()) == []
    process.kill()
    process.communicate()
    assert places == {article.target(ONE).parent}


# Row L11: names that a disk does not tell apart

ACCENTS = ("spikes.caf\u00e9.npy", "spikes.cafe\u0301.npy")
CASES = ("spikes.times.npy", "Spikes.times.npy")


@pytest.mark.parametrize(
    ("paths", "tells_case", "tells_form", "groups"),
    [
        (CASES, True, True, []),
        (ACCENTS, True, True, []),
        (CASES, False, True, [sorted(CASES)]),
        (CASES, True, False, []),
        (ACCENTS, True, False, [sorted(ACCENTS)]),
        (ACCENTS, False, True, []),
        (CASES + ACCENTS, False, False, [sorted(CASES), sorted(ACCENTS)]),
        (("a/x.y.npy", "A/x.y.npy", "a/X.y.npy"), False, False, [["A/x.y.npy", "a/X.y.npy", "a/x.y.npy"]]),
        (("a.caf\u00c9.npy", "a.cafe\u0301.npy"), False, False, [["a.cafe\u0301.npy", "a.caf\u00c9.npy"]]),
        (("a.caf\u00c9.npy", "a.cafe\u0301.npy"), True, False, []),
        (("a.\u212a.npy", "a.k.npy"), False, False, [["a.k.npy", "a.\u212a.npy"]]),
        (("a/b.c.npy", "a/b.d.npy", "A/b.e.npy"), False, False, []),
        (("a.b.npy", "a.b.npy"), False, False, []),
        ((), False, False, []),
    ],
)
def test_l11_which_names_are_one_file(
    paths: tuple[str, ...], tells_case: bool, tells_form: bool, groups: list[list[str]]
) -> None:
    assert clashes(paths, tells_case=tells_case, tells_form=tells_form) == groups


def test_l11_a_disk_is_asked_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    tells_case = not (tmp_path / "A").exists()
    (tmp_path / "\u00e9").touch()
    tells_form = not (tmp_path / "e\u0301").exists()
    before = sorted(tmp_path.iterdir())
    assert _tells_apart(tmp_path) == (tells_case, tells_form)
    assert sorted(tmp_path.iterdir()) == before


@posix
def test_l11_of_a_folder_that_cannot_be_written_the_best_is_assumed(tmp_path: Path) -> None:
    assert _tells_apart(tmp_path / "missing") == (True, True)


@pytest.mark.parametrize("names", [CASES, ACCENTS])
def test_l11_a_disk_that_tells_them_apart_gets_them_all(article: Article, names: tuple[str, ...]) -> None:
    article.folder.mkdir()
    if _tells_apart(article.folder) != (True, True):
        pytest.skip("this disk does not")
    article.share({name: name.encode() for name in names})
    article.check_done()
    there = os.fsencode(article.target(ONE).parent)
    assert {os.fsencode(name) for name in names} <= set(os.listdir(there))  # noqa: PTH208 - bytes


@linux
def test_l11_a_disk_that_does_not_gets_none_of_them(article: Article, calls: str) -> None:
    article.share(dict.fromkeys(CASES, b"content"))
    environment = {"LD_PRELOAD": calls, "CALLS_FOLD": f"{article.folder.parent}/"}
    for _ in range(2):  # with and without the folder there
        refused = run(*article.arguments, env=environment)
        assert (refused.code, refused.out) == (8, "")
        assert all(f"{SESSION}/alf/{name}" in refused.err for name in CASES), refused.err
        assert "--output" in refused.err
        assert article.asked() == []
        article.folder.mkdir(exist_ok=True)
        assert list(article.folder.rglob("*")) == []
    refused = run(*article.arguments, "--json", env=environment)
    assert [(row["error"], row["exit"]) for row in refused.rows] == [("UnsafeData", 8)]
    done = run("download", SESSION, "spikes.a05", "--output", article.folder, env=environment)
    assert done.code == 0, "the others can be had"


def test_l11_the_message_lists_pairs_and_not_a_thousand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onelight.transfer.plan._tells_apart", lambda _: (False, True))
    entries = [entry(f"{letter}.x{number}.npy") for number in range(30) for letter in "aA"]
    with pytest.raises(UnsafeData, match="and 10 more") as caught:
        plan_download(entries, tmp_path, Ledger(tmp_path))
    assert f"'{SESSION}/alf/A.x0.npy' and '{SESSION}/alf/a.x0.npy'" in caught.value.message
    assert list(tmp_path.iterdir()) == []


# Row L12: long names


@linux
@pytest.mark.parametrize(
    "name",
    [
        "x" * (255 - len(".times.npy")) + ".times.npy",
        "\u20ac" * 81 + "xx" + ".times.npy",
        "/".join(["y" * 200] * 5) + "/spikes.times.npy",
    ],
    ids=["255 bytes", "255 bytes of other letters", "1,000 characters of folders"],
)
@pytest.mark.parametrize("size", [1_000, 1_500_000])
def test_l12_names_as_long_as_they_may_be(article: Article, name: str, size: int) -> None:
    content = os.urandom(size)
    article.share({name: content})
    for known in name.split("/"):
        assert len(known.encode()) <= 255
    done = article.check_done()
    assert json.dumps(str(article.target(name))) in done.out
    article.server.faults[f"/get/{name}"] = [status(404)]
    assert here(*article.arguments).code == 0, "and kept"


@posix
@pytest.mark.parametrize(("part", "parts"), [(255, 16), (255, 40)])
def test_l12_a_path_that_no_system_call_takes_is_an_error_of_the_disk(article: Article, part: int, parts: int) -> None:
    name = "/".join(["y" * part] * parts) + "/spikes.times.npy"
    article.share({name: b"content"})
    failed = here(*article.arguments)
    assert (failed.code, failed.out) == (7, "")
    assert "name too long" in failed.err
    assert article.asked() == []


# Row L13: something else under the name


def links_to_good(target: Path, content: bytes) -> None:
    target.parent.joinpath("elsewhere").write_bytes(content)
    target.symlink_to("elsewhere")


def links_to_bad(target: Path, content: bytes) -> None:
    target.parent.joinpath("elsewhere").write_bytes(content[::-1])
    target.symlink_to("elsewhere")


def links_nowhere(target: Path, _: bytes) -> None:
    target.symlink_to("nowhere")


def links_to_itself(target: Path, _: bytes) -> None:
    target.symlink_to(target.name)


def one_bit(target: Path, content: bytes) -> None:
    target.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])


def truncated(target: Path, content: bytes) -> None:
    target.write_bytes(content[:-1])


@posix
@pytest.mark.parametrize("name", [ONE, "ephys.raw.npy"])
@pytest.mark.parametrize(
    "damage",
    [one_bit, truncated, links_to_bad, links_nowhere, links_to_itself, links_to_good],
    ids=lambda one: one.__name__,
)
def test_l13_what_is_not_the_file_is_replaced_by_it(
    article: Article, name: str, damage: Callable[[Path, bytes], None]
) -> None:
    assert here(*article.arguments).code == 0
    target, content = article.target(name), article.contents[name]
    times = target.stat()
    target.unlink()
    damage(target, content)
    if not target.is_symlink():
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    elsewhere = target.with_name("elsewhere")
    before = elsewhere.read_bytes() if elsewhere.exists() else None
    article.server.forget()
    done = here(*article.arguments)
    assert (done.code, article.wrong(), article.missing()) == (0, [], []), done.err
    assert article.asked() == ([] if damage is links_to_good else [name])
    assert target.is_symlink() == (damage is links_to_good)
    assert before == (elsewhere.read_bytes() if elsewhere.exists() else None), "nothing is written through a link"
    assert leftovers(article.folder) == []


def folder_in_the_way(target: Path) -> None:
    target.mkdir()


def pipe_in_the_way(target: Path) -> None:
    os.mkfifo(target)


def device_in_the_way(target: Path) -> None:
    target.symlink_to("/dev/zero")


@posix
@pytest.mark.parametrize("put", [folder_in_the_way, pipe_in_the_way, device_in_the_way], ids=lambda one: one.__name__)
def test_l13_what_is_no_file_is_left_alone_and_named(article: Article, put: Callable[[Path], None]) -> None:
    target = article.target(ONE)
    target.parent.mkdir(parents=True)
    put(target)
    before = stat.S_IFMT(target.lstat().st_mode)
    refused = here(*article.arguments)
    assert refused.code == 8
    assert f"{target} is in the way" in refused.err
    assert "hint: Move it" in refused.err
    assert stat.S_IFMT(target.lstat().st_mode) == before
    target.rmdir() if target.is_dir() else target.unlink()
    article.check_done()


@posix
@pytest.mark.parametrize("kept", ["time", "time, written in place"])
def test_l13_a_file_that_was_changed_behind_its_time_is_read_again(article: Article, kept: str) -> None:
    assert here(*article.arguments).code == 0
    target, content = article.target(ONE), article.contents[ONE]
    times = target.stat()
    if kept == "time":
        target.unlink()
    with target.open("r+b" if target.exists() else "xb") as stream:
        stream.write(content[::-1])
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    article.server.forget()
    article.check_done()
    assert article.asked() == [ONE]


@posix
def test_l13_a_ledger_of_an_earlier_version_costs_a_reading_and_no_fetch(article: Article) -> None:
    assert here(*article.arguments).code == 0
    ledger = article.folder / ".one_verified"
    rows = [line.split("\t") for line in ledger.read_text().splitlines()]
    ledger.write_text("".join("\t".join([*row[:4], row[-1]]) + "\n" for row in rows))
    one = f"{SESSION}/alf/{ONE}"
    assert Ledger(article.folder).md5(one, article.target(ONE)) is None
    assert Ledger(article.folder).last_md5(one) == hashlib.md5(article.contents[ONE]).hexdigest()
    article.server.forget()
    article.check_done()
    assert article.asked() == []


# Row L14: no handles, no threads, and a fork


@posix
@pytest.mark.parametrize(("handles", "jobs"), [(24, 8), (100, 64)])
def test_l14_few_handles_for_files(article: Article, handles: int, jobs: int) -> None:
    article.share({f"clusters.a{number:03}.npy": os.urandom(1_100_000) for number in range(20)})
    before = ["sh", "-c", 'ulimit -n "$0"; exec "$@"', str(handles)]
    ended = run(*article.arguments, "-j", str(jobs), before=before)
    assert ended.code in ((0, 1, 5, 7) if handles < 100 else (0,)), ended.err
    assert article.wrong() == []
    if ended.code:
        told(ended, article)
    else:
        assert article.missing() == []
    article.check_done()


@linux
@pytest.mark.parametrize("threads", [0, 2, 6])
def test_l14_no_more_threads(article: Article, calls: str, threads: int) -> None:
    environment = {"LD_PRELOAD": calls, "CALLS_FAIL": f"thread {errno.EAGAIN} {threads} "}
    ended = run(*article.arguments, env=environment)
    assert ended.code in (0, 7)
    assert ended.code == 0 or "no more threads" in ended.err
    assert article.wrong() == []
    article.check_done()


@linux
@pytest.mark.parametrize("kilobytes", [60_000, 200_000])
def test_l14_little_memory(article: Article, kilobytes: int) -> None:
    before = ["sh", "-c", 'ulimit -v "$0"; exec "$@"', str(kilobytes)]
    ended = run(*article.arguments, before=before)
    assert ended.code in (0, 7)
    assert ended.code == 0 or "no more" in ended.err
    assert article.wrong() == []
    article.check_done()


@posix
@pytest.mark.parametrize("when", ["after a download", "while one goes on"])
def test_l14_a_fork_after_the_start_downloads_as_well(article: Article, when: str) -> None:
    program = """
import os, sys, threading, time
import onelight
from onelight.errors import OneError
session, folder, when = sys.argv[1:]
one = onelight.One()
if when == "after a download":
    one.download(session, "spikes.a00", output=folder + "/parent")
else:
    threading.Thread(target=one.download, args=(session,), kwargs={"output": folder + "/parent"}).start()
    time.sleep(0.1)
child = os.fork()
paths = one.download(session, output=folder + ("/parent" if child else "/child"))
print(len(paths), flush=True)
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    os._exit(0)
"""
    command = [sys.executable, "-W", "ignore", "-c", program, SESSION, str(article.folder), when]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"{len(article.contents)}\n" * 2), done.stderr
    for who in ("parent", "child"):
        both = Article(article.server, article.folder / who, article.contents)
        assert (both.wrong(), both.missing(), leftovers(both.folder)) == ([], [], [])


# Row L15: no home, no room for temporary files, other masks


@posix
@pytest.mark.parametrize("home", [None, "", "/dev/null"])
def test_l15_no_home_is_needed_where_the_configuration_is(article: Article, home: str | None) -> None:
    article.check_done(env={"HOME": home, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None})


@posix
def test_l15_a_home_that_cannot_be_written_does_not_stop_anybody_from_looking(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    shown = run("repo", env={"HOME": str(home), "ONELIGHT_CONFIG_DIR": None}, before=unprivileged())
    assert shown.code == 0
    assert "local" in shown.out
    assert "could not be saved" in shown.err
    assert list(home.iterdir()) == []


@linux
def test_l15_somebody_without_any_home_is_told_what_to_set() -> None:
    if os.geteuid() or shutil.which("setpriv") is None:
        pytest.skip("only root can become somebody whom nobody knows")
    nobody = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
    environment = {"HOME": None, "ONELIGHT_CONFIG_DIR": None}
    if subprocess.run([*nobody, sys.executable, "-c", "import click"], check=False, cwd="/").returncode:
        pytest.skip("others may not run this Python")
    failed = run("repo", env=environment, before=nobody)
    assert (failed.code, failed.out) == (2, "")
    assert "ONELIGHT_CONFIG_DIR" in failed.err


def test_l15_no_room_for_temporary_files(article: Article, disk: Callable[[str], Disk]) -> None:
    full = disk("64k")
    fill(full.seen / "full")
    article.check_done(env={"TMPDIR": str(full.folder)}, before=full.before)


@posix
@pytest.mark.parametrize("mask", [0o077, 0o000])
def test_l15_data_follows_the_mask_and_secrets_never(
    article: Article, config_dir: Path, tmp_path: Path, mask: int
) -> None:
    before = ["sh", "-c", 'umask "$0"; exec "$@"', f"{mask:o}"]
    article.check_done(before=before)
    (config_dir / "config.json").unlink()
    (tmp_path / "token").write_text("canary")
    with (tmp_path / "token").open() as token:
        assert run("add-repo", "own", "--figshare", "7", "--token-stdin", before=before, stdin=token).code == 0
    assert "canary" in (config_dir / "config.json").read_text()

    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert {mode(article.target(name)) for name in article.contents} == {0o666 & ~mask}
    assert mode(article.target(ONE).parent) == 0o777 & ~mask
    assert mode(config_dir / "config.json") == 0o600


# Row L16: terminals


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def at_a_terminal(article: Article, columns: int, env: Mapping[str, str | None]) -> tuple[int, str]:
    """Run the download with stderr a terminal of so many columns; return its code and what the terminal got."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, columns, 0, 0))
    process = begin(*article.arguments, stderr=theirs, env={"TERM": "xterm-256color", "COLUMNS": None, **env})
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not data:
            break
        shown += data
    os.close(ours)
    process.communicate(timeout=30)
    return process.returncode, shown.decode(errors="backslashreplace")


@posix
@pytest.mark.parametrize(
    ("columns", "env"),
    [
        (20, {}),
        (1, {}),
        (80, {"NO_COLOR": "1"}),
        (80, {"TERM": "dumb"}),
        (80, {"TERM": None}),
        (80, {"PYTHONIOENCODING": "cp1252"}),
        (20, {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}),
        (80, ASCII),
        (80, {"ONELIGHT_NO_PROGRESS": "1"}),
    ],
    ids=str,
)
def test_l16_any_terminal_will_do(article: Article, columns: int, env: Mapping[str, str | None]) -> None:
    article.share({"spikes.cafe.npy" if env is ASCII else "spikes.caf\u00e9\u65e5\u672c.npy": b"content"})
    article.server.faults["/get/ephys.raw.npy"] = [drip(0.005)]
    code, shown = at_a_terminal(article, columns, env)
    assert code == 0, shown
    assert "Traceback" not in shown
    assert "14 files fetched" in re.sub(r"\s+", " ", shown)
    if "NO_COLOR" in env:
        assert not re.search(r"\x1b\[[0-9;]*[34][0-9]m", shown)
    if "ONELIGHT_NO_PROGRESS" in env:
        assert "\x1b" not in shown
    assert (article.wrong(), article.missing(), leftovers(article.folder)) == ([], [], [])


@posix
def test_l16_names_that_the_system_cannot_hold_are_told_with_what_helps(article: Article) -> None:
    article.share({"spikes.caf\u00e9.npy": b"content"})
    failed = run(*article.arguments, env=ASCII)
    assert (failed.code, failed.out, article.asked()) == (7, "", [])
    assert "spikes.caf" in failed.err
    assert "PYTHONUTF8=1" in failed.err
    article.check_done(env={**ASCII, "PYTHONUTF8": "1"})


@posix
@pytest.mark.parametrize(
    ("encoding", "as_json"), [("cp1252", False), ("cp1252", True), ("ascii", False), ("latin-1:strict", False)]
)
def test_l16_names_that_an_encoding_does_not_know(article: Article, encoding: str, as_json: bool) -> None:
    names = ["spikes.caf\u00e9.npy", "spikes.\u65e5\u672c.npy"]
    article.share(dict.fromkeys(names, b"content"))
    article.server.faults[f"/get/{names[1]}"] = [status(404)]
    asked = [*article.arguments, *(["--json"] if as_json else [])]
    failed = run(*asked, env={"PYTHONIOENCODING": encoding})
    assert failed.code == 3
    assert len(failed.out.splitlines()) == (len(article.contents) + 1 if as_json else len(article.contents) - 1)
    assert "could not be fetched" in failed.err
    if as_json:
        assert {row["path"] for row in failed.rows if "path" in row} == {f"{SESSION}/alf/{n}" for n in article.contents}
    article.check_done()


@posix
@pytest.mark.parametrize(
    ("streams", "fails"),
    [
        ("2>&-", False),
        ("2>&-", True),
        (">&-", False),
        ("<&- >&- 2>&-", True),
        ("2>/dev/full", True),
        (">/dev/full", False),
        (">/dev/full 2>/dev/full", True),
    ],
)
def test_l16_streams_that_are_closed_or_take_nothing(article: Article, streams: str, fails: bool) -> None:
    if "full" in streams and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    if fails:
        article.server.faults[f"/get/{ONE}"] = [status(404)]
    before = ["sh", "-c", f'exec "$0" "$@" {streams}']
    ended = run(*article.arguments, before=before)
    lost = ">/dev/full" in streams.replace("2>/dev/full", "")  # the result itself
    assert ended.code == (7 if lost else 3 if fails else 0), ended.err
    assert "Exception ignored" not in ended.err
    assert article.wrong() == []
    assert article.missing() == ([ONE] if fails else [])
    article.check_done()


@linux
@pytest.mark.parametrize("streams", ["2>&-", "<&- >&- 2>&-"])
def test_l16_no_file_or_connection_takes_the_place_of_a_closed_stream(article: Article, streams: str) -> None:
    process = under_way(article, before=["sh", "-c", f'exec "$0" "$@" {streams}'])
    taken = []
    for number in (0, 1, 2):
        with contextlib.suppress(OSError):
            taken.append(os.readlink(f"/proc/{process.pid}/fd/{number}"))  # noqa: PTH115 - a text, not a path
    process.kill()
    process.communicate()
    # What is written to stderr, by any library, would land in the data.
    assert [name for name in taken if name.startswith(("socket:", "anon_inode:", str(article.folder)))] == []
