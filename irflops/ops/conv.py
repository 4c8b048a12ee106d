"""Convolutions, transposed convolutions and their gradients."""

from __future__ import annotations

import math

from irflops.ir.graph import TensorType
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, results_like
from irflops.ops.temporary import column_buffer
from irflops.ops.traffic import moves, touch_all
from irflops.ops.window import channel_axis, spatial_axes, window_count, with_extents
from irflops.ops.window_readings import convolutions, filter_gradients, transposed_convolutions
from irflops.ops.work import Work


def conv_shape(op: OpView) -> Inferred:
    """Spatial extents by the usual formula; `padding_before` pads both sides."""
    shape, weight = op.shape("in", at_least=3), op.shape("weight")
    channel, axes, groups = channel_axis(op, len(shape)), spatial_axes(op, len(shape)), op.integer("groups", least=1)
    if len(weight) != len(shape) or shape[channel] != weight[channel] * groups:
        raise ValueError(f"in {shape} does not go with weight {weight} and groups={groups}")
    kernel = [weight[axis] for axis in axes]
    lists = (op.ints(name, length=len(axes)) for name in ("strides", "padding_before", "dilation_rate"))
    windows = zip(axes, kernel, *lists, strict=True)
    extents = [window_count(shape[axis], *window) for axis, *window in windows]
    return {"out": TensorType(with_extents(shape, [channel, *axes], [weight[0], *extents]), op.input("in").dtype)}


def conv_cost(op: OpView) -> Work:
    """Each result element takes one multiply-accumulate per weight of its filter: numel(weight) / out_channels."""
    return Work(macs=op.numel("out") * math.prod(op.shape("weight")[1:]), arithmetic=_additions(op, "out"))


def deconv_shape(op: OpView) -> Inferred:
    """The input extents of the convolution that this is the gradient of, `output_padding` settling which."""
    shape, weight = op.shape("in", at_least=3), op.shape("weight")
    channel, axes, groups = channel_axis(op, len(shape)), spatial_axes(op, len(shape)), op.integer("groups", least=1)
    if len(weight) != len(shape) or shape[channel] != weight[0]:
        raise ValueError(f"in {shape} does not go with weight {weight}")
    lists = (op.ints(name, length=len(axes)) for name in ("strides", "padding_before", "output_padding", "dilation_rate"))
    extents = []
    for axis, stride, padding, extra, dilation in zip(axes, *lists, strict=True):
        extent = (shape[axis] - 1) * stride - 2 * padding + dilation * (weight[axis] - 1) + 1 + extra
        if extent <= 0 and shape[0]:
            raise ValueError(f"in {shape} padded by {padding} leaves nothing on axis {axis}")
        extents.append(extent)
    out = with_extents(shape, [channel, *axes], [weight[channel] * groups, *extents])
    return {"out": TensorType(out, op.input("in").dtype)}


def deconv_cost(op: OpView) -> Work:
    """Each operand element is multiplied into every weight that leaves its channel: numel(weight) / in_channels."""
    return Work(macs=op.numel("in") * math.prod(op.shape("weight")[1:]), arithmetic=_additions(op, "out"))


def conv_data_grad_cost(op: OpView) -> Work:
    """Each element of dy goes through its filter once, as in the forward op."""
    return Work(macs=op.numel("dy") * math.prod(op.shape("filter")[1:]), arithmetic=_additions(op, "dx"))


def conv_filter_grad_shape(op: OpView) -> Inferred:
    """A filter per channel of dy, over the channels of x in its group."""
    dy, x = op.shape("dy"), op.shape("x", at_least=3)
    channel, axes, groups = channel_axis(op, len(x)), spatial_axes(op, len(x)), op.integer("groups", least=1)
    if len(dy) != len(x) or x[channel] % groups or dy[channel] % groups:
        raise ValueError(f"dy {dy} and x {x} do not split into {groups} groups")
    filter_diff = with_extents(x, [0, channel, *axes], [dy[channel], x[channel] // groups, *op.ints("kernel_size")])
    return {"filter_diff": TensorType(filter_diff, op.input("x").dtype)}


def conv_filter_grad_cost(op: OpView) -> Work:
    """Each element of dy meets every weight of its filter once."""
    return Work(macs=op.numel("dy") * math.prod(op.shape("filter_diff")[1:]))


def conv_bias_grad_shape(op: OpView) -> Inferred:
    """One sum per channel."""
    dy = op.shape("dy", at_least=3)
    return {"bias_diff": TensorType((dy[channel_axis(op, len(dy))],), op.input("dy").dtype)}


def conv_bias_grad_cost(op: OpView) -> Work:
    """A reduction per channel; none over nothing."""
    return Work(arithmetic=max(0, op.numel("dy") - op.numel("bias_diff")))


def _additions(op: OpView, result: str) -> int:
    """Additions of a bias and of an operand that the result is added to."""
    return sum(op.numel(result) for arg in ("bias", "_add_to_output") if op.inputs(arg))


_ATTRS_2D = 'data_format="channels_first", padding_before=[0,0], strides=[1,1], dilation_rate=[1,1]'
_GRAD_2D = f"{_ATTRS_2D}, num_spatial_dims=2"

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("conv1d", "conv2d", "conv3d"),
        temporary=column_buffer("weight", "out"),
        overwrites={"out": "_add_to_output"},
        contraction=True,
        summary="Direct convolution; padded positions count as work.",
        formula="macs = numel(out) * in_channels/groups * prod(kernel); flops = 2 * macs, + numel(out) for a bias or _add_to_output",
        shape=conv_shape,
        readings=convolutions,
        cost=conv_cost,
        traffic=touch_all,
        ignores="whether a kernel takes a faster algorithm (Winograd, FFT)",
        source="docs/definitions.md; OneFlow's conv_op.cpp leaves groups out of its own estimate",
        examples=(
            Example(
                call=f"conv2d(in: f32[1,8,4,4], weight: f32[8,1,3,3], groups=8, {_ATTRS_2D}) -> out: f32[1,8,2,2]",
                macs=288,
                flops=576,
                bytes_read=800,
                bytes_written=128,
                because="depthwise: 32 outputs x 9 taps; reads 128 + 72 floats, writes 32",
            ),
            Example(
                call="conv2d(in: f32[1,4,5,5], weight: f32[6,2,3,3], bias: f32[6]) -> out: f32[1,6,3,3]",
                inferable=False,
                macs=972,
                flops=1998,
                bytes_read=4 * (100 + 108 + 6),
                because="a printed graph: 54 outputs, each over 2 of the 4 channels and 9 taps = 18 products, and one bias addition each",
            ),
            Example(
                call='conv1d(in: f16[2,10,3], weight: f16[5,3,3], groups=1, data_format="channels_last", padding_before=[2], strides=[2], '
                "dilation_rate=[2]) -> out: f16[2,5,5]",
                macs=450,
                flops=900,
                bytes_read=2 * (60 + 45),
                bytes_written=100,
                because="channels last: 14 padded positions hold 5 windows of span 5 at stride 2; 50 outputs x 3 channels x 3 taps",
            ),
            Example(
                call="conv3d(in: f32[1,2,3,3,3], weight: f32[4,2,2,2,2], _add_to_output: f32[1,4,2,2,2], groups=1, "
                'data_format="channels_first", '
                "padding_before=[0,0,0], strides=[1,1,1], dilation_rate=[1,1,1]) -> out: f32[1,4,2,2,2]",
                macs=512,
                flops=1056,
                because="32 outputs x 2 channels x 8 taps; 32 further additions",
            ),
        ),
    ),
    OpRule(
        op_types=("deconv1d", "deconv2d", "deconv3d"),
        temporary=column_buffer("weight", "in"),
        contraction=True,
        summary="Transposed convolution: the data gradient of a convolution, used forward.",
        formula="macs = numel(in) * out_channels/groups * prod(kernel); flops = 2 * macs; products that padding cuts off count",
        shape=deconv_shape,
        readings=transposed_convolutions,
        cost=deconv_cost,
        traffic=touch_all,
        source="docs/definitions.md",
        examples=(
            Example(
                call='deconv2d(in: f32[1,4,3,3], weight: f32[4,2,2,2], groups=1, data_format="channels_first", padding_before=[0,0], '
                "output_padding=[0,0], strides=[2,2], dilation_rate=[1,1]) -> out: f32[1,2,6,6]",
                macs=288,
                flops=576,
                bytes_read=4 * (36 + 32),
                bytes_written=288,
                because="windows do not overlap: each of the 72 outputs takes one product per channel, 4",
            ),
            Example(
                call='deconv1d(in: f32[1,4,3], weight: f32[4,3,3], groups=2, data_format="channels_first", padding_before=[1], '
                "output_padding=[1], strides=[2], dilation_rate=[1]) -> out: f32[1,6,6]",
                macs=108,
                because="each of the 12 operand elements makes 3 taps for each of the 3 output channels of its group; (3-1)*2 - 2 + 3 + "
                "1 = 6",
            ),
            Example(
                call="deconv2d(in: f32[2,16,12,12], weight: f32[16,8,2,2]) -> out: f32[2,8,24,24]",
                inferable=False,
                macs=147456,
                because="a printed graph: 9216 outputs of non-overlapping windows x 16 channels",
            ),
        ),
    ),
    OpRule(
        op_types=("conv_data_grad",),
        temporary=column_buffer("filter", "dy"),
        overwrites={"dx": "_add_to_output"},
        contraction=True,
        summary="Gradient of a convolution for its data; also a transposed convolution.",
        formula="macs = numel(dy) * in_channels/groups * prod(kernel), the forward op's; flops = 2 * macs, + numel(dx) for _add_to_output",
        shape=results_like("x_like", "dx"),
        cost=conv_data_grad_cost,
        traffic=moves(like=("x_like",)),
        source="docs/definitions.md",
        examples=(
            Example(
                call="conv_data_grad(dy: f32[1,8,2,2], filter: f32[8,1,3,3], x_like: f32[1,8,4,4]) -> dx: f32[1,8,4,4]",
                macs=288,
                flops=576,
                bytes_read=4 * (32 + 72),
                bytes_written=512,
                because="depthwise: each of the 32 gradients is spread over 9 taps; x_like gives a shape alone",
            ),
            Example(
                call="conv_data_grad(dy: f32[1,6,3,3], filter: f32[6,4,3,3], x_like: f32[1,4,5,5], _add_to_output: f32[1,4,5,5], "
                f"{_GRAD_2D}, "
                "kernel_size=[3,3], groups=1) -> dx: f32[1,4,5,5]",
                macs=1944,
                flops=3988,
                because="54 gradients x 36 weights; 100 additions to what is there",
            ),
        ),
    ),
    OpRule(
        op_types=("conv_filter_grad",),
        temporary=column_buffer("filter_diff", "dy"),
        contraction=True,
        summary="Gradient of a convolution for its filter; of a transposed one with dy and x exchanged.",
        formula="macs = numel(dy) * x_channels/groups * prod(kernel), the forward op's; flops = 2 * macs",
        shape=conv_filter_grad_shape,
        readings=filter_gradients,
        cost=conv_filter_grad_cost,
        traffic=touch_all,
        source="docs/definitions.md",
        examples=(
            Example(
                call=f"conv_filter_grad(dy: f32[1,8,2,2], x: f32[1,8,4,4], {_GRAD_2D}, kernel_size=[3,3], groups=8) -> filter_diff: "
                "f32[8,1,3,3]",
                macs=288,
                flops=576,
                bytes_read=4 * (32 + 128),
                bytes_written=288,
                because="depthwise: each of the 72 weights sums over the 4 positions of its channel",
            ),
            Example(
                call="conv_filter_grad(dy: f32[1,4,3,3], x: f32[1,2,6,6]) -> filter_diff: f32[4,2,2,2]",
                inferable=False,
                macs=288,
                because="a deconv2d's: dy is its operand, x its result's gradient; 32 weights x 9 positions, as many as forward",
            ),
            Example(
                call="conv_filter_grad(dy: f32[1,2,2,6], x: f32[1,4,4,3], num_spatial_dims=2, kernel_size=[3,3], groups=1, "
                'data_format="channels_last", '
                "padding_before=[0,0], strides=[1,1], dilation_rate=[1,1]) -> filter_diff: f32[6,3,3,3]",
                macs=648,
                because="162 weights x 4 positions",
            ),
        ),
    ),
    OpRule(
        op_types=("conv_bias_grad",),
        temporary=column_buffer("", "dy"),
        summary="Gradient of a convolution's bias: dy summed per channel.",
        formula="flops = numel(dy) - channels",
        shape=conv_bias_grad_shape,
        cost=conv_bias_grad_cost,
        traffic=touch_all,
        examples=(
            Example(
                call='conv_bias_grad(dy: f32[2,3,2,2], num_spatial_dims=2, data_format="channels_first") -> bias_diff: f32[3]',
                macs=0,
                flops=21,
                bytes_read=96,
                bytes_written=12,
                because="3 sums of 8 values take 7 additions each",
            ),
        ),
    ),
)
