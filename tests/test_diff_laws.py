"""Laws of diffs, on random graphs and random changes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from changing import CHANGES, Network, insert, job_of, random_network, remove
from counts import check_counts
from diff_laws import assert_laws, plain
from hypothesis import given, settings
from hypothesis import strategies as st
from random_forms import FORMS, as_job
from random_graph import random_graph

import irflops
from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.differ import diff_analyses

FEW = settings(max_examples=25, deadline=None)
SEEDS = st.integers(0, 10**6)


def analyzed(content: str | bytes) -> Analysis:
    analysis = analyze_graph(irflops.loads(content))
    check_counts(analysis)
    return analysis


@FEW
@given(SEEDS, st.integers(3, 16), st.sampled_from(sorted(FORMS)))
def test_no_edit_between_a_graph_and_itself(seed: int, size: int, form: str) -> None:
    analysis = analyzed(FORMS[form](random_graph(seed, size)))
    found = assert_laws(analysis, analysis)
    assert found.edits == ()
    assert not found.consequences


@pytest.mark.drawn
@FEW
@given(SEEDS, st.integers(3, 16))
def test_no_edit_between_forms(seed: int, size: int) -> None:
    nodes = random_graph(seed, size)
    analyses = {form: analyzed(make(nodes)) for form, make in FORMS.items()}
    for one, other in combinations(analyses, 2):
        assert [plain(edit) for edit in diff_analyses(analyses[one], analyses[other]).edits] == [], (one, other)


@FEW
@given(SEEDS, st.integers(3, 16))
def test_no_edit_where_lines_are_reordered(seed: int, size: int) -> None:
    graph = analyzed(as_job(random_graph(seed, size), full=False)).graph
    ops = list(graph.ops)
    Random(seed).shuffle(ops)  # noqa: S311 - no secret
    assert diff_analyses(analyze_graph(graph), analyze_graph(replace(graph, ops=tuple(ops)))).edits == ()


@FEW
@given(SEEDS, st.integers(5, 40), st.integers(0, 100))
def test_no_edit_where_counters_are_shifted_and_lines_reordered(seed: int, layers: int, first: int) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    network = random_network(random, layers)
    old, new = job_of(network), job_of(network, first=first, order=random)
    assert diff_analyses(analyzed(old), analyzed(new)).edits == ()


@FEW
@given(SEEDS, SEEDS, st.integers(3, 14), st.integers(3, 14), st.sampled_from(("full job", "forward job", "binary")))
def test_edits_between_unrelated_graphs_are_enough(one: int, other: int, size: int, other_size: int, form: str) -> None:
    assert_laws(*(analyzed(FORMS[form](random_graph(seed, n))) for seed, n in ((one, size), (other, other_size))))


def changed(network: Network, random: Random, spots: list[int]) -> tuple[Network, int]:
    """The network with a random change at each of these layers, and how many edits they are. No module loses its last layers."""
    expected = 0
    renamed: set[str] = set()
    for spot in sorted(spots, reverse=True):
        change = random.choice(CHANGES)
        module = network[spot].module
        if change is remove and sum(layer.module == module for layer in network) < 3:
            change = insert
        before = network
        network, edits = change(network, spot, random)
        if change.__name__ == "rename":
            if module in renamed:
                network, edits = before, 0
            renamed |= {layer.module for layer in network} - {layer.module for layer in before}
        expected += edits
    return network, expected


@pytest.mark.drawn
@settings(max_examples=100, deadline=None, derandomize=True)
@given(SEEDS, st.integers(10, 40), st.integers(1, 3))
def test_random_changes_have_no_more_edits_than_they_are(seed: int, layers: int, count: int) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    network = random_network(random, layers)
    spots = random.sample(range(1, layers - 1), count)
    new, expected = changed(network, random, spots)
    found = assert_laws(analyzed(job_of(network)), analyzed(job_of(new, first=random.randrange(50))))
    assert len(found.edits) <= expected
    if all(abs(a - b) > 3 for a, b in combinations(spots, 2)):
        assert len(found.edits) == expected


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: str(change.__name__))
@pytest.mark.parametrize("seed", range(6))
def test_one_change_is_found_as_it_was_made(seed: int, change: Callable[[Network, int, Random], tuple[Network, int]]) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    network = random_network(random, 30)
    new, expected = change(network, 12, random)
    found = assert_laws(analyzed(job_of(network)), analyzed(job_of(new, first=3)))
    assert len(found.edits) == expected
    kinds = {
        "insert": {"op_added", "param_added"},
        "remove": {"op_removed", "param_removed"},
        "set_value": {"attr_changed"},
        "swap": {"op_retyped"},
        "rename": {"module_renamed"},
    }
    assert {edit.kind for edit in found.edits} <= kinds[change.__name__]
