"""The file behind an index: whatever became of it, an answer is right, or the file is called damaged."""

from __future__ import annotations

import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from onelight.alf import Pattern, Session
from onelight.errors import DamagedIndex
from onelight.index import Entry, Index
from onelight.index.building import Builder
from onelight.index.catalogue import APPLICATION, SCHEMA

PAGE = 16384
SESSIONS = [f"lab/Subjects/{subject}/2016-12-{day}/001" for subject in "abc" for day in range(10, 30)]
NAMES = [*(f"alf/spikes.a{number}.npy" for number in range(8)), "alf/#2024#/_ibl_trials.é.npy", "notes.txt"]
posix = pytest.mark.skipif(os.name != "posix", reason="files of POSIX")


def entries() -> Iterator[Entry]:
    chance = random.Random(5)
    for session in SESSIONS:
        for name in NAMES:
            if chance.random() < 0.7:
                size = chance.randrange(1 << 20) if session < "lab/Subjects/c" or "notes" not in name else None
                yield Entry(f"{session}/{name}", f"https://a.org/{chance.randrange(1 << 40)}", size, "0" * 32)


def answers(index: Index) -> list[object]:
    """Ask everything that can be asked."""
    return [
        (len(index), index.remarks, index.fact("source"), index.fact("stamp"), index.fact("base")),
        list(index),
        index.sessions,
        index.search(),
        index.search([Pattern("spikes.a1")], without=[Pattern("notes.txt")], subject=["a", "c"]),
        index.search(any_of=[Pattern("trials"), Pattern("a.b")], date_range=("2016-12-20", None)),
        index.occurs(Pattern("trials.é")),
        index.terms(),
        index.by_session(),
        index.by_subject(),
        index.by_object(),
        index.by_object(SESSIONS[::3]),
        [index.find_session(Session.parse(session)) for session in (*SESSIONS, "lab/Subjects/d/2016-12-14/1")],
        [index.select(session, Pattern("spikes")) for session in SESSIONS],
        [index.get(f"{session}/{name}") for session in reversed(SESSIONS) for name in NAMES],
    ]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of several segments and blocks, in a file."""
    path = tmp_path_factory.mktemp("index") / "index"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onelight.index.building.SEGMENT", 16)
        patch.setattr("onelight.index.building._BLOCK", 5000)
        facts = {"source": "http https://a.org", "stamp": '{"If-None-Match": "x"}', "base": '"https://a.org/data"'}
        Index.build(entries(), ["row 5 is left out"], path=path, facts=facts).close()
    return path


@pytest.fixture(scope="module")
def right(original: Path) -> list[object]:
    index = Index.open(original)
    found = answers(index)
    index.close()
    return found


def outcome(path: Path, right: list[object]) -> str:
    """Ask everything, and say what came of it: right, damaged, or something worse."""
    try:
        index = Index.open(path)
    except DamagedIndex as error:
        return "damaged" if error.hint else "without a hint"
    try:
        found = answers(index)
    except DamagedIndex:
        return "damaged"
    finally:
        index.close()
    return "right" if found == right else "wrong"


def test_every_question_is_answered_from_the_file(original: Path, right: list[object]) -> None:
    assert outcome(original, right) == "right"
    assert original.stat().st_size > 4 * PAGE
    assert list(original.parent.iterdir()) == [original], "nothing beside it: no journal, no shared memory"
    assert right[1] == sorted(entries(), key=lambda entry: entry.path)


def test_a_file_that_is_cut_is_damaged_wherever_it_ends(original: Path, tmp_path: Path, right: list[object]) -> None:
    content = original.read_bytes()
    chance = random.Random(1)
    lengths = {*range(0, len(content), PAGE), *range(110), len(content) - 1}
    lengths |= {chance.randrange(len(content)) for _ in range(60)}
    for length in sorted(lengths):
        (tmp_path / "index").write_bytes(content[:length])
        assert outcome(tmp_path / "index", right) == "damaged", length
    for more in (b"\0", b"x" * PAGE):
        (tmp_path / "index").write_bytes(content + more)
        assert outcome(tmp_path / "index", right) == "damaged"


def test_what_a_power_failure_leaves_is_damaged_or_right(original: Path, tmp_path: Path, right: list[object]) -> None:
    """Of the full length, but some pages were never written."""
    content = original.read_bytes()
    pages = len(content) // PAGE
    chance = random.Random(2)
    lost = [{page} for page in range(pages)] + [set(chance.sample(range(pages), 2)) for _ in range(40)]
    for which in lost:
        changed = bytearray(content)
        for page in which:
            changed[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
        (tmp_path / "index").write_bytes(changed)
        assert outcome(tmp_path / "index", right) == "damaged", which
    for _ in range(40):  # or are those of another place
        one, other = chance.sample(range(pages), 2)
        changed = bytearray(content)
        changed[one * PAGE : (one + 1) * PAGE] = content[other * PAGE : (other + 1) * PAGE]
        (tmp_path / "index").write_bytes(changed)
        assert outcome(tmp_path / "index", right) == "damaged", (one, other)


@pytest.mark.parametrize("where", ["heads", "tails", "anywhere"])
@pytest.mark.parametrize("seed", range(3))
def test_a_byte_that_is_another_is_found_or_means_nothing(
    original: Path, tmp_path: Path, right: list[object], where: str, seed: int
) -> None:
    content = original.read_bytes()
    chance = random.Random(f"{where} {seed}")
    written = [place for place, byte in enumerate(content) if byte]
    heads = [place for place in written if place % PAGE < 120]
    tails = [place for place in written if place % PAGE > PAGE - 80 or place < 700]
    places = {"heads": heads, "tails": tails, "anywhere": written}[where]
    wrong = []
    for _ in range(200):
        place = chance.choice(places)
        changed = bytearray(content)
        changed[place] ^= chance.choice([1, 2, 4, 8, 16, 32, 64, 128, 255])
        (tmp_path / "index").write_bytes(changed)
        try:
            found = outcome(tmp_path / "index", right)
        except Exception as error:  # noqa: BLE001 - told with the byte that led to it
            found = repr(error)
        if found not in ("right", "damaged"):
            wrong.append((place // PAGE, place % PAGE, content[place], changed[place], found))
    assert wrong == []


def test_every_byte_of_the_texts_and_numbers_that_are_small_is_looked_after(
    original: Path, tmp_path: Path, right: list[object]
) -> None:
    """Names of facts, first sessions, numbers of rows: what lies beside what is long."""
    content = original.read_bytes()
    words = [b"source", b"stamp", b"base", b"rows", b"sessions", b"remarks", b"lab/Subjects/b/2016-12-22/001"]
    wrong = []
    for word in words:
        place = content.find(word)
        while place >= 0:
            for shift in (*range(-12, 0), 0, len(word) - 1, len(word)):
                changed = bytearray(content)
                changed[place + shift] ^= 1
                (tmp_path / "index").write_bytes(changed)
                try:
                    found = outcome(tmp_path / "index", right)
                except Exception as error:  # noqa: BLE001 - told with the byte that led to it
                    found = repr(error)
                if found not in ("right", "damaged"):
                    wrong.append((word, place, shift, found))
            place = content.find(word, place + 1)
    assert wrong == []


def other_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE segments (id INTEGER PRIMARY KEY, first TEXT)")
    connection.commit()
    connection.close()


def disguised(path: Path) -> None:
    other_database(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.close()


FOREIGN: dict[str, Callable[[Path], object]] = {
    "empty": Path.touch,
    "text": lambda path: path.write_text("lab/Subjects/a/2016-12-14/001/alf/a.b.npy\n" * 1000),
    "zeros": lambda path: path.write_bytes(bytes(4 * PAGE)),
    "only the first words": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "another database": other_database,
    "a database in disguise": disguised,
    "an empty database": lambda path: sqlite3.connect(path).executescript("VACUUM").connection.close(),
    "a folder": Path.mkdir,
    "a link to nothing": lambda path: path.symlink_to(path.parent / "nothing"),
    "a link to itself": lambda path: path.symlink_to(path),
}


@posix
@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_file_is_no_index(tmp_path: Path, what: str) -> None:
    FOREIGN[what](tmp_path / "index")
    with pytest.raises(OSError):  # noqa: PT011 - DamagedIndex, or that it cannot be opened
        Index.open(tmp_path / "index")


@posix
@pytest.mark.parametrize("what", ["a pipe", "a socket", "a device"])
def test_what_is_no_file_is_no_index_and_nobody_waits_for_it(tmp_path: Path, what: str) -> None:
    path = tmp_path / "index"
    if what == "a pipe":
        os.mkfifo(path)
    elif what == "a device":
        path = Path("/dev/zero")
    else:
        os.chdir(tmp_path)  # the name of a socket may not be long
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("index")
        listener.close()
    program = "import sys; from pathlib import Path; from onelight.index import Index; Index.open(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, timeout=20, check=False
    )
    assert "DamagedIndex" in done.stderr or "OSError" in done.stderr


@pytest.mark.parametrize("version", [0, SCHEMA - 1, SCHEMA + 1, 1 << 30])
def test_an_index_of_another_version_is_not_used(original: Path, tmp_path: Path, version: int) -> None:
    path = Path(shutil.copy(original, tmp_path / "index"))
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(DamagedIndex, match="another program or version"):
        Index.open(path)


def test_an_index_is_read_where_nothing_can_be_written(original: Path, tmp_path: Path, right: list[object]) -> None:
    folder = tmp_path / "a folder?mode=rw#x%20é"
    folder.mkdir()
    path = Path(shutil.copy(original, folder / "index"))
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        before = path.stat()
        assert outcome(path, right) == "right"
        assert [item.name for item in folder.iterdir()] == ["index"]
        assert path.stat().st_mtime_ns == before.st_mtime_ns
    finally:
        folder.chmod(0o755)


def test_an_index_needs_no_lock_and_nothing_beside_it(original: Path, tmp_path: Path, right: list[object]) -> None:
    path = Path(shutil.copy(original, tmp_path / "index"))
    for name in ("index-journal", "index-wal", "index-shm"):
        (tmp_path / name).write_bytes(b"left by somebody" * 100)
    assert outcome(path, right) == "right"
    for name in ("index-journal", "index-wal", "index-shm"):
        (tmp_path / name).unlink()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert outcome(path, right) == "right"
    other.close()


def test_an_index_whose_file_is_replaced_or_removed_goes_on_as_it_was(
    original: Path, tmp_path: Path, right: list[object]
) -> None:
    path = Path(shutil.copy(original, tmp_path / "index"))
    index = Index.open(path)
    Index.build([Entry("lab/Subjects/z/2016-12-14/001/a.b.npy")], path=tmp_path / "new").close()
    if os.name == "posix":
        (tmp_path / "new").replace(path)
    assert answers(index) == right
    if os.name == "posix":
        path.unlink()
    assert answers(index) == right
    index.close()


def test_eight_threads_ask_one_index(original: Path, right: list[object]) -> None:
    index = Index.open(original)
    begin = threading.Barrier(8)

    def ask(_: int) -> list[list[object]]:
        begin.wait()
        return [answers(index) for _ in range(6)]

    with ThreadPoolExecutor(8) as pool:
        found: list[Any] = list(pool.map(ask, range(8)))
    index.close()
    assert all(one == right for each in found for one in each)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("kept", ["a file", "memory"])
def test_a_forked_child_asks_the_index_of_its_parent(original: Path, kept: str) -> None:
    """In a process of its own: to fork one in which other tests left threads is no good idea."""
    program = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_index_file import answers, entries
from onelight.index import Index

index = Index.open(Path(sys.argv[2])) if sys.argv[3] == "a file" else Index(entries())
index.terms()
children = []
for number in range(8):
    child = os.fork()
    if not child:
        right = all(answers(index)[1:5] == answers(index)[1:5] and len(list(index)) == len(index) for _ in range(3))
        if number % 2:
            index.close()
            os._exit(0 if right else 1)
        sys.exit(0 if right else 1)
    children.append(child)
before = answers(index)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert codes == [0] * 8, codes
assert answers(index) == before
assert before[1] == sorted(entries(), key=lambda entry: entry.path)
"""
    arguments = [sys.executable, "-c", program, str(Path(__file__).parent), str(original), kept]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_that_is_forked_while_threads_ask_can_ask_too(original: Path) -> None:
    program = """
import os, sys, threading, time, warnings
from pathlib import Path
warnings.simplefilter("ignore", DeprecationWarning)  # of forks in processes with threads: the point of this test
sys.path.insert(0, sys.argv[1])
from test_index_file import SESSIONS
from onelight.index import Index

index = Index.open(Path(sys.argv[2]))
index._catalogue._room = 0  # each question reads the file again
stop = threading.Event()
def ask():
    while not stop.is_set():
        index.select(SESSIONS[3])
        index.select(SESSIONS[40])
threads = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
for number in range(30):
    child = os.fork()
    if not child:
        os._exit(0 if len(index.select(SESSIONS[10])) > 0 else 1)
    end = time.monotonic() + 10
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(child, 9)
            os.waitpid(child, 0)
            print("the child waits for ever", number)
            os._exit(3)
        time.sleep(0.001)
    assert done[1] == 0
stop.set()
"""
    arguments = [sys.executable, "-c", program, str(Path(__file__).parent), str(original)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_file_without_a_note_that_every_index_has_is_damaged(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "index")
    builder.finish({"remarked": ""}).close()
    with pytest.raises(DamagedIndex):
        Index.open(tmp_path / "index")
