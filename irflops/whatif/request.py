"""What a what-if asks for: which inputs and variables take which shapes, in words that name them as the graph does."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index

from irflops.errors import IrflopsError, quoted
from irflops.ir.graph import Graph, Op, TensorType

MOST_EXTENT = 2**63 - 1
"""OneFlow holds extents in 64 bits."""

Inputs = Mapping[str, Sequence[int]] | Mapping[str | None, Sequence[int]] | Sequence[int]
"""Shapes by the name of an input; None, or a shape alone, stands for the one input of a graph."""


Variables = Mapping[str, Sequence[int]]
"""Shapes by the name of a variable; `*` in a name stands for any part of one level, `**` for any number of levels."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An input or a variable, and the shape that it is to take."""

    op: Op
    lbn: str
    before: tuple[int, ...]
    after: tuple[int, ...]


def asked(graph: Graph, types: Mapping[str, TensorType], batch: int | None, inputs: Inputs | None) -> tuple[Asked, ...]:
    """The inputs that change, in file order. Errors: IrflopsError where there is no such input, or its axes are others."""
    ops = input_ops(graph)
    captured = {op.name: captured_shape(graph, op, types) for op in ops}
    wanted = dict(captured)
    for asked_for, shape in _by_name(inputs).items():
        op = input_op(graph, asked_for, captured)
        wanted[op.name] = new_shape(graph, op, captured[op.name], shape)
    if batch is not None:
        wanted |= _batched(graph, ops, captured, wanted, batch)
    return tuple(Asked(op, op.outputs[0].lbn, captured[op.name], wanted[op.name]) for op in ops if wanted[op.name] != captured[op.name])


def new_shape(graph: Graph, op: Op, before: tuple[int, ...], shape: Sequence[int]) -> tuple[int, ...]:
    """The shape that an input or a variable is to take. Errors: IrflopsError where it is none, or has other axes than the captured one."""
    after = _extents(shape)
    if len(after) != len(before):
        raise IrflopsError(
            f"{op.type} {quoted(op.name)} has {len(before)} axes, {text(before)}; {text(after)} has {len(after)}", path=graph.source.name
        )
    if any(extent < 1 for extent in after):
        raise IrflopsError(f"{text(after)} is no shape: extents are 1 or more", path=graph.source.name)
    if max(after, default=1) > MOST_EXTENT:
        raise IrflopsError(f"{text(after)} is too large: an extent is below 2^63", path=graph.source.name)
    return after


def input_ops(graph: Graph) -> tuple[Op, ...]:
    """The inputs of a graph in file order. Errors: IrflopsError where there is none."""
    ops = tuple(op for op in graph.ops if op.type == "input" and op.outputs)
    if not ops:
        raise IrflopsError("the graph has no input whose shape could change", path=graph.source.name)
    return ops


def _batched(
    graph: Graph, ops: Sequence[Op], captured: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], batch: int
) -> dict[str, tuple[int, ...]]:
    """Axis 0 of the first input, and of every other of the same extent."""
    first = captured[ops[0].name]
    (batch,) = _extents((batch,))
    if batch < 1:
        raise IrflopsError(f"a batch of {batch} is none: it is 1 or more")
    if batch > MOST_EXTENT:
        raise IrflopsError(f"a batch of {batch} is too large: an extent is below 2^63")
    if not first:
        raise IrflopsError(f"the first input, {quoted(ops[0].name)}, is a scalar: it has no batch", path=graph.source.name)
    return {op.name: (batch, *wanted[op.name][1:]) for op in ops if captured[op.name][:1] == first[:1]}


def captured_shape(graph: Graph, op: Op, types: Mapping[str, TensorType]) -> tuple[int, ...]:
    """The shape of an input or a variable as captured. Errors: IrflopsError where it is not known."""
    shape = types[op.outputs[0].lbn].shape
    extents = tuple(extent for extent in shape or () if extent is not None)
    if shape is None or len(extents) < len(shape):
        raise IrflopsError(f"the shape of {op.type} {quoted(op.name)} is not known", path=graph.source.name)
    return extents


def _extents(shape: Sequence[int]) -> tuple[int, ...]:
    try:
        return tuple(map(index, shape))
    except TypeError:
        raise IrflopsError(f"{shape!r} is no shape: its extents are integers, as in (1, 3, 224, 224)") from None


def _by_name(inputs: Inputs | None) -> Mapping[str | None, Sequence[int]]:
    if inputs is None:
        return {}
    return dict(inputs.items()) if isinstance(inputs, Mapping) else {None: inputs}


def input_op(graph: Graph, name: str | None, captured: Mapping[str, Sequence[int | None]]) -> Op:
    """The input of that name, or the only one. Errors: IrflopsError that lists the inputs with their captured shapes."""
    ops = input_ops(graph)
    listing = "".join(f"\n  {op.name}  {text(captured[op.name])}" for op in ops)
    if name is None:
        if len(ops) == 1:
            return ops[0]
        example = f"{ops[0].name}={text(captured[ops[0].name])}"
        raise IrflopsError(f"the graph has {len(ops)} inputs:{listing}", path=graph.source.name, hint=f"name one: --input {example}")
    for op in ops:
        if name in (op.name, op.outputs[0].lbn):
            return op
    near = difflib.get_close_matches(name, [op.name for op in ops], n=1)
    hint = f"did you mean {near[0]}?" if near else None
    raise IrflopsError(
        f"no input is called {quoted(name)}; there {'is' if len(ops) == 1 else 'are'}:{listing}", path=graph.source.name, hint=hint
    )


def text(shape: Sequence[int | None]) -> str:
    """A shape as the command line takes it: 1x3x224x224."""
    return "x".join("?" if extent is None else str(extent) for extent in shape) or "scalar"
