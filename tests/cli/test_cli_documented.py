"""Every line that the documentation of ONE light has shown since 2019, typed as it stands."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from onelight.api import write_index
from onelight.cli import cli

CHECKOUT = Path(__file__).resolve().parents[2]
SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
Run = Callable[..., Any]


def test_no_command_shows_help_and_creates_the_configuration(program: Run, config_dir: Path) -> None:
    shown = program()
    assert shown.code == 0
    assert "Usage: onelight" in shown.out
    assert str(config_dir / "config.json") in shown.err
    assert json.loads((config_dir / "config.json").read_text())["repositories"][1] == {
        "article_id": 9598406,
        "name": "nick19",
        "token": "",
        "type": "figshare",
    }


def test_a_person_without_settings_finds_the_configuration_in_the_home(
    program: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONELIGHT_CONFIG_DIR")
    (tmp_path / "own-home").mkdir()
    program()
    assert (tmp_path / "own-home" / ".one" / "config.json").is_file()
    assert not (tmp_path / "own-config").exists()


def test_every_line_against_figshare_and_then_from_a_web_server(
    program: Run, box: int, data_root: Path, config_dir: Path, serve: Callable[[Path], Any]
) -> None:
    assert program("repo", "nick19").code == 0
    assert json.loads((config_dir / "config.json").read_text())["current_repository"] == "nick19"
    assert program("repo", "box").code == 0

    scanned = program("scan", f"{data_root}/")
    files = sorted(path.relative_to(data_root).as_posix() for path in data_root.rglob("*.*"))
    assert (scanned.code, scanned.lines) == (0, files)

    uploaded = program("upload", f"{data_root}/")
    assert (uploaded.code, uploaded.lines) == (0, files)
    assert "165 files sent" in uploaded.err
    assert (data_root / ".one_root").is_file()
    read_only_lines(program, data_root, config_dir / "data" / "box")

    again = program("upload", f"{data_root}/")
    assert again.code == 0
    assert "0 files sent" in again.err

    write_index(data_root)  # until it is published, figshare gives these addresses to nobody else
    assert program("add-repo", "web", "--replace", "--http", serve(data_root).url).code == 0
    assert program("repo", "web").code == 0
    read_only_lines(program, data_root, config_dir / "data" / "web")


def read_only_lines(program: Run, root: Path, data: Path) -> None:
    sessions = sorted({"/".join(path.relative_to(root).parts[:5]) for path in root.rglob("*.npy")})
    for arguments in ([], ["spikes"], ["spikes.times", "spikes.clusters"]):
        found = program("search", *arguments)
        assert (found.code, found.lines) == (0, sessions)

    some = program("download", SESSION, "spikes")
    assert some.code == 0
    assert [Path(line) for line in some.lines] == sorted((data / SESSION / "alf").glob("spikes.*"))
    everything = program("download", SESSION)
    assert everything.code == 0
    assert f"{len(some.lines)} already there, 0 failed" in everything.err
    wanted = sorted(path.relative_to(root) for path in (root / SESSION).rglob("*.*"))
    assert [Path(line).relative_to(data) for line in everything.lines] == wanted
    for name in wanted:
        assert (data / name).read_bytes() == (root / name).read_bytes()


PYTHON = """
import onelight as one
sessions = one.search(['trials'])          # list of 'lab/Subjects/subject/date/number', sorted
session = sessions[0]
trials = one.load_object(session, 'trials')  # a Bunch: NumPy arrays or pandas DataFrames
print(trials.intervals)
print(trials.goCue_times)
"""


def test_the_lines_of_python(program: Run, shared_data_root: Path) -> None:
    assert program("add-repo", "disk", "--local", shared_data_root).code == 0
    assert program("repo", "disk").code == 0
    done = subprocess.run(
        [sys.executable, "-c", PYTHON], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[[")
    assert done.stderr == ""


@pytest.mark.parametrize("command", [[sys.executable, "-m", "onelight"], ["onelight"]])
def test_the_installed_command_and_the_module_are_the_same(
    command: list[str], config_dir: Path, tmp_path: Path
) -> None:
    program = shutil.which(command[0], path=str(Path(sys.executable).parent)) or shutil.which(command[0])
    if program is None:
        pytest.skip("the package is not installed: there is no onelight command")
    done = subprocess.run(
        [program, *command[1:], "repo"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode == 1 and "No module named onelight" in done.stderr:
        pytest.skip("the package is not installed")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("*local: local")


README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def lines_of_readme() -> list[str]:
    """Return every command of the README with its options: those on lines of their own, in pipes, and in the text."""
    lines = re.findall(r"^    (.*onelight .*)$", README, re.MULTILINE)
    typed = [part.strip() for line in lines for part in re.split(r" \| | && ", re.sub(r"  +#.*", "", line))]
    quoted = re.findall(r"`(onelight [^`]*)`", README)
    return sorted({text for text in (*typed, *quoted) if text.startswith("onelight ") and "…" not in text})


@pytest.mark.parametrize("line", lines_of_readme())
def test_every_command_and_option_in_the_readme_exists(line: str) -> None:
    words = shlex.split(line.replace("[", "").replace("]", ""))[1:]
    command: click.Command = cli
    while isinstance(command, click.Group) and words and words[0].islower():
        name = words.pop(0)
        assert name in command.commands, f"`{line}` names '{name}', which is no command"
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-") and word != "-"} <= known


def test_options_named_beside_a_command_exist() -> None:
    rows = re.findall(r"^\| (`onelight [^|]*) \|(.*)\|$", README, re.MULTILINE)
    assert len(rows) >= 12
    for names, text in rows:
        known: set[str] = set()
        for name, below in re.findall(r"`onelight ([a-z-]+)(?: ([a-z]+))?", names):
            command = cli.commands[name]
            if isinstance(command, click.Group):
                command = command.commands[below]
            known |= {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text)) <= known, names


def test_the_configuration_in_the_readme_is_one_and_has_the_defaults(config_dir: Path) -> None:
    from onelight.client import Limits
    from onelight.config import LIMITS, Config

    block = re.search(r"```\n(\{\n.*?\n\})\n```", README, re.DOTALL)
    assert block is not None
    config_dir.mkdir()
    (config_dir / "config.json").write_text(block[1], encoding="utf-8")
    config = Config.load()
    assert config.connections == 16
    assert Limits(**config.limits) == Limits()
    assert set(config.limits) == set(LIMITS)


def test_every_variable_of_the_environment_is_in_the_readme() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (CHECKOUT / "onelight").rglob("*.py"))
    assert {name for name in re.findall(r"(?<!_)ONELIGHT_[A-Z_]*[A-Z]", code) if f"`{name}`" not in README} == set()
