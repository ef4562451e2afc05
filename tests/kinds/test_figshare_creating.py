"""An article is made once, says what it is to say and nothing twice; and its files lie in the layout that is wanted."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from boxes import Owner, Recorded, Seen
from contract import CLUSTERS, ELSEWHERE, OTHER, SESSION, TIMES, some
from test_figshare import fetched, flat, nothing, open_box, share
from test_figshare_articles import AUTHORS, afresh, configure, dies_after, lives, numbers_of, parts, upload, write

from onelight import One
from onelight.api.creating import create_figshare
from onelight.client import Client
from onelight.config import Config
from onelight.description import Author, Description
from onelight.errors import AccessDenied, ConfigError, NotFound, OneError, Unreachable
from onelight.index import INDEX_NAME, Entry, Index
from onelight.kinds.figshare import FigshareRepository
from onelight.kinds.figshare.api import Api
from onelight.kinds.figshare.article import Article
from onelight.kinds.figshare.creating import create, describe, make_part, reserve_doi
from onelight.kinds.figshare.metadata import HOW_TO_DOWNLOAD
from onelight.kinds.figshare.naming import layout_of

FULL = Description(
    title="Ten mice",
    description="What was recorded, and how.",
    authors=(Author("Ada Lovelace"), Author("Alan Turing")),
    categories=("Sensory systems",),
    keywords=("mouse",),
    license="CC0",
    references=("https://example.org/paper",),
)
CREATED = r"^/v2/account/articles$"


@pytest.fixture
def api(box: Recorded, client: Client) -> Api:
    return Api(client, box.api_url, box.token)


@pytest.fixture
def first(api: Api, box: Recorded, owner: Owner) -> Article:
    """An article with two authors, a reference, and two categories."""
    afresh(box, owner)
    return Article(api, box.article_id)


def articles(owner: Owner) -> list[dict[str, Any]]:
    return list(json.loads(owner.ask("GET", "/account/articles?page_size=1000")[1]))


def titled(owner: Owner, title: str) -> list[int]:
    return [int(row["id"]) for row in articles(owner) if row["title"] == title]


def record(owner: Owner, number: int) -> dict[str, Any]:
    return dict(json.loads(owner.ask("GET", f"/account/articles/{number}")[1]))


def authors(owner: Owner, number: int) -> list[str]:
    return [author["full_name"] for author in record(owner, number)["authors"]]


# Making one


@pytest.mark.parametrize("fault", ["reset_after", "lost"])
def test_where_the_answer_is_lost_one_article_is_made(
    make_box: Callable[..., Recorded], client: Client, fault: str
) -> None:
    box = make_box(lost_seconds=6.0)  # more than the client waits for
    owner = Owner(box)
    box.faults.set(fault, times=1, method="POST", path=CREATED)
    article = create(Api(client, box.api_url, box.token), {"title": "Ten mice", "authors": AUTHORS})
    assert box.faults.played[fault] == 1
    assert titled(owner, "Ten mice") == [article.number]
    assert authors(owner, article.number) == ["Ada Lovelace", "Alan Turing"]


def test_an_older_article_of_the_same_title_is_not_taken_for_the_one_just_made(
    box: Recorded, owner: Owner, api: Api
) -> None:
    older = create(api, {"title": "Ten mice"})
    box.faults.set("reset_after", times=1, method="POST", path=CREATED)
    newer = create(api, {"title": "Ten mice"})
    assert older.number != newer.number
    assert sorted(titled(owner, "Ten mice")) == sorted([older.number, newer.number])


@pytest.mark.parametrize("fault", ["reset", "error502", "error503"])
def test_where_nothing_was_made_that_is_an_error_and_nothing_is_made(
    box: Recorded, owner: Owner, api: Api, fault: str
) -> None:
    """To send it once more by itself could make a second one: the person decides. An older one is not taken for it."""
    older = create(api, {"title": "Ten mice"}).number
    box.faults.set(fault, method="POST", path=CREATED)
    with pytest.raises(Unreachable):
        create(api, {"title": "Ten mice"})
    assert titled(owner, "Ten mice") == [older]


@pytest.mark.parametrize(
    "settings", [{"entity_id": False}, {"json_as_html": False}, {"update_body": True}, {"owner_is_author": False}]
)
def test_other_habits_of_the_server_make_no_difference_to_a_new_article(
    make_box: Callable[..., Recorded], client: Client, settings: dict[str, bool]
) -> None:
    box = make_box(**settings)
    owner = Owner(box)
    article = create(Api(client, box.api_url, box.token), {"title": "Ten mice", "authors": AUTHORS})
    assert titled(owner, "Ten mice") == [article.number]
    assert authors(owner, article.number) == ["Ada Lovelace", "Alan Turing"]


def test_without_authors_the_owner_is_the_one(owner: Owner, api: Api) -> None:
    assert authors(owner, create(api, {"title": "Ten mice"}).number) == ["Rehearsal Owner"]


def test_a_new_repository_says_all_and_its_owner_is_no_author_unasked(box: Recorded, owner: Owner) -> None:
    settings = create_figshare("mice", FULL, token=box.token, api_url=box.api_url, how_to_download=True)
    number = settings.options["article_id"]
    assert Config.load().repository("mice").options["article_id"] == number
    made = record(owner, number)
    assert (made["title"], made["keywords"], made["references"]) == (FULL.title, ["mouse"], list(FULL.references))
    assert authors(owner, number) == ["Ada Lovelace", "Alan Turing"]
    assert [category["title"] for category in made["categories"]] == ["Sensory systems"]
    assert made["license"]["name"] == "CC0"
    assert made["description"].count(HOW_TO_DOWNLOAD) == 1
    assert One("mice").compare_description(FULL) == []


def test_a_category_that_there_is_not_is_said_before_anything_is_made(box: Recorded, owner: Owner) -> None:
    before = articles(owner)
    with pytest.raises(ConfigError, match="Sensory"):
        create_figshare(
            "mice",
            Description(title="Ten mice", categories=("Sensory sistems",)),
            token=box.token,
            api_url=box.api_url,
        )
    assert articles(owner) == before
    assert box.recorder.changes == []


def test_a_category_that_is_listed_and_not_allowed_is_said(box: Recorded, owner: Owner) -> None:
    """figshare lists some that an account may not set, and answers 404 for an article that is there (figshare-rs)."""
    before = len(articles(owner))
    with pytest.raises(OneError) as caught:
        create_figshare(
            "mice",
            Description(title="Ten mice", categories=("Clinical trials of a closed portal",)),
            token=box.token,
            api_url=box.api_url,
        )
    assert "Not allowed to set category" in caught.value.message
    check_it_is_about_the_category(caught.value)
    assert len(articles(owner)) == before
    with pytest.raises(NotFound):
        Config.load().repository("mice")


def check_it_is_about_the_category(error: OneError) -> None:
    assert "figshare does not know this" not in error.message, "the article is there"
    assert "article_id" not in error.hint
    assert "categor" in error.hint, "what to do: choose another category"


def test_a_category_that_is_not_allowed_is_said_of_a_draft_as_well(box: Recorded, owner: Owner, first: Article) -> None:
    before = record(owner, first.number)
    with pytest.raises(OneError) as caught:
        describe(
            first,
            Description(categories=("Clinical trials of a closed portal",)),
            [first.number],
            name="x",
            how_to_download=False,
        )
    assert "Not allowed to set category" in caught.value.message
    check_it_is_about_the_category(caught.value)
    assert record(owner, first.number) == before


def test_without_a_token_or_a_title_nothing_is_asked(box: Recorded) -> None:
    with pytest.raises(AccessDenied):
        create_figshare("mice", FULL, api_url=box.api_url)
    with pytest.raises(ConfigError, match="title"):
        create_figshare("mice", Description(), token=box.token, api_url=box.api_url)
    assert box.recorder.seen == []


# Making further ones


def test_a_further_article_is_made_once_however_often_that_is_asked(owner: Owner, first: Article) -> None:
    made = [make_part(first, [first.number]).number for _ in range(3)]
    assert len(set(made)) == 1
    assert parts(owner) == [first.number, made[0]]
    assert numbers_of(record(owner, first.number)["references"]) == [made[0]]
    assert make_part(first, [first.number, made[0]]).number != made[0]
    assert len(numbers_of(record(owner, first.number)["references"])) == 2


@pytest.mark.parametrize("after", range(3))
def test_a_further_article_that_was_half_made_is_finished(
    box: Recorded, owner: Owner, first: Article, after: int
) -> None:
    dies_after(box, after)
    with pytest.raises(OneError):
        make_part(first, [first.number])
    lives(box)
    number = make_part(first, [first.number]).number
    assert parts(owner) == [first.number, number]
    assert numbers_of(record(owner, first.number)["references"]) == [number]
    assert numbers_of(record(owner, number)["references"]) == [first.number]
    assert authors(owner, number) == authors(owner, first.number)


@pytest.mark.parametrize("step", range(3))
def test_where_an_answer_is_lost_a_further_article_is_made_once(
    box: Recorded, owner: Owner, first: Article, step: int
) -> None:
    method, path = [
        ("POST", CREATED),
        ("PATCH", r"^/v2/account/articles/\d+$"),
        ("PATCH", rf"^/v2/account/articles/{first.number}$"),
    ][step]
    box.faults.set("reset_after", times=1, method=method, path=path)
    number = make_part(first, [first.number]).number
    assert box.faults.played["reset_after"] == 1
    assert parts(owner) == [first.number, number]
    assert numbers_of(record(owner, first.number)["references"]) == [number]
    assert authors(owner, number) == authors(owner, first.number)


def test_an_article_of_the_same_title_that_does_not_refer_to_the_first_is_not_taken(
    owner: Owner, first: Article
) -> None:
    title = f"{record(owner, first.number)['title']} (part 2)"
    theirs = owner.ask("POST", "/account/articles", {"title": title})[2]["location"]
    made = make_part(first, [first.number]).number
    assert made != int(theirs.rpartition("/")[2])


@pytest.mark.parametrize("long", ["title", "description"])
def test_a_first_article_at_the_limits_of_figshare_has_further_ones(owner: Owner, first: Article, long: str) -> None:
    """A title of 1,000 characters and a description of 20,000 are what figshare takes."""
    text = {"title": "x" * 1000, "description": "<p>" + "x" * 19_993 + "</p>"}[long]
    assert owner.ask("PATCH", owner.article, {long: text})[0] == 205
    number = make_part(first, [first.number]).number
    assert "(part 2)" in record(owner, number)["title"]
    assert numbers_of(record(owner, number)["references"]) == [first.number]


# Saying what it is


@pytest.fixture
def described(box: Recorded, owner: Owner, tmp_path: Path) -> list[int]:
    """A repository in three articles, whose text says how to download."""
    afresh(box, owner)
    configure(box, files_per_article=4)
    upload(write(tmp_path / "root", {f"{SESSION}/alf/a{n}.b.npy": some(9) for n in range(9)}))
    One("figs").set_description(Description(), how_to_download=True)
    numbers = parts(owner)
    assert len(numbers) >= 3
    return numbers


def test_references_to_the_parts_stay_whatever_is_said(owner: Owner, described: list[int]) -> None:
    one = One("figs")
    assert one.description().references == ("https://example.org/paper",), "they are not the author's"
    for said in (("https://example.org/another", "10.1038/s41586"), ("https://example.org/last",)):
        assert one.set_description(Description(references=said)) == ["references"]
        references = record(owner, described[0])["references"]
        assert numbers_of([text for text in references if "127.0.0.1" in text]) == described[1:]
        assert Counter(references).most_common(1)[0][1] == 1
        assert references[0].endswith(said[0])
        assert one.compare_description(Description(references=said)) == []
    one.set_description(Description(title="Another title"))
    assert numbers_of([t for t in record(owner, described[0])["references"] if "127.0.0.1" in t]) == described[1:]


def test_how_to_download_stays_whatever_is_said_and_is_there_once(owner: Owner, described: list[int]) -> None:
    one = One("figs")
    assert HOW_TO_DOWNLOAD not in one.description().description, "it is not the author's"
    for number, text in enumerate(("Another text.", "A third one, with <b>signs</b> & more.")):
        assert one.set_description(Description(description=text), how_to_download=number == 1) == ["description"]
        html = record(owner, described[0])["description"]
        assert html.count(HOW_TO_DOWNLOAD) == 1
        assert str(described[0]) in html
        assert one.description().description.strip() == text
        assert one.compare_description(Description(description=text)) == []


def test_what_is_the_same_is_not_sent(box: Recorded, described: list[int]) -> None:
    one = One("figs")
    said = one.description()
    assert described
    box.recorder.seen.clear()
    assert one.set_description(said) == []
    assert one.set_description(said, how_to_download=True) == []
    assert one.set_description(Description()) == []
    assert box.recorder.changes == []


def test_only_what_differs_is_sent(
    box: Recorded, owner: Owner, client: Client, monkeypatch: pytest.MonkeyPatch, first: Article
) -> None:
    sent: list[Mapping[str, Any]] = []
    call = Api.call

    def noted(self: Api, method: str, path: str, body: dict[str, Any] | None = None, **more: Any) -> Any:
        sent.extend([body] if body is not None else [])
        return call(self, method, path, body, **more)

    monkeypatch.setattr(Api, "call", noted)
    there = record(owner, first.number)
    repository = open_box(box, client)
    assert repository.set_description(Description(title="Another title", keywords=("mouse",))) == ["title"]
    assert sent == [{"title": "Another title"}]
    assert record(owner, first.number)["description"] == there["description"]


def test_authors_are_replaced_and_not_doubled(box: Recorded, owner: Owner, first: Article, client: Client) -> None:
    said = Description(authors=(Author("Alan Turing"), Author("Grace Hopper")))
    repository = open_box(box, client)
    for changed in (["authors"], []):
        assert repository.set_description(said) == changed
        assert authors(owner, first.number) == ["Alan Turing", "Grace Hopper"]


def test_a_server_that_knows_no_patch_is_given_put(box: Recorded, owner: Owner, first: Article, client: Client) -> None:
    before = record(owner, first.number)

    def refuse(seen: Seen) -> int | None:
        return 405 if seen.method == "PATCH" else None

    box.recorder.refuse = refuse
    assert open_box(box, client).set_description(Description(title="Another title")) == ["title"]
    after = record(owner, first.number)
    assert after["title"] == "Another title"
    assert {key: after[key] for key in ("description", "keywords", "references", "authors")} == {
        key: before[key] for key in ("description", "keywords", "references", "authors")
    }
    assert [seen.method for seen in box.recorder.changes if "/account/articles/" in seen.path][-2:] == ["PATCH", "PUT"]


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_another_refusal_is_no_reason_for_put(
    box: Recorded, owner: Owner, first: Article, client: Client, status: int
) -> None:
    box.recorder.refuse = lambda seen: status if seen.method == "PATCH" else None
    box.recorder.seen.clear()
    with pytest.raises(OneError):
        open_box(box, client).set_description(Description(title="Another title"))
    assert {seen.method for seen in box.recorder.changes} == {"PATCH"}


def test_a_change_whose_answer_is_lost_is_made_once_and_no_error(
    box: Recorded, owner: Owner, first: Article, client: Client
) -> None:
    """The same fields set twice are the same fields."""
    box.faults.set("reset_after", times=1, method="PATCH")
    assert open_box(box, client).set_description(Description(title="Another title")) == ["title"]
    assert record(owner, first.number)["title"] == "Another title"


# DOI


def test_a_doi_is_reserved_once(box: Recorded, owner: Owner, first: Article, client: Client) -> None:
    doi = reserve_doi(first)
    assert str(first.number) in doi
    assert reserve_doi(first) == open_box(box, client).reserve_doi() == doi
    box.faults.set("reset_after", times=1, method="POST", path="/reserve_doi$")
    assert reserve_doi(first) == doi
    owner.add("README.pdf", b"a file")
    owner.publish()
    assert json.loads(owner.ask("GET", f"/articles/{first.number}", token=False)[1])["doi"] == doi


# Layouts


def folders(box: Recorded, client: Client, *, token: str | None = None, layout: str = "folders") -> FigshareRepository:
    return FigshareRepository(
        "figs",
        box.article_id,
        client,
        token=box.token if token is None else token,
        api_url=box.api_url,
        patience=20.0,
        layout=layout,
    )


def structure(owner: Owner) -> dict[str, tuple[str, str]]:
    """Return name and folder of each file of the draft, by its path."""
    places = json.loads(owner.ask("GET", owner.article)[1])["folder_structure"]
    found = [(row["name"], places.get(str(row["id"]), "")) for row in owner.files()]
    return {f"{folder}/{name}".strip("/").replace("~", "/"): (name, folder) for name, folder in found}


TWINS = {
    f"{SESSION}/alf/probe00/spikes.times.npy": b"one",
    f"{SESSION}/alf/probe01/spikes.times.npy": b"another",
    f"{OTHER}/alf/probe00/spikes.times.npy": b"one",
    f"{SESSION}/alf/#2024-05-06#/spikes.times.npy": b"a third",
    f"{SESSION}/spikes.no_collection.npy": b"a fourth",
    f"{SESSION}/alf/probe 00/spikes.t\u00fc.npy": b"a fifth",
}


def test_name_and_folder_are_sent_and_read_back(box: Recorded, owner: Owner, client: Client, tmp_path: Path) -> None:
    assert share(folders(box, client), tmp_path, TWINS) is True
    there = structure(owner)
    assert there.pop(INDEX_NAME) == (INDEX_NAME, "")
    assert there == {path: tuple(path.rpartition("/")[::-2]) for path in TWINS}
    for repository in (folders(box, client), open_box(box, client)):
        assert {entry.path for entry in repository.stored()} == set(TWINS)
        assert fetched(repository, client, tmp_path / f"to {len(list(tmp_path.iterdir()))}") == TWINS
    owner.publish()
    reader = open_box(box, client, token="")
    assert fetched(reader, client, tmp_path / "public") == TWINS
    assert not reader.refresh().remarks


def test_readers_without_an_index_find_paths_by_the_folders(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    share(folders(box, client), tmp_path, TWINS)
    for row in owner.files():
        if row["name"] == INDEX_NAME:
            owner.ask("DELETE", f"{owner.article}/files/{row['id']}")
    owner.publish()
    for token in ("", box.token):
        assert fetched(open_box(box, client, token=token), client, tmp_path / f"to{token[:1]}") == TWINS


def test_old_clients_find_every_address_in_one_root(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    share(folders(box, client), tmp_path, TWINS)
    rows = dict(line.split("\t") for line in (owner.read(INDEX_NAME) or b"").decode().splitlines())
    assert {path: owner.ask("GET", url)[1] for path, url in rows.items()} == TWINS


@pytest.mark.parametrize("layouts", [("flat", "folders"), ("folders", "flat")])
def test_another_layout_of_a_repository_sends_nothing_again(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path, layouts: tuple[str, str]
) -> None:
    before, after = layouts
    share(folders(box, client, layout=before), tmp_path, TWINS)
    box.recorder.seen.clear()
    assert share(folders(box, client, layout=after), tmp_path, TWINS) is False
    assert box.recorder.changes == []
    new = {**TWINS, ELSEWHERE: some(), f"{SESSION}/alf/probe00/spikes.times.npy": b"changed"}
    assert share(folders(box, client, layout=after), tmp_path, new) is True
    there = structure(owner)
    assert set(there) == {INDEX_NAME, *new}
    assert len(owner.files()) == len(new) + 1, "what was replaced is gone, whatever its name was"
    is_foldered = {path: bool(folder) for path, (_, folder) in there.items() if path != INDEX_NAME}
    for path, foldered in is_foldered.items():
        changed = path == ELSEWHERE or new[path] == b"changed"
        assert foldered is ((after if changed else before) == "folders")
    assert fetched(open_box(box, client), client, tmp_path / "to") == new


def test_what_was_begun_in_a_folder_is_gone_on_with(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    content = some(2_500_000)
    folder, _, name = TIMES.rpartition("/")
    row = owner.begin(name, content, folder_path=folder)
    owner.send_part(row, 1, content)
    box.recorder.seen.clear()
    share(folders(box, client), tmp_path, {TIMES: content})
    assert row["id"] in [one["id"] for one in owner.files()]
    assert sorted(seen.path[-2:] for seen in box.recorder.of("PUT", path=row["upload_token"])) == ["/2", "/3"]


@pytest.mark.parametrize("fault", ["reset", "reset_after"])
def test_a_beginning_whose_answer_is_lost_is_not_taken_for_that_of_a_twin_in_another_folder(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path, fault: str
) -> None:
    """Two files of one name and content, one of them begun: only the folder tells them apart."""
    content = some()
    one, other = f"{SESSION}/alf/probe00/channels.map.npy", f"{SESSION}/alf/probe01/channels.map.npy"
    repository = folders(box, client)
    repository.stored()
    folder, _, name = one.rpartition("/")
    owner.begin(name, content, folder_path=folder)
    source = tmp_path / "mine"
    source.write_bytes(content)
    box.faults.set(fault, times=1, method="POST", path="/files$")
    repository.put(Entry(other, size=len(content), md5=hashlib.md5(content).hexdigest()), source, nothing)
    whole = {path for path, (_, folder) in structure(owner).items() if folder}
    assert other in whole
    assert [entry.path for entry in folders(box, client).stored()] == [other]


def test_a_pack_lies_in_the_folder_of_its_session(box: Recorded, owner: Owner, client: Client, tmp_path: Path) -> None:
    configure(box, layout="folders")
    files = {TIMES: some(), CLUSTERS: b"", ELSEWHERE: some()}
    One("figs").upload(write(tmp_path / "root", files), pack=True)
    assert structure(owner)[f"{SESSION}/alf/_one_session.pack.tar"] == ("_one_session.pack.tar", f"{SESSION}/alf")
    for repository in (open_box(box, client), folders(box, client)):
        assert {entry.path for entry in repository.refresh()} == set(files)
    assert fetched(open_box(box, client), client, tmp_path / "to") == files


def test_an_instance_that_knows_no_folders_is_read_by_its_index(
    make_box: Callable[..., Recorded], client: Client, tmp_path: Path
) -> None:
    """Older ones take a folder and do not show it."""
    box = make_box(show_folders=False)
    share(folders(box, client), tmp_path, TWINS)
    assert fetched(open_box(box, client), client, tmp_path / "to") == TWINS


def test_folders_of_several_articles_are_read_back(
    make_box: Callable[..., Recorded], client: Client, tmp_path: Path
) -> None:
    box = make_box(file_limit=4)
    owner = Owner(box)
    afresh(box, owner)
    configure(box, layout="folders", files_per_article=4)
    upload(write(tmp_path / "root", TWINS))
    box.recorder.seen.clear()
    upload(tmp_path / "root")
    assert box.recorder.changes == []
    assert {entry.path for entry in One("figs").refresh()} == set(TWINS)
    index = Index(open_box(box, client).refresh())
    assert {entry.path: entry.size for entry in index} == {path: len(content) for path, content in TWINS.items()}


def test_a_layout_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="'nested' is no layout") as caught:
        layout_of("nested")
    assert "flat and folders" in caught.value.hint
    assert layout_of("") == "flat"


def test_flat_names_are_those_of_the_first_client(box: Recorded, owner: Owner, client: Client, tmp_path: Path) -> None:
    share(open_box(box, client), tmp_path, {TIMES: some()})
    assert owner.names() == sorted([INDEX_NAME, flat(TIMES)])
    assert structure(owner)[TIMES] == (flat(TIMES), "")
