"""Commands about what a repository says of itself: create, metadata."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onelight.cli.output import (
    API_VARIABLE,
    count,
    emit,
    files_per_article_option,
    repository_option,
    say,
    secret,
    shared_options,
)

if TYPE_CHECKING:
    from onelight.description import Description

_FILE = click.argument("file", type=click.Path(path_type=Path), required=False)


@click.command(short_help="Make a draft at figshare, and a repository of it.")
@_FILE
@click.option("--figshare", is_flag=True, help="Make it at figshare; so far there is no other place.")
@click.option("--title", metavar="TEXT", help="Its title; wins over that of FILE.")
@click.option("--name", metavar="NAME", help="Its name in the configuration; by default made from the title.")
@click.option("--edit", is_flag=True, help="Only write FILE, with a comment on each key, and open it in an editor.")
@click.option("--reserve-doi", is_flag=True, help="Have a DOI now, to put it into a paper; it works once published.")
@click.option("--how-to-download", is_flag=True, help="Add to its text how the data are downloaded.")
@click.option("--layout", type=click.Choice(["flat", "folders"]), help="How files are named at figshare.")
@files_per_article_option
@click.option("--api-url", metavar="URL", envvar=API_VARIABLE, help="Another API than figshare's, such as a sandbox's.")
@click.option("--token-stdin", is_flag=True, help="Read the token from standard input.")
@shared_options
def create(
    file: Path | None,
    figshare: bool,
    title: str | None,
    name: str | None,
    edit: bool,
    reserve_doi: bool,
    how_to_download: bool,
    layout: str | None,
    files_per_article: int | None,
    api_url: str | None,
    token_stdin: bool,
    as_json: bool,
) -> None:
    """Make a draft at figshare as FILE describes it (one.toml, or that of a folder), and choose it as repository.

    Without FILE and --title it is the one.toml in the folder where you are. Nobody else sees a draft. Its authors are
    those of FILE; the owner of the token is one only if FILE says so, or names nobody. Categories are looked up by name
    among those that the account may use. With --edit the file is written for you, each key with a comment.

    \b
    Examples:
      onelight create --edit                                 one.toml, to be filled in
      onelight create --figshare one.toml --reserve-doi
      onelight create --figshare --title "Two mice" --name two_mice
    """
    from onelight.config import FIGSHARE_API, Config

    if edit:
        _edit(_file_of(file), as_json=as_json)
        return
    if not figshare:
        msg = "say where: onelight create --figshare"
        raise click.UsageError(msg)
    from onelight.api import One, create_figshare
    from onelight.description import Description, read_description

    path = _file_of(file)
    is_there = file is not None or (title is None and path.is_file())
    described = read_description(path) if is_there else Description()
    described = replace(described, title=title) if title else described
    given = {"layout": layout, "files_per_article": files_per_article}
    settings = create_figshare(
        name or _name_of(described.title),
        described,
        token=secret("Token", from_stdin=token_stdin),
        api_url=api_url or FIGSHARE_API,
        how_to_download=how_to_download,
        options={name: value for name, value in given.items() if value},
    )
    Config.load().choose(settings.name)
    one = One(settings.name)
    doi = one.reserve_doi() if reserve_doi else ""
    row = {"name": settings.name, "article_id": settings.options["article_id"], "address": one.repository.address}
    emit(row | {"doi": doi or None}, f"{settings.name}: figshare {one.repository.address}", as_json=as_json)
    if doi:
        say(f"reserved DOI: {doi}")
    missing = [what for what in one.missing_for_publication() if what != "a file"]
    if missing:
        say(f"to be published it still needs {', '.join(missing)} (onelight metadata push)")
    root = path.parent if file is not None and path.parent != Path() else Path("/path/to/dataroot")
    say(f"next: onelight upload {root} --dry-run")


def _edit(path: Path, *, as_json: bool) -> None:
    from onelight.api import write_template
    from onelight.description import Description

    write_template(path, Description(license="CC BY 4.0", item_type="dataset"))
    emit({"file": str(path)}, str(path), as_json=as_json)
    if sys.stdin.isatty() and sys.stdout.isatty() and not as_json:
        click.edit(filename=str(path))
    say(f"fill it in, then: onelight create --figshare {path}")


def _file_of(file: Path | None) -> Path:
    from onelight.description import DESCRIPTION_NAME

    if file is None:
        return Path(DESCRIPTION_NAME)
    return file / DESCRIPTION_NAME if file.is_dir() else file


def _name_of(title: str) -> str:
    """Return a name for the configuration that says what the title says."""
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:40].rstrip("_") or "figshare"


@click.command(short_help="What the repository says of itself: check, push, pull.")
@click.argument("action", type=click.Choice(["check", "push", "pull", "categories", "licenses"]))
@_FILE
@click.option("--how-to-download", is_flag=True, help="With push: add to its text how the data are downloaded.")
@click.option("--reserve-doi", is_flag=True, help="With push: have a DOI now, before publication.")
@repository_option
@shared_options
def metadata(
    action: str,
    file: Path | None,
    how_to_download: bool,
    reserve_doi: bool,
    repository: str | None,
    as_json: bool,
) -> int:
    """Compare one.toml with what the article says of itself (check), or take one over from the other.

    FILE is one.toml, or a folder that holds it; by default it is in the folder where you are. `check` prints what
    differs, and what is missing for publication; its exit code is 0 if there is neither. `push` changes the article as
    far as it differs; what is empty in FILE is left as it is. `pull` writes FILE; your comments stay. `categories` and
    `licenses` print what there is to choose from.

    \b
    Examples:
      onelight metadata categories | grep -i neuro
      onelight metadata pull
      onelight metadata push --how-to-download
    """
    from onelight.api import One
    from onelight.description import read_description

    path = _file_of(file)
    one = One(repository)
    if action in ("categories", "licenses"):
        for name in one.choices(action):
            emit({action: name}, name, as_json=as_json)
        return 0
    if action == "pull":
        return _pull(one.description(), path, as_json=as_json)
    if action == "push":
        changed = one.set_description(read_description(path), how_to_download=how_to_download)
        for field in changed:
            emit({"action": "metadata", "field": field, "status": "ok"}, field, as_json=as_json)
        say(f"{count(len(changed), 'field')} changed in '{one.repository.name}' ({one.repository.address})")
        if reserve_doi:
            doi = one.reserve_doi()
            emit({"action": "metadata", "field": "doi", "status": "ok", "doi": doi}, f"doi {doi}", as_json=as_json)
        return 0
    differing = one.compare_description(read_description(path)) if file is not None or path.is_file() else []
    for difference in differing:
        row = {"action": "metadata", **difference._asdict()}
        text = f"{difference.field}: {difference.here!r} in {path}, {difference.there!r} at figshare"
        emit(row, text, as_json=as_json)
    missing = one.missing_for_publication()
    for what in missing:
        emit({"action": "metadata", "missing": what}, f"missing: {what}", as_json=as_json)
    verb = "differs" if len(differing) == 1 else "differ"
    say(f"{count(len(differing), 'field')} {verb}, {count(len(missing), 'thing')} missing for publication")
    return int(bool(differing or missing))


def _pull(description: Description, path: Path, *, as_json: bool) -> int:
    from onelight.description import description_toml, differences, merged, read_description
    from onelight.errors import ConfigError

    try:
        old = path.read_text(encoding="utf-8") if path.is_file() else ""
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text", hint="Put it right in an editor; it was not changed") from error
    before = read_description(path) if old else description
    # The number of an author is of that figshare only, and an empty field there says nothing.
    authors = tuple(replace(author, id=None) for author in description.authors)
    description = replace(description, authors=authors)
    kept = {
        field.name: getattr(before, field.name) for field in fields(description) if not getattr(description, field.name)
    }
    description = replace(description, **kept)
    for difference in differences(description, before):
        say(f"{difference.field}: {difference.there!r} becomes {difference.here!r}")
    text = merged(old, description) if old else description_toml(description, commented=True)
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:  # beside it first: somebody's comments are in the old one
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    emit({"action": "metadata", "file": str(path)}, str(path), as_json=as_json)
    return 0
