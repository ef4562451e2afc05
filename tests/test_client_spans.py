"""Parts of a resource that look like resources of their own: what is asked, what is shown, and what is refused.

Everything above the client is real: the quick way of small files, continued and shared downloads, slices.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import servers
from hypothesis import given
from hypothesis import strategies as st
from servers import AtOnce, Exchange, Fault, Good, WebServer, drip, redirect, status, then_swap

from onelight.client import Client, Limits, Response, Wanted
from onelight.client.span import Window
from onelight.errors import (
    ChecksumMismatch,
    NotFound,
    OneError,
    SizeMismatch,
    TransferError,
    Unreachable,
)
from onelight.index import EMPTY_MD5, Entry, Index
from onelight.loading.lazy import open_array
from onelight.pack import Pack, member_entry, packs_of, span_of
from onelight.repository import Repository
from onelight.route import Credential, Route, Source, origin_of
from onelight.transfer import Ledger, Outcome, Status, download, incoming, pieces, plan_download
from onelight.transfer.answer import OtherBytes
from onelight.transfer.remote import FIRST, RemoteFile

SESSION = "lab/Subjects/Cori/2016-12-14/001"
QUICK = Limits(connect=5, idle=5, attempts=4, pause=0.01, longest_wait=5)
OFFSET, SIZE = 1536, 1_300_000
TAR = random.Random(5).randbytes(OFFSET + SIZE + 100_000)
MEMBER = TAR[OFFSET : OFFSET + SIZE]
MB = 1_000_000


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        running.files["/tar"] = TAR
        yield running


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=QUICK) as running:
        yield running


@functools.cache
def session_pack(root: Path) -> Pack:
    """Write files of many kinds below a folder, and return their pack."""
    chance = random.Random(7)
    contents = {f"alf/o{number:02}.data.npy": chance.randbytes(number * 300) for number in range(40)}
    array = io.BytesIO()
    np.save(array, np.arange(600_000, dtype=np.int32).reshape(-1, 3))
    contents |= {"alf/probe00/spikes.rows.npy": array.getvalue(), "alf/probe01/o01.data.npy": chance.randbytes(5)}
    contents["raw/ephys.raw.bin"] = chance.randbytes(3 * MB)
    entries = []
    for below, content in contents.items():
        path = root / SESSION / below
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        entries.append(Entry(f"{SESSION}/{below}", "", len(content), hashlib.md5(content).hexdigest()))
    [pack] = packs_of(entries, root)
    return pack


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture
def packed(server: WebServer, root: Path) -> dict[str, Entry]:
    """The members of a pack on the server, by the last part of their path."""
    pack = session_pack(root)
    with pack.open() as reader:
        server.files["/pack.tar"] = reader.read()
    return {
        member.path.removeprefix(f"{SESSION}/"): member_entry(f"{server.url}/pack.tar", member)
        for member in pack.members
    }


class Shelf(Repository):
    """Takes the addresses of members for what they are."""

    kind: ClassVar[str] = "shelf"

    @property
    def address(self) -> str:
        return "a shelf"

    def refresh(self, *_: object, **__: object) -> Index:
        return Index()

    def source(self, entry: Entry) -> Source:
        url, offset, size = span_of(entry.url) or (entry.url, 0, 0)
        return (Route(url, span=(offset, size)),)


def fetch(entries: Sequence[Entry], folder: Path, **more: Any) -> list[Outcome]:
    """Plan and run a download, as One does."""
    ledger = Ledger(folder)
    with Client(limits=more.pop("limits", QUICK)) as client:
        steps = plan_download(entries, folder, ledger)
        return download(steps, Shelf("shelf"), client, folder, ledger, **{"parallel": 8, **more})


def member_of(server: WebServer, content: bytes = MEMBER, offset: int = OFFSET, name: str = "ephys.raw.bin") -> Entry:
    url = f"{server.url}/tar#bytes={offset}-{offset + len(content) - 1}"
    return Entry(f"{SESSION}/raw/{name}", url, len(content), hashlib.md5(content).hexdigest())


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".*") if path.is_file() and path.name != ".one_verified")


class Kept:
    """A sink that keeps what comes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.begun: list[Response] = []

    def begin(self, response: Response) -> None:
        self.begun.append(response)

    def write(self, blocks: list[bytes]) -> None:
        self.data += b"".join(blocks)


def got(
    client: Client, url: str, headers: Mapping[str, str] | None = None, span: tuple[int, int] = (OFFSET, SIZE)
) -> tuple[Response, bytes]:
    """Ask for a span; return the answer, which is what the sink was shown, and its bytes."""
    sink = Kept()
    answer = client.stream(Route(url, span=span), sink, headers)
    if sink.begun:
        [begun] = sink.begun
        assert (begun.status, begun.headers) == (answer.status, answer.headers)
    return answer, bytes(sink.data)


def cut(after: int) -> Fault:
    """Answer a range, and end the connection after so many bytes of it."""

    def fault(exchange: Exchange) -> None:
        start, end = exchange.request.range_start or 0, min(exchange.request.range_end or exchange.size, exchange.size)
        headers = {"Content-Length": end - start, "Content-Range": f"bytes {start}-{end - 1}/{exchange.size}"}
        exchange.head(206, {**headers, "ETag": exchange.etag})
        for data in exchange.read(start, min(start + after, end)):
            exchange.send(data)
        exchange.hang_up()

    return fault


def capped(most: int) -> Fault:
    """Send so many bytes of a range at the most, as a server may (RFC 9110, 14.2)."""

    def fault(exchange: Exchange) -> None:
        start = exchange.request.range_start or 0
        end = min(exchange.request.range_end or exchange.size, start + most, exchange.size)
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{exchange.size}", "ETag": exchange.etag}
        exchange.answer(206, b"".join(exchange.read(start, end)), headers)

    return fault


def answering(headers: Mapping[str, Any], *, number: int = 206, more: int = 0) -> Fault:
    """Serve a range well but for these headers, in which ``{first}``, ``{last}`` and ``{total}`` are the right ones."""

    def fault(exchange: Exchange) -> None:
        start, end = exchange.request.range_start or 0, min(exchange.request.range_end or exchange.size, exchange.size)
        good = {"ETag": exchange.etag, "Content-Range": "bytes {first}-{last}/{total}"}
        right = {"first": start, "last": end - 1, "total": exchange.size}
        data = b"".join(exchange.read(start, end + more))
        sent = {name: value.format(**right) for name, value in {**good, **headers}.items() if value is not None}
        exchange.answer(number, data, sent)

    return fault


def in_chunks(most: int | None = None) -> Fault:
    """Answer a range without saying how long the answer is; perhaps not all of it, and with a good end."""

    def fault(exchange: Exchange) -> None:
        start, end = exchange.request.range_start or 0, exchange.request.range_end or exchange.size
        headers = {"Transfer-Encoding": "chunked", "Content-Range": f"bytes {start}-{end - 1}/{exchange.size}"}
        exchange.head(206, {**headers, "ETag": exchange.etag})
        for data in exchange.read(start, end if most is None else min(end, start + most)):
            exchange.send(b"%x\r\n%s\r\n" % (len(data), data))
        exchange.send(b"0\r\n\r\n")

    return fault


class TestWhatIsAsked:
    def test_all_of_a_span_is_asked_for_by_range_and_looks_like_all_of_a_resource(
        self, server: WebServer, client: Client
    ) -> None:
        answer, data = got(client, f"{server.url}/tar")
        assert data == MEMBER
        assert (answer.status, answer.size) == (200, SIZE)
        assert "content-range" not in answer.headers
        assert answer.headers["etag"] == server.etag_of(TAR)
        [request] = server.requests
        assert request.headers["range"] == f"bytes={OFFSET}-{OFFSET + SIZE - 1}"
        assert request.headers["accept-encoding"] == "identity"

    @pytest.mark.parametrize(
        ("asked", "begin", "end"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=0-", 0, SIZE),
            ("bytes=500-999", 500, 1000),
            (f"bytes=100-{SIZE - 1}", 100, SIZE),
            (f"bytes=100-{SIZE}", 100, SIZE),
            (f"bytes=100-{SIZE + 50_000}", 100, SIZE),
            (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
            ("bytes=-1", SIZE - 1, SIZE),
            ("bytes=-700", SIZE - 700, SIZE),
            (f"bytes=-{SIZE + 5}", 0, SIZE),
        ],
    )
    def test_a_range_is_moved_and_its_answer_moved_back(
        self, server: WebServer, client: Client, asked: str, begin: int, end: int
    ) -> None:
        answer, data = got(client, f"{server.url}/tar", {"Range": asked})
        assert data == MEMBER[begin:end]
        assert (answer.status, answer.size) == (206, end - begin)
        assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{SIZE}"
        assert server.requests[0].headers["range"] == f"bytes={OFFSET + begin}-{OFFSET + end - 1}"

    @pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=-0"])
    def test_what_lies_behind_the_span_is_not_asked_for(self, server: WebServer, client: Client, asked: str) -> None:
        answer, data = got(client, f"{server.url}/tar", {"Range": asked})
        assert (answer.status, answer.headers, data) == (416, {"content-range": f"bytes */{SIZE}"}, b"")
        assert server.requests == []

    @pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-5", "bytes=-", "lines=1-2", "bytes=a-b"])
    def test_what_nobody_asks_for_is_an_error_of_the_program(self, client: Client, asked: str) -> None:
        with pytest.raises(ValueError, match="range"):
            got(client, "http://127.0.0.1:9/tar", {"Range": asked})

    def test_nothing_is_asked_for_an_empty_span(self, server: WebServer, client: Client) -> None:
        sink = Kept()
        client.stream(Route(f"{server.url}/tar", span=(OFFSET, 0)), sink)
        assert [begun.status for begun in sink.begun] == [200]
        answer, data = got(client, f"{server.url}/tar", span=(OFFSET, 0))
        assert (answer.status, answer.size, data) == (200, 0, b"")
        assert answer.url == f"{server.url}/tar"
        answer, _ = got(client, f"{server.url}/tar", {"Range": "bytes=0-"}, (OFFSET, 0))
        assert (answer.status, answer.headers["content-range"]) == (416, "bytes */0")
        given: list[Response | None] = []
        client.gather([Wanted(Route(f"{server.url}/tar", span=(OFFSET, 0)), 0, given.append)])
        assert [(one.status, one.body) for one in given if one] == [(200, b"")]
        assert server.requests == []

    def test_a_redirect_keeps_the_range_and_tells_no_secret(self, server: WebServer, client: Client) -> None:
        with WebServer() as store:
            store.files["/signed"] = TAR
            server.faults["/tar"] = [redirect(f"{store.url}/signed?X-Amz-Signature=1")]
            credential = Credential(origin_of(server.url), header="token canary")
            for headers, begin, end in (({}, 0, SIZE), ({"Range": "bytes=7-99"}, 7, 100)):
                sink, given = Kept(), []
                client.stream(Route(f"{server.url}/tar", credential, (OFFSET, SIZE)), sink, headers)
                assert bytes(sink.data) == MEMBER[begin:end]
                client.gather([Wanted(Route(f"{server.url}/tar", credential, (OFFSET, SIZE)), SIZE, given.append)])
                assert given[0] is not None
                assert given[0].body == MEMBER
            assert {seen.headers.get("authorization") for seen in server.requests} == {"token canary"}
            assert not any("authorization" in seen.headers for seen in store.requests)
            assert [seen.headers["range"] for seen in store.requests] == [
                seen.headers["range"] for seen in server.requests
            ]

    def test_a_route_without_a_span_is_asked_as_ever(self, server: WebServer, client: Client) -> None:
        sink = Kept()
        assert client.stream(Route(f"{server.url}/tar"), sink).status == 200
        assert bytes(sink.data) == TAR
        assert "range" not in server.requests[0].headers

    def test_a_span_can_be_spooled(self, server: WebServer, client: Client) -> None:
        server.faults["/tar"] = [in_chunks(5000), cut(700), Good]  # and what comes too short is asked for again
        spool, _ = client.spool(Route(f"{server.url}/tar", span=(OFFSET, SIZE)), SIZE)
        assert spool is not None
        with spool:
            assert spool.read() == MEMBER
        assert len(server.requests) == 3


class TestWhatIsRefused:
    def test_a_server_without_ranges_sends_no_gigabytes(self, server: WebServer, client: Client) -> None:
        server.faults["/tar"] = [servers.endless]
        for headers in ({}, {"Range": "bytes=5-9"}):
            sink = Kept()
            with pytest.raises(TransferError, match="sends whole files only") as caught:
                client.stream(Route(f"{server.url}/tar", span=(OFFSET, SIZE)), sink, headers)
            assert "proxy" in caught.value.hint
            assert "tar xf" in caught.value.hint
            assert (sink.begun, sink.data) == ([], b"")

    @pytest.mark.parametrize("size", [SIZE, 40])
    def test_all_of_another_resource_is_no_answer_whatever_its_size(
        self, server: WebServer, client: Client, size: int
    ) -> None:
        server.faults["/tar"] = [lambda exchange: exchange.answer(200, b"<html>".ljust(size))]
        with pytest.raises(TransferError, match="sends whole files only"):
            got(client, f"{server.url}/tar")
        given: list[Response | None] = []
        client.gather([Wanted(Route(f"{server.url}/tar", span=(OFFSET, SIZE)), SIZE, given.append)])
        assert given == [None]

    def test_a_page_that_wants_a_login_is_told_as_one(self, server: WebServer, client: Client) -> None:
        server.faults["/tar"] = [servers.page]
        with pytest.raises(TransferError, match="sends a web page") as caught:
            got(client, f"{server.url}/tar")
        assert "log in" in caught.value.hint

    def test_another_tar_under_if_range_is_told_as_replaced(self, server: WebServer, client: Client) -> None:
        good = {"Range": "bytes=5-", "If-Range": server.etag_of(TAR)}
        assert got(client, f"{server.url}/tar", good)[1] == MEMBER[5:]
        with pytest.raises(SizeMismatch, match="was replaced on the server meanwhile"):
            got(client, f"{server.url}/tar", {**good, "If-Range": '"old"'})
        server.ranges = False
        with pytest.raises(TransferError, match="sends whole files only"):
            got(client, f"{server.url}/tar", good)

    @pytest.mark.parametrize("total", [0, 5, OFFSET, OFFSET + 1, OFFSET + SIZE - 1])
    @pytest.mark.parametrize("asked", [None, "bytes=0-99", f"bytes={SIZE - 5}-"])
    def test_a_tar_that_ends_before_the_span_does_is_never_enough(
        self, server: WebServer, tmp_path: Path, client: Client, total: int, asked: str | None
    ) -> None:
        server.files["/tar"] = TAR[:total]
        sink = Kept()
        try:
            answer = client.stream(
                Route(f"{server.url}/tar", span=(OFFSET, SIZE)), sink, {"Range": asked} if asked else {}
            )
        except SizeMismatch as error:
            assert "ends before byte" in str(error)  # noqa: PT017 - the one of two good ends
        else:
            assert answer.status == 206
            assert answer.headers["content-range"].endswith(f"/{total - OFFSET}")
        [outcome] = fetch([member_of(server)], tmp_path)
        assert isinstance(outcome.error, OneError)
        assert list(tmp_path.rglob("*.bin")) == []

    def test_a_span_at_the_very_end_of_a_resource_is_whole(self, server: WebServer, client: Client) -> None:
        assert got(client, f"{server.url}/tar", span=(len(TAR) - 7, 7))[1] == TAR[-7:]

    @pytest.mark.parametrize(
        "fault",
        [
            servers.wrong_range(-1),
            servers.wrong_range(1),
            servers.wrong_range(-OFFSET),
            servers.no_content_range,
            servers.several_parts,
            servers.gzipped_range,
            answering({"Content-Range": None}),
            answering({"Content-Range": "bytes {first}-{total}/{total}"}),
            answering({"Content-Range": "bytes {last}-{first}/{total}"}),
            answering({"Content-Range": "bytes 0-{last}/{total}"}),
            answering({"Content-Range": "lines {first}-{last}/{total}"}),
            answering({"Content-Encoding": "gzip"}),
            answering({}, more=5),
            answering({"Content-Range": "bytes {first}-{last}/5"}),
            lambda exchange: exchange.answer(206, gzip.compress(MEMBER), {"Content-Encoding": "gzip"}),
        ],
    )
    def test_other_bytes_than_were_asked_for_are_refused_in_every_way(
        self, server: WebServer, client: Client, tmp_path: Path, fault: Fault
    ) -> None:
        server.faults["/tar"] = [fault]
        small = member_of(server, MEMBER[:5000], name="small.raw.bin")
        for outcome in fetch([member_of(server), small], tmp_path, limits=Limits(attempts=2, pause=0.01, idle=5)):
            assert isinstance(outcome.error, (OtherBytes, SizeMismatch)), outcome.error
        assert not list(tmp_path.rglob("*.bin"))
        with RemoteFile([Route(f"{server.url}/tar", span=(OFFSET, SIZE))], client, name="x", size=SIZE) as file:
            with pytest.raises(OneError):
                file.read(100)
            assert file.tell() == 0

    def test_other_bytes_under_a_right_content_range_are_told_by_the_md5(
        self, server: WebServer, tmp_path: Path
    ) -> None:
        server.files["/tar"] = bytes(len(TAR))
        [outcome] = fetch([member_of(server)], tmp_path)
        assert isinstance(outcome.error, ChecksumMismatch)
        assert leftovers(tmp_path) == []

    @pytest.mark.parametrize(
        ("fault", "error"), [(status(404), NotFound), (status(500), Unreachable), (servers.challenge, Unreachable)]
    )
    def test_refusals_are_those_of_any_address(
        self, server: WebServer, client: Client, fault: Fault, error: type[OneError]
    ) -> None:
        server.faults["/tar"] = [fault]
        with pytest.raises(error):
            got(client, f"{server.url}/tar")


class TestAnswersAsTheyAreShown:
    @pytest.mark.parametrize(
        ("headers", "status", "content_range"),
        [
            ({"content-range": "bytes 10-14/100", "content-length": "5"}, 200, None),
            ({"content-range": "bytes 10-14/100"}, 200, None),
            ({"content-range": "bytes 10-14/*"}, 200, None),
            ({"content-range": "bytes 10-14/15", "content-encoding": "identity"}, 200, None),
            ({"content-range": "bytes 10-14/100", "content-length": "6"}, 206, "bytes 0-4/5"),
            ({"content-range": "bytes 10-13/100", "content-length": "4"}, 206, "bytes 0-3/5"),
            ({"content-range": "bytes 11-14/100", "content-length": "4"}, 206, "bytes 1-4/5"),
            ({"content-range": "bytes 10-14/14", "content-length": "5"}, 206, "bytes 0-4/4"),
            ({"content-range": "bytes 10-14/100", "content-encoding": "gzip"}, 206, "bytes 0-4/5"),
            ({"content-range": "bytes 9-14/100"}, 206, None),
            ({"content-range": "bytes 10-15/100"}, 206, None),
            ({"content-range": "bytes 14-10/100"}, 206, None),
            ({}, 206, None),
        ],
    )
    def test_only_what_was_asked_for_looks_whole(
        self, headers: dict[str, str], status: int, content_range: str | None
    ) -> None:
        shown = Window((10, 5), {}).shown(Response("u", 206, {"etag": '"e"', **headers}))
        assert (shown.status, shown.headers.get("content-range")) == (status, content_range)
        assert shown.headers["etag"] == '"e"'
        assert status == 206 or shown.size == 5

    def test_a_refusal_of_bytes_that_are_there_stays_one(self) -> None:
        window = Window((10, 5), {"Range": "bytes=1-"})
        shown = window.shown(Response("u", 416, {"content-range": "bytes */100"}))
        assert (shown.status, shown.headers) == (416, {"content-range": "bytes */5"})
        assert window.shown(Response("u", 416)).headers == {}

    def test_the_answer_of_the_server_is_left_as_it_is(self) -> None:
        answer = Response("u", 206, {"content-range": "bytes 10-14/100"})
        Window((10, 5), {}).shown(answer)
        assert answer == Response("u", 206, {"content-range": "bytes 10-14/100"})


class TestAgainstAServerOfTheMemberAlone:
    """Whatever is asked: a window on a server of the tar answers as a server of the member would."""

    @staticmethod
    def serve(content: bytes, headers: Mapping[str, str]) -> tuple[Response, bytes]:
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("Range", ""))
        if found is None:
            return Response("u", 200, {"content-length": str(len(content)), "etag": '"e"'}), content
        first = int(found[1]) if found[1] else max(0, len(content) - int(found[2]))
        end = min(int(found[2]) + 1, len(content)) if found[1] and found[2] else len(content)
        if first >= len(content):
            return Response("u", 416, {"content-range": f"bytes */{len(content)}"}), b""
        said = {"content-length": str(end - first), "content-range": f"bytes {first}-{end - 1}/{len(content)}"}
        return Response("u", 206, {**said, "etag": '"e"'}), content[first:end]

    @given(
        before=st.integers(0, 50),
        member=st.binary(max_size=50),
        after=st.integers(0, 50),
        asked=st.one_of(
            st.none(),
            st.integers(0, 60).map("bytes={}-".format),
            st.integers(0, 60).map("bytes=-{}".format),
            st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: f"bytes={min(pair)}-{max(pair)}"),
        ),
    )
    def test_it_is_the_same(self, before: int, member: bytes, after: int, asked: str | None) -> None:
        headers = {} if asked is None else {"Range": asked}
        expected, data = self.serve(member, headers)
        window = Window((before, len(member)), headers)
        if window.settled is not None:
            shown, came = window.settled, b""
        else:
            answer, came = self.serve(bytes(before) + member + bytes(after), window.headers)
            window.came = len(came)
            shown = window.ended(answer)
        assert (shown.status, came) == (expected.status, data)
        for name in ("content-range", "content-length") if shown.status != 416 else ("content-range",):
            assert shown.headers.get(name) == expected.headers.get(name)


class TestDownloads:
    def test_every_member_of_a_pack_arrives_with_one_request_each(
        self, server: WebServer, packed: dict[str, Entry], root: Path, tmp_path: Path
    ) -> None:
        outcomes = fetch(list(packed.values()), tmp_path)
        assert [outcome.error for outcome in outcomes if outcome.error] == []
        for below in packed:
            assert (tmp_path / SESSION / below).read_bytes() == (root / SESSION / below).read_bytes()
        assert packed["alf/o00.data.npy"].md5 == EMPTY_MD5
        assert len(server.requests) == len(packed) - 1  # the empty one is known without asking
        assert all("range" in request.headers for request in server.requests)
        assert leftovers(tmp_path) == []
        again = fetch(list(packed.values()), tmp_path)
        assert {outcome.status for outcome in again} == {Status.KEPT}

    def test_small_members_and_files_of_their_own_are_asked_for_side_by_side(
        self, server: WebServer, client: Client, packed: dict[str, Entry]
    ) -> None:
        server.files["/alone"] = b"alone"
        given: dict[str, Response | None] = {}

        def wanted() -> Iterator[Wanted | None]:
            for below, entry in packed.items():
                url, offset, size = span_of(entry.url) or ("", 0, 0)
                yield Wanted(Route(url, span=(offset, size)), size, functools.partial(given.__setitem__, below))
                yield Wanted(Route(f"{server.url}/alone"), 5, functools.partial(given.__setitem__, f"alone {below}"))

        client.gather(wanted())
        for below, entry in packed.items():
            answer, alone = given[below], given[f"alone {below}"]
            assert answer is not None
            assert (answer.status, hashlib.md5(answer.body).hexdigest()) == (200, entry.md5)
            assert alone is not None
            assert alone.body == b"alone"
        plain = [request for request in server.requests if request.path == "/alone"]
        assert not any("range" in request.headers for request in plain)

    def test_a_server_without_ranges_is_told_for_every_member(
        self, server: WebServer, packed: dict[str, Entry], tmp_path: Path
    ) -> None:
        server.ranges = False
        outcomes = fetch(list(packed.values()), tmp_path)
        failed = [outcome for outcome in outcomes if outcome.error]
        assert len(failed) == len(packed) - 1  # but the empty one
        assert all("sends whole files only" in str(outcome.error) for outcome in failed)
        assert leftovers(tmp_path) == []

    def test_a_cut_download_goes_on_where_it_was_cut(self, server: WebServer, tmp_path: Path) -> None:
        server.faults["/tar"] = [cut(420_000), Good]
        [outcome] = fetch([member_of(server)], tmp_path)
        assert outcome.error is None
        assert outcome.target.read_bytes() == MEMBER
        _, second = server.requests
        assert second.range_start is not None
        assert OFFSET < second.range_start <= OFFSET + 420_000
        assert second.range_end == OFFSET + SIZE
        assert second.headers["if-range"] == server.etag_of(TAR)

    def test_the_next_run_goes_on_where_one_was_cut_for_good(self, server: WebServer, tmp_path: Path) -> None:
        server.faults["/tar"] = [cut(700_000), servers.hangs_up]
        [outcome] = fetch([member_of(server)], tmp_path)
        assert isinstance(outcome.error, Unreachable)
        assert leftovers(tmp_path) != []
        server.heal()
        [outcome] = fetch([member_of(server)], tmp_path)
        assert outcome.error is None
        assert outcome.resumed_from > 0
        assert outcome.target.read_bytes() == MEMBER
        [request] = server.requests
        assert request.range_start == OFFSET + outcome.resumed_from
        assert leftovers(tmp_path) == []

    def test_two_members_that_were_cut_are_not_mixed_up(self, server: WebServer, tmp_path: Path) -> None:
        """Of one size, at one address: only the span tells them apart."""
        half = SIZE // 2
        two = [
            member_of(server, MEMBER[:half], OFFSET, "one.raw.bin"),
            member_of(server, MEMBER[half:], OFFSET + half, "two.raw.bin"),
        ]
        server.faults["/tar"] = [cut(60_000), cut(60_000), servers.hangs_up]
        assert all(outcome.error for outcome in fetch(two, tmp_path, limits=Limits(attempts=1, pause=0.01)))
        server.heal()
        outcomes = fetch(two, tmp_path)
        assert [outcome.error for outcome in outcomes] == [None, None]
        assert b"".join(outcome.target.read_bytes() for outcome in outcomes) == MEMBER

    def test_a_tar_that_is_replaced_meanwhile_is_fetched_from_the_beginning(
        self, server: WebServer, tmp_path: Path
    ) -> None:
        newer = bytes(OFFSET) + MEMBER + bytes(7)  # its member is the same
        server.faults["/tar"] = [then_swap(cut(420_000), newer), Good]
        [outcome] = fetch([member_of(server)], tmp_path)
        assert outcome.error is None
        assert outcome.target.read_bytes() == MEMBER
        assert server.requests[-1].range_start == OFFSET
        server.heal()
        other = bytes(len(TAR))  # and here it is not
        server.files["/tar"] = TAR
        server.faults["/tar"] = [then_swap(cut(420_000), other), Good]
        outcome.target.unlink()
        [outcome] = fetch([member_of(server)], tmp_path)
        assert isinstance(outcome.error, ChecksumMismatch)

    @pytest.mark.parametrize("fault", [capped(400_000), in_chunks(400_000), in_chunks()])
    def test_a_server_that_sends_less_at_a_time_is_asked_until_all_is_there(
        self, server: WebServer, tmp_path: Path, fault: Fault
    ) -> None:
        server.faults["/tar"] = [fault]
        [outcome] = fetch([member_of(server)], tmp_path)
        assert outcome.error is None
        assert outcome.target.read_bytes() == MEMBER

    def test_several_connections_share_a_large_member(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(incoming, "LARGE", 8 * MB)
        monkeypatch.setattr(incoming, "_FIRST", 8 * MB)
        monkeypatch.setattr(pieces, "SHORTEST", 4 * MB)
        monkeypatch.setattr(pieces, "LONGEST", 8 * MB)
        noise, size = random.Random(9).randbytes(MB - 8), 50 * MB
        member = b"".join(number.to_bytes(8, "big") + noise for number in range(50))
        with WebServer() as server:
            server.files["/tar"] = bytes(OFFSET) + member + bytes(4096)
            counted = AtOnce(drip(0.02, MB))
            server.faults["/tar"] = [counted]
            [outcome] = fetch([member_of(server, member)], tmp_path, limits=Limits(idle=20, attempts=4, pause=0.01))
            assert outcome.error is None
            assert hashlib.md5(outcome.target.read_bytes()).hexdigest() == hashlib.md5(member).hexdigest()
            assert counted.most > 1
            spans = sorted((seen.range_start or 0, seen.range_end or 0) for seen in server.requests)
            assert spans[0][0] == OFFSET
            assert [end for _, end in spans] == [*(begin for begin, _ in spans[1:]), OFFSET + size]  # each byte once
            assert all("if-range" in seen.headers for seen in server.requests[1:])
        assert leftovers(tmp_path) == []


class TestSlices:
    @pytest.fixture
    def opened(self, client: Client, packed: dict[str, Entry]) -> Callable[..., RemoteFile]:
        def open_it(below: str, **more: Any) -> RemoteFile:
            url, offset, size = span_of(packed[below].url) or ("", 0, 0)
            return RemoteFile([Route(url, span=(offset, size))], client, name=below, **{"size": size, **more})

        return open_it

    def test_a_slice_of_an_array_in_a_tar_costs_its_bytes_and_no_more(
        self, server: WebServer, packed: dict[str, Entry], opened: Callable[..., RemoteFile]
    ) -> None:
        with opened("alf/probe00/spikes.rows.npy") as file:
            array = open_array(file, Path("spikes.rows.npy"))
            assert array.shape == (200_000, 3)
            rows = array[150_000:150_010]
            np.testing.assert_array_equal(rows, np.arange(450_000, 450_030).reshape(-1, 3))
            assert file.bytes_received < FIRST + 300_000
        size = packed["alf/probe00/spikes.rows.npy"].size or 0
        offset = (span_of(packed["alf/probe00/spikes.rows.npy"].url) or ("", 0, 0))[1]
        assert all(
            offset <= (seen.range_start or 0) < (seen.range_end or 0) <= offset + size for seen in server.requests
        )
        assert server.requests[1].headers["if-range"] == server.etag_of(server.files["/pack.tar"])

    @pytest.mark.parametrize("more", [{}, {"size": None}, {"tail": True}, {"tail": True, "size": None}])
    @pytest.mark.parametrize("below", ["raw/ephys.raw.bin", "alf/o01.data.npy", "alf/o39.data.npy"])
    def test_it_reads_as_the_file_does(
        self, root: Path, opened: Callable[..., RemoteFile], below: str, more: dict[str, Any]
    ) -> None:
        chance, size = random.Random(3), (root / SESSION / below).stat().st_size
        with (root / SESSION / below).open("rb") as here, opened(below, **more) as there:
            for _ in range(20):
                at, count = chance.randrange(size + 10), chance.randrange(60_000)
                assert there.seek(at) == here.seek(at)
                assert there.read(count) == here.read(count)
            assert there.seek(0, 2) == size

    def test_an_empty_member_is_an_empty_file(self, server: WebServer, opened: Callable[..., RemoteFile]) -> None:
        with opened("alf/o00.data.npy") as file:
            assert file.read() == b""
        assert server.requests == []

    def test_parts_of_two_tars_are_never_mixed(self, server: WebServer, opened: Callable[..., RemoteFile]) -> None:
        with opened("raw/ephys.raw.bin") as file:
            file.read(100)
            content = server.files["/pack.tar"]
            assert isinstance(content, bytes)
            server.files["/pack.tar"] = content[:-1] + b"x"
            file.seek(2 * MB)
            with pytest.raises(SizeMismatch, match="replaced"):
                file.read(100)

    def test_a_server_without_ranges_is_told_and_not_read(
        self, server: WebServer, opened: Callable[..., RemoteFile]
    ) -> None:
        server.faults["/pack.tar"] = [servers.endless]
        with (
            opened("raw/ephys.raw.bin", beginning=True) as file,
            pytest.raises(TransferError, match="whole files only"),
        ):
            file.read(100)

    def test_a_cut_read_goes_on(self, server: WebServer, root: Path, opened: Callable[..., RemoteFile]) -> None:
        server.faults["/pack.tar"] = [Good, cut(100_000), Good]
        with opened("raw/ephys.raw.bin") as file:
            assert file.read() == (root / SESSION / "raw/ephys.raw.bin").read_bytes()
