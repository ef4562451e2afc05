"""Articles that do not show everything: what is said of them, and that their owner reads them all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from boxes import Owner, Recorded
from contract import CLUSTERS, ELSEWHERE, TIMES, some
from test_figshare import fetched, flat, open_box, share

from onelight.client import Client
from onelight.errors import AccessDenied, OneError, RepositoryError
from onelight.index import INDEX_NAME
from onelight.kinds.figshare.states import why_no_files
from onelight.transfer import Ledger, Status, download, plan_download

FAR = "2999-12-31"


@pytest.fixture
def files(box: Recorded, owner: Owner, client: Client, tmp_path: Path) -> dict[str, bytes]:
    """What a published article holds."""
    there = {TIMES: some(), ELSEWHERE: some(), CLUSTERS: b""}
    share(open_box(box, client), tmp_path, there)
    owner.publish()
    return there


def denied(box: Recorded, client: Client) -> OneError:
    with pytest.raises(AccessDenied) as caught:
        open_box(box, client, token="").refresh()
    assert str(box.article_id) in caught.value.message
    assert "token" in caught.value.hint, "its owner reads it with a token, and is told so"
    return caught.value


# Embargo


@pytest.mark.parametrize("kind", ["article", "file"])
def test_files_under_embargo_are_told_with_date_and_reason(
    box: Recorded, client: Client, files: dict[str, bytes], tmp_path: Path, kind: str
) -> None:
    box.mark(box.article_id, is_embargoed=True, embargo_type=kind, embargo_date=FAR, embargo_reason="A <b>paper</b>")
    error = denied(box, client)
    assert f"under embargo until {FAR}" in error.message
    assert "paper" in error.message
    assert "then" in error.hint
    assert fetched(open_box(box, client), client, tmp_path / "owner") == files


def test_an_embargo_without_date_and_reason_is_told_without_them(
    box: Recorded, client: Client, files: dict[str, bytes], tmp_path: Path
) -> None:
    box.mark(box.article_id, is_embargoed=True, embargo_type="file")
    error = denied(box, client)
    assert error.message.endswith("are under embargo")
    assert "later" in error.hint
    assert fetched(open_box(box, client), client, tmp_path / "owner") == files


def test_the_title_of_an_embargo_stands_for_its_reason(box: Recorded, client: Client, files: dict[str, bytes]) -> None:
    box.mark(box.article_id, is_embargoed=True, embargo_type="file", embargo_title="Until\n the   paper is out")
    assert files
    assert denied(box, client).message.endswith("under embargo: Until the paper is out")


def test_an_embargo_that_has_ended_keeps_nothing_back(
    box: Recorded, client: Client, files: dict[str, bytes], tmp_path: Path
) -> None:
    box.mark(box.article_id, is_embargoed=True, embargo_type="file", embargo_date="2001-01-01")
    assert fetched(open_box(box, client, token=""), client, tmp_path / "to") == files


def test_an_embargo_that_shows_the_list_of_files_is_no_error_until_one_is_wanted(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    """Some embargoes let everybody see what there is."""
    owner.add(flat(TIMES), some())
    owner.publish()
    box.mark(box.article_id, is_embargoed=True, embargo_type="file", embargo_date=FAR, files_hidden=False)
    assert [entry.path for entry in open_box(box, client, token="").refresh()] == [TIMES]


def test_the_owner_reads_under_embargo_what_the_public_does_not_and_uploads_more(
    box: Recorded, client: Client, files: dict[str, bytes], tmp_path: Path
) -> None:
    box.mark(box.article_id, is_embargoed=True, embargo_type="article", embargo_date=FAR)
    more = {**files, TIMES: some()}
    assert share(open_box(box, client), tmp_path, {TIMES: more[TIMES]}) is True
    assert fetched(open_box(box, client), client, tmp_path / "to") == more
    assert open_box(box, client).missing_for_publication() == []
    denied(box, client)


def test_what_the_public_sees_of_an_article_under_embargo_is_an_answer_for_its_owner(
    box: Recorded, client: Client, files: dict[str, bytes]
) -> None:
    """``onelight status`` asks for it: an embargo is no reason why the owner could not compare."""
    box.mark(box.article_id, is_embargoed=True, embargo_type="file", embargo_date=FAR)
    assert files
    assert list(open_box(box, client).published() or []) == []


def test_a_version_that_is_pinned_is_under_embargo_as_well(
    make_box: Callable[..., Recorded], client: Client, tmp_path: Path
) -> None:
    from onelight.kinds.figshare import FigshareRepository

    box = make_box()
    share(open_box(box, client), tmp_path, {TIMES: some()})
    Owner(box).publish()
    box.mark(box.article_id, is_embargoed=True, embargo_type="file", embargo_date=FAR)
    for token in ("", box.token):
        pinned = FigshareRepository("figs", box.article_id, client, token=token, api_url=box.api_url, version=1)
        with pytest.raises(AccessDenied, match=f"until {FAR}"):
            pinned.refresh()


# Confidential


@pytest.mark.parametrize(("reason", "end"), [("Names of patients", ": Names of patients"), ("", "are confidential")])
def test_confidential_files_are_told_with_their_reason(
    box: Recorded, client: Client, files: dict[str, bytes], tmp_path: Path, reason: str, end: str
) -> None:
    box.mark(box.article_id, is_confidential=True, confidential_reason=reason)
    error = denied(box, client)
    assert "confidential" in error.message
    assert error.message.endswith(end)
    assert "authors" in error.hint
    assert fetched(open_box(box, client), client, tmp_path / "owner") == files


def test_a_very_long_reason_is_one_line_and_has_an_end(box: Recorded, client: Client, files: dict[str, bytes]) -> None:
    box.mark(box.article_id, is_confidential=True, confidential_reason="because\n\n" * 2000)
    assert files
    message = denied(box, client).message
    assert len(message) < 500
    assert "\n" not in message


# Metadata only


def test_an_article_that_describes_data_and_has_none_is_no_empty_repository(
    box: Recorded, owner: Owner, client: Client
) -> None:
    owner.ask("PATCH", owner.article, {"is_metadata_record": True, "metadata_reason": "The data are at OpenNeuro"})
    owner.publish()
    with pytest.raises(RepositoryError, match="has no files: The data are at OpenNeuro") as caught:
        open_box(box, client, token="").refresh()
    assert not isinstance(caught.value, AccessDenied)
    assert "page" in caught.value.hint
    assert list(open_box(box, client).refresh()) == [], "its owner may still want to put some there"


# What is published and has no files without a reason


def test_a_published_article_without_files_is_empty(make_box: Callable[..., Recorded], client: Client) -> None:
    box = make_box(publish_requires=("title",))
    Owner(box).publish()
    assert list(open_box(box, client, token="").refresh()) == []


def test_a_record_without_the_key_files_is_read_from_the_list(
    box: Recorded, owner: Owner, client: Client, files: dict[str, bytes], tmp_path: Path
) -> None:
    """The key may be missing ("ArticleComplete"); nobody here reads it, for it is cut at ten anyway."""
    box.mark(box.article_id, files_hidden=True)
    record = json.loads(owner.ask("GET", f"/articles/{box.article_id}", token=False)[1])
    assert "files" not in record
    assert list(open_box(box, client, token="").refresh()) == [], "no reason is given, so none is made up"
    assert open_box(box, client, token="").record()["title"] == record["title"]
    assert open_box(box, client, token="").cite().text
    assert fetched(open_box(box, client), client, tmp_path / "owner") == files


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"is_embargoed": None, "is_confidential": 0, "is_metadata_record": ""},
        {"is_embargoed": False, "embargo_date": FAR, "embargo_reason": "none now"},
    ],
)
def test_no_reason_is_made_up(record: dict[str, object]) -> None:
    assert why_no_files(record, "article 7") is None


@pytest.mark.parametrize("odd", [{"embargo_date": 5, "embargo_reason": ["a"]}, {"embargo_date": None}, {}])
def test_odd_values_of_an_embargo_break_nothing(odd: dict[str, object]) -> None:
    error = why_no_files({"is_embargoed": True, **odd}, "article 7")
    assert isinstance(error, AccessDenied)
    assert "article 7" in error.message
    assert "None" not in error.message


# Downloads switched off


def test_an_article_with_downloads_off_can_be_searched_and_says_so(
    box: Recorded, client: Client, files: dict[str, bytes], tmp_path: Path
) -> None:
    box.mark(box.article_id, download_disabled=True)
    owners = open_box(box, client)
    assert fetched(owners, client, tmp_path / "owner") == files
    assert not any("downloads" in remark for remark in owners.refresh().remarks)


def test_the_index_of_an_article_with_downloads_off_is_still_one(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    """figshare gives the list of its files, but not ``.one_root``; the names say what there is."""
    owner.add(flat(TIMES), some())
    owner.add(flat(ELSEWHERE), some())
    owner.publish()
    box.mark(box.article_id, download_disabled=True)
    reader = open_box(box, client, token="")
    index = reader.refresh()
    assert {entry.path for entry in index} == {TIMES, ELSEWHERE}
    assert any("switched downloads off" in remark for remark in index.remarks)
    folder = tmp_path / "to"
    outcomes = download(plan_download(index, folder, Ledger(folder)), reader, client, folder, Ledger(folder))
    assert {outcome.status for outcome in outcomes} == {Status.FAILED}
    assert {type(outcome.error) for outcome in outcomes} == {AccessDenied}
    assert not [path for path in folder.rglob("*.npy") if path.is_file()]


def test_an_index_that_figshare_does_not_give_does_not_hide_what_there_is(
    box: Recorded, client: Client, files: dict[str, bytes]
) -> None:
    """With downloads off ``.one_root`` cannot be fetched; the list of files is there all the same."""
    box.mark(box.article_id, download_disabled=True)
    index = open_box(box, client, token="").refresh()
    assert {entry.path for entry in index} >= {path for path, content in files.items() if content}
    assert any("switched downloads off" in remark for remark in index.remarks)


# Links


def test_files_that_are_links_are_listed_without_size_and_md5_and_that_is_said(
    box: Recorded, owner: Owner, client: Client
) -> None:
    link = f"https://example.org/data/{flat(TIMES)}"
    owner.ask("POST", f"{owner.article}/files", {"link": link})
    owner.ask("POST", f"{owner.article}/files", {"link": f"https://example.org/{flat(ELSEWHERE)}"})
    owner.publish()
    for token in ("", box.token):
        repository = open_box(box, client, token=token)
        index = repository.refresh()
        assert {entry.path for entry in index} == {TIMES, ELSEWHERE}
        entry = index[TIMES]
        assert (entry.url, entry.size, entry.md5) == (link, None, None)
        [route] = repository.source(entry)
        assert route.url == link
        assert route.credential is None or route.credential.origin.startswith("http://127.0.0.1"), "not to others"
    remarks = open_box(box, client, token="").refresh().remarks
    assert any("2 files" in remark and "links to other places" in remark for remark in remarks)


def test_a_link_named_in_the_index_is_a_link_there_as_well(box: Recorded, owner: Owner, client: Client) -> None:
    link = f"https://example.org/data/{flat(TIMES)}"
    owner.ask("POST", f"{owner.article}/files", {"link": link})
    owner.add(INDEX_NAME, f"{TIMES}\t{link}\n".encode())
    owner.publish()
    for token in ("", box.token):
        [entry] = open_box(box, client, token=token).refresh()
        assert (entry.path, entry.url, entry.size, entry.md5) == (TIMES, link, None, None)


def test_a_link_is_replaced_by_the_file_that_is_uploaded(
    box: Recorded, owner: Owner, client: Client, tmp_path: Path
) -> None:
    owner.ask("POST", f"{owner.article}/files", {"link": f"https://example.org/{flat(TIMES)}"})
    files = {TIMES: some()}
    assert share(open_box(box, client), tmp_path, files) is True
    assert owner.names() == sorted([INDEX_NAME, flat(TIMES)])
    assert fetched(open_box(box, client), client, tmp_path / "to") == files
