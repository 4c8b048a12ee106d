"""Sizes in attributes: what they become under other operands, by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irflops.ir.graph import AttrValue
from irflops.ops.op_view import OpView
from irflops.ops.resize import (
    baked,
    cuts,
    expanded,
    fixed,
    like_operand,
    narrowed,
    reshape_targets,
    reshaped,
    slice_undone,
    sliced,
    unpooled,
)
from irflops.ops.rule import Changes, Resized
from irflops.ops.work import Unknowable
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


@pytest.mark.parametrize(
    ("before", "after", "target", "changes", "constant"),
    [
        pytest.param((1, 56, 9), (1, 80, 9), (1, 8, 7, 9), NOTHING, {(1, 8, 10, 9): 2}, id="windows of 7 become 10"),
        pytest.param((1, 56, 9), (1, 63, 9), (1, 8, 7, 9), NOTHING, {(1, 9, 7, 9): None}, id="9 windows of 7"),
        pytest.param((1, 56), (1, 112), (1, 8, 7), NOTHING, {(1, 16, 7): None, (1, 8, 14): None}, id="either, for others to tell"),
        pytest.param((1, 9, 196), (1, 9, 576), (1, 9, 14, 14), IMAGE, {(1, 9, 24, 24): None}, id="told by what changed elsewhere"),
        pytest.param((56, 56), (80, 80), (8, 7, 8, 7), NOTHING, {(8, 10, 8, 10): 1}, id="both axes: the first is named"),
        pytest.param((1, 56), (8, 80), (8, 7), BATCH, {(64, 10): 1}, id="beside the batch"),
    ],
)
def test_a_constant_that_must_change_is_named(
    before: tuple[int, ...],
    after: tuple[int, ...],
    target: tuple[int, ...],
    changes: Changes,
    constant: dict[tuple[int, ...], int | None],
) -> None:
    found = reshape_targets(before, after, target, changes)
    assert {value: axis for value, axis in found.items() if value in constant} == constant


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 6), st.integers(1, 6))
def test_every_target_holds_the_elements(target: list[int], old: int, new: int) -> None:
    rest = math.prod(target)
    changes = Changes(frozenset({(old, new)}), frozenset())
    for found in reshape_targets((old, rest), (new, rest), (old, *target), changes):
        assert math.prod(found) == new * rest
    assert (new, *target) in reshape_targets((old, rest), (new, rest), (old, *target), changes)


def test_what_is_no_reshape_has_no_targets() -> None:
    assert reshape_targets((2, 3), (4, 3), (5,), PAIRS) == {}


@pytest.mark.parametrize(
    ("cut", "found"),
    [
        pytest.param((6, 9, 2, 5, 1), [(2, 5), (2, 8), (5, 8)], id="counted from either end"),
        pytest.param((4, 8, 1, 3, 1), [(1, 3), (1, 7), (5, 7), (2, 6)], id="or its share"),
        pytest.param((4, 8, 1, 4, 1), [(1, 8), (5, 8)], id="to the end"),
        pytest.param((4, 8, 0, 4, 1), [(0, 8)], id="all"),
        pytest.param((4, 2, 3, 4, 1), [(1, 2)], id="the last one"),
    ],
)
def test_cuts_of_an_axis(cut: tuple[int, int, int, int, int], found: list[tuple[int, int]]) -> None:
    assert cuts(*cut) == found


def view(call: str) -> OpView:
    read = read_call(call)
    return OpView(read.op_type, read.inputs, read.outputs, read.attrs)


def test_expand_follows_its_operand_and_keeps_or_scales_what_it_repeats() -> None:
    old = view("expand(in: f32[1,1,5], expand_shape=[2,3,5]) -> out: f32[2,3,5]")
    assert [value["expand_shape"] for value in expanded(old, old, PAIRS)] == [(2, 3, 5), (16, 3, 5)]
    old = view("expand(in: f32[2,1,5], expand_shape=[2,3,5]) -> out: f32[2,3,5]")
    new = view("expand(in: f32[16,1,5], expand_shape=[2,3,5]) -> out: f32[2,3,5]")
    assert [value["expand_shape"] for value in expanded(old, new, PAIRS)] == [(16, 3, 5)]
    assert [value["expand_shape"] for value in expanded(old, new, NOTHING)] == [(16, 3, 5)]
    shorter = view("expand(in: f32[2,3], expand_shape=[3]) -> out: f32[3]")
    assert list(expanded(shorter, shorter, PAIRS)) == [{}]


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


def asked(rule: Resized, old: str, new: str, changes: Changes) -> list[dict[str, AttrValue]]:
    return [dict(values) for values in rule(view(old), view(new), changes)]


def test_a_target_of_a_reshape_that_holds_minus_one_may_stay_as_it_is() -> None:
    """[-1, 12] of 1 x 3 x 4 is 1 x 12, and of 8 x 3 x 4 what the rule finds for it: the attribute stays."""

    def found(before: str, after: str, target: str, changes: Changes) -> list[dict[str, AttrValue]]:
        old, new = (f"reshape(in: f32[{shape}], shape=[{target}]) -> out: f32[?]" for shape in (before, after))
        return asked(reshaped("shape", "in"), old, new, changes)

    assert found("1,3,4", "8,3,4", "-1,12", BATCH) == [{}]
    assert found("1,3,4", "8,3,4", "1,12", BATCH) == [{"shape": (8, 12)}]
    # 6 x -1 is 6 x 4 for 2 x 12, and 6 x 8 for 4 x 12; that the 6 scales is not told by -1.
    assert found("2,12", "4,12", "6,-1", NOTHING) == [{"shape": (12, 4)}]
    assert found("1,0", "1,0", "0,-1", NOTHING) == [{}]


def test_sizes_of_a_result_follow_the_input() -> None:
    old = 'constant(shape=[2,3], dtype="float32", rows=2) -> out: f32[2,3]'
    assert asked(baked("shape"), old, old, PAIRS) == [{"shape": (2, 3)}, {"shape": (16, 3)}]
    assert asked(baked("rows"), old, old, PAIRS) == [{"rows": 2}, {"rows": 16}]
    assert asked(baked("rows", "shape"), old, old, NOTHING) == [{"rows": 2, "shape": (2, 3)}]
    assert asked(baked("cols"), old, old, PAIRS) == [{}]
    assert len(asked(baked("rows", "shape"), old, old, PAIRS)) == 4


def test_more_combinations_than_can_be_tried_are_not_known() -> None:
    old = f"constant(shape=[{','.join(['2'] * 11)}]) -> out: f32[2]"
    with pytest.raises(Unknowable):
        asked(baked("shape"), old, old, PAIRS)


def test_a_shape_that_an_operand_fills_follows_it() -> None:
    rule = like_operand("like_shape", "dy")
    old, new = (
        "slice_grad(dy: f32[2,5], like_shape=[4,2,7]) -> dx: f32[4,2,7]",
        "slice_grad(dy: f32[16,5], like_shape=[4,2,7]) -> dx: f32[?]",
    )
    assert asked(rule, old, new, NOTHING) == [{"like_shape": (4, 16, 7)}]
    assert asked(rule, old, new, Changes(frozenset({(4, 6)}), frozenset())) == [{"like_shape": (4, 16, 7)}, {"like_shape": (6, 16, 7)}]


def test_a_slice_undone_is_whole_where_it_was() -> None:
    """The first axis was taken whole, and is; of the second 2 of 5 were."""
    old = "slice_grad(dy: f32[2,2], like_shape=[2,5], start=[0,1], stop=[2,3], step=[1,1]) -> dx: f32[2,5]"
    new = "slice_grad(dy: f32[16,2], like_shape=[2,5], start=[0,1], stop=[2,3], step=[1,1]) -> dx: f32[?]"
    assert asked(slice_undone, old, new, NOTHING) == [{"like_shape": (16, 5), "stop": (16, 3)}]
    bare = ("slice_grad(dy: f32[2,2], like_shape=[2,5]) -> dx: f32[2,5]", "slice_grad(dy: f32[16,2], like_shape=[2,5]) -> dx: f32[?]")
    assert asked(slice_undone, *bare, NOTHING) == [{"like_shape": (16, 5)}]


def test_a_narrowing_follows_the_axis_that_it_cuts_and_no_other() -> None:
    def call(rows: int, columns: int) -> str:
        return f"narrow(in: f32[{rows},{columns}], dim=-1, start=2, length=9) -> out: f32[{rows},8]"

    assert asked(narrowed, call(2, 10), call(16, 10), PAIRS) == [{}]
    # To the end: from 2 on, or the last 8.
    assert asked(narrowed, call(2, 10), call(2, 12), PAIRS) == [{"start": 2, "length": 10}, {"start": 4, "length": 8}]


def test_a_slice_without_its_attributes_or_of_other_ranks_says_nothing() -> None:
    whole = "slice(x: f32[4], start=[0], stop=[4], step=[1]) -> y: f32[4]"
    assert asked(sliced, "slice(x: f32[4], start=[0], stop=[4]) -> y: f32[4]", whole, NOTHING) == [{}]
    assert asked(sliced, "slice(x: f32[4,2], start=[0], stop=[4], step=[1]) -> y: f32[4]", whole, NOTHING) == [{}]
    assert asked(sliced, whole, "slice(x: f32[6], start=[0], stop=[4], step=[1]) -> y: f32[4]", NOTHING) == [{"start": (0,), "stop": (6,)}]


def test_strides_describe_one_storage() -> None:
    old = "as_strided(input: f32[4,4], size=[2,2], stride=[4,1], storage_offset=0) -> output: f32[2,2]"
    assert asked(fixed, old, old, BATCH) == [{}]
    assert asked(fixed, old, old.replace("f32[4,4]", "f32[8,4]"), BATCH) == []


def test_an_unpooling_has_the_size_that_it_was_given() -> None:
    old = "max_unpool_1d(x: f32[2,3], indices: i64[2,3], has_output_size=%s, output_size=[2,6]) -> y: f32[2,6]"
    new = old.replace("x: f32[2,3]", "x: f32[16,3]")
    assert asked(unpooled, old % "false", new % "false", PAIRS) == [{}]
    assert asked(unpooled, old % "true", new % "true", PAIRS) == [{"output_size": (16, 6)}]
