"""How a tree of files grows, on a tree that is a local folder: what no server has to be asked for."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from contract import CLUSTERS, ELSEWHERE, TIMES

from onelight import owners
from onelight.errors import ChecksumMismatch, NotFound, RepositoryError, SizeMismatch
from onelight.index import DATASETS_NAME, INDEX_NAME, Entry, Index
from onelight.kinds import growing
from onelight.kinds.growing import MARK, Growing
from onelight.kinds.tree import Held, NoMove, Taken, Tree, is_part
from onelight.tables import read_tables

URL = "https://a.org/data"
OLD = time.time() - 5000


class FolderTree(Tree):
    """A local folder, which renames or does not."""

    def __init__(self, root: Path, *, renames: bool = True) -> None:
        self.root, self.renames = root, renames
        self.written: list[str] = []

    def url(self, path: str) -> str:
        return f"{URL}/{path}"

    def held(self, path: str) -> Held:
        found = (self.root / path).stat()
        return Held(path, found.st_size, str(found.st_mtime_ns), None, found.st_mtime)

    def walk(self) -> Iterator[Held]:
        for file in sorted(self.root.rglob("*")):
            if file.is_file():
                yield self.held(file.relative_to(self.root).as_posix())

    def look(self, folder: str) -> dict[str, Held]:
        files = [file for file in (self.root / folder).glob("*") if file.is_file()]
        return {path: self.held(path) for path in (file.relative_to(self.root).as_posix() for file in files)}

    def age(self, path: str) -> float | None:
        file = self.root / path
        return time.time() - file.stat().st_mtime if file.exists() else None

    def read(self, path: str) -> IO[bytes] | None:
        file = self.root / path
        return io.BytesIO(file.read_bytes()) if file.is_file() else None

    def md5(self, path: str) -> str:
        return hashlib.md5((self.root / path).read_bytes()).hexdigest()

    def make(self, folder: str) -> None:
        (self.root / folder).mkdir(parents=True, exist_ok=True)

    def write(self, path: str, source: Path, entry: Entry, told: Callable[[int], None]) -> bool:
        content = source.read_bytes()
        if hashlib.md5(content).hexdigest() != entry.md5:
            raise ChecksumMismatch("it changed")
        (self.root / path).write_bytes(content)
        self.written.append(path)
        return False

    def write_over(self, path: str, source: Path, entry: Entry, told: Callable[[int], None], old: Held | None) -> bool:
        self.compare(path, old)
        return self.write(path, source, entry, told)

    def compare(self, path: str, old: Held | None) -> None:
        if (self.held(path) if (self.root / path).exists() else None) != old:
            raise Taken(path)

    def move(self, path: str, target: str, old: Held | None) -> None:
        if not self.renames:
            raise NoMove("no")
        if not (self.root / path).exists():
            raise NotFound(path)
        self.compare(target, old)
        (self.root / path).replace(self.root / target)

    def remove(self, path: str) -> None:
        file = self.root / path
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)

    def claim(self, mark: str, token: str) -> str | None:
        try:
            with (self.root / mark).open("x") as stream:
                stream.write(token)
        except FileExistsError:
            return (self.root / mark).read_text() or None
        return token

    def holder(self, mark: str) -> str | None:
        file = self.root / mark
        return (file.read_text() or None) if file.exists() else None

    def release(self, mark: str, token: str) -> None:
        if (self.holder(mark) or "") == token:
            (self.root / mark).unlink(missing_ok=True)

    def room(self) -> int | None:
        return None


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    root.mkdir()
    return root


class Stopwatch:
    def __init__(self) -> None:
        self.waited = 0.0

    def __call__(self, seconds: float) -> None:
        self.waited += seconds


def writer(root: Path, *, renames: bool = True, wait: Callable[[float], None] = lambda _: None) -> Growing:
    return Growing(FolderTree(root, renames=renames), "store", "this store", wait)


def send(one: Growing, folder: Path, path: str, content: bytes) -> Entry:
    source = folder / hashlib.md5(content).hexdigest()
    source.write_bytes(content)
    entry = Entry(path, size=len(content), md5=hashlib.md5(content).hexdigest())
    return one.send(entry, source, lambda _: None)()


def share(one: Growing, folder: Path, **files: bytes) -> bool:
    stored = {entry.path: entry for entry in one.stored()}
    for name, content in files.items():
        path = {"times": TIMES, "clusters": CLUSTERS, "elsewhere": ELSEWHERE}[name]
        stored[path] = send(one, folder, path, content)
    return one.write_index(Index(stored.values()))


def files_of(root: Path) -> list[str]:
    return sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())


def rows(root: Path) -> dict[str, tuple[int | None, str | None]]:
    return {row.path: (row.size, row.md5) for row in read_tables(root / DATASETS_NAME)}


def test_a_mark_of_another_computer_is_waited_for_and_then_told(root: Path, tmp_path: Path) -> None:
    (root / MARK).write_text("0123456789ab-12-00000000")
    wait = Stopwatch()
    with pytest.raises(RepositoryError, match="somebody else is finishing an upload"):
        share(writer(root, wait=wait), tmp_path, times=b"1")
    assert wait.waited >= growing.PATIENCE
    assert (root / MARK).exists()
    assert not (root / INDEX_NAME).exists()


def test_a_mark_of_another_computer_that_is_old_is_taken_away(root: Path, tmp_path: Path) -> None:
    (root / MARK).write_text("0123456789ab-12-00000000")
    os.utime(root / MARK, (OLD, OLD))
    assert share(writer(root), tmp_path, times=b"1")
    assert not (root / MARK).exists()


def test_a_mark_of_a_process_here_that_has_ended_is_taken_away_at_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / MARK).write_text(dead := f"{owners.owner().rpartition('-')[0].rpartition('-')[0]}-{2**22 + 1}-00000000")
    assert owners.is_alive(dead) is False
    assert share(writer(root), tmp_path, times=b"1")


def test_a_mark_without_a_name_is_taken_away_after_a_while(root: Path, tmp_path: Path) -> None:
    (root / MARK).write_text("")
    with pytest.raises(RepositoryError, match="finishing"):
        share(writer(root), tmp_path, times=b"1")
    os.utime(root / MARK, (OLD, OLD))
    assert share(writer(root), tmp_path, times=b"1")


def test_a_mark_goes_where_the_commit_fails(root: Path, tmp_path: Path) -> None:
    one = writer(root)
    entry = send(one, tmp_path, TIMES, b"1")
    (root / INDEX_NAME).write_text(f"{ELSEWHERE}\n")
    with pytest.raises(Taken, match="somebody else has shared"):
        one.write_index(Index([entry]))
    assert files_of(root) == [INDEX_NAME, TIMES]
    assert share(writer(root), tmp_path)
    assert (root / INDEX_NAME).read_text() == f"{TIMES}\n"


def test_what_the_index_has_elsewhere_stays_with_its_address(root: Path, tmp_path: Path) -> None:
    (root / INDEX_NAME).write_text(f"{ELSEWHERE}\thttps://example.org/x.npy\n")
    assert share(writer(root), tmp_path, times=b"1")
    assert (root / INDEX_NAME).read_text() == f"{TIMES}\n{ELSEWHERE}\thttps://example.org/x.npy\n"


def test_a_file_that_is_younger_than_the_tables_is_not_what_they_say(root: Path, tmp_path: Path) -> None:
    share(writer(root), tmp_path, times=b"12", clusters=b"34")
    (root / CLUSTERS).write_bytes(b"56")
    later = (root / DATASETS_NAME).stat().st_mtime + 100
    os.utime(root / CLUSTERS, (later, later))
    known = {entry.path: entry.md5 for entry in writer(root).stored()}
    assert known == {TIMES: hashlib.md5(b"12").hexdigest(), CLUSTERS: None}


def test_another_computer_knows_by_the_tables(root: Path, tmp_path: Path, config_dir: Path) -> None:
    share(writer(root), tmp_path, times=b"12")
    for file in config_dir.glob("receipts*"):
        file.unlink()
    assert writer(root).stored()[TIMES].md5 == hashlib.md5(b"12").hexdigest()


def test_what_nobody_knows_is_read_back_and_not_sent(
    root: Path, tmp_path: Path, write_files: Callable[..., None]
) -> None:
    write_files(root, TIMES)
    one = writer(root)
    content = (root / TIMES).read_bytes()
    assert one.stored()[TIMES].md5 is None
    [note] = one.room([Entry(TIMES, size=len(content))]).notes
    assert "read back" in note
    assert share(one, tmp_path, times=content)
    assert not [path for path in one._tree.written if not is_part(path)]  # type: ignore[attr-defined]
    assert all("/" not in path for path in one._tree.written), "tables and index only"  # type: ignore[attr-defined]


def test_what_replaces_waits_and_is_known_to_the_next_process(root: Path, tmp_path: Path) -> None:
    share(writer(root), tmp_path, times=b"old")
    send(writer(root), tmp_path, TIMES, b"new")
    assert (root / TIMES).read_bytes() == b"old"
    one = writer(root)
    assert one.stored()[TIMES].md5 == hashlib.md5(b"new").hexdigest()
    assert share(one, tmp_path)
    assert (root / TIMES).read_bytes() == b"new"
    assert rows(root) == {TIMES: (3, hashlib.md5(b"new").hexdigest())}
    assert not [path for path in files_of(root) if is_part(path)]


def test_what_waits_and_is_not_wanted_any_more_goes(root: Path, tmp_path: Path) -> None:
    share(writer(root), tmp_path, times=b"old")
    send(writer(root), tmp_path, TIMES, b"new")
    assert share(writer(root), tmp_path, times=b"old") is False
    assert not [path for path in files_of(root) if is_part(path)]
    assert (root / TIMES).read_bytes() == b"old"


def test_where_nothing_is_renamed_the_tables_still_say_what_is_there(
    root: Path, tmp_path: Path, notes: list[str]
) -> None:
    share(writer(root, renames=False), tmp_path, times=b"old")
    share(writer(root, renames=False), tmp_path, times=b"newer")
    assert (root / TIMES).read_bytes() == b"newer"
    assert rows(root) == {TIMES: (5, hashlib.md5(b"newer").hexdigest())}
    assert any("renames no files" in str(note) for note in notes)


def test_what_others_have_half_sent_is_named_and_goes_when_asked_for(root: Path, tmp_path: Path) -> None:
    one = writer(root)
    share(one, tmp_path, times=b"1")
    part = root / TIMES.replace("spikes.times.npy", "0123456789abcdef.onelight")
    part.write_bytes(b"half")
    nginx = part.with_name(part.name + ".0000000007")
    nginx.write_bytes(b"half")
    one.stored()
    left = one.leftovers()
    assert [leftover.path for leftover in left] == sorted(file.relative_to(root).as_posix() for file in (part, nginx))
    assert [entry.path for entry in one.stored()] == [TIMES]
    one.clean(left)
    assert not part.exists()
    assert not nginx.exists()


def test_a_file_that_is_sent_and_does_not_show_is_an_error(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = writer(root)
    one.stored()
    monkeypatch.setattr(one._tree, "look", lambda folder: {})
    with pytest.raises(RepositoryError, match="does not show it"):
        send(one, tmp_path, TIMES, b"1")


# What a review found


def test_what_waits_is_out_of_date_once_somebody_else_has_replaced_its_file(root: Path, tmp_path: Path) -> None:
    share(writer(root), tmp_path, times=b"v1")
    send(writer(root), tmp_path, TIMES, b"v2")
    (root / TIMES).write_bytes(b"v3!")
    one = writer(root)
    assert one.stored()[TIMES].size == 3
    share(one, tmp_path, clusters=b"another file")
    assert (root / TIMES).read_bytes() == b"v3!"


def test_of_two_contents_that_wait_the_later_one_is_committed(root: Path, tmp_path: Path) -> None:
    share(writer(root), tmp_path, times=b"v1")
    send(writer(root), tmp_path, TIMES, b"v2")
    one = writer(root)
    share(one, tmp_path, times=b"v3")
    assert (root / TIMES).read_bytes() == b"v3"
    assert share(writer(root), tmp_path) is False
    assert not [path for path in files_of(root) if is_part(path)]


def test_what_a_plan_did_not_see_is_not_left_out_by_it(root: Path, tmp_path: Path) -> None:
    one = writer(root)
    share(one, tmp_path, times=b"1")
    seen = one.stored()
    share(one, tmp_path, clusters=b"2")
    entries = sorted([*seen, send(one, tmp_path, ELSEWHERE, b"3")], key=lambda entry: entry.path)
    with pytest.raises(Taken, match="somebody else has shared"):
        one.write_index(Index.build(entries, facts={"seen": seen.fact("seen")}))
    assert CLUSTERS in (root / INDEX_NAME).read_text()


def test_what_is_discarded_leaves_what_it_was_to_replace(root: Path, tmp_path: Path) -> None:
    one = writer(root)
    share(one, tmp_path, times=b"old", clusters=b"1")
    one.discard(send(one, tmp_path, TIMES, b"new"))
    assert (root / TIMES).read_bytes() == b"old"
    one.discard(send(one, tmp_path, ELSEWHERE, b"new"))
    assert not (root / ELSEWHERE).exists()


def test_a_file_that_somebody_has_changed_is_not_deleted(root: Path, tmp_path: Path, notes: list[str]) -> None:
    one = writer(root)
    share(one, tmp_path, times=b"old")
    entry = one.stored()[TIMES]
    (root / TIMES).write_bytes(b"of somebody else")
    one.delete(entry)
    assert (root / TIMES).read_bytes() == b"of somebody else"
    assert any("somebody has changed it" in str(note) for note in notes)


def test_after_the_commit_the_index_has_no_temporary_address(root: Path, tmp_path: Path) -> None:
    one = writer(root)
    share(one, tmp_path, times=b"old")
    index = Index([send(one, tmp_path, TIMES, b"new")])
    assert is_part(index[TIMES].url)
    one.write_index(index)
    assert one.settled(index)[TIMES].url == one.committed()[TIMES].url == f"{URL}/{TIMES}"


def test_a_commit_that_was_broken_off_makes_the_tables_doubtful(root: Path, tmp_path: Path, config_dir: Path) -> None:
    share(writer(root), tmp_path, times=b"old")
    for file in config_dir.glob("receipts*"):
        file.unlink()
    (root / MARK).write_text("0123456789ab-12-00000000")
    os.utime(root / MARK, (OLD, OLD))
    one = writer(root)
    assert one.stored()[TIMES].md5 is None
    share(one, tmp_path, times=b"old", clusters=b"1")
    assert not (root / MARK).exists()
    assert writer(root).stored()[TIMES].md5 == hashlib.md5(b"old").hexdigest()


def test_a_commit_that_broke_off_since_the_lists_were_read_is_told(root: Path, tmp_path: Path) -> None:
    one = writer(root)
    one.stored()
    entry = send(one, tmp_path, TIMES, b"1")
    (root / MARK).write_text("0123456789ab-12-00000000")
    os.utime(root / MARK, (OLD, OLD))
    with pytest.raises(Taken, match="in the middle of its commit"):
        one.write_index(Index([entry]))
    assert share(writer(root), tmp_path)


def test_a_mark_that_this_process_has_forgotten_is_dead(root: Path, tmp_path: Path) -> None:
    (root / MARK).write_text(owners.owner())
    assert share(writer(root), tmp_path, times=b"1")


def test_a_mark_that_cannot_be_removed_is_no_failure_of_the_commit(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str]
) -> None:
    def refuse(mark: str, token: str) -> None:
        raise RepositoryError("403")

    one = writer(root)
    monkeypatch.setattr(one._tree, "release", refuse)
    assert share(one, tmp_path, times=b"1")
    assert any(MARK in str(note) for note in notes)


def test_a_commit_whose_mark_was_taken_away_does_not_go_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = writer(root)
    monkeypatch.setattr(one._tree, "holder", lambda mark: "somebody else")
    with pytest.raises(Taken, match="took so long"):
        share(one, tmp_path, times=b"1")
    assert not (root / INDEX_NAME).exists()


def test_a_server_that_keeps_nothing_of_what_it_takes_is_asked_twice_and_no_more(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = writer(root)
    sent: list[str] = []
    monkeypatch.setattr(one._tree, "write", lambda path, *rest: bool(sent.append(path)))
    with pytest.raises(RepositoryError, match="not there under its temporary name"):
        send(one, tmp_path, TIMES, b"1")
    assert len(sent) == 2


def test_a_rename_that_did_nothing_is_not_committed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = writer(root)
    share(one, tmp_path, times=b"old")
    entry = send(one, tmp_path, TIMES, b"newer")
    before = (root / INDEX_NAME).read_bytes(), rows(root)
    monkeypatch.setattr(one._tree, "move", lambda path, target, old: None)
    with pytest.raises(RepositoryError, match="does not show it so"):
        one.write_index(Index([entry]))
    assert ((root / INDEX_NAME).read_bytes(), rows(root)) == before


def test_where_no_size_is_told_the_content_is_read_back(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = writer(root)
    look = one._tree.look
    monkeypatch.setattr(
        one._tree, "look", lambda folder: {path: held._replace(size=None) for path, held in look(folder).items()}
    )
    send(one, tmp_path, TIMES, b"1")
    monkeypatch.setattr(one._tree, "md5", lambda path: "0" * 32)
    with pytest.raises(SizeMismatch, match="the server has"):
        send(one, tmp_path, CLUSTERS, b"2")


def test_what_a_living_process_is_about_to_commit_is_its_own(root: Path, tmp_path: Path) -> None:
    share(writer(root), tmp_path, times=b"old")
    script = (
        "import sys, time; sys.path[:0] = sys.argv[1:3]\n"
        "from pathlib import Path; from test_growing import TIMES, send, writer\n"
        "send(writer(Path(sys.argv[3])), Path(sys.argv[4]), TIMES, b'theirs')\n"
        "print('sent', flush=True); time.sleep(60)"
    )
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", script, *folders, str(root), str(theirs)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "sent\n"
        one = writer(root)
        assert one.stored()[TIMES].size == 3
        assert one.leftovers() == []
        share(one, tmp_path, clusters=b"1")
        assert [path for path in files_of(root) if is_part(path)], "theirs is not removed"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
