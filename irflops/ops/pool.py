"""Pooling by a sliding window, and its gradients."""

from __future__ import annotations

import math

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import WorkRule, no_work, one_per_element
from irflops.ops.op_view import OpView
from irflops.ops.resize import unpooled
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, present, results_like
from irflops.ops.traffic import moves, touch_all
from irflops.ops.window import spatial_axes, window_count, with_extents
from irflops.ops.window_readings import pools
from irflops.ops.work import MissingAttribute, Work

_ARITHMETIC_UNKNOWN = Work(macs=0, arithmetic=None, transcendentals=0)


def _by_dimensions(name: str, suffix: str = "") -> tuple[str, ...]:
    """The op types of one pooling over 1, 2 and 3 dimensions."""
    return tuple(f"{name}_{d}d{suffix}" for d in (1, 2, 3))


def pool_shape(op: OpView) -> Inferred:
    """The ops called tf_ name their padding, the others list it."""
    return _named_padding_shape(op) if op.type.startswith("tf_") else _listed_padding_shape(op)


def _listed_padding_shape(op: OpView) -> Inferred:
    """As many positions as the window has; max pooling also gives where each maximum was."""
    x = op.shape("x", at_least=3)
    axes = spatial_axes(op, len(x))
    names = ("kernel_size", "stride", "padding", *(["dilation"] if "dilation" in op.attrs else []))
    windows = zip(axes, *(op.ints(name, length=len(axes)) for name in names), strict=True)
    counts = [window_count(x[axis], *window, ceil_mode=op.flag("ceil_mode")) for axis, *window in windows]
    return _results(op, with_extents(x, axes, counts))


def _named_padding_shape(op: OpView) -> Inferred:
    """Padding by name: `valid` none, `same_upper` and `same_lower` as much as every stride needs, `customized` as listed."""
    x = op.shape("x", at_least=3)
    axes, padding = spatial_axes(op, len(x)), op.attr("padding")
    counts = []
    windows = (op.ints(name, length=len(axes), least=1) for name in ("pool_size", "strides"))
    paddings = (op.ints(name, length=len(axes)) for name in ("padding_before", "padding_after"))
    for axis, kernel, stride, before, after in zip(axes, *windows, *paddings, strict=True):
        if padding in ("same_upper", "same_lower"):
            counts.append(-(-x[axis] // stride))
        elif padding == "valid":
            counts.append(window_count(x[axis], kernel, stride, 0))
        else:
            partly = stride - 1 if op.flag("ceil_mode") else 0  # a window that is not full counts as well
            counts.append(window_count(x[axis] + before + after + partly, kernel, stride, 0))
    return _results(op, with_extents(x, axes, counts))


def _results(op: OpView, shape: tuple[int, ...]) -> Inferred:
    results = {"y": TensorType(shape, op.input("x").dtype), "indice": TensorType(shape, DType.INT64)}
    return present(op, results)


def pool_cost(pooled: str, *, beyond: int) -> WorkRule:
    """A cost rule: as many operations as the window has taps, and `beyond`, per element of the argument `pooled`."""

    def cost(op: OpView) -> Work:
        name = "pool_size" if op.type.startswith("tf_") else "kernel_size"
        if name not in op.attrs:
            raise MissingAttribute(name, known=_ARITHMETIC_UNKNOWN)
        return Work(arithmetic=op.numel(pooled) * (math.prod(op.ints(name)) + beyond))

    return cost


def max_unpool_shape(op: OpView) -> Inferred:
    """The data that windows of x's extents come from at the least, or `output_size`."""
    x = op.shape("x", at_least=3)
    if op.flag("has_output_size"):
        return {"y": TensorType(op.ints("output_size"), op.input("x").dtype)}
    axes = range(2, len(x))
    windows = zip(axes, *(op.ints(name, length=len(axes)) for name in ("kernel_size", "stride", "padding")), strict=True)
    extents = [(x[axis] - 1) * stride - 2 * padding + kernel for axis, kernel, stride, padding in windows]
    return {"y": TensorType(with_extents(x, axes, extents), op.input("x").dtype)}


_ATTRS = 'data_format="channels_first", kernel_size=[3,3], stride=[2,2], padding=[1,1]'
_TF = 'data_format="channels_first", pool_size=[3,3], strides=[2,2], padding_before=[0,0], padding_after=[0,0], ceil_mode=false'

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=(*_by_dimensions("max_pool"), *_by_dimensions("maxpool"), *_by_dimensions("tf_max_pool")),
        summary="Maximum of a sliding window, and its position.",
        formula="flops = numel(y) * (k - 1) comparisons for a window of k; padded taps count; unknown where the form lacks the kernel",
        shape=pool_shape,
        readings=pools,
        cost=pool_cost("y", beyond=-1),
        traffic=touch_all,
        source="docs/definitions.md; shapes as in OneFlow's max_pool_kernel_util.cpp and operator_util.cpp",
        examples=(
            Example(
                call=f"max_pool_2d(x: f32[1,2,6,6], {_ATTRS}, dilation=[1,1], ceil_mode=false, return_indices=false) -> y: f32[1,2,3,3], "
                "indice: i64[1,2,3,3]",
                macs=0,
                flops=144,
                transcendentals=0,
                bytes_read=288,
                bytes_written=18 * 12,
                because="18 windows of 9, 8 comparisons each; values and 8-byte positions",
            ),
            Example(
                call='max_pool_1d(x: f32[1,1,6], data_format="channels_first", kernel_size=[3], stride=[2], padding=[0], dilation=[1], '
                "ceil_mode=true) "
                "-> y: f32[1,1,3], indice: i64[1,1,3]",
                flops=6,
                because="windows at 0, 2 and, half outside, 4: 3 x 2 comparisons",
            ),
            Example(
                call='max_pool_1d(x: f32[1,1,4], data_format="channels_first", kernel_size=[2], stride=[3], padding=[1], dilation=[1], '
                "ceil_mode=true) "
                "-> y: f32[1,1,2], indice: i64[1,1,2]",
                flops=2,
                because="windows at -1 and 2; a third, at 5, would start in the padding behind",
            ),
            Example(
                call='max_pool_3d(x: f32[1,5,5,5,2], data_format="channels_last", kernel_size=[2,2,2], stride=[1,1,1], padding=[0,0,0], '
                "dilation=[2,2,2], ceil_mode=false) -> y: f32[1,3,3,3,2], indice: i64[1,3,3,3,2]",
                flops=378,
                because="channels last: 54 windows of 8 taps that span 3, 7 comparisons each",
            ),
            Example(
                call="max_pool_2d(x: f32[1,2,6,6]) -> y: f32[1,2,3,3], indice: i64[1,2,3,3]",
                inferable=False,
                macs=0,
                flops="unknown",
                transcendentals=0,
                bytes_read=288,
                because="a functional pooling in a printed graph: windows of 2 and of 4 (padded by 1) give the same shape",
            ),
            Example(
                call=f'tf_max_pool_2d(x: f32[1,2,6,6], {_TF}, padding="same_upper") -> y: f32[1,2,3,3]',
                flops=144,
                because="18 windows of 9, 8 comparisons each",
            ),
            Example(
                call=f'tf_max_pool_2d(x: f32[1,2,6,6], {_TF}, padding="valid") -> y: f32[1,2,2,2]',
                flops=64,
                because="8 windows of 9, 8 comparisons each",
            ),
            Example(
                call='tf_max_pool_1d(x: f32[1,2,6], data_format="channels_first", pool_size=[3], strides=[2], padding_before=[1], '
                "padding_after=[0], "
                'ceil_mode=true, padding="customized") -> y: f32[1,2,3]',
                flops=12,
                because="7 padded positions hold 3 windows: 6 windows of 3, 2 comparisons each",
            ),
        ),
    ),
    OpRule(
        op_types=(*_by_dimensions("avg_pool"), *_by_dimensions("avgpool"), *_by_dimensions("tf_avg_pool")),
        summary="Mean of a sliding window.",
        formula="flops = numel(y) * k for a window of k: k - 1 additions and a division; padded taps count; unknown where the form lacks "
        "the kernel",
        shape=pool_shape,
        readings=pools,
        cost=pool_cost("y", beyond=0),
        traffic=touch_all,
        ignores="that a divisor without the padding differs at the border",
        source="docs/definitions.md; shapes as in OneFlow's avg_pool_kernel_util.cpp and operator_util.cpp",
        examples=(
            Example(
                call=f"avg_pool_2d(x: f32[1,2,6,6], {_ATTRS}, ceil_mode=false, count_include_pad=true, divisor_override=0) -> y: "
                "f32[1,2,3,3]",
                macs=0,
                flops=162,
                bytes_read=288,
                bytes_written=72,
                because="18 windows: 8 additions and a division each",
            ),
            Example(
                call=f"avg_pool_2d(x: f32[1,2,6,6], {_ATTRS}, ceil_mode=true, count_include_pad=false, divisor_override=3) -> y: "
                "f32[1,2,4,4]",
                flops=288,
                because="a fourth window starts on the last column; 32 windows of 9, the divisor changes nothing",
            ),
            Example(
                call="avg_pool_1d(x: f32[1,2,6]) -> y: f32[1,2,3]",
                inferable=False,
                macs=0,
                flops="unknown",
                because="a printed graph lacks the kernel",
            ),
        ),
    ),
    OpRule(
        op_types=(*_by_dimensions("max_pool", "_grad"), *_by_dimensions("maxpool", "_grad")),
        summary="Gradient of max pooling: dy goes where each maximum was.",
        formula="flops = numel(dy) additions, whatever the window; x (and y) gives a shape alone",
        shape=results_like("x", "dx"),
        cost=one_per_element("dy"),
        traffic=moves(like=("x", "y")),
        examples=(
            Example(
                call="max_pool_2d_grad(dy: f32[1,2,3,3], x: f32[1,2,6,6], indice: i64[1,2,3,3]) -> dx: f32[1,2,6,6]",
                macs=0,
                flops=18,
                bytes_read=18 * 12,
                bytes_written=288,
                because="windows overlap, so each of the 18 gradients is added; gradients and positions are read",
            ),
        ),
    ),
    OpRule(
        op_types=_by_dimensions("tf_max_pool", "_grad"),
        summary="Gradient of max pooling that looks for the maximum again.",
        formula="flops = numel(dy) * (k + 1) for a window of k: k comparisons of x with y and an addition",
        shape=results_like("x", "dx"),
        cost=pool_cost("dy", beyond=1),
        traffic=touch_all,
        examples=(
            Example(
                call=f'tf_max_pool_2d_grad(x: f32[1,2,6,6], y: f32[1,2,2,2], dy: f32[1,2,2,2], {_TF}, padding="valid") -> dx: f32[1,2,6,6]',
                flops=80,
                bytes_read=4 * (72 + 8 + 8),
                because="8 windows: 9 comparisons and an addition each",
            ),
            Example(
                call="tf_max_pool_1d_grad(x: f32[1,2,6], y: f32[1,2,3], dy: f32[1,2,3]) -> dx: f32[1,2,6]",
                macs=0,
                flops="unknown",
                because="a printed graph lacks the kernel; the shape is that of x",
            ),
        ),
    ),
    OpRule(
        op_types=(*_by_dimensions("avg_pool", "_grad"), *_by_dimensions("avgpool", "_grad"), *_by_dimensions("tf_avg_pool", "_grad")),
        summary="Gradient of average pooling: each share of dy goes to the whole window.",
        formula="flops = numel(dy) * (k + 1) for a window of k: a division and k additions; padded taps count; x (and y) gives a shape "
        "alone",
        shape=results_like("x", "dx"),
        cost=pool_cost("dy", beyond=1),
        traffic=moves(like=("x", "y")),
        examples=(
            Example(
                call=f"avg_pool_2d_grad(dy: f32[1,2,3,3], x: f32[1,2,6,6], {_ATTRS}, ceil_mode=false) -> dx: f32[1,2,6,6]",
                macs=0,
                flops=180,
                bytes_read=72,
                bytes_written=288,
                because="18 gradients: a division and 9 additions each",
            ),
            Example(
                call="avg_pool_2d_grad(dy: f32[1,2,3,3], x: f32[1,2,6,6]) -> dx: f32[1,2,6,6]",
                macs=0,
                flops="unknown",
                bytes_read=72,
                because="a printed graph lacks the kernel; the shape is that of x",
            ),
        ),
    ),
    OpRule(
        op_types=_by_dimensions("max_unpool"),
        summary="Each value back to where the maximum was, zeros elsewhere.",
        formula="no arithmetic: copies",
        shape=max_unpool_shape,
        resized=unpooled,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="max_unpool_2d(x: f32[1,2,3,3], indices: i64[1,2,3,3], kernel_size=[2,2], stride=[2,2], padding=[0,0], "
                "has_output_size=false) "
                "-> y: f32[1,2,6,6]",
                macs=0,
                flops=0,
                bytes_read=18 * 12,
                bytes_written=288,
                because="18 values and positions are read; the whole result, zeros included, is written",
            ),
            Example(
                call="max_unpool_1d(x: f32[1,2,3], indices: i64[1,2,3], has_output_size=true, output_size=[1,2,7]) -> y: f32[1,2,7]",
                flops=0,
                bytes_written=56,
                because="the size is given",
            ),
        ),
    ),
    OpRule(
        op_types=_by_dimensions("max_unpool", "_grad"),
        summary="Gradient of max_unpool: dy where the values went.",
        formula="no arithmetic: reads as many elements of dy as there are positions; x gives a shape alone",
        shape=results_like("x", "dx"),
        cost=no_work,
        traffic=moves(like=("x",), sized_as={"dy": "indices"}),
        examples=(
            Example(
                call="max_unpool_2d_grad(x: f32[1,2,3,3], indices: i64[1,2,3,3], dy: f32[1,2,6,6]) -> dx: f32[1,2,3,3]",
                flops=0,
                bytes_read=18 * 12,
                bytes_written=72,
                because="18 positions and the 18 gradients that they name",
            ),
        ),
    ),
)
