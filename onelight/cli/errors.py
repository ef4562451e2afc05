"""From error to exit code and words: the one table, and the one place where errors are shown."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import unicodedata

import click

from onelight import errors
from onelight.cli import stopping

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


def visible(text: str) -> str:
    """Return a text for a person with whatever could move the cursor or hide itself escaped; lines stay lines.

    Examples
    --------
    >>> visible("spikes\\u202eypn.times is\\x1b[2J gone")
    'spikes\\\\u202eypn.times is\\\\x1b[2J gone'
    """
    if text.isascii() and text.replace("\n", "").isprintable():  # nearly always
        return text
    return "".join(ascii(char)[1:-1] if _is_hidden(char) else char for char in text)


def without_secrets(text: str) -> str:
    """Return a text without the tokens and passwords that were used, which a server may have repeated."""
    config = sys.modules.get("onelight.config")  # where it was not needed, no secret was read
    return str(config.hide_secrets(text)) if config is not None else text


def _is_hidden(char: str) -> bool:
    return char != "\n" and (unicodedata.category(char)[0] == "C" or char in "\u2028\u2029")


def report(error: BaseException, arguments: list[str]) -> int:
    """Show an error on stderr, and with ``--json`` as one object on stdout, and return its exit code."""
    if isinstance(error, (SystemExit, click.exceptions.Exit)):
        code = error.code if isinstance(error, SystemExit) else error.exit_code
        return code if isinstance(code, int) else 0 if code is None else 1
    error = _exhausted(error) or error
    is_stopped = isinstance(error, (KeyboardInterrupt, click.Abort))
    code = error.exit_code if isinstance(error, click.ClickException) else exit_code(error)
    code = stopping.exit_code(error) if is_stopped else code
    if "--json" in arguments:
        _print_row(error, code, arguments)
    if isinstance(error, click.ClickException):
        with contextlib.suppress(OSError):
            error.show()
    elif is_stopped:
        _say("interrupted; the same command can be run again")
    elif isinstance(error, errors.OneError):
        if _debugging(arguments):
            _trace(error)
        _say(f"error: {error.message}")
        if error.hint:
            _say(f"hint: {_hint(error, arguments)}")
    elif isinstance(error, OSError):
        _say(f"error: {error}")
        _say("hint: is the disk full, or a folder closed to you? --debug shows where it happened")
        if _debugging(arguments):
            _trace(error)
    else:
        _trace(error)
        _say("error: this is a bug of ONE light; please report it with the lines above")
    return code


def _hint(error: errors.OneError, arguments: list[str]) -> str:
    """Return what to do next, as a command where the library says it as a call."""
    if isinstance(error, errors.AmbiguousQuery) and error.keyword and arguments:
        return f"Choose one: {shlex.join(['onelight', *arguments, f'--{error.keyword}', error.values[0]])}"
    return error.hint


def _exhausted(error: BaseException) -> errors.OneError | None:
    """Return what to say where this computer has no more threads or memory, which is no bug; None otherwise."""
    is_thread = isinstance(error, RuntimeError) and "start new thread" in str(error)
    if not (is_thread or isinstance(error, MemoryError)):
        return None
    return errors.NoSpace(
        f"this computer lets the program have no more {'threads' if is_thread else 'memory'}",
        hint="End other programs or raise the limit (ulimit -a), or use -j 1; the same command continues",
    )


def _print_row(error: BaseException, code: int, arguments: list[str]) -> None:
    import json

    message = error.format_message() if isinstance(error, click.ClickException) else _message(error)
    hint = without_secrets(_hint(error, arguments) if isinstance(error, errors.OneError) else "") or None
    row = {"status": "error", "error": type(error).__name__, "message": without_secrets(message), "hint": hint}
    with contextlib.suppress(OSError):  # stdout itself may be what failed
        click.echo(json.dumps(row | {"exit": code}))


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        click.echo(visible(without_secrets(text)), err=True)


def _debugging(arguments: list[str]) -> bool:
    return "--debug" in arguments or bool(os.environ.get("ONELIGHT_DEBUG"))


def _trace(error: BaseException) -> None:
    import traceback

    _say("".join(traceback.format_exception(error)).rstrip("\n"))


def _message(error: BaseException) -> str:
    return error.message if isinstance(error, errors.OneError) else str(error) or type(error).__name__
