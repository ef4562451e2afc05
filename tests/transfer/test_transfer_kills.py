"""Killed at random moments, and sixteen at a time: every file right, nothing interleaved, nothing left for ever."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from servers import Exchange, WebServer, drip
from shelf import entry, leftovers, start

from onelight.index import Entry
from onelight.transfer.leftovers import find_leftovers, remove

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
# A lock that succeeds for everybody, as on some network file systems; and then the program of shelf.py.
LYING = """
import sys
try:
    import fcntl
    fcntl.flock = fcntl.lockf = lambda *_: None
except ImportError:
    pass
sys.path.insert(0, {folder!r})
import shelf
shelf.main()
"""


@dataclass
class Shared:
    """Files on a server, and the folder they land in."""

    server: WebServer
    folder: Path
    contents: dict[str, bytes] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    def add(self, count: int, size: Callable[[int], int], *, known: bool = True) -> None:
        """Put files of random bytes on the server; half of them in another collection."""
        for number in range(count):
            name = f"probe{number % 2:02}/spikes.a{number:04}.npy"
            self.contents[name] = self.server.files[f"/{name}"] = os.urandom(size(number))
            self.entries.append(
                entry(name, f"{self.server.url}/{name}", self.contents[name], size=known, md5=known)
            )  # fmt: skip

    def serve(self, fault: Callable[[Exchange], None]) -> None:
        """Serve every file in this way."""
        self.server.faults = {path: [fault] for path in self.server.files}

    def target(self, wanted: Entry) -> Path:
        return self.folder / wanted.path

    def wrong(self) -> list[str]:
        """Return the names that are taken by something other than their file."""
        return [
            name
            for name, content, path in zip(
                self.contents, self.contents.values(), map(self.target, self.entries), strict=True
            )
            if path.exists() and path.read_bytes() != content
        ]

    def missing(self) -> list[str]:
        return [one.path for one in self.entries if not self.target(one).exists()]

    def partials(self) -> Counter[str]:
        """Return how many partial files there are of each file."""
        names = [path.name for path in leftovers(self.folder) if path.suffix == ".part"]
        return Counter(name.partition(".npy.")[0] for name in names)

    def clean(self) -> list[Path]:
        """Do what ``onelight cache gc`` does; return what is left after it."""
        for left in find_leftovers(self.folder):
            remove(left)
        return leftovers(self.folder)


def drips(seconds: float, piece: int) -> Callable[[Exchange], None]:
    """Serve slowly, and each answer at a speed of its own, so that files are not all begun at one time."""
    dice = random.Random(3)

    def fault(exchange: Exchange) -> None:
        drip(seconds * dice.uniform(0.5, 1.5), piece)(exchange)

    return fault


@dataclass
class Killed:
    """What a run of kills saw."""

    kills: int = 0
    before: int = 0
    """Processes that were killed before their first request."""
    finished: int = 0
    """Processes that had done everything before they could be killed."""
    wrong: list[str] = field(default_factory=list)
    most_partials: int = 0
    """Most partial files of one file at any time."""
    resumed: int = 0
    """Requests for the rest of a file."""
    outcomes: list[list[object]] = field(default_factory=list)


def kill_at_random(shared: Shared, kills: int, spread: float, seed: int = 0) -> Killed:
    """Download, with the process killed at a random moment each time; and once more to the end.

    Parameters
    ----------
    spread : float
        Seconds after its first request within which a process is killed. One in eight is killed while it starts.
    """
    dice, seen = random.Random(seed), Killed()
    while seen.kills < kills and shared.missing():
        asked = len(shared.server.requests)
        with start(shared.entries, shared.folder) as process:
            if dice.random() < 1 / 8:
                time.sleep(dice.uniform(0, 0.5))
            else:
                while len(shared.server.requests) == asked and process.poll() is None:
                    time.sleep(0.002)
                time.sleep(dice.uniform(0, spread))
            seen.finished += process.poll() is not None
            process.kill()
            process.communicate()
        seen.kills += 1
        seen.before += len(shared.server.requests) == asked
        seen.wrong += shared.wrong()
        seen.most_partials = max([seen.most_partials, *shared.partials().values()])
    seen.resumed = sum(request.range_start is not None for request in shared.server.requests)
    shared.server.heal()
    seen.outcomes = ended(start(shared.entries, shared.folder))
    seen.resumed += sum(request.range_start is not None for request in shared.server.requests)
    return seen


def ended(process: subprocess.Popen[str]) -> list[list[object]]:
    """Return what came of each file for a process that ends by itself."""
    with process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    found: list[list[object]] = json.loads(out)["outcomes"]
    return found


def start_without_locks(entries: Sequence[Entry], folder: Path) -> subprocess.Popen[str]:
    """Begin a download in a process whose locks succeed for everybody."""
    rows = [[one.path, one.url, one.size, one.md5] for one in entries]
    task = json.dumps({"entries": rows, "folder": str(folder)})
    program = LYING.format(folder=str(Path(__file__).parent))
    return subprocess.Popen(
        [sys.executable, "-c", program, task], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@posix
def test_killed_twenty_five_times_a_download_ends_right(tmp_path: Path) -> None:
    """Row L3."""
    with WebServer() as server:
        shared = Shared(server, tmp_path)
        shared.add(200, lambda number: 1_300_000 if number % 20 == 0 else 20_000 + 1000 * number)
        shared.serve(drips(0.04, 40_000))
        seen = kill_at_random(shared, 25, spread=0.3)
    assert seen.wrong == [], "nothing wrong ever has the name of a file"
    assert (seen.kills, seen.finished) == (25, 0), "each was killed on its way"
    assert [row[0] for row in seen.outcomes if row[0] not in ("ok", "notneeded")] == []
    assert (shared.wrong(), shared.missing()) == ([], [])
    assert max(shared.partials().values(), default=0) <= 1
    assert shared.clean() == []
    assert (shared.wrong(), shared.missing()) == ([], [])


@pytest.mark.parametrize(
    ("begin", "known"),
    [(start, True), (start_without_locks, False)],
    ids=["with md5", "lying locks, nothing known"],
)
def test_sixteen_processes_fetch_the_same_files_into_one_folder(
    tmp_path: Path, begin: Callable[[Sequence[Entry], Path], subprocess.Popen[str]], known: bool
) -> None:
    """Row L6."""
    with WebServer() as server:
        shared = Shared(server, tmp_path)
        shared.add(40, lambda number: 1_200_000 if number % 10 == 0 else 30_000 + 1000 * number, known=known)
        shared.serve(drips(0.005, 1 << 16))
        running = [begin(shared.entries, tmp_path) for _ in range(16)]
        outcomes = [row for process in running for row in ended(process)]
    assert Counter(row[0] for row in outcomes if row[0] not in ("ok", "notneeded")) == {}
    assert len(outcomes) == 16 * 40
    assert (shared.wrong(), shared.missing()) == ([], [])
    assert shared.clean() == []
