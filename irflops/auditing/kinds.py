"""Op types by what they do, as audit rules speak of them. What their rules say of them is asked of the book: `Facts.book`."""

from __future__ import annotations

from irflops.ops import activation, broadcast, elementwise, random, select

ELEMENTWISE = frozenset(
    op_type
    for family in (activation, broadcast, elementwise, select, random)
    for rule in family.RULES
    if not rule.is_view
    for op_type in rule.op_types
)
CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d"})
TRANSPOSED_CONVOLUTIONS = frozenset({"deconv1d", "deconv2d", "deconv3d"})
MATMULS = frozenset({"matmul", "batch_matmul", "broadcast_matmul"})
BATCH_NORMS = frozenset({"normalization", "normalization_infer", "normalization_add_relu"})
NORMS = BATCH_NORMS | {"layer_norm", "group_norm", "rms_norm", "skip_layer_norm", "skip_rms_norm", "instance_norm"}
SOURCES = frozenset({"input", "variable", "learning_rate_schedule"})
VIEW_CHAIN = frozenset({"reshape", "flatten", "squeeze", "expand_dims"})
"""Views that give a tensor another shape and the same elements in the same order."""
