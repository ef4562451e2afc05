"""Sessions as one file each: readers get single datasets of it, and see one state or the other, never half of one."""

from __future__ import annotations

import hashlib
import io
import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from boxes import Owner, Recorded
from contract import some
from test_figshare import fetched, flat, open_box
from test_figshare_articles import all_names, configure, dies_after, lives, loses_answer, write

from onelight import One
from onelight.client import Client
from onelight.errors import ChecksumMismatch, OneError, UnsafeData
from onelight.index import DATASETS_NAME, EMPTY_MD5, INDEX_NAME, Entry, Index
from onelight.pack import PACK_NAME, PACKS_NAME, MemberRow, Pack, packs_of, read_packs, span_of, write_packs
from onelight.route import Route
from onelight.transfer import Ledger, Mark, Outcome, Status, download, plan_download

CORI, FORSSMANN, MUELLER = (
    "lab/Subjects/Cori/2016-12-14/001",
    "lab/Subjects/Forssmann/2017-11-01/002",
    "lab/Subjects/Muller/2017-01-07/003",
)
TAR, OTHER_TAR = f"{CORI}/{PACK_NAME}", f"{FORSSMANN}/{PACK_NAME}"
TIMES, CLUSTERS = f"{CORI}/alf/spikes.times.npy", f"{CORI}/alf/spikes.clusters.npy"
LFP, EMPTY = f"{CORI}/alf/probe00/ephys.lfp.npy", f"{CORI}/alf/notes.text.txt"
TRIALS = f"{FORSSMANN}/alf/trials.intervals.npy"


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def recordings() -> dict[str, bytes]:
    return {
        TIMES: npy(np.random.default_rng().random(300)),
        CLUSTERS: npy(np.arange(300)),
        EMPTY: b"",
        LFP: npy(np.arange(600_000, dtype=np.float32).reshape(-1, 4)),
        TRIALS: npy(np.random.default_rng().random((20, 2))),
    }


def upload(root: Path, *, pack: bool = True, **how: object) -> list[Outcome]:
    return One("figs").upload(root, parallel=1, pack=pack, **how)  # type: ignore[arg-type]


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def stated(index: Iterable[Entry]) -> dict[str, tuple[int | None, str | None]]:
    return {entry.path: (entry.size, entry.md5) for entry in index}


def as_stated(files: Mapping[str, bytes]) -> dict[str, tuple[int, str]]:
    return {path: (len(content), md5(content)) for path, content in files.items()}


@pytest.fixture(autouse=True)
def _configured(box: Recorded) -> None:
    configure(box)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def files(root: Path) -> dict[str, bytes]:
    """What is uploaded as two packs."""
    there = recordings()
    write(root, there)
    return there


@pytest.fixture
def packed(owner: Owner, root: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    upload(root)
    assert owner.names() == sorted([INDEX_NAME, PACKS_NAME, flat(TAR), flat(OTHER_TAR)])
    return files


def rows_of(owner: Owner) -> list[MemberRow]:
    return list(read_packs(io.BytesIO(owner.read(PACKS_NAME) or b"")))


# What is sent, and what readers find


def test_a_session_is_one_file_at_figshare_and_its_datasets_to_readers(
    box: Recorded, owner: Owner, client: Client, packed: dict[str, bytes], tmp_path: Path
) -> None:
    for published in (False, True):
        if published:
            owner.publish()
        reader = open_box(box, client, token="" if published else box.token)
        index = reader.refresh()
        assert stated(index) == as_stated(packed)
        assert not index.remarks
        assert fetched(reader, client, tmp_path / str(published)) == packed


def test_outcomes_and_a_second_run_are_of_packs(box: Recorded, root: Path, files: dict[str, bytes]) -> None:
    assert files
    outcomes = upload(root)
    assert [(outcome.path, outcome.status) for outcome in outcomes] == [(TAR, Status.DONE), (OTHER_TAR, Status.DONE)]
    box.recorder.seen.clear()
    assert {outcome.status for outcome in upload(root)} == {Status.KEPT}
    assert {outcome.status for outcome in upload(root, pack=False)} == {Status.KEPT}, "what is packed is there"
    assert box.recorder.changes == []


def test_a_pack_is_sent_in_parts_and_every_byte_once(box: Recorded, root: Path, files: dict[str, bytes]) -> None:
    told: list[int] = []

    class Watch:
        def begin(self, files: int, size: int) -> None: ...
        def start(self, path: str, size: int | None) -> None: ...
        def advance(self, path: str, count: int) -> None:
            told.append(count)

        def finish(self, outcome: Outcome) -> None: ...

    one = One("figs")
    plan = one.plan_upload(root, pack=True)
    assert files
    one.run_upload(plan, progress=Watch())  # type: ignore[arg-type]
    size = sum(put.entry.size or 0 for put in plan.puts)
    assert sum(told) == size
    assert len(box.recorder.of("PUT", origin="upload")) == 3 + 1 + 4, "three parts, one, two lists and two tables"


def test_the_index_in_the_data_root_is_that_at_figshare(owner: Owner, root: Path, packed: dict[str, bytes]) -> None:
    """An old client would take the whole tar for a member, and give it its name: no row may have part of a file."""
    assert packed
    here = (root / INDEX_NAME).read_bytes()
    assert b"#bytes=" not in here
    assert here == owner.read(INDEX_NAME)


def test_a_slice_of_a_member_is_fetched_by_ranges_within_it(
    box: Recorded, owner: Owner, packed: dict[str, bytes]
) -> None:
    owner.publish()
    span = span_of(One("figs").refresh()[LFP].url)
    assert span is not None
    _, offset, size = span
    whole = np.load(io.BytesIO(packed[LFP]))
    configure(box, token="")
    box.recorder.seen.clear()
    with One("figs").open(CORI, "ephys.lfp") as array:
        assert array.shape == whole.shape
        np.testing.assert_array_equal(array[100_000:100_010], whole[100_000:100_010])
        np.testing.assert_array_equal(array[-3:], whole[-3:])
    asked = [seen.headers["range"] for seen in box.recorder.of("GET", origin="download") if "range" in seen.headers]
    total = 0
    for text in asked:
        first, _, last = text.removeprefix("bytes=").partition("-")
        assert offset <= int(first) <= int(last) < offset + size, f"{text} is not within {offset}+{size}"
        total += int(last) + 1 - int(first)
    assert asked
    assert total < size / 2


def test_a_slice_of_a_member_of_a_draft_is_right(box: Recorded, packed: dict[str, bytes]) -> None:
    whole = np.load(io.BytesIO(packed[LFP]))
    with One("figs").open(CORI, "ephys.lfp") as array:
        np.testing.assert_array_equal(array[77_000:77_005], whole[77_000:77_005])


def test_an_object_is_loaded_from_a_pack_and_nothing_else_is_fetched(
    box: Recorded, owner: Owner, packed: dict[str, bytes], tmp_path: Path
) -> None:
    owner.publish()
    configure(box, token="")
    spikes = One("figs", cache_dir=tmp_path / "cache").load_object(CORI, "spikes")
    np.testing.assert_array_equal(spikes["times"], np.load(io.BytesIO(packed[TIMES])))
    np.testing.assert_array_equal(spikes["clusters"], np.load(io.BytesIO(packed[CLUSTERS])))
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.suffix in (".npy", ".tar", ".txt")]
    assert {path.name for path in kept} == {"spikes.times.npy", "spikes.clusters.npy"}


def test_an_empty_member_is_a_file_and_no_request(
    box: Recorded, client: Client, packed: dict[str, bytes], tmp_path: Path
) -> None:
    assert packed[EMPTY] == b""
    reader = open_box(box, client)
    entry = reader.refresh()[EMPTY]
    assert (entry.size, entry.md5) == (0, EMPTY_MD5)
    box.recorder.seen.clear()
    ledger = Ledger(tmp_path / "to")
    [outcome] = download(plan_download([entry], tmp_path / "to", ledger), reader, client, tmp_path / "to", ledger)
    assert outcome.target.read_bytes() == b""
    assert box.recorder.seen == []


def test_a_session_of_empty_files_only_is_a_pack(
    box: Recorded, owner: Owner, client: Client, root: Path, tmp_path: Path
) -> None:
    files = {EMPTY: b"", f"{CORI}/alf/more.text.txt": b""}
    upload(write(root, files))
    assert owner.names() == sorted([INDEX_NAME, PACKS_NAME, flat(TAR)])
    assert fetched(open_box(box, client), client, tmp_path / "to") == files


def test_a_checksum_that_never_comes_keeps_nobody_from_the_members(
    make_box: Callable[..., Recorded], client: Client, root: Path, tmp_path: Path
) -> None:
    """figshare has the md5 that it was given, and called the file available: that names the pack."""
    box = make_box(md5_never=True)
    configure(box, patience=0.3)
    files = recordings()
    write(root, files)
    upload(root)
    reader = open_box(box, client)
    assert stated(reader.refresh()) == as_stated(files)
    assert fetched(reader, client, tmp_path / "to") == files
    box.recorder.seen.clear()
    upload(root)
    assert box.recorder.of("PUT") == []


def test_a_member_that_changes_while_it_is_sent_is_not_stored(
    box: Recorded, owner: Owner, client: Client, packed: dict[str, bytes], root: Path, tmp_path: Path
) -> None:
    """Row D14, in a pack."""
    (root / TIMES).write_bytes(npy(np.ones(300)))
    one = One("figs")
    plan = one.plan_upload(root, pack=True)
    (root / LFP).write_bytes(packed[LFP][::-1])
    outcomes = one.run_upload(plan, parallel=1)
    assert [outcome.path for outcome in outcomes if outcome.status is Status.FAILED] == [TAR]
    assert fetched(open_box(box, client), client, tmp_path / "to") == packed
    assert owner.names() == sorted([INDEX_NAME, PACKS_NAME, flat(TAR), flat(OTHER_TAR)])


# Replacing


def test_a_changed_member_makes_a_new_pack_and_the_old_one_goes_after_the_commit(
    box: Recorded, owner: Owner, client: Client, packed: dict[str, bytes], root: Path, tmp_path: Path
) -> None:
    before = {row["name"]: row["id"] for row in owner.files()}
    packed[TIMES] = npy(np.ones(7))
    (root / TIMES).write_bytes(packed[TIMES])
    box.recorder.seen.clear()
    outcomes = upload(root)
    assert [outcome.path for outcome in outcomes if outcome.status is Status.DONE] == [TAR]
    after = {row["name"]: row["id"] for row in owner.files()}
    assert owner.names() == sorted([INDEX_NAME, PACKS_NAME, flat(TAR), flat(OTHER_TAR)])
    assert before[flat(OTHER_TAR)] == after[flat(OTHER_TAR)]
    changes = [(seen.method, seen.path.rpartition("/")[2]) for seen in box.recorder.changes]
    committed = changes.index(("POST", str(after[INDEX_NAME])))
    assert changes.index(("POST", str(after[PACKS_NAME]))) < committed
    gone = {number for method, number in changes[committed:] if method == "DELETE"}
    assert gone == {str(before[name]) for name in (INDEX_NAME, PACKS_NAME, DATASETS_NAME, flat(TAR))}
    assert not [method for method, _ in changes[:committed] if method == "DELETE"]
    assert fetched(open_box(box, client), client, tmp_path / "to") == packed


def test_a_file_that_is_new_in_a_packed_session_is_seen_beside_the_pack(
    box: Recorded, owner: Owner, client: Client, packed: dict[str, bytes], root: Path, tmp_path: Path
) -> None:
    """Uploaded as a single file: one that is new, and one in place of a member."""
    packed |= {f"{CORI}/alf/licks.times.npy": npy(np.zeros(3)), TIMES: npy(np.ones(9))}
    write(root, packed)
    upload(root, pack=False)
    names = [INDEX_NAME, PACKS_NAME, flat(TAR), flat(OTHER_TAR), flat(TIMES), flat(f"{CORI}/alf/licks.times.npy")]
    assert owner.names() == sorted(names)
    for reader in (open_box(box, client), open_box(box, client)):
        assert stated(reader.refresh()) == as_stated(packed)
        assert stated(reader.stored()) == as_stated(packed)
    assert fetched(open_box(box, client), client, tmp_path / "to") == packed
    upload(root)
    box.recorder.seen.clear()
    upload(root)
    assert box.recorder.changes == []
    assert fetched(open_box(box, client), client, tmp_path / "again") == packed


def test_a_session_that_is_packed_later_leaves_no_single_files(
    box: Recorded, owner: Owner, client: Client, files: dict[str, bytes], root: Path, tmp_path: Path
) -> None:
    upload(root, pack=False)
    files[TIMES] = npy(np.ones(9))
    write(root, files)
    upload(root)
    assert owner.names() == sorted([INDEX_NAME, PACKS_NAME, flat(TAR), flat(TRIALS)])
    assert fetched(open_box(box, client), client, tmp_path / "to") == files


def test_members_that_are_not_here_any_more_are_deleted_with_delete_only(
    box: Recorded, owner: Owner, client: Client, packed: dict[str, bytes], root: Path, tmp_path: Path
) -> None:
    kept = {path: content for path, content in packed.items() if path != CLUSTERS}
    write(root, kept)
    upload(root)
    assert fetched(open_box(box, client), client, tmp_path / "all") == packed
    upload(root, delete=True)
    assert stated(open_box(box, client).refresh()) == as_stated(kept)
    assert fetched(open_box(box, client), client, tmp_path / "kept") == kept


def test_a_packed_session_that_is_not_here_goes_with_delete_and_its_tar_with_it(
    box: Recorded, owner: Owner, client: Client, packed: dict[str, bytes], root: Path, tmp_path: Path
) -> None:
    kept = {path: content for path, content in packed.items() if path.startswith(CORI)}
    write(root, kept)
    upload(root)
    assert fetched(open_box(box, client), client, tmp_path / "all") == packed
    upload(root, delete=True)
    assert owner.names() == sorted([INDEX_NAME, PACKS_NAME, flat(TAR)])
    assert fetched(open_box(box, client), client, tmp_path / "kept") == kept


def test_sessions_of_another_computer_stay_packed(
    box: Recorded, owner: Owner, client: Client, packed: dict[str, bytes], root: Path, tmp_path: Path
) -> None:
    more = {f"{MUELLER}/alf/spikes.times.npy": some()}
    write(root, more)
    upload(root)
    assert fetched(open_box(box, client), client, tmp_path / "to") == packed | more


def test_status_says_that_all_is_the_same(box: Recorded, owner: Owner, packed: dict[str, bytes], root: Path) -> None:
    compared = One("figs").status(root)
    assert {(one.path, one.local) for one in compared} == {(path, Mark.SAME) for path in packed}
    One("figs").publish()
    assert all(one.is_clean and one.public is Mark.SAME for one in One("figs").status(root))


def test_a_pack_that_was_sent_and_not_committed_is_in_the_way_of_publication(
    box: Recorded, packed: dict[str, bytes], root: Path
) -> None:
    """What is published stays for ever: so neither half an upload, nor one whose index is the old one."""
    assert packed
    assert One("figs").missing_for_publication() == []
    (root / TIMES).write_bytes(npy(np.ones(9)))
    dies_after(box, 5)  # announced, sent in three parts, completed: the pack is there, and neither list
    with pytest.raises(OneError):
        upload(root)
    lives(box)
    assert len([row for row in Owner(box).files() if row["name"] == flat(TAR)]) == 2
    assert any("not finished" in missing for missing in One("figs").missing_for_publication())


# Killed


def test_killed_at_any_step_readers_see_the_old_state_or_the_new_and_the_next_run_finishes(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    """Old: one session of single files and one packed. New: both packed, a member changed, a third session."""
    root = tmp_path / "root"
    before = {path: content for path, content in recordings().items() if path != LFP}
    after = before | {
        TIMES: npy(np.ones(9)),
        TRIALS: npy(np.ones((3, 2))),
        f"{MUELLER}/alf/spikes.times.npy": some(),
    }
    first = owner.article
    count = 0

    def prepare() -> None:
        location = owner.ask("POST", "/account/articles", {"title": "Packed", "description": "x"})[2]["location"]
        owner.article = location
        box.article_id = int(location.rpartition("/")[2])
        configure(box)
        upload(write(root, {path: content for path, content in before.items() if path.startswith(CORI)}))
        write(root, before)
        upload(root, pack=False)
        write(root, after)

    def readable() -> dict[str, bytes]:
        nonlocal count
        count += 1
        return fetched(open_box(box, client), client, tmp_path / f"to {count}")

    prepare()
    box.recorder.seen.clear()
    upload(root)
    total = len(box.recorder.changes)
    assert readable() == after
    assert total > 12
    states = []
    for number in range(total):
        prepare()
        dies_after(box, number)
        with pytest.raises(OneError):
            upload(root)
        lives(box)
        got = readable()
        assert got in (before, after), number
        states.append(got == after)
        upload(root, clean=number % 2 == 1)
        assert readable() == after, number
        names = [INDEX_NAME, PACKS_NAME, flat(TAR), flat(OTHER_TAR), flat(f"{MUELLER}/{PACK_NAME}")]
        assert owner.names() == sorted(names), number
        shutil.rmtree(tmp_path / f"to {count}")
    assert states == sorted(states), "once the new state is there, it stays"
    assert set(states) == {False, True}
    owner.article = first


def test_where_any_one_answer_is_lost_the_upload_goes_on_and_everything_is_there_once(
    box: Recorded, owner: Owner, client: Client, root: Path, tmp_path: Path
) -> None:
    files = {TIMES: some(900), CLUSTERS: b"", TRIALS: some(200)}
    write(root, files)
    upload(root)
    total = 0
    for number in itertools.count():
        files[TIMES] = some(901 + number)
        write(root, files)
        loses_answer(box, number)
        upload(root)
        lives(box)
        assert owner.names() == sorted([INDEX_NAME, PACKS_NAME, flat(TAR), flat(OTHER_TAR)]), number
        assert fetched(open_box(box, client), client, tmp_path / f"to {number}") == files
        total += 1
        if box.faults.played["reset_after"] < total:  # there was no change of that number any more
            break
    assert total > 12


# .one_packs and .one_root by other hands


class Shelf:
    """A pack put into the article by hand, and lists that say whatever a test wants."""

    def __init__(self, box: Recorded, owner: Owner, folder: Path) -> None:
        self.box, self.owner = box, owner
        self.files = {TIMES: some(700), CLUSTERS: some(2000), EMPTY: b""}
        write(folder, self.files)
        entries = [Entry(path, size=len(content), md5=md5(content)) for path, content in self.files.items()]
        self.pack: Pack
        [self.pack] = packs_of(entries, folder)
        with self.pack.open() as reader:
            self.tar = reader.read()
        self.md5 = self.pack.md5()
        self.rows = list(self.pack.rows(self.md5))
        self.number = owner.add(flat(TAR), self.tar)

    def url(self, number: int) -> str:
        return f"{self.box.api_url.removesuffix('/v2')}/files/{number}"

    def index(self, *rows: tuple[str, str]) -> None:
        lines = rows or ((TAR, self.url(self.number)),)
        self.owner.add(INDEX_NAME, "".join(f"{path}\t{url}\n" for path, url in lines).encode())

    def list(self, rows: Iterable[MemberRow]) -> None:
        stream = io.BytesIO()
        write_packs(rows, stream)
        self.owner.add(PACKS_NAME, stream.getvalue())

    def lines(self, *rows: tuple[object, ...]) -> None:
        """Put a list there that nobody would write."""
        self.owner.add(PACKS_NAME, "".join("\t".join(map(str, row)) + "\n" for row in rows).encode())


@pytest.fixture
def shelf(box: Recorded, owner: Owner, tmp_path: Path) -> Shelf:
    return Shelf(box, owner, tmp_path / "shelf")


def stays_one_file(shelf: Shelf, client: Client, folder: Path) -> list[str]:
    """Check that readers get the tar as it is, and return what is remarked."""
    reader = open_box(shelf.box, client)
    index = reader.refresh()
    assert stated(index) == {TAR: (len(shelf.tar), shelf.md5)}
    assert fetched(reader, client, folder) == {TAR: shelf.tar}
    return index.remarks


def test_a_pack_made_by_hand_is_read(box: Recorded, client: Client, shelf: Shelf, tmp_path: Path) -> None:
    shelf.list(shelf.rows)
    shelf.index()
    assert fetched(open_box(box, client), client, tmp_path / "to") == shelf.files


def test_without_a_list_the_tar_stays_one_file_and_that_is_said(client: Client, shelf: Shelf, tmp_path: Path) -> None:
    shelf.index()
    shelf.owner.add("README.md", b"another file")
    remarks = stays_one_file(shelf, client, tmp_path / "to")
    assert any(PACKS_NAME in remark and "stays one file" in remark for remark in remarks)


def test_a_list_of_another_tar_says_nothing_of_this_one(client: Client, shelf: Shelf, tmp_path: Path) -> None:
    shelf.list([row._replace(pack_md5="0" * 32) for row in shelf.rows])
    shelf.index()
    assert any("stays one file" in remark for remark in stays_one_file(shelf, client, tmp_path / "to"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-10],
        lambda content: content.replace(b"\t", b" ", 1),
        lambda content: b"\xff\xfe" + content,
        lambda content: b"<html>not found</html>\n",
        lambda content: content + content,
        lambda content: b"\0" * 100_000,
    ],
)
def test_a_damaged_list_is_not_believed_in_any_row(
    client: Client, shelf: Shelf, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    stream = io.BytesIO()
    write_packs(shelf.rows, stream)
    shelf.owner.add(PACKS_NAME, damage(stream.getvalue()))
    shelf.index()
    remarks = stays_one_file(shelf, client, tmp_path / "to")
    assert any("what is packed cannot be told" in remark for remark in remarks)


@pytest.mark.parametrize(
    "path",
    [
        "../../../etc/passwd",
        f"{CORI}/alf/../../../../../../etc/passwd",
        "/etc/passwd",
        f"{CORI}/alf\\..\\..\\x.y.npy",
        f"{CORI}/{PACK_NAME}",
        "README.md",
    ],
)
def test_a_list_with_a_path_that_could_do_harm_is_not_believed(
    client: Client, shelf: Shelf, tmp_path: Path, path: str
) -> None:
    shelf.lines((path, 512, 700, "a" * 32, shelf.md5), *shelf.rows)
    shelf.index()
    assert any("cannot be told" in remark for remark in stays_one_file(shelf, client, tmp_path / "to"))
    assert not [found for found in tmp_path.rglob("*") if found.name == "passwd"]


def test_members_that_overlap_are_not_believed(client: Client, shelf: Shelf, tmp_path: Path) -> None:
    first, second = shelf.rows[1], shelf.rows[2]
    shelf.lines(first, (second.path, first.offset, second.size, second.md5, second.pack_md5))
    shelf.index()
    assert any("overlaps" in remark for remark in stays_one_file(shelf, client, tmp_path / "to"))


def test_members_that_overlap_in_two_lists_give_nothing(box: Recorded, client: Client, shelf: Shelf) -> None:
    """Each list is right for itself."""
    first, second = shelf.rows[1], shelf.rows[2]
    shelf.list([first])
    shelf.list([second._replace(offset=first.offset)])
    shelf.index()
    with pytest.raises(UnsafeData, match="overlaps"):
        open_box(box, client).refresh()


@pytest.mark.parametrize("far", [1 << 20, 1 << 40])
def test_of_a_tar_with_members_that_reach_beyond_it_nothing_is_given_but_the_tar(
    box: Recorded, client: Client, shelf: Shelf, far: int
) -> None:
    shelf.list([*shelf.rows[:-1], shelf.rows[-1]._replace(offset=far)])
    shelf.index()
    index = open_box(box, client).refresh()
    assert f"{shelf.rows[-1].session}/{PACK_NAME}" in {entry.path for entry in index}
    assert shelf.rows[-1].path not in {entry.path for entry in index}
    assert any("cannot lie in it" in remark for remark in index.remarks)


def test_a_member_whose_bytes_are_others_gets_no_name(
    box: Recorded, client: Client, shelf: Shelf, tmp_path: Path
) -> None:
    wrong = [row._replace(md5="a" * 32) if row.path == TIMES else row for row in shelf.rows]
    shelf.list(wrong)
    shelf.index()
    reader, folder = open_box(box, client), tmp_path / "to"
    outcomes = download(plan_download(reader.refresh(), folder, Ledger(folder)), reader, client, folder, Ledger(folder))
    failed = {outcome.path: outcome.error for outcome in outcomes if outcome.error is not None}
    assert list(failed) == [TIMES]
    assert isinstance(failed[TIMES], ChecksumMismatch)
    assert not (folder / TIMES).exists()
    assert (folder / CLUSTERS).read_bytes() == shelf.files[CLUSTERS]


def test_rows_of_a_session_that_has_no_pack_are_nothing(box: Recorded, client: Client, shelf: Shelf) -> None:
    foreign = replace_session(shelf.rows, MUELLER)
    shelf.list([*shelf.rows, *foreign])
    shelf.index()
    assert {entry.path for entry in open_box(box, client).refresh()} == set(shelf.files)


def replace_session(rows: Iterable[MemberRow], session: str) -> list[MemberRow]:
    return [row._replace(path=row.path.replace(CORI, session)) for row in rows]


def test_a_row_of_the_index_for_the_tar_of_another_session_gets_none_of_its_members(
    box: Recorded, client: Client, shelf: Shelf, tmp_path: Path
) -> None:
    """``.one_root`` gives the tar of one session as that of another one."""
    shelf.list(shelf.rows)
    shelf.index((TAR, shelf.url(shelf.number)), (OTHER_TAR, shelf.url(shelf.number)))
    index = open_box(box, client).refresh()
    assert {entry.path for entry in index} == {*shelf.files, OTHER_TAR}


def test_a_row_of_the_index_for_another_server_is_no_pack_of_ours(box: Recorded, client: Client, shelf: Shelf) -> None:
    shelf.list(shelf.rows)
    shelf.index((TAR, "https://example.org/files/1.tar"))
    for entry in open_box(box, client).refresh():
        routes = open_box(box, client).source(entry)
        for route in routes if isinstance(routes, tuple) else ():
            assert isinstance(route, Route)
            if route.url.startswith("https://example.org"):
                assert route.credential is None or route.credential.origin.startswith("http://127.0.0.1")


def test_two_lists_at_once_both_count(
    box: Recorded, owner: Owner, client: Client, shelf: Shelf, tmp_path: Path
) -> None:
    """While an upload is half done there are two lists, and two tars of one session."""
    newer = {TIMES: some(900), CLUSTERS: some(20)}
    folder = write(tmp_path / "newer", newer)
    [pack] = packs_of([Entry(path, size=len(data), md5=md5(data)) for path, data in newer.items()], folder)
    with pack.open() as reader:
        number = owner.add(flat(TAR), reader.read())
    shelf.list(shelf.rows)
    shelf.list(pack.rows(pack.md5()))
    shelf.index()
    assert fetched(open_box(box, client), client, tmp_path / "old") == shelf.files
    shelf.index((TAR, shelf.url(number)))
    assert fetched(open_box(box, client), client, tmp_path / "new") == newer


@pytest.mark.parametrize("case", ["no list", "damaged", "beyond its end"])
def test_a_tar_of_which_nothing_is_known_survives_the_upload_of_another_session(
    box: Recorded, owner: Owner, client: Client, shelf: Shelf, root: Path, case: str
) -> None:
    """Somebody removed the list at figshare's web page, or it is damaged: the recordings are not to go with it."""
    if case == "damaged":
        owner.add(PACKS_NAME, b"not a list\n")
    elif case == "beyond its end":
        shelf.list([*shelf.rows[:-1], shelf.rows[-1]._replace(offset=1 << 20)])
    shelf.index()
    more = {TRIALS: some()}
    upload(write(root, more), pack=False)
    assert owner.read(flat(TAR)) == shelf.tar
    index = open_box(box, client).refresh()
    assert TRIALS in index
    assert TAR in index or set(shelf.files) <= {entry.path for entry in index}


@pytest.mark.parametrize("collection", ["alf", "ALF"])
def test_a_tar_of_which_nothing_is_known_gives_way_to_the_pack_that_is_uploaded(
    box: Recorded, owner: Owner, client: Client, shelf: Shelf, root: Path, tmp_path: Path, collection: str
) -> None:
    """The name of a pack is sorted before some of its members and behind others: neither decides which tar it is."""
    shelf.index()
    files = {f"{CORI}/{collection}/spikes.times.npy": some(), f"{CORI}/{collection}/spikes.depths.npy": some()}
    upload(write(root, files))
    assert fetched(open_box(box, client), client, tmp_path / "to") == files
    assert owner.names() == sorted([INDEX_NAME, PACKS_NAME, flat(TAR)])


# Whoever knows nothing of packs


def test_an_old_client_sees_one_row_for_each_session_and_gets_a_tar_that_tar_unpacks(
    owner: Owner, packed: dict[str, bytes], tmp_path: Path
) -> None:
    owner.publish()
    rows = [line.split("\t") for line in (owner.read(INDEX_NAME) or b"").decode().splitlines()]
    assert [path for path, _ in rows] == [TAR, OTHER_TAR]
    folder = tmp_path / "unpacked"
    folder.mkdir()
    for number, (_, url) in enumerate(rows):
        status, _, headers = owner.ask("GET", url, token=False)
        assert status == 302
        tar = tmp_path / f"{number}.tar"
        tar.write_bytes(owner.ask("GET", headers["location"], token=False)[1])
        subprocess.run(["tar", "xf", tar, "-C", folder], check=True)
    there = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert there == packed


def test_the_list_of_members_is_what_its_columns_say(owner: Owner, packed: dict[str, bytes]) -> None:
    tars = {tar.rpartition("/alf/")[0]: owner.read(flat(tar)) or b"" for tar in (TAR, OTHER_TAR)}
    rows = rows_of(owner)
    assert [row.path for row in rows] == sorted(packed)
    for row in rows:
        tar = tars[row.session]
        assert row.pack_md5 == md5(tar)
        assert tar[row.offset : row.offset + row.size] == packed[row.path]
        assert row.md5 == md5(packed[row.path])


def test_an_index_with_members_is_never_written_as_rows(
    box: Recorded, owner: Owner, client: Client, packed: dict[str, bytes]
) -> None:
    """Nobody but us knows what ``#bytes=`` means."""
    assert packed
    repository = open_box(box, client)
    index = Index(repository.stored())
    assert repository.write_index(index) is False
    assert b"#bytes=" not in (owner.read(INDEX_NAME) or b"")
    kept = Index(replace(entry) for entry in index if entry.path != TRIALS)
    assert repository.write_index(kept) is True
    assert b"#bytes=" not in (owner.read(INDEX_NAME) or b"")
    assert {entry.path for entry in open_box(box, client).refresh()} == set(packed) - {TRIALS}


def test_packs_are_spread_over_articles_as_files_are(
    make_box: Callable[..., Recorded], client: Client, root: Path, tmp_path: Path
) -> None:
    box = make_box(file_limit=5)
    owner = Owner(box)
    configure(box, files_per_article=5)
    files = {f"lab/Subjects/S{n}/2020-01-01/001/alf/a{m}.b.npy": some(50) for n in range(6) for m in range(4)}
    upload(write(root, files), spread=True)
    index = open_box(box, client).refresh()
    assert stated(index) == as_stated(files)
    assert fetched(open_box(box, client), client, tmp_path / "to") == files
    for path in list(files)[::4]:
        files[path] = some(60)
    upload(write(root, files), spread=True)
    assert fetched(open_box(box, client), client, tmp_path / "again") == files
    names = all_names(owner)
    assert set(names.values()) == {1}
    assert len(names) == 6 + 2
