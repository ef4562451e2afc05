"""How commands print: data on stdout, talk on stderr, and the options that all of them share."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from onelight.cli.errors import exit_code, visible, without_secrets

if TYPE_CHECKING:
    from onelight.transfer import Outcome


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--json`` and ``--debug``, and show the library's warnings on stderr."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON object per line instead of text.")
    @click.option("--debug", is_flag=True, help="Show where an error came from.")
    @functools.wraps(command)
    def wrapped(*args: Any, debug: bool, **kwargs: Any) -> Any:  # noqa: ARG001 - read by the table of errors
        _show_warnings()
        return command(*args, **kwargs)

    return wrapped


repository_option = click.option(
    "-R", "--repository", metavar="NAME", help="Repository to use, instead of the current one."
)
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
        command = click.option(name, metavar="TEXT", help=words)(command)
    return command


def emit(row: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print one item of the result: as it is for a program, and without tricks for a person at a terminal."""
    if as_json:
        import json

        text = json.dumps(row)
    elif sys.stdout is not None and sys.stdout.isatty():
        text = visible(text)
    click.echo(text)


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
    """Show the library's warnings as notes."""
    import logging

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"note: {record.getMessage()}")

    logger = logging.getLogger("onelight")
    logger.handlers = [Notes(logging.WARNING)]
    logger.propagate = False
