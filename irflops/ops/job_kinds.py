"""Operators that only a job holds, most of them a compiled one: control signals, critical sections, what crosses its border, boxing."""

from __future__ import annotations

import math

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import fold, no_work
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule, broadcast_shapes, no_result_shape, results_like
from irflops.ops.traffic import moves, touch_all, touch_nothing
from irflops.ops.work import MissingAttribute, Work

_SIGNAL = "no arithmetic; no bytes: a control edge"
_COMMUNICATION = "no arithmetic of the model; no bytes of memory traffic: what moves between devices is communication"
_SOURCE = "OneFlow's op_conf.proto, and core/operator for the shapes"


def tick_shape(op: OpView) -> Inferred:
    """One byte."""
    return {arg: TensorType((1,), DType.INT8) for arg in op.output_args}


def chosen_shape(op: OpView) -> Inferred:
    """One integer for each result, of a width that stands in the operator's own message."""
    return {arg: (TensorType((1,), None),) * len(op.outputs(arg)) for arg in op.output_args}


def unknown_results(what: str) -> ShapeRule:
    """A shape rule: the results follow from a field of the operator's own message that is not read."""

    def shape(_op: OpView) -> Inferred:
        raise MissingAttribute(what)

    return shape


def clones_shape(op: OpView) -> Inferred:
    """Each result is the operand."""
    return {"out": (op.input("in"),) * len(op.outputs("out"))}


def first_shape(op: OpView) -> Inferred:
    """Like the operands, which are of one type."""
    return {"out": op.first("in")}


def instances_cost(op: OpView) -> Work:
    """The sum of all operands."""
    elements = op.numel("in")
    return Work(arithmetic=fold(elements, math.prod(op.shapes("in")[0])))


def elements_shape(_op: OpView) -> Inferred:
    """One integer, of a width that stands in the operator's own message."""
    return {"y": TensorType((), None)}


def reshaped_like_shape(op: OpView) -> Inferred:
    """x in the shape of like."""
    shape = op.shape("like")
    if math.prod(shape) != op.numel("x"):
        raise ValueError(f"x {op.shape('x')} has not as many elements as like {shape}")
    return {"y": TensorType(shape, op.input("x").dtype)}


def compatible_shape(op: OpView) -> Inferred:
    """The shape that x and all that it must go with broadcast to."""
    return {"y": TensorType(broadcast_shapes(op.shape("x"), *op.shapes("compatible")), op.input("x").dtype)}


def zeros_shape(op: OpView) -> Inferred:
    """What the operator's own message says."""
    return {"out": TensorType(op.ints("shape"), op.dtype_attr("data_type"))}


def _signal(op_types: tuple[str, ...], summary: str, example: Example, *, shape: ShapeRule = tick_shape) -> OpRule:
    return OpRule(
        op_types=op_types,
        effects=frozenset({Effect.SIGNALS}),
        summary=summary,
        formula=_SIGNAL,
        shape=shape,
        cost=no_work,
        traffic=touch_nothing,
        source=_SOURCE,
        examples=(example,),
    )


def _border(op_types: tuple[str, ...], operand: str, result: str, summary: str, example: Example) -> OpRule:
    return OpRule(
        op_types=op_types,
        aliases={result: operand},
        summary=summary,
        formula="no arithmetic; no bytes: the tensor under another name",
        shape=results_like(operand, result),
        cost=no_work,
        traffic=touch_nothing,
        source=_SOURCE,
        examples=(example,),
    )


def _boxing(op_types: tuple[str, ...], summary: str, shape: ShapeRule, *examples: Example) -> OpRule:
    return OpRule(
        op_types=op_types,
        summary=summary,
        formula=_COMMUNICATION,
        shape=shape,
        cost=no_work,
        traffic=touch_nothing,
        ignores="communication: docs/definitions.md says what is not counted yet",
        source=_SOURCE,
        examples=examples,
    )


RULES: tuple[OpRule, ...] = (
    _signal(
        ("src_subset_tick", "critical_section_wait_tick", "critical_section_callback_tick"),
        "A control signal: a section of the job may begin, was entered, or is left.",
        Example(
            call="src_subset_tick(in: [i8[1], i8[1]]) -> out: i8[1]",
            because="a control edge",
            flops=0,
            bytes_read=0,
            bytes_written=0,
        ),
    ),
    _signal(
        ("wait_and_send_ids", "case", "esac", "reentrant_lock"),
        "Which job of the process runs next: a number for the runtime, no data of the graph.",
        Example(
            call="wait_and_send_ids() -> out: ?[1]",
            because="the runtime waits for a call and passes on its number",
            flops=0,
            bytes_read=0,
            bytes_written=0,
        ),
        shape=chosen_shape,
    ),
    _signal(
        ("callback_notify",),
        "Tells the process that the job is done.",
        Example(call="callback_notify(in: i8[1]) -> ()", because="a control edge", flops=0, bytes_read=0),
        shape=no_result_shape,
    ),
    _border(
        ("return", "cast_from_local"),
        "in",
        "out",
        "A tensor that leaves a function or a local world.",
        Example(call="return(in: f32[4,8]) -> out: f32[4,8]", because="a name", flops=0, bytes_read=0, bytes_written=0),
    ),
    _border(
        ("feed_input", "feed_variable", "fetch_output"),
        "in_0",
        "out_0",
        "A tensor between Python and a graph while it is built.",
        Example(call="feed_input(in_0: f32[4,8]) -> out_0: f32[4,8]", because="a name", flops=0, bytes_read=0, bytes_written=0),
    ),
    OpRule(
        op_types=("cast_to_local",),
        aliases={"out": "in"},
        summary="A rank's own piece of a tensor, in place.",
        formula="no arithmetic; no bytes: the piece is there already",
        shape=unknown_results("sbp_parallel"),
        cost=no_work,
        traffic=touch_nothing,
        source=_SOURCE,
        examples=(
            Example(
                call="cast_to_local(in: f32[8,3]) -> out: f32[8,3]",
                because="all of it is this rank's, or a part; which, is in a message that is not read",
                flops=0,
                bytes_read=0,
                bytes_written=0,
                inferable=False,
            ),
        ),
    ),
    _boxing(
        ("distribute_clone",),
        "A tensor on several devices.",
        clones_shape,
        Example(call="distribute_clone(in: f32[4]) -> out: [f32[4], f32[4]]", because="a copy for each device", flops=0, bytes_read=0),
    ),
    _boxing(
        ("distribute_add", "slice_boxing_add", "slice_boxing_copy"),
        "The tensor that several devices hold parts of.",
        first_shape,
        Example(call="distribute_add(in: [f32[4], f32[4]]) -> out: f32[4]", because="partial sums of one tensor", flops=0, bytes_read=0),
    ),
    _boxing(
        (
            "boxing",
            "copy_comm_net",
            "collective_boxing_generic",
            "collective_boxing_pack",
            "collective_boxing_unpack",
            "distribute_concat",
            "distribute_split",
            "nccl_send_recv_boxing",
        ),
        "A tensor from devices to devices, cut and joined as their sbp asks.",
        unknown_results("the cut"),
        Example(
            call="distribute_split(in: f32[4]) -> out: [f32[2], f32[2]]",
            because="how it is cut is in a message that is not read",
            flops=0,
            bytes_read=0,
            bytes_written=0,
            inferable=False,
        ),
    ),
    _border(
        ("boxing_identity",),
        "in",
        "out",
        "A tensor handed on in its sbp.",
        Example(call="boxing_identity(in: f32[4]) -> out: f32[4]", because="it stays", flops=0, bytes_read=0, bytes_written=0),
    ),
    OpRule(
        op_types=("boxing_zeros",),
        summary="Zeros for the parts of a partial sum that nobody has.",
        formula="no arithmetic; writes out",
        shape=zeros_shape,
        cost=no_work,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(call='boxing_zeros(shape=[4], data_type="float32") -> out: f32[4]', because="4 floats", flops=0, bytes_written=16),
        ),
    ),
    OpRule(
        op_types=("total_loss_instance_num",),
        summary="The number of samples of all losses together.",
        formula="flops = numel(in) - numel(out) additions over all operands; reads them, writes out",
        shape=first_shape,
        cost=instances_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call="total_loss_instance_num(in: [f32[1], f32[1], f32[1]]) -> out: f32[1]",
                because="2 additions; 3 floats in, 1 out",
                flops=2,
                bytes_read=12,
                bytes_written=4,
            ),
        ),
    ),
    OpRule(
        op_types=("shape_elem_cnt",),
        summary="The number of elements along some axes.",
        formula="no arithmetic: an extent is known before the step; x gives its shape alone; y is an integer of a width that is not read",
        shape=elements_shape,
        cost=no_work,
        traffic=moves(like=("x",)),
        source=_SOURCE,
        examples=(
            Example(call="shape_elem_cnt(x: f32[4,8]) -> y: ?[]", because="32", flops=0, bytes_read="unknown", bytes_written="unknown"),
        ),
    ),
    OpRule(
        op_types=("dynamic_reshape",),
        aliases={"out": "in"},
        summary="A reshape of a tensor whose extents are known when it runs.",
        formula="no arithmetic; no bytes: a view; its target is in a message that is not read",
        shape=unknown_results("shape"),
        cost=no_work,
        traffic=touch_nothing,
        source=_SOURCE,
        examples=(
            Example(
                call="dynamic_reshape(in: f32[4,8]) -> out: f32[32]",
                because="the same 32 elements",
                flops=0,
                bytes_read=0,
                bytes_written=0,
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("dynamic_reshape_like",),
        aliases={"y": "x"},
        summary="A reshape to the shape of another tensor.",
        formula="no arithmetic; no bytes: a view",
        shape=reshaped_like_shape,
        cost=no_work,
        traffic=touch_nothing,
        source=_SOURCE,
        examples=(
            Example(
                call="dynamic_reshape_like(x: f32[4,8], like: i64[32]) -> y: f32[32]",
                because="the same 32 elements",
                flops=0,
                bytes_read=0,
                bytes_written=0,
            ),
        ),
    ),
    OpRule(
        op_types=("sync_dynamic_resize",),
        summary="The first rows of a tensor, as many as another tensor says.",
        formula="no arithmetic; reads in and size, writes out: all rows at the most",
        shape=results_like("in", "out"),
        cost=no_work,
        traffic=touch_all,
        upper_bound=True,
        source=_SOURCE,
        examples=(
            Example(
                call="sync_dynamic_resize(in: f32[4,2], size: i64[1]) -> out: f32[4,2]",
                because="8 floats and an i64 in, 8 floats out",
                flops=0,
                bytes_read=40,
                bytes_written=32,
            ),
        ),
    ),
    OpRule(
        op_types=("broadcast_to_compatible_with",),
        summary="Axes of extent 1 repeated until the operand goes with others.",
        formula="no arithmetic; reads x at its own size, writes y; compatible gives shapes alone",
        shape=compatible_shape,
        cost=no_work,
        traffic=moves(like=("compatible",)),
        source=_SOURCE,
        examples=(
            Example(
                call="broadcast_to_compatible_with(x: f32[3,1], compatible: [f32[3,4], f32[2,1,1]]) -> y: f32[2,3,4]",
                because="3 floats in, 24 out",
                flops=0,
                bytes_read=12,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("variable_ir",),
        summary="A constant within OneFlow's MLIR passes, which become a variable or vanish: no dump was seen to hold one.",
        formula="no arithmetic; no bytes: whoever uses it reads it",
        shape=no_result_shape,
        cost=no_work,
        traffic=touch_nothing,
        source="OneFlow's OneFlowUserOps.td",
        examples=(Example(call="variable_ir() -> ()", because="it is there before the step begins", flops=0, bytes_written=0),),
    ),
)
