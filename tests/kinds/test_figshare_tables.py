"""The tables of ONE-api lie in the first article beside the index, and are nobody's data."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from boxes import Owner, Recorded
from contract import CLUSTERS, TIMES

from onelight.api import One
from onelight.index import DATASETS_NAME, INDEX_NAME, SESSIONS_NAME
from onelight.tables import read_tables

BESIDE = [DATASETS_NAME, SESSIONS_NAME]


@pytest.fixture
def root(
    box: Recorded, tmp_path: Path, write_files: Callable[..., None], add_repository: Callable[..., str]
) -> Iterator[Path]:
    root = tmp_path / "root"
    write_files(root, TIMES, CLUSTERS)
    np.save(root / TIMES, np.zeros((7, 2)))
    add_repository("figs", "figshare", article_id=box.article_id, token=box.token, api_url=box.api_url)
    yield root
    shutil.rmtree(root)


def tables(owner: Owner) -> list[str]:
    return sorted(row["name"] for row in owner.files() if row["name"].endswith(".pqt"))


def rows(owner: Owner) -> dict[str, tuple[object, ...]]:
    content = io.BytesIO(owner.read(DATASETS_NAME) or b"")
    return {row.path: (row.size, row.dtype, row.shape) for row in read_tables(content)}


def test_an_upload_sends_them_and_they_say_what_is_there(root: Path, owner: Owner) -> None:
    One("figs").upload(root)
    assert tables(owner) == BESIDE
    size = (root / TIMES).stat().st_size
    assert rows(owner) == {TIMES: (size, "float64", (7, 2)), CLUSTERS: ((root / CLUSTERS).stat().st_size, None, None)}
    assert [entry.path for entry in One("figs").refresh()] == [CLUSTERS, TIMES]


def test_they_are_not_sent_again_where_nothing_changed(root: Path, owner: Owner, box: Recorded) -> None:
    One("figs").upload(root)
    box.recorder.seen.clear()
    One("figs").upload(root)
    assert not box.recorder.changes


def test_they_are_replaced_with_the_index(root: Path, owner: Owner) -> None:
    One("figs").upload(root)
    np.save(root / TIMES, np.zeros(3, "int16"))
    One("figs").upload(root)
    assert tables(owner) == BESIDE
    assert rows(owner)[TIMES][1:] == ("int16", (3,))
    assert one_status_is_clean(root)


def one_status_is_clean(root: Path) -> bool:
    return all(one.is_clean for one in One("figs").status(root))


def test_what_another_computer_knows_of_arrays_is_kept(
    root: Path, owner: Owner, tmp_path: Path, write_files: Callable[..., None]
) -> None:
    One("figs").upload(root)
    other = tmp_path / "other"
    write_files(other, TIMES.replace("001/alf", "002/alf"))
    One("figs").upload(other)
    assert rows(owner)[TIMES][1:] == ("float64", (7, 2))
    assert len(rows(owner)) == 3


def test_damaged_tables_are_written_anew(root: Path, owner: Owner) -> None:
    owner.add(DATASETS_NAME, b"PAR1 and nothing else")
    One("figs").upload(root)
    assert tables(owner) == BESIDE
    assert len(rows(owner)) == 2


def test_where_an_article_has_no_room_for_them_the_data_come_first(
    root: Path, owner: Owner, add_repository: Callable[..., str], box: Recorded
) -> None:
    small = {"article_id": box.article_id, "token": box.token, "api_url": box.api_url, "files_per_article": 11}
    One("figs").upload(root)
    add_repository("small", "figshare", **small)
    np.save(root / TIMES, np.zeros(3, "int16"))
    One("small").upload(root)
    assert tables(owner) == [], "those of the older index would say what is not true any more"
    assert len(owner.names()) == 3
    assert INDEX_NAME in owner.names()
