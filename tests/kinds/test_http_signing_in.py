"""Who signs in to a web server, with what, and who else sees it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import servers
from contract import ELSEWHERE, SESSION, TIMES
from servers import Good, WebServer, redirect

from onelight.api import One, write_index
from onelight.client import Client, engine
from onelight.config import Settings, hide_secrets
from onelight.errors import AccessDenied, ConfigError, UnsafeData
from onelight.index import INDEX_NAME
from onelight.kinds import open_repository
from onelight.kinds.http import HttpRepository
from onelight.repository import Repository
from onelight.route import Route
from onelight.serving import Server

CANARY = "canary-9c3d.aZ_~+/="
ROOT = f"/data/{INDEX_NAME}"
BEARER = f"Bearer {CANARY}"


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(f'{login}:{CANARY}'.encode()).decode()}"


@pytest.fixture
def pem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A certificate with its key in one file, which is that of the server, too; the environment vouches for it."""
    (tmp_path / "ca.pem").write_text(servers.CERTIFICATE)
    (tmp_path / "me.pem").write_text(servers.CERTIFICATE + servers.PRIVATE_KEY)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    engine._certificates.cache_clear()
    yield tmp_path / "me.pem"
    engine._certificates.cache_clear()


@pytest.fixture
def server(pem: Path) -> Iterator[WebServer]:
    with WebServer(tls=True) as running:
        fill(running)
        yield running


def fill(server: WebServer) -> None:
    server.files[f"/data/{TIMES}"] = b"spikes"
    server.files[ROOT] = f"{TIMES}\n".encode()


def opened(server: WebServer, client: Client, **options: object) -> Repository:
    return open_repository(Settings("lab", "http", {"base_url": f"{server.url}/data", **options}), client)


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"token": CANARY}, BEARER),
        ({"token": CANARY, "login": "", "password": ""}, BEARER),
        ({"token": CANARY, "password": "another"}, BEARER),
        ({"token": CANARY, "login": "me"}, basic("me")),
        ({"login": "me", "password": CANARY}, basic("me")),
        ({"login": "me", "pwd": CANARY}, basic("me")),
        ({"password": CANARY}, basic("")),
    ],
)
def test_a_token_without_a_name_is_a_bearer_token_and_with_one_a_password(
    options: dict[str, str], sent: str, server: WebServer, client: Client
) -> None:
    server.password = sent
    repository = opened(server, client, **options)
    index = repository.refresh()
    [route] = repository.source(index[TIMES])  # type: ignore[misc]
    assert isinstance(route, Route)
    assert client.request("GET", route.url, credential=route.credential).body == b"spikes"
    assert [seen.headers["authorization"] for seen in server.requests] == [sent, sent]


def test_without_a_secret_nothing_is_sent(server: WebServer, client: Client) -> None:
    opened(server, client, token="", login="", password="").refresh()
    assert "authorization" not in server.requests[0].headers


def test_no_variable_of_the_environment_is_a_token_for_a_web_server(
    server: WebServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIGSHARE_TOKEN", "HTTP_TOKEN", "ONELIGHT_TOKEN", "TOKEN"):
        monkeypatch.setenv(name, CANARY)
    opened(server, client).refresh()
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("via", ["row", "redirect"])
def test_a_bearer_token_goes_to_its_origin_only(via: str, server: WebServer, client: Client) -> None:
    server.password = BEARER
    with WebServer(tls=True) as other:
        other.files["/there"] = b"there"
        there = f"{other.url}/there" if via == "row" else f"{server.url}/data/{ELSEWHERE}"
        server.files[ROOT] = f"{TIMES}\n{ELSEWHERE}\t{there}\n".encode()
        server.faults[f"/data/{ELSEWHERE}"] = [redirect(f"{other.url}/there")]
        repository = opened(server, client, token=CANARY)
        [route] = repository.source(repository.refresh()[ELSEWHERE])  # type: ignore[misc]
        assert isinstance(route, Route)
        assert client.request("GET", route.url, credential=route.credential).body == b"there"
        [seen] = other.requests
        assert CANARY not in f"{seen.target} {seen.headers}"
        assert "authorization" not in seen.headers


def test_a_bearer_token_does_not_travel_without_encryption(client: Client) -> None:
    with pytest.raises(UnsafeData, match="without encryption") as caught:
        HttpRepository("lab", "http://example.org/data", client, token=CANARY)
    assert CANARY not in str(caught.value)


def test_a_token_that_is_refused_is_not_shown(server: WebServer, client: Client) -> None:
    server.password = "Bearer another"
    repository = opened(server, client, token=CANARY)
    with pytest.raises(AccessDenied) as caught:
        repository.refresh()
    assert CANARY not in str(caught.value)
    assert hide_secrets(f"no, not {CANARY}") == "no, not …"
    for thing in (repository, repository.address, repository.identity, vars(repository)):
        assert CANARY not in f"{thing!r} {thing}"


@pytest.mark.parametrize("token", ["Bearer abc", "a b", "a\tb", "ä"])
def test_a_token_that_cannot_be_one_is_refused_without_being_shown(token: str, client: Client) -> None:
    with pytest.raises(ConfigError) as caught:
        open_repository(Settings("lab", "http", {"base_url": "https://a.org", "token": token}), client)
    assert token not in str(caught.value)


def test_an_index_of_another_token_or_certificate_is_not_asked_about(
    server: WebServer, client: Client, pem: Path
) -> None:
    people: list[dict[str, object]] = [
        {},
        {"token": CANARY},
        {"token": f"{CANARY}x"},
        {"certificate": str(pem)},
        {"certificate": str(pem), "token": CANARY},
    ]
    for one in people:
        repository = opened(server, client, **one)
        index = repository.refresh()
        assert repository.refresh(index) is index
        for other in people:
            if other != one:
                assert opened(server, client, **other).refresh(index) is not index


def test_the_index_of_somebody_with_a_password_is_still_theirs(server: WebServer, client: Client) -> None:
    """As it was before there were tokens, so that what is kept on disks stays in use."""
    named = opened(server, client, login="me", password="first")
    assert named.identity == opened(server, client, login="me", password="second").identity
    import zlib

    whole = zlib.crc32(f"{server.url}/data me".encode())
    assert named.identity == f"http {server.url}/data {whole:08x}"


def test_the_token_of_a_served_folder_is_a_bearer_token(data_root: Path, client: Client) -> None:
    write_index(data_root)
    with Server(data_root, token="canary-of-serve") as near:
        settings = Settings("near", "http", {"base_url": near.url, "token": "canary-of-serve"})
        assert len(open_repository(settings, client).refresh()) > 10


# Certificates


@pytest.fixture
def strict(pem: Path) -> Iterator[WebServer]:
    """A server that answers nobody who shows no certificate."""
    with WebServer(tls=True, vouched=servers.CERTIFICATE) as running:
        fill(running)
        yield running


def test_a_certificate_is_shown_for_the_index_and_for_files(strict: WebServer, client: Client, pem: Path) -> None:
    repository = opened(strict, client, certificate=str(pem))
    [route] = repository.source(repository.refresh()[TIMES])  # type: ignore[misc]
    assert isinstance(route, Route)
    assert client.request("GET", route.url, credential=route.credential).body == b"spikes"
    assert [seen.shown for seen in strict.requests] == ["localhost", "localhost"]


def test_a_certificate_and_a_token_go_together(strict: WebServer, client: Client, pem: Path) -> None:
    strict.password = BEARER
    assert len(opened(strict, client, certificate=str(pem), token=CANARY).refresh()) == 1


def test_without_one_the_server_is_told_to_want_it(strict: WebServer, client: Client) -> None:
    with pytest.raises(AccessDenied, match="wants to see a certificate") as caught:
        opened(strict, client).refresh()
    assert "--certificate FILE" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"certificate": "/nowhere/me.pem"}, "cannot be read"),
        ({"key": "/nowhere/me.key"}, "no certificate"),
        ({"certificate": "ca.pem"}, "no private key"),
    ],
)
def test_what_cannot_be_shown_is_told_before_anybody_is_asked(
    options: dict[str, str],
    said: str,
    strict: WebServer,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        opened(strict, client, **options)
    assert strict.connections == 0


@pytest.mark.parametrize("size", [20, 3_000_000])
def test_whole_downloads_show_it_to_that_server_only(
    size: int,
    strict: WebServer,
    pem: Path,
    tmp_path: Path,
    add_repository: Callable[..., Any],
) -> None:
    """Small files and large ones go different ways through the client."""
    names = [f"spikes.x{number}.npy" for number in range(6)]
    content = bytes(size)
    with WebServer(tls=True, vouched=servers.CERTIFICATE, must_show=False) as far:
        far.files = {f"/far/{name}": content for name in names}
        rows = []
        for number, name in enumerate(names):
            path = f"{SESSION}/alf/{name}"
            strict.files[f"/data/{path}"] = content
            strict.faults[f"/data/{path}"] = [redirect(f"{far.url}/far/{name}") if number % 3 == 0 else Good]
            rows.append(f"{path}\t{far.url}/far/{name}\n" if number % 3 == 1 else f"{path}\n")
        strict.files[ROOT] = "".join(rows).encode()
        add_repository("lab", "http", base_url=f"{strict.url}/data", certificate=str(pem))
        assert [path.read_bytes() for path in One("lab").download(SESSION)] == [content] * 6
        assert {seen.shown for seen in strict.requests} == {"localhost"}
        assert {seen.path for seen in far.requests} == {f"/far/{names[number]}" for number in (0, 1, 3, 4)}
        assert {seen.shown for seen in far.requests} == {""}
