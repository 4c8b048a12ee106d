"""What to tell of an operator that cannot take the new sizes, or cannot be read: where it is, the shapes and their origin, what helps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from irflops.errors import IrflopsError, error_at, quoted
from irflops.ir.graph import Op, Operand, Shape
from irflops.ops.resize import CUTS
from irflops.whatif.alternatives import Operands
from irflops.whatif.prepared import Prepared
from irflops.whatif.request import Asked, text
from irflops.whatif.world import World

E = TypeVar("E", bound=IrflopsError)

MOST_LISTED = 4
"""Operands, and readings of an operator, that an error spells out."""

OTHER_FORM = "give the job instead of the printed graph, it holds all attributes: write str(graph._full_graph_proto) to a file"
_ASKED_SIZE = "capture the graph at the size that you ask for"
OTHER_SIZE = "capture the graph at a size that no other extent has (a batch of 3, say): then the extents tell"


class Misfit(IrflopsError):
    """An operator cannot take the new sizes. It may be the shape of a variable that its operands are made of, which could change too."""

    variables: tuple[Op, ...] = ()
    """The variables behind its operands, where only views and copies lie between; then those behind where other readings ended."""
    wanted: tuple[Asked, ...] = ()
    """What was asked for."""
    changes: tuple[tuple[int, int], ...] = ()
    """Extents of its operands that changed, as pairs of old and new."""


def misfit(
    prepared: Prepared, op: Op, operands: Operands, why: str, world: World, refused: Sequence[Op] = (), *, guessed: bool = False
) -> Misfit:
    """An operator that cannot take its operands; perhaps for what was taken for likely before it. Other readings ended at the `refused`."""
    each = [
        f"{operand.arg} {_shape(after.shape)} from {_origin(prepared, operand, world)}"
        for operand, after in zip(op.inputs[:MOST_LISTED], operands.after, strict=False)
    ]
    message = f"{quoted(op.name)} cannot take the new sizes: {why}"
    if each:
        message += f"; {', '.join(each)}{' and others' if len(op.inputs) > MOST_LISTED else ''}"
    hint = f"the model is bound to its size here; if only the graph is, {_ASKED_SIZE}"
    if guessed and not prepared.holds_attributes:
        hint = f"the model is bound to its size here, or means another thing before it: {OTHER_FORM}"
    error = _error(prepared, op, message, hint, Misfit)
    behind = [_source(prepared, operand, world) for each in (op, *refused) for operand in each.inputs]
    error.variables = tuple(dict.fromkeys(source for source in behind if source is not None and source.type == "variable"))
    pairs = zip(operands.before, operands.after, strict=True)
    grown = (zip(was.shape, now.shape, strict=False) for was, now in pairs if was.shape is not None and now.shape is not None)
    error.changes = tuple(dict.fromkeys((a, b) for one in grown for a, b in one if a is not None and b is not None and a != b))
    return error


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


def _error(prepared: Prepared, op: Op, message: str, hint: str, kind: type[E] = IrflopsError) -> E:  # type: ignore[assignment]  # E is bound
    source = prepared.graph.source
    if op.span is not None and source.text:
        return error_at(kind, source, op.span, message, hint)
    return kind(message, path=source.name, hint=hint)


def _origin(prepared: Prepared, operand: Operand, world: World) -> str:
    """Who makes an operand, and the variable behind it where only views and copies lie between."""
    producer = prepared.graph.producers.get(operand.lbn)
    if producer is None:
        return quoted(operand.lbn)
    at = _source(prepared, operand, world)
    if at is not None and at.type in ("input", "variable"):
        source = f"{at.type} {quoted(at.name)}"
        return source if at is producer else f"{quoted(producer.name)}, made of {source}"
    return quoted(producer.name)


def _source(prepared: Prepared, operand: Operand, world: World) -> Op | None:
    """The operator that an operand comes from, where only operators of one operand lie between that nothing changed before."""
    at, hops = prepared.graph.producers.get(operand.lbn), 0
    while at is not None and at.type not in ("input", "variable") and len(at.inputs) == 1 and hops < len(prepared.graph.ops):
        before = prepared.graph.producers.get(at.inputs[0].lbn)
        if before is None or world.changes(at.inputs[0].lbn):
            break
        at, hops = before, hops + 1
    return at


def _shape(shape: Shape | None) -> str:
    return "of unknown shape" if shape is None else text(shape)
