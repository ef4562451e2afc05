"""The scan: every dataset is found, and everything else is told with the reason and the right form."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from onelight.errors import RepositoryNotFound
from onelight.folder import Problem, Scan, scan

SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
GOOD = f"{SESSION}/alf/spikes.times.npy"

Write = Callable[..., Path]


@pytest.fixture
def look(tmp_path: Path, write_files: Write) -> Callable[..., Scan]:
    """Return a function that scans a root with one good dataset and the paths given."""

    def scan_root(*paths: str) -> Scan:
        return scan(write_files(tmp_path / "root", GOOD, *paths))

    return scan_root


def only(found: Scan) -> Problem:
    (problem,) = found.problems
    return problem


class TestWhatIsShared:
    def test_every_dataset_of_a_real_layout_is_found_with_its_size(self, shared_data_root: Path) -> None:
        found = scan(shared_data_root)
        files = {
            path.relative_to(shared_data_root).as_posix(): path.stat().st_size
            for path in shared_data_root.rglob("*")
            if path.is_file()
        }
        assert {entry.path: entry.size for entry in found.index} == files
        assert found.problems == ()
        assert len(found.sessions) == 3
        assert found.size == sum(files.values())

    @pytest.mark.parametrize(
        "below",
        [
            "spikes.times.npy",
            "alf/probe00/spikes.times.npy",
            "alf/#2024-05-06#/spikes.times.npy",
            "alf/probe00/#v2#/_ibl_spikes.times_bpod.raw.npy",
            "raw_ephys_data/Cori_2016-12-14_M2_g0_t0.imec.lf.timestamps.npy",
        ],
    )
    def test_collections_revisions_and_odd_names_are_datasets(self, look: Callable[..., Scan], below: str) -> None:
        found = look(f"{SESSION}/{below}")
        assert found.problems == ()
        assert f"{SESSION}/{below}" in found.index

    def test_hidden_files_and_leftovers_are_counted_and_left_out(self, look: Callable[..., Scan]) -> None:
        found = look(
            ".one_root",
            ".git/config",
            f"{SESSION}/alf/.DS_Store",
            f"{SESSION}/alf/._spikes.times.npy",
            f"{SESSION}/Thumbs.db",
            f"{SESSION}/alf/.spikes.times.npy.0badcafe.part",
        )
        assert [entry.path for entry in found.index] == [GOOD]
        assert found.problems == ()
        assert found.ignored == 6

    @pytest.mark.skipif(os.name != "posix", reason="links need a right on Windows")
    def test_a_link_to_a_file_is_the_file(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", GOOD)
        (tmp_path / "elsewhere.npy").write_bytes(b"12345")
        (root / SESSION / "alf" / "trials.intervals.npy").symlink_to(tmp_path / "elsewhere.npy")
        found = scan(root)
        assert found.problems == ()
        assert found.index[f"{SESSION}/alf/trials.intervals.npy"].size == 5


class TestWhatIsNot:
    @pytest.mark.parametrize(
        ("path", "place", "reason"),
        [
            (
                "nicklab/Cori/2016-12-14/001/alf/a.b.npy",
                "nicklab",
                "holds the folder 'Cori' where 'Subjects' should be",
            ),
            ("nicklab/subjects/Cori/2016-12-14/001/alf/a.b.npy", "nicklab", "the folder 'subjects' where 'Subjects'"),
            ("otherlab/a.b.npy", "otherlab", "holds the file 'a.b.npy' where 'Subjects' should be"),
            ("a.b.npy", "a.b.npy", "is not in a session"),
            ("README.md", "README.md", "is not in a session"),
            ("nicklab/Subjects/readme.txt", "nicklab/Subjects/readme.txt", "does not lie in a session"),
            (
                "nicklab/Subjects/Cori/2016-12-14/a.b.npy",
                "nicklab/Subjects/Cori/2016-12-14/a.b.npy",
                "does not lie in a session",
            ),
            (
                "nicklab/Subjects/Cori/2019-1-1/001/alf/a.b.npy",
                "nicklab/Subjects/Cori/2019-1-1/001",
                "not of the form YYYY-MM-DD: 2019-01-01",
            ),
            (
                "nicklab/Subjects/Cori/2019-02-30/001/alf/a.b.npy",
                "nicklab/Subjects/Cori/2019-02-30/001",
                "not a day of the calendar",
            ),
            (
                "nicklab/Subjects/Cori/2016-12-14/1/alf/a.b.npy",
                "nicklab/Subjects/Cori/2016-12-14/1",
                "number '1' should have three digits: 001",
            ),
            (
                "nicklab/Subjects/Cori/2016-12-14/first/alf/a.b.npy",
                "nicklab/Subjects/Cori/2016-12-14/first",
                "number 'first' is not of up to three digits, such as 001",
            ),
            (
                "nick lab/Subjects/Cori/2016-12-14/001/alf/a.b.npy",
                "nick lab/Subjects/Cori/2016-12-14/001",
                "lab 'nick lab' has ' '; allowed are A-Z a-z 0-9 _ - .",
            ),
            (
                "nicklab/Subjects/Cori#2/2016-12-14/001/alf/a.b.npy",
                "nicklab/Subjects/Cori#2/2016-12-14/001",
                "subject 'Cori#2' has '#'; allowed are A-Z a-z 0-9 _ - .",
            ),
            (f"{SESSION}/alf/notes.txt", f"{SESSION}/alf/notes.txt", "needs three or more. The right form is object."),
            (f"{SESSION}/alf/a..npy", f"{SESSION}/alf/a..npy", "a field between its dots is empty"),
            (f"{SESSION}/alf/#1#/x/a.b.npy", f"{SESSION}/alf/#1#/x/a.b.npy", "'#' outside a revision folder"),
            (f"{SESSION}/alf/a~b.c.npy", f"{SESSION}/alf/a~b.c.npy", "has ~, which some systems"),
            (f"{SESSION}/alf/a:b.c.npy", f"{SESSION}/alf/a:b.c.npy", "cannot be in a name on every system"),
            (f"{SESSION}/alf/a\\b.c.npy", f"{SESSION}/alf/a\\b.c.npy", "cannot be in a name on every system"),
            (f"{SESSION}/alf/a.b.npy ", f"{SESSION}/alf/a.b.npy ", "begins or ends with a space"),
        ],
    )
    @pytest.mark.skipif(os.name != "posix", reason="some of these names cannot be made on Windows")
    def test_it_is_told_with_its_place_and_the_reason_and_the_rest_is_found(
        self, look: Callable[..., Scan], path: str, place: str, reason: str
    ) -> None:
        found = look(path)
        problem = only(found)
        assert problem.path == place
        assert reason in problem.reason
        assert [entry.path for entry in found.index] == [GOOD]

    @pytest.mark.parametrize(
        "path",
        [
            "README.md",
            "nicklab/Cori/2016-12-14/001/alf/a.b.npy",
            "nicklab/Subjects/Cori/a.b.npy",
            "nicklab/Subjects/Cori/2019-1-1/001/alf/a.b.npy",
            "nick lab/Subjects/Cori/2016-12-14/001/alf/a.b.npy",
        ],
    )
    def test_the_right_form_of_a_session_is_said(self, look: Callable[..., Scan], path: str) -> None:
        assert "LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER" in only(look(path)).reason

    def test_a_wrong_folder_is_told_once_with_the_number_of_its_files(self, look: Callable[..., Scan]) -> None:
        wrong = "nicklab/Subjects/Cori/2019-1-1/001"
        problem = only(look(*(f"{wrong}/alf/a.b{number}.npy" for number in range(20))))
        assert (problem.path, problem.files) == (wrong, 20)

    def test_several_problems_are_all_told_and_sorted(self, look: Callable[..., Scan]) -> None:
        found = look("z.txt", "a.txt", f"{SESSION}/alf/notes.txt")
        assert [problem.path for problem in found.problems] == ["a.txt", f"{SESSION}/alf/notes.txt", "z.txt"]

    @pytest.mark.skipif(os.name != "posix", reason="links need a right on Windows")
    def test_links_to_folders_and_to_nothing_are_told_and_not_followed(
        self, tmp_path: Path, write_files: Write
    ) -> None:
        root = write_files(tmp_path / "root", GOOD)
        outside = write_files(tmp_path / "outside", "spikes.times.npy")
        (root / SESSION / "probe").symlink_to(outside)
        (root / SESSION / "loop").symlink_to(root)
        (root / SESSION / "alf" / "gone.times.npy").symlink_to(tmp_path / "nowhere")
        os.mkfifo(root / SESSION / "alf" / "pipe.times.npy")
        found = scan(root)
        assert [entry.path for entry in found.index] == [GOOD]
        assert [problem.path.removeprefix(SESSION) for problem in found.problems] == [
            "/alf/gone.times.npy",
            "/alf/pipe.times.npy",
            "/loop",
            "/probe",
        ]
        assert all("neither a file nor a folder" in problem.reason for problem in found.problems)

    @pytest.mark.skipif(os.name != "posix" or os.uname().sysname == "Darwin", reason="names are Unicode here")
    def test_a_name_that_is_no_text_is_told_in_a_way_that_can_be_printed(
        self, tmp_path: Path, write_files: Write
    ) -> None:
        root = write_files(tmp_path / "root", GOOD)
        Path(os.fsdecode(os.fsencode(root / SESSION / "alf") + b"/bad\xff.times.npy")).write_bytes(b"1")
        problem = only(scan(root))
        assert "cannot be in a name on every system" in problem.reason
        problem.reason.encode()


class TestRoots:
    def test_a_root_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(RepositoryNotFound, match="there is no folder .*nowhere"):
            scan(tmp_path / "nowhere")

    def test_a_file_instead_of_a_root_is_told(self, tmp_path: Path, write_files: Write) -> None:
        with pytest.raises(RepositoryNotFound, match="there is no folder"):
            scan(write_files(tmp_path, "file") / "file")

    def test_a_root_without_sessions_is_a_problem(self, tmp_path: Path) -> None:
        problem = only(scan(tmp_path))
        assert problem.path == "."
        assert problem.reason.startswith("has no session: a data root holds LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER")

    @pytest.mark.parametrize(
        "given",
        [
            ".",  # the folder above
            "dataroot/nicklab",
            "dataroot/nicklab/Subjects",
            "dataroot/nicklab/Subjects/Cori",
            "dataroot/nicklab/Subjects/Cori/2016-12-14/001",
            "dataroot/nicklab/Subjects/Cori/2016-12-14/001/alf",
        ],
    )
    def test_of_a_root_of_the_wrong_level_the_right_one_is_named(
        self, tmp_path: Path, write_files: Write, monkeypatch: pytest.MonkeyPatch, given: str
    ) -> None:
        write_files(tmp_path / "dataroot", GOOD)
        problems = {problem.path: problem.reason for problem in scan(tmp_path / given).problems}
        assert f"did you mean {tmp_path / 'dataroot'}?" in problems["."]
        monkeypatch.chdir(tmp_path)
        problems = {problem.path: problem.reason for problem in scan(Path(given)).problems}
        assert "dataroot?" in problems["."]
