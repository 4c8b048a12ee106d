"""Activation functions and their gradients, each with a formula of its own."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir.graph import TensorType
from irflops.ops.costs import fold
from irflops.ops.op_view import OpView
from irflops.ops.per_element import Definition, common_shape, elementwise, per_element
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, results_like
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work

_SOURCE = "docs/definitions.md for gelu; the function's paper or definition for the rest, both branches of a select counted"

_TANH_ARGUMENT = "C * (x + K * x * x * x)"
_GELU_TANH_SLOPE = f"t = tanh({_TANH_ARGUMENT}); 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * C * (1 + 3 * K * x * x)"
_GATED_SLOPES = (
    f"t = tanh({_TANH_ARGUMENT}); h = 0.5 * (1 + t); "
    "out_diff * multiplier * (h + 0.5 * x * (1 - t * t) * C * (1 + 3 * K * x * x)), out_diff * (x * h)"
)

FROM_IN: Mapping[str, Definition] = {
    "celu": (5, 1, "select(x > 0, x, alpha * (exp(x / alpha) - 1))"),
    "elu": (4, 1, "select(x > 0, x, alpha * (exp(x) - 1))"),
    "fast_gelu": (8, 1, f"0.5 * x * (1 + tanh({_TANH_ARGUMENT}))"),
    "gelu": (4, 1, "0.5 * x * (1 + erf(x / sqrt(2)))"),
    "hardshrink": (4, 0, "select((x >= -lambd) and (x <= lambd), 0, x)"),
    "hardsigmoid": (4, 0, "min(max(x + 3, 0), 6) / 6"),
    "hardswish": (5, 0, "x * min(max(x + 3, 0), 6) / 6"),
    "hardtanh": (2, 0, "min(max(x, low), high)"),
    "mish": (2, 3, "x * tanh(log(1 + exp(x)))"),
    "selu": (5, 1, "scale * select(x > 0, x, alpha * (exp(x) - 1))"),
    "silu": (1, 1, "x * sigmoid(x)"),
    "softshrink": (6, 0, "select(x > alpha, x - alpha, select(x < -alpha, x + alpha, 0))"),
    "softsign": (3, 0, "x / (1 + abs(x))"),
    "threshold": (2, 0, "select(x > threshold, x, value)"),
}

FROM_X: Mapping[str, Definition] = {
    "leaky_relu": (3, 0, "select(x > 0, x, alpha * x)"),
    "log_sigmoid": (3, 2, "-log(1 + exp(-x))"),
    "quick_gelu": (2, 1, "x * sigmoid(1.702 * x)"),
    "relu": (1, 0, "max(x, 0)"),
    "softplus": (5, 2, "u = beta * x; select(u > threshold, x, log(1 + exp(u)) / beta)"),
    "square_relu": (2, 0, "r = max(x, 0); r * r"),
}

GRADS_FROM_X: Mapping[str, Definition] = {
    # 0.9.0 hands over the input of celu, later versions its result; MLIR prints no argument names, so all forms are counted alike.
    "celu_grad": (4, 1, "select(x > 0, dy, dy * exp(x / alpha))"),
    "elu_grad": (4, 1, "select(x > 0, dy, alpha * dy * exp(x))"),
    "fast_gelu_grad": (18, 1, _GELU_TANH_SLOPE.replace("; ", "; dy * (") + ")"),
    "gelu_grad": (9, 2, "dy * (0.5 * (1 + erf(x / sqrt(2))) + x * (1 / sqrt(2 * pi) * exp(-0.5 * x * x)))"),
    "hardsigmoid_grad": (5, 0, "select((x > -3) and (x < 3), dy / 6, 0)"),
    "hardswish_grad": (7, 0, "select(x < -3, 0, select(x < 3, dy * (x / 3 + 0.5), dy))"),
    "leaky_relu_grad": (3, 0, "select(x > 0, dy, alpha * dy)"),
    "log_sigmoid_grad": (2, 1, "dy / (1 + exp(x))"),
    "mish_grad": (7, 4, "t = tanh(log(1 + exp(x))); dy * (t + x * sigmoid(x) * (1 - t * t))"),
    "quick_gelu_grad": (6, 1, "u = 1.702 * x; s = sigmoid(u); dy * (s + u * s * (1 - s))"),
    "selu_grad": (5, 1, "scale * select(x > 0, dy, alpha * dy * exp(x))"),
    "silu_grad": (5, 1, "s = sigmoid(x); dy * s * (1 + x * (1 - s))"),
    "softplus_grad": (4, 1, "u = beta * x; select(u > threshold, dy, dy * sigmoid(u))"),
    "softsign_grad": (4, 0, "d = 1 + abs(x); dy / (d * d)"),
    "square_relu_grad": (3, 0, "2 * max(x, 0) * dy"),
    "threshold_grad": (2, 0, "select(x > threshold, dy, 0)"),
}

GRADS_FROM_Y: Mapping[str, Definition] = {
    "hardshrink_grad": (2, 0, "select(y == 0, 0, dy)"),
    "hardtanh_grad": (4, 0, "select((y > low) and (y < high), dy, 0)"),
    "relu_grad": (2, 0, "select(y > 0, dy, 0)"),
    "softshrink_grad": (2, 0, "select(y == 0, 0, dy)"),
}

GATED: Mapping[str, tuple[str, Definition]] = {
    "fused_fast_gelu_mul": ("in, multiplier -> out", (9, 1, f"0.5 * x * (1 + tanh({_TANH_ARGUMENT})) * multiplier")),
    "fused_fast_gelu_mul_grad": (
        "out_diff, in, multiplier -> in_diff, multiplier_diff",
        (
            21,
            1,
            _GATED_SLOPES,
        ),
    ),
}

_HAND_MADE: Mapping[str, tuple[Example, ...]] = {
    "gelu": (
        Example(
            call="gelu(in: f32[2,4,8]) -> out: f32[2,4,8]",
            flops=256,
            transcendentals=64,
            bytes_read=256,
            bytes_written=256,
            because="64 elements: a division, an addition and two products around one erf",
        ),
    ),
    "relu": (
        Example(
            call="relu(x: f16[1,64,7,7]) -> y: f16[1,64,7,7]",
            flops=3136,
            transcendentals=0,
            bytes_read=6272,
            bytes_written=6272,
            because="3136 elements of 2 bytes, one maximum each",
        ),
    ),
    "softplus": (
        Example(
            call="softplus(in: f32[3]) -> out: f32[3]",
            flops=15,
            transcendentals=6,
            because="the argument names of 0.9.0: a product, a test, an addition, a quotient, a choice; exp and log",
        ),
    ),
    "gelu_grad": (
        Example(
            call="gelu_grad(dy: f32[10], x: f32[10]) -> dx: f32[10]",
            flops=90,
            transcendentals=20,
            bytes_read=80,
            bytes_written=40,
            because="Phi(x) takes 3 and an erf, x * phi(x) takes 4 and an exp, their sum 1, the product with dy 1",
        ),
    ),
    "hardswish": (
        Example(
            call="hardswish(in: f32[4]) -> out: f32[4]",
            flops=20,
            transcendentals=0,
            because="x + 3, a maximum, a minimum, a product and a quotient for 4 elements",
        ),
    ),
}


def prelu_grad_shape(op: OpView) -> Inferred:
    """`dx` is like `x`, `alpha_diff` like `alpha`."""
    alpha = op.input("alpha")
    return {"dx": TensorType(common_shape(op, "dy", "x"), op.input("x").dtype), "alpha_diff": alpha}


def prelu_grad_cost(op: OpView) -> Work:
    """A test, two selections and two products per element, and the sum of alpha's share down to its shape."""
    elements = op.numel("x")
    return Work(arithmetic=5 * elements + fold(elements, op.numel("alpha")))


_PRELU = (
    OpRule(
        op_types=("prelu", "tf_prelu"),
        summary="relu with a learned slope for negative elements, one or one per channel.",
        formula="flops = 3 * numel(y): select(x > 0, x, alpha * x)",
        shape=results_like("x", "y"),
        cost=per_element(3, 0),
        traffic=touch_all,
        source="He et al., arXiv 1502.01852",
        examples=(
            Example(
                call="prelu(x: f32[2,3,4], alpha: f32[3]) -> y: f32[2,3,4]",
                flops=72,
                transcendentals=0,
                bytes_read=108,
                bytes_written=96,
                because="24 elements: a test, a product, a choice; 24 + 3 floats are read",
            ),
        ),
    ),
    OpRule(
        op_types=("prelu_grad", "tf_prelu_grad"),
        summary="Gradient of prelu by its input and by its slopes.",
        formula="flops = 5 * numel(x) + numel(x) - numel(alpha): dx = select(x > 0, dy, alpha * dy), "
        "alpha_diff = sum(select(x > 0, 0, dy * x)), the test shared",
        shape=prelu_grad_shape,
        cost=prelu_grad_cost,
        traffic=touch_all,
        source="He et al., arXiv 1502.01852",
        examples=(
            Example(
                call="prelu_grad(dy: f32[2,3,4], x: f32[2,3,4], alpha: f32[3]) -> dx: f32[2,3,4], alpha_diff: f32[3]",
                flops=141,
                transcendentals=0,
                bytes_read=204,
                bytes_written=108,
                because="24 elements: a test, two choices, two products are 120; 3 sums of 8 terms are 21",
            ),
        ),
    ),
)

_GRADS_IN_PLACE = {"relu_grad": "dy", "hardshrink_grad": "dy", "hardtanh_grad": "dy"}

RULES: tuple[OpRule, ...] = (
    *elementwise("in -> out", FROM_IN, examples=_HAND_MADE, source=_SOURCE, in_place={"hardshrink": "in", "hardtanh": "in"}),
    *elementwise("x -> y", FROM_X, examples=_HAND_MADE, source=_SOURCE, in_place={"relu": "x"}),
    *elementwise("x, dy -> dx", GRADS_FROM_X, examples=_HAND_MADE, source=_SOURCE),
    *elementwise("y, dy -> dx", GRADS_FROM_Y, source=_SOURCE, in_place=_GRADS_IN_PLACE),
    *(rule for op_type, (signature, entry) in GATED.items() for rule in elementwise(signature, {op_type: entry}, source=_SOURCE)),
    *_PRELU,
)
