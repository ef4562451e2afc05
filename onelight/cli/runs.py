"""A run that moves files: watched, ended in good order when somebody wants it to end, and summed up.

What failed is kept as a list of paths, so that the next try asks for these only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onelight.cli import stopping
from onelight.cli.output import count, run_exit_code, say, say_command, size_text
from onelight.cli.progress import retries_text, watch
from onelight.errors import Interrupted
from onelight.transfer import Outcome, Status

if TYPE_CHECKING:
    from onelight.transfer import Progress

#: The lists that this program writes, in a data folder and in the folder for temporary files.
_OWN_LIST = re.compile(r"\.one_failed-[0-9a-f]{8}|onelight-failed-\w+\.txt")


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a run.

    Parameters
    ----------
    outcomes : list of Outcome
        One for each file; of a run that was stopped, those of the files that had ended.
    seconds : float
        How long it took.
    retries : int
        How often something was tried once more.
    stopped : int
        The exit code of the signal that stopped it, or 0.
    """

    outcomes: list[Outcome]
    seconds: float
    retries: int
    stopped: int = 0

    @property
    def exit_code(self) -> int:
        """The exit code that tells the truth."""
        return self.stopped or run_exit_code(self.outcomes)

    @property
    def failed(self) -> list[Outcome]:
        """What failed."""
        return [outcome for outcome in self.outcomes if outcome.error is not None]

    def counts(self) -> dict[str, int]:
        """Return how many files ended how, and the bytes that were moved."""
        counts = {status.value: 0 for status in Status} | {"bytes": 0}
        for outcome in self.outcomes:
            counts[outcome.status.value] += 1
            counts["bytes"] += outcome.size if outcome.status is Status.DONE else 0
        return counts

    def summary(self) -> dict[str, object]:
        """Return the JSON object that ends a run."""
        ended = {"seconds": round(self.seconds, 3), "retries": self.retries, "exit": self.exit_code}
        stopped = {"stopped": stopping.name_of(self.stopped)} if self.stopped else {}
        return {"action": "summary", "files": len(self.outcomes), **self.counts(), **ended, **stopped}

    def tell(self, verb: str) -> None:
        """Say on stderr what was done, such as ``fetched``."""
        counts = self.counts()
        rate = f", {size_text(counts['bytes'] / self.seconds)}/s" if counts["bytes"] and self.seconds >= 1 else ""
        retries = f"; {retries_text(self.retries)}" if self.retries else ""
        say(
            f"{count(counts['ok'], 'file')} {verb} ({size_text(counts['bytes'])} in {self.seconds:.1f} s{rate}), "
            f"{counts['notneeded']:,} already there, {counts['error']:,} failed{retries}"
        )


def run(verb: str, do: Callable[[Progress], list[Outcome]]) -> Run:
    """Do something that moves files, shown while it goes; Ctrl-C and its like end it in good order.

    Parameters
    ----------
    verb : str
        What it does, such as ``"Downloading"``.
    do : callable
        Does it, and tells the one it is given.
    """
    begun = time.monotonic()
    stopped = 0
    with watch(verb) as meter:
        try:
            outcomes = do(meter)
        except KeyboardInterrupt as error:
            stopped = stopping.exit_code(error)
            outcomes = [outcome for outcome in meter.outcomes() if not isinstance(outcome.error, Interrupted)]
    return Run(outcomes, time.monotonic() - begun, meter.retries, stopped)


def tell_stop(ran: Run, all_files: int, verb: str, command: str) -> None:
    """Say what a run that was stopped left undone, and the command that goes on."""
    left = count(all_files - len(ran.outcomes), "file")
    say(f"stopped by {stopping.name_of(ran.stopped)}: {left} not {verb}; what came of them is kept")
    say_command("continue with", command)


def read_list(name: str) -> list[str]:
    """Return the lines of a list of paths that are not blank; ``-`` is standard input."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).expanduser().read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{name} is not a list of paths: it is not UTF-8 text"
        raise click.UsageError(msg) from error
    except OSError as error:
        msg = f"{name} cannot be read: {error.strerror}"
        raise click.UsageError(msg) from error
    return [line.strip() for line in text.split("\n") if line.strip()]


def keep_list(asked: Iterable[str], paths: Iterable[str], folder: Path, source: str | None) -> Path | None:
    """Write a list of paths for ``--from-file``, and return where; None if no disk takes it.

    The same question has the same list, so that there is one of each; a run that goes well removes it
    (:func:`drop_list`).

    Parameters
    ----------
    asked : iterable of str
        Every path of the run.
    paths : iterable of str
        Those of the list.
    folder : Path
        The data folder, where the list goes if that can be written.
    source : str, optional
        The list that the run was given. One that was written here is written anew.
    """
    content = "".join(f"{path}\n" for path in paths)
    target = _own_list(asked, folder, source)
    temporary = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(content, encoding="utf-8", errors="surrogateescape")
        temporary.replace(target)
    except OSError:  # the disk that was to get the data may be the very thing that failed
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        try:
            handle, name = tempfile.mkstemp(prefix="onelight-failed-", suffix=".txt")
            with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(content)
        except OSError:
            return None
        return Path(name)
    return target


def drop_list(asked: Iterable[str], folder: Path, source: str | None) -> None:
    """Remove the list of what failed, because nothing of it is left to be done."""
    target = _own_list(asked, folder, source)
    with contextlib.suppress(OSError):
        if target.is_file():
            target.unlink()
            if source is not None:
                say(f"nothing is left of {target}; it was removed")


def _own_list(asked: Iterable[str], folder: Path, source: str | None) -> Path:
    if source is not None and _OWN_LIST.fullmatch(Path(source).name):
        return Path(source).expanduser().absolute()
    key = hashlib.md5("\n".join(sorted(asked)).encode("utf-8", "surrogateescape")).hexdigest()
    return folder / f".one_failed-{key[:8]}"
