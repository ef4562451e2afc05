"""Commands that say where the data is: repo, add-repo."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from onelight.cli.output import (
    API_VARIABLE,
    count,
    emit,
    files_per_article_option,
    say,
    secret,
    shared_options,
    size_text,
)


@click.command(short_help="The repositories; with a name, choose one.")
@click.argument("name", required=False)
@shared_options
def repo(name: str | None, as_json: bool) -> None:
    """Print the repositories of the configuration, * at the current one; or make NAME the current one.

    \b
    Examples:
      onelight repo
      onelight repo nick19
    """
    from onelight.client import Client
    from onelight.config import Config
    from onelight.errors import OneError
    from onelight.kinds import open_repository

    config = Config.load()
    if name is not None:
        config.choose(name)
        emit({"name": name, "current": config.current == name}, name, as_json=as_json)
    else:
        client = Client()
        for settings in config.repositories:
            try:
                address = open_repository(settings, client).address
            except OneError as error:
                address = f"(cannot be used: {error.message})"
            current = settings.name == config.current
            row = {"name": settings.name, "type": settings.kind, "address": address, "current": current}
            emit(row, f"{'*' if current else ' '}{settings.name}: {settings.kind} {address}", as_json=as_json)
    say(config.remark or f"configuration: {config.path}")


@click.command("add-repo", short_help="Add a repository to the configuration.")
@click.argument("name")
@click.option("--figshare", metavar="URL|DOI|ID", help="An article of figshare.")
@click.option("--http", metavar="URL", help="A folder on a web server; with WebDAV it can be written to as well.")
@click.option("--local", metavar="DIR", help="A local folder.")
@click.option("--remote", metavar="URL", help="A folder of a store, such as s3://bucket/folder or sftp://host/folder.")
@click.option(
    "--api-url",
    metavar="URL",
    envvar=API_VARIABLE,
    help="With --figshare: another API than figshare's, such as a sandbox's.",
)
@files_per_article_option
@click.option("--base-url", metavar="URL", help="With --remote: the web address where readers find the same folder.")
@click.option("--login", metavar="NAME", default="", help="With --http or --remote: name of who signs in.")
@click.option("--token-stdin", is_flag=True, help="Read the token or password from standard input.")
@click.option(
    "--certificate",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --http: a client certificate (PEM), shown to this server.",
)
@click.option(
    "--key",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --certificate: its key, if it is not in that file.",
)
@click.option("--replace", is_flag=True, help="Replace a repository of the same name.")
@shared_options
def add_repo(
    name: str,
    figshare: str | None,
    http: str | None,
    local: str | None,
    remote: str | None,
    api_url: str | None,
    files_per_article: int | None,
    base_url: str | None,
    login: str,
    token_stdin: bool,
    certificate: Path | None,
    key: Path | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Add the repository NAME to the configuration; choose it with `onelight repo NAME`.

    What is given for figshare may be a number, an address, or a DOI, of the newest version or of one; figshare is
    asked for it, and what it is is shown.

    A token (of figshare; with --http, a bearer token) or password (with --login) is read from standard input with
    --token-stdin; a token of figshare and a password are asked for on a terminal. It is never an argument, which other
    users of the computer could read. A public repository needs none.

    \b
    Examples:
      onelight add-repo steinmetz --figshare 10.6084/m9.figshare.9974357.v3
      onelight add-repo my_lab --http https://example.org/dataroot
      onelight add-repo ours --http https://example.org/ours --token-stdin < token.txt
      onelight add-repo theirs --http https://example.org/theirs --certificate me.pem --key me.key
      onelight add-repo disk --local /path/to/dataroot
    """
    from onelight.client import Client
    from onelight.config import Config, Settings
    from onelight.kinds import open_repository

    places = (("figshare", figshare), ("http", http), ("local", local), ("remote", remote))
    given = [kind for kind, value in places if value]
    if len(given) != 1:
        msg = "say what it is with one of --figshare, --http, --local and --remote"
        raise click.UsageError(msg)
    _check_belonging(given[0], {"--certificate": certificate, "--base-url": base_url})
    if key and not certificate:
        msg = "--key is the key of a certificate: name that, too, with --certificate"
        raise click.UsageError(msg)
    config = Config.load()
    if not replace and any(settings.name == name for settings in config.repositories):
        msg = f"there is a repository '{name}' already; say --replace, or choose another name"
        raise click.UsageError(msg)
    options: dict[str, Any]
    if figshare:
        options = _figshare(figshare, secret("Token (empty for public data)", from_stdin=token_stdin), api_url)
        options |= {"files_per_article": files_per_article} if files_per_article else {}
    elif http:
        options = {"base_url": http} | _signing_in(login, certificate, key, token_stdin=token_stdin)
    elif remote:
        password = secret("Password (empty for none)", from_stdin=token_stdin) if login or token_stdin else ""
        said = {"base_url": base_url, "login": login, "password": password}
        options = {"url": remote} | {name: value for name, value in said.items() if value}
    else:
        options = {"root_dir": str(Path(str(local)).expanduser().absolute())}
    settings = Settings(name, given[0], options)
    address = open_repository(settings, Client()).address
    config.add(settings)
    emit(
        {"name": name, "type": settings.kind, "address": address}, f"{name}: {settings.kind} {address}", as_json=as_json
    )
    say(config.remark or f"choose it with: onelight repo {name}")


def _check_belonging(kind: str, given: Mapping[str, object]) -> None:
    """Refuse an option of another kind of repository, which would be ignored without a word."""
    for option, value in given.items():
        belongs = {"--certificate": "http", "--base-url": "remote"}[option]
        if value and kind != belongs:
            msg = f"{option} is for --{belongs} only"
            raise click.UsageError(msg)


def _signing_in(login: str, certificate: Path | None, key: Path | None, *, token_stdin: bool) -> dict[str, Any]:
    """Return what the configuration says of who signs in to a web server."""
    options: dict[str, Any] = {"login": login, "password": ""}
    if login:
        options["password"] = secret(f"Password of {login}", from_stdin=token_stdin)
    elif token_stdin:
        options = {"token": secret("Token", from_stdin=True)}
        if not options["token"]:
            msg = "--token-stdin was said, and there is nothing on standard input"
            raise click.UsageError(msg)
    for name, path in (("certificate", certificate), ("key", key)):
        if path is not None:  # from wherever the next command is typed
            options[name] = str(path.expanduser().absolute())
    return options


def _figshare(text: str, token: str, api_url: str | None) -> dict[str, Any]:
    """Return what the configuration says of an article, once figshare was asked what it is."""
    from onelight.api import find_figshare
    from onelight.config import FIGSHARE_API
    from onelight.errors import ConfigError, RateLimited, Unreachable
    from onelight.kinds.figshare.address import read_address

    address = read_address(text)
    sandbox = re.match(r"(https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?)/", text.strip())
    if sandbox and not (api_url or "").startswith(sandbox[1]):
        raise ConfigError(
            f"{text} is an address of a sandbox on this computer, and not of {api_url or 'figshare'}",
            hint=f"Say so: --api-url {sandbox[1]}/v2",
        )
    try:
        found = find_figshare(text, token=token, api_url=api_url or FIGSHARE_API)
    except (Unreachable, RateLimited) as error:
        if address.article_id is None or address.is_guess:
            raise
        say(f"note: it was not looked up: {error.message}")
        number, version = address.article_id, address.version
    else:
        number, version = found.article_id, found.version
        which = f"version {found.shown}" if found.shown else "a draft"
        say(f"{found.title or '(no title)'}, {which}")
        parts = [count(found.files, "file"), size_text(found.size), found.license, f"DOI {found.doi}" * bool(found.doi)]
        say(f"  {', '.join(part for part in parts if part)}")
        if found.remark:
            say(f"  note: {found.remark}")
        if version is not None:
            say(f"  it stays at version {version}; give the address without it for the newest")
    options: dict[str, Any] = {"article_id": number, "token": token}
    options |= {"version": version} if version is not None else {}
    return options | ({"api_url": api_url} if api_url else {})
