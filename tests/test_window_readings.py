"""What a print leaves open of windows that slide: convolutions, pools."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from printed_ops import Ints, asked, f32, given_out

from irflops.ir.graph import AttrValue
from irflops.ops import BOOK
from irflops.ops.op_view import OpView


def all_windows(size: int, kernel: int, count: int) -> Iterator[Ints]:
    """Stride, padding and dilation of all windows that fall so many times; padding holds no whole window, taps lie as far apart as they
    like.
    """
    for dilation in range(1, 2 if kernel == 1 else size + count + 4):
        for padding in range(dilation * (kernel - 1) + 1):
            room = size + 2 * padding - dilation * (kernel - 1) - 1
            if room >= 0:
                yield from ((stride, padding, dilation) for stride in range(1, 2 * room + 40) if room // stride + 1 == count)


@pytest.mark.parametrize("size", range(1, 8))
def test_windows_of_convolutions(size: int) -> None:
    """Of one axis: the setting that is taken gives the captured count, is the first that does, and certain if all give the same now."""
    for kernel, count in itertools.product(range(1, 5), range(1, 8)):
        every = list(all_windows(size, kernel, count))
        for now in (size, size + 1, size + 2, 2 * size, 3 * size + 1, max(1, size - 1)):
            before, after = ({"in": (2, 3, extent), "weight": (11, 3, kernel)} for extent in (size, now))
            answer = asked("conv1d", before, after, {"out": (2, 11, count)})
            if not every:
                assert not answer.alternatives
                continue
            counts = {(now + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for stride, padding, dilation in every}
            stride, padding, dilation = min(every, key=lambda setting: (setting[2], setting[1], setting[0]))
            likely = (now + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            if now == size:
                likely, counts = count, {count}
            shapes = [alternative.shapes[0] for alternative in answer.alternatives]
            assert shapes == ([(2, 11, likely)] if likely > 0 else []), (size, kernel, count, now)
            assert answer.guessed or len(counts) == 1, (size, kernel, count, now, counts)
            if kernel == 1 and count > 1:
                assert answer.guessed == (len(counts) > 1)


@pytest.mark.parametrize("count", [1, 2, 40, 99, 1000, 2**40])
@pytest.mark.parametrize("kernel", [2, 3, 4, 7, 2**30, 2**30 + 1])
@pytest.mark.parametrize("size", [1, 2, 5, 32, 33, 2**40])
def test_some_window_falls_any_number_of_times(size: int, kernel: int, count: int) -> None:
    """Where the batch alone changes, however odd a convolution may be."""
    answer = asked(
        "conv1d", {"in": (2, 3, size), "weight": (11, 3, kernel)}, {"in": (6, 3, size), "weight": (11, 3, kernel)}, {"out": (2, 11, count)}
    )
    assert given_out(answer) == [(6, 11, count)]


@pytest.mark.parametrize(
    ("call", "now", "found"),
    [
        ((224, 7, 112), 384, 192),
        ((224, 3, 224), 300, 300),
        ((224, 3, 222), 300, 298),
        ((32, 3, 28), 64, 60),
        ((32768, 3, 16384), 65536, 32768),
    ],
    ids=["stride 2", "the same size", "no padding", "taps 2 apart", "a very large image"],
)
def test_the_likeliest_windows_of_a_convolution(call: Ints, now: int, found: int) -> None:
    size, kernel, count = call
    weight = (8, 3, kernel, kernel)
    before, after = ({"in": (1, 3, extent, extent), "weight": weight} for extent in (size, now))
    answer = asked("conv2d", before, after, {"out": (1, 8, count, count)})
    assert answer.guessed
    assert [alternative.shapes for alternative in answer.alternatives] == [((1, 8, found, found),)]


def test_a_pointwise_convolution_tells_its_stride() -> None:
    before, after = ({"in": (1, 4, size, size), "weight": (8, 2, 1, 1)} for size in (32, 48))
    assert given_out(asked("conv2d", before, after, {"out": (1, 8, 16, 16)})) == [(1, 8, 24, 24)]


def test_channels_may_be_last() -> None:
    before, after = ({"in": (1, size, size, 4), "weight": (8, 1, 1, 2)} for size in (32, 48))
    assert given_out(asked("conv2d", before, after, {"out": (1, 32, 32, 8)}))[0] == (1, 48, 48, 8)
    before, after = ({"x": (1, size, size, 4), "dy": (1, size, size, 8)} for size in (32, 48))
    assert given_out(asked("conv_filter_grad", before, after, {"filter_diff": (8, 3, 3, 4)})) == [(8, 3, 3, 4)]


def test_a_transposed_convolution_may_have_its_channels_last() -> None:
    """9 channels do not fall into groups of 2, so that 3 groups of 3 are the last axis: 9 positions of 4 by strides of 2."""
    before, after = ({"in": (batch, 4, 4, 6), "weight": (6, 2, 2, 3)} for batch in (1, 5))
    assert given_out(asked("deconv2d", before, after, {"out": (1, 9, 9, 9)})) == [(5, 9, 9, 9)]


@pytest.mark.parametrize(
    ("size", "kernel", "count", "now", "found"),
    [
        pytest.param(4, 2, 8, 6, 12, id="windows side by side"),
        pytest.param(4, 4, 8, 6, 12, id="windows that overlap, a margin of 1"),
        pytest.param(4, 3, 8, 6, 12, id="a margin of 1, and 1 put out"),
        pytest.param(4, 2, 9, 6, 13, id="1 put out"),
        pytest.param(1, 3, 3, 2, 6, id="of one position"),
        pytest.param(5, 3, 5, 8, 8, id="the same size"),
        pytest.param(5, 3, 2, 8, 5, id="smaller"),
    ],
)
def test_the_likeliest_windows_of_a_transposed_convolution(size: int, kernel: int, count: int, now: int, found: int) -> None:
    """Each position takes its share of the result: (now - 1) * stride - 2 * margin + kernel + what is put out."""
    before, after = ({"in": (1, 4, extent), "weight": (4, 2, kernel)} for extent in (size, now))
    answer = asked("deconv1d", before, after, {"out": (1, 2, count)})
    assert answer.guessed
    assert [alternative.shapes for alternative in answer.alternatives] == [((1, 2, found),)]


@pytest.mark.parametrize(
    ("op_type", "attrs"),
    [
        ("max_pool_2d", {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1), "dilation": (1, 1)}),
        (
            "tf_max_pool_2d",
            {"pool_size": (3, 3), "strides": (2, 2), "padding": "customized", "padding_before": (1, 1), "padding_after": (1, 1)},
        ),
    ],
)
def test_the_line_of_a_pooling_tells_its_windows(op_type: str, attrs: dict[str, AttrValue]) -> None:
    """Windows of 3, 2 apart, over 112 and its margins fall 56 times, over 113 57 times; of 2 side by side 56 times on either."""
    answer = asked(op_type, {"x": (1, 2, 112, 112)}, {"x": (1, 2, 113, 113)}, {"y": (1, 2, 56, 56)}, **attrs)
    assert [found.shapes for found in answer.alternatives] == [((1, 2, 57, 57),)]


@pytest.mark.parametrize("op_type", ["max_pool_1d", "avg_pool_1d", "tf_max_pool_1d"])
@pytest.mark.parametrize("last", [False, True])
def test_a_pooling_called_as_a_function(op_type: str, last: bool) -> None:
    """Where the batch changes all is known; where the axis does, windows side by side are taken, if there are such, and it is a guess."""
    for size, count, now in itertools.product(range(1, 10), range(1, 12), (3, 8, 9, 20)):
        before, after, captured = ((n, 2, m) for n, m in ((1, size), (4, now), (1, count)))
        if last:
            before, after, captured = ((n, m, c) for n, c, m in (before, after, captured))
        alone = asked(op_type, {"x": before}, {"x": (4, *before[1:])}, {"y": captured})
        assert (4, *captured[1:]) in given_out(alone)
        if now == size:
            continue
        answer = asked(op_type, {"x": before}, {"x": after}, {"y": captured})
        assert answer.guessed
        found = [shape[1 if last else 2] for alternative in answer.alternatives for shape in alternative.shapes if shape is not None]
        assert len(found) == 1 or now < size
        full = {now // kernel for kernel in range(1, size + 1) if size // kernel == count}
        assert not full or full.issuperset(found)


@pytest.mark.parametrize(
    ("size", "count", "now", "found"),
    [
        pytest.param(112, 56, 224, 112, id="halved"),
        pytest.param(111, 55, 223, 111, id="halved, the last one left out"),
        pytest.param(8, 3, 16, 7, id="windows of 3, 2 apart"),
        pytest.param(7, 4, 15, 8, id="halved, the last one not full"),
        pytest.param(7, 7, 9, 9, id="the same size"),
        pytest.param(7, 9, 8, 10, id="grown by padding"),
        pytest.param(9, 1, 20, 2, id="all of it"),
    ],
)
def test_the_likeliest_windows_of_a_pooling(size: int, count: int, now: int, found: int) -> None:
    answer = asked("max_pool_2d", {"x": (1, 2, 5, size)}, {"x": (1, 2, 5, now)}, {"y": (1, 2, 5, count)})
    assert answer.guessed
    assert [alternative.shapes for alternative in answer.alternatives] == [((1, 2, 5, found),)]


def test_rounding_of_a_pooling_module_is_taken_as_its_default_where_the_captured_size_does_not_tell() -> None:
    """10 and 5 are told by windows of 2 either way; of 11, a last one that is half full counts or not."""
    attrs: dict[str, AttrValue] = {"kernel_size": (2,), "stride": (2,), "padding": (0,), "dilation": (1,), "data_format": "channels_first"}
    answer = asked("max_pool_1d", {"x": (1, 2, 10)}, {"x": (1, 2, 11)}, {"y": (1, 2, 5)}, **attrs)
    assert (answer.guessed, [alternative.shapes for alternative in answer.alternatives]) == (True, [((1, 2, 5),)])
    assert given_out(asked("max_pool_1d", {"x": (1, 2, 10)}, {"x": (1, 2, 12)}, {"y": (1, 2, 5)}, **attrs)) == [(1, 2, 6)]
    assert given_out(asked("max_pool_1d", {"x": (1, 2, 11)}, {"x": (1, 2, 13)}, {"y": (1, 2, 6)}, **attrs)) == [(1, 2, 7)]


def test_a_window_is_rounded_up_where_one_of_two_axes_can_only_be_tiled_so() -> None:
    """4 become 2 by windows of 2 either way, 7 become 4 only with a last one that is not full: so 15 are 8."""
    answer = asked("max_pool_2d", {"x": (1, 2, 4, 7)}, {"x": (1, 2, 8, 15)}, {"y": (1, 2, 2, 4)})
    assert (answer.guessed, [alternative.shapes for alternative in answer.alternatives]) == (True, [((1, 2, 4, 8),)])


def test_scales_of_an_interpolation_that_are_told_are_enough() -> None:
    scales: dict[str, AttrValue] = {"height_scale": 2.0, "width_scale": 3.0, "data_format": "channels_first"}
    answer = asked("upsample_nearest_2d", {"x": (1, 2, 4, 4)}, {"x": (1, 2, 5, 6)}, {"y": (1, 2, 8, 12)}, **scales)
    assert given_out(answer) == [(1, 2, 10, 18)]


def test_of_layouts_that_both_fit_the_first_is_taken() -> None:
    """4 positions of 4 channels, a kernel of 4 over 4 channels: which axis is which, nothing tells."""
    answer = asked("conv1d", {"in": (1, 4, 4), "weight": (4, 4, 4)}, {"in": (1, 4, 8), "weight": (4, 4, 4)}, {"out": (1, 4, 4)})
    assert answer.guessed
    assert len(answer.alternatives) == 1


def test_windows_over_nothing_are_none() -> None:
    assert not asked(
        "conv_filter_grad", {"x": (1, 4, 5), "dy": (1, 8, 5)}, {"x": (2, 4, 5), "dy": (2, 8, 5)}, {"filter_diff": (8, 0, 3)}
    ).alternatives
    grown = asked("deconv1d", {"in": (1, 4, 0), "weight": (4, 2, 3)}, {"in": (5, 4, 0), "weight": (4, 2, 3)}, {"out": (1, 2, 2)})
    assert all(alternative.shapes == ((5, 2, 2),) for alternative in grown.alternatives)


@pytest.mark.parametrize(
    ("op_type", "operands", "result"),
    [
        ("conv1d", ("in", "weight"), "out"),
        ("deconv1d", ("in", "weight"), "out"),
        ("conv_filter_grad", ("x", "dy"), "filter_diff"),
        ("max_pool_1d", ("x",), "y"),
        ("upsample_linear_1d", ("x",), "y"),
    ],
)
def test_windows_need_an_axis_to_slide_along(op_type: str, operands: tuple[str, ...], result: str) -> None:
    view = OpView(op_type, {arg: (f32((2, 3)),) for arg in operands}, {result: (f32((2, 3)),)})
    readings = BOOK.by_type[op_type].readings
    assert readings is not None
    with pytest.raises(ValueError, match="at least 3"):
        list(readings(view, view))
