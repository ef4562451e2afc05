"""Several accounts: each has its token, its articles, its room; and sandboxes of earlier versions."""

from __future__ import annotations

import json
import sqlite3

import pytest

from onelight.errors import ConfigError
from onelight.sandbox import Sandbox


@pytest.fixture
def two(start, ask):
    """The owner of the first account, and a function that asks as the owner of another."""
    owner = start(quota=5000, file_limit=3)
    other = owner.box.add_account("Ada King Lovelace", quota=1000, max_files=1)

    def as_other(method, address, body=None):
        body = json.dumps(body) if body is not None else None
        address = address if address.startswith("http") else owner.box.api_url + address
        return ask(method, address, body, {"Authorization": f"token {other.token}"})

    as_other.account = other
    return owner, as_other


def test_each_has_its_own_articles_and_nobody_sees_those_of_others(two):
    owner, other = two
    article = other("POST", "/account/articles", {"title": "Of another"}).headers["Location"]
    assert [a["title"] for a in other("GET", "/account/articles").json()] == ["Of another"]
    assert [a["id"] for a in owner("GET", "/account/articles").json()] == [owner.box.article_id]
    file = owner.upload(owner.article, b"abc")["id"]
    for method, path, body in [
        ("GET", "", None),
        ("PUT", "", {"title": "Mine now"}),
        ("DELETE", "", None),
        ("GET", "/files", None),
        ("POST", "/files", {"name": "a", "size": 1}),
        ("GET", f"/files/{file}", None),
        ("POST", f"/files/{file}", None),
        ("DELETE", f"/files/{file}", None),
        ("POST", "/publish", None),
        ("GET", "/authors", None),
        ("GET", "/embargo", None),
        ("POST", "/private_links", {}),
    ]:
        answer = other(method, owner.article + path, body)
        assert (answer.status, answer.json()["code"]) == (404, "EntityNotFound"), path
    assert owner("GET", article).status == 404
    assert owner("GET", owner.article).json()["title"] != "Mine now"


def test_the_files_of_a_draft_are_its_owners(two):
    owner, other = two
    record = owner.upload(owner.article, b"abc")
    assert owner("GET", record["download_url"]).status == 200
    assert other("GET", record["download_url"]).status == 403


def test_each_is_the_author_of_its_own_articles(two):
    owner, other = two
    article = other("POST", "/account/articles", {"title": "Of another"}).headers["Location"]
    (author,) = other("GET", article).json()["authors"]
    account = other("GET", "/account").json()
    assert (author["id"], author["full_name"]) == (account["user_id"], "Ada King Lovelace")
    assert (account["first_name"], account["last_name"]) == ("Ada King", "Lovelace")
    assert other("GET", article).json()["account_id"] == account["id"] != owner("GET", "/account").json()["id"]
    answer = owner("PUT", f"{owner.article}/authors", {"authors": [{"id": account["id"]}]})
    assert answer.status == 205
    assert owner("GET", f"{owner.article}/authors").json()[0]["full_name"] == "Ada King Lovelace"


def test_each_has_its_own_room(two):
    owner, other = two
    article = other("POST", "/account/articles", {"title": "Of another"}).headers["Location"]
    assert owner("POST", f"{owner.article}/files", {"name": "a", "size": 4000}).status == 201
    assert other("POST", f"{article}/files", {"name": "a", "size": 1001}).status == 403
    assert other("POST", f"{article}/files", {"name": "a", "size": 900}).status == 201
    assert other("POST", f"{article}/files", {"name": "b", "size": 1}).status == 422
    assert [owner("GET", "/account").json()[k] for k in ("quota", "used_quota_private")] == [5000, 4000]
    assert [other("GET", "/account").json()[k] for k in ("quota", "used_quota_private")] == [1000, 900]


def test_accounts_are_kept_and_can_be_made_from_another_process(two, start, ask):
    owner, other = two
    address = owner.box.api_url.removesuffix("/v2") + "/control/accounts"
    third = ask("POST", address, json.dumps({"name": "Grace", "quota": 7}))
    assert third.status == 201
    made = third.json()
    assert (made["name"], made["quota"], made["max_files"], len(made["token"])) == ("Grace", 7, None, 64)
    owner.box.stop()
    after = start(quota=5000)
    for token, quota in ((owner.box.token, 5000), (other.account.token, 1000), (made["token"], 7)):
        answer = ask("GET", f"{after.box.api_url}/account", headers={"Authorization": f"token {token}"})
        assert answer.json()["quota"] == quota


def test_an_account_needs_a_name_and_a_sandbox_that_runs(start, tmp_path):
    owner = start()
    with pytest.raises(ValueError, match="needs a name"):
        owner.box.add_account(" ")
    with pytest.raises(ConfigError, match="Start it first"):
        Sandbox(tmp_path / "other").add_account("Ada")


# What the first version of the sandbox wrote: its tables, without the columns and the table that came later.
LATER = (
    "DROP TABLE accounts",
    "ALTER TABLE articles DROP COLUMN account_id",
    "ALTER TABLE articles DROP COLUMN shows",
    "ALTER TABLE files DROP COLUMN outcome",
    "ALTER TABLE files DROP COLUMN md5_from",
    "PRAGMA user_version=1",
)


def test_a_sandbox_of_an_earlier_version_is_brought_up_to_date(start, tmp_path):
    before = start()
    record = before.upload(before.article, b"abc")
    before.box.stop()
    with sqlite3.connect(tmp_path / "data" / "sandbox.sqlite") as database:
        for statement in LATER:
            database.execute(statement)
    database.close()
    after = start()
    (file,) = after("GET", f"{after.article}/files").json()
    assert (file["id"], file["computed_md5"]) == (record["id"], record["computed_md5"])
    assert after.upload(after.article, b"def")["status"] == "available"
    assert after.box.add_account("Ada").id > after("GET", "/account").json()["id"]


def test_a_sandbox_of_a_later_version_is_refused(start, tmp_path):
    start().box.stop()
    with sqlite3.connect(tmp_path / "data" / "sandbox.sqlite") as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(ConfigError, match="made by a later version"):
        start()
