"""Bunch is a dictionary with attributes, and stays a dictionary whatever its names are."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelight.loading import Bunch

SHADOWING = {"items": 1, "keys": 2, "values": 3, "copy": 4, "get": 5, "update": 6, "pop": 7}


def test_attributes_are_items() -> None:
    b = Bunch(times=[1.0])
    assert b.times is b["times"]
    b.clusters = [0]
    assert b["clusters"] == [0]
    del b.times
    assert dict(b) == {"clusters": [0]}


def test_it_is_a_dictionary() -> None:
    b = Bunch({"times": 1, "_phy_annotation": 2}, depths=3)
    assert isinstance(b, dict)
    assert b == {"times": 1, "_phy_annotation": 2, "depths": 3}
    assert list(b) == ["times", "_phy_annotation", "depths"]
    assert b._phy_annotation == 2


def test_a_missing_attribute_names_those_that_exist() -> None:
    with pytest.raises(AttributeError, match="no 'time' here; there is: clusters, times"):
        _ = Bunch(times=1, clusters=2).time
    with pytest.raises(AttributeError, match="there is: nothing"):
        _ = Bunch().times
    with pytest.raises(AttributeError, match="no 'times' here"):
        del Bunch().times
    assert not hasattr(Bunch(), "times")


@pytest.mark.parametrize("name", SHADOWING)
def test_a_stored_name_wins_over_a_method(name: str) -> None:
    assert getattr(Bunch(SHADOWING), name) == SHADOWING[name]


def test_methods_are_there_while_no_value_has_their_name() -> None:
    b: Any = Bunch(times=1)
    assert list(b.items()) == [("times", 1)]
    b.items = 5
    assert b.items == 5
    del b.items
    assert list(b.items()) == [("times", 1)]


@pytest.mark.parametrize("content", [{}, {"times": [1]}, SHADOWING])
@pytest.mark.parametrize(
    "way",
    [
        copy.copy,
        copy.deepcopy,
        Bunch.copy,
        Bunch,
        *[lambda b, p=p: pickle.loads(pickle.dumps(b, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)],
    ],
)
def test_copies_and_pickles_are_bunches_whatever_the_names(content: dict[str, Any], way: Any) -> None:
    original = Bunch(content)
    other = way(original)
    assert type(other) is Bunch
    assert other == original
    other["more"] = 1
    assert "more" not in original


@pytest.mark.parametrize("content", [{}, {"times": [1]}, SHADOWING])
def test_dict_and_unpacking_do_not_depend_on_the_names(content: dict[str, Any]) -> None:
    assert dict(Bunch(content)) == {**Bunch(content)} == content
    assert Bunch(content) | {"x": 1} == content | {"x": 1}


def test_a_shallow_copy_shares_and_a_deep_copy_does_not() -> None:
    b = Bunch(times=np.zeros(2))
    assert copy.copy(b).times is b.times
    assert copy.deepcopy(b).times is not b.times


def test_a_bunch_that_holds_itself_survives_pickling() -> None:
    b = Bunch()
    b.self = b
    other = pickle.loads(pickle.dumps(b))
    assert other.self is other


def test_memory_is_freed_without_the_garbage_collector() -> None:
    class Large:
        pass

    b = Bunch(data=Large())
    watched = weakref.ref(b.data)
    gc.disable()
    try:
        del b
        assert watched() is None
    finally:
        gc.enable()


def test_names_are_completed() -> None:
    names = dir(Bunch({"times": 1, "not a name": 2}))
    assert "times" in names
    assert "items" in names
    assert "not a name" not in names


def test_repr_is_one_line_per_name() -> None:
    b = Bunch(
        intervals=np.zeros((214, 2)),
        included=np.zeros((214, 1), bool),
        brainLocation=pd.DataFrame({"ccf_ap": [1.0, 2.0], "allen_ontology": ["ACA", "CA1"]}),
        movie=Path("a") / "eye.movie.mp4",
        note="x" * 1000,
        inner=Bunch(a=1),
        numbers=list(range(1000)),
    )
    assert repr(b).splitlines() == [
        "Bunch with 7 values",
        "  intervals      (214, 2) float64",
        "  included       (214, 1) bool",
        "  brainLocation  2 rows × 2 columns",
        "  movie          eye.movie.mp4",
        "  note           'xxxxxxxxxxxx...xxxxxxxxxxxxx'",
        "  inner          Bunch with 1 value",
        "  numbers        [0, 1, 2, 3, 4, 5, ...]",
    ]
    assert repr(Bunch()) == "Bunch, empty"


def test_repr_of_a_large_structured_array_is_short() -> None:
    b = Bunch(table=np.zeros(3, [(f"column{i}", "<f8") for i in range(100)]))
    assert len(repr(b)) < 120


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.lists(st.text()))))
def test_repr_has_as_many_lines_as_names(content: dict[str, Any]) -> None:
    lines = repr(Bunch(content)).splitlines()
    assert len(lines) == 1 + len(content)


@given(st.dictionaries(st.text(), st.integers()))
def test_any_names_are_copied_and_pickled(content: dict[str, int]) -> None:
    assert pickle.loads(pickle.dumps(Bunch(content))) == content
    assert copy.copy(Bunch(content)) == content
