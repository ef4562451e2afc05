"""A repository on a web server."""

from __future__ import annotations

import gzip
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import servers
from contract import ELSEWHERE, SESSION, TIMES, ReadContract
from servers import Exchange, Good, WebServer, formatted_date, status

from onelight.client import Client
from onelight.config import Settings
from onelight.errors import (
    AccessDenied,
    ConfigError,
    OneError,
    ReadOnlyRepository,
    RepositoryNotFound,
    TransferError,
    Unreachable,
    UnsafeData,
)
from onelight.index import INDEX_NAME, Entry, Index
from onelight.kinds import open_repository
from onelight.kinds.http import HttpRepository
from onelight.route import Inline

CANARY = "canary-77e0"
ROOT = f"/data/{INDEX_NAME}"


class TestHttp(ReadContract):
    """A folder with .one_root, served by a web server that knows nothing of it."""

    kind = "http"

    @pytest.fixture
    def repository(self, client: Client, tmp_path: Path) -> Iterator[HttpRepository]:
        self.root, self.client = tmp_path / "www", client
        self.root.mkdir()
        with WebServer(root=self.root) as self.server:
            yield self.another()

    def another(self) -> HttpRepository:
        return HttpRepository("web", self.server.url, self.client)

    def fill(self, files: Mapping[str, bytes]) -> None:
        shutil.rmtree(self.root)
        self.root.mkdir()
        for path, content in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(content)
        (self.root / INDEX_NAME).write_text("".join(f"{path}\n" for path in sorted(files)), encoding="utf-8")

    def requests(self) -> int:
        return len(self.server.requests)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        running.files[f"/data/{TIMES}"] = b"spikes"
        running.files[ROOT] = f"{TIMES}\n".encode()
        yield running


def paths(repository: HttpRepository) -> list[str]:
    return [entry.path for entry in repository.refresh()]


def test_rows_may_have_no_address_a_relative_one_or_an_absolute_one(server: WebServer, client: Client) -> None:
    others = [f"{SESSION}/alf/a{number}.b.npy" for number in range(4)]
    rows = [
        others[0],
        f"{others[1]}\tsome where/#1#.npy",
        f"{others[2]}\t/root.npy",
        f"{others[3]}\thttps://example.org/x.npy?a=1",
    ]
    server.files[ROOT] = "\r\n".join(rows).encode()
    index = HttpRepository("web", f"{server.url}/data/", client).refresh()
    assert [index[path].url for path in others] == [
        f"{server.url}/data/{others[0]}",
        f"{server.url}/data/some%20where/%231%23.npy",
        f"{server.url}/root.npy",
        "https://example.org/x.npy?a=1",
    ]


@pytest.mark.parametrize("etag", ["strong", "weak"])
def test_an_index_that_is_the_same_is_not_fetched_again(client: Client, etag: str) -> None:
    with WebServer(etag=etag) as server:
        server.files[ROOT] = f"{TIMES}\n".encode()
        repository = HttpRepository("web", f"{server.url}/data", client)
        first = repository.refresh()
        assert repository.refresh(first) is first
        assert [(seen.method, seen.status) for seen in server.requests] == [("GET", 200), ("GET", 304)]
        assert server.requests[1].headers["if-none-match"] == server.etag_of(server.files[ROOT])
        server.files[ROOT] = f"{TIMES}\n{ELSEWHERE}\n".encode()
        second = repository.refresh(first)
        assert [entry.path for entry in second] == [TIMES, ELSEWHERE]
        assert [entry.path for entry in first] == [TIMES]
        assert repository.refresh(second) is second
        server.files[ROOT] = f"{TIMES}\n".encode()
        assert len(repository.refresh(second)) == 1


def test_an_index_that_was_kept_in_a_file_is_not_fetched_again(
    server: WebServer, client: Client, tmp_path: Path
) -> None:
    HttpRepository("web", f"{server.url}/data", client).refresh(path=tmp_path / "kept").close()
    kept = Index.open(tmp_path / "kept")
    repository = HttpRepository("another name", f"{server.url}/data/", client)
    assert repository.refresh(kept, path=tmp_path / "new") is kept
    assert [seen.status for seen in server.requests] == [200, 304]
    assert not (tmp_path / "new").exists()


def test_an_index_of_another_place_or_person_is_not_asked_about(server: WebServer, client: Client) -> None:
    server.files[f"/copy/{INDEX_NAME}"] = server.files[ROOT]
    first = HttpRepository("web", f"{server.url}/data", client).refresh()
    for repository in (
        HttpRepository("web", f"{server.url}/copy", client),
        HttpRepository("web", f"{server.url}/data", client, login="me", password=CANARY),
    ):
        found = repository.refresh(first)
        assert found is not first
        assert found[TIMES].url == f"{repository.address}/{TIMES}"
    assert all("if-none-match" not in seen.headers for seen in server.requests)
    assert len(server.requests) == 3


def test_an_index_that_was_made_otherwise_is_not_asked_about(server: WebServer, client: Client) -> None:
    repository = HttpRepository("web", f"{server.url}/data", client)
    for last in (Index(), Index([Entry(TIMES)]), Index.build([], facts=repository.facts(""))):
        assert [entry.path for entry in repository.refresh(last)] == [TIMES]
        assert "if-none-match" not in server.requests[-1].headers


@pytest.mark.parametrize("number", [403, 405, 501])
def test_a_server_that_takes_no_head_is_asked_like_any_other(server: WebServer, client: Client, number: int) -> None:
    server.faults[ROOT] = [servers.without_head(Good, number)]
    repository = HttpRepository("web", f"{server.url}/data", client)
    first = repository.refresh()
    assert repository.refresh(first) is first


def test_a_server_without_etags_and_times_is_asked_for_all(client: Client) -> None:
    with WebServer(etag="none") as server:
        server.files[ROOT] = f"{TIMES}\n".encode()
        repository = HttpRepository("web", f"{server.url}/data", client)
        first = repository.refresh()
        second = repository.refresh(first)
        assert second is not first
        assert list(second) == list(first)
        assert [(seen.method, seen.status) for seen in server.requests] == [("GET", 200), ("GET", 200)]


@pytest.mark.parametrize(
    ("age", "is_asked_about"), [(3600.0, True), (2.5, True), (0.0, False), (-3600.0, False), (None, False)]
)
def test_a_time_is_asked_about_if_nothing_can_have_changed_in_that_second(
    client: Client, age: float | None, is_asked_about: bool
) -> None:
    modified = "yesterday" if age is None else formatted_date(time.time() - age)

    def dated(exchange: Exchange) -> None:
        if exchange.request.headers.get("if-modified-since") == modified:
            exchange.head(304, {"Last-Modified": modified})
        else:
            exchange.answer(200, f"{TIMES}\n".encode(), {"Last-Modified": modified})

    with WebServer(etag="none") as server:
        server.files[ROOT] = b""
        server.faults[ROOT] = [dated]
        repository = HttpRepository("web", f"{server.url}/data", client)
        first = repository.refresh()
        assert (repository.refresh(first) is first) == is_asked_about
        assert [seen.status for seen in server.requests] == [200, 304 if is_asked_about else 200]


def test_a_server_that_pays_no_heed_to_conditions_is_believed(server: WebServer, client: Client) -> None:
    server.faults[ROOT] = [lambda exchange: exchange.answer(200, f"{TIMES}\n".encode(), {"ETag": '"x"'})]
    repository = HttpRepository("web", f"{server.url}/data", client)
    first = repository.refresh()
    assert list(repository.refresh(first)) == list(first)


def test_not_modified_is_no_answer_to_who_has_nothing(server: WebServer, client: Client) -> None:
    repository = HttpRepository("web", f"{server.url}/data", client)
    first = repository.refresh()
    server.faults[ROOT] = [status(304)]
    for last in (None, Index()):
        with pytest.raises(OneError):
            repository.refresh(last)
    assert repository.refresh(first) is first


@pytest.mark.parametrize(
    "number",
    [200, 202, 204, 206, 300, 303, 412, 416],
)
def test_an_answer_without_content_is_no_empty_index_to_who_asks_about_one(
    server: WebServer, client: Client, tmp_path: Path, number: int
) -> None:
    repository = HttpRepository("web", f"{server.url}/data", client)
    first = repository.refresh()
    server.faults[ROOT] = [status(number)]
    server.forget()
    if number == 200:  # which is what an empty repository looks like
        server.faults[ROOT] = [servers.cut(3)]
    with pytest.raises(OneError):
        repository.refresh(first, path=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    server.heal()
    assert repository.refresh(first) is first


def test_the_condition_is_asked_again_after_a_passing_failure(server: WebServer, client: Client) -> None:
    repository = HttpRepository("web", f"{server.url}/data", client)
    first = repository.refresh()
    server.faults[ROOT] = [status(503, Retry_After=0), Good]
    server.forget()
    assert repository.refresh(first) is first
    assert [seen.status for seen in server.requests] == [503, 304]
    assert all(seen.headers.get("if-none-match") for seen in server.requests)


def test_an_index_that_lies_elsewhere_is_asked_about_there(server: WebServer, client: Client) -> None:
    with WebServer() as elsewhere:
        elsewhere.files["/there"] = server.files[ROOT]
        server.faults[ROOT] = [servers.redirect(f"{elsewhere.url}/there")]
        repository = HttpRepository("web", f"{server.url}/data", client)
        first = repository.refresh()
        assert first[TIMES].url == f"{server.url}/data/{TIMES}"
        assert repository.refresh(first) is first
        assert [seen.status for seen in elsewhere.requests] == [200, 304]
        elsewhere.files["/there"] = f"{ELSEWHERE}\n".encode()
        assert [entry.path for entry in repository.refresh(first)] == [ELSEWHERE]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status(404), RepositoryNotFound),
        (status(401), AccessDenied),
        (status(500), Unreachable),
        (servers.page, UnsafeData),
        (servers.challenge, Unreachable),
        (servers.gzipped_cut(15), Unreachable),
        (lambda exchange: exchange.answer(200, b"no gzip", {"Content-Encoding": "gzip"}), TransferError),
        (lambda exchange: exchange.answer(200, b"whatever", {"Content-Encoding": "br"}), TransferError),
        (servers.cut(3), Unreachable),
        (servers.wrong_range(2), TransferError),
        (servers.redirect("file:///etc/passwd"), UnsafeData),
        (servers.redirect("http://192.168.1.1/.one_root"), UnsafeData),
    ],
)
def test_an_index_comes_whole_or_not_at_all(
    server: WebServer, client: Client, fault: servers.Fault, error: type[OneError]
) -> None:
    repository = HttpRepository("web", f"{server.url}/data", client)
    server.faults[ROOT] = [fault]
    with pytest.raises(error):
        repository.refresh()
    server.heal()
    assert paths(repository) == [TIMES]


def test_an_index_may_come_packed(server: WebServer, client: Client) -> None:
    server.faults[ROOT] = [servers.gzipped]
    assert paths(HttpRepository("web", f"{server.url}/data", client)) == [TIMES]
    assert server.requests[0].headers["accept-encoding"] == "gzip"


def test_an_index_that_is_packed_and_ends_early_is_fetched_again(server: WebServer, client: Client) -> None:
    def early(exchange: Exchange) -> None:
        exchange.answer(
            200, gzip.compress(b"".join(exchange.read(0, exchange.size)))[:-9], {"Content-Encoding": "gzip"}
        )

    server.faults[ROOT] = [early, servers.gzipped]
    assert paths(HttpRepository("web", f"{server.url}/data", client)) == [TIMES]


def test_a_packed_bomb_is_refused(server: WebServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onelight.kinds.http.MAX_INDEX", 1 << 20)
    server.faults[ROOT] = [servers.bomb(1 << 24)]
    with pytest.raises(UnsafeData, match="too long"):
        HttpRepository("web", f"{server.url}/data", client).refresh()


def test_an_index_that_is_cut_is_fetched_again(server: WebServer, client: Client) -> None:
    server.faults[ROOT] = [servers.cut(3), servers.chunked(3), status(503, Retry_After=0), Good]
    assert paths(HttpRepository("web", f"{server.url}/data", client)) == [TIMES]


@pytest.mark.parametrize(
    "row",
    [
        "../x\thttp://a.org/x",
        f"{TIMES}\tfile:///etc/passwd",
        f"{TIMES}\thttp://169.254.169.254/latest",
        f"{TIMES}\thttp://10.0.0.1/x",
        f"{TIMES}\thttp://me:pw@example.org/x",
        f"{TIMES}\thttps://example.org/x\t3",
        "C:\\x\thttps://example.org/x",
    ],
)
def test_a_hostile_row_is_refused_with_its_number(server: WebServer, client: Client, row: str) -> None:
    server.files[ROOT] = f"{ELSEWHERE}\n{row}\n".encode()
    with pytest.raises(UnsafeData, match="row 2"):
        HttpRepository("web", f"{server.url}/data", client).refresh()


def test_the_password_goes_to_its_origin_only(server: WebServer, client: Client, tmp_path: Path) -> None:
    server.password = "Basic bWU6Y2FuYXJ5LTc3ZTA="  # me:canary-77e0
    with WebServer() as elsewhere:
        elsewhere.files["/there.npy"] = b"there"
        server.files[ROOT] = f"{TIMES}\n{ELSEWHERE}\t{elsewhere.url}/there.npy\n".encode()
        repository = HttpRepository("web", f"{server.url}/data", client, login="me", password=CANARY)
        index = repository.refresh()
        for entry in index:
            [route] = repository.source(entry)
            client.request("GET", route.url, credential=route.credential)
        assert all(seen.headers.get("authorization") == server.password for seen in server.requests)
        assert len(server.requests) == 2
        assert "authorization" not in elsewhere.requests[0].headers
    assert CANARY not in f"{repository.address} {repository!r} {repository.source(index[TIMES])}"


def test_a_wrong_password_is_access_denied_and_not_shown(server: WebServer, client: Client) -> None:
    server.password = "Basic something"
    with pytest.raises(AccessDenied) as caught:
        HttpRepository("web", f"{server.url}/data", client, login="me", password=CANARY).refresh()
    assert CANARY not in str(caught.value)
    assert caught.value.hint
    assert len(server.requests) == 1


def test_a_password_without_encryption_is_refused(client: Client) -> None:
    with pytest.raises(UnsafeData, match="without encryption") as caught:
        HttpRepository("web", "http://example.org/data", client, login="me", password=CANARY)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("base_url", ["ftp://a.org", "example.org/data", "file:///etc", "https://me:pw@a.org/"])
def test_an_address_that_is_none_is_refused_before_anything_is_asked(client: Client, base_url: str) -> None:
    with pytest.raises((ConfigError, UnsafeData)) as caught:
        HttpRepository("web", base_url, client)
    assert "me:pw" not in str(caught.value)


@pytest.mark.parametrize("answer", [400, 405, 501])
def test_a_server_without_webdav_can_be_read_only(server: WebServer, client: Client, answer: int) -> None:
    server.faults["/data/"] = [status(answer)]
    with pytest.raises(ReadOnlyRepository, match="onelight index FOLDER"):
        HttpRepository("web", f"{server.url}/data", client).stored()
    assert {request.method for request in server.requests} <= {"GET", "PROPFIND"}


def test_a_server_that_answers_every_method_with_the_file_can_be_read_only(server: WebServer, client: Client) -> None:
    page = [lambda exchange: exchange.answer(200, b"<html>a page</html>")]
    server.faults.update({f"/data/{name}": page for name in ("", ".one_root.lock", "lab/")})
    with pytest.raises(ReadOnlyRepository):
        HttpRepository("web", f"{server.url}/data", client).stored()


def test_an_empty_file_of_the_index_needs_no_server(server: WebServer, client: Client) -> None:
    server.files[ROOT] = f"{TIMES}\tdata:,\n".encode()
    repository = HttpRepository("web", f"{server.url}/data", client)
    entry = repository.refresh()[TIMES]
    assert (entry.size, repository.source(entry)) == (0, Inline())


@pytest.mark.parametrize("key", ["password", "pwd"])
def test_settings_make_it(client: Client, key: str) -> None:
    options = {"base_url": "https://example.org/data/", "login": "me", key: CANARY}
    repository = open_repository(Settings("web", "http", options), client)
    assert repository.address == "https://example.org/data"
    [route] = repository.source(Entry(TIMES, "https://example.org/data/x"))
    assert route.credential is not None
    assert route.credential.header
    with pytest.raises(ConfigError, match="base_url"):
        open_repository(Settings("web", "http", {}), client)


def test_a_hundred_thousand_rows_are_read_in_good_time(server: WebServer, client: Client) -> None:
    rows = (f"lab/Subjects/s{number // 1000}/2020-01-01/001/alf/a{number}.b.npy\n" for number in range(100_000))
    server.files[ROOT] = "".join(rows).encode()
    begun = time.monotonic()
    assert len(HttpRepository("web", f"{server.url}/data", client).refresh()) == 100_000
    assert time.monotonic() - begun < 10
