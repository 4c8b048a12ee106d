"""Fingerprints of operators, integers by node: what leads to one, what follows from it, what surrounds it."""

from __future__ import annotations

from collections.abc import Hashable

from irflops.differ.side import INTERFACE, Side
from irflops.ir.graph import Op, Phase


def label(op: Op, attrs: bool) -> Hashable:
    return (op.type or op.type_candidates, op.attrs if attrs else None, len(op.outputs), op.phase is Phase.RECOMPUTE)


def _leaf(side: Side, node: int, shapes: bool) -> Hashable:
    """What is said of a variable where it is read."""
    result = side.result(node)
    return ("variable", result.shape if shapes and result is not None else None)


def before(side: Side, attrs: bool, shapes: bool) -> list[int]:
    """All that leads to a node: its label and, slot by slot, the same of what it reads."""
    prints = [0] * len(side.ops)
    for node in side.order:
        op = side.ops[node]
        if op.type == "variable":
            prints[node] = hash(_leaf(side, node, shapes))
        elif op.type in INTERFACE and not side.slots[node]:
            prints[node] = hash((op.type, side.plain_names[node]))
        else:
            read = tuple(sorted((s.arg, s.index, 0 if s.producer is None else prints[s.producer], s.blob) for s in side.slots[node]))
            prints[node] = hash((label(op, attrs), () if op.type == "learning_rate_schedule" else read))
    return prints


def behind(side: Side, attrs: bool, shapes: bool) -> list[int]:
    """All that follows from a node: its label, the weights beside its operands, and the same of what reads it."""
    prints = [0] * len(side.ops)
    for node in reversed(side.order):
        op = side.ops[node]
        if op.type == "output":
            prints[node] = hash(("output", side.plain_names[node]))
            continue
        readers = sorted(
            (prints[reader], side.slots[reader][slot].arg, side.slots[reader][slot].index, side.slots[reader][slot].blob)
            for reader, slot in side.consumers[node]
        )
        prints[node] = hash((label(op, attrs), weights(side, node, shapes), tuple(readers)))
    return prints


def weights(side: Side, node: int, shapes: bool) -> tuple[Hashable, ...]:
    """The shapes of the variables that a node reads."""
    if not shapes:
        return ()
    return tuple(
        _leaf(side, s.producer, shapes) for s in side.slots[node] if s.producer is not None and side.ops[s.producer].type == "variable"
    )


def around(side: Side, most: int) -> list[list[int]]:
    """What surrounds a node, none to `most` steps far: prints by radius."""
    prints = [hash((label(op, False), side.plain_names[node] if op.type in INTERFACE else None)) for node, op in enumerate(side.ops)]
    found = [prints]
    for _ in range(most):
        above = [
            tuple(sorted((s.arg, s.index, prints[s.producer]) for s in slots if s.producer is not None)) if slots else ()
            for slots in side.slots
        ]
        below = [tuple(sorted((prints[r], side.slots[r][n].arg) for r, n in readers)) if readers else () for readers in side.consumers]
        prints = [hash(node) for node in zip(prints, above, below, strict=True)]
        found.append(prints)
    return found


class Prints:
    """The prints of one side, each worked out when it is first asked for."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._known: dict[tuple[str, bool, bool], list[int]] = {}
        self._around: list[list[int]] = []

    def before(self, *, attrs: bool, shapes: bool) -> list[int]:
        """By all that leads to a node."""
        key = "before", attrs, shapes
        if key not in self._known:
            self._known[key] = before(self._side, attrs, shapes)
        return self._known[key]

    def behind(self, *, attrs: bool, shapes: bool) -> list[int]:
        """By all that follows from a node."""
        key = "behind", attrs, shapes
        if key not in self._known:
            self._known[key] = behind(self._side, attrs, shapes)
        return self._known[key]

    def around(self, radius: int, most: int) -> list[int]:
        """By what surrounds a node."""
        if not self._around:
            self._around = around(self._side, most)
        return self._around[radius]
