"""Pairs of operators under construction."""

from __future__ import annotations

from collections.abc import Iterable

from irflops.differ.side import Side
from irflops.ir.graph import Op, Phase

Pairs = dict[int, int]
"""Nodes of the old graph, and the nodes that they are in the new one."""


class Alignment:
    """Pairs under construction."""

    def __init__(self, old: Side, new: Side, *, attrs: bool) -> None:
        self.old = old
        self.new = new
        self.attrs = attrs
        self.to_new: Pairs = {}
        self.to_old: Pairs = {}

    def pair(self, a: int, b: int) -> None:
        self.to_new[a] = b
        self.to_old[b] = a

    def is_free(self, a: int, b: int) -> bool:
        return a not in self.to_new and b not in self.to_old

    def have_one_place(self, a: int, b: int) -> bool:
        """Whether two operators stand in modules of one path, and are called the same but for counters."""
        return self.old.ops[a].module == self.new.ops[b].module and self.old.ops[a].stem == self.new.ops[b].stem

    def is_done(self) -> bool:
        """Whether on one of the sides every operator has a counterpart, variables and their updates aside."""
        return any(
            all(node in taken for node, op in enumerate(side.ops) if op.type != "variable" and node not in side.updates)
            for side, taken in ((self.old, self.to_new), (self.new, self.to_old))
        )

    def may_pair(self, a: int, b: int) -> bool:
        """Whether neither has a counterpart, and both may be of one type. What updates a variable goes with that variable."""
        if a in self.old.updates or b in self.new.updates:
            return False
        return self.is_free(a, b) and same_type(self.old.ops[a], self.new.ops[b])


def same_type(a: Op, b: Op) -> bool:
    """Whether two operators may be of one type; a printed name sometimes leaves several open."""
    if _direction(a) != _direction(b):
        return False
    if a.type is not None and b.type is not None:
        return a.type == b.type
    ours, theirs = ({op.type, *op.type_candidates} - {None} for op in (a, b))
    return bool(ours & theirs) or not (ours or theirs)


def _direction(op: Op) -> str:
    """Whether an operator runs forward, again, or backward: no operator changes from one to another."""
    if op.phase is Phase.RECOMPUTE:
        return "recompute"
    return "backward" if op.phase in (Phase.BACKWARD, Phase.OPTIMIZER) else "forward"


def producers(alignment: Alignment, a: int) -> Iterable[tuple[int, int]]:
    """What a pair reads in the same slots."""
    b = alignment.to_new[a]
    theirs = {(s.arg, s.index): s for s in alignment.new.slots[b]}
    if len(theirs) < len(alignment.new.slots[b]):
        return  # terms without order
    for slot in alignment.old.slots[a]:
        other = theirs.get((slot.arg, slot.index))
        if other is not None and slot.producer is not None and other.producer is not None and slot.blob == other.blob:
            yield slot.producer, other.producer
