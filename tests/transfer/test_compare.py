"""Comparing sides: each mark, and all of them against a comparison that is written down as plainly as can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelight.index import Entry, Index
from onelight.repository import Leftover
from onelight.transfer.compare import Compared, Mark, compare

SESSION = "lab/Subjects/cat/2024-05-06/001"
A = f"{SESSION}/alf/a.times.npy"
ONE, TWO = "1" * 32, "2" * 32


def entry(size: int = 10, md5: str | None = ONE, url: str = "https://example.org/files/1", path: str = A) -> Entry:
    return Entry(path, url, size, md5)


def only(found: list[Compared]) -> Compared:
    assert len(found) == 1
    return found[0]


def marks(
    here: Entry | None, there: Entry | None, shown: Entry | None, *, published: bool = True
) -> tuple[str | None, str | None, str]:
    """Compare one file where the index is that of what is stored; return both signs and why."""
    sides = [Index([side] if side is not None else []) for side in (here, there, there, shown)]
    one = only(compare(*sides[:3], sides[3] if published else None))  # type: ignore[arg-type]
    return (
        one.local.value if one.local is not None else None,
        one.public.value if one.public is not None else None,
        one.why,
    )


def test_the_signs_are_those_of_rclone() -> None:
    assert [mark.value for mark in Mark] == ["=", "+", "-", "*", "!"]


class TestLocal:
    """The first sign: the folder against the repository."""

    def test_the_same_size_and_md5_are_the_same_wherever_the_bytes_are(self) -> None:
        assert marks(entry(url=""), entry(), entry(url="https://example.org/files/7")) == ("=", "=", "")

    def test_what_only_the_folder_has(self) -> None:
        assert marks(entry(), None, None) == ("+", None, "only here")

    def test_what_only_the_repository_has(self) -> None:
        assert marks(None, entry(), entry()) == ("-", "=", "only in the repository")

    def test_another_size_says_both(self) -> None:
        assert marks(entry(1234567), entry(3), entry(3)) == ("*", "=", "1,234,567 bytes here, 3 in the repository")

    def test_another_md5_with_the_same_size(self) -> None:
        assert marks(entry(), entry(md5=TWO), entry(md5=TWO)) == ("*", "=", "another md5 here than in the repository")

    def test_what_the_store_has_not_checked_is_broken_however_much_it_looks_right(self) -> None:
        sign, _, why = marks(entry(), entry(md5=None), None)
        assert (sign, why) == ("!", "its md5 is not known yet: look again later, or run the upload again")

    def test_what_is_stored_and_in_no_index_is_broken_for_no_reader_sees_it(self) -> None:
        one = only(compare(Index([entry()]), Index([entry()]), Index([]), None))
        assert (one.local, one.why) == (Mark.BROKEN, "not in the index: the upload was not finished")

    def test_an_index_that_points_to_the_older_copy_is_not_that_of_this_file(self) -> None:
        older = entry(url="https://example.org/files/0")
        one = only(compare(Index([entry()]), Index([entry()]), Index([older]), None))
        assert (one.local, one.why) == (Mark.BROKEN, "not in the index: the upload was not finished")

    def test_without_a_folder_there_is_no_sign_but_for_what_is_broken(self) -> None:
        other = entry(path=f"{SESSION}/alf/b.times.npy")
        found = compare(None, Index([entry(), other]), Index([entry()]), None)
        assert [(one.path, one.local) for one in found] == [(A, None), (other.path, Mark.BROKEN)]

    def test_an_index_that_points_to_a_file_that_is_gone_is_broken(self) -> None:
        assert [one.local for one in compare(None, Index([]), Index([entry()]), None)] == [Mark.BROKEN]


class TestPublic:
    """The second sign: the repository against what the public sees."""

    def test_where_nothing_was_published_there_is_no_sign(self) -> None:
        assert marks(entry(), entry(), None, published=False) == ("=", None, "")

    def test_what_is_in_the_draft_only(self) -> None:
        assert marks(entry(), entry(), None) == ("=", "+", "only in the draft")

    def test_what_was_removed_from_the_draft(self) -> None:
        assert marks(None, None, entry()) == (None, "-", "only public")

    @pytest.mark.parametrize(
        ("shown", "why"),
        [
            (entry(11), "10 bytes in the draft, 11 public"),
            (entry(md5=TWO), "another md5 in the draft than public"),
        ],
    )
    def test_what_was_changed_since(self, shown: Entry, why: str) -> None:
        assert marks(entry(), entry(), shown) == ("=", "*", why)

    def test_of_two_differences_the_first_is_told(self) -> None:
        assert marks(entry(5), entry(), entry(11)) == ("*", "*", "5 bytes here, 10 in the repository")


class TestLeftovers:
    def test_one_is_broken_and_stands_at_its_place(self) -> None:
        later = entry(path=f"{SESSION}/alf/c.times.npy")
        sides = Index([entry(), later])
        left = Leftover(f"{SESSION}/alf/b.times.npy", "never finished (created)", "7")
        found = compare(sides, sides, sides, None, [left])
        assert [one.path for one in found] == [A, left.path, later.path]
        assert found[1] == Compared(left.path, Mark.BROKEN, None, left.why)

    def test_one_of_a_path_that_is_there_has_a_line_of_its_own(self) -> None:
        sides = Index([entry()])
        found = compare(sides, sides, sides, sides, [Leftover(A, "an older copy of a file that is there", "7")])
        assert [one.local for one in found] == [Mark.SAME, Mark.BROKEN]
        assert [one.is_clean for one in found] == [True, False]


def test_it_is_clean_if_each_sign_is_that_of_the_same_or_none() -> None:
    for local in (None, *Mark):
        for public in (None, *Mark):
            clean = local in (None, Mark.SAME) and public in (None, Mark.SAME)
            assert Compared(A, local, public, "").is_clean is clean


PATHS = [f"{SESSION}/alf/{letter}.times.npy" for letter in "abcd"]
# Small worlds: two sizes, two md5 and none, two addresses, so that all that can meet does meet.
STATED = st.tuples(st.sampled_from([1, 2]), st.sampled_from([ONE, TWO]), st.sampled_from(["http://a/1", "http://a/2"]))
SEEN = st.dictionaries(st.sampled_from(PATHS), STATED)
STORED = st.dictionaries(
    st.sampled_from(PATHS),
    st.tuples(
        st.sampled_from([1, 2]), st.sampled_from([ONE, TWO, None]), st.sampled_from(["http://a/1", "http://a/2"])
    ),
)
Side = dict[str, tuple[int, str | None, str]]


def index(side: Side) -> Index:
    return Index([Entry(path, url, size, md5) for path, (size, md5, url) in sorted(side.items())])


def sign(one: Side, other: Side, path: str) -> Mark | None:
    if path not in one:
        return Mark.THERE if path in other else None
    if path not in other:
        return Mark.HERE
    return Mark.SAME if one[path][:2] == other[path][:2] else Mark.DIFFERS


def plainly(mine: Side | None, theirs: Side, seen: Side, shown: Side | None, path: str) -> tuple[Mark | None, ...]:
    local = None if mine is None else sign(mine, theirs, path)
    if path in theirs and (theirs[path][1] is None or seen.get(path, (0, "", ""))[2] != theirs[path][2]):
        local = Mark.BROKEN
    if path not in theirs and path in seen:
        local = Mark.BROKEN
    return local, None if shown is None else sign(theirs, shown, path)


@given(st.none() | SEEN, STORED, SEEN, st.none() | SEEN)
def test_every_file_of_every_side_is_compared_as_one_would_by_hand(
    mine: Side | None, theirs: Side, seen: Side, shown: Side | None
) -> None:
    found = compare(
        index(mine) if mine is not None else None,
        index(theirs),
        index(seen),
        index(shown) if shown is not None else None,
    )
    paths = sorted({*(mine or {}), *theirs, *seen, *(shown or {})})
    of_sides = [one for one in found if one.path in paths]
    assert [one.path for one in of_sides] == paths, "each once, in order"
    assert [(one.local, one.public) for one in of_sides] == [plainly(mine, theirs, seen, shown, path) for path in paths]
    assert all(bool(one.why) is not one.is_clean for one in found), "what differs says why"
