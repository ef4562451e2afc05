"""list and describe: what a session holds and what its files are, without fetching them."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from servers import WebServer
from shared import CHECKOUT

from onelight.api import write_index

SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
Run = Callable[..., Any]


@pytest.fixture
def disk(add_repository: Callable[..., str], shared_data_root: Path) -> str:
    return add_repository("disk", "local", root_dir=str(shared_data_root))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Write a session of two probes, three revisions, two namespaces and two clocks."""
    folder = tmp_path / "mixed" / SESSION
    rows = {
        "note.text.npy": 1,
        "alf/probe00/spikes.times.npy": 10,
        "alf/probe01/spikes.times.npy": 11,
        "alf/trials.choice.npy": 5,
        "alf/#2022-01-28#/trials.choice.npy": 6,
        "alf/#2024-05-06#/trials.choice.npy": 7,
        "alf/_ibl_trials.intervals_bpod.npy": 7,
        "alf/trials.intervals.npy": 7,
    }
    for path, number in rows.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / path, np.arange(number, dtype="f4")[:, None])
    pd.DataFrame({"label": [1, 2], "name": ["a", "b"]}).to_parquet(folder / "alf" / "clusters.metrics.pqt")
    (folder / "alf" / "eye.film.mp4").write_bytes(b"film")
    return tmp_path / "mixed"


@pytest.fixture
def mixed(root: Path, add_repository: Callable[..., str]) -> Path:
    add_repository("mixed", "local", root_dir=str(root))
    return root / SESSION


@pytest.fixture
def far(root: Path, add_repository: Callable[..., str]) -> Iterator[WebServer]:
    """Put the same session on a server that sends parts of files."""
    write_index(root)
    with WebServer(root=root) as server:
        add_repository("far", "http", base_url=server.url)
        yield server


def on_a_terminal(*arguments: str) -> list[str]:
    """Return the lines that a command writes to its stdout, which is a terminal."""
    import pty

    keyboard, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "onelight.py", *arguments],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(terminal)
    written = bytearray()
    end = time.monotonic() + 60
    with contextlib.suppress(OSError):  # so Linux says that the last writer is gone
        while time.monotonic() < end and (data := os.read(keyboard, 1 << 16)):
            written += data
    os.close(keyboard)
    assert process.wait(timeout=30) == 0
    return written.decode().splitlines()


class TestList:
    def test_the_files_of_a_session_are_printed_one_per_line(self, onelight: Run, disk: str) -> None:
        listed = onelight("list", SESSION)
        assert listed.code == 0
        assert len(listed.lines) == 55
        assert listed.lines == sorted(listed.lines)
        assert "55 files" in listed.err
        assert listed.err.rstrip().endswith("in alf")

    def test_path_size_type_and_shape_are_separated_by_tabs(self, onelight: Run, mixed: Path) -> None:
        rows = {row[0]: row[1:] for row in (line.split("\t") for line in onelight("list", SESSION).lines)}
        assert rows["alf/probe00/spikes.times.npy"] == ["168 B", "float32", "(10, 1)"]
        assert rows["alf/#2022-01-28#/trials.choice.npy"] == ["152 B", "float32", "(6, 1)"]
        assert rows["alf/clusters.metrics.pqt"][1:] == ["table", "(2, 2)"]
        assert rows["alf/eye.film.mp4"][0] == "4 B"
        assert "note.text.npy" in rows
        assert len(rows) == 10

    def test_json_is_one_object_per_file(self, onelight: Run, mixed: Path) -> None:
        rows = {row["path"]: row for row in onelight("list", SESSION, "--json").rows}
        assert len(rows) == 10
        path = f"{SESSION}/alf/#2024-05-06#/trials.choice.npy"
        assert rows[path] == {
            "session": SESSION,
            "path": path,
            "dataset": "trials.choice",
            "collection": "alf",
            "revision": "2024-05-06",
            "bytes": 128 + 28,
            "md5": None,
            "dtype": "float32",
            "shape": [7, 1],
        }
        assert rows[f"{SESSION}/note.text.npy"]["collection"] == ""
        assert rows[f"{SESSION}/note.text.npy"]["revision"] is None

    @pytest.mark.parametrize(
        ("arguments", "names"),
        [
            (["spikes"], ["alf/probe00/spikes.times.npy", "alf/probe01/spikes.times.npy"]),
            (["--collection", "alf/probe01"], ["alf/probe01/spikes.times.npy"]),
            (["--collection", ""], ["note.text.npy"]),
            (["spikes.times", "--collection", "alf/*00"], ["alf/probe00/spikes.times.npy"]),
            (["trials.choice", "--revision", "2023"], ["alf/#2022-01-28#/trials.choice.npy"]),
            (["trials.choice", "--revision", ""], ["alf/trials.choice.npy"]),
            (["--namespace", "ibl"], ["alf/_ibl_trials.intervals_bpod.npy"]),
            (["trials.intervals", "--timescale", "bpod"], ["alf/_ibl_trials.intervals_bpod.npy"]),
            (["--extension", "pqt"], ["alf/clusters.metrics.pqt"]),
            (
                ["trials.choice"],
                [
                    "alf/#2022-01-28#/trials.choice.npy",
                    "alf/#2024-05-06#/trials.choice.npy",
                    "alf/trials.choice.npy",
                ],
            ),
        ],
    )
    def test_only_what_is_asked_for_is_listed(
        self, onelight: Run, mixed: Path, arguments: list[str], names: list[str]
    ) -> None:
        assert [line.split("\t")[0] for line in onelight("list", SESSION, *arguments).lines] == names
        rows = onelight("list", SESSION, *arguments, "--json").rows
        assert [row["path"] for row in rows] == [f"{SESSION}/{name}" for name in names]

    @pytest.mark.skipif(os.name != "posix", reason="a terminal of one's own is POSIX's")
    def test_on_a_terminal_files_stand_in_columns_below_their_folder(self, mixed: Path) -> None:
        lines = on_a_terminal("list", SESSION)
        folders = [line for line in lines if not line.startswith(" ")]
        assert folders == [
            "./", "alf/", "alf/#2022-01-28#/", "alf/#2024-05-06#/", "alf/probe00/", "alf/probe01/",
        ]  # fmt: skip
        probe = lines[lines.index("alf/probe00/") + 1]
        assert probe.split(maxsplit=4) == ["spikes.times.npy", "168", "B", "float32", "(10, 1)"]
        columns = {line.index("float32") for line in lines if "float32" in line}
        assert len(columns) == 1
        assert not any("\t" in line for line in lines)

    @pytest.mark.skipif(os.name != "posix", reason="a terminal of one's own is POSIX's")
    def test_every_folder_is_named_once(self, mixed: Path) -> None:
        np.save(mixed / "alf" / "zz.a.npy", np.zeros(1))  # what sorts behind the folders in it
        np.save(mixed / "alf" / "a.a.npy", np.zeros(1))
        folders = [line for line in on_a_terminal("list", SESSION) if not line.startswith(" ")]
        assert len(folders) == len(set(folders))

    def test_of_what_is_not_here_type_and_shape_come_with_the_download(
        self, onelight: Run, far: WebServer, config_dir: Path
    ) -> None:
        before = {line.split("\t")[0]: line.split("\t")[1:] for line in onelight("list", SESSION).lines}
        assert before["alf/probe00/spikes.times.npy"] == ["168 B"]  # as the table beside the index says
        assert "shape" not in onelight("list", SESSION, "spikes", "--json").rows[0]
        assert onelight("download", SESSION, "spikes").code == 0
        asked = len(far.requests)
        after = {line.split("\t")[0]: line.split("\t")[1:] for line in onelight("list", SESSION).lines}
        assert after["alf/probe00/spikes.times.npy"] == ["168 B", "float32", "(10, 1)"]
        assert len(after["alf/trials.choice.npy"]) == 1
        assert far.requests[asked:] == []  # the index is on the disk, and new
        assert onelight("list", SESSION, "spikes", "--json").rows[0]["shape"] == [10, 1]

    def test_a_damaged_file_is_listed_as_such(self, onelight: Run, mixed: Path) -> None:
        (mixed / "alf" / "trials.intervals.npy").write_bytes(b"<html>")
        listed = onelight("list", SESSION, "trials.intervals")
        assert (listed.code, listed.lines) == (0, ["alf/trials.intervals.npy\t6 B\trefused"])

    def test_a_session_that_is_not_there_is_not_found(self, onelight: Run, disk: str) -> None:
        missing = onelight("list", SESSION.replace("001", "002"))
        assert (missing.code, missing.out) == (3, "")
        assert f"Did you mean {SESSION}" in missing.err

    def test_a_part_that_is_not_there_names_those_that_are(self, onelight: Run, mixed: Path) -> None:
        missing = onelight("list", SESSION, "spikes", "--collection", "alf")
        assert (missing.code, missing.out) == (3, "")
        assert "collection is one of: 'alf/probe00', 'alf/probe01'" in missing.err

    def test_what_is_no_session_is_wrong_usage(self, onelight: Run, disk: str) -> None:
        refused = onelight("list", "Cori")
        assert (refused.code, refused.out) == (2, "")
        assert "LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER" in refused.err


class TestDescribe:
    def test_a_file_is_said_in_rows_below_its_path(self, onelight: Run, mixed: Path) -> None:
        said = onelight("describe", SESSION, "spikes.times", "--collection", "alf/probe00")
        assert said.code == 0
        assert said.lines[0] == "alf/probe00/spikes.times.npy"
        rows = dict(line.split(maxsplit=1) for line in said.lines[1:])
        assert rows["shape"].startswith("(10, 1)")
        assert rows["type"] == "float32"
        assert "Traceback" not in said.err

    def test_files_are_parted_by_a_blank_line(self, onelight: Run, mixed: Path) -> None:
        said = onelight("describe", SESSION, "trials")
        paths = [line for line in said.lines if line.startswith("alf/")]
        assert paths == [
            "alf/#2024-05-06#/trials.choice.npy",
            "alf/_ibl_trials.intervals_bpod.npy",
            "alf/trials.intervals.npy",
        ]
        assert said.lines.count("") == 2

    def test_without_a_dataset_everything_is_described(self, onelight: Run, mixed: Path) -> None:
        rows = onelight("describe", SESSION, "--json").rows
        assert len(rows) == 10
        (table,) = [row for row in rows if row["path"] == "alf/clusters.metrics.pqt"]
        assert (table["rows"], [column["name"] for column in table["columns"]]) == (2, ["label", "name"])

    def test_of_what_is_not_here_only_the_beginning_is_asked_for(
        self, onelight: Run, far: WebServer, config_dir: Path
    ) -> None:
        said = onelight("describe", SESSION, "spikes.times", "--collection", "alf/probe00", "--json")
        assert said.rows[0]["shape"] == [10, 1]
        (asked,) = [request for request in far.requests if request.path.endswith("spikes.times.npy")]
        assert asked.status == 206
        assert not list(config_dir.rglob("*.npy"))

    @pytest.mark.parametrize(
        "more", [[], ["--json"], ["--extension", "npy"], ["--collection", "alf/*"], ["-R", "mixed"]]
    )
    def test_of_several_collections_none_is_guessed_and_the_hint_is_a_command_that_works(
        self, onelight: Run, mixed: Path, more: list[str]
    ) -> None:
        refused = onelight("describe", SESSION, "spikes.times", *more)
        assert refused.code == 2
        assert "alf/probe00, alf/probe01" in refused.err
        (hint,) = [line for line in refused.err.splitlines() if line.startswith("hint: Choose one: ")]
        if more == ["--json"]:
            assert f"hint: {refused.rows[0]['hint']}" == hint
        command = shlex.split(hint.removeprefix("hint: Choose one: "))
        assert command[0] == "onelight"
        said = onelight(*command[1:])
        assert said.code == 0
        assert "alf/probe00/spikes.times.npy" in said.out
        assert "probe01" not in said.out

    @pytest.mark.parametrize("folders", [("", "alf"), ("-x", "alf"), ("a b", "c")])
    def test_that_command_works_for_every_name_of_a_collection(
        self, onelight: Run, tmp_path: Path, add_repository: Callable[..., str], folders: tuple[str, str]
    ) -> None:
        for folder in folders:
            (tmp_path / "odd" / SESSION / folder).mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / "odd" / SESSION / folder / "a.b.npy", np.zeros(3))
        add_repository("odd", "local", root_dir=str(tmp_path / "odd"))
        refused = onelight("describe", SESSION, "a.b")
        assert refused.code == 2
        command = shlex.split(refused.err.splitlines()[-1].removeprefix("hint: Choose one: "))
        said = onelight(*command[1:])
        assert said.code == 0
        assert said.lines[0] == "/".join(filter(None, (folders[0], "a.b.npy")))

    def test_a_file_that_would_be_refused_is_refused(self, onelight: Run, mixed: Path) -> None:
        (mixed / "alf" / "trials.intervals.npy").write_bytes(b"<!DOCTYPE html><html>Please log in</html>")
        refused = onelight("describe", SESSION, "trials.intervals")
        assert (refused.code, refused.out) == (8, "")
        assert "trials.intervals.npy" in refused.err
        several = onelight("describe", SESSION, "trials")
        assert several.code == 8
        assert "alf/_ibl_trials.intervals_bpod.npy" in several.lines
        assert "1 file would be refused by loading: alf/trials.intervals.npy" in several.err
        kinds = {row["path"]: row["kind"] for row in onelight("describe", SESSION, "trials", "--json").rows}
        assert kinds["alf/trials.intervals.npy"] == "refused"
        assert set(kinds.values()) == {"array", "refused"}

    def test_what_could_not_be_looked_at_is_no_success(self, onelight: Run, far: WebServer, root: Path) -> None:
        (root / SESSION / "alf" / "trials.intervals.npy").unlink()
        several = onelight("describe", SESSION, "trials")
        assert several.code == 1
        assert "1 file could not be looked at: alf/trials.intervals.npy" in several.err
        assert onelight("describe", SESSION, "trials.intervals").code == 3

    def test_of_a_server_that_sends_whole_files_only_the_beginning_is_taken(
        self, onelight: Run, far: WebServer
    ) -> None:
        with_ranges = onelight("describe", SESSION, "trials.intervals")
        far.ranges = False
        assert onelight("describe", SESSION, "trials.intervals").out == with_ranges.out
        assert with_ranges.code == 0

    def test_what_is_not_there_is_not_found(self, onelight: Run, mixed: Path) -> None:
        missing = onelight("describe", SESSION, "spikes.tmies")
        assert (missing.code, missing.out) == (3, "")
        assert "spikes.times" in missing.err
