"""Commands beside the audit take a graph's size in steps, on graphs that make a careless walk take its square (tests/line_steps.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from line_steps import FACTOR, MOST, steps

import irflops
from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.conventions.compare import compare_analysis
from irflops.explaining.explanation import explain_op
from irflops.readers.notation.sketch import sketch

pytestmark = pytest.mark.growth

F32 = "f32[2,8]"
SMALL = 200


def star(n: int, hub: str = "relu", leaf: str = "sigmoid") -> Iterator[str]:
    """One tensor that all read, and one op that reads all."""
    yield f"x = input() -> out: {F32}"
    yield f"h = {hub}(x: x) -> y: {F32}"
    yield from (f"m.{i} | v{i} = {leaf if i % 2 else 'sigmoid'}(x: h) -> y: {F32}" for i in range(n))
    yield f"c = concat(in: [{', '.join(f'v{i}' for i in range(n))}]) -> out: f32[{2 * n},8]"
    yield "output(in: c)"


def adds(n: int, hub: str = "relu") -> Iterator[str]:
    yield f"x = input() -> out: {F32}"
    yield f"h = {hub}(x: x) -> y: {F32}"
    yield f"a0 = broadcast_add(x: h, y: h) -> z: {F32}"
    yield from (f"l.{i} | a{i} = broadcast_add(x: a{i - 1}, y: h) -> z: {F32}" for i in range(1, n))
    yield f"output(in: a{n - 1})"


def chain(n: int, other: str = "relu") -> Iterator[str]:
    yield f"x = input() -> out: {F32}"
    yield from (f"m | v{i} = {other if i % 2 else 'relu'}(x: {f'v{i - 1}' if i else 'x'}) -> y: {F32}" for i in range(n))
    yield f"output(in: v{n - 1})"


def norms(n: int) -> Iterator[str]:
    """Means, variances and differences of one tensor."""
    yield f"x = input() -> out: {F32}"
    for i in range(n // 3):
        yield f"m{i} = reduce_mean(input_tensor: x) -> output_tensor: f32[2,1]"
        yield f"v{i} = var(input: x) -> output: f32[2,1]"
        yield f"d{i} = broadcast_sub(x: x, y: m{i}) -> z: {F32}"


def split_and_joined(n: int) -> Iterator[str]:
    names = ", ".join(f"p{i}" for i in range(n))
    yield f"x = input() -> out: f32[{n},8]"
    yield f"{names} = split_like(in: x) -> out: [{', '.join(['f32[1,8]'] * n)}]"
    yield f"y = concat(in: [{names}]) -> out: f32[{n},8]"
    yield "output(in: y)"


Made = Callable[[int], Iterator[str]]


def analysis(made: Made, n: int) -> Analysis:
    return analyze_graph(sketch("\n".join(made(n))).graph)


def hold(work: Callable[[int], object]) -> None:
    """Fails where the steps of the work grow more than the graph that it is done on."""
    work(SMALL)  # what is worked out once in a process is no step of either
    first, second = (steps(lambda n=n: work(n)) for n in (SMALL, FACTOR * SMALL))  # type: ignore[misc]  # the default binds the loop's value
    assert second <= MOST * first, f"{first:,} steps, and {second:,} of {FACTOR} times the graph"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (star, lambda n: star(n, hub="tanh")),
        (star, lambda n: star(n, leaf="tanh")),
        (star, lambda n: star(n, hub="tanh", leaf="softplus")),
        (star, lambda n: star(n // 2, hub="tanh")),
        (adds, lambda n: adds(n, hub="tanh")),
        (adds, lambda n: adds(n // 2, hub="tanh")),
        (chain, lambda n: chain(n, other="tanh")),
        (star, chain),
    ],
)
def test_diff_takes_its_graphs_size_in_steps(old: Made, new: Made) -> None:
    pairs = {n: (analysis(old, n), analysis(new, n)) for n in (SMALL, FACTOR * SMALL)}
    hold(lambda n: irflops.diff(*pairs[n]))


@pytest.mark.parametrize("made", [star, chain, norms, split_and_joined])
def test_other_counters_take_a_graphs_size_in_steps(made: Made) -> None:
    hold(lambda n: compare_analysis(analysis(made, n)))


@pytest.mark.parametrize("made", [star, split_and_joined])
def test_explanation_of_a_wide_operator_takes_its_width_in_steps(made: Made) -> None:
    def work(n: int) -> object:
        graph = analysis(made, n)
        widest = max(range(len(graph.graph.ops)), key=lambda i: len(graph.graph.ops[i].inputs))
        return explain_op(graph, widest, ())

    hold(work)
