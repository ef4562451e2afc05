"""The demo: what a person would do, step by step, with every command and its output shown, and everything compared.

Commands are run by the command line itself and Python by Python's own interpreter, so that what is shown is what
ran. At the end each file that came back is compared with the one that was written.
"""

from __future__ import annotations

import code
import contextlib
import io
import os
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from onelight.cli import stopping
from onelight.cli.output import count, size_text
from onelight.errors import OneError

_SHOWN = 6  # lines of a long output


@dataclass
class _Step:
    name: str
    files: int
    size: int
    verified: str
    seconds: float


class DemoFailed(OneError):
    """Something came back differently from how it was written."""


def demonstrate(folder: Path, plot: Path | None) -> int:
    """Run the demo in an empty folder; return the exit code."""
    from onelight.cli.raster import require_matplotlib
    from onelight.sandbox import Sandbox
    from onelight.synthetic import write_dataset

    if plot is not None:
        require_matplotlib()
    root = folder / "dataroot"
    steps: list[_Step] = []
    begun = time.monotonic()
    click.echo(f"Three sessions in the form of Steinmetz et al. 2019, made up from a seed, in {root}")
    written = write_dataset(root)
    size = sum(path.stat().st_size for path in written)
    steps.append(_Step("written", len(written), size, "", time.monotonic() - begun))
    with Sandbox(folder / "sandbox") as box, _own_configuration(folder / "config", box):
        click.echo(f"A sandbox that behaves like figshare answers at {box.api_url}")
        sessions = _share(root, written, size, steps)
        _fetch(root, sessions, steps)
        _load(root, sessions[0], steps, plot)
        click.secho("\nShare on any web server, too: copy this folder there", bold=True)
        _run("index", str(root))
    _table(steps)
    if (folder / "config").exists() and not folder.name.startswith("onelight-demo-"):
        click.echo(f"\nEverything is kept in {folder}. To look at it with the same configuration:")
        click.echo(f"  onelight sandbox --data {folder / 'sandbox'} --port {_port(box.api_url)}")
        click.echo(f"  ONELIGHT_CONFIG_DIR={folder / 'config'} onelight search")
    return 0


def _share(root: Path, written: list[Path], size: int, steps: list[_Step]) -> list[str]:
    sessions = sorted({"/".join(path.relative_to(root).parts[:5]) for path in written})
    click.secho("\nShare", bold=True)
    found = _run("scan", str(root))
    _must(found == [path.relative_to(root).as_posix() for path in written], "scan did not find what was written")
    begun = time.monotonic()
    sent = _run("upload", str(root))
    _must(len(sent) == len(written), "upload did not send every file")
    steps.append(_Step("uploaded", len(sent), size, "md5", time.monotonic() - begun))
    click.secho("\nSearch", bold=True)
    _must(_run("search") == sessions, "search did not find every session")
    _must(_run("search", "spikes") == sessions, "search by object did not find every session")
    _must(_run("search", "spikes.times", "spikes.clusters", "--subject", "Cori") == sessions[:2], "search went wrong")
    listed = [line.split("\t")[0] for line in _run("list", sessions[0])]
    _must("alf/trials.intervals.npy" in listed, "list does not show the trials")
    described = " ".join(_run("describe", sessions[0], "trials.intervals"))
    _must("float64" in described, "describe does not say what the trials are")
    return sessions


def _fetch(root: Path, sessions: list[str], steps: list[_Step]) -> None:
    click.secho("\nDownload", bold=True)
    begun = time.monotonic()
    files = [(session, Path(line)) for session in sessions for line in _run("download", session)]
    steps.append(
        _Step("downloaded", len(files), sum(path.stat().st_size for _, path in files), "md5", time.monotonic() - begun)
    )
    came = {session + path.as_posix().partition(session)[2]: path for session, path in files}
    written = {path.relative_to(root).as_posix(): path for path in root.rglob("*.*") if path.parent != root}
    _must(came.keys() == written.keys(), f"other files came back: {sorted(came.keys() ^ written.keys())}")
    for name, path in came.items():
        _must(path.read_bytes() == written[name].read_bytes(), f"{name} came back differently")


def _load(root: Path, session: str, steps: list[_Step], plot: Path | None) -> None:
    import numpy as np

    from onelight.cli import raster

    click.secho("\nLoad, in Python", bold=True)
    begun = time.monotonic()
    python = _Python()
    python.run("import onelight as one")
    python.run("session = one.search(['trials'])[0]")
    python.run("trials = one.load_object(session, 'trials')")
    python.run("trials")
    columns = "'visualStim_times', 'goCue_times', 'response_times', 'response_choice', 'feedbackType'"
    python.run(f"one.to_dataframe(trials)[[{columns}]].head().round(2)")
    python.run("spikes = one.load_object(session, 'spikes')")
    python.run("spikes")
    names = python.names
    _must(names["session"] == session, "Python found another session than the command line")
    for obj in ("trials", "spikes"):
        for name, value in names[obj].items():
            wanted = np.load(root / session / "alf" / f"{obj}.{name}.npy")
            wanted = wanted[:, 0] if wanted.shape[1:] == (1,) else wanted  # MATLAB's columns become vectors
            _must(value.dtype == wanted.dtype and np.array_equal(value, wanted), f"{obj}.{name} was loaded differently")
    size = sum(value.nbytes for obj in ("trials", "spikes") for value in names[obj].values())
    number = sum(len(names[obj]) for obj in ("trials", "spikes"))
    steps.append(_Step("loaded", number, size, "every value", time.monotonic() - begun))
    times, depths = names["spikes"].times, names["spikes"].depths
    start = float(names["trials"].intervals[0, 0])
    chosen = (times >= start) & (times < start + 30)
    click.echo(f"\n30 seconds of {session}, every spike by depth:")
    click.echo(raster.raster(times[chosen], depths[chosen]))
    if plot is not None:
        raster.plot(times[chosen], depths[chosen], session, plot)
        click.echo(f"The same in {plot}")


def _run(*arguments: str) -> list[str]:
    """Show a command, run it, show what it says, and return the lines of its stdout."""
    from onelight.cli import run

    click.echo(click.style(f"\n$ onelight {shlex.join(arguments)}", fg="green"))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        exit_code = run(list(arguments))
    if exit_code in stopping.EXIT_CODES:  # of a command, but meant is the demo
        raise stopping.Stopped(exit_code - 128)
    lines = out.getvalue().splitlines()
    _show(lines)
    _show(err.getvalue().splitlines())
    _must(exit_code == 0, f"the command ended with exit code {exit_code}")
    return lines


def _show(lines: list[str]) -> None:
    hidden = len(lines) - _SHOWN if len(lines) > _SHOWN + 2 else 0
    for line in lines[: _SHOWN if hidden else None]:
        click.echo(f"  {line.expandtabs(4)}")
    if hidden:
        click.echo(f"  … and {count(hidden, 'more line')}")


class _Python(code.InteractiveInterpreter):
    """Python's own interpreter, showing each statement and what it prints."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        super().__init__(self.names)

    def run(self, source: str) -> None:
        click.echo(click.style(f">>> {source}", fg="green"))
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.runsource(source)
        _show(out.getvalue().splitlines())

    def showtraceback(self) -> None:
        """Let an error end the demo instead of being printed and forgotten."""
        error = sys.exc_info()[1]
        if error is not None:
            raise error


@contextlib.contextmanager
def _own_configuration(folder: Path, box: Any) -> Iterator[None]:
    """Use a configuration of the demo's own while it runs, whatever the environment says."""
    from onelight.config import Config, Settings

    names = ("ONELIGHT_CONFIG_DIR", "ONELIGHT_REPO", "FIGSHARE_TOKEN")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ["ONELIGHT_CONFIG_DIR"] = str(folder)
    try:
        config = Config.load()
        options = {"article_id": box.article_id, "token": box.token, "api_url": box.api_url}
        config.add(Settings("sandbox", "figshare", options))
        config.choose("sandbox")
        yield
    finally:
        del os.environ["ONELIGHT_CONFIG_DIR"]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DemoFailed(f"the demo failed: {otherwise}", hint="Run it again with --keep DIR and look at what is there")


def _table(steps: list[_Step]) -> None:
    click.echo(f"\n{'':12}{'files':>7}{'bytes':>12}{'verified':>14}{'seconds':>9}")
    for step in steps:
        click.echo(f"{step.name:12}{step.files:>7,}{size_text(step.size):>12}{step.verified:>14}{step.seconds:>9.1f}")


def _port(url: str) -> str:
    return url.rpartition(":")[2].partition("/")[0]
