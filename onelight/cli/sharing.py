"""Commands that share data: upload, index."""

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
    seconds_text,
    shared_options,
    size_text,
    tell_failures,
)
from onelight.cli.scanning import tell_problems

if TYPE_CHECKING:
    from onelight.api import UploadPlan
    from onelight.cli.runs import Run

_ROOT = click.argument("root", type=click.Path(path_type=Path))
_PARTIAL = click.option("--allow-partial", is_flag=True, help="Leave out what is not ALF instead of refusing.")
_MOST_SHOWN = 10


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
@click.option("--delete", is_flag=True, help="Remove from the repository what ROOT does not have; asks first.")
@click.option("--spread", is_flag=True, help="figshare: make further articles where one does not take all files.")
@click.option(
    "--pack",
    type=click.Choice(["session"]),
    help="figshare: send each session as one file; readers get single datasets of it all the same.",
)
@click.option("--clean", is_flag=True, help="Remove what broken runs, also of others, have left.")
@click.option("--verify", is_flag=True, help="Read back what is sent, where the server compares no checksum itself.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@jobs_option
@repository_option
@shared_options
def upload(
    root: Path,
    dry_run: bool,
    limit: int | None,
    allow_partial: bool,
    delete: bool,
    spread: bool,
    pack: str | None,
    clean: bool,
    verify: bool,
    yes: bool,
    jobs: int | None,
    repository: str | None,
    as_json: bool,
) -> int:
    """Send every dataset below ROOT that the repository does not have, then the index, .one_root.

    What cannot succeed is said before the first byte is sent: room, files, names. Each file is compared with the
    checksum that the repository makes of it; by its size where that makes none, as most web servers (--verify).
    Readers see the new index only when every file has arrived. Interrupted at any point, the same command sends what is
    missing and nothing twice.

    \b
    Examples:
      onelight upload /path/to/dataroot --dry-run
      onelight upload /path/to/dataroot
      onelight status /path/to/dataroot          the proof that all of it is there
    """
    import shlex

    from onelight.api import One
    from onelight.cli.runs import run, tell_stop

    if delete and (limit is not None or allow_partial):
        msg = "--limit and --allow-partial leave out a part of the folder, and --delete removes what is not in it"
        raise click.UsageError(msg)
    one = One(repository)
    plan = one.plan_upload(
        root,
        limit=limit,
        allow_partial=allow_partial,
        delete=delete,
        spread=spread,
        clean=clean,
        pack=pack is not None,
    )
    tell_problems(plan.scan.problems, as_json=as_json)
    _tell_plan(plan, f"'{one.repository.name}' ({one.repository.address})", dry_run=dry_run)
    if dry_run:
        _emit_plan(plan, as_json=as_json)
        return 0
    if not _may_delete(plan, yes=yes):
        return 130
    ran = run("Uploading", lambda watcher: one.run_upload(plan, parallel=jobs, progress=watcher, verify=verify))
    outcomes = ran.outcomes
    code = _tell_outcomes(ran, plan, as_json=as_json, compares_md5=getattr(one.repository, "compares_md5", True))
    if ran.failed or len(outcomes) < len(plan.steps) - len(plan.drops):
        say("the index was not written: readers see what they saw before")
    elif ran.stopped:
        say("every file was sent; whether the index was written is not known")
    flags = {"--allow-partial": allow_partial, "--delete": delete, "--spread": spread, "--clean": clean}
    flags |= {"--verify": verify, "--yes": yes}
    options = [flag for flag, is_set in flags.items() if is_set]
    options += [
        *(["--limit", str(limit)] if limit else []),
        *(["--pack", pack] if pack else []),
        *(["-R", repository] if repository else []),
    ]
    command = shlex.join(["onelight", "upload", str(root), *options])
    tell_failures(outcomes)
    if ran.stopped:
        tell_stop(ran, len(plan.steps) - len(plan.drops), "sent", command)
    elif ran.failed:
        say_command("send only what failed", command)
    elif one.repository.kind == "figshare" and any(outcome.status.value == "ok" for outcome in outcomes):
        say("what is uploaded is a draft: nobody else sees it before `onelight publish`")
    return code


def _tell_outcomes(ran: Run, plan: UploadPlan, *, as_json: bool, compares_md5: bool) -> int:
    """Print what came of each file and of the whole, and return the exit code."""
    for outcome in ran.outcomes:
        if as_json or outcome.status.value == "ok":
            emit(outcome_row("upload", outcome), outcome.path, as_json=as_json)
    code = ran.exit_code
    is_whole = not ran.failed and not ran.stopped
    ran.tell("sent")
    unsure = sum(outcome.status.value == "ok" and outcome.verified.value != "md5" for outcome in ran.outcomes)
    if unsure and not compares_md5:
        say(f"  {count(unsure, 'file')} compared by size: the server tells no checksum; --verify reads back")
    elif unsure:
        code = code or 5  # nothing is wrong yet, and nothing is sure
        say(f"  {count(unsure, 'file')} not confirmed by the repository yet; run the same command again later")
    if is_whole and plan.drops:
        say(f"  {count(len(plan.drops), 'file')} removed from the repository")
    if is_whole and plan.leftovers and plan.clean:
        say(f"  {count(len(plan.leftovers), 'leftover')} of broken runs removed")
    if as_json:
        emit(ran.summary() | {"index": is_whole, "exit": code}, "", as_json=True)
    return code


def _may_delete(plan: UploadPlan, *, yes: bool) -> bool:
    """List what would be removed and ask; without a terminal to ask on, --yes is needed."""
    if not plan.drops or yes:
        return True
    for step in plan.drops[:_MOST_SHOWN]:
        say(f"  remove {step.entry.path}")
    if len(plan.drops) > _MOST_SHOWN:
        say(f"  and {count(len(plan.drops) - _MOST_SHOWN, 'more file')}; --dry-run lists all of them")
    if not sys.stdin.isatty():
        msg = f"--delete removes {count(len(plan.drops), 'file')}; without a terminal to ask on, say --yes"
        raise click.UsageError(msg)
    if click.confirm(f"Remove {count(len(plan.drops), 'file')} from the repository?", err=True):
        return True
    say("nothing was sent or removed")
    return False


def _emit_plan(plan: UploadPlan, *, as_json: bool) -> None:
    for step in plan.puts:
        row = {"action": "upload", "path": step.entry.path, "status": "planned", "bytes": step.entry.size}
        emit(row | {"why": step.why}, step.entry.path, as_json=as_json)
    for drop in plan.drops:
        row = {"action": "delete", "path": drop.entry.path, "status": "planned", "bytes": drop.entry.size}
        if as_json:
            emit(row | {"why": "not in this folder"}, "", as_json=True)
        else:
            say(f"  remove {drop.entry.path}")
    if as_json:
        room = plan.room
        summary = {
            "action": "plan",
            **plan.counts,
            "bytes": sum(step.entry.size or 0 for step in plan.puts),
            "bytes_left": room.bytes_left,
            "largest_file": room.largest_file,
            "files_left": room.files_left,
            "requests": room.requests,
            "seconds": room.seconds,
            "leftovers": [leftover._asdict() for leftover in plan.leftovers],
            "notes": list(room.notes),
        }
        emit(summary, "", as_json=True)


def _tell_plan(plan: UploadPlan, place: str, *, dry_run: bool) -> None:
    puts, room, counts = plan.puts, plan.room, plan.counts
    size = sum(step.entry.size or 0 for step in puts)
    verb = "dry run: would send" if dry_run else "sending"
    kinds = ", ".join(f"{counts[name]:,} {name}" for name in ("new", "changed", "same", "gone"))
    packs = sum(not isinstance(step.source, Path) for step in puts)
    what = f"{count(packs, 'pack')} of sessions" if packs else f"{len(puts):,} of {count(len(plan.scan.index), 'file')}"
    say(f"{verb} {what}, {size_text(size)}, to {place}")
    say(f"  {kinds}")
    if plan.elsewhere:
        say(f"  {count(plan.elsewhere, 'stored file')} not in this folder; they stay in the repository and its index")
    if room.bytes_left is not None:
        files = f", {room.files_left:,} more files" if room.files_left is not None else ""
        say(f"  room for {size_text(max(room.bytes_left, 0))}{files}{_largest(room.largest_file)}")
    for note in room.notes:
        say(f"  note: {note}")
    if room.requests and room.seconds:
        say(f"  at least {room.requests:,} requests, {seconds_text(room.seconds)} at the pace that figshare asks for")
    for leftover in plan.leftovers[:_MOST_SHOWN]:
        say(f"  left by a broken run: {leftover.path}, {leftover.why}")
    if len(plan.leftovers) > _MOST_SHOWN:
        say(f"  and {count(len(plan.leftovers) - _MOST_SHOWN, 'more leftover')}")
    if plan.leftovers and not plan.clean:
        say("  --clean removes these")


def _largest(size: int | None) -> str:
    return f", the largest of {size_text(size)}" if size is not None else ""


@click.command(short_help="Make a folder a repository for any web server.")
@_ROOT
@click.option("--base-url", metavar="URL", default="", help="Address at which ROOT will be served.")
@click.option("--hash", "md5", is_flag=True, help="With the md5 of each file; what was read before is not read again.")
@_PARTIAL
@shared_options
def index(root: Path, base_url: str, md5: bool, allow_partial: bool, as_json: bool) -> None:
    """Write ROOT/.one_root, so that the folder can be read through any web server, and print its path.

    Beside it go sessions.pqt and datasets.pqt, the tables of ONE-api, with the size of each file, its md5 (--hash), and
    the type and shape of arrays: readers compare what they fetch with them. Without --base-url the index has paths only
    and works wherever the folder is served; with it, every row has the full address of its file.

    \b
    Example:
      onelight index /path/to/dataroot --hash
      onelight add-repo my_lab --http https://example.org/dataroot
    """
    from onelight.api import write_index

    target, found, foreign = write_index(root, base_url=base_url, allow_partial=allow_partial, md5=md5)
    tell_problems(found.problems, as_json=as_json)
    row = {"action": "index", "file": str(target), "sessions": len(found.sessions), "datasets": len(found.index)}
    emit(row | {"foreign": len(foreign)}, str(target), as_json=as_json)
    say(f"{count(len(found.sessions), 'session')}, {count(len(found.index), 'dataset')}, {size_text(found.size)}")
    for one in foreign[:_MOST_SHOWN]:
        say(f"note: ONE-api cannot read {one.path}: {one.reason}")
    if len(foreign) > _MOST_SHOWN:
        say(f"note: nor {count(len(foreign) - _MOST_SHOWN, 'more file')}")
