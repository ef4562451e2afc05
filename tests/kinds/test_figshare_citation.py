"""How an article is cited. The BibTeX is read by a small, strict reader, which counts braces as BibTeX does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onelight.errors import OneError
from onelight.kinds.figshare.citation import bibtex, citation

RECORD: dict[str, Any] = {
    "id": 9974357,
    "title": "Recordings from ten mice",
    "authors": [
        {"id": 1, "full_name": "Ada Lovelace", "first_name": "Ada", "last_name": "Lovelace"},
        {"id": 2, "full_name": "Jan van der Berg", "first_name": "Jan", "last_name": "van der Berg"},
    ],
    "defined_type": 3,
    "defined_type_name": "dataset",
    "doi": "10.6084/m9.figshare.9974357.v3",
    "version": 3,
    "published_date": "2019-10-14T09:00:00Z",
    "figshare_url": "https://figshare.com/articles/dataset/T/9974357/3",
}
DRAFT: dict[str, Any] = {
    **RECORD,
    "doi": "",
    "version": 0,
    "published_date": None,
    "created_date": "2026-11-22T00:00:00Z",
}


# A strict reader of BibTeX


def read_bibtex(text: str) -> tuple[str, str, dict[str, str]]:
    """Return type, key and fields of one entry; refuse what BibTeX would stumble over."""
    head = re.match(r"@([a-z]+)\{([A-Za-z0-9_:-]+),\n", text)
    assert head, text
    at, found = head.end(), {}
    while True:
        name = re.compile(r"  ([a-z]+) = ").match(text, at)
        assert name, text[at : at + 60]
        value, at = read_value(text, name.end())
        assert name[1] not in found, "twice"
        found[name[1]] = value
        if text[at : at + 2] != ",\n":
            break
        at += 2
    assert text[at:] == "\n}", text[at:]
    return head[1], head[2], found


def read_value(text: str, at: int) -> tuple[str, int]:
    word = re.compile("[a-z]+").match(text, at)
    if word:
        assert word[0] in ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        return word[0], word.end()
    assert text[at] == "{", text[at:]
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")  # as BibTeX: a backslash before it changes nothing
        if depth == 0:
            return text[at + 1 : end], end + 1
    raise AssertionError("a brace is not closed")


def split_names(text: str) -> list[str]:
    """Return the names of a list: they are parted by "and" outside of braces."""
    names, depth, begin = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if depth == 0 and re.match(r"\sand\s", text[at : at + 5], re.IGNORECASE):
            names.append(text[begin:at])
            begin = at + 5
    return [*names, text[begin:]]


def commas(name: str) -> int:
    depth = count = 0
    for char in name:
        depth += (char == "{") - (char == "}")
        count += char == "," and depth == 0
    return count


COMMANDS = {
    r"{\textbackslash}": "\\",
    r"{\textbraceleft}": "{",
    r"{\textbraceright}": "}",
    r"{\textasciitilde}": "~",
    r"{\textasciicircum}": "^",
    **{f"\\{char}": char for char in "&%$#_"},
}
TEX = re.compile("|".join(re.escape(command) for command in COMMANDS))


def untex(text: str) -> str:
    """Return what TeX prints for a text, and refuse characters that mean something to it."""
    left = TEX.sub("", text)
    assert not re.search(r"[&%$#_~^\\]", left), left
    return TEX.sub(lambda found: COMMANDS[found[0]], text)


def title_of(entry: dict[str, str]) -> str:
    title = entry["title"]
    assert title[0] == "{"
    assert title[-1] == "}"
    return untex(title[1:-1])


# As BibTeX


def test_a_published_article_is_an_entry_with_all_it_has() -> None:
    kind, key, entry = read_bibtex(bibtex(RECORD))
    assert (kind, key) == ("misc", "Lovelace2019_9974357")
    assert entry == {
        "author": "Lovelace, Ada and van der Berg, Jan",
        "title": "{Recordings from ten mice}",
        "year": "2019",
        "month": "oct",
        "publisher": "figshare",
        "type": "Dataset",
        "version": "3",
        "doi": "10.6084/m9.figshare.9974357.v3",
        "url": "https://doi.org/10.6084/m9.figshare.9974357.v3",
    }


def test_a_draft_says_that_it_is_one() -> None:
    _, key, entry = read_bibtex(bibtex(DRAFT))
    assert key == "Lovelace_9974357"
    assert entry["note"] == "Draft, not published"
    assert not {"year", "month", "doi", "url", "version"} & set(entry)
    assert "note" not in read_bibtex(bibtex(RECORD))[2]


def test_a_reserved_doi_is_cited() -> None:
    _, _, entry = read_bibtex(bibtex({**DRAFT, "doi": "10.6084/m9.figshare.9974357"}))
    assert entry["doi"] == "10.6084/m9.figshare.9974357"


def test_specials_of_tex_are_escaped_and_letters_stay() -> None:
    title = "50% of A&B: $x_1^2$ ~ {set} \\alpha #3 naïve 東京 \N{MOUSE FACE}"
    assert title_of(read_bibtex(bibtex({**RECORD, "title": title}))[2]) == title
    assert r"50\% of A\&B: \$x\_1{\textasciicircum}2\$" in bibtex({**RECORD, "title": title})


def test_a_title_is_one_line() -> None:
    assert title_of(read_bibtex(bibtex({**RECORD, "title": "a\n\n b\t\x1b[2Jc"}))[2]) == "a b [2Jc"


@pytest.mark.parametrize(
    ("first", "last", "full", "name"),
    [
        ("Ada", "Lovelace", "Ada Lovelace", "Lovelace, Ada"),
        ("", "", "Ada Lovelace", "Ada Lovelace"),
        ("", "Plato", "", "Plato"),
        ("Ada", "", "", "Ada"),
        ("Sammy", "Davis, Jr.", "", "{Davis, Jr.}, Sammy"),
        ("", "", "Bill and Melinda Gates Foundation", "{Bill and Melinda Gates Foundation}"),
        ("", "", "Barnes and Noble, Inc.", "{Barnes and Noble, Inc.}"),
        ("Laurel And", "Hardy", "", "Hardy, {Laurel And}"),
        ("", "", "others", "{others}"),
        ("", "", "Anders Andersson", "Anders Andersson"),
        ("A_1", "O{Brien}", "", r"O{\textbraceleft}Brien{\textbraceright}, A\_1"),
        ("José", "Núñez", "", "Núñez, José"),
        ("A\n B", "C\x00D", "", "CD, A B"),
    ],
)
def test_names_part_only_where_they_should(first: str, last: str, full: str, name: str) -> None:
    author = {"first_name": first, "last_name": last, "full_name": full}
    _, _, entry = read_bibtex(bibtex({**RECORD, "authors": [author, *RECORD["authors"]]}))
    assert split_names(entry["author"]) == [name, "Lovelace, Ada", "van der Berg, Jan"]


@pytest.mark.parametrize("authors", [None, [], [None], [{}], [{"full_name": None}], [{"full_name": " "}], "x"])
def test_without_authors_there_is_no_such_field(authors: Any) -> None:
    _, key, entry = read_bibtex(bibtex({**RECORD, "authors": authors}))
    assert "author" not in entry
    assert key == "figshare2019_9974357"


@pytest.mark.parametrize(
    ("last", "key"),
    [
        ("Núñez", "Nunez2019_9974357"),
        ("van der Berg", "vanderBerg2019_9974357"),
        ("O'Brien, Jr. {}", "OBrienJr2019_9974357"),
        ("東京", "figshare2019_9974357"),
    ],
)
def test_a_key_has_plain_letters_only(last: str, key: str) -> None:
    author = {"first_name": "A", "last_name": last}
    assert read_bibtex(bibtex({**RECORD, "authors": [author]}))[1] == key


@pytest.mark.parametrize(
    "doi", ["https://doi.org/10.1/a_b", "http://dx.doi.org/10.1/a_b", "doi: 10.1/a_b", " 10.1/a_b"]
)
def test_a_doi_stands_without_its_resolver_and_word_for_word(doi: str) -> None:
    _, _, entry = read_bibtex(bibtex({**RECORD, "doi": doi}))
    assert (entry["doi"], entry["url"]) == ("10.1/a_b", "https://doi.org/10.1/a_b")


def test_braces_in_addresses_are_quoted() -> None:
    record = {**RECORD, "doi": None, "figshare_url": "https://a.org/{x\\ y%20z"}
    assert read_bibtex(bibtex(record))[2]["url"] == "https://a.org/%7Bx%5C%20y%20z"


def test_the_day_of_the_time_line_serves_where_there_is_no_other() -> None:
    record = {**RECORD, "published_date": None, "timeline": {"posted": "2021-06-10T14:45:37"}}
    _, _, entry = read_bibtex(bibtex(record))
    assert (entry["year"], entry["month"]) == ("2021", "jun")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["posted", "full_name", "name"]), inner)
    ),
    max_leaves=5,
)
names = st.text(alphabet="ab ,{}\\&%~^and\n", max_size=12) | st.text(max_size=12)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*RECORD, "timeline", "citation"], anything)))
@example({"published_date": "2019-13-01", "version": True})
def test_a_record_of_any_shape_is_cited(record: dict[str, Any]) -> None:
    try:
        text, sentence = bibtex(record), citation(record)
    except OneError as refusal:
        raise AssertionError from refusal
    read_bibtex(text)
    assert sentence.isprintable() or not sentence.isascii()
    assert "\n" not in sentence


@given(st.lists(st.fixed_dictionaries({"first_name": names, "last_name": names}), min_size=1, max_size=4), st.text())
def test_any_names_and_title_come_back_as_they_are(authors: list[dict[str, str]], title: str) -> None:
    _, _, entry = read_bibtex(bibtex({**RECORD, "authors": authors, "title": title}))
    printable = [any(clean(name) for name in author.values()) for author in authors]
    assert sum(printable) == (len(split_names(entry["author"])) if "author" in entry else 0)
    assert all(commas(name) <= 1 for name in split_names(entry.get("author", "")))
    assert title_of(entry) == (clean(title) or "Untitled")


def clean(text: str) -> str:
    return "".join(char for char in " ".join(text.split()) if not re.match(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", char))


# As a sentence


BEGIN = "Lovelace, Ada; van der Berg, Jan (2019). Recordings from ten mice. figshare. Dataset."


def test_figshares_own_citation_is_taken_in_one_line() -> None:
    own = "Lovelace, Ada (2019): Recordings. figshare.\n \n Dataset."
    assert citation({**RECORD, "citation": own}) == "Lovelace, Ada (2019): Recordings. figshare. Dataset."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {},
            f"{BEGIN} https://doi.org/10.6084/m9.figshare.9974357.v3",
        ),
        (
            {"citation": " ", "authors": [], "title": "Why?", "defined_type_name": "journal contribution"},
            "Why? (2019). figshare. Journal contribution. https://doi.org/10.6084/m9.figshare.9974357.v3",
        ),
        (
            {"doi": None},
            f"{BEGIN} https://figshare.com/articles/dataset/T/9974357/3",
        ),
        (
            {"doi": "", "published_date": None},
            "Lovelace, Ada; van der Berg, Jan (not published). Recordings from ten mice. figshare. Dataset.",
        ),
    ],
)
def test_a_citation_is_made_where_there_is_none(change: dict[str, Any], sentence: str) -> None:
    assert citation({**RECORD, **change}) == sentence
