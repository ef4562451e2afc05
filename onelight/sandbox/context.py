"""What every part of the sandbox needs to answer: settings, state, addresses, who may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from onelight.sandbox.accounts import Account, Accounts
from onelight.sandbox.answers import ApiError

if TYPE_CHECKING:
    import threading
    from collections.abc import Coroutine

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Scope

    from onelight.sandbox.faults import Faults
    from onelight.sandbox.settings import Settings
    from onelight.sandbox.state import State

# The key under which a request's scope has the account that asks.
ACCOUNT = "onelight.account"
Handler = Callable[["Request"], Awaitable["Response"]]


def asking(request: Request) -> Account:
    """Return whose a private request is."""
    account: Account = request.scope[ACCOUNT]
    return account


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
    """How much each account has used, counted once and then kept: each file that is begun asks for it.

    Parameters
    ----------
    state : State
        What is counted.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._private: dict[int, int] = {}
        self._files: dict[int, int] = {}

    def private(self, account_id: int) -> int:
        """Return the bytes of all files that are in no published version, begun ones with their announced size."""
        if account_id not in self._private:
            self._private[account_id] = self._total(account_id, is_public=False)
        return self._private[account_id]

    def public(self, account_id: int) -> int:
        """Return the bytes of all files that are in a published version."""
        return self._total(account_id, is_public=True)

    def _total(self, account_id: int, *, is_public: bool) -> int:
        total = self._state.value(
            "SELECT TOTAL(f.size) FROM files f JOIN articles a ON a.id = f.article_id"
            " WHERE f.public = ? AND a.account_id = ?",
            int(is_public),
            account_id,
        )
        return int(total)

    def files_of(self, article_id: int) -> int:
        """Return how many files the draft of an article has."""
        if article_id not in self._files:
            count = self._state.value("SELECT COUNT(*) FROM files WHERE article_id = ? AND attached = 1", article_id)
            self._files[article_id] = int(count)
        return self._files[article_id]

    def add(self, account_id: int, article_id: int, size: int) -> None:
        """Take note of a file that was begun, where its like was counted already."""
        if article_id in self._files:
            self._files[article_id] += 1
        if account_id in self._private:
            self._private[account_id] += size

    def forget(self) -> None:
        """Count anew when next asked: something else was changed."""
        self._private.clear()
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
    faults : Faults
        What goes wrong on purpose.

    Attributes
    ----------
    cut, waiting : callable
        Cut the connection of a request; tell how many bytes wait to be sent on it. The server says how.
    """

    settings: Settings
    state: State
    origins: Origins
    stopping: threading.Event
    faults: Faults
    cut: Callable[[Scope], None] = field(init=False)
    waiting: Callable[[Scope], int] = field(init=False)
    usage: Usage = field(init=False)
    accounts: Accounts = field(init=False)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin to count."""
        self.usage = Usage(self.state)
        self.accounts = Accounts(self.state)

    def account_of(self, request: Request, parameter: str) -> Account | None:
        """Return whose token a request shows, in its header or in a parameter of its address."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "token" or (scheme.lower() == "bearer" and self.settings.bearer):
            return self.accounts.by_token(token.strip())
        return self.accounts.by_token(request.query_params.get(parameter, ""))

    def private(self, handler: Handler) -> Handler:
        """Let only requests that show a token through to a handler; :func:`asking` then says whose it is."""

        async def guarded(request: Request) -> Response:
            account = self.account_of(request, "access_token")
            if account is None:
                raise ApiError(self.settings.unauthorised_status, "OAuthInvalidToken", "Invalid or missing token")
            request.scope[ACCOUNT] = account
            return await handler(request)

        return guarded

    def begin(self, work: Coroutine[object, object, None]) -> None:
        """Do something beside the requests; it is given up when the sandbox stops."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
