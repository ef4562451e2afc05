"""The md5 of what lies at an address: read, and not kept."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from onelight.client.answers import Response
from onelight.errors import RateLimited, TransferError, Unreachable
from onelight.route import Route, redact

if TYPE_CHECKING:
    from onelight.client import Client


def md5_of_route(client: Client, route: Route) -> str:
    """Read the bytes of an address and return their md5; from the beginning again where a connection was lost.

    Raises
    ------
    AccessDenied, NotFound, RateLimited, TransferError, Unreachable, UnsafeData
        As for :meth:`Client.stream`.
    """
    until, attempt = client.deadline(), 1
    while True:
        sink = _Digest()
        try:
            client.stream(route, sink, until=until)
        except (Unreachable, RateLimited) as error:
            if client.gives_up(error, attempt, until):
                raise
            client.pause(error, attempt)
            attempt += 1
        else:
            return sink.md5.hexdigest()


class _Digest:
    """Takes the bytes of an answer, and keeps their md5."""

    def __init__(self) -> None:
        self.md5 = hashlib.md5()

    def begin(self, response: Response) -> None:
        """Refuse a part."""
        if response.status != 200:
            raise TransferError(f"{redact(response.url)} sends a part of its content, though all was asked for")

    def write(self, blocks: list[bytes]) -> None:
        """Take the next bytes."""
        for block in blocks:
            self.md5.update(block)
