"""Attention in one op."""

from __future__ import annotations

import math

from irflops.ir.graph import DType, TensorType
from irflops.ops.facts import Effect
from irflops.ops.layouts import extents_of
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work


def _softmax_of_scores(scores: int, rows: int) -> int:
    """Arithmetic of a softmax per row: maximum, difference, sum and division."""
    return max(0, 4 * scores - 2 * rows)


def flash_shape(op: OpView) -> Inferred:
    """Results like query; the logarithm of each row's sum and the random state for the gradient."""
    (batch, length, heads, width), key = op.shape("query", rank=4), op.shape("key", rank=4)
    if op.shape("value") != key or key[0] != batch or key[3] != width or heads % max(key[2], 1):
        raise ValueError(f"query {op.shape('query')}, key {key} and value {op.shape('value')} do not go together")
    sums, state = TensorType((batch, heads, length), DType.FLOAT32), TensorType((2,), DType.UINT64)
    return {"out": op.input("query"), "softmax_lse": sums, "rng_state": state}


def flash_cost(op: OpView) -> Work:
    """Two products and a softmax between them."""
    batch, length, heads, width = op.shape("query", rank=4)
    rows = batch * length * heads
    scores = rows * op.shape("key", rank=4)[1]
    position_bias = 2 * scores if op.inputs("alibi_slopes_") else 0
    arithmetic = scores + position_bias + _softmax_of_scores(scores, rows) + rows
    return Work(macs=2 * scores * width, arithmetic=arithmetic, transcendentals=scores + rows)


def flash_grad_shape(op: OpView) -> Inferred:
    """Like what each gradient is for."""
    return {f"grad_{arg[0]}": op.input(arg) for arg in ("query", "key", "value")}


def flash_grad_cost(op: OpView) -> Work:
    """The scores again and the four products of the gradients."""
    batch, length, heads, width = op.shape("query", rank=4)
    rows = batch * length * heads
    scores = rows * op.shape("key", rank=4)[1]
    position_bias = 2 * scores if op.inputs("alibi_slopes_") else 0
    arithmetic = 5 * scores + position_bias + rows * (2 * width - 1)
    return Work(macs=5 * scores * width, arithmetic=arithmetic, transcendentals=scores)


def query_mul_key_shape(op: OpView) -> Inferred:
    """The operand holds query, key and value of each head one after the other: [length, batch, heads * 3 * head_size]."""
    length, batch, width = op.shape("hidden_states", rank=3)
    head_size, dtype = op.integer("head_size", least=1), op.input("hidden_states").dtype
    if width % (3 * head_size):
        raise ValueError(f"hidden_states {op.shape('hidden_states')} does not hold heads of 3 x {head_size}")
    heads = width // (3 * head_size)
    scores, value = (batch, heads, length, length), (batch, heads, length, head_size)
    return {"query_mul_key": TensorType(scores, dtype), "value": TensorType(value, dtype)}


def query_mul_key_cost(op: OpView) -> Work:
    """A product of query and key; value is copied."""
    return Work(macs=op.numel("query_mul_key") * op.shape("value", rank=4)[-1])


def query_mul_key_grad_shape(op: OpView) -> Inferred:
    """Like the operand."""
    return {"hidden_states_grad": op.input("hidden_states")}


def query_mul_key_grad_cost(op: OpView) -> Work:
    """A product for query and one for key."""
    return Work(macs=2 * op.numel("query_mul_key_grad") * op.shape("value_grad", rank=4)[-1])


def _is_sliced(op: OpView) -> bool:
    """Whether the attributes are those of OneFlow 0.9.0, which has no layouts."""
    return "num_heads" in op.attrs


def _operands(op: OpView) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    if _is_sliced(op):
        return _sliced(op, "query"), _sliced(op, "key"), _sliced(op, "value")
    query = extents_of(op, "query", {"K": op.integer("query_head_size")})
    heads = {"H": query["H"]}
    return query, extents_of(op, "key", heads), extents_of(op, "value", heads)


def _sliced(op: OpView, arg: str) -> dict[str, int]:
    """Batch B, length M, heads H and head size K of an operand [B, M, hidden] of OneFlow 0.9.0, of whose last axis a slice is read."""
    (batch, length, width), heads = op.shape(arg, rank=3), op.integer("num_heads", least=1)
    start, end = op.integer(f"{arg}_hidden_slice_start", least=0), op.integer(f"{arg}_hidden_slice_end")
    hidden = (width if end == -1 else end) - start
    if not 0 < hidden <= width - start or hidden % heads:
        raise ValueError(f"{arg} {op.shape(arg)} from {start} to {end} does not hold {heads} heads")
    return {"B": batch, "M": length, "H": heads, "K": hidden // heads}


def inference_shape(op: OpView) -> Inferred:
    """Heads side by side in the last axis."""
    query, key, value = _operands(op)
    if key["M"] != value["M"] or key["K"] != query["K"]:
        raise ValueError(f"query {op.shape('query')}, key {op.shape('key')} and value {op.shape('value')} do not go together")
    if _is_sliced(op):
        return {"out": TensorType((query["B"], query["M"], query["H"] * value["K"]), op.input("query").dtype)}
    layout = op.attr("output_layout")
    if layout not in ("BM(HK)", "MB(HK)"):
        raise ValueError(f"no result is laid out as {layout!r}")
    leading = (query["B"], query["M"]) if layout == "BM(HK)" else (query["M"], query["B"])
    return {"out": TensorType((*leading, query["H"] * value["K"]), op.input("query").dtype)}


def inference_cost(op: OpView) -> Work:
    """Two products and a softmax between them."""
    query, key, value = _operands(op)
    rows = math.prod(query[axis] for axis in "BHM")
    scores = rows * key["M"]
    arithmetic = scores * (2 if op.inputs("attn_bias") else 1) + _softmax_of_scores(scores, rows)
    return Work(macs=scores * (query["K"] + value["K"]), arithmetic=arithmetic, transcendentals=scores)


_SOFTMAX = "a scale per score, softmax 4n - 2 and n exp per row of n scores"

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("scaled_dot_product_flash_attention",),
        effects=frozenset({Effect.RANDOM}),
        drop_rate="p_dropout",
        contraction=True,
        summary="softmax(query key^T * scale) value, scores never stored; masked positions count as work.",
        formula=f"macs = 2 * scores * head_size, scores = batch * heads * query length * key length; {_SOFTMAX}; an addition and a log "
        "per row for softmax_lse; "
        "2 per score for alibi slopes",
        shape=flash_shape,
        cost=flash_cost,
        traffic=touch_all,
        ignores="what a causal or windowed kernel skips; dropout",
        source="Dao, arXiv 2307.08691",
        examples=(
            Example(
                call="scaled_dot_product_flash_attention(query: f16[1,2,4,8], key: f16[1,3,2,8], value: f16[1,3,2,8], is_causal=false) "
                "-> out: f16[1,2,4,8], "
                "softmax_lse: f32[1,4,2], rng_state: u64[2]",
                macs=384,
                flops=768 + 24 + 80 + 8,
                transcendentals=32,
                bytes_read=2 * (64 + 48 + 48),
                bytes_written=128 + 32 + 16,
                because="4 query heads share 2 of key: 24 scores of length 8 and 64 results of length 3, 192 each; 8 rows of 3: softmax "
                "10 and 3 exp, "
                "an addition and a log",
            ),
        ),
    ),
    OpRule(
        op_types=("scaled_dot_product_flash_attention_grad",),
        contraction=True,
        summary="Gradients of attention, scores computed again; masked positions count as work.",
        formula="macs = 5 * scores * head_size: scores, value's gradient, that of the probabilities, query's, key's; per score 5 (scale, "
        "less softmax_lse, less "
        "the row's dot product, times the probability, scale) and an exp; 2 * head_size - 1 per row; 2 per score for alibi slopes",
        shape=flash_grad_shape,
        cost=flash_grad_cost,
        traffic=touch_all,
        ignores="what a causal or windowed kernel skips; dropout; sums over query heads that share one of key",
        source="Dao, arXiv 2307.08691, algorithm 2",
        examples=(
            Example(
                call="scaled_dot_product_flash_attention_grad(grad_out: f16[1,2,1,4], query: f16[1,2,1,4], key: f16[1,3,1,4], value: "
                "f16[1,3,1,4], "
                "out: f16[1,2,1,4], softmax_lse: f32[1,1,2], rng_state: u64[2]) -> grad_q: f16[1,2,1,4], grad_k: f16[1,3,1,4], grad_v: "
                "f16[1,3,1,4]",
                macs=120,
                flops=240 + 30 + 14,
                transcendentals=6,
                because="5 products of 2 x 3 x 4; 6 scores x 5; 2 rows of 4 products and 3 additions",
            ),
        ),
    ),
    OpRule(
        op_types=("fused_self_attention_query_mul_key_and_value",),
        contraction=True,
        summary="Scores of packed query and key, and the value by heads.",
        formula="macs = numel(query_mul_key) * head_size; flops = 2 * macs; the value is copied",
        shape=query_mul_key_shape,
        cost=query_mul_key_cost,
        traffic=touch_all,
        ignores="the coefficient alpha",
        examples=(
            Example(
                call="fused_self_attention_query_mul_key_and_value(hidden_states: f32[3,2,12], head_size=2) -> query_mul_key: "
                "f32[2,2,3,3], value: f32[2,2,3,2]",
                macs=72,
                flops=144,
                because="12 values a token are 2 heads of 3 x 2; 36 scores of length 2",
            ),
        ),
    ),
    OpRule(
        op_types=("fused_self_attention_query_mul_key_and_value_grad",),
        contraction=True,
        summary="Gradient of packed query, key and value.",
        formula="macs = 2 * numel(query_mul_key_grad) * head_size, for query and key; flops = 2 * macs",
        shape=query_mul_key_grad_shape,
        cost=query_mul_key_grad_cost,
        traffic=touch_all,
        ignores="the coefficient alpha",
        examples=(
            Example(
                call="fused_self_attention_query_mul_key_and_value_grad(query_mul_key_grad: f32[2,2,3,3], value_grad: f32[2,2,3,2], "
                "hidden_states: f32[3,2,12]) -> hidden_states_grad: f32[3,2,12]",
                macs=144,
                because="24 gradients of query and 24 of key, each a dot product of length 3",
            ),
        ),
    ),
    OpRule(
        op_types=("fused_multi_head_attention_inference",),
        contraction=True,
        summary="softmax(query key^T * scale + bias) value over heads; masked positions count as work.",
        formula="macs = scores * (head_size of query + of value), scores = batch * heads * query length * key length; "
        f"{_SOFTMAX}; 1 per score for attn_bias; sequences of different lengths packed in one axis: not known",
        shape=inference_shape,
        cost=inference_cost,
        traffic=touch_all,
        ignores="what a causal kernel skips; parts of a packed operand that are not read",
        examples=(
            Example(
                call="fused_multi_head_attention_inference(query: f16[1,2,8], key: f16[1,3,8], value: f16[1,3,8], query_head_size=4, "
                'query_layout="BM(HK)", '
                'key_layout="BM(HK)", value_layout="BM(HK)", output_layout="BM(HK)") -> out: f16[1,2,8]',
                macs=96,
                flops=192 + 12 + 40,
                transcendentals=12,
                because="2 heads x 2 x 3 scores of length 4, and as much for the 16 results; 12 scales; 4 rows of 3: 10 each",
            ),
            Example(
                call="fused_multi_head_attention_inference(query: f16[2,1,24], key: f16[3,1,2,4], value: f16[3,1,2,5], "
                'query_head_size=4, query_layout="MB(H3K)", '
                'key_layout="MBHK", value_layout="MBHK", output_layout="MB(HK)") -> out: f16[2,1,10]',
                macs=108,
                because="24 values are 2 heads of 3 x 4; 12 scores of length 4, and 20 results of length 3",
            ),
            Example(
                call="fused_multi_head_attention_inference(query: f16[2,3,12], key: f16[2,5,12], value: f16[2,5,6], num_heads=2, "
                "causal=true, query_hidden_slice_start=0, query_hidden_slice_end=4, key_hidden_slice_start=4, key_hidden_slice_end=8, "
                "value_hidden_slice_start=0, value_hidden_slice_end=-1) -> out: f16[2,3,6]",
                macs=300,
                flops=600 + 60 + 12 * 18,
                transcendentals=60,
                because="as 0.9.0 writes it: 4 of 12 values are 2 heads of 2; 2 x 2 x 3 x 5 scores of length 2, and 36 results of length "
                "5; 60 scales; 12 rows of 5: 18 each",
            ),
            Example(
                call="fused_multi_head_attention_inference(query: f16[5,2,4], key: f16[5,2,4], value: f16[5,2,4], query_seq_start: "
                "i32[3], key_seq_start: i32[3], "
                'query_head_size=4, query_layout="(BM)HK", key_layout="(BM)HK", value_layout="(BM)HK", output_layout="(BM)(HK)") -> out: '
                "f16[5,8]",
                inferable=False,
                macs="unknown",
                because="two sequences share 5 positions; how is in the data",
            ),
        ),
    ),
)
