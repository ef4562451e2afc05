"""Which pace figshare is asked at, and that nothing is asked of its API at another."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable

import pytest
from boxes import Recorded, Seen

from onelight.client import Client
from onelight.errors import Unreachable
from onelight.kinds.figshare.api import REQUESTS_PER_SECOND, Api
from onelight.route import Route


@pytest.mark.parametrize(
    ("url", "rate", "expected"),
    [
        ("https://api.figshare.com/v2", None, REQUESTS_PER_SECOND),
        ("https://api.figsh.com/v2", None, REQUESTS_PER_SECOND),
        ("http://127.0.0.1:8000/v2", None, 0.0),
        ("http://localhost:8000/v2", None, 0.0),
        ("http://[::1]:8000/v2", None, 0.0),
        ("https://api.figshare.com/v2", 0.25, 0.25),
        ("https://api.figshare.com/v2", 0, 0),
        ("http://127.0.0.1:8000/v2", 3, 3),
    ],
)
def test_figshare_is_asked_once_a_second_and_a_sandbox_as_often_as_one_likes(
    client: Client, url: str, rate: float | None, expected: float
) -> None:
    assert Api(client, url, "", rate).rate == expected


def test_the_public_view_is_asked_at_the_pace_of_the_owner(client: Client) -> None:
    api = Api(client, "https://api.figshare.com/v2", "token")
    assert api.anonymous().rate == api.rate
    assert api.anonymous().token == ""


def test_every_request_to_the_api_waits_for_its_turn(make_box: Callable[..., object], client: Client) -> None:
    box = make_box()
    api = Api(client, box.api_url, "", 20)  # type: ignore[attr-defined]
    begun = time.monotonic()
    for _ in range(5):
        api.call("GET", "licenses")
    assert time.monotonic() - begun >= 4 / 20


def test_repetitions_and_other_ways_to_the_api_wait_for_their_turn_as_well(box: Recorded, client: Client) -> None:
    api = Api(client, box.api_url, "", 20)
    tries: list[float] = []

    def refuse(seen: Seen) -> int:
        tries.append(time.monotonic())
        return 503

    box.recorder.refuse = refuse
    threads = [threading.Thread(target=lambda: _tried(api)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries) > 8, "each was tried again"
    tries.sort()
    assert all(later - one > 0.03 for one, later in itertools.pairwise(tries)), "and none out of turn"


def _tried(api: Api) -> None:
    with contextlib.suppress(Unreachable):
        api.client.spool(Route(f"{api.url}/file/download/7"), 100)
