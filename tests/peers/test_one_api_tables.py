"""ONE-api opens a folder that we have indexed: it finds what we find, loads what we load, and warns of nothing.

``python -m pip install ONE-api`` in an environment of its own; its Python is then named by ``ONELIGHT_ONE_API_PYTHON``.
Written against ONE-api 3.6.1.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from onelight.api import One, write_index
from onelight.checksum import md5_of
from onelight.index import DATASETS_NAME, SESSIONS_NAME, Entry
from onelight.tables import read_tables, write_tables

PYTHON = os.environ.get("ONELIGHT_ONE_API_PYTHON", "")
pytestmark = pytest.mark.skipif(
    not PYTHON, reason="ONE-api is not installed: set ONELIGHT_ONE_API_PYTHON to a Python that has it"
)

# Every warning is an error, and every line of a log that is one, too.
OPEN = """
import hashlib, json, logging, sys, warnings
import numpy as np
from one.api import One
import one.alf.cache

said = []
class Ear(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
for name in ("", "one", "ibllib"):
    logging.getLogger(name).addHandler(Ear(logging.WARNING))
warnings.simplefilter("error")
folder = sys.argv[1]
one = One(cache_dir=folder, mode="local")
"""
LOOK = """
def digest(array):
    return [str(array.dtype), list(array.shape), hashlib.md5(np.ascontiguousarray(array).tobytes()).hexdigest()]
found = {}
for eid in one.search():
    session = one.eid2path(eid).relative_to(folder).as_posix()
    assert one.path2eid(one.eid2path(eid)) == eid and one.to_eid(str(eid)) == eid
    found[session] = {"eid": str(eid), "datasets": {}}
    frame = one.list_datasets(eid, details=True)
    assert one.load_dataset_from_id(frame.index[0], download_only=True) == one.eid2path(eid) / frame["rel_path"].iloc[0]
    assert sorted(frame["rel_path"]) == list(one.list_datasets(eid))
    for id_, path in frame["rel_path"].items():
        loaded = one.load_dataset(eid, path)
        found[session]["datasets"][path] = [str(id_), digest(loaded) if isinstance(loaded, np.ndarray) else None]
print(json.dumps([found, said]))
"""
SAVE = """
one.save_cache(clobber=True)
"""
# The types of what is loaded, its index and every cell but ids, which ONE-api makes from the clock.
COMPARE = """
import pathlib
own = pathlib.Path(sys.argv[2])
warnings.simplefilter("default")
from one.alf.cache import load_tables, make_parquet_db
make_parquet_db(folder, out_dir=own, hash_files=True)
ours, theirs = load_tables(folder), load_tables(own)
different = []
for table in ("sessions", "datasets"):
    mine, its = ours[table], theirs[table]
    if list(mine.index.names) != list(its.index.names) or type(mine.index) is not type(its.index):
        different.append([table, "index"])
    for level in range(mine.index.nlevels):
        ids = mine.index.get_level_values(level)
        if {type(id_).__name__ for id_ in ids} != {"UUID"} or {id_.version for id_ in ids} != {3}:
            different.append([table, "ids"])
    kept = mine[list(its.columns)]
    different += [[table, name] for name in its.columns if kept[name].dtype != its[name].dtype]
    if list(mine.columns)[: len(its.columns)] != list(its.columns):
        different.append([table, "order"])
    if table == "sessions":
        key = ["lab", "subject", "date", "number"]
    else:
        kept, its = (frame.join(all_[["subject", "date", "number"]], on="eid")
                     for frame, all_ in ((kept, ours["sessions"]), (its, theirs["sessions"])))
        key = ["subject", "date", "number", "rel_path"]
    kept, its = (frame.sort_values(key).reset_index(drop=True) for frame in (kept, its))
    if not kept.equals(its):
        different.append([table, "cells", kept.to_string(), its.to_string()])
extra = [name for name in ours["datasets"].columns if name not in theirs["datasets"].columns]
print(json.dumps([different, extra, len(its)]))
"""


def entries_of(root: Path, *, hashed: bool = True) -> Iterator[Entry]:
    for path in sorted(root.glob("*/Subjects/**/*"), key=lambda path: path.relative_to(root).as_posix()):
        if path.is_file():
            md5 = md5_of(path) if hashed else None
            yield Entry(path.relative_to(root).as_posix(), "", path.stat().st_size, md5)


def ask(script: str, folder: Path, *arguments: Path) -> Any:
    command = [PYTHON, "-c", OPEN + script, str(folder), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def sessions_of(found: dict[str, Any]) -> dict[str, set[str]]:
    return {session: set(one["datasets"]) for session, one in found.items()}


@pytest.fixture
def root(data_root: Path) -> Path:
    """Return a folder with names that are read in another way, and with revisions."""
    session, _, *others = sorted(data_root.glob("*/Subjects/*/*/*"))
    for other in others:  # ONE-api takes a tenth of a second for each file
        shutil.rmtree(other)
    for number, name in enumerate(
        ("alf/#2024-05-06#/spikes.times.npy", "alf/#2022#/spikes.times.npy", "été/trials.goCue_times_bpod.raw.npy")
    ):
        (session / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(session / name, np.arange(number + 3.0))
    return data_root


@pytest.mark.parametrize("hashed", [True, False])
def test_it_finds_what_we_find_and_loads_what_we_load(
    root: Path, hashed: bool, add_repository: Callable[..., str]
) -> None:
    entries = list(entries_of(root, hashed=hashed))
    foreign = {each.path for each in write_tables(entries, root)}
    found, said = ask(LOOK, root)
    assert said == []
    write_index(root)
    ours = One(add_repository("here", "local", root_dir=str(root)))
    assert sorted(found) == ours.search()
    for session, datasets in sessions_of(found).items():
        assert datasets == {entry.below for entry in ours.entries(session) if entry.path not in foreign}
        for path in datasets:
            if path.endswith(".npy"):
                loaded = np.load(root / session / path)
                if loaded.ndim == 2 and loaded.shape[1] == 1:  # as both give it
                    loaded = loaded[:, 0]
                whole = hashlib.md5(np.ascontiguousarray(loaded).tobytes()).hexdigest()
                assert found[session]["datasets"][path][1] == [str(loaded.dtype), list(loaded.shape), whole]


def test_its_tables_of_the_same_folder_have_the_same_cells(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    # It writes a row that it cannot read for a name that its own grammar refuses.
    foreign = write_tables(entries_of(root), root)
    for each in foreign:
        (root / each.path).unlink()
    different, extra, count = ask(COMPARE, root, own)
    assert different == []
    assert extra == ["default_revision", "session", "dtype", "shape"]
    assert count > 100


def test_the_newest_revision_is_the_default(root: Path) -> None:
    write_tables(entries_of(root), root)
    script = """
eid = next(e for e in one.search() if any("2024-05-06" in p for p in one.list_datasets(e)))
print(json.dumps([one.load_dataset(eid, "spikes.times.npy", collection="alf").tolist(),
                  one.load_dataset(eid, "spikes.times.npy", collection="alf", revision="2023").tolist(),
                  one.list_datasets(eid, "spikes.times.npy", default_revisions_only=True), said]))
"""
    newest, older, default, said = ask(script, root)
    assert (newest, older, default, said) == ([0, 1, 2], [0, 1, 2, 3], ["alf/#2024-05-06#/spikes.times.npy"], [])


def test_its_ids_are_the_same_after_another_indexing_in_another_place(root: Path, tmp_path: Path) -> None:
    write_tables(entries_of(root), root)
    before, _ = ask(LOOK, root)
    for name in (DATASETS_NAME, SESSIONS_NAME):
        (root / name).unlink()
    new = root.rename(tmp_path / "moved")
    (new / min(before) / "alf" / "more.times.npy").write_bytes(next(new.glob("**/spikes.times.npy")).read_bytes())
    write_tables(entries_of(new), new)
    after, _ = ask(LOOK, new)
    for session, one in before.items():
        assert after[session]["eid"] == one["eid"]
        assert after[session]["datasets"].items() >= one["datasets"].items()
    assert len({id_ for one in after.values() for id_, _ in one["datasets"].values()}) == sum(
        len(one["datasets"]) for one in after.values()
    )


def test_it_opens_a_folder_that_we_have_downloaded(
    root: Path, tmp_path: Path, serve: Callable[..., Any], add_repository: Callable[..., str]
) -> None:
    write_index(root)
    there = One(add_repository("web", "http", base_url=serve(root).url + "/"), cache_dir=tmp_path / "downloaded")
    session = there.search()[0]
    there.download(session)
    folder = next(tmp_path.glob("downloaded/**/Subjects")).parents[1]
    write_tables(entries_of(folder), folder)
    found, said = ask(LOOK, folder)
    assert (sorted(found), said) == ([session], [])


def test_an_empty_folder_is_opened(tmp_path: Path) -> None:
    write_tables([], tmp_path)
    assert ask(LOOK, tmp_path) == [{}, []]


def test_we_read_a_table_that_it_has_saved(root: Path) -> None:
    write_tables(entries_of(root), root)
    before, ours = sorted(read_tables(root / DATASETS_NAME)), (root / DATASETS_NAME).read_bytes()
    ask(SAVE, root)
    assert (root / DATASETS_NAME).read_bytes() != ours
    assert b"onelight" not in (pq.ParquetFile(root / DATASETS_NAME).metadata.metadata or {})
    known = list(read_tables(root / DATASETS_NAME))
    assert sorted(known) == [row for row in before if row in set(known)]
    assert len(known) > 100
