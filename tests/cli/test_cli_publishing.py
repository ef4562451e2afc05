"""status, publish, unpublish, cite, and what upload does beyond sending single files; in a sandbox."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onelight.index import Entry
from onelight.pack import packs_of

CHECKOUT = Path(__file__).resolve().parents[2]
SESSION = "lab/Subjects/Cori/2016-12-14/001"
OTHER = "lab/Subjects/Cori/2016-12-14/002"
TIMES, CLUSTERS = f"{SESSION}/alf/spikes.times.npy", f"{SESSION}/alf/spikes.clusters.npy"
NEW = f"{OTHER}/alf/spikes.times.npy"
Run = Callable[..., Any]
Write = Callable[..., Path]


class Figshare:
    """The API as its owner has it, beside the product; and a count of what the product asked."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox

    def __call__(self, path: str, body: object = None, method: str | None = None) -> Any:
        request = urllib.request.Request(
            path if path.startswith("http") else f"{self.sandbox.api_url}/{path}",
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"token {self.sandbox.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"null")

    def begin(self, article: int, path: str, content: bytes) -> None:
        """Announce a file and send nothing of it, as a run that was killed."""
        md5 = hashlib.md5(content).hexdigest()
        stated = {"name": path.replace("/", "~"), "size": len(content), "md5": md5}
        self(f"account/articles/{article}/files", stated)

    def names(self, article: int) -> list[str]:
        """Return the names of all files but the tables beside the index."""
        rows = self(f"account/articles/{article}/files?page_size=1000")
        return sorted(row["name"].replace("~", "/") for row in rows if not row["name"].endswith(".pqt"))

    def numbers(self) -> set[int]:
        return {row["id"] for row in self("account/articles?page_size=1000")}

    def remove(self, article: int, path: str) -> None:
        rows = self(f"account/articles/{article}/files?page_size=1000")
        (number,) = [row["id"] for row in rows if row["name"].replace("~", "/") == path]
        self(f"account/articles/{article}/files/{number}", method="DELETE")

    def is_public(self, article: int) -> bool:
        try:
            return bool(self(f"articles/{article}"))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return False

    def forget(self) -> None:
        self.sandbox.faults.reset_counts()

    def changes(self) -> dict[str, int]:
        """Requests that were to change something, by origin and method."""
        faults = self.sandbox.faults
        counted = {
            f"{origin} {method}": faults.requests(origin, method)
            for origin in ("api", "upload", "download")
            for method in ("POST", "PUT", "PATCH", "DELETE")
        }
        return {name: count for name, count in counted.items() if count}


@pytest.fixture
def figshare(sandbox: Any) -> Figshare:
    return Figshare(sandbox)


@pytest.fixture
def root(tmp_path: Path, write_files: Write) -> Path:
    """Two files of one session, and one of another."""
    return write_files(tmp_path / "root", TIMES, CLUSTERS, NEW)


@pytest.fixture
def sent(onelight: Run, box: int, root: Path, figshare: Figshare) -> int:
    """The same, uploaded; requests are counted from here on."""
    assert onelight("upload", root).code == 0
    figshare.forget()
    return box


@pytest.fixture
def published(onelight: Run, sent: int, figshare: Figshare) -> int:
    assert onelight("publish", "--yes").code == 0
    figshare.forget()
    return sent


@pytest.fixture
def add_public(onelight: Run, sandbox: Any) -> Run:
    """Add an article as somebody who has no token."""

    def add(text: object, name: str = "public") -> None:
        added = onelight("add-repo", name, "--figshare", text, "--api-url", sandbox.api_url)
        assert added.code == 0, added.err

    return add


def lines(onelight: Run, *arguments: object, code: int = 1) -> list[str]:
    """Return what status prints, without the words in brackets."""
    shown = onelight("status", *arguments)
    assert shown.code == code, shown.err
    return [line.partition("  (")[0] for line in shown.lines]


class TestStatus:
    def test_it_is_0_and_silent_when_nothing_differs(self, onelight: Run, sent: int, root: Path) -> None:
        shown = onelight("status", root)
        assert (shown.code, shown.out) == (0, "")
        assert f"{root} against 'box': 3 the same" in shown.err
        assert "nothing of 'box' is public yet" in shown.err
        assert lines(onelight, root, "--all", code=0) == [f"=. {CLUSTERS}", f"=. {TIMES}", f"=. {NEW}"]

    def test_it_changes_nothing(self, onelight: Run, published: int, root: Path, figshare: Figshare) -> None:
        (root / TIMES).write_bytes(b"other")
        assert onelight("status", root).code == 1
        assert figshare.changes() == {}

    def test_each_difference_of_the_folder_has_its_sign_and_says_why(
        self, onelight: Run, sent: int, root: Path, write_files: Write, figshare: Figshare
    ) -> None:
        (root / TIMES).write_bytes(b"other")
        (root / CLUSTERS).unlink()
        write_files(root, f"{OTHER}/alf/spikes.amps.npy")
        figshare.begin(sent, f"{OTHER}/alf/spikes.depths.npy", b"abc")
        shown = onelight("status", root)
        size = len(f"content of {TIMES}")
        assert (shown.code, shown.lines) == (
            1,
            [
                f"-. {CLUSTERS}  (only in the repository)",
                f"*. {TIMES}  (5 bytes here, {size} in the repository)",
                f"+. {OTHER}/alf/spikes.amps.npy  (only here)",
                f"!. {OTHER}/alf/spikes.depths.npy  (never finished (created))",
            ],
        )
        assert "against 'box': 1 the same, 1 only here, 1 only there, 1 different, 1 broken" in shown.err

    @pytest.mark.parametrize("sign", "+-*!")
    def test_one_difference_of_any_kind_is_enough_for_1(
        self, onelight: Run, sent: int, root: Path, write_files: Write, figshare: Figshare, sign: str
    ) -> None:
        if sign == "+":
            write_files(root, f"{OTHER}/alf/spikes.amps.npy")
        elif sign == "-":
            (root / CLUSTERS).unlink()
        elif sign == "*":
            (root / TIMES).write_bytes((root / TIMES).read_bytes()[::-1])  # of the same size
        else:
            figshare.begin(sent, NEW, b"abc")
        (line,) = lines(onelight, root)
        assert line[:2] == f"{sign}."

    def test_a_draft_without_an_index_is_broken(self, onelight: Run, sent: int, root: Path, figshare: Figshare) -> None:
        figshare.remove(sent, ".one_root")
        assert [line[0] for line in lines(onelight, root)] == ["!", "!", "!"]

    def test_what_the_index_names_and_the_draft_has_not_is_broken(
        self, onelight: Run, sent: int, figshare: Figshare
    ) -> None:
        figshare.remove(sent, TIMES)
        assert lines(onelight) == [f"!. {TIMES}"]

    def test_the_same_upload_puts_right_what_was_removed_at_figshare(
        self, onelight: Run, sent: int, root: Path, figshare: Figshare
    ) -> None:
        figshare.remove(sent, TIMES)
        figshare.remove(sent, ".one_root")
        assert onelight("upload", root).lines == [TIMES]
        assert lines(onelight, root, code=0) == []
        assert onelight("download", SESSION).code == 0

    def test_published_and_untouched_is_the_same_on_both_sides(self, onelight: Run, published: int, root: Path) -> None:
        assert lines(onelight, root, "--all", code=0) == [f"== {CLUSTERS}", f"== {TIMES}", f"== {NEW}"]
        shown = onelight("status")
        assert (shown.code, shown.out) == (0, "")
        assert "'box' against what is public: 3 the same" in shown.err

    def test_what_was_uploaded_since_publication_differs_from_what_is_public(
        self, onelight: Run, published: int, root: Path, write_files: Write
    ) -> None:
        amps = f"{OTHER}/alf/spikes.amps.npy"
        (root / TIMES).write_bytes(b"other")
        (root / CLUSTERS).unlink()
        write_files(root, amps)
        assert lines(onelight, root) == [f"-= {CLUSTERS}", f"*= {TIMES}", f"+. {amps}"]
        assert onelight("upload", root, "--delete", "--yes").code == 0
        assert lines(onelight, root) == [f".- {CLUSTERS}", f"=* {TIMES}", f"=+ {amps}"]
        assert lines(onelight) == [f".- {CLUSTERS}", f".* {TIMES}", f".+ {amps}"]

    def test_json_has_an_object_for_each_and_a_summary(self, onelight: Run, published: int, root: Path) -> None:
        (root / TIMES).write_bytes(b"other")
        row, summary = onelight("status", root, "--json").rows
        assert row == {"action": "status", "path": TIMES, "local": "*", "public": "=", "why": row["why"]}
        assert row["why"].startswith("5 bytes here, ")
        assert summary == {"action": "summary", "files": 3, "differ": 1, "exit": 1}
        *rows, summary = onelight("status", root, "--all", "--json").rows
        assert [row["path"] for row in rows] == [CLUSTERS, TIMES, NEW]
        assert (rows[0]["local"], rows[0]["public"], rows[0]["why"]) == ("=", "=", None)
        (summary,) = onelight("status", "--json").rows
        assert summary == {"action": "summary", "files": 3, "differ": 0, "exit": 0}

    def test_who_has_no_token_is_denied(self, onelight: Run, published: int, add_public: Run) -> None:
        add_public(published)
        denied = onelight("status", "-R", "public")
        assert (denied.code, denied.out) == (4, "")

    def test_a_folder_that_is_not_there_is_not_found(self, onelight: Run, sent: int, tmp_path: Path) -> None:
        assert onelight("status", tmp_path / "nowhere").code == 3

    def test_a_local_repository_is_compared_as_well(
        self, onelight: Run, root: Path, tmp_path: Path, write_files: Write
    ) -> None:
        (tmp_path / "disk").mkdir()
        assert onelight("add-repo", "disk", "--local", tmp_path / "disk").code == 0
        assert lines(onelight, root, "-R", "disk") == [f"+. {CLUSTERS}", f"+. {TIMES}", f"+. {NEW}"]
        assert onelight("upload", root, "-R", "disk").code == 0
        assert lines(onelight, root, "-R", "disk", code=0) == []


class TestPublish:
    @pytest.mark.parametrize(
        ("field", "empty", "what"),
        [
            ("description", "", "a description"),
            ("description", "<p> </p>", "a description"),
            ("authors", [], "an author"),
            ("categories", [], "a category"),
            ("keywords", [], "a keyword"),
        ],
    )
    def test_each_field_that_is_missing_is_named_and_nothing_is_sent(
        self, onelight: Run, sent: int, figshare: Figshare, root: Path, field: str, empty: object, what: str
    ) -> None:
        figshare(f"account/articles/{sent}", {field: empty}, "PATCH")
        figshare.forget()
        for arguments in ([], ["--yes"], [root, "--yes"]):
            refused = onelight("publish", *arguments)
            assert (refused.code, refused.out) == (1, "")
            assert f"it still needs {what}" in refused.err
            assert "`onelight metadata push`" in refused.err
        assert figshare.changes() == {}
        assert not figshare.is_public(sent)

    def test_without_a_file_nothing_is_sent(self, onelight: Run, box: int, figshare: Figshare) -> None:
        figshare.forget()
        refused = onelight("publish", "--yes")
        assert (refused.code, refused.out) == (1, "")
        assert "it still needs a file" in refused.err
        assert figshare.changes() == {}

    def test_all_that_is_missing_is_told_at_once(self, onelight: Run, box: int, figshare: Figshare) -> None:
        figshare(f"account/articles/{box}", {"authors": [], "keywords": []}, "PATCH")
        assert "it still needs an author, a keyword, a file" in onelight("publish", "--yes").err

    def test_a_half_finished_upload_is_refused_with_the_ways_out(
        self, onelight: Run, sent: int, figshare: Figshare, root: Path
    ) -> None:
        figshare.begin(sent, f"{OTHER}/alf/spikes.amps.npy", b"abc")
        figshare.forget()
        refused = onelight("publish", "--yes")
        assert (refused.code, refused.out) == (1, "")
        assert "the rest of 1 half-uploaded file " in refused.err
        assert "--clean" in refused.err
        assert figshare.changes() == {}
        assert onelight("upload", root, "--clean").code == 0
        assert onelight("publish", "--yes").code == 0

    def test_a_draft_whose_index_is_not_that_of_its_files_is_refused(
        self, onelight: Run, sent: int, figshare: Figshare, root: Path
    ) -> None:
        figshare.remove(sent, ".one_root")
        figshare.forget()
        refused = onelight("publish", "--yes")
        assert (refused.code, refused.out) == (1, "")
        assert "it still needs .one_root, the index: the upload is not finished" in refused.err
        assert figshare.changes() == {}
        assert onelight("upload", root).code == 0
        assert onelight("publish", "--yes").code == 0

    def test_an_index_that_names_a_file_that_is_gone_is_refused(
        self, onelight: Run, sent: int, figshare: Figshare
    ) -> None:
        figshare.remove(sent, TIMES)
        assert onelight("publish", "--yes").code == 1
        assert not figshare.is_public(sent)

    @pytest.mark.parametrize("sign", "+-*")
    def test_with_a_folder_it_is_refused_while_the_folder_holds_something_else(
        self, onelight: Run, sent: int, figshare: Figshare, root: Path, write_files: Write, sign: str
    ) -> None:
        if sign == "+":
            write_files(root, f"{OTHER}/alf/spikes.amps.npy")
        elif sign == "-":
            (root / TIMES).unlink()
        else:
            (root / TIMES).write_bytes(b"other")
        refused = onelight("publish", root, "--yes")
        assert (refused.code, refused.out) == (1, "")
        assert f"'box' is not what {root} holds: of 1 file that is not so" in refused.err
        assert f"Nothing was published. See all of it: onelight status {root}" in refused.err
        assert figshare.changes() == {}
        assert onelight("upload", root, "--delete", "--yes").code == 0
        assert onelight("publish", root, "--yes").code == 0

    def test_the_first_version_has_its_number_doi_and_files_told(
        self, onelight: Run, sent: int, figshare: Figshare, root: Path
    ) -> None:
        done = onelight("publish", root, "--yes", "--json")
        assert done.code == 0
        (row,) = done.rows
        assert row == {
            "action": "publish",
            "status": "ok",
            "url": row["url"],
            "doi": f"10.5072/m9.figshare.{sent}.v1",
            "version": 1,
        }
        assert "the first version of 'box', with 3 files" in done.err
        assert f"version 1, DOI {row['doi']}; cite it: onelight cite" in done.err
        assert figshare.changes() == {"api POST": 1}

    def test_one_changed_file_makes_version_2_and_version_1_gives_the_old_bytes(
        self, onelight: Run, published: int, root: Path, add_public: Run, config_dir: Path
    ) -> None:
        old = (root / TIMES).read_bytes()
        (root / TIMES).write_bytes(b"new content")
        assert onelight("upload", root).code == 0
        again = onelight("publish", root, "--yes", "--json")
        assert (again.rows[0]["version"], again.rows[0]["doi"][-3:]) == (2, ".v2")
        assert "compared with the last version of 'box': 0 new, 1 changed, 0 gone, 2 the same" in again.err
        for name, text, content in (
            ("one", f"{published}/1", old),
            ("first", f"10.5072/m9.figshare.{published}.v1", old),
            ("two", f"{published}.v2", b"new content"),
            ("newest", published, b"new content"),
        ):
            add_public(text, name)
            got = onelight("download", SESSION, "spikes.times", "-R", name)
            assert got.code == 0, got.err
            assert (config_dir / "data" / name / TIMES).read_bytes() == content

    def test_a_file_that_was_removed_is_in_the_old_version_only(
        self, onelight: Run, published: int, root: Path, add_public: Run
    ) -> None:
        (root / NEW).unlink()
        assert onelight("upload", root, "--delete", "--yes").code == 0
        again = onelight("publish", root, "--yes")
        assert "0 new, 0 changed, 1 gone, 2 the same" in again.err
        add_public(f"{published}/1", "one")
        add_public(published, "newest")
        assert onelight("search", "-R", "one").lines == [SESSION, OTHER]
        assert onelight("search", "-R", "newest").lines == [SESSION]
        assert onelight("download", OTHER, "-R", "one").code == 0

    def test_nothing_changed_makes_no_new_version_and_that_is_said(self, onelight: Run, published: int) -> None:
        again = onelight("publish", "--yes", "--json")
        assert again.rows[0]["version"] == 1
        assert "no file, title, author or licence has changed" in again.err

    @pytest.mark.parametrize("arguments", [[], ["--json"]])
    def test_without_a_terminal_and_yes_it_is_wrong_usage_and_nothing_is_published(
        self, onelight: Run, sent: int, figshare: Figshare, arguments: list[str]
    ) -> None:
        refused = onelight("publish", *arguments, given="y\n")
        assert refused.code == 2
        assert "--yes" in refused.out + refused.err
        assert figshare.changes() == {}
        assert not figshare.is_public(sent)

    def test_where_the_answer_is_lost_it_is_not_published_twice(
        self, onelight: Run, published: int, root: Path, figshare: Figshare
    ) -> None:
        (root / TIMES).write_bytes(b"new content")
        assert onelight("upload", root).code == 0
        figshare.forget()
        figshare.sandbox.faults.set("reset_after", method="POST", path="/publish$", times=1)
        try:
            done = onelight("publish", root, "--yes", "--json")
        finally:
            figshare.sandbox.faults.clear()
        assert figshare.sandbox.faults.played["reset_after"] == 1
        assert (done.code, done.rows[0]["version"]) == (0, 2)
        assert figshare.changes() == {"api POST": 1}

    def test_a_version_that_does_not_show_in_time_is_temporary(
        self, onelight: Run, sent: int, sandbox: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onelight.kinds.figshare.publishing._LAG", 0.1)
        sandbox.change(publish_lag_ms=3_600_000)
        try:
            done = onelight("publish", "--yes", "--json")
        finally:
            sandbox.change(publish_lag_ms=0)
        assert done.code == 5
        assert (done.rows[0]["version"], done.rows[0]["status"]) == (None, "ok")
        assert "the public page does not answer yet" in done.err


class TestUnpublish:
    @pytest.mark.parametrize("json_option", [[], ["--json"]])
    def test_it_says_why_not_with_4_and_asks_nobody(
        self, onelight: Run, published: int, figshare: Figshare, json_option: list[str]
    ) -> None:
        refused = onelight("unpublish", *json_option)
        assert refused.code == 4
        assert "figshare keeps every version" in refused.err
        assert "onelight upload ROOT --delete" in refused.err
        assert figshare.sandbox.faults.requests() == 0
        if json_option:
            assert refused.rows == [
                {
                    "action": "unpublish",
                    "status": "impossible",
                    "message": "figshare keeps every version",
                    "exit": 4,
                }
            ]
        else:
            assert refused.lines == ["nothing was changed"]
        assert figshare.is_public(published)

    def test_a_repository_that_there_is_not_is_not_found(self, onelight: Run) -> None:
        assert onelight("unpublish", "-R", "nowhere").code == 3

    def test_of_a_local_folder_it_is_not_said_that_figshare_keeps_it(self, onelight: Run) -> None:
        refused = onelight("unpublish", "-R", "local")
        assert refused.code == 4
        assert "stays public" not in refused.err


class TestCite:
    def test_text_and_entry_are_printed(self, onelight: Run, published: int) -> None:
        cited = onelight("cite")
        assert cited.code == 0
        doi = f"10.5072/m9.figshare.{published}.v1"
        assert "A. Tester (20" in cited.lines[0]
        assert cited.lines[0].endswith(f"A test of its own. figshare sandbox. Dataset. {doi}")
        assert cited.lines[1] == ""
        assert cited.lines[2].startswith("@misc{")
        assert f"  doi = {{{doi}}}," in cited.lines
        assert cited.lines[-1] == "}"
        assert onelight("cite", "--bibtex").lines == cited.lines[2:]
        (row,) = onelight("cite", "--json").rows
        assert (row["text"], row["bibtex"]) == (cited.lines[0], "\n".join(cited.lines[2:]))

    def test_a_reader_without_token_gets_the_same(self, onelight: Run, published: int, add_public: Run) -> None:
        add_public(published)
        assert onelight("cite", "-R", "public").out == onelight("cite").out

    def test_a_pinned_version_is_cited_as_that_version(
        self, onelight: Run, published: int, root: Path, add_public: Run
    ) -> None:
        (root / TIMES).write_bytes(b"new content")
        assert onelight("upload", root).code == 0
        assert onelight("publish", "--yes").code == 0
        add_public(f"{published}/1")
        assert f"{published}.v1" in onelight("cite", "--bibtex", "-R", "public").out
        assert f"{published}.v2" in onelight("cite", "--bibtex").out

    def test_a_draft_is_cited_as_one(self, onelight: Run, box: int) -> None:
        assert "note = {Draft, not published}" in onelight("cite", "--bibtex").out

    def test_a_local_repository_has_no_publication(self, onelight: Run) -> None:
        refused = onelight("cite", "-R", "local")
        assert (refused.code, refused.out) == (1, "")
        assert "the repository 'local' is of type local: it has no publication" in refused.err


class TestPlan:
    """A dry run: what would be done, and nothing of it."""

    def test_it_tells_new_changed_same_and_gone_and_sends_nothing(
        self, onelight: Run, sent: int, root: Path, write_files: Write, figshare: Figshare
    ) -> None:
        before = figshare.names(sent)
        amps = f"{OTHER}/alf/spikes.amps.npy"
        write_files(root, amps)
        (root / TIMES).write_bytes(b"other")
        (root / NEW).unlink()
        figshare.forget()
        planned = onelight("upload", root, "--dry-run")
        assert (planned.code, planned.lines) == (0, [TIMES, amps])
        assert "1 new, 1 changed, 1 same, 1 gone" in planned.err
        assert "1 stored file not in this folder; they stay" in planned.err
        *rows, plan = onelight("upload", root, "--dry-run", "--json").rows
        assert [(row["action"], row["path"], row["status"], row["why"]) for row in rows] == [
            ("upload", TIMES, "planned", "differs from what is stored"),
            ("upload", amps, "planned", "new"),
        ]
        assert plan["action"] == "plan"
        assert {name: plan[name] for name in ("new", "changed", "same", "gone")} == {
            "new": 1,
            "changed": 1,
            "same": 1,
            "gone": 1,
        }
        assert plan["bytes"] == len(b"other") + len(f"content of {amps}")
        assert (plan["leftovers"], plan["notes"]) == ([], [])
        assert plan["requests"] > 0
        assert plan["bytes_left"] > plan["bytes"]
        assert figshare.changes() == {}
        assert figshare.names(sent) == before

    def test_with_delete_it_lists_what_would_go(self, onelight: Run, sent: int, root: Path, figshare: Figshare) -> None:
        (root / NEW).unlink()
        planned = onelight("upload", root, "--dry-run", "--delete")
        assert (planned.code, planned.lines) == (0, [])
        assert f"remove {NEW}" in planned.err
        row, plan = onelight("upload", root, "--dry-run", "--delete", "--json").rows
        assert (row["action"], row["path"], row["status"]) == ("delete", NEW, "planned")
        assert plan["gone"] == 1
        assert figshare.changes() == {}

    def test_it_lists_leftovers(self, onelight: Run, sent: int, root: Path, figshare: Figshare) -> None:
        figshare.begin(sent, f"{OTHER}/alf/spikes.amps.npy", b"abc")
        figshare.forget()
        planned = onelight("upload", root, "--dry-run", "--clean", "--json")
        (plan,) = planned.rows
        (leftover,) = plan["leftovers"]
        assert (leftover["path"], leftover["why"]) == (f"{OTHER}/alf/spikes.amps.npy", "never finished (created)")
        assert figshare.changes() == {}


class TestDelete:
    def test_without_a_terminal_it_lists_and_needs_yes_and_nothing_is_done(
        self, onelight: Run, sent: int, root: Path, write_files: Write, figshare: Figshare
    ) -> None:
        (root / NEW).unlink()
        write_files(root, f"{SESSION}/alf/spikes.amps.npy")
        before = figshare.names(sent)
        figshare.forget()
        refused = onelight("upload", root, "--delete", given="y\n")
        assert (refused.code, refused.out) == (2, "")
        assert f"  remove {NEW}" in refused.err.splitlines()
        assert "--delete removes 1 file; without a terminal to ask on, say --yes" in refused.err
        assert figshare.changes() == {}
        assert figshare.names(sent) == before

    def test_with_yes_it_goes_and_status_is_clean(
        self, onelight: Run, sent: int, root: Path, figshare: Figshare
    ) -> None:
        (root / NEW).unlink()
        done = onelight("upload", root, "--delete", "--yes")
        assert done.code == 0
        assert "1 file removed from the repository" in done.err
        assert figshare.names(sent) == [".one_root", CLUSTERS, TIMES]
        assert onelight("search", "--refresh").lines == [SESSION]
        assert onelight("status", root).code == 0

    def test_without_delete_it_stays(self, onelight: Run, sent: int, root: Path, figshare: Figshare) -> None:
        (root / NEW).unlink()
        assert onelight("upload", root, "--yes").code == 0
        assert NEW in figshare.names(sent)
        assert onelight("search", "--refresh").lines == [SESSION, OTHER]

    def test_a_name_that_goes_stands_in_the_way_of_none(
        self, onelight: Run, sent: int, root: Path, figshare: Figshare
    ) -> None:
        (root / TIMES).rename(root / TIMES.replace("times", "Times"))
        refused = onelight("upload", root)
        assert refused.code == 2
        assert "differs only by case" in refused.err
        assert onelight("upload", root, "--delete", "--yes").code == 0
        assert onelight("status", root).code == 0

    def test_a_local_repository_loses_what_the_folder_has_not(self, onelight: Run, root: Path, tmp_path: Path) -> None:
        (tmp_path / "disk").mkdir()
        assert onelight("add-repo", "disk", "--local", tmp_path / "disk").code == 0
        assert onelight("upload", root, "-R", "disk").code == 0
        (root / NEW).unlink()
        assert onelight("upload", root, "--delete", "-R", "disk").code == 2
        assert (tmp_path / "disk" / NEW).is_file()
        assert onelight("upload", root, "--delete", "--yes", "-R", "disk").code == 0
        assert not (tmp_path / "disk" / NEW).exists()
        assert lines(onelight, root, "-R", "disk", code=0) == []

    def test_where_nothing_would_go_nothing_is_asked(self, onelight: Run, sent: int, root: Path) -> None:
        assert onelight("upload", root, "--delete").code == 0

    @pytest.mark.skipif(os.name != "posix", reason="a terminal of one's own is POSIX's")
    @pytest.mark.parametrize(("answer", "code"), [(b"n\n", 130), (b"y\n", 0)])
    def test_on_a_terminal_it_lists_and_asks(
        self, onelight: Run, sent: int, root: Path, figshare: Figshare, answer: bytes, code: int
    ) -> None:
        import pty

        (root / NEW).unlink()
        before = figshare.names(sent)
        keyboard, terminal = pty.openpty()
        try:
            os.write(keyboard, answer)
            asked = subprocess.run(
                [sys.executable, "onelight.py", "upload", str(root), "--delete"],
                cwd=CHECKOUT,
                stdin=terminal,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            os.close(keyboard)
            os.close(terminal)
        assert asked.returncode == code, asked.stderr
        listed, question = (asked.stderr.index(words) for words in (f"remove {NEW}", "Remove 1 file from the"))
        assert listed < question
        assert figshare.names(sent) == [name for name in before if name != NEW or code]
        assert ("nothing was sent or removed" in asked.stderr) is bool(code)


class TestClean:
    def test_what_broken_runs_left_is_named_and_goes_when_asked_for(
        self, onelight: Run, sent: int, root: Path, figshare: Figshare
    ) -> None:
        amps = f"{OTHER}/alf/spikes.amps.npy"
        figshare.begin(sent, amps, b"abc")
        figshare.begin(sent, "notes.txt", b"abc")
        assert lines(onelight, root) == [f"!. {amps}", "!. notes.txt"]
        told = onelight("upload", root)
        assert told.code == 0
        assert f"left by a broken run: {amps}, never finished (created)" in told.err
        assert "--clean removes these" in told.err
        assert amps in figshare.names(sent)
        cleaned = onelight("upload", root, "--clean")
        assert cleaned.code == 0
        assert "2 leftovers of broken runs removed" in cleaned.err
        assert figshare.names(sent) == [".one_root", CLUSTERS, TIMES, NEW]
        assert onelight("status", root).code == 0

    def test_what_this_run_goes_on_with_is_no_leftover(
        self, onelight: Run, box: int, root: Path, figshare: Figshare
    ) -> None:
        figshare.begin(box, TIMES, (root / TIMES).read_bytes())
        figshare.forget()
        sent = onelight("upload", root, "--clean")
        assert sent.code == 0
        assert "broken run" not in sent.err
        assert figshare.names(box) == [".one_root", CLUSTERS, TIMES, NEW]
        assert figshare.sandbox.faults.requests("api", "DELETE") == 0


class TestSpread:
    @pytest.fixture
    def small(self, onelight: Run, add_repository: Run, sandbox: Any, article: int) -> int:
        """Return an article that takes five files: a session of three, and the index beside the one before."""
        onelight()
        options = {"token": sandbox.token, "api_url": sandbox.api_url, "files_per_article": 5}
        add_repository("box", "figshare", article_id=article, **options)
        return article

    @pytest.fixture
    def large(self, tmp_path: Path, write_files: Write) -> Path:
        """Three sessions of three files each."""
        names = ("times", "clusters", "amps")
        return write_files(
            tmp_path / "large",
            *(f"lab/Subjects/Cori/2016-12-14/00{n}/alf/spikes.{name}.npy" for n in (1, 2, 3) for name in names),
        )

    def test_without_it_what_does_not_fit_is_refused_before_anything_is_sent(
        self, onelight: Run, small: int, large: Path, figshare: Figshare
    ) -> None:
        figshare.forget()
        for options in ([], ["--dry-run"]):
            refused = onelight("upload", large, *options)
            assert (refused.code, refused.out) == (1, "")
            assert "9 more files are 3 articles of 5 files in all" in refused.err
            assert "--spread" in refused.err
        assert figshare.changes() == {}

    def test_a_dry_run_says_how_many_articles_would_be_made_and_makes_none(
        self, onelight: Run, small: int, large: Path, figshare: Figshare
    ) -> None:
        figshare.forget()
        planned = onelight("upload", large, "--spread", "--dry-run")
        assert planned.code == 0
        assert "note: 2 more articles will be made" in planned.err
        assert figshare.changes() == {}

    def test_articles_are_made_each_session_stays_whole_and_the_configuration_names_them(
        self, onelight: Run, small: int, large: Path, figshare: Figshare, config_dir: Path
    ) -> None:
        sent = onelight("upload", large, "--spread")
        assert sent.code == 0, sent.err
        rows = json.loads((config_dir / "config.json").read_text())["repositories"]
        numbers = next(row["articles"] for row in rows if row["name"] == "box")
        assert (len(numbers), numbers[0]) == (3, small)
        held = [figshare.names(number) for number in numbers]
        assert [len(names) for names in held] == [4, 3, 3]
        assert [sorted({name.split("/")[4] for name in names if "/" in name}) for names in held] == [
            ["001"],
            ["002"],
            ["003"],
        ]
        records = [figshare(f"account/articles/{number}") for number in numbers]
        assert len({record["title"] for record in records}) == 3
        assert all(record["title"].startswith(records[0]["title"]) for record in records)
        assert all(any(str(small) in text for text in record["references"]) for record in records[1:])
        assert onelight("status", large).code == 0

    def test_where_the_answer_is_lost_no_article_is_made_twice(
        self, onelight: Run, small: int, large: Path, figshare: Figshare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ONELIGHT_ATTEMPTS", "2")
        before = figshare.numbers()
        figshare.sandbox.faults.set("reset_after", method="POST", path="/account/articles$", times=1)
        try:
            sent = onelight("upload", large, "--spread")
        finally:
            figshare.sandbox.faults.clear()
        assert sent.code == 0, sent.err
        assert len(figshare.numbers() - before) == 2
        assert onelight("status", large).code == 0

    def test_after_articles_were_made_and_nothing_was_sent_they_are_used(
        self, onelight: Run, small: int, large: Path, figshare: Figshare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ONELIGHT_ATTEMPTS", "1")
        before = figshare.numbers()
        figshare.sandbox.faults.set("error500", method="POST", path="/files$")
        try:
            assert onelight("upload", large, "--spread").code > 0
        finally:
            figshare.sandbox.faults.clear()
        assert len(figshare.numbers() - before) == 2
        assert onelight("upload", large, "--spread").code == 0
        assert len(figshare.numbers() - before) == 2
        assert onelight("status", large).code == 0

    def test_sent_again_nothing_is_made_or_sent(
        self, onelight: Run, small: int, large: Path, figshare: Figshare
    ) -> None:
        assert onelight("upload", large, "--spread").code == 0
        figshare.forget()
        again = onelight("upload", large, "--spread")
        assert again.code == 0
        assert "0 files sent" in again.err
        assert figshare.changes() == {}

    def test_a_reader_without_token_and_without_the_list_gets_size_and_md5_of_all(
        self,
        onelight: Run,
        small: int,
        large: Path,
        figshare: Figshare,
        config_dir: Path,
        add_public: Run,
    ) -> None:
        assert onelight("upload", large, "--spread").code == 0
        assert onelight("publish", large, "--yes").code == 0
        add_public(small)
        row = json.loads((config_dir / "config.json").read_text())["repositories"][-1]
        assert (row["name"], row["token"], "articles" in row) == ("public", "", False)
        for number in (1, 2, 3):
            session = f"lab/Subjects/Cori/2016-12-14/00{number}"
            for entry in onelight("list", session, "-R", "public", "--json").rows:
                content = (large / entry["path"]).read_bytes()
                assert (entry["bytes"], entry["md5"]) == (len(content), hashlib.md5(content).hexdigest())
            *rows, summary = onelight("download", session, "-R", "public", "--json").rows
            assert [(row["status"], row["verified"]) for row in rows] == [("ok", "md5")] * 3
            assert summary["exit"] == 0
        assert onelight("status", large).code == 0

    @pytest.fixture
    def again(self, onelight: Run, small: int, large: Path, sandbox: Any, config_dir: Path) -> str:
        """Return the name that its owner gives it on another computer, where nobody said that there are more."""
        assert onelight("upload", large, "--spread").code == 0
        where = ["--figshare", small, "--api-url", sandbox.api_url, "--token-stdin"]
        assert onelight("add-repo", "again", *where, given=sandbox.token).code == 0
        path = config_dir / "config.json"
        config = json.loads(path.read_text())
        config["repositories"][-1]["files_per_article"] = 5
        path.write_text(json.dumps(config))
        return "again"

    def test_its_owner_on_another_computer_sends_nothing_twice(
        self, onelight: Run, again: str, large: Path, small: int, figshare: Figshare
    ) -> None:
        before = {number: figshare.names(number) for number in figshare.numbers()}
        assert onelight("upload", large, "--spread", "-R", again).code == 0
        after = {number: figshare.names(number) for number in figshare.numbers()}
        assert after == before, "the articles that were made are found again, and the files in them"
        assert lines(onelight, large, "-R", again, code=0) == []

    def test_its_owner_on_another_computer_sees_what_there_is(self, onelight: Run, again: str, large: Path) -> None:
        assert lines(onelight, large, "-R", again, code=0) == []

    def test_its_owner_on_another_computer_publishes_all_of_it_or_nothing(
        self, onelight: Run, again: str, small: int, add_public: Run, figshare: Figshare
    ) -> None:
        if onelight("publish", "--yes", "-R", again).code:
            assert not figshare.is_public(small)
            return
        add_public(small)
        assert onelight("download", "lab/Subjects/Cori/2016-12-14/003", "-R", "public").code == 0

    def test_a_pinned_reader_gets_the_old_files_of_every_article(
        self, onelight: Run, small: int, large: Path, add_public: Run, config_dir: Path
    ) -> None:
        path = "lab/Subjects/Cori/2016-12-14/003/alf/spikes.times.npy"
        old = (large / path).read_bytes()
        assert onelight("upload", large, "--spread").code == 0
        assert onelight("publish", large, "--yes").code == 0
        (large / path).write_bytes(b"new content")
        assert onelight("upload", large, "--spread").code == 0
        assert onelight("publish", large, "--yes").code == 0
        for name, text, content in (("one", f"{small}/1", old), ("newest", small, b"new content")):
            add_public(text, name)
            got = onelight("download", path.partition("/alf")[0], "-R", name, "--json")
            assert [row["verified"] for row in got.rows[:-1]] == ["md5"] * 3, got.err
            assert (config_dir / "data" / name / path).read_bytes() == content


def pack_of(session: str) -> str:
    """Return the path that the pack of a session has."""
    (pack,) = packs_of([Entry(f"{session}/alf/a.b.npy", size=1, md5="0" * 32)], Path())
    return pack.path


class TestPack:
    def test_each_session_is_one_file_at_figshare_and_single_datasets_for_readers(
        self,
        onelight: Run,
        box: int,
        root: Path,
        figshare: Figshare,
        add_public: Run,
        config_dir: Path,
    ) -> None:
        sent = onelight("upload", root, "--pack", "session")
        assert sent.code == 0, sent.err
        assert "2 packs of sessions" in sent.err
        packs = [pack_of(session) for session in (SESSION, OTHER)]
        assert figshare.names(box) == [".one_packs", ".one_root", *packs]
        assert onelight("status", root).code == 0
        assert onelight("publish", root, "--yes").code == 0
        add_public(box)
        assert onelight("search", "spikes.clusters", "-R", "public").lines == [SESSION]
        entries = onelight("list", SESSION, "-R", "public", "--json").rows
        assert [entry["path"] for entry in entries] == [CLUSTERS, TIMES]
        assert [entry["md5"] for entry in entries] == [
            hashlib.md5((root / path).read_bytes()).hexdigest() for path in (CLUSTERS, TIMES)
        ]
        row, summary = onelight("download", SESSION, "spikes.times", "-R", "public", "--json").rows
        assert (row["status"], row["verified"], summary["ok"]) == ("ok", "md5", 1)
        got = config_dir / "data" / "public"
        assert (got / TIMES).read_bytes() == (root / TIMES).read_bytes()
        assert not (got / CLUSTERS).exists(), "only what was asked for"
        assert onelight("download", SESSION, "-R", "public").code == 0
        assert (got / CLUSTERS).read_bytes() == (root / CLUSTERS).read_bytes()

    def test_sent_again_nothing_is_sent(self, onelight: Run, box: int, root: Path, figshare: Figshare) -> None:
        assert onelight("upload", root, "--pack", "session").code == 0
        figshare.forget()
        again = onelight("upload", root, "--pack", "session")
        assert again.code == 0
        assert figshare.changes() == {}

    def test_one_changed_file_sends_its_session_anew_and_the_old_pack_goes(
        self, onelight: Run, box: int, root: Path, figshare: Figshare
    ) -> None:
        assert onelight("upload", root, "--pack", "session").code == 0
        (root / TIMES).write_bytes(b"new content")
        planned = onelight("upload", root, "--pack", "session", "--dry-run", "--json")
        row, plan = planned.rows
        assert (row["path"], row["why"]) == (
            pack_of(SESSION),
            "a pack of 2 files: 0 new, 1 changed",
        )
        assert plan["changed"] == 1
        assert onelight("upload", root, "--pack", "session").code == 0
        assert len(figshare.names(box)) == 4
        assert onelight("status", root).code == 0
        assert onelight("download", SESSION, "spikes.times", "--refresh").code == 0

    def test_what_was_sent_as_single_files_is_replaced_by_the_pack_of_a_session_that_changed(
        self, onelight: Run, sent: int, root: Path, figshare: Figshare
    ) -> None:
        (root / TIMES).write_bytes(b"new content")
        assert onelight("upload", root, "--pack", "session").code == 0
        assert figshare.names(sent) == [".one_packs", ".one_root", pack_of(SESSION), NEW]
        assert onelight("status", root).code == 0

    def test_a_file_removed_from_the_folder_leaves_the_index_with_delete(
        self, onelight: Run, box: int, root: Path
    ) -> None:
        assert onelight("upload", root, "--pack", "session").code == 0
        (root / CLUSTERS).unlink()
        assert lines(onelight, root) == [f"-. {CLUSTERS}"]
        assert onelight("upload", root, "--pack", "session", "--delete", "--yes").code == 0
        assert lines(onelight, root, code=0) == []

    def test_an_empty_file_and_an_older_version_come_out_of_their_packs(
        self, onelight: Run, box: int, root: Path, add_public: Run, config_dir: Path
    ) -> None:
        old = (root / TIMES).read_bytes()
        (root / CLUSTERS).write_bytes(b"")
        for _ in range(2):
            assert onelight("upload", root, "--pack", "session").code == 0
            assert onelight("publish", root, "--yes").code == 0
            (root / TIMES).write_bytes(b"new content")
        for name, text, content in (("one", f"{box}/1", old), ("newest", box, b"new content")):
            add_public(text, name)
            *rows, _ = onelight("download", SESSION, "-R", name, "--json").rows
            assert [row["verified"] for row in rows] == ["md5", "md5"]
            got = config_dir / "data" / name
            assert ((got / CLUSTERS).read_bytes(), (got / TIMES).read_bytes()) == (b"", content)

    @pytest.mark.parametrize("options", [[], ["--dry-run"]])
    def test_a_local_repository_takes_none(self, onelight: Run, root: Path, tmp_path: Path, options: list[str]) -> None:
        (tmp_path / "disk").mkdir()
        assert onelight("add-repo", "disk", "--local", tmp_path / "disk").code == 0
        refused = onelight("upload", root, "--pack", "session", "-R", "disk", *options)
        assert (refused.code, refused.out) == (1, "")
        assert "it takes single files only" in refused.err
        assert "Leave out --pack" in refused.err
        assert list((tmp_path / "disk").iterdir()) == []


def test_in_the_layout_of_folders_all_of_it_is_the_same(
    onelight: Run, article: int, root: Path, sandbox: Any, add_repository: Run, figshare: Figshare, add_public: Run
) -> None:
    onelight()
    add_repository(
        "box", "figshare", article_id=article, token=sandbox.token, api_url=sandbox.api_url, layout="folders"
    )
    assert onelight("upload", root).code == 0
    assert figshare.names(article) == [".one_root", "spikes.clusters.npy", "spikes.times.npy", "spikes.times.npy"]
    assert onelight("publish", root, "--yes").code == 0
    (root / TIMES).write_bytes(b"new content")
    assert lines(onelight, root) == [f"*= {TIMES}"]
    assert onelight("upload", root).code == 0
    assert lines(onelight, root) == [f"=* {TIMES}"]
    add_public(f"{article}/1")
    *rows, _ = onelight("download", SESSION, "-R", "public", "--json").rows
    assert [(row["path"], row["verified"]) for row in rows] == [(CLUSTERS, "md5"), (TIMES, "md5")]


def test_a_repository_that_is_pinned_to_a_version_takes_nothing(
    onelight: Run, published: int, root: Path, sandbox: Any, figshare: Figshare, tmp_path: Path
) -> None:
    pinned = ["add-repo", "pinned", "--figshare", f"{published}/1", "--api-url", sandbox.api_url, "--token-stdin"]
    assert onelight(*pinned, given=sandbox.token).code == 0
    (root / TIMES).write_bytes(b"new content")
    (tmp_path / "one.toml").write_text('title = "Another"\n')
    figshare.forget()
    for command in (
        ["upload", root],
        ["upload", root, "--dry-run"],
        ["publish", "--yes"],
        ["status", root],
        ["metadata", "push", tmp_path / "one.toml"],
    ):
        refused = onelight(*command, "-R", "pinned")
        assert (refused.code, refused.out) == (4, ""), command
        assert "pinned to version 1, which never changes" in refused.err
    assert figshare.changes() == {}
    assert onelight("search", "-R", "pinned").lines == [SESSION, OTHER], "it is read all the same"
