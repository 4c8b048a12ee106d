"""What a graph would be on another mesh of devices: the same logical graph, each hierarchy resized along the dimensions that it has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from irflops.errors import IrflopsError, quoted
from irflops.ir.graph import Graph, Note, Op, Operand, Phase, Placement, Role
from irflops.ir.sbp import NdSbp, Sbp
from irflops.readers.meaning.placement import MAX_DEVICES

ZERO_THRESHOLD = 1024
"""Elements of a part below which OneFlow's ZeRO leaves a variable whole (`optimizer_placement_optimization_threshold`)."""

DATA, TENSOR = ("data", "dp"), ("tensor", "tp")
"""Names of the dimension along which inputs are split, and of that along which variables are."""

MeshSize = Sequence[int] | Mapping[str, int]
"""Extents in the order of the mesh's dimensions, or by name."""

LISTED = 3


def with_mesh(graph: Graph, size: MeshSize) -> Graph:
    """The graph on another mesh: data parallelism over 4 devices becomes one over 64, tensor parallelism over 2 one over 8.

    Each stage of a pipeline gets a mesh of this size; stages stay as they are. ZeRO decides anew which variables it splits. How tensors lie
    is as captured: OneFlow may choose otherwise on another mesh, and a note says so. Errors: IrflopsError where the graph has no such mesh.
    """
    blocks = _blocks(graph)
    old = _mesh(graph, blocks)
    new = _asked(graph, old, size)
    if math.prod(new) * len(blocks) > MAX_DEVICES:
        raise IrflopsError(f"a mesh of more than {MAX_DEVICES:,} devices in all", path=graph.source.name)
    if new == old:
        return graph
    moved = _Moved(graph, blocks, old, new)
    ops = _zero(graph, old, new)
    ops = tuple(op if op.placement is None else replace(op, placement=moved.of(op.placement)) for op in ops)
    return replace(graph, ops=ops, notes=(*graph.notes, *_notes(graph, ops, old, new)))


def _blocks(graph: Graph) -> list[tuple[int, ...]]:
    """The sets of ranks that operators share: one, or one for each stage of a pipeline, in the order of their first ranks."""
    placements = {id(op.placement): op.placement for op in graph.ops if op.placement is not None}.values()
    several = sorted({placement.ranks for placement in placements if len(placement.ranks) > 1}, key=lambda ranks: (len(ranks), ranks))
    if not several:
        raise IrflopsError("the graph runs on one device: it has no mesh to resize", path=graph.source.name)
    found: list[tuple[int, ...]] = []
    for ranks in several:
        inside = [block for block in found if not set(block).isdisjoint(ranks)]
        if not inside:
            found.append(ranks)
        elif set(ranks) != set().union(*inside):
            raise IrflopsError(
                f"placements overlap without being one: ranks {_some(ranks)} and {_some(inside[0])}",
                path=graph.source.name,
                hint="--mesh resizes one mesh, or one for each stage of a pipeline",
            )
    return sorted(found)


def _some(ranks: Sequence[int]) -> str:
    return f"{ranks[0]}-{ranks[-1]}"


def _mesh(graph: Graph, blocks: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The mesh that all stages have."""
    found: dict[tuple[int, ...], None] = {}
    for op in graph.ops:
        if op.placement is not None and op.placement.ranks in blocks:
            found[op.placement.hierarchy] = None
    several = [mesh for mesh in found if len(mesh) > 1] or list(found)
    if len(set(several)) != 1:
        meshes = " and ".join("x".join(map(str, mesh)) for mesh in several)
        raise IrflopsError(f"the graph has several meshes, {meshes}", path=graph.source.name, hint="--mesh resizes one")
    return several[0]


def _asked(graph: Graph, old: tuple[int, ...], size: MeshSize) -> tuple[int, ...]:
    words = "x".join(map(str, old))
    if isinstance(size, Mapping):
        extents = list(old)
        for name, extent in size.items():
            extents[_dimension(graph, old, name)] = extent
        new = tuple(extents)
    else:
        new = tuple(size)
    if len(new) != len(old):
        raise IrflopsError(f"the graph's mesh is {words}: it has {len(old)} dimensions, not {len(new)}", path=graph.source.name)
    if any(type(extent) is not int or extent < 1 for extent in new):
        raise IrflopsError("each dimension of a mesh has at least one device", path=graph.source.name)
    return new


def _dimension(graph: Graph, mesh: tuple[int, ...], name: str) -> int:
    """The dimension that a name means, by what lies along it."""
    if name not in (*DATA, *TENSOR):
        raise IrflopsError(f"there is no dimension {quoted(name)}", hint="data=4,tensor=2, or the extents in order: 4x2")
    inputs = (result.nd_sbp for op in graph.ops if op.type == "input" for result in op.outputs)
    data = {at for nd_sbp in inputs if nd_sbp is not None and len(nd_sbp) == len(mesh) for at, sbp in enumerate(nd_sbp) if sbp.axis == 0}
    found = data if name in DATA else set(range(len(mesh))) - data
    if len(found) != 1:
        which = "splits the inputs" if name in DATA else "leaves the inputs whole"
        raise IrflopsError(f"not one dimension of the mesh {which}", path=graph.source.name, hint="give the extents in order: 4x2")
    return found.pop()


@dataclass(slots=True)
class _Moved:
    """Placements on the new mesh; each is made once."""

    graph: Graph
    blocks: Sequence[tuple[int, ...]]
    old: tuple[int, ...]
    new: tuple[int, ...]
    known: dict[Placement, Placement] = field(default_factory=dict)
    by_id: dict[int, Placement] = field(default_factory=dict)

    def of(self, placement: Placement) -> Placement:
        """A placement on the new mesh."""
        found = self.by_id.get(id(placement))
        if found is None:
            found = self.by_id[id(placement)] = self.known.setdefault(placement, self._made(placement))
        return found

    def _made(self, placement: Placement) -> Placement:
        width = math.prod(self.new)
        if len(placement.ranks) == 1:
            (rank,) = placement.ranks
            for number, block in enumerate(self.blocks):
                if rank == block[0]:
                    return Placement(placement.device, (number * width,), placement.hierarchy)
            raise IrflopsError(
                f"an operator stands on rank {rank} alone, which has no place on another mesh",
                path=self.graph.source.name,
                hint="--mesh keeps what stands on the first rank of a mesh",
            )
        members = [number for number, block in enumerate(self.blocks) if not set(block).isdisjoint(placement.ranks)]
        ranks = tuple(rank for number in members for rank in range(number * width, (number + 1) * width))
        hierarchy = self.new if placement.hierarchy == self.old and len(members) == 1 else (len(ranks),)
        if len(placement.hierarchy) != len(hierarchy):
            raise IrflopsError(
                f"operators lie on a mesh of {'x'.join(map(str, placement.hierarchy))} beside that of {'x'.join(map(str, self.old))}",
                path=self.graph.source.name,
            )
        return Placement(placement.device, ranks, hierarchy)


# ------------------------------------------------------------------ ZeRO


def _zero(graph: Graph, old: tuple[int, ...], new: tuple[int, ...]) -> tuple[Op, ...]:
    """The operators with variables split as ZeRO would split them on the new mesh; all as they are where there is no ZeRO."""
    updates = [op for op in graph.ops if op.phase is Phase.OPTIMIZER and not op.outputs and _operand(op, "model") is not None]
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


# ------------------------------------------------------------------ notes


def _notes(graph: Graph, ops: Sequence[Op], old: tuple[int, ...], new: tuple[int, ...]) -> Iterable[Note]:
    words = [" x ".join(map(str, mesh)) for mesh in (old, new)]
    text = f"not as captured: a mesh of {words[0]} -> {words[1]}; how tensors lie is as captured, OneFlow may choose otherwise on this mesh"
    yield Note("what-if-mesh", text)
    uneven = [lbn for was, op in zip(graph.ops, ops, strict=True) for lbn in _uneven(was, op)]
    if uneven:
        more = f" and {len(uneven) - LISTED} more" if len(uneven) > LISTED else ""
        listed = ", ".join(map(quoted, uneven[:LISTED]))
        yield Note("what-if-uneven", f"splits that were even and no longer are, which OneFlow may refuse: {listed}{more}")


def _uneven(was: Op, op: Op) -> Iterable[str]:
    """The results of an operator that its old mesh split evenly and its new mesh does not."""
    if op.placement is None or was.placement is None or was.placement.hierarchy == op.placement.hierarchy:
        return
    for before, result in zip(was.outputs, op.outputs, strict=True):
        if _splits_evenly(before, was.placement.hierarchy) and not _splits_evenly(result, op.placement.hierarchy):
            yield result.lbn


def _splits_evenly(result: Operand, mesh: tuple[int, ...]) -> bool:
    shape = list(result.type.shape or ())
    for sbp, devices in zip(result.nd_sbp or (), mesh, strict=False):
        if sbp.axis is not None and sbp.axis < len(shape):
            extent = shape[sbp.axis]
            if extent is not None:
                if extent % devices:
                    return False
                shape[sbp.axis] = extent // devices
    return True
