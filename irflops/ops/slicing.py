"""Ops that cut a part out of a tensor, and their gradients, which put it back: narrow, slice, diagonal, strided windows."""

from __future__ import annotations

from collections.abc import Sequence

from irflops.ir.certainty import Certainty
from irflops.ir.graph import TensorType
from irflops.ops.costs import no_work, one_per_element
from irflops.ops.op_view import OpView
from irflops.ops.readings import narrowings, result_shape, slices
from irflops.ops.resize import fixed, narrowed, slice_undone, sliced, sliced_from
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule, normal_axis
from irflops.ops.traffic import Traffic, TrafficRule, moves, touch_all

_CUT = "no arithmetic; reads and writes numel(out) elements"
_PUT_BACK = "no arithmetic; reads dy, writes dx whole (zeros outside the part)"


def narrow_shape(op: OpView) -> Inferred:
    """`length` entries of axis `dim`; OneFlow shortens a length that is too long if it starts at 0."""
    shape, start, length = op.shape("in"), op.integer("start"), op.integer("length")
    axis = normal_axis(op.integer("dim"), len(shape))
    if start == 0:
        length = min(length, shape[axis])
    if start + length > shape[axis]:
        raise ValueError(f"entries {start} to {start + length} lie outside axis {axis} of in {shape}")
    return {"out": TensorType((*shape[:axis], length, *shape[axis + 1 :]), op.input("in").dtype)}


def slice_extents(start: Sequence[int], stop: Sequence[int], step: Sequence[int]) -> tuple[int, ...]:
    """Entries per axis from start to stop, which is left out, by step."""
    return tuple(max(0, -((first - end) // by)) for first, end, by in zip(start, stop, step, strict=True))


def slice_shape(op: OpView) -> Inferred:
    """The entries from start to stop by step, per axis."""
    shape, start, stop, step = op.shape("x"), op.ints("start"), op.ints("stop"), op.ints("step")
    if not len(shape) == len(start) == len(stop) == len(step):
        raise ValueError(f"x {shape} does not have the axes of start {start}, stop {stop}, step {step}")
    if 0 in step:
        raise ValueError(f"step {step} of a slice is 0 on an axis")
    if any(end > extent for end, extent in zip(stop, shape, strict=True)):
        raise ValueError(f"stop {stop} lies outside x {shape}")
    return {"y": TensorType(slice_extents(start, stop, step), op.input("x").dtype)}


def slice_grad_shape(op: OpView) -> Inferred:
    """The shape from before the slice."""
    return {"dx": TensorType(op.ints("like_shape"), op.input("dy").dtype)}


def slice_update_shape(op: OpView) -> Inferred:
    """The type of `ref`."""
    return {"y": op.input("ref")}


def gradient_like(arg: str) -> ShapeRule:
    """A shape rule: dx has the shape of a forward operand and the dtype of dy."""

    def shape(op: OpView) -> Inferred:
        return {"dx": TensorType(op.input(arg).shape, op.input("dy").dtype)}

    return shape


def diag_shape(op: OpView) -> Inferred:
    """A vector becomes a matrix with that diagonal, a matrix gives its diagonal."""
    shape, offset = op.shape("in"), op.integer("diagonal")
    if len(shape) not in (1, 2):
        raise ValueError(f"in {shape} is neither a vector nor a matrix")
    size = shape[0] + abs(offset) if len(shape) == 1 else 0
    out = (size, size) if len(shape) == 1 else (_diagonal(shape, offset),)
    return {"out": TensorType(out, op.input("in").dtype)}


def diagonal_shape(op: OpView) -> Inferred:
    """The diagonal of the first two axes becomes the last axis."""
    shape = op.shape("in", at_least=2)
    return {"out": TensorType((*shape[2:], _diagonal(shape, op.integer("offset"))), op.input("in").dtype)}


def _diagonal(shape: tuple[int, ...], offset: int) -> int:
    rows, columns = shape[:2]
    return max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))


def as_strided_shape(op: OpView) -> Inferred:
    """The attribute's size."""
    return {"output": TensorType(op.ints("size"), op.input("input").dtype)}


def unfold_tensor_shape(op: OpView) -> Inferred:
    """The axis counts windows, a new last axis holds their elements."""
    shape, size, step = op.shape("x"), op.integer("size"), op.integer("step", least=1)
    if not shape:
        return {"y": TensorType((size,), op.input("x").dtype)}
    axis = normal_axis(op.integer("dimension"), len(shape))
    if size > shape[axis]:
        raise ValueError(f"windows of {size} do not fit into axis {axis} of x {shape}")
    return {"y": TensorType((*shape[:axis], (shape[axis] - size) // step + 1, *shape[axis + 1 :], size), op.input("x").dtype)}


def diag_traffic(operand: str, result: str, *like: str) -> TrafficRule:
    """Of a matrix its diagonal is read, a vector whole: the smaller of the two sides. The result is written whole."""

    def rule(op: OpView) -> Traffic:
        read = op.dtype(operand).nbytes(min(op.numel(operand), op.numel(result)))
        return Traffic(reads={operand: read, **dict.fromkeys(like, 0)}, writes={result: op.nbytes(result)})

    return rule


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("narrow",),
        summary="A run of entries of one axis.",
        formula=_CUT,
        shape=narrow_shape,
        readings=narrowings,
        resized=narrowed,
        cost=no_work,
        traffic=moves(sized_as={"in": "out"}),
        examples=(
            Example(
                call="narrow(in: f32[2,512,2304], dim=2, start=768, length=768) -> out: f32[2,512,768]",
                because="2 * 512 * 768 = 786432 floats are read and written, not the 3 times as many of in",
                flops=0,
                bytes_read=3145728,
                bytes_written=3145728,
            ),
            Example(
                call="narrow(in: f32[4,6]) -> out: f32[4,2]",
                because="8 floats each way, as printed",
                flops=0,
                bytes_read=32,
                bytes_written=32,
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("narrow_grad",),
        summary="The gradient of narrow: dy in its place among zeros.",
        formula=f"{_PUT_BACK}; like gives the shape alone",
        shape=gradient_like("like"),
        cost=no_work,
        traffic=moves(like=("like",)),
        examples=(
            Example(
                call="narrow_grad(dy: f32[4,2], like: f32[4,6]) -> dx: f32[4,6]",
                because="8 floats in, 24 out; like tells the shape without attributes",
                flops=0,
                bytes_read=32,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("slice", "logical_slice"),
        left_out_whole=Certainty.LOWER_BOUND,  # by indexing, not by flow.slice
        summary="The entries from start to stop by step, on every axis.",
        formula=_CUT,
        shape=slice_shape,
        readings=slices,
        resized=sliced,
        cost=no_work,
        traffic=moves(sized_as={"x": "y"}),
        examples=(
            Example(
                call="slice(x: f32[2,288], start=[0,0], stop=[2,72], step=[1,1]) -> y: f32[2,72]",
                because="144 floats each way",
                flops=0,
                bytes_read=576,
                bytes_written=576,
            ),
            Example(
                call="slice(x: f32[7], start=[1], stop=[7], step=[4]) -> y: f32[2]",
                because="entries 1 and 5",
                flops=0,
                bytes_read=8,
                bytes_written=8,
            ),
        ),
    ),
    OpRule(
        op_types=("slice_grad",),
        left_out_whole=Certainty.LOWER_BOUND,  # by indexing, not by flow.slice
        summary="The gradient of slice: dy in its place among zeros.",
        formula=_PUT_BACK,
        shape=slice_grad_shape,
        readings=result_shape("like_shape", "dx"),
        resized=slice_undone,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="slice_grad(dy: f32[2,72], like_shape=[2,288], start=[0,0], stop=[2,72], step=[1,1]) -> dx: f32[2,288]",
                because="144 floats in, 576 out",
                flops=0,
                bytes_read=576,
                bytes_written=2304,
            ),
        ),
    ),
    OpRule(
        op_types=("slice_update",),
        summary="A tensor whose slice takes new values.",
        formula="no arithmetic; reads value, writes as many elements of y; the rest of ref stays where it is",
        shape=slice_update_shape,
        resized=sliced_from("ref"),
        cost=no_work,
        traffic=moves(like=("ref",), sized_as={"y": "value"}),
        examples=(
            Example(
                call="slice_update(ref: f32[10,4], value: f32[2,4], start=[0,0], stop=[2,4], step=[1,1]) -> y: f32[10,4]",
                because="8 floats in, 8 written",
                flops=0,
                bytes_read=32,
                bytes_written=32,
            ),
        ),
    ),
    OpRule(
        op_types=("diag",),
        summary="The diagonal of a matrix, or a matrix with a given diagonal.",
        formula="no arithmetic; reads the diagonal, writes out whole",
        shape=diag_shape,
        cost=no_work,
        traffic=diag_traffic("in", "out"),
        examples=(
            Example(call="diag(in: f32[3,4], diagonal=1) -> out: f32[3]", because="3 floats each way", bytes_read=12, bytes_written=12),
            Example(call="diag(in: f32[3], diagonal=-1) -> out: f32[4,4]", because="3 in, 16 out", bytes_read=12, bytes_written=64),
        ),
    ),
    OpRule(
        op_types=("diag_grad",),
        summary="The gradient of diag.",
        formula="no arithmetic; reads the diagonal of dy, writes dx whole; in gives the shape alone",
        shape=gradient_like("in"),
        cost=no_work,
        traffic=diag_traffic("dy", "dx", "in"),
        examples=(
            Example(
                call="diag_grad(dy: f32[3], in: f32[3,4], diagonal=1) -> dx: f32[3,4]",
                because="3 in, 12 out",
                bytes_read=12,
                bytes_written=48,
            ),
            Example(
                call="diag_grad(dy: f32[4,4], in: f32[3], diagonal=1) -> dx: f32[3]",
                because="3 of dy's 16 count, 3 out",
                bytes_read=12,
                bytes_written=12,
            ),
        ),
    ),
    OpRule(
        op_types=("diagonal",),
        summary="The diagonal of the first two axes.",
        formula=_CUT,
        shape=diagonal_shape,
        cost=no_work,
        traffic=moves(sized_as={"in": "out"}),
        examples=(
            Example(
                call="diagonal(in: f32[3,4,5], offset=-1) -> out: f32[5,2]",
                because="rows 1 and 2 have a diagonal element: 2 * 5 floats each way",
                flops=0,
                bytes_read=40,
                bytes_written=40,
            ),
        ),
    ),
    OpRule(
        op_types=("diagonal_grad",),
        summary="The gradient of diagonal.",
        formula=f"{_PUT_BACK}; in gives the shape alone",
        shape=gradient_like("in"),
        cost=no_work,
        traffic=moves(like=("in",)),
        examples=(
            Example(
                call="diagonal_grad(dy: f32[5,2], in: f32[3,4,5], offset=-1) -> dx: f32[3,4,5]",
                because="10 in, 60 out",
                flops=0,
                bytes_read=40,
                bytes_written=240,
            ),
        ),
    ),
    OpRule(
        op_types=("as_strided",),
        summary="A tensor laid over the operand's storage by strides, copied.",
        formula=_CUT,
        shape=as_strided_shape,
        readings=result_shape("size", "output"),
        resized=fixed,
        cost=no_work,
        traffic=moves(sized_as={"input": "output"}),
        examples=(
            Example(
                call="as_strided(input: f32[6], size=[2,2], stride=[2,1], storage_offset=1) -> output: f32[2,2]",
                because="4 floats each way",
                flops=0,
                bytes_read=16,
                bytes_written=16,
            ),
        ),
    ),
    OpRule(
        op_types=("as_strided_grad",),
        summary="The gradient of as_strided: overlapping elements add up.",
        formula="flops = numel(dy), one addition per element; reads dy, writes dx whole; input gives the shape alone",
        shape=gradient_like("input"),
        cost=one_per_element("dy"),
        traffic=moves(like=("input",)),
        examples=(
            Example(
                call="as_strided_grad(dy: f32[2,2], input: f32[6], size=[2,2], stride=[2,1], storage_offset=1) -> dx: f32[6]",
                because="4 additions; 4 in, 6 out",
                flops=4,
                bytes_read=16,
                bytes_written=24,
            ),
        ),
    ),
    OpRule(
        op_types=("unfold_tensor",),
        summary="The windows of one axis, side by side.",
        formula="no arithmetic; reads x once, writes y",
        shape=unfold_tensor_shape,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="unfold_tensor(x: f32[2,7], dimension=1, size=3, step=2) -> y: f32[2,3,3]",
                because="windows start at 0, 2, 4; 14 floats in, 18 out",
                flops=0,
                bytes_read=56,
                bytes_written=72,
            ),
        ),
    ),
    OpRule(
        op_types=("unfold_tensor_grad",),
        summary="The gradient of unfold_tensor: overlapping windows add up.",
        formula="flops = numel(dy), one addition per element; reads dy, writes dx; x gives the shape alone",
        shape=gradient_like("x"),
        cost=one_per_element("dy"),
        traffic=moves(like=("x",)),
        examples=(
            Example(
                call="unfold_tensor_grad(dy: f32[2,3,3], x: f32[2,7]) -> dx: f32[2,7]",
                because="18 additions; 18 in, 14 out",
                flops=18,
                bytes_read=72,
                bytes_written=56,
            ),
        ),
    ),
)
