"""Op types by what they do, as audit rules speak of them. Taken from the op rules where those say it."""

from __future__ import annotations

from irflops.ops import BOOK, activation, broadcast, elementwise, random, select
from irflops.ops.rule import OpRule


def _types(rules: tuple[OpRule, ...]) -> frozenset[str]:
    return frozenset(op_type for rule in rules for op_type in rule.op_types)


CONTRACTIONS = BOOK.contractions
VIEWS = BOOK.views
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

HANDED_ON = BOOK.handed_on
DROPOUT_RATES = BOOK.drop_rates
