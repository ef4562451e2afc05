"""The command that looks through a local folder: scan."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onelight.cli.errors import visible
from onelight.cli.output import count, emit, say, shared_options, size_text

if TYPE_CHECKING:
    from onelight.folder import Problem, Walk

_MOST_NOTES = 20
#: Lines are written together, so many or after so many seconds: a write for each would take longer than the scan.
_MOST_LINES, _SECONDS = 2000, 0.1


@click.command(short_help="What of a local folder would be shared.")
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--sessions-only", is_flag=True, help="Print sessions instead of files.")
@click.option("--hash", "with_md5", is_flag=True, help="Read every file and print its md5, as md5sum does.")
@shared_options
def scan(root: Path, sessions_only: bool, with_md5: bool, as_json: bool) -> int:
    """Print every dataset below ROOT, one per line; say on stderr what is not ALF, why, and what the right form is.

    ROOT is the folder that holds LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER/. Nothing is changed, nothing is sent. The
    exit code is 1 if something in the folder could not be shared. Names that are shared and that other programs may
    not read are noted with the nearest right name; --json has all of them.

    Lines are sorted by path and appear as files are found. With --hash a file that was read before and not touched
    since is not read again; `md5sum -c` understands what is printed. A file that cannot be read, or that changes
    meanwhile, is told at the end, and the exit code is 1.

    \b
    Examples:
      onelight scan /path/to/dataroot
      onelight scan /path/to/dataroot --hash > /tmp/dataroot.md5
    """
    from onelight.folder import Walk

    if sessions_only and with_md5:
        msg = "--hash is about files, and --sessions-only prints none"
        raise click.UsageError(msg)
    walk = Walk(root.expanduser())
    printed = _Printed()
    unread: list[Problem] = []
    try:
        if with_md5:
            unread = _print_md5s(walk, root.expanduser(), printed, as_json=as_json)
        else:
            _print_names(walk, printed, sessions_only=sessions_only, as_json=as_json)
    finally:
        printed.flush()
    problems = walk.problems
    tell_problems(problems, as_json=as_json)
    tell_problems(unread, "not read", as_json=as_json)
    _tell_remarks(walk.remarks, as_json=as_json)
    say(
        f"{count(printed.sessions, 'session')}, {count(printed.files, 'dataset')}, {size_text(printed.bytes)}"
        + (f"; {count(walk.ignored, 'hidden or system file')} left out" if walk.ignored else "")
        + (f"; {_things(problems)} not ALF" if problems else "")
        + (f"; {count(len(unread), 'file')} not read" if unread else "")
    )
    return 1 if problems or unread else 0


def _things(problems: Iterable[Problem]) -> str:
    """Return how many files, links and so on there are problems with; a root without a session is one thing."""
    number = max(1, sum(problem.files for problem in problems))
    return f"{count(number, 'thing')} {'is' if number == 1 else 'are'}"


def _print_names(walk: Walk, printed: _Printed, *, sessions_only: bool, as_json: bool) -> None:
    for prefix, names, sizes in walk.blocks():
        is_new = printed.count(prefix, len(names), sum(map(sizes.__getitem__, names)))
        session = printed.session
        if sessions_only:
            lines = ([json.dumps({"session": session})] if as_json else [session]) if is_new else []
        elif as_json:
            lines = [_row(prefix + name, session, sizes[name]) for name in names]
        else:
            lines = [prefix + name for name in names]
        printed.add(lines)


def _print_md5s(walk: Walk, root: Path, printed: _Printed, *, as_json: bool) -> list[Problem]:
    """Print the md5 of every dataset, say at the end how many were read for it, and return what could not be."""
    from onelight.config import default_folder
    from onelight.folder import Problem
    from onelight.hashes import HASHES_NAME, Hashes

    unread: list[tuple[str, str]] = []
    # Closed here, and not when somebody has let go of the error that ended it.
    with Hashes(default_folder() / HASHES_NAME) as hashes, closing(hashes.rows(root, walk.pairs(), unread)) as rows:
        for path, size, md5 in rows:
            printed.count(path, 1, size)
            printed.add([_row(path, printed.session, size, md5=md5) if as_json else f"{md5}  {path}"])
    say(f"{count(hashes.read, 'file')} read, {hashes.kept:,} known from before")
    return [Problem(path, reason) for path, reason in unread]


def _row(path: str, session: str, size: int, **more: str) -> str:
    return json.dumps({"path": path, "session": session, "bytes": size, **more})


class _Printed:
    """What was printed: in blocks, the first line at once, no other later than a moment after the next was found."""

    def __init__(self) -> None:
        self.files = self.sessions = self.bytes = 0
        self.session = ""
        self._waiting: list[str] = []
        self._due = 0.0
        self._is_terminal = sys.stdout is not None and sys.stdout.isatty()

    def count(self, path: str, files: int, size: int) -> bool:
        """Count files of one session, and tell whether they are its first."""
        self.files += files
        self.bytes += size
        if self.sessions and path.startswith(self.session + "/"):
            return False
        self.session = "/".join(path.split("/", 5)[:5])
        self.sessions += 1
        return True

    def add(self, lines: list[str]) -> None:
        """Print lines, soon."""
        self._waiting += lines
        if len(self._waiting) >= _MOST_LINES or time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Print what waits."""
        if self._waiting:
            # As it is for a program, and without tricks for a person at a terminal.
            shown = [visible(line) for line in self._waiting] if self._is_terminal else self._waiting
            self._waiting = []
            click.echo("\n".join(shown))
        self._due = time.monotonic() + _SECONDS


def tell_problems(problems: Iterable[Problem], what: str = "not ALF", *, as_json: bool) -> None:
    """Say what in a folder cannot be shared, or cannot be read."""
    for problem in problems:
        if as_json:
            _emit_row("error", problem)
        say(f"{what}: {problem}")


def _tell_remarks(remarks: Sequence[Problem], *, as_json: bool) -> None:
    for number, remark in enumerate(remarks):
        if as_json:
            _emit_row("note", remark)
        if number < _MOST_NOTES:
            say(f"note: {remark}")
    if len(remarks) > _MOST_NOTES:
        say(f"note: and {len(remarks) - _MOST_NOTES:,} more")


def _emit_row(status: str, problem: Problem) -> None:
    row: dict[str, Any] = {"status": status, "path": problem.path, "message": problem.reason, "files": problem.files}
    emit(row, "", as_json=True)
