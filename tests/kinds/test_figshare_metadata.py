"""Descriptions as figshare has them: its records read, its fields written, its lists searched, its HTML."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onelight.description import Author, Description, description_toml, differences, read_description
from onelight.errors import ConfigError
from onelight.kinds.figshare.metadata import (
    HOW_TO_DOWNLOAD,
    ITEM_TYPES,
    canonical,
    description_of,
    fields_of,
    has_how_to_download,
    how_to_download,
    html_of,
    missing_for_publication,
    numbered_title,
    pick_categories,
    pick_license,
    plain,
    text_of,
    with_how_to_download,
    without_how_to_download,
)
from onelight.sandbox.fields import EXPECTED, ITEMS, TYPES

ORCID = "0000-0002-1825-0097"


def category(number: int, title: str, parent: int, source: str, selectable: bool = True) -> dict[str, Any]:
    return {
        "id": number,
        "title": title,
        "parent_id": parent,
        "source_id": source,
        "path": f"/{parent}/{number}",
        "taxonomy_id": 100,
        "is_selectable": selectable,
        "has_children": not selectable,
    }


CATEGORIES = [
    category(24364, "Biomedical and Clinical Sciences", 0, "32", selectable=False),
    category(24466, "Neurosciences", 24364, "3209", selectable=False),
    category(24470, "Central nervous system", 24466, "320903"),
    category(24475, "Sensory systems", 24466, "320907"),
    category(24480, "Other", 24466, "320999"),
    category(24184, "Biological Sciences", 0, "31", selectable=False),
    category(24290, "Other", 24184, "310999"),
    category(24291, "Animal physiology - cell", 24184, "310901"),
    category(24292, "Input/output of cells", 24184, "310902"),
    category(24293, "Empty group", 24184, "310903", selectable=False),
    category(24294, "Neurosciences", 24184, "310904"),
]

LICENSES = [
    {"value": 1, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"},
    {"value": 2, "name": "CC0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"},
    {"value": 3, "name": "MIT", "url": "https://opensource.org/licenses/MIT"},
    {"value": 6, "name": "GPL 3.0+", "url": "https://www.gnu.org/licenses/gpl-3.0.html"},
    {"value": 5, "name": "GPL 2.0+", "url": "https://www.gnu.org/licenses/gpl-2.0.html"},
    {"value": 7, "name": "Apache 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0.html"},
    {"value": 43, "name": "CC BY-NC 4.0", "url": "https://creativecommons.org/licenses/by-nc/4.0/"},
    {"value": 44, "name": "CC BY-SA 3.0", "url": "https://creativecommons.org/licenses/by-sa/3.0/"},
    {"value": 45, "name": "CC BY-SA 4.0", "url": "https://creativecommons.org/licenses/by-sa/4.0/"},
    {"value": 99, "name": "In Copyright", "url": ""},
]

RECORD: dict[str, Any] = {
    "id": 9974357,
    "title": "Recordings from ten mice",
    "description": "<p>Ten mice &amp; a wheel.<br>Two days.</p><p>Spikes are in seconds.</p>",
    "authors": [
        {"id": 97657, "full_name": "Ada Lovelace", "first_name": "Ada", "last_name": "Lovelace", "orcid_id": ORCID},
        {"id": 97658, "full_name": "Alan Turing", "first_name": "Alan", "last_name": "Turing", "orcid_id": ""},
    ],
    "categories": [{"id": 24475, "title": "Sensory systems", "parent_id": 24466, "source_id": "320907"}],
    "tags": ["mouse", "wheel"],
    "keywords": ["mouse", "wheel"],
    "license": {"value": 1, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"},
    "funding": "Wellcome Trust 205093/Z/16/Z",
    "funding_list": [{"id": 5, "title": "Wellcome Trust 205093/Z/16/Z", "grant_code": "", "is_user_defined": 1}],
    "references": ["https://doi.org/10.1038/s41586-019-1787-x"],
    "defined_type": 3,
    "defined_type_name": "dataset",
}
DESCRIPTION = Description(
    title="Recordings from ten mice",
    description="Ten mice & a wheel.\nTwo days.\n\nSpikes are in seconds.",
    authors=(Author("Ada Lovelace", ORCID, 97657), Author("Alan Turing", "", 97658)),
    categories=("Sensory systems",),
    keywords=("mouse", "wheel"),
    license="CC BY 4.0",
    funding=("Wellcome Trust 205093/Z/16/Z",),
    references=("https://doi.org/10.1038/s41586-019-1787-x",),
    item_type="dataset",
)


# Reading


def test_a_record_says_what_the_article_is() -> None:
    assert description_of(RECORD) == DESCRIPTION


def test_a_record_read_and_written_is_the_same_article() -> None:
    body = fields_of(description_of(RECORD), CATEGORIES, LICENSES)
    assert body["description"] == RECORD["description"]
    assert body["categories"] == [24475]
    assert body["authors"] == [{"id": 97657}, {"id": 97658}]


@pytest.mark.parametrize("value", [None, "", [], {}, 0, 3.5, True, "x", ["x", None, 3], [{}], [None], {"name": None}])
def test_a_record_of_any_shape_is_read(value: Any) -> None:
    for key in RECORD:
        for record in ({**RECORD, key: value}, {key: value}, {k: v for k, v in RECORD.items() if k != key}):
            found = description_of(record, CATEGORIES)
            for field in dataclasses.fields(found):
                kind = tuple if isinstance(field.default, tuple) else str
                assert isinstance(getattr(found, field.name), kind)
            assert isinstance(missing_for_publication(record), list)
    assert description_of({}) == Description()


def test_names_are_put_together_where_there_is_no_full_one() -> None:
    rows = [{"first_name": "Ada", "last_name": "Lovelace"}, {"name": "Alan Turing"}, {"id": 3}, {"last_name": "Hopper"}]
    assert [author.name for author in description_of({"authors": rows}).authors] == [
        "Ada Lovelace",
        "Alan Turing",
        "Hopper",
    ]


def test_what_no_file_could_hold_is_not_read() -> None:
    record = {
        "title": "half \ud83d",
        "keywords": ["a", "b", "a", " "],
        "authors": [{"id": 1, "full_name": "Ada", "orcid_id": "1234-5678-9123-1234"}],
    }
    found = description_of(record)
    assert found == Description(title="half ?", keywords=("a", "b"), authors=(Author("Ada", "", 1),))


def test_the_older_text_of_grants_is_read_where_there_is_no_list() -> None:
    assert description_of({"funding": "ERC 12", "funding_list": []}).funding == ("ERC 12",)
    assert description_of({"funding": None, "funding_list": None}).funding == ()


@pytest.mark.parametrize(
    ("number", "name", "kind"),
    [(3, "dataset", "dataset"), (9, None, "software"), (0, "", ""), (4, "fileset", "dataset"),
     (11, "online_resource", "online resource"), (18, "report", "report"), ("software", None, "software")],
)  # fmt: skip
def test_the_type_is_read_as_a_word(number: Any, name: Any, kind: str) -> None:
    assert description_of({"defined_type": number, "defined_type_name": name}).item_type == kind


def test_a_category_whose_title_others_have_is_named_with_the_field_above() -> None:
    record = {"categories": [CATEGORIES[4], CATEGORIES[6], CATEGORIES[3]]}
    found = description_of(record, CATEGORIES)
    assert found.categories == ("Neurosciences/Other", "Biological Sciences/Other", "Sensory systems")
    assert pick_categories(found.categories, CATEGORIES) == [24480, 24290, 24475]


def test_formatting_is_not_lost_by_a_pull() -> None:
    for html in ("<p>See <a href='https://a.org'>here</a></p>", "<ul><li>a</li></ul>", "<p>a<b>b</b></p>"):
        pulled = description_of({"description": html})
        assert pulled.description == html
        assert html_of(pulled.description) == html
    pulled = description_of({"description": "10 &lt; 20 <i>mice</i>"})
    assert html_of(pulled.description) == "<div>10 &lt; 20 <i>mice</i></div>"
    pulled = description_of({"description": "<p>&lt;p&gt; is a tag</p>"})  # as plain text it would be one
    assert html_of(pulled.description) == "<p>&lt;p&gt; is a tag</p>"


def test_what_is_pulled_can_be_read_from_the_file(tmp_path: Any) -> None:
    path = tmp_path / "one.toml"
    path.write_text(description_toml(description_of(RECORD), commented=True), encoding="utf-8")
    assert read_description(path) == DESCRIPTION


# What is missing


def test_what_publication_needs_is_said_in_words() -> None:
    assert missing_for_publication(RECORD) == []
    assert missing_for_publication({}) == [
        "a title", "a description", "an author", "a category", "a keyword", "an item type",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"title": " "}, ["a title"]),
        ({"description": "<p>&nbsp;</p><br>"}, ["a description"]),
        ({"authors": None}, ["an author"]),
        ({"categories": []}, ["a category"]),
        ({"tags": [], "keywords": [" "]}, ["a keyword"]),
        ({"tags": None}, []),
        ({"keywords": None}, []),
        ({"defined_type": 0, "defined_type_name": ""}, ["an item type"]),
        ({"license": None}, []),  # figshare has a default
    ],
)
def test_each_that_is_missing_is_said(change: dict[str, Any], missing: list[str]) -> None:
    assert missing_for_publication({**RECORD, **change}) == missing


# Writing


def test_the_body_has_all_that_is_said_and_nothing_else() -> None:
    d = Description(
        title="Two mice",
        description="A < B.\n\nC.",
        authors=(Author("Ada Lovelace", ORCID), Author("Alan Turing"), Author("Grace Hopper", ORCID, 9)),
        categories=("sensory systems", "320903"),
        keywords=("mouse",),
        license="cc-by-4.0",
        funding=("ERC 12", "Wellcome 34"),
        references=("https://a.org", "10.1101/2020", "doi: 10.1101/2021"),
        item_type="Online_Resource",
    )
    assert fields_of(d, CATEGORIES, LICENSES) == {
        "title": "Two mice",
        "description": "<p>A &lt; B.</p><p>C.</p>",
        "authors": [{"name": "Ada Lovelace", "orcid_id": ORCID}, {"name": "Alan Turing"}, {"id": 9}],
        "categories": [24475, 24470],
        "keywords": ["mouse"],
        "license": 1,
        "funding_list": [{"title": "ERC 12"}, {"title": "Wellcome 34"}],
        "references": ["https://a.org", "https://doi.org/10.1101/2020", "https://doi.org/10.1101/2021"],
        "defined_type": "online resource",
    }


def test_what_is_empty_is_left_out_unless_it_is_asked_for() -> None:
    assert fields_of(Description(), CATEGORIES, LICENSES) == {}
    names = [field.name for field in dataclasses.fields(Description)]
    assert fields_of(Description(), [], [], only=names) == {
        "description": "",
        "authors": [],
        "categories": [],
        "keywords": [],
        "funding_list": [],
        "references": [],
    }


def test_only_what_is_asked_for_is_looked_up() -> None:
    d = Description(title="Two mice", categories=("Alchemy",), license="none", item_type="spell")
    assert fields_of(d, CATEGORIES, LICENSES, only=["title"]) == {"title": "Two mice"}
    for name in ("categories", "license", "item_type"):
        with pytest.raises(ConfigError):
            fields_of(d, CATEGORIES, LICENSES, only=[name])
    with pytest.raises(ConfigError, match="no field 'titel'"):
        fields_of(d, CATEGORIES, LICENSES, only=["titel"])


def test_a_type_that_there_is_not_is_refused_with_the_near_one() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'software'"):
        fields_of(Description(item_type="softwear"), [], [])
    with pytest.raises(ConfigError, match="There are figure, media"):
        fields_of(Description(item_type="qqq"), [], [])
    assert fields_of(Description(item_type="code"), [], []) == {"defined_type": "software"}
    assert {name: number for number, name in ITEM_TYPES.items()} == TYPES


def test_a_description_that_grows_too_long_as_html_is_refused() -> None:
    with pytest.raises(ConfigError, match="as HTML; figshare takes 20,000"):
        fields_of(Description(description="&" * 5000), [], [])


def test_two_spellings_of_one_description_do_not_differ() -> None:
    here = Description(
        title="Recordings from ten mice",
        description="<p>Ten mice &amp; a wheel.<br/>Two days.</p>\n<p>Spikes  are in seconds.</p>",
        authors=DESCRIPTION.authors,
        categories=("320907",),
        keywords=("wheel", "mouse"),
        license="CC-BY-4.0",
        funding=DESCRIPTION.funding,
        references=("10.1038/s41586-019-1787-x",),
        item_type="Dataset",
    )
    there = description_of(RECORD, CATEGORIES)
    assert differences(here, there) != []
    assert differences(canonical(here, CATEGORIES, LICENSES), canonical(there, CATEGORIES, LICENSES)) == []


# Categories


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["Sensory systems"], [24475]),
        (["  sensory   SYSTEMS "], [24475]),
        (["24475"], [24475]),
        (["320907"], [24475]),
        (["Neurosciences/Sensory systems"], [24475]),
        (["neurosciences / sensory systems"], [24475]),
        (["Biomedical and Clinical Sciences/Neurosciences/Sensory systems"], [24475]),
        (["Biological Sciences/Other"], [24290]),
        (["Input/output of cells"], [24292]),
        (["Biological Sciences/Input/output of cells"], [24292]),
        (["Neurosciences"], [24294]),  # two are called so, and one of them only groups others
        (["320907", "Sensory systems", "320903"], [24475, 24470]),
        ([], []),
    ],
)
def test_a_category_is_found_by_title_path_or_number(names: Sequence[str], numbers: list[int]) -> None:
    assert pick_categories(names, CATEGORIES) == numbers


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("Sensory sistems", "figshare has no category 'Sensory sistems'", "Did you mean 'Sensory systems'? "),
        ("nervous", "no category 'nervous'", "Did you mean 'Central nervous system'? "),
        ("Alchemy", "no category 'Alchemy'", "lists those that there are"),
        ("Chemistry/Other", "no category 'Chemistry/Other'", "Did you mean 'Other'"),
        ("", "no category ''", "lists those"),
        ("999999", "no category '999999'", "lists those"),
        (
            "Other",
            "there are 2 categories 'Other'",
            "'Neurosciences/Other' (24480) or 'Biological Sciences/Other' (24290)",
        ),
        ("32", "'32' groups categories", "Choose one below it: 'Neurosciences'"),
        ("24466", "'24466' groups categories", "'Central nervous system', 'Sensory systems', 'Other'"),
        ("Empty group", "'Empty group' groups categories", "lists those that there are"),
    ],
)
def test_what_is_no_category_is_told_with_the_way_out(name: str, what: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pick_categories(["Sensory systems", name], CATEGORIES)
    assert what in caught.value.message
    assert hint in caught.value.hint


def test_a_list_with_holes_and_circles_is_searched() -> None:
    broken = [{}, {"id": None}, {"id": 1, "title": None, "parent_id": 2}, {"id": 2, "title": "B", "parent_id": 1}]
    assert pick_categories(["B"], broken) == [2]
    assert pick_categories(["B"], [{"id": 5, "title": "B", "parent_id": None, "source_id": None}]) == [5]


# Licences


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("CC BY 4.0", 1),
        ("cc-by-4.0", 1),
        ("CC-BY 4.0", 1),
        ("CC BY", 1),
        ("Creative Commons Attribution 4.0 International", 1),
        ("https://creativecommons.org/licenses/by/4.0/", 1),
        ("http://creativecommons.org/licenses/by/4.0/legalcode", 1),
        ("1", 1),
        ("CC0", 2),
        ("CC0-1.0", 2),
        ("cc 0", 2),
        ("MIT", 3),
        ("mit", 3),
        ("GPL-3.0-or-later", 6),
        ("GPL 3.0+", 6),
        ("GPL-2.0-or-later", 5),
        ("Apache-2.0", 7),
        ("CC-BY-NC-4.0", 43),
        ("CC BY-SA 4.0", 45),
        ("in copyright", 99),
        (" 43 ", 43),
    ],
)
def test_a_licence_is_found_by_its_names(name: str, number: int) -> None:
    assert pick_license(name, LICENSES) == number


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("CC BY 3.0", "no licence 'CC BY 3.0'", "Did you mean 'CC BY 4.0'"),  # another version is another licence
        ("CC0-2.0", "no licence 'CC0-2.0'", "lists those"),
        ("GPL-3.0-only", "no licence 'GPL-3.0-only'", "'GPL 3.0+'"),
        ("CC BI 4.0", "no licence 'CC BI 4.0'", "'CC BY 4.0'"),
        ("WTFPL", "no licence 'WTFPL'", "lists those"),
        ("CC BY-SA", "there are 2 licences 'CC BY-SA'", "Write 44 (CC BY-SA 3.0) or 45 (CC BY-SA 4.0)"),
        ("4", "no licence '4'", "lists those"),
        ("", "no licence ''", "lists those"),
        ("...", "no licence '...'", "lists those"),
    ],
)
def test_what_is_no_licence_is_told_with_the_way_out(name: str, what: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pick_license(name, LICENSES)
    assert what in caught.value.message
    assert hint in caught.value.hint


# HTML


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("", ""),
        ("\n\n", ""),
        ("One.", "<p>One.</p>"),
        ("One.\nTwo.\n\n\n\nThree.\n", "<p>One.<br>Two.</p><p>Three.</p>"),
        ("a\r\nb\r\n\r\nc", "<p>a<br>b</p><p>c</p>"),
        ("a < b & c > d \"e\" 'f'", "<p>a &lt; b &amp; c &gt; d \"e\" 'f'</p>"),
        ("<5 Hz", "<p>&lt;5 Hz</p>"),
        ("<spikes> are", "<p>&lt;spikes&gt; are</p>"),
        ("see <b>this</b>", "<p>see &lt;b&gt;this&lt;/b&gt;</p>"),
        ("<p>One & two</p>", "<p>One & two</p>"),
        (" \n<DIV class='x'>One</DIV>", " \n<DIV class='x'>One</DIV>"),
        ("<br/>x", "<br/>x"),
    ],
)
def test_text_becomes_paragraphs_and_html_stays(text: str, html: str) -> None:
    assert html_of(text) == html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<div>a</div>\n<div>b<br/>c</div>", "a\n\nb\nc"),
        ("a<br><br>b", "a\n\nb"),
        ("a\nb   c&nbsp; d", "a b c d"),
        ("&lt;p&gt; &amp; &#233; &eacute; &#x1F42D;", "<p> & é é \U0001f42d"),
        ("&bogus; &#xD800; &", "&bogus; \ufffd &"),
        ("<ul><li>one</li><li>two<ul><li>three</li></ul></li></ul>end", "- one\n- two\n- three\n\nend"),
        ("<ol><li>one<li>two</ol>", "1. one\n2. two"),
        ("<ol><li><p>one</p></li><li><p>two</p></li></ol>", "1. one\n2. two"),
        ("<li>stray", "- stray"),
        ('<a href="https://a.org">here</a>', "here (https://a.org)"),
        ('<a href="https://a.org"><b>https://a.org</b></a>', "https://a.org"),
        ('<a href="https://a.org"></a>', "https://a.org"),
        ("<a>x</a></a>", "x"),
        ("a<script>alert(1)</script>b<style>p {}</style>c<!-- d -->", "abc"),
        ("<pre>a\n  b</pre>c", "a\nb\n\nc"),
        ("<h3>Head</h3>text", "Head\n\ntext"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\nb"),
        ("a < b and <", "a < b and <"),
        ("a <!-- <p> -- > --> b <!-- c", None),
        ("<ul>\n  <li>\n  <p>a</p>\n <p>b</p></li>\n</ul>\n<p>c</p>", "- a\nb\n\nc"),
        ("x <![foo[ y", None),
        ("<![CDATA[x]]>y", None),
        ("<" * 3000, None),
        ("</p></ul></pre></script>x", "x"),
    ],
)
def test_html_becomes_text(html: str, text: str | None) -> None:
    found = text_of(html)
    if text is not None:
        assert found == text


@given(st.text() | st.text(alphabet="ab<>&;#\n \r\tp/é\u2028\x00-1.", max_size=40))
@example("&amp;lt; &#10; <p")
@example("a <b>bold</b> \\ <![x[ <!-- -- > <?x?>")
def test_plain_text_comes_back_from_html(text: str) -> None:
    html = html_of(f"x{text}")
    assert text_of(html) == plain(f"x{text}")
    assert html_of(text_of(html)) == html
    assert description_of({"description": html}).description == plain(f"x{text}")


@given(st.text(alphabet="<>/!-[]\"'= abpulire&;\n?", max_size=200) | st.text())
def test_any_html_is_read(html: str) -> None:
    text = text_of(html)
    assert text_of(html_of(f"x {text}")) == plain(f"x {text}")
    written = description_of({"description": html}).description
    assert text_of(html_of(written)) == plain(text)


@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "<a ",
        "<p>",
        "</",
        "<!--",
        "<![",
        "&",
        "<a href='",
        "<ul><li>",
        "<a href=x>",
        "<a href='>",
        "<a href=\"'>",
        "<!--->",
        "<!>",
        "<?",
        "<script>",
        "&#",
        "\n",
    ],
)
def test_no_html_keeps_it_busy(unit: str) -> None:
    begin = time.process_time()
    text_of(unit * (20_000 // len(unit)))
    text_of(unit * (200_000 // len(unit)))
    text_of(unit * 300_000)
    assert time.process_time() - begin < 3


# How to download

FIRST_CLIENT = (
    "<br><br><h3>ONE interface</h3><br><br><p>The data is available via the ONE interface.<br>"
    "<a href='https://github.com/int-brain-lab/ibllib'>Installation instructions here.</a><br></p><br><br>"
    "<blockquote><br>from oneibl.onelight import ONE<br></blockquote><br><br>"
)


def test_the_block_is_added_once_and_the_rest_stays_byte_for_byte() -> None:
    html = "<p>Ten mice\r\n &amp; a  wheel.</p>  "
    how = how_to_download("mice", "10.6084/m9.figshare.9974357")
    once = with_how_to_download(html, how)
    assert once == html + how
    assert has_how_to_download(once)
    assert not has_how_to_download(html)
    assert with_how_to_download(once, how_to_download("other", "1")) == once
    assert without_how_to_download(once) == html
    assert without_how_to_download(html) == html
    assert with_how_to_download("", how) == how


def test_the_block_of_the_first_client_counts() -> None:
    html = f"<p>Ten mice.</p>{FIRST_CLIENT}"
    assert has_how_to_download(html)
    assert with_how_to_download(html, how_to_download("mice", "1")) == html
    assert without_how_to_download(html) == "<p>Ten mice.</p>"
    assert has_how_to_download("<p>The data is available via the <b>ONE</b>&nbsp;interface.</p>")


def test_the_block_is_known_when_its_html_was_written_anew() -> None:
    how = how_to_download("mice", "1").replace("<b>", "<strong style='x'>").replace("</b>", "</strong>")
    for html in (
        how,
        how.replace(" ", "&nbsp;"),
        how.replace("data with", "data\n  with"),
        how.replace("<p>", "<p dir='ltr'>"),
    ):
        assert has_how_to_download(f"<p>Ten mice.</p>{html}")


def test_a_block_whose_ends_are_not_found_stays() -> None:
    for html in (HOW_TO_DOWNLOAD, f"<p>a</p>{HOW_TO_DOWNLOAD}<p>b</p>", f"{HOW_TO_DOWNLOAD}<p>b</p>", "ONE interface"):
        assert without_how_to_download(html) == html


def test_the_block_says_the_commands_and_is_safe() -> None:
    how = how_to_download("my <b>mice</b>; rm -rf", "10.6084/m9.figshare.1&x")
    text = text_of(how)
    assert "onelight add-repo 'my <b>mice</b>; rm -rf' --figshare '10.6084/m9.figshare.1&x'" in text
    lines = text_of(how_to_download("mice", "9974357")).split("\n")
    assert "onelight add-repo mice --figshare 9974357" in lines
    assert "onelight search" in lines
    program = "\n".join(lines[lines.index("import onelight as one") :])
    compile(program, "how", "exec")
    assert {tag for tag in ("<p>", "<br>", "<b>") if tag in how} == {"<p>", "<br>", "<b>"}
    assert how.count("<") == how.count("<br>") + 4


def test_a_description_that_would_become_too_long_is_refused() -> None:
    how = how_to_download("mice", "1")
    fits = "x" * (20_000 - len(how))
    assert len(with_how_to_download(fits, how)) == 20_000
    with pytest.raises(ConfigError, match="20,001 characters as HTML.*shorter by 1"):
        with_how_to_download(fits + "x", how)


def test_the_block_is_no_part_of_what_the_article_says() -> None:
    record = {**RECORD, "description": RECORD["description"] + how_to_download("mice", "1")}
    assert description_of(record) == DESCRIPTION


# Titles of parts


def test_parts_are_numbered_from_the_second() -> None:
    assert numbered_title("Ten mice", 1) == "Ten mice"
    assert numbered_title("Ten mice", 12) == "Ten mice (part 12)"


@given(st.text(min_size=3, max_size=40), st.integers(1, 10_000))
def test_a_title_of_a_part_is_never_too_long(title: str, part: int) -> None:
    found = numbered_title(title, part)
    assert found == (f"{title} (part {part})" if part > 1 else title)
    long = numbered_title(title * 500, part)
    assert len(long) <= 1000
    assert part == 1 or long.endswith(f" (part {part})")
    assert numbered_title(title * 500, 7) != numbered_title(title * 500, 8)


@pytest.mark.parametrize("part", [0, -1])
def test_there_is_no_part_nought(part: int) -> None:
    with pytest.raises(ConfigError, match="no part"):
        numbered_title("Ten mice", part)


def test_every_field_has_the_type_that_figshare_asks_for() -> None:
    body = fields_of(DESCRIPTION, CATEGORIES, LICENSES)
    for name, value in body.items():
        if name != "funding_list":
            assert isinstance(value, EXPECTED[name])
            assert all(isinstance(item, ITEMS[name]) for item in (value if name in ITEMS else ()))
