"""The parts of a graph as data."""

from __future__ import annotations

import copy
from itertools import combinations

import pytest

from irflops.ir.graph import Attrs, AttrValue

DIFFERENT: tuple[AttrValue, ...] = (
    True,
    1,
    1.0,
    False,
    0,
    0.0,
    -0.0,
    -1,
    -2,
    -1.0,
    -2.0,
    "1",
    "True",
    None,
    (),
    (1,),
    (True,),
    (1.0,),
    ((1,),),
)
"""Values of which no two are the same, though Python takes some for equal and has one hash for others."""


@pytest.mark.parametrize(("one", "other"), list(combinations(DIFFERENT, 2)), ids=repr)
def test_attributes_of_different_values_are_different(one: AttrValue, other: AttrValue) -> None:
    assert Attrs({"a": one}) != Attrs({"a": other})
    assert len({Attrs({"a": one}), Attrs({"a": other})}) == 2


@pytest.mark.parametrize("value", [*DIFFERENT, float("nan"), (float("nan"), -0.0)], ids=repr)
def test_attributes_of_one_value_are_equal(value: AttrValue) -> None:
    attrs = Attrs({"a": value, "b": 1})
    for same in (Attrs({"b": 1, "a": value}), copy.copy(attrs)):
        assert (same, hash(same)) == (attrs, hash(attrs))
    assert Attrs({"a": value}) != attrs
    assert attrs != {"a": value, "b": 1}


def test_nan_is_equal_to_nan_in_attributes() -> None:
    assert Attrs({"a": float("nan")}) == Attrs({"a": -float("nan")})
