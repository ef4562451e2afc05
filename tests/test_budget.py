"""The number of connections adapts to what is the limit. Time is a number here; nothing waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from onelight.client.budget import MOST, Budget

#: Requests a second, given the number of connections.
Server = Callable[[int], float]


def run(
    budget: Budget, server: Server, seconds: float, *, idle: float = 0.9, start: float = 0.0, wanted: bool = True
) -> list[int]:
    """Let requests end as fast as the server answers, and return every number of connections there was."""
    now, seen = start, [budget.allowed]
    while now < start + seconds:
        now += 1 / server(budget.allowed)
        budget.ended(20_000, now, idle * now, wanted=wanted)
        if budget.allowed != seen[-1]:
            seen.append(budget.allowed)
    return seen


def latency(connections: int) -> float:
    return connections / 0.05


def limited(most: float) -> Server:
    return lambda connections: min(latency(connections), most)


def test_where_only_latency_counts_it_doubles_up_to_the_most() -> None:
    assert run(Budget(), latency, 2) == [8, 16, 32, MOST]


def test_that_takes_no_longer_than_a_few_round_trips() -> None:
    budget = Budget()
    run(budget, latency, 0.4)
    assert budget.allowed == MOST


def test_where_the_server_is_the_limit_it_steps_back_and_tries_again_later() -> None:
    seen = run(Budget(), limited(16 / 0.05), 4)
    assert seen == [8, 16, 32, 16]
    budget = Budget()
    assert run(budget, limited(16 / 0.05), 14)[3:] == [16, 32, 16, 32, 16]


def test_where_this_program_is_the_limit_it_stays() -> None:
    assert run(Budget(), latency, 2, idle=0.1) == [8]


def test_where_nothing_waits_for_its_turn_nothing_is_learnt() -> None:
    assert run(Budget(), latency, 2, wanted=False) == [8]


def test_a_server_that_pushes_back_is_asked_by_half_as_many_for_a_while() -> None:
    budget = Budget()
    run(budget, latency, 2)
    budget.pushed_back(2.0)
    for _ in range(50):  # many refusals of one moment are one
        budget.pushed_back(2.001)
    assert budget.allowed == MOST // 2
    assert run(budget, latency, 20, start=2.01) == [MOST // 2]
    assert run(budget, latency, 30, start=22.1)[-1] == MOST
    for second in range(10):
        budget.pushed_back(100.0 + 40 * second)
    assert budget.allowed == 1


@pytest.mark.parametrize("fixed", [1, 16, 100])
def test_a_number_that_was_asked_for_stays(fixed: int) -> None:
    budget = Budget(fixed)
    budget.pushed_back(0.0)
    assert run(budget, latency, 2) == [fixed]
