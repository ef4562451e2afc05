"""The cache tables of ONE-api: what stands in them, that nothing else does, and that a reader takes nothing on trust.

``tests/peers/test_one_api_tables.py`` asks ONE-api itself.
"""

from __future__ import annotations

import datetime as dt
import io
import itertools
import json
import os
import subprocess
import sys
import types
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelight import folder, tables
from onelight.description import DESCRIPTION_NAME
from onelight.errors import AlfError, NoSpace, UnsafeData
from onelight.index import DATASETS_NAME, EMPTY_MD5, SESSIONS_NAME, Entry
from onelight.tables import Foreign, TableRow, read_tables, write_tables

SESSION = "lab/Subjects/Cori/2016-12-14/001"
A, B = "a" * 32, "b" * 32
CASES = json.loads((Path(__file__).parent / "alf" / "one_api.json").read_text(encoding="utf-8"))


def entry(below: str, size: int | None = 8, md5: str | None = A, session: str = SESSION) -> Entry:
    return Entry(f"{session}/{below}", "", size, md5)


def written(folder: Path, *entries: Entry, **options: Any) -> list[Foreign]:
    return write_tables(sorted(entries, key=lambda each: each.path), folder, **options)


def rows(folder: Path, name: str = DATASETS_NAME) -> list[dict[str, Any]]:
    return list(pq.read_table(folder / name).to_pylist())


def row_of(each: Entry) -> TableRow:
    return TableRow(each.path, each.size, each.md5)


def test_the_columns_are_those_of_one_api_and_then_ours(tmp_path: Path) -> None:
    path = f"{SESSION}/alf/spikes.times.npy"
    assert written(tmp_path, entry("alf/spikes.times.npy"), facts={path: ("float64", (3, 1))}) == []
    names = uuid.UUID(bytes=tables._IDS)
    eid, id_ = str(uuid.uuid3(names, SESSION)), str(uuid.uuid3(names, path))
    assert rows(tmp_path) == [
        {
            "rel_path": "alf/spikes.times.npy",
            "file_size": 8,
            "hash": A,
            "exists": True,
            "qc": "NOT_SET",
            "default_revision": True,
            "session": SESSION,
            "dtype": "float64",
            "shape": "3,1",
            "eid": eid,
            "id": id_,
        }
    ]
    assert rows(tmp_path, SESSIONS_NAME) == [
        {
            "lab": "lab",
            "subject": "Cori",
            "date": dt.date(2016, 12, 14),
            "number": 1,
            "task_protocol": "",
            "projects": "",
            "id": eid,
        }
    ]
    schema = pq.read_schema(tmp_path / DATASETS_NAME)
    assert schema.field("qc").type == pa.dictionary(pa.int8(), pa.string(), ordered=True)
    assert schema.field("file_size").type == pa.uint64()
    assert json.loads(schema.metadata[b"pandas"])["index_columns"] == ["eid", "id"]
    assert json.loads(schema.metadata[b"one_metadata"])["origin"] == "onelight"
    assert pq.read_table(tmp_path / DATASETS_NAME)["qc"].chunk(0).dictionary.to_pylist() == list(tables._QC)


def test_the_ids_never_change(tmp_path: Path) -> None:
    """Whoever has noted an id finds the same data by it, years later."""
    written(tmp_path, entry("alf/spikes.times.npy"))
    row = rows(tmp_path)[0]
    assert (row["eid"], row["id"]) == ("46c19322-9e2b-360e-87d2-105b81daf66f", "81ea082b-9996-3998-a477-72a0946364a6")
    assert uuid.UUID(row["id"]).version == 3


def test_rows_are_sorted_by_id(tmp_path: Path) -> None:
    days = [f"lab/Subjects/Cori/2016-12-{day:02}/001" for day in range(1, 29)]
    written(tmp_path, *(entry(f"alf/a.{name}.npy", session=day) for day in days for name in "bcdefgh"))
    ids = [(row["eid"], row["id"]) for row in rows(tmp_path)]
    assert ids == sorted(set(ids))
    assert len(ids) == 28 * 7
    eids = [row["id"] for row in rows(tmp_path, SESSIONS_NAME)]
    assert eids == sorted({eid for eid, _ in ids})


def test_of_each_file_one_revision_is_the_default(tmp_path: Path) -> None:
    newest = {"alf/#2024#/a.b.npy", "alf/a.c.npy", "#v9#/a.b.npy", "alf/p/#x#/a.b.npy"}
    older = {"alf/a.b.npy", "alf/#2022#/a.b.npy", "a.b.npy", "#v10#/a.b.npy"}
    written(tmp_path, *map(entry, newest | older))
    assert {row["rel_path"] for row in rows(tmp_path) if row["default_revision"]} == newest


# What ONE-api reads in a name that our own strict form refuses is in the table all the same: it finds these files.
PATHS = [(text, parts) for kind in ("filename", "rel_path") for text, parts in CASES[kind].items()]
PATHS = [(text, parts) for text, parts in PATHS if text in CASES["rel_path"] or "/" not in text]


@pytest.mark.parametrize(("text", "parts"), PATHS)
def test_a_row_is_made_for_what_one_api_reads(text: str, parts: object) -> None:
    accepted = parts is not None and "\n" not in text and {"", ".", ".."}.isdisjoint(text.split("/"))
    assert (tables._problem(text) == "") == accepted


@given(st.text("_ibl.spkT09#-é\u8133 /~", max_size=24))
def test_the_grammar_is_that_of_one_api(text: str) -> None:
    import re

    spec = (  # one.alf.spec.regex(REL_PATH_SPEC) of ONE-api 3.6.1
        r"((?P<collection>[\w./-]+)/)?(#(?P<revision>[\w.-]+)#/)?_?(?P<namespace>(?<=_)[a-zA-Z0-9]+)?_?(?P<object>\w+)"
        r"\.(?P<attribute>(?:_[a-z]+_)?[a-zA-Z0-9]+(?:_times(?=[_.])|_intervals(?=[_.]))?)(?:_(?P<timescale>\w+))?"
        r"(?:\.(?P<extra>[.\w-]+))*\.(?P<extension>\w+)$"
    )
    assert bool(re.match(spec, text)) == bool(tables._ACCEPTED(text))


def test_what_one_api_cannot_read_is_told_and_known_to_our_readers(tmp_path: Path) -> None:
    lfp = entry("alf/Cori_2016-12-14_M2_g0_t0.imec.lf.bin", 5, B)
    other_lab = entry("alf/spikes.times.npy", session="my-lab/Subjects/Cori/2016-12-14/001")
    unpadded = entry("alf/spikes.times.npy", session="lab/Subjects/Cori/2016-12-14/1")
    note, good = entry("notes.txt", 0, None), entry("alf/spikes.times.npy")
    facts = {lfp.path: ("int16", (1, 2))}
    foreign = written(tmp_path, lfp, other_lab, unpadded, note, good, facts=facts)
    assert [each.path for each in foreign] == [lfp.path, note.path, unpadded.session, other_lab.session]
    reasons = ("has '-'", "needs three or more", "not of three digits", "has '-'")
    assert [reason in each.reason for each, reason in zip(foreign, reasons, strict=True)] == [True] * 4
    assert [row["rel_path"] for row in rows(tmp_path)] == ["alf/spikes.times.npy"]
    assert len(rows(tmp_path, SESSIONS_NAME)) == 1
    assert sorted(read_tables(tmp_path / DATASETS_NAME)) == sorted(
        [
            TableRow(lfp.path, 5, B, "int16", (1, 2)),
            TableRow(note.path, 0, EMPTY_MD5),
            *map(row_of, (good, other_lab, unpadded)),
        ]
    )


def test_of_very_many_such_files_the_first_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_MOST_OTHERS", 1000)
    assert len(written(tmp_path, *(entry(f"notes {number:03}.txt") for number in range(100)))) == 100
    assert 5 < len(list(read_tables(tmp_path / DATASETS_NAME))) < 20


def test_a_name_that_one_api_would_take_years_to_read_has_no_row(tmp_path: Path) -> None:
    slow = entry(f"alf/a.b{'.c' * 100}.npy")
    assert [each.path for each in written(tmp_path, slow, entry("alf/a.b.c.d.e.npy"))] == [slow.path]
    assert tables._problem(f"alf/a.b{'.c' * 100}.n-y")


SIZES = st.one_of(st.none(), st.integers(1, 2**63 - 1))
MD5 = st.one_of(st.none(), st.text("0123456789abcdef", min_size=32, max_size=32))
KNOWN = st.tuples(
    SIZES,
    MD5,
    st.one_of(
        st.none(),
        st.tuples(st.sampled_from(["float64", "<i2", "[('x', '<f8')]"]), st.lists(st.integers(0, 10**17)).map(tuple)),
    ),
)
PART = st.text("ab0_é", min_size=1, max_size=6).map(lambda text: f"x{text}")
NAMES = st.tuples(st.integers(1, 28), PART, st.sampled_from(["times", "amps", "no name", "a.b"]))


@settings(max_examples=20)
@given(st.dictionaries(NAMES, KNOWN, max_size=20), st.booleans())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, known: Any, cut: bool) -> None:
    folder = tmp_path_factory.mktemp("tables")
    made: list[Entry] = []
    facts: dict[str, tuple[str, tuple[int, ...]]] = {}
    wanted: list[TableRow] = []
    for (day, name, attribute), (size, md5, fact) in known.items():
        made.append(entry(f"alf/{name}.{attribute}.npy", size, md5, f"lab/Subjects/Cori/2016-12-{day:02}/001"))
        facts |= {made[-1].path: fact} if fact and len(fact[1]) <= 32 else {}
        wanted.append(TableRow(made[-1].path, size, md5, *facts.get(made[-1].path, (None, None))))
    with pytest.MonkeyPatch.context() as patch:
        if cut:
            patch.setattr(tables, "_GROUP", 7)
            patch.setattr(tables, "_BATCH", 3)
        written(folder, *made, facts=facts)
    assert sorted(read_tables(folder / DATASETS_NAME)) == sorted(wanted)
    with (folder / DATASETS_NAME).open("rb") as stream:
        stream.seek(17)
        assert sorted(read_tables(stream)) == sorted(wanted)
        assert not stream.closed


def test_a_size_that_is_not_known_is_not_that_of_an_empty_file(tmp_path: Path) -> None:
    written(tmp_path, entry("alf/a.b.npy", None), entry("alf/a.c.npy", 0, None), entry("alf/a.d.npy", None, EMPTY_MD5))
    found = {row.path[-7:]: (row.size, row.md5) for row in read_tables(tmp_path / DATASETS_NAME)}
    assert found == {"a.b.npy": (None, A), "a.c.npy": (0, EMPTY_MD5), "a.d.npy": (0, EMPTY_MD5)}
    assert {row["rel_path"][4:]: row["file_size"] for row in rows(tmp_path)} == dict.fromkeys(found, 0)


def test_where_no_md5_is_known_its_column_is_what_one_api_takes_for_none(tmp_path: Path) -> None:
    written(tmp_path, entry("alf/a.b.npy", md5=None), entry("alf/a.c.npy", md5=None))
    table = pq.read_table(tmp_path / DATASETS_NAME)
    assert table.schema.field("hash").type == pa.null()
    assert [row["hash"] is None for _, row in table.to_pandas().iterrows()] == [True, True]
    assert [row.md5 for row in read_tables(tmp_path / DATASETS_NAME)] == [None, None]


def test_an_empty_repository_has_empty_tables(tmp_path: Path) -> None:
    assert written(tmp_path) == []
    assert (rows(tmp_path), rows(tmp_path, SESSIONS_NAME)) == ([], [])
    assert list(read_tables(tmp_path / DATASETS_NAME)) == []


# Writing again


class Clock(dt.datetime):
    """A clock that stands at a day."""

    day = 1

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Clock:
        return cls(2026, 1, cls.day, 12, tzinfo=tz)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    shown = types.SimpleNamespace(datetime=Clock, date=dt.date, timezone=dt.timezone)
    monkeypatch.setattr(tables, "dt", shown)
    monkeypatch.setattr(Clock, "day", 1)
    return Clock


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def created(folder: Path, name: str) -> str:
    return str(json.loads(pq.read_schema(folder / name).metadata[b"one_metadata"])["date_created"])


def test_the_same_data_leave_the_tables_alone_and_others_have_a_new_date(tmp_path: Path, clock: type[Clock]) -> None:
    written(tmp_path, entry("alf/a.b.npy"))
    before = state(tmp_path)
    clock.day = 2
    written(tmp_path, entry("alf/a.b.npy"))
    assert state(tmp_path) == before
    written(tmp_path, entry("alf/a.b.npy", md5=B))
    assert created(tmp_path, DATASETS_NAME) == "2026-01-02 12:00"
    assert created(tmp_path, SESSIONS_NAME) == "2026-01-01 12:00"  # of these nothing has changed
    assert state(tmp_path)[SESSIONS_NAME] == before[SESSIONS_NAME]


@pytest.mark.parametrize(
    "change",
    [
        {"size": 9},
        {"md5": B},
        {"md5": None},
        {"facts": {f"{SESSION}/alf/a.b.npy": ("int8", (8,))}},
        {"more": "alf/a.c.npy"},
        {"more": "notes.txt"},
    ],
)
def test_any_change_is_one(tmp_path: Path, clock: type[Clock], change: dict[str, Any]) -> None:
    written(tmp_path, entry("alf/a.b.npy"))
    clock.day = 2
    more = [entry(change["more"])] if "more" in change else []
    given_ = {name: value for name, value in change.items() if name in ("size", "md5")}
    written(tmp_path, entry("alf/a.b.npy", **given_), *more, facts=change.get("facts"))
    assert created(tmp_path, DATASETS_NAME) == "2026-01-02 12:00"


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:9] + b"x" + data[10:]])
def test_damaged_tables_are_put_right(tmp_path: Path, clock: type[Clock], damage: Any) -> None:
    written(tmp_path, entry("alf/a.b.npy"))
    before = {name: data for name, (data, _) in state(tmp_path).items()}
    for name, data in before.items():
        (tmp_path / name).write_bytes(damage(data))
    written(tmp_path, entry("alf/a.b.npy"))
    assert {name: data for name, (data, _) in state(tmp_path).items()} == before


def test_whoever_fails_leaves_both_tables_as_they_were(tmp_path: Path) -> None:
    written(tmp_path, entry("alf/a.b.npy"))
    before = state(tmp_path)

    def broken() -> Iterator[Entry]:
        yield entry("alf/a.b.npy", md5=B)
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="gone"):
        write_tables(broken(), tmp_path)
    with pytest.raises(ValueError, match=r"'.*/alf/a\.b\.npy' does not come after '.*/alf/a\.c\.npy'"):
        write_tables([entry("alf/a.c.npy"), entry("alf/a.b.npy")], tmp_path)
    with pytest.raises(AlfError, match="does not lie in a session"):
        write_tables([Entry("lab/notes.txt")], tmp_path)
    assert state(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoSpace, match="cannot be written: No such file"):
        written(tmp_path / "none", entry("alf/a.b.npy"))
    (tmp_path / SESSIONS_NAME).mkdir()
    with pytest.raises(NoSpace, match="is in the way"):
        written(tmp_path, entry("alf/a.b.npy"))
    assert [path.name for path in tmp_path.iterdir()] == [SESSIONS_NAME]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables.os, "fsync", full)
    with pytest.raises(NoSpace, match="No space left on device"):
        written(tmp_path, entry("alf/a.b.npy"))
    assert list(tmp_path.iterdir()) == []


# Reading what others have written


def table(**columns: Any) -> io.BytesIO:
    """Return a table of one row that can be read, but for the columns that are given."""
    whole = {
        "rel_path": ["alf/a.b.npy"],
        "file_size": [8],
        "hash": [A],
        "session": [SESSION],
        "dtype": ["int8"],
        "shape": ["8"],
        "id": ["0123456789abcdef"],
        **columns,
    }
    made = io.BytesIO()
    pq.write_table(pa.table({name: cells for name, cells in whole.items() if cells is not None}), made)
    return made


def repeated(text: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([text]))


def test_a_table_of_that_form_is_read() -> None:
    assert list(read_tables(table())) == [TableRow(f"{SESSION}/alf/a.b.npy", 8, A, "int8", (8,))]
    assert next(read_tables(table(shape=[""]))).shape == ()
    assert next(read_tables(table(hash=[""]))).md5 is None


def no_text(content: bytes) -> pa.Array:
    places = pa.py_buffer(b"\0\0\0\0" + len(content).to_bytes(4, "little"))
    return pa.Array.from_buffers(pa.string(), 1, [None, places, pa.py_buffer(content)])


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"session": None}, "it has no column session"),
        ({"hash": None}, "it has no column hash"),
        ({"rel_path": [1]}, "'rel_path' is of another type"),
        ({"file_size": [1.5]}, "'file_size' is of another type"),
        ({"file_size": [-1]}, "is -1"),
        ({"file_size": pa.array([2**63], pa.uint64())}, "is 9,223,372,036,854,775,808"),
        ({"file_size": ["8"]}, "'file_size' is of another type"),
        ({"rel_path": ["../a.b.npy"]}, "is refused"),
        ({"rel_path": ["/etc/passwd"]}, "is refused"),
        ({"rel_path": ["C:a.b.npy"]}, "is refused"),
        ({"rel_path": [""]}, "an empty path"),
        ({"rel_path": pa.array([None], pa.string())}, "a row has no path"),
        ({"rel_path": no_text(b"a.\xff.npy")}, "Invalid UTF8"),
        ({"session": ["lab/Subjects/Cori/2016-13-14/001"]}, "not a day"),
        ({"session": [f"{SESSION}/alf"]}, "is no session"),
        ({"session": ["../../Cori/2016-12-14/001"]}, "is refused"),
        ({"session": pa.array([None], pa.string())}, "a row has no session"),
        ({"hash": ["A" * 32]}, "is not of 32 digits"),
        ({"hash": [A + "\n"]}, "is not of 32 digits"),
        ({"hash": [EMPTY_MD5]}, "the md5 of an empty file"),
        ({"dtype": ["int8\x1b"]}, "the dtype of"),
        ({"dtype": ["x" * 201]}, "the dtype of"),
        ({"shape": ["-1"]}, "the shape of"),
        ({"shape": ["1,"]}, "the shape of"),
        ({"shape": ["9" * 19]}, "the shape of"),
        ({"more": [[1, 2]]}, "other ones than it claims"),
        ({f"more{number}": [1] for number in range(64)}, "it has 71 columns"),
    ],
)
def test_what_cannot_be_is_refused(columns: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsafeData, match=reason) as caught:
        list(read_tables(table(**columns)))
    assert caught.value.hint


def test_more_rows_than_there_can_be_are_refused_before_they_are_read() -> None:
    count = 100_000
    columns = ("rel_path", "hash", "session", "dtype", "shape", "id")
    many = table(**{name: repeated("x", count) for name in columns}, file_size=[8] * count)
    with pytest.raises(UnsafeData, match="it claims to have 100,000 rows"):
        list(read_tables(many))


def test_what_lies_beside_the_labs_is_no_data_by_these_very_names() -> None:
    assert frozenset({DESCRIPTION_NAME, SESSIONS_NAME, DATASETS_NAME}) == folder._BESIDE


def test_one_long_text_in_many_rows_takes_its_memory_once() -> None:
    count = 50_000
    texts = {"rel_path": "x" * 1_000_000, "hash": A, "session": SESSION, "dtype": "int8", "shape": "8"}
    columns = {name: repeated(text, count) for name, text in texts.items()}
    many = table(**columns, file_size=[8] * count, id=[os.urandom(16).hex() for _ in range(count)])
    before = pa.default_memory_pool().bytes_allocated()  # what other tests of this process have not let go yet
    with pytest.raises(UnsafeData, match="longer than 255 bytes"):
        list(read_tables(many))
    assert pa.default_memory_pool().bytes_allocated() - before < 1 << 28


def test_a_group_that_would_fill_the_memory_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_MOST_MEMORY", 100)
    with pytest.raises(UnsafeData, match="a group of its rows would take"):
        list(read_tables(table()))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1",
        b"PAR1PAR1",
        b"PAR1" + b"\0" * 4 + b"PAR1",
        b"PAR1" + b"\xff" * 4 + b"PAR1",
        b"PAR1" + b"\x19" * 100 + b"\x64\0\0\0PAR1",  # lists in lists
        b"PAR1" + b"\x1c" * 100 + b"\x64\0\0\0PAR1",  # structs in structs
        b"PAR1" + b"\x19\xfc" + b"\xff" * 9 + b"\x01" + b"\0" * 100 + b"\x70\0\0\0PAR1",  # a list without end
        b"<html>not found</html>",
    ],
)
def test_what_is_no_table_is_refused(content: bytes) -> None:
    with pytest.raises(UnsafeData, match=f"{DATASETS_NAME} is refused: it"):
        list(read_tables(io.BytesIO(content)))


def test_a_fault_of_the_disk_is_one_of_the_disk(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            if self.tell() == 4:
                raise OSError(5, "Input/output error")
            return super().read(count)

    written(tmp_path, entry("alf/a.b.npy"))
    with pytest.raises(OSError, match="Input/output error") as caught:
        list(read_tables(Broken((tmp_path / DATASETS_NAME).read_bytes())))
    assert caught.value.errno == 5
    with pytest.raises(FileNotFoundError):
        list(read_tables(tmp_path / "none.pqt"))


DAMAGE = """
import io, pathlib, random, sys
from onelight.errors import UnsafeData
from onelight.tables import read_tables

good = pathlib.Path(sys.argv[1]).read_bytes()
rows = list(read_tables(io.BytesIO(good)))
footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
choose = random.Random(sys.argv[2])
refused = 0
for turn in range(1000):
    data = bytearray(good)
    for _ in range(choose.choice((1, 1, 2, 8))):
        data[choose.randrange(footer if turn % 2 else 4, len(good) - 8)] = choose.randrange(256)
    if turn % 10 == 9:
        del data[choose.randrange(len(data)):]
    try:
        assert list(read_tables(io.BytesIO(data))) == rows
    except UnsafeData:
        refused += 1
print(refused)
"""


@pytest.mark.parametrize("seed", ["one", "two"])
def test_a_damaged_table_is_refused_or_read_as_it_was_and_never_ends_the_process(tmp_path: Path, seed: str) -> None:
    """pyarrow ends the process for some of these as soon as Python asks it for a column of a row group."""
    days = [f"lab/Subjects/Cori/2016-12-{day:02}/001" for day in range(1, 29)]
    written(tmp_path, *(entry(f"alf/a.{name}.npy", session=day) for day, name in itertools.product(days, "bcd")))
    command = [sys.executable, "-c", DAMAGE, str(tmp_path / DATASETS_NAME), seed]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 400


def test_a_page_that_was_exchanged_is_noticed(tmp_path: Path) -> None:
    """The end of a file has no checksum of its own: an offset that is wrong may point to a page that is right."""
    written(tmp_path, entry("alf/a.b.npy"), entry("alf/a.c.npy"))
    content = (tmp_path / DATASETS_NAME).read_bytes()
    of_rows = pq.ParquetFile(tmp_path / DATASETS_NAME).metadata.metadata[b"onelight"]
    assert content.count(of_rows) == 1
    with pytest.raises(UnsafeData, match="not those that were written"):
        list(read_tables(io.BytesIO(content.replace(of_rows, of_rows[::-1]))))


def test_the_import_takes_neither_pyarrow_nor_arrays() -> None:
    statement = "import sys, onelight.tables; print({'pyarrow', 'numpy', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
