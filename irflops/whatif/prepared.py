"""What a what-if needs to know of a graph whatever is asked for: its tensors, the order to go in, and which operators cut one tensor up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from irflops.ir.graph import Graph, Op, Operand, Shape, TensorType
from irflops.ops import BOOK
from irflops.ops.book import RuleBook
from irflops.ops.resize import CUTS
from irflops.whatif.loops import loop_axes


@dataclass(frozen=True, slots=True)
class Loop:
    """Operators that can be the steps of an unrolled loop, and the axes that these go along."""

    steps: int
    axes: frozenset[int]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Operators that cut up one tensor, and the axes whole lengths of which they make up together."""

    ops: Sequence[Op]
    axes: Sequence[int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A graph, ready to have other shapes carried through it."""

    graph: Graph
    types: Mapping[str, TensorType]
    """The captured types, by lbn."""
    order: Sequence[Op]
    """Producers before consumers; what does not depend on the inputs as late as it can be, so that its readings are settled soon."""
    pieces: Mapping[str, Pieces]
    """By the name of the last of them."""
    loops: Mapping[str, Loop]
    """By operator the loop that it can be a step of."""
    last_read: Mapping[str, int]
    """By lbn, the place in the order from which on its shape no longer matters."""
    book: RuleBook = BOOK

    @property
    def holds_attributes(self) -> bool:
        """Whether the graph's form tells all attributes: then what is open is the meaning of sizes alone."""
        return self.graph.holds.attrs

    def captured(self, operand: Operand) -> TensorType:
        """The type of a tensor as the file states it, or as it was inferred."""
        stated, made = operand.type, self.types.get(operand.lbn, operand.type)
        return TensorType(made.shape if made.shape is not None else stated.shape, made.dtype or stated.dtype)

    def shapes(self, op: Op) -> dict[str, Shape | None]:
        """The captured shapes of an operator's results, by lbn."""
        return {result.lbn: self.captured(result).shape for result in op.outputs}


def prepare(graph: Graph, types: Mapping[str, TensorType], book: RuleBook = BOOK) -> Prepared:
    """The prepared of a graph whose types are these."""
    order = _order(graph)
    groups: dict[str, list[Op]] = {}
    for op in order:
        rule = book.rule(op.type)
        if rule is not None and rule.resized in CUTS and len(op.inputs) == len(op.outputs) == 1:
            groups.setdefault(op.inputs[0].lbn, []).append(op)
    prepared = Prepared(graph, types, order, pieces := {}, loops := {}, last_read := {}, book)
    for group in groups.values():
        whole = prepared.captured(group[0].inputs[0]).shape
        parts = [prepared.captured(op.outputs[0]).shape for op in group]
        if made_up := _axes_made_up(whole, parts):
            pieces[group[-1].name] = Pieces(group, made_up)
        for op, axes in zip(group, loop_axes(group, whole, parts), strict=True):
            if axes:
                loops[op.name] = Loop(len(group), axes)
    for place, op in enumerate(order):
        last_read.update(dict.fromkeys((operand.lbn for operand in op.inputs), place))
        if op.name in pieces:
            last_read.update(dict.fromkeys((piece.outputs[0].lbn for piece in pieces[op.name].ops), place))
    return prepared


def _axes_made_up(whole: Shape | None, parts: Sequence[Shape | None]) -> list[int]:
    """The axes of a tensor along which two parts or more are as long as it is; none where one of them is all of it."""
    if whole is None or len(parts) < 2 or whole in parts:
        return []
    alike = [part for part in parts if part is not None and len(part) == len(whole)]
    return [axis for axis, extent in enumerate(whole) if sum(part[axis] or 0 for part in alike) == extent]


def _order(graph: Graph) -> list[Op]:
    ops, producers, order = graph.ops, graph.edges.fed_by, graph.edges.order
    reached: set[int] = set()
    for index in order:
        if ops[index].type == "input" or not reached.isdisjoint(producers[index]):
            reached.add(index)
    late: dict[int, None] = {}
    for index in [*(index for index in order if index in reached), *order]:
        waiting = [index]
        while waiting:
            at = waiting[-1]
            before = [] if at in late else [producer for producer in producers[at] if producer not in late]
            if before:
                waiting += reversed(before)
            else:
                late[waiting.pop()] = None
    return [ops[index] for index in late]
