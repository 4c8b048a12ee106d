"""What a graph would be on another mesh of devices: the same logical graph, each hierarchy resized along the dimensions that it has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from irflops.errors import IrflopsError, quoted
from irflops.ir.graph import Graph, Note, Op, Operand, Placement
from irflops.readers.meaning.placement import MAX_DEVICES
from irflops.whatif.zero import zero_on

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
    ops = zero_on(graph, old, new)
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
