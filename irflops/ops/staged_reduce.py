"""Largest and smallest numbers over axes that lie on several devices: each device's first, then those of all; and their gradients."""

from __future__ import annotations

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import fold
from irflops.ops.op_view import OpView
from irflops.ops.readings import reduced
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, normal_axis, shaped_like
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work


def _axes(op: OpView, rank: int) -> set[int]:
    """The axes that are reduced, all where none is named."""
    return {normal_axis(axis, rank) for axis in op.ints("axis")} or set(range(rank))


def device_shape(op: OpView) -> Inferred:
    """Of a reduced axis a number for each device that it is split over, as its sbp tells; where the maximum stands, and how often."""
    shape = op.shape("in")
    if not op.ints("axis"):
        out: tuple[int | None, ...] = (1,) * len(shape)
    else:
        axes = _axes(op, len(shape))
        out = tuple(None if axis in axes else extent for axis, extent in enumerate(shape))
    return {"out": TensorType(out, op.input("in").dtype), "mask": TensorType(shape, DType.BOOL), "count": TensorType(out, DType.INT32)}


def device_cost(op: OpView) -> Work:
    """A reduction, a comparison of each number with the result, and those that are equal counted."""
    elements = op.numel("in")
    return Work(arithmetic=2 * fold(elements, op.numel("out")) + elements)


def device_grad_cost(op: OpView) -> Work:
    """Each gradient over how many share it, then given to those."""
    return Work(arithmetic=op.numel("out_diff") + op.numel("in_diff"))


def global_shape(op: OpView) -> Inferred:
    """The axes gone, or 1; which devices have the maximum."""
    shape = op.shape("in")
    if op.shape("device_count") != shape:
        raise ValueError(f"in {shape} and device_count {op.shape('device_count')} are not of one shape")
    axes, keep = _axes(op, len(shape)), op.flag("keepdims")
    out = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape) if keep or axis not in axes)
    if not op.ints("axis") and not keep:
        out = (1,)
    return {"out": TensorType(out, op.input("in").dtype), "mask": TensorType(shape, DType.BOOL)}


def global_cost(op: OpView) -> Work:
    """A reduction, and a comparison of each number with the result."""
    elements = op.numel("in")
    return Work(arithmetic=fold(elements, op.numel("out")) + elements)


def global_grad_cost(op: OpView) -> Work:
    """How many share a gradient added up over the devices that have the maximum; the gradient over that; given to each by its own count."""
    elements, results = op.numel("device_count"), op.numel("out_diff")
    return Work(arithmetic=elements + fold(elements, results) + results + op.numel("in_diff"))


def _both(name: str) -> tuple[str, str]:
    return f"reduce_max_{name}", f"reduce_min_{name}"


_SOURCE = "OneFlow's two_stage_reduce_ops.cpp and two_stage_reduce_kernel.cpp"

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=_both("device_stage"),
        summary="Each device's largest or smallest numbers, where they stand and how often.",
        formula="flops = 2 (numel(in) - numel(out)) + numel(in): the reduction, a comparison each, and a count",
        shape=device_shape,
        cost=device_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call="reduce_max_device_stage(in: f32[4,3], axis=[1]) -> out: f32[4,?], mask: bool[4,3], count: i32[4,?]",
                because="as many columns as devices share the axis",
                flops="unknown",
            ),
            Example(
                call="reduce_min_device_stage(in: f32[4,3], axis=[]) -> out: f32[1,1], mask: bool[4,3], count: i32[1,1]",
                because="11 comparisons, 12 with the result, 11 additions; 12 floats in; 4 + 12 + 4 bytes out",
                flops=34,
                bytes_read=48,
                bytes_written=20,
            ),
        ),
    ),
    OpRule(
        op_types=_both("device_stage_grad"),
        summary="A gradient shared by the numbers that are the largest or smallest.",
        formula="flops = numel(out_diff) quotients + numel(in_diff) products",
        shape=shaped_like("mask", "out_diff", "in_diff"),
        cost=device_grad_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call="reduce_max_device_stage_grad(out_diff: f32[4,1], mask: bool[4,3], count: i32[4,1], axis=[1]) -> in_diff: f32[4,3]",
                because="4 quotients, 12 products; 16 + 12 + 16 bytes in",
                flops=16,
                bytes_read=44,
                bytes_written=48,
            ),
        ),
    ),
    OpRule(
        op_types=_both("global_stage"),
        summary="The largest or smallest of what the devices found, and which of them have it.",
        formula="flops = numel(in) - numel(out) comparisons, and numel(in) with the result; device_count is kept for the gradient",
        shape=global_shape,
        readings=reduced("axis", "keepdims"),
        cost=global_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call="reduce_max_global_stage(in: f32[4,2], device_count: i32[4,2], axis=[1], keepdims=false) -> out: f32[4], "
                "mask: bool[4,2]",
                because="4 comparisons of two, 8 with the result; 32 + 32 bytes in, 16 + 8 out",
                flops=12,
                bytes_read=64,
                bytes_written=24,
            ),
            Example(
                call="reduce_min_global_stage(in: f32[4,2], device_count: i32[4,2], axis=[], keepdims=false) -> out: f32[1], "
                "mask: bool[4,2]",
                because="7 comparisons and 8 with the result",
                flops=15,
            ),
        ),
    ),
    OpRule(
        op_types=_both("global_stage_grad"),
        summary="A gradient shared by the devices that have the largest or smallest.",
        formula="flops = numel(device_count) products with mask, as many less numel(out_diff) additions, numel(out_diff) quotients, "
        "numel(in_diff) products",
        shape=shaped_like("mask", "out_diff", "in_diff"),
        cost=global_grad_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call="reduce_max_global_stage_grad(out_diff: f32[4], mask: bool[4,2], device_count: i32[4,2], axis=[1], keepdims=false) -> "
                "in_diff: f32[4,2]",
                because="8 products, 4 additions, 4 quotients, 8 products",
                flops=24,
                bytes_read=56,
                bytes_written=32,
            ),
        ),
    ),
)
