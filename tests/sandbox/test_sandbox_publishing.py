"""Publication, versions, and what the public sees."""

from __future__ import annotations

import time

import pytest


def publish(owner, article):
    answer = owner("POST", f"{article}/publish")
    assert answer.status == 201, answer
    public = article.replace("/account/articles/", "/articles/")
    assert answer.json() == {"location": public}
    assert answer.headers["Location"] == public
    return public


def versions(ask, public):
    return [v["version"] for v in ask("GET", f"{public}/versions").json()]


@pytest.mark.parametrize(
    ("name", "empty"),
    [("description", {"description": " "}), ("authors", {"authors": []}), ("categories", {"categories": []}),
     ("keywords", {"keywords": []})],
)  # fmt: skip
def test_publication_needs_each_of_these(owner, name, empty):
    article = owner.new_article()
    owner.upload(article, b"abc")
    assert owner("PUT", article, empty).status == 205
    answer = owner("POST", f"{article}/publish")
    assert answer.status == 400
    assert answer.json()["message"] == f"Missing mandatory field for publication - {name}"


def test_publication_needs_a_file_that_is_available(owner, start):
    article = owner.new_article()
    owner.begin(article, b"abc")
    owner.upload(article, b"abc", md5="0" * 32)
    assert "files" in owner("POST", f"{article}/publish").json()["message"]
    owner.upload(article, b"abc", "good.npy")
    public = publish(owner, article)
    assert [f["name"] for f in owner("GET", f"{public}/files").json()] == ["good.npy"]
    other = start(publish_requires=("title",))
    assert other("POST", f"{other.article}/publish").status == 201


def test_the_public_sees_what_was_published(owner, ask):
    article = owner.new_article()
    file = owner.upload(article, b"abc", folder_path="lab")
    assert ask("GET", article.replace("/account", "")).status == 404
    assert file["is_attached_to_public_version"] is False
    public = publish(owner, article)
    record = ask("GET", public).json()
    assert (record["status"], record["is_public"], record["version"]) == ("public", True, 1)
    assert record["doi"].endswith(f".{record['id']}.v1")
    assert record["folder_structure"] == {str(file["id"]): "lab"}
    assert ask("GET", f"{public}/versions/1").json() == record
    assert ask("GET", f"{public}/files").json() == ask("GET", f"{public}/versions/1/files").json() == record["files"]
    assert ask("GET", f"{public}/files/{file['id']}").json() == record["files"][0]
    own = owner("GET", article).json()
    assert (own["is_public"], own["version"], own["doi"]) == (True, 1, record["doi"])
    assert owner("GET", f"{article}/files").json()[0]["is_attached_to_public_version"] is True
    for missing in (f"{public}/versions/2", f"{public}/versions/0/files", f"{public}/files/1"):
        assert ask("GET", missing).status == 404
    answer = ask("GET", f"{public}/versions/2")
    assert answer.json() == {"message": "Entity not found: ArticleVersion", "code": "EntityNotFound"}


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({}, 1),
        ({"description": "Other"}, 1),
        ({"keywords": ["other"]}, 1),
        ({"title": "Other"}, 2),
        ({"license": 2}, 2),
        ({"authors": [{"name": "Ada"}]}, 2),
    ],
)
def test_only_some_changes_make_a_version(owner, ask, fields, number):
    article = owner.new_article()
    owner.upload(article, b"abc")
    public = publish(owner, article)
    before = ask("GET", public).json()
    owner("PUT", article, fields)
    assert ask("GET", public).json() == before
    publish(owner, article)
    assert versions(ask, public) == list(range(1, number + 1))
    record = ask("GET", public).json()
    assert record["version"] == number
    for name in fields.keys() & {"description", "keywords", "title"}:
        assert record[name] == fields[name]


def test_old_versions_keep_their_files(owner, ask):
    article = owner.new_article()
    old = owner.upload(article, b"old", "a.npy")
    public = publish(owner, article)
    new = owner.upload(article, b"new", "a.npy")
    assert owner("DELETE", f"{article}/files/{old['id']}").status == 204
    assert [f["id"] for f in owner("GET", f"{article}/files").json()] == [new["id"]]
    assert [f["id"] for f in ask("GET", f"{public}/files").json()] == [old["id"]]
    publish(owner, article)
    assert versions(ask, public) == [1, 2]
    assert [f["id"] for f in ask("GET", f"{public}/files").json()] == [new["id"]]
    assert [f["id"] for f in ask("GET", f"{public}/versions/1/files").json()] == [old["id"]]
    for record, content in ((old, b"old"), (new, b"new")):
        assert ask("GET", ask("GET", record["download_url"]).headers["Location"]).body == content


def test_publication_frees_private_quota(start):
    owner = start(quota=10)
    owner.upload(owner.article, b"0123456789")
    assert owner("POST", f"{owner.article}/files", {"name": "b", "size": 1}).status == 403
    publish(owner, owner.article)
    account = owner("GET", "/account").json()
    assert (account["used_quota_private"], account["used_quota_public"]) == (0, 10)
    owner.upload(owner.article, b"0123456789")


def test_a_new_version_can_be_late(start, ask):
    owner = start(publish_lag_ms=500)
    record = owner.upload(owner.article, b"abc")
    public = publish(owner, owner.article)
    assert ask("GET", public).status == 404
    assert ask("GET", record["download_url"]).status == 403
    assert owner("GET", owner.article).json()["is_public"] is False
    time.sleep(0.6)
    assert ask("GET", public).status == 200
    assert ask("GET", record["download_url"]).status == 302
    owner("PUT", owner.article, {"title": "Another"})
    publish(owner, owner.article)
    assert ask("GET", public).json()["version"] == 1
    time.sleep(0.6)
    assert ask("GET", public).json()["version"] == 2


def test_what_is_published_cannot_be_deleted(owner, start):
    article = owner.new_article()
    owner.upload(article, b"abc")
    publish(owner, article)
    answer = owner("DELETE", article)
    assert answer.status == 403
    assert answer.json() == {"message": "Insufficient permissions", "code": "Forbidden"}
    other = start(delete_published=True)
    other.upload(other.article, b"abc")
    public = publish(other, other.article)
    assert other("DELETE", other.article).status == 204
    assert other("GET", public).status == 404


def test_a_reserved_doi_is_the_first_versions(owner, ask):
    article = owner.new_article()
    doi = owner("POST", f"{article}/reserve_doi").json()["doi"]
    assert owner("GET", article).json()["doi"] == doi
    owner.upload(article, b"abc")
    public = publish(owner, article)
    assert ask("GET", public).json()["doi"] == doi


def test_articles_are_listed_and_found_by_doi(start, ask):
    owner = start()
    articles = [owner.article, owner.new_article(), owner.new_article()]
    for article in articles[:2]:
        owner.upload(article, b"abc")
    first, second = (publish(owner, article) for article in articles[:2])
    owner("PUT", articles[0], {"title": "Second version"})
    publish(owner, articles[0])
    listed = ask("GET", f"{owner.box.api_url}/articles").json()
    assert {a["url"] for a in listed} == {first, second}
    for doi in (a["doi"] for a in (ask("GET", f"{first}/versions/{n}").json() for n in (1, 2))):
        assert [a["url"] for a in ask("GET", f"{owner.box.api_url}/articles?doi={doi}").json()] == [first]
    assert ask("GET", f"{owner.box.api_url}/articles?doi=10.5072/nothing").json() == []
