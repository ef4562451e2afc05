"""Every good and every bad .one_root, and what is found in one."""

from __future__ import annotations

import csv
import io
import os
import re
import string
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelight.alf import Pattern, Session, check_safe, split_path
from onelight.errors import AlfError, OneError, UnsafeData
from onelight.index import (
    EMPTY_MD5,
    EMPTY_URL,
    MAX_LINE,
    Entry,
    Index,
    read_one_root,
    write_one_root,
)
from onelight.index.sorting import sorted_lines
from onelight.route import check_url, path_url, resolve

BASE = "https://example.org/data"
FIRST = "nicklab/Subjects/Cori/2016-12-14/001/alf/spikes.times.npy"
SECOND = "nicklab/Subjects/Cori/2016-12-14/001/alf/trials.intervals.npy"

folders = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=6)
fields = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=".:/\\ "), min_size=1, max_size=8)


def _safe(path: str) -> bool:
    from onelight.alf import check_safe, split_path

    try:
        check_safe(path)
        split_path(path)
    except OneError:
        return False
    return True


paths = st.builds(
    lambda lab, subject, number, below: f"{lab}/Subjects/{subject}/2016-12-14/{number:03}/{below}",
    folders,
    folders,
    st.integers(0, 999),
    st.builds(
        lambda folder, object_, attribute: f"alf/{folder}/{object_}.{attribute}.npy",
        st.one_of(folders, folders.map("#{}#".format)),
        fields,
        fields,
    ),
).filter(_safe)


def read(content: bytes, **options: str) -> Index:
    return read_one_root(io.BytesIO(content), **{"base_url": BASE, **options})


def rows(*lines: str, end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode()


class TestGoodFiles:
    def test_two_columns_are_path_and_address(self) -> None:
        index = read(rows(f"{FIRST}\thttps://ndownloader.figshare.com/files/1"))
        assert list(index) == [Entry(FIRST, "https://ndownloader.figshare.com/files/1")]

    def test_one_column_has_its_address_from_where_the_file_lies(self) -> None:
        index = read(rows(FIRST))
        assert index[FIRST].url == f"{BASE}/{FIRST}"

    def test_an_empty_second_column_is_one_column(self) -> None:
        assert read(rows(f"{FIRST}\t"))[FIRST].url == f"{BASE}/{FIRST}"

    def test_special_characters_of_one_column_are_quoted(self) -> None:
        path = "lab/Subjects/s/2016-12-14/001/alf/#2024-05-06#/a b%20?é.times.npy"
        url = "lab/Subjects/s/2016-12-14/001/alf/%232024-05-06%23/a%20b%2520%3F%C3%A9.times.npy"
        assert read(rows(path))[path].url == f"{BASE}/{url}"

    @pytest.mark.parametrize(
        ("address", "whole"),
        [
            ("alf/x.npy", f"{BASE}/alf/x.npy"),
            ("/alf/x.npy", "https://example.org/alf/x.npy"),
            ("//mirror.org/x.npy", "https://mirror.org/x.npy"),
            ("lab/#1#/x.npy", f"{BASE}/lab/%231%23/x.npy"),
        ],
    )
    def test_relative_addresses_count_from_where_the_file_lies(self, address: str, whole: str) -> None:
        assert read(rows(f"{FIRST}\t{address}"))[FIRST].url == whole

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n"])
    def test_every_end_of_line_that_old_clients_wrote_is_read(self, end: str) -> None:
        index = read(rows(f"{FIRST}\thttps://a.org/1", f"{SECOND}\thttps://a.org/2", end=end))
        assert [entry.url for entry in index] == ["https://a.org/1", "https://a.org/2"]

    def test_the_last_line_needs_no_end(self) -> None:
        assert len(read(rows(FIRST, SECOND).rstrip(b"\n"))) == 2

    @pytest.mark.parametrize("blank", ["", " ", "\t", "\t\t\t", "\r"])
    def test_blank_lines_mean_nothing(self, blank: str) -> None:
        assert len(read(rows(blank, FIRST, blank, blank, SECOND, blank))) == 2

    def test_a_byte_order_mark_is_passed_over(self) -> None:
        assert [entry.path for entry in read(b"\xef\xbb\xbf" + rows(FIRST))] == [FIRST]

    def test_backslashes_between_the_parts_are_read_as_slashes(self) -> None:
        assert [entry.path for entry in read(rows(FIRST.replace("/", "\\") + "\thttps://a.org/1"))] == [FIRST]

    def test_quotes_of_a_spreadsheet_are_understood(self) -> None:
        assert read(rows(f'"{FIRST}"\t"https://a.org/1"'))[FIRST].url == "https://a.org/1"

    def test_the_same_row_twice_is_one_entry(self) -> None:
        assert len(read(rows(f"{FIRST}\thttps://a.org/1", f"{FIRST}\thttps://a.org/1"))) == 1

    @pytest.mark.parametrize("other", [f"{BASE}/{FIRST}", FIRST, f"/data/{FIRST}", f"//example.org/data/{FIRST}"])
    @pytest.mark.parametrize("between", [[], [SECOND]])
    def test_the_same_row_twice_in_two_spellings_is_one_entry(self, other: str, between: list[str]) -> None:
        for lines in ([FIRST, *between, f"{FIRST}\t{other}"], [f"{FIRST}\t{other}", *between, FIRST]):
            index = read(rows(*lines))
            assert [entry.path for entry in index] == [FIRST, *between]
            assert index[FIRST].url == f"{BASE}/{FIRST}"

    def test_a_day_that_is_none_is_left_out_though_everything_else_in_its_row_is_known(self) -> None:
        days = [f"lab/Subjects/s/2016-{day}/001/alf/a.b.npy" for day in ("02-28", "02-29", "02-30", "02-31", "03-01")]
        index = read(rows(*days))
        assert [entry.path for entry in index] == [days[0], days[1], days[4]]
        assert ["row 3" in index.remarks[0], "row 4" in index.remarks[1]] == [True, True]

    def test_an_empty_file_needs_no_address(self) -> None:
        entry = read(rows(f"{FIRST}\t{EMPTY_URL}"))[FIRST]
        assert (entry.size, entry.md5) == (0, EMPTY_MD5)

    def test_an_empty_index_is_an_empty_repository(self) -> None:
        assert len(read(b"")) == 0

    @pytest.mark.parametrize(
        "path", ["README.md", "nicklab/Cori/alf/spikes.times.npy", "lab/Subjects/s/2019-1-1/001/alf/spikes.times.npy"]
    )
    def test_what_is_safe_but_in_no_session_is_left_out_and_told_with_its_row(self, path: str) -> None:
        index = read(rows(FIRST, "", f"{path}\thttps://a.org/1"))
        assert [entry.path for entry in index] == [FIRST]
        (remark,) = index.remarks
        assert "row 3 of .one_root" in remark

    def test_a_dataset_whose_name_is_not_alf_can_still_be_had(self) -> None:
        index = read(rows("lab/Subjects/s/2016-12-14/001/alf/notes.txt"))
        (entry,) = index
        assert entry.dataset is None
        assert index.select("lab/Subjects/s/2016-12-14/001", Pattern("notes.txt")) == [entry]

    @given(st.dictionaries(paths, st.sampled_from(["", "https://a.org/files/1", "https://b.org/x%20y?z=1"])))
    def test_what_is_written_is_read_again(self, wanted: dict[str, str]) -> None:
        stream = io.BytesIO()
        write_one_root([Entry(path, url) for path, url in wanted.items()], stream)
        found = read(stream.getvalue())
        assert {entry.path for entry in found} == set(wanted)
        assert {entry.path: entry.url for entry in found if wanted[entry.path]} == {
            path: url for path, url in wanted.items() if url
        }
        assert found.remarks == ()

    def test_it_is_written_sorted_without_header_and_never_with_a_third_column(self) -> None:
        stream = io.BytesIO()
        write_one_root([Entry(SECOND, "https://a.org/2", 5, "0" * 32), Entry(FIRST)], stream)
        assert stream.getvalue().decode() == f"{FIRST}\n{SECOND}\thttps://a.org/2\n"


class TestBadFiles:
    @pytest.mark.parametrize(
        "path",
        [
            "../x/Subjects/s/2016-12-14/001/alf/a.b.npy",
            "lab/Subjects/s/2016-12-14/001/../../../../../etc/passwd",
            "lab/Subjects/s/2016-12-14/001/alf/../a.b.npy",
            "/etc/passwd",
            "/lab/Subjects/s/2016-12-14/001/alf/a.b.npy",
            "//host/share/x",
            "C:\\lab\\x",
            "C:/lab/x",
            "C:x",
            "\\\\host\\share\\x",
            "\\x",
            "lab\\..\\..\\x",
            "lab/Subjects/s/2016-12-14/001/alf//a.b.npy",
            "lab/Subjects/s/2016-12-14/001/alf/a.b.npy:stream",
            "lab/Subjects/s/2016-12-14/001/alf/\uff0e\uff0e/a.b.npy",
            "lab/Subjects/s/2016-12-14/001/alf/\x1b[2Ja.b.npy",
            "./x",
            ".",
            "lab/Subjects/s/2016-12-14/001/alf/ ",
        ],
    )
    def test_a_path_that_could_leave_the_folder_is_refused_with_its_row(self, path: str) -> None:
        """Row D1."""
        for row in (path, f"{path}\thttps://a.org/1"):
            with pytest.raises(UnsafeData, match="row 3 of .one_root") as caught:
                read(rows(FIRST, "", row, SECOND))
            assert str(caught.value).isprintable()

    @pytest.mark.parametrize(
        "url",
        [
            "file:///etc/passwd",
            "FILE:/etc/passwd",
            "ftp://a.org/x",
            "javascript:x",
            "data:text/plain,x",
            "https://user:pass@a.org/x",
            "http://169.254.169.254/latest",
            "http://localhost/x",
            "http://127.0.0.1:6379/x",
            "http://2130706433/x",
            "C:\\x",
        ],
    )
    def test_an_address_that_is_no_data_on_the_web_is_refused_with_its_row(self, url: str) -> None:
        """Row D5."""
        with pytest.raises(UnsafeData, match="row 2 of .one_root"):
            read(rows(SECOND, f"{FIRST}\t{url}"))

    @pytest.mark.parametrize("row", [f"{FIRST}\thttps://a.org/1\t5", f"{FIRST}\t\t", f"{FIRST}\ta\tb\tc"])
    def test_a_third_column_is_refused_with_its_row(self, row: str) -> None:
        with pytest.raises(UnsafeData, match=r"row 2 of .one_root: it has \d columns, and must have one or two"):
            read(rows(SECOND, row))

    @pytest.mark.parametrize("row", [f"{FIRST}\0", f"{FIRST}\thttps://a.org/\0", "\0" * 64])
    def test_a_nul_is_refused_with_its_row(self, row: str) -> None:
        with pytest.raises(UnsafeData, match="row 2 of .one_root: it has a NUL"):
            read(rows(SECOND, row))

    @pytest.mark.parametrize("bad", [b"\xff\xfe", b"\xc3(", b"\xed\xa0\x80"])
    def test_bytes_that_are_no_text_are_refused_with_row_and_place(self, bad: bytes) -> None:
        with pytest.raises(UnsafeData, match=r"row 2 of .one_root: it is not UTF-8 text \(byte 4 of the row\)"):
            read(rows(SECOND) + b"lab" + bad + b"/x\n")

    def test_a_file_in_utf_16_is_refused(self) -> None:
        with pytest.raises(UnsafeData, match="row 1"):
            read(rows(FIRST).decode().encode("utf-16"))

    def test_a_web_page_instead_of_an_index_is_called_one(self) -> None:
        for page in ("<!DOCTYPE html>", "  <html lang='en'>", "<?xml version='1.0'?>"):
            with pytest.raises(UnsafeData, match="row 1 of .one_root: this is a web page"):
                read(rows(page, "<head>"))

    def test_two_addresses_for_one_path_are_refused_with_the_row(self) -> None:
        with pytest.raises(UnsafeData, match="row 3 .*twice with different addresses"):
            read(rows(f"{FIRST}\thttps://a.org/1", SECOND, f"{FIRST}\thttps://a.org/2"))

    def test_a_quote_that_never_closes_is_refused_with_its_row(self) -> None:
        with pytest.raises(UnsafeData, match="row 2"):
            read(rows(SECOND, f'"{FIRST}\thttps://a.org/1'))

    def test_a_line_of_a_gigabyte_is_refused_without_being_held(self) -> None:
        class Endless(io.RawIOBase):
            given = 0

            def readable(self) -> bool:
                return True

            def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
                if self.given >= 1 << 30:
                    return 0
                buffer[:] = b"a" * len(buffer)
                self.given += len(buffer)
                return len(buffer)

        source = Endless()
        tracemalloc.start()
        try:
            with pytest.raises(UnsafeData, match="row 1 of .one_root is longer than 1,048,576 bytes"):
                read_one_root(io.BufferedReader(source, 1 << 16), base_url=BASE)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert source.given < 2 * MAX_LINE
        assert peak < 6 * MAX_LINE

    def test_the_row_of_a_line_that_is_too_long_is_told(self) -> None:
        with pytest.raises(UnsafeData, match="row 3 of .one_root is longer"):
            read(rows(FIRST, SECOND, "x" * (MAX_LINE + 1)))

    def test_a_line_of_the_longest_length_is_read_as_a_line(self) -> None:
        with pytest.raises(UnsafeData, match="row 1 of .one_root: the path .* is refused: a part of it is longer"):
            read(b"x" * (MAX_LINE - 1) + b"\n")

    @given(st.binary(max_size=60))
    def test_any_bytes_are_read_or_refused_and_nothing_else(self, content: bytes) -> None:
        try:
            index = read(content)
        except UnsafeData as error:
            assert "of .one_root" in error.message  # noqa: PT017 - some bytes are an index
            return
        assert all(_safe(entry.path) for entry in index)

    @given(st.lists(st.text("ab.\t /\\:#\"'%", max_size=20), max_size=4))
    def test_any_text_is_read_or_refused_and_nothing_else(self, lines: list[str]) -> None:
        try:
            index = read(rows(*lines))
        except UnsafeData as error:
            assert "row " in error.message  # noqa: PT017 - some texts are an index
            return
        assert all(_safe(entry.path) for entry in index)


def index_of(*names: str) -> Index:
    return Index(Entry(name) for name in names)


SESSIONS = {
    "labA/Subjects/Cori/2016-12-14/001": ["alf/spikes.times.npy", "alf/spikes.clusters.npy", "alf/trials.goCue.npy"],
    "labA/Subjects/Cori/2016-12-14/002": ["alf/spikesExtra.times.npy"],
    "labA/Subjects/Cori/2016-12-15/001": ["alf/spikes.times.npy", "alf/eye.blink.npy"],
    "labA/Subjects/Hench/2017-06-15/1": ["alf/trials.goCue.npy"],
    "labB/Subjects/Cori/2016-12-14/001": ["alf/probe00/spikes.times.npy", "alf/wheel.position.npy"],
}
INDEX = index_of(*(f"{session}/{name}" for session, names in SESSIONS.items() for name in names))


class TestLooking:
    @given(
        st.lists(st.sampled_from(["spikes", "spikes.times", "trials", "*.times", "eye", "spikes.times.npy", "*"])),
        st.sampled_from([None, "labA", "lab*", ["labB", "x"]]),
        st.sampled_from([None, "Cori", "C*i", ["Hench", "Cori"]]),
        st.sampled_from([None, "2016-12-14", "2016-*"]),
        st.sampled_from([None, 1, "001", [1, 2], "2"]),
    )
    def test_a_search_is_every_filter_and_every_pattern(
        self, patterns: list[str], lab: object, subject: object, date: object, number: object
    ) -> None:
        from fnmatch import fnmatchcase

        def fits(wanted: object, value: str) -> bool:
            some: Iterable[object] = wanted if isinstance(wanted, list) else [wanted]
            return wanted is None or any(fnmatchcase(value.lstrip("0"), str(one).lstrip("0")) for one in some)

        def holds(names: list[str], pattern: str) -> bool:
            asked = pattern.split(".")
            parts = [name.rpartition("/")[2].split(".") for name in names]
            return any(all(map(fnmatchcase, found, asked)) for found in parts)

        wanted = [
            session
            for session, names in SESSIONS.items()
            if all(
                fits(asked, session.split("/")[place])
                for asked, place in ((lab, 0), (subject, 2), (date, 3), (number, 4))
            )
            and all(holds(names, pattern) for pattern in patterns)
        ]
        found = INDEX.search(map(Pattern, patterns), lab=lab, subject=subject, date=date, number=number)
        assert found == sorted(wanted)

    def test_a_number_written_otherwise_finds_its_session(self) -> None:
        assert INDEX.find_session(Session.parse("labA/Subjects/Hench/2017-06-15/001")) == (
            "labA/Subjects/Hench/2017-06-15/1"
        )
        assert INDEX.find_session(Session.parse("labA/Subjects/Cori/2016-12-14/1")) == (
            "labA/Subjects/Cori/2016-12-14/001"
        )

    def test_a_subject_that_looks_like_the_same_number_is_another_subject(self) -> None:
        index = index_of("lab/Subjects/01/2016-12-14/001/alf/spikes.times.npy")
        assert index.find_session(Session.parse("lab/Subjects/1/2016-12-14/001")) is None
        assert index.search(subject="1") == []

    def test_terms_are_every_value_once_and_sorted(self) -> None:
        terms = INDEX.terms()
        assert terms.lab == ["labA", "labB"]
        assert terms.subject == ["Cori", "Hench"]
        assert terms.date == ["2016-12-14", "2016-12-15", "2017-06-15"]
        assert terms.number == ["001", "002", "1"]
        assert terms.dataset_types == [
            "eye.blink",
            "spikes.clusters",
            "spikes.times",
            "spikesExtra.times",
            "trials.goCue",
            "wheel.position",
        ]

    def test_entries_are_sorted_whatever_their_order_was(self) -> None:
        names = [SECOND, FIRST]
        assert [entry.path for entry in index_of(*names)] == sorted(names)


# What the docstring of read_one_root says, line by line


@dataclass
class Read:
    """What a file holds: addresses by path, and the rows that are left out; or the row that is refused."""

    urls: dict[str, str]
    left_out: list[int]
    refused: int = 0


def read_plainly(content: bytes) -> Read:
    found = Read({}, [])
    text = re.sub(rb"\r+\n", b"\n", content.removeprefix(b"\xef\xbb\xbf") + b"\n")
    for row, line in enumerate(text.split(b"\n")[:-1], 1):
        try:
            cells = next(csv.reader([line.decode()], delimiter="\t"), [])
            if not line.strip():
                continue
            path, address = cells[0].replace("\\", "/"), "".join(cells[1:])
            check_safe(path)
            url = resolve(BASE, address) if address else path_url(BASE, path)
            if url != EMPTY_URL:
                check_url(url, trusted=BASE)
            if b"\0" in line or len(cells) > 2 or re.match(rb"\s*<(!doctype|html)", line, re.IGNORECASE):
                return Read({}, [], row)
            split_path(path)
            if found.urls.setdefault(path, url) != url:
                return Read({}, [], row)
        except (UnsafeData, UnicodeDecodeError, csv.Error):
            return Read({}, [], row)
        except AlfError:
            found.left_out.append(row)
    return found


def read_in_pieces(content: bytes, chunk: int, piece: int) -> Read:
    """Read as the product does, in chunks of so many bytes, and where it has to be sorted, in pieces of so many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onelight.index.one_root._CHUNK", chunk)
        patch.setattr("onelight.index.one_root.sorted_lines", partial(sorted_lines, piece=piece))
        patch.setattr("onelight.index.one_root._MOST_KNOWN", 3)
        patch.setattr("onelight.index.one_root._MOST_ORIGINS", 2)
        patch.setattr("onelight.index.building.SEGMENT", 3)
        patch.setattr("onelight.index.building._BLOCK", chunk)
        patch.setattr("onelight.index.building._MOST_REMARKS", 1000)
        try:
            index = read(content)
        except UnsafeData as error:
            return Read({}, [], int(re.match(r"row (\d+) of \.one_root", error.message)[1]))  # type: ignore[index]
    assert [entry.path for entry in index] == sorted(index[path].path for path in (entry.path for entry in index))
    left_out = [int(re.match(r"row (\d+) of", remark)[1]) for remark in index.remarks]  # type: ignore[index]
    return Read({entry.path: entry.url for entry in index}, left_out)


PIECES = st.tuples(st.sampled_from([1, 2, 7, 64, 200, 1000, 1 << 19]), st.sampled_from([1, 100, 1000, 24 << 20]))
ADDRESSES = st.one_of(
    st.just(""),
    st.integers(0, 99).map("https://a.org/files/{}".format),
    st.sampled_from(
        [
            *("https://b.org:8080/x y#z", "HTTPS://A.org/x", "https://a.org", "https://c.org/?x=1&y=%20", "data:,"),
            *("rel/x.npy", "../x.npy", "/root.npy", "//mirror.org/x", "https://d.org/é", "https://e.org/[1]", "?x"),
            *("http://a.org/1", "https://a.org:443/1", "https://a.org//x/../y;z", "https://example.org/data/x"),
        ]
    ),
)
GOOD_PATHS = st.one_of(
    st.builds(
        "{}/Subjects/{}/2016-12-{}/{}/{}".format,
        st.sampled_from(["lab", "lab-b", "lab.c"]),
        st.sampled_from(["a", "a-b", "a.b", "1", "001"]),
        st.sampled_from(["14", "15"]),
        st.sampled_from(["1", "001", "10"]),
        st.sampled_from(
            ["alf/a.b.npy", "alf/a b.c.npy", "alf.x/a.b.npy", "é.b.npy", 'alf/a"b.c.npy', "x", "alf/a.b.npyx"]
        ),
    ),
    paths,
)
LEFT_OUT = st.sampled_from(
    [
        *("README.md", "lab/Subjects/s/2019-1-1/001/alf/a.b.npy", "lab/Subjects/a/2016-12-14/001", "a/b/c/d/e/f"),
        *("lab/Subjects/a/2016-02-30/001/a.b.npy", "lab/Subjects/a/2016-12-14/0001/a.b.npy", "\ufefflab/x", "-l/b"),
        *("lab/Subjects/a/2016-12-32/001/alf/a.b.npy", "lab/Subjects/a/2016-13-14/001/alf/a.b.npy"),
        *("lab/Subjects/s s/2016-12-14/001/a.b.npy", "lab/subjects/a/2016-12-14/001/a.b.npy", "https/x", "lab"),
    ]
)
IN = "lab/Subjects/a/2016-12-14/001"
REFUSED = st.sampled_from(
    [
        *(f"{IN}/alf/{name}" for name in ("../a.b.npy", "a:b.c.npy", "a. ", "a.", " a.b", "", "/a.b.npy", "x" * 256)),
        *("/etc/passwd", "../x", "C:\\x", "C:x", "\\\\host\\x", "lab\\..\\x", "./x", f"/{IN}/a.b.npy", "lab//x", "."),
        *("lab/Subjects/../2016-12-14/001/a.b.npy", "lab/Subjects/a./2016-12-14/001/a.b.npy", "lab /Subjects/a/x/1/a"),
        *(f"{IN}/a.b.npy\t{address}" for address in ("file:///x", "javascript:x", "ftp://a.org/x", "http://", "a:b")),
        *(f"{IN}/a.b.npy\thttps://{host}/x" for host in ("u:p@a.org", "10.0.0.1", "[::1]", "0x7f.1", "a.org:x")),
        *(f"{IN}/a.b.npy\t{address}" for address in ("https://a.org/1\t5", "\t", "\t\t", "https://a.org/\0")),
        *(f"{IN}/a.b.npy\0", "<!DOCTYPE html>", "  <html>", "\thttps://a.org/1", f'"{IN}/a\tb.c.npy"', "\0"),
        *(f"{IN}/a\x7f.b.npy", f"{IN}/\uff0e\uff0e/a.b.npy", f"{IN}/a\rb.c.npy"),
    ]
)


@st.composite
def contents(draw: st.DrawFn, *, faults: int = 0) -> bytes:
    """Draw a file as any client may have written it, with so many faults."""
    rows = draw(st.dictionaries(GOOD_PATHS, ADDRESSES, max_size=30))
    lines = [f"{path}\t{address}" if address else path for path, address in rows.items()]
    lines += draw(st.lists(st.sampled_from(lines), max_size=3)) if lines else []
    lines += draw(st.lists(LEFT_OUT, max_size=2))
    order = draw(st.sampled_from(["sorted", "shuffled", "nearly"]))
    lines = sorted(lines) if order != "shuffled" else draw(st.permutations(lines))
    if order == "nearly" and lines:
        lines.append(lines.pop(draw(st.integers(0, len(lines) - 1))))
    if draw(st.booleans()):
        for line in draw(st.lists(st.one_of(LEFT_OUT, st.sampled_from(["", " ", "\t", "\t \t"])), max_size=3)):
            lines.insert(draw(st.integers(0, len(lines))), line)
    written = [draw(FORMS)(line) for line in lines] if draw(st.booleans()) else lines
    for _ in range(faults):
        written.insert(draw(st.integers(0, len(written))), draw(REFUSED))
    end = draw(st.sampled_from(["\n", "\r\n", "\r\r\n", "mixed"]))
    ends = [draw(st.sampled_from(["\n", "\r\n", "\r\r\n"])) if end == "mixed" else end for _ in written]
    content = "".join(line + end for line, end in zip(written, ends, strict=True)).encode()
    content = content if draw(st.booleans()) else content.rstrip(b"\n")
    return content if draw(st.booleans()) else b"\xef\xbb\xbf" + content


def _backslashed(line: str) -> str:
    path, tab, address = line.partition("\t")
    return path.replace("/", "\\") + tab + address


def _in_quotes(line: str) -> str:
    return "\t".join('"' + cell.replace('"', '""') + '"' for cell in line.split("\t")) if line.strip() else line


FORMS: st.SearchStrategy[Callable[[str], str]] = st.sampled_from(
    [str, str, _backslashed, _in_quotes, lambda line: line if "\t" in line else f"{line}\t"]
)


class TestAgainstThePlainReader:
    @settings(max_examples=250)
    @given(contents(), PIECES)
    def test_a_good_file_is_what_its_lines_say_wherever_its_pieces_end(
        self, content: bytes, pieces: tuple[int, int]
    ) -> None:
        assert read_in_pieces(content, *pieces) == read_plainly(content)

    @settings(max_examples=200)
    @given(contents(faults=1), PIECES)
    def test_a_file_with_one_fault_is_refused_with_the_row_of_it(self, content: bytes, pieces: tuple[int, int]) -> None:
        wanted = read_plainly(content)
        assert wanted.refused
        assert read_in_pieces(content, *pieces) == wanted

    @settings(max_examples=100)
    @given(contents(faults=3), PIECES)
    def test_a_file_with_several_faults_is_refused_with_the_first(
        self, content: bytes, pieces: tuple[int, int]
    ) -> None:
        assert read_in_pieces(content, *pieces) == read_plainly(content)

    def test_every_place_at_which_a_chunk_can_end_is_the_same(self) -> None:
        lines = [f"{IN}/a.{letter}.npy\thttps://a.org/{letter}" for letter in "bcd"]
        for end in ("\n", "\r\n", "\r\r\n"):
            content = b"\xef\xbb\xbf" + end.join([lines[0], "", *lines[1:], "README"]).encode()
            wanted = read_plainly(content)
            assert (len(wanted.urls), wanted.left_out) == (3, [5])
            for chunk in range(1, len(content) + 2):
                assert read_in_pieces(content, chunk, 1) == wanted

    @settings(max_examples=100)
    @given(st.dictionaries(GOOD_PATHS, ADDRESSES, min_size=2, max_size=30), PIECES, st.data())
    def test_two_addresses_of_one_path_are_refused_wherever_they_stand(
        self, rows: dict[str, str], pieces: tuple[int, int], data: st.DataObject
    ) -> None:
        lines = [f"{path}\t{address}" for path, address in rows.items()]
        lines = data.draw(st.sampled_from([sorted(lines), lines]))
        first = data.draw(st.integers(0, len(lines) - 1))
        again = data.draw(st.sampled_from([first, first, len(lines) - 1]).map(lambda place: max(place, first)))
        lines.insert(again + 1, f"{lines[first].partition(chr(9))[0]}\thttps://other.org/x")
        content = "\n".join([*lines, *data.draw(st.sampled_from([[], ["README.md"]]))]).encode()
        assert read_in_pieces(content, *pieces).refused == again + 2

    @pytest.mark.parametrize("after", [b"\xff\n", b"a\tb\tc\n", b"\0\n", b"<html>\n", b"x" * (MAX_LINE + 5)])
    @pytest.mark.parametrize("many", [1, 20_000])
    def test_two_addresses_of_one_path_are_told_though_worse_follows(self, after: bytes, many: int) -> None:
        good = rows(*(f"zz/Subjects/s/2016-12-14/001/alf/a{number:06}.b.npy" for number in range(many)))
        content = rows(f"{FIRST}\thttps://a.org/1", f"{FIRST}\thttps://a.org/2") + good + after
        with pytest.raises(UnsafeData, match=rf"row (2|{many + 3}) of .one_root") as caught:
            read(content)
        assert "row 2 " not in caught.value.message or "twice" in caught.value.message

    def test_a_file_that_is_no_index_is_read_from_where_the_stream_stands(self) -> None:
        stream = io.BytesIO(b"header\n" + rows(SECOND, FIRST))
        stream.seek(7)
        assert [entry.path for entry in read_one_root(stream, base_url=BASE)] == [FIRST, SECOND]

    def test_a_sorted_file_needs_no_way_back(self) -> None:
        reader, writer = os.pipe()
        with open(writer, "wb") as into:  # noqa: PTH123 - a pipe
            into.write(rows(FIRST, SECOND))
        with open(reader, "rb") as stream:  # noqa: PTH123
            assert [entry.path for entry in read_one_root(stream, base_url=BASE)] == [FIRST, SECOND]

    @settings(max_examples=60)
    @given(contents(), st.randoms(use_true_random=False), PIECES)
    def test_the_order_of_the_rows_makes_no_difference(
        self, content: bytes, random: Random, pieces: tuple[int, int]
    ) -> None:
        lines = [line + b"\n" for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
        wanted = read_in_pieces(b"".join(lines), *pieces)
        random.shuffle(lines)
        found = read_in_pieces(b"".join(lines), *pieces)
        assert (found.urls, len(found.left_out)) == (wanted.urls, len(wanted.left_out))
