"""The strict form is what ONE-api reads, but for the differences that are listed here and in docs/alf.md.

``one_api.json`` has the texts that ONE-api 3.6.1 was asked about, by kind, each with the parts that its own parser
printed, or null where it refuses the text.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onelight.alf import Dataset, Session, split_path, strict_problems
from onelight.errors import AlfError

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "alf.md"
FACTS = HERE.parents[2] / "shared" / "facts" / "alf-cases.json"
CASES: dict[str, dict[str, dict[str, str] | None]] = json.loads((HERE / "one_api.json").read_text(encoding="utf-8"))

# Every text that is taken in another way here: the kind, the text, and why, in the words of docs/alf.md.
UNDERSCORE = "An object does not begin with an underscore"
WHOLE = "A text is read from its first character to its last"
EMPTY = "No part is empty"
CLIMBS = "No part climbs"
DAYS = "Real dates only"
LAB = "A session has a lab"
LETTERS = "A lab and a subject have letters, digits and `_ . -` only"
LAST = "The revision is the last folder"
DIFFERENCES = {
    ("filename", "_.times.npy"): UNDERSCORE,
    ("filename", "___.times.npy"): UNDERSCORE,
    ("filename", "__ibl_spikes.times.npy"): UNDERSCORE,
    ("filename", "_a_.b.c"): UNDERSCORE,
    ("filename", "_spikes.times.npy"): UNDERSCORE,
    ("filename", "spikes.times.npy\n"): WHOLE,
    ("rel_path", "../alf/spikes.times.npy"): CLIMBS,
    ("rel_path", "./alf/spikes.times.npy"): CLIMBS,
    ("rel_path", "alf//spikes.times.npy"): EMPTY,
    ("session_path", "/mnt/s0/Data/nicklab/Subjects/Cori/2016-12-14/001"): WHOLE,
    ("session_path", "Cori/2016-12-14/001a"): WHOLE,
    ("session_path", "Cori/2016-12-14/1000"): WHOLE,
    ("session_path", "lab 1/Subjects/Cori/2016-12-14/001"): WHOLE,
    ("session_path", "lab/Subjects/mouse 1/2021-04-12/001"): WHOLE,
    ("session_path", "x/2020-01-01/001/2021-01-01/002"): WHOLE,
    ("session_path", "Cori/2016-12-14/1"): LAB,
    ("session_path", "Subjects/Cori/2016-12-14/001"): LAB,
    ("session_path", "lab/subjects/Cori/2016-12-14/001"): LAB,
    ("session_path", "Cori/2016-13-45/001"): DAYS,
    ("session_path", "lab/Subjects/\u00e9/2020-01-01/001"): LETTERS,
    ("full_path", "Cori/2016-12-14/1/alf/spikes.times.npy"): LAB,
    ("full_path", "Cori/2016-12-14/1/spikes.times.npy"): LAB,
    ("full_path", "spikes.times.npy"): LAB,
    ("full_path", "nicklab/Subjects/Cori/2016-12-14/001/#r#/alf/spikes.times.npy"): LAST,
    ("full_path", "nicklab/Subjects/Cori/2016-12-14/001/alf/my folder/spikes.times.npy"): WHOLE,
}


def strict(kind: str, text: str) -> dict[str, str] | None:
    """Return the parts of a text that is strict here, or None."""
    try:
        if kind == "session_path":
            return parts_of(Session.parse(text))
        if kind == "full_path":
            session, below = split_path(text)
            dataset = Dataset.parse(below)
            return None if strict_problems(dataset) else parts_of(session) | parts_of(dataset)
        dataset = Dataset.parse(text)
    except AlfError:
        return None
    if strict_problems(dataset) or (kind == "filename" and (dataset.collection or dataset.revision)):
        return None
    return parts_of(dataset)


def parts_of(value: Any) -> dict[str, str]:
    return {name: part for name, part in dataclasses.asdict(value).items() if part}


ALL = [(kind, text) for kind, texts in CASES.items() for text in texts]


@pytest.mark.parametrize(("kind", "text"), [case for case in ALL if case not in DIFFERENCES])
def test_the_strict_form_agrees_with_one_api(kind: str, text: str) -> None:
    assert strict(kind, text) == CASES[kind][text]


@pytest.mark.parametrize(("kind", "text"), list(DIFFERENCES))
def test_each_listed_difference_is_one(kind: str, text: str) -> None:
    assert strict(kind, text) != CASES[kind][text]


def test_what_is_taken_in_another_way_is_refused_and_never_understood_otherwise() -> None:
    assert [case for case in DIFFERENCES if strict(*case) is not None] == []


def test_every_listed_difference_is_a_case_of_one_api() -> None:
    assert [case for case in DIFFERENCES if case not in ALL] == []


@pytest.mark.parametrize("reason", sorted(set(DIFFERENCES.values())))
def test_every_reason_stands_in_the_document(reason: str) -> None:
    assert f"| {reason}" in DOCUMENT.read_text(encoding="utf-8")


def test_what_one_api_understands_is_addressable_here_unless_it_would_climb_or_is_no_name() -> None:
    """The lenient form refuses nothing but what could do harm, or what ONE-api reads by accident."""
    refused = []
    for text, wanted in CASES["filename"].items():
        if wanted is None:
            continue
        try:
            assert str(Dataset.parse(text)) == text
        except AlfError:
            refused.append(text)
    assert refused == ["spikes.times.npy\n"]


@pytest.mark.skipif(not FACTS.is_file(), reason="the answers of ONE-api are not beside this checkout")
def test_the_cases_are_those_that_one_api_printed() -> None:
    facts = json.loads(FACTS.read_text(encoding="utf-8"))
    printed = {
        kind: {
            case["input"]: {name: part for name, part in case["parts"].items() if part} if case["valid"] else None
            for case in facts[kind]
        }
        for kind in CASES
    }
    assert printed == CASES
    assert len(printed["filename"]) == 96


@pytest.mark.skipif(not FACTS.is_file(), reason="the pattern of ONE-api is not beside this checkout")
class TestAnyName:
    """The pattern that ONE-api compiles is the judge of names that nobody wrote down."""

    @given(
        st.one_of(
            st.lists(
                st.text("aZ1\u00e9_- ", min_size=1, max_size=5)
                | st.sampled_from(["times", "goCue_times", "x_intervals_bpod", "_phy_ids", "_ibl_spikes", "a_times_"]),
                min_size=2,
                max_size=6,
            ).map(".".join),
            st.text("ab1_.-\u00e9 ", max_size=16),
        )
    )
    @example("_ibl__spikes.times.npy")
    @example("a.b..c.npy")
    def test_it_is_strict_here_where_one_api_reads_it_and_has_the_same_parts(self, name: str) -> None:
        pattern = json.loads(FACTS.read_text(encoding="utf-8"))["regex"]["FILE_SPEC"]
        match = re.match(pattern, name)
        wanted = {part: text for part, text in match.groupdict().items() if text} if match else None
        if re.match(r"_(?![A-Za-z0-9]+_[^\W_])", name) or ".." in name:  # UNDERSCORE, EMPTY
            wanted = None
        assert strict("filename", name) == wanted
