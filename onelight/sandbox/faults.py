"""What goes wrong on purpose, and how often; and a count of what was asked, and of what went wrong.

A fault is a name and a probability. Most happen to requests: one that is hit is answered with an error, is cut off, or
has to wait. Some happen to files, once each, when their content is complete.

::

    faults = Faults(seed=3)
    faults.set("reset-after", 0.02)                              # at every origin
    faults.set("error503", 1, times=2, method="POST", path="/publish")
    with Sandbox(folder, faults=faults) as box:
        ...
        print(faults.played, faults.requests("api", "POST"))

Each fault has a sequence of chances of its own, from the seed and its name: a rehearsal that asks the same in the same
order meets the same faults, and one more kind of fault does not move the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import Response

from onelight.sandbox.answers import json_answer
from onelight.sandbox.state import packed
from onelight.sandbox.switches import nearest, plain

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from onelight.sandbox.context import Context

API, UPLOAD, DOWNLOAD = ORIGINS = ("api", "upload", "download")
DOWNLOADS = r"^/files/\d+$"
CONTENT = r"^/files/\d+$|^/v2/file/download/|^/pfigshare-u-files/"
# The endpoint that controls the sandbox is no part of figshare: it is not counted, and nothing goes wrong there.
CONTROL = "/control"
# The key under which a request's scope has what counts it; called with the route, by what answers there.
COUNT = "onelight.count"

_PROBABILITY = re.compile(r"([0-9.]+%?)(?:\s*[x*]\s*([0-9]+))?", re.IGNORECASE)
# An answer that is cut off mid-body gets this long to leave, so that its first bytes arrive.
_LEAVING_SECONDS = 1.0
# A slow answer is sent in pieces, so many a second.
_PIECES_A_SECOND = 10


class Kind(NamedTuple):
    """A kind of fault.

    Parameters
    ----------
    means : str
        What happens.
    origins : tuple of str
        Where, unless a rule says otherwise; empty for what happens to files.
    path : str
        A regular expression that is looked for in the path of a request, unless a rule says otherwise.
    """

    means: str
    origins: tuple[str, ...] = ORIGINS
    path: str = ""


KINDS = {
    "waf202": Kind(
        "Downloads at /files/ID answer 202 with an empty body and `x-amzn-waf-action: challenge`.", (API,), DOWNLOADS
    ),
    "waf403": Kind("Downloads at /files/ID answer 403 with nginx's page of HTML.", (API,), DOWNLOADS),
    "waf405": Kind("Downloads at /files/ID answer 405 with `x-amzn-waf-action: captcha`.", (API,), DOWNLOADS),
    "error500": Kind("500 instead of an answer; the request is not handled."),
    "error502": Kind("502 instead of an answer; the request is not handled."),
    "error503": Kind("503 instead of an answer; the request is not handled."),
    "5xx": Kind("One of 500, 502 and 503 instead of an answer; the request is not handled."),
    "429": Kind("429 with `Retry-After`; the request is not handled.", (API,)),
    "reset": Kind("The connection is cut before the request is handled."),
    "reset_after": Kind("The connection is cut after the request was handled, before its answer."),
    "reset_body": Kind("The connection is cut in the middle of the content of a file.", (API, DOWNLOAD), CONTENT),
    "slow": Kind("The content of a file comes slowly (switch slow).", (API, DOWNLOAD), CONTENT),
    "lost": Kind("The request is handled, and its answer never comes (switch lost)."),
    "ic_failure": Kind("A file ends in `ic_failure`, though its bytes are right.", ()),
    "md5_late": Kind("A file's `computed_md5` comes late (switch md5-late, then 2s by default).", ()),
    "md5_missing": Kind("A file's `computed_md5` never comes.", ()),
    "stuck": Kind("A file stays in `moving_to_final`, with its md5.", ()),
}


def kind_name(name: str) -> str:
    """Return the name of a kind of fault as the table has it.

    Raises
    ------
    ValueError
        If there is none; the message names one that is like it.

    Examples
    --------
    >>> kind_name("reset-after")
    'reset_after'
    >>> kind_name("waf200")
    Traceback (most recent call last):
        ...
    ValueError: there is no fault 'waf200'; is 'waf202' meant?
    """
    if plain(name) not in KINDS:
        raise ValueError(f"there is no fault {name!r}{nearest(name, KINDS)}")
    return plain(name)


def parsed(text: str) -> tuple[str, float, int | None]:
    """Return name, probability and most times of a fault from a text.

    >>> parsed("waf202=0.1"), parsed("reset-after=1x3"), parsed("5xx=5%")
    (('waf202', 0.1, None), ('reset_after', 1.0, 3), ('5xx', 0.05, None))
    """
    name, equals, rest = text.partition("=")
    kind = kind_name(name)
    match = _PROBABILITY.fullmatch(rest.strip()) if equals else None
    if match is None:
        raise ValueError(f"{text!r} has no probability; write {name}=0.1, or {name}=1x3 for the first three")
    return kind, _probability(match[1]), int(match[2]) if match[2] else None


def _probability(text: str) -> float:
    try:
        value = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is no probability: it is from 0 to 1")
    return value


@dataclass
class Rule:
    """One fault that is on.

    Parameters
    ----------
    name : str
        Its kind.
    probability : float
        From 0 to 1.
    times : int or None
        How often it still happens; None for no limit.
    origin, method, path : str
        To which requests; empty for those of its kind. `path` is a regular expression that is looked for.
    """

    name: str
    probability: float
    times: int | None = None
    origin: str = ""
    method: str = ""
    path: str = ""
    chances: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def fits(self, origin: str, method: str, path: str) -> bool:
        """Tell whether a request is one of those that this happens to."""
        kind = KINDS[self.name]
        return (
            (origin == self.origin if self.origin else origin in kind.origins)
            and self.method in ("", method)
            and re.search(self.path or kind.path, path) is not None
        )

    def strikes(self) -> bool:
        """Tell whether it happens now, and take note."""
        if self.times == 0 or self.chances.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """What goes wrong, and what was asked. May be changed at any time, from any thread.

    Parameters
    ----------
    seed : int
        What decides when faults happen.

    Attributes
    ----------
    rules : dict
        The faults that are on, by name.
    counts : Counter
        Requests that were handled, by origin, method and route, such as
        `("api", "GET", "/v2/account/articles/{article_id}/files")`.
    played : Counter
        Faults that happened, by name.
    played_at : Counter
        Faults that happened to requests, by name, origin, method and path without its numbers.
    """

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.rules: dict[str, Rule] = {}
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.played: Counter[str] = Counter()
        self.played_at: Counter[tuple[str, str, str, str]] = Counter()
        self._lock = threading.Lock()

    def set(
        self,
        name: str,
        probability: float = 1.0,
        *,
        times: int | None = None,
        origin: str = "",
        method: str = "",
        path: str = "",
    ) -> None:
        """Switch a fault on, in place of one of the same name; with a probability of 0, off.

        Parameters
        ----------
        name : str
            One of `KINDS`; hyphens and underscores are the same.
        probability : float
            From 0 to 1.
        times : int, optional
            How often at most.
        origin, method, path : str
            To which requests, other than what is usual for the fault.

        Raises
        ------
        ValueError
            If the name is not known, or a value does not fit.
        """
        self.install([_rule(self.seed, name, probability, times, origin, method, path)])

    def rules_of(self, faults: Mapping[str, Any], seed: int | None = None) -> list[Rule]:
        """Return the rules that the control endpoint is told: each a probability, a text, or an object."""
        chosen = self.seed if seed is None else seed
        rules = []
        for name, value in faults.items():
            if isinstance(value, str):
                rules.append(_rule(chosen, *parsed(f"{name}={value}")))
            else:
                stated = value if isinstance(value, Mapping) else {"probability": value}
                rules.append(_rule(chosen, name, **_checked(name, stated)))
        return rules

    def install(self, rules: Iterable[Rule]) -> None:
        """Put rules in place of those of the same names; one with a probability of 0 switches its fault off."""
        with self._lock:
            for rule in rules:
                self.rules.pop(rule.name, None)
                if rule.probability:
                    self.rules[rule.name] = rule

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self.rules.clear()

    def reset_counts(self) -> None:
        """Count from nothing again."""
        with self._lock:
            self.counts.clear()
            self.played.clear()
            self.played_at.clear()

    def requests(self, origin: str = "", method: str = "", route: str = "") -> int:
        """Return how many requests were handled: all, or of an origin, a method, routes with this text."""
        with self._lock:
            return sum(
                count
                for (place, verb, template), count in self.counts.items()
                if origin in ("", place) and method in ("", verb) and route in template
            )

    def stated(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        with self._lock:
            return {
                "seed": self.seed,
                "faults": {
                    rule.name: {
                        "probability": rule.probability,
                        "times": rule.times,
                        "origin": rule.origin,
                        "method": rule.method,
                        "path": rule.path,
                    }
                    for rule in self.rules.values()
                },
                "counts": {" ".join(key): count for key, count in sorted(self.counts.items())},
                "requests": sum(self.counts.values()),
                "played": dict(sorted(self.played.items())),
                "played_at": {" ".join(key): count for key, count in sorted(self.played_at.items())},
            }

    # What the server asks. --------------------------------------------------------------------------------------

    def count(self, origin: str, method: str, template: str) -> None:
        """Take note of a request that is handled."""
        with self._lock:
            self.counts[origin, method, template] += 1

    def strike(self, origin: str, method: str, path: str) -> Rule | None:
        """Return the fault that a request meets, if any."""
        with self._lock:
            for rule in self.rules.values():
                if rule.fits(origin, method, path) and rule.strikes():
                    self.played[rule.name] += 1
                    self.played_at[rule.name, origin, method, without_numbers(path)] += 1
                    return rule
        return None

    def of_file(self) -> list[str]:
        """Return what goes wrong with a file that is now complete."""
        with self._lock:
            struck = [rule.name for rule in self.rules.values() if not KINDS[rule.name].origins and rule.strikes()]
            self.played.update(struck)
        return struck


def without_numbers(path: str) -> str:
    """Return a path without what differs from file to file.

    >>> without_numbers("/v2/account/articles/27000001/files/53000001")
    '/v2/account/articles/{}/files/{}'
    """
    return re.sub(r"/(?:[0-9]+|[0-9a-f-]{20,})(?=/|$)", "/{}", path)


def _rule(
    seed: int,
    name: str,
    probability: float = 1.0,
    times: int | None = None,
    origin: str = "",
    method: str = "",
    path: str = "",
) -> Rule:
    name = kind_name(name)
    if not 0 <= probability <= 1:
        raise ValueError(f"{name}: {probability} is no probability: it is from 0 to 1")
    if times is not None and times < 0:
        raise ValueError(f"{name}: {times} is no number of times")
    if origin and origin not in ORIGINS:
        raise ValueError(f"{name}: there is no origin {origin!r}{nearest(origin, ORIGINS)}")
    _check_expression(name, path)
    chances = random.Random(f"{seed} {name}")  # noqa: S311 - must be the same each time
    return Rule(name, probability, times, origin, method.upper(), path, chances)


def _check_expression(name: str, path: str) -> None:
    try:
        re.compile(path)
    except re.error as error:
        raise ValueError(f"{name}: {path!r} is no regular expression: {error}") from None


_RULE: dict[str, tuple[type, ...]] = {
    "probability": (int, float),
    "times": (int, type(None)),
    "origin": (str,),
    "method": (str,),
    "path": (str,),
}


def _checked(name: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON says of a fault, if each of its values is of the right type."""
    for key, given in rule.items():
        if key not in _RULE:
            raise ValueError(f"{name}: there is no {key!r}{nearest(str(key), _RULE)}")
        if isinstance(given, bool) or not isinstance(given, _RULE[key]):
            raise ValueError(f"{name}: {key} cannot be {given!r}")  # noqa: TRY004 - as for any value that does not fit
    return dict(rule)


# ---------------------------------------------------------------------------------------------------------------
# Playing them
# ---------------------------------------------------------------------------------------------------------------


class Passage(NamedTuple):
    """One request on its way through the faults."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    context: Context
    origin: str
    rule: Rule

    async def handle(self, send: Send) -> None:
        """Let it be handled, its answer going elsewhere."""
        await self.app(self.scope, self.receive, send)

    async def answer(self, response: Response) -> None:
        """Answer in place of what would."""
        await response(self.scope, self.receive, self.send)

    async def cut(self) -> None:
        """Cut the connection, and wait until that is noticed."""
        self.context.cut(self.scope)
        await self.gone(5.0)

    async def gone(self, seconds: float) -> None:
        """Wait until the client has gone, or so long."""
        try:
            await asyncio.wait_for(_disconnected(self.receive), seconds)
        except asyncio.TimeoutError:
            return


class Faulty:
    """What stands before all addresses of an origin: it counts, delays, and plays the faults.

    Parameters
    ----------
    app : ASGIApp
        What answers if nothing goes wrong.
    context : Context
        The sandbox.
    origin : str
        Which of the three this is.
    """

    def __init__(self, app: ASGIApp, context: Context, origin: str) -> None:
        self.app = app
        self.context = context
        self.origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or play a fault."""
        path: str = scope["path"]
        if path.startswith(CONTROL) and self.origin == API:
            scope[COUNT] = _uncounted
            await self.app(scope, receive, send)
            return
        scope[COUNT] = functools.partial(self.context.faults.count, self.origin, scope["method"])
        delay = self._delay()
        if delay:
            await asyncio.sleep(delay)
        faults = self.context.faults
        rule = faults.strike(self.origin, scope["method"], path) if faults.rules else None
        if rule is None:
            await self.app(scope, receive, send)
        else:
            await _PLAYED[rule.name](Passage(self.app, scope, receive, send, self.context, self.origin, rule))

    def _delay(self) -> float:
        settings = self.context.settings
        return (settings.latency_ms + int(getattr(settings, f"latency_{self.origin}_ms"))) / 1000


def _uncounted(_template: str) -> None:
    """Take no note of a request."""


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _nothing(_message: Message) -> None:
    """Take an answer, and send it nowhere."""


def _page(status: int, words: str) -> Response:
    """Return a page as nginx writes one."""
    title = f"{status} {words}"
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Response(body, status, media_type="text/html")


def _error(status: int, words: str) -> Callable[[Passage], Awaitable[None]]:
    """Return what plays an error: a page of HTML from the API, nothing from the uploads, XML from S3."""

    async def play(passage: Passage) -> None:
        if passage.origin == UPLOAD:
            response = Response(status_code=status)
        elif passage.origin == DOWNLOAD:
            code = {500: "InternalError", 502: "BadGateway", 503: "SlowDown"}[status]
            text = (
                f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{words}</Message></Error>'
            )
            response = Response(text, status, media_type="application/xml")
        elif status == 500:
            response = json_answer({"message": words, "code": "InternalServerError"}, status)
        else:
            response = _page(status, words)
        await passage.answer(response)

    return play


_ERRORS = {
    "error500": _error(500, "Internal Server Error"),
    "error502": _error(502, "Bad Gateway"),
    "error503": _error(503, "Service Temporarily Unavailable"),
}


async def _any_error(passage: Passage) -> None:
    name = passage.rule.chances.choice(sorted(_ERRORS))
    await _ERRORS[name](passage)


async def _waf202(passage: Passage) -> None:
    await passage.answer(Response(b"", 202, {"x-amzn-waf-action": "challenge"}, media_type="text/html"))


async def _waf403(passage: Passage) -> None:
    await passage.answer(_page(403, "Forbidden"))


async def _waf405(passage: Passage) -> None:
    await passage.answer(Response(b"", 405, {"x-amzn-waf-action": "captcha"}, media_type="text/html"))


async def _too_many(passage: Passage) -> None:
    seconds = passage.context.settings.retry_after_seconds
    body = packed({"message": "Too many requests", "code": "TooManyRequests"})
    headers = {"retry-after": str(seconds)} if seconds else {}
    await passage.answer(Response(body, 429, headers, media_type="application/json"))


async def _reset(passage: Passage) -> None:
    await passage.cut()


async def _reset_after(passage: Passage) -> None:
    await passage.handle(_nothing)
    await passage.cut()


async def _lost(passage: Passage) -> None:
    await passage.handle(_nothing)
    await passage.gone(passage.context.settings.lost_seconds)
    await passage.cut()


class _Cut(Exception):
    """The rest of an answer is not wanted."""


async def _reset_body(passage: Passage) -> None:
    """Send the beginning of an answer, then cut; one without a body is cut before its answer."""
    left = 0

    async def send_some(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.start":
            left = _share(message, passage.rule.chances)
            if left:
                await passage.send(message)
            return
        body: bytes = message.get("body", b"")
        piece = body[:left]
        left -= len(piece)
        if piece:
            await passage.send({"type": "http.response.body", "body": piece, "more_body": True})
        if left <= 0:
            raise _Cut

    with contextlib.suppress(_Cut):
        await passage.handle(send_some)
    await _leave(passage)
    await passage.cut()


def _share(start: Message, chances: random.Random) -> int:
    """Return after how many bytes of its body an answer is cut: at least one, and not all; 0 if it has none."""
    headers = dict(start["headers"])
    if start["status"] not in (200, 206):
        return 0
    size = int(headers[b"content-length"]) if b"content-length" in headers else 1000
    return 0 if size < 2 else chances.randrange(1, size)


async def _leave(passage: Passage) -> None:
    """Wait until what was sent has left this process."""
    for _ in range(int(_LEAVING_SECONDS / 0.01)):
        if passage.context.waiting(passage.scope) == 0:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.02)


async def _slow(passage: Passage) -> None:
    async def send_slowly(message: Message) -> None:
        body: bytes = message.get("body", b"")
        if message["type"] != "http.response.body" or not body:
            await passage.send(message)
            return
        count = max(1, passage.context.settings.slow_rate // _PIECES_A_SECOND)
        for start in range(0, len(body), count):
            piece = body[start : start + count]
            await asyncio.sleep(len(piece) / passage.context.settings.slow_rate)
            is_last = start + count >= len(body) and not message.get("more_body", False)
            await passage.send({"type": "http.response.body", "body": piece, "more_body": not is_last})

    await passage.handle(send_slowly)


_PLAYED: dict[str, Callable[[Passage], Awaitable[None]]] = {
    **_ERRORS,
    "5xx": _any_error,
    "waf202": _waf202,
    "waf403": _waf403,
    "waf405": _waf405,
    "429": _too_many,
    "reset": _reset,
    "reset_after": _reset_after,
    "reset_body": _reset_body,
    "slow": _slow,
    "lost": _lost,
}
