"""Where each operator runs, and how its operands and results lie there: what a graph says, and what stands in where it does not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from irflops.ir.edges import NOBODY
from irflops.ir.graph import Graph, Op, Operand, Placement
from irflops.ir.sbp import NdSbp

SOMEWHERE = Placement("?", (0,), (1,))
"""Where a graph runs that has no placement at all: on one device."""


@dataclass(frozen=True)
class Layout:
    """The placements of a graph's operators, each sound: its mesh has as many places as it has ranks, and no rank stands twice."""

    graph: Graph
    placements: tuple[Placement, ...]
    """By operator, in the graph's order."""
    stated: bytearray
    """By operator, whether the form says where it stands."""
    assumed: int
    """Operands on several devices of which the form does not say how they are wanted: taken as they are made."""

    @property
    def distinct(self) -> Sequence[Placement]:
        """Each placement once, in the order of the first operator that has it."""
        return tuple(dict.fromkeys(self.placements))

    @property
    def ranks(self) -> int:
        """Devices in all."""
        return len(set().union(*(placement.ranks for placement in self.distinct)))


def layout_of(graph: Graph) -> Layout:
    """Where each operator runs.

    One whose placement the form does not tell stands where what reads it stands, if that is one device, else on the first rank.
    """
    sound: dict[Placement, Placement] = {}
    found = [None if op.placement is None else _sound(op.placement, sound) for op in graph.ops]
    stated = bytearray(placement is not None for placement in found)
    placements = _completed(graph, found)
    assumed = 0
    if not graph.holds.operand_sbp:
        on_several = (op for op, placement in zip(graph.ops, placements, strict=True) if len(placement.ranks) > 1)
        assumed = sum(operand.nd_sbp is None for op in on_several for operand in op.inputs)
    return Layout(graph, placements, stated, assumed)


def _sound(placement: Placement, known: dict[Placement, Placement]) -> Placement:
    found = known.get(placement)
    if found is None:
        ranks = tuple(dict.fromkeys(placement.ranks)) or (0,)
        mesh = placement.hierarchy if math.prod(placement.hierarchy) == len(ranks) and placement.hierarchy else (len(ranks),)
        same = ranks == placement.ranks and mesh == placement.hierarchy
        found = known[placement] = placement if same else Placement(placement.device, ranks, mesh)
    return found


def _completed(graph: Graph, found: list[Placement | None]) -> tuple[Placement, ...]:
    """The placements, with stand-ins for those that the form does not tell."""
    known = dict.fromkeys(placement for placement in found if placement is not None)
    if not known:
        return (SOMEWHERE,) * len(found)
    first = min(rank for placement in known for rank in placement.ranks)
    device = next(placement.device for placement in known if first in placement.ranks)
    at_first = Placement(device, (first,), (1,))
    if len(known) == 1 and len(next(iter(known)).ranks) == 1:
        at_first = next(iter(known))
    for index in reversed(graph.edges.order):
        if found[index] is None:
            readers = {placement for reader in graph.edges.read_by[index] if (placement := found[reader]) is not None}
            alone = next(iter(readers)) if len({placement.ranks for placement in readers}) == 1 else at_first
            found[index] = alone if len(alone.ranks) == 1 else at_first
    return tuple(at_first if placement is None else placement for placement in found)


def wanted(op: Op, placement: Placement, made: Mapping[str, tuple[Operand, Placement]]) -> tuple[NdSbp | None, ...]:
    """How an operator's operands lie on its devices: as it wants them, else as they are made there; None where neither is known."""
    return tuple([operand.nd_sbp if operand.nd_sbp is not None else _as_made(operand, placement, made) for operand in op.inputs])


def _as_made(operand: Operand, placement: Placement, made: Mapping[str, tuple[Operand, Placement]]) -> NdSbp | None:
    maker = made.get(operand.lbn)
    if maker is None or (maker[1].ranks, maker[1].hierarchy) != (placement.ranks, placement.hierarchy):
        return None
    return maker[0].nd_sbp


def makers(layout: Layout) -> dict[str, tuple[Operand, Placement]]:
    """By lbn the result and where the operator stands that makes it."""
    edges, ops = layout.graph.edges, layout.graph.ops
    found = {}
    for op, placement in zip(ops, layout.placements, strict=True):
        for result in op.outputs:
            found[result.lbn] = result, placement
    return {lbn: maker for lbn, maker in found.items() if edges.makers[edges.tensors[lbn]] != NOBODY}
