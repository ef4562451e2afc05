"""The fault matrix: what comes of a download on each fault, here and in eleven set-ups of the tools people use.

Run it as ``python benchmarks/reliability.py``. Each cell is a download by ONE light's own client, from a server of its
own on loopback (``tests/servers.py``, real sockets) into an empty folder. It prints the tables of
``docs/reliability.md`` and ends with 1 if a file was wrong, or anything stood under a final name that is not the file.

``python benchmarks/reliability.py --kills 200`` is the second experiment: 500 files are fetched by a process that is
killed with SIGKILL at a random moment, 200 times over, and once more to the end. ``--processes 16`` is the third: so
many processes fetch the same 100 files into one folder, while what ``onelight cache gc`` does is done without a pause.
"""

# ruff: noqa: E402 - the tests' server is found only where sys.path says so
from __future__ import annotations

import argparse
import base64
import datetime as dt
import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "transfer")]

import pycurl
import servers
from servers import Exchange, Fault, Good, WebServer, cut, cut_at, status, then_swap, to_ranges
from shelf import leftovers, start
from test_transfer_kills import Shared, drips, kill_at_random, start_without_locks
from test_transfer_kills import ended as outcomes_of

from onelight.cli.errors import exit_code
from onelight.client import Client, Limits
from onelight.errors import OneError
from onelight.index import Entry
from onelight.kinds.http import HttpRepository
from onelight.transfer import Ledger, Outcome, Status, Verified, download, plan_download
from onelight.transfer.leftovers import find_leftovers, remove
from onelight.version import __version__

NAME = "lab/Subjects/Cori/2016-12-14/001/alf/spikes.times.npy"
PATH = f"/{NAME}"
SMALL, NORMAL, BIG = 300_000, 3_000_000, 30_000_000
OLD, NEW = ({size: os.urandom(size) for size in (SMALL, NORMAL, BIG)} for _ in range(2))
# The product's own, but for the idle limit: 8 s instead of 60, the one that the peers were given.
LIMITS = Limits(idle=8)
LOGIN, PASSWORD = "me", "canary-5d1f"
SECRETS = (PASSWORD, base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode())

PEERS = ("requests", "urllib (ONE-api)", "pooch", "pooch + md5", "fsspec", "huggingface_hub", "pip", "curl", "aria2",
         "aria2 + md5", "rclone")  # fmt: skip
VERSIONS = (
    "requests 2.34.2 with urllib3 2.8.0; urllib of Python 3.11 in the manner of ONE-api; pooch 1.9.0; fsspec 2026.9.0; "
    "huggingface_hub 2.4.0 (`http_get`, told the size); pip 26.3 (its `Downloader`, 5 resumes); curl 7.88.1 "
    "(`-f --retry 3 --retry-all-errors -C -`); aria2 1.36; rclone 1.60.1"
)


@dataclass(frozen=True)
class Row:
    """A fault, and what became of it in the peers.

    Parameters
    ----------
    name : str
        The fault.
    faults : callable
        From the byte at which something happens and the content of a replaced file to what the server does in turn;
        one list for each variant of the fault.
    peers : str
        The measured cells of the peers.
    server : dict
        What kind of server it is.
    resume : bool
        Whether it is about going on: run with 30 MB as well.
    unseen : bool
        Whether a client that knows nothing of the file cannot notice.
    least : float
        Seconds that the server asked the client to wait, in all.
    """

    name: str
    faults: Callable[[int, bytes], list[list[Fault]]]
    peers: str
    server: dict[str, Any] = field(default_factory=dict)
    resume: bool = False
    unseen: bool = False
    least: float = 0.0


def later(exchange: Exchange) -> None:
    """Ask for one or two seconds of patience, as a date."""
    exchange.answer(429, b"", {"Retry-After": servers.formatted_date(time.time() + 2)})


ROWS = (
    Row("RST mid-body, Range honoured", lambda at, _: [[cut(at, reset=True), Good]],
        "err+part|err+part|err|err|err+part|err|OK|OK|OK|OK|OK", resume=True),
    Row("cut, Range ignored (200)", lambda at, _: [[cut(at), Good]],
        "err+part|err+part|err|err|err+part|OK|OK|OK|err+part|err+part|OK", {"ranges": False}, resume=True),
    Row("FIN mid-body, Range honoured", lambda at, _: [[cut(at), Good]],
        "err+part|**BAD**|err|err|err+part|OK|OK|OK|OK|OK|OK", resume=True),
    Row("FIN always, at the same byte", lambda at, _: [[cut_at(at)]],
        "err+part|**BAD**|err|err|err+part|err|err|err+part|err+part|err+part|err", resume=True),
    Row("short body, consistent Content-Length", lambda at, _: [[servers.short(at)]],
        "**BAD**|**BAD**|**BAD**|err|**BAD**|err|**BAD**|**BAD**|**BAD**|err+part|err", unseen=True),
    Row("no Content-Length, cut always", lambda at, _: [[servers.without_length(at)]],
        "**BAD**|err|**BAD**|err|**BAD**|err|**BAD**|**BAD**|**BAD**|err+part|err", unseen=True),
    Row("chunked, cut always", lambda at, _: [[servers.chunked(at)]],
        "err+part|err|err|err|err+part|err|err|err+part|err+part|err|err"),
    Row("gzip that nobody asked for", lambda *_: [[servers.gzipped]],
        "OK|**BAD**|OK|OK|OK|OK|**BAD**|**BAD**|**BAD**|err+part|OK"),
    Row("replaced mid-resume, If-Range honoured", lambda at, new: [[then_swap(cut(at), new), Good]],
        "err+part|err+part|err|err|err+part|**BAD** mix|OK (new)|OK (new)|**BAD** mix|err+part|**BAD** mix",
        resume=True),
    Row("replaced mid-resume, If-Range ignored", lambda at, new: [[then_swap(cut(at), new), Good]],
        "err+part|err+part|err|err|err+part|**BAD** mix|**BAD** mix|OK (new)|**BAD** mix|err+part|**BAD** mix",
        {"if_range": False}, resume=True),
    Row("206 from byte 0, honest Content-Range", lambda at, _: [[cut(at), to_ranges(servers.wrong_range(-BIG))]],
        "err+part|err+part|err|err|err+part|err|err|OK|err+part|err+part|OK", resume=True),
    Row("206 with a lying Content-Range", lambda at, _: [[cut(at), to_ranges(servers.lying_range), Good]],
        "err+part|err+part|err|err|err+part|**BAD**|**BAD**|OK|**BAD**|err+part|**BAD**", resume=True, unseen=True),
    Row("416 on resume", lambda at, _: [[cut(at), to_ranges(status(416)), Good]],
        "err+part|err+part|err|err|err+part|err|err|OK|err+part|err+part|OK", resume=True),
    Row("429 twice, Retry-After: 1 / a date",
        lambda *_: [[status(429, Retry_After=1)] * 2 + [Good], [later, later, Good]],
        "err/err|err/err|err/err|err/err|err/err|OK/OK|OK/OK|OK/OK|err/err|err/err|OK/OK", least=2),
    Row("503 twice / 500 twice", lambda *_: [[status(503)] * 2 + [Good], [status(500)] * 2 + [Good]],
        "err/err|err/err|err/err|err/err|err/err|err/err|OK/OK|OK/OK|OK/err|OK/err|OK/OK"),
    Row("stall at 40 %", lambda at, _: [[servers.stall(at), Good]],
        "err+part|err+part|err|err|err+part|OK|OK|OK|OK|OK|OK"),
    Row("redirect loop", lambda *_: [[servers.redirect(PATH)]], "err|err|err|err|err|err|err|err|err|err|err"),
    Row("202 and nothing, from a firewall", lambda *_: [[servers.challenge]],
        "**BAD**|**BAD**|**BAD**|err|**BAD**|err|**BAD**|**BAD**|err|err|**BAD**"),
    Row("200 with a login page", lambda *_: [[servers.page]],
        "**BAD**|**BAD**|**BAD**|err|**BAD**|err|**BAD**|**BAD**|**BAD**|err+part|**BAD**"),
)  # fmt: skip
TOKEN = "redirect to another host: is the token sent on?"
TOKEN_PEERS = "no|**YES**|no|no|no|no|(has none)|no|**YES**|**YES**|**YES**"
FULL = "the disk is full (1.5 MB)"
FULL_PEERS = "err+part|err+part|err|err|err+part|–|–|err+part|err+part|err+part|err+part"
KILLED = "kill -9 mid-body, then again"
KILLED_PEERS = "part|–|orphan|orphan|part|`.incomplete`|own temp|part|part|part|part"
BEGIN, END = "<!-- measured -->", "<!-- end of what is measured -->"
COLUMNS = {"md5 known": (True, NORMAL), "md5 known, 0.3 MB": (True, SMALL), "nothing known": (False, NORMAL)}


@dataclass(frozen=True)
class Cell:
    """What came of one download.

    Parameters
    ----------
    word : str
        ``OK``, ``err``; or what must not be.
    requests : int
        Requests for the file.
    resumed : int
        The byte at which the last of them went on; 0 if it began anew.
    kept : int
        Bytes of a failed download that the next one went on from.
    said : str
        The words of the error, or of the doubt.
    allowed : bool
        Whether it may be.
    """

    word: str
    requests: int = 0
    resumed: int = 0
    kept: int = 0
    said: str = ""
    allowed: bool = True


def fetch(wanted: Entry, repository: HttpRepository, client: Client, folder: Path) -> Outcome:
    """Plan and run, as One does; what is raised before anything begins is an outcome here, too."""
    ledger = Ledger(folder)
    try:
        steps = plan_download([wanted], folder, ledger)
        return download(steps, repository, client, folder, ledger)[0]
    except OneError as error:
        return Outcome(wanted.path, folder / wanted.path, Status.FAILED, error=error)


def known_of(repository: HttpRepository, content: bytes, *, known: bool) -> Entry:
    """Return the one entry of a plain web server; with size and md5 if they are known."""
    [wanted] = repository.refresh()
    return replace(wanted, size=len(content), md5=hashlib.md5(content).hexdigest()) if known else wanted


def judge(outcome: Outcome, server: WebServer, right: dict[str, bytes], *, known: bool, unseen: bool = False) -> Cell:
    """Compare what was said with what is there."""
    there = outcome.target.read_bytes() if outcome.target.exists() else None
    asked = [request for request in server.requests if request.path == PATH]
    resumed = (asked[-1].range_start or 0) if asked and asked[-1].status == 206 else 0
    cell = Cell("", len(asked), resumed)
    if outcome.error is not None:
        said = f"{type(outcome.error).__name__} ({exit_code(outcome.error)}): {outcome.error.message}"
        return replace(cell, word="err" if there is None else "**err+part**", said=said, allowed=there is None)
    for word, content in right.items():
        if there == content:
            return replace(cell, word=word)
    doubt = outcome.verified in (Verified.SIZE, Verified.NOTHING)
    allowed = unseen and not known and doubt
    told = f"success, `verified: {outcome.verified.value}`"
    return replace(cell, word="BAD¹" if allowed else "**BAD**", said=told, allowed=allowed)


def run(row: Row, variant: int, size: int, known: bool) -> Cell:
    """Fetch once on a fault; and if that fails, once more from a server that is well again."""
    old, new = OLD[size], NEW[size]
    with WebServer(**row.server) as server, tempfile.TemporaryDirectory() as name, Client(limits=LIMITS) as client:
        folder = Path(name)
        server.files |= {PATH: old, "/.one_root": f"{NAME}\n".encode()}
        faults = row.faults(size * 2 // 5, new)[variant]
        # Small files are first fetched in a quick way that never goes on: to meet the rest, they are cut once more.
        server.faults[PATH] = [*faults[: row.resume and size == SMALL], *faults]
        repository = HttpRepository("web", server.url, client)
        wanted = known_of(repository, old, known=known)
        begun = time.monotonic()
        outcome = fetch(wanted, repository, client, folder)
        seconds = time.monotonic() - begun
        right = {"OK": old} if known else {"OK": old, "OK (new)": new}
        cell = judge(outcome, server, right, known=known, unseen=row.unseen)
        if cell.word == "OK" and seconds < row.least:
            said = f"asked again after {seconds:.1f} s in all, and was told to wait {row.least:.0f} s"
            cell = replace(cell, word="**did not wait**", said=said, allowed=False)
        if outcome.error is not None:
            server.heal()
            server.files[PATH] = old
            cell = check_again(cell, fetch(wanted, repository, client, folder), old, folder)
        return cell


def check_again(cell: Cell, again: Outcome, right: bytes, folder: Path) -> Cell:
    """Mark a cell if the next run did not put everything right."""
    if again.error is None and again.target.read_bytes() == right and not leftovers(folder):
        return replace(cell, kept=again.resumed_from)
    said = str(again.error or [path.name for path in leftovers(folder)] or "wrong bytes")
    return replace(cell, word=f"**{cell.word}, and stuck**", said=f"{cell.said}; then {said}", allowed=False)


def run_token(known: bool, size: int) -> Cell:
    """Fetch with a password from a server that sends everybody to another host."""
    with WebServer() as own, WebServer() as other, tempfile.TemporaryDirectory() as name, Client() as client:
        own.files |= {PATH: OLD[size], "/.one_root": f"{NAME}\n".encode()}
        own.password = f"Basic {SECRETS[1]}"
        own.faults[PATH] = [servers.redirect(f"{other.url.replace('127.0.0.1', 'localhost')}{PATH}")]
        other.files[PATH] = OLD[size]
        repository = HttpRepository("web", own.url, client, login=LOGIN, password=PASSWORD)
        outcome = fetch(known_of(repository, OLD[size], known=known), repository, client, Path(name))
        cell = judge(outcome, other, {"OK": OLD[size]}, known=known)
        seen = str(other.requests)
        sent = any(secret in seen for secret in SECRETS) or "authorization" in seen.lower()
        if not other.requests or cell.word != "OK":
            return replace(cell, word=f"**{cell.word}**", allowed=False)
        return replace(cell, word="**YES**" if sent else "no", requests=cell.requests + 1, allowed=not sent)


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """Yield a disk of 1.5 MB, or None where it cannot be made."""
    with tempfile.TemporaryDirectory() as name:
        command = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", name]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            yield None
            return
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def run_full(known: bool, size: int) -> Cell:
    """Fetch more than fits; then make room, and fetch again."""
    with WebServer() as server, small_disk() as folder, Client() as client:
        if folder is None:
            return Cell("not run", said="a small disk can be made by root on Linux only")
        content = OLD[max(size, NORMAL)]
        server.files |= {PATH: content, "/.one_root": f"{NAME}\n".encode()}
        repository = HttpRepository("web", server.url, client)
        wanted = known_of(repository, content, known=known)
        outcome = fetch(wanted, repository, client, folder)
        cell = judge(outcome, server, {"OK": content}, known=known)
        subprocess.run(["mount", "-o", "remount,size=40m", str(folder)], check=True)
        return check_again(cell, fetch(wanted, repository, client, folder), content, folder)


def run_killed(known: bool, size: int) -> Cell:
    """Kill the process in the middle of the body, look, and fetch again."""
    with WebServer() as server, tempfile.TemporaryDirectory() as name, Client() as client:
        folder, content = Path(name), OLD[size]
        server.files |= {PATH: content, "/.one_root": f"{NAME}\n".encode()}
        server.faults[PATH] = [servers.drip(0.05, size // 40)]
        repository = HttpRepository("web", server.url, client)
        wanted = known_of(repository, content, known=known)
        with start([wanted], folder) as process:
            while not any(request.path == PATH for request in server.requests):
                time.sleep(0.01)
            time.sleep(0.8)  # of the two seconds that it takes
            process.kill()
            process.communicate()
        if (folder / NAME).exists():
            return Cell("**part**", said="something stood under the final name", allowed=False)
        server.faults.clear()
        outcome = fetch(wanted, repository, client, folder)
        cell = judge(outcome, server, {"OK": content}, known=known)
        return check_again(cell, outcome, content, folder) if find_leftovers(folder) else cell


def megabytes(number: int) -> str:
    return f"{number / 1e6:.1f}"


def shown(cells: list[Cell]) -> str:
    """Return the text of the cells that share a place in the table."""
    words = "/".join(dict.fromkeys(cell.word for cell in cells))
    more = ["/".join(str(cell.requests) for cell in cells)]
    for what in ("resumed", "kept"):
        numbers = "/".join(megabytes(getattr(cell, what)) for cell in cells if getattr(cell, what))
        failed = any(cell.word.startswith("err") for cell in cells)
        if numbers and failed is (what == "kept"):
            more.append(f"{'keeps' if failed else 'from'} {numbers}")
    return words if words == "not run" else f"{words} ({', '.join(more)})"


def all_cells() -> dict[str, tuple[str, list[list[Cell]]]]:
    """Run everything, several at a time; return by row the cells of the peers and ours by column."""
    with ThreadPoolExecutor(8) as pool:
        table = {}
        for row in ROWS:
            places = []
            for known, size in COLUMNS.values():
                sizes = [size, BIG] if row.resume and size == NORMAL else [size]
                variants = range(len(row.faults(1, b"")))
                places.append([pool.submit(run, row, number, each, known) for number in variants for each in sizes])
            table[row.name] = (row.peers, places)
        for name, peers, action in (
            (TOKEN, TOKEN_PEERS, run_token),
            (FULL, FULL_PEERS, run_full),
            (KILLED, KILLED_PEERS, run_killed),
        ):
            table[name] = (peers, [[pool.submit(action, *where)] for where in COLUMNS.values()])
        return {
            name: (peers, [[future.result() for future in place] for place in places])
            for name, (peers, places) in table.items()
        }


def lines_of(table: dict[str, tuple[str, list[list[Cell]]]]) -> list[str]:
    """Return the tables as Markdown."""
    now = dt.datetime.now(dt.timezone.utc)
    versions = f"Python {platform.python_version()}, {pycurl.version.split()[1]}, {platform.system()}"
    lines = [
        f"{now:%Y-%m-%d}, ONE light {__version__}, {versions}. The peers: {VERSIONS}.",
        "",
        f"| fault | {' | '.join(f'ONE light, {name}' for name in COLUMNS)} | {' | '.join(PEERS)} |",
        "|---" * (1 + len(COLUMNS) + len(PEERS)) + "|",
    ]
    for name, (peers, places) in table.items():
        cells = peers.split("|")
        assert len(cells) == len(PEERS), name
        lines.append(f"| {name} | {' | '.join(map(shown, places))} | {' | '.join(cells)} |")
    lines += ["", "| fault | where | error (exit code): what is said |", "|---|---|---|"]
    for name, (_, places) in table.items():
        said: dict[str, list[str]] = {}
        for column, place in zip(COLUMNS, places, strict=True):
            for cell in place:
                if cell.said:
                    said.setdefault(plain(cell.said), []).append(column)
        for words, columns in said.items():
            where = list(dict.fromkeys(columns))
            lines.append(f"| {name} | {'all' if len(where) == len(COLUMNS) else '; '.join(where)} | {words} |")
    return lines


def plain(words: str) -> str:
    """Return a message without what differs from run to run."""
    words = words.replace(f"{NAME} could not be fetched: ", "")
    for pattern, instead in (
        (r"http://[\w.]+:\d+/\S+npy", "URL"),
        (r"\S*\.npy\.[\w.-]+\.part", "PARTIAL"),
        (re.escape(NAME), "FILE"),
        (r"[\w.]+:\d{4,5}\b", "HOST"),
        (r"/tmp/\w+", "FOLDER"),
        (r"\b[0-9a-f]{32}\b", "…"),
        (r"\b\d[\d,]{4,}\b", "N"),
    ):
        words = re.sub(pattern, instead, words)
    return words


def matrix(write: Path | None) -> int:
    table = all_cells()
    text = "\n".join(lines_of(table))
    print(text)
    if write is not None:
        before, _, rest = write.read_text(encoding="utf-8").partition(f"{BEGIN}\n")
        after = rest.partition(f"{END}\n")[2]
        write.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}\n{after}", encoding="utf-8")
    wrong = [
        f"{name}; {column}: {cell.word}: {cell.said}"
        for name, (_, places) in table.items()
        for column, place in zip(COLUMNS, places, strict=True)
        for cell in place
        if not cell.allowed
    ]
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    return 1 if wrong else 0


def kills(number: int, files: int, seed: int) -> int:
    with WebServer() as server, tempfile.TemporaryDirectory() as name:
        shared = Shared(server, Path(name))
        shared.add(files, lambda number: 1_300_000 if number % 20 == 0 else 20_000 + 400 * number)
        shared.serve(drips(0.1, 40_000))
        begun = time.monotonic()
        seen = kill_at_random(shared, number, spread=0.3, seed=seed)
        states = sorted({str(row[0]) for row in seen.outcomes})
        partials = dict(shared.partials())
        left = len(leftovers(shared.folder))
        print(f"{files} files, {sum(map(len, shared.contents.values())) / 1e6:.1f} MB, seed {seed}")
        print(f"{seen.kills} kills in {time.monotonic() - begun:.0f} s, {seen.before} of them before the first request")
        print(f"files wrong under their names after any kill: {len(seen.wrong)}")
        print(f"most partial files of one file at any time: {seen.most_partials}; continued requests: {seen.resumed}")
        print(f"after the last run: {states}, {len(shared.wrong())} wrong, {len(shared.missing())} missing")
        print(f"partial files then: {len(partials)}, at most {max(partials.values(), default=0)} of one file", end="")
        print(f"; hidden files {left}, after `cache gc` {len(shared.clean())}")
        good = not (
            seen.wrong
            or shared.wrong()
            or shared.missing()
            or shared.clean()
            or max(partials.values(), default=0) > 1
            or set(states) - {"ok", "notneeded"}
        )
        return 0 if good and seen.kills == number else 1


def together(processes: int) -> int:
    good = True
    for begin, locks in ((start, "locks that work"), (start_without_locks, "locks that lie")):
        for known in (True, False):
            with WebServer() as server, tempfile.TemporaryDirectory() as name:
                shared = Shared(server, Path(name))
                shared.add(100, lambda number: 1_200_000 if number % 10 == 0 else 30_000 + 1000 * number, known=known)
                shared.serve(drips(0.005, 1 << 16))
                ended = threading.Event()
                removed = [0]

                def sweep(
                    shared: Shared = shared, ended: threading.Event = ended, removed: list[int] = removed
                ) -> None:
                    while not ended.is_set():
                        removed[0] += sum(map(remove, find_leftovers(shared.folder)))

                sweeper = threading.Thread(target=sweep)
                begun = time.monotonic()
                running = [begin(shared.entries, shared.folder) for _ in range(processes)]
                sweeper.start()
                try:
                    states = Counter(str(row[0]) for process in running for row in outcomes_of(process))
                finally:
                    ended.set()
                    sweeper.join()
                wrong = [*shared.wrong(), *shared.missing()]
                left = len(shared.clean())
                print(
                    f"{locks}, {'md5 known' if known else 'nothing known'}: {dict(states)} in "
                    f"{time.monotonic() - begun:.1f} s; {len(wrong)} wrong or missing, {removed[0]} removed from under "
                    f"somebody, {left} left after `cache gc`"
                )
                good = good and not (wrong or left or removed[0] or set(states) - {"ok", "notneeded"})
    return 0 if good else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="the second experiment: kill N times")
    parser.add_argument("--processes", type=int, default=0, metavar="N", help="the third: N at a time")
    parser.add_argument("--files", type=int, default=500, help="files of the second experiment")
    parser.add_argument("--seed", type=int, default=0, help="seed of its random moments")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this document, too")
    options = parser.parse_args()
    if options.kills:
        sys.exit(kills(options.kills, options.files, options.seed))
    sys.exit(together(options.processes) if options.processes else matrix(options.write))


if __name__ == "__main__":
    main()
