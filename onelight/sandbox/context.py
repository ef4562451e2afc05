"""What every part of the sandbox needs to answer: settings, state, addresses, who may ask."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from onelight.sandbox.answers import ApiError

if TYPE_CHECKING:
    import threading
    from collections.abc import Coroutine

    from starlette.requests import Request
    from starlette.responses import Response

    from onelight.sandbox.settings import Settings
    from onelight.sandbox.state import State

Handler = Callable[["Request"], Awaitable["Response"]]


class Address(NamedTuple):
    """What answers at a path: to some methods, separated by spaces, one handler."""

    methods: str
    path: str
    handler: Handler


@dataclass(frozen=True)
class Origins:
    """The three servers that figshare is made of, each an origin of its own.

    Parameters
    ----------
    api : str
        Articles and files, and the addresses that the files of an article have.
    upload : str
        Takes the content of files.
    download : str
        Gives it, to whom the API has signed an address.
    """

    api: str
    upload: str
    download: str

    @property
    def api_url(self) -> str:
        """Address of the API, version 2."""
        return f"{self.api}/v2"

    def own_article(self, article_id: int) -> str:
        """Address of an article for its owner."""
        return f"{self.api}/v2/account/articles/{article_id}"

    def article(self, article_id: int) -> str:
        """Address of an article for the public."""
        return f"{self.api}/v2/articles/{article_id}"


@dataclass
class Context:
    """One running sandbox.

    Parameters
    ----------
    settings : Settings
        What it does.
    state : State
        What it remembers.
    origins : Origins
        Where it is.
    stopping : threading.Event
        Set when work in threads shall end.
    """

    settings: Settings
    state: State
    origins: Origins
    stopping: threading.Event
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def knows(self, token: str) -> bool:
        """Tell whether a token is the owner's."""
        return hmac.compare_digest(token.encode(), self.state.token.encode())

    def is_owner(self, request: Request, parameter: str) -> bool:
        """Tell whether a request shows the owner's token, in its header or in a parameter of its address."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "token":
            return self.knows(token.strip())
        return self.knows(request.query_params.get(parameter, ""))

    def private(self, handler: Handler) -> Handler:
        """Let only the owner's requests through to a handler."""

        async def guarded(request: Request) -> Response:
            if not self.is_owner(request, "access_token"):
                raise ApiError(self.settings.unauthorised_status, "OAuthInvalidToken", "Invalid or missing token")
            return await handler(request)

        return guarded

    def begin(self, work: Coroutine[object, object, None]) -> None:
        """Do something beside the requests; it is given up when the sandbox stops."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
