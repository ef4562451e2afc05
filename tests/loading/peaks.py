"""How much memory a refusal takes, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

# ru_maxrss of a child begins at its parent's value and would say nothing; VmHWM can be set back.
_PROGRAM = """
import json, logging, sys
from pathlib import Path
from onelight.errors import UnsafeData
from onelight.loading import load_file

def most():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

logging.disable()
good, bad = json.loads(sys.argv[1])
for path in map(Path, good):
    load_file(path)
peaks = {}
for path in map(Path, bad):
    Path("/proc/self/clear_refs").write_text("5")  # what was the most until now is forgotten
    before = most()
    try:
        load_file(path)
    except UnsafeData:
        peaks[path.name] = most() - before
print(json.dumps(peaks))
"""

needs_linux = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="Linux tells the most memory of a process"
)


def check_refusals(good: Sequence[Path], bad: Sequence[Path]) -> None:
    """Check that each bad file is refused with less than 50 MB, after good ones brought their libraries."""
    files = json.dumps([[str(path) for path in paths] for paths in (good, bad)])
    done = subprocess.run([sys.executable, "-c", _PROGRAM, files], capture_output=True, text=True, check=True)
    peaks = json.loads(done.stdout)
    assert peaks.keys() == {path.name for path in bad}
    assert max(peaks.values()) < 50_000_000, peaks
