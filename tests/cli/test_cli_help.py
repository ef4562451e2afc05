"""Help, versions, exit codes and the forms of errors, which are the same for all commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from onelight import errors
from onelight.cli import COMMANDS as TABLE
from onelight.cli import cli
from onelight.cli.errors import exit_code
from onelight.version import __version__

CHECKOUT = Path(__file__).resolve().parents[2]
COMMANDS = sorted(cli.commands)
Run = Callable[..., Any]
ASKING = ["search", "summary", "list", "describe", "upload", "download"]
ASKING += ["publish", "unpublish", "status", "cite", "metadata"]


def test_help_shows_the_commands_in_groups_with_three_examples(onelight: Run) -> None:
    shown = onelight("--help")
    assert shown.code == 0
    assert shown.err == ""
    assert sum(line.strip().startswith("onelight ") for line in shown.lines) >= 3
    for group in ("Use data", "Share data", "Choose where", "Keep house", "Rehearse"):
        assert f"{group}:" in shown.out
    for command in COMMANDS:
        assert f"\n  {command} " in shown.out


def test_help_needs_and_makes_no_configuration(onelight: Run, config_dir: Path) -> None:
    onelight("--help")
    onelight("search", "--help")
    assert not config_dir.exists()


@pytest.mark.parametrize("command", [*COMMANDS, "add_repo", "clean_publish"])
def test_every_command_explains_itself(onelight: Run, command: str) -> None:
    shown = onelight(command, "--help")
    assert shown.code == 0
    assert shown.out.startswith("Usage: onelight ")
    assert len(shown.lines) > 5


def test_the_commands_are_those_of_the_documentation() -> None:
    assert (
        sorted(
            [
                "repo",
                "add-repo",
                "search",
                "summary",
                "list",
                "describe",
                "scan",
                "upload",
                "download",
                "copy",
                "index",
                "serve",
                "publish",
                "unpublish",
                "status",
                "cite",
                "create",
                "metadata",
                "sandbox",
                "demo",
                "cache",
                "completion",
            ]
        )
        == COMMANDS
    )


def test_the_table_of_commands_has_the_words_of_the_commands() -> None:
    for commands in TABLE.values():
        for name, (_, _, short_help) in commands.items():
            command = cli.commands[name]
            assert (command.name, command.get_short_help_str(80)) == (name, short_help)


@pytest.mark.skipif(not hasattr(click, "NoSuchCommand"), reason="click suggests names of commands from 8.4 on")
@pytest.mark.parametrize(("typed", "meant"), [("summry", "summary"), ("lst", "list"), ("donwload", "download")])
def test_an_unknown_command_names_the_nearest(onelight: Run, typed: str, meant: str) -> None:
    refused = onelight(typed)
    assert refused.code == 2
    assert f"Did you mean '{meant}'?" in refused.err


@pytest.mark.parametrize("command", ASKING)
def test_every_command_that_asks_a_repository_can_be_told_which(command: str) -> None:
    options = {name for parameter in cli.commands[command].params for name in parameter.opts}
    assert {"-R", "--repository", "--json", "--debug"} <= options


@pytest.mark.parametrize("command", ["search", "summary", "list", "describe", "download"])
def test_every_command_that_answers_from_the_index_can_be_told_how_new_it_must_be(onelight: Run, command: str) -> None:
    shown = onelight(command, "--help").out
    assert "  --refresh " in shown
    assert "  --offline " in shown


def test_the_help_names_every_variable_that_a_person_would_set(onelight: Run) -> None:
    shown = onelight("--help").out
    for name in ("ONELIGHT_CONFIG_DIR", "ONELIGHT_REPO", "ONELIGHT_OFFLINE", "ONELIGHT_INDEX_MAX_AGE"):
        assert f"  {name} " in shown


@pytest.mark.parametrize("command", ["search", "summary", "list", "describe", "download"])
def test_every_command_that_names_datasets_takes_the_parts_of_their_names(onelight: Run, command: str) -> None:
    shown = onelight(command, "--help")
    for option in ("--collection", "--revision", "--namespace", "--timescale", "--extension"):
        assert f"  {option} TEXT" in shown.out


def test_the_version_is_the_one_of_the_package(onelight: Run) -> None:
    assert onelight("--version").lines == [f"onelight {__version__}"]


@pytest.mark.parametrize(
    "arguments", [["serch"], ["search", "--subjct", "x"], ["list"], ["download"], ["download", "a", "-j", "0"]]
)
def test_wrong_usage_is_two_and_says_what_is_right(onelight: Run, arguments: list[str]) -> None:
    refused = onelight(*arguments)
    assert (refused.code, refused.out) == (2, "")
    assert "Usage: onelight" in refused.err
    assert "--help" in refused.err


def test_an_error_says_what_happened_and_what_to_do_without_a_traceback(onelight: Run) -> None:
    refused = onelight("search", "-R", "nowhere")
    assert [line.partition(":")[0] for line in refused.err.splitlines()] == ["error", "hint"]
    assert "Traceback" not in refused.err
    assert "Traceback" in onelight("search", "-R", "nowhere", "--debug").err


@pytest.mark.parametrize("arguments", [["search", "-R", "nowhere"], ["list", "Cori"], ["list"], ["publish", "--yes"]])
def test_with_json_an_error_is_one_object_too(onelight: Run, arguments: list[str]) -> None:
    refused = onelight(*arguments, "--json")
    (row,) = refused.rows
    assert row["status"] == "error"
    assert row["exit"] == refused.code > 0
    assert row["message"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.AlfError, 2),
        (errors.ConfigError, 2),
        (errors.AmbiguousQuery, 2),
        (errors.SessionNotFound, 3),
        (errors.ObjectNotFound, 3),
        (errors.DatasetNotFound, 3),
        (errors.RepositoryNotFound, 3),
        (errors.AccessDenied, 4),
        (errors.ReadOnlyRepository, 4),
        (errors.Unreachable, 5),
        (errors.RateLimited, 5),
        (errors.SizeMismatch, 6),
        (errors.ChecksumMismatch, 6),
        (errors.TransferError, 6),
        (errors.NoSpace, 7),
        (errors.UnsafeData, 8),
        (errors.RepositoryError, 1),
        (errors.RowsDiffer, 1),
        (errors.MissingExtra, 1),
        (errors.QuotaExceeded, 1),
        (errors.Interrupted, 130),
    ],
)
def test_every_error_has_the_exit_code_of_the_documentation(error: type[errors.OneError], code: int) -> None:
    assert exit_code(error("what happened")) == code
    assert str(error("What happened", hint="Do this")) == "What happened. Do this"


def test_no_error_is_without_a_code() -> None:
    kinds, found = [errors.OneError], []
    while kinds:
        kind = kinds.pop()
        found.append(kind)
        kinds.extend(kind.__subclasses__())
    assert len(found) >= 21
    assert all(exit_code(kind("x")) > 0 for kind in found)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_no_encoding_of_the_output_breaks_a_command(
    config_dir: Path, tmp_path: Path, write_files: Callable[..., Path], encoding: str
) -> None:
    path = "lab/Subjects/s/2016-12-14/001/alf/caf\u00e9\u4e2d.times.npy"
    root = write_files(tmp_path / "root", path)
    for options in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "onelight.py", "scan", str(root), *options],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    assert json.loads(done.stdout)["path"] == path
