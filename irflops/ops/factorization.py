"""Square matrices: LU decomposition, determinant; and the cross product of vectors."""

from __future__ import annotations

import math

from irflops.ir.graph import DType, TensorType
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, normal_axis
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work


def _square(op: OpView) -> tuple[int, int]:
    """The number of matrices and how many rows each has."""
    *batch, rows, columns = op.shape("x", at_least=2)
    if rows != columns:
        raise ValueError(f"x {op.shape('x')} is not of square matrices")
    return math.prod(batch), rows


def elimination(n: int) -> int:
    """Gaussian elimination of n rows, with pivots: per column the largest entry, quotients, and a product and a difference each."""
    below = n * (n - 1) // 2
    return 2 * below + 2 * ((n - 1) * n * (2 * n - 1) // 6)


def lu_shape(op: OpView) -> Inferred:
    """Both factors in one matrix; which row each one changed places with."""
    _, _ = _square(op)
    return {"LU": op.input("x"), "pivot": TensorType(op.shape("x")[:-1], DType.INT32)}


def lu_cost(op: OpView) -> Work:
    """An elimination of each matrix."""
    matrices, rows = _square(op)
    return Work(arithmetic=matrices * elimination(rows))


def det_shape(op: OpView) -> Inferred:
    """A number for each matrix."""
    _, _ = _square(op)
    return {"y": TensorType(op.shape("x")[:-2], op.input("x").dtype)}


def det_cost(op: OpView) -> Work:
    """An elimination of each matrix, and the product of its diagonal."""
    matrices, rows = _square(op)
    return Work(arithmetic=matrices * (elimination(rows) + max(0, rows - 1)))


def cross_shape(op: OpView) -> Inferred:
    """Like the operands: vectors of three along one axis."""
    shape = op.shape("input", at_least=1)
    if op.shape("other") != shape or shape[normal_axis(op.integer("dim"), len(shape))] != 3:
        raise ValueError(f"input {shape} and other {op.shape('other')} are not vectors of 3 along dim")
    return {"out": op.input("input")}


def cross_cost(op: OpView) -> Work:
    """Each number the difference of two products."""
    return Work(arithmetic=3 * op.numel("out"))


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("lu_decomposition",),
        summary="Each square matrix as a lower times an upper triangle, rows in the order of pivots.",
        formula="flops per n x n matrix: n (n - 1) / 2 comparisons and as many quotients, and a product and a difference for each of "
        "(n - 1) n (2 n - 1) / 6 entries",
        shape=lu_shape,
        cost=lu_cost,
        traffic=touch_all,
        source="Gaussian elimination with partial pivoting; OneFlow's lu_composition_op.cpp",
        examples=(
            Example(
                call="lu_decomposition(x: f32[2,3,3]) -> LU: f32[2,3,3], pivot: i32[2,3]",
                because="2 matrices: 2 + 1 comparisons, 2 + 1 quotients, 4 + 1 entries of a product and a difference; 18 floats in, "
                "18 and 6 "
                "pivots out",
                macs=0,
                flops=32,
                bytes_read=72,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("det",),
        summary="Determinants of square matrices.",
        formula="flops per n x n matrix: an elimination as of lu_decomposition, and n - 1 products of the diagonal",
        shape=det_shape,
        cost=det_cost,
        traffic=touch_all,
        ignores="the sign of the order of rows",
        source="Gaussian elimination with partial pivoting; OneFlow's det_op.cpp",
        examples=(
            Example(
                call="det(x: f32[2,3,3]) -> y: f32[2]",
                because="2 matrices: 16 as above, 2 products",
                macs=0,
                flops=36,
                bytes_read=72,
                bytes_written=8,
            ),
        ),
    ),
    OpRule(
        op_types=("linalg_cross",),
        summary="Cross products of vectors of three.",
        formula="flops = 3 * numel(out): two products and a difference",
        shape=cross_shape,
        cost=cross_cost,
        traffic=touch_all,
        source="the definition",
        examples=(
            Example(
                call="linalg_cross(input: f32[2,3], other: f32[2,3], dim=1) -> out: f32[2,3]",
                because="6 numbers of 3 operations",
                macs=0,
                flops=18,
                bytes_read=48,
                bytes_written=24,
            ),
        ),
    ),
)
