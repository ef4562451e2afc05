"""A web server that lies, against the whole program: nothing of ours gets out, nothing of its gets in.

Each test is a real ``onelight`` process with a password in its configuration, and after each the same is looked at:

* nothing was written but below the data folder and the configuration;
* under a final name lie right bytes or none;
* the password went to the server that it is for, and to nobody else, and is in nothing that was shown;
* the process took less than :data:`MOST` memory, and asked a bounded number of times;
* it ended with an exit code that says what is wrong, and without a traceback.

What one part of the program does with one lie is elsewhere, and is not repeated here: links and names in a list, and
what of XML is refused (``test_listing.py``); lists in circles, links elsewhere (``test_http_listed.py``); rows of an
index (``test_http.py``, and ``tests/transfer/test_rows_names.py`` for names, private addresses and terminals); a table
that is no table, sizes and md5 that are others (``test_http_tables.py``), damaged and absurd tables
(``tests/test_cache_tables.py``); broken lengths, ranges, chunks, compression and redirects of a file
(``tests/transfer/test_rows_network.py``: N4 to N14, N23, N26 to N28); secrets in every command and file
(``tests/cli/test_cli_canary.py``); the same for figshare (``test_figshare_hostile.py``).
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import itertools
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import servers
from servers import Exchange, Fault, Good, WebServer, redirect

from onelight.client import Client
from onelight.config import Config, Settings
from onelight.errors import UnsafeData
from onelight.index import Entry
from onelight.kinds import walking
from onelight.kinds.http import HttpRepository
from onelight.tables import write_tables

CHECKOUT = Path(__file__).resolve().parents[2]
SESSION = "lab/Subjects/Cori/2016-12-14/001"
TIMES, CLUSTERS = f"{SESSION}/alf/spikes.times.npy", f"{SESSION}/alf/spikes.clusters.npy"
FILES = {CLUSTERS: os.urandom(20_000), TIMES: os.urandom(30_000)}
CANARY = "canary-9c41"
BASIC = "Basic " + base64.b64encode(f"me:{CANARY}".encode()).decode()
#: Bytes. Two files take 104 MB, most of it pyarrow's own, which reads the table; a million rows without a table 58 MB.
MOST = 400_000_000
# What is beyond it is not tried out on the computer of whoever runs the tests.
_CEILING = 3 << 30
# ru_maxrss of a child begins at its parent's value and would say nothing; VmHWM is of this program.
_PROGRAM = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
from onelight.cli import run
code = run(sys.argv[3:])
lines = Path("/proc/self/status").read_text().splitlines()
Path(sys.argv[1]).write_text(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
sys.exit(code)
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="Linux tells the most memory of a process"
)


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str
    peak: int

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The lines of stdout, each parsed as one JSON object."""
        return [json.loads(line) for line in self.out.splitlines()]


class AnyPath(dict[str, Sequence[Fault]]):
    """Plays one fault for every path that has none of its own."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self._fault = fault

    def get(self, path: str, default: Any = None) -> Any:
        return super().get(path) or [self._fault]


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return all that lies in a folder; folders and links without content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.rglob("*")
    }


@dataclass
class Reader:
    """Somebody who reads a repository, in a home of his own.

    Parameters
    ----------
    server : WebServer
        The repository, which lies.
    elsewhere : WebServer
        Another server, which has everything and takes note of who asks.
    home : Path
        Where the command runs; ``data`` in it is where data go.
    right : dict
        What may lie under a final name.
    """

    server: WebServer
    elsewhere: WebServer
    home: Path
    right: dict[str, bytes] = field(default_factory=lambda: dict(FILES))

    def __post_init__(self) -> None:
        (self.home / "temporary").mkdir(parents=True)
        (self.home / "beside").write_bytes(b"mine")
        config = Config.load()
        options = {"base_url": f"{self.server.url}/data", "login": "me", "password": CANARY}
        config.add(Settings("web", "http", options))
        config.choose("web")

    @property
    def data(self) -> Path:
        return self.home / "data"

    def share(self, rows: Iterable[str] = tuple(FILES), entries: Iterable[Entry] | None = None, **files: bytes) -> None:
        """Put an index on the server, a table that states these entries, and the files."""
        self.server.files["/data/.one_root"] = "".join(f"{row}\n" for row in rows).encode()
        if entries is not None:
            folder = self.home.parent / "tables"
            folder.mkdir(exist_ok=True)
            write_tables(sorted(entries, key=lambda entry: entry.path), folder)
            self.server.files["/data/datasets.pqt"] = (folder / "datasets.pqt").read_bytes()
        self.server.files.update({f"/data/{path}": content for path, content in FILES.items()})

    def types(self, *arguments: str, seconds: float = 120, **environment: str) -> Ended:
        """Type a command, and look whether it has done any harm."""
        before = tree(self.home)
        peak = self.home.parent / "peak"
        peak.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(peak), str(_CEILING), *arguments],
            cwd=self.home,
            env={
                **os.environ,
                "PYTHONPATH": str(CHECKOUT),
                "HOME": str(self.home),
                "TMPDIR": str(self.home / "temporary"),
                "ONELIGHT_INDEX_MAX_AGE": "0",
                "ONELIGHT_ATTEMPTS": "2",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err, err
        assert peak.exists(), err
        ended = Ended(done.returncode, out, err, int(peak.read_text()) * 1024)
        assert ended.peak < MOST, f"{ended.peak:,} bytes: {err}"
        assert not ended.code or f"{out}{err}".strip(), "it says nothing"
        self.check_nothing_got_in(before)
        self.check_nothing_got_out(ended)
        return ended

    def check_nothing_got_in(self, before: Mapping[str, bytes | None]) -> None:
        after = tree(self.home)
        outside = {path: content for path, content in after.items() if path.partition("/")[0] != "data"}
        assert outside == {path: before[path] for path in before if path.partition("/")[0] != "data"}
        for path, content in after.items():
            if path in outside or content is None or Path(path).name.startswith("."):
                continue
            assert self.right.get(path.removeprefix("data/")) == content, f"{path} is not what it should be"

    def check_nothing_got_out(self, ended: Ended) -> None:
        for text in (ended.out, ended.err):
            assert CANARY not in text
            assert BASIC.split()[1] not in text
        for seen in self.elsewhere.requests:
            said = f"{seen.target} {seen.headers}{seen.body!r}"
            assert CANARY not in said
            assert "authorization" not in seen.headers
            assert BASIC.split()[1] not in said

    def downloads(self, **environment: str) -> Ended:
        return self.types("download", SESSION, "--output", str(self.data), "--json", **environment)

    def there(self) -> list[str]:
        """Return the files under final names."""
        found = (path.relative_to(self.data) for path in self.data.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in found if not path.name.startswith("."))


@pytest.fixture
def reader(config_dir: Path, tmp_path: Path) -> Iterator[Reader]:
    with WebServer() as server, WebServer() as elsewhere:
        server.password = BASIC
        yield Reader(server, elsewhere, tmp_path / "home")


def stated(files: Mapping[str, bytes] = FILES) -> list[Entry]:
    return [Entry(path, "", len(content), hashlib.md5(content).hexdigest()) for path, content in files.items()]


# An honest server, to compare with -----------------------------------------------------------------------------------


def test_an_honest_server_is_read(reader: Reader) -> None:
    reader.share(entries=stated())
    done = reader.downloads()
    assert done.code == 0, done.err
    assert reader.there() == sorted(FILES)
    assert {row["verified"] for row in done.rows if row["action"] == "download"} == {"md5"}
    assert len(reader.server.requests) == 4


# Lists ---------------------------------------------------------------------------------------------------------------


def page(*links: str) -> bytes:
    return b"<html><body><pre>" + b"".join(f'<a href="{link}">x</a>\n'.encode() for link in links) + b"</pre>"


def answer_of(exchange: Exchange, *hrefs: str) -> bytes:
    """Return what a WebDAV server says of a folder with these in it."""
    rows = "".join(
        f"<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:resourcetype>"
        f"{'<d:collection/>' if href.endswith('/') else ''}</d:resourcetype></d:prop>"
        "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        for href in (exchange.request.target, *hrefs)
    )
    return f'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">{rows}</d:multistatus>'.encode()


def pages(listed: Callable[[str], Iterable[str]], *, dav: bool) -> Fault:
    """Show a folder for every path that ends with a slash: by WebDAV, or as a page for people only."""

    def fault(exchange: Exchange) -> None:
        path, method = exchange.request.target, exchange.request.method
        if exchange.content is not None:
            Good(exchange)
        elif not path.endswith("/") or (method == "PROPFIND" and not dav):
            exchange.answer(404 if method == "GET" else 405)
        elif method == "PROPFIND":
            exchange.answer(207, answer_of(exchange, *(f"{path}{name}" for name in listed(path))))
        else:
            exchange.answer(200, page(*listed(path)), {"Content-Type": "text/html"})

    return fault


DAV = pytest.mark.parametrize("dav", [False, True], ids=["pages", "dav"])
ABOVE = ["data/", "data/lab/", "data/lab/Subjects/", "data/lab/Subjects/Cori/", "data/lab/Subjects/Cori/2016-12-14/"]


def honest(path: str) -> list[str]:
    """Return what lies in a folder of the one session there is."""
    below = path.removeprefix("/data/")
    names = {file.removeprefix(below) for file in FILES if file.startswith(below)}
    return sorted({name.split("/")[0] + ("/" if "/" in name else "") for name in names})


EVIL = [
    *("../", "../../evil.npy", "%2e%2e/", "..%2fevil.npy", "%2e%2e%2fevil.npy", "..%5cevil.npy", "..\\evil.npy"),
    *("/etc/passwd", "//127.0.0.1/evil.npy", "http://127.0.0.1:9/evil.npy", "https://127.0.0.1/evil.npy"),
    *("javascript:alert(1)", "file:///etc/passwd", "data:,x", "evil.x%00.npy", "evil.x%0a.npy", "%00", "evil.x."),
    *("C:%5cevil.x.npy", "C:evil.x.npy", "~/evil.x.npy", "%ff.npy", "evil.x.npy%20", "x" * 300 + ".x.npy"),
    *("evil%e2%80%ae.x.npy?x", "evil.x.npy#x"),
]


@DAV
def test_a_list_leads_nowhere_but_down(reader: Reader, dav: bool) -> None:
    reader.server.files.update({f"/data/{path}": content for path, content in FILES.items()})

    def listed(path: str) -> list[str]:
        evil = [link if not dav else link.replace("\\", "%5c").replace("&", "") for link in EVIL]
        return [*evil, f"{reader.elsewhere.url}{path}", *honest(path)]

    reader.server.faults = AnyPath(pages(listed, dav=dav))
    reader.elsewhere.faults = AnyPath(pages(honest, dav=dav))
    done = reader.downloads()
    assert done.code == 0, done.err
    assert reader.there() == sorted(FILES)
    assert reader.elsewhere.requests == []
    assert all(seen.path.startswith("/data/") and ".." not in seen.path for seen in reader.server.requests)
    assert len(reader.server.requests) < 25


@DAV
@pytest.mark.parametrize("name", ["CON", "nul.x.npy", "aux.spikes.npy", "COM1.times.npy"])
def test_a_device_of_windows_in_a_list_is_taken_as_a_name_or_not_at_all(reader: Reader, dav: bool, name: str) -> None:
    path = f"{SESSION}/alf/{name}"
    reader.right[path] = reader.server.files[f"/data/{path}"] = b"a file"
    reader.server.files.update({f"/data/{path}": content for path, content in FILES.items()})
    reader.server.faults = AnyPath(
        pages(lambda path: [*honest(path), *([name] if path.endswith("alf/") else [])], dav=dav)
    )
    done = reader.downloads()
    assert done.code in (0, 8), done.err
    assert set(reader.there()) <= set(reader.right)


@DAV
def test_a_folder_that_holds_itself_and_its_parent_under_other_names_ends(reader: Reader, dav: bool) -> None:
    def listed(path: str) -> list[str]:
        return ["again/", "parent/", "other/", "a.b.npy"] if "/001/" in path else honest(path)

    reader.server.faults = AnyPath(pages(listed, dav=dav))
    done = reader.types("search", "--json", seconds=200)
    assert done.code in (0, 8), done.err
    assert len(reader.server.requests) <= walking.MAX_FOLDERS + 30


@DAV
def test_a_tree_that_grows_by_the_hundred_is_refused_early(reader: Reader, dav: bool) -> None:
    def listed(path: str) -> list[str]:
        depth = path.count("/")
        if depth == 3:
            return ["Subjects/"]
        return [f"{number:03}/" if depth != 5 else f"2020-01-{number:02}/" for number in range(300)]

    reader.server.faults = AnyPath(pages(listed, dav=dav))
    done = reader.types("search", seconds=200)
    assert done.code == 8, done.err
    assert "onelight index" in done.err
    assert len(reader.server.requests) < 2000


@DAV
@pytest.mark.parametrize("at", [ABOVE[0], ABOVE[-1]])
def test_a_million_entries_in_one_list_are_refused(reader: Reader, at: str, dav: bool) -> None:
    def listed(path: str) -> Iterable[str]:
        return (
            (f"{number}" for number in range(1_000_000 if not dav else 110_000)) if path == f"/{at}" else honest(path)
        )

    reader.server.faults = AnyPath(pages(listed, dav=dav))
    done = reader.types("search")
    assert done.code == (3 if at == "data/" else 8), done.err
    assert len(reader.server.requests) < 20


@DAV
def test_files_are_counted_while_the_lists_come(reader: Reader, dav: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # With the true limit it takes a minute, 561 MB for 16 folders of 90,000 files each, and so on without end.
    monkeypatch.setattr(walking, "MAX_FILES", 5000)

    def listed(path: str) -> Iterable[str]:
        return (f"{number}/" for number in range(100)) if path == "/data/" else (f"{n}.jpg" for n in range(1000))

    reader.server.faults, reader.server.password = AnyPath(pages(listed, dav=dav)), ""
    with Client() as client, pytest.raises(UnsafeData, match="lists more than"):
        HttpRepository("web", f"{reader.server.url}/data", client).refresh()
    assert len(reader.server.requests) < 30


def endless(head: bytes, unit: Callable[[int], bytes], status: int = 200) -> Fault:
    """Begin an answer and never end it."""

    def fault(exchange: Exchange) -> None:
        exchange.head(status, {"Content-Type": "text/html", "Connection": "close"})
        exchange.send(head)
        for number in itertools.count():
            exchange.send(b"".join(unit(number * 1000 + each) for each in range(1000)))

    return fault


ENDLESS_PAGES = {
    "links": endless(b"<pre>", lambda number: f'<a href="{number}.npy">x</a>\n'.encode()),
    "one link": endless(b"<pre><a href='", lambda number: b"x" * 100),
    "comment": endless(b"<pre><!--", lambda number: b"x" * 100),
    "nothing": endless(b"", lambda number: b" " * 100),
}


@pytest.mark.parametrize("kind", ENDLESS_PAGES)
@pytest.mark.parametrize("at", [ABOVE[0], ABOVE[-1]])
def test_a_page_without_end_is_refused(reader: Reader, kind: str, at: str) -> None:
    def fault(exchange: Exchange) -> None:
        is_it = exchange.request.target == f"/{at}" and exchange.request.method == "GET"
        (ENDLESS_PAGES[kind] if is_it else pages(honest, dav=False))(exchange)

    reader.server.faults = AnyPath(fault)
    done = reader.types("search")
    assert done.code == (3 if at == ABOVE[0] else 8), done.err
    assert len(reader.server.requests) < 20


START = b'<?xml version="1.0"?><multistatus xmlns="DAV:">'
ENDLESS_ANSWERS = {
    "responses": endless(START, lambda number: b"<response><href>/data/x</href></response>" * 4, 207),
    "one text": endless(START + b"<response><href>", lambda number: b"x" * 100, 207),
    "depth": endless(START, lambda number: b"<response>" * 10, 207),
    "no XML": endless(b"", lambda number: bytes(100), 207),
}


@pytest.mark.parametrize("kind", ENDLESS_ANSWERS)
@pytest.mark.parametrize("at", [ABOVE[0], ABOVE[-1]])
def test_a_webdav_answer_without_end_is_refused(reader: Reader, kind: str, at: str) -> None:
    def fault(exchange: Exchange) -> None:
        is_it = exchange.request.target == f"/{at}" and exchange.request.method == "PROPFIND"
        (ENDLESS_ANSWERS[kind] if is_it else pages(honest, dav=at != ABOVE[0]))(exchange)

    reader.server.faults = AnyPath(fault)
    done = reader.types("search")
    assert done.code in ((0, 3, 8) if at == ABOVE[0] else (8,)), done.err
    assert len(reader.server.requests) < 30


@functools.cache
def bomb() -> bytes:
    """Return few bytes that would become more than there may be."""
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(b" " * 10_000_000) for _ in range(MOST // 10_000_000 + 10)) + packer.flush()


@DAV
@pytest.mark.parametrize("at", [ABOVE[0], ABOVE[-1]])
def test_a_list_that_is_a_bomb_is_not_unpacked(reader: Reader, at: str, dav: bool) -> None:
    def fault(exchange: Exchange) -> None:
        if exchange.request.target == f"/{at}" and (exchange.request.method == "PROPFIND") == dav:
            exchange.answer(207 if dav else 200, bomb(), {"Content-Encoding": "gzip"})
        else:
            pages(honest, dav=dav)(exchange)

    reader.server.faults = AnyPath(fault)
    done = reader.types("search")
    assert done.code in (0, 1, 3, 8), done.err
    assert len(reader.server.requests) < 30


@pytest.mark.parametrize(("coding", "is_read"), [("gzip", True), ("br", False), ("gzip, gzip", False)])
def test_a_list_that_is_packed_is_read_or_an_error_and_no_empty_folder(
    reader: Reader, coding: str, is_read: bool
) -> None:
    def fault(exchange: Exchange) -> None:
        path = exchange.request.target
        if path.endswith("/alf/") and exchange.request.method == "GET":
            exchange.answer(200, gzip.compress(page(*honest(path))), {"Content-Encoding": coding})
        else:
            pages(lambda path: [*honest(path), *(["spikes.amps.npy"] if "/001/" in path else [])], dav=False)(exchange)

    reader.server.faults = AnyPath(fault)
    done = reader.types("search")
    assert (done.code == 0) == is_read, "a part is taken for the whole"


@DAV
def test_hidden_names_in_a_list_are_not_data(reader: Reader, dav: bool) -> None:
    # A writer's own, too: what is being sent by WebDAV lies under such a name.
    hidden = [".0123456789abcdef.part", ".one_verified", ".one_root", ".ssh/"]
    reader.server.files.update({f"/data/{path}": content for path, content in FILES.items()})
    reader.server.faults = AnyPath(pages(lambda path: [*hidden, *honest(path)], dav=dav))
    done = reader.downloads()
    assert done.code == 0, done.err
    asked = [seen.path for seen in reader.server.requests if "/." in seen.path]
    assert set(asked) == {"/data/.one_root"}


def test_webdav_answers_without_end_fill_no_memory_together(reader: Reader) -> None:
    def fault(exchange: Exchange) -> None:
        is_subject = exchange.request.target.count("/") == 5
        (ENDLESS_ANSWERS["no XML"] if is_subject else pages(listed, dav=True))(exchange)

    def listed(path: str) -> Iterable[str]:
        return (f"s{number}/" for number in range(8)) if path.endswith("Subjects/") else honest(path)

    reader.server.faults = AnyPath(fault)
    done = reader.types("search")
    assert done.code == 8, done.err


@DAV
def test_a_list_that_drips_is_given_up(reader: Reader, dav: bool) -> None:
    def fault(exchange: Exchange) -> None:
        if exchange.request.target != "/data/lab/" or (exchange.request.method == "PROPFIND") != dav:
            pages(honest, dav=dav)(exchange)
            return
        exchange.head(207 if dav else 200, {"Connection": "close"})
        while not exchange.server.stopping.wait(0.05):
            exchange.send(b" ")

    reader.server.faults = AnyPath(fault)
    done = reader.types("search", ONELIGHT_IDLE_TIMEOUT="1")
    assert done.code == 5, done.err
    assert len(reader.server.requests) < 12


@DAV
@pytest.mark.parametrize("number", [302, 307])
def test_a_list_that_leads_elsewhere_takes_no_password_along(reader: Reader, dav: bool, number: int) -> None:
    def fault(exchange: Exchange) -> None:
        if exchange.request.target in ("/data/", "/data/lab/") and (exchange.request.method == "PROPFIND") == dav:
            redirect(f"{reader.elsewhere.url}{exchange.request.target}", number)(exchange)
        else:
            pages(honest, dav=dav)(exchange)

    reader.server.faults = AnyPath(fault)
    reader.server.files.update({f"/data/{path}": content for path, content in FILES.items()})
    reader.elsewhere.faults = AnyPath(pages(lambda path: [*EVIL, *honest(path)], dav=dav))
    done = reader.downloads()
    assert done.code in (0, 1, 3, 8), done.err
    assert {seen.method for seen in reader.elsewhere.requests} <= {"GET"}


# Indexes -------------------------------------------------------------------------------------------------------------


def test_files_elsewhere_are_fetched_without_the_password(reader: Reader) -> None:
    reader.share([f"{path}\t{reader.elsewhere.url}/{number}" for number, path in enumerate(FILES)])
    for number, content in enumerate(FILES.values()):
        reader.elsewhere.files[f"/{number}"] = content
    done = reader.downloads()
    assert done.code == 0, done.err
    assert reader.there() == sorted(FILES)
    assert len(reader.elsewhere.requests) == 2


def test_who_else_asks_for_a_password_does_not_get_ours(reader: Reader) -> None:
    reader.share([f"{path}\t{reader.elsewhere.url}/{number}" for number, path in enumerate(FILES)])
    reader.elsewhere.password = BASIC
    done = reader.downloads()
    assert done.code == 4, done.err
    assert reader.there() == []
    assert 2 <= len(reader.elsewhere.requests) <= 4


@pytest.mark.parametrize("what", ["/data/.one_root", "/data/datasets.pqt", f"/data/{TIMES}"])
@pytest.mark.parametrize("number", [302, 308])
def test_what_lies_elsewhere_is_asked_for_without_the_password(reader: Reader, what: str, number: int) -> None:
    reader.share(entries=stated())
    reader.elsewhere.files["/there"] = reader.server.files[what]
    reader.server.faults[what] = [redirect(f"{reader.elsewhere.url}/there", number)]
    done = reader.downloads()
    assert done.code == 0, done.err
    assert reader.there() == sorted(FILES)
    assert len(reader.elsewhere.requests) == 1


@pytest.mark.parametrize("what", ["/data/.one_root", "/data/datasets.pqt", f"/data/{TIMES}"])
@pytest.mark.parametrize("how", ["back", "loop", "file", "private", "password", "ftp"])
def test_redirects_that_lead_nowhere_good_end(reader: Reader, what: str, how: str) -> None:
    reader.share(entries=stated())
    here, there = f"{reader.server.url}{what}", f"{reader.elsewhere.url}/x"
    target = {
        "back": there,
        "loop": here,
        "file": "file:///etc/passwd",
        "private": "http://169.254.169.254/latest/meta-data/",
        "password": there.replace("://", "://me:pw@"),
        "ftp": there.replace("http", "ftp"),
    }[how]
    reader.server.faults[what] = [redirect(target)]
    reader.elsewhere.faults["/x"] = [redirect(here)]
    done = reader.downloads()
    assert done.code in (8, 1), done.err
    assert reader.there() in ([], [CLUSTERS])
    assert len(reader.server.requests) + len(reader.elsewhere.requests) < 60


def test_neither_index_nor_table_nor_file_comes_without_encryption_from_where_there_is_some(
    reader: Reader, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text(servers.CERTIFICATE)
    with WebServer(tls=True) as secure:
        secure.password = BASIC
        config = Config.load()
        config.add(Settings("secure", "http", {"base_url": f"{secure.url}/data", "login": "me", "password": CANARY}))
        config.choose("secure")
        reader.share(entries=stated())
        for what in ("/data/.one_root", "/data/datasets.pqt", f"/data/{TIMES}"):
            secure.files, secure.faults = dict(reader.server.files), {what: [redirect(f"{reader.elsewhere.url}/x")]}
            reader.elsewhere.files["/x"] = secure.files[what]
            done = reader.downloads(SSL_CERT_FILE=str(tmp_path / "ca.pem"))
            assert done.code in (8, 1), done.err
            assert "without encryption" in done.err + done.out
            assert TIMES not in reader.there()
    assert reader.elsewhere.requests == []


def many_rows(count: int) -> bytes:
    """Return an index of so many rows, a hundred in each session."""
    return b"".join(
        b"lab/Subjects/s%04d/2020-01-01/%03d/alf/a%02d.b.npy\n"
        % (number // 10_000, number // 100 % 100 + 1, number % 100)
        for number in range(count)
    )


def test_a_million_rows_are_an_index(reader: Reader) -> None:
    reader.server.files["/data/.one_root"] = many_rows(1_000_000)
    done = reader.types("search", "--count")
    assert (done.code, done.out.strip()) == (0, "10000"), done.err
    assert len(reader.server.requests) <= 2


def test_rows_that_are_not_sorted_are_an_index(reader: Reader) -> None:
    rows = many_rows(300_000).splitlines(keepends=True)
    reader.server.files["/data/.one_root"] = b"".join(rows[::-1])
    done = reader.types("search", "--count")
    assert (done.code, done.out.strip()) == (0, "3000"), done.err


def test_a_path_that_comes_again_with_another_address_is_refused(reader: Reader) -> None:
    rows = many_rows(200_000).decode().splitlines()
    reader.share([*rows, f"{rows[0]}\t{reader.elsewhere.url}/other"])
    done = reader.types("search")
    assert done.code == 8, done.err
    assert "200001" in done.err.replace(",", "")


def test_an_index_without_end_is_refused(reader: Reader) -> None:
    reader.server.files["/data/.one_root"] = b""
    reader.server.faults["/data/.one_root"] = [endless(b"", lambda number: b"x" * 100)]  # one line
    done = reader.types("search", seconds=200)
    assert done.code == 8, done.err
    assert len(reader.server.requests) == 1


@pytest.mark.parametrize("what", ["/data/.one_root", "/data/datasets.pqt"])
def test_an_index_that_states_a_terabyte_is_refused(reader: Reader, what: str) -> None:
    reader.share(entries=stated())
    reader.server.faults[what] = [servers.stating(10**12)]
    done = reader.downloads()
    assert done.code == 8, done.err
    assert len(reader.server.requests) < 6


@pytest.mark.parametrize("what", ["/data/.one_root", "/data/datasets.pqt"])
def test_an_index_that_drips_is_given_up(reader: Reader, what: str) -> None:
    reader.share(entries=stated())

    def drip(exchange: Exchange) -> None:
        exchange.head(200, {"Content-Length": 1_000_000})
        while not exchange.server.stopping.wait(0.05):
            exchange.send(b"x")

    reader.server.faults[what] = [drip]
    done = reader.downloads(ONELIGHT_IDLE_TIMEOUT="1")
    assert done.code == 5, done.err
    assert len(reader.server.requests) < 6


@pytest.mark.parametrize("what", ["/data/.one_root", "/data/datasets.pqt"])
def test_an_index_that_is_a_bomb_fills_no_memory(reader: Reader, what: str) -> None:
    reader.share(entries=stated())
    reader.server.faults[what] = [lambda exchange: exchange.answer(200, bomb(), {"Content-Encoding": "gzip"})]
    done = reader.downloads()
    if what.endswith(".pqt"):
        assert (done.code, reader.there()) == (0, sorted(FILES)), done.err
        assert "sizes and md5 are not known" in done.err
    else:
        assert (done.code, reader.there()) == (8, []), done.err


# Tables --------------------------------------------------------------------------------------------------------------


def other_md5(number: int) -> str:
    return hashlib.md5(b"%d" % number).hexdigest()


@pytest.mark.parametrize("by", [-1, 1, -20_000, 10**6, 10**15])
def test_a_size_in_the_table_that_is_wrong_gives_no_file(reader: Reader, by: int) -> None:
    lies = [replace(entry, size=max(1, (entry.size or 0) + by)) for entry in stated()]
    reader.share(entries=lies)
    done = reader.downloads()
    assert done.code in (6, 7), done.err
    assert reader.there() == []
    assert len(reader.server.requests) < 20


def test_files_whose_contents_are_exchanged_are_told_by_their_md5(reader: Reader) -> None:
    one, other = (os.urandom(5000) for _ in range(2))
    reader.right = {TIMES: one, CLUSTERS: other}
    reader.share(entries=stated(reader.right))
    reader.server.files |= {f"/data/{TIMES}": other, f"/data/{CLUSTERS}": one}
    done = reader.downloads()
    assert done.code == 6, done.err
    assert reader.there() == []
    reader.server.files |= {f"/data/{TIMES}": one, f"/data/{CLUSTERS}": other}
    assert reader.downloads().code == 0
    assert reader.there() == sorted(FILES)


def test_a_table_whose_md5_are_exchanged_gives_no_file(reader: Reader) -> None:
    times, clusters = sorted(stated(), key=lambda entry: entry.path, reverse=True)
    reader.share(entries=[replace(times, md5=clusters.md5), replace(clusters, md5=times.md5)])
    done = reader.downloads()
    assert done.code == 6, done.err
    assert reader.there() == []


def test_a_table_names_files_beyond_the_index(reader: Reader) -> None:
    beyond = [f"lab/Subjects/other{number}/2020-01-01/001/alf/a.b.npy" for number in range(1000)]
    reader.share(entries=[*stated(), *(Entry(path, "", 5, other_md5(1)) for path in beyond)])
    done = reader.downloads()
    assert done.code == 0, done.err
    assert reader.there() == sorted(FILES)
    found = reader.types("search")
    assert found.out.split() == [SESSION]


@pytest.mark.parametrize("path", ["../x.y.npy", "/etc/x.y.npy", "alf/../../x.y.npy", "alf\\..\\x.y.npy", "C:/x.y.npy"])
def test_a_table_with_a_path_outside_is_not_used(reader: Reader, path: str, tmp_path: Path) -> None:
    reader.share(entries=stated())
    table = pq.read_table(pa.BufferReader(reader.server.files["/data/datasets.pqt"]))
    metadata = table.schema.metadata
    column = table.column_names.index("rel_path")
    names = [path, *table.column("rel_path").to_pylist()[1:]]
    table = table.set_column(
        column, table.schema.field("rel_path"), pa.array(names, table.schema.field("rel_path").type)
    )
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "datasets.pqt")
    reader.server.files["/data/datasets.pqt"] = (tmp_path / "datasets.pqt").read_bytes()
    done = reader.downloads()
    assert done.code == 0, done.err
    assert "sizes and md5 are not known" in done.err or {
        row["verified"] for row in done.rows if row["action"] == "download"
    } <= {"size", "nothing", None}
    assert reader.there() == sorted(FILES)


def parquet(columns: Mapping[str, pa.Array], tmp_path: Path) -> bytes:
    pq.write_table(pa.table(dict(columns)), tmp_path / "bomb.pqt", compression="zstd", row_group_size=10**8)
    return (tmp_path / "bomb.pqt").read_bytes()


@pytest.mark.parametrize("kind", ["other table", "long text", "many rows", "many columns"])
def test_a_table_that_is_a_bomb_fills_no_memory(reader: Reader, tmp_path: Path, kind: str) -> None:
    reader.share(entries=stated())
    if kind == "other table":
        content = parquet({"x": pa.array([0] * 20_000_000)}, tmp_path)
    elif kind == "many columns":
        content = parquet({f"c{number}": pa.array([0]) for number in range(5_000)}, tmp_path)
    else:
        table = pq.read_table(pa.BufferReader(reader.server.files["/data/datasets.pqt"])).combine_chunks()
        rows = 3_000_000 if kind == "many rows" else 1
        columns = {
            name: table.column(name).combine_chunks().slice(0, 1).take(pa.array([0] * rows))
            for name in table.column_names
        }
        if kind == "long text":
            columns["rel_path"] = pa.array(["x" * (MOST + 50_000_000)])
        content = parquet(columns, tmp_path)
        del table, columns
    assert len(content) < 100_000_000
    reader.server.files["/data/datasets.pqt"] = content
    done = reader.downloads()
    assert done.code in (0, 8), done.err
    assert {row["verified"] for row in done.rows if row["action"] == "download"} <= {"size", "nothing"}


# Files ---------------------------------------------------------------------------------------------------------------

LARGE = os.urandom(3_000_000)


def bombs(exchange: Exchange) -> None:
    exchange.answer(200, bomb(), {"Content-Encoding": "gzip"})


LIES: dict[str, Fault] = {
    "too long": servers.stating("1{}"),
    "negative": servers.stating("-1"),
    "two lengths": servers.stating("1", "{}"),
    "bomb": bombs,
    "loop": servers.redirect(f"/data/{TIMES}"),
    "always cut": servers.cut_at(20_000),
}


@pytest.mark.parametrize("size", [30_000, 1_500_000])  # the quick way of small files, and the thorough one
@pytest.mark.parametrize(
    ("lie", "known"),
    # A bomb of which nothing is known is a large file.
    [*((lie, True) for lie in LIES), *((lie, False) for lie in LIES if lie != "bomb")],
)
def test_a_file_that_lies_of_itself_is_not_there_afterwards(reader: Reader, lie: str, known: bool, size: int) -> None:
    reader.right = {TIMES: LARGE[:size]}
    reader.share([TIMES], stated(reader.right) if known else None)
    reader.server.files[f"/data/{TIMES}"] = LARGE[:size]
    reader.server.faults[f"/data/{TIMES}"] = [LIES[lie]]
    done = reader.downloads()
    assert done.code not in (0, 130), (done.out, done.err)
    assert reader.there() == []
    assert len(reader.server.requests) < 40


def test_an_answer_that_changes_between_its_parts_is_never_mixed(reader: Reader) -> None:
    contents = [os.urandom(3_000_000) for _ in range(6)]
    turn = itertools.count()

    def changing(exchange: Exchange) -> None:
        exchange.server.files[f"/data/{TIMES}"] = exchange.content = contents[next(turn) % len(contents)]
        servers.cut(1_200_000)(exchange)

    reader.right = {TIMES: contents[0]}
    reader.share([TIMES], stated(reader.right))
    reader.server.files[f"/data/{TIMES}"] = contents[0]
    reader.server.faults[f"/data/{TIMES}"] = [changing]
    done = reader.downloads()
    assert done.code in (1, 5, 6), done.err
    assert reader.there() == []
    assert len(reader.server.requests) < 40
