"""The file in which people say what their data are: read, written, compared, and changed in place."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onelight.description import (
    DESCRIPTION_NAME,
    Author,
    Description,
    Difference,
    description_toml,
    differences,
    merged,
    orcid_of,
    read_description,
)
from onelight.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ORCID = "0000-0002-1825-0097"
FULL = Description(
    title="Recordings from ten mice",
    description='Ten mice turned a "wheel".\n\nSpikes are in seconds.\n',
    authors=(Author("Ada Lovelace", ORCID), Author("Alan Turing", id=42)),
    categories=("Neurosciences/Sensory systems", "320903"),
    keywords=("mouse", "Neuropixels"),
    license="CC BY 4.0",
    funding=("Wellcome Trust 205093/Z/16/Z",),
    references=("https://doi.org/10.1038/s41586-019-1787-x", "10.1101/2020.01.01"),
    item_type="dataset",
)


def read(folder: Path, text: str | bytes) -> Description:
    path = folder / DESCRIPTION_NAME
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_description(path)


# Reading


def test_everything_that_people_write_is_read(tmp_path: Path) -> None:
    text = f'''# ours
title = "Recordings from ten mice"
description = """
Ten mice turned a "wheel".

Spikes are in seconds.
"""
keywords = ["mouse", "Neuropixels"]
categories = ["Neurosciences/Sensory systems", "320903"]
license = 'CC BY 4.0'
funding = ["Wellcome Trust 205093/Z/16/Z"]
references = ["https://doi.org/10.1038/s41586-019-1787-x", "10.1101/2020.01.01"]
item_type = "dataset"

[[authors]]
name = "Ada Lovelace"
orcid = "https://orcid.org/{ORCID}"

[[authors]]
name = "Alan Turing"
id = 42
'''
    assert read(tmp_path, text) == FULL
    assert read(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == FULL


def test_names_alone_are_authors(tmp_path: Path) -> None:
    found = read(tmp_path, 'authors = ["Ada Lovelace", {name = "Alan Turing"}]')
    assert found.authors == (Author("Ada Lovelace"), Author("Alan Turing"))


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Description()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('title = "a\nb"', "line 1, column 11"),
        ('title = "abc"\nkeywords = [\n  "a"\n  "b"\n]\n', "line 4, column 3"),
        ("title = abc", "line 1, column 9"),
        ('title = "abc"\ntitle = "abd"\n', "line 2, column 14: a key that stands above already"),
        ('keywords = ["a"', "end of document"),
        (b'title = "abc"\nlicense = "\xff"', "line 2"),
    ],
)
def test_what_is_not_toml_is_told_with_its_place(tmp_path: Path, text: str | bytes, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert f"{DESCRIPTION_NAME}, {place}" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, "title = " + "9" * 5000, "a = 1979-99-99", "\x00", "a" * 2_000_000]
)
def test_what_is_written_to_do_harm_is_refused_in_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert len(str(caught.value)) < 1000


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one.toml cannot be read"):
        read_description(tmp_path / DESCRIPTION_NAME)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_description(tmp_path)


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ('titel = "abc"', "'titel', which means nothing", "Did you mean 'title'?"),
        ('licence = "CC0"', "'licence', which means nothing", "Did you mean 'license'?"),
        ('Author = "x"', "'Author', which means nothing", "Did you mean 'authors'?"),
        ("zzz = 1", "'zzz', which means nothing", "There are title, description"),
        ("title = 3", "'title' must be a text in quotes, and is a number", "Such as title = "),
        ("title = true", "'title' must be a text in quotes, and is true or false", "Such as"),
        ("title = 2020-01-01", "'title' must be a text in quotes, and is a date", "Such as"),
        ('title = "ab"', "'title' must have at least 3", "Such as"),
        ('title = "    "', "'title' must have at least 3", "Such as"),
        (f'title = "{"a" * 1001}"', "'title' has 1,001 characters; 1,000 are allowed", "Such as"),
        (f'description = "{"a" * 20_001}"', "'description' has 20,001 characters; 20,000", "Such as"),
        ('keywords = "mouse"', "'keywords' must be a list in brackets, and is a text", 'Such as keywords = ["Neuro'),
        ('keywords = ["a", ""]', "'keywords, entry 2' is empty", "Such as"),
        ('keywords = ["a", " "]', "'keywords, entry 2' is empty", "Such as"),
        ('keywords = ["a", "b", "a"]', "'keywords, entry 3' has 'a' twice", "Such as"),
        ("keywords = [[]]", "'keywords, entry 1' must be a text in quotes, and is a list", "Such as"),
        ("categories = [320903]", "'categories, entry 1' must be a text in quotes, and is a number", "Such as"),
        ('license = "..."', "'license' is '...', which is not the name of a licence", 'Such as license = "CC BY'),
        ('references = ["see our paper"]', "'references, entry 1' is 'see our paper', which is neither", "Such as"),
        ('references = ["ftp://a.org/b"]', "which is neither a web address nor a DOI", "Such as"),
        ('references = ["https://a b"]', "which is neither a web address nor a DOI", "Such as"),
        ('references = ["javascript:1"]', "which is neither a web address nor a DOI", "Such as"),
        ('authors = "Ada"', "'authors' must be a list", "Such as authors = "),
        ("authors = [1]", "'authors, entry 1' must be a name in quotes, or {name", "Such as"),
        ('authors = ["A", {orcid = ""}]', "'authors, entry 2' has no 'name'", "Such as"),
        ('authors = [{name = ""}]', "'authors, entry 1, name' is empty", "Such as"),
        ('authors = [{name = "A", orchid = "x"}]', "has 'orchid', which means nothing. Did you mean 'orcid'?", "Such"),
        ('authors = [{name = "A", email = "a@b"}]', "has 'email', which means nothing", "Such as"),
        ('authors = [{name = "A", id = "4"}]', "'authors, entry 1, id' must be the number", "Such as"),
        ('authors = [{name = "A", id = true}]', "'authors, entry 1, id' must be the number", "Such as"),
        ('authors = [{name = "A", id = 0}]', "'authors, entry 1, id' must be the number", "Such as"),
        (
            'authors = [{name = "A", orcid = "0000-0002-1825-0098"}]',
            "'authors, entry 1, orcid' is '0000-0002-1825-0098', which has a wrong digit",
            "Such as",
        ),
        ('authors = [{name = "A", orcid = "0000"}]', "is '0000', which is not an ORCID", "Such as"),
    ],
)
def test_what_cannot_be_is_told_with_its_key(tmp_path: Path, text: str, what: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert str(tmp_path / DESCRIPTION_NAME) in caught.value.message
    assert what in caught.value.message
    assert hint in caught.value.hint


def test_a_message_shows_no_control_characters(tmp_path: Path) -> None:
    for text in ('"\\u001b[2J" = 1', 'references = ["\\u001b[2J\\u202e"]', 'license = "\\u001b\\u0007"'):
        with pytest.raises(ConfigError) as caught:
            read(tmp_path, text)
        assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("text", "orcid"),
    [
        (ORCID, ORCID),
        (f" https://orcid.org/{ORCID} ", ORCID),
        (f"http://www.orcid.org/{ORCID}/", ORCID),
        ("0000-0002-1694-233X", "0000-0002-1694-233X"),
        ("0000-0002-1694-233x", "0000-0002-1694-233X"),
        ("0000-0001-5109-3700", "0000-0001-5109-3700"),
        ("0000-0002-1694-2330", ""),
        ("0000-0002-1825-097", ""),
        ("0000000218250097", ""),
        ("1234-5678-9123-1234", ""),
        ("\uff10000-0002-1825-0097", ""),
        (f"https://example.org/{ORCID}", ""),
        ("", ""),
    ],
)
def test_an_orcid_is_one_only_if_its_check_digit_fits(text: str, orcid: str) -> None:
    assert orcid_of(text) == orcid


@given(st.integers(0, 15), st.sampled_from("0123456789"))
def test_any_single_mistyped_digit_of_an_orcid_is_found_out(place: int, digit: str) -> None:
    digits = ORCID.replace("-", "")
    other = digits[:place] + digit + digits[place + 1 :]
    text = "-".join(other[n : n + 4] for n in range(0, 16, 4))
    assert orcid_of(text) == (ORCID if other == digits else "")


# Writing


words = st.text(min_size=1, max_size=40).filter(str.strip)
descriptions = st.builds(
    Description,
    title=st.just("") | st.text(min_size=3, max_size=60).filter(lambda text: len(text.strip()) >= 3),
    description=st.text() | st.text(alphabet='"\\\n\r\t a#\x00\x7f\x85\u2028\ufeff', max_size=30),
    authors=st.lists(
        st.builds(
            Author,
            words,
            orcid=st.sampled_from(["", ORCID]),
            id=st.none() | st.integers(min_value=1, max_value=2**53 - 1),
        ),
        max_size=3,
    ).map(tuple),
    categories=st.lists(words, max_size=3, unique=True).map(tuple),
    keywords=st.lists(words | words.map(lambda text: text * 3), max_size=5, unique=True).map(tuple),
    license=st.just("") | words.filter(lambda text: any(map(str.isalnum, text))),
    funding=st.lists(words, max_size=2).map(tuple),
    references=st.lists(st.sampled_from(FULL.references), max_size=2).map(tuple),
    item_type=words,
)


@given(descriptions, st.booleans())
@example(replace(FULL, description='"""\n""""\n\\"'), True)
@example(replace(FULL, description="\nbegins and ends with lines\n\n"), False)
def test_what_is_written_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, d: Description, commented: bool
) -> None:
    text = description_toml(d, commented=commented)
    assert read(tmp_path_factory.getbasetemp(), text) == d
    assert not set(text) & set("\0\x07\r\x1b\x7f\x85\u2028\u2029\ufeff")


def test_half_a_character_does_not_stop_the_writing(tmp_path: Path) -> None:
    text = description_toml(Description(title="half \ud83d only"), commented=False)
    assert read(tmp_path, text).title == "half \ufffd only"


def test_the_template_explains_each_key_with_an_example_that_may_be_copied(tmp_path: Path) -> None:
    text = description_toml(Description(), commented=True)
    assert read(tmp_path, text) == Description()
    lines = text.split("\n")
    assert max(map(len, lines)) <= 110
    for field in fields(Description):
        at = next(n for n, line in enumerate(lines) if line.startswith(f"{field.name} ="))
        begin = at
        while lines[begin - 1].startswith("#"):
            begin -= 1
        block = [line.removeprefix("#").removeprefix(" ") for line in lines[begin:at]]
        first = next(n for n, line in enumerate(block) if line.startswith("Example: "))
        assert first > 0, field.name  # something is said before the example
        copied = "\n".join([block[first].removeprefix("Example: "), *block[first + 1 :]])
        found = read(tmp_path, copied)
        assert getattr(found, field.name), field.name
        assert found == replace(Description(), **{field.name: getattr(found, field.name)})


def test_several_lines_stay_several_lines() -> None:
    text = description_toml(FULL, commented=False)
    assert 'description = """\nTen mice turned a "wheel".\n\nSpikes are in seconds.\n"""\n' in text


# Comparing


def test_equal_descriptions_do_not_differ() -> None:
    assert differences(FULL, FULL) == []
    shuffled = replace(FULL, keywords=FULL.keywords[::-1], references=FULL.references[::-1])
    assert differences(FULL, shuffled) == []


def test_the_order_of_authors_counts() -> None:
    [found] = differences(FULL, replace(FULL, authors=FULL.authors[::-1]))
    assert found == Difference(
        "authors", f"Ada Lovelace ({ORCID}); Alan Turing", f"Alan Turing; Ada Lovelace ({ORCID})"
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Author("Ada Lovelace", ORCID), Author("A. Lovelace", ORCID, 7), True),
        (Author("Ada Lovelace", id=7), Author("A. Lovelace", ORCID, 7), True),
        (Author("Ada Lovelace", id=7), Author("Ada Lovelace", id=8), False),
        (Author("ada  lovelace"), Author("Ada Lovelace", ORCID, 7), True),
        (Author("Ada Lovelace", ORCID), Author("Ada Lovelace", "", 7), False),
        (Author("Ada Lovelace", ORCID), Author("Ada Lovelace", "0000-0002-1694-233X"), False),
        (Author("Ada Lovelace"), Author("Alan Turing"), False),
    ],
)
def test_an_author_is_known_by_number_orcid_or_name(one: Author, other: Author, same: bool) -> None:
    assert (differences(Description(authors=(one,)), Description(authors=(other,))) == []) is same


def test_each_field_that_differs_is_shown_in_one_line() -> None:
    found = differences(FULL, Description(item_type="software"))
    assert [row.field for row in found] == [field.name for field in fields(Description)]
    assert all(text and text.isprintable() and len(text) <= 400 for row in found for text in row[1:])
    there = {row.field: row.there for row in found}
    assert there["title"] == "(empty)"
    assert there["keywords"] == "(none)"


def test_long_texts_are_shown_where_they_part() -> None:
    same = "word " * 1000
    [found] = differences(Description(description=f"{same}black\x1b"), Description(description=f"{same}white"))
    assert "black" in found.here
    assert "white" in found.there
    assert len(found.here) < 200
    assert found.here.isprintable()


# Changing a file that somebody wrote


WRITTEN = f'''\
# Our data, see the wiki
title = "Recordings"    # ask Ada before changing it

# keep sorted
keywords = [
    "mouse",  # not rats
    "zebra",
]
lab.room = 3
"my note" = """
title = "not this one"
keywords = []
"""
authors = [{{name = "Ada Lovelace", orcid = "{ORCID}"}}]
description = \'\'\'
one "two"
\'\'\'

[wiki]  # of the lab
title = "nor this one"
url = "https://example.org/#x"
'''


def test_values_are_changed_in_place_and_all_else_is_kept() -> None:
    d = Description("New title", 'one "two"\n', (Author("Ada Lovelace", ORCID),), ("Animals",), ("mouse", "zebra"))
    new = merged(WRITTEN, d)
    expected = WRITTEN.replace('"Recordings"', '"New title"').replace("[wiki]", "[wiki]")
    expected = expected.replace("two\"\n'''\n", "two\"\n'''\ncategories = [\"Animals\"]\n")
    assert new == expected


def test_nothing_to_change_changes_nothing() -> None:
    d = Description("Recordings", 'one "two"\n', (Author("Ada Lovelace", ORCID),), (), ("mouse", "zebra"))
    assert merged(WRITTEN, d) == WRITTEN


def test_a_template_filled_in_by_a_pull_keeps_its_comments(tmp_path: Path) -> None:
    new = merged(description_toml(Description(), commented=True), FULL)
    assert new == description_toml(FULL, commented=True)


def test_line_ends_of_windows_stay() -> None:
    new = merged('title = "Recordings"\r\n# x\r\n', replace(Description(), title="New", keywords=("a",)))
    assert new == 'title = "New"\r\nkeywords = ["a"]\r\n# x\r\n'


def test_a_file_without_a_last_line_end_gets_its_keys_on_lines_of_their_own() -> None:
    assert merged("# x", Description(title="New")) == '# x\ntitle = "New"\n'
    assert merged("title = 'Old'", Description(title="Old", license="CC0")) == "title = 'Old'\nlicense = \"CC0\"\n"
    assert merged("[wiki]\na = 1", Description(title="New")) == 'title = "New"\n[wiki]\na = 1'


def test_what_cannot_be_changed_in_place_is_kept_as_comments(tmp_path: Path) -> None:
    old = '# our data\n[[authors]]\nname = "Ada Lovelace"\n'
    d = Description(title="New", authors=(Author("Alan Turing"),))
    new = merged(old, d)
    assert read(tmp_path, new) == d
    assert '# # our data\n# [[authors]]\n# name = "Ada Lovelace"\n' in new


def test_a_file_that_cannot_be_understood_is_not_written_over() -> None:
    with pytest.raises(ConfigError, match="one.toml, line 1, column 9"):
        merged("title = Ada", FULL)


VALUES = [
    "1", "true", "nan", "2020-01-01", '"a # b"', "'[c'", '"""x\n]"y"\n#"""', "'''\nz = 1\n''''", '[\n1, # [\n"]",\n]',
    "{a = 1}", '"""q"""""', '"\\""', "[[1, 2], [3]]", "-1e3", "0x1F",
]  # fmt: skip
rows_of_a_file = st.lists(
    st.sampled_from(["# title = 1", "", "  ", "\t# x"])
    | st.tuples(st.sampled_from(["{} = {}", "{}={} # c", "  {} = {}", "a.{} = {}"]), st.sampled_from(VALUES)),
    max_size=8,
)


@given(
    rows_of_a_file, descriptions, st.sampled_from(["", "[t]\nx = 1\n", "\n[t.u]\ntitle = 'x'\n[[v]]\n"]), st.booleans()
)
def test_any_file_with_new_values_reads_back_with_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str | tuple[str, str]], d: Description, table: str, full: bool
) -> None:
    made = [row if isinstance(row, str) else row[0].format(f"own{n}", row[1]) for n, row in enumerate(rows)]
    old = "\n".join([*made, description_toml(FULL, commented=True) if full else "", table])
    new = merged(old, d)
    before, after = tomllib.loads(old), tomllib.loads(new)
    known = {field.name for field in fields(Description)}
    assert repr({key: after.pop(key) for key in list(after) if key not in known}) == repr(
        {key: value for key, value in before.items() if key not in known}
    )
    said = {**tomllib.loads(description_toml(Description(), commented=False)), **after}
    assert said == tomllib.loads(description_toml(d, commented=False))
    for line in made:
        if "#" in line:
            assert line in new
    assert merged(new, d) == new
