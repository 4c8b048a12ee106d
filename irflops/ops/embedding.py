"""Ops that read or write by index: gather, embedding, scatter and segment sums."""

from __future__ import annotations

import math

from irflops.ir.graph import TensorType
from irflops.ops.costs import no_work, one_per_element
from irflops.ops.op_view import OpView
from irflops.ops.readings import axis_of, segments
from irflops.ops.resize import baked
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, normal_axis, shaped_like
from irflops.ops.temporary import segment_buffer
from irflops.ops.traffic import Traffic, moves
from irflops.ops.work import Work

_GATHER = "no arithmetic; reads numel(out) elements of the source and the indices, writes out"


def gather_shape(op: OpView) -> Inferred:
    """The indexed axis gives way to the axes of the indices."""
    shape, indices = op.shape("in"), op.shape("indices")
    axis = normal_axis(op.integer("axis"), len(shape))
    return {"out": TensorType((*shape[:axis], *indices, *shape[axis + 1 :]), op.input("in").dtype)}


def batch_gather_shape(op: OpView) -> Inferred:
    """The last axis of the indices counts along the same axis of the source; the axes before it are a batch."""
    shape, indices = op.shape("in"), op.shape("indices")
    batch = len(indices) - 1
    if indices[:batch] != shape[:batch]:
        raise ValueError(f"in {shape} and indices {indices} differ in their batch axes")
    return {"out": TensorType((*indices, *shape[len(indices) :]), op.input("in").dtype)}


def embedding_shape(op: OpView) -> Inferred:
    """A row of the table per index."""
    return {"out": TensorType((*op.shape("indices"), *op.shape("weight")[1:]), op.input("weight").dtype)}


def gather_nd_shape(op: OpView) -> Inferred:
    """The last axis of the indices holds one position; the axes of params that it does not reach stay."""
    params, indices = op.shape("params"), op.shape("indices")
    if not indices or indices[-1] > len(params):
        raise ValueError(f"indices {indices} point deeper than params {params}")
    return {"out": TensorType((*indices[:-1], *params[indices[-1] :]), op.input("params").dtype)}


def dim_gather_shape(op: OpView) -> Inferred:
    """An element per index."""
    return {"output": TensorType(op.shape("index"), op.input("input").dtype)}


def one_hot_shape(op: OpView) -> Inferred:
    """A new last axis of `depth` classes."""
    return {"out": TensorType((*op.shape("indices"), op.integer("depth")), op.dtype_attr())}


def segment_sum_shape(op: OpView) -> Inferred:
    """num_segments in place of the axes that the segment ids number."""
    data, ids = op.shape("data"), op.shape("segment_ids")
    axis = normal_axis(op.integer("axis"), len(data))
    return {"out": TensorType((*data[:axis], op.integer("num_segments"), *data[axis + len(ids) :]), op.input("data").dtype)}


def batch_segment_sum_shape(op: OpView) -> Inferred:
    """num_segments in place of the last axis of the segment ids."""
    data, ids = op.shape("data"), op.shape("segment_ids")
    return {"out": TensorType((*ids[:-1], op.integer("num_segments"), *data[len(ids) :]), op.input("data").dtype)}


def renorm_cost(op: OpView) -> Work:
    """Per looked-up row of k elements: k of |x|, k - 1 sums, k products, a test, + eps, a division; k pow and a root."""
    rows, touched = op.numel("indices"), _touched(op)
    return Work(arithmetic=3 * touched + 2 * rows, transcendentals=touched + rows)


def renorm_traffic(op: OpView) -> Traffic:
    """The looked-up rows are read and written."""
    rows = op.dtype("in").nbytes(_touched(op))
    return Traffic(reads={"in": rows, "indices": op.nbytes("indices")}, writes={"out": rows})


def _touched(op: OpView) -> int:
    return op.numel("indices") * math.prod(op.shape("in")[1:])


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("gather",),
        looks_up={"indices": "in"},
        summary="Entries of an axis, looked up by index.",
        formula=_GATHER,
        shape=gather_shape,
        readings=axis_of("axis", "in"),
        cost=no_work,
        traffic=moves(sized_as={"in": "out"}),
        examples=(
            Example(
                call="gather(in: f32[50257,768], indices: i64[2,512], axis=0) -> out: f32[2,512,768]",
                because="786432 floats and 1024 indices of 8 bytes in, 786432 floats out",
                flops=0,
                bytes_read=3153920,
                bytes_written=3145728,
            ),
            Example(
                call="gather(in: f16[100,4], indices: i32[3]) -> out: f16[3,4]",
                because="12 elements of 2 bytes and 3 indices of 4 in, as printed",
                bytes_read=36,
                bytes_written=24,
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("batch_gather",),
        summary="Entries of an axis, looked up by index in each sample.",
        formula=_GATHER,
        shape=batch_gather_shape,
        cost=no_work,
        traffic=moves(sized_as={"in": "out"}),
        examples=(
            Example(
                call="batch_gather(in: f32[2,9,4], indices: i32[2,3]) -> out: f32[2,3,4]",
                because="24 floats and 6 indices of 4 bytes in, 24 floats out",
                flops=0,
                bytes_read=120,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("embedding",),
        looks_up={"indices": "weight"},
        summary="Rows of a table, looked up by index.",
        formula=_GATHER,
        shape=embedding_shape,
        cost=no_work,
        traffic=moves(sized_as={"weight": "out"}),
        examples=(
            Example(
                call="embedding(weight: f32[1000,256], indices: i64[4,128]) -> out: f32[4,128,256]",
                because="131072 floats and 512 indices of 8 bytes in, 131072 floats out",
                flops=0,
                bytes_read=528384,
                bytes_written=524288,
            ),
        ),
    ),
    OpRule(
        op_types=("gather_nd",),
        summary="Elements or blocks at positions of several axes.",
        formula=_GATHER,
        shape=gather_nd_shape,
        cost=no_work,
        traffic=moves(sized_as={"params": "out"}),
        examples=(
            Example(
                call="gather_nd(params: f32[169,3], indices: i64[2401,1]) -> out: f32[2401,3]",
                because="7203 floats and 2401 indices of 8 bytes in, 7203 floats out; no attribute is needed",
                flops=0,
                bytes_read=48020,
                bytes_written=28812,
            ),
        ),
    ),
    OpRule(
        op_types=("dim_gather",),
        summary="Elements along one axis, each with an index of its own.",
        formula=_GATHER,
        shape=dim_gather_shape,
        cost=no_work,
        traffic=moves(sized_as={"input": "output"}),
        examples=(
            Example(
                call="dim_gather(input: f32[4,10], index: i64[4,2], dim=1) -> output: f32[4,2]",
                because="8 floats and 8 indices of 8 bytes in, 8 floats out",
                flops=0,
                bytes_read=96,
                bytes_written=32,
            ),
        ),
    ),
    OpRule(
        op_types=("one_hot",),
        summary="A row per class number, one at its place and zeros elsewhere.",
        formula="no arithmetic; reads the class numbers, writes out",
        shape=one_hot_shape,
        cost=no_work,
        traffic=moves(),
        examples=(
            Example(
                call='one_hot(indices: i64[8], depth=5, dtype="float32") -> out: f32[8,5]',
                because="8 numbers of 8 bytes in, 40 floats out",
                flops=0,
                bytes_read=64,
                bytes_written=160,
            ),
        ),
    ),
    OpRule(
        op_types=("unsorted_segment_sum_like",),
        temporary=segment_buffer,
        summary="Rows summed by segment: the gradient of gather.",
        formula="flops = numel(data), one addition per element; reads data and segment_ids, writes out whole; like gives the shape alone",
        ignores="that the first row of a segment adds to zero",
        shape=shaped_like("like", "data"),
        cost=one_per_element("data"),
        traffic=moves(like=("like",)),
        examples=(
            Example(
                call="unsorted_segment_sum_like(data: f32[4,128,256], segment_ids: i64[4,128], like: f32[1000,256], axis=0)"
                " -> out: f32[1000,256]",
                because="131072 elements, added; they and 512 ids of 8 bytes in, 256000 floats out",
                flops=131072,
                bytes_read=528384,
                bytes_written=1024000,
            ),
            Example(
                call="unsorted_segment_sum_like(data: f32[3,2], segment_ids: i32[3], like: f32[5,2]) -> out: f32[5,2]",
                because="like tells the shape without attributes; 6 additions",
                flops=6,
                bytes_read=36,
                bytes_written=40,
            ),
        ),
    ),
    OpRule(
        op_types=("unsorted_segment_sum",),
        temporary=segment_buffer,
        summary="Rows summed by segment.",
        formula="flops = numel(data), one addition per element; reads data and segment_ids, writes out whole",
        shape=segment_sum_shape,
        readings=segments,
        resized=baked("num_segments"),
        cost=one_per_element("data"),
        traffic=moves(),
        examples=(
            Example(
                call="unsorted_segment_sum(data: f32[2,3,4], segment_ids: i32[3], axis=1, num_segments=6) -> out: f32[2,6,4]",
                because="24 additions; 24 floats and 3 ids of 4 bytes in, 48 floats out",
                flops=24,
                bytes_read=108,
                bytes_written=192,
            ),
        ),
    ),
    OpRule(
        op_types=("unsorted_batch_segment_sum",),
        summary="Rows summed by segment in each sample: the gradient of batch_gather.",
        formula="flops = numel(data), one addition per element; reads data and segment_ids, writes out whole",
        shape=batch_segment_sum_shape,
        resized=baked("num_segments"),
        cost=one_per_element("data"),
        traffic=moves(),
        examples=(
            Example(
                call="unsorted_batch_segment_sum(data: f32[2,3,4], segment_ids: i32[2,3], num_segments=9) -> out: f32[2,9,4]",
                because="24 additions; 24 floats and 6 ids of 4 bytes in, 72 floats out",
                flops=24,
                bytes_read=120,
                bytes_written=288,
            ),
        ),
    ),
    OpRule(
        op_types=("embedding_grad",),
        summary="The gradient of embedding: rows of dy summed into the table's.",
        formula="flops = numel(dy), one addition per element; reads dy and indices, writes dx whole; weight gives the shape alone",
        ignores="the division by frequency that scale_grad_by_freq asks for",
        shape=shaped_like("weight", "dy", "dx"),
        cost=one_per_element("dy"),
        traffic=moves(like=("weight",)),
        examples=(
            Example(
                call="embedding_grad(dy: f32[4,8], weight: f32[10,8], indices: i64[4]) -> dx: f32[10,8]",
                because="32 additions; 32 floats and 4 indices of 8 bytes in, 80 floats out",
                flops=32,
                bytes_read=160,
                bytes_written=320,
            ),
        ),
    ),
    OpRule(
        op_types=("embedding_renorm",),
        summary="The looked-up rows of a table scaled down to a largest norm.",
        formula="rows = numel(indices), n = rows * row length: flops = 3n - rows (|x|, sum, scale) + 3 rows (test, + eps, division); "
        "transcendentals = n (pow) + rows (root); reads and writes the rows, reads the indices",
        shape=shaped_like("in", "in"),
        cost=renorm_cost,
        traffic=renorm_traffic,
        upper_bound=True,
        ignores="that a row looked up twice, or short enough, takes less",
        examples=(
            Example(
                call="embedding_renorm(in: f32[10,4], indices: i64[2]) -> out: f32[10,4]",
                because="2 rows of 4: 4 + 3 + 4 for the elements, 3 for the row, makes 14 each; 8 pow and 2 roots; 8 floats and 2 "
                "indices in, 8 floats out",
                flops=28,
                transcendentals=10,
                bytes_read=48,
                bytes_written=32,
            ),
        ),
    ),
)
