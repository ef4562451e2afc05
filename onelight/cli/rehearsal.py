"""Commands to rehearse with: demo, sandbox."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onelight.cli.output import say, shared_options

if TYPE_CHECKING:
    import threading

    from onelight.sandbox import Sandbox, Settings


@click.command(short_help="The whole way, on made-up data.")
@click.option("--keep", metavar="DIR", type=click.Path(path_type=Path), help="Keep everything in this folder.")
@click.option("--plot", metavar="FILE.png", type=click.Path(path_type=Path), help="Also draw the raster into a file.")
@click.option("--debug", is_flag=True, help="Show where an error came from.")
def demo(keep: Path | None, plot: Path | None, debug: bool) -> int:  # noqa: ARG001 - read by the table of errors
    """Scan, upload, search, download and load three made-up sessions, showing each step.

    The data has the form of the dataset of Steinmetz et al. 2019. It goes to a sandbox on this computer, not to
    figshare; your configuration is not touched. The exit code is not 0 if anything comes back differently.
    """
    import tempfile

    from onelight.cli.demonstration import demonstrate

    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            msg = f"{keep} is not empty; give a new folder"
            raise click.UsageError(msg)
        return demonstrate(keep.absolute(), plot)
    with tempfile.TemporaryDirectory(prefix="onelight-demo-") as folder:
        return demonstrate(Path(folder), plot)


@click.command(short_help="A figshare of your own, to rehearse with.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port of its API; by default the last one.")
@click.option("--data", metavar="DIR", type=click.Path(path_type=Path), help="Folder that keeps what is uploaded.")
@click.option("--part-size", type=click.IntRange(1), metavar="BYTES", help="Bytes of a part; 10 MiB as on figshare.")
@click.option("--file-limit", type=click.IntRange(1), metavar="N", help="Files in an article; 500 as on figshare.")
@shared_options
def sandbox(port: int | None, data: Path | None, part_size: int | None, file_limit: int | None, as_json: bool) -> None:
    """Run a server on this computer that behaves like figshare, until you stop it with Ctrl-C.

    Upload to it, publish on it, see what readers see; nothing leaves this computer. What is uploaded is kept in DIR
    (by default `sandbox` beside the configuration) and is there again the next time. With --json one line says where
    it is, as soon as it answers.
    """
    import dataclasses

    from onelight.config import default_folder
    from onelight.sandbox import Settings

    folder = (data or default_folder() / "sandbox").expanduser().absolute()
    settings = Settings()
    if part_size is not None:
        settings = dataclasses.replace(settings, part_size=part_size)
    if file_limit is not None:
        settings = dataclasses.replace(settings, file_limit=file_limit)
    with _until_a_signal() as stopped:
        box = _start(folder, port, settings)
        try:
            _introduce(box, as_json=as_json)
            say(f"data in {folder}; Ctrl-C ends it")
            while not stopped.wait(0.5):  # on Windows a wait without end does not hear Ctrl-C
                pass
        finally:
            box.stop()


def _introduce(box: Sandbox, *, as_json: bool) -> None:
    import json

    if as_json:
        click.echo(json.dumps({"api_url": box.api_url, "token": box.token, "article_id": box.article_id}))
    else:
        click.echo(f"sandbox: {box.api_url}\ntoken:   {box.token}\narticle: {box.article_id} (a draft to try with)\n")
        click.echo("Add it as a repository, and use it:\n")
        click.echo(
            f"  echo {box.token} | onelight add-repo sandbox --replace --figshare {box.article_id} "
            f"--api-url {box.api_url} --token-stdin"
        )
        click.echo("  onelight repo sandbox")
    sys.stdout.flush()


def _start(folder: Path, port: int | None, settings: Settings) -> Sandbox:
    """Start on the port asked for, or on the one of the last time, so that what was configured goes on working."""
    from urllib.parse import urlsplit

    from onelight.errors import ConfigError
    from onelight.sandbox import Sandbox

    memory = folder / "port"
    last = memory.read_text(encoding="ascii") if memory.is_file() else ""
    box = Sandbox(folder, port=port if port is not None else int(last) if last.isdecimal() else 0, settings=settings)
    try:
        box.start()
    except ConfigError:
        if port is not None or not last:
            raise
        box = Sandbox(folder, settings=settings)  # another program has the port by now
        box.start()
    memory.write_text(str(urlsplit(box.api_url).port), encoding="ascii")
    return box


@contextlib.contextmanager
def _until_a_signal() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event, from before anyone is told that there is something to end."""
    import signal
    import threading

    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
