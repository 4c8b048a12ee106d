"""The counts of rules against loops that do the work on small shapes, one scalar operation at a time.

Every algorithm here is written out as its definition reads; what it does is tallied while it runs. No formula of a rule occurs.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irflops.ir.graph import Attrs, AttrValue, DType, TensorType
from irflops.ops import BOOK
from irflops.ops.op_view import OpView
from irflops.ops.work import Work

Shape = tuple[int, ...]
Index = tuple[int, ...]


class Tally:
    """Counts of the scalar operations done so far."""

    def __init__(self) -> None:
        self.macs = self.arithmetic = self.transcendentals = 0

    def work(self) -> Work:
        return Work(macs=self.macs, arithmetic=self.arithmetic, transcendentals=self.transcendentals)


class Scalar:
    """A number that tallies what is done to it; its value does not matter."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def _operate(self, _other: object) -> Scalar:
        self.tally.arithmetic += 1
        return self

    __add__ = __sub__ = __mul__ = __truediv__ = _operate

    def larger(self, other: Scalar) -> Scalar:
        """The larger of two: one comparison."""
        return self._operate(other)

    def root(self) -> Scalar:
        """The (inverse) square root: one transcendental."""
        self.tally.transcendentals += 1
        return self


def positions(shape: Iterable[int]) -> Iterator[Index]:
    """Every index of a tensor."""
    return itertools.product(*map(range, shape))


def total(values: Iterable[Scalar]) -> Scalar:
    """The sum, one addition between each two."""
    return functools.reduce(operator.add, values)


def mean(values: list[Scalar]) -> Scalar:
    """The sum over the count."""
    return total(values) / len(values)


def ruled(op_type: str, inputs: Mapping[str, Shape], results: Iterable[str], **attrs: AttrValue) -> tuple[dict[str, Shape], Work]:
    """Shapes of the results and the work, as the rule of the op type has them."""
    operands = {arg: [TensorType(shape, DType.FLOAT32)] for arg, shape in inputs.items()}
    rule = BOOK.by_type[op_type]
    inferred = rule.shape(OpView(op_type, operands, {arg: [TensorType()] for arg in results}, Attrs(attrs)))
    outputs = {arg: [t] if isinstance(t, TensorType) else list(t) for arg, t in inferred.items()}
    op = OpView(op_type, operands, outputs, Attrs(attrs))
    return {arg: op.shape(arg) for arg in outputs}, rule.cost(op)


def starts(size: int, kernel: int, stride: int, padding: int, dilation: int, *, ceil_mode: bool = False) -> list[int]:
    """Where windows start on an axis: inside the padded axis, whole unless `ceil_mode`, never in the padding behind."""
    end = size + padding
    last = (kernel - 1) * dilation
    found = [s for s in range(-padding, end, stride) if s + last < end]
    partly = [s for s in range(-padding, end, stride) if s + last >= end]
    if ceil_mode and partly and partly[0] - stride + last < end - 1 and partly[0] < end:
        found.append(partly[0])  # one more, where the whole ones leave something over
    return found


sizes = st.integers(1, 3)
windows = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.integers(5, 8))
"""kernel, stride, padding, dilation and size of an axis that holds the window."""
few = settings(max_examples=30, deadline=None)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[int, int, int, int, list[tuple[int, int, int, int, int]]]:
    """batch, groups, channels per group in and out, and one window per axis."""
    axes = draw(st.lists(windows, min_size=1, max_size=2))
    return draw(sizes), draw(sizes), draw(sizes), draw(sizes), axes


def _conv_attrs(axes: list[tuple[int, int, int, int, int]], groups: int, *, last: bool = False) -> dict[str, AttrValue]:
    kernel, stride, padding, dilation, _ = zip(*axes, strict=True)
    return {
        "kernel_size": kernel,
        "strides": stride,
        "padding_before": padding,
        "dilation_rate": dilation,
        "groups": groups,
        "data_format": "channels_last" if last else "channels_first",
    }


@given(convolutions(), st.booleans(), st.booleans())
@few
def test_conv(case: tuple[int, int, int, int, list[tuple[int, int, int, int, int]]], biased: bool, last: bool) -> None:
    batch, groups, c_in, c_out, axes = case
    kernel, size = [a[0] for a in axes], [a[4] for a in axes]
    out = [len(starts(n, k, s, p, d)) for k, s, p, d, n in axes]
    tally = Tally()
    for _n, _group, _filter in positions((batch, groups, c_out)):
        for _position in positions(out):
            accumulator = Scalar(tally)
            for _channel, *_tap in positions((c_in, *kernel)):
                tally.macs += 1
            if biased:
                accumulator + Scalar(tally)

    def layout(outer: int, channels: int, spatial: list[int]) -> Shape:
        return (outer, *spatial, channels) if last else (outer, channels, *spatial)

    inputs = {"in": layout(batch, groups * c_in, size), "weight": layout(groups * c_out, c_in, kernel)}
    if biased:
        inputs["bias"] = (groups * c_out,)
    shapes, work = ruled(f"conv{len(axes)}d", inputs, ["out"], **_conv_attrs(axes, groups, last=last))
    assert shapes == {"out": layout(batch, groups * c_out, out)}
    assert work == tally.work()


@given(convolutions(), st.integers(0, 1))
@few
def test_deconv_and_its_gradients(case: tuple[int, int, int, int, list[tuple[int, int, int, int, int]]], extra: int) -> None:
    batch, groups, c_in, c_out, axes = case
    kernel, size = [a[0] for a in axes], [a[4] for a in axes]
    written: list[set[int]] = [set() for _ in axes]
    tally = Tally()
    for _n, _group, _channel, *place in positions((batch, groups, c_in, *size)):
        for _filter, *tap in positions((c_out, *kernel)):
            tally.macs += 1
            for axis, (_, stride, padding, dilation, _) in enumerate(axes):
                written[axis].add(place[axis] * stride + tap[axis] * dilation - padding)
    spatial = [max(w) + 1 - padding + extra for w, (_, _, padding, _, _) in zip(written, axes, strict=True)]
    data, weight = (batch, groups * c_in, *size), (groups * c_in, c_out, *kernel)
    attrs = _conv_attrs(axes, groups)
    shapes, work = ruled(f"deconv{len(axes)}d", {"in": data, "weight": weight}, ["out"], output_padding=(extra,) * len(axes), **attrs)
    assert shapes == {"out": (batch, groups * c_out, *spatial)}
    assert work == tally.work()
    # Its filter gradient is a convolution's with the operands exchanged, its data gradient a convolution.
    shapes, work = ruled("conv_filter_grad", {"dy": data, "x": shapes["out"]}, ["filter_diff"], **attrs)
    assert shapes == {"filter_diff": weight}
    assert work == tally.work()


@given(convolutions())
@few
def test_conv_gradients(case: tuple[int, int, int, int, list[tuple[int, int, int, int, int]]]) -> None:
    batch, groups, c_in, c_out, axes = case
    kernel, size = [a[0] for a in axes], [a[4] for a in axes]
    out = [len(starts(n, k, s, p, d)) for k, s, p, d, n in axes]
    dy, x, weight = (batch, groups * c_out, *out), (batch, groups * c_in, *size), (groups * c_out, c_in, *kernel)
    spread, gathered, summed = Tally(), Tally(), Tally()
    for _gradient in positions(dy):
        for _channel, *_tap in positions((c_in, *kernel)):
            spread.macs += 1  # dx[where the tap was] += dy * weight
    for _weight in positions(weight):
        for _n, *_position in positions((batch, *out)):
            gathered.macs += 1  # filter_diff += dy * x[where the tap was]
    for _channel in range(groups * c_out):
        total(Scalar(summed) for _ in positions((batch, *out)))
    shapes, work = ruled("conv_data_grad", {"dy": dy, "filter": weight, "x_like": x}, ["dx"])
    assert (shapes, work) == ({"dx": x}, spread.work())
    shapes, work = ruled("conv_filter_grad", {"dy": dy, "x": x}, ["filter_diff"], **_conv_attrs(axes, groups))
    assert (shapes, work) == ({"filter_diff": weight}, gathered.work())
    shapes, work = ruled("conv_bias_grad", {"dy": dy}, ["bias_diff"], data_format="channels_first")
    assert (shapes, work) == ({"bias_diff": (groups * c_out,)}, summed.work())


extents = st.integers(0, 4)


@given(
    st.tuples(extents, extents, extents),
    st.tuples(st.booleans(), st.booleans()),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b", "both"]), max_size=2),
)
@few
def test_matmul(sizes: tuple[int, int, int], transposed: tuple[bool, bool], adds: bool, batch: list[str]) -> None:
    m, k, n = sizes
    out = (*([2] * len(batch)), m, n)
    tally = Tally()
    for _element in positions(out):
        for _ in range(k):
            tally.macs += 1
        if adds:
            Scalar(tally) + Scalar(tally)
    a = (*(2 if who != "b" else 1 for who in batch), *((k, m) if transposed[0] else (m, k)))
    b = (*(2 if who != "a" else 1 for who in batch), *((n, k) if transposed[1] else (k, n)))
    inputs = {"a": a, "b": b, **({"_add_to_output": out} if adds else {})}
    op_type = "broadcast_matmul" if a[:-2] != b[:-2] else "batch_matmul"
    shapes, work = ruled(op_type, inputs, ["out"], transpose_a=transposed[0], transpose_b=transposed[1])
    assert (shapes, work) == ({"out": out}, tally.work())
    tensors = {arg: [TensorType(shape, DType.FLOAT32)] for arg, shape in inputs.items()}
    printed = OpView(op_type, tensors, {"out": [TensorType(out, DType.FLOAT32)]})
    assert BOOK.by_type[op_type].cost(printed) == work


def test_matmul_that_no_k_explains() -> None:
    shapes = {"a": [TensorType((2, 3), DType.FLOAT32)], "b": [TensorType((4, 5), DType.FLOAT32)]}
    with pytest.raises(ValueError, match=r"\(2, 5\).*\(2, 3\).*\(4, 5\)"):
        BOOK.by_type["matmul"].cost(OpView("matmul", shapes, {"out": [TensorType((2, 5), DType.FLOAT32)]}))


@given(st.lists(extents, min_size=1, max_size=2), extents, extents)
@few
def test_broadcast_matmul_grad_b(leading: list[int], n: int, k: int) -> None:
    tally = Tally()
    for _weight in positions((n, k)):
        for _token in positions(leading):
            tally.macs += 1
    assert ruled("broadcast_matmul_grad_b", {"a": (*leading, n), "b": (*leading, k)}, ["out"]) == ({"out": (n, k)}, tally.work())


@given(sizes, st.lists(windows, min_size=1, max_size=2), st.booleans(), st.booleans())
@few
def test_pool(channels: int, axes: list[tuple[int, int, int, int, int]], ceil_mode: bool, average: bool) -> None:
    axes = [(k, s, min(p, k // 2), 1 if average else d, n) for k, s, p, d, n in axes]
    kernel, stride, padding, dilation, size = zip(*axes, strict=True)
    pooled = (1, channels, *(len(starts(n, k, s, p, d, ceil_mode=ceil_mode)) for k, s, p, d, n in axes))
    forward, backward = Tally(), Tally()
    for _element in positions(pooled):
        taps = [Scalar(forward) for _ in positions(kernel)]
        gradient = Scalar(backward)
        if average:
            mean(taps)
            gradient = gradient / len(taps)
            for _ in taps:
                Scalar(backward) + gradient
        else:
            functools.reduce(Scalar.larger, taps)
            Scalar(backward) + gradient
    x = (1, channels, *size)
    attrs: dict[str, AttrValue] = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "ceil_mode": ceil_mode,
        "data_format": "channels_first",
    }
    name = f"{'avg' if average else 'max'}_pool_{len(axes)}d"
    results = ["y"] if average else ["y", "indice"]
    if not average:
        attrs["dilation"] = dilation
    assert ruled(name, {"x": x}, results, **attrs) == (dict.fromkeys(results, pooled), forward.work())
    assert ruled(f"{name}_grad", {"dy": pooled, "x": x}, ["dx"], **attrs) == ({"dx": x}, backward.work())


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3), sizes)
@few
def test_adaptive_pool(axes: list[tuple[int, int]], channels: int) -> None:
    size, out = zip(*axes, strict=True)
    average, largest, backward = Tally(), Tally(), Tally()
    for _channel, *place in positions((channels, *out)):
        spans = [range(i * n // m, math.ceil((i + 1) * n / m)) for i, n, m in zip(place, size, out, strict=True)]
        taps = list(itertools.product(*spans))
        mean([Scalar(average) for _ in taps])
        functools.reduce(Scalar.larger, [Scalar(largest) for _ in taps])
        share = Scalar(backward) / len(taps)
        for _ in taps:
            Scalar(backward) + share
    x, y, d = (1, channels, *size), (1, channels, *out), len(axes)
    assert ruled(f"adaptive_avg_pool{d}d", {"x": x}, ["y"], output_size=out) == ({"y": y}, average.work())
    assert ruled(f"adaptive_max_pool{d}d", {"x": x}, ["y", "index"], output_size=out) == ({"y": y, "index": y}, largest.work())
    assert ruled(f"adaptive_avg_pool{d}d_grad", {"dy": y, "x": x}, ["dx"]) == ({"dx": x}, backward.work())


def _normalize(tally: Tally, count: int, affine: list[str], *, centred: bool) -> None:
    """One row: (x - mean) / sqrt(mean of squares + eps), * gamma, + beta."""
    row = [Scalar(tally) for _ in range(count)]
    if centred:
        average = mean(row)
        row = [x - average for x in row]
    inverse = (mean([x * x for x in row]) + Scalar(tally)).root()
    for x in row:
        y = x * inverse
        for _ in affine:
            y = y * Scalar(tally)  # a product for gamma, a sum for beta: one operation each


@given(sizes, sizes, st.integers(1, 5), st.sampled_from([[], ["gamma"], ["gamma", "beta"]]))
@few
def test_layer_and_group_and_rms_norm(batch: int, rows: int, row: int, affine: list[str]) -> None:
    centred, plain = Tally(), Tally()
    for _row in positions((batch, rows)):
        _normalize(centred, row, affine, centred=True)
        _normalize(plain, row, affine[:1], centred=False)
    x, statistics = (batch, rows, row), (batch, rows)
    stats = {"mean": statistics, "inv_variance": statistics}
    got = ruled("layer_norm", {"x": x, **dict.fromkeys(affine, (row,))}, ["y", *stats], begin_norm_axis=2)
    assert got == ({"y": x, **stats}, centred.work())
    assert ruled("group_norm", {"x": x, **dict.fromkeys(affine, (rows,))}, ["y", *stats], num_groups=rows)[1] == centred.work()
    got = ruled("rms_norm", {"x": x, **({"weight": (row,)} if affine else {})}, ["y", "inv_rms"], normalized_shape=(row,))
    assert got == ({"y": x, "inv_rms": statistics}, plain.work())


@given(sizes, sizes, st.integers(1, 4), st.booleans())
@few
def test_batch_norm(batch: int, channels: int, width: int, moving: bool) -> None:
    training, inference, backward = Tally(), Tally(), Tally()
    count = batch * width
    for _channel in range(channels):
        _normalize(training, count, ["gamma", "beta"], centred=True)
        for _statistic in range(2 if moving else 0):
            old, new = Scalar(training), Scalar(training)
            old * 0.9 + new * 0.1
        for _ in range(count):
            Scalar(inference) * Scalar(inference) + Scalar(inference)
        scalar = functools.partial(Scalar, backward)
        dy, normal = [scalar() for _ in range(count)], [(scalar() - scalar()) * scalar() for _ in range(count)]
        beta_diff, gamma_diff = total(dy), total(d * x for d, x in zip(dy, normal, strict=True))
        scale, shift_mean, scale_mean = scalar() * scalar(), beta_diff / count, gamma_diff / count
        for d, normalized in zip(dy, normal, strict=True):
            (d - shift_mean - normalized * scale_mean) * scale
    x, c = (batch, channels, width), (channels,)
    operands: dict[str, Shape] = {"x": x, **({"moving_mean": c, "moving_variance": c} if moving else {}), "gamma": c, "beta": c}
    shapes, work = ruled("normalization", operands, ["y", "mean", "inv_variance"], axis=1, training=True)
    assert (shapes, work) == ({"y": x, "mean": c, "inv_variance": c}, training.work())
    assert ruled("normalization", operands, ["y"], axis=1, training=False)[1] == inference.work()
    results = {"dx": x, "gamma_diff": c, "beta_diff": c}
    operands = {"dy": x, "x": x, "mean": c, "inv_variance": c, "gamma": c}
    assert ruled("normalization_grad", operands, results, axis=1) == (results, backward.work())


@given(sizes, sizes, st.integers(1, 5), st.booleans())
@few
def test_layer_norm_gradients(batch: int, rows: int, row: int, scaled: bool) -> None:
    data, params = Tally(), Tally()
    scalar = functools.partial(Scalar, data)
    for _row in positions((batch, rows)):
        normal = [(scalar() - scalar()) * scalar() for _ in range(row)]
        dy = [scalar() * scalar() if scaled else scalar() for _ in range(row)]
        first, second = mean(dy), mean([d * x for d, x in zip(dy, normal, strict=True)])
        for d, normalized in zip(dy, normal, strict=True):
            (d - first - normalized * second) * scalar()
    scalar = functools.partial(Scalar, params)
    for _parameter in range(row):
        total(scalar() for _ in positions((batch, rows)))
        total((scalar() - scalar()) * scalar() * scalar() for _ in positions((batch, rows)))
    x, statistics = (batch, rows, row), (batch, rows)
    operands = {"dy": x, "x": x, "mean": statistics, "inv_variance": statistics}
    results = {"beta_diff": (row,), "gamma_diff": (row,)}
    assert ruled("layer_norm_param_grad", operands, results, begin_params_axis=2) == (results, params.work())
    if scaled:
        operands["gamma"] = (row,)
    assert ruled("layer_norm_grad", operands, ["dx"], begin_norm_axis=2) == ({"dx": x}, data.work())


@pytest.mark.parametrize(
    ("mode", "taps", "axes"), [("linear_1d", 2, 1), ("bilinear_2d", 2, 2), ("trilinear_3d", 2, 3), ("bicubic_2d", 4, 2)]
)
def test_upsample(mode: str, taps: int, axes: int) -> None:
    forward, backward = Tally(), Tally()

    def interpolate(left: int) -> Scalar:
        if not left:
            return Scalar(forward)
        return total(interpolate(left - 1) * Scalar(forward) for _ in range(taps))

    def spread(gradient: Scalar, left: int) -> None:
        if not left:
            Scalar(backward) + gradient
            return
        for _ in range(taps):
            spread(gradient * Scalar(backward), left - 1)

    x, y = (1, 2, *[3] * axes), (1, 2, *[5] * axes)
    for _element in positions(y):
        interpolate(axes)
        spread(Scalar(backward), axes)
    assert ruled(f"upsample_{mode}", {"x": x}, ["y"], output_size=(5,) * axes) == ({"y": y}, forward.work())
    assert ruled(f"upsample_{mode}_grad", {"dy": y, "x": x}, ["dx"]) == ({"dx": x}, backward.work())
