"""Values from text: what is written comes back, nothing is executed, and no refusal takes much memory."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import math
import os
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onelight.errors import MissingExtra, OneError, UnsafeData
from onelight.loading import load_file
from onelight.loading.registry import READERS, TEXTS
from onelight.loading.texts import (
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_JSON,
    MAX_META,
    MAX_TAG,
    MAX_TEXT,
    MAX_XML,
    MAX_YAML,
    _check_json,
)

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
REAL = Path(os.environ.get("ONELIGHT_REAL_DATA", Path(__file__).parents[2].parent / "shared/data/real_alf"))


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


# All of them


@pytest.mark.parametrize("extension", sorted(TEXTS))
def test_an_archive_of_text_is_looked_through(tmp_path: Path, extension: str) -> None:
    contents = {".json": '{"a": 1}', ".jsonable": "[1]\n[2]\n", ".xml": "<a><b/></a>"}
    content = contents.get(extension, "a: 1\nb: 2\n").encode()
    plain, archived = (
        load(tmp_path, f"a.b{extension}{x}", y) for x, y in [("", content), (".gz", gzip.compress(content))]
    )
    if extension == ".xml":
        plain, archived = ET.tostring(plain), ET.tostring(archived)
    if hasattr(plain, "equals"):
        assert plain.equals(archived)
    else:
        assert plain == archived


@pytest.mark.parametrize("extension", sorted(TEXTS - {".log", ".txt"}))
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b" <!DOCTYPE html><html></html>", "is an HTML page"),
        (b"PK\x03\x04", "is a zip archive"),
        (b"\x1f\x8b", "is a gzip archive"),
        (b"\x89HDF\r\n", "is an HDF5 file"),
    ],
)
def test_what_is_known_to_be_something_else_is_refused(
    tmp_path: Path, extension: str, content: bytes, what: str
) -> None:
    assert what in refused(tmp_path, f"a.b{extension}", content)
    assert what in refused(tmp_path, f"a.b{extension}.gz", gzip.compress(content))


@pytest.mark.parametrize("extension", sorted(TEXTS - {".xml"}))
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'"a\n\xff"', "not UTF-8 text at line 2 (byte 3)"),
        (b'"a"\n\n\xc3', "not UTF-8 text at line 3 (byte 5)"),
        (b'"a"\n' * 100_000 + b"\xc3(", "not UTF-8 text at line 100001 (byte 400000)"),
        (b"\xef\xbb\xbf\xff", "not UTF-8 text at line 1 (byte 3)"),
        (b'"a"\n' * 100_000 + b"\0", "it holds bytes that are no text, the first of them in line 100001"),
        ("µ".encode("latin-1"), "download_only=True"),
    ],
)
def test_text_is_utf_8_to_its_end(tmp_path: Path, extension: str, content: bytes, what: str) -> None:
    assert what in refused(tmp_path, f"a.b{extension}", content)


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_characters_may_lie_across_what_is_looked_at_in_one_go(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onelight.loading.content.PIECE", size)
    text = '\ufeff"µ€𝄞 \\\\ \\"' + "[" * (MAX_DEPTH + 1) + '"'
    assert load(tmp_path, "a.json", text) == 'µ€𝄞 \\ "' + "[" * (MAX_DEPTH + 1)
    assert load(tmp_path, "a.txt", text) == text[1:]


@ONE_FOLDER
@given(
    content=st.one_of(
        st.binary(max_size=60),
        st.text("a:-&*!<>[]{}\"'=/?%#|,.~ \n\r\t01eE+_\\", max_size=60).map(str.encode),
        st.sampled_from(["!!int", "!!float", "!!timestamp", "!!bool", "!!binary", "!!null", "!!omap", "!!set", "<<:"])
        .flatmap(lambda tag: st.text("_:0-1bx=[]{}a,'\" ", max_size=8).map(lambda value: f"{tag} {value}"))
        .map(str.encode),
    )
)
@pytest.mark.parametrize("extension", [".json", ".jsonable", ".yaml", ".xml", ".txt", ".meta", ".json.gz"])
def test_any_bytes_give_a_value_or_an_error_of_ours(tmp_path: Path, extension: str, content: bytes) -> None:
    try:
        load(tmp_path, "a" + extension, content)
    except OneError as error:
        str(error).encode()


@pytest.mark.parametrize(
    ("extension", "limit"),
    [
        (".json", MAX_JSON),
        (".jsonable", MAX_JSON),
        (".yaml", MAX_YAML),
        (".xml", MAX_XML),
        (".txt", MAX_TEXT),
        (".meta", MAX_META),
    ],
)
def test_a_file_above_the_limit_is_not_read(tmp_path: Path, extension: str, limit: int) -> None:
    path = tmp_path / f"a{extension}"
    path.write_bytes(b" ")
    os.truncate(path, limit + 1)
    with pytest.raises(UnsafeData, match=f"has more than {limit >> 20} MB, the limit of its format") as caught:
        load_file(path)
    assert "download_only=True" in caught.value.hint


@pytest.mark.parametrize("extension", [".json", ".yaml", ".xml", ".meta", ".txt"])
def test_the_limit_counts_what_is_in_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extension: str
) -> None:
    for name in ("MAX_JSON", "MAX_YAML", "MAX_XML", "MAX_META", "MAX_TEXT"):
        monkeypatch.setattr(f"onelight.loading.texts.{name}", 1 << 20)
    filled = gzip.compress((b"<a>" if extension == ".xml" else b"#") + b" " * (1 << 20))
    assert "has more than 1 MB" in refused(tmp_path, f"a{extension}.gz", filled)


# .json


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)


@ONE_FOLDER
@given(value=VALUES)
def test_json_comes_back(tmp_path: Path, value: Any) -> None:
    assert load(tmp_path, "a.json", json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


@ONE_FOLDER
@given(
    value=VALUES,
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["", *'[]{},:"\\u01e.-+ \nt'])), max_size=2),
    size=st.sampled_from([1, 2, 3, 5, 8, 1000]),
    indent=st.sampled_from([None, 1]),
)
def test_json_is_refused_in_pieces_where_python_refuses_all_of_it(
    tmp_path: Path, value: Any, changes: list[tuple[int, str]], size: int, indent: int | None
) -> None:
    text = json.dumps(value, indent=indent)
    for place, mark in changes:
        at = place % (len(text) + 1)
        text = text[:at] + mark + text[at + 1 :]
    wanted = found = ""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        wanted = f"line {error.lineno}, column"
    try:
        _check_json(tmp_path, [text[i : i + size].encode() for i in range(0, len(text), size)])
    except UnsafeData as error:
        found = str(error)
    assert bool(wanted) == bool(found)
    assert wanted in found


@pytest.mark.parametrize(
    ("end", "what"),
    [
        ("x]", "line 40001, column 4: Expecting value"),
        ('"a" 1]', "line 40001, column 8: Expecting ',' delimiter"),
        ('"' + "µ" * 300_000 + "]", "line 40001, column 4: Unterminated string starting at"),
        ('"' + "µ" * 300_000 + '\\u00" 1]', "line 40001, column 300006: Invalid \\uXXXX escape"),
        ('"' + "µ" * 300_000 + '" 1]', "line 40001, column 300007: Expecting ',' delimiter"),
        ("1", "line 40001, column 5: Expecting ',' delimiter"),
        ("1" * 300_000 + "]", "no JSON that Python reads"),
    ],
)
def test_what_is_wrong_with_a_large_json_has_its_place(tmp_path: Path, end: str, what: str) -> None:
    assert what in refused(tmp_path, "a.json", "[" + '{"a": [1, "µ"]},\n' * 40_000 + "1, " + end)


def test_large_json_comes_back(tmp_path: Path) -> None:
    value = [{"a": [1, -2.5e-3], "µ\n\\": "x" * n, "b": [[], {}, None, [[True]]]} for n in range(1500)]
    assert load(tmp_path, "a.json", json.dumps(value)) == value
    deep = '[{"a": ' * 50 + "1" + "}]" * 50
    assert load(tmp_path, "a.json", f"[{deep}]") == [json.loads(deep)]


def test_json_is_utf_8_on_every_system(tmp_path: Path) -> None:
    assert load(tmp_path, "a.json", '{"unité": "µV"}'.encode()) == {"unité": "µV"}


def test_the_numbers_that_python_writes_and_json_has_not_are_read(tmp_path: Path) -> None:
    found = load(tmp_path, "a.json", "[NaN, Infinity, -Infinity]")
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf]


def nested(depth: int) -> str:
    return '[{"a": ' * (depth // 2) + "1" + "}]" * (depth // 2)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'{"a": 1,\n "b": }', "no JSON at line 2, column 7"),
        (b'{"a": 1', "no JSON at line 1, column 8"),
        (b"[" * 200_000, "nested too deeply: more than 200 values"),
        (nested(MAX_DEPTH + 2), "nested too deeply"),
        ('"\\""' + nested(MAX_DEPTH + 2), "nested too deeply"),
        (b"1" * 5_000, "no JSON that Python reads, from line 1 on"),
    ],
)
def test_broken_json_is_called_what_it_is(tmp_path: Path, content: bytes, what: str) -> None:
    assert what in refused(tmp_path, "a.json", content)


def test_brackets_in_texts_are_not_counted(tmp_path: Path) -> None:
    text = '\\"[{' * 300_000 + "\\\\"
    assert load(tmp_path, "a.json", f'["{text}", {{"{text}": 1}}]')[0] == json.loads(f'"{text}"')
    assert len(load(tmp_path, "a.json", "[" + "[]," * 300_000 + "{}]")) == 300_001
    value: Any = load(tmp_path, "a.json", nested(MAX_DEPTH))
    for _ in range(MAX_DEPTH // 2):
        value = value[0]["a"]
    assert value == 1


# .jsonable


@ONE_FOLDER
@given(values=st.lists(VALUES, min_size=1), end=st.sampled_from(["\n", "\r\n", "\n\n", "\n \t\n"]))
def test_lines_of_json_come_back(tmp_path: Path, values: list[Any], end: str) -> None:
    assert load(tmp_path, "a.jsonable", end.join(json.dumps(value) for value in values)) == values


def test_a_trial_is_a_line(tmp_path: Path) -> None:
    lines = [
        '{"Temperature_C": [24.389999389648438], "AirPressure_mb": [1035.1611328125]}',
        '{"Temperature_C": [NaN], "AirPressure_mb": [1035.138916015625]}',
    ]
    found = load(tmp_path, "_iblrig_ambientSensorData.raw.jsonable", "\n".join(lines) + "\n")
    assert found[0]["AirPressure_mb"] == [1035.1611328125]
    assert math.isnan(found[1]["Temperature_C"][0])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('{"a": 1}\n\n{"a": \n', "no JSON at line 3, column 6"),
        ('{"a": 1}\n{"a": 2', "no JSON at line 2, column 8"),  # the rig was switched off
        ('{"a": 1} {"a": 2}\n', "no JSON at line 1, column 10"),
        ('{"a":\n1}\n', "no JSON at line 1"),
        ("1\n" + nested(MAX_DEPTH + 2), "nested too deeply"),
        ("1\n" + "1" * 5000, "no JSON that Python reads, from line 2 on"),
        ('["' + "x" * MAX_DEPTH + '",\n', "no JSON at line 1"),
        (('["' + "x" * MAX_DEPTH + '",\n') * (MAX_DEPTH + 1), "no JSON at line 1"),  # no line goes on in the next
    ],
)
def test_a_broken_line_of_json_is_named(tmp_path: Path, content: str, what: str) -> None:
    assert what in refused(tmp_path, "a.jsonable", content)


# .yaml


def test_a_description_of_an_experiment_comes_back(tmp_path: Path) -> None:
    text = """
    devices:
      neuropixel: &probes
        probe00: {collection: raw_ephys_data/probe00, sync_label: null}
    procedures:
    - Behavior training/tasks
    - !!str 001
    date: 2020-01-31
    rate: 30000.5
    again: *probes
    version: 1.0.0
    """
    probes = {"probe00": {"collection": "raw_ephys_data/probe00", "sync_label": None}}
    assert load(tmp_path, "_ibl_experiment.description.yaml", textwrap.dedent(text)) == {
        "devices": {"neuropixel": probes},
        "procedures": ["Behavior training/tasks", "001"],
        "date": dt.date(2020, 1, 31),
        "rate": 30000.5,
        "again": probes,
        "version": "1.0.0",
    }


@ONE_FOLDER
@given(value=VALUES)
def test_yaml_comes_back(tmp_path: Path, value: Any) -> None:
    assert load(tmp_path, "a.yml", yaml.safe_dump(value)) == value


def test_yaml_without_a_value_is_none(tmp_path: Path) -> None:
    assert load(tmp_path, "a.yaml", "# to be written\n") is None


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
MERGED = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 10))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("a: [1\nb: 2\n", "no YAML at line 2, column 2"),
        ("a: b: c", "no YAML at line 1, column 5: mapping values are not allowed"),
        ("a: *b", "found undefined alias"),
        ("? [a, b]\n: 1\n", "found unhashable key"),
        ("a: \x07", "no YAML"),
        ("day: 2020-13-45", "PyYAML cannot make a value of it: month must be in 1..12"),
        ("!!bool 7", "PyYAML cannot make a value of it"),
        ("!!timestamp x", "PyYAML cannot make a value of it"),
        ("a: 1\n---\nb: 2\n", "more than one YAML document: another begins at line 2"),
        ("a: &a\n  b: *a\n", "a value that contains itself, at line 2"),
        (BOMB, "which its aliases repeat more than"),
        (MERGED, "which its aliases repeat more than"),
        ("[" * 100_000, "nested too deeply"),
        ("- " * (MAX_DEPTH + 1), "nested too deeply"),
        ("1:" * 1_000_000 + "1", f"line 1 holds a number of more than {MAX_DIGITS} digits"),
        ("!!float '" + "1:" * 1_000_000 + "1'", "holds a number of more than"),
        ("a: !!python/object/apply:os.system ['exit 1']", "the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("!!python/name:os.system", "asks for an object of some program"),
        ("- a\n- !local b", "the tag '!local' at line 2"),
    ],
)
def test_broken_or_hostile_yaml_is_called_what_it_is(tmp_path: Path, content: str, what: str) -> None:
    message = refused(tmp_path, "a.yaml", content)
    assert what in message
    assert "unsafe" not in message.lower()


def test_a_tag_is_not_followed(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for tag in ("apply", "new"):
        refused(
            tmp_path,
            "a.yaml",
            f"!!python/object/{tag}:pathlib.Path.touch [!!python/object/{tag}:pathlib.Path [{marker}]]",
        )
    assert not marker.exists()


def test_long_texts_of_digits_are_texts(tmp_path: Path) -> None:
    digits = "1:" * MAX_DIGITS + "1"
    assert load(tmp_path, "a.yaml", f"a: '{digits}'\nb: {digits}z\n") == {"a": digits, "b": digits + "z"}


def test_aliases_of_a_real_size_are_followed(tmp_path: Path) -> None:
    found = load(tmp_path, "a.yaml", "a: &a {x: 1, y: 2}\nb:\n" + "- {<<: *a, y: 3}\n" * 1000)
    assert found["b"] == [{"x": 1, "y": 3}] * 1000


def test_yaml_is_read_without_its_library_in_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert load(tmp_path, "a.yaml", "a: &a [1, 2]\nb: *a\n") == {"a": [1, 2], "b": [1, 2]}
    assert "nested too deeply" in refused(tmp_path, "a.yaml", "[" * 10_000)
    assert "asks for an object" in refused(tmp_path, "a.yaml", "!!python/name:os.system")
    assert "which its aliases repeat" in refused(tmp_path, "a.yaml", BOMB)


def test_yaml_without_pyyaml_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtra) as caught:
        load(tmp_path, "a.yaml", "a: 1")
    assert "onelight[yaml]" in caught.value.hint


# .xml


def test_xml_gives_its_root(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="UTF-8"?>\n<SETTINGS><GAIN unit="µV">0.195</GAIN></SETTINGS>'
    gain = load(tmp_path, "a.xml", text).find("GAIN")
    assert (gain.text, gain.get("unit")) == ("0.195", "µV")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "windows-1252"])
def test_xml_may_name_its_encoding(tmp_path: Path, encoding: str) -> None:
    name = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{name}"?><a unit="µV"/>'
    assert load(tmp_path, "a.xml", text.encode(encoding)).get("unit") == "µV"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("<a>", "is damaged: it is no XML: no element found: line 1, column 3"),
        ("<a>\n</b>", "mismatched tag: line 2, column 2"),
        ("a: 1", "it is no XML: syntax error"),
        ("<a>&b;</a>", "undefined entity"),
        ('<?xml version="1.0" encoding="nonsense"?><a/>', "it is no XML"),
        ('<?xml version="1.0" encoding="utf-7"?><a/>', "it is no XML"),
        ("<a>" * (MAX_DEPTH + 1), "nested too deeply"),
        ("<a>\n<!--" + "x" * (MAX_TAG + (1 << 20)), "a tag or comment of more than 4 MB at line 2"),
        ('<?xml version="1.0"?>\n<!DOCTYPE a>\n<a/>', "has a DOCTYPE at line 2"),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "has a DOCTYPE"),
        ('<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><a>&c;</a>', "has a DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "http://localhost:1/a.dtd"><a/>', "has a DOCTYPE"),
        ('<?xml version="1.0"?><!DOCTYPE html><html/>', "has a DOCTYPE"),
    ],
)
def test_broken_or_hostile_xml_is_called_what_it_is(tmp_path: Path, content: str, what: str) -> None:
    assert what in refused(tmp_path, "a.xml", content)


# .txt and .log


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"one\r\ntwo\n\n",
        "µ\u2028x\x0b".encode(),
        b"<!doctype html><html></html>",
        b'<?xml version="1.0"?><a/>',
        b"a: 1",
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.log", "a.log.gz"])
def test_text_is_given_as_it_is(tmp_path: Path, name: str, content: bytes) -> None:
    found = load(tmp_path, name, gzip.compress(content) if name.endswith(".gz") else content)
    assert found == content.decode()


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path) -> None:
    assert load(tmp_path, "a.txt", b"\xef\xbb\xbfa") == "a"
    assert load(tmp_path, "a.meta", b"\xef\xbb\xbfa=1") == {"a": 1}
    assert load(tmp_path, "a.yaml", b"\xef\xbb\xbfa: 1") == {"a": 1}
    assert load(tmp_path, "a.jsonable", b"\xef\xbb\xbf1\n2") == [1, 2]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x93NUMPY", "is a NumPy array"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"\xff\xfea\0", "is text in UTF-16"),
        (b"binary \0", "no text"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    assert what in refused(tmp_path, "a.log", content)


# .meta


def test_settings_of_spikeglx_come_back(tmp_path: Path) -> None:
    text = """\
        acqApLfSy=384,384,1
        fileCreateTime=2019-08-15T17:37:20
        fileName=D:/Testing Data/a=b.ap.bin
        fileSHA1=1BF3219C35DEA15409576F6764DD9152C3F8A89C
        fileSizeBytes=19045367880
        fileTimeSecs=824.4640643928594
        imAiRangeMin=-0.6
        imCalibrated=true
        imDatBs_fw=1.1.128
        imDatBsc_pn=NP2_QBSC_00\t
        imLEDEnable=false
        imRoFile=
        snsSaveChanSubset=0:383,768
        serial=007
        firmware=01.20
        small=1e-06
        hash=1234567890123456789012345678901234567890
        other=12345E67890

        ~snsChanMap=(384,384,1)(AP0;0:0)(AP1;1:1)
        """
    assert load(tmp_path, "a.ap.meta", textwrap.dedent(text).replace("\n", "\r\n")) == {
        "acqApLfSy": "384,384,1",
        "fileCreateTime": "2019-08-15T17:37:20",
        "fileName": "D:/Testing Data/a=b.ap.bin",
        "fileSHA1": "1BF3219C35DEA15409576F6764DD9152C3F8A89C",
        "fileSizeBytes": 19045367880,
        "fileTimeSecs": 824.4640643928594,
        "imAiRangeMin": -0.6,
        "imCalibrated": True,
        "imDatBs_fw": "1.1.128",
        "imDatBsc_pn": "NP2_QBSC_00",
        "imLEDEnable": False,
        "imRoFile": "",
        "snsSaveChanSubset": "0:383,768",
        "serial": "007",
        "firmware": "01.20",
        "small": 1e-06,
        "hash": "1234567890123456789012345678901234567890",
        "other": "12345E67890",
        "snsChanMap": "(384,384,1)(AP0;0:0)(AP1;1:1)",
    }


@pytest.mark.parametrize(
    "text", ["some words\n", "a=1\nsome words\n", "a=1\na=2\n", "~a=1\na=1\n", "=1\n", "\n", "a b=1"]
)
def test_other_files_of_this_name_are_text(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, "a.meta", text) == text


# Memory


CASES = {
    "one line that never ends.csv": ["a,b\n1,", "x", "", 64],
    "one line that never ends.csv.gz": ["a,b\n1,", "x", "", 64],
    "a first line that never ends.tsv": ["", "x", "", 64],
    "cells without end.tsv": ["", "\t", "", 64],
    "cells without end in quotes.csv": ["", '"",', "", 64],
    "a quote that is never closed.csv": ['a,b\n1,"', "2,3\n", "", 64],
    "a quote that is never closed at the end.csv": ["a,b\n", '"x",1.25\n', '"x,1\n', 16],
    "a row too long at the end.csv": ["a,b\n", "0.123456789,1.25\n", "1,2,3\n", 64],
    "long lines.ssv": ["", "x" * 4_000_000 + " 1\n", "1\n", 40],
    "long lines.csv": ["", "x" * 4_000_000 + ",1\n", "1\n", 40],
    "a row too long at the end.ssv": ["", "0.123456789 1.25 \n", "1 2 3\n", 60],
    "not UTF-8 at the end.csv": ["a,b\n", "0.123456789,1.25\n", "1,\udcff", 64],
    "blank lines.csv": ["", "\n", "", 60],
    "rows that are a bomb.csv.gz": ["a,b\n", "0.123456789,1.25\n", "", 80],
    "HTML.htsv": ["<html>", "x", "", 64],
    "no end.json": ["[", '{"a": [1.5, "x"], "b": null}, ', "1", 24],
    "no value at the end.json": ["[", '{"a": [1.5, "x"], "b": null}, ', "x]", 24],
    "a text without end.json": ["[", '{"a": [1.5, "x"], "b": null}, ', '"x]', 24],
    "a number of many digits.json": ["[", '{"a": [1.5, "x"], "b": null}, ', "1" * 5000 + "]", 24],
    "a bad line at the end.jsonable": ["", '{"a": [1.5, "x"], "b": null}\n', "{\n", 24],
    "an archive without an end.json.gz": ["[", "1, 2, 3, ", "\n", 60],
    "depth.json": ['{"a": "', "x", '", "b": ' + "[" * 1_000_000, 60],
    "depth.jsonable": ['{"a": "', "x", '", "b": ' + "[" * 1_000_000, 60],
    "brackets.json": ["", "[", "", 64],
    "NUL.json": ['{"a": 1', " ", "\0", 64],
    "not UTF-8.jsonable": ["", "[1, 2, 3, 4, 5, 6, 7, 8]\n", "\udcff", 64],
    "NUL.log": ["", "x", "\0", 64],
    "depth.yaml": ["a:\n", "- ", "", 15],
    "brackets.yaml": ["a:\n", "[", "", 15],
    "a number without end.yaml": ["a: ", "1:", "1", 6],
    "a comment without end.xml": ["<a><!--", "x", "", 60],
    "an attribute without end.xml": ['<a b="', "x", "", 60],
}
# On Linux the greatest use of a process begins with that of its parent, in getrusage; VmHWM is its own.
CHILD = """
import gzip, json, pathlib, resource, sys
from onelight.errors import UnsafeData
from onelight.loading import load_file
import numpy, pandas, yaml, xml.etree.ElementTree

def peak():
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)

folder = pathlib.Path(sys.argv[1])
small = dict.fromkeys(["a.csv", "a.ssv", "b.csv", "a.tsv.gz"], "a,b 1\\n" * 1000)
small |= {"a.json": "[1]", "a.jsonable": "1", "a.yaml": "a: 1", "a.xml": "<a/>", "a.txt": "a", "b.csv": '"a"\\n1\\n'}
for name, text in small.items():
    content = text.encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    load_file(folder / name)
before, found = peak(), {}
for name, (begin, middle, end, size) in json.loads(sys.stdin.read()).items():
    path = folder / name
    opened = gzip.open(path, "wb") if name.endswith(".gz") else path.open("wb")
    with opened as file:
        file.write(begin.encode())
        piece = middle.encode() * max((1 << 16) // len(middle), 1)
        for _ in range((size << 20) // len(piece)):
            file.write(piece)
        file.write(end.encode(errors="surrogateescape"))
    if "without an end" in name:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 1)
    try:
        load_file(path)
    except UnsafeData as error:
        found[name] = [peak() - before, str(error)]
    else:
        found[name] = [peak() - before, ""]
    path.unlink()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, str]]:
    """Return by how many megabytes each refusal, and those before it, let a process grow; and its message."""
    pytest.importorskip("resource", reason="this system does not tell how much memory a process used")
    folder = tmp_path_factory.mktemp("peaks")
    command = [sys.executable, "-c", CHILD, str(folder)]
    done = subprocess.run(command, input=json.dumps(CASES), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, tuple[float, str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_takes_less_than_50_megabytes(peaks: dict[str, tuple[float, str]], name: str) -> None:
    grown, message = peaks[name]
    assert name in message
    assert grown < 50


def test_a_line_of_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    for name, begin in [("a.csv", b"a,b\n1,"), ("a.json", b'"'), ("a.log", b"a")]:
        path = tmp_path / name
        path.write_bytes(begin)
        try:
            os.truncate(path, 5 << 30)  # nothing but a hole, where the system has such
        except OSError:
            pytest.skip("no room for a file of 5 GB")
        with pytest.raises(UnsafeData):
            load_file(path)
        path.unlink()


# Recordings


def test_real_texts_are_read() -> None:
    if not REAL.is_dir():
        pytest.skip(f"no real recordings at {REAL}; ONELIGHT_REAL_DATA may name their folder")
    found = Counter(
        path.suffix for path in REAL.rglob("*") if READERS.get(path.suffix, "").startswith("onelight.loading.texts")
    )
    assert found >= Counter({".meta": 20, ".jsonable": 6, ".json": 4, ".yaml": 1, ".txt": 1})
    for path in REAL.rglob("*.meta"):
        settings_ = load_file(path)
        assert len(settings_) == sum("=" in line for line in path.read_text().splitlines())
        assert settings_.get("fileSizeBytes", 2) > 1  # one of them was copied while it was written
        assert isinstance(settings_.get("imSampRate", settings_.get("niSampRate")), (int, float))
    for path in REAL.rglob("*.jsonable"):
        assert len(load_file(path)) == path.read_bytes().count(b"\n")
    assert all(load_file(path) for path in REAL.rglob("*.json"))
    description = load_file(next(REAL.rglob("_ibl_experiment.description.yaml")))
    assert description["sync"]["nidq"]["acquisition_software"] == "spikeglx"
    assert len(load_file(next(REAL.rglob("_path_expander_demo_ibl_filepaths.txt"))).split()) == 39
