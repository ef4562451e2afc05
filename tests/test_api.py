"""One: searching, fetching, loading and sharing, through every kind of repository."""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from servers import WebServer

import onelight
from onelight.api import One, write_index
from onelight.config import Config
from onelight.errors import (
    AccessDenied,
    AlfError,
    AmbiguousQuery,
    DatasetNotFound,
    NoSpace,
    NotFound,
    ObjectNotFound,
    OneError,
    QuotaExceeded,
    ReadOnlyRepository,
    RepositoryError,
    RepositoryNotFound,
    RowsDiffer,
    SessionNotFound,
    Unreachable,
    UnsafeData,
)
from onelight.tables import read_tables

KINDS = ["local", "http", "figshare"]
CORI = "nicklab/Subjects/Cori/2016-12-14/001"
Add = Callable[..., str]
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def shared_article(sandbox: Any, shared_data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the options of a figshare repository that holds the shared data root."""
    folder = tmp_path_factory.mktemp("shared-article")
    options = {"article_id": sandbox.article_id, "token": sandbox.token, "api_url": sandbox.api_url}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONELIGHT_CONFIG_DIR", str(folder / "config"))
        patch.delenv("FIGSHARE_TOKEN", raising=False)
        from onelight.config import Settings

        Config.load().add(Settings("box", "figshare", options))
        One("box").upload(shutil.copytree(shared_data_root, folder / "root"))
    return options


@pytest.fixture
def connect(
    shared_data_root: Path,
    add_repository: Add,
    serve: Callable[[Path], Any],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Callable[[str], One]:
    """Return a function that opens the shared data root as a repository of one kind."""

    def opened(kind: str) -> One:
        if kind == "local":
            add_repository(kind, kind, root_dir=str(shared_data_root))
        elif kind == "http":
            root = shutil.copytree(shared_data_root, tmp_path / "served")
            write_index(root)
            add_repository(kind, kind, base_url=serve(root).url)
        else:
            add_repository(kind, kind, **request.getfixturevalue("shared_article"))
        return One()

    return opened


def local(add_repository: Add, root: Path) -> One:
    add_repository("made", "local", root_dir=str(root))
    return One("made")


SESSIONS = {
    "labA/Subjects/Cori/2016-12-14/001": ["alf/spikes.times.npy", "alf/spikes.clusters.npy", "alf/trials.goCue.npy"],
    "labA/Subjects/Cori/2016-12-14/002": ["alf/spikesExtra.times.npy"],
    "labA/Subjects/Forssmann/2017-11-01/001": ["alf/trials.goCue.npy", "alf/spikes.times.npy"],
    "labB/Subjects/Cori/2016-12-14/001": ["alf/wheel.position.npy"],
}
CORI_1, CORI_2, FORSSMANN, OTHER = SESSIONS


@pytest.fixture
def made(tmp_path: Path, write_files: Write, add_repository: Add) -> One:
    paths = [f"{session}/{name}" for session, names in SESSIONS.items() for name in names]
    return local(add_repository, write_files(tmp_path / "made", *paths))


class TestSearch:
    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            (None, list(SESSIONS)),
            ([], list(SESSIONS)),
            ("spikes", [CORI_1, FORSSMANN]),
            (["spikes"], [CORI_1, FORSSMANN]),
            (("spikes", "trials"), [CORI_1, FORSSMANN]),
            (["spikes.times", "spikes.clusters"], [CORI_1]),
            (["spikes", "wheel"], []),
            ("spikes*", [CORI_1, CORI_2, FORSSMANN]),
            ("*.times", [CORI_1, CORI_2, FORSSMANN]),
            ("spikes.times.npy", [CORI_1, FORSSMANN]),
            ("spike", []),
            ("times", []),
        ],
    )
    def test_a_session_is_found_if_it_has_every_dataset(self, made: One, asked: Any, found: list[str]) -> None:
        assert made.search(asked) == found

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({"lab": "labA"}, [CORI_1, CORI_2, FORSSMANN]),
            ({"lab": "lab*"}, list(SESSIONS)),
            ({"lab": "lab"}, []),
            ({"subject": "Cori"}, [CORI_1, CORI_2, OTHER]),
            ({"subject": ["Forssmann", "x"]}, [FORSSMANN]),
            ({"subject": ["F*", "C*"], "lab": "labA"}, [CORI_1, CORI_2, FORSSMANN]),
            ({"date": "2016-12-*"}, [CORI_1, CORI_2, OTHER]),
            ({"number": 2}, [CORI_2]),
            ({"number": "2"}, [CORI_2]),
            ({"number": "002"}, [CORI_2]),
            ({"number": [1, "002"]}, list(SESSIONS)),
            ({"subject": []}, []),
        ],
    )
    def test_filters_are_whole_values_with_asterisks_or_any_of_several(
        self, made: One, filters: dict[str, Any], found: list[str]
    ) -> None:
        assert made.search(**filters) == found

    def test_datasets_and_filters_hold_together(self, made: One) -> None:
        assert made.search(["trials", "spikes"], subject="Cori", number=1) == [CORI_1]

    def test_the_answer_is_a_plain_list_of_plain_text(self, made: One) -> None:
        found = made.search()
        assert type(found) is list
        assert {type(session) for session in found} == {str}

    def test_an_empty_pattern_is_refused(self, made: One) -> None:
        with pytest.raises(AlfError, match="not a dataset pattern"):
            made.search("")

    def test_terms_are_what_can_be_asked_for(self, made: One) -> None:
        lab, subject, date, number, types = made.search_terms()
        assert (lab, subject) == (["labA", "labB"], ["Cori", "Forssmann"])
        assert (date, number) == (["2016-12-14", "2017-11-01"], ["001", "002"])
        assert types == ["spikes.clusters", "spikes.times", "spikesExtra.times", "trials.goCue", "wheel.position"]

    def test_the_datasets_of_a_session_are_its_types(self, made: One) -> None:
        assert made.list(f"{CORI_1}/") == ["spikes.clusters", "spikes.times", "trials.goCue"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_of_repository_gives_the_same_answers(
        self, connect: Callable[[str], One], shared_data_root: Path, kind: str
    ) -> None:
        one = connect(kind)
        sessions = sorted(
            {"/".join(path.relative_to(shared_data_root).parts[:5]) for path in shared_data_root.rglob("*.npy")}
        )
        assert one.search() == sessions
        assert one.search(["spikes.times", "trials"], subject="Cori") == sessions[:2]
        assert len(one.list(CORI)) == 55
        assert one.search_terms().subject == ["Cori", "Forssmann"]


class TestLoad:
    @pytest.mark.parametrize("kind", KINDS)
    def test_an_object_is_its_arrays_exactly_as_they_were_written(
        self, connect: Callable[[str], One], shared_data_root: Path, kind: str
    ) -> None:
        one = connect(kind)
        trials, vectors = one.load_object(CORI, "trials", squeeze=False), one.load_object(CORI, "trials")
        files = {path.name.split(".")[1]: path for path in (shared_data_root / CORI / "alf").glob("trials.*.npy")}
        assert set(trials) == set(files)
        for name, path in files.items():
            wanted = np.load(path)
            assert trials[name].dtype == wanted.dtype
            assert np.array_equal(trials[name], wanted)
            assert np.array_equal(vectors[name], wanted[:, 0] if wanted.shape[1] == 1 else wanted)
        assert trials.intervals is trials["intervals"]
        assert f"intervals{' ' * 17}" in repr(trials)
        assert isinstance(trials, onelight.Bunch)
        assert isinstance(trials.copy(), onelight.Bunch)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_dataset_is_an_array_or_a_table(self, connect: Callable[[str], One], kind: str) -> None:
        one = connect(kind)
        assert one.load_dataset(CORI, "spikes.times").ndim == 1
        assert one.load_dataset(CORI, "spikes.times", squeeze=False).shape[1] == 1
        places = one.load_dataset(CORI, "channels.brainLocation")
        assert isinstance(places, pd.DataFrame)
        assert list(places) == ["ccf_ap", "ccf_dv", "ccf_lr", "allen_ontology"]
        path = one.load_dataset(CORI, "spikes.times.npy", download_only=True)
        assert isinstance(path, Path)
        assert path.is_file()

    def test_every_format_is_loaded_and_an_unknown_one_is_a_path(self, tmp_path: Path, add_repository: Add) -> None:
        folder = tmp_path / "root" / CORI / "alf"
        folder.mkdir(parents=True)
        (folder / "a.sheet.csv").write_text("x,y\n1,2\n")
        (folder / "a.tabs.tsv").write_text("x\ty\n1\t2\n")
        (folder / "a.said.json").write_text('{"x": [1]}')
        pd.DataFrame({"x": [1.5]}).to_parquet(folder / "a.frame.pqt")
        np.save(folder / "a.array.npy", np.arange(3))
        (folder / "a.film.mp4").write_bytes(b"film")
        loaded = local(add_repository, tmp_path / "root").load_object(CORI, "a")
        assert loaded.sheet.y[0] == 2
        assert loaded.tabs.y[0] == 2
        assert loaded.said == {"x": [1]}
        assert loaded.frame.x[0] == 1.5
        assert loaded.array.tolist() == [0, 1, 2]
        assert loaded.film == folder / "a.film.mp4"

    def test_an_object_that_is_not_there_names_those_that_are(self, made: One) -> None:
        with pytest.raises(ObjectNotFound) as caught:
            made.load_object(CORI_1, "wheel")
        assert "has no object 'wheel'" in caught.value.message
        assert caught.value.hint == "It has: spikes, trials"
        assert isinstance(caught.value, LookupError)

    def test_a_dataset_that_is_not_there_names_those_that_are_near(self, made: One) -> None:
        with pytest.raises(DatasetNotFound, match=r"no dataset 'spikes.time'.*spikes.times"):
            made.load_dataset(CORI_1, "spikes.time")

    def test_a_session_that_is_not_there_names_those_that_are_near(self, made: One) -> None:
        with pytest.raises(SessionNotFound, match=f"Did you mean.*{CORI_1}"):
            made.list(CORI_1.replace("Cori", "Kori"))

    @pytest.mark.parametrize("session", ["Cori", "labA/Subjects/Cori/2016-12-14", f"{CORI_1}/alf", ""])
    def test_what_is_no_session_says_what_one_is(self, made: One, session: str) -> None:
        for call in (made.list, made.download, lambda text: made.load_object(text, "spikes")):
            with pytest.raises(AlfError, match="LAB/Subjects/SUBJECT/YYYY-MM-DD/NUMBER"):
                call(session)

    def test_a_dataset_asked_for_as_an_object_says_how_to_ask(self, made: One) -> None:
        with pytest.raises(AlfError, match=r"load_dataset\(session, 'spikes.times'\)"):
            made.load_object(CORI_1, "spikes.times")

    def test_a_number_may_be_written_short(self, made: One) -> None:
        assert made.list("labA/Subjects/Cori/2016-12-14/2") == ["spikesExtra.times"]


@pytest.fixture(params=KINDS)
def shared(
    request: pytest.FixtureRequest, add_repository: Add, serve: Callable[[Path], Any], sandbox: Any, article: int
) -> Callable[[Path], One]:
    """Return a function that opens a data root as a repository, of each kind in turn."""

    def opened(root: Path) -> One:
        if request.param == "local":
            return local(add_repository, root)
        if request.param == "http":
            write_index(root)
            add_repository("made", "http", base_url=serve(root).url)
        else:
            add_repository("made", "figshare", article_id=article, token=sandbox.token, api_url=sandbox.api_url)
            One("made").upload(root)
        return One("made")

    return opened


@pytest.fixture
def probes(shared: Callable[[Path], One], tmp_path: Path) -> One:
    """Open a session with two probes, two revisions and two namespaces."""
    root = tmp_path / "probes-root"
    contents = {
        "alf/probe00/spikes.times.npy": 0,
        "alf/probe01/spikes.times.npy": 1,
        "alf/probe01/spikes.clusters.npy": 11,
        "alf/trials.choice.npy": 1,
        "alf/#2023-01-01#/trials.choice.npy": 2023,
        "alf/#2024-05-06#/trials.choice.npy": 2024,
        "alf/#2023-12-31#/trials.choice.npy": 2022,
        "alf/trials.goCue.npy": 5,
        "alf/_ibl_wheel.position.npy": 6,
        "alf/_other_wheel.position.npy": 7,
        "alf/eye.blink.npy": 8,
        "alf/eyelid.angle.npy": 9,
    }
    for path, value in contents.items():
        (root / CORI / path).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / CORI / path, np.full(3, value))
    return shared(root)


@pytest.fixture
def mixed(shared: Callable[[Path], One], tmp_path: Path) -> One:
    """Open a session in which nearly every dataset is there several times; each says by its values which it is."""
    folder = tmp_path / "mixed-root" / CORI
    arrays = {
        "licks.times.npy": 100,
        "alf/licks.times.npy": 101,
        "alf/probe00/spikes.times.npy": 0,
        "alf/probe01/spikes.times.npy": 1,
        "alf/probe01/_ks_spikes.times.npy": 2,
        "alf/trials.choice.npy": 1,
        "alf/#2022-01-28#/trials.choice.npy": 2022,
        "alf/#2024-05-06#/trials.choice.npy": 2024,
        "alf/#2022-01-28#/_ibl_trials.goCue_times.npy": 12,
        "alf/_ibl_trials.goCue_times.npy": 11,
        "alf/trials.intervals.npy": 20,
        "alf/trials.intervals_bpod.npy": 21,
        "alf/clusters.amps.npy": 30,
        "alf/clusters.depths.npy": 31,
        "alf/eye.area.npy": 40,
        "alf/_ibl_eye.area.npy": 41,
        "alf/face.motionEnergy.00.npy": 50,
        "alf/face.motionEnergy.01.npy": 51,
        "alf/#2030-01-01#/new.a.npy": 60,
    }
    for path, value in arrays.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / path, np.full(3, value))
    (folder / "alf" / "clusters.amps.tsv").write_text("amps\n30\n30\n30\n")
    (folder / "alf" / "wheel.raw.bin").write_bytes(np.arange(12, dtype="<i2").tobytes())
    (folder / "alf" / "wheel.raw.metadata.json").write_text('{"dtype": "int16", "shape": [-1, 4]}')
    return shared(tmp_path / "mixed-root")


class TestWhichOne:
    def test_of_several_collections_none_is_guessed_and_all_are_named(self, probes: One) -> None:
        for call in (
            lambda: probes.load_object(CORI, "spikes"),
            lambda: probes.load_dataset(CORI, "spikes.times"),
        ):
            with pytest.raises(AmbiguousQuery) as caught:
                call()
            assert "alf/probe00, alf/probe01" in caught.value.message
            assert "collection='alf/probe00'" in caught.value.hint

    def test_the_same_names_of_two_probes_never_meet(self, probes: One) -> None:
        both = probes.download(CORI, "spikes.times")
        assert len(set(both)) == 2
        assert [int(np.load(path)[0]) for path in both] == [0, 1]
        assert probes.load_object(CORI, "spikes", collection="alf/probe00").times[0] == 0
        second = probes.load_object(CORI, "spikes", collection="alf/probe01/")
        assert (second.times[0], second.clusters[0]) == (1, 11)
        assert probes.load_dataset(CORI, "alf/probe01/spikes.times")[0] == 1

    def test_the_newest_revision_wins(self, probes: One) -> None:
        assert probes.load_dataset(CORI, "trials.choice")[0] == 2024
        trials = probes.load_object(CORI, "trials")
        assert (trials.choice[0], trials.goCue[0]) == (2024, 5)

    def test_a_whole_session_has_every_revision_in_a_place_of_its_own(self, probes: One) -> None:
        paths = probes.download(CORI)
        assert len(paths) == len(set(paths)) == 12
        assert sorted(int(np.load(path)[0]) for path in paths if path.name == "trials.choice.npy") == [
            1,
            2022,
            2023,
            2024,
        ]

    def test_two_files_of_one_attribute_are_not_guessed(self, probes: One) -> None:
        with pytest.raises(AmbiguousQuery, match=r"_ibl_wheel.position.npy, .*_other_wheel.position.npy"):
            probes.load_object(CORI, "wheel")
        assert probes.load_object(CORI, "_ibl_wheel").position[0] == 6

    def test_two_objects_are_never_mixed_into_one(self, probes: One) -> None:
        with pytest.raises(AmbiguousQuery, match="several objects .*: eye, eyelid"):
            probes.load_object(CORI, "eye*")

    def test_a_collection_without_the_object_says_so(self, probes: One) -> None:
        with pytest.raises(
            ObjectNotFound,
            match="no object 'spikes' with collection='alf'. Of it, collection is one of: 'alf/probe00', 'alf/probe01'",
        ):
            probes.load_object(CORI, "spikes", collection="alf")


class TestAsking:
    def test_a_collection_is_meant_as_a_whole_with_asterisks_and_the_empty_one_is_the_session(self, mixed: One) -> None:
        for collection, value in [("", 100), ("alf", 101), ("/alf/", 101), ("a*f", 101)]:
            assert mixed.load_object(CORI, "licks", collection=collection).times[0] == value
            assert mixed.load_dataset(CORI, "licks.times", collection=collection)[0] == value
        assert [entry.below for entry in mixed.entries(CORI, collection="")] == ["licks.times.npy"]
        assert mixed.search(collection="alf/probe01") == [CORI]
        assert mixed.search("licks", collection="alf/probe01") == []
        with pytest.raises(DatasetNotFound, match=r"with collection='al'\. Of it, collection is one of: '', 'alf'"):
            mixed.load_dataset(CORI, "licks.times", collection="al")

    def test_one_probe_is_never_given_for_another(self, mixed: One) -> None:
        here: dict[str, Any] = {"collection": "alf/probe00"}
        assert mixed.load_dataset(CORI, "spikes.times", **here).tolist() == [0, 0, 0]
        assert mixed.load_object(CORI, "spikes", **here).times.tolist() == [0, 0, 0]
        assert mixed.load_collection(CORI, "alf/probe00").spikes.times.tolist() == [0, 0, 0]
        assert [np.load(path)[0] for path in mixed.download(CORI, "spikes", **here)] == [0]
        assert list(mixed.entries(CORI, "spikes", "alf/probe00")) == mixed.entries(CORI, collection="alf/probe00")
        for call in (mixed.load_dataset, mixed.open, mixed.describe):
            with pytest.raises(DatasetNotFound):
                call(CORI, "spikes.clusters", **here)

    @pytest.mark.parametrize(
        ("revision", "choice", "cue"),
        [
            (None, 2024, 12),
            ("2024-05-06", 2024, 12),
            ("2024-05-05", 2022, 12),
            ("2022-01-28", 2022, 12),
            ("2022-01-27", 1, 11),
            ("1", 1, 11),
            ("zz", 2024, 12),
            ("", 1, 11),
        ],
    )
    def test_of_each_dataset_the_newest_revision_up_to_the_one_asked_for(
        self, mixed: One, revision: str | None, choice: int, cue: int
    ) -> None:
        trials = mixed.load_object(CORI, "trials", revision=revision)
        assert (trials.choice[0], trials.goCue_times[0], trials.intervals[0]) == (choice, cue, 20)
        assert mixed.load_dataset(CORI, "trials.choice", revision=revision)[0] == choice
        assert [np.load(path)[0] for path in mixed.download(CORI, "trials.choice", revision=revision)] == [choice]

    def test_what_is_newer_than_asked_for_is_not_there(self, mixed: One) -> None:
        assert mixed.load_dataset(CORI, "new.a")[0] == 60
        with pytest.raises(DatasetNotFound, match="with revision='2024'. Of it, revision is one of: '2030-01-01'"):
            mixed.load_dataset(CORI, "new.a", revision="2024")
        assert mixed.search("new", revision="2024") == []

    def test_a_revision_is_read_by_its_whole_name_too(self, mixed: One) -> None:
        assert mixed.load_dataset(CORI, "alf/#2022-01-28#/trials.choice.npy")[0] == 2022

    def test_a_namespace_counts_only_where_it_is_asked_for(self, mixed: One) -> None:
        assert set(mixed.load_object(CORI, "trials")) == {"choice", "goCue_times", "intervals", "intervals_bpod"}
        assert set(mixed.load_object(CORI, "trials", namespace="ibl")) == {"goCue_times"}
        assert set(mixed.load_object(CORI, "_ibl_trials")) == {"goCue_times"}
        assert "goCue_times" not in mixed.load_object(CORI, "trials", namespace="")
        assert mixed.load_dataset(CORI, "eye.area", namespace="ibl")[0] == 41
        assert mixed.load_dataset(CORI, "eye.area", namespace="")[0] == 40
        assert mixed.search(["eye", "trials"], namespace="ibl") == [CORI]
        assert mixed.search("clusters", namespace="ibl") == []

    def test_a_timescale_is_asked_for_by_itself_or_in_the_name(self, mixed: One) -> None:
        assert mixed.load_dataset(CORI, "trials.intervals")[0] == 20
        assert mixed.load_dataset(CORI, "trials.intervals_bpod")[0] == 21
        assert mixed.load_dataset(CORI, "trials.intervals", timescale="bpod")[0] == 21
        assert mixed.load_dataset(CORI, "trials.intervals", timescale="")[0] == 20
        assert list(mixed.load_object(CORI, "trials", timescale="bpod")) == ["intervals_bpod"]
        assert set(mixed.load_object(CORI, "trials", timescale="")) == {"choice", "goCue_times", "intervals"}

    def test_the_newest_revisions_are_sorted_by_their_path(
        self, tmp_path: Path, write_files: Write, add_repository: Add
    ) -> None:
        paths = ["alf/#2022#/a.b.npy", "alf/#2023#/c.d.npy", "alf/#2024#/a.b.npy"]
        root = write_files(tmp_path / "root", *(f"{CORI}/{path}" for path in paths))
        one = local(add_repository, root)
        assert one.download(CORI, "*", collection="alf") == [root / CORI / path for path in paths[1:]]

    def test_an_extension_is_one_form(self, mixed: One) -> None:
        assert mixed.load_dataset(CORI, "clusters.amps", extension="npy").tolist() == [30, 30, 30]
        assert mixed.load_dataset(CORI, "clusters.amps", extension="tsv").amps.tolist() == [30, 30, 30]
        assert list(mixed.load_object(CORI, "clusters", extension="npy")) == ["amps", "depths"]
        assert mixed.search(extension="bin") == [CORI]
        assert mixed.search(extension="pqt") == []

    def test_everything_is_listed_in_all_revisions_unless_one_is_asked_for(self, mixed: One) -> None:
        assert len(mixed.entries(CORI, "trials.choice")) == 3
        assert [
            entry.dataset.revision for entry in mixed.entries(CORI, "trials.choice", revision="2023") if entry.dataset
        ] == ["2022-01-28"]

    def test_a_whole_session_comes_with_all_revisions_and_a_part_of_it_with_the_newest(self, mixed: One) -> None:
        assert len(mixed.download(CORI)) == 22
        newest = mixed.download(CORI, collection="alf")
        assert newest == sorted(newest)
        assert len({path.name for path in newest}) == len(newest) == 15


class TestSeveral:
    @pytest.mark.parametrize(
        "call",
        [
            "load_object(CORI, 'spikes')",
            "load_object(CORI, 'licks', attribute='times')",
            "load_object(CORI, 'spikes', collection='alf/probe*', attribute=['times'], namespace='')",
            "load_object(CORI, 'clusters')",
            "load_object(CORI, 'clusters', collection='alf')",
            "load_object(CORI, 'eye')",
            "load_dataset(CORI, 'spikes.times', namespace='')",
            "load_dataset(CORI, 'clusters.amps')",
            "load_dataset(CORI, 'eye.area', extension='npy', revision='2030')",
            "load_dataset(CORI, 'eye.area', namespace='*')",
            "load_dataset(CORI, 'trials.intervals*')",
            "load_dataset(CORI, 'face.motionEnergy')",
            "load_dataset(CORI, 'face')",
            "load_dataset(CORI, 'clusters')",
            "load_dataset(CORI, '*', collection='alf/*')",
            "load_dataset(CORI, '*.times')",
            "load_collection(CORI, 'alf/*')",
            "describe(CORI, 'spikes.times')",
            "open(CORI, 'spikes.times', namespace='')",
            "open(CORI, 'face.motionEnergy')",
        ],
    )
    def test_the_call_that_the_hint_shows_works_as_it_stands(self, mixed: One, call: str) -> None:
        names = {"CORI": CORI, "one": mixed}
        with pytest.raises(AmbiguousQuery) as caught:
            eval(f"one.{call}", names)
        words, _, shown = caught.value.hint.partition(": ")
        assert words in {"Choose one", "Load them joined", "Ask for one of them by its whole name"}
        if call.startswith("describe") and mixed.repository.kind == "http":
            return  # that server sends whole files only
        loaded = eval(shown, names)
        assert len(loaded) > 0
        if call.startswith("open"):
            loaded.close()

    def test_all_that_fits_is_named_with_the_keyword_that_picks_one(self, mixed: One) -> None:
        with pytest.raises(AmbiguousQuery) as caught:
            mixed.load_object(CORI, "licks")
        assert "by collection: (no collection), alf" in caught.value.message
        assert (caught.value.keyword, caught.value.values) == ("collection", ("", "alf"))
        assert caught.value.hint == f"Choose one: one.load_object('{CORI}', 'licks', collection='')"

    def test_pieces_in_several_collections_are_chosen_and_joined_in_one_call(
        self, tmp_path: Path, add_repository: Add
    ) -> None:
        for number, path in enumerate(("p0/a.b.00.npy", "p0/a.b.01.npy", "p1/a.b.00.npy", "p1/a.b.01.npy")):
            (tmp_path / "root" / CORI / path).parent.mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / "root" / CORI / path, np.full(1, number))
        one = local(add_repository, tmp_path / "root")
        with pytest.raises(AmbiguousQuery) as caught:
            one.load_dataset(CORI, "a.b")
        assert eval(caught.value.hint.partition(": ")[2], {"one": one}).b.tolist() == [0, 1]

    def test_two_forms_are_told_before_anything_is_fetched(self, mixed: One, config_dir: Path) -> None:
        with pytest.raises(AmbiguousQuery, match="amps is there 2 times.*extension='npy'"):
            mixed.load_object(CORI, "clusters")
        assert not list(config_dir.rglob("clusters.*"))
        assert mixed.load_object(CORI, "clusters", attribute="depths").depths[0] == 31

    @pytest.mark.parametrize("asked", [["alf"], []])
    def test_in_a_collection_or_session_the_call_names_the_object(
        self, mixed: One, asked: list[str], config_dir: Path
    ) -> None:
        with pytest.raises(AmbiguousQuery) as caught:
            (mixed.load_collection if asked else mixed.load_session)(CORI, *asked, check="raise")
        assert not list(config_dir.rglob("*.npy"))
        assert caught.value.hint == (
            f"Choose one: one.load_object('{CORI}', 'clusters', collection='alf', extension='npy')"
        )


class TestParts:
    def test_only_the_attributes_asked_for_are_fetched_and_loaded(self, mixed: One, config_dir: Path) -> None:
        assert list(mixed.load_object(CORI, "trials", attribute="choice")) == ["choice"]
        here = {path.name for path in config_dir.rglob("trials.*")}
        assert here == (set() if mixed.repository.kind == "local" else {"trials.choice.npy"})
        some = mixed.load_object(CORI, "trials", attribute=["intervals", "goCue_times"])
        assert set(some) == {"intervals", "goCue_times"}

    def test_an_attribute_that_is_not_there_names_those_that_are(self, mixed: One) -> None:
        for asked in ("chioce", ["choice", "chioce"]):
            with pytest.raises(DatasetNotFound, match="has no dataset 'trials.chioce'. 'trials' has: .*choice"):
                mixed.load_object(CORI, "trials", attribute=asked)

    def test_a_piece_that_is_missing_is_told_once(self, tmp_path: Path, add_repository: Add, notes: list[str]) -> None:
        folder = tmp_path / "root" / CORI / "alf"
        folder.mkdir(parents=True)
        for number in (0, 2):
            np.save(folder / f"face.motionEnergy.{number}.npy", np.zeros(2))
        assert len(local(add_repository, tmp_path / "root").load_object(CORI, "face").motionEnergy) == 4
        assert notes == ["of the pieces of motionEnergy, number 1 is not there"]

    def test_a_piece_may_be_asked_for_alone(self, mixed: One) -> None:
        assert mixed.load_object(CORI, "face", attribute="motionEnergy.01").motionEnergy.tolist() == [51] * 3

    def test_a_file_that_is_no_dataset_is_loaded_by_its_name(
        self, tmp_path: Path, write_files: Write, add_repository: Add, serve: Callable[[Path], Any]
    ) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/notes.txt", f"{CORI}/README", f"{CORI}/alf/a.b.npy")
        (root / ".one_root").write_text(f"{CORI}/alf/notes.txt\n{CORI}/README\n{CORI}/alf/a.b.npy\n")
        add_repository("web", "http", base_url=serve(root).url)
        one = One("web")
        assert one.load_dataset(CORI, "notes.txt") == f"content of {CORI}/alf/notes.txt"
        assert one.load_dataset(CORI, "README").name == "README"
        assert one.load_dataset(CORI, "notes.txt", download_only=True).read_text().startswith("content of")
        with pytest.raises(ObjectNotFound, match="only a file of this name. Load it with load_dataset"):
            one.load_object(CORI, "README")

    def test_what_explains_a_file_comes_with_it(self, mixed: One) -> None:
        rows = np.arange(12, dtype="<i2").reshape(3, 4)
        assert mixed.load_dataset(CORI, "wheel.raw").tolist() == rows.tolist()
        wheel = mixed.load_object(CORI, "wheel")
        assert (wheel.raw.tolist(), wheel["raw.metadata"]["dtype"]) == (rows.tolist(), "int16")
        assert mixed.load_dataset(CORI, "wheel.raw", extension="json") == {"dtype": "int16", "shape": [-1, 4]}

    def test_what_explains_it_is_not_newer_than_asked_for(self, tmp_path: Path, add_repository: Add) -> None:
        folder = tmp_path / "root" / CORI / "alf"
        (folder / "#2024-05-06#").mkdir(parents=True)
        (folder / "wheel.raw.bin").write_bytes(bytes(12))
        (folder / "#2024-05-06#" / "wheel.raw.metadata.json").write_text('{"dtype": "int16"}')
        one = local(add_repository, tmp_path / "root")
        assert one.load_dataset(CORI, "wheel.raw").shape == (6,)
        assert one.load_dataset(CORI, "wheel.raw", revision="2023") == folder / "wheel.raw.bin"
        assert one.load_object(CORI, "wheel", revision="2024-05-06").raw.shape == (6,)

    def test_numbered_pieces_are_joined(self, mixed: One) -> None:
        assert mixed.load_object(CORI, "face").motionEnergy.tolist() == [50, 50, 50, 51, 51, 51]

    def test_paths_instead_of_contents(self, mixed: One) -> None:
        paths = mixed.load_object(CORI, "face", download_only=True)
        assert [(key, path.name) for key, path in dict.items(paths)] == [
            ("motionEnergy.00", "face.motionEnergy.00.npy"),
            ("motionEnergy.01", "face.motionEnergy.01.npy"),
        ]
        assert all(path.is_file() for path in paths.values())
        with pytest.raises(AmbiguousQuery):  # neither of the two is dropped in silence
            mixed.load_object(CORI, "clusters", download_only=True)

    def test_a_recording_comes_as_its_own_path(
        self, shared: Callable[[Path], One], tmp_path: Path, write_files: Write
    ) -> None:
        names = [f"ephysData.imec0.{band}.{form}" for band in ("ap", "lf") for form in ("cbin", "ch", "meta")]
        one = shared(write_files(tmp_path / "raw-root", *(f"{CORI}/raw/{name}" for name in names)))
        paths = one.load_object(CORI, "ephysData", download_only=True)
        assert {key: path.name for key, path in paths.items()} == {"imec0.ap": names[0], "imec0.lf": names[3]}
        assert paths["imec0.ap"].with_suffix(".ch").is_file()

    def test_arrays_are_mapped_when_that_is_wanted(self, mixed: One) -> None:
        assert isinstance(mixed.load_dataset(CORI, "clusters.depths", mmap=True), np.memmap)
        assert isinstance(mixed.load_object(CORI, "trials", mmap=True).choice, np.memmap)
        assert not isinstance(mixed.load_object(CORI, "trials").choice, np.memmap)

    def test_a_collection_is_its_objects(self, mixed: One) -> None:
        probe = mixed.load_collection(CORI, "alf/probe00")
        assert list(probe) == ["spikes"]
        assert isinstance(probe, onelight.Bunch)
        assert mixed.load_collection(CORI, "").licks.times[0] == 100
        with pytest.raises(DatasetNotFound, match="collection is one of: '', 'alf', 'alf/probe00', 'alf/probe01'"):
            mixed.load_collection(CORI, "alf/probe02")

    def test_a_whole_session_is_loaded_by_collection_and_object(
        self, shared: Callable[[Path], One], tmp_path: Path, notes: list[str]
    ) -> None:
        folder = tmp_path / "session-root" / CORI
        for path, rows in {
            "a.b.npy": 2,
            "alf/c.d.npy": 3,
            "alf/c.e.npy": 4,
            "alf/p/c.d.npy": 5,
            "alf/#1#/f.g.npy": 6,
        }.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            np.save(folder / path, np.zeros((rows, 1)))
        one = shared(tmp_path / "session-root")
        with pytest.raises(RowsDiffer, match="attributes of c differ"):
            one.load_session(CORI, check="raise")
        data = one.load_session(CORI)
        assert any("attributes of c differ" in note for note in notes)
        assert {name: {obj: list(values) for obj, values in found.items()} for name, found in data.items()} == {
            "": {"a": ["b"]},
            "alf": {"c": ["d", "e"], "f": ["g"]},
            "alf/p": {"c": ["d"]},
        }
        assert data["alf/p"].c.d.shape == (5,)
        assert one.load_session(CORI, check="ignore", squeeze=False)["alf/p"].c.d.shape == (5, 1)
        assert "f" not in one.load_session(CORI, check="ignore", revision="")["alf"]

    def test_rows_that_differ_are_the_users_choice(
        self, shared: Callable[[Path], One], tmp_path: Path, notes: list[str]
    ) -> None:
        folder = tmp_path / "rows-root" / CORI / "alf"
        folder.mkdir(parents=True)
        np.save(folder / "trials.choice.npy", np.zeros(412))
        np.save(folder / "trials.goCue_times.npy", np.zeros(415))
        one = shared(tmp_path / "rows-root")
        with pytest.raises(RowsDiffer, match="412 rows  choice\n  415 rows  goCue_times"):
            one.load_object(CORI, "trials")
        assert len(one.load_object(CORI, "trials", check="ignore").choice) == 412
        assert len(one.load_object(CORI, "trials", attribute="choice").choice) == 412
        assert notes == []
        assert len(one.load_object(CORI, "trials", check="warn").goCue_times) == 415
        assert "412 rows  choice" in notes[0]


@pytest.fixture
def far(tmp_path: Path, add_repository: Add) -> Iterator[tuple[One, WebServer, Path]]:
    """Open a session on a server that sends parts of files; with it come the server and the folder that it serves."""
    folder = tmp_path / "far-root" / CORI / "alf"
    folder.mkdir(parents=True)
    np.save(folder / "spikes.times.npy", np.arange(1_000_000) / 4)
    np.save(folder / "spikes.clusters.npy", np.zeros((1_000_000, 1), "u2"))
    np.save(folder / "licks.times.npy", np.arange(4.0))
    (folder / "wheel.raw.bin").write_bytes(np.arange(40_000, dtype="<i2").tobytes())
    (folder / "wheel.raw.metadata.json").write_text('{"dtype": "int16", "shape": [-1, 4]}')
    pd.DataFrame({"choice": np.zeros(100)}).to_parquet(folder / "trials.table.pqt")
    write_index(tmp_path / "far-root")
    with WebServer(root=tmp_path / "far-root") as server:
        add_repository("far", "http", base_url=server.url)
        yield One("far"), server, folder


Far = tuple[One, WebServer, Path]


class TestSlices:
    def test_slices_come_from_the_server_without_the_file(self, far: Far, config_dir: Path) -> None:
        one, server, _ = far
        with one.open(CORI, "spikes.times") as opened:
            assert (opened.shape, opened.dtype) == ((1_000_000,), np.float64)
            assert opened[500_000:500_003].tolist() == [125_000, 125_000.25, 125_000.5]
        sent = [request for request in server.requests if request.path.endswith("spikes.times.npy")]
        assert {request.status for request in sent} == {206}
        assert len(sent) <= 3
        assert not list(config_dir.rglob("*.npy"))

    def test_what_explains_a_file_is_fetched_for_it(self, far: Far) -> None:
        with far[0].open(CORI, "wheel.raw") as opened:
            assert opened.shape == (10_000, 4)
            assert opened[9_999].tolist() == [-25540, -25539, -25538, -25537]

    def test_of_a_file_that_is_here_no_server_is_asked(self, far: Far) -> None:
        one, server, _ = far
        one.download(CORI, "spikes")
        before = len(server.requests)
        with one.open(CORI, "spikes.times") as opened:
            assert opened[-1] == 249_999.75
        assert len(server.requests) == before

    def test_a_server_that_sends_whole_files_only_gives_the_whole_file_and_that_is_told(
        self, far: Far, notes: list[str], config_dir: Path
    ) -> None:
        one, server, _ = far
        server.ranges = False
        with one.open(CORI, "spikes.times") as opened:
            assert opened[4:6].tolist() == [1, 1.25]
        assert len(notes) == 1
        assert notes[0].endswith("that was asked for; the whole file is fetched")
        assert (config_dir / "data" / "far" / CORI / "alf" / "spikes.times.npy").is_file()

    def test_a_form_without_slices_says_so(self, far: Far) -> None:
        with pytest.raises(AlfError, match="cannot be opened in slices. load_dataset loads it whole"):
            far[0].open(CORI, "trials.table")

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_of_repository_gives_slices(self, connect: Callable[[str], One], kind: str) -> None:
        one = connect(kind)
        with one.open(CORI, "spikes.times") as opened:
            assert opened[3:5].tolist() == one.load_dataset(CORI, "spikes.times")[3:5].tolist()


class TestDescribe:
    def test_headers_alone_are_read_in_one_request_for_each_file(self, far: Far, config_dir: Path) -> None:
        one, server, folder = far
        found = one.describe(CORI)
        assert sorted(found) == sorted(f"alf/{path.name}" for path in folder.iterdir())
        times = found["alf/spikes.times.npy"]
        assert (times.dtype, times.shape, times.size) == ("float64", (1_000_000,), 8_000_128)
        assert (found["alf/trials.table.pqt"].rows, found["alf/wheel.raw.bin"].shape) == (100, (10_000, 4))
        asked = [request.path for request in server.requests if request.path.endswith((".npy", ".bin"))]
        assert len(asked) == len(set(asked)) == 4
        assert not list(config_dir.rglob("*.npy"))

    def test_what_is_damaged_is_told_and_stops_the_others_no_more_than_what_is_gone(self, far: Far) -> None:
        one, _, folder = far
        (folder.parents[5] / "datasets.pqt").unlink()  # which would say that it is too short
        with (folder / "spikes.times.npy").open("r+b") as file:
            file.truncate(1_000_000)
        (folder / "licks.times.npy").unlink()
        found = one.describe(CORI)
        assert found["alf/spikes.times.npy"].kind == "refused"
        assert "of its 8000128 bytes are missing" in found["alf/spikes.times.npy"].note[0]
        assert found["alf/licks.times.npy"].kind == "unknown"
        assert found["alf/spikes.clusters.npy"].shape == (1_000_000, 1)
        with pytest.raises(UnsafeData):
            one.describe(CORI, "spikes.times")
        with pytest.raises(NotFound):
            one.describe(CORI, "licks.times")

    def test_what_explains_many_files_is_fetched_once(self, far: Far) -> None:
        _, server, folder = far
        for number in range(20):
            (folder / f"ephys.raw.{number:02}.bin").write_bytes(bytes(40))
        (folder / "ephys.raw.metadata.json").write_text('{"dtype": "int16", "shape": [-1, 2]}')
        write_index(folder.parents[5])
        found = One("far").describe(CORI, "ephys")
        assert {one.shape for path, one in found.items() if path.endswith(".bin")} == {(10, 2)}
        assert [request.path for request in server.requests].count(f"/{CORI}/alf/ephys.raw.metadata.json") == 1

    def test_a_local_file_that_is_gone_since_is_not_there(self, data_root: Path, add_repository: Add) -> None:
        one = local(add_repository, data_root)
        before = len(one.describe(CORI))
        (data_root / CORI / "alf" / "spikes.times.npy").unlink()
        for call in (one.load_dataset, one.open, one.describe, one.download):
            with pytest.raises(DatasetNotFound, match="has no dataset 'spikes.times'"):
                call(CORI, "spikes.times")
        assert len(one.describe(CORI)) == before - 1

    def test_an_object_of_several_files_is_described_and_one_of_several_collections_is_not_guessed(
        self, mixed: One
    ) -> None:
        with pytest.raises(AmbiguousQuery, match="by collection"):
            mixed.describe(CORI, "licks")
        if mixed.repository.kind == "local":
            assert list(mixed.describe(CORI, "eye")) == ["alf/_ibl_eye.area.npy", "alf/eye.area.npy"]
            assert list(mixed.describe(CORI, "trials.choice")) == ["alf/#2024-05-06#/trials.choice.npy"]
            assert len(mixed.describe(CORI)) == 22

    def test_what_is_here_is_described_without_asking_anybody(self, far: Far, config_dir: Path) -> None:
        one, server, _ = far
        entries = one.entries(CORI)
        one.download(CORI, "spikes")
        one.download(CORI, "wheel", extension="bin")
        folder = config_dir / "data" / "far" / CORI / "alf"
        with (folder / "spikes.times.npy").open("r+b") as file:
            file.truncate(1_000_000)
        asked = len(server.requests)
        found = one.describe_here(entries)
        assert sorted(found) == ["alf/spikes.clusters.npy", "alf/spikes.times.npy", "alf/wheel.raw.bin"]
        assert found["alf/spikes.clusters.npy"].shape == (1_000_000, 1)
        assert found["alf/spikes.times.npy"].kind == "refused"
        assert (found["alf/wheel.raw.bin"].shape, found["alf/wheel.raw.bin"].size) == (None, 80_000)
        assert found["alf/wheel.raw.bin"].kind != "unknown"  # only what explains it is not here
        assert len(server.requests) == asked


class TestCodeInFiles:
    """What runs code that a file holds is one argument of one function, and nothing leads there."""

    def test_it_is_an_argument_of_one_function_only(self) -> None:
        name = "execute_code_in_the_file"
        takers = [
            verb for verb in [*onelight.__all__, *dir(One)]
            if not verb.startswith("_") and callable(function := getattr(One, verb, getattr(onelight, verb, None)))
            and not isinstance(function, type) and name in inspect.signature(function).parameters
        ]  # fmt: skip
        assert sorted(set(takers)) == ["load_dataset"]
        parameter = inspect.signature(One.load_dataset).parameters[name]
        assert (parameter.kind, parameter.default) == (inspect.Parameter.KEYWORD_ONLY, False)
        assert inspect.signature(onelight.load_dataset).parameters[name].default is False

    def test_it_does_what_it_says_and_nothing_else_does(self, tmp_path: Path, add_repository: Add) -> None:
        folder = tmp_path / "root" / CORI / "alf"
        folder.mkdir(parents=True)
        np.save(folder / "a.b.npy", np.array([{"x": 1}, None], dtype=object), allow_pickle=True)
        one = local(add_repository, tmp_path / "root")
        calls: list[Callable[[], object]] = [
            lambda: one.load_dataset(CORI, "a.b"),
            lambda: one.load_dataset(CORI, "a.b", execute_code_in_the_file=False),
            lambda: one.load_object(CORI, "a"),
            lambda: one.load_collection(CORI, "alf", check="raise"),
            lambda: one.load_session(CORI, check="raise"),
            lambda: one.open(CORI, "a.b"),
        ]
        for call in calls:
            with pytest.raises(UnsafeData) as caught:
                call()
            assert "execute" not in str(caught.value)
            assert "allow" not in str(caught.value)
        assert one.load_dataset(CORI, "a.b", execute_code_in_the_file=True)[0] == {"x": 1}

    def test_no_message_and_no_command_mentions_it(self) -> None:
        from onelight.cli import cli

        package = Path(onelight.__file__).parent
        for path in package.rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            documented = {
                node.body[0].value
                for node in ast.walk(tree)
                if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
                and node.body
                and isinstance(node.body[0], ast.Expr)
            }
            said = [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documented
            ]
            assert {text for text in said if "execute_code" in text} <= {"execute_code_in_the_file"}, path
        options = {option for command in cli.commands.values() for found in command.params for option in found.opts}
        assert not [option for option in options if "execut" in option or "pickle" in option]


class TestDownload:
    @pytest.mark.parametrize("kind", ["http", "figshare"])
    def test_files_land_below_the_repository_with_their_whole_path_byte_for_byte(
        self, connect: Callable[[str], One], shared_data_root: Path, config_dir: Path, kind: str
    ) -> None:
        paths = connect(kind).download(CORI)
        wanted = sorted(path.relative_to(shared_data_root) for path in (shared_data_root / CORI).rglob("*.*"))
        assert [path.relative_to(config_dir / "data" / kind) for path in paths] == wanted
        assert all(
            path.read_bytes() == (shared_data_root / name).read_bytes()
            for path, name in zip(paths, wanted, strict=True)
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_another_folder_gets_the_same_layout(
        self, connect: Callable[[str], One], tmp_path: Path, kind: str
    ) -> None:
        paths = connect(kind).download(CORI, "wheelMoves", output=tmp_path / "out")
        assert [path.relative_to(tmp_path / "out").as_posix() for path in paths] == [
            f"{CORI}/alf/wheelMoves.intervals.npy",
            f"{CORI}/alf/wheelMoves.type.npy",
        ]
        assert all(path.is_file() for path in paths)

    def test_a_cache_of_ones_own_gets_a_folder_for_each_repository(
        self, connect: Callable[[str], One], tmp_path: Path, config_dir: Path
    ) -> None:
        connect("http")
        (path,) = One("http", cache_dir=tmp_path / "cache").download(CORI, "spikes.times")
        assert path == tmp_path / "cache" / "http" / CORI / "alf" / "spikes.times.npy"
        assert not (config_dir / "data" / "http").exists()

    def test_a_local_repository_is_loaded_in_place_without_a_copy(
        self, connect: Callable[[str], One], shared_data_root: Path, config_dir: Path
    ) -> None:
        one = connect("local")
        assert one.download(CORI, "spikes.times") == [shared_data_root / CORI / "alf" / "spikes.times.npy"]
        one.load_object(CORI, "spikes")
        assert {path.name for path in config_dir.rglob("*") if path.is_file()} == {"config.json", ".one_index"}

    def test_a_good_file_is_kept_without_a_request(
        self, tmp_path: Path, shared_data_root: Path, add_repository: Add, serve: Callable[[Path], Any]
    ) -> None:
        root = shutil.copytree(shared_data_root, tmp_path / "served")
        write_index(root)
        server = serve(root)
        add_repository("web", "http", base_url=server.url)
        one = One()
        first = one.load_object(CORI, "trials")
        before = len(server.requests)
        second = one.load_object(CORI, "trials")
        assert len(server.requests) == before
        assert all(np.array_equal(first[name], second[name]) for name in first)

    def test_a_file_that_was_damaged_on_disk_is_fetched_again(self, connect: Callable[[str], One]) -> None:
        one = connect("figshare")
        (path,) = one.download(CORI, "spikes.times")
        good = path.read_bytes()
        for bad in (good[:-1], good[:-1] + bytes([good[-1] ^ 1]), b""):
            path.write_bytes(bad)
            assert one.download(CORI, "spikes.times") == [path]
            assert path.read_bytes() == good

    def test_nothing_but_the_data_and_its_records_is_left(
        self, connect: Callable[[str], One], config_dir: Path
    ) -> None:
        connect("figshare").download(CORI, "spikes")
        folder = config_dir / "data" / "figshare"
        others = {path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith("spikes.")}
        assert others == {".one_index", ".one_verified"}

    @pytest.mark.parametrize("kind", ["http", "figshare"])
    def test_planning_changes_nothing(self, connect: Callable[[str], One], config_dir: Path, kind: str) -> None:
        one = connect(kind)
        plan = one.plan_download(CORI, "spikes")
        assert len(plan.fetches) == len(plan.steps) > 3
        assert not list((config_dir / "data" / kind).rglob("*.npy"))

    def test_an_empty_dataset_comes_back_empty(
        self, tmp_path: Path, write_files: Write, add_repository: Add, sandbox: Any, article: int, config_dir: Path
    ) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy")
        (root / CORI / "alf" / "empty.file.txt").touch()
        add_repository("box", "figshare", article_id=article, token=sandbox.token, api_url=sandbox.api_url)
        onelight.upload(root)
        (path,) = onelight.download(CORI, "empty")
        assert path.read_bytes() == b""
        assert path.is_relative_to(config_dir)


# Counts what is opened while a download is asked for twice, which cannot be seen from within.
COUNT_OPENED = """
import sys
from onelight.api import One
from onelight.cli import run
session = sys.argv[1]
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
if sys.argv[2] == "command":
    assert run(["download", session]) == 0
else:
    one = One()
    for _ in range(5):
        one.download(session)
records = sum(name.endswith(".one_verified") for name in opened)
data = sum(name.endswith((".npy", ".tsv", ".json", ".part")) and session in name for name in opened)
print(records, data, file=sys.stderr)
"""


class TestRecord:
    @pytest.mark.parametrize("kind", ["http", "figshare"])
    @pytest.mark.parametrize("how", ["command", "python"])
    def test_a_second_look_reads_the_record_once_and_no_file(
        self, connect: Callable[[str], One], kind: str, how: str
    ) -> None:
        paths = connect(kind).download(CORI)
        assert len(paths) == 55
        done = subprocess.run(
            [sys.executable, "-c", COUNT_OPENED, CORI, how],
            cwd=Path(__file__).resolve().parents[1],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[-1] == "1 0"

    def test_what_another_process_took_down_is_seen(self, connect: Callable[[str], One], config_dir: Path) -> None:
        one = connect("http")
        (path,) = one.download(CORI, "spikes.times")
        assert One("http").download(CORI, "spikes.clusters")
        plan = one.plan_download(CORI, "spikes.clusters")
        assert plan.fetches == []
        assert path.is_file()


class TestPaths:
    def test_paths_and_sessions_are_planned_and_what_is_absent_is_told(self, connect: Callable[[str], One]) -> None:
        one = connect("figshare")
        wanted = f"{CORI}/alf/spikes.times.npy"
        plan = one.plan_paths([wanted, wanted, "lab/nothing"])
        assert [step.entry.path for step in plan.steps] == [wanted]
        assert [type(outcome.error) for outcome in plan.absent] == [DatasetNotFound]
        outcomes = one.run_download(plan)
        assert [(outcome.path, outcome.status.value) for outcome in outcomes] == [
            (wanted, "ok"),
            ("lab/nothing", "error"),
        ]
        assert len(one.plan_paths([CORI]).steps) == 55

    def test_a_local_repository_answers_in_place(self, connect: Callable[[str], One], shared_data_root: Path) -> None:
        one = connect("local")
        plan = one.plan_paths([f"{CORI}/alf/spikes.times.npy"])
        assert [outcome.target for outcome in one.run_download(plan)] == [
            shared_data_root / CORI / "alf" / "spikes.times.npy"
        ]


class TestLimits:
    def test_the_configuration_reaches_the_client(
        self, add_repository: Add, config_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_repository("web", "http", base_url="https://example.org/data")
        config = Config.load()
        config.data |= {"limits": {"idle": 5, "attempts": 2, "longest_wait": 1}, "connections": 3}
        config.save()
        monkeypatch.setenv("ONELIGHT_IDLE_TIMEOUT", "7")
        one = One("web")
        limits = one._client.limits
        assert (limits.idle, limits.attempts, limits.longest_wait) == (7, 2, 1)
        assert (limits.connect, limits.floor, limits.total) == (10, 1024, 0)
        assert one._client._connections == 3

    def test_the_default_one_follows_them(self, add_repository: Add, monkeypatch: pytest.MonkeyPatch) -> None:
        from onelight.api import default

        add_repository("web", "http", base_url="https://example.org/data")
        before = default()
        assert default() is before
        monkeypatch.setenv("ONELIGHT_CONNECT_TIMEOUT", "3")
        assert default() is not before
        assert default()._client.limits.connect == 3


class TestOffline:
    def test_what_was_downloaded_still_loads_when_the_server_is_gone(
        self,
        tmp_path: Path,
        shared_data_root: Path,
        add_repository: Add,
        serve: Callable[[Path], Any],
        notes: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from onelight.sandbox import Sandbox

        monkeypatch.setenv("ONELIGHT_INDEX_MAX_AGE", "0")
        root = tmp_path / "root"
        shutil.copytree(shared_data_root / CORI, root / CORI)
        with Sandbox(tmp_path / "box") as box:
            add_repository("box", "figshare", article_id=box.article_id, token=box.token, api_url=box.api_url)
            onelight.upload(root)
            before = onelight.load_object(CORI, "spikes")
        one = One("box")  # as the next program would
        assert one.search("spikes") == [CORI]
        assert "answering from the index of" in notes[0]
        after = one.load_object(CORI, "spikes")
        assert {name: array.tobytes() for name, array in after.items()} == {
            name: array.tobytes() for name, array in before.items()
        }

    def test_without_an_earlier_index_the_error_names_the_server(self, add_repository: Add) -> None:
        add_repository("gone", "http", base_url="http://127.0.0.1:9/data")
        with pytest.raises(Unreachable, match=r"127.0.0.1:9 cannot be reached"):
            One("gone").search()

    def test_a_host_that_does_not_exist_is_named(self, add_repository: Add) -> None:
        add_repository("gone", "http", base_url="http://no-such-host.invalid/data")
        with pytest.raises(Unreachable, match=r"no-such-host.invalid cannot be reached"):
            One("gone").search()


class TestUpload:
    @pytest.fixture
    def box(self, add_repository: Add, sandbox: Any, article: int) -> One:
        add_repository("box", "figshare", article_id=article, token=sandbox.token, api_url=sandbox.api_url)
        return One("box")

    def test_every_dataset_arrives_once_and_the_index_last(
        self, box: One, tmp_path: Path, write_files: Write, files_of: Callable[[int], dict[str, Any]], article: int
    ) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy", f"{CORI}/alf/probe00/a.b.npy")
        outcomes = box.upload(root)
        assert [(outcome.status.value, outcome.verified.value) for outcome in outcomes] == [("ok", "md5")] * 2
        files = files_of(article)
        names = [f"{CORI}/alf/a.b.npy", f"{CORI}/alf/probe00/a.b.npy"]
        assert set(files) == {*(name.replace("/", "~") for name in names), ".one_root"}
        assert max(files, key=lambda name: files[name]["id"]) == ".one_root"
        rows = [line.split("\t") for line in (root / ".one_root").read_text(encoding="utf-8").splitlines()]
        assert [row[0] for row in rows] == names
        assert all(len(row) == 2 and row[1].startswith("http") for row in rows)

    def test_the_same_upload_again_sends_nothing(
        self, box: One, tmp_path: Path, write_files: Write, files_of: Callable[[int], dict[str, Any]], article: int
    ) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy")
        box.upload(root)
        before = {name: row["id"] for name, row in files_of(article).items()}
        assert [outcome.status.value for outcome in box.upload(root)] == ["notneeded"]
        assert {name: row["id"] for name, row in files_of(article).items()} == before

    @pytest.mark.parametrize(
        ("bad", "reason"),
        [
            ("README.md", "is not in a session"),
            ("nicklab/Cori/2016-12-14/001/alf/a.b.npy", "Subjects"),
            ("nicklab/Subjects/Cori/2019-1-1/001/alf/a.b.npy", "2019-01-01"),
            ("nicklab/Subjects/Cori/2016-12-14/1/alf/a.b.npy", "001"),
            ("nick lab/Subjects/Cori/2016-12-14/001/alf/a.b.npy", "allowed are"),
            (f"{CORI}/alf/notes.txt", "right form is object.attribute.extension"),
            (f"{CORI}/alf/A.b.npy", "differs only by case"),
        ],
    )
    def test_what_is_not_alf_is_refused_with_the_reason_and_nothing_is_sent(
        self,
        box: One,
        tmp_path: Path,
        write_files: Write,
        files_of: Callable[[int], dict[str, Any]],
        article: int,
        bad: str,
        reason: str,
    ) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy", bad)
        with pytest.raises(AlfError) as caught:
            box.upload(root)
        assert reason in caught.value.message
        assert bad.split("/", maxsplit=1)[0] in caught.value.message
        assert "Nothing was sent" in caught.value.hint
        assert files_of(article) == {}
        assert not (root / ".one_root").exists()

    def test_what_is_not_alf_is_left_out_when_that_is_wanted(
        self, box: One, tmp_path: Path, write_files: Write, files_of: Callable[[int], dict[str, Any]], article: int
    ) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy", "README.md")
        box.upload(root, allow_partial=True)
        assert set(files_of(article)) == {f"{CORI}/alf/a.b.npy".replace("/", "~"), ".one_root"}

    def test_a_root_without_sessions_is_refused_even_then(
        self, box: One, tmp_path: Path, write_files: Write, files_of: Callable[[int], dict[str, Any]], article: int
    ) -> None:
        root = write_files(tmp_path / "root", "README.md")
        with pytest.raises(AlfError, match="has no session"):
            box.upload(root, allow_partial=True)
        assert files_of(article) == {}

    def test_a_limit_sends_so_many_files_and_the_next_run_the_rest(
        self, box: One, tmp_path: Path, write_files: Write, files_of: Callable[[int], dict[str, Any]], article: int
    ) -> None:
        root = write_files(tmp_path / "root", *(f"{CORI}/alf/a.b{number}.npy" for number in range(3)))
        box.upload(root, limit=2)
        assert len(files_of(article)) == 2 + 1
        assert len(One("box").download(CORI)) == 2
        box.upload(root, limit=2)
        assert len(files_of(article)) == 3 + 1
        assert len(One("box").download(CORI)) == 3

    def test_a_changed_file_replaces_the_old_one(
        self, box: One, tmp_path: Path, write_files: Write, files_of: Callable[[int], dict[str, Any]], article: int
    ) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy", f"{CORI}/alf/c.d.npy")
        box.upload(root)
        (root / CORI / "alf" / "a.b.npy").write_bytes(b"new")
        assert [outcome.status.value for outcome in box.upload(root)] == ["ok", "notneeded"]
        assert len(files_of(article)) == 3
        (path,) = One("box").download(CORI, "a.b")
        assert path.read_bytes() == b"new"

    def test_of_a_root_that_cannot_be_written_the_index_is_kept_in_the_cache_and_that_is_said(
        self, box: One, tmp_path: Path, write_files: Write, config_dir: Path, notes: list[str]
    ) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy")
        (root / ".one_root").mkdir()  # not even the superuser can replace a folder with a file
        box.upload(root)
        kept = config_dir / "data" / "box" / ".one_root"
        assert kept.read_text(encoding="utf-8").startswith(f"{CORI}/alf/a.b.npy\thttp")
        assert any(str(root) in note and str(kept) in note for note in notes)
        assert [path.name for path in root.iterdir() if path.name.startswith(".one_root")] == [".one_root"]

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="modes do not bind the superuser")
    def test_a_read_only_root_is_shared_all_the_same(
        self, box: One, tmp_path: Path, write_files: Write, config_dir: Path, notes: list[str]
    ) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy")
        root.chmod(0o555)
        try:
            box.upload(root)
        finally:
            root.chmod(0o755)
        assert (config_dir / "data" / "box" / ".one_root").is_file()
        assert any("cannot be written" in note for note in notes)

    def test_a_wrong_token_is_denied_with_the_way_to_make_one(
        self, add_repository: Add, sandbox: Any, article: int, tmp_path: Path, write_files: Write
    ) -> None:
        add_repository("box", "figshare", article_id=article, token="canary-5d1f", api_url=sandbox.api_url)
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy")
        for call in (lambda: onelight.upload(root), onelight.search, onelight.publish):
            with pytest.raises(AccessDenied, match="personal token at https://figshare.com/account/appl") as caught:
                call()
            assert "canary" not in str(caught.value)

    def test_without_a_token_nothing_is_sent_and_the_way_to_make_one_is_said(
        self, add_repository: Add, sandbox: Any, article: int, data_root: Path
    ) -> None:
        add_repository("box", "figshare", article_id=article, token="", api_url=sandbox.api_url)
        with pytest.raises(AccessDenied, match="has no token.*personal token at"):
            onelight.upload(data_root)

    def test_the_token_of_the_environment_wins(
        self, add_repository: Add, sandbox: Any, article: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_repository("box", "figshare", article_id=article, token="wrong", api_url=sandbox.api_url)
        monkeypatch.setenv("FIGSHARE_TOKEN", sandbox.token)
        assert onelight.search() == []

    def test_a_web_server_is_read_only_and_says_what_to_do(
        self, connect: Callable[[str], One], data_root: Path
    ) -> None:
        with pytest.raises(ReadOnlyRepository, match="onelight index FOLDER"):
            connect("http").upload(data_root)

    def test_a_local_repository_takes_files_too(self, made: One, data_root: Path, tmp_path: Path) -> None:
        made.upload(data_root)
        assert CORI in One("made").search("spikes")
        assert (tmp_path / "made" / CORI / "alf" / "spikes.times.npy").is_file()

    def test_more_than_there_is_room_for_is_refused_before_anything_is_sent(
        self, tmp_path: Path, write_files: Write, add_repository: Add
    ) -> None:
        from onelight.sandbox import Sandbox, Settings

        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy")
        with Sandbox(tmp_path / "box", settings=Settings(quota=10)) as box:
            add_repository("box", "figshare", article_id=box.article_id, token=box.token, api_url=box.api_url)
            with pytest.raises(QuotaExceeded, match="room for 10"):
                onelight.upload(root)
            assert onelight.search() == []


class TestPublish:
    def test_what_is_missing_is_said_and_nothing_is_published(
        self, add_repository: Add, sandbox: Any, article: int
    ) -> None:
        add_repository("box", "figshare", article_id=article, token=sandbox.token, api_url=sandbox.api_url)
        assert One().missing_for_publication() == ["a file"]
        with pytest.raises(RepositoryError, match=r"it still needs a file\. Nothing was published"):
            onelight.publish()
        add_repository("public", "figshare", article_id=article, token="", api_url=sandbox.api_url)
        with pytest.raises(NotFound):
            onelight.search()

    def test_what_was_published_is_read_by_everybody(
        self, add_repository: Add, sandbox: Any, article: int, tmp_path: Path, write_files: Write
    ) -> None:
        add_repository("box", "figshare", article_id=article, token=sandbox.token, api_url=sandbox.api_url)
        onelight.upload(write_files(tmp_path / "root", f"{CORI}/alf/a.b.txt"))
        published = onelight.publish()
        assert published.address.startswith("http")
        assert (published.version, published.is_visible) == (1, True)
        add_repository("public", "figshare", article_id=article, token="", api_url=sandbox.api_url)
        assert onelight.search("a.b") == [CORI]
        assert onelight.load_dataset(CORI, "a.b") == f"content of {CORI}/alf/a.b.txt"

    def test_a_repository_without_a_draft_says_so(self, made: One) -> None:
        with pytest.raises(ReadOnlyRepository, match="has no draft"):
            made.publish()


class TestIndex:
    def test_a_folder_becomes_a_repository_with_one_column(self, data_root: Path) -> None:
        target, found, foreign = write_index(data_root)
        assert len(foreign) == 6, "the names with - that Steinmetz et al. have"
        lines = target.read_text(encoding="utf-8").splitlines()
        assert lines == sorted(entry.path for entry in found.index)
        assert len(lines) == 165

    def test_with_an_address_every_row_has_it_quoted(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/#1#/a b.c.npy")
        target, _, foreign = write_index(root, base_url="https://a.org/data/")
        assert [one.path for one in foreign] == [f"{CORI}/alf/#1#/a b.c.npy"], "ONE-api cannot read that name"
        assert target.read_text(encoding="utf-8") == (
            f"{CORI}/alf/#1#/a b.c.npy\thttps://a.org/data/{CORI}/alf/%231%23/a%20b.c.npy\n"
        )

    def test_what_is_not_alf_is_refused_and_nothing_is_written(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy", "README.md")
        with pytest.raises(AlfError, match="README.md: is not in a session"):
            write_index(root)
        assert not (root / ".one_root").exists()
        write_index(root, allow_partial=True)
        assert (root / ".one_root").read_text(encoding="utf-8") == f"{CORI}/alf/a.b.npy\n"

    def test_a_folder_that_cannot_be_written_is_said(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy")
        (root / ".one_root").mkdir()
        with pytest.raises(NoSpace, match="cannot be written"):
            write_index(root)
        assert not list(root.glob("*.part"))

    def test_the_tables_beside_it_know_each_file(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        (root / CORI / "alf").mkdir(parents=True)
        np.save(root / CORI / "alf" / "spikes.times.npy", np.zeros((7, 2), "float32"))
        (root / CORI / "alf" / "notes.text.txt").write_text("hello")
        write_index(root)
        rows = {row.path: row for row in read_tables(root / "datasets.pqt")}
        spikes, text = rows[f"{CORI}/alf/spikes.times.npy"], rows[f"{CORI}/alf/notes.text.txt"]
        assert (spikes.dtype, spikes.shape, spikes.md5) == ("float32", (7, 2), None)
        assert (text.dtype, text.shape, text.size) == (None, None, 5)
        assert not write_index(root).scan.problems, "the tables themselves are no data"
        write_index(root, md5=True)
        rows = {row.path: row for row in read_tables(root / "datasets.pqt")}
        assert rows[f"{CORI}/alf/notes.text.txt"].md5 == hashlib.md5(b"hello").hexdigest()
        assert rows[f"{CORI}/alf/spikes.times.npy"].shape == (7, 2)
        before = {path.name: path.read_bytes() for path in root.glob("*.pqt")}
        write_index(root, md5=True)
        assert {path.name: path.read_bytes() for path in root.glob("*.pqt")} == before, "nothing has changed"

    def test_a_hostile_index_is_refused_whole(
        self, tmp_path: Path, write_files: Write, add_repository: Add, serve: Callable[[Path], Any], config_dir: Path
    ) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy")
        (root / ".one_root").write_text(f"{CORI}/alf/a.b.npy\n{CORI}/../../../../../../evil.b.npy\n")
        add_repository("web", "http", base_url=serve(root).url)
        with pytest.raises(OneError, match="row 2 of .one_root"):
            onelight.download(CORI)
        assert not list(config_dir.rglob("*.npy"))

    def test_rows_that_are_no_dataset_are_said_and_the_rest_is_read(
        self, tmp_path: Path, write_files: Write, add_repository: Add, serve: Callable[[Path], Any], notes: list[str]
    ) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/a.b.npy")
        (root / ".one_root").write_text(f"README.md\n{CORI}/alf/a.b.npy\n")
        add_repository("web", "http", base_url=serve(root).url)
        assert onelight.search() == [CORI]
        assert any("row 1 of .one_root is left out" in note for note in notes)

    def test_a_server_without_an_index_says_how_to_make_one(
        self, tmp_path: Path, add_repository: Add, serve: Callable[[Path], Any]
    ) -> None:
        add_repository("web", "http", base_url=serve(tmp_path).url)
        with pytest.raises(RepositoryNotFound, match=r"no .one_root at .*onelight index FOLDER"):
            onelight.search()


class TestModule:
    def test_the_functions_follow_the_configuration(self, made: One, connect: Callable[[str], One]) -> None:
        assert onelight.search("wheel") == [OTHER]
        connect("local")
        assert onelight.search("wheel", subject="Cori")[0] == CORI
        onelight.set_repository("made")
        assert onelight.search("wheel") == [OTHER]
        assert Config.load().current == "made"
        assert onelight.repositories() == ["local", "nick19", "web", "made"]

    def test_they_follow_the_environment(self, made: One, monkeypatch: pytest.MonkeyPatch) -> None:
        onelight.set_repository("local")
        assert onelight.search() == []
        monkeypatch.setenv("ONELIGHT_REPO", "made")
        assert onelight.search("wheel") == [OTHER]

    def test_choosing_an_unknown_repository_changes_nothing(self, made: One, config_dir: Path) -> None:
        before = (config_dir / "config.json").read_bytes()
        with pytest.raises(RepositoryNotFound, match="local, nick19, web, made"):
            onelight.set_repository("nick91")
        with pytest.raises(RepositoryNotFound):
            made.set_repository("nick91")
        assert (config_dir / "config.json").read_bytes() == before
        assert made.search("wheel") == [OTHER]

    def test_a_one_uses_another_repository_without_changing_the_configuration(self, made: One) -> None:
        made.set_repository("local")
        assert made.search() == []
        assert Config.load().current == "made"

    def test_a_fresh_configuration_answers_at_once(self) -> None:
        assert onelight.search() == []

    def test_they_are_the_verbs_of_the_class_with_its_words(self) -> None:
        assert onelight.ONE is onelight.One is One
        for name in ("search", "list", "describe", "open", "load_object", "load_dataset", "load_collection",
                     "load_session", "download", "scan", "upload", "publish", "repositories",
                     "search_terms"):  # fmt: skip
            function, method = getattr(onelight, name), getattr(One, name)
            assert function.__doc__ == method.__doc__
            assert list(inspect.signature(function).parameters) == list(inspect.signature(method).parameters)[1:]
            assert name in dir(onelight)

    def test_what_is_not_there_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'serch'"):
            onelight.serch  # noqa: B018

    def test_the_lines_of_the_documentation_work_as_they_stand(self, connect: Callable[[str], One]) -> None:
        connect("figshare")
        import onelight as one

        sessions = one.search(["trials"])
        session = sessions[0]
        trials = one.load_object(session, "trials")
        assert trials.intervals.shape[1] == 2
        assert len(trials.goCue_times) == len(trials.intervals)

    def test_repr_says_which_repository_and_where(self, made: One, tmp_path: Path) -> None:
        assert repr(made) == f"<One: local repository 'made' at {tmp_path / 'made'}>"

    def test_scanning_needs_no_repository(self, data_root: Path) -> None:
        assert len(onelight.scan(data_root).index) == 165
