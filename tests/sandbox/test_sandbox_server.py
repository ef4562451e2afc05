"""Starting, stopping, being killed; many clients at once."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import onelight
from onelight.errors import ConfigError
from onelight.sandbox import Origins, Sandbox, Settings

CONTENT = os.urandom(2560)
SERVER = """
import sys
from onelight.sandbox import Sandbox, Settings
box = Sandbox(sys.argv[1], settings=Settings(part_size=1000))
box.start()
sys.stdout.write(f"{box.api_url}\\n{box.upload_url}\\n{box.token}\\n{box.article_id}\\n")
sys.stdout.flush()
box.serve()
"""


def test_everything_is_there_after_a_restart(start, ask):
    before = start()
    published = before.upload(before.article, b"abc", folder_path="lab")
    before("POST", f"{before.article}/publish")
    before.upload(before.article, b"def")
    half = before.begin(before.article, CONTENT)
    upload = urlsplit(before("GET", half).json()["upload_url"]).path
    assert ask("PUT", f"{before.box.upload_url}{upload}/2", CONTENT[1000:2000]).status == 200
    before.box.stop()

    after = start(part_size=7)  # Of new uploads; one that was begun keeps its own.
    assert (after.box.token, after.box.article_id) == (before.box.token, before.box.article_id)
    record = ask("GET", after.public).json()
    assert record["folder_structure"] == {str(published["id"]): "lab"}
    assert len(after("GET", f"{after.article}/files").json()) == 3
    assert ask("GET", ask("GET", record["files"][0]["download_url"]).headers["Location"]).body == b"abc"
    parts = ask("GET", f"{after.box.upload_url}{upload}").json()["parts"]
    assert [p["status"] for p in parts] == ["PENDING", "COMPLETE", "PENDING"]
    half = f"{after.article}/files/{half.rpartition('/')[2]}"
    after.send(half, CONTENT)
    after("POST", half)
    assert after.settled(half)["computed_md5"] == hashlib.md5(CONTENT).hexdigest()


def test_checks_left_unfinished_are_finished_by_the_next(start):
    before = start(status_delay_ms=60_000)
    file = before.begin(before.article, CONTENT)
    before.send(file, CONTENT)
    before("POST", file)
    before.box.stop()
    after = start()
    assert after.settled(f"{after.article}/files/{file.rpartition('/')[2]}")["status"] == "available"


class Process:
    """A sandbox in a process of its own."""

    def __init__(self, folder):
        root = str(Path(onelight.__file__).parent.parent)
        command = [sys.executable, "-W", "error", "-c", SERVER, str(folder)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
        )
        self.api_url, self.upload_url, self.token, self.article_id = (
            self.process.stdout.readline().strip() for _ in range(4)
        )
        self.settings = Settings()

    def end(self, number):
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code


def test_a_killed_server_continues_where_it_was(tmp_path, start, ask, as_owner):
    process = Process(tmp_path / "data")
    try:
        owner = as_owner(process)
        file = owner.begin(owner.article, CONTENT)
        upload = urlsplit(owner("GET", file).json()["upload_url"])
        assert ask("PUT", f"{upload.geturl()}/1", CONTENT[:1000]).status == 200
        with socket.create_connection((upload.hostname, upload.port)) as connection:
            head = f"PUT {upload.path}/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
            connection.sendall(head.encode() + b"z" * 500)
            while not ask("GET", f"{upload.geturl()}/2").json()["locked"]:
                time.sleep(0.01)
            assert process.end(signal.SIGKILL) == -signal.SIGKILL
    finally:
        process.end(signal.SIGKILL)

    after = start()
    assert after.box.token == process.token
    parts = ask("GET", f"{after.box.upload_url}{upload.path}").json()["parts"]
    assert [(p["status"], p["locked"]) for p in parts] == [("COMPLETE", False), ("PENDING", False), ("PENDING", False)]
    file = f"{after.article}/files/{file.rpartition('/')[2]}"
    after.send(file, CONTENT)
    after("POST", file)
    assert after.settled(file)["status"] == "available"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_ends_with_a_signal(tmp_path, number):
    process = Process(tmp_path / "data")
    time.sleep(0.1)
    assert process.end(number) == 0


def test_stopping_ends_a_download_that_nobody_reads(start):
    owner = start(part_size=2**25)
    address = urlsplit(owner.upload(owner.article, bytes(2**25))["download_url"])
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(f"GET {address.path}?token={owner.box.token} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        connection.recv(10)
        began = time.monotonic()
        owner.box.stop()
        assert time.monotonic() - began < 5


def test_a_folder_belongs_to_one_server(start, tmp_path):
    first = start()
    with pytest.raises(ConfigError, match="Another sandbox is using"):
        Sandbox(tmp_path / "data").start()
    assert first("GET", "/account").status == 200


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "recordings").mkdir()
    mode = tmp_path.stat().st_mode
    with pytest.raises(ConfigError, match="holds other files"):
        Sandbox(tmp_path).start()
    assert tmp_path.stat().st_mode == mode
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot use"):
        Sandbox(tmp_path / "file").start()
    (tmp_path / "recordings" / "sandbox.sqlite").write_text("no database" * 100)
    with pytest.raises(ConfigError, match="is no sandbox"):
        Sandbox(tmp_path / "recordings").start()


def test_a_port_can_be_chosen_and_be_taken(tmp_path, start):
    port = urlsplit(start("other").box.api_url).port
    with pytest.raises(ConfigError, match=f"Port {port} cannot be used"):
        Sandbox(tmp_path / "data", port=port).start()
    box = Sandbox(tmp_path / "data")
    box.start()
    port = urlsplit(box.api_url).port
    box.stop()
    with Sandbox(tmp_path / "data", port=port) as box:
        assert box.api_url == f"http://127.0.0.1:{port}/v2"


def test_starting_and_stopping_twice_is_no_matter(start):
    box = start().box
    box.start()
    box.stop()
    box.stop()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_others_cannot_look_into_the_folder(start):
    owner = start()
    owner.upload(owner.article, b"abc")
    assert stat.S_IMODE(owner.box.data_dir.stat().st_mode) == 0o700
    for blob in (owner.box.data_dir / "blobs").iterdir():
        assert stat.S_IMODE(blob.stat().st_mode) == 0o600
    assert len(owner.box.token) == 64


def test_blobs_without_a_file_are_removed(start):
    owner = start()
    owner.box.stop()
    (owner.box.data_dir / "blobs" / "123").write_bytes(b"x")
    start()
    assert list((owner.box.data_dir / "blobs").iterdir()) == []


def test_the_draft_for_trying_comes_back(start):
    owner = start()
    owner("DELETE", owner.article)
    owner.box.stop()
    after = start()
    assert after.box.article_id > owner.box.article_id
    assert after("GET", after.article).status == 200


def test_many_clients_at_once(start, ask):
    owner = start(status_delay_ms=5)
    contents = {f"{i}.npy": os.urandom(500 + 100 * i) for i in range(40)}
    with ThreadPoolExecutor(16) as pool:
        records = list(pool.map(lambda item: owner.upload(owner.article, item[1], item[0]), contents.items()))
    assert {r["name"]: r["computed_md5"] for r in records} == {
        name: hashlib.md5(content).hexdigest() for name, content in contents.items()
    }
    assert len({r["id"] for r in records}) == 40
    owner("POST", f"{owner.article}/publish")

    def download(record):
        return record["name"], ask("GET", ask("GET", record["download_url"]).headers["Location"]).body

    with ThreadPoolExecutor(16) as pool:
        assert dict(pool.map(download, records)) == contents


def test_one_part_is_written_by_one_client_at_a_time(start, ask):
    owner = start(part_size=200_000)
    contents = [bytes([i]) * 200_000 for i in range(8)]
    file = owner.begin(owner.article, contents[0], md5=None)
    upload = owner("GET", file).json()["upload_url"]
    with ThreadPoolExecutor(8) as pool:
        statuses = {a.status for a in pool.map(lambda c: ask("PUT", f"{upload}/1", c), contents)}
    assert 200 in statuses
    assert statuses <= {200, 409}
    owner("POST", file)
    assert owner.settled(file)["computed_md5"] in {hashlib.md5(c).hexdigest() for c in contents}


def test_a_server_behind_something_else_gives_the_addresses_of_that(tmp_path, ask):
    seen_as = Origins("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
    with Sandbox(tmp_path / "data", seen_as=seen_as) as box:
        assert (box.api_url, box.upload_url, box.download_url) == (
            "http://127.0.0.1:1/v2",
            seen_as.upload,
            seen_as.download,
        )
        own = f"http://127.0.0.1:{box.ports[0]}/v2/account/articles/{box.article_id}/files"
        owner = {"Authorization": f"token {box.token}"}
        file = ask("POST", own, '{"name": "a", "size": 1}', owner).json()["location"]
        assert file.startswith("http://127.0.0.1:1/v2/account/articles/")
        row = ask("GET", f"{own}/{file.rpartition('/')[2]}", headers=owner).json()
        assert row["upload_url"].startswith("http://127.0.0.1:2/upload/")
