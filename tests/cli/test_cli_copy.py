"""copy: from any kind of repository to any kind, and what a person sees of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import WebServer, cut

from onelight.config import Config, Settings
from onelight.sandbox import Sandbox
from onelight.sandbox import Settings as Faults

Run = Callable[..., Any]
Add = Callable[..., str]
CORI = "nicklab/Subjects/Cori/2016-12-14/001"
FORSSMANN = "nicklab/Subjects/Forssmann/2017-11-01/001"


def contents(root: Path) -> dict[str, str]:
    """Return the md5 of every dataset below a folder, by path."""
    return {
        path.relative_to(root).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".pqt"
    }


@pytest.fixture
def here(data_root: Path, add_repository: Add) -> Path:
    """Make the made-up recordings the repository ``disk``, and an empty folder ``mirror``, which is returned."""
    mirror = data_root.parent / "mirror"
    add_repository("mirror", "local", root_dir=str(mirror))
    add_repository("disk", "local", root_dir=str(data_root))
    return mirror


@pytest.fixture
def web(here: Path, onelight: Run, data_root: Path, add_repository: Add, serve: Callable[..., Any]) -> Any:
    """Serve the recordings as the repository ``web``: an index, and no md5."""
    onelight("index", data_root)
    for table in data_root.glob("*.pqt"):
        table.unlink()
    server = serve(data_root)
    add_repository("web", "http", base_url=server.url)
    return server


def copying(config_dir: Path) -> list[str]:
    """Return the files that are left in the folder for files on their way."""
    return sorted(path.name for path in (config_dir / "copying").rglob("*") if path.is_file())


class TestKinds:
    """From any kind to any kind."""

    def test_a_disk_to_a_disk_is_read_in_place(
        self, onelight: Run, here: Path, data_root: Path, config_dir: Path
    ) -> None:
        done = onelight("copy", "disk", "mirror")
        assert done.code == 0, done.err
        assert contents(here) == contents(data_root)
        assert done.lines == sorted(contents(data_root))
        assert (here / ".one_root").read_text(encoding="utf-8").splitlines() == sorted(contents(data_root))
        assert not (config_dir / "copying").exists()

    def test_a_disk_to_figshare_and_from_there_to_a_disk(
        self, onelight: Run, here: Path, data_root: Path, box: int, config_dir: Path
    ) -> None:
        up = onelight("copy", "disk", "box")
        assert up.code == 0, up.err
        assert "what was copied is a draft" in up.err
        assert onelight("status", data_root, "-R", "box").err.startswith(f"{data_root} against 'box': 165 the same")
        down = onelight("copy", "box", "mirror", "--json")
        assert down.code == 0, down.err
        assert contents(here) == contents(data_root)
        assert {row["verified"] for row in down.rows[:-1]} == {"md5"}
        assert not (config_dir / "copying").exists()

    def test_a_web_server_with_md5_to_a_disk(
        self, onelight: Run, here: Path, data_root: Path, add_repository: Add, serve: Callable[..., Any]
    ) -> None:
        onelight("index", data_root, "--hash")
        add_repository("web", "http", base_url=serve(data_root).url)
        done = onelight("copy", "web", "mirror", "--json")
        assert done.code == 0, done.err
        assert contents(here) == contents(data_root)
        assert {row["verified"] for row in done.rows[:-1]} == {"md5"}

    def test_a_web_server_without_md5_is_told_to_be_compared_by_size_only(
        self, onelight: Run, here: Path, data_root: Path, web: Any, config_dir: Path
    ) -> None:
        done = onelight("copy", "web", "mirror", "--json")
        assert done.code == 0, done.err
        assert contents(here) == contents(data_root)
        assert {row["verified"] for row in done.rows[:-1]} == {"size"}
        assert "165 files compared by size only: 'web' states no md5" in done.err
        assert done.rows[-1]["bytes"] == sum((data_root / path).stat().st_size for path in contents(data_root))
        assert copying(config_dir) == [".one_verified"]

    def test_what_came_from_there_is_known_by_the_next_run_and_not_fetched_again(
        self, onelight: Run, here: Path, data_root: Path, web: Any
    ) -> None:
        onelight("copy", "web", "mirror")
        (here / CORI / "alf" / "spikes.times.npy").write_bytes(b"changed")
        web.requests.clear()
        again = onelight("copy", "web", "mirror", "--json")
        assert (again.code, again.rows[-1]["ok"], again.rows[-1]["notneeded"]) == (0, 1, 164)
        assert [path for _, path, _ in web.requests if path.endswith(".npy")] == [f"/{CORI}/alf/spikes.times.npy"]
        assert {row["verified"] for row in again.rows[:-1]} == {"size"}
        assert contents(here) == contents(data_root)

    def test_a_web_server_to_figshare(
        self, onelight: Run, here: Path, data_root: Path, web: Any, box: int, files_of: Callable[[int], Any]
    ) -> None:
        done = onelight("copy", "web", "box", CORI)
        assert done.code == 0, done.err
        md5s = {name.replace("~", "/"): row["computed_md5"] for name, row in files_of(box).items() if "~" in name}
        assert md5s == {path: md5 for path, md5 in contents(data_root).items() if path.startswith(CORI)}

    def test_packed_sessions_come_out_as_single_files(
        self, onelight: Run, here: Path, data_root: Path, box: int
    ) -> None:
        (data_root / CORI / "alf" / "notes.text.txt").touch()  # an empty file, which figshare cannot store
        assert onelight("upload", data_root, "-R", "box", "--pack", "session").code == 0
        done = onelight("copy", "box", "mirror")
        assert done.code == 0, done.err
        assert contents(here) == contents(data_root)
        assert len(contents(here)) == 166

    def test_empty_files_go_both_ways(self, onelight: Run, here: Path, data_root: Path, box: int) -> None:
        path = f"{CORI}/alf/notes.text.txt"
        (data_root / path).touch()
        assert onelight("copy", "disk", "box", CORI).code == 0
        assert onelight("copy", "box", "mirror").code == 0
        assert (here / path).read_bytes() == b""
        assert onelight("copy", "box", "mirror").lines == []


class TestWhatIsThere:
    """What is copied of it, and what stays."""

    def test_only_what_is_missing_or_differs_is_copied(self, onelight: Run, here: Path, data_root: Path) -> None:
        onelight("copy", "disk", "mirror")
        new, changed = f"{CORI}/alf/licks.strength.npy", f"{CORI}/alf/licks.times.npy"
        for path in (new, changed):
            (data_root / path).write_bytes(b"new")
        done = onelight("copy", "disk", "mirror")
        assert (done.code, sorted(done.lines)) == (0, sorted([new, changed]))
        assert "1 new, 1 changed, 164 same" in done.err
        assert contents(here) == contents(data_root)

    def test_what_else_the_target_holds_stays_there_and_in_its_index(
        self, onelight: Run, here: Path, write_files: Callable[..., Path]
    ) -> None:
        own = "nicklab/Subjects/Own/2020-01-01/001/alf/own.times.npy"
        write_files(here, own)
        done = onelight("copy", "disk", "mirror")
        assert (done.code, (here / own).is_file()) == (0, True)
        assert "1 other file in 'mirror' stay there" in done.err
        rows = (here / ".one_root").read_text(encoding="utf-8").splitlines()
        assert (own in rows, len(rows)) == (True, 166)

    def test_sessions_are_copied_one_by_one_and_the_index_is_that_of_all(
        self, onelight: Run, here: Path, data_root: Path
    ) -> None:
        for session in (CORI, FORSSMANN.replace("/001", "/1")):  # 1 and 001 are the same
            assert onelight("copy", "disk", "mirror", session).code == 0
        assert onelight("search", "-R", "mirror").lines == [CORI, FORSSMANN]
        wanted = {path: md5 for path, md5 in contents(data_root).items() if path.startswith((CORI, FORSSMANN))}
        assert contents(here) == wanted
        assert len((here / ".one_root").read_text(encoding="utf-8").splitlines()) == len(wanted)

    def test_what_was_copied_is_found_at_once(self, onelight: Run, here: Path, box: int) -> None:
        assert onelight("search", "-R", "box").lines == []  # the answer is kept for ten minutes
        onelight("copy", "disk", "box", CORI)
        assert onelight("search", "-R", "box").lines == [CORI]

    def test_a_list_may_name_sessions_and_files(self, onelight: Run, here: Path) -> None:
        names = [f"{CORI}/alf/spikes.times.npy", FORSSMANN]
        done = onelight("copy", "disk", "mirror", "--from-file", "-", given="\n".join(names))
        assert done.code == 0, done.err
        assert names[0] in done.lines
        assert {path.split("/")[2] for path in done.lines} == {"Cori", "Forssmann"}
        assert sum("/Cori/" in path for path in done.lines) == 1

    def test_a_list_that_came_through_a_pipe_is_kept_to_go_on_with(
        self, onelight: Run, here: Path, config_dir: Path
    ) -> None:
        blocked = here / CORI / "alf" / "spikes.times.npy"
        blocked.mkdir(parents=True)
        failed = onelight("copy", "disk", "mirror", "--from-file", "-", given=f"{CORI}\n{FORSSMANN}\n")
        assert failed.code == 7
        words = shlex.split(failed.err.splitlines()[-1].partition(": ")[2])
        blocked.rmdir()
        done = onelight(*words[1:])
        assert (done.code, done.lines) == (0, [f"{CORI}/alf/spikes.times.npy"])
        assert copying(config_dir) == []

    def test_what_was_sent_and_not_committed_is_committed(self, onelight: Run, here: Path) -> None:
        onelight("copy", "disk", "mirror")
        (here / ".one_root").unlink()
        done = onelight("copy", "disk", "mirror")
        assert (done.code, done.lines) == (0, [])
        assert (here / ".one_root").is_file()


class TestRefused:
    """What cannot be is said before anything is fetched."""

    @pytest.mark.parametrize("target", ["plain", "public"])
    def test_a_target_that_can_only_be_read(
        self,
        onelight: Run,
        web: Any,
        article: int,
        sandbox: Any,
        add_repository: Add,
        serve: Callable[..., Any],
        tmp_path: Path,
        target: str,
    ) -> None:
        add_repository("public", "figshare", article_id=article, api_url=sandbox.api_url)
        add_repository("plain", "http", base_url=serve(tmp_path).url)
        web.requests.clear()
        refused = onelight("copy", "web", target, "--json")
        assert refused.code == 4
        assert refused.rows[0]["error"] in ("ReadOnlyRepository", "AccessDenied")
        assert not [path for _, path, _ in web.requests if path.endswith(".npy")]

    def test_a_repository_onto_itself(self, onelight: Run, here: Path, data_root: Path, add_repository: Add) -> None:
        (data_root.parent / "link").symlink_to(data_root)
        add_repository("same", "local", root_dir=str(data_root))
        add_repository("link", "local", root_dir=str(data_root.parent / "link"))
        for target in ("disk", "same", "link"):
            refused = onelight("copy", "disk", target)
            assert refused.code == 1
            assert f"'disk' and '{target}' are the same repository" in refused.err

    @pytest.mark.parametrize("names", [("nowhere", "mirror"), ("disk", "nowhere")])
    def test_an_unknown_repository(self, onelight: Run, here: Path, names: tuple[str, str]) -> None:
        refused = onelight("copy", *names)
        assert (refused.code, refused.out) == (3, "")
        assert "no repository is named 'nowhere'" in refused.err

    def test_an_unknown_session_names_the_nearest(self, onelight: Run, here: Path) -> None:
        refused = onelight("copy", "disk", "mirror", CORI, CORI.replace("001", "009"))
        assert (refused.code, refused.out) == (3, "")
        assert f"Did you mean {CORI}" in refused.err
        assert not here.exists()

    def test_what_is_neither_a_session_nor_a_path(self, onelight: Run, here: Path) -> None:
        assert onelight("copy", "disk", "mirror", "Cori").code == 2
        assert onelight("copy", "disk", "mirror", f"{CORI}/alf/spikes.nothing.npy").code == 3

    def test_a_list_and_sessions_at_once(self, onelight: Run, here: Path) -> None:
        assert onelight("copy", "disk", "mirror", CORI, "--from-file", "-", given=CORI).code == 2

    def test_an_empty_list_does_not_mean_everything(self, onelight: Run, here: Path) -> None:
        refused = onelight("copy", "disk", "mirror", "--from-file", "-", given="\n")
        assert refused.code == 2
        assert not here.exists()

    def test_an_empty_repository(self, onelight: Run, here: Path, tmp_path: Path, add_repository: Add) -> None:
        (tmp_path / "empty").mkdir()
        add_repository("empty", "local", root_dir=str(tmp_path / "empty"))
        refused = onelight("copy", "empty", "mirror")
        assert refused.code == 3
        assert "there is nothing to copy" in refused.err

    def test_more_files_than_an_article_takes_unless_further_ones_are_made(
        self, onelight: Run, here: Path, sandbox: Any, article: int, data_root: Path
    ) -> None:
        config = Config.load()
        options = {"article_id": article, "api_url": sandbox.api_url, "token": sandbox.token, "files_per_article": 100}
        config.add(Settings("small", "figshare", options))
        refused = onelight("copy", "disk", "small")
        assert refused.code == 1
        assert "--spread" in refused.err
        done = onelight("copy", "disk", "small", "--spread")
        assert done.code == 0, done.err
        assert onelight("copy", "small", "mirror").code == 0
        assert contents(here) == contents(data_root)

    def test_a_file_that_no_target_would_take_is_named(
        self, onelight: Run, here: Path, web: Any, box: int, data_root: Path
    ) -> None:
        pack = f"{CORI}/alf/_one_session.pack.tar"
        web.folder.joinpath(pack).write_bytes(b"tar")
        onelight("index", data_root)
        refused = onelight("copy", "web", "box")
        assert refused.code == 2
        assert pack in refused.err


class TestTold:
    """What a person and a program are told."""

    def test_a_dry_run_says_what_where_and_how_much_and_changes_nothing(
        self, onelight: Run, here: Path, data_root: Path, config_dir: Path
    ) -> None:
        done = onelight("copy", "disk", "mirror", "--dry-run")
        assert done.code == 0
        assert done.lines == sorted(contents(data_root))
        for words in (
            "dry run: would copy 165 of 165 files, 501.4 kB",
            "from 'disk' (",
            f"{data_root.name})",
            "to 'mirror' (",
            f"{here.name})",
            "165 new, 0 changed, 0 same",
            "room for",
        ):
            assert words in done.err
        assert not here.exists()
        assert not (config_dir / "copying").exists()

    def test_a_dry_run_in_json(self, onelight: Run, here: Path) -> None:
        *rows, plan = onelight("copy", "disk", "mirror", CORI, "--dry-run", "--json").rows
        assert {(row["action"], row["status"], row["why"]) for row in rows} == {("copy", "planned", "new")}
        assert (plan["action"], plan["new"], plan["same"], plan["gone"]) == ("plan", len(rows), 0, 0)
        assert plan["bytes"] == sum(row["bytes"] for row in rows)

    def test_sizes_that_nobody_states_are_not_made_up(self, onelight: Run, here: Path, web: Any) -> None:
        assert "165 of 165 files, of unknown size" in onelight("copy", "web", "mirror", "--dry-run").err
        assert onelight("copy", "web", "mirror", "--dry-run", "--json").rows[-1]["unknown"] == 165

    def test_a_run_in_json_ends_with_a_summary(self, onelight: Run, here: Path) -> None:
        *rows, summary = onelight("copy", "disk", "mirror", "--json").rows
        assert len(rows) == 165
        assert set(rows[0]) == {"action", "path", "status", "bytes", "verified"}
        expected = {"action": "summary", "files": 165, "ok": 165, "error": 0, "index": True, "exit": 0}
        assert expected.items() <= summary.items()

    def test_the_password_of_one_is_never_shown_to_the_other(
        self, onelight: Run, data_root: Path, add_repository: Add, box: int, sandbox: Any
    ) -> None:
        with WebServer(root=data_root) as server:
            onelight("index", data_root)
            add_repository("mine", "http", base_url=server.url, login="me", password="open-sesame-1")
            done = onelight("copy", "mine", "box", CORI)
            assert done.code == 0, done.err
            seen = [seen.headers.get("authorization", "") for seen in server.requests]
            assert all(value.startswith("Basic ") for value in seen)
            assert sandbox.token not in repr([seen.headers for seen in server.requests])

    def test_files_that_the_target_has_not_confirmed_are_no_success(
        self, onelight: Run, here: Path, tmp_path: Path
    ) -> None:
        with Sandbox(tmp_path / "late", settings=Faults(md5_never=True)) as box:
            request = urllib.request.Request(
                f"{box.api_url}/account/articles", b'{"title": "Late"}', {"Authorization": f"token {box.token}"}
            )
            with urllib.request.urlopen(request) as answer:
                number = int(json.load(answer)["location"].rpartition("/")[2])
            options = {"article_id": number, "api_url": box.api_url, "token": box.token, "patience": 0.2}
            Config.load().add(Settings("late", "figshare", options))
            done = onelight("copy", "disk", "late", CORI)
        assert done.code == 5
        assert re.search(r"[0-9]+ files not confirmed by 'late' yet", done.err)


def test_it_goes_on_where_the_network_was_lost(
    onelight: Run, here: Path, data_root: Path, add_repository: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONELIGHT_ATTEMPTS", "1")
    onelight("index", data_root, "--hash")
    big = f"{CORI}/alf/spikes.big.npy"
    (data_root / big).write_bytes(os.urandom(2_000_000))
    onelight("index", data_root, "--hash")
    with WebServer(root=data_root) as server:
        add_repository("web", "http", base_url=server.url)
        server.faults[f"/{big}"] = [cut(1_000_000)]
        lost = onelight("copy", "web", "mirror", CORI)
        assert lost.code == 5
        assert lost.err.splitlines()[-1] == f"copy only what failed: onelight copy web mirror {CORI}"
        server.heal()
        assert onelight("copy", "web", "mirror", CORI).lines == [big]
        (asked,) = [seen for seen in server.requests if seen.path.endswith(".npy")]
        assert asked.range_start
    assert contents(here)[big] == contents(data_root)[big]


def test_of_two_folders_one_within_the_other_nothing_is_copied(
    onelight: Run, data_root: Path, add_repository: Callable[..., str]
) -> None:
    add_repository("inner", "local", root_dir=str(data_root / "nicklab" / "inner"))
    add_repository("outer", "local", root_dir=str(data_root))
    refused = onelight("copy", "outer", "inner")
    assert refused.code == 8
    assert "lie one in the other" in refused.err
    assert not (data_root / "nicklab" / "inner").exists()
