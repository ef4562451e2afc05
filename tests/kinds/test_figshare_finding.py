"""Finding the article that somebody pasted: by number, version and DOI, as the public and as its owner."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from boxes import Owner, Recorded

from onelight.client import Client
from onelight.errors import ConfigError, RepositoryNotFound
from onelight.kinds.figshare.api import Api
from onelight.kinds.figshare.finding import Found, find

NAME = "lab~Subjects~cat~2024-05-06~001~alf~a.times.npy"
PAPER = "10.1371/journal.pone.0039704"
Find = Callable[..., Found]


@pytest.fixture
def find_as(box: Recorded, client: Client) -> Find:
    def asked(text: object, token: str = "") -> Found:
        return find(Api(client, box.api_url, token), str(text))

    return asked


@pytest.fixture
def published(box: Recorded, owner: Owner) -> int:
    """An article with two versions: one file of 5 bytes, and another of 7."""
    owner.add(NAME, b"first")
    owner.publish()
    owner.add(NAME.replace("a.times", "b.times"), b"another")
    owner.publish()
    return box.article_id


def another(owner: Owner, **fields: Any) -> int:
    """Publish another article and return its number."""
    filled = {"title": "Another", "description": "x", "categories": [24277], "keywords": ["x"], **fields}
    status, body, _ = owner.ask("POST", "/account/articles", filled)
    assert status == 201
    number = int(json.loads(body)["location"].rpartition("/")[2])
    for path, said in (("files", {"link": "https://example.org/a.txt"}), ("publish", {})):
        assert owner.ask("POST", f"/account/articles/{number}/{path}", said)[0] == 201
    return number


class TestPublic:
    def test_a_number_is_the_newest_version(self, find_as: Find, published: int, owner: Owner) -> None:
        record = json.loads(owner.ask("GET", f"/articles/{published}", token=False)[1])
        found = find_as(published)
        assert found == Found(
            article_id=published,
            version=None,
            shown=2,
            title=record["title"],
            doi=f"10.5072/m9.figshare.{published}.v2",
            license="CC BY 4.0",
            files=2,
            size=12,
        )

    @pytest.mark.parametrize("form", ["{}/1", "{}.v1", "{}/v1", "https://figshare.com/articles/dataset/A_title/{}/1"])
    def test_a_version_is_that_version_whatever_is_newer(self, find_as: Find, published: int, form: str) -> None:
        found = find_as(form.format(published))
        assert (found.version, found.shown, found.files, found.size) == (1, 1, 1, 5)
        assert found.doi.endswith(".v1")

    def test_a_doi_of_figshare_has_the_number_in_it_and_is_not_looked_up(
        self, find_as: Find, published: int, box: Recorded
    ) -> None:
        for text in (f"10.5072/m9.figshare.{published}", f"https://doi.org/10.6084/m9.figshare.{published}"):
            found = find_as(text)
            assert (found.article_id, found.version, found.shown) == (published, None, 2)
        assert find_as(f"doi:10.5072/m9.figshare.{published}.v1").shown == 1
        assert not box.recorder.of(path="doi=")

    def test_a_version_that_there_is_not_is_not_found(self, find_as: Find, published: int) -> None:
        with pytest.raises(RepositoryNotFound):
            find_as(f"{published}/7")

    def test_who_asks_changes_nothing(self, find_as: Find, published: int, box: Recorded) -> None:
        before = len(box.recorder.changes)
        find_as(published)
        find_as(published, box.token)
        assert len(box.recorder.changes) == before

    def test_an_article_whose_files_nobody_gets_says_why(self, find_as: Find, published: int, box: Recorded) -> None:
        box.mark(published, is_embargoed=True, embargo_type="file", embargo_date="2999-01-01")
        found = find_as(published)
        assert (found.files, found.size) == (0, 0)
        assert "under embargo until 2999-01-01" in found.remark
        assert find_as(published, box.token).remark == "", "its owner gets them"


class TestOtherDois:
    def test_that_of_an_institution_ends_in_the_number_and_is_believed_if_the_article_has_it(
        self, find_as: Find, published: int, box: Recorded
    ) -> None:
        box.mark(published, doi="10.17028/rd.lboro.{article_id}.v{version}")
        found = find_as(f"10.17028/rd.lboro.{published}")
        assert (found.article_id, found.version) == (published, None)
        assert find_as(f"https://doi.org/10.17028/RD.LBORO.{published}.v1").version == 1
        assert not box.recorder.of(path="doi=")

    def test_digits_that_are_the_number_of_another_article_are_not_believed(
        self, find_as: Find, published: int, owner: Owner, box: Recorded
    ) -> None:
        other = another(owner)
        doi = f"10.1234/thesis.{other}"
        box.mark(published, resource_doi=doi)
        assert find_as(doi).article_id == published
        assert len(box.recorder.of("GET", path="doi=")) == 1

    def test_that_of_a_paper_is_the_article_that_names_it(self, find_as: Find, published: int, box: Recorded) -> None:
        box.mark(published, resource_doi=PAPER)
        for text in (PAPER, f"https://doi.org/{PAPER}", f"https://journals.plos.org/plosone/article/{PAPER}"):
            assert find_as(text).article_id == published
        asked = box.recorder.of("GET", path="doi=")
        assert {one.path.partition("doi=")[2] for one in asked} == {"10.1371%2Fjournal.pone.0039704"}

    def test_capitals_do_not_count(self, find_as: Find, published: int, box: Recorded) -> None:
        box.mark(published, resource_doi=PAPER)
        assert find_as(PAPER.upper()).article_id == published

    def test_with_a_version_it_is_asked_for_with_and_without(
        self, find_as: Find, published: int, box: Recorded
    ) -> None:
        box.mark(published, resource_doi="10.1234/some.thing")
        assert find_as("10.1234/some.thing.v2").shown == 2
        assert len(box.recorder.of("GET", path="doi=")) == 2

    @pytest.mark.parametrize("doi", ["10.1234/nothing", "10.1234/nothing.123456"])
    def test_one_that_no_article_has_is_not_found_and_says_what_to_give(
        self, find_as: Find, published: int, doi: str
    ) -> None:
        with pytest.raises(RepositoryNotFound, match="no public article with the DOI 10.1234/nothing") as caught:
            find_as(doi)
        assert "number" in caught.value.hint


class TestDrafts:
    def test_it_is_shown_to_its_owner(self, find_as: Find, box: Recorded, owner: Owner) -> None:
        owner.add(NAME, b"first")
        found = find_as(box.article_id, box.token)
        assert (found.article_id, found.version, found.shown) == (box.article_id, None, None)
        assert (found.files, found.size, found.remark) == (1, 5, "")
        assert found.title

    @pytest.mark.parametrize("token", ["", "of somebody else"])
    def test_to_others_there_is_none_and_the_hint_is_about_the_token(
        self, find_as: Find, box: Recorded, token: str
    ) -> None:
        if token:
            token = box.add_account("Ada Lovelace").token
        with pytest.raises(RepositoryNotFound, match=f"shows nobody an article {box.article_id}") as caught:
            find_as(box.article_id, token)
        assert "is this token its owner's?" in caught.value.hint if token else "FIGSHARE_TOKEN" in caught.value.hint

    def test_of_a_published_article_the_owner_sees_the_draft(
        self, find_as: Find, published: int, box: Recorded, owner: Owner
    ) -> None:
        owner.add(NAME.replace("a.times", "c.times"), b"third")
        assert find_as(published, box.token).files == 3
        assert find_as(published).files == 2

    def test_somebody_else_sees_what_is_public_whatever_the_token(
        self, find_as: Find, published: int, box: Recorded
    ) -> None:
        token = box.add_account("Ada Lovelace").token
        assert find_as(published, token) == find_as(published)

    def test_a_token_that_nobody_has_does_not_hide_what_is_public(self, find_as: Find, published: int) -> None:
        found = find_as(published, "wrong")
        assert found._replace(remark="") == find_as(published)
        assert "does not accept the token" in found.remark


def test_an_unknown_number_is_not_found(find_as: Find, box: Recorded) -> None:
    for token in ("", box.token):
        with pytest.raises(RepositoryNotFound, match="shows nobody an article 99999999"):
            find_as(99999999, token)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("https://figshare.com/collections/Some/123456", "a collection"),
        ("https://figshare.com/s/0123456789abcdef", "a private link"),
        ("https://ndownloader.figshare.com/files/123", "a single file"),
        ("nick19", "not an article"),
    ],
)
def test_what_is_no_article_is_refused_and_nobody_is_asked(find_as: Find, box: Recorded, text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        find_as(text)
    assert not box.recorder.seen
