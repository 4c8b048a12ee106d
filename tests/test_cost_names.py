"""A cost is had by every name that there is for it, with its certainty, and quotients of costs are exact."""

from __future__ import annotations

import pytest

from irflops.counting.cost import COSTS, Cost
from irflops.counting.ratio import Ratio
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty

COST = Cost(
    figures=(2, 5, 0, 30, 10, 0, 0),
    params=(100, 20, 3, 4000),
    param_bytes=(400, 80, 12, 16000),
    missing=1 << 3,  # bytes_read
    at_most=1 << 1,  # flops
)


@pytest.mark.parametrize(
    ("name", "value", "certainty"),
    [
        ("macs", 2, "exact"),
        ("flops", 5, "upper_bound"),
        ("bytes_written", 10, "exact"),
        ("bytes", 40, "lower_bound"),
        ("params", 120, "exact"),
        ("params.buffer", 3, "exact"),
        ("params.optimizer_state", 4000, "exact"),
        ("param_bytes", 480, "exact"),
        ("param_bytes.frozen", 80, "exact"),
    ],
)
def test_a_cost_is_had_by_every_name_that_columns_and_conditions_have(name: str, value: int, certainty: str) -> None:
    assert COST.get(name) == value
    assert COST.certainty(name) == Certainty(certainty)
    assert COST.is_known(name) is (certainty in ("exact", "upper_bound"))


def test_a_wrong_name_of_a_cost_lists_those_there_are() -> None:
    for wrong in (COST.get, COST.certainty, COST.is_known):
        with pytest.raises(IrflopsError, match="there is no cost 'declared_params'") as caught:
            wrong("declared_params")
        assert caught.value.hint is not None
        assert set(caught.value.hint.removeprefix("costs: ").split(", ")) == set(COSTS)


def test_quotients_of_costs() -> None:
    total = COST + COST
    assert COST.share("flops", total) == Ratio(5, 10)
    assert COST.intensity == Ratio(5, 40, Certainty.UNBOUNDED)
    assert Cost(figures=(2, 5, 0, 30, 10, 0, 0)).intensity == Ratio(5, 40, Certainty.EXACT)
    assert [Ratio(part, 4).rounded for part in (0, 1, 2, 6, 7)] == [0, 0, 1, 2, 2]
