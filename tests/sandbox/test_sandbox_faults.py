"""Faults: each one happens as it says, when it says, and is counted."""

from __future__ import annotations

import hashlib
import http.client
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from onelight.sandbox import Faults
from onelight.sandbox.faults import KINDS, parsed

CONTENT = bytes(range(256)) * 10
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def faults(box):
    """The faults of the shared sandbox, all off again afterwards."""
    yield box.faults
    box.faults.clear()
    box.faults.reset_counts()


@pytest.fixture(scope="module")
def published(owner):
    """A published file."""
    article = owner.new_article()
    record = owner.upload(article, CONTENT)
    assert owner("POST", f"{article}/publish").status == 201
    return record


def cut_off(ask, method, address, body=None, headers=None):
    """Tell whether the connection is cut: no answer, or not all of it."""
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(method, address, body, headers)
    return True


@pytest.mark.parametrize(
    ("name", "status", "header"),
    [("waf202", 202, "challenge"), ("waf403", 403, None), ("waf405", 405, "captcha")],
)
def test_the_firewall_stands_before_downloads_by_number_only(faults, owner, published, ask, name, status, header):
    faults.set(name)
    answer = ask("GET", published["download_url"])
    assert (answer.status, answer.headers["x-amzn-waf-action"]) == (status, header)
    assert (b"nginx" in answer.body) == (status == 403)
    assert (answer.body == b"") == (status != 403)
    assert ask("GET", f"{owner.box.api_url}/file/download/{published['id']}").status == 302
    assert owner("GET", "/account").status == 200
    assert faults.played == {name: 1}
    assert faults.played_at == {(name, "api", "GET", "/files/{}"): 1}


@pytest.mark.parametrize("status", [500, 502, 503])
def test_errors_come_from_every_origin_in_its_own_words(faults, owner, published, ask, status):
    signed = ask("GET", published["download_url"]).headers["Location"]
    upload = owner("GET", owner.begin(owner.new_article(), CONTENT)).json()["upload_url"]
    faults.set(f"error{status}")
    answers = [owner("GET", "/account"), ask("PUT", f"{upload}/1", CONTENT[:1000]), ask("GET", signed)]
    assert [answer.status for answer in answers] == [status] * 3
    assert answers[0].body
    assert answers[1].body == b""
    assert answers[2].body.startswith(b"<?xml")
    faults.clear()
    assert ask("GET", f"{upload}/1").json()["status"] == "PENDING"


def test_any_of_the_errors(faults, owner):
    faults.set("5xx")
    assert {owner("GET", "/account").status for _ in range(30)} == {500, 502, 503}


def test_too_many_requests_say_when_to_come_back(start):
    owner = start(retry_after_seconds=7)
    owner.box.faults.set("429")
    answer = owner("GET", "/account")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    owner.box.change(retry_after="0")
    assert owner("GET", "/account").headers["Retry-After"] is None
    assert owner("GET", f"{owner.box.upload_url}/upload/nothing").status == 404  # the API's alone


def test_a_connection_is_cut_before_or_after_the_request_is_handled(faults, owner, ask):
    article = owner.new_article()
    headers = {"Authorization": f"token {owner.box.token}"}
    for name, made in (("reset", 0), ("reset-after", 1)):
        faults.set(name, times=1)
        assert cut_off(ask, "POST", f"{article}/files", b'{"name": "a", "size": 1}', headers)
        assert len(owner("GET", f"{article}/files").json()) == made
    assert faults.played == {"reset": 1, "reset_after": 1}


def test_a_cut_is_a_reset_and_not_an_orderly_end(faults, box):
    faults.set("reset")
    with socket.create_connection(("127.0.0.1", box.ports[0]), timeout=10) as connection:
        connection.sendall(b"GET /v2/licenses HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_part_that_was_taken_though_nobody_was_told(faults, owner, ask):
    upload = owner("GET", owner.begin(owner.new_article(), CONTENT)).json()["upload_url"]
    faults.set("reset-after", times=1, origin="upload", method="PUT")
    assert cut_off(ask, "PUT", f"{upload}/1", CONTENT[:1000])
    assert ask("GET", f"{upload}/1").json()["status"] == "COMPLETE"
    faults.set("reset", times=1, origin="upload", method="PUT")
    assert cut_off(ask, "PUT", f"{upload}/2", CONTENT[1000:2000])
    assert ask("GET", f"{upload}/2").json()["status"] == "PENDING"


def partial(address, headers=None):
    """Return what arrives of a body before the connection is cut."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("GET", f"{parts.path}?{parts.query}", headers=headers or {})
    received = b""
    try:
        response = connection.getresponse()
        while piece := response.read1(10_000):
            received += piece
    except (ConnectionError, http.client.IncompleteRead):
        pass
    else:
        assert response.length, "nothing was cut"
    finally:
        connection.close()
    return received


def test_a_download_is_cut_in_its_middle(faults, owner, published, ask):
    draft = owner.upload(owner.new_article(), CONTENT)["download_url"]
    headers = {"Authorization": f"token {owner.box.token}"}
    for _ in range(5):
        signed = ask("GET", published["download_url"]).headers["Location"]
        for address, more in ((signed, None), (draft, headers)):
            faults.set("reset-body", times=1)
            begun = partial(address, more)
            assert 0 < len(begun) < len(CONTENT)
            assert CONTENT.startswith(begun)
    faults.clear()
    assert owner("GET", draft).body == CONTENT


def test_a_large_download_is_cut_in_its_middle(start):
    content = bytes(5_000_000)
    owner = start(part_size=10**7)
    draft = owner.upload(owner.article, content)["download_url"]
    owner.box.faults.set("reset-body", times=3)
    headers = {"Authorization": f"token {owner.box.token}"}
    lengths = {len(partial(f"{draft}?", headers)) for _ in range(3)}
    assert all(0 < length < 5_000_000 for length in lengths)
    assert len(lengths) > 1


def test_a_slow_download_takes_its_time_and_is_whole(start):
    owner = start(slow_rate=10_000)
    draft = owner.upload(owner.article, CONTENT)["download_url"]
    owner.box.faults.set("slow", times=1)
    begun = time.monotonic()
    assert owner("GET", draft).body == CONTENT
    assert time.monotonic() - begun > 0.25
    begun = time.monotonic()
    assert owner("GET", draft).body == CONTENT
    assert time.monotonic() - begun < 0.25


def test_an_answer_that_is_lost_never_comes(start, ask):
    owner = start(lost_seconds=0.3)
    owner.box.faults.set("lost", times=1)
    begun = time.monotonic()
    headers = {"Authorization": f"token {owner.box.token}"}
    assert cut_off(ask, "POST", f"{owner.article}/files", b'{"name": "a", "size": 1}', headers)
    assert 0.3 <= time.monotonic() - begun < 3
    assert len(owner("GET", f"{owner.article}/files").json()) == 1


def test_stopping_does_not_wait_for_lost_answers(start):
    owner = start(lost_seconds=60)
    owner.box.faults.set("lost")
    with socket.create_connection(("127.0.0.1", owner.box.ports[0])) as connection:
        connection.sendall(b"GET /v2/licenses HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        begun = time.monotonic()
        owner.box.stop()
        assert time.monotonic() - begun < 5


def test_a_file_fails_though_its_bytes_are_right(faults, owner):
    faults.set("ic-failure", times=1)
    article = owner.new_article()
    assert owner.upload(article, CONTENT)["status"] == "ic_failure"
    assert owner.upload(article, CONTENT)["status"] == "available"
    assert faults.played == {"ic_failure": 1}


def test_an_md5_is_late_by_as_much_as_is_said(start):
    owner = start(md5_late_ms=400)
    for chosen in (False, True):
        if chosen:
            owner.box.faults.set("md5-late", times=1)
        file = owner.begin(owner.article, CONTENT)
        owner.send(file, CONTENT)
        owner("POST", file)
        assert owner.settled(file)["computed_md5"] == ""
        begun = time.monotonic()
        while owner("GET", file).json()["computed_md5"] != MD5:
            assert time.monotonic() - begun < 5
        assert time.monotonic() - begun > 0.2
    assert owner.upload(owner.article, CONTENT)["computed_md5"] == MD5  # the fault took its one file


def test_an_md5_never_comes_and_a_file_is_stuck(faults, owner, start):
    faults.set("md5_missing", times=1)
    assert owner.upload(owner.new_article(), CONTENT)["computed_md5"] == ""
    faults.set("stuck", times=1)
    faults.set("md5_late", times=1)
    file = owner.begin(owner.new_article(), CONTENT)
    owner.send(file, CONTENT)
    owner("POST", file)
    assert owner.settled(file, ["moving_to_final"])["computed_md5"] == MD5
    time.sleep(0.1)
    assert owner("GET", file).json()["status"] == "moving_to_final"


def test_what_was_decided_for_a_file_outlives_a_restart(start):
    before = start(status_delay_ms=60_000)
    before.box.faults.set("stuck")
    file = before.begin(before.article, CONTENT)
    before.send(file, CONTENT)
    before("POST", file)
    before.box.stop()
    after = start()
    file = f"{after.article}/files/{file.rpartition('/')[2]}"
    assert after.settled(file, ["moving_to_final"])["computed_md5"] == MD5
    time.sleep(0.1)
    assert after("GET", file).json()["status"] == "moving_to_final"


def test_requests_are_counted_by_route(faults, owner, ask):
    article = owner.new_article()
    faults.reset_counts()
    file = owner.begin(article, CONTENT)
    owner.send(file, CONTENT)
    own = "/v2/account/articles/{article_id}/files"
    assert faults.counts == {
        ("api", "POST", own): 1,
        ("api", "GET", f"{own}/{{file_id}}"): 1,
        ("upload", "GET", "/upload/{token}"): 1,
        ("upload", "PUT", "/upload/{token}/{number}"): 3,
    }
    assert faults.requests() == 6
    assert faults.requests("upload") == 4
    assert faults.requests(method="GET", route="/files") == 1
    faults.set("reset", times=1)
    cut_off(ask, "GET", file)
    assert faults.requests() == 6  # it was not handled


def test_chances_are_those_of_the_seed(start):
    seen = []
    for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
        owner = start(folder)
        owner.box.faults.seed = seed
        owner.box.faults.set("error500", 0.4)
        owner.box.faults.set("stuck", 0.4)
        seen.append([owner("GET", "/account").status for _ in range(40)])
    assert seen[0] == seen[1] != seen[2]
    assert 4 < seen[0].count(500) < 30


def test_a_rule_holds_for_what_it_names(faults, owner):
    faults.set("error500", method="post", path="/publish$", origin="api")
    assert owner("GET", owner.article).status == 200
    assert owner("POST", f"{owner.article}/publish").status == 500
    faults.set("error500", 0)
    assert faults.rules == {}


def test_every_request_can_wait(start):
    owner = start(latency_ms=100, latency_upload_ms=100)
    for address, least in ((owner.article, 0.1), (f"{owner.box.upload_url}/upload/nothing", 0.2)):
        begun = time.monotonic()
        owner("GET", address)
        assert least <= time.monotonic() - begun < least + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("waf20=1", "is 'waf202' meant"),
        ("opera=1", "there are 429, 5xx"),
        ("waf=1", "is one of waf202, waf403, waf405 meant"),
        ("reset", "write reset=0.1"),
        ("reset=2", "from 0 to 1"),
        ("reset=1x", "has no probability"),
        ("reset=1.1.1", "no probability"),
        ("reset=often", "has no probability"),
    ],
)
def test_a_fault_that_is_not_understood_is_explained(text, message):
    with pytest.raises(ValueError, match=message):
        parsed(text)


@pytest.mark.parametrize(
    "rule", [{"probability": 2}, {"times": -1}, {"origin": "moon"}, {"path": "("}, {"often": 1}, {"times": "3"}, None]
)
def test_a_rule_that_does_not_fit_is_refused_and_changes_nothing(rule):
    faults = Faults()
    faults.set("reset", 0.5)
    with pytest.raises(ValueError, match="reset"):
        faults.rules_of({"reset": rule})
    assert faults.rules["reset"].probability == 0.5


def test_every_fault_is_tested_here():
    text = Path(__file__).read_text(encoding="utf-8").replace("-", "_")
    assert [name for name in KINDS if f'"{name}"' not in text and not name.startswith("error")] == []
