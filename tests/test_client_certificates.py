"""Who is shown a certificate of the user's own, and what the environment says of proxies and authorities."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import servers
from servers import Good, WebServer, redirect

from onelight.client import Client, Limits, Response, Wanted, engine
from onelight.client.certificates import check_certificate
from onelight.errors import AccessDenied, ConfigError, OneError, Unreachable
from onelight.route import Credential, Route, origin_of

CANARY = "canary-61b0"
CHECKOUT = Path(__file__).resolve().parents[1]
BRISK = Limits(connect=5, idle=5, attempts=2, pause=0.01)

# Made for these tests and of no other use: two people who vouch for themselves, good until 2120.
READER = """\
-----BEGIN CERTIFICATE-----
MIIBWDCB/qADAgECAhRrlj2VHtegPzA0b1C0A8TNCZxIOzAKBggqhkjOPQQDAjAR
MQ8wDQYDVQQDDAZyZWFkZXIwIBcNMDAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAw
MDBaMBExDzANBgNVBAMMBnJlYWRlcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA
BLete8+xCq5LhCBozja2c+LJmv/1Fte/u6T5BjP3nLaRTju0KMkyfupCLoLc+JP5
GRyzwUerDsaTzodydRCfvQqjMjAwMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYE
FPoLOl+DJ0vsk/afviFsbc4/eC3eMAoGCCqGSM49BAMCA0kAMEYCIQDXT9LtCaSw
kCYxMReL0GqZUiuKJ3nvS+mOjQwfsyVcPQIhANbozxuWPxdEAj1gXFHjob77pEYd
Lb4zyOFwQ/SNClr2
-----END CERTIFICATE-----
"""
READER_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgeY0ozmuWn7w0PtBJ
qDpbPa9vmT09MLEVtUGUrQDqPQShRANCAAS3rXvPsQquS4QgaM42tnPiyZr/9RbX
v7uk+QYz95y2kU47tCjJMn7qQi6C3PiT+Rkcs8FHqw7Gk86HcnUQn70K
-----END PRIVATE KEY-----
"""
# The same key behind the password "locked", in the two forms that there are.
LOCKED_KEYS = (
    """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiKMLOq1/uNMAICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEI7HsvX/uP7vki208Zd4Sd4EgZDQ
r+xQBfeRVZtGK36aZ3iYgTl1lKvzTdR1g5S5zhHCs7dOEZWqLLlQop6YRMlMJWh9
CcFRpqpO/l1JkICX1NNpFb95JBiJGLzH5Bixn9Uxoatnx4FOE4AtV8WmH6FTdd1t
TShkkUv+xaA0NCK0S6keG5Y/2uKR1tnrvHUmUe8csXmaSWEoJyg4wLzaenY+HGQ=
-----END ENCRYPTED PRIVATE KEY-----
""",
    """\
-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-256-CBC,ABDB273BEBB2B6F68A8585313CB9E53B

i93xWU9+CKgc1bjvcGVycBmns9S3aUqM1wgww6wL49qcLsEEJQVeeVkk/DjAS+Om
wxyWbGjzaEm0UA3vol1VV0nGntTXnB71XVw1OACcqZHv5hOC82JAV6QFDWfddbNB
rQkjKGGCMTTf6fRybRjj0Vrv5Z6GSPqQbfT9h6XrWUk=
-----END EC PRIVATE KEY-----
""",
)
GUEST = """\
-----BEGIN CERTIFICATE-----
MIIBVjCB/KADAgECAhRLE5IImYucye7d/6Zwi6TxjTjN3DAKBggqhkjOPQQDAjAQ
MQ4wDAYDVQQDDAVndWVzdDAgFw0wMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAw
MFowEDEOMAwGA1UEAwwFZ3Vlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQM
ojpvBJ03tVABTQcuvWMVgbaMit4xBbmJvR1Nr0lqSdELFQJFN1NAqZ26IAvoNrpe
qv3JoRWoh6E5PHxUWrsKozIwMDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBSI
NYNaysN0UhDEQ1XHkkwXeuAFKDAKBggqhkjOPQQDAgNJADBGAiEAkfuwHaVABdHy
aOwRMBIqEaW/ILdznmNOrGfZI7cJ+XoCIQCtR2/7dBWn+aBoo1Nf0gs+LEHKOBgx
AiNX/AVyH8WYVw==
-----END CERTIFICATE-----
"""
GUEST_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgulVYFYRTDx2zL5bC
0TrID+R3Pak5s7Fwdq92UKKqW0mhRANCAAQMojpvBJ03tVABTQcuvWMVgbaMit4x
BbmJvR1Nr0lqSdELFQJFN1NAqZ26IAvoNrpeqv3JoRWoh6E5PHxUWrsK
-----END PRIVATE KEY-----
"""

Ask = Callable[[Client, Route], bytes]


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=BRISK) as running:
        yield running


@pytest.fixture(autouse=True)
def vouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment vouches for the certificates of the servers here, and names nothing else."""
    (tmp_path / "ca.pem").write_text(servers.CERTIFICATE + servers.ELSEWHERE)
    for name in ("CURL_CA_BUNDLE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    engine._certificates.cache_clear()
    yield
    engine._certificates.cache_clear()


@pytest.fixture
def reader(tmp_path: Path) -> tuple[str, str]:
    """The files of a certificate and its key."""
    return written(tmp_path, "reader", READER, READER_KEY)


@pytest.fixture
def guest(tmp_path: Path) -> tuple[str, str]:
    """The same of somebody else, in one file."""
    (tmp_path / "guest.pem").write_text(GUEST + GUEST_KEY)
    return str(tmp_path / "guest.pem"), ""


def written(folder: Path, name: str, certificate: str, key: str) -> tuple[str, str]:
    (folder / f"{name}.pem").write_text(certificate)
    (folder / f"{name}.key").write_text(key)
    return str(folder / f"{name}.pem"), str(folder / f"{name}.key")


def showing(url: str, files: tuple[str, str] = ("", "")) -> Route:
    """Return a route to a file, and the certificate that its origin may see."""
    return Route(f"{url}/hello", Credential(origin_of(url), certificate=files[0], key=files[1]))


def serving(*, must_show: bool = True, vouched: str = READER, newest: ssl.TLSVersion | None = None) -> WebServer:
    server = WebServer(tls=True, vouched=vouched, must_show=must_show, newest=newest)
    server.files["/hello"] = b"hello"
    return server


class Kept:
    """A sink that keeps what comes."""

    def __init__(self) -> None:
        self.content = b""

    def begin(self, response: Response) -> None: ...

    def write(self, blocks: list[bytes]) -> None:
        self.content += b"".join(blocks)


def by_request(client: Client, route: Route) -> bytes:
    return client.request("GET", route.url, credential=route.credential).body


def by_stream(client: Client, route: Route) -> bytes:
    sink = Kept()
    client.stream(route, sink)
    return sink.content


def by_gather(client: Client, route: Route) -> bytes:
    came: list[Response | None] = []
    client.gather([Wanted(route, 100, came.append)])
    assert came[0] is not None
    return came[0].body


WAYS = pytest.mark.parametrize("ask", [by_request, by_stream, by_gather])


# Who sees it


@WAYS
def test_a_certificate_is_shown_to_a_server_that_asks_for_one(
    ask: Ask, client: Client, reader: tuple[str, str], guest: tuple[str, str]
) -> None:
    with serving(vouched=READER + GUEST) as server:
        assert ask(client, showing(server.url, reader)) == b"hello"
        assert ask(client, showing(server.url, guest)) == b"hello"
        assert [seen.shown for seen in server.requests] == ["reader", "guest"]


@WAYS
@pytest.mark.parametrize("newest", [None, ssl.TLSVersion.TLSv1_2])
def test_a_connection_on_which_a_certificate_was_shown_serves_nobody_else(
    ask: Ask,
    newest: ssl.TLSVersion | None,
    client: Client,
    reader: tuple[str, str],
    guest: tuple[str, str],
) -> None:
    people = [reader, ("", ""), guest, reader, reader, ("", ""), guest]
    with serving(must_show=False, vouched=READER + GUEST, newest=newest) as server:
        for person in people:
            assert ask(client, showing(server.url, person)) == b"hello"
        assert [seen.shown for seen in server.requests] == ["reader", "", "guest", "reader", "reader", "", "guest"]
        assert server.connections < len(people), "connections are used again, or this proves nothing"


@pytest.mark.parametrize("ways", [(by_gather, by_request), (by_request, by_gather), (by_stream, by_request)])
def test_nor_does_it_when_another_way_of_asking_follows(
    ways: tuple[Ask, Ask], client: Client, reader: tuple[str, str]
) -> None:
    with serving(must_show=False) as server:
        ways[0](client, showing(server.url, reader))
        ways[1](client, showing(server.url))
        assert [seen.shown for seen in server.requests] == ["reader", ""]


def test_many_at_a_time_are_not_mixed_up(client: Client, reader: tuple[str, str], guest: tuple[str, str]) -> None:
    came: list[Response | None] = []
    with serving(must_show=False, vouched=READER + GUEST) as server:
        people = {"reader": reader, "guest": guest, "": ("", "")}
        wanted = []
        for number in range(60):
            name = list(people)[number % 3]
            server.files[f"/{number}-{name}"] = b"x"
            credential = Credential(origin_of(server.url), certificate=people[name][0], key=people[name][1])
            wanted.append(Wanted(Route(f"{server.url}/{number}-{name}", credential), 100, came.append))
        client.gather(wanted)
        assert [answer.body for answer in came if answer is not None] == [b"x"] * 60
        assert all(seen.path.partition("-")[2] == seen.shown for seen in server.requests)


@WAYS
def test_a_redirect_to_another_server_does_not_get_it(ask: Ask, client: Client, reader: tuple[str, str]) -> None:
    with serving() as near, serving(must_show=False) as far:
        near.faults["/hello"] = [redirect(f"{far.url}/hello")]
        assert ask(client, showing(near.url, reader)) == b"hello"
        assert [seen.shown for seen in near.requests] == ["reader"]
        assert [seen.shown for seen in far.requests] == [""]


@WAYS
def test_a_redirect_within_a_server_does(ask: Ask, client: Client, reader: tuple[str, str]) -> None:
    with serving() as server:
        server.files["/there"] = b"there"
        server.faults["/hello"] = [redirect(f"{server.url}/there")]
        assert ask(client, showing(server.url, reader)) == b"there"
        assert [seen.shown for seen in server.requests] == ["reader", "reader"]


def test_a_server_that_asks_for_none_is_shown_none(client: Client, reader: tuple[str, str]) -> None:
    with WebServer(tls=True) as server:
        server.files["/hello"] = b"hello"
        assert by_request(client, showing(server.url, reader)) == b"hello"
        assert server.requests[0].shown == ""


# Refused


@pytest.mark.parametrize("ask", [by_request, by_stream])
def test_a_server_that_wants_to_see_one_says_so_and_is_asked_once(ask: Ask, client: Client) -> None:
    with serving() as server:
        with pytest.raises(AccessDenied, match="wants to see a certificate") as caught:
            ask(client, showing(server.url))
        assert "--certificate FILE" in caught.value.hint
        assert (server.requests, server.connections) == ([], 1)


def test_with_tls_1_2_it_says_less_and_the_hint_says_what_it_may_be(client: Client) -> None:
    with serving(newest=ssl.TLSVersion.TLSv1_2) as server:
        with pytest.raises(OneError) as caught:
            by_request(client, showing(server.url))
        assert "--certificate FILE" in caught.value.hint
        assert (server.requests, server.connections) == ([], 1)


@pytest.mark.parametrize("newest", [None, ssl.TLSVersion.TLSv1_2])
def test_a_certificate_that_is_not_accepted_is_named(
    newest: ssl.TLSVersion | None, client: Client, guest: tuple[str, str]
) -> None:
    with serving(newest=newest) as server:
        with pytest.raises(AccessDenied, match="does not accept the certificate") as caught:
            by_request(client, showing(server.url, guest))
        assert guest[0] in caught.value.message
        assert (server.requests, server.connections) == ([], 1)


@pytest.mark.parametrize("which", [0, 1], ids=["certificate", "key"])
def test_a_file_that_is_gone_meanwhile_is_told(which: int, client: Client, reader: tuple[str, str]) -> None:
    Path(reader[which]).unlink()
    with serving() as server:
        with pytest.raises(ConfigError, match="cannot be shown to 127.0.0.1") as caught:
            by_request(client, showing(server.url, reader))
        assert reader[which] in caught.value.message
        assert server.requests == []
        assert server.connections <= 1, "it fails before a word is said, perhaps before the server has seen it"


# A person at a terminal: what stands on standard input is the terminal of the process.
AT_A_TERMINAL = """
import os, sys
os.open(os.ttyname(0), os.O_RDWR)
from onelight.client import Client
from onelight.route import Credential, origin_of
url, certificate, key = sys.argv[1:]
try:
    Client().request("GET", url, credential=Credential(origin_of(url), certificate=certificate, key=key))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is another thing there")
@pytest.mark.parametrize("key", LOCKED_KEYS, ids=["new form", "old form"])
def test_nobody_is_asked_for_the_password_of_a_key_that_is_locked_meanwhile(key: str, tmp_path: Path) -> None:
    import pty

    files = written(tmp_path, "reader", READER, key)
    terminal, end = pty.openpty()
    with serving() as server, os.fdopen(terminal, "rb", 0), os.fdopen(end, "rb", 0):
        done = subprocess.run(
            [sys.executable, "-c", AT_A_TERMINAL, f"{server.url}/hello", *files],
            cwd=CHECKOUT,
            stdin=end,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            start_new_session=True,
        )
        assert done.stdout.startswith(f"ConfigError the certificate {files[0]} cannot be shown to 127.0.0.1"), done
        assert server.requests == []


# Looked at before anybody is asked


def check(certificate: str, key: str = "", url: str = "https://a.org/data") -> tuple[str, str]:
    return check_certificate("lab", url, certificate, key)


def test_a_certificate_and_its_key_may_be_in_two_files_or_in_one(
    reader: tuple[str, str], guest: tuple[str, str]
) -> None:
    assert check(*reader) == reader
    assert check(*guest) == (guest[0], guest[0])


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    files = written(tmp_path, "reader", READER, READER_KEY)
    assert check("~/reader.pem", "~/reader.key") == files


@pytest.mark.parametrize("locked", LOCKED_KEYS)
def test_a_key_with_a_password_is_refused_and_what_is_needed_is_said(locked: str, tmp_path: Path) -> None:
    files = written(tmp_path, "reader", READER, locked)
    with pytest.raises(ConfigError, match="protected by a password") as caught:
        check(*files)
    assert files[1] in caught.value.message
    assert "without is needed" in caught.value.hint
    (tmp_path / "one.pem").write_text(READER + locked)
    with pytest.raises(ConfigError, match="protected by a password"):
        check(str(tmp_path / "one.pem"))


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        (None, READER_KEY, r"reader\.pem.*'lab', cannot be read: No such file"),
        (READER, None, r"reader\.key.*'lab', cannot be read: No such file"),
        ("0\x82\x06\x01", READER_KEY, r"reader\.pem has no certificate in the form PEM"),
        (READER_KEY, READER_KEY, r"reader\.pem has no certificate in the form PEM"),
        (READER, READER, r"reader\.key has no private key in the form PEM"),
        (READER, GUEST_KEY, r"the key in .*reader\.key is not that of the certificate in .*reader\.pem"),
        (READER.replace("M", "N"), READER_KEY, r"are no certificate and its key"),
        (READER, READER_KEY.replace("M", "N"), r"are no certificate and its key"),
    ],
)
def test_files_that_cannot_be_shown_are_told(
    certificate: str | None, key: str | None, said: str, tmp_path: Path
) -> None:
    files = written(tmp_path, "reader", certificate or "", key or "")
    for file, content in zip(files, (certificate, key), strict=True):
        if content is None:
            Path(file).unlink()
    with pytest.raises(ConfigError, match=said) as caught:
        check(*files)
    assert "lab" in caught.value.message
    assert caught.value.hint


def test_a_folder_and_a_path_that_can_be_none_are_told(tmp_path: Path) -> None:
    for path in (str(tmp_path), "a\0b"):
        with pytest.raises(ConfigError, match="cannot be read"):
            check(path)


def test_a_certificate_without_its_key_in_one_file_says_where_to_name_the_key(reader: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="has no private key") as caught:
        check(reader[0])
    assert "--key FILE" in caught.value.hint


def test_a_certificate_is_for_https_only(reader: tuple[str, str]) -> None:
    for url in ("http://127.0.0.1:1/x", "http://a.org/x"):
        with pytest.raises(ConfigError, match="https://"):
            check(*reader, url=url)


def test_a_key_alone_is_refused(reader: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="no certificate"):
        check("", reader[1])


# Authorities that the environment names

HASH = "ce275665"  # of the name in servers.CERTIFICATE: `openssl x509 -noout -subject_hash`


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def name(**variables: Path) -> None:
        for variable in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "SSL_CERT_DIR"):
            monkeypatch.delenv(variable, raising=False)
        for variable, path in variables.items():
            monkeypatch.setenv(variable, str(path))
        engine._certificates.cache_clear()

    return name


def is_trusted() -> bool:
    with serving(vouched="") as server, Client(limits=BRISK) as client:
        try:
            by_request(client, showing(server.url))
        except Unreachable:
            assert server.requests == []
            return False
        return True


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE"])
def test_a_file_of_authorities_may_have_either_name(
    variable: str, authority: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "other.pem").write_text(servers.ELSEWHERE)
    authority(**{variable: tmp_path / "ca.pem"})
    assert is_trusted()
    authority(**{variable: tmp_path / "other.pem"})
    assert not is_trusted()
    authority()
    assert not is_trusted()


def test_a_folder_of_authorities_is_looked_at_beside_the_file(authority: Callable[..., None], tmp_path: Path) -> None:
    folder, other = tmp_path / "authorities", tmp_path / "other.pem"
    folder.mkdir()
    other.write_text(READER)
    authority(SSL_CERT_DIR=folder)
    assert not is_trusted()
    (folder / f"{HASH}.0").write_text(servers.CERTIFICATE)
    assert is_trusted()
    authority(SSL_CERT_DIR=folder, SSL_CERT_FILE=other)
    assert is_trusted()
    authority(SSL_CERT_DIR=folder, CURL_CA_BUNDLE=other)
    assert not is_trusted(), "to curl, this bundle is all"


# Proxies that the environment names

FAR = "data.onelight.invalid"
ELSEWHERE = "elsewhere.example"  # the name in servers.ELSEWHERE
BASIC = f"Basic {base64.b64encode(f'me:{CANARY}'.encode()).decode()}"


class Tunnel:
    """A proxy for CONNECT and SOCKS 5 that leads everybody to one server, and notes what it was asked."""

    def __init__(self, server: WebServer, password: str = "") -> None:
        self.asked: list[str] = []
        self._port = int(server.url.rpartition(":")[2])
        self._password = password
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (self._listener, *self._open):
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            first = near.recv(1, socket.MSG_PEEK)
            if not (self._socks(near) if first == b"\x05" else self._connect(near)):
                near.shutdown(socket.SHUT_RDWR)
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            self._open.append(far)
            back = threading.Thread(target=relay, args=(far, near))
            back.start()
            relay(near, far)
            back.join()

    def _connect(self, near: socket.socket) -> bool:
        head = b""
        while b"\r\n\r\n" not in head and (more := near.recv(4096)):
            head += more
        self.asked.append(head.decode())
        is_known = not self._password or f"Proxy-Authorization: {self._password}\r\n" in self.asked[-1]
        near.sendall(b"HTTP/1.1 200 OK\r\n\r\n" if is_known else b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n")
        return is_known

    def _socks(self, near: socket.socket) -> bool:
        """Answer as RFC 1928 and RFC 1929 have it."""
        with near.makefile("rb", buffering=0) as stream:
            methods = stream.read(stream.read(2)[1])
            if self._password:
                near.sendall(b"\x05\x02" if 2 in methods else b"\x05\xff")
                if 2 not in methods:
                    return False
                name = stream.read(stream.read(2)[1])
                said = f"{name.decode()}:{stream.read(stream.read(1)[0]).decode()}"
                near.sendall(b"\x01\x00" if said == self._password else b"\x01\x01")
                if said != self._password:
                    return False
            else:
                near.sendall(b"\x05\x00")
            kind = stream.read(4)[3]
            host = stream.read(stream.read(1)[0]).decode() if kind == 3 else socket.inet_ntoa(stream.read(4))
            self.asked.append(f"{host}:{int.from_bytes(stream.read(2), 'big')}")
        near.sendall(b"\x05\x00\x00\x01" + bytes(6))
        return True


def relay(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets these variables, and no other of their kind."""

    def name(**variables: str) -> None:
        for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            for form in (variable, variable.upper()):
                monkeypatch.delenv(form, raising=False)
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)

    return name


@pytest.fixture
def far() -> Iterator[WebServer]:
    """A server for https with another name, to which nobody comes but through a tunnel."""
    with WebServer(tls=True, certificate=servers.ELSEWHERE) as server:
        server.files["/hello"] = b"hello"
        yield server


@pytest.fixture
def plain() -> Iterator[WebServer]:
    """A server that is its own proxy for http: it serves every host."""
    with WebServer() as server:
        server.files["/hello"] = b"hello"
        yield server


NAMES = ["http_proxy", "all_proxy", "ALL_PROXY"]


@WAYS
@pytest.mark.parametrize("variable", NAMES)
def test_http_goes_through_the_proxy_that_is_named(
    ask: Ask, variable: str, proxy: Callable[..., None], plain: WebServer, client: Client
) -> None:
    proxy(**{variable: plain.url})
    assert ask(client, Route(f"http://{FAR}/hello")) == b"hello"
    assert plain.requests[0].target == f"http://{FAR}/hello"


@WAYS
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_https_goes_through_the_tunnel_of_the_proxy_that_is_named(
    ask: Ask, variable: str, proxy: Callable[..., None], far: WebServer, client: Client
) -> None:
    with Tunnel(far) as tunnel:
        proxy(**{variable: f"http://{tunnel.address}"})
        credential = Credential(f"https://{ELSEWHERE}:443", header=f"Bearer {CANARY}")
        assert ask(client, Route(f"https://{ELSEWHERE}/hello", credential)) == b"hello"
        assert tunnel.asked[0].startswith(f"CONNECT {ELSEWHERE}:443 ")
        assert far.requests[0].headers["authorization"] == f"Bearer {CANARY}"
        assert CANARY not in str(tunnel.asked), "what is for the server is not for the proxy"


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("value", [FAR, f"a.org, {FAR}", ".onelight.invalid", "*", " * "])
def test_what_is_not_to_go_through_a_proxy_does_not(
    variable: str, value: str, proxy: Callable[..., None], plain: WebServer, client: Client
) -> None:
    proxy(http_proxy=plain.url, **{variable: value})
    with pytest.raises(Unreachable, match="name is unknown"):
        by_request(client, Route(f"http://{FAR}/hello"))
    assert plain.requests == []


def test_this_machine_is_asked_without_a_proxy_whatever_is_named(
    proxy: Callable[..., None], plain: WebServer, client: Client
) -> None:
    for value in ("", "a.org", "*"):
        proxy(http_proxy=f"http://127.0.0.1:{servers.free_port()}", no_proxy=value)
        assert by_request(client, Route(f"{plain.url}/hello")) == b"hello"


@WAYS
def test_a_name_and_password_for_the_proxy_go_to_the_proxy_only(
    ask: Ask, proxy: Callable[..., None], far: WebServer, client: Client
) -> None:
    with Tunnel(far, BASIC) as tunnel:
        proxy(https_proxy=f"http://me:{CANARY}@{tunnel.address}")
        assert ask(client, Route(f"https://{ELSEWHERE}/hello")) == b"hello"
        assert f"Proxy-Authorization: {BASIC}\r\n" in tunnel.asked[0]
        assert not {"authorization", "proxy-authorization"} & set(far.requests[0].headers)


def test_and_to_the_proxy_of_http_as_well(proxy: Callable[..., None], plain: WebServer, client: Client) -> None:
    proxy(http_proxy=plain.url.replace("//", f"//me:{CANARY}@"))
    assert by_request(client, Route(f"http://{FAR}/hello")) == b"hello"
    assert plain.requests[0].headers["proxy-authorization"] == BASIC
    assert "authorization" not in plain.requests[0].headers


@pytest.mark.parametrize("scheme", ["http://", "", "socks5h://", "nonsense://"])
@pytest.mark.parametrize("password", [CANARY, f"{CANARY}://x", f"x@{CANARY}", f"{CANARY} x", f"{CANARY}/x"])
def test_the_password_of_a_proxy_is_never_shown(
    scheme: str, password: str, proxy: Callable[..., None], client: Client
) -> None:
    proxy(all_proxy=f"{scheme}me:{password}@127.0.0.1:{servers.free_port()}")
    for url in (f"http://{FAR}/x", f"https://{ELSEWHERE}/x"):
        with pytest.raises(OneError) as caught:
            by_request(client, Route(url))
        assert CANARY not in f"{caught.value} {caught.value!r}"


def test_a_proxy_that_does_not_take_the_password_is_told_without_it(
    proxy: Callable[..., None], far: WebServer, client: Client
) -> None:
    with Tunnel(far, "Basic another") as tunnel:
        proxy(https_proxy=f"http://me:{CANARY}@{tunnel.address}")
        with pytest.raises(Unreachable, match="407") as caught:
            by_request(client, Route(f"https://{ELSEWHERE}/hello"))
        assert CANARY not in str(caught.value)
        assert "https_proxy" in caught.value.hint
        assert far.requests == []


@WAYS
@pytest.mark.parametrize("password", ["", f"me:{CANARY}"])
def test_socks_is_spoken_and_names_are_left_to_the_proxy(
    ask: Ask, password: str, proxy: Callable[..., None], far: WebServer, client: Client
) -> None:
    with Tunnel(far, password) as tunnel:
        proxy(all_proxy=f"socks5h://{password}@{tunnel.address}".replace("//@", "//"))
        assert ask(client, Route(f"https://{ELSEWHERE}/hello")) == b"hello"
        assert tunnel.asked == [f"{ELSEWHERE}:443"]
        assert CANARY not in str(far.requests)


def test_socks_with_an_address_in_numbers(proxy: Callable[..., None], plain: WebServer, client: Client) -> None:
    with Tunnel(plain) as tunnel:
        proxy(http_proxy=f"socks5://{tunnel.address}")
        assert by_request(client, Route("http://192.0.2.7/hello")) == b"hello"  # nobody's (RFC 5737)
        assert tunnel.asked == ["192.0.2.7:80"]


def test_a_socks_proxy_that_does_not_take_the_password_is_told_without_it(
    proxy: Callable[..., None], far: WebServer, client: Client
) -> None:
    with Tunnel(far, "me:another") as tunnel:
        proxy(all_proxy=f"socks5h://me:{CANARY}@{tunnel.address}")
        with pytest.raises(Unreachable, match="the proxy does not let through") as caught:
            by_request(client, Route(f"https://{ELSEWHERE}/hello"))
        assert CANARY not in str(caught.value)
        assert far.requests == []


@WAYS
def test_a_certificate_goes_through_the_tunnel_and_not_to_the_proxy(
    ask: Ask, proxy: Callable[..., None], client: Client, reader: tuple[str, str]
) -> None:
    with WebServer(tls=True, certificate=servers.ELSEWHERE, vouched=READER) as server, Tunnel(server) as tunnel:
        server.faults["/hello"] = [Good]
        server.files["/hello"] = b"hello"
        proxy(https_proxy=f"http://{tunnel.address}")
        assert ask(client, showing(f"https://{ELSEWHERE}", reader)) == b"hello"
        assert [seen.shown for seen in server.requests] == ["reader"]
