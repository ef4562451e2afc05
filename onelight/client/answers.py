"""What a server answers, and which error an answer is, or the want of one."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timezone
from typing import Any, NoReturn

from onelight.errors import (
    AccessDenied,
    NotFound,
    QuotaExceeded,
    RateLimited,
    RepositoryError,
    TransferError,
    Unreachable,
)
from onelight.route import redact

MAX_ERROR_BODY = 64 * 1024
#: Seconds; what a server asks for beyond this is for ever.
MAX_WAIT = 1e9
#: Answers that mean "try again": those of curl's --retry, and those of a place that somebody else is writing to.
PASSING = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504, 522, 524})


@dataclass(slots=True)
class Response:
    """An answer: status, headers (lower-case names), the body where it was kept, and the address that gave it."""

    url: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """Return the body as JSON, whatever its stated type: figshare serves some of it as text/html."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            shown = self.body[:80].decode("utf-8", "replace")
            raise RepositoryError(
                f"{redact(self.url)} answered {self.status} with something that is not JSON: {shown!a}",
                hint="Is this the address of the right server? Try again later if it is",
            ) from error

    @property
    def size(self) -> int | None:
        """Bytes of the body as the server states them."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() and len(text) < 20 else None


class NoConnection(Unreachable):
    """The server was never reached, so that any request may be sent again."""


class Untrusted(Unreachable):
    """A server whose certificate does not hold: asking again does not help, and asking without is not done."""


class Offline(Unreachable):
    """Nobody was asked, because the user wants it so."""


class Walled(AccessDenied):
    """A page that refuses, in place of words of the server's own: a firewall may have written it."""


class Challenged(Unreachable):
    """A firewall that wants to see a browser. To ask again at the same address does not help."""


def raise_for_status(response: Response, method: str) -> None:
    """Raise the error that fits a status of 400 or more, with the words of the server."""
    status = response.status
    if status < 400:
        return
    where = f"{redact(response.url)} answered {status} {_phrase(status)}".rstrip()
    said = server_message(response)
    message = f"{where}: {said}" if said else where
    wait = retry_after(response.headers)
    if status in (429, 503) and wait is not None:
        raise RateLimited(message, hint=f"Come back in {round(wait)} s: the same command continues", retry_after=wait)
    if status in PASSING:
        raise Unreachable(message, hint="This usually passes: try the same command again in a while")
    if status in (400, 495, 496) and "ssl certificate" in said.lower():  # nginx says so instead of hanging up
        hint = "This server wants to see a certificate: onelight add-repo NAME --replace --http URL --certificate FILE"
        raise AccessDenied(message, hint=hint)
    if status == 407:
        raise AccessDenied(message, hint="The proxy wants a password: http://USER:PASSWORD@HOST:PORT in http_proxy")
    if status == 401:
        hint = "Give this repository a token or a password that is valid: onelight add-repo --help says how"
        raise AccessDenied(message, hint=hint)
    if status == 403 and response.body.lstrip()[:1] == b"<":
        raise Walled(message, hint="Check the token or password of this repository, or try again later")
    if status == 403:
        raise AccessDenied(message, hint="Check the token or password of this repository")
    if status in (404, 410):
        raise NotFound(message, hint="Check the address of this repository")
    if status in (413, 507):
        raise QuotaExceeded(message, hint="Make room on the server, or share fewer or smaller files")
    raise RepositoryError(f"{message} (to {method})", hint="Check the address of this repository")


def raise_for_want_of_data(response: Response) -> NoReturn:
    """Raise the error that fits an answer to a download that brings no data."""
    challenge = response.headers.get("x-amzn-waf-action")  # with 202 or 405, as others saw at figshare
    if not challenge:
        raise_for_status(response, "GET")
    reason = f", a firewall's {challenge} for browsers" if challenge else ""
    kind = Challenged if challenge or response.status == 202 else TransferError
    raise kind(
        f"{redact(response.url)} answered {response.status} without data{reason}",
        hint="Try again later, or from another network; tell whoever shares the repository",
    )


def _phrase(status: int) -> str:
    import http  # takes a millisecond, and errors are rare

    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def refuse_redirect(response: Response, method: str) -> None:
    """Raise for a redirect that was not followed: it is no answer to what was sent."""
    if 300 <= response.status < 400 and response.status != 304:
        raise RepositoryError(
            f"{redact(response.url)} answered {response.status} to {method}: it leads elsewhere, and was not followed",
            hint="Check the address of this repository",
        )


def server_message(response: Response) -> str:
    """Return what a server says of an error, in one line: the message of a JSON body, or the first line of a text."""
    text = response.body[:MAX_ERROR_BODY].decode("utf-8", "replace").strip()
    if text.startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            said = json.loads(text)
            text = str(said.get("message") or said.get("code") or "")
    elif text.startswith("<"):
        found = re.search(r"<(title|Message)>\s*([^<]*)", text, re.IGNORECASE)
        text = found[2].strip() if found else ""
    line = text.splitlines()[0][:512] if text else ""
    return "".join(char if char.isprintable() else " " for char in line).strip()


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, or None where it asks for nothing sensible.

    A date is measured against the ``Date`` of the same answer, because clocks differ (RFC 9110, 10.2.3).

    Examples
    --------
    >>> retry_after({"retry-after": "120"}), retry_after({"retry-after": "soon"})
    (120.0, None)
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), MAX_WAIT)
    then = _http_date(text)
    if then is None:
        return None
    said_now = _http_date(headers.get("date", ""))
    return max(0.0, then - (said_now or now or time.time()))


def _http_date(text: str) -> float | None:
    import email.utils  # takes a while, and is rarely needed

    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
