"""Loading and names: an object beside bare NumPy and ONE-api, a slice of a remote file, names.

Run it as ``python benchmarks/loading.py``; ONE-api takes part where ``--peers-python`` names a Python that has it.
Everything is warm: the files are in the page cache, and each case ran once before it is counted. The cases of one
row take turns in one process, ONE-api in a process of its own with bare NumPy beside it, so that the ratios are fair.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
ROWS = 5_000_000
#: A recording like one of Neuropixels' slow band: 385 channels of int16, 2,500 samples a second; 2 GB of it.
CHANNELS, RATE, SAMPLES = 385, 2500, 2_700_000

PEER = """
import gc, json, statistics, sys, time, warnings
from pathlib import Path
import numpy as np
import one.alf.io as alfio
from one.api import One
warnings.simplefilter("ignore")
root, session, runs = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
folder = root / session / "alf"
One.setup(root, hash_files=True)
one = One(cache_dir=root, mode="local")
eid = one.search(subject="Cori")[0]
cases = {
    "np.load": lambda: [np.load(folder / f"spikes.{name}.npy") for name in ("times", "clusters", "amps", "depths")],
    "one.alf.io.load_object": lambda: alfio.load_object(folder, "spikes"),
    "One.load_object": lambda: one.load_object(eid, "spikes"),
}
times = {name: [] for name in cases}
for run in range(runs + 1):
    for name, case in cases.items():
        gc.collect()
        begun = time.perf_counter()
        value = case()
        seconds = time.perf_counter() - begun
        del value
        if run:
            times[name].append(seconds)
print(json.dumps({name: statistics.median(values) for name, values in times.items()}))
"""


def make(root: Path, *, columns: bool = False) -> Path:
    """Write spikes with four attributes of five million rows, 120 MB; as vectors, or as the columns of MATLAB."""
    folder = root / SESSION / "alf"
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    arrays = {
        "times": np.sort(random.uniform(0, 2700, ROWS)),
        "clusters": random.integers(0, 1085, ROWS, dtype=np.uint32),
        "amps": random.uniform(0, 200, ROWS),
        "depths": random.uniform(0, 3840, ROWS).astype(np.float32),
    }
    for name, array in arrays.items():
        np.save(folder / f"spikes.{name}.npy", np.asfortranarray(array[:, None]) if columns else array)
    return folder


def configure(repository: dict[str, str]) -> None:
    """Make a configuration that has this repository."""
    folder = Path(os.environ["ONELIGHT_CONFIG_DIR"])
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"repositories": [repository], "current_repository": "bench"}))


def medians(cases: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Return the median seconds of each case; they take turns, and the first turn does not count."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for run in range(runs + 1):
        for name, case in cases.items():
            gc.collect()
            begun = time.perf_counter()
            value = case()
            seconds = time.perf_counter() - begun
            del value
            if run:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def objects(what: str, root: Path, folder: Path, runs: int, peers_python: str | None) -> None:
    from onelight.api import One

    configure({"name": "bench", "type": "local", "root_dir": str(root)})
    one = One("bench")
    names = ("times", "clusters", "amps", "depths")
    found = medians(
        {
            "four bare np.load": lambda: [np.load(folder / f"spikes.{name}.npy") for name in names],
            "onelight load_object": lambda: one.load_object(SESSION, "spikes"),
            "four np.load, mapped": lambda: [np.load(folder / f"spikes.{name}.npy", mmap_mode="r") for name in names],
            "onelight load_object, mapped": lambda: one.load_object(SESSION, "spikes", mmap=True),
        },
        runs,
    )
    bare, ours = found["four bare np.load"], found["onelight load_object"]
    mapped = found["onelight load_object, mapped"] - found["four np.load, mapped"]
    row(f"spikes, 4 × 5 million rows, {what}", "four bare `np.load`", bare, "")
    row("", "**ONE light** `load_object`", ours, f"{ours / bare:.2f} × np.load (goal 1.1)")
    if peers_python is not None:
        command = [peers_python, "-c", PEER, str(root), SESSION, str(runs)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peers = json.loads(done.stdout.splitlines()[-1])
        row("", "the same `np.load` in the process of ONE-api", peers["np.load"], "")
        for name, goal in (("one.alf.io.load_object", 12), ("One.load_object", 30)):
            row("", f"ONE-api `{name}`", peers[name], f"{peers[name] / ours:.1f} × ONE light (goal {goal})")
    row("the same, mapped", "four `np.load(mmap_mode='r')`", found["four np.load, mapped"], "")
    row(
        "",
        "**ONE light** `load_object(mmap=True)`",
        found["onelight load_object, mapped"],
        f"{mapped * 1000:+.2f} ms (goal +2)",
    )


def names(runs: int) -> None:
    from onelight.alf import Dataset, split_path

    files = [f"alf/probe0{probe}/spikes.name{name}_times.npy" for probe in (0, 1) for name in range(25)]
    sessions = [
        f"lab{n % 12}/Subjects/mouse{n % 139}/20{n % 10 + 10}-{n % 12 + 1:02}-{n % 28 + 1:02}/{n % 999:03}"
        for n in range(20_000)
    ]
    paths = [f"{session}/{file}" for session in sessions for file in files]
    others = [f"alf/probe00/_ibl_spikes{n}.name{n % 977}_times.npy" for n in range(1_000_000)]

    def whole() -> None:
        for path in paths:
            _, below = split_path(path)
            Dataset.parse(below)

    def distinct() -> None:
        for name in others:
            Dataset.parse(name)

    found = medians({"paths": whole, "distinct": distinct}, max(1, runs // 3))
    row(
        "a million paths of 20,000 sessions",
        "**ONE light** session and dataset",
        found["paths"],
        f"{1 / found['paths']:.2f} million a second (goal 0.3)",
    )
    row(
        "a million names, each another",
        "**ONE light** dataset",
        found["distinct"],
        f"{1 / found['distinct']:.2f} million a second (goal 0.3)",
    )


def slices(root: Path) -> None:
    from onelight.api import One, write_index

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from servers import WebServer

    path = root / SESSION / "alf" / "ephys.raw.npy"
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "<i2", "fortran_order": False, "shape": (SAMPLES, CHANNELS)}
        )
        stream.truncate(stream.tell() + SAMPLES * CHANNELS * 2)  # a sparse file: zeros that take no room
    write_index(root, allow_partial=True)  # ONE-api left its tables there
    with WebServer() as server:
        for file in (root / ".one_root", path):
            server.files["/" + str(file.relative_to(root))] = file
        configure({"name": "remote", "type": "http", "base_url": server.url})
        one = One("remote")
        one.refresh()
        before = len(server.requests)
        begun = time.perf_counter()
        with one.open(SESSION, "ephys.raw") as recording:
            found = recording[100 * RATE : 110 * RATE]
            seconds = time.perf_counter() - begun
            asked = len(server.requests) - before
            answers = [seen for seen in server.requests[before:] if seen.range_end is not None]
            share = sum((seen.range_end or 0) - (seen.range_start or 0) for seen in answers) / found.nbytes
    row(
        f"10 s of {path.stat().st_size / 1e9:.1f} GB at a web server",
        "**ONE light** `open(…)[a:b]`",
        seconds,
        f"{asked} requests (goal 3), {share:.3f} × the bytes asked for (goal 1.2)",
    )


def row(what: str, who: str, seconds: float, said: str) -> None:
    print(f"| {what} | {who} | {seconds * 1000:,.1f} | {said} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--peers-python", metavar="PATH", help="an interpreter that has ONE-api")
    parser.add_argument("--folder", metavar="DIR", help="where the files are made; by default the temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        os.environ["ONELIGHT_CONFIG_DIR"] = f"{temporary}/config"
        root = Path(temporary) / "root"
        folder = make(root)
        print(f"| work | who | median of {options.runs}, ms | |\n|---|---|---|---|")
        objects("vectors", root, folder, options.runs, options.peers_python)
        for file in ("sessions.pqt", "datasets.pqt"):  # of ONE-api
            (root / file).unlink(missing_ok=True)
        objects("columns `(N, 1)`", root, make(root, columns=True), options.runs, options.peers_python)
        slices(root)
        names(options.runs)


if __name__ == "__main__":
    main()
