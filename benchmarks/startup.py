"""Start-up: whole processes, interleaved, medians, and the ratio to the interpreter and to click.

Run it as ``python benchmarks/startup.py``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 25
CASES = {
    "python -c pass": ["-c", "pass"],
    'python -c "import onelight"': ["-c", "import onelight"],
    'python -c "import click"': ["-c", "import click"],
    "onelight --help": ["-m", "onelight", "--help"],
    'python -c "import numpy"': ["-c", "import numpy"],
    'python -c "import pandas"': ["-c", "import pandas"],
}
COMPARED = {'python -c "import onelight"': "python -c pass", "onelight --help": 'python -c "import click"'}


def seconds(arguments: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(RUNS):
        for name, arguments in CASES.items():
            times[name].append(seconds(arguments))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"| process | median of {RUNS}, ms | ratio |\n|---|---|---|")
    for name, median in medians.items():
        peer = COMPARED.get(name)
        ratio = f"{median / medians[peer]:.2f} × `{peer}`" if peer else ""
        print(f"| `{name}` | {median * 1000:.0f} | {ratio} |")


if __name__ == "__main__":
    main()
