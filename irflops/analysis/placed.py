"""On how many devices a graph runs, and how they are arranged."""

from __future__ import annotations

import math
from dataclasses import dataclass

from irflops.ir.graph import Graph


@dataclass(frozen=True, slots=True)
class Placed:
    """The devices of a graph as a whole."""

    ranks: int
    meshes: tuple[tuple[int, ...], ...]
    """Shapes of the meshes that operators lie on, each once, the largest first."""
    stages: int
    """Sets of ranks that operators lie on: more than 1 in a pipeline."""


def placed(graph: Graph) -> Placed | None:
    """The devices of a graph, None where it runs on one or the form does not say."""
    placements = {op.placement for op in graph.ops if op.placement is not None}
    sets = {frozenset(placement.ranks) for placement in placements}
    ranks = frozenset[int]().union(*sets)
    if len(ranks) < 2:
        return None
    # What all ranks do together, such as the step's counter, is no stage of its own.
    stages = {ranks_of for ranks_of in sets if not any(other < ranks_of for other in sets)}
    meshes = {placement.hierarchy for placement in placements if len(placement.ranks) > 1}
    return Placed(len(ranks), tuple(sorted(meshes, key=lambda mesh: (-math.prod(mesh), mesh))), len(stages))
