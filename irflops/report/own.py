"""Which rules that are not irflops' own decide a report, for those reports that have no notes of the graph."""

from __future__ import annotations

from collections.abc import Iterable

from irflops.counting.own import OwnRule
from irflops.report.table import printable


def own_rule_facts(rules: Iterable[OwnRule]) -> list[tuple[str, str]]:
    """A line per rule, under one label."""
    return [("" if number else "own rules", printable(one.note().text)) for number, one in enumerate(rules)]
