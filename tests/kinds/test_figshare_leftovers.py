"""What broken runs leave in a draft: told, removed when that is asked for, and never more than that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from boxes import PART, Owner, Recorded
from contract import CLUSTERS, ELSEWHERE, SESSION, TIMES, some
from test_figshare import fetched, flat, open_box, share
from test_figshare_articles import configure, dies_after, lives, write

from onelight import One
from onelight.client import Client
from onelight.errors import OneError
from onelight.index import INDEX_NAME, Entry
from onelight.pack import PACKS_NAME
from onelight.repository import Leftover
from onelight.transfer import Mark

NEVER = f"{SESSION}/alf/never.times.npy"


@pytest.fixture(autouse=True)
def _configured(box: Recorded) -> None:
    configure(box)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def files(box: Recorded, root: Path) -> dict[str, bytes]:
    """What was uploaded, whole."""
    there = {TIMES: some(), ELSEWHERE: some()}
    One("figs").upload(write(root, there))
    box.recorder.seen.clear()
    return there


def leftovers(root: Path) -> dict[str, str]:
    """Return what is told of leftovers before an upload."""
    found: list[Leftover] = One("figs").plan_upload(root).leftovers
    assert len({leftover.key for leftover in found}) == len(found), "each is named once"
    return {leftover.path: leftover.why for leftover in found}


def check_whole(owner: Owner, client: Client, files: dict[str, bytes], folder: Path, *more: str) -> None:
    """Readers see these files; and the draft has them, its index, and nothing else but what is named."""
    assert owner.names() == sorted([INDEX_NAME, *map(flat, files), *more])
    assert fetched(open_box(owner.box, client), client, folder) == files


# What is one


def test_a_whole_draft_has_none(root: Path, files: dict[str, bytes]) -> None:
    assert files
    assert leftovers(root) == {}


def test_what_was_begun_and_nobody_goes_on_with_is_one(
    owner: Owner, client: Client, root: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    row = owner.begin(flat(NEVER), some(2 * PART))
    owner.send_part(row, 1, some(2 * PART))
    assert leftovers(root) == {NEVER: "never finished (created)"}
    One("figs").upload(root)
    assert leftovers(root) == {NEVER: "never finished (created)"}, "only told"
    One("figs").upload(root, clean=True)
    assert leftovers(root) == {}
    check_whole(owner, client, files, tmp_path / "to")


def test_what_figshare_found_damaged_is_one(
    owner: Owner, client: Client, root: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    owner.add(flat(NEVER), some(), md5="0" * 32)
    assert leftovers(root) == {NEVER: "figshare found it damaged"}
    One("figs").upload(root, clean=True)
    check_whole(owner, client, files, tmp_path / "to")


def test_what_figshare_found_damaged_is_one_also_where_it_is_sent_again(
    owner: Owner, client: Client, root: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    files[NEVER] = some()
    write(root, files)
    owner.add(flat(NEVER), files[NEVER], size=len(files[NEVER]), md5="0" * 32)
    assert leftovers(root) == {NEVER: "figshare found it damaged"}
    One("figs").upload(root, clean=True)
    check_whole(owner, client, files, tmp_path / "to")


def test_an_older_copy_of_a_file_is_one(
    box: Recorded, owner: Owner, client: Client, root: Path, tmp_path: Path
) -> None:
    files = {TIMES: some()}
    older = owner.add(flat(TIMES), some())
    newer = owner.add(flat(TIMES), files[TIMES])
    write(root, files)
    [leftover] = One("figs").plan_upload(root).leftovers
    assert (leftover.path, leftover.why) == (TIMES, "an older copy of a file that is there")
    assert leftover.key == f"{older} available"
    One("figs").upload(root, clean=True)
    check_whole(owner, client, files, tmp_path / "to")
    assert newer in [row["id"] for row in owner.files()]


def test_older_indexes_are_some(owner: Owner, root: Path, files: dict[str, bytes]) -> None:
    content = owner.read(INDEX_NAME) or b""
    owner.add(INDEX_NAME, content)
    owner.add(INDEX_NAME, content)
    found = One("figs").plan_upload(root).leftovers
    assert files
    assert [(one.path, one.why) for one in found] == [(INDEX_NAME, "an older index")] * 2
    newest = max(row["id"] for row in owner.files())
    assert f"{newest} available" not in [one.key for one in found]


def test_older_lists_of_what_is_packed_are_some(owner: Owner, root: Path, files: dict[str, bytes]) -> None:
    """Both count for readers while an upload is half done; afterwards there is one."""
    One("figs").upload(write(root, {**files, TIMES: some()}), pack=True)
    content = owner.read(PACKS_NAME) or b""
    owner.add(PACKS_NAME, content)
    assert list(leftovers(root)) == [PACKS_NAME]
    One("figs").upload(root, clean=True)
    assert leftovers(root) == {}
    assert owner.read(PACKS_NAME) == content


def test_they_are_told_in_a_comparison_as_well(owner: Owner, root: Path, files: dict[str, bytes]) -> None:
    owner.begin(flat(NEVER), some())
    found = {one.path: one for one in One("figs").status(root)}
    assert found[NEVER].local is Mark.BROKEN
    assert "never finished" in found[NEVER].why
    assert not found[NEVER].is_clean
    assert all(found[path].is_clean for path in files)


def test_they_are_known_without_one_more_request_than_a_plan_costs(
    box: Recorded, owner: Owner, root: Path, files: dict[str, bytes]
) -> None:
    One("figs").plan_upload(root)
    before = len(box.recorder.seen)
    owner.begin(flat(NEVER), some())
    box.recorder.seen.clear()
    assert files
    assert leftovers(root)
    assert len(box.recorder.seen) == before
    assert box.recorder.changes == []


# What is none


@pytest.mark.parametrize("name", ["README.pdf", "figure 1.png", "lab~notes.txt", ".one_root.bak", "..~..~etc~passwd"])
def test_whole_files_that_are_no_datasets_are_never_some(
    owner: Owner, client: Client, root: Path, files: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    owner.add(name, b"of the paper")
    owner.add(name, b"of the paper, once more")
    assert leftovers(root) == {}
    files[TIMES] = some()
    One("figs").upload(write(root, files), clean=True, delete=True)
    check_whole(owner, client, files, tmp_path / "to", name, name)


def test_a_link_of_the_owner_is_none(owner: Owner, root: Path, files: dict[str, bytes]) -> None:
    owner.ask("POST", f"{owner.article}/files", {"link": "https://example.org/movie.mp4"})
    assert leftovers(root) == {}
    One("figs").upload(root, clean=True)
    assert "movie.mp4" in owner.names()
    assert files


def test_datasets_that_nobody_here_has_are_none(owner: Owner, root: Path, files: dict[str, bytes]) -> None:
    owner.add(flat(CLUSTERS), some())
    assert leftovers(root) == {}
    One("figs").upload(root, clean=True)
    assert flat(CLUSTERS) in owner.names()
    assert files


def test_what_this_upload_goes_on_with_is_none(
    owner: Owner, client: Client, root: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    files[NEVER] = some(3 * PART)
    row = owner.begin(flat(NEVER), files[NEVER])
    owner.send_part(row, 1, files[NEVER])
    write(root, files)
    assert leftovers(root) == {}
    One("figs").upload(root, clean=True)
    check_whole(owner, client, files, tmp_path / "to")
    assert row["id"] in [one["id"] for one in owner.files()], "it was gone on with"


def test_what_was_begun_of_another_content_is_one(
    owner: Owner, client: Client, root: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    files[NEVER] = some(3 * PART)
    owner.begin(flat(NEVER), some(3 * PART))
    write(root, files)
    assert leftovers(root) == {NEVER: "never finished (created)"}
    One("figs").upload(root, clean=True)
    check_whole(owner, client, files, tmp_path / "to")


def test_with_a_limit_what_the_next_upload_goes_on_with_is_none(
    owner: Owner, client: Client, root: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    """`--limit 1` sends one file; a half of another one that is here is worth keeping."""
    first, last = f"{SESSION}/alf/a.times.npy", f"{SESSION}/alf/z.times.npy"
    files |= {first: some(), last: some(3 * PART)}
    row = owner.begin(flat(last), files[last])
    owner.send_part(row, 1, files[last])
    write(root, files)
    One("figs").upload(root, limit=1, clean=True)
    assert row["id"] in [one["id"] for one in owner.files()]
    One("figs").upload(root)
    check_whole(owner, client, files, tmp_path / "to")


# What must not happen


def test_a_file_that_goes_back_to_what_it_was_is_kept(
    box: Recorded, owner: Owner, client: Client, root: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    """A new content was sent and not committed, then the old one was wanted again: it is the older copy, and in use."""
    old = files[TIMES]
    write(root, {**files, TIMES: some()})
    dies_after(box, 3)  # announced, sent, completed: the file is there, the index is the old one
    with pytest.raises(OneError):
        One("figs").upload(root, parallel=1)
    lives(box)
    assert len([name for name in owner.names() if name == flat(TIMES)]) == 2
    One("figs").upload(write(root, {**files, TIMES: old}), clean=True)
    check_whole(owner, client, files, tmp_path / "to")


def test_an_index_that_goes_back_to_what_it_was_is_kept(
    box: Recorded, owner: Owner, client: Client, root: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    content = owner.read(INDEX_NAME) or b""
    owner.add(INDEX_NAME, b"".join(line for line in content.splitlines(keepends=True) if TIMES.encode() in line))
    One("figs").upload(root, clean=True)
    check_whole(owner, client, files, tmp_path / "to")


@pytest.mark.parametrize("after", [1, 2])
def test_an_index_that_was_half_sent_is_gone_on_with_and_kept(
    box: Recorded, owner: Owner, client: Client, root: Path, tmp_path: Path, after: int
) -> None:
    files = {TIMES: some()}
    dies_after(box, 3 + 2 * 3 + after)  # the file, the two tables, then the index: announced; sent
    with pytest.raises(OneError):
        One("figs").upload(write(root, files), parallel=1)
    lives(box)
    assert INDEX_NAME in owner.names()
    One("figs").upload(root, clean=True)
    check_whole(owner, client, files, tmp_path / "to")


def test_nothing_is_removed_where_a_file_could_not_be_sent(
    box: Recorded, owner: Owner, root: Path, files: dict[str, bytes]
) -> None:
    owner.begin(flat(NEVER), some())
    write(root, {**files, CLUSTERS: some()})
    box.recorder.refuse = lambda seen: 400 if seen.method == "PUT" else None
    with pytest.raises(OneError):
        One("figs").upload(root, clean=True)
    lives(box)
    assert box.recorder.of("DELETE") == []
    assert flat(NEVER) in owner.names()


def test_a_plan_removes_nothing(box: Recorded, owner: Owner, root: Path, files: dict[str, bytes]) -> None:
    assert files
    owner.begin(flat(NEVER), some())
    box.recorder.seen.clear()
    One("figs").plan_upload(root, clean=True)
    assert box.recorder.changes == []


def test_one_that_somebody_has_removed_meanwhile_is_no_error(
    box: Recorded, owner: Owner, root: Path, files: dict[str, bytes]
) -> None:
    row = owner.begin(flat(NEVER), some())
    one = One("figs")
    plan = one.plan_upload(root, clean=True)
    assert files
    owner.ask("DELETE", f"{owner.article}/files/{row['id']}")
    one.run_upload(plan)
    assert flat(NEVER) not in owner.names()


def test_what_is_cleaned_by_a_made_up_key_is_nothing(box: Recorded, client: Client, tmp_path: Path) -> None:
    repository = open_box(box, client)
    share(repository, tmp_path, {TIMES: some()})
    box.recorder.seen.clear()
    repository.clean([Leftover("x", "y", key) for key in ("", "0", "../../1", "999999")])
    assert box.recorder.changes == []


def test_a_published_version_keeps_what_is_cleaned_out_of_the_draft(
    owner: Owner, client: Client, root: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    owner.publish()
    older = owner.add(flat(TIMES), some())
    owner.add(flat(TIMES), files[TIMES])
    One("figs").upload(root, clean=True)
    assert older not in [row["id"] for row in owner.files()]
    assert fetched(open_box(owner.box, client, token=""), client, tmp_path / "to") == files


@pytest.mark.parametrize("status", ["created", "ic_failure"])
def test_publication_waits_for_what_is_half_there(
    owner: Owner, root: Path, files: dict[str, bytes], status: str
) -> None:
    """figshare would publish it, or leave it out, and say nothing."""
    assert files
    if status == "created":
        owner.begin(flat(NEVER), some())
    else:
        owner.add(flat(NEVER), some(), md5="0" * 32)
    [missing] = One("figs").missing_for_publication()
    assert "1 half-uploaded" in missing
    assert "--clean" in missing
    One("figs").upload(root, clean=True)
    assert One("figs").missing_for_publication() == []


def test_the_room_counts_what_was_begun_as_ours(make_box: Callable[..., Recorded], client: Client) -> None:
    box = make_box(quota=100_000)
    content = some(60_000)
    Owner(box).begin(flat(TIMES), content)
    repository = open_box(box, client)
    repository.stored()
    entry = Entry(TIMES, size=len(content), md5="0" * 32)
    assert repository.room([entry]).bytes_left == 100_000
