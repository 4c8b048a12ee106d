"""Sizes in attributes: what they become under other operands, by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irflops.ops.op_view import OpView
from irflops.ops.resize import cuts, expanded, reshape_targets, sliced
from irflops.ops.rule import Changes
from irflops.readers.notation.op_signature import read_call

BATCH = Changes(frozenset({(1, 8)}), frozenset())
PAIRS = Changes(frozenset({(2, 16)}), frozenset())
IMAGE = Changes(frozenset({(224, 384)}), frozenset({(224, 384), (14, 24)}))
NOTHING = Changes(frozenset(), frozenset())


@pytest.mark.parametrize(
    ("before", "after", "target", "changes", "found"),
    [
        pytest.param((1, 3, 4), (8, 3, 4), (1, 12), BATCH, [(8, 12)], id="an axis of its own"),
        pytest.param((1, 6, 4), (8, 6, 4), (6, 4), BATCH, [(48, 4)], id="merged into what follows"),
        pytest.param((1, 6, 4), (8, 6, 4), (6, 1, 4), BATCH, [(48, 1, 4)], id="in the order of memory"),
        pytest.param((2, 6, 4), (16, 6, 4), (6, 2, 4), PAIRS, [(48, 2, 4)], id="inside a longer axis"),
        pytest.param((64, 7, 7, 96), (512, 7, 7, 96), (1, 8, 8, 7, 7, 96), BATCH, [(8, 8, 8, 7, 7, 96)], id="windows put back, batch 1"),
        pytest.param((128, 49), (1024, 49), (2, 8, 8, 49), PAIRS, [(16, 8, 8, 49)], id="windows put back, batch 2"),
        pytest.param((6, 5), (48, 5), (2, 3, 5), PAIRS, [(16, 3, 5)], id="heads apart"),
        pytest.param((64, 3), (512, 3), (1, 64, 3), BATCH, [(1, 512, 3), (8, 64, 3)], id="one beside the rest: either"),
        pytest.param(
            (448,), (3136,), (64, 7), Changes(frozenset({(7, 49)}), frozenset()), [(64, 49), (448, 7)], id="not outermost: either"
        ),
        pytest.param((1, 9, 14, 14), (1, 9, 24, 24), (1, 9, 196), IMAGE, [(1, 9, 576)], id="an image made a row"),
        pytest.param((1, 9, 196), (1, 9, 576), (1, 9, 14, 14), IMAGE, [(1, 9, 24, 24)], id="and an image again"),
        pytest.param((1, 56, 9), (1, 96, 9), (1, 8, 7, 9), IMAGE, [(1, 8, 12, 9)], id="96 rows are 8 windows of 12"),
        pytest.param((1, 56), (1, 112), (1, 8, 7), NOTHING, [(1, 16, 7), (1, 8, 14)], id="112 are, or 8 of 14"),
        pytest.param((1, 56), (1, 95), (1, 8, 7), NOTHING, [], id="95 are nothing"),
        pytest.param((1, 1, 3, 4), (1, 8, 3, 4), (1, 3, 4), BATCH, [(8, 3, 4)], id="another axis of 1 left out"),
        pytest.param((3, 1, 4), (3, 8, 4), (3, 4), BATCH, [(24, 4), (3, 32)], id="between two: either"),
        pytest.param((2, 3), (2, 3), (6,), PAIRS, [(6,)], id="nothing changed"),
        pytest.param((0, 3), (0, 5), (3, 0), NOTHING, [(3, 0)], id="nothing there"),
    ],
)
def test_reshape_targets(
    before: tuple[int, ...], after: tuple[int, ...], target: tuple[int, ...], changes: Changes, found: list[tuple[int, ...]]
) -> None:
    assert sorted(reshape_targets(before, after, target, changes)) == sorted(found)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 6), st.integers(1, 6))
def test_every_target_holds_the_elements(target: list[int], old: int, new: int) -> None:
    rest = math.prod(target)
    changes = Changes(frozenset({(old, new)}), frozenset())
    for found in reshape_targets((old, rest), (new, rest), (old, *target), changes):
        assert math.prod(found) == new * rest
    assert (new, *target) in reshape_targets((old, rest), (new, rest), (old, *target), changes)


def view(call: str) -> OpView:
    read = read_call(call)
    return OpView(read.op_type, read.inputs, read.outputs, read.attrs)


def test_expand_follows_its_operand_and_keeps_or_scales_what_it_repeats() -> None:
    old = view("expand(in: f32[1,1,5], expand_shape=[2,3,5]) -> out: f32[2,3,5]")
    assert [value["expand_shape"] for value in expanded(old, old, PAIRS)] == [(2, 3, 5), (16, 3, 5)]
    old = view("expand(in: f32[2,1,5], expand_shape=[2,3,5]) -> out: f32[2,3,5]")
    new = view("expand(in: f32[16,1,5], expand_shape=[2,3,5]) -> out: f32[2,3,5]")
    assert [value["expand_shape"] for value in expanded(old, new, PAIRS)] == [(16, 3, 5)]


@pytest.mark.parametrize(
    ("start", "stop", "found"),
    [
        pytest.param(0, 10, [(0, 15)], id="all of it"),
        pytest.param(1, 10, [(1, 15), (6, 15)], id="from 1 on, or the last 9"),
        pytest.param(0, 1, [(0, 1), (0, 6), (5, 6)], id="the first, or up to the last 9, or the tenth from the end"),
        pytest.param(0, 4, [(0, 4), (0, 9), (5, 9), (0, 6)], id="the same, or two fifths"),
    ],
)
def test_cuts(start: int, stop: int, found: list[tuple[int, int]]) -> None:
    assert cuts(10, 15, start, stop, 1) == found


def test_slice_keeps_what_did_not_change() -> None:
    old = view("slice(x: f32[1,10], start=[0,2], stop=[1,5], step=[1,1]) -> y: f32[1,3]")
    new = view("slice(x: f32[8,10], start=[0,2], stop=[1,5], step=[1,1]) -> y: f32[1,3]")
    assert list(sliced(old, new, BATCH)) == [{"start": (0, 2), "stop": (8, 5)}]
