"""Commands beside the audit take a graph's size in steps, on graphs that make a careless walk take its square (tests/line_steps.py)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from line_steps import FACTOR, MOST, steps

import irflops
from irflops import Graph, IrflopsError
from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.analysis.scale import scaling
from irflops.conventions.compare import compare_analysis
from irflops.counting.infer import Inference, infer
from irflops.explaining.explanation import explain_op
from irflops.ir.graph import DType, Op, Operand, TensorType
from irflops.ops.book import RuleBook
from irflops.ops.rule import Changes
from irflops.readers.notation.op_signature import read_call
from irflops.readers.notation.sketch import sketch
from irflops.whatif import changed
from irflops.whatif.alternatives import Operands, alternatives

pytestmark = pytest.mark.growth

F32 = "f32[2,8]"
SMALL = 200
FIRST_INPUT, SECOND_INPUT = "_g_input.0.0_0", "_g_input.0.0_1"


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


def printed(lines: Iterator[str]) -> Graph:
    """The graph of these lines as a print tells it: what they leave out is open."""
    graph = sketch("\n".join(lines)).graph
    return replace(graph, holds=replace(graph.holds, attrs=False))


def doubtful(n: int) -> Iterator[str]:
    """Means at batch 1, each perhaps over the batch too; nothing ever tells."""
    yield "x = input() -> out: f32[1,6,8]"
    yield "v0 = relu(x: x) -> y: f32[1,6,8]"
    for i in range(1, n // 2):
        yield f"m{i} = reduce_sum(input_tensor: v{i - 1}) -> output_tensor: f32[1,6,1]"
        yield f"v{i} = broadcast_sub(x: v{i - 1}, y: m{i}) -> z: f32[1,6,8]"


def soon_told(n: int) -> Iterator[str]:
    """Transposes of equal axes, each told by what it is added to."""
    yield "x = input() -> out: f32[3,3,8]"
    yield "v0 = relu(x: x) -> y: f32[3,3,8]"
    for i in range(1, n // 2):
        yield f"t{i} = transpose(input: v{i - 1}) -> output: f32[3,3,8]"
        yield f"v{i} = add_n(in: [v{i - 1}, t{i}]) -> out: f32[3,3,8]"


def never_told(n: int) -> Iterator[str]:
    """Two readings of the first operator, and two more, soon told, of every other."""
    yield "x = input() -> out: f32[3,3,8]"
    yield "v0 = transpose(input: x) -> output: f32[3,3,8]"
    for i in range(1, n // 2):
        yield f"t{i} = transpose(input: v{i - 1}) -> output: f32[3,3,8]"
        yield f"v{i} = add_n(in: [v{i - 1}, t{i}]) -> out: f32[3,3,8]"


def added_up(n: int) -> Iterator[str]:
    """All added up by one operator."""
    yield "x = input() -> out: f32[4,8]"
    yield from (f"v{i} = relu(x: x) -> y: f32[4,8]" for i in range(n))
    yield f"s = add_n(in: [{', '.join(f'v{i}' for i in range(n))}]) -> out: f32[4,8]"


def cut_up(n: int) -> Iterator[str]:
    """Many parts of one tensor, of an axis that is as it was."""
    yield f"x = input() -> out: f32[4,{n},8]"
    yield from (f"v{i} = narrow(in: x, dim=1, start={i}, length=1) -> out: f32[4,1,8]" for i in range(n))


def stacked(n: int) -> Iterator[str]:
    """Ever more extents that change."""
    yield "x = input() -> out: f32[4,8]"
    yield "v0 = relu(x: x) -> y: f32[4,8]"
    for i in range(1, n // 2):
        yield f"v{i} = concat(in: [v{i - 1}, x], axis=0) -> out: f32[{4 * i + 4},8]"
        yield f"r{i} = reshape(in: v{i}, shape=[{4 * i + 4},8]) -> out: f32[{4 * i + 4},8]"


WHAT_IFS = [doubtful, soon_told, never_told, added_up, cut_up, stacked]


@pytest.mark.parametrize("made", WHAT_IFS)
def test_what_if_takes_a_graphs_size_in_steps(made: Made) -> None:
    graphs = {n: printed(made(n)) for n in (SMALL, FACTOR * SMALL)}
    hold(lambda n: changed(graphs[n], batch=5))


def test_scale_takes_a_graphs_size_in_steps() -> None:
    graphs = {n: printed(soon_told(n)) for n in (SMALL, FACTOR * SMALL)}
    hold(lambda n: scaling(graphs[n]))


def test_scale_infers_the_captured_graph_once_and_each_sample_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(graph: Graph, *book: RuleBook) -> Inference:
        asked.append(id(graph))
        return infer(graph, *book)

    monkeypatch.setattr("irflops.whatif.infer", counted)
    monkeypatch.setattr("irflops.analysis.analysis.infer", counted)
    graph = printed(iter(["x = input() -> out: f32[4,8]", "z = input() -> out: f32[3,8]", "y = relu(x: x) -> y: f32[4,8]"]))
    scaling(graph, {FIRST_INPUT: (None, 8)})
    assert asked.count(id(graph)) == 1
    assert len(asked) == 1 + 7 + 1  # and whether the formulas hold at 1


@pytest.mark.parametrize(
    ("call", "now"),
    [
        pytest.param("slice(x: f32[1,{0}]) -> y: f32[1,{1}]", lambda n: (1, 2 * n), id="slice"),
        pytest.param("slice(x: f32[1,{0}]) -> y: f32[1,1]", lambda n: (1, 2 * n), id="slice to one"),
        pytest.param("narrow(in: f32[1,{0}]) -> out: f32[1,{1}]", lambda n: (1, 2 * n), id="narrow"),
        pytest.param("conv1d(in: f32[1,3,{0}], weight: f32[8,3,3]) -> out: f32[1,8,{1}]", lambda n: (1, 3, 2 * n), id="convolution"),
        pytest.param("conv1d(in: f32[1,3,{0}], weight: f32[8,3,{0}]) -> out: f32[1,8,1]", lambda n: (1, 3, n + 1), id="one window"),
        pytest.param("deconv1d(in: f32[1,3,{1}], weight: f32[3,8,3]) -> out: f32[1,8,{0}]", lambda n: (1, 3, 2 * n), id="transposed"),
        pytest.param("max_pool_1d(x: f32[1,3,{0}]) -> y: f32[1,3,{1}]", lambda n: (1, 3, 2 * n), id="pooling"),
    ],
)
def test_what_if_takes_no_steps_for_the_length_of_an_axis(call: str, now: Callable[[int], tuple[int, ...]]) -> None:
    """As many for 2^40 entries as for a few."""

    def ask(size: int) -> None:
        made = read_call(call.format(size, size // 2))
        operands, results = ([types[0] for types in args.values()] for args in (made.inputs, made.outputs))
        slots = [[Operand(arg, 0, arg, types[0]) for arg, types in args.items()] for args in (made.inputs, made.outputs)]
        after = [TensorType(now(size), DType.FLOAT32), *operands[1:]]
        op = Op("op", made.op_type, tuple(slots[0]), tuple(slots[1]))
        answer = alternatives(op, Operands(tuple(operands), tuple(after)), results, Changes(frozenset(), frozenset()))
        assert answer.alternatives
        assert answer.missing is None

    ask(64)
    assert steps(lambda: ask(2**40)) <= 2 * steps(lambda: ask(64))


def wide(rank: int, extent: int) -> str:
    return ",".join([str(extent)] * rank)


WIDE: dict[str, Callable[[int], str]] = {
    "expand": lambda n: f"y = expand(in: c, expand_shape=[{wide(n, 1)}]) -> out: f32[{wide(n, 1)}]",
    "expand_grad": lambda n: f"y = expand_grad(in: c, logical_out_shape=[{wide(n, 1)}]) -> out: f32[{wide(n, 1)}]",
    "constant": lambda n: f"y = constant(shape=[{wide(n, 1)}]) -> out: f32[{wide(n, 1)}]",
    "reshape": lambda n: f"y = reshape(in: x, shape=[{wide(n, 6)}]) -> out: f32[{wide(n, 6)}]",
    "slice": lambda n: f"y = slice(x: x, start=[{wide(n, 1)}], stop=[{wide(n, 5)}], step=[{wide(n, 1)}]) -> y: f32[{wide(n, 4)}]",
    "printed slice": lambda n: f"y = slice(x: x) -> y: f32[{wide(n, 4)}]",
    "printed transpose": lambda n: f"y = transpose(input: x) -> output: f32[{wide(n, 6)}]",
    "printed sum": lambda n: f"y = reduce_sum(input_tensor: x) -> output_tensor: f32[{wide(n // 2, 6)}]",
    "printed sum that keeps its axes": lambda n: f"y = reduce_sum(input_tensor: o) -> output_tensor: f32[{wide(n, 1)}]",
    "printed squeeze": lambda n: f"y = squeeze(in: o) -> out: f32[{wide(n // 2, 1)}]",
    "printed flatten": lambda n: f"y = flatten(in: x) -> out: f32[{wide(n - 2, 6)},36]",
}


@pytest.mark.parametrize("rank", [24, 64])
@pytest.mark.parametrize("what", WIDE)
def test_what_if_takes_few_steps_for_many_axes(what: str, rank: int) -> None:
    """Axes that may or may not have become the batch, changed places or gone: of 2^64 ways."""
    lines = (f"x = input() -> out: f32[{wide(rank, 6)}]", f"o = input() -> out: f32[{wide(rank, 1)}]")
    made = f"c = constant(shape=[{wide(rank, 1)}]) -> out: f32[{wide(rank, 1)}]"
    graph = printed(iter([*lines, made, WIDE[what](rank)]))
    asked = {FIRST_INPUT: tuple(6 + axis % 2 for axis in range(rank)), SECOND_INPUT: tuple(1 + axis % 3 for axis in range(rank))}

    def ask() -> None:
        with contextlib.suppress(IrflopsError):
            changed(graph, inputs=asked)

    assert steps(ask) < 2_000_000
