"""What the names and addresses of a repository do to a download: nothing outside its folder, nothing to the terminal.

The rows D1 to D5 of hostile or broken data. An index is somebody else's text: it is refused before any file is touched,
or taken at its word, and shown so that it cannot play with the terminal of whoever reads it.
"""

from __future__ import annotations

import json
import ntpath
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Article, begin, end, here, linux, posix
from servers import Exchange, Good, WebServer, cut, redirect, status
from shelf import SESSION, entry, leftovers

from onelight.alf import Session, check_safe, sharing_problems, windows_problems
from onelight.cli.errors import visible
from onelight.config import Config, Settings
from onelight.errors import UnsafeData
from onelight.index import Entry, Index
from onelight.route import check_url
from onelight.transfer import Ledger, plan_download, plan_upload
from onelight.transfer.plan import Put

GOOD = f"{SESSION}/alf/spikes.times.npy"


class Web:
    """A repository on a plain web server, with an index that anybody may have written."""

    def __init__(self, server: WebServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        config = Config.load()
        config.add(Settings("web", "http", {"base_url": f"{server.url}/data"}))
        config.choose("web")

    def share(self, *rows: str | bytes) -> None:
        lines = [row if isinstance(row, bytes) else row.encode() for row in (GOOD, *rows)]
        self.server.files["/data/.one_root"] = b"\n".join(lines) + b"\n"
        self.server.files[f"/data/{GOOD}"] = b"good"

    @property
    def arguments(self) -> list[str]:
        return ["download", SESSION, "--output", str(self.folder)]

    def asked(self) -> list[str]:
        return [seen.target for seen in self.server.requests if not seen.path.endswith(".one_root")]


@pytest.fixture
def web(config_dir: Path, tmp_path: Path) -> Iterator[Web]:
    with WebServer() as server:
        yield Web(server, tmp_path / "data")


@pytest.fixture
def article(config_dir: Path, tmp_path: Path) -> Iterator[Article]:
    with WebServer() as server:
        yield Article(server, tmp_path / "data")


# Row D1: where a path leads

UNSAFE = [
    "../x",
    "a/../../x",
    "/etc/x",
    "C:\\x",
    "C:x",
    "\\\\host\\share\\x",
    "\\x",
    "a/C:\\x",
    "a/\\\\h\\s",
    "..\\\\x",
    "..\\x",
    "\uff0e\uff0e/x",
    "a/\uff0e\uff0e/x",
    "a\uff0fb",
    "a\uff3cb",
    "\u2025/x",
    "a//b",
    "./",
    "./x",
    "a/.",
    "a/..",
    ".",
    "..",
    "//host/share/x",
    "\\\\?\\C:\\x",
    "\\\\.\\PhysicalDrive0",
    "C:/x",
    "a/ ",
    "a/x.",
    "a/x ",
    "a/x::$DATA",
    "a\tb",
    "~\\x",
]


@pytest.mark.parametrize("path", [*UNSAFE, ""])
def test_d01_a_path_that_leads_elsewhere_is_refused_on_every_system(tmp_path: Path, path: str) -> None:
    with pytest.raises(UnsafeData) as caught:
        check_safe(path)
    assert str(caught.value).isprintable()
    with pytest.raises(UnsafeData):
        plan_download(
            [entry("spikes.times.npy"), Entry(path, "http://127.0.0.1/x")], tmp_path / "data", Ledger(tmp_path)
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["../x.y.npy", "C:\\x.y.npy", "\\\\host\\share\\x.y.npy", "\uff0e\uff0e/x.y.npy"])
@pytest.mark.parametrize("inside", [False, True])
def test_d01_an_index_with_such_a_path_is_refused_before_any_file_is_touched(
    web: Web, tmp_path: Path, path: str, inside: bool
) -> None:
    web.share(f"{SESSION}/alf/{path}" if inside else path)
    before = sorted(tmp_path.rglob("*"))
    refused = here(*web.arguments)
    assert (refused.code, refused.out) == (8, "")
    assert "row 2 of .one_root" in refused.err
    assert "hint: " in refused.err
    assert refused.err.replace("\n", "").isprintable()
    assert web.asked() == []
    assert [path for path in tmp_path.rglob("*") if path not in before and not path.is_dir()] == []


@pytest.mark.parametrize("name", ["../../../../../../../x.y.npy", "..~..~x.y.npy", "C:\\x.y.npy", "a\\..\\..\\x.y.npy"])
def test_d01_a_listing_with_such_a_name_writes_nothing_elsewhere(article: Article, tmp_path: Path, name: str) -> None:
    article.share({"spikes.times.npy": b"good", name: b"evil"})
    ended = here(*article.arguments)
    assert ended.code in (0, 8)
    found = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"evil"]
    assert [path for path in found if not path.is_relative_to(article.folder / SESSION)] == []
    assert found == []


# Row D2: links below the data folder


def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "spikes.times.npy").write_bytes(b"mine")
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


LEVELS = [SESSION.rsplit("/", number)[0] for number in range(4, -1, -1)] + [f"{SESSION}/alf", f"{SESSION}/alf/probe00"]


@posix
@pytest.mark.parametrize("size", [1_000, 2_000_000], ids=["small", "large"])
@pytest.mark.parametrize("level", LEVELS)
def test_d02_a_link_planted_below_the_data_folder_is_not_followed(
    article: Article, tmp_path: Path, level: str, size: int
) -> None:
    there = outside(tmp_path)
    article.share({"probe00/spikes.times.npy": os.urandom(size)})
    (article.folder / level).parent.mkdir(parents=True)
    (article.folder / level).symlink_to(there, target_is_directory=True)
    refused = here(*article.arguments)
    assert everything(there) == {"spikes.times.npy": b"mine"}
    assert [path for path in there.rglob("*") if path.is_dir()] == []
    assert (refused.code, refused.out) == (8, "")
    assert level in refused.err
    assert "link" in refused.err


@posix
@pytest.mark.parametrize("target", ["outside/spikes.times.npy", "outside/new.npy", "/dev/null"])
@pytest.mark.parametrize("size", [1_000, 2_000_000], ids=["small", "large"])
def test_d02_a_link_in_the_place_of_a_file_is_replaced_and_not_written_through(
    article: Article, tmp_path: Path, target: str, size: int
) -> None:
    there = outside(tmp_path)
    article.share({"spikes.times.npy": os.urandom(size)})
    place = article.target("spikes.times.npy")
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / target)
    ended = here(*article.arguments)
    assert everything(there) == {"spikes.times.npy": b"mine"}
    if target == "/dev/null":
        assert ended.code == 8
        assert place.is_symlink()
    else:
        assert ended.code == 0
        assert not place.is_symlink()
        assert article.wrong() == []


@posix
def test_d02_a_link_in_the_place_of_a_partial_file_is_not_written_through(article: Article, tmp_path: Path) -> None:
    there = outside(tmp_path)
    article.share({"spikes.times.npy": os.urandom(2_000_000)})
    article.server.faults["/get/spikes.times.npy"] = [cut(1_000_000), status(500)]
    assert here(*article.arguments).code == 5
    article.server.heal()
    left = [path for path in leftovers(article.folder) if path.suffix in (".part", ".json")]
    assert left
    for path in left:
        path.unlink()
        path.symlink_to(there / "spikes.times.npy")
    ended = here(*article.arguments)
    assert everything(there) == {"spikes.times.npy": b"mine"}
    assert ended.code in (0, 8)
    assert not article.target("spikes.times.npy").is_symlink()
    assert (article.wrong(), article.missing()) == ([], [] if ended.code == 0 else ["spikes.times.npy"])


@posix
@pytest.mark.parametrize(
    ("moment", "size"),
    [
        ("before the first byte", 100_000),
        ("before the first byte", 2_000_000),
        ("half-way", 100_000),
        ("half-way", 2_000_000),
    ],
)
def test_d02_a_folder_swapped_for_a_link_between_look_and_use_changes_nothing_elsewhere(
    article: Article, tmp_path: Path, moment: str, size: int
) -> None:
    there = outside(tmp_path)
    content = os.urandom(size)
    article.share({"spikes.times.npy": content})
    folder = article.target("spikes.times.npy").parent
    folder.mkdir(parents=True)

    def swap(exchange: Exchange) -> None:
        half = size // 2 if moment == "half-way" else 0
        exchange.head(200, {"Content-Length": size})
        exchange.send(content[:half])
        until = time.monotonic() + 0.5
        while half and not any(folder.iterdir()) and time.monotonic() < until:
            time.sleep(0.01)
        folder.rename(tmp_path / "moved")
        folder.symlink_to(there, target_is_directory=True)
        exchange.send(content[half:])

    article.server.faults["/get/spikes.times.npy"] = [swap, Good]
    ended = here(*article.arguments)
    assert folder.is_symlink()
    assert everything(there) == {"spikes.times.npy": b"mine"}
    # The folder that was opened gets the file, wherever it has been moved, or the swap is seen and refused.
    moved = tmp_path / "moved" / "spikes.times.npy"
    assert ended.code in (0, 7, 8)
    assert not moved.exists() or moved.read_bytes() == content


@linux
def test_d02_a_folder_swapped_again_and_again(article: Article, tmp_path: Path) -> None:
    import ctypes

    there = outside(tmp_path)
    names = [f"probe{number:02}/spikes.times.npy" for number in range(40)]
    article.share({name: os.urandom(2_000) for name in names})
    folder, link = article.folder / SESSION / "alf", tmp_path / "link"
    folder.mkdir(parents=True)
    link.symlink_to(there, target_is_directory=True)
    library = ctypes.CDLL(None)
    stop = threading.Event()

    def exchange() -> None:
        at, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE: there is no moment without one of them
        library.renameat2(at, os.fsencode(folder), at, os.fsencode(link), both)

    def swapping() -> None:
        while not stop.wait(0.002):
            exchange()

    exchange()
    if not folder.is_symlink():
        pytest.skip("this disk cannot exchange two names")
    thread = threading.Thread(target=swapping)
    thread.start()
    try:
        codes = [here(*article.arguments).code for _ in range(3)]
    finally:
        stop.set()
        thread.join()
    if folder.is_symlink():
        exchange()
    assert everything(there) == {"spikes.times.npy": b"mine"}
    assert [path for path in there.rglob("*") if path.is_dir()] == []
    assert set(codes) <= {0, 1, 7, 8}
    article.check_done()


@posix
@pytest.mark.parametrize("size", [1_000, 2_000_000], ids=["small", "large"])
def test_d02_the_data_folder_itself_may_be_a_link(article: Article, tmp_path: Path, size: int) -> None:
    (tmp_path / "big disk").mkdir()
    article.folder.symlink_to(tmp_path / "big disk", target_is_directory=True)
    article.share({"probe00/spikes.times.npy": os.urandom(size)})
    article.check_done()
    assert article.folder.is_symlink()
    above = Article(article.server, article.folder / "below", article.contents)
    above.check_done()


# Row D3: names that are something else on Windows

DEVICES = ["CON", "con", "NUL", "AUX", "PRN", "COM1", "COM\u00b9", "LPT9", "lpt\u00b3", "CONIN$", "conout$"]


@pytest.mark.parametrize("name", [f"{device}.times.npy" for device in DEVICES])
def test_d03_the_name_of_a_device_is_told_to_the_sharer_and_refused_on_windows(name: str) -> None:
    path = f"{SESSION}/alf/{name}"
    [told] = sharing_problems(Session.parse(SESSION), f"alf/{name}")
    assert "a device on Windows" in told
    assert any("a device on Windows" in problem for problem in windows_problems(path))
    check_safe(path)  # elsewhere it is a name as any other
    if hasattr(ntpath, "isreserved"):
        assert ntpath.isreserved(name)


@pytest.mark.parametrize("char", list('<>"|?*'))
def test_d03_a_character_that_windows_refuses_is_told_to_the_sharer_and_refused_there(char: str) -> None:
    path = f"{SESSION}/alf/spikes.ti{char}mes.npy"
    [told] = sharing_problems(Session.parse(SESSION), f"alf/spikes.ti{char}mes.npy")
    assert f"has {char}" in told
    assert windows_problems(path) == [f"the name has {char}, which Windows cannot hold"]


@pytest.mark.parametrize("name", ["spikes.times.npy ", "spikes.times.", "spikes.times.npy:stream", "con :x"])
def test_d03_what_windows_would_cut_off_is_refused_everywhere(name: str) -> None:
    with pytest.raises(UnsafeData):
        check_safe(f"{SESSION}/alf/{name}")


@pytest.mark.parametrize(
    "name", ["console.times.npy", "spikes.con.npy", "com.times.npy", "com10.times.npy", "a~b.c.npy"]
)
def test_d03_names_that_only_look_like_it_are_let_through(name: str) -> None:
    assert windows_problems(f"{SESSION}/alf/{name}") == []


@pytest.mark.parametrize("name", ["con.times.npy", "spikes.ti?mes.npy"])
def test_d03_a_download_takes_what_this_system_can_hold(article: Article, name: str) -> None:
    article.share({name: b"content", "spikes.times.npy": b"content"})
    if os.name == "nt":
        refused = here(*article.arguments)
        assert (refused.code, article.asked()) == (8, [])
        assert "Windows" in refused.err
    else:
        article.check_done()


def test_d03_windows_refuses_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, ledger = tmp_path / "data", Ledger(tmp_path)
    monkeypatch.setattr("onelight.transfer.plan.os.name", "nt")
    try:
        with pytest.raises(UnsafeData, match="a device on Windows"):
            plan_download([entry("con.times.npy")], folder, ledger)
    finally:
        monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["con.times.npy", "spikes.ti?mes.npy", "spikes.ti|mes.npy"])
@posix
def test_d03_a_scan_says_it(tmp_path: Path, name: str) -> None:
    place = tmp_path / SESSION / "alf" / name
    place.parent.mkdir(parents=True)
    place.write_bytes(b"content")
    scanned = here("scan", tmp_path)
    assert scanned.code != 0
    assert name in scanned.out + scanned.err
    assert "Windows" in scanned.out + scanned.err or "cannot hold" in scanned.out + scanned.err


# Row D4: names that play with the terminal

TRICKS = ["\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\u00ad", "\U000e0041", "\ue000"]
CONTROLS = ["\x1b[2J", "\x07", "\x9b2J", "\r", "\x00", "\x7f", "\x0b"]


@posix
@pytest.mark.parametrize("trick", TRICKS, ids=ascii)
def test_d04_a_name_is_stored_exactly_and_printed_escaped(web: Web, trick: str) -> None:
    name = f"spikes.ti{trick}mes.npy"
    path = f"{SESSION}/alf/{name}"
    web.share(path)
    web.server.files[f"/data/{path}"] = b"tricky"
    done = here(*web.arguments)
    assert done.code == 0, done.err
    assert os.fsencode(name) in os.listdir(os.fsencode(web.folder / SESSION / "alf"))  # noqa: PTH208 - bytes
    assert (web.folder / path).read_bytes() == b"tricky"
    assert f"{web.folder / path}\n" in done.out, "a pipe gets it exactly"
    rows = here(*web.arguments, "--json")
    assert rows.out.isascii()
    assert path in {row.get("path") for row in rows.rows}
    web.server.faults[f"/data/{path}"] = [status(404)]
    (web.folder / path).unlink()
    failed = here(*web.arguments)
    assert failed.code == 3
    assert trick not in failed.err
    assert ascii(trick)[1:-1] in failed.err
    planned = here(*web.arguments, "--dry-run")
    assert trick not in planned.err
    assert ascii(trick)[1:-1] in planned.err


@posix
@pytest.mark.parametrize("command", ["download", "list"])
@pytest.mark.parametrize("trick", ["\u202e", "\u200b"], ids=ascii)
def test_d04_a_terminal_gets_it_escaped(web: Web, trick: str, command: str) -> None:
    import pty

    path = f"{SESSION}/alf/spikes.ti{trick}mes.npy"
    web.share(path)
    web.server.files[f"/data/{path}"] = b"tricky"
    ours, theirs = pty.openpty()
    arguments = web.arguments if command == "download" else ["list", SESSION]
    process = begin(*arguments, stdout=theirs, env={"TERM": "xterm"})
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(ours)
    assert end(process).code == 0
    assert f"spikes.ti{ascii(trick)[1:-1]}mes".encode() in shown
    assert trick.encode() not in shown


@pytest.mark.parametrize("control", [*CONTROLS, "\n"], ids=ascii)
def test_d04_a_control_character_is_no_name(web: Web, control: str) -> None:
    with pytest.raises(UnsafeData) as caught:
        check_safe(f"{SESSION}/alf/spikes.ti{control}mes.npy")
    assert str(caught.value).isprintable()
    if control not in "\r\n":
        web.share(f"{SESSION}/alf/spikes.ti{control}mes.npy")
        refused = here("search")
        assert (refused.code, refused.out) == (8, "")
        assert refused.err.replace("\n", "").isprintable()


@pytest.mark.parametrize("bad", [b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xff", b"\xc0\xae"])
def test_d04_half_a_character_in_an_index_is_no_text(web: Web, bad: bytes) -> None:
    web.share(f"{SESSION}/alf/spikes.ti".encode() + bad + b"mes.npy")
    refused = here("search")
    assert (refused.code, refused.out) == (8, "")
    assert "row 2 of .one_root: it is not UTF-8" in refused.err


@pytest.mark.parametrize("number", [0xD800, 0xDCFF])
def test_d04_half_a_character_in_a_listing_harms_nobody(article: Article, number: int) -> None:
    name = f"spikes.ti{chr(number)}mes.npy"
    article.share({"spikes.times.npy": b"good"})
    rows = json.loads(article.server.files["/v2/articles/7/files"])  # type: ignore[arg-type]
    rows.append({**rows[0], "id": 99, "name": f"{SESSION}/alf/{name}".replace("/", "~")})
    article.server.files["/v2/articles/7/files"] = json.dumps(rows).encode()
    ended = here(*article.arguments)
    assert ended.code in (0, 8)
    searched = here("list", SESSION, "--json")
    assert searched.code in (0, 8)
    assert searched.out.isascii()
    with pytest.raises(UnsafeData):
        check_safe(f"{SESSION}/alf/{name}")


@linux
@pytest.mark.parametrize(
    "name",
    [b"spikes.ti\xffmes.npy", b"spikes.ti\x1b[2Jmes.npy", b"spikes.ti\nmes.npy", "spikes.ti\u202emes.npy".encode()],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_d04_a_local_file_of_such_a_name_is_told_escaped(tmp_path: Path, name: bytes, as_json: bool) -> None:
    folder = tmp_path / "root" / SESSION / "alf"
    folder.mkdir(parents=True)
    (folder / "spikes.times.npy").write_bytes(b"content")
    (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).write_bytes(b"content")
    scanned = here("scan", tmp_path / "root", *(["--json"] if as_json else []))
    assert "\x1b" not in scanned.out + scanned.err
    if as_json:
        assert scanned.out.isascii()
        assert all(isinstance(row, dict) for row in scanned.rows)
    else:
        assert "\u202e" not in scanned.err


def test_d04_what_is_shown_keeps_its_letters_and_its_lines() -> None:
    plain = "two lines\nof caf\u00e9 \u65e5\u672c \U0001f600 and e\u0301"
    assert visible(plain) == plain
    assert visible("a\x1b[2Jb\rc\u202ed\udcff\x00\u2028") == "a\\x1b[2Jb\\rc\\u202ed\\udcff\\x00\\u2028"
    assert visible("".join(map(chr, range(32, 127)))) == "".join(map(chr, range(32, 127)))


def test_d04_an_upload_tells_such_names_apart(tmp_path: Path) -> None:
    names = [f"{SESSION}/alf/spikes.ti{trick}mes.npy" for trick in TRICKS]
    local = Index(Entry(name, size=1) for name in names)
    steps = plan_upload(local, tmp_path, Index(), dict.fromkeys(names, "0" * 32))
    assert [type(step) for step in steps] == [Put] * len(names)


# Row D5: where an address leads

ADDRESSES = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "ftp://example.org/x",
    "gopher://example.org/x",
    "http://169.254.169.254/latest/meta-data",
    "http://[fd00:ec2::254]/latest",
    "http://10.0.0.1/x",
    "http://192.168.0.1/x",
    "https://user:pass@example.org/x",
    "https://example.org@10.0.0.1/x",
    "http://0x0a000001/x",
    "http://167772161/x",
    "javascript:alert(1)",
    "data:text/plain,x",
    "https://example.org:99999/x",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_d05_an_address_that_is_no_public_data_is_refused_before_anything_is_asked(web: Web, address: str) -> None:
    web.share(f"{SESSION}/alf/spikes.evil.npy\t{address}")
    refused = here(*web.arguments)
    assert (refused.code, refused.out) == (8, "")
    assert "row 2 of .one_root" in refused.err
    assert "user:pass" not in refused.err
    assert web.asked() == []
    assert not web.folder.exists()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "127.1", "2130706433"])
def test_d05_this_machine_is_refused_unless_the_repository_is_on_it(host: str) -> None:
    with pytest.raises(UnsafeData, match="private network"):
        check_url(f"http://{host}/x", trusted="https://example.org/data")
    if host in ("localhost", "127.0.0.1"):
        check_url(f"http://{host}:8000/x", trusted="http://127.0.0.1:9000/data")


def test_d05_an_address_elsewhere_on_the_configured_host_is_followed(web: Web) -> None:
    web.share(f"{SESSION}/alf/spikes.other.npy\t{web.server.url}/other/place")
    web.server.files["/other/place"] = b"there"
    done = here(*web.arguments)
    assert done.code == 0, done.err
    assert (web.folder / SESSION / "alf" / "spikes.other.npy").read_bytes() == b"there"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://169.254.169.254/x", "http://10.0.0.1/x"])
def test_d05_a_redirect_to_such_an_address_is_refused_as_well(web: Web, target: str) -> None:
    web.share(f"{SESSION}/alf/spikes.evil.npy")
    web.server.files[f"/data/{SESSION}/alf/spikes.evil.npy"] = b"x"
    web.server.faults[f"/data/{SESSION}/alf/spikes.evil.npy"] = [redirect(target), Good]
    failed = here(*web.arguments)
    assert failed.code == 8
    assert not (web.folder / SESSION / "alf" / "spikes.evil.npy").exists()
    assert (web.folder / GOOD).read_bytes() == b"good", "the others come"
