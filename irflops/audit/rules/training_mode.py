"""`training-mode`: a graph for inference has ops that only training wants."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.audit.facts import Facts, argument, result
from irflops.audit.finding import Certainty, Severity
from irflops.audit.kinds import BATCH_NORMS
from irflops.audit.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.ir import Op

_DROPOUTS = ("dropout", "random_mask_like")
"""What a dropout becomes, alone or fused; one that is switched off, or of rate 0, leaves no op."""


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    if facts.has_backward:
        yield Near(message="the graph has a backward pass")
        return
    certainty = Certainty.LIKELY if facts.may_train else Certainty.PROVEN
    looked_at = 0
    for op in (*facts.of(*_DROPOUTS), *facts.of(*sorted(BATCH_NORMS))):
        looked_at += 1
        fault = _fault(op)
        if fault is None:
            continue
        if facts.graph.partial:
            yield Undecided(reason="parts of the graph were not read, and may be its backward pass", op=op)
        else:
            yield Hit(message=fault, op=op, certainty=certainty)
    yield Near(message=f"{looked_at:,} dropouts and batch norms were looked at")


def _fault(op: Op) -> str | None:
    if op.type in _DROPOUTS:
        return None if op.attrs.get("rate") == 0 else "the dropout is active, and the graph has no backward pass"
    learns = argument(op, "moving_mean") is not None and result(op, "mean") is not None and result(op, "inv_variance") is not None
    return (
        "the batch norm takes the statistics of the batch and updates its moving ones, and the graph has no backward pass"
        if learns
        else None
    )


_NORM = """
x = input() -> out: f32[2,8]
mean = variable(kind=buffer) -> out: f32[8]
var = variable(kind=buffer) -> out: f32[8]
gamma = variable() -> out: f32[8]
beta = variable() -> out: f32[8]
"""

RULE = AuditRule(
    name="training-mode",
    summary="A graph without a backward pass has an active dropout, or a batch norm that takes the statistics of the batch.",
    why="Its results differ from run to run or with the batch, and the batch norms' statistics drift: `model.eval()` was forgotten.",
    fix="Call `model.eval()` before the graph is built.",
    severity=Severity.ERROR,
    check=_check,
    undecidable="What `oneflow.save` writes holds no backward pass: there it is likely.",
    good=(
        Good(
            name="evaluation",
            graph=_NORM + "y = normalization(x: x, moving_mean: mean, moving_variance: var, gamma: gamma, beta: beta) -> y: f32[2,8]\n"
            "output(in: y)",
        ),
        Good(
            name="training",
            graph="training\nx = input() -> out: f32[2,8]\ny, mask = dropout(in: x) -> out: f32[2,8], mask: bool[2,8]\noutput(in: y)",
        ),
        Good(
            name="a norm without moving statistics",
            graph=_NORM + "y, m, v = normalization(x: x, gamma: gamma, beta: beta) -> y: f32[2,8], mean: f32[8], inv_variance: f32[8]\n"
            "output(in: y)",
        ),
    ),
    bad=(
        Bad(
            name="dropout",
            graph="x = input() -> out: f32[2,8]\ny, mask = dropout(in: x) -> out: f32[2,8], mask: bool[2,8]\noutput(in: y)",
            op="y",
            because="OneFlow makes no op of a dropout that is switched off",
        ),
        Bad(
            name="dropout in a saved graph",
            graph="pruned\nx = input() -> out: f32[2,8]\ny, mask = dropout(in: x) -> out: f32[2,8], mask: bool[2,8]\noutput(in: y)",
            op="y",
            because="it may be the forward part of a training step",
            certainty=Certainty.LIKELY,
        ),
        Bad(
            name="batch norm",
            graph=_NORM + "y, m, v = normalization(x: x, moving_mean: mean, moving_variance: var, gamma: gamma, beta: beta) "
            "-> y: f32[2,8], mean: f32[8], inv_variance: f32[8]\noutput(in: y)",
            op="y",
            because="it has the results that only the batch's statistics give",
        ),
    ),
)
