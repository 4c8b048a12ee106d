"""What rules refuse, in words, by hand."""

from __future__ import annotations

import pytest
from seen_ops import DECONV, FILTER_GRAD, FLASH, seen


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            f"scaled_dot_product_flash_attention({FLASH.replace('value: f16[1,3', 'value: f16[1,4')}) -> out: f16[1,2,4,8]",
            "do not go together",
        ),
        (f"scaled_dot_product_flash_attention({FLASH.replace('f16[1,3', 'f16[2,3')}) -> out: f16[1,2,4,8]", "do not go together"),
        (f"scaled_dot_product_flash_attention({FLASH.replace('2,8]', '2,9]')}) -> out: f16[1,2,4,8]", "do not go together"),
        (f"scaled_dot_product_flash_attention({FLASH.replace('2,8]', '3,8]')}) -> out: f16[1,2,4,8]", "do not go together"),
        (f"deconv1d(in: f32[1,2,1], weight: f32[2,3,1], padding_before=[1], {DECONV}) -> out: f32[?]", "leaves nothing"),
        ("fused_matmul_bias(x: f32[2,3], weight: f32[4,5], bias: f32[4]) -> out: f32[?]", "does not go with weight"),
        ("fused_matmul_bias(x: f32[2,3], weight: f32[3], bias: f32[4]) -> out: f32[?]", "does not go with weight"),
        ("flatten(in: f32[2,3,4], start_dim=2, end_dim=1) -> out: f32[?]", "start_dim 2 lies behind end_dim 1"),
        (
            "fused_self_attention_query_mul_key_and_value(hidden_states: f32[2,1,10], head_size=2) -> value: f32[?]",
            "heads of 3 x 2",
        ),
        ("reshape(in: f32[2,3], shape=[4,2]) -> out: f32[?]", "do not fill"),
        ("reshape(in: f32[2,3], shape=[-1,4]) -> out: f32[?]", "do not fill"),
        ("reshape(in: f32[2,3], shape=[0,-1]) -> out: f32[?]", "do not fill"),
        ("reshape(in: f32[2,3], shape=[-1,-1]) -> out: f32[?]", "more than one"),
        ("max_unpool_1d(x: f32[4,4], indices: i64[4,4], kernel_size=[], stride=[], padding=[]) -> y: f32[?]", "at least 3"),
        ("concat(in: [f32[2,3], f32[2,4]], axis=0) -> out: f32[?]", "differ elsewhere"),
        ("concat(in: [f32[2,3], f32[2,3,1]], axis=0) -> out: f32[?]", "differ elsewhere"),
        ("stack(in: [f32[2,3], f32[3,2]], axis=0) -> out: f32[?]", "to stack differ"),
        ("stack(in: [f32[2,3], f32[2,3]], axis=3) -> out: f32[?]", "out of range"),
        ("expand(in: f32[3,2], expand_shape=[3,4]) -> out: f32[?]", "does not expand"),
        ("expand(in: f32[3,2], expand_shape=[2]) -> out: f32[?]", "does not expand"),
        ("transpose(input: f32[2,3], perm=[0,0]) -> output: f32[?]", "no permutation"),
        ("narrow(in: f32[5,3], dim=0, start=2, length=4) -> out: f32[?]", "lie outside"),
        ("slice(x: f32[9,4], start=[1], stop=[9], step=[3]) -> y: f32[?]", "does not have the axes"),
        ("slice(x: f32[9], start=[1], stop=[9], step=[0]) -> y: f32[?]", "is 0"),
        ("slice(x: f32[9], start=[1], stop=[10], step=[1]) -> y: f32[?]", "lies outside"),
        ("matmul(a: f32[3], b: f32[3,4], transpose_a=false, transpose_b=false) -> out: f32[?]", "not matrices"),
        ("matmul(a: f32[2,3], b: f32[4,5], transpose_a=false, transpose_b=false) -> out: f32[?]", "inner extents are 3 and 4"),
        ("matmul(a: f32[7,2,3], b: f32[8,3,5], transpose_a=false, transpose_b=false) -> out: f32[?]", "different batches"),
        ("broadcast_matmul(a: f32[7,2,3], b: f32[8,3,5], transpose_a=false, transpose_b=false) -> out: f32[?]", "do not broadcast"),
        ("batch_gather(in: f32[2,5,3], indices: i64[3,4]) -> out: f32[?]", "differ in their batch"),
        ("gather_nd(params: f32[5,3], indices: i64[7,3]) -> out: f32[?]", "point deeper"),
        ("adaptive_avg_pool2d(x: f32[1,2,9,8], output_size=[]) -> y: f32[?]", "empty"),
        ("nll(input: f32[4,10], target: i64[5]) -> output: f32[?]", "classes last"),
        ("sparse_softmax_cross_entropy(prediction: f32[4,10], label: i64[5], depth=10) -> out: f32[?]", "classes last"),
        ("bias_add(a: f32[2,3], b: f32[2], axis=1) -> out: f32[?]", "does not fit axis"),
        ("bias_add(a: f32[2,3], b: f32[2], axis=2) -> out: f32[?]", "does not fit axis"),
        ("bias_add(a: f32[2,3], b: f32[3], axis=-1) -> out: f32[?]", "does not fit axis"),
        ("normalization(x: f32[2,3], gamma: f32[2], beta: f32[2], axis=1) -> y: f32[?]", "does not go with axis"),
        ("dot(x: f32[3], y: f32[4]) -> out: f32[?]", "do not go together"),
        ('conv_bias_grad(dy: f32[2,3], data_format="channels_first", num_spatial_dims=1) -> bias_diff: f32[?]', "at least 3"),
        (f"{FILTER_GRAD.replace('dy: f32[1,2', 'dy: f32[1,3')}", "do not split into 2 groups"),
        (f"{FILTER_GRAD.replace('x: f32[1,4', 'x: f32[1,5')}", "do not split into 2 groups"),
        (f"{FILTER_GRAD.replace('dy: f32[1,2,5,5]', 'dy: f32[1,2,5]')}", "do not split into 2 groups"),
        ("layer_norm(x: f32[2,3], begin_norm_axis=2) -> y: f32[?]", "out of range"),
        ("layer_norm(x: f32[2,3], begin_norm_axis=1, begin_params_axis=0) -> y: f32[?]", "differ"),
        ("layer_norm(x: f32[], begin_norm_axis=0) -> y: f32[?]", "at least 1"),
        ("layer_norm(x: f32[2,3], gamma: f32[2], begin_norm_axis=1) -> y: f32[?]", "does not go with x"),
        ("relu_grad(y: f32[2,3], dy: f32[3,2]) -> dx: f32[?]", "operands of one shape"),
        ("broadcast_matmul_grad_b(a: f32[2,3,4], b: f32[2,5,6]) -> out: f32[?]", "differ on an axis"),
        ("expand_dims(in: f32[2,3], axis=3) -> out: f32[?]", "out of range"),
        ("expand_dims(in: f32[2,3], axis=-4) -> out: f32[?]", "out of range"),
        ("gather(in: f32[5], indices: i64[2], axis=1) -> out: f32[?]", "out of range"),
        ("unfold_tensor(x: f32[9,2], dimension=0, size=10, step=2) -> y: f32[?]", "do not fit"),
        ("unfold_tensor(x: f32[9,2], dimension=0, size=9, step=0) -> y: f32[?]", "at least 1"),
        ("squeeze(in: f32[1,3], axes=[1]) -> out: f32[?]", "are not 1"),
        ("pad(x: f32[1,3], padding_before=[1], padding_after=[1,1]) -> y: f32[?]", "should have 2 values"),
        ("rms_norm(x: f32[2,3], weight: f32[2]) -> y: f32[?]", "does not end in"),
        ("rms_norm(x: f32[2,3], weight: f32[5,2,3]) -> y: f32[?]", "does not end in"),
        ("unpack(in: f32[5], unpack_num=2) -> out: f32[?]", "does not fall into 2 parts"),
        ("unpack(in: f32[], unpack_num=1) -> out: f32[?]", "does not fall into 1 parts"),
        ("upsample_bilinear_2d(x: f32[1,2,4,4], output_size=[3]) -> y: f32[?]", "does not go with x"),
        ("upsample_bilinear_2d(x: f32[4,4], output_size=[3,3]) -> y: f32[?]", "no 1 to 3 spatial axes"),
        (
            "fold(x: f32[1,9,4], output_size=[3,3], kernel_size=[2,2], strides=[1,1], padding=[0,0], dilation_rate=[1,1]) -> y: f32[?]",
            "hold",
        ),
        (
            "fold(x: f32[1,8,5], output_size=[3,3], kernel_size=[2,2], strides=[1,1], padding=[0,0], dilation_rate=[1,1]) -> y: f32[?]",
            "hold",
        ),
        ("softmax_cross_entropy(prediction: f32[2,3], label: f32[2,4]) -> prob: f32[?], out: f32[?]", "operands of one shape"),
        ("binary_cross_entropy_with_logits_reduce_mean(input: f32[2], target: f32[3]) -> out: f32[?]", "operands of one shape"),
        ("binary_cross_entropy_with_logits_reduce_mean_grad(input: f32[2], target: f32[3], dy: f32[]) -> dx: f32[?]", "of one shape"),
        ("diag(in: f32[1,2,3], diagonal=0) -> out: f32[?]", "neither a vector nor a matrix"),
        (
            (
                'conv2d(in: f32[1,4,5,5], weight: f32[2,2,3,3], data_format="channels_first", groups=2, strides=[1], '
                "padding_before=[0,0], dilation_rate=[1,1]) -> out: f32[?]"
            ),
            "shorter|longer|values",
        ),
        (
            (
                'conv2d(in: f32[1,4,5,5], weight: f32[2,3,3,3], data_format="channels_first", groups=2, strides=[1,1], '
                "padding_before=[0,0], dilation_rate=[1,1]) -> out: f32[?]"
            ),
            "does not go with weight",
        ),
        (
            (
                'conv2d(in: f32[1,4,2,5], weight: f32[2,2,3,3], data_format="channels_first", groups=2, strides=[1,1], '
                "padding_before=[0,0], dilation_rate=[1,1]) -> out: f32[?]"
            ),
            "does not fit",
        ),
        (
            (
                'conv2d(in: f32[1,4,5,5], weight: f32[2,2,3,3], data_format="channels_first", groups=2, strides=[0,1], '
                "padding_before=[0,0], dilation_rate=[1,1]) -> out: f32[?]"
            ),
            "stride 0",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(call: str, words: str) -> None:
    rule, op = seen(call)
    with pytest.raises(ValueError, match=words):
        rule.shape(op)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("adaptive_avg_pool2d(x: f32[1,2,9,8], output_size=[3]) -> y: f32[1,2,3]", "is not pooled from"),
        ('upsample(x: f32[1,2,4,4], interpolation="cubist") -> y: f32[1,2,8,8]', "no interpolation is called 'cubist'"),
        ("matmul(a: f32[2,3], b: f32[3,4], transpose_a=false, transpose_b=false) -> out: f32[5,4]", "is no product"),
    ],
)
def test_work_that_is_none_is_refused(call: str, words: str) -> None:
    rule, op = seen(call)
    with pytest.raises(ValueError, match=words):
        rule.cost(op)
