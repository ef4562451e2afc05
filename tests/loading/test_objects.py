"""Files become one object: keys, numbered pieces, tables spread, what explains another, and rows that agree."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onelight.alf import Dataset
from onelight.errors import AlfError, AmbiguousQuery, RowsDiffer
from onelight.loading import Bunch
from onelight.loading.lazy import open_array
from onelight.loading.npy import MMAP_ABOVE
from onelight.loading.objects import (
    Part,
    by_key,
    companions,
    load_part,
    load_parts,
    rows_of,
    to_dataframe,
    without_explaining,
)

UUID = "6252a2f0-c10f-4e49-b085-75749ba29c35"
OTHER_UUID = "0f1c6a2b-9f0e-4a53-a4f9-0d4be0b9b8d1"
Put = Callable[..., Part]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Return a function that writes a value as a file and returns the part that it is."""

    def write(name: str, value: Any = 0) -> Part:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, bytes):
            path.write_bytes(value)
        elif isinstance(value, str):
            path.write_text(value, encoding="utf-8")
        elif name.endswith(".npy"):
            np.save(path, np.asarray(value))
        elif name.endswith(".pqt"):
            pd.DataFrame(value).to_parquet(path)
        else:
            path.write_text(json.dumps(value), encoding="utf-8")
        return Part(Dataset.parse(name), path)

    return write


class TestKeys:
    @pytest.mark.parametrize(
        ("name", "key"),
        [
            ("spikes.times.npy", "times"),
            ("trials.goCue_times.npy", "goCue_times"),
            ("_ibl_trials.intervals_bpod.npy", "intervals_bpod"),
            ("trials.visualStim_contrastLeft.npy", "visualStim_contrastLeft"),
            ("clusters._phy_annotation.npy", "_phy_annotation"),
            ("Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy", "imec.lf.timestamps"),
            (f"spikes.times.{UUID}.npy", "times"),
            (f"ephysData.raw.ap.{UUID}.npy", "raw.ap"),
            ("encoder.raw.2firstsamples.npy", "raw.2firstsamples"),
        ],
    )
    def test_a_value_has_the_name_of_its_file_without_object_and_form(self, put: Put, name: str, key: str) -> None:
        assert list(load_parts([put(name, [1, 2])])) == [key]

    def test_an_object_is_asked_by_attribute(self, put: Put) -> None:
        bunch = load_parts([put("spikes.times.npy", [1.5]), put("spikes.items.npy", [7])])
        assert isinstance(bunch, Bunch)
        assert (bunch.times[0], bunch.items[0]) == (1.5, 7)

    def test_no_files_are_an_empty_object(self) -> None:
        assert load_parts([]) == {}


class TestTwice:
    def test_two_forms_of_one_attribute_are_not_guessed(self, put: Put) -> None:
        files = [put("clusters.amps.npy", [1.0]), put("clusters.amps.tsv", "amps\n1\n"), put("clusters.depths.npy")]
        with pytest.raises(AmbiguousQuery, match=r"amps is there 2 times: clusters.amps.npy, clusters.amps.tsv") as two:
            load_parts(files)
        assert (two.value.keyword, two.value.values) == ("extension", ("npy", "tsv"))
        assert list(load_parts(files, attributes=["depths"])) == ["depths"]

    def test_nor_two_namespaces(self, put: Put) -> None:
        with pytest.raises(AmbiguousQuery) as two:
            load_parts([put("_ibl_wheel.position.npy"), put("wheel.position.npy")])
        assert (two.value.keyword, two.value.values) == ("namespace", ("", "ibl"))

    @pytest.mark.parametrize(
        "names",
        [
            (f"spikes.times.{UUID}.npy", f"spikes.times.{OTHER_UUID}.npy"),
            ("spikes.times.npy", f"spikes.times.{UUID}.npy"),
            ("spikes.times.npy", "spikes.times.00.npy"),
            ("spikes.times.0.npy", "spikes.times.00.npy"),
            ("spikes.times.00.01.npy", "spikes.times.01.npy"),
        ],
    )
    def test_what_no_keyword_tells_apart_is_asked_for_by_name(self, put: Put, names: tuple[str, ...]) -> None:
        with pytest.raises(AmbiguousQuery, match="by its file name with load_dataset") as two:
            load_parts([put(name, [1]) for name in names])
        assert all(name in two.value.message for name in names)
        assert two.value.keyword == ""


class TestPieces:
    def test_pieces_are_joined_by_number_and_nine_comes_before_ten(self, put: Put) -> None:
        files = [put(f"frames.times.{number}.npy", [number, number + 0.5]) for number in (10, 9, 11)]
        assert load_parts(files).times.tolist() == [9, 9.5, 10, 10.5, 11, 11.5]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
    @given(
        lengths=st.lists(st.integers(0, 4), min_size=2, max_size=12),
        width=st.integers(1, 3),
        order=st.randoms(use_true_random=False),
    )
    def test_any_cut_of_an_array_comes_back_whole(
        self, put: Put, tmp_path: Path, lengths: list[int], width: int, order: Any
    ) -> None:
        whole = np.arange(sum(lengths) * 2.0).reshape(-1, 2)
        cuts = np.split(whole, np.cumsum(lengths)[:-1])
        names = [f"eye.xyPos.{number:0{width}}.npy" for number in range(len(cuts))]
        files = [put(name, cut) for name, cut in zip(names, cuts, strict=True)]
        order.shuffle(files)
        assert np.array_equal(load_parts(files).xyPos, whole)

    def test_the_number_need_not_be_the_last_extra(self, put: Put) -> None:
        files = [put(f"ephysData.raw.{number:02}.ap.npy", [number]) for number in (1, 0)]
        assert load_parts(files)["raw.ap"].tolist() == [0, 1]

    def test_one_numbered_piece_alone_has_the_key_of_the_whole(self, put: Put) -> None:
        assert load_parts([put("encoder.raw.00.npy", [1])]).raw.tolist() == [1]

    def test_columns_from_matlab_are_joined_as_vectors(self, put: Put) -> None:
        files = [put(f"licks.times.{number}.npy", np.full((2, 1), number)) for number in (0, 1)]
        assert load_parts(files).times.tolist() == [0, 0, 1, 1]
        assert load_parts(files, squeeze=False).times.shape == (4, 1)

    def test_tables_are_joined_row_by_row(self, put: Put) -> None:
        joined = load_parts([put("log.said.01.pqt", {"x": [3]}), put("log.said.00.pqt", {"x": [1, 2]})]).said
        assert joined.x.tolist() == [1, 2, 3]
        assert joined.index.tolist() == [0, 1, 2]

    def test_lines_of_json_are_joined_line_by_line(self, put: Put) -> None:
        files = [put("log.raw.1.jsonable", '{"n": 2}\n'), put("log.raw.0.jsonable", '{"n": 0}\n{"n": 1}\n')]
        assert load_parts(files).raw == [{"n": 0}, {"n": 1}, {"n": 2}]

    def test_text_of_any_length_is_joined(self, put: Put) -> None:
        files = [put("log.said.0.npy", ["left"]), put("log.said.1.npy", ["straight on"])]
        assert load_parts(files).said.tolist() == ["left", "straight on"]

    def test_a_piece_that_is_missing_is_told(self, put: Put, notes: list[str]) -> None:
        load_parts([put(f"frames.times.{number}.npy", [number]) for number in (0, 2, 7)])
        assert notes == [
            "of the pieces of times, number 1 is not there",
            "of the pieces of times, number 3 to 6 is not there",
        ]

    def test_numbers_that_are_far_apart_cost_nothing(self, put: Put, notes: list[str]) -> None:
        files = [put("frames.times.0.npy", [0]), put("frames.times.999999999999.npy", [1])]
        started = time.monotonic()
        assert load_parts(files).times.tolist() == [0, 1]
        assert time.monotonic() - started < 5
        assert "number 1 to 999999999998 is not there" in notes[0]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (np.zeros((2, 3)), np.zeros((2, 2))),
            (np.zeros(2), np.zeros((2, 2))),
            (np.zeros(2, "f8"), np.zeros(2, "i4")),
            (np.zeros(()), np.zeros(())),
        ],
    )
    def test_pieces_of_two_forms_are_not_joined(self, put: Put, one: Any, other: Any) -> None:
        files = [put("frames.times.0.npy", one), put("frames.times.1.npy", other)]
        with pytest.raises(
            RowsDiffer, match=r"do not fit together: frames.times.0.npy, .*1.npy\. Load them one by one"
        ):
            load_parts(files)

    def test_nor_tables_of_unlike_columns(self, put: Put) -> None:
        with pytest.raises(RowsDiffer, match="do not fit together"):
            load_parts([put("log.said.0.pqt", {"x": [1]}), put("log.said.1.pqt", {"y": [1]})])


TABLE = {"choice": [1, -1, 0], "intervals_0": [0.0, 1, 2], "intervals_1": [0.5, 1.5, 2.5]}


class TestTables:
    def test_a_table_becomes_its_columns_and_pairs_become_one(self, put: Put) -> None:
        trials = load_parts([put("_ibl_trials.table.pqt", TABLE), put("_ibl_trials.goCue_times.npy", [1.0, 2, 3])])
        assert sorted(trials) == ["choice", "goCue_times", "intervals"]
        assert trials.intervals.tolist() == [[0, 0.5], [1, 1.5], [2, 2.5]]
        assert type(trials.choice) is np.ndarray
        assert trials.choice.dtype == np.int64

    @pytest.mark.parametrize(
        "columns",
        [
            ["x_0", "x_1", "x_2"],
            ["x", "x_0", "x_1"],
            ["x_0"],
            ["x_1"],
            ["x_1", "x_2"],
        ],
    )
    def test_columns_that_are_no_pair_stay_as_they_are(self, put: Put, columns: list[str]) -> None:
        assert sorted(load_parts([put("a.table.pqt", {name: [1.0, 2] for name in columns})])) == columns

    def test_any_form_of_table_is_spread_and_one_of_another_name_is_not(self, put: Put) -> None:
        loaded = load_parts([put("a.table.csv", "x,y\n1,2\n3,4\n"), put("a.metrics.pqt", {"z": [5, 6]})])
        assert sorted(loaded) == ["metrics", "x", "y"]
        assert loaded.metrics.z.tolist() == [5, 6]

    def test_pieces_of_a_table_are_joined_before(self, put: Put) -> None:
        files = [put("a.table.1.pqt", {"x": [3]}), put("a.table.0.pqt", {"x": [1, 2]})]
        assert load_parts(files).x.tolist() == [1, 2, 3]

    @pytest.mark.parametrize("squeeze", [True, False])
    @pytest.mark.parametrize("values", [[[1.0], [np.nan]], [["left"], ["right"]]])
    def test_a_column_that_is_a_file_as_well_is_one_if_they_are_equal(
        self, put: Put, squeeze: bool, values: list[Any]
    ) -> None:
        files = [put("a.table.pqt", {"x": [value for (value,) in values]}), put("a.x.npy", values)]
        assert load_parts(files, squeeze=squeeze).x.shape == ((2,) if squeeze else (2, 1))

    @pytest.mark.parametrize("values", [[1, -1, 1], [1, -1], "no array"])
    def test_and_is_not_guessed_if_they_differ(self, put: Put, values: Any) -> None:
        name = "trials.choice.txt" if isinstance(values, str) else "trials.choice.npy"
        with pytest.raises(AmbiguousQuery, match="choice is there twice, in trials.table.pqt and in a file") as two:
            load_parts([put("trials.table.pqt", TABLE), put(name, values)])
        assert (two.value.keyword, two.value.values) == ("extension", ("pqt",))

    def test_a_table_without_rows_has_its_columns(self, put: Put) -> None:
        empty = load_parts([put("a.table.pqt", {"x_0": np.zeros(0), "x_1": np.zeros(0), "y": np.zeros(0)})])
        assert (empty.x.shape, empty.y.shape) == ((0, 2), (0,))


class TestAttributes:
    def test_only_these_are_read_of_files_and_of_columns(self, put: Put, tmp_path: Path) -> None:
        files = [
            put("trials.table.pqt", TABLE),
            put("trials.goCue_times.npy", [1.0, 2, 3]),
            put("trials.broken.npy", b"no array"),
        ]
        assert list(load_parts(files, attributes=["goCue_times"])) == ["goCue_times"]
        assert sorted(load_parts(files, attributes=["intervals", "goCue_times"])) == ["goCue_times", "intervals"]
        assert sorted(load_parts(files, attributes=["table"])) == ["choice", "intervals"]

    @pytest.mark.parametrize("asked", ["imec0.ap", "imec0"])
    def test_a_key_or_an_attribute_is_meant(self, put: Put, asked: str) -> None:
        files = [put("raw.imec0.ap.npy"), put("raw.imec0.lf.npy"), put("raw.imec1.ap.npy")]
        assert asked == "imec0.ap" or len(load_parts(files, attributes=[asked])) == 2
        assert "imec0.ap" in load_parts(files, attributes=[asked])
        assert "imec1.ap" not in load_parts(files, attributes=[asked])


INT16 = np.arange(12, dtype="<i2")


class TestMetadata:
    def test_what_explains_a_file_is_attached_and_read_for_it(self, put: Put, tmp_path: Path) -> None:
        said = {"dtype": "int16", "columns": ["a", "b", "c"]}
        files = [put("ephys.raw.bin", INT16.tobytes()), put("ephys.raw.metadata.json", said)]
        loaded = load_parts(files)
        assert sorted(loaded) == ["raw", "raw.metadata"]
        assert loaded.raw.tolist() == INT16.reshape(4, 3).tolist()
        assert loaded["raw.metadata"] == said

    def test_it_may_lie_in_another_folder(self, put: Put) -> None:
        file = put("alf/#2024-05-06#/ephys.raw.bin", INT16.tobytes())
        said = put("alf/ephys.raw.metadata.json", {"dtype": "int16"})
        assert load_part(file, [file, said]).dtype == np.int16
        assert load_parts([file], [said]).raw.tolist() == INT16.tolist()

    def test_it_explains_an_array_that_needs_no_explanation(self, put: Put) -> None:
        loaded = load_parts([put("spikes.times.npy", [1.0]), put("spikes.times.metadata.json", {"units": "s"})])
        assert (loaded.times[0], loaded["times.metadata"]) == (1.0, {"units": "s"})

    def test_one_explains_all_pieces(self, put: Put) -> None:
        said = put("ephys.raw.metadata.json", {"dtype": "int16"})
        files = [put(f"ephys.raw.{number:02}.bin", INT16.tobytes()) for number in (0, 1)]
        assert load_parts([*files, said]).raw.tolist() == [*INT16.tolist()] * 2

    def test_the_most_particular_explanation_counts(self, put: Put) -> None:
        general = put("ephys.raw.metadata.json", {"dtype": "uint8"})
        own = put("ephys.raw.lf.metadata.json", {"dtype": "int16"})
        files = [put("ephys.raw.lf.bin", INT16.tobytes()), put("ephys.raw.ap.bin", b"ab")]
        for order in ([general, own], [own, general]):
            loaded = load_parts([*files, *order], check="ignore")
            assert (loaded["raw.lf"].dtype, loaded["raw.ap"].dtype) == (np.int16, np.uint8)

    @pytest.mark.parametrize(
        "other",
        ["ephys.raw.ap.metadata.json", "_ibl_ephys.raw.metadata.json", "ephys.other.metadata.json",
         "raw_ephys/ephys.raw.metadata.json", "ephysMore.raw.metadata.json", "ephys.raw.json"],
    )  # fmt: skip
    def test_what_explains_another_file_is_not_taken(self, put: Put, other: str) -> None:
        file, said = put("ephys.raw.bin", INT16.tobytes()), put(other, {"dtype": "int16"})
        assert load_part(file, [file, said]) == file.path

    def test_of_several_revisions_the_one_of_the_file_explains_it_else_the_newest_before_it(self) -> None:
        texts = [
            "a.b.bin",
            "#2022#/a.b.bin",
            "a.b.metadata.json",
            "#2024#/a.b.metadata.json",
            "#2022#/a.b.metadata.json",
        ]
        old, new, *others = map(Dataset.parse, texts)
        assert companions(old, others) == [others[0]]
        assert companions(new, others) == [others[2]]
        assert companions(new, others[:2]) == [others[0]]
        assert companions(new, others[1:2]) == [others[1]]  # only where nothing was said before

    def test_a_recording_and_its_table_of_contents_are_of_one_revision(self) -> None:
        cbin, *others = map(
            Dataset.parse, ["a.b.cbin", "a.b.ch", "#2024#/a.b.ch", "#2024#/a.b.metadata.json", "a.c.ch"]
        )
        assert sorted(map(str, companions(cbin, others))) == ["#2024#/a.b.metadata.json", "a.b.ch"]


class TestExplaining:
    def test_what_only_explains_another_file_is_no_value_of_its_own(self, put: Put) -> None:
        files = [put(f"ephys.imec0.ap.{form}", b"") for form in ("mp4", "ch", "meta")]
        assert list(by_key(files)) == ["imec0.ap"]
        assert by_key(files)["imec0.ap"][0].path.suffix == ".mp4"

    def test_alone_it_is_one(self, put: Put) -> None:
        assert list(load_parts([put("ephys.imec0.ap.meta", "nSavedChans=385\n")])) == ["imec0.ap"]

    def test_metadata_are_left_out_where_one_file_is_wanted(self) -> None:
        texts = ["spikes.times.npy", "spikes.times.metadata.json", "spikes.depths.metadata.json", "spikes.times.meta"]
        datasets = [Dataset.parse(text) for text in texts]
        assert list(map(str, without_explaining(datasets))) == [texts[0], texts[2]]
        assert list(map(str, without_explaining(datasets, keep_metadata=True))) == texts[:3]


class TestSqueeze:
    @pytest.mark.parametrize(
        ("shape", "flat"),
        [((3, 1), (3,)), ((0, 1), (0,)), ((1, 1), (1,)), ((1, 3), (1, 3)), ((3, 1, 2), (3, 1, 2)), ((3,), (3,)),
         ((3, 2), (3, 2)), ((), ()), ((3, 1, 1), (3, 1, 1)), ((3, 0), (3, 0))],
    )  # fmt: skip
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_only_a_column_of_a_matrix_becomes_a_vector(
        self, put: Put, shape: tuple[int, ...], flat: tuple[int, ...], order: Any
    ) -> None:
        values = np.arange(np.prod(shape, dtype=int)).reshape(shape, order=order)
        file = put("a.b.npy", values)
        assert load_parts([file]).b.shape == flat
        assert load_parts([file]).b.tolist() == values.reshape(flat, order=order).tolist()
        assert load_parts([file], squeeze=False).b.shape == shape

    def test_a_table_of_one_column_stays_a_table(self, put: Put) -> None:
        assert load_parts([put("a.b.pqt", {"x": [1, 2]})]).b.shape == (2, 1)


class TestRows:
    def test_rows_that_differ_are_told_with_the_numbers(self, put: Put) -> None:
        files = [
            put("trials.choice.npy", np.zeros(412)),
            put("trials.intervals.npy", np.zeros((412, 2))),
            put("trials.goCue_times.npy", np.zeros(1415)),
        ]
        with pytest.raises(RowsDiffer) as caught:
            load_parts(files)
        assert caught.value.message.splitlines() == [
            "the attributes of trials differ in their number of rows:",
            "    412 rows  choice, intervals",
            "  1,415 rows  goCue_times",
        ]
        assert "check='warn'" in caught.value.hint
        assert isinstance(caught.value, ValueError)

    def test_they_are_loaded_with_a_warning_or_without(self, put: Put, notes: list[str]) -> None:
        files = [put("trials.choice.npy", np.zeros(412)), put("trials.goCue_times.npy", np.zeros(415))]
        assert len(load_parts(files, check="ignore").goCue_times) == 415
        assert notes == []
        assert len(load_parts(files, check="warn").choice) == 412
        assert "412 rows  choice" in notes[0]
        assert "415 rows  goCue_times" in notes[0]

    def test_the_warning_is_of_the_logger_of_the_package(self, put: Put, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING, logger="onelight"):
            load_parts([put("a.b.npy", np.zeros(2)), put("a.c.npy", np.zeros(3))], check="warn")
        assert [(record.name, record.levelname) for record in caplog.records] == [("onelight", "WARNING")]

    def test_another_word_for_check_is_refused(self, put: Put) -> None:
        with pytest.raises(AlfError, match="check='maybe' is unknown. It is 'raise', 'warn' or 'ignore'"):
            load_parts([put("a.b.npy")], check="maybe")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("eye.timestamps.npy", np.zeros((2, 2))),
            ("eye.timestamps_bpod.npy", np.zeros((2, 2))),
            ("eye.imec.lf.timestamps.npy", np.zeros(9)),
            ("eye.camera_timestamps.npy", np.zeros((3, 2))),
            ("eye.position.npy", np.zeros((1, 4))),
            ("eye.radius.npy", np.float64(2.5)),
            ("eye.said.json", {"a": 1}),
            ("eye.lines.jsonable", "1\n2\n"),
            ("eye.film.mp4", b"film"),
            ("eye.note.txt", "text"),
        ],
    )
    def test_what_has_rows_of_its_own_or_none_is_exempt(self, put: Put, name: str, value: Any) -> None:
        assert len(load_parts([put("eye.area.npy", np.zeros(5)), put(name, value)])) == 2

    @pytest.mark.parametrize("name", ["eye.timestampsExtra.npy", "eye.times.npy", "eye.intervals.npy"])
    def test_nothing_else_is(self, put: Put, name: str) -> None:
        with pytest.raises(RowsDiffer, match="3 rows"):
            load_parts([put("eye.area.npy", np.zeros(5)), put(name, np.zeros(3))])

    def test_a_table_counts_by_its_rows(self, put: Put) -> None:
        with pytest.raises(RowsDiffer, match="2 rows  metrics"):
            load_parts([put("clusters.metrics.pqt", {"x": [1, 2]}), put("clusters.depths.npy", np.zeros(3))])

    def test_a_recording_that_is_read_in_slices_is_exempt(self, put: Put) -> None:
        part = put("ephys.raw.npy", np.zeros((5, 2)))
        with open_array(part.path.open("rb", buffering=0), part.path) as lazy:
            assert rows_of("raw", lazy) is None


class TestMapped:
    def test_an_array_is_mapped_when_that_is_wanted(self, put: Put) -> None:
        part = put("a.b.npy", np.asfortranarray(np.arange(6.0).reshape(3, 2)))
        mapped = load_parts([part], mmap=True).b
        assert isinstance(mapped, np.memmap)
        assert mapped.flags.f_contiguous
        assert mapped[1].tolist() == [2, 3]
        assert not isinstance(load_parts([part]).b, np.memmap)

    def test_a_mapped_column_is_a_mapped_vector(self, put: Put) -> None:
        mapped = load_parts([put("a.b.npy", np.asfortranarray(np.arange(3.0)[:, None]))], mmap=True).b
        assert isinstance(mapped, np.memmap)
        assert mapped.tolist() == [0, 1, 2]

    def test_above_a_hundred_megabytes_it_is_mapped_by_itself(self, put: Put) -> None:
        """The file has a hole in it, and takes no room on the disk."""
        rows = MMAP_ABOVE // 8 + 1
        part = put("spikes.times.npy", np.zeros(0))
        head = part.path.read_bytes().replace(b"(0,)", f"({rows},)".encode())[:128]
        part.path.write_bytes(head)
        with part.path.open("r+b") as file:
            file.truncate(128 + 8 * rows)
        assert isinstance(load_parts([part]).times, np.memmap)
        with part.path.open("r+b") as file:
            file.write(head.replace(f"({rows},)".encode(), f"({rows - 128},)".encode()))
            file.truncate(128 + 8 * (rows - 128))
        loaded = load_parts([part]).times
        assert (type(loaded), len(loaded)) == (np.ndarray, rows - 128)


class TestDataframe:
    def test_rows_of_an_object_are_rows_of_a_table(self, put: Put) -> None:
        files = [put("trials.table.pqt", TABLE), put("trials.goCue_times.npy", [[1.0], [2], [3]])]
        frame = to_dataframe(load_parts(files))
        assert isinstance(frame, pd.DataFrame)
        assert sorted(frame) == ["choice", "goCue_times", "intervals_0", "intervals_1"]
        assert frame.goCue_times.tolist() == [1, 2, 3]
        assert frame.intervals_1.tolist() == [0.5, 1.5, 2.5]

    def test_what_the_table_file_said_comes_back(self, put: Put) -> None:
        part = put("trials.table.pqt", TABLE)
        frame = to_dataframe(load_parts([part]))
        pd.testing.assert_frame_equal(frame[list(TABLE)], pd.read_parquet(part.path))

    def test_tables_bring_their_columns_under_their_name(self) -> None:
        frame = to_dataframe({"metrics": pd.DataFrame({"label": [1, 2]}), "depths": np.zeros(2)})
        assert list(frame) == ["metrics.label", "depths"]

    def test_a_single_row_counts_for_all(self) -> None:
        frame = to_dataframe({"a": np.arange(3), "b": np.array([7])})
        assert frame.b.tolist() == [7, 7, 7]
        assert to_dataframe({"b": np.array([7])}).b.tolist() == [7]

    def test_the_byte_order_is_that_of_this_computer(self) -> None:
        frame = to_dataframe({"a": np.arange(3, dtype=">f8")})
        assert frame[frame.a > 0].a.sum() == 3

    def test_what_is_no_column_is_named(self) -> None:
        values = {"a": np.zeros(3), "shape": np.zeros((3, 82, 50)), "said": {"x": 1}, "timestamps": np.zeros((2, 2))}
        with pytest.raises(AlfError) as caught:
            to_dataframe(values)
        assert caught.value.message == "not one-dimensional: shape (3, 82, 50), said (dict), timestamps (2, 2)"
        assert "attribute=[…]" in caught.value.hint

    @pytest.mark.parametrize("other", ["goCue_times", "timestamps"])
    def test_rows_that_differ_are_told_with_the_numbers(self, other: str) -> None:
        with pytest.raises(RowsDiffer, match=f"2 rows  {other}\n  3 rows  a"):
            to_dataframe({"a": np.zeros(3), other: np.zeros(2), "one": np.zeros(1)})

    def test_an_object_with_a_dataset_called_items_is_a_table_all_the_same(self) -> None:
        assert list(to_dataframe(Bunch(items=np.zeros(2), keys=np.zeros(2)))) == ["items", "keys"]
