"""What every answer has in common: errors, JSON, addresses of new things, pages of lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from onelight.sandbox.state import packed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onelight.sandbox.settings import Settings

LARGEST_JSON = 4 * 2**20
LAST_PAGE = 5000
LARGEST_OFFSET = 5000
MOST_DIGITS = 9


class ApiError(Exception):
    """A refusal, as figshare words it: a status, a text, and a code that is a string.

    The specification says that the code is a number; the live service sends strings.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def bad_request(message: str) -> ApiError:
    """Return the error for a body that does not fit the schema."""
    return ApiError(400, "BadRequest", message)


def not_found(what: str) -> ApiError:
    """Return the error for something that is not there, or not for the one who asks."""
    return ApiError(404, "EntityNotFound", f"Entity not found: {what}")


def unprocessable(message: str) -> ApiError:
    """Return the error for parameters that contradict each other or the limits."""
    return ApiError(422, "UnprocessableEntity", message)


def json_answer(body: object, status: int = 200, *, location: str = "", as_html: bool = False) -> Response:
    """Answer with JSON, labelled as such or, as figshare does for new things, as HTML."""
    headers = {"location": location} if location else None
    return Response(packed(body).encode(), status, headers, media_type="text/html" if as_html else "application/json")


def updated(settings: Settings, location: str) -> Response:
    """Answer to a change that was made: 205, without a body unless the settings ask for one."""
    if settings.update_body:
        return json_answer({"location": location, "warnings": []}, 205, location=location)
    return Response(status_code=205, headers={"location": location})


async def on_api_error(_request: Request, error: Exception) -> Response:
    """Turn a refusal into its answer."""
    if not isinstance(error, ApiError):
        raise error
    return json_answer({"message": error.message, "code": error.code}, error.status)


async def on_odd_value(_request: Request, error: Exception) -> Response:
    """Refuse what no column can hold: text that is no Unicode, numbers of more than 64 bits."""
    refusal = not_found("Number") if isinstance(error, OverflowError) else bad_request("The body is not valid Unicode")
    return await on_api_error(_request, refusal)


async def on_http_error(_request: Request, error: Exception) -> Response:
    """Word the framework's own 404 and 405 as figshare would."""
    status = getattr(error, "status_code", 500)
    if status == 404:
        return json_answer({"message": "Not found", "code": "NotFound"}, 404)
    return json_answer({"message": "Method not allowed", "code": "MethodNotAllowed"}, status)


async def read_json(request: Request, *, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the object that a request carries.

    Parameters
    ----------
    request : Request
        The request.
    default : dict, optional
        What an empty body means; without it an empty body is an error.

    Raises
    ------
    ApiError
        400 if the body is no JSON object, 413 if it is too large to be one.
    """
    content = bytearray()
    try:
        async for piece in request.stream():
            content += piece
            if len(content) > LARGEST_JSON:
                raise ApiError(413, "RequestEntityTooLarge", "The body is too large")
    except ClientDisconnect:
        raise bad_request("The body is incomplete") from None
    if not content and default is not None:
        return default
    try:
        body = json.loads(content)
    except ValueError:
        raise bad_request("The body is not valid JSON") from None
    if not isinstance(body, dict):
        raise bad_request(f"{body!r} is not of type 'object'")
    return body


def paging(request: Request, settings: Settings) -> tuple[int, int]:
    """Return how many rows are asked for, and from which one on.

    Either `page` and `page_size`, or `limit` and `offset`; both styles together are refused (figshare API,
    "Pagination").
    """
    return page_of(request.query_params, settings)


def page_of(query: Mapping[str, str], settings: Settings) -> tuple[int, int]:
    """Return the same from a question that need not stand in an address."""
    if not query:
        return settings.page_default, 0
    by_page = "page" in query or "page_size" in query
    if by_page and ("limit" in query or "offset" in query):
        raise unprocessable("Mixing page/page_size with limit/offset is not allowed")
    if by_page:
        rows = _number(query, "page_size", settings.page_default, 1, settings.page_max)
        return rows, rows * (_number(query, "page", 1, 1, LAST_PAGE) - 1)
    rows = _number(query, "limit", settings.page_default, 1, settings.page_max)
    return rows, _number(query, "offset", 0, 0, LARGEST_OFFSET)


def _number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS or not least <= int(text) <= most:
        raise unprocessable(f"{name}: {text} is not a number from {least} to {most}")
    return int(text)
