"""Which tensors move between devices: from what their producers made to what consumers want, and by which collectives.

There is one transfer per tensor, placement and sbp that is wanted, however many consumers share it. Operators that only hand a tensor on
for boxing are looked through, and so are ZeRO's casts of variables. A collective that stands in the graph is a transfer itself, and the
edges around it are none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from irflops.counting.infer import operand_type
from irflops.devices import boxing
from irflops.devices.boxing import Step, TooManyPieces
from irflops.devices.layout import Layout
from irflops.devices.physical import Laid, parts
from irflops.ir.graph import Op, Operand, Placement, Role, TensorType
from irflops.ir.sbp import NdSbp

UNPLACED = "nothing says where the producer stands"
UNLIKE_RANK = "from a mesh of one dimension to one of several, or back"
UNLIKE_MESH = "to the same ranks in another mesh"
UNTOLD_SBP = "nothing says how it is made, or wanted"
UNKNOWN_SIZE = "its size is not known"
UNEVEN = "split too unevenly for so large a mesh"

_CASTS = frozenset({"hierarchical_parallel_cast", "parallel_cast"})
_EXPLICIT = ("_nccl_logical_", "eager_")


@dataclass(frozen=True)
class Move:
    """How tensors of one type come from lying in one way to lying in another: the same for all that do."""

    type: TensorType
    made: NdSbp
    producers: Placement
    wanted: NdSbp
    consumers: Placement
    runs: int
    """In a step of training."""
    steps: tuple[Step, ...]
    """On the same devices, what happens along the dimensions of the mesh; none between devices of two placements."""
    elements: int
    """Moved over all devices, in one run."""

    @cached_property
    def crosses(self) -> bool:
        """Whether it goes from the devices of one placement to those of another."""
        return not same_devices(self.producers, self.consumers)

    @cached_property
    def bytes(self) -> int:
        """Bytes over all devices, in a step of training."""
        return self._bytes(self.elements)

    def bytes_of(self, step: Step) -> int:
        """Bytes of one of its steps over all devices."""
        return self._bytes(step.elements)

    def _bytes(self, elements: int) -> int:
        assert self.type.dtype is not None, "the size of what moves is known"
        return self.type.dtype.nbytes(elements) * self.runs

    @cached_property
    def collective(self) -> str:
        """What it is, several joined by ` + `."""
        if self.crosses:
            return boxing.SEND_RECV
        named = dict.fromkeys(step.collective for step in self.steps)
        return " + ".join(name for name in named if name != boxing.SLICE or len(named) == 1) or boxing.COPY

    @cached_property
    def group(self) -> int:
        """Devices that take part together: in each group of a collective, or on both sides."""
        if self.crosses:
            return len({*self.producers.ranks, *self.consumers.ranks})
        return math.prod(step.group for step in self.steps)

    @cached_property
    def part_bytes(self) -> int:
        """Bytes of the largest part that a consumer's device holds after it."""
        (largest,) = parts((Laid(self.type, self.wanted),), self.consumers.hierarchy, largest=True)
        return largest.types[0].nbytes or 0

    @cached_property
    def bytes_per_device(self) -> int:
        """Bytes that the busiest device sends by the ring; between two placements what a device receives."""
        return self.part_bytes * self.runs if self.crosses else -(-self.bytes // len(self.consumers.ranks))

    @cached_property
    def dimensions(self) -> tuple[int, ...]:
        """Dimensions of the mesh along which it changes, none between two placements."""
        return tuple(step.dimension for step in self.steps)


@dataclass(frozen=True, slots=True)
class Transfer:
    """A tensor on its way to other devices, or to another part on each."""

    lbn: str
    move: Move
    producer: int
    """The number of the operator that makes it."""
    consumers: tuple[int, ...]
    """The operators that share it, by number, in the order of the graph."""

    @property
    def consumer(self) -> int:
        """The first of those that share it."""
        return self.consumers[0]


@dataclass(frozen=True, slots=True)
class NotCounted:
    """A tensor that may move, and why nobody knows how many bytes."""

    lbn: str
    producer: int
    consumer: int
    made: NdSbp | None
    wanted: NdSbp | None
    reason: str

    @property
    def lessens(self) -> bool:
        """Whether bytes are missing in the total for it, beyond what by definition is left out of it."""
        return self.reason not in (UNPLACED, UNLIKE_RANK, UNLIKE_MESH)


def same_devices(one: Placement, other: Placement) -> bool:
    """Whether two placements have the same ranks in the same order and arranged alike; what kind of devices these are plays no part."""
    return one is other or (one.ranks == other.ranks and one.hierarchy == other.hierarchy)


def is_explicit(op: Op) -> bool:
    """Whether an operator is itself a collective."""
    return op.role is Role.COLLECTIVE or (op.type or "").startswith(_EXPLICIT)


MOST_SINKS = 16
"""Consumers behind a collective that are looked at for why it is there."""


@dataclass(slots=True)
class Made:
    """A tensor as its real producer makes it."""

    operand: Operand
    index: int


class RealEdges:
    """The edges of a graph between real producers and real consumers."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._made: dict[str, Made] = {}
        for index, op in enumerate(layout.graph.ops):
            for result in op.outputs:
                self._made[result.lbn] = Made(result, index)
        self.explicit = {index for index, op in enumerate(layout.graph.ops) if is_explicit(op)}
        """Collectives that stand in the graph."""
        self._handing = {index for index, op in enumerate(layout.graph.ops) if self._hands_on(op)}
        self._origins: dict[str, Made | None] = {}

    def _hands_on(self, op: Op) -> bool:
        """Whether an operator is looked through."""
        if len(op.inputs) != 1 or len(op.outputs) != 1:
            return False
        if op.role is Role.BOXING:
            return True
        return op.role is Role.SYSTEM and op.type in _CASTS and self._is_variable(op.inputs[0].lbn)

    def _is_variable(self, lbn: str) -> bool:
        """Whether a variable is behind a tensor, straight or through boxing."""
        seen = set()
        made = self._made.get(lbn)
        while made is not None and made.index not in seen:
            seen.add(made.index)
            maker = self.layout.graph.ops[made.index]
            if len(maker.inputs) != 1 or not (maker.role is Role.BOXING or made.index in self.explicit):
                return maker.type == "variable"
            made = self._made.get(maker.inputs[0].lbn)
        return False

    def origin(self, lbn: str) -> Made | None:
        """The real producer behind a tensor, or the collective; None where the dump has none. A chain is walked once."""
        made = self._made.get(lbn)
        if made is None or made.index not in self._handing:
            return made
        passed = []
        while lbn not in self._origins:
            passed.append(lbn)
            made = self._made.get(lbn)
            if made is None or made.index not in self._handing:
                self._origins[lbn] = made
            else:
                lbn = self.layout.graph.ops[made.index].inputs[0].lbn
        found = self._origins[lbn]
        self._origins.update(dict.fromkeys(passed, found))
        return found

    def source(self, lbn: str) -> Made | None:
        """The real producer behind a tensor, collectives looked through."""
        made = self.origin(lbn)
        for _ in range(len(self.explicit)):
            if made is None or made.index not in self.explicit or not self.layout.graph.ops[made.index].inputs:
                break
            made = self.origin(self.layout.graph.ops[made.index].inputs[0].lbn)
        return made

    @cached_property
    def sinks(self) -> Mapping[int, tuple[int, ...]]:
        """By operator that is looked through, and by collective, the first of the real consumers behind it."""
        edges = self.layout.graph.edges
        found: dict[int, tuple[int, ...]] = {}
        for index in reversed(edges.order):
            if index in self._handing or index in self.explicit:
                behind = dict.fromkeys(sink for reader in edges.read_by[index] for sink in found.get(reader, (reader,)))
                found[index] = tuple(behind)[:MOST_SINKS]
        return found

    def __iter__(self) -> Iterator[tuple[Made, int, Operand]]:
        """Each real producer's result with the number of an operator that reads it, and the operand there; none at a collective."""
        for index, op in enumerate(self.layout.graph.ops):
            if index in self._handing or index in self.explicit:
                continue
            for operand in op.inputs:
                made = self.origin(operand.lbn)
                if made is not None and made.index not in self.explicit:
                    yield made, index, operand


def transfers_of(edges: RealEdges, types: Mapping[str, TensorType]) -> tuple[list[Transfer], list[NotCounted]]:
    """The transfers of a graph, in the order of their consumers, and what may be one and cannot be counted."""
    return _Search(edges, types).run()


_Key = tuple[str, int, int]
"""What makes a transfer one: the tensor, the number of the placement and the identity of the sbp that are wanted."""


class _Search:
    """The search for a graph's transfers. An sbp is known by its identity, which readers make the same for equal ones."""

    def __init__(self, edges: RealEdges, types: Mapping[str, TensorType]) -> None:
        self.layout = edges.layout
        self.types = types
        self.edges = edges
        self.sbps: dict[NdSbp | None, NdSbp | None] = {}
        self.own: dict[int, NdSbp | None] = {}
        self.moves: dict[tuple[int, ...], Move | str] = {}
        self.types_kept: dict[TensorType, TensorType] = {}
        self.found: dict[_Key, tuple[int, str, Move, list[int]]] = {}
        """By key the producer, the tensor, what moves and the consumers."""
        self.open: dict[_Key, NotCounted] = {}

    def run(self) -> tuple[list[Transfer], list[NotCounted]]:
        distinct, places, ops = self.layout.distinct, self.layout.places, self.layout.graph.ops
        for made, index, operand in self.edges:
            own, other = places[made.index], places[index]
            nd_sbp = made.operand.nd_sbp
            if own == other and (nd_sbp is operand.nd_sbp or len(distinct[own].ranks) == 1):
                continue
            nd_sbp, wanted = self._one(nd_sbp), self._one(operand.nd_sbp)
            if own == other and nd_sbp is wanted and nd_sbp is not None:
                continue
            key = made.operand.lbn, other, id(wanted)
            runs = min(ops[made.index].runs, ops[index].runs)
            known = self.found.get(key)
            if known is not None and runs <= known[2].runs:
                known[3].append(index)
                continue
            move = self._move(made, own, nd_sbp, index, other, wanted, runs)
            if isinstance(move, str):
                self.open.setdefault(key, NotCounted(made.operand.lbn, made.index, index, nd_sbp, wanted, move))
            elif move is not None:
                consumers = [] if known is None else known[3]
                self.found[key] = made.index, made.operand.lbn, move, [*consumers, index]
        for index in sorted(self.edges.explicit):
            self._explicit(ops[index], index)
        listed = [Transfer(lbn, move, producer, tuple(consumers)) for producer, lbn, move, consumers in self.found.values()]
        return sorted(listed, key=lambda one: one.consumer), list(self.open.values())

    def _one(self, nd_sbp: NdSbp | None) -> NdSbp | None:
        """The one object that stands for all equal sbp."""
        found = self.own.get(id(nd_sbp), nd_sbp)
        if found is nd_sbp and id(nd_sbp) not in self.own:
            found = self.own[id(nd_sbp)] = self.sbps.setdefault(nd_sbp, nd_sbp)
        return found

    def _move(
        self, made: Made, own: int, nd_sbp: NdSbp | None, index: int, other: int, wanted: NdSbp | None, runs: int
    ) -> Move | str | None:
        """What moves between two ends, None where nothing does, or why it cannot be counted."""
        producers, consumers = self.layout.distinct[own], self.layout.distinct[other]
        if producers.ranks == consumers.ranks and len(producers.ranks) == 1 and producers.device == consumers.device:
            return None
        if not (self.layout.stated[made.index] and self.layout.stated[index]) and producers.ranks != consumers.ranks:
            return UNPLACED
        if nd_sbp is None or wanted is None:
            return UNTOLD_SBP
        type_ = operand_type(made.operand, self.types)
        return self._known(type_, nd_sbp, own, wanted, other, runs)

    def _known(self, type_: TensorType, made: NdSbp, own: int, wanted: NdSbp, other: int, runs: int) -> Move | str | None:
        """The same, worked out once for all tensors of a type that lie so and are wanted so."""
        type_ = self.types_kept.setdefault(type_, type_)
        key = id(type_), id(made), own, id(wanted), other, runs
        if key not in self.moves:
            try:
                self.moves[key] = _move(type_, made, self.layout.distinct[own], wanted, self.layout.distinct[other], runs)
            except TooManyPieces:
                self.moves[key] = UNEVEN
        return self.moves[key] or None

    def _explicit(self, op: Op, index: int) -> None:
        """Adds what a collective in the graph moves: each operand comes out as the result of its place.

        The ends of such a transfer are the real producer and consumers around the collective.
        """
        place = self.layout.places[index]
        if len(self.layout.distinct[place].ranks) == 1:
            return
        consumers = self.edges.sinks.get(index) or (index,)
        for operand, result in zip(op.inputs, op.outputs, strict=False):
            made, wanted = self._one(operand.nd_sbp), self._one(result.nd_sbp)
            source = self.edges.source(operand.lbn)
            producer, lbn = (index, operand.lbn) if source is None else (source.index, source.operand.lbn)
            move: Move | str | None = UNTOLD_SBP
            if made is not None and wanted is not None:
                move = self._known(operand_type(operand, self.types), made, place, wanted, place, op.runs)
            key = result.lbn, place, id(wanted)
            if isinstance(move, str):
                self.open.setdefault(key, NotCounted(result.lbn, index, index, made, wanted, move))
            elif move is not None:
                self.found[key] = producer, lbn, move, list(consumers)


NOTHING = ""
"""What stands for a tensor that lies as it is wanted."""


def _move(type_: TensorType, made: NdSbp, producers: Placement, wanted: NdSbp, consumers: Placement, runs: int) -> Move | str:
    """What moves between two ends, `NOTHING` where nothing does, or why it cannot be counted. Errors: TooManyPieces."""
    if len(made) != len(producers.hierarchy) or len(wanted) != len(consumers.hierarchy):
        return UNTOLD_SBP
    same = same_devices(producers, consumers)
    if not same:
        if (len(producers.hierarchy) == 1) != (len(consumers.hierarchy) == 1):
            return UNLIKE_RANK
        if producers.ranks == consumers.ranks:
            return UNLIKE_MESH
    elif producers.device == consumers.device and not _changes(made, wanted, consumers.hierarchy):
        return NOTHING
    if type_.numel is None or type_.shape is None or type_.dtype is None:
        return UNKNOWN_SIZE
    if any(sbp.axis is not None and sbp.axis >= len(type_.shape) for sbp in (*made, *wanted)):
        return UNTOLD_SBP
    if not same:
        elements = boxing.sent(type_.numel, made, producers.hierarchy, wanted, consumers.hierarchy)
        return Move(type_, made, producers, wanted, consumers, runs, (), elements)
    shape = tuple(extent for extent in type_.shape if extent is not None)
    steps = boxing.steps(shape, made, wanted, consumers.hierarchy)
    return Move(type_, made, producers, wanted, consumers, runs, steps, sum(step.elements for step in steps))


def _changes(made: NdSbp, wanted: NdSbp, mesh: Sequence[int]) -> bool:
    return any(old != new and devices > 1 for old, new, devices in zip(made, wanted, mesh, strict=True))
