"""Which variables ZeRO splits over the devices that would each hold all of them, on another mesh or where it was off."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from irflops.ir.graph import Graph, Note, Op, Operand, Phase, Role
from irflops.ir.sbp import NdSbp, Sbp

ZERO_THRESHOLD = 1024
"""Elements of a part below which OneFlow's ZeRO leaves a variable whole (`optimizer_placement_optimization_threshold`)."""


def with_zero(graph: Graph) -> Graph:
    """The graph as if ZeRO had been on, its stage 1: updates hold parts of parameters, gradients and states. Itself where nothing is split.

    What reads a parameter wants it as before, so that it is brought together for all of them.
    """
    makers = graph.producers
    changed: dict[str, tuple[NdSbp, NdSbp]] = {}
    for op in _updates(graph):
        variable = _variable(op, makers)
        result = variable.outputs[0] if variable is not None else None
        if variable is None or result is None or result.nd_sbp is None or variable.placement is None:
            continue
        mesh = variable.placement.hierarchy
        part = _part(result.nd_sbp, result, mesh) if len(mesh) == len(result.nd_sbp) and math.prod(mesh) > 1 else None
        if part is not None and part >= ZERO_THRESHOLD and not _is_sharded(variable, mesh, graph):
            changed[op.name] = result.nd_sbp, _more_split(result.nd_sbp)
    if not changed:
        return graph
    note = Note("zero", f"as if ZeRO were on: {len(changed)} parameters are split, each with its states")
    return replace(graph, ops=tuple(_resplit(graph, changed, makers)), notes=(*graph.notes, note))


def _updates(graph: Graph) -> list[Op]:
    return [op for op in graph.ops if op.phase is Phase.OPTIMIZER and not op.outputs and _operand(op, "model") is not None]


def zero_on(graph: Graph, old: tuple[int, ...], new: tuple[int, ...]) -> tuple[Op, ...]:
    """The operators with variables split as ZeRO would split them on the new mesh; all as they are where there is no ZeRO."""
    updates = _updates(graph)
    makers = graph.producers
    models = {op.name: maker for op in updates if (maker := _variable(op, makers)) is not None}
    sharded = {name: variable for name, variable in models.items() if _is_sharded(variable, old, graph)}
    if not sharded:
        return graph.ops
    plain: dict[str, tuple[NdSbp, Operand]] = {}
    """By update how its model would lie without ZeRO."""
    for name, variable in models.items():
        result = variable.outputs[0]
        if result.nd_sbp is not None and len(result.nd_sbp) == len(new) and result.type.numel is not None:
            plain[name] = (_unsharded(result.nd_sbp, variable, graph) if name in sharded else result.nd_sbp), result
    least = _threshold([(_part(nd_sbp, result, old), name in sharded) for name, (nd_sbp, result) in plain.items()])
    changed: dict[str, tuple[NdSbp, NdSbp]] = {}
    """By update how its model lay and lies."""
    for name, (nd_sbp, result) in plain.items():
        part = _part(nd_sbp, result, new)
        wanted = _more_split(nd_sbp) if part is not None and part >= least else nd_sbp
        if result.nd_sbp is not None and wanted != result.nd_sbp:
            changed[name] = result.nd_sbp, wanted
    return tuple(_resplit(graph, changed, makers))


def _threshold(seen: Iterable[tuple[int | None, bool]]) -> int:
    """The least elements of a part that ZeRO makes: OneFlow's own figure, unless the captured graph shows another one."""
    parts = [(part, is_split) for part, is_split in seen if part is not None]
    smallest = min((part for part, is_split in parts if is_split), default=ZERO_THRESHOLD)
    largest = max((part for part, is_split in parts if not is_split), default=0)
    return min(max(ZERO_THRESHOLD, largest + 1), smallest)


def _operand(op: Op, arg: str) -> Operand | None:
    return next((operand for operand in op.inputs if operand.arg == arg), None)


def _variable(update: Op, makers: Mapping[str, Op]) -> Op | None:
    model = _operand(update, "model")
    maker = makers.get(model.lbn) if model is not None else None
    return maker if maker is not None and maker.type == "variable" else None


def _wants(variable: Op, graph: Graph) -> Iterable[NdSbp]:
    """How operators outside the optimizer want a variable, ZeRO's casts looked through."""
    edges, ops = graph.edges, graph.ops
    pending, seen = [result.lbn for result in variable.outputs], set()
    while pending:
        lbn = pending.pop()
        for slot in edges.uses(lbn):
            index = edges.owners[slot]
            op = ops[index]
            operand = op.inputs[slot - edges.first_slot[index]]
            if op.role is not Role.USER and op.type in ("hierarchical_parallel_cast", "identity") and op.phase is Phase.SYSTEM:
                if index not in seen:
                    seen.add(index)
                    pending += [result.lbn for result in op.outputs]
            elif op.phase is not Phase.OPTIMIZER and operand.nd_sbp is not None:
                yield operand.nd_sbp


def _is_sharded(variable: Op, mesh: tuple[int, ...], graph: Graph) -> bool:
    made = variable.outputs[0].nd_sbp
    return made is not None and len(made) == len(mesh) and _unsharded(made, variable, graph) != made


def _unsharded(made: NdSbp, variable: Op, graph: Graph) -> NdSbp:
    """How a variable lay before ZeRO: whole along the dimensions along which everybody wants it whole."""
    wants = list(_wants(variable, graph))
    if not wants:
        return made
    return tuple(
        Sbp("B") if sbp.kind == "S" and all(len(want) == len(made) and want[at].kind == "B" for want in wants) else sbp
        for at, sbp in enumerate(made)
    )


def _more_split(plain: NdSbp) -> NdSbp:
    """How ZeRO makes a variable lie: one dimension more is split (OneFlow's optimizer_placement_optimization_pass)."""
    wanted = list(plain)
    if all(sbp.kind == "B" for sbp in plain):
        wanted[-1] = Sbp("S", 0)
        return tuple(wanted)
    for at, sbp in enumerate(plain):
        beside = [plain[near] for near in (at - 1, at + 1) if 0 <= near < len(plain) and plain[near].kind == "S"]
        if sbp.kind == "B" and beside:
            wanted[at] = beside[0]
            break
    return tuple(wanted)


def _part(plain: NdSbp, result: Operand, mesh: tuple[int, ...]) -> int | None:
    """Elements of the smallest part that ZeRO would make, None where it has nothing to split."""
    wanted = _more_split(plain)
    shape = [extent or 0 for extent in result.type.shape or ()]
    if wanted == plain or any(sbp.axis is not None and sbp.axis >= len(shape) for sbp in wanted):
        return None
    for sbp, devices in zip(wanted, mesh, strict=True):
        if sbp.axis is not None:
            shape[sbp.axis] //= devices
    return math.prod(shape)


def _resplit(graph: Graph, changed: Mapping[str, tuple[NdSbp, NdSbp]], makers: Mapping[str, Op]) -> Iterable[Op]:
    """The operators, with updates whose model lies otherwise, and the variables that they read."""
    lies: dict[str, tuple[NdSbp, NdSbp]] = {}
    for op in graph.ops:
        if op.name in changed:
            made, wanted = changed[op.name]
            for operand in op.inputs:
                maker = makers.get(operand.lbn)
                if operand.nd_sbp == made and maker is not None and maker.type == "variable":
                    lies[operand.lbn] = made, wanted
    for op in graph.ops:
        if op.name in changed:
            made, wanted = changed[op.name]
            shape = (_operand(op, "model") or op.inputs[0]).type.shape
            yield replace(
                op,
                inputs=tuple(
                    replace(operand, nd_sbp=wanted) if operand.nd_sbp == made and operand.type.shape == shape else operand
                    for operand in op.inputs
                ),
            )
        elif any(result.lbn in lies for result in op.outputs):
            yield replace(
                op,
                outputs=tuple(replace(result, nd_sbp=lies[result.lbn][1]) if result.lbn in lies else result for result in op.outputs),
            )
        else:
            yield op
