"""Several people, several computers, several articles: nobody takes, moves or removes what belongs to somebody else."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from boxes import Owner, Recorded, Seen
from contract import CLUSTERS, ELSEWHERE, OTHER, SESSION, TIMES, some
from test_figshare import fetched, flat, open_box
from test_figshare_articles import LIMIT, SESSIONS, check_stored, configure, lives, named, numbers_of, parts, write
from test_figshare_articles import afresh as begin_afresh
from test_figshare_articles import recordings as spread_recordings
from test_figshare_articles import upload as upload_spread

from onelight import One
from onelight.client import Client
from onelight.config import Config, Settings
from onelight.description import Description
from onelight.errors import AccessDenied, NotFound, RepositoryError, Unreachable
from onelight.index import INDEX_NAME, Entry
from onelight.kinds.figshare.api import Api
from onelight.kinds.figshare.article import Article
from onelight.kinds.figshare.finding import find
from onelight.kinds.figshare.reading import is_part, part_note
from onelight.pack import PACK_NAME, PACKS_NAME, member_entry, read_packs, split
from onelight.transfer import Mark, Outcome, Status

TAR = flat(f"{SESSION}/{PACK_NAME}")
READY = {
    "title": "Another data set",
    "description": "<p>Of another paper.</p>",
    "categories": [24277],
    "keywords": ["rat"],
    "authors": [{"name": "Grace Hopper"}],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def record(owner: Owner) -> dict[str, Any]:
    return dict(json.loads(owner.ask("GET", owner.article)[1]))


def number_of(owner: Owner) -> int:
    return int(owner.article.rpartition("/")[2])


def ids(owner: Owner) -> dict[str, int]:
    """Return the number of each file, of which every name is there once."""
    rows = owner.files()
    assert len({row["name"] for row in rows}) == len(rows), rows
    return {row["name"]: row["id"] for row in rows}


def rows_of(owner: Owner) -> dict[str, str]:
    return dict(line.split("\t") for line in (owner.read(INDEX_NAME) or b"").decode().splitlines())


def remove(owner: Owner, path: str) -> None:
    assert owner.ask("DELETE", f"{owner.article}/files/{ids(owner)[flat(path)]}")[0] == 204


def check_clean(root: Path) -> None:
    compared = One("figs").status(root)
    assert [one for one in compared if not one.is_clean] == []
    assert compared


# Two repositories of one account


@pytest.fixture
def neighbours(box: Recorded, owner: Owner) -> tuple[Owner, Owner]:
    """Two data sets that refer to each other, as two papers do: ``figs``, and ``other`` which holds one file."""
    configure(box)
    location = owner.ask("POST", "/account/articles", READY)[2]["location"]
    other = Owner(box)
    other.article = location
    for one, theirs in ((owner, other), (other, owner)):
        page = f"{box.api_url}/articles/{number_of(theirs)}"
        assert owner.ask("PATCH", one.article, {"references": [page]})[0] == 205
    other.add(flat(ELSEWHERE), some())
    options = {"article_id": number_of(other), "token": box.token, "api_url": box.api_url}
    Config.load().add(Settings("other", "figshare", options))
    return owner, other


@pytest.mark.parametrize("how", [{"delete": True}, {"clean": True}, {"delete": True, "clean": True, "spread": True}])
def test_an_upload_touches_nothing_of_an_article_that_is_only_referred_to(
    neighbours: tuple[Owner, Owner], root: Path, how: dict[str, bool]
) -> None:
    mine, other = neighbours
    other.begin(flat(CLUSTERS), some())
    other.add(flat(ELSEWHERE), some())  # a second one, of which the older would be a leftover
    before, said = other.files(), record(other)
    plan = One("figs").plan_upload(write(root, {TIMES: some()}), **how)
    assert (plan.drops, plan.leftovers) == ([], [])
    One("figs").upload(root, **how)
    assert other.files() == before
    assert record(other) == said
    assert list(rows_of(mine)) == [TIMES]
    assert "articles" not in Config.load().repository("figs").options


def test_a_search_of_either_finds_its_own_only(neighbours: tuple[Owner, Owner], root: Path) -> None:
    One("figs").upload(write(root, {TIMES: some()}))
    assert One("figs").refresh().sessions == [SESSION]
    assert One("other").refresh().sessions == [OTHER]
    assert {one.path for one in One("figs").status(root)} == {TIMES}


def test_to_publish_one_publishes_it_alone(neighbours: tuple[Owner, Owner], root: Path) -> None:
    mine, other = neighbours
    One("figs").upload(write(root, {TIMES: some()}))
    assert One("figs").publish().version == 1
    public = [mine.ask("GET", f"/articles/{number_of(one)}", token=False)[0] for one in (mine, other)]
    assert public == [200, 404]


def test_what_one_says_of_itself_is_not_said_by_the_other(neighbours: tuple[Owner, Owner]) -> None:
    mine, other = neighbours
    before = record(other)
    One("figs").set_description(Description(title="Mine alone", keywords=("mouse", "mine")))
    assert record(mine)["title"] == "Mine alone"
    assert record(other) == before


def test_an_article_is_a_part_if_its_text_says_so_and_only_then(
    box: Recorded, client: Client, neighbours: tuple[Owner, Owner], root: Path
) -> None:
    mine, other = neighbours
    page = f"{box.api_url}/articles/{box.article_id}"
    note = part_note(Article(Api(client, box.api_url, box.token), box.article_id))
    for text in (
        f"<p>See also <a href='{page}'>{page}</a>, and a part of it.</p>",
        note.replace(str(box.article_id), "123456789"),
        "<p>A part of our work.</p>",
    ):
        assert mine.ask("PATCH", other.article, {"description": text})[0] == 205
        assert TIMES not in {entry.path for entry in open_box(box, client).stored()}
        assert ELSEWHERE not in {entry.path for entry in open_box(box, client).stored()}, text
    mine.ask("PATCH", other.article, {"description": f"{note}<p>Of mice.</p>"})
    assert ELSEWHERE in {entry.path for entry in open_box(box, client).stored()}


def test_the_note_of_a_part_is_that_of_its_own_first_article(client: Client) -> None:
    """The page of article 12 is how the page of article 123 begins."""
    api = Api(client, "https://api.figshare.com/v2", "")
    said = {"description": part_note(Article(api, 123456))}
    assert is_part(said, Article(api, 123456))
    assert not is_part(said, Article(api, 1234))


def test_an_own_article_with_the_title_of_a_part_that_refers_to_the_first_is_not_taken_for_it(
    make_box: Callable[..., Recorded], root: Path
) -> None:
    box, owner = spread_box(make_box)
    theirs = owner.ask(
        "POST",
        "/account/articles",
        {"title": f"{record(owner)['title']} (part 2)", "references": [f"{box.api_url}/articles/{box.article_id}"]},
    )[2]["location"]
    number = int(theirs.rpartition("/")[2])
    upload_spread(write(root, spread_recordings(2)))
    assert number not in Config.load().repository("figs").options["articles"]
    assert named(owner, number) == []


# Packs from two folders


@pytest.fixture
def packed(box: Recorded, owner: Owner, root: Path) -> dict[str, bytes]:
    """A session of three files, stored as one pack."""
    configure(box)
    there = {TIMES: some(), CLUSTERS: some(), f"{SESSION}/alf/zebra.times.npy": some()}
    One("figs").upload(write(root, there), pack=True)
    assert owner.names() == sorted([INDEX_NAME, PACKS_NAME, TAR])
    return there


def test_a_session_packed_from_elsewhere_gets_what_is_new_and_changed_singly_and_loses_nothing(
    box: Recorded, owner: Owner, client: Client, root: Path, packed: dict[str, bytes], tmp_path: Path
) -> None:
    pack, new = ids(owner)[TAR], f"{SESSION}/alf/new.times.npy"
    here = {TIMES: some(), new: some()}  # one changed, one new, and two that are only packed
    outcomes = One("figs").upload(write(root, here), pack=True)
    assert {(one.path, one.status) for one in outcomes} == {(TIMES, Status.DONE), (new, Status.DONE)}
    assert ids(owner)[TAR] == pack
    assert owner.names() == sorted([INDEX_NAME, PACKS_NAME, TAR, flat(TIMES), flat(new)])
    assert fetched(open_box(box, client), client, tmp_path / "to") == {**packed, **here}
    assert {one.path for one in One("figs").status(root) if one.local is not Mark.SAME} == packed.keys() - here.keys()


def test_two_computers_with_half_of_a_session_each_may_both_pack_it(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    configure(box)
    halves = {TIMES: some()}, {CLUSTERS: some()}
    for number, half in enumerate(halves * 2):
        One("figs").upload(write(tmp_path / f"half {number % 2}", half), pack=True, clean=True)
    assert fetched(open_box(box, client), client, tmp_path / "to") == halves[0] | halves[1]
    assert owner.names() == sorted([INDEX_NAME, PACKS_NAME, TAR, flat(CLUSTERS)])


def test_an_index_with_two_packs_of_one_session_is_not_written(owner: Owner, packed: dict[str, bytes]) -> None:
    url, tar = "https://example.org/files/1", f"{SESSION}/{PACK_NAME}"
    first, second, *_ = read_packs(io.BytesIO(owner.read(PACKS_NAME) or b""))
    packs = {url: (tar, first.pack_md5, 9999), f"{url}2": (tar, "0" * 32, 9999)}
    assert len(split([member_entry(url, first), member_entry(url, second)], packs)[0]) == 1
    with pytest.raises(RepositoryError, match="two packs"):
        split([member_entry(url, first), member_entry(f"{url}2", second)], packs)
    assert packed


def test_an_index_with_a_pack_of_its_own_beside_members_of_another_is_not_written(
    owner: Owner, packed: dict[str, bytes]
) -> None:
    url, tar = "https://example.org/files/1", f"{SESSION}/{PACK_NAME}"
    [first, *_] = read_packs(io.BytesIO(owner.read(PACKS_NAME) or b""))
    whole = Entry(tar, f"{url}2", 9999, "0" * 32)
    with pytest.raises(RepositoryError, match="two packs"):
        split([whole, member_entry(url, first)], {url: (tar, first.pack_md5, 9999)})
    assert packed


# Two who upload at once


def before_the_index(one: One, act: Callable[[], object]) -> None:
    """Do something once when all files are sent and compared, just before the new index is announced."""
    asked, done = one._client.request, threading.Event()

    def request(method: str, url: str, **how: Any) -> Any:
        if method == "POST" and f'"{INDEX_NAME}"'.encode() in (how.get("body") or b"") and not done.is_set():
            done.set()
            act()
        return asked(method, url, **how)

    one._client.request = request  # type: ignore[method-assign]


def told(outcomes: Iterable[Outcome]) -> list[str]:
    """Return what is wrong with an upload; that of an index which somebody else has written is named after it."""
    wrong = [one for one in outcomes if one.error is not None]
    for one in wrong:
        assert one.path == INDEX_NAME
        assert isinstance(one.error, Unreachable)
        assert "somebody else has written the index" in one.error.message
    return [one.path for one in wrong]


@pytest.mark.parametrize("files", ["same", "different"])
def test_of_two_who_commit_at_the_same_time_one_is_told_and_no_file_is_lost(
    box: Recorded, owner: Owner, tmp_path: Path, files: str
) -> None:
    """Both have compared what there is before either has written its index."""
    configure(box)
    old = {ELSEWHERE: some()}
    One("figs").upload(write(tmp_path / "old", old))
    both = {"a": {TIMES: some()}, "b": {CLUSTERS: some()}}
    if files == "same":
        both["b"] = both["a"]
    barrier = threading.Barrier(2)
    failed: dict[str, list[str]] = {}
    indexes: list[Mapping[str, str]] = []

    def run(who: str) -> None:
        one = One("figs")
        plan = one.plan_upload(write(tmp_path / who, both[who]))
        before_the_index(one, lambda: barrier.wait(30))
        failed[who] = told(one.run_upload(plan))

    threads = [threading.Thread(target=run, args=[who]) for who in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(failed) == {"a", "b"}, "both have ended"
    assert any(failed.values()), "at least one was told"
    for row in owner.files():
        if row["name"] == INDEX_NAME:
            text = owner.content(row).decode()
            indexes.append(dict(line.split("\t") for line in text.splitlines()))
    there = {row["id"] for row in owner.files()}
    assert indexes
    for rows in indexes:
        assert {int(url.rpartition("/")[2]) for url in rows.values()} <= there
    for who in both:
        if failed[who]:
            One("figs").upload(tmp_path / who)
    everything = {**old, **both["a"], **both["b"]}
    assert rows_of(owner).keys() == everything.keys()
    check_clean(write(tmp_path / "all", everything))


def test_who_commits_while_somebody_else_has_is_told_and_the_next_run_puts_both_together(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    """The other one does all of it between the last look and the announcement of the index."""
    configure(box)
    old = some()
    One("figs").upload(write(tmp_path / "old", {TIMES: old}))
    mine, theirs = {TIMES: some(), CLUSTERS: some()}, {TIMES: old, ELSEWHERE: some()}
    slow = One("figs")
    plan = slow.plan_upload(write(tmp_path / "mine", mine))
    before_the_index(slow, lambda: One("figs").upload(write(tmp_path / "theirs", theirs)))
    outcomes = slow.run_upload(plan)
    assert told(outcomes) == [INDEX_NAME]
    assert {one.path for one in outcomes if one.status is Status.DONE} == set(mine), "what was sent is told"
    assert flat(ELSEWHERE) in owner.names()
    One("figs").upload(tmp_path / "mine")
    assert fetched(open_box(box, client), client, tmp_path / "to") == {**theirs, **mine}
    check_clean(write(tmp_path / "all", {**theirs, **mine}))
    assert len(owner.names()) == 4, "one of each, and one index"


def test_a_file_that_is_deleted_at_figshare_before_the_commit_is_missed_and_the_old_index_stays(
    box: Recorded, owner: Owner, client: Client, root: Path, tmp_path: Path
) -> None:
    configure(box)
    files = {TIMES: some(), ELSEWHERE: some()}
    One("figs").upload(write(root, files))
    before = owner.read(INDEX_NAME)
    files[CLUSTERS] = some()
    one = One("figs")
    plan = one.plan_upload(write(root, files))
    remove(owner, ELSEWHERE)
    failed = [outcome for outcome in one.run_upload(plan) if outcome.error is not None]
    assert [outcome.path for outcome in failed] == [INDEX_NAME]
    assert isinstance(failed[0].error, Unreachable)
    assert "are gone" in failed[0].error.message
    assert ELSEWHERE in failed[0].error.message
    assert owner.read(INDEX_NAME) == before
    One("figs").upload(root)
    check_clean(root)
    assert fetched(open_box(box, client), client, tmp_path / "to") == files


def test_what_somebody_else_had_begun_and_has_finished_since_the_plan_is_not_cleaned_away(
    box: Recorded, owner: Owner, root: Path
) -> None:
    configure(box)
    content = some()
    row = owner.begin(flat(ELSEWHERE), content)
    one = One("figs")
    plan = one.plan_upload(write(root, {TIMES: some()}), clean=True)
    assert [leftover.path for leftover in plan.leftovers] == [ELSEWHERE]
    owner.send_part(row, 1, content)
    owner.ask("POST", f"{owner.article}/files/{row['id']}")
    while "available" not in [file["status"] for file in owner.files() if file["id"] == row["id"]]:
        pass
    assert all(outcome.error is None for outcome in one.run_upload(plan))
    assert ids(owner)[flat(ELSEWHERE)] == row["id"]


def test_what_somebody_else_has_sent_since_the_plan_and_not_committed_yet_stays(
    box: Recorded, owner: Owner, client: Client, root: Path, tmp_path: Path
) -> None:
    """It is of a dataset that this index has as well: an older copy by its looks, and theirs."""
    configure(box)
    files = {ELSEWHERE: some()}
    One("figs").upload(write(root, files))
    files[TIMES] = some()
    one = One("figs")
    plan = one.plan_upload(write(root, files), clean=True)
    theirs = owner.add(flat(ELSEWHERE), some())
    assert all(outcome.error is None for outcome in one.run_upload(plan))
    assert theirs in [row["id"] for row in owner.files()]
    assert fetched(open_box(box, client), client, tmp_path / "to") == files


# Several articles, and other computers


def spread_box(make_box: Callable[..., Recorded]) -> tuple[Recorded, Owner]:
    box = make_box(file_limit=LIMIT)
    owner = Owner(box)
    begin_afresh(box, owner)
    configure(box, files_per_article=LIMIT)
    return box, owner


@pytest.fixture
def spread(make_box: Callable[..., Recorded], root: Path) -> tuple[Recorded, Owner, dict[str, bytes]]:
    """A repository in three articles."""
    box, owner = spread_box(make_box)
    files = spread_recordings(4)
    upload_spread(write(root, files))
    assert len(parts(owner)) == 3
    return box, owner, files


def one_answer(box: Recorded, status: int, path: str) -> list[Seen]:
    """Answer once in the place of the sandbox."""
    given: list[Seen] = []

    def refuse(seen: Seen) -> int | None:
        if given or seen.method != "GET" or seen.path != path:
            return None
        given.append(seen)
        return status

    box.recorder.refuse = refuse
    return given


def test_where_one_part_is_refused_once_nothing_is_sent_and_nothing_leaves_the_index(
    spread: tuple[Recorded, Owner, dict[str, bytes]], tmp_path: Path
) -> None:
    """Another computer, that knows the first article only."""
    box, owner, files = spread
    before = owner.read(INDEX_NAME)
    configure(box, files_per_article=LIMIT)
    new = {f"{SESSIONS[4]}/alf/new.b.npy": some(40)}
    given = one_answer(box, 403, f"/v2/account/articles/{parts(owner)[1]}")
    box.recorder.seen.clear()
    with pytest.raises(AccessDenied):
        upload_spread(write(tmp_path / "new", new))
    assert len(given) == 1
    lives(box)
    assert box.recorder.changes == []
    assert owner.read(INDEX_NAME) == before
    upload_spread(tmp_path / "new")
    check_stored(owner, {**files, **new})


def test_after_a_middle_part_was_deleted_the_next_has_a_title_and_a_number_of_its_own(
    spread: tuple[Recorded, Owner, dict[str, bytes]], root: Path
) -> None:
    box, owner, files = spread
    first, middle, last = parts(owner)
    title = record(owner)["title"]
    assert owner.ask("DELETE", f"/account/articles/{middle}")[0] == 204
    configure(box, files_per_article=LIMIT)
    upload_spread(root)
    numbers = Config.load().repository("figs").options["articles"]
    assert [count for count in Counter(numbers).values() if count > 1] == []
    assert numbers[:2] == [first, last]
    assert len(numbers) == 3
    titles = [json.loads(owner.ask("GET", f"/account/articles/{number}")[1])["title"] for number in numbers]
    assert titles == [title, f"{title} (part 3)", f"{title} (part 4)"]
    assert {entry.path for entry in One("figs").refresh()} == set(files)
    check_clean(root)


def test_a_number_of_an_article_that_is_gone_is_named_to_who_writes_and_keeps_nobody_from_reading(
    spread: tuple[Recorded, Owner, dict[str, bytes]], client: Client, root: Path
) -> None:
    box, owner, files = spread
    numbers = parts(owner)
    owner.ask("DELETE", f"/account/articles/{numbers[1]}")
    configure(box, files_per_article=LIMIT, articles=numbers)
    assert {entry.path for entry in One("figs").refresh()} == set(files)
    box.recorder.seen.clear()
    for write_ in (
        lambda: upload_spread(root),
        lambda: One("figs").status(root),
        lambda: One("figs").publish(),
    ):
        with pytest.raises(NotFound, match=str(numbers[1])) as caught:
            write_()
        assert "'articles'" in caught.value.hint
    assert box.recorder.changes == []


def test_all_parts_say_the_same_after_it_was_said_once(
    spread: tuple[Recorded, Owner, dict[str, bytes]], client: Client
) -> None:
    box, owner, files = spread
    said = Description(
        title="Four new mice",
        description="What was recorded.",
        keywords=("mouse", "vision"),
        categories=("Sensory systems",),
        license="CC0",
    )
    numbers = parts(owner)
    One("figs").set_description(said)
    first, *others = [json.loads(owner.ask("GET", f"/account/articles/{number}")[1]) for number in numbers]
    for number, other in enumerate(others, 2):
        assert other["title"] == f"Four new mice (part {number})"
        assert first["description"] in other["description"]
        assert numbers_of(other["references"]) == [numbers[0]]
        for field in ("keywords", "categories", "license", "authors", "defined_type_name"):
            assert other[field] == first[field], field
    box.recorder.seen.clear()
    One("figs").set_description(said)
    assert box.recorder.changes == [], "nothing is said twice"
    assert len(open_box(box, client).stored()) == len(files), "they are parts all the same"


def test_an_empty_part_is_left_out_of_publication(
    spread: tuple[Recorded, Owner, dict[str, bytes]], client: Client, root: Path, tmp_path: Path
) -> None:
    box, owner, files = spread
    numbers = parts(owner)
    gone = named(owner, numbers[-1])
    kept = {path: content for path, content in files.items() if flat(path) not in gone}
    upload_spread(write(root, kept), delete=True)
    assert named(owner, numbers[-1]) == []
    owner.ask("PATCH", f"/account/articles/{numbers[-1]}", {"keywords": []})
    assert One("figs").missing_for_publication() == []
    assert One("figs").publish().is_visible
    public = [owner.ask("GET", f"/articles/{number}", token=False)[0] for number in numbers]
    assert public == [200, 200, 404]
    assert fetched(open_box(box, client, token=""), client, tmp_path / "to") == kept


@pytest.mark.parametrize("who", ["the owner", "anybody"])
def test_an_article_in_parts_is_shown_with_the_files_and_bytes_of_all(
    spread: tuple[Recorded, Owner, dict[str, bytes]], client: Client, who: str
) -> None:
    box, owner, files = spread
    index = len(owner.read(INDEX_NAME) or b"")
    if who == "anybody":
        One("figs").publish()
    found = find(Api(client, box.api_url, box.token if who == "the owner" else ""), str(box.article_id))
    assert found.files == len(files) + 1
    assert found.size == sum(map(len, files.values())) + index


@pytest.mark.parametrize("who", ["the owner", "anybody"])
def test_many_references_and_a_row_that_no_article_has_cost_few_requests(
    box: Recorded, owner: Owner, client: Client, who: str
) -> None:
    content = some()
    here = owner.add(flat(TIMES), content)
    site = box.api_url.removesuffix("/v2")
    owner.add(INDEX_NAME, f"{ELSEWHERE}\t{site}/files/999999\n{TIMES}\t{site}/files/{here}\n".encode())
    numbers = range(1_000_001, 1_000_041)
    references = [f"https://figshare.com/articles/dataset/_/{number}" for number in numbers]
    assert owner.ask("PATCH", owner.article, {"references": references})[0] == 205
    owner.publish()
    box.recorder.seen.clear()
    index = open_box(box, client, token=box.token if who == "the owner" else "").refresh()
    assert index[TIMES].md5 == hashlib.md5(content).hexdigest()
    assert len(box.recorder.of("GET", path="/articles/")) <= 22


def test_a_row_that_leads_to_another_web_server_stays_in_the_index(box: Recorded, owner: Owner, root: Path) -> None:
    configure(box)
    address = f"https://data.example.org/{CLUSTERS}"
    here = owner.add(flat(TIMES), some())
    site = box.api_url.removesuffix("/v2")
    owner.add(INDEX_NAME, f"{CLUSTERS}\t{address}\n{TIMES}\t{site}/files/{here}\n".encode())
    for number in range(2):
        One("figs").upload(write(root, {f"{OTHER}/alf/n{number}.times.npy": some()}), clean=True)
        rows = rows_of(owner)
        assert rows[CLUSTERS] == address
        assert rows[TIMES].endswith(f"/files/{here}")
    assert len(rows) == 4


def test_a_linked_file_is_not_removed_by_an_upload_and_stays_in_the_index(
    box: Recorded, owner: Owner, root: Path
) -> None:
    configure(box)
    link = f"https://example.org/{flat(CLUSTERS)}"
    assert owner.ask("POST", f"{owner.article}/files", {"link": link})[0] == 201
    [number] = [row["id"] for row in owner.files() if row["is_link_only"]]
    for _ in range(3):
        One("figs").upload(write(root, {TIMES: some()}), clean=True)
        assert ids(owner)[flat(CLUSTERS)] == number
        assert {entry.path for entry in One("figs").refresh()} == {TIMES, CLUSTERS}


def test_an_error_of_the_commit_is_raised_to_who_asked_for_the_upload(box: Recorded, root: Path) -> None:
    configure(box)
    one = One("figs")
    before_the_index(one, lambda: One("figs").upload(write(root.parent / "theirs", {ELSEWHERE: some()})))
    with pytest.raises(Unreachable, match="somebody else has written the index"):
        one.upload(write(root, {TIMES: some()}))
    One("figs").upload(root)
    assert {entry.path for entry in One("figs").refresh()} == {TIMES, ELSEWHERE}
