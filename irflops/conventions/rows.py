"""What a convention says of a graph, as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from irflops.analysis.rows import Row
from irflops.conventions.count import Answer
from irflops.conventions.rule import Convention, Number, Rule
from irflops.ir.graph import Graph
from irflops.ir.tree import nearest, tree_of


def whole(value: Number) -> int | str:
    """A whole number as it is, another as `7/2`: never a float."""
    fraction = Fraction(value)
    return fraction.numerator if fraction.denominator == 1 else str(fraction)


def answer_row(answer: Answer, graph: Graph) -> Row:
    """The member `convention` of the JSON of an analysis."""
    convention = answer.convention
    return {
        "name": convention.name,
        "figure": convention.figure,
        "unit": convention.unit,
        "total": answer.total,
        "raises": answer.raises,
        "unknown": answer.unknown,
        "source": answer.source,
        "by_type": type_rows(answer),
        "by_module": module_rows(answer, graph),
    }


def type_rows(answer: Answer) -> list[Row]:
    """A row per class of module or kind of step, the greatest first."""
    counts: dict[str, int] = {}
    totals: dict[str, Fraction] = {}
    for part in answer.contributions:
        counts[part.type] = counts.get(part.type, 0) + 1
        totals[part.type] = totals.get(part.type, Fraction(0)) + part.value
    return [{"type": name, "count": counts[name], "total": whole(totals[name])} for name in sorted(totals, key=lambda name: -totals[name])]


def module_rows(answer: Answer, graph: Graph) -> list[Row]:
    """A row per module with all below it, in the order of the graph; `""` is the graph itself."""
    known = {module.path: module for module in graph.modules}
    tree = tree_of(known)
    totals = dict.fromkeys((path for path, _ in tree.walk()), Fraction(0))
    for part in answer.contributions:
        totals[nearest(part.module, totals)] += part.value
    for path in reversed(list(totals)):  # those below before those above
        if path:
            totals[tree.parents[path]] += totals[path]
    return [
        {"path": path, "class": known[path].class_name if path in known else None, "total": whole(total)} for path, total in totals.items()
    ]


def convention_row(convention: Convention) -> Row:
    """A convention itself: what it is, its rules as text, its examples."""
    return {
        "name": convention.name,
        "tool": convention.tool,
        "version": convention.version,
        "figure": convention.figure,
        "unit": convention.unit,
        "compared_with": convention.basis,
        "counts_by": convention.counts_by,
        "batch": BATCHES[convention.batch],
        "phases": sorted(phase.value for phase in convention.phases),
        "modules": _rule_rows(convention.modules.items()),
        "operators": _rule_rows((convention.raw or convention.operators).items()),
        "unknown_operator": "KeyError" if convention.raw else "0",
        "ignores": convention.ignores,
        "errors": list(convention.errors),
        "source": convention.source,
        "examples": [{"layer": e.layer, "total": e.total, "raises": e.raises} for e in convention.examples],
    }


BATCHES = {
    "whole": "all samples",
    "mean": "divided by the number of samples",
    "one": "one sample, the tool's own input",
    "sample": "one sample, the tool's own input",
}


def _rule_rows(rules: Iterable[tuple[str, Rule]]) -> list[Row]:
    """Names that share a rule stand in one row."""
    shared: dict[str, list[str]] = {}
    for name, rule in rules:
        shared.setdefault(rule.formula, []).append(name)
    return [{"names": names, "formula": formula} for formula, names in shared.items()]
