"""Deformable convolution: a convolution whose taps are read between pixels, where offsets say; and its gradients."""

from __future__ import annotations

import math

from irflops.ir.graph import TensorType
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, present
from irflops.ops.traffic import TrafficRule, moves
from irflops.ops.window import window_count
from irflops.ops.work import Work

_PLACE = 12
"""Operations for where a tap is read: on 2 axes the offset, floor, fraction and 1 - fraction; 4 weights of a product."""
_READ = 7
"""Operations to read a tap: 4 products, 3 additions."""


def _is_modulated(op: OpView) -> bool:
    """Whether taps are multiplied by a mask: where there is none, OneFlow hands over one of two axes, or, to the image's gradient, none."""
    if not op.inputs("mask"):
        return False
    if "use_mask" in op.attrs:
        return op.flag("use_mask")
    return len(op.shape("mask")) == 4


def _places_and_columns(op: OpView) -> tuple[int, int]:
    """Points that are read at, by image, offset group, tap and position; and numbers that are read, by channel instead of group."""
    offset, image, kernel = op.shape("offset", rank=4), op.shape("input", rank=4), op.shape("weight", rank=4)[2:]
    taps, positions = math.prod(kernel), offset[0] * math.prod(offset[2:])
    groups, rest = divmod(offset[1], 2 * taps) if taps else (0, 1)
    if rest or offset[0] != image[0]:
        raise ValueError(f"offset {offset} does not shift a kernel {kernel} over input {image}")
    return positions * taps * groups, positions * taps * image[1]


def deform_conv_shape(op: OpView) -> Inferred:
    """A convolution's."""
    image, weight, offset = op.shape("input", rank=4), op.shape("weight", rank=4), op.shape("offset", rank=4)
    extents = [
        window_count(
            extent, kernel, op.integer(f"stride_{axis}", least=1), op.integer(f"pad_{axis}"), op.integer(f"dilation_{axis}", least=1)
        )
        for axis, extent, kernel in zip("hw", image[2:], weight[2:], strict=True)
    ]
    if list(offset[2:]) != extents or image[1] != weight[1] * op.integer("groups", least=1):
        raise ValueError(f"input {image}, weight {weight} and offset {offset} do not go together")
    return {op.first_output: TensorType((image[0], weight[0], *extents), op.input("input").dtype)}


def deform_conv_cost(op: OpView) -> Work:
    """The taps read, and a convolution of what was read."""
    places, columns = _places_and_columns(op)
    arithmetic = places * _PLACE + columns * (_READ + _is_modulated(op))
    if op.inputs("bias"):
        arithmetic += op.numel(op.first_output)
    return Work(macs=_macs(op, op.first_output), arithmetic=arithmetic)


def _macs(op: OpView, result: str) -> int:
    """As a convolution: each element of the result meets every weight of its filter."""
    return op.numel(result) * math.prod(op.shape("weight", rank=4)[1:])


def input_grad_shape(op: OpView) -> Inferred:
    """Like what each gradient is for; the mask's has half as many channels as the offset."""
    offset = op.shape("offset", rank=4)
    results = {"input_grad": op.input("input"), "offset_grad": op.input("offset")}
    if op.outputs("mask_grad"):
        mask = (offset[0], offset[1] // 2, *offset[2:])
        return {**results, "mask_grad": TensorType(mask, op.input("mask").dtype)}
    return results


def input_grad_cost(op: OpView) -> Work:
    """The gradient of what was read, by a product as large as the convolution's; given to pixels, offsets and mask."""
    places, columns = _places_and_columns(op)
    modulated = _is_modulated(op)
    to_pixels, to_offset, to_mask = 8 + modulated, 2 * (_READ + 2 + modulated), (_READ + 2) * modulated
    return Work(macs=_macs(op, "output_grad"), arithmetic=places * _PLACE + columns * (to_pixels + to_offset + to_mask))


def param_grad_shape(op: OpView) -> Inferred:
    """Like the weight."""
    return present(op, {"weight_grad": TensorType(op.shape("weight"), op.input("input").dtype)})


def param_grad_cost(op: OpView) -> Work:
    """The taps read again, and a product as large as the convolution's."""
    places, columns = _places_and_columns(op)
    return Work(macs=_macs(op, "output_grad"), arithmetic=places * _PLACE + columns * (_READ + _is_modulated(op)))


def _without_unused(traffic: TrafficRule, used: TrafficRule) -> TrafficRule:
    """A traffic rule: a mask that is not used is not read."""
    return lambda op: used(op) if _is_modulated(op) else traffic(op)


_ATTRS = "stride_h=1, stride_w=1, pad_h=0, pad_w=0, dilation_h=1, dilation_w=1, groups=1, offset_groups=1"
_OPERANDS = "input: f32[1,2,4,4], offset: f32[1,8,3,3], weight: f32[3,2,2,2]"
_SOURCE = "Dai et al., arXiv 1703.06211; Zhu et al., arXiv 1811.11168; OneFlow's deform_conv_op.cpp, which calls the result output in 0.9.0"
_COLUMNS = "columns = images * channels * taps * positions, points = images * offset groups * taps * positions"

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("deform_conv2d",),
        contraction=True,
        summary="Convolution of taps that are read between pixels; padded positions count as work.",
        formula="macs = numel(output) * in_channels/groups * prod(kernel); flops = 2 * macs + 12 * points (where a tap lies and its 4 "
        f"weights) + 7 * columns (4 products, 3 additions), + columns for a mask, + numel(output) for a bias; {_COLUMNS}",
        shape=deform_conv_shape,
        cost=deform_conv_cost,
        traffic=_without_unused(moves(like=("mask",)), moves()),
        source=_SOURCE,
        examples=(
            Example(
                call=f"deform_conv2d({_OPERANDS}, bias: f32[3], mask: f32[1,4,3,3], {_ATTRS}, use_mask=true) -> output: f32[1,3,3,3]",
                because="27 results of 2 channels x 4 taps; 36 points of 12, 72 columns of 7 and a product by the mask; 27 biases; "
                "reads 32 + "
                "72 + 24 + 3 + 36 floats",
                macs=216,
                flops=432 + 432 + 576 + 27,
                transcendentals=0,
                bytes_read=668,
                bytes_written=108,
            ),
            Example(
                call=f"deform_conv2d({_OPERANDS}, mask: f32[1,1], {_ATTRS}, use_mask=false) -> out: f32[1,3,3,3]",
                because="no bias and no mask: one of two axes is a stand-in, and not read; as the definition names the result",
                macs=216,
                flops=432 + 432 + 504,
                bytes_read=512,
            ),
            Example(
                call=f"deform_conv2d({_OPERANDS}, mask: f32[1,1]) -> output: f32[1,3,3,3]",
                because="a printed graph: the mask's shape tells that it is a stand-in",
                macs=216,
                flops=432 + 432 + 504,
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("deform_conv2d_input_grad",),
        contraction=True,
        summary="Gradients of a deformable convolution for its image, its offsets and its mask.",
        formula="macs as the convolution; flops = 2 * macs + 12 * points + per column 8 for the pixels (4 products, 4 additions), 2 "
        "x 9 for "
        f"the offsets (a slope of 7, a product, an addition), with a mask 1 + 2 more, and 9 for its own gradient; {_COLUMNS}",
        shape=input_grad_shape,
        cost=input_grad_cost,
        traffic=_without_unused(moves(like=("mask",)), moves()),
        source=_SOURCE,
        examples=(
            Example(
                call=f"deform_conv2d_input_grad(output_grad: f32[1,3,3,3], {_OPERANDS}, mask: f32[1,1], {_ATTRS}, use_mask=false) -> "
                "input_grad: f32[1,2,4,4], offset_grad: f32[1,8,3,3]",
                because="72 columns of a product over 3 channels; 36 points of 12, 72 columns of 8 + 18; reads 27 + 32 + 72 + 24 floats",
                macs=216,
                flops=432 + 432 + 1872,
                bytes_read=620,
                bytes_written=416,
            ),
            Example(
                call=f"deform_conv2d_input_grad(output_grad: f32[1,3,3,3], {_OPERANDS}) -> input_grad: f32[1,2,4,4], "
                "offset_grad: f32[1,8,3,3]",
                because="a printed graph, as OneFlow 0.9.0 makes it without a mask: the same",
                macs=216,
                flops=432 + 432 + 1872,
                bytes_read=620,
            ),
            Example(
                call=f"deform_conv2d_input_grad(output_grad: f32[1,3,3,3], {_OPERANDS}, mask: f32[1,4,3,3], {_ATTRS}, use_mask=true) -> "
                "input_grad: f32[1,2,4,4], offset_grad: f32[1,8,3,3], mask_grad: f32[1,4,3,3]",
                because="9 + 20 a column, and 7 for what was read, a product and an addition for the mask",
                macs=216,
                flops=432 + 432 + 2736,
            ),
        ),
    ),
    OpRule(
        op_types=("deform_conv2d_param_grad",),
        contraction=True,
        summary="Gradient of a deformable convolution for its weight.",
        formula=f"macs as the convolution; flops = 2 * macs + 12 * points + 7 * columns, + columns for a mask; {_COLUMNS}; weight "
        "gives a shape",
        shape=param_grad_shape,
        cost=param_grad_cost,
        traffic=_without_unused(moves(like=("weight", "mask")), moves(like=("weight",))),
        source=_SOURCE,
        examples=(
            Example(
                call=f"deform_conv2d_param_grad(output_grad: f32[1,3,3,3], {_OPERANDS}, mask: f32[1,1], {_ATTRS}, use_mask=false) -> "
                "weight_grad: f32[3,2,2,2]",
                because="24 weights of 9 positions; 36 points of 12, 72 columns of 7; reads 27 + 32 + 72 floats",
                macs=216,
                flops=432 + 432 + 504,
                bytes_read=524,
                bytes_written=96,
            ),
        ),
    ),
)
