"""A repository that is a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from contract import SESSION, TIMES, WriteContract, some

from onelight.client import Client
from onelight.config import Settings
from onelight.errors import ConfigError, NoSpace, RepositoryNotFound, UnsafeData
from onelight.index import INDEX_NAME, Entry, Index
from onelight.kinds import open_repository
from onelight.kinds.local import LocalRepository
from onelight.owners import owner


class TestLocal(WriteContract):
    kind = "local"
    sees_only_what_is_committed = False

    @pytest.fixture
    def repository(self, tmp_path: Path) -> LocalRepository:
        self.root = tmp_path / "root"
        self.root.mkdir()
        return self.another()

    def another(self) -> LocalRepository:
        return LocalRepository("here", self.root)

    def fill(self, files: Mapping[str, bytes]) -> None:
        shutil.rmtree(self.root)
        self.root.mkdir()
        for path, content in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(content)

    def there(self) -> dict[str, bytes]:
        paths = [path for path in self.root.rglob("*") if path.is_file() and not path.name.startswith(".")]
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in paths}

    def requests(self) -> int:
        return 0

    def changes(self) -> int:
        return hash(tuple(sorted((str(path), path.stat().st_mtime_ns) for path in self.root.rglob("*"))))

    def begin(self, path: str, content: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name(f".{target.name}.0123abcd.part").write_bytes(content[:1_000_000])


def test_a_folder_that_is_not_there_is_told_with_the_way_out(tmp_path: Path) -> None:
    repository = LocalRepository("here", tmp_path / "gone")
    with pytest.raises(RepositoryNotFound, match="gone") as caught:
        repository.refresh()
    assert "add-repo here --replace --local" in caught.value.hint
    assert list(repository.stored()) == []


def test_an_empty_folder_is_an_empty_repository_without_remarks(tmp_path: Path) -> None:
    index = LocalRepository("here", tmp_path).refresh()
    assert (len(index), index.remarks) == (0, ())


def test_what_is_not_alf_is_a_remark(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    [remark] = LocalRepository("here", tmp_path).refresh().remarks
    assert "notes.txt" in remark


def test_what_a_killed_process_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "from onelight.owners import owner; print(owner())"], capture_output=True, check=True
    )
    folder = (tmp_path / TIMES).parent
    folder.mkdir(parents=True)
    theirs, living = folder / f".{dead.stdout.decode().strip()}.part", folder / f".{owner()}.part"
    for part in (theirs, living):
        part.write_bytes(b"half")
    source = tmp_path / "source"
    source.write_bytes(content := some())
    entry = Entry(TIMES, size=len(content), md5=hashlib.md5(content).hexdigest())
    LocalRepository("here", tmp_path).put(entry, source, lambda _: None)
    assert not theirs.exists()
    assert living.exists(), "somebody works on it"


def test_data_is_used_where_it_is(tmp_path: Path) -> None:
    assert LocalRepository("here", tmp_path).source(Entry(TIMES)) == tmp_path / TIMES
    for path in ("../x", "/etc/passwd", "a/../../x"):
        with pytest.raises(UnsafeData):
            LocalRepository("here", tmp_path).source(Entry(path))
        with pytest.raises(UnsafeData):
            LocalRepository("here", tmp_path).delete(Entry(path))


def test_its_index_has_paths_only_so_that_the_folder_can_be_moved(tmp_path: Path) -> None:
    LocalRepository("here", tmp_path).write_index(
        Index([Entry(TIMES, "http://somewhere/else"), Entry(f"{SESSION}/a.b.c")])
    )
    assert (tmp_path / INDEX_NAME).read_text(encoding="utf-8") == f"{SESSION}/a.b.c\n{TIMES}\n"


def test_settings_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with Client() as client:
        repository = open_repository(Settings("here", "local", {"root_dir": "~/data"}), client)
        assert repository.address == str(tmp_path / "data")
        with pytest.raises(ConfigError, match="root_dir"):
            open_repository(Settings("here", "local", {}), client)
        with pytest.raises(ConfigError, match="unknown type 'ftp'"):
            open_repository(Settings("here", "ftp", {}), client)


def test_a_place_that_cannot_be_written_is_an_error_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "lab").write_bytes(b"a file where a folder should be")
    source = tmp_path / "source"
    source.write_bytes(content := some())
    entry = Entry(TIMES, size=len(content), md5="0" * 32)
    with pytest.raises(NoSpace, match="cannot be written"):
        LocalRepository("here", tmp_path).put(entry, source, lambda _: None)
    assert sorted(os.listdir(tmp_path)) == ["lab", "source"]  # noqa: PTH208 - names are what is compared
