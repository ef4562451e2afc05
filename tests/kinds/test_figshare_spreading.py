"""Spreading files over articles: whole sessions, where there is room, and in no more articles than that."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelight.kinds.figshare.spreading import Spread, spread


def files(**sessions: int) -> list[tuple[str, str]]:
    """Return what is to be sent: so many files of each session."""
    return [(name, f"{name}/{number}") for name, count in sessions.items() for number in range(count)]


def where(found: Spread) -> dict[str, Counter[int]]:
    """Return how many files of each session are in each article."""
    places: dict[str, Counter[int]] = {}
    for path, position in found.places.items():
        places.setdefault(path.partition("/")[0], Counter())[position] += 1
    return places


class TestExamples:
    def test_what_fits_stays_in_the_one_article(self) -> None:
        assert spread(files(a=2, b=1), [0], 4, {}, reserve=1).articles == 1

    def test_a_place_is_kept_for_the_index(self) -> None:
        assert spread(files(a=4), [0], 4, {}, reserve=1) == Spread({f"a/{n}": 1 for n in range(4)}, 2)
        assert spread(files(a=4), [0], 4, {}, reserve=0).articles == 1

    def test_the_place_is_kept_in_the_first_article_only(self) -> None:
        assert where(spread(files(a=4, b=4), [4], 4, {}, reserve=2)) == {"a": {1: 4}, "b": {2: 4}}

    def test_a_session_that_does_not_fit_goes_to_the_next_whole_and_a_smaller_one_fills_the_gap(self) -> None:
        assert where(spread(files(a=3, b=3, c=1), [0], 5, {}, reserve=1)) == {"a": {0: 3}, "b": {1: 3}, "c": {0: 1}}

    def test_a_session_larger_than_an_article_fills_one_after_the_other(self) -> None:
        found = spread(files(a=11), [0], 4, {}, reserve=1)
        assert where(found) == {"a": {0: 3, 1: 4, 2: 4}}
        assert found.articles == 3

    def test_a_session_goes_on_where_it_is(self) -> None:
        assert where(spread(files(a=2), [0, 3], 6, {"a": 1}, reserve=1)) == {"a": {1: 2}}

    def test_a_session_whose_article_is_full_goes_elsewhere_whole(self) -> None:
        assert where(spread(files(a=2), [0, 5], 6, {"a": 1}, reserve=1)) == {"a": {0: 2}}
        assert where(spread(files(a=2), [5, 5], 6, {"a": 1}, reserve=1)) == {"a": {2: 2}}

    def test_a_large_session_goes_on_where_it_is_before_it_fills_another(self) -> None:
        assert where(spread(files(a=8), [0, 3], 6, {"a": 1}, reserve=1)) == {"a": {1: 3, 0: 5}}

    def test_an_article_that_holds_more_than_it_takes_gets_nothing(self) -> None:
        assert where(spread(files(a=1), [9], 4, {"a": 0}, reserve=1)) == {"a": {1: 1}}

    def test_nothing_to_send_makes_nothing(self) -> None:
        assert spread([], [7, 2], 10, {}, reserve=1) == Spread({}, 2)


@dataclass(frozen=True)
class World:
    """Files to be sent, articles that are there, and what they take."""

    sessions: dict[str, int]
    counts: list[int]
    limit: int
    homes: dict[str, int]
    reserve: int

    def spread(self) -> Spread:
        return spread(files(**self.sessions), self.counts, self.limit, self.homes, reserve=self.reserve)

    @property
    def free(self) -> list[int]:
        """Free places in the articles that are there; fewer than none where they are overfull."""
        left = [self.limit - count for count in self.counts]
        left[0] -= self.reserve
        return left


@st.composite
def worlds(draw: st.DrawFn) -> World:
    limit = draw(st.integers(2, 12))
    counts = draw(st.lists(st.integers(0, limit + 1), min_size=1, max_size=4))
    sizes = draw(st.lists(st.integers(1, 30), max_size=8))
    sessions = {f"s{number}": size for number, size in enumerate(sizes)}
    homes = draw(st.dictionaries(st.sampled_from([*sessions, "other"]), st.integers(0, len(counts) - 1)))
    return World(sessions, counts, limit, homes, draw(st.integers(0, 2)))


@given(worlds())
def test_every_path_is_placed_once_in_an_article_that_there_is(world: World) -> None:
    found = world.spread()
    assert sorted(found.places) == sorted(path for _, path in files(**world.sessions))
    assert all(0 <= position < found.articles for position in found.places.values())
    assert found.articles >= len(world.counts)


@given(worlds())
def test_no_article_gets_more_than_it_takes(world: World) -> None:
    for position, sent in Counter(world.spread().places.values()).items():
        room = world.free[position] if position < len(world.counts) else world.limit
        assert sent <= room, "the places for the index stay free as well"


@given(worlds())
def test_a_session_is_split_only_if_no_article_could_take_it(world: World) -> None:
    for session, places in where(world.spread()).items():
        assert len(places) == 1 or world.sessions[session] > world.limit


@given(worlds())
def test_a_session_goes_on_where_it_is_while_there_is_room(world: World) -> None:
    left, placed = [*world.free], where(world.spread())
    for session, size in world.sessions.items():
        home = world.homes.get(session)
        if home is not None and left[home] >= size:
            assert placed[session] == {home: size}
        elif home is not None and size > world.limit and left[home] > 0:
            assert placed[session][home] == left[home], "of one that is split anyway as much as there is room for"
        for position, count in placed[session].items():
            left += [world.limit] * (position + 1 - len(left))
            left[position] -= count


@given(worlds())
def test_an_article_is_made_only_for_a_session_that_fits_nowhere_as_it_is(world: World) -> None:
    left, found = [*world.free], world.spread()
    for session, places in where(found).items():
        size = world.sessions[session]
        made = max(0, max(places) + 1 - len(left))
        if size <= world.limit:
            assert made == (0 if max(left) >= size else 1)
        else:
            free = sum(max(0, room) for room in left)
            assert made == max(0, -(-(size - free) // world.limit)), "what is split fills every gap first"
        left += [world.limit] * made
        for position, count in places.items():
            left[position] -= count
    assert found.articles == len(left), "none is made that stays empty"


@given(worlds())
def test_of_two_articles_that_were_made_one_is_more_than_half_full(world: World) -> None:
    """First fit: whatever the sessions, at most twice the articles that there must be."""
    if any(size > world.limit for size in world.sessions.values()):
        return
    found = world.spread()
    filled = Counter(found.places.values())
    made = [filled[position] for position in range(len(world.counts), found.articles)]
    assert all(one + other > world.limit for one, other in itertools.pairwise(made))


@pytest.mark.parametrize("limit", [1, 2])
def test_the_smallest_articles_take_their_files_all_the_same(limit: int) -> None:
    found = spread(files(a=3), [0], limit, {}, reserve=1)
    assert len(found.places) == 3
    assert max(Counter(found.places.values()).values()) <= limit
