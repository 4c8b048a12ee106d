"""Products of matrices and vectors, and their gradients."""

from __future__ import annotations

import math

from irflops.ir.graph import TensorType
from irflops.ops.op_view import OpView
from irflops.ops.readings import flags
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, broadcast_shapes
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work


def _matrices(op: OpView) -> tuple[tuple[int, ...], tuple[int, ...]]:
    a, b = op.shape("a"), op.shape("b")
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a {a} and b {b} are not matrices")
    return a, b


def _product(op: OpView, batch: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> Inferred:
    m, k = reversed(a[-2:]) if op.flag("transpose_a") else a[-2:]
    k_of_b, n = reversed(b[-2:]) if op.flag("transpose_b") else b[-2:]
    if k != k_of_b:
        raise ValueError(f"a {a} and b {b} do not multiply: the inner extents are {k} and {k_of_b}")
    return {"out": TensorType((*batch, m, n), op.input("a").dtype)}


def matmul_shape(op: OpView) -> Inferred:
    """Matrices of equal batch."""
    a, b = _matrices(op)
    if a[:-2] != b[:-2]:
        raise ValueError(f"a {a} and b {b} have different batches")
    return _product(op, a[:-2], a, b)


def broadcast_matmul_shape(op: OpView) -> Inferred:
    """Matrices whose batches broadcast."""
    a, b = _matrices(op)
    return _product(op, broadcast_shapes(a[:-2], b[:-2]), a, b)


def inner_extent(a: tuple[int, ...], b: tuple[int, ...], out: tuple[int, ...]) -> int:
    """The k of [m,k] x [k,n] -> [m,n] from the three sizes of one matrix each, whichever operand is transposed.

    Only one k fits: |a| |b| / |out| = mk * kn / mn. ValueError where none does; 0 where out has no element.
    """
    size_a, size_b, size_out = (math.prod(shape[-2:]) for shape in (a, b, out))
    if not size_out:
        return 0
    k = math.isqrt(size_a * size_b // size_out)
    if k * k * size_out != size_a * size_b:
        raise ValueError(f"out {out} is no product of a {a} and b {b}")
    return k


def matmul_cost(op: OpView) -> Work:
    """Each result element is a dot product of k."""
    a, b = _matrices(op)
    k = inner_extent(a, b, op.shape("out"))
    return Work(macs=op.numel("out") * k, arithmetic=_addition(op))


def grad_b_shape(op: OpView) -> Inferred:
    """All leading axes are summed over."""
    a, b = _matrices(op)
    if a[:-1] != b[:-1]:
        raise ValueError(f"a {a} and b {b} differ on an axis that is summed over")
    return {"out": TensorType((a[-1], b[-1]), op.input("a").dtype)}


def grad_b_cost(op: OpView) -> Work:
    """Each element of a meets a row of b."""
    return Work(macs=op.numel("a") * op.shape("b", at_least=1)[-1], arithmetic=_addition(op))


def _addition(op: OpView) -> int:
    return op.numel("out") if op.inputs("_add_to_output") else 0


_VECTOR_PRODUCTS: dict[str, tuple[dict[str, str], str, str]] = {
    "dot": ({"x": "k", "y": "k"}, "out", ""),
    "matrix_vector_product": ({"a": "mk", "b": "k"}, "out", "m"),
    "matrix_vector_product_grad_a": ({"dy": "m", "b": "k"}, "dx", "mk"),
    "matrix_vector_product_grad_b": ({"dy": "m", "a": "mk"}, "dx", "k"),
    "vector_matrix_product": ({"a": "k", "b": "kn"}, "out", "n"),
    "vector_matrix_product_grad_a": ({"dy": "n", "b": "kn"}, "dx", "k"),
    "vector_matrix_product_grad_b": ({"dy": "n", "a": "k"}, "dx", "kn"),
}
"""Axes of the operands, the result and its axes; a letter stands for one extent, a letter not in the result is summed over."""


def _extents(op: OpView) -> dict[str, int]:
    """The extent of each letter; ValueError naming the shapes where two operands disagree."""
    operands, _, _ = _VECTOR_PRODUCTS[op.type]
    extents: dict[str, int] = {}
    for arg, axes in operands.items():
        shape = op.shape(arg)
        if len(shape) != len(axes) or any(extents.setdefault(a, e) != e for a, e in zip(axes, shape, strict=True)):
            raise ValueError(" and ".join(f"{name} {op.shape(name)}" for name in operands) + f" do not go together in {op.type}")
    return extents


def vector_product_shape(op: OpView) -> Inferred:
    """The axes that are not summed over."""
    operands, result, axes = _VECTOR_PRODUCTS[op.type]
    extents = _extents(op)
    return {result: TensorType(tuple(extents[axis] for axis in axes), op.input(next(iter(operands))).dtype)}


def vector_product_cost(op: OpView) -> Work:
    """One multiply-accumulate per combination of the axes."""
    return Work(macs=math.prod(_extents(op).values()))


_PLAIN = "transpose_a=false, transpose_b=false"
_WEIGHT = "transpose_a=false, transpose_b=true"
_K = "k in a printed graph: k^2 = |a| |b| / |out| per matrix"

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("matmul", "batch_matmul"),
        overwrites={"out": "_add_to_output"},
        contraction=True,
        summary="Matrix product, of equal batch.",
        formula=f"macs = numel(out) * k; flops = 2 * macs, + numel(out) for _add_to_output; {_K}",
        shape=matmul_shape,
        readings=flags("transpose_a", "transpose_b"),
        cost=matmul_cost,
        traffic=touch_all,
        ignores="the coefficient alpha",
        source="docs/definitions.md",
        examples=(
            Example(
                call=f"matmul(a: f32[2,3], b: f32[3,5], {_PLAIN}) -> out: f32[2,5]",
                macs=30,
                flops=60,
                bytes_read=84,
                bytes_written=40,
                because="10 dot products of length 3",
            ),
            Example(
                call="matmul(a: f32[3,2], b: f32[5,3], _add_to_output: f32[2,5], transpose_a=true, transpose_b=true, alpha=0.5) -> out: "
                "f32[2,5]",
                macs=30,
                flops=70,
                bytes_read=4 * (6 + 15 + 10),
                because="both transposed: still 10 dot products of length 3, and 10 additions; alpha never counts",
            ),
            Example(
                call="batch_matmul(a: f16[2,12,4,8], b: f16[2,12,4,8]) -> out: f16[2,12,4,4]",
                inferable=False,
                macs=3072,
                flops=6144,
                bytes_read=3072,
                because="a printed graph, b transposed: 24 matrices of 16 dot products of length 8",
            ),
            Example(
                call="matmul(a: f32[4,8], b: f32[10,8]) -> out: f32[4,10]",
                inferable=False,
                macs=320,
                because="40 dot products of length 8; with b as [8,10] the shapes would not fit",
            ),
            Example(
                call=f"matmul(a: f32[2,0], b: f32[0,5], {_PLAIN}) -> out: f32[2,5]",
                macs=0,
                flops=0,
                bytes_written=40,
                because="sums of nothing",
            ),
            Example(
                call=f"matmul(a: f32[0,3], b: f32[3,5], {_PLAIN}) -> out: f32[0,5]",
                macs=0,
                bytes_read=60,
                because="no result element",
            ),
        ),
    ),
    OpRule(
        op_types=("broadcast_matmul",),
        overwrites={"out": "_add_to_output"},
        contraction=True,
        summary="Matrix product whose batches broadcast.",
        formula=f"macs = numel(out) * k; flops = 2 * macs, + numel(out) for _add_to_output; {_K}",
        shape=broadcast_matmul_shape,
        readings=flags("transpose_a", "transpose_b"),
        cost=matmul_cost,
        traffic=touch_all,
        ignores="the coefficient alpha",
        source="docs/definitions.md",
        examples=(
            Example(
                call=f"broadcast_matmul(a: f32[2,7,3], b: f32[5,3], {_WEIGHT}) -> out: f32[2,7,5]",
                macs=210,
                flops=420,
                bytes_read=4 * (42 + 15),
                bytes_written=280,
                because="a linear layer on 14 tokens: 70 dot products of length 3; the weight is read at its own size",
            ),
            Example(
                call=f"broadcast_matmul(a: f32[6,1,2,3], b: f32[1,4,3,5], {_PLAIN}) -> out: f32[6,4,2,5]",
                macs=720,
                because="24 pairs of matrices x 10 dot products of length 3",
            ),
            Example(
                call="broadcast_matmul(a: f32[3,4], b: f32[2,4,4]) -> out: f32[2,3,4]",
                inferable=False,
                macs=96,
                because="a printed graph, the smaller rank first: 24 dot products of length 4",
            ),
        ),
    ),
    OpRule(
        op_types=("broadcast_matmul_grad_b",),
        overwrites={"out": "_add_to_output"},
        contraction=True,
        summary="Gradient of a broadcast_matmul for its second operand: the leading axes are summed over.",
        formula="macs = numel(a) * b.shape[-1]; flops = 2 * macs, + numel(out) for _add_to_output",
        shape=grad_b_shape,
        cost=grad_b_cost,
        traffic=touch_all,
        ignores="the coefficient alpha",
        source="docs/definitions.md",
        examples=(
            Example(
                call="broadcast_matmul_grad_b(a: f32[2,7,5], b: f32[2,7,3]) -> out: f32[5,3]",
                macs=210,
                flops=420,
                bytes_read=4 * (70 + 42),
                bytes_written=60,
                because="15 weights, each a sum over 14 tokens: as many as forward",
            ),
        ),
    ),
    OpRule(
        op_types=tuple(_VECTOR_PRODUCTS),
        contraction=True,
        summary="Products with a vector, and their gradients.",
        formula="macs = product of the different extents of the operands; flops = 2 * macs, in an outer product too",
        shape=vector_product_shape,
        cost=vector_product_cost,
        traffic=touch_all,
        source="docs/definitions.md",
        examples=(
            Example(
                call="dot(x: f32[6], y: f32[6]) -> out: f32[]",
                macs=6,
                flops=12,
                bytes_read=48,
                bytes_written=4,
                because="one dot product of length 6",
            ),
            Example(call="matrix_vector_product(a: f32[4,3], b: f32[3]) -> out: f32[4]", macs=12, because="4 dot products of length 3"),
            Example(
                call="matrix_vector_product_grad_a(dy: f32[4], b: f32[3]) -> dx: f32[4,3]",
                macs=12,
                flops=24,
                because="an outer product: matrices with k = 1",
            ),
            Example(
                call="matrix_vector_product_grad_b(dy: f32[4], a: f32[4,3]) -> dx: f32[3]", macs=12, because="3 dot products of length 4"
            ),
            Example(call="vector_matrix_product(a: f32[4], b: f32[4,3]) -> out: f32[3]", macs=12, because="3 dot products of length 4"),
            Example(
                call="vector_matrix_product_grad_a(dy: f32[3], b: f32[4,3]) -> dx: f32[4]", macs=12, because="4 dot products of length 3"
            ),
            Example(call="vector_matrix_product_grad_b(dy: f32[3], a: f32[4]) -> dx: f32[4,3]", macs=12, because="an outer product"),
        ),
    ),
)
