"""What backward keeps of forward: `saved_bytes`.

An operator does not tell it by itself. A result of the forward pass is kept until the last operator of the backward pass or of
recomputation has read it: as a whole, even where that asks for the shape alone. A view keeps what it views. What a form tells of readers
and of operators on the way may be open (a type, the operands): then what is kept because of them is unknown, and never zero.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from irflops.counting.cost import SAVED_BIT, OpCost, Saved
from irflops.ir.graph import Graph, Op, Operand, Phase, TensorType
from irflops.ops.book import RuleBook

_NOT, _MAYBE, _SURELY = range(3)
"""Whether a tensor is kept."""

_SOURCES = ("variable", "input")
_READERS = (Phase.BACKWARD, Phase.RECOMPUTE)

READERS_OPEN = ("unknown_phase", "unknown_reader")
"""Reasons that lie in what reads an operator's results, and not in the operator."""


def with_saved(graph: Graph, types: Mapping[str, TensorType], costs: Sequence[OpCost], book: RuleBook) -> tuple[OpCost, ...]:
    """The costs of a graph's operators, of one run of each in their order, with the bytes of their results that backward keeps.

    Operators with one cost and one such figure share an object.
    """
    if not any(op.phase is None or op.phase in _READERS for op in graph.ops):
        return tuple(costs)
    kept = _Kept(graph, types, book).levels()
    first = graph.edges.first_result
    made: dict[tuple[int, Saved], OpCost] = {}
    found = list(costs)
    for index, op in enumerate(graph.ops):
        levels = kept[first[index] : first[index + 1]]
        if any(levels) and (op.phase is Phase.FORWARD or op.phase is None) and op.type not in _SOURCES:
            saved = _saved(op, levels, book)
            if saved is not None:
                key = id(costs[index]), saved
                if key not in made:
                    made[key] = saving(costs[index], saved, [types.get(result.lbn, result.type) for result in op.outputs])
                found[index] = made[key]
    return tuple(found)


def saving(found: OpCost, saved: Saved, results: Sequence[TensorType]) -> OpCost:
    """The cost of an operator of whose results, of these types, backward keeps some."""
    cost = found.cost
    sizes = [results[place].nbytes for place in saved.results]
    nbytes = sum(size for size in sizes if size is not None)
    if saved.reason is not None or None in sizes:
        reason = found.reason or saved.reason or "missing_shape"
        return replace(found, cost=replace(cost, missing=cost.missing | SAVED_BIT), reason=reason, saved=saved)
    at_most = cost.at_most | (SAVED_BIT if saved.at_most and nbytes else 0)
    return replace(found, cost=replace(cost, figures=(*cost.figures[:-1], nbytes), at_most=at_most), saved=saved)


def _saved(op: Op, levels: Sequence[int], book: RuleBook) -> Saved | None:
    """What backward keeps of the results of an operator, by how surely each is kept; None where they have no storage of their own."""
    rules = [book.rule(op_type) for op_type in _op_types(op)]
    if all(rule is not None and rule.is_view for rule in rules):
        return None
    results = tuple(place for place, level in enumerate(levels) if level)
    if op.phase is None:
        return Saved(results, "unknown_phase")
    if _MAYBE in levels:
        return Saved(results, "unknown_reader")
    if any(rule is None or rule.is_view for rule in rules):
        return Saved(results, "no_rule" if op.type else "missing_attribute")
    return Saved(results, at_most=any(rule is not None and rule.upper_bound for rule in rules))


def _op_types(op: Op) -> tuple[str, ...]:
    """The types that an operator may have; where nothing tells any, one that has no rule."""
    return (op.type,) if op.type is not None else op.type_candidates or ("",)


class _Kept:
    """How surely each tensor of a graph is kept, worked out from those that read it."""

    def __init__(self, graph: Graph, types: Mapping[str, TensorType], book: RuleBook) -> None:
        self._graph = graph
        self._edges = graph.edges
        self._types = types
        self._book = book
        self._levels = bytearray(len(self._edges.makers))
        self._raised: list[int] = []
        self._blind = False
        """Whether something reads or views a tensor of which nothing tells which one it is."""

    def levels(self) -> bytearray:
        """By number of the tensor: `_NOT`, `_MAYBE` or `_SURELY`."""
        edges = self._edges
        added: set[TensorType] = set()
        for index, op in enumerate(self._graph.ops):
            if op.phase is None or op.phase in _READERS:
                sure = op.phase is not None
                self._blind |= op.elided
                if op.readings:
                    self._raise_open([{operand.lbn for operand in reading} for reading in op.readings], sure=sure)
                    if op.phase is not Phase.BACKWARD:  # what is added to a gradient is another one
                        added.update(operand.type for reading in op.readings for operand in reading if operand.lbn not in edges.tensors)
                else:
                    for slot in range(edges.first_slot[index], edges.first_slot[index + 1]):
                        self._raise(edges.reads[slot], _SURELY if sure else _MAYBE)
        self._settle()
        for lbn, tensor in edges.tensors.items() if added else ():
            if self._types.get(lbn) in added:  # an operand without a name, which the operator adds to its result
                self._raise(tensor, _MAYBE)
        self._settle()
        return bytearray(max(level, _MAYBE) for level in self._levels) if self._blind else self._levels

    def _raise(self, tensor: int, level: int) -> None:
        if self._levels[tensor] < level:
            self._levels[tensor] = level
            self._raised.append(tensor)

    def _raise_open(self, choices: Collection[set[str]], *, sure: bool) -> None:
        """Keeps tensors of which nothing tells which choice is meant: surely what is in all of them."""
        common = set.intersection(*choices) if sure else set()
        for lbn in set().union(*choices):
            tensor = self._edges.tensors.get(lbn)
            if tensor is not None:
                self._raise(tensor, _SURELY if lbn in common else _MAYBE)

    def _settle(self) -> None:
        """Keeps what kept tensors are views of, to the last."""
        makers, first = self._edges.makers, self._edges.first_result
        while self._raised:
            tensor = self._raised.pop()
            maker = makers[tensor]
            op = self._graph.ops[maker] if maker >= 0 else None
            if op is None or op.type in _SOURCES or op.phase in _READERS:  # of the latter all operands are kept
                continue
            rules = [self._book.rule(op_type) for op_type in _op_types(op)]
            if any(rule is None or rule.aliases for rule in rules):
                self._blind |= op.elided
                result = op.outputs[tensor - first[maker]]
                self._raise_open(list(_viewed(op, result, self._book)), sure=self._levels[tensor] == _SURELY)


def _viewed(op: Op, result: Operand, book: RuleBook) -> Iterator[set[str]]:
    """Of what a result may be a view: a set of none or one lbn for each type and operands that its operator may have."""
    for operands in op.readings or (op.inputs,):
        for op_type in _op_types(op):
            rule = book.rule(op_type)
            if rule is None:
                yield set()
                yield from ({operand.lbn} for operand in operands)
            else:
                yield _operand(operands, rule.aliases.get(result.arg), result.index)


def _operand(operands: Iterable[Operand], arg: str | None, index: int) -> set[str]:
    """The operand at a place, or the first of its argument; none where there is none."""
    of_arg = {operand.index: operand.lbn for operand in operands if operand.arg == arg}
    return {of_arg.get(index, next(iter(of_arg.values())))} if of_arg else set()
