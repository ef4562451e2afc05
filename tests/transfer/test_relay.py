"""From one repository to another: killed, cut, given wrong bytes, no room; what came whole is not fetched twice."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Article, Disk, begin, calls, disk, end, here, linux, posix, run, wait_until
from servers import Good, WebServer, cut, drip, stall, status
from shelf import SESSION

from onelight.api import plan_copy, run_copy
from onelight.client import Client
from onelight.config import Config, Settings
from onelight.errors import ChecksumMismatch, Interrupted
from onelight.index import Entry, Index
from onelight.kinds import open_repository
from onelight.kinds.local import LocalRepository
from onelight.pack import PACK_NAME
from onelight.route import Route, Source
from onelight.transfer import Conflict, Ledger, Outcome, Put, Silent, Skip, Status, Verified, upload
from onelight.transfer.relay import Relay, _Space, claim, held, left_behind, plan_relay

__all__ = ["calls", "disk"]  # fixtures
MD5, OTHER = "0" * 32, "1" * 32
A, B = f"{SESSION}/alf/a.times.npy", f"{SESSION}/alf/b.times.npy"


def kinds(steps: list[Any]) -> list[type]:
    return [type(step) for step in steps]


class TestPlan:
    """What is copied, and why. Nothing is asked or touched."""

    def test_what_is_there_with_the_same_size_and_md5_is_left_alone(self) -> None:
        (step,) = plan_relay([Entry(A, "u", 3, MD5)], Path("x"), Index([Entry(A, "v", 3, MD5)]))
        assert isinstance(step, Skip)

    @pytest.mark.parametrize("there", [Entry(A, "", 4, MD5), Entry(A, "", 3, OTHER), Entry(A, "", 3)])
    def test_what_differs_or_is_not_confirmed_is_sent_again(self, there: Entry) -> None:
        entry = Entry(A, "u", 3, MD5)
        (step,) = plan_relay([entry], Path("x"), Index([there]))
        assert isinstance(step, Put)
        assert (step.entry, step.is_new) == (entry, False)

    @pytest.mark.parametrize("size", [3, None])
    def test_of_what_the_source_states_no_md5_that_of_the_last_time_counts(self, size: int | None) -> None:
        entry, there = Entry(A, "u", size), Index([Entry(A, "", 3, MD5)])
        assert kinds(plan_relay([entry], Path("x"), there)) == [Put]
        assert kinds(plan_relay([entry], Path("x"), there, {A: MD5}.get)) == [Skip]
        (step,) = plan_relay([entry], Path("x"), there, {A: OTHER}.get)
        assert isinstance(step, Put)
        assert step.entry == entry

    def test_another_size_than_the_last_time_is_another_file(self) -> None:
        there = Index([Entry(A, "", 3, MD5)])
        assert kinds(plan_relay([Entry(A, "u", 4)], Path("x"), there, {A: MD5}.get)) == [Put]

    def test_names_that_differ_by_case_only_are_a_conflict(self) -> None:
        upper = A.replace("a.times", "A.times")
        assert kinds(plan_relay([Entry(A, "u", 3, MD5)], Path("x"), Index([Entry(upper, "", 3, MD5)]))) == [Conflict]

    def test_a_pack_of_which_nothing_is_known_is_a_conflict_where_packs_mean_something(self) -> None:
        entry = Entry(f"{SESSION}/{PACK_NAME}", "u", 3, MD5)
        assert kinds(plan_relay([entry], Path("x"), Index(), takes_packs=True)) == [Conflict]
        assert kinds(plan_relay([entry], Path("x"), Index())) == [Put]


class TestSpace:
    """How many bytes lie here at the same time."""

    def test_whoever_finds_no_room_waits_until_there_is_some(self) -> None:
        space, order = _Space(10, lambda _: None), []
        space.take(7, lambda: None)
        waits = threading.Event()

        def second() -> None:
            space.take(5, waits.set)
            order.append("second")

        thread = threading.Thread(target=second)
        thread.start()
        waits.wait()
        order.append("first")
        space.give(7)
        thread.join()
        assert order == ["first", "second"]

    def test_whoever_waits_can_be_stopped(self) -> None:
        space = _Space(10, lambda _: None)
        space.take(10, lambda: None)
        left = [True, False]

        def still() -> None:
            if not left.pop(0):
                raise Interrupted("stopped")

        with pytest.raises(Interrupted):
            space.take(1, still)

    def test_a_file_that_stays_for_the_next_run_goes_where_its_room_is_needed(self) -> None:
        gone: list[Path] = []
        space = _Space(10, gone.append)
        space.take(8, lambda: None)
        space.spare(Path("spare"), 8)
        space.take(2, lambda: None)
        assert gone == []
        space.take(3, lambda: None)
        assert gone == [Path("spare")]


def age(folder: Path, days: float) -> None:
    """Let everything in a folder be so many days old."""
    then = time.time() - days * 86400
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (then, then))


class TestFolder:
    """The folder of files on their way."""

    def test_what_a_run_has_left_is_taken_over_by_one_run_only(self, tmp_path: Path) -> None:
        base = tmp_path / "copying" / "a-to-b-0"
        first = claim(base)
        (first / "file").write_bytes(b"x")
        assert left_behind(base) == []  # in use: its process lives
        assert not (claim(base) / "file").exists()
        first.rename(base.with_name(f"{base.name}.part"))
        taken = claim(base)
        assert (taken / "file").read_bytes() == b"x"
        assert left_behind(base) == []

    @posix
    def test_that_of_a_process_that_was_killed_is_taken_over(self, tmp_path: Path) -> None:
        base = tmp_path / "copying" / "a-to-b-0"
        code = f"from pathlib import Path; from onelight.transfer.relay import claim; print(claim(Path({str(base)!r})))"
        import subprocess

        made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert [str(folder) for folder in left_behind(base)] == [made.stdout.strip()]

    def test_of_two_that_were_left_the_fuller_is_gone_on_with_and_the_other_removed(self, tmp_path: Path) -> None:
        base = tmp_path / "copying" / "a-to-b-0"
        for name, size in (("a-to-b-0.part", 10_000), ("a-to-b-0.elsewhere-1-00000000.part", 90_000)):
            (base.parent / name).mkdir(parents=True)
            (base.parent / name / "file").write_bytes(b"x" * size)
            age(base.parent / name, 1)
        assert held(claim(base)) >= 90_000
        assert len(list(base.parent.iterdir())) == 1

    def test_that_of_another_computer_is_left_alone_while_files_come(self, tmp_path: Path) -> None:
        base = tmp_path / "copying" / "a-to-b-0"
        other = base.with_name("a-to-b-0.elsewhere-1-00000000.part")
        (other / "lab").mkdir(parents=True)
        age(other, 1)
        (other / "lab" / ".file.part").write_bytes(b"x")  # which changes no folder above its own
        os.utime(other, (0, 0))
        assert left_behind(base) == []
        assert not (claim(base) / "lab").exists()
        assert (other / "lab" / ".file.part").exists()

    def test_what_others_have_left_is_removed_after_a_month_and_a_record_after_half_a_year(
        self, tmp_path: Path
    ) -> None:
        base = tmp_path / "copying" / "a-to-b-0"
        for name, content, days in (
            ("old", "file", 31),
            ("new", "file", 29),
            ("old record", ".one_verified", 181),
            ("new record", ".one_verified", 179),
        ):
            (base.parent / f"{name}.part").mkdir(parents=True)
            (base.parent / f"{name}.part" / content).touch()
            age(base.parent / f"{name}.part", days)
        own = claim(base)
        left = {folder.name for folder in base.parent.iterdir()} - {own.name}
        assert left == {"new.part", "new record.part"}


class Forgetful(LocalRepository):
    """A folder on the web that tells no checksum of what is sent to it."""

    compares_md5 = False
    url = ""

    def has_compared(self, entry: Entry) -> bool:
        return False

    def source(self, entry: Entry) -> Source:
        return (Route(f"{self.url}/{entry.path}"),)


class TestReadBack:
    """What a target that compares nothing is believed."""

    @staticmethod
    def relay(root: Path, server: WebServer, client: Client | None) -> Relay:
        source, target = LocalRepository("a", root), Forgetful("b", root.with_name("target"))
        target.url = server.url
        return Relay(source, target, Client(), None, [], reader=client)

    @pytest.fixture
    def sent(self, tmp_path: Path) -> tuple[Entry, Path]:
        path = tmp_path / "source" / A
        path.parent.mkdir(parents=True)
        path.write_bytes(b"content")
        return Entry(A, "", 7, hashlib.md5(b"content").hexdigest()), path

    def test_without_reading_it_back_only_the_size_is_known(self, tmp_path: Path, sent: tuple[Entry, Path]) -> None:
        with WebServer() as server:
            relay = self.relay(tmp_path / "source", server, None)
            stored = relay.put(*sent, lambda _: None)
            assert server.requests == []
        assert (relay.has_compared(stored), relay.by_size, relay.unconfirmed) == (False, {A}, set())

    def test_what_comes_back_as_it_was_sent_is_sure(self, tmp_path: Path, sent: tuple[Entry, Path]) -> None:
        with WebServer(root=tmp_path / "target") as server, Client() as client:
            relay = self.relay(tmp_path / "source", server, client)
            stored = relay.put(*sent, lambda _: None)
        assert (relay.has_compared(stored), relay.by_size) == (True, set())

    def test_what_comes_back_otherwise_is_removed_there(self, tmp_path: Path, sent: tuple[Entry, Path]) -> None:
        with WebServer() as server, Client() as client:
            server.files[f"/{A}"] = b"CONTENT"
            relay = self.relay(tmp_path / "source", server, client)
            with pytest.raises(ChecksumMismatch, match="comes back with another md5"):
                relay.put(*sent, lambda _: None)
        assert not (tmp_path / "target" / A).exists()


class Watched(Silent):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.begun: tuple[int, int] | None = None
        self.moved: Counter[str] = Counter()
        self.started: list[str] = []
        self.ended: list[Outcome] = []

    def begin(self, files: int, size: int) -> None:
        self.begun = files, size

    def start(self, path: str, size: int | None) -> None:
        self.started.append(path)

    def advance(self, path: str, count: int) -> None:
        self.moved[path] += count

    def finish(self, outcome: Outcome) -> None:
        self.ended.append(outcome)


class Pair(Article):
    """An article that a server shares, and an empty folder that is the repository ``disk``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        config = Config.load()
        config.add(Settings("disk", "local", {"root_dir": str(self.folder)}))
        self.copying = config.folder / "copying"

    @property
    def arguments(self) -> list[str]:
        return ["copy", "figs", "disk"]

    def held(self) -> int:
        """Return the bytes on their way."""
        return held(self.copying)

    def check_whole(self, *, was_killed: bool = False) -> None:
        """Every file is there and right, the index names them, and nothing else is left.

        What was being written to a folder when somebody was killed stays there; it is hidden, and no dataset.
        """
        assert (self.wrong(), self.missing()) == ([], [])
        paths = sorted(f"{SESSION}/alf/{name}" for name in self.contents)
        assert (self.folder / ".one_root").read_text(encoding="utf-8").splitlines() == paths
        assert was_killed or [path.name for path in self.folder.rglob("*.part")] == []
        assert not self.copying.exists()


@pytest.fixture
def pair(config_dir: Path, tmp_path: Path) -> Any:
    with WebServer() as server:
        yield Pair(server, tmp_path / "disk")


def files(*sizes: int) -> dict[str, bytes]:
    return {f"spikes.a{number:02}.npy": os.urandom(size) for number, size in enumerate(sizes)}


def test_each_file_is_fetched_once_and_lies_here_only_while_it_is_copied(pair: Pair) -> None:
    pair.share(files(*[50_000] * 20, 3_000_000))
    done = here(*pair.arguments)
    assert done.code == 0, done.err
    pair.check_whole()
    assert sorted(pair.asked()) == sorted(pair.contents)


def test_the_progress_of_a_file_that_moves_twice_is_its_size(pair: Pair) -> None:
    pair.share(files(0, 1, 50_001, 3_000_000))
    watched = Watched()
    outcomes = run_copy(plan_copy("figs", "disk"), progress=watched)
    sizes = {f"{SESSION}/alf/{name}": len(content) for name, content in pair.contents.items()}
    assert watched.begun == (4, sum(sizes.values()))
    assert +watched.moved == +Counter(sizes)
    assert sorted(watched.started) == sorted(one.path for one in watched.ended) == sorted(sizes)
    assert {(one.status, one.verified, one.size) for one in watched.ended} == {
        (Status.DONE, Verified.MD5, size) for size in sizes.values()
    }
    assert sorted(watched.ended, key=lambda one: one.path) == outcomes
    assert (outcomes.unstated, outcomes.unconfirmed, outcomes.by_size) == (set(), set(), set())


def test_nothing_to_do_fetches_and_sends_nothing(pair: Pair) -> None:
    pair.share(files(10, 20))
    here(*pair.arguments)
    before = {path: path.stat().st_mtime_ns for path in pair.folder.rglob("*")}
    pair.server.forget()
    done = here(*pair.arguments)
    assert (done.code, done.out, pair.asked()) == (0, "", [])
    assert re.search(r"0 files copied \(0 B in \S+ s\), 2 already there, 0 failed", done.err)
    assert {path: path.stat().st_mtime_ns for path in pair.folder.rglob("*")} == before


def test_a_dry_run_changes_nothing(pair: Pair, config_dir: Path) -> None:
    pair.share(files(10, 20))
    done = here(*pair.arguments, "--dry-run")
    assert (done.code, pair.asked()) == (0, [])
    assert done.out.splitlines() == [f"{SESSION}/alf/{name}" for name in sorted(pair.contents)]
    assert not pair.folder.exists()
    assert not pair.copying.exists()


def test_a_connection_that_is_lost_in_the_middle_is_continued(pair: Pair) -> None:
    pair.share(files(2_000_000))
    pair.server.faults["/get/spikes.a00.npy"] = [cut(700_000), cut(500_000), Good]
    done = here(*pair.arguments, "--json")
    assert done.code == 0, done.err
    pair.check_whole()
    first, *others = [seen.range_start for seen in pair.server.requests if seen.path.startswith("/get/")]
    assert not first
    assert others
    assert all(others)
    assert done.rows[-1]["retries"] >= 1


def test_what_was_begun_and_given_up_is_continued_by_the_next_run(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELIGHT_ATTEMPTS", "1")
    pair.share(files(2_000_000, 1000))
    pair.server.faults["/get/spikes.a00.npy"] = [cut(900_000), status(503)]
    failed = here(*pair.arguments)
    assert failed.code == 5
    assert "onelight copy figs disk" in failed.err.splitlines()[-1]
    assert "the index of 'disk' was not written" in failed.err
    assert not (pair.folder / ".one_root").exists()
    assert pair.missing() == ["spikes.a00.npy"]
    assert pair.held() >= 500_000
    pair.server.heal()
    done = here(*pair.arguments, "--json")
    assert done.code == 0, done.err
    pair.check_whole()
    (first,) = [seen for seen in pair.server.requests if seen.path.startswith("/get/")]
    assert first.range_start is not None
    assert first.range_start >= 500_000
    resumed = {row["path"]: row.get("resumed_from", 0) for row in done.rows if "path" in row}
    assert resumed[f"{SESSION}/alf/spikes.a00.npy"] >= 500_000


def test_wrong_bytes_are_not_sent_and_the_others_are(pair: Pair) -> None:
    pair.share(files(1000, 2000, 2_000_000))
    for name in ("spikes.a01.npy", "spikes.a02.npy"):
        pair.server.files[f"/get/{name}"] = os.urandom(len(pair.contents[name]))
    done = here(*pair.arguments, "--json")
    assert done.code == 6
    assert sorted(pair.missing()) == ["spikes.a01.npy", "spikes.a02.npy"]
    assert pair.wrong() == []
    assert not (pair.folder / ".one_root").exists()
    errors = {row["path"][-14:]: row["error"] for row in done.rows if row.get("error") and "path" in row}
    assert errors == {"spikes.a01.npy": "ChecksumMismatch", "spikes.a02.npy": "ChecksumMismatch"}
    pair.server.files["/get/spikes.a01.npy"] = pair.contents["spikes.a01.npy"]
    pair.server.files["/get/spikes.a02.npy"] = pair.contents["spikes.a02.npy"]
    pair.server.heal()
    assert here(*pair.arguments).code == 0
    pair.check_whole()
    assert sorted(pair.asked()) == ["spikes.a01.npy", "spikes.a02.npy"]


def test_failures_of_several_kinds_end_with_one(pair: Pair) -> None:
    pair.share(files(1000, 2000))
    pair.server.files["/get/spikes.a00.npy"] = os.urandom(1000)
    pair.server.faults["/get/spikes.a01.npy"] = [status(404)]
    assert here(*pair.arguments).code == 1


def test_what_was_fetched_and_could_not_be_sent_is_sent_by_the_next_run_without_being_fetched(pair: Pair) -> None:
    pair.share(files(1000, 200_000))
    blocked = pair.target("spikes.a01.npy")
    blocked.mkdir(parents=True)  # a folder where the file is to be
    failed = here(*pair.arguments)
    assert failed.code == 7
    blocked.rmdir()
    pair.server.forget()
    assert here(*pair.arguments).code == 0
    assert pair.asked() == []
    pair.check_whole()


def test_a_file_that_was_left_and_is_damaged_is_fetched_again(pair: Pair) -> None:
    pair.share(files(200_000))
    blocked = pair.target("spikes.a00.npy")
    blocked.mkdir(parents=True)
    assert here(*pair.arguments).code == 7
    (left,) = pair.copying.rglob("spikes.a00.npy")
    with left.open("r+b") as stream:
        stream.write(b"damaged")
    blocked.rmdir()
    assert here(*pair.arguments).code == 0
    pair.check_whole()


def test_a_file_that_the_disk_has_damaged_unseen_is_not_sent_and_not_kept(pair: Pair) -> None:
    pair.share(files(200_000))
    blocked = pair.target("spikes.a00.npy")
    blocked.mkdir(parents=True)
    assert here(*pair.arguments).code == 7
    blocked.rmdir()
    (left,) = pair.copying.rglob("spikes.a00.npy")
    (record,) = pair.copying.rglob(".one_verified")
    left.write_bytes(os.urandom(200_000))
    right = hashlib.md5(pair.contents["spikes.a00.npy"]).hexdigest()
    Ledger(record.parent).record(f"{SESSION}/alf/spikes.a00.npy", left, right)  # as if nobody had touched it
    assert here(*pair.arguments).code == 6
    assert pair.missing() == ["spikes.a00.npy"]
    assert here(*pair.arguments).code == 0
    pair.check_whole()


def test_what_was_left_and_is_not_wanted_any_more_is_removed_at_once(pair: Pair) -> None:
    pair.share(files(1000, 2000))
    for name in pair.contents:
        pair.target(name).mkdir(parents=True)
    assert here(*pair.arguments).code == 7
    pair.target("spikes.a00.npy").rmdir()
    pair.target("spikes.a00.npy").write_bytes(pair.contents["spikes.a00.npy"])  # it came in another way
    assert here(*pair.arguments).code == 7
    assert [path.name for path in pair.copying.rglob("spikes*")] == ["spikes.a01.npy"]


@posix
def test_what_a_run_has_left_that_was_killed_at_its_very_end_is_removed_by_the_next(pair: Pair) -> None:
    pair.share(files(1000))
    blocked = pair.target("spikes.a00.npy")
    blocked.mkdir(parents=True)
    assert here(*pair.arguments).code == 7
    blocked.rmdir()
    blocked.write_bytes(pair.contents["spikes.a00.npy"])
    assert list(pair.copying.rglob("spikes*")) != []
    assert here(*pair.arguments).code == 0
    pair.check_whole()


def test_the_index_of_the_target_has_what_was_learnt_of_files_that_were_not_stated(
    tmp_path: Path, add_repository: Callable[..., str]
) -> None:
    written: list[Entry] = []

    class Keeping(LocalRepository):
        def write_index(self, index: Index, *rest: Any, **more: Any) -> bool:
            written.extend(index)
            return super().write_index(index, *rest, **more)

    with WebServer() as server, Client() as client:
        server.files[f"/{A}"] = b"content"
        add_repository("web", "http", base_url=server.url)
        source, entry = open_repository(Config.load().repository("web"), client), Entry(A, f"{server.url}/{A}")
        put = Put(entry, Path(A), "new")
        target = Keeping("b", tmp_path / "target")
        relay = Relay(source, target, client, tmp_path / "way" / "a-b", [put])
        outcomes, index = upload([put], relay, Index(), client, progress=relay.watcher)
        relay.close(is_done=True)
    assert index is not None
    assert [relay.true(outcome).verified for outcome in outcomes] == [Verified.SIZE]
    assert [(one.path, one.size, one.md5) for one in written] == [(A, 7, hashlib.md5(b"content").hexdigest())]


@posix
def test_ctrl_c_does_not_wait_for_a_server_that_is_silent(pair: Pair) -> None:
    pair.share(files(1000, 3_000_000))
    pair.server.faults["/get/spikes.a01.npy"] = [stall(500_000)]
    process = begin(*pair.arguments)
    wait_until(lambda: pair.missing() == ["spikes.a01.npy"] and pair.held() > 400_000)
    process.send_signal(signal.SIGINT)
    assert end(process, 10).code == 130  # of a minute that a silent server is given
    pair.server.heal()
    assert here(*pair.arguments).code == 0
    pair.check_whole()


@posix
def test_killed_at_random_bytes_and_continued_nothing_is_wrong_or_copied_twice(pair: Pair) -> None:
    random.seed()
    pair.share(files(*[random.randrange(1000, 60_000) for _ in range(16)], *[3_000_000] * 6))
    pair.server.faults = {path: [drip(0.01, 1 << 15)] for path in pair.server.files if path.startswith("/get/")}
    arrived: set[str] = set()
    kills = 0
    for _ in range(8):
        pair.server.forget()
        process = begin(*pair.arguments, "-j", "4")
        more = random.randrange(1, 3_000_000)
        before = len(arrived)

        def is_far_enough(process: Any = process, more: int = more, before: int = before) -> bool:
            there = len(pair.contents) - len(pair.missing())
            return process.poll() is not None or pair.held() > more or there > before + 4

        wait_until(is_far_enough)
        if process.poll() is None:
            kills += 1
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert pair.wrong() == []
        assert not arrived & set(pair.asked()), "what had arrived is not fetched again"
        arrived = set(pair.contents) - set(pair.missing())
    assert kills >= 3
    pair.server.heal()
    done = run(*pair.arguments, "--json")
    assert done.code == 0, done.err
    assert not arrived & set(pair.asked())
    pair.check_whole(was_killed=True)


@posix
def test_ctrl_c_ends_it_in_good_order_and_the_same_command_goes_on(pair: Pair) -> None:
    pair.share(files(*[1000] * 5, *[6_000_000] * 4))
    pair.server.faults = {path: [drip(0.02, 1 << 15)] for path in pair.server.files if path.startswith("/get/")}
    process = begin(*pair.arguments)
    wait_until(lambda: len(pair.missing()) == 4 and pair.held() > 500_000)
    process.send_signal(signal.SIGINT)
    stopped = end(process, 10)
    assert stopped.code == 130
    assert "stopped by Ctrl-C: 4 files not copied" in stopped.err
    assert stopped.err.splitlines()[-1] == "continue with: onelight copy figs disk"
    pair.server.heal()
    assert here(*pair.arguments).code == 0
    assert len(pair.asked()) >= 4
    assert all(seen.range_start for seen in pair.server.requests if seen.path.startswith("/get/"))
    pair.check_whole()


@posix
def test_killed_while_it_sends_to_figshare_each_file_is_there_once(
    pair: Pair, sandbox: Any, article: int, files_of: Callable[[int], Any]
) -> None:
    config = Config.load()
    options = {"article_id": article, "api_url": sandbox.api_url, "token": sandbox.token}
    config.add(Settings("box", "figshare", options))
    pair.share(files(*[random.randrange(1, 300_000) for _ in range(30)]))
    command = ["copy", "figs", "box", "-j", "3"]
    for wanted in (2, 9, 17, 25):
        process = begin(*command)

        def is_far_enough(wanted: int = wanted, process: Any = process) -> bool:
            return process.poll() is not None or len(files_of(article)) >= wanted

        wait_until(is_far_enough)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done = run(*command)
    assert done.code == 0, done.err
    there = {name: row["size"] for name, row in files_of(article).items() if "~" in name}
    assert there == {f"{SESSION}/alf/{name}".replace("/", "~"): len(content) for name, content in pair.contents.items()}
    assert {row["status"] for row in files_of(article).values()} == {"available"}
    assert not pair.copying.exists()


def test_a_target_with_too_little_room_is_told_before_anything_is_fetched(
    pair: Pair, disk: Callable[[str], Disk]
) -> None:
    pair.share(files(900_000, 900_000))
    small = disk("1m")
    config = Config.load()
    config.add(Settings("small", "local", {"root_dir": str(small.folder)}))
    done = run("copy", "figs", "small", before=small.before)
    assert (done.code, pair.asked()) == (1, [])
    assert "Nothing was sent" in done.err


def test_once_the_target_is_full_nothing_more_is_fetched(
    disk: Callable[[str], Disk], add_repository: Callable[..., str]
) -> None:
    """Where nobody states sizes, it is not known before."""
    small = disk("1m")
    add_repository("small", "local", root_dir=str(small.folder))
    with WebServer() as server:
        add_repository("web", "http", base_url=server.url)
        paths = [f"{SESSION}/alf/spikes.a{number:02}.npy" for number in range(40)]
        server.files = {f"/{path}": os.urandom(200_000) for path in paths}
        server.files["/.one_root"] = "".join(f"{path}\n" for path in paths).encode()
        done = run("copy", "web", "small", "-j", "2", before=small.before)
        asked = [seen.path for seen in server.requests if seen.path.endswith(".npy")]
    assert done.code == 7
    assert "No space left" in done.err
    assert len(asked) < 12
    assert not (small.seen / ".one_root").exists()


def test_this_disk_must_have_room_for_the_largest_file(
    pair: Pair, disk: Callable[[str], Disk], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.share(files(1000, 3_000_000))
    small = disk("1m")
    monkeypatch.setenv("ONELIGHT_CONFIG_DIR", str(small.folder))
    shutil.copy(Config.load(pair.copying.parent).path, small.seen)
    done = run("copy", "figs", "disk", before=small.before)
    assert (done.code, pair.asked()) == (7, [])
    assert "3,000,000 bytes" in done.err
    assert not pair.folder.exists()


@linux
def test_a_repository_may_be_larger_than_the_room_for_files_on_their_way(
    pair: Pair, disk: Callable[[str], Disk], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.share(files(*[700_000] * 12))
    small = disk("3m")
    shutil.copy(Config.load(pair.copying.parent).path, small.seen)
    monkeypatch.setenv("ONELIGHT_CONFIG_DIR", str(small.folder))
    done = run("copy", "figs", "disk", before=small.before)
    assert done.code == 0, done.err
    assert (pair.wrong(), pair.missing()) == ([], [])
