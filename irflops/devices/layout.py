"""Where each operator runs, and how its operands and results lie there: what a graph says, and what stands in where it does not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from irflops.ir.graph import Graph, Op, Operand, Placement
from irflops.ir.sbp import NdSbp

SOMEWHERE = Placement("?", (0,), (1,))
"""Where a graph runs that has no placement at all: on one device."""


@dataclass(frozen=True)
class Layout:
    """The placements of a graph's operators, each sound: its mesh has as many places as it has ranks, and no rank stands twice."""

    graph: Graph
    distinct: tuple[Placement, ...]
    """Each placement once, in the order of the first operator that has it."""
    places: Sequence[int]
    """By operator, in the graph's order, which of them it has: placements of thousands of ranks are compared by number."""
    stated: bytearray
    """By operator, whether the form says where it stands."""
    assumed: int
    """Operands on several devices of which the form does not say how they are wanted: taken as they are made."""

    def placement(self, index: int) -> Placement:
        """Where the operator of a number stands."""
        return self.distinct[self.places[index]]

    @cached_property
    def placements(self) -> tuple[Placement, ...]:
        """Where each operator stands, in the graph's order."""
        return tuple([self.distinct[place] for place in self.places])


def layout_of(graph: Graph) -> Layout:
    """Where each operator runs.

    One whose placement the form does not tell stands where what reads it stands, if that is one device, else on the first rank.
    """
    known = _Known()
    places = [None if op.placement is None else known.place(op.placement) for op in graph.ops]
    stated = bytearray(place is not None for place in places)
    completed = _completed(graph, places, known)
    several = [len(placement.ranks) > 1 for placement in known.placements]
    assumed = 0
    if not graph.holds.operand_sbp:
        on_several = (op for op, place in zip(graph.ops, completed, strict=True) if several[place])
        assumed = sum(operand.nd_sbp is None for op in on_several for operand in op.inputs)
    return Layout(graph, tuple(known.placements), completed, stated, assumed)


class _Known:
    """Placements by number. Each object is looked at once: to compare two of thousands of ranks takes long."""

    def __init__(self) -> None:
        self.placements: list[Placement] = []
        self._by_id: dict[int, int] = {}
        self._by_value: dict[Placement, int] = {}

    def place(self, placement: Placement) -> int:
        place = self._by_id.get(id(placement))
        if place is None:
            sound = _sound(placement)
            place = self._by_value.setdefault(sound, len(self.placements))
            if place == len(self.placements):
                self.placements.append(sound)
            self._by_id[id(placement)] = place
        return place


def _sound(placement: Placement) -> Placement:
    ranks = tuple(dict.fromkeys(placement.ranks)) or (0,)
    mesh = placement.hierarchy if placement.hierarchy and math.prod(placement.hierarchy) == len(ranks) else (len(ranks),)
    same = ranks == placement.ranks and mesh == placement.hierarchy
    return placement if same else replace(placement, ranks=ranks, hierarchy=mesh)


def _completed(graph: Graph, places: Sequence[int | None], known: _Known) -> list[int]:
    """By operator its placement, with stand-ins for those that the form does not tell."""
    if not known.placements:
        return [known.place(SOMEWHERE)] * len(places) if places else []
    found = list(places)
    first = min(min(placement.ranks) for placement in known.placements)
    device = next(placement.device for placement in known.placements if first in placement.ranks)
    on_one = {place for place, placement in enumerate(known.placements) if len(placement.ranks) == 1}
    at_first = next((place for place in sorted(on_one) if known.placements[place].ranks == (first,)), None)
    for index in reversed(graph.edges.order):
        if found[index] is None:
            readers = {place for reader in graph.edges.read_by[index] if (place := found[reader]) is not None}
            if len(readers) == 1 and readers <= on_one:
                found[index] = next(iter(readers))
            else:
                at_first = known.place(Placement(device, (first,), (1,))) if at_first is None else at_first
                found[index] = at_first
    return [known.place(Placement(device, (first,), (1,))) if place is None else place for place in found]


def wanted(op: Op, placement: Placement, made: Mapping[str, tuple[Operand, Placement]]) -> tuple[NdSbp | None, ...]:
    """How an operator's operands lie on its devices: as it wants them, else as they are made there; None where neither is known."""
    return tuple([operand.nd_sbp if operand.nd_sbp is not None else _as_made(operand, placement, made) for operand in op.inputs])


def _as_made(operand: Operand, placement: Placement, made: Mapping[str, tuple[Operand, Placement]]) -> NdSbp | None:
    result, there = made.get(operand.lbn, (None, placement))
    if result is None or (there is not placement and (there.ranks, there.hierarchy) != (placement.ranks, placement.hierarchy)):
        return None
    return result.nd_sbp


def makers(layout: Layout) -> dict[str, tuple[Operand, Placement]]:
    """By lbn the result, and where the operator stands that makes it."""
    return {result.lbn: (result, at) for op, at in zip(layout.graph.ops, layout.placements, strict=True) for result in op.outputs}


class Ways:
    """How the operands and results of a graph's operators lie on their devices."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._several = [len(placement.ranks) > 1 for placement in layout.distinct]

    def of(self, op: Op, place: int) -> tuple[NdSbp | None, ...]:
        """By operand and result of an operator with that placement, in their order, as `wanted` says; none on one device."""
        if not self._several[place]:
            return ()
        ways = [operand.nd_sbp for operand in op.inputs]
        if None in ways:
            ways = list(wanted(op, self._layout.distinct[place], self._made))
        return (*ways, *[result.nd_sbp for result in op.outputs])

    @cached_property
    def _made(self) -> dict[str, tuple[Operand, Placement]]:
        return makers(self._layout)
