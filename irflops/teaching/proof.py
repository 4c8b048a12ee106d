"""Holds a rule to its own examples."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.errors import IrflopsError
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.work import Unknowable
from irflops.readers.notation.op_signature import read_call


def failures(rule: OpRule, example: Example) -> tuple[str, ...]:
    """What a rule says otherwise than an example of its does, in words; nothing where they agree."""
    try:
        call = read_call(example.call)
        op = OpView(call.op_type, call.inputs, call.outputs, call.attrs)
        return (*_shapes(rule, op), *_counts(rule, example, op))
    except IrflopsError as error:
        return (error.message,)


def _shapes(rule: OpRule, op: OpView) -> Iterator[str]:
    try:
        inferred = {arg: types if isinstance(types, tuple) else (types,) for arg, types in rule.shape(op).items()}
    except Unknowable:
        return  # a call without what the shape follows from
    except ValueError as error:
        yield str(error)
        return
    for arg in op.output_args:
        if arg in inferred and inferred[arg] != op.outputs(arg):
            yield f"{arg} would be {', '.join(map(str, inferred[arg]))}, the example says {', '.join(map(str, op.outputs(arg)))}"


def _counts(rule: OpRule, example: Example, op: OpView) -> Iterator[str]:
    found: dict[str, int | None] = {}
    try:
        work = rule.cost(op)
    except Unknowable as unknown:
        work = unknown.known
    except ValueError as error:
        yield str(error)
        return
    found |= {"macs": work.macs, "flops": work.flops, "transcendentals": work.transcendentals}
    try:
        moved = rule.moved(op)
        found |= {"bytes_read": sum(moved.reads.values()), "bytes_written": sum(moved.writes.values())}
    except Unknowable:
        found |= {"bytes_read": None, "bytes_written": None}
    for name, value in found.items():
        stated = getattr(example, name)
        if stated is not None and value != (None if stated == "unknown" else stated):
            yield f"{name}: the rule says {'unknown' if value is None else f'{value:,}'}, the example {_figure(stated)}"


def _figure(stated: int | str) -> str:
    return stated if isinstance(stated, str) else f"{stated:,}"
