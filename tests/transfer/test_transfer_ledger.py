"""The record of what was compared: when it is believed, when it is not, and how often it is read."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from onelight.transfer import Ledger
from onelight.transfer.ledger import LEDGER_NAME

PATH = "lab/Subjects/Cori/2016-12-14/001/alf/spikes.times.npy"
MD5 = "0" * 32


@pytest.fixture
def target(tmp_path: Path) -> Path:
    file = tmp_path / PATH
    file.parent.mkdir(parents=True)
    file.write_bytes(b"content")
    Ledger(tmp_path).record(PATH, file, MD5)
    return file


def test_a_file_that_was_not_touched_is_believed(tmp_path: Path, target: Path) -> None:
    assert Ledger(tmp_path).md5(PATH, target) == MD5
    assert Ledger(tmp_path).md5(PATH, target, target.stat()) == MD5
    assert list(Ledger(tmp_path)) == [PATH]


def test_a_look_that_was_taken_is_not_taken_again(tmp_path: Path, target: Path) -> None:
    found = target.stat()
    target.unlink()
    assert Ledger(tmp_path).md5(PATH, target, found) == MD5
    assert Ledger(tmp_path).md5(PATH, target) is None


@pytest.mark.skipif(os.name != "posix", reason="elsewhere the change time is that of creation")
@pytest.mark.parametrize("touch", ["content", "mode", "replaced", "size"])
def test_a_file_that_was_touched_is_not_believed_though_its_time_says_nothing(
    tmp_path: Path, target: Path, touch: str
) -> None:
    """Row L13."""
    before = target.stat()
    if touch == "content":
        target.write_bytes(b"CONTENT")
    elif touch == "mode":
        target.chmod(0o600 if before.st_mode & 0o077 else 0o644)
    elif touch == "replaced":
        (tmp_path / "new").write_bytes(b"CONTENT")
        (tmp_path / "new").replace(target)
    else:
        target.write_bytes(b"content!")
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a restored backup does
    assert target.stat().st_mtime_ns == before.st_mtime_ns
    assert Ledger(tmp_path).md5(PATH, target) is None
    assert Ledger(tmp_path).last_md5(PATH) == MD5


def test_what_is_doubted_is_read_again_and_what_it_was_stays_known(tmp_path: Path, target: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.doubt([PATH, "lab/never/compared"])
    for each in (ledger, Ledger(tmp_path)):
        assert each.md5(PATH, target) is None
        assert each.last_md5(PATH) == MD5
        assert list(each) == [PATH]
    ledger.record(PATH, target, MD5)
    assert Ledger(tmp_path).md5(PATH, target) == MD5


def test_a_record_of_an_earlier_version_costs_a_look_and_no_download(tmp_path: Path, target: Path) -> None:
    found = target.stat()
    (tmp_path / LEDGER_NAME).write_text(f"{PATH}\t{found.st_size}\t{found.st_mtime_ns}\t{found.st_ino}\t{MD5}\n")
    assert Ledger(tmp_path).md5(PATH, target) is None
    assert Ledger(tmp_path).last_md5(PATH) == MD5


@pytest.mark.parametrize("damage", [b"\0" * 100, b"lab/torn\t12", b"\xff\xfe\n", b"\t\t\t\t\t\n"])
def test_a_torn_line_spoils_only_itself_and_the_next(tmp_path: Path, target: Path, damage: bytes) -> None:
    with (tmp_path / LEDGER_NAME).open("ab") as stream:
        stream.write(damage)
    ledger = Ledger(tmp_path)
    assert ledger.md5(PATH, target) == MD5
    other = target.with_name("spikes.other.npy")
    other.write_bytes(b"x")
    for name in ("a", "b"):
        ledger.record(name, other, MD5)
    assert Ledger(tmp_path).md5(PATH, target) == MD5
    assert Ledger(tmp_path).md5("b", other) == MD5


@pytest.mark.parametrize("name", ["caf\u00e9\u2028.x.npy", "a\x85b.x.npy", "\udce9.x.npy"])
def test_every_name_is_found_again(tmp_path: Path, target: Path, name: str) -> None:
    Ledger(tmp_path).record(name, target, MD5)
    assert Ledger(tmp_path).md5(name, target) == MD5


def test_it_knows_whether_somebody_else_wrote(tmp_path: Path, target: Path) -> None:
    mine, other = Ledger(tmp_path), Ledger(tmp_path)
    mine.record("a", target, MD5)
    assert mine.is_current()
    assert not other.is_current()
    other.record("b", target, MD5)
    assert not mine.is_current()
    assert not other.is_current(), "it does not have what the other wrote"
    assert {"a", "b"} <= set(Ledger(tmp_path))
    (tmp_path / LEDGER_NAME).unlink()
    assert not mine.is_current()
    assert Ledger(tmp_path).is_current()


def test_many_threads_and_processes_lose_no_line(tmp_path: Path, target: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from onelight.transfer import Ledger; folder = Path(sys.argv[1])\n"
        "ledger = Ledger(folder)\n"
        "for n in range(200): ledger.record(f'{sys.argv[2]}-{n}', folder / sys.argv[3], '0' * 32)"
    )
    top = Path(__file__).resolve().parents[2]
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(number), PATH], cwd=top)
        for number in range(3)
    ]
    ledger = Ledger(tmp_path)
    threads = [
        threading.Thread(target=lambda t=t: [ledger.record(f"t{t}-{n}", target, MD5) for n in range(200)])
        for t in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in running:
        with process:
            assert process.wait(60) == 0
    assert len(list(Ledger(tmp_path))) == 1 + 6 * 200


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"x")
    ledger.record("a", tmp_path / "file", MD5)
    assert ledger.md5("a", tmp_path / "file") == MD5
