"""The command that fetches data: download."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onelight.cli.output import (
    Where,
    asking_options,
    completed,
    count,
    emit,
    jobs_option,
    outcome_row,
    parts_options,
    run_exit_code,
    say,
    say_command,
    shared_options,
    size_text,
    table,
    tell_failures,
)

if TYPE_CHECKING:
    from onelight.api import DownloadPlan
    from onelight.cli.runs import Run
    from onelight.transfer import Outcome


@click.command(short_help="Fetch a session, or one object of it.")
@click.argument("session", required=False, shell_complete=completed("session"))
@click.argument("dataset", metavar="[OBJECT]", required=False, shell_complete=completed("dataset"))
@click.option(
    "--from-file",
    metavar="FILE",
    help="Fetch what this list names, one path or session a line; - is stdin.",
    shell_complete=completed("file"),
)
@click.option("--dry-run", is_flag=True, help="Only say what would be fetched, why, and what there is room for.")
@click.option("--output", metavar="DIR", type=click.Path(path_type=Path), help="Folder for the data.")
@parts_options
@jobs_option
@asking_options
@shared_options
def download(
    session: str | None,
    dataset: str | None,
    from_file: str | None,
    dry_run: bool,
    output: Path | None,
    jobs: int | None,
    where: Where,
    as_json: bool,
    **parts: str | None,
) -> int:
    """Fetch the files of a session and print where they are, one per line.

    OBJECT is an object (spikes), a dataset type (spikes.times) or a file name; without it, everything is fetched.
    Of an object comes the newest revision of each dataset; a whole session comes with all of them.
    Every file is compared with the size and md5 that the repository states before it gets its name. What is there
    already is kept; an interrupted download, run again, continues. Ctrl-C ends it in good order, twice at once.
    With --offline what is not here is an error.

    What failed is written to a list, and the last line says the command that fetches only that.

    \b
    Examples:
      onelight download nicklab/Subjects/Cori/2016-12-14/001 spikes
      onelight download nicklab/Subjects/Cori/2016-12-14/001 --dry-run
      onelight search trials | onelight download --from-file -
    """
    from onelight.api import One
    from onelight.cli.runs import read_list, run, tell_stop

    if (session is None) == (from_file is None):
        msg = "give a SESSION, or a list with --from-file; one of the two"
        raise click.UsageError(msg)
    if from_file is not None and any(value is not None for value in parts.values()):
        msg = "a list names its files: --collection and the like do not go with --from-file"
        raise click.UsageError(msg)
    one = where.open(One)
    if from_file is not None:
        plan = one.plan_paths(read_list(from_file), output=output)
    else:
        plan = one.plan_download(str(session), dataset, output=output, **parts)
    if dry_run:
        return _show_plan(plan, as_json=as_json)
    ran = run("Downloading", lambda watcher: one.run_download(plan, parallel=jobs, progress=watcher))
    for outcome in ran.outcomes:
        if outcome.error is None or as_json:
            emit(outcome_row("download", outcome), str(outcome.target), as_json=as_json)
    again = _Again(plan, ran, from_file, one.repository.name, output)
    command = ["onelight", "download", *([session] if session else []), *([dataset] if dataset else [])]
    command += ["--output", str(output)] if output else []
    command += [word for name, value in parts.items() if value is not None for word in (f"--{name}", value)]
    next_ = again.command(command + where.words())
    ran.tell("fetched")
    _tell_how_sure(ran.outcomes)
    if as_json:
        emit(ran.summary() | ({"next": next_} if next_ else {}), "", as_json=True)
    tell_failures(ran.outcomes)
    if ran.stopped:
        tell_stop(ran, len(again.asked), "fetched", next_)
    elif next_:
        say_command("fetch only what failed", next_)
    return ran.exit_code


@dataclass(frozen=True, slots=True)
class _Again:
    """How to go on after a download."""

    plan: DownloadPlan
    ran: Run
    from_file: str | None
    repository: str
    output: Path | None

    @property
    def asked(self) -> list[str]:
        """Every path that was asked for."""
        return [step.entry.path for step in self.plan.steps] + [outcome.path for outcome in self.plan.absent]

    def command(self, same: list[str]) -> str:
        """Return the command that does what is left, with the list that it needs; empty where nothing is left.

        Parameters
        ----------
        same : list of str
            The same command once more, but for the list it was given.
        """
        from onelight.cli.runs import drop_list, keep_list

        if self.ran.stopped and self.from_file != "-":  # what is whole is kept without a request
            return shlex.join(same + (["--from-file", self.from_file] if self.from_file else []))
        good = {outcome.path for outcome in self.ran.outcomes if outcome.error is None}
        left = [path for path in self.asked if path not in good]
        if not left:
            drop_list(self.asked, self.plan.folder, self.from_file)
            return ""
        kept = keep_list(self.asked, left, self.plan.folder, self.from_file)
        if kept is None:
            return shlex.join(same + (["--from-file", self.from_file] if self.from_file else []))
        command = ["onelight", "download", "--from-file", str(kept), "-R", self.repository]
        return shlex.join(command + (["--output", str(self.output)] if self.output else []))


def _show_plan(plan: DownloadPlan, *, as_json: bool) -> int:
    """Say what would be fetched, why, how many bytes that is, and how much room there is for it."""
    import shutil

    fetches = plan.fetches
    for step in fetches:
        row = {"action": "download", "path": step.entry.path, "file": str(step.target), "status": "planned"}
        emit(row | {"bytes": step.entry.size, "why": step.why}, str(step.target), as_json=as_json)
    if as_json:
        for outcome in plan.absent:
            emit(outcome_row("download", outcome), "", as_json=True)
    known = sum(step.entry.size or 0 for step in fetches)
    unknown = sum(step.entry.size is None for step in fetches)
    existing = next(folder for folder in (plan.folder, *plan.folder.parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    code = run_exit_code(plan.absent)
    if fetches:
        rows = [
            (step.entry.below, "?" if step.entry.size is None else size_text(step.entry.size), step.why)
            for step in fetches
        ]
        table(("FILE", "SIZE", "WHY"), rows)
    sizes = size_text(known) + (f" and {count(unknown, 'file')} of unknown size" if unknown else "")
    say(f"dry run: would fetch {len(fetches):,} of {count(len(plan.steps), 'file')}, {sizes}, into {plan.folder}")
    say(f"  room on that disk: {size_text(free)}" + ("; this is not enough" if known > free else ""))
    if as_json:
        summary = {"action": "summary", "dry_run": True, "files": len(fetches), "keep": len(plan.steps) - len(fetches)}
        summary |= {"bytes": known, "unknown": unknown, "folder": str(plan.folder), "free": free, "exit": code}
        emit(summary, "", as_json=True)
    tell_failures(plan.absent)
    return code


def _tell_how_sure(outcomes: list[Outcome]) -> None:
    sure = {
        "size": "compared by size only: the repository states no md5",
        "no": "not verified: nobody states size or md5",
    }
    for verified, words in sure.items():
        number = sum(outcome.error is None and outcome.verified.value == verified for outcome in outcomes)
        if number:
            say(f"  {count(number, 'file')} {words}")
