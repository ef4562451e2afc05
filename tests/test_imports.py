"""What is imported when: nothing that takes long before it is needed. And every example of a docstring runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import onelight

CHECKOUT = Path(__file__).resolve().parents[1]
HEAVY = {"numpy", "pandas", "pyarrow", "starlette", "uvicorn", "pycurl", "rich", "matplotlib", "asyncio"}
PROBE = "import sys; {0}; print(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)"


def loaded_by(statement: str, *arguments: str) -> set[str]:
    """Return the packages that a fresh interpreter has loaded after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement), *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_that_takes_long() -> None:
    assert not loaded_by("import onelight") & (HEAVY | {"click", "json", "logging"})


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["--version"], ["search", "--help"], ["describe", "-h"], ["upload", "-h"]]
)
def test_help_loads_nothing_that_takes_long(arguments: list[str]) -> None:
    assert not loaded_by("from onelight.cli import run; run(sys.argv[1:])", *arguments) & HEAVY


def test_the_handle_loads_arrays_with_the_first_file_only() -> None:
    loaded = loaded_by(
        "import onelight; one = onelight.One('local'); onelight.times; onelight.to_dataframe; one.search()"
    )
    assert not loaded & {"numpy", "pandas", "pyarrow"}


@pytest.mark.parametrize("arguments", [[], ["repo"], ["search"]])
def test_a_command_without_arrays_loads_neither_them_nor_the_sandbox(arguments: list[str]) -> None:
    loaded = loaded_by("from onelight.cli import run; run(sys.argv[1:])", *arguments)
    assert not loaded & {"numpy", "pandas", "pyarrow", "starlette", "uvicorn", "matplotlib"}


def test_a_scan_needs_no_arrays(shared_data_root: Path) -> None:
    loaded = loaded_by("from onelight.cli import run; run(sys.argv[1:])", "scan", str(shared_data_root))
    assert not loaded & HEAVY


def test_names_and_index_need_the_standard_library_only() -> None:
    loaded = loaded_by("import onelight.alf, onelight.index, onelight.route, onelight.errors")
    assert not loaded & (HEAVY | {"click", "certifi"})


MODULES = [
    found.name for found in pkgutil.walk_packages(onelight.__path__, "onelight.") if found.name != "onelight.__main__"
]


@pytest.mark.parametrize("name", MODULES)
def test_every_example_of_a_docstring_runs(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
