"""The HTTP client: who sees a secret, what is tried again, and what every kind of bad answer becomes."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import servers
from servers import Gate, Good, WebServer, cut, hangs_up, redirect, silence, status

from onelight.client import Client, FilePart, Limits, Response, engine, job, retry_after
from onelight.errors import (
    AccessDenied,
    Interrupted,
    NotFound,
    OneError,
    QuotaExceeded,
    RateLimited,
    RepositoryError,
    TransferError,
    Unreachable,
    UnsafeData,
)
from onelight.route import Credential, Route, origin_of

CANARY = "canary-3f9a1c"
QUICK = Limits(connect=5, idle=1, attempts=4, pause=0.01, longest_wait=5)
MANY = os.urandom(5_000_000)  # more than every buffer on the way


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        running.files["/hello"] = b'{"hello": 1}'
        yield running


@pytest.fixture
def other() -> Iterator[WebServer]:
    with WebServer() as running:
        running.files["/hello"] = b'{"hello": 2}'
        yield running


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=QUICK) as running:
        yield running


class Kept:
    """A sink that keeps what comes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.status = 0

    def begin(self, response: Response) -> None:
        self.status = response.status

    def write(self, blocks: list[bytes]) -> None:
        self.data += b"".join(blocks)


def header_secret(url: str) -> Credential:
    return Credential(origin_of(url), header=f"token {CANARY}")


def query_secret(url: str) -> Credential:
    return Credential(origin_of(url), query=f"token={CANARY}")


def shown(error: BaseException) -> str:
    """Return everything that anybody could print of an error, its causes and their attributes included."""
    chain, link = [], error
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    said = [f"{one} {one!r} {getattr(one, 'hint', '')} {vars(one)}" for one in chain]
    return "\n".join([*said, *traceback.format_exception(error)])


# Asking


def test_an_answer_has_status_headers_and_body(server: WebServer, client: Client) -> None:
    answer = client.request("GET", f"{server.url}/hello")
    assert (answer.status, answer.json(), answer.size) == (200, {"hello": 1}, 12)
    assert answer.headers["etag"]


def test_a_request_says_who_asks_and_wants_bytes_as_they_are(server: WebServer, client: Client) -> None:
    client.request("GET", f"{server.url}/hello")
    sent = server.requests[0].headers
    assert sent["user-agent"].startswith("onelight/")
    assert sent["accept-encoding"] == "identity"
    assert "expect" not in sent


def test_one_connection_serves_many_requests(server: WebServer, client: Client) -> None:
    for _ in range(20):
        client.request("GET", f"{server.url}/hello")
    assert server.connections == 1


def test_post_put_and_delete_carry_their_bodies(server: WebServer, client: Client) -> None:
    for method, body in (("POST", b"a"), ("PUT", b"b" * 300_000), ("DELETE", None), ("POST", None)):
        client.request(method, f"{server.url}/hello", body=body)
    assert [(seen.method, seen.body) for seen in server.requests] == [
        ("POST", b"a"),
        ("PUT", b"b" * 300_000),
        ("DELETE", b""),
        ("POST", b""),
    ]


def test_an_unchanged_answer_is_304(server: WebServer, client: Client) -> None:
    etag = client.request("HEAD", f"{server.url}/hello").headers["etag"]
    answer = client.request("GET", f"{server.url}/hello", headers={"If-None-Match": etag})
    assert (answer.status, answer.body) == (304, b"")


def test_many_threads_ask_at_once(server: WebServer) -> None:
    contents = {f"/{number}": os.urandom(20_000) for number in range(40)}
    server.files.update(contents)

    def ask(path: str) -> bool:
        return all(client.request("GET", server.url + path).body == contents[path] for _ in range(5))

    with Client(connections=8, limits=QUICK) as client, ThreadPoolExecutor(40) as pool:
        assert all(pool.map(ask, contents))
    assert len(server.requests) == 200
    assert server.busiest <= 8


def test_where_each_request_takes_long_more_of_them_are_under_way(server: WebServer, client: Client) -> None:
    server.faults["/hello"] = [servers.slowly(0.05)]
    with ThreadPoolExecutor(40) as pool:
        list(pool.map(lambda _: client.request("GET", f"{server.url}/hello"), range(300)))
    assert server.busiest > 16


def test_a_server_that_refuses_is_asked_by_fewer(server: WebServer) -> None:
    counted = servers.AtOnce(servers.slowly(0.02))
    server.faults["/hello"] = [servers.status(429, b"", **{"Retry-After": 0})] * 8 + [counted]
    with Client(limits=QUICK) as client, ThreadPoolExecutor(40) as pool:
        list(pool.map(lambda _: client.request("GET", f"{server.url}/hello"), range(8)))
        counted.most = 0
        list(pool.map(lambda _: client.request("GET", f"{server.url}/hello"), range(100)))
    assert 1 <= counted.most <= 4


def test_waiting_for_a_free_connection_is_no_time_out(server: WebServer) -> None:
    server.faults["/hello"] = [servers.slowly(0.8)]
    with (
        Client(connections=1, limits=Limits(connect=0.5, idle=1, attempts=1)) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        answers = pool.map(lambda _: client.request("GET", f"{server.url}/hello").status, range(4))
        assert list(answers) == [200] * 4


def test_a_client_that_is_dropped_leaves_no_thread_and_no_connection(server: WebServer) -> None:
    before = threading.active_count()
    with Client(limits=QUICK) as kept:
        kept.request("GET", f"{server.url}/hello")
    dropped = Client(limits=QUICK)
    dropped.request("GET", f"{server.url}/hello")
    del dropped
    gc.collect()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


# Secrets


@pytest.mark.parametrize("secret", [header_secret, query_secret])
@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
def test_a_secret_does_not_follow_a_redirect_to_another_origin(
    server: WebServer, other: WebServer, client: Client, secret: Callable[[str], Credential], number: int
) -> None:
    """Row N27."""
    server.faults["/hello"] = [redirect(f"{other.url}/hello", number)]
    assert client.request("GET", f"{server.url}/hello", credential=secret(server.url)).json() == {"hello": 2}
    assert CANARY in str(server.requests[0])
    assert CANARY not in str(other.requests)
    assert not {"authorization", "cookie", "referer", "proxy-authorization"} & set(other.requests[0].headers)


@pytest.mark.parametrize("secret", [header_secret, query_secret])
def test_a_secret_follows_a_redirect_within_its_origin(
    server: WebServer, client: Client, secret: Callable[[str], Credential]
) -> None:
    server.faults["/start"] = [redirect("/hello?a=1")]
    client.request("GET", f"{server.url}/start", credential=secret(server.url))
    assert [CANARY in str(seen) for seen in server.requests] == [True, True]
    assert server.requests[1].target.startswith("/hello?a=1")


def test_a_secret_of_another_origin_is_not_sent(server: WebServer, other: WebServer, client: Client) -> None:
    client.request("GET", f"{server.url}/hello", credential=header_secret(other.url))
    sink = Kept()
    client.stream(Route(f"{server.url}/hello", query_secret(other.url)), sink)
    assert sink.data == b'{"hello": 1}'
    assert CANARY not in str(server.requests)


def test_a_secret_comes_back_to_its_origin_through_another(server: WebServer, other: WebServer, client: Client) -> None:
    """Row N27."""
    server.faults["/start"] = [redirect(f"{other.url}/there")]
    other.faults["/there"] = [redirect(f"{server.url}/hello")]
    client.request("GET", f"{server.url}/start", credential=header_secret(server.url))
    assert [CANARY in str(seen) for seen in server.requests] == [True, True]
    assert CANARY not in str(other.requests)


@pytest.mark.parametrize("origin", ["http://example.org", "http://10.0.0.1:80", "http://figshare.com", "ftp://a.org"])
@pytest.mark.parametrize("secret", [header_secret, query_secret])
def test_a_secret_is_refused_where_it_would_travel_in_the_clear(
    origin: str, secret: Callable[[str], Credential]
) -> None:
    with pytest.raises(UnsafeData, match="without encryption") as caught:
        secret(origin)
    assert CANARY not in shown(caught.value)


@pytest.mark.parametrize("origin", ["https://example.org", "http://127.0.0.1:8000", "http://localhost", "http://[::1]"])
def test_a_secret_may_travel_encrypted_or_within_this_machine(origin: str) -> None:
    assert header_secret(origin).header


@pytest.mark.parametrize("secret", [header_secret, query_secret])
def test_a_secret_stands_in_no_error_and_no_repr(
    server: WebServer, client: Client, secret: Callable[[str], Credential]
) -> None:
    faults = {
        **{str(number): [status(number, b"sorry")] for number in (400, 401, 403, 404, 410, 413, 418, 429, 500, 503)},
        "later": [status(503, Retry_After=1000)],
        "loop": [redirect("/loop?x=1")],
        "file": [redirect("file:///etc/passwd")],
        "none": [hangs_up],
        "cut": [cut(3)],
        "silence": [silence],
        "202": [servers.challenge],
    }
    server.faults.update({f"/{name}": fault for name, fault in faults.items()})
    server.files["/cut"] = b"more than three"
    places = [(f"{server.url}/{name}", secret(server.url)) for name in faults]
    places.append((nowhere := f"http://127.0.0.1:{servers.free_port()}/x", secret(nowhere)))
    places.append((f"{server.url}/hello\x01", secret(server.url)))
    brisk = Client(limits=Limits(connect=2, idle=1, attempts=1))
    with brisk:
        for url, credential in places:
            route = Route(url, credential)
            for action in (
                lambda route=route: brisk.stream(route, Kept()),
                lambda route=route: brisk.request("GET", route.url, credential=route.credential).json(),
                lambda route=route: brisk.spool(route, 100),
            ):
                with pytest.raises(OneError) as caught:
                    action()
                assert CANARY not in shown(caught.value), url
            assert CANARY not in f"{credential!r} {credential} {route!r}"
    assert CANARY in str(server.requests), "the server must have seen it, or this test proves nothing"
    assert CANARY not in repr(client.request("GET", f"{server.url}/hello", credential=secret(server.url)))


def test_a_netrc_file_is_not_read(
    server: WebServer, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login me password {CANARY}\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    client.request("GET", f"{server.url}/hello")
    assert "authorization" not in server.requests[0].headers


def test_what_is_on_this_machine_is_not_asked_through_a_proxy(
    server: WebServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{servers.free_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{servers.free_port()}")
    assert client.request("GET", f"{server.url}/hello").status == 200


# Trying again


@pytest.mark.parametrize("number", [408, 409, 423, 425, 429, 500, 502, 503, 504, 522, 524])
def test_what_passes_is_asked_again(server: WebServer, client: Client, number: int) -> None:
    """Row N18."""
    server.faults["/hello"] = [status(number), status(number), Good]
    assert client.request("GET", f"{server.url}/hello").status == 200
    assert len(server.requests) == 3


@pytest.mark.parametrize("number", [400, 401, 403, 404, 405, 410, 413, 422, 451, 501, 507])
def test_what_does_not_pass_is_asked_once(server: WebServer, client: Client, number: int) -> None:
    """Row N19."""
    server.faults["/hello"] = [status(number)]
    with pytest.raises(OneError):
        client.request("GET", f"{server.url}/hello")
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", [status(500), hangs_up, cut(3), servers.breaks_while_sent])
def test_the_number_of_tries_is_bounded(server: WebServer, client: Client, fault: servers.Fault) -> None:
    server.faults["/hello"] = [fault]
    with pytest.raises(Unreachable) as caught:
        client.request("GET", f"{server.url}/hello")
    assert caught.value.hint
    assert 4 <= len(server.requests) <= 8  # libcurl itself asks again when a kept connection turns out to be dead


@pytest.mark.parametrize("fault", [hangs_up, cut(3), cut(3, reset=True), servers.breaks_while_sent])
def test_a_lost_connection_is_no_failure(server: WebServer, client: Client, fault: servers.Fault) -> None:
    server.faults["/hello"] = [fault, Good]
    assert client.request("GET", f"{server.url}/hello").json() == {"hello": 1}


@pytest.mark.parametrize("number", [429, 503])
def test_retry_after_in_seconds_is_waited_for(server: WebServer, client: Client, number: int) -> None:
    """Row N17."""
    server.faults["/hello"] = [status(number, Retry_After=1), Good]
    begun = time.monotonic()
    assert client.request("GET", f"{server.url}/hello").status == 200
    assert 1 <= time.monotonic() - begun < 3


def test_retry_after_as_a_date_is_measured_by_the_clock_of_the_server(server: WebServer, client: Client) -> None:
    """Row N17."""
    long_ago = 1_000_000_000
    headers = {"Date": servers.formatted_date(long_ago), "Retry-After": servers.formatted_date(long_ago + 1)}
    server.faults["/hello"] = [status(503, **headers), Good]
    begun = time.monotonic()
    assert client.request("GET", f"{server.url}/hello").status == 200
    assert 1 <= time.monotonic() - begun < 3


@pytest.mark.parametrize("asked", ["6", "86400", servers.formatted_date(4_000_000_000), "9" * 400])
def test_a_server_that_asks_for_too_much_patience_ends_the_command(
    server: WebServer, client: Client, asked: str
) -> None:
    """Row N17."""
    server.faults["/hello"] = [status(429, b'{"message": "slow down"}', Retry_After=asked)]
    begun = time.monotonic()
    with pytest.raises(RateLimited, match="slow down") as caught:
        client.request("GET", f"{server.url}/hello")
    assert time.monotonic() - begun < 1
    assert caught.value.retry_after >= 6
    assert "Come back" in caught.value.hint
    assert len(server.requests) == 1


@pytest.mark.parametrize("asked", ["soon", "-3", "", "1.5e9 s", servers.formatted_date(0)])
def test_a_retry_after_without_sense_is_passed_over(server: WebServer, client: Client, asked: str) -> None:
    """Row N17."""
    server.faults["/hello"] = [status(503, Retry_After=asked), Good]
    begun = time.monotonic()
    assert client.request("GET", f"{server.url}/hello").status == 200
    assert time.monotonic() - begun < 2


def test_a_date_in_the_past_asks_for_no_wait() -> None:
    assert retry_after({"retry-after": servers.formatted_date(5), "date": servers.formatted_date(10)}) == 0


@pytest.mark.parametrize("fault", [hangs_up, status(500), status(502), silence])
def test_a_post_that_may_have_arrived_is_not_sent_again(
    server: WebServer, client: Client, fault: servers.Fault
) -> None:
    server.faults["/hello"] = [fault, Good]
    with pytest.raises(Unreachable):
        client.request("POST", f"{server.url}/hello", body=b"one more file")
    assert len(server.requests) == 1


def test_a_post_that_was_refused_for_now_is_sent_again(server: WebServer, client: Client) -> None:
    server.faults["/hello"] = [status(503, Retry_After=0), Good]
    client.request("POST", f"{server.url}/hello", body=b"one more file")
    assert len(server.requests) == 2


def test_a_post_that_found_nobody_is_sent_again(client: Client) -> None:
    port = servers.free_port()
    heard = []

    def answer_late() -> None:
        time.sleep(0.05)
        with socket.create_server(("127.0.0.1", port)) as listener:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    thread = threading.Thread(target=answer_late)
    thread.start()
    with Client(limits=Limits(pause=0.2)) as patient:
        assert patient.request("POST", f"http://127.0.0.1:{port}/", body=b"one").status == 200
    thread.join()
    assert heard[0].startswith(b"POST /")


def test_a_post_may_be_declared_repeatable(server: WebServer, client: Client) -> None:
    server.faults["/hello"] = [hangs_up, Good]
    assert client.request("POST", f"{server.url}/hello", repeat=True).status == 200


# Nobody there


def test_a_refused_connection_is_unreachable_and_named(client: Client) -> None:
    """Row N24."""
    port = servers.free_port()
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}.*nobody answers") as caught:
        client.request("GET", f"http://127.0.0.1:{port}/x?secret={CANARY}")
    assert CANARY not in shown(caught.value)


def test_an_unknown_name_is_unreachable_and_named(client: Client) -> None:
    """Row N24."""
    with pytest.raises(Unreachable, match=r"nowhere\.invalid.*name is unknown"):
        client.request("GET", "https://nowhere.invalid/x")


def test_a_server_that_falls_silent_is_unreachable(server: WebServer) -> None:
    """Row N23."""
    server.files["/many"] = MANY
    server.faults["/hello"], server.faults["/many"] = [silence], [servers.stall(1_000_000)]
    with Client(limits=Limits(idle=1, attempts=1)) as client:
        for path in ("/hello", "/many"):
            begun = time.monotonic()
            with pytest.raises(Unreachable, match="stopped answering"):
                client.request("GET", server.url + path)
            assert time.monotonic() - begun < 12  # libcurl takes the mean of the last seconds


def test_what_is_not_http_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, Client(limits=Limits(attempts=1, idle=2)) as client:

        def talk() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"220 smtp.example.org ready\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises(Unreachable):
            client.request("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()


@pytest.mark.parametrize("url", ["ftp://example.org/x", "file:///etc/passwd", "gopher://a/", "", "http://"])
def test_an_address_that_is_not_http_is_refused(client: Client, url: str) -> None:
    with pytest.raises(OneError) as caught:
        client.request("GET", url)
    assert isinstance(caught.value, UnsafeData)


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(client: Client) -> None:
    """Row N25."""
    with WebServer(tls=True) as server:
        server.files["/hello"] = b"{}"
        begun = time.monotonic()
        with pytest.raises(Unreachable, match="cannot be trusted") as caught:
            client.request("GET", f"{server.url}/hello")
        assert "SSL_CERT_FILE" in caught.value.hint
        assert (server.requests, server.connections) == ([], 1)
        assert time.monotonic() - begun < 2


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A server that speaks https, whose certificate the environment vouches for."""
    (tmp_path / "ca.pem").write_text(servers.CERTIFICATE)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    engine._certificates.cache_clear()
    with WebServer(tls=True) as running:
        running.files["/hello"] = b'{"hello": 3}'
        yield running
    engine._certificates.cache_clear()


def test_a_certificate_that_the_environment_vouches_for_is_taken(trusted: WebServer, client: Client) -> None:
    credential = header_secret(trusted.url)
    assert client.request("GET", f"{trusted.url}/hello", credential=credential).json() == {"hello": 3}
    assert CANARY in str(trusted.requests)


# Redirects


def test_a_redirect_from_https_to_http_is_refused(trusted: WebServer, other: WebServer, client: Client) -> None:
    """Row N26."""
    trusted.faults["/hello"] = [redirect(f"{other.url}/hello")]
    with pytest.raises(UnsafeData, match="without encryption"):
        client.request("GET", f"{trusted.url}/hello", credential=header_secret(trusted.url))
    assert other.requests == []


def test_a_redirect_from_http_to_https_is_followed(trusted: WebServer, other: WebServer, client: Client) -> None:
    other.faults["/hello"] = [redirect(f"{trusted.url}/hello")]
    assert client.request("GET", f"{other.url}/hello").json() == {"hello": 3}


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://example.org/x",
        "data:,hello",
        "gopher://127.0.0.1/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://me:secret@127.0.0.1/",
        "https:///nohost",
    ],
)
def test_a_redirect_to_a_place_that_is_no_data_is_refused(server: WebServer, client: Client, target: str) -> None:
    """Row N26."""
    server.faults["/hello"] = [redirect(target)]
    with pytest.raises(UnsafeData):
        client.request("GET", f"{server.url}/hello")
    with pytest.raises(UnsafeData):
        client.stream(Route(f"{server.url}/hello"), Kept())
    assert len(server.requests) == 2


def test_a_redirect_loop_ends(server: WebServer, client: Client) -> None:
    """Row N26."""
    server.faults["/a"], server.faults["/b"] = [redirect("/b")], [redirect("/a")]
    with pytest.raises(UnsafeData, match="more than 10 times"):
        client.request("GET", f"{server.url}/a")
    assert len(server.requests) == 11


def test_ten_redirects_are_followed(server: WebServer, client: Client) -> None:
    """Row N26."""
    for number in range(10):
        server.faults[f"/{number}"] = [redirect(f"./{number + 1}" if number < 9 else "/hello")]
    assert client.request("GET", f"{server.url}/0").json() == {"hello": 1}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_changes_something_follows_no_redirect_and_is_no_success(
    server: WebServer, other: WebServer, client: Client, method: str
) -> None:
    server.faults["/hello"] = [redirect(f"{other.url}/hello", 307)]
    with pytest.raises(RepositoryError, match="307"):
        client.request(method, f"{server.url}/hello", body=b"mine", credential=header_secret(server.url))
    assert other.requests == []


# What a server says of an error


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (400, RepositoryError),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, NotFound),
        (410, NotFound),
        (413, QuotaExceeded),
        (507, QuotaExceeded),
        (422, RepositoryError),
        (429, Unreachable),
        (500, Unreachable),
    ],
)
def test_a_status_becomes_the_error_that_it_means(server: WebServer, number: int, error: type[OneError]) -> None:
    server.faults["/hello"] = [status(number)]
    with Client(limits=Limits(attempts=1)) as client, pytest.raises(error) as caught:
        client.request("GET", f"{server.url}/hello?key=1")
    assert str(number) in caught.value.message
    assert "127.0.0.1" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("number", "page", "hint"),
    [
        (400, b"<html><head><title>400 No required SSL certificate was sent</title>", "--certificate FILE"),
        (407, b"who are you?", "http_proxy"),
    ],
)
def test_whoever_wants_more_than_a_password_says_so(server: WebServer, number: int, page: bytes, hint: str) -> None:
    server.faults["/hello"] = [lambda exchange: exchange.answer(number, page)]
    with Client(limits=Limits(attempts=1)) as client, pytest.raises(AccessDenied) as caught:
        client.request("GET", f"{server.url}/hello")
    assert hint in caught.value.hint


def test_an_answer_that_was_asked_for_is_no_error(server: WebServer) -> None:
    server.faults["/hello"] = [status(409)]
    with Client(limits=Limits(attempts=1)) as client:
        assert client.request("MKCOL", f"{server.url}/hello", answers={409}).status == 409
        with pytest.raises(Unreachable):
            client.request("MKCOL", f"{server.url}/hello")


def test_an_answer_may_be_no_longer_than_is_said(server: WebServer) -> None:
    server.files["/hello"] = bytes(5000)
    with Client(limits=Limits(attempts=1)) as client:
        assert len(client.request("GET", f"{server.url}/hello", limit=5000).body) == 5000
        with pytest.raises(UnsafeData):
            client.request("GET", f"{server.url}/hello", limit=4999)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            b'{"message": "size: empty files are not allowed", "code": "BadRequest"}',
            "size: empty files are not allowed",
        ),
        (b'{"code": "EntityNotFound"}', "EntityNotFound"),
        (b'{"message": {"deep": "text"}}', "deep"),
        (b'{"message": ', ""),
        (b"[1, 2]", "[1, 2]"),
        (b"[" * 60_000, "["),
        (b'{"a":' * 60_000, "{"),
        (b"<html><head><title> 403 Forbidden </title></head><body>nginx</body></html>", "403 Forbidden"),
        (b'<?xml version="1.0"?><Error><Code>X</Code><Message>Request has expired</Message></Error>', "has expired"),
        (b"<html>no title</html>", ""),
        (b"plain words\nand more", "plain words"),
        (b"", ""),
        (b"\xff\xfe not utf-8", "not utf-8"),
        ("öäü".encode(), "öäü"),
        (b"x" * 3_000_000, "xxx"),
    ],
)
def test_the_words_of_the_server_are_told_in_one_line(
    server: WebServer, client: Client, body: bytes, said: str
) -> None:
    server.faults["/hello"] = [status(400, body)]
    with pytest.raises(RepositoryError) as caught:
        client.request("GET", f"{server.url}/hello")
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 700


def test_the_words_of_the_server_cannot_play_with_the_terminal(server: WebServer, client: Client) -> None:
    server.faults["/hello"] = [status(400, b'{"message": "\\u001b[2Jgone\\u0007 \\u202etxt"}')]
    with pytest.raises(RepositoryError) as caught:
        client.request("GET", f"{server.url}/hello")
    assert caught.value.message.isprintable()
    assert "gone" in caught.value.message


@pytest.mark.parametrize("body", [b"<html>maintenance</html>", b"", b"[" * 100_000])
def test_an_answer_that_should_be_json_and_is_not_is_an_error(server: WebServer, client: Client, body: bytes) -> None:
    server.files["/page"] = body
    with pytest.raises(RepositoryError, match="not JSON"):
        client.request("GET", f"{server.url}/page").json()


def test_an_answer_without_end_is_refused(server: WebServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "MAX_BODY", 1_000_000)
    server.faults["/hello"] = [servers.endless]
    with pytest.raises(UnsafeData, match="1,000,000 bytes"):
        client.request("GET", f"{server.url}/hello")


# Streams


def test_a_stream_brings_every_byte_once(server: WebServer, client: Client) -> None:
    server.files["/many"] = MANY
    sink = Kept()
    client.stream(Route(f"{server.url}/many"), sink)
    assert (sink.status, bytes(sink.data)) == (200, MANY)


@pytest.mark.parametrize(
    "fault", [servers.challenge, status(204), status(203, b"x" * 10), status(300), status(201, b"x")]
)
def test_only_200_and_206_are_data(server: WebServer, client: Client, fault: servers.Fault) -> None:
    """Row N20."""
    server.faults["/hello"] = [fault]
    sink = Kept()
    with pytest.raises((TransferError, Unreachable), match="without data"):
        client.stream(Route(f"{server.url}/hello"), sink)
    assert sink.data == b""


def test_a_firewall_that_answers_with_nothing_is_called_what_it_is(server: WebServer, client: Client) -> None:
    """Row N20."""
    server.faults["/hello"] = [servers.challenge]
    with pytest.raises(Unreachable, match="firewall's challenge"):
        client.stream(Route(f"{server.url}/hello"), Kept())


def test_an_error_of_the_sink_stops_the_stream_and_comes_back_as_it_is(server: WebServer, client: Client) -> None:
    server.files["/many"] = MANY

    class Full(Kept):
        def write(self, blocks: list[bytes]) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.stream(Route(f"{server.url}/many"), Full())
    assert client.request("GET", f"{server.url}/hello").json() == {"hello": 1}


def test_a_connection_that_was_left_half_way_is_not_used_again(server: WebServer, client: Client) -> None:
    """Row N28."""
    server.files["/many"] = MANY

    class Enough(Kept):
        def write(self, blocks: list[bytes]) -> None:
            raise Interrupted("enough")

    for _ in range(5):
        with pytest.raises(Interrupted):
            client.stream(Route(f"{server.url}/many"), Enough())
        assert client.request("GET", f"{server.url}/hello").json() == {"hello": 1}


def test_a_spool_gives_the_whole_content_and_the_headers(server: WebServer, client: Client) -> None:
    server.files["/many"] = MANY * 2  # more than is kept in memory
    server.faults["/many"] = [cut(2_000_000), status(503), Good]
    stream, headers = client.spool(Route(f"{server.url}/many"), 20_000_000)
    with stream:
        assert stream.read() == MANY * 2
    assert headers["content-length"] == "10000000"


@pytest.mark.parametrize("fault", [Good, servers.without_length(), servers.endless])
def test_a_spool_has_a_limit(server: WebServer, client: Client, fault: servers.Fault) -> None:
    server.files["/many"] = MANY
    server.faults["/many"] = [fault]
    with pytest.raises(UnsafeData, match="index"):
        client.spool(Route(f"{server.url}/many"), 1_000_000)


@pytest.mark.parametrize("fault", [servers.challenge, status(416), servers.wrong_range(3), status(204)])
def test_a_spool_takes_nothing_but_the_whole(server: WebServer, client: Client, fault: servers.Fault) -> None:
    server.faults["/hello"] = [fault]
    with pytest.raises((TransferError, RepositoryError)):
        client.spool(Route(f"{server.url}/hello"), 1_000_000)


# Sending files


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(MANY)
    return path


def test_a_part_of_a_file_is_sent_from_the_disk(server: WebServer, client: Client, big: Path) -> None:
    sent = []
    with big.open("rb") as stream:
        part = FilePart(stream, 1_000_001, 3_500_000, lambda data: sent.append(len(data)))
        client.request("PUT", f"{server.url}/upload/1", body=part)
    assert server.requests[0].body == MANY[1_000_001:4_500_001]
    assert sum(sent) == 3_500_000


def test_parts_of_one_file_are_sent_at_the_same_time(server: WebServer, client: Client, big: Path) -> None:
    server.faults.update({f"/{number}": [gate] for gate in [Gate(5)] for number in range(5)})

    def send(number: int) -> None:
        with big.open("rb") as stream:
            client.request("PUT", f"{server.url}/{number}", body=FilePart(stream, number * 1_000_000, 1_000_000))

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(send, range(5)))
    assert b"".join(seen.body for seen in sorted(server.requests, key=lambda seen: seen.target)) == MANY


@pytest.mark.parametrize("fault", [servers.breaks_while_sent, hangs_up, status(502)])
def test_a_part_is_sent_again_from_its_beginning(
    server: WebServer, client: Client, big: Path, fault: servers.Fault
) -> None:
    server.faults["/1"] = [fault, Good]
    with big.open("rb") as stream:
        client.request("PUT", f"{server.url}/1", body=FilePart(stream, 500_000, 4_000_000))
    assert server.requests[-1].body == MANY[500_000:4_500_000]


def test_a_file_that_shrinks_while_it_is_sent_is_an_error_and_not_a_wait(
    server: WebServer, client: Client, big: Path
) -> None:
    with big.open("rb") as stream:
        os.truncate(big, 2_000_000)
        begun = time.monotonic()
        with pytest.raises(TransferError, match="changed while it was sent"):
            client.request("PUT", f"{server.url}/1", body=FilePart(stream, 0, len(MANY)))
    assert time.monotonic() - begun < 3
    assert client.request("GET", f"{server.url}/hello").status == 200
    assert len(server.requests) <= 2, "asking again does not bring the bytes back"


def test_a_file_that_cannot_be_read_any_more_is_an_error_of_the_file(
    server: WebServer, client: Client, big: Path
) -> None:
    class Broken:
        def __init__(self) -> None:
            self.position = 0

        def seek(self, offset: int) -> None:
            self.position = offset

        def tell(self) -> int:
            return self.position

        def read(self, size: int) -> bytes:
            if self.position > 1_000_000:
                raise OSError(5, "Input/output error")
            self.position += size
            return bytes(size)

    with pytest.raises(OSError, match="Input/output error"):
        client.request("PUT", f"{server.url}/1", body=FilePart(Broken(), 0, len(MANY)))


def test_whoever_watches_an_upload_can_stop_it(
    server: WebServer, client: Client, big: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def stop(_: bytes) -> None:
        raise Interrupted("the upload was stopped")

    with big.open("rb") as stream, pytest.raises(Interrupted, match="the upload was stopped"):
        client.request("PUT", f"{server.url}/1", body=FilePart(stream, 0, len(MANY), stop))
    assert "Traceback" not in capfd.readouterr().err
    assert len(server.requests) <= 1


# Stopping


def test_closing_ends_what_is_under_way(server: WebServer, client: Client) -> None:
    server.faults["/silent"] = [silence]
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(client.request, "GET", f"{server.url}/silent") for _ in range(3)]
        deadline = time.monotonic() + 5
        while len(server.requests) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        begun = time.monotonic()
        client.close()
        for one in waiting:
            with pytest.raises(Interrupted):
                one.result(5)
    assert time.monotonic() - begun < 0.9
    assert client.request("GET", f"{server.url}/hello").status == 200, "a closed client opens again"


def test_closing_ends_a_pause_before_the_next_try(server: WebServer) -> None:
    server.faults["/hello"] = [status(503, Retry_After=30)]
    with Client() as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.request, "GET", f"{server.url}/hello")
        while not server.requests:
            time.sleep(0.01)
        time.sleep(0.2)
        begun = time.monotonic()
        client.close()
        with pytest.raises(Interrupted):
            waiting.result(20)
        assert time.monotonic() - begun < 5


def test_closing_twice_and_unused_is_fine() -> None:
    client = Client()
    client.close()
    client.close()


CTRL_C = """
import sys
from onelight.client import Client
client = Client()
print("ready", flush=True)
try:
    client.request("GET", sys.argv[1])
except KeyboardInterrupt:
    client.close()
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("fault", [silence, status(503, Retry_After=30)])
def test_ctrl_c_ends_a_request_at_once(server: WebServer, fault: servers.Fault) -> None:
    """Row L4."""
    server.faults["/hello"] = [fault]
    with subprocess.Popen(
        [sys.executable, "-c", CTRL_C, f"{server.url}/hello"], stdout=subprocess.PIPE, text=True
    ) as process:
        while not server.requests:
            time.sleep(0.01)
        time.sleep(0.2)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert out.split() == ["ready", "interrupted"]
    assert time.monotonic() - begun < 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_connections_of_its_own(server: WebServer, client: Client) -> None:
    """Row L14."""
    client.request("GET", f"{server.url}/hello")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork in a process with threads
        child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            code = 0 if client.request("GET", f"{server.url}/hello").json() == {"hello": 1} else 2
        os._exit(code)
    deadline = time.monotonic() + 20
    while True:
        done, result = os.waitpid(child, os.WNOHANG)
        if done or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    if not done:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert (done, os.waitstatus_to_exitcode(result)) == (child, 0)
    assert client.request("GET", f"{server.url}/hello").json() == {"hello": 1}
    peers = [seen.peer for seen in server.requests]
    assert peers[0] == peers[2] != peers[1]


def test_one_who_was_asked_for_patience_makes_the_others_wait_too(server: WebServer, client: Client) -> None:
    """Row N17."""
    server.files["/busy"], server.faults["/busy"] = b"x", [servers.status(429, b"", **{"Retry-After": 1}), servers.Good]
    server.files["/other"] = b"y"
    begun = time.monotonic()
    first = threading.Thread(target=client.request, args=("GET", server.url + "/busy"))
    first.start()
    while not server.requests:
        time.sleep(0.01)
    time.sleep(0.1)
    client.request("GET", server.url + "/other")
    assert time.monotonic() - begun >= 1
    first.join()


def test_the_limit_of_all_time_counts_the_repetitions_too(server: WebServer) -> None:
    server.faults["/hello"] = [silence]
    begun = time.monotonic()
    with (
        Client(limits=Limits(idle=30, total=0.6, attempts=50, pause=0.01)) as client,
        pytest.raises(Unreachable),
    ):
        client.request("GET", f"{server.url}/hello")
    assert 0.5 < time.monotonic() - begun < 1.5
    server.faults["/hello"] = [servers.status(500)]
    begun = time.monotonic()
    with Client(limits=Limits(total=0.5, attempts=1000, pause=0.05)) as client, pytest.raises(Unreachable):
        client.request("GET", f"{server.url}/hello")
    assert 0.4 < time.monotonic() - begun < 2.5
