"""Losses that compare a prediction with a target element by element, and their gradients."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import WorkRule, fold
from irflops.ops.op_view import OpView
from irflops.ops.per_element import Definition, common_dtype, common_shape, counts_text, elementwise, same_type
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.traffic import touch_all
from irflops.ops.work import MissingAttribute, Work

_SOURCE = "the loss's definition"

PLAIN: Mapping[str, tuple[str, Definition]] = {
    "sigmoid_cross_entropy": ("prediction, label -> loss", (7, 2, "max(x, 0) - x * t + log(1 + exp(-abs(x)))")),
    "sigmoid_cross_entropy_grad": ("prediction, loss_diff, label -> prediction_diff", (2, 1, "loss_diff * (sigmoid(x) - t)")),
    "smooth_l1_loss": ("input, target -> out", (8, 0, "d = abs(x - t); select(d < beta, 0.5 * d * d / beta, d - 0.5 * beta)")),
    "smooth_l1_loss_grad": ("input, target, dy -> dx", (7, 0, "d = x - t; dy * select(abs(d) < beta, d / beta, sign(d))")),
}

_BCE = "-(t * log(x) + (1 - t) * log(1 - x))"
_LOGITS = "max(x, 0) - x * t + log(1 + exp(-abs(x)))"
_LOGITS_POS = "(1 - t) * x + (1 + (p - 1) * t) * (log(1 + exp(-abs(x))) + max(-x, 0))"

BINARY: Mapping[str, tuple[Definition, Definition | None]] = {
    "binary_cross_entropy": ((6, 2, _BCE), None),
    "binary_cross_entropy_grad": ((5, 0, "dy * (x - t) / (x * (1 - x))"), None),
    "binary_cross_entropy_with_logits": ((7, 2, _LOGITS), (13, 2, _LOGITS_POS)),
    "binary_cross_entropy_with_logits_grad": (
        (2, 1, "dy * (sigmoid(x) - t)"),
        (6, 1, "q = p * t; dy * ((q + 1 - t) * sigmoid(x) - q)"),
    ),
}
"""Plain, and with a weight `p` of the positive class. A weight per element is one product more."""

_BINARY_EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    "binary_cross_entropy": (
        Example(
            call="binary_cross_entropy(input: f32[4], target: f32[4]) -> out: f32[4]",
            flops=24,
            transcendentals=8,
            bytes_read=32,
            bytes_written=16,
            because="4 elements: 1 - t, 1 - x, two products, a sum and a sign; two logarithms",
        ),
        Example(
            call="binary_cross_entropy(input: f32[4], target: f32[4], weight: f32[4]) -> out: f32[4]",
            flops=28,
            transcendentals=8,
            bytes_read=48,
            because="and a product with the weight",
        ),
    ),
    "binary_cross_entropy_grad": (
        Example(
            call="binary_cross_entropy_grad(dy: f32[4], input: f32[4], target: f32[4]) -> dx: f32[4]",
            flops=20,
            transcendentals=0,
            bytes_read=48,
            bytes_written=16,
            because="4 elements: two differences, two products, a quotient",
        ),
    ),
    "binary_cross_entropy_with_logits": (
        Example(
            call="binary_cross_entropy_with_logits(input: f16[3,2], target: f32[3,2], has_pos_weight=false) -> out: f32[3,2]",
            flops=42,
            transcendentals=12,
            bytes_read=36,
            bytes_written=24,
            because="6 elements: a maximum, a product, a difference, |x|, a sign, two sums; an exp and a log; the target's dtype",
        ),
        Example(
            call="binary_cross_entropy_with_logits(input: f32[3,2], target: f32[3,2], weight: f32[3,2], pos_weight: f32[2], "
            "has_pos_weight=true) -> out: f32[3,2]",
            flops=84,
            transcendentals=12,
            bytes_read=80,
            because="6 elements: 13 with a positive weight, one product with the weight",
        ),
    ),
    "binary_cross_entropy_with_logits_grad": (
        Example(
            call="binary_cross_entropy_with_logits_grad(dy: f32[3], input: f32[3], target: f32[3]) -> dx: f32[3]",
            flops=6,
            transcendentals=3,
            bytes_read=36,
            bytes_written=12,
            because="3 elements: a difference, a product, a sigmoid; no attribute is needed",
        ),
        Example(
            call="binary_cross_entropy_with_logits_grad(dy: f32[3], input: f32[3], target: f32[3], pos_weight: f32[1]) -> dx: f32[3]",
            flops=18,
            transcendentals=3,
            because="3 elements: two products with p * t and dy, p * t itself, + 1, - t, - p * t",
        ),
    ),
}


def binary_shape(op: OpView) -> Inferred:
    """The operands' one shape; a loss has the target's dtype, a gradient the input's."""
    arg = "target" if op.output_args == ("out",) else "input"
    return dict.fromkeys(op.output_args, TensorType(common_shape(op, "input", "target"), common_dtype(op, arg)))


def _binary_cost(plain: Definition, positive: Definition | None) -> WorkRule:
    """A cost rule by which of the optional weights are present."""

    def cost(op: OpView) -> Work:
        arithmetic, transcendentals, _ = positive if positive and op.inputs("pos_weight") else plain
        elements = op.numel("input")
        return Work(arithmetic=(arithmetic + len(op.inputs("weight"))) * elements, transcendentals=transcendentals * elements)

    return cost


def _binary(op_type: str, plain: Definition, positive: Definition | None) -> OpRule:
    texts = [f"{counts_text(entry[0], entry[1], 'numel(input)')}: {entry[2]}" for entry in (plain, positive) if entry]
    return OpRule(
        op_types=(op_type,),
        summary="Binary cross-entropy, x the input and t the target." if "grad" not in op_type else "Gradient of binary cross-entropy.",
        formula=f"{'; with pos_weight p: '.join(texts)}; numel(input) more for a weight",
        shape=binary_shape,
        cost=_binary_cost(plain, positive),
        traffic=touch_all,
        source=f"{_SOURCE}, in its stable form where it takes logits",
        examples=_BINARY_EXAMPLES[op_type],
    )


def mean_cost(op: OpView) -> Work:
    """The loss of each element, their sum and one division."""
    elements = op.numel("input")
    return Work(arithmetic=7 * elements + fold(elements, 1) + 1, transcendentals=2 * elements)


def mean_grad_cost(op: OpView) -> Work:
    """One division of dy, then a difference and a product per element."""
    elements = op.numel("input")
    return Work(arithmetic=2 * elements + 1, transcendentals=elements)


def kl_div_grad_cost(op: OpView) -> Work:
    """Two operations per element in either form; the logarithm of the target takes an exp besides."""
    elements = op.numel("input")
    try:
        exps = elements if op.flag("log_target") else 0
    except MissingAttribute as missing:
        raise MissingAttribute(missing.what, known=Work(arithmetic=2 * elements, transcendentals=None)) from None
    return Work(arithmetic=2 * elements, transcendentals=exps)


def mean_shape(op: OpView) -> Inferred:
    """A scalar in the target's dtype."""
    common_shape(op)
    return {"out": TensorType((), op.input("target").dtype)}


def mean_grad_shape(op: OpView) -> Inferred:
    """The input's type."""
    common_shape(op, "input", "target")
    return {"dx": op.input("input")}


def kl_div_cost(op: OpView) -> Work:
    """Two operations and one transcendental per element, whether or not the target is a logarithm."""
    elements = op.numel("input")
    return Work(arithmetic=2 * elements, transcendentals=elements)


def both_ways_shape(op: OpView) -> Inferred:
    """One number, in a dtype of its own or the target's; a gradient like the input."""
    named = op.attrs.get("out_dtype")
    dtype = DType.named(named) or op.input("target").dtype
    return {"out": TensorType((), dtype), "dx": op.input("input")}


def both_ways_cost(op: OpView) -> Work:
    """The mean and its gradient for a number that is known before."""
    elements = op.numel("input")
    return Work(arithmetic=10 * elements, transcendentals=3 * elements)


_MEAN = (
    OpRule(
        op_types=("fused_bce_reduce_mean_fw_bw",),
        summary="Mean of the binary cross-entropy of logits, and its gradient with it.",
        formula=f"flops = 10 * numel(input), transcendentals = 3 * numel(input): the mean of {_LOGITS}; c / n * (sigmoid(x) - t)",
        shape=both_ways_shape,
        cost=both_ways_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call="fused_bce_reduce_mean_fw_bw(input: f32[2,3], target: f32[2,3], constant_value=1.0) -> out: f32[], dx: f32[2,3]",
                flops=60,
                transcendentals=18,
                bytes_read=48,
                bytes_written=28,
                because="6 losses of 7 operations, 5 additions, one division; a difference and a product for 6 elements",
            ),
        ),
    ),
    OpRule(
        op_types=("binary_cross_entropy_with_logits_reduce_mean",),
        summary="Mean of the binary cross-entropy of logits.",
        formula=f"flops = 8 * numel(input), transcendentals = 2 * numel(input): the mean of {_LOGITS}",
        shape=mean_shape,
        cost=mean_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call="binary_cross_entropy_with_logits_reduce_mean(input: f32[2,3], target: f32[2,3]) -> out: f32[]",
                flops=48,
                transcendentals=12,
                bytes_read=48,
                bytes_written=4,
                because="6 losses of 7 operations, 5 additions, one division",
            ),
        ),
    ),
    OpRule(
        op_types=("binary_cross_entropy_with_logits_reduce_mean_grad",),
        summary="Gradient of the mean of the binary cross-entropy of logits.",
        formula="flops = 2 * numel(input) + 1, transcendentals = numel(input): g = dy / n; g * (sigmoid(x) - t)",
        shape=mean_grad_shape,
        cost=mean_grad_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call="binary_cross_entropy_with_logits_reduce_mean_grad(dy: f32[], input: f32[2,3], target: f32[2,3]) -> dx: f32[2,3]",
                flops=13,
                transcendentals=6,
                bytes_read=52,
                bytes_written=24,
                because="one division, then a difference and a product for 6 elements",
            ),
        ),
    ),
)

_KL_DIV = (
    OpRule(
        op_types=("kl_div_loss",),
        summary="Kullback-Leibler divergence of each element, the input a logarithm.",
        formula="flops = 2 * numel(input), transcendentals = numel(input): t * (log(t) - x), or with log_target exp(t) * (t - x)",
        shape=same_type(),
        cost=kl_div_cost,
        traffic=touch_all,
        ignores="the test for t = 0",
        source=_SOURCE,
        examples=(
            Example(
                call="kl_div_loss(input: f32[3], target: f32[3]) -> out: f32[3]",
                flops=6,
                transcendentals=3,
                bytes_read=24,
                bytes_written=12,
                because="3 elements: a difference and a product, a log or an exp; both forms of the target cost the same",
            ),
        ),
    ),
    OpRule(
        op_types=("kl_div_loss_grad",),
        summary="Gradient of the Kullback-Leibler divergence.",
        formula="flops = 2 * numel(input): -t * dy, or with log_target transcendentals = numel(input) besides: -exp(t) * dy",
        shape=same_type(),
        cost=kl_div_grad_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call="kl_div_loss_grad(dy: f32[3], input: f32[3], target: f32[3], log_target=true) -> dx: f32[3]",
                flops=6,
                transcendentals=3,
                bytes_read=36,
                bytes_written=12,
                because="3 elements: an exp, a sign, a product",
            ),
            Example(
                call="kl_div_loss_grad(dy: f32[3], input: f32[3], target: f32[3], log_target=false) -> dx: f32[3]",
                flops=6,
                transcendentals=0,
                because="3 elements: a sign, a product",
            ),
            Example(
                call="kl_div_loss_grad(dy: f32[3], input: f32[3], target: f32[3]) -> dx: f32[3]",
                flops=6,
                transcendentals="unknown",
                because="a printed graph does not tell whether the target is a logarithm",
            ),
        ),
    ),
)

RULES: tuple[OpRule, ...] = (
    *(rule for op_type, (signature, entry) in PLAIN.items() for rule in elementwise(signature, {op_type: entry}, source=_SOURCE)),
    *(_binary(op_type, *entries) for op_type, entries in BINARY.items()),
    *_MEAN,
    *_KL_DIV,
)
