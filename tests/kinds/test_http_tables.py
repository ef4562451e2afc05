"""A repository on a web server with tables beside its index: sizes and md5 are known of each file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import WebServer

from onelight.client import Client, Limits
from onelight.errors import ChecksumMismatch, SizeMismatch
from onelight.index import DATASETS_NAME, INDEX_NAME, Entry
from onelight.kinds.http import HttpRepository
from onelight.tables import write_tables
from onelight.transfer import Ledger, Verified, download, plan_download

SESSION = "lab/Subjects/Cori/2016-12-14/001"
TIMES, CLUSTERS = f"{SESSION}/alf/spikes.times.npy", f"{SESSION}/alf/spikes.clusters.npy"
FILES = {CLUSTERS: b"clusters", TIMES: b"the times"}


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def publish(server: WebServer, folder: Path, files: dict[str, bytes], *, with_md5: bool = True) -> None:
    """Put files, their index and their tables on the server, as `onelight index` would."""
    folder.mkdir(exist_ok=True)
    entries = [Entry(path, size=len(files[path]), md5=md5(files[path]) if with_md5 else None) for path in sorted(files)]
    write_tables(entries, folder)
    server.files.update({f"/data/{path}": content for path, content in files.items()})
    server.files[f"/data/{INDEX_NAME}"] = "".join(f"{path}\n" for path in sorted(files)).encode()
    server.files[f"/data/{DATASETS_NAME}"] = (folder / DATASETS_NAME).read_bytes()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebServer]:
    with WebServer() as server:
        publish(server, tmp_path / "tables", FILES)
        yield server


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=Limits(attempts=1)) as client:
        yield client


@pytest.fixture
def repository(server: WebServer, client: Client) -> HttpRepository:
    return HttpRepository("web", f"{server.url}/data", client)


def test_each_file_has_the_size_and_md5_of_the_table(repository: HttpRepository) -> None:
    stated = {entry.path: (entry.size, entry.md5) for entry in repository.refresh()}
    assert stated == {path: (len(content), md5(content)) for path, content in FILES.items()}


def test_what_is_fetched_is_compared_with_it(
    repository: HttpRepository, client: Client, server: WebServer, tmp_path: Path
) -> None:
    server.files[f"/data/{TIMES}"] = b"THE TIMES"
    server.files[f"/data/{CLUSTERS}"] = b"another size"
    folder = tmp_path / "to"
    plan = plan_download(repository.refresh(), folder, Ledger(folder))
    found = {one.path: one for one in download(plan, repository, client, folder, Ledger(folder))}
    assert isinstance(found[TIMES].error, ChecksumMismatch)
    assert isinstance(found[CLUSTERS].error, SizeMismatch)
    assert not (folder / TIMES).exists()


def test_what_is_right_is_verified(repository: HttpRepository, client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "to"
    plan = plan_download(repository.refresh(), folder, Ledger(folder))
    outcomes = download(plan, repository, client, folder, Ledger(folder))
    assert {one.verified for one in outcomes} == {Verified.MD5}


def test_nothing_new_costs_two_questions_and_no_bytes(repository: HttpRepository, server: WebServer) -> None:
    index = repository.refresh()
    server.requests.clear()
    assert repository.refresh(index) is index
    assert [(seen.path, seen.status) for seen in server.requests] == [
        (f"/data/{INDEX_NAME}", 304),
        (f"/data/{DATASETS_NAME}", 304),
    ]


def test_a_file_that_changed_under_its_name_is_noticed(
    repository: HttpRepository, server: WebServer, tmp_path: Path
) -> None:
    index = repository.refresh()
    publish(server, tmp_path / "tables", {**FILES, TIMES: b"corrected"})
    again = repository.refresh(index)
    assert again is not index
    assert again[TIMES].md5 == md5(b"corrected")
    assert again[CLUSTERS].md5 == md5(b"clusters")


def test_a_file_that_the_table_does_not_know_has_no_size(repository: HttpRepository, server: WebServer) -> None:
    other = f"{SESSION}/alf/trials.times.npy"
    server.files[f"/data/{INDEX_NAME}"] += f"{other}\n".encode()
    index = repository.refresh()
    assert (index[other].size, index[other].md5) == (None, None)
    assert index[TIMES].size == 9


def test_what_the_table_names_and_the_index_does_not_is_not_there(
    repository: HttpRepository, server: WebServer
) -> None:
    server.files[f"/data/{INDEX_NAME}"] = f"{TIMES}\n".encode()
    assert [entry.path for entry in repository.refresh()] == [TIMES]


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PAR1" + b"x" * 100 + b"PAR1"])
def test_a_table_that_cannot_be_read_is_said_and_the_index_answers(
    repository: HttpRepository, server: WebServer, content: bytes
) -> None:
    server.files[f"/data/{DATASETS_NAME}"] = content
    index = repository.refresh()
    assert [entry.size for entry in index] == [None, None]
    assert any("sizes and md5 are not known" in remark for remark in index.remarks)


def test_a_table_that_came_or_went_is_noticed_with_the_next_index(
    repository: HttpRepository, server: WebServer, tmp_path: Path
) -> None:
    index = repository.refresh()
    table = server.files.pop(f"/data/{DATASETS_NAME}")
    without = repository.refresh(index)
    assert [entry.size for entry in without] == [None, None]
    assert repository.refresh(without) is without
    server.files[f"/data/{DATASETS_NAME}"] = table
    server.files[f"/data/{INDEX_NAME}"] += b"\n"
    assert repository.refresh(without)[TIMES].size == 9


def test_without_md5_the_sizes_are_compared(
    server: WebServer, client: Client, repository: HttpRepository, tmp_path: Path
) -> None:
    publish(server, tmp_path / "plain", FILES, with_md5=False)
    folder = tmp_path / "to"
    plan = plan_download(repository.refresh(), folder, Ledger(folder))
    assert {one.verified for one in download(plan, repository, client, folder, Ledger(folder))} == {Verified.SIZE}
