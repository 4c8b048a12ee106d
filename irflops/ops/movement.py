"""Ops that move whole tensors and compute nothing: transpose, expand, concat, stack, split, roll and the like."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.costs import no_work
from irflops.ops.op_view import OpView
from irflops.ops.readings import axis_of, permutations, result_extent, result_shape
from irflops.ops.resize import baked, expanded, like_operand
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, normal_axis
from irflops.ops.traffic import moves, touch_all
from irflops.ops.work import Work

_COPY = "no arithmetic; reads and writes each element once"


def transpose_shape(op: OpView) -> Inferred:
    """Axis i of the result is axis perm[i] of the operand."""
    shape, perm = op.shape("input"), op.ints("perm")
    if sorted(perm) != list(range(len(shape))):
        raise ValueError(f"perm {perm} is no permutation of the axes of input {shape}")
    return {"output": TensorType(tuple(shape[axis] for axis in perm), op.input("input").dtype)}


def expand_shape(op: OpView) -> Inferred:
    """The attribute's shape, where -1 keeps an extent; OneFlow 0.8 and earlier calls it logical_expand_shape."""
    shape = op.shape("in")
    target = op.ints("logical_expand_shape" if "logical_expand_shape" in op.attrs else "expand_shape")
    aligned = (1,) * (len(target) - len(shape)) + shape
    if len(aligned) != len(target) or any(want not in (-1, have) and have != 1 for have, want in zip(aligned, target, strict=True)):
        raise ValueError(f"in {shape} does not expand to {target}")
    out = tuple(have if want == -1 else want for have, want in zip(aligned, target, strict=True))
    return {"out": TensorType(out, op.input("in").dtype)}


def expand_grad_shape(op: OpView) -> Inferred:
    """The shape from before the expansion."""
    return {"out": TensorType(op.ints("logical_out_shape"), op.input("in").dtype)}


def expand_grad_cost(op: OpView) -> Work:
    """Summing n elements into m takes n - m additions."""
    return Work(arithmetic=max(0, op.numel("in") - op.numel("out")))


def concat_shape(op: OpView) -> Inferred:
    """The extents along the axis added up; a one-dimensional operand without elements is passed over, as in OneFlow."""
    shapes = [shape for shape in op.shapes("in") if shape != (0,)] or [(0,)]
    first = shapes[0]
    axis = normal_axis(op.integer("axis"), len(first))
    for shape in shapes:
        if len(shape) != len(first) or shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise ValueError(f"shapes {first} and {shape} differ elsewhere than on axis {axis}")
    out = (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])
    return {"out": TensorType(out, op.first("in").dtype)}


def stack_shape(op: OpView) -> Inferred:
    """A new axis as long as there are operands."""
    shapes = op.shapes("in")
    axis = normal_axis(op.integer("axis"), len(shapes[0]) + 1)
    if len(set(shapes)) > 1:
        raise ValueError(f"the shapes to stack differ: {', '.join(map(str, shapes))}")
    return {"out": TensorType((*shapes[0][:axis], len(shapes), *shapes[0][axis:]), op.first("in").dtype)}


def split_shape(op: OpView) -> Inferred:
    """Each part has the shape of its `like`; axes behind those of `like` come from the operand."""
    shape, dtype = op.shape("in"), op.input("in").dtype
    return {"out": tuple(TensorType((*like, *shape[len(like) :]), dtype) for like in op.shapes("like"))}


def stack_grad_shape(op: OpView) -> Inferred:
    """Each part has the shape of its `like`, an axis fewer than the operand."""
    return {"out": tuple(TensorType(like, op.input("in").dtype) for like in op.shapes("like"))}


def same_type_shape(op: OpView) -> Inferred:
    """The result has the type of the operand."""
    return dict.fromkeys(op.output_args, op.input(op.first_input))


def repeat_interleave_shape(op: OpView) -> Inferred:
    """A vector as long as all repetitions together, which the attribute holds."""
    return {"out": TensorType((op.integer("repeat_num"),), op.input("in").dtype)}


def scale_cost(op: OpView) -> Work:
    """One multiplication per element."""
    return Work(arithmetic=op.numel("out"))


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("transpose",),
        shares={"output": "input"},
        summary="The axes in another order, copied.",
        formula=_COPY,
        shape=transpose_shape,
        readings=permutations,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="transpose(input: f32[2,512,12,64], perm=[0,2,1,3]) -> output: f32[2,12,512,64]",
                because="786432 floats each way",
                flops=0,
                bytes_read=3145728,
                bytes_written=3145728,
            ),
            Example(
                call="transpose(input: f16[2,3]) -> output: f16[3,2]",
                because="6 elements of 2 bytes each way, as printed",
                flops=0,
                bytes_read=12,
                bytes_written=12,
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("expand",),
        summary="Axes of extent 1 repeated, copied.",
        formula="no arithmetic; reads in at its own size, writes out",
        shape=expand_shape,
        readings=result_shape("expand_shape"),
        resized=expanded,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="expand(in: f32[1,1,192], expand_shape=[8,-1,-1]) -> out: f32[8,1,192]",
                because="192 floats in, 1536 out",
                flops=0,
                bytes_read=768,
                bytes_written=6144,
            ),
            Example(
                call="expand(in: f32[3,1], logical_in_shape=[3,1], logical_expand_shape=[2,3,4]) -> out: f32[2,3,4]",
                because="a new first axis; 3 in, 24 out",
                bytes_read=12,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("expand_grad",),
        summary="The gradient of expand: the repeated axes summed.",
        formula="flops = numel(in) - numel(out) additions; reads in, writes out",
        shape=expand_grad_shape,
        readings=result_shape("logical_out_shape"),
        resized=like_operand("logical_out_shape", "in"),
        cost=expand_grad_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="expand_grad(in: f32[8,1,6], logical_out_shape=[1,1,6], logical_expand_shape=[8,1,6]) -> out: f32[1,1,6]",
                because="6 sums of 8 numbers, 7 additions each",
                flops=42,
                bytes_read=192,
                bytes_written=24,
            ),
        ),
    ),
    OpRule(
        op_types=("concat", "cat"),
        summary="Tensors joined along an axis.",
        formula=_COPY,
        shape=concat_shape,
        readings=axis_of("axis", "in"),
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="concat(in: [f32[1,1,192], f32[1,196,192]], axis=1, max_dim_size=197) -> out: f32[1,197,192]",
                because="192 + 37632 floats each way",
                flops=0,
                bytes_read=151296,
                bytes_written=151296,
            ),
            Example(
                call="concat(in: [f32[2,3], f32[2,5]]) -> out: f32[2,8]",
                because="16 floats each way, as printed",
                bytes_read=64,
                bytes_written=64,
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("stack",),
        summary="Tensors joined along a new axis.",
        formula=_COPY,
        shape=stack_shape,
        readings=axis_of("axis", "in", more=1),
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="stack(in: [f32[2,3], f32[2,3], f32[2,3], f32[2,3]], axis=1, max_dim_size=4) -> out: f32[2,4,3]",
                because="24 floats each way",
                flops=0,
                bytes_read=96,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("split_like",),
        summary="A tensor cut along an axis into parts of given shapes.",
        formula=f"{_COPY}; like gives the shapes alone",
        shape=split_shape,
        cost=no_work,
        traffic=moves(like=("like",)),
        examples=(
            Example(
                call="split_like(in: f32[2,8], like: [f32[2,3], f32[2,5]], axis=1) -> out: [f32[2,3], f32[2,5]]",
                because="16 floats each way",
                flops=0,
                bytes_read=64,
                bytes_written=64,
            ),
        ),
    ),
    OpRule(
        op_types=("stack_grad",),
        summary="The gradient of stack: its parts, without the stacked axis.",
        formula=f"{_COPY}; like gives the shapes alone",
        shape=stack_grad_shape,
        cost=no_work,
        traffic=moves(like=("like",)),
        examples=(
            Example(
                call="stack_grad(in: f32[2,2,3], like: [f32[2,3], f32[2,3]], axis=1) -> out: [f32[2,3], f32[2,3]]",
                because="12 floats each way",
                flops=0,
                bytes_read=48,
                bytes_written=48,
            ),
        ),
    ),
    OpRule(
        op_types=("identity_buffer",),
        unreused=True,
        shares={"out": "in"},
        hands_on=True,
        summary="The operand copied into a queue.",
        formula=_COPY,
        shape=same_type_shape,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="identity_buffer(in: f32[4], buffer_size=8) -> out: f32[4]",
                because="4 floats each way",
                bytes_read=16,
                bytes_written=16,
            ),
        ),
    ),
    OpRule(
        op_types=("roll", "flip", "flip_grad"),
        summary="The operand copied in another order.",
        formula=_COPY,
        shape=same_type_shape,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="roll(in: f32[1,56,56,96], shifts=[-3,-3], dims=[1,2]) -> out: f32[1,56,56,96]",
                because="301056 floats each way",
                flops=0,
                bytes_read=1204224,
                bytes_written=1204224,
            ),
            Example(call="flip(x: i64[3], dims=[0]) -> y: i64[3]", because="3 of 8 bytes each way", bytes_read=24, bytes_written=24),
        ),
    ),
    OpRule(
        op_types=("tril", "triu"),
        overwrites={"out": "in"},
        summary="The operand copied with a triangle set to a constant.",
        formula=_COPY,
        shape=same_type_shape,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(call="tril(in: f32[4,4]) -> out: f32[4,4]", because="16 floats each way", flops=0, bytes_read=64, bytes_written=64),
        ),
    ),
    OpRule(
        op_types=("fused_scale_tril",),
        overwrites={"out": "in"},
        summary="The lower triangle of the scaled operand.",
        formula="flops = numel(out), one multiplication per element; reads in, writes out",
        shape=same_type_shape,
        cost=scale_cost,
        traffic=touch_all,
        examples=(Example(call="fused_scale_tril(in: f32[4,4]) -> out: f32[4,4]", because="16 elements, scaled", flops=16, bytes_read=64),),
    ),
    OpRule(
        op_types=("repeat_interleave",),
        summary="Each element repeated a number of times of its own.",
        formula="no arithmetic; reads in and the running sum of the repetitions, writes out",
        shape=repeat_interleave_shape,
        readings=result_extent("repeat_num"),
        resized=baked("repeat_num"),
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="repeat_interleave(in: f32[3], cumsum: i64[3], repeat_num=7) -> out: f32[7]",
                because="3 floats and 3 of 8 bytes in, 7 floats out",
                flops=0,
                bytes_read=36,
                bytes_written=28,
            ),
        ),
    ),
)
