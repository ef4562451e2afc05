"""What people paste: which article it means, and what is said of what is none."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onelight.errors import ConfigError
from onelight.kinds.figshare.address import Address, read_address

ID = 9974357

NUMBERS = {
    "9974357": Address(ID),
    " 9974357\n": Address(ID),
    "9974357.v2": Address(ID, 2),
    "9974357.V2": Address(ID, 2),
    "9974357/2": Address(ID, 2),
    "9974357/v2": Address(ID, 2),
    "9974357/": Address(ID),
    "1": Address(1),
    "9007199254740992": Address(2**53),
}

PAGES = {
    "https://figshare.com/articles/dataset/Some_title/9974357": Address(ID),
    "https://figshare.com/articles/dataset/Some_title/9974357/3": Address(ID, 3),
    "https://figshare.com/articles/dataset/Some_title/9974357/3/": Address(ID, 3),
    "http://figshare.com/articles/journal_contribution/T/9974357/12": Address(ID, 12),
    "https://www.figshare.com/articles/software/T/9974357": Address(ID),
    "figshare.com/articles/dataset/T/9974357/3": Address(ID, 3),
    "www.figshare.com/articles/dataset/T/9974357": Address(ID),
    "//figshare.com/articles/dataset/T/9974357": Address(ID),
    "/articles/dataset/T/9974357": Address(ID),
    "HTTPS://FIGSHARE.COM/ARTICLES/DATASET/T/9974357/3": Address(ID, 3),
    "<https://figshare.com/articles/dataset/T/9974357>": Address(ID),
    '"https://figshare.com/articles/dataset/T/9974357".': Address(ID),
    "https://figshare.com/articles/Some_title/9974357": Address(ID),
    "https://figshare.com/articles/Some_title/9974357/3": Address(ID, 3),
    "https://figshare.com/articles/_/9974357": Address(ID),
    "https://figshare.com/articles/9974357": Address(ID),
    "https://figshare.com/articles/9974357/3": Address(ID, 3),
    "https://figshare.com/articles/dataset/T/9974357?file=17978357": Address(ID),
    "https://figshare.com/articles/dataset/T/9974357/3?file=17978357": Address(ID, 3),
    "https://figshare.com/articles/dataset/T/9974357#comments": Address(ID),
    "https://figshare.com/articles/dataset/T/9974357/3#/x/5?y=/6": Address(ID, 3),
    # a title may be a number, and may be called as a word of addresses is
    "https://figshare.com/articles/dataset/2019/9974357": Address(ID),
    "https://figshare.com/articles/dataset/2019/9974357/3": Address(ID, 3),
    "https://figshare.com/articles/2019/9974357": Address(ID),
    "https://figshare.com/articles/dataset/articles/9974357": Address(ID),
    "https://figshare.com/articles/dataset/projects/9974357": Address(ID),
    "https://figshare.com/articles/dataset/s/9974357": Address(ID),
    "https://figshare.com/articles/dataset/files/9974357": Address(ID),
    "https://figshare.com/articles/dataset/Caf%C3%A9_data/9974357/3": Address(ID, 3),
    "https://figshare.com/articles/dataset/10.6084/9974357": Address(ID),
    "https://plus.figshare.com/articles/dataset/T/9974357": Address(ID),
    "https://plos.figshare.com/articles/dataset/T/9974357/1": Address(ID, 1),
    "https://repository.lboro.ac.uk/articles/dataset/T/9974357/1": Address(ID, 1),
    "repository.lboro.ac.uk/articles/dataset/T/9974357": Address(ID),
    "https://figshare.com/ndownloader/articles/9974357/versions/3": Address(ID, 3),
    "https://reader:secret@figshare.com/articles/dataset/T/9974357": Address(ID),
}

ACCOUNTS = {
    "https://figshare.com/account/articles/9974357": Address(ID, private=True),
    "https://figshare.com/account/articles/9974357/": Address(ID, private=True),
    "https://figshare.com/account/items/9974357/edit": Address(ID, private=True),
    "https://figshare.com/account/projects/123/articles/9974357": Address(ID, private=True),
    "https://api.figshare.com/v2/account/articles/9974357": Address(ID, private=True),
    "https://api.figshare.com/v2/account/articles/9974357/files": Address(ID, private=True),
    "https://api.figshare.com/v2/account/articles/9974357/files/55": Address(ID, private=True),
    "https://api.figshare.com/v2/articles/9974357": Address(ID),
    "https://api.figshare.com/v2/articles/9974357/versions": Address(ID),
    "https://api.figshare.com/v2/articles/9974357/versions/3": Address(ID, 3),
    "https://api.figshare.com/v2/articles/9974357/versions/3/files": Address(ID, 3),
    "https://api.figshare.com/v2/articles/9974357/files/55": Address(ID),
    "https://api.figshare.com/v2/articles/9974357/download?folder_path=a/7": Address(ID),
    "https://api.figshare.com/v3/items/9974357": Address(ID),
    "http://127.0.0.1:8765/v2/articles/77": Address(77),
    "http://127.0.0.1:8765/articles/dataset/_/77/1": Address(77, 1),
    "http://127.0.0.1:8765/account/articles/77": Address(77, private=True),
    "localhost:8765/v2/articles/77": Address(77),
}

DOI = "10.6084/m9.figshare.9974357"
DOIS = {
    DOI: Address(ID, doi=DOI),
    f"{DOI}.v3": Address(ID, 3, f"{DOI}.v3"),
    f"{DOI}.": Address(ID, doi=DOI),
    f"doi:{DOI}": Address(ID, doi=DOI),
    f"DOI: {DOI}.v3": Address(ID, 3, f"{DOI}.v3"),
    f"info:doi/{DOI}": Address(ID, doi=DOI),
    f"https://doi.org/{DOI}": Address(ID, doi=DOI),
    f"https://doi.org/{DOI}.v3?x=1": Address(ID, 3, f"{DOI}.v3"),
    f"http://dx.doi.org/{DOI}": Address(ID, doi=DOI),
    f"doi.org/{DOI}": Address(ID, doi=DOI),
    "https://doi.org/10.6084%2Fm9.figshare.9974357": Address(ID, doi=DOI),
    f"HTTPS://DOI.ORG/{DOI.upper()}.V3": Address(ID, 3, f"{DOI.upper()}.V3"),
    f"https://portal.example.org/doi/{DOI}": Address(ID, doi=DOI),
    "10.25452/figshare.plus.9974357.v1": Address(ID, 1, "10.25452/figshare.plus.9974357.v1"),
    "10.6084/m9.figshare.plus.9974357": Address(ID, doi="10.6084/m9.figshare.plus.9974357"),
    "10.5072/m9.figshare.77.v1": Address(77, 1, "10.5072/m9.figshare.77.v1"),
    # of institutions: the number is right only if the article has this DOI
    "10.17028/rd.lboro.9974357.v1": Address(ID, 1, "10.17028/rd.lboro.9974357.v1", is_guess=True),
    "10.17028/rd.lboro.9974357": Address(ID, doi="10.17028/rd.lboro.9974357", is_guess=True),
    "10.4121/9974357.v1": Address(ID, 1, "10.4121/9974357.v1", is_guess=True),
    "https://doi.org/10.4121/9974357": Address(ID, doi="10.4121/9974357", is_guess=True),
    # of publishers: only figshare knows which article has it
    "10.1371/journal.pone.0039704": Address(None, doi="10.1371/journal.pone.0039704"),
    "10.1371/journal.pone.0039704.s001": Address(None, doi="10.1371/journal.pone.0039704.s001"),
    "10.1038/s41586-019-1787-x": Address(None, doi="10.1038/s41586-019-1787-x"),
    "10.4121/12345": Address(None, doi="10.4121/12345"),
    "10.4121/uuid:1bcd.v2": Address(None, 2, "10.4121/uuid:1bcd.v2"),
    "10.4121/99999999999999999": Address(None, doi="10.4121/99999999999999999"),
}


@pytest.mark.parametrize(("text", "meant"), [*NUMBERS.items(), *PAGES.items(), *ACCOUNTS.items(), *DOIS.items()])
def test_what_people_paste_is_understood(text: str, meant: Address) -> None:
    assert read_address(text) == meant


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("", "no article was given", "Give a number"),
        ("  ", "no article was given", "Give a number"),
        ("<>", "no article was given", "Give a number"),
        ("nick19", "is not an article of figshare", "Give a number"),
        ("-5", "is not an article", "Give a number"),
        ("1.5", "is not an article", "Give a number"),
        ("9974357 v3", "is not an article", "Give a number"),
        ("https://figshare.com", "is not an article of figshare", "Give a number"),
        ("https://figshare.com/browse", "is not an article of figshare", "Give a number"),
        ("https://example.org/data/9974357", "is not an article of figshare", "Give a number"),
        ("https://zenodo.org/records/9974357", "is not an article of figshare", "Give a number"),
        ("https://www.nature.com/articles/s41586-019-1787-x", "without the number of an article", "Open the article"),
        ("https://figshare.com/articles/dataset/Some_title", "without the number of an article", "Open the article"),
        ("https://figshare.com/articles", "without the number of an article", "Open the article"),
        ("https://figshare.com/collections/Some_title/123456/2", "is a collection", "choose one of its articles"),
        ("https://figshare.com/collections/articles/123456", "is a collection", "choose one of its articles"),
        ("https://api.figshare.com/v2/collections/123456", "is a collection", "choose one of its articles"),
        ("10.6084/m9.figshare.c.123456", "is a collection", "choose one of its articles"),
        ("https://doi.org/10.6084/m9.figshare.c.123456.v2", "is a collection", "choose one of its articles"),
        ("10.17028/rd.lboro.c.123456", "is a collection", "choose one of its articles"),
        ("https://figshare.com/projects/Some_title/123456", "is a project", "choose one of its articles"),
        ("https://figshare.com/projects/articles/123456", "is a project", "choose one of its articles"),
        ("https://figshare.com/s/0123456789abcdef0123", "private link", "Ask its owner"),
        ("figshare.com/s/0123456789abcdef0123?file=1", "private link", "Ask its owner"),
        ("https://ndownloader.figshare.com/files/17978357", "is a single file", "open the page"),
        ("https://figshare.com/ndownloader/files/17978357", "is a single file", "open the page"),
        ("https://ndownloader.figstatic.com/files/17978357/preview", "is a single file", "open the page"),
        ("https://api.figshare.com/v2/file/download/17978357", "is a single file", "open the page"),
        ("https://ndownloader.figshare.com/files/5?private_link=0123456789abcdef0123", "is a single file", "open"),
        ("https://figshare.com/authors/Ada_Lovelace/123456", "is the page of an author", "Give a number"),
        ("ftp://figshare.com/articles/dataset/T/9974357", "is not a web address", "Give a number"),
        ("javascript://figshare.com/articles/9974357", "is not a web address", "Give a number"),
        ("9974357/0", "asks for version 0", "Versions count from 1"),
        ("9974357.v00", "asks for version 00", "Versions count from 1"),
        (f"{DOI}.v0", "asks for version 0", "Versions count from 1"),
        ("https://figshare.com/articles/dataset/T/9974357/0", "asks for version 0", "Versions count from 1"),
        ("https://api.figshare.com/v2/articles/9974357/versions/0", "asks for version 0", "Versions count from 1"),
        (f"9974357.v{'9' * 5000}"[:1500], "asks for version 999999999…", "Versions count from 1"),
        ("0", "has no number that an article can have", "Give a number"),
        ("0123", "has no number that an article can have", "Give a number"),
        ("9007199254740993", "has no number that an article can have", "Give a number"),
        ("9" * 1900, "has no number that an article can have", "Give a number"),
        ("9" * 9000, "is too long", "Give a number"),
        (f"10.6084/m9.figshare.{'9' * 30}", "has no number that an article can have", "Give a number"),
        ("\uff11\uff12\uff13\uff14\uff15", "is not an article", "Give a number"),
        ("\u0661\u0662\u0663", "is not an article", "Give a number"),
        ("https://figshare.com/articles/dataset/T/\u0661\u0662\u0663", "without the number", "Open the article"),
        ("https://doi.org/", "is not a DOI", "A DOI looks like"),
        ("https://doi.org/x/9974357", "is not a DOI", "A DOI looks like"),
        ("doi:9974357", "is not a DOI", "A DOI looks like"),
        ("10.6084/a b", "is not a DOI", "A DOI looks like"),
        ("10.6084/m9%0afigshare.1", "is not a DOI", "A DOI looks like"),
    ],
)
def test_what_is_no_article_is_named_and_the_way_out_is_said(text: str, what: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_address(text)
    assert what in caught.value.message
    assert hint in caught.value.hint
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "text",
    [
        "https://figshare.com/s/canary90ab90ab90ab9",
        "https://ndownloader.figshare.com/files/5?token=canary90ab",
        "https://ndownloader.figshare.com/files/5?private_link=canary90ab",
        "https://me:canary90ab@figshare.com/browse",
        "https://api.figshare.com/v2/account?access_token=canary90ab#x",
    ],
)
def test_secrets_in_an_address_are_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_address(text)
    assert "canary" not in str(caught.value)


def test_what_is_refused_is_shown_so_that_it_cannot_move_the_cursor() -> None:
    with pytest.raises(ConfigError) as caught:
        read_address("\x1b[2Jrubbish\u202e")
    assert str(caught.value).isprintable()


PIECES = st.lists(
    st.sampled_from(
        ["https://", "figshare.com", "/", "articles", "account", "doi:", "10.6084", "m9.figshare.", ".v", "c.", "s",
         "files", "versions", "123456", "0", "?", "#", "@", "%2F", "%", "items", "v3", "projects", "\u0661", " "]
    ),
    max_size=30,
).map("".join)  # fmt: skip


@given(st.text() | PIECES)
@example("http://[::1/articles/1")
@example("%00/articles/1")
@example("10.1/")
@example("10.6084/.v1")
@example("\ud800/articles/1")
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = read_address(text)
    except ConfigError as refusal:
        said = (refusal.hint, str(refusal))
    else:
        assert found.article_id is not None or found.doi
        assert found.article_id is None or 0 < found.article_id <= 2**53
        assert found.version is None or found.version > 0
        assert not found.is_guess or found.doi
        assert found.article_id is None or str(found.article_id) in re.findall("[0-9]+", text)
        return
    assert said[0]
    assert len(said[1]) < 1000


@pytest.mark.parametrize(
    "unit", ["1", "/", "1/", "a.", ".v", "figshare.", "c.", "10.6084/", "articles/1/", "%2f", "@", "://"]
)
def test_no_text_keeps_it_busy(unit: str) -> None:
    begin = time.process_time()
    for text in (unit * (1990 // len(unit)), "10.6084/" + unit * (1980 // len(unit)), unit * 1_000_000):
        try:
            read_address(text)
        except ConfigError:
            continue
    assert time.process_time() - begin < 2
