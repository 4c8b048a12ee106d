"""Padding and its gradients; windows of an image laid side by side (unfold) and put back (fold)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from irflops.ir.graph import TensorType
from irflops.ops.costs import no_work, one_per_element
from irflops.ops.op_view import OpView
from irflops.ops.readings import padded, spatially_padded
from irflops.ops.resize import baked
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule
from irflops.ops.traffic import Traffic, moves, touch_all
from irflops.ops.window import spatial_axes, window_count, with_extents

_PAD = "no arithmetic; reads x, writes y"


def _widened(shape: Sequence[int], widths: Sequence[int], sign: int) -> tuple[int, ...]:
    """Extents with (before, after) pairs from the last axis backwards added or, with sign -1, taken off."""
    axes = len(widths) // 2
    if axes > len(shape):
        raise ValueError(f"padding {tuple(widths)} has more axes than {tuple(shape)}")
    pairs = [widths[2 * i] + widths[2 * i + 1] for i in reversed(range(axes))]
    kept = len(shape) - axes
    return (*shape[:kept], *(extent + sign * width for extent, width in zip(shape[kept:], pairs, strict=True)))


def pad_shape(op: OpView) -> Inferred:
    """Every extent with what stands before and after it; negative widths cut."""
    shape = op.shape("x")
    before, after = (op.ints(name, length=len(shape)) for name in ("padding_before", "padding_after"))
    return {"y": TensorType(tuple(map(sum, zip(shape, before, after, strict=True))), op.input("x").dtype)}


def pad_grad_shape(op: OpView) -> Inferred:
    """Every extent without what stands before and after it."""
    shape = op.shape("dy")
    before, after = (op.ints(name, length=len(shape)) for name in ("padding_before", "padding_after"))
    return {"dx": TensorType(tuple(n - b - a for n, b, a in zip(shape, before, after, strict=True)), op.input("dy").dtype)}


def pad_traffic(op: OpView) -> Traffic:
    """x is read as far as y can hold it: whole where y is larger, what is left of it where y is smaller."""
    read = op.dtype("x").nbytes(min(op.numel("x"), op.numel("y")))
    return Traffic(reads={"x": read}, writes={"y": op.nbytes("y")})


def spatial_pad_shape(op: OpView) -> Inferred:
    """Padding in pairs, the last axis first."""
    return {"y": TensorType(_widened(op.shape("x"), op.ints("padding"), 1), op.input("x").dtype)}


def spatial_pad_grad_shape(op: OpView) -> Inferred:
    """The shape from before the padding."""
    return {"dx": TensorType(_widened(op.shape("dy"), op.ints("padding"), -1), op.input("dy").dtype)}


def same_padding_shape(op: OpView) -> Inferred:
    """As wide as a strided window needs to give ceil(extent / stride) results."""
    x = op.shape("x", at_least=3)
    axes = spatial_axes(op, len(x))
    lists = (op.ints(name, length=len(axes), least=1) for name in ("kernel_size", "strides", "dilation_rate"))
    windows = zip(axes, *lists, strict=True)
    reach = [(-(-x[axis] // stride) - 1) * stride + dilation * (kernel - 1) + 1 for axis, kernel, stride, dilation in windows]
    extents = [max(x[axis], needed) for axis, needed in zip(axes, reach, strict=True)]
    return {"y": TensorType(with_extents(x, axes, extents), op.input("x").dtype)}


def like_shape(arg: str) -> ShapeRule:
    """A shape rule: dx has the shape of an operand and the dtype of dy."""

    def shape(op: OpView) -> Inferred:
        return {"dx": TensorType(op.input(arg).shape, op.input("dy").dtype)}

    return shape


def _window_positions(op: OpView, extents: Sequence[int]) -> int:
    """Places of a window on an image of the given extents."""
    lists = (op.ints(name, length=len(extents)) for name in ("kernel_size", "strides", "padding", "dilation_rate"))
    return math.prod(window_count(*window) for window in zip(extents, *lists, strict=True))


def unfold_shape(op: OpView) -> Inferred:
    """(batch, channels * window, positions)."""
    shape = op.shape("x", at_least=3)
    last = op.attr("data_format") == "channels_last"
    channels, extents = (shape[-1], shape[1:-1]) if last else (shape[1], shape[2:])
    out = (shape[0], channels * math.prod(op.ints("kernel_size")), _window_positions(op, extents))
    return {"y": TensorType(out, op.input("x").dtype)}


def fold_shape(op: OpView) -> Inferred:
    """(batch, channels, output_size)."""
    shape, size, window = op.shape("x", rank=3), op.ints("output_size"), math.prod(op.ints("kernel_size", least=1))
    if shape[1] % window or shape[2] != _window_positions(op, size):
        raise ValueError(f"x {shape} does not hold the windows of {window} elements of an image {size}")
    return {"y": TensorType((shape[0], shape[1] // window, *size), op.input("x").dtype)}


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("pad",),
        summary="A tensor set into a larger one of a constant; negative widths cut.",
        formula=f"{_PAD}; x is read as far as y can hold it",
        shape=pad_shape,
        readings=padded,
        cost=no_work,
        traffic=pad_traffic,
        examples=(
            Example(
                call="pad(x: f32[1,2,4,4], padding_before=[0,0,1,1], padding_after=[0,0,1,2]) -> y: f32[1,2,6,7]",
                because="32 floats in, 84 out",
                flops=0,
                bytes_read=128,
                bytes_written=336,
            ),
            Example(
                call="pad(x: f32[2,6], padding_before=[0,-1], padding_after=[0,-2]) -> y: f32[2,3]",
                because="a cut: 6 floats each way",
                bytes_read=24,
                bytes_written=24,
            ),
        ),
    ),
    OpRule(
        op_types=("pad_grad",),
        summary="The gradient of pad: the part inside.",
        formula="no arithmetic; reads and writes numel(dx) elements",
        shape=pad_grad_shape,
        readings=padded,
        cost=no_work,
        traffic=moves(sized_as={"dy": "dx"}),
        examples=(
            Example(
                call="pad_grad(dy: f32[6,7], padding_before=[1,1], padding_after=[1,2]) -> dx: f32[4,4]",
                because="16 floats each way",
                flops=0,
                bytes_read=64,
                bytes_written=64,
            ),
        ),
    ),
    OpRule(
        op_types=(
            "constant_pad1d",
            "constant_pad2d",
            "constant_pad3d",
            "reflection_pad1d",
            "reflection_pad2d",
            "replication_pad1d",
            "replication_pad2d",
        ),
        summary="The spatial axes widened by a constant, by the mirror image or by the border.",
        formula=_PAD,
        shape=spatial_pad_shape,
        readings=spatially_padded("x", "y"),
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="reflection_pad2d(x: f32[1,2,4,4], padding=[1,2,3,0]) -> y: f32[1,2,7,7]",
                because="width 4 + 1 + 2, height 4 + 3 + 0; 32 floats in, 98 out",
                flops=0,
                bytes_read=128,
                bytes_written=392,
            ),
            Example(call="replication_pad1d(x: f32[1,2,4], padding=[1,1]) -> y: f32[1,2,6]", because="8 in, 12 out", bytes_read=32),
        ),
    ),
    OpRule(
        op_types=("constant_pad1d_grad", "constant_pad2d_grad", "constant_pad3d_grad"),
        summary="The gradient of constant padding: the part inside.",
        formula="no arithmetic; reads and writes numel(dx) elements",
        shape=spatial_pad_grad_shape,
        readings=spatially_padded("dx", "dy"),
        cost=no_work,
        traffic=moves(sized_as={"dy": "dx"}),
        examples=(
            Example(
                call="constant_pad1d_grad(dy: f32[1,2,6], padding=[1,1]) -> dx: f32[1,2,4]",
                because="8 floats each way",
                flops=0,
                bytes_read=32,
                bytes_written=32,
            ),
        ),
    ),
    OpRule(
        op_types=("reflection_pad1d_grad", "reflection_pad2d_grad", "replication_pad1d_grad", "replication_pad2d_grad"),
        summary="The gradient of mirrored or border padding: each element adds to where it came from.",
        formula="flops = numel(dy), one addition per element; reads dy, writes dx",
        shape=spatial_pad_grad_shape,
        readings=spatially_padded("dx", "dy"),
        cost=one_per_element("dy"),
        traffic=touch_all,
        examples=(
            Example(
                call="reflection_pad2d_grad(dy: f32[1,2,7,7], padding=[1,2,3,0]) -> dx: f32[1,2,4,4]",
                because="98 elements, added",
                flops=98,
                bytes_read=392,
                bytes_written=128,
            ),
        ),
    ),
    OpRule(
        op_types=("same_padding",),
        summary="Zeros around an image, so that a strided window gives ceil(extent / stride) results.",
        formula=_PAD,
        shape=same_padding_shape,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call='same_padding(x: f32[1,2,5,5], padding="same_lower", data_format="channels_first", kernel_size=[3,3], '
                "strides=[2,2], dilation_rate=[1,1]) -> y: f32[1,2,7,7]",
                because="3 windows of 3 at 0, 2, 4 reach 7; 50 floats in, 98 out",
                flops=0,
                bytes_read=200,
                bytes_written=392,
            ),
        ),
    ),
    OpRule(
        op_types=("same_padding_grad",),
        summary="The gradient of same_padding: the part inside.",
        formula="no arithmetic; reads and writes numel(dx) elements; x_like gives the shape alone",
        shape=like_shape("x_like"),
        cost=no_work,
        traffic=moves(like=("x_like",), sized_as={"dy": "dx"}),
        examples=(
            Example(
                call="same_padding_grad(x_like: f32[1,2,5,5], dy: f32[1,2,7,7]) -> dx: f32[1,2,5,5]",
                because="50 floats each way",
                flops=0,
                bytes_read=200,
                bytes_written=200,
            ),
        ),
    ),
    OpRule(
        op_types=("unfold",),
        summary="The windows of an image, a column each.",
        formula="no arithmetic; reads x once, writes y",
        shape=unfold_shape,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call='unfold(x: f32[1,2,4,5], data_format="channels_first", kernel_size=[3,3], padding=[0,0], strides=[1,1], '
                "dilation_rate=[1,1]) -> y: f32[1,18,6]",
                because="2 * 3 positions, 2 channels of 9; 40 floats in, 108 out",
                flops=0,
                bytes_read=160,
                bytes_written=432,
            ),
        ),
    ),
    OpRule(
        op_types=("fold",),
        summary="An image from its windows; where they overlap they add up.",
        formula="flops = numel(x), one addition per element; reads x, writes y",
        shape=fold_shape,
        resized=baked("output_size"),
        cost=one_per_element("x"),
        traffic=touch_all,
        examples=(
            Example(
                call='fold(x: f32[1,18,6], data_format="channels_first", output_size=[4,5], kernel_size=[3,3], padding=[0,0], '
                "strides=[1,1], dilation_rate=[1,1]) -> y: f32[1,2,4,5]",
                because="108 elements, added",
                flops=108,
                bytes_read=432,
                bytes_written=160,
            ),
        ),
    ),
)
