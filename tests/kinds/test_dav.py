"""A repository on a web server that takes files by WebDAV: nginx, Apache, WsgiDAV and rclone, as they are installed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import contract
import pytest
from contract import CLUSTERS, ELSEWHERE, ODD, OTHER, SESSION, TIMES, WriteContract, some
from dav_servers import (
    LOGIN,
    PASSWORD,
    SERVERS,
    TABLES,
    FaultyProxy,
    Hold,
    Rule,
    Served,
    Site,
    Start,
    apache,
    begin,
    empty,
    end,
    fill,
    held,
    nginx,
    place,
    rclone,
    run,
    share,
    wsgidav,
)

from onelight.client import Client
from onelight.errors import (
    AccessDenied,
    ChecksumMismatch,
    OneError,
    ReadOnlyRepository,
    RepositoryError,
    SizeMismatch,
)
from onelight.index import INDEX_NAME, Entry, Index
from onelight.kinds.http import HttpRepository
from onelight.kinds.tree import part_beside
from onelight.repository import WritableRepository

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[Start], Served]]:
    """Return a function that starts a server, or gives the one that runs already."""
    started: dict[Start, Served] = {}
    with contextlib.ExitStack() as running:

        def serve(start: Start) -> Served:
            if start not in started:
                started[start] = running.enter_context(start(running.enter_context(place())))
            return started[start]

        yield serve


class DavContract(WriteContract):
    """What every server must give that knows WebDAV."""

    kind = "http"
    start: Start

    @pytest.fixture
    def repository(self, servers: Callable[[Start], Served], client: Client) -> Iterator[HttpRepository]:
        server = servers(self.start)
        empty(server.root)
        (server.root / "data").mkdir()
        (server.root / "data").chmod(0o777)
        self.client = client
        with FaultyProxy(server.url) as proxy:
            self.site = Site(server, proxy)
            yield self.another()

    def another(self) -> HttpRepository:
        return HttpRepository("web", self.site.url, self.client)

    def fill(self, files: Mapping[str, bytes]) -> None:
        rows = "".join(f"{path}\n" for path in sorted(files))
        fill(self.site.root, {**files, INDEX_NAME: rows.encode()})

    def there(self) -> dict[str, bytes]:
        return self.site.files()

    def requests(self) -> int:
        return len(self.site.proxy.seen)

    def changes(self) -> int:
        return len(self.site.proxy.changes())

    def begin(self, path: str, content: bytes) -> None:
        target = self.site.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.site.root / part_beside(path)).write_bytes(content[:1_000_000])
        for found in self.site.root.rglob("*"):
            found.chmod(0o777 if found.is_dir() else 0o666)


class TestNginx(DavContract):
    start = staticmethod(nginx)


class TestApache(DavContract):
    start = staticmethod(apache)


class TestWsgidav(DavContract):
    start = staticmethod(wsgidav)

    def test_odd_names_are_put_as_they_are(
        self, repository: WritableRepository, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """But for a semicolon: WsgiDAV takes what follows it in a ``Destination`` for no part of the name."""
        monkeypatch.setattr(contract, "ODD", [path for path in ODD if ";" not in path])
        super().test_odd_names_are_put_as_they_are(repository, client, tmp_path)

    def test_a_semicolon_that_gets_lost_is_told(self, repository: WritableRepository, tmp_path: Path) -> None:
        [path] = [path for path in ODD if ";" in path]
        with pytest.raises(RepositoryError) as caught:
            self.share(repository, tmp_path, {path: b"content"})
        assert path in str(caught.value)
        assert INDEX_NAME not in held(self.site.root), "it was not committed"


class TestRclone(DavContract):
    start = staticmethod(rclone)


# Over all servers


@pytest.fixture(params=SERVERS, ids=lambda start: start.__name__)
def site(servers: Callable[[Start], Served], request: pytest.FixtureRequest) -> Iterator[Site]:
    """A folder that is not there yet, on each of the servers."""
    server = servers(request.param)
    empty(server.root)
    with FaultyProxy(server.url) as proxy:
        yield Site(server, proxy, start=request.param)


@contextlib.contextmanager
def site_of(start: Start, **options: object) -> Iterator[Site]:
    """A server that this test alone uses."""
    with place() as root, start(root, **options) as served, FaultyProxy(served.url) as proxy:
        yield Site(served, proxy)


def some_files(session: str = SESSION, count: int = 6) -> dict[str, bytes]:
    sizes = [3_000, 1_700_000, 1, 40_000, 300_000, 0]
    return {f"{session}/alf/probe{n % 2:02}/spikes.a{n:02}.npy": some(sizes[n % 6]) for n in range(count)}


def seen_by_a_reader(site: Site, folder: Path, *, told: list[str] | None = None) -> dict[str, bytes]:
    """Return what somebody reads who knows the address only, on another computer so to speak.

    What does not have the size or md5 that the repository states is an error; its path goes into ``told``.
    """
    from onelight.transfer import Ledger, download, plan_download

    with Client() as client:
        repository = HttpRepository("read", site.url, client)
        ledger = Ledger(folder)
        outcomes = download(plan_download(repository.refresh(), folder, ledger), repository, client, folder, ledger)
        for outcome in outcomes:
            if told is not None and isinstance(outcome.error, (SizeMismatch, ChecksumMismatch)):
                told.append(outcome.path)
            else:
                assert outcome.error is None, outcome.error
        return {outcome.path: outcome.target.read_bytes() for outcome in outcomes if outcome.error is None}


def test_a_folder_that_is_not_there_yet_becomes_a_repository_and_is_read_again(site: Site, tmp_path: Path) -> None:
    files = {**some_files(), **some_files(OTHER, 2)}
    site.add()
    sent = run("upload", share(tmp_path / "root", files))
    assert (sent.code, sorted(sent.out.split())) == (0, sorted(files)), sent.err + site.proxy.log()
    site.check(files)
    assert seen_by_a_reader(site, tmp_path / "to") == files
    before = len(site.proxy.changes())
    again = run("upload", tmp_path / "root")
    assert (again.code, again.out) == (0, ""), again.err
    assert len(site.proxy.changes()) == before, "nothing is changed where nothing is new"


def test_the_top_of_a_server_can_be_a_repository(site: Site, tmp_path: Path) -> None:
    site.base = ""
    files = some_files()
    site.add()
    sent = run("upload", share(tmp_path / "root", files))
    assert sent.code == 0, sent.err
    assert site.files() == files
    assert seen_by_a_reader(site, tmp_path / "to") == files


def test_names_with_odd_characters_arrive_as_they_are(site: Site, tmp_path: Path) -> None:
    site.base = "my data #1"
    files = {path: path.encode() for path in ODD if site.start is not wsgidav or ";" not in path}
    site.add()
    sent = run("upload", share(tmp_path / "root", files))
    assert sent.code == 0, sent.err
    site.check(files)
    before = len(site.proxy.changes())
    assert run("upload", tmp_path / "root").code == 0
    assert len(site.proxy.changes()) == before


def test_what_changed_is_replaced_and_what_went_is_removed_if_that_is_wanted(site: Site, tmp_path: Path) -> None:
    files = some_files()
    changed, gone, new = list(files)[1], list(files)[3], f"{OTHER}/alf/trials.intervals.npy"
    site.add()
    root = share(tmp_path / "root", files)
    assert run("upload", root).code == 0
    files[changed] = some(2_000_000)
    files[new] = some()
    (root / gone).unlink()
    share(root, {changed: files[changed], new: files[new]})
    planned = run("upload", root, "--delete", "--dry-run")
    assert planned.code == 0, planned.err
    kept = dict(files)
    del files[gone]
    assert run("upload", root).code == 0
    site.check(kept)
    removed = run("upload", root, "--delete", "--yes")
    assert removed.code == 0, removed.err
    site.check(files)
    assert seen_by_a_reader(site, tmp_path / "to") == files


def test_a_dry_run_says_what_would_be_sent_and_changes_nothing(site: Site, tmp_path: Path) -> None:
    files = some_files()
    site.add()
    planned = run("upload", share(tmp_path / "root", files), "--dry-run")
    assert planned.code == 0, planned.err
    assert sorted(planned.out.split()) == sorted(files)
    assert "would send 6 of 6 files" in planned.err
    assert site.proxy.changes() == []
    assert not site.root.exists()


def test_status_is_the_proof_that_nothing_differs(site: Site, tmp_path: Path) -> None:
    files = some_files()
    site.add()
    root = share(tmp_path / "root", files)
    assert run("status", root).code != 0, "nothing is there yet"
    assert run("upload", root).code == 0
    proof = run("status", root)
    assert proof.code == 0, proof.out + proof.err
    changed = next(iter(files))
    share(root, {changed: some()})
    assert run("status", root).code == 1
    share(root, {changed: files[changed]})
    target = site.root / changed
    target.write_bytes(b"somebody else" + files[changed])
    assert run("status", root).code == 1, "somebody has changed the file on the server"


def test_what_somebody_changed_on_the_server_is_sent_again(site: Site, tmp_path: Path) -> None:
    files = some_files()
    site.add()
    root = share(tmp_path / "root", files)
    assert run("upload", root).code == 0
    damaged, gone = list(files)[1], list(files)[3]
    (site.root / damaged).write_bytes(files[damaged][:-1])
    (site.root / gone).unlink()
    again = run("upload", root)
    assert again.code == 0, again.err
    assert sorted(again.out.split()) == sorted([damaged, gone])
    site.check(files)


def test_verify_reads_back_what_is_there(site: Site, tmp_path: Path) -> None:
    if "--verify" not in run("upload", "--help").out:
        pytest.skip("there is no --verify yet")
    files = some_files()
    site.add()
    root = share(tmp_path / "root", files)
    sent = run("upload", root, "--verify")
    assert sent.code == 0, sent.err
    asked = {one.path.removeprefix("/data/") for one in site.proxy.asked("GET")}
    assert {path for path, content in files.items() if content} <= asked
    site.check(files)


# Killed


def kill_at(rule: Rule, hold: Hold, site: Site, root: Path) -> bool:
    """Run an upload, kill it when the rule fits, and let go on what was on its way; False if it never came to that."""
    site.proxy.rules[:] = [rule]
    process = begin("upload", root, "-j", 3)
    until = time.monotonic() + 60
    while not hold.there.is_set() and process.poll() is None:
        assert time.monotonic() < until, site.proxy.log()
        time.sleep(0.01)
    is_there = hold.there.is_set()
    process.kill()
    process.communicate()
    if not hold.done:  # what was not passed on is not passed on any more: its client is gone, as the proxy sees
        time.sleep(0.2)
    hold.go_on.set()
    site.proxy.rules.clear()
    return is_there


# What a run does, in order: each is killed there, and the next goes on. Two slashes: at the top of the repository.
MOMENTS: list[tuple[str, str, int, str, int]] = [
    ("MKCOL", "probe02", 0, "before", 0),
    ("MKCOL", "probe02", 0, "answer", 0),
    ("PUT", "", 0, "before", 0),
    ("PUT", "", 0, "half", 1),
    ("PUT", "", 0, "answer", 1),
    ("MOVE", "", 0, "before", 0),
    ("MOVE", "", 0, "answer", 1),
    ("MKCOL", "one_root", 0, "before", 0),
    ("MKCOL", "one_root", 0, "answer", 0),
    ("PUT", "one_root", 0, "answer", 0),
    ("PUT", "", 2, "half", 0),
    ("PUT", "", 2, "answer", 2),
    ("MOVE", "/alf/", 0, "answer", 0),
    ("MOVE", "", 2, "before", 0),
    ("MOVE", "", 2, "answer", 0),
    ("MOVE", "", 2, "before", 2),
    ("MOVE", "", 2, "answer", 0),
    ("DELETE", "", 0, "before", 0),
    ("DELETE", "", 0, "answer", 0),
]


@posix
def test_killed_at_every_moment_and_run_again_an_upload_ends_right(site: Site, tmp_path: Path) -> None:
    files = {**some_files(count=12), f"{SESSION}/alf/probe02/spikes.new.npy": some()}
    old = {next(iter(files)): b"the old content", list(files)[1]: some(2_000_000)}
    site.add()
    root = share(tmp_path / "root", old)
    assert run("upload", root).code == 0
    share(root, files)
    site.proxy.forget()
    reached = []
    for number, (method, part, slashes, when, skip) in enumerate(MOMENTS):
        hold = Hold(after=500 if when == "half" else None, done=when == "answer")
        if kill_at(Rule(method, part, hold, skip=skip, slashes=slashes), hold, site, root):
            reached.append((method, part, slashes, when))
        site.check_nothing_wrong(old, files)
        told: list[str] = []
        reader = seen_by_a_reader(site, tmp_path / f"to{number}", told=told)
        if not site.proxy.asked("MKCOL", "one_root"):
            assert (reader, told) == (old, []), "no reader sees anything of it before the commit"
        # A commit renames one file after the other: what of it is not what the index says is told, and not given.
        assert set(told) <= set(old)
        for path, content in reader.items():
            assert content in (old.get(path), files[path]), "readers are given the old file or the new one"
    assert len(reached) >= 6, reached
    last = run("upload", root)
    assert last.code == 0, last.err + site.proxy.log()
    cleaned = run("upload", root, "--clean")
    assert cleaned.code == 0, cleaned.err
    site.check(files)


@posix
def test_what_arrived_before_the_kill_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    files = some_files(count=12)
    site.add()
    root = share(tmp_path / "root", files)
    hold = Hold()
    assert kill_at(Rule("PUT", "", hold, skip=9), hold, site, root)
    time.sleep(0.2)
    first = sum(one.length for one in site.proxy.arrived("PUT"))
    site.proxy.forget()
    assert run("upload", root).code == 0
    second = sum(one.length for one in site.proxy.arrived("PUT", "/alf/"))
    total = sum(map(len, files.values()))
    assert first > 0
    assert second < total, f"{second} of {total} bytes after {first}"
    run("upload", root, "--clean")
    site.check(files)


# Several at once


def test_two_uploads_of_different_sessions_at_once_lose_nothing(site: Site, tmp_path: Path) -> None:
    site.add()
    files = {}
    roots = []
    for number in range(2):
        mine = some_files(f"lab/Subjects/Cori/2016-12-1{number}/001", 8)
        files |= mine
        roots.append(share(tmp_path / f"root{number}", mine))
    ended = [end(process) for process in [begin("upload", root, "--json") for root in roots]]
    assert {one.code for one in ended} <= {0, 1, 5}, [one.err for one in ended]
    assert any(one.code == 0 for one in ended), [one.err for one in ended]
    for one, root in zip(ended, roots, strict=True):
        if one.code:
            assert run("upload", root).code == 0
    site.check(files)
    assert seen_by_a_reader(site, tmp_path / "to") == files


def test_two_uploads_of_the_same_session_at_once_end_as_one(site: Site, tmp_path: Path) -> None:
    site.add()
    files = some_files(count=8)
    roots = [share(tmp_path / f"root{number}", files) for number in range(2)]
    ended = [end(process) for process in [begin("upload", root) for root in roots]]
    assert {one.code for one in ended} <= {0, 1, 5}, [one.err for one in ended]
    for root in roots:
        again = run("upload", root, "--clean")
        assert again.code == 0, again.err
    site.check(files)


def test_two_uploads_of_different_content_at_once_are_not_both_right(site: Site, tmp_path: Path) -> None:
    site.add()
    ours = some_files(count=6)
    contested = list(ours)[1]
    theirs = {contested: some(1_600_000), f"{OTHER}/alf/a.b.npy": some()}
    roots = [share(tmp_path / "ours", ours), share(tmp_path / "theirs", theirs)]
    hold = Hold()
    # The second has looked at what is there before the first commits.
    site.proxy.rules.append(Rule("PUT", "", hold))
    first = begin("upload", roots[0])
    assert hold.there.wait(60)
    second = begin("upload", roots[1])
    time.sleep(1)
    hold.go_on.set()
    ended = [end(first), end(second)]
    assert {one.code for one in ended} <= {0, 1, 5, 6}, [one.err for one in ended]
    assert any(one.code == 0 for one in ended), [one.err for one in ended]
    site.check_nothing_wrong(ours, theirs)
    for one, root in zip(ended, roots, strict=True):
        if one.code:
            assert contested in one.err or "again" in one.err or "meanwhile" in one.err, one.err
            again = run("upload", root)
            assert again.code == 0, again.err
    run("upload", roots[0], "--clean")
    both = {**theirs, **ours}
    assert site.files() == both
    assert site.index() == sorted(both)


# What a server does not do


def test_a_server_that_does_not_rename_is_written_in_place_with_a_warning(tmp_path: Path) -> None:
    with site_of(nginx, moves=False) as site:
        files = some_files()
        site.add()
        root = share(tmp_path / "root", files)
        sent = run("upload", root)
        assert sent.code == 0, sent.err + site.proxy.log()
        assert "rename" in sent.err or "MOVE" in sent.err, sent.err
        site.check(files)
        files[list(files)[1]] = some(500_000)
        share(root, files)
        assert run("upload", root).code == 0
        site.check(files)
        assert seen_by_a_reader(site, tmp_path / "to") == files


@pytest.mark.parametrize("start", SERVERS, ids=lambda start: start.__name__)
def test_a_server_that_only_reads_is_told_with_the_way_out(start: Start, tmp_path: Path) -> None:
    with site_of(start, writes=False) as site:
        there = some_files(count=2)
        fill(site.server.root, {f"data/{path}": content for path, content in there.items()})
        (site.root / INDEX_NAME).write_text("".join(f"{path}\n" for path in sorted(there)))
        site.add()
        before = held(site.server.root)
        refused = run("upload", share(tmp_path / "root", some_files(OTHER)))
        assert (refused.code, refused.out) == (4, ""), refused.err
        # Who answers 403 may let in somebody else; who answers 405 lets in nobody.
        assert "onelight index" in refused.err or "403" in refused.err or "refuse" in refused.err, refused.err
        assert held(site.server.root) == before
        assert seen_by_a_reader(site, tmp_path / "to") == there, "it is read as ever"


def test_a_server_that_lists_nothing_is_told_with_the_way_out(tmp_path: Path) -> None:
    with site_of(nginx, lists=False) as site:
        site.add()
        refused = run("upload", share(tmp_path / "root", some_files()))
        assert refused.code == 4, refused.err
        assert "Traceback" not in refused.err
        assert site.server.root.joinpath("data").exists() is False or site.files() == {}


def test_a_plain_web_server_is_told_with_the_way_out(
    serve: Callable[[Path], object], client: Client, tmp_path: Path
) -> None:
    (tmp_path / "www").mkdir()
    server = serve(tmp_path / "www")
    repository = HttpRepository("web", server.url, client)  # type: ignore[attr-defined]
    source = tmp_path / "source"
    source.write_bytes(b"content")
    entry = Entry(TIMES, size=7, md5=hashlib.md5(b"content").hexdigest())
    for action in (repository.stored, repository.room, lambda: repository.put(entry, source, lambda _: None)):
        with pytest.raises(ReadOnlyRepository) as caught:
            action()
        assert "onelight index" in caught.value.hint


@pytest.mark.parametrize("start", SERVERS, ids=lambda start: start.__name__)
def test_a_password_is_asked_for_and_a_wrong_one_changes_nothing(start: Start, tmp_path: Path) -> None:
    with site_of(start, login=LOGIN, password=PASSWORD) as site:
        files = some_files()
        root = share(tmp_path / "root", files)
        for options in ({}, {"login": LOGIN, "password": "wrong-canary-1"}, {"login": "x", "password": PASSWORD}):
            site.add(**options)
            refused = run("upload", root)
            assert (refused.code, refused.out) == (4, ""), refused.err
            assert "canary" not in refused.err
            assert held(site.server.root) == {}
        site.add(login=LOGIN, password=PASSWORD)
        sent = run("upload", root)
        assert sent.code == 0, sent.err
        assert PASSWORD not in sent.err + sent.out
        site.check(files)


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts as root")
@pytest.mark.parametrize("start", SERVERS, ids=lambda start: start.__name__)
def test_a_full_disk_of_the_server_is_told_and_no_half_file_has_a_name(start: Start, tmp_path: Path) -> None:
    with place() as root:
        command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "tmpfs", str(root)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("nothing can be mounted here")
        try:
            with start(root) as served, FaultyProxy(served.url) as proxy:
                site = Site(served, proxy)
                site.add()
                small = some_files(count=2)
                assert run("upload", share(tmp_path / "root", small)).code == 0
                large = {f"{OTHER}/alf/a{number}.b.npy": some(1_500_000) for number in range(3)}
                refused = run("upload", share(tmp_path / "root", large), "--json")
                assert refused.code in (1, 5), refused.err
                failed = {row.get("path") for row in refused.rows if row.get("status") == "error"}
                is_known = "repository has room for" in refused.err  # WsgiDAV states how much
                assert is_known or failed & set(large), refused.out + refused.err
                assert site.index() == sorted(small)
                there = site.files()
                for path, content in large.items():
                    assert there.get(path, content) == content, "a half file has a name"
                assert seen_by_a_reader(site, tmp_path / "to") == small
                subprocess.run(["mount", "-o", "remount,size=40m", str(root)], check=True)
                again = run("upload", tmp_path / "root", "--clean")
                assert again.code == 0, again.err
                site.check({**small, **large})
        finally:
            subprocess.run(["umount", "-l", str(root)], check=True)


# The repository as it is used from Python


def entry_of(path: str, content: bytes, folder: Path) -> tuple[Entry, Path]:
    source = folder / hashlib.md5(path.encode()).hexdigest()
    source.write_bytes(content)
    return Entry(path, size=len(content), md5=hashlib.md5(content).hexdigest()), source


def put(repository: WritableRepository, path: str, content: bytes, folder: Path) -> Entry:
    return repository.put(*entry_of(path, content, folder), lambda _: None)


def test_what_another_computer_has_sent_is_known_by_the_tables_or_read_back(
    site: Site, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = some(2_500_000)
    first = HttpRepository("web", site.url, client)
    first.write_index(Index([put(first, TIMES, content, tmp_path)]))
    monkeypatch.setenv("ONELIGHT_CONFIG_DIR", str(tmp_path / "another computer"))
    other = HttpRepository("web", site.url, client)
    assert [entry.path for entry in other.stored()] == [TIMES]
    before = len(site.proxy.asked("PUT"))
    entry = put(other, TIMES, content, tmp_path)
    assert entry.md5 == hashlib.md5(content).hexdigest()
    assert len(site.proxy.asked("PUT")) == before, "it is not sent again"


def test_what_two_writers_commit_one_after_the_other_is_all_there(site: Site, client: Client, tmp_path: Path) -> None:
    """Each has looked before the other committed."""
    first, second = (HttpRepository("web", site.url, client) for _ in range(2))
    first.stored(), second.stored()
    one, two = put(first, TIMES, b"one", tmp_path), put(second, ELSEWHERE, b"two", tmp_path)
    first.write_index(Index([one]))
    with contextlib.suppress(OneError):
        second.write_index(Index([two]))
    if site.index() != sorted([TIMES, ELSEWHERE]):
        again = HttpRepository("web", site.url, client)
        stored = {entry.path: entry for entry in again.stored()}
        again.write_index(Index({**stored, TIMES: one, ELSEWHERE: two}.values()))
    site.check({TIMES: b"one", ELSEWHERE: b"two"})


def test_what_broken_runs_have_left_is_named_and_removed(site: Site, client: Client, tmp_path: Path) -> None:
    repository = HttpRepository("web", site.url, client)
    repository.write_index(Index([put(repository, TIMES, b"whole", tmp_path)]))
    broken = (site.root / CLUSTERS).parent
    broken.mkdir(parents=True)
    (site.root / (part := part_beside(CLUSTERS))).write_bytes(b"half")
    (broken / ".hidden.by.somebody").write_bytes(b"theirs")
    for found in site.root.rglob("*"):
        found.chmod(0o777 if found.is_dir() else 0o666)
    another = HttpRepository("web", site.url, client)
    another.stored()
    assert [entry.path for entry in another.stored()] == [TIMES]
    left = another.leftovers()
    assert [one.key for one in left] == [part]
    another.clean(left)
    there = {name.rpartition("/")[2] for name in held(site.root)}
    assert part.rpartition("/")[2] not in there
    assert ".hidden.by.somebody" in there, "what is not ours stays"
    assert {"spikes.times.npy", INDEX_NAME} <= there


def test_the_tables_beside_the_index_say_what_is_in_it(site: Site, client: Client, tmp_path: Path) -> None:
    repository = HttpRepository("web", site.url, client)
    content = some(10_000)
    repository.write_index(Index([put(repository, TIMES, content, tmp_path)]))
    assert {name for name in TABLES if (site.root / name).exists()} == set(TABLES)
    with Client() as other:
        [entry] = HttpRepository("read", site.url, other).refresh()
    assert (entry.size, entry.md5) == (len(content), hashlib.md5(content).hexdigest())


def test_a_password_that_is_taken_away_meanwhile_is_an_error_of_access(client: Client, tmp_path: Path) -> None:
    with site_of(apache, login=LOGIN, password=PASSWORD) as site:
        repository = HttpRepository("web", site.url, client, login=LOGIN, password=PASSWORD)
        put(repository, TIMES, b"one", tmp_path)
        (site.server.home / "users").write_text("")
        with pytest.raises(AccessDenied):
            put(repository, ELSEWHERE, b"two", tmp_path)


def test_room_is_what_the_server_says(site: Site, client: Client) -> None:
    room = HttpRepository("web", site.url, client).room()
    assert room.bytes_left is None or 0 < room.bytes_left <= shutil.disk_usage(site.server.root).total
