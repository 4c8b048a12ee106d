"""What rules refuse, in words, by hand."""

from __future__ import annotations

import pytest
from seen_ops import AFFINE, AXES, DECONV, FILTER_GRAD, FLASH, GRU, LSTM, PAIRS, PAST, ROTARY, SHIFTED, SLICES, STEPS, seen

BEYOND = SLICES.replace("value_hidden_slice_end=-1", "value_hidden_slice_end=9")
FIRST = 'data_format="channels_first"'
LAID = 'query_head_size=4, query_layout="BM(HK)", key_layout="BM(HK)", value_layout="BM(HK)", output_layout='
INFERENCE = "fused_multi_head_attention_inference(query: f16[1,2,12], "


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
        ("fft_c2c(input: c64[8], dims=[]) -> out: c64[?]", "one axis at least"),
        ("fft_c2c(input: c64[8], dims=[1]) -> out: c64[?]", "out of range"),
        (f"fft_r2c(input: f32[], dims=[0], {AXES}) -> out: c64[?]", "at least 1"),
        (f"fft_r2c(input: c64[8], dims=[0], {AXES}) -> out: c64[?]", "takes no input of complex64"),
        ("fft_c2r(input: c64[], dims=[0], last_dim_size=8) -> out: f32[?]", "at least 1"),
        ("fft_c2r(input: c64[5], dims=[0], last_dim_size=0) -> out: f32[?]", "at least 1"),
        ("stft(input: f32[3,8], onesided=true) -> output: f32[?]", "takes 3"),
        ("real(x: f32[2]) -> out: f32[?]", "takes no x of float32"),
        ("lu_decomposition(x: f32[4]) -> LU: f32[?], pivot: i32[?]", "at least 2"),
        ("det(x: f32[3,4]) -> y: f32[?]", "not of square matrices"),
        ("linalg_cross(input: f32[2,4], other: f32[2,4], dim=1) -> out: f32[?]", "not vectors of 3"),
        ("linalg_cross(input: f32[2,3], other: f32[1,3], dim=1) -> out: f32[?]", "not vectors of 3"),
        ("linalg_cross(input: f32[], other: f32[], dim=0) -> out: f32[?]", "at least 1"),
        ("ctc_loss(log_probs: f32[4,5], max_target_length=3) -> loss: f32[?], alpha: f32[?]", "takes 3"),
        ("ctc_loss(log_probs: f32[4,2,5], max_target_length=-1) -> loss: f32[?], alpha: f32[?]", "at least 0"),
        ("ctc_greedy_decoder(log_probs: f32[4,5], input_lengths: i64[2]) -> decoded: i64[?]", "takes 3"),
        (f"deform_conv2d({SHIFTED.replace('f32[4,2,2,3]', 'f32[4,1,2,3]')}, {STEPS}) -> out: f32[?]", "do not go together"),
        (f"deform_conv2d({SHIFTED.replace('24,4,4', '24,4,3')}, {STEPS}) -> out: f32[?]", "do not go together"),
        (f"deform_conv2d({SHIFTED}, {STEPS.replace('stride_h=1', 'stride_h=0')}) -> out: f32[?]", "at least 1"),
        (f"deform_conv2d({SHIFTED}, {STEPS.replace('dilation_w=1', 'dilation_w=0')}) -> out: f32[?]", "at least 1"),
        (f"deform_conv2d({SHIFTED}, {STEPS.replace(', groups=2', ', groups=0')}) -> out: f32[?]", "at least 1"),
        ("fused_dot_feature_interaction(features: [f32[2,3]], self_interaction=true) -> out: f32[?]", "takes 3"),
        (f"fused_dot_feature_interaction(features: [f32[2,1,4], f32[3,1,4]], {PAIRS}) -> out: f32[?]", "not of one batch"),
        (f"fused_dot_feature_interaction(features: [f32[2,1,4], f32[2,1,5]], {PAIRS}) -> out: f32[?]", "not of one batch"),
        (f"fused_dot_feature_interaction(features: [f32[2,1,4]], {PAIRS.replace('none', 'max')}) -> out: f32[?]", "called 'max'"),
        (f"fused_dot_feature_interaction(features: [f32[2,1,4]], {PAIRS.replace('=0', '=-1')}) -> out: f32[?]", "at least 0"),
        (f"fused_dot_feature_interaction(features: [f32[2,1,4]], output_concat: f32[2,1,3], {PAIRS}) -> out: f32[?]", "takes 2"),
        ("fused_cross_feature_interaction(x: f32[2,3], weight: f32[2,3], x0: f32[2,3]) -> out: f32[?]", "do not cross"),
        ("fused_cross_feature_interaction(x: f32[2,3], weight: f32[1,4], x0: f32[2,3]) -> out: f32[?]", "do not cross"),
        ("fused_cross_feature_interaction(x: f32[2,3], weight: f32[1,3], x0: f32[1,3]) -> out: f32[?]", "do not cross"),
        (f"quantization(in: f32[2,3], scale: f32[3], zero_point: f32[1], {AFFINE}) -> out: f32[?]", "scale .* does not go with in"),
        (f"quantization(in: f32[2,3], scale: f32[2], zero_point: f32[3], {AFFINE}) -> out: f32[?]", "zero_point .* does not go"),
        (f"quantization(in: f32[], scale: f32[2], zero_point: f32[1], {AFFINE}) -> out: f32[?]", "does not go with in"),
        (f"min_max_observer(in: f32[], {AFFINE}, per_layer_quantization=false) -> scale: f32[?]", "at least 1"),
        ("groupwise_dequantize(in: u8[], scale: f16[1], num_bits=8, group_dim=0, group_size=1) -> out: f16[?]", "at least 1"),
        ("groupwise_dequantize(in: u8[4], scale: f16[2], num_bits=0, group_dim=0, group_size=2) -> out: f16[?]", "at least 1"),
        ("groupwise_dequantize(in: u8[4], scale: f16[4], num_bits=8, group_dim=0, group_size=0) -> out: f16[?]", "at least 1"),
        ("groupwise_dequantize(in: u8[4], scale: f16[1], num_bits=8, group_dim=0, group_size=3) -> out: f16[?]", "not one for each 3"),
        ("groupwise_dequantize(in: u8[4,2], scale: f16[2], num_bits=8, group_dim=0, group_size=2) -> out: f16[?]", "not one for each"),
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY.replace('k_size=4', 'k_size=0')}) -> out: f16[?]", "at least 1"),
        (f"fused_attention_concat_past_key_value(key: f16[2,1,8], value: f16[2,1,8], past_key: f16[3,2,5,4], {PAST}", "past_key .* differ"),
        (f"fused_attention_concat_past_key_value(key: f16[2,1,8], value: f16[2,1,8], past_key: f16[2,3,5,4], {PAST}", "past_key .* differ"),
        (
            f"fused_attention_concat_past_key_value(key: f16[2,1,8], value: f16[2,1,8], past_value: f16[2,2,5,5], {PAST}",
            "past_value .* diff",
        ),
        (
            f"fused_attention_concat_past_key_value(key: f16[2,1,8], value: f16[2,1,8], {PAST.replace('size=4', 'size=0')}",
            "at least 1",
        ),
        (
            "fused_codegeex_qkv_reshape(query: f16[3,1,8], key: f16[3,1,8], value: f16[3,1,8], num_attention_heads=3) -> q: f16[?]",
            "3 heads",
        ),
        (
            "fused_codegeex_qkv_reshape(query: f16[3,1,8], key: f16[3,1,8], value: f16[3,1,8], num_attention_heads=0) -> q: f16[?]",
            "least 1",
        ),
        ("fused_codegeex_qkv_reshape(query: f16[3,8], key: f16[3,8], value: f16[3,8], num_attention_heads=2) -> q: f16[?]", "takes 3"),
        (f"{LSTM.replace('[2,12]', '[2,13]')}) -> hy: f32[?], cy: f32[?], workspace: f32[?]", "are not 4 gates"),
        (f"{LSTM.replace('cx: f32[2,3]', 'cx: f32[1,3]')}) -> hy: f32[?], cy: f32[?], workspace: f32[?]", "are not 4 gates"),
        (f"{GRU.replace('[2,9]', '[2,12]')}) -> hy: f32[?], workspace: f32[?]", "are not 3 gates"),
        ("nms(in: f32[4], iou_threshold=0.5, keep_n=-1) -> out: i8[?]", "takes 2"),
        ("reduce_max_global_stage(in: f32[4,2], device_count: i32[4,1], axis=[1], keepdims=false) -> out: f32[?]", "not of one shape"),
        ("mode(input: f32[]) -> values: f32[?], indices: i64[?]", "at least 1"),
        ("roc_auc_score(label: i32[4], pred: f32[5]) -> out: f32[?]", "not of one number"),
        (
            (
                'crop_mirror_normalize_from_uint8(in: u8[1,6,6,3], color_space="GRAY", output_layout="NCHW", crop_h=4, crop_w=4, '
                'output_dtype="float32") -> out: f32[?]'
            ),
            "has 3 channels",
        ),
        (
            (
                'crop_mirror_normalize_from_uint8(in: u8[1,6,6,3], color_space="RGB", output_layout="NCHW", crop_h=-1, crop_w=4, '
                'output_dtype="float32") -> out: f32[?]'
            ),
            "at least 0",
        ),
        (
            (
                'crop_mirror_normalize_from_tensorbuffer(in: ?[2], color_space="RGB", output_layout="NCHW", crop_h=4, crop_w=0, '
                'output_dtype="float32") -> out: f32[?]'
            ),
            "at least 1",
        ),
        (
            (
                'crop_mirror_normalize_from_tensorbuffer(in: ?[2], color_space="RGB", output_layout="CHWN", crop_h=4, crop_w=4, '
                'output_dtype="float32") -> out: f32[?]'
            ),
            "laid out as 'CHWN'",
        ),
        ("image_batch_align(in: ?[2], shape=[8,8], alignment=1) -> out: f32[?]", "3 values"),
        ("OFRecordReader(batch_size=-1) -> out: ?[?]", "at least 0"),
        ("tensor_to_tensor_buffer(in: f32[4,2], instance_dims=3) -> out: ?[?]", "no 3 axes"),
        ("tensor_to_tensor_buffer(in: f32[4,2], instance_dims=-1) -> out: ?[?]", "at least 0"),
        ('tensor_buffer_to_list_of_tensors(in: ?[2], out_shape=[3], out_dtype="float32") -> out: [f32[?]]', "2 buffers, and there are 1"),
        (
            'tensor_buffer_to_list_of_tensors_v2(in: ?[2], out_shapes=[[3],[2]], out_dtypes=["float32"]) -> out: [f32[?], f32[?]]',
            "not for 2 buffers",
        ),
        ("distributed_partial_fc_sample(weight: f32[], label: i32[8], num_sample=1) -> mapped_label: i32[?]", "at least 1"),
        ("distributed_partial_fc_sample(weight: f32[9], label: i32[], num_sample=1) -> mapped_label: i32[?]", "at least 1"),
        ("distributed_partial_fc_sample(weight: f32[9], label: i32[8], num_sample=-1) -> mapped_label: i32[?]", "at least 0"),
        ("dynamic_reshape_like(x: f32[4,8], like: i64[31]) -> y: f32[?]", "not as many elements"),
        ("unique_key_value_pair(keys: i64[4], num_tables=2) -> num_unique: i32[?]", "are not 2 columns"),
        ("unique_key_value_pair(keys: i64[4,3], num_tables=2) -> num_unique: i32[?]", "are not 2 columns"),
        ("unique_key_value_pair(keys: i64[5,2,2], num_tables=2) -> num_unique: i32[?]", "are not 2 columns"),
        ("unique_key_value_pair(keys: i64[4], num_tables=0) -> num_unique: i32[?]", "at least 1"),
        ("unique_key_value_pair(keys: i64[4], values: u8[3], num_tables=1) -> num_unique: i32[?]", "not of one shape"),
        ("one_embedding_gather(in: f32[8,3], indices: u32[4], embedding_size=0) -> out: f32[?]", "at least 1"),
        ("embedding_gradient_shuffle(embedding_grad: f32[0,3], inverse_unique_partition_indices: u32[0]) -> g: f32[?]", "no row"),
        ("embedding_gradient_shuffle(embedding_grad: f32[4,3], inverse_unique_partition_indices: u32[5]) -> g: f32[?]", "no row"),
        ('embedding_lookup(unique_ids: i64[4], dtype="float32", line_size=0) -> unique_values: f32[?]', "at least 1"),
        ("affine_grid(theta: f32[2,2,4], size=[2,1,4,5]) -> grid: f32[?]", "does not go with size"),
        ("affine_grid(theta: f32[2,4,5], size=[2,1,4,5,6,7]) -> grid: f32[?]", "does not go with size"),
        ("affine_grid(theta: f32[3,2,3], size=[2,1,4,5]) -> grid: f32[?]", "does not go with size"),
        ("affine_grid(theta: f32[2,2,3], size=[2,1,4]) -> grid: f32[?]", "4 values"),
        ("affine_grid(theta: f32[2,3], size=[2,1,4,5]) -> grid: f32[?]", "takes 3"),
        ("affine_grid_grad(dgrid: f32[2,5,2]) -> dtheta: f32[?]", "at least 4"),
        ("grid_sample(input: f32[1,2,5], grid: f32[1,3,1]) -> output: f32[?]", "at least 4"),
        ("grid_sample(input: f32[1,2,5,5], grid: f32[1,3,2]) -> output: f32[?]", "at least 4"),
        ("grid_sample(input: f32[1,2,5,5], grid: f32[1,3,3,3,2]) -> output: f32[?]", "does not point"),
        ("grid_sample(input: f32[1,2,5,5], grid: f32[1,3,3,3]) -> output: f32[?]", "does not point"),
        ("grid_sample(input: f32[1,2,5,5], grid: f32[2,3,3,2]) -> output: f32[?]", "does not point"),
        ("grid_sample(input: f32[1,2,5,5,5,5], grid: f32[1,3,3,3,3,4]) -> output: f32[?]", "does not point"),
        ("roi_align(x: f32[2,8,8], rois: f32[3,5], pooled_h=2, pooled_w=2) -> y: f32[?]", "takes 4"),
        ("roi_align(x: f32[1,2,8,8], rois: f32[3,4], pooled_h=2, pooled_w=2) -> y: f32[?]", "four corners"),
        ("roi_align(x: f32[1,2,8,8], rois: f32[15], pooled_h=2, pooled_w=2) -> y: f32[?]", "takes 2"),
        (f"{INFERENCE}key: f16[1,3,8], value: f16[1,4,7], {SLICES}) -> out: f16[?]", "do not go together"),
        (f"{INFERENCE}key: f16[1,3,10], value: f16[1,3,7], {SLICES}) -> out: f16[?]", "do not go together"),
        (f"{INFERENCE}key: f16[1,3,8], value: f16[1,3,8], {SLICES}) -> out: f16[?]", "does not hold 2 heads"),
        (f"{INFERENCE}key: f16[1,3,8], value: f16[1,3,1], {SLICES}) -> out: f16[?]", "does not hold 2 heads"),
        (f"{INFERENCE}key: f16[1,3,8], value: f16[1,3,7], {SLICES.replace('start=1', 'start=-1')}) -> out: f16[?]", "at least 0"),
        (
            f"{INFERENCE}key: f16[1,3,8], value: f16[1,3,7], {BEYOND}) -> out: f16[?]",
            "does not hold 2 heads",
        ),
        (f"{INFERENCE}key: f16[1,3,8], value: f16[1,3,7], {SLICES.replace('=2', '=0')}) -> out: f16[?]", "at least 1"),
        (f"{INFERENCE}key: f16[24], value: f16[1,3,7], {SLICES}) -> out: f16[?]", "takes 3"),
        (
            f'fused_multi_head_attention_inference(query: f16[1,2,8], key: f16[1,3,8], value: f16[1,3,8], {LAID}"BMHK") -> out: f16[?]',
            "laid out as 'BMHK'",
        ),
        ("fused_self_attention_query_mul_key_and_value(hidden_states: f32[2,1,12], head_size=0) -> value: f32[?]", "at least 1"),
        ("fused_self_attention_query_mul_key_and_value(hidden_states: f32[2,12], head_size=2) -> value: f32[?]", "takes 3"),
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY.replace('BMHK', 'BMXK')}) -> out: f16[?]", "laid out as 'BMXK'"),
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY.replace('BMHK', 'BMK')}) -> out: f16[?]", "laid out as 'BMK'"),
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY.replace('BMHK', '(BM)HK')}) -> out: f16[?]", "laid out as"),
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY.replace('BMHK', 'BM(HK')}) -> out: f16[?]", "laid out as"),
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY.replace('BM(H3K)', 'BMHK')}) -> out: f16[?]", "is not laid out as BMHK"),
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY.replace('BM(H3K)', 'BHK')}) -> out: f16[?]", "does not tell"),
        (
            'unfold(x: f32[2,3], data_format="channels_first", kernel_size=[], strides=[], padding=[], dilation_rate=[]) -> y: f32[?]',
            "at least 3",
        ),
        (
            "fold(x: f32[8,4], output_size=[3,3], kernel_size=[2,2], strides=[1,1], padding=[0,0], dilation_rate=[1,1]) -> y: f32[?]",
            "takes 3",
        ),
        (
            "fold(x: f32[1,8,4], output_size=[3,3], kernel_size=[2,0], strides=[1,1], padding=[0,0], dilation_rate=[1,1]) -> y: f32[?]",
            "at least 1",
        ),
        (
            'same_padding(x: f32[1,2], kernel_size=[], strides=[], dilation_rate=[], data_format="channels_first") -> y: f32[?]',
            "at least 3",
        ),
        (
            'same_padding(x: f32[1,2,7], kernel_size=[3], strides=[0], dilation_rate=[1], data_format="channels_first") -> y: f32[?]',
            "at least 1",
        ),
        (
            'same_padding(x: f32[1,2,7], kernel_size=[3,3], strides=[1], dilation_rate=[1], data_format="channels_first") -> y: f32[?]',
            "1 values",
        ),
        ("cublas_fused_mlp(x: f32[], weights: [f32[4,3]]) -> out: f32[?]", "at least 1"),
        ("cublas_fused_mlp(x: f32[2,3], weights: [f32[4]]) -> out: f32[?]", "takes 2"),
        ("grouped_matmul_bias(xs: [f32[2,3]], weights: [f32[4,3], f32[4,3]]) -> ys: [f32[?]]", "1 xs do not go with 2 weights"),
        ("grouped_matmul_bias(xs: [f32[]], weights: [f32[4,3]]) -> ys: [f32[?]]", "at least 1"),
        ("fused_linear_with_groupwise_quantized_weight(x: f16[5,16], w: u8[3,8], num_bits=0) -> out: f16[?]", "at least 1"),
        ("diagonal(in: f32[3], offset=0) -> out: f32[?]", "at least 2"),
        ('arange(integer_start=3, integer_limit=10, integer_delta=0, dtype="int64") -> out: i64[?]', "step of arange is 0"),
        ('arange(float_start=3.0, float_limit=10.0, float_delta=0.0, dtype="float32") -> out: f32[?]', "step of arange is 0"),
        (
            f"conv1d(in: f32[2,3], weight: f32[4,3], {FIRST}, groups=1, strides=[], padding_before=[], dilation_rate=[]) -> out: f32[?]",
            "at least 3",
        ),
        (
            f"conv1d(in: f32[2,3,5], weight: f32[4,3,1], {FIRST}, groups=0, strides=[1]) -> out: f32[?]",
            "at least 1",
        ),
        (f"deconv1d(in: f32[1,2], weight: f32[2,3], padding_before=[], {DECONV}) -> out: f32[?]", "at least 3"),
        (f"deconv1d(in: f32[1,2,5], weight: f32[3,3,1], padding_before=[0], {DECONV}) -> out: f32[?]", "does not go with weight"),
        (f"deconv1d(in: f32[1,2,5], weight: f32[2,3], padding_before=[0], {DECONV}) -> out: f32[?]", "does not go with weight"),
        (
            f"deconv1d(in: f32[1,2,5], weight: f32[2,3,1], padding_before=[0], {DECONV.replace('s=1', 's=0')}) -> out: f32[?]",
            "at least 1",
        ),
        (FILTER_GRAD.replace("groups=2", "groups=0"), "at least 1"),
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
        ("ctc_loss(log_probs: f32[4,2,5]) -> loss: f32[2], alpha: f32[2,7]", "takes 3"),
        (f"deform_conv2d({SHIFTED.replace('f32[2,24', 'f32[1,24')}, {STEPS}) -> out: f32[2,4,4,4]", "does not shift"),
        (f"deform_conv2d({SHIFTED.replace('f32[2,24', 'f32[2,25')}, {STEPS}) -> out: f32[2,4,4,4]", "does not shift"),
        (f"deform_conv2d({SHIFTED.replace('2,2,3]', '2,0,3]')}, {STEPS}) -> out: f32[2,4,4,4]", "does not shift"),
        (f"deform_conv2d({SHIFTED.replace('f32[2,4,5,6]', 'f32[2,4,30]')}, {STEPS}) -> out: f32[2,4,4,4]", "takes 4"),
        (f"quantization(in: f32[6], zero_point: f32[1], {AFFINE.replace('google', 'other')}) -> out: f32[6]", "'other', 'affine'"),
        (f"quantization(in: f32[6], zero_point: f32[1], {AFFINE.replace('affine', 'other')}) -> out: f32[6]", "'google', 'other'"),
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY}, rotary_size=5) -> out: f16[2,3,2,4]", "more than a head of 4"),
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY}, rotary_size=-1) -> out: f16[2,3,2,4]", "at least 0"),
        ('fused_glu_without_linear_grad(dy: f16[8], matmul_wx: f16[16], activation="erf") -> d_matmul_wx: f16[16]', "called 'erf'"),
        ('grid_sample(input: f32[1,1,5,5,5], interpolation_mode="bicubic") -> output: f32[1,1,1,1,1]', "over 3 axes is called 'bicubic'"),
        ('grid_sample(input: f32[1,1,5,5], interpolation_mode="cubic") -> output: f32[1,1,1,1]', "is called 'cubic'"),
        ('grid_sample(input: f32[1,1], interpolation_mode="nearest") -> output: f32[1,1]', "at least 3"),
    ],
)
def test_work_that_is_none_is_refused(call: str, words: str) -> None:
    rule, op = seen(call)
    with pytest.raises(ValueError, match=words):
        rule.cost(op)
