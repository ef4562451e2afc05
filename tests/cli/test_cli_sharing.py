"""scan, upload, index and publish: what is wrong is said before anything is sent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
GOOD = f"{SESSION}/alf/spikes.times.npy"
HALF_RIGHT = {
    "nicklab/Cori/2016-12-14/001/alf/a.b.npy": ("nicklab", "Subjects"),
    "otherlab/Subjects/Cori/2019-1-1/001/alf/a.b.npy": ("otherlab/Subjects/Cori/2019-1-1/001", "2019-01-01"),
    "otherlab/Subjects/Cori/2016-12-14/1/alf/a.b.npy": ("otherlab/Subjects/Cori/2016-12-14/1", "three digits: 001"),
    "my lab/Subjects/Cori/2016-12-14/001/alf/a.b.npy": ("my lab/Subjects/Cori/2016-12-14/001", "lab 'my lab' has ' '"),
    "otherlab/Subjects/Co#ri/2016-12-14/001/alf/a.b.npy": (
        "otherlab/Subjects/Co#ri/2016-12-14/001",
        "subject 'Co#ri' has '#'",
    ),
    f"{SESSION.replace('Cori', 'Hench')}/alf/notes.txt": (
        f"{SESSION.replace('Cori', 'Hench')}/alf/notes.txt",
        "2 fields between dots, and needs three or more. The right form is object.attribute.extension",
    ),
    "README.md": ("README.md", "is not in a session; the right form is LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER"),
}

Run = Callable[..., Any]
Write = Callable[..., Path]


@pytest.fixture
def half_right(tmp_path: Path, write_files: Write) -> Path:
    """Return a root of which one file is right, and each of the others wrong in a way of its own."""
    return write_files(tmp_path / "root", GOOD, *HALF_RIGHT)


class TestScan:
    def test_datasets_are_printed_one_per_line(self, onelight: Run, shared_data_root: Path) -> None:
        scanned = onelight("scan", shared_data_root)
        assert scanned.code == 0
        assert scanned.lines == sorted(
            path.relative_to(shared_data_root).as_posix() for path in shared_data_root.rglob("*.*")
        )
        assert "3 sessions, 165 datasets" in scanned.err
        assert "not ALF" not in scanned.err

    def test_sessions_only_prints_sessions(self, onelight: Run, shared_data_root: Path) -> None:
        scanned = onelight("scan", shared_data_root, "--sessions-only")
        assert len(scanned.lines) == 3
        assert scanned.lines[0] == SESSION

    def test_everything_that_is_not_alf_is_said_with_reason_and_right_form(
        self, onelight: Run, half_right: Path
    ) -> None:
        scanned = onelight("scan", half_right)
        assert (scanned.code, scanned.lines) == (1, [GOOD])
        said = [line for line in scanned.err.splitlines() if line.startswith("not ALF: ")]
        assert len(said) == len(HALF_RIGHT)
        for place, reason in HALF_RIGHT.values():
            assert any(line.startswith(f"not ALF: {place}: ") and reason in line for line in said), place

    def test_json_tells_good_and_bad_apart(self, onelight: Run, half_right: Path) -> None:
        rows = onelight("scan", half_right, "--json").rows
        assert [row["path"] for row in rows if "status" not in row] == [GOOD]
        bad = {row["path"]: row["message"] for row in rows if row.get("status") == "error"}
        assert all(reason in bad[place] for place, reason in HALF_RIGHT.values())

    def test_nothing_is_changed(self, onelight: Run, half_right: Path, config_dir: Path) -> None:
        before = sorted(half_right.rglob("*"))
        onelight("scan", half_right)
        assert sorted(half_right.rglob("*")) == before
        assert not config_dir.exists()

    def test_a_root_of_the_wrong_level_names_the_right_one(self, onelight: Run, shared_data_root: Path) -> None:
        for wrong in (shared_data_root / "nicklab", shared_data_root.parent, shared_data_root / SESSION):
            scanned = onelight("scan", wrong)
            assert (scanned.code, scanned.out) == (1, "")
            assert f"did you mean {shared_data_root}?" in scanned.err

    def test_a_root_that_is_not_there_is_not_found(self, onelight: Run, tmp_path: Path) -> None:
        missing = onelight("scan", tmp_path / "nowhere")
        assert (missing.code, missing.out) == (3, "")
        assert "there is no folder" in missing.err

    @pytest.mark.skipif(os.name != "posix", reason="such names cannot be made on Windows")
    def test_names_that_could_play_with_a_terminal_or_are_no_text_are_shown_escaped(
        self, program: Run, tmp_path: Path, write_files: Write
    ) -> None:
        root = write_files(tmp_path / "root", GOOD, f"{SESSION}/alf/\x1b[2Jx.y.npy", "a\x1b]0;b/Subjects/x")
        (root / SESSION / "alf" / os.fsdecode(b"bad\xff.times.npy")).touch()
        for options in ([], ["--json"]):
            scanned = program("scan", root, *options)
            assert scanned.code == 1
            assert "\x1b" not in scanned.out + scanned.err
        assert "\\x1b" in scanned.err
        assert len(scanned.rows) == 4


class TestNotes:
    """What is shared although other programs may not read it."""

    ODD = "Cori_2016-12-14_M2_g0_t0.imec.lf.bin"
    NOTE = (
        "object 'Cori_2016-12-14_M2_g0_t0' has '-'; allowed are letters, digits and _; "
        "the nearest right name is Cori_2016_12_14_M2_g0_t0.imec.lf.bin"
    )

    def test_it_is_noted_once_for_each_name_and_the_exit_code_stays_0(
        self, onelight: Run, tmp_path: Path, write_files: Write
    ) -> None:
        other = SESSION.replace("001", "002")
        root = write_files(tmp_path / "root", GOOD, f"{SESSION}/raw/{self.ODD}", f"{other}/raw/{self.ODD}")
        scanned = onelight("scan", root)
        assert (scanned.code, len(scanned.lines)) == (0, 3)
        note, summary = scanned.err.splitlines()
        assert note == f"note: {SESSION}/raw/{self.ODD}: {self.NOTE} (2 files)"
        assert summary.startswith("2 sessions, 3 datasets, ")
        assert onelight("scan", root, "--sessions-only").err == scanned.err

    def test_json_has_a_row_for_each(self, onelight: Run, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", GOOD, f"{SESSION}/raw/{self.ODD}", f"my-lab/{GOOD.partition('/')[2]}")
        scanned = onelight("scan", root, "--json")
        assert scanned.code == 0
        assert [row for row in scanned.rows if "status" in row] == [
            {
                "status": "note",
                "path": "my-lab",
                "message": "lab 'my-lab' has '-', which ONE-api does not read in the name of a lab",
                "files": 1,
            },
            {"status": "note", "path": f"{SESSION}/raw/{self.ODD}", "message": self.NOTE, "files": 1},
        ]

    def test_twenty_are_shown_and_json_has_all(self, onelight: Run, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", *(f"{SESSION}/raw/a-{number:02}.b.npy" for number in range(23)))
        scanned = onelight("scan", root)
        assert scanned.err.count("note: ") == 21
        assert "a-19.b.npy" in scanned.err
        assert "a-20.b.npy" not in scanned.err
        assert "note: and 3 more" in scanned.err.splitlines()
        assert sum(row.get("status") == "note" for row in onelight("scan", root, "--json").rows) == 23

    def test_beside_what_is_not_alf_the_exit_code_is_1(self, onelight: Run, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", f"{SESSION}/raw/{self.ODD}", f"{SESSION}/raw/trials_times.npy")
        scanned = onelight("scan", root)
        assert scanned.code == 1
        assert "the nearest right name is trials.times.npy" in scanned.err
        assert scanned.err.count("note: ") == 1

    def test_the_plan_of_an_upload_is_silent_about_it(
        self, onelight: Run, box: int, tmp_path: Path, write_files: Write
    ) -> None:
        planned = onelight("upload", write_files(tmp_path / "root", f"{SESSION}/raw/{self.ODD}"), "--dry-run")
        assert planned.code == 0
        assert "note: " not in planned.err


class TestUpload:
    def test_what_is_not_alf_is_listed_and_nothing_is_sent(
        self, onelight: Run, box: int, half_right: Path, files_of: Callable[[int], dict[str, Any]]
    ) -> None:
        for options in ([], ["--dry-run"]):
            refused = onelight("upload", half_right, *options)
            assert (refused.code, refused.out) == (2, "")
            for place, reason in HALF_RIGHT.values():
                assert any(line.strip().startswith(place) and reason in line for line in refused.err.splitlines())
            assert "--allow-partial" in refused.err
        assert files_of(box) == {}
        assert not (half_right / ".one_root").exists()

    def test_the_rest_is_sent_when_that_is_wanted(
        self, onelight: Run, box: int, half_right: Path, files_of: Callable[[int], dict[str, Any]]
    ) -> None:
        sent = onelight("upload", half_right, "--allow-partial")
        assert (sent.code, sent.lines) == (0, [GOOD])
        assert sent.err.count("not ALF: ") == len(HALF_RIGHT)
        assert set(files_of(box)) == {GOOD.replace("/", "~"), ".one_root"}

    def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(
        self, onelight: Run, box: int, data_root: Path, files_of: Callable[[int], dict[str, Any]]
    ) -> None:
        planned = onelight("upload", data_root, "--dry-run")
        assert planned.code == 0
        assert len(planned.lines) == 165
        assert "dry run: would send 165 of 165 files" in planned.err
        assert "room for 21.5 GB" in planned.err
        assert files_of(box) == {}
        assert not (data_root / ".one_root").exists()

    def test_json_tells_of_every_file_and_ends_with_a_summary(
        self, onelight: Run, box: int, tmp_path: Path, write_files: Write
    ) -> None:
        root = write_files(tmp_path / "root", GOOD)
        *rows, summary = onelight("upload", root, "--json").rows
        assert [(row["action"], row["path"], row["status"], row["verified"]) for row in rows] == [
            ("upload", GOOD, "ok", "md5")
        ]
        assert (summary["action"], summary["ok"], summary["index"], summary["exit"]) == ("summary", 1, True, 0)
        *rows, summary = onelight("upload", root, "--json").rows
        assert [row["status"] for row in rows] == ["notneeded"]
        assert (summary["ok"], summary["notneeded"]) == (0, 1)

    def test_a_limit_sends_so_many(
        self, onelight: Run, box: int, data_root: Path, files_of: Callable[[int], dict[str, Any]]
    ) -> None:
        assert len(onelight("upload", data_root, "--limit", 2).lines) == 2
        assert len(files_of(box)) == 3
        assert onelight("upload", data_root, "--limit", 0).code == 2

    def test_a_root_without_sessions_is_refused(
        self, onelight: Run, box: int, tmp_path: Path, files_of: Callable[[int], dict[str, Any]]
    ) -> None:
        (tmp_path / "empty").mkdir()
        refused = onelight("upload", tmp_path / "empty", "--allow-partial")
        assert (refused.code, refused.out) == (2, "")
        assert "has no session" in refused.err
        assert files_of(box) == {}

    def test_a_root_that_cannot_be_written_is_said_with_the_place_of_the_index(
        self, onelight: Run, box: int, tmp_path: Path, write_files: Write, config_dir: Path
    ) -> None:
        root = write_files(tmp_path / "root", GOOD)
        (root / ".one_root").mkdir()  # a file cannot take the place of a folder, whoever asks
        sent = onelight("upload", root)
        kept = config_dir / "data" / "box" / ".one_root"
        assert (sent.code, sent.lines) == (0, [GOOD])
        assert f"note: {root} cannot be written; .one_root is kept as {kept} instead" in sent.err
        assert kept.is_file()

    def test_a_wrong_token_is_denied_with_the_way_to_make_one(
        self, onelight: Run, box: int, tmp_path: Path, write_files: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FIGSHARE_TOKEN", "canary-5d1f")
        root = write_files(tmp_path / "root", GOOD)
        for command in (["upload", root], ["search"], ["publish", "--yes"]):
            denied = onelight(*command)
            assert (denied.code, denied.out) == (4, "")
            assert "https://figshare.com/account/applications" in denied.err

    def test_a_repository_that_can_only_be_read_says_what_to_do(
        self, onelight: Run, data_root: Path, add_repository: Callable[..., str], serve: Callable[[Path], Any]
    ) -> None:
        add_repository("web", "http", base_url=serve(data_root).url)
        refused = onelight("upload", data_root)
        assert (refused.code, refused.out) == (4, "")
        assert "onelight index FOLDER" in refused.err


class TestIndex:
    def test_the_file_is_written_and_its_place_printed(self, onelight: Run, data_root: Path) -> None:
        written = onelight("index", data_root)
        assert (written.code, written.lines) == (0, [str(data_root / ".one_root")])
        assert len((data_root / ".one_root").read_text(encoding="utf-8").splitlines()) == 165
        (row,) = onelight("index", data_root, "--json").rows
        assert (row["sessions"], row["datasets"]) == (3, 165)

    def test_with_an_address_every_row_has_one(self, onelight: Run, data_root: Path) -> None:
        assert onelight("index", data_root, "--base-url", "https://a.org/data").code == 0
        for line in (data_root / ".one_root").read_text(encoding="utf-8").splitlines():
            path, url = line.split("\t")
            assert url == f"https://a.org/data/{path}"

    def test_what_is_not_alf_is_refused_and_nothing_is_written(self, onelight: Run, half_right: Path) -> None:
        refused = onelight("index", half_right)
        assert (refused.code, refused.out) == (2, "")
        assert not (half_right / ".one_root").exists()
        assert onelight("index", half_right, "--allow-partial").code == 0
        assert (half_right / ".one_root").read_text(encoding="utf-8") == f"{GOOD}\n"


class TestPublish:
    def test_what_is_missing_is_said_before_anything_is_sent(self, onelight: Run, box: int, sandbox: Any) -> None:
        for options in ([], ["--yes"]):
            refused = onelight("publish", *options)
            assert (refused.code, refused.out) == (1, "")
            assert "still needs a file" in refused.err
            assert "Nothing was published" in refused.err

    @pytest.mark.parametrize("name", ["publish", "clean_publish"])
    def test_without_a_terminal_it_needs_yes_and_then_prints_the_address(
        self, onelight: Run, box: int, sandbox: Any, tmp_path: Path, write_files: Write, name: str
    ) -> None:
        assert onelight("upload", write_files(tmp_path / "root", GOOD)).code == 0
        public = ["add-repo", "public", "--figshare", box, "--api-url", sandbox.api_url]
        refused = onelight(name, given="y\n")
        assert (refused.code, refused.out) == (2, "")
        assert "--yes" in refused.err
        assert onelight(*public).code == 3, "nobody else sees it"
        published = onelight(name, "--yes")
        assert published.code == 0
        assert len(published.lines) == 1
        assert published.lines[0].startswith("http")
        assert onelight(*public).code == 0
        assert onelight("search", "-R", "public").lines == [SESSION]

    @pytest.mark.skipif(os.name != "posix", reason="a terminal of one's own is POSIX's")
    def test_on_a_terminal_it_asks_and_no_is_no(
        self, onelight: Run, box: int, sandbox: Any, tmp_path: Path, write_files: Write
    ) -> None:
        import pty

        assert onelight("upload", write_files(tmp_path / "root", GOOD)).code == 0
        keyboard, terminal = pty.openpty()
        try:
            os.write(keyboard, b"n\n")
            asked = subprocess.run(
                [sys.executable, "onelight.py", "publish"],
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
        assert asked.returncode == 130
        assert asked.stdout == ""
        assert "cannot be undone" in asked.stderr
        assert "Publish now? [y/N]" in asked.stderr
        assert "nothing was published" in asked.stderr
        assert onelight("add-repo", "public", "--figshare", box, "--api-url", sandbox.api_url).code == 3

    def test_a_repository_without_a_draft_says_so(self, onelight: Run) -> None:
        refused = onelight("publish", "--yes")
        assert (refused.code, refused.out) == (4, "")
        assert "has no draft" in refused.err


@pytest.mark.parametrize("inside", [True, False])
def test_a_repository_within_the_folder_that_is_shared_is_refused(
    onelight: Run, data_root: Path, add_repository: Callable[..., str], inside: bool
) -> None:
    session = data_root / "nicklab/Subjects/Cori/2016-12-14/001/alf/backup"
    add_repository("near", "local", root_dir=str(session if inside else data_root.parent))
    before = sorted(data_root.rglob("*"))
    refused = onelight("upload", data_root, "-R", "near")
    assert refused.code == 8
    assert "lie one in the other" in refused.err
    assert sorted(data_root.rglob("*")) == before
