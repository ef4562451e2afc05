"""docs/hosting.md: every configuration in it is given to the real server, and every command is typed.

Paths, ports, names and certificates are those of the test; all else is as it stands in the document.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from servers import CERTIFICATE, PRIVATE_KEY

from onelight.kinds.http import HttpRepository
from onelight.repository import WritableRepository
from onelight.serving import Server
from onelight.synthetic import write_dataset

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "hosting.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
#: The text of each block by the two words behind its fence.
BLOCKS = {found[1]: found[2] for found in re.finditer(r"^```(\w+ [\w-]+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)}
ADDRESS = "https://data.example.org"
SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
ARRAY = f"{SESSION}/alf/spikes.times.npy"
PASSWORD = "canary-5b1c"
ALLOWED = {"authorization", "if-none-match", "if-range", "range"}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the servers and the shell are those of POSIX")


@dataclass
class Place:
    """A computer with a web server: where its folders are, and how commands are typed there.

    Parameters
    ----------
    home : Path
        Stands for ``/``; ``data`` in it for the folder that is served.
    url : str
        The origin of the server.
    replaced : dict
        What of the document is called otherwise here.
    """

    home: Path
    url: str = ""
    replaced: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("www", "etc", "incoming", "programs", "certificates", "log"):
            (self.home / name).mkdir(exist_ok=True)
        program = self.home / "programs" / "onelight"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m onelight "$@"\n')
        program.chmod(0o755)
        (self.home / "certificates" / "fullchain.pem").write_text(CERTIFICATE)
        (self.home / "certificates" / "privkey.pem").write_text(PRIVATE_KEY)

    @property
    def data(self) -> Path:
        return self.home / "www" / "dataroot"

    def said(self, text: str) -> str:
        """Return a text of the document with the names that things have here."""
        names = {
            "/etc/letsencrypt/live/data.example.org": f"{self.home}/certificates",
            "/srv/www": f"{self.home}/www",
            "/srv/incoming": f"{self.home}/incoming",
            "/etc/nginx": f"{self.home}/etc",
            "/etc/apache2": f"{self.home}/etc",
            "/etc/caddy": f"{self.home}/etc",
            "/var/lib/apache2/dav": f"{self.home}/incoming",
            **self.replaced,
            ADDRESS: self.url,
            "data.example.org:": "",  # what rsync copies to
        }
        for old, new in names.items():
            text = text.replace(old, new)
        return text

    def typed(self, command: str, given: str = "", **environment: str) -> tuple[str, int]:
        """Type a command of the document; return what it said, and how it ended."""
        done = subprocess.run(
            ["sh", "-c", self.said(command)],
            cwd=self.home,
            env={
                **os.environ,
                "PATH": f"{self.home}/programs:{os.environ['PATH']}:/usr/sbin",
                "ONELIGHT_CONFIG_DIR": str(self.home / ".one"),
                "SSL_CERT_FILE": str(self.home / "certificates" / "fullchain.pem"),
                "CURL_CA_BUNDLE": str(self.home / "certificates" / "fullchain.pem"),
                "HOME": str(self.home),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            input=given,
            text=True,
            timeout=120,
            check=False,
            start_new_session=True,  # without a terminal, a password is read from standard input
        )
        assert "Traceback" not in done.stdout, done.stdout
        return done.stdout, done.returncode

    def shown(self, said: str) -> str:
        """Return an answer as it would stand in the document."""
        for old, new in (
            (self.url or "\0", ADDRESS),
            (f"{self.home}/www", "/srv/www"),
            (f"{self.home}/", "/home/you/"),
        ):
            said = said.replace(old, new)
        return re.sub(r"(?<=in )\d+\.\d s(, [\d.]+ \w+/s)?", "0.5 s", said)


def commands(block: str) -> list[tuple[str, str]]:
    """Return the commands of a block, each with the answer that stands below it."""
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", BLOCKS[block], re.MULTILINE)
    assert found, block
    return found


def check_console(place: Place, block: str, **environment: str) -> None:
    """Type the commands of a block; each answers as the document says, or where it says nothing, ends with 0."""
    for command, answer in commands(block):
        said, code = place.typed(command, **environment)
        if answer:
            assert place.shown(said) == answer, command
        else:
            assert code == 0, f"{command}: {said}"


def needed(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder of the document, with its index."""
    root = tmp_path_factory.mktemp("example") / "www" / "dataroot"
    for path in write_dataset(root, optional=False, scale=0.001):
        if "imec" in path.name:  # their names are not strict ALF, and index would say so at length
            path.unlink()
    said, code = Place(root.parents[1]).typed(commands("console index")[0][0])
    assert code == 0, said
    return root


@pytest.fixture
def place(tmp_path: Path, example: Path) -> Place:
    """Return a computer where the folder lies, among things that are nobody's business."""
    place = Place(tmp_path)
    shutil.copytree(example, place.data)
    (tmp_path / "www" / "beside.npy").write_bytes(b"SECRET")
    (tmp_path / "www" / "dataroot-beside").mkdir()
    (tmp_path / "www" / "dataroot-beside" / "x.npy").write_bytes(b"SECRET")
    for hidden in (".git/config", ".htaccess", ".one_verified", f"{SESSION}/alf/.secret.npy", ".git/.one_root"):
        (place.data / hidden).parent.mkdir(exist_ok=True)
        (place.data / hidden).write_bytes(b"SECRET")
    (tmp_path / "outside.npy").write_bytes(b"SECRET")
    # Who serves may be another user than who runs the test.
    for folder in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o111)
    return place


# The servers ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def running(place: Place, *command: object, port: int) -> Iterator[None]:
    """Run a server until the end of the block."""
    environment = {"HOME": str(place.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    with (place.home / "log" / "said").open("wb") as said:
        process = subprocess.Popen([str(word) for word in command], stdout=said, stderr=said, env=environment)
    try:
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > end:
                log = "".join(path.read_text(errors="replace") for path in (place.home / "log").iterdir())
                pytest.fail(f"{command[0]} does not run: {log}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def password_file(place: Place, block: str, name: str = "reader") -> None:
    """Make the file with the passwords as the document says."""
    needed("htpasswd")
    command = commands(block)[0][0].replace(" reader", f" {name}")
    said, code = place.typed(command, f"{PASSWORD}\n{PASSWORD}\n")
    assert code == 0, said


def with_password(reading: str, where: str, password: str) -> str:
    assert reading.count(where) == 1
    return reading.replace(where, password)


@contextlib.contextmanager
def nginx(place: Place, config: str) -> Iterator[None]:
    """Run nginx with a configuration of the document, included by one that compresses whatever it may."""
    program, port, home = needed("nginx"), free_port(), place.home
    place.url = f"https://127.0.0.1:{port}"
    place.replaced = {"listen 443 ssl": f"listen 127.0.0.1:{port} ssl", "server_name data": "server_name other"}
    (home / "etc" / "dataroot.conf").write_text(place.said(config))
    temporary = "".join(
        f"{kind}_temp_path {home}/log/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    module = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")
    load = ""
    if "dav_ext_methods" in config:
        if not module.exists():
            pytest.skip("the module dav-ext of nginx is not installed")
        load = f"load_module {module};\n"
    user = "user root;\n" if os.geteuid() == 0 else ""
    main = f"-c {home}/etc/main.conf -e {home}/log/error"
    (home / "etc" / "main.conf").write_text(
        f"{load}{user}daemon off; pid {home}/log/pid; error_log {home}/log/error; events {{}}\n"
        f"http {{ access_log off; {temporary} gzip on; gzip_types *; gzip_min_length 1;\n"
        f"include {home}/etc/dataroot.conf; }}\n"
    )
    place.replaced["nginx -t"] = f"{program} {main} -t"
    said, code = place.typed(commands("console nginx")[1][0])
    assert code == 0, said
    with running(place, program, *main.split(), port=port):
        yield


@contextlib.contextmanager
def apache(place: Place, config: str) -> Iterator[None]:
    """Run Apache with a configuration of the document, among the modules that it names and one that compresses."""
    program, port, home = needed("apache2"), free_port(), place.home
    modules = Path("/usr/lib/apache2/modules")
    stated = re.search(r"a2enmod (.*)", config)
    assert stated is not None
    usual = (
        "mpm_event authn_core authn_file authz_core authz_user auth_basic alias autoindex deflate dir env filter mime"
    )
    wanted = [*usual.split(), *stated[1].split(), "socache_shmcb"]
    if not all((modules / f"mod_{name}.so").exists() for name in wanted):
        pytest.skip("the modules of apache2 are elsewhere")
    place.url = f"https://127.0.0.1:{port}"
    place.replaced = {"*:443": f"127.0.0.1:{port}", "ServerName data": "ServerName other"}
    (home / "etc" / "dataroot.conf").write_text(place.said(config))
    owned = ""
    if os.geteuid() == 0:
        owned = "User nobody\nGroup nogroup\n"
        for folder in (home / "www", home / "incoming"):
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, "nobody", "nogroup")
    main = f"-d {home} -f {home}/etc/main.conf"
    (home / "etc" / "main.conf").write_text(
        "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in wanted)
        + f"ServerRoot {home}\nPidFile {home}/log/pid\nListen 127.0.0.1:{port}\nServerName localhost\n{owned}"
        + f"ErrorLog {home}/log/error\nTypesConfig /dev/null\nSetOutputFilter DEFLATE\n"
        + f"Include {home}/etc/dataroot.conf\n"
    )
    place.replaced["apachectl configtest"] = f"{program} {main} -t"
    said, code = place.typed(commands("console apache")[1][0])
    assert code == 0, said
    with running(place, program, *main.split(), "-D", "FOREGROUND", port=port):
        yield


@contextlib.contextmanager
def caddy(place: Place, config: str) -> Iterator[None]:
    """Run Caddy with a configuration of the document; that it gets a certificate is not tried."""
    program, port, home = needed("caddy"), free_port(), place.home
    place.url = f"http://127.0.0.1:{port}"
    place.replaced = {"data.example.org {": f"{place.url} {{"}
    (home / "etc" / "Caddyfile").write_text("{\n\tadmin off\n}\n" + place.said(config))
    said, code = place.typed(commands("console caddy")[1][0])
    assert code == 0, said
    with running(place, program, "run", "--adapter", "caddyfile", "--config", home / "etc" / "Caddyfile", port=port):
        yield


def nginx_reading(place: Place) -> contextlib.AbstractContextManager[None]:
    return nginx(place, BLOCKS["nginx reading"])


def apache_reading(place: Place) -> contextlib.AbstractContextManager[None]:
    return apache(place, BLOCKS["apache reading"])


def caddy_reading(place: Place) -> contextlib.AbstractContextManager[None]:
    return caddy(place, BLOCKS["caddy reading"])


def nginx_with_password(place: Place) -> contextlib.AbstractContextManager[None]:
    password_file(place, "console nginx")
    where = "        # who may read: everybody\n"
    return nginx(place, with_password(BLOCKS["nginx reading"], where, BLOCKS["nginx password"]))


def apache_with_password(place: Place) -> contextlib.AbstractContextManager[None]:
    password_file(place, "console apache")
    where = "        Require all granted\n"
    return apache(place, with_password(BLOCKS["apache reading"], where, BLOCKS["apache password"]))


def caddy_with_password(place: Place) -> contextlib.AbstractContextManager[None]:
    needed("caddy")
    said, code = place.typed(commands("console caddy")[0][0], f"{PASSWORD}\n{PASSWORD}\n")
    assert code == 0, said
    password = BLOCKS["caddy password"].replace("HASH", said.split()[-1])
    return caddy(place, with_password(BLOCKS["caddy reading"], "\t# who may read: everybody\n", password))


Start = Callable[[Place], contextlib.AbstractContextManager[None]]
READING = pytest.mark.parametrize("start", [nginx_reading, apache_reading, caddy_reading])
WITH_PASSWORD = pytest.mark.parametrize("start", [nginx_with_password, apache_with_password, caddy_with_password])


class Answer(NamedTuple):
    """What a server answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(place: Place, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """Ask a server, with a path that is sent as it stands; redirects are not followed."""
    tls = ssl.create_default_context(cafile=str(place.home / "certificates" / "fullchain.pem"))

    class Stays(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls), Stays()
    )
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = urllib.request.Request(place.url + path, data=body, method=method, headers=sent)
    try:
        with opener.open(asked, timeout=20) as answer:
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            named = {name.lower(): value for name, value in error.headers.items()}
            return Answer(error.code, named, error.read())


def basic(name: str, password: str = PASSWORD) -> str:
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


def onelight(place: Place, *arguments: str, given: str = "", ends: int = 0) -> str:
    said, code = place.typed(f"onelight {' '.join(arguments)}", given)
    assert code == ends, said
    return said


def check_download(place: Place, *signing_in: str) -> None:
    """Add the server as a repository, search it and download from it, in processes, and compare every byte."""
    onelight(place, "add-repo", "lab", "--http", f"{place.url}/dataroot", *signing_in, given=f"{PASSWORD}\n")
    assert SESSION in onelight(place, "search", "spikes.times", "-R", "lab").splitlines()
    # stderr is among it: what is no JSON is for a person
    lines = onelight(place, "download", SESSION, "-R", "lab", "--json").splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    files = [row for row in rows if row["action"] == "download"]
    assert len(files) > 40
    assert {(row["status"], row["verified"]) for row in files} == {("ok", "md5")}
    for row in files:
        assert Path(row["file"]).read_bytes() == (place.data / row["path"]).read_bytes()


# What every configuration for reading promises ----------------------------------------------------------------------


@READING
def test_a_session_is_found_downloaded_and_verified(start: Start, place: Place) -> None:
    with start(place):
        check_download(place)


@READING
def test_the_index_is_served_with_ranges_and_tags_and_as_it_is(start: Start, place: Place) -> None:
    with start(place):
        for path in (".one_root", "sessions.pqt", "datasets.pqt", ARRAY):
            content = (place.data / path).read_bytes()
            whole = ask(place, f"/dataroot/{path}", accept_encoding="gzip, br, deflate")
            assert (whole.status, whole.body) == (200, content), path
            assert "content-encoding" not in whole.headers
            assert whole.headers["etag"].startswith('"')
            part = ask(place, f"/dataroot/{path}", range="bytes=3-9", accept_encoding="gzip")
            assert (part.status, part.body) == (206, content[3:10])
            assert part.headers["content-range"] == f"bytes 3-9/{len(content)}"
            same = ask(place, f"/dataroot/{path}", if_none_match=whole.headers["etag"])
            assert (same.status, same.body) == (304, b"")
            kept = ask(place, f"/dataroot/{path}", range="bytes=3-9", if_range=whole.headers["etag"])
            assert kept.status == 206


@READING
def test_a_second_look_transfers_nothing(start: Start, place: Place) -> None:
    with start(place):
        onelight(place, "add-repo", "lab", "--http", f"{place.url}/dataroot")
        onelight(place, "search", "-R", "lab")
        kept = place.home / ".one" / "data" / "lab" / ".one_index"
        before = kept.stat()
        onelight(place, "search", "-R", "lab", "--refresh")
        after = kept.stat()
        # Another index would be another file; its time is that of the question.
        assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
        assert after.st_mtime_ns > before.st_mtime_ns


NOT_SERVED = [
    *("/", "/beside.npy", "/dataroot-beside/x.npy", "/dataroot/../beside.npy", "/dataroot/%2e%2e/beside.npy"),
    *("/dataroot/..%2fbeside.npy", "/dataroot../beside.npy", "/dataroot/%2e%2e%2f%2e%2e%2foutside.npy"),
    *("/dataroot/../../outside.npy", "/dataroot/..%5cbeside.npy", "/dataroot/%252e%252e/beside.npy"),
    *("/dataroot/.git/config", "/dataroot/%2egit/config", "/dataroot/.htaccess", "/dataroot/.one_verified"),
    *(f"/dataroot/{SESSION}/alf/.secret.npy", "/dataroot/.git/.one_root", "/dataroot/.git/", "/dataroot//.git/config"),
    *("/dataroot/", f"/dataroot/{SESSION}/", "/dataroot/missing.npy"),
]


def raw_status(place: Place, path: str) -> tuple[int, bytes]:
    """Ask without anything that makes a path neat on its way."""
    host, _, port = place.url.partition("://")[2].partition(":")
    with socket.create_connection((host, int(port)), 20) as plain, contextlib.ExitStack() as opened:
        connection: socket.socket = plain
        if place.url.startswith("https:"):
            tls = ssl.create_default_context(cafile=str(place.home / "certificates" / "fullchain.pem"))
            connection = opened.enter_context(tls.wrap_socket(plain, server_hostname=host))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return int(answer.split()[1]), answer


@READING
def test_nothing_beside_the_data_is_served(start: Start, place: Place) -> None:
    with start(place):
        for path in NOT_SERVED:
            status, answer = raw_status(place, path)
            assert status in (301, 308, 400, 403, 404), path
            assert b"SECRET" not in answer, path
            assert b"nicklab" not in answer or status in (301, 308), f"{path}: the folder is listed"


@pytest.mark.parametrize("start", [nginx_reading, apache_reading])
def test_links_are_not_followed(start: Start, place: Place) -> None:
    (place.data / "nicklab" / "outward.npy").symlink_to(place.home / "outside.npy")
    (place.data / "nicklab" / "outward").symlink_to(place.home)
    with start(place):
        for path in ("outward.npy", "outward/outside.npy", "outward/www/beside.npy"):
            status, answer = raw_status(place, f"/dataroot/nicklab/{path}")
            assert status in (403, 404), path
            assert b"SECRET" not in answer


def test_caddy_follows_links_as_the_document_says(place: Place) -> None:
    link = place.data / "nicklab" / "outward.npy"
    link.symlink_to(place.home / "outside.npy")
    command = re.search(r"`(find .*? -type l)`", TEXT)
    assert command is not None
    assert place.typed(command[1]) == (f"{link}\n", 0)
    with caddy_reading(place):
        assert raw_status(place, "/dataroot/nicklab/outward.npy")[0] == 200


@READING
def test_nothing_can_be_written_where_reading_is_meant(start: Start, place: Place) -> None:
    before = sorted(place.data.rglob("*"))
    with start(place):
        for method in ("PUT", "DELETE", "MKCOL", "MOVE", "PROPFIND", "POST", "PATCH"):
            answer = ask(place, "/dataroot/sessions.pqt", method, b"x")
            assert answer.status in (403, 404, 405, 501), method
    assert sorted(place.data.rglob("*")) == before


@READING
def test_pages_of_other_origins_may_read(start: Start, place: Place) -> None:
    with start(place):
        before = ask(
            place, f"/dataroot/{ARRAY}", "OPTIONS", origin="https://a.org", access_control_request_method="GET"
        )
        assert before.status in (200, 204)
        allowed = before.headers["access-control-allow-headers"].lower().split(", ")
        assert set(allowed) >= ALLOWED
        answer = ask(place, f"/dataroot/{ARRAY}", origin="https://a.org")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@WITH_PASSWORD
def test_a_password_is_wanted_where_the_document_says_so(start: Start, place: Place) -> None:
    with start(place):
        for path in (".one_root", "datasets.pqt", ARRAY, "missing.npy"):
            assert ask(place, f"/dataroot/{path}").status == 401, path
            assert ask(place, f"/dataroot/{path}", authorization=basic("reader", "wrong")).status == 401
        assert ask(place, "/dataroot/.one_root", "OPTIONS", origin="https://a.org").status in (200, 204)
        assert ask(place, "/dataroot/.git/config", authorization=basic("reader")).status == 404
        check_download(place, "--login", "reader", "--token-stdin")


# The rest of the document -------------------------------------------------------------------------------------------


def test_the_commands_for_readers_answer_as_the_document_says(place: Place) -> None:
    with nginx_reading(place):
        for block in ("console readers", "console check", "console curl"):
            if block != "console readers":
                needed("curl")
            check_console(place, block)
        assert (place.home / "trials.included.npy").read_bytes() == (
            place.data / SESSION / "alf" / "trials.included.npy"
        ).read_bytes()
        script = BLOCKS["python readers"] + "print(len(sessions), trials.intervals.shape[1])\n"
        said, code = place.typed(f'"{sys.executable}" -', script)
        assert (said.splitlines()[-1:], code) == (["3 2"], 0), said


def test_the_folder_is_indexed_as_the_document_says(place: Place) -> None:
    for path in (".git", SESSION + "/alf/.secret.npy", ".htaccess"):
        if (place.data / path).is_dir():
            shutil.rmtree(place.data / path)
        else:
            (place.data / path).unlink()
    for name in (".one_root", "sessions.pqt", "datasets.pqt"):
        (place.data / name).unlink()
    check_console(place, "console index")
    assert {path.name for path in place.data.iterdir()} >= {".one_root", "sessions.pqt", "datasets.pqt"}


def test_the_folder_is_copied_with_the_index_last(place: Place) -> None:
    needed("rsync")
    shutil.copytree(place.data, place.home / "dataroot", copy_function=shutil.copy2)
    shutil.rmtree(place.data)
    first, last = (command for command, _ in commands("console copy"))
    said, code = place.typed(first)
    assert code == 0, said
    assert not {".one_root", "sessions.pqt", "datasets.pqt"} & {path.name for path in place.data.iterdir()}
    assert not list(place.data.rglob(".*"))
    assert (place.data / ARRAY).exists()
    said, code = place.typed(last)
    assert code == 0, said
    assert {path.name for path in place.data.iterdir()} == {".one_root", "sessions.pqt", "datasets.pqt", "nicklab"}


def test_the_folder_is_served_on_the_local_network_by_one_command(place: Place) -> None:
    [(command, _)] = commands("console serve")
    words = place.said(command).split()
    assert words[:1] + words[2:] == ["onelight", f"{place.data}", "--bind", "0.0.0.0"]
    assert (words[1], Server(place.data, host=words[-1]).root) == ("serve", place.data)
    # The same command, heard by this computer only.
    process = subprocess.Popen(
        [sys.executable, "-m", "onelight", *words[1:-2], "--bind", "127.0.0.1", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        place.url = process.stdout.readline().strip()
        try:
            assert ask(place, "/.one_root").body == (place.data / ".one_root").read_bytes()
            assert ask(place, "/.git/config").status == 404
        finally:
            process.terminate()


def test_one_api_opens_the_folder_as_the_document_says(place: Place) -> None:
    program = os.environ.get("ONELIGHT_ONE_API_PYTHON", "")
    compile(BLOCKS["python one-api"], "docs/hosting.md", "exec")
    if not program:
        pytest.skip("ONE-api is not installed: set ONELIGHT_ONE_API_PYTHON to a Python that has it")
    said, code = place.typed(f'"{program}" -', BLOCKS["python one-api"] + "print(len(one.search()))\n")
    assert (said.splitlines()[-1:], code) == (["3"], 0), said


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """Run a store that speaks S3; yields its address."""
    for package in ("moto", "flask"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'moto[server]'")
    port = free_port()
    with (tmp_path / "moto.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        )
    try:
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_a_bucket_is_filled_and_read_as_the_document_says(store: str, place: Place) -> None:
    needed("aws")
    for name in ("policy", "cors"):
        (place.home / f"{name}.json").write_text(BLOCKS[f"json {name}"])
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    check_console(place, "console s3", AWS_ENDPOINT_URL=store, PYTHONWARNINGS="ignore", **credentials)
    listed, code = place.typed("aws s3 ls --recursive s3://my-lab-data/", AWS_ENDPOINT_URL=store, **credentials)
    names = {line.split(maxsplit=3)[3] for line in listed.splitlines()}
    assert (code, f"dataroot/{ARRAY}" in names, "dataroot/.one_root" in names) == (0, True, True)
    assert not [name for name in names if "/." in name and not name.endswith(".one_root")], "hidden files were sent"
    address = re.search(r"The address is then `https://(\S+?)\.s3\.amazonaws\.com/(\S+)`", TEXT)
    assert address is not None
    place.url = f"{store}/{address[1]}"
    assert address[2] == "dataroot"
    check_download(place)
    whole = ask(place, f"/dataroot/{ARRAY}")
    assert ask(place, f"/dataroot/{ARRAY}", range="bytes=3-9").status == 206
    assert ask(place, f"/dataroot/{ARRAY}", if_none_match=whole.headers["etag"]).status == 304


# Writing -------------------------------------------------------------------------------------------------------------


def nginx_writing(place: Place) -> contextlib.AbstractContextManager[None]:
    password_file(place, "console nginx", "writer")
    return nginx(place, BLOCKS["nginx writing"])


def apache_writing(place: Place) -> contextlib.AbstractContextManager[None]:
    password_file(place, "console apache", "writer")
    return apache(place, BLOCKS["apache writing"])


WRITING = pytest.mark.parametrize("start", [nginx_writing, apache_writing])


@WRITING
def test_who_has_the_password_writes_and_nobody_else(start: Start, place: Place) -> None:
    signed, old = {"authorization": basic("writer")}, (place.data / ".one_root").read_bytes()
    content = os.urandom(3_000_000)
    with start(place):
        for method, path in (("PUT", "x.npy"), ("DELETE", ".one_root"), ("MKCOL", "new/"), ("PROPFIND", "")):
            for headers in ({}, {"authorization": basic("writer", "wrong")}):
                assert ask(place, f"/dataroot/{path}", method, b"", **headers).status == 401, method
        assert ask(place, "/dataroot/.one_root").body == old
        assert ask(place, "/dataroot/new/", "MKCOL", **signed).status == 201
        assert ask(place, "/dataroot/new/", "MKCOL", **signed).status == 405
        assert ask(place, "/dataroot/new/.0123.part", "PUT", content, **signed).status in (201, 204)
        moved = {"destination": f"{place.url}/dataroot/new/a.b.npy", "overwrite": "F", **signed}
        assert ask(place, "/dataroot/new/.0123.part", "MOVE", **moved).status in (201, 204)
        assert ask(place, "/dataroot/new/a.b.npy").body == content
        listed = ask(place, "/dataroot/new/", "PROPFIND", b"", depth="1", **signed)
        assert (listed.status, b"a.b.npy" in listed.body, b".0123.part" in listed.body) == (207, True, False)
        assert ask(place, "/dataroot/new/a.b.npy", "DELETE", **signed).status in (200, 204)
        for path in (
            "/beside.npy",
            "/dataroot-beside/x.npy",
            "/dataroot/..%2fbeside.npy",
            "/dataroot/%2e%2e/beside.npy",
        ):
            assert ask(place, path, "PUT", b"WRONG", **signed).status in (400, 403, 404, 405), path
    assert (place.home / "www" / "beside.npy").read_bytes() == b"SECRET"
    assert not list(place.data.glob("new/*"))


@pytest.mark.skipif(
    not issubclass(HttpRepository, WritableRepository), reason="a repository on a web server is read only"
)
@WRITING
def test_a_folder_is_uploaded_as_the_document_says(start: Start, place: Place, example: Path) -> None:
    shutil.rmtree(place.data)
    place.data.mkdir()
    shutil.copytree(example, place.home / "dataroot")
    for name in (".one_root", "sessions.pqt", "datasets.pqt"):
        (place.home / "dataroot" / name).unlink()
    add, send = (command for command, _ in commands("console upload"))
    with start(place):
        said, code = place.typed(add, f"{PASSWORD}\n")
        assert code == 0, said
        said, code = place.typed(send)
        assert code == 0, said
        assert PASSWORD not in said
        check_download(place)
        assert not [path for path in place.data.rglob(".*") if path.name not in (".one_root", ".DAV")]
        said, code = place.typed(send)
        assert code == 0, said
        assert "0 failed" in said


def test_every_block_of_the_document_is_tried() -> None:
    tried = set(
        re.findall(r'"((?:nginx|apache|caddy|json|console|python) \w[\w-]*)"', Path(__file__).read_text("utf-8"))
    )
    tried |= {f"json {name}" for name in ("policy", "cors")}
    assert set(BLOCKS) == tried
    assert len(re.findall("^```", TEXT, re.MULTILINE)) == 2 * len(BLOCKS)
