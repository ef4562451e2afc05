"""What every kind of repository must do, whatever it is made of.

A kind's test class inherits :class:`ReadContract`, or :class:`WriteContract` if it takes files, and gives the hooks,
which go behind the back of the product: they put files and look at files by other means.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from onelight.client import Client
from onelight.errors import ChecksumMismatch, OneError
from onelight.index import EMPTY_MD5, Entry, Index
from onelight.kinds import KINDS
from onelight.repository import Repository, WritableRepository
from onelight.transfer import Ledger, Outcome, download, plan_download

SESSION = "lab/Subjects/Cori/2016-12-14/001"
OTHER = "lab/Subjects/Forssmann/2017-11-01/002"
TIMES = f"{SESSION}/alf/spikes.times.npy"
CLUSTERS = f"{SESSION}/alf/probe00/spikes.clusters.npy"
ELSEWHERE = f"{OTHER}/alf/trials.intervals.npy"
ODD = [
    f"{SESSION}/alf/#2024-05-06#/spikes.times.npy",
    f"{SESSION}/alf/probe 00/#v 1.0 ü#/_ibl_spikes.times.npy",
    f"{SESSION}/alf/spikes.times.extra part.é漢字.npy",
    f"{SESSION}/alf/spikes.a+b&c=d%20e;f,g@h!i'(j).npy",
    f"{SESSION}/alf/spikes.times_ephysClock.probe00[1].{{2}}.npy",
    f"{SESSION}/spikes.no_collection.npy",
]
UNSAFE = [
    "../x.y.npy",
    f"{SESSION}/alf/../../../../../../x.y.npy",
    "/etc/x.y.npy",
    "C:/lab/x.y.npy",
    f"{SESSION}/alf\\..\\..\\x.y.npy",
    f"{SESSION}/alf/spikes.ti\0mes.npy",
    f"{SESSION}//alf/spikes.times.npy",
    "",
]


def some(size: int = 3000) -> bytes:
    return os.urandom(size)


def sources_of(repository: Repository, entries: Iterable[Entry]) -> list[object]:
    return [repository.source(entry) for entry in entries]


class ReadContract:
    """What every repository must do that can be read."""

    kind: str

    # The hooks

    @pytest.fixture
    def repository(self) -> Repository:
        """A repository on a place that holds nothing yet."""
        raise NotImplementedError

    def another(self) -> Repository:
        """Another object on the same place, as the next process would make it."""
        raise NotImplementedError

    def fill(self, files: Mapping[str, bytes]) -> None:
        """Make the place hold exactly these files, committed, by other means than the product's."""
        raise NotImplementedError

    def requests(self) -> int:
        """How many requests the place has had; 0 for ever where there is nobody to ask."""
        raise NotImplementedError

    # The promises

    def fetched(self, repository: Repository, index: Index, client: Client, folder: Path) -> dict[str, bytes]:
        ledger = Ledger(folder)
        outcomes: list[Outcome] = download(plan_download(index, folder, ledger), repository, client, folder, ledger)
        for outcome in outcomes:
            assert outcome.error is None, outcome.error
        return {outcome.path: outcome.target.read_bytes() for outcome in outcomes}

    def test_it_is_in_the_table_of_kinds(self, repository: Repository) -> None:
        assert repository.kind == self.kind
        assert KINDS[self.kind][1] == type(repository).__name__
        assert repository.address

    def test_the_index_has_exactly_what_is_there(self, repository: Repository) -> None:
        files = {path: some() for path in (TIMES, CLUSTERS, ELSEWHERE)}
        self.fill(files)
        index = repository.refresh()
        assert [entry.path for entry in index] == sorted(files)
        assert index.sessions == [SESSION, OTHER]
        for entry in index:
            assert entry.size in (None, len(files[entry.path]))
            assert entry.md5 in (None, hashlib.md5(files[entry.path]).hexdigest())

    def test_every_byte_comes_back(self, repository: Repository, client: Client, tmp_path: Path) -> None:
        files = {TIMES: some(3_300_000), CLUSTERS: some(1), ELSEWHERE: some()}
        self.fill(files)
        assert self.fetched(repository, repository.refresh(), client, tmp_path / "to") == files

    def test_odd_names_come_back_as_they_are(self, repository: Repository, client: Client, tmp_path: Path) -> None:
        files = {path: path.encode() for path in ODD}
        self.fill(files)
        index = repository.refresh()
        assert {entry.path for entry in index} == set(ODD)
        assert self.fetched(repository, index, client, tmp_path / "to") == files

    def test_an_index_is_renewed_when_the_place_has_changed(self, repository: Repository) -> None:
        self.fill({TIMES: some()})
        assert [entry.path for entry in repository.refresh()] == [TIMES]
        assert [entry.path for entry in repository.refresh()] == [TIMES]
        self.fill({TIMES: some(), ELSEWHERE: some()})
        assert [entry.path for entry in repository.refresh()] == [TIMES, ELSEWHERE]
        self.fill({ELSEWHERE: some()})
        assert [entry.path for entry in repository.refresh()] == [ELSEWHERE]

    def test_to_say_where_bytes_are_asks_nobody(self, repository: Repository) -> None:
        self.fill({TIMES: some()})
        index = repository.refresh()
        before = self.requests()
        gone = Entry(CLUSTERS, index[TIMES].url.replace("times", "clusters"))
        first = sources_of(repository, [*index, gone])
        assert sources_of(repository, [*index, gone]) == first
        assert self.requests() == before

    @pytest.mark.parametrize("path", UNSAFE)
    def test_an_unsafe_path_becomes_no_file(
        self, repository: Repository, client: Client, tmp_path: Path, path: str
    ) -> None:
        self.fill({TIMES: some()})
        url = repository.refresh()[TIMES].url
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(OneError):
            self.fetched(repository, Index([Entry(f"{path}", url)]), client, tmp_path / "to")
        assert sorted(tmp_path.rglob("*")) == before


class WriteContract(ReadContract):
    """What every repository must do that takes files."""

    sees_only_what_is_committed = True

    def there(self) -> dict[str, bytes]:
        """Return every file that the place holds, by other means than the product's; empty ones may be left out."""
        raise NotImplementedError

    def changes(self) -> int:
        """How many requests have changed the place; for a folder, how often its files were written."""
        raise NotImplementedError

    def begin(self, path: str, content: bytes) -> None:
        """Leave a file half-way, as a killed process does."""
        raise NotImplementedError

    # Doing

    def local(self, folder: Path, path: str, content: bytes) -> tuple[Entry, Path]:
        source = folder / "mine" / hashlib.md5(path.encode()).hexdigest()
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(content)
        return Entry(path, size=len(content), md5=hashlib.md5(content).hexdigest()), source

    def put(self, repository: WritableRepository, folder: Path, path: str, content: bytes) -> tuple[Entry, int]:
        """Put a file; return the entry and how many bytes were reported."""
        sent: list[int] = []
        entry, source = self.local(folder, path, content)
        return repository.put(entry, source, sent.append), sum(sent)

    def share(self, repository: WritableRepository, folder: Path, files: Mapping[str, bytes]) -> bool:
        """Put these files and commit them together with what is stored."""
        stored = {entry.path: entry for entry in repository.stored()}
        for path, content in files.items():
            stored[path] = self.put(repository, folder, path, content)[0]
        return repository.write_index(Index(stored.values()))

    # The promises

    def test_what_was_put_and_committed_is_what_readers_see(
        self, repository: WritableRepository, client: Client, tmp_path: Path
    ) -> None:
        files = {TIMES: some(2_500_000), CLUSTERS: some(), ELSEWHERE: some(1)}
        assert self.share(repository, tmp_path, files) is True
        for reader in (repository, self.another()):
            index = reader.refresh()
            assert [entry.path for entry in index] == sorted(files)
            for entry in index:
                assert entry.size == len(files[entry.path])
                assert entry.md5 in (None, hashlib.md5(files[entry.path]).hexdigest())
        assert self.fetched(repository, repository.refresh(), client, tmp_path / "to") == files
        assert self.there() == files

    def test_an_entry_comes_back_as_it_is_stored(self, repository: WritableRepository, tmp_path: Path) -> None:
        content = some(2_500_000)
        entry, sent = self.put(repository, tmp_path, TIMES, content)
        assert (entry.path, entry.size, entry.md5) == (TIMES, len(content), hashlib.md5(content).hexdigest())
        assert sent == len(content)

    def test_what_is_there_is_not_sent_again(self, repository: WritableRepository, tmp_path: Path) -> None:
        content = some(2_500_000)
        self.share(repository, tmp_path, {TIMES: content})
        before = self.changes()
        for again in (repository, self.another()):
            entry, _ = self.put(again, tmp_path, TIMES, content)
            assert (entry.size, entry.md5) == (len(content), hashlib.md5(content).hexdigest())
            again.stored()
            self.put(again, tmp_path, TIMES, content)
        assert self.changes() == before
        assert self.there() == {TIMES: content}

    def test_what_was_put_and_not_committed_is_not_sent_again(
        self, repository: WritableRepository, tmp_path: Path
    ) -> None:
        content = some(2_500_000)
        self.put(repository, tmp_path, TIMES, content)
        before = self.changes()
        self.put(repository, tmp_path, TIMES, content)
        again = self.another()
        assert again.stored()[TIMES].md5 == hashlib.md5(content).hexdigest()
        self.put(again, tmp_path, TIMES, content)
        assert self.changes() == before

    def test_a_replaced_content_is_what_readers_then_see(
        self, repository: WritableRepository, client: Client, tmp_path: Path
    ) -> None:
        old, new = some(), some()
        self.share(repository, tmp_path, {TIMES: old, ELSEWHERE: old})
        for writer, content in ((repository, new), (self.another(), some(10)), (repository, old)):
            assert self.share(writer, tmp_path, {TIMES: content}) in (True, False)
            index = self.another().refresh()
            assert index[TIMES].size == len(content)
            got = self.fetched(self.another(), index, client, tmp_path / hashlib.md5(content).hexdigest())
            assert got == {TIMES: content, ELSEWHERE: old}
            assert self.there() == {TIMES: content, ELSEWHERE: old}, "what was replaced is gone"

    def test_readers_see_nothing_before_the_commit(
        self, repository: WritableRepository, client: Client, tmp_path: Path
    ) -> None:
        if not self.sees_only_what_is_committed:
            pytest.skip("a folder is what it holds")
        old = some()
        self.share(repository, tmp_path, {TIMES: old})
        self.put(repository, tmp_path, TIMES, some())
        self.put(repository, tmp_path, ELSEWHERE, some())
        reader = self.another()
        index = reader.refresh()
        assert [entry.path for entry in index] == [TIMES]
        assert self.fetched(reader, index, client, tmp_path / "to") == {TIMES: old}

    def test_stored_has_what_is_whole_and_nothing_else(self, repository: WritableRepository, tmp_path: Path) -> None:
        assert list(repository.stored()) == []
        content = some(2_500_000)
        self.put(repository, tmp_path, TIMES, content)
        self.begin(CLUSTERS, some(2_500_000))
        for one in (repository, self.another()):
            [entry] = one.stored()
            assert (entry.path, entry.size, entry.md5) == (TIMES, len(content), hashlib.md5(content).hexdigest())

    def test_what_was_left_half_way_does_no_harm(
        self, repository: WritableRepository, client: Client, tmp_path: Path
    ) -> None:
        content = some(2_500_000)
        self.begin(TIMES, content)
        self.share(repository, tmp_path, {TIMES: content})
        assert self.there() == {TIMES: content}
        assert self.fetched(repository, repository.refresh(), client, tmp_path / "to") == {TIMES: content}

    def test_an_empty_file_is_a_file(self, repository: WritableRepository, client: Client, tmp_path: Path) -> None:
        self.share(repository, tmp_path, {TIMES: b"", CLUSTERS: some()})
        for reader in (repository, self.another()):
            entry = reader.refresh()[TIMES]
            assert (entry.size, entry.md5 or EMPTY_MD5) == (0, EMPTY_MD5)
            assert self.fetched(reader, Index([entry]), client, tmp_path / "to") == {TIMES: b""}
        assert TIMES in self.another().stored()
        before = self.changes()
        assert self.share(self.another(), tmp_path, {TIMES: b""}) is False
        assert self.changes() == before
        self.share(self.another(), tmp_path, {TIMES: b"no more"})
        assert self.another().refresh()[TIMES].size == 7
        self.share(self.another(), tmp_path, {TIMES: b""})
        assert self.another().refresh()[TIMES].size == 0

    def test_odd_names_are_put_as_they_are(
        self, repository: WritableRepository, client: Client, tmp_path: Path
    ) -> None:
        files = {path: path.encode() for path in ODD}
        self.share(repository, tmp_path, files)
        reader = self.another()
        assert self.fetched(reader, reader.refresh(), client, tmp_path / "to") == files
        assert {entry.path for entry in reader.stored()} == set(ODD)
        before = self.changes()
        assert self.share(reader, tmp_path, files) is False
        assert self.changes() == before

    def test_the_same_index_is_not_written_twice(self, repository: WritableRepository, tmp_path: Path) -> None:
        assert self.share(repository, tmp_path, {TIMES: some()}) is True
        before = self.changes()
        index = Index(repository.stored())
        assert repository.write_index(index) is False
        again = self.another()
        assert again.write_index(Index(again.stored())) is False
        assert self.changes() == before

    def test_files_are_put_from_several_threads_at_once(
        self, repository: WritableRepository, client: Client, tmp_path: Path
    ) -> None:
        files = {f"{SESSION}/alf/probe{number:02}/spikes.times.npy": some(1_200_000) for number in range(8)}
        local = {path: self.local(tmp_path, path, content) for path, content in files.items()}
        with ThreadPoolExecutor(8) as pool:
            entries = list(pool.map(lambda path: repository.put(*local[path], lambda _: None), files))
        repository.write_index(Index(entries))
        assert self.there() == files
        assert self.fetched(repository, repository.refresh(), client, tmp_path / "to") == files

    def test_a_file_that_changed_since_it_was_looked_at_is_not_stored(
        self, repository: WritableRepository, tmp_path: Path
    ) -> None:
        """Row D14."""
        old = some()
        self.share(repository, tmp_path, {TIMES: old})
        entry, source = self.local(tmp_path, TIMES, some())
        source.write_bytes(some())
        with pytest.raises(ChecksumMismatch, match="again"):
            repository.put(entry, source, lambda _: None)
        again = self.another()
        assert again.refresh()[TIMES].size == len(old)
        assert again.stored()[TIMES].md5 == hashlib.md5(old).hexdigest()
        assert self.there() == {TIMES: old}

    def test_whoever_watches_can_stop_it(self, repository: WritableRepository, tmp_path: Path) -> None:
        class Stop(OneError):
            pass

        def stop(_: int) -> None:
            raise Stop("enough")

        entry, source = self.local(tmp_path, TIMES, some(3_500_000))
        with pytest.raises(Stop):
            repository.put(entry, source, stop)
        assert list(self.another().stored()) == []

    def test_deleting_removes_the_file_and_twice_is_no_error(
        self, repository: WritableRepository, tmp_path: Path
    ) -> None:
        kept = some()
        self.share(repository, tmp_path, {TIMES: some(), ELSEWHERE: kept})
        entry = repository.stored()[TIMES]
        repository.delete(entry)
        assert self.there() == {ELSEWHERE: kept}
        repository.delete(entry)
        self.another().delete(entry)
        assert self.there() == {ELSEWHERE: kept}
        assert list(self.another().stored()) == [replace(self.another().stored()[ELSEWHERE])]

    @pytest.mark.parametrize("path", UNSAFE)
    def test_an_unsafe_path_is_not_put(self, repository: WritableRepository, tmp_path: Path, path: str) -> None:
        before = self.there()
        with pytest.raises(OneError):
            self.put(repository, tmp_path, path, some())
        assert self.there() == before
        assert not list(tmp_path.parent.glob("x.y.npy"))

    def test_it_says_how_much_more_fits(self, repository: WritableRepository) -> None:
        room = repository.room()
        assert room.bytes_left is None or room.bytes_left > 0
        assert room.files_left is None or room.files_left > 0
