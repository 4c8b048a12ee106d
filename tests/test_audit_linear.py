"""The rules take a graph's size in steps, on graphs that make a careless walk take its square.

Lines that Python runs are counted, not seconds (tests/line_steps.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from line_steps import FACTOR, MOST, steps

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.auditing.engine import run_rules
from irflops.auditing.rules import RULES
from irflops.readers.notation.sketch import sketch

pytestmark = pytest.mark.growth

SMALL = 300
F32 = "f32[2,8]"


def chain(n: int, op: str, first: str, name: str = "v", type_: str = F32) -> Iterator[str]:
    """Ops one behind the other; `op` has `{}` for what it reads."""
    for i in range(n):
        yield f"{name}{i} = {op.format(f'{name}{i - 1}' if i else first)} -> {type_}"


def sums(n: int) -> Iterator[str]:
    yield f"x = input() -> out: {F32}"
    yield from (f"r{i} = relu(x: x) -> y: {F32}" for i in range(n // 2))
    yield "s0 = broadcast_add(x: r0, y: r0) -> z: " + F32
    yield from (f"s{i} = broadcast_add(x: s{i - 1}, y: r{i}) -> z: {F32}" for i in range(1, n // 2))


def ladder(n: int) -> Iterator[str]:
    """Views in five chains, and a join of all behind each step of them: no branch has any work until the chains' beginnings."""
    yield f"x = input() -> out: {F32}"
    branches = range(5)
    yield from (f"b{k}_0 = relu(x: x) -> y: {F32}" for k in branches)
    for i in range(1, n // 6):
        yield from (f"b{k}_{i} = reshape(in: b{k}_{i - 1}) -> out: {F32}" for k in branches)
        yield f"c{i} = concat(in: [{', '.join(f'b{k}_{i}' for k in branches)}]) -> out: f32[10,8]"


def joins_of_joins(n: int) -> Iterator[str]:
    yield f"x = input() -> out: {F32}"
    yield f"c0 = relu(x: x) -> y: {F32}"
    for i in range(1, n // 6):
        yield from (f"b{k}_{i} = reshape(in: c{i - 1}) -> out: {F32}" for k in range(5))
        yield f"c{i} = add_n(in: [c{i - 1}, {', '.join(f'b{k}_{i}' for k in range(5))}]) -> out: {F32}"


def dead(n: int) -> Iterator[str]:
    yield f"x = input() -> out: {F32}"
    yield "w = variable() -> out: f32[8,8]"
    yield from (f"d{i} = matmul(a: x, b: w) -> out: {F32}" for i in range(n))
    yield "output(in: x)"


def dead_with_weights(n: int) -> Iterator[str]:
    yield f"x = input() -> out: {F32}"
    for i in range(n // 2):
        yield f"w{i} = variable() -> out: f32[8,8]"
        yield f"d{i} = matmul(a: x, b: w{i}) -> out: {F32}"
    yield "output(in: x)"


def island(n: int) -> Iterator[str]:
    yield "x = input() -> out: f16[2,8]"
    yield from (f"a{i} = cast(in: x) -> out: {F32}" for i in range(n))
    yield f"s = add_n(in: [{', '.join(f'a{i}' for i in range(n))}]) -> out: {F32}"
    yield "y = cast(in: s) -> out: f16[2,8]"


def open_island(n: int) -> Iterator[str]:
    yield from island(n)
    yield "output(in: s)"


def shared_chain(n: int) -> Iterator[str]:
    """Many products read a weight behind a long chain of casts."""
    yield f"x = input() -> out: {F32}"
    yield "w = variable() -> out: f32[8,8]"
    yield from chain(n // 2, "cast(in: {})", "w", type_="out: f32[8,8]")
    yield from (f"m{i} = matmul(a: x, b: v{n // 2 - 1}) -> out: {F32}" for i in range(n // 2))


def indices(n: int) -> Iterator[str]:
    """Many integer inputs go the same long way to their cast."""
    yield from (f"i{k} = input() -> out: i64[2,8]" for k in range(n // 2))
    yield f"c = concat(in: [{', '.join(f'i{k}' for k in range(n // 2))}]) -> out: i64[{n // 2 * 2},8]"
    yield from chain(n // 2, "reshape(in: {})", "c", type_=f"out: i64[{n // 2 * 2},8]")
    yield f"y = cast(in: v{n // 2 - 1}) -> out: f32[{n // 2 * 2},8]"


def heads(n: int) -> Iterator[str]:
    yield "i = input() -> out: i64[2,6]"
    yield "t = variable() -> out: f32[100,8]"
    yield "x = gather(in: t, indices: i) -> out: f32[2,6,8]"
    for k in range(n // 2):
        yield f"w{k} = variable() -> out: f32[100,8]"
        yield f"h{k} = broadcast_matmul(a: x, b: w{k}, transpose_b=true) -> out: f32[2,6,100]"
    yield f"s = add_n(in: [{', '.join(f'h{k}' for k in range(n // 2))}]) -> out: f32[2,6,100]"
    yield from chain(n // 2, "relu(x: {})", "s", type_="y: f32[2,6,100]")


def attentions(n: int) -> Iterator[str]:
    yield "q = input() -> out: f32[2,3,5,8]"
    yield "s = batch_matmul(a: q, b: q, transpose_b=true) -> out: f32[2,3,5,5]"
    yield from (f"p{i} = softmax(in: s) -> out: f32[2,3,5,5]" for i in range(n))


def scaled_attention(n: int) -> Iterator[str]:
    yield "q = input() -> out: f32[2,3,5,8]"
    yield "s = batch_matmul(a: q, b: q, transpose_b=true) -> out: f32[2,3,5,5]"
    yield from chain(n, "scalar_mul(in: {})", "s", type_="out: f32[2,3,5,5]")
    yield f"p = softmax(in: v{n - 1}) -> out: f32[2,3,5,5]"
    yield "y = batch_matmul(a: p, b: q) -> out: f32[2,3,5,8]"


def transposes(n: int) -> Iterator[str]:
    yield f"x = input() -> out: {F32}"
    yield "a = transpose(input: x, perm=[1,0]) -> output: f32[8,2]"
    yield from (f"b{i} = transpose(input: a, perm=[1,0]) -> output: {F32}" for i in range(n))


def broadcasts(n: int) -> Iterator[str]:
    yield "x = input() -> out: f32[1,8]"
    yield f"e = expand(in: x) -> out: {F32}"
    yield from (f"a{i} = broadcast_add(x: e, y: e) -> z: {F32}" for i in range(n))


def slices(n: int) -> Iterator[str]:
    """One op with many results on a mesh, and a reader of each."""
    names = ", ".join(f"p{i}" for i in range(n))
    yield f"x = input() -> out: f32[{n},8] @ 2 (B)"
    yield f"{names} = split_like(in: x) -> out: [{', '.join(['f32[1,8]'] * n)}] @ 2 (B)"
    yield from (f"layers.{i} | r{i} = relu(x: p{i}{{S(0)}}) -> y: f32[1,8] @ 2 (S(0))" for i in range(n))


def declared(n: int) -> Iterator[str]:
    yield f"x = input() -> out: {F32}"
    yield from (f"layers.{i} | w = parameter() -> out: {F32}" for i in range(n))
    yield "output(in: x)"


def repeats(n: int) -> Iterator[str]:
    yield f"x = input() -> out: {F32}"
    for name in "ab":
        yield from chain(n // 2, "relu(x: {})", "x", name, f"y: {F32}")


def repeats_with_attrs(n: int) -> Iterator[str]:
    """And sums of what repeats, which need all attributes before them."""
    yield f"x = input() -> out: {F32}"
    scale = "scalar_mul(in: {}, has_float_operand=true, float_operand=2.0, has_int_operand=false, int_operand=0)"
    for name in "ab":
        yield from chain(n // 4, scale, "x", name, f"out: {F32}")
    for name in "ab":
        yield from (f"{name}s{i} = add_n(in: [{name}{i}, {f'{name}s{i - 1}' if i else 'x'}]) -> out: {F32}" for i in range(n // 4))


def views_of_copies(n: int) -> Iterator[str]:
    yield "x = input() -> out: f32[1,8]"
    for k in range(4):
        yield f"e{k} = expand(in: x) -> out: {F32}"
        yield from chain(n // 4, "reshape(in: {})", f"e{k}", f"v{k}_", f"out: {F32}")
        yield f"y{k} = add_n(in: [v{k}_{n // 4 - 1}, v{k}_{n // 4 - 1}]) -> out: {F32}"


def biased(n: int) -> Iterator[str]:
    """Convolutions with one bias behind a long chain of casts, each before a norm."""
    yield "x = input() -> out: f32[1,8,4,4]"
    yield "w = variable() -> out: f32[16,8,1,1]"
    yield from (f"s{i} = variable(kind=buffer) -> out: f32[16]" for i in range(4))
    yield "b = variable() -> out: f32[16]"
    yield from chain(n // 3, "cast(in: {})", "b", type_="out: f32[16]")
    for i in range(n // 3):
        yield f"c{i} = conv2d(in: x, weight: w, bias: v{n // 3 - 1}) -> out: f32[1,16,4,4]"
        yield f"y{i} = normalization(x: c{i}, moving_mean: s0, moving_variance: s1, gamma: s2, beta: s3) -> y: f32[1,16,4,4]"


def states(n: int) -> Iterator[str]:
    """As many inputs as optimizer states, of which nothing tells how they lie."""
    yield "training"
    for i in range(n // 2):
        yield f"x{i} = input() -> out: {F32} @ 2 (S(0))"
        yield f"m{i} = variable(kind=optimizer_state) -> out: {F32} @ 2" + (" (B)" if i % 2 else "")


def norms_and_gradients(n: int) -> Iterator[str]:
    """Many ops ask whether they alone read a tensor, which the backward pass reads as often."""
    yield "training"
    yield "x = input() -> out: f32[1,16,4,4]"
    yield from (f"{name} = variable() -> out: f32[16]" for name in ("mean", "var", "gamma", "beta"))
    yield "c = relu(x: x) -> y: f32[1,16,4,4]"
    yield "loss = reduce_sum(input_tensor: c) -> output_tensor: f32[1]"
    yield "seed = ones_like(like: loss) -> out: f32[1]"
    yield from (f"d{i} = broadcast_like(x: seed, like: c) -> y: f32[1,16,4,4]" for i in range(n // 3))
    norm = "normalization(x: c, moving_mean: mean, moving_variance: var, gamma: gamma, beta: beta)"
    yield from (f"y{i} = {norm} -> y: f32[1,16,4,4]" for i in range(n // 3))
    yield from (f"p{i} = softmax(in: c) -> out: f32[1,16,4,4]" for i in range(n // 3))


def merged_dropouts(n: int) -> Iterator[str]:
    yield "q = input() -> out: f32[2,3,5,8]"
    yield "t0 = softmax(in: q) -> out: f32[2,3,5,8]"
    for i in range(1, n // 3):
        yield f"s{i} = batch_matmul(a: q, b: q, transpose_b=true) -> out: f32[2,3,5,5]"
        yield f"p{i} = softmax(in: s{i}) -> out: f32[2,3,5,5]"
        yield f"t{i} = dropout(in: t{i - 1}, _add_to_output: p{i}) -> out: f32[2,3,5,5]"
    yield f"y = batch_matmul(a: t{n // 3 - 1}, b: q) -> out: f32[2,3,5,8]"


GRAPHS: tuple[Callable[[int], Iterator[str]], ...] = (
    *(sums, ladder, joins_of_joins, dead, dead_with_weights, island, open_island, shared_chain, indices, heads, attentions),
    *(scaled_attention, transposes, broadcasts, slices, declared, repeats, states, norms_and_gradients, merged_dropouts),
)


def analysis(made: Callable[[int], Iterator[str]], n: int) -> Analysis:
    return analyze_graph(sketch("\n".join(made(n))).graph)


@pytest.mark.parametrize("made", GRAPHS)
def test_rules_take_a_graphs_size_in_steps(made: Callable[[int], Iterator[str]]) -> None:
    small, large = (analysis(made, n) for n in (SMALL, FACTOR * SMALL))
    run_rules(analysis(made, SMALL), RULES)  # what is worked out once in a process is no step of either
    sizes = [len(judged.graph.ops) + len(judged.graph.modules) for judged in (small, large)]
    assert sizes[1] > 0.9 * FACTOR * sizes[0]
    first, second = (steps(lambda judged=judged: run_rules(judged, RULES)) for judged in (small, large))  # type: ignore[misc]  # the default binds the loop's value
    assert second <= MOST * first, f"{first:,} steps for {sizes[0]:,} ops and modules, {second:,} for {sizes[1]:,}"
