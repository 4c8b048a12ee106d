"""What writes a log for TensorBoard: nothing of the model is computed."""

from __future__ import annotations

from irflops.ops.costs import no_work
from irflops.ops.facts import Effect
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import no_result_shape
from irflops.ops.traffic import touch_all, touch_nothing

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("create_summary_writer", "flush_summary_writer"),
        effects=frozenset({Effect.STATEFUL}),
        summary="A file of summaries opened, or brought up to date on the disk.",
        formula="no arithmetic; no bytes: no tensor is touched",
        shape=no_result_shape,
        cost=no_work,
        traffic=touch_nothing,
        examples=(Example(call='create_summary_writer(logdir="log") -> ()', because="no operand", flops=0, bytes_read=0, bytes_written=0),),
    ),
    OpRule(
        op_types=("summary_write_scalar", "summary_write_histogram", "summary_write_image", "summary_write_pb"),
        effects=frozenset({Effect.STATEFUL}),
        summary="A tensor written to a file of summaries.",
        formula="no arithmetic: binning and packing are the log's, not the model's; reads in, step and tag; the file is not memory traffic",
        shape=no_result_shape,
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="summary_write_histogram(in: f32[100], step: i64[1], tag: i8[4]) -> ()",
                because="100 floats, an i64 and 4 characters",
                flops=0,
                bytes_read=412,
                bytes_written=0,
            ),
        ),
    ),
)
