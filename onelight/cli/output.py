"""How commands print: data on stdout, talk on stderr, and the options that all of them share."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from onelight.cli.errors import exit_code, visible, without_secrets
from onelight.notes import log

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from onelight.api.asking import Asking
    from onelight.transfer import Outcome

_One = TypeVar("_One", bound="Asking")
#: What new figshare repositories are made at instead of figshare, to rehearse with the very commands of later.
API_VARIABLE = "ONELIGHT_FIGSHARE_API"
#: So many lines are written together: a write for each would take longer than the search.
_MOST_LINES = 2000


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--json`` and ``--debug``, and show the library's warnings on stderr."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON object per line instead of text.")
    @click.option("--debug", is_flag=True, help="Show where an error came from.")
    @functools.wraps(command)
    def wrapped(*args: Any, debug: bool, **kwargs: Any) -> Any:  # noqa: ARG001 - read by the table of errors
        log.show_with(_show_warnings)
        return command(*args, **kwargs)

    return wrapped


def completed(what: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return the function with which a shell completes a parameter; :mod:`onelight.cli.completion` has the words."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - click's
        from onelight.cli.completion import candidates

        return candidates(what, ctx, incomplete)

    return complete


repository_option = click.option(
    "-R",
    "--repository",
    metavar="NAME",
    help="Repository to use, instead of the current one.",
    shell_complete=completed("repository"),
)


class Where(NamedTuple):
    """Which repository is asked, and whether it is asked for its index.

    Parameters
    ----------
    repository : str or None
        Its name; None for the current one.
    refresh, offline : bool
        Ask it however new the index is that is here; never use the network.
    """

    repository: str | None
    refresh: bool
    offline: bool

    def open(self, kind: type[_One]) -> _One:
        """Return the repository as one of these: an Asking, or what is built on it."""
        one = kind(self.repository, offline=self.offline or None)
        if self.refresh:
            from onelight.config import Config

            if Config.load().offline and one.repository.kind != "local":
                say("note: ONELIGHT_OFFLINE is set, which wins over --refresh")
            one.refresh()
        return one

    def words(self) -> list[str]:
        """Return the options that say this, for a command that goes on: an index was refreshed once, and is new."""
        return (["-R", self.repository] if self.repository else []) + (["--offline"] if self.offline else [])


def asking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``-R``, ``--refresh`` and ``--offline``; it gets them as one :class:`Where`."""

    @repository_option
    @click.option("--refresh", is_flag=True, help="Ask for the index now; without it, if it is older than ten minutes.")
    @click.option("--offline", is_flag=True, help="Never use the network: what is on this computer answers.")
    @functools.wraps(command)
    def wrapped(*args: Any, repository: str | None, refresh: bool, offline: bool, **kwargs: Any) -> Any:
        if refresh and offline:
            msg = "--refresh asks the repository, and --offline forbids it; give one of the two"
            raise click.UsageError(msg)
        return command(*args, where=Where(repository, refresh, offline), **kwargs)

    return wrapped


jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 64),
    help="Most connections to one host at a time; without it ONELIGHT_CONNECTIONS or the configuration decides, "
    "else as many are opened as help.",
)


def parts_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say what the names of datasets must have."""
    options = {
        "--collection": "Only in this folder of the session, such as alf/probe00.",
        "--revision": "The newest revision up to this one, by text; '' for what has none.",
        "--namespace": "Only with this namespace, such as ibl for _ibl_trials.",
        "--timescale": "Only on this clock, such as bpod for intervals_bpod.",
        "--extension": "Only files of this form, such as npy.",
    }
    for name, words in reversed(options.items()):
        complete = completed("collection") if name == "--collection" else None
        command = click.option(name, metavar="TEXT", help=words, shell_complete=complete)(command)
    return command


def emit(row: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print one item of the result: as it is for a program, and without tricks for a person at a terminal."""
    if as_json:
        import json

        text = json.dumps(row)
    elif prints_to_terminal():
        text = visible(text)
    click.echo(text)


def emit_lines(lines: Iterable[str]) -> None:
    """Print many items of the result, as :func:`emit` would, in blocks."""
    rest = iter(lines)
    is_terminal = prints_to_terminal()
    while block := list(islice(rest, _MOST_LINES)):
        click.echo("\n".join(map(visible, block) if is_terminal else block))


def prints_to_terminal() -> bool:
    """Tell whether a person reads stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def say(text: str) -> None:
    """Print something for a person, which is no part of the result. That nobody can read it is no failure."""
    with contextlib.suppress(OSError):
        click.echo(visible(without_secrets(text)), err=True)


def say_command(words: str, command: str) -> None:
    """Say a command that can be typed as it stands: nothing in it is hidden, for nothing in it came from elsewhere."""
    with contextlib.suppress(OSError):
        click.echo(f"{words}: {visible(command)}", err=True)


def count(number: int, what: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "file"), count(2145, "file")
    ('1 file', '2,145 files')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def size_text(size: float) -> str:
    """Return bytes for a person, in powers of 1000.

    Examples
    --------
    >>> size_text(999), size_text(48_200_000)
    ('999 B', '48.2 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def seconds_text(seconds: float) -> str:
    """Return a time for a person.

    Examples
    --------
    >>> seconds_text(20), seconds_text(500), seconds_text(9000)
    ('20 s', '8 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


files_per_article_option = click.option(
    "--files-per-article",
    type=click.IntRange(2),
    metavar="N",
    help="figshare: files that an article takes, if they gave you more than 500.",
)


def secret(prompt: str, *, from_stdin: bool) -> str:
    """Read a secret from standard input, or ask a person for it; a script that gives none gets none."""
    if from_stdin:
        return sys.stdin.readline().strip()
    if sys.stdin.isatty() and sys.stderr.isatty():
        return str(click.prompt(prompt, default="", hide_input=True, show_default=False, err=True)).strip()
    return ""


def is_terminal() -> bool:
    """Tell whether a person watches stderr, on a terminal that can be drawn on."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stderr, columns padded."""
    cells = [[visible(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def outcome_row(action: str, outcome: Outcome) -> dict[str, Any]:
    """Return the JSON object of what came of one file."""
    row: dict[str, Any] = {
        "action": action,
        "path": outcome.path,
        "file": str(outcome.target),
        "status": outcome.status.value,
        "bytes": outcome.size,
        "verified": outcome.verified.value,
    }
    if outcome.resumed_from:
        row["resumed_from"] = outcome.resumed_from
    if outcome.error is not None:
        row |= {
            "error": type(outcome.error).__name__,
            "message": without_secrets(outcome.error.message),
            "hint": without_secrets(outcome.error.hint) or None,
            "exit": exit_code(outcome.error),
        }
    return row


def run_exit_code(outcomes: Iterable[Outcome]) -> int:
    """Return the exit code of a run: that of its failures if they are of one kind, else 1; 0 if there are none."""
    codes = {exit_code(outcome.error) for outcome in outcomes if outcome.error is not None}
    return 0 if not codes else codes.pop() if len(codes) == 1 else 1


def tell_failures(outcomes: Sequence[Outcome]) -> None:
    """Say on stderr what failed first, how many more did, and what can be done about it."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if not failed or failed[0].error is None:
        return
    say(f"error: {failed[0].error.message}")
    if len(failed) > 1:
        say(f"  and {count(len(failed) - 1, 'more file')} failed")
    if failed[0].error.hint:
        say(f"hint: {failed[0].error.hint}")


def _show_warnings() -> None:
    """Show the library's warnings as notes, each once: a command may ask the same question twice."""
    import logging

    said: set[str] = set()

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if text not in said:
                said.add(text)
                say(f"note: {text}")

    logger = logging.getLogger("onelight")
    logger.handlers = [Notes(logging.WARNING)]
    logger.propagate = False
