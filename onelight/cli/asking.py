"""Commands that ask the index: search, summary."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from onelight.cli.output import (
    Where,
    asking_options,
    completed,
    count,
    emit,
    emit_lines,
    parts_options,
    prints_to_terminal,
    say,
    shared_options,
    size_text,
)

if TYPE_CHECKING:
    from onelight.api.asking import Asking
    from onelight.index import Total

_FILTERS = (
    *("any_of", "without", "lab", "subject", "date", "number"),
    *("collection", "revision", "namespace", "timescale", "extension"),
)
_DAY = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}")
_NUMBER = re.compile(r"[0-9*]+")
#: So many names of objects and of subjects are said where nothing is found.
_MOST_NAMES = 20


def _filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the questions that choose sessions; it gets them as ``filters``, as One.search takes them."""
    dataset = completed("dataset")

    @click.argument("datasets", metavar="[DATASET]...", nargs=-1, callback=_check_datasets, shell_complete=dataset)
    @click.option(
        "--has",
        multiple=True,
        metavar="DATASET",
        callback=_check_datasets,
        help="The same as an argument.",
        shell_complete=dataset,
    )
    @click.option(
        "--any",
        "any_of",
        multiple=True,
        metavar="DATASET",
        callback=_check_datasets,
        help="May be given several times: a session has one of these.",
        shell_complete=dataset,
    )
    @click.option(
        "--not",
        "without",
        multiple=True,
        metavar="DATASET",
        callback=_check_datasets,
        help="It has none of these.",
        shell_complete=dataset,
    )
    @click.option(
        "--lab",
        multiple=True,
        help="Whole name, * for any text; may be given several times.",
        shell_complete=completed("lab"),
    )
    @click.option("--subject", multiple=True, help="The same for the subject.", shell_complete=completed("subject"))
    @click.option(
        "--date",
        multiple=True,
        metavar="YYYY-MM-DD",
        callback=_check_dates,
        help="The same for the date, such as '2016-12-*'.",
    )
    @click.option(
        "--since", metavar="DATE", callback=_check_bound, help="First day; of a year or month (2016-12), all is meant."
    )
    @click.option("--until", metavar="DATE", callback=_check_bound, help="Last day, included, in the same way.")
    @click.option(
        "--number",
        multiple=True,
        callback=_check_numbers,
        help="Number of the session on its day; 1 and 001 are the same.",
    )
    @parts_options
    @functools.wraps(command)
    def wrapped(
        datasets: tuple[str, ...], has: tuple[str, ...], since: str | None, until: str | None, **options: Any
    ) -> Any:
        date_range = _range(since, until)
        given = {"datasets": [*datasets, *has], "date_range": date_range}
        given |= {name: options.pop(name) for name in _FILTERS}
        # An empty text is a question: for what has no such part.
        filters = {name: value for name, value in given.items() if value is not None and value not in ([], ())}
        return command(filters=filters, **options)

    return wrapped


def _check_datasets(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a whole session, which other commands take in this place."""
    for text in value:
        if _is_session(text):
            msg = f"this is a session; `onelight list {shlex.quote(text)}` shows what it holds"
            raise click.BadParameter(msg, ctx, parameter)
    return value


def _is_session(text: str) -> bool:
    if "/" not in text:
        return False
    from onelight.alf import Session
    from onelight.errors import AlfError

    try:
        Session.parse(text)
    except AlfError:
        return False
    return True


def _check_dates(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    from onelight.alf import date_filter
    from onelight.errors import AlfError

    for text in value:
        try:
            date_filter(text)
        except AlfError as error:
            msg = f"{error.message}. Give a day (2016-12-14), * for any text ('2016-12-*'), or --since and --until."
            raise click.BadParameter(msg, ctx, parameter) from error
    return value


def _check_bound(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from onelight.alf import range_filter
    from onelight.errors import AlfError

    try:
        is_date = _DAY.fullmatch(value) is not None and bool(range_filter((value, None)))
    except AlfError:
        is_date = False
    if not is_date:
        msg = f"{value!r} is not a date. Give a day (2016-12-14), a month (2016-12) or a year (2016)."
        raise click.BadParameter(msg, ctx, parameter)
    return value


def _check_numbers(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        if not _NUMBER.fullmatch(text):
            msg = f"{text!r} is not a number of a session. Give digits (1 and 001 are the same), * for any text."
            raise click.BadParameter(msg, ctx, parameter)
    return value


def _range(since: str | None, until: str | None) -> tuple[str | None, str | None] | None:
    if since is None and until is None:
        return None
    from onelight.alf import range_filter
    from onelight.errors import AlfError

    try:
        range_filter((since, until))
    except AlfError as error:
        msg = f"--since {since} is after --until {until}; change their places"
        raise click.UsageError(msg) from error
    return since, until


@click.command(short_help="Sessions, all or those that have some datasets.")
@click.option("--count", "only_count", is_flag=True, help="Print how many there are, and nothing else.")
@click.option("--table", "as_table", is_flag=True, help="Print how many datasets and bytes each has, too.")
@_filter_options
@asking_options
@shared_options
def search(filters: dict[str, Any], only_count: bool, as_table: bool, where: Where, as_json: bool) -> None:
    """Print the sessions of the current repository, one per line, sorted.

    A DATASET is an object (spikes), a dataset type (spikes.times) or a file name (spikes.times.npy), each with * for
    any text. A session must have all that are given, each in the collection, revision and so on that is asked for.

    Where the output is no terminal, the columns of --table are separated by tabs, and sizes are bytes.

    \b
    Examples:
      onelight search spikes.times spikes.clusters
      onelight search trials --subject 'Co*' --since 2016-12
      onelight search --any lfp --any spikes --not video --table
    """
    from onelight.api.asking import Asking

    if only_count and as_table:
        msg = "--count prints one number, and --table a line for each session; give one of the two"
        raise click.UsageError(msg)
    asking = where.open(Asking)
    if as_table:
        totals = asking.totals("session", **filters)
        if as_json:
            _emit_rows({"session": each.name, "datasets": each.datasets, "bytes": each.size} for each in totals)
        else:
            _emit_table(("SESSION", "DATASETS", "SIZE"), [(each.name, each.datasets, each.size) for each in totals])
        number = len(totals)
        say(f"{_total_text(totals)} {_place(asking)}")
    else:
        found = asking.search(**filters)
        number = len(found)
        if only_count:
            emit({"sessions": number}, str(number), as_json=as_json)
        elif as_json:
            _emit_rows({"session": session} for session in found)
        else:
            emit_lines(found)
        say(f"{count(number, 'session')} {_place(asking)}")
    if not number:
        _say_what_there_is(asking, filters)


@click.command(short_help="How much there is: sessions, datasets, bytes.")
@click.option(
    "--by", type=click.Choice(["subject", "object", "session"]), help="Print this table only, instead of the whole."
)
@_filter_options
@asking_options
@shared_options
def summary(filters: dict[str, Any], by: str | None, where: Where, as_json: bool) -> None:
    """Print how many sessions, datasets and bytes there are: in all, of each subject, and of each object.

    DATASET and the options choose sessions, as for search; all files of these are counted. Where the output is no
    terminal, columns are separated by tabs and sizes are bytes: what the line is about (all, subject, object), name,
    sessions, datasets, bytes; and behind these, for all, labs, subjects, first and last date. With --by the first of
    these columns is left out. A size is empty where the repository does not state that of every file.

    \b
    Examples:
      onelight summary
      onelight summary trials --since 2019 --by subject
    """
    from onelight.api.asking import Asking
    from onelight.index.query import by_subject

    asking = where.open(Asking)
    if by is not None:
        totals = asking.totals(by, **filters)
        if as_json:
            _emit_rows(_row(by, each) for each in totals)
        else:
            _emit_table((by.upper(), "SESSIONS", "DATASETS", "SIZE"), totals)
        say(f"{count(len(totals), by)} {_place(asking)}")
        return
    sessions = asking.totals("session", **filters)
    tables = {"subject": by_subject(sessions), "object": asking.totals("object", **filters)}
    everything = {"name": asking.repository.name, **_sums(sessions), **_extent(sessions)}
    if as_json:
        _emit_rows([{"by": "all", **everything}])
        _emit_rows(_row(name, each) for name, totals in tables.items() for each in totals)
    elif prints_to_terminal():
        labs, subjects = (count(everything[name], name[:-1]) for name in ("labs", "subjects"))
        days = f"; {everything['first']} to {everything['last']}" if sessions else ""
        emit({}, f"{_total_text(sessions)}; {labs}, {subjects}{days}", as_json=False)
        for name, totals in tables.items():
            if totals:
                emit({}, "", as_json=False)
                _emit_table((name.upper(), "SESSIONS", "DATASETS", "SIZE"), totals)
    else:
        emit({}, _line(("all", *everything.values())), as_json=False)
        emit_lines(_line((name, *each)) for name, totals in tables.items() for each in totals)
    say(f"{_total_text(sessions)} {_place(asking)}")


def _sums(totals: Sequence[Total]) -> dict[str, Any]:
    sizes = [each.size for each in totals]
    return {
        "sessions": len(totals),
        "datasets": sum(each.datasets for each in totals),
        "bytes": None if None in sizes else sum(size or 0 for size in sizes),
    }


def _extent(sessions: Sequence[Total]) -> dict[str, Any]:
    """Return labs, subjects, and the first and the last day."""
    parts = [each.name.split("/") for each in sessions]
    days = [date for _, _, _, date, _ in parts]
    return {
        "labs": len({lab for lab, *_ in parts}),
        "subjects": len({(lab, subject) for lab, _, subject, *_ in parts}),
        "first": min(days, default=None),
        "last": max(days, default=None),
    }


def _total_text(sessions: Sequence[Total]) -> str:
    sums = _sums(sessions)
    size = "the sizes are not stated" if sums["bytes"] is None else size_text(sums["bytes"])
    return f"{count(sums['sessions'], 'session')}, {count(sums['datasets'], 'dataset')}, {size}"


def _row(by: str, total: Total) -> dict[str, Any]:
    row = {"by": by, "name": total.name, "sessions": total.sessions, "datasets": total.datasets}
    return row | {"bytes": total.size}


def _line(cells: Iterable[object]) -> str:
    return "\t".join("" if cell is None else str(cell) for cell in cells)


def _emit_rows(rows: Iterable[dict[str, Any]]) -> None:
    import json

    emit_lines(map(json.dumps, rows))


def _emit_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a name, numbers and a size in each row: in columns for a person, separated by tabs for a program."""
    if not prints_to_terminal():
        emit_lines(map(_line, rows))
        return
    if not rows:
        return
    cells = [[*map(str, row[:1]), *(f"{cell:,}" for cell in row[1:-1]), _size(row[-1])] for row in rows]
    table = [list(headings), *cells]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    emit_lines(
        "  ".join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))])
        for name, *rest in table
    )


def _size(size: int | None) -> str:
    return "" if size is None else size_text(size)


def _say_what_there_is(asking: Asking, filters: dict[str, Any]) -> None:
    """Say where nothing is found what could have been: always objects and subjects, else what was asked for."""
    terms = asking.search_terms()
    objects = sorted({name.partition(".")[0] for name in terms.dataset_types})
    if not objects:
        return
    text = f"It has the objects {_some(objects)}; the subjects {_some(terms.subject)}"
    if "lab" in filters:
        text += f"; the labs {_some(terms.lab)}"
    if "date" in filters or "date_range" in filters:
        text += f"; dates from {terms.date[0]} to {terms.date[-1]}"
    say(text)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _place(asking: Asking) -> str:
    """Return where an answer comes from, in words: also which version of it, so that it can be written down."""
    version = asking.version
    place = f"in '{asking.repository.name}' ({asking.repository.address})"
    return place if version is None else f"{place}, version {version}"
