"""A repository in a store that fsspec reaches: S3 as moto gives it, and a real sshd."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import CLUSTERS, ELSEWHERE, SESSION, TIMES, WriteContract, some
from remote_servers import BUCKET, S3, Ssh, Wire, files_of, fill_folder, index_of, needs_s3, needs_sshd

from onelight import One
from onelight.client import Client, Limits
from onelight.config import Settings, hide_secrets
from onelight.errors import (
    AccessDenied,
    ConfigError,
    NotFound,
    OneError,
    RepositoryError,
    RepositoryNotFound,
    Unreachable,
    UnsafeData,
)
from onelight.index import INDEX_NAME, Entry, Index
from onelight.kinds import open_repository
from onelight.kinds.http import HttpRepository
from onelight.kinds.place import secrets_of
from onelight.kinds.remote import RemoteRepository
from onelight.kinds.tree import Taken, is_part, part_beside
from onelight.route import Inline, Opened, Route
from onelight.transfer import Fetch, Ledger, Outcome, Verified, download, plan_download
from onelight.transfer.partial import Partial, expectation
from onelight.transfer.place import Folders
from onelight.transfer.remote import OpenedFile

CANARY = "canary-5d1f-secret"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    server = S3()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    server = Ssh(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


def s3_options(port: int) -> dict[str, Any]:
    return {"endpoint_url": f"http://127.0.0.1:{port}", "key": "a-key-of-nobody", "secret": CANARY}


@needs_s3
class TestS3(WriteContract):
    kind = "remote"

    @pytest.fixture
    def repository(self, s3: S3, client: Client) -> Iterator[RemoteRepository]:
        s3.reset()
        self.s3, self.client = s3, client
        with Wire(s3.port) as self.wire:
            yield self.another()

    def another(self) -> RemoteRepository:
        return RemoteRepository("far", f"s3://{BUCKET}/some/folder", self.client, options=s3_options(self.wire.port))

    def fill(self, files: Mapping[str, bytes]) -> None:
        self.s3.reset()
        for path, content in {**files, INDEX_NAME: index_of(files)}.items():
            self.s3.put(f"some/folder/{path}", content)

    def there(self) -> dict[str, bytes]:
        found = self.s3.files("some/folder")
        return {path: content for path, content in found.items() if "/" in path and not is_part(path)}

    def requests(self) -> int:
        return self.wire.asked

    def changes(self) -> int:
        return self.wire.changes

    def begin(self, path: str, content: bytes) -> None:
        self.s3.put(f"some/folder/{part_beside(path)}", content[:1_000_000])


@needs_sshd
class TestSftp(WriteContract):
    kind = "remote"

    @pytest.fixture
    def repository(self, ssh: Ssh, client: Client, tmp_path: Path) -> Iterator[RemoteRepository]:
        self.ssh, self.client, self.root = ssh, client, tmp_path / "far" / "data"
        with Wire(ssh.port) as self.wire:
            yield self.another()

    def another(self) -> RemoteRepository:
        return RemoteRepository(
            "far",
            f"sftp://{self.ssh.user}@127.0.0.1:{self.wire.port}{self.root}",
            self.client,
            options=self.ssh.options(self.wire.port),
        )

    def fill(self, files: Mapping[str, bytes]) -> None:
        fill_folder(self.root, files)

    def there(self) -> dict[str, bytes]:
        found = {path.relative_to(self.root).as_posix(): path.read_bytes() for path in files_of(self.root)}
        return {path: content for path, content in found.items() if "/" in path and not is_part(path)}

    def requests(self) -> int:
        return self.wire.asked

    def changes(self) -> int:
        return hash(tuple(sorted((str(path), path.stat().st_mtime_ns) for path in files_of(self.root))))

    def begin(self, path: str, content: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.root / part_beside(path)).write_bytes(content[:1_000_000])


# Both stores, beside the contract


class Far:
    """A store with a repository in it, and ways to look at it from behind."""

    def __init__(self, client: Client, url: str, options: dict[str, Any], wire: Wire) -> None:
        self.client, self.url, self.options, self.wire = client, url, options, wire

    def repository(self, **more: Any) -> RemoteRepository:
        options = {**self.options, **more.pop("options", {})}
        return RemoteRepository("far", self.url, more.pop("client", self.client), options=options, **more)

    def names(self) -> list[str]:
        """Return the last part of every name that the store holds."""
        raise NotImplementedError


class FarS3(Far):
    s3: S3

    def names(self) -> list[str]:
        return sorted(key.rpartition("/")[2] for key in self.s3.all_keys())


class FarSftp(Far):
    root: Path

    def names(self) -> list[str]:
        return sorted(path.name for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def far_s3(s3: S3, client: Client) -> Iterator[FarS3]:
    s3.reset()
    with Wire(s3.port) as wire:
        far = FarS3(client, f"s3://{BUCKET}/data", s3_options(wire.port), wire)
        far.s3 = s3
        yield far


@pytest.fixture
def far_sftp(ssh: Ssh, client: Client, tmp_path: Path) -> Iterator[FarSftp]:
    with Wire(ssh.port) as wire:
        root = tmp_path / "far"
        far = FarSftp(client, f"sftp://{ssh.user}@127.0.0.1:{wire.port}{root}", ssh.options(wire.port), wire)
        far.root = root
        yield far


@pytest.fixture(params=[pytest.param("far_s3", marks=needs_s3), pytest.param("far_sftp", marks=needs_sshd)])
def far(request: pytest.FixtureRequest) -> Far:
    found: Far = request.getfixturevalue(request.param)
    return found


def entry_of(source: Path, path: str, content: bytes) -> Entry:
    source.write_bytes(content)
    return Entry(path, size=len(content), md5=hashlib.md5(content).hexdigest())


def share(repository: RemoteRepository, folder: Path, files: Mapping[str, bytes]) -> None:
    stored = {entry.path: entry for entry in repository.stored()}
    for number, (path, content) in enumerate(files.items()):
        source = folder / f"source-{number}"
        stored[path] = repository.put(entry_of(source, path, content), source, lambda _: None)
    repository.write_index(Index(stored.values()))


def fetch(repository: RemoteRepository, client: Client, folder: Path) -> list[Outcome]:
    ledger = Ledger(folder)
    return download(plan_download(repository.refresh(), folder, ledger), repository, client, folder, ledger)


def test_an_index_that_is_still_right_is_not_read_again(far: Far, tmp_path: Path) -> None:
    share(far.repository(), tmp_path, {TIMES: some()})
    # What was written in this very second may be written again in it, where a date is all that the store tells.
    reader = far.repository()
    if isinstance(far, FarSftp):
        for path in far.root.iterdir():
            os.utime(path, (1e9, 1e9))
    index = reader.refresh()
    assert reader.refresh(index) is index
    assert far.repository().refresh(index) is index
    share(far.repository(), tmp_path, {ELSEWHERE: some()})
    assert sorted(entry.path for entry in reader.refresh(index)) == [TIMES, ELSEWHERE]
    assert reader.is_certain(index.fact("stamp")) is isinstance(far, FarS3)


def test_a_store_without_an_index_is_no_repository(far: Far) -> None:
    with pytest.raises(RepositoryNotFound, match=f"no {INDEX_NAME} at") as caught:
        far.repository().refresh()
    assert "onelight upload" in caught.value.hint


def test_what_somebody_else_has_put_there_meanwhile_is_not_replaced(far: Far, tmp_path: Path) -> None:
    first, second = far.repository(), far.repository()
    first.stored()
    second.stored()
    share(first, tmp_path, {TIMES: b"first"})
    source = tmp_path / "other"
    with pytest.raises(Taken):
        second.put(entry_of(source, TIMES, b"other"), source, lambda _: None)
    entry = second.put(entry_of(source, ELSEWHERE, b"mine"), source, lambda _: None)
    with pytest.raises(Taken, match="somebody else"):
        second.write_index(Index([entry]))
    [there] = far.repository().refresh()
    assert (there.path, there.size) == (TIMES, 5)
    assert [name for name in far.names() if is_part(name)] == []


def test_a_mark_is_made_by_one_only(far: Far) -> None:
    trees = [far.repository()._store for _ in range(2)]
    trees[0].make("")
    with ThreadPoolExecutor(6) as pool:
        tokens = [f"token-{number}" for number in range(6)]
        got = list(pool.map(lambda one: trees[one % 2].claim("mark.lock", tokens[one]), range(6)))
    assert sum(mine == token for mine, token in zip(got, tokens, strict=True)) == 1
    holder = trees[1].claim("mark.lock", "another")
    assert holder in tokens
    age = trees[0].age("mark.lock")
    assert age is not None
    assert 0 <= age < 60
    trees[1].remove("mark.lock")
    assert trees[0].age("mark.lock") is None
    assert trees[0].claim("mark.lock", "another") == "another"


def test_a_file_is_renamed_only_over_the_one_it_is_to_replace(far: Far, tmp_path: Path) -> None:
    tree = far.repository()._store
    source = tmp_path / "source"
    tree.make(SESSION)
    for name, content in (("a", b"first"), ("b", b"second"), ("c", b"the third")):
        tree.write(f"{SESSION}/{name}", source, entry_of(source, name, content), lambda _: None)
    there = tree.look(SESSION)
    with pytest.raises(Taken):
        tree.move(f"{SESSION}/a", f"{SESSION}/b", None)
    with pytest.raises(Taken):
        tree.move(f"{SESSION}/a", f"{SESSION}/b", there[f"{SESSION}/c"])
    with pytest.raises(NotFound):
        tree.move(f"{SESSION}/d", f"{SESSION}/e", None)
    tree.move(f"{SESSION}/c", f"{SESSION}/b", there[f"{SESSION}/b"])
    tree.move(f"{SESSION}/a", f"{SESSION}/new", None)
    assert {path: held.size for path, held in tree.look(SESSION).items()} == {f"{SESSION}/b": 9, f"{SESSION}/new": 5}
    tree.remove(SESSION)
    tree.remove(SESSION)
    assert tree.look(SESSION) == {}


_KILLED = """
import hashlib, json, sys
from pathlib import Path
from onelight.client import Client, Limits
from onelight.index import Entry
from onelight.kinds.remote import RemoteRepository
url, options, path, source = json.loads(sys.argv[1])
content = Path(source).read_bytes()
def told(count):
    print("begun", flush=True)
    sys.stdin.read()
repository = RemoteRepository("far", url, Client(), options=options)
repository.put(Entry(path, size=len(content), md5=hashlib.md5(content).hexdigest()), Path(source), told)
"""


def test_a_process_killed_while_it_sends_leaves_nothing_wrong(far: Far, tmp_path: Path) -> None:
    old, new = some(), some(3_000_000)
    share(far.repository(), tmp_path, {TIMES: old})
    source = tmp_path / "new"
    source.write_bytes(new)
    for path in (TIMES, ELSEWHERE):
        what = json.dumps([far.url, far.options, path, str(source)])
        with subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _KILLED, what], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            process.kill()
    again = far.repository()
    assert {entry.path: entry.md5 for entry in again.stored()} == {TIMES: hashlib.md5(old).hexdigest()}
    assert [entry.path for entry in far.repository().refresh()] == [TIMES]
    share(again, tmp_path, {TIMES: new, ELSEWHERE: new})
    outcomes = fetch(far.repository(), far.client, tmp_path / "to")
    assert [outcome.target.read_bytes() == new for outcome in outcomes] == [True, True]
    assert [name for name in far.names() if is_part(name)] == [], "what was half sent is tidied away"


def test_an_interrupted_download_goes_on_from_where_it_was(far: Far, tmp_path: Path) -> None:
    content = some(6_000_000)
    share(far.repository(), tmp_path, {TIMES: content})
    [step] = plan_download(far.repository().refresh(), tmp_path / "to", Ledger(tmp_path / "to"))
    assert isinstance(step, Fetch)
    step.target.parent.mkdir(parents=True)
    partial = Partial(Folders(tmp_path / "to").of(TIMES), step.target.name, expectation(step.entry))
    partial.claim()
    partial.write(0, [content[:5_000_000]])
    partial.release()
    reader = far.repository()
    reader.refresh()
    before = far.wire.came
    [outcome] = fetch(reader, far.client, tmp_path / "to")
    assert outcome.error is None
    assert (outcome.resumed_from, outcome.verified) == (5_000_000, Verified.MD5)
    assert outcome.target.read_bytes() == content
    assert far.wire.came - before < 2_000_000


def test_a_lost_connection_is_made_again_in_the_middle_of_a_file(far: Far, tmp_path: Path) -> None:
    content = some(8_000_000)
    share(far.repository(), tmp_path, {TIMES: content})
    reader = far.repository()
    reader.refresh()
    before = far.wire.came
    far.wire.cut_after = 5_500_000
    [outcome] = fetch(reader, far.client, tmp_path / "to")
    assert outcome.error is None
    assert outcome.target.read_bytes() == content
    assert far.wire.cuts == 1
    assert far.wire.came - before < 15_000_000


def test_a_slice_is_read_again_where_a_connection_was_lost(far: Far, tmp_path: Path) -> None:
    content = some(4_000_000)
    share(far.repository(), tmp_path, {TIMES: content})
    reader = far.repository()
    entry = reader.refresh()[TIMES]
    source = reader.source(entry)
    assert isinstance(source, Opened)
    with OpenedFile(source, far.client, name=TIMES, size=entry.size) as file:
        assert file.read_at(0, 100) == content[:100]
        far.wire.cut_after = 200_000
        assert file.read_at(1_000_000, 900_000) == content[1_000_000:1_900_000]
        assert far.wire.cuts == 1
        before = far.wire.came
        assert file.read_at(1_000_000, 100) == content[1_000_000:1_000_100]
        assert file.read_at(3_999_900, 1_000) == content[3_999_900:]
        assert far.wire.came - before < 500_000


def test_connections_that_were_lost_while_nobody_used_them_are_made_again(far: Far, tmp_path: Path) -> None:
    content = some(300_000)
    share(far.repository(), tmp_path, {TIMES: content})
    with Client(limits=Limits(connect=5, idle=5, attempts=2, pause=0.01)) as client:
        reader = far.repository(client=client)
        source = reader.source(reader.refresh()[TIMES])
        assert isinstance(source, Opened)
        for file in [source.open() for _ in range(5)]:
            file.close()
        far.wire.cut()
        assert reader._store.find(TIMES) is not None
        far.wire.cut()
        assert [entry.path for entry in reader.stored()] == [TIMES]
        with OpenedFile(source, client, name=TIMES) as slices:
            assert slices.read_at(0, 100) == content[:100]
            far.wire.cut()
            assert slices.read_at(280_000, 10_000) == content[280_000:290_000]


@needs_sshd
def test_a_date_of_this_moment_proves_nothing(far_sftp: FarSftp, tmp_path: Path) -> None:
    share(far_sftp.repository(), tmp_path, {TIMES: some()})
    for path in far_sftp.root.iterdir():
        os.utime(path, (4e9, 4e9))
    reader = far_sftp.repository()
    index = reader.refresh()
    assert reader.refresh(index) is not index
    assert not reader.is_certain(index.fact("stamp"))


@needs_sshd
def test_sftp_itself_replaces_no_file_that_somebody_puts_there_at_the_same_moment(
    far_sftp: FarSftp, tmp_path: Path
) -> None:
    tree = far_sftp.repository()._store
    far_sftp.root.mkdir()
    for name in ("a", "b"):
        (far_sftp.root / name).write_text(name)
    with pytest.raises(Taken):
        tree._do("", lambda fs: tree._rename(fs, "a", "b", None))
    assert (far_sftp.root / "b").read_text() == "b"


def test_a_server_that_is_gone_is_told_in_good_time(far: Far, tmp_path: Path) -> None:
    share(far.repository(), tmp_path, {TIMES: some()})
    reader = far.repository()
    index = reader.refresh()
    far.wire.__exit__()
    for again in (reader, far.repository()):
        with pytest.raises(Unreachable):
            again.refresh(index)
        with pytest.raises(Unreachable):
            again.stored()
    [outcome] = download(
        plan_download(index, tmp_path / "to", Ledger(tmp_path / "to")),
        reader,
        far.client,
        tmp_path / "to",
        Ledger(tmp_path / "to"),
    )
    assert isinstance(outcome.error, Unreachable)


def test_nobody_is_asked_where_the_network_is_not_to_be_used(far: Far) -> None:
    with Client(offline=True) as client:
        repository = far.repository(client=client)
        for ask in (repository.refresh, repository.stored):
            with pytest.raises(Unreachable, match="not to be used"):
                ask()
    assert far.wire.asked == 0


def test_a_dataset_is_described_and_sliced_without_fetching_all(
    far: Far, tmp_path: Path, add_repository: Callable[..., str]
) -> None:
    array = np.arange(1_000_000, dtype=np.float64)
    np.save(tmp_path / "spikes.times.npy", array)
    share(far.repository(), tmp_path, {TIMES: (tmp_path / "spikes.times.npy").read_bytes()})
    add_repository("far", "remote", url=far.url, options=far.options)
    one = One("far")
    before = far.wire.came
    [described] = one.describe(SESSION, "spikes.times").values()
    assert described.shape == (1_000_000,)
    with one.open(SESSION, "spikes.times") as lazy:
        np.testing.assert_array_equal(lazy[500_000:500_010], array[500_000:500_010])
    assert far.wire.came - before < 1_000_000
    np.testing.assert_array_equal(one.load_dataset(SESSION, "spikes.times"), array)


def test_who_may_not_come_in_is_told_so_and_no_secret_is_shown(
    far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    if isinstance(far, FarS3):
        repository = RemoteRepository("far", far.url, far.client, options={"endpoint_url": far.options["endpoint_url"]})
    else:
        options = {key: value for key, value in far.options.items() if key != "key_filename"}
        repository = RemoteRepository("far", far.url, far.client, password=CANARY, options=options)
    with pytest.raises(AccessDenied) as caught:
        repository.refresh()
    for text in (
        str(caught.value),
        repr(caught.value),
        repository.address,
        repository.identity,
        repr(repository._place),
    ):
        assert CANARY not in text
        assert "a-key-of-nobody" not in text


@needs_s3
def test_what_is_put_in_a_public_bucket_is_read_by_its_web_address(far_s3: FarS3, tmp_path: Path) -> None:
    base_url = f"http://127.0.0.1:{far_s3.wire.port}/{BUCKET}/data"
    public = {"options": {"s3_additional_kwargs": {"ACL": "public-read"}}, "base_url": base_url}
    files = {TIMES: some(2_000_000), CLUSTERS: some()}
    share(far_s3.repository(**public), tmp_path, files)
    [outcome, other] = fetch(far_s3.repository(**public), far_s3.client, tmp_path / "to")
    assert {outcome.path: outcome.target.read_bytes(), other.path: other.target.read_bytes()} == files
    reader = HttpRepository("web", base_url, far_s3.client)
    assert [entry.url for entry in reader.refresh()] == [f"{base_url}/{path}" for path in sorted(files)]
    assert far_s3.repository(**public).refresh()[TIMES].md5 == hashlib.md5(files[TIMES]).hexdigest()


@needs_sshd
def test_what_is_put_by_sftp_is_read_where_a_web_server_shows_it(
    far_sftp: FarSftp, tmp_path: Path, serve: Callable[[Path], Any]
) -> None:
    far_sftp.root.mkdir()
    base_url = serve(far_sftp.root).url
    writer = far_sftp.repository(base_url=base_url)
    share(writer, tmp_path, {TIMES: b"shown"})
    asked = far_sftp.wire.asked
    reader = far_sftp.repository(base_url=base_url)
    index = reader.refresh()
    assert index.fact("source") == reader.identity
    [outcome] = fetch(reader, far_sftp.client, tmp_path / "to")
    assert outcome.target.read_bytes() == b"shown"
    assert far_sftp.wire.asked == asked, "nobody has to sign in to read"


@needs_s3
def test_a_large_object_goes_in_parts_and_one_that_is_stopped_leaves_none(far_s3: FarS3, tmp_path: Path) -> None:
    content = some(18 << 20)
    source = tmp_path / "large"
    entry = entry_of(source, TIMES, content)
    repository = far_s3.repository()
    count = 0

    def stop(more: int) -> None:
        nonlocal count
        count += more
        if count > 17 << 20:
            raise OneError("enough")

    with pytest.raises(OneError, match="enough"):
        repository.put(entry, source, stop)
    assert (far_s3.s3.uploads(), far_s3.names()) == (0, [])
    stored = repository.put(entry, source, lambda _: None)
    assert far_s3.s3.files("data") == {TIMES: content}
    assert repository.stored()[TIMES].md5 == stored.md5 == entry.md5
    repository.write_index(Index([stored]))
    assert far_s3.repository().stored()[TIMES].md5 == entry.md5


@needs_s3
def test_the_tag_of_an_object_is_an_md5_only_where_no_other_key_encrypts_it(far_s3: FarS3, tmp_path: Path) -> None:
    source = tmp_path / "source"
    entry = entry_of(source, TIMES, b"content")
    plain = far_s3.repository()._store
    assert plain.write(TIMES, source, entry, lambda _: None) is True
    assert plain.look(f"{SESSION}/alf")[TIMES].md5 == entry.md5
    hidden = far_s3.repository(options={"s3_additional_kwargs": {"ServerSideEncryption": "aws:kms"}})._store
    assert hidden.write(TIMES, source, entry, lambda _: None) is False
    assert hidden.look(f"{SESSION}/alf")[TIMES].md5 is None


@needs_sshd
def test_a_server_that_nobody_knows_gets_no_password(far_sftp: FarSftp, ssh: Ssh, tmp_path: Path) -> None:
    unknown = tmp_path / "known_hosts"
    unknown.write_text("")
    with pytest.raises(AccessDenied, match="known_hosts") as caught:
        far_sftp.repository(options={"known_hosts": str(unknown)}).refresh()
    assert "fingerprint" in caught.value.hint
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    other = " ".join((tmp_path / "key.pub").read_text().split()[:2])
    unknown.write_text(f"[127.0.0.1]:{far_sftp.wire.port} {other}\n")
    with pytest.raises(UnsafeData, match="not the one"):
        far_sftp.repository(options={"known_hosts": str(unknown)}).refresh()


@needs_sshd
def test_a_disk_that_takes_no_more_is_told_and_what_was_half_sent_does_not_stay(client: Client, tmp_path: Path) -> None:
    (tmp_path / "sshd").mkdir()
    server = Ssh(tmp_path / "sshd", largest=2_000_000)
    try:
        options = server.options(server.port)
        url = f"sftp://{server.user}@127.0.0.1:{server.port}{tmp_path}/far"
        repository = RemoteRepository("far", url, client, options=options)
        share(repository, tmp_path, {TIMES: some()})
        source = tmp_path / "large"
        for size in (8_000_000, 2_030_000):  # the second is told with the last byte only
            with pytest.raises(RepositoryError):
                repository.put(entry_of(source, ELSEWHERE, some(size)), source, lambda _: None)
        assert [entry.path for entry in repository.stored()] == [TIMES]
        assert [path.name for path in (tmp_path / "far").rglob("*") if is_part(path.name)] == []
    finally:
        server.stop()


@needs_sshd
def test_a_folder_that_may_not_be_read_is_an_error_and_not_left_out(far_sftp: FarSftp, tmp_path: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("whoever may do everything is refused nothing")
    share(far_sftp.repository(), tmp_path, {TIMES: some()})
    (far_sftp.root / SESSION / "alf").chmod(0)
    try:
        with pytest.raises(AccessDenied):
            far_sftp.repository().stored()
    finally:
        (far_sftp.root / SESSION / "alf").chmod(0o755)


@needs_sshd
def test_a_file_that_grew_by_a_link_in_a_circle_is_told(far_sftp: FarSftp, tmp_path: Path) -> None:
    share(far_sftp.repository(), tmp_path, {TIMES: some()})
    (far_sftp.root / SESSION / "alf" / "again").symlink_to(far_sftp.root / SESSION)
    with pytest.raises(UnsafeData, match="deeper"):
        far_sftp.repository().stored()


# Without a store


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///data", "root_dir"),
        ("/data", "s3://"),
        ("memory://data", "s3://"),
        ("https://example.org/data", "base_url"),
        ("simplecache::s3://bucket/data", "s3://"),
        ("s3://bucket/data::zip", "s3://"),
        ("s3://", "no host or bucket"),
        ("sftp:///data", "no host or bucket"),
        ("s3://bucket/a/../b", "cannot be one"),
        ("s3://bucket/a?token=x", "cannot be one"),
        ("sftp://host:99999/data", "host that cannot be one"),
        ("smb://host", "no share"),
        ("s3://key@bucket/data", "knows none"),
    ],
)
def test_an_address_that_is_no_store_is_refused_with_what_to_use_instead(client: Client, url: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RemoteRepository("far", url, client)
    assert words in str(caught.value)


def test_a_password_in_an_address_is_refused_and_not_shown(client: Client) -> None:
    with pytest.raises(ConfigError, match="holds a password") as caught:
        RemoteRepository("far", f"sftp://me:{CANARY}@example.org/data", client)
    assert CANARY not in str(caught.value)


def test_a_password_goes_where_it_is_one_and_travels_encrypted(client: Client) -> None:
    with pytest.raises(ConfigError, match="knows none"):
        RemoteRepository("far", "s3://bucket/data", client, password=CANARY)
    with pytest.raises(UnsafeData, match="without encryption"):
        RemoteRepository("far", "ftp://example.org/data", client, password=CANARY, options={"tls": False})
    repository = RemoteRepository("far", "ftp://example.org/data", client, login="me", password=CANARY)
    assert repository._place.arguments == {"host": "example.org", "username": "me", "password": CANARY, "tls": True}


@pytest.mark.parametrize(
    ("url", "root", "arguments"),
    [
        ("s3://bucket", "bucket", {}),
        ("gs://bucket/a/b/", "bucket/a/b", {}),
        ("abfs://box@account.dfs.core.windows.net/a", "box/a", {"account_name": "account"}),
        ("az://box/a", "box/a", {}),
        ("SFTP://me@host:2222/a/b", "/a/b", {"host": "host", "port": 2222, "username": "me"}),
        ("sftp://host/~/a", "a", {"host": "host"}),
        ("ssh://[::1]:22/a", "/a", {"host": "::1", "port": 22}),
        ("smb://me@host/share/a", "/share/a", {"host": "host", "username": "me"}),
        ("ftp://host", "", {"host": "host"}),
    ],
)
def test_an_address_is_understood(client: Client, url: str, root: str, arguments: dict[str, Any]) -> None:
    place = RemoteRepository("far", url, client)._place
    assert (place.root, place.arguments) == (root, arguments)
    assert "me@" not in place.shown


def test_settings_make_it_and_to_say_where_it_is_needs_no_library(client: Client) -> None:
    options = {"url": "s3://bucket/data", "token": "", "options": {"secret": CANARY, "client_kwargs": {"key": "k" * 9}}}
    repository = open_repository(Settings("far", "remote", options), client)
    assert repository.address == "s3://bucket/data"
    assert CANARY not in repository.identity + repr(repository)
    assert hide_secrets(f"the {CANARY} is wrong") == "the … is wrong"
    with pytest.raises(ConfigError, match="url"):
        open_repository(Settings("far", "remote", {}), client)
    with pytest.raises(ConfigError, match="options"):
        open_repository(Settings("far", "remote", {"url": "s3://b", "options": ["a"]}), client)
    other = {**options, "options": {"secret": CANARY, "endpoint_url": "https://example.org"}}
    assert open_repository(Settings("far", "remote", other), client).identity != repository.identity


def test_what_lies_elsewhere_is_fetched_there(client: Client) -> None:
    repository = RemoteRepository("far", "s3://bucket/data", client)
    assert repository.source(Entry(TIMES, "https://example.org/x")) == (Route("https://example.org/x"),)
    assert repository.source(Entry(TIMES, "data:,", 0)) == Inline()
    source = repository.source(Entry(TIMES, f"{SESSION}/a%20b.part"))
    assert isinstance(source, Opened)
    assert source.name == f"s3://bucket/data/{SESSION}/a b.part"
    with pytest.raises(UnsafeData):
        repository.source(Entry(TIMES, "../../etc/passwd"))


@pytest.mark.parametrize(("url", "module"), [("s3://b", "s3fs"), ("sftp://h", "paramiko"), ("ftp://h", "fsspec")])
def test_a_package_that_is_missing_is_named(url: str, module: str) -> None:
    code = (
        "import sys; sys.modules[sys.argv[2]] = None\n"
        "from onelight.client import Client\n"
        "from onelight.errors import MissingExtra\n"
        "from onelight.kinds.remote import RemoteRepository\n"
        "try: RemoteRepository('far', sys.argv[1], Client()).refresh()\n"
        "except MissingExtra as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, url, module], capture_output=True, text=True, check=True)
    assert "is not installed" in done.stdout
    assert module in done.stdout
    assert "onelight[remote]" in done.stdout


def test_the_name_of_a_file_with_a_key_is_no_secret(tmp_path: Path) -> None:
    options = {"key_filename": str(tmp_path / "id_ed25519"), "known_hosts": str(tmp_path), "secret": "0123456789abcdef"}
    assert secrets_of({"a": [options]}) == ["0123456789abcdef"]
