"""Op types by what they do, as audit rules speak of them. Taken from the op rules where those say it."""

from __future__ import annotations

from irflops.ops import BY_TYPE, activation, broadcast, elementwise, random, select
from irflops.ops.rule import OpRule


def _types(rules: tuple[OpRule, ...]) -> frozenset[str]:
    return frozenset(op_type for rule in rules for op_type in rule.op_types)


CONTRACTIONS = frozenset(op_type for op_type, rule in BY_TYPE.items() if rule.contraction)
VIEWS = frozenset(op_type for op_type, rule in BY_TYPE.items() if rule.view)
ELEMENTWISE = (
    _types(activation.RULES) | _types(broadcast.RULES) | _types(elementwise.RULES) | _types(select.RULES) | _types(random.RULES)
) - VIEWS
CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d"})
TRANSPOSED_CONVOLUTIONS = frozenset({"deconv1d", "deconv2d", "deconv3d"})
MATMULS = frozenset({"matmul", "batch_matmul", "broadcast_matmul"})
BATCH_NORMS = frozenset({"normalization", "normalization_infer", "normalization_add_relu"})
NORMS = BATCH_NORMS | {"layer_norm", "group_norm", "rms_norm", "skip_layer_norm", "skip_rms_norm", "instance_norm"}
SOURCES = frozenset({"input", "variable", "learning_rate_schedule"})
VIEW_CHAIN = frozenset({"reshape", "flatten", "squeeze", "expand_dims"})
"""Views that give a tensor another shape and the same elements in the same order."""

HANDED_ON = frozenset({"identity", "hierarchical_parallel_cast", "parallel_cast", "cast", "copy", "repeat"})
"""Types that hand a variable on as it is, for the question what it is used as."""

RANDOM = frozenset(
    {
        *("bernoulli", "coin_flip", "distributed_partial_fc_sample", "exponential", "generate_random_batch_permutation_indices"),
        *("image_random_crop", "multinomial_with_replacement", "normal", "ofrecord_image_decoder_random_crop", "randperm", "rrelu"),
        *("TestRandomSource", "uniform", "uniform_int"),
    }
)
"""Types whose kernel draws random numbers in each run. `has_seed` does not change that: each kernel goes on with a generator of its own.

Together with `DROPOUT_RATES` these are the types of `signatures` that declare a seed, without those that hand it on unused
(`fused_bias_add_mask_scale` reads a mask that another op drew), those of `UNEQUAL_READS`, and the tables of `STATEFUL`.
"""

DROPOUT_RATES = {
    "dropout": "rate",
    "random_mask_like": "rate",
    "fused_matmul_bias_add_relu_dropout": "dropout_rate_list",
    "scaled_dot_product_flash_attention": "p_dropout",
}
"""Types that drop elements at random, by the attribute with their rate, or one for each layer; of rate 0 they are not random."""

UNEQUAL_READS = frozenset(
    {
        *("COCOReader", "OFRecordReader", "OneRecReader", "megatron_gpt_mmap_data_loader", "ofrecord_image_classification_reader"),
        *("raw_reader", "recv"),
    }
)
"""Types that read the next sample each time."""

UPDATED_IN_PLACE = {
    "assign": ("ref",),
    "assign_if": ("ref",),
    "assign_if_not": ("ref",),
    "batch_norm_gather_stats_with_counts": ("running_mean", "running_var"),
    "CategoricalOrdinalEncode": ("table", "size"),
    "dynamic_loss_scale_schedule": ("loss_scale", "good_step_counter"),
    "fused_clip_grad": ("model_diff",),
    "logical_slice_assign": ("ref",),
    "megatron_gpt_mmap_data_loader": ("iteration",),
    "moving_average_min_max_observer": ("moving_max", "moving_min"),
    "ssp_variable_proxy": ("var",),
}
"""Operands that a type writes to: what OneFlow's op definitions, 0.7 to master, declare mutable. Without optimizers and batch norms."""

STATEFUL = frozenset(
    {
        *("acc", "pack", "unpack", "embedding_lookup", "embedding_lookup_placeholder", "embedding_prefetch", "embedding_put"),
        "one_embedding_fused_lookup",
    }
)
"""Types with a state from run to run: they count micro-batches, or draw the rows that a table outside the graph lacks."""
