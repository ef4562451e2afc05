"""The running sandbox: three origins on loopback, served by one thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route

from onelight.errors import ConfigError
from onelight.sandbox import checks, control
from onelight.sandbox.accounts import Account
from onelight.sandbox.answers import ApiError, on_api_error, on_http_error, on_odd_value
from onelight.sandbox.articles import Articles
from onelight.sandbox.authors import Details
from onelight.sandbox.catalogue import Catalogue
from onelight.sandbox.context import Address, Context, Handler, Origins
from onelight.sandbox.control import Control
from onelight.sandbox.downloads import Downloads
from onelight.sandbox.drafts import create
from onelight.sandbox.embargoes import Restrictions
from onelight.sandbox.faults import CONTROL, COUNT, ORIGINS, Faults, Faulty
from onelight.sandbox.files import Files
from onelight.sandbox.links import PrivateLinks
from onelight.sandbox.publishing import Public, Publishing
from onelight.sandbox.settings import Settings
from onelight.sandbox.state import State
from onelight.sandbox.switches import changed
from onelight.sandbox.uploads import Uploads

_Result = TypeVar("_Result")

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
# A stopping server gives the requests in hand this long.
GRACE_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 60
BACKLOG = 1024
# What is called inside the server takes no time; longer than this, and the server hangs.
CALL_SECONDS = 10
# A socket that is closed with this sends a reset (SO_LINGER with a time of 0; two shorts on Windows).
_NO_LINGER = struct.pack("HH" if os.name == "nt" else "ii", 1, 0)


class Sandbox:
    """A figshare-compatible server on this computer.

    Parameters
    ----------
    data_dir : Path or str
        Where everything is kept, from one start to the next: token, articles, files, uploads half done. A folder of
        its own, made when missing.
    port : int
        Port of the API; 0 for any that is free. The other two origins always take free ones.
    settings : Settings
        Which behaviours of figshare are played.
    faults : Faults, optional
        What goes wrong on purpose; by default nothing.
    seen_as : Origins, optional
        Where clients find the three origins, if something stands before them: a proxy that delays, or breaks.

    Attributes
    ----------
    ports : tuple of int
        Where it listens itself.
    api_url : str
        Address of the API, with `/v2`. This and the following are known once the sandbox has started.
    upload_url, download_url : str
        Origins that take and give the content of files.
    token : str
        The token of the first account, which is the only one until another is added.
    faults : Faults
        What goes wrong, and counts of what was asked. May be changed while the sandbox runs.
    article_id : int
        A draft made for trying: it has all that publication asks for, but files.

    Examples
    --------
    >>> with Sandbox(folder) as box:  # doctest: +SKIP
    ...     urlopen(f"{box.api_url}/licenses")
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        port: int = 0,
        settings: Settings = Settings(),  # noqa: B008
        faults: Faults | None = None,
        seen_as: Origins | None = None,
    ) -> None:
        self.data_dir = Path(data_dir).expanduser()
        self.ports: tuple[int, ...] = ()
        self._seen_as = seen_as
        self.port = port
        self.faults = faults or Faults()
        self._settings = settings
        self.api_url = self.upload_url = self.download_url = self.token = ""
        self.article_id = 0
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None
        self._state: State | None = None

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def settings(self) -> Settings:
        """Which behaviours of figshare are played."""
        return self._settings if self._server is None else self._server.context.settings

    def change(self, **settings: object) -> None:
        """Switch behaviours while the sandbox runs, or before: `change(latency_ms=50, md5_late="2s")`.

        Raises
        ------
        ValueError
            If there is no such switch, or a value does not fit.
        """
        self._settings = changed(self.settings, settings)
        if self._server is not None:
            self._server.context.settings = self._settings

    def add_account(self, name: str, quota: int | None = None, max_files: int | None = None) -> Account:
        """Make another account, with a token, articles and room of its own.

        Parameters
        ----------
        name : str
            The full name of its owner, who becomes an author of its articles.
        quota, max_files : int, optional
            Bytes of unpublished files, files in an article; as the settings say by default.

        Returns
        -------
        Account
            With `id`, `name` and `token`.
        """
        return self._inside(lambda context: context.accounts.add(name, quota, max_files))

    def mark(self, article_id: int, **shown: object) -> dict[str, Any]:
        """Change what readers see of an article: `mark(number, is_embargoed=True, embargo_type="file")`.

        What there is to say is :data:`onelight.sandbox.restrictions.KNOWN`; None takes something back.

        Returns
        -------
        dict
            All that was said of the article.
        """
        return self._inside(lambda context: control.said_of(context, article_id, shown))

    def _inside(self, function: Callable[[Context], _Result]) -> _Result:
        """Call a function in the thread of the server, where nothing is half done."""
        if self._server is None:
            raise ConfigError("The sandbox does not run", hint="Start it first.")
        return self._server.call(function)

    def start(self) -> None:
        """Start in the background; return when all origins answer.

        Raises
        ------
        ConfigError
            If the folder cannot be used or the port is taken.
        """
        if self._thread is not None:
            return
        with contextlib.ExitStack() as undo:
            state = State(self.data_dir)
            undo.callback(state.close)
            sockets = [undo.enter_context(_listening(port)) for port in (self.port, 0, 0)]
            self.ports = tuple(listener.getsockname()[1] for listener in sockets)
            origins = self._seen_as or Origins(*(f"http://{LOOPBACK}:{port}" for port in self.ports))
            context = Context(self._settings, state, origins, threading.Event(), self.faults)
            self.article_id = _article_for_trying(context)
            server = _Server(context, dict(zip(self.ports, _apps(context), strict=True)))
            thread = threading.Thread(target=server.run_until_stopped, args=(sockets,), name="onelight-sandbox")
            thread.daemon = True
            undo.pop_all()
        self._state, self._server, self._thread = state, server, thread
        self.api_url, self.upload_url, self.download_url = origins.api_url, origins.upload, origins.download
        self.token = state.token
        thread.start()
        server.answers.wait()

    def stop(self) -> None:
        """Stop: end the requests in hand, close all connections. What was answered is kept."""
        if self._thread is None or self._server is None or self._state is None:
            return
        self._server.context.stopping.set()
        self._server.should_exit = True
        self._thread.join()
        self._state.close()
        self._settings = self.settings
        self._thread = self._server = self._state = None

    def serve(self) -> None:
        """Run until SIGINT or SIGTERM. To be called from the main thread."""
        done = threading.Event()
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, lambda *_: done.set()) for number in numbers]
        try:
            self.start()
            while not done.wait(0.5):  # A wait without end cannot be interrupted on Windows.
                pass
        finally:
            self.stop()
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def _listening(port: int) -> socket.socket:
    """Return a socket that takes connections from this computer, and from nowhere else.

    Made with its protocol stated, for only then does asyncio set TCP_NODELAY on the connections
    (`asyncio.base_events._set_nodelay`), without which each answer takes 40 ms.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # A port that was in use a moment ago may be taken again; on Windows this means more.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigError(f"Port {port} cannot be used: {error}", hint="Choose another.") from error
    return listener


def _article_for_trying(context: Context) -> int:
    """Return the number of the draft that each sandbox begins with, made anew if it was deleted."""
    state = context.state
    known = state.value("SELECT a.id FROM articles a JOIN meta ON key = 'article' AND value = a.id")
    if known is not None:
        return int(known)
    usable = [c.id for c in context.settings.categories if c.is_selectable and c.is_allowed]
    with state.transaction():
        article_id = create(
            context,
            context.accounts.first.id,
            {
                "title": "Recordings for a rehearsal",
                "description": "An article of the sandbox: nothing in it leaves this computer.",
                "categories": usable[:1],
                "keywords": ["neurophysiology", "rehearsal"],
                "authors": [context.accounts.first.as_author()],
            },
        )
        state.run("INSERT OR REPLACE INTO meta VALUES ('article', ?)", str(article_id))
    return article_id


def _apps(context: Context) -> list[ASGIApp]:
    """Return what answers at each origin: API, upload, download."""
    downloads = Downloads(context)
    article = [
        *Files(context).addresses(),
        *Publishing(context).addresses(),
        *Details(context).addresses(),
        *PrivateLinks(context).addresses(),
        *Restrictions(context).addresses(),
    ]
    api = [
        *_routes("/v2/account/articles/{article_id:int}", article),
        *_routes("/v2/account/articles", Articles(context).addresses()),
        *_routes("/v2/articles", Public(context).addresses()),
        *_routes("", downloads.api_addresses()),
        *_routes("/v2", Catalogue(context).addresses()),
        *_routes(CONTROL, Control(context).addresses()),
    ]
    routes = [api, _routes("", Uploads(context).addresses()), _routes("", downloads.signed_addresses())]
    return [_app(context, origin, own) for origin, own in zip(ORIGINS, routes, strict=True)]


def _routes(above: str, addresses: list[Address]) -> list[Route]:
    return [
        Route(above + path, _Answering(handler, above + path), methods=methods.split())
        for methods, path, handler in addresses
    ]


class _Answering:
    """What answers at an address, without the layer for errors that starlette puts around each function."""

    def __init__(self, handler: Handler, template: str) -> None:
        self._handler = handler
        self._template = template.replace(":int}", "}").replace(":path}", "}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[COUNT](self._template)
        answer = await self._handler(Request(scope, receive, send))
        await answer(scope, receive, send)


def _app(context: Context, origin: str, routes: list[Route]) -> ASGIApp:
    return Starlette(
        routes=routes,
        middleware=[Middleware(Faulty, context=context, origin=origin)],
        exception_handlers={
            ApiError: on_api_error,
            HTTPException: on_http_error,
            OverflowError: on_odd_value,
            UnicodeEncodeError: on_odd_value,
        },
    )


class _Server(uvicorn.Server):
    """One uvicorn for all origins; which one is meant is seen from the port."""

    def __init__(self, context: Context, apps: dict[int, ASGIApp]) -> None:
        async def by_port(scope: Scope, receive: Receive, send: Send) -> None:
            await apps[scope["server"][1]](scope, receive, send)

        super().__init__(
            uvicorn.Config(
                by_port,
                loop="asyncio",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        self.context = context
        self.answers = threading.Event()
        context.cut, context.waiting = self._cut, self._waiting

    def run_until_stopped(self, sockets: list[socket.socket]) -> None:
        """Serve, in a thread of its own."""
        try:
            asyncio.run(self._main(sockets))
        finally:
            self.answers.set()

    def call(self, function: Callable[[Context], _Result]) -> _Result:
        """Call a function in the thread of the server, from another one."""

        async def called() -> _Result:
            return function(self.context)

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(CALL_SECONDS)

    async def _main(self, sockets: list[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
        checks.resume(self.context)
        await self.serve(sockets)
        for task in list(self.context.tasks):
            task.cancel()
        await asyncio.gather(*self.context.tasks, return_exceptions=True)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the thread that waits for it when the server answers."""
        await super().startup(sockets)
        self.answers.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the connections of requests that hang, which uvicorn would wait for."""
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._abort)
        await super().shutdown(sockets)

    def _transport(self, scope: Scope) -> asyncio.Transport | None:
        """Return the connection that a request came on."""
        for connection in list(self.server_state.connections):
            ends = (getattr(connection, "client", None), getattr(connection, "server", None))
            if ends == (scope["client"], scope["server"]):
                transport: asyncio.Transport | None = getattr(connection, "transport", None)
                return transport
        return None

    def _cut(self, scope: Scope) -> None:
        """Cut the connection of a request: its client sees a reset, and nothing more of what was sent."""
        transport = self._transport(scope)
        if transport is not None:
            connection = transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            transport.abort()

    def _waiting(self, scope: Scope) -> int:
        """Return how many bytes wait in this process to be sent on the connection of a request."""
        transport = self._transport(scope)
        return 0 if transport is None else transport.get_write_buffer_size()

    def _abort(self) -> None:
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
