"""The command that serves a folder: serve."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from onelight.cli import stopping
from onelight.cli.output import say, secret, shared_options


@click.command(short_help="Serve a folder on the local network, read only.")
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 for any that is free.")
@click.option("--bind", metavar="HOST", default="127.0.0.1", show_default=True, help="0.0.0.0 for every network.")
@click.option("--token-stdin", is_flag=True, help="Read a token from standard input; who has it not gets nothing.")
@shared_options
def serve(root: Path, port: int, bind: str, token_stdin: bool, as_json: bool) -> None:
    """Serve ROOT as a repository, until you stop it with Ctrl-C.

    Others add it with `onelight add-repo NAME --http URL`, or look at it with a browser. It is read only, and nothing
    outside ROOT is served. Without --bind only this computer reaches it. There is no encryption: for the world, let a
    web server such as nginx or Caddy serve the same folder. A token is for browsers and curl: `onelight` itself sends
    none without encryption, but to this computer.

    \b
    Examples:
      onelight index /path/to/dataroot
      onelight serve /path/to/dataroot --bind 0.0.0.0
    """
    import json

    from onelight.errors import RepositoryNotFound
    from onelight.index import INDEX_NAME
    from onelight.serving import Server

    if not root.is_dir():
        raise RepositoryNotFound(f"there is no folder {root}", hint="Give the folder that holds the labs")
    token = secret("Token", from_stdin=True) if token_stdin else ""
    with stopping.until_a_signal() as stopped, Server(root, bind, port, token) as server:
        click.echo(json.dumps({"url": server.url}) if as_json else server.url)
        sys.stdout.flush()
        if not (root / INDEX_NAME).is_file():
            say(f"note: {root} has no {INDEX_NAME} yet: onelight index {root}")
        say(f"add it elsewhere: onelight add-repo NAME --http {server.url}; Ctrl-C ends it")
        while not stopped.wait(0.5):  # on Windows a wait without end does not hear Ctrl-C
            pass
