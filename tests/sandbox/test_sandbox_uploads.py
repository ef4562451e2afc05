"""Files of an article, and the upload of their content part by part."""

from __future__ import annotations

import hashlib
import socket
import time
from urllib.parse import urlsplit

import pytest

CONTENT = bytes(range(256)) * 10  # Parts of 1000, 1000 and 560 bytes.


def test_an_upload_goes_through_all_its_steps(owner, ask):
    begun = owner("POST", f"{owner.article}/files", {"name": "a.npy", "size": 2560, "folder_path": "/lab/Subjects/"})
    assert begun.status == 201
    assert begun.headers["Content-Type"].startswith("text/html")
    file = begun.json()["location"]
    assert file == begun.headers["Location"]
    record = owner("GET", file).json()
    assert (record["status"], record["computed_md5"], record["supplied_md5"]) == ("created", "", "")
    assert record["upload_url"] == f"{owner.box.upload_url}/upload/{record['upload_token']}"
    upload = record["upload_url"]

    session = ask("GET", upload).json()
    assert session["status"] == "PENDING"
    extents = [(p["partNo"], p["startOffset"], p["endOffset"]) for p in session["parts"]]
    assert extents == [(1, 0, 999), (2, 1000, 1999), (3, 2000, 2559)]
    assert {(p["status"], p["locked"]) for p in session["parts"]} == {("PENDING", False)}

    for number, start, stop in reversed(extents):  # In any order, with or without a token.
        put = owner if number == 2 else ask
        answer = put("PUT", f"{upload}/{number}", CONTENT[start : stop + 1])
        assert (answer.status, answer.body) == (200, b"OK")
    assert {p["status"] for p in ask("GET", upload).json()["parts"]} == {"COMPLETE"}

    done = owner("POST", file)
    assert done.status == 202
    assert done.body.startswith(b"<html>")
    record = owner.settled(file)
    assert record["status"] == "available"
    assert record["computed_md5"] == hashlib.md5(CONTENT).hexdigest()
    assert record["upload_url"] == ""
    assert record["upload_token"]
    assert ask("GET", upload).json()["status"] == "COMPLETED"


def test_the_three_origins_differ(box):
    assert len({urlsplit(box.api_url).port, urlsplit(box.upload_url).port, urlsplit(box.download_url).port}) == 3
    assert {urlsplit(u).hostname for u in (box.api_url, box.upload_url, box.download_url)} == {"127.0.0.1"}


def test_parts_are_of_ten_mebibytes_unless_told_otherwise(start, ask):
    owner = start(part_size=10 * 2**20)
    size = 23_561_500
    file = owner("POST", f"{owner.article}/files", {"name": "a", "size": str(size)}).json()["location"]
    parts = ask("GET", owner("GET", file).json()["upload_url"]).json()["parts"]
    assert [p["endOffset"] for p in parts] == [10485759, 20971519, 23561499]


def test_the_md5_comes_late(start):
    owner = start(status_delay_ms=200)
    file = owner.begin(owner.article, CONTENT)
    owner.send(file, CONTENT)
    assert owner("POST", file).status == 202
    seen = []
    while not seen or seen[-1][0] != "available":
        record = owner("GET", file).json()
        now = (record["status"], record["computed_md5"])
        seen += [now] * (now not in seen)
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert seen == [("ic_checking", ""), ("moving_to_final", md5), ("available", md5)]


def test_a_file_can_be_stuck_though_its_md5_is_there(start):
    owner = start(stuck_moving=True, status_delay_ms=0)
    file = owner.begin(owner.article, CONTENT)
    owner.send(file, CONTENT)
    owner("POST", file)
    record = owner.settled(file, ["moving_to_final"])
    assert record["computed_md5"] == hashlib.md5(CONTENT).hexdigest()
    time.sleep(0.05)
    assert owner("GET", file).json()["status"] == "moving_to_final"


def test_the_md5_can_stay_away_for_ever(start):
    owner = start(md5_never=True)
    assert owner.upload(owner.article, CONTENT)["computed_md5"] == ""


def test_a_wrong_md5_fails(owner):
    record = owner.upload(owner.article, CONTENT, md5="0" * 32)
    assert record["status"] == "ic_failure"
    assert record["upload_url"] == ""


def test_a_wrong_md5_passes_when_switched_off(start):
    owner = start(check_md5=False)
    assert owner.upload(owner.article, CONTENT, md5="0" * 32)["status"] == "available"


def test_completing_with_parts_missing_changes_nothing(owner, ask):
    file = owner.begin(owner.article, CONTENT)
    upload = owner("GET", file).json()["upload_url"]
    assert ask("PUT", f"{upload}/1", CONTENT[:1000]).status == 200
    assert owner("POST", file).status == 202
    time.sleep(0.05)
    assert owner("GET", file).json()["status"] == "created"
    owner.send(file, CONTENT)
    assert owner("POST", file).status == 202
    assert owner.settled(file)["computed_md5"] == hashlib.md5(CONTENT).hexdigest()
    assert owner("POST", file).status == 202


def test_switches_of_completion(start):
    owner = start(complete_pending_status=400, complete_as_html=False, clear_upload_url=False)
    file = owner.begin(owner.article, CONTENT)
    answer = owner("POST", file)
    assert (answer.status, answer.body) == (400, b"")
    owner.send(file, CONTENT)
    owner("POST", file)
    assert owner.settled(file)["upload_url"] != ""


def test_a_new_file_can_be_hidden_for_a_moment(start):
    owner = start(location_404_ms=500)
    file = owner.begin(owner.article, CONTENT)
    assert owner("GET", file).status == 404
    time.sleep(0.6)
    assert owner("GET", file).status == 200


def test_unknown_sessions_and_parts_are_not_found(owner, ask):
    upload = owner("GET", owner.begin(owner.article, CONTENT)).json()["upload_url"]
    for address in (f"{upload}/0", f"{upload}/4", f"{upload[:-1]}/1"):
        for method in ("GET", "PUT", "DELETE"):
            answer = ask(method, address, b"x" if method == "PUT" else None)
            assert (answer.status, answer.body) == (404, b"")
    assert ask("GET", f"{owner.box.upload_url}/upload/nothing").status == 404


def test_a_part_can_be_reset_until_the_file_is_completed(owner, ask):
    file = owner.begin(owner.article, CONTENT)
    owner.send(file, CONTENT[::-1])
    upload = owner("GET", file).json()["upload_url"]
    for number in (1, 2, 3):
        assert ask("GET", f"{upload}/{number}").json()["status"] == "COMPLETE"
        assert ask("DELETE", f"{upload}/{number}").status == 200
        assert ask("GET", f"{upload}/{number}").json()["status"] == "PENDING"
    owner.send(file, CONTENT)
    owner("POST", file)
    assert owner.settled(file)["status"] == "available"
    assert ask("DELETE", f"{upload}/1").status == 409
    answer = ask("PUT", f"{upload}/1", CONTENT[:1000])
    assert (answer.status, answer.body) == (409, b"")


def test_a_part_may_be_sent_again(owner, ask):
    file = owner.begin(owner.article, CONTENT)
    upload = owner("GET", file).json()["upload_url"]
    for _ in range(2):
        assert ask("PUT", f"{upload}/1", CONTENT[:1000]).status == 200


def test_a_part_that_is_too_long_is_refused(owner, ask):
    upload = owner("GET", owner.begin(owner.article, CONTENT)).json()["upload_url"]
    assert ask("PUT", f"{upload}/1", CONTENT[:1001]).status == 413
    chunks = iter([CONTENT[:600], CONTENT[:600], b""])  # Sent chunked: its length is not announced.
    assert ask("PUT", f"{upload}/1", chunks).status == 413
    assert ask("GET", f"{upload}/1").json()["status"] == "PENDING"


def test_a_part_may_come_in_chunks(owner, ask):
    upload = owner("GET", owner.begin(owner.article, CONTENT)).json()["upload_url"]
    assert ask("PUT", f"{upload}/1", iter([CONTENT[:600], CONTENT[600:1000]])).status == 200


def raw_put(address, announced, sent, more=""):
    """Begin a PUT by hand and leave it open."""
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
    head = f"PUT {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {announced}\r\n{more}\r\n"
    connection.sendall(head.encode() + sent)
    return connection


def until_locked(ask, address, expected):
    for _ in range(500):
        record = ask("GET", address).json()
        if record["locked"] is expected:
            return record
        time.sleep(0.01)
    raise AssertionError(record)


def test_a_part_that_is_too_short_hangs_and_locks(owner, ask):
    upload = owner("GET", owner.begin(owner.article, CONTENT)).json()["upload_url"]
    with raw_put(f"{upload}/1", 900, CONTENT[:900]) as connection:
        until_locked(ask, f"{upload}/1", expected=True)
        for method in ("PUT", "DELETE"):
            answer = ask(method, f"{upload}/1", CONTENT[:1000] if method == "PUT" else None)
            assert (answer.status, answer.body) == (409, b"")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert until_locked(ask, f"{upload}/1", expected=False)["status"] == "PENDING"
    assert ask("PUT", f"{upload}/1", CONTENT[:1000]).status == 200


@pytest.mark.parametrize("announced", [900, 1000])
def test_a_part_that_hangs_is_given_up_in_the_end(start, ask, announced):
    owner = start(short_put_hang_seconds=0.2)
    upload = owner("GET", owner.begin(owner.article, CONTENT)).json()["upload_url"]
    with raw_put(f"{upload}/1", announced, CONTENT[:900]) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")
    assert until_locked(ask, f"{upload}/1", expected=False)["status"] == "PENDING"


def test_who_asks_before_sending_is_told(owner, ask):
    upload = owner("GET", owner.begin(owner.article, CONTENT)).json()["upload_url"]
    expect = "Expect: 100-continue\r\n"
    with raw_put(f"{upload}/1", 1000, b"", expect) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(CONTENT[:1000])
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    with raw_put(f"{upload}/9", 1000, b"", expect) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 404 ")


def test_stopping_ends_a_part_that_hangs(start):
    owner = start()
    upload = owner("GET", owner.begin(owner.article, CONTENT)).json()["upload_url"]
    with raw_put(f"{upload}/1", 900, CONTENT[:900]):
        began = time.monotonic()
        owner.box.stop()
        assert time.monotonic() - began < 5


def test_empty_files_are_refused(owner, start):
    answer = owner("POST", f"{owner.article}/files", {"name": "a", "size": 0})
    assert answer.status == 400
    assert answer.json()["code"] == "BadRequest"
    other = start(empty_file_status=422)
    assert other("POST", f"{other.article}/files", {"name": "a", "size": 0}).status == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"size": 1}, 422),
        ({"name": "a"}, 422),
        ({"name": "", "size": 1}, 422),
        ({"name": None, "size": 1}, 400),
        ({"name": "a", "size": 1, "md5": None}, 400),
        ({"name": "a", "size": 1, "folder_path": None}, 400),
        ({"name": "a", "size": -1}, 400),
        ({"name": "a", "size": 1.5}, 400),
        ({"name": "a", "size": 2**63}, 422),
        ({"name": "a", "size": 2**70}, 400),
        ({"name": "a", "size": "many"}, 400),
        ({"link": "javascript:alert(1)"}, 400),
    ],
)
def test_announcements_that_do_not_fit_are_refused(start, body, status):
    owner = start(maximum_file_size=1000)
    if body.get("size") == 2**63:
        body["size"] = 2**63 - 1
    assert owner("POST", f"{owner.article}/files", body).status == status


def test_a_second_file_of_the_same_name_gets_a_second_id(owner, start):
    article = owner.new_article()
    for content in (b"first", b"second"):
        owner.upload(article, content, "a.npy")
    files = owner("GET", f"{article}/files").json()
    assert [f["name"] for f in files] == ["a.npy", "a.npy"]
    assert files[0]["id"] != files[1]["id"]
    other = start(duplicate_names=False)
    other.begin(other.article, b"first", "a.npy")
    other.begin(other.article, b"first", "a.npy", folder_path="elsewhere")
    assert other("POST", f"{other.article}/files", {"name": "a.npy", "size": 1}).status == 400


def test_folders_are_shown_in_the_article_only(owner, start):
    article = owner.new_article()
    deep = owner.upload(article, b"1", "a~b/c.npy", folder_path="/lab/Subjects/x/")
    top = owner.upload(article, b"2", ".one_root")
    assert owner("GET", article).json()["folder_structure"] == {str(deep["id"]): "lab/Subjects/x"}
    assert "folder_path" not in deep
    assert (deep["name"], top["name"]) == ("a~b/c.npy", ".one_root")
    other = start(show_folders=False)
    assert "folder_structure" not in other("GET", other.article).json()


def test_an_article_shows_ten_files_and_the_list_has_them_all(owner):
    article = owner.new_article()
    for i in range(12):
        owner.begin(article, b"12", f"{i}", folder_path="somewhere")
    record = owner("GET", article).json()
    assert [f["name"] for f in record["files"]] == [str(i) for i in range(10)]
    assert record["size"] == 24
    assert len(record["folder_structure"]) == 12
    assert len(owner("GET", f"{article}/files").json()) == 10
    assert len(owner("GET", f"{article}/files?page_size=1000").json()) == 12
    assert [f["name"] for f in owner("GET", f"{article}/files?offset=10&limit=5").json()] == ["10", "11"]


def test_a_deleted_file_is_gone_with_its_session(owner, ask):
    article = owner.new_article()
    file = owner.begin(article, CONTENT)
    upload = owner("GET", file).json()["upload_url"]
    owner.send(file, CONTENT)
    blobs = owner.box.data_dir / "blobs"
    assert (blobs / file.rpartition("/")[2]).exists()
    assert owner("DELETE", file).status == 204
    assert not (blobs / file.rpartition("/")[2]).exists()
    assert ask("GET", upload).status == 404
    for method in ("GET", "POST", "DELETE"):
        assert owner(method, file).status == 404


def test_a_linked_file_has_no_upload(owner, ask):
    article = owner.new_article()
    link = "https://data.example.org/spikes.times.npy"
    file = owner("POST", f"{article}/files", {"link": link}).json()["location"]
    record = owner("GET", file).json()
    assert (record["is_link_only"], record["download_url"], record["size"]) == (True, link, 0)
    assert "upload_url" not in record
    assert owner("GET", article).json()["has_linked_file"] is True
    answer = ask("GET", f"{owner.box.api_url[:-3]}/files/{record['id']}")
    assert (answer.status, answer.headers["Location"]) == (302, link)


def test_limits_are_kept(start):
    owner = start(file_limit=2, quota=3000, maximum_file_size=2000)

    def begin(size, article):
        answer = owner("POST", f"{article}/files", {"name": "a", "size": size})
        return answer.status, answer.json().get("code")

    assert begin(2001, owner.article) == (422, "MaximumFileSizeExceeded")
    assert begin(2000, owner.article)[0] == 201
    assert begin(1001, owner.article) == (403, "QuotaExceeded")
    assert begin(500, owner.article)[0] == 201
    assert begin(1, owner.article) == (422, "FileLimitExceeded")
    assert begin(500, owner.new_article())[0] == 201
    account = owner("GET", "/account").json()
    assert (account["quota"], account["maximum_file_size"]) == (3000, 2000)
    assert (account["used_quota_private"], account["used_quota_public"], account["used_quota"]) == (3000, 0, 3000)


def test_what_is_deleted_or_published_makes_room(start):
    owner = start(file_limit=2, quota=3000)

    def begin(size, article=None):
        return owner("POST", f"{article or owner.article}/files", {"name": "a", "size": size})

    first = begin(2000).json()["location"]
    assert begin(1001).status == 403
    assert owner("DELETE", first).status == 204
    assert begin(1001).status == 201
    assert begin(1).status == 201
    assert begin(1).status == 422
    other = owner.new_article()
    owner.upload(other, bytes(1900))
    assert begin(1000, other).status == 403
    assert owner("POST", f"{other}/publish").status == 201
    assert begin(1000, other).status == 201
    third = owner.new_article()
    assert begin(900, third).status == 201
    assert begin(900, third).status == 403
    assert owner("DELETE", third).status == 204
    assert owner("GET", "/account").json()["used_quota_private"] == 1001 + 1 + 1000
