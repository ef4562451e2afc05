"""search and summary: every question, in every form, and when the repository is asked for its index."""

from __future__ import annotations

import doctest
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from shared import CHECKOUT
from test_cli_looking import on_a_terminal

from onelight import One
from onelight.api import write_index

SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
Run = Callable[..., Any]


@pytest.fixture
def disk(add_repository: Callable[..., str], shared_data_root: Path) -> str:
    return add_repository("disk", "local", root_dir=str(shared_data_root))


#: Sessions below ``lab/Subjects``, sorted as paths are: "-" comes before "/". Of each file the bytes behind a header.
SHELF = {
    "a/2018-12-31/001": {"alf/spikes.times.npy": 1, "alf/probe00/lfp.raw.npy": 2},
    "a/2019-01-01/002": {"alf/spikes.times.npy": 4, "alf/trials.choice.npy": 8},
    "b-1/2019-01-31/001": {"alf/trials.choice.npy": 16, "alf/note.text.npy": 32},
    "b/2019-02-01/010": {"alf/spikes.times.npy": 64, "alf/eye.film.npy": 128},
}
A_OLD, A_NEW, B_1, B = (f"lab/Subjects/{session}" for session in SHELF)


@pytest.fixture
def shelf(tmp_path: Path, add_repository: Callable[..., str]) -> Path:
    """Write four sessions of three subjects, of arrays of a known number of bytes."""
    root = tmp_path / "shelf"
    for session, files in SHELF.items():
        for name, size in files.items():
            path = root / "lab/Subjects" / session / name
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.zeros(size, "u1"))
    add_repository("shelf", "local", root_dir=str(root))
    return root


@pytest.fixture
def web(shelf: Path, serve: Callable[[Path], Any], add_repository: Callable[..., str]) -> Any:
    """Put the same sessions on a server, which states no sizes."""
    write_index(shelf)
    server = serve(shelf)
    add_repository("web", "http", base_url=server.url)
    return server


@pytest.fixture
def many(tmp_path: Path, serve: Callable[[Path], Any], add_repository: Callable[..., str]) -> list[str]:
    """Put 10,000 sessions on a server, more than a pipe holds."""
    days = [f"{2000 + day // 336}-{day // 28 % 12 + 1:02}-{day % 28 + 1:02}" for day in range(10_000)]
    sessions = [f"{'long' * 20}/Subjects/s/{day}/001" for day in days]
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / ".one_root").write_text("".join(f"{session}/alf/a.b.npy\n" for session in sessions))
    add_repository("many", "http", base_url=serve(tmp_path / "many").url)
    return sessions


def asked(server: Any) -> int:
    """Return how often the index was asked for."""
    return sum(path == "/.one_root" for _, path, _ in server.requests)


class TestSearch:
    @pytest.mark.parametrize(
        ("arguments", "number"),
        [
            ([], 3),
            (["spikes"], 3),
            (["spike"], 0),
            (["spikes.times", "trials.*_times"], 3),
            (["spikes", "nothing"], 0),
            (["--subject", "Cori"], 2),
            (["--subject", "C*", "--subject", "Forssmann"], 3),
            (["--lab", "nicklab", "--date", "2017-*"], 1),
            (["--number", "1"], 3),
            (["--number", "2"], 0),
        ],
    )
    def test_sessions_are_printed_one_per_line(
        self, onelight: Run, disk: str, arguments: list[str], number: int
    ) -> None:
        found = onelight("search", *arguments)
        assert found.code == 0
        assert len(found.lines) == number
        assert found.lines == sorted(found.lines)
        assert all(line.startswith("nicklab/Subjects/") for line in found.lines)

    def test_what_there_is_instead_is_said_on_stderr(self, onelight: Run, disk: str) -> None:
        found = onelight("search", "spike")
        assert found.out == ""
        assert "spikes" in found.err
        assert "Cori, Forssmann" in found.err

    def test_json_is_one_object_per_session(self, onelight: Run, disk: str) -> None:
        assert [row["session"] for row in onelight("search", "--json").rows] == onelight("search").lines

    def test_another_repository_is_used_when_it_is_named(self, onelight: Run, disk: str, config_dir: Path) -> None:
        assert onelight("search", "-R", "local").lines == []
        assert onelight("search", "--repository", "disk").lines
        assert json.loads((config_dir / "config.json").read_text())["current_repository"] == "disk"

    def test_the_environment_names_the_repository(
        self, onelight: Run, disk: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ONELIGHT_REPO", "local")
        assert onelight("search").lines == []

    @pytest.mark.parametrize("options", [[], ["--json"], ["--table"]])
    def test_a_reader_that_has_enough_is_no_complaint(self, many: list[str], options: list[str]) -> None:
        with subprocess.Popen(
            [sys.executable, "onelight.py", "search", *options],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as search:
            assert search.stdout is not None
            assert search.stderr is not None
            assert many[0].encode() in search.stdout.readline()
            search.stdout.close()
            said = search.stderr.read().decode()
            search.wait(timeout=30)
        assert "Error" not in said
        assert "Broken" not in said
        assert search.returncode == 141  # as a shell says of a program that SIGPIPE ended

    def test_an_empty_pattern_is_wrong_usage(self, onelight: Run, disk: str) -> None:
        refused = onelight("search", "")
        assert (refused.code, refused.out) == (2, "")
        assert "not a dataset pattern" in refused.err


class TestQuestions:
    @pytest.mark.parametrize(
        ("arguments", "found"),
        [
            ([], [A_OLD, A_NEW, B_1, B]),
            (["spikes"], [A_OLD, A_NEW, B]),
            (["--has", "spikes"], [A_OLD, A_NEW, B]),
            (["spikes", "--has", "trials"], [A_NEW]),
            (["--has", "spikes", "--has", "trials"], [A_NEW]),
            (["--any", "lfp"], [A_OLD]),
            (["--any", "lfp", "--any", "trials"], [A_OLD, A_NEW, B_1]),
            (["spikes", "--any", "lfp", "--any", "trials"], [A_OLD, A_NEW]),
            (["--not", "spikes"], [B_1]),
            (["--not", "lfp", "--not", "trials.*"], [B]),
            (["spikes", "--not", "eye.film.npy"], [A_OLD, A_NEW]),
            (["--since", "2019"], [A_NEW, B_1, B]),
            (["--since", "2019-01-02"], [B_1, B]),
            (["--until", "2018"], [A_OLD]),
            (["--until", "2019-01"], [A_OLD, A_NEW, B_1]),
            (["--until", "2019-01-31"], [A_OLD, A_NEW, B_1]),
            (["--since", "2019-01", "--until", "2019-01"], [A_NEW, B_1]),
            (["--since", "2019-02-01", "--until", "2019-02-01"], [B]),
            (["--date", "2019-01-*", "--date", "2019-02-01"], [A_NEW, B_1, B]),
            (["--date", "2019-01-*", "--since", "2019-01-02"], [B_1]),
            (["--number", "2", "--number", "010"], [A_NEW, B]),
            (["--number", "*1*"], [A_OLD, B_1, B]),
            (["--subject", "b*"], [B_1, B]),
            (["--lab", "lab", "--subject", "b"], [B]),
            (["--lab", "la"], []),
            (["--collection", "alf/probe00"], [A_OLD]),
            (["--not", "lfp", "--collection", "alf/probe00"], [A_NEW, B_1, B]),
        ],
    )
    def test_every_question_has_the_same_answer_in_every_form(
        self, onelight: Run, shelf: Path, arguments: list[str], found: list[str]
    ) -> None:
        printed = onelight("search", *arguments)
        assert (printed.code, printed.lines) == (0, found)
        assert [row["session"] for row in onelight("search", *arguments, "--json").rows] == found
        assert onelight("search", *arguments, "--count").lines == [str(len(found))]
        assert onelight("search", *arguments, "--count", "--json").rows == [{"sessions": len(found)}]
        rows = [line.split("\t") for line in onelight("search", *arguments, "--table").lines]
        assert [row[0] for row in rows] == found
        assert [row["name"] for row in onelight("summary", *arguments, "--by", "session", "--json").rows] == found
        sums = onelight("summary", *arguments).lines[0].split("\t")
        assert sums[2:5] == [str(len(found)), *(str(sum(int(row[place]) for row in rows)) for place in (1, 2))]

    def test_the_command_line_answers_as_python_does(self, onelight: Run, shelf: Path) -> None:
        one = One("shelf")
        assert onelight("search", "spikes", "--not", "eye", "--since", "2019").lines == one.search(
            "spikes", without="eye", date_range=("2019", None)
        )
        for by in ("session", "subject", "object"):
            rows = onelight("summary", "--any", "lfp", "--any", "eye", "--by", by, "--json").rows
            assert [tuple(row.values())[1:] for row in rows] == one.totals(by, any_of=["lfp", "eye"])

    @pytest.mark.parametrize("command", ["search", "summary"])
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--number", "abc"], "Invalid value for '--number': 'abc' is not a number of a session. Give digits"),
            (["--number", ""], "Invalid value for '--number'"),
            (["--number", "1", "--number", "-1"], "'-1' is not a number"),
            (["--date", "2016-13-01"], "Invalid value for '--date': '2016-13-01' is not a date: there is no such day"),
            (["--date", "2016-12"], "Give a day (2016-12-14), * for any text ('2016-12-*'), or --since and --until."),
            (["--date", "*", "--date", "yesterday"], "'yesterday' is not a date"),
            (
                ["--since", "2019-13"],
                "Invalid value for '--since': '2019-13' is not a date. Give a day (2016-12-14), a",
            ),
            (["--since", "2019-1"], "'2019-1' is not a date"),
            (["--since", "2019-"], "'2019-' is not a date"),
            (["--since", "2019-02-30"], "'2019-02-30' is not a date"),
            (["--until", ""], "Invalid value for '--until'"),
            (["--until", "*"], "'*' is not a date"),
            (["--since", "2020", "--until", "2019-12"], "--since 2020 is after --until 2019-12; change their places"),
            (["--refresh", "--offline"], "--refresh asks the repository, and --offline forbids it"),
        ],
    )
    def test_what_is_no_question_is_wrong_usage_and_says_what_is(
        self, onelight: Run, config_dir: Path, command: str, arguments: list[str], said: str
    ) -> None:
        refused = onelight(command, *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert said in refused.err
        assert not config_dir.exists()  # nobody was asked
        assert onelight(command, *arguments, "--json").rows[0]["exit"] == 2

    @pytest.mark.parametrize("option", ["--has", "--any", "--not"])
    @pytest.mark.parametrize("command", ["search", "summary"])
    def test_what_is_no_pattern_is_wrong_usage(self, onelight: Run, shelf: Path, command: str, option: str) -> None:
        refused = onelight(command, option, ".npy")
        assert (refused.code, refused.out) == (2, "")
        assert "not a dataset pattern" in refused.err

    def test_one_number_and_a_table_are_two_wishes(self, onelight: Run, shelf: Path) -> None:
        refused = onelight("search", "--count", "--table")
        assert (refused.code, refused.out) == (2, "")
        assert "give one of the two" in refused.err

    def test_a_total_of_something_else_is_wrong_usage(self, onelight: Run, shelf: Path) -> None:
        refused = onelight("summary", "--by", "lab")
        assert (refused.code, refused.out) == (2, "")
        assert "'subject', 'object', 'session'" in refused.err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["search", "spike"], "no session has the object 'spike'; did you mean spikes?"),
            (["search", "--any", "spikes.tims"], "'spikes.tims'; did you mean spikes.times?"),
            (["search", "--subject", "B_1"], "no subject is named 'B_1'; did you mean b-1?"),
            (["search", "--lab", "lap"], "no lab is named 'lap'; did you mean lab?"),
            (["summary", "--not", "trial"], "no session has the object 'trial'; did you mean trials?"),
        ],
    )
    def test_a_name_that_is_nowhere_is_told_once_with_the_nearest(
        self, onelight: Run, shelf: Path, arguments: list[str], said: str
    ) -> None:
        found = onelight(*arguments)
        assert found.code == 0
        assert found.err.count(said) == 1
        assert "note: " in found.err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], ""),
            (["--lab", "lap"], "; the labs lab"),
            (["--date", "1999-*"], "; dates from 2018-12-31 to 2019-02-01"),
            (["--since", "2030"], "; dates from 2018-12-31 to 2019-02-01"),
            (["--until", "1999", "--lab", "lap"], "; the labs lab; dates from 2018-12-31 to 2019-02-01"),
        ],
    )
    def test_what_there_is_is_said_of_what_was_asked(
        self, onelight: Run, shelf: Path, arguments: list[str], said: str
    ) -> None:
        last = onelight("search", "spike", *arguments).err.splitlines()[-1]
        assert last == f"It has the objects eye, lfp, note, spikes, trials; the subjects a, b, b-1{said}"

    @pytest.mark.parametrize("option", [[], ["--has"], ["--any"], ["--not"]])
    @pytest.mark.parametrize("command", ["search", "summary"])
    @pytest.mark.parametrize("end", ["", "/"])
    def test_a_session_is_no_dataset_and_the_command_for_it_is_said(
        self, onelight: Run, config_dir: Path, command: str, option: list[str], end: str
    ) -> None:
        refused = onelight(command, *option, SESSION + end)
        assert (refused.code, refused.out) == (2, "")
        assert f"this is a session; `onelight list {SESSION}{end}` shows what it holds" in refused.err
        assert not config_dir.exists()

    def test_of_many_names_a_few_are_said(
        self, onelight: Run, tmp_path: Path, serve: Callable[..., Any], add_repository: Callable[..., str]
    ) -> None:
        rows = [f"lab/Subjects/s{number:03}/2020-01-01/001/alf/o{number:03}.a.npy" for number in range(500)]
        (tmp_path / ".one_root").write_text("".join(f"{row}\n" for row in rows))
        add_repository("many", "http", base_url=serve(tmp_path).url)
        said = onelight("search", "nothing").err
        assert "o019 and 480 more; the subjects s000" in said
        assert "o020" not in said

    @pytest.mark.parametrize("options", [[], ["--json"], ["--table"], ["--table", "--json"]])
    def test_many_sessions_are_written_in_blocks(
        self, onelight: Run, many: list[str], monkeypatch: pytest.MonkeyPatch, options: list[str]
    ) -> None:
        writes = 0
        echo = click.echo

        def counted(*arguments: Any, **options: Any) -> None:
            nonlocal writes
            writes += 1
            echo(*arguments, **options)

        monkeypatch.setattr(click, "echo", counted)
        found = onelight("search", *options)
        assert len(found.lines) == len(many)
        assert all(session in line for session, line in zip(many, found.lines, strict=True))
        assert writes < 20


class TestTables:
    def test_sizes_are_bytes_between_tabs_where_no_person_reads(self, onelight: Run, shelf: Path) -> None:
        found = onelight("search", "--table")
        assert found.lines == [f"{A_OLD}\t2\t259", f"{A_NEW}\t2\t268", f"{B_1}\t2\t304", f"{B}\t2\t448"]
        assert "4 sessions, 8 datasets, 1.3 kB in 'shelf'" in found.err

    def test_json_has_the_numbers_of_each_session(self, onelight: Run, shelf: Path) -> None:
        first, *_, last = onelight("search", "--table", "--json").rows
        assert first == {"session": A_OLD, "datasets": 2, "bytes": 259}
        assert last == {"session": B, "datasets": 2, "bytes": 448}

    def test_sizes_that_nobody_states_are_empty(self, onelight: Run, shelf: Path, web: Any) -> None:
        (shelf / "datasets.pqt").unlink()
        found = onelight("search", "--table", "spikes")
        assert found.lines == [f"{A_OLD}\t2\t", f"{A_NEW}\t2\t", f"{B}\t2\t"]
        assert "3 sessions, 6 datasets, the sizes are not stated" in found.err
        assert {row["bytes"] for row in onelight("search", "--table", "--json").rows} == {None}
        assert onelight("summary").lines[0] == "all\tweb\t4\t8\t\t1\t3\t2018-12-31\t2019-02-01"
        assert {row["bytes"] for row in onelight("summary", "--json").rows} == {None}

    @pytest.mark.skipif(os.name != "posix", reason="a terminal of one's own is POSIX's")
    def test_on_a_terminal_columns_are_padded_and_sizes_are_for_people(self, shelf: Path) -> None:
        assert on_a_terminal("search", "--table", "--subject", "b*") == [
            "SESSION                          DATASETS   SIZE",
            "lab/Subjects/b-1/2019-01-31/001         2  304 B",
            "lab/Subjects/b/2019-02-01/010           2  448 B",
        ]
        assert on_a_terminal("search", "--table", "nothing") == []

    def test_the_summary_has_all_then_subjects_then_objects(self, onelight: Run, shelf: Path) -> None:
        found = onelight("summary")
        assert found.code == 0
        assert [line.split("\t") for line in found.lines] == [
            ["all", "shelf", "4", "8", "1279", "1", "3", "2018-12-31", "2019-02-01"],
            ["subject", "lab/Subjects/a", "2", "4", "527"],
            ["subject", "lab/Subjects/b", "1", "2", "448"],
            ["subject", "lab/Subjects/b-1", "1", "2", "304"],
            ["object", "eye", "1", "1", "256"],
            ["object", "lfp", "1", "1", "130"],
            ["object", "note", "1", "1", "160"],
            ["object", "spikes", "3", "3", "453"],
            ["object", "trials", "2", "2", "280"],
        ]
        assert "4 sessions, 8 datasets, 1.3 kB in 'shelf'" in found.err
        first, *rows = onelight("summary", "--json").rows
        numbers = {"sessions": 4, "datasets": 8, "bytes": 1279, "labs": 1, "subjects": 3}
        assert first == {"by": "all", "name": "shelf", **numbers, "first": "2018-12-31", "last": "2019-02-01"}
        assert ["\t".join(map(str, row.values())) for row in rows] == found.lines[1:]
        assert [list(row) for row in rows] == [["by", "name", "sessions", "datasets", "bytes"]] * len(rows)

    @pytest.mark.parametrize("by", ["subject", "object", "session"])
    def test_one_table_is_that_of_the_whole(self, onelight: Run, shelf: Path, by: str) -> None:
        lines = onelight("summary", "--by", by).lines
        if by != "session":
            whole = [line.split("\t", 1) for line in onelight("summary").lines]
            assert lines == [line for what, line in whole if what == by]
        rows = onelight("summary", "--by", by, "--json").rows
        assert {row.pop("by") for row in rows} == {by}
        assert ["\t".join(map(str, row.values())) for row in rows] == lines

    def test_of_two_labs_a_subject_of_the_same_name_is_two(
        self, onelight: Run, tmp_path: Path, write_files: Callable[..., Path], add_repository: Callable[..., str]
    ) -> None:
        root = write_files(tmp_path / "two", *(f"{lab}/Subjects/s/2020-01-01/001/alf/a.b.npy" for lab in ("x", "y")))
        add_repository("two", "local", root_dir=str(root))
        assert onelight("summary").lines[0].split("\t")[5:7] == ["2", "2"]
        assert [row["name"] for row in onelight("summary", "--by", "subject", "--json").rows] == [
            "x/Subjects/s",
            "y/Subjects/s",
        ]

    @pytest.mark.skipif(os.name != "posix", reason="a terminal of one's own is POSIX's")
    def test_on_a_terminal_the_summary_is_for_people(self, shelf: Path) -> None:
        lines = on_a_terminal("summary", "--subject", "b*")
        assert lines[:5] == [
            "2 sessions, 4 datasets, 752 B; 1 lab, 2 subjects; 2019-01-31 to 2019-02-01",
            "",
            "SUBJECT           SESSIONS  DATASETS   SIZE",
            "lab/Subjects/b           1         2  448 B",
            "lab/Subjects/b-1         1         2  304 B",
        ]
        assert lines[6].split() == ["OBJECT", "SESSIONS", "DATASETS", "SIZE"]
        assert on_a_terminal("summary", "nothing") == ["0 sessions, 0 datasets, 0 B; 0 labs, 0 subjects"]

    def test_nothing_is_no_error(self, onelight: Run, config_dir: Path) -> None:
        found = onelight("summary", "-R", "local")
        assert (found.code, found.lines) == (0, ["all\tlocal\t0\t0\t0\t0\t0\t\t"])
        first = onelight("summary", "-R", "local", "--json").rows[0]
        assert (first["sessions"], first["first"], first["last"]) == (0, None, None)

    def test_tables_are_for_pandas_too(self, onelight: Run, shelf: Path) -> None:
        import pandas as pd

        table = pd.DataFrame(One("shelf").totals("session"))
        assert list(table.columns) == ["name", "sessions", "datasets", "size"]
        assert list(table["name"]) == onelight("search").lines


#: Every command that answers from the index.
ASKING = [["search"], ["summary"], ["list", A_OLD], ["describe", A_OLD, "spikes"], ["download", A_OLD, "spikes"]]


@pytest.mark.parametrize("command", ASKING, ids=lambda command: command[0])
class TestFreshness:
    def test_an_index_is_asked_for_again_when_it_is_older_than_ten_minutes(
        self, onelight: Run, web: Any, config_dir: Path, command: list[str]
    ) -> None:
        kept = config_dir / "data" / "web" / ".one_index"
        onelight("search")
        assert asked(web) == 1
        now = time.time()
        os.utime(kept, (now - 590, now - 590))
        assert onelight(*command).code == 0
        assert asked(web) == 1
        os.utime(kept, (now - 610, now - 610))
        assert onelight(*command).code == 0
        assert asked(web) == 2

    def test_the_environment_sets_the_time(
        self, onelight: Run, web: Any, config_dir: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
    ) -> None:
        onelight("search")
        kept = config_dir / "data" / "web" / ".one_index"
        os.utime(kept, (time.time() - 30, time.time() - 30))
        monkeypatch.setenv("ONELIGHT_INDEX_MAX_AGE", "3600")
        onelight(*command)
        assert asked(web) == 1
        monkeypatch.setenv("ONELIGHT_INDEX_MAX_AGE", "20")
        onelight(*command)
        assert asked(web) == 2

    def test_it_is_asked_for_at_once_where_that_is_wanted(self, onelight: Run, web: Any, command: list[str]) -> None:
        onelight("search")
        assert onelight(*command, "--refresh").code == 0
        assert asked(web) == 2

    def test_a_session_that_came_is_there_after_a_refresh(
        self, onelight: Run, web: Any, shelf: Path, command: list[str]
    ) -> None:
        onelight("search")
        new = shelf / "lab/Subjects/a/2020-01-01/001/alf/spikes.times.npy"
        new.parent.mkdir(parents=True)
        new.write_bytes(b"new")
        write_index(shelf)
        assert len(onelight("search").lines) == 4
        onelight(*command, "--refresh")
        assert len(onelight("search").lines) == 5

    @pytest.mark.parametrize("way", ["option", "environment"])
    def test_it_is_never_asked_for_offline(
        self,
        onelight: Run,
        web: Any,
        config_dir: Path,
        monkeypatch: pytest.MonkeyPatch,
        command: list[str],
        way: str,
    ) -> None:
        onelight("download", A_OLD, "spikes")  # of what is not here, nothing can be described
        kept = config_dir / "data" / "web" / ".one_index"
        os.utime(kept, (1, 1))
        before = len(web.requests)
        if way == "environment":
            monkeypatch.setenv("ONELIGHT_OFFLINE", "1")
        found = onelight(*command, *(["--offline"] if way == "option" else []))
        assert (found.code, len(web.requests)) == (0, before)
        assert found.lines

    def test_offline_without_an_index_says_what_to_do(self, onelight: Run, web: Any, command: list[str]) -> None:
        refused = onelight(*command, "--offline")
        assert (refused.code, refused.out, web.requests) == (5, "", [])
        assert "the index of 'web' is not here, and the network is not to be used" in refused.err

    def test_to_be_offline_wins_over_a_refresh_and_is_said(
        self, onelight: Run, web: Any, monkeypatch: pytest.MonkeyPatch, command: list[str]
    ) -> None:
        onelight("download", A_OLD, "spikes")
        before = len(web.requests)
        monkeypatch.setenv("ONELIGHT_OFFLINE", "1")
        found = onelight(*command, "--refresh")
        assert (found.code, len(web.requests)) == (0, before)
        assert "note: ONELIGHT_OFFLINE is set, which wins over --refresh" in found.err

    def test_both_at_once_is_wrong_usage(self, onelight: Run, web: Any, command: list[str]) -> None:
        refused = onelight(*command, "--refresh", "--offline")
        assert (refused.code, refused.out, web.requests) == (2, "", [])

    def test_a_local_folder_is_no_network(self, onelight: Run, shelf: Path, command: list[str]) -> None:
        for option in ("--offline", "--refresh"):
            found = onelight(*command, option)
            assert found.code == 0
            assert found.lines


def test_offline_what_is_here_is_kept_and_what_is_not_is_an_error_that_says_so(
    onelight: Run, web: Any, config_dir: Path
) -> None:
    here = onelight("download", A_OLD, "spikes").lines
    before = len(web.requests)
    assert onelight("download", A_OLD, "spikes", "--offline").lines == here
    failed = onelight("download", A_OLD, "--offline")
    assert (failed.code, failed.lines, len(web.requests)) == (5, here, before)
    assert "the network is not to be used" in failed.err
    assert "fetch only what failed: onelight download --from-file " in failed.err
    assert not list(config_dir.rglob("lfp*"))


def test_a_search_that_the_network_cannot_answer_is_answered_by_what_is_here(onelight: Run, web: Any) -> None:
    before = onelight("search", "spikes").lines
    web.stop()
    after = onelight("search", "spikes", "--refresh")
    assert (after.code, after.lines) == (0, before)
    assert "answering from the index of" in after.err


DOCUMENT = (CHECKOUT / "docs" / "searching.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^    \$ (onelight [^\n]*)\n((?:    (?!\$).*\n)*)", DOCUMENT, re.MULTILINE)
ROWS = re.findall(r"^\|[^|]*\| `(onelight search[^`]*)`[^|]*\| `(one\.search[^`]*)` \|$", DOCUMENT, re.MULTILINE)


@pytest.fixture
def example(config_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the data of the document, as the document makes them."""
    monkeypatch.setenv("ONELIGHT_EXAMPLE_DIR", str(config_dir))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    hidden = re.search(r"<!--(.*?)-->", DOCUMENT, re.DOTALL)
    assert hidden is not None
    variables: dict[str, Any] = {}
    for part in doctest.DocTestParser().get_examples(hidden[1]):
        exec(part.source, variables)


@pytest.mark.skipif(os.name != "posix", reason="a terminal of one's own is POSIX's")
def test_the_document_shows_what_a_terminal_shows(example: None, onelight: Run) -> None:
    assert len(EXAMPLES) >= 7
    for command, shown in EXAMPLES:
        words = shlex.split(command)[1:]
        lines = [line for line in on_a_terminal(*words) if line]
        expected = [line[4:] for line in shown.splitlines() if line[4:] not in ("", "…")]
        notes = onelight(*words).err.splitlines()
        assert [line for line in expected if not line.startswith("note: ")] == lines
        assert [line for line in expected if line.startswith("note: ")] == [
            line for line in notes if line.startswith("note: ")
        ]


def test_the_two_columns_of_the_document_have_the_same_answers(example: None, onelight: Run) -> None:
    assert len(ROWS) >= 15
    for command, call in ROWS:
        found = onelight(*shlex.split(command)[1:])
        assert found.code == 0
        assert found.lines, command
        assert found.lines == eval(call, {"one": One()}), command
