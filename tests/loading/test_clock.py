"""The time of each row: plain times, timestamps, sync points from 0 and from 1; and numbers that count from one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onelight
from onelight.errors import DatasetNotFound, RowsDiffer, UnsafeData
from onelight.loading import Bunch
from onelight.loading.clock import counts_from_one, times


def wheel(stamps: Any, rows: int = 5, **more: Any) -> Bunch:
    return Bunch(position=np.zeros(rows), timestamps=np.asarray(stamps), **more)


class TestTimes:
    def test_times_are_the_times(self) -> None:
        found = times(Bunch(times=np.array([[1], [2]]), amps=np.zeros(2)))
        assert (found.tolist(), found.dtype) == ([1.0, 2.0], np.float64)
        assert onelight.times is times

    def test_two_sync_points_make_one_time_per_row(self) -> None:
        found = times(wheel([[0, 10], [4, 12]]))
        assert (found.tolist(), found.dtype) == ([10, 10.5, 11, 11.5, 12], np.float64)

    def test_many_sync_points_are_joined_by_straight_lines(self) -> None:
        assert times(wheel([[0, 0], [2, 2], [4, 6]])).tolist() == [0, 1, 2, 4, 6]

    def test_time_goes_on_before_the_first_and_behind_the_last_as_beside_them(self) -> None:
        assert times(wheel([[1, 1], [2, 2], [3, 4]])).tolist() == [0, 1, 2, 4, 6]

    def test_there_may_be_a_sync_point_for_every_row(self) -> None:
        seconds = np.array([0, 1, 3, 4, 7.5])
        assert times(wheel(np.column_stack([np.arange(5), seconds]))).tolist() == seconds.tolist()

    @pytest.mark.parametrize("shape", [(5,), (5, 1)])
    def test_a_vector_is_one_time_per_row(self, shape: tuple[int, ...]) -> None:
        assert times(wheel(np.arange(5.0).reshape(shape))).tolist() == [0, 1, 2, 3, 4]

    def test_two_times_for_two_rows_are_no_sync_points(self) -> None:
        assert times(wheel([7.0, 9.0], rows=2)).tolist() == [7, 9]

    def test_integers_and_columns_from_matlab_will_do(self) -> None:
        stamps = np.asfortranarray(np.array([[0, 10], [4, 14]], dtype=np.int32))
        assert times(Bunch(raw=np.zeros((5, 1)), timestamps=stamps)).tolist() == [10, 11, 12, 13, 14]

    @pytest.mark.parametrize("points", [[[1, 10], [5, 14]], [[n, n + 9] for n in range(1, 6)]])
    def test_samples_counted_from_one_are_taken_so_and_that_is_told(self, points: Any, notes: list[str]) -> None:
        assert times(wheel(points)).tolist() == [10, 11, 12, 13, 14]
        assert notes == ["timestamps counts samples from 1 to 5; that is how it is taken"]

    @pytest.mark.parametrize("points", [[[0, 10], [4, 14]], [[0, 10], [5, 15]], [[1, 11], [4, 14]], [[1, 11], [9, 19]]])
    def test_and_are_not_suspected_where_they_may_count_from_zero(self, points: Any, notes: list[str]) -> None:
        assert times(wheel(points)).tolist() == [10, 11, 12, 13, 14]
        assert notes == []

    @given(
        rows=st.integers(2, 300),
        offset=st.floats(-1e4, 1e4),
        rate=st.floats(0.1, 30000),
        first=st.integers(0, 1),
        data=st.data(),
    )
    def test_points_on_a_line_give_that_line_however_many_and_however_counted(
        self, rows: int, offset: float, rate: float, first: int, data: Any
    ) -> None:
        inner = data.draw(st.sets(st.integers(1, max(1, rows - 2)), max_size=5))
        samples = np.array(sorted({0, rows - 1} | inner), dtype=float)
        line = offset + np.arange(rows) / rate
        points = np.column_stack([samples + first, line[samples.astype(int)]])
        assert times(wheel(points, rows)) == pytest.approx(line, rel=1e-9, abs=1e-6)

    def test_a_recording_without_attributes_is_told_how_many_rows_it_has(self) -> None:
        lfp = {"imec.lf.timestamps": np.array([[0, 1.0], [10, 2.0]])}
        with pytest.raises(RowsDiffer, match=r"nothing says how many rows there are\. Load another .* say rows="):
            times(lfp)
        assert times(lfp, rows=3).tolist() == pytest.approx([1, 1.1, 1.2])

    def test_a_single_row_counts_for_all_and_is_one_if_there_are_no_others(self) -> None:
        points = np.array([[0, 10.0], [4, 12.0]])
        assert len(times(wheel(points, radius=np.zeros(1)))) == 5
        assert times(wheel(points, rows=1)).tolist() == [10]

    def test_no_rows_have_no_times(self) -> None:
        assert times(wheel([[0, 10], [4, 12]], rows=0)).shape == (0,)

    def test_a_clock_of_another_name_will_do_if_it_is_the_only_one(self) -> None:
        said: Any = {"timestamps_bpod.metadata": {"units": "s"}}
        assert times({"raw": np.zeros(2), "timestamps_bpod": np.array([1.0, 2]), **said}).tolist() == [1, 2]

    def test_of_several_clocks_that_of_the_session_counts(self) -> None:
        assert times(wheel(np.arange(5), timestamps_bpod=np.zeros(5))).tolist() == [0, 1, 2, 3, 4]

    def test_a_dataset_called_keys_is_no_obstacle(self) -> None:
        assert len(times(wheel(np.arange(5), keys=np.zeros(5), items=np.zeros(5)))) == 5


class TestRefused:
    @pytest.mark.parametrize(
        ("bunch", "there"),
        [
            ({}, "nothing"),
            ({"position": np.zeros(2)}, "position"),
            ({"lf.timestamps": np.zeros(2), "ap.timestamps": np.zeros(2)}, "lf.timestamps, ap.timestamps"),
        ],
    )
    def test_without_a_single_clock_what_is_there_is_named(self, bunch: dict[str, Any], there: str) -> None:
        with pytest.raises(DatasetNotFound, match=f"no single timestamps; there is: {there}"):
            times(bunch)

    def test_as_many_times_as_rows(self) -> None:
        with pytest.raises(RowsDiffer, match="timestamps has 4 times for 5 rows"):
            times(wheel(np.arange(4)))

    def test_rows_that_disagree_are_named(self) -> None:
        with pytest.raises(RowsDiffer, match=r"the attributes have 4 and 5 rows\. .*rows=4"):
            times(wheel([[0, 1], [4, 2]], other=np.zeros(4)))
        assert len(times(wheel([[0, 1], [4, 2]], other=np.zeros(4)), rows=5)) == 5

    @pytest.mark.parametrize("shape", [(3, 3), (2, 2, 2), ()])
    def test_another_form_is_named(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(RowsDiffer, match=r"has the shape .*: neither one time per row nor sync points"):
            times(wheel(np.zeros(shape)))

    @pytest.mark.parametrize(
        "points",
        [[[0, 1]], [[0, 1], [0, 2]], [[4, 1], [0, 2]], [[0, 1], [np.nan, 2]], [[0, 1], [4, np.inf]], np.zeros((0, 2))],
    )
    def test_points_that_no_line_joins(self, points: Any) -> None:
        with pytest.raises(UnsafeData, match="the sync points of timestamps are not two or more that ascend"):
            times(wheel(points))


class TestCountsFromOne:
    @pytest.mark.parametrize(
        ("values", "rows", "found"),
        [
            ([1, 374], 374, True),
            ([[1.0], [374.0]], 374, True),
            ([5, 374], 374, True),
            ([1.0, np.nan, 374.0], 374, True),
            ([0, 373], 374, False),
            ([0, 374], 374, False),
            ([1, 373], 374, False),
            ([1, 375], 374, False),
            ([1.5, 374], 374, False),
            ([], 374, False),
            ([np.nan], 374, False),
            (["1", "374"], 374, False),
            ([True], 1, False),
        ],
    )
    def test_only_numbers_that_fit_from_one_and_not_from_zero(self, values: Any, rows: int, found: bool) -> None:
        assert counts_from_one(np.array(values), rows) is found
