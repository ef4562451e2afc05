"""What is said beside an answer: warnings and details, to the logger ``onelight`` of Python's ``logging``.

``logging`` takes as long to import as an index needs to answer, and most answers come without a note. So it is
imported with the first one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


class _Log:
    """The logger, as far as it is used here."""

    def __init__(self) -> None:
        self._before: Callable[[], None] | None = None

    def show_with(self, prepare: Callable[[], None]) -> None:
        """Let a function that sets the logger up be called before the first note."""
        if "logging" in sys.modules:
            prepare()
        else:
            self._before = prepare

    def warning(self, message: str, *values: object) -> None:
        """Say something that the user should know."""
        self._say("WARNING", message, values)

    def info(self, message: str, *values: object) -> None:
        """Say something that explains what is going on, to whoever wants to know."""
        self._say("INFO", message, values)

    def _say(self, level: str, message: str, values: tuple[object, ...]) -> None:
        import logging

        if self._before is not None:
            prepare, self._before = self._before, None
            prepare()
        logging.getLogger("onelight").log(getattr(logging, level), message, *values)


log = _Log()
