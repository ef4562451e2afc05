"""A partial file has one owner, and losing it does no harm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from servers import Good, WebServer, cut
from shelf import entry, fetch, leftovers

from onelight.transfer.partial import Known, Partial, expectation
from onelight.transfer.place import Folders

A, B = os.urandom(3_500_000), os.urandom(3_500_000)
PATH = "/spikes.times.npy"


def of(folder: Path, expected: str = "10 md5", name: str = "spikes.times.npy") -> Partial:
    return Partial(Folders(folder).of(name), name, expected)


def begun(folder: Path, content: bytes) -> Partial:
    partial = of(folder)
    partial.claim()
    partial.write(0, [content])
    return partial


def content_of(partial: Partial) -> bytes:
    return Path(partial.path).read_bytes()


def test_what_one_left_the_next_continues(tmp_path):
    first = begun(tmp_path, b"12345")
    first.remember('"a"', 10)
    first.mark(5, "md5 of 12345")
    first.release()
    second = of(tmp_path)
    assert second.claim() == Known('"a"', marks=[(5, "md5 of 12345")])
    assert content_of(second) == b"12345"
    second.discard()
    assert list(tmp_path.iterdir()) == []


def test_other_content_of_the_same_name_is_not_continued(tmp_path):
    begun(tmp_path, b"12345").release()
    other = of(tmp_path, "10 another md5")
    other.claim()
    assert content_of(other) == b""
    other.discard()


def test_a_living_owner_is_left_alone(tmp_path):
    """Row L8."""
    first = begun(tmp_path, b"12345")
    second = of(tmp_path)
    second.claim()
    assert second.path != first.path
    assert content_of(second) == b""
    second.discard()
    first.discard()


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be renamed on Windows")
def test_an_owner_whose_file_was_taken_over_does_not_touch_it_any_more(tmp_path):
    """Row L8."""
    old = begun(tmp_path, b"12345")
    final = tmp_path / "spikes.times.npy"
    Path(old.path).rename(final)  # what another process does that took it over and committed it
    assert not old.is_own()
    old.restart()
    assert old.is_own()
    assert final.read_bytes() == b"12345"
    old.discard()
    assert final.read_bytes() == b"12345"


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be renamed on Windows")
def test_a_restart_forgets_what_was_known_of_the_servers_copy(tmp_path):
    first = begun(tmp_path, b"12345")
    first.remember('"a"', 10)
    first.restart()
    first.release()
    assert [path for path in tmp_path.iterdir() if path.suffix == ".json"] == []


def test_long_names_fit_the_file_system(tmp_path):
    """Row L12."""
    partial = of(tmp_path, "1 md5", f"{'x' * 240}.a.npy")
    partial.claim()
    assert len(partial.name.encode()) <= 255
    partial.commit()
    assert [path.name for path in tmp_path.iterdir()] == [f"{'x' * 240}.a.npy"]


def test_bytes_of_a_copy_without_an_etag_are_not_taken_for_those_of_an_older_one_with(tmp_path):
    """A with an ETag is cut; the next answer is B without one, cut too; nobody may mix the two."""
    with WebServer() as server:
        server.files[PATH], server.faults[PATH] = A, [cut(1_500_000)]
        wanted = entry("spikes.times.npy", server.url + PATH, A, md5=False, size=False)
        left = tmp_path / Path(wanted.path).parent
        left.mkdir(parents=True)
        partial = of(left, expectation(wanted))
        partial.claim()
        partial.remember('"of A"', None)
        partial.restart()
        partial.write(0, [B[:2_000_000]])
        partial.release()
        server.files[PATH], server.faults[PATH] = A, [Good]
        [outcome] = fetch([wanted], tmp_path)
        assert outcome.error is None
        assert outcome.target.read_bytes() == A
        assert leftovers(tmp_path) == []


def test_what_a_failed_run_brought_from_a_plain_web_server_is_continued_by_the_next(tmp_path):
    with WebServer() as server:
        server.files[PATH], server.faults[PATH] = A, [cut(1_000_000), *[cut(0)] * 20]
        wanted = entry("spikes.times.npy", server.url + PATH, A, md5=False, size=False)
        [outcome] = fetch([wanted], tmp_path)
        assert outcome.error is not None
        server.faults[PATH] = [Good]
        before = len(server.requests)
        [outcome] = fetch([wanted], tmp_path)
        assert outcome.error is None
        assert outcome.target.read_bytes() == A
        assert [request.headers.get("range") for request in server.requests[before:]] == ["bytes=1000000-"]
