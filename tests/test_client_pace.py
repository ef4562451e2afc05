"""The pace at which a server is asked: evenly, whoever asks, and never faster for having been idle."""

from __future__ import annotations

import threading
import time

import pytest

from onelight.client.pace import Pace
from onelight.errors import Interrupted


class Clock:
    """A clock that moves when somebody waits, and only then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        monkeypatch.setattr("onelight.client.pace.time.monotonic", lambda: self.now)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_first_goes_at_once_and_each_other_an_interval_later(clock: Clock) -> None:
    pace = Pace(4, clock.wait)
    for _ in range(5):
        pace.take()
    assert clock.waits == [0.25] * 4


def test_who_took_longer_than_the_interval_does_not_wait(clock: Clock) -> None:
    pace = Pace(2, clock.wait)
    pace.take()
    clock.now += 0.5
    pace.take()
    clock.now += 0.4
    pace.take()
    assert clock.waits == [pytest.approx(0.1)]


def test_an_hour_without_requests_is_no_leave_for_a_burst(clock: Clock) -> None:
    pace = Pace(1, clock.wait)
    pace.take()
    clock.now += 3600
    for _ in range(3):
        pace.take()
    assert clock.waits == [1.0, 1.0]


def test_each_time_that_it_was_too_often_the_pace_is_halved_and_answers_bring_it_back(clock: Clock) -> None:
    pace = Pace(1, clock.wait)
    pace.take()
    pace.learn(too_often=True)
    pace.learn(too_often=False)
    for _ in range(2):
        pace.take()
    assert clock.waits == [1.0, pytest.approx(1.9)], "a moment that was handed out stays"
    for _ in range(18):
        pace.learn(too_often=True)
    clock.now += 1000
    pace.take()
    pace.take()
    assert clock.waits[-1] == 32, "never slower than that"
    for _ in range(200):
        pace.learn(too_often=False)
    clock.now += 1000
    pace.take()
    pace.take()
    assert clock.waits[-1] == 1.0, "and never faster than it should be"


def test_no_limit_waits_never(clock: Clock) -> None:
    pace = Pace(0, clock.wait)
    for _ in range(100):
        pace.take()
    assert (clock.waits, pace.interval) == ([], 0.0)


def test_each_of_many_threads_gets_a_moment_of_its_own() -> None:
    turns: list[float] = []
    lock = threading.Lock()
    begun = time.monotonic()

    def wait(seconds: float) -> None:
        with lock:
            turns.append(time.monotonic() - begun + seconds)

    pace = Pace(100, wait)
    threads = [threading.Thread(target=lambda: [pace.take() for _ in range(10)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turns.sort()
    # The moments are handed out from the first on; what is measured of each is a little later than what it was.
    assert len(turns) >= 75
    assert turns[-1] >= 79 * 0.01
    assert turns[-1] - turns[0] >= (len(turns) - 2) * 0.01


def test_who_is_stopped_while_waiting_asks_nothing() -> None:
    def stopped(_: float) -> None:
        raise Interrupted("stopped")

    pace = Pace(1, stopped)
    pace.take()
    with pytest.raises(Interrupted):
        pace.take()
