"""One door for every file: the extension chooses, libraries wait, foreign errors do not pass."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from onelight.errors import AccessDenied, AlfError, DatasetNotFound, OneError, RepositoryError, UnsafeData
from onelight.loading import load_file, registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_importing_the_package_imports_no_library() -> None:
    code = (
        "import sys, onelight.loading as loading; loading.Bunch(a=1); loading.load_file; "
        "print(sorted({'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_an_array_imports_no_pandas(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(2))
    code = (
        "import sys, pathlib, onelight.loading; onelight.loading.load_file(pathlib.Path(sys.argv[1])); "
        "print(sorted({'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.npy")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(registry.READERS))
def test_every_reader_of_the_table_exists(name: str) -> None:
    assert callable(registry.imported(registry.READERS[name]))


@pytest.mark.parametrize("name", ["eye.movie.mp4", "ephys.raw.bin", "README"])
def test_any_other_file_gives_its_path(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x93NUMPY")
    assert load_file(tmp_path / name) == tmp_path / name


def test_the_extension_may_be_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "A.JSON").write_text("[1]")
    assert load_file(tmp_path / "A.JSON") == [1]


@pytest.mark.parametrize("extension", [*registry.READERS, ".mp4"])
def test_a_missing_file_is_a_missing_dataset(tmp_path: Path, extension: str) -> None:
    with pytest.raises(DatasetNotFound, match=r"is not there\. Download it, or check the path") as caught:
        load_file(tmp_path / f"spikes.times{extension}")
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_file_below_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(DatasetNotFound):
        load_file(tmp_path / "a" / "spikes.times.npy")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "spikes.times.npy").mkdir()
    with pytest.raises(UnsafeData, match="is not a file"):
        load_file(tmp_path / "spikes.times.npy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "spikes.times.npy")
    with pytest.raises(UnsafeData, match="is not a file"):
        load_file(tmp_path / "spikes.times.npy")


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        (FileNotFoundError(2, "No such file"), DatasetNotFound),
        (NotADirectoryError(20, "Not a directory"), DatasetNotFound),
        (PermissionError(13, "Permission denied"), AccessDenied),
        (OSError(5, "Input/output error"), RepositoryError),
        (ValueError("mmap length is greater than filesize"), UnsafeData),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), UnsafeData),
        (MemoryError(), UnsafeData),
    ],
)
def test_no_foreign_error_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: Exception, ours: type[OneError]
) -> None:
    def failing(path: Path) -> object:
        raise foreign

    (tmp_path / "a.npy").write_bytes(b"")
    monkeypatch.setattr("onelight.loading.npy.read_npy", failing)
    with pytest.raises(ours) as caught:
        load_file(tmp_path / "a.npy")
    assert caught.value.__cause__ is foreign
    assert str(tmp_path / "a.npy") in caught.value.message
    assert caught.value.hint


def test_a_bug_of_ours_is_not_blamed_on_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path) -> object:
        raise TypeError("a bug")

    (tmp_path / "a.npy").write_bytes(b"")
    monkeypatch.setattr("onelight.loading.npy.read_npy", failing)
    with pytest.raises(TypeError, match="a bug"):
        load_file(tmp_path / "a.npy")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros(2))
    path.chmod(0)
    with pytest.raises(AccessDenied, match="may not be read"):
        load_file(path)


@pytest.fixture
def own_readers() -> Iterator[None]:
    """Forget the readers of a test."""
    before = dict(registry._own)
    yield
    registry._own.clear()
    registry._own.update(before)


def test_a_reader_of_your_own_reads_its_extension(tmp_path: Path, own_readers: None) -> None:
    registry.register_reader("tdms", lambda path: path.read_text().upper())
    registry.register_reader(".NPY", lambda path: "mine")
    (tmp_path / "a.b.tdms").write_text("x")
    (tmp_path / "a.b.npy").write_text("x")
    assert load_file(tmp_path / "a.b.TDMS".lower()) == "X"
    assert load_file(tmp_path / "a.b.npy") == "mine"


def test_the_errors_of_your_own_reader_are_told_like_ours(tmp_path: Path, own_readers: None) -> None:
    registry.register_reader("count", lambda path: int(path.read_text()))
    (tmp_path / "a.b.count").write_text("many")
    with pytest.raises(UnsafeData, match=r"a\.b\.count is damaged: invalid literal"):
        load_file(tmp_path / "a.b.count")


@pytest.mark.parametrize("extension", ["", ".", "a.b", "a/b"])
def test_what_is_no_extension_has_no_reader(extension: str) -> None:
    with pytest.raises(AlfError, match="is not the extension of a file"):
        registry.register_reader(extension, str)


def test_a_reader_gets_the_options_that_it_knows_and_no_others(tmp_path: Path, own_readers: None) -> None:
    def read(path: Path, *, mmap: bool | None = None) -> tuple[str, bool | None]:
        return path.name, mmap

    registry.register_reader("own", read)
    (tmp_path / "a.b.own").touch()
    assert load_file(tmp_path / "a.b.own", mmap=True, metadata={"dtype": "int16"}) == ("a.b.own", True)


def test_a_missing_library_is_named_with_the_extra_that_has_it(tmp_path: Path) -> None:
    (tmp_path / "a.b.nwb").write_bytes(b"\x89HDF\r\n\x1a\n")
    code = (
        "import sys; sys.modules['h5py'] = None; import pathlib, onelight.loading as loading\n"
        "try: loading.load_file(pathlib.Path(sys.argv[1]))\n"
        "except ImportError as error: print(type(error).__name__, error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.b.nwb")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MissingExtra ")
    assert "is read by h5py, which is not installed" in done.stdout
    assert "python -m pip install 'onelight[hdf5]'" in done.stdout
