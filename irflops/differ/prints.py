"""Fingerprints of operators, integers by node: what leads to one, what follows from it, what surrounds it.

Two nodes, of one graph or of both, have the same fingerprint where the same is said of them, and never else: what is said is numbered as it
comes, not hashed. Python has one hash for -1 and -2, and those of strings change from run to run.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from irflops.differ.side import INTERFACE, Side
from irflops.ir.graph import Op, Phase

Both = tuple[list[int], list[int]]
"""The fingerprints of two graphs."""


class Numbers:
    """Numbers from 1 on for whatever is asked for, equal ones for what is equal."""

    def __init__(self) -> None:
        self._known: dict[Hashable, int] = {}

    def of(self, key: Hashable) -> int:
        return self._known.setdefault(key, len(self._known) + 1)


def label(op: Op, attrs: bool) -> Hashable:
    return (op.type or op.type_candidates, op.attrs if attrs else None, len(op.outputs), op.phase is Phase.RECOMPUTE)


def _leaf(side: Side, node: int, shapes: bool) -> Hashable:
    """What is said of a variable where it is read."""
    result = side.result(node)
    return ("variable", result.shape if shapes and result is not None else None)


def _before(side: Side, numbers: Numbers, labels: Sequence[int], shapes: bool) -> list[int]:
    """All that leads to a node: its label and, slot by slot, the same of what it reads."""
    prints = [0] * len(side.ops)
    for node in side.order:
        op = side.ops[node]
        if op.type == "variable":
            prints[node] = numbers.of(_leaf(side, node, shapes))
        elif op.type in INTERFACE and not side.slots[node]:
            prints[node] = numbers.of((op.type, side.ops[node].stem))
        else:
            read = tuple(sorted((s.arg, s.index, 0 if s.producer is None else prints[s.producer], s.blob) for s in side.slots[node]))
            prints[node] = numbers.of((labels[node], () if op.type == "learning_rate_schedule" else read))
    return prints


def _behind(side: Side, numbers: Numbers, labels: Sequence[int], shapes: bool) -> list[int]:
    """All that follows from a node: its label, the weights beside its operands, and the same of what reads it."""
    prints = [0] * len(side.ops)
    for node in reversed(side.order):
        op = side.ops[node]
        if op.type == "output":
            prints[node] = numbers.of(("output", side.ops[node].stem))
            continue
        readers = sorted(
            (prints[reader], side.slots[reader][slot].arg, side.slots[reader][slot].index, side.slots[reader][slot].blob)
            for reader, slot in side.consumers[node]
        )
        prints[node] = numbers.of((labels[node], weights(side, node, shapes), tuple(readers)))
    return prints


def weights(side: Side, node: int, shapes: bool) -> tuple[Hashable, ...]:
    """The shapes of the variables that a node reads."""
    if not shapes:
        return ()
    return tuple(
        _leaf(side, s.producer, shapes) for s in side.slots[node] if s.producer is not None and side.ops[s.producer].type == "variable"
    )


def _near(side: Side, numbers: Numbers, labels: Sequence[int]) -> list[int]:
    """A node by itself."""
    return [numbers.of((labels[node], side.ops[node].stem if op.type in INTERFACE else None)) for node, op in enumerate(side.ops)]


def _farther(side: Side, numbers: Numbers, prints: Sequence[int]) -> list[int]:
    """What surrounds a node, one step farther than these prints tell."""
    above = [
        tuple(sorted((s.arg, s.index, prints[s.producer]) for s in slots if s.producer is not None)) if slots else ()
        for slots in side.slots
    ]
    below = [tuple(sorted((prints[r], side.slots[r][n].arg) for r, n in readers)) if readers else () for readers in side.consumers]
    return [numbers.of(node) for node in zip(prints, above, below, strict=True)]


class Prints:
    """The prints of two sides, each kind worked out when it is first asked for."""

    def __init__(self, old: Side, new: Side) -> None:
        self._sides = old, new
        self._labels: dict[bool, Both] = {}
        self._known: dict[tuple[str, bool, bool], Both] = {}
        self._around: list[Both] = []

    def before(self, *, attrs: bool, shapes: bool) -> Both:
        """By all that leads to a node."""
        return self._all("before", _before, attrs, shapes)

    def behind(self, *, attrs: bool, shapes: bool) -> Both:
        """By all that follows from a node."""
        return self._all("behind", _behind, attrs, shapes)

    def _all(self, kind: str, prints: Callable[[Side, Numbers, Sequence[int], bool], list[int]], attrs: bool, shapes: bool) -> Both:
        key = kind, attrs, shapes
        if key not in self._known:
            numbers = Numbers()
            (old, new), labels = self._sides, self._labelled(attrs)
            self._known[key] = prints(old, numbers, labels[0], shapes), prints(new, numbers, labels[1], shapes)
        return self._known[key]

    def around(self, radius: int) -> Both:
        """By what surrounds a node, so many steps far."""
        old, new = self._sides
        while len(self._around) <= radius:
            numbers = Numbers()
            if not self._around:
                labels = self._labelled(attrs=False)
                self._around.append((_near(old, numbers, labels[0]), _near(new, numbers, labels[1])))
            else:
                last = self._around[-1]
                self._around.append((_farther(old, numbers, last[0]), _farther(new, numbers, last[1])))
        return self._around[radius]

    def _labelled(self, attrs: bool) -> Both:
        if attrs not in self._labels:
            numbers = Numbers()
            old, new = ([numbers.of(label(op, attrs)) for op in side.ops] for side in self._sides)
            self._labels[attrs] = old, new
        return self._labels[attrs]
