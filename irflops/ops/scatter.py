"""Ops that write into a tensor by index: scatter, index_add, counts and sums of repeated indices."""

from __future__ import annotations

import math

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import no_work, one_per_element
from irflops.ops.op_view import OpView
from irflops.ops.readings import result_shape
from irflops.ops.resize import baked
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, shaped_like
from irflops.ops.traffic import moves, touch_all
from irflops.ops.work import Work

_TOUCHED = "reads the updates and the indices, writes as many elements as there are updates; the rest stays where it is"
_ADDED = "reads the updates, the indices and as many elements to add them to, which it writes; the rest stays where it is"


def dim_scatter_shape(op: OpView) -> Inferred:
    """The type of the tensor that is scattered into."""
    return {"output": op.input("like" if "like" in op.input_args else "input")}


def scatter_nd_shape(op: OpView) -> Inferred:
    """The attribute's shape."""
    return {"out": TensorType(op.ints("shape"), op.input("updates").dtype)}


def bincount_shape(op: OpView) -> Inferred:
    """The attribute's size; counts are int64, weights keep their dtype."""
    source = op.input("weight" if "weight" in op.input_args else "in")
    return {"out": TensorType((op.integer("size"),), source.dtype)}


def indexed_slices_shape(op: OpView) -> Inferred:
    """As many rows as indices at most, and how many there are."""
    indices, values = op.shape("x_indices"), op.shape("x_values")
    rows, width = math.prod(indices), math.prod(values[len(indices) :])
    return {
        "y_indices": TensorType((rows,), op.input("x_indices").dtype),
        "y_values": TensorType((rows, width), op.input("x_values").dtype),
        "num_unique": TensorType((1,), DType.INT64),
    }


def index_add_cost(op: OpView) -> Work:
    """Every element is scaled and added."""
    return Work(arithmetic=2 * op.numel("source"))


def indexed_slices_cost(op: OpView) -> Work:
    """Repeated rows add up: every element once at the most."""
    return Work(arithmetic=op.numel("x_values"))


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("scatter_nd",),
        summary="Updates added into zeros at positions of several axes.",
        formula="flops = numel(updates), one addition per element; reads updates and indices, writes out whole",
        shape=scatter_nd_shape,
        readings=result_shape("shape"),
        resized=baked("shape"),
        cost=one_per_element("updates"),
        traffic=moves(),
        examples=(
            Example(
                call="scatter_nd(indices: i64[2,1], updates: f32[2,3], shape=[5,3]) -> out: f32[5,3]",
                because="6 additions; 6 floats and 2 indices of 8 bytes in, 15 floats out",
                flops=6,
                bytes_read=40,
                bytes_written=60,
            ),
        ),
    ),
    OpRule(
        op_types=("scatter_nd_like",),
        summary="Updates added into zeros at positions of several axes: the gradient of gather_nd.",
        formula="flops = numel(updates), one addition per element; reads updates and indices, writes out whole; like gives the shape alone",
        shape=shaped_like("like", "updates"),
        cost=one_per_element("updates"),
        traffic=moves(like=("like",)),
        examples=(
            Example(
                call="scatter_nd_like(like: f32[5,3], indices: i64[2,1], updates: f32[2,3]) -> out: f32[5,3]",
                because="6 additions; 6 floats and 2 indices of 8 bytes in, 15 floats out",
                flops=6,
                bytes_read=40,
                bytes_written=60,
            ),
        ),
    ),
    OpRule(
        op_types=("tensor_scatter_nd_update",),
        overwrites={"out": "params"},
        summary="A tensor with updates at positions of several axes.",
        formula=f"no arithmetic; {_TOUCHED}",
        shape=shaped_like("params", "params"),
        cost=no_work,
        traffic=moves(like=("params",), sized_as={"out": "updates"}),
        examples=(
            Example(
                call="tensor_scatter_nd_update(params: f32[5,3], updates: f32[2,3], indices: i64[2,1]) -> out: f32[5,3]",
                because="6 floats and 2 indices of 8 bytes in, 6 floats written",
                flops=0,
                bytes_read=40,
                bytes_written=24,
            ),
        ),
    ),
    OpRule(
        op_types=("tensor_scatter_nd_add",),
        overwrites={"out": "params"},
        summary="A tensor with updates added at positions of several axes.",
        formula=f"flops = numel(updates), one addition per element; {_ADDED}",
        shape=shaped_like("params", "params"),
        cost=one_per_element("updates"),
        traffic=moves(sized_as={"params": "updates", "out": "updates"}),
        examples=(
            Example(
                call="tensor_scatter_nd_add(params: f32[5,3], updates: f32[2,3], indices: i64[2,1]) -> out: f32[5,3]",
                because="6 additions; 6 floats, the 6 that they are added to and 2 indices of 8 bytes in, 6 floats written",
                flops=6,
                bytes_read=64,
                bytes_written=24,
            ),
        ),
    ),
    OpRule(
        op_types=("dim_scatter_update", "dim_scatter_update_scalar"),
        summary="A tensor with updates along one axis, each at an index of its own.",
        formula=f"no arithmetic; {_TOUCHED}",
        shape=dim_scatter_shape,
        cost=no_work,
        traffic=moves(like=("input",), sized_as={"src": "index", "output": "index"}),
        examples=(
            Example(
                call="dim_scatter_update(input: f32[4,10], index: i64[4,2], src: f32[4,3], dim=1) -> output: f32[4,10]",
                because="index asks for 8 of src's floats: they and 8 indices of 8 bytes in, 8 floats written",
                flops=0,
                bytes_read=96,
                bytes_written=32,
            ),
            Example(
                call="dim_scatter_update_scalar(input: f32[4,10], index: i64[4,2], dim=1, src_scalar=0.5) -> output: f32[4,10]",
                because="8 indices of 8 bytes in, 8 floats written",
                flops=0,
                bytes_read=64,
                bytes_written=32,
            ),
        ),
    ),
    OpRule(
        op_types=("dim_scatter_add", "dim_scatter_mul", "dim_scatter_add_scalar", "dim_scatter_mul_scalar"),
        summary="A tensor with updates added or multiplied in along one axis, each at an index of its own.",
        formula=f"flops = numel(index), one addition or multiplication per update; {_ADDED}",
        shape=dim_scatter_shape,
        cost=one_per_element("index"),
        traffic=moves(sized_as={"input": "index", "src": "index", "output": "index"}),
        examples=(
            Example(
                call="dim_scatter_add(input: f32[4,10], index: i64[4,2], src: f32[4,2], dim=1) -> output: f32[4,10]",
                because="8 additions; 8 floats, the 8 that they are added to and 8 indices of 8 bytes in, 8 floats written",
                flops=8,
                bytes_read=128,
                bytes_written=32,
            ),
            Example(
                call="dim_scatter_mul_scalar(input: f16[4,10], index: i32[4,2], dim=1, src_scalar=0.5) -> output: f16[4,10]",
                because="8 products; 8 numbers of 2 bytes and 8 indices of 4 bytes in, 8 numbers written",
                flops=8,
                bytes_read=48,
                bytes_written=16,
            ),
        ),
    ),
    OpRule(
        op_types=("dim_scatter_add_like",),
        summary="Updates added into zeros along one axis: the gradient of dim_gather.",
        formula="flops = numel(index), one addition per update; reads src and index, writes output whole; like gives the shape alone",
        shape=dim_scatter_shape,
        cost=one_per_element("index"),
        traffic=moves(like=("like",), sized_as={"src": "index"}),
        examples=(
            Example(
                call="dim_scatter_add_like(like: f32[4,10], index: i64[4,2], src: f32[4,2], dim=1) -> output: f32[4,10]",
                because="8 additions; 8 floats and 8 indices of 8 bytes in, 40 floats out",
                flops=8,
                bytes_read=96,
                bytes_written=160,
            ),
        ),
    ),
    OpRule(
        op_types=("index_add",),
        summary="A tensor with slices added at the indices of one axis.",
        formula=f"flops = 2 numel(source), a multiplication by alpha and an addition per element, whatever alpha is; {_ADDED}",
        shape=shaped_like("input", "input", "output"),
        cost=index_add_cost,
        traffic=moves(sized_as={"input": "source", "output": "source"}),
        examples=(
            Example(
                call="index_add(input: f32[5,3], index: i64[2], source: f32[2,3]) -> output: f32[5,3]",
                because="6 products, 6 additions; 6 floats, the 6 that they are added to and 2 indices of 8 bytes in, 6 floats written",
                flops=12,
                bytes_read=64,
                bytes_written=24,
            ),
        ),
    ),
    OpRule(
        op_types=("bincount",),
        summary="How often each number occurs, or the weights of its occurrences summed.",
        formula="flops = numel(in), one addition per element; reads in and weight, writes out",
        shape=bincount_shape,
        cost=one_per_element("in"),
        traffic=touch_all,
        examples=(
            Example(
                call="bincount(in: i64[10], size=4) -> out: i64[4]",
                because="10 additions; 10 numbers of 8 bytes in, 4 out",
                flops=10,
                bytes_read=80,
                bytes_written=32,
            ),
            Example(call="bincount(in: i64[10], weight: f32[10], size=4) -> out: f32[4]", because="10 additions", flops=10, bytes_read=120),
        ),
    ),
    OpRule(
        op_types=("indexed_slices_reduce_sum",),
        summary="Rows with the same index summed.",
        formula="flops = numel(x_values), one addition per element at the most; reads and writes everything",
        shape=indexed_slices_shape,
        cost=indexed_slices_cost,
        traffic=touch_all,
        upper_bound=True,
        examples=(
            Example(
                call="indexed_slices_reduce_sum(x_indices: i64[2,3], x_values: f32[2,3,4])"
                " -> y_indices: i64[6], y_values: f32[6,4], num_unique: i64[1]",
                because="24 additions at the most; 6 indices of 8 bytes and 24 floats each way, and a count of 8 bytes out",
                flops=24,
                bytes_read=144,
                bytes_written=152,
            ),
        ),
    ),
)
