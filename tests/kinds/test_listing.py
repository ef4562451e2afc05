"""What a web server shows of a folder: pages of real servers, and pages of nobody's friends.

The servers run as they are installed, on loopback. One that is missing is skipped by its name.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelight.alf.safe import check_safe
from onelight.errors import RepositoryError, UnsafeData
from onelight.kinds import listing
from onelight.kinds.listing import Item, read_multistatus, read_page
from onelight.serving import Server

FILES = {
    name: number * 371
    for number, name in enumerate(
        [
            "spikes.times.npy",
            "with  two spaces.npy",
            "hash#1.npy",
            "100%.npy",
            "per%20cent.npy",
            "what?.npy",
            "a&b.npy",
            "a+b.npy",
            "a;b=c,d.npy",
            "é.npy",
            "e\u0301.npy",
            "it's.npy",
            'say "hi".npy',
            "<b>.npy",
            "&amp;.npy",
            "[x]{y}^`|.npy",
            "tilde~star*.npy",
            "日本語.npy",
            "long" * 30 + ".npy",
            "Parent Directory",
            "Name",
            "22-Nov-2026 22.07   5936",
            "(1).npy",
            "@at.npy",
            "!.npy",
        ]
    )
} | {"large.bin": 1_300_000}
FOLDERS = ("#2024-05-06#", "probe 00", "folder.npy", "<&>")
if os.name == "nt":
    pytest.skip("the names of this folder are none on Windows", allow_module_level=True)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Not below tmp_path, which is its owner's only: a server that root starts gives up being root.
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "www"
        below = root / "lab #1" / "a%20b"
        below.mkdir(parents=True)
        for name, size in FILES.items():
            (below / name).write_bytes(bytes(size))
        for name in FOLDERS:
            (below / name).mkdir()
            (below / name / "inside.npy").write_bytes(b"1")
        Path(temporary).chmod(0o755)
        yield root


def path_of(page: str = "lab #1/a%20b/") -> str:
    return quote(page)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running(*command: object, port: int, home: Path) -> Iterator[str]:
    """Run a server until the end of the block; yields its address."""
    # Its own home and no more than it needs: Caddy and rclone keep files there.
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    with (home / "log").open("wb") as said:
        process = subprocess.Popen([str(word) for word in command], stdout=said, stderr=said, env=environment)
    try:
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{command[0]} does not run: {(home / 'log').read_text(errors='replace')}")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def needed(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def python_server(root: Path, home: Path) -> contextlib.AbstractContextManager[str]:
    port = free_port()
    return running(sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "-d", root, port=port, home=home)


def our_server(root: Path, home: Path) -> contextlib.AbstractContextManager[str]:
    @contextlib.contextmanager
    def serving() -> Iterator[str]:
        with Server(root) as server:
            yield f"{server.url}/"

    return serving()


def nginx(root: Path, home: Path, exact: str = "on") -> contextlib.AbstractContextManager[str]:
    program, port = needed("nginx"), free_port()
    temporary = "".join(
        f"{kind}_temp_path {home}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (home / "nginx.conf").write_text(
        f"daemon off; pid {home}/pid; error_log {home}/error; events {{}}\n"
        f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; root {root};"
        f" autoindex on; autoindex_exact_size {exact}; }} }}"
    )
    return running(program, "-c", home / "nginx.conf", "-e", home / "error", port=port, home=home)


def nginx_rounded(root: Path, home: Path) -> contextlib.AbstractContextManager[str]:
    return nginx(root, home, "off")


def apache(root: Path, home: Path, options: str = "", more: str = "") -> contextlib.AbstractContextManager[str]:
    program, port = needed("apache2"), free_port()
    modules = Path("/usr/lib/apache2/modules")
    wanted = ["mpm_event", "authz_core", "autoindex", "dir", "alias", *more.split()]
    if not all((modules / f"mod_{name}.so").exists() for name in wanted):
        pytest.skip("the modules of apache2 are elsewhere")
    user = "User nobody\nGroup nogroup\n" if getpass.getuser() == "root" else ""
    home.chmod(0o777)
    (home / "apache.conf").write_text(
        "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in wanted)
        + f"ServerRoot {home}\nPidFile {home}/pid\nListen 127.0.0.1:{port}\nServerName localhost\n{user}"
        + f"ErrorLog {home}/error\nDocumentRoot {root}\n"
        + (f"DavLockDB {home}/locks\n" if more else "")
        + f"<Directory {root}>\nOptions +Indexes\nRequire all granted\n{options}\n</Directory>\n"
    )
    return running(program, "-d", home, "-f", home / "apache.conf", "-D", "FOREGROUND", port=port, home=home)


def apache_fancy(root: Path, home: Path) -> contextlib.AbstractContextManager[str]:
    return apache(root, home, "IndexOptions FancyIndexing")


def apache_table(root: Path, home: Path) -> contextlib.AbstractContextManager[str]:
    return apache(
        root, home, "IndexOptions FancyIndexing HTMLTable FoldersFirst\nAddDescription 'KB of data' *.npy", ""
    )


def apache_webdav(root: Path, home: Path) -> contextlib.AbstractContextManager[str]:
    return apache(root, home, "Dav On", "dav dav_fs")


def lighttpd(root: Path, home: Path) -> contextlib.AbstractContextManager[str]:
    program, port = needed("lighttpd"), free_port()
    (home / "lighttpd.conf").write_text(
        f'server.document-root = "{root}"\nserver.port = {port}\nserver.bind = "127.0.0.1"\n'
        'server.modules = ("mod_dirlisting")\ndir-listing.activate = "enable"\ndir-listing.encoding = "utf-8"\n'
    )
    return running(program, "-D", "-f", home / "lighttpd.conf", port=port, home=home)


def caddy(root: Path, home: Path) -> contextlib.AbstractContextManager[str]:
    program, port = needed("caddy"), free_port()
    server = {
        "listen": [f"127.0.0.1:{port}"],
        "automatic_https": {"disable": True},
        "routes": [{"handle": [{"handler": "file_server", "root": str(root), "browse": {}}]}],
    }
    apps = {"http": {"servers": {"one": server}}}
    (home / "caddy.json").write_text(json.dumps({"admin": {"disabled": True}, "apps": apps}))
    return running(program, "run", "--config", home / "caddy.json", port=port, home=home)


def rclone(root: Path, home: Path, how: str = "http") -> contextlib.AbstractContextManager[str]:
    program, port = needed("rclone"), free_port()
    return running(program, "serve", how, root, "--addr", f"127.0.0.1:{port}", port=port, home=home)


def rclone_webdav(root: Path, home: Path) -> contextlib.AbstractContextManager[str]:
    return rclone(root, home, "webdav")


def fetched(url: str, method: str = "GET") -> bytes:
    request = urllib.request.Request(url, method=method, headers={"Depth": "1"})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


# Which sizes a server states exactly, if it states any.
ALL, SMALL, NONE = "all", "small", "none"


@pytest.mark.parametrize(
    ("start", "sizes"),
    [
        (python_server, NONE),
        (our_server, ALL),
        (nginx, ALL),
        (nginx_rounded, SMALL),
        (apache, NONE),
        (apache_fancy, SMALL),
        (apache_table, SMALL),
        (lighttpd, NONE),
        (caddy, ALL),
        (rclone, ALL),
    ],
)
def test_pages_of_real_servers_show_what_is_in_the_folder(
    start: Callable[[Path, Path], contextlib.AbstractContextManager[str]], sizes: str, folder: Path, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory() as home, start(folder, Path(home)) as address:
        url = address + path_of()
        items = read_page(fetched(url).decode(), url)
        for item in items:  # and each of them is what the server gives for the name
            if not item.is_folder:
                assert len(fetched(url + quote(item.name))) == FILES[item.name]
        upper = read_page(fetched(address).decode(), address)
    assert {item.name for item in items if item.is_folder} == set(FOLDERS)
    assert {item.name for item in items if not item.is_folder} == set(FILES)
    assert len(items) == len(FILES) + len(FOLDERS)
    stated = {item.name: item.size for item in items if item.size is not None}
    assert stated == {name: FILES[name] for name in stated}
    assert {ALL: len(stated) == len(FILES), SMALL: 0 < len(stated) < len(FILES), NONE: not stated}[sizes]
    assert {bool(item.modified) for item in items} == {start not in (python_server, apache)}
    assert [(item.name, item.is_folder) for item in upper] == [("lab #1", True)]


@pytest.mark.parametrize("start", [apache_webdav, rclone_webdav])
def test_webdav_answers_of_real_servers_show_what_is_in_the_folder(
    start: Callable[[Path, Path], contextlib.AbstractContextManager[str]], folder: Path
) -> None:
    with tempfile.TemporaryDirectory() as home, start(folder, Path(home)) as address:
        url = address + path_of()
        items = read_multistatus(fetched(url, "PROPFIND"), url)
    assert {item.name: item.size for item in items if not item.is_folder} == FILES
    assert {item.name for item in items if item.is_folder} == set(FOLDERS)
    assert len(items) == len(FILES) + len(FOLDERS)
    assert all(item.modified.endswith("GMT") and (item.is_folder or item.etag) for item in items)


# Pages of other servers ---------------------------------------------------------------------------------------------

URL = "http://a.org/data/%23x%23/"


def page(*links: str) -> str:
    return "<html><body><pre>" + "\n".join(f'<a href="{link}">x</a>' for link in links) + "</pre></body></html>"


def names(html: str, url: str = URL) -> list[str]:
    return [item.name + "/" * item.is_folder for item in read_page(html, url)]


def test_caddy_since_2_7_states_sizes_in_another_attribute() -> None:
    row = (
        '<tr class="file"><td></td><td><a href="./x%20y.npy"><svg><path d="M0 0h24"/></svg><span class="name">x y.npy'
        '</span></a></td><td class="size" data-size="8904"><div class="sizebar-text">8.7 KiB</div></td>'
        '<td class="timestamp"><time datetime="2026-11-22T22:07:42Z">11/22/2026</time></td></tr>'
    )
    assert read_page(row, URL) == [Item("x y.npy", False, 8904, "2026-11-22T22:07:42Z")]


def test_addresses_may_be_relative_or_of_the_folder_itself_in_any_spelling() -> None:
    here = [
        "a",
        "./b",
        "/data/%23x%23/c",
        "http://a.org/data/%23x%23/d",
        "//a.org/data/%23x%23/e",
        "HTTP://A.org:80/data/%23%78%23/f",
    ]
    assert names(page(*here, " g ", "h/")) == ["a", "b", "c", "d", "e", "f", "g", "h/"]
    assert names(page("/data/%23x%23/c", "d"), URL.rstrip("/")) == ["c", "d"]
    assert names(page("/c", "d/"), "http://a.org") == ["c", "d/"]


@pytest.mark.parametrize(
    "link",
    [
        *(
            "../",
            "..",
            "../x",
            "./../x",
            "a/../x",
            "a/../../x",
            "./",
            ".",
            "",
            "/",
            "//",
            "///",
            "x//",
            "a/b",
            "./a/b/",
        ),
        *("%2e%2e/", "%2E%2E", ".%2e", "%2e", "..%2fx", "a%2fb", "a%2Fb", "a%5cb", "..\\x", "a\\b", "%5c%5chost"),
        *("%00", "a%00.npy", "a%0ab", "a%7fb", "a\tb", "a\nb", "a b", "a&#0;b", "a&#10;b", "a%c2%9bb"),
        *("%ff.npy", "%c3", "%ed%a0%80", "a%", "a%2", "%zz", "a\ufffdb", "%c0%ae%c0%ae"),
        *("?C=N;O=D", "x?y", "a.npy?", "#x", "x#y", "/data/%23x%23/?x", "/data/%23x%23/a#b"),
        *(
            "javascript:alert(1)",
            "JavaScript:x",
            "java&#10;script:x",
            "data:,x",
            "file:///data/%23x%23/x",
            "mailto:a@b",
        ),
        *("ftp://a.org/data/%23x%23/x", "https://a.org/data/%23x%23/x", "http://b.org/data/%23x%23/x"),
        *("http://a.org:8080/data/%23x%23/x", "http://a.org:x/data/%23x%23/x", "http://u@a.org/data/%23x%23/x"),
        *("http://a.org.b.org/data/%23x%23/x", "//b.org/data/%23x%23/x", "http:x", "http:/data/%23x%23/x", "http://["),
        *("/x", "/data/x", "/data/x/y", "/data/%23x%23", "/data/%23x%23/", "/data/%23x%23/../x", "/data%2f%23x%23/x"),
        *("/data/%23X%23/x", "/data/#x#/x", "/data/%2523x%2523/x", "//data/%23x%23/x", "/data//%23x%23/x"),
        *(
            "x.",
            "x%20",
            "%20x",
            "C:",
            "C:%5cx",
            "a:b",
            "a%3Ab",
            "%3A",
            "...",
            "%EF%BC%8E%EF%BC%8E",
            "%EF%BC%8F",
            "x" * 256,
        ),
    ],
)
def test_links_that_lead_elsewhere_are_none(link: str) -> None:
    assert names(page(link, "good.npy")) == ["good.npy"]
    assert names(page(link, "good.npy").replace('"', "'")) == ["good.npy"]
    answer = multistatus(
        response(link.replace("&#0;", "\x02")) if "&#0;" not in link else "", response(f"{DAV}good.npy")
    )
    assert [item.name for item in read_multistatus(answer, URL)] == ["good.npy"]


def test_a_base_elsewhere_makes_all_links_lead_there() -> None:
    for base in ("http://b.org/data/%23x%23/", "../", "/", "javascript:"):
        assert names(f'<base href="{base}">' + page("x")) == []
    for base in (URL, "./", "/data/%23x%23/"):
        assert names(f'<base href="{base}">' + page("x")) == ["x"]


def test_what_looks_like_a_link_is_none_where_html_says_so() -> None:
    hidden = '<a href="no">x</a>'
    for html in (
        f"<!-- {hidden} -->",
        f"<script>{hidden}</script>",
        f"<STYLE>{hidden}</STYLE>",
        f"<title>{hidden}</title>",
        f"<textarea>{hidden}</textarea>",
        f"<img alt='{hidden}'>",
        "&lt;a href=no&gt;",
        '<a data-href="no" name="href=no">',
        '<abbr href="no">',
        f"<!DOCTYPE {hidden[1:-4]}>",
    ):
        assert names(html + page("yes")) == ["yes"], html


def test_links_may_be_written_in_any_way() -> None:
    assert names("<A HREF=a>x</A><a\n class='x'\nhref = 'b'>x</a><a/href=\"c\"/>x</a><a title='>' href=d >") == list(
        "abcd"
    )
    assert names("<a href=it's.npy>x</a>") == ["it's.npy"]
    assert names('<a href="a" href="b">x') == ["a"]
    assert names(page("&#97;&#x62;&amp;")) == ["ab&"]
    assert names(page("&#" + "1" * 5000 + ";", "a")) == ["a"]


@pytest.mark.parametrize(
    ("behind", "size"),
    [
        ("22-Nov-2026 22:07   8904", 8904),
        ("2026-11-22 22:07  742   ", 742),
        ("2026-11-22 22:07  742   and a description", 742),
        ("2026-11-22 22:07:01 0", 0),
        ("2026-11-22 22:07  8.7K", None),
        ("2026-11-22 22:07  12 KB", None),
        ("2026-11-22 22:07  12&nbsp;KB", None),
        ("2026-11-22 22:07  1 300 000", None),
        ("2026-11-22 22:07  1,300", None),
        ("2026-11-22 22:07  -1", None),
        ("2026-11-22 22:07  1e9", None),
        ("2026-11-22 22:07  ٣", None),
        ("2026-11-22 22:07  " + "9" * 40, None),
        ("8904", None),
        ("some text 2026-11-22 22:07  8904", None),
        ("-", None),
    ],
)
def test_only_exact_sizes_are_sizes(behind: str, size: int | None) -> None:
    assert [item.size for item in read_page(f'<a href="x">x</a>   {behind}\n<a href="y">y</a>\n', URL)] == [size, None]


def test_a_name_that_looks_like_a_size_is_none() -> None:
    name = "2026-11-22 22.07  8904"
    html = f'<a href="{quote(name)}">2026-11-22 22:07  8904</a>\n<a href="y">y</a>  2026-11-22 22:07  5\n'
    assert read_page(html, URL) == [Item(name, False, None, ""), Item("y", False, 5, "2026-11-22 22:07")]


def test_what_two_links_say_of_one_name_is_put_together() -> None:
    icon = '<a href="x"><img src="i.gif"></a> <a href="x">x</a>  2026-11-22 22:07  5  \n'
    assert read_page(icon, URL) == [Item("x", False, 5, "2026-11-22 22:07")]
    assert read_page(icon + '<a href="./x">x</a>  2026-11-22 22:08  6  \n', URL)[0].size is None


@pytest.mark.parametrize(
    "unit",
    [
        "<a ",
        "<a x='",
        '<a href="',
        "<a href='x",
        "<!--",
        "<![",
        "<?",
        "<script>",
        "<b>",
        "<a href=x>",
        "<a x ",
        "<td></td>",
    ],
)
def test_a_page_that_would_take_for_ever_is_refused_and_that_is_told(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_TAGS", 20_000)
    monkeypatch.setattr(listing, "MAX_LINKS", 10_000)
    start = time.perf_counter()
    with pytest.raises(UnsafeData, match="is refused"):
        read_page(unit * 100_000, URL)
    assert time.perf_counter() - start < 20  # html.parser takes hours for some of them


@pytest.mark.parametrize("unit", ["<", "</", "&", "&#", "= ", "<a href=x></a>" + " " * 4000, "\0", "&lt;" * 9])
def test_a_page_of_nothing_has_nothing_and_is_read_at_once(unit: str) -> None:
    start = time.perf_counter()
    assert len(read_page(unit * (2_000_000 // len(unit)) + ">", URL)) < 2
    assert time.perf_counter() - start < 20


def test_a_million_links_and_a_long_attribute_and_a_long_page_are_refused() -> None:
    with pytest.raises(UnsafeData, match="more than 100,000 links"):
        read_page("<a href=x>" * 1_000_000, URL)
    with pytest.raises(UnsafeData, match="does not end"):
        read_page('<a href="' + "x" * 20_000_000 + '">', URL)
    with pytest.raises(UnsafeData, match="longer than 32 MiB"):
        read_page(" " * (listing.MAX_PAGE + 1), URL)


def test_a_folder_of_many_files_is_read() -> None:
    html = page(*(f"file{number}.npy" for number in range(99_999)))
    assert len(read_page(html, URL)) == 99_999


def test_deep_nesting_is_nothing() -> None:
    assert names("<div>" * 100_000 + page("x") + "</div>" * 100_000) == ["x"]


def test_a_message_shows_no_secret_of_the_address() -> None:
    with pytest.raises(UnsafeData) as caught:
        read_page("<a ", "http://user:canary@a.org/?token=canary")
    assert "canary" not in str(caught.value)


# WebDAV --------------------------------------------------------------------------------------------------------------

DAV = "/data/%23x%23/"


def response(href: str, properties: str = "", status: str = "200 OK", more: str = "") -> str:
    return (
        f"<D:response><D:href>{escape(href)}</D:href><D:propstat><D:prop>{properties}</D:prop>"
        f"<D:status>HTTP/1.1 {status}</D:status></D:propstat>{more}</D:response>"
    )


def multistatus(*responses: str, before: str = "") -> bytes:
    clean = "".join(responses).replace("\x02", "").replace("\x00", "")
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{before}<D:multistatus xmlns:D="DAV:">{clean}</D:multistatus>'
    ).encode()


def test_properties_are_those_that_are_there() -> None:
    size, folder = "<D:getcontentlength>12</D:getcontentlength>", "<D:resourcetype><D:collection/></D:resourcetype>"
    lock = "<D:lockdiscovery><D:locktoken><D:href>urn:x</D:href></D:locktoken></D:lockdiscovery>"
    etag = '<D:getetag>"x-1"</D:getetag><D:getlastmodified>Sun, 22 Nov 2026 22:07:42 GMT</D:getlastmodified>'
    answer = multistatus(
        response(DAV, folder),
        response(f"{DAV}a", size + lock + etag),
        response(f"{DAV}b", folder + size),
        response(f"{DAV}c/", "<D:resourcetype/>" + size),
        response(f"{DAV}d/"),
        response(f"{DAV}e", size, "404 Not Found"),
        response(
            f"http://a.org{DAV}f",
            size,
            more="<D:propstat><D:prop><D:getetag/></D:prop><D:status>HTTP/1.1 404 x</D:status></D:propstat>",
        ),
        f"<D:response><D:href>{DAV}g</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>",
        response(f"\n  {DAV}h \n", "<D:getcontentlength>1.2K</D:getcontentlength>"),
        response(f"{DAV}i", '<x:getcontentlength xmlns:x="other:">5</x:getcontentlength>'),
        response(f"{DAV}j", "<D:getcontentlength>-5</D:getcontentlength><D:getetag>" + "x" * 1000 + "</D:getetag>"),
    )
    assert read_multistatus(answer, URL) == [
        Item("a", False, 12, "Sun, 22 Nov 2026 22:07:42 GMT", '"x-1"'),
        Item("b", True, None, ""),
        Item("c", False, 12, ""),
        Item("d", True, None, ""),
        Item("e", False, None, ""),
        Item("f", False, 12, ""),
        Item("h", False, None, ""),
        Item("i", False, None, ""),
        Item("j", False, None, ""),
    ]


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
        "<!DOCTYPE x>",
        '<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>',
    ],
)
def test_a_document_type_is_refused(doctype: str) -> None:
    with pytest.raises(UnsafeData, match="document type"):
        read_multistatus(multistatus(response(f"{DAV}x"), before=doctype), URL)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", RepositoryError),
        (b"<html>", RepositoryError),
        (b"<html/>", RepositoryError),
        (b'<multistatus xmlns="other:"/>', RepositoryError),
        (multistatus(response(f"{DAV}x"))[:-5], RepositoryError),
        (multistatus("<D:a>" * 200 + "</D:a>" * 200), UnsafeData),
        (multistatus("<D:response/>" * 100_001), UnsafeData),
        (multistatus("<D:a/>" * 1_000_001), UnsafeData),
        (multistatus(response("x" * 100_000)), UnsafeData),
        (multistatus("&x;"), RepositoryError),
        (b'<?xml version="1.0" encoding="nonsense"?><multistatus xmlns="DAV:"/>', RepositoryError),
        (b'<?xml version="1.0" encoding="shift_jis"?><multistatus xmlns="DAV:"/>', RepositoryError),
        (b'<?xml version="1.0" encoding="punycode"?><multistatus xmlns="DAV:"/>', RepositoryError),
        (b'<?xml version="1.0" encoding="utf-8"?><multistatus xmlns="DAV:">\xff</multistatus>', RepositoryError),
        (b"\0" * 1000, RepositoryError),
        (b" " * (listing.MAX_PAGE + 1), UnsafeData),
    ],
)
def test_what_is_no_answer_is_refused(answer: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_multistatus(answer, URL)


def test_a_long_attribute_is_read_in_one_go() -> None:
    start = time.perf_counter()
    answer = f'<multistatus xmlns="DAV:" a="{"x" * 20_000_000}"/>'.encode()
    assert read_multistatus(answer, URL) == []
    assert time.perf_counter() - start < 20


def test_an_answer_may_be_in_utf_16() -> None:
    entry = f"<response><href>{DAV}é</href></response>"
    answer = f'<?xml version="1.0" encoding="utf-16"?><multistatus xmlns="DAV:">{entry}</multistatus>'
    assert [item.name for item in read_multistatus(answer.encode("utf-16"), URL)] == ["é"]


# Any name ------------------------------------------------------------------------------------------------------------


def is_safe(name: str) -> bool:
    try:
        check_safe(name)
    except UnsafeData:
        return False
    return "/" not in name


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).filter(is_safe)


@given(st.lists(st.tuples(NAMES, st.booleans()), max_size=8, unique=True))
def test_names_come_out_as_they_went_in(wanted: list[tuple[str, bool]]) -> None:
    html = page(*(escape(quote(name)) + "/" * is_folder for name, is_folder in wanted))
    assert [item[:2] for item in read_page(html, URL)] == wanted
    answer = multistatus(*(response(DAV + quote(name) + "/" * is_folder) for name, is_folder in wanted))
    assert [item[:2] for item in read_multistatus(answer, URL)] == wanted


@given(st.text(max_size=300) | st.text("<>a/=\"'! -href.x&#;%2?\n", max_size=300))
@settings(max_examples=300)
def test_nothing_but_safe_names_comes_out_of_anything(html: str) -> None:
    with contextlib.suppress(UnsafeData):
        assert all(is_safe(item.name) for item in read_page(html, URL))
    with contextlib.suppress(UnsafeData):
        assert all(is_safe(item.name) for item in read_page(f'<a href="{html}">', URL))
    with contextlib.suppress(UnsafeData, RepositoryError):
        read_multistatus(html.encode("utf-8", "replace"), URL)
