"""What only follows from an edit elsewhere, and so is none itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from irflops.counting.infer import MISFIT, result_types, view
from irflops.differ.edit import Consequence
from irflops.differ.pairing import Pairs
from irflops.differ.side import INTERFACE, Side
from irflops.ir.graph import Attrs, Op, Operand, TensorType, VariableKind
from irflops.ops.book import RuleBook
from irflops.ops.op_view import OpView
from irflops.ops.rule import Changes
from irflops.ops.work import Unknowable

_SIZES = frozenset({"filters"})
"""Attributes that repeat an extent of a weight."""


@dataclass(frozen=True)
class Following:
    """Two sides and their pairs, asked what follows from what."""

    old: Side
    new: Side
    pairs: Pairs

    @cached_property
    def _changes(self) -> Changes:
        """Extents that differ at the graph's inputs, and anywhere."""
        roots: set[tuple[int, int]] = set()
        seen: set[tuple[int, int]] = set()
        for a, b in self.pairs.items():
            found = _extents(self.old.result(a), self.new.result(b))
            seen |= found
            if self.old.ops[a].type == "input":
                roots |= found
        return Changes(frozenset(roots), frozenset(seen))

    def operands_changed(self, a: int, b: int) -> bool:
        """Whether an operand has another type, or another operand is there: what the results are then follows."""
        return self.old.operand_types(a) != self.new.operand_types(b)

    def op_type(self, a: int, b: int) -> bool:
        """Whether two types do the same, and which of them it is says whether the operands have one shape: `add_n` or `broadcast_add`."""
        types = self.old.ops[a].type or "", self.new.ops[b].type or ""
        shapes = [[type_.shape for type_ in found] for found in (self.old.operand_types(a), self.new.operand_types(b))]
        for one, other in ((0, 1), (1, 0)):
            rule = (self.old, self.new)[one].analysis.book.rule(types[one])
            if rule is not None and rule.unequal and rule.unequal == types[other]:
                equal, unequal = shapes[one], shapes[other]
                return len(equal) == len(unequal) == 2 and equal[0] == equal[1] and unequal[0] != unequal[1]
        return False

    def attrs(self, a: int, b: int, differing: Mapping[str, list[Any]]) -> frozenset[str]:
        """Attributes that hold logical sizes and changed with the operands."""
        if not differing:
            return frozenset()
        before, after = self.old.ops[a], self.new.ops[b]
        found = differing.keys() & _SIZES if self.operands_changed(a, b) else set()
        back = Changes(*(frozenset((new, old) for old, new in pairs) for pairs in (self._changes.roots, self._changes.seen)))
        found |= _resized(self.old, before, self.new, after, self._changes) & differing.keys()
        found |= _resized(self.new, after, self.old, before, back) & differing.keys()
        return frozenset(found)

    def shape(self, a: int, before: TensorType, after: TensorType) -> bool:
        """Whether a result's shape has the size of the graph's input baked into it, in an attribute that the form does not show."""
        rule = self.old.analysis.book.rule(self.old.ops[a].type)
        found = _extents(before, after)
        return rule is not None and rule.resized is not None and bool(found) and found <= self._changes.roots

    def sbp(self, a: int, b: int) -> bool:
        """Whether what a result is split by follows from an operand's producer."""
        for slot, other in zip(self.old.slots[a], self.new.slots[b], strict=False):
            if slot.producer is None or other.producer is None:
                continue
            if self.pairs.get(slot.producer) != other.producer:
                return True
            if sbp_changed(self.old.ops[slot.producer].outputs, self.new.ops[other.producer].outputs):
                return True
        return False

    def model(self, a: int, b: int) -> tuple[int, int] | None:
        """Of a pair of optimizer states the pair of variables that they belong to: the same update reads both."""
        before, after = self._models
        mine, other = before.get(a), after.get(b)
        return (mine, other) if mine is not None and other is not None and self.pairs.get(mine) == other else None

    @cached_property
    def _models(self) -> tuple[Mapping[int, int], Mapping[int, int]]:
        return _models(self.old), _models(self.new)

    def consequence(self, a: int, b: int, follows: frozenset[str], *, retyped: bool, result_sbp: bool) -> Consequence | None:
        """What is left open for whoever applies the edits; `follows` names the attributes that follow."""
        before, after = self.old.ops[a], self.new.ops[b]
        found = Consequence(
            op_type=after.type if before.type != after.type and not retyped else None,
            attrs=Attrs({name: after.attrs[name] for name in sorted(follows)}) if follows else None,
            types=None if retyped else self._types(a, b),
            sbp=(tuple(result.nd_sbp for result in after.outputs) if result_sbp and sbp_changed(before.outputs, after.outputs) else None),
            placement=after.placement if before.placement != after.placement and self.model(a, b) is not None else None,
            phase=after.phase if before.phase is not after.phase else None,
            runs=after.runs if before.runs != after.runs else None,
            kind=after.kind if before.kind is not after.kind else None,
        )
        return found if found != Consequence() else None

    def _types(self, a: int, b: int) -> tuple[TensorType, ...] | None:
        """The types of results where operands or results changed and no rule tells them."""
        before, after = self.old.ops[a], self.new.ops[b]
        if (before.type == "variable" and self.model(a, b) is None) or before.type in INTERFACE:
            return None
        was = [self.old.type_of(result.lbn, result.type) for result in before.outputs]
        now = [self.new.type_of(result.lbn, result.type) for result in after.outputs]
        if (was == now and not self.operands_changed(a, b)) or now == inferred(
            after, self.new.analysis.inference.types, self.new.analysis.book
        ):
            return None
        return tuple(now)


def sbp_changed(old: tuple[Operand, ...], new: tuple[Operand, ...]) -> bool:
    """Whether a result lies otherwise, as far as both forms say how."""
    return any(o.nd_sbp != n.nd_sbp for o, n in zip(old, new, strict=False) if o.nd_sbp is not None and n.nd_sbp is not None)


def _models(side: Side) -> dict[int, int]:
    """By optimizer state the variable that it is of."""
    found: dict[int, int] = {}
    for node, model in side.updates.items():
        states = [slot.producer for slot in side.slots[node] if slot.producer is not None and slot.producer != model]
        found |= {state: model for state in states if side.ops[state].kind is VariableKind.OPTIMIZER_STATE}
    return found


def inferred(op: Op, types: Mapping[str, TensorType], book: RuleBook) -> list[TensorType] | None:
    """The types of an operator's results as its shape rule tells them, None where it cannot; `types` are those of its operands by lbn."""
    rule = book.rule(op.type)
    if rule is None or op.type is None or op.elided:
        return None
    try:
        slots = result_types(rule, view(op, op.type, types))
    except (Unknowable, MISFIT):
        return None
    return [slots.get((result.arg, result.index), TensorType()) for result in op.outputs]


def _resized(side: Side, op: Op, other: Side, changed: Op, changes: Changes) -> set[str]:
    """Attributes of an operator that have, on the other side, what its rule makes of them for the operands there."""
    rule = side.analysis.book.rule(op.type)
    if rule is None or rule.resized is None or op.type is None or not changes.seen:
        return set()
    was = view(op, op.type, side.analysis.inference.types)
    now = view(changed, op.type, other.analysis.inference.types)
    asked = OpView(op.type, {arg: now.inputs(arg) for arg in now.input_args}, {}, op.attrs)
    try:
        answers = [
            answer
            for answer in rule.resized(was, asked, changes)
            if all(changed.attrs.get(name) == value for name, value in answer.items())
        ]
    except (Unknowable, MISFIT):
        return set()
    return {name for answer in answers for name in answer}


def _extents(before: TensorType | None, after: TensorType | None) -> set[tuple[int, int]]:
    if before is None or after is None or before.shape is None or after.shape is None or len(before.shape) != len(after.shape):
        return set()
    return {(a, b) for a, b in zip(before.shape, after.shape, strict=True) if a is not None and b is not None and a != b}
