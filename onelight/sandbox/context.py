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


class Usage:
    """How much the account has used, counted once and then kept: each file that is begun asks for it.

    Parameters
    ----------
    state : State
        What is counted.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._private: int | None = None
        self._files: dict[int, int] = {}

    @property
    def private(self) -> int:
        """Bytes of all files that are in no published version, begun ones with their announced size."""
        if self._private is None:
            self._private = int(self._state.value("SELECT TOTAL(size) FROM files WHERE public = 0"))
        return self._private

    def files_of(self, article_id: int) -> int:
        """Return how many files the draft of an article has."""
        if article_id not in self._files:
            count = self._state.value("SELECT COUNT(*) FROM files WHERE article_id = ? AND attached = 1", article_id)
            self._files[article_id] = int(count)
        return self._files[article_id]

    def add(self, article_id: int, size: int) -> None:
        """Take note of a file that was begun, where its like was counted already."""
        if article_id in self._files:
            self._files[article_id] += 1
        if self._private is not None:
            self._private += size

    def forget(self) -> None:
        """Count anew when next asked: something else was changed."""
        self._private = None
        self._files.clear()


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
    usage: Usage = field(init=False)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin to count."""
        self.usage = Usage(self.state)

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
