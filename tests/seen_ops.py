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
AXES = "norm_mode=0, norm_fct=1.0, onesided=true"
SHIFTED = "input: f32[2,4,5,6], offset: f32[2,24,4,4], weight: f32[4,2,2,3]"
STEPS = "stride_h=1, stride_w=1, pad_h=0, pad_w=0, dilation_h=1, dilation_w=1, groups=2, offset_groups=2"
PAIRS = 'self_interaction=true, output_padding=0, pooling="none"'
LSTM = "fused_lstm_cell(input_gates: f32[2,12], hidden_gates: f32[2,12], cx: f32[2,3]"
GRU = "fused_gru_cell(input_gates: f32[2,9], hidden_gates: f32[2,9], hx: f32[2,3]"
ROTARY = 'x_layout="BM(H3K)", output_layout="BMHK", mode="interval", tensor_index=1, k_size=4'
PAST = (
    'past_key_layout="BHMK", past_value_layout="BHMK", key_layout="BM(HK)", value_layout="BM(HK)", key_head_size=4) '
    "-> output_key: f16[?], output_value: f16[?]"
)
SLICES = ", ".join(
    [
        "num_heads=2",
        *(f"{arg}_hidden_slice_start={start}, {arg}_hidden_slice_end=-1" for arg, start in (("query", 4), ("key", 0), ("value", 1))),
    ]
)
SYMMETRIC, AFFINE, CAMBRICON = (
    f'quantization_formula="{formula}", quantization_scheme="{scheme}"'
    for formula, scheme in (("google", "symmetric"), ("google", "affine"), ("cambricon", "symmetric"))
)
