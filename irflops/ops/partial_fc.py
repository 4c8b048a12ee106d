"""Partial FC: of the classes of a large last layer those of the batch and others at random."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.costs import no_work
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.readings import result_extent
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.traffic import moves, touch_all


def sampled_shape(op: OpView) -> Inferred:
    """The labels in the order of the sample; num_sample classes, and their rows of the weight."""
    samples, weight, label = op.integer("num_sample", least=0), op.shape("weight", at_least=1), op.shape("label", at_least=1)
    return {
        "mapped_label": op.input("label"),
        "sampled_label": TensorType((samples, *label[1:]), op.input("label").dtype),
        "sampled_weight": TensorType((samples, *weight[1:]), op.input("weight").dtype),
    }


def unboxed_shape(op: OpView) -> Inferred:
    """A device's share of the rows; of how many devices, is in the placement."""
    return {
        f"boxing_disabled_{arg}": TensorType((None, *op.shape(arg, at_least=1)[1:]), op.input(arg).dtype)
        for arg in ("sampled_weight_diff", "sampled_label")
    }


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("distributed_partial_fc_sample",),
        effects=frozenset({Effect.RANDOM}),
        summary="The classes of the batch's labels and others at random, with their rows of the weight.",
        formula="no arithmetic: classes are selected, by random numbers and their order, which are not counted; reads label and as "
        "many numbers of "
        "weight as come out, writes all results",
        shape=sampled_shape,
        readings=result_extent("num_sample", "sampled_label", 0),
        cost=no_work,
        traffic=moves(sized_as={"weight": "sampled_weight"}),
        source="An et al., arXiv 2010.05222; OneFlow's partial_fc_sample_op.cpp",
        examples=(
            Example(
                call="distributed_partial_fc_sample(weight: f32[100,4], label: i32[8], num_sample=10, seed=0) -> mapped_label: i32[8], "
                "sampled_label: i32[10], sampled_weight: f32[10,4]",
                because="40 of 400 floats and 8 labels in; 8 + 10 labels and 40 floats out",
                macs=0,
                flops=0,
                bytes_read=192,
                bytes_written=232,
            ),
        ),
    ),
    OpRule(
        op_types=("distributed_partial_fc_sample_disable_boxing",),
        summary="Gradients of sampled rows, each device's own, copied so that they stay where they are.",
        formula="no arithmetic; reads and writes each element once",
        shape=unboxed_shape,
        cost=no_work,
        traffic=touch_all,
        source="OneFlow's partial_fc_sample_op.cpp",
        examples=(
            Example(
                call="distributed_partial_fc_sample_disable_boxing(sampled_weight_diff: f32[10,4], sampled_label: i32[10]) -> "
                "boxing_disabled_sampled_weight_diff: f32[?,4], boxing_disabled_sampled_label: i32[?]",
                because="as many rows as a device has of the 10",
                flops=0,
                bytes_written="unknown",
            ),
        ),
    ),
)
