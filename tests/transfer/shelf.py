"""A repository of routes, and a program that downloads from it: ``python shelf.py JSON``.

Run as a program, so that a test can kill it, run two of it, or look at its memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from onelight.client import Client, Limits
from onelight.index import Entry, Index
from onelight.repository import Repository
from onelight.route import Route, Source
from onelight.transfer import Ledger, Outcome, Progress, download, plan_download

SESSION = "lab/Subjects/Cori/2016-12-14/001"
QUICK = Limits(connect=5, idle=1, attempts=4, pause=0.01, longest_wait=5)


def entry(name: str, url: str = "", content: bytes | None = None, *, size: bool = True, md5: bool = True) -> Entry:
    """Return an entry of the one session there is, with what is known of its content."""
    return Entry(
        f"{SESSION}/alf/{name}",
        url,
        len(content) if content is not None and size else None,
        hashlib.md5(content).hexdigest() if content is not None and md5 else None,
    )


class Shelf(Repository):
    """Knows of each entry where it is, and in what other places."""

    kind: ClassVar[str] = "shelf"

    def __init__(self, entries: Iterable[Entry] = (), sources: dict[str, Source] | None = None) -> None:
        super().__init__("shelf")
        self._index = Index(entries)
        self._sources = sources or {}

    @property
    def address(self) -> str:
        return "a shelf"

    def refresh(self) -> Index:
        return self._index

    def source(self, entry: Entry) -> Source:
        return self._sources.get(entry.path, (Route(entry.url),))


def fetch(
    entries: Sequence[Entry],
    folder: Path,
    *,
    sources: dict[str, Source] | None = None,
    limits: Limits = QUICK,
    parallel: int = 8,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Plan and run a download, as One does."""
    ledger = Ledger(folder)
    with Client(limits=limits) as client:
        steps = plan_download(entries, folder, ledger)
        return download(steps, Shelf(entries, sources), client, folder, ledger, parallel=parallel, progress=progress)


def start(entries: Sequence[Entry], folder: Path, **more: object) -> subprocess.Popen[str]:
    """Do the same in a process of its own."""
    rows = [[one.path, one.url, one.size, one.md5] for one in entries]
    task = json.dumps({"entries": rows, "folder": str(folder), **more})
    return subprocess.Popen(
        [sys.executable, __file__, task],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


def leftovers(folder: Path) -> list[Path]:
    """Return every file below a folder that is neither a dataset nor the ledger."""
    return sorted(path for path in folder.rglob(".*") if path.is_file() and path.name != ".one_verified")


def main() -> None:
    task = json.loads(sys.argv[1])
    if "largest_file" in task:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (task["largest_file"], task["largest_file"]))
    limits = Limits(**{"idle": 5, "attempts": 4, "pause": 0.01, **task.get("limits", {})})
    try:
        outcomes = fetch([Entry(*row) for row in task["entries"]], Path(task["folder"]), limits=limits)
    except KeyboardInterrupt:
        sys.stdout.write(json.dumps("interrupted"))
        return
    rows = [[one.status.value, type(one.error).__name__, str(one.error), one.resumed_from] for one in outcomes]
    sys.stdout.write(json.dumps({"outcomes": rows, "memory": memory()}))


def memory() -> int:
    """Return the most memory that this process ever held, in bytes; 0 where that is not told."""
    if sys.platform == "linux":  # where ru_maxrss begins with that of the process that started this one
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    main()
