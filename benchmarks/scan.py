"""Scanning and hashing a local tree: whole processes, interleaved, medians, and the ratio to find, rglob and md5sum.

Run it as ``python benchmarks/scan.py --folder FOLDER``, on a system with GNU find, xargs and md5sum. FOLDER keeps the
trees for the next time: (a) 200,000 files of 100 bytes to 4 kB in 4,000 sessions of four folders, and (b) 400 files of
5 MB. Everything is warm: each case ran once before it is counted.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SMALL = {"": 2, "alf": 24, "alf/probe00": 12, "raw_ephys_data": 12}
RGLOB = """
import sys
from pathlib import Path
root = Path(sys.argv[1])
for path in sorted(root.rglob("*")):
    found = path.stat()
    if path.is_file():
        print(found.st_size, path)
"""
PEAK = """
import sys
from onelight.cli import run
run(sys.argv[1:])
lines = open("/proc/self/status").read().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")), file=sys.stderr)
"""


def make_small(root: Path, sessions: int) -> None:
    """Write sessions of 50 files each."""
    draw = random.Random(1)
    content = draw.randbytes(4096)
    for number in range(sessions):
        subject, day = divmod(number, 28)
        session = root / f"lab{number % 4}/Subjects/mouse_{subject:04}/2020-01-{day + 1:02}/001"
        for folder, files in SMALL.items():
            (session / folder).mkdir(parents=True, exist_ok=True)
            for file in range(files):
                (session / folder / f"object.field{file}.npy").write_bytes(content[: draw.randrange(100, 4000)])


def make_large(root: Path, files: int) -> None:
    """Write files of 5 MB."""
    content = random.Random(2).randbytes(5_000_000)
    for number in range(files):
        folder = root / f"lab/Subjects/mouse/2020-01-01/{number // 40:03}/alf"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"object.field{number}.npy").write_bytes(content)


def environment(folder: Path) -> dict[str, str]:
    """Return an environment with a configuration of its own, in which Python may keep what it compiled."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"ONELIGHT_CONFIG_DIR": str(folder / "config")}


def seconds(command: list[str] | str, folder: Path) -> float:
    begun = time.perf_counter()
    subprocess.run(
        command,
        check=True,
        shell=isinstance(command, str),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(folder),
    )
    return time.perf_counter() - begun


def medians(cases: dict[str, Callable[[], float]], runs: int) -> dict[str, float]:
    """Return the median of each case; they take turns, and the first turn does not count."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(runs + 1):
        for name, case in cases.items():
            taken = case()
            if turn:
                times[name].append(taken)
    return {name: statistics.median(values) for name, values in times.items()}


def scanning(root: Path, folder: Path, runs: int) -> None:
    ours = [sys.executable, "-m", "onelight", "scan", str(root)]
    found = medians(
        {
            "find": lambda: seconds(["find", str(root), "-type", "f", "-printf", "%s %p\\n"], folder),
            "scan": lambda: seconds(ours, folder),
            "rglob": lambda: seconds([sys.executable, "-c", RGLOB, str(root)], folder),
        },
        runs,
    )
    row("scan (a)", "`find -type f -printf '%s %p\\n'`", found["find"], "")
    row("", "`onelight scan`", found["scan"], f"{found['scan'] / found['find']:.2f} × find (goal 2)")
    row(
        "",
        "`sorted(Path.rglob('*'))` and stat",
        found["rglob"],
        f"{found['rglob'] / found['scan']:.1f} × ours (goal 3)",
    )


def hashing(what: str, root: Path, folder: Path, runs: int) -> None:
    """Compare with md5sum, in as many processes as there are cores, each with as many files at a time as suits it."""
    cores = len(os.sched_getaffinity(0))
    files = 1000 if what == "a" else 10
    peer = f"find '{root}' -type f -print0 | xargs -0 -P{cores} -n{files} md5sum"
    ours = [sys.executable, "-m", "onelight", "scan", str(root), "--hash"]

    def first() -> float:
        shutil.rmtree(folder / "config", ignore_errors=True)
        return seconds(ours, folder)

    found = medians(
        {"md5sum": lambda: seconds(peer, folder), "first": first, "second": lambda: seconds(ours, folder)}, runs
    )
    row(f"md5 ({what})", f"`md5sum`, {cores} processes", found["md5sum"], "")
    row("", "`onelight scan --hash`", found["first"], f"{found['first'] / found['md5sum']:.2f} × md5sum (goal 1.1)")
    row("", "the same again, no file read", found["second"], f"{found['second'] / found['md5sum']:.2f} × md5sum")


def peak(root: Path, folder: Path, *options: str) -> None:
    command = [sys.executable, "-c", PEAK, "scan", str(root), *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(folder))
    print(f"| peak memory | `onelight scan {' '.join(options)}` (a) | {int(done.stderr.split()[-1]) / 1024:.0f} MB | |")


def row(what: str, who: str, taken: float, remark: str) -> None:
    print(f"| {what} | {who} | {taken:.2f} s | {remark} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the trees are, or are made")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--sessions", type=int, default=4000, help="of tree (a)")
    given = parser.parse_args()
    folder = given.folder.absolute()
    small, large = folder / f"small-{given.sessions}", folder / "large"
    for root, make, number in ((small, make_small, given.sessions), (large, make_large, 400)):
        if not root.is_dir():
            unfinished = root.with_name(f"{root.name}-unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished, number)
            unfinished.rename(root)
            time.sleep(2.5)  # what is younger is not remembered
    print(f"| what | who | median of {given.runs} | |\n|---|---|---|---|")
    scanning(small, folder, given.runs)
    hashing("a", small, folder, given.runs)
    hashing("b", large, folder, given.runs)
    for options in ([], ["--hash"]):
        peak(small, folder, *options)


if __name__ == "__main__":
    main()
