"""New repositories: a draft made at figshare, an address that somebody gave, and what stands beside the data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onelight.client import Client, Limits
from onelight.config import FIGSHARE_API, Config, Settings, check_name
from onelight.description import Description
from onelight.errors import AccessDenied, ConfigError

if TYPE_CHECKING:
    from onelight.kinds.figshare.article import Article
    from onelight.kinds.figshare.finding import Found


def create_figshare(
    name: str,
    description: Description,
    *,
    token: str = "",
    api_url: str = FIGSHARE_API,
    how_to_download: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Make a draft at figshare and add it to the configuration as a repository.

    Nothing of it is public. Categories and licence are looked up among those that the account may use before anything
    is made; the owner of the token becomes an author only if the description says so, or names nobody.

    Parameters
    ----------
    name : str
        Name of the repository in the configuration.
    description : Description
        What it says of itself; a title is needed.
    token : str
        Personal token of the owner; empty to take that of the environment (``FIGSHARE_TOKEN``).
    api_url : str
        Address of the API: figshare's, or a sandbox's.
    how_to_download : bool
        Add to its text how the data are downloaded.
    options : mapping, optional
        Further keys of the repository in the configuration, such as ``layout``.

    Returns
    -------
    Settings
        The repository as it stands in the configuration.

    Raises
    ------
    ConfigError
        If there is a repository of this name, no title, or a category or licence that the account may not use.
    AccessDenied
        If there is no token, or one that is not accepted.
    """
    from onelight.kinds.figshare.api import HOW_TO_SIGN_IN, Api
    from onelight.kinds.figshare.creating import change, create, how, vocabulary
    from onelight.kinds.figshare.metadata import fields_of, html_of, with_how_to_download

    check_name(name)
    config = Config.load()
    if any(settings.name == name for settings in config.repositories):
        raise ConfigError(f"there is a repository '{name}' already", hint="Choose another name: --name")
    if not description.title:
        raise ConfigError("a draft needs a title", hint='Give one: --title "…", or title = "…" in one.toml')
    settings = Settings(name, "figshare", {"article_id": 0, "token": token, **(options or {})})
    if api_url != FIGSHARE_API:
        settings = replace(settings, options={**settings.options, "api_url": api_url})
    secret = _one_token(settings)
    if not secret:
        raise AccessDenied("to make a draft at figshare a token is needed", hint=HOW_TO_SIGN_IN)
    with _client(config) as client:
        api = Api(client, api_url, secret, settings.number("requests_per_second", 0, 100))
        categories, licenses = vocabulary(api)
        fields = fields_of(description, categories, licenses)

        def keep(article: Article) -> None:
            """Note the draft at once: from here on it is not lost, whatever follows."""
            config.add(replace(settings, options={**settings.options, "article_id": article.number}))

        article = create(api, fields, keep)
        if how_to_download:
            html = html_of(description.description)
            change(article, {"description": with_how_to_download(html, how(article, name))})
    return Config.load().repository(name)


def find_figshare(text: str, *, token: str = "", api_url: str = FIGSHARE_API) -> Found:
    """Return the article that somebody means by an address, a DOI or a number, as figshare shows it.

    Raises
    ------
    ConfigError
        If the text means no article: a collection, a private link and so on; the message says what it is.
    RepositoryNotFound
        If figshare has no such article, or shows it to its owner only.
    Unreachable
        If figshare cannot be asked.
    """
    from onelight.kinds.figshare.api import Api
    from onelight.kinds.figshare.finding import find

    config = Config.load()
    secret = _one_token(Settings("", "figshare", {"token": token}))
    with _client(config) as client:
        return find(Api(client, api_url, secret), text)


def _one_token(settings: Settings) -> str:
    """Return the token of new settings; two different ones would make a draft that is not found again."""
    given, secret = settings.text("token"), settings.secret
    if given and given != secret:
        raise ConfigError(
            "FIGSHARE_TOKEN is set, to another token than the one that was given, and wins over it in every command",
            hint="Unset FIGSHARE_TOKEN, or give no token to take that one",
        )
    return secret


def _client(config: Config) -> Client:
    return Client(limits=Limits(**config.limits), offline=config.offline)  # type: ignore[arg-type]  # attempts is an int there


def write_template(path: Path, description: Description) -> None:
    """Write a description for people to fill in, each key with a comment; never over a file that is there.

    Raises
    ------
    ConfigError
        If the file is there, or cannot be written.
    """
    from onelight.description import description_toml

    try:
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(description_toml(description, commented=True))
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already", hint="Edit it, or give another name") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="Choose another folder") from error
