"""The documents say what is true: examples run, and commands and modules are all named."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import click
import pytest

import onelight
from onelight.cli import cli

TOP = Path(__file__).resolve().parents[1]
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(onelight.__path__, "onelight.") if "__main__" not in module.name
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


@pytest.mark.parametrize("name", ["alf.md", "loading.md", "searching.md"])
def test_the_examples_in_documents_run(name, monkeypatch):
    monkeypatch.setenv("ONELIGHT_CONFIG_DIR", "set by the document")
    monkeypatch.setenv("COLUMNS", "80")
    text = re.sub(r"^```.*$", "", (TOP / "docs" / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    failed, tried = runner.run(doctest.DocTestParser().get_doctest(text, {}, name, name, 0))
    assert (failed, tried > 0) == (0, True)


def test_the_readme_names_every_command():
    text = (TOP / "README.md").read_text(encoding="utf-8")
    assert [name for name in cli.commands if f"onelight {name}" not in text] == []


def test_every_command_and_option_has_help():
    for name, command in cli.commands.items():
        assert command.help, name
        silent = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
        assert silent == [], name


def test_ci_runs_the_test_command_of_the_readme_as_it_stands():
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    pattern = re.search(r"sed -n 's/(.*)/\\1/p'", (TOP / ".ci" / "run").read_text(encoding="utf-8"))[1]
    expression = pattern.replace(r"\(", "(").replace(r"\)", ")")
    assert len(re.findall(expression, readme, re.MULTILINE)) == 1


def test_the_design_names_every_module():
    text = (TOP / "docs" / "design.md").read_text(encoding="utf-8")
    top_level = {name.split(".")[1] for name in MODULES}
    assert sorted(name for name in top_level if name not in text) == []


def test_every_public_name_has_a_docstring_and_can_be_imported():
    for name in onelight.__all__:
        assert getattr(onelight, name).__doc__, name
    assert set(onelight.__all__) <= set(dir(onelight))
