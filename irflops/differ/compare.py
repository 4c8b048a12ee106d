"""The edits between two aligned graphs, aspect by aspect. What only follows from another edit is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from typing import Any

from irflops.differ.edit import Consequence, Edit
from irflops.differ.follow import Following, sbp_changed
from irflops.differ.forms import Aspects
from irflops.differ.pairing import Pairs
from irflops.differ.presence import Presence, is_of_passes, reads, unused_edits
from irflops.differ.side import INTERFACE, SUM, Side, Slot
from irflops.ir import plain
from irflops.ir.graph import Op, Role, TensorType, VariableKind, exact

_CLOSED = {(VariableKind.TRAINABLE, VariableKind.FROZEN), (VariableKind.TRAINABLE, VariableKind.BUFFER)}
"""What becomes of a parameter that learns no more."""


@dataclass(frozen=True)
class Matching:
    """Two sides and their pairs."""

    old: Side
    new: Side
    pairs: Pairs
    modules: Mapping[str, str]
    aspects: Aspects

    @cached_property
    def back(self) -> Mapping[int, int]:
        """The pairs the other way round."""
        return {b: a for a, b in self.pairs.items()}

    @cached_property
    def following(self) -> Following:
        """What follows from what."""
        return Following(self.old, self.new, self.pairs)

    @cached_property
    def presences(self) -> tuple[Presence, Presence]:
        """What the old graph alone has, and the new one."""
        return (
            Presence(self.old, self.new, self.pairs, self.back, self.aspects, "removed"),
            Presence(self.new, self.old, self.back, self.pairs, self.aspects, "added"),
        )

    def edits(self) -> Iterator[Edit]:
        """Every edit but those of modules."""
        for presence in self.presences:
            yield from presence.edits()
        if self.aspects.declared:
            yield from unused_edits(self.old, self.new, self.modules)
        for a, b in self.pairs.items():
            before, after = self.old.ops[a], self.new.ops[b]
            if before.type == "variable":
                yield from self._variable(a, b)
            elif before.type in INTERFACE:
                yield from self._interface(a, b)
            elif self.aspects.stage or not (is_of_passes(before) or is_of_passes(after)):
                yield from self._operator(a, b)

    def consequences(self) -> Iterator[tuple[str, Consequence]]:
        """What edits leave open for the operators of the new graph."""
        for a, b in self.pairs.items():
            before, after = self.old.ops[a], self.new.ops[b]
            retyped = self._is_retyped(a, b)
            follows = frozenset() if retyped else self.following.attrs(a, b, _differing(before, after))
            found = self.following.consequence(a, b, follows, retyped=retyped, result_sbp=self.aspects.result_sbp)
            if before.type == "variable" and self._has_moved(before, after):
                found = replace(found or Consequence(), module=after.module)
            if found is not None:
                yield after.name, found

    def _variable(self, a: int, b: int) -> Iterator[Edit]:
        before, after = self.old.ops[a], self.new.ops[b]
        model = self.following.model(a, b)
        old, new = self.old.result(a), self.new.result(b)
        if old is not None and new is not None:
            if old.shape != new.shape and not (model and self._resized(*model) == (old.shape, new.shape)):
                yield Edit("param_resized", before, after, plain.change(plain.shape(old), plain.shape(new)))
            if _dtype_changed(old, new) and not (model and self._retyped(*model)):
                yield Edit("dtype_changed", before, after, plain.change(plain.dtype(old), plain.dtype(new)))
        for kind, kinds in (("param_frozen", (before.kind, after.kind)), ("param_unfrozen", (after.kind, before.kind))):
            if kinds in _CLOSED:
                yield Edit(kind, before, after, plain.change(_kind(before), _kind(after)))
        if _last(before) != _last(after):
            yield Edit("op_renamed", before, after, plain.change(before.name, after.name))
        if self._has_moved(before, after) and model is None and not self._moves_with_readers(a):
            yield Edit("op_moved", before, after, plain.change(before.module, after.module))
        yield from self._devices(a, b, model)

    def _has_moved(self, before: Op, after: Op) -> bool:
        return self.modules.get(before.module) != after.module

    def _moves_with_readers(self, a: int) -> bool:
        readers = {reader for reader, _ in self.old.consumers[a] if reader in self.pairs}
        return any(self._has_moved(self.old.ops[reader], self.new.ops[self.pairs[reader]]) for reader in readers)

    def _resized(self, a: int, b: int) -> tuple[Any, Any]:
        old, new = self.old.result(a), self.new.result(b)
        return (old.shape if old else None), (new.shape if new else None)

    def _retyped(self, a: int, b: int) -> bool:
        old, new = self.old.result(a), self.new.result(b)
        return old is not None and new is not None and _dtype_changed(old, new)

    def _interface(self, a: int, b: int) -> Iterator[Edit]:
        before, after = self.old.ops[a], self.new.ops[b]
        old, new = self.old.result(a), self.new.result(b)
        detail: dict[str, Any] = {}
        if old is not None and new is not None:
            if old.shape != new.shape:
                detail["shape"] = plain.change(plain.shape(old), plain.shape(new))
            if _dtype_changed(old, new):
                detail["dtype"] = plain.change(plain.dtype(old), plain.dtype(new))
        if self.old.slots[a] and self.new.slots[b] and self._is_rewired(self.old.slots[a][0], self.new.slots[b][0]):
            detail["reads"] = plain.change(self.old.slots[a][0].lbn, self.new.slots[b][0].lbn)
        if detail:
            yield Edit(f"{before.type}_changed", before, after, detail)
        yield from self._devices(a, b)

    def _operator(self, a: int, b: int) -> Iterator[Edit]:
        before, after = self.old.ops[a], self.new.ops[b]
        retyped = self._is_retyped(a, b)
        if retyped:
            sides = ((self.old, a, before), (self.new, b, after))
            attrs, operands = ([tell(*end) for end in sides] for tell in (_attrs_of, _reads_of))
            detail = plain.change(before.type, after.type) | {"attrs": plain.change(*attrs), "reads": plain.change(*operands)}
            yield Edit("op_retyped", before, after, detail)
        elif self._stem(self.old, a) != self._stem(self.new, b):
            yield Edit("op_renamed", before, after, plain.change(before.name, after.name))
        if self._has_moved(before, after):
            yield Edit("op_moved", before, after, plain.change(before.module, after.module))
        if not retyped:  # else the operands belong to the change of type
            yield from self._edges(a, b)
            yield from self._attrs_and_shapes(a, b)
        yield from self._devices(a, b)

    def _is_retyped(self, a: int, b: int) -> bool:
        old, new = self.old.ops[a].type, self.new.ops[b].type
        return old != new and old is not None and new is not None and not self.following.op_type(a, b)

    def _stem(self, side: Side, node: int) -> str:
        """What a person called an operator: nothing where its name follows from its module and type, or from a variable's."""
        op = side.ops[node]
        return "" if op.stem == op.type or op.role is not Role.USER or "." in op.stem else op.stem

    # Edges

    def _edges(self, a: int, b: int) -> Iterator[Edit]:
        before, after = self.old.ops[a], self.new.ops[b]
        if before.elided or after.elided or before.type == "learning_rate_schedule":
            return
        ours, theirs = self.old.slots[a], self.new.slots[b]
        if before.type == after.type == SUM and not self.aspects.stage:
            matched = self._terms_matched(ours, theirs)
        elif before.type != after.type:  # the same under another name, and so are its operands
            matched = list(zip_longest(ours, theirs))
        else:
            by_slot = {(slot.arg, slot.index): slot for slot in theirs}
            places = {(slot.arg, slot.index) for slot in ours}
            matched = [(slot, by_slot.get((slot.arg, slot.index))) for slot in ours]
            matched += [(None, slot) for slot in theirs if (slot.arg, slot.index) not in places]
        for slot, other in matched:
            if self._is_rewired(slot, other):
                place = slot or other
                assert place is not None
                detail = {"arg": place.arg, "index": place.index} | plain.change(slot and slot.lbn, other and other.lbn)
                yield Edit("edge_changed", before, after, detail)

    def _terms_matched(self, ours: tuple[Slot, ...], theirs: tuple[Slot, ...]) -> list[tuple[Slot | None, Slot | None]]:
        """The terms of two sums that differ, in no order."""
        common = Counter(self.pairs.get(slot.producer) for slot in ours if slot.producer is not None)
        common &= Counter(slot.producer for slot in theirs)
        sides: tuple[list[Slot], list[Slot]] = ([], [])
        for slots, found, name in ((ours, sides[0], self.pairs), (theirs, sides[1], None)):
            left = Counter(common)
            for slot in slots:
                producer = name.get(slot.producer) if name is not None and slot.producer is not None else slot.producer
                if left[producer]:
                    left[producer] -= 1
                else:
                    found.append(slot)
        return list(zip_longest(*sides))

    def _is_rewired(self, slot: Slot | None, other: Slot | None) -> bool:
        """Whether an operand comes from elsewhere, or is there on one side alone, though its sources are in both graphs."""
        if slot is not None and (slot.producer is None or slot.producer not in self.pairs):
            return False  # what went on the way says it
        if other is not None and (other.producer is None or other.producer not in self.back):
            return False  # what came on the way says it
        if slot is None or other is None or slot.producer is None or other.producer is None:
            return True
        if self.pairs[slot.producer] == other.producer:
            return slot.blob != other.blob and self.old.ops[slot.producer].type == self.new.ops[other.producer].type
        return True

    # Attributes, shapes, devices

    def _attrs_and_shapes(self, a: int, b: int) -> Iterator[Edit]:
        before, after = self.old.ops[a], self.new.ops[b]
        differing = _differing(before, after)
        follows = self.following.attrs(a, b, differing)
        changed = {name: values for name, values in differing.items() if name not in follows}
        if changed:
            yield Edit("attr_changed", before, after, {name: plain.change(*map(plain.value, values)) for name, values in changed.items()})
            return
        if follows or self.following.operands_changed(a, b):
            return
        for old, new in zip(before.outputs, after.outputs, strict=False):
            one, two = self.old.type_of(old.lbn, old.type), self.new.type_of(new.lbn, new.type)
            place = {"result": old.arg, "index": old.index}
            if one.shape is not None and two.shape is not None and one.shape != two.shape and not self.following.shape(a, one, two):
                yield Edit("shape_changed", before, after, place | plain.change(plain.shape(one), plain.shape(two)))
            if one.dtype is not None and two.dtype is not None and _dtype_changed(one, two):
                yield Edit("dtype_changed", before, after, place | plain.change(plain.dtype(one), plain.dtype(two)))

    def _devices(self, a: int, b: int, model: tuple[int, int] | None = None) -> Iterator[Edit]:
        """Changes of placement and sbp; `model` is the pair of variables whose optimizer states these are."""
        before, after = self.old.ops[a], self.new.ops[b]
        if self._is_placed_otherwise(before, after) and not (model and self._moved_alike(model, before, after)):
            yield Edit("placement_changed", before, after, plain.change(plain.placement(before), plain.placement(after)))
        if not self.aspects.result_sbp or not sbp_changed(before.outputs, after.outputs) or self.following.sbp(a, b):
            return
        if model and _sbp(self.old.ops[model[0]]) == _sbp(before) and _sbp(self.new.ops[model[1]]) == _sbp(after):
            return
        yield Edit("sbp_changed", before, after, plain.change(_sbp(before), _sbp(after)))

    def _is_placed_otherwise(self, before: Op, after: Op) -> bool:
        return before.placement is not None and after.placement is not None and before.placement != after.placement

    def _moved_alike(self, model: tuple[int, int], before: Op, after: Op) -> bool:
        return self.old.ops[model[0]].placement == before.placement and self.new.ops[model[1]].placement == after.placement


def _differing(before: Op, after: Op) -> dict[str, list[Any]]:
    """Attributes that both sides have, where they differ: what one has alone is another form's or version's way to say it."""
    if before.attrs == after.attrs:
        return {}
    found = {name: [before.attrs[name], after.attrs[name]] for name in sorted(before.attrs.keys() & after.attrs.keys())}
    return {name: [old, new] for name, (old, new) in found.items() if exact(old) != exact(new)}


def _attrs_of(_side: Side, _node: int, op: Op) -> dict[str, Any]:
    return {name: plain.value(value) for name, value in op.attrs.items()}


def _reads_of(side: Side, node: int, _op: Op) -> list[dict[str, Any]]:
    return reads(side, node)


def _dtype_changed(old: TensorType, new: TensorType) -> bool:
    """Whether the element types differ; a saved graph writes int8 for bool."""
    return old.dtype is not new.dtype and {plain.dtype(old), plain.dtype(new)} != {"bool", "int8"}


def _kind(op: Op) -> str | None:
    return op.kind.value if op.kind is not None else None


def _last(op: Op) -> str:
    return op.name.rpartition(".")[2]


def _sbp(op: Op) -> list[list[str] | None]:
    return [plain.sbp(result) for result in op.outputs]
