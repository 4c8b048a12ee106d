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
        *("dropout", "random_mask_like", "bernoulli", "normal", "uniform", "uniform_int", "exponential", "randperm", "coin_flip"),
        *("multinomial_with_replacement", "generate_random_batch_permutation_indices", "fused_tril_scale_softmax_mask_scale"),
        "image_random_crop",
    }
)
"""Types whose results differ from run to run: two of them are never the same."""

UNEQUAL_READS = frozenset({"raw_reader", "megatron_gpt_mmap_data_loader", "OFRecordReader", "OneRecReader", "COCOReader"})
"""Types that read the next sample each time."""
