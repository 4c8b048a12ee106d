"""Ops that order, search or select by value: sort, top_k, argwhere, unique, searchsorted."""

from __future__ import annotations

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import ceil_log2
from irflops.ops.op_view import OpView
from irflops.ops.readings import result_extent
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, present
from irflops.ops.temporary import cub_buffer
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work

_MERGE_SORT = "numel(in) * ceil(log2 n) comparisons, a merge sort along the last axis of n entries"


def sort_shape(op: OpView) -> Inferred:
    """The type of the operand."""
    return {"out": op.input("in")}


def arg_sort_shape(op: OpView) -> Inferred:
    """A position per entry, int32."""
    return {"out": TensorType(op.input("in").shape, DType.INT32)}


def top_k_shape(op: OpView) -> Inferred:
    """k positions, int64, along the last axis, or all where there are fewer."""
    *rows, entries = op.shape("in", at_least=1)
    return {"out": TensorType((*rows, min(op.integer("k"), entries)), DType.INT64)}


def sort_cost(op: OpView) -> Work:
    """Each of ceil(log2 n) merges compares every entry at most once."""
    shape = op.shape("in")
    return Work(arithmetic=op.numel("in") * ceil_log2(shape[-1] if shape else 1))


def argwhere_shape(op: OpView) -> Inferred:
    """Room for every element: (numel(input), axes); and how many there are."""
    dtype, shape = op.dtype_attr(), op.shape("input")
    return {"output": TensorType((op.numel("input"), len(shape)), dtype), "output_size": TensorType((1,), dtype)}


def argwhere_cost(op: OpView) -> Work:
    """One test per element."""
    return Work(arithmetic=op.numel("input"))


def unique_shape(op: OpView) -> Inferred:
    """Room for every element: as long as x."""
    index = TensorType(op.shape("x"), op.dtype_attr("out_idx"))
    types = {"y": op.input("x"), "idx": index, "num_unique": TensorType((1,), index.dtype), "count": index}
    return present(op, types)


def unique_cost(op: OpView) -> Work:
    """A merge sort; for counts one addition per element more."""
    n = op.numel("x")
    return Work(arithmetic=n * ceil_log2(n) + (n if "count" in op.output_args else 0))


def search_shape(op: OpView) -> Inferred:
    """A position per value."""
    shape = op.shape("values") if "values" in op.input_args else ()
    return {"out": TensorType(shape, DType.INT32 if op.flag("out_int32") else DType.INT64)}


def search_cost(op: OpView) -> Work:
    """A binary search over n entries has n + 1 outcomes: ceil(log2(n + 1)) comparisons per value."""
    shape = op.shape("sorted_sequence")
    return Work(arithmetic=op.numel("out") * ceil_log2((shape[-1] if shape else 1) + 1))


def in_top_k_shape(op: OpView) -> Inferred:
    """A flag per target."""
    return {"out": TensorType(op.input("targets").shape, DType.BOOL)}


def in_top_k_cost(op: OpView) -> Work:
    """Each prediction is compared with the target's and counted; the count is compared with k."""
    return Work(arithmetic=2 * op.numel("predictions") + op.numel("targets"))


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("sort",),
        temporary=cub_buffer,
        summary="The entries of the last axis in order.",
        formula=f"flops = {_MERGE_SORT}; reads in, writes out",
        shape=sort_shape,
        cost=sort_cost,
        traffic=touch_all,
        upper_bound=True,
        source="XLA's HloCostAnalysis counts n * ceil(log2 n) too, with all elements as n; here the rows are sorted apart",
        examples=(
            Example(
                call='sort(in: f32[2,8], direction="ASCENDING") -> out: f32[2,8]',
                because="2 rows of 8: 3 merges of 8 comparisons each",
                flops=48,
                bytes_read=64,
                bytes_written=64,
            ),
            Example(call='sort(in: f32[1], direction="ASCENDING") -> out: f32[1]', because="in order already", flops=0),
        ),
    ),
    OpRule(
        op_types=("arg_sort",),
        temporary=cub_buffer,
        summary="The positions that put the last axis in order.",
        formula=f"flops = {_MERGE_SORT}; reads in, writes out",
        shape=arg_sort_shape,
        cost=sort_cost,
        traffic=touch_all,
        upper_bound=True,
        examples=(
            Example(
                call='arg_sort(in: f32[2,5], direction="DESCENDING") -> out: i32[2,5]',
                because="2 rows of 5: 3 merges of 5 comparisons each",
                flops=30,
                bytes_read=40,
                bytes_written=40,
            ),
        ),
    ),
    OpRule(
        op_types=("top_k",),
        temporary=cub_buffer,
        summary="The positions of the k largest entries of the last axis.",
        formula=f"flops = {_MERGE_SORT}, whatever k is; reads in, writes out",
        shape=top_k_shape,
        readings=result_extent("k"),
        cost=sort_cost,
        traffic=touch_all,
        upper_bound=True,
        examples=(
            Example(
                call="top_k(in: f32[2,8], k=3, sorted=true) -> out: i64[2,3]",
                because="2 rows of 8: 3 merges of 8 comparisons each; 16 floats in, 6 positions of 8 bytes out",
                flops=48,
                bytes_read=64,
                bytes_written=48,
            ),
            Example(
                call="top_k(in: f32[4]) -> out: i64[1]",
                because="2 merges of 4 comparisons, as printed",
                flops=8,
                bytes_read=16,
                bytes_written=8,
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("argwhere",),
        temporary=cub_buffer,
        summary="The positions of the elements that are not zero.",
        formula="flops = numel(input), one test per element; reads input, writes room for every position",
        shape=argwhere_shape,
        cost=argwhere_cost,
        traffic=touch_all,
        upper_bound=True,
        examples=(
            Example(
                call='argwhere(input: f32[2,3], dtype="int32") -> output: i32[6,2], output_size: i32[1]',
                because="6 tests; 6 floats in; 12 positions and a count of 4 bytes out",
                flops=6,
                bytes_read=24,
                bytes_written=52,
            ),
        ),
    ),
    OpRule(
        op_types=("unique", "unique_with_counts"),
        temporary=cub_buffer,
        summary="The different values of a vector, and which of them stands where.",
        formula="flops = n * ceil(log2 n) comparisons of a merge sort, + n for counts; reads x, writes room for every element",
        shape=unique_shape,
        cost=unique_cost,
        traffic=touch_all,
        upper_bound=True,
        examples=(
            Example(
                call='unique_with_counts(x: i64[4], out_idx="int32") -> y: i64[4], idx: i32[4], num_unique: i32[1], count: i32[4]',
                because="2 merges of 4 comparisons, 4 counts; 32 bytes in, 32 + 16 + 4 + 16 out",
                flops=12,
                bytes_read=32,
                bytes_written=68,
            ),
            Example(
                call='unique(x: i64[4], out_idx="int32") -> y: i64[4], idx: i32[4], num_unique: i32[1]',
                because="2 merges of 4 comparisons",
                flops=8,
            ),
        ),
    ),
    OpRule(
        op_types=("searchsorted", "searchsorted_scalar"),
        summary="Where values belong in an ordered sequence.",
        formula="flops = numel(out) * ceil(log2(n + 1)) comparisons of a binary search over n entries; reads everything once, writes out",
        shape=search_shape,
        cost=search_cost,
        traffic=touch_all,
        upper_bound=True,
        examples=(
            Example(
                call="searchsorted(sorted_sequence: f32[2,7], values: f32[2,3], out_int32=false) -> out: i64[2,3]",
                because="6 searches over 7 entries, 3 comparisons each; 14 + 6 floats in, 6 positions of 8 bytes out",
                flops=18,
                bytes_read=80,
                bytes_written=48,
            ),
            Example(
                call="searchsorted_scalar(sorted_sequence: f32[8], out_int32=true) -> out: i32[]",
                because="9 outcomes take 4 comparisons",
                flops=4,
                bytes_read=32,
                bytes_written=4,
            ),
        ),
    ),
    OpRule(
        op_types=("in_top_k",),
        summary="Whether the target is among the k best predictions.",
        formula="flops = 2 numel(predictions) (comparison with the target's, count) + numel(targets) (comparison with k); reads everything",
        shape=in_top_k_shape,
        cost=in_top_k_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="in_top_k(targets: i32[2], predictions: f32[2,5], k=3) -> out: bool[2]",
                because="10 predictions compared and counted, 2 counts compared",
                flops=22,
                bytes_read=48,
                bytes_written=2,
            ),
        ),
    ),
)
