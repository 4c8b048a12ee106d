"""Dropout, the ops that OneFlow fuses it with, and random masks. Random bits are not arithmetic: they are not counted."""

from __future__ import annotations

from dataclasses import replace

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import WorkRule, no_work
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, present, results_like
from irflops.ops.traffic import moves, touch_all
from irflops.ops.work import Work


def dropout_shape(op: OpView) -> Inferred:
    """As the operand; the mask is bool."""
    types = {"out": op.input("in"), "mask": TensorType(op.input("in").shape, DType.BOOL)}
    return present(op, types)


def mask_like_shape(op: OpView) -> Inferred:
    """A bool per element."""
    return {"out": TensorType(op.input("like").shape, DType.BOOL)}


def bernoulli_shape(op: OpView) -> Inferred:
    """As the operand, with a dtype of its own."""
    return {"out": TensorType(op.input("in").shape, op.dtype_attr())}


def per_element(arg: str, flops: int, transcendentals: int = 0) -> WorkRule:
    """A cost rule: fixed counts per element of an operand, and one more operation for an `_add_to_output`."""

    def cost(op: OpView) -> Work:
        n = op.numel(arg)
        added = n if op.inputs("_add_to_output") else 0
        return Work(arithmetic=flops * n + added, transcendentals=transcendentals * n)

    return cost


_DROPOUT_GRAD = OpRule(
    op_types=("dropout_grad",),
    overwrites={"dx": "dy"},
    summary="The gradient of dropout: dy masked and scaled.",
    formula="flops = 2 numel(dy): one multiplication by the mask, one by the scale; reads dy and mask, writes dx",
    shape=results_like("dy", "dx"),
    cost=per_element("dy", 2),
    traffic=touch_all,
    examples=(
        Example(
            call="dropout_grad(dy: f32[4,8], mask: bool[4,8], scale=2.0) -> dx: f32[4,8]",
            because="32 elements, masked and scaled; 32 floats and 32 bools in, 32 floats out",
            flops=64,
            bytes_read=160,
            bytes_written=128,
        ),
    ),
)


def leaky_shape(op: OpView) -> Inferred:
    """Like the operand, twice."""
    return present(op, {"output": op.input("in"), "noise_data": op.input("in")})


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("rrelu",),
        effects=frozenset({Effect.RANDOM}),
        summary="Numbers below 0 times a random slope of their own, which is kept for the gradient.",
        formula="flops = 3 numel(in): a test, a product, a choice; random bits are not counted; reads in, writes output and noise_data",
        shape=leaky_shape,
        cost=per_element("in", 3),
        traffic=touch_all,
        examples=(
            Example(
                call="rrelu(in: f32[4,8], lower=0.125, upper=0.3, training=true) -> output: f32[4,8], noise_data: f32[4,8]",
                because="32 elements of 3 operations; 32 floats in, twice 32 out",
                flops=96,
                bytes_read=128,
                bytes_written=256,
            ),
        ),
    ),
    OpRule(
        op_types=("dropout",),
        effects=frozenset({Effect.RANDOM}),
        drop_rate="rate",
        summary="Elements set to zero at random, the others scaled up; the mask is kept for the gradient.",
        formula="flops = 2 numel(in): one multiplication by the mask, one by the scale; + numel(in) for _add_to_output; "
        "reads in, writes out and mask",
        shape=dropout_shape,
        cost=per_element("in", 2),
        traffic=touch_all,
        ignores="the random bits",
        examples=(
            Example(
                call="dropout(in: f32[4,8], rate=0.5) -> out: f32[4,8], mask: bool[4,8]",
                because="32 elements, masked and scaled; 32 floats in, 32 floats and 32 bools out",
                flops=64,
                bytes_read=128,
                bytes_written=160,
            ),
            Example(
                call="dropout(in: f32[4], _add_to_output: f32[4], rate=0.5) -> out: f32[4], mask: bool[4]",
                because="4 elements, masked, scaled and added",
                flops=12,
                bytes_read=32,
                bytes_written=20,
            ),
        ),
    ),
    _DROPOUT_GRAD,
    replace(
        _DROPOUT_GRAD,
        op_types=("fused_relu_dropout_grad",),
        overwrites={},
        examples=(
            Example(
                call="fused_relu_dropout_grad(dy: f32[4], mask: i32[1], scale=2.0) -> dx: f32[4]",
                because="4 elements, masked and scaled; 4 floats and a word of mask bits in, 4 floats out",
                flops=8,
                bytes_read=20,
                bytes_written=16,
            ),
        ),
    ),
    OpRule(
        op_types=("random_mask_like",),
        effects=frozenset({Effect.RANDOM}),
        drop_rate="rate",
        summary="A random mask for a later dropout.",
        formula="no arithmetic: random bits are not counted; writes out; like gives the shape alone",
        shape=mask_like_shape,
        cost=no_work,
        traffic=moves(like=("like",)),
        examples=(
            Example(
                call="random_mask_like(like: f32[4,8], rate=0.1) -> out: bool[4,8]",
                because="32 bools",
                flops=0,
                bytes_read=0,
                bytes_written=32,
            ),
        ),
    ),
    OpRule(
        op_types=("bernoulli",),
        effects=frozenset({Effect.RANDOM}),
        summary="A random 0 or 1 per element, by its probability.",
        formula="no arithmetic: drawing is not counted; reads the probabilities, writes out",
        shape=bernoulli_shape,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call='bernoulli(in: f32[5], dtype="float32") -> out: f32[5]',
                because="5 floats each way",
                flops=0,
                bytes_read=20,
                bytes_written=20,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_bias_add_mask_scale",),
        summary="A bias added, then dropout by a given mask.",
        formula="flops = 3 numel(a): an addition, two multiplications (mask, scale); + numel(a) for _add_to_output; "
        "reads everything, writes out",
        shape=results_like("a", "out"),
        cost=per_element("a", 3),
        traffic=touch_all,
        examples=(
            Example(
                call="fused_bias_add_mask_scale(a: f32[4,8], b: f32[8], mask: bool[4,8]) -> out: f32[4,8]",
                because="32 elements, 3 operations each; 128 + 32 + 32 bytes in, 128 out",
                flops=96,
                bytes_read=192,
                bytes_written=128,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_bias_add_gelu",),
        summary="A bias added, then gelu (erf).",
        formula="flops = 5 numel(a): an addition, then gelu's 4; transcendentals = numel(a) (erf); reads both, writes out",
        shape=results_like("a", "out"),
        cost=per_element("a", 5, 1),
        traffic=touch_all,
        examples=(
            Example(
                call="fused_bias_add_gelu(a: f32[4,8], b: f32[8]) -> out: f32[4,8]",
                because="32 elements: add; divide by sqrt 2, erf, add 1, times x, times a half; 128 + 32 bytes in, 128 out",
                flops=160,
                transcendentals=32,
                bytes_read=160,
                bytes_written=128,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_bias_add_gelu_grad",),
        summary="The gradient of gelu (erf) after a bias.",
        formula="flops = 10 numel(dy): an addition, then gelu_grad's 9; transcendentals = 2 numel(dy) (erf, exp); reads everything, "
        "writes dx",
        shape=results_like("dy", "dx"),
        cost=per_element("dy", 10, 2),
        traffic=touch_all,
        examples=(
            Example(
                call="fused_bias_add_gelu_grad(a: f32[4,8], b: f32[8], dy: f32[4,8]) -> dx: f32[4,8]",
                because="32 elements: add; the cdf's divide, add, half, 3; the density's square, half, scale, times x, 4; their sum, "
                "times dy",
                flops=320,
                transcendentals=64,
                bytes_read=288,
                bytes_written=128,
            ),
        ),
    ),
)
