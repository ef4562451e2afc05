"""What was sent is remembered by all processes, and a memory that is damaged is none."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from onelight.owners import is_alive, owner
from onelight.receipts import Receipt, Receipts

STORE = "http https://a.org 01234567"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "receipts.sqlite"


def told(receipts: Receipts) -> list[tuple[str, str, int | None, str, str]]:
    return [receipt[:5] for receipt in receipts.all()]


def test_what_one_process_sends_the_next_one_knows(path: Path) -> None:
    first = Receipts(path, STORE)
    first.begin("a", "a.part")
    first.begin("b", "b.part")
    first.add("a", "a", 3, "v1", "0" * 32, instead_of="a.part")
    first.close()
    assert told(Receipts(path, STORE)) == [("a", "a", 3, "v1", "0" * 32), ("b", "b.part", None, "", "")]
    assert told(Receipts(path, "another store")) == []


def test_what_is_forgotten_is_gone(path: Path) -> None:
    receipts = Receipts(path, STORE)
    receipts.add("a", "a", 3, "v1", "0" * 32)
    receipts.add("a", "a", 4, "v2", "1" * 32)
    assert told(receipts) == [("a", "a", 4, "v2", "1" * 32)]
    receipts.forget("a", "a")
    receipts.forget("a", "a")
    assert told(receipts) == []


def test_a_killed_process_has_lost_nothing(path: Path) -> None:
    script = (
        "import os, sys, pathlib; from onelight.receipts import Receipts\n"
        "r = Receipts(pathlib.Path(sys.argv[1]), 's')\n"
        "for number in range(50): r.add(f'{number:02}', 'x', number, 'v', '0' * 32)\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=60)
    found = Receipts(path, "s").all()
    assert [receipt.path for receipt in found] == [f"{number:02}" for number in range(50)]
    assert {is_alive(receipt.owner) for receipt in found} == {False}


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be looked at" * 100, b""])
def test_a_damaged_file_is_made_anew(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    receipts = Receipts(path, STORE)
    assert told(receipts) == []
    receipts.begin("a", "a.part")
    receipts.close()
    assert len(told(Receipts(path, STORE))) == 1


def test_where_nothing_can_be_written_they_last_as_long_as_the_process(tmp_path: Path, notes: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"in the way of the folder")
    receipts = Receipts(tmp_path / "file" / "receipts.sqlite", STORE)
    receipts.begin("a", "a.part")
    assert [receipt.path for receipt in receipts.all()] == ["a"]
    assert any("read back" in str(note) for note in notes)


def test_threads_share_them(path: Path) -> None:
    receipts = Receipts(path, STORE)
    threads = [threading.Thread(target=receipts.begin, args=(f"{number}", "x")) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts.all()) == 20


def test_their_owner_is_this_process(path: Path) -> None:
    receipts = Receipts(path, STORE)
    receipts.begin("a", "a.part")
    assert [is_alive(receipt.owner) for receipt in receipts.all()] == [True]


@pytest.mark.parametrize("name", ["", "a", "a-b-c", "0123456789ab-1-00000000", "x" * 500])
def test_whether_a_process_of_another_computer_lives_is_not_known(name: str) -> None:
    assert is_alive(name) is None


def test_a_number_of_a_process_that_cannot_be_is_no_error() -> None:
    machine = owner().rpartition("-")[0].rpartition("-")[0]
    assert is_alive(f"{machine}-{10**30}-00000000") in (True, False, None)


def test_a_receipt_has_names() -> None:
    assert Receipt("a", "b", 1, "v", "m", "o").place == "b"
