"""Operators as their rules see them, and parts of calls that several tests write."""

from __future__ import annotations

from irflops.ops import BOOK
from irflops.ops.op_view import OpView
from irflops.ops.rule import OpRule
from irflops.readers.notation.op_signature import read_call


def seen(call: str) -> tuple[OpRule, OpView]:
    """The rule of a call, and the operator."""
    read = read_call(call)
    return BOOK.by_type[read.op_type], OpView(read.op_type, read.inputs, read.outputs, read.attrs)


FLASH = "query: f16[1,2,4,8], key: f16[1,3,2,8], value: f16[1,3,2,8]"
FILTER_GRAD = (
    "conv_filter_grad(dy: f32[1,2,5,5], x: f32[1,4,5,5], groups=2, kernel_size=[1,1], strides=[1,1], padding_before=[0,0], "
    'dilation_rate=[1,1], data_format="channels_first", num_spatial_dims=2) -> filter_diff: f32[?]'
)
DECONV = 'data_format="channels_first", groups=1, strides=[1], output_padding=[0], dilation_rate=[1]'
