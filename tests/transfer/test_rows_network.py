"""What a download does about each fault of the network: the rows N1 to N30 of the table of faults.

The law of every row: under the final name lies the older good file or the new one, compared, and never anything else;
the error and the exit code say which; what came and is right is kept for the next try; the message names the file, the
cause, and what to do next. :func:`fetched` looks whether it was kept, whatever a test is about.

"large" is more than every buffer on the way and goes the thorough way; "small" takes the quick way of
``onelight.transfer.small`` first.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import logging
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import servers
from servers import Exchange, Fault, Good, WebServer, cut, cut_at, redirect, status, then_swap
from shelf import QUICK, SESSION, entry, fetch, leftovers

from onelight.cli.output import run_exit_code
from onelight.client import Client, Limits
from onelight.errors import (
    ChecksumMismatch,
    NotFound,
    OneError,
    RateLimited,
    RepositoryError,
    SizeMismatch,
    Unreachable,
    UnsafeData,
)
from onelight.kinds.figshare import FigshareRepository
from onelight.route import Credential, Route, Source, origin_of
from onelight.transfer import Outcome, Progress, Status, Verified

LARGE = os.urandom(3_500_000)
SMALL = os.urandom(200_000)
SIZES = pytest.mark.parametrize("content", [LARGE, SMALL], ids=["large", "small"])
OLD = b"an older version of the file, and a good one"
NAME, PATH = "spikes.times.npy", "/spikes.times.npy"
CHECKOUT = Path(__file__).resolve().parents[2]
CANARY = "canary-51d2"


def middle(content: bytes) -> int:
    return len(content) // 2


def thoroughly(content: bytes, *faults: Fault) -> list[Fault]:
    """Give the quick way of small files the first fault as well, so that the thorough way meets them all."""
    return [faults[0], *faults] if content is SMALL else list(faults)


def fetched(
    server: WebServer,
    folder: Path,
    content: bytes,
    faults: Sequence[Fault] = (),
    *,
    stated: bytes | None = None,
    right: bytes | None = None,
    routes: tuple[Route, ...] = (),
    limits: Limits = QUICK,
    progress: Progress | None = None,
    size: bool = True,
    md5: bool = True,
) -> Outcome:
    """Fetch a file in the place of an older one while the server does this in turn, and look whether the law was kept.

    ``content`` is what the server has, ``stated`` what the index speaks of, ``right`` what may come of it.
    """
    server.files.setdefault(PATH, content)
    server.faults[PATH] = [*faults] or [Good]
    wanted = entry(NAME, server.url + PATH, content if stated is None else stated, size=size, md5=md5)
    target = folder / wanted.path
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(OLD)
    before = target.read_bytes()
    sources: dict[str, Source] | None = {wanted.path: routes} if routes else None
    [outcome] = fetch([wanted], folder, limits=limits, sources=sources, progress=progress)
    left = leftovers(folder)
    if outcome.error is None:
        assert target.read_bytes() == (content if right is None else right)
        assert outcome.status is Status.DONE
        assert left == []
    else:
        assert target.read_bytes() == before, "a file that failed left something under the final name"
        assert outcome.status is Status.FAILED
        assert wanted.path in outcome.error.message
        parts = [path.read_bytes() for path in left if path.suffix == ".part"]
        assert all(content.startswith(part) for part in parts), "what was kept is not the beginning of the file"
        assert not (parts and isinstance(outcome.error, (SizeMismatch, ChecksumMismatch, UnsafeData)))
    return outcome


def again(server: WebServer, folder: Path, content: bytes, **more: Any) -> Outcome:
    """Run the same command once more, now that the server is well."""
    server.heal()
    return fetched(server, folder, content, **more)


def code(outcome: Outcome) -> int:
    """Return the exit code of a command of which this came."""
    return run_exit_code([outcome])


def starts(server: WebServer) -> list[int | None]:
    """Return from which byte on the file was asked for, each time."""
    return [seen.range_start for seen in server.requests if seen.path == PATH]


def flood(exchange: Exchange) -> None:
    """Send much more than the file, without saying how much."""
    exchange.head(200, {"Connection": "close"})
    for _ in range(400):
        exchange.send(bytes(servers.PIECE))
    exchange.hang_up()


class Watcher:
    """Adds up what a run tells of."""

    def __init__(self) -> None:
        self.bytes = self.most = 0
        self.reasons: list[str] = []

    def begin(self, files: int, size: int) -> None: ...

    def start(self, path: str, size: int | None) -> None: ...

    def advance(self, path: str, count: int) -> None:
        self.bytes += count
        self.most = max(self.most, self.bytes)

    def again(self, path: str, reason: str, wait: float) -> None:
        self.reasons.append(reason)

    def finish(self, outcome: Outcome) -> None: ...


# The same by the command line, for exit codes and words


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


def command(*arguments: str | Path) -> Ended:
    """Run a command in this process."""
    from onelight.cli import run

    out, err = io.StringIO(), io.StringIO()
    logger = logging.getLogger("onelight")
    handlers, propagate = list(logger.handlers), logger.propagate
    try:
        with redirect_stdout(out), redirect_stderr(err):
            number = run([*map(str, arguments)])
    finally:
        logger.handlers, logger.propagate = handlers, propagate
    return Ended(number, out.getvalue(), err.getvalue())


def program(*arguments: str | Path, **environment: str) -> Ended:
    """Run a command in a process of its own, as people do, with more in its environment."""
    done = subprocess.run(
        [sys.executable, "onelight.py", *map(str, arguments)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


Add = Callable[..., str]


def row(number: int, name: str, content: bytes, url: str) -> dict[str, object]:
    """Return a file as figshare's API lists it."""
    md5 = hashlib.md5(content).hexdigest()
    return {
        "id": number,
        "name": f"{SESSION}/alf/{name}".replace("/", "~"),
        "size": len(content),
        "status": "available",
        "computed_md5": md5,
        "supplied_md5": md5,
        "download_url": url,
    }


def share(server: WebServer, add_repository: Add, content: bytes, url: str = "", **options: str) -> list[str | Path]:
    """Let a server be an article of figshare with this file, and return the command that fetches it."""
    server.files["/v2/articles/1/files"] = json.dumps([row(77, NAME, content, url or server.url + PATH)]).encode()
    server.files["/v2/account/articles/1/files"] = server.files["/v2/articles/1/files"]
    server.files["/v2/articles/1"] = server.files["/v2/account/articles/1"] = b"{}"
    server.files[PATH] = content
    add_repository("box", "figshare", article_id=1, api_url=f"{server.url}/v2", **options)
    return ["download", SESSION, "--output"]


def told(ended: Ended, folder: Path, content: bytes, number: int) -> None:
    """Look whether a command that failed kept the law, and one that did not has the file."""
    target = folder / SESSION / "alf" / NAME
    assert ended.code == number, ended
    if number == 0:
        assert target.read_bytes() == content
        return
    assert not target.exists()
    assert NAME in ended.err
    assert "onelight download" in ended.err, "nothing says what to run next"


# N1: a connection that is lost once is continued from the last byte, and that is told


@SIZES
@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_n01_a_connection_that_is_lost_once_is_continued(content: bytes, reset: bool, tmp_path: Path) -> None:
    with WebServer() as server:
        faults = thoroughly(content, cut(middle(content), reset=reset), Good)
        outcome = fetched(server, tmp_path, content, faults)
        assert (outcome.error, outcome.verified) == (None, Verified.MD5)
        *first, last = starts(server)
        assert first == [None] * (len(faults) - 1)
        assert last is not None
        assert 0 < last <= middle(content)
        assert reset or last == middle(content)
        assert server.requests[-1].headers["if-range"] == server.etag_of(content)


def test_n01_the_repetition_is_told(tmp_path: Path) -> None:
    with WebServer() as server:
        watcher = Watcher()
        fetched(server, tmp_path, LARGE, [cut(middle(LARGE)), Good], progress=watcher)
        assert len(watcher.reasons) == 1


# N2: the same at one byte for ever: the tries end, what came is kept; only progress begins the count anew


@pytest.mark.parametrize(
    ("content", "reset"),
    [(LARGE, False), (SMALL, False), (LARGE, True)],
    ids=["FIN, large", "FIN, small", "RST, large"],
)
def test_n02_a_connection_that_is_always_lost_at_one_byte(content: bytes, reset: bool, tmp_path: Path) -> None:
    with WebServer() as server:
        at = middle(content)
        outcome = fetched(server, tmp_path, content, [cut_at(at, reset=reset)], limits=replace(QUICK, attempts=5))
        assert isinstance(outcome.error, Unreachable)
        assert code(outcome) == 5
        assert outcome.error.hint
        without_progress = starts(server).count(at)
        assert reset or without_progress in (4, 5), "the first try brought bytes, or is counted with the others"
        assert len(server.requests) <= 8
        [kept] = [path for path in leftovers(tmp_path) if path.suffix == ".part"]
        assert 0 < kept.stat().st_size <= at
        have = kept.stat().st_size
        assert again(server, tmp_path, content).error is None
        assert starts(server) == [have]


def test_n02_progress_begins_the_count_anew(tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, LARGE, [cut(300_000)], limits=replace(QUICK, attempts=3))
        assert outcome.error is None
        assert starts(server) == [None, *range(300_000, len(LARGE), 300_000)]


# N3: a byte for each try is no progress, and there is a time for all tries together


@SIZES
def test_n03_one_byte_for_each_try_does_not_go_on_for_ever(content: bytes, tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, content, [cut(1)])
        assert isinstance(outcome.error, Unreachable)
        assert code(outcome) == 5
        assert outcome.error.hint
        assert 2 <= len(server.requests) <= QUICK.attempts + 2
        assert again(server, tmp_path, content).error is None
        assert starts(server)[0], "the bytes that came were kept"


def test_n03_all_tries_together_have_a_time(tmp_path: Path) -> None:
    def late(exchange: Exchange) -> None:
        exchange.server.stopping.wait(0.3)
        cut(700_000)(exchange)  # five times would be all of it

    with WebServer() as server:
        begun = time.monotonic()
        outcome = fetched(server, tmp_path, LARGE, [late], limits=replace(QUICK, total=0.5))
        assert time.monotonic() - begun < 1.2
        assert isinstance(outcome.error, Unreachable)
        assert code(outcome) == 5
        assert again(server, tmp_path, LARGE).resumed_from >= 700_000


# N4: a shorter file that says so itself is told as what it is, and not asked for again and again


@SIZES
def test_n04_a_truncated_file_is_told_with_both_sizes(content: bytes, tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, content, [servers.short(10)])
        assert isinstance(outcome.error, SizeMismatch)
        assert code(outcome) == 6
        assert f"{len(content) - 10:,}" in outcome.error.message
        assert f"{len(content):,}" in outcome.error.message
        assert outcome.error.hint
        assert len(server.requests) <= 2


def test_n04_by_the_command_line(tmp_path: Path, add_repository: Add) -> None:
    with WebServer() as server:
        fetching = share(server, add_repository, LARGE)
        server.faults[PATH] = [servers.short(10)]
        told(command(*fetching, tmp_path), tmp_path, LARGE, 6)
        one, summary = map(json.loads, command(*fetching, tmp_path, "--json").out.splitlines())
        assert (one["status"], one["error"], one["exit"], summary["exit"]) == ("error", "SizeMismatch", 6, 6)
        assert one["hint"]
        server.heal()
        told(command(*fetching, tmp_path), tmp_path, LARGE, 0)


# N5: no Content-Length: the size of the index decides; where there is none, the file is called unverified


@SIZES
@pytest.mark.parametrize("md5", [True, False])
def test_n05_without_a_length_the_size_of_the_index_decides(content: bytes, md5: bool, tmp_path: Path) -> None:
    with WebServer() as server:
        cut_short = servers.without_length(middle(content))
        faults = thoroughly(content, cut_short, Good) if md5 else [cut_short, Good]  # the quick way wants an md5
        assert fetched(server, tmp_path, content, faults, md5=md5).error is None
        assert len(server.requests) == len(faults)


@pytest.mark.parametrize("after", [None, middle(LARGE)], ids=["whole", "cut"])
def test_n05_without_any_size_a_file_is_called_unverified(
    after: int | None, tmp_path: Path, add_repository: Add
) -> None:
    with WebServer(etag="none") as server:
        path = f"/{SESSION}/alf/{NAME}"
        server.files["/.one_root"], server.files[path] = path[1:].encode(), LARGE
        server.faults[path] = [servers.without_length(after)]
        add_repository("web", "http", base_url=server.url)
        ended = command("download", SESSION, "--output", tmp_path, "--json")
        assert ended.code == 0
        assert json.loads(ended.out.splitlines()[0])["verified"] == "no"
        assert "1 file not verified: nobody states size or md5" in ended.err


# N6: chunks that end too early or are none


@SIZES
@pytest.mark.parametrize("fault", [servers.chunked, servers.garbled], ids=["cut", "garbage"])
def test_n06_broken_chunks_are_a_lost_connection(content: bytes, fault: Callable[[int], Fault], tmp_path: Path) -> None:
    with WebServer() as server:
        faults = thoroughly(content, fault(middle(content)), Good)
        assert fetched(server, tmp_path, content, faults).error is None
        assert starts(server) == [*[None] * (len(faults) - 1), middle(content)]


# N7: more bytes than stated: no more than that is taken


@SIZES
@pytest.mark.parametrize("fault", [servers.longer(10), flood], ids=["longer", "flood"])
def test_n07_a_longer_file_is_refused(content: bytes, fault: Fault, tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, content, [fault])
        assert isinstance(outcome.error, SizeMismatch)
        assert code(outcome) == 6
        assert f"{len(content):,}" in outcome.error.message
        assert leftovers(tmp_path) == []
        assert len(server.requests) <= 2


def test_n07_of_a_flood_no_more_is_taken_than_there_should_be(tmp_path: Path) -> None:
    with WebServer() as server:
        watcher = Watcher()
        fetched(server, tmp_path, LARGE, [flood], progress=watcher)
        assert watcher.most <= len(LARGE)


def test_n07_by_the_command_line(tmp_path: Path, add_repository: Add) -> None:
    with WebServer() as server:
        fetching = share(server, add_repository, LARGE)
        server.faults[PATH] = [flood]
        told(command(*fetching, tmp_path), tmp_path, LARGE, 6)


@SIZES
def test_n07_bytes_after_the_stated_end_belong_to_nothing(content: bytes, tmp_path: Path) -> None:
    with WebServer() as server:
        assert fetched(server, tmp_path, content, [servers.beyond_its_length(200)]).error is None
        server.heal()
        other = entry("clusters.depths.npy", f"{server.url}/next", SMALL)
        server.files["/next"] = SMALL
        [outcome] = fetch([other], tmp_path)
        assert outcome.error is None


# N8: lengths that are none


@pytest.mark.parametrize(
    ("lengths", "content"),
    [
        (("{}", 17), LARGE),
        ((17, "{}"), SMALL),
        ((-1,), LARGE),
        (("-{}",), SMALL),
        (("many",), LARGE),
        (("",), SMALL),
        (("{}, 17",), LARGE),
        (("17, {}",), SMALL),
        (("0x10",), SMALL),
        (("{}.0",), SMALL),
    ],
    ids=["two", "two, small", "-1", "negative", "text", "empty", "list", "list, small", "hexadecimal", "fraction"],
)
def test_n08_a_length_that_is_none_is_a_broken_answer(
    lengths: tuple[object, ...], content: bytes, tmp_path: Path
) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, content, [servers.stating(*lengths)])
        assert outcome.error is not None
        assert code(outcome) == 5
        assert outcome.error.hint
        assert len(server.requests) <= QUICK.attempts + 1
        assert again(server, tmp_path, content).error is None


@SIZES
@pytest.mark.parametrize(
    "lengths", [("{}", "{}"), ("{}, {}",), ("9" * 30,)], ids=["twice", "a list of one", "beyond counting"]
)
def test_n08_a_length_that_may_be_read_in_two_ways_harms_nothing(
    content: bytes, lengths: tuple[object, ...], tmp_path: Path
) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, content, [servers.stating(*lengths)])
        assert code(outcome) in (0, 5)
        assert outcome.error is None or outcome.error.hint


# N9: compressed, though nobody asked for it: unpacked as it comes, compared, never continued


@SIZES
@pytest.mark.parametrize("md5", [True, False])
def test_n09_compressed_bytes_are_unpacked(content: bytes, md5: bool, tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, content, [servers.gzipped], md5=md5)
        assert outcome.error is None
        assert outcome.verified is (Verified.MD5 if md5 else Verified.SIZE)
        assert server.requests[0].headers["accept-encoding"] == "identity"


def test_n09_a_compressed_transfer_is_not_continued(tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, LARGE, [servers.gzipped_cut(middle(LARGE)), servers.gzipped])
        assert outcome.error is None
        assert starts(server) == [None, None]


@SIZES
def test_n09_what_grows_beyond_its_size_is_not_unpacked_to_its_end(content: bytes, tmp_path: Path) -> None:
    with WebServer() as server:
        watcher = Watcher()
        outcome = fetched(server, tmp_path, content, [servers.bomb(20_000_000)], progress=watcher)
        assert isinstance(outcome.error, SizeMismatch)
        assert code(outcome) == 6
        assert watcher.most <= len(content)


# N10: compressed, where a range was asked for: those bytes are of another file


@pytest.mark.parametrize("fault", [servers.gzipped_range, servers.gzipped], ids=["206", "200"])
def test_n10_a_range_of_the_compressed_form_is_thrown_away(fault: Fault, tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, LARGE, [cut(middle(LARGE)), fault, Good])
        assert outcome.error is None
        assert starts(server)[:2] == [None, middle(LARGE)]
        assert starts(server)[2:] in ([], [None])


# N11: all of the file where a range was asked for


@SIZES
def test_n11_a_server_without_ranges_sends_all_of_it_again(content: bytes, tmp_path: Path) -> None:
    with WebServer(ranges=False) as server:
        watcher = Watcher()
        faults = thoroughly(content, cut(middle(content)), Good)
        outcome = fetched(server, tmp_path, content, faults, progress=watcher)
        assert outcome.error is None
        assert starts(server)[-1] == middle(content)
        assert watcher.bytes == len(content)
        assert watcher.most == len(content), "the progress was rolled back before it went on"


def test_n11_that_a_server_has_no_ranges_is_remembered(tmp_path: Path) -> None:
    with WebServer(ranges=False) as server:
        outcome = fetched(server, tmp_path, LARGE, [cut(1_000_000), cut(1_000_000), Good])
        assert outcome.error is None
        assert starts(server) == [None, 1_000_000, None]


# N12: a range that is not the one asked for: refused, once more from the beginning, and then told

RANGES = pytest.mark.parametrize(
    "fault",
    [
        servers.wrong_range(-1000),
        servers.wrong_range(1000),
        servers.wrong_total(10),
        servers.no_content_range,
        servers.several_parts,
    ],
    ids=["earlier start", "later start", "other total", "no Content-Range", "multipart"],
)


@RANGES
@SIZES
@pytest.mark.parametrize("md5", [True, False])
def test_n12_another_range_is_refused_and_all_is_asked_for(
    content: bytes, fault: Fault, md5: bool, tmp_path: Path
) -> None:
    with WebServer() as server:
        first = cut(middle(content))
        faults = thoroughly(content, first, fault, Good) if md5 else [first, fault, Good]
        assert fetched(server, tmp_path, content, faults, md5=md5).error is None
        assert starts(server)[-2:] == [middle(content), None]


@RANGES
def test_n12_another_range_each_time_ends_with_5(fault: Fault, tmp_path: Path) -> None:
    def always(exchange: Exchange) -> None:
        (cut(middle(LARGE)) if exchange.request.range_start is None else fault)(exchange)

    with WebServer() as server:
        outcome = fetched(server, tmp_path, LARGE, [always])
        assert outcome.error is not None
        assert starts(server) == [None, middle(LARGE)] * 2, "one new beginning, and no more"
        assert code(outcome) == 5
        assert again(server, tmp_path, LARGE).error is None


# N13: the range asked for, as the header says, but other bytes: the checksum tells


@SIZES
def test_n13_bytes_that_are_not_those_of_the_header_cost_one_new_beginning(content: bytes, tmp_path: Path) -> None:
    with WebServer() as server:
        faults = thoroughly(content, cut(middle(content)), servers.lying_range, Good)
        outcome = fetched(server, tmp_path, content, faults)
        assert (outcome.error, outcome.verified) == (None, Verified.MD5)
        assert starts(server)[-2:] == [middle(content), None]


def test_n13_lies_each_time_end_with_6(tmp_path: Path) -> None:
    def always(exchange: Exchange) -> None:
        (cut(middle(LARGE)) if exchange.request.range_start is None else servers.lying_range)(exchange)

    with WebServer() as server:
        outcome = fetched(server, tmp_path, LARGE, [always])
        assert isinstance(outcome.error, ChecksumMismatch)
        assert code(outcome) == 6
        assert outcome.error.hint
        assert starts(server) == [None, middle(LARGE)] * 2
        assert again(server, tmp_path, LARGE).error is None


# N14: the file was replaced on the server between two parts of it: never a mixture

LATE = "Mon, 02 Jan 2023 00:00:00 GMT"
KINDS = pytest.mark.parametrize(
    "kind",
    [
        {},
        {"if_range": False},
        {"etag": "none"},
        {"etag": "none", "last_modified": "Sun, 01 Jan 2023 00:00:00 GMT"},
        {"etag": "none", "last_modified": "Sun, 01 Jan 2023 00:00:00 GMT", "if_range": False},
        {"etag": "weak"},
    ],
    ids=["ETag", "ETag, If-Range ignored", "nothing", "date", "date, If-Range ignored", "weak ETag"],
)


def replaced(content: bytes, by: bytes) -> Fault:
    """Cut the file, and have another one from then on."""

    def fault(exchange: Exchange) -> None:
        then_swap(cut(middle(content)), by)(exchange)

    def dated(exchange: Exchange) -> None:
        try:
            fault(exchange)
        finally:
            exchange.server.last_modified = exchange.server.last_modified and LATE

    return dated


@KINDS
@SIZES
def test_n14_a_replaced_file_is_never_mixed_and_ends_with_6(
    content: bytes, kind: dict[str, Any], tmp_path: Path
) -> None:
    new = os.urandom(len(content))
    with WebServer(**kind) as server:
        first = [cut(10)] if content is SMALL else []
        outcome = fetched(server, tmp_path, content, [*first, replaced(content, new), Good])
        assert isinstance(outcome.error, (ChecksumMismatch, SizeMismatch))
        assert code(outcome) == 6
        assert starts(server)[-1] is None, "the whole of the new file was looked at"
        assert leftovers(tmp_path) == []


@KINDS
@SIZES
def test_n14_a_replaced_file_comes_whole_where_nothing_speaks_against_it(
    content: bytes, kind: dict[str, Any], tmp_path: Path
) -> None:
    new = os.urandom(len(content))
    with WebServer(**kind) as server:
        outcome = fetched(server, tmp_path, content, [replaced(content, new), Good], right=new, md5=False)
        assert outcome.error is None


def test_n14_a_file_of_another_size_is_noticed_by_the_range(tmp_path: Path) -> None:
    with WebServer(etag="none") as server:
        outcome = fetched(server, tmp_path, LARGE, [then_swap(cut(middle(LARGE)), LARGE + SMALL), Good])
        assert isinstance(outcome.error, SizeMismatch)
        assert code(outcome) == 6
        assert f"{len(LARGE + SMALL):,}" in outcome.error.message


def test_n14_an_error_says_that_the_file_was_replaced(tmp_path: Path) -> None:
    with WebServer() as server:
        new = os.urandom(len(LARGE))
        outcome = fetched(server, tmp_path, LARGE, [replaced(LARGE, new), Good])
        assert outcome.error is not None
        assert "replaced on the server" in outcome.error.message


def test_n14_the_next_run_compares_with_what_the_last_one_knew(tmp_path: Path) -> None:
    with WebServer(if_range=False) as server:
        fetched(server, tmp_path, LARGE, [cut(middle(LARGE)), status(500)], md5=False)
        server.heal()
        new = os.urandom(len(LARGE))
        server.files[PATH] = new
        outcome = fetched(server, tmp_path, LARGE, right=new, md5=False)
        assert outcome.error is None
        assert starts(server) == [middle(LARGE), None]


# N15: a weak ETag says nothing of bytes


def test_n15_a_weak_etag_is_never_in_if_range(tmp_path: Path) -> None:
    with WebServer(etag="weak") as server:
        outcome = fetched(server, tmp_path, LARGE, [cut(middle(LARGE)), Good])
        assert (outcome.error, outcome.verified) == (None, Verified.MD5)
        assert starts(server) == [None, middle(LARGE)], "the md5 will tell"
        assert not any("if-range" in seen.headers for seen in server.requests)


def test_n15_with_a_weak_etag_and_no_md5_nothing_is_continued(tmp_path: Path) -> None:
    with WebServer(etag="weak") as server:
        outcome = fetched(server, tmp_path, LARGE, [cut(middle(LARGE)), Good], md5=False)
        assert outcome.error is None
        assert starts(server) == [None, None]


# N16: 416: as much as there is, or more, is here already


@SIZES
def test_n16_what_is_here_whole_is_finished_without_a_request(content: bytes, tmp_path: Path) -> None:
    with WebServer() as server:
        fetched(server, tmp_path, content, [*thoroughly(content, cut(middle(content)), status(500))])
        [left] = [path for path in leftovers(tmp_path) if path.suffix == ".part"]
        left.write_bytes(content)
        server.forget()
        outcome = again(server, tmp_path, content)
        assert (outcome.error, outcome.verified) == (None, Verified.MD5)
        assert server.requests == []


@SIZES
def test_n16_what_is_here_and_longer_is_thrown_away(content: bytes, tmp_path: Path) -> None:
    with WebServer() as server:
        fetched(server, tmp_path, content, [*thoroughly(content, cut(middle(content)), status(500))])
        [left] = [path for path in leftovers(tmp_path) if path.suffix == ".part"]
        left.write_bytes(content + b"more")
        server.forget()
        assert again(server, tmp_path, content).error is None
        assert starts(server)[-1] is None


def test_n16_a_416_that_states_the_size_of_what_is_here_is_an_end(tmp_path: Path) -> None:
    with WebServer() as server:  # everything came, but not the word that it was everything; the index has no size
        outcome = fetched(server, tmp_path, LARGE, [servers.chunked(len(LARGE)), Good], size=False)
        assert (outcome.error, outcome.verified) == (None, Verified.MD5)
        assert starts(server) == [None, len(LARGE)]


def test_n16_a_416_in_the_middle_is_a_new_beginning(tmp_path: Path) -> None:
    with WebServer() as server:
        assert fetched(server, tmp_path, LARGE, [cut(middle(LARGE)), status(416), Good]).error is None
        assert starts(server) == [None, middle(LARGE), None]


# N17: a server that asks for patience

CLOCK = 1_000_000_000  # of the server: in 2001
THEN = servers.formatted_date(CLOCK)


@pytest.mark.parametrize(
    ("number", "asked", "least", "content"),
    [
        (429, "0", 0, LARGE),
        (503, "0", 0, SMALL),
        (429, "1", 1, SMALL),
        (503, servers.formatted_date(CLOCK + 1), 1, LARGE),
        (429, servers.formatted_date(CLOCK - 100), 0, LARGE),
        (503, servers.formatted_date(CLOCK - 100), 0, SMALL),
        (429, "soon", 0, SMALL),
        (503, "soon", 0, LARGE),
    ],
    ids=["429 0", "503 0", "seconds", "date", "429 past", "503 past", "429 garbage", "503 garbage"],
)
def test_n17_a_wait_that_is_asked_for_is_kept(
    number: int, asked: str, least: float, content: bytes, tmp_path: Path
) -> None:
    with WebServer() as server:
        begun = time.monotonic()
        outcome = fetched(server, tmp_path, content, [status(number, Date=THEN, Retry_After=asked), Good])
        assert outcome.error is None
        assert least <= time.monotonic() - begun < least + 1
        assert len(server.requests) == 2


@SIZES
@pytest.mark.parametrize("number", [429, 503])
@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("120", "120"), ("6", "6"), (servers.formatted_date(CLOCK + 31_536_000), "31536000")],
    ids=["120", "6", "date in a year"],
)
def test_n17_a_wait_that_is_too_long_ends_the_command_with_the_time(
    content: bytes, number: int, asked: str, seconds: str, tmp_path: Path
) -> None:
    with WebServer() as server:
        begun = time.monotonic()
        outcome = fetched(server, tmp_path, content, [status(number, Date=THEN, Retry_After=asked)])
        assert time.monotonic() - begun < 1
        assert isinstance(outcome.error, RateLimited)
        assert code(outcome) == 5
        assert seconds in outcome.error.hint.replace(",", "")
        assert len(server.requests) == 1


def test_n17_ten_minutes_are_the_most_that_a_command_waits(tmp_path: Path, add_repository: Add) -> None:
    with WebServer() as server:
        fetching = share(server, add_repository, LARGE)
        server.faults[PATH] = [status(503, Retry_After=601)]
        begun = time.monotonic()
        ended = command(*fetching, tmp_path)
        assert time.monotonic() - begun < 1.5
        told(ended, tmp_path, LARGE, 5)
        assert "601 s" in ended.err
    assert Limits().longest_wait == 600


def test_n17_the_whole_host_is_left_alone_and_not_one_file(tmp_path: Path) -> None:
    def busy(exchange: Exchange) -> None:
        while len(exchange.server.requests) < 2 and not exchange.server.stopping.wait(0.01):
            pass
        status(429, Retry_After=1)(exchange)

    with WebServer() as server:
        names = [f"trials.x{number}.npy" for number in range(4)]
        server.files.update({f"/{name}": LARGE for name in names})
        server.faults[f"/{names[0]}"] = [busy, Good]
        server.faults[f"/{names[1]}"] = [servers.slowly(0.2)]
        wanted = [entry(name, f"{server.url}/{name}", LARGE) for name in names]
        outcomes = fetch(wanted, tmp_path, parallel=2)
        assert [outcome.error for outcome in outcomes] == [None] * 4
        first, second, *others = server.requests
        assert {first.path, second.path} == {f"/{names[0]}", f"/{names[1]}"}
        assert all(seen.moment - first.moment >= 0.99 for seen in others)


# N18: what passes by itself


@SIZES
@pytest.mark.parametrize("number", [408, 500, 502, 503, 504, 522, 524])
def test_n18_what_passes_is_asked_again(content: bytes, number: int, tmp_path: Path) -> None:
    with WebServer() as server:
        faults = thoroughly(content, status(number), status(number), Good)
        assert fetched(server, tmp_path, content, faults).error is None
        assert len(server.requests) == len(faults)


@SIZES
@pytest.mark.parametrize("number", [500, 504])
def test_n18_what_does_not_pass_ends_with_5(content: bytes, number: int, tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, content, [status(number)])
        assert isinstance(outcome.error, Unreachable)
        assert code(outcome) == 5
        assert str(number) in outcome.error.message
        assert outcome.error.hint
        assert len(server.requests) <= QUICK.attempts + 1


def test_n18_pauses_grow(tmp_path: Path) -> None:
    with WebServer() as server:
        fetched(server, tmp_path, LARGE, [status(502)], limits=replace(QUICK, pause=0.1))
        moments = [seen.moment for seen in server.requests]
        pauses = [after - before for before, after in itertools.pairwise(moments)]
        assert len(pauses) == 3
        assert sum(pauses) < 0.1 * 7 + 0.5
        assert pauses[2] > 0.1, "four times the first, of which jitter takes a part"


def by_tls(server: WebServer, folder: Path, add_repository: Add, content: bytes) -> Ended:
    """Fetch a file from a server that speaks https, by a command that trusts its certificate."""
    (folder / "ca.pem").write_text(servers.CERTIFICATE)
    with WebServer() as api:
        fetching = share(api, add_repository, content, server.url + PATH)
        return program(*fetching, folder, SSL_CERT_FILE=str(folder / "ca.pem"))


def test_n18_a_record_that_does_not_decrypt_is_a_lost_connection(tmp_path: Path, add_repository: Add) -> None:
    with WebServer(tls=True) as server:
        server.files[PATH] = LARGE
        server.faults[PATH] = [servers.broken_record(middle(LARGE)), Good]
        told(by_tls(server, tmp_path, add_repository, LARGE), tmp_path, LARGE, 0)
        assert len(server.requests) == 2


@SIZES
def test_n18_a_server_that_goes_away_is_asked_again(content: bytes, tmp_path: Path, add_repository: Add) -> None:
    with WebServer(tls=True, goaways=2 if content is SMALL else 1) as server:
        server.files[PATH] = content
        told(by_tls(server, tmp_path, add_repository, content), tmp_path, content, 0)
        if not server.sent_away:
            pytest.skip("this client speaks HTTP/1.1 only, which has no GOAWAY")
        assert len(server.requests) == 1


# N19: what does not pass


@SIZES
@pytest.mark.parametrize(("number", "ends"), [(401, 4), (403, 4), (404, 3), (410, 3), (451, 1)])
def test_n19_what_does_not_pass_is_not_asked_again(content: bytes, number: int, ends: int, tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, content, [status(number)])
        assert outcome.error is not None
        assert code(outcome) == ends
        assert str(number) in outcome.error.message
        assert outcome.error.hint
        assert len(server.requests) == 1
        assert again(server, tmp_path, content).error is None


@pytest.mark.parametrize(("number", "ends"), [(401, 4), (404, 3)])
def test_n19_by_the_command_line(number: int, ends: int, tmp_path: Path, add_repository: Add) -> None:
    with WebServer() as server:
        fetching = share(server, add_repository, LARGE)
        server.faults[PATH] = [status(number)]
        told(command(*fetching, tmp_path), tmp_path, LARGE, ends)


def test_n19_a_401_says_how_to_sign_in(tmp_path: Path, add_repository: Add) -> None:
    with WebServer() as server:
        fetching = share(server, add_repository, LARGE)
        server.faults[PATH] = [status(401)]
        ended = command(*fetching, tmp_path)
        assert "onelight add-repo" in ended.err


# N20: a firewall's challenge, and nginx's refusal: the next route, and then a temporary error


def walled(server: WebServer, add_repository: Add, content: bytes) -> list[str | Path]:
    """Share a file to which there are two routes, as on figshare: its download address, and the API's."""
    fetching = share(server, add_repository, content, f"{server.url}/files/77")
    server.files["/files/77"] = server.files["/v2/file/download/77"] = content
    return fetching


FORBIDDEN = status(403, b"<html><head><title>403 Forbidden</title></head><body>nginx</body></html>")
WALLS = pytest.mark.parametrize("fault", [servers.challenge, FORBIDDEN], ids=["202", "403"])


@WALLS
@SIZES
def test_n20_behind_a_wall_the_next_route_is_taken(
    content: bytes, fault: Fault, tmp_path: Path, add_repository: Add
) -> None:
    with WebServer() as server:
        fetching = walled(server, add_repository, content)
        server.faults["/files/77"] = [fault]
        told(command(*fetching, tmp_path), tmp_path, content, 0)


@SIZES
def test_n20_the_wall_is_named(content: bytes, tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, content, [servers.challenge])
        assert outcome.error is not None
        assert "firewall" in outcome.error.message
        assert "202" in outcome.error.message
        assert len(server.requests) <= 2


@WALLS
@SIZES
def test_n20_where_every_route_is_walled_off_the_command_ends_with_5(
    content: bytes, fault: Fault, tmp_path: Path, add_repository: Add
) -> None:
    with WebServer() as server:
        fetching = walled(server, add_repository, content)
        server.faults["/files/77"] = server.faults["/v2/file/download/77"] = [fault]
        told(command(*fetching, tmp_path), tmp_path, content, 5)


# N21: a page under status 200

S3 = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>'


def said(body: bytes) -> Fault:
    return lambda exchange: exchange.answer(200, body)


PAGES = pytest.mark.parametrize(
    "fault", [servers.page, servers.page_as_long_as_the_file, said(S3)], ids=["login", "as long as the file", "S3"]
)


@PAGES
@SIZES
def test_n21_a_page_instead_of_the_file_ends_with_6(content: bytes, fault: Fault, tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, content, [fault])
        assert code(outcome) == 6
        assert leftovers(tmp_path) == []
        assert len(server.requests) <= 2


@pytest.mark.parametrize(
    ("known", "fault"),
    [
        pytest.param("size and md5", servers.page),
        pytest.param("size and md5", servers.page_as_long_as_the_file),
        pytest.param("size and md5", said(S3)),
        pytest.param("size", servers.page),
        pytest.param("size", servers.page_as_long_as_the_file),
        pytest.param("size", said(S3)),
        pytest.param("nothing", servers.page),
        pytest.param("nothing", said(S3)),
    ],
    ids=[
        *("size and md5, login", "size and md5, as long as the file", "size and md5, S3"),
        *("size, login", "size, as long as the file", "size, S3"),
        *("nothing, login", "nothing, S3"),
    ],
)
def test_n21_a_page_is_told_as_one(known: str, fault: Fault, tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, LARGE, [fault], size="size" in known, md5="md5" in known)
        assert outcome.error is not None
        assert re.search("web page|log in|expired", outcome.error.message)


# N22: an address that is good for a while only


class Signer:
    """A server whose addresses are signed; ``expire`` makes those given so far worth nothing."""

    def __init__(self, server: WebServer, content: bytes) -> None:
        self.server, self.number, self.oldest = server, 0, 0
        server.files["/store"] = content
        server.faults[PATH], server.faults["/store"] = [self.sign], [self.serve]
        self.faults: list[Fault] = []

    def sign(self, exchange: Exchange) -> None:
        self.number += 1
        redirect(f"/store?signature={self.number}")(exchange)

    def serve(self, exchange: Exchange) -> None:
        signature = int(parse_qs(urlsplit(exchange.request.target).query)["signature"][0])
        if signature <= self.oldest:
            exchange.answer(403, S3)
        else:
            (self.faults.pop(0) if self.faults else Good)(exchange)

    def expiring(self, fault: Fault, more: int = 0) -> Fault:
        def then(exchange: Exchange) -> None:
            self.oldest = self.number + more
            fault(exchange)

        return then


def signed(signer: Signer, folder: Path, content: bytes, **more: Any) -> Outcome:
    return fetched(signer.server, folder, content, [signer.sign], **more)


def test_n22_for_the_rest_of_a_file_the_address_is_asked_for_again(tmp_path: Path) -> None:
    with WebServer() as server:
        signer = Signer(server, LARGE)
        signer.faults = [signer.expiring(cut(middle(LARGE)))]
        outcome = signed(signer, tmp_path, LARGE)
        assert outcome.error is None
        assert [seen.range_start for seen in server.requests if seen.path == "/store"] == [None, middle(LARGE)]


def test_n22_an_address_that_has_expired_already_is_asked_for_once_more(tmp_path: Path) -> None:
    with WebServer() as server:
        signer = Signer(server, LARGE)
        signer.faults = [signer.expiring(cut(middle(LARGE)), 1)]  # the second signature, of a cache, is old as well
        outcome = signed(signer, tmp_path, LARGE)
        assert outcome.error is None
        assert [seen.range_start for seen in server.requests if seen.path == "/store"] == [None, *[middle(LARGE)] * 2]


def test_n22_what_came_is_kept_where_no_address_is_good(tmp_path: Path) -> None:
    with WebServer() as server:
        signer = Signer(server, LARGE)
        signer.faults = [signer.expiring(cut(middle(LARGE)), 1000)]
        outcome = signed(signer, tmp_path, LARGE)
        assert outcome.error is not None
        assert "expired" in outcome.error.message
        assert signer.number <= 3
        signer.oldest = 0
        outcome = signed(signer, tmp_path, LARGE)
        assert (outcome.error, outcome.resumed_from) == (None, middle(LARGE))


def test_n22_another_file_at_the_new_address_is_noticed(tmp_path: Path) -> None:
    with WebServer(if_range=False) as server:
        signer, new = Signer(server, LARGE), os.urandom(len(LARGE))

        def swapping(exchange: Exchange) -> None:
            server.files["/store"] = new
            cut(middle(LARGE))(exchange)

        signer.faults = [signer.expiring(swapping)]
        outcome = signed(signer, tmp_path, LARGE, right=new, md5=False)
        assert outcome.error is None
        assert [seen.range_start for seen in server.requests if seen.path == "/store"] == [None, middle(LARGE), None]


# N23: a server that falls silent or nearly so

IMPATIENT = replace(QUICK, connect=0.5, idle=1, floor=400_000, attempts=4)


def test_n23_the_limits_are_those_that_are_promised() -> None:
    assert (Limits().connect, Limits().idle, Limits().floor) == (10, 60, 1024)


def test_n23_silence_is_a_lost_connection(tmp_path: Path) -> None:
    faults = {
        "no_answer": servers.silence,
        "stall": servers.stall(100_000),
        "byte_now_and_then": servers.drip(0.2, 1),
        "headers_without_end": servers.endless_headers(0.05),
    }
    with WebServer() as server:
        contents = {f"{name}.large.npy": LARGE for name in faults} | {f"{name}.small.npy": SMALL for name in faults}
        server.files.update({f"/{name}": content for name, content in contents.items()})
        server.faults.update({f"/{name}": [faults[name.partition(".")[0]], Good] for name in contents})
        wanted = [entry(name, f"{server.url}/{name}", content) for name, content in contents.items()]
        begun = time.monotonic()
        outcomes = fetch(wanted, tmp_path, limits=IMPATIENT, parallel=8)  # at the same time, to wait for all but once
        assert time.monotonic() - begun < 6
        for outcome in outcomes:
            assert outcome.error is None
            assert outcome.target.read_bytes() == contents[outcome.target.name]
        for name in contents:
            assert 2 <= [seen.path for seen in server.requests].count(f"/{name}") <= 3


def test_n23_what_came_before_a_stall_is_kept(tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, LARGE, [servers.stall(100_000)], limits=replace(IMPATIENT, attempts=1))
        assert isinstance(outcome.error, Unreachable)
        assert code(outcome) == 5
        assert outcome.error.hint
        assert again(server, tmp_path, LARGE).resumed_from == 100_000


def test_n23_headers_in_a_flood_end(tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, LARGE, [servers.endless_headers(0)])
        assert outcome.error is not None
        assert code(outcome) == 5
        assert len(server.requests) <= QUICK.attempts


def test_n23_a_connection_that_is_not_made_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # takes connections, and never says anything of TLS
        port = listener.getsockname()[1]
        wanted = entry(NAME, f"https://127.0.0.1:{port}/x", LARGE)
        begun = time.monotonic()
        [outcome] = fetch([wanted], tmp_path, limits=replace(IMPATIENT, idle=60, attempts=2))
        assert 0.5 <= time.monotonic() - begun < 3
        assert isinstance(outcome.error, Unreachable)
        assert f"127.0.0.1:{port}" in outcome.error.message


# N24: nobody there


@pytest.mark.parametrize(
    ("host", "named", "content"),
    [
        ("nowhere.invalid", "nowhere.invalid", LARGE),
        ("127.0.0.1:{}", "127.0.0.1", LARGE),
        ("localhost:{}", "localhost", SMALL),
        ("[::1]:{}", "[::1]", LARGE),
    ],
    ids=["no such name", "refused", "refused by name", "IPv6"],
)
def test_n24_a_host_that_is_not_there_is_tried_three_times_and_named(
    host: str, named: str, content: bytes, tmp_path: Path
) -> None:
    wanted = entry(NAME, f"http://{host.format(servers.free_port())}/x", content)
    begun = time.monotonic()
    [outcome] = fetch([wanted], tmp_path, limits=replace(QUICK, attempts=10, pause=0.2))
    assert 0.3 <= time.monotonic() - begun < 1.5  # two pauses; a fourth try would be three times as long
    assert isinstance(outcome.error, Unreachable)
    assert code(outcome) == 5
    assert named in outcome.error.message
    assert wanted.path in outcome.error.message
    assert outcome.error.hint
    assert not (tmp_path / wanted.path).exists()


@SIZES
def test_n24_a_name_that_has_a_dead_address_besides_a_good_one(content: bytes, tmp_path: Path) -> None:
    with WebServer() as server:  # answers at 127.0.0.1; localhost may be ::1 as well
        server.files[PATH] = content
        url = server.url.replace("127.0.0.1", "localhost") + PATH
        [outcome] = fetch([entry(NAME, url, content)], tmp_path)
        assert outcome.error is None


def test_n24_without_a_network_what_is_here_still_answers(
    tmp_path: Path, add_repository: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONELIGHT_INDEX_MAX_AGE", "0")
    with WebServer() as server:
        fetching = share(server, add_repository, SMALL)
        told(command(*fetching, tmp_path), tmp_path, SMALL, 0)
    ended = command("search")
    assert (ended.code, ended.out.split()) == (0, [SESSION])
    assert "127.0.0.1" in ended.err
    assert "ago" in ended.err


# N25: a server that cannot prove who it is

OLDER = ssl.TLSVersion.TLSv1_1


@pytest.mark.parametrize(
    ("kind", "vouched", "content"),
    [
        ({"certificate": servers.EXPIRED}, servers.EXPIRED, LARGE),
        ({"certificate": servers.ELSEWHERE}, servers.ELSEWHERE, LARGE),
        ({}, servers.ELSEWHERE, LARGE),
        ({}, servers.ELSEWHERE, SMALL),
        ({"newest": OLDER}, servers.CERTIFICATE, LARGE),
    ],
    ids=["expired", "another host", "self-signed, large", "self-signed, small", "old protocol"],
)
def test_n25_a_server_that_cannot_be_trusted_is_asked_nothing(
    kind: dict[str, Any], vouched: str, content: bytes, tmp_path: Path, add_repository: Add
) -> None:
    (tmp_path / "ca.pem").write_text(vouched)
    with WebServer() as api, WebServer(tls=True, **kind) as server:
        server.files[PATH] = content
        fetching = share(api, add_repository, content, server.url + PATH)
        ended = program(*fetching, tmp_path, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
        told(ended, tmp_path, content, 5)
        assert server.requests == []
        assert 1 <= server.connections <= (2 if content is SMALL else 1), "at most once for each of the two ways"
        assert "SSL_CERT_FILE" in ended.err
        assert "proxy" in ended.err
        assert "trusted" in ended.err


def test_n25_a_handshake_that_is_reset_is_no_distrust(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/x"
        heard: list[int] = []

        def reset() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    heard.append(len(connection.recv(10_000)))
                    if heard[-1] == 0:
                        return
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        thread = threading.Thread(target=reset)
        thread.start()
        try:
            [outcome] = fetch([entry(NAME, url, LARGE)], tmp_path)
        finally:
            socket.create_connection(listener.getsockname()).close()
            thread.join()
    assert isinstance(outcome.error, Unreachable)
    assert len(heard) - 1 >= 3
    assert "trusted" not in outcome.error.message


# N26: redirects that lead nowhere, or where nobody should be led


@SIZES
@pytest.mark.parametrize(
    "target",
    ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,hello", "gopher://127.0.0.1/1", "http://10.1.2.3/x"],
)
def test_n26_a_redirect_to_what_is_no_data_ends_with_8(
    content: bytes, target: str, tmp_path: Path, add_repository: Add
) -> None:
    with WebServer() as server:
        fetching = share(server, add_repository, content)
        server.faults[PATH] = [redirect(target)]
        ended = command(*fetching, tmp_path)
        assert ended.code == 8
        assert not (tmp_path / SESSION / "alf" / NAME).exists()
        assert NAME in ended.err
        assert "onelight download" in ended.err
        assert len(server.requests) <= 4


@SIZES
@pytest.mark.parametrize("hops", [11, 0], ids=["eleven hops", "loop"])
def test_n26_redirects_without_end_are_followed_ten_times(content: bytes, hops: int, tmp_path: Path) -> None:
    with WebServer() as server:
        server.files["/11"] = content
        for number in range(1, hops):
            server.faults[f"/{number}"] = [redirect(f"/{number + 1}")]
        outcome = fetched(server, tmp_path, content, [redirect("/1" if hops else PATH)])
        assert isinstance(outcome.error, UnsafeData)
        assert code(outcome) == 8
        assert outcome.error.hint
        assert len(server.requests) in ((11, 22) if content is SMALL else (11,)), "once for each of the two ways"


def test_n26_a_redirect_from_https_to_http_ends_with_8(tmp_path: Path, add_repository: Add) -> None:
    content = SMALL  # meets the redirect in both ways
    with WebServer(tls=True) as server, WebServer() as plain:
        plain.files[PATH] = content
        server.faults[PATH] = [redirect(plain.url + PATH)]
        ended = by_tls(server, tmp_path, add_repository, content)
        told(ended, tmp_path, content, 8)
        assert "without encryption" in ended.err
        assert plain.requests == []


# N27: a token goes to its own origin


@SIZES
@pytest.mark.parametrize("secret", ["header", "query"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["another port", "another host"])
def test_n27_a_redirect_elsewhere_takes_no_secret_along(content: bytes, secret: str, host: str, tmp_path: Path) -> None:
    with WebServer() as server, WebServer() as other:
        other.files[PATH] = content
        target = other.url.replace("127.0.0.1", host) + PATH
        credential = Credential(origin_of(server.url), **{secret: f"token={CANARY}"})
        routes = (Route(server.url + PATH, credential),)
        outcome = fetched(server, tmp_path, content, [redirect(target, set_cookie=f"a={CANARY}")], routes=routes)
        assert outcome.error is None
        assert CANARY in str(server.requests)
        [seen] = other.requests
        assert not {"authorization", "cookie", "referer", "proxy-authorization"} & set(seen.headers)
        assert CANARY not in f"{seen.target} {seen.headers}"


def test_n27_nor_does_one_from_http_to_https(tmp_path: Path, add_repository: Add) -> None:
    content = SMALL
    (tmp_path / "ca.pem").write_text(servers.CERTIFICATE)
    with WebServer() as api, WebServer(tls=True) as other:
        other.files[PATH] = content
        fetching = share(api, add_repository, content, token=CANARY)
        api.faults[PATH] = [redirect(other.url + PATH, set_cookie=f"a={CANARY}")]
        ended = program(*fetching, tmp_path, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
        told(ended, tmp_path, content, 0)
        assert CANARY in str([seen for seen in api.requests if seen.path == PATH])
        assert CANARY not in str(other.requests)
        assert CANARY not in ended.out + ended.err
        assert not {"authorization", "cookie", "referer"} & set(other.requests[0].headers)


# N28: a connection that was left half-way is not used again


@SIZES
@pytest.mark.parametrize("fault", [servers.longer(2_000_000), flood], ids=["longer", "flood"])
def test_n28_what_was_left_on_a_connection_is_not_taken_for_the_next_file(
    content: bytes, fault: Fault, tmp_path: Path
) -> None:
    with WebServer() as server:
        names = [f"trials.x{number}.npy" for number in range(6)]
        server.files.update({f"/{name}": os.urandom(len(content)) for name in names})
        server.faults.update({f"/{name}": [fault] for name in names[::2]})
        wanted = [entry(name, f"{server.url}/{name}", _bytes(server, name)) for name in names]
        outcomes = fetch(wanted, tmp_path, parallel=1)
        assert [code(outcome) for outcome in outcomes] == [6, 0] * 3
        for one in outcomes[1::2]:
            assert one.target.read_bytes() == _bytes(server, one.target.name)


def _bytes(server: WebServer, name: str) -> bytes:
    content = server.files[f"/{name}"]
    assert isinstance(content, bytes)
    return content


# N29: a proxy in between that is wrong, or wants something first

FAR = "data.onelight.invalid"


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A server that all requests for other hosts go to."""
    with WebServer() as running:
        monkeypatch.setenv("http_proxy", running.url)
        monkeypatch.setenv("https_proxy", running.url)
        yield running


def through(folder: Path, content: bytes, scheme: str = "http") -> OneError:
    [outcome] = fetch([entry(NAME, f"{scheme}://{FAR}{PATH}", content)], folder)
    assert not outcome.target.exists()
    assert outcome.error is not None
    assert outcome.path in outcome.error.message
    assert outcome.error.hint
    return outcome.error


@SIZES
def test_n29_a_good_proxy_is_used(content: bytes, proxy: WebServer, tmp_path: Path) -> None:
    proxy.files[PATH] = content
    [outcome] = fetch([entry(NAME, f"http://{FAR}{PATH}", content)], tmp_path)
    assert outcome.error is None
    assert proxy.requests[0].target == f"http://{FAR}{PATH}"


@SIZES
def test_n29_a_captive_proxy_is_no_data(content: bytes, proxy: WebServer, tmp_path: Path) -> None:
    proxy.faults[PATH] = [servers.page]
    assert "web page" in through(tmp_path, content).message


@SIZES
def test_n29_a_captive_proxy_that_says_so(content: bytes, proxy: WebServer, tmp_path: Path) -> None:
    proxy.faults[PATH] = [status(511, b"<html><title>Network Authentication Required</title></html>")]
    assert "Network Authentication Required" in through(tmp_path, content).message


@pytest.mark.parametrize("number", [403, 407, 502])
def test_n29_a_proxy_that_makes_no_tunnel_is_named(number: int, proxy: WebServer, tmp_path: Path) -> None:
    proxy.faults["443"] = [status(number)]  # CONNECT host:443 has no path
    error = through(tmp_path, LARGE, "https")
    assert re.search("proxy|tunnel", error.message, re.IGNORECASE)
    assert str(number) in error.message


@SIZES
def test_n29_a_proxy_that_is_not_there_is_named(
    content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{servers.free_port()}")
    error = through(tmp_path, content)
    assert isinstance(error, Unreachable)
    assert "proxy" in str(error)


def test_n29_a_proxy_whose_name_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    error = through(tmp_path, LARGE)
    assert isinstance(error, Unreachable)
    assert "proxy" in error.message.replace("proxy.invalid", "")


# N30: a list in pages that is not one list: all of it, or the older one

PAGE = 1000


def files(*numbers: int) -> list[dict[str, object]]:
    return [row(number, f"a{number:05}.b.npy", b"x", f"https://example.org/{number}") for number in numbers]


ALL = files(*range(1, 1501))


class Listing:
    """The list of files of an article, by pages."""

    def __init__(self, rows: list[dict[str, object]]) -> None:
        self.rows = rows
        self.pages: list[int] = []
        self.before: dict[int, Callable[[Exchange], bool]] = {}  # page by page; True if that was the answer

    def __call__(self, exchange: Exchange) -> None:
        number = int(parse_qs(urlsplit(exchange.request.target).query)["page"][0])
        self.pages.append(number)
        if number in self.before and self.before[number](exchange):
            return
        exchange.answer(200, json.dumps(self.rows[(number - 1) * PAGE : number * PAGE]).encode())


@dataclass
class Article:
    """A server with such a list, and who reads it."""

    server: WebServer
    listing: Listing
    repository: FigshareRepository

    def ids(self) -> list[str]:
        return sorted(found.path.rpartition("/")[2] for found in self.repository.refresh())


@pytest.fixture
def article() -> Iterator[Article]:
    with WebServer() as server, Client(limits=QUICK) as client:
        listing = Listing(list(ALL))
        server.faults["/v2/articles/1/files"] = [listing]
        server.faults["/v2/articles/1"] = [instead(lambda exchange: exchange.answer(200, b"{}"))]
        yield Article(server, listing, FigshareRepository("box", 1, client, api_url=f"{server.url}/v2"))


def names(rows: Sequence[dict[str, object]]) -> list[str]:
    return sorted(str(one["name"]).rpartition("~")[2] for one in rows)


def instead(fault: Fault) -> Callable[[Exchange], bool]:
    def answer(exchange: Exchange) -> bool:
        fault(exchange)
        return True

    return answer


def test_n30_all_pages_are_one_list(article: Article) -> None:
    assert article.ids() == names(ALL)
    assert article.listing.pages == [1, 2] * 2, "read until it comes out the same twice"


def test_n30_a_page_that_comes_twice_is_taken_once_and_that_is_reported(article: Article) -> None:
    article.listing.rows = [*ALL[:PAGE], *ALL]  # the second page repeats the first
    assert article.ids() == names(ALL)
    assert any("twice" in remark or "repeat" in remark for remark in article.repository.refresh().remarks)


def test_n30_a_page_that_comes_for_ever_ends(article: Article) -> None:
    def first(exchange: Exchange) -> bool:
        if len(article.listing.pages) > 8:
            exchange.answer(400)
        else:
            exchange.answer(200, json.dumps(ALL[:PAGE]).encode())
        return True

    article.listing.before = dict.fromkeys(range(2, 20), first)
    try:
        assert article.ids() == names(ALL[:PAGE])
    except RepositoryError as error:
        assert error.hint  # noqa: PT017 - either is right, if it ends soon
    assert len(article.listing.pages) <= 4


@pytest.mark.parametrize(
    "fault",
    [
        status(404),
        status(500),
        said(b""),
        said(json.dumps(ALL[PAGE:]).encode()[:5000]),
        cut(1000),
        said(b'{"message": "sorry"}'),
        said(b'[{"id": 1}]'),
        said(b"[null]"),
    ],
    ids=["vanishes", "500", "empty", "cut JSON", "cut", "no list", "no names", "no rows"],
)
def test_n30_a_page_that_fails_is_an_error_and_no_shorter_list(fault: Fault, article: Article) -> None:
    article.server.files["/v2/articles/1/files"] = json.dumps(ALL[PAGE:]).encode()  # for the one that is cut
    article.listing.before[2] = instead(fault)
    with pytest.raises((RepositoryError, NotFound)) as caught:
        article.repository.refresh()
    assert caught.value.hint
    article.listing.before.clear()
    assert article.ids() == names(ALL)


def test_n30_a_page_that_fails_once_is_asked_for_again(article: Article) -> None:
    def once(exchange: Exchange) -> bool:
        del article.listing.before[2]
        exchange.answer(500)
        return True

    article.listing.before[2] = once
    assert article.ids() == names(ALL)
    assert article.listing.pages == [1, 2, 2, 1, 2]


def test_n30_a_file_that_is_added_meanwhile_makes_no_other_twice(article: Article) -> None:
    def add(_: Exchange) -> bool:
        article.listing.rows = [*files(0), *ALL]
        return False

    article.listing.before[2] = add
    found = article.ids()
    assert len(found) == len(set(found))
    assert set(names(ALL)) <= set(found)


def test_n30_a_file_that_is_removed_meanwhile_hides_no_other(article: Article) -> None:
    def remove(_: Exchange) -> bool:
        if article.listing.rows[0] is ALL[0]:
            del article.listing.rows[0]
        return False

    article.listing.before[2] = remove
    try:
        found = article.ids()
    except RepositoryError:
        found = article.ids()  # told, and right the next time
    assert set(names(ALL[1:])) <= set(found)


@pytest.mark.parametrize("fault", [status(503, Retry_After=9999), said(b'[{"id": 1,')], ids=["503", "cut JSON"])
def test_n30_the_older_index_is_kept(
    fault: Fault, add_repository: Add, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONELIGHT_INDEX_MAX_AGE", "0")
    with WebServer() as server:
        listing = Listing(list(ALL))
        server.faults["/v2/articles/1/files"] = [listing]
        server.faults["/v2/articles/1"] = [instead(lambda exchange: exchange.answer(200, b"{}"))]
        add_repository("box", "figshare", article_id=1, api_url=f"{server.url}/v2")
        assert command("search").out.split() == [SESSION]
        [kept] = config_dir.rglob(".one_index")
        before = kept.read_bytes()
        listing.rows = files(*range(2001, 3500))
        listing.before[2] = instead(fault)
        ended = command("list", SESSION, "--json")
        assert "a02001" not in ended.out + ended.err
        assert kept.read_bytes() == before
        listing.before.clear()
        assert "a02001" in command("list", SESSION, "--json").out


# Every row: what to do next


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([cut_at(middle(LARGE))], id="N2"),
        pytest.param([servers.short(10)], id="N4"),
        pytest.param([flood], id="N7"),
        pytest.param([servers.stating("many")], id="N8"),
        pytest.param([servers.gzipped_cut(0)], id="N9"),
        pytest.param([servers.wrong_range(10)], id="N12"),
        pytest.param([cut(middle(LARGE)), servers.lying_range, cut(middle(LARGE)), servers.lying_range], id="N13"),
        pytest.param([replaced(LARGE, os.urandom(len(LARGE))), Good], id="N14"),
        pytest.param([status(429, Retry_After=100)], id="N17"),
        pytest.param([status(500)], id="N18"),
        pytest.param([status(451)], id="N19"),
        pytest.param([servers.challenge], id="N20"),
        pytest.param([servers.page], id="N21"),
        pytest.param([redirect("file:///etc/hostname")], id="N26"),
    ],
)
def test_an_error_says_what_to_do_next(faults: list[Fault], tmp_path: Path) -> None:
    with WebServer() as server:
        outcome = fetched(server, tmp_path, LARGE, faults)
        assert outcome.error is not None
        assert outcome.error.hint
