"""The ways to the content of a file."""

from __future__ import annotations

import hashlib
import socket
import time
from urllib.parse import urlsplit

import pytest

CONTENT = bytes(range(256)) * 1000
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def published(owner):
    """A published file."""
    article = owner.new_article()
    record = owner.upload(article, CONTENT, "pb_probe-00.npy")
    assert owner("POST", f"{article}/publish").status == 201
    return record


@pytest.fixture(scope="module")
def draft(owner):
    """An unpublished file."""
    return owner.upload(owner.new_article(), CONTENT)


@pytest.fixture
def signed(published, ask):
    """A signed address of the published file."""
    return ask("GET", published["download_url"]).headers["Location"]


def test_both_ways_to_a_public_file_lead_to_a_signed_address(owner, published, ask):
    assert published["download_url"] == f"{owner.box.api_url[:-3]}/files/{published['id']}"
    for address in (published["download_url"], f"{owner.box.api_url}/file/download/{published['id']}"):
        for get in (ask, owner):
            answer = get("GET", address)
            assert answer.status == 302
            location = answer.headers["Location"]
            assert location.startswith(f"{owner.box.download_url}/pfigshare-u-files/{published['id']}/pb_probe00.npy?")
            assert ask("GET", location).body == CONTENT


def test_the_signed_answer_says_all_there_is_to_know(signed, ask):
    answer = ask("GET", signed)
    assert answer.status == 200
    assert answer.headers["ETag"] == f'"{MD5}"'
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Last-Modified"].endswith("GMT")


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-", 1000, len(CONTENT)),
        ("bytes=1000-99999999", 1000, len(CONTENT)),
        ("bytes=-5", len(CONTENT) - 5, len(CONTENT)),
        ("bytes=-99999999", 0, len(CONTENT)),
        ("bytes=10-99999", 10, 100_000),
    ],
)
def test_a_range_gives_these_bytes(owner, signed, draft, ask, asked, start, stop):
    for get, address in ((ask, signed), (owner, draft["download_url"])):
        answer = get("GET", address, headers={"Range": asked})
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
        assert answer.body == CONTENT[start:stop]


@pytest.mark.parametrize("asked", ["bytes=-", "bytes=0-1,5-6", "bytes=5-2", "lines=1-2", "bytes=x-"])
def test_what_is_no_range_gives_the_whole(signed, ask, asked):
    answer = ask("GET", signed, headers={"Range": asked})
    assert (answer.status, answer.body) == (200, CONTENT)
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=99999999-", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(owner, signed, draft, ask, asked):
    for get, address in ((ask, signed), (owner, draft["download_url"])):
        answer = get("GET", address, headers={"Range": asked})
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_if_range_gives_the_whole_of_a_changed_file(signed, ask):
    modified = ask("GET", signed).headers["Last-Modified"]
    for same in (f'"{MD5}"', modified):
        assert ask("GET", signed, headers={"Range": "bytes=5-", "If-Range": same}).status == 206
    for other in ('"0"', f'W/"{MD5}"', MD5, "Wed, 21 Oct 2015 07:28:00 GMT"):
        answer = ask("GET", signed, headers={"Range": "bytes=5-", "If-Range": other})
        assert (answer.status, answer.body) == (200, CONTENT)


def test_a_token_must_not_come_to_the_signed_origin(owner, signed):
    answer = owner("GET", signed)
    assert answer.status == 400
    assert b"<Code>InvalidArgument</Code><Message>Unsupported Authorization Type</Message>" in answer.body


def test_a_signature_holds_for_its_file_and_its_time_only(signed, published, ask):
    other = signed.replace(str(published["id"]), str(published["id"] + 1))
    longer = signed.replace("X-Amz-Expires=10", "X-Amz-Expires=9999")
    for address in (signed[:-1], other, longer, signed.partition("?")[0], f"{signed}%C3%A9"):
        answer = ask("GET", address)
        assert answer.status == 403
        assert b"<Code>SignatureDoesNotMatch</Code>" in answer.body
    assert ask("HEAD", signed).status == 403
    assert ask("PUT", signed, b"x").status == 405


def test_a_signature_expires(start, ask):
    owner = start(signature_seconds=0)
    record = owner.upload(owner.article, CONTENT)
    owner("POST", f"{owner.article}/publish")
    answer = ask("GET", ask("GET", record["download_url"]).headers["Location"])
    assert answer.status == 403
    assert b"<Message>Request has expired</Message>" in answer.body


def test_a_draft_is_streamed_to_its_owner_without_a_length(owner, draft, ask):
    for answer in (
        owner("GET", draft["download_url"]),
        ask("GET", f"{draft['download_url']}?token={owner.box.token}"),
    ):
        assert (answer.status, answer.body) == (200, CONTENT)
        assert "Content-Length" not in answer.headers
        assert answer.headers["Transfer-Encoding"] == "chunked"


def test_a_draft_is_streamed_with_a_length_when_asked_to(start):
    owner = start(private_length=True)
    record = owner.upload(owner.article, CONTENT)
    assert owner("GET", record["download_url"]).headers["Content-Length"] == str(len(CONTENT))


def test_a_draft_is_refused_to_others(owner, draft, ask):
    for query in ("", "?token=wrong", "?private_link=wrong", "?access_token=" + owner.box.token):
        assert ask("GET", draft["download_url"] + query).status == 403
    assert owner("GET", f"/file/download/{draft['id']}").status == 404
    assert owner("GET", f"{owner.box.api_url[:-3]}/files/1").status == 404


def test_a_file_without_content_is_not_found(owner):
    record = owner("GET", owner.begin(owner.new_article(), CONTENT)).json()
    assert owner("GET", record["download_url"]).status == 404


def test_a_private_link_opens_the_files_of_its_article(owner, draft, ask, start):
    article = owner.new_article()
    record = owner.upload(article, CONTENT)
    token = owner("POST", f"{article}/private_links").json()["token"]
    answer = ask("GET", f"{record['download_url']}?private_link={token}")
    assert answer.status == 302
    assert ask("GET", answer.headers["Location"]).body == CONTENT
    assert ask("GET", f"{draft['download_url']}?private_link={token}").status == 403
    owner("PUT", f"{article}/private_links/{token}", {"expires_date": "2020-01-01 00:00:00"})
    assert ask("GET", f"{record['download_url']}?private_link={token}").status == 403

    other = start(private_links=False, private_refusal_status=404)
    record = other.upload(other.article, CONTENT)
    token = other("POST", f"{other.article}/private_links").json()["token"]
    assert ask("GET", f"{record['download_url']}?private_link={token}").status == 404


def test_a_download_that_is_left_does_no_harm(owner, ask):
    content = b"x" * 8_000_000
    address = owner.upload(owner.new_article(), content[:5000], "small")["download_url"]
    parts = urlsplit(address)
    for _ in range(5):
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.sendall(f"GET {parts.path}?token={owner.box.token} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connection.recv(10)
    time.sleep(0.05)
    assert owner("GET", address).body == content[:5000]
