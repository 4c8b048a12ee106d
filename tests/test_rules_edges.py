"""Rules at their edges, by hand: nothing at all, one of everything, the least rank, the last group."""

from __future__ import annotations

import pytest
from seen_ops import AFFINE, AXES, CAMBRICON, GRU, LSTM, PAIRS, ROTARY, SHIFTED, SLICES, STEPS, SYMMETRIC, seen

from irflops.ops.spectrum import factors, transform
from irflops.ops.work import MissingAttribute, MissingShape, Unknowable

MASK = "mask: f32[2,12,4,4]"
SUMMED = 'self_interaction=false, output_padding=0, pooling="sum"'
LSTM_GRAD = "fused_lstm_cell_grad(grad_hy: f32[2,3], grad_cy: f32[2,3], cx: f32[2,3], cy: f32[2,3], workspace: f32[2,12])"
GRU_GRAD = "fused_gru_cell_grad(grad_hy: f32[2,3], workspace: f32[2,15])"
DECAYED = (
    "one_embedding_smart_decay_sparse_adam_update(num_unique_ids: i32[1], unique_embeddings: f32[2,9], embedding_grad: f32[2,3], "
    "learning_rate: f32[1]"
)
LINEAR = "fused_linear_with_groupwise_quantized_weight(x: f16[5,16], w: u8[3,8]"
EVERY_SECOND = 'kernel_size=[3], strides=[2], data_format="channels_first"'
FIXED = "target_width=4, target_height=5, channels=3"


@pytest.mark.parametrize(
    ("call", "macs", "flops", "transcendentals"),
    [
        # Fourier transforms: 8 numbers take 3 stages of 4 butterflies of 10; 4 numbers 2 stages of 2; 5 numbers 24 + 40 + 96
        ("fft_c2c(input: c64[5], dims=[0]) -> out: c64[5]", 0, 160 + 10, 0),
        ("fft_c2c(input: c64[3,0], dims=[1]) -> out: c64[3,0]", 0, 0, 0),
        ("fft_c2c(input: c64[0,8], dims=[1]) -> out: c64[0,8]", 0, 0, 0),
        (f"fft_r2c(input: f32[8], dims=[0], {AXES}) -> out: c64[5]", 0, 60 + 10, 0),
        # 4 real lines of 60, 5 complex ones of 40, 20 factors
        (f"fft_r2c(input: f32[4,8], dims=[0,1], {AXES}) -> out: c64[4,5]", 0, 240 + 200 + 40, 0),
        (f"fft_r2c(input: f32[3,0], dims=[1], {AXES}) -> out: c64[3,1]", 0, 6, 0),
        ("fft_c2r(input: c64[5], dims=[0], last_dim_size=8) -> out: f32[8]", 0, 60 + 8, 0),
        ("fft_c2r(input: c64[4,5], dims=[0,1], last_dim_size=8) -> out: f32[4,8]", 0, 240 + 200 + 32, 0),
        ("stft(input: f32[2,3,5], onesided=false) -> output: f32[2,5,3,2]", 0, 6 * 80 + 60, 0),
        # Matrices of 4: 3 + 2 + 1 comparisons and quotients, 9 + 4 + 1 entries of 2
        ("lu_decomposition(x: f32[4,4]) -> LU: f32[4,4], pivot: i32[4]", 0, 40, 0),
        ("lu_decomposition(x: f32[1,1]) -> LU: f32[1,1], pivot: i32[1]", 0, 0, 0),
        ("det(x: f32[5,4,4]) -> y: f32[5]", 0, 5 * 43, 0),
        ("det(x: f32[0,0]) -> y: f32[]", 0, 0, 0),
        ("linalg_cross(input: f32[3], other: f32[3], dim=0) -> out: f32[3]", 0, 9, 0),
        # Alignments: without a second step 6 and 3 for each of two samples; 14 cells, 10 labels backwards
        ("ctc_loss(log_probs: f32[1,2,5], max_target_length=3) -> loss: f32[2], alpha: f32[2,1,7]", 0, 12, 6),
        ("ctc_loss(log_probs: f32[0,2,5], max_target_length=3) -> loss: f32[2], alpha: f32[2,0,7]", 0, 12, 6),
        ("ctc_loss_grad(log_probs: f32[1,2,5], alpha: f32[2,1,7]) -> grad: f32[1,2,5]", 0, 84 + 40, 42 + 20),
        # Two groups of offsets, 6 taps at 32 places: 384 points of 12, 768 numbers of 7; 128 results of 12 weights
        (f"deform_conv2d({SHIFTED}, {STEPS}) -> out: f32[2,4,4,4]", 1536, 3072 + 4608 + 5376, 0),
        (f"deform_conv2d({SHIFTED}, bias: f32[4], {MASK}, {STEPS}) -> out: f32[2,4,4,4]", 1536, 3072 + 4608 + 6144 + 128, 0),
        (f"deform_conv2d({SHIFTED}, {MASK}, {STEPS}, use_mask=false) -> out: f32[2,4,4,4]", 1536, 3072 + 4608 + 5376, 0),
        # 8 to the pixels, 2 x 9 to the offset; with a mask one more, 2 x 10, and 9 to the mask
        (f"deform_conv2d_input_grad(output_grad: f32[2,4,4,4], {SHIFTED}, {STEPS}) -> input_grad: f32[2,4,5,6]", 1536, 27648, 0),
        (f"deform_conv2d_input_grad(output_grad: f32[2,4,4,4], {SHIFTED}, {MASK}, {STEPS}) -> input_grad: f32[2,4,5,6]", 1536, 36864, 0),
        (f"deform_conv2d_param_grad(output_grad: f32[2,4,4,4], {SHIFTED}, {MASK}, {STEPS}) -> weight_grad: f32[4,2,2,3]", 1536, 13824, 0),
        # Three features of four numbers: 3 pairs and 3 of one with itself, for each of two samples
        (f"fused_dot_feature_interaction(features: [f32[2,3,4]], {PAIRS}) -> out: f32[2,6]", 48, 96, 0),
        (f"fused_dot_feature_interaction(features: [f32[2,0,4]], {SUMMED}) -> out: f32[2,4]", 0, 0, 0),
        (f"fused_dot_feature_interaction(features: [f32[2,3,4]], {SUMMED}) -> out: f32[2,4]", 0, 8 * 10, 0),
        (f"fused_dot_feature_interaction_grad(dy: f32[2,6], features: [f32[2,3,4]], {PAIRS}) -> features_grad: [f32[2,3,4]]", 72, 150, 0),
        (f"fused_dot_feature_interaction_grad(dy: f32[2,4], features: [f32[2,3,4]], {SUMMED}) -> features_grad: [f32[2,3,4]]", 0, 64, 0),
        (f"fused_dot_feature_interaction_grad(dy: f32[2,4], features: [f32[2,0,4]], {SUMMED}) -> features_grad: [f32[2,0,4]]", 0, 0, 0),
        # Gates: 6 cells; a bias is 4 sums a cell, or 3; gradients of biases 12, or 9 sums of two rows
        (f"{LSTM}, input_bias: f32[12]) -> hy: f32[2,3], cy: f32[2,3]", 0, 6 * 12, 30),
        (f"{LSTM_GRAD} -> grad_gates: f32[2,12], grad_cx: f32[2,3]", 0, 6 * 22, 6),
        (f"{LSTM_GRAD} -> grad_gates: f32[2,12], grad_bias: f32[12]", 0, 6 * 21 + 12, 6),
        (f"{GRU}, hidden_bias: f32[9]) -> hy: f32[2,3]", 0, 6 * 10, 18),
        (f"{GRU_GRAD} -> grad_input_gates: f32[2,9], grad_hx: f32[2,3]", 0, 6 * 16, 0),
        (f"{GRU_GRAD} -> grad_input_gates: f32[2,9], grad_hidden_bias: f32[9]", 0, 6 * 15 + 9, 0),
        # Heads of 4 that turn: 2 x 3 places, 2 heads; an angle for each pair of numbers and place
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY}, rotary_size=4) -> out: f16[2,3,2,4]", 0, 3 * 12 * 4 + 6, 12),
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY}, rotary_size=3) -> out: f16[2,3,2,4]", 0, 3 * 12 * 3 + 3, 6),
        (f"fused_apply_rotary_emb(x: f16[2,3,24], {ROTARY}, rotary_size=0) -> out: f16[2,3,2,4]", 0, 0, 0),
        # Linear layers: 2 x 12 and 2 x 20 products a row; 4 relus a row undone, 9 sums of rows
        ("cublas_fused_mlp_grad(dy: f32[1,5], x: f32[1,3], weights: [f32[4,3], f32[5,4]]) -> d_x: f32[1,3]", 64, 128 + 4, 0),
        ("cublas_fused_mlp_grad(dy: f32[2,5], x: f32[2,3], weights: [f32[4,3], f32[5,4]]) -> d_x: f32[2,3]", 128, 256 + 8 + 9, 0),
        ("cublas_fused_mlp_grad(dy: f32[0,5], x: f32[0,3], weights: [f32[4,3], f32[5,4]]) -> d_x: f32[0,3]", 0, 0, 0),
        # 48 weights of 4 bits, each scaled, and shifted where there is a zero; 15 biases
        (f"{LINEAR}, w_scale: f16[3,4], num_bits=4) -> out: f16[5,3]", 240, 480 + 48, 0),
        (f"{LINEAR}, w_scale: f16[3,4], w_zero: f16[3,4], b: f16[3], num_bits=4) -> out: f16[5,3]", 240, 480 + 96 + 15, 0),
        (f"{LINEAR.replace('[5,16]', '[2,5,16]')}, w_scale: f16[3,4], num_bits=4) -> out: f16[2,5,3]", 480, 960 + 48, 0),
        # Boxes: 3 for each area, 13 for each pair
        ("nms(in: f32[0,4], iou_threshold=0.5, keep_n=-1) -> out: i8[0]", 0, 0, 0),
        ("nms(in: f32[5,4], iou_threshold=0.5, keep_n=-1) -> out: i8[5]", 0, 15 + 130, 0),
        # Extremes in stages: 8 numbers to 4, or to one
        ("reduce_max_device_stage(in: f32[4,2], axis=[1]) -> out: f32[4,1], mask: bool[4,2], count: i32[4,1]", 0, 16, 0),
        (
            "reduce_max_global_stage(in: f32[4,2], device_count: i32[4,2], axis=[-1], keepdims=true) -> out: f32[4,1], mask: bool[4,2]",
            *(0, 12, 0),
        ),
        ("reduce_min_global_stage_grad(out_diff: f32[4], device_count: i32[4,2], axis=[1]) -> in_diff: f32[4,2]", 0, 24, 0),
        # Sorts: 5 numbers take 3 merges, 3 take 2, one none
        ("median(input: f32[5]) -> output: f32[]", 0, 15, 0),
        ("median(input: f32[1]) -> output: f32[]", 0, 0, 0),
        ("mode(input: f32[3]) -> values: f32[], indices: i64[]", 0, 6 + 4, 0),
        ("roc_auc_score(label: i32[5], pred: f32[5]) -> out: f32[1]", 0, 15 + 10 + 7, 0),
        ("roc_auc_score(label: i32[1], pred: f32[1]) -> out: f32[1]", 0, 9, 0),
        ("roc_auc_score(label: i32[0], pred: f32[0]) -> out: f32[1]", 0, 0, 0),
        # Images of 120 numbers
        (f'image_resize_to_fixed(in: ?[2], {FIXED}, interpolation_type="nn") -> out: u8[2,5,4,3]', 0, 0, 0),
        (f'image_resize_to_fixed(in: ?[2], {FIXED}, interpolation_type="nearest_neighbor") -> out: u8[2,5,4,3]', 0, 0, 0),
        (f'image_resize_to_fixed(in: ?[2], {FIXED}, interpolation_type="bicubic") -> out: u8[2,5,4,3]', 0, 35 * 120, 0),
        # Sums: three of two numbers to one; 4 rows of 3 to one
        ("total_loss_instance_num(in: [f32[2], f32[2], f32[2]]) -> out: f32[2]", 0, 4, 0),
        ("embedding_gradient_shuffle(embedding_grad: f32[0,3], inverse_unique_partition_indices: u32[0]) -> g: f32[0,3]", 0, 0, 0),
        # 4 a row and 13 a number; a scale one more, two are one
        (f"{DECAYED}) -> updated_unique_embeddings: f32[2,9]", 0, 8 + 78, 12),
        (f"{DECAYED}, down_scale_by_tensor: f32[1]) -> updated_unique_embeddings: f32[2,9]", 0, 8 + 84, 12),
        (f"{DECAYED}, scale_by_tensor: f32[1], down_scale_by_tensor: f32[1]) -> updated_unique_embeddings: f32[2,9]", 0, 8 + 84, 12),
        ("roi_align(x: f32[1,2,8,8], rois: f32[3,5], sampling_ratio=1) -> y: f32[3,2,2,3]", 0, 24 + 18 * (14 + 16), 0),
        # Maps of images: 2 x 2 rows of two sums of 12 products and one of 12 numbers; 3 rows of three sums of 8 products and one of 8
        ("affine_grid_grad(dgrid: f32[2,3,4,2]) -> dtheta: f32[2,2,3]", 0, 4 * (23 + 23 + 11), 0),
        ("affine_grid_grad(dgrid: f32[1,2,2,2,3]) -> dtheta: f32[1,3,4]", 0, 3 * (15 + 15 + 15 + 7), 0),
        ("affine_grid_grad(dgrid: f32[2,0,4,2]) -> dtheta: f32[2,2,3]", 0, 0, 0),
        # Regions: 3 of 8; 18 bins of 4 samples of 14, and of 8 for each of 2 channels; a quotient a channel backwards
        ("roi_align(x: f32[1,2,8,8], rois: f32[3,5], sampling_ratio=2) -> y: f32[3,2,2,3]", 0, 24 + 18 * (56 + 64), 0),
        ("roi_align_grad(dy: f32[3,2,2,3], x_like: f32[1,2,8,8], sampling_ratio=2) -> dx: f32[1,2,8,8]", 0, 24 + 18 * (56 + 66), 0),
    ],
)
def test_work(call: str, macs: int, flops: int, transcendentals: int) -> None:
    rule, op = seen(call)
    work = rule.cost(op)
    assert (work.macs, work.flops, work.transcendentals) == (macs, flops, transcendentals)


@pytest.mark.parametrize(
    ("mode", "axes", "point", "channel", "point_back", "channel_back"),
    [
        # By axis position 2 and a rounding; nothing for a pixel that is copied, an addition for one that is given
        ("nearest", 2, 6, 0, 6, 1),
        ("nearest", 3, 9, 0, 9, 1),
        # By axis 5, and the products of the weights of 4 or 8 pixels; as many products, one addition fewer
        ("bilinear", 2, 14, 7, 16, 32),
        ("bilinear", 3, 31, 15, 34, 112),
        # By axis 2 + 2 + 25, 5 sums of 4 pixels; backwards 18 more by axis, 16 pixels of 3 and 2 x 16 of 4
        ("bicubic", 2, 58, 35, 94, 176),
    ],
)
def test_points_between_pixels(mode: str, axes: int, point: int, channel: int, point_back: int, channel_back: int) -> None:
    """Two images of 3 channels, 4 or 8 points in each."""
    image, points = "2,3" + ",5" * axes, "2,3" + ",2" * axes
    grid = f"grid: f32[2{',2' * axes},{axes}]"
    count = 2 * 2**axes
    rule, op = seen(f'grid_sample(input: f32[{image}], {grid}, interpolation_mode="{mode}") -> output: f32[{points}]')
    assert rule.cost(op).flops == count * (point + 3 * channel)
    back = f'grid_sample_grad(doutput: f32[{points}], input: f32[{image}], {grid}, interpolation_mode="{mode}")'
    rule, op = seen(f"{back} -> dinput: f32[{image}]")
    assert rule.cost(op).flops == count * (point_back + 3 * channel_back)


def test_signs_of_relus_are_kept_in_words_of_32_and_rows_of_128() -> None:
    rule, op = seen("cublas_fused_mlp(x: f32[2,3], weights: [f32[128,3], f32[129,128]]) -> out: f32[?]")
    signs = rule.shape(op)["cublas_aux"]
    assert isinstance(signs, tuple)
    assert list(map(str, signs)) == ["i32[2,4]", "i32[2,8]"]


def test_prime_factors() -> None:
    assert [factors(n) for n in (0, 1, 2, 4, 9, 12, 49)] == [[], [], [2], [2, 2], [3, 3], [2, 2, 3], [7, 7]]
    assert [transform(n) for n in (1, 2, 4, 5, 25)] == [0, 10, 40, 160, 1600]
    assert factors(2**32 + 15) == [2**32 + 15]
    with pytest.raises(Unknowable):
        factors(65537 * 65539)


@pytest.mark.parametrize(
    ("scheme", "once", "there_and_back", "observed", "moved", "used", "powers"),
    [
        (SYMMETRIC, 24, 30, 10 + 4, 10 + 6 + 1, 1, 0),
        (AFFINE, 30 + 1, 42 + 1, 10 + 5, 10 + 6 + 5, 5, 0),
        (CAMBRICON, 24, 30, 10 + 5, 10 + 6 + 2, 2, 1),
    ],
)
def test_quantizations(scheme: str, once: int, there_and_back: int, observed: int, moved: int, used: int, powers: int) -> None:
    """Of six numbers; to find the largest and the smallest takes 5 comparisons each, their moving averages 3 operations each."""
    operands = "in: f32[2,3], scale: f32[1], zero_point: f32[1]"
    observer = f"moving_average_min_max_observer(in: f32[2,3], {scheme}, training="
    calls = {
        f"quantization({operands}, {scheme}) -> out: f32[2,3]": once,
        f"fake_quantization({operands}, {scheme}) -> out: f32[2,3]": there_and_back,
        f"min_max_observer(in: f32[2,3], {scheme}, per_layer_quantization=true) -> scale: f32[1], zero_point: f32[1]": observed,
        f"{observer}true) -> scale: f32[1], zero_point: f32[1]": moved,
        f"{observer}false) -> scale: f32[1], zero_point: f32[1]": used,
    }
    for call, flops in calls.items():
        rule, op = seen(call)
        assert (rule.cost(op).flops, rule.cost(op).transcendentals) == (flops, powers), call


@pytest.mark.parametrize(
    ("gate", "flops", "transcendentals"),
    [("none", 2, 0), ("relu", 5, 0), ("sigmoid", 5, 2), ("silu", 8, 2), ("gelu", 15, 3), ("fast_gelu", 28, 2)],
)
def test_gradients_of_gates(gate: str, flops: int, transcendentals: int) -> None:
    """Eight elements: two products each, and what the activation and its gradient take."""
    rule, op = seen(f'fused_glu_without_linear_grad(dy: f16[2,4], matmul_wx: f16[2,8], activation="{gate}") -> d_matmul_wx: f16[2,8]')
    assert (rule.cost(op).flops, rule.cost(op).transcendentals) == (8 * flops, 8 * transcendentals)


@pytest.mark.parametrize(
    ("call", "results"),
    [
        (f"fft_r2c(input: f32[8], dims=[0], {AXES}) -> out: c64[?]", "c64[5]"),
        (f"fft_r2c(input: ?[7], dims=[0], {AXES}) -> out: ?[?]", "?[4]"),
        ("fft_r2c(input: f32[8,3], dims=[1,0], onesided=false) -> out: c64[?]", "c64[8,3]"),
        ("fft_r2c(input: f32[8,3], dims=[1,0], onesided=true) -> out: c64[?]", "c64[5,3]"),
        ("fft_c2r(input: c64[5], dims=[0], last_dim_size=1) -> out: f32[?]", "f32[1]"),
        ("stft(input: f32[2,3,8], onesided=false) -> output: f32[?]", "f32[2,8,3,2]"),
        ("ctc_loss(log_probs: f32[4,2,5], max_target_length=0) -> loss: f32[?], alpha: f32[?]", "f32[2] f32[2,4,1]"),
        (
            (
                "deform_conv2d(input: f32[1,2,5,6], offset: f32[1,8,3,4], weight: f32[3,2,2,2], stride_h=2, stride_w=1, pad_h=1, pad_w=0, "
                "dilation_h=1, dilation_w=2, groups=1) -> out: f32[?]"
            ),
            "f32[1,3,3,4]",
        ),
        (f"fused_dot_feature_interaction(features: [f32[2,3,4]], output_concat: f32[2,5], {PAIRS}) -> out: f32[?]", "f32[2,11]"),
        (f"min_max_observer(in: f32[2,3], {AFFINE}, per_layer_quantization=false) -> scale: f32[?], zero_point: f32[?]", "f32[2] f32[2]"),
        (
            f"min_max_observer(in: f32[2,3], {CAMBRICON}, per_layer_quantization=false) -> scale: f32[?], zero_point: f32[?]",
            "f32[1] f32[1]",
        ),
        (f"min_max_observer(in: f32[2], {AFFINE}, per_layer_quantization=true) -> scale: f32[?], zero_point: f32[?]", "f32[1] f32[1]"),
        (f"quantization(in: f32[], scale: f32[1], zero_point: f32[1], {AFFINE}) -> out: f32[?]", "f32[]"),
        ("groupwise_dequantize(in: u8[4,2,3], scale: f16[4,1,3], num_bits=8, group_dim=1, group_size=2) -> out: f16[?]", "f16[4,2,3]"),
        ("groupwise_dequantize(in: u8[4], scale: f16[8], num_bits=4, group_dim=-1, group_size=1) -> out: f16[?]", "f16[8]"),
        ("reduce_max_device_stage(in: f32[4,3], axis=[-2]) -> out: f32[?], mask: bool[?], count: i32[?]", "f32[?,3] bool[4,3] i32[?,3]"),
        ("reduce_max_global_stage(in: f32[4,2], device_count: i32[4,2], axis=[0,1], keepdims=false) -> out: f32[?]", "f32[] bool[4,2]"),
        ("reduce_max_global_stage(in: f32[4,2], device_count: i32[4,2], axis=[], keepdims=true) -> out: f32[?]", "f32[1,1] bool[4,2]"),
        (f"same_padding(x: f32[1,2,7], {EVERY_SECOND}, dilation_rate=[1]) -> y: f32[?]", "f32[1,2,9]"),
        (f"same_padding(x: f32[1,2,7], {EVERY_SECOND}, dilation_rate=[2]) -> y: f32[?]", "f32[1,2,11]"),
        (
            'same_padding(x: f32[1,2,7], kernel_size=[1], strides=[4], dilation_rate=[1], data_format="channels_first") -> y: f32[?]',
            "f32[1,2,7]",
        ),
        (
            f"fused_multi_head_attention_inference(query: f16[1,2,12], key: f16[1,3,8], value: f16[1,3,7], {SLICES}) -> out: f16[?]",
            "f16[1,2,6]",
        ),
        ("diagonal(in: f32[3,4], offset=0) -> out: f32[?]", "f32[3]"),
        ("diagonal(in: f32[3,4], offset=2) -> out: f32[?]", "f32[2]"),
        ("diagonal(in: f32[3,4], offset=-1) -> out: f32[?]", "f32[2]"),
        ("diagonal(in: f32[3,4], offset=9) -> out: f32[?]", "f32[0]"),
        ("diagonal(in: f32[3,4,5], offset=1) -> out: f32[?]", "f32[5,3]"),
        ('arange(integer_start=3, integer_limit=10, integer_delta=2, dtype="int64") -> out: i64[?]', "i64[4]"),
        ('arange(integer_start=5, integer_limit=1, integer_delta=-1, dtype="int64") -> out: i64[?]', "i64[4]"),
        ('arange(integer_start=5, integer_limit=1, integer_delta=1, dtype="int64") -> out: i64[?]', "i64[0]"),
        ('arange(float_start=1.0, float_limit=2.0, float_delta=0.3, dtype="float32") -> out: f32[?]', "f32[4]"),
        ("mode(input: f32[3]) -> values: f32[?], indices: i64[?]", "f32[] i64[]"),
        (
            (
                'crop_mirror_normalize_from_uint8(in: u8[1,6,6,3], color_space="RGB", output_layout="NCHW", crop_h=4, crop_w=0, '
                'output_dtype="float32") -> out: f32[?]'
            ),
            "f32[1,3,6,6]",
        ),
        (
            (
                'crop_mirror_normalize_from_tensorbuffer(in: ?[2], color_space="GRAY", output_layout="NHWC", crop_h=1, crop_w=1, '
                'output_dtype="float16") -> out: f16[?]'
            ),
            "f16[2,1,1,1]",
        ),
        ("tensor_to_tensor_buffer(in: f32[4,2,3], instance_dims=3) -> out: ?[?]", "?[]"),
        ("tensor_to_tensor_buffer(in: f32[4,2,3], instance_dims=0) -> out: ?[?]", "?[4,2,3]"),
        (
            (
                "distributed_partial_fc_sample(weight: f32[100], label: i32[8,2], num_sample=0) -> mapped_label: i32[?], "
                "sampled_label: i32[?], sampled_weight: f32[?]"
            ),
            "i32[8,2] i32[0,2] f32[0]",
        ),
        (
            "unique_key_value_pair(keys: i64[4], num_tables=1) -> num_unique: i32[?]",
            "i32[1] i64[4] u8[4] i32[4]",
        ),
        (
            "unique_key_value_pair(keys: i64[4], values: u32[4], num_tables=3) -> num_unique: i32[?]",
            "i32[1] i64[4] u32[4] i32[4]",
        ),
        ('embedding_lookup(unique_ids: i64[4], dtype="float32", line_size=1) -> unique_values: f32[?]', "f32[4,1]"),
        ("affine_grid(theta: f32[2,3,4], size=[2,1,5,6,7]) -> grid: f32[?]", "f32[2,5,6,7,3]"),
        ("affine_grid_grad(dgrid: f32[2,5,6,7,3]) -> dtheta: f32[?]", "f32[2,3,4]"),
        ("grid_sample(input: f32[1,2,3,4,5], grid: f32[1,6,7,8,3]) -> output: f32[?]", "f32[1,2,6,7,8]"),
        ("roi_align(x: f32[1,2,8,8], rois: f32[3,5], pooled_h=2, pooled_w=4) -> y: f32[?]", "f32[3,2,2,4]"),
    ],
)
def test_shapes(call: str, results: str) -> None:
    rule, op = seen(call)
    assert " ".join(map(str, rule.shape(op).values())) == results


@pytest.mark.parametrize(
    ("call", "kind", "what", "transcendentals"),
    [
        ("quantization(in: f32[6], zero_point: f32[1]) -> out: f32[6]", MissingAttribute, "quantization_formula", None),
        (
            'quantization(in: f32[6], zero_point: f32[1], quantization_formula="google") -> out: f32[6]',
            *(MissingAttribute, "quantization_scheme", None),
        ),
        (f"moving_average_min_max_observer(in: f32[6], {CAMBRICON}) -> scale: f32[1]", MissingAttribute, "training", 1),
        (f"moving_average_min_max_observer(in: f32[6], {AFFINE}) -> scale: f32[1]", MissingAttribute, "training", 0),
        ("roi_align(rois: f32[3,5], sampling_ratio=0) -> y: f32[3,2,2,2]", MissingShape, "the sizes of the regions", 0),
        ("roi_align(rois: f32[3,5], sampling_ratio=-1) -> y: f32[3,2,2,2]", MissingShape, "the sizes of the regions", 0),
        ("roi_align(rois: f32[3,5]) -> y: f32[3,2,2,2]", MissingAttribute, "sampling_ratio", 0),
    ],
)
def test_work_that_no_form_tells(call: str, kind: type[Unknowable], what: str, transcendentals: int | None) -> None:
    rule, op = seen(call)
    with pytest.raises(kind) as caught:
        rule.cost(op)
    assert (caught.value.what, caught.value.known.flops, caught.value.known.transcendentals) == (what, None, transcendentals)


@pytest.mark.parametrize(
    ("call", "reads", "writes"),
    [
        ("real(x: c64[2,3]) -> out: f32[2,3]", 24, 24),
        (f"deform_conv2d({SHIFTED}, {MASK}, {STEPS}, use_mask=true) -> out: f32[2,4,4,4]", 960 + 3072 + 192 + 1536, 512),
        (f"deform_conv2d({SHIFTED}, {MASK}, {STEPS}, use_mask=false) -> out: f32[2,4,4,4]", 960 + 3072 + 192, 512),
        (
            'crop_mirror_normalize_from_uint8(in: u8[2,6,6,3], mirror: i8[2], color_space="RGB") -> out: f32[2,4,6,3]',
            *(144 + 2, 576),
        ),
        ('crop_mirror_normalize_from_uint8(in: u8[2,6,6,3], color_space="RGB") -> out: f32[2,4,6,3]', 144, 576),
        ("CategoricalOrdinalEncode(table: i64[4], size: i64[1], in: i64[8]) -> out: i64[8]", 32 + 8 + 64, 32 + 8 + 64),
        ("CategoricalOrdinalEncode(table: i64[40], size: i64[1], in: i64[8]) -> out: i64[8]", 128 + 8 + 64, 128 + 8 + 64),
    ],
)
def test_bytes(call: str, reads: int, writes: int) -> None:
    rule, op = seen(call)
    traffic = rule.traffic(op)
    assert (sum(traffic.reads.values()), sum(traffic.writes.values())) == (reads, writes)
