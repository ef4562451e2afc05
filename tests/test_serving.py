"""A folder on the local network: what is given, and what is not."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import hashlib
import http.client
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import pytest

from onelight import serving
from onelight.client import Client, Limits
from onelight.errors import AccessDenied, ConfigError
from onelight.kinds.http import HttpRepository
from onelight.kinds.listing import read_page
from onelight.ranges import wanted
from onelight.serving import Server, app, exposure
from onelight.transfer import Ledger, Outcome, download, plan_download

CONTENT = bytes(range(256)) * 3000  # more than any piece
SESSION = "lab/Subjects/mouse/2024-05-06/001/alf"
SECRET = b"canary-of-a-file-outside"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def ask(url: str, path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask for a path as it stands: urllib and requests would tidy it up."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / SESSION / "#2024-05-06#").mkdir(parents=True)
    (root / SESSION / "spikes.times.npy").write_bytes(CONTENT)
    (root / SESSION / "#2024-05-06#" / "spikes.times.npy").write_bytes(b"newer")
    (root / "empty.npy").touch()
    (root / "small.tsv").write_bytes(b"0123456789")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.npy").write_bytes(SECRET)
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "root-beside" / "secret.npy").write_bytes(SECRET)
    return root


@pytest.fixture
def server(root: Path) -> Iterator[Server]:
    with Server(root) as running:
        yield running


def taken(read: Callable[[int], bytes]) -> int:
    """Return how many bytes come until the connection ends in one way or another."""
    got = 0
    with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
        while piece := read(2**20):
            got += len(piece)
    return got


def eventually(is_so: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# Files ---------------------------------------------------------------------------------------------------------------


def test_a_file_comes_as_it_is_with_what_a_client_needs_to_know(server: Server) -> None:
    answer = ask(server.url, f"/{SESSION}/spikes.times.npy", accept_encoding="gzip, br, zstd")
    assert answer.status == 200
    assert answer.body == CONTENT
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["etag"].startswith('"')
    assert answer.headers["last-modified"].endswith("GMT")
    assert "content-encoding" not in answer.headers
    assert ask(server.url, f"/{SESSION}/%232024-05-06%23/spikes.times.npy").body == b"newer"


def test_head_says_what_get_would_and_sends_nothing(server: Server) -> None:
    path = f"/{SESSION}/spikes.times.npy"
    given, head = ask(server.url, path), ask(server.url, path, "HEAD", range="bytes=1-2")
    for headers in (given.headers, head.headers):
        headers.pop("date")
    assert (head.status, head.headers, head.body) == (200, given.headers, b"")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.npy", "application/octet-stream"),
        ("a.tsv", "text/tab-separated-values; charset=utf-8"),
        ("a.CSV", "text/csv; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.tsv.gz", "application/gzip"),
        ("sessions.pqt", "application/vnd.apache.parquet"),
        ("datasets.pqt", "application/vnd.apache.parquet"),
        (".one_root", "text/tab-separated-values; charset=utf-8"),
        (".one_packs", "text/tab-separated-values; charset=utf-8"),
        ("noextension", "application/octet-stream"),
        ("a.html", "text/html; charset=utf-8"),
    ],
)
def test_each_file_has_its_type_and_none_runs_scripts(server: Server, root: Path, name: str, kind: str) -> None:
    (root / name).write_bytes(b"<script>1</script>")
    answer = ask(server.url, f"/{name}")
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get("content-security-policy", "").startswith("sandbox") == kind.startswith("text/html")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=2-5", 2, 5),
        ("bytes=7-", 7, 9),
        ("bytes=-3", 7, 9),
        ("bytes=-30", 0, 9),
        ("bytes=5-99999999999999999999", 5, 9),
        ("BYTES = 2 - 5", 2, 5),
    ],
)
def test_a_range_gives_these_bytes(server: Server, text: str, first: int, last: int) -> None:
    answer = ask(server.url, "/small.tsv", range=text)
    assert (answer.status, answer.body) == (206, b"0123456789"[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/10"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("text", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999-"])
def test_a_range_of_nothing_is_416(server: Server, text: str) -> None:
    answer = ask(server.url, "/small.tsv", range=text)
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */10")


@pytest.mark.parametrize(
    "text",
    ["", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=" + "9" * 5000 + "-"],
)
def test_what_is_no_single_range_gives_all(server: Server, text: str) -> None:
    answer = ask(server.url, "/small.tsv", range=text)
    assert (answer.status, answer.body) == (200, b"0123456789")


def test_ranges_of_a_large_file_and_of_an_empty_one(server: Server) -> None:
    path = f"/{SESSION}/spikes.times.npy"
    pieces = [(0, 300_000), (300_000, 300_001), (300_001, len(CONTENT))]
    parts = [ask(server.url, path, range=f"bytes={start}-{stop - 1}").body for start, stop in pieces]
    assert b"".join(parts) == CONTENT
    assert ask(server.url, "/empty.npy")[::2] == (200, b"")
    assert ask(server.url, "/empty.npy", range="bytes=0-").status == 416
    assert wanted("bytes=-5", 0) is None


def test_an_entity_tag_is_of_one_content(server: Server, root: Path) -> None:
    file, path = root / "small.tsv", "/small.tsv"
    tags = {ask(server.url, path).headers["etag"]}
    assert tags == {ask(server.url, path).headers["etag"]}
    before = file.stat()
    file.write_bytes(b"abcdefghij")
    tags.add(ask(server.url, path).headers["etag"])
    time.sleep(0.02)
    file.write_bytes(b"ABCDEFGHIJ")  # of the same size, and of the same time, as rsync -t leaves it
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    tags.add(ask(server.url, path).headers["etag"])
    (root / "new").write_bytes(b"0123456789")
    (root / "new").replace(file)
    tags.add(ask(server.url, path).headers["etag"])
    assert len(tags) == 4
    assert not any(tag.startswith("W/") for tag in tags)


def test_what_is_known_is_not_sent_again(server: Server, root: Path) -> None:
    os.utime(root / "small.tsv", (1_700_000_000.5, 1_700_000_000.5))
    etag, path = ask(server.url, "/small.tsv").headers["etag"], "/small.tsv"
    same, earlier, later = (formatdate(1_700_000_000 + away, usegmt=True) for away in (0, -1, 1))
    for headers, status in (
        ({"if_none_match": etag}, 304),
        ({"if_none_match": f'"other", W/{etag}'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"other"'}, 200),
        ({"if_none_match": '"other"', "if_modified_since": later}, 200),  # the tag decides
        ({"if_none_match": etag, "range": "bytes=0-1"}, 304),
        ({"if_modified_since": same}, 304),
        ({"if_modified_since": later}, 304),
        ({"if_modified_since": earlier}, 200),
        ({"if_modified_since": same.replace("GMT", "-0000")}, 304),
        ({"if_modified_since": "yesterday"}, 200),
        ({"if_modified_since": "Sun, 99 Nov 9999999 99:99:99 GMT"}, 200),
        ({"if_match": etag}, 200),
        ({"if_match": "*"}, 200),
        ({"if_match": f"W/{etag}"}, 412),
        ({"if_match": '"other"', "if_none_match": etag}, 412),
        ({"if_unmodified_since": same}, 200),
        ({"if_unmodified_since": earlier}, 412),
        ({"range": "bytes=0-1", "if_range": etag}, 206),
        ({"range": "bytes=0-1", "if_range": same}, 206),
        ({"range": "bytes=0-1", "if_range": later}, 200),
        ({"range": "bytes=0-1", "if_range": f"W/{etag}"}, 200),
        ({"range": "bytes=0-1", "if_range": '"other"'}, 200),
        ({"range": "bytes=99-", "if_range": '"other"'}, 200),
        ({"range": "bytes=0-1", "if_range": "nonsense"}, 200),
    ):
        answer = ask(server.url, path, **headers)
        assert answer.status == status, headers
        assert len(answer.body) == {200: 10, 206: 2, 304: 0}.get(status, len(answer.body))
        assert answer.headers["etag"] == etag


def test_a_date_in_the_future_is_not_stated(server: Server, root: Path) -> None:
    os.utime(root / "small.tsv", (4_000_000_000, 4_000_000_000))
    assert "last-modified" not in ask(server.url, "/small.tsv").headers


def test_nothing_can_be_written(server: Server, root: Path) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "PROPFIND", "TRACE"):
        answer = ask(server.url, "/small.tsv", method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (root / "small.tsv").read_bytes() == b"0123456789"


def test_pages_of_other_origins_may_read(server: Server) -> None:
    before = ask(server.url, "/small.tsv", "OPTIONS", origin="https://a.org", access_control_request_method="GET")
    assert before.status == 204
    assert before.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert {"Range", "Authorization"} <= set(before.headers["access-control-allow-headers"].split(", "))
    for path in ("/small.tsv", "/", "/missing"):
        answer = ask(server.url, path, origin="https://a.org")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert {"ETag", "Content-Range"} <= set(answer.headers["access-control-expose-headers"].split(", "))


# What is not served --------------------------------------------------------------------------------------------------


NOT_SERVED = [
    *(
        "/../outside/secret.npy",
        "/%2e%2e/outside/secret.npy",
        "/%2E./outside/secret.npy",
        "/..%2foutside%2fsecret.npy",
    ),
    *("/lab/../../outside/secret.npy", "/lab/%2e%2e/%2e%2e/outside/secret.npy", "/..%5coutside%5csecret.npy"),
    *("/%252e%252e/outside/secret.npy", "/..;/outside/secret.npy", "/%c0%ae%c0%ae/outside/secret.npy"),
    *("/../root-beside/secret.npy", "/%2e%2e/root-beside/secret.npy", "/./small.tsv", "/lab/../small.tsv"),
    *("//small.tsv", "/lab//Subjects/", "/%2fetc/passwd", "//etc/passwd", "/%2Fetc%2Fpasswd", "/C:/x", "/C:%5cx"),
    *(
        "/small.tsv%00",
        "/%00",
        "/small.tsv%00.npy",
        "/small.tsv/",
        "/small.tsv/x",
        "/small.tsv%0d%0aX:y",
        "/small.tsv.",
    ),
    *("/small.tsv%20", "/small.tsv::$DATA", "/%ff", "/%ed%a0%80", "/missing", "/" + "x" * 256, "/" + "x/" * 3000),
    *("/" + "x" * 5000, "/" + "%2e%2e/" * 20 + "etc/passwd", "/\\..\\outside\\secret.npy", "/%ef%bc%8e%ef%bc%8e/x"),
    *(
        "/.hidden",
        "/.git/config",
        "/.one_index",
        "/.one_verified",
        "/.one_root/x",
        "/.one_packs/",
        "/lab/.secret/x.npy",
    ),
    *(
        "/pipe",
        "/outward",
        "/outward.npy",
        "/upward/outside/secret.npy",
        "/circle",
        "/circle/x",
        "/broken",
        "/to-hidden",
    ),
    *("/absolute/secret.npy", "/lab/through/secret.npy", "/beside/secret.npy", "/dotfolder/x"),
]


def test_nothing_else_is_served(root: Path, tmp_path: Path) -> None:
    for hidden in (".hidden", ".git/config", ".one_index", ".one_verified", "lab/.secret/x.npy", ".one_packs/x"):
        (root / hidden).parent.mkdir(exist_ok=True)
        (root / hidden).write_bytes(SECRET)
    if hasattr(os, "mkfifo"):
        os.mkfifo(root / "pipe")
    for link, target in (
        ("outward", "../outside"),
        ("outward.npy", "../outside/secret.npy"),
        ("upward", ".."),
        ("circle", "circle"),
        ("broken", "nowhere"),
        ("to-hidden", ".hidden"),
        ("dotfolder", ".git"),
        ("absolute", str(tmp_path / "outside")),
        ("lab/through", "../outward"),
        ("beside", "../root-beside"),
    ):
        (root / link).symlink_to(target)
    with Server(root) as server:
        for path in NOT_SERVED:
            answer = ask(server.url, path)
            assert answer.status in (404, 400), path
            assert SECRET not in answer.body
        shown = read_page(ask(server.url, "/").body.decode(), server.url)
        assert {item.name for item in shown} == {"lab", "empty.npy", "small.tsv"}
        assert [item.name for item in read_page(ask(server.url, "/lab/").body.decode(), f"{server.url}/lab/")] == [
            "Subjects"
        ]


def test_links_that_stay_inside_are_followed(root: Path, tmp_path: Path) -> None:
    (root / "link.npy").symlink_to("small.tsv")
    (root / "absolute.npy").symlink_to(root / "small.tsv")
    (root / "folder").symlink_to(SESSION)
    (root / "lab" / "up").symlink_to("..")
    (tmp_path / "root-link").symlink_to(root)
    with Server(tmp_path / "root-link") as server:
        assert ask(server.url, "/link.npy").body == b"0123456789"
        assert ask(server.url, "/lab/up/small.tsv").body == b"0123456789"
        assert ask(server.url, "/folder/spikes.times.npy").body == CONTENT
        items = {item.name: item for item in read_page(ask(server.url, "/").body.decode(), server.url)}
    assert items["folder"].is_folder
    assert items["link.npy"].size == 10
    assert "absolute.npy" not in items or items["absolute.npy"].size == 10


def test_a_link_that_is_put_in_place_of_a_folder_meanwhile_leads_nowhere(root: Path) -> None:
    (root / "swap").mkdir()
    (root / "swap" / "secret.npy").write_bytes(b"harmless")
    (root / "link").symlink_to("../outside")
    (root / "real").mkdir()
    (root / "real" / "secret.npy").write_bytes(b"harmless")
    done = threading.Event()

    def exchange() -> None:
        while not done.is_set():
            (root / "swap").rename(root / "old")
            (root / "link").rename(root / "swap")
            (root / "swap").rename(root / "link")
            (root / "old").rename(root / "swap")

    thread = threading.Thread(target=exchange)
    with Server(root) as server:
        thread.start()
        try:
            bodies = {ask(server.url, "/swap/secret.npy").body for _ in range(500)}
        finally:
            done.set()
            thread.join()
    assert b"harmless" in bodies
    assert SECRET not in bodies


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_the_server_may_not_read_is_told_apart(server: Server, root: Path) -> None:
    (root / "small.tsv").chmod(0)
    assert ask(server.url, "/small.tsv").status == 403


# The token -----------------------------------------------------------------------------------------------------------


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_who_has_no_token_sees_nothing(root: Path) -> None:
    with Server(root, token="canary-ü") as server:
        for value in (
            "Bearer canary-ü",
            "bearer  canary-ü ",
            basic(":canary-ü"),
            basic("anybody:canary-ü"),
        ):
            raw = value.encode().decode("latin-1")
            assert ask(server.url, "/small.tsv", authorization=raw).body == b"0123456789", value
        for value in (
            *(
                "",
                "Bearer",
                "Bearer ",
                "Bearer canary",
                "Bearer canary-üx",
                "Bearer wrong",
                "token canary-ü",
                "canary-ü",
            ),
            *(basic("canary-ü"), basic("canary-ü:"), basic("a:wrong"), basic("a:canary-ü:"), "Basic %%%", "Basic ü"),
        ):
            for path in ("/small.tsv", "/", "/missing", "/../x"):
                answer = ask(server.url, path, authorization=value.encode().decode("latin-1"))
                assert answer.status == 401, value
                assert "Bearer" in answer.headers["www-authenticate"] or "Basic" in answer.headers["www-authenticate"]
                assert b"0123" not in answer.body
                assert b"canary" not in answer.body
        assert ask(server.url, "/small.tsv").status == 401
        assert ask(server.url, "/small.tsv", "PUT").status == 401
        assert ask(server.url, "/small.tsv", "OPTIONS").status == 204  # a browser asks without it
        assert "private" in ask(server.url, "/small.tsv", authorization=basic("a:canary-ü")).headers["cache-control"]


def test_who_else_can_read_is_said(root: Path, notes: list[str]) -> None:
    with Server(root):
        assert notes == []
    with Server(root, host="0.0.0.0") as server:
        assert ask(server.url, "/small.tsv").status == 200
    assert notes == [exposure("0.0.0.0")]
    assert "no token" in notes[0]
    assert "without encryption" in exposure("192.168.1.5", "canary")
    assert "canary" not in exposure("192.168.1.5", "canary")
    assert exposure("localhost") == exposure("::1", "x") == ""


# Folders -------------------------------------------------------------------------------------------------------------


def test_a_page_shows_the_folder_exactly(server: Server, root: Path) -> None:
    names = {"a b.npy": 3, "#1#.npy": 0, "100%.npy": 1, "<script>alert(1)</script>.npy": 2, 'it\'s "é" & ü?.npy': 5}
    folder = root / "odd"
    folder.mkdir()
    for name, size in names.items():
        (folder / name.replace("/", "~")).write_bytes(bytes(size))
    (folder / "sub <b>").mkdir()
    answer = ask(server.url, "/odd/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<script" not in answer.body
    items = read_page(answer.body.decode(), f"{server.url}/odd/")
    assert items[0][:3] == ("sub <b>", True, None)
    assert {item.name: item.size for item in items[1:]} == {
        name.replace("/", "~"): size for name, size in names.items()
    }
    for item in items[1:]:
        assert len(ask(server.url, f"/odd/{quote(item.name)}").body) == item.size
    head = ask(server.url, "/odd/", "HEAD")
    assert (head.body, head.headers["content-length"]) == (b"", str(len(answer.body)))


def test_a_folder_without_a_slash_leads_to_itself(server: Server) -> None:
    answer = ask(server.url, f"/{SESSION}/%232024-05-06%23")
    assert (answer.status, answer.headers["location"]) == (301, "%232024-05-06%23/")
    with urllib.request.urlopen(f"{server.url}/{SESSION}/%232024-05-06%23") as final:
        assert final.url == f"{server.url}/{SESSION}/%232024-05-06%23/"


def test_names_that_are_not_utf_8_are_not_shown(server: Server, root: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(root) + b"/\xff.npy")).touch()
    except OSError:
        pytest.skip("this disk holds names in UTF-8 only")
    assert "\ufffd" not in ask(server.url, "/").body.decode()


# The server ----------------------------------------------------------------------------------------------------------


def test_a_large_file_goes_through_little_memory(tmp_path: Path) -> None:
    size = 200 << 20
    with (tmp_path / "large.npy").open("wb") as file:
        file.truncate(size)
    code = (
        "import sys\nfrom onelight.serving import Server\n"
        "with Server(sys.argv[1]) as server:\n    print(server.url, flush=True)\n    sys.stdin.read()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(serving.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        url = process.stdout.readline().strip()
        ask(url, "/")
        before = peak(process.pid)
        total = 0
        with urllib.request.urlopen(f"{url}/large.npy") as answer:
            while piece := answer.read(2**20):
                total += len(piece)
        # And one who takes nothing: what he does not take is not read.
        with socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0)) as lazy:
            lazy.sendall(b"GET /large.npy HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.5)
            grown = peak(process.pid) - before
        process.stdin.close()
    assert total == size
    assert grown < 16 << 20


def peak(number: int) -> int:
    status = Path(f"/proc/{number}/status")
    if not status.exists():
        pytest.skip("only Linux tells")
    found = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(found.split()[1]) << 10


def test_fifty_readers_at_a_time_all_get_what_they_asked_for(server: Server, root: Path) -> None:
    contents = {}
    for number in range(50):
        contents[f"/f{number}.npy"] = os.urandom(400_000 + number)
        (root / f"f{number}.npy").write_bytes(contents[f"/f{number}.npy"])
    with ThreadPoolExecutor(50) as pool:
        got = dict(zip(contents, pool.map(lambda path: ask(server.url, path).body, contents), strict=True))
    assert {path: hashlib.md5(body).hexdigest() for path, body in got.items()} == {
        path: hashlib.md5(body).hexdigest() for path, body in contents.items()
    }


def test_a_file_that_changes_while_it_is_sent_is_not_ended(server: Server, root: Path) -> None:
    size = 64 << 20  # more than the sockets hold
    with (root / "large.npy").open("wb") as file:
        file.truncate(size)
    with urllib.request.urlopen(f"{server.url}/large.npy") as answer:
        got = len(answer.read(100_000))
        with (root / "large.npy").open("r+b") as file:
            file.seek(size - 10)
            file.write(b"0123456789")
        assert 0 < got + taken(answer.read) < size


def test_a_file_that_shrinks_while_it_is_sent_is_not_ended(server: Server, root: Path) -> None:
    (root / "large.npy").write_bytes(bytes(32 << 20))
    with urllib.request.urlopen(f"{server.url}/large.npy") as answer:
        got = len(answer.read(100_000))
        os.truncate(root / "large.npy", 1000)
        assert 0 < got + taken(answer.read) < 32 << 20
    assert ask(server.url, "/small.tsv").status == 200


def test_a_large_file_comes_as_it_is_whether_the_system_has_it_in_memory_or_not(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(1_000_001)
    (root / "large.npy").write_bytes(content)
    assert ask(server.url, "/large.npy").body == content
    cached = serving._Found.read_cached
    turns = itertools.count()
    for instead in (
        lambda found, count, at: None,
        lambda found, count, at: cached(found, 1000, at),  # a part of what was wanted
        lambda found, count, at: cached(found, count, at) if next(turns) % 2 else None,
    ):
        monkeypatch.setattr(serving._Found, "read_cached", instead)
        assert ask(server.url, "/large.npy").body == content
        assert ask(server.url, "/large.npy", range="bytes=3-900000").body == content[3:900_001]

    def unknown(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "not known")

    monkeypatch.setattr(serving._Found, "read_cached", cached)
    monkeypatch.setattr(serving, "_PREADV", unknown)
    assert ask(server.url, "/large.npy").body == content


def open_files(end: str) -> int:
    return sum(str(link.readlink()).endswith(end) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells which files are open")
def test_who_goes_away_leaves_nothing_open(server: Server, root: Path) -> None:
    with (root / "large.npy").open("wb") as file:
        file.truncate(1 << 30)
    parts = urlsplit(server.url)
    for _ in range(5):
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as guest:
            guest.sendall(b"GET /large.npy HTTP/1.1\r\nHost: x\r\n\r\n")
            assert guest.recv(1000)
    assert eventually(lambda: open_files("large.npy") == 0)
    for path in ("/small.tsv", "/", "/missing", "/lab"):
        ask(server.url, path, if_none_match="*")
        ask(server.url, path, range="bytes=99-")
    assert eventually(lambda: open_files("small.tsv") == 0)


def test_who_takes_nothing_is_sent_away(server: Server, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STALL_SECONDS", 0.5)
    with (root / "large.npy").open("wb") as file:
        file.truncate(64 << 20)
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as guest:
        guest.sendall(b"GET /large.npy HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(4)
        guest.settimeout(20)
        assert taken(guest.recv) < 64 << 20


def test_a_request_that_never_ends_is_cut(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS", 1)
    with Server(root) as server:
        parts = urlsplit(server.url)
        where = (parts.hostname or "", parts.port or 0)
        with socket.create_connection(where) as guest:
            guest.settimeout(20)
            sent = 0
            with contextlib.suppress(ConnectionError):
                for _ in range(1000):
                    sent += guest.send(b"GET /" if not sent else b"x" * 10_000)
            assert sent < 9_000_000
        for begun in (b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: "):
            with socket.create_connection(where) as guest:
                guest.settimeout(20)
                guest.sendall(begun)
                assert taken(guest.recv) == 0
        for body in (b"GET http:// HTTP/1.1\r\n\r\n", b"\0\1\2\3\r\n\r\n", b"GET * HTTP/1.1\r\nHost: x\r\n\r\n"):
            with socket.create_connection(where) as guest:
                guest.settimeout(20)
                guest.sendall(body)
                assert b" 40" in guest.recv(100)
        assert ask(server.url, "/small.tsv").status == 200


def test_a_connection_is_used_again(server: Server) -> None:
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.connect()
    first = connection.sock
    for path, status in (("/small.tsv", 200), ("/missing", 404), ("/", 200), (f"/{SESSION}/spikes.times.npy", 200)):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, connection.sock) == (status, first)
    connection.close()


def test_it_can_be_started_and_stopped_again_and_again(root: Path) -> None:
    server = Server(root)
    server.stop()
    for _ in range(3):
        server.start()
        server.start()
        assert ask(server.url, "/small.tsv").body == b"0123456789"
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            ask(server.url, "/small.tsv")


def test_it_stops_while_somebody_reads(root: Path) -> None:
    with (root / "large.npy").open("wb") as file:
        file.truncate(1 << 30)
    with Server(root) as server:
        answer = urllib.request.urlopen(f"{server.url}/large.npy")
        start = time.monotonic()
    assert time.monotonic() - start < 10
    answer.close()


def test_what_cannot_be_served_is_said(root: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        Server(root / "missing").start()
    with pytest.raises(ConfigError, match="no folder"):
        Server(root / "small.tsv").start()
    with Server(root) as server, pytest.raises(ConfigError, match="cannot be used"):
        Server(root, port=urlsplit(server.url).port or 0).start()
    for host in ("192.0.2.1", "nowhere.invalid", "a" * 300):
        with pytest.raises(ConfigError, match="cannot be used"):
            Server(root, host=host).start()
    with pytest.raises(ConfigError, match="cannot be used"):
        Server(root, port=99999).start()


def test_it_listens_at_ipv6(root: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    with Server(root, host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert ask(server.url, "/small.tsv").status == 200


def test_the_app_serves_http_only(root: Path) -> None:
    with pytest.raises(ValueError, match="only HTTP"):
        asyncio.run(app(root)({"type": "websocket"}, None, None))  # type: ignore[arg-type]


# Together ------------------------------------------------------------------------------------------------------------


def one_root(root: Path) -> None:
    paths = sorted(str(path.relative_to(root)) for path in root.rglob("*.npy") if "Subjects" in path.parts)
    (root / ".one_root").write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=Limits(pause=0.1, attempts=8)) as running:
        yield running


def copied(repository: HttpRepository, client: Client, target: Path) -> list[Outcome]:
    ledger = Ledger(target)
    return download(plan_download(repository.refresh(), target, ledger), repository, client, target, ledger)


def test_our_own_client_downloads_a_repository(data_root: Path, tmp_path: Path, client: Client) -> None:
    one_root(data_root)
    with Server(data_root) as server:
        repository = HttpRepository("near", server.url, client)
        index = repository.refresh()
        assert repository.refresh(index) is index  # it is still the one
        outcomes = copied(repository, client, tmp_path / "copy")
    assert len(outcomes) > 10
    for entry in index:
        assert (tmp_path / "copy" / entry.path).read_bytes() == (data_root / entry.path).read_bytes()


def test_our_own_client_goes_on_where_it_was(
    root: Path, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(16 << 20)
    (root / SESSION / "spikes.times.npy").write_bytes(content)
    one_root(root)
    asked: list[str] = []
    read, ranges = serving._Found.read, serving.wanted

    def slowly(found: serving._Found, count: int, offset: int) -> bytes:
        time.sleep(0.02)
        return read(found, count, offset)

    def noted(text: str, size: int) -> serving.Span | None:
        asked.append(text)
        return ranges(text, size)

    monkeypatch.setattr(serving._Found, "read", slowly)
    monkeypatch.setattr(serving._Found, "read_cached", lambda *_: None)
    monkeypatch.setattr(serving, "wanted", noted)
    target = tmp_path / "copy"
    with Server(root) as server, ThreadPoolExecutor(1) as pool:
        done = pool.submit(copied, HttpRepository("near", server.url, client), client, target)
        assert eventually(lambda: any(path.stat().st_size > 2 << 20 for path in target.rglob("*.part")))
        server.stop()
        server.port = urlsplit(server.url).port or 0
        server.start()
        assert all(outcome.error is None for outcome in done.result(60))
    assert (target / SESSION / "spikes.times.npy").read_bytes() == content
    assert any(text not in ("", "bytes=0-") for text in asked)


def test_with_a_token_our_own_client_signs_in_with_it_as_password(data_root: Path, client: Client) -> None:
    one_root(data_root)
    with Server(data_root, token="canary") as server:
        assert len(HttpRepository("near", server.url, client, login="anybody", password="canary").refresh()) > 10
        with pytest.raises(AccessDenied):
            HttpRepository("near", server.url, client).refresh()
