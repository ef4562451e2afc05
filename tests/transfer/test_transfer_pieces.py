"""Several connections for one large file: what is asked, where it goes, what of it is believed after a crash."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import servers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import AtOnce, Exchange, Good, WebServer, drip
from shelf import SESSION, entry, leftovers, start
from shelf import fetch as fetch_briskly

from onelight.client import Limits, Response
from onelight.errors import ChecksumMismatch, OneError, SizeMismatch, TransferError
from onelight.index import Entry
from onelight.transfer import Outcome
from onelight.transfer.answer import Copy, OtherBytes, place
from onelight.transfer.digest import STEP, Digest
from onelight.transfer.pieces import Pieces, Span

MB = 1_000_000
SIZE = 120 * MB
# About 60 MB/s and connection: so slow that others help, so fast that a test does not take long.
SLOWLY = drip(0.016, MB)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is large, and different everywhere."""
    path = tmp_path_factory.mktemp("large") / "ephys.raw.bin"
    noise = os.urandom(MB - 8)
    with path.open("wb") as stream:
        for number in range(SIZE // MB):
            stream.write(number.to_bytes(8, "big") + noise)
    return path


@pytest.fixture(scope="module")
def md5(content: Path) -> str:
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest() if hasattr(hashlib, "file_digest") else md5_of(content)


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def server(content: Path) -> Iterator[WebServer]:
    with WebServer() as running:
        running.files["/large"] = content
        yield running


def wanted(server: WebServer, md5: str | None) -> Entry:
    return Entry(f"{SESSION}/alf/ephys.raw.bin", f"{server.url}/large", SIZE, md5)


def fetch(entries: list[Entry], folder: Path, **more: Any) -> list[Outcome]:
    """Fetch with patience: on a busy machine an answer that was given up is under way for longer, and counted."""
    return fetch_briskly(entries, folder, **{"limits": Limits(idle=20, attempts=4, pause=0.01), **more})


def test_four_connections_share_a_file_that_comes_slowly(server: WebServer, md5: str, tmp_path: Path) -> None:
    counted = AtOnce(SLOWLY)
    server.faults["/large"] = [counted]
    [outcome] = fetch([wanted(server, md5)], tmp_path)
    assert outcome.error is None
    assert md5_of(outcome.target) == md5
    assert counted.most == 4
    spans = sorted((seen.range_start or 0, seen.range_end or SIZE) for seen in server.requests)
    assert [end for _, end in spans] == [*(begin for begin, _ in spans[1:]), SIZE]  # each byte once
    assert all("if-range" in seen.headers for seen in server.requests[1:])
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("how", ["a weak ETag", "no ETag", "no ranges", "one connection"])
def test_one_connection_where_parts_cannot_be_told_apart_or_nobody_wants_more(
    content: Path, md5: str, tmp_path: Path, how: str
) -> None:
    etag = {"a weak ETag": "weak", "no ETag": "none"}.get(how, "strong")
    with WebServer(etag=etag, ranges=how != "no ranges") as server:
        counted = AtOnce(SLOWLY)
        server.files["/large"], server.faults["/large"] = content, [counted]
        [outcome] = fetch([wanted(server, md5)], tmp_path, parallel=1 if how == "one connection" else 8)
        assert outcome.error is None
        assert md5_of(outcome.target) == md5
        assert counted.most == 1


def test_without_an_md5_a_strong_etag_is_enough(server: WebServer, md5: str, tmp_path: Path) -> None:
    server.faults["/large"] = [counted := AtOnce(SLOWLY)]
    [outcome] = fetch([wanted(server, None)], tmp_path)
    assert outcome.error is None
    assert md5_of(outcome.target) == md5
    assert counted.most > 1


def test_a_fast_server_is_not_asked_by_several(server: WebServer, md5: str, tmp_path: Path) -> None:
    """The md5 is the limit then, and more connections would only cost."""
    server.faults["/large"] = [counted := AtOnce(Good)]
    [outcome] = fetch([wanted(server, md5)], tmp_path)
    assert outcome.error is None
    assert counted.most <= 4


def breaks(exchange: Exchange) -> None:
    """Announce a part, send some of it, and hang up."""
    first, end = exchange.request.range_start or 0, exchange.request.range_end or SIZE
    headers = {"Content-Range": f"bytes {first}-{end - 1}/{SIZE}", "Content-Length": end - first, "ETag": exchange.etag}
    exchange.head(206, headers)
    for data in exchange.read(first, first + MB):
        exchange.send(data)
    raise servers.Hangup


@pytest.mark.parametrize("fault", [servers.status(500), servers.status(503), breaks, servers.cut(0, reset=True)])
def test_what_one_connection_loses_another_brings(
    server: WebServer, md5: str, tmp_path: Path, fault: servers.Fault
) -> None:
    server.faults["/large"] = [SLOWLY, SLOWLY, fault, SLOWLY, fault, SLOWLY]
    [outcome] = fetch([wanted(server, md5)], tmp_path)
    assert outcome.error is None
    assert md5_of(outcome.target) == md5


def test_a_server_that_sends_more_than_was_asked_for(server: WebServer, md5: str, tmp_path: Path) -> None:
    """RFC 9110, 14.2, lets it; and one that does so later is asked for all at once."""
    server.faults["/large"] = [servers.cut(SIZE)]
    [outcome] = fetch([wanted(server, md5)], tmp_path / "always")
    assert outcome.error is None
    assert len(server.requests) == 1
    server.heal()
    server.faults["/large"] = [SLOWLY, SLOWLY, SLOWLY, SLOWLY, servers.cut(SIZE)]
    [outcome] = fetch([wanted(server, md5)], tmp_path / "later")
    assert outcome.error is None
    assert md5_of(outcome.target) == md5


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_is_replaced_meanwhile_is_never_a_mixture(
    server: WebServer, content: Path, md5: str, tmp_path: Path, known: bool
) -> None:
    other = tmp_path / "other"
    other.write_bytes(bytes(SIZE))

    def replaced(exchange: Exchange) -> None:
        server.files["/large"] = other
        SLOWLY(exchange)

    server.faults["/large"] = [SLOWLY, SLOWLY, replaced, SLOWLY]
    [outcome] = fetch([wanted(server, md5 if known else None)], tmp_path / "to")
    if known:
        assert isinstance(outcome.error, (ChecksumMismatch, SizeMismatch))
        assert not outcome.target.exists()
    else:
        assert outcome.error is None
        assert md5_of(outcome.target) == md5_of(other)


@pytest.mark.skipif(os.name != "posix", reason="it kills")
@pytest.mark.parametrize("known", [True, False])
def test_after_a_kill_islands_are_not_taken_for_a_beginning(
    server: WebServer, md5: str, tmp_path: Path, known: bool
) -> None:
    server.faults["/large"] = [SLOWLY]
    one = wanted(server, md5 if known else None)
    with start([one], tmp_path) as process:
        until = time.monotonic() + 20
        while len(server.requests) < 5:
            assert time.monotonic() < until
            time.sleep(0.01)
        process.kill()
        process.communicate()
    server.heal()
    [outcome] = fetch([one], tmp_path)
    assert outcome.error is None
    assert md5_of(outcome.target) == md5
    assert outcome.resumed_from > 0
    assert server.requests[0].range_start == outcome.resumed_from
    assert leftovers(tmp_path) == []


# Bookkeeping


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=120)
@given(st.data())
def test_each_byte_is_fetched_once_whoever_gives_up(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 60))
    pieces = Pieces(have := data.draw(st.integers(0, size)))
    seen, grown, busy = [0] * size, [(have, have)], list[Span]()
    for _ in range(3000):
        if not busy or (len(busy) < 4 and data.draw(st.booleans())):
            span = pieces.take(size, data.draw(st.sampled_from([1, 7, 100, None])))
            if span is not None:
                busy.append(span)
            elif not busy:
                break
            continue
        span = data.draw(st.sampled_from(busy))
        assert span.end is not None
        count = data.draw(st.integers(0, span.end - span.at))
        for place_ in range(span.at, span.at + count):
            seen[place_] += 1
        grown.append(pieces.wrote(span, count))
        if span.is_whole or data.draw(st.integers(0, 9)) == 0:
            pieces.give_back(span)
            busy.remove(span)
    else:
        return  # it ran out of steps, not out of bytes
    assert seen == [0] * have + [1] * (size - have)
    assert pieces.length == size
    assert [before for before, _ in grown[1:]] == [after for _, after in grown[:-1]]


def test_a_file_of_unknown_size_is_one_span() -> None:
    pieces = Pieces(0)
    span = pieces.take(None, None)
    assert span is not None
    assert span.end is None
    assert pieces.wrote(span, 10) == (0, 10)
    pieces.give_back(span)
    again = pieces.take(None, None)
    assert again is not None
    assert again.at == pieces.length == 10


# The md5


def reading(content: bytes) -> Callable[[int, memoryview], int]:
    def read(offset: int, buffer: memoryview) -> int:
        data = content[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        return len(data)

    return read


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3_000_000), max_size=6))
def test_the_md5_is_that_of_the_bytes_however_many_come_at_a_time(sizes: list[int]) -> None:
    content = os.urandom(sum(sizes))
    marks: list[tuple[int, str]] = []
    digest = Digest(reading(content), lambda *mark: marks.append(mark))
    for size in sizes:
        digest.add(size)
    assert digest.md5() == hashlib.md5(content).hexdigest()
    digest.end()
    assert all(hashlib.md5(content[:length]).hexdigest() == md5 for length, md5 in marks)
    assert len(content) < 2 * STEP or marks


@pytest.mark.parametrize("size", [100, 3_000_000])
@pytest.mark.parametrize("short", [True, False])
def test_a_disk_that_cannot_be_read_is_told(size: int, short: bool) -> None:
    def fails(offset: int, buffer: memoryview) -> int:
        raise OSError(5, "Input/output error")

    digest = Digest(reading(b"") if short and size > 100 else fails, lambda *_: None)

    def take() -> None:  # in this thread, or in the one that takes the md5
        digest.add(size)
        digest.md5()

    with pytest.raises(OSError, match=r"Input/output|cannot be read"):
        take()
    digest.end()


# Where the bytes of an answer belong

ONE = Entry("lab/Subjects/Cori/2016-12-14/001/alf/a.b.npy", "http://x/1", 100, None)


@pytest.mark.parametrize(
    ("status", "headers", "asked", "known", "expected"),
    [
        (200, {"etag": '"a"', "content-length": "100"}, (0, None), Copy("", 100), (0, '"a"', None)),
        (200, {"etag": 'W/"a"'}, (0, None), Copy("", 100), (0, "", None)),
        (200, {"etag": '"b"'}, (50, None), Copy('"a"', 100), (0, '"b"', False)),
        (206, {"etag": '"a"', "content-range": "bytes 50-99/100"}, (50, None), Copy('"a"', 100), (50, '"a"', True)),
        (206, {"etag": '"a"', "content-range": "bytes 50-99/*"}, (50, None), Copy('"a"', 100), (50, '"a"', True)),
        (206, {"etag": 'W/"a"', "content-range": "bytes 0-9/100"}, (0, 10), Copy("", 100), (0, "", True)),
        (200, {"content-encoding": "gzip", "etag": '"z"'}, (0, None), Copy("", 100), (0, "", False)),
        (200, {"content-length": "99"}, (0, None), Copy("", 100), SizeMismatch),
        (206, {"content-range": "bytes 51-99/100"}, (50, None), Copy('"a"', 100), OtherBytes),
        (206, {"content-range": "bytes 50-99/101"}, (50, None), Copy('"a"', 100), OtherBytes),
        (206, {"etag": '"b"', "content-range": "bytes 50-99/100"}, (50, None), Copy('"a"', 100), SizeMismatch),
        (206, {"content-range": "bytes 50-99/100"}, (50, None), Copy('"a"', 100), SizeMismatch),
        (206, {}, (50, None), Copy('"a"', 100), OtherBytes),
        (206, {"content-type": "multipart/byteranges; boundary=x"}, (50, None), Copy('"a"', 100), OtherBytes),
        (206, {"content-range": "bytes 50-49/100"}, (50, None), Copy('"a"', 100), OtherBytes),
        (206, {"content-encoding": "gzip", "content-range": "bytes 50-99/100"}, (50, None), Copy(), OtherBytes),
        (200, {"content-encoding": "br"}, (0, None), Copy("", 100), TransferError),
    ],
)
def test_where_the_bytes_of_an_answer_belong(
    status: int,
    headers: dict[str, str],
    asked: tuple[int, int | None],
    known: Copy,
    expected: tuple[int, str, bool | None] | type[OneError],
) -> None:
    """Rows N10, N12, N14, N15 as a pure decision."""
    response = Response("http://x/1", status, headers)
    if isinstance(expected, tuple):
        placed = place(response, *asked, known, ONE)
        assert (placed.start, placed.copy.etag, placed.copy.ranges) == expected
    else:
        with pytest.raises(expected):
            place(response, *asked, known, ONE)


def test_an_etag_of_another_address_does_not_spoil_what_came_from_the_first(tmp_path: Path) -> None:
    """figshare's routes lead to servers with ETags of their own; the md5 says that the bytes are the same."""
    content = os.urandom(3 * MB)
    with WebServer() as one, WebServer() as two:
        one.files["/a.b.npy"] = two.files["/a.b.npy"] = content
        one.faults["/a.b.npy"] = [servers.cut(2 * MB), *[servers.cut(0)] * 9]
        two.etag = "none"
        known = entry("a.b.npy", f"{one.url}/a.b.npy", content)
        from onelight.route import Route

        routes = (Route(f"{one.url}/a.b.npy"), Route(f"{two.url}/a.b.npy"))
        [outcome] = fetch([known], tmp_path, sources={known.path: routes})
        assert outcome.error is None
        assert outcome.target.read_bytes() == content
        assert [seen.range_start for seen in two.requests] == [2 * MB]


class SlowSemaphore(threading.Semaphore):
    """Lets every other thread run between the look at how many there are and the next one."""

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        time.sleep(0.05)
        return super().acquire(blocking, timeout)


def test_two_connections_that_see_the_need_at_once_do_not_begin_a_fifth(
    server: WebServer, md5: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "Semaphore", SlowSemaphore)
    server.faults["/large"] = [counted := AtOnce(SLOWLY)]
    [outcome] = fetch([wanted(server, md5)], tmp_path)
    assert md5_of(outcome.target) == md5
    assert counted.most <= 4
