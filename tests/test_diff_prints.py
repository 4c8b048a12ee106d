"""Fingerprints of operators, against all that they stand for written out: two are one number where that is the same, and never else."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from test_diff_accuracy import branches

from irflops.analysis.analysis import analyze_graph
from irflops.differ.forms import aspects_of
from irflops.differ.prints import Prints, weights
from irflops.differ.side import Side, side_of
from irflops.readers.notation.sketch import sketch


def drawn(text: str) -> Side:
    analysis = analyze_graph(sketch(text).graph)
    return side_of(analysis, aspects_of(analysis.graph, analysis.graph))


def kind(side: Side, node: int, attrs: bool) -> Any:
    op = side.ops[node]
    return op.type, sorted(op.attrs.items()) if attrs else None


def variable(side: Side, node: int, shapes: bool) -> Any:
    result = side.result(node)
    assert result is not None
    return ("variable", result.shape if shapes else None)


def above(side: Side, node: int, attrs: bool, shapes: bool) -> Any:
    """All that leads to an operator, as one tree."""
    if side.ops[node].type == "variable":
        return variable(side, node, shapes)
    made = [(slot, slot.producer) for slot in side.slots[node] if slot.producer is not None]
    read = [(slot.arg, slot.index, slot.blob, above(side, producer, attrs, shapes)) for slot, producer in made]
    return (kind(side, node, attrs), sorted(read, key=repr))


def below(side: Side, node: int, attrs: bool, shapes: bool) -> Any:
    """All that follows from an operator, as one tree, with the weights beside each."""
    if side.ops[node].type == "output":
        return ("output", side.ops[node].stem)
    beside = [variable(side, s.producer, shapes) for s in side.slots[node] if s.producer is not None and shapes]
    beside = [found for found, slot in zip(beside, side.slots[node], strict=False) if side.ops[slot.producer or 0].type == "variable"]
    uses = [(side.slots[reader][number], reader) for reader, number in side.consumers[node]]
    read = [(slot.arg, slot.index, slot.blob, below(side, reader, attrs, shapes)) for slot, reader in uses]
    return (kind(side, node, attrs), beside, sorted(read, key=repr))


def around(side: Side, node: int, radius: int) -> Any:
    """What surrounds an operator, so many steps far."""
    if not radius:
        return kind(side, node, False), side.ops[node].stem if side.ops[node].type in ("input", "output") else None
    read = [(slot.arg, slot.index, around(side, slot.producer, radius - 1)) for slot in side.slots[node] if slot.producer is not None]
    by = [(side.slots[reader][number].arg, around(side, reader, radius - 1)) for reader, number in side.consumers[node]]
    return around(side, node, radius - 1), sorted(read, key=repr), sorted(by, key=repr)


def assert_same(sides: tuple[Side, Side], prints: tuple[list[int], list[int]], trees: Any, skipped: tuple[str, ...] = ()) -> None:
    """That nodes of either side have one number where they have one tree."""
    found = [
        (number, repr(trees(side, node)))
        for side, numbers in zip(sides, prints, strict=True)
        for node, number in enumerate(numbers)
        if side.ops[node].type not in skipped
    ]
    numbers, written = ({one for one, _ in found}, {other for _, other in found})
    assert len(numbers) == len(written) == len(set(found))


@pytest.mark.parametrize("seed", range(5))
def test_one_number_for_what_is_the_same(seed: int) -> None:
    (old, _), (new, _) = branches(seed)
    sides, prints = (old, new), Prints(old, new)
    for attrs, shapes in product((True, False), repeat=2):
        assert_same(sides, prints.before(attrs=attrs, shapes=shapes), lambda s, n, a=attrs, b=shapes: above(s, n, a, b))
        behind = prints.behind(attrs=attrs, shapes=shapes)
        assert_same(sides, behind, lambda s, n, a=attrs, b=shapes: below(s, n, a, b), ("variable",))
    for radius in (0, 1, 2, 3):
        assert_same(sides, prints.around(radius), lambda s, n, r=radius: around(s, n, r))


def test_shapes_of_weights_count_where_they_are_asked_for() -> None:
    text = "x = input() -> out: f32[2,8]\nw = variable() -> out: f32[%s]\ny = broadcast_add(x: x, y: w) -> z: f32[2,8]\noutput(in: y)"
    one, other = drawn(text % "8"), drawn(text % "1,8")
    node = one.by_name["broadcast_add-2"]
    assert [weights(one, node, shapes) for shapes in (True, False)] == [(("variable", (8,)),), ()]
    assert weights(one, one.by_name["w"], True) == ()
    prints = Prints(one, other)
    for shapes in (True, False):
        for old, new in (prints.before(attrs=True, shapes=shapes), prints.behind(attrs=True, shapes=shapes)):
            assert (old[node] == new[node]) is not shapes
