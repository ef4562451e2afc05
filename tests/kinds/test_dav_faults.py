"""What an upload to a web server does when something breaks: the connection, the server, the file that is read.

The rows are those of the list of faults that the transfers are built against, as for figshare in
``tests/transfer/test_rows_upload.py``: N31 (a connection lost after the last byte), N32 (a file that is refused, a
source that changes or cannot be read, a server that stores less than was sent), N33 (no room, a name that is taken, a
conflict). Between the client and a real server stands a proxy that breaks (``dav_servers.py``).
"""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from contract import some
from dav_servers import (
    Asked,
    Fault,
    FaultyProxy,
    Hold,
    Rule,
    Served,
    Site,
    apache,
    begin,
    cut,
    damage,
    delay,
    empty,
    lose_answer,
    lose_request,
    nginx,
    place,
    pretend,
    rclone,
    run,
    say,
    share,
    truncate,
    wsgidav,
)

from onelight.client import Client, Limits
from onelight.errors import OneError, QuotaExceeded, RepositoryError, TransferError, Unreachable
from onelight.index import Entry
from onelight.kinds import localfile
from onelight.kinds.http import HttpRepository
from onelight.transfer import Outcome, Put, Silent, upload

SMALL, LARGE = 3_000, 2_500_000  # read as a whole; sent from the disk
SESSION = "lab/Subjects/Cori/2016-12-14/001"
#: So many requests are no more than the attempts of one.
ATTEMPTS = 4


@pytest.fixture(scope="module", params=[nginx, apache, wsgidav, rclone], ids=lambda start: start.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    with place() as root, request.param(root) as served:
        yield served


@pytest.fixture
def site(server: Served) -> Iterator[Site]:
    empty(server.root)
    with FaultyProxy(server.url) as proxy:
        yield Site(server, proxy)


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=Limits(connect=5, idle=5, attempts=ATTEMPTS, pause=0.01, longest_wait=5)) as running:
        yield running


class Share:
    """A data root, and what an upload of it makes of the server."""

    def __init__(self, site: Site, client: Client, root: Path, *sizes: int) -> None:
        self.site, self.client, self.root = site, client, root
        self.contents = {f"{SESSION}/alf/a{number:02}.b.npy": some(size) for number, size in enumerate(sizes)}
        share(root, self.contents)
        self.paths = list(self.contents)

    @property
    def steps(self) -> list[Put]:
        return [
            Put(Entry(path, "", len(content), hashlib.md5(content).hexdigest()), self.root / path, "new")
            for path, content in self.contents.items()
        ]

    def repository(self) -> HttpRepository:
        return HttpRepository("web", self.site.url, self.client)

    def run(self, watcher: Silent | None = None, *, parallel: int = 2) -> dict[str, Outcome]:
        repository = self.repository()
        stored = repository.stored()
        steps = [step for step in self.steps if not _same(stored.get(step.entry.path), step.entry)]
        outcomes, index = upload(steps, repository, stored, self.client, parallel=parallel, progress=watcher)
        assert (index is None) == any(outcome.error for outcome in outcomes)
        return {outcome.path: outcome for outcome in outcomes}

    def check(self) -> None:
        """Every file is there once, whole and in the index; nothing half is left."""
        self.site.check(self.contents)
        entries = self.repository().refresh()
        assert {entry.path: (entry.size, entry.md5) for entry in entries} == {
            path: (len(content), hashlib.md5(content).hexdigest()) for path, content in self.contents.items()
        }

    def check_nothing_wrong(self) -> None:
        """What is in the index is right; a name that it does not have may be taken by its own content only."""
        for path, content in self.site.files().items():
            assert content == self.contents.get(path), path

    def sent(self) -> int:
        """Return the bytes that the server was given of the files."""
        return sum(one.length for one in self.site.proxy.arrived("PUT", "/alf/"))


def _same(stored: Entry | None, entry: Entry) -> bool:
    return stored is not None and stored.md5 == entry.md5


def good(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        assert outcome.error is None, outcome.error


# N31: the connection is lost after the last byte. Did it land?


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_n31_a_file_that_landed_though_its_answer_was_lost_is_not_sent_again(
    site: Site, client: Client, tmp_path: Path, size: int
) -> None:
    """Row N31."""
    shared = Share(site, client, tmp_path / "root", size)
    site.proxy.rules.append(Rule("PUT", "/alf/", lose_answer))
    told: list[int] = []

    class Counting(Silent):
        def advance(self, path: str, count: int) -> None:
            told.append(count)

    good(shared.run(Counting()))
    shared.check()
    assert shared.sent() == size, "the server was asked, and nothing was sent twice"
    assert sum(told) == size


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("fault", [lose_request, cut(1000)], ids=["last byte", "after 1000"])
def test_n31_a_file_that_did_not_land_is_sent_again(
    site: Site, client: Client, tmp_path: Path, size: int, fault: Fault
) -> None:
    """Row N31."""
    shared = Share(site, client, tmp_path / "root", size, size)
    site.proxy.rules.append(Rule("PUT", "/alf/", fault))
    told: list[int] = []

    class Counting(Silent):
        def advance(self, path: str, count: int) -> None:
            told.append(count)

    good(shared.run(Counting()))
    shared.check()
    assert shared.sent() == 2 * size, "each whole once"
    assert sum(told) == 2 * size, "what was sent twice is told once"


@pytest.mark.parametrize("method", ["MKCOL", "MOVE", "DELETE", "PROPFIND", "GET"])
@pytest.mark.parametrize("fault", [lose_answer, lose_request])
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_n31_any_other_request_whose_answer_is_lost_does_no_harm(
    site: Site, client: Client, tmp_path: Path, method: str, fault: Fault, skip: int
) -> None:
    """Row N31."""
    shared = Share(site, client, tmp_path / "root", SMALL, SMALL)
    good(shared.run())
    shared.contents[shared.paths[1]] = some(LARGE)
    shared.contents[f"{SESSION}/alf/probe00/c.d.npy"] = some(SMALL)
    share(shared.root, shared.contents)
    site.proxy.forget()
    site.proxy.rules.append(Rule(method, "", fault, skip=skip))
    good(shared.run())
    shared.check()
    assert shared.sent() == LARGE + SMALL


def test_n31_a_commit_whose_answer_was_lost_is_asked_for_and_not_called_a_failure(
    site: Site, client: Client, tmp_path: Path
) -> None:
    """Row N31."""
    shared = Share(site, client, tmp_path / "root", SMALL)
    for number in range(8):
        shared.contents[shared.paths[0]] = some(SMALL + number)
        share(shared.root, shared.contents)
        site.proxy.forget()
        site.proxy.rules.append(Rule("MOVE", "", lose_answer, skip=number))
        good(shared.run())
        shared.check()


def test_n31_a_connection_that_is_always_lost_ends_and_the_next_run_continues(
    site: Site, client: Client, tmp_path: Path
) -> None:
    """Row N31."""
    shared = Share(site, client, tmp_path / "root", SMALL, LARGE)
    refused = Rule("PUT", "/alf/", lose_request, times=float("inf"), skip=1)
    site.proxy.rules.append(refused)
    outcomes = shared.run(parallel=1)
    failed = [outcome for outcome in outcomes.values() if outcome.error is not None]
    assert [type(outcome.error) for outcome in failed] == [Unreachable]
    assert len(site.proxy.asked("PUT", "/alf/")) == 1 + ATTEMPTS
    assert not (site.root / ".one_root").exists()
    shared.check_nothing_wrong()
    site.proxy.forget()
    good(shared.run())
    shared.check()
    assert shared.sent() == LARGE, "what had arrived was not sent again"


@pytest.mark.parametrize("seed", range(3))
def test_n31_where_many_answers_are_lost_each_file_is_there_once_all_the_same(
    site: Site, client: Client, tmp_path: Path, seed: int
) -> None:
    """Row N31."""
    shared = Share(site, client, tmp_path / "root", *[SMALL] * 12, LARGE)
    chance = random.Random(seed)

    def sometimes(asked: Asked) -> Fault | None:
        return chance.choice([lose_answer, lose_request, say(502)]) if chance.random() < 0.1 else None

    site.proxy.chance = sometimes
    for _ in range(10):
        try:
            outcomes = shared.run(parallel=4)
        except OneError:
            continue
        if not any(outcome.error for outcome in outcomes.values()):
            break
    site.proxy.chance = lambda _: None
    good(shared.run())
    repository = shared.repository()
    repository.stored()
    repository.clean(repository.leftovers())
    site.check(shared.contents)


# N32: what arrives is not what was sent, or is refused


@pytest.mark.parametrize("status", [400, 413, 404, 409, 423])
def test_n32_a_file_that_is_refused_fails_by_name_and_the_others_are_sent(
    site: Site, client: Client, tmp_path: Path, status: int
) -> None:
    """Row N32."""
    shared = Share(site, client, tmp_path / "root", SMALL, LARGE)
    site.proxy.rules.append(Rule("PUT", "/alf/", say(status), times=float("inf"), skip=1))
    outcomes = shared.run(parallel=1)
    [failed] = [outcome for outcome in outcomes.values() if outcome.error is not None]
    assert isinstance(failed.error, (RepositoryError, TransferError))
    assert len(site.proxy.asked("PUT", "/alf/")) <= 1 + ATTEMPTS
    assert not (site.root / ".one_root").exists(), "it was not called complete"
    shared.check_nothing_wrong()
    site.proxy.forget()
    good(shared.run())
    shared.check()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("method", ["PUT", "MOVE", "MKCOL", "PROPFIND", "DELETE"])
def test_n32_a_request_that_fails_for_a_moment_is_sent_when_that_has_passed(
    site: Site, client: Client, tmp_path: Path, method: str, status: int
) -> None:
    """Row N32."""
    shared = Share(site, client, tmp_path / "root", LARGE, SMALL)
    site.proxy.rules.append(Rule(method, "", say(status), times=2, skip=1))
    good(shared.run())
    shared.check()


def test_n32_a_slow_server_is_waited_for(site: Site, client: Client, tmp_path: Path) -> None:
    """Row N32."""
    shared = Share(site, client, tmp_path / "root", LARGE, SMALL)
    site.proxy.rules += [Rule("PUT", "", delay(0.5), times=2), Rule("MOVE", "", delay(0.5), times=2)]
    good(shared.run())
    shared.check()


def test_n32_a_server_that_stores_less_than_was_sent_is_told_and_the_next_run_puts_it_right(
    site: Site, client: Client, tmp_path: Path
) -> None:
    """Row N32."""
    shared = Share(site, client, tmp_path / "root", SMALL, LARGE)
    for path in shared.paths:
        site.proxy.forget()
        rule = Rule("PUT", "/alf/", truncate(7), skip=shared.paths.index(path))
        site.proxy.rules.append(rule)
        outcomes = shared.run(parallel=1)
        failed = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
        assert len(failed) == 1, site.proxy.log()
        assert isinstance(failed[0], TransferError)
        assert not (site.root / ".one_root").exists(), "nothing wrong is committed"
        shared.check_nothing_wrong()
        shutil.rmtree(site.root)
    site.proxy.forget()
    good(shared.run())
    shared.check()


def test_n32_a_replacement_that_is_stored_shorter_leaves_readers_the_old_file(
    site: Site, client: Client, tmp_path: Path
) -> None:
    """Row N32."""
    shared = Share(site, client, tmp_path / "root", SMALL, LARGE)
    good(shared.run())
    old = dict(shared.contents)
    shared.contents[shared.paths[1]] = some(LARGE)
    share(shared.root, shared.contents)
    site.proxy.rules.append(Rule("PUT", "/alf/", truncate(7)))
    outcomes = shared.run(parallel=1)
    assert sum(outcome.error is not None for outcome in outcomes.values()) == 1
    assert site.files() == old
    assert site.index() == sorted(old)
    site.proxy.forget()
    good(shared.run())
    shared.check()


@pytest.mark.parametrize("fault", [truncate(3), pretend(201)], ids=["shorter", "pretended"])
def test_n32_an_index_that_is_not_stored_as_it_was_sent_is_told_and_readers_see_the_old_one(
    site: Site, client: Client, tmp_path: Path, fault: Fault
) -> None:
    """Row N32."""
    shared = Share(site, client, tmp_path / "root", SMALL)
    good(shared.run())
    before = (site.root / ".one_root").read_bytes()
    shared.contents[f"{SESSION}/alf/c.d.npy"] = some(SMALL)
    share(shared.root, shared.contents)
    site.proxy.rules.append(Rule("PUT", "", fault, times=9, slashes=2))
    try:
        outcomes = shared.run()
        assert any(outcome.error is not None for outcome in outcomes.values()), site.proxy.log()
    except OneError:
        pass
    assert (site.root / ".one_root").read_bytes() == before
    site.proxy.forget()
    good(shared.run())
    repository = shared.repository()
    repository.stored()
    repository.clean(repository.leftovers())
    shared.check()


@pytest.mark.parametrize("method", ["PUT", "MOVE"])
def test_n32_a_server_that_says_it_is_done_and_does_nothing_is_not_believed(
    site: Site, client: Client, tmp_path: Path, method: str
) -> None:
    """Row N32."""
    shared = Share(site, client, tmp_path / "root", SMALL, LARGE)
    site.proxy.rules.append(Rule(method, "/alf/", pretend(201)))
    outcomes = shared.run(parallel=1)
    failed = [outcome for outcome in outcomes.values() if outcome.error is not None]
    if method == "PUT":  # renaming finds nothing there, and it is sent again
        assert failed == [], site.proxy.log()
    else:
        assert len(failed) == 1, site.proxy.log()
        assert not (site.root / ".one_root").exists()
    site.proxy.forget()
    good(shared.run())
    repository = shared.repository()
    repository.stored()
    repository.clean(repository.leftovers())
    shared.check()


def test_n32_damage_on_the_way_is_found_by_reading_back(site: Site, client: Client, tmp_path: Path) -> None:
    """Row N32. Nothing but the content tells, which only ``--verify`` asks for."""
    if "--verify" not in run("upload", "--help").out:
        pytest.skip("there is no --verify yet")
    files = {f"{SESSION}/alf/a{number}.b.npy": some(SMALL) for number in range(3)}
    site.add()
    root = share(tmp_path / "root", files)
    site.proxy.rules.append(Rule("PUT", "/alf/", damage))
    found = run("upload", root, "--verify")
    assert found.code != 0, found.err
    assert any(path in found.err for path in files)
    again = run("upload", root, "--verify")
    assert again.code == 0, again.err
    site.check(files)


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


@pytest.mark.parametrize("change", [grow, shrink, rewrite])
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "replaced"])
def test_n32_a_source_that_changes_while_it_is_sent_fails_by_name(
    site: Site, client: Client, tmp_path: Path, change: Callable[[Path], None], is_new: bool
) -> None:
    """Row N32."""
    shared = Share(site, client, tmp_path / "root", LARGE, SMALL)
    [changing, other] = shared.paths
    if not is_new:
        good(shared.run())
        shared.contents = {path: some(len(content)) for path, content in shared.contents.items()}
        share(shared.root, shared.contents)
    old = site.files()
    outcomes = shared.run(Meddling(changing, lambda: change(tmp_path / "root" / changing)))
    error = outcomes[changing].error
    assert isinstance(error, TransferError), error
    assert "changed" in str(error)
    assert "again" in error.hint
    assert outcomes[other].error is None
    assert site.files().get(changing) == old.get(changing), "nothing of it has its name"
    shared.contents[changing] = (tmp_path / "root" / changing).read_bytes()
    good(shared.run())
    shared.check()


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_n32_a_source_that_cannot_be_read_to_its_end_fails_by_name(
    site: Site, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Row N32."""

    class Broken(localfile.Reading):
        """A file on a disk that has lost its last block."""

        def read(self, count: int | None = -1, /) -> bytes:
            data = super().read(-1 if count is None else count)
            if "a00" in str(self.name) and self.tell() >= size:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return data

    shared = Share(site, client, tmp_path / "root", size, size)
    with monkeypatch.context() as broken:
        broken.setattr(localfile, "Reading", Broken)
        outcomes = shared.run()
    error = outcomes[shared.paths[0]].error
    assert isinstance(error, OneError)
    assert "a00" in error.message
    assert outcomes[shared.paths[1]].error is None
    assert shared.paths[0] not in site.files()
    good(shared.run())
    repository = shared.repository()
    repository.stored()
    repository.clean(repository.leftovers())
    shared.check()


# N33: no room, a name that is taken, a conflict: nothing is repeated


def test_n33_a_quota_that_is_used_up_is_told_and_not_tried_again(site: Site, client: Client, tmp_path: Path) -> None:
    """Row N33."""
    shared = Share(site, client, tmp_path / "root", *[SMALL] * 5)
    site.proxy.rules.append(Rule("PUT", "/alf/", say(507), times=float("inf"), skip=2))
    outcomes = shared.run(parallel=1)
    failed = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
    assert len(failed) == 3
    for error in failed:
        assert isinstance(error, QuotaExceeded), error
    assert len(site.proxy.asked("PUT", "/alf/")) == 3, "not again, and none once it is known to be full"
    shared.check_nothing_wrong()
    site.proxy.forget()
    good(shared.run())
    shared.check()


def test_n33_the_command_lists_what_had_no_room_and_ends_with_1(site: Site, tmp_path: Path) -> None:
    """Row N33."""
    files = {f"{SESSION}/alf/a{number}.b.npy": some(SMALL) for number in range(5)}
    site.add()
    site.proxy.rules.append(Rule("PUT", "/alf/", say(507), times=float("inf"), skip=2))
    ended = run("upload", share(tmp_path / "root", files), "-j", 1, "--json")
    assert ended.code == 1, ended.err
    failed = {row["path"] for row in ended.rows if row.get("status") == "error"}
    assert len(failed & set(files)) == 3
    site.proxy.forget()
    assert run("upload", tmp_path / "root").code == 0
    site.check(files)


@pytest.mark.parametrize("status", [412, 423])
def test_n33_a_name_that_is_taken_meanwhile_is_told_and_not_touched(
    site: Site, client: Client, tmp_path: Path, status: int
) -> None:
    """Row N33."""
    shared = Share(site, client, tmp_path / "root", SMALL, SMALL)
    taken = shared.paths[0]
    repository = shared.repository()
    repository.stored()
    share(site.root, {taken: b"theirs"})
    for found in site.server.root.rglob("*"):
        found.chmod(0o777 if found.is_dir() else 0o666)
    step = shared.steps[0]
    with pytest.raises(RepositoryError) as caught:
        repository.put(step.entry, step.source, lambda _: None)
    assert taken in str(caught.value)
    assert site.files() == {taken: b"theirs"}
    site.proxy.rules.append(Rule("MOVE", "/alf/", say(status), times=float("inf")))
    other = shared.steps[1]
    with pytest.raises(RepositoryError):
        shared.repository().put(other.entry, other.source, lambda _: None)
    assert len(site.proxy.asked("MOVE", "/alf/")) <= 1 + ATTEMPTS


def test_n33_a_conflict_with_a_commit_of_somebody_else_is_told_and_run_again_it_is_well(
    site: Site, client: Client, tmp_path: Path
) -> None:
    """Row N33."""
    ours = Share(site, client, tmp_path / "ours", SMALL)
    repository = ours.repository()
    stored = repository.stored()
    theirs = {"lab/Subjects/Forssmann/2017-11-01/002/alf/c.d.npy": some(SMALL)}
    site.add()
    other = run(
        "upload", share(tmp_path / "theirs", theirs), env={"ONELIGHT_CONFIG_DIR": os.environ["ONELIGHT_CONFIG_DIR"]}
    )
    assert other.code == 0, other.err
    outcomes, index = upload(ours.steps, repository, stored, client)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        assert index is None
        assert "again" in str(failed[0].error)
        assert site.index() == sorted(theirs), "what they committed is there"
        assert site.files()[next(iter(theirs))] == theirs[next(iter(theirs))]
        good(ours.run())
    site.check({**ours.contents, **theirs})


def test_n33_a_mark_of_a_process_that_has_died_is_taken_away(site: Site, tmp_path: Path) -> None:
    """Row N33."""
    files = {f"{SESSION}/alf/a{number}.b.npy": some(SMALL) for number in range(3)}
    site.add()
    root = share(tmp_path / "root", files)
    hold = Hold()
    site.proxy.rules.append(Rule("MOVE", "", hold, slashes=2))
    process = begin("upload", root)
    assert hold.there.wait(60), site.proxy.log()
    process.kill()
    process.communicate()
    hold.go_on.set()
    site.proxy.forget()
    assert [name for name in site.leftovers() if "lock" in name], site.leftovers()
    began = time.monotonic()
    ended = run("upload", root)
    assert ended.code == 0, ended.err
    assert time.monotonic() - began < 30
    site.check(files)
