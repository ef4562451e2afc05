"""From error to exit code and words: the one table, and the one place where errors are shown."""

from __future__ import annotations

import os
import sys

import click

from onelight import errors

#: First match counts.
EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.NotFound, 3),
    (errors.AlfError, 2),
    (errors.AmbiguousQuery, 2),
    (errors.ConfigError, 2),
    (errors.UnsafeData, 8),
    (errors.ReadOnlyRepository, 4),
    (errors.AccessDenied, 4),
    (errors.RateLimited, 5),
    (errors.Unreachable, 5),
    (errors.Interrupted, 130),
    (errors.NoSpace, 7),
    (errors.TransferError, 6),
    (errors.OneError, 1),
    (OSError, 7),
    (KeyboardInterrupt, 130),
    (click.Abort, 130),
)


def exit_code(error: BaseException) -> int:
    """Return the exit code of an error; 1 for what is no error of ours."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def report(error: BaseException, arguments: list[str]) -> int:
    """Show an error on stderr, and with ``--json`` as one object on stdout, and return its exit code."""
    if isinstance(error, (SystemExit, click.exceptions.Exit)):
        code = error.code if isinstance(error, SystemExit) else error.exit_code
        return code if isinstance(code, int) else 0 if code is None else 1
    code = error.exit_code if isinstance(error, click.ClickException) else exit_code(error)
    if "--json" in arguments:
        import json

        message = error.format_message() if isinstance(error, click.ClickException) else _message(error)
        hint = getattr(error, "hint", None)
        row = {"status": "error", "error": type(error).__name__, "message": message, "hint": hint or None, "exit": code}
        click.echo(json.dumps(row))
    if isinstance(error, click.ClickException):
        error.show()
    elif isinstance(error, (KeyboardInterrupt, click.Abort)):
        click.echo("interrupted; the same command continues where it stopped", err=True)
    elif isinstance(error, errors.OneError):
        _show(error, arguments)
    elif isinstance(error, OSError):
        click.echo(f"error: {error}", err=True)
        click.echo("hint: is the disk full, or a folder closed to you? --debug shows where it happened", err=True)
        if _debugging(arguments):
            _trace(error)
    else:
        _trace(error)
        click.echo("error: this is a bug of ONE light; please report it with the lines above", err=True)
    return code


def _show(error: errors.OneError, arguments: list[str]) -> None:
    if _debugging(arguments):
        _trace(error)
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def _debugging(arguments: list[str]) -> bool:
    return "--debug" in arguments or bool(os.environ.get("ONELIGHT_DEBUG"))


def _trace(error: BaseException) -> None:
    import traceback

    traceback.print_exception(error, file=sys.stderr)


def _message(error: BaseException) -> str:
    return error.message if isinstance(error, errors.OneError) else str(error) or type(error).__name__
