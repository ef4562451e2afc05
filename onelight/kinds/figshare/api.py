"""figshare's API: how it is asked, at which pace, and how its answers are read."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from onelight.client import Client, Response
from onelight.config import FIGSHARE_API
from onelight.errors import AccessDenied, NotFound, OneError, RepositoryError, RepositoryNotFound
from onelight.route import Credential, is_loopback, origin_of, redact

T = TypeVar("T")

PAGE = 1000  # the most rows that figshare gives at a time
#: figshare asks for no more ("Rate limit" in its documentation), and in 2026 asked one client to stop its tests.
REQUESTS_PER_SECOND = 1.0
HOW_TO_SIGN_IN = (
    "Make a personal token at https://figshare.com/account/applications and put it into the environment as "
    "FIGSHARE_TOKEN, or into the configuration: onelight add-repo NAME --figshare ID --token-stdin"
)


class Api:
    """The API, for one account or for the public.

    Parameters
    ----------
    client : Client
        The HTTP client.
    url : str
        Address of the API: figshare's, or a sandbox's.
    token : str
        Personal token of the owner; empty to read what is public.
    rate : float, optional
        Requests a second at the most, 0 for any number; by default as figshare asks, and any number of a sandbox.
    """

    def __init__(self, client: Client, url: str, token: str, rate: float | None = None) -> None:
        self.client = client
        self.url = url.rstrip("/")
        self.token = token
        self.credential = Credential(origin_of(self.url), header=f"token {token}") if token else None
        if rate is None:
            host = origin_of(self.url).rpartition(":")[0].partition("://")[2]
            rate = 0.0 if is_loopback(host.strip("[]")) else REQUESTS_PER_SECOND
        self.rate = rate
        client.set_pace(self.url, rate)

    def anonymous(self) -> Api:
        """Return the API as the public sees it, asked at the same pace."""
        return Api(self.client, self.url, "", self.rate)

    @property
    def interval(self) -> float:
        """Seconds between two requests, 0 where there is no limit."""
        return 1.0 / self.rate if self.rate > 0 else 0.0

    @property
    def is_figshare(self) -> bool:
        """Whether this is figshare itself, and not a sandbox."""
        return self.url == FIGSHARE_API

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, repeat: bool | None = None
    ) -> Response:
        """Ask the API; ``path`` is relative to it, or an address that it gave."""
        url = path if path.startswith(("http://", "https://")) else f"{self.url}/{path}"
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body).encode() if body is not None else None
        try:
            return self.client.request(
                method, url, credential=self.credential, headers=headers, body=data, repeat=repeat
            )
        except AccessDenied as error:
            raise AccessDenied(f"figshare refuses access: {error.message}", hint=HOW_TO_SIGN_IN) from error
        except NotFound as error:
            if "Not allowed to set" in error.message:  # so it answers for a category that it lists (seen in 2026)
                raise RepositoryError(
                    f"figshare does not let this account choose that: {error.message}",
                    hint="Choose another category: `onelight metadata categories` lists them, some for few accounts",
                ) from error
            if re.search(r"not found: Author\b", error.message):
                raise RepositoryError(
                    f"figshare knows no author of that number: {error.message}",
                    hint="Leave the id of the authors out of one.toml; their names and ORCIDs are enough",
                ) from error
            raise RepositoryNotFound(
                f"figshare does not know this: {error.message}",
                hint="Is the article_id right? A draft can be read with its owner's token only",
            ) from error

    def record(self, path: str) -> dict[str, Any]:
        """Return the answer of one address, which is an object."""
        answer = self.call("GET", path)
        with as_documented(answer.url):
            return dict(answer.json())

    def rows(self, path: str, *, most: int = 100_000) -> Iterator[dict[str, Any]]:
        """Return the rows of a list, page by page, until a page is not full: no answer says how many there are."""
        mark = "&" if "?" in path else "?"
        count = 0
        for page in range(1, most // PAGE + 2):
            rows = self.call("GET", f"{path}{mark}page={page}&page_size={PAGE}").json()
            if not isinstance(rows, list):
                raise RepositoryError(
                    f"{self.url} answered with something that is not a list",
                    hint="Is this the address of figshare's API, or of a sandbox? Try again later if it is",
                )
            with as_documented(self.url):
                yield from map(dict, rows)
            count += len(rows)
            if len(rows) < PAGE or count >= most:
                return


@contextlib.contextmanager
def as_documented(url: str) -> Iterator[None]:
    """Turn an answer of another form than figshare documents into an error that says so."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, OneError):
            raise
        raise RepositoryError(
            f"{redact(url)} answered in another form than figshare documents ({type(error).__name__}: {error})",
            hint="Is this the address of figshare's API, or of a sandbox?",
        ) from error


def is_conflict(error: OneError) -> bool:
    """Tell whether a server said 409: for what is sent to the API, no repetition makes that better."""
    return re.search(r" answered 409\b", error.message) is not None
