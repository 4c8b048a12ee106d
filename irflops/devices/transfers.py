"""Which tensors move between devices: from what their producers made to what consumers want, and by which collectives.

There is one transfer per tensor, placement and sbp that is wanted, however many consumers share it. Operators that only hand a tensor on
for boxing are looked through, and so are ZeRO's casts of variables. A collective that stands in the graph is a transfer itself, and the
edges around it are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class End:
    """An operator at one end of a transfer, where it stands and how the tensor lies there."""

    index: int
    """Its number in the graph."""
    placement: Placement
    nd_sbp: NdSbp


@dataclass(frozen=True, slots=True)
class Transfer:
    """A tensor on its way to other devices, or to another part on each."""

    lbn: str
    type: TensorType
    producer: End
    consumer: End
    """The first of those that share it."""
    steps: tuple[Step, ...]
    """On the same devices, what happens along the dimensions of the mesh; none between devices of two placements."""
    elements: int
    """Moved over all devices, in one run."""
    runs: int
    consumers: tuple[int, ...] = field(default=(), repr=False)
    """All that share it."""

    @property
    def crosses(self) -> bool:
        """Whether it goes from the devices of one placement to those of another."""
        return not same_devices(self.producer.placement, self.consumer.placement)

    @property
    def bytes(self) -> int:
        """Bytes over all devices, in a step of training."""
        assert self.type.dtype is not None, "the size of a transfer is known"
        return self.type.dtype.nbytes(self.elements) * self.runs

    def bytes_of(self, step: Step) -> int:
        """Bytes of one of its steps over all devices."""
        assert self.type.dtype is not None, "the size of a transfer is known"
        return self.type.dtype.nbytes(step.elements) * self.runs

    @property
    def collective(self) -> str:
        """What it is, several joined by ` + `."""
        if self.crosses:
            return boxing.SEND_RECV
        named = dict.fromkeys(step.collective for step in self.steps)
        return " + ".join(name for name in named if name != boxing.SLICE or len(named) == 1) or boxing.COPY

    @property
    def group(self) -> int:
        """Devices that take part together: in each group of a collective, or on both sides."""
        if self.crosses:
            return len({*self.producer.placement.ranks, *self.consumer.placement.ranks})
        size = 1
        for step in self.steps:
            size *= step.group
        return size

    @property
    def part_bytes(self) -> int:
        """Bytes of the largest part that a consumer's device holds after it."""
        (largest,) = parts((Laid(self.type, self.consumer.nd_sbp),), self.consumer.placement.hierarchy, largest=True)
        return largest.types[0].nbytes or 0

    @property
    def bytes_per_device(self) -> int:
        """Bytes that the busiest device sends by the ring; between two placements what a device receives."""
        if self.crosses:
            return self.part_bytes * self.runs
        return -(-self.bytes // len(self.consumer.placement.ranks))

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Dimensions of the mesh along which it changes, none between two placements."""
        return tuple(step.dimension for step in self.steps)


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


_Key = tuple[str, int, NdSbp | None]
"""What makes a transfer one: the tensor, and the number of the placement and the sbp that are wanted."""


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


def transfers_of(layout: Layout, types: Mapping[str, TensorType]) -> tuple[list[Transfer], list[NotCounted]]:
    """The transfers of a graph, in the order of their consumers, and what may be one and cannot be counted."""
    found: dict[_Key, Transfer] = {}
    shared: dict[_Key, list[int]] = {}
    open_: dict[_Key, NotCounted] = {}
    placements, places, ops = layout.placements, layout.places, layout.graph.ops
    edges = RealEdges(layout)
    for made, index, operand in edges:
        own, other = placements[made.index], placements[index]
        result = made.operand
        if own is other and (result.nd_sbp is operand.nd_sbp or len(own.ranks) == 1):
            continue
        if own is not other and own.ranks == other.ranks and len(own.ranks) == 1 and own.device == other.device:
            continue
        reason = _reason(layout, result.nd_sbp, operand.nd_sbp, made.index, index, own, other)
        if reason is not None:
            key = result.lbn, places[index], operand.nd_sbp
            open_.setdefault(key, NotCounted(result.lbn, made.index, index, result.nd_sbp, operand.nd_sbp, reason))
            continue
        assert result.nd_sbp is not None, "there is a reason where it is not known"
        assert operand.nd_sbp is not None, "the same"
        if same_devices(own, other) and own.device == other.device and not _changes(result.nd_sbp, operand.nd_sbp, own.hierarchy):
            continue
        runs = min(ops[made.index].runs, ops[index].runs)
        key = result.lbn, places[index], operand.nd_sbp
        known = found.get(key)
        if known is not None:
            shared[key].append(index)
            if runs <= known.runs:
                continue
        type_ = operand_type(result, types)
        ends = End(made.index, own, result.nd_sbp), End(index, other, operand.nd_sbp)
        try:
            one = _transfer(result.lbn, type_, *ends, runs)
        except TooManyPieces:
            one = UNEVEN
        if isinstance(one, str):
            open_.setdefault(key, NotCounted(result.lbn, made.index, index, *_sbps(ends), one))
            continue
        found[key] = one
        shared.setdefault(key, [index])
    for index, op in enumerate(ops):
        if index in edges.explicit:
            _explicit(op, index, edges, types, found, shared, open_)
    listed = [_with_consumers(one, tuple(shared[key])) for key, one in found.items()]
    return sorted(listed, key=lambda one: one.consumer.index), list(open_.values())


def _sbps(ends: tuple[End, End]) -> tuple[NdSbp, NdSbp]:
    return ends[0].nd_sbp, ends[1].nd_sbp


def _with_consumers(one: Transfer, consumers: tuple[int, ...]) -> Transfer:
    return Transfer(one.lbn, one.type, one.producer, one.consumer, one.steps, one.elements, one.runs, consumers)


def _reason(
    layout: Layout, made: NdSbp | None, wanted: NdSbp | None, producer: int, consumer: int, own: Placement, other: Placement
) -> str | None:
    """Why a transfer between two ends cannot be counted, None where it can."""
    if not (layout.stated[producer] and layout.stated[consumer]) and own.ranks != other.ranks:
        return UNPLACED
    if made is None or wanted is None or len(made) != len(own.hierarchy) or len(wanted) != len(other.hierarchy):
        return UNTOLD_SBP
    if same_devices(own, other):
        return None
    if (len(own.hierarchy) == 1) != (len(other.hierarchy) == 1):
        return UNLIKE_RANK
    return UNLIKE_MESH if own.ranks == other.ranks else None


def _changes(made: NdSbp, wanted: NdSbp, mesh: Sequence[int]) -> bool:
    return any(old != new and devices > 1 for old, new, devices in zip(made, wanted, mesh, strict=True))


def _transfer(lbn: str, type_: TensorType, producer: End, consumer: End, runs: int) -> Transfer | str:
    """A transfer between two ends, or why it cannot be counted."""
    numel = type_.numel
    if numel is None or type_.shape is None or type_.dtype is None:
        return UNKNOWN_SIZE
    rank = len(type_.shape)
    if any(sbp.axis is not None and sbp.axis >= rank for sbp in (*producer.nd_sbp, *consumer.nd_sbp)):
        return UNTOLD_SBP
    if not same_devices(producer.placement, consumer.placement):
        meshes = producer.placement.hierarchy, consumer.placement.hierarchy
        return Transfer(
            lbn, type_, producer, consumer, (), boxing.sent(numel, producer.nd_sbp, meshes[0], consumer.nd_sbp, meshes[1]), runs
        )
    shape = tuple(extent for extent in type_.shape if extent is not None)
    steps = boxing.steps(shape, producer.nd_sbp, consumer.nd_sbp, consumer.placement.hierarchy)
    return Transfer(lbn, type_, producer, consumer, steps, sum(step.elements for step in steps), runs)


def _explicit(
    op: Op,
    index: int,
    edges: RealEdges,
    types: Mapping[str, TensorType],
    found: dict[_Key, Transfer],
    shared: dict[_Key, list[int]],
    open_: dict[_Key, NotCounted],
) -> None:
    """Adds what a collective in the graph moves: each operand comes out as the result of its place.

    The ends of such a transfer are the real producer and consumers around the collective.
    """
    layout = edges.layout
    placement = layout.placement(index)
    if len(placement.ranks) == 1:
        return
    consumers = edges.sinks.get(index) or (index,)
    for operand, result in zip(op.inputs, op.outputs, strict=False):
        made, wanted = operand.nd_sbp, result.nd_sbp
        source = edges.source(operand.lbn)
        producer = index if source is None else source.index
        one: Transfer | str = UNTOLD_SBP
        if made is not None and wanted is not None and len(made) == len(wanted) == len(placement.hierarchy):
            ends = End(producer, placement, made), End(consumers[0], placement, wanted)
            try:
                one = _transfer(operand.lbn if source is None else source.operand.lbn, operand_type(operand, types), *ends, op.runs)
            except TooManyPieces:
                one = UNEVEN
        key = result.lbn, layout.places[index], wanted
        if isinstance(one, str):
            open_.setdefault(key, NotCounted(result.lbn, index, index, made, wanted, one))
        else:
            found[key] = one
            shared[key] = list(consumers)
