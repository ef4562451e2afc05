"""Commands that use data: search, list, download."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onelight.cli.output import (
    count,
    emit,
    jobs_option,
    outcome_row,
    repository_option,
    run_exit_code,
    say,
    shared_options,
    size_text,
    table,
    tell_failures,
)

if TYPE_CHECKING:
    from onelight.api import DownloadPlan, One
    from onelight.transfer import Outcome


@click.command(short_help="Sessions, all or those that have some datasets.")
@click.argument("datasets", metavar="[DATASET]...", nargs=-1)
@click.option("--lab", multiple=True, help="Whole name, * for any text; may be given several times.")
@click.option("--subject", multiple=True, help="The same for the subject.")
@click.option("--date", multiple=True, metavar="YYYY-MM-DD", help="The same for the date, such as '2016-12-*'.")
@click.option("--number", multiple=True, help="Number of the session on its day; 1 and 001 are the same.")
@repository_option
@shared_options
def search(
    datasets: tuple[str, ...],
    lab: tuple[str, ...],
    subject: tuple[str, ...],
    date: tuple[str, ...],
    number: tuple[str, ...],
    repository: str | None,
    as_json: bool,
) -> None:
    """Print the sessions of the current repository, one per line.

    A DATASET is an object (spikes), a dataset type (spikes.times) or a file name (spikes.times.npy), each with * for
    any text. A session must have all that are given.

    \b
    Examples:
      onelight search
      onelight search spikes.times spikes.clusters
      onelight search trials --subject 'Co*' --date 2016-12-14
    """
    from onelight.api import One

    one = One(repository)
    found = one.search(datasets, lab=lab or None, subject=subject or None, date=date or None, number=number or None)
    for session in found:
        emit({"session": session}, session, as_json=as_json)
    say(f"{count(len(found), 'session')} in '{one.repository.name}' ({one.repository.address})")
    if not found:
        _say_what_there_is(one)


def _say_what_there_is(one: One) -> None:
    terms = one.search_terms()
    objects = sorted({name.partition(".")[0] for name in terms.dataset_types})
    if objects:
        say(f"It has the objects {', '.join(objects)}; the subjects {', '.join(terms.subject)}")


@click.command("list", short_help="What a session holds.")
@click.argument("session")
@repository_option
@shared_options
def list_(session: str, repository: str | None, as_json: bool) -> None:
    """Print the dataset types of a session, one per line; with --json one object for each file.

    SESSION is lab/Subjects/subject/date/number, as search prints it.

    \b
    Example:
      onelight list nicklab/Subjects/Cori/2016-12-14/001
    """
    from onelight.api import One

    one = One(repository)
    entries = one.entries(session)
    if as_json:
        for entry in entries:
            row = {"session": entry.session, "path": entry.path, "dataset": entry.dataset and entry.dataset.type}
            emit(row | {"bytes": entry.size, "md5": entry.md5}, "", as_json=True)
    else:
        for name in one.list(session):
            click.echo(name)
    sizes = [entry.size for entry in entries if entry.size is not None]
    collections = sorted({entry.dataset.collection for entry in entries if entry.dataset})
    total = f", {size_text(sum(sizes))}" if sizes else ""
    say(f"{count(len(entries), 'file')}{total} in {', '.join(collections)}")


@click.command(short_help="Fetch a session, or one object of it.")
@click.argument("session")
@click.argument("dataset", metavar="[OBJECT]", required=False)
@click.option("--dry-run", is_flag=True, help="Only say what would be fetched.")
@click.option("--output", metavar="DIR", type=click.Path(path_type=Path), help="Folder for the data.")
@jobs_option
@repository_option
@shared_options
def download(
    session: str,
    dataset: str | None,
    dry_run: bool,
    output: Path | None,
    jobs: int,
    repository: str | None,
    as_json: bool,
) -> int:
    """Fetch the files of a session and print where they are, one per line.

    OBJECT is an object (spikes), a dataset type (spikes.times) or a file name; without it, everything is fetched.
    Every file is compared with the size and md5 that the repository states before it gets its name. What is there
    already is kept; an interrupted download, run again, continues.

    \b
    Examples:
      onelight download nicklab/Subjects/Cori/2016-12-14/001 spikes
      onelight download nicklab/Subjects/Cori/2016-12-14/001 --dry-run
    """
    import shlex

    from onelight.api import One
    from onelight.cli.progress import watch

    one = One(repository)
    plan = one.plan_download(session, dataset, output=output)
    if dry_run:
        _show_plan(plan, as_json=as_json)
        return 0
    begun = time.monotonic()
    with watch("Downloading") as progress:
        outcomes = one.run_download(plan, parallel=jobs, progress=progress)
    for outcome in outcomes:
        if outcome.error is None or as_json:
            emit(outcome_row("download", outcome), str(outcome.target), as_json=as_json)
    seconds = time.monotonic() - begun
    code = run_exit_code(outcomes)
    _summarise(outcomes, seconds)
    if as_json:
        summary = {"action": "summary", "files": len(outcomes), "seconds": round(seconds, 3), "exit": code}
        emit(summary | _counts(outcomes), "", as_json=True)
    command = ["onelight", "download", session, *([dataset] if dataset else [])]
    command += [*(["--output", str(output)] if output else []), *(["-R", repository] if repository else [])]
    tell_failures(outcomes, shlex.join(command))
    return code


def _show_plan(plan: DownloadPlan, *, as_json: bool) -> None:
    import shutil

    fetches = plan.fetches
    for step in fetches:
        row = {"action": "download", "path": step.entry.path, "file": str(step.target), "status": "planned"}
        emit(row | {"bytes": step.entry.size, "why": step.why}, str(step.target), as_json=as_json)
    known = sum(step.entry.size or 0 for step in fetches)
    unknown = sum(step.entry.size is None for step in fetches)
    existing = next(folder for folder in (plan.folder, *plan.folder.parents) if folder.is_dir())
    sizes = size_text(known) + (f" and {count(unknown, 'file')} of unknown size" if unknown else "")
    free = size_text(shutil.disk_usage(existing).free)
    say(f"dry run: would fetch {len(fetches):,} of {count(len(plan.steps), 'file')}, {sizes} (free: {free})")
    if fetches:
        rows = [
            (step.entry.below, "?" if step.entry.size is None else size_text(step.entry.size), step.why)
            for step in fetches
        ]
        table(("FILE", "SIZE", "WHY"), rows)


def _counts(outcomes: list[Outcome]) -> dict[str, int]:
    counts = {"ok": 0, "notneeded": 0, "error": 0, "bytes": 0}
    for outcome in outcomes:
        counts[outcome.status.value] += 1
        counts["bytes"] += outcome.size if outcome.status.value == "ok" else 0
    return counts


def _summarise(outcomes: list[Outcome], seconds: float) -> None:
    counts = _counts(outcomes)
    say(
        f"{count(counts['ok'], 'file')} fetched ({size_text(counts['bytes'])} in {seconds:.1f} s), "
        f"{counts['notneeded']:,} already there, {counts['error']:,} failed"
    )
    sure = {
        "size": "compared by size only: the repository states no md5",
        "no": "not verified: nobody states size or md5",
    }
    for verified, words in sure.items():
        number = sum(outcome.error is None and outcome.verified.value == verified for outcome in outcomes)
        if number:
            say(f"  {count(number, 'file')} {words}")
