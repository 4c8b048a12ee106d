"""`training-mode`: a graph for inference has ops that only training wants."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.effects import drops, is_learning
from irflops.auditing.facts import Facts, result
from irflops.auditing.finding import Confidence, Severity
from irflops.auditing.kinds import BATCH_NORMS
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.ir.graph import Op

_ACTIVE = "the dropout is active, and the graph has no backward pass"
_DRAWS = "the slopes of the rectifier are drawn at random, and the graph has no backward pass"
_LEARNS = "the batch norm takes the statistics of the batch and updates its moving ones, and the graph has no backward pass"
_OPEN = "the form does not hold the rate of a dropout"


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    if facts.has_backward:
        yield Near(message="the graph has a backward pass")
        return
    certainty = Confidence.LIKELY if facts.may_train else Confidence.PROVEN
    looked_at = 0
    for op in facts.of(*facts.book.drop_rates, "rrelu", *sorted(BATCH_NORMS)):
        looked_at += 1
        fault = _fault(op, facts)
        if fault is None:
            continue
        if facts.graph.partial:
            yield Undecided(reason="parts of the graph were not read, and may be its backward pass", op=op)
        elif fault == _OPEN:
            yield Undecided(reason=fault, op=op, never="" if facts.graph.holds.attrs else "attrs")
        else:
            yield Hit(message=fault, op=op, certainty=certainty)
    yield Near(message=f"{looked_at:,} dropouts, random rectifiers and batch norms were looked at")


def _fault(op: Op, facts: Facts) -> str | None:
    if op.type == "rrelu":
        return None if op.attrs.get("training") is False else _DRAWS
    if op.type in BATCH_NORMS:
        return _LEARNS if is_learning(op) and result(op, "inv_variance") is not None else None
    active = drops(op, facts.book)
    if active is None:
        return _ACTIVE if _is_made_active(op, facts) else _OPEN
    return _ACTIVE if active else None


def _is_made_active(op: Op, facts: Facts) -> bool:
    """Whether OneFlow makes such an op for a rate above 0 alone: of a dropout none else, of masks those for a fused addition of a bias."""
    if op.type == "random_mask_like":
        return any(use.op.type == "fused_bias_add_mask_scale" for use in facts.uses(op))
    return op.type == "dropout"


_NORM = """
x = input() -> out: f32[2,8]
mean = variable(kind=buffer) -> out: f32[8]
var = variable(kind=buffer) -> out: f32[8]
gamma = variable() -> out: f32[8]
beta = variable() -> out: f32[8]
"""

_FUSED = (
    "x = input() -> out: f32[2,8]\nw = variable() -> out: f32[4,8]\nb = variable() -> out: f32[4]\n"
    "y, c, h = fused_matmul_bias_add_relu_dropout(x: x, weights: [w], biases: [b]{}) "
    "-> out: f32[2,4], cublas_aux: [i32[2,4]], hidden: [f32[2,4]]\noutput(in: y)"
)

RULE = AuditRule(
    name="training-mode",
    summary="A graph without a backward pass has an active dropout or randomized ReLU, or a batch norm that learns from the batch.",
    why="Its results differ from run to run or with the batch, and the batch norms' statistics drift: `model.eval()` was forgotten.",
    fix="Call `model.eval()` before the graph is built.",
    severity=Severity.ERROR,
    check=_check,
    needs=("attrs",),
    undecidable="What `oneflow.save` writes holds no backward pass: there it is likely. OneFlow makes no `dropout` of rate 0, "
    "but masks and fused ops: where the form lacks their rate, they are left open.",
    source="oneflow/core/functional/impl/nn_functor.cpp and activation_functor.cpp: which ops a module makes that is switched off",
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
            name="a fused dropout that is switched off",
            graph=_FUSED.format(", dropout_rate_list=[0.0]"),
        ),
        Good(name="a fused dropout of a rate that is not known", graph=_FUSED.format(""), undecided=True),
        Good(
            name="a mask of rate 0",
            graph="x = input() -> out: f32[2,8]\nm = random_mask_like(like: x, rate=0.0) -> out: bool[2,8]\noutput(in: m)",
        ),
        Good(
            name="a mask of a rate that is not known",
            graph="x = input() -> out: f32[2,8]\nm = random_mask_like(like: x) -> out: bool[2,8]\noutput(in: m)",
            undecided=True,
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
            certainty=Confidence.LIKELY,
        ),
        Bad(
            name="a mask for a fused bias and dropout",
            graph="x = input() -> out: f32[2,8]\nb = variable() -> out: f32[8]\nm = random_mask_like(like: x) -> out: bool[2,8]\n"
            "y = fused_bias_add_mask_scale(a: x, b: b, mask: m) -> out: f32[2,8]\noutput(in: y)",
            op="m",
            because="without a rate, OneFlow would have added the bias alone",
        ),
        Bad(
            name="fused dropout",
            graph=_FUSED.format(", dropout_rate_list=[0.5]"),
            op="y",
            because="half of the elements are dropped",
        ),
        Bad(
            name="attention with a dropout",
            graph="q = input() -> out: f16[2,3,16,8]\ny, l, r = scaled_dot_product_flash_attention(query: q, key: q, value: q, "
            "p_dropout=0.1) -> out: f16[2,3,16,8], softmax_lse: f32[2,16,3], rng_state: u64[2]\noutput(in: y)",
            op="y",
            because="a tenth of the probabilities is dropped",
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
