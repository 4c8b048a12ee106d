"""Moves pairs along runs of equal operators to where their names agree, and then their edges.

Which of several equal operators in a row came or went, neither their labels nor their order tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from irflops.differ.leftovers import module_votes
from irflops.differ.pairing import Alignment, Pairs
from irflops.differ.prints import label, weights
from irflops.differ.side import MOST, Side, operators_read, readers, slot_of

_FARTHEST = 100
"""Operators without a counterpart that are looked through for equal ones."""

_MOST_ALIKE = 16
"""Equal ones that a pair is moved to for a try."""

_LONGEST = 24
"""Pairs of a run that are moved together."""

Step = tuple[int, int]


def slide(alignment: Alignment) -> None:
    """Moves single pairs, then runs of them that gain only together."""
    modules = module_votes(alignment)
    old, new = alignment.old, alignment.new
    for a in old.order:
        b = alignment.to_new.get(a)
        if b is None or old.ops[a].type == "variable":
            continue
        others = [(a, other) for other in _alike_nearby(new, b, alignment.to_old, attrs=alignment.attrs)]
        others += [(other, b) for other in _alike_nearby(old, a, alignment.to_new, attrs=alignment.attrs)]
        _take_best(alignment, [(a, b)], [[pair] for pair in others], modules)
    for a in [node for node in old.order if node not in alignment.to_new and old.ops[node].type != "variable"]:
        for run in _runs(old, a, alignment.to_new, attrs=alignment.attrs):
            pairs = [(node, alignment.to_new[node]) for node in run]
            moved = [_shifted([a, *run], [b for _, b in pairs], length) for length in range(1, len(run) + 1)]
            if _take_best(alignment, pairs, moved, modules):
                break
    for b in [node for node in new.order if node not in alignment.to_old and new.ops[node].type != "variable"]:
        for run in _runs(new, b, alignment.to_old, attrs=alignment.attrs):
            pairs = [(alignment.to_old[node], node) for node in run]
            moved = [[(x, y) for y, x in _shifted([b, *run], [a for a, _ in pairs], length)] for length in range(1, len(run) + 1)]
            if _take_best(alignment, pairs, moved, modules):
                break


def _shifted(nodes: Sequence[int], partners: Sequence[int], length: int) -> list[Step]:
    """Each of the first partners with the node one nearer to the free one, the others as they are."""
    return [(nodes[n if n < length else n + 1], partner) for n, partner in enumerate(partners)]


def _take_best(alignment: Alignment, now: Sequence[Step], choices: Sequence[Sequence[Step]], modules: Mapping[str, str]) -> bool:
    """Takes the choice whose pairs agree most if they agree more than those that are now; whether one was taken."""
    if not choices:
        return False
    was = _total(alignment, now, now, modules)
    scores = [_total(alignment, now, choice, modules) for choice in choices]
    best = max(range(len(choices)), key=scores.__getitem__)
    if scores[best] <= was:
        return False
    for a, b in now:
        del alignment.to_new[a]
        del alignment.to_old[b]
    for a, b in choices[best]:
        alignment.pair(a, b)
    return True


def _total(alignment: Alignment, now: Sequence[Step], pairs: Sequence[Step], modules: Mapping[str, str]) -> tuple[int, int]:
    """In how many pairs names agree, and how many edges do, if these pairs took the place of those that are now.

    Edges agree that lead to the same; half as much those that lead to what came or went on either side.
    """
    old, new = alignment.old, alignment.new
    forward, back = dict(pairs), {b: a for a, b in pairs}
    freed_old, freed_new = {a for a, _ in now} - forward.keys(), {b for _, b in now} - back.keys()

    def mine(node: int) -> int:
        return -1 if node in freed_old else forward.get(node, alignment.to_new.get(node, -1))

    def theirs(node: int) -> int:
        return node if node in back or (node in alignment.to_old and node not in freed_new) else -1

    def theirs_back(node: int) -> int:
        return -1 if node in freed_new else back.get(node, alignment.to_old.get(node, -1))

    def mine_back(node: int) -> int:
        return node if node in forward or (node in alignment.to_new and node not in freed_old) else -1

    names = edges = 0
    for a, b in pairs:
        names += _place(old, a, modules) == _place(new, b, {})
        for ours, others in (
            (operators_read(old, a), operators_read(new, b)),
            (readers(old, a), readers(new, b)),
        ):
            same = Counter(map(mine, ours)) & Counter(map(theirs, others))
            edges += 2 * same.total() - same[-1]
        edges -= 2 * (_rewired((old, new), (a, b), mine, theirs) + _rewired((new, old), (b, a), theirs_back, mine_back))
    return names, edges


def _rewired(sides: tuple[Side, Side], pair: Step, to_other: Callable[[int], int], kept: Callable[[int], int]) -> int:
    """How many operands that read one of a pair read, on the other side, another operator that is in both graphs."""
    side, other = sides
    count = 0
    for reader, number in side.consumers[pair[0]][:MOST]:
        there = to_other(reader)
        if there >= 0:
            slot = side.slots[reader][number]
            same = slot_of(other, there, slot)
            count += same is not None and same.producer not in (None, pair[1]) and kept(same.producer) >= 0
    return count


def _place(side: Side, node: int, modules: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """What an operator's module is called in the new graph, and what its weights are called."""
    op = side.ops[node]
    read = (side.ops[slot.producer] for slot in side.slots[node][:MOST] if slot.producer is not None)
    names = tuple(source.name.rpartition(".")[2] for source in read if source.type == "variable")
    return modules.get(op.module, op.module), names


def _alike(side: Side, node: int, *, attrs: bool) -> Callable[[int], bool]:
    """What says of an operator whether it is equal to one."""
    wanted, own = label(side.ops[node], attrs), weights(side, node, shapes=True)
    return lambda other: label(side.ops[other], attrs) == wanted and weights(side, other, shapes=True) == own


def _around(side: Side, node: int) -> list[int]:
    return [*operators_read(side, node), *readers(side, node)]


def _alike_nearby(side: Side, node: int, taken: Pairs, *, attrs: bool) -> list[int]:
    """Operators without a counterpart that are equal to one, next to it or past others without."""
    if len(side.consumers[node]) > MOST:
        return []
    found, waiting, seen = [], [node], {node}
    if all(other in taken for other in _around(side, node)):
        return []
    alike = _alike(side, node, attrs=attrs)
    while waiting:
        for other in _around(side, waiting.pop()):
            if other in seen or other in taken:
                continue
            seen.add(other)
            waiting.append(other)
            if alike(other):
                found.append(other)
            if len(seen) > _FARTHEST or len(found) >= _MOST_ALIKE:
                return found
    return found


def _runs(side: Side, node: int, taken: Pairs, *, attrs: bool) -> list[list[int]]:
    """The runs of equal operators with a counterpart that lead to one without, and from it."""
    alike = _alike(side, node, attrs=attrs)

    def run(following: Callable[[int], Sequence[int]]) -> list[int]:
        found: list[int] = []
        at: int | None = node
        while at is not None and len(found) < _LONGEST:
            at = next((other for other in following(at) if other in taken and other not in found and alike(other)), None)
            if at is not None:
                found.append(at)
        return found

    return [found for found in (run(lambda at: operators_read(side, at)), run(lambda at: readers(side, at))) if found]
