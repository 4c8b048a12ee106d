"""`materialised-broadcast`: a broadcast is copied out for an op that would broadcast by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from irflops.audit.facts import Facts
from irflops.audit.finding import Certainty, Severity
from irflops.audit.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.audit.rules._reads import only_forward_use
from irflops.ir import Op, Operand
from irflops.ops import BY_TYPE
from irflops.ops.rule import broadcast_shapes

_COPIES = ("expand", "repeat", "broadcast_like")
_BROADCASTING = {"add_n": "broadcast_add", "multiply": "broadcast_mul", "elementwise_maximum": "broadcast_maximum"}
"""Ops on equal shapes, and what they are called on shapes that broadcast."""


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    looked_at = 0
    for op in facts.users(*_COPIES):
        if not op.inputs or not op.outputs or (op.type == "repeat" and op.runs > 1):
            continue
        looked_at += 1
        use = only_forward_use(op, facts)
        small, large = facts.shape(op.inputs[0]), facts.shape(op.outputs[0])
        if small is None or large is None:
            yield Undecided(reason="the shapes of a broadcast are not known", op=op)
            continue
        if use is None or small == large:
            continue
        twin = _without(op, use.op, use.operand, facts)
        if twin is None:
            continue
        # The axes of a smaller rank may go elsewhere than to the front; an attribute alone tells.
        certainty = Certainty.PROVEN if len(small) == len(large) or _in_front(op) else Certainty.LIKELY
        # In training the gradients become others too.
        gain = None if facts.has_backward else facts.gain([op, use.op], [facts.cost_if(twin)])
        yield Hit(message=f"{use.op.name}, which alone reads it, would broadcast by itself", op=op, certainty=certainty, gain=gain)
    yield Near(message=f"{looked_at:,} broadcasts are copied out")


def _without(copy: Op, reader: Op, slot: Operand, facts: Facts) -> Op | None:
    """The reader on the small operand, None where that would not give the same shape."""
    if len(reader.inputs) != 2 or len(reader.outputs) != 1:
        return None
    op_type = reader.type if (reader.type or "").startswith("broadcast_") else _BROADCASTING.get(reader.type or "")
    if op_type not in BY_TYPE or op_type in ("broadcast_like", "broadcast_matmul"):
        return None
    other = next((operand for operand in reader.inputs if operand is not slot), None)
    small = facts.shape(copy.inputs[0])
    shape = facts.shape(other) if other is not None else None
    if other is None or small is None or shape is None or other.lbn == slot.lbn:
        return None
    try:
        result = broadcast_shapes(small, shape)
    except ValueError:
        return None
    if result != facts.shape(reader.outputs[0]):
        return None
    given = replace(copy.inputs[0], type=facts.type(copy.inputs[0]))
    operands = [given if operand is slot else operand for operand in reader.inputs]
    named = tuple(replace(operand, arg=arg, index=0) for operand, arg in zip(operands, ("x", "y"), strict=True))
    return replace(reader, type=op_type, inputs=named, outputs=(replace(reader.outputs[0], arg="z", index=0),))


def _in_front(op: Op) -> bool:
    axes = op.attrs.get("broadcast_axes")
    return op.type == "expand" or (isinstance(axes, tuple) and axes == tuple(range(len(axes))))


RULE = AuditRule(
    name="materialised-broadcast",
    summary="expand, repeat or broadcast_like writes a broadcast tensor whose only use would broadcast by itself.",
    why="The copy is written and read again at its full size.",
    fix="Leave the expand out: arithmetic broadcasts by itself.",
    severity=Severity.WARNING,
    check=_check,
    undecidable="Where the form does not tell along which axes a smaller rank was broadcast, the finding is likely.",
    good=(
        Good(
            name="the use needs the copy",
            graph="x = input() -> out: f32[2,8]\nt = variable() -> out: f32[1,8]\na = expand(in: t, expand_shape=[2,8]) -> out: f32[2,8]\n"
            "y = concat(in: [x, a], axis=1, max_dim_size=16) -> out: f32[2,16]\noutput(in: y)",
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
            graph="x = input() -> out: f32[2,8]\nt = variable() -> out: f32[1,8]\na = expand(in: t, expand_shape=[2,8]) -> out: f32[2,8]\n"
            "y = add_n(in: [x, a]) -> out: f32[2,8]\noutput(in: y)",
            op="a",
            because="8 elements are read and 16 written; then 16 read that could be 8",
            gain={"bytes_read": 64, "bytes_written": 64, "activation_elements": 16, "activation_bytes": 64},
            mended="x = input() -> out: f32[2,8]\nt = variable() -> out: f32[1,8]\n"
            "y = broadcast_add(x: x, y: t) -> z: f32[2,8]\noutput(in: y)",
        ),
    ),
)
