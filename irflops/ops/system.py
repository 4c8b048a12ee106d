"""The frame of a job: what enters and leaves it, variables and their assignment, gradient accumulation, the learning rate."""

from __future__ import annotations

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import no_work, one_per_element
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.readings import parts
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, no_result_shape, results_like
from irflops.ops.traffic import Traffic, moves, touch_all, touch_nothing


def declared_shape(op: OpView) -> Inferred:
    """What the op itself declares: no operand tells it."""
    return {"out": TensorType(op.ints("shape"), op.dtype_attr())}


def learning_rate_shape(_op: OpView) -> Inferred:
    """One float."""
    return {"out": TensorType((1,), DType.FLOAT32)}


def learning_rate_traffic(op: OpView) -> Traffic:
    """The step, one i64 whether the form shows it or not, and the rate."""
    return Traffic(reads={"train_step": DType.INT64.nbytes(1)}, writes={"out": op.nbytes("out")})


def tick_signal_shape(op: OpView) -> Inferred:
    """One byte."""
    return {arg: TensorType((1,), DType.INT8) for arg in op.output_args}


def unpack_shape(op: OpView) -> Inferred:
    """The first extent over the number of micro-batches."""
    shape, parts = op.shape("in"), op.integer("unpack_num", least=1)
    if not shape or shape[0] % parts:
        raise ValueError(f"in {shape} does not fall into {parts} parts on its first axis")
    return {"out": TensorType((shape[0] // parts, *shape[1:]), op.input("in").dtype)}


def pack_shape(op: OpView) -> Inferred:
    """The first extent times the number of micro-batches; scalars become a vector."""
    shape, parts = op.shape("in"), op.integer("pack_num")
    out = (shape[0] * parts, *shape[1:]) if shape else (parts,)
    return {"out": TensorType(out, op.input("in").dtype)}


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("input", "variable"),
        summary="A tensor that the job is given: an argument of the graph, a parameter, a buffer or an optimizer state.",
        formula="no arithmetic; no bytes: whoever uses it reads it",
        shape=declared_shape,
        cost=no_work,
        traffic=touch_nothing,
        examples=(
            Example(
                call='variable(shape=[64,3,7,7], dtype="float32") -> out: f32[64,3,7,7]',
                because="it is there before the step begins",
                flops=0,
                bytes_read=0,
                bytes_written=0,
            ),
            Example(call="input() -> out: i64[4,128]", because="a printed graph declares it", flops=0, bytes_written=0, inferable=False),
        ),
    ),
    OpRule(
        op_types=("output",),
        aliases={"out": "in"},
        summary="A tensor that the job gives back.",
        formula="no arithmetic; no bytes: its producer has written it",
        shape=results_like("in", "out"),
        cost=no_work,
        traffic=touch_nothing,
        examples=(Example(call="output(in: f32[1,1000]) -> out: f32[1,1000]", because="a name", flops=0, bytes_read=0, bytes_written=0),),
    ),
    OpRule(
        op_types=("tick", "device_tick", "source_tick", "sink_tick", "source_subset_tick", "dst_subset_tick", "acc_tick"),
        effects=frozenset({Effect.SIGNALS}),
        summary="A control signal.",
        formula="no arithmetic; no bytes: a control edge",
        shape=tick_signal_shape,
        cost=no_work,
        traffic=touch_nothing,
        examples=(Example(call="device_tick(tick: [i8[1], i8[1]]) -> out: i8[1]", because="a control edge", flops=0, bytes_read=0),),
    ),
    OpRule(
        op_types=("learning_rate_schedule",),
        summary="The learning rate of this step.",
        formula="no arithmetic; reads the step, an i64 that a printed graph does not show, and writes the rate",
        shape=learning_rate_shape,
        cost=no_work,
        traffic=learning_rate_traffic,
        ignores="the schedule's own arithmetic: a handful of operations on one number, once per step",
        examples=(
            Example(
                call="learning_rate_schedule(train_step: i64[1]) -> out: f32[1]",
                because="an i64 of 8 bytes in, an f32 of 4 bytes out",
                flops=0,
                bytes_read=8,
                bytes_written=4,
            ),
            Example(
                call="learning_rate_schedule() -> out: f32[1]",
                because="the same, as a printed graph leads to it: the step is read, though no line shows the operator",
                flops=0,
                bytes_read=8,
                bytes_written=4,
            ),
        ),
    ),
    OpRule(
        op_types=("unpack",),
        unreused=True,
        effects=frozenset({Effect.STATEFUL}),
        summary="Gradient accumulation: the next of N micro-batches of the operand.",
        formula="no arithmetic; reads and writes numel(out) elements; it runs N times",
        shape=unpack_shape,
        readings=parts("unpack_num", "in", "out"),
        cost=no_work,
        traffic=moves(sized_as={"in": "out"}),
        examples=(
            Example(
                call="unpack(in: f32[8,3,24,24], unpack_num=4) -> out: f32[2,3,24,24]",
                because="a run copies a quarter of the batch: 2 * 3 * 24 * 24 = 3456 floats",
                flops=0,
                bytes_read=13824,
                bytes_written=13824,
            ),
            Example(
                call="unpack(in: i64[8]) -> out: i64[2]",
                because="2 labels of 8 bytes",
                flops=0,
                bytes_read=16,
                bytes_written=16,
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("pack",),
        unreused=True,
        effects=frozenset({Effect.STATEFUL}),
        summary="Gradient accumulation: the results of N micro-batches put together.",
        formula="no arithmetic; reads and writes numel(out) elements, once per step",
        shape=pack_shape,
        readings=parts("pack_num", "out", "in"),
        cost=no_work,
        traffic=moves(sized_as={"in": "out"}),
        examples=(
            Example(
                call="pack(in: f32[], pack_num=4) -> out: f32[4]",
                because="4 scalars come in, one after another, and go out together",
                flops=0,
                bytes_read=16,
                bytes_written=16,
            ),
            Example(call="pack(in: f32[2,5], pack_num=4) -> out: f32[8,5]", because="4 * 2 rows", flops=0, bytes_read=160),
        ),
    ),
    OpRule(
        op_types=("acc",),
        unreused=True,
        effects=frozenset({Effect.STATEFUL}),
        summary="Gradient accumulation: the sum over N micro-batches.",
        formula="flops = numel(in), one addition per element and run; reads in, writes out; it runs N times",
        shape=results_like("in", "out"),
        cost=one_per_element("in"),
        traffic=touch_all,
        ignores="that the first run copies instead of adding; the sum so far, which stays in out",
        examples=(
            Example(
                call="acc(in: f32[5], max_acc_num=4) -> out: f32[5]",
                because="5 additions; 5 floats in, 5 floats out",
                flops=5,
                bytes_read=20,
                bytes_written=20,
            ),
        ),
    ),
    OpRule(
        op_types=("assign", "assign_if", "assign_if_not"),
        updates=("ref",),
        summary="A variable takes a new value.",
        formula="no arithmetic; in place: reads ref, value and the condition, writes ref; a conditional one is counted as taken",
        shape=no_result_shape,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="assign(ref: i64[1], value: i64[1]) -> ()",
                because="8 bytes of ref and 8 of value in, 8 into ref",
                flops=0,
                bytes_read=16,
                bytes_written=8,
            ),
            Example(
                call="assign_if_not(ref: f32[3], value: f32[3], condition: i64[1]) -> ()",
                because="3 floats of ref, 3 of value and an i64 in, 3 floats into ref",
                flops=0,
                bytes_read=32,
                bytes_written=12,
            ),
        ),
    ),
    OpRule(
        op_types=("logical_slice_assign",),
        updates=("ref",),
        summary="A slice of a variable takes a new value.",
        formula="no arithmetic; reads value, writes the slice of ref where it goes",
        shape=no_result_shape,
        cost=no_work,
        traffic=moves(rewrites={"ref": "value"}),
        examples=(
            Example(
                call="logical_slice_assign(ref: f32[10,4], value: f32[2,4], start=[0,0], stop=[2,4], step=[1,1]) -> ()",
                because="8 floats in, 8 floats of ref written",
                flops=0,
                bytes_read=32,
                bytes_written=32,
            ),
        ),
    ),
)
