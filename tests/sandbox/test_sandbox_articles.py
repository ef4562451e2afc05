"""Articles, their fields, authors, categories and links; who may ask; lists and their pages."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

ALLOWED, ALSO_ALLOWED, GROUP, CLOSED = 24277, 24470, 24184, 24481


def test_the_draft_for_trying_lacks_files_only(owner):
    answer = owner("POST", f"{owner.article}/publish")
    assert answer.status == 400
    assert answer.json() == {"message": "Missing mandatory field for publication - files", "code": "BadRequest"}


def test_a_new_article_answers_json_that_says_html(owner):
    answer = owner("POST", "/account/articles", {"title": "Some recordings"})
    assert answer.status == 201
    assert answer.headers["Content-Type"].startswith("text/html")
    body = answer.json()
    assert body["location"] == answer.headers["Location"] == f"{owner.box.api_url}/account/articles/{body['entity_id']}"
    assert body["warnings"] == []


def test_json_says_json_when_asked_to(start):
    owner = start(json_as_html=False, update_body=True)
    assert owner("POST", "/account/articles", {"title": "abc"}).headers["Content-Type"] == "application/json"
    assert owner("PUT", owner.article, {"title": "abc"}).json()["location"] == owner.article


def test_a_draft_says_that_it_is_one(owner):
    record = owner("GET", owner.new_article()).json()
    assert (record["status"], record["is_public"], record["version"]) == ("draft", False, 0)
    assert record["published_date"] is None
    assert record["doi"] == ""
    assert (record["defined_type"], record["defined_type_name"]) == (3, "dataset")
    assert record["license"]["name"] == "CC BY 4.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["created_date"])


def test_the_owner_becomes_an_author_unasked(owner):
    account = owner("GET", "/account").json()
    article = owner.new_article(authors=[{"name": "Ada Lovelace"}])
    authors = owner("GET", f"{article}/authors").json()
    assert authors[0]["id"] == account["user_id"]
    assert [a["full_name"] for a in authors] == ["Rehearsal Owner", "Ada Lovelace"]


def test_the_owner_is_no_author_when_switched_off(start):
    owner = start(owner_is_author=False)
    assert owner("GET", owner.new_article()).json()["authors"] == []


def test_authors_are_replaced_added_and_removed(owner):
    article = owner.new_article()
    answer = owner("PUT", f"{article}/authors", {"authors": [{"first_name": "Ada", "last_name": "Lovelace"}]})
    assert (answer.status, answer.body) == (205, b"")
    (ada,) = owner("GET", f"{article}/authors").json()
    assert owner("POST", f"{article}/authors", {"authors": [{"id": ada["id"]}, {"name": "Bob"}]}).status == 205
    assert [a["full_name"] for a in owner("GET", article).json()["authors"]] == ["Ada Lovelace"] * 2 + ["Bob"]
    assert owner("DELETE", f"{article}/authors/{ada['id']}").status == 204
    assert owner("DELETE", f"{article}/authors/{ada['id']}").status == 404
    assert [a["full_name"] for a in owner("GET", f"{article}/authors").json()] == ["Bob"]
    assert owner("PUT", f"{article}/authors", {"authors": [{"id": 1}]}).status == 404
    assert owner("PUT", f"{article}/authors", {"authors": [{"orcid_id": "x"}]}).status == 400
    assert owner("PUT", f"{article}/authors", {"authors": None}).status == 400


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_has_no_body_and_leaves_the_other_fields(owner, method):
    article = owner.new_article()
    answer = owner(method, article, {"description": "Another"})
    assert (answer.status, answer.body) == (205, b"")
    assert answer.headers["Location"] == article
    record = owner("GET", article).json()
    assert (record["title"], record["description"]) == ("A draft", "Another")
    assert record["keywords"] == ["spikes"]


def test_tags_are_keywords(owner):
    article = owner.new_article(keywords=["a"], tags=["b", "a"])
    record = owner("GET", article).json()
    assert sorted(record["keywords"]) == sorted(record["tags"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"funding": None}, "funding: None is not of type 'string'"),
        ({"title": None}, "title: None is not of type 'string'"),
        ({"title": "ab"}, "title: 'ab' is too short"),
        ({"title": "a" * 1001}, "title: the text is too long"),
        ({"description": "a" * 20_001}, "description: the text is too long"),
        ({"keywords": "spikes"}, "keywords: 'spikes' is not of type 'array'"),
        ({"keywords": [1]}, "keywords: 1 is not of type 'string'"),
        ({"categories": ["1"]}, "categories: '1' is not of type 'integer'"),
        ({"title": "\ud800abc"}, "The body is not valid Unicode"),
        ({"license": True}, "license: True is not of type 'integer'"),
    ],
)
def test_fields_that_do_not_fit_are_refused(owner, fields, message):
    answer = owner("PUT", owner.article, fields)
    assert answer.status == 400
    assert answer.json() == {"message": message, "code": "BadRequest"}


def test_a_title_is_needed(owner):
    assert owner("POST", "/account/articles", {}).status == 400
    assert owner("POST", "/account/articles", b"{").status == 400
    assert owner("POST", "/account/articles", []).status == 400
    assert owner("PUT", owner.article, {"defined_type": "opera"}).status == 400


def test_null_is_taken_for_nothing_when_fields_are_not_strict(start):
    owner = start(strict_fields=False)
    assert owner("PUT", owner.article, {"title": None, "funding": None}).status == 205
    assert owner("PUT", owner.article, {"title": "ab"}).status == 205


@pytest.mark.parametrize("number", [1, GROUP, CLOSED])
def test_a_category_may_be_forbidden_though_it_is_listed(owner, number):
    for answer in (
        owner("PUT", owner.article, {"categories": [number]}),
        owner("PUT", f"{owner.article}/categories", {"categories": [number]}),
    ):
        assert answer.status == 404
        assert answer.json()["code"] == "EntityNotFound"
        assert "Not allowed to set category" in answer.json()["message"]


def test_categories_are_set_added_and_removed(owner):
    article = owner.new_article(categories=[ALLOWED])
    assert owner("POST", f"{article}/categories", {"categories": [ALSO_ALLOWED]}).status == 205
    assert [c["id"] for c in owner("GET", f"{article}/categories").json()] == [ALLOWED, ALSO_ALLOWED]
    assert owner("DELETE", f"{article}/categories/{ALLOWED}").status == 204
    assert owner("DELETE", f"{article}/categories/{ALLOWED}").status == 404
    assert owner("PUT", article, {"categories_by_source_id": ["310906"]}).status == 205
    assert [c["id"] for c in owner("GET", article).json()["categories"]] == [ALLOWED]


def test_lists_to_choose_from_are_there_for_all(owner, ask):
    for name in ("licenses", "categories"):
        assert owner("GET", f"/account/{name}").json() == ask("GET", f"{owner.box.api_url}/{name}").json()
    categories = owner("GET", "/categories").json()
    assert {c["id"]: c["is_selectable"] for c in categories}[GROUP] is False
    assert {c["id"]: c["has_children"] for c in categories}[GROUP] is True


def test_a_draft_can_be_deleted(owner):
    article = owner.new_article()
    owner.upload(article, b"abc")
    assert owner("DELETE", article).status == 204
    answer = owner("GET", article)
    assert answer.status == 404
    assert answer.json() == {"message": "Entity not found: Article", "code": "EntityNotFound"}


def test_private_links_come_and_go(owner):
    article = owner.new_article()
    made = owner("POST", f"{article}/private_links")
    assert made.status == 201
    assert re.fullmatch("[0-9a-f]{20}", made.json()["token"])
    assert made.headers["Location"].endswith(made.json()["token"])
    (link,) = owner("GET", f"{article}/private_links").json()
    assert link["html_location"] == made.json()["html_location"]
    assert link["is_active"]
    in_a_year = datetime.fromisoformat(link["expires_date"]) - datetime.now()  # noqa: DTZ005
    assert timedelta(days=363) < in_a_year < timedelta(days=367)
    address = f"{article}/private_links/{link['id']}"
    assert owner("PUT", address, {"expires_date": "2020-01-01 00:00:00"}).status == 205
    assert owner("PUT", address, {"expires_date": "soon"}).status == 400
    (link,) = owner("GET", f"{article}/private_links").json()
    assert (link["is_active"], link["expires_date"]) == (False, "2020-01-01T00:00:00")
    assert owner("POST", f"{article}/private_links").status == 201
    (other,) = owner("GET", f"{article}/private_links").json()
    assert other["id"] != link["id"]
    assert owner("DELETE", address).status == 404
    assert owner("PUT", address).status == 404
    assert owner("DELETE", f"{article}/private_links/{other['id']}").status == 204
    assert owner("GET", f"{article}/private_links").json() == []


@pytest.mark.parametrize("status", [403, 401])
def test_only_the_owner_may_ask(start, ask, status):
    owner = start(unauthorised_status=status)
    token = owner.box.token
    wrong = [{}, {"Authorization": "token "}, {"Authorization": f"token {token[:-1]}"}, {"Authorization": "token é"}]
    for headers in [*wrong, {"Authorization": f"Bearer {token}"}]:
        answer = ask("GET", owner.article, headers={k: v.encode("latin-1") for k, v in headers.items()})
        assert answer.status == status
        assert answer.json()["code"] == "OAuthInvalidToken"
    owner.box.change(bearer=True)
    assert ask("GET", owner.article, headers={"Authorization": f"Bearer {token}"}).status == 200
    assert ask("GET", f"{owner.article}?access_token={token}").status == 200
    assert ask("GET", f"{owner.article}?access_token=%C3%A9").status == status
    assert ask("GET", f"{owner.box.api_url}/licenses").status == 200


def test_what_is_not_there_is_not_found_in_json(owner):
    for address in ("/nothing", "/account/articles/abc", "/account/articles/1", "/articles/1"):
        assert owner("GET", address).status == 404
        assert isinstance(owner("GET", address).json()["code"], str)
    assert owner("GET", f"/articles/{10**30}").status == 404
    assert owner("POST", "/licenses").status == 405
    assert owner("POST", "/licenses").json()["code"] == "MethodNotAllowed"


def test_lists_come_in_pages_of_ten(start):
    owner = start()
    made = [owner.box.article_id, *(int(owner.new_article().rpartition("/")[2]) for _ in range(12))][::-1]

    def ids(query):
        return [a["id"] for a in owner("GET", f"/account/articles{query}").json()]

    assert ids("") == ids("?page=1") == ids("?limit=10") == made[:10]
    assert ids("?page=2&page_size=5") == ids("?limit=5&offset=5") == made[5:10]
    assert ids("?page=3&page_size=5") == made[10:]
    assert ids("?page=9") == []


@pytest.mark.parametrize(
    "query",
    [
        "page=1&limit=1",
        "page_size=5&offset=0",
        "page=0",
        "page=5001",
        "page_size=0",
        "page_size=1001",
        "limit=1001",
        "offset=5001",
        "offset=-1",
        "page=x",
        "page=" + "9" * 5000,
    ],
)
def test_pages_out_of_bounds_or_in_two_styles_are_refused(owner, query):
    for address in ("/account/articles", "/articles", f"{owner.article}/files"):
        answer = owner("GET", f"{address}?{query}")
        assert answer.status == 422
        assert answer.json()["code"] == "UnprocessableEntity"
