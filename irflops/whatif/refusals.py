"""What to tell of an operator that cannot take the new sizes, or cannot be read: where it is, the shapes and their origin, what helps."""

from __future__ import annotations

from collections.abc import Sequence

from irflops.errors import IrflopsError, error_at, quoted
from irflops.ir.graph import Op, Operand, Shape
from irflops.ops.resize import CUTS
from irflops.whatif.alternatives import Operands
from irflops.whatif.prepared import Prepared
from irflops.whatif.request import text
from irflops.whatif.world import World

MOST_LISTED = 4
"""Operands, and readings of an operator, that an error spells out."""

OTHER_FORM = "give the job instead of the printed graph, it holds all attributes: write str(graph._full_graph_proto) to a file"
_ASKED_SIZE = "capture the graph at the size that you ask for"
OTHER_SIZE = "capture the graph at a size that no other extent has (a batch of 3, say): then the extents tell"


def misfit(prepared: Prepared, op: Op, operands: Operands, why: str, world: World, *, guessed: bool = False) -> IrflopsError:
    """An operator that cannot take its operands; perhaps for what was taken for likely before it."""
    each = [
        f"{operand.arg} {_shape(after.shape)} from {_origin(prepared, operand, world)}"
        for operand, after in zip(op.inputs[:MOST_LISTED], operands.after, strict=False)
    ]
    message = f"{quoted(op.name)} cannot take the new sizes: {why}"
    if each:
        message += f"; {', '.join(each)}{' and others' if len(op.inputs) > MOST_LISTED else ''}"
    if guessed and not prepared.holds_attributes:
        return _error(prepared, op, message, f"the model is bound to its size here, or means another thing before it: {OTHER_FORM}")
    return _error(prepared, op, message, f"the model is bound to its size here; if only the graph is, {_ASKED_SIZE}")


def ambiguous(prepared: Prepared, one: World, others: Sequence[World]) -> IrflopsError:
    """The first operator of which several readings fit to the end."""
    other = others[0]
    name = next(iter(one.differing(other) or one.chosen))
    op = prepared.graph.by_name[name]
    captured = prepared.shapes(op)
    lbn = next((lbn for lbn, shape in captured.items() if one.shape(lbn, shape) != other.shape(lbn, shape)), op.outputs[0].lbn)
    readings = list(dict.fromkeys(_shape(world.shape(lbn, captured[lbn])) for world in (one, *others)))
    fit = "both fit" if len(readings) == 2 else f"all {len(readings)} fit"
    listed = " or ".join(readings) if len(readings) <= MOST_LISTED else f"{', '.join(readings[:MOST_LISTED])} or others"
    message = f"{quoted(name)} ({op.type}) gave {_shape(captured[lbn])} and could now give {listed}: {fit}"
    # No other size tells whether an extent is a constant, or where a cut counts from.
    rule = prepared.book.rule(op.type)
    constant = _shape(captured[lbn]) in readings or (rule is not None and rule.resized in CUTS)
    return _error(prepared, op, message, _ASKED_SIZE if constant else OTHER_SIZE)


def too_many(prepared: Prepared, world: World, most: int) -> IrflopsError:
    """More readings of the whole graph than can be followed."""
    chosen = [name for part in reversed(list(world.line())) for name in part.chosen]
    op = prepared.graph.by_name[chosen[0]]
    message = f"more than {most} readings of {len(chosen)} operators fit the new sizes, from {quoted(op.name)} ({op.type}) on"
    return _error(prepared, op, message, OTHER_SIZE)


def exhausted(prepared: Prepared, op: Op) -> IrflopsError:
    """More readings, over all operators so far, than can be tried."""
    message = f"{quoted(op.name)} ({op.type}) and the operators before it leave more readings open than are tried"
    return _error(prepared, op, message, OTHER_SIZE if prepared.holds_attributes else OTHER_FORM)


def _error(prepared: Prepared, op: Op, message: str, hint: str) -> IrflopsError:
    source = prepared.graph.source
    if op.span is not None and source.text:
        return error_at(IrflopsError, source, op.span, message, hint)
    return IrflopsError(message, path=source.name, hint=hint)


def _origin(prepared: Prepared, operand: Operand, world: World) -> str:
    """Who makes an operand, and the variable behind it where only views and copies lie between."""
    producer = prepared.graph.producers.get(operand.lbn)
    if producer is None:
        return quoted(operand.lbn)
    at, hops = producer, 0
    while at.type not in ("input", "variable") and len(at.inputs) == 1 and hops < len(prepared.graph.ops):
        before = prepared.graph.producers.get(at.inputs[0].lbn)
        if before is None or world.changes(at.inputs[0].lbn):
            break
        at, hops = before, hops + 1
    if at.type in ("input", "variable"):
        source = f"{at.type} {quoted(at.name)}"
        return source if at is producer else f"{quoted(producer.name)}, made of {source}"
    return quoted(producer.name)


def _shape(shape: Shape | None) -> str:
    return "of unknown shape" if shape is None else text(shape)
