"""`materialised-broadcast`: a broadcast is copied out for an op that would broadcast by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from irflops.auditing.facts import Facts, Use
from irflops.auditing.finding import Confidence, Severity
from irflops.auditing.kinds import VIEW_CHAIN
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.auditing.rules._gains import step_gain
from irflops.ir.graph import Op
from irflops.ops import broadcast
from irflops.ops.shapes import broadcast_shapes

_COPIES = ("expand", "repeat", "broadcast_like")
_PRODUCTS = frozenset({"batch_matmul", "broadcast_matmul"})
_BROADCASTING = {
    **{op_type: op_type for op_type in (*broadcast.ARITHMETIC, *broadcast.COMPARISONS)},
    **{op_type: op_type for op_type in ("where", "where_scalar_x", "where_scalar_y")},
    **dict.fromkeys(_PRODUCTS, "broadcast_matmul"),
}
"""Ops whose operands OneFlow lets broadcast, and what it calls them on shapes that differ; of others their rules say it (`unequal`)."""


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    looked_at = 0
    for op in facts.users(*_COPIES):
        if not op.inputs or not op.outputs or (op.type == "repeat" and op.runs > 1):
            continue
        looked_at += 1
        use, views = _reader(op, facts)
        if use is None or not (_can_broadcast(use.op, facts) or _is_open_view(use.op, facts)):
            continue
        small, large = facts.shape(op.inputs[0]), facts.shape(op.outputs[0])
        others = [facts.shape(operand) for operand in use.op.inputs if operand is not use.operand]
        out = facts.shape(use.op.outputs[0])
        if small is None or large is None or out is None or None in others or use.op.type in VIEW_CHAIN:
            yield Undecided(reason="the shapes of a broadcast and of what reads it are not known", op=op)
            continue
        if small == large or not _gives(out, use.op, small, large, [shape for shape in others if shape is not None]):
            continue
        # The axes of a smaller rank may go elsewhere than to the front; an attribute alone tells.
        certainty = Confidence.PROVEN if len(small) == len(large) or _in_front(op) else Confidence.LIKELY
        gain = step_gain(facts, [op, *views, use.op], [facts.cost_if(_without(op, use, facts))])
        yield Hit(message=f"{use.op.name}, which alone reads it, would broadcast by itself", op=op, certainty=certainty, gain=gain)
    yield Near(message=f"{looked_at:,} broadcasts are copied out")


def _reader(copy: Op, facts: Facts) -> tuple[Use | None, list[Op]]:
    """What alone reads a copy in the forward pass, and the views between that leave its shape: `repeat` of OneFlow 0.9 ends in one."""
    shape, views = facts.shape(copy.outputs[0]), []
    use = facts.only_forward_use(copy)
    while use is not None and use.op.type in VIEW_CHAIN and shape is not None and facts.shape(use.op.outputs[0]) == shape:
        views.append(use.op)
        use = facts.only_forward_use(use.op)
    return use, views


def _is_open_view(reader: Op, facts: Facts) -> bool:
    """Whether the reader is a view of which an unknown shape does not tell whether it leaves the copy's."""
    return reader.type in VIEW_CHAIN and None in (facts.shape(reader.inputs[0]), facts.shape(reader.outputs[0]))


def _broadcasting(op: Op, facts: Facts) -> str | None:
    """The type that an op has on shapes that differ, None where it takes no such."""
    rule = facts.book.rule(op.type)
    return _BROADCASTING.get(op.type or "") or (rule.unequal if rule is not None else None) or None


def _can_broadcast(reader: Op, facts: Facts) -> bool:
    """Whether an op has an equal for operands of other shapes; `add_n` has one for two."""
    return _broadcasting(reader, facts) is not None and len(reader.outputs) == 1 and (reader.type != "add_n" or len(reader.inputs) == 2)


def _gives(out: tuple[int, ...], reader: Op, small: tuple[int, ...], large: tuple[int, ...], others: list[tuple[int, ...]]) -> bool:
    """Whether the reader has a result of the same shape with the small operand; of matrices, the batches alone broadcast."""
    if reader.type in _PRODUCTS:
        if len(small) < 2 or small[-2:] != large[-2:]:
            return False
        small, out, others = small[:-2], out[:-2], [shape[:-2] for shape in others]
    try:
        return broadcast_shapes(small, *others) == out
    except ValueError:
        return False


def _without(copy: Op, use: Use, facts: Facts) -> Op:
    """The reader on the small operand."""
    reader, op_type = use.op, _broadcasting(use.op, facts)
    small = replace(use.operand, lbn=copy.inputs[0].lbn, type=facts.type(copy.inputs[0]))
    operands = tuple(small if operand is use.operand else operand for operand in reader.inputs)
    if op_type == reader.type or reader.type in _PRODUCTS:
        return replace(reader, type=op_type, inputs=operands)
    named = tuple(replace(operand, arg=arg, index=0) for operand, arg in zip(operands, ("x", "y"), strict=True))
    return replace(reader, type=op_type, inputs=named, outputs=(replace(reader.outputs[0], arg="z", index=0),))


def _in_front(op: Op) -> bool:
    axes = op.attrs.get("broadcast_axes")
    return op.type == "expand" or (isinstance(axes, tuple) and axes == tuple(range(len(axes))))


_COPY = "x = input() -> out: f32[2,8]\nt = variable() -> out: f32[1,8]\na = expand(in: t, expand_shape=[2,8]) -> out: f32[2,8]\n"
_BARE = "x = input() -> out: f32[2,8]\nt = variable() -> out: f32[1,8]\n"
_GAIN = {"bytes_read": 64, "bytes_written": 64, "activation_elements": 16, "activation_bytes": 64}
_BECAUSE = "8 elements are read and 16 written; then 16 read that could be 8"
_MATRIX = "t = variable() -> out: f32[1,3,5]\n"
_MATRICES = "a = expand(in: t, expand_shape=[2,3,5]) -> out: f32[2,3,5]\n"
_TRANSPOSES = "transpose_a=false, transpose_b=false, alpha=1.0"
_TRAINED = (
    "y = broadcast_mul(x: x, y: a) -> z: f32[2,8]\nloss = reduce_sum(input_tensor: y) -> output_tensor: f32[1]\n"
    "seed = ones_like(like: loss) -> out: f32[1]\ndy = broadcast_like(x: seed, like: y) -> y: f32[2,8]\n"
    "dx = broadcast_mul(x: dy, y: a) -> z: f32[2,8]\noutput(in: loss)"
)

RULE = AuditRule(
    name="materialised-broadcast",
    summary="expand, repeat or broadcast_like writes a broadcast tensor whose only use would broadcast by itself.",
    why="The copy is written and read again at its full size.",
    fix="Leave the copy out: arithmetic, comparisons, `where` and the batches of `matmul` broadcast by themselves.",
    severity=Severity.WARNING,
    check=_check,
    refutable=True,
    undecidable="Where the form does not tell along which axes a smaller rank was broadcast, the finding is likely. Ops that OneFlow "
    "defines on equal shapes alone (`floordiv`, `atan2`, `masked_fill`, a sum of three) need the copy.",
    good=(
        Good(
            name="the use needs the copy",
            graph="x = input() -> out: f32[2,8]\nt = variable() -> out: f32[1,8]\na = expand(in: t, expand_shape=[2,8]) -> out: f32[2,8]\n"
            "y = concat(in: [x, a], axis=1, max_dim_size=16) -> out: f32[2,16]\noutput(in: y)",
        ),
        Good(
            name="a sum of three",
            graph=_COPY + "r = input() -> out: f32[2,8]\ny = add_n(in: [x, r, a]) -> out: f32[2,8]\noutput(in: y)",
        ),
        Good(
            name="an op that takes equal shapes alone",
            graph=_COPY + "y = floordiv(x: x, y: a) -> z: f32[2,8]\noutput(in: y)",
        ),
        Good(
            name="the rows of a matrix",
            graph="x = input() -> out: f32[2,4,3]\nt = variable() -> out: f32[2,1,5]\n"
            + _MATRICES
            + f"y = batch_matmul(a: x, b: a, {_TRANSPOSES}) -> out: f32[2,4,5]\noutput(in: y)",
        ),
        Good(
            name="the copy takes another shape",
            graph=_COPY + "r = reshape(in: a) -> out: f32[4,4]\nu = input() -> out: f32[4,4]\n"
            "y = add_n(in: [u, r]) -> out: f32[4,4]\noutput(in: x)\noutput(in: y)",
        ),
        Good(
            name="a shape that is not known",
            graph=_COPY.replace("x = input() -> out: f32[2,8]", "x = input() -> out: f32[?,8]")
            + "y = broadcast_add(x: x, y: a) -> z: f32[?,8]\noutput(in: y)",
            undecided=True,
        ),
        Good(
            name="both sides are broadcast",
            graph="x = input() -> out: f32[1,8]\nt = variable() -> out: f32[1,8]\na = expand(in: t, expand_shape=[2,8]) -> out: f32[2,8]\n"
            "y = broadcast_add(x: x, y: a) -> z: f32[2,8]\noutput(in: y)",
        ),
    ),
    bad=(
        Bad(
            name="expand before an addition",
            graph=_COPY + "y = add_n(in: [x, a]) -> out: f32[2,8]\noutput(in: y)",
            op="a",
            because=_BECAUSE,
            gain=_GAIN,
            mended=_BARE + "y = broadcast_add(x: x, y: t) -> z: f32[2,8]\noutput(in: y)",
        ),
        Bad(
            name="expand before a minimum",
            graph=_COPY + "y = elementwise_minimum(x: a, y: x) -> z: f32[2,8]\noutput(in: y)",
            op="a",
            because=_BECAUSE,
            gain=_GAIN,
            mended=_BARE + "y = broadcast_minimum(x: t, y: x) -> z: f32[2,8]\noutput(in: y)",
        ),
        Bad(
            name="expand before a choice",
            graph=_COPY + "c = input() -> out: bool[2,8]\ny = where(condition: c, x: x, y: a) -> out: f32[2,8]\noutput(in: y)",
            op="a",
            because=_BECAUSE,
            gain=_GAIN,
            mended=_BARE + "c = input() -> out: bool[2,8]\ny = where(condition: c, x: x, y: t) -> out: f32[2,8]\noutput(in: y)",
        ),
        Bad(
            name="as OneFlow makes `repeat`",
            graph=_BARE + "s = reshape(in: t) -> out: f32[1,8]\na = expand(in: s) -> out: f32[2,8]\nr = reshape(in: a) -> out: f32[2,8]\n"
            "y = add_n(in: [x, r]) -> out: f32[2,8]\noutput(in: y)",
            op="a",
            because=_BECAUSE,
            gain=_GAIN,
            mended=_BARE + "y = broadcast_add(x: x, y: t) -> z: f32[2,8]\noutput(in: y)",
        ),
        Bad(
            name="one matrix for each of a batch",
            graph="x = input() -> out: f32[2,4,3]\n"
            + _MATRIX
            + _MATRICES
            + f"y = batch_matmul(a: x, b: a, {_TRANSPOSES}) -> out: f32[2,4,5]\n"
            "output(in: y)",
            op="a",
            because="15 elements are read and 30 written; then 30 read that could be 15",
            gain={"bytes_read": 120, "bytes_written": 120, "activation_elements": 30, "activation_bytes": 120},
            mended="x = input() -> out: f32[2,4,3]\n" + _MATRIX + f"y = broadcast_matmul(a: x, b: t, {_TRANSPOSES}) -> out: f32[2,4,5]\n"
            "output(in: y)",
        ),
        Bad(
            name="in training",
            graph="training\n" + _COPY + _TRAINED,
            op="a",
            because="the gradients change too, by more than the dump tells",
        ),
    ),
)
