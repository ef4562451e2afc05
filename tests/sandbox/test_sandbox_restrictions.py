"""Embargo, confidentiality, disabled downloads, review: what keeps readers from files. And: what searching finds."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone

import pytest

LATER = "2999-01-01"


@pytest.fixture
def published(owner):
    """A published article with a file; gives its own address, its public one, and its file."""

    def publish(**fields):
        article = owner.new_article(**fields)
        file = owner.upload(article, b"abc")
        assert owner("POST", f"{article}/publish").status == 201
        return article, article.replace("/account/", "/"), file

    return publish


def number(article):
    return int(article.rpartition("/")[2])


@pytest.mark.parametrize(
    ("shown", "stated"),
    [
        ({"is_embargoed": True, "embargo_type": "file", "embargo_date": LATER, "embargo_reason": "Wait"}, True),
        ({"is_embargoed": True, "embargo_type": "article"}, True),
        ({"is_embargoed": True, "embargo_type": "file", "embargo_date": "0"}, True),
        ({"is_confidential": True, "confidential_reason": "Patients"}, False),
    ],
)
def test_readers_see_no_files_of_what_is_closed(owner, published, ask, shown, stated):
    article, public, file = published()
    owner.box.mark(number(article), **shown)
    record = ask("GET", public).json()
    assert "files" not in record
    assert (record["is_embargoed"], record["is_confidential"]) == (stated, not stated)
    for name, value in shown.items():
        assert record[name] == (None if value == "0" else value)
    assert ask("GET", f"{public}/files").json() == []
    assert ask("GET", f"{public}/versions/1/files").json() == []
    assert ask("GET", f"{public}/files/{file['id']}").status == 404
    for address in (file["download_url"], f"{owner.box.api_url}/file/download/{file['id']}"):
        assert ask("GET", address).status == 403
    assert owner("GET", file["download_url"]).body == b"abc"
    assert len(owner("GET", article).json()["files"]) == 1
    owner.box.mark(number(article), **dict.fromkeys(shown))
    assert len(ask("GET", public).json()["files"]) == 1


def test_an_embargo_that_is_over_is_none(owner, published, ask):
    article, public, _ = published()
    owner.box.mark(number(article), is_embargoed=True, embargo_type="file", embargo_date="2020-01-01")
    record = ask("GET", public).json()
    assert (record["is_embargoed"], record["embargo_type"], len(record["files"])) == (False, None, 1)


def test_downloads_can_be_disabled_by_owner_and_by_control(owner, published, ask):
    article, public, file = published()
    owner.box.mark(number(article), download_disabled=True)
    record = ask("GET", public).json()
    assert (record["download_disabled"], len(record["files"])) == (True, 1)
    assert ask("GET", file["download_url"]).status == 403
    owner.box.mark(number(article), download_disabled=None)
    assert ask("GET", file["download_url"]).status == 302
    owner("PUT", article, {"download_disabled": True})
    assert ask("GET", file["download_url"]).status == 302  # until it is published
    owner("POST", f"{article}/publish")
    assert ask("GET", file["download_url"]).status == 403


def test_files_can_be_hidden_or_shown_whatever_the_rest_says(owner, published, ask):
    article, public, _ = published()
    owner.box.mark(number(article), files_hidden=True)
    assert "files" not in ask("GET", public).json()
    owner.box.mark(number(article), files_hidden=False, is_confidential=True)
    assert len(ask("GET", public).json()["files"]) == 1


def test_the_owner_sets_and_ends_an_embargo(owner, published, ask):
    article, public, _ = published()
    assert owner("GET", f"{article}/embargo").json()["is_embargoed"] is False
    said = {"is_embargoed": True, "embargo_date": LATER, "embargo_type": "file", "embargo_reason": "A paper"}
    answer = owner("PUT", f"{article}/embargo", said)
    assert (answer.status, answer.body) == (205, b"")
    for embargo in (owner("GET", f"{article}/embargo"), ask("GET", f"{public}/versions/1/embargo")):
        assert {name: embargo.json()[name] for name in said} == said
    assert "files" not in ask("GET", public).json()
    assert owner("DELETE", f"{article}/embargo").status == 204
    assert ask("GET", f"{public}/versions/1/embargo").json()["is_embargoed"] is False
    assert "files" in ask("GET", public).json()


@pytest.mark.parametrize(
    "wrong",
    [
        {"embargo_type": None},
        {"embargo_type": "moon"},
        {"embargo_date": "soon"},
        {"is_embargoed": "yes"},
        {"embargo_options": [1]},
    ],
)
def test_an_embargo_that_does_not_fit_is_refused(owner, wrong):
    said = {"is_embargoed": True, "embargo_date": LATER, "embargo_type": "file", **wrong}
    assert owner("PUT", f"{owner.article}/embargo", said).status == 400
    assert owner("PUT", f"{owner.article}/embargo", {"is_embargoed": True}).status == 400
    assert owner("GET", f"{owner.article}/embargo").json()["is_embargoed"] is False


def test_publication_waits_for_the_end_of_an_embargo_of_the_whole(owner, ask):
    article = owner.new_article()
    owner.upload(article, b"abc")
    public = article.replace("/account/", "/")
    end = (datetime.now(tz=timezone.utc) + timedelta(seconds=1)).isoformat()
    owner("PUT", f"{article}/embargo", {"is_embargoed": True, "embargo_date": end, "embargo_type": "article"})
    assert owner("POST", f"{article}/publish").status == 201
    assert ask("GET", public).status == 404
    time.sleep(1.1)
    assert len(ask("GET", public).json()["files"]) == 1


def test_the_owner_makes_an_article_confidential_and_takes_it_back(owner, published, ask):
    article, public, _ = published()
    assert owner("PUT", f"{article}/confidentiality", {"reason": 1}).status == 400
    assert owner("PUT", f"{article}/confidentiality", {"reason": "Patients"}).status == 205
    stated = {"is_confidential": True, "reason": "Patients"}
    assert owner("GET", f"{article}/confidentiality").json() == stated
    assert ask("GET", f"{public}/versions/1/confidentiality").json() == stated
    assert owner("DELETE", f"{article}/confidentiality").status == 204
    assert owner("GET", f"{article}/confidentiality").json() == {"is_confidential": False, "reason": ""}


def test_with_a_review_publication_is_a_submission(start, ask):
    owner = start(review=True)
    owner.upload(owner.article, b"abc")
    assert owner("POST", f"{owner.article}/publish").status == 201
    record = owner("GET", owner.article).json()
    assert (record["curation_status"], record["is_public"]) == ("pending", False)
    assert ask("GET", owner.public).status == 404
    control = f"{owner.box.api_url.removesuffix('/v2')}/control/articles/{owner.box.article_id}"
    assert ask("POST", control, json.dumps({"curation_status": "rejected"})).status == 200
    assert owner("GET", owner.article).json()["curation_status"] == "rejected"
    owner("POST", f"{owner.article}/publish")
    owner.box.mark(owner.box.article_id, curation_status="approved")
    assert owner("GET", owner.article).json()["curation_status"] == "approved"
    assert ask("GET", owner.public).json()["version"] == 1


def test_an_ordinary_account_cannot_unpublish(owner, published, start):
    article, _, _ = published()
    answer = owner("POST", f"{article}/unpublish", {"reason": "It was wrong"})
    assert (answer.status, answer.json()["message"]) == (403, "Insufficient permissions")
    for reason in ("no", "x" * 501, None):
        assert owner("POST", f"{article}/unpublish", {"reason": reason}).status == 400
    other = start(unpublish=True)
    other.upload(other.article, b"abc")
    other("POST", f"{other.article}/publish")
    assert other("POST", f"{other.article}/unpublish", {"reason": "It was wrong"}).status == 204
    assert other("GET", other.public).status == 404
    assert other("GET", other.article).json()["is_public"] is False


# -------------------------------------------------------------------------------------------------------------------
# Searching
# -------------------------------------------------------------------------------------------------------------------


def titles(answer):
    assert answer.status == 200, answer
    return [article["title"] for article in answer.json()]


def test_articles_are_found_by_words_of_their_title(owner, published, ask):
    published(title="Spikes of a mouse")
    published(title="Spikes of a fly")
    owner.new_article(title="Spikes of a draft")

    def public(body):
        return titles(ask("POST", f"{owner.box.api_url}/articles/search", json.dumps(body)))

    def own(body):
        return titles(owner("POST", "/account/articles/search", body))

    assert public({"search_for": "SPIKES mouse"}) == ["Spikes of a mouse"]
    assert public({"search_for": ':title: "spikes"', "limit": 1}) == ["Spikes of a fly"]
    assert public({"search_for": "spikes", "order_direction": "asc", "page_size": 1, "page": 2}) == ["Spikes of a fly"]
    assert own({"search_for": "spikes"}) == ["Spikes of a draft", "Spikes of a fly", "Spikes of a mouse"]
    assert own({"search_for": "of draft"}) == ["Spikes of a draft"]
    assert own({"search_for": "spikes", "item_type": 9}) == []
    assert own({"search_for": "spikes", "modified_since": "2999-01-01"}) == []
    assert own({"search_for": "spikes", "published_since": "2020-01-01"}) == ["Spikes of a fly", "Spikes of a mouse"]


def test_questions_that_do_not_fit_are_refused(owner, ask):
    for body, status in [
        ({"search_for": 1}, 400),
        ({"page": "1"}, 400),
        ({"page": 1, "limit": 1}, 422),
        ({"order": "size"}, 422),
        ({"order_direction": "up"}, 422),
    ]:
        assert ask("POST", f"{owner.box.api_url}/articles/search", json.dumps(body)).status == status
        assert owner("POST", "/account/articles/search", body).status == status
    assert ask("GET", f"{owner.box.api_url}/articles?item_type=x").status == 422


def test_a_search_can_be_late(start):
    owner = start(search_lag_ms=60_000)
    assert titles(owner("POST", "/account/articles/search", {})) == []
    assert len(titles(owner("GET", "/account/articles"))) == 1


def test_dois_of_institutions_and_of_publishers_find_an_article(start, ask):
    owner = start(doi="10.17028/rd.lboro.{article_id}.v{version}")
    owner.upload(owner.article, b"abc")
    owner("PUT", owner.article, {"resource_doi": "10.1016/the.paper"})
    owner("POST", f"{owner.article}/publish")
    owner("PUT", owner.article, {"title": "Second version"})
    owner("POST", f"{owner.article}/publish")

    def ids(doi):
        return [a["id"] for a in ask("GET", f"{owner.box.api_url}/articles?doi={doi}").json()]

    mine = owner.box.article_id
    assert ask("GET", owner.public).json()["doi"] == f"10.17028/rd.lboro.{mine}.v2"
    for doi in (f"10.17028/rd.lboro.{mine}.v1", f"10.17028/rd.lboro.{mine}.v2", "10.1016/the.paper"):
        assert ids(doi) == [mine]
    assert ids(f"10.17028/rd.lboro.{mine}.v3") == []
    owner.box.mark(mine, doi="10.1371/journal.pone.0039704", resource_doi="10.1/other")
    record = ask("GET", owner.public).json()
    assert (record["doi"], record["resource_doi"]) == ("10.1371/journal.pone.0039704", "10.1/other")
    assert ids("10.1371/journal.pone.0039704") == ids("10.1/other") == [mine]


# -------------------------------------------------------------------------------------------------------------------
# Fields that say more
# -------------------------------------------------------------------------------------------------------------------


def test_grants_materials_and_custom_fields_are_read_in_full(owner):
    article = owner.new_article(
        funding_list=[{"title": "A grant"}, {"id": 77}],
        related_materials=[{"identifier": "10.1/x", "identifier_type": "DOI", "relation": "IsSupplementTo"}],
        references=["https://example.org/paper"],
        custom_fields={"species": "Mus musculus"},
        custom_fields_list=[{"name": "probes", "value": ["a", "b"]}],
        timeline={"firstOnline": "2026-01-01"},
        doi="10.1/ignored",
        license=0,
    )
    record = owner("GET", article).json()
    grants = [(g["id"], g["title"], g["is_user_defined"]) for g in record["funding_list"]]
    assert grants == [(1, "A grant", 1), (77, "", 0)]
    (material,) = record["related_materials"]
    assert (material["link"], material["title"]) == ("https://doi.org/10.1/x", "")
    assert {f["name"]: f["value"] for f in record["custom_fields"]} == {
        "species": "Mus musculus",
        "probes": ["a", "b"],
    }
    assert record["timeline"] == {"firstOnline": "2026-01-01"}
    assert record["license"]["value"] == 1
    assert record["doi"] == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"funding_list": [{"title": 1}]},
        {"funding_list": [{}]},
        {"related_materials": [{"identifier": 1}]},
        {"related_materials": [{"identifier": "x", "relation": "Adores"}]},
        {"custom_fields": []},
        {"custom_fields": {"a": 1}},
        {"custom_fields_list": [{"value": "x"}]},
        {"timeline": {"firstOnline": 5}},
        {"timeline": {"firstOnline": None}},
    ],
)
def test_those_that_do_not_fit_are_refused(owner, fields):
    assert owner("PUT", owner.article, fields).status == 400


def test_an_author_may_have_an_orcid_and_no_email(owner, start):
    ada = {"name": "Ada Lovelace", "orcid_id": "0000-0002-1825-0097"}
    assert owner("PUT", f"{owner.article}/authors", {"authors": [ada]}).status == 205
    assert owner("GET", f"{owner.article}/authors").json()[0]["orcid_id"] == "0000-0002-1825-0097"
    ada["email"] = "ada@example.org"
    assert owner("PUT", f"{owner.article}/authors", {"authors": [ada]}).status == 422
    assert start(author_email=True)("POST", "/account/articles", {"title": "abc", "authors": [ada]}).status == 201


def test_a_new_article_can_answer_without_its_number(start):
    answer = start(entity_id=False)("POST", "/account/articles", {"title": "abc"})
    assert set(answer.json()) == {"location", "warnings"}


def test_categories_are_a_tree_to_choose_from(owner):
    categories = {c["id"]: c for c in owner("GET", "/account/categories").json()}
    assert len(categories) > 60
    for category in categories.values():
        path = [int(step) for step in category["path"].strip("/").split("/")]
        assert path[-1] == category["id"]
        assert category["parent_id"] == (path[-2] if path[1:] else 0)
        above = categories.get(category["parent_id"])
        assert above is None or above["has_children"]
        assert above is None or category["source_id"].startswith(above["source_id"])
        assert category["is_selectable"] != category["has_children"]
    assert len({c["source_id"] for c in categories.values()}) == len(categories)
