"""Root mean square and L2 normalization, and their gradients."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.normalizing import (
    norm_cost,
    norm_grad_cost,
    param_grad_cost,
    rows_norm_shape,
    statistics_type,
    with_statistics,
)
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, normal_axis, results_like
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work


def rms_norm_shape(op: OpView) -> Inferred:
    """Statistics over the last axes, as many as the weight or `normalized_shape` has."""
    x = op.shape("x")
    normalized = op.shape("weight") if op.inputs("weight") else op.ints("normalized_shape")
    rows = len(x) - len(normalized)
    if rows < 0 or x[rows:] != normalized:
        raise ValueError(f"x {x} does not end in {normalized}")
    return with_statistics(op, x[:rows], "inv_rms")


def rms_norm_param_grad_shape(op: OpView) -> Inferred:
    """The axes that the statistics do not have."""
    return {"weight_grad": TensorType(op.shape("dy")[len(op.shape("inv_rms")) :], op.input("x").dtype)}


def l2_normalize_shape(op: OpView) -> Inferred:
    """Sums of squares along `axis`, which stays as 1."""
    x = op.shape("x")
    axis = normal_axis(op.integer("axis"), len(x))
    sums = statistics_type((*x[:axis], 1, *x[axis + 1 :]), op.input("x").dtype)
    return {"y": op.input("x"), "square_x_sum": sums}


def l2_normalize_cost(op: OpView) -> Work:
    """Three operations per element and a square root per sum."""
    return Work(arithmetic=3 * op.numel("x"), transcendentals=op.numel("square_x_sum"))


def l2_normalize_grad_cost(op: OpView) -> Work:
    """Five operations per element, one and a square root per sum."""
    sums = op.numel("square_x_sum")
    return Work(arithmetic=5 * op.numel("y") + sums, transcendentals=sums)


_RMS = "3n + g and g rsqrt for n elements in g rows: square n, sum and divide n, + epsilon g, scale n; + n for the weight"

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("rms_norm",),
        summary="Division by the root mean square of the last axes.",
        formula=_RMS,
        shape=rms_norm_shape,
        cost=norm_cost(statistic="inv_rms", centred=False),
        traffic=touch_all,
        source="Zhang and Sennrich, arXiv 1910.07467",
        examples=(
            Example(
                call="rms_norm(x: f16[2,3,4], weight: f16[4], normalized_shape=[4]) -> y: f16[2,3,4], inv_rms: f32[2,3]",
                flops=102,
                transcendentals=6,
                bytes_read=56,
                bytes_written=48 + 24,
                because="per row of 4: square 4, mean 3 + 1, epsilon 1, scale 4, weight 4: 17, times 6",
            ),
            Example(
                call="rms_norm(x: f32[2,3,4]) -> y: f32[2,3,4], inv_rms: f32[2,3]",
                inferable=False,
                flops=78,
                because="a printed graph, no weight: 13 per row",
            ),
        ),
    ),
    OpRule(
        op_types=("rms_norm_grad",),
        summary="Gradient of rms_norm for its data.",
        formula="6n for n elements in g rows: normalized x again n, * dy n, sum n - g, mean g, dx = inv_rms (dy - x' mean) 3n; + n where "
        "the weight scales dy",
        shape=results_like("dy", "dx"),
        cost=norm_grad_cost(centred=False),
        traffic=touch_all,
        examples=(
            Example(
                call="rms_norm_grad(dy: f32[2,3,4], x: f32[2,3,4], inv_rms: f32[2,3], weight: f32[4]) -> dx: f32[2,3,4]",
                flops=168,
                transcendentals=0,
                because="per row of 4: x' 4, weight 4, products and sum 4 + 3, mean 1, dx 12: 28, times 6",
            ),
        ),
    ),
    OpRule(
        op_types=("rms_norm_param_grad",),
        summary="Gradient of rms_norm for its weight.",
        formula="3n - p for p parameters: normalized x n, * dy n, sum n - p",
        shape=rms_norm_param_grad_shape,
        cost=param_grad_cost(weight_grad=3),
        traffic=touch_all,
        examples=(
            Example(
                call="rms_norm_param_grad(dy: f32[2,3,4], x: f32[2,3,4], inv_rms: f32[2,3]) -> weight_grad: f32[4]",
                flops=68,
                because="per parameter of 6 rows: 6 x 2 and 5 additions: 17, times 4",
            ),
        ),
    ),
    OpRule(
        op_types=("skip_rms_norm",),
        summary="rms_norm of x + bias + alpha * skip over the last axis.",
        formula=f"n for the bias, 2n for skip; {_RMS}",
        shape=rows_norm_shape("inv_rms"),
        cost=norm_cost(statistic="inv_rms", centred=False),
        traffic=touch_all,
        examples=(
            Example(
                call="skip_rms_norm(x: f32[2,3,4], weight: f32[4], skip: f32[2,3,4]) -> y: f32[2,3,4], inv_rms: f32[6]",
                flops=150,
                because="17 per row as in rms_norm, and 2 x 4 for skip: 25, times 6",
            ),
        ),
    ),
    OpRule(
        op_types=("l2_normalize",),
        summary="Division by the Euclidean length along an axis.",
        formula="3n and g sqrt for n elements in g vectors: square n, sum n - g, at least epsilon g, divide n",
        shape=l2_normalize_shape,
        cost=l2_normalize_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="l2_normalize(x: f32[2,5], axis=1) -> y: f32[2,5], square_x_sum: f32[2,1]",
                flops=30,
                transcendentals=2,
                bytes_written=4 * 12,
                because="per vector of 5: 5 + 4 + 1 + 5 = 15",
            ),
            Example(
                call="l2_normalize(x: f32[2,5]) -> y: f32[2,5], square_x_sum: f32[1,5]",
                inferable=False,
                flops=30,
                transcendentals=5,
                because="a printed graph, the other axis: 6 per vector of 2, 5 vectors",
            ),
        ),
    ),
    OpRule(
        op_types=("l2_normalize_grad",),
        summary="Gradient of l2_normalize.",
        formula="5n + g and g sqrt for n elements in g vectors: dy y summed 2n - g, at least epsilon g, inverse g, dx = (dy - y sum) "
        "inverse 3n",
        shape=results_like("dy", "dx"),
        cost=l2_normalize_grad_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="l2_normalize_grad(dy: f32[2,5], y: f32[2,5], square_x_sum: f32[2,1]) -> dx: f32[2,5]",
                flops=52,
                transcendentals=2,
                because="per vector of 5: 5 + 4 + 1 + 1 + 15 = 26",
            ),
        ),
    ),
)
