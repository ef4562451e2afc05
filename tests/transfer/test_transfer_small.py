"""Many small files go a quick way; whatever does not go well is done thoroughly, and ends as for a large file."""

from __future__ import annotations

import os
import time

import pytest
import servers
from servers import Good, WebServer, cut, redirect, status
from shelf import SESSION, entry, fetch, leftovers

from onelight.errors import ChecksumMismatch, NoSpace, NotFound, OneError, SizeMismatch, Unreachable
from onelight.transfer import Ledger, Status, plan_download
from onelight.transfer.partial import own_name
from onelight.transfer.place import Folders, flush

CONTENT = {f"o{number:02}.data.npy": os.urandom(2000 + number) for number in range(60)}


@pytest.fixture
def server():
    with WebServer() as running:
        for name, content in CONTENT.items():
            running.files[f"/{name}"] = content
        yield running


def wanted(server):
    return [entry(name, f"{server.url}/{name}", content) for name, content in CONTENT.items()]


def there(folder):
    return {path.name: path.read_bytes() for path in (folder / SESSION / "alf").iterdir()}


def test_all_of_them_come_with_one_request_each(server, tmp_path):
    outcomes = fetch(wanted(server), tmp_path)
    assert [outcome.status for outcome in outcomes] == [Status.DONE] * len(CONTENT)
    assert there(tmp_path) == CONTENT
    assert len(server.requests) == len(CONTENT)
    assert [
        step.target for step in plan_download(wanted(server), tmp_path, Ledger(tmp_path)) if hasattr(step, "why")
    ] == []


@pytest.mark.parametrize(
    "fault", [status(500), status(503, b"", **{"Retry-After": 0}), cut(500), servers.challenge, servers.page]
)
def test_what_fails_once_is_asked_again(server, tmp_path, fault):
    server.faults["/o07.data.npy"] = [fault, Good]
    outcomes = fetch(wanted(server), tmp_path)
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert there(tmp_path) == CONTENT


def test_a_server_that_asks_for_patience_gets_it_from_all(server, tmp_path):
    server.faults["/o07.data.npy"] = [status(429, b"", **{"Retry-After": 1}), Good]
    begun = time.monotonic()
    fetch(wanted(server), tmp_path)
    assert time.monotonic() - begun >= 1
    assert there(tmp_path) == CONTENT
    assert len(server.requests) == len(CONTENT) + 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status(404), NotFound),
        (servers.short(10), SizeMismatch),
        (servers.longer(10), SizeMismatch),
        (servers.challenge, OneError),
    ],
)
def test_one_that_fails_for_good_is_told_and_the_others_are_there(server, tmp_path, fault, error):
    server.faults["/o07.data.npy"] = [fault]
    outcomes = fetch(wanted(server), tmp_path)
    failed = [outcome for outcome in outcomes if outcome.error]
    assert [outcome.path.rpartition("/")[2] for outcome in failed] == ["o07.data.npy"]
    assert isinstance(failed[0].error, error)
    assert there(tmp_path) == {name: content for name, content in CONTENT.items() if name != "o07.data.npy"}


def test_other_bytes_of_the_same_size_are_refused(server, tmp_path):
    server.files["/o07.data.npy"] = os.urandom(len(CONTENT["o07.data.npy"]))
    failed = [outcome for outcome in fetch(wanted(server), tmp_path) if outcome.error]
    assert [type(outcome.error) for outcome in failed] == [ChecksumMismatch]
    assert "o07.data.npy" not in there(tmp_path)


def test_a_server_that_is_gone_is_not_asked_for_every_file(tmp_path):
    gone = [entry(name, f"http://127.0.0.1:{servers.free_port()}/{name}", content) for name, content in CONTENT.items()]
    outcomes = fetch(gone, tmp_path)
    assert all(isinstance(outcome.error, Unreachable) for outcome in outcomes)
    assert sum("was not asked for" in str(outcome.error) for outcome in outcomes) >= len(CONTENT) - 8 - 8


def test_redirects_are_followed(server, tmp_path):
    server.files["/elsewhere"] = CONTENT["o07.data.npy"]
    server.faults["/o07.data.npy"] = [redirect("/elsewhere")]
    fetch(wanted(server), tmp_path)
    assert there(tmp_path) == CONTENT
    assert len(server.requests) == len(CONTENT) + 1


def test_what_a_killed_run_left_is_used_or_cleared_away(server, tmp_path):
    """Row L3."""
    for one in wanted(server):
        target = tmp_path / one.path
        target.parent.mkdir(parents=True, exist_ok=True)
        ours = own_name(target.name, one)
        owner = f"-{os.getpid()}-"
        assert owner in ours
        # No process has this number on Linux.
        (target.parent / ours.replace(owner, "-4194303-")).write_bytes(CONTENT[target.name][:1000])
    fetch(wanted(server), tmp_path)
    assert there(tmp_path) == CONTENT
    assert leftovers(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_there(server, tmp_path):
    """Row L2."""
    (tmp_path / SESSION).parent.mkdir(parents=True)
    (tmp_path / SESSION).write_bytes(b"a file is in the way of the folder")
    with pytest.raises(OneError, match="cannot be"):
        fetch(wanted(server), tmp_path)


def test_files_and_folders_are_flushed_one_by_one_and_many_at_once(tmp_path):
    """Row L5."""
    folders = Folders(tmp_path)
    files = []
    for number in range(20):
        path = f"{number}/x"
        os.close(folders.of(path).create("x"))
        files.append((folders.of(path), "x"))
    flush(files)
    flush(files[:2])
    folders.flush()
    with pytest.raises(FileNotFoundError):
        flush([(folders.of("0/x"), "y")])


def test_names_that_cannot_be_made_durable_are_told(server, tmp_path, monkeypatch):
    """Row L5."""

    def fails(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Folders, "flush", fails)
    outcomes = fetch(wanted(server), tmp_path)
    assert all(isinstance(outcome.error, NoSpace) for outcome in outcomes)
    assert "could not be flushed" in str(outcomes[0].error)


@pytest.mark.parametrize("fault", [status(404), status(403)])
def test_what_is_refused_for_good_is_not_asked_twice(server, tmp_path, fault):
    server.faults["/o07.data.npy"] = [fault]
    fetch(wanted(server), tmp_path)
    assert len(server.requests) == len(CONTENT)
