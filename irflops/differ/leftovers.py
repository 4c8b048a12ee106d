"""Pairs operators that fingerprints leave: by order, place, neighbours; and variables by what reads them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping

from irflops.differ.pairing import Alignment, Pairs, producers
from irflops.differ.prints import Numbers, label, weights
from irflops.differ.sequence import common, rising
from irflops.differ.side import MOST, Side, operators_read, slot_of
from irflops.ir.graph import Op, Phase
from irflops.ir.tree import nearest

_FARTHEST = 100
"""Operators without a counterpart that are looked through for what lies behind them."""


class Gaps:
    """Between which pairs an operator runs: what has no counterpart yet can only be what lies between the same two on the other side.

    Of pairs that cross, as where branches stand in another order, those count that are in the most numerous common order.
    """

    def __init__(self, alignment: Alignment) -> None:
        self._positions = [{node: n for n, node in enumerate(side.order)} for side in (alignment.old, alignment.new)]
        old, new = self._positions
        ops = alignment.old.ops
        pairs = sorted((old[a], new[b]) for a, b in alignment.to_new.items() if ops[a].type != "variable" and a in old and b in new)
        kept = rising([b for _, b in pairs])
        self._anchors = [pairs[n][0] for n in kept], [pairs[n][1] for n in kept]

    def of_old(self, node: int) -> int:
        """The number of the gap in which an operator of the old graph runs."""
        return bisect_right(self._anchors[0], self._positions[0].get(node, -1))

    def of_new(self, node: int) -> int:
        """The same for the new graph."""
        return bisect_right(self._anchors[1], self._positions[1].get(node, -1))

    def fits(self, a: int, b: int) -> bool:
        """Whether two operators run between the same pairs."""
        return self.of_old(a) == self.of_new(b)


def by_sequence(alignment: Alignment, *, attrs: bool, shapes: bool, places: bool) -> None:
    """Pairs what is left in the order in which it runs: the longest common subsequence of labels within each gap.

    Labels say the type, and as asked for the attributes, the shapes of weights, and the module.
    """
    gaps = Gaps(alignment)
    modules = module_votes(alignment) if places else {}
    ours = [node for node in alignment.old.order if node not in alignment.to_new and alignment.old.ops[node].type != "variable"]
    theirs = [node for node in alignment.new.order if node not in alignment.to_old and alignment.new.ops[node].type != "variable"]

    def module(op: Op, known: Mapping[str, str]) -> str:
        return known.get(op.module, op.module) if places else ""

    numbers = Numbers()
    labels = [
        [numbers.of((gap(n), label(side.ops[n], attrs), weights(side, n, shapes), module(side.ops[n], known))) for n in nodes]
        for side, gap, nodes, known in ((alignment.old, gaps.of_old, ours, modules), (alignment.new, gaps.of_new, theirs, {}))
    ]
    for a, b in common(*labels):
        if alignment.may_pair(ours[a], theirs[b]):
            alignment.pair(ours[a], theirs[b])


def by_place(alignment: Alignment) -> None:
    """Pairs what is left by its place: the same module, as the pairs so far tell it, the same name without counters, the same ordinal."""
    modules = module_votes(alignment)
    gaps = Gaps(alignment)
    ours = _ordinals(alignment.old, alignment.to_new, lambda op: modules.get(op.module, op.module))
    theirs = _ordinals(alignment.new, alignment.to_old, lambda op: op.module)
    for key, a in ours.items():
        b = theirs.get(key)
        if b is not None and alignment.may_pair(a, b) and gaps.fits(a, b):
            alignment.pair(a, b)


def _ordinals(side: Side, taken: Pairs, module: Callable[[Op], str]) -> dict[Hashable, int]:
    seen: Counter[Hashable] = Counter()
    found: dict[Hashable, int] = {}
    for node, op in enumerate(side.ops):
        if op.type == "variable" or node in taken:
            continue
        key = module(op), side.ops[node].stem, op.type
        found[key, seen[key]] = node
        seen[key] += 1
    return found


def module_votes(alignment: Alignment) -> dict[str, str]:
    """For a module of the old graph the one in which most of its operators are in the new."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for a, b in alignment.to_new.items():
        votes[alignment.old.ops[a].module][alignment.new.ops[b].module] += 1
    return {path: max(found, key=lambda other: (found[other], other == path)) for path, found in votes.items()}


def pair_variables(alignment: Alignment) -> None:
    """A variable is the one that the same operator reads in the same slot; one that nothing tells is the one of its name."""
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for a in alignment.to_new:
        for mine, other in producers(alignment, a):
            if alignment.old.ops[mine].type == alignment.new.ops[other].type == "variable" and alignment.is_free(mine, other):
                votes[mine][other] += 1
    modules = module_votes(alignment)
    by_name = {op.name: node for node, op in enumerate(alignment.new.ops) if op.type == "variable"}
    for a, op in enumerate(alignment.old.ops):
        if op.type != "variable" or a in alignment.to_new:
            continue
        named = by_name.get(_renamed(op.name, modules))
        found = votes.get(a)
        ranked = sorted(found, key=lambda b: (-found[b], b != named, b)) if found else [named] if named is not None else []
        for b in ranked:
            if alignment.is_free(a, b):
                alignment.pair(a, b)
                break


def pair_updates(alignment: Alignment) -> None:
    """What updates a variable is what updates its counterpart, whatever the optimizer."""
    theirs = {model: node for node, model in alignment.new.updates.items()}
    for a, model in alignment.old.updates.items():
        b = theirs.get(alignment.to_new.get(model, -1))
        if b is not None and alignment.is_free(a, b):
            alignment.pair(a, b)


def _renamed(name: str, modules: dict[str, str]) -> str:
    """A variable's name under the module that its own became."""
    path = nearest(name.rpartition(".")[0], modules)
    return modules[path] + name[len(path) :] if path in modules and path and modules[path] else name


def by_neighbours(alignment: Alignment) -> None:
    """Pairs operators of different types that stand in one place: what they read is the same, and what reads them. From the end on."""
    for a in reversed(alignment.old.order):
        if a in alignment.to_new or alignment.old.ops[a].type == "variable":
            continue
        b = _stand_in(alignment, a)
        if b is not None:
            alignment.pair(a, b)


def _stand_in(alignment: Alignment, a: int) -> int | None:
    """The one operator in whose place another stands, None where there is none or several."""
    old, new = alignment.old, alignment.new
    readers = [(r, n) for r, n in old.consumers[a] if r in alignment.to_new]
    found: set[int] = set()
    if readers:
        for reader, number in readers[:MOST]:
            slot = old.slots[reader][number]
            other = slot_of(new, alignment.to_new[reader], slot)
            if other is not None and other.producer is not None:
                found.add(other.producer)
    else:
        source = next((alignment.to_new[s.producer] for s in old.slots[a] if s.producer in alignment.to_new), None)
        theirs = new.consumers[source] if source is not None else ()
        found = {r for r, _ in theirs[:MOST] if r not in alignment.to_old and not new.consumers[r]}
    seen = set(found)
    while found and len(seen) < _FARTHEST:
        free = [b for b in found if b not in alignment.to_old and new.ops[b].type != "variable"]
        candidates = [b for b in free if _are_alike(alignment, a, b)]
        if candidates or not readers:
            return candidates[0] if len(candidates) == 1 else None
        found = {source for b in free for source in operators_read(new, b)} - seen  # past what came
        seen |= found
    return None


def _are_alike(alignment: Alignment, a: int, b: int) -> bool:
    """Whether two operators read the same, past what came or went before them and weights aside.

    Of two gradients, which read what their types need, any operand will do.
    """
    old, new = alignment.old, alignment.new
    ours, theirs = operators_read(old, a), operators_read(new, b)
    direct = Counter(alignment.to_new.get(producer, -1) for producer in ours)
    if old.ops[a].phase is new.ops[b].phase is Phase.BACKWARD:
        return bool(direct & Counter(theirs))
    if direct == Counter(theirs) and ours:
        return True
    if len(ours) != len(theirs) or len(old.slots[a]) != len(new.slots[b]) or old.ops[a].phase is not new.ops[b].phase:
        return False
    sources = {alignment.to_new[node] for node in _sources(old, alignment.to_new, a)}
    return bool(sources) and sources == _sources(new, alignment.to_old, b)


def _sources(side: Side, paired: Pairs, node: int) -> set[int]:
    """The operators with a counterpart that one reads, straight or past others without."""
    found: set[int] = set()
    waiting, seen = [node], {node}
    while waiting and len(seen) < _FARTHEST:
        for producer in operators_read(side, waiting.pop()):
            if producer in paired:
                found.add(producer)
            elif producer not in seen:
                seen.add(producer)
                waiting.append(producer)
    return found
