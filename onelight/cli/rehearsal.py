"""Commands to rehearse with: demo, sandbox."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onelight.cli import stopping
from onelight.cli.output import say, shared_options

if TYPE_CHECKING:
    from onelight.sandbox import Faults, Sandbox, Settings
    from onelight.sandbox.faults import Rule


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
@click.option("--set", "switched", metavar="NAME=VALUE", multiple=True, help="Switch a behaviour; may be repeated.")
@click.option(
    "--fault",
    "faults",
    metavar="NAME=P[xTIMES]",
    multiple=True,
    help="Let something go wrong with probability P, at most TIMES times; may be repeated.",
)
@click.option("--seed", type=int, default=1, metavar="N", help="Other chances; the same number, the same chances.")
@click.option("--list", "is_list", is_flag=True, help="Print all behaviours and faults, and what each one means.")
@shared_options
def sandbox(
    port: int | None,
    data: Path | None,
    part_size: int | None,
    file_limit: int | None,
    switched: tuple[str, ...],
    faults: tuple[str, ...],
    seed: int,
    is_list: bool,
    as_json: bool,
) -> None:
    """Run a server on this computer that behaves like figshare, until you stop it with Ctrl-C.

    Upload to it, publish on it, see what readers see; nothing leaves this computer. What is uploaded is kept in DIR
    (by default `sandbox` beside the configuration) and is there again the next time. With --json one line says where
    it is, as soon as it answers.

    \b
    A first rehearsal: start it, and type the two commands that it prints.
      onelight sandbox

    \b
    A bad day, the same one each time:
      onelight sandbox --fault 5xx=0.05 --fault reset=0.02 --fault 429=0.02 \\
          --fault ic-failure=0.01 --set md5-late=2s

    \b
    Downloads that a firewall refuses, the first three of them:
      onelight sandbox --fault waf202=1x3

    \b
    Little room, small parts, a slow line:
      onelight sandbox --set files=500 --set quota=1GB --set parts=1MiB --set latency=100ms

    Sizes are written 500k, 10MB or 1MiB; times 200ms, 2s or 1min; switches on or off; lists with commas. What else
    there is to switch and to break: onelight sandbox --list
    """
    from onelight.config import default_folder
    from onelight.sandbox import Settings
    from onelight.sandbox.switches import changed

    if is_list:
        _list(as_json=as_json)
        return
    folder = (data or default_folder() / "sandbox").expanduser().absolute()
    given = {"part_size": part_size, "file_limit": file_limit}
    settings = changed(Settings(), {name: value for name, value in given.items() if value is not None})
    settings = parsed_settings(switched, settings)
    played = parsed_faults(faults, seed)
    with stopping.until_a_signal() as stopped:
        box = _start(folder, port, settings, played)
        try:
            _introduce(box, as_json=as_json)
            if played.rules:
                say("faults: " + ", ".join(_shown_fault(rule) for rule in played.rules.values()))
            say(f"data in {folder}; Ctrl-C ends it")
            while not stopped.wait(0.5):  # on Windows a wait without end does not hear Ctrl-C
                pass
        finally:
            box.stop()


def parsed_settings(texts: Sequence[str], settings: Settings) -> Settings:
    """Return settings with what `--set` says changed.

    Parameters
    ----------
    texts : sequence of str
        Each `NAME=VALUE`.
    settings : Settings
        What holds for all others.

    Raises
    ------
    click.BadParameter
        If a name is not known, or a value does not fit.
    """
    from onelight.sandbox.switches import changed

    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} has no value; write NAME=VALUE", param_hint="--set")
        try:
            settings = changed(settings, {name: value.strip()})
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--set") from None
    return settings


def parsed_faults(texts: Sequence[str], seed: int = 1) -> Faults:
    """Return the faults that `--fault` asks for.

    Parameters
    ----------
    texts : sequence of str
        Each `NAME=PROBABILITY`, with `xTIMES` where it shall end.
    seed : int
        What decides when they happen.

    Raises
    ------
    click.BadParameter
        If a name is not known, or what follows is no probability.
    """
    from onelight.sandbox import Faults
    from onelight.sandbox.faults import parsed

    faults = Faults(seed)
    for text in texts:
        try:
            name, probability, times = parsed(text)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--fault") from None
        faults.set(name, probability, times=times)
    return faults


def _shown_fault(rule: Rule) -> str:
    times = "" if rule.times is None else f"x{rule.times}"
    return f"{rule.name.replace('_', '-')}={rule.probability:g}{times}"


def _list(*, as_json: bool) -> None:
    """Print all behaviours and faults, from the tables that the server itself reads."""
    import json

    from onelight.sandbox.faults import KINDS
    from onelight.sandbox.switches import shown, switches

    if as_json:
        for item in switches():
            row = {"switch": item.name, "field": item.field, "default": shown(item, item.default), "means": item.means}
            click.echo(json.dumps(row))
        for name, kind in KINDS.items():
            click.echo(json.dumps({"fault": name.replace("_", "-"), "means": kind.means}))
        return
    formatter = click.HelpFormatter(width=click.get_current_context().terminal_width)
    with formatter.section("Behaviours (--set NAME=VALUE)"):
        formatter.write_dl([(f"{i.name}={shown(i, i.default)}", i.means) for i in switches()], col_max=34)
    with formatter.section("Faults (--fault NAME=PROBABILITY, or PROBABILITYxTIMES)"):
        formatter.write_dl([(name.replace("_", "-"), kind.means) for name, kind in KINDS.items()], col_max=34)
    click.echo(formatter.getvalue().rstrip())


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


def _start(folder: Path, port: int | None, settings: Settings, faults: Faults) -> Sandbox:
    """Start on the port asked for, or on the one of the last time, so that what was configured goes on working."""
    from urllib.parse import urlsplit

    from onelight.errors import ConfigError
    from onelight.sandbox import Sandbox

    memory = folder / "port"
    last = memory.read_text(encoding="ascii") if memory.is_file() else ""
    chosen = port if port is not None else int(last) if last.isdecimal() else 0
    box = Sandbox(folder, port=chosen, settings=settings, faults=faults)
    try:
        box.start()
    except ConfigError:
        if port is not None or not last:
            raise
        box = Sandbox(folder, settings=settings, faults=faults)  # another program has the port by now
        box.start()
    memory.write_text(str(urlsplit(box.api_url).port), encoding="ascii")
    return box
