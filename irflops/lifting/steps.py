"""The operators of a graph as the steps that its author wrote: a LayerNorm where the dump has the nine primitives that OneFlow makes of it.

A step is one operator, or several that are one call of the user's: a convolution or a product with a weight and the bias that is added to
it, a mean, a layer, group or instance norm. Every operator belongs to one step. What a step costs is not said here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from irflops.counting.cost import Cost, OpCost
from irflops.counting.infer import operand_type, view
from irflops.ir.edges import Edges
from irflops.ir.graph import Graph, Op, Phase, Shape, TensorType
from irflops.ops.book import RuleBook
from irflops.ops.op_view import OpView

RESHAPED = frozenset({"reshape", "expand_dims", "squeeze"})
"""Types that give a tensor another shape alone."""

_SOURCES = frozenset({"variable", "input", "output"})
_CONTRACTIONS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), "conv"),
    **dict.fromkeys(("deconv1d", "deconv2d", "deconv3d"), "conv_transpose"),
    **dict.fromkeys(("matmul", "broadcast_matmul", "batch_matmul"), "matmul"),
    "fused_matmul_bias": "linear",
    **dict.fromkeys(
        ("fused_multi_head_attention_inference", "fused_multi_head_attention_inference_v2", "scaled_dot_product_flash_attention"),
        "attention",
    ),
}
_SAME = {
    **dict.fromkeys(("normalization", "normalization_add_relu", "cudnn_fused_normalization_add_relu"), "batch_norm"),
    **{f"{kind}_pool_{n}d": f"{kind}_pool" for kind in ("max", "avg") for n in (1, 2, 3)},
    **{f"adaptive_{kind}_pool{n}d": f"adaptive_{kind}_pool" for kind in ("max", "avg") for n in (1, 2, 3)},
    **{f"upsample_{mode}": "upsample" for mode in ("nearest_1d", "linear_1d", "nearest_2d", "bilinear_2d", "bicubic_2d", "nearest_3d")},
    "upsample_trilinear_3d": "upsample",
    "sigmoid_v2": "sigmoid",
}
STEP_KINDS = _CONTRACTIONS | _SAME
"""Kinds of step that go by another name than the op type; those of several operators are added by `lift`."""

_ROUNDING = 1e-6
"""By how much a factor that is written in 32 bits may be off."""

_DATA_ARGS = ("x", "in", "a", "input_tensor", "input", "query")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of the user's, as operators."""

    kind: str
    """`conv`, `conv_transpose`, `linear`, `matmul`, `mean`, `layer_norm`, `group_norm`, `instance_norm` and others, else the op type."""
    index: int
    """The operator that it is named after, by its position in the graph."""
    ops: tuple[int, ...]
    """All its operators by position, that one included."""
    op: Op
    types: Mapping[str, TensorType] = field(repr=False, compare=False)
    """Of all tensors of the graph, by lbn."""
    x: Shape | None
    """What went in: the first operand, of a norm what is normalised."""
    y: Shape | None
    """What came out, of the last of its operators."""
    weight: Shape | None = None
    """Shape of the weight, where it multiplies with a variable."""
    owner: str | None = None
    """Path of the module that owns the weight."""
    bias: int = 0
    """Elements of the bias, 0 without one."""
    affine: bool = False
    """Whether a norm scales by a variable."""
    macs: int | None = 0
    """Multiply-accumulates of one run; None where they cannot be known."""
    made_by: str | None = None
    """Type of the operator that made what went in."""
    batched: bool = True
    """Whether it depends on the graph's input: what does not has no batch."""

    @property
    def view(self) -> OpView:
        """What a rule of the op type sees of it."""
        return view(self.op, self.op.type or "?", self.types)

    @property
    def module(self) -> str:
        """Path of the module that called it."""
        return self.op.module

    @property
    def phase(self) -> Phase | None:
        """The phase of its operators."""
        return self.op.phase

    @property
    def runs(self) -> int:
        """Times it runs in one step of training or inference."""
        return self.op.runs

    @property
    def number(self) -> int:
        """OneFlow's counter, by which the operators stand in a job; 0 without one."""
        return self.op.number or 0


_FEW = 8


class _Readers(NamedTuple):
    """What reads a tensor, by phase: the backward pass reads what the forward pass made, and is no part of the user's call."""

    slots: Mapping[Phase | None, int]
    """How many operand slots."""
    by_type: Mapping[tuple[Phase | None, str | None], Sequence[int]]
    """Operators by phase and type, one that reads it twice once."""


@dataclass(frozen=True, slots=True)
class _Net:
    """Who makes and who reads each tensor, by position of the operator."""

    ops: Sequence[Op]
    types: Mapping[str, TensorType]
    edges: Edges
    handed_on: frozenset[str]
    """Types that hand a variable on as it is: what reads their result uses the variable."""
    known: dict[str, _Readers] = field(default_factory=dict)
    """What reads a tensor, of those that were asked for and have more than `_FEW` readers."""

    def shape(self, lbn: str) -> Shape | None:
        found = self.types.get(lbn)
        return found.shape if found is not None else None

    def result(self, index: int) -> str:
        return self.ops[index].outputs[0].lbn if self.ops[index].outputs else ""

    def readers(self, lbn: str) -> _Readers:
        """What reads a tensor: worked out once where each of thousands of readers may ask, and not remembered of all others."""
        found = self.known.get(lbn)
        if found is None:
            owners = [self.edges.owners[slot] for slot in self.edges.uses(lbn)]
            by_type: dict[tuple[Phase | None, str | None], list[int]] = {}
            for index in dict.fromkeys(owners):
                by_type.setdefault((self.ops[index].phase, self.ops[index].type), []).append(index)
            slots: dict[Phase | None, int] = {}
            for index in owners:
                phase = self.ops[index].phase
                slots[phase] = slots.get(phase, 0) + 1
            found = _Readers(slots, by_type)
            if len(owners) > _FEW:
                self.known[lbn] = found
        return found

    def reader(self, lbn: str, like: Op, *op_types: str) -> int | None:
        """The one operator of these types that reads a tensor in the phase and module of another, None where there is none or several."""
        found: set[int] = set()
        by_type = self.readers(lbn).by_type
        for op_type in op_types:
            found.update(by_type.get((like.phase, op_type), ())[:2])
        index = found.pop() if len(found) == 1 else None
        return index if index is None or (self.ops[index].module == like.module and self.ops[index].outputs) else None

    def only_reader(self, lbn: str, like: Op, *op_types: str) -> int | None:
        """The same, where nothing else in that phase reads it."""
        return self.reader(lbn, like, *op_types) if self.readers(lbn).slots.get(like.phase) == 1 else None

    def variable(self, lbn: str, through: frozenset[str] = frozenset()) -> Op | None:
        """The variable that a tensor is, straight or handed on, or through these types too."""
        for _ in range(16):
            index = self.edges.maker(lbn)
            if index is None:
                return None
            op = self.ops[index]
            if op.type == "variable":
                return op
            if not op.inputs or (op.type not in self.handed_on and op.type not in through):
                return None
            lbn = op.inputs[0].lbn
        return None


def lift(graph: Graph, types: Mapping[str, TensorType], costs: Sequence[OpCost], book: RuleBook) -> tuple[Step, ...]:
    """The steps of a graph in the order of the file, variables, inputs and outputs left out."""
    net = _Net(graph.ops, types, graph.edges, book.handed_on)
    batched = _descendants(graph)
    taken: set[int] = set()
    steps: list[Step] = []
    for index, op in enumerate(graph.ops):
        norm = _norm(net, index, op) if op.type == "var" else None
        if norm is not None and taken.isdisjoint(norm.ops):
            taken.update(norm.ops)
            steps.append(norm)
    for index, op in enumerate(graph.ops):
        if index not in taken and op.type not in _SOURCES:
            step = _step(net, index, op, costs[index].cost)
            taken.update(step.ops)
            steps.append(step)
    steps.sort(key=lambda step: step.ops[0])
    return tuple(step if batched[step.index] else replace(step, batched=False) for step in _unique(steps))


def plain_steps(graph: Graph, types: Mapping[str, TensorType], costs: Sequence[OpCost], book: RuleBook) -> tuple[Step, ...]:
    """Each operator as a step of its own, in the order in which a job has them."""
    net = _Net(graph.ops, types, graph.edges, book.handed_on)
    steps = [_single(net, index, op, op.type or "?", costs[index].cost) for index, op in enumerate(graph.ops) if op.type not in _SOURCES]
    return tuple(sorted(steps, key=lambda step: step.number))


def _unique(steps: Iterable[Step]) -> Iterator[Step]:
    """An operator that a later step also claimed stays with the first."""
    seen: set[int] = set()
    for step in steps:
        own = tuple(index for index in step.ops if index not in seen)
        seen.update(own)
        if own:
            yield step if own == step.ops else replace(step, ops=own)


def _descendants(graph: Graph) -> bytearray:
    """By position, whether an operator depends on an input of the graph."""
    found = bytearray(len(graph.ops))
    fed_by = graph.edges.fed_by
    for index in graph.edges.order:
        found[index] = graph.ops[index].type == "input" or any(map(found.__getitem__, fed_by[index]))
    return found


def _single(net: _Net, index: int, op: Op, kind: str, cost: Cost) -> Step:
    data = next((operand for arg in _DATA_ARGS for operand in op.inputs if operand.arg == arg), op.inputs[0] if op.inputs else None)
    x = operand_type(data, net.types).shape if data is not None else None
    y = net.shape(op.outputs[0].lbn) if op.outputs else None
    macs = cost.get("macs") if cost.is_known("macs") else None
    maker = net.edges.maker(data.lbn) if data is not None else None
    made_by = net.ops[maker].type if maker is not None else None
    return Step(kind=kind, index=index, ops=(index,), op=op, types=net.types, x=x, y=y, macs=macs, made_by=made_by)


def _step(net: _Net, index: int, op: Op, cost: Cost) -> Step:
    kind = STEP_KINDS.get(op.type or "", op.type or "?")
    step = _single(net, index, op, kind, cost)
    if kind in ("conv", "conv_transpose"):
        return _with_bias(net, _with_weight(net, step, "weight"))
    if kind == "linear":
        bias = _operand(op, "bias")
        return replace(_with_weight(net, step, "weight"), bias=_numel(net.shape(bias)) if bias else 0)
    if kind == "matmul":
        weighted = _with_weight(net, step, "b")
        return _with_bias(net, replace(weighted, kind="linear")) if _is_linear(weighted) else weighted
    if kind in ("batch_norm", "layer_norm", "group_norm"):
        scale = _operand(op, "gamma")
        return replace(step, affine=scale is not None and net.variable(scale) is not None)
    if kind in ("gather", "embedding", "prelu"):
        return _with_weight(net, step, {"gather": "in", "prelu": "alpha"}.get(kind, "weight"))
    return _mean(net, step) if kind == "reduce_sum" else step


def _operand(op: Op, arg: str) -> str | None:
    return next((operand.lbn for operand in op.inputs if operand.arg == arg), None)


def _numel(shape: Shape | None) -> int:
    return math.prod(extent or 0 for extent in shape) if shape is not None else 0


def _with_weight(net: _Net, step: Step, arg: str) -> Step:
    lbn = _operand(step.op, arg)
    variable = net.variable(lbn) if lbn is not None else None
    if lbn is None or variable is None:
        return step if lbn is None or step.kind not in ("conv", "conv_transpose") else replace(step, weight=net.shape(lbn))
    return replace(step, weight=net.shape(lbn), owner=variable.module)


def _is_linear(step: Step) -> bool:
    """Whether it is a product with a weight of [out, in], the way in which a Linear has it."""
    if step.owner is None or step.weight is None or len(step.weight) != 2 or not step.x or not step.y:
        return False
    return bool(step.op.attrs.get("transpose_b", step.weight == (step.y[-1], step.x[-1]))) and not step.op.attrs.get("transpose_a", False)


def _with_bias(net: _Net, step: Step) -> Step:
    """The step with the addition that follows it at once, in the same module and of a variable of one dimension."""
    inner = _operand(step.op, "bias")
    if inner is not None:
        return replace(step, bias=_numel(net.shape(inner)))
    made = net.result(step.index)
    index = net.only_reader(made, step.op, "bias_add", "broadcast_add")
    if index is None:
        return step
    added = [operand.lbn for operand in net.ops[index].inputs if operand.lbn != made]
    shape = net.shape(added[0]) if len(added) == 1 and net.variable(added[0]) is not None else None
    if shape is None or len(shape) != 1:
        return step
    return replace(step, ops=(*step.ops, index), y=net.shape(net.result(index)), bias=_numel(shape))


def _mean(net: _Net, step: Step) -> Step:
    """A sum that is divided by the number of its terms at once."""
    index = net.only_reader(net.result(step.index), step.op, "scalar_mul")
    return step if index is None or not _may_divide(net.ops[index], step.x, step.y) else replace(step, kind="mean", ops=(*step.ops, index))


def _may_divide(op: Op, terms: Shape | None, sums: Shape | None) -> bool:
    """Whether a `scalar_mul` divides sums by the number of their terms: it does where the form does not tell its factor, as a print."""
    factor = op.attrs.get("float_operand" if op.attrs.get("has_float_operand", True) else "int_operand")
    if not isinstance(factor, (int, float)):
        return True
    return _numel(terms) > 0 and math.isclose(factor * _numel(terms), _numel(sums), rel_tol=_ROUNDING)


def _norm(net: _Net, index: int, op: Op) -> Step | None:
    """The norm of which an operator is the variance: OneFlow makes a layer, group or instance norm of primitives where it has no kernel."""
    if not op.inputs or not op.outputs:
        return None
    x = op.inputs[0].lbn
    ops = [index]

    def follow(lbn: str, *op_types: str) -> str | None:
        found = net.reader(lbn, op, *op_types)
        if found is None:
            return None
        ops.append(found)
        return net.result(found)

    total = follow(x, "reduce_sum")
    mean = follow(total, "scalar_mul") if total else None
    if mean is None or total is None or not _may_divide(net.ops[ops[-1]], net.shape(x), net.shape(total)):
        return None
    centred = follow(mean, "broadcast_sub")
    variance = follow(net.result(index), "scalar_add")
    deviation = follow(variance, "rsqrt", "sqrt") if variance else None
    scaled = follow(deviation, "broadcast_mul", "broadcast_div") if deviation else None
    if centred is None or scaled is None or centred not in {operand.lbn for operand in net.ops[ops[-1]].inputs}:
        return None
    before = net.edges.maker(x)
    is_folded = before is not None and net.ops[before].type in RESHAPED and net.ops[before].module == op.module
    shape = net.shape(x)
    kind = "layer_norm"
    if is_folded and before is not None and net.ops[ops[-1]].type == "broadcast_div":
        ops.insert(0, before)
        x = net.ops[before].inputs[0].lbn
        source = net.shape(x)
        kind = "instance_norm" if shape and source and len(source) > 1 and shape[1] == source[1] else "group_norm"
    last, affine = _affine(net, op, scaled, ops, folded=kind != "layer_norm")
    return Step(kind=kind, index=index, ops=tuple(ops), op=op, types=net.types, x=net.shape(x), y=net.shape(last), affine=affine)


def _affine(net: _Net, op: Op, last: str, ops: list[int], *, folded: bool) -> tuple[str, bool]:
    """Follows a norm to its end: scale and shift by variables, and the way back to the shape that came in. Adds to `ops`."""
    affine = False
    wanted = ["broadcast_mul", "broadcast_add"]
    for _ in range(5):
        index = net.only_reader(last, op, *wanted, *(RESHAPED if folded else ()))
        if index is None:
            break
        found = net.ops[index]
        if found.type in wanted:
            others = [operand.lbn for operand in found.inputs if operand.lbn != last]
            if len(others) != 1 or net.variable(others[0], RESHAPED) is None:
                break
            maker = net.edges.maker(others[0])
            if maker is not None and net.ops[maker].type in RESHAPED:
                ops.append(maker)
            affine = True
            wanted = wanted[wanted.index(found.type) + 1 :]
        ops.append(index)
        last = net.result(index)
    return last, affine
