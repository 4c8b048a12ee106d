"""What is unknown in both graphs and the same in both: it cancels in every change.

An operator of unknown cost cancels with the one that it is paired with where nothing distinguishes the two: type, attributes and tensors
are the same as far as the forms tell. What a form hides as a whole (the optimizer of a forward job) cancels where there is no edit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from irflops.analysis.analysis import Analysis
from irflops.counting.cost import OF_A_RUN, SAVED_BIT, Cost, OpCost
from irflops.counting.fold import SURE, Fold, UnsureBits, fold, unsure_bits
from irflops.counting.infer import operand_type
from irflops.counting.saved import READERS_OPEN
from irflops.differ.edit import Edit
from irflops.ir.graph import Graph, Op, TensorType, exact
from irflops.ir.tree import tree_of


@dataclass(frozen=True, slots=True)
class Shared:
    """Which operators of each graph have unknown costs that are the same in the other."""

    old: frozenset[str] = frozenset()
    """Names of operators of the old graph, and below of those of the new one that they are paired with."""
    new: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()
    """Names, on either side, of those that stand in another module or phase now: they cancel in the total alone."""
    readers: frozenset[str] = frozenset()
    """Names, on either side, of those of which backward may keep something else: readers decide that, and it does not cancel."""
    hidden: bool = False
    """Whether what the forms hide, or what was not read, is the same in both."""

    def bits(self, name: str) -> int:
        """What stays unknown of an operator that cancels."""
        return SAVED_BIT if name in self.readers else 0


def shared(old: Analysis, new: Analysis, edits: Sequence[Edit], pairs: Mapping[str, str], modules: Mapping[str, str]) -> Shared:
    """What the two share, given how operators and modules are paired by name and path, and the edits."""
    hidden = _same_hidden(old, new, edits)
    open_old, open_new = _open(old), _open(new)
    if not open_old or not open_new:
        return Shared(hidden=hidden)
    changed = [_reached(old.graph, (edit.old for edit in edits)), _reached(new.graph, (edit.new for edit in edits))]
    found: dict[str, str] = {}
    moved, readers = set(), set()
    for name, index in open_old.items():
        other = pairs.get(name)
        at = open_new.get(other) if other is not None else None
        if other is None or at is None or _own(old.costs[index].cost) != _own(new.costs[at].cost):
            continue
        before, after = old.graph.ops[index], new.graph.ops[at]
        if _is_same(before, old, after, new, intact=not (changed[0][index] or changed[1][at])):
            found[name] = other
            if modules.get(before.module, before.module) != after.module or before.phase is not after.phase:
                moved |= {name, other}
            if edits and not _is_kept_alike(old.costs[index], new.costs[at]):
                readers |= {name, other}
    return Shared(frozenset(found), frozenset(found.values()), frozenset(moved), frozenset(readers), hidden)


def _same_hidden(old: Analysis, new: Analysis, edits: Sequence[Edit]) -> bool:
    """What two graphs hide is the same where they are one, and where no edit tells two of one form apart, both read in full."""
    one, other = old.graph, new.graph
    if old.total != new.total or one.doubt is not other.doubt:
        return False
    if one.source.text == other.source.text and one.span == other.span and one.name == other.name:
        return True
    return not edits and one.holds == other.holds and not one.partial and not other.partial


def _open(analysis: Analysis) -> dict[str, int]:
    """Operators of unknown or bounded cost, by name."""
    return {op.name: i for i, (op, found) in enumerate(zip(analysis.graph.ops, analysis.costs, strict=True)) if _flags(found.cost)}


def _flags(cost: Cost) -> int:
    return cost.missing | cost.at_most


def _own(cost: Cost) -> Cost:
    """What of a cost an operator tells by itself."""
    return replace(cost, figures=cost.figures[: len(OF_A_RUN)], missing=cost.missing & ~SAVED_BIT, at_most=cost.at_most & ~SAVED_BIT)


def _is_kept_alike(one: OpCost, other: OpCost) -> bool:
    """Whether backward keeps the same of two operators that are the same: it does where nothing is open but the operators themselves."""
    return one.saved == other.saved and (one.saved is None or one.saved.reason not in READERS_OPEN)


def _reached(graph: Graph, ends: Iterable[object]) -> Sequence[int]:
    """By operator, whether an edit is about it or about something upstream."""
    names = {end.name for end in ends if isinstance(end, Op)}
    found = bytearray(op.name in names for op in graph.ops)
    edges = graph.edges
    for i in {*range(len(found))}.difference(edges.order) if names else ():
        found[i] = 1  # in a cycle, or behind one: anything may be upstream
    for i in edges.order:
        if not found[i] and any(found[j] for j in edges.fed_by[i]):
            found[i] = 1
    return found


def _is_same(before: Op, old: Analysis, after: Op, new: Analysis, *, intact: bool) -> bool:
    """Whether nothing distinguishes two operators. What the forms do not tell of them is the same where nothing upstream changed."""
    if (before.type, before.type_candidates, before.runs, before.elided) != (after.type, after.type_candidates, after.runs, after.elided):
        return False
    if any(exact(before.attrs[name]) != exact(after.attrs[name]) for name in before.attrs.keys() & after.attrs.keys()):
        return False
    tensors = [_tensors(before, old), _tensors(after, new)]
    if tensors[0] != tensors[1]:
        return False
    is_known = all(type_.numel is not None and type_.dtype is not None for _, type_ in tensors[0])
    shown = bool(before.inputs) or not before.elided
    return intact or (is_known and shown and (before.type is not None or bool(before.type_candidates)))


def _tensors(op: Op, analysis: Analysis) -> list[tuple[str, TensorType]]:
    types = analysis.inference.types
    read = [(operand.arg, operand_type(operand, types)) for operand in op.inputs]
    return read + [(made.arg, types.get(made.lbn, made.type)) for made in op.outputs]


# Sums that are as sure as changes of them


@dataclass(frozen=True)
class OpenSums:
    """The sums of one graph, marked by what does not cancel alone: two of them make a change that is as sure as it can be."""

    fold: Fold
    """As sure as its operators are."""
    total: Cost
    """The same of the whole graph, where moved operators cancel too."""
    unsure: UnsureBits
    """What the form hides beside."""


def open_sums(analysis: Analysis, names: frozenset[str], same: Shared) -> OpenSums:
    """The sums of a graph in which the operators of these names, of its side of `same`, cancel; moved ones in the total alone."""
    bits = unsure_bits(analysis.graph)
    if not names and not bits:  # the sums that the analysis has are as sure as its operators
        made = Fold(analysis.total, analysis.phases, analysis.types, analysis.modules, analysis.unknown)
        return OpenSums(made, analysis.total, SURE)
    unsure, moved = SURE if same.hidden else bits, same.moved
    tree = tree_of(module.path for module in analysis.graph.modules)
    ops = analysis.graph.ops

    def summed(cancelled: frozenset[str]) -> Fold:
        sure: dict[tuple[int, int], OpCost] = {}
        costs = analysis.costs
        if cancelled:
            costs = tuple(
                _cleared(found, same.bits(op.name), sure) if op.name in cancelled else found for op, found in zip(ops, costs, strict=True)
            )
        return fold(ops, costs, tree, SURE)

    by_place = summed(names - moved)
    return OpenSums(by_place, by_place.total if not names & moved else summed(names).total, unsure)


def unmarked(cost: Cost, but: int = 0) -> Cost:
    """The cost without its marks but these bits."""
    return replace(cost, missing=cost.missing & but, at_most=cost.at_most & but)


def _cleared(found: OpCost, but: int, known: dict[tuple[int, int], OpCost]) -> OpCost:
    """The cost without its marks but these bits; equal ones stay one object, by which a fold counts them together."""
    key = id(found), but
    if key not in known:
        known[key] = replace(found, cost=unmarked(found.cost, but))
    return known[key]
