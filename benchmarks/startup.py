"""Start-up: whole processes, interleaved, medians, and the ratio to the interpreter and to click.

Run it as ``python benchmarks/startup.py``, with the ``onelight`` of the same environment installed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 31
PYTHON, CLICK = "python -c pass", 'python -c "import click"'
CASES = {
    PYTHON: ["-c", "pass"],
    'python -c "import onelight"': ["-c", "import onelight"],
    CLICK: ["-c", "import click"],
    "onelight --version": ["-m", "onelight", "--version"],
    "onelight --help": ["-m", "onelight", "--help"],
    "onelight repo": ["-m", "onelight", "repo"],
    'python -c "import numpy"': ["-c", "import numpy"],
    'python -c "import pandas"': ["-c", "import pandas"],
}


def command(name: str) -> list[str]:
    """Return the whole command line: the script that pip has installed, where it is a command of ours."""
    script = Path(sys.executable).with_name("onelight")
    if name.startswith("onelight ") and script.exists():
        return [str(script), *CASES[name][2:]]
    return [sys.executable, *CASES[name]]


def milliseconds(arguments: list[str], environment: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    return (time.perf_counter() - begun) * 1000


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ONELIGHT_CONFIG_DIR": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody's program is compiled each time
        for run in range(RUNS + 1):
            for name in CASES:
                spent = milliseconds(command(name), environment)
                if run:  # the first compiles, and makes the configuration
                    times[name].append(spent)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"| process | median of {RUNS}, ms | fastest, ms | × `python` | × `import click` | ms more than click |")
    print("|---|---|---|---|---|---|")
    for name, median in medians.items():
        ratios = f"{median / medians[PYTHON]:.2f} | {median / medians[CLICK]:.2f} | {median - medians[CLICK]:+.0f}"
        print(f"| `{name}` | {median:.0f} | {min(times[name]):.0f} | {ratios} |")


if __name__ == "__main__":
    main()
