"""What a form cannot hold makes no figure wrong: each is the true one, a bound that holds, or unknown. On random graphs of known costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from random import Random

import pytest
from losing import LOSSES, TERM, Written, lossy, printed, without_operators
from random_forms import as_job
from random_graph import WIDTH, Known, Node

import irflops
from irflops import Analysis, Certainty
from irflops.readers.printed import graph_repr

SEEDS = range(40)
FIGURES = tuple(field.name for field in fields(Known))
Loss = Callable[[Sequence[Node], Random], Written]


def graph(seed: int) -> list[Node]:
    return lossy(seed, 6 + seed)


def read(written: Written) -> Analysis:
    return irflops.analyze(irflops.loads(written.text, partial=written.partial))


def contradictions(nodes: Sequence[Node], analysis: Analysis) -> list[str]:
    """What an analysis says of a graph that is not so."""
    known = {node.name: node.known for node in nodes}
    found = []
    truths = {figure: sum(getattr(cost, figure) for cost in known.values()) for figure in FIGURES}
    truths["params"] = sum(node.result.numel for node in nodes if node.type == "variable")
    truths["param_bytes"] = WIDTH * truths["params"]
    for figure, truth in truths.items():
        told, certainty = analysis.total.get(figure), analysis.total.certainty(figure)
        wrong = (certainty.is_at_most and told < truth) or (certainty.is_at_least and told > truth)
        if wrong:
            found.append(f"{figure} {certainty} {told}, truly {truth}")
    for op, costed in zip(analysis.graph.ops, analysis.costs, strict=True):
        for figure in FIGURES if op.name in known else ():
            told, truth = costed.cost.get(figure), getattr(known[op.name], figure)
            if costed.cost.is_known(figure) and told != truth:
                found.append(f"{op.name}: {figure} {told}, truly {truth}")
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_job_tells_all(seed: int) -> None:
    nodes = graph(seed)
    analysis = irflops.analyze(irflops.loads(as_job(nodes)))
    assert contradictions(nodes, analysis) == []
    assert {analysis.total.certainty(figure) for figure in FIGURES} == {Certainty.EXACT}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_lost_makes_no_figure_wrong(seed: int, loss: Loss) -> None:
    nodes = graph(seed)
    assert contradictions(nodes, read(loss(nodes, Random(seed)))) == []  # noqa: S311 - no secrets, cases that anyone can repeat


def test_what_is_lost_is_in_the_graphs() -> None:
    nodes = [node for seed in SEEDS for node in graph(seed)]
    assert sum(arg == TERM for node in nodes for arg, _ in node.inputs) > 20
    assert Counter(node.type for node in nodes)["avg_pool_2d"] > 20
    assert all(
        any(loss(graph(seed), Random(seed)).text != as_job(graph(seed)) for seed in SEEDS)  # noqa: S311 - no secrets, cases that anyone can repeat
        for loss in LOSSES
    )


# What would go unnoticed if these tests could not fail


def found_in(loss: Loss, change: Callable[[Analysis], Analysis] = lambda analysis: analysis) -> list[str]:
    return [
        text
        for seed in SEEDS
        for text in contradictions(graph(seed), change(read(loss(graph(seed), Random(seed)))))  # noqa: S311 - no secrets, cases that anyone can repeat
    ]


def test_a_reader_that_looks_for_no_fused_terms_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_repr, "find_fused_terms", lambda _drafts, _notes, **_: None)
    assert any("flops" in text for text in found_in(printed))


def test_a_fold_that_forgets_that_a_print_was_cut_is_noticed() -> None:
    whole = found_in(without_operators, lambda analysis: irflops.analyze(replace(analysis.graph, partial=False)))
    assert any("exact" in text for text in whole)
