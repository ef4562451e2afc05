"""Whatever a server does: the right bytes, or a true error and no file. Then the same command again, and all is well.

The rows are those of a comparison of eleven trusted tools, none of which passes all of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import servers
from servers import Fault, Good, WebServer, cut, redirect, status, then_swap
from shelf import entry, fetch, leftovers

from onelight.client import Limits
from onelight.errors import (
    AccessDenied,
    ChecksumMismatch,
    Interrupted,
    NotFound,
    OneError,
    RateLimited,
    RepositoryError,
    SizeMismatch,
    TransferError,
    Unreachable,
    UnsafeData,
)
from onelight.index import Entry
from onelight.route import Route
from onelight.transfer import Outcome, Silent, Status, Verified
from onelight.transfer.digest import STEP

A = os.urandom(3_500_000)  # more than every buffer on the way
B = os.urandom(3_500_000)  # of the same size, as a corrected file often is
PATH = "/spikes.times.npy"
LATE = servers.formatted_date(1_000_000_001)

KNOWN = {
    "size and md5": {"size": True, "md5": True},
    "size": {"size": True, "md5": False},
    "md5": {"size": False, "md5": True},
    "nothing": {"size": False, "md5": False},
}


@dataclass(frozen=True)
class Row:
    """A fault: what the server does in turn, and what may come of it where this much is known of the file."""

    name: str
    faults: list[Fault]
    server: dict[str, object] = field(default_factory=dict)
    right: bytes = A
    error: type[OneError] | None = None
    """What it becomes for those of ``fails``."""
    fails: tuple[str, ...] = ()
    known: tuple[str, ...] = tuple(KNOWN)
    resumes: bool | None = None

    def __str__(self) -> str:
        return self.name


ALL = tuple(KNOWN)
WITH_MD5, WITHOUT_MD5 = ("size and md5", "md5"), ("size", "nothing")
WITH_SIZE = ("size and md5", "size")
ROWS = [
    Row("good", [Good]),
    Row("good, without ETag", [Good], {"etag": "none"}),
    Row("FIN", [cut(1_500_000), Good], resumes=True),
    Row("RST", [cut(1_500_000, reset=True), Good]),
    Row("FIN at once", [cut(0), Good]),
    Row("FIN every 1 MB", [cut(1_000_000)], resumes=True),
    Row("FIN always at the first byte", [cut(0)], error=Unreachable, fails=ALL),
    Row("FIN, Range ignored", [cut(1_500_000), Good], {"ranges": False}),
    Row("FIN always, Range ignored", [cut(1_000_000)], {"ranges": False}, error=Unreachable, fails=ALL),
    Row("FIN, no ETag", [cut(1_500_000), Good], {"etag": "none"}),
    Row("FIN, weak ETag", [cut(1_500_000), Good], {"etag": "weak"}),
    Row("FIN three times, then 503", [cut(900_000), status(503), cut(900_000), status(429, Retry_After=0), Good]),
    Row("short, consistently", [servers.short(10)], error=TransferError, fails=(*WITH_MD5, "size"), known=ALL[:3]),
    Row("empty", [servers.empty], error=TransferError, fails=ALL[:3], known=ALL[:3]),
    Row("longer, consistently", [servers.longer(10)], error=TransferError, fails=ALL[:3], known=ALL[:3]),
    Row("endless", [servers.endless], error=SizeMismatch, fails=WITH_SIZE, known=WITH_SIZE),
    Row("no length, whole", [servers.without_length()]),
    Row("no length, cut once", [servers.without_length(1_500_000), Good], known=WITH_SIZE),
    Row("no length, cut", [servers.without_length(1_500_000)], error=TransferError, fails=("md5",), known=("md5",)),
    Row("chunked, whole", [servers.chunked()]),
    Row("chunked, cut", [servers.chunked(1_500_000), Good], resumes=True),
    Row("gzip that nobody asked for", [servers.gzipped]),
    Row("416 to a range", [cut(1_500_000), status(416), Good], known=ALL),
    Row("206 of other bytes, honestly", [cut(1_500_000), servers.wrong_range(-1000), Good]),
    Row("206 from the beginning, honestly", [cut(1_500_000), servers.wrong_range(-1_500_000), Good]),
    Row("206 without saying which", [cut(1_500_000), servers.no_content_range, Good]),
    Row("206 that lies", [cut(1_500_000), servers.lying_range, Good], known=WITH_MD5),
    Row("206 always lies", [cut(1_500_000), servers.lying_range], error=ChecksumMismatch, fails=ALL, known=WITH_MD5),
    Row("206 to a request for all", [servers.wrong_range(1000)], error=Unreachable, fails=ALL),
    Row("429 twice, seconds", [status(429, Retry_After=0), status(429, Retry_After="0"), Good]),
    Row("503 twice, date", [status(503, Date=LATE, Retry_After=LATE), status(503, Date=LATE, Retry_After=LATE), Good]),
    Row("503 for hours", [status(503, Retry_After=9999)], error=RateLimited, fails=ALL),
    Row("503, 500, 502", [status(503), status(500), status(502), Good]),
    Row("500 always", [status(500)], error=Unreachable, fails=ALL),
    Row("202, firewall", [servers.challenge], error=Unreachable, fails=ALL),
    Row("200, login page", [servers.page], error=TransferError, fails=ALL),
    Row("200, login page as long as the file", [servers.page_as_long_as_the_file], error=TransferError, fails=ALL),
    Row("login page instead of the rest", [cut(1_500_000), servers.page, Good], error=TransferError, fails=ALL[3:]),
    Row("401", [status(401)], error=AccessDenied, fails=ALL),
    Row("403 page", [status(403, b"<html>nginx</html>")], error=AccessDenied, fails=ALL),
    Row("404", [status(404)], error=NotFound, fails=ALL),
    Row("400", [status(400)], error=RepositoryError, fails=ALL),
    Row("redirect loop", [redirect(PATH)], error=UnsafeData, fails=ALL),
    Row("redirect to a local file", [redirect("file:///etc/hostname")], error=UnsafeData, fails=ALL),
    Row("redirect into a private network", [redirect("http://10.1.2.3/x")], error=UnsafeData, fails=ALL),
    Row("swapped while cut", [then_swap(cut(1_500_000), B), Good], right=B, error=ChecksumMismatch, fails=WITH_MD5),
    Row(
        "swapped while cut, If-Range ignored",
        [then_swap(cut(1_500_000), B), Good],
        {"if_range": False},
        right=B,
        error=ChecksumMismatch,
        fails=WITH_MD5,
    ),
    Row(
        "swapped while cut, no ETag",
        [then_swap(cut(1_500_000), B), Good],
        {"etag": "none"},
        right=B,
        error=ChecksumMismatch,
        fails=WITH_MD5,
    ),
    Row(
        "swapped while cut, weak ETag",
        [then_swap(cut(1_500_000), B), Good],
        {"etag": "weak"},
        right=B,
        error=ChecksumMismatch,
        fails=WITH_MD5,
    ),
    Row(
        "swapped for a longer one while cut",
        [then_swap(cut(1_500_000), B + A), Good],
        right=B + A,
        error=TransferError,
        fails=ALL[:3],
    ),
    Row("damaged at the same size", [then_swap(Good, A), Good], known=ALL),
]  # fmt: skip
CASES = [pytest.param(row, known, id=f"{row}-{known}") for row in ROWS for known in row.known]


def reached(folder: Path, wanted: Entry) -> bytes | None:
    """Return what stands under the final name, if anything."""
    path = folder / wanted.path
    return path.read_bytes() if path.exists() else None


@pytest.mark.parametrize(("row", "known"), CASES)
def test_right_bytes_or_a_true_error_and_no_file(row: Row, known: str, tmp_path: Path) -> None:
    """Rows N1, N2, N4 to N7, N9, N11 to N21, and N26."""
    with WebServer(**row.server) as server:
        server.files[PATH], server.faults[PATH] = A, row.faults
        wanted = entry("spikes.times.npy", server.url + PATH, A, **KNOWN[known])
        [outcome] = fetch([wanted], tmp_path)
        there = reached(tmp_path, wanted)
        if known in row.fails:
            assert row.error is not None
            assert isinstance(outcome.error, row.error), outcome
            assert outcome.status is Status.FAILED
            assert there is None
            assert wanted.path in outcome.error.message or row.error is UnsafeData
        else:
            assert outcome.error is None, outcome.error
            assert there == row.right
            assert outcome.size == len(row.right)
            assert leftovers(tmp_path) == []
            assert outcome.verified is (Verified.MD5 if "md5" in known else outcome.verified)
        if row.resumes:
            assert any(seen.range_start for seen in server.requests), "it began anew instead of going on"
        server.heal()
        server.files[PATH] = A
        again = fetch([entry("spikes.times.npy", server.url + PATH, A)], tmp_path)
        assert again[0].error is None
        assert reached(tmp_path, wanted) == A


def test_a_server_that_falls_silent_is_asked_for_the_rest(tmp_path: Path) -> None:
    """Row N23."""
    with WebServer() as server:
        server.files[PATH], server.faults[PATH] = A, [servers.stall(1_400_000), Good]
        wanted = entry("spikes.times.npy", server.url + PATH, A, md5=False)
        [outcome] = fetch([wanted], tmp_path)
        assert outcome.error is None
        assert reached(tmp_path, wanted) == A
        assert server.requests[1].range_start


def test_without_md5_and_length_a_file_is_called_unverified(tmp_path: Path) -> None:
    """Row N5."""
    with WebServer(etag="none") as server:
        server.files[PATH], server.faults[PATH] = A, [servers.without_length()]
        [outcome] = fetch([entry("spikes.times.npy", server.url + PATH)], tmp_path)
        assert (outcome.status, outcome.verified) == (Status.DONE, Verified.NOTHING)


def test_a_size_alone_is_called_no_more_than_that(tmp_path: Path) -> None:
    with WebServer() as server:
        server.files[PATH] = A
        [outcome] = fetch([entry("spikes.times.npy", server.url + PATH, A, md5=False)], tmp_path)
        assert outcome.verified is Verified.SIZE


# Several routes


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        running.files["/one"] = running.files["/two"] = A
        yield running


def by_two_routes(server: WebServer, folder: Path, wanted: Entry) -> Outcome:
    routes = (Route(f"{server.url}/one"), Route(f"{server.url}/two"))
    return fetch([wanted], folder, sources={wanted.path: routes}, limits=Limits(idle=1, attempts=2, pause=0.01))[0]


@pytest.mark.parametrize(
    "fault",
    [
        servers.challenge,
        servers.page,
        servers.page_as_long_as_the_file,
        status(403),
        status(404),
        status(500),
        servers.short(5),
        servers.no_content_range,
        servers.gzipped,
        servers.hangs_up,
        then_swap(Good, B),
    ],
)
@pytest.mark.parametrize("known", WITH_SIZE)
def test_a_route_that_gives_no_data_is_left_for_the_next(
    server: WebServer, tmp_path: Path, fault: Fault, known: str
) -> None:
    """Row N20."""
    server.faults["/one"] = [fault]
    wanted = entry("spikes.times.npy", "", A, **KNOWN[known])
    outcome = by_two_routes(server, tmp_path, wanted)
    assert outcome.error is None
    assert reached(tmp_path, wanted) == A


def test_the_second_route_continues_what_the_first_began_where_an_md5_tells(server: WebServer, tmp_path: Path) -> None:
    server.faults["/one"] = [cut(2_000_000), servers.hangs_up]
    wanted = entry("spikes.times.npy", "", A)
    assert by_two_routes(server, tmp_path, wanted).error is None
    assert next(seen.range_start for seen in server.requests if seen.path == "/two")


def test_the_second_route_begins_anew_where_nothing_tells(server: WebServer, tmp_path: Path) -> None:
    server.faults["/one"] = [cut(2_000_000), servers.hangs_up]
    server.files["/two"] = B
    wanted = entry("spikes.times.npy", "", A, md5=False)
    assert by_two_routes(server, tmp_path, wanted).error is None
    assert reached(tmp_path, wanted) == B


def test_when_every_route_fails_the_most_telling_reason_comes_first_and_the_others_are_named(
    server: WebServer, tmp_path: Path
) -> None:
    server.faults["/one"], server.faults["/two"] = [status(500)], [servers.challenge]
    outcome = by_two_routes(server, tmp_path, entry("spikes.times.npy", "", A))
    assert isinstance(outcome.error, Unreachable)
    assert "firewall's challenge" in outcome.error.message
    assert "500" in outcome.error.message


def test_why_an_address_was_left_is_told_although_the_next_one_is_good(server: WebServer, tmp_path: Path) -> None:
    reasons = []

    class Watcher(Silent):
        def again(self, path: str, reason: str, wait: float) -> None:
            reasons.append(reason)

    server.faults["/one"], server.faults["/two"] = [servers.challenge], [Good]
    wanted, watcher = entry("spikes.times.npy", "", A), Watcher()
    routes = (Route(f"{server.url}/one"), Route(f"{server.url}/two"))
    [outcome] = fetch([wanted], tmp_path, sources={wanted.path: routes}, progress=watcher)
    assert outcome.error is None
    assert ["firewall" in reason for reason in reasons] == [True]


# Across runs of one process


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("etag", ["strong", "none"])
@pytest.mark.parametrize("if_range", [True, False])
def test_a_partial_file_never_mixes_with_another_content(known: str, etag: str, if_range: bool, tmp_path: Path) -> None:
    """Row N14."""
    with WebServer(etag=etag, if_range=if_range) as server:
        server.files[PATH], server.faults[PATH] = A, [cut(2_000_000), status(500)]
        [first] = fetch([entry("spikes.times.npy", server.url + PATH, A, **KNOWN[known])], tmp_path)
        assert isinstance(first.error, Unreachable)
        server.heal()
        server.files[PATH] = B
        wanted = entry("spikes.times.npy", server.url + PATH, A, **KNOWN[known])
        [second] = fetch([wanted], tmp_path)
        if "md5" in known:
            assert isinstance(second.error, ChecksumMismatch)
            assert reached(tmp_path, wanted) is None
        else:
            assert reached(tmp_path, wanted) == B
        # and an index that knows of the new content has it
        told = entry("spikes.times.npy", server.url + PATH, B)
        assert fetch([told], tmp_path)[0].error is None
        assert reached(tmp_path, told) == B


def test_a_partial_file_is_continued_by_the_next_run(tmp_path: Path) -> None:
    """Row N2."""
    with WebServer() as server:
        server.files[PATH], server.faults[PATH] = A, [cut(2_000_000), status(500)]
        wanted = entry("spikes.times.npy", server.url + PATH, A)
        fetch([wanted], tmp_path)
        [left] = [path for path in leftovers(tmp_path) if path.suffix == ".part"]
        assert left.read_bytes() == A[: left.stat().st_size]
        server.heal()
        [outcome] = fetch([wanted], tmp_path)
        assert outcome.resumed_from == server.requests[0].range_start == 2_000_000
        assert reached(tmp_path, wanted) == A
        assert leftovers(tmp_path) == []


@pytest.mark.parametrize("damaged_at", [0, STEP - 100, 2 * STEP + 5, 4 * STEP])
def test_a_partial_file_is_continued_from_the_last_mark_before_the_damage(tmp_path: Path, damaged_at: int) -> None:
    content = os.urandom(5 * STEP)
    with WebServer() as server:
        server.files[PATH], server.faults[PATH] = content, [cut(4 * STEP + 2_000_000), status(500)]
        wanted = entry("spikes.times.npy", server.url + PATH, content)
        fetch([wanted], tmp_path)
        [left] = [path for path in leftovers(tmp_path) if path.suffix == ".part"]
        with left.open("r+b") as stream:
            stream.seek(damaged_at)
            stream.write(b"torn page")
        server.heal()
        [outcome] = fetch([wanted], tmp_path)
        assert outcome.error is None
        assert reached(tmp_path, wanted) == content
        [request] = server.requests
        assert damaged_at - 2 * STEP < (request.range_start or 0) <= damaged_at


def test_a_partial_file_that_was_damaged_costs_no_second_try(tmp_path: Path) -> None:
    with WebServer() as server:
        server.files[PATH], server.faults[PATH] = A, [cut(2_000_000), status(500)]
        wanted = entry("spikes.times.npy", server.url + PATH, A)
        fetch([wanted], tmp_path)
        [left] = [path for path in leftovers(tmp_path) if path.suffix == ".part"]
        with left.open("r+b") as stream:
            stream.seek(1_000_000)
            stream.write(b"torn page")
        server.heal()
        [outcome] = fetch([wanted], tmp_path)
        assert outcome.error is None
        assert reached(tmp_path, wanted) == A
        assert [seen.range_start for seen in server.requests] == [None]


@pytest.mark.parametrize("extra", [0, 1, 100_000])
def test_a_partial_file_as_long_as_the_file_or_longer(tmp_path: Path, extra: int) -> None:
    """Row N16."""
    with WebServer() as server:
        server.files[PATH], server.faults[PATH] = A, [cut(2_000_000), status(500)]
        wanted = entry("spikes.times.npy", server.url + PATH, A)
        fetch([wanted], tmp_path)
        [left] = [path for path in leftovers(tmp_path) if path.suffix == ".part"]
        left.write_bytes(A + bytes(extra))
        server.heal()
        [outcome] = fetch([wanted], tmp_path)
        assert outcome.error is None
        assert reached(tmp_path, wanted) == A
        assert len(server.requests) == 0 if not extra else len(server.requests) in (1, 2)


def test_what_is_known_of_the_partial_file_may_be_nonsense(tmp_path: Path) -> None:
    with WebServer() as server:
        server.files[PATH], server.faults[PATH] = A, [cut(2_000_000), status(500)]
        wanted = entry("spikes.times.npy", server.url + PATH, A, md5=False)
        for nonsense in (b"", b"[1]", b"\xff", b'{"etag": "\\"other\\""}', b'{"etag": null}'):
            server.forget()
            server.faults[PATH] = [cut(2_000_000), status(500)]
            fetch([wanted], tmp_path)
            for path in leftovers(tmp_path):
                if path.suffix == ".json":
                    path.write_bytes(nonsense)
            server.heal()
            assert fetch([wanted], tmp_path)[0].error is None
            assert reached(tmp_path, wanted) == A
            (tmp_path / wanted.path).unlink()


def test_progress_adds_up_whatever_happens(server: WebServer, tmp_path: Path) -> None:
    """Row N11."""

    class Watcher:
        def __init__(self) -> None:
            self.told: list[object] = []
            self.bytes = 0

        def begin(self, files: int, size: int) -> None:
            self.told.append((files, size))

        def start(self, path: str, size: int | None) -> None:
            self.told.append((path, size))

        def advance(self, path: str, count: int) -> None:
            self.bytes += count

        def again(self, path: str, reason: str, wait: float) -> None:
            self.told.append((path, "again"))

        def finish(self, outcome: Outcome) -> None:
            self.told.append((outcome.path, outcome.status))

    server.faults["/one"] = [cut(1_000_000), servers.lying_range, cut(1_000_000), Good]
    wanted = entry("spikes.times.npy", f"{server.url}/one", A)
    watcher = Watcher()
    assert fetch([wanted], tmp_path, progress=watcher)[0].error is None
    assert watcher.bytes == len(A)
    again = (wanted.path, "again")
    assert watcher.told == [(1, len(A)), (wanted.path, len(A)), again, again, again, (wanted.path, Status.DONE)]


def test_the_md5_that_is_told_is_that_of_the_bytes(server: WebServer, tmp_path: Path) -> None:
    wrong = entry("spikes.times.npy", f"{server.url}/one", B)
    [outcome] = fetch([wrong], tmp_path)
    assert isinstance(outcome.error, ChecksumMismatch)
    assert hashlib.md5(A).hexdigest() in outcome.error.message
    assert hashlib.md5(B).hexdigest() in outcome.error.message
    assert not isinstance(outcome.error, Interrupted)
    assert leftovers(tmp_path) == []
