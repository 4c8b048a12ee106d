"""Whether a table has the entries that counted positions choose: an index beyond its end has a shape all the same, and no answer."""

from __future__ import annotations

from irflops.ir.graph import Op, Operand
from irflops.whatif.alternatives import Operands
from irflops.whatif.prepared import Prepared
from irflops.whatif.world import World

MOST_HOPS = 16
"""Views, casts and copies between a count and the look-up by it."""


def overrun(prepared: Prepared, op: Op, operands: Operands, world: World) -> str | None:
    """Why an operator cannot look up what it is asked to; None where it can, or where nothing tells which entries it is asked for."""
    rule = prepared.book.rule(op.type)
    if rule is None or not rule.looks_up:
        return None
    places = {operand.arg: place for place, operand in enumerate(op.inputs)}
    for indices, table in rule.looks_up.items():
        if indices not in places or table not in places:
            continue
        shape, axis = operands.after[places[table]].shape, op.attrs.get("axis", 0)
        entries = shape[axis] if shape is not None and isinstance(axis, int) and -len(shape) <= axis < len(shape) else None
        last = _last_of(prepared, op.inputs[places[indices]], world)
        if entries is not None and last is not None and last >= entries:
            return f"{op.type}: its positions go up to {last:,}, and the table has {entries:,} entries"
    return None


def _last_of(prepared: Prepared, indices: Operand, world: World) -> int | None:
    """The greatest of indices that count from 0, one by one."""
    at = prepared.graph.producers.get(indices.lbn)
    for _ in range(MOST_HOPS):
        if at is None or at.type == "arange" or len(at.inputs) != 1:
            break
        rule = prepared.book.rule(at.type)
        if rule is None or rule.contraction:
            return None
        at = prepared.graph.producers.get(at.inputs[0].lbn)
    if at is None or at.type != "arange" or at.attrs.get("integer_start", 0) != 0 or at.attrs.get("integer_delta", 1) != 1:
        return None
    shape = world.shape(at.outputs[0].lbn, prepared.captured(at.outputs[0]).shape)
    return shape[0] - 1 if shape is not None and len(shape) == 1 and shape[0] is not None else None
