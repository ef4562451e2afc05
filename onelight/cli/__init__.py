"""The ``onelight`` command: it parses, makes one call of the library, and prints.

stdout is data, one item per line; stderr is talk. Commands do not catch: errors become exit codes and hints in one
table (:mod:`onelight.cli.errors`).
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import click

from onelight.cli import cache, looking, places, reading, rehearsal, sharing, stopping
from onelight.cli.errors import report
from onelight.version import __version__

_GROUPS = {
    "Use data": (reading.search, looking.list_, looking.describe, reading.download),
    "Share data": (sharing.scan, sharing.upload, sharing.publish, sharing.index),
    "Choose where": (places.repo, places.add_repo),
    "Keep house": (cache.cache,),
    "Rehearse": (rehearsal.demo, rehearsal.sandbox),
}
# The first client had underscores in its names, and `clean_publish`; scripts that use them go on working.
_ALIASES = {"add_repo": "add-repo", "clean_publish": "publish"}


class _ReaderHasEnough(Exception):
    """The other end of stdout is closed, as in ``onelight search | head``."""


class _Commands(click.Group):
    """The commands by what they are for, with old names understood."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, _ALIASES.get(cmd_name, cmd_name))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # which click would turn into an exit with 1
            raise _ReaderHasEnough from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        for title, commands in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(str(command.name), command.get_short_help_str(80)) for command in commands])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Exit codes"):
            formatter.write_text(
                "0 all done, 1 some items failed, 2 wrong usage, 3 not found, 4 access denied, 5 try again later, "
                "6 wrong bytes, 7 local disk, 8 refused as unsafe, 130 stopped by Ctrl-C, 129 by SIGHUP, 143 by SIGTERM"
            )
        with formatter.section("Environment (each wins over the configuration)"):
            formatter.write_dl(
                [
                    ("ONELIGHT_CONFIG_DIR", "folder of configuration and data, instead of ~/.one"),
                    ("ONELIGHT_REPO", "current repository"),
                    ("FIGSHARE_TOKEN", "token of figshare repositories"),
                    ("ONELIGHT_CONNECTIONS", "most connections to one host"),
                    ("ONELIGHT_CONNECT_TIMEOUT", "seconds to wait for a connection"),
                    ("ONELIGHT_IDLE_TIMEOUT", "seconds of (nearly) nothing after which a connection is lost"),
                    ("ONELIGHT_FLOOR_SPEED", "bytes a second that are nearly nothing"),
                    ("ONELIGHT_TOTAL_TIMEOUT", "seconds for one file in all, 0 for no limit"),
                    ("ONELIGHT_ATTEMPTS", "tries of a request without progress"),
                    ("ONELIGHT_NO_PROGRESS", "neither bars nor lines of progress"),
                    ("ONELIGHT_PROGRESS_INTERVAL", "seconds between those lines where there is no terminal"),
                    ("ONELIGHT_DEBUG", "show where an error came from"),
                ]
            )


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="onelight", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Share, search, download and load neurophysiology recordings (ALF files).

    \b
    Examples:
      onelight demo                               the whole way, on made-up data
      onelight repo                               where data can come from
      onelight search spikes.times trials         sessions that have both

    Each command explains itself: onelight COMMAND --help
    """
    if ctx.invoked_subcommand is None:
        from onelight.config import Config

        config = Config.load()
        click.echo(ctx.get_help())
        click.echo(f"\nConfiguration: {config.remark or config.path}", err=True)


for _group in _GROUPS.values():
    for _command in _group:
        cli.add_command(_command)


def main() -> None:
    """Run the command line and end the process with the exit code that tells the truth."""
    _take_places()
    stopping.listen()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # The name of a file need not be text: it goes out as it came in, or escaped where that cannot be shown.
            unicode = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if unicode else "backslashreplace")
    code = run(sys.argv[1:])
    stopping.finish()
    for stream in (sys.stdout, sys.stderr):
        _settle(stream)
    sys.exit(code)


def _take_places() -> None:
    """Let nothing else get the numbers of streams that were closed before: what is said would land in it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


def run(arguments: list[str]) -> int:
    """Run the command line with these arguments and return its exit code."""
    try:
        code = cli.main(arguments, prog_name="onelight", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (BrokenPipeError, _ReaderHasEnough):
        return 141  # what a shell shows for a program ended by SIGPIPE
    except BaseException as error:  # noqa: BLE001 - the one place where every error becomes words and a number
        return report(error, arguments)
    return code if isinstance(code, int) else 0


def _settle(stream: Any) -> None:
    """Let go of what a stream cannot get rid of: Python would complain at its end, with an exit code of its own."""
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
