"""repo and add-repo; the configuration as the command line shows and changes it; secrets that are never shown."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SECRET = "canary-5d1f"
Run = Callable[..., Any]


def names(config_dir: Path) -> list[str]:
    return [row["name"] for row in json.loads((config_dir / "config.json").read_text())["repositories"]]


class TestRepo:
    def test_without_a_name_the_repositories_are_listed_with_a_mark_at_the_current_one(self, onelight: Run) -> None:
        listed = onelight("repo")
        assert listed.code == 0
        assert [line[0] for line in listed.lines] == ["*", " ", " "]
        assert listed.lines[0].startswith("*local: local /")
        assert listed.lines[1] == " nick19: figshare https://figshare.com/articles/dataset/_/9598406"
        assert listed.lines[2] == " web: http https://example.org/data"

    def test_json_is_one_object_per_repository(self, onelight: Run) -> None:
        rows = onelight("repo", "--json").rows
        assert [(row["name"], row["type"], row["current"]) for row in rows] == [
            ("local", "local", True),
            ("nick19", "figshare", False),
            ("web", "http", False),
        ]

    def test_with_a_name_it_becomes_the_current_one(self, onelight: Run) -> None:
        assert onelight("repo", "nick19").lines == ["nick19"]
        assert onelight("repo").lines[1].startswith("*nick19")

    def test_an_unknown_name_is_not_found_lists_the_names_and_changes_nothing(
        self, onelight: Run, config_dir: Path
    ) -> None:
        onelight("repo")
        before = (config_dir / "config.json").read_bytes()
        missing = onelight("repo", "nick91")
        assert (missing.code, missing.out) == (3, "")
        assert "local, nick19, web" in missing.err
        assert (config_dir / "config.json").read_bytes() == before
        for command in (["search"], ["list", "a"], ["download", "a"], ["upload", "."], ["publish"]):
            assert onelight(*command, "-R", "nick91").code == 3

    def test_comments_of_the_file_are_kept(self, onelight: Run, config_dir: Path) -> None:
        onelight()
        path = config_dir / "config.json"
        text = path.read_text().replace('"current_repository": "local",', '"current_repository": "local", # mine')
        path.write_text(text)
        assert onelight("repo", "nick19").code == 0
        assert path.read_text() == text.replace('"local", # mine', '"nick19", # mine')

    def test_a_broken_file_is_told_by_line_and_column_and_left_as_it_is(self, onelight: Run, config_dir: Path) -> None:
        config_dir.mkdir()
        broken = b'{\n  "repositories": [\n    {"name": "x" "type": "local"}\n  ]\n}\n'
        (config_dir / "config.json").write_bytes(broken)
        for command in ([], ["repo"], ["repo", "x"], ["search"], ["add-repo", "y", "--local", "."]):
            refused = onelight(*command)
            assert (refused.code, refused.out) == (2, "")
            assert f"{config_dir / 'config.json'}, line 3, column 18: expecting ',' delimiter" in refused.err
        assert (config_dir / "config.json").read_bytes() == broken
        assert [path.name for path in config_dir.iterdir()] == ["config.json"]

    def test_one_repository_that_cannot_be_used_does_not_hide_the_others(self, onelight: Run, config_dir: Path) -> None:
        onelight()
        data = json.loads((config_dir / "config.json").read_text())
        data["repositories"].append({"name": "old", "type": "ftp", "host": "a.org"})
        (config_dir / "config.json").write_text(json.dumps(data))
        listed = onelight("repo")
        assert listed.code == 0
        assert len(listed.lines) == 4
        assert "unknown type 'ftp'" in listed.lines[3]
        assert onelight("search", "-R", "local").code == 0
        assert onelight("search", "-R", "old").code == 2

    def test_choosing_against_the_environment_is_said(self, onelight: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ONELIGHT_REPO", "web")
        chosen = onelight("repo", "nick19", "--json")
        assert chosen.rows == [{"name": "nick19", "current": False}]
        assert "ONELIGHT_REPO says 'web'" in chosen.err


class TestAddRepo:
    @pytest.mark.parametrize(
        ("text", "number"),
        [
            ("9974357", 9974357),
            ("10.6084/m9.figshare.9974357.v3", 9974357),
            ("https://doi.org/10.6084/m9.figshare.9974357", 9974357),
            ("https://figshare.com/articles/dataset/Some_title/9974357", 9974357),
            ("https://figshare.com/articles/dataset/Some_title/9974357/3", 9974357),
        ],
    )
    def test_an_article_may_be_given_as_people_paste_it(
        self, onelight: Run, config_dir: Path, text: str, number: int
    ) -> None:
        added = onelight("add-repo", "steinmetz", "--figshare", text)
        assert added.code == 0
        row = json.loads((config_dir / "config.json").read_text())["repositories"][3]
        assert row == {"name": "steinmetz", "type": "figshare", "article_id": number, "token": ""}

    def test_a_web_server_and_a_folder_can_be_added(self, onelight: Run, config_dir: Path, tmp_path: Path) -> None:
        assert onelight("add-repo", "lab", "--http", "https://a.org/data").code == 0
        assert onelight("add-repo", "disk", "--local", tmp_path).lines == [f"disk: local {tmp_path}"]
        assert names(config_dir) == ["local", "nick19", "web", "lab", "disk"]
        assert onelight("repo").lines[0].startswith("*local")

    def test_the_name_with_an_underscore_is_understood(self, onelight: Run, config_dir: Path, tmp_path: Path) -> None:
        assert onelight("add_repo", "disk", "--local", tmp_path).code == 0
        assert names(config_dir)[-1] == "disk"

    def test_a_token_comes_from_standard_input_and_is_never_shown(self, onelight: Run, config_dir: Path) -> None:
        added = onelight("add-repo", "mine", "--figshare", "1", "--token-stdin", given=f"{SECRET}\n")
        assert added.code == 0
        assert SECRET not in added.out + added.err
        path = config_dir / "config.json"
        assert json.loads(path.read_text())["repositories"][3]["token"] == SECRET
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_a_script_is_never_asked(self, onelight: Run) -> None:
        added = onelight("add-repo", "mine", "--figshare", "1", given="")
        assert added.code == 0
        assert "Token" not in added.err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["x"], "--figshare, --http and --local"),
            (["x", "--http", "https://a.org", "--local", "."], "one of --figshare, --http and --local"),
            (["x", "--http", "a.org/data"], "not a web address"),
            (["x", "--http", "ftp://a.org/data"], "not a web address"),
            (["x", "--figshare", "nick19"], "not an article"),
            (["x", "--figshare", "https://figshare.com/collections/x/123"], "a collection"),
            (["../x", "--local", "."], "cannot be the name"),
            (["nick19", "--local", "."], "already; say --replace"),
        ],
    )
    def test_what_cannot_be_added_is_told_and_nothing_is_changed(
        self, onelight: Run, config_dir: Path, arguments: list[str], said: str
    ) -> None:
        onelight()
        before = (config_dir / "config.json").read_bytes()
        refused = onelight("add-repo", *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert said in refused.err
        assert (config_dir / "config.json").read_bytes() == before

    def test_a_password_in_the_clear_is_refused_as_unsafe(self, onelight: Run, config_dir: Path) -> None:
        refused = onelight(
            "add-repo", "x", "--http", "http://a.org/d", "--login", "me", "--token-stdin", given=f"{SECRET}\n"
        )
        assert (refused.code, refused.out) == (8, "")
        assert "without encryption" in refused.err
        assert SECRET not in refused.err + (config_dir / "config.json").read_text()

    def test_replacing_keeps_the_place(self, onelight: Run, config_dir: Path) -> None:
        assert onelight("add-repo", "nick19", "--replace", "--figshare", "5").code == 0
        assert names(config_dir) == ["local", "nick19", "web"]


def test_a_secret_is_in_no_output_whatever_happens(
    onelight: Run,
    add_repository: Callable[..., str],
    sandbox: Any,
    article: int,
    data_root: Path,
    serve: Callable[[Path], Any],
    config_dir: Path,
) -> None:
    from onelight.api import write_index

    write_index(data_root)
    session = "nicklab/Subjects/Cori/2016-12-14/001"
    server = serve(data_root)
    add_repository("gone", "figshare", article_id=article, token=SECRET, api_url="http://127.0.0.1:9/v2")
    add_repository("web", "http", base_url=server.url, login="me", password=SECRET)
    add_repository("box", "figshare", article_id=article, token=SECRET, api_url=sandbox.api_url)
    said = ""
    for command in (
        ["repo"],
        ["repo", "--json"],
        ["repo", "nowhere", "--debug"],
        ["search", "--debug"],
        ["search", "--json"],
        ["upload", data_root, "--debug"],
        ["publish", "--yes", "--debug"],
        ["search", "-R", "gone", "--debug"],
        ["download", session, "wheelMoves", "-R", "web", "--json"],
        ["download", session, "nothing", "-R", "web", "--debug"],
        ["list", session, "-R", "web", "--json"],
        ["upload", data_root, "-R", "web", "--debug"],
    ):
        ended = onelight(*command)
        said += ended.out + ended.err
    seen = server.requests
    assert all("Authorization" in headers for _, _, headers in seen)  # it was used, and
    for form in (SECRET, base64.b64encode(f"me:{SECRET}".encode()).decode()):
        assert form not in said
        for path in (config_dir / "data").rglob("*"):
            assert not path.is_file() or form.encode() not in path.read_bytes()
