"""Finds which operator of the new graph is which of the old: by what computes it and what it feeds, and by names only as a hint.

The idea is GumTree's (Falleri et al., ASE 2014) on a DAG, as XLA's hlo_diff has it: what is exactly equal is paired first, and the pairs
then tell who their neighbours are. A fingerprint says all that leads to an operator, another all that follows from it: whatever lies before
an edit shares the first with its counterpart, whatever lies behind it the second. Every step looks at each operator and edge a fixed number
of times, so the cost grows with the graphs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

from irflops.differ.leftovers import Gaps, by_neighbours, by_place, by_sequence, pair_updates, pair_variables
from irflops.differ.pairing import Alignment, Pairs, producers
from irflops.differ.prints import Prints
from irflops.differ.side import INTERFACE, Side
from irflops.differ.sliding import slide

HINTS = ("", "places", "names")
"""Nothing; that modules kept their paths, right where blocks are alike and wrong where modules are renumbered; that operators kept their
names, right between forms of one graph."""

RADII = (6, 3, 2, 1)
"""How far the surroundings reach that are compared where neither all before nor all behind an operator is equal."""

_NEAR = 2
"""Up to this radius surroundings are alike in many places, and only those between the same pairs count."""

_MOST_CANDIDATES = 64
"""Operators with one fingerprint that are held against each other; of more, those in equal places count."""


def align(old: Side, new: Side, prints: Prints, *, attrs: bool, hint: str) -> Pairs:
    """Pairs of nodes. `attrs` says that both forms hold all attributes, so that they can tell operators apart.

    `hint` is one of HINTS: what is believed before anything else. Whether it was right to, the number of edits says.
    """
    places = hint == "places"
    alignment = Alignment(old, new, attrs=attrs)
    _pair_interface(alignment)
    if hint == "names":
        _by_name(alignment)
    for strict in (True, False):
        if alignment.is_done():
            break
        ahead = prints.before(attrs=strict and attrs, shapes=strict)
        after = prints.behind(attrs=strict and attrs, shapes=strict)
        if strict and places:
            _by_fingerprint(alignment, *ahead, fits=alignment.have_one_place)
            _by_fingerprint(alignment, *after, fits=alignment.have_one_place)
            by_sequence(alignment, attrs=attrs, shapes=True, places=True)
        _by_fingerprint(alignment, *ahead, fits=_Rivals(alignment, *after).fits)
        _by_fingerprint(alignment, *after)
        if strict and attrs:
            by_sequence(alignment, attrs=True, shapes=True, places=places)
    if not alignment.is_done():
        _pair_rest(alignment, prints, places=places)
    slide(alignment)
    pair_variables(alignment)
    pair_updates(alignment)
    by_neighbours(alignment)
    pair_variables(alignment)
    return alignment.to_new


def _by_name(alignment: Alignment) -> None:
    """Pairs what has one name, counters and all, and one type."""
    for a, op in enumerate(alignment.old.ops):
        b = alignment.new.by_name.get(op.name)
        if b is not None and op.type != "variable" and alignment.may_pair(a, b) and len(op.outputs) == len(alignment.new.ops[b].outputs):
            alignment.pair(a, b)


def _pair_rest(alignment: Alignment, prints: Prints, *, places: bool) -> None:
    """Pairs by what is weaker than a fingerprint: order, surroundings, place."""
    by_sequence(alignment, attrs=False, shapes=True, places=places)
    _spread(alignment)
    for radius in RADII:
        if alignment.is_done():
            return
        fits = Gaps(alignment).fits if radius <= _NEAR else None
        _by_fingerprint(alignment, *prints.around(radius), unique=True, fits=fits)
        _spread(alignment)
    by_place(alignment)
    by_sequence(alignment, attrs=False, shapes=False, places=False)
    _spread(alignment)


def _pair_interface(alignment: Alignment) -> None:
    """Inputs and outputs are paired by their names without the graph's, then in order."""
    for kind in INTERFACE:
        old = [node for node, op in enumerate(alignment.old.ops) if op.type == kind]
        new = [node for node, op in enumerate(alignment.new.ops) if op.type == kind]
        named = {alignment.new.ops[node].stem: node for node in reversed(new)}
        for node in old:
            other = named.get(alignment.old.ops[node].stem)
            if other is not None and alignment.is_free(node, other):
                alignment.pair(node, other)
        for node, other in zip(
            [node for node in old if node not in alignment.to_new], [node for node in new if node not in alignment.to_old], strict=False
        ):
            alignment.pair(node, other)


Fits = Callable[[int, int], bool]


def _by_fingerprint(
    alignment: Alignment, old: Sequence[int], new: Sequence[int], *, unique: bool = False, fits: Fits | None = None
) -> None:
    """Pairs nodes of one fingerprint: those that have it alone first, then what the pairs lead to, then the others by name and in order."""

    def fit(a: int, b: int) -> bool:
        return old[a] == new[b] and (fits is None or fits(a, b))

    groups = _groups(alignment, old, new)
    for ours, theirs in groups:
        if len(ours) == len(theirs) == 1 and alignment.may_pair(ours[0], theirs[0]) and fit(ours[0], theirs[0]):
            alignment.pair(ours[0], theirs[0])
    _spread(alignment, fit)
    if unique:
        return
    for ours, theirs in groups:
        left = [node for node in ours if node not in alignment.to_new]
        right = [node for node in theirs if node not in alignment.to_old]
        if left and right:
            _pair_alike(alignment, left, right, fit)
            _spread(alignment, fit, left)


def _groups(alignment: Alignment, old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    ours: dict[int, list[int]] = defaultdict(list)
    theirs: dict[int, list[int]] = defaultdict(list)
    for node, op in enumerate(alignment.old.ops):
        if op.type != "variable" and node not in alignment.to_new:
            ours[old[node]].append(node)
    for node, op in enumerate(alignment.new.ops):
        if op.type != "variable" and node not in alignment.to_old:
            theirs[new[node]].append(node)
    return [(nodes, theirs[value]) for value, nodes in ours.items() if value in theirs]


def _pair_alike(alignment: Alignment, left: list[int], right: list[int], fits: Fits) -> None:
    """Pairs nodes that nothing but their names and their order tells apart: equal names first, then those equal but for counters."""
    for key in (_full_name, _name_in_module):
        by_name: dict[Hashable, list[int]] = defaultdict(list)
        for b in reversed(right):
            by_name[key(alignment.new, b)].append(b)
        for a in left:
            named = by_name.get(key(alignment.old, a)) if a not in alignment.to_new else None
            while named:
                b = named.pop()
                if alignment.may_pair(a, b) and fits(a, b):
                    alignment.pair(a, b)
                    break
    for a, b in zip([a for a in left if a not in alignment.to_new], [b for b in right if b not in alignment.to_old], strict=False):
        if alignment.may_pair(a, b) and fits(a, b):
            alignment.pair(a, b)


def _full_name(side: Side, node: int) -> Hashable:
    return side.ops[node].name


def _name_in_module(side: Side, node: int) -> Hashable:
    return side.ops[node].module, side.ops[node].stem


class _Rivals:
    """Keeps what lies before an operator from pairing it where what lies behind speaks for another, and the names for that one too.

    A run that comes or goes among its like can be moved along them without a trace in the graph: of two identical blocks either may be the
    new one. Names decide then.
    """

    def __init__(self, alignment: Alignment, old: Sequence[int], new: Sequence[int]) -> None:
        self._places = [[(op.module.rpartition(".")[2], op.stem) for op in side.ops] for side in (alignment.old, alignment.new)]
        alone = [(ours[0], theirs[0]) for ours, theirs in _groups(alignment, old, new) if len(ours) == len(theirs) == 1]
        self._of_old = dict(alone)
        self._of_new = {b: a for a, b in alone}

    def fits(self, a: int, b: int) -> bool:
        old, new = self._places
        if old[a] == new[b]:
            return True
        rival, other = self._of_new.get(b), self._of_old.get(a)
        return not ((rival is not None and old[rival] == new[b]) or (other is not None and new[other] == old[a]))


def _spread(alignment: Alignment, fits: Fits | None = None, start: Iterable[int] | None = None) -> None:
    """From pairs to what they read, slot by slot, and to what reads them where only one operator can be meant."""
    old, taken = alignment.old, alignment.to_new
    waiting = [
        a
        for a in (taken if start is None else start)
        if a in taken
        and (any(slot.producer not in taken for slot in old.slots[a]) or any(reader not in taken for reader, _ in old.consumers[a]))
    ]
    while waiting:
        a = waiting.pop()
        for found in (*producers(alignment, a), *_readers(alignment, a)):
            if alignment.may_pair(*found) and (fits is None or fits(*found)) and alignment.old.ops[found[0]].type != "variable":
                alignment.pair(*found)
                waiting.append(found[0])


def _readers(alignment: Alignment, a: int) -> Iterable[tuple[int, int]]:
    """What reads a pair in the same slot of an operator of the same type, where either side has one alone that is free."""
    ours = _free_readers(alignment.old, alignment.to_new, a)
    theirs = _free_readers(alignment.new, alignment.to_old, alignment.to_new[a])
    for key, nodes in ours.items():
        others = theirs.get(key, ())
        if len(nodes) == len(others) == 1:
            yield nodes[0], others[0]


def _free_readers(side: Side, taken: Pairs, node: int) -> dict[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = defaultdict(list)
    if len(side.consumers[node]) <= _MOST_CANDIDATES:
        for reader, number in side.consumers[node]:
            if reader not in taken:
                slot = side.slots[reader][number]
                found[side.ops[reader].type, slot.arg, slot.index, slot.blob].append(reader)
    return found
