"""A web server without an index: what its own lists of folders show is a repository, slower and unverified."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import WebServer

from onelight.client import Client, Limits
from onelight.errors import RepositoryNotFound, Unreachable, UnsafeData
from onelight.index import Index
from onelight.kinds import walking
from onelight.kinds.http import HttpRepository
from onelight.serving import Server
from onelight.transfer import Ledger, Verified, download, plan_download

SESSION = "lab/Subjects/Cori/2016-12-14/001"
FILES = {
    f"{SESSION}/alf/spikes.times.npy": b"the times",
    f"{SESSION}/alf/probe00/spikes.clusters.npy": b"clusters",
    f"{SESSION}/alf/#2024-05-06#/trials.choice.npy": b"a revision",
    "lab/Subjects/Cori/2016-12-14/002/alf/some name é.times.npy": b"odd",
}
BESIDE = ("README.txt", "photos/cat.jpg", "lab/notes.txt", "lab/Subjects/Cori/notes/x.y.npy", ".git/config")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for path, content in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    for path in BESIDE:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"beside")
    return root


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=Limits(attempts=2, pause=0.05)) as client:
        yield client


def check(index: Index, repository: HttpRepository, client: Client, folder: Path) -> None:
    assert [entry.path for entry in index] == sorted(FILES)
    assert any("there is no .one_root" in remark and "slower" in remark for remark in index.remarks)
    outcomes = download(plan_download(index, folder, Ledger(folder)), repository, client, folder, Ledger(folder))
    assert {one.path: one.target.read_bytes() for one in outcomes} == FILES
    assert {one.verified for one in outcomes} <= {Verified.SIZE, Verified.NOTHING}


def test_pages_for_people_are_read(root: Path, serve: Callable[[Path], Any], client: Client, tmp_path: Path) -> None:
    repository = HttpRepository("web", serve(root).url, client)
    check(repository.refresh(), repository, client, tmp_path / "to")


def test_our_own_server_states_the_sizes(root: Path, client: Client, tmp_path: Path) -> None:
    with Server(root) as server:
        repository = HttpRepository("web", server.url, client)
        index = repository.refresh()
        assert {entry.path: entry.size for entry in index} == {path: len(content) for path, content in FILES.items()}
        check(index, repository, client, tmp_path / "to")


@pytest.mark.skipif(shutil.which("rclone") is None, reason="rclone is not installed")
def test_webdav_is_asked_first(root: Path, client: Client, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["rclone", "serve", "webdav", str(root), "--addr", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        repository = HttpRepository("web", f"http://127.0.0.1:{port}", client)
        index = repository.refresh()
        assert {entry.path: entry.size for entry in index} == {path: len(content) for path, content in FILES.items()}
        check(index, repository, client, tmp_path / "to")
    finally:
        process.kill()
        process.wait()


def test_a_server_that_lists_nothing_has_no_repository(
    tmp_path: Path, serve: Callable[[Path], Any], client: Client
) -> None:
    with pytest.raises(RepositoryNotFound, match="no .one_root"):
        HttpRepository("web", serve(tmp_path).url, client).refresh()


def page(*names: str) -> bytes:
    return "".join(f'<a href="{name}">{name}</a>\n' for name in names).encode()


def test_lists_that_lead_in_circles_end(client: Client) -> None:
    with WebServer() as server:
        path = f"/data/{SESSION}/"
        for part in ("", "lab/", "lab/Subjects/", "lab/Subjects/Cori/", "lab/Subjects/Cori/2016-12-14/"):
            following = path.removeprefix(f"/data/{part}").split("/")[0]
            server.files[f"/data/{part}"] = page(f"{following}/")
        for _ in range(20):
            server.files[path] = page("again/", "a.b.npy")
            path += "again/"
        repository = HttpRepository("web", f"{server.url}/data", client)
        index = repository.refresh()
        assert 0 < len(index) < 12
        assert any("left out" in remark for remark in index.remarks)


def test_more_than_anybody_could_mean_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MAX_FOLDERS", 50)
    with WebServer() as server:
        server.files["/data/"] = page(*(f"lab{number}/" for number in range(60)))
        with pytest.raises(UnsafeData, match="more than 50 folders"):
            HttpRepository("web", f"{server.url}/data", client).refresh()


def test_links_elsewhere_lead_nowhere(client: Client) -> None:
    with WebServer() as elsewhere, WebServer() as server:
        server.files["/data/"] = page(
            "../secret/", f"{elsewhere.url}/lab/", "//127.0.0.1/lab/", "/etc/", "javascript:alert(1)", "%2e%2e/", "lab/"
        )
        server.files["/data/lab/"] = page("Subjects/")
        server.files["/data/lab/Subjects/"] = page()
        with pytest.raises(RepositoryNotFound):
            HttpRepository("web", f"{server.url}/data", client).refresh()
        assert elsewhere.requests == []
        assert {seen.path for seen in server.requests if seen.method == "GET"} == {
            "/data/.one_root",
            "/data/",
            "/data/lab/",
            "/data/lab/Subjects/",
        }


def test_a_server_that_stops_in_between_gives_no_part_of_it(client: Client, root: Path) -> None:
    with WebServer() as server:
        server.files["/data/"] = page("lab/")
        server.faults["/data/lab/"] = [lambda exchange: exchange.answer(503, b"")]
        with pytest.raises(Unreachable):
            HttpRepository("web", f"{server.url}/data", client).refresh()
