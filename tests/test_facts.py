"""Facts of op types, against what OneFlow's source says: the in-place proposals of its kernels, and the operands that its ops may write."""

from __future__ import annotations

import pytest

from irflops.ir.signatures import signature
from irflops.ops import BOOK, RULES
from irflops.ops.facts import Effect, OpFacts
from irflops.ops.op_view import OpView
from irflops.ops.unruled import UNRULED
from irflops.readers.meaning.phase import LOOKED_THROUGH
from irflops.readers.notation.op_signature import read_call

Kernels = dict[str, dict[tuple[str, ...], tuple[str, str]]]

READ_ONLY: Kernels = {
    "cast_kernel.cpp": {("cast", "cast_like"): ("out", "in")},
    "cast_to_static_shape_kernel.cpp": {("cast_to_static_shape",): ("output", "input")},
    "copy_data_content_kernel.cpp": {
        ("squeeze", "reshape_like", "expand_dims", "reshape", "amp_white_identity", "amp_black_identity", "identity"): ("out", "in"),
        ("identity_buffer", "parallel_cast", "hierarchical_parallel_cast", "hierarchical_parallel_cast_like"): ("out", "in"),
        ("pinned_identity",): ("out", "in"),
    },
    "nvtx_range_kernel.cu": {("nvtx_start", "nvtx_end"): ("out", "in")},
    "transpose_kernel.cpp": {("transpose",): ("output", "input")},
}
"""By file of OneFlow 1.0.0's user kernels, the AddInplaceArgPairFn(result, 0, operand, 0, false) of each op type."""

MUTABLE: Kernels = {
    "activation_kernels.cpp": {
        ("hardshrink", "hardtanh"): ("out", "in"),
        ("relu",): ("y", "x"),
        ("hardshrink_grad", "hardtanh_grad", "relu_grad"): ("dx", "dy"),
    },
    "add_n_kernel.cpp": {("add_n",): ("out", "in")},
    "bias_add_kernel.cpp": {("bias_add",): ("out", "a")},
    "clip_by_value_kernel.cpp": {
        ("clip_by_scalar", "clip_by_scalar_min", "clip_by_scalar_max"): ("y", "x"),
        ("clip_by_scalar_grad", "clip_by_scalar_min_grad", "clip_by_scalar_max_grad"): ("dx", "dy"),
    },
    "conv_cudnn_kernels.cpp": {("conv1d", "conv2d", "conv3d"): ("out", "_add_to_output"), ("conv_data_grad",): ("dx", "_add_to_output")},
    "dropout_kernel.cu": {("dropout_grad",): ("dx", "dy")},
    "erfinv_kernel.cu": {("erfinv",): ("y", "x")},
    "image_object_preprocess_kernels.cpp": {
        ("image_flip", "image_normalize"): ("out", "in"),
        ("object_bbox_flip", "object_bbox_scale"): ("out", "bbox"),
        ("object_segmentation_polygon_flip", "object_segmentation_polygon_scale"): ("out", "poly"),
    },
    "l1_l2_regularize_gradient_kernel.cpp": {("l1_l2_regularize_gradient",): ("out", "model_diff")},
    "layer_norm_gpu_kernel.cu": {("layer_norm_grad",): ("dx", "_add_to_output")},
    "matmul_kernels.cpp": {("matmul", "batch_matmul", "broadcast_matmul", "broadcast_matmul_grad_b"): ("out", "_add_to_output")},
    "nd_index_slice_kernels.h": {("tensor_scatter_nd_update", "tensor_scatter_nd_add"): ("out", "params")},
    "normalization_kernel.cu": {("normalization",): ("y", "_add_to_output")},
    "scalar_by_tensor_kernel.cpp": {
        ("scalar_add_by_tensor", "scalar_sub_by_tensor", "scalar_mul_by_tensor", "scalar_div_by_tensor"): ("y", "x")
    },
    "scalar_math_kernels.cpp": {
        ("scalar_add", "scalar_mul", "scalar_div", "scalar_floordiv", "scalar_truncdiv", "scalar_fmod", "scalar_pow"): ("out", "in")
    },
    "softmax_cross_entropy_kernel.h": {("softmax_cross_entropy_grad",): ("prediction_diff", "prob")},
    "sparse_softmax_cross_entropy_kernel.cpp": {
        ("sparse_softmax_cross_entropy_grad", "sparse_softmax_cross_entropy_ms_grad"): ("prediction_diff", "prob")
    },
    "ssp_variable_proxy_kernel.cpp": {("ssp_variable_proxy",): ("ref", "var")},
    "test_kernels.cpp": {("ccrelu",): ("y", "x")},  # of 0.7.0
    "tril_kernel.cu": {("tril", "fused_scale_tril"): ("out", "in")},
    "triu_kernel.cu": {("triu",): ("out", "in")},
}
"""Those that end with `true`. A CPU kernel's count for nothing where the GPU has none (dropout): OneFlow reuses no memory of the host."""

ELSEWHERE = {"normalization_infer", "host_scalar_add_by_tensor"}
"""Types of a rule that says so of another type: neither is made with what it would overwrite, or at all, in a graph."""

WRITTEN = {
    "adadelta_update": "model square_avgs acc_deltas",
    "adagrad_update": "model sum",
    "adam_update": "model m v max_v model_copy",
    "assign": "ref",
    "assign_if": "ref",
    "assign_if_not": "ref",
    "batch_norm_gather_stats_with_counts": "running_mean running_var",
    "CategoricalOrdinalEncode": "table size",
    "dynamic_loss_scale_schedule": "loss_scale good_step_counter",
    "ftrl_update": "model accumulate z",
    "indexed_slices_adam_update": "model m v max_v",
    "indexed_slices_momentum_update": "model momentum",
    "indexed_slices_sgd_update": "model",
    "lamb_update": "model m v",
    "lars_update": "model momentum",
    "megatron_gpt_mmap_data_loader": "iteration",
    "momentum_update": "model momentum",
    "moving_average_min_max_observer": "moving_max moving_min",
    "multi_tensor_adam_update": "model m v",
    "multi_tensor_adam_update_with_cast": "model m v model_copy",
    "multi_tensor_momentum_update": "model momentum_buf",
    "multi_tensor_momentum_update_with_cast": "model momentum_buf model_copy",
    "multi_tensor_sgd_update": "model",
    "multi_tensor_sgd_update_with_cast": "model model_copy",
    "multi_tensor_yolov5_weight_update": "model",
    "rmsprop_update": "model mean_square mean_gradient",
    "sgd_update": "model model_copy",
    # Not declared mutable, and written by the kernel.
    "fused_clip_grad": "model_diff",
    "logical_slice_assign": "ref",
    "ssp_variable_proxy": "var",
    # Mutable where the op trains alone.
    "cudnn_fused_normalization_add_relu": "moving_mean moving_variance",
    "normalization": "moving_mean moving_variance",
    "normalization_add_relu": "moving_mean moving_variance",
    "normalization_infer": "moving_mean moving_variance",
}
"""Operands that an op type's ModifyInputArg sets mutable (OneFlow 0.9.0, user/ops), without one that multi_tensor_yolov5_weight_update
only reads."""

ALL: tuple[OpFacts, ...] = (*RULES, *UNRULED)


def proposals(files: Kernels) -> dict[str, dict[str, str]]:
    return {op_type: dict([pair]) for kernels in files.values() for op_types, pair in kernels.items() for op_type in op_types}


def test_results_share_memory_where_oneflow_proposes_it() -> None:
    assert {op_type: dict(facts.shares) for facts in ALL for op_type in facts.op_types if facts.shares} == proposals(READ_ONLY)


def test_results_overwrite_what_oneflow_lets_them_overwrite() -> None:
    stated = {op_type: dict(facts.overwrites) for facts in ALL for op_type in facts.op_types if facts.overwrites}
    assert {op_type: pair for op_type, pair in stated.items() if op_type not in ELSEWHERE} == proposals(MUTABLE)


def test_updated_operands_are_those_that_oneflow_writes() -> None:
    known = {op_type: {arg.name for arg in found.inputs} for op_type in WRITTEN if (found := signature(op_type)) is not None}
    stated = {
        op_type: {arg for arg in facts.updates if op_type not in known or arg in known[op_type]}
        for facts in ALL
        for op_type in facts.op_types
        if facts.updates
    }
    assert stated == {op_type: set(args.split()) for op_type, args in WRITTEN.items()}


def test_facts_name_arguments_that_their_op_types_have() -> None:
    for facts in ALL:
        for op_type in facts.op_types:
            found = signature(op_type)
            if found is None or op_type == "output":  # whose arguments a job names otherwise than the definition
                continue
            operands, results = ({arg.name for arg in side} | {"_add_to_output"} for side in (found.inputs, found.outputs))
            for pairs in (facts.aliases, facts.shares):
                assert set(pairs) <= results, op_type
                assert set(pairs.values()) <= operands, op_type
            assert not facts.drop_rate or facts.drop_rate in found.attrs, op_type
        assert not facts.drop_rate or Effect.RANDOM in facts.effects


def test_an_alias_holds_what_its_operand_holds_and_moves_nothing() -> None:
    seen = 0
    for rule in RULES:
        for example in rule.examples if rule.aliases else ():
            call = read_call(example.call)
            for result, operand in rule.aliases.items():
                for made, given in zip(call.outputs.get(result, ()), call.inputs[operand], strict=True):
                    assert (made.numel, made.dtype) == (given.numel, given.dtype), example.call
                    seen += 1
            traffic = rule.moved(OpView(call.op_type, call.inputs, call.outputs, call.attrs))
            assert not any((*traffic.reads.values(), *traffic.writes.values()))
    assert seen >= 15


def test_what_hands_a_variable_on_gives_its_first_operand_under_the_same_shape() -> None:
    for rule in RULES:
        for example in rule.examples if rule.hands_on else ():
            call = read_call(example.call)
            first = next(iter(call.inputs.values()))
            assert {tuple(made.shape for made in results) for results in call.outputs.values()} == {tuple(one.shape for one in first)}


def test_readers_look_through_the_same_types() -> None:
    """They lie beside the rules and do not import them. A copy to another device hands a variable on as a cast does."""
    assert BOOK.handed_on == LOOKED_THROUGH
    assert {"cast", "copy", "repeat", "identity", "parallel_cast"} <= BOOK.handed_on


NORM = "normalization(x: f32[2,3], moving_mean: f32[3], moving_variance: f32[3], gamma: f32[3], beta: f32[3]) -> y: f32[2,3]"
TRAINED = f"{NORM}, mean: f32[3], inv_variance: f32[3]"


@pytest.mark.parametrize(
    ("call", "read", "written"),
    [
        # In training the moving statistics are read and written, in inference read.
        (NORM, 72, 24),
        (
            TRAINED,
            72,
            24 + 24 + 24,
        ),
        # The copy in half precision is written alone.
        ("sgd_update(model: f32[8], model_diff: f32[8], model_copy: f16[8], learning_rate: f32[1]) -> ()", 68, 48),
        ("assign(ref: f32[8], value: f32[8]) -> ()", 64, 32),
        # As much of it as there is to write.
        ("logical_slice_assign(ref: f32[8], value: f32[2], start=[0], stop=[2], step=[1]) -> ()", 8, 8),
        # A view of a variable that others write to.
        ("ssp_variable_proxy(var: f32[8]) -> ref: f32[8], value: f32[8]", 0, 0),
    ],
)
def test_bytes_of_what_is_updated_in_place(call: str, read: int, written: int) -> None:
    found = read_call(call)
    traffic = BOOK.by_type[found.op_type].moved(OpView(found.op_type, found.inputs, found.outputs, found.attrs))
    assert (sum(traffic.reads.values()), sum(traffic.writes.values())) == (read, written)


EFFECTS = {
    Effect.RANDOM: """
        TestRandomSource bernoulli coin_flip distributed_partial_fc_sample dropout exponential fused_matmul_bias_add_relu_dropout
        generate_random_batch_permutation_indices image_decoder_random_crop_resize image_random_crop multinomial_with_replacement normal
        ofrecord_image_decoder_random_crop random_mask_like randperm rrelu scaled_dot_product_flash_attention uniform uniform_int
    """,
    Effect.STATEFUL: """
        acc pack unpack create_summary_writer flush_summary_writer summary_write_histogram summary_write_image summary_write_pb
        summary_write_scalar embedding_lookup embedding_lookup_placeholder embedding_prefetch embedding_put embedding_update_placeholder
        one_embedding_fused_lookup one_embedding_fused_lookup_grad one_embedding_fused_sgd_update_put
    """,
    Effect.READS_NEXT: """
        COCOReader OFRecordReader OneRecReader megatron_gpt_mmap_data_loader ofrecord_image_classification_reader raw_reader recv
    """,
    Effect.SIGNALS: """
        acc_ctrl_tick acc_tick callback_notify case cast_to_tick critical_section_callback_tick critical_section_wait_tick device_tick
        dst_subset_tick esac reentrant_lock sink_tick source_subset_tick source_tick src_subset_tick tick wait_and_send_ids
    """,
}
"""What draws, what keeps a table, a file or a count from run to run, what reads on, and what only says that something is there."""


@pytest.mark.parametrize("effect", EFFECTS)
def test_what_op_types_do_beside_giving_results(effect: Effect) -> None:
    assert {op_type for op_type, rule in BOOK.by_type.items() if effect in rule.effects} == set(EFFECTS[effect].split())


def test_results_that_keep_memory_of_their_own_are_those_of_sources_and_of_buffers_between_runs() -> None:
    filled = {"constant", "tensor_constant", "empty", "ones_like", "zero_like", "normal", "uniform", "uniform_int", "exponential"}
    between = {"acc", "pack", "unpack", "repeat", "identity_buffer", "mutable_cast_once"}
    assert {op_type for op_type, rule in BOOK.by_type.items() if rule.unreused} == filled | between
