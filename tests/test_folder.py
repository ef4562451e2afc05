"""The scan: every dataset is found, and everything else is told with the reason and the right form."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from onelight.errors import RepositoryNotFound
from onelight.folder import Problem, Scan, Walk, changed, scan

SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
GOOD = f"{SESSION}/alf/spikes.times.npy"

Write = Callable[..., Path]
posix = pytest.mark.skipif(os.name != "posix", reason="links need a right, and names have rules, on Windows")


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

    @pytest.mark.parametrize(
        "name",
        [
            *("spikes.times.npy~", "~$notes.a.docx", "@eaDir/spikes.times.npy", "lost+found/a.b.npy", "desktop.ini"),
            *("$RECYCLE.BIN/a.b.npy", "System Volume Information/a.b.npy", "__MACOSX/a.b.npy", ".~lock.a.b#"),
        ],
    )
    def test_what_systems_and_editors_leave_behind_is_no_data(self, look: Callable[..., Scan], name: str) -> None:
        found = look(f"{SESSION}/alf/{name}")
        assert ([entry.path for entry in found.index], found.problems, found.ignored) == ([GOOD], (), 1)

    @pytest.mark.parametrize("ending", ["part", "PARTIAL", "crdownload", "filePart"])
    def test_copies_that_are_not_finished_are_no_data(self, look: Callable[..., Scan], ending: str) -> None:
        found = look(
            f"{SESSION}/alf/a.b.{ending}", f"{SESSION}/alf/spikes.times.npy.{ending}", f"{SESSION}/alf/a.c.x{ending}"
        )
        assert [entry.path for entry in found.index] == [f"{SESSION}/alf/a.c.x{ending}", GOOD]
        assert (found.problems, found.ignored) == ((), 2)

    def test_a_folder_whose_name_ends_like_that_of_a_copy_is_a_folder(self, look: Callable[..., Scan]) -> None:
        found = look(f"{SESSION}/probe.part/a.b.npy")
        assert (f"{SESSION}/probe.part/a.b.npy" in found.index, found.problems, found.ignored) == (True, (), 0)

    @posix
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

    @posix
    def test_what_is_neither_a_file_nor_a_folder_is_told(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", GOOD)
        (root / SESSION / "alf" / "gone.times.npy").symlink_to(tmp_path / "nowhere")
        (root / SESSION / "alf" / "self.times.npy").symlink_to("self.times.npy")
        os.mkfifo(root / SESSION / "alf" / "pipe.times.npy")
        found = scan(root)
        assert [entry.path for entry in found.index] == [GOOD]
        assert [(problem.path.removeprefix(SESSION), problem.reason) for problem in found.problems] == [
            ("/alf/gone.times.npy", "is neither a file nor a folder: a broken link"),
            ("/alf/pipe.times.npy", "is neither a file nor a folder: a pipe, a socket or a device"),
            ("/alf/self.times.npy", f"cannot be read: {os.strerror(errno.ELOOP)}"),
        ]

    @posix
    @pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="nothing is closed to root")
    def test_a_folder_that_cannot_be_read_is_told(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", GOOD, f"{SESSION}/raw/a.b.npy")
        (root / SESSION / "raw").chmod(0)
        try:
            problem = only(scan(root))
        finally:
            (root / SESSION / "raw").chmod(0o700)
        assert (problem.path, problem.reason) == (f"{SESSION}/raw", "cannot be read: Permission denied")

    @posix
    def test_a_folder_that_is_too_deep_for_the_system_is_told_and_the_rest_is_found(
        self, tmp_path: Path, write_files: Write
    ) -> None:
        root = write_files(tmp_path / "root", GOOD)
        here = os.open(root / SESSION, os.O_RDONLY)
        for _ in range(30):
            os.mkdir("x" * 200, dir_fd=here)
            below = os.open("x" * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)
        found = scan(root)
        assert only(found).reason == f"cannot be read: {os.strerror(errno.ENAMETOOLONG)}"
        assert [entry.path for entry in found.index] == [GOOD]

    @pytest.mark.skipif(os.name != "posix" or os.uname().sysname == "Darwin", reason="names are Unicode here")
    def test_a_name_that_is_no_text_is_told_in_a_way_that_can_be_printed(
        self, tmp_path: Path, write_files: Write
    ) -> None:
        root = write_files(tmp_path / "root", GOOD)
        Path(os.fsdecode(os.fsencode(root / SESSION / "alf") + b"/bad\xff.times.npy")).write_bytes(b"1")
        problem = only(scan(root))
        assert "cannot be in a name on every system" in problem.reason
        problem.reason.encode()


class TestRemarks:
    """What is shared although it is not strict ALF."""

    @pytest.mark.parametrize(
        ("path", "place", "reason"),
        [
            (
                f"{SESSION}/alf/Cori_2016-12-14_M2_g0_t0.imec.lf.bin",
                f"{SESSION}/alf/Cori_2016-12-14_M2_g0_t0.imec.lf.bin",
                (
                    "object 'Cori_2016-12-14_M2_g0_t0' has '-'; allowed are letters, digits and _; "
                    "the nearest right name is Cori_2016_12_14_M2_g0_t0.imec.lf.bin"
                ),
            ),
            (
                f"{SESSION}/_spikes.times.npy",
                f"{SESSION}/_spikes.times.npy",
                (
                    "object '_spikes' begins with _, which only a namespace does: _ibl_spikes; "
                    "the nearest right name is spikes.times.npy"
                ),
            ),
            (
                f"{SESSION}/alf/é.é.é",
                f"{SESSION}/alf/é.é.é",
                (
                    "attribute 'é' is not of letters and digits (A-Z a-z 0-9), "
                    "with _times, _intervals or a timescale behind it if need be"
                ),
            ),
            (
                f"{SESSION}/alf/my probe/#v 1#/a.b.npy",
                f"{SESSION}/alf/my probe/#v 1#",
                (
                    "folder 'my probe' has ' '; allowed are letters, digits, _ - .; "
                    "folder 'v 1' has ' '; allowed are letters, digits, _ - .; "
                    "the nearest right name is alf/my-probe/#v-1#"
                ),
            ),
            (
                f"{SESSION}/a b/c.d.npy",
                f"{SESSION}/a b",
                "folder 'a b' has ' '; allowed are letters, digits, _ - .; the nearest right name is a-b",
            ),
            (
                "my-lab/Subjects/Cori/2016-12-14/001/alf/a.b.npy",
                "my-lab",
                "lab 'my-lab' has '-', which ONE-api does not read in the name of a lab",
            ),
        ],
    )
    def test_it_is_told_with_its_place_the_reason_and_the_nearest_right_name(
        self, look: Callable[..., Scan], path: str, place: str, reason: str
    ) -> None:
        found = look(path)
        assert found.problems == ()
        assert path in found.index
        assert found.remarks == (Problem(place, reason, 1),)

    def test_strict_names_are_not_remarked_on(self, look: Callable[..., Scan]) -> None:
        found = look(f"{SESSION}/alf/#2024-05-06#/_ibl_spikes.times_bpod.6252a2f0-c10f-4e49-b085-75749ba29c35.npy")
        assert (found.problems, found.remarks) == ((), ())

    def test_a_name_a_folder_and_a_lab_are_told_once_with_the_number_of_their_files(
        self, look: Callable[..., Scan]
    ) -> None:
        sessions = [f"my-lab/Subjects/Cori/2016-12-{day}/001" for day in (14, 17, 18)]
        names = ["spike-s.times.npy", "probe 1/a.b.npy", "probe 1/c.d.npy", "probe 1/spike-s.times.npy"]
        found = look(*(f"{session}/alf/{name}" for session in sessions for name in names))
        assert [(remark.path, remark.files) for remark in found.remarks] == [
            ("my-lab", 12),
            (f"{sessions[0]}/alf/probe 1", 9),
            (f"{sessions[0]}/alf/probe 1/spike-s.times.npy", 6),  # the first of them, by path
        ]

    def test_a_right_name_that_another_file_has_is_said_to_be_taken(self, look: Callable[..., Scan]) -> None:
        copy = f"{SESSION}/alf/spikes.times (1).npy"
        (remark,) = look(copy, f"{SESSION}/alf/trial-s.times.npy", f"{SESSION}/other/trials.times.npy").remarks[:1]
        assert remark.path == copy
        assert remark.reason.endswith("; the nearest right name is spikes.times.npy, which is taken")

    def test_of_the_published_dataset_only_the_names_with_hyphens_are_remarked_on(self, shared_data_root: Path) -> None:
        found = scan(shared_data_root)
        assert len(found.remarks) == 6  # two probes of each of three sessions, each by a name of its own
        assert all(".imec.lf.timestamps.npy" in remark.path for remark in found.remarks)
        assert all("has '-'" in remark.reason for remark in found.remarks)

    @pytest.mark.skipif(os.name != "posix", reason="some of these names cannot be made on Windows")
    @pytest.mark.parametrize(
        ("name", "right"),
        [
            ("trials_times.npy", "trials.times.npy"),
            ("a:b.c.npy", "a.b.c.npy"),
            ("spikes~old.times.npy", "spikes_old.times.npy"),
            ("spikes.times.npy ", "spikes.times.npy"),
            ("notes.txt", ""),
            ("con.times.npy", ""),
        ],
    )
    def test_what_cannot_be_shared_is_told_the_nearest_right_name_where_there_is_one(
        self, look: Callable[..., Scan], name: str, right: str
    ) -> None:
        found = look(f"{SESSION}/raw/{name}")
        assert only(found).reason.partition("; the nearest right name is ")[2] == right
        assert found.remarks == ()


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


class TestOrder:
    def test_datasets_come_sorted_by_their_whole_path(self, tmp_path: Path, write_files: Write) -> None:
        below = ["a/b.c.d", "a-b/b.c.d", "a.b.c", "a/b/c.d.e", "a b/c.d.e", "B/c.d.e", "a/b-c/d.e.f", "ab/c.d.e"]
        root = write_files(tmp_path, *(f"{SESSION}/{path}" for path in below))
        paths = [entry.path for entry in Walk(root)]
        assert paths == sorted(paths)
        assert len(paths) == len(below)

    def test_the_first_comes_before_the_last_folder_is_looked_at(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path, GOOD, "otherlab/Subjects/Cori/2016-12-14/001/alf/a.b.npy")
        pairs = Walk(root).pairs()
        assert next(pairs) == (GOOD, len(f"content of {GOOD}"))
        shutil.rmtree(root / "otherlab")
        assert list(pairs) == []

    def test_500_levels_are_found(self, tmp_path: Path, write_files: Write) -> None:
        path = f"{SESSION}/{'d/' * 500}a.b.npy"
        write_files(tmp_path, path)
        assert [entry.path for entry in Walk(tmp_path)] == [path]

    def test_a_file_that_goes_while_the_folder_is_listed_is_as_if_it_had_gone_before(
        self, tmp_path: Path, write_files: Write
    ) -> None:
        names = [f"{SESSION}/alf/a.b{number:05}.npy" for number in range(3000)]
        root = write_files(tmp_path, *names)
        deleting = threading.Thread(target=lambda: [(root / name).unlink() for name in reversed(names)])
        deleting.start()
        try:
            while deleting.is_alive():
                walk = Walk(root)
                assert all(entry.size for entry in walk)
                assert [problem for problem in walk.problems if problem.path != "."] == []
        finally:
            deleting.join()

    def test_what_is_remembered_of_names_is_bounded_and_verdicts_stay(
        self, tmp_path: Path, write_files: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onelight.folder._MOST_REMEMBERED", 5)
        sessions = [f"lab/Subjects/s{number}/2016-12-14/001/alf" for number in range(4)]
        root = write_files(tmp_path, *(f"{session}/a.b{n}.npy" for session in sessions for n in range(20)))
        write_files(root, *(f"{session}/bad.npy" for session in sessions))
        walk = Walk(root)
        assert len(list(walk)) == 80
        assert len(walk.problems) == 4
        assert sum(map(len, walk._good.values())) <= 6

    def test_a_tree_is_not_held_in_memory(self, tmp_path: Path, write_files: Write) -> None:
        for number in range(40):
            write_files(tmp_path, *(f"lab/Subjects/s{number}/2016-12-14/001/alf/a.b{n}.npy" for n in range(100)))
        tracemalloc.start()
        try:
            assert sum(1 for _ in Walk(tmp_path).pairs()) == 4000
            assert tracemalloc.get_traced_memory()[1] < 200_000  # 4,000 paths alone are 400 kB
        finally:
            tracemalloc.stop()


@posix
class TestLinksToFolders:
    def test_one_that_leads_out_of_the_root_is_followed_once(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", GOOD)
        big = write_files(tmp_path / "bigdisk", "Hench/2017-06-15/001/alf/a.b.npy")
        for name in ("Xerxes", "Hench"):  # made in this order, followed by name
            (root / "nicklab/Subjects" / name).symlink_to(big / "Hench")
        found = scan(root)
        assert [entry.path for entry in found.index] == [GOOD, "nicklab/Subjects/Hench/2017-06-15/001/alf/a.b.npy"]
        problem = only(found)
        assert problem.path == "nicklab/Subjects/Xerxes"
        assert problem.reason == "is a link that leads to a folder that is shared already"

    def test_a_folder_of_a_folder_that_was_followed_is_shared_already(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", GOOD)
        big = write_files(tmp_path / "bigdisk", "Hench/2017-06-15/001/alf/a.b.npy")
        (root / "nicklab/Subjects/A").symlink_to(big / "Hench")
        (root / SESSION / "again").symlink_to(big / "Hench/2017-06-15/001/alf")
        (root / SESSION / "whole").symlink_to(big)
        assert {problem.path: problem.reason[-8:] for problem in scan(root).problems} == {
            f"{SESSION}/again": " already",
            f"{SESSION}/whole": "a circle",
        }

    @pytest.mark.parametrize(
        ("target", "reason"),
        [(".", "a circle"), ("..", "a circle"), (SESSION, "shared already"), (f"{SESSION}/alf", "shared already")],
    )
    def test_one_that_leads_into_the_root_or_to_what_holds_it_is_told(
        self, tmp_path: Path, write_files: Write, target: str, reason: str
    ) -> None:
        root = write_files(tmp_path / "root", GOOD)
        (root / SESSION / "link").symlink_to(root / target)
        found = scan(root)
        assert [entry.path for entry in found.index] == [GOOD]
        assert only(found).path == f"{SESSION}/link"
        assert only(found).reason.endswith(reason)

    def test_a_link_back_from_outside_ends_there(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", GOOD)
        outside = write_files(tmp_path / "outside", "a.b.npy")
        (outside / "up").symlink_to(root)
        (outside / "self").symlink_to(outside)
        (root / SESSION / "probe").symlink_to(outside)
        found = scan(root)
        assert [entry.path for entry in found.index] == [GOOD, f"{SESSION}/probe/a.b.npy"]
        assert [problem.path for problem in found.problems] == [f"{SESSION}/probe/self", f"{SESSION}/probe/up"]

    def test_a_root_that_is_a_link_is_the_folder(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", GOOD)
        (tmp_path / "link").symlink_to(root)
        (root / SESSION / "again").symlink_to(root / SESSION / "alf")
        found = scan(tmp_path / "link")
        assert [entry.path for entry in found.index] == [GOOD]
        assert only(found).path == f"{SESSION}/again"


class TestChanged:
    @pytest.fixture
    def root(self, tmp_path: Path, write_files: Write) -> Path:
        """Return a root that has rested for a minute."""
        root = write_files(tmp_path / "root", GOOD, f"{SESSION}/raw/a.b.npy", ".git/config")
        (root / SESSION / "empty").mkdir()
        self.rest(root)
        return root

    def rest(self, root: Path) -> None:
        then = time.time() - 60
        for path in (root, *root.rglob("*")):
            if path.is_dir():
                os.utime(path, (then, then))

    def seen(self, root: Path) -> bytearray:
        walk = Walk(root)
        list(walk)
        return walk.folders

    def test_an_untouched_tree_has_not(self, root: Path) -> None:
        assert not changed(root, self.seen(root))

    def test_every_folder_that_was_entered_is_known(self, root: Path) -> None:
        names = self.seen(root).split(b"\0")[:-1:2]
        alf = SESSION.split("/")
        above = ["/".join(alf[:depth]).encode() for depth in range(6)]
        assert names == [*above, *(f"{SESSION}/{name}".encode() for name in ("alf", "empty", "raw"))]

    @pytest.mark.parametrize(
        "act",
        [
            lambda root: (root / SESSION / "empty/a.b.npy").write_bytes(b""),
            lambda root: (root / GOOD).unlink(),
            lambda root: (root / GOOD).rename(root / SESSION / "alf/spikes.times2.npy"),
            lambda root: (root / "otherlab").mkdir(),
            lambda root: shutil.rmtree(root / SESSION / "raw"),
            shutil.rmtree,
        ],
    )
    def test_what_comes_goes_or_is_renamed_is_seen(self, root: Path, act: Callable[[Path], object]) -> None:
        folders = self.seen(root)
        act(root)
        assert changed(root, folders)

    def test_what_no_scan_looks_at_is_not(self, root: Path) -> None:
        folders = self.seen(root)
        (root / ".git/index").write_bytes(b"")
        assert not changed(root, folders)

    def test_a_folder_that_had_changed_just_before_counts_as_changed(self, root: Path) -> None:
        os.utime(root / SESSION / "raw")
        assert changed(root, self.seen(root))

    @posix
    def test_a_link_to_nothing_may_lead_somewhere_by_the_next_time(self, root: Path) -> None:
        (root / SESSION / "raw/gone.a.npy").symlink_to("nowhere")
        self.rest(root)
        assert changed(root, self.seen(root))

    @posix
    def test_names_that_are_no_text_are_found_again(self, root: Path) -> None:
        Path(os.fsdecode(os.fsencode(root / SESSION) + b"/bad\xff\n")).mkdir()
        self.rest(root)
        assert not changed(root, self.seen(root))

    @pytest.mark.parametrize("record", [b"", b"\0x\0", b"lab\0\0", b"gone\0005\0", b"rest"])
    def test_a_record_that_is_none_is_not_believed(self, root: Path, record: bytes) -> None:
        assert changed(root, record)

    def test_of_many_folders_the_record_is_small(self, tmp_path: Path) -> None:
        for number in range(1000):
            (tmp_path / f"lab/Subjects/mouse_{number:04}").mkdir(parents=True)
        assert len(self.seen(tmp_path)) < 1000 * 60
