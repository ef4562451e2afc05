"""A repository in several articles, where one does not take all files: filled, killed at each step, published."""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from boxes import Owner, Recorded, Seen
from contract import some
from test_figshare import fetched, flat, open_box

from onelight import One
from onelight.client import Client
from onelight.config import Config, Settings
from onelight.errors import OneError, QuotaExceeded, RepositoryError
from onelight.index import EMPTY_URL, INDEX_NAME, Index
from onelight.kinds.figshare import FigshareRepository
from onelight.repository import Publication
from onelight.transfer import Mark, Outcome

LIMIT = 6
SESSIONS = [f"lab/Subjects/S{number}/2020-01-0{number}/001" for number in range(1, 6)]
AUTHORS = [{"name": "Ada Lovelace"}, {"name": "Alan Turing"}]


def recordings(sessions: int = 4, files: int = 3) -> dict[str, bytes]:
    return {f"{session}/alf/a{n}.b.npy": some(40) for session in SESSIONS[:sessions] for n in range(files)}


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    """Make a data root hold exactly these files."""
    shutil.rmtree(root, ignore_errors=True)
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def configure(box: Recorded, **more: Any) -> None:
    options = {"article_id": box.article_id, "token": box.token, "api_url": box.api_url, **more}
    config = Config.load()
    config.add(Settings("figs", "figshare", options))
    config.choose("figs")


def upload(root: Path, **how: Any) -> list[Outcome]:
    """Upload as another process would: what is known of the repository is what the configuration says."""
    return One("figs").upload(root, parallel=1, **{"spread": True, **how})


def dies_after(box: Recorded, changes: int) -> None:
    """Let so many changing requests through, and nothing that follows: as figshare sees it, the process was killed."""
    done = itertools.count(1)
    dead: list[Seen] = []

    def refuse(seen: Seen) -> int | None:
        if seen.path.startswith("/control"):
            return None
        if seen.method not in ("GET", "HEAD") and next(done) > changes:
            dead.append(seen)
        return 400 if dead else None

    box.recorder.refuse = refuse


def lives(box: Recorded) -> None:
    box.recorder.refuse = lambda _: None


def loses_answer(box: Recorded, number: int) -> None:
    """Cut the connection after a changing request was handled, the one of this number, before its answer."""
    changes = itertools.count()

    def refuse(seen: Seen) -> None:
        if seen.method not in ("GET", "HEAD") and next(changes) == number:
            box.faults.set("reset_after", times=1, method=seen.method)

    box.recorder.refuse = refuse


def afresh(box: Recorded, owner: Owner) -> None:
    """Begin with another first article; the others are not of it any more."""
    body = {
        "title": f"Four mice, {secrets.token_hex(4)}",
        "description": "<p>What is here.</p>",
        "categories": [24277],
        "keywords": ["mouse"],
        "references": ["https://example.org/paper"],
    }
    location = owner.ask("POST", "/account/articles", body)[2]["location"]
    owner.ask("PUT", f"{location}/authors", {"authors": AUTHORS})
    box.article_id = int(location.rpartition("/")[2])
    owner.article = location


def record(owner: Owner, number: int | None = None) -> dict[str, Any]:
    url = owner.article if number is None else f"/account/articles/{number}"
    return dict(json.loads(owner.ask("GET", url)[1]))


def parts(owner: Owner) -> list[int]:
    """Return the articles of the account that say that they belong to the first one, oldest first."""
    first = record(owner)
    rows = json.loads(owner.ask("GET", "/account/articles?page_size=1000")[1])
    found = [int(row["id"]) for row in rows if row["title"].startswith(first["title"])]
    return sorted(found)


def named(owner: Owner, number: int) -> list[str]:
    rows = json.loads(owner.ask("GET", f"/account/articles/{number}/files?page_size=1000")[1])
    assert {row["status"] for row in rows} <= {"available"}, rows
    return [str(row["name"]) for row in rows]


def all_names(owner: Owner) -> Counter[str]:
    return Counter(name for number in parts(owner) for name in named(owner, number))


def numbers_of(references: list[str]) -> list[int]:
    return [int(text.rpartition("/")[2]) for text in references if "/articles/" in text]


@pytest.fixture
def box(make_box: Callable[..., Recorded]) -> Recorded:
    return make_box(file_limit=LIMIT)


@pytest.fixture
def owner(box: Recorded) -> Owner:
    one = Owner(box)
    afresh(box, one)
    configure(box, files_per_article=LIMIT)
    return one


def check_stored(owner: Owner, files: Mapping[str, bytes]) -> None:
    """Every file is there once, the articles know of each other once, and the index is in the first only."""
    articles = parts(owner)
    assert all_names(owner) == Counter([INDEX_NAME, *map(flat, files)])
    assert INDEX_NAME in named(owner, articles[0])
    assert sorted(numbers_of(record(owner)["references"])) == articles[1:], "each reference once"
    assert record(owner)["references"][0] == "https://example.org/paper", "what was there before stays"
    for number in articles[1:]:
        assert numbers_of(record(owner, number)["references"]) == [articles[0]]
    rows = dict(line.split("\t") for line in (owner.read(INDEX_NAME) or b"").decode().splitlines())
    assert rows.keys() == files.keys()
    for path, url in rows.items():
        assert owner.ask("GET", url)[1] == files[path]


# Spreading


def test_sessions_are_spread_and_stay_whole(box: Recorded, owner: Owner, tmp_path: Path) -> None:
    files = recordings(4)
    assert len(upload(write(tmp_path / "root", files))) == len(files)
    check_stored(owner, files)
    articles = parts(owner)
    assert len(articles) == 3, "12 files and an index, of which a new one has to fit beside it: 3, 6, 3"
    for number in articles:
        assert len(named(owner, number)) <= LIMIT
        sessions = Counter(name.rpartition("~alf~")[0] for name in named(owner, number) if name != INDEX_NAME)
        assert set(sessions.values()) == {3}, "no session is split"


def test_the_configuration_lists_the_articles_and_a_second_run_sends_nothing(
    box: Recorded, owner: Owner, tmp_path: Path
) -> None:
    files = recordings(4)
    root = write(tmp_path / "root", files)
    upload(root)
    assert Config.load().repository("figs").options["articles"] == parts(owner)
    box.recorder.seen.clear()
    upload(root)
    assert box.recorder.changes == []


def test_a_session_larger_than_an_article_is_split(box: Recorded, owner: Owner, tmp_path: Path) -> None:
    files = recordings(1, 17)
    upload(write(tmp_path / "root", files))
    check_stored(owner, files)
    assert len(parts(owner)) <= 4


def test_without_spread_nothing_is_sent_and_the_way_out_is_told(box: Recorded, owner: Owner, tmp_path: Path) -> None:
    root = write(tmp_path / "root", recordings(4))
    box.recorder.seen.clear()
    with pytest.raises(QuotaExceeded, match="files in all") as caught:
        upload(root, spread=False)
    assert "--spread" in caught.value.hint
    assert "Nothing was sent" in caught.value.hint
    assert box.recorder.changes == []


def test_the_plan_says_how_many_articles_will_be_made_and_makes_none(
    box: Recorded, owner: Owner, tmp_path: Path
) -> None:
    root = write(tmp_path / "root", recordings(4))
    box.recorder.seen.clear()
    plan = One("figs").plan_upload(root, spread=True)
    [note] = plan.room.notes
    assert "2 more articles will be made" in note
    assert box.recorder.changes == []


def test_a_further_article_says_what_the_first_says_and_where_it_belongs(
    box: Recorded, owner: Owner, tmp_path: Path
) -> None:
    upload(write(tmp_path / "root", recordings(2)))
    first, number = record(owner), parts(owner)[1]
    part = record(owner, number)
    assert part["title"] == f"{first['title']} (part 2)"
    assert str(box.article_id) in part["description"]
    assert first["description"] in part["description"]
    assert [author["full_name"] for author in part["authors"]] == ["Ada Lovelace", "Alan Turing"]
    for field in ("categories", "keywords", "license", "defined_type"):
        assert part[field] == first[field]


def test_more_sessions_later_go_on_where_there_is_room(box: Recorded, owner: Owner, tmp_path: Path) -> None:
    files = recordings(5)
    for count in range(1, 6):
        some_of = {path: content for path, content in files.items() if path.startswith(tuple(SESSIONS[:count]))}
        upload(write(tmp_path / "root", some_of))
        check_stored(owner, some_of)
    assert len(parts(owner)) == 3


def test_the_first_article_always_has_room_for_the_next_index(box: Recorded, owner: Owner, tmp_path: Path) -> None:
    """Until it is whole the new index stands beside the old one: 5 files, the index, and one more would not fit."""
    files = recordings(5, 1)
    upload(write(tmp_path / "root", files))
    check_stored(owner, files)
    files[f"{SESSIONS[4]}/alf/more.b.npy"] = some(40)
    upload(write(tmp_path / "root", files))
    check_stored(owner, files)


def test_a_first_article_that_has_no_room_for_an_index_is_told_before_anything_is_sent(
    box: Recorded, owner: Owner, tmp_path: Path
) -> None:
    for number in range(LIMIT):
        owner.add(f"figure {number}.pdf", some(40))
    root = write(tmp_path / "root", recordings(1))
    box.recorder.seen.clear()
    with pytest.raises(QuotaExceeded):
        upload(root)
    assert box.recorder.changes == []


def test_an_empty_file_takes_no_room(box: Recorded, owner: Owner, tmp_path: Path) -> None:
    files = recordings(1, 3) | {f"{SESSIONS[1]}/alf/e{n}.b.npy": b"" for n in range(20)}
    upload(write(tmp_path / "root", files))
    assert parts(owner) == [box.article_id]
    rows = (owner.read(INDEX_NAME) or b"").decode().splitlines()
    assert sum(row.endswith(EMPTY_URL) for row in rows) == 20


# Reading


@pytest.mark.parametrize("published", [False, True])
def test_readers_without_the_list_find_the_other_articles_by_the_references(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path, published: bool
) -> None:
    files = recordings(4)
    upload(write(tmp_path / "root", files))
    if published:
        One("figs").publish()
    reader = open_box(box, client, token="" if published else box.token)
    index = reader.refresh()
    stated = {entry.path: (entry.size, entry.md5) for entry in index}
    assert stated == {path: (len(content), hashlib.md5(content).hexdigest()) for path, content in files.items()}
    assert fetched(open_box(box, client, token="" if published else box.token), client, tmp_path / "to") == files


def test_a_public_article_in_parts_that_has_not_changed_costs_one_request(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    upload(write(tmp_path / "root", recordings(4)))
    One("figs").publish()
    last = open_box(box, client, token="").refresh()
    box.recorder.seen.clear()
    assert open_box(box, client, token="").refresh(last) is last
    assert len(box.recorder.seen) == 1


def test_a_part_that_the_public_does_not_see_yet_hides_nothing_else(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    """Somebody published the first article only: its rows still point to all files."""
    files = recordings(4)
    upload(write(tmp_path / "root", files))
    owner.publish()
    index = open_box(box, client, token="").refresh()
    assert {entry.path for entry in index} == set(files)
    here = set(named(owner, parts(owner)[0]))
    for entry in index:
        assert (entry.size is not None) == (flat(entry.path) in here)


def test_an_old_client_that_reads_one_root_only_finds_every_address(
    box: Recorded, owner: Owner, tmp_path: Path
) -> None:
    files = recordings(4)
    upload(write(tmp_path / "root", files))
    published = One("figs").publish()
    assert published.version == 1
    rows = [line.split("\t") for line in (owner.read(INDEX_NAME) or b"").decode().splitlines()]
    assert [path for path, _ in rows] == sorted(files)
    for path, url in rows:
        status, _, headers = owner.ask("GET", url, token=False)
        assert status == 302
        assert owner.ask("GET", headers["location"], token=False)[1] == files[path]


def test_an_owner_whose_configuration_has_lost_the_list_sends_nothing_again(
    box: Recorded, owner: Owner, tmp_path: Path
) -> None:
    """Another computer of the same owner: `onelight add-repo` knows the first article only."""
    files = recordings(4)
    root = write(tmp_path / "root", files)
    upload(root)
    there = all_names(owner)
    configure(box, files_per_article=LIMIT)
    upload(root)
    assert all_names(owner) == there
    check_stored(owner, files)


# Replacing, deleting, leftovers


def test_a_file_that_is_replaced_in_a_further_article_leaves_no_duplicate(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    files = recordings(4)
    upload(write(tmp_path / "root", files))
    for path in (f"{SESSIONS[3]}/alf/a0.b.npy", f"{SESSIONS[0]}/alf/a0.b.npy"):
        files[path] = some(50)
        upload(write(tmp_path / "root", files))
        check_stored(owner, files)
    assert One("figs").plan_upload(tmp_path / "root").leftovers == []
    assert fetched(open_box(box, client), client, tmp_path / "to") == files


def test_what_is_not_here_any_more_is_deleted_in_every_article(box: Recorded, owner: Owner, tmp_path: Path) -> None:
    files = recordings(4)
    upload(write(tmp_path / "root", files))
    kept = {path: content for path, content in files.items() if not path.endswith("a0.b.npy")}
    upload(write(tmp_path / "root", kept), delete=True)
    check_stored(owner, kept)


def test_status_compares_all_articles(box: Recorded, owner: Owner, tmp_path: Path) -> None:
    files = recordings(4)
    root = write(tmp_path / "root", files)
    upload(root)
    compared = One("figs").status(root)
    assert {one.path for one in compared} == set(files)
    assert {one.local for one in compared} == {Mark.SAME}
    assert {one.public for one in compared} == {None}
    One("figs").publish()
    assert all(one.is_clean and one.public is Mark.SAME for one in One("figs").status(root))


def test_the_room_counts_all_articles(box: Recorded, owner: Owner, tmp_path: Path) -> None:
    files = recordings(4)
    upload(write(tmp_path / "root", files))
    room = One("figs").plan_upload(tmp_path / "root").room
    assert room.files_left == LIMIT * len(parts(owner)) - len(files) - 1


def test_what_a_broken_run_left_in_a_further_article_is_told_and_removed(
    box: Recorded, owner: Owner, tmp_path: Path
) -> None:
    files = recordings(4)
    root = write(tmp_path / "root", files)
    upload(root)
    part = Owner(box)
    part.article = f"{box.api_url}/account/articles/{parts(owner)[2]}"
    part.begin(flat(f"{SESSIONS[4]}/alf/never.b.npy"), some())
    [leftover] = One("figs").plan_upload(root).leftovers
    assert leftover.path == f"{SESSIONS[4]}/alf/never.b.npy"
    assert "never finished" in leftover.why
    upload(root, clean=True)
    assert One("figs").plan_upload(root).leftovers == []
    check_stored(owner, files)


# Killed


def changes_of(box: Recorded, owner: Owner, act: Callable[[], object]) -> int:
    """Return how many changing requests an act takes, in an article of its own."""
    box.recorder.seen.clear()
    act()
    return len(box.recorder.changes)


def killed_and_run_again(
    box: Recorded, owner: Owner, prepare: Callable[[], None], act: Callable[[], object], check: Callable[[int], None]
) -> None:
    """Kill an act before each of its changing requests, and check what its second run leaves."""
    prepare()
    total = changes_of(box, owner, act)
    assert total > 3
    check(total)
    for number in range(total):
        prepare()
        dies_after(box, number)
        with pytest.raises(OneError):
            act()
        lives(box)
        act()
        check(number)


def test_killed_at_any_step_and_run_again_there_is_neither_an_orphan_nor_a_duplicate(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    files = recordings(3, 3)
    root = write(tmp_path / "root", files)

    def prepare() -> None:
        afresh(box, owner)
        configure(box, files_per_article=LIMIT)

    def check(step: int) -> None:
        articles = parts(owner)
        assert len(articles) == 2, step
        check_stored(owner, files)
        assert Config.load().repository("figs").options["articles"] == articles
        for number in articles:
            names = [author["full_name"] for author in record(owner, number)["authors"]]
            assert names == ["Ada Lovelace", "Alan Turing"], step
        assert [entry.path for entry in open_box(box, client).refresh()] == sorted(files)

    killed_and_run_again(box, owner, prepare, lambda: upload(root), check)


@pytest.mark.parametrize("clean", [False, True])
def test_killed_while_files_are_replaced_and_run_again_everything_is_there_once(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path, clean: bool
) -> None:
    before = recordings(3, 2)
    after = {path: some(60) if path.endswith("a0.b.npy") else content for path, content in before.items()}
    root = tmp_path / "root"

    def prepare() -> None:
        afresh(box, owner)
        configure(box, files_per_article=LIMIT)
        upload(write(root, before))
        write(root, after)

    def act() -> None:
        try:
            upload(root, clean=clean)
        finally:
            lives(box)
            got = fetched(open_box(box, client), client, tmp_path / f"to {len(box.recorder.seen)}")
            differing = {path for path in {*before, *got} if got.get(path) != before.get(path)}
            assert got in (before, after), (
                f"readers see the old state or the new: {sorted(differing)}, {len(got)} files"
            )

    killed_and_run_again(box, owner, prepare, act, lambda _: check_stored(owner, after))


@pytest.mark.parametrize("of", ["new", "changed"])
def test_where_any_one_answer_is_lost_the_upload_goes_on_and_everything_is_there_once(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path, of: str
) -> None:
    before = recordings(3, 2)
    after = {path: some(60) if path.endswith("a0.b.npy") else content for path, content in before.items()}
    root = tmp_path / "root"

    def prepare() -> None:
        lives(box)
        afresh(box, owner)
        configure(box, files_per_article=LIMIT)
        if of == "changed":
            upload(write(root, before))
        write(root, after)

    prepare()
    total = changes_of(box, owner, lambda: upload(root))
    for number in range(total):
        prepare()
        loses_answer(box, number)
        upload(root)
        assert box.faults.played["reset_after"] == number + 1
        check_stored(owner, after)


# Publishing


def test_every_article_is_published_the_one_with_the_index_last(box: Recorded, owner: Owner, tmp_path: Path) -> None:
    upload(write(tmp_path / "root", recordings(4)))
    articles = parts(owner)
    box.recorder.seen.clear()
    published: Publication = One("figs").publish()
    order = [int(seen.path.split("/")[-2]) for seen in box.recorder.of("POST", path="/publish")]
    assert sorted(order) == articles
    assert order[-1] == articles[0]
    assert (published.version, published.is_visible) == (1, True)
    assert str(articles[0]) in published.address


def test_what_a_further_article_lacks_is_told_with_its_number_and_nothing_is_published(
    box: Recorded, owner: Owner, tmp_path: Path
) -> None:
    upload(write(tmp_path / "root", recordings(4)))
    number = parts(owner)[2]
    owner.ask("PATCH", f"/account/articles/{number}", {"keywords": []})
    [missing] = One("figs").missing_for_publication()
    assert str(number) in missing
    with pytest.raises(RepositoryError, match=str(number)):
        One("figs").publish()
    assert box.recorder.of("POST", path="/publish") == []


def test_a_publication_that_is_killed_is_finished_by_the_next(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    files = recordings(4)
    upload(write(tmp_path / "root", files))
    for number in range(3):
        dies_after(box, number)
        with pytest.raises(OneError):
            One("figs").publish()
        lives(box)
        assert owner.ask("GET", f"/articles/{box.article_id}", token=False)[0] == 404, "the index is public last"
    One("figs").publish()
    assert fetched(open_box(box, client, token=""), client, tmp_path / "to") == files


def test_a_file_that_is_missing_in_the_index_is_in_the_way_of_publication_in_any_article(
    box: Recorded, owner: Owner, tmp_path: Path
) -> None:
    upload(write(tmp_path / "root", recordings(4)))
    part = Owner(box)
    part.article = f"{box.api_url}/account/articles/{parts(owner)[2]}"
    part.add(flat(f"{SESSIONS[4]}/alf/new.b.npy"), some())
    [missing] = One("figs").missing_for_publication()
    assert "1 files in the index" in missing


def test_an_article_of_somebody_else_among_the_references_is_no_part(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    files = recordings(1)
    upload(write(tmp_path / "root", files))
    other = owner.ask("POST", "/account/articles", {"title": "Another work"})[2]["location"]
    theirs = Owner(box)
    theirs.article = other
    theirs.add(flat(f"{SESSIONS[4]}/alf/theirs.b.npy"), some())
    owner.ask("PATCH", owner.article, {"references": [other.replace("/account", "")]})
    assert {entry.path for entry in open_box(box, client).refresh()} == set(files)
    assert {entry.path for entry in open_box(box, client).stored()} == set(files)


def test_the_list_of_articles_may_name_the_first_or_not(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    files = recordings(4)
    upload(write(tmp_path / "root", files))
    articles = parts(owner)
    for given in (articles, articles[1:]):
        repository = FigshareRepository(
            "figs", articles[0], client, token=box.token, api_url=box.api_url, articles=given
        )
        index = repository.refresh()
        assert [entry.path for entry in index] == sorted(files)
        assert [entry.path for entry in Index(repository.stored())] == sorted(files)
