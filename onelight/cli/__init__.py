"""The ``onelight`` command: it parses, makes one call of the library, and prints.

stdout is data, one item per line; stderr is talk. Commands do not catch: errors become exit codes and hints in one
table (:mod:`onelight.cli.errors`). Another table, :data:`COMMANDS`, says where each command is, so that only the one
that is typed is imported.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from onelight.cli import stopping
from onelight.version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: The commands by what they are for: name, module and function below ``onelight.cli``, and its own short help, which
#: stands here as well so that ``--help`` need not import it. A new command is one line.
COMMANDS = {
    "Use data": {
        "search": ("asking", "search", "Sessions, all or those that have some datasets."),
        "summary": ("asking", "summary", "How much there is: sessions, datasets, bytes."),
        "list": ("looking", "list_", "What a session holds."),
        "describe": ("looking", "describe", "What files hold, from their headers alone."),
        "download": ("reading", "download", "Fetch a session, or one object of it."),
    },
    "Share data": {
        "scan": ("scanning", "scan", "What of a local folder would be shared."),
        "upload": ("sharing", "upload", "Send a local folder to the current repository."),
        "status": ("publishing", "status", "Compare a local folder, the repository, and what is public."),
        "publish": ("publishing", "publish", "Make the current repository public, for ever."),
        "unpublish": ("publishing", "unpublish", "Why what is public stays public, and what can be done."),
        "copy": ("copying", "copy", "Copy a repository, or sessions of it, to another one."),
        "index": ("sharing", "index", "Make a folder a repository for any web server."),
        "serve": ("hosting", "serve", "Serve a folder on the local network, read only."),
    },
    "Describe and cite": {
        "create": ("creating", "create", "Make a draft at figshare, and a repository of it."),
        "metadata": ("creating", "metadata", "What the repository says of itself: check, push, pull."),
        "cite": ("publishing", "cite", "How the current repository is cited."),
    },
    "Choose where": {
        "repo": ("places", "repo", "The repositories; with a name, choose one."),
        "add-repo": ("places", "add_repo", "Add a repository to the configuration."),
    },
    "Keep house": {
        "cache": ("cache", "cache", "What was downloaded: where, how much, is it whole; tidy up."),
        "completion": ("completion", "completion", "The script with which a shell completes commands."),
    },
    "Rehearse": {
        "demo": ("rehearsal", "demo", "The whole way, on made-up data."),
        "sandbox": ("rehearsal", "sandbox", "A figshare of your own, to rehearse with."),
    },
}
# The first client had underscores in its names, and `clean_publish`; scripts that use them go on working.
_ALIASES = {"add_repo": "add-repo", "clean_publish": "publish"}


class _ReaderHasEnough(Exception):
    """The other end of stdout is closed, as in ``onelight search | head``."""


class _Imported(MutableMapping[str, click.Command]):
    """Commands by name, each imported when it is asked for.

    Parameters
    ----------
    places : mapping
        Name → module and function below ``onelight.cli``.
    """

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        self._places: dict[str, tuple[str, str] | click.Command] = dict(places)

    def __getitem__(self, name: str) -> click.Command:
        found = self._places[name]
        if isinstance(found, tuple):
            module, function = found
            self._places[name] = found = getattr(import_module(f"onelight.cli.{module}"), function)
        return found

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._places[name] = command

    def __delitem__(self, name: str) -> None:
        del self._places[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class _Commands(click.Group):
    """The commands by what they are for, with old names understood."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, _ALIASES.get(cmd_name, cmd_name))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin so; no command is imported for its words."""
        from click.shell_completion import CompletionItem

        rows = {name: row[2] for commands in COMMANDS.values() for name, row in commands.items()}
        found = [CompletionItem(name, help=words) for name, words in rows.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # which click would turn into an exit with 1
            raise _ReaderHasEnough from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, short_help) for name, (_, _, short_help) in commands.items()])

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
                    ("ONELIGHT_FIGSHARE_API", "where create and add-repo make figshare repositories: a sandbox"),
                    ("ONELIGHT_OFFLINE", "never use the network"),
                    ("ONELIGHT_INDEX_MAX_AGE", "seconds for which an index is not asked for again"),
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


@click.group(
    cls=_Commands,
    commands=_Imported({name: row[:2] for commands in COMMANDS.values() for name, row in commands.items()}),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
    _settle()
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process, at once where no other thread is at work.

    Python would free each object first, which takes as long as a question to an index (15 ms of 120).
    """
    if threading.active_count() > 1:
        sys.exit(code)
    atexit._run_exitfuncs()  # noqa: SLF001 - what files and pipes are closed by, and all that is left to do
    _settle()
    os._exit(code)


def _take_places() -> None:
    """Let nothing else get the numbers of streams that were closed before: what is said would land in it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


def run(arguments: list[str]) -> int:
    """Run the command line with these arguments and return its exit code."""
    if os.environ.get("_ONELIGHT_COMPLETE"):  # a shell asks what can come next
        from onelight.cli.completion import answer

        return answer(cli)
    try:
        code = cli.main(arguments, prog_name="onelight", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (BrokenPipeError, _ReaderHasEnough):
        return 141  # what a shell shows for a program ended by SIGPIPE
    except BaseException as error:  # noqa: BLE001 - the one place where every error becomes words and a number
        from onelight.cli.errors import report  # of no use to `--help`; every command has imported it

        return report(error, arguments)
    return code if isinstance(code, int) else 0


def _settle() -> None:
    """Let go of what the streams cannot get rid of: Python would complain at its end, with an exit code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
