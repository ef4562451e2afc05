"""A version that was published is read for ever, and asked for once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from boxes import Owner, Recorded
from contract import CLUSTERS, ELSEWHERE, TIMES, some
from test_figshare import fetched, flat, nothing, open_box, share

from onelight import One
from onelight.client import Client
from onelight.config import Config, Settings
from onelight.description import Description
from onelight.errors import NotFound, ReadOnlyRepository, RepositoryNotFound
from onelight.index import INDEX_NAME, Entry, Index
from onelight.kinds import open_repository
from onelight.kinds.figshare import FigshareRepository
from onelight.repository import Leftover


def pinned(box: Recorded, client: Client, version: int, *, token: str = "", **more: object) -> FigshareRepository:
    return FigshareRepository(
        "figs",
        box.article_id,
        client,
        token=token,
        api_url=box.api_url,
        version=version,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def history(box: Recorded, owner: Owner, client: Client, tmp_path: Path) -> list[dict[str, bytes]]:
    """Three versions: one file is replaced each time, one stays, one comes in the second and goes in the third."""
    kept = some()
    versions = [
        {TIMES: some(), CLUSTERS: kept},
        {TIMES: some(), CLUSTERS: kept, ELSEWHERE: some()},
        {TIMES: some(), CLUSTERS: kept},
    ]
    for number, files in enumerate(versions):
        writer = open_box(box, client)
        share(writer, tmp_path, files)
        if number == 2:
            stored = writer.stored()
            writer.write_index(Index(entry for entry in stored if entry.path in files))
            writer.delete(stored[ELSEWHERE])
        owner.publish()
    return versions


@pytest.mark.parametrize("owners", [False, True])
def test_every_version_is_read_as_it_was(
    box: Recorded, client: Client, history: list[dict[str, bytes]], tmp_path: Path, owners: bool
) -> None:
    for number, files in enumerate(history, 1):
        repository = pinned(box, client, number, token=box.token if owners else "")
        index = repository.refresh()
        assert {entry.path: (entry.size, entry.md5) for entry in index} == stated(files)
        assert fetched(repository, client, tmp_path / str(number)) == files
    assert fetched(open_box(box, client, token=""), client, tmp_path / "newest") == history[-1]


def stated(files: Mapping[str, bytes]) -> dict[str, tuple[int, str]]:
    return {path: (len(content), hashlib.md5(content).hexdigest()) for path, content in files.items()}


def test_a_version_says_nothing_of_the_draft(
    box: Recorded, client: Client, history: list[dict[str, bytes]], tmp_path: Path
) -> None:
    repository = pinned(box, client, 1, token=box.token)
    box.recorder.seen.clear()
    repository.refresh()
    assert box.recorder.of(path="/account/") == []
    assert fetched(repository, client, tmp_path / "to") == history[0]


def test_the_index_of_a_version_says_which_one_it_is(
    box: Recorded, client: Client, history: list[dict[str, bytes]]
) -> None:
    assert history
    index = pinned(box, client, 2).refresh()
    assert index.fact("stamp") == "version 2"
    assert open_box(box, client, token="").refresh().fact("stamp") == "version 3"


def test_two_versions_and_the_newest_are_three_repositories(box: Recorded, client: Client) -> None:
    found = {repository.identity for repository in (pinned(box, client, 1), pinned(box, client, 2))}
    assert len({*found, open_box(box, client, token="").identity}) == 3
    assert pinned(box, client, 2).address.endswith(f"/{box.article_id}/2")


@pytest.mark.parametrize("owners", [False, True])
def test_the_index_of_a_version_that_is_kept_is_never_asked_for_again(
    box: Recorded, client: Client, history: list[dict[str, bytes]], owners: bool
) -> None:
    token = box.token if owners else ""
    assert history
    last = pinned(box, client, 1, token=token).refresh()
    box.recorder.seen.clear()
    assert pinned(box, client, 1, token=token).refresh(last) is last
    assert box.recorder.seen == []
    assert pinned(box, client, 2, token=token).refresh(last) is not last, "but not for another version"


def test_a_session_that_was_looked_at_costs_no_request_the_next_day(
    box: Recorded, history: list[dict[str, bytes]], add_repository: Callable[..., str]
) -> None:
    """The same through One, that keeps the index on disk: an index that is old is asked for again, but not this."""
    assert history
    add_repository("v1", "figshare", article_id=box.article_id, api_url=box.api_url, version=1)
    config = Config.load()
    config.data["index_max_age"] = 0
    config.save()
    first = One("v1").search()
    box.recorder.seen.clear()
    assert One("v1").search() == first
    One("v1").refresh()
    assert box.recorder.seen == []


def test_a_public_article_that_has_not_changed_costs_one_request(
    box: Recorded, client: Client, history: list[dict[str, bytes]], tmp_path: Path, owner: Owner
) -> None:
    reader = open_box(box, client, token="")
    last = reader.refresh()
    box.recorder.seen.clear()
    for one in (reader, open_box(box, client, token="")):
        assert one.refresh(last) is last
    assert [seen.path for seen in box.recorder.seen] == [f"/v2/articles/{box.article_id}"] * 2
    share(open_box(box, client), tmp_path, {TIMES: history[0][TIMES]})
    assert reader.refresh(last) is last, "a draft changes nothing for the public"
    owner.publish()
    newer = reader.refresh(last)
    assert newer.fact("stamp") == "version 4"
    assert newer[TIMES].md5 == hashlib.md5(history[0][TIMES]).hexdigest()


@pytest.mark.parametrize("owners", [False, True])
def test_a_version_that_there_is_not_is_told_with_those_that_there_are(
    box: Recorded, client: Client, history: list[dict[str, bytes]], owners: bool
) -> None:
    assert history
    with pytest.raises(RepositoryNotFound, match="has no version 9") as caught:
        pinned(box, client, 9, token=box.token if owners else "").refresh()
    assert str(box.article_id) in caught.value.message
    assert "1, 2, 3" in caught.value.hint


def test_a_version_of_what_was_never_published_is_not_found(box: Recorded, client: Client) -> None:
    for token in ("", box.token):
        with pytest.raises(NotFound, match="has no version 1") as caught:
            pinned(box, client, 1, token=token).refresh()
        assert "public" in caught.value.hint


@pytest.mark.parametrize(
    "act",
    [
        "stored",
        "room",
        "grow",
        "put",
        "send",
        "delete",
        "leftovers",
        "clean",
        "write_index",
        "publish",
        "missing_for_publication",
        "set_description",
        "compare_description",
        "reserve_doi",
    ],
)
def test_a_pinned_repository_writes_nothing(
    box: Recorded, client: Client, history: list[dict[str, bytes]], tmp_path: Path, act: str
) -> None:
    repository = pinned(box, client, 1, token=box.token)
    source = tmp_path / "mine"
    source.write_bytes(b"content")
    entry = Entry(TIMES, size=7, md5=hashlib.md5(b"content").hexdigest())
    [index] = [row for row in Owner(box).files() if row["name"] == INDEX_NAME]
    there = open_box(box, client).refresh()
    acts: dict[str, Callable[[], object]] = {
        "stored": repository.stored,
        "room": repository.room,
        "grow": lambda: repository.grow([entry]),
        "put": lambda: repository.put(entry, source, nothing),
        "send": lambda: repository.send(entry, source, nothing),
        "delete": lambda: repository.delete(there[TIMES]),
        "leftovers": repository.leftovers,
        "clean": lambda: repository.clean([Leftover(INDEX_NAME, "an older index", str(index["id"]))]),
        "write_index": lambda: repository.write_index(Index([entry])),
        "publish": repository.publish,
        "missing_for_publication": repository.missing_for_publication,
        "set_description": lambda: repository.set_description(Description(title="Another title")),
        "compare_description": lambda: repository.compare_description(Description(title="Another title")),
        "reserve_doi": repository.reserve_doi,
    }
    assert history
    box.recorder.seen.clear()
    with pytest.raises(ReadOnlyRepository, match="pinned to version 1") as caught:
        acts[act]()
    assert "'version'" in caught.value.hint
    assert box.recorder.changes == []
    assert fetched(pinned(box, client, 1), client, tmp_path / "after") == history[0]


def test_an_upload_to_a_version_is_refused_before_anything_is_sent(
    box: Recorded, history: list[dict[str, bytes]], add_repository: Callable[..., str], tmp_path: Path
) -> None:
    assert history
    add_repository("v1", "figshare", article_id=box.article_id, api_url=box.api_url, token=box.token, version=1)
    (tmp_path / "root" / TIMES).parent.mkdir(parents=True)
    (tmp_path / "root" / TIMES).write_bytes(b"content")
    box.recorder.seen.clear()
    with pytest.raises(ReadOnlyRepository, match="version 1"):
        One("v1").upload(tmp_path / "root")
    assert box.recorder.seen == []


# How a version is asked for


@pytest.mark.parametrize(
    ("options", "version"),
    [
        ({"article_id": 9974357, "version": 2}, 2),
        ({"article_id": "10.6084/m9.figshare.9974357.v3"}, 3),
        ({"article_id": "https://figshare.com/articles/dataset/x/9974357/4"}, 4),
        ({"article_id": "10.6084/m9.figshare.9974357.v3", "version": 5}, 5),
    ],
)
def test_a_version_is_named_by_a_key_or_by_what_people_paste(
    client: Client, options: dict[str, object], version: int
) -> None:
    repository = open_repository(Settings("figs", "figshare", options), client)
    assert repository.address == f"https://figshare.com/articles/dataset/_/9974357/{version}"


# Versions of several articles


def test_the_parts_of_a_version_are_those_that_it_had(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    """The second article has versions of its own; what the first version of the index points to may be in any."""
    part = Owner(box)
    made = owner.ask("POST", "/account/articles", whole_record("Part two"))[2]["location"]
    part.article = made
    number = int(made.rpartition("/")[2])
    owner.ask("PATCH", owner.article, {"references": [f"{box.api_url}/articles/{number}"]})
    old, new, here = some(), some(), some()
    origin = box.api_url.removesuffix("/v2")
    mine = owner.add(flat(CLUSTERS), here)
    theirs = part.add(flat(TIMES), old)
    rows = f"{CLUSTERS}\t{origin}/files/{mine}\n{TIMES}\t{origin}/files/{theirs}\n"
    root = owner.add(INDEX_NAME, rows.encode())
    part.publish()
    owner.publish()
    newer = part.add(flat(TIMES), new)
    part.ask("DELETE", f"{part.article}/files/{theirs}")
    owner.add(INDEX_NAME, rows.replace(f"/files/{theirs}", f"/files/{newer}").encode())
    owner.ask("DELETE", f"{owner.article}/files/{root}")
    part.publish()
    part.add("README.pdf", b"a third version of the part")
    part.publish()
    owner.publish()
    for version, files in ((1, {TIMES: old, CLUSTERS: here}), (2, {TIMES: new, CLUSTERS: here})):
        repository = pinned(box, client, version)
        assert {entry.path: (entry.size, entry.md5) for entry in repository.refresh()} == stated(files)
        assert fetched(repository, client, tmp_path / str(version)) == files


def whole_record(title: str) -> dict[str, object]:
    return {"title": title, "description": "What is here.", "categories": [24277], "keywords": ["test"]}
