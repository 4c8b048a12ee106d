"""Pooling to a given size, and its gradients."""

from __future__ import annotations

import math

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import one_per_element
from irflops.ops.op_view import OpView
from irflops.ops.readings import spatial_sizes
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, present, results_like
from irflops.ops.traffic import moves, touch_all
from irflops.ops.window import with_extents
from irflops.ops.work import Work


def adaptive_pool_shape(op: OpView) -> Inferred:
    """The spatial extents of `output_size`; its first one also stands for those that it does not have."""
    x, sizes = op.shape("x", at_least=3), op.ints("output_size")
    first = 1 if op.attrs.get("data_format") == "channels_last" else 2  # OneFlow 0.9.0 has no such attribute here
    axes = range(first, first + len(x) - 2)
    if not sizes:
        raise ValueError("output_size is empty")
    out = with_extents(x, axes, [sizes[i] if i < len(sizes) else sizes[0] for i in range(len(axes))])
    results = {"y": TensorType(out, op.input("x").dtype), "index": TensorType(out, DType.INT64)}
    return present(op, results)


def taps(data: tuple[int, ...], pooled: tuple[int, ...]) -> int:
    """Elements of all windows together, where window i of m over n elements is floor(i n / m) to ceil((i + 1) n / m).

    On one axis these are n + m - gcd(n, m): windows cover the n elements, and every inner border that is not whole, all but
    gcd(n, m) - 1 of the m - 1, lets two windows share an element. An axis that is not pooled has n windows of 1.
    """
    if len(data) != len(pooled):
        raise ValueError(f"{pooled} is not pooled from {data}")
    return math.prod(n + m - math.gcd(n, m) for n, m in zip(data, pooled, strict=True))


def adaptive_avg_pool_cost(op: OpView) -> Work:
    """A window of k takes k - 1 additions and a division."""
    return Work(arithmetic=taps(op.shape("x"), op.shape("y")))


def adaptive_max_pool_cost(op: OpView) -> Work:
    """A window of k takes k - 1 comparisons, an empty one none."""
    return Work(arithmetic=max(0, taps(op.shape("x"), op.shape("y")) - op.numel("y")))


def adaptive_avg_pool_grad_cost(op: OpView) -> Work:
    """A division per gradient and an addition per tap."""
    return Work(arithmetic=taps(op.shape("x"), op.shape("dy")) + op.numel("dy"))


def _by_dimensions(name: str, suffix: str = "") -> tuple[str, ...]:
    return tuple(f"{name}{d}d{suffix}" for d in (1, 2, 3))


_WINDOWS = "windows floor(i n / m) to ceil((i + 1) n / m) per axis: n + m - gcd(n, m) elements in all, multiplied over the axes"

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=_by_dimensions("adaptive_avg_pool"),
        summary="Mean over windows that divide the data evenly.",
        formula=f"flops = elements of all windows (k - 1 additions and a division for each); {_WINDOWS}",
        shape=adaptive_pool_shape,
        readings=spatial_sizes,
        cost=adaptive_avg_pool_cost,
        traffic=touch_all,
        source="docs/definitions.md; windows as in OneFlow's adaptive_pool_kernel_util.h",
        examples=(
            Example(
                call="adaptive_avg_pool2d(x: f32[2,3,7,7], output_size=[1,1]) -> y: f32[2,3,1,1]",
                macs=0,
                flops=294,
                transcendentals=0,
                bytes_read=1176,
                bytes_written=24,
                because="6 windows of 49: 48 additions and a division each",
            ),
            Example(
                call="adaptive_avg_pool1d(x: f32[1,2,5], output_size=[3]) -> y: f32[1,2,3]",
                flops=14,
                because="windows 0-2, 1-4 and 3-5 have 2, 3 and 2 elements; 2 channels",
            ),
            Example(
                call="adaptive_avg_pool2d(x: f32[1,1,4,3], output_size=[2]) -> y: f32[1,1,2,2]",
                flops=16,
                because="rows 2 + 2, columns 2 + 2 overlapping: 4 windows of 4",
            ),
            Example(
                call='adaptive_avg_pool3d(x: f32[1,2,2,2,5], data_format="channels_last", output_size=[1,1,1]) -> y: f32[1,1,1,1,5]',
                flops=40,
                because="channels last: 5 windows of 8",
            ),
            Example(
                call="adaptive_avg_pool2d(x: f32[1,4,6,6]) -> y: f32[1,4,6,6]",
                inferable=False,
                flops=144,
                because="a printed graph: windows of one element are still divided",
            ),
        ),
    ),
    OpRule(
        op_types=_by_dimensions("adaptive_max_pool"),
        summary="Maximum over windows that divide the data evenly, and its position.",
        formula=f"flops = elements of all windows - numel(y), k - 1 comparisons for each; {_WINDOWS}",
        shape=adaptive_pool_shape,
        readings=spatial_sizes,
        cost=adaptive_max_pool_cost,
        traffic=touch_all,
        source="docs/definitions.md; windows as in OneFlow's adaptive_pool_kernel_util.h",
        examples=(
            Example(
                call='adaptive_max_pool1d(x: f32[1,2,5], data_format="channels_first", output_size=[3]) -> y: f32[1,2,3], index: '
                "i64[1,2,3]",
                flops=8,
                bytes_written=72,
                because="windows of 2, 3 and 2 take 1 + 2 + 1 comparisons; 2 channels; values and positions",
            ),
        ),
    ),
    OpRule(
        op_types=_by_dimensions("adaptive_avg_pool", "_grad"),
        summary="Gradient of adaptive average pooling: each share of dy goes to the whole window.",
        formula=f"flops = numel(dy) divisions + elements of all windows; {_WINDOWS}; x gives a shape alone",
        shape=results_like("x", "dx"),
        cost=adaptive_avg_pool_grad_cost,
        traffic=moves(like=("x",)),
        examples=(
            Example(
                call="adaptive_avg_pool1d_grad(dy: f32[1,2,3], x: f32[1,2,5]) -> dx: f32[1,2,5]",
                flops=20,
                bytes_read=24,
                bytes_written=40,
                because="per channel 3 divisions and 2 + 3 + 2 additions",
            ),
        ),
    ),
    OpRule(
        op_types=_by_dimensions("adaptive_max_pool", "_grad"),
        summary="Gradient of adaptive max pooling: dy goes where each maximum was.",
        formula="flops = numel(dy) additions; x gives a shape alone",
        shape=results_like("x", "dx"),
        cost=one_per_element("dy"),
        traffic=moves(like=("x",)),
        examples=(
            Example(
                call="adaptive_max_pool1d_grad(dy: f32[1,2,3], x: f32[1,2,5], index: i64[1,2,3]) -> dx: f32[1,2,5]",
                flops=6,
                bytes_read=72,
                because="windows share elements, so each of the 6 gradients is added",
            ),
        ),
    ),
)
