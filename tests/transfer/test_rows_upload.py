"""What an upload does when something breaks: the connection, the server, the file that is read.

The rows are those of the list of faults that the transfers are built against: N31 (a connection lost after the last
byte), N32 (a part that is refused, a source that changes or cannot be read), N33 (no room, a name that is taken, a
conflict), D14 (a data set that changes between the scan and the upload). Others of their kind are tested beside the
repository itself (``tests/kinds``) and as whole commands (``tests/cli``).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from box_proxy import Asked, Behind, Fault, Rule, cut, lose_answer, lose_request, meddle, say

from onelight.client import Client, Limits
from onelight.config import Config
from onelight.config import Settings as Place
from onelight.errors import QuotaExceeded, RepositoryError, TransferError, Unreachable
from onelight.index import INDEX_NAME, Entry
from onelight.kinds import localfile as local
from onelight.kinds.figshare import FigshareRepository
from onelight.sandbox import Settings
from onelight.transfer import Outcome, Put, Silent, upload

PART = 2_000_000
SMALL, ONE_PART, PARTS = 3_000, 1_700_000, 5_000_000  # read as a whole; sent from the disk; in three parts
SESSION = "lab/Subjects/Cori/2016-12-14/001"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Behind]]:
    running: list[Behind] = []

    def start(**settings: object) -> Behind:
        chosen = Settings(**{"part_size": PART, "status_delay_ms": 1, "short_put_hang_seconds": 2.0, **settings})
        behind = Behind(tmp_path / f"box{len(running)}", chosen)
        running.append(behind)
        return behind.__enter__()

    yield start
    for behind in running:
        behind.__exit__()


@pytest.fixture
def behind(make: Callable[..., Behind]) -> Behind:
    return make()


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=Limits(connect=5, idle=5, attempts=4, pause=0.01, longest_wait=5)) as running:
        yield running


def some(size: int) -> bytes:
    return os.urandom(size)


class Share:
    """A data root, and what an upload of it makes of the sandbox."""

    def __init__(self, behind: Behind, client: Client, root: Path, *sizes: int) -> None:
        self.behind, self.client, self.root = behind, client, root
        self.contents = {f"{SESSION}/alf/a{number:02}.b.npy": some(size) for number, size in enumerate(sizes)}
        for path, content in self.contents.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        self.paths = list(self.contents)
        self.steps = [self.step(path, content) for path, content in self.contents.items()]

    def step(self, path: str, content: bytes) -> Put:
        return Put(Entry(path, "", len(content), hashlib.md5(content).hexdigest()), self.root / path, "new")

    def repository(self) -> FigshareRepository:
        box = self.behind.box
        return FigshareRepository(
            "box", box.article_id, self.client, token=box.token, api_url=box.api_url, patience=10.0
        )

    def run(self, watcher: Silent | None = None, *, parallel: int = 2) -> dict[str, Outcome]:
        repository = self.repository()
        outcomes, index = upload(
            self.steps, repository, repository.stored(), self.client, parallel=parallel, progress=watcher
        )
        assert (index is None) == any(outcome.error for outcome in outcomes)
        return {outcome.path: outcome for outcome in outcomes}

    def check(self) -> None:
        """Every file is there once, whole, and in the index, which is there once."""
        rows = [row for row in self.behind.files() if not row["name"].endswith(".pqt")]
        assert sorted(row["name"] for row in rows) == sorted([INDEX_NAME, *(flat(path) for path in self.contents)])
        for row in rows:
            assert row["status"] == "available"
            if row["name"] != INDEX_NAME:
                assert self.behind.content(row) == self.contents[row["name"].replace("~", "/")]
        assert {entry.path for entry in self.repository().refresh()} == set(self.contents)

    def check_without(self, *paths: str) -> None:
        """These files are not there, not even half of them, the others are; readers see nothing of it."""
        rows = self.behind.files()
        assert all(row["status"] == "available" for row in rows)
        assert sorted(row["name"] for row in rows) == sorted(flat(path) for path in self.contents if path not in paths)


def flat(path: str) -> str:
    return path.replace("/", "~")


def good(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        assert outcome.error is None, outcome.error


# N31: the connection is lost after the last byte. Did it land?


@pytest.mark.parametrize("size", [SMALL, ONE_PART, PARTS])
def test_n31_a_part_that_landed_though_its_answer_was_lost_is_not_sent_again(
    behind: Behind, client: Client, tmp_path: Path, size: int
) -> None:
    share = Share(behind, client, tmp_path / "root", size)
    behind.rules.append(Rule("PUT", "/upload/", lose_answer))
    good(share.run())
    share.check()
    parts = [one.target for one in behind.asked("PUT", "/upload/")]
    assert len(parts) == len(set(parts)), "the state of the server was asked, and no part was sent twice"


@pytest.mark.parametrize("size", [SMALL, ONE_PART, PARTS])
@pytest.mark.parametrize("fault", [lose_request, cut(1000)], ids=["last byte", "after 1000"])
def test_n31_a_part_that_did_not_land_is_sent_again_and_only_that_one(
    behind: Behind, client: Client, tmp_path: Path, size: int, fault: Fault
) -> None:
    share = Share(behind, client, tmp_path / "root", size)
    behind.rules.append(Rule("PUT", "/upload/", fault))
    told: list[int] = []

    class Counting(Silent):
        def advance(self, path: str, count: int) -> None:
            told.append(count)

    good(share.run(Counting()))
    share.check()
    parts = [one.target for one in behind.arrived("PUT", "/upload/")]
    assert len(parts) == len(set(parts)) == -(-size // PART) + 3  # with those of the index and the tables
    assert sum(told) == size, "what was sent twice is told once"


@pytest.mark.parametrize("fault", [lose_answer, lose_request])
def test_n31_a_beginning_whose_answer_was_lost_is_found_and_not_begun_twice(
    behind: Behind, client: Client, tmp_path: Path, fault: Fault
) -> None:
    share = Share(behind, client, tmp_path / "root", SMALL, SMALL)
    behind.rules.append(Rule("POST", "/files", fault, ends="/files"))
    good(share.run())
    share.check()
    assert len(behind.arrived("POST", ends="/files")) == 5, "two files, two tables and the index"


@pytest.mark.parametrize("fault", [lose_answer, lose_request])
def test_n31_a_completion_whose_answer_was_lost_is_asked_for_and_not_repeated(
    behind: Behind, client: Client, tmp_path: Path, fault: Fault
) -> None:
    share = Share(behind, client, tmp_path / "root", SMALL)
    behind.rules.append(Rule("POST", "/files/", fault))
    good(share.run())
    share.check()
    completed = [one.target for one in behind.arrived("POST", "/files/")]
    assert len(completed) == len(set(completed)) == 4


@pytest.mark.parametrize("fault", [lose_answer, lose_request])
def test_n31_a_publication_is_never_repeated(behind: Behind, client: Client, tmp_path: Path, fault: Fault) -> None:
    share = Share(behind, client, tmp_path / "root", SMALL)
    good(share.run())
    behind.rules.append(Rule("POST", "/publish", fault))
    if fault is lose_answer:
        assert str(behind.box.article_id) in share.repository().publish().address
    else:
        with pytest.raises(Unreachable):
            share.repository().publish()
    assert len(behind.asked("POST", ends="/publish")) == 1
    assert behind.ask("GET", behind.article)["version"] == (1 if fault is lose_answer else 0)


def test_n31_a_connection_that_is_always_lost_ends_and_the_next_run_continues(
    behind: Behind, client: Client, tmp_path: Path
) -> None:
    share = Share(behind, client, tmp_path / "root", PARTS)
    rule = Rule("PUT", "/upload/", lose_request, times=float("inf"), ends="/2")
    behind.rules.append(rule)
    outcome = share.run()[share.paths[0]]
    assert isinstance(outcome.error, Unreachable)
    assert len(behind.asked("PUT", ends="/2")) == 4
    rule.times = 0
    good(share.run())
    share.check()
    sent = [one.target.rpartition("/")[2] for one in behind.arrived("PUT", "/upload/")]
    assert sorted(sent) == ["1", "1", "1", "1", "2", "3"], "each part once, the tables and the index"


@pytest.mark.parametrize("seed", range(3))
def test_n31_where_many_answers_are_lost_each_file_is_there_once_all_the_same(
    make: Callable[..., Behind], client: Client, tmp_path: Path, seed: int
) -> None:
    behind = make()
    share = Share(behind, client, tmp_path / "root", *[SMALL] * 25, PARTS)
    chance = random.Random(seed)

    def sometimes(asked: Asked) -> Fault | None:
        return chance.choice([lose_answer, lose_request, say(502)]) if chance.random() < 0.15 else None

    behind.chance = sometimes
    for _ in range(10):
        if not any(outcome.error for outcome in share.run(parallel=4).values()):
            break
    behind.chance = lambda _: None
    good(share.run())
    share.check()


# N32: a part is refused


@pytest.mark.parametrize("status", [400, 404, 413])
def test_n32_a_part_that_is_refused_fails_its_file_by_name_and_completes_nothing(
    behind: Behind, client: Client, tmp_path: Path, status: int
) -> None:
    share = Share(behind, client, tmp_path / "root", SMALL, PARTS)
    behind.rules.append(Rule("PUT", "/upload/", say(status), times=float("inf"), ends="/3"))
    outcomes = share.run()
    assert outcomes[share.paths[0]].error is None
    assert outcomes[share.paths[1]].error is not None
    begun = [row for row in behind.files() if row["status"] != "available"]
    assert all(row["status"] == "created" for row in begun), "what is not whole was not called complete"
    behind.rules.clear()
    good(share.run())
    share.check()


@pytest.mark.parametrize("status", [409, 500, 503])
def test_n32_a_part_that_is_locked_or_fails_for_a_moment_is_sent_when_that_has_passed(
    behind: Behind, client: Client, tmp_path: Path, status: int
) -> None:
    share = Share(behind, client, tmp_path / "root", PARTS, SMALL)
    behind.rules.append(Rule("PUT", "/upload/", say(status), times=2))
    good(share.run())
    share.check()


def test_n32_a_server_whose_parts_are_smaller_than_they_were_is_asked_for_its_parts(
    behind: Behind, client: Client, tmp_path: Path
) -> None:
    share = Share(behind, client, tmp_path / "root", ONE_PART, ONE_PART)
    behind.rules.append(Rule("PUT", "/upload/", lose_request, times=0))
    repository = share.repository()
    first, second = share.steps
    repository.put(first.entry, first.source, lambda _: None)
    object.__setattr__(behind.box.settings, "part_size", 1_000_000)  # of files that are begun from now on
    assert repository.put(second.entry, second.source, lambda _: None).md5 == second.entry.md5
    assert len(behind.arrived("GET", "/upload/")) == 2, "it was asked once for the first, once more when it refused"


# N32: the source changes while it is read


class Meddling(Silent):
    """Changes a file when its first bytes are sent."""

    def __init__(self, path: str, change: Callable[[], None]) -> None:
        self.path, self.change, self.done = path, change, False

    def advance(self, path: str, count: int) -> None:
        if path == self.path and not self.done:
            self.done = True
            self.change()


def grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4)


def rewrite(path: Path) -> None:
    """Write over the last bytes, and put the time back: nothing but the content tells."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(-4, os.SEEK_END)
        stream.write(b"four")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    """Put another file of the same size in its place."""
    other = path.with_name("other")
    other.write_bytes(some(path.stat().st_size))
    other.replace(path)


@pytest.mark.parametrize("change", [grow, shrink, rewrite, replace])
@pytest.mark.parametrize("size", [ONE_PART, PARTS])
def test_n32_a_source_that_changes_while_it_is_sent_fails_by_name(
    behind: Behind, client: Client, tmp_path: Path, change: Callable[[Path], None], size: int
) -> None:
    if change is replace and os.name != "posix":
        pytest.skip("a file that is open cannot be replaced there")
    share = Share(behind, client, tmp_path / "root", size, SMALL)
    [changing, other] = share.paths
    outcomes = share.run(Meddling(changing, lambda: change(tmp_path / "root" / changing)))
    error = outcomes[changing].error
    if change is replace and size == ONE_PART:
        assert error is None, "the file that was opened was sent, and it is the one that was looked at"
        share.check()
        return
    assert isinstance(error, TransferError)
    assert "changed" in str(error) or "another md5" in str(error)
    assert "again" in error.hint
    assert outcomes[other].error is None
    share.check_without(changing)
    if not (change is rewrite and size == PARTS):  # which only the checksum of the whole tells: figshare's
        files = {flat(path) for path in share.paths}
        completed = behind.arrived("POST", "/files/")
        assert len(completed) == len(files) - 1, "what changed was not called complete"


@pytest.mark.parametrize("size", [SMALL, ONE_PART])
def test_n32_a_source_that_cannot_be_read_to_its_end_fails_by_name(
    behind: Behind, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    class Broken(local.Reading):
        """A file on a disk that has lost its last block."""

        def read(self, count: int | None = -1, /) -> bytes:
            data = super().read(count)
            if "a00" in str(self.name) and self.tell() >= size:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return data

    share = Share(behind, client, tmp_path / "root", size, size)
    with monkeypatch.context() as broken:
        broken.setattr(local, "Reading", Broken)
        outcomes = share.run()
    error = outcomes[share.paths[0]].error
    assert isinstance(error, RepositoryError)
    assert "a00" in error.message
    assert outcomes[share.paths[1]].error is None
    assert not any(row["status"] == "available" and "a00" in row["name"] for row in behind.files())
    good(share.run())
    share.check()


# D14: the data set changes between the scan and the upload


@pytest.mark.parametrize("change", [grow, shrink, rewrite, replace, Path.unlink])
@pytest.mark.parametrize("size", [SMALL, ONE_PART, PARTS])
def test_d14_a_file_that_changed_since_the_scan_fails_by_name_and_the_others_are_sent(
    behind: Behind, client: Client, tmp_path: Path, change: Callable[[Path], None], size: int
) -> None:
    share = Share(behind, client, tmp_path / "root", SMALL, size, SMALL)
    changed = share.paths[1]
    change(tmp_path / "root" / changed)
    outcomes = share.run()
    assert [path for path, outcome in outcomes.items() if outcome.error is not None] == [changed]
    error = outcomes[changed].error
    assert str(tmp_path / "root" / changed) in str(error)
    share.check_without(changed)
    if size == SMALL:
        assert len(behind.asked("POST", ends="/files")) == 2, "nothing of it was sent"
    now = tmp_path / "root" / changed
    if now.exists():  # the next scan finds what is there now
        share.contents[changed] = now.read_bytes()
        share.steps[1] = share.step(changed, share.contents[changed])
    else:
        del share.contents[changed], share.steps[1]
    good(share.run())
    share.check()


# N33: no room, a name that is taken, a conflict: nothing is repeated


def test_n33_a_quota_that_is_used_up_meanwhile_is_told_for_each_file_and_not_tried_again(
    make: Callable[..., Behind], client: Client, tmp_path: Path
) -> None:
    behind = make(quota=2 * SMALL + 10)
    share = Share(behind, client, tmp_path / "root", *[SMALL] * 5)
    outcomes = share.run()
    failed = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
    assert len(failed) == 3
    for error in failed:
        assert isinstance(error, QuotaExceeded)
        assert "quota" in error.message
        assert "Make room" in error.hint
    assert 3 <= len(behind.asked("POST", ends="/files")) <= 5, "not again, and none once it is known to be full"


@pytest.mark.parametrize("kind", ["400 by the server", "409"])
def test_n33_a_name_that_is_taken_is_told_and_not_tried_again(
    make: Callable[..., Behind], client: Client, tmp_path: Path, kind: str
) -> None:
    behind = make(duplicate_names=False)
    share = Share(behind, client, tmp_path / "root", SMALL, SMALL)
    if kind == "409":
        behind.rules.append(Rule("POST", "/files", say(409, {"message": "the name is taken"}), ends="/files"))
    else:
        announced = {"name": flat(share.paths[0]), "size": 7}
        behind.ask("POST", f"{behind.article}/files", announced)
    outcomes = share.run(parallel=1)
    failed = [outcome for outcome in outcomes.values() if outcome.error is not None]
    assert len(failed) == 1
    assert isinstance(failed[0].error, RepositoryError)
    assert not isinstance(failed[0].error, Unreachable)
    assert len(behind.asked("POST", ends="/files")) == 2


def test_n33_a_conflict_in_publishing_is_told_and_not_tried_again(
    behind: Behind, client: Client, tmp_path: Path
) -> None:
    share = Share(behind, client, tmp_path / "root", SMALL)
    good(share.run())
    said = {"message": "Previous publication still in progress!", "code": "Conflict"}
    behind.rules.append(Rule("POST", "/publish", say(409, said), times=float("inf")))
    with pytest.raises(RepositoryError, match="still in progress") as caught:
        share.repository().publish()
    assert not isinstance(caught.value, Unreachable)
    assert len(behind.asked("POST", ends="/publish")) == 1


def command(behind: Behind, *arguments: str) -> tuple[int, list[dict[str, object]], str]:
    """Run ``onelight`` as a process, on this sandbox."""
    config = Config.load()
    options = {"article_id": behind.box.article_id, "token": behind.box.token, "api_url": behind.box.api_url}
    config.add(Place("box", "figshare", options))
    config.choose("box")
    done = subprocess.run(
        [sys.executable, "-m", "onelight", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_n33_the_command_lists_what_had_no_room_and_ends_with_1(
    make: Callable[..., Behind], client: Client, tmp_path: Path
) -> None:
    behind = make(quota=2 * SMALL + 10)
    Share(behind, client, tmp_path / "root", *[SMALL] * 4)
    # Somebody else uses the account as well: what it said of its quota is not true any more when the files are sent.
    behind.rules.append(Rule("GET", "/account", meddle(lambda row: row.update(quota=10**9)), 9, ends="/v2/account"))
    code, rows, err = command(behind, "upload", str(tmp_path / "root"), "--json")
    assert code == 1, err
    failed = [row for row in rows if row.get("status") == "error"]
    assert len({row["path"] for row in failed}) == 2
    assert "Traceback" not in err


def test_n33_a_conflict_ends_the_command_with_1(behind: Behind, client: Client, tmp_path: Path) -> None:
    good(Share(behind, client, tmp_path / "root", SMALL).run())
    behind.rules.append(Rule("POST", "/publish", say(409, {"message": "in progress"}), times=float("inf")))
    code, _, err = command(behind, "publish", "--yes", "--json")
    assert code == 1, err
    assert len(behind.asked("POST", ends="/publish")) == 1
