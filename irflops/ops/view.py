"""Ops whose result is their operand under another shape, name or placement: nothing is computed, nothing moves."""

from __future__ import annotations

import math
from collections.abc import Mapping

from irflops.ir.graph import TensorType
from irflops.ops.costs import no_work
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.readings import axes_of_one, axis_of, result_shape, runs_of_axes
from irflops.ops.resize import reshaped
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, normal_axis
from irflops.ops.traffic import touch_nothing

NO_COST = "no arithmetic; no bytes: the result shares its operand's storage"


def fill_in(target: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """A target shape with its -1 worked out; ValueError where the element counts differ."""
    if target.count(-1) > 1:
        raise ValueError(f"shape {target} leaves more than one extent open")
    rest = math.prod(extent for extent in target if extent != -1)
    if -1 in target and rest and numel % rest == 0:
        return tuple(numel // rest if extent == -1 else extent for extent in target)
    if -1 in target or rest != numel:
        raise ValueError(f"{numel} elements do not fill shape {target}")
    return target


def reshape_shape(op: OpView) -> Inferred:
    """The attribute's shape, one extent of which may be -1."""
    return {"out": TensorType(fill_in(op.ints("shape"), op.numel("in")), op.input("in").dtype)}


def reshape_like_shape(op: OpView) -> Inferred:
    """The shape of `like`, the dtype of `in`."""
    return {"out": TensorType(fill_in(op.shape("like"), op.numel("in")), op.input("in").dtype)}


def flatten_shape(op: OpView) -> Inferred:
    """One axis in place of the axes from start_dim to end_dim; a scalar becomes one element."""
    shape = op.shape("in")
    start, end = (normal_axis(op.integer(name), len(shape)) for name in ("start_dim", "end_dim"))
    if start > end:
        raise ValueError(f"start_dim {start} lies behind end_dim {end}")
    out = (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
    return {"out": TensorType(out, op.input("in").dtype)}


def squeeze_shape(op: OpView) -> Inferred:
    """Without the listed axes, whose extents must be 1."""
    shape = op.shape("in")
    gone = {normal_axis(axis, len(shape)) for axis in op.ints("axes")}
    kept_by_size = [axis for axis in gone if shape and shape[axis] != 1]
    if kept_by_size:
        raise ValueError(f"axes {sorted(kept_by_size)} of {shape} are not 1")
    return {"out": TensorType(tuple(extent for axis, extent in enumerate(shape) if axis not in gone), op.input("in").dtype)}


def expand_dims_shape(op: OpView) -> Inferred:
    """An axis of extent 1 more."""
    shape = op.shape("in")
    axis = normal_axis(op.integer("axis"), len(shape) + 1)
    return {"out": TensorType((*shape[:axis], 1, *shape[axis:]), op.input("in").dtype)}


def same_type_shape(op: OpView) -> Inferred:
    """Each result is its operand; a second operand orders or places alone."""
    first = op.inputs(op.first_input)
    return {arg: first if len(op.outputs(arg)) > 1 else first[0] for arg in op.output_args}


def tick_shape(op: OpView) -> Inferred:
    """One element that stands for `the operand is there`."""
    return {"out": TensorType((1,), op.input("in").dtype)}


def _identity(
    op_types: tuple[str, ...],
    *examples: Example,
    aliases: Mapping[str, str] | None = None,
    shares: Mapping[str, str] | None = None,
    overwrites: Mapping[str, str] | None = None,
    updates: tuple[str, ...] = (),
    hands_on: bool = True,
) -> OpRule:
    """The rule of an op whose results are its first operand."""
    return OpRule(
        op_types=op_types,
        aliases=aliases or {"out": "in"},
        shares=shares or {},
        overwrites=overwrites or {},
        updates=updates,
        hands_on=hands_on,
        summary="The operand itself, marked, ordered or renamed.",
        formula=NO_COST,
        shape=same_type_shape,
        cost=no_work,
        traffic=touch_nothing,
        examples=examples,
    )


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("reshape",),
        aliases={"out": "in"},
        shares={"out": "in"},
        summary="The same elements under another shape.",
        formula=NO_COST,
        shape=reshape_shape,
        readings=result_shape("shape"),
        resized=reshaped("shape", "in"),
        cost=no_work,
        traffic=touch_nothing,
        examples=(
            Example(
                call="reshape(in: f32[2,512,768], shape=[2,-1,12,64]) -> out: f32[2,512,12,64]",
                because="786432 elements over 2 * 12 * 64 leave 512",
                flops=0,
                bytes_read=0,
                bytes_written=0,
            ),
            Example(
                call="reshape(in: f32[6]) -> out: f32[2,3]",
                because="a view, whatever the shape is",
                flops=0,
                bytes_read=0,
                bytes_written=0,
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("reshape_like",),
        aliases={"out": "in"},
        shares={"out": "in"},
        summary="The same elements under the shape of another tensor.",
        formula=NO_COST,
        shape=reshape_like_shape,
        repeated="reduce_sum_like",
        cost=no_work,
        traffic=touch_nothing,
        examples=(
            Example(
                call="reshape_like(in: f16[6], like: f32[2,3]) -> out: f16[2,3]",
                because="the shape comes from like, the dtype from in",
                flops=0,
                bytes_read=0,
                bytes_written=0,
            ),
        ),
    ),
    OpRule(
        op_types=("flatten",),
        aliases={"out": "in"},
        summary="A run of axes made one.",
        formula=NO_COST,
        shape=flatten_shape,
        readings=runs_of_axes,
        cost=no_work,
        traffic=touch_nothing,
        examples=(
            Example(
                call="flatten(in: f32[1,256,6,6], start_dim=1, end_dim=-1) -> out: f32[1,9216]",
                because="256 * 6 * 6 = 9216",
                flops=0,
                bytes_read=0,
            ),
            Example(call="flatten(in: f32[], start_dim=0, end_dim=-1) -> out: f32[1]", because="a scalar has one element", flops=0),
        ),
    ),
    OpRule(
        op_types=("squeeze",),
        aliases={"out": "in"},
        shares={"out": "in"},
        summary="Axes of extent 1 taken away.",
        formula=NO_COST,
        shape=squeeze_shape,
        readings=axes_of_one,
        cost=no_work,
        traffic=touch_nothing,
        examples=(
            Example(call="squeeze(in: f32[4,1,3,1], axes=[1,-1]) -> out: f32[4,3]", because="axes 1 and 3 are 1", flops=0, bytes_read=0),
        ),
    ),
    OpRule(
        op_types=("expand_dims",),
        aliases={"out": "in"},
        shares={"out": "in"},
        summary="An axis of extent 1 put in.",
        formula=NO_COST,
        shape=expand_dims_shape,
        readings=axis_of("axis", "in", more=1),
        cost=no_work,
        traffic=touch_nothing,
        examples=(
            Example(call="expand_dims(in: f32[96], axis=1) -> out: f32[96,1]", because="a view", flops=0, bytes_read=0, bytes_written=0),
            Example(
                call="expand_dims(in: f32[2,3], axis=-1) -> out: f32[2,3,1]", because="-1 counts among the axes of the result", flops=0
            ),
        ),
    ),
    _identity(
        ("identity", "amp_white_identity", "amp_black_identity", "pinned_identity", "nvtx_start", "nvtx_end"),
        Example(call="identity(in: i64[1]) -> out: i64[1]", because="a view", flops=0, bytes_read=0, bytes_written=0),
        Example(call="pinned_identity(in: f32[8]) -> out: f32[8]", because="a view", flops=0, bytes_read=0, bytes_written=0),
        shares={"out": "in"},
    ),
    _identity(
        ("stop_gradient", "depend"),
        Example(call="depend(in: f32[2], depend_tensor: f32[9]) -> out: f32[2]", because="the second operand orders alone", flops=0),
    ),
    _identity(
        ("throw_error",),
        Example(call="throw_error(x: f32[2]) -> y: f32[2]", because="a view", flops=0, bytes_read=0, bytes_written=0),
        aliases={"y": "x"},
    ),
    _identity(
        ("tuple_identity",),
        Example(call="tuple_identity(in: [f32[2], i64[3,1]]) -> out: [f32[2], i64[3,1]]", because="two views", flops=0, bytes_read=0),
        hands_on=False,
    ),
    _identity(
        ("cast_to_static_shape",),
        Example(call="cast_to_static_shape(input: f32[2]) -> output: f32[2]", because="a view", flops=0, bytes_read=0, bytes_written=0),
        aliases={"output": "input"},
        shares={"output": "input"},
    ),
    _identity(
        ("ssp_variable_proxy",),
        Example(
            call="ssp_variable_proxy(var: f32[2]) -> ref: f32[2], value: f32[2]",
            because="two views, through one of which the variable is written",
            flops=0,
            bytes_read=0,
            bytes_written=0,
        ),
        aliases={"ref": "var", "value": "var"},
        overwrites={"ref": "var"},
        updates=("var",),
    ),
    OpRule(
        op_types=("parallel_cast", "hierarchical_parallel_cast", "hierarchical_parallel_cast_like"),
        aliases={"out": "in"},
        shares={"out": "in"},
        hands_on=True,
        summary="The operand with another sbp.",
        formula=f"{NO_COST}; what travels between devices is boxing, counted on the edge",
        shape=same_type_shape,
        cost=no_work,
        traffic=touch_nothing,
        examples=(
            Example(
                call='hierarchical_parallel_cast(in: f32[211,64], nd_sbp=["B"], grad_mode="identity", grad_nd_sbp=[]) -> out: f32[211,64]',
                because="the logical tensor is the same",
                flops=0,
                bytes_read=0,
                bytes_written=0,
            ),
        ),
    ),
    OpRule(
        op_types=("repeat",),
        unreused=True,
        aliases={"out": "in"},
        hands_on=True,
        summary="Gradient accumulation: one tensor, such as a weight, handed to each of N micro-batches.",
        formula=f"{NO_COST}; it runs N times",
        shape=same_type_shape,
        cost=no_work,
        traffic=touch_nothing,
        examples=(
            Example(
                call="repeat(in: f32[16,3,3,3], repeat_num=4) -> out: f32[16,3,3,3]",
                because="each micro-batch sees the weight itself",
                flops=0,
                bytes_read=0,
                bytes_written=0,
            ),
        ),
    ),
    OpRule(
        op_types=("cast_to_tick", "acc_ctrl_tick"),
        effects=frozenset({Effect.SIGNALS}),
        summary="A control signal: one element that says that the operand is there.",
        formula="no arithmetic; no bytes: a control edge",
        shape=tick_shape,
        cost=no_work,
        traffic=touch_nothing,
        examples=(Example(call="cast_to_tick(in: f32[8,8]) -> out: f32[1]", because="a control edge", flops=0, bytes_read=0),),
    ),
)
