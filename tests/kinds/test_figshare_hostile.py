"""Odd and hostile answers of figshare, odd states of a draft, odd wishes: refused, survived, and told as they are."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from boxes import Owner, Recorded
from contract import CLUSTERS, ELSEWHERE, OTHER, SESSION, TIMES, some
from test_figshare import fetched, flat, nothing, open_box
from test_figshare_articles import configure, dies_after, lives, parts, write
from test_figshare_articles import recordings as spread_recordings
from test_figshare_articles import upload as upload_spread

from onelight import One
from onelight.api.creating import create_figshare, find_figshare
from onelight.client import Client
from onelight.config import Config, Settings
from onelight.description import Author, Description, read_description
from onelight.errors import ConfigError, OneError, RepositoryError, UnsafeData
from onelight.index import INDEX_NAME, Entry
from onelight.kinds.figshare import FigshareRepository
from onelight.kinds.figshare.api import Api
from onelight.kinds.figshare.article import Article, File
from onelight.kinds.figshare.naming import placed
from onelight.kinds.figshare.sending import Sender
from onelight.kinds.localfile import LocalFile
from onelight.pack import PACK_NAME, PACKS_NAME
from onelight.transfer import Mark, Status

TAR = f"{SESSION}/{PACK_NAME}"
LAST = "lab/Subjects/Muller/2017-01-07/003/alf/trials.times.npy"
CREATED = r"^/v2/account/articles$"
FULL = Description(
    title="Two mice",
    description="What was recorded.",
    authors=(Author("Ada Lovelace"),),
    categories=("Sensory systems",),
    keywords=("mouse",),
    license="CC0",
)


class Ended(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Return a function that runs a command in this process, without a terminal."""
    from onelight.cli import run

    def typed(*arguments: object, given: str = "") -> Ended:
        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "stdin", io.StringIO(given))
            code = run([str(argument) for argument in arguments])
        assert "Traceback" not in err.getvalue(), err.getvalue()
        return Ended(code, out.getvalue(), err.getvalue())

    return typed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "one.toml"


def limits(**said: float) -> None:
    """Write limits of the client into the configuration."""
    path = Config.load().path
    data = json.loads(path.read_text())
    data["limits"] = {**data.get("limits", {}), **said}
    path.write_text(json.dumps(data))


def record(owner: Owner) -> dict[str, Any]:
    return dict(json.loads(owner.ask("GET", owner.article)[1]))


def titled(owner: Owner, title: str) -> list[int]:
    rows = json.loads(owner.ask("GET", "/account/articles?page_size=1000")[1])
    return [int(row["id"]) for row in rows if row["title"] == title]


def number_of(owner: Owner, name: str) -> int:
    [number] = [row["id"] for row in owner.files() if row["name"] == name]
    return int(number)


# Lists of what is packed


@pytest.fixture(params=["missing", "damaged"])
def unknown_pack(box: Recorded, owner: Owner, root: Path, request: pytest.FixtureRequest) -> dict[str, bytes]:
    """A pack of which nobody knows any more what is in it."""
    configure(box)
    files = {TIMES: some(), CLUSTERS: some()}
    One("figs").upload(write(root, files), pack=True)
    content = owner.read(PACKS_NAME) or b""
    owner.ask("DELETE", f"{owner.article}/files/{number_of(owner, PACKS_NAME)}")
    if request.param == "damaged":
        owner.add(PACKS_NAME, content[:-3])
    return files


def test_a_pack_of_which_nothing_is_known_is_not_clean_with_a_folder_and_without(
    unknown_pack: dict[str, bytes], root: Path
) -> None:
    for folder in (None, root):
        found = {one.path: one for one in One("figs").status(folder)}
        assert found[TAR].local is Mark.BROKEN
        assert not found[TAR].is_clean
        assert found[TAR].why


def test_a_status_of_such_a_pack_is_an_exit_code_and_a_line_with_a_mark(
    unknown_pack: dict[str, bytes], root: Path, command: Callable[..., Ended]
) -> None:
    for arguments in ([], [root]):
        ended = command("status", *arguments)
        assert ended.code == 1
        assert f"!. {TAR}" in ended.out


def test_such_a_pack_is_not_published_and_the_next_upload_makes_it_whole(
    owner: Owner, unknown_pack: dict[str, bytes], root: Path
) -> None:
    for folder in (None, root):
        with pytest.raises(RepositoryError):
            One("figs").publish(folder)
    assert record(owner).get("version") in (None, 0)
    One("figs").upload(root, pack=True)
    assert all(one.is_clean for one in One("figs").status(root))
    assert One("figs").publish().version == 1


# What is refused before anything is asked


@pytest.mark.parametrize("how", [{"allow_partial": True}, {"limit": 1}, {"allow_partial": True, "limit": 3}])
def test_to_delete_what_a_folder_lacks_and_to_leave_out_a_part_of_it_is_refused(
    box: Recorded, root: Path, command: Callable[..., Ended], how: dict[str, Any]
) -> None:
    configure(box)
    One("figs").upload(write(root, {TIMES: some(), CLUSTERS: some()}))
    write(root, {TIMES: some()})
    box.recorder.seen.clear()
    for act in (One("figs").plan_upload, One("figs").upload):
        with pytest.raises(UnsafeData):
            act(root, delete=True, **how)
    flags = ["--allow-partial"] * ("allow_partial" in how) + ["--limit", how.get("limit")] * ("limit" in how)
    ended = command("upload", root, "--delete", "--yes", *flags)
    assert ended.code == 2
    assert box.recorder.seen == []


@pytest.mark.parametrize("by", ["library", "command"])
def test_a_token_that_is_not_that_of_the_environment_is_refused_before_anything_is_made(
    box: Recorded, owner: Owner, monkeypatch: pytest.MonkeyPatch, command: Callable[..., Ended], by: str
) -> None:
    other = box.add_account("Somebody Else").token
    monkeypatch.setenv("FIGSHARE_TOKEN", other)
    before = titled(owner, "Whose is it")
    box.recorder.seen.clear()
    if by == "library":
        with pytest.raises(ConfigError, match="FIGSHARE_TOKEN"):
            create_figshare("whose", Description(title="Whose is it"), token=box.token, api_url=box.api_url)
        with pytest.raises(ConfigError, match="FIGSHARE_TOKEN"):
            find_figshare(str(box.article_id), token=box.token, api_url=box.api_url)
    else:
        for words in (
            ("create", "--figshare", "--title", "Whose is it", "--name", "whose"),
            ("add-repo", "whose", "--figshare", box.article_id),
        ):
            ended = command(*words, "--token-stdin", "--api-url", box.api_url, given=f"{box.token}\n")
            assert ended.code == 2
            assert "FIGSHARE_TOKEN" in ended.err
            assert box.token not in ended.out + ended.err
            assert other not in ended.out + ended.err
    assert box.recorder.seen == []
    assert "whose" not in [settings.name for settings in Config.load().repositories]
    assert titled(owner, "Whose is it") == before


def test_the_token_of_the_environment_may_be_given_once_more(
    box: Recorded, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIGSHARE_TOKEN", box.token)
    made = create_figshare("same", Description(title="Mine"), token=box.token, api_url=box.api_url)
    assert titled(owner, "Mine") == [made.options["article_id"]]


@pytest.mark.parametrize("token", ["tokén-of-somebody", "token\u00a0copied", "token\tand more", "токен"])
def test_a_token_with_a_letter_that_no_token_has_is_an_error_of_the_configuration(
    box: Recorded, command: Callable[..., Ended], token: str
) -> None:
    with pytest.raises(ConfigError, match="character"):
        _ = Settings("figs", "figshare", {"token": token}).secret
    configure(box, token=token)
    with pytest.raises(ConfigError, match="character"):
        One("figs").refresh()
    ended = command(
        "add-repo", "new", "--figshare", box.article_id, "--api-url", box.api_url, "--token-stdin", given=token
    )
    assert ended.code == 2
    assert box.recorder.seen == []


def test_an_address_of_a_sandbox_is_not_taken_for_one_of_figshare(box: Recorded, command: Callable[..., Ended]) -> None:
    address = f"{box.api_url}/articles/{box.article_id}"
    ended = command("add-repo", "mine", "--figshare", address)
    assert ended.code == 2
    assert f"--api-url {box.api_url}" in ended.err
    assert [settings for settings in Config.load().repositories if settings.name == "mine"] == []
    added = command(
        "add-repo", "mine", "--figshare", address, "--api-url", box.api_url, "--token-stdin", given=box.token
    )
    assert added.code == 0, added.err
    assert Config.load().repository("mine").options["article_id"] == box.article_id


def test_of_an_article_in_parts_the_files_of_all_are_told_when_it_is_added(
    make_box: Callable[..., Recorded], root: Path, command: Callable[..., Ended]
) -> None:
    box = make_box(file_limit=6)
    configure(box, files_per_article=6)
    files = spread_recordings(4)
    upload_spread(write(root, files))
    added = command(
        *("add-repo", "again", "--figshare", box.article_id, "--api-url", box.api_url, "--token-stdin"), given=box.token
    )
    assert added.code == 0, added.err
    assert f"{len(files) + 1} files" in added.err


# Answers that lead elsewhere


class Elsewhere:
    """A web server that is not figshare's, and what came to it. ``figshare`` says what it answers as an API."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.answers: dict[tuple[str, str], object] = {}
        said = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                said.seen.append((self.command, self.path))
                body = json.dumps(said.answers.get((self.command, self.path), {})).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - http.server wants these names

            def log_message(self, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    server = Elsewhere()
    yield server
    server.stop()


@pytest.fixture
def api_of_its_own() -> Iterator[Elsewhere]:
    server = Elsewhere()
    yield server
    server.stop()


@pytest.fixture
def source(tmp_path: Path) -> tuple[Entry, Path]:
    path = tmp_path / "a file"
    path.write_bytes(b"abc")
    return Entry(TIMES, size=3, md5=hashlib.md5(b"abc").hexdigest()), path


def test_a_new_file_is_asked_for_at_the_api_whatever_host_its_location_has(
    api_of_its_own: Elsewhere, elsewhere: Elsewhere, client: Client, source: tuple[Entry, Path]
) -> None:
    entry, path = source
    api, upload = api_of_its_own, f"{api_of_its_own.url}/upload/x"
    files = "/v2/account/articles/1/files"
    whole = {"id": 7, "name": flat(TIMES), "size": 3, "status": "available", "computed_md5": entry.md5}
    api.answers = {
        ("POST", files): {"location": f"{elsewhere.url}/v2/account/articles/1/files/7"},
        ("GET", f"{files}/7"): {**whole, "status": "created", "computed_md5": "", "upload_url": upload},
        ("GET", "/upload/x"): {
            "status": "PENDING",
            "parts": [{"partNo": 1, "startOffset": 0, "endOffset": 2, "status": "PENDING"}],
        },
    }
    sender = Sender(Article(Api(client, f"{api.url}/v2", "a-token-of-somebody"), 1), 0.2)
    check = sender.send(flat(TIMES), path, entry, None, nothing)
    api.answers[("GET", f"{files}/7")] = whole
    assert check().id == 7
    assert ("POST", f"{files}/7") in api.seen, "it was completed"
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    "location", ["", None, "http://127.0.0.1:9/v2/account/articles/1/files/", "/files/../7x", "/files/-1", 7]
)
def test_a_location_without_a_number_is_an_error_and_nothing_is_sent(
    api_of_its_own: Elsewhere, client: Client, source: tuple[Entry, Path], location: object
) -> None:
    entry, path = source
    files = "/v2/account/articles/1/files"
    api_of_its_own.answers = {("POST", files): {"location": location}}
    sender = Sender(Article(Api(client, f"{api_of_its_own.url}/v2", "a-token-of-somebody"), 1), 0.2)
    with pytest.raises(RepositoryError):
        sender.send(flat(TIMES), path, entry, None, nothing)
    assert api_of_its_own.seen == [("POST", files)]


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("address", ["http://fup.figshare.com/upload/x", "loopback", "ftp://fup.figshare.com/x"])
def test_a_file_is_not_sent_without_encryption_where_the_api_has_it(
    elsewhere: Elsewhere, client: Client, source: tuple[Entry, Path], address: str, is_new: bool
) -> None:
    entry, path = source
    url = f"{elsewhere.url}/upload/x" if address == "loopback" else address
    sender = Sender(Article(Api(client, "https://api.figshare.com/v2", "a-token-of-somebody", 0), 1), 0.2)
    sender._one_part = 10  # as after a larger file, so that a new one is sent at once
    with pytest.raises(UnsafeData):
        sender._send_parts(url, LocalFile(path, entry, nothing), is_new=is_new)
    assert elsewhere.seen == []


def test_a_folder_without_a_name_is_no_folder() -> None:
    file = File(5, "spikes.times.npy", 1, "available", "", "", "")
    for folders in ({"5": None}, {}, {"5": ""}, {"5": "/"}):
        assert placed([file], folders) == {}  # type: ignore[arg-type]
    assert list(placed([file], {"5": f"/{SESSION}/alf/"})) == [TIMES]


def test_a_record_whose_folders_are_null_is_read(api_of_its_own: Elsewhere, client: Client) -> None:
    api = api_of_its_own
    row = {"id": 5, "name": "spikes.times.npy", "size": 3, "status": "available", "download_url": f"{api.url}/files/5"}
    other = {**row, "id": 6, "name": flat(CLUSTERS), "download_url": f"{api.url}/files/6"}
    for folders in ({"5": None, "6": None}, None):
        api.answers = {
            ("GET", "/v2/articles/1"): {"id": 1, "version": 1, "folder_structure": folders},
            ("GET", "/v2/articles/1/files?page=1&page_size=1000"): [row, other],
        }
        repository = FigshareRepository("odd", 1, client, api_url=f"{api.url}/v2")
        assert [entry.path for entry in repository.refresh()] == [CLUSTERS]


# Files that vanish, and a figshare that is down at times


def test_files_that_vanish_while_figshare_checks_many_fail_by_their_names_in_time(
    box: Recorded, owner: Owner, root: Path
) -> None:
    """More than four are open, so that a list is asked for, which they are in no more."""
    configure(box, patience=2)
    box.faults.set("md5_missing")
    files = {f"{SESSION}/alf/a{number}.times.npy": some() for number in range(8)}
    gone: list[str] = []

    def delete_two() -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            rows = owner.files()
            if len(rows) == len(files) and all(row["status"] != "created" for row in rows):
                for row in rows[:2]:
                    owner.ask("DELETE", f"{owner.article}/files/{row['id']}")
                    gone.append(row["name"])
                return
            time.sleep(0.01)

    one = One("figs")
    plan = one.plan_upload(write(root, files))
    outcomes: list[Any] = []
    vanishing = threading.Thread(target=delete_two, daemon=True)
    running = threading.Thread(target=lambda: outcomes.extend(one.run_upload(plan)), daemon=True)
    begun = time.monotonic()
    vanishing.start()
    running.start()
    running.join(30)
    assert not running.is_alive(), "it ends"
    assert time.monotonic() - begun < 15
    assert len(gone) == 2
    assert sorted(flat(outcome.path) for outcome in outcomes if outcome.status is Status.FAILED) == sorted(gone)
    assert INDEX_NAME not in owner.names()
    box.faults.clear()
    One("figs").upload(root)
    assert sorted(owner.names()) == sorted([INDEX_NAME, *map(flat, files)])


def test_where_the_authors_cannot_be_set_the_draft_is_known_and_there_is_one(box: Recorded, owner: Owner) -> None:
    box.recorder.refuse = lambda seen: 400 if seen.method in ("PATCH", "PUT") else None
    with pytest.raises(OneError):
        create_figshare("mice", FULL, token=box.token, api_url=box.api_url)
    lives(box)
    [number] = titled(owner, "Two mice")
    assert Config.load().repository("mice").options["article_id"] == number
    with pytest.raises(ConfigError, match="already"):
        create_figshare("mice", FULL, token=box.token, api_url=box.api_url)
    assert titled(owner, "Two mice") == [number]
    One("mice").set_description(FULL)
    owner.article = f"{box.api_url}/account/articles/{number}"
    assert [author["full_name"] for author in record(owner)["authors"]] == ["Ada Lovelace"]


@pytest.mark.parametrize("fault", ["error503", "error502", "reset"])
def test_a_server_that_is_down_for_a_moment_is_asked_again_and_one_draft_is_made(
    box: Recorded, owner: Owner, fault: str
) -> None:
    box.faults.set(fault, times=1, method="POST", path=CREATED)
    made = create_figshare("mice", FULL, token=box.token, api_url=box.api_url)
    assert box.faults.played[fault] == 1
    assert titled(owner, "Two mice") == [made.options["article_id"]]


def test_where_the_older_files_cannot_be_removed_the_upload_is_whole_all_the_same(
    box: Recorded, owner: Owner, root: Path, command: Callable[..., Ended]
) -> None:
    configure(box)
    limits(attempts=1, pause=0.01)
    first = {TIMES: some(), CLUSTERS: some()}
    assert command("upload", write(root, first)).code == 0
    assert len(One("figs").refresh()) == 2
    old = {row["id"] for row in owner.files()}
    box.faults.set("error503", method="DELETE", path="/files/")
    second = {TIMES: some(), CLUSTERS: first[CLUSTERS], ELSEWHERE: some()}
    ended = command("upload", write(root, second), "--json")
    assert ended.code == 0, ended.err
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert {row["path"]: row["status"] for row in rows if row["action"] == "upload"} == {
        TIMES: "ok",
        ELSEWHERE: "ok",
        CLUSTERS: "notneeded",
    }
    assert old < {row["id"] for row in owner.files()}, "nothing could be removed"
    # The index that an earlier question kept here would not be asked for again for some time.
    assert set(One("figs").search()) == {SESSION, OTHER}
    assert {entry.path for entry in One("figs").refresh()} == set(second)
    box.faults.clear()
    assert command("upload", root).code == 0
    assert owner.names() == sorted([INDEX_NAME, *map(flat, second)])


@pytest.mark.parametrize("flag", ["--delete", "--clean"])
def test_where_what_is_to_be_removed_cannot_be_the_commit_is_told_and_seen_all_the_same(
    box: Recorded, owner: Owner, root: Path, command: Callable[..., Ended], flag: str
) -> None:
    configure(box)
    limits(attempts=1, pause=0.01)
    assert command("upload", write(root, {TIMES: some(), ELSEWHERE: some()})).code == 0
    assert set(One("figs").search()) == {SESSION, OTHER}
    owner.begin(flat(CLUSTERS), some())
    files = {TIMES: some(), **({} if flag == "--delete" else {ELSEWHERE: some(), LAST: some()})}
    box.faults.set("error503", method="DELETE", path="/files/")
    ended = command("upload", write(root, files), flag, "--yes", "--json")
    stated = [json.loads(line) for line in ended.out.splitlines()]
    assert {row["path"]: row["status"] for row in stated if row.get("action") == "upload"} == dict.fromkeys(files, "ok")
    assert set(One("figs").search()) == {path.rpartition("/alf/")[0] for path in files}, "no older index is kept"
    assert (root / INDEX_NAME).read_text().count("\n") == len(files)
    box.faults.clear()
    assert command("upload", root, "--clean", *([flag, "--yes"] if flag == "--delete" else [])).code == 0
    assert owner.names() == sorted([INDEX_NAME, *map(flat, files)])


def test_readers_see_what_was_committed_where_the_older_files_could_not_be_removed(
    box: Recorded, client: Client, root: Path, tmp_path: Path
) -> None:
    configure(box)
    limits(attempts=1, pause=0.01)
    One("figs").upload(write(root, {TIMES: some()}))
    box.faults.set("error503", method="DELETE", path="/files/")
    files = {TIMES: some(), CLUSTERS: some()}
    outcomes = One("figs").upload(write(root, files))
    assert {outcome.status for outcome in outcomes} == {Status.DONE}
    assert fetched(open_box(box, client), client, tmp_path / "to") == files
    assert (root / INDEX_NAME).read_text().count("\n") == 2, "the index beside the data is the new one"


def test_an_index_that_cannot_be_written_is_told_by_its_name_beside_what_was_sent(
    box: Recorded, owner: Owner, root: Path, command: Callable[..., Ended]
) -> None:
    configure(box)
    limits(attempts=1, pause=0.01)
    write(root, {TIMES: some()})
    dies_after(box, 3)  # announced, sent, completed: then the server refuses everything
    outcomes = One("figs").run_upload(One("figs").plan_upload(root), parallel=1)
    lives(box)
    assert [(one.path, one.status) for one in outcomes] == [(TIMES, Status.DONE), (INDEX_NAME, Status.FAILED)]
    assert outcomes[-1].error is not None
    write(root, {TIMES: some(), CLUSTERS: some()})
    dies_after(box, 6)
    ended = command("upload", root, "--json", "-j", 1)
    lives(box)
    assert ended.code != 0
    rows = [json.loads(line) for line in ended.out.splitlines()]
    stated = {row["path"]: row for row in rows if row.get("action") == "upload"}
    assert {path: row["status"] for path, row in stated.items()} == {
        TIMES: "ok",
        CLUSTERS: "ok",
        INDEX_NAME: "error",
    }
    assert rows[-1]["index"] is False
    assert rows[-1]["exit"] == ended.code
    assert INDEX_NAME not in owner.names()
    One("figs").upload(root)
    assert owner.names() == sorted([INDEX_NAME, flat(TIMES), flat(CLUSTERS)])


def test_an_article_that_is_full_ends_the_upload_after_the_first_refusal(
    make_box: Callable[..., Recorded], root: Path
) -> None:
    """figshare tells nobody how many files it takes; here fewer than the configuration says."""
    box = make_box(file_limit=5)
    configure(box)
    limits(attempts=2, pause=0.01)
    files = {f"{SESSION}/alf/a{number:02}.times.npy": some() for number in range(40)}
    one = One("figs")
    plan = one.plan_upload(write(root, files))
    box.recorder.seen.clear()
    outcomes = one.run_upload(plan, parallel=2)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    assert len(failed) == 35
    assert all("files_per_article" in outcome.error.hint for outcome in failed if outcome.error is not None)
    assert len(box.recorder.of("POST", path=f"/articles/{box.article_id}/files")) <= 2 * 5 + 4


# What an article says of itself


HTML = '<p>See <a href="https://a.org">here</a> and <b>bold</b>.</p><ul><li>one</li><li>two &amp; 3 &lt; 4</li></ul>'


@pytest.mark.parametrize("html", [HTML, "Plain, and <i>not</i> begun with a tag.", "<p>One.</p><p>Two.<br>Three.</p>"])
def test_html_that_was_pulled_is_pushed_as_it_is(
    box: Recorded, owner: Owner, toml: Path, command: Callable[..., Ended], html: str
) -> None:
    configure(box)
    assert owner.ask("PATCH", owner.article, {"description": html})[0] == 205
    assert command("metadata", "pull", toml).code == 0
    before = record(owner)
    box.recorder.seen.clear()
    ended = command("metadata", "push", toml)
    assert ended.code == 0, ended.err
    assert ended.out == ""
    assert box.recorder.changes == []
    assert record(owner) == before


def test_a_type_that_is_not_said_is_not_changed(
    box: Recorded, owner: Owner, toml: Path, command: Callable[..., Ended]
) -> None:
    configure(box)
    assert owner.ask("PATCH", owner.article, {"defined_type": "software"})[0] == 205
    assert record(owner)["defined_type_name"] == "software"
    toml.write_text('title = "Another title"\n')
    assert command("metadata", "push", toml).out.split() == ["title"]
    assert record(owner)["defined_type_name"] == "software"
    assert not [row for row in One("figs").compare_description(read_description(toml)) if row.field == "item_type"]


def test_how_to_download_keeps_the_name_of_the_repository_when_the_text_is_changed(
    box: Recorded, owner: Owner, toml: Path, command: Callable[..., Ended]
) -> None:
    configure(box)
    options = {"article_id": box.article_id, "token": box.token, "api_url": box.api_url}
    Config.load().add(Settings("two_mice", "figshare", options))
    for number, flag in enumerate([["--how-to-download"], [], []]):
        toml.write_text(f'title = "Any title of {number}"\ndescription = "Text {number}."\n')
        assert command("metadata", "push", toml, *flag, "-R", "two_mice").code == 0
        html = record(owner)["description"]
        assert html.count("onelight add-repo") == 1
        assert f"onelight add-repo two_mice --figshare {box.article_id}" in html
        assert f"Text {number}." in html


def test_a_pull_keeps_what_is_empty_there_drops_numbers_of_authors_and_tells_what_changes(
    box: Recorded, owner: Owner, toml: Path, command: Callable[..., Ended]
) -> None:
    configure(box)
    there = {"title": "The title there", "references": [], "authors": [{"name": "Ada Lovelace"}]}
    assert owner.ask("PUT", owner.article, there)[0] == 205
    assert record(owner)["references"] == []
    toml.write_text(
        '# my own words\ntitle = "My title"\nreferences = ["https://example.org/mine"]\nauthors = ["Alan Turing"]\n'
    )
    ended = command("metadata", "pull", toml)
    assert ended.code == 0, ended.err
    pulled = read_description(toml)
    assert pulled.title == "The title there"
    assert pulled.references == ("https://example.org/mine",)
    assert {author.name for author in pulled.authors} >= {"Ada Lovelace"}
    assert [author.id for author in pulled.authors] == [None] * len(pulled.authors)
    assert "# my own words" in toml.read_text()
    assert "title: 'My title' becomes 'The title there'" in ended.err
    assert "authors:" in ended.err
    assert "references:" not in ended.err
    again = command("metadata", "pull", toml)
    assert "becomes" not in again.err


# Published, and changed since


@pytest.fixture
def published(box: Recorded, owner: Owner, root: Path) -> dict[str, bytes]:
    configure(box)
    files = {TIMES: some(), CLUSTERS: some()}
    One("figs").upload(write(root, files))
    owner.ask("PATCH", owner.article, {"title": "The public title"})
    One("figs").publish()
    return files


def test_what_is_cited_is_what_the_public_sees(
    box: Recorded, owner: Owner, published: dict[str, bytes], command: Callable[..., Ended]
) -> None:
    owner.ask("PATCH", owner.article, {"title": "A title of the draft"})
    assert record(owner)["title"] == "A title of the draft"
    found = One("figs").cite()
    for text in (found.text, found.bibtex, command("cite").out):
        assert "The public title" in text
        assert "A title of the draft" not in text


def test_title_authors_and_licence_that_will_change_are_told_before_publication(
    box: Recorded, owner: Owner, published: dict[str, bytes], command: Callable[..., Ended]
) -> None:
    said = Description(title="A new title", authors=(Author("Grace Hopper"),), license="CC0")
    One("figs").set_description(said)
    box.recorder.seen.clear()
    ended = command("publish")  # nobody is there to be asked
    assert ended.code == 2
    assert box.recorder.changes == []
    assert "title: 'The public title' becomes 'A new title'" in ended.err
    for word in ("authors:", "Grace Hopper", "license:", "CC0"):
        assert word in ended.err
    assert command("publish", "--yes").code == 0
    again = command("publish")
    assert "becomes" not in again.err


def test_a_publication_says_that_nothing_has_changed(
    published: dict[str, bytes], command: Callable[..., Ended]
) -> None:
    assert "makes no new version" in command("publish").err
    assert published


def test_what_neither_of_two_sides_has_is_counted_as_no_difference_between_them(
    box: Recorded, owner: Owner, published: dict[str, bytes], root: Path, command: Callable[..., Ended]
) -> None:
    """One file is public only, and one is in the folder only."""
    kept = {TIMES: published[TIMES]}
    One("figs").upload(write(root, kept), delete=True)
    write(root, {**kept, ELSEWHERE: some()})
    found = {one.path: one for one in One("figs").status(root)}
    assert (found[TIMES].local, found[TIMES].public) == (Mark.SAME, Mark.SAME)
    assert (found[CLUSTERS].local, found[CLUSTERS].public) == (None, Mark.THERE)
    assert (found[ELSEWHERE].local, found[ELSEWHERE].public) == (Mark.HERE, None)
    said = command("status", root).err.splitlines()
    assert "1 the same, 1 only here" in said[0]
    assert said[0].endswith("only here")
    assert said[1].endswith("1 the same, 1 public only")


def test_the_parts_that_become_public_are_named(
    make_box: Callable[..., Recorded], root: Path, command: Callable[..., Ended]
) -> None:
    box = make_box(file_limit=6)
    configure(box, files_per_article=6)
    upload_spread(write(root, spread_recordings(4)))
    ended = command("publish")
    assert ended.code == 2
    for number in parts(Owner(box)):
        assert str(number) in ended.err
