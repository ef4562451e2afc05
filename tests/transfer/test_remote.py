"""A file on a server is read in parts: few requests, few bytes, and never parts of two versions."""

from __future__ import annotations

import base64
import io
import itertools
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import servers
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import Exchange, Good, WebServer, cut, status, then_swap

from onelight.client import Client, Limits
from onelight.errors import (
    AccessDenied,
    DatasetNotFound,
    Interrupted,
    NotFound,
    OneError,
    RateLimited,
    RepositoryError,
    SizeMismatch,
    TransferError,
    Unreachable,
)
from onelight.loading.lazy import open_array
from onelight.route import Credential, Route
from onelight.transfer import remote
from onelight.transfer.remote import BLOCK, FIRST, TAIL, NoRanges, RemoteFile, Replaced

QUICK = Limits(connect=5, idle=5, attempts=4, pause=0.01, longest_wait=5)
CONTENT = random.Random(1).randbytes(3_000_000)
PATH = "/ephys.raw.bin"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client(limits=QUICK) as running:
        yield running


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        running.files[PATH] = CONTENT
        yield running


def remote_file(client: Client, *servers: WebServer, **more: Any) -> RemoteFile:
    return RemoteFile([Route(one.url + PATH) for one in servers], client, name="alf/ephys.raw.bin", **more)


def spans(server: WebServer) -> list[str]:
    return [request.headers["range"].removeprefix("bytes=") for request in server.requests]


def answering(headers: dict[str, Any], number: int = 206, body: bytes | None = None) -> servers.Fault:
    """Serve a range well but for these headers; None takes one away."""

    def fault(exchange: Exchange) -> None:
        start, end = exchange.request.range_start or 0, min(exchange.request.range_end or exchange.size, exchange.size)
        good = {"ETag": exchange.etag, "Content-Range": f"bytes {start}-{end - 1}/{exchange.size}"}
        data = b"".join(exchange.read(start, end)) if body is None else body
        sent = {name: value for name, value in {**good, **headers}.items() if value is not None}
        exchange.answer(number, data, sent)

    return fault


def from_the_end(exchange: Exchange) -> None:
    """Know of ranges that count from the end, which the server of these tests does not."""
    asked = exchange.request.headers["range"]
    if not asked.startswith("bytes=-"):
        Good(exchange)
        return
    start = max(0, exchange.size - int(asked.removeprefix("bytes=-")))
    answer = {"Content-Range": f"bytes {start}-{exchange.size - 1}/{exchange.size}", "ETag": exchange.etag}
    exchange.answer(206, b"".join(exchange.read(start, exchange.size)), answer)


class Sent:
    """A fault that serves well and counts what it could send."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, exchange: Exchange) -> None:
        connection, counted = exchange.connection, self

        class Counting:
            def sendall(self, data: bytes) -> None:
                connection.sendall(data)
                counted.bytes += len(data)

        exchange.connection = Counting()  # type: ignore[assignment]
        Good(exchange)


# A file like any other


def test_nothing_is_asked_before_the_first_read(server: WebServer, client: Client) -> None:
    with remote_file(client, server, size=len(CONTENT)) as file:
        assert file.seek(-10, io.SEEK_END) == len(CONTENT) - 10
        assert file.tell() == len(CONTENT) - 10
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
        assert "3,000,000 bytes" in repr(file)
        assert file.requests == 0
    assert not server.requests


def test_it_reads_like_a_file(server: WebServer, client: Client) -> None:
    with remote_file(client, server) as file:
        assert file.read(10) == CONTENT[:10]
        assert file.read(100_000) == CONTENT[10:100_010]
        assert file.seek(5, io.SEEK_CUR) == 100_015
        assert file.read(5) == CONTENT[100_015:100_020]
        assert file.seek(-7, io.SEEK_END) == len(CONTENT) - 7
        assert file.read(100) == CONTENT[-7:]
        assert file.read(100) == b""
        assert file.seek(len(CONTENT) + 100) == len(CONTENT) + 100
        assert file.read(1) == file.read() == b""
        file.seek(2_900_000)
        assert file.read() == CONTENT[2_900_000:]
        assert file.read_at(-3 + len(CONTENT), 10) == CONTENT[-3:]
        assert file.read_at(len(CONTENT) + 5, 10) == file.read_at(5, 0) == b""
        for wrong in (lambda: file.seek(-1), lambda: file.seek(0, 7), lambda: file.read_at(-1, 5)):
            with pytest.raises(ValueError, match="alf/ephys.raw.bin has no byte -1|whence is 7"):
                wrong()
    for closed in (lambda: file.read(1), lambda: file.seek(0), file.tell, lambda: file.read_at(0, 1)):
        with pytest.raises(ValueError, match="closed"):
            closed()


def test_a_buffer_of_any_form_is_filled(server: WebServer, client: Client) -> None:
    with remote_file(client, server) as file:
        array = np.zeros((10, 4), "<i4")
        assert file.read_into(1_000, array) == 160
        assert array.tobytes() == CONTENT[1_000:1_160]
        assert file.read_into(0, bytearray()) == 0
        assert file.readinto(np.zeros((0, 3))) == 0


@given(
    reads=st.lists(st.tuples(st.integers(0, 3_100_000), st.integers(0, 700_000)), min_size=1, max_size=12),
    tail=st.booleans(),
    size=st.sampled_from([None, len(CONTENT)]),
    held=st.sampled_from([300_000, 1_000_000, remote.HELD]),
)
@settings(max_examples=25, deadline=None)
def test_any_reads_in_any_order_give_the_bytes_that_are_there(
    reads: list[tuple[int, int]], tail: bool, size: int | None, held: int
) -> None:
    with pytest.MonkeyPatch.context() as patched, WebServer() as server, Client(limits=QUICK) as client:
        patched.setattr(remote, "HELD", held)
        server.files[PATH] = CONTENT
        server.faults[PATH] = [from_the_end]
        with remote_file(client, server, tail=tail, size=size) as file:
            for offset, length in reads:
                assert file.read_at(offset, length) == CONTENT[offset : offset + length]
            kept = file._blocks
            assert sum(len(data) for _, data in kept._held.values()) == kept._size <= held
            assert file.requests <= 2 * len(reads) + 1


@pytest.mark.parametrize("size", [0, 1, FIRST - 1, FIRST, FIRST + 1, TAIL, BLOCK, BLOCK + 1])
@pytest.mark.parametrize("tail", [True, False])
@pytest.mark.parametrize("stated", [True, False])
def test_files_of_every_length_are_read_to_their_end(
    server: WebServer, client: Client, size: int, tail: bool, stated: bool
) -> None:
    server.files[PATH] = CONTENT[:size]
    with remote_file(client, server, tail=tail, size=size if stated else None) as file:
        assert file.read() == CONTENT[:size]
        assert file.seek(0, io.SEEK_END) == size


def test_an_empty_file_may_be_an_answer_without_bytes(server: WebServer, client: Client) -> None:
    server.faults[PATH] = [servers.empty]
    with remote_file(client, server) as file:
        assert file.read() == b""


# Requests and bytes


def test_the_first_request_learns_what_file_it_is(server: WebServer, client: Client) -> None:
    with remote_file(client, server) as file:
        assert file.read_at(100, 50) == CONTENT[100:150]
        assert spans(server) == ["0-16383"]
        assert file.read_at(1_000_000, 100_000) == CONTENT[1_000_000:1_100_000]
    assert spans(server)[1:] == ["1000000-1099999"]
    etag = server.etag_of(CONTENT)
    assert [request.headers.get("if-range") for request in server.requests] == [None, etag]


def test_the_end_is_fetched_first_where_it_is_wanted(server: WebServer, client: Client) -> None:
    server.faults[PATH] = [from_the_end]
    with remote_file(client, server, tail=True) as file:
        file.seek(-8, io.SEEK_END)
        assert file.read(8) == CONTENT[-8:]
        assert file.read_at(len(CONTENT) - 60_000, 50_000) == CONTENT[-60_000:-10_000]
        assert spans(server) == ["-65536"]
    server.forget()
    with remote_file(client, server, tail=True, size=len(CONTENT)) as file:
        assert file.read_at(len(CONTENT) - 8, 8) == CONTENT[-8:]
        assert spans(server) == [f"{len(CONTENT) - TAIL}-{len(CONTENT) - 1}"]


@pytest.mark.parametrize("fault", [Good, status(416), status(501), status(400)], ids=["200", "416", "501", "400"])
def test_a_server_that_does_not_count_from_the_end_is_asked_from_the_beginning(
    server: WebServer, client: Client, fault: servers.Fault
) -> None:
    server.faults[PATH] = [fault, Good]
    with remote_file(client, server, tail=True) as file:
        assert file.read_at(len(CONTENT) - 8, 8) == CONTENT[-8:]
    assert spans(server) == ["-65536", "0-16383", "2883584-2999999"]


def test_a_table_is_read_from_its_end(server: WebServer, client: Client) -> None:
    import pandas as pd

    table = pd.DataFrame({f"column{number}": np.random.default_rng(number).random(20_000) for number in range(20)})
    content = io.BytesIO()
    table.to_parquet(content)
    server.files[PATH] = content.getvalue()
    with remote_file(client, server, tail=True, size=len(content.getvalue())) as file:
        found = pd.read_parquet(file, columns=["column3"])
        assert found["column3"].equals(table["column3"])
        assert file.bytes_received < len(content.getvalue()) / 4


def test_what_was_read_costs_nothing_any_more(server: WebServer, client: Client) -> None:
    with remote_file(client, server) as file:
        file.read_at(0, 1_000_000)
        file.read_at(1_200_000, 10)
        before = file.requests, file.bytes_received
        assert before[0] == len(server.requests) == 3
        assert file.read_at(123_456, 500_000) == CONTENT[123_456:623_456]
        assert file.read_at(1_199_000, 20_000) == CONTENT[1_199_000:1_219_000]
        assert (file.requests, file.bytes_received) == before


def test_short_reads_fetch_whole_blocks_and_long_ones_what_they_ask_for(server: WebServer, client: Client) -> None:
    with remote_file(client, server) as file:
        for at in range(1_000_000, 1_100_000, 1_000):
            assert file.read_at(at, 1_000) == CONTENT[at : at + 1_000]
        assert spans(server) == ["0-16383", "786432-1048575", "1048576-1310719"]
        file.read_at(2_000_001, 500_001)
        assert spans(server)[3:] == ["2000001-2500001"]
        file.read_at(900_000, 1_200_000)
        assert spans(server)[4:] == ["1310720-2000000"]


def test_what_is_fetched_around_something_held_is_one_request(server: WebServer, client: Client) -> None:
    with remote_file(client, server) as file:
        file.read_at(1_400_000, 10)
        assert file.read_at(1_000_000, 1_000_000) == CONTENT[1_000_000:2_000_000]
        assert len(server.requests) == 3


def test_more_than_can_be_held_is_not_held(server: WebServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "HELD", 1_000_000)
    with remote_file(client, server) as file:
        file.read_at(100, 10)
        assert file.read_at(0, 2_000_000) == CONTENT[:2_000_000]
        file.read_at(100, 10)
        assert spans(server) == ["0-16383", "0-1999999"]


def test_ten_seconds_of_a_recording_of_two_gigabytes(tmp_path: Path, client: Client) -> None:
    rows, channels, rate, begin = 2_700_000, 385, 2_500, 1_000_000
    path = tmp_path / "_spikeglx_ephysData_g0_t0.imec0.lf.npy"
    with path.open("wb") as stream:  # takes no room on the disk
        header = {"descr": "<i2", "fortran_order": False, "shape": (rows, channels)}
        np.lib.format.write_array_header_1_0(stream, header)  # type: ignore[no-untyped-call]
        stream.truncate(stream.tell() + rows * channels * 2)
    array: Any = np.load(path, mmap_mode="r+")
    assert path.stat().st_size > 2_000_000_000
    array[begin - 1 : begin + 10] = 7
    array.flush()
    with WebServer(root=tmp_path) as server:
        route = Route(f"{server.url}/{path.name}")
        file = RemoteFile([route], client, name=path.name, size=path.stat().st_size)
        with open_array(file, path) as found:
            assert found.shape == (rows, channels)
            seconds = found[begin : begin + 10 * rate]
            assert np.array_equal(seconds, array[begin : begin + 10 * rate])
            assert file.requests == len(server.requests) == 2
            assert file.bytes_received == FIRST + seconds.nbytes
            assert file.bytes_received < 1.01 * seconds.nbytes
            found[begin + 20_000 : begin + 10 * rate]
            assert file.requests == 2


# Never two versions


@pytest.mark.parametrize("kind", ["strong", "weak"])
@pytest.mark.parametrize("if_range", [True, False])
def test_a_file_that_was_replaced_between_two_slices_is_an_error(client: Client, kind: str, if_range: bool) -> None:
    with WebServer(etag=kind, if_range=if_range) as server:
        server.files[PATH] = CONTENT
        with remote_file(client, server) as file:
            held = file.read_at(0, 10)
            server.files[PATH] = CONTENT[::-1]
            with pytest.raises(Replaced, match="alf/ephys.raw.bin was replaced meanwhile") as caught:
                file.read_at(1_000_000, 10)
            assert "Open it again" in caught.value.hint
            assert isinstance(caught.value, SizeMismatch)
            assert file.read_at(0, 10) == held  # of the old version, as it was
            with pytest.raises(Replaced):
                file.read_at(2_000_000, 10)
            assert file.requests == 3
            assert file.bytes_received == FIRST


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1, 0, 900_000])
def test_a_file_that_has_another_size_now_is_an_error(client: Client, size: int) -> None:
    with WebServer(etag="none") as server:
        server.files[PATH] = CONTENT
        with remote_file(client, server) as file:
            file.read_at(0, 10)
            server.files[PATH] = (CONTENT + b"!")[:size]
            with pytest.raises(Replaced):
                file.read_at(1_000_000, 10)


def test_without_an_etag_the_date_of_the_file_is_compared(client: Client) -> None:
    dates = [servers.formatted_date(moment) for moment in (1e9, 1e9 + 5)]
    with WebServer(etag="none", last_modified=dates[0]) as server:
        server.files[PATH] = CONTENT
        with remote_file(client, server) as file:
            file.read_at(0, 10)
            file.read_at(1_000_000, 10)
            server.last_modified = ""  # need not be said again
            file.read_at(2_000_000, 10)
            server.last_modified = dates[1]
            with pytest.raises(Replaced):
                file.read_at(1_500_000, 10)


@pytest.mark.parametrize("etag", [None, 'W/"other"', '"other"'])
def test_an_answer_without_the_etag_of_the_first_is_not_taken(
    server: WebServer, client: Client, etag: str | None
) -> None:
    with remote_file(client, server) as file:
        file.read_at(0, 10)
        server.faults[PATH] = [answering({"ETag": etag})]
        with pytest.raises(Replaced):
            file.read_at(1_000_000, 10)


def test_a_file_that_is_replaced_while_it_is_read_is_an_error(server: WebServer, client: Client) -> None:
    with remote_file(client, server) as file:
        file.read_at(0, 10)
        server.forget()
        server.faults[PATH] = [then_swap(cut(200_000), CONTENT[::-1]), Good]
        with pytest.raises(Replaced):
            file.read_at(1_000_000, 1_000_000)


def test_one_that_is_replaced_before_anything_was_read_can_be_read_then(server: WebServer, client: Client) -> None:
    server.faults[PATH] = [then_swap(cut(1_000), CONTENT[::-1]), Good]
    with remote_file(client, server) as file:
        with pytest.raises(Replaced):
            file.read_at(0, 10)
        assert file.read_at(0, 10) == CONTENT[::-1][:10]


@pytest.mark.parametrize("tail", [True, False])
@pytest.mark.parametrize("stated", [len(CONTENT) - 1, len(CONTENT) + 1, 0, 5_000_000])
def test_another_size_than_the_index_states_is_an_error(
    server: WebServer, client: Client, stated: int, tail: bool
) -> None:
    with remote_file(client, server, size=stated, tail=tail) as file:
        with pytest.raises(SizeMismatch, match=f"3,000,000 bytes, the repository says {stated:,}") as caught:
            file.readinto(bytearray(5))
        assert not isinstance(caught.value, Replaced)
        with pytest.raises(SizeMismatch):
            file.readinto(bytearray(5))


# Servers that do other things


@pytest.mark.parametrize("tail", [True, False])
def test_a_server_without_ranges_is_told_apart_and_not_listened_to(tmp_path: Path, client: Client, tail: bool) -> None:
    with (tmp_path / PATH[1:]).open("wb") as stream:
        stream.truncate(2_000_000_000)
    with WebServer(root=tmp_path, ranges=False) as server:
        server.faults[PATH] = [sent := Sent()]
        with remote_file(client, server, tail=tail) as file:
            with pytest.raises(NoRanges, match="sends whole files only") as caught:
                file.read_at(0, 10)
            assert isinstance(caught.value, TransferError)
            assert caught.value.hint
            assert file.bytes_received == 0
            assert file.requests == (2 if tail else 1)
    assert sent.bytes < 32_000_000 * file.requests  # what lies in the buffers of two systems and of the client


def test_a_server_that_forgets_ranges_is_told_apart_from_a_file_that_was_replaced(
    server: WebServer, client: Client
) -> None:
    with remote_file(client, server) as file:
        file.read_at(0, 10)
        server.ranges = False
        with pytest.raises(NoRanges):
            file.read_at(1_000_000, 10)


OTHER: dict[str, servers.Fault] = {
    "another part": servers.wrong_range(5),
    "an earlier part": answering({"Content-Range": "bytes 999999-1000009/3000000"}),
    "no range": servers.no_content_range,
    "no sense": answering({"Content-Range": "bytes lots/3000000"}),
    "backwards": answering({"Content-Range": "bytes 1000000-999999/3000000"}),
    "beyond the end": answering({"Content-Range": "bytes 1000000-3000000/3000000"}),
    "fewer bytes than said": answering({}, body=b"short"),
    "several parts": servers.several_parts,
    "compressed": answering({"Content-Encoding": "gzip"}),
    "a part of the compressed": servers.gzipped_range,
}


@pytest.mark.parametrize("fault", OTHER.values(), ids=OTHER)
def test_other_bytes_than_were_asked_for_are_refused(server: WebServer, client: Client, fault: servers.Fault) -> None:
    with remote_file(client, server) as file:
        file.read_at(0, 10)
        server.faults[PATH] = [fault]
        with pytest.raises(Unreachable, match="other bytes than were asked for"):
            file.read_at(1_000_000, 100_000)
        assert file.requests == 2
        server.faults.clear()
        assert file.read_at(1_000_000, 100_000) == CONTENT[1_000_000:1_100_000]


def test_a_first_answer_that_is_another_part_is_refused(server: WebServer, client: Client) -> None:
    server.faults[PATH] = [servers.wrong_range(5)]
    with remote_file(client, server) as file, pytest.raises(Unreachable, match="other bytes"):
        file.read_at(0, 10)


def test_a_server_that_does_not_say_how_long_the_file_is_needs_an_index_that_does(
    server: WebServer, client: Client
) -> None:
    server.faults[PATH] = [answering({"Content-Range": "bytes 0-16383/*"}), Good]
    with remote_file(client, server) as file, pytest.raises(TransferError, match="does not say how long"):
        file.read_at(0, 10)
    server.forget()
    with remote_file(client, server, size=len(CONTENT)) as file:
        assert file.read_at(1_000_000, 10) == CONTENT[1_000_000:1_000_010]


def test_a_server_may_send_less_than_was_asked_for(server: WebServer, client: Client) -> None:
    def sparing(exchange: Exchange) -> None:
        start = exchange.request.range_start or 0
        end = min(start + 300_000, exchange.request.range_end or 0, exchange.size)
        answer = {"ETag": exchange.etag, "Content-Range": f"bytes {start}-{end - 1}/{exchange.size}"}
        exchange.answer(206, b"".join(exchange.read(start, end)), answer)

    server.faults[PATH] = [sparing]
    with remote_file(client, server) as file:
        assert file.read_at(1_000_000, 1_000_000) == CONTENT[1_000_000:2_000_000]
        assert file.requests == 5


def test_bytes_beyond_the_part_that_the_answer_names_are_not_taken(server: WebServer, client: Client) -> None:
    def overflowing(exchange: Exchange) -> None:
        start = exchange.request.range_start or 0
        answer = {"ETag": exchange.etag, "Content-Range": f"bytes {start}-{start + 99_999}/{exchange.size}"}
        exchange.head(206, {**answer, "Transfer-Encoding": "chunked"})
        data = b"".join(exchange.read(start, start + 100_000)) + bytes(50_000)
        exchange.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))

    with remote_file(client, server) as file:
        file.read_at(0, 10)
        server.faults[PATH] = [overflowing]
        assert file.read_at(1_000_000, 350_000) == CONTENT[1_000_000:1_350_000]
        assert spans(server)[1:] == [f"{at}-1349999" for at in range(1_000_000, 1_350_000, 100_000)]


def test_a_server_may_send_more_than_was_asked_for_and_is_not_listened_to(tmp_path: Path, client: Client) -> None:
    with (tmp_path / PATH[1:]).open("wb") as stream:
        stream.truncate(2_000_000_000)

    def generous(exchange: Exchange) -> None:
        start = exchange.request.range_start or 0
        servers._body(
            exchange,
            206,
            {"ETag": exchange.etag, "Content-Range": f"bytes {start}-{exchange.size - 1}/{exchange.size}"},
            start,
        )

    with WebServer(root=tmp_path) as server:
        server.faults[PATH] = [generous]
        with remote_file(client, server) as file:
            assert file.read_at(1_000_000, 100_000) == bytes(100_000)
            assert file.requests == 2
            assert file.bytes_received < 40_000_000


# Repetitions


@pytest.mark.parametrize("reset", [True, False])
def test_a_connection_that_is_cut_goes_on_where_it_was_cut(server: WebServer, client: Client, reset: bool) -> None:
    with remote_file(client, server) as file:
        file.read_at(0, 10)
        server.forget()
        server.faults[PATH] = [cut(400_000, reset=reset), cut(300_000, reset=reset), Good]
        assert file.read_at(1_000_000, 1_500_000) == CONTENT[1_000_000:2_500_000]
        assert len(server.requests) == 3
        if not reset:
            assert spans(server) == ["1000000-2499999", "1400000-2499999", "1700000-2499999"]
            assert file.bytes_received == FIRST + 1_500_000
        etag = server.etag_of(CONTENT)
        assert {request.headers["if-range"] for request in server.requests} == {etag}


def test_progress_is_no_failure_and_none_is(server: WebServer, client: Client) -> None:
    with remote_file(client, server) as file:
        file.read_at(0, 10)
        server.faults[PATH] = [cut(100_000)]
        assert file.read_at(0, 2_000_000) == CONTENT[:2_000_000]
        server.forget()
        server.faults[PATH] = [cut(10)]
        with pytest.raises(Unreachable, match="connection"):
            file.read_at(2_500_000, 100_000)
        assert len(server.requests) == QUICK.attempts


def test_a_first_answer_that_is_cut_is_asked_for_again(server: WebServer, client: Client) -> None:
    server.faults[PATH] = [cut(1_000), Good]
    with remote_file(client, server) as file:
        assert file.read_at(0, 16_000) == CONTENT[:16_000]
    assert spans(server) == ["0-16383", "1000-16383"]
    assert server.requests[1].headers["if-range"] == server.etag_of(CONTENT)


def test_a_server_that_is_busy_is_waited_for(server: WebServer, client: Client) -> None:
    server.faults[PATH] = [status(429, retry_after=1), status(503), Good]
    with remote_file(client, server) as file:
        assert file.read_at(0, 10) == CONTENT[:10]
    first, second, _ = server.requests
    assert second.moment - first.moment >= 1.0


def test_more_patience_than_is_reasonable_is_not_had(server: WebServer, client: Client) -> None:
    server.faults[PATH] = [status(429, retry_after=600)]
    with Client(limits=QUICK) as own, remote_file(own, server) as file, pytest.raises(RateLimited):
        file.read_at(0, 10)


@pytest.mark.parametrize(
    ("number", "kind"), [(404, NotFound), (410, NotFound), (403, AccessDenied), (401, AccessDenied)]
)
def test_a_refusal_is_not_repeated(server: WebServer, client: Client, number: int, kind: type[OneError]) -> None:
    server.faults[PATH] = [status(number)]
    with remote_file(client, server) as file:
        with pytest.raises(kind, match=f"alf/ephys.raw.bin could not be read: .* answered {number}") as caught:
            file.read_at(0, 10)
        assert caught.value.hint
    assert len(server.requests) == 1


@pytest.mark.parametrize("headers", [{}, {"Content_Range": "bytes */3000000"}, {"Content_Range": "bytes */lots"}])
def test_a_range_that_is_refused_without_reason_is_told(
    server: WebServer, client: Client, headers: dict[str, object]
) -> None:
    with remote_file(client, server) as file:
        file.read_at(0, 10)
        server.faults[PATH] = [status(416, **headers)]
        with pytest.raises(RepositoryError, match="answered 416"):
            file.read_at(1_000_000, 10)


def test_a_client_that_is_closed_stops_at_once(server: WebServer) -> None:
    server.faults[PATH] = [servers.silence]
    own = Client(limits=QUICK)
    closing = threading.Timer(0.3, own.abort)
    closing.start()
    with remote_file(own, server, server) as file, pytest.raises(Interrupted):
        file.read_at(0, 10)
    closing.join()
    assert len(server.requests) == 1


# Several addresses


@pytest.fixture
def mirror() -> Iterator[WebServer]:
    with WebServer() as running:
        running.files[PATH] = CONTENT
        yield running


def test_the_next_address_is_asked_where_the_first_has_nothing(
    server: WebServer, mirror: WebServer, client: Client
) -> None:
    server.faults[PATH] = [status(404)]
    with remote_file(client, server, mirror) as file:
        assert file.read_at(0, 10) == CONTENT[:10]
        assert file.read_at(1_000_000, 10) == CONTENT[1_000_000:1_000_010]
    assert (len(server.requests), len(mirror.requests)) == (1, 2)  # the good one is remembered


def test_an_address_that_fails_later_is_replaced_by_one_with_the_same_bytes(
    server: WebServer, mirror: WebServer, client: Client
) -> None:
    with remote_file(client, server, mirror) as file:
        file.read_at(0, 10)
        server.forget()
        server.faults[PATH] = [cut(200_000), status(404)]
        assert file.read_at(1_000_000, 1_000_000) == CONTENT[1_000_000:2_000_000]
        assert spans(mirror) == ["1200000-1999999"]


@pytest.mark.parametrize("etag", ["strong", "none"])
def test_one_that_does_not_prove_to_have_the_same_bytes_is_not_used(client: Client, etag: str) -> None:
    with WebServer(etag=etag) as server, WebServer(etag=etag) as mirror:
        server.files[PATH] = CONTENT
        mirror.files[PATH] = CONTENT[::-1]
        with remote_file(client, server, mirror) as file:
            file.read_at(0, 10)
            server.faults[PATH] = [status(404)]
            with pytest.raises(NotFound, match="answered 404.* has another file now"):
                file.read_at(1_000_000, 10)
            server.faults.clear()
            assert file.read_at(1_000_000, 10) == CONTENT[1_000_000:1_000_010]


def test_the_same_date_proves_that_two_servers_have_the_same_file(client: Client) -> None:
    date = servers.formatted_date(1e9)
    with (
        WebServer(etag="none", last_modified=date) as server,
        WebServer(etag="none", last_modified=date) as mirror,
    ):
        server.files[PATH] = mirror.files[PATH] = CONTENT
        with remote_file(client, server, mirror) as file:
            file.read_at(0, 10)
            server.faults[PATH] = [status(404)]
            assert file.read_at(1_000_000, 10) == CONTENT[1_000_000:1_000_010]
            mirror.last_modified = servers.formatted_date(1e9 + 1)
            with pytest.raises(OneError):
                file.read_at(2_000_000, 10)


def test_where_one_address_has_no_ranges_and_others_nothing_the_caller_learns_of_the_one(
    server: WebServer, mirror: WebServer, client: Client
) -> None:
    server.faults[PATH] = [status(404)]
    mirror.ranges = False
    with remote_file(client, server, mirror) as file, pytest.raises(NoRanges, match="404"):
        file.read_at(0, 10)


def test_a_file_without_an_address_is_told(client: Client) -> None:
    with pytest.raises(DatasetNotFound, match="alf/a.npy has no address"):
        RemoteFile([], client, name="alf/a.npy")


def test_a_password_goes_to_its_own_origin_only(server: WebServer, mirror: WebServer, client: Client) -> None:
    password = "Basic " + base64.b64encode(b"user:secret").decode()
    server.password = password
    server.faults[PATH] = [servers.redirect(mirror.url + PATH)]
    route = Route(server.url + PATH, Credential(server.url, password))
    with RemoteFile([route], client, name="a.npy") as file:
        assert file.read_at(0, 10) == CONTENT[:10]
        assert file.read_at(1_000_000, 10) == CONTENT[1_000_000:1_000_010]
        assert file.requests == 2
    assert [request.headers.get("authorization") for request in server.requests] == [password] * 2
    assert [request.headers.get("authorization") for request in mirror.requests] == [None] * 2
    assert [request.headers.get("range") for request in mirror.requests] == ["bytes=0-16383", "bytes=786432-1048575"]


# Threads


def test_threads_share_what_one_of_them_has_fetched(server: WebServer, client: Client) -> None:
    with remote_file(client, server) as file:
        wrong: list[int] = []

        def look(seed: int) -> None:
            random_ = random.Random(seed)
            for _ in range(60):
                at, length = random_.randrange(0, 2_900_000), random_.randrange(1, 30_000)
                if file.read_at(at, length) != CONTENT[at : at + length]:
                    wrong.append(at)

        threads = [threading.Thread(target=look, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        blocks = -(-len(CONTENT) // BLOCK)
        assert file.requests <= blocks + 1
        assert file.bytes_received <= len(CONTENT) + FIRST


def test_arrays_are_read_by_several_threads(server: WebServer, client: Client) -> None:
    array = np.frombuffer(CONTENT, "<i2").reshape(-1, 100)
    metadata = {"dtype": "int16", "shape": [-1, 100]}
    with open_array(remote_file(client, server), Path("ephys.raw.bin"), metadata=metadata) as found:
        good: list[bool] = []

        def look(begin: int) -> None:
            good.append(np.array_equal(found[begin : begin + 1_000, ::3], array[begin : begin + 1_000, ::3]))

        threads = [threading.Thread(target=look, args=(begin,)) for begin in range(0, 14_000, 1_000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert good == [True] * 14


# Arrays


@pytest.mark.parametrize("order", ["C", "F"])
def test_slices_of_a_remote_array_are_those_of_the_array(server: WebServer, client: Client, order: str) -> None:
    array = np.asarray(np.arange(200_000.0).reshape(100_000, 2), order=order)  # type: ignore[call-overload]
    content = io.BytesIO()
    np.save(content, array)
    server.files[PATH] = content.getvalue()
    with open_array(remote_file(client, server), Path("trials.intervals.npy")) as found:
        assert len(server.requests) == 1
        assert np.array_equal(found[10_000:30_000], array[10_000:30_000])
        assert len(server.requests) == (2 if order == "C" else 3)
        for index in itertools.product([slice(None, None, -7), -1, [5, 99_999, 5]], [0, slice(None)]):
            assert np.array_equal(found[index], array[index])


def test_what_cannot_be_read_in_parts_is_known_when_it_is_opened(server: WebServer, client: Client) -> None:
    server.ranges = False
    file = remote_file(client, server, size=len(CONTENT))
    with file, pytest.raises(NoRanges):
        open_array(file, Path("ephys.raw.bin"), metadata={"dtype": "int16", "shape": [-1, 100]})


def test_files_of_a_local_folder_and_of_a_server_give_the_same(
    server: WebServer, client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "spikes.times.npy"
    np.save(path, np.arange(50_000))
    server.files[PATH] = path.read_bytes()
    with (
        open_array(path.open("rb", buffering=0), path) as here,
        open_array(remote_file(client, server, size=path.stat().st_size), path) as there,
    ):
        assert repr(here) == repr(there)
        assert np.array_equal(here[123:45_678:5], there[123:45_678:5])


class TestBeginning:
    """A server that sends whole files only: whoever looks at a header takes the first bytes and hangs up."""

    def test_the_first_bytes_are_taken_and_no_more_is_pulled(self, client: Client, tmp_path: Path) -> None:
        path = tmp_path / "large"
        with path.open("wb") as stream:
            stream.write(bytes(range(256)) * 64)
            stream.truncate(2_000_000_000)
        with WebServer(ranges=False) as server:
            server.files["/large"] = path
            file = RemoteFile([Route(f"{server.url}/large")], client, name="a.b.npy", beginning=True)
            with file:
                assert file.read(FIRST) == bytes(range(256)) * 64
                assert file.seek(0, io.SEEK_END) == 2_000_000_000
                assert file.requests == 1
                assert file.bytes_received < 1_000_000
                with pytest.raises(NoRanges):
                    file.read_at(1_000_000_000, 10)

    def test_a_file_of_another_size_is_told(self, client: Client, tmp_path: Path) -> None:
        path = tmp_path / "short"
        path.write_bytes(b"12345")
        with WebServer(ranges=False) as server:
            server.files["/short"] = path
            file = RemoteFile([Route(f"{server.url}/short")], client, name="a.b.npy", size=6, beginning=True)
            with file, pytest.raises(SizeMismatch):
                file.read(5)
