"""Two ways to type a command: ``program`` is ``python onelight.py …`` in a process of its own, as people use it.

``onelight`` runs the same command line in this process, which takes a hundredth of the time, for all that does not
depend on the process: what is printed where, and the exit code.
"""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The lines of stdout, each parsed as one JSON object."""
        rows = [json.loads(line) for line in self.lines]
        assert all(isinstance(row, dict) for row in rows)
        return rows


@pytest.fixture
def program(config_dir: Path) -> Callable[..., Ended]:
    """Return a function that runs ``python onelight.py`` with these arguments, without a terminal."""

    def run(*arguments: str | Path | int, given: str = "") -> Ended:
        done = subprocess.run(
            [sys.executable, "onelight.py", *map(str, arguments)],
            cwd=CHECKOUT,
            capture_output=True,
            input=given.encode(),
            timeout=60,
            check=False,
        )
        return _checked(Ended(done.returncode, done.stdout.decode(), done.stderr.decode()), arguments)

    return run


@pytest.fixture
def onelight(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Return a function that runs the command line with these arguments, without a terminal."""
    from onelight.cli import run as run_here

    logger = logging.getLogger("onelight")

    def run(*arguments: str | Path | int, given: str = "") -> Ended:
        out, err = io.StringIO(), io.StringIO()
        handlers, propagate = list(logger.handlers), logger.propagate
        try:
            with monkeypatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
                patch.setattr(sys, "stdin", io.StringIO(given))
                code = run_here([*map(str, arguments)])
        finally:
            logger.handlers, logger.propagate = handlers, propagate
        return _checked(Ended(code, out.getvalue(), err.getvalue()), arguments)

    return run


def _checked(ended: Ended, arguments: Sequence[object]) -> Ended:
    assert "Traceback" not in ended.err or "--debug" in arguments, ended.err
    return ended


@pytest.fixture
def box(onelight: Callable[..., Ended], sandbox: Any, article: int) -> int:
    """Add an article of the sandbox as a person does, make it current, and return its number."""
    added = onelight(
        "add-repo", "box", "--figshare", article, "--api-url", sandbox.api_url, "--token-stdin", given=sandbox.token
    )
    assert added.code == 0, added.err
    assert onelight("repo", "box").code == 0
    return article
