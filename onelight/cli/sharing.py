"""Commands that share data: upload, publish, index."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onelight.cli.output import (
    count,
    emit,
    jobs_option,
    outcome_row,
    repository_option,
    say,
    say_command,
    shared_options,
    size_text,
    tell_failures,
)
from onelight.cli.scanning import scan, tell_problems

if TYPE_CHECKING:
    from onelight.api import UploadPlan

__all__ = ["index", "publish", "scan", "upload"]

_ROOT = click.argument("root", type=click.Path(path_type=Path))
_PARTIAL = click.option("--allow-partial", is_flag=True, help="Leave out what is not ALF instead of refusing.")


@click.command(short_help="Send a local folder to the current repository.")
@_ROOT
@click.option("--dry-run", is_flag=True, help="Only say what would be sent, and what there is room for.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="Send at most N files, to try it out; the index then has what is there.",
)
@_PARTIAL
@jobs_option
@repository_option
@shared_options
def upload(
    root: Path,
    dry_run: bool,
    limit: int | None,
    allow_partial: bool,
    jobs: int | None,
    repository: str | None,
    as_json: bool,
) -> int:
    """Send every dataset below ROOT that the repository does not have, then the index, .one_root.

    Each file is compared with the checksum that the repository makes of it. Readers see the new index only when every
    file has arrived. Interrupted at any point, the same command sends what is missing and nothing twice.

    \b
    Examples:
      onelight upload /path/to/dataroot --dry-run
      onelight upload /path/to/dataroot
    """
    import shlex

    from onelight.api import One
    from onelight.cli.runs import run, tell_stop

    one = One(repository)
    plan = one.plan_upload(root, limit=limit, allow_partial=allow_partial)
    tell_problems(plan.scan.problems, as_json=as_json)
    _tell_plan(plan, dry_run=dry_run)
    if dry_run:
        for step in plan.puts:
            row = {"action": "upload", "path": step.entry.path, "status": "planned", "bytes": step.entry.size}
            emit(row | {"why": step.why}, step.entry.path, as_json=as_json)
        return 0
    ran = run("Uploading", lambda watcher: one.run_upload(plan, parallel=jobs, progress=watcher))
    outcomes = ran.outcomes
    for outcome in outcomes:
        if as_json or outcome.status.value == "ok":
            emit(outcome_row("upload", outcome), outcome.path, as_json=as_json)
    code = ran.exit_code
    is_whole = not ran.failed and not ran.stopped
    ran.tell("sent")
    unsure = sum(outcome.status.value == "ok" and outcome.verified.value != "md5" for outcome in outcomes)
    if unsure:
        code = code or 5  # nothing is wrong yet, and nothing is sure
        say(f"  {count(unsure, 'file')} not confirmed by the repository yet; run the same command again later")
    if as_json:
        emit(ran.summary() | {"index": is_whole, "exit": code}, "", as_json=True)
    if ran.failed or len(outcomes) < len(plan.steps):
        say("the index was not written: readers see what they saw before")
    elif ran.stopped:
        say("every file was sent; whether the index was written is not known")
    options = [*(["--allow-partial"] if allow_partial else []), *(["-R", repository] if repository else [])]
    command = shlex.join(["onelight", "upload", str(root), *options])
    tell_failures(outcomes)
    if ran.stopped:
        tell_stop(ran, len(plan.steps), "sent", command)
    elif ran.failed:
        say_command("send only what failed", command)
    return code


def _tell_plan(plan: UploadPlan, *, dry_run: bool) -> None:
    puts = plan.puts
    size = sum(step.entry.size or 0 for step in puts)
    verb = "dry run: would send" if dry_run else "sending"
    say(f"{verb} {len(puts):,} of {count(len(plan.scan.index), 'file')}, {size_text(size)}")
    if plan.elsewhere:
        say(f"  {count(plan.elsewhere, 'stored file')} not in this folder; they stay in the repository and its index")
    room = plan.room
    if room.bytes_left is not None:
        say(f"  room for {size_text(room.bytes_left)}" + _largest(room.largest_file))
    if puts and room.files_left is not None and len(puts) + 1 > room.files_left:
        say(f"  note: {room.soft}; it has room for {max(room.files_left, 0):,} more")


def _largest(size: int | None) -> str:
    return f", files of up to {size_text(size)}" if size is not None else ""


@click.command(short_help="Make the current repository public, for ever.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@repository_option
@shared_options
def publish(yes: bool, repository: str | None, as_json: bool) -> int:
    """Publish the draft of a figshare repository, and print its public address.

    This cannot be undone: every later change makes a new version, and the old ones stay. What is still missing is
    told before anything is published. On a terminal you are asked; elsewhere --yes is needed.
    """
    from onelight.api import One
    from onelight.errors import RepositoryError

    one = One(repository)
    missing = one.missing_for_publication()
    if missing:
        raise RepositoryError(
            f"'{one.repository.name}' is not ready to be published; it still needs {', '.join(missing)}",
            hint=f"Nothing was published. Complete the article: {one.repository.address}",
        )
    if not yes:
        if not sys.stdin.isatty():
            msg = "publishing cannot be undone; without a terminal to ask on, say --yes"
            raise click.UsageError(msg)
        say(f"{one.repository.address}: publishing cannot be undone.")
        if not click.confirm("Publish now?", err=True):
            say("nothing was published")
            return 130
    address = one.publish()
    emit({"action": "publish", "status": "ok", "url": address}, address, as_json=as_json)
    return 0


@click.command(short_help="Make a folder a repository for any web server.")
@_ROOT
@click.option("--base-url", metavar="URL", default="", help="Address at which ROOT will be served.")
@_PARTIAL
@shared_options
def index(root: Path, base_url: str, allow_partial: bool, as_json: bool) -> None:
    """Write ROOT/.one_root, so that the folder can be read through any web server, and print its path.

    Without --base-url the index has paths only and works wherever the folder is served; with it, every row has the
    full address of its file.

    \b
    Example:
      onelight index /path/to/dataroot
      onelight add-repo my_lab --http https://example.org/dataroot
    """
    from onelight.api import write_index

    target, found = write_index(root, base_url=base_url, allow_partial=allow_partial)
    tell_problems(found.problems, as_json=as_json)
    row = {"action": "index", "file": str(target), "sessions": len(found.sessions), "datasets": len(found.index)}
    emit(row, str(target), as_json=as_json)
    say(f"{count(len(found.sessions), 'session')}, {count(len(found.index), 'dataset')}, {size_text(found.size)}")
