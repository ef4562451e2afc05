"""Commands that keep house: cache dir, cache list, cache verify, cache gc."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from onelight.api import One
    from onelight.cli.runs import Run
    from onelight.config import Settings
    from onelight.transfer.kept import Checked, KeptSession, Survey


@click.group(short_help="What was downloaded: where, how much, is it whole; tidy up.")
def cache() -> None:
    """Look after the folder that the files of a repository land in.

    \b
    Examples:
      onelight cache dir
      onelight cache list
      onelight cache verify
      onelight cache gc --dry-run
    """


@cache.command("dir", short_help="The data folder of a repository.")
@repository_option
@shared_options
def dir_(repository: str | None, as_json: bool) -> None:
    """Print the folder that the files of a repository land in, which need not be there yet.

    \b
    Example:
      cd "$(onelight cache dir)"
    """
    name, folder = _data_folder(repository)
    emit({"repository": name, "folder": str(folder)}, str(folder), as_json=as_json)


@cache.command("list", short_help="What is there, by repository and session.")
@click.option("-R", "--repository", metavar="NAME", help="Only this repository, instead of all.")
@shared_options
def list_(repository: str | None, as_json: bool) -> None:
    """Print what was downloaded: each session with its files, bytes, and whether they were verified.

    "verified" files were compared with the md5 that the repository states and not touched since; "size only" were
    fetched whole as far as anybody can tell, for the repository states no md5; "not verified" were put there by
    something else, or touched since. No file is read; `onelight cache verify` reads them. What a local repository
    holds is read in place, and is not listed.

    \b
    Examples:
      onelight cache list
      onelight cache list -R steinmetz --json
    """
    from onelight.config import Config

    config = Config.load()
    chosen = [config.repository(repository)] if repository is not None else config.repositories
    files = size = 0
    for settings in chosen:
        if settings.kind == "local":
            if repository is not None:
                say(f"'{settings.name}' is a local repository: its files are read where they are, and no copy is kept")
            continue
        found = _survey(settings, config.data_folder(settings.name), as_json=as_json)
        files += sum(row.files for row in found.sessions)
        size += sum(row.size for row in found.sessions)
    say(f"{count(files, 'file')}, {size_text(size)}")


def _survey(settings: Settings, folder: Path, *, as_json: bool) -> Survey:
    from onelight.current import last_index
    from onelight.index import Index
    from onelight.transfer import Ledger
    from onelight.transfer.kept import survey

    found = survey(folder, Ledger(folder), last_index(folder) or Index())
    for row in found.sessions:
        as_row = {"repository": settings.name, "session": row.session, "files": row.files, "bytes": row.size}
        as_row |= {"verified": row.verified, "size_only": row.by_size, "not_verified": row.doubtful}
        text = f"{settings.name}: {row.session}  {count(row.files, 'file')}, {size_text(row.size)}, {_how_sure(row)}"
        emit(as_row, text, as_json=as_json)
    if found.sessions or found.others or found.partial:
        size = sum(row.size for row in found.sessions)
        say(f"{settings.name}: {count(len(found.sessions), 'session')}, {size_text(size)} in {folder}")
    if found.others:
        say(f"  {count(found.others, 'other file')}, {size_text(found.other_size)}, in no session")
    if found.partial:
        clean = shlex.join(["onelight", "cache", "gc", "-R", settings.name])
        say(f"  {count(found.partial, 'partial file')}, {size_text(found.partial_size)}; remove with: {clean}")
    return found


def _how_sure(row: KeptSession) -> str:
    states = {"verified": row.verified, "size only": row.by_size, "not verified": row.doubtful}
    there = {words: number for words, number in states.items() if number}
    return next(iter(there)) if len(there) == 1 else ", ".join(f"{number:,} {words}" for words, number in there.items())


@cache.command(short_help="Read every file again: is it still what it was?")
@click.option("--refetch", is_flag=True, help="Fetch what is damaged again.")
@jobs_option
@repository_option
@shared_options
def verify(refetch: bool, jobs: int | None, repository: str | None, as_json: bool) -> int:
    """Read every downloaded file again and print those that are damaged, one per line.

    A file is damaged if it is neither what the repository says nor what was once fetched: a disk can change a byte
    without a word. It is left where it is, as it is; with --refetch it is replaced as soon as the right one is here.
    The index of the last command says what is right; the network is needed for --refetch only. The exit code is 6 if
    something is damaged and stays so. With --json there is one object for each file.

    \b
    Examples:
      onelight cache verify
      onelight cache verify -R steinmetz --refetch
    """
    from onelight.api import One
    from onelight.cli.progress import watch
    from onelight.cli.runs import run
    from onelight.transfer.kept import Verdict

    one = One(repository)
    if one.repository.kind == "local":
        say(f"'{one.repository.name}' is a local repository: its files are read where they are, and no copy is kept")
        return 0
    with watch("Verifying") as watcher:
        found = one.verify(progress=watcher)
    damaged = [checked for checked in found if checked.verdict is Verdict.DAMAGED]
    numbers = _tell_verdicts(found, as_json=as_json)
    ran = None
    if damaged and refetch:
        plan = one.plan_repair(damaged)
        ran = run("Downloading", lambda watcher: one.run_download(plan, parallel=jobs, progress=watcher))
        for outcome in ran.outcomes if as_json else ():
            emit(outcome_row("refetch", outcome), "", as_json=True)
        ran.tell("fetched again")
        tell_failures(ran.outcomes)
    left = _still_damaged(damaged, ran)
    code = ran.stopped if ran is not None and ran.stopped else 6 if left else 0
    if as_json:
        summary = {"action": "summary", "repository": one.repository.name, "files": len(found), **numbers}
        emit(summary | {"refetched": len(damaged) - len(left), "exit": code}, "", as_json=True)
    if left:
        _say_how_to_repair(one, left)
    return code


def _tell_verdicts(found: list[Checked], *, as_json: bool) -> dict[str, int]:
    """Print what came of each file, and return how many came to what."""
    from onelight.transfer.kept import Verdict

    for checked in found:
        if as_json:
            emit(_checked_row(checked), "", as_json=True)
        elif checked.verdict is Verdict.DAMAGED:
            emit({}, str(checked.target), as_json=False)
        if checked.verdict in (Verdict.DAMAGED, Verdict.OUTDATED):
            say(f"{checked.verdict.value}: {checked.path} {checked.why}")
    numbers = {verdict.value: sum(checked.verdict is verdict for checked in found) for verdict in Verdict}
    size = size_text(sum(checked.size for checked in found))
    say(f"{count(len(found), 'file')} read ({size}), {numbers['ok']:,} good, {numbers['damaged']:,} damaged")
    if numbers["outdated"]:
        say(f"  {count(numbers['outdated'], 'file')} older than what the repository has: download gets the new")
    if numbers["unknown"]:
        say(f"  {count(numbers['unknown'], 'file')} of unknown origin: nobody states their md5")
    return numbers


def _checked_row(checked: Checked) -> dict[str, Any]:
    row = {"action": "verify", "path": checked.path, "file": str(checked.target), "bytes": checked.size}
    return row | {"status": checked.verdict.value} | ({"why": checked.why} if checked.why else {})


def _still_damaged(damaged: list[Checked], ran: Run | None) -> list[Checked]:
    repaired = {outcome.path for outcome in ran.outcomes if outcome.error is None} if ran is not None else set()
    return [checked for checked in damaged if checked.path not in repaired]


def _say_how_to_repair(one: One, damaged: list[Checked]) -> None:
    from onelight.cli.runs import keep_list

    paths = [checked.path for checked in damaged]
    folder = one.folder
    kept = keep_list(paths, paths, folder, None)
    name = one.repository.name
    if kept is not None:
        command = ["onelight", "download", "--from-file", str(kept), "-R", name]
    else:
        command = ["onelight", "cache", "verify", "--refetch", "-R", name]
    say_command("they stay as they are; fetch them again with", shlex.join(command))


@cache.command(short_help="Remove what broken downloads left.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@repository_option
@shared_options
def gc(dry_run: bool, repository: str | None, as_json: bool) -> int:
    """Remove the partial files that broken downloads and copies left, and print them, one per line.

    What a running download works on stays, as does a file of another machine that was touched in the last six hours.
    Datasets and everything else are never touched. A download that was broken and is run again after this begins at
    its first byte.

    \b
    Examples:
      onelight cache gc --dry-run
      onelight cache gc -R steinmetz
    """
    from onelight.api.copying import copying_folder
    from onelight.transfer.leftovers import find_leftovers, remove
    from onelight.transfer.relay import left_copies

    name, folder = _data_folder(repository)
    leftovers = find_leftovers(folder) + left_copies(copying_folder())
    in_use = sum(leftover.in_use for leftover in leftovers)
    removed = size = failed = 0
    for leftover in leftovers:
        row: dict[str, Any] = {"action": "remove", "file": str(leftover.path), "bytes": leftover.size}
        try:
            if leftover.in_use or not (dry_run or remove(leftover)):
                continue
        except OSError as error:
            failed += 1
            message = f"{leftover.path} cannot be removed: {error.strerror}"
            say(f"error: {message}")
            if as_json:
                emit(row | {"status": "error", "message": message, "exit": 7}, "", as_json=True)
            continue
        emit(row | {"status": "planned" if dry_run else "ok"}, str(leftover.path), as_json=as_json)
        removed += 1
        size += leftover.size
    code = 7 if failed else 0
    if as_json:
        counts = {"ok": removed, "in_use": in_use, "error": failed, "bytes": size, "exit": code}
        emit({"action": "summary", "repository": name, "dry_run": dry_run, **counts}, "", as_json=True)
    done = "dry run: would remove" if dry_run else "removed"
    others = f"; {count(in_use, 'file')} in use" if in_use else ""
    say(f"{done} {count(removed, 'partial file')} ({size_text(size)}) in {folder}{others}")
    return code


def _data_folder(repository: str | None) -> tuple[str, Path]:
    from onelight.config import Config

    config = Config.load()
    name = config.repository(repository).name
    return name, config.data_folder(name)
