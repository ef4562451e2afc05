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
from servers import CERTIFICATE, PRIVATE_KEY, WebServer, redirect
from shared import SESSION, address, share

SECRET = "canary-5d1f"
Run = Callable[..., Any]


def names(config_dir: Path) -> list[str]:
    return [row["name"] for row in json.loads((config_dir / "config.json").read_text())["repositories"]]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added is an article of the real figshare, which no test asks."""
    monkeypatch.setenv("ONELIGHT_OFFLINE", "1")


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
        ("text", "number", "version"),
        [
            ("9974357", 9974357, None),
            ("9974357/2", 9974357, 2),
            ("10.6084/m9.figshare.9974357.v3", 9974357, 3),
            ("https://doi.org/10.6084/m9.figshare.9974357", 9974357, None),
            ("https://figshare.com/articles/dataset/Some_title/9974357", 9974357, None),
            ("https://figshare.com/articles/dataset/Some_title/9974357/3", 9974357, 3),
        ],
    )
    @pytest.mark.usefixtures("offline")
    def test_an_article_may_be_given_as_people_paste_it_and_a_version_is_kept(
        self, onelight: Run, config_dir: Path, text: str, number: int, version: int | None
    ) -> None:
        added = onelight("add-repo", "steinmetz", "--figshare", text)
        assert added.code == 0
        assert "note: it was not looked up: " in added.err
        row = json.loads((config_dir / "config.json").read_text())["repositories"][3]
        pinned = {"version": version} if version is not None else {}
        assert row == {"name": "steinmetz", "type": "figshare", "article_id": number, "token": "", **pinned}

    def test_a_web_server_and_a_folder_can_be_added(self, onelight: Run, config_dir: Path, tmp_path: Path) -> None:
        assert onelight("add-repo", "lab", "--http", "https://a.org/data").code == 0
        assert onelight("add-repo", "disk", "--local", tmp_path).lines == [f"disk: local {tmp_path}"]
        assert names(config_dir) == ["local", "nick19", "web", "lab", "disk"]
        assert onelight("repo").lines[0].startswith("*local")

    def test_the_name_with_an_underscore_is_understood(self, onelight: Run, config_dir: Path, tmp_path: Path) -> None:
        assert onelight("add_repo", "disk", "--local", tmp_path).code == 0
        assert names(config_dir)[-1] == "disk"

    @pytest.mark.usefixtures("offline")
    def test_a_token_comes_from_standard_input_and_is_never_shown(self, onelight: Run, config_dir: Path) -> None:
        added = onelight("add-repo", "mine", "--figshare", "1", "--token-stdin", given=f"{SECRET}\n")
        assert added.code == 0
        assert SECRET not in added.out + added.err
        path = config_dir / "config.json"
        assert json.loads(path.read_text())["repositories"][3]["token"] == SECRET
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.usefixtures("offline")
    def test_a_script_is_never_asked(self, onelight: Run) -> None:
        added = onelight("add-repo", "mine", "--figshare", "1", given="")
        assert added.code == 0
        assert "Token" not in added.err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["x"], "--figshare, --http, --local and --remote"),
            (["x", "--http", "https://a.org", "--local", "."], "one of --figshare, --http, --local and --remote"),
            (["x", "--http", "https://a.org", "--remote", "s3://b"], "one of --figshare, --http, --local and --remote"),
            (["x", "--local", ".", "--certificate", "me.pem"], "--certificate is for --http only"),
            (["x", "--http", "https://a.org", "--base-url", "https://b.org"], "--base-url is for --remote only"),
            (["x", "--http", "https://a.org", "--key", "me.key"], "with --certificate"),
            (["x", "--http", "https://a.org", "--token-stdin"], "nothing on standard input"),
            (["x", "--http", "https://a.org", "--certificate", "nowhere.pem"], "nowhere.pem"),
            (["x", "--http", "http://127.0.0.1", "--certificate", "nowhere.pem"], "https://"),
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

    def test_a_bearer_token_comes_from_standard_input_and_is_never_shown(self, onelight: Run, config_dir: Path) -> None:
        added = onelight("add-repo", "lab", "--http", "https://a.org/data", "--token-stdin", given=f"{SECRET}\n")
        assert added.code == 0
        assert SECRET not in added.out + added.err
        row = json.loads((config_dir / "config.json").read_text())["repositories"][3]
        assert row == {"name": "lab", "type": "http", "base_url": "https://a.org/data", "token": SECRET}

    def test_a_bearer_token_goes_to_its_server_and_is_shown_nowhere(self, onelight: Run, config_dir: Path) -> None:
        with WebServer() as server, WebServer() as other:
            server.password = f"Bearer {SECRET}"
            share(server, {"spikes.times.npy": b"here", "spikes.far.npy": b"far"})
            other.files["/far"] = b"far"
            server.faults[address("spikes.far.npy")] = [redirect(f"{other.url}/far")]
            added = onelight("add-repo", "lab", "--http", f"{server.url}/data", "--token-stdin", given=SECRET)
            assert (added.code, onelight("repo", "lab").code) == (0, 0)
            ended = onelight("download", SESSION, "--debug")
            assert ended.code == 0
            assert len(other.requests) == 1
            assert "authorization" not in other.requests[0].headers
            assert all(seen.headers["authorization"] == server.password for seen in server.requests)
            server.password = "Bearer another"
            refused = onelight("search", "--refresh", "--debug")
            assert refused.code == 4
            assert SECRET not in refused.out + refused.err + ended.out + ended.err
        files = [path for path in (config_dir / "data").rglob("*") if path.is_file()]
        assert files
        assert not any(SECRET.encode() in path.read_bytes() for path in files)

    def test_a_certificate_and_its_key_are_added_by_their_whole_paths(
        self, onelight: Run, config_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "me.pem").write_text(CERTIFICATE)
        (tmp_path / "me.key").write_text(PRIVATE_KEY)
        monkeypatch.chdir(tmp_path)
        adding = ["add-repo", "lab", "--http", "https://a.org/data", "--certificate", "me.pem"]
        refused = onelight(*adding)
        assert (refused.code, refused.out) == (2, "")
        assert "has no private key" in refused.err
        assert onelight(*adding, "--key", "me.key").code == 0
        row = json.loads((config_dir / "config.json").read_text())["repositories"][3]
        assert (row["certificate"], row["key"]) == (str(tmp_path / "me.pem"), str(tmp_path / "me.key"))
        (tmp_path / "me.key").unlink()
        listed = onelight("repo")
        assert listed.code == 0
        assert "(cannot be used: " in listed.lines[3]
        assert "me.key" in listed.lines[3]

    @pytest.mark.parametrize(
        ("options", "given", "row"),
        [
            ([], "", {}),
            (["--base-url", "https://a.org/data"], "", {"base_url": "https://a.org/data"}),
            (["--login", "me", "--token-stdin"], SECRET, {"login": "me", "password": SECRET}),
        ],
    )
    def test_a_folder_of_a_store_can_be_added(
        self, onelight: Run, config_dir: Path, options: list[str], given: str, row: dict[str, str]
    ) -> None:
        added = onelight("add-repo", "store", "--remote", "sftp://a.org/data", *options, given=given)
        assert added.code == 0, added.err
        assert SECRET not in added.out + added.err
        wanted = {"name": "store", "type": "remote", "url": "sftp://a.org/data", **row}
        assert json.loads((config_dir / "config.json").read_text())["repositories"][3] == wanted

    @pytest.mark.parametrize("login", [["--login", "me"], []])
    def test_a_password_in_the_clear_is_refused_as_unsafe(
        self, onelight: Run, config_dir: Path, login: list[str]
    ) -> None:
        refused = onelight("add-repo", "x", "--http", "http://a.org/d", *login, "--token-stdin", given=f"{SECRET}\n")
        assert (refused.code, refused.out) == (8, "")
        assert "without encryption" in refused.err
        assert SECRET not in refused.err + (config_dir / "config.json").read_text()

    @pytest.mark.usefixtures("offline")
    def test_replacing_keeps_the_place(self, onelight: Run, config_dir: Path) -> None:
        assert onelight("add-repo", "nick19", "--replace", "--figshare", "5").code == 0
        assert names(config_dir) == ["local", "nick19", "web"]


class TestLookingUp:
    """figshare is asked what is added, here a sandbox."""

    FILE = "lab/Subjects/Cori/2016-12-14/001/alf/spikes.times.npy"

    @pytest.fixture
    def published(self, onelight: Run, box: int, tmp_path: Path, write_files: Callable[..., Path]) -> int:
        assert onelight("upload", write_files(tmp_path / "root", self.FILE)).code == 0
        assert onelight("publish", "--yes").code == 0
        return box

    @pytest.fixture
    def add(self, onelight: Run, sandbox: Any) -> Run:
        def run(name: str, text: object, *options: str, given: str = "") -> Any:
            return onelight("add-repo", name, "--figshare", text, "--api-url", sandbox.api_url, *options, given=given)

        return run

    def test_title_version_files_bytes_licence_and_doi_are_shown(self, add: Run, published: int) -> None:
        added = add("public", published)
        assert added.code == 0
        assert added.lines[0].startswith("public: figshare http")
        what, numbers, *_ = added.err.splitlines()
        assert what == "A test of its own, version 1"
        assert numbers.strip().split(", ")[0] == "4 files", "the index is one, and two are tables"
        assert numbers.split(", ")[2:] == ["CC BY 4.0", f"DOI 10.5072/m9.figshare.{published}.v1"]
        assert "it stays at version" not in added.err

    @pytest.mark.parametrize("form", ["{}/1", "{}.v1", "10.5072/m9.figshare.{}.v1"])
    def test_a_version_is_pinned_and_that_is_said(
        self, onelight: Run, add: Run, published: int, config_dir: Path, form: str
    ) -> None:
        added = add("public", form.format(published))
        assert "it stays at version 1" in added.err
        assert json.loads((config_dir / "config.json").read_text())["repositories"][-1]["version"] == 1
        assert onelight("repo").lines[-1].endswith(f"/{published}/1")

    def test_what_there_is_not_is_not_added(self, add: Run, published: int, config_dir: Path) -> None:
        before = names(config_dir)
        for text in (99999999, f"{published}/7", "10.1234/nothing.of.this"):
            missing = add("public", text)
            assert (missing.code, missing.out) == (3, "")
        assert names(config_dir) == before

    def test_a_draft_is_added_by_its_owner_only(
        self, add: Run, onelight: Run, article: int, sandbox: Any, config_dir: Path
    ) -> None:
        onelight()
        refused = add("draft", article)
        assert (refused.code, refused.out) == (3, "")
        assert "A draft is shown to its owner only" in refused.err
        assert "draft" not in names(config_dir)
        added = add("draft", article, "--token-stdin", given=sandbox.token)
        assert added.code == 0
        assert "A test of its own, a draft" in added.err

    def test_the_doi_of_a_paper_is_looked_up_and_the_number_is_kept(
        self, add: Run, published: int, sandbox: Any, config_dir: Path
    ) -> None:
        sandbox.mark(published, resource_doi=f"10.1371/journal.{published}x")
        assert add("paper", f"https://doi.org/10.1371/journal.{published}x").code == 0
        assert json.loads((config_dir / "config.json").read_text())["repositories"][-1]["article_id"] == published

    def test_why_nobody_gets_its_files_is_shown(self, add: Run, published: int, sandbox: Any) -> None:
        sandbox.mark(published, is_embargoed=True, embargo_type="file", embargo_date="2999-01-01")
        added = add("public", published)
        assert added.code == 0
        assert "under embargo until 2999-01-01" in added.err

    def test_where_figshare_cannot_be_reached_a_number_is_added_all_the_same(
        self, onelight: Run, config_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ONELIGHT_ATTEMPTS", "1")
        added = onelight("add-repo", "gone", "--figshare", "5", "--api-url", "http://127.0.0.1:9/v2")
        assert added.code == 0
        assert "note: it was not looked up: " in added.err
        assert names(config_dir)[-1] == "gone"

    @pytest.mark.usefixtures("offline")
    @pytest.mark.parametrize("doi", ["10.1371/journal.pone.0039704", "10.17028/rd.lboro.9974357"])
    def test_a_doi_that_has_no_certain_number_is_not_added_unasked(
        self, onelight: Run, config_dir: Path, doi: str
    ) -> None:
        onelight()
        refused = onelight("add-repo", "paper", "--figshare", doi)
        assert (refused.code, refused.out) == (5, "")
        assert "paper" not in names(config_dir)


def test_no_test_reaches_another_computer(onelight: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELIGHT_ATTEMPTS", "1")
    refused = onelight("search", "-R", "nick19")
    assert refused.code == 5
    assert "at the proxy http://127.0.0.1:9 that https_proxy names" in refused.err


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
