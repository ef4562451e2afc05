"""Commands that keep house: cache dir, cache gc."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onelight.cli.output import count, emit, repository_option, say, shared_options, size_text


@click.group(short_help="Where downloads land; remove what broken ones left.")
def cache() -> None:
    """Look after the folder that the files of a repository land in.

    \b
    Examples:
      onelight cache dir
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


@cache.command(short_help="Remove what broken downloads left.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@repository_option
@shared_options
def gc(dry_run: bool, repository: str | None, as_json: bool) -> int:
    """Remove the partial files that broken downloads left, and print them, one per line.

    What a running download works on stays, as does a file of another machine that was touched in the last six hours.
    Datasets and everything else are never touched. A download that was broken and is run again after this begins at
    its first byte.

    \b
    Examples:
      onelight cache gc --dry-run
      onelight cache gc -R steinmetz
    """
    from onelight.transfer.leftovers import find_leftovers, remove

    name, folder = _data_folder(repository)
    leftovers = find_leftovers(folder)
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
