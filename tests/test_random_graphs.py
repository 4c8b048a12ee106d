"""Random graphs of known costs: every form of one gives one and the same report, and its figures are the known ones."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from counts import check_counts
from random_forms import FORMS, as_job
from random_graph import KINDS, Known, random_graph

import irflops

SIZES = [(seed, 5 + 3 * seed) for seed in range(14)]


def report(content: str | bytes) -> dict[str, Any]:
    """All that is reported of a graph, but for what a form lacks by nature: attributes, sbp, classes and texts of modules, places.

    Steps are left out with them: whether a product is a linear layer's depends on `transpose_b`.
    """
    document = irflops.analyze(irflops.loads(content)).to_dict(without=["source"])
    for row in document["ops"]:
        for name in ("attrs", "line", "kind_source", "location"):
            row.pop(name, None)
        for operand in [*row.get("inputs", ()), *row.get("outputs", ())]:
            operand.pop("sbp", None)
    document["ops"].sort(key=lambda row: row["name"])
    document["modules"] = sorted(
        ({k: v for k, v in row.items() if k not in ("class", "text", "line")} for row in document["modules"]), key=str
    )
    for part in ("graph", "declared_params", "notes", "by_step"):
        document.pop(part, None)
    document["totals"].pop("declared_params", None)
    for part in ("by_type", "unknown"):
        document[part] = sorted(document[part], key=str)
    return document


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("seed", "size"), SIZES)
def test_figures_are_the_known_ones(seed: int, size: int, form: str) -> None:
    nodes = random_graph(seed, size)
    analysis = irflops.analyze(irflops.loads(FORMS[form](nodes)))
    assert analysis.inference.disagreements == ()
    check_counts(analysis)
    known = {node.name: node.known for node in nodes}
    assert {op.name for op in analysis.graph.ops} == known.keys()
    for op, costed in zip(analysis.graph.ops, analysis.costs, strict=True):
        assert {f.name: costed.cost.get(f.name) for f in fields(Known)} == {
            f.name: getattr(known[op.name], f.name) for f in fields(Known)
        }, op.name
    for figure in fields(Known):
        assert analysis.total.get(figure.name) == sum(getattr(cost, figure.name) for cost in known.values())
        assert analysis.total.certainty(figure.name) == "exact"
    assert {lbn: type_.shape for lbn, type_ in analysis.inference.types.items()} == {node.result.lbn: node.result.shape for node in nodes}


@pytest.mark.parametrize("form", [form for form in FORMS if form != "full job"])
@pytest.mark.parametrize(("seed", "size"), SIZES)
def test_every_form_gives_one_report(seed: int, size: int, form: str) -> None:
    nodes = random_graph(seed, size)
    assert report(FORMS[form](nodes)) == report(as_job(nodes))


def test_the_generator_makes_every_kind() -> None:
    types = {node.type for seed, size in SIZES for node in random_graph(seed, size)}
    assert {kind.__name__ for kind in KINDS} | {"input", "output", "variable"} == types
