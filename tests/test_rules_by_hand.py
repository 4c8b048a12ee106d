"""What examples of op rules leave out, by hand: optional operands, edges, other layouts, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from seen_ops import FLASH, seen

from irflops.ir.signatures import op_types
from irflops.ops import BOOK, RULES
from irflops.ops.shapes import broadcast_shapes, normal_axis
from irflops.ops.work import MissingAttribute

FLASH_GRAD = (
    "scaled_dot_product_flash_attention_grad(grad_out: f16[1,2,1,4], query: f16[1,2,1,4], key: f16[1,3,1,4], value: f16[1,3,1,4], "
    "out: f16[1,2,1,4], softmax_lse: f32[1,1,2], rng_state: u64[2], alibi_slopes_: f32[1]) "
    "-> grad_q: f16[1,2,1,4], grad_k: f16[1,3,1,4], grad_v: f16[1,3,1,4]"
)
EMBEDDING = "one_embedding_sgd_update(num_unique_ids: i32[1], unique_embeddings: f32[2,4], embedding_grad: f32[2,4], learning_rate: f32[1]"
WINDOW = "kernel_size=[2,2], strides=[1,1], padding=[0,0], dilation_rate=[1,1]"
FOLD = f"output_size=[3,3], {WINDOW}"
HEADS = 'query_head_size=4, query_layout="BM(HK)", key_layout="BM(HK)", value_layout="BM(HK)", output_layout="BM(HK)"'


@pytest.mark.parametrize(
    ("call", "flops", "transcendentals"),
    [
        # 24 scores: 768 + 24 + 80 + 8 as without slopes, and 2 a score.
        (
            (
                f"scaled_dot_product_flash_attention({FLASH}, alibi_slopes_: f32[4]) -> out: f16[1,2,4,8], softmax_lse: f32[1,4,2], "
                "rng_state: u64[2]"
            ),
            880 + 48,
            32,
        ),
        # 6 scores: 5 products of 24, 30 and 14, and 2 a score.
        (FLASH_GRAD, 284 + 12, 6),
        # Scores 12 of 4, as much for the results; a scale and a bias a score; 4 rows of 3: 10 each.
        (
            (
                f"fused_multi_head_attention_inference(query: f16[1,2,8], key: f16[1,3,8], value: f16[1,3,8], attn_bias: f16[1,2,2,3], "
                f"{HEADS}) -> out: f16[1,2,8]"
            ),
            192 + 24 + 40,
            12,
        ),
        # A moving average of no channels that move: 7n + c.
        ("normalization(x: f32[2,3], gamma: f32[3], beta: f32[3], axis=1) -> y: f32[2,3], mean: f32[3], inv_variance: f32[3]", 45, 3),
        ("normalization(x: f32[2,3], gamma: f32[3], beta: f32[3], _add_to_output: f32[2,3], axis=1) -> y: f32[2,3]", 18, 0),
        ("matmul(a: f32[2,3], b: f32[3,4], _add_to_output: f32[2,4], transpose_a=false, transpose_b=false) -> out: f32[2,4]", 48 + 8, 0),
        ("matmul(a: f32[2,0], b: f32[0,4], transpose_a=false, transpose_b=false) -> out: f32[2,4]", 0, 0),
        # Without keys there are no scores, and 8 rows of query; without rows no sums.
        (
            f"scaled_dot_product_flash_attention({FLASH.replace('[1,3,2,8]', '[1,0,2,8]')}) -> out: f16[1,2,4,8], softmax_lse: f32[1,4,2]",
            8,
            8,
        ),
        (
            "cublas_bias_add_relu_matmul_grad(dy: f32[0,3], weight: f32[3,4], aux: i32[0,4]) -> d_grad: f32[0,4], d_bias: f32[4]",
            0,
            0,
        ),
        # 4 an element, and 1 for a scale; two scales are multiplied once.
        ("sgd_update(model: f32[8], model_diff: f32[8], learning_rate: f32[1]) -> ()", 32, 0),
        ("sgd_update(model: f32[8], model_diff: f32[8], learning_rate: f32[1], scale_by_tensor: f32[1]) -> ()", 40, 0),
        (f"{EMBEDDING}, down_scale_by_tensor: f32[1]) -> updated_unique_embeddings: f32[2,4]", 40, 0),
        ("matmul(a: f32[0,3], b: f32[3,4], transpose_a=false, transpose_b=false) -> out: f32[0,4]", 0, 0),
    ],
)
def test_operands_that_need_not_be_there(call: str, flops: int, transcendentals: int) -> None:
    rule, op = seen(call)
    work = rule.cost(op)
    assert (work.flops, work.transcendentals) == (flops, transcendentals)


@pytest.mark.parametrize(
    ("activation", "flops", "transcendentals"),
    [("none", 0, 0), ("relu", 1, 0), ("sigmoid", 0, 1), ("silu", 1, 1), ("gelu", 4, 1), ("fast_gelu", 8, 1)],
)
def test_gates_cost_what_their_activations_do(activation: str, flops: int, transcendentals: int) -> None:
    """2 x 3 times two halves of 4 x 3: 48 products; 8 gates, each multiplied; with biases 16 and 8 additions more."""
    x = f'fused_glu(x: f32[2,3], w: f32[8,3]%s, activation="{activation}") -> y: f32[2,4], matmul_wx: f32[2,8]'
    apart = f'fused_glu(x: f32[2,3], w: f32[4,3], v: f32[4,3], activation="{activation}") -> y: f32[2,4]'
    for call, biases in ((x % "", 0), (x % ", b: f32[8]", 16), (x % ", b: f32[8], c: f32[4]", 24), (apart, 0)):
        rule, op = seen(call)
        work = rule.cost(op)
        assert (work.macs, work.flops, work.transcendentals) == (48, 96 + 8 * (flops + 1) + biases, 8 * transcendentals)


def test_the_last_activation_must_be_known() -> None:
    rule, op = seen("cublas_fused_mlp(x: f32[2,3], weights: [f32[4,3]], biases: [f32[4]]) -> out: f32[2,4]")
    with pytest.raises(MissingAttribute) as caught:
        rule.cost(op)
    assert (caught.value.what, caught.value.known.macs, caught.value.known.flops) == ("skip_final_activation", 24, None)


def test_the_activation_of_a_gate_must_be_known() -> None:
    rule, op = seen("fused_glu(x: f32[2,3], w: f32[8,3]) -> y: f32[2,4]")
    with pytest.raises(MissingAttribute) as caught:
        rule.cost(op)
    assert (caught.value.known.macs, caught.value.known.flops, caught.value.known.transcendentals) == (48, None, None)
    rule, op = seen('fused_glu(x: f32[2,3], w: f32[8,3], activation="erf") -> y: f32[2,4]')
    with pytest.raises(ValueError, match="no activation is called 'erf'"):
        rule.cost(op)


@pytest.mark.parametrize(
    ("call", "results"),
    [
        ("concat(in: [f32[0], f32[2,3], f32[4,3]], axis=0) -> out: f32[?]", "f32[6,3]"),
        ("concat(in: [f32[2,3], f32[2,1]], axis=-1) -> out: f32[?]", "f32[2,4]"),
        ("concat(in: [f32[0], f32[0]], axis=0) -> out: f32[?]", "f32[0]"),
        ("stack(in: [f32[2,3], f32[2,3]], axis=-1) -> out: f32[?]", "f32[2,3,2]"),
        ("stack(in: [f32[2,3]], axis=0) -> out: f32[?]", "f32[1,2,3]"),
        ("expand(in: f32[3,1], expand_shape=[2,-1,4]) -> out: f32[?]", "f32[2,3,4]"),
        ("expand(in: f32[3], expand_shape=[4,3]) -> out: f32[?]", "f32[4,3]"),
        ("expand(in: f32[3], expand_shape=[-1,3]) -> out: f32[?]", "f32[1,3]"),
        ("transpose(input: f32[2,3,4], perm=[2,0,1]) -> output: f32[?]", "f32[4,2,3]"),
        ("narrow(in: f32[5,3], dim=0, start=0, length=9) -> out: f32[?]", "f32[5,3]"),
        ("narrow(in: f32[5,3], dim=-2, start=2, length=3) -> out: f32[?]", "f32[3,3]"),
        ("slice(x: f32[9,4], start=[1,0], stop=[9,4], step=[3,2]) -> y: f32[?]", "f32[3,2]"),
        ("slice(x: f32[9,4], start=[8,3], stop=[2,4], step=[1,1]) -> y: f32[?]", "f32[0,1]"),
        ("adaptive_avg_pool2d(x: f32[1,2,9,8], output_size=[3]) -> y: f32[?]", "f32[1,2,3,3]"),
        ('adaptive_avg_pool2d(x: f32[1,9,8,2], output_size=[3,4], data_format="channels_last") -> y: f32[?]', "f32[1,3,4,2]"),
        ("gather(in: f32[5,3], indices: i64[2,2], axis=1) -> out: f32[?]", "f32[5,2,2]"),
        ("gather(in: f32[5,3], indices: i64[], axis=-1) -> out: f32[?]", "f32[5]"),
        ("batch_gather(in: f32[2,5,3], indices: i64[2,4]) -> out: f32[?]", "f32[2,4,3]"),
        ("gather_nd(params: f32[5,3], indices: i64[7,2]) -> out: f32[?]", "f32[7]"),
        ("gather_nd(params: f32[5,3], indices: i64[7,0]) -> out: f32[?]", "f32[7,5,3]"),
        ("gather_nd(params: f32[5,3], indices: i64[4,7,1]) -> out: f32[?]", "f32[4,7,3]"),
        ("unfold_tensor(x: f32[9,2], dimension=0, size=9, step=2) -> y: f32[?]", "f32[1,2,9]"),
        ("unfold_tensor(x: f32[9,2], dimension=-2, size=4, step=1) -> y: f32[?]", "f32[6,2,4]"),
        ("expand_dims(in: f32[2,3], axis=2) -> out: f32[?]", "f32[2,3,1]"),
        ("expand_dims(in: f32[2,3], axis=-3) -> out: f32[?]", "f32[1,2,3]"),
        ('conv_bias_grad(dy: f32[2,3,7], data_format="channels_last", num_spatial_dims=1) -> bias_diff: f32[?]', "f32[7]"),
        ("unsorted_segment_sum(data: f32[6,3], segment_ids: i64[6], axis=0, num_segments=4) -> out: f32[?]", "f32[4,3]"),
        ("unsorted_segment_sum(data: f32[2,3,5], segment_ids: i64[3,5], axis=1, num_segments=4) -> out: f32[?]", "f32[2,4]"),
        ("matmul(a: f32[7,3,2], b: f32[7,4,3], transpose_a=true, transpose_b=true) -> out: f32[?]", "f32[7,2,4]"),
        ("broadcast_matmul(a: f32[7,1,2,3], b: f32[5,3,4], transpose_a=false, transpose_b=false) -> out: f32[?]", "f32[7,5,2,4]"),
        ("multinomial_with_replacement(x: f32[5], num_samples=3) -> out: i64[?]", "i64[3]"),
        ("multinomial_with_replacement(x: f32[4,5], num_samples=3) -> out: i64[?]", "i64[4,3]"),
        ("l2_normalize(x: f32[2,3,4,5], axis=1) -> y: f32[?], square_x_sum: f32[?]", "f32[2,3,4,5] f32[2,1,4,5]"),
        ("l2_normalize(x: f32[2,3], axis=-1) -> y: f32[?], square_x_sum: f32[?]", "f32[2,3] f32[2,1]"),
        ("reshape(in: f32[2,3], shape=[-1,2]) -> out: f32[?]", "f32[3,2]"),
        ("unfold_tensor(x: f32[], dimension=0, size=1, step=1) -> y: f32[?]", "f32[1]"),
        (
            "fused_linear_with_groupwise_quantized_weight(x: f16[5,16], w: u8[3,2], w_scale: f16[3,4], num_bits=1) -> out: f16[?]",
            "f16[5,3]",
        ),
        # 4 x 5 places of a window of 2 x 2 on 5 x 6 pixels of 3 channels.
        (f'unfold(x: f32[1,5,6,3], data_format="channels_last", {WINDOW}) -> y: f32[?]', "f32[1,12,20]"),
        (f'unfold(x: f32[1,3,5,6], data_format="channels_first", {WINDOW}) -> y: f32[?]', "f32[1,12,20]"),
    ],
)
def test_shapes_of_results(call: str, results: str) -> None:
    rule, op = seen(call)
    assert " ".join(map(str, rule.shape(op).values())) == results


def test_sums_over_nothing_are_none() -> None:
    rule, op = seen(
        "batch_norm_backward_reduce(grad_out: f32[0,3], input: f32[0,3], mean: f32[3], invstd: f32[3], axis=1) "
        "-> sum_dy: f32[3], sum_dy_xmu: f32[3], grad_weight: f32[3], grad_bias: f32[3]"
    )
    assert rule.cost(op).flops == 0


def test_axes_and_shapes_that_broadcast() -> None:
    assert (broadcast_shapes(), broadcast_shapes((), (1,)), broadcast_shapes((3, 1), (2, 1, 4))) == ((), (1,), (2, 3, 4))
    assert [normal_axis(axis, 3) for axis in (-3, -1, 0, 2)] == [0, 2, 0, 2]
    assert (normal_axis(0, 0), normal_axis(-1, 0)) == (0, 0)
    for axis, rank in ((3, 3), (-4, 3), (1, 0), (-2, 0), (1, 1)):
        with pytest.raises(ValueError, match="out of range"):
            normal_axis(axis, rank)


def test_a_formula_says_what_is_counted() -> None:
    assert BOOK.by_type["relu"].formula.startswith("flops = numel(y)")
    assert BOOK.by_type["gelu"].formula.startswith("flops = 4 * numel(out), transcendentals = numel(out)")
    assert BOOK.by_type["exp"].formula.startswith("transcendentals = numel(y)")
    assert BOOK.by_type["softmax"].formula.startswith("for each row of n along the last axis: flops = 4n - 2, transcendentals = n:")


def test_a_rule_says_what_it_is_and_where_it_comes_from() -> None:
    assert BOOK.by_type["binary_cross_entropy"].summary.startswith("Binary cross-entropy")
    assert BOOK.by_type["binary_cross_entropy_grad"].summary.startswith("Gradient of binary cross-entropy")
    assert (BOOK.by_type["softmax_grad"].source, BOOK.by_type["nll"].source) == ("the op's definition", "the loss's definition")
    assert str(MissingAttribute("an attribute")) == "an attribute"


@pytest.mark.parametrize("name", ["op_types", "summary", "formula", "examples"])
def test_a_rule_needs_its_words(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} is empty"):
        replace(BOOK.by_type["relu"], **{name: type(getattr(BOOK.by_type["relu"], name))()})


def test_families_have_an_op_type_for_each_number_of_axes() -> None:
    pools = [f"{framework}{kind}_pool_{{}}d" for framework in ("", "tf_") for kind in ("avg", "max")]
    pools += ["avgpool_{}d", "maxpool_{}d", "max_unpool_{}d", "adaptive_avg_pool{}d", "adaptive_max_pool{}d"]
    for name in [*pools, "constant_pad{}d", "upsample_nearest_{}d"]:
        assert {name.format(axes) + grad for axes in (1, 2, 3) for grad in ("", "_grad")} <= BOOK.by_type.keys()
    assert {name.format(axes) for name in ("conv{}d", "deconv{}d") for axes in (1, 2, 3)} <= BOOK.by_type.keys()
    assert set(op_types()) - BOOK.by_type.keys() == {"kernel_launch", "mlir_jit", "system", "user"}


def test_ops_that_hand_their_operand_on() -> None:
    """What a variable is used as is asked behind these: they mark, move, order or cast it."""
    marks = {
        "identity",
        "identity_buffer",
        "amp_black_identity",
        "amp_white_identity",
        "pinned_identity",
        "nvtx_start",
        "nvtx_end",
        "repeat",
    }
    moves = {"copy", "copy_d2h", "copy_h2d", "parallel_cast", "hierarchical_parallel_cast", "hierarchical_parallel_cast_like"}
    casts = {"cast", "cast_like", "cast_to_static_shape", "mutable_cast_once", "to_contiguous"}
    orders = {"depend", "stop_gradient", "ssp_variable_proxy", "throw_error"}
    assert {op_type for op_type, rule in BOOK.by_type.items() if rule.hands_on} == marks | moves | casts | orders


def test_rules_may_stand_in_sets() -> None:
    assert len(set(BOOK.by_type.values())) == len(RULES)


def test_work_that_hangs_on_the_data_is_counted_at_its_most() -> None:
    """Sorting by what is there already, rows of a table that are there once or several times."""
    families = {
        "sort",
        "arg_sort",
        "top_k",
        "argwhere",
        "unique",
        "unique_with_counts",
        "searchsorted",
        "searchsorted_scalar",
        "embedding_renorm",
        "sync_dynamic_resize",
        "nms",
        "median",
        "median_with_indices",
        "mode",
        "roc_auc_score",
        "ctc_loss",
        "ctc_loss_grad",
        "ctc_greedy_decoder",
        "moving_average_min_max_observer",
        "CategoricalOrdinalEncode",
        "one_embedding_fused_sgd_update_put",
        *("unique_key_value_pair", "id_shuffle", "id_shuffle_copy_out", "embedding_shuffle", "embedding_gradient_shuffle"),
        *("embedding_prefetch", "embedding_lookup", "embedding_put"),
    }
    found = {op_type for op_type, rule in BOOK.by_type.items() if rule.upper_bound}
    assert families <= found
    rest = found - families
    assert rest == {op_type for op_type in BOOK.by_type if "embedding_" in op_type and op_type.endswith("_update")} | {
        op_type for op_type in BOOK.by_type if op_type.startswith("indexed_slices_")
    }


@pytest.mark.parametrize(
    ("call", "reads", "writes"),
    [
        ("cast_to_tick(in: f32[8,8]) -> out: f32[1]", 0, 0),
        ("concat(in: [f32[0], f32[2,3]], axis=0) -> out: f32[2,3]", 24, 24),
        ("nll(input: f16[4,10], target: i32[4]) -> output: f16[4], out_weight: f16[4]", 8 + 16, 16),
    ],
)
def test_bytes(call: str, reads: int, writes: int) -> None:
    rule, op = seen(call)
    traffic = rule.traffic(op)
    assert (sum(traffic.reads.values()), sum(traffic.writes.values())) == (reads, writes)
