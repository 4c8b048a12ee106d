"""One of two graphs as an alignment sees it: its operators without what only one form shows, and who feeds whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from irflops.analysis.analysis import Analysis
from irflops.counting.infer import operand_type
from irflops.differ.forms import Aspects
from irflops.ir.graph import Graph, Op, Role, TensorType
from irflops.ir.order import run_order
from irflops.ir.signatures import FUSED_TERM

MOST = 64
"""Neighbours of a node that are looked at on either side where all would be too many: a tensor may be read by thousands."""

INTERFACE = ("input", "output")
_CASTS = ("hierarchical_parallel_cast", "parallel_cast")
SUM = "add_n"


@dataclass(frozen=True, slots=True)
class Slot:
    """An operand of an operator: its place, and the operator and result behind it."""

    arg: str
    index: int
    """0 for every term of a sum whose terms have no order."""
    producer: int | None
    """Index among the nodes, None where nothing in the graph makes it."""
    blob: str
    """Which of the producer's results, as argument and index; without a producer the lbn."""
    lbn: str


@dataclass(frozen=True)
class Side:
    """Operators as nodes, boxing identities looked through; lists are by node."""

    analysis: Analysis
    ops: tuple[Op, ...]
    slots: Sequence[tuple[Slot, ...]]
    consumers: Sequence[Sequence[tuple[int, int]]]
    """Nodes that use a result, each with the number of the slot."""
    order: Sequence[int]
    """Nodes, producers before consumers."""
    by_name: Mapping[str, int]
    updates: Mapping[int, int]
    """Operators that update a variable, by node that variable."""
    places: dict[int, dict[tuple[str, int], Slot]] = field(default_factory=dict)
    """Slots by argument and index, of the nodes that `slot_of` was asked for."""

    def result(self, node: int) -> TensorType | None:
        """The type of a node's first result."""
        outputs = self.ops[node].outputs
        return self.type_of(outputs[0].lbn, outputs[0].type) if outputs else None

    def type_of(self, lbn: str, stated: TensorType) -> TensorType:
        """The type of a tensor, inferred where the form does not state it."""
        return self.analysis.inference.types.get(lbn, stated)

    def operand_types(self, node: int) -> tuple[TensorType, ...]:
        """The types of a node's operands, in order."""
        return tuple(operand_type(operand, self.analysis.inference.types) for operand in self.ops[node].inputs)


def side_of(analysis: Analysis, aspects: Aspects) -> Side:
    """The nodes of an analysis, with what both forms hold."""
    graph = analysis.graph
    kept = [index for index, op in enumerate(graph.ops) if not is_boxing(op, casts=not aspects.stage)]
    ops, slots = [graph.ops[index] for index in kept], _slots(graph, kept, aspects)
    if not aspects.stage:
        ops, slots = _with_merged_sums(ops, slots)
    consumers: list[list[tuple[int, int]]] = [[] for _ in ops]
    for node, found in enumerate(slots):
        for number, slot in enumerate(found):
            if slot.producer is not None:
                consumers[slot.producer].append((node, number))
    order = run_order([[slot.producer for slot in found if slot.producer is not None] for found in slots])
    by_name = {op.name: node for node, op in enumerate(ops)}
    return Side(analysis, tuple(ops), slots, consumers, order, by_name, _updates(ops, slots))


def _updates(ops: Sequence[Op], slots: Sequence[Sequence[Slot]]) -> dict[int, int]:
    found = {}
    for node, op in enumerate(ops):
        if op.type is not None and op.type.endswith("_update"):
            model = next((slot.producer for slot in slots[node] if slot.arg == "model"), None)
            if model is not None and ops[model].type == "variable":
                found[node] = model
    return found


def slot_of(side: Side, node: int, slot: Slot) -> Slot | None:
    """The operand at the same place of another operator."""
    places = side.places.get(node)
    if places is None:
        places = side.places[node] = {(s.arg, s.index): s for s in reversed(side.slots[node])}
    return places.get((slot.arg, slot.index))


def operators_read(side: Side, node: int) -> list[int]:
    """The operators behind the first operands of one, variables aside."""
    return [s.producer for s in side.slots[node][:MOST] if s.producer is not None and side.ops[s.producer].type != "variable"]


def readers(side: Side, node: int) -> list[int]:
    """The first operators that read a result of one, twice those that read it twice."""
    return [reader for reader, _ in side.consumers[node][:MOST]]


def is_boxing(op: Op, *, casts: bool = False) -> bool:
    """Whether an operator only hands a tensor on in another sbp or placement: the boxing that printed graphs alone show.

    With `casts` parallel casts too, which a pass of OneFlow's takes away where nothing changes.
    """
    return (op.role is Role.BOXING or (casts and op.type in _CASTS)) and len(op.inputs) == 1 and len(op.outputs) == 1


def boxed_in(ops: Sequence[Op], *, casts: bool = False) -> dict[str, str]:
    """By the lbn that a boxing identity makes, the one that it hands on; of several in a row the first."""
    boxed = {op.outputs[0].lbn: op.inputs[0].lbn for op in ops if is_boxing(op, casts=casts)}
    for lbn, source in boxed.items():
        seen = {lbn}
        while source in boxed and source not in seen:
            seen.add(source)
            source = boxed[source]  # noqa: PLW2901 - upwards, one by one
        boxed[lbn] = source
    return boxed


def _slots(graph: Graph, kept: Sequence[int], aspects: Aspects) -> list[tuple[Slot, ...]]:
    """The slots of the operators that are nodes, by node."""
    boxed, edges = boxed_in(graph.ops, casts=not aspects.stage), graph.edges
    nodes = {index: node for node, index in enumerate(kept)}
    blobs = [f"{result.arg}:{result.index}" for op in graph.ops for result in op.outputs]
    slots = []
    for index in kept:
        found = []
        for operand in graph.ops[index].inputs:
            if operand.arg == FUSED_TERM and not aspects.fused_terms:
                continue
            lbn = boxed.get(operand.lbn, operand.lbn)
            tensor = edges.tensors[lbn]
            producer = nodes.get(edges.makers[tensor])
            found.append(Slot(operand.arg, operand.index, producer, lbn if producer is None else blobs[tensor], lbn))
        slots.append(tuple(found))
    return slots


def _with_merged_sums(ops: list[Op], slots: list[tuple[Slot, ...]]) -> tuple[list[Op], list[tuple[Slot, ...]]]:
    """Sums of sums as one, and their terms without order: a pass of OneFlow's merges them so."""
    readers = [0] * len(ops)
    by_sum = [True] * len(ops)
    for node, found in enumerate(slots):
        for slot in found:
            if slot.producer is not None:
                readers[slot.producer] += 1
                by_sum[slot.producer] &= ops[node].type == SUM
    merged = {node for node, op in enumerate(ops) if op.type == SUM and readers[node] == 1 and by_sum[node]}
    kept = [node for node in range(len(ops)) if node not in merged]
    number = {node: n for n, node in enumerate(kept)}

    def terms(node: int) -> list[Slot]:
        found, waiting = [], list(slots[node])
        while waiting:
            slot = waiting.pop()
            if slot.producer in merged:  # once each: it has one reader
                waiting += slots[slot.producer]
            else:
                found.append(replace(slot, index=0))
        return found

    def renumbered(found: Sequence[Slot]) -> tuple[Slot, ...]:
        return tuple(replace(slot, producer=number.get(slot.producer) if slot.producer is not None else None) for slot in found)

    return [ops[node] for node in kept], [renumbered(terms(node) if ops[node].type == SUM else slots[node]) for node in kept]
