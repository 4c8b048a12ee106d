"""Facts of op types that have no rule yet: what they cost is unknown, what they do is not."""

from __future__ import annotations

from irflops.ops.facts import Effect, OpFacts

UNRULED: tuple[OpFacts, ...] = (
    OpFacts(
        op_types=("TestRandomSource", "distributed_partial_fc_sample", "image_random_crop", "ofrecord_image_decoder_random_crop", "rrelu"),
        effects=frozenset({Effect.RANDOM}),
    ),
    OpFacts(
        op_types=("COCOReader", "OFRecordReader", "OneRecReader", "ofrecord_image_classification_reader", "recv"),
        effects=frozenset({Effect.READS_NEXT}),
    ),
    OpFacts(
        op_types=(
            "embedding_lookup",
            "embedding_lookup_placeholder",
            "embedding_prefetch",
            "embedding_put",
            "one_embedding_fused_lookup",
        ),
        effects=frozenset({Effect.STATEFUL}),
    ),
    OpFacts(op_types=("CategoricalOrdinalEncode",), updates=("table", "size")),
    OpFacts(op_types=("moving_average_min_max_observer",), updates=("moving_max", "moving_min")),
)
