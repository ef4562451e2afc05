"""download, and what its options mean to search: data on stdout, talk on stderr, and a true exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onelight.api import write_index

CHECKOUT = Path(__file__).resolve().parents[2]
SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
Run = Callable[..., Any]


@pytest.fixture
def disk(add_repository: Callable[..., str], shared_data_root: Path) -> str:
    return add_repository("disk", "local", root_dir=str(shared_data_root))


@pytest.fixture
def web(add_repository: Callable[..., str], data_root: Path, serve: Callable[[Path], Any]) -> Any:
    write_index(data_root)
    server = serve(data_root)
    add_repository("web", "http", base_url=server.url)
    return server


@pytest.fixture
def mixed(tmp_path: Path, add_repository: Callable[..., str], serve: Callable[[Path], Any]) -> Any:
    """Serve a session of two probes, three revisions, two namespaces, two clocks and two forms."""
    for path in PATHS:
        (tmp_path / "mixed" / SESSION / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mixed" / SESSION / path).write_text(path)
    write_index(tmp_path / "mixed")
    server = serve(tmp_path / "mixed")
    add_repository("mixed", "http", base_url=server.url)
    return server


PATHS = [
    "alf/#2022-01-28#/trials.choice.npy",
    "alf/#2024-05-06#/trials.choice.npy",
    "alf/_ibl_trials.goCue_times.npy",
    "alf/probe00/spikes.times.npy",
    "alf/probe01/spikes.times.npy",
    "alf/trials.choice.npy",
    "alf/trials.intervals.npy",
    "alf/trials.intervals_bpod.npy",
    "alf/trials.table.pqt",
    "licks.times.npy",
]
OLD, NEW, CUE, PROBE_0, PROBE_1, FIRST, INTERVALS, BPOD, TABLE, LICKS = PATHS


class TestParts:
    @pytest.mark.parametrize(
        ("arguments", "number"),
        [
            (["--collection", "alf/probe00"], 1),
            (["--collection", "alf/probe*"], 1),
            (["--collection", ""], 1),
            (["--collection", "probe00"], 0),
            (["spikes", "--collection", "alf"], 0),
            (["trials", "spikes", "--collection", "alf*"], 1),
            (["trials.choice", "--revision", ""], 1),
            (["--revision", "2000"], 1),
            (["--namespace", "ibl"], 1),
            (["spikes", "--namespace", "ibl"], 0),
            (["trials.intervals", "--timescale", "bpod"], 1),
            (["--timescale", "fpga"], 0),
            (["--extension", "pqt"], 1),
            (["spikes", "--extension", "pqt"], 0),
        ],
    )
    def test_a_session_is_found_if_such_datasets_have_these_parts(
        self, onelight: Run, mixed: Any, arguments: list[str], number: int
    ) -> None:
        found = onelight("search", *arguments)
        assert (found.code, len(found.lines)) == (0, number)

    @pytest.mark.parametrize(
        ("arguments", "paths"),
        [
            (["spikes"], [PROBE_0, PROBE_1]),
            (["spikes", "--collection", "alf/probe01"], [PROBE_1]),
            (["--collection", "alf/probe01"], [PROBE_1]),
            (["--collection", ""], [LICKS]),
            (["trials"], [NEW, CUE, INTERVALS, BPOD, TABLE]),
            (["trials", "--revision", "2023"], [OLD, CUE, INTERVALS, BPOD, TABLE]),
            (["trials.choice", "--revision", ""], [FIRST]),
            (["--revision", ""], [CUE, PROBE_0, PROBE_1, FIRST, INTERVALS, BPOD, TABLE, LICKS]),
            (["trials", "--namespace", "ibl"], [CUE]),
            (["trials.intervals", "--timescale", "bpod"], [BPOD]),
            (["trials", "--extension", "pqt"], [TABLE]),
            (["trials.choice", "--collection", "alf", "--extension", "npy"], [NEW]),
        ],
    )
    def test_only_files_with_these_parts_are_fetched_each_in_its_newest_revision(
        self, onelight: Run, mixed: Any, config_dir: Path, arguments: list[str], paths: list[str]
    ) -> None:
        folder = config_dir / "data" / "mixed" / SESSION
        planned = onelight("download", SESSION, *arguments, "--dry-run")
        fetched = onelight("download", SESSION, *arguments)
        assert (fetched.code, fetched.lines) == (0, [str(folder / path) for path in paths])
        assert planned.lines == fetched.lines
        assert [path.read_text() for path in sorted(folder.rglob("*.*.*")) if path.is_file()] == paths

    def test_a_whole_session_comes_with_all_revisions(self, onelight: Run, mixed: Any, config_dir: Path) -> None:
        folder = config_dir / "data" / "mixed" / SESSION
        assert onelight("download", SESSION).lines == [str(folder / path) for path in PATHS]

    def test_what_is_not_there_with_these_parts_says_what_is(self, onelight: Run, mixed: Any, config_dir: Path) -> None:
        missing = onelight("download", SESSION, "spikes", "--collection", "alf/probe02")
        assert (missing.code, missing.out) == (3, "")
        assert "collection is one of: 'alf/probe00', 'alf/probe01'" in missing.err
        assert not list(config_dir.rglob("*.npy"))

    @pytest.mark.parametrize("option", ["collection", "revision", "namespace", "timescale", "extension"])
    @pytest.mark.parametrize("value", ["x", ""])
    def test_a_list_names_its_files_and_takes_no_such_option(
        self, onelight: Run, mixed: Any, config_dir: Path, option: str, value: str
    ) -> None:
        refused = onelight("download", "--from-file", "-", f"--{option}", value, given=f"{SESSION}\n")
        assert (refused.code, refused.out) == (2, "")
        assert "do not go with --from-file" in refused.err
        assert not list(config_dir.rglob("*.npy"))


class TestDownload:
    def test_the_local_files_are_printed_and_nothing_else(self, onelight: Run, web: Any, config_dir: Path) -> None:
        fetched = onelight("download", SESSION, "wheelMoves")
        folder = config_dir / "data" / "web" / SESSION / "alf"
        assert fetched.lines == [str(folder / "wheelMoves.intervals.npy"), str(folder / "wheelMoves.type.npy")]
        assert "2 files fetched" in fetched.err
        assert "\x1b" not in fetched.err  # no bar where nobody watches

    def test_a_dry_run_fetches_nothing(self, onelight: Run, web: Any, config_dir: Path) -> None:
        planned = onelight("download", SESSION, "spikes", "--dry-run")
        assert planned.code == 0
        assert "dry run: would fetch" in planned.err
        assert not list(config_dir.rglob("*.npy"))
        *rows, summary = onelight("download", SESSION, "spikes", "--dry-run", "--json").rows
        assert summary["files"] == len(rows)
        assert {row["status"] for row in rows} == {"planned"}
        assert [row["file"] for row in rows] == planned.lines
        onelight("download", SESSION, "spikes")
        assert onelight("download", SESSION, "spikes", "--dry-run").out == ""

    def test_json_tells_of_every_file_and_ends_with_a_summary(self, onelight: Run, web: Any) -> None:
        *rows, summary = onelight("download", SESSION, "wheelMoves", "--json").rows
        assert [(row["action"], row["status"]) for row in rows] == [("download", "ok")] * 2
        assert all(Path(row["file"]).stat().st_size == row["bytes"] for row in rows)
        assert (summary["action"], summary["ok"], summary["error"], summary["exit"]) == ("summary", 2, 0, 0)
        *rows, summary = onelight("download", SESSION, "wheelMoves", "--json").rows
        assert [row["status"] for row in rows] == ["notneeded"] * 2
        assert (summary["ok"], summary["notneeded"]) == (0, 2)

    def test_another_folder_gets_them_when_it_is_named(self, onelight: Run, web: Any, tmp_path: Path) -> None:
        fetched = onelight("download", SESSION, "wheelMoves.type", "--output", tmp_path / "out")
        assert fetched.lines == [str(tmp_path / "out" / SESSION / "alf" / "wheelMoves.type.npy")]

    @pytest.mark.parametrize("jobs", [1, 64])
    def test_any_number_at_a_time_is_the_same(self, onelight: Run, web: Any, jobs: int) -> None:
        assert len(onelight("download", SESSION, "-j", jobs).lines) == 55

    def test_an_object_that_is_not_there_names_those_that_are(self, onelight: Run, web: Any, config_dir: Path) -> None:
        missing = onelight("download", SESSION, "spike")
        assert (missing.code, missing.out) == (3, "")
        assert "has no object 'spike'" in missing.err
        assert "spikes" in missing.err
        assert not list(config_dir.rglob("*.npy"))

    def test_one_file_that_fails_does_not_stop_the_others_and_is_no_success(
        self, onelight: Run, web: Any, data_root: Path, config_dir: Path
    ) -> None:
        (data_root / SESSION / "alf" / "wheelMoves.type.npy").unlink()
        failed = onelight("download", SESSION, "wheelMoves")
        assert failed.code == 3
        assert [Path(line).name for line in failed.lines] == ["wheelMoves.intervals.npy"]
        assert "wheelMoves.type.npy" in failed.err
        assert "fetch only what failed: onelight download --from-file " in failed.err
        *rows, summary = onelight("download", SESSION, "wheelMoves", "--json").rows
        assert sorted(row["status"] for row in rows) == ["error", "notneeded"]
        assert (summary["error"], summary["exit"]) == (1, 3)
        assert not (config_dir / "data" / "web" / SESSION / "alf" / "wheelMoves.type.npy").exists()

    def test_a_web_page_instead_of_data_is_no_file(
        self, onelight: Run, web: Any, data_root: Path, config_dir: Path
    ) -> None:
        (data_root / SESSION / "alf" / "wheelMoves.type.npy").write_bytes(
            b"<!DOCTYPE html>\n<html>Please log in</html>"
        )
        failed = onelight("download", SESSION, "wheelMoves.type")
        assert (failed.code, failed.out) == (6, "")
        assert "a web page came instead of" in failed.err
        assert not list(config_dir.rglob("*.npy"))

    def test_a_disk_that_cannot_be_written_is_told_as_such(self, onelight: Run, web: Any, tmp_path: Path) -> None:
        """Row L2."""
        (tmp_path / "file").write_text("in the way")
        failed = onelight("download", SESSION, "wheelMoves", "--output", tmp_path / "file" / "data")
        assert (failed.code, failed.out) == (7, "")

    def test_a_server_that_is_gone_is_temporary_and_what_is_here_is_still_given(self, onelight: Run, web: Any) -> None:
        before = onelight("download", SESSION, "wheelMoves")
        web.stop()
        after = onelight("download", SESSION, "wheelMoves", "--refresh")
        assert (after.code, after.lines) == (0, before.lines)
        assert "note: " in after.err
        assert "answering from the index of" in after.err
        failed = onelight("download", SESSION, "spikes.times")
        assert (failed.code, failed.out) == (5, "")
        assert "cannot be reached" in failed.err

    @pytest.mark.parametrize("row", ["../../../../evil.a.npy", "C:\\x", f"{SESSION}/alf/a.b.npy\tfile:///etc/passwd"])
    def test_a_hostile_index_is_refused_as_unsafe(
        self, onelight: Run, web: Any, data_root: Path, config_dir: Path, row: str
    ) -> None:
        """Rows D1 and D5."""
        (data_root / ".one_root").write_text(f"{SESSION}/alf/spikes.times.npy\n{row}\n")
        for command in (["search"], ["download", SESSION]):
            refused = onelight(*command)
            assert (refused.code, refused.out) == (8, "")
            assert "row 2 of .one_root" in refused.err
        assert not list(config_dir.rglob("*.npy"))


def test_after_a_file_has_changed_at_its_place_the_same_command_fetches_it(
    onelight: Run, data_root: Path, add_repository: Callable[..., str], serve: Callable[[Path], Any]
) -> None:
    onelight("index", data_root, "--hash")
    add_repository("web", "http", base_url=serve(data_root).url)
    session = "nicklab/Subjects/Cori/2016-12-14/001"
    assert onelight("search").code == 0
    changed = data_root / session / "alf" / "spikes.times.npy"
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    onelight("index", data_root, "--hash")
    assert onelight("download", session, "spikes.times").code == 6, "the index that is here is the old one"
    assert onelight("download", session, "spikes.times").code == 0
