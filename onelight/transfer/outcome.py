"""What came of each file, and how a run tells of itself while it goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from onelight.errors import OneError


class Verified(str, Enum):
    """How sure it is that a file is what the repository holds."""

    MD5 = "md5"
    """Size and md5 agree with what the index or the server states."""
    SIZE = "size"
    """The size agrees; nobody states an md5."""
    SOURCE = "source"
    """It is the repository's own file, in a local folder."""
    NOTHING = "no"
    """Nobody states a size or an md5."""


class Status(str, Enum):
    """What was done with a file."""

    DONE = "ok"
    """It was transferred."""
    KEPT = "notneeded"
    """It was there already, whole."""
    FAILED = "error"
    """It could not be transferred; nothing wrong stands under its name."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file.

    Parameters
    ----------
    path : str
        Path relative to the data folder.
    target : Path
        The local file.
    status : Status
        What was done.
    size : int
        Bytes of the file.
    verified : Verified
        How far it was compared.
    error : OneError, optional
        Why it failed.
    resumed_from : int
        Bytes that an earlier run had already brought.
    """

    path: str
    target: Path
    status: Status
    size: int = 0
    verified: Verified = Verified.NOTHING
    error: OneError | None = None
    resumed_from: int = 0


class Progress(Protocol):
    """Somebody who watches a run. Called from several threads."""

    def begin(self, files: int, size: int) -> None:
        """Learn that the run begins, with so many files and bytes to transfer."""

    def start(self, path: str, size: int | None) -> None:
        """Learn that a file begins."""

    def advance(self, path: str, count: int) -> None:
        """Learn that bytes of a file moved; negative where some have to be fetched again."""

    def again(self, path: str, reason: str, wait: float) -> None:
        """Learn that a file is tried once more after a pause of so many seconds, and why in one line."""

    def finish(self, outcome: Outcome) -> None:
        """Learn that a file ended, one way or the other."""


class Silent:
    """Nobody watches."""

    def begin(self, files: int, size: int) -> None:
        """Do nothing."""

    def start(self, path: str, size: int | None) -> None:
        """Do nothing."""

    def advance(self, path: str, count: int) -> None:
        """Do nothing."""

    def again(self, path: str, reason: str, wait: float) -> None:
        """Do nothing."""

    def finish(self, outcome: Outcome) -> None:
        """Do nothing."""


def raise_failures(outcomes: Iterable[Outcome]) -> None:
    """Raise the first error among outcomes, saying how many more there are."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed and failed[0].error is not None:
        error = failed[0].error
        if len(failed) > 1:
            error.message += f" (and {len(failed) - 1} more files failed)"
        raise error
