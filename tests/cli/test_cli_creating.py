"""create and metadata: a draft as one.toml describes it, and the two kept alike; in a sandbox."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OWNER = "Rehearsal Owner"
HOW = "Download these data with ONE light"
SECRET = "canary-71cd"
FULL = """\
# Ours, as agreed in May.
title = "Two mice in a box"  # for now
description = \"\"\"
Firing < 5 Hz.

Both black.\"\"\"
authors = [{name = "Ada Lovelace", orcid = "0000-0002-1825-0097"}, {name = "Alan Turing"}]
categories = ["Animal neurobiology"]
keywords = ["mouse", "box"]
license = "CC0"
funding = ["Grant 7"]
references = ["https://doi.org/10.1038/s41586-019-1787-x"]
"""
Run = Callable[..., Any]


class Figshare:
    """The API as its owner has it, beside the product."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox

    def __call__(self, path: str, body: object = None, method: str | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.sandbox.api_url}/{path}",
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"token {self.sandbox.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"null")

    def numbers(self) -> set[int]:
        return {row["id"] for row in self("account/articles?page_size=1000")}

    def record(self, article: int) -> dict[str, Any]:
        return dict(self(f"account/articles/{article}"))

    def change(self, article: int, **fields: object) -> None:
        self(f"account/articles/{article}", fields, "PATCH")

    def changes(self) -> dict[str, int]:
        """Requests that came and were to change something, by method."""
        methods = ("POST", "PUT", "PATCH", "DELETE")
        counted = {method: self.sandbox.faults.requests("api", method) for method in methods}
        return {method: count for method, count in counted.items() if count}


@pytest.fixture
def figshare(sandbox: Any) -> Figshare:
    sandbox.faults.reset_counts()
    return Figshare(sandbox)


@pytest.fixture
def quick(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What goes wrong is tried twice, and goes right again after the test."""
    monkeypatch.setenv("ONELIGHT_ATTEMPTS", "2")
    yield
    sandbox.faults.clear()


@pytest.fixture
def create(onelight: Run, sandbox: Any) -> Run:
    def run(*arguments: object, token: str | None = None) -> Any:
        given = sandbox.token if token is None else token
        where = ["--figshare", "--api-url", sandbox.api_url, "--token-stdin"]
        return onelight("create", *where, *arguments, given=given)

    return run


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "one.toml"
    path.write_text(FULL, encoding="utf-8")
    return path


def repositories(config_dir: Path) -> dict[str, dict[str, Any]]:
    path = config_dir / "config.json"
    rows = json.loads(path.read_text())["repositories"] if path.exists() else []
    return {row["name"]: row for row in rows}


def names_of(record: dict[str, Any]) -> list[str]:
    return [author["full_name"] for author in record["authors"]]


class TestCreate:
    def test_a_title_makes_a_draft_that_is_the_current_repository(
        self, create: Run, figshare: Figshare, onelight: Run, config_dir: Path, sandbox: Any
    ) -> None:
        made = create("--title", "Two mice, and a wheel!")
        assert made.code == 0
        row = repositories(config_dir)["two_mice_and_a_wheel"]
        assert row == {
            "name": "two_mice_and_a_wheel",
            "type": "figshare",
            "article_id": row["article_id"],
            "token": sandbox.token,
            "api_url": sandbox.api_url,
        }
        record = figshare.record(row["article_id"])
        assert (record["title"], names_of(record)) == ("Two mice, and a wheel!", [OWNER])
        assert not record["is_public"]
        assert made.lines == [f"two_mice_and_a_wheel: figshare {sandbox.api_url}/articles/{row['article_id']}"]
        assert (
            "to be published it still needs a description, a category, a keyword (onelight metadata push)" in made.err
        )
        assert "next: onelight upload" in made.err
        assert next(line for line in onelight("repo").lines if line[0] == "*").startswith("*two_mice_and_a_wheel:")
        assert sandbox.token not in made.out + made.err

    def test_a_file_says_all_of_it_and_its_authors_are_the_authors(
        self, create: Run, figshare: Figshare, config_dir: Path, toml: Path
    ) -> None:
        made = create(toml, "--name", "mice", "--json")
        (row,) = made.rows
        assert (row["name"], row["doi"]) == ("mice", None)
        assert row["article_id"] == repositories(config_dir)["mice"]["article_id"]
        record = figshare.record(row["article_id"])
        assert names_of(record) == ["Ada Lovelace", "Alan Turing"], "the owner of the token is not one of them"
        assert record["authors"][0]["orcid_id"] == "0000-0002-1825-0097"
        assert record["description"] == "<p>Firing &lt; 5 Hz.</p><p>Both black.</p>"
        assert [category["title"] for category in record["categories"]] == ["Animal neurobiology"]
        assert (record["keywords"], record["license"]["name"]) == (["mouse", "box"], "CC0")
        assert record["references"] == ["https://doi.org/10.1038/s41586-019-1787-x"]
        assert [grant["title"] for grant in record["funding_list"]] == ["Grant 7"]
        assert record["defined_type_name"] == "dataset"
        assert "still needs" not in made.err

    def test_a_folder_means_the_file_in_it_and_a_title_given_wins(
        self, create: Run, config_dir: Path, figshare: Figshare, toml: Path
    ) -> None:
        assert create(toml.parent, "--title", "Another name").code == 0
        record = figshare.record(repositories(config_dir)["another_name"]["article_id"])
        assert (record["title"], record["keywords"]) == ("Another name", ["mouse", "box"])

    def test_the_owner_is_an_author_once_where_the_file_says_so(
        self, create: Run, figshare: Figshare, config_dir: Path, toml: Path, sandbox: Any
    ) -> None:
        account = figshare("account")
        toml.write_text(
            f'title = "With me"\nauthors = [{{name = "Ada Lovelace"}}, {{name = "me", id = {account["id"]}}}]\n'
        )
        assert create(toml).code == 0
        record = figshare.record(repositories(config_dir)["with_me"]["article_id"])
        assert names_of(record) == ["Ada Lovelace", OWNER]

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ('categories = ["Animal neurobiolgy"]', "Did you mean 'Animal neurobiology'"),
            ('license = "CC BY 5.0"', "Did you mean 'CC BY 4.0'"),
            ('item_type = "datset"', "Did you mean 'dataset'"),
            ('keyword = ["x"]', "Did you mean 'keywords'"),
        ],
    )
    def test_what_figshare_does_not_have_is_told_with_what_is_near_and_nothing_is_made(
        self, create: Run, figshare: Figshare, config_dir: Path, toml: Path, line: str, said: str
    ) -> None:
        before = figshare.numbers()
        toml.write_text(f'title = "Two mice"\n{line}\n')
        refused = create(toml)
        assert (refused.code, refused.out) == (2, "")
        assert said in refused.err
        assert figshare.numbers() == before
        assert figshare.changes() == {}
        assert "two_mice" not in repositories(config_dir)

    @pytest.mark.parametrize("token", ["", SECRET])
    def test_without_a_right_token_it_is_denied_with_the_way_to_make_one(
        self, create: Run, figshare: Figshare, config_dir: Path, token: str
    ) -> None:
        before = figshare.numbers()
        denied = create("--title", "Two mice", token=token)
        assert (denied.code, denied.out) == (4, "")
        assert "https://figshare.com/account/applications" in denied.err
        assert SECRET not in denied.err
        assert figshare.numbers() == before
        assert "two_mice" not in repositories(config_dir)

    def test_the_token_may_be_in_the_environment_and_is_not_written_down_then(
        self, onelight: Run, sandbox: Any, config_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FIGSHARE_TOKEN", sandbox.token)
        made = onelight("create", "--figshare", "--title", "Two mice", "--api-url", sandbox.api_url)
        assert made.code == 0
        assert sandbox.token not in (config_dir / "config.json").read_text()

    def test_a_name_that_is_taken_is_refused_and_nothing_is_made(
        self, create: Run, figshare: Figshare, config_dir: Path, onelight: Run
    ) -> None:
        onelight()
        config, before = (config_dir / "config.json").read_bytes(), figshare.numbers()
        refused = create("--title", "Two mice", "--name", "nick19")
        assert (refused.code, refused.out) == (2, "")
        assert "there is a repository 'nick19' already" in refused.err
        assert "--name" in refused.err
        assert figshare.numbers() == before
        assert (config_dir / "config.json").read_bytes() == config

    def test_a_name_that_cannot_be_one_is_refused_before_anything_is_made(
        self, create: Run, figshare: Figshare, config_dir: Path
    ) -> None:
        before = figshare.numbers()
        refused = create("--title", "Two mice", "--name", "../x")
        assert (refused.code, refused.out) == (2, "")
        assert figshare.numbers() == before

    def test_a_layout_that_there_is_not_is_refused_before_anything_is_made(
        self, create: Run, figshare: Figshare
    ) -> None:
        assert create("--title", "Two mice", "--layout", "deep").code == 2
        assert figshare.changes() == {}

    def test_the_layout_stands_in_the_configuration(self, create: Run, config_dir: Path) -> None:
        assert create("--title", "Two mice", "--layout", "folders").code == 0
        assert repositories(config_dir)["two_mice"]["layout"] == "folders"

    @pytest.mark.parametrize("options", [[], ["--figshare"]])
    def test_what_is_left_out_is_asked_for(self, onelight: Run, options: list[str]) -> None:
        refused = onelight("create", *options)
        assert (refused.code, refused.out) == (2, "")
        assert ("--title" if options else "onelight create --figshare") in refused.err

    @pytest.mark.usefixtures("quick")
    def test_where_the_answer_is_lost_the_draft_is_found_and_not_made_twice(
        self, create: Run, figshare: Figshare, config_dir: Path, toml: Path
    ) -> None:
        before = figshare.numbers()
        figshare.sandbox.faults.set("reset_after", method="POST", path="/account/articles$", times=1)
        assert create(toml, "--name", "mice").code == 0
        assert figshare.sandbox.faults.played["reset_after"] == 1
        (number,) = figshare.numbers() - before
        assert repositories(config_dir)["mice"]["article_id"] == number
        assert names_of(figshare.record(number)) == ["Ada Lovelace", "Alan Turing"]

    @pytest.mark.usefixtures("quick")
    def test_where_the_request_is_lost_an_article_of_the_same_title_is_not_taken_for_it(
        self, create: Run, figshare: Figshare, config_dir: Path
    ) -> None:
        assert create("--title", "Two mice", "--name", "first").code == 0
        before = figshare.numbers()
        figshare.sandbox.faults.set("reset", method="POST", path="/account/articles$")
        failed = create("--title", "Two mice", "--name", "second")
        assert (failed.code, failed.out) == (5, "")
        assert figshare.numbers() == before
        assert "second" not in repositories(config_dir)

    def test_a_doi_is_reserved_and_shown_and_is_that_of_the_first_version(
        self, create: Run, onelight: Run, toml: Path, tmp_path: Path, write_files: Callable[..., Path], config_dir: Path
    ) -> None:
        made = create(toml, "--name", "mice", "--reserve-doi", "--json")
        doi = made.rows[0]["doi"]
        assert doi == f"10.5072/m9.figshare.{repositories(config_dir)['mice']['article_id']}.v1"
        assert f"reserved DOI: {doi}" in made.err
        assert onelight("upload", write_files(tmp_path / "root", "lab/Subjects/s/2016-12-14/001/alf/a.b.npy")).code == 0
        assert onelight("publish", "--yes", "--json").rows[0]["doi"] == doi

    def test_none_is_reserved_unasked(self, create: Run, figshare: Figshare, config_dir: Path) -> None:
        made = create("--title", "Two mice")
        assert "DOI" not in made.err
        assert figshare.record(repositories(config_dir)["two_mice"]["article_id"])["doi"] == ""

    def test_how_to_download_is_added_when_asked_for_and_only_then(
        self, create: Run, figshare: Figshare, config_dir: Path, toml: Path
    ) -> None:
        assert create(toml, "--name", "plain").code == 0
        assert create(toml, "--name", "told", "--how-to-download").code == 0
        rows = repositories(config_dir)
        assert HOW not in figshare.record(rows["plain"]["article_id"])["description"]
        text = figshare.record(rows["told"]["article_id"])["description"]
        assert text.startswith("<p>Firing &lt; 5 Hz.</p><p>Both black.</p>")
        assert text.count(HOW) == 1
        assert f"onelight add-repo told --figshare {rows['told']['article_id']}" in text


class TestEdit:
    def test_a_file_is_written_with_a_comment_on_each_key_and_no_figshare_is_asked(
        self, onelight: Run, tmp_path: Path, figshare: Figshare
    ) -> None:
        path = tmp_path / "one.toml"
        written = onelight("create", "--edit", tmp_path)
        assert (written.code, written.lines) == (0, [str(path)])
        assert f"onelight create --figshare {path}" in written.err
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        keys = {line.partition(" = ")[0]: number for number, line in enumerate(lines) if line and line[0] != "#"}
        assert list(keys) == [
            *("title", "description", "authors", "categories", "keywords", "license"),
            *("funding", "references", "item_type"),
        ]
        assert all(lines[number - 1].startswith("# ") for number in keys.values())
        assert tomllib.loads(text)["license"] == "CC BY 4.0"
        assert figshare.sandbox.faults.requests() == 0

    def test_one_that_is_there_is_never_written_over(self, onelight: Run, toml: Path) -> None:
        refused = onelight("create", "--edit", toml)
        assert (refused.code, refused.out) == (2, "")
        assert "is there already" in refused.err
        assert toml.read_text(encoding="utf-8") == FULL

    def test_what_was_written_makes_a_draft_once_it_has_a_title(
        self, onelight: Run, create: Run, tmp_path: Path
    ) -> None:
        assert onelight("create", "--edit", tmp_path / "mine.toml", "--json").rows == [
            {"file": str(tmp_path / "mine.toml")}
        ]
        assert create(tmp_path / "mine.toml").code == 2, "it has no title yet"
        assert create(tmp_path / "mine.toml", "--title", "Two mice").code == 0


@pytest.fixture
def mice(create: Run, toml: Path, config_dir: Path, sandbox: Any) -> int:
    """A draft as ``toml`` describes it, current; requests are counted from here on."""
    assert create(toml, "--name", "mice").code == 0
    sandbox.faults.reset_counts()
    return int(repositories(config_dir)["mice"]["article_id"])


class TestCheck:
    def test_what_agrees_and_lacks_a_file_only_says_that(self, onelight: Run, mice: int, toml: Path) -> None:
        checked = onelight("metadata", "check", toml)
        assert (checked.code, checked.lines) == (1, ["missing: a file"])
        assert "0 fields differ, 1 thing missing for publication" in checked.err

    def test_it_is_0_once_nothing_differs_and_nothing_is_missing(
        self, onelight: Run, mice: int, toml: Path, tmp_path: Path, write_files: Callable[..., Path]
    ) -> None:
        root = write_files(tmp_path / "root", "lab/Subjects/s/2016-12-14/001/alf/a.b.npy")
        assert onelight("upload", root).code == 0
        checked = onelight("metadata", "check", toml)
        assert (checked.code, checked.out) == (0, "")

    def test_each_field_that_differs_is_shown_with_both_values_and_nothing_is_changed(
        self, onelight: Run, mice: int, toml: Path, figshare: Figshare
    ) -> None:
        toml.write_text(FULL.replace("Two mice", "Three mice").replace('"CC0"', '"MIT"'), encoding="utf-8")
        checked = onelight("metadata", "check", toml)
        assert checked.code == 1
        assert checked.lines == [
            f"title: 'Three mice in a box' in {toml}, 'Two mice in a box' at figshare",
            f"license: 'MIT' in {toml}, 'CC0' at figshare",
            "missing: a file",
        ]
        rows = onelight("metadata", "check", toml, "--json").rows
        assert rows[0] == {
            "action": "metadata",
            "field": "title",
            "here": "Three mice in a box",
            "there": "Two mice in a box",
        }
        assert rows[2] == {"action": "metadata", "missing": "a file"}
        assert figshare.changes() == {}

    def test_what_is_empty_in_the_file_differs_from_nothing(self, onelight: Run, mice: int, toml: Path) -> None:
        toml.write_text('title = ""\nkeywords = []\nlicense = ""\n')
        assert onelight("metadata", "check", toml).lines == ["missing: a file"]

    def test_a_file_that_is_named_and_not_there_is_said(self, onelight: Run, mice: int, tmp_path: Path) -> None:
        refused = onelight("metadata", "check", tmp_path / "nowhere.toml")
        assert (refused.code, refused.out) == (2, "")
        assert "nowhere.toml cannot be read" in refused.err


class TestPush:
    def test_what_agrees_is_not_sent(self, onelight: Run, mice: int, toml: Path, figshare: Figshare) -> None:
        pushed = onelight("metadata", "push", toml)
        assert (pushed.code, pushed.out) == (0, "")
        assert "0 fields changed" in pushed.err
        assert figshare.changes() == {}

    def test_what_differs_is_sent_in_one_request_and_nothing_else(
        self, onelight: Run, mice: int, toml: Path, figshare: Figshare
    ) -> None:
        before = figshare.record(mice)
        toml.write_text(FULL.replace("Two mice", "Three mice").replace('"box"]', '"wheel"]'), encoding="utf-8")
        pushed = onelight("metadata", "push", toml)
        assert (pushed.code, pushed.lines) == (0, ["title", "keywords"])
        assert "2 fields changed" in pushed.err
        assert figshare.changes() == {"PATCH": 1}
        after = figshare.record(mice)
        assert (after["title"], after["keywords"]) == ("Three mice in a box", ["mouse", "wheel"])
        for name in ("description", "authors", "categories", "license", "references", "funding_list"):
            assert after[name] == before[name]

    def test_what_is_empty_leaves_alone(self, onelight: Run, mice: int, toml: Path, figshare: Figshare) -> None:
        before = figshare.record(mice)
        toml.write_text('title = "Three mice"\ndescription = ""\nauthors = []\nkeywords = []\nlicense = ""\n')
        assert onelight("metadata", "push", toml, "--json").rows == [
            {"action": "metadata", "field": "title", "status": "ok"}
        ]
        after = figshare.record(mice)
        assert after.pop("title") == "Three mice"
        changing = ("title", "modified_date", "citation", "timeline")
        assert {k: v for k, v in after.items() if k not in changing} == {
            k: v for k, v in before.items() if k not in changing
        }

    def test_authors_stay_the_same_ones_when_pushed_twice(
        self, onelight: Run, mice: int, toml: Path, figshare: Figshare
    ) -> None:
        figshare.change(mice, authors=[{"name": "Somebody Else"}])
        assert onelight("metadata", "push", toml).lines == ["authors"]
        first = figshare.record(mice)["authors"]
        assert onelight("metadata", "push", toml).lines == []
        assert figshare.record(mice)["authors"] == first
        assert names_of({"authors": first}) == ["Ada Lovelace", "Alan Turing"]

    def test_what_figshare_does_not_have_changes_nothing(
        self, onelight: Run, mice: int, toml: Path, figshare: Figshare
    ) -> None:
        toml.write_text(FULL.replace("Two mice", "Three mice").replace("neurobiology", "neurobiolgy"), encoding="utf-8")
        refused = onelight("metadata", "push", toml)
        assert (refused.code, refused.out) == (2, "")
        assert "Did you mean 'Animal neurobiology'" in refused.err
        assert figshare.changes() == {}

    def test_how_to_download_comes_once_and_stays_when_the_text_changes(
        self, onelight: Run, mice: int, toml: Path, figshare: Figshare
    ) -> None:
        for lines in (["description"], []):
            assert onelight("metadata", "push", toml, "--how-to-download").lines == lines
            assert figshare.record(mice)["description"].count(HOW) == 1
        assert onelight("metadata", "push", toml).lines == [], "not asked for any more, and not removed"
        toml.write_text(FULL.replace("Both black", "Both white"), encoding="utf-8")
        assert onelight("metadata", "push", toml).lines == ["description"]
        text = figshare.record(mice)["description"]
        assert "Both white" in text
        assert text.count(HOW) == 1
        assert onelight("metadata", "check", toml).lines == ["missing: a file"], "what was added is no difference"

    def test_every_article_of_one_that_was_spread_is_described(
        self, create: Run, onelight: Run, toml: Path, config_dir: Path, tmp_path: Path, write_files: Callable[..., Path]
    ) -> None:
        assert create("--title", "Two mice", "--name", "bare").code == 0
        path = config_dir / "config.json"
        config = json.loads(path.read_text())
        config["repositories"][-1]["files_per_article"] = 5
        path.write_text(json.dumps(config))
        names = (f"lab/Subjects/s/2016-12-14/00{n}/alf/a.{letter}.npy" for n in (1, 2) for letter in "bcd")
        assert onelight("upload", write_files(tmp_path / "root", *names), "--spread").code == 0
        assert onelight("metadata", "push", toml).code == 0
        checked = onelight("metadata", "check", toml)
        assert (checked.code, checked.out) == (0, "")

    def test_a_doi_may_be_reserved_and_stays_the_same(self, onelight: Run, mice: int, toml: Path) -> None:
        for _ in range(2):
            pushed = onelight("metadata", "push", toml, "--reserve-doi")
            assert pushed.code == 0
            assert f"doi 10.5072/m9.figshare.{mice}.v1" in pushed.out

    def test_the_file_of_the_current_folder_is_taken(
        self, onelight: Run, mice: int, toml: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(toml.parent)
        toml.write_text(FULL.replace("Two mice", "Three mice"), encoding="utf-8")
        assert onelight("metadata", "push").lines == ["title"]


class TestPull:
    def test_a_new_file_has_what_the_article_says_and_agrees_with_it(
        self, onelight: Run, mice: int, tmp_path: Path, toml: Path
    ) -> None:
        pulled = onelight("metadata", "pull", tmp_path / "pulled.toml")
        assert (pulled.code, pulled.lines) == (0, [str(tmp_path / "pulled.toml")])
        mine, theirs = (tomllib.loads(path.read_text("utf-8")) for path in (toml, tmp_path / "pulled.toml"))
        for name in ("title", "description", "categories", "keywords", "license", "funding", "references"):
            assert theirs[name] == mine[name]
        assert onelight("metadata", "check", tmp_path / "pulled.toml").lines == ["missing: a file"]
        assert onelight("metadata", "push", tmp_path / "pulled.toml").lines == []

    def test_comments_and_what_agrees_stay_as_they_are(
        self, onelight: Run, mice: int, toml: Path, figshare: Figshare
    ) -> None:
        figshare.change(mice, title="Three mice in a box")
        assert onelight("metadata", "pull", toml).code == 0
        text = toml.read_text("utf-8")
        assert text.startswith("# Ours, as agreed in May.\n")
        assert 'title = "Three mice in a box"  # for now\n' in text
        assert 'keywords = ["mouse", "box"]\n' in text

    def test_how_to_download_is_not_pulled(self, onelight: Run, mice: int, toml: Path, figshare: Figshare) -> None:
        assert onelight("metadata", "push", toml, "--how-to-download").code == 0
        assert onelight("metadata", "pull", toml).code == 0
        assert HOW not in toml.read_text("utf-8")

    def test_a_file_that_is_no_toml_is_not_written_over(self, onelight: Run, mice: int, toml: Path) -> None:
        toml.write_text("title = what?\n")
        refused = onelight("metadata", "pull", toml)
        assert (refused.code, refused.out) == (2, "")
        assert toml.read_text() == "title = what?\n"

    def test_a_public_reader_may_pull_without_a_token(
        self, onelight: Run, mice: int, sandbox: Any, tmp_path: Path, write_files: Callable[..., Path]
    ) -> None:
        assert onelight("upload", write_files(tmp_path / "root", "lab/Subjects/s/2016-12-14/001/alf/a.b.npy")).code == 0
        assert onelight("publish", "--yes").code == 0
        assert onelight("add-repo", "public", "--figshare", mice, "--api-url", sandbox.api_url).code == 0
        assert onelight("metadata", "pull", tmp_path / "theirs.toml", "-R", "public").code == 0
        assert tomllib.loads((tmp_path / "theirs.toml").read_text("utf-8"))["title"] == "Two mice in a box"
        denied = onelight("metadata", "push", tmp_path / "theirs.toml", "-R", "public")
        assert (denied.code, denied.out) == (4, "")


@pytest.mark.parametrize("action", ["check", "push", "pull"])
def test_a_repository_that_says_nothing_of_itself_is_refused(onelight: Run, toml: Path, action: str) -> None:
    refused = onelight("metadata", action, toml, "-R", "local")
    assert (refused.code, refused.out) == (4, "")
    assert "has no draft" in refused.err
    assert toml.read_text("utf-8") == FULL
