"""The index that is kept: when the repository is asked, what answers where it cannot be, and who sees which version."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from servers import Exchange, Fault, Good, WebServer, formatted_date, free_port, status

from onelight.alf import Pattern
from onelight.api import One
from onelight.client import Client, Limits
from onelight.config import Config
from onelight.current import KEPT_INDEX, CurrentIndex
from onelight.errors import (
    AccessDenied,
    AlfError,
    DamagedIndex,
    OneError,
    RepositoryNotFound,
    SessionNotFound,
    Unreachable,
    UnsafeData,
)
from onelight.index import INDEX_NAME, Entry, Index
from onelight.index.catalogue import SCHEMA
from onelight.kinds.http import HttpRepository
from onelight.kinds.local import LocalRepository

ROOT = f"/data/{INDEX_NAME}"
QUICK = Limits(connect=5, idle=1, attempts=1, pause=0.01, longest_wait=5)
HOUR = 3600.0
posix = pytest.mark.skipif(os.name != "posix", reason="files and signals of POSIX")


def rows(subject: str, sessions: int = 3) -> bytes:
    """Return the index of some sessions of a subject."""
    return b"".join(
        f"lab/Subjects/{subject}/2016-12-{day + 10}/001/alf/{name}.times.npy\n".encode()
        for day in range(sessions)
        for name in ("spikes", "trials")
    )


def subjects(index: Index) -> list[str]:
    return index.terms().subject


def dated(moments: Sequence[float]) -> Fault:
    """Answer as a server that knows times and no ETags; the file changes where the next of these is another."""
    left = list(moments)

    def fault(exchange: Exchange) -> None:
        modified = formatted_date(left.pop(0) if len(left) > 1 else left[0])
        if exchange.request.headers.get("if-modified-since") == modified:
            exchange.head(304, {"Last-Modified": modified})
        else:
            body = b"".join(exchange.read(0, exchange.size))
            exchange.answer(200, body, {"Last-Modified": modified})

    return fault


class Place:
    """A server, a data folder, and those who ask the one through the other."""

    def __init__(self, server: WebServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.kept = folder / KEPT_INDEX
        self._clients: list[Client] = []

    def share(self, content: bytes) -> None:
        self.server.files[ROOT] = content

    def repository(self, address: str = "", **options: str) -> HttpRepository:
        self._clients.append(Client(limits=QUICK))
        return HttpRepository("web", address or f"{self.server.url}/data", self._clients[-1], **options)

    def current(self, *, max_age: float = 600, offline: bool = False) -> CurrentIndex:
        """Another process, as far as the index goes."""
        return CurrentIndex(self.repository(), self.folder, max_age=max_age, offline=offline)

    def asked(self) -> list[tuple[str, int]]:
        """Return what the server was asked since the last time."""
        seen = [(request.method, request.status) for request in self.server.requests]
        self.server.requests.clear()
        return seen

    def age(self, seconds: float, current: CurrentIndex | None = None) -> None:
        """Let the index have been asked for so long ago."""
        before = time.time() - seconds
        if self.kept.exists():
            os.utime(self.kept, (before, before))
        if current is not None:
            current._checked = before

    def checked(self) -> float:
        """Return how long ago the repository was asked, as the file says."""
        return time.time() - self.kept.stat().st_mtime

    def others(self) -> list[str]:
        """Return what lies beside the index and its lock."""
        return sorted({item.name for item in self.folder.iterdir()} - {KEPT_INDEX, f"{KEPT_INDEX}.lock"})

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with WebServer() as server:
        there = Place(server, tmp_path / "data folder é" / "web")
        there.share(rows("A"))
        yield there
        there.close()


@pytest.fixture
def one(place: Place, add_repository: Callable[..., str]) -> One:
    add_repository("web", "http", base_url=f"{place.server.url}/data")
    return One()


class TestWhenTheRepositoryIsAsked:
    def test_within_its_age_nobody_is_asked(self, place: Place) -> None:
        first = place.current()
        assert first.ask(subjects) == ["A"]
        assert place.asked() == [("GET", 200)]
        place.share(rows("B"))
        for current in (first, place.current(), place.current()):
            assert current.ask(subjects) == ["A"]
            assert current.ask(len) == 6
        place.age(599)
        assert place.current().ask(subjects) == ["A"]
        assert place.asked() == []
        assert place.others() == []

    @pytest.mark.parametrize("etag", ["strong", "weak"])
    @pytest.mark.parametrize("who", ["the same process", "another process"])
    def test_after_its_age_one_question_with_the_etag_renews_it(self, place: Place, etag: str, who: str) -> None:
        place.server.etag = etag
        current = place.current()
        before = current.get()
        number = place.kept.stat().st_ino
        place.age(HOUR, current)
        place.asked()
        asking = current if who == "the same process" else place.current()
        assert asking.ask(subjects) == ["A"]
        assert asking.ask(subjects) == ["A"]
        assert place.server.requests[0].headers["if-none-match"] == place.server.etag_of(rows("A"))
        assert place.asked() == [("GET", 304)]
        assert place.checked() < 5
        assert place.kept.stat().st_ino == number, "nothing was written"
        assert (asking.get() is before) == (asking is current)
        assert place.current().ask(subjects) == ["A"]
        assert place.asked() == []

    @pytest.mark.parametrize("etag", ["strong", "weak", "none"])
    @pytest.mark.parametrize("who", ["the same process", "another process"])
    def test_after_its_age_what_is_new_is_fetched(self, place: Place, etag: str, who: str) -> None:
        place.server.etag = etag
        current = place.current()
        current.get()
        place.share(rows("B"))
        place.age(HOUR, current)
        place.asked()
        asking = current if who == "the same process" else place.current()
        assert asking.ask(subjects) == ["B"]
        assert place.asked() == [("GET", 200)]
        assert place.current().ask(subjects) == ["B"]
        assert place.asked() == []
        assert place.checked() < 5
        assert place.others() == []

    def test_a_server_that_knows_times_only_is_asked_with_the_time(self, place: Place) -> None:
        settled = time.time() - HOUR
        place.server.faults[ROOT] = [dated([settled, settled, settled + 60])]
        current = place.current()
        for wanted in (200, 304, 200, 304):
            place.age(HOUR, current)
            assert current.ask(subjects) == ["A"]
            assert place.asked() == [("GET", wanted)]

    def test_a_time_of_this_very_second_is_not_relied_on(self, place: Place) -> None:
        place.server.faults[ROOT] = [dated([time.time()])]
        current = place.current()
        current.get()
        place.age(HOUR, current)
        current.get()
        assert "if-modified-since" not in place.server.requests[1].headers
        assert place.asked() == [("GET", 200), ("GET", 200)]

    def test_a_server_that_knows_neither_is_asked_for_all(self, place: Place) -> None:
        place.server.etag = "none"
        current = place.current()
        for _ in range(3):
            place.age(HOUR, current)
            assert current.ask(subjects) == ["A"]
            assert not {"if-none-match", "if-modified-since"} & set(place.server.requests[0].headers)
            assert place.asked() == [("GET", 200)]
        assert place.checked() < 5

    def test_whoever_wants_to_be_sure_asks_at_once(self, place: Place) -> None:
        current = place.current()
        current.get()
        assert subjects(current.get(refresh=True)) == ["A"]
        assert place.asked() == [("GET", 200), ("GET", 304)]
        place.share(rows("B"))
        assert subjects(current.get(refresh=True)) == ["B"]
        assert place.asked() == [("GET", 200)]
        assert current.ask(subjects) == ["B"]
        assert place.asked() == []

    def test_what_was_changed_is_asked_for_next_time_by_all(self, place: Place) -> None:
        current, other = place.current(), place.current()
        current.get()
        other.get()
        place.asked()
        current.expire()
        assert place.current().ask(subjects) == ["A"]
        assert place.asked() == [("GET", 304)]
        current.expire()
        assert current.ask(subjects) == ["A"]
        assert place.asked() == [("GET", 304)]

    def test_a_clock_that_went_back_is_no_reason_to_believe_an_old_index(self, place: Place) -> None:
        for seconds in (60.0, HOUR, 1e9):
            current = place.current()
            current.get()
            place.age(-seconds, current)
            place.asked()
            place.share(rows(f"S{seconds:.0f}"))
            assert current.ask(subjects) == [f"S{seconds:.0f}"]
            place.age(-seconds)
            assert place.current().ask(subjects) == [f"S{seconds:.0f}"]
            assert place.asked() == [("GET", 200), ("GET", 304)]
            assert abs(place.checked()) < 5

    def test_an_index_of_another_source_of_this_name_is_not_used(self, place: Place) -> None:
        place.current().get()
        with WebServer() as another:
            another.files[ROOT] = rows("B")
            current = CurrentIndex(place.repository(f"{another.url}/data"), place.folder, max_age=600)
            assert current.ask(subjects) == ["B"]
            assert [request.headers.get("if-none-match") for request in another.requests] == [None]
            signed = place.repository(f"{another.url}/data", login="me", password="secret-91")
            assert CurrentIndex(signed, place.folder, max_age=600).ask(subjects) == ["B"]
            assert len(another.requests) == 2, "who signs in may see something else"
            offline = place.current(offline=True)
            with pytest.raises(Unreachable, match="not here"):
                offline.get()
        assert b"secret-91" not in place.kept.read_bytes()

    def test_remarks_are_told_once(self, place: Place, notes: list[str]) -> None:
        place.share(rows("A") + b"".join(b"README%d.md\n" % number for number in range(9)))
        current = place.current()
        for _ in range(3):
            current.ask(subjects)
        (note,) = notes
        assert "row 7 " in note
        assert "8 more remarks" in note


class TestWithoutTheRepository:
    def test_offline_the_index_on_the_disk_answers_however_old(self, place: Place) -> None:
        place.current().get()
        place.asked()
        place.age(HOUR * 24 * 400)
        for current in (place.current(offline=True), place.current(offline=True, max_age=0)):
            assert current.ask(subjects) == ["A"]
            assert subjects(current.get(refresh=True)) == ["A"]
            assert not current.may_be_old
        assert place.asked() == []
        assert place.checked() > HOUR

    def test_offline_without_an_index_is_an_error_that_says_what_to_do(self, place: Place) -> None:
        for _ in range(2):
            with pytest.raises(Unreachable, match="not here") as caught:
                place.current(offline=True).get()
            assert caught.value.hint
        assert place.asked() == []

    @pytest.mark.parametrize("fault", [status(503), status(500), status(429, Retry_After=20)])
    @pytest.mark.parametrize("max_age", [600.0, 5.0, 0.0])
    def test_where_the_server_is_down_the_last_index_answers_and_it_rests_half_a_minute(
        self, place: Place, notes: list[str], monkeypatch: pytest.MonkeyPatch, fault: Fault, max_age: float
    ) -> None:
        place.current().get()
        place.server.faults[ROOT] = [fault]
        place.age(3 * HOUR)
        place.asked()
        current = place.current(max_age=max_age)
        for _ in range(4):
            assert current.ask(subjects) == ["A"]
        assert len(place.asked()) == 1
        assert len(notes) == 1
        assert "from the index of 3 hours ago" in notes[0]
        assert place.checked() > HOUR, "nobody was told that it is newer"
        now, ticks = time.time, time.monotonic
        monkeypatch.setattr(time, "time", lambda: now() + 29)
        monkeypatch.setattr(time, "monotonic", lambda: ticks() + 29)
        assert current.ask(subjects) == ["A"]
        assert len(place.asked()) == 0
        monkeypatch.setattr(time, "time", lambda: now() + 31)
        monkeypatch.setattr(time, "monotonic", lambda: ticks() + 31)
        place.server.heal()
        place.share(rows("B"))
        assert current.ask(subjects) == ["B"]
        assert len(notes) == 1

    def test_where_nobody_listens_any_more_the_last_index_answers(self, place: Place, notes: list[str]) -> None:
        place.current().get()
        place.age(2 * HOUR)
        address = place.server.url
        place.server.stop()
        current = place.current()
        assert current.ask(subjects) == ["A"]
        assert current.ask(subjects) == ["A"]
        assert len(notes) == 1
        assert "2 hours ago" in notes[0]
        assert subjects(current.get(refresh=True)) == ["A"]
        assert len(notes) == 2, "who asks for it is told again"
        assert address

    def test_where_nobody_listens_and_no_index_is_there_that_is_an_error(self, place: Place) -> None:
        repository = place.repository(f"http://127.0.0.1:{free_port()}/data")
        with pytest.raises(Unreachable):
            CurrentIndex(repository, place.folder, max_age=600).get()
        assert place.others() == []

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (status(401), AccessDenied),
            (status(403), AccessDenied),
            (status(404), RepositoryNotFound),
            (status(410), OneError),
        ],
    )
    def test_what_is_no_passing_failure_is_an_error_though_an_old_index_is_there(
        self, place: Place, fault: Fault, error: type[OneError]
    ) -> None:
        first = place.current()
        first.get()
        place.server.faults[ROOT] = [fault]
        place.age(HOUR, first)
        for current in (first, place.current()):
            with pytest.raises(error):
                current.ask(subjects)
            with pytest.raises(error):
                current.get(refresh=True)
        place.server.heal()
        assert place.current().ask(subjects) == first.ask(subjects) == ["A"]
        assert place.others() == []

    @pytest.mark.parametrize("content", [b"../x\n", b"\xff\n", b"<html>", rows("A") + b"a\tb\tc\n"])
    def test_an_index_that_is_refused_replaces_none(self, place: Place, content: bytes) -> None:
        current = place.current()
        current.get()
        before = place.kept.read_bytes()
        place.share(content)
        place.age(HOUR, current)
        for asking in (current, place.current()):
            with pytest.raises(UnsafeData, match="row "):
                asking.ask(subjects)
        assert place.kept.read_bytes() == before
        assert place.others() == []
        assert place.current(offline=True).ask(subjects) == ["A"]

    def test_an_index_that_is_cut_on_its_way_replaces_none(self, place: Place) -> None:
        from servers import cut

        current = place.current()
        current.get()
        place.share(rows("B"))
        place.server.faults[ROOT] = [cut(len(rows("B")) // 2)]
        place.age(HOUR, current)
        assert place.current().ask(subjects) == ["A"]
        place.server.heal()
        assert place.current().ask(subjects) == ["B"]


def unwritable(tmp_path: Path, how: str) -> Path:
    if how == "a file instead of a folder":
        (tmp_path / "data").touch()
        return tmp_path / "data"
    if how == "a file above it":
        (tmp_path / "data").touch()
        return tmp_path / "data" / "web"
    if os.geteuid() == 0:  # whom no mode keeps from writing
        if not Path("/proc/self/status").exists():
            pytest.skip("nothing is closed to root")
        return Path("/proc/self")
    (tmp_path / "data").mkdir(mode=0o555)
    return tmp_path / "data"


@posix
class TestWithoutAPlaceToKeepIt:
    @pytest.mark.parametrize("how", ["a file instead of a folder", "a file above it", "nothing may be written"])
    def test_it_is_asked_for_and_used_without_being_kept(self, place: Place, tmp_path: Path, how: str) -> None:
        folder = unwritable(tmp_path, how)
        current = CurrentIndex(place.repository(), folder, max_age=600)
        for _ in range(3):
            assert current.ask(subjects) == ["A"]
        assert len(place.asked()) <= 2
        place.share(rows("B"))
        assert subjects(current.get(refresh=True)) == ["B"]
        current._checked -= HOUR
        assert current.ask(subjects) == ["B"]
        assert place.asked()[-1] == ("GET", 304)

    def test_a_full_disk_keeps_no_index_and_answers(self, place: Place) -> None:
        """The limit on the size of a file does to SQLite what a full disk does."""
        place.share(b"".join(rows(f"s{number:04}", 5) for number in range(2000)))
        program = """
import resource, sys
from pathlib import Path
from onelight.client import Client
from onelight.current import CurrentIndex
from onelight.kinds.http import HttpRepository

current = CurrentIndex(HttpRepository("web", sys.argv[1], Client()), Path(sys.argv[2]), max_age=600)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
print(current.ask(len), current.ask(len))
"""
        arguments = [sys.executable, "-c", program, f"{place.server.url}/data", str(place.folder)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("20000 20000\n", "")
        assert place.others() == []
        assert not place.kept.exists()

    def test_a_data_folder_that_is_removed_meanwhile_is_made_again(self, place: Place) -> None:
        current = place.current()
        current.get()
        shutil.rmtree(place.folder)
        assert current.ask(subjects) == ["A"]
        place.age(HOUR, current)
        assert current.ask(subjects) == ["A"]
        place.share(rows("B"))
        place.age(HOUR, current)
        assert current.ask(subjects) == ["B"]
        assert place.kept.exists()

    @pytest.mark.parametrize("lock", ["text", "a folder", "another database"])
    def test_a_lock_that_is_none_keeps_nobody_from_asking(self, place: Place, lock: str) -> None:
        place.folder.mkdir(parents=True)
        path = place.folder / f"{KEPT_INDEX}.lock"
        if lock == "text":
            path.write_text("locked!" * 1000)
        elif lock == "a folder":
            path.mkdir()
        else:
            connection = sqlite3.connect(path)
            connection.execute("CREATE TABLE a (b)")
            connection.close()
        assert place.current().ask(subjects) == ["A"]
        assert place.kept.exists()


def everything(index: Index) -> list[object]:
    return [list(index), index.terms(), index.by_object(), index.search([Pattern("spikes")]), index.remarks]


class TestAFileThatIsDamaged:
    def test_any_damage_is_made_good_from_the_repository(self, place: Place) -> None:
        current = place.current()
        right = current.ask(everything)
        content = place.kept.read_bytes()
        page, chance = 16384, random.Random(3)
        written = [spot for spot, byte in enumerate(content) if byte]
        heads = [spot for spot in written if spot % page < 110 or spot % page > page - 60]
        again = 0
        for number in range(150):
            changed = bytearray(content)
            if number % 10 == 0:
                del changed[chance.randrange(len(content)) :]
            else:
                changed[chance.choice(heads if number % 2 else written)] ^= 1 << chance.randrange(8)
            place.kept.unlink()  # not into the file that others have open
            place.kept.write_bytes(changed)
            place.asked()
            asking = place.current()
            if number % 3 == 0:
                asking.get(refresh=True)
            assert asking.ask(everything) == right
            again += ("GET", 200) in place.asked()
            assert place.current(offline=True).ask(everything) == right, "it was made good for all"
        assert again > 50
        assert place.others() == []

    def test_damage_is_an_error_where_the_repository_cannot_be_asked(self, place: Place) -> None:
        place.current().get()
        content = bytearray(place.kept.read_bytes())
        at = content.rindex(b"lab/Subjects/A")
        content[at] ^= 1
        place.server.faults[ROOT] = [status(503)]
        for offline in (True, False):
            place.kept.unlink(missing_ok=True)
            place.kept.write_bytes(content)
            with pytest.raises((Unreachable, DamagedIndex)) as caught:
                place.current(offline=offline).ask(everything)
            assert caught.value.hint

    @posix
    @pytest.mark.parametrize(
        "what",
        [
            *("text", "empty", "another database", "a later version", "an earlier version"),
            *("a pipe", "a link to nothing", "a folder"),
        ],
    )
    def test_what_is_no_index_is_replaced_by_one(self, place: Place, what: str) -> None:
        place.folder.mkdir(parents=True)
        if what == "another database":
            connection = sqlite3.connect(place.kept)
            connection.execute("CREATE TABLE a (b)")
            connection.close()
        elif "version" in what:
            Index.build([Entry("lab/Subjects/Z/2016-12-14/001/a.b.npy")], path=place.kept).close()
            connection = sqlite3.connect(place.kept)
            connection.execute(f"PRAGMA user_version = {SCHEMA + (1 if 'later' in what else -1)}")
            connection.close()
        elif what == "a pipe":
            os.mkfifo(place.kept)
        elif what == "a link to nothing":
            place.kept.symlink_to(place.folder / "nothing")
        elif what == "a folder":
            (place.kept / "with something").mkdir(parents=True)
        else:
            place.kept.write_text("" if what == "empty" else "lab/x\n" * 5000)
        for _ in range(3):
            assert place.current().ask(subjects) == ["A"]
        assert place.others() == []
        if what != "a folder":
            assert len(place.asked()) == 1
            assert place.current(offline=True).ask(subjects) == ["A"]
        assert not (place.folder / "nothing").exists()

    def test_a_file_that_may_only_be_read_is_used(self, place: Place) -> None:
        place.current().get()
        place.kept.chmod(0o444)
        assert place.current().ask(subjects) == ["A"]
        place.share(rows("B"))
        place.age(HOUR)
        assert place.current().ask(subjects) == ["B"]
        assert place.current(offline=True).ask(subjects) == ["B"]


class TestALocalFolder:
    SESSION = "lab/Subjects/Cori/2016-12-14/001"

    @pytest.fixture
    def root(self, tmp_path: Path, write_files: Callable[..., Path]) -> Path:
        return write_files(tmp_path / "root", *(f"{self.SESSION}/alf/{name}.times.npy" for name in ("a", "b")))

    def settle(self, root: Path) -> None:
        """Let every folder have changed some time ago, so that one look at it is enough."""
        before = time.time() - HOUR
        for folder in (root, *root.rglob("*")):
            if folder.is_dir() and time.time() - folder.stat().st_mtime < HOUR / 2:
                os.utime(folder, (before, before))

    @pytest.mark.parametrize("settled", [True, False])
    @pytest.mark.parametrize("offline", [True, False])
    def test_every_change_is_seen_by_the_next_question(
        self, root: Path, tmp_path: Path, write_files: Callable[..., Path], settled: bool, offline: bool
    ) -> None:
        current = CurrentIndex(LocalRepository("here", root), tmp_path / "data", max_age=600, offline=offline)

        def names() -> list[str]:
            if settled:
                self.settle(root)
            found = current.ask(lambda index: [entry.path.replace(self.SESSION, "S") for entry in index])
            assert found == current.ask(lambda index: [entry.path.replace(self.SESSION, "S") for entry in index])
            return found

        alf = root / self.SESSION / "alf"
        assert names() == ["S/alf/a.times.npy", "S/alf/b.times.npy"]
        write_files(root, f"{self.SESSION}/alf/c.times.npy")
        assert names() == ["S/alf/a.times.npy", "S/alf/b.times.npy", "S/alf/c.times.npy"]
        (alf / "a.times.npy").unlink()
        assert names() == ["S/alf/b.times.npy", "S/alf/c.times.npy"]
        (alf / "b.times.npy").rename(alf / "d.times.npy")
        assert names() == ["S/alf/c.times.npy", "S/alf/d.times.npy"]
        alf.rename(alf.with_name("raw"))
        assert names() == ["S/raw/c.times.npy", "S/raw/d.times.npy"]
        shutil.copytree(root / self.SESSION, root / self.SESSION.replace("Cori", "Hench"))
        assert current.ask(subjects) == ["Cori", "Hench"]
        shutil.rmtree(root / "lab" / "Subjects" / "Cori")
        assert current.ask(subjects) == ["Hench"]

    def test_a_folder_where_nothing_changed_is_not_scanned_again(self, root: Path, tmp_path: Path) -> None:
        self.settle(root)
        current = CurrentIndex(LocalRepository("here", root), tmp_path / "data", max_age=600)
        first = current.get()
        assert current.get() is first
        again = CurrentIndex(LocalRepository("here", root), tmp_path / "data", max_age=600)
        number = (tmp_path / "data" / KEPT_INDEX).stat().st_ino
        assert list(again.get()) == list(first)
        assert (tmp_path / "data" / KEPT_INDEX).stat().st_ino == number

    def test_a_root_that_is_gone_is_an_error(self, root: Path, tmp_path: Path) -> None:
        current = CurrentIndex(LocalRepository("here", root), tmp_path / "data", max_age=600)
        current.get()
        shutil.rmtree(root)
        with pytest.raises(RepositoryNotFound):
            current.ask(subjects)

    def test_a_file_that_grew_in_its_place_has_the_size_that_it_has_now(
        self, root: Path, add_repository: Callable[..., str]
    ) -> None:
        self.settle(root)
        add_repository("here", "local", root_dir=str(root))
        one = One()
        sizes = [entry.size for entry in one.entries(self.SESSION)]
        with (root / self.SESSION / "alf" / "a.times.npy").open("ab") as stream:
            stream.write(b"more")
        assert [entry.size for entry in one.entries(self.SESSION)] == [(sizes[0] or 0) + 4, sizes[1]]
        assert [entry.size for entry in One().entries(self.SESSION)] == [(sizes[0] or 0) + 4, sizes[1]]
        one.refresh()
        assert one.totals("session")[0].size == sum(size or 0 for size in sizes) + 4


# Several processes

ASK = """
import json, sys, time
from pathlib import Path
from onelight.alf import Pattern
from onelight.client import Client
from onelight.current import CurrentIndex
from onelight.kinds.http import HttpRepository

url, folder, max_age, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
versions = int(sys.argv[5])  # to be seen before it ends, on a busy computer later than that
current = CurrentIndex(HttpRepository("web", url, Client()), folder, max_age=max_age)

def question(index):
    return [
        len(index),
        sorted({path.split("/")[2] for path in index.search([Pattern("spikes")])}),
        len(index.search()),
        sorted({entry.path.split("/")[2] for entry in index}),
        index.terms().subject,
        [(total.name, total.sessions, total.datasets) for total in index.by_subject()],
        len(index.select(index.sessions[-1])),
    ]

print("ready", flush=True)
seen = {}
until = time.time() + seconds
while time.time() < until or (len(seen) < versions and time.time() < until + 30):
    answer = json.dumps(current.ask(question))
    seen[answer] = seen.get(answer, 0) + 1
print(json.dumps([[json.loads(answer), count] for answer, count in seen.items()]))
"""
REFRESH = """
import sys
from pathlib import Path
from onelight import current as module
from onelight.client import Client
from onelight.current import CurrentIndex
from onelight.kinds.http import HttpRepository
import contextlib

if sys.argv[3] == "without locks":
    module._one_at_a_time = contextlib.nullcontext
current = CurrentIndex(HttpRepository("web", sys.argv[1], Client()), Path(sys.argv[2]), max_age=600)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[4])):
    index = current.get(refresh=True)
    print(len(list(index)), index.terms().subject, flush=True)
"""


def begin(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return out


def answer_of(subject: str, sessions: int) -> list[object]:
    name = f"lab/Subjects/{subject}"
    return [
        *(2 * sessions, [subject], sessions, [subject], [subject]),
        *([[name, sessions, 2 * sessions]], 2),
    ]


class TestProcesses:
    def test_sixteen_processes_see_one_version_or_the_other_and_never_both(self, place: Place) -> None:
        versions = {"A": rows("A", 20), "B": rows("B", 13)}
        refresher = place.current()
        refresher.get()
        asking = [
            begin(ASK, f"{place.server.url}/data", place.folder, age, 2, versions)
            for age, versions in [(0.02, 2)] * 12 + [(600, 1)] * 2 + [(0, 1)] * 2
        ]
        for process in asking:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        turns = 0
        while any(process.poll() is None for process in asking):
            subject = "AB"[turns % 2]
            place.share(versions[subject])
            assert subjects(refresher.get(refresh=True)) == [subject]
            turns += 1
        right = [answer_of("A", 20), answer_of("B", 13), answer_of("A", 3)]
        seen = [json.loads(told(process)) for process in asking]
        assert all(answer in right for each in seen for answer, _ in each), seen
        assert all(len(each) > 1 for each in seen[:12]), "the change was seen"
        assert turns > 2
        assert place.others() == []

    @posix
    def test_a_process_that_is_killed_while_it_makes_an_index_does_no_harm(
        self, place: Place, onelight_gc: Callable[[], str]
    ) -> None:
        many = b"".join(rows(f"s{number:05}", 10) for number in range(3000))
        current = place.current()
        current.get()
        chance = random.Random(4)
        versions = {6}
        killed = left = 0
        for number in range(20):
            place.share(many + rows(f"t{number:02}", number + 1))
            versions.add(60_000 + 2 * (number + 1))
            process = begin(REFRESH, f"{place.server.url}/data", place.folder, "with locks", 1)
            assert process.stdin
            assert process.stdout
            process.stdout.readline()
            process.stdin.write("\n")
            process.stdin.flush()
            before = set(place.others())
            end = time.monotonic() + 10
            while not set(place.others()) - before and process.poll() is None and time.monotonic() < end:
                time.sleep(0.001)
            time.sleep(chance.random() * 0.25)
            process.kill()
            process.communicate()
            killed += process.returncode < 0
            left += bool(set(place.others()) - before)
            found = place.current(offline=True).ask(lambda index: (len(index), len(list(index)), subjects(index)[:1]))
            assert found[0] == found[1]
            assert found[0] in versions
        assert killed > 10
        assert left > 5, "some were killed before they had ended"
        names = place.others()
        assert all(re.fullmatch(rf"\{KEPT_INDEX}\.[0-9a-f]{{8}}\.part", name) for name in names), names
        begun = time.monotonic()
        assert len(place.current().get(refresh=True)) == 60_040
        assert time.monotonic() - begun < 10, "nobody waits for a lock of the dead"
        assert place.others() == names
        said = onelight_gc()
        assert said.count(KEPT_INDEX) == len(names), said
        assert place.others() == []
        assert len(place.current(offline=True).get()) == 60_040

    @pytest.mark.parametrize("locks", ["with locks", "without locks"])
    def test_several_processes_that_make_it_at_once_all_have_it(self, place: Place, locks: str) -> None:
        place.share(b"".join(rows(f"s{number:05}", 10) for number in range(300)))
        place.server.etag = "none"  # so that each makes it anew
        making = [begin(REFRESH, f"{place.server.url}/data", place.folder, locks, 3) for _ in range(4)]
        for process in making:
            assert process.stdout
            process.stdout.readline()
        for process in making:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        for process in making:
            assert [line.split()[0] for line in told(process).splitlines()] == ["6000"] * 3
        assert place.others() == []
        assert len(place.current(offline=True).get()) == 6000

    @posix
    def test_who_has_the_old_index_open_goes_on_with_it(self, place: Place) -> None:
        place.share(rows("A", 20))
        current = place.current()
        old = current.get()
        wanted = everything(old)
        files = old.select("lab/Subjects/A/2016-12-10/001")
        place.share(rows("B", 9))
        process = begin(REFRESH, f"{place.server.url}/data", place.folder, "with locks", 1)
        assert told_when_begun(process) == "18 ['B']\n"
        assert everything(old) == wanted
        assert old.select("lab/Subjects/A/2016-12-10/001") == files
        assert current.ask(subjects) == ["A"], "this process has not asked again"
        current._checked -= HOUR
        place.asked()
        assert current.ask(subjects) == ["B"]
        assert place.asked() == [], "the other process has asked for all"
        assert everything(old) == wanted

    def test_what_another_process_is_making_is_waited_for_and_not_made_twice(self, place: Place) -> None:
        class Slow:
            def __call__(self, exchange: Exchange) -> None:
                time.sleep(0.5)
                Good(exchange)

        place.server.faults[ROOT] = [Slow()]
        asking = [begin(ASK, f"{place.server.url}/data", place.folder, 600, 0.1, 1) for _ in range(4)]
        for process in asking:
            assert json.loads(told(process).partition("\n")[2])[0][0] == answer_of("A", 3)
        assert place.asked() == [("GET", 200)]

    @posix
    def test_clearing_away_while_it_is_made_does_no_harm(
        self, place: Place, onelight_gc: Callable[[], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place.share(rows("B", 20))
        real = HttpRepository.refresh

        def cleared(self: HttpRepository, last: Index | None = None, *, path: Path | None = None) -> Index:
            index = real(self, last, path=path)
            onelight_gc()
            return index

        monkeypatch.setattr(HttpRepository, "refresh", cleared)
        current = place.current()
        assert current.ask(subjects) == ["B"]
        assert current.ask(subjects) == ["B"]
        assert place.others() == []

    def test_eight_threads_that_ask_while_one_refreshes_see_whole_versions(self, place: Place) -> None:
        versions = {"A": rows("A", 20), "B": rows("B", 13)}
        place.share(versions["A"])
        current = place.current()
        stop = threading.Event()

        def whole(index: Index) -> tuple[object, ...]:
            names = {entry.path.split("/")[2] for entry in index}
            return len(index), tuple(subjects(index)), tuple(sorted(names)), len(index.search([Pattern("spikes")]))

        def ask(_: int) -> set[object]:
            seen: set[object] = set()
            while not stop.is_set():
                seen.add(current.ask(whole))
            return seen

        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(ask, number) for number in range(8)]
            try:
                for turn in range(40):
                    subject = "AB"[turn % 2]
                    place.share(versions[subject])
                    assert subjects(current.get(refresh=True)) == [subject]
            finally:
                stop.set()
            for each in asking:
                assert each.result() <= {(40, ("A",), ("A",), 20), (26, ("B",), ("B",), 13)}


def told_when_begun(process: subprocess.Popen[str]) -> str:
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()
    return told(process)


@pytest.fixture
def onelight_gc(place: Place, add_repository: Callable[..., str]) -> Callable[[], str]:
    """Return a function that runs ``onelight cache gc`` for the data folder of the place."""
    add_repository("web", "http", base_url=f"{place.server.url}/data")
    place.folder = Config.load().data_folder("web")
    place.kept = place.folder / KEPT_INDEX

    def clear() -> str:
        arguments = [sys.executable, "-m", "onelight", "cache", "gc", "-R", "web"]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return clear


SESSION = "lab/Subjects/A/2016-12-10/001"
QUESTIONS: dict[str, Callable[[One], Any]] = {
    "search": One.search,
    "terms": One.search_terms,
    "totals": One.totals,
    "list": lambda one: one.list(SESSION),
    "entries": lambda one: one.entries(SESSION),
    "plan": lambda one: [step.entry for step in one.plan_download(SESSION).steps],
    "plan of paths": lambda one: [step.entry for step in one.plan_paths([f"{SESSION}/alf/spikes.times.npy"]).steps],
    "refresh": lambda one: list(one.refresh()),
    "verify": lambda one: [checked.verdict for checked in one.verify()],
    "survey": lambda one: one.survey().sessions,
    "repair": lambda one: [step.entry for step in one.plan_repair(one.verify()).steps],
    "load": lambda one: one.load_object(SESSION, "spikes")["times"].tolist(),
    "load a dataset": lambda one: one.load_dataset(SESSION, "spikes.times").tolist(),
    "describe": lambda one: str(one.describe(SESSION, "spikes.times")),
}


class TestOne:
    """Two versions of a repository, and one object that asks it."""

    def test_no_two_questions_are_answered_from_two_versions_unless_it_is_asked_again(
        self, place: Place, one: One
    ) -> None:
        session = "lab/Subjects/A/2016-12-10/001"
        assert one.search() == [f"lab/Subjects/A/2016-12-{day}/001" for day in (10, 11, 12)]
        place.share(rows("B") + rows("A", 1).replace(b"spikes", b"wheel"))
        for _ in range(2):
            assert len(one.search("spikes")) == 3
            assert one.list(session) == ["spikes.times", "trials.times"]
            assert [entry.below for entry in one.entries(session)] == ["alf/spikes.times.npy", "alf/trials.times.npy"]
            assert one.search_terms().subject == ["A"]
            assert [total.sessions for total in one.totals()] == [3]
        assert len(place.asked()) == 1
        one.refresh()
        assert one.search("wheel") == [session]
        assert one.list(session) == ["trials.times", "wheel.times"]
        assert one.search_terms().subject == ["A", "B"]
        assert [total.name for total in one.totals()] == ["lab/Subjects/A", "lab/Subjects/B"]
        assert place.asked() == [("GET", 200)]

    @pytest.mark.parametrize("what", ["a session", "a dataset"])
    def test_what_came_since_is_found_by_a_second_look(self, place: Place, one: One, what: str) -> None:
        one.search()
        again = One()  # the next program, an index of a minute ago on the disk
        again.search()
        place.asked()
        place.share(rows("A") + rows("B") + b"lab/Subjects/A/2016-12-10/001/alf/wheel.times.npy\n")
        if what == "a session":
            assert len(again.entries("lab/Subjects/B/2016-12-10/001")) == 2
        else:
            assert len(again.entries("lab/Subjects/A/2016-12-10/001", "wheel")) == 1
        assert place.asked() == [("GET", 200)]
        assert again.search_terms().subject == ["A", "B"]
        assert again.list("lab/Subjects/B/2016-12-11/001") == ["spikes.times", "trials.times"]
        assert place.asked() == []

    def test_what_is_not_there_is_asked_for_once(self, place: Place, one: One) -> None:
        one.search()
        again = One()
        again.search()
        place.asked()
        for _ in range(3):
            with pytest.raises(SessionNotFound):
                again.entries("lab/Subjects/B/2016-12-10/001")
        assert place.asked() == [("GET", 304)]

    def test_what_is_not_there_is_no_reason_to_ask_a_server_that_is_down_again_and_again(
        self, place: Place, one: One, notes: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one.search()
        again = One()
        place.asked()
        place.server.faults[ROOT] = [status(404), status(503)]
        place.server.forget()
        monkeypatch.setattr(again, "_client", None)
        place.server.faults[ROOT] = [status(429, Retry_After=3000)]
        for _ in range(3):
            with pytest.raises(SessionNotFound):
                again.entries("lab/Subjects/B/2016-12-10/001")
        assert len(place.asked()) == 1
        assert len(notes) == 1

    def test_offline_nothing_is_asked_a_second_time(self, place: Place, one: One) -> None:
        one.search()
        place.asked()
        with pytest.raises(SessionNotFound):
            One(offline=True).entries("lab/Subjects/B/2016-12-10/001")
        assert place.asked() == []

    @pytest.mark.parametrize("word", ["If-None-Match", "lab/Subjects/A/2016-12-10/001/alf", "2016-12-11"])
    @pytest.mark.parametrize("name", QUESTIONS)
    def test_a_damaged_index_is_no_trouble_to_anything_that_asks(
        self, place: Place, one: One, word: str, name: str
    ) -> None:
        array = io.BytesIO()
        np.save(array, np.arange(3))
        for row in rows("A").splitlines():
            place.server.files[f"/data/{row.decode()}"] = array.getvalue()
        one.download(SESSION)
        kept = one.folder / KEPT_INDEX
        changed = bytearray(kept.read_bytes())
        places = [found.start() for found in re.finditer(re.escape(word.encode()), changed)]
        assert places
        for at in places:
            changed[at] ^= 1
        wanted = QUESTIONS[name](One())
        kept.unlink()
        kept.write_bytes(changed)
        assert QUESTIONS[name](One()) == wanted


class TestWhatAReviewFound:
    def test_a_change_of_our_own_is_asked_for_though_the_file_keeps_its_time(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A colleague's file in a folder of the group: its time may not be set."""
        current = place.current()
        current.get()
        place.share(rows("B"))

        def refused(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr("onelight.current._set_time", refused)
        current.expire()
        assert current.ask(subjects) == ["B"]

    def test_after_a_change_of_our_own_a_server_that_is_down_is_left_alone_for_a_while(self, place: Place) -> None:
        current = place.current()
        current.get()
        current.expire()
        place.server.faults[ROOT] = [status(503)] * 9
        place.asked()
        for _ in range(3):
            assert current.ask(subjects) == ["A"]
        assert len(place.asked()) == 1

    def test_whoever_wants_to_be_sure_is_not_content_with_a_date(self, place: Place) -> None:
        """A copy that kept its time may be older than what was there before."""
        place.server.etag = "none"
        place.server.faults[ROOT] = [dated([time.time() - HOUR])] * 2
        current = place.current()
        assert current.ask(subjects) == ["A"]
        place.share(rows("B"))
        assert subjects(current.get(refresh=True)) == ["B"]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"address": "?a"}, {"address": "?b"}),
            ({"login": "ann", "password": "x"}, {"login": "bob", "password": "x"}),
        ],
    )
    def test_what_somebody_else_was_shown_answers_nobody(
        self, place: Place, one: dict[str, str], other: dict[str, str]
    ) -> None:
        url = f"{place.server.url}/data"
        places = [
            place.repository(url + how.pop("address", ""), **how).identity
            for how in (dict(one), dict(other), dict(one))
        ]
        assert places[0] == places[2] != places[1]
        assert "bob" not in "".join(places)

    @posix
    def test_a_child_that_is_forked_while_the_server_is_asked_asks_for_itself(self, place: Place) -> None:
        current = place.current()
        current.get()
        asked, answered = threading.Event(), threading.Event()

        class Slow:
            def __call__(self, exchange: Exchange) -> None:
                asked.set()
                answered.wait(20)
                Good(exchange)

        place.server.faults[ROOT] = [Slow()]
        thread = threading.Thread(target=lambda: current.get(refresh=True))
        thread.start()
        assert asked.wait(20)
        child = os.fork()
        if child == 0:
            os._exit(0 if subjects(current.get()) == ["A"] else 1)
        until = time.monotonic() + 20
        ended = (0, 0)
        while not ended[0] and time.monotonic() < until:
            ended = os.waitpid(child, os.WNOHANG)
            time.sleep(0.02)
        if not ended[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        answered.set()
        thread.join()
        assert ended == (child, 0)

    @posix
    def test_the_lock_is_made_through_no_link(self, place: Place, tmp_path: Path) -> None:
        place.folder.mkdir(parents=True)
        (place.folder / f"{KEPT_INDEX}.lock").symlink_to(tmp_path / "made")
        assert place.current().ask(subjects) == ["A"]
        assert not (tmp_path / "made").exists()

    @posix
    def test_ctrl_c_ends_the_wait_for_another_process(self, place: Place) -> None:
        place.folder.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(place.folder / f"{KEPT_INDEX}.lock")) as lock:
            lock.execute("BEGIN EXCLUSIVE")
            process = begin(ASK, f"{place.server.url}/data", place.folder, 600, 0.1, 1)
            time.sleep(1.5)
            assert process.poll() is None
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
            assert time.monotonic() - begun < 5

    def test_an_error_of_the_disk_costs_nobody_an_index_that_cannot_be_made_again(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place.current().get()
        current = place.current(offline=True)

        def broken(_: Index) -> None:
            raise DamagedIndex("disk I/O error")

        with pytest.raises(DamagedIndex):
            current.ask(broken)
        assert place.current(offline=True).ask(subjects) == ["A"]

    def test_what_a_list_names_and_the_index_does_not_know_is_looked_for_anew(self, place: Place, one: One) -> None:
        one.search()
        one._current._asked -= HOUR
        place.share(rows("A") + rows("B"))
        place.asked()
        plan = one.plan_paths(["lab/Subjects/B/2016-12-10/001", "lab/Subjects/A/2016-12-10/001"])
        assert (len(plan.steps), plan.absent) == (4, [])
        assert len(place.asked()) == 1

    def test_the_default_one_follows_what_is_said_of_the_network(
        self, place: Place, one: One, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import onelight
        from onelight.api import default

        onelight.search()
        before = default()
        monkeypatch.setenv("ONELIGHT_OFFLINE", "1")
        assert default() is not before
        place.asked()
        onelight.refresh()
        assert place.asked() == []


class TestQuestions:
    """What is not a name, a date or a number is refused, and a slip of the pen is told."""

    def test_anything_that_can_be_gone_through_is_a_list(self, one: One) -> None:
        names = ["spikes", "trials"]
        day = ["2016-12-10"]
        wanted = ["lab/Subjects/A/2016-12-10/001"]
        for several in (np.array, tuple, iter, lambda texts: map(str, texts)):
            assert one.search(several(names), date=several(day), number=several([1]), lab=several(["lab"])) == wanted
        assert one.search(number=1.0, date=day) == wanted

    @pytest.mark.parametrize(
        "how",
        [{"date": 20161210}, {"date": ["2016-12-10", 3]}, {"number": 1.5}, {"number": "one"}, {"datasets": 3}],
    )
    def test_what_is_no_value_is_refused(self, one: One, how: dict[str, Any]) -> None:
        with pytest.raises(AlfError):
            one.search(**how)

    @pytest.mark.parametrize(
        ("how", "said"),
        [
            ({"any_of": ["spikes", "trails"]}, "'trails'; did you mean trials?"),
            ({"without": "spike"}, "'spike'; did you mean spikes?"),
            ({"subject": "b*"}, "no subject fits 'b*'"),
            ({"subject": "a"}, "no subject is named 'a'; did you mean A?"),
            ({"datasets": "spikes", "collection": "alf/probe00"}, "of it, collection is one of: 'alf'"),
        ],
    )
    def test_a_slip_of_the_pen_is_told(self, one: One, notes: list[str], how: dict[str, Any], said: str) -> None:
        one.search(**how)
        assert said in notes[-1]
