"""What is imported when: nothing that takes long before it is needed. And every example of a docstring runs.

What may be imported of our own is listed by name. A module that comes to be imported in addition fails the test until
it is put on the list, by somebody who knows what it costs (``python benchmarks/startup.py``).
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import onelight
from onelight.cli import COMMANDS

CHECKOUT = Path(__file__).resolve().parents[1]
HEAVY = {"numpy", "pandas", "pyarrow", "starlette", "uvicorn", "pycurl", "rich", "matplotlib", "asyncio"}
# One to eight milliseconds each. What click itself imports of these, on another system or in another version, is free.
SLOW = {
    *("certifi", "concurrent.futures", "ctypes", "dataclasses", "difflib", "email", "hashlib", "http", "ipaddress"),
    *("json", "logging", "pathlib", "queue", "random", "secrets", "socket", "sqlite3", "ssl", "tempfile"),
}
PROBE = "import sys; before = set(sys.modules)\n{0}\nprint(*(sys.modules.keys() - before), file=sys.stderr)"
TYPED = "from onelight.cli import run; run(sys.argv[1:])"

PACKAGE = {"onelight", "onelight.version"}
COMMAND_LINE = PACKAGE | {"onelight.cli", "onelight.cli.stopping"}
TELLING = {"onelight.cli.errors", "onelight.errors"}
A_COMMAND = COMMAND_LINE | TELLING | {"onelight.cli.output", "onelight.notes"}
NAMES = {"onelight.alf", "onelight.alf.ask", "onelight.alf.names", "onelight.alf.safe", "onelight.alf.strict"}
CLIENT = {"onelight.client", "onelight.client.answers", "onelight.client.job", "onelight.errors", "onelight.route"}
INDEX = {"onelight.index", "onelight.index.catalogue", "onelight.index.entry", "onelight.index.query"}
#: Modules of commands that another one builds on.
BELOW = {"sharing": {"onelight.cli.scanning"}}
#: What any question to a repository needs, beside the repository itself.
ASKING = {
    *(PACKAGE | NAMES | INDEX),
    *("onelight.api", "onelight.api.asking", "onelight.api.question", "onelight.config", "onelight.current"),
    *("onelight.errors", "onelight.kinds", "onelight.notes", "onelight.repository", "onelight.route"),
}
#: `repo` shows the address of each repository, and so makes one of each kind.
EVERY_KIND = {
    *("onelight.kinds", "onelight.kinds.local", "onelight.kinds.http", "onelight.kinds.figshare"),
    *("onelight.kinds.place", "onelight.kinds.remote", "onelight.kinds.writing"),
    *(f"onelight.kinds.figshare.{room}" for room in ("address", "api", "article", "naming")),
    *("onelight.kinds.figshare.reading", "onelight.kinds.figshare.states", "onelight.pack", "onelight.client.pace"),
    *("onelight.checksum", "onelight.config", "onelight.folder", "onelight.repository", "onelight.threads"),
}


def loaded_by(statement: str, *arguments: str) -> set[str]:
    """Return the modules that a statement loads in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement), *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


def ours(loaded: set[str]) -> set[str]:
    return {name for name in loaded if name.partition(".")[0] == "onelight"}


@pytest.fixture(scope="module")
def slow() -> set[str]:
    """Return what takes a while, and is not there with click anyway."""
    return (SLOW | HEAVY) - loaded_by("import click")


def test_importing_the_package_loads_that_and_nothing_else() -> None:
    assert loaded_by("import onelight") - {"__future__"} == PACKAGE


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"]])
def test_help_loads_no_command_and_nothing_that_takes_long(arguments: list[str], slow: set[str]) -> None:
    loaded = loaded_by(TYPED, *arguments)
    assert ours(loaded) == COMMAND_LINE
    assert not loaded & (slow - ({"difflib"} if "-h" in arguments else set()))  # click first takes -h for a long option


def test_no_argument_loads_the_configuration_which_it_names(slow: set[str]) -> None:
    loaded = loaded_by(TYPED)
    assert ours(loaded) == COMMAND_LINE | {"onelight.config", "onelight.errors"}
    assert not loaded & (slow - {"dataclasses", "ipaddress", "json", "pathlib"})


def test_an_unknown_command_loads_no_command(slow: set[str]) -> None:
    loaded = loaded_by(TYPED, "serch")
    assert ours(loaded) == COMMAND_LINE | TELLING
    assert not loaded & (slow - {"difflib"})  # with which click finds the nearest name


@pytest.mark.parametrize(
    ("module", "command"),
    sorted({module: command for rows in COMMANDS.values() for command, (module, _, _) in rows.items()}.items()),
)
def test_the_help_of_a_command_loads_that_command_only(module: str, command: str) -> None:
    loaded = loaded_by(TYPED, command, "-h")
    assert ours(loaded) == A_COMMAND | {f"onelight.cli.{module}"} | BELOW.get(module, set())
    assert not loaded & HEAVY


def test_the_list_of_repositories_loads_no_more_than_their_kinds() -> None:
    loaded = loaded_by(TYPED, "repo")
    reading = {"onelight.index.building", "onelight.index.one_root", "onelight.index.sorting"}  # figshare's
    assert not ours(loaded) - (A_COMMAND | {"onelight.cli.places"} | NAMES | CLIENT | INDEX | reading | EVERY_KIND)
    assert not loaded & (HEAVY | {"certifi", "ctypes", "email", "http", "socket", "ssl"})


def test_asking_loads_neither_transfer_nor_loading() -> None:
    loaded = loaded_by("from onelight.api.asking import Asking")
    assert not ours(loaded) - ASKING
    assert not loaded & (HEAVY | {"certifi", "concurrent.futures", "ctypes", "email", "http", "socket", "ssl"})


@pytest.mark.parametrize("command", ["search", "summary"])
def test_a_question_that_the_disk_answers_asks_nobody_and_loads_little(
    data_root: Path, serve: Callable[..., Any], add_repository: Callable[..., str], slow: set[str], command: str
) -> None:
    loaded_by(TYPED, "index", str(data_root))
    add_repository("web", "http", base_url=serve(data_root).url)
    assert "onelight.client.engine" in loaded_by(TYPED, command, "trials")
    loaded = loaded_by(TYPED, command, "trials")  # now the index is on the disk, and fresh
    assert not ours(loaded) - (
        A_COMMAND | ASKING | {"onelight.cli.asking", "onelight.kinds.http", "onelight.kinds.writing"}
    )
    assert not loaded & (slow - {"dataclasses", "ipaddress", "json", "pathlib", "sqlite3"})


def test_to_complete_a_command_loads_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_ONELIGHT_COMPLETE": "bash_complete", "COMP_WORDS": "onelight s", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    assert ours(loaded_by(TYPED)) == A_COMMAND | {"onelight.cli.completion"}


def test_to_complete_a_session_loads_that_command_and_the_index(
    shared_data_root: Path, add_repository: Callable[..., str], slow: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_repository("disk", "local", root_dir=str(shared_data_root))
    loaded_by(TYPED, "search")
    for name, value in {
        "_ONELIGHT_COMPLETE": "bash_complete",
        "COMP_WORDS": "onelight list n",
        "COMP_CWORD": "2",
    }.items():
        monkeypatch.setenv(name, value)
    loaded = loaded_by(TYPED)
    assert "onelight.index.catalogue" in loaded
    index = {"onelight.config", "onelight.errors", "onelight.index", "onelight.index.catalogue"}
    assert not ours(loaded) - (A_COMMAND | index | {"onelight.cli.completion", "onelight.cli.looking"})
    assert not loaded & (slow - {"dataclasses", "ipaddress", "json", "pathlib", "sqlite3"})


def test_a_client_loads_libcurl_with_its_first_request() -> None:
    loaded = loaded_by(
        "import threading; from onelight.client import Client, NoConnection; Client().close()\n"
        "assert threading.active_count() == 1"
    )
    assert ours(loaded) == PACKAGE | CLIENT
    assert not loaded & (HEAVY | {"certifi", "concurrent.futures", "ctypes", "email", "http", "socket", "ssl"})


def test_the_handle_loads_arrays_with_the_first_file_only() -> None:
    loaded = loaded_by(
        "import onelight; one = onelight.One('local'); onelight.times; onelight.to_dataframe; one.search()"
    )
    assert not loaded & {"numpy", "pandas", "pyarrow"}


@pytest.mark.parametrize("arguments", [[], ["repo"], ["search"]])
def test_a_command_without_arrays_loads_neither_them_nor_the_sandbox(arguments: list[str]) -> None:
    loaded = loaded_by(TYPED, *arguments)
    assert not loaded & {"numpy", "pandas", "pyarrow", "starlette", "uvicorn", "matplotlib"}


def test_a_scan_needs_no_arrays(shared_data_root: Path) -> None:
    loaded = loaded_by(TYPED, "scan", str(shared_data_root))
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
