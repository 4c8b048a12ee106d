"""Softmax and log-softmax over the last axis, their gradients, and softmax fused with scale, mask, bias and dropout."""

from __future__ import annotations

from irflops.ops.costs import WorkRule
from irflops.ops.op_view import OpView
from irflops.ops.rows import LOG_SOFTMAX, LOG_SOFTMAX_GRAD, SOFTMAX, SOFTMAX_GRAD, RowCounts, plus, row_work
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import ShapeRule, results_like
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work


def _row_cost(arg: str, row: RowCounts) -> WorkRule:
    def cost(op: OpView) -> Work:
        return row_work(op.shape(arg), row)

    return cost


def _softmax(
    op_type: str, arg: str, row: RowCounts, summary: str, steps: str, *examples: Example, results: tuple[str, ...], source: str = ""
) -> OpRule:
    """A rule by rows of the operand `arg`, which the results are like."""
    shape: ShapeRule = results_like(arg, *results)
    return OpRule(
        op_types=(op_type,),
        summary=summary,
        formula=f"{row.text}: {steps}",
        shape=shape,
        cost=_row_cost(arg, row),
        traffic=touch_all,
        source=source or "the op's definition",
        examples=examples,
    )


_PLAIN = (
    _softmax(
        "softmax",
        "in",
        SOFTMAX,
        "exp(x - max) over its sum, along the last axis.",
        "n - 1 maxima, n differences, n exps, n - 1 additions, n quotients",
        Example(
            call="softmax(in: f32[2,3]) -> out: f32[2,3]",
            flops=20,
            transcendentals=6,
            bytes_read=24,
            bytes_written=24,
            because="2 rows of 3: 2 maxima, 3 differences, 2 additions, 3 quotients are 10 a row, 3 exps",
        ),
        Example(
            call="softmax(in: f32[4,12,0]) -> out: f32[4,12,0]",
            flops=0,
            transcendentals=0,
            because="rows without elements take nothing",
        ),
        results=("out",),
        source="docs/definitions.md: 4n - 2 and n transcendentals a row",
    ),
    _softmax(
        "softmax_grad",
        "y",
        SOFTMAX_GRAD,
        "dx = y * (dy - sum(y * dy)), along the last axis.",
        "n products, n - 1 additions, n differences, n products",
        Example(
            call="softmax_grad(y: f32[2,3], dy: f32[2,3]) -> dx: f32[2,3]",
            flops=22,
            transcendentals=0,
            bytes_read=48,
            bytes_written=24,
            because="2 rows of 3: 3 products, 2 additions, 3 differences, 3 products are 11 a row",
        ),
        results=("dx",),
    ),
    _softmax(
        "log_softmax",
        "in",
        LOG_SOFTMAX,
        "x - max - log(sum(exp(x - max))), along the last axis.",
        "n - 1 maxima, n differences, n exps, n - 1 additions, a log, n differences",
        Example(
            call="log_softmax(in: f32[2,3]) -> prob: f32[2,3]",
            flops=20,
            transcendentals=8,
            bytes_read=24,
            bytes_written=24,
            because="2 rows of 3: 2 maxima, 3 differences, 2 additions, 3 differences are 10 a row; 3 exps and a log",
        ),
        results=("prob",),
    ),
    _softmax(
        "log_softmax_grad",
        "prob",
        LOG_SOFTMAX_GRAD,
        "dx = dy - exp(prob) * sum(dy), along the last axis; prob is the logarithm that log_softmax gave.",
        "n - 1 additions, n exps, n products, n differences",
        Example(
            call="log_softmax_grad(prob: f32[2,3], dy: f32[2,3]) -> dx: f32[2,3]",
            flops=16,
            transcendentals=6,
            bytes_read=48,
            bytes_written=24,
            because="2 rows of 3: 2 additions, 3 products, 3 differences are 8 a row; 3 exps",
        ),
        results=("dx",),
    ),
)

_FUSED = (
    _softmax(
        "fused_scale_mask_softmax",
        "x",
        plus(SOFTMAX, 2),
        "softmax(select(mask, scale * x, fill)), along the last axis.",
        "n products, n selections, then softmax",
        Example(
            call="fused_scale_mask_softmax(x: f16[2,4,3,3], mask: bool[2,1,3,3]) -> y: f16[2,4,3,3]",
            flops=384,
            transcendentals=72,
            bytes_read=162,
            bytes_written=144,
            because="24 rows of 3: 3 products, 3 selections and 10 of softmax are 16; 72 halves and 18 bools are read",
        ),
        results=("y",),
    ),
    _softmax(
        "fused_scale_mask_softmax_grad",
        "y",
        plus(SOFTMAX_GRAD, 2),
        "Gradient of the scaled and masked softmax.",
        "softmax's gradient, then n products with the scale, n selections",
        Example(
            call="fused_scale_mask_softmax_grad(y: f32[1,2,4], dy: f32[1,2,4], mask: bool[1,2,4]) -> dx: f32[1,2,4]",
            flops=46,
            transcendentals=0,
            bytes_read=72,
            bytes_written=32,
            because="2 rows of 4: 15 of softmax's gradient, 4 products, 4 selections are 23",
        ),
        results=("dx",),
    ),
    _softmax(
        "fused_scale_mask_softmax_dropout",
        "x",
        plus(SOFTMAX, 4),
        "Scaled and masked softmax, then dropout with a given mask; both the softmax and the result are kept.",
        "n products, n selections, softmax, n products with the dropout mask, n with its scale",
        Example(
            call="fused_scale_mask_softmax_dropout(x: f32[2,3], mask: bool[2,3], dropout_mask: bool[2,3]) "
            "-> y: f32[2,3], softmax_y: f32[2,3]",
            flops=44,
            transcendentals=6,
            bytes_read=36,
            bytes_written=48,
            because="2 rows of 3: 6 before, 10 of softmax, 6 after are 22",
        ),
        results=("y", "softmax_y"),
    ),
    _softmax(
        "fused_scale_mask_softmax_dropout_grad",
        "softmax_y",
        plus(SOFTMAX_GRAD, 4),
        "Gradient of the scaled and masked softmax with dropout.",
        "n products with the dropout mask, n with its scale, softmax's gradient, n products with the scale, n selections",
        Example(
            call="fused_scale_mask_softmax_dropout_grad(softmax_y: f32[2,3], dy: f32[2,3], mask: bool[2,3], dropout_mask: bool[2,3]) "
            "-> dx: f32[2,3]",
            flops=46,
            transcendentals=0,
            bytes_read=60,
            bytes_written=24,
            because="2 rows of 3: 6 before, 11 of softmax's gradient, 6 after are 23",
        ),
        results=("dx",),
    ),
    _softmax(
        "fused_tril_scale_softmax_mask_scale",
        "x",
        plus(SOFTMAX, 3),
        "Softmax of the scaled lower triangle, then dropout with a given mask; both the softmax and the result are kept.",
        "n products, softmax, n products with the mask, n with its scale; the upper triangle counts as work",
        Example(
            call="fused_tril_scale_softmax_mask_scale(x: f32[3,3], mask: bool[3,3]) -> y: f32[3,3], softmax_y: f32[3,3]",
            flops=57,
            transcendentals=9,
            bytes_read=45,
            bytes_written=72,
            because="3 rows of 3: 3 before, 10 of softmax, 6 after are 19; which triangle is a matter of indices",
        ),
        results=("y", "softmax_y"),
    ),
    _softmax(
        "fused_tril_scale_softmax_mask_scale_grad",
        "softmax_y",
        plus(SOFTMAX_GRAD, 3),
        "Gradient of the softmax of the scaled lower triangle with dropout.",
        "n products with the mask, n with its scale, softmax's gradient, n products; the upper triangle counts as work",
        Example(
            call="fused_tril_scale_softmax_mask_scale_grad(softmax_y: f32[3,3], dy: f32[3,3], mask: bool[3,3]) -> dx: f32[3,3]",
            flops=60,
            transcendentals=0,
            bytes_read=81,
            bytes_written=36,
            because="3 rows of 3: 6 before, 11 of softmax's gradient, 3 after are 20",
        ),
        results=("dx",),
    ),
    _softmax(
        "fused_scale_mask_bias_softmax_grad",
        "y",
        plus(SOFTMAX_GRAD, 1),
        "Gradient of the scaled softmax with added mask and bias.",
        "softmax's gradient, then n products with the scale",
        Example(
            call="fused_scale_mask_bias_softmax_grad(y: f32[2,3], dy: f32[2,3]) -> dx: f32[2,3]",
            flops=28,
            transcendentals=0,
            bytes_read=48,
            bytes_written=24,
            because="2 rows of 3: 11 of softmax's gradient and 3 products are 14",
        ),
        results=("dx",),
    ),
    _softmax(
        "fused_bias_add_scale_mask_softmax_dropout",
        "x",
        plus(SOFTMAX, 5),
        "softmax(select(mask, scale * (x + bias), fill)), then dropout with a given mask; both the softmax and the result are kept.",
        "n additions, n products, n selections, softmax, n products with the dropout mask, n with its scale",
        Example(
            call="fused_bias_add_scale_mask_softmax_dropout(x: f32[2,3], bias: f32[3], mask: bool[2,3], dropout_mask: bool[2,3]) "
            "-> y: f32[2,3], softmax_y: f32[2,3]",
            flops=50,
            transcendentals=6,
            bytes_read=48,
            bytes_written=48,
            because="2 rows of 3: 9 before, 10 of softmax, 6 after are 25",
        ),
        results=("y", "softmax_y"),
    ),
)


def mask_bias_softmax_cost(op: OpView) -> Work:
    """A product and an addition per element before softmax, and one more addition for a bias."""
    return row_work(op.shape("x"), plus(SOFTMAX, 3 if op.inputs("bias") else 2))


_MASK_BIAS = (
    OpRule(
        op_types=("fused_scale_mask_bias_softmax",),
        summary="softmax(scale * x + mask + bias), along the last axis.",
        formula=f"{plus(SOFTMAX, 2).text}: n products, n additions, then softmax; n additions more for a bias",
        shape=results_like("x", "out"),
        cost=mask_bias_softmax_cost,
        traffic=touch_all,
        source="the op's definition",
        examples=(
            Example(
                call="fused_scale_mask_bias_softmax(x: f32[2,3], mask: f32[2,3], bias: f32[1,3]) -> out: f32[2,3]",
                flops=38,
                transcendentals=6,
                bytes_read=60,
                bytes_written=24,
                because="2 rows of 3: 3 products, 6 additions, 10 of softmax are 19",
            ),
            Example(
                call="fused_scale_mask_bias_softmax(x: f32[2,3], mask: f32[2,3]) -> out: f32[2,3]",
                flops=32,
                because="2 rows of 3: 3 products, 3 additions, 10 of softmax are 16",
            ),
        ),
    ),
)

RULES: tuple[OpRule, ...] = (*_PLAIN, *_FUSED, *_MASK_BIAS)
