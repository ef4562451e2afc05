"""The index: every good and every bad .one_root, and what is found in one."""

from __future__ import annotations

import io
import string
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelight.alf import Pattern, Session
from onelight.errors import OneError, UnsafeData
from onelight.index import (
    EMPTY_MD5,
    EMPTY_URL,
    MAX_LINE,
    Entry,
    Index,
    read_one_root,
    read_table,
    write_one_root,
    write_table,
)

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
        with pytest.raises(UnsafeData, match=r"row 2 of .one_root is not UTF-8 text \(byte 4 of the row\)"):
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


class TestTable:
    @given(
        st.dictionaries(
            paths,
            st.tuples(
                st.sampled_from(["", EMPTY_URL, "https://a.org/files/1"]),
                st.one_of(st.none(), st.integers(0, 1 << 50)),
                st.one_of(st.none(), st.text("0123456789abcdef", min_size=32, max_size=32)),
            ),
        )
    )
    def test_what_is_kept_of_an_index_comes_back_with_sizes_and_checksums(
        self, wanted: dict[str, tuple[str, int | None, str | None]]
    ) -> None:
        stream = io.BytesIO()
        index = Index(Entry(path, *rest) for path, rest in wanted.items())
        write_table(index, stream)
        stream.seek(0)
        assert list(read_table(stream)) == list(index)

    @pytest.mark.parametrize("content", [b"x\n", b"a\tb\tc\td\n", b"a\tb\t1\td\te\n", b"\xff\t\t\t\n"])
    def test_a_damaged_one_is_refused(self, content: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            read_table(io.BytesIO(content))
