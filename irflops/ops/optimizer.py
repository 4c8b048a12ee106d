"""Optimizers whose gradient is as large as their model, by the update formulas of updates.py."""

from __future__ import annotations

from irflops.ir.graph import DType, TensorType
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, no_result_shape
from irflops.ops.temporary import TemporaryRule, no_buffer, update_buffer
from irflops.ops.traffic import moves, touch_all
from irflops.ops.updates import (
    ADADELTA,
    ADAGRAD,
    ADAGRAD_STEPS,
    ADAM,
    ADAM_STEPS,
    AVERAGE,
    FTRL,
    FTRL_STEPS,
    IGNORES,
    LAMB,
    LARS,
    MOMENTUM,
    MOMENTUM_STEPS,
    RMSPROP,
    SGD,
    SGD_STEPS,
    SOURCE,
    Update,
    update_cost,
)
from irflops.ops.work import Work

_IN_PLACE = "model and states are read and written, the rest is read, model_copy is written"


def factor_shape(_op: OpView) -> Inferred:
    """One float."""
    return {"out": TensorType((1,), DType.FLOAT32)}


def factor_cost(op: OpView) -> Work:
    """1 - beta^(step + 1)."""
    return Work(arithmetic=2 * op.numel("train_step"), transcendentals=op.numel("train_step"))


def dense(
    op_types: tuple[str, ...],
    summary: str,
    formula: str,
    update: Update,
    paper: str,
    *examples: Example,
    temporary: TemporaryRule = no_buffer,
) -> OpRule:
    """The rule of an optimizer whose gradient is as large as its model."""
    return OpRule(
        op_types=op_types,
        temporary=temporary,
        summary=summary,
        formula=f"per element: {formula}; 1 more for scale_by_tensor; {_IN_PLACE}",
        shape=no_result_shape,
        cost=update_cost(update),
        traffic=moves(like=("model_copy",)),
        updates=("model", "model_copy", *update.states),
        ignores=IGNORES,
        source=f"{SOURCE}; {paper}",
        examples=examples,
    )


RULES: tuple[OpRule, ...] = (
    dense(
        ("sgd_update", "multi_tensor_sgd_update", "multi_tensor_sgd_update_with_cast"),
        "Stochastic gradient descent with decoupled weight decay.",
        SGD_STEPS,
        SGD,
        "Robbins and Monro 1951",
        Example(
            call="sgd_update(model: f32[16,3,3,3], model_diff: f32[16,3,3,3], learning_rate: f32[1]) -> ()",
            because="432 weights: wd * w, g +, lr *, w -, 4 each; reads w, g and lr, 865 floats, writes w",
            flops=1728,
            transcendentals=0,
            bytes_read=3460,
            bytes_written=1728,
        ),
        Example(
            call="sgd_update(model: f32[10], model_diff: f16[10], model_copy: f16[10], learning_rate: f32[1], scale_by_tensor: f32[1],"
            " skip_if: i64[1]) -> ()",
            because="10 weights: 4 each and g * scale; reads 40 + 20 + 4 + 4 + 8 bytes, writes w (40) and its copy (20)",
            flops=50,
            bytes_read=76,
            bytes_written=60,
        ),
        Example(
            call="multi_tensor_sgd_update(model: [f32[3], f32[2]], model_diff: [f32[3], f32[2]], learning_rate: f32[1]) -> ()",
            because="5 weights over two tensors, 4 each; reads 11 floats, writes 5",
            flops=20,
            bytes_read=44,
            bytes_written=20,
        ),
    ),
    dense(
        ("momentum_update", "multi_tensor_momentum_update", "multi_tensor_momentum_update_with_cast"),
        "Stochastic gradient descent with momentum.",
        f"{MOMENTUM_STEPS}; Nesterov's variant counts the same: its flag is an attribute that a printed graph lacks",
        MOMENTUM,
        "Polyak 1964",
        Example(
            call="momentum_update(model: f32[72], model_diff: f32[72], learning_rate: f32[1], momentum: f32[72]) -> ()",
            because="72 weights: beta * m, (1 - d) * g, their sum; lr * m, w -, (lr wd) * w, -: 7 each; reads 217 floats, writes w and m",
            flops=504,
            transcendentals=0,
            bytes_read=868,
            bytes_written=576,
        ),
    ),
    dense(
        ("adam_update", "multi_tensor_adam_update", "multi_tensor_adam_update_with_cast"),
        "Adam, AdamW and AMSGrad.",
        ADAM_STEPS,
        ADAM,
        "Kingma and Ba 2014, arXiv 1412.6980; Loshchilov and Hutter 2017, arXiv 1711.05101; Reddi et al. 2018",
        Example(
            call="adam_update(model: f32[1000,256], model_diff: f32[1000,256], learning_rate: f32[1], m: f32[1000,256], v: f32[1000,256],"
            " bias_correction1: f32[1], bias_correction2: f32[1]) -> ()",
            because="256000 weights: m 3, v 4, division by sqrt(bias_correction2) and + eps 2, update 5, makes 14, and a root;"
            " reads 4 * 256000 + 3 floats, writes w, m, v",
            flops=3584000,
            transcendentals=256000,
            bytes_read=4096012,
            bytes_written=3072000,
        ),
        Example(
            call="adam_update(model: f32[10], model_diff: f32[10], learning_rate: f32[1], m: f32[10], v: f32[10], max_v: f32[10]) -> ()",
            because="10 weights: m 3, v 4, a maximum 1, + eps 1, update 5, makes 14 without corrections; reads 51 floats, writes 40",
            flops=140,
            transcendentals=10,
            bytes_read=204,
            bytes_written=160,
        ),
    ),
    dense(
        ("adagrad_update",),
        "Adagrad.",
        ADAGRAD_STEPS,
        ADAGRAD,
        "Duchi, Hazan and Singer 2011",
        Example(
            call="adagrad_update(model: f32[10], model_diff: f32[10], learning_rate: f32[1], train_step: i64[1], sum: f32[10]) -> ()",
            because="10 weights: g * g, sum +; root, + eps, lr /, * g, w -, (lr wd) * w, -: 8 and a root; reads 31 floats and 8 bytes",
            flops=80,
            transcendentals=10,
            bytes_read=132,
            bytes_written=80,
        ),
    ),
    dense(
        ("rmsprop_update",),
        "RMSprop, centered where mean_gradient is present.",
        "s <- rho * s + (1 - rho) * g * g: 4; w <- w - lr * g * rsqrt(s + eps): 4; centered: a <- rho * a + (1 - rho) * g: 3, s - a * a: "
        "2; one rsqrt",
        RMSPROP,
        "Tieleman and Hinton 2012; OneFlow applies no weight decay here",
        Example(
            call="rmsprop_update(model: f32[16], model_diff: f32[16], learning_rate: f32[1], mean_square: f32[16]) -> ()",
            because="16 weights: s 4, + eps, lr * g, * rsqrt, w -: 8 and an rsqrt; reads 49 floats, writes w and s",
            flops=128,
            transcendentals=16,
            bytes_read=196,
            bytes_written=128,
        ),
        Example(
            call="rmsprop_update(model: f32[16], model_diff: f32[16], learning_rate: f32[1], mean_square: f32[16], mean_gradient: "
            "f32[16]) -> ()",
            because="3 for the mean gradient, 2 for its square taken off: 13",
            flops=208,
            transcendentals=16,
            bytes_read=260,
            bytes_written=192,
        ),
    ),
    dense(
        ("lamb_update",),
        "LAMB: Adam's step, scaled by the norm of the weights over its own.",
        "m 3, v 4 as Adam; r = (m / bias_correction1) / (sqrt(v) / sqrt(bias_correction2) + eps): 2, and 1 for each correction there is; "
        "w <- w - rate * (r + wd * w): 4; one sqrt. Once: |w| and |r|: 2 (2n - 1) and 2 sqrt; rate = lr * |w| / |r|: 2",
        LAMB,
        "You et al. 2019, arXiv 1904.00962",
        Example(
            call="lamb_update(model: f32[16,3,3,3], model_diff: f32[16,3,3,3], m: f32[16,3,3,3], v: f32[16,3,3,3], learning_rate: f32[1],"
            " bias_correction1: f32[1], bias_correction2: f32[1], skip_if: i64[1]) -> ()",
            because="432 weights: 3 + 4 + 4 + 4 = 15 each, 6480; norms 2 * (432 + 431) = 1726; rate 2; 432 + 2 roots;"
            " reads 4 * 432 + 3 floats and 8 bytes, writes w, m, v",
            flops=8208,
            transcendentals=434,
            bytes_read=6932,
            bytes_written=5184,
        ),
        temporary=update_buffer,
    ),
    dense(
        ("lars_update",),
        "LARS: momentum with a rate for each tensor.",
        "m <- beta * m - rate * g: 3; w <- w + m - (rate * wd) * w: 3. Once: |w| and |g|: 2 (2n - 1) and 2 sqrt; "
        "rate = lr * coefficient * |w| / (eps + |g| + wd * |w|): 6; rate * wd: 1",
        LARS,
        "You, Gitman and Ginsburg 2017, arXiv 1708.03888",
        Example(
            call="lars_update(model: f32[10], model_diff: f32[10], learning_rate: f32[1], momentum: f32[10]) -> ()",
            because="10 weights, 6 each; norms 2 * (10 + 9) = 38; rate 7; 2 roots; reads 31 floats, writes w and m",
            flops=105,
            transcendentals=2,
            bytes_read=124,
            bytes_written=80,
        ),
        temporary=update_buffer,
    ),
    dense(
        ("adadelta_update",),
        "Adadelta.",
        "s <- rho * s + (1 - rho) * g * g: 4; d = sqrt(a + eps) / sqrt(s + eps) * g: 4; a <- rho * a + (1 - rho) * d * d: 4; "
        "w <- w - lr * d: 2; two sqrt",
        ADADELTA,
        "Zeiler 2012, arXiv 1212.5701; OneFlow applies no weight decay here",
        Example(
            call="adadelta_update(model: f32[10], model_diff: f32[10], learning_rate: f32[1], square_avgs: f32[10], acc_deltas: f32[10]) "
            "-> ()",
            because="10 weights: 4 + 4 + 4 + 2 and 2 roots; reads 41 floats, writes 30",
            flops=140,
            transcendentals=20,
            bytes_read=164,
            bytes_written=120,
        ),
    ),
    dense(
        ("ftrl_update",),
        "FTRL-Proximal.",
        FTRL_STEPS,
        FTRL,
        "McMahan et al. 2013",
        Example(
            call="ftrl_update(model: f32[10], model_diff: f32[10], learning_rate: f32[1], accumulate: f32[10], z: f32[10]) -> ()",
            because="10 weights: 2 + 2 + 3 + 2 + 6 + 2 + 1 and 2 pow; reads 41 floats, writes 30",
            flops=180,
            transcendentals=20,
            bytes_read=164,
            bytes_written=120,
        ),
    ),
    dense(
        ("multi_tensor_yolov5_weight_update",),
        "A moving average of weights.",
        "w <- d * w + (1 - d) * update: 3",
        AVERAGE,
        "the average that YOLOv5 keeps",
        Example(
            call="multi_tensor_yolov5_weight_update(model: [f32[3], f32[2]], model_update: [f32[3], f32[2]]) -> ()",
            because="5 weights, 3 each; reads 10 floats, writes 5",
            flops=15,
            bytes_read=40,
            bytes_written=20,
        ),
    ),
    OpRule(
        op_types=("adam_bias_correction_factor",),
        summary="1 - beta^(step + 1).",
        formula="flops = 2, transcendentals = 1 (pow); reads the step, writes the factor",
        shape=factor_shape,
        cost=factor_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="adam_bias_correction_factor(train_step: i64[1], beta=0.9) -> out: f32[1]",
                because="step + 1, pow, 1 -",
                flops=2,
                transcendentals=1,
                bytes_read=8,
                bytes_written=4,
            ),
        ),
    ),
)
