"""Losses over classes: negative log-likelihood, cross-entropy with labels or probabilities, margins; and their gradients."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir.graph import TensorType
from irflops.ops.costs import WorkRule
from irflops.ops.op_view import OpView
from irflops.ops.per_element import common_shape
from irflops.ops.rows import SOFTMAX, row_work
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule, results_like
from irflops.ops.traffic import TrafficRule, moves, touch_all
from irflops.ops.work import Work


def nll_shape(op: OpView) -> Inferred:
    """A loss and its weight for each target, as one vector; `input` has the classes last."""
    predictions, targets = op.shape("input"), op.shape("target")
    if predictions[:-1] != targets:
        raise ValueError(f"input {predictions} is not target {targets} with the classes last")
    each = TensorType((op.numel("target"),), op.input("input").dtype)
    return {"output": each, "out_weight": each}


def per_target(arithmetic: int, transcendentals: int = 0) -> WorkRule:
    """A cost rule: so many operations per target, and one product more for a class weight."""

    def cost(op: OpView) -> Work:
        targets = op.numel("target" if "target" in op.input_args else "label")
        return Work(arithmetic=(arithmetic + len(op.inputs("weight"))) * targets, transcendentals=transcendentals * targets)

    return cost


def label_shape(op: OpView) -> Inferred:
    """`out` has a value for each label; `prob` is like the prediction."""
    prediction, label = op.input("prediction"), op.input("label")
    if op.shape("prediction")[:-1] != op.shape("label"):
        raise ValueError(f"prediction {prediction} is not label {label} with the classes last")
    return {arg: TensorType(label.shape, prediction.dtype) if arg == "out" else prediction for arg in op.output_args}


def soft_label_shape(op: OpView) -> Inferred:
    """`out` drops the classes; `prob` is like the prediction."""
    prediction = op.input("prediction")
    common_shape(op)
    return {"prob": prediction, "out": TensorType(op.shape("prediction")[:-1], prediction.dtype)}


def sparse_softmax_cost(op: OpView) -> Work:
    """Softmax, then the negated logarithm of one probability a row."""
    softmax, rows = row_work(op.shape("prediction"), SOFTMAX), op.numel("label")
    return Work(arithmetic=(softmax.arithmetic or 0) + rows, transcendentals=(softmax.transcendentals or 0) + rows)


def soft_cross_entropy_cost(op: OpView) -> Work:
    """Softmax, then n logarithms, n products, n - 1 additions and a negation a row."""
    softmax, elements = row_work(op.shape("prediction"), SOFTMAX), op.numel("prediction")
    return Work(arithmetic=(softmax.arithmetic or 0) + 2 * elements, transcendentals=(softmax.transcendentals or 0) + elements)


def sparse_softmax_grad_cost(op: OpView) -> Work:
    """One subtraction per label, one product per element."""
    return Work(arithmetic=op.numel("label") + op.numel("prob"))


def soft_cross_entropy_grad_cost(op: OpView) -> Work:
    """A difference and a product per element."""
    return Work(arithmetic=2 * op.numel("prob"))


def margin_shape(op: OpView) -> Inferred:
    """`y` is like `x`; `theta` has an angle for each label, in x's dtype."""
    return {"y": op.input("x"), "theta": TensorType(op.input("label").shape, op.input("x").dtype)}


def _loss(
    op_types: tuple[str, ...],
    summary: str,
    formula: str,
    shape: ShapeRule,
    cost: WorkRule,
    *examples: Example,
    traffic: TrafficRule = touch_all,
    ignores: str = "",
    overwrites: Mapping[str, str] | None = None,
) -> OpRule:
    return OpRule(
        op_types=op_types,
        overwrites=overwrites or {},
        summary=summary,
        formula=formula,
        shape=shape,
        cost=cost,
        traffic=traffic,
        ignores=ignores,
        source="the loss's definition",
        examples=examples,
    )


_NLL = (
    _loss(
        ("nll",),
        "Negated log-likelihood of each target's class, by class weight.",
        "flops = numel(target): -input[target]; numel(target) more for a weight",
        nll_shape,
        per_target(1),
        Example(
            call="nll(input: f32[4,10], target: i64[4], ignore_index=-100) -> output: f32[4], out_weight: f32[4]",
            flops=4,
            transcendentals=0,
            bytes_read=48,
            bytes_written=32,
            because="4 signs; 4 of 40 floats are looked up by 4 integers of 8 bytes",
        ),
        Example(
            call="nll(input: f32[2,3,5], target: i32[2,3], weight: f32[5]) -> output: f32[6], out_weight: f32[6]",
            flops=12,
            bytes_read=72,
            bytes_written=48,
            because="6 signs and 6 products with a class weight; 6 floats, 6 integers and 6 weights are read",
        ),
        traffic=moves(sized_as={"input": "target", "weight": "target"}),
        ignores="the comparison with ignore_index",
    ),
    _loss(
        ("nll_grad",),
        "Gradient of the negated log-likelihood: zero but at each target's class.",
        "flops = numel(target): -out_grad; numel(target) more for a weight",
        results_like("input", "in_grad"),
        per_target(1),
        Example(
            call="nll_grad(out_grad: f32[4], input: f32[4,10], target: i64[4]) -> in_grad: f32[4,10]",
            flops=4,
            transcendentals=0,
            bytes_read=48,
            bytes_written=160,
            because="4 signs; 4 gradients and 4 integers are read, input gives a shape alone; all 40 floats are written",
        ),
        Example(
            call="nll_grad(out_grad: f32[4], input: f32[4,10], target: i64[4], weight: f32[10]) -> in_grad: f32[4,10]",
            flops=8,
            bytes_read=64,
            because="a class weight for each of 4 targets besides",
        ),
        traffic=moves(like=("input",), sized_as={"weight": "target"}),
        ignores="the comparison with ignore_index",
    ),
)

_SPARSE = (
    _loss(
        ("sparse_softmax_cross_entropy", "sparse_softmax_cross_entropy_ms"),
        "Softmax over the last axis, then the negated logarithm of each label's probability.",
        "for each row of n: flops = 4n - 1, transcendentals = n + 1: softmax, then a logarithm and a sign",
        label_shape,
        sparse_softmax_cost,
        Example(
            call="sparse_softmax_cross_entropy(prediction: f32[2,3], label: i64[2], depth=3) -> prob: f32[2,3], out: f32[2]",
            flops=22,
            transcendentals=8,
            bytes_read=40,
            bytes_written=32,
            because="2 rows of 3: 10 of softmax and a sign are 11; 3 exps and a log",
        ),
    ),
    _loss(
        ("sparse_softmax_cross_entropy_grad", "sparse_softmax_cross_entropy_ms_grad"),
        "Gradient of softmax cross-entropy with labels: dy * (prob - 1 at the label).",
        "flops = numel(prob) + numel(label): a subtraction per label, a product per element",
        results_like("prob", "prediction_diff"),
        sparse_softmax_grad_cost,
        Example(
            call="sparse_softmax_cross_entropy_grad(label: i64[2], dy: f32[2], prob: f32[2,3], depth=3) -> prediction_diff: f32[2,3]",
            flops=8,
            transcendentals=0,
            bytes_read=48,
            bytes_written=24,
            because="2 subtractions, 6 products",
        ),
        overwrites={"prediction_diff": "prob"},
    ),
    _loss(
        ("sparse_cross_entropy", "sparse_cross_entropy_ms"),
        "Negated logarithm of each label's probability.",
        "flops = numel(label), transcendentals = numel(label): -log(prediction[label])",
        label_shape,
        per_target(1, 1),
        Example(
            call="sparse_cross_entropy(prediction: f32[4,10], label: i32[4], depth=10) -> out: f32[4]",
            flops=4,
            transcendentals=4,
            bytes_read=32,
            bytes_written=16,
            because="4 logarithms, 4 signs; 4 of 40 floats are looked up by 4 integers",
        ),
        traffic=moves(sized_as={"prediction": "label"}),
    ),
    _loss(
        ("sparse_cross_entropy_grad", "sparse_cross_entropy_ms_grad"),
        "Gradient of the negated logarithm of each label's probability: zero but at the label.",
        "flops = 2 * numel(label): -dy / prediction[label]",
        results_like("prediction", "prediction_diff"),
        per_target(2),
        Example(
            call="sparse_cross_entropy_grad(prediction: f32[4,10], label: i32[4], dy: f32[4], depth=10) -> prediction_diff: f32[4,10]",
            flops=8,
            transcendentals=0,
            bytes_read=48,
            bytes_written=160,
            because="4 signs, 4 quotients; all 40 floats are written",
        ),
        traffic=moves(sized_as={"prediction": "label"}),
    ),
)

_SOFT = (
    _loss(
        ("softmax_cross_entropy",),
        "Softmax over the last axis, then the cross-entropy with given probabilities.",
        "for each row of n: flops = 6n - 2, transcendentals = 2n: softmax, then -sum(label * log(prob))",
        soft_label_shape,
        soft_cross_entropy_cost,
        Example(
            call="softmax_cross_entropy(prediction: f32[2,3], label: f32[2,3]) -> prob: f32[2,3], out: f32[2]",
            flops=32,
            transcendentals=12,
            bytes_read=48,
            bytes_written=32,
            because="2 rows of 3: 10 of softmax, 3 products, 2 additions, a sign are 16; 3 exps and 3 logs",
        ),
    ),
    _loss(
        ("softmax_cross_entropy_grad",),
        "Gradient of softmax cross-entropy with given probabilities: dy * (prob - label).",
        "flops = 2 * numel(prob): a difference and a product per element",
        results_like("prob", "prediction_diff"),
        soft_cross_entropy_grad_cost,
        Example(
            call="softmax_cross_entropy_grad(dy: f32[2], label: f32[2,3], prob: f32[2,3]) -> prediction_diff: f32[2,3]",
            flops=12,
            transcendentals=0,
            bytes_read=56,
            bytes_written=24,
            because="6 differences, 6 products",
        ),
        overwrites={"prediction_diff": "prob"},
    ),
)

_MARGIN = (
    _loss(
        ("combined_margin_loss",),
        "Adds the margins of ArcFace, CosFace and SphereFace to the cosine at each label.",
        "flops = 3 * numel(label), transcendentals = 2 * numel(label): cos(m1 * acos(x) + m2) - m3 at the label, a copy elsewhere",
        margin_shape,
        per_target(3, 2),
        Example(
            call="combined_margin_loss(x: f32[2,5], label: i64[2], m1=1.0, m2=0.5, m3=0.0, depth=5) -> y: f32[2,5], theta: f32[2]",
            flops=6,
            transcendentals=4,
            bytes_read=56,
            bytes_written=48,
            because="2 labels: a product, an addition, a subtraction; acos and cos",
        ),
    ),
    _loss(
        ("combined_margin_loss_grad",),
        "Gradient of the combined margins.",
        "flops = 5 * numel(label), transcendentals = 2 * numel(label): dy * m1 * sin(m1 * theta + m2) / sin(theta) at the label",
        results_like("dy", "dx"),
        per_target(5, 2),
        Example(
            call="combined_margin_loss_grad(dy: f32[2,5], label: i64[2], theta: f32[2]) -> dx: f32[2,5]",
            flops=10,
            transcendentals=4,
            bytes_read=64,
            bytes_written=40,
            because="2 labels: three products, an addition, a quotient; two sines",
        ),
    ),
)

RULES: tuple[OpRule, ...] = (*_NLL, *_SPARSE, *_SOFT, *_MARGIN)
