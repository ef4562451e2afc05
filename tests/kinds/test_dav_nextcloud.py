"""A repository on Nextcloud or ownCloud: large files go in pieces, and checksums are compared by the server."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from contract import CLUSTERS, SESSION, TIMES, WriteContract, some
from dav_servers import (
    CHANGING,
    CHECKOUT,
    Fault,
    FaultyProxy,
    Hold,
    Rule,
    cut,
    end,
    lose_answer,
    lose_request,
    run,
    say,
    share,
    truncate,
)
from nextcloud import PASSWORD, USER, Nextcloud

from onelight.client import Client
from onelight.config import Config, Settings
from onelight.errors import AccessDenied, OneError, QuotaExceeded
from onelight.index import INDEX_NAME, Entry, Index
from onelight.kinds import dav
from onelight.kinds.http import HttpRepository
from onelight.kinds.tree import is_part, part_beside

PIECE = 5_000_000
LARGE = 3 * PIECE + 1_234_567  # four pieces
#: The program with a small limit, for a process that can be killed.
SMALL_PIECES = f"""
import onelight.kinds.dav as dav
dav.CHUNKED_ABOVE, dav.CHUNK = {PIECE}, {PIECE}
from onelight.cli import main
main()
"""


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dav, "CHUNKED_ABOVE", PIECE)
    monkeypatch.setattr(dav, "CHUNK", PIECE)


class Cloud:
    """A folder on a cloud behind a proxy."""

    def __init__(self, cloud: Nextcloud, proxy: FaultyProxy, client: Client) -> None:
        self.cloud, self.proxy, self.client = cloud, proxy, client

    @property
    def url(self) -> str:
        return f"{self.proxy.url}/data"

    def repository(self, *, password: str = PASSWORD) -> HttpRepository:
        return HttpRepository("web", self.url, self.client, login=USER, password=password)

    def add(self) -> None:
        config = Config.load()
        config.add(Settings("web", "http", {"base_url": self.url, "login": USER, "password": PASSWORD}))
        config.choose("web")

    def files(self) -> dict[str, bytes]:
        """Return what it holds but for the index and its tables; what is hidden, too."""
        found = {path.removeprefix("data/"): content for path, content in self.cloud.files().items()}
        return {path: content for path, content in found.items() if path != INDEX_NAME and not path.endswith(".pqt")}

    def pieces(self) -> list[str]:
        """Return the pieces that the server was given, in order."""
        found = [one for one in self.proxy.arrived("PUT", "/uploads/") if one.status < 300]
        return [one.path.rpartition("/")[2] for one in found]


@pytest.fixture(params=[False, True], ids=["nextcloud", "owncloud"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path, client: Client) -> Iterator[Cloud]:
    with Nextcloud(tmp_path / "cloud", verifies=request.param) as running, FaultyProxy(running.url) as proxy:
        yield Cloud(running, proxy, client)


class TestNextcloud(WriteContract):
    kind = "http"
    verifies = False

    @pytest.fixture
    def repository(self, tmp_path: Path, client: Client) -> Iterator[HttpRepository]:
        running = Nextcloud(tmp_path / "cloud", verifies=self.verifies)
        with running, FaultyProxy(running.url) as proxy:
            self.site = Cloud(running, proxy, client)
            yield self.another()

    def another(self) -> HttpRepository:
        return self.site.repository()

    def fill(self, files: Mapping[str, bytes]) -> None:
        for path in list(self.site.cloud.files()):
            (self.site.cloud.root / path).unlink()
        rows = "".join(f"{path}\n" for path in sorted(files))
        for path, content in {**files, INDEX_NAME: rows.encode()}.items():
            self.site.cloud.put(f"data/{path}", content)

    def there(self) -> dict[str, bytes]:
        return {path: content for path, content in self.site.files().items() if not is_part(path)}

    def requests(self) -> int:
        return len(self.site.proxy.seen)

    def changes(self) -> int:
        return sum(one.method in CHANGING for one in list(self.site.proxy.seen))

    def begin(self, path: str, content: bytes) -> None:
        self.site.cloud.put(f"data/{part_beside(path)}", content[:1_000_000])


class TestOwncloud(TestNextcloud):
    verifies = True


def mine(path: str, content: bytes, folder: Path) -> tuple[Entry, Path]:
    source = folder / hashlib.md5(path.encode()).hexdigest()
    source.write_bytes(content)
    return Entry(path, size=len(content), md5=hashlib.md5(content).hexdigest()), source


def put(repository: HttpRepository, path: str, content: bytes, folder: Path, told: list[int] | None = None) -> Entry:
    return repository.put(*mine(path, content, folder), (told if told is not None else []).append)


# Pieces


def test_a_file_above_the_limit_goes_in_pieces_and_another_does_not(cloud: Cloud, tmp_path: Path) -> None:
    large, small, told = some(LARGE), some(PIECE), []
    repository = cloud.repository()
    entries = [put(repository, TIMES, large, tmp_path, told), put(repository, CLUSTERS, small, tmp_path)]
    assert sum(told) == LARGE
    assert [entry.md5 for entry in entries] == [hashlib.md5(content).hexdigest() for content in (large, small)]
    assert sorted(map(int, cloud.pieces())) == [1, 2, 3, 4]
    assert max(one.length for one in cloud.proxy.asked("PUT")) == PIECE
    repository.write_index(Index(entries))
    assert cloud.files() == {TIMES: large, CLUSTERS: small}
    assert cloud.cloud.chunks() == []
    assert cloud.cloud.uploads == {}


def test_every_request_for_a_piece_names_the_destination(cloud: Cloud, tmp_path: Path) -> None:
    put(cloud.repository(), TIMES, some(LARGE), tmp_path)
    asked = [one for one in cloud.proxy.asked("", "/uploads/") if one.method in ("MKCOL", "PUT", "MOVE")]
    assert len(asked) == 6
    assert len({one.destination for one in asked}) == 1
    assert {one.headers["oc-total-length"] for one in asked if one.method == "MOVE"} == {str(LARGE)}


def test_pieces_that_arrived_before_a_kill_are_not_sent_again(cloud: Cloud, tmp_path: Path) -> None:
    content = some(LARGE)
    cloud.add()
    root = share(tmp_path / "root", {TIMES: content})
    hold = Hold()
    cloud.proxy.rules.append(Rule("PUT", "/uploads/", hold, times=9, skip=2))
    process = subprocess.Popen(
        [sys.executable, "-c", SMALL_PIECES, "upload", str(root)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert hold.there.wait(60), cloud.proxy.log()
    while len(cloud.cloud.chunks()) < 2:
        assert process.poll() is None, cloud.proxy.log()
        hold.go_on.wait(0.01)
    process.kill()
    process.communicate()
    hold.go_on.set()
    first = {name.rpartition("/")[2] for name in cloud.cloud.chunks()}
    assert len(first) >= 2
    cloud.proxy.forget()
    second = end(
        subprocess.Popen(
            [sys.executable, "-c", SMALL_PIECES, "upload", str(root)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    assert second.code == 0, second.err + cloud.proxy.log()
    # One that was on its way when the process was killed may have arrived after all.
    assert {int(name) for name in cloud.pieces()} <= {1, 2, 3, 4} - {int(name) for name in first}
    assert cloud.files() == {TIMES: content}
    assert cloud.cloud.uploads == {}


@pytest.mark.parametrize("fault", [lose_answer, lose_request, cut(100_000), say(503)])
@pytest.mark.parametrize("number", [0, 3])
def test_a_piece_that_is_lost_is_sent_again_and_only_that_one(
    cloud: Cloud, tmp_path: Path, fault: Fault, number: int
) -> None:
    """Row N31."""
    content, told = some(LARGE), []
    cloud.proxy.rules.append(Rule("PUT", "/uploads/", fault, skip=number))
    repository = cloud.repository()
    entry = put(repository, TIMES, content, tmp_path, told)
    repository.write_index(Index([entry]))
    assert cloud.files() == {TIMES: content}
    assert len(cloud.pieces()) <= 5
    assert sum(told) == LARGE, "what was sent twice is told once"


@pytest.mark.parametrize("fault", [lose_answer, lose_request, say(503), say(504)])
@pytest.mark.parametrize("method", ["MKCOL", "MOVE", "PROPFIND"])
def test_what_is_asked_of_the_pieces_is_asked_again_where_the_answer_was_lost(
    cloud: Cloud, tmp_path: Path, method: str, fault: Fault
) -> None:
    """Row N31."""
    content = some(LARGE)
    cloud.proxy.rules.append(Rule(method, "/uploads/", fault))
    repository = cloud.repository()
    repository.write_index(Index([put(repository, TIMES, content, tmp_path)]))
    assert cloud.files() == {TIMES: content}
    assert len(cloud.pieces()) == 4


def test_a_piece_that_was_stored_shorter_is_told_and_sent_again_by_the_next_run(cloud: Cloud, tmp_path: Path) -> None:
    """Row N32."""
    content = some(LARGE)
    cloud.proxy.rules.append(Rule("PUT", "/uploads/", truncate(5), skip=1))
    repository = cloud.repository()
    with pytest.raises(OneError):
        put(repository, TIMES, content, tmp_path)
    assert cloud.files() == {}
    cloud.proxy.forget()
    again = cloud.repository()
    again.write_index(Index([put(again, TIMES, content, tmp_path)]))
    assert cloud.files() == {TIMES: content}
    assert len(cloud.pieces()) == 1


def test_a_file_that_changed_before_the_last_piece_is_not_put_together(cloud: Cloud, tmp_path: Path) -> None:
    """Row N32."""
    entry, source = mine(TIMES, some(LARGE), tmp_path)
    repository = cloud.repository()

    def meddle(_: int) -> None:
        with source.open("ab") as stream:
            stream.write(b"more")

    with pytest.raises(OneError, match="changed"):
        repository.put(entry, source, meddle)
    assert cloud.files() == {}
    assert cloud.proxy.asked("MOVE", "/uploads/") == []


def test_a_file_of_which_pieces_are_there_and_which_changed_is_not_mixed(cloud: Cloud, tmp_path: Path) -> None:
    """Row N32. The pieces of the old content have the size of those of the new."""
    old = some(LARGE)
    new = old[:100] + some(LARGE - 100)
    cloud.proxy.rules.append(Rule("PUT", "/uploads/", say(400), times=9, skip=2))
    with pytest.raises(OneError):
        put(cloud.repository(), TIMES, old, tmp_path)
    cloud.proxy.forget()
    repository = cloud.repository()
    repository.write_index(Index([put(repository, TIMES, new, tmp_path)]))
    assert cloud.files() == {TIMES: new}


# Checksums


def test_the_checksum_is_sent_with_every_file(cloud: Cloud, tmp_path: Path) -> None:
    large, small = some(LARGE), some()
    repository = cloud.repository()
    put(repository, TIMES, large, tmp_path)
    put(repository, CLUSTERS, small, tmp_path)
    stated = {one.headers["oc-checksum"] for one in cloud.proxy.seen if "oc-checksum" in one.headers}
    assert stated == {f"MD5:{hashlib.md5(content).hexdigest()}" for content in (large, small)}


def test_the_checksum_that_the_server_states_is_known_on_another_computer(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = some()
    repository = cloud.repository()
    put(repository, TIMES, content, tmp_path)
    monkeypatch.setenv("ONELIGHT_CONFIG_DIR", str(tmp_path / "another computer"))
    other = cloud.repository()
    assert other.stored()[TIMES].md5 == hashlib.md5(content).hexdigest()
    cloud.proxy.forget()
    put(other, TIMES, content, tmp_path)
    assert cloud.proxy.changes() == []
    assert cloud.proxy.asked("GET", "spikes") == [], "it is not read back either"


@pytest.mark.parametrize("size", [3000, 2_000_000, LARGE])
def test_content_that_the_server_stored_otherwise_is_an_error(cloud: Cloud, tmp_path: Path, size: int) -> None:
    """Nextcloud says the md5 of what it stored where it is asked for it, and ownCloud compares it."""
    cloud.cloud.spoil = lambda content: content[1:] + content[:1]
    repository = cloud.repository()
    if size == LARGE and not cloud.cloud.verifies:
        pytest.skip("nobody is known to say it of pieces")
    with pytest.raises(OneError):
        repository.write_index(Index([put(repository, TIMES, some(size), tmp_path)]))
    assert TIMES not in cloud.files()
    cloud.cloud.spoil = None
    content = some(size)
    again = cloud.repository()
    again.write_index(Index([put(again, TIMES, content, tmp_path)]))
    assert cloud.files() == {TIMES: content}


def test_what_somebody_put_there_without_a_checksum_is_compared_by_reading_it(tmp_path: Path, client: Client) -> None:
    with Nextcloud(tmp_path / "cloud") as running, FaultyProxy(running.url) as proxy:
        cloud = Cloud(running, proxy, client)
        content = some()
        running.put(f"data/{TIMES}", content)
        running.put(f"data/{CLUSTERS}", content[::-1])
        repository = cloud.repository()
        assert {entry.path: entry.md5 for entry in repository.stored()} == {TIMES: None, CLUSTERS: None}
        entries = [put(repository, path, content, tmp_path) for path in (TIMES, CLUSTERS)]
        repository.write_index(Index(entries))
        assert cloud.files() == {TIMES: content, CLUSTERS: content}
        assert [one for one in proxy.asked("PUT") if one.length == len(content)].__len__() == 1, "only what differs"


# What else these servers say


def test_the_room_is_what_is_left_of_the_quota(tmp_path: Path, client: Client) -> None:
    for quota, expected in ((None, None), (1_000_000, 1_000_000 - 7)):
        folder = tmp_path / f"cloud{quota}"
        with Nextcloud(folder, quota=quota) as running, FaultyProxy(running.url) as proxy:
            running.put("data/x.y", b"content")
            assert Cloud(running, proxy, client).repository().room().bytes_left == expected


def test_what_does_not_fit_is_told_before_anything_is_sent(tmp_path: Path, client: Client) -> None:
    """Row N33."""
    with Nextcloud(tmp_path / "cloud", quota=1_000_000) as running, FaultyProxy(running.url) as proxy:
        cloud = Cloud(running, proxy, client)
        running.put("data/x.y", b"content")
        cloud.add()
        root = share(tmp_path / "root", {TIMES: some(900_000), CLUSTERS: some(200_000)})
        refused = run("upload", root)
        assert refused.code == 1, refused.err
        assert "room for 999,993" in refused.err
        assert proxy.changes() == []


def test_a_quota_that_is_used_up_meanwhile_is_told(tmp_path: Path, client: Client) -> None:
    """Row N33."""
    with Nextcloud(tmp_path / "cloud", quota=100_000) as running, FaultyProxy(running.url) as proxy:
        repository = Cloud(running, proxy, client).repository()
        with pytest.raises(QuotaExceeded):
            put(repository, TIMES, some(200_000), tmp_path)
        assert len(proxy.asked("PUT")) == 1
        with pytest.raises(QuotaExceeded):
            put(repository, CLUSTERS, some(LARGE), tmp_path)


def test_a_wrong_password_is_denied(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(AccessDenied):
        cloud.repository(password="wrong").stored()
    assert cloud.files() == {}


def test_the_whole_of_it_by_the_command(cloud: Cloud, tmp_path: Path) -> None:
    files = {TIMES: some(PIECE + 1), CLUSTERS: some(), f"{SESSION}/alf/empty.file.npy": b""}
    cloud.add()
    root = share(tmp_path / "root", files)
    for _ in range(2):
        sent = run("upload", root)
        assert sent.code == 0, sent.err + cloud.proxy.log()
    assert cloud.files() == files
    assert run("status", root).code == 0
    files[CLUSTERS] = some()
    share(root, files)
    assert run("upload", root).code == 0
    assert cloud.files() == files


def test_a_server_without_a_folder_of_uploads_is_told(tmp_path: Path, client: Client) -> None:
    with Nextcloud(tmp_path / "cloud", chunked=False) as running, FaultyProxy(running.url) as proxy:
        cloud = Cloud(running, proxy, client)
        with pytest.raises(OneError, match="uploads"):
            put(cloud.repository(), TIMES, some(LARGE), tmp_path)
        assert cloud.files() == {}
