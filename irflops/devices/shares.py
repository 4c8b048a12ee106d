"""What each device computes and holds: the rules of a graph's operators, asked about the parts of their tensors.

Devices that do the same are one class; time and memory grow with the parts that differ, not with the devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from irflops.counting.cost import ALL_MISSING, ZERO, Cost, CostTable, OpCost, Saved
from irflops.counting.fold import UNPHASED, bounded, unsure_bits
from irflops.counting.infer import operand_type
from irflops.counting.ratio import Ratio
from irflops.counting.saved import saving
from irflops.devices.classes import Interval, classes, grid_of, is_inside, ranks_in
from irflops.devices.layout import Layout, Ways, layout_of
from irflops.devices.physical import Box, Laid, parts, whole
from irflops.devices.stages import Stage, stages_of
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Note, Op, Phase, Placement, TensorType
from irflops.ir.sbp import NdSbp
from irflops.ops.book import RuleBook

MOST_PARTS = 1 << 16
"""Parts that differ, and cells times boxes of a mesh, that are told apart; beyond, each device counts as the one that holds most."""


@dataclass(frozen=True)
class DeviceClass:
    """Devices that compute and hold the same."""

    ranks: tuple[Interval, ...]
    placements: tuple[Placement, ...]
    """Those that they are part of, in the order of the graph."""
    total: Cost
    """Of one device."""
    phases: Mapping[str, Cost]

    @property
    def count(self) -> int:
        """How many devices."""
        return sum(last - first + 1 for first, last in self.ranks)

    def has(self, rank: int) -> bool:
        """Whether a rank is one of these."""
        return any(first <= rank <= last for first, last in self.ranks)


@dataclass(frozen=True)
class Devices:
    """The devices of a graph, by classes."""

    classes: tuple[DeviceClass, ...]
    logical: Cost
    """The cost of the whole graph, as if on one device."""
    stages: tuple[Stage, ...] = ()
    """Of a pipeline, in their order; of other graphs one or none."""
    mesh: tuple[int, ...] = (1,)
    """The mesh of the stage with most work."""
    assumed: int = 0
    """Operands of which the form does not say how they are wanted: taken as they are made."""
    largest: bool = False
    """Whether splits are too uneven to be told apart, and each device counts as the one that holds most."""

    @property
    def ranks(self) -> int:
        """Devices in all."""
        return sum(one.count for one in self.classes)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a reader of the figures should know."""
        found = []
        if self.assumed:
            text = (
                f"the form does not tell how operators want {self.assumed:,} operands on several devices: these are taken as they are made"
            )
            found.append(Note("operands-as-made", text))
        if self.largest:
            text = "tensors are split so unevenly that devices are not told apart: each counts as the one that holds most of each tensor"
            found.append(Note("largest-parts", text))
        return tuple(found)

    def summed(self, name: str) -> int:
        """A cost over all devices."""
        return sum(one.count * one.total.get(name) for one in self.classes)

    def certainty(self, name: str) -> Certainty:
        """How sure a cost of all devices is."""
        sure = Certainty.EXACT
        for one in self.classes:
            sure |= one.total.certainty(name)
        return sure

    def redundancy(self, name: str) -> Ratio:
        """A cost over all devices to that of the graph: 1 where no device does what another does."""
        return Ratio(self.summed(name), self.logical.get(name), (self.certainty(name) | self.logical.certainty(name)).of_quotient)

    def imbalance(self, name: str) -> Ratio:
        """A cost of the device that has most of it to the mean."""
        most = max((one.total.get(name) for one in self.classes), default=0)
        return Ratio(most * self.ranks, self.summed(name), self.certainty(name).of_quotient)

    @property
    def stage_shares(self) -> tuple[Ratio, ...]:
        """The part of each stage's devices in the FLOPs of all."""
        every = self.summed("flops")
        parts = [sum(one.count * one.total.get("flops") for one in self.classes if one.ranks[0][0] in stage.ranks) for stage in self.stages]
        return tuple(Ratio(part, every, self.certainty("flops").of_quotient) for part in parts)

    @cached_property
    def busiest(self) -> DeviceClass:
        """The class with most FLOPs, of equal ones that which moves most bytes."""
        return max(self.classes, key=lambda one: (one.total.get("flops"), one.total.get("bytes")))

    def of_rank(self, rank: int) -> DeviceClass | None:
        """The class of a rank, None where the graph has no such rank."""
        return next((one for one in self.classes if one.has(rank)), None)


def alone(total: Cost, phases: Mapping[str, Cost], graph: Graph) -> Devices:
    """A graph on one device: one class, which is the graph."""
    placements = tuple(dict.fromkeys(op.placement for op in graph.ops if op.placement is not None))
    rank = next((rank for placement in placements for rank in placement.ranks), 0)
    return Devices((DeviceClass(((rank, rank),), placements, total, phases),), total)


def devices_of(
    graph: Graph, types: Mapping[str, TensorType], costs: Sequence[OpCost], total: Cost, book: RuleBook, layout: Layout | None = None
) -> Devices:
    """What the devices of a graph compute and hold, from the types of its tensors and one run of each operator in their order."""
    layout = layout or layout_of(graph)
    try:
        sums = _sums(layout, types, costs, book, largest=False)
        found = tuple(_classes(layout, sums, graph))
    except _TooMany:
        sums = _sums(layout, types, costs, book, largest=True)
        found = tuple(_classes(layout, sums, graph))
    stages, mesh = stages_of(layout, costs, book)
    return Devices(found, total, stages, mesh, layout.assumed, sums.largest)


class _TooMany(Exception):
    """More parts differ than are told apart."""


@dataclass(slots=True)
class _Sums:
    """Costs by placement, box of its mesh and phase."""

    by_box: dict[Placement, dict[Box, dict[str, Cost]]]
    largest: bool


def _sums(layout: Layout, types: Mapping[str, TensorType], costs: Sequence[OpCost], book: RuleBook, *, largest: bool) -> _Sums:
    table = PhysicalCosts(types, book, largest=largest)
    ways = Ways(layout)
    counted: Counter[tuple[object, ...]] = Counter()
    first: dict[tuple[object, ...], tuple[Op, tuple[NdSbp | None, ...], OpCost, Placement]] = {}
    for op, place, cost in zip(layout.graph.ops, layout.places, costs, strict=True):
        lies = ways.of(op, place)
        # By identity, which is the same for what is equal, but for a few: to compare thousands of sbp takes long.
        key: tuple[object, ...] = (id(cost), place, id(op.phase), op.runs, *map(id, lies))
        counted[key] += 1
        if key not in first:
            first[key] = op, lies, cost, layout.distinct[place]
    found: dict[Placement, dict[Box, dict[str, Cost]]] = {placement: {} for placement in layout.distinct}
    left = MOST_PARTS
    for key, (op, lies, cost, placement) in first.items():
        boxes = found[placement]
        phase = op.phase.value if op.phase else UNPHASED
        for box, one in table.parts(op, placement, lies, cost):
            left -= 1
            if left < 0 and not largest:
                raise _TooMany
            more = _times(one.cost * op.runs, counted[key])
            phases = boxes.setdefault(box, {})
            phases[phase] = phases.get(phase, ZERO) + more
    return _Sums(found, largest)


def _times(cost: Cost, count: int) -> Cost:
    """The cost of so many operators: of what is stored too, which `Cost * runs` does not multiply."""
    if count == 1:
        return cost
    figures, params, nbytes = (tuple(n * count for n in numbers) for numbers in (cost.figures, cost.params, cost.param_bytes))
    return replace(cost, figures=figures, params=params, param_bytes=nbytes)


class PhysicalCosts:
    """Costs of operators on parts of their tensors."""

    def __init__(self, types: Mapping[str, TensorType], book: RuleBook, *, largest: bool = False) -> None:
        self._types = types
        self._table = CostTable({}, book)
        self._largest = largest
        self._saving: dict[tuple[int, Saved, tuple[int | None, ...]], OpCost] = {}

    def parts(self, op: Op, placement: Placement, lies: Sequence[NdSbp | None], cost: OpCost) -> Iterator[tuple[Box, OpCost]]:
        """One run of an operator on each device of its placement, box by box; neighbours that cost the same are one box.

        `lies` says how its operands and results lie, in their order; `cost` is what the operator costs whole.
        """
        mesh = placement.hierarchy
        if len(placement.ranks) == 1:
            yield whole(mesh), cost
            return
        found = [(part.box, self.of(op, part.types, cost.saved)) for part in parts(self.laid(op, lies), mesh, largest=self._largest)]
        if len(found) > 1 and all(one is found[0][1] for _, one in found):
            found = [(whole(mesh), found[0][1])]
        yield from found

    def laid(self, op: Op, lies: Sequence[NdSbp | None]) -> list[Laid]:
        """The logical operands and results of an operator, and how they lie."""
        tensors = [operand_type(operand, self._types) for operand in op.inputs]
        tensors += [self._types.get(result.lbn, result.type) for result in op.outputs]
        return [Laid(type_, nd_sbp) for type_, nd_sbp in zip(tensors, lies, strict=True)]

    def of(self, op: Op, types: Sequence[TensorType], saved: Saved | None) -> OpCost:
        """One run of an operator whose operands and results have these types on a device."""
        found = self._table.cost(on_device(op, types))
        if saved is not None:
            results = types[len(op.inputs) :]
            key = id(found), saved, tuple([results[place].nbytes for place in saved.results])
            if key not in self._saving:
                self._saving[key] = saving(found, saved, results)
            found = self._saving[key]
        return found if not self._largest else replace(found, cost=replace(found.cost, at_most=ALL_MISSING))


def on_device(op: Op, types: Sequence[TensorType]) -> Op:
    """An operator with the types of its operands and results on a device, in their order."""
    operands = zip(op.inputs, types, strict=False)
    results = zip(op.outputs, types[len(op.inputs) :], strict=True)
    return replace(
        op,
        inputs=tuple([operand if operand.type is type_ else replace(operand, type=type_) for operand, type_ in operands]),
        outputs=tuple([result if result.type is type_ else replace(result, type=type_) for result, type_ in results]),
    )


def _classes(layout: Layout, sums: _Sums, graph: Graph) -> Iterator[DeviceClass]:
    unsure = unsure_bits(graph)
    ranks: dict[int, list[Interval]] = {}
    cells: list[tuple[Placement, dict[str, Cost]]] = []
    for placement, boxes in sums.by_box.items():
        grid = grid_of(list(boxes), placement.hierarchy)
        if grid.size * max(1, len(boxes)) > MOST_PARTS and not sums.largest:
            raise _TooMany
        for cell in grid.cells():
            phases: dict[str, Cost] = {}
            for box, costs in boxes.items():
                if is_inside(cell, box):
                    for phase, cost in costs.items():
                        phases[phase] = phases.get(phase, ZERO) + cost
            ranks[len(cells)] = ranks_in(placement, cell)
            cells.append((placement, phases))
    for keys, found in classes(ranks):
        names = [phase.value for phase in Phase]
        phases = {}
        for key in keys:
            for phase, cost in cells[key][1].items():
                phases[phase] = phases.get(phase, ZERO) + cost
        names += [UNPHASED] * (UNPHASED in phases)
        total = sum(phases.values(), ZERO)
        yield DeviceClass(
            tuple(found),
            tuple(dict.fromkeys(cells[key][0] for key in keys)),
            bounded(total, unsure),
            {name: bounded(phases.get(name, ZERO), unsure) for name in names},
        )
