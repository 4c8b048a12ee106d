"""Random graphs as forms that hide something write them: what passes fused or pruned, lines that a log lost, attributes that no print has.

`lossy` gives the nodes as the full job has them; each of `LOSSES` writes them with something gone. Costs are derived by hand as in
`random_graph`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from random import Random

from random_forms import as_job, as_repr
from random_graph import GRAPH, KINDS, MODULES, Attr, Builder, Known, Node, Tensor, add_n

TERM = "_add_to_output"


@dataclass(frozen=True, slots=True)
class Written:
    """A file, and what of the graph it certainly leaves out."""

    text: str
    partial: bool = False


def residual(b: Builder, module: str) -> None:
    """A product and a sum, of which a pass leaves the product alone, with the other term as an operand: k MACs and an addition a result."""
    a = b.pick(lambda t: len(t.shape) == 2)
    if a is None:
        return
    (m, k), n = a.shape, b.random.randint(1, 5)
    term = b.pick(lambda t: t.shape == (m, n))
    if term is None:
        return
    weight = b.variable(module, (k, n))
    macs = sum(1 for _ in product(range(m), range(n), range(k)))
    known = Known(macs=macs, flops=2 * macs + sum(1 for _ in product(range(m), range(n))))
    flags: dict[str, Attr] = {"transpose_a": ("bool", False), "transpose_b": ("bool", False), "alpha": ("double", 1.0)}
    b.op(module, "matmul", [("a", (a,)), ("b", (weight,)), (TERM, (term,))], "out", (m, n), known, flags)
    b.operators += 1  # the sum's number


def sum_of_many(b: Builder, module: str) -> None:
    """A sum of more than two terms, which the pass leaves alone."""
    before = len(b.nodes)
    add_n(b, module)
    if len(b.nodes) > before and len(b.nodes[-1].inputs[0][1]) == 2:
        b.nodes.pop()
        b.tensors.pop()


def pruned_cast(b: Builder, _module: str) -> None:
    """A parallel cast that a pass took away leaves its number behind, and nothing else."""
    b.operators += 1


def average(b: Builder, module: str) -> None:
    """A functional pooling, whose window no print tells: of k taps, k - 1 additions and a division."""
    kernel = b.random.choice([1, 2, 3])
    x = b.pick(lambda t: len(t.shape) == 4 and min(t.shape[2:]) >= kernel)
    if x is None:
        return
    stride = b.random.choice([1, 2])
    rows, columns = (len(range(0, extent - kernel + 1, stride)) for extent in x.shape[2:])
    shape = (*x.shape[:2], rows, columns)
    flops = sum(1 for _ in product(*map(range, shape), range(kernel), range(kernel)))
    attrs: dict[str, Attr] = {
        "data_format": ("string", "channels_first"),
        "padding": ("ints", (0, 0)),
        "kernel_size": ("ints", (kernel, kernel)),
        "stride": ("ints", (stride, stride)),
        "ceil_mode": ("bool", False),
        "count_include_pad": ("bool", True),
        "divisor_override": ("int", 0),
    }
    b.op(module, "avg_pool_2d", [("x", (x,))], "y", shape, Known(flops=flops), attrs)


LOSSY_KINDS = (*(kind for kind in KINDS if kind is not add_n), sum_of_many, residual, residual, pruned_cast, average)


def lossy(seed: int, size: int) -> list[Node]:
    """A random graph with what forms hide; what is read no further is an output."""
    b = Builder(Random(seed))  # noqa: S311 - no secrets, cases that anyone can repeat
    for number, shape in enumerate([(2, 4, 5, 6), (3, 4), (3, 4), (3, 2)]):
        b.tensors.append(b.source("input", f"_{GRAPH}_input.0.{number}_{number + 2}", shape))
    for _ in range(size):
        b.random.choice(LOSSY_KINDS)(b, b.random.choice(MODULES))
    read = {tensor.lbn for node in b.nodes for _, tensors in node.inputs for tensor in tensors}
    for number, tensor in enumerate([node.result for node in b.nodes if node.result.lbn not in read]):
        name = f"_{GRAPH}_output.0.{number}_{number + 2}"
        b.nodes.append(
            Node(name=name, type="output", inputs=(("in", (tensor,)),), arg="out", result=Tensor(lbn=f"{name}/out", shape=tensor.shape))
        )
    return [node if node.known.bytes_read >= 0 else replace(node, known=Known()) for node in b.nodes]


def _shown(nodes: Sequence[Node]) -> list[Node]:
    """The operands that a print lists."""
    return [replace(node, inputs=tuple((arg, tensors) for arg, tensors in node.inputs if arg != TERM)) for node in nodes]


def printed(nodes: Sequence[Node], _random: Random) -> Written:
    """No attributes, no names of operands, no terms that passes fused."""
    return Written(as_repr(_shown(nodes)))


def without_lines(nodes: Sequence[Node], random: Random) -> Written:
    """The print after a log's rotation: some PARAMETER lines are gone."""
    lines = as_repr(_shown(nodes)).splitlines(keepends=True)
    return Written("".join(line for line in lines if "(PARAMETER:" not in line or random.random() < 0.5))


def without_operators(nodes: Sequence[Node], random: Random) -> Written:
    """A print whose end is lost, read in part."""
    lines = as_repr(_shown(nodes)).splitlines(keepends=True)
    places = [place for place, line in enumerate(lines) if "(OPERATOR:" in line]
    return Written("".join(lines[: random.choice(places) + 1]), partial=True)


def forward_job(nodes: Sequence[Node], _random: Random) -> Written:
    """No shapes of what operators compute."""
    return Written(as_job(nodes, full=False))


def without_shapes(nodes: Sequence[Node], random: Random) -> Written:
    """A job in which some shapes are not there: inference fills them in."""
    described = re.compile(r"lbn2logical_blob_desc \{ key: .*\}\n")
    return Written(described.sub(lambda found: found[0] if random.random() < 0.5 else "", as_job(nodes)))


LOSSES: tuple[Callable[[Sequence[Node], Random], Written], ...] = (printed, without_lines, without_operators, forward_job, without_shapes)
