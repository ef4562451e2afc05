"""The index: searches beside a shell pipeline and ONE-api, reading ``.one_root`` beside pandas, and what it takes.

Run it as ``python benchmarks/index.py``, on a Linux that has grep, cut and uniq; it takes some five minutes, and as
many more with ONE-api, which takes part where ``--peers-python`` names a Python that has it::

    python -m venv /tmp/peers && /tmp/peers/bin/pip install ONE-api
    python benchmarks/index.py --peers-python /tmp/peers/bin/python

Twenty thousand sessions have 50 of 105 datasets each, that is a million rows; where it says so there are ten times as
many. ``--folder`` keeps these files for the next time, and needs 5 GB for a while. Everything is warm. The cases of a
row take turns, the first of which does not count, and every answer is compared with that of its peer, or with what
was written, before its time is.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import filecmp
import hashlib
import json
import os
import random
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

FILES = 50
LABS = 10
DAYS = [str(dt.date(2020, 1, 1) + dt.timedelta(day)) for day in range(50)]
#: Each dataset type is in one folder only, so that "which sessions have two lines?" is the right question for uniq.
OBJECTS = (
    "alf/_ibl_trials alf/_ibl_wheel alf/_ibl_wheelMoves alf/eye alf/face alf/licks alf/lickPiezo alf/passiveBeeps "
    "alf/passiveStims alf/passiveVisual alf/spontaneous alf/sparseNoise alf/sync alf/probe00/spikes "
    "alf/probe00/clusters alf/probe00/channels alf/probe00/templates alf/probe00/waveforms "
    "raw_behavior_data/_iblrig_taskData raw_ephys_data/probe00/_spikeglx_ephysData raw_video_data/_iblrig_leftCamera"
)
NAMES = sorted(
    f"{each}.{attribute}.npy"
    for each in OBJECTS.split()
    for attribute in ("times", "clusters", "amps", "depths", "intervals")
)
WANTED = ["spikes.times", "spikes.clusters"]
PIPELINE = r"LC_ALL=C grep {} '/spikes\.(times|clusters)\.' {} | cut -d/ -f1-5 | uniq -d"
INDEX = ".one_root"

TELL = """
peak = open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]
print(json.dumps({"seconds": seconds, "rows": rows, "peak": int(peak) / 1000}))
"""
READ = f"""
import json, sys, time
from pathlib import Path
from onelight.index import read_one_root
begun = time.perf_counter()
with open(sys.argv[1], "rb") as stream:
    index = read_one_root(stream, path=Path(sys.argv[2]))
seconds, rows = time.perf_counter() - begun, len(index)
{TELL}"""
WRITE = f"""
import json, sys, time
from pathlib import Path
from onelight.index import Index, write_one_root
begun = time.perf_counter()
index = Index.open(Path(sys.argv[1]))
with open(sys.argv[2], "wb") as stream:
    write_one_root(index, stream)
seconds, rows = time.perf_counter() - begun, len(index)
{TELL}"""
PANDAS = f"""
import json, sys, time
import pandas
if len(sys.argv) > 2:
    pandas.set_option("future.infer_string", False)
begun = time.perf_counter()
frame = pandas.read_csv(sys.argv[1], sep="\\t", header=None)
seconds, rows = time.perf_counter() - begun, len(frame)
{TELL}"""
#: Makes the tables of ONE-api from the same rows, opens them, and then searches each time that it reads a line.
ONE_API = """
import hashlib, json, sys, time, uuid, warnings
from pathlib import Path
import pandas as pd
from iblutil.io import parquet
from one.alf.cache import QC_TYPE
from one.api import One
warnings.simplefilter("ignore")
source, folder = map(Path, sys.argv[1:])
folder.mkdir()
space, eids, sessions, datasets = uuid.uuid4(), {}, [], []
for line in source.open():
    path = line.partition("\\t")[0]
    lab, _, subject, date, number, below = path.split("/", 5)
    session = path[: -len(below) - 1]
    if session not in eids:
        eids[session] = str(uuid.uuid5(space, session))
        day = pd.Timestamp(date).date()
        sessions.append((eids[session], lab, subject, day, int(number), "", ""))
    datasets.append((eids[session], str(uuid.uuid5(space, path)), below))
frame = pd.DataFrame(sessions, columns="id lab subject date number task_protocol projects".split()).set_index("id")
said = {"date_created": "2025-06-01 00:00", "origin": "benchmark"}
parquet.save(folder / "sessions.pqt", frame.astype({"number": "uint16"}).sort_index(), said)
frame = pd.DataFrame(datasets, columns=["eid", "id", "rel_path"]).set_index(["eid", "id"])
frame = frame.assign(file_size=pd.array([pd.NA] * len(frame), "UInt64"), hash="", exists=True)
frame["qc"] = pd.Categorical(["NOT_SET"] * len(frame), dtype=QC_TYPE)
parquet.save(folder / "datasets.pqt", frame.sort_index(), said)
del frame, eids, sessions, datasets
one = One(cache_dir=folder, mode="local")
names = ["spikes.times.npy", "spikes.clusters.npy"]
_, found = one.search(datasets=names, details=True)
texts = sorted(f"{row['lab']}/Subjects/{row['subject']}/{row['date']}/{row['number']:03}\\n" for row in found)
print(json.dumps(hashlib.md5("".join(texts).encode()).hexdigest()), flush=True)
for _ in sys.stdin:
    begun = time.perf_counter()
    found = one.search(datasets=names)
    print(json.dumps([time.perf_counter() - begun, len(found)]), flush=True)
"""


class Taken(NamedTuple):
    """Seconds of a whole process, and what it said itself: seconds of the work alone, megabytes at most."""

    whole: float
    alone: float = 0.0
    peak: float = 0.0


# What is there to be found


def session_text(number: int, sessions: int) -> str:
    lab, rest = divmod(number, -(-sessions // LABS))
    subject, day = divmod(rest, len(DAYS))
    return f"lab{lab}/Subjects/mouse_{subject:04}/{DAYS[day]}/001"


def files_of(number: int) -> list[str]:
    """Return the paths below a session, sorted."""
    return sorted(random.Random(number).sample(NAMES, FILES))


def make(path: Path, rows: int, *, shuffled: bool = False) -> None:
    """Write an index file, unless it is there already."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name("unfinished")
    sessions = rows // FILES
    with unfinished.open("w") as stream:
        for number in range(sessions):
            text = session_text(number, sessions)
            first = 10_000_000 + number * FILES
            stream.writelines(
                f"{text}/{file}\thttps://ndownloader.figshare.com/files/{address}\n"
                for address, file in enumerate(files_of(number), first)
            )
    if shuffled:
        lines = unfinished.read_text().splitlines(keepends=True)
        random.Random(1).shuffle(lines)
        unfinished.write_text("".join(lines))
    unfinished.rename(path)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback, and give its address."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://[\d.]+:\d+", server.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            server.terminate()


# How it is measured


def process(command: list[str] | str, **more: str) -> Taken:
    """Run a process, its output thrown away."""
    begun = time.perf_counter()
    subprocess.run(
        command,
        check=True,
        shell=isinstance(command, str),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | more,
    )
    return Taken(time.perf_counter() - begun)


def program(text: str, *arguments: Path, rows: int, fresh: Path | None = None) -> Taken:
    """Run a program that says its seconds, rows and peak; ``fresh`` is a file that it makes."""
    if fresh is not None:
        fresh.unlink(missing_ok=True)
    begun = time.perf_counter()
    command = [sys.executable, "-c", text, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    whole = time.perf_counter() - begun
    said = json.loads(done.stdout)
    assert said["rows"] == rows, (said["rows"], rows)
    return Taken(whole, said["seconds"], said["peak"])


def output(command: list[str] | str, **more: str) -> list[str]:
    done = subprocess.run(
        command, check=True, shell=isinstance(command, str), capture_output=True, text=True, env=os.environ | more
    )
    return done.stdout.splitlines()


def medians(cases: Mapping[str, Callable[[], Taken]], runs: int) -> dict[str, Taken]:
    """Return the medians of each case, and its highest peak; they take turns, the first of which does not count.

    Each turn has another order: whoever follows one that reads 100 MB finds less in the processor's cache.
    """
    taken: dict[str, list[Taken]] = {name: [] for name in cases}
    for turn in range(runs + 1):
        for name, case in random.Random(turn).sample(list(cases.items()), len(cases)):
            found = case()
            if turn:
                taken[name].append(found)
    return {
        name: Taken(
            statistics.median(each.whole for each in values),
            statistics.median(each.alone for each in values),
            max(each.peak for each in values),
        )
        for name, values in taken.items()
    }


def onelight(*arguments: str) -> list[str]:
    """Return a command line with the script that pip has installed."""
    script = Path(sys.executable).with_name("onelight")
    return [str(script), *arguments] if script.exists() else [sys.executable, "-m", "onelight", *arguments]


def kept(name: str) -> Path:
    """Return the index file of a repository."""
    return Path(os.environ["ONELIGHT_CONFIG_DIR"]) / "data" / name / ".one_index"


def row(what: str, who: str, median: str, said: str = "", goal: str = "") -> None:
    print(f"| {what} | {who} | {median} | {said} | {goal} |", flush=True)


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.2f} ms" if seconds < 0.01 else f"{seconds * 1000:,.0f} ms"


def at_most(value: float, limit: float, unit: str = "") -> str:
    return f"≤ {limit:g}{unit}" + (", **not met**" if value > limit else "")


# The rows of the table


def searching(root: Path, name: str, runs: int, *, has_goal: bool = True) -> None:
    """Measure the search in a new process, its index built and new, beside the pipeline on the same file."""
    file = shlex.quote(str(root / INDEX))
    search = ["search", *WANTED, "-R", name]
    perl, extended = PIPELINE.format("-P", file), PIPELINE.format("-E", file)
    expected = output(extended)
    assert expected
    for command in (perl, onelight(*search), [sys.executable, "-m", "onelight", *search]):
        assert output(command) == expected, command
    found = medians(
        {
            "click": lambda: process([sys.executable, "-c", "import click"]),
            "extended": lambda: process(extended),
            "perl": lambda: process(perl),
            "script": lambda: process(onelight(*search)),
            "module": lambda: process([sys.executable, "-m", "onelight", *search]),
        },
        runs,
    )
    click, peer = found["click"].whole, found["extended"].whole
    size = (root / INDEX).stat().st_size
    row(f"search in a new process, {size / 1e6:,.0f} MB", '`python -c "import click"`', ms(click))
    row("", r"`grep -E \| cut \| uniq -d`", ms(peer))
    row("", r"the same with `grep -P`", ms(found["perl"].whole), f"{found['perl'].whole / peer:.2f} × grep -E")
    for case, words in (("script", "`onelight search`"), ("module", "`python -m onelight search`")):
        ours = found[case].whole
        more = (ours - click) * 1000
        row(
            "",
            f"**ONE light** {words}",
            ms(ours),
            f"{ours / peer:.2f} × grep -E",
            at_most(ours / peer, 1, " ×") if has_goal else "",
        )
        row("", "", "", f"{more:+.0f} ms to click", at_most(more, 60, " ms") if has_goal else "")


def warm(root: Path, name: str, aside: Path, runs: int, peers_python: str | None) -> None:
    """Measure the same question in a process that has asked before, beside ONE-api."""
    from onelight.api import One

    one = One(name)
    found = one.search(WANTED)
    assert found == output(onelight("search", *WANTED, "-R", name))
    ours: list[float] = []

    def ask() -> None:
        for _ in range(51):
            begun = time.perf_counter()
            answer = one.search(WANTED)
            ours.append(time.perf_counter() - begun)
            assert len(answer) == len(found)

    what = "search in a warm process"
    if peers_python is None:
        ask()
        row(what, "**ONE light** `One.search`", ms(statistics.median(ours)))
        return
    theirs: list[float] = []
    command = [peers_python, "-c", ONE_API, str(root / INDEX), str(aside / "one-api")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"HOME": str(aside)}
    ) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        theirs_is = json.loads(peer.stdout.readline())
        assert theirs_is == hashlib.md5("".join(f"{session}\n" for session in found).encode()).hexdigest()
        for turn in range(runs + 1):
            ask()
            peer.stdin.write("again\n")
            peer.stdin.flush()
            seconds, sessions = json.loads(peer.stdout.readline())
            assert sessions == len(found)
            if turn:
                theirs.append(seconds)
        peer.stdin.close()
    shutil.rmtree(aside / "one-api")
    own, other = statistics.median(ours), statistics.median(theirs)
    goal = "≥ 200 ×" + ("" if other / own >= 200 else ", **not met**")
    row(what, "ONE-api `One.search`", ms(other))
    row("", "**ONE light** `One.search`", ms(own), f"{other / own:,.0f} × faster", goal)


def reading(root: Path, large: Path, shuffled: Path, rows: int, aside: Path, runs: int) -> None:
    """Measure the way from text to index and back: time beside pandas, time for each row, memory."""
    import pandas as pd

    one, ten, mixed = aside / "one", aside / "ten", aside / "mixed"
    found = medians(
        {
            "pandas": lambda: program(PANDAS, root / INDEX, rows=rows),
            "objects": lambda: program(PANDAS, root / INDEX, Path("objects"), rows=rows),
            "read": lambda: program(READ, root / INDEX, one, rows=rows, fresh=one),
            "shuffled": lambda: program(READ, shuffled / INDEX, mixed, rows=rows, fresh=mixed),
        },
        runs,
    )
    for index in (one, mixed):
        program(WRITE, index, aside / "written", rows=rows)
        assert filecmp.cmp(aside / "written", root / INDEX, shallow=False), index
    peer, ours = found["pandas"], found["read"]
    row(f"text to index, {rows:,} rows, whole process", "**ONE light** `read_one_root`", ms(ours.whole))
    for case, words in (("pandas", "strings of Arrow"), ("objects", "strings of Python, as before pandas 3")):
        peer = found[case]
        row(
            "",
            f"`read_csv` of pandas {pd.__version__}, {words}",
            ms(peer.whole),
            *ratio_to(ours.whole, peer.whole, 0.8),
        )
    row("the same without imports", "**ONE light** `read_one_root`", ms(ours.alone))
    for case, words in (("pandas", "strings of Arrow"), ("objects", "strings of Python")):
        row("", f"`read_csv`, {words}", ms(found[case].alone), *ratio_to(ours.alone, found[case].alone, 0.8))
    mix = found["shuffled"]
    row("the same, shuffled", "**ONE light**, whole process", ms(mix.whole), f"{mix.whole / ours.whole:.2f} × sorted")
    row("", "most memory", f"{mix.peak:.0f} MB", f"sorted {ours.peak:.0f}, pandas {peer.peak:.0f} MB")
    few = max(1, runs // 2)
    found = medians(
        {
            "one": lambda: program(READ, root / INDEX, one, rows=rows, fresh=one),
            "ten": lambda: program(READ, large / INDEX, ten, rows=10 * rows, fresh=ten),
        },
        few,
    )
    small, big = found["one"].alone / rows, found["ten"].alone / (10 * rows)
    row(f"text to index, a row ({few} runs)", f"of {rows:,}", f"{small * 1e6:.2f} µs")
    row("", f"of {10 * rows:,}", f"{big * 1e6:.2f} µs", *ratio_to(big, small, 1.3))
    peak = found["ten"].peak
    row("", "most memory", f"{peak:.0f} MB", "", at_most(peak, 200, " MB"))
    wrote = program(WRITE, ten, aside / "written", rows=10 * rows)
    assert filecmp.cmp(aside / "written", large / INDEX, shallow=False)
    (aside / "written").unlink()
    row("index to text (1 run)", f"{10 * rows:,} rows", f"{wrote.whole:.1f} s")
    row("", "most memory", f"{wrote.peak:.0f} MB", "", at_most(wrote.peak, 200, " MB"))
    for index in (one, ten, mixed):
        index.unlink()


def ratio_to(ours: float, peer: float, goal: float) -> tuple[str, str]:
    return f"{ours / peer:.2f} ×", at_most(ours / peer, goal, " ×")


def one_session(name: str, rows: int) -> None:
    """Measure what a warm process takes to tell what random sessions have."""
    from onelight.api import One
    from onelight.index import Index

    one, index = One(name), Index.open(kept(name))
    sessions = rows // FILES
    numbers = random.Random(3).sample(range(sessions), min(sessions, 2000))
    times: dict[str, list[float]] = {"`Index.select`": [], "`One.list`": []}
    one.list(session_text(numbers[0], sessions))
    for number in numbers:
        session = session_text(number, sessions)
        begun = time.perf_counter()
        entries = index.select(session)
        middle = time.perf_counter()
        types = one.list(session)
        times["`One.list`"].append(time.perf_counter() - middle)
        times["`Index.select`"].append(middle - begun)
        files = files_of(number)
        assert [entry.path for entry in entries] == [f"{session}/{file}" for file in files]
        first = 10_000_000 + number * FILES
        assert [int(entry.url.rpartition("/")[2]) for entry in entries] == [*range(first, first + FILES)]
        assert types == sorted({".".join(file.rpartition("/")[2].split(".")[:2]).rpartition("_")[2] for file in files})
    index.close()
    what = f"one of {sessions:,} sessions"
    for who, values in times.items():
        median = statistics.median(values) * 1000
        row(
            what,
            f"**ONE light** {who}",
            f"{median:.2f} ms",
            f"slowest {max(values) * 1000:.1f}",
            at_most(median, 1, " ms"),
        )
        what = ""


def others(root: Path, name: str, rows: int, runs: int) -> None:
    """Measure the first answer of all, the size of the index, and other commands in new processes."""
    search = ["search", *WANTED, "-R", name]
    asked = {"_ONELIGHT_COMPLETE": "bash_complete", "COMP_WORDS": "onelight list lab0", "COMP_CWORD": "2"}

    def first() -> Taken:
        shutil.rmtree(kept(name).parent)
        return process(onelight(*search))

    cases: dict[str, Callable[[], Taken]] = {
        "fetched and built": first,
        "`onelight list SESSION`": lambda: process(onelight("list", session_text(0, rows // FILES), "-R", name)),
    }
    if subprocess.run(onelight("summary", "-R", name), capture_output=True, check=False).returncode == 0:
        cases["`onelight summary`"] = lambda: process(onelight("summary", "-R", name))
    completion = "completion of `onelight list lab0`"
    if any("lab0" in line for line in output(onelight(), **asked)):
        cases[completion] = lambda: process(onelight(), **asked)
    for who, taken in medians(cases, runs).items():
        goal = at_most(taken.whole * 1000, 100, " ms") if who == completion else ""
        row("first answer" if who == "fetched and built" else "a new process", who, ms(taken.whole), "", goal)
    size, text = kept(name).stat().st_size, (root / INDEX).stat().st_size
    row("on disk", "the index", f"{size / 1e6:,.0f} MB", f"{size / text:.2f} × {INDEX}")


def measure(data: Path, aside: Path, options: argparse.Namespace) -> None:
    rows, runs = options.rows // FILES * FILES, options.runs
    root, large, shuffled = (data / text for text in (f"{rows}", f"{10 * rows}", f"{rows}-shuffled"))
    make(root / INDEX, rows)
    make(shuffled / INDEX, rows, shuffled=True)
    make(large / INDEX, 10 * rows)
    with serving(data) as address:
        repositories = [
            {"name": name, "type": "http", "base_url": f"{address}/{folder.name}"}
            for name, folder in (("bench", root), ("large", large))
        ]
        config = Path(os.environ["ONELIGHT_CONFIG_DIR"]) / "config.json"
        config.parent.mkdir()
        config.write_text(json.dumps({"repositories": repositories, "current_repository": "bench"}))
        config.chmod(0o600)
        print(f"| work | who | median of {runs} | | goal |\n|---|---|---|---|---|")
        searching(root, "bench", runs)
        warm(root, "bench", aside, runs, options.peers_python)
        others(root, "bench", rows, runs)
        reading(root, large, shuffled, rows, aside, runs)
        begun = time.perf_counter()
        process(onelight("search", *WANTED, "-R", "large"))
        row(f"{10 * rows:,} rows", "first answer: fetched and built (1 run)", f"{time.perf_counter() - begun:.1f} s")
        searching(large, "large", runs, has_goal=False)
        one_session("large", 10 * rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--rows", type=int, default=1_000_000, help="and ten times as many where it says so")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where the files are made, and kept")
    parser.add_argument("--peers-python", metavar="PATH", help="an interpreter that has ONE-api")
    options = parser.parse_args()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    for name in list(os.environ):  # nobody's program is compiled each time, and loopback needs no proxy
        if name == "PYTHONDONTWRITEBYTECODE" or name.startswith("ONELIGHT_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        aside = Path(temporary)
        os.environ |= {
            "ONELIGHT_CONFIG_DIR": str(aside / "config"),
            "ONELIGHT_INDEX_MAX_AGE": "86400",
            "TMPDIR": temporary,
        }
        measure(options.folder.absolute() if options.folder else aside / "data", aside, options)


if __name__ == "__main__":
    main()
