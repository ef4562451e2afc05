"""Tables and JSON: text stays text, numbers are exact, and what is broken is called what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onelight.errors import OneError, UnsafeData
from onelight.loading import load_file
from onelight.loading.tables import _exact_numbers

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
REAL = Path(__file__).resolve().parents[3] / "shared" / "data"


def load(folder: Path, name: str, content: str | bytes) -> Any:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_file(path)


def refused(folder: Path, name: str, content: str | bytes) -> str:
    with pytest.raises(UnsafeData) as caught:
        load(folder, name, content)
    assert str(folder / name) in caught.value.message
    assert caught.value.hint
    return str(caught.value)


# .tsv and .csv


@pytest.mark.parametrize(("name", "separator"), [("a.tsv", "\t"), ("a.csv", ",")])
def test_the_first_row_names_the_columns(tmp_path: Path, name: str, separator: str) -> None:
    rows = [["ccf_ap", "allen_ontology"], ["4054.4", "ACA"], ["3986.0", "MOs"]]
    table = load(tmp_path, name, "".join(separator.join(row) + "\n" for row in rows))
    assert list(table.columns) == ["ccf_ap", "allen_ontology"]
    assert table["ccf_ap"].tolist() == [4054.4, 3986.0]
    assert table["allen_ontology"].tolist() == ["ACA", "MOs"]
    assert list(table.index) == [0, 1]


def test_text_stays_text(tmp_path: Path) -> None:
    names = ["NA", "None", "null", "N/A", "root", "2016-12-14"]
    table = load(tmp_path, "a.tsv", "acronym\tn\n" + "".join(f"{name}\t1\n" for name in names))
    assert table["acronym"].tolist() == names


def test_numbers_with_leading_zeros_are_names(tmp_path: Path) -> None:
    table = load(tmp_path, "a.tsv", "number\tx\n001\t0\n12\t0.5\n")
    assert table["number"].tolist() == ["001", "12"]
    assert table["x"].tolist() == [0, 0.5]


def test_empty_cells_and_nan_are_missing(tmp_path: Path) -> None:
    table = load(tmp_path, "a.tsv", "x\ty\n\tNaN\n1\t2\n")
    assert table["x"].isna().tolist() == [True, False]
    assert table["y"].isna().tolist() == [True, False]
    assert table["y"].dtype == np.float64


@ONE_FOLDER
@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_are_read_to_the_last_bit(tmp_path: Path, numbers: list[float]) -> None:
    table = load(tmp_path, "a.csv", "x,y\n" + "".join(f"{n!r},a\n" for n in numbers))
    assert table["x"].tolist() == numbers


def test_older_pandas_is_asked_for_exact_numbers() -> None:
    assert _exact_numbers("2.2.3") == {"float_precision": "round_trip"}
    assert _exact_numbers("3.0.1") == {"float_precision": "round_trip"}
    assert _exact_numbers("3.1.0") == _exact_numbers("10.0.0") == {}


def test_a_blank_cell_of_a_single_column_is_a_row(tmp_path: Path) -> None:
    table = load(tmp_path, "probes.description.tsv", "description\nopt3\n\nopt3\n")
    assert len(table) == 3


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_any_end_of_line_is_read(tmp_path: Path, end: str) -> None:
    table = load(tmp_path, "a.tsv", (end or "\n").join(["a\tb", "1\tx", "2\ty"]) + end)
    assert table.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert list(load(tmp_path, "a.csv", "\ufeffa,b\n1,2\n").columns) == ["a", "b"]


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    assert load(tmp_path, "a.csv", "a,b\n").shape == (0, 2)


def test_quoted_text_may_hold_the_separator_and_line_ends(tmp_path: Path) -> None:
    table = load(tmp_path, "a.csv", 'a,b\n"x, y","line 1\nline 2"\n')
    assert table.iloc[0].tolist() == ["x, y", "line 1\nline 2"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty (0 bytes)"),
        (b"\n\n", "it holds blank lines only"),
        (b"<!doctype html><html>", "is an HTML page"),
        (b"PK\x03\x04", "is a zip archive"),
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 cells, and the first row names 2 columns"),
        (b"a,b\n1,2,3\n1,2,3\n", "line 2 has 3 cells"),
        (b"a,b,c\n1,2,3\n1,2\n", "line 3 has 2 cells, and the first row names 3 columns"),
        (b"a,b\n1,2\n1,\xff\n", "not UTF-8 text at line 3 (byte 10)"),
        ("a,b\n1,2\n".encode("utf-16"), "text in UTF-16"),
        (b"a,b\n1,\0\n", "bytes that are no text"),
        (b'a,b\n1,"2\n3,4\n', "is damaged"),
        (b"a,b\n1," + b"x" * 200_000 + b"\n", "field larger than field limit"),
    ],
)
def test_a_broken_table_is_called_what_it_is(tmp_path: Path, content: bytes, what: str) -> None:
    assert what in refused(tmp_path, "a.csv", content)


@ONE_FOLDER
@given(content=st.one_of(st.binary(max_size=60), st.text('a1",\n\r\t 0.-NaN', max_size=40).map(str.encode)))
@pytest.mark.parametrize("extension", [".csv", ".tsv", ".json", ".pqt"])
def test_any_bytes_give_a_value_or_an_error_of_ours(tmp_path: Path, extension: str, content: bytes) -> None:
    try:
        load(tmp_path, "a" + extension, content)
    except OneError as error:
        str(error).encode()


# .pqt


def parquet(path: Path, **options: Any) -> bytes:
    pd.DataFrame({"choice": [1, -1], "side": ["left", "NA"]}).to_parquet(path, **options)
    return path.read_bytes()


def test_a_parquet_table_comes_back(tmp_path: Path) -> None:
    table = load(tmp_path, "trials.table.pqt", parquet(tmp_path / "x"))
    pd.testing.assert_frame_equal(table, pd.read_parquet(tmp_path / "x"))
    assert table["side"].tolist() == ["left", "NA"]


def test_the_index_of_a_parquet_table_comes_back(tmp_path: Path) -> None:
    expected = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="id"))
    expected.to_parquet(tmp_path / "a.pqt")
    pd.testing.assert_frame_equal(load_file(tmp_path / "a.pqt"), expected)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda b: b[:-1], "without its end"),
        (lambda b: b[: len(b) // 2], "without its end"),
        (lambda b: b[:4], "is damaged"),
        (lambda b: b[: len(b) // 2] + b[-8:], "is damaged: pyarrow cannot read it"),
        (lambda b: b"PAR1" + bytes(len(b) - 12) + b[-8:], "is damaged: pyarrow cannot read it"),
        (lambda _: b"", "is empty"),
        (lambda _: b"<html>", "is an HTML page"),
        (lambda _: b"PARQUET?", "it begins with b'PARQUET?'"),
    ],
)
def test_a_broken_parquet_table_is_called_what_it_is(tmp_path: Path, change: Any, what: str) -> None:
    assert what in refused(tmp_path, "trials.table.pqt", change(parquet(tmp_path / "x")))


def test_a_text_table_under_the_name_of_parquet_is_refused(tmp_path: Path) -> None:
    assert "not a parquet table" in refused(tmp_path, "a.pqt", b"a,b\n1,2\n")


def test_metadata_that_pandas_trusts_in_vain_is_an_error_of_ours(tmp_path: Path) -> None:
    table = pa.table({"a": [1]}).replace_schema_metadata({"pandas": b'{"columns": 5, "index_columns": {"a": []}}'})
    pq.write_table(table, tmp_path / "x")
    assert "is damaged" in refused(tmp_path, "a.pqt", (tmp_path / "x").read_bytes())


def test_a_parquet_bomb_is_refused_before_it_explodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onelight.loading.tables._LARGE_TABLE", 10_000_000)
    table = pa.table({"a": pa.array(np.zeros(2_000_000, np.int8))})
    pq.write_table(table, tmp_path / "a.pqt", compression="zstd", row_group_size=2_000_000)
    with pytest.raises(UnsafeData, match="would take 16000000 in memory"):
        load_file(tmp_path / "a.pqt")


@ONE_FOLDER
@given(data=st.data())
def test_a_flipped_byte_of_a_parquet_table_gives_a_table_or_an_error_of_ours(
    tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(parquet(tmp_path / "x"))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        load(tmp_path, "a.pqt", bytes(content))
    except OneError as error:
        str(error).encode()


# .json


@ONE_FOLDER
@given(
    value=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
        max_leaves=10,
    )
)
def test_json_comes_back(tmp_path: Path, value: Any) -> None:
    assert load(tmp_path, "a.json", json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


def test_json_is_utf_8_on_every_system(tmp_path: Path) -> None:
    assert load(tmp_path, "a.json", '{"unité": "µV"}'.encode()) == {"unité": "µV"}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b'{"a": 1,\n "b": }', "no JSON at line 2, column 7"),
        (b'{"a": 1', "no JSON at line 1, column 8"),
        (b'{"a": "\xff"}', "not UTF-8 text at line 1 (byte 7)"),
        (b"<html></html>", "is an HTML page"),
        (b"[" * 200_000, "nested too deeply"),
        (b"1" * 5_000, "is damaged"),
    ],
)
def test_broken_json_is_called_what_it_is(tmp_path: Path, content: bytes, what: str) -> None:
    assert what in refused(tmp_path, "a.json", content)


def test_real_tables_are_read() -> None:
    if not REAL.is_dir():
        pytest.skip(f"no real recordings at {REAL}")
    trials = load_file(next(REAL.rglob("trials_df_test.csv")))
    assert len(trials) == 500
    assert len(load_file(next(REAL.rglob("datasets.pqt")))) == 693
    assert all(len(load_file(path)) for path in REAL.rglob("*.pqt"))
