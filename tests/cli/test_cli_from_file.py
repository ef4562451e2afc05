"""download --from-file, the list of what failed, and what a dry run says."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Good, WebServer, status
from shared import SESSION, address, share

from onelight.api import One
from onelight.index import Entry, Index

Run = Callable[..., Any]
OTHER = "lab/Subjects/Cori/2016-12-15/001"
FILES = {f"spikes.a{number}.npy": os.urandom(1000) for number in range(4)}
PATHS = [f"{SESSION}/alf/{name}" for name in FILES]


@pytest.fixture
def web(add_repository: Callable[..., str]) -> Iterator[WebServer]:
    with WebServer() as server:
        share(server, FILES)
        share(server, {"trials.intervals.npy": b"trials"}, OTHER)
        add_repository("web", "http", base_url=f"{server.url}/data")
        yield server


@pytest.fixture
def folder(config_dir: Path) -> Path:
    return config_dir / "data" / "web"


def command_of(err: str) -> list[str]:
    """Return the command that a summary says, ready to be typed."""
    command = shlex.split(err.partition("fetch only what failed: ")[2].splitlines()[0])
    assert command[0] == "onelight"
    return command[1:]


class TestList:
    def test_what_it_names_is_fetched_paths_and_sessions(
        self, onelight: Run, web: WebServer, folder: Path, tmp_path: Path
    ) -> None:
        listed = tmp_path / "list"
        listed.write_bytes(f"\ufeff{PATHS[2]}\r\n\n  {OTHER}\n{PATHS[0]}\n{PATHS[2]}\n".encode())
        fetched = onelight("download", "--from-file", listed)
        wanted = [PATHS[2], f"{OTHER}/alf/trials.intervals.npy", PATHS[0]]
        assert (fetched.code, fetched.lines) == (0, [str(folder / path) for path in wanted])
        assert listed.exists(), "the list is the person's own"

    def test_stdin_is_a_list_too(self, onelight: Run, web: WebServer, folder: Path) -> None:
        found = onelight("search")
        fetched = onelight("download", "--from-file", "-", given=found.out)
        assert (fetched.code, len(fetched.lines)) == (0, 5)
        nothing = onelight("download", "--from-file", "-", given="")
        assert (nothing.code, nothing.out) == (0, "")

    def test_another_folder_and_another_repository_are_obeyed(
        self, onelight: Run, web: WebServer, folder: Path, tmp_path: Path
    ) -> None:
        onelight("repo", "local")
        fetched = onelight(
            "download", "--from-file", "-", "-R", "web", "--output", tmp_path / "out", given=f"{PATHS[0]}\n"
        )
        assert fetched.lines == [str(tmp_path / "out" / PATHS[0])]

    @pytest.mark.parametrize(
        "line", ["../../etc/passwd", "/etc/passwd", "lab/Subjects", f"{SESSION}/alf/x.y.npy", "\x1b[2J"]
    )
    def test_what_the_repository_does_not_have_fails_and_the_rest_is_fetched(
        self, onelight: Run, web: WebServer, folder: Path, line: str
    ) -> None:
        done = onelight("download", "--from-file", "-", given=f"{line}\n{PATHS[0]}\n")
        assert (done.code, done.lines) == (3, [str(folder / PATHS[0])])
        assert "1 file fetched" in done.err
        assert "1 failed" in done.err
        assert "'web' has no " in done.err
        assert "\x1b" not in done.err

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "give a SESSION, or a list"),
            ([SESSION, "--from-file", "-"], "one of the two"),
            (["--from-file", "nowhere.txt"], "nowhere.txt cannot be read: No such file"),
        ],
    )
    def test_wrong_usage_is_told(self, onelight: Run, web: WebServer, arguments: list[str], words: str) -> None:
        refused = onelight("download", *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert words in refused.err

    def test_a_list_that_is_no_text_is_refused(self, onelight: Run, web: WebServer, tmp_path: Path) -> None:
        (tmp_path / "list").write_bytes(b"\xff\xfe\x00")
        refused = onelight("download", "--from-file", tmp_path / "list")
        assert (refused.code, refused.out) == (2, "")
        assert "not UTF-8" in refused.err


class TestWhatFailed:
    def test_the_command_that_is_told_fetches_only_that(self, onelight: Run, web: WebServer, folder: Path) -> None:
        for number in (1, 3):
            web.faults[address(f"spikes.a{number}.npy")] = [status(404)]
        failed = onelight("download", SESSION)
        assert failed.code == 3
        assert "2 files fetched" in failed.err
        assert "2 failed" in failed.err
        assert f"error: {PATHS[1]} could not be fetched" in failed.err
        assert "and 1 more file failed" in failed.err
        command = command_of(failed.err)
        listed = Path(command[command.index("--from-file") + 1])
        assert listed.parent == folder
        assert listed.read_text() == f"{PATHS[1]}\n{PATHS[3]}\n"

        web.faults[address("spikes.a1.npy")] = [Good]
        web.forget()
        again = onelight(*command)
        assert (again.code, again.lines) == (3, [str(folder / PATHS[1])])
        assert {seen.path for seen in web.requests if seen.path.endswith(".npy")} == {
            address("spikes.a1.npy"),
            address("spikes.a3.npy"),
        }
        assert command_of(again.err) == command, "one list for one question"
        assert listed.read_text() == f"{PATHS[3]}\n"

        web.heal()
        last = onelight(*command)
        assert (last.code, last.lines) == (0, [str(folder / PATHS[3])])
        assert not listed.exists()
        assert f"nothing is left of {listed}" in last.err
        assert sorted(path.name for path in folder.rglob(".one_failed*")) == []

    def test_the_same_command_does_it_too_and_removes_the_list(
        self, onelight: Run, web: WebServer, folder: Path
    ) -> None:
        web.faults[address("spikes.a1.npy")] = [status(404)]
        onelight("download", SESSION)
        assert len(list(folder.glob(".one_failed-*"))) == 1
        onelight("download", SESSION)
        assert len(list(folder.glob(".one_failed-*"))) == 1
        web.heal()
        assert onelight("download", SESSION).code == 0
        assert list(folder.glob(".one_failed-*")) == []

    def test_json_has_the_command(self, onelight: Run, web: WebServer, folder: Path) -> None:
        web.faults[address("spikes.a1.npy")] = [status(404)]
        *_, summary = onelight("download", SESSION, "--json").rows
        assert summary["next"].startswith("onelight download --from-file ")
        assert (summary["ok"], summary["error"], summary["files"], summary["retries"]) == (3, 1, 4, 0)
        web.heal()
        *_, summary = onelight("download", SESSION, "--json").rows
        assert "next" not in summary

    def test_it_names_folder_and_repository_so_that_it_holds_wherever_it_is_typed(
        self, onelight: Run, web: WebServer, tmp_path: Path
    ) -> None:
        web.faults[address("spikes.a1.npy")] = [status(404)]
        command = command_of(onelight("download", SESSION, "--output", tmp_path / "my data").err)
        onelight("repo", "local")
        web.heal()
        assert onelight(*command).lines == [str(tmp_path / "my data" / PATHS[1])]

    def test_a_data_folder_that_takes_no_list_has_it_elsewhere(
        self, onelight: Run, web: WebServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        for name in FILES:
            web.faults[address(name)] = [status(404)]
        first = command_of(onelight("download", SESSION).err)[2]
        Path(first).unlink()
        Path(first).mkdir()  # in the way
        (Path(first) / "x").touch()
        command = command_of(onelight("download", SESSION).err)
        assert Path(command[2]).parent == tmp_path
        assert Path(command[2]).read_text().splitlines() == PATHS
        web.heal()
        assert onelight(*command).code == 0
        assert not Path(command[2]).exists()

    def test_hidden_lists_are_no_datasets(self, onelight: Run, web: WebServer, folder: Path) -> None:
        web.faults[address("spikes.a1.npy")] = [status(404)]
        onelight("download", SESSION)
        assert onelight("scan", folder).code == 0


class TestDryRun:
    def test_it_says_what_why_how_much_and_what_room_there_is(
        self, onelight: Run, web: WebServer, folder: Path, article: int, sandbox: Any
    ) -> None:
        onelight("download", SESSION, "spikes.a0")
        (folder / PATHS[0]).write_bytes(b"changed")
        (folder / PATHS[1]).write_bytes(b"came in another way")
        planned = onelight("download", SESSION, "--dry-run")
        assert (planned.code, planned.lines) == (0, [str(folder / path) for path in PATHS])
        assert "was changed since it was fetched" in planned.err
        assert "was not fetched by this program" in planned.err
        assert "missing" in planned.err
        assert f"dry run: would fetch 4 of 4 files, 0 B and 4 files of unknown size, into {folder}" in planned.err
        assert "room on that disk: " in planned.err
        *rows, summary = onelight("download", SESSION, "--dry-run", "--json").rows
        assert {row["status"] for row in rows} == {"planned"}
        assert all(row["why"] for row in rows)
        assert (summary["files"], summary["unknown"], summary["folder"]) == (4, 4, str(folder))
        assert summary["free"] == pytest.approx(shutil.disk_usage(folder).free, rel=0.5)
        assert (folder / PATHS[0]).read_bytes() == b"changed"
        assert not (folder / PATHS[2]).exists()

    def test_a_disk_without_room_is_told(
        self, onelight: Run, web: WebServer, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder.mkdir(parents=True)
        url = f"{web.url}{address('spikes.big.npy')}"
        size = shutil.disk_usage(folder).free + 10**9
        entry = Entry(f"{SESSION}/alf/spikes.big.npy", url, size, "0" * 32)
        source = One("web").repository.identity
        Index.build([entry], path=folder / ".one_index", facts={"source": source}).close()
        web.stop()
        planned = onelight("download", SESSION, "--dry-run")
        assert planned.code == 0
        assert "this is not enough" in planned.err

    def test_of_a_list_it_says_what_is_not_there(self, onelight: Run, web: WebServer, folder: Path) -> None:
        planned = onelight("download", "--from-file", "-", "--dry-run", given=f"{PATHS[0]}\nlab/nothing\n")
        assert (planned.code, planned.lines) == (3, [str(folder / PATHS[0])])
        assert "has no 'lab/nothing'" in planned.err
        assert list(folder.rglob("*.npy")) == []
