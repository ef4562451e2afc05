"""The command that copies from one repository to another: copy."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from onelight.cli.output import (
    completed,
    count,
    emit,
    jobs_option,
    outcome_row,
    say,
    say_command,
    seconds_text,
    shared_options,
    size_text,
    tell_failures,
)

if TYPE_CHECKING:
    from onelight.api.copying import Copied, CopyPlan
    from onelight.cli.runs import Run
    from onelight.transfer import Outcome, Progress


@click.command(short_help="Copy a repository, or sessions of it, to another one.")
@click.argument("source", metavar="REPO1", shell_complete=completed("repository"))
@click.argument("target", metavar="REPO2", shell_complete=completed("repository"))
@click.argument("sessions", metavar="[SESSION]...", nargs=-1, shell_complete=completed("session"))
@click.option(
    "--from-file",
    metavar="FILE",
    help="Copy what this list names, one path or session a line; - is stdin.",
    shell_complete=completed("file"),
)
@click.option("--dry-run", is_flag=True, help="Only say what would be copied, and what there is room for.")
@click.option("--spread", is_flag=True, help="figshare: make further articles where one does not take all files.")
@click.option("--verify", is_flag=True, help="Read back what is sent, where REPO2 compares no checksum itself.")
@jobs_option
@shared_options
def copy(
    source: str,
    target: str,
    sessions: tuple[str, ...],
    from_file: str | None,
    dry_run: bool,
    spread: bool,
    verify: bool,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Copy what REPO1 has and REPO2 does not, of any kind to any kind, and then write the index of REPO2.

    Each file is compared with the size and md5 that REPO1 states, and again with the md5 that REPO2 makes of it, or
    with its size where that makes none (--verify). What is there with the same size and md5 is not fetched. What else
    REPO2 holds stays there. This disk needs room for the files that are on their way, and not for the repository.
    Interrupted at any point, the same command goes on.

    \b
    Examples:
      onelight copy steinmetz my_server --dry-run
      onelight copy steinmetz my_disk nicklab/Subjects/Cori/2016-12-14/001
      onelight search trials -R my_disk | onelight copy my_disk my_figshare --from-file -
    """
    from onelight.api.copying import Copied, copying_folder, plan_copy, run_copy
    from onelight.cli.runs import drop_list, read_list, run, tell_stop

    if sessions and from_file is not None:
        msg = "give sessions, or a list with --from-file; one of the two"
        raise click.UsageError(msg)
    names = read_list(from_file) if from_file is not None else list(sessions)
    if from_file is not None and not names:
        msg = f"{from_file} names nothing to copy"
        raise click.UsageError(msg)
    plan = plan_copy(source, target, names or None, spread=spread)
    _tell_plan(plan, dry_run=dry_run)
    if dry_run:
        _emit_plan(plan, as_json=as_json)
        return 0
    done = Copied()

    def do(watcher: Progress) -> list[Outcome]:
        nonlocal done
        done = run_copy(plan, parallel=jobs, progress=watcher, verify=verify)
        return done

    ran = run("Copying", do)
    code = _tell_outcomes(ran, done, plan, as_json=as_json)
    tell_failures(ran.outcomes)
    if ran.failed or len(ran.outcomes) < len(plan.steps):
        say(f"the index of '{target}' was not written: its readers see what they saw before")
    elif ran.stopped:
        say(f"every file was copied; whether the index of '{target}' was written is not known")
    if ran.failed or ran.stopped:
        flags = [flag for flag, is_set in {"--spread": spread, "--verify": verify}.items() if is_set]
        flags += ["-j", str(jobs)] if jobs else []
        again = shlex.join(["onelight", "copy", source, target, *sessions, *_again(names, from_file), *flags])
        if ran.stopped:
            tell_stop(ran, len(plan.steps), "copied", again)
        else:
            say_command("copy only what failed", again)
        return code
    if from_file is not None:
        drop_list(names, copying_folder(), from_file)
    if plan.target.kind == "figshare" and ran.counts()["ok"]:
        say(f"what was copied is a draft: nobody else sees it before `onelight publish -R {shlex.quote(target)}`")
    return code


def _again(names: list[str], from_file: str | None) -> list[str]:
    """Return the option that names the same files again; what came through a pipe is kept for that."""
    from onelight.api.copying import copying_folder
    from onelight.cli.runs import keep_list

    if from_file == "-":
        kept = keep_list(names, names, copying_folder(), None)
        from_file = str(kept) if kept is not None else from_file
    return ["--from-file", from_file] if from_file is not None else []


def _tell_outcomes(ran: Run, done: Copied, plan: CopyPlan, *, as_json: bool) -> int:
    """Print what came of each file and of the whole, and return the exit code."""
    for outcome in ran.outcomes:
        if as_json or outcome.status.value == "ok":
            row = outcome_row("copy", outcome)
            del row["file"]  # it is gone
            emit(row, outcome.path, as_json=as_json)
    code, target = ran.exit_code, plan.target.name
    ran.tell("copied")
    name = plan.source.name
    unsure = {"size": f"compared by size only: '{name}' states no md5", "no": f"not verified: '{name}' states nothing"}
    for verified, words in unsure.items():
        there = (outcome for outcome in ran.outcomes if outcome.error is None and outcome.verified.value == verified)
        number = sum(outcome.path in done.unstated for outcome in there)
        if number:
            say(f"  {count(number, 'file')} {words}")
    if done.by_size:
        say(f"  {count(len(done.by_size), 'file')} compared by size: '{target}' tells no checksum; --verify reads back")
    if done.unconfirmed:
        code = code or 5  # nothing is wrong yet, and nothing is sure
        say(f"  {count(len(done.unconfirmed), 'file')} not confirmed by '{target}' yet; run the same command later")
    if as_json:
        whole = not ran.failed and not ran.stopped
        emit(ran.summary() | {"unconfirmed": len(done.unconfirmed), "index": whole, "exit": code}, "", as_json=True)
    return code


def _emit_plan(plan: CopyPlan, *, as_json: bool) -> None:
    for step in plan.puts:
        row = {"action": "copy", "path": step.entry.path, "status": "planned", "bytes": step.entry.size}
        emit(row | {"why": step.why}, step.entry.path, as_json=as_json)
    if as_json:
        room = plan.room
        summary = {
            "action": "plan",
            **plan.counts,
            "bytes": sum(step.entry.size or 0 for step in plan.puts),
            "unknown": sum(step.entry.size is None for step in plan.puts),
            "bytes_left": room.bytes_left,
            "largest_file": room.largest_file,
            "files_left": room.files_left,
            "requests": room.requests,
            "seconds": room.seconds,
            "notes": list(room.notes),
        }
        emit(summary, "", as_json=True)


def _tell_plan(plan: CopyPlan, *, dry_run: bool) -> None:
    puts, room, counts = plan.puts, plan.room, plan.counts
    unknown = sum(step.entry.size is None for step in puts)
    known = size_text(sum(step.entry.size or 0 for step in puts))
    size = "of unknown size" if unknown and unknown == len(puts) else known
    if 0 < unknown < len(puts):
        size += f" and {count(unknown, 'file')} of unknown size"
    verb = "dry run: would copy" if dry_run else "copying"
    say(f"{verb} {len(puts):,} of {count(len(plan.steps), 'file')}, {size}")
    for word, repository in (("from", plan.source), ("to", plan.target)):
        say(f"  {word} '{repository.name}' ({repository.address})")
    say(f"  {', '.join(f'{counts[name]:,} {name}' for name in ('new', 'changed', 'same'))}")
    if counts["gone"]:
        say(f"  {count(counts['gone'], 'other file')} in '{plan.target.name}' stay there")
    if room.bytes_left is not None:
        files = f", {room.files_left:,} more files" if room.files_left is not None else ""
        say(f"  room for {size_text(max(room.bytes_left, 0))}{files}")
    for note in room.notes:
        say(f"  note: {note}")
    if room.requests and room.seconds:
        say(f"  at least {room.requests:,} requests, {seconds_text(room.seconds)} at the pace that figshare asks for")
