"""The stages of a pipeline: sets of devices that work one after another on the forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from irflops.counting.cost import OpCost
from irflops.devices.classes import Interval, intervals
from irflops.devices.layout import Layout
from irflops.ir.graph import Phase, Placement
from irflops.ops.book import RuleBook


@dataclass(frozen=True, slots=True)
class Stage:
    """Devices with contractions of the forward pass that no other stage has."""

    ranks: frozenset[int]
    flops: int
    """Of all its operators, each counted whole: the forward pass and whatever else its devices alone do."""
    mesh: tuple[int, ...]
    """How its devices are arranged where it has most work."""

    @property
    def intervals(self) -> list[Interval]:
        """Its ranks as intervals, in order."""
        return intervals(tuple(self.ranks))


def stages_of(layout: Layout, costs: Sequence[OpCost], book: RuleBook) -> tuple[tuple[Stage, ...], tuple[int, ...]]:
    """The stages in the order of their first operators, and the mesh of that with most work.

    Sets that share a device are one. A graph without a contraction in its forward pass has no stage; its mesh is that with most work.
    """
    flops = [0] * len(layout.distinct)
    forward: dict[int, None] = {}
    for op, place, cost in zip(layout.graph.ops, layout.places, costs, strict=True):
        flops[place] += cost.cost.get("flops") * op.runs
        if op.phase is Phase.FORWARD and op.type in book.contractions:
            forward[place] = None
    work = dict(zip(layout.distinct, flops, strict=True))
    sets = {placement: frozenset(placement.ranks) for placement in work}
    found: list[frozenset[int]] = []
    for ranks in dict.fromkeys(sets[layout.distinct[place]] for place in forward):
        joined = [other for other in found if not other.isdisjoint(ranks)]
        if joined:
            found[found.index(joined[0])] = ranks.union(*joined)
            for other in joined[1:]:
                found.remove(other)
        else:
            found.append(ranks)
    stages = tuple(_stage(ranks, sets, work) for ranks in found)
    heaviest = max(stages, key=lambda stage: stage.flops, default=None)
    if heaviest is not None:
        return stages, heaviest.mesh
    return stages, _mesh(list(work), work) if work else (1,)


def _stage(ranks: frozenset[int], sets: dict[Placement, frozenset[int]], work: dict[Placement, int]) -> Stage:
    inside = [placement for placement, own in sets.items() if own <= ranks]
    return Stage(ranks, sum(work[placement] for placement in inside), _mesh(inside, work))


def _mesh(placements: Sequence[Placement], work: dict[Placement, int]) -> tuple[int, ...]:
    """The mesh of the placement with most work, of equal ones that of most devices."""
    return max(placements, key=lambda placement: (work[placement], len(placement.ranks))).hierarchy
