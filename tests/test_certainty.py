"""How sure a sum is."""

from __future__ import annotations

import itertools
import json

import pytest

from irflops.counting.cost import COST_NAMES, Cost
from irflops.ir.certainty import Certainty

MAY_BE = {
    Certainty.EXACT: set(),
    Certainty.LOWER_BOUND: {"more"},
    Certainty.UPPER_BOUND: {"less"},
    Certainty.UNBOUNDED: {"more", "less"},
}
"""What the true figure may be beside the one that is told."""


@pytest.mark.parametrize(("one", "other"), [*itertools.product(MAY_BE, repeat=2)])
def test_a_sum_may_be_more_or_less_where_one_of_its_parts_may(one: Certainty, other: Certainty) -> None:
    assert MAY_BE[one | other] == MAY_BE[one] | MAY_BE[other]
    assert one.is_at_least is ("less" not in MAY_BE[one])
    assert one.is_at_most is ("more" not in MAY_BE[one])


@pytest.mark.parametrize("other", [*Certainty])
def test_a_sum_with_an_estimate_is_an_estimate(other: Certainty) -> None:
    assert Certainty.ESTIMATE | other is Certainty.ESTIMATE
    assert other | Certainty.ESTIMATE is Certainty.ESTIMATE
    assert not Certainty.ESTIMATE.is_at_least
    assert not Certainty.ESTIMATE.is_at_most


def test_a_certainty_is_its_word_for_those_who_compare_and_write_it() -> None:
    assert "lower_bound" in [*Certainty]
    assert f"{Certainty.LOWER_BOUND}" == str(Certainty.LOWER_BOUND) == "lower_bound"
    assert json.dumps([*Certainty]) == '["exact", "lower_bound", "upper_bound", "unbounded", "estimate"]'


def test_each_has_a_sign_and_only_exact_has_none() -> None:
    assert [certainty for certainty in Certainty if not certainty.sign] == [Certainty.EXACT]


def test_the_worst_of_a_cost_is_that_of_all_its_figures_together() -> None:
    for missing, at_most in itertools.product((0, 1, 2, 1 | 4), repeat=2):
        cost = Cost(missing=missing, at_most=at_most)
        found = Certainty.EXACT
        for name in COST_NAMES:
            found |= cost.certainty(name)
        assert cost.worst is found
