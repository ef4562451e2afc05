"""Commands that look at data without fetching it: list, describe."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from onelight.cli.output import (
    Where,
    asking_options,
    completed,
    count,
    emit,
    parts_options,
    prints_to_terminal,
    say,
    shared_options,
    size_text,
)

if TYPE_CHECKING:
    from onelight.index import Entry
    from onelight.loading.description import Description


@click.command("list", short_help="What a session holds.")
@click.argument("session", shell_complete=completed("session"))
@click.argument("dataset", metavar="[DATASET]", required=False, shell_complete=completed("dataset"))
@parts_options
@asking_options
@shared_options
def list_(session: str, dataset: str | None, where: Where, as_json: bool, **parts: str | None) -> None:
    """Print the files of a session by collection, one per line: path, size, and, where they are here, type and shape.

    SESSION is lab/Subjects/subject/date/number, as search prints it. DATASET is an object (spikes), a dataset type
    (spikes.times) or a file name; without it, all are listed. Where the output is no terminal, the columns are
    separated by tabs.

    \b
    Examples:
      onelight list nicklab/Subjects/Cori/2016-12-14/001
      onelight list nicklab/Subjects/Cori/2016-12-14/001 --collection alf/probe00
    """
    from onelight.api import One

    one = where.open(One)
    entries = one.entries(session, dataset, **parts)
    here = one.describe_here(entries)
    if as_json:
        for entry in entries:
            emit(_row(entry, here.get(entry.below)), "", as_json=True)
    elif prints_to_terminal():
        _print_groups(entries, here)
    else:
        for entry in entries:
            emit({}, "\t".join([entry.below, *_cells(entry, here.get(entry.below))]).rstrip("\t"), as_json=False)
    sizes = [entry.size for entry in entries if entry.size is not None]
    collections = sorted({_collection(entry) for entry in entries})
    total = f", {size_text(sum(sizes))}" if sizes else ""
    say(f"{count(len(entries), 'file')}{total} in {', '.join(collections)}")


@click.command(short_help="What files hold, from their headers alone.")
@click.argument("session", shell_complete=completed("session"))
@click.argument("dataset", metavar="[DATASET]", required=False, shell_complete=completed("dataset"))
@parts_options
@asking_options
@shared_options
def describe(session: str, dataset: str | None, where: Where, as_json: bool, **parts: str | None) -> int:
    """Say what the files of a session hold: size, type, shape, columns, duration, units and meaning.

    DATASET is an object (spikes), a dataset type (spikes.times) or a file name; without it, every file is described. Of
    a file that is not here only its header is asked for, in one request.

    \b
    Examples:
      onelight describe nicklab/Subjects/Cori/2016-12-14/001 spikes.times
      onelight describe nicklab/Subjects/Cori/2016-12-14/001 trials --json
    """
    from onelight.api import One
    from onelight.loading.description import as_json as plain
    from onelight.loading.description import as_rows

    one = where.open(One)
    found = one.describe(session, dataset, **parts)
    for number, (path, description) in enumerate(found.items()):
        if as_json:
            emit({"path": path} | plain(description), "", as_json=True)
            continue
        rows = as_rows(description)
        width = max((len(label) for label, _ in rows), default=0)
        lines = [path, *(f"  {label:<{width}}  {text}" for label, text in rows)]
        emit({}, ("\n" if number else "") + "\n".join(lines), as_json=False)
    refused = _tell(found, "refused", "would be refused by loading")
    unknown = _tell(found, "unknown", "could not be looked at")
    return 1 if unknown else 8 if refused else 0


def _tell(found: dict[str, Description], kind: str, words: str) -> int:
    """Say which files are of a kind, and return how many."""
    pickled = kind == "refused"  # such an array is described, and not loaded
    paths = [path for path, one in found.items() if one.kind == kind or (pickled and one.dtype == "object")]
    if paths:
        say(f"{count(len(paths), 'file')} {words}: {', '.join(paths[:5])}")
    return len(paths)


def _collection(entry: Entry) -> str:
    return entry.dataset.collection if entry.dataset and entry.dataset.collection else "the session folder"


def _folder(entry: Entry) -> str:
    return entry.below.rpartition("/")[0]


def _row(entry: Entry, description: Description | None) -> dict[str, Any]:
    dataset = entry.dataset
    row: dict[str, Any] = {"session": entry.session, "path": entry.path, "dataset": dataset and dataset.type}
    if dataset:
        row |= {"collection": dataset.collection, "revision": dataset.revision or None}
    row |= {"bytes": entry.size, "md5": entry.md5}
    if description is not None:
        row |= {"dtype": description.dtype, "shape": list(description.shape) if description.shape is not None else None}
    return row


def _cells(entry: Entry, description: Description | None) -> list[str]:
    """Return size, type and shape of a file, empty where they are not known."""
    known = entry.size if entry.size is not None or description is None else description.size
    size = "" if known is None else size_text(known)
    if description is None:
        return [size, "", ""]
    shape = "" if description.shape is None else str(description.shape)
    if not shape and description.rows is not None:
        shape = count(description.rows, "row")
    return [size, description.dtype or (description.kind if description.kind != "array" else ""), shape]


def _print_groups(entries: list[Entry], here: dict[str, Description]) -> None:
    """Print files under the name of their collection, in columns."""
    cells = {entry.path: [entry.below.rpartition("/")[2], *_cells(entry, here.get(entry.below))] for entry in entries}
    widths = [max((len(row[column]) for row in cells.values()), default=0) for column in range(4)]
    for folder, group in groupby(sorted(entries, key=_folder), key=_folder):  # sorted by path, a folder may come twice
        emit({}, f"{folder}/" if folder else "./", as_json=False)
        for entry in group:
            name, size, *rest = cells[entry.path]
            padded = [name.ljust(widths[0]), size.rjust(widths[1]), rest[0].ljust(widths[2]), rest[1]]
            emit({}, ("  " + "  ".join(padded)).rstrip(), as_json=False)
