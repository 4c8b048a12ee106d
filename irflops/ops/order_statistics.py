"""What a sorted order gives: the median, the most frequent value, the area under a curve. Counted as a sort, which is the most it takes."""

from __future__ import annotations

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import ceil_log2, fold
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work


def median_shape(op: OpView) -> Inferred:
    """One number of all."""
    return {"output": TensorType((), op.input("input").dtype)}


def along_rows_shape(op: OpView) -> Inferred:
    """A number for each row along the last axis, and where it stands."""
    shape = op.shape("input", at_least=1)[:-1]
    return {"values": TensorType(shape, op.input("input").dtype), "indices": TensorType(shape, DType.INT64)}


def median_cost(op: OpView) -> Work:
    """A sort of everything."""
    n = op.numel("input")
    return Work(arithmetic=n * ceil_log2(n))


def rows_cost(op: OpView) -> Work:
    """A sort of each row."""
    return Work(arithmetic=op.numel("input") * ceil_log2(op.shape("input", at_least=1)[-1]))


def mode_cost(op: OpView) -> Work:
    """A sort of each row; then each number compared with the one before, and each run with the longest."""
    between = fold(op.numel("input"), op.numel("values"))
    return Work(arithmetic=(rows_cost(op).arithmetic or 0) + 2 * between)


def auc_shape(op: OpView) -> Inferred:
    """One number."""
    if op.numel("label") != op.numel("pred"):
        raise ValueError(f"label {op.shape('label')} and pred {op.shape('pred')} are not of one number")
    return {"out": TensorType((1,), DType.FLOAT32)}


def auc_cost(op: OpView) -> Work:
    """A sort by prediction; the ranks of the positive ones and their number added up; (sum - p (p + 1) / 2) / (p q)."""
    n = op.numel("pred")
    return Work(arithmetic=n * ceil_log2(n) + 2 * n + 7 if n else 0)


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("median",),
        summary="The median of all elements.",
        formula="flops = n * ceil(log2 n) comparisons for n elements: those of a merge sort",
        shape=median_shape,
        cost=median_cost,
        traffic=touch_all,
        upper_bound=True,
        source="a merge sort; OneFlow's median_op.cpp",
        examples=(
            Example(
                call="median(input: f32[2,4]) -> output: f32[]",
                because="8 elements in 3 merges",
                flops=24,
                bytes_read=32,
                bytes_written=4,
            ),
        ),
    ),
    OpRule(
        op_types=("median_with_indices",),
        summary="The median of each row, and where it stands.",
        formula="flops = numel(input) * ceil(log2 n) comparisons for rows of n: those of a merge sort",
        shape=along_rows_shape,
        cost=rows_cost,
        traffic=touch_all,
        upper_bound=True,
        source="a merge sort; OneFlow's median_with_indices_op.cpp",
        examples=(
            Example(
                call="median_with_indices(input: f32[2,4]) -> values: f32[2], indices: i64[2]",
                because="8 elements in 2 merges; 2 floats and 2 of 8 bytes out",
                flops=16,
                bytes_read=32,
                bytes_written=24,
            ),
        ),
    ),
    OpRule(
        op_types=("mode",),
        summary="The most frequent value of each row, and where it stands.",
        formula="flops = numel(input) * ceil(log2 n) comparisons of a merge sort for rows of n, and 2 (n - 1) a row: with the number "
        "before, of "
        "a run with the longest",
        shape=along_rows_shape,
        cost=mode_cost,
        traffic=touch_all,
        upper_bound=True,
        source="a merge sort; OneFlow's mode_op.cpp",
        examples=(
            Example(
                call="mode(input: f32[2,4]) -> values: f32[2], indices: i64[2]",
                because="8 elements in 2 merges; 2 rows of 3 neighbours, 2 comparisons each",
                flops=28,
                bytes_read=32,
                bytes_written=24,
            ),
        ),
    ),
    OpRule(
        op_types=("roc_auc_score",),
        summary="The area under the ROC curve, by the ranks of the positive samples.",
        formula="flops = n * ceil(log2 n) comparisons of a merge sort for n samples, 2 n additions at the most: ranks of positive "
        "ones, and how "
        "many; 7 for (sum - p (p + 1) / 2) / (p q), q = n - p",
        shape=auc_shape,
        cost=auc_cost,
        traffic=touch_all,
        upper_bound=True,
        source="Hanley and McNeil 1982; OneFlow's roc_auc_score_op.cpp",
        examples=(
            Example(
                call="roc_auc_score(label: i32[4], pred: f32[4]) -> out: f32[1]",
                because="4 samples in 2 merges, 8 additions, 7 at the end",
                flops=23,
                bytes_read=32,
                bytes_written=4,
            ),
        ),
    ),
)
