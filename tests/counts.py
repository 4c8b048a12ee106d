"""The law of all figures: an int of at least 0, or unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irflops import Analysis
from irflops.counting.cost import COST_NAMES, Cost


def check_counts(analysis: Analysis, document: Mapping[str, Any] | None = None) -> None:
    """Of every sum and operator of an analysis, and of its JSON."""
    sums = [analysis.total, *analysis.phases.values(), *analysis.modules.values()]
    sums += [group.cost for group in analysis.types.values()]
    for cost in (*sums, *{id(found): found.cost for found in analysis.costs}.values()):
        check_cost(cost)
    for type_ in analysis.inference.types.values():
        assert all(extent is None or is_count(extent) for extent in type_.shape or ()), type_
    for key, value in (document if document is not None else analysis.to_dict()).items():
        _check(key, value)


def check_cost(cost: Cost) -> None:
    for numbers in (cost.figures, cost.params, cost.param_bytes):
        assert all(map(is_count, numbers)), cost


def is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _check(key: str, value: Any) -> None:
    """Figures have the same names wherever they stand."""
    if key in ("certainty", "certainty_by", "attrs"):  # words by cost, and what has no law
        return
    if key in ("redundancy", "imbalance"):  # of devices: quotients by cost
        assert all(ratio is None or ratio >= 0 for ratio in (value or {}).values()), value
    elif isinstance(value, dict):  # not Mapping, whose test takes most of the time that this law takes
        for name, inner in value.items():
            _check(key if key in ("params", "param_bytes") else name, inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            if isinstance(inner, dict):
                _check(key, inner)
    elif key in COST_NAMES:
        assert value is None or is_count(value), (key, value)
