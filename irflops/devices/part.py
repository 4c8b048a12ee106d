"""One device's own graph: the operators that it runs, on the parts of their tensors that it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from irflops.counting.cost import OpCost
from irflops.devices.classes import is_inside
from irflops.devices.layout import Ways, layout_of
from irflops.devices.physical import parts
from irflops.devices.shares import PhysicalCosts, on_device
from irflops.errors import IrflopsError
from irflops.ir.graph import Graph, Op, Placement, TensorType
from irflops.ops.book import RuleBook


@dataclass(frozen=True)
class DeviceGraph:
    """What runs on one device."""

    graph: Graph
    types: Mapping[str, TensorType]
    """Of the results, as they are made on the device."""
    costs: tuple[OpCost, ...]
    """One run of each operator."""


def graph_of_rank(graph: Graph, types: Mapping[str, TensorType], costs: Sequence[OpCost], book: RuleBook, rank: int) -> DeviceGraph:
    """The graph of one rank. Errors: IrflopsError where no operator runs on it."""
    layout = layout_of(graph)
    ways, table = Ways(layout), PhysicalCosts(types, book)
    where = {place: _coordinates(placement, rank) for place, placement in enumerate(layout.distinct) if rank in placement.ranks}
    if not where:
        ranks = sorted({rank for placement in layout.distinct for rank in placement.ranks})
        raise IrflopsError(
            f"no operator runs on rank {rank}", path=graph.source.name, hint=f"ranks: {ranks[0]} to {ranks[-1]}" if len(ranks) > 1 else None
        )
    alone = {place: Placement(layout.distinct[place].device, (rank,), (1,)) for place in where}
    known: dict[tuple[object, ...], tuple[tuple[TensorType, ...], OpCost]] = {}
    ops: list[Op] = []
    own: list[OpCost] = []
    held: dict[str, TensorType] = {}
    for op, place, cost in zip(graph.ops, layout.places, costs, strict=True):
        if place not in where:
            continue
        here, found = op, cost
        if len(layout.distinct[place].ranks) > 1:
            lies = ways.of(op, place)
            key: tuple[object, ...] = (id(cost), place, *map(id, lies))
            if key not in known:
                boxes = parts(table.laid(op, lies), layout.distinct[place].hierarchy)
                physical = next(part.types for part in boxes if is_inside(where[place], part.box))
                known[key] = physical, table.of(op, physical, cost.saved)
            physical, found = known[key]
            here = on_device(op, physical)
        ops.append(replace(here, placement=alone[place]))
        own.append(found)
        held |= {result.lbn: types.get(result.lbn, result.type) if result.type.shape is None else result.type for result in here.outputs}
    return DeviceGraph(replace(graph, ops=tuple(ops)), held, tuple(own))


def _coordinates(placement: Placement, rank: int) -> tuple[tuple[int, int], ...]:
    """The cell of a mesh in which a rank is alone."""
    at, found = placement.ranks.index(rank), []
    for extent in reversed(placement.hierarchy):
        at, coordinate = divmod(at, extent)
        found.append((coordinate, coordinate + 1))
    return tuple(reversed(found))
