"""Attributes that a print lacks: what is told of them in closed form is what trying all of them finds, on sizes small enough to try."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from printed_ops import NOTHING, Ints, asked, f32, given_out

from irflops.ir.graph import Attrs, AttrValue, DType, Op, Operand, TensorType
from irflops.ops import BOOK
from irflops.ops.op_view import OpView
from irflops.ops.resize import cuts
from irflops.ops.work import MissingAttribute
from irflops.whatif.alternatives import Operands, alternatives


def result_of(op_type: str, operands: Mapping[str, Ints], attrs: Mapping[str, AttrValue], result: str) -> Ints | None:
    """The shape that a rule gives, None where it refuses."""
    view = OpView(op_type, {arg: (f32(shape),) for arg, shape in operands.items()}, {result: (TensorType(),)}, Attrs(attrs))
    try:
        found = BOOK.by_type[op_type].shape(view)[result]
    except ValueError:
        return None
    assert isinstance(found, TensorType)
    assert found.shape is not None
    assert None not in found.shape
    return found.shape  # type: ignore[return-value]  # None is excluded above


def tried(
    op_type: str,
    before: Mapping[str, Ints],
    after: Mapping[str, Ints],
    result: str,
    captured: Ints,
    values: Iterable[Mapping[str, AttrValue]],
) -> list[Ints]:
    """What an op gives out of changed operands under all values that give the captured result, in the order in which they come."""
    fits = (value for value in values if result_of(op_type, before, value, result) == captured)
    found = (result_of(op_type, after, value, result) for value in fits)
    return list(dict.fromkeys(shape for shape in found if shape is not None))


def subsets(rank: int) -> Iterator[Ints]:
    return (axes for size in range(rank + 1) for axes in itertools.combinations(range(rank), size))


def few(most: int = 3) -> st.SearchStrategy[int]:
    return st.sampled_from(sorted({1, 2, most}))


@st.composite
def changed_shape(draw: st.DrawFn, least: int = 0, most: int = 4) -> tuple[Ints, Ints]:
    """A shape of few extents, and what becomes of it; equal extents may change in different ways."""
    before = tuple(draw(st.lists(few(), min_size=least, max_size=most)))
    after = tuple(draw(st.sampled_from((extent, extent, extent + 4, 1 + 4 * extent))) for extent in before)
    return before, after


@given(changed_shape(), st.data())
def test_orders_of_axes(shapes: tuple[Ints, Ints], data: st.DataObject) -> None:
    before, after = shapes
    perm = tuple(data.draw(st.permutations(range(len(before)))))
    captured = tuple(before[axis] for axis in perm)
    values = [{"perm": order} for order in itertools.permutations(range(len(before)))]
    expected = tried("transpose", {"input": before}, {"input": after}, "output", captured, values)
    assert given_out(asked("transpose", {"input": before}, {"input": after}, {"output": captured})) == expected


@given(changed_shape(), st.data(), st.sampled_from(["reduce_sum", "var"]))
def test_axes_of_a_reduction(shapes: tuple[Ints, Ints], data: st.DataObject, op_type: str) -> None:
    before, after = shapes
    arg, result, axes, keep = (
        ("input", "output", "dim", "keepdim") if op_type == "var" else ("input_tensor", "output_tensor", "axis", "keepdims")
    )
    chosen = data.draw(st.sampled_from(list(subsets(len(before)))))
    kept = data.draw(st.booleans())
    captured = result_of(op_type, {arg: before}, {axes: chosen, keep: kept}, result)
    assert captured is not None
    values: list[dict[str, AttrValue]] = [{axes: axis, keep: stay} for axis in subsets(len(before)) for stay in (False, True)]
    expected = tried(op_type, {arg: before}, {arg: after}, result, captured, values)
    assert given_out(asked(op_type, {arg: before}, {arg: after}, {result: captured})) == expected


@given(changed_shape(), st.data())
def test_axes_of_a_squeeze(shapes: tuple[Ints, Ints], data: st.DataObject) -> None:
    before, after = shapes
    ones = [axis for axis, extent in enumerate(before) if extent == 1]
    gone = data.draw(st.sets(st.sampled_from(ones)) if ones else st.just(set()))
    captured = tuple(extent for axis, extent in enumerate(before) if axis not in gone)
    values = [{"axes": axes} for axes in subsets(len(before))]
    expected = tried("squeeze", {"in": before}, {"in": after}, "out", captured, values)
    answer = asked("squeeze", {"in": before}, {"in": after}, {"out": captured})
    assert given_out(answer) == expected
    assert bool(answer.misfit) == (not expected)


@given(changed_shape(), st.data())
def test_axes_of_a_flatten(shapes: tuple[Ints, Ints], data: st.DataObject) -> None:
    before, after = shapes
    ends = [(start, end) for start in range(max(1, len(before))) for end in range(start, max(1, len(before)))]
    start, end = data.draw(st.sampled_from(ends))
    captured = result_of("flatten", {"in": before}, {"start_dim": start, "end_dim": end}, "out")
    assert captured is not None
    values = [{"start_dim": start, "end_dim": end} for start, end in ends]
    expected = tried("flatten", {"in": before}, {"in": after}, "out", captured, values)
    assert given_out(asked("flatten", {"in": before}, {"in": after}, {"out": captured})) == expected


@given(changed_shape(least=1), st.data(), st.sampled_from(["expand_dims", "gather", "unsorted_segment_sum"]))
def test_an_axis(shapes: tuple[Ints, Ints], data: st.DataObject, op_type: str) -> None:
    before, after = shapes
    rank = len(before) + (op_type == "expand_dims")
    axis = data.draw(st.integers(0, rank - 1))
    name, result = ("data", "out") if op_type == "unsorted_segment_sum" else ("in", "out")
    old, new, more = {name: before}, {name: after}, {}
    if op_type == "gather":
        ids = data.draw(changed_shape(most=2))
        old["indices"], new["indices"] = ids
    if op_type == "unsorted_segment_sum":
        old["segment_ids"], new["segment_ids"] = (before[axis],), (after[axis],)
        more = {"num_segments": data.draw(few())}
    captured = result_of(op_type, old, {"axis": axis, **more}, result)
    assert captured is not None
    counts = [{"num_segments": count} for count in range(5)] if more else [{}]
    values: list[dict[str, AttrValue]] = [{"axis": axis, **count} for axis in range(rank) for count in counts]
    expected = tried(op_type, old, new, result, captured, values)
    assert given_out(asked(op_type, old, new, {result: captured})) == expected


@given(changed_shape(least=1, most=3), st.data())
def test_a_narrowing(shapes: tuple[Ints, Ints], data: st.DataObject) -> None:
    """Whatever the axis and the start are, of an axis that changed they mean what cuts of it can mean."""
    before, after = shapes
    dim = data.draw(st.integers(0, len(before) - 1))
    length = data.draw(st.integers(0, before[dim]))
    captured = (*before[:dim], length, *before[dim + 1 :])
    expected = set()
    for axis in range(len(before)):
        for start in range(before[axis] - captured[axis] + 1):
            attrs = {"dim": axis, "start": start, "length": captured[axis]}
            if result_of("narrow", {"in": before}, attrs, "out") != captured:
                continue
            same = before[axis] == after[axis]
            for first, last in cuts(before[axis], after[axis], start, start + captured[axis], 1):
                expected.add((*after[:axis], captured[axis] if same else last - first, *after[axis + 1 :]))
    assert set(given_out(asked("narrow", {"in": before}, {"in": after}, {"out": captured}))) == expected


def all_slices(before: int, kept: int) -> Iterator[tuple[int, int, int]]:
    """Slices that keep so many entries: all by a step of 1, and of the others those to the end that begin within the first step."""
    yield from ((start, start + kept, 1) for start in range(before - kept + 1))
    yield from (
        (start, before, step) for step in range(2, before + 1) for start in range(step) if len(range(start, before, step)) == kept != before
    )


def all_cuts(before: int, after: int, kept: int) -> list[int]:
    """Entries that the slices of an axis, as far as a print tells them, can keep of it at another extent."""
    if before == kept:
        return [after]
    if before == after:
        return [kept]
    found = [
        len(range(first, last, step))
        for start, stop, step in all_slices(before, kept)
        for first, last in cuts(before, after, start, stop, step)
    ]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("before", range(1, 15))
def test_slices_of_one_axis(before: int) -> None:
    """Every slice of a small axis, against every other extent: what it can become, the likelier first."""
    for kept, after in itertools.product(range(before + 1), (*range(1, 31), 47, 64)):
        answer = asked("slice", {"x": (before,)}, {"x": (after,)}, {"y": (kept,)})
        found = [shape[0] for shape in given_out(answer) if shape is not None]
        assert sorted(found, key=lambda n: n or 0) == sorted(all_cuts(before, after, kept)), (before, kept, after)


@given(changed_shape(least=2, most=3), st.data())
def test_slices_of_several_axes(shapes: tuple[Ints, Ints], data: st.DataObject) -> None:
    before, after = shapes
    captured = tuple(data.draw(st.integers(0, extent)) for extent in before)
    expected = set(itertools.product(*(all_cuts(*extents) for extents in zip(before, after, captured, strict=True))))
    assert set(given_out(asked("slice", {"x": before}, {"x": after}, {"y": captured}))) == expected


@pytest.mark.parametrize(
    ("before", "after", "kept", "found"),
    [
        pytest.param(480_000, 960_000, 479_999, {479_999, 959_999, 959_998}, id="all but the first of many samples"),
        pytest.param(480_000, 960_000, 240_000, {240_000, 720_000, 480_000}, id="every second, or one half"),
        pytest.param(2**40, 2**41, 1, {1, 2**40 + 1, 2, 3}, id="one of very many: the first, or by a large step"),
        pytest.param(2**62, 2**62 - 1, 2**61, {2**61, 2**61 - 1}, id="as many as there can be"),
    ],
)
def test_slices_of_long_axes(before: int, after: int, kept: int, found: set[int]) -> None:
    assert {shape[0] for shape in given_out(asked("slice", {"x": (before,)}, {"x": (after,)}, {"y": (kept,)})) if shape} == found


def test_slices_of_too_many_kinds_are_not_listed() -> None:
    answer = asked("slice", {"x": (2**40,)}, {"x": (2**60,)}, {"y": (2,)})
    assert answer.missing == "step"
    assert [alternative.shapes for alternative in answer.alternatives] == [(None,)]
    assert len(given_out(asked("slice", {"x": (10,)}, {"x": (2**60,)}, {"y": (2,)}))) < 30


def test_sums_over_axes_of_one_are_told_apart_up_to_a_limit() -> None:
    """Of seven that grow each may have been summed over or not; eight leave too much open."""
    for ones in (7, 8):
        before, after = ({"input_tensor": (extent,) * ones} for extent in (1, 2))
        answer = asked("reduce_sum", before, after, {"output_tensor": (1,) * ones})
        assert (answer.missing, len(answer.alternatives)) == ((None, 128) if ones == 7 else ("axis", 1))


def test_margins_stay_as_wide_as_they_are_in_all() -> None:
    """Five become eight with three around them, and so do seven ten; the gradient is cut by as many."""
    assert given_out(asked("pad", {"x": (2, 5)}, {"x": (2, 7)}, {"y": (2, 8)})) == [(2, 10)]
    assert given_out(asked("pad", {"x": (1, 5)}, {"x": (4, 5)}, {"y": (1, 8)})) == [(4, 8)]
    assert given_out(asked("pad_grad", {"dy": (2, 8)}, {"dy": (2, 10)}, {"dx": (2, 5)})) == [(2, 7)]

    assert given_out(asked("reflection_pad2d", {"x": (1, 2, 5, 5)}, {"x": (1, 2, 6, 7)}, {"y": (1, 2, 7, 8)})) == [(1, 2, 8, 10)]
    grown = {"dy": (1, 2, 7, 8)}, {"dy": (1, 2, 8, 10)}
    assert given_out(asked("constant_pad2d_grad", *grown, {"dx": (1, 2, 5, 5)})) == [(1, 2, 6, 7)]


def test_what_is_made_of_nothing_keeps_its_size() -> None:
    assert given_out(asked("eye", {}, {}, {"out": (3, 4)})) == [(3, 4)]
    assert given_out(asked("randperm", {}, {}, {"out": (5,)})) == [(5,)]


def test_orders_of_equal_axes_are_told_apart_up_to_a_limit() -> None:
    """Five axes of 1 that become five sizes may have stood in 120 orders, six in 720."""
    for axes, missing in ((5, None), (6, "perm")):
        before, after = (1,) * axes, tuple(range(1, axes + 1))
        assert asked("transpose", {"input": before}, {"input": after}, {"output": before}).missing == missing


def test_operands_of_shapes_known_in_part_that_no_longer_agree_leave_the_result_unknown() -> None:
    """Of `?x3` and `?x1` nobody knows whether they broadcast: the other type's rule cannot tell, and raises nothing that escapes."""
    before, after = TensorType((None, 3), DType.FLOAT32), TensorType((None, 1), DType.FLOAT32)
    op = Op("op", "add_n", (Operand("in", 0, "a", before), Operand("in", 1, "b", before)), (Operand("out", 0, "out", before),))
    found = alternatives(op, Operands((before, before), (before, after)), (before,), NOTHING)
    assert given_out(found) == [None]


def test_slices_of_several_axes_are_told_apart_up_to_a_limit() -> None:
    """Of each axis the half that is kept may be a cut or every second: two kinds, so that seven axes have 128 and eight too many."""
    for rank, missing in ((7, None), (8, "start")):
        before, after, kept = ((extent,) * rank for extent in (10, 20, 5))
        assert asked("slice", {"x": before}, {"x": after}, {"y": kept}).missing == missing


def test_a_sum_by_segments_over_several_axes_keeps_those_behind() -> None:
    operands = [{"data": (n, 3, 5), "segment_ids": (3, 5)} for n in (2, 6)]
    assert (6, 4) in given_out(asked("unsorted_segment_sum", operands[0], operands[1], {"out": (2, 4)}))


def test_a_result_that_is_not_known_tells_nothing() -> None:
    view = OpView("transpose", {"input": (f32((2, 3)),)}, {"output": (TensorType(None, DType.FLOAT32),)})
    readings = BOOK.by_type["transpose"].readings
    assert readings is not None
    with pytest.raises(MissingAttribute, match="output"):
        list(readings(view, view))
