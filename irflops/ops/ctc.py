"""Connectionist temporal classification: the loss over all alignments, its gradient, and a decoder. Lengths are data: all at their most."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.op_view import OpView
from irflops.ops.resize import baked
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work

_STEP, _STEP_FUNCTIONS = 9, 4
"""A cell of the recursion, the log of a sum of three: 2 maxima, 3 differences, 2 additions, 2 more; 3 exp and a log."""


def ctc_shape(op: OpView) -> Inferred:
    """A loss for each sample; the recursion's cells, kept for the gradient."""
    length, batch, _ = op.shape("log_probs", rank=3)
    dtype = op.input("log_probs").dtype
    alpha = (batch, length, 2 * op.integer("max_target_length", least=0) + 1)
    return {"loss": TensorType((batch,), dtype), "alpha": TensorType(alpha, dtype)}


def _cells(op: OpView) -> tuple[int, int]:
    """Cells behind the first step, and all of them."""
    batch, length, states = op.shape("alpha", rank=3)
    return batch * max(0, length - 1) * states, batch * length * states


def ctc_cost(op: OpView) -> Work:
    """The recursion; a sample's loss is the log of a sum of two."""
    later, _ = _cells(op)
    batch = op.numel("loss")
    return Work(arithmetic=_STEP * later + 6 * batch, transcendentals=_STEP_FUNCTIONS * later + 3 * batch)


def ctc_grad_shape(op: OpView) -> Inferred:
    """Like log_probs."""
    return {"grad": op.input("log_probs")}


def ctc_grad_cost(op: OpView) -> Work:
    """The recursion backwards; each cell of both added to its label's, in logarithms; then each label at each step."""
    later, cells = _cells(op)
    labels = op.numel("log_probs")
    return Work(
        arithmetic=_STEP * later + 6 * cells + 4 * labels,
        transcendentals=_STEP_FUNCTIONS * later + 3 * cells + 2 * labels,
    )


def decoder_shape(op: OpView) -> Inferred:
    """As many labels as there are steps at the most; a number for each sample."""
    length, batch, _ = op.shape("log_probs", rank=3)
    return {
        "decoded": TensorType((batch, length), op.input("input_lengths").dtype),
        "neg_sum_logits": TensorType((batch, 1), op.input("log_probs").dtype),
    }


def decoder_cost(op: OpView) -> Work:
    """At each step the most likely of n labels, and its number taken off a sum."""
    return Work(arithmetic=op.numel("log_probs"))


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("ctc_loss",),
        summary="Negated log-likelihood of labels over all alignments with the steps.",
        formula="for S = 2 max_target_length + 1 states: flops = 9 and transcendentals = 4 for each of batch * (steps - 1) * S "
        "cells; 6 and 3 a "
        "sample",
        shape=ctc_shape,
        resized=baked("max_target_length"),
        cost=ctc_cost,
        traffic=touch_all,
        upper_bound=True,
        ignores="that sequences and labels may be shorter; which states may follow which",
        source="Graves et al. 2006; OneFlow's ctc_loss_kernel_util.cpp",
        examples=(
            Example(
                call="ctc_loss(log_probs: f32[4,2,5], targets: i32[2,3], input_lengths: i32[2], target_lengths: i32[2], "
                "max_target_length=3, "
                "blank=0, zero_infinity=false) -> loss: f32[2], alpha: f32[2,4,7]",
                because="2 x 3 x 7 cells; 2 samples: a maximum, two differences, two additions, a sign; two exp and a log; reads 40 "
                "floats and "
                "6 + 2 + 2 labels and lengths",
                flops=378 + 12,
                transcendentals=168 + 6,
                bytes_read=200,
                bytes_written=232,
            ),
        ),
    ),
    OpRule(
        op_types=("ctc_loss_grad",),
        summary="Gradient of the log-likelihood over all alignments.",
        formula="flops = 9, 4 transcendentals for each of batch * (steps - 1) * S cells backwards; 6 and 3 a cell: both ways "
        "together, added to "
        "its label's; 4 and 2 for each number of log_probs: (exp(p) - exp(sum + loss - p)) * dy",
        shape=ctc_grad_shape,
        cost=ctc_grad_cost,
        traffic=touch_all,
        upper_bound=True,
        ignores="that sequences and labels may be shorter; which states may follow which",
        source="Graves et al. 2006; OneFlow's ctc_loss_kernel_util.cpp",
        examples=(
            Example(
                call="ctc_loss_grad(grad_out: f32[2], log_probs: f32[4,2,5], targets: i32[2,3], input_lengths: i32[2], "
                "target_lengths: i32[2], loss: f32[2], alpha: f32[2,4,7], max_target_length=3) -> grad: f32[4,2,5]",
                because="42 cells backwards, 56 cells of an addition and the log of a sum of two, 40 numbers of 4",
                flops=378 + 336 + 160,
                transcendentals=168 + 168 + 80,
            ),
        ),
    ),
    OpRule(
        op_types=("ctc_greedy_decoder",),
        summary="The most likely label of each step, without blanks.",
        formula="flops = numel(log_probs): n - 1 comparisons and a difference at each step of n labels",
        shape=decoder_shape,
        cost=decoder_cost,
        traffic=touch_all,
        upper_bound=True,
        ignores="that sequences may be shorter; the merging of labels that repeat",
        source="OneFlow's ctc_greedy_decoder.cpp",
        examples=(
            Example(
                call="ctc_greedy_decoder(log_probs: f32[4,2,5], input_lengths: i64[2]) -> decoded: i64[2,4], neg_sum_logits: f32[2,1]",
                because="8 steps of 4 comparisons and a difference; 8 labels of 8 bytes and 2 floats out",
                flops=40,
                bytes_read=176,
                bytes_written=72,
            ),
        ),
    ),
)
