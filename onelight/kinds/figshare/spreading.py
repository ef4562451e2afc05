"""Which article a file goes to, where one article does not take them all. Pure: numbers in, places out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """Where new files go.

    Parameters
    ----------
    places : dict
        Path → position in the list of articles; positions behind its end are articles to be made.
    articles : int
        How many articles there are then.
    """

    places: dict[str, int]
    articles: int


def spread(
    new: Iterable[tuple[str, str]],
    counts: Sequence[int],
    limit: int,
    homes: Mapping[str, int],
    *,
    reserve: int,
) -> Spread:
    """Fill articles session by session: one is split only if it is larger than what a whole article takes.

    Parameters
    ----------
    new : iterable of (session, path)
        What is to be sent, sorted by session. What replaces a file counts as well: until the index is written both
        are there.
    counts : sequence of int
        Files in each article now.
    limit : int
        Files that an article takes.
    homes : mapping
        Session → position of the article that has files of it already; it goes on there as long as there is room.
    reserve : int
        Files to be left free in the first article, for the index.

    Examples
    --------
    >>> spread([("a", "a/1"), ("a", "a/2"), ("b", "b/1"), ("b", "b/2")], [0], 4, {}, reserve=1)
    Spread(places={'a/1': 0, 'a/2': 0, 'b/1': 1, 'b/2': 1}, articles=2)
    """
    sessions: dict[str, list[str]] = {}
    for session, path in new:
        sessions.setdefault(session, []).append(path)
    left = [limit - count for count in counts]
    left[0] -= reserve
    places: dict[str, int] = {}

    def put(paths: Iterable[str], position: int) -> None:
        for path in paths:
            places[path] = position
            left[position] -= 1

    for session, paths in sessions.items():
        home = homes.get(session)
        order = ([home] if home is not None else []) + list(range(len(left)))
        whole = next((position for position in order if left[position] >= len(paths)), None)
        if whole is not None:
            put(paths, whole)
            continue
        if len(paths) <= limit:
            left.append(limit)
            put(paths, len(left) - 1)
            continue
        rest = list(paths)
        while rest:
            position = next((position for position in order if left[position] > 0), None)
            if position is None:
                left.append(limit)
                position = len(left) - 1
            some, rest = rest[: left[position]], rest[left[position] :]
            put(some, position)
    return Spread(places, len(left))
