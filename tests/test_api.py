"""One: searching, fetching, loading and sharing, through every kind of repository."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import onelight
from onelight.api import One, write_index
from onelight.config import Config
from onelight.errors import (
    AccessDenied,
    AlfError,
    AmbiguousQuery,
    DatasetNotFound,
    NotFound,
    ObjectNotFound,
    OneError,
    QuotaExceeded,
    ReadOnlyRepository,
    RepositoryError,
    RepositoryNotFound,
    SessionNotFound,
    Unreachable,
)

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
        trials = connect(kind).load_object(CORI, "trials")
        files = {path.name.split(".")[1]: path for path in (shared_data_root / CORI / "alf").glob("trials.*.npy")}
        assert set(trials) == set(files)
        for name, path in files.items():
            wanted = np.load(path)
            assert trials[name].dtype == wanted.dtype
            assert np.array_equal(trials[name], wanted)
        assert trials.intervals is trials["intervals"]
        assert f"intervals{' ' * 17}" in repr(trials)
        assert isinstance(trials, onelight.Bunch)
        assert isinstance(trials.copy(), onelight.Bunch)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_dataset_is_an_array_or_a_table(self, connect: Callable[[str], One], kind: str) -> None:
        one = connect(kind)
        assert one.load_dataset(CORI, "spikes.times").shape[1] == 1
        places = one.load_dataset(CORI, "channels.brainLocation")
        assert isinstance(places, pd.DataFrame)
        assert list(places) == ["ccf_ap", "ccf_dv", "ccf_lr", "allen_ontology"]
        path = one.load_dataset(CORI, "spikes.times.npy", download_only=True)
        assert isinstance(path, Path)
        assert path.is_file()

    def test_every_format_is_loaded_and_an_unknown_one_is_a_path(self, tmp_path: Path, add_repository: Add) -> None:
        folder = tmp_path / "root" / CORI / "alf"
        folder.mkdir(parents=True)
        (folder / "a.table.csv").write_text("x,y\n1,2\n")
        (folder / "a.tabs.tsv").write_text("x\ty\n1\t2\n")
        (folder / "a.said.json").write_text('{"x": [1]}')
        pd.DataFrame({"x": [1.5]}).to_parquet(folder / "a.frame.pqt")
        np.save(folder / "a.array.npy", np.arange(3))
        (folder / "a.film.mp4").write_bytes(b"film")
        loaded = local(add_repository, tmp_path / "root").load_object(CORI, "a")
        assert loaded.table.y[0] == 2
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
def probes(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    add_repository: Add,
    serve: Callable[[Path], Any],
    sandbox: Any,
    article: int,
) -> One:
    """Open a session with two probes, two revisions and two namespaces, as each kind of repository."""
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
    if request.param == "local":
        return local(add_repository, root)
    if request.param == "http":
        write_index(root)
        add_repository("made", "http", base_url=serve(root).url)
    else:
        add_repository("made", "figshare", article_id=article, token=sandbox.token, api_url=sandbox.api_url)
        One("made").upload(root)
    return One("made")


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
        with pytest.raises(ObjectNotFound, match="no object 'spikes' in alf"):
            probes.load_object(CORI, "spikes", collection="alf")


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
        assert [path for path in config_dir.rglob("*") if path.is_file()] == [config_dir / "config.json"]

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
    ) -> None:
        from onelight.sandbox import Sandbox

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
        assert onelight.publish().startswith("http")
        add_repository("public", "figshare", article_id=article, token="", api_url=sandbox.api_url)
        assert onelight.search("a.b") == [CORI]
        assert onelight.load_dataset(CORI, "a.b").read_bytes() == f"content of {CORI}/alf/a.b.txt".encode()

    def test_a_repository_without_a_draft_says_so(self, made: One) -> None:
        with pytest.raises(ReadOnlyRepository, match="has no draft"):
            made.publish()


class TestIndex:
    def test_a_folder_becomes_a_repository_with_one_column(self, data_root: Path) -> None:
        target, found = write_index(data_root)
        lines = target.read_text(encoding="utf-8").splitlines()
        assert lines == sorted(entry.path for entry in found.index)
        assert len(lines) == 165

    def test_with_an_address_every_row_has_it_quoted(self, tmp_path: Path, write_files: Write) -> None:
        root = write_files(tmp_path / "root", f"{CORI}/alf/#1#/a b.c.npy")
        target, _ = write_index(root, base_url="https://a.org/data/")
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
        with pytest.raises(RepositoryError, match="cannot be written"):
            write_index(root)
        assert {path.name for path in root.iterdir()} == {".one_root", "nicklab"}

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
        for name in ("search", "list", "load_object", "load_dataset", "download", "scan", "upload", "publish",
                     "repositories", "search_terms"):  # fmt: skip
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
