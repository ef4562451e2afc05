"""Commands about what the public sees: status, publish, unpublish, cite."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onelight.cli.output import count, emit, repository_option, say, shared_options

if TYPE_CHECKING:
    from onelight.description import Description, Difference
    from onelight.repository import Repository
    from onelight.transfer import Compared

_HOW_TO_COMPLETE = (
    "Nothing was published. `onelight upload` sends files, and `onelight metadata push` sets what an article says of"
    " itself; its page is "
)
_ROOT = click.argument("root", type=click.Path(path_type=Path), required=False)


@click.command(short_help="Compare a local folder, the repository, and what is public.")
@_ROOT
@click.option("--all", "show_all", is_flag=True, help="Print also what is the same everywhere.")
@repository_option
@shared_options
def status(root: Path | None, show_all: bool, repository: str | None, as_json: bool) -> int:
    """Compare ROOT with the repository, and the repository with what is public, by size and md5.

    Prints a line for each file that differs, with a sign for ROOT and one for the public: = the same, + only here (not
    in the repository; not public), - only there, * differs, ! broken, . not compared. Without ROOT only the second is
    looked at. The exit code is 0 only if nothing differs.

    \b
    Examples:
      onelight status /path/to/dataroot
      onelight status --json
    """
    from onelight.api import One

    one = One(repository)
    rows = one.status(root)
    for row in rows:
        if show_all or not row.is_clean:
            local, public = (mark.value if mark is not None else "." for mark in (row.local, row.public))
            fields = {"path": row.path, "local": row.local, "public": row.public, "why": row.why or None}
            why = f"  ({row.why})" if row.why else ""
            emit({"action": "status", **fields}, f"{local}{public} {row.path}{why}", as_json=as_json)
    wrong = [row for row in rows if not row.is_clean]
    if root is not None and (problems := one.scan(root).problems):
        say(f"{count(len(problems), 'thing')} in {root} not ALF, and not compared: onelight scan {root}")
    _tell(rows, root, one.repository.name, has_public=one.repository.kind == "figshare")
    if as_json:
        emit(
            {"action": "summary", "files": len(rows), "differ": len(wrong), "exit": int(bool(wrong))}, "", as_json=True
        )
    return int(bool(wrong))


def _tell(rows: list[Compared], root: Path | None, name: str, *, has_public: bool) -> None:
    words = {"=": "the same", "+": "only here", "-": "only there", "*": "different", "!": "broken"}
    if root is not None or any(row.local is not None for row in rows):
        marks = Counter(row.local.value for row in rows if row.local is not None)
        say(f"{root or ('draft' if has_public else 'its index')} against '{name}': {_counts(marks, words)}")
    marks = Counter(row.public.value for row in rows if row.public is not None)
    if marks:
        words |= {"+": "not public", "-": "public only"}
        say(f"'{name}' against what is public: {_counts(marks, words)}")
    elif has_public:
        say(f"nothing of '{name}' is public yet")
    elif root is None and not any(row.local is not None for row in rows):
        say(f"'{name}': {len(rows):,} files, all of them in its index")


def _counts(marks: Counter[str], words: dict[str, str]) -> str:
    return ", ".join(f"{marks[sign]:,} {word}" for sign, word in words.items() if marks[sign]) or "nothing"


@click.command(short_help="Make the current repository public, for ever.")
@_ROOT
@click.option("--yes", is_flag=True, help="Do not ask.")
@repository_option
@shared_options
def publish(root: Path | None, yes: bool, repository: str | None, as_json: bool) -> int:
    """Publish the draft of a figshare repository, and print its public address, DOI and version.

    This cannot be undone: every later change makes a new version, and the old ones stay. What is still missing is
    told before anything is published, and so is what becomes public by it. With ROOT nothing is published unless the
    repository holds exactly what is in that folder. On a terminal you are asked; elsewhere --yes is needed.
    """
    from onelight.api import One
    from onelight.errors import RepositoryError

    one = One(repository)
    missing = one.missing_for_publication()
    if missing:
        raise RepositoryError(
            f"'{one.repository.name}' is not ready to be published; it still needs {', '.join(missing)}",
            hint=_HOW_TO_COMPLETE + one.repository.address,
        )
    rows = one.status(root)
    wrong = [row for row in rows if row.local is not None and row.local.value != "="]
    if wrong:
        again = f"onelight status {root}" if root is not None else "onelight status"
        raise RepositoryError(
            f"'{one.repository.name}' is not {'what ' + str(root) + ' holds' if root else 'whole'}:"
            f" of {count(len(wrong), 'file')} that is not so, the first is {wrong[0].path} ({wrong[0].why})",
            hint=f"Nothing was published. See all of it: {again}; `onelight upload` makes it so, with --delete where"
            " a file is only in the repository",
        )
    _tell_difference(rows, one.unpublished(), one.repository.name)
    _tell_what(one.description(), one.repository)
    if not yes:
        if not sys.stdin.isatty():
            msg = "publishing cannot be undone; without a terminal to ask on, say --yes"
            raise click.UsageError(msg)
        say(f"{one.repository.address}: publishing cannot be undone. A version stays for ever, with its files and DOI.")
        if not click.confirm("Publish now?", err=True):
            say("nothing was published")
            return 130
    published = one.publish()
    fields = {"url": published.address, "doi": published.doi, "version": published.version}
    emit({"action": "publish", "status": "ok", **fields}, published.address, as_json=as_json)
    if published.version:
        say(f"version {published.version}, DOI {published.doi or '(none yet)'}; cite it: onelight cite")
    if not published.is_visible:
        say("the public page does not answer yet: a review by the institution, or figshare is slow. Look again later")
        return 5
    return 0


def _tell_what(description: Description, repository: Repository) -> None:
    """Say what it is that will stay for ever, before it does."""
    names = ", ".join(author.name for author in description.authors)
    say(f"  {description.title}; {names}; {description.license or 'CC BY 4.0'}")
    parts = getattr(repository, "articles", [repository.address])
    if len(parts) > 1:
        say(f"  {count(len(parts), 'article')}: {', '.join(parts)}")


def _tell_difference(rows: list[Compared], said: list[Difference], name: str) -> None:
    """Say what becomes public, compared with the last version."""
    marks = Counter(row.public.value for row in rows if row.public is not None)
    if not marks:
        say(f"the first version of '{name}', with {count(len(rows), 'file')}")
        return
    changes = {"+": "new", "*": "changed", "-": "gone", "=": "the same"}
    told = ", ".join(f"{marks[sign]:,} {word}" for sign, word in changes.items())
    say(f"compared with the last version of '{name}': {told}")
    for difference in said:
        say(f"  {difference.field}: {difference.there!r} becomes {difference.here!r}")
    if not any(marks[sign] for sign in "+*-") and not {one.field for one in said} & {"title", "authors", "license"}:
        say("no file, title, author or licence has changed: that makes no new version, it changes the last one")


@click.command(short_help="Why what is public stays public, and what can be done.")
@repository_option
@shared_options
def unpublish(repository: str | None, as_json: bool) -> int:
    """Say why nothing that was published can be taken back, and what can be done instead.

    Nothing is asked of figshare: it refuses this to everyone but its own staff and the administrators of portals.
    """
    from onelight.config import Config
    from onelight.errors import ReadOnlyRepository

    settings = Config.load().repository(repository)
    name = settings.name
    if settings.kind != "figshare":
        raise ReadOnlyRepository(
            f"the repository '{name}' is of type {settings.kind}: nothing of it was published",
            hint="Who may read the place it is in sees what is there: remove it there",
        )
    say(f"what was published of '{name}' stays public: figshare keeps every version, with its files and its DOI.")
    say("  A new version without a file hides it from the newest one: remove it from your folder, then")
    say("    onelight upload ROOT --delete")
    say("    onelight publish ROOT")
    say("  To take a version down, for legal or ethical reasons, write to figshare's support or to the administrators")
    say("  of your portal; they can, and leave a page that says so under the DOI.")
    row = {"action": "unpublish", "status": "impossible", "message": "figshare keeps every version", "exit": 4}
    emit(row, "nothing was changed", as_json=as_json)
    return 4


@click.command(short_help="How the current repository is cited.")
@click.option("--bibtex", is_flag=True, help="Print the entry for BibTeX only.")
@repository_option
@shared_options
def cite(bibtex: bool, repository: str | None, as_json: bool) -> None:
    """Print the citation of a figshare repository, and its entry for BibTeX.

    \b
    Example:
      onelight cite --bibtex >> references.bib
    """
    from onelight.api import One

    found = One(repository).cite()
    text = found.bibtex if bibtex else f"{found.text}\n\n{found.bibtex}"
    emit({"text": found.text, "bibtex": found.bibtex}, text.rstrip("\n"), as_json=as_json)
