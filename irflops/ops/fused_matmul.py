"""Linear layers with what follows them in one op: bias, relu, dropout, gates; and their gradients."""

from __future__ import annotations

import math
from dataclasses import replace

from irflops.ir.graph import DType, TensorType
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, present
from irflops.ops.traffic import touch_all
from irflops.ops.work import MissingAttribute, Work


def _linear(x: tuple[int, ...], weight: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of x [.., k] times the transpose of weight [n, k]; ValueError naming both where they do not go together."""
    if len(weight) != 2 or not x or x[-1] != weight[1]:
        raise ValueError(f"x {x} does not go with weight {weight}")
    return (*x[:-1], weight[0])


def _added(op: OpView, result: str, *operands: str) -> int:
    """Additions of the operands that are present to a result."""
    return sum(op.numel(result) for arg in operands if op.inputs(arg))


def matmul_bias_shape(op: OpView) -> Inferred:
    """A linear layer's."""
    return {"out": TensorType(_linear(op.shape("x"), op.shape("weight")), op.input("x").dtype)}


def matmul_bias_cost(op: OpView) -> Work:
    """Each element of x meets a column of the weight."""
    return Work(macs=op.numel("x") * op.shape("weight", rank=2)[0], arithmetic=_added(op, "out", "bias", "_add_to_output"))


def _pairs(op: OpView) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Each operand with its weight."""
    xs, weights = op.shapes("xs", at_least=1), op.shapes("weights", rank=2)
    if len(xs) != len(weights):
        raise ValueError(f"{len(xs)} xs do not go with {len(weights)} weights")
    return list(zip(xs, weights, strict=True))


def grouped_matmul_bias_shape(op: OpView) -> Inferred:
    """A linear layer's for each pair."""
    return {"ys": tuple(TensorType(_linear(x, weight), op.first("xs").dtype) for x, weight in _pairs(op))}


def grouped_matmul_bias_cost(op: OpView) -> Work:
    """The sum over the pairs."""
    macs = sum(math.prod(x) * n for x, (n, _) in _pairs(op))
    return Work(macs=macs, arithmetic=_added(op, "ys", "biases"))


def mlp_shape(op: OpView) -> Inferred:
    """Every layer's result, and its relu's signs in words of 32, rows aligned to 128 signs."""
    x, dtype = op.shape("x", at_least=1), op.input("x").dtype
    hidden: list[TensorType] = []
    signs: list[TensorType] = []
    for weight in op.shapes("weights", rank=2):
        x = _linear(x, weight)
        hidden.append(TensorType(x, dtype))
        signs.append(TensorType((x[0], -(-weight[0] // 128) * 4), DType.INT32))
    return {"out": TensorType(x, dtype), "cublas_aux": tuple(signs), "hidden": tuple(hidden)}


def mlp_cost(op: OpView) -> Work:
    """Per layer a product, a bias and, but for the last where it is skipped, an activation."""
    rows, weights = op.shape("x", at_least=1)[0], op.shapes("weights", rank=2)
    macs = sum(rows * n * k for n, k in weights)
    if "skip_final_activation" not in op.attrs:
        raise MissingAttribute("skip_final_activation", known=Work(macs=macs, arithmetic=None))
    activated = weights[:-1] if op.flag("skip_final_activation") else weights
    per_element = 3 if op.type.endswith("dropout") else 1
    biased, activations = (sum(rows * n for n, _ in layers) for layers in (weights, activated))
    return Work(macs=macs, arithmetic=biased + per_element * activations)


def mlp_grad_shape(op: OpView) -> Inferred:
    """Like what each gradient is for."""
    dtype = op.input("dy").dtype
    biases = tuple(TensorType((weight[0],), dtype) for weight in op.shapes("weights", rank=2))
    weights = tuple(TensorType(weight, dtype) for weight in op.shapes("weights", rank=2))
    return {"d_x": TensorType(op.shape("x"), dtype), "d_biases": biases, "d_weights": weights}


def mlp_grad_cost(op: OpView) -> Work:
    """Per layer two products and the sum of its rows; relu is undone between layers."""
    rows, weights = op.shape("x", at_least=1)[0], op.shapes("weights", rank=2)
    sums = sum(max(0, rows - 1) * n for n, _ in weights)
    return Work(macs=2 * sum(rows * n * k for n, k in weights), arithmetic=sums + sum(rows * k for _, k in weights[1:]))


def relu_matmul_grad_shape(op: OpView) -> Inferred:
    """The gradients of a layer's operand and of the bias of the layer before."""
    (rows, _), (_, k), dtype = op.shape("dy", rank=2), op.shape("weight", rank=2), op.input("dy").dtype
    return {"d_grad": TensorType((rows, k), dtype), "d_bias": TensorType((k,), dtype)}


def relu_matmul_grad_cost(op: OpView) -> Work:
    """A product, a selection by relu's sign, a sum over the rows."""
    selected = op.numel("d_grad")
    return Work(macs=op.numel("dy") * op.shape("weight", rank=2)[1], arithmetic=selected + max(0, selected - op.numel("d_bias")))


def matmul_bias_add_grad_shape(op: OpView) -> Inferred:
    """The gradients of a layer's weight and bias."""
    (_, n), (_, k), dtype = op.shape("dy", rank=2), op.shape("x", rank=2), op.input("dy").dtype
    return {"w_grad": TensorType((n, k), dtype), "b_grad": TensorType((n,), dtype)}


def matmul_bias_add_grad_cost(op: OpView) -> Work:
    """A product and a sum over the rows."""
    return Work(macs=op.numel("dy") * op.shape("x", rank=2)[1], arithmetic=max(0, op.numel("dy") - op.numel("b_grad")))


def quantized_linear_shape(op: OpView) -> Inferred:
    """A linear layer's; two weights of 4 bits lie in a byte of the last axis."""
    n, packed = op.shape("w", rank=2)
    weight = (n, packed * (8 // op.integer("num_bits", least=1)))
    return {"out": TensorType(_linear(op.shape("x"), weight), op.input("x").dtype)}


def quantized_linear_cost(op: OpView) -> Work:
    """The product, and every weight scaled (and shifted) once."""
    n, k = op.shape("w", rank=2)[0], op.shape("x", at_least=1)[-1]
    per_weight = 2 if op.inputs("w_zero") else 1
    return Work(macs=op.numel("x") * n, arithmetic=per_weight * n * k + _added(op, "out", "b"))


_GATES: dict[str, tuple[int, int]] = {
    "none": (0, 0),
    "relu": (1, 0),
    "sigmoid": (0, 1),
    "silu": (1, 1),
    "gelu": (4, 1),
    "fast_gelu": (8, 1),
}
"""Arithmetic and transcendentals per element of a gate's activation."""


def glu_shape(op: OpView) -> Inferred:
    """The weight w holds both halves, unless v is the second."""
    x, w, dtype = op.shape("x"), op.shape("w"), op.input("x").dtype
    product = _linear(x, w)
    y = TensorType(product if op.inputs("v") else (*x[:-1], w[0] // 2), dtype)
    results = {"y": y, "matmul_wx": TensorType(product, dtype), "matmul_vx": y}
    return present(op, results)


def glu_cost(op: OpView) -> Work:
    """The products, their biases, the gate's activation and its multiplication."""
    macs = op.numel("x") * sum(op.shape(arg, rank=2)[0] for arg in ("w", "v") if arg == "w" or op.inputs(arg))
    if "activation" not in op.attrs:
        raise MissingAttribute("activation", known=Work(macs=macs, arithmetic=None, transcendentals=None))
    gate = op.attrs["activation"]
    if gate not in _GATES:
        raise ValueError(f"no activation is called {gate!r}")
    arithmetic, transcendentals = _GATES[str(gate)]
    biases = _added(op, "matmul_wx", "b") + _added(op, "y", "c")
    return Work(macs=macs, arithmetic=biases + op.numel("y") * (arithmetic + 1), transcendentals=op.numel("y") * transcendentals)


_MLP = OpRule(
    op_types=("cublas_fused_mlp",),
    contraction=True,
    summary="A chain of linear layers, each with bias and relu (and dropout).",
    formula="macs = sum of rows * n * k; flops = 2 * macs + rows * n per layer for the bias, and for relu 1, for dropout 2 (mask, "
    "scale) per element, "
    "on the last layer unless skip_final_activation",
    shape=mlp_shape,
    cost=mlp_cost,
    traffic=touch_all,
    ignores="drawing the random numbers",
    examples=(
        Example(
            call="cublas_fused_mlp(x: f32[2,3], weights: [f32[4,3], f32[5,4]], biases: [f32[4], f32[5]], skip_final_activation=true) "
            "-> out: f32[2,5], cublas_aux: [i32[2,4], i32[2,4]], hidden: [f32[2,4], f32[2,5]]",
            macs=64,
            flops=154,
            because="8 dot products of length 3, 10 of length 4; 18 biases; 8 relus",
        ),
    ),
)

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("fused_matmul_bias",),
        contraction=True,
        summary="Linear layer: x times a transposed weight, plus a bias.",
        formula="macs = numel(x) * out_features; flops = 2 * macs + numel(out) for the bias, + numel(out) for _add_to_output",
        shape=matmul_bias_shape,
        cost=matmul_bias_cost,
        traffic=touch_all,
        ignores="the coefficients alpha and beta",
        examples=(
            Example(
                call="fused_matmul_bias(x: f32[2,7,3], weight: f32[5,3], bias: f32[5]) -> out: f32[2,7,5]",
                macs=210,
                flops=490,
                bytes_read=4 * (42 + 15 + 5),
                because="70 dot products of length 3 and 70 additions",
            ),
        ),
    ),
    OpRule(
        op_types=("grouped_matmul_bias",),
        contraction=True,
        summary="Several linear layers side by side.",
        formula="macs = sum of numel(x) * out_features; flops = 2 * macs, + numel(ys) for biases",
        shape=grouped_matmul_bias_shape,
        cost=grouped_matmul_bias_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="grouped_matmul_bias(xs: [f32[2,3], f32[1,4]], weights: [f32[5,3], f32[2,4]], biases: [f32[5], f32[2]]) "
                "-> ys: [f32[2,5], f32[1,2]]",
                macs=38,
                flops=88,
                because="10 dot products of length 3 and 2 of length 4, and 12 additions",
            ),
        ),
    ),
    _MLP,
    replace(
        _MLP,
        op_types=("fused_matmul_bias_add_relu_dropout",),
        effects=frozenset({Effect.RANDOM}),
        drop_rate="dropout_rate_list",
        examples=(
            Example(
                call="fused_matmul_bias_add_relu_dropout(x: f32[2,3], weights: [f32[200,3]], biases: [f32[200]], "
                "skip_final_activation=false, "
                "dropout_rate_list=[0.5]) -> out: f32[2,200], cublas_aux: [i32[2,8]], hidden: [f32[2,200]]",
                macs=1200,
                flops=4000,
                because="400 dot products of length 3; a bias, a relu, a mask and a scale on each; 200 signs take 2 x 128 bits",
            ),
        ),
    ),
    OpRule(
        op_types=("cublas_fused_mlp_grad",),
        contraction=True,
        summary="Gradients of a chain of linear layers with relu between them.",
        formula="macs = 2 * sum of rows * n * k; flops = 2 * macs + (rows - 1) * n per layer for the biases + rows * k for each relu "
        "between layers",
        shape=mlp_grad_shape,
        cost=mlp_grad_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="cublas_fused_mlp_grad(dy: f32[2,5], x: f32[2,3], weights: [f32[4,3], f32[5,4]], cublas_aux: [i32[2,4], i32[2,4]], "
                "hidden: [f32[2,4], f32[2,5]]) -> d_x: f32[2,3], d_biases: [f32[4], f32[5]], d_weights: [f32[4,3], f32[5,4]]",
                macs=128,
                flops=273,
                because="each of the 64 forward products twice; biases 4 + 5 additions of two rows; 8 selections between the layers",
            ),
        ),
    ),
    OpRule(
        op_types=("cublas_bias_add_relu_matmul_grad",),
        contraction=True,
        summary="Gradient of a linear layer for its operand, through the relu and bias before it.",
        formula="macs = numel(dy) * in_features; flops = 2 * macs + numel(d_grad) selections + numel(d_grad) - numel(d_bias) for the bias",
        shape=relu_matmul_grad_shape,
        cost=relu_matmul_grad_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="cublas_bias_add_relu_matmul_grad(dy: f32[2,5], weight: f32[5,4], aux: i32[2,4]) -> d_grad: f32[2,4], d_bias: f32[4]",
                macs=40,
                flops=92,
                because="8 dot products of length 5; 8 selections; 4 additions of two rows",
            ),
        ),
    ),
    OpRule(
        op_types=("cublas_matmul_bias_add_grad",),
        contraction=True,
        summary="Gradients of a linear layer for its weight and bias.",
        formula="macs = numel(dy) * in_features; flops = 2 * macs + numel(dy) - numel(b_grad)",
        shape=matmul_bias_add_grad_shape,
        cost=matmul_bias_add_grad_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="cublas_matmul_bias_add_grad(dy: f32[2,5], x: f32[2,3]) -> w_grad: f32[5,3], b_grad: f32[5]",
                macs=30,
                flops=65,
                because="15 dot products of length 2; 5 additions of two rows",
            ),
        ),
    ),
    OpRule(
        op_types=("fused_linear_with_groupwise_quantized_weight",),
        contraction=True,
        summary="Linear layer whose weight is kept in few bits.",
        formula="macs = numel(x) * out_features; flops = 2 * macs + 1 per weight (scale), 2 with w_zero, + numel(out) for the bias",
        shape=quantized_linear_shape,
        cost=quantized_linear_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="fused_linear_with_groupwise_quantized_weight(x: f16[2,8], w: u8[3,4], w_scale: f16[3,2], b: f16[3], num_bits=4, "
                "symmetric=true, "
                "group_dim=1, group_size=4) -> out: f16[2,3]",
                macs=48,
                flops=126,
                bytes_read=32 + 12 + 12 + 6,
                because="6 dot products of length 8; 24 weights scaled; 6 biases; two weights a byte",
            ),
        ),
    ),
    OpRule(
        op_types=("fused_glu",),
        contraction=True,
        summary="Gated linear unit: one linear half times the activation of the other.",
        formula="macs = numel(x) * out_features of w (and v); flops = 2 * macs + 1 per bias and product; numel(y) multiplications, and "
        "per element "
        "of y relu 1, silu 1 and a transcendental, gelu 4 and one, fast_gelu 8 and one, sigmoid one",
        shape=glu_shape,
        cost=glu_cost,
        traffic=touch_all,
        source="Shazeer, arXiv 2002.05202",
        examples=(
            Example(
                call='fused_glu(x: f16[2,3], w: f16[8,3], b: f16[8], activation="silu") -> y: f16[2,4], matmul_wx: f16[2,8]',
                macs=48,
                flops=128,
                transcendentals=8,
                because="16 dot products of length 3; 16 biases; 8 gates times their sigmoid, times the other half",
            ),
            Example(
                call="fused_glu(x: f16[2,3], w: f16[4,3], v: f16[4,3]) -> y: f16[2,4], matmul_wx: f16[2,4], matmul_vx: f16[2,4]",
                macs=48,
                flops="unknown",
                transcendentals="unknown",
                because="a printed graph: twice 8 dot products of length 3; the activation is not known",
            ),
        ),
    ),
)
