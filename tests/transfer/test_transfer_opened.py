"""What a library brings is fetched as what a server sends: continued, compared, asked for again where it was lost."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import IO, ClassVar

import pytest

from onelight.client import Client, Limits
from onelight.errors import (
    AccessDenied,
    ChecksumMismatch,
    Interrupted,
    NotFound,
    OneError,
    SizeMismatch,
    TransferError,
    Unreachable,
)
from onelight.index import Entry, Index
from onelight.repository import Repository
from onelight.route import Opened, Source
from onelight.transfer import Ledger, Outcome, Silent, Verified, download, plan_download
from onelight.transfer.incoming import LARGE
from onelight.transfer.remote import OpenedFile, Replaced

PATH = "lab/Subjects/Cori/2016-12-14/001/alf/spikes.times.npy"
CONTENT = random.Random(1).randbytes(3_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Shelf(Repository):
    """A repository whose files a library of its own opens, and sometimes loses."""

    kind: ClassVar[str] = "shelf"
    address = "shelf://here"

    def __init__(self, content: bytes = CONTENT, version: str = "") -> None:
        super().__init__("shelf")
        self.content, self.version = content, version
        #: Offset at which each opened file is lost, in turn; and what is raised instead of opening.
        self.losses: list[int] = []
        self.refusals: list[OneError] = []
        self.opened: list[Book] = []

    def refresh(self, last: Index | None = None, *, path: Path | None = None) -> Index:
        raise NotImplementedError

    def source(self, entry: Entry) -> Source:
        return Opened("shelf://here/book", self.open)

    def open(self) -> IO[bytes]:
        if self.refusals:
            raise self.refusals.pop(0)
        lost = self.losses.pop(0) if self.losses else None
        self.opened.append(Book(self.content, self.version, lost))
        return self.opened[-1]


class Book(io.BytesIO):
    """A file that ends in the middle of a read, if it is told where."""

    def __init__(self, content: bytes, version: str, lost: int | None) -> None:
        super().__init__(content)
        self.version, self._lost = version, lost
        self.reads: list[tuple[int, int]] = []

    def read(self, size: int | None = -1, /) -> bytes:
        at = self.tell()
        if self._lost is not None and at + (size or 0) > self._lost:
            if at >= self._lost:
                raise Unreachable("shelf://here/book: the connection was lost")
            size = self._lost - at
        block = super().read(size)
        self.reads.append((at, len(block)))
        return block


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=Limits(attempts=3, pause=0.001)) as running:
        yield running


def fetch(shelf: Shelf, client: Client, folder: Path, size: int | None = None, md5: str | None = None) -> Outcome:
    ledger = Ledger(folder)
    [outcome] = download(plan_download([Entry(PATH, "", size, md5)], folder, ledger), shelf, client, folder, ledger)
    return outcome


@pytest.mark.parametrize(
    ("size", "md5", "verified"),
    [(len(CONTENT), MD5, Verified.MD5), (len(CONTENT), None, Verified.SIZE), (None, None, Verified.SIZE)],
)
def test_every_byte_comes_and_is_compared_as_far_as_anything_is_stated(
    client: Client, tmp_path: Path, size: int | None, md5: str | None, verified: Verified
) -> None:
    shelf = Shelf()
    outcome = fetch(shelf, client, tmp_path, size, md5)
    assert outcome.error is None
    assert outcome.verified is verified
    assert outcome.target.read_bytes() == CONTENT
    assert [book.closed for book in shelf.opened] == [True]


def test_small_and_empty_files_take_the_same_way(client: Client, tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"x")):
        for stated in (True, False):
            md5 = hashlib.md5(content).hexdigest() if stated else None
            folder = tmp_path / f"{number}{stated}"
            outcome = fetch(Shelf(content), client, folder, len(content) if stated else None, md5)
            assert outcome.error is None
            assert outcome.target.read_bytes() == content


def test_a_file_that_is_lost_is_opened_again_and_goes_on_from_there(client: Client, tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.losses = [1_000_000, 1_000_000, 2_500_000]
    outcome = fetch(shelf, client, tmp_path, len(CONTENT), MD5)
    assert outcome.error is None
    assert outcome.target.read_bytes() == CONTENT
    read = [at for book in shelf.opened for at, _ in book.reads]
    assert read == sorted(read), "no byte is read twice"
    assert all(book.closed for book in shelf.opened)


def test_a_file_that_is_lost_each_time_is_unreachable_and_what_came_is_kept(client: Client, tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.losses = [1_000_000] * 10
    outcome = fetch(shelf, client, tmp_path, len(CONTENT), MD5)
    assert isinstance(outcome.error, Unreachable)
    assert PATH in outcome.error.message
    assert not outcome.target.exists()
    assert len(shelf.opened) == 3
    shelf.losses = []
    again = fetch(shelf, client, tmp_path, len(CONTENT), MD5)
    assert again.resumed_from == 1_000_000
    assert shelf.opened[-1].reads[0][0] == 1_000_000
    assert again.target.read_bytes() == CONTENT


@pytest.mark.parametrize(("version", "resumed"), [('"1"', 1_000_000), ('W/"1"', 0), ("", 0)])
def test_without_an_md5_only_what_a_strong_tag_names_is_continued(
    client: Client, tmp_path: Path, version: str, resumed: int
) -> None:
    shelf = Shelf(version=version)
    shelf.losses = [1_000_000] * 10
    fetch(shelf, client, tmp_path, len(CONTENT))
    shelf.losses = []
    outcome = fetch(shelf, client, tmp_path, len(CONTENT))
    assert outcome.error is None
    assert outcome.resumed_from == resumed
    assert outcome.target.read_bytes() == CONTENT


def test_a_file_that_was_replaced_meanwhile_is_not_mixed(client: Client, tmp_path: Path) -> None:
    shelf = Shelf(version='"1"')
    shelf.losses = [1_000_000] * 10
    fetch(shelf, client, tmp_path)
    other = Shelf(random.Random(2).randbytes(len(CONTENT)), version='"2"')
    outcome = fetch(other, client, tmp_path)
    assert outcome.error is None
    assert outcome.target.read_bytes() == other.content


def test_other_bytes_get_no_name(client: Client, tmp_path: Path) -> None:
    shorter = fetch(Shelf(CONTENT[:-1]), client, tmp_path, len(CONTENT), MD5)
    other = fetch(Shelf(CONTENT[:-1] + b"?"), client, tmp_path, len(CONTENT), MD5)
    assert isinstance(shorter.error, SizeMismatch)
    assert isinstance(other.error, ChecksumMismatch)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.startswith(".one")] == []


@pytest.mark.parametrize("error", [NotFound("not there"), AccessDenied("not you")])
def test_what_may_not_be_opened_is_told_at_once(client: Client, tmp_path: Path, error: OneError) -> None:
    shelf = Shelf()
    shelf.refusals = [error]
    outcome = fetch(shelf, client, tmp_path, len(CONTENT), MD5)
    assert type(outcome.error) is type(error)
    assert shelf.opened == []


def test_it_ends_when_it_is_told_to(client: Client, tmp_path: Path) -> None:
    class Stop(Silent):
        def advance(self, path: str, count: int) -> None:
            raise Interrupted("enough")

    ledger = Ledger(tmp_path)
    plan = plan_download([Entry(PATH, "", len(CONTENT), MD5)], tmp_path, ledger)
    shelf = Shelf()
    [outcome] = download(plan, shelf, client, tmp_path, ledger, progress=Stop())
    assert isinstance(outcome.error, TransferError)
    assert len(shelf.opened) == 1
    assert shelf.opened[0].closed


def test_a_large_file_is_read_from_its_beginning_to_its_end(client: Client, tmp_path: Path) -> None:
    content = CONTENT * (LARGE // len(CONTENT) + 1)
    shelf = Shelf(content)
    outcome = fetch(shelf, client, tmp_path, len(content), hashlib.md5(content).hexdigest())
    assert outcome.error is None
    assert outcome.target.stat().st_size == len(content)
    assert len(shelf.opened) == 1
    assert len(shelf.opened[0].reads) < 40, "in larger and larger blocks"


# Parts of it


def slice_of(shelf: Shelf, client: Client, size: int | None = None, *, tail: bool = False) -> OpenedFile:
    source = shelf.source(Entry(PATH))
    assert isinstance(source, Opened)
    return OpenedFile(source, client, name=PATH, size=size, tail=tail)


@pytest.mark.parametrize("tail", [True, False])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_part_is_read_without_the_rest(client: Client, size: int | None, tail: bool) -> None:
    shelf = Shelf()
    with slice_of(shelf, client, size, tail=tail) as file:
        assert shelf.opened == [], "nothing is asked before the first read"
        assert file.read_at(1_000_000, 1_000) == CONTENT[1_000_000:1_001_000]
        assert file.read_at(len(CONTENT) - 10, 100) == CONTENT[-10:]
        assert file.seek(-5, io.SEEK_END) == len(CONTENT) - 5
        assert file.read() == CONTENT[-5:]
        before = file.requests
        assert file.read_at(1_000_000, 1_000) == CONTENT[1_000_000:1_001_000]
        assert file.requests == before
        assert file.bytes_received < 1_000_000
    assert [book.closed for book in shelf.opened] == [True]


def test_a_part_is_asked_for_again_where_it_was_lost(client: Client) -> None:
    shelf = Shelf(version='"1"')
    shelf.losses = [500_000]
    with slice_of(shelf, client) as file:
        assert file.read_at(400_000, 800_000) == CONTENT[400_000:1_200_000]
    assert len(shelf.opened) == 2
    shelf.losses = [0] * 5
    with slice_of(shelf, client) as file, pytest.raises(Unreachable):
        file.read_at(0, 10)


@pytest.mark.parametrize(("version", "other"), [('"1"', '"2"'), ('W/"1"', 'W/"2"')])
def test_parts_of_two_versions_are_never_mixed(client: Client, version: str, other: str) -> None:
    shelf = Shelf(version=version)
    shelf.losses = [500_000]
    with slice_of(shelf, client) as file:
        assert file.read_at(0, 10) == CONTENT[:10]
        shelf.version = other
        with pytest.raises(Replaced):
            file.read_at(400_000, 800_000)


def test_a_file_of_another_size_than_the_index_states_is_refused(client: Client) -> None:
    with slice_of(Shelf(), client, 5) as file, pytest.raises(SizeMismatch):
        file.read_at(0, 3)
