"""A repository in a figshare article, against the sandbox."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from boxes import PART, Owner, Recorded, Seen
from contract import CLUSTERS, ELSEWHERE, SESSION, TIMES, WriteContract, some

from onelight.client import Client, Limits
from onelight.config import Config, Settings
from onelight.errors import (
    AccessDenied,
    AlfError,
    ChecksumMismatch,
    ConfigError,
    NotFound,
    OneError,
    RepositoryError,
    RepositoryNotFound,
    Unreachable,
    UnsafeData,
)
from onelight.index import EMPTY_URL, INDEX_NAME, Entry, Index
from onelight.kinds import open_repository
from onelight.kinds.figshare import FigshareRepository
from onelight.kinds.figshare.address import read_address
from onelight.transfer import Ledger, download, plan_download

CANARY = "canary-90ab"
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def flat(path: str) -> str:
    return path.replace("/", "~")


def open_box(box: Recorded, client: Client, *, token: str | None = None, patience: float = 20.0) -> FigshareRepository:
    token = box.token if token is None else token
    return FigshareRepository("figs", box.article_id, client, token=token, api_url=box.api_url, patience=patience)


def nothing(_: int) -> None:
    """Watch nothing."""


def mine(folder: Path, path: str, content: bytes) -> tuple[Entry, Path]:
    source = folder / hashlib.md5(path.encode()).hexdigest()
    source.write_bytes(content)
    return Entry(path, size=len(content), md5=hashlib.md5(content).hexdigest()), source


def put(repository: FigshareRepository, folder: Path, path: str, content: bytes) -> Entry:
    return repository.put(*mine(folder, path, content), nothing)


def share(repository: FigshareRepository, folder: Path, files: Mapping[str, bytes]) -> bool:
    stored = {entry.path: entry for entry in repository.stored()}
    stored.update({path: put(repository, folder, path, content) for path, content in files.items()})
    return repository.write_index(Index(stored.values()))


def fetched(repository: FigshareRepository, client: Client, folder: Path) -> dict[str, bytes]:
    ledger = Ledger(folder)
    outcomes = download(plan_download(repository.refresh(), folder, ledger), repository, client, folder, ledger)
    for outcome in outcomes:
        assert outcome.error is None, outcome.error
    return {outcome.path: outcome.target.read_bytes() for outcome in outcomes}


class TestFigshare(WriteContract):
    kind = "figshare"

    @pytest.fixture
    def repository(self, box: Recorded, owner: Owner, client: Client) -> FigshareRepository:
        self.box, self.owner, self.client = box, owner, client
        return self.another()

    def another(self) -> FigshareRepository:
        return open_box(self.box, self.client)

    def fill(self, files: Mapping[str, bytes]) -> None:
        for row in self.owner.files():
            self.owner.ask("DELETE", f"{self.owner.article}/files/{row['id']}")
        rows = ""
        for path, content in files.items():
            number = self.owner.add(flat(path), content)
            rows += f"{path}\t{self.box.api_url.removesuffix('/v2')}/files/{number}\n"
        self.owner.add(INDEX_NAME, rows.encode())

    def there(self) -> dict[str, bytes]:
        names = [name for name in self.owner.names() if name != INDEX_NAME]
        return {name.replace("~", "/"): self.owner.read(name) or b"" for name in names}

    def requests(self) -> int:
        return len(self.box.recorder.seen)

    def changes(self) -> int:
        return len(self.box.recorder.changes)

    def begin(self, path: str, content: bytes) -> None:
        row = self.owner.begin(flat(path), content)
        self.owner.send_part(row, 1, content)


# Listing


def test_a_long_list_is_read_to_its_end(make_box: Callable[..., Recorded], client: Client) -> None:
    box = make_box(file_limit=5000, status_delay_ms=0)
    owner = Owner(box)
    paths = [f"{SESSION}/alf/a{number:04}.b.npy" for number in range(1015)]
    for path in paths:
        owner.ask("POST", f"{owner.article}/files", {"link": f"https://example.org/{flat(path)}"})
    owner.add(flat(TIMES), b"one that is whole")
    box.recorder.seen.clear()
    index = open_box(box, client).refresh()
    assert len(index) == 1016
    pages = [seen.path.partition("?")[2] for seen in box.recorder.of(path="/files?")]
    assert pages == ["page=1&page_size=1000", "page=2&page_size=1000"] * 2  # until it comes out the same twice


def test_eleven_files_are_eleven(box: Recorded, owner: Owner, client: Client, tmp_path: Path) -> None:
    files = {f"{SESSION}/alf/a{number:02}.b.npy": some(10) for number in range(11)}
    share(open_box(box, client), tmp_path, files)
    owner.publish()
    for token in (box.token, ""):
        assert len(open_box(box, client, token=token).refresh()) == 11


def test_a_page_that_fails_leaves_the_list_whole_or_is_an_error(box: Recorded, owner: Owner, client: Client) -> None:
    owner.add(flat(TIMES), b"x")
    box.recorder.refuse = lambda seen: 500 if "/files?" in seen.path else None
    with pytest.raises(Unreachable):
        open_box(box, client).refresh()


@pytest.mark.parametrize("published", [False, True])
def test_names_with_tilde_slash_and_folders_are_read(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path, published: bool
) -> None:
    files = {TIMES: some(), CLUSTERS: some(), ELSEWHERE: some(), f"{SESSION}/alf/#r 1#/a.b.npy": some()}
    owner.add(flat(TIMES), files[TIMES])
    owner.add(CLUSTERS, files[CLUSTERS])
    folder, _, name = ELSEWHERE.rpartition("/")
    owner.add(name, files[ELSEWHERE], folder_path=folder)
    folder, _, name = f"{SESSION}/alf/#r 1#/a.b.npy".rpartition("/")
    owner.add(name, files[f"{folder}/{name}"], folder_path=f"/{folder}/")
    owner.add("README.md", b"hello")
    owner.add("..~..~etc~passwd", b"x")
    if published:
        owner.publish()
    repository = open_box(box, client, token="" if published else None)
    index = repository.refresh()
    assert {entry.path for entry in index} == set(files)
    assert any(INDEX_NAME in remark for remark in index.remarks)
    assert fetched(repository, client, tmp_path) == files


def test_an_article_without_files_is_empty(box: Recorded, client: Client) -> None:
    assert list(open_box(box, client).refresh()) == []
    assert list(open_box(box, client).stored()) == []


def test_an_index_that_has_not_changed_is_not_fetched_again(box: Recorded, client: Client, tmp_path: Path) -> None:
    repository = open_box(box, client)
    share(repository, tmp_path, {TIMES: some()})
    repository.refresh()
    box.recorder.seen.clear()
    assert [entry.path for entry in repository.refresh()] == [TIMES]
    assert [seen.method for seen in box.recorder.seen] == ["GET"]


def test_an_index_written_when_the_server_had_another_address_is_read(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    content = some()
    number = owner.add(flat(TIMES), content)
    owner.add(INDEX_NAME, f"{TIMES}\thttps://ndownloader.figshare.com/files/{number}\n".encode())
    assert fetched(open_box(box, client), client, tmp_path) == {TIMES: content}


# Sending


def test_parts_go_where_the_server_says_and_each_goes_once(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    content = some(3 * PART + 17)
    put(open_box(box, client), tmp_path, TIMES, content)
    parts = sorted(seen.path.rpartition("/")[2] for seen in box.recorder.of("PUT"))
    assert parts == ["1", "2", "3", "4"]
    assert {seen.origin for seen in box.recorder.of("PUT")} == {"upload"}
    assert owner.read(flat(TIMES)) == content


def test_what_an_earlier_run_sent_is_not_sent_again(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    """Row N31."""
    content = some(4 * PART)
    row = owner.begin(flat(TIMES), content)
    for number in (1, 3):
        owner.send_part(row, number, content)
    box.recorder.seen.clear()
    told: list[int] = []
    entry = open_box(box, client).put(*mine(tmp_path, TIMES, content), told.append)
    assert entry.url.endswith(f"/files/{row['id']}")
    assert sorted(seen.path.rpartition("/")[2] for seen in box.recorder.of("PUT")) == ["2", "4"]
    assert box.recorder.of("POST", path="/files")[0].path.endswith(str(row["id"])), "it was completed, not begun anew"
    assert sum(told) == len(content)
    assert owner.read(flat(TIMES)) == content


def test_a_half_file_of_another_content_is_not_continued(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    row = owner.begin(flat(TIMES), some(2 * PART))
    content = some(2 * PART)
    assert share(open_box(box, client), tmp_path, {TIMES: content})
    assert owner.read(flat(TIMES)) == content
    assert row["id"] not in [one["id"] for one in owner.files()], "what was left half-way is gone after the commit"


def test_an_upload_that_figshare_has_forgotten_is_begun_anew(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    content = some(2 * PART)
    row = owner.begin(flat(TIMES), content)
    token = row["upload_url"].rpartition("/")[2]
    box.recorder.refuse = lambda seen: 404 if token in seen.path else None
    put(open_box(box, client), tmp_path, TIMES, content)
    assert owner.read(flat(TIMES)) == content
    assert row["id"] not in [one["id"] for one in owner.files()]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_part_that_fails_is_sent_again(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path, status: int
) -> None:
    """Row N32."""
    failed: list[str] = []

    def once(seen: Seen) -> int | None:
        if seen.method != "PUT" or seen.path in failed:
            return None
        failed.append(seen.path)
        return status

    box.recorder.refuse = once
    content = some(2 * PART)
    put(open_box(box, client), tmp_path, TIMES, content)
    box.recorder.refuse = lambda _: None
    assert len(failed) == 2
    assert owner.read(flat(TIMES)) == content


def test_an_upload_that_fails_makes_no_second_record_when_run_again(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    """Row N31."""
    content = some(2 * PART)
    box.recorder.refuse = lambda seen: 500 if seen.path.endswith("/2") and seen.method == "PUT" else None
    for _ in range(2):
        with pytest.raises(Unreachable):
            put(open_box(box, client), tmp_path, TIMES, content)
    box.recorder.refuse = lambda _: None
    put(open_box(box, client), tmp_path, TIMES, content)
    assert owner.read(flat(TIMES)) == content


def test_a_beginning_whose_answer_was_lost_makes_no_second_record_when_run_again(
    make_box: Callable[..., Recorded], client: Client, tmp_path: Path
) -> None:
    """Row N31."""
    box = make_box()
    owner = Owner(box)
    content = some(PART)
    owner.begin(flat(TIMES), content)  # it arrived, but the client never heard of it
    put(open_box(box, client), tmp_path, TIMES, content)
    assert owner.read(flat(TIMES)) == content


def test_parts_that_the_server_lost_are_no_success(box: Recorded, owner: Owner, client: Client, tmp_path: Path) -> None:
    """Row N32."""
    box.recorder.refuse = lambda seen: 200 if seen.method == "PUT" else None  # says yes, and keeps nothing
    with pytest.raises(Unreachable, match="still waits for parts"):
        put(open_box(box, client, patience=0.3), tmp_path, TIMES, some(PART))
    box.recorder.refuse = lambda _: None
    assert list(open_box(box, client).stored()) == []
    share(open_box(box, client), tmp_path, {TIMES: b"now"})
    assert owner.read(flat(TIMES)) == b"now"


def test_a_file_that_figshare_finds_damaged_is_an_error_and_its_record_goes(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    """Row N32."""

    def damage(seen: Seen) -> None:
        if seen.method == "POST" and not seen.path.endswith("/files"):  # all parts are there, and a bit tips over
            (box.data_dir / "blobs" / seen.path.rpartition("/")[2]).write_bytes(some(PART))

    box.recorder.refuse = damage
    with pytest.raises(ChecksumMismatch, match="another md5"):
        put(open_box(box, client), tmp_path, TIMES, some(PART))
    box.recorder.refuse = lambda _: None
    assert owner.files() == []


def test_many_files_cost_four_requests_each(make_box: Callable[..., Recorded], client: Client, tmp_path: Path) -> None:
    box = make_box(status_delay_ms=50)
    repository = open_box(box, client)
    repository.stored()
    box.recorder.seen.clear()
    local = [mine(tmp_path, f"{SESSION}/alf/a{number:02}.b.npy", some()) for number in range(40)]
    checks = [repository.send(entry, source, nothing) for entry, source in local]
    assert len(box.recorder.seen) == 4 * len(local) + 1, "announce, where to, the bytes, done; and once what parts"
    box.recorder.seen.clear()
    entries = [check() for check in checks]
    assert [entry.md5 for entry in entries] == [entry.md5 for entry, _ in local]
    assert len(box.recorder.seen) < 10, "what figshare has checked is asked for all of them together"


def test_a_file_that_figshare_finds_damaged_once_is_sent_again(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    """Row N32."""
    repository = open_box(box, client)
    local = [mine(tmp_path, f"{SESSION}/alf/a{number:02}.b.npy", some()) for number in range(12)]

    def damage(seen: Seen) -> None:
        number = seen.path.rpartition("/")[2]
        if seen.method == "POST" and number.isdecimal() and int(number) % 12 == 5:
            (box.data_dir / "blobs" / number).write_bytes(some())

    box.recorder.refuse = damage
    checks = [repository.send(entry, source, nothing) for entry, source in local]
    assert [check().md5 for check in checks] == [entry.md5 for entry, _ in local]
    assert owner.names() == sorted(flat(entry.path) for entry, _ in local)
    assert {row["status"] for row in owner.files()} == {"available"}


def test_a_source_that_shrinks_is_an_error_and_no_wait(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    """Row N32."""
    entry, source = mine(tmp_path, TIMES, some(3 * PART))
    os.truncate(source, PART)
    begun = time.monotonic()
    with pytest.raises(OneError, match="changed"):
        open_box(box, client).put(entry, source, nothing)
    assert time.monotonic() - begun < 10
    assert list(open_box(box, client).stored()) == []


def test_a_late_checksum_is_waited_for(make_box: Callable[..., Recorded], client: Client, tmp_path: Path) -> None:
    box = make_box(status_delay_ms=400)
    content = some()
    assert put(open_box(box, client), tmp_path, TIMES, content).md5 == hashlib.md5(content).hexdigest()


def test_a_checksum_that_never_comes_is_told_as_none_and_the_file_is_not_sent_again(
    make_box: Callable[..., Recorded], client: Client, tmp_path: Path
) -> None:
    box = make_box(md5_never=True)
    content = some(PART)
    repository = open_box(box, client, patience=0.2)
    assert put(repository, tmp_path, TIMES, content).md5 is None
    before = len(box.recorder.of("PUT"))
    again = open_box(box, client, patience=0.2)
    again.stored()
    assert put(again, tmp_path, TIMES, content).md5 is None
    assert len(box.recorder.of("PUT")) == before
    # The index that figshare calls available, and never contradicts, is taken; a second one is not sent.
    assert again.write_index(again.stored()) is True
    last = open_box(box, client, patience=0.2)
    last.write_index(last.stored())
    assert len([file for file in last._draft.look() if file.name == ".one_root"]) == 1


def test_files_that_stay_in_moving_to_final_count_as_there(
    make_box: Callable[..., Recorded], client: Client, tmp_path: Path
) -> None:
    box = make_box(stuck_moving=True)
    files = {TIMES: some(), ELSEWHERE: some()}
    assert share(open_box(box, client), tmp_path, files) is True
    before = len(box.recorder.changes)
    assert share(open_box(box, client), tmp_path, files) is False
    assert len(box.recorder.changes) == before


def test_a_new_record_may_be_unknown_for_a_moment(
    make_box: Callable[..., Recorded], client: Client, tmp_path: Path
) -> None:
    box = make_box(location_404_ms=300)
    content = some()
    put(open_box(box, client), tmp_path, TIMES, content)
    time.sleep(0.3)
    assert Owner(box).read(flat(TIMES)) == content


@pytest.mark.parametrize(
    "settings", [{"json_as_html": False}, {"complete_as_html": False}, {"clear_upload_url": False}]
)
def test_other_habits_of_the_server_make_no_difference(
    make_box: Callable[..., Recorded], client: Client, tmp_path: Path, settings: dict[str, bool]
) -> None:
    box = make_box(**settings)
    files = {TIMES: some(2 * PART + 1), ELSEWHERE: b""}
    share(open_box(box, client), tmp_path, files)
    assert fetched(open_box(box, client), client, tmp_path / "to") == files


@pytest.mark.parametrize("path", [f"{SESSION}/alf/spikes~times.a.npy", "spikes.times.npy", "README.md"])
def test_a_path_that_would_come_back_as_another_is_refused(
    box: Recorded, client: Client, tmp_path: Path, path: str
) -> None:
    with pytest.raises(AlfError):
        put(open_box(box, client), tmp_path, path, some())
    assert box.recorder.changes == []


def test_a_full_article_is_told_with_the_way_out(
    make_box: Callable[..., Recorded], client: Client, tmp_path: Path
) -> None:
    """Row N33."""
    box = make_box(file_limit=2)
    repository = open_box(box, client)
    put(repository, tmp_path, TIMES, some())
    put(repository, tmp_path, ELSEWHERE, some())
    with pytest.raises(RepositoryError, match="at most 2 files") as caught:
        put(repository, tmp_path, CLUSTERS, some())
    assert "--spread" in caught.value.hint


def test_the_room_is_what_the_account_has_left(
    make_box: Callable[..., Recorded], client: Client, tmp_path: Path
) -> None:
    box = make_box(quota=1_000_000, maximum_file_size=500_000)
    repository = open_box(box, client)
    share(repository, tmp_path, {TIMES: some(100_000)})
    repository.stored()
    room = repository.room()
    assert room.largest_file == 500_000
    assert 899_000 < (room.bytes_left or 0) <= 900_000
    assert room.files_left == 500 - 2


# The commit


def test_the_index_goes_last_and_the_old_one_after_it(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    repository = open_box(box, client)
    share(repository, tmp_path, {TIMES: some()})
    [old] = [row["id"] for row in owner.files() if row["name"] == INDEX_NAME]
    old_times = next(row["id"] for row in owner.files() if row["name"] == flat(TIMES))
    box.recorder.seen.clear()
    share(open_box(box, client), tmp_path, {TIMES: some(), ELSEWHERE: some()})
    [new] = [row["id"] for row in owner.files() if row["name"] == INDEX_NAME]
    changes = [(seen.method, seen.path.rpartition("/")[2]) for seen in box.recorder.changes]
    completed = changes.index(("POST", str(new)))
    deleted = [number for method, number in changes[completed:] if method == "DELETE"]
    assert sorted(deleted) == sorted([str(old), str(old_times)])
    assert not any(method == "DELETE" for method, _ in changes[:completed])
    assert {method for method, _ in changes[completed + 1 :]} == {"DELETE"}


def test_a_commit_that_fails_leaves_readers_with_the_old_index(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    old = some()
    share(open_box(box, client), tmp_path, {TIMES: old})
    writer = open_box(box, client)
    stored = {entry.path: entry for entry in writer.stored()}
    stored[TIMES] = put(writer, tmp_path, TIMES, some())
    box.recorder.refuse = lambda seen: 500 if seen.method in ("POST", "PUT") else None
    with pytest.raises(Unreachable):
        writer.write_index(Index(stored.values()))
    box.recorder.refuse = lambda _: None
    assert fetched(open_box(box, client), client, tmp_path / "to") == {TIMES: old}


def test_old_indexes_and_duplicates_of_other_clients_are_removed(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    content = some()
    for _ in range(3):
        owner.add(flat(TIMES), content)
        owner.add(INDEX_NAME, b"\n")
    owner.add("README.md", b"not mine")
    owner.add(flat(CLUSTERS), b"nobody speaks of it")
    repository = open_box(box, client)
    stored = repository.stored()
    assert [entry.path for entry in stored] == sorted([TIMES, CLUSTERS])
    repository.write_index(Index([stored[TIMES]]))
    assert owner.names() == sorted([INDEX_NAME, "README.md", flat(CLUSTERS), flat(TIMES)])
    assert owner.read(flat(TIMES)) == content


def test_the_index_has_two_columns_and_every_address_works(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    files = {TIMES: some(), ELSEWHERE: b""}
    share(open_box(box, client), tmp_path, files)
    rows = [line.split("\t") for line in (owner.read(INDEX_NAME) or b"").decode().splitlines()]
    assert [row[0] for row in rows] == sorted(files)
    assert dict(rows)[ELSEWHERE] == EMPTY_URL
    assert owner.ask("GET", dict(rows)[TIMES])[1] == files[TIMES]


# Who may see what


def test_the_token_goes_to_the_api_only(box: Recorded, client: Client, tmp_path: Path, owner: Owner) -> None:
    files = {TIMES: some(2 * PART), ELSEWHERE: some()}
    share(open_box(box, client), tmp_path, files)
    fetched(open_box(box, client), client, tmp_path / "draft")
    open_box(box, client).publish()
    assert fetched(open_box(box, client), client, tmp_path / "published") == files
    for origin in ("upload", "download"):
        seen = [
            one for one in box.recorder.of(origin=origin) if "authorization" in one.headers or box.token in one.path
        ]
        assert seen == []
        assert box.recorder.of(origin=origin), f"nothing went to the {origin} origin, so this proves nothing"
    assert all("token " in seen.headers["authorization"] for seen in box.recorder.of("PUT", origin="api"))


@pytest.mark.parametrize("action", ["refresh", "stored", "put", "publish"])
def test_a_wrong_token_is_access_denied_with_how_to_make_one(
    box: Recorded, client: Client, tmp_path: Path, action: str
) -> None:
    repository = open_box(box, client, token=CANARY)
    act = getattr(repository, action) if action != "put" else lambda: put(repository, tmp_path, TIMES, some())
    with pytest.raises(AccessDenied) as caught:
        act()
    assert "figshare.com/account/applications" in caught.value.hint
    assert "FIGSHARE_TOKEN" in caught.value.hint
    assert CANARY not in f"{caught.value!r} {caught.value} {repository.address} {vars(caught.value)}"


def test_without_a_token_nothing_is_written_and_the_way_out_is_told(
    box: Recorded, client: Client, tmp_path: Path
) -> None:
    repository = open_box(box, client, token="")
    with pytest.raises(AccessDenied, match="no token") as caught:
        put(repository, tmp_path, TIMES, some())
    assert "FIGSHARE_TOKEN" in caught.value.hint
    with pytest.raises(AccessDenied):
        repository.stored()
    assert box.recorder.seen == []


def test_what_is_published_is_read_without_a_token(box: Recorded, owner: Owner, client: Client, tmp_path: Path) -> None:
    files = {TIMES: some(PART + 1), ELSEWHERE: b"", CLUSTERS: some()}
    share(open_box(box, client), tmp_path, files)
    reader = open_box(box, client, token="")
    with pytest.raises(RepositoryNotFound, match="article_id"):
        reader.refresh()
    owner.publish()
    box.recorder.seen.clear()
    assert fetched(reader, client, tmp_path / "to") == files
    assert not any("authorization" in seen.headers for seen in box.recorder.seen)
    assert box.recorder.of(path="/account/") == []


def test_the_public_version_is_read_with_a_token_that_is_not_the_owners(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    files = {TIMES: some()}
    share(open_box(box, client), tmp_path, files)
    owner.publish()
    reader = open_box(box, client, token="somebody-else")
    assert any("public version" in remark for remark in reader.refresh().remarks)
    assert fetched(reader, client, tmp_path / "to") == files


def test_a_draft_is_read_by_its_owner_only(box: Recorded, client: Client, tmp_path: Path) -> None:
    files = {TIMES: some(PART + 1)}
    share(open_box(box, client), tmp_path, files)
    repository = open_box(box, client)
    assert fetched(repository, client, tmp_path / "to") == files
    [route, _] = repository.source(repository.refresh()[TIMES])
    with pytest.raises(AccessDenied):
        client.request("GET", route.url)


def test_the_second_way_to_a_file_is_taken_when_the_first_is_walled_off(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    files = {TIMES: some(PART + 1), ELSEWHERE: some()}
    share(open_box(box, client), tmp_path, files)
    owner.publish()
    for status in (202, 403, 405, 500):
        box.recorder.refuse = lambda seen, status=status: status if seen.path.startswith("/files/") else None
        with Client(limits=Limits(attempts=1, idle=5)) as brisk:
            reader = open_box(box, brisk, token="")
            assert fetched(reader, brisk, tmp_path / str(status)) == files


@pytest.mark.parametrize("api_url", ["http://example.org/v2", "http://192.168.1.5:8000/v2"])
def test_a_token_for_an_api_without_encryption_is_refused(client: Client, api_url: str) -> None:
    settings = Settings("figs", "figshare", {"article_id": 1, "api_url": api_url, "token": CANARY})
    with pytest.raises(UnsafeData, match="without encryption") as caught:
        open_repository(settings, client)
    assert CANARY not in f"{caught.value!r} {vars(caught.value)}"


def test_private_files_of_the_real_figshare_are_asked_for_with_the_token_at_its_download_host_only(
    client: Client,
) -> None:
    repository = FigshareRepository("figs", 1, client, token=CANARY)
    first, second = repository.source(Entry(TIMES, "https://figshare.com/ndownloader/files/77"))
    assert (first.url, second.url) == (
        "https://ndownloader.figshare.com/files/77",
        "https://api.figshare.com/v2/file/download/77",
    )
    assert first.credential is not None
    assert first.credential.query == f"token={CANARY}"
    assert first.credential.origin == "https://ndownloader.figshare.com:443"
    assert second.credential is not None
    assert second.credential.header == f"token {CANARY}"
    assert CANARY not in repr((first, second, repository))
    for foreign in (
        "https://example.org/files/77",
        "https://evil-figshare.com/files/77",
        "https://figshare.com.x.org/files/7",
    ):
        [route] = repository.source(Entry(TIMES, foreign))
        assert route.credential is None or route.credential.origin == "https://api.figshare.com:443"


# Publishing


def test_what_publication_needs_is_told_before_anything_is_published(
    box: Recorded, owner: Owner, client: Client
) -> None:
    owner.ask("PUT", owner.article, {"description": "", "keywords": [], "categories": []})
    repository = open_box(box, client)
    missing = repository.missing_for_publication()
    assert missing == ["a description", "a category", "a keyword", "a file"]
    box.recorder.seen.clear()
    with pytest.raises(RepositoryError, match="a description, a category, a keyword, a file") as caught:
        repository.publish()
    assert "Nothing was published" in caught.value.hint
    assert box.recorder.changes == []


def test_half_uploaded_files_are_in_the_way_of_publication(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    share(open_box(box, client), tmp_path, {TIMES: some()})
    assert open_box(box, client).missing_for_publication() == []
    owner.begin(flat(ELSEWHERE), some())
    [missing] = open_box(box, client).missing_for_publication()
    assert "1 half-uploaded" in missing


def test_publishing_gives_the_public_address_and_waits_until_it_answers(
    make_box: Callable[..., Recorded], client: Client, tmp_path: Path
) -> None:
    box = make_box(publish_lag_ms=700)
    share(open_box(box, client), tmp_path, {TIMES: some()})
    published = open_box(box, client).publish()
    assert str(box.article_id) in published.address
    assert (published.version, published.is_visible) == (1, True)
    assert published.doi.endswith(f"{box.article_id}.v1")
    assert len(open_box(box, client, token="").refresh()) == 1


def test_what_is_uploaded_after_publication_is_public_after_the_next(
    box: Recorded, client: Client, tmp_path: Path
) -> None:
    first, second = some(), some()
    share(open_box(box, client), tmp_path, {TIMES: first})
    open_box(box, client).publish()
    share(open_box(box, client), tmp_path, {TIMES: second})
    assert fetched(open_box(box, client, token=""), client, tmp_path / "before") == {TIMES: first}
    open_box(box, client).publish()
    assert fetched(open_box(box, client, token=""), client, tmp_path / "after") == {TIMES: second}


# Which article


@pytest.mark.parametrize(
    "text",
    [
        "9974357",
        " 9974357 ",
        "9974357.v3",
        "9974357/3",
        "https://figshare.com/articles/dataset/Some_title/9974357",
        "https://figshare.com/articles/dataset/Some_title/9974357/3",
        "https://figshare.com/articles/Some_title/9974357?file=1",
        "https://figshare.com/articles/_/9974357/",
        "https://repository.lboro.ac.uk/articles/dataset/x/9974357/1",
        "https://figshare.com/account/articles/9974357",
        "https://api.figshare.com/v2/articles/9974357/versions/3",
        "https://api.figshare.com/v2/account/articles/9974357",
        "10.6084/m9.figshare.9974357",
        "doi:10.6084/m9.figshare.9974357.v3",
        "https://doi.org/10.6084/m9.figshare.9974357.v3",
        "10.25452/figshare.plus.9974357",
        "10.17028/rd.lboro.9974357.v2",
    ],
)
def test_what_people_paste_names_the_article(text: str) -> None:
    assert read_address(text).article_id == 9974357


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nick19",
        "https://figshare.com",
        "https://figshare.com/collections/x/123",
        "10.6084/m9.figshare.c.123",
        "https://figshare.com/projects/x/123",
        "https://figshare.com/s/0123456789abcdef0123",
        "https://ndownloader.figshare.com/files/123",
        "-5",
    ],
)
def test_what_is_no_article_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_address(text)
    assert "10.6084" in caught.value.hint


def test_settings_make_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    block = {"article_id": 9598406, "token": ""}
    repository = open_repository(Settings("nick19", "figshare", block), client)
    assert repository.address == "https://figshare.com/articles/dataset/_/9598406"
    with pytest.raises(AccessDenied):
        repository.stored()  # type: ignore[attr-defined]
    monkeypatch.setenv("FIGSHARE_TOKEN", CANARY)
    wins = open_repository(Settings("nick19", "figshare", {**block, "token": "another"}), client)
    [route, _] = wins.source(Entry(TIMES, "https://ndownloader.figshare.com/files/1"))
    assert route.credential is not None
    assert route.credential.query == f"token={CANARY}"
    with pytest.raises(ConfigError):
        open_repository(Settings("figs", "figshare", {"article_id": 1, "api_url": "api.figshare.com"}), client)


def test_an_unknown_article_is_not_found(box: Recorded, client: Client) -> None:
    for token in (box.token, ""):
        with pytest.raises(NotFound, match="999"):
            FigshareRepository("figs", 999, client, token=token, api_url=box.api_url).refresh()


def test_a_server_that_is_down_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Client(limits=Limits(attempts=2, pause=0.01)) as client, pytest.raises(Unreachable):
        FigshareRepository("figs", 1, client, api_url=f"http://127.0.0.1:{port}/v2").refresh()


# The command, killed


def write_root(root: Path, files: int, size: int) -> dict[str, bytes]:
    contents = {}
    for number in range(files):
        path = f"lab/Subjects/S{number % 3}/2020-01-0{1 + number % 3}/001/alf/a{number:02}.b.npy"
        contents[path] = some(size)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(contents[path])
    return contents


def onelight(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "onelight", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def configured(box: Recorded) -> None:
    config = Config.load()
    options = {"article_id": box.article_id, "token": box.token, "api_url": box.api_url}
    config.add(Settings("figs", "figshare", options))
    config.choose("figs")


@posix
@pytest.mark.usefixtures("configured")
def test_an_upload_killed_half_way_and_run_again_has_every_file_once(
    box: Recorded, owner: Owner, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    contents = write_root(root, 18, int(2.5 * PART))
    for share_of_parts in (0.25, 0.6):
        with onelight("upload", str(root)) as process:
            end = time.monotonic() + 30
            while len(box.recorder.of("PUT")) < share_of_parts * 3 * len(contents) and time.monotonic() < end:
                time.sleep(0.002)
            process.kill()
            process.communicate()
        assert INDEX_NAME not in owner.names(), "the index goes last"
    with onelight("upload", str(root), "--json") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows[-1]["exit"] == 0
    assert owner.names() == sorted([INDEX_NAME, *map(flat, contents)])
    for path, content in contents.items():
        assert owner.read(flat(path)) == content
    index = (owner.read(INDEX_NAME) or b"").decode().splitlines()
    assert [row.split("\t")[0] for row in index] == sorted(contents)
    assert (root / INDEX_NAME).read_text(encoding="utf-8").splitlines() == index
    parts = len(box.recorder.of("PUT"))
    assert parts < 1.8 * 3 * len(contents), "what was sent before the kill was not sent again"
    box.recorder.seen.clear()
    with onelight("upload", str(root)) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert box.recorder.changes == [], "a third run sends nothing but the checks"
    assert len(box.recorder.seen) < 10


@posix
def test_ctrl_c_ends_an_upload_that_waits_for_a_checksum(make_box: Callable[..., Recorded], tmp_path: Path) -> None:
    box = make_box(md5_never=True)
    config = Config.load()
    config.add(Settings("figs", "figshare", {"article_id": box.article_id, "token": box.token, "api_url": box.api_url}))
    config.choose("figs")
    root = tmp_path / "root"
    write_root(root, 3, 1000)
    with onelight("upload", str(root)) as process:
        end = time.monotonic() + 30
        while len(box.recorder.of("POST")) < 6 and time.monotonic() < end:
            time.sleep(0.01)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - begun < 8
    assert "Traceback" not in err
    assert INDEX_NAME not in Owner(box).names()


def test_a_half_uploaded_draft_is_not_published(box: Recorded, client: Client, tmp_path: Path) -> None:
    repository = open_box(box, client)
    share(repository, tmp_path, {TIMES: some()})
    assert repository.missing_for_publication() == []
    put(repository, tmp_path, ELSEWHERE, some(2000))  # and then the upload was killed: no index
    assert "not finished" in repository.missing_for_publication()[0]
    with pytest.raises(RepositoryError, match="not finished"):
        repository.publish()


def test_a_draft_without_an_index_is_not_published(box: Recorded, client: Client, tmp_path: Path) -> None:
    repository = open_box(box, client)
    put(repository, tmp_path, TIMES, some())
    assert INDEX_NAME in repository.missing_for_publication()[0]


def test_two_who_upload_at_once_lose_nothing(box: Recorded, client: Client, tmp_path: Path) -> None:
    """Row N33."""
    first, second = open_box(box, client), open_box(box, client)
    planned = {repository: {entry.path: entry for entry in repository.stored()} for repository in (first, second)}
    planned[first][TIMES] = put(first, tmp_path, TIMES, some())
    planned[second][ELSEWHERE] = put(second, tmp_path, ELSEWHERE, some(2000))
    first.write_index(Index(planned[first].values()))
    with pytest.raises(Unreachable, match="somebody else"):
        second.write_index(Index(planned[second].values()))
    second.write_index(second.stored())  # what running the command again does
    assert {entry.path for entry in open_box(box, client).refresh()} == {TIMES, ELSEWHERE}


def test_an_index_that_cannot_be_read_is_replaced_by_the_next_upload(
    box: Recorded, client: Client, tmp_path: Path
) -> None:
    repository = open_box(box, client)
    content = b"a\tb\tc\n"
    source = tmp_path / "broken"
    source.write_bytes(content)
    broken = Entry(INDEX_NAME, size=len(content), md5=hashlib.md5(content).hexdigest())
    repository._draft._sender(repository._reader.first).send(INDEX_NAME, source, broken, None, nothing)()
    with pytest.raises(UnsafeData):
        repository.refresh()
    assert share(open_box(box, client), tmp_path, {TIMES: some()}) is True
    assert {entry.path for entry in open_box(box, client).refresh()} == {TIMES}


def test_private_use_of_nothing_is_not_taken_for_unknown_use(box: Recorded, client: Client, tmp_path: Path) -> None:
    repository = open_box(box, client)
    share(repository, tmp_path, {TIMES: some()})
    repository.publish()
    room = open_box(box, client).room()
    assert room.bytes_left == box.settings.quota
