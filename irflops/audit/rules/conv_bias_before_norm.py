"""`conv-bias-before-norm`: a bias that the batch norm behind it takes away again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from irflops.audit.facts import Facts, argument
from irflops.audit.finding import Severity
from irflops.audit.kinds import BATCH_NORMS, CONVOLUTIONS, HANDED_ON
from irflops.audit.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome
from irflops.audit.rules._reads import only_forward_use
from irflops.cost import Cost
from irflops.ir import Op

_ADDITIONS = frozenset({"bias_add", "broadcast_add"})


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    without = 0
    for norm in facts.users(*sorted(BATCH_NORMS)):
        operand = argument(norm, "x")
        before = facts.producer(operand) if operand is not None else None
        if before is None or only_forward_use(before, facts) is None:
            continue
        if before.type in CONVOLUTIONS and argument(before, "bias") is not None:
            yield _operand(before, norm, facts)
        elif before.type in _ADDITIONS and _adds_bias(before, facts):
            bias = facts.variable(before.inputs[1], HANDED_ON)
            gain = _gain([before, *_alone(bias, facts)], [], facts)
            yield Hit(message=f"{norm.name} takes the bias away again that it adds", op=before, gain=gain)
        else:
            without += before.type in CONVOLUTIONS
    yield Near(message=f"{without:,} convolutions before a batch norm have no bias")


def _operand(conv: Op, norm: Op, facts: Facts) -> Hit:
    bias = argument(conv, "bias")
    variable = facts.variable(bias, HANDED_ON) if bias is not None else None
    bare = facts.cost_if(replace(conv, inputs=tuple(operand for operand in conv.inputs if operand.arg != "bias")))
    gain = _gain([conv, *_alone(variable, facts)], [bare], facts)
    return Hit(message=f"{norm.name} takes its bias away again", op=conv, gain=gain)


def _gain(removed: list[Op], added: list[Cost], facts: Facts) -> dict[str, int] | None:
    """None in training: gradients and updates of the bias go too."""
    return None if facts.has_backward else facts.gain(removed, added)


def _alone(variable: Op | None, facts: Facts) -> list[Op]:
    """The variable, if nothing else reads it."""
    return [variable] if variable is not None and facts.only_use(variable) is not None else []


def _adds_bias(op: Op, facts: Facts) -> bool:
    """Whether an addition adds a value per channel to the result of a convolution that nothing else reads."""
    if len(op.inputs) != 2:
        return False
    conv = facts.producer(op.inputs[0])
    if conv is None or conv.type not in CONVOLUTIONS or only_forward_use(conv, facts) is None:
        return False
    if facts.variable(op.inputs[1], HANDED_ON) is None:
        return False
    shape, weight = facts.shape(op.inputs[1]), argument(conv, "weight")
    filters = facts.shape(weight) if weight is not None else None
    return shape is not None and filters is not None and [extent for extent in shape if extent != 1] == [filters[0]]


_HEAD = """
x = input() -> out: f32[1,8,4,4]
w = variable() -> out: f32[16,8,1,1]
mean = variable(kind=buffer) -> out: f32[16]
var = variable(kind=buffer) -> out: f32[16]
gamma = variable() -> out: f32[16]
beta = variable() -> out: f32[16]
"""
_TAIL = """
y = normalization(x: {x}, moving_mean: mean, moving_variance: var, gamma: gamma, beta: beta) -> y: f32[1,16,4,4]
output(in: y)
"""
_BARE = _HEAD + "c = conv2d(in: x, weight: w) -> out: f32[1,16,4,4]" + _TAIL.format(x="c")

_STEP = (
    "training"
    + _HEAD
    + """
b = variable() -> out: f32[16]
c = conv2d(in: x, weight: w) -> out: f32[1,16,4,4]
d = bias_add(a: c, b: b, axis=1) -> out: f32[1,16,4,4]
y, m, v = normalization(x: d, moving_mean: mean, moving_variance: var, gamma: gamma, beta: beta) \
-> y: f32[1,16,4,4], mean: f32[16], inv_variance: f32[16]
loss = reduce_sum(input_tensor: y) -> output_tensor: f32[1]
seed = ones_like(like: loss) -> out: f32[1]
dy = broadcast_like(x: seed, like: y) -> y: f32[1,16,4,4]
dg, db, dx = normalization_grad(x: d, dy: dy, mean: m, inv_variance: v, gamma: gamma) \
-> gamma_diff: f32[16], beta_diff: f32[16], dx: f32[1,16,4,4]
output(in: loss)
"""
)

RULE = AuditRule(
    name="conv-bias-before-norm",
    summary="A convolution has a bias, and a batch norm follows at once.",
    why="The norm subtracts the mean, and the bias with it: it does nothing but cost an addition, a parameter and its gradient.",
    fix="Make the convolution with `bias=False`; of a trained model, subtract the bias from the norm's moving mean.",
    severity=Severity.NOTE,
    check=_check,
    good=(
        Good(name="no bias", graph=_BARE),
        Good(
            name="another addition than a bias",
            graph=_HEAD
            + "r = input() -> out: f32[1,16,4,4]\nc = conv2d(in: x, weight: w) -> out: f32[1,16,4,4]\n"
            + "s = add_n(in: [c, r]) -> out: f32[1,16,4,4]"
            + _TAIL.format(x="s"),
        ),
    ),
    bad=(
        Bad(
            name="bias as an op",
            graph=_HEAD
            + "b = variable() -> out: f32[16]\nc = conv2d(in: x, weight: w) -> out: f32[1,16,4,4]\n"
            + "d = bias_add(a: c, b: b, axis=1) -> out: f32[1,16,4,4]"
            + _TAIL.format(x="d"),
            op="d",
            because="256 additions; 256 + 16 elements read and 256 written, of 4 bytes",
            gain={
                "flops": 256,
                "bytes_read": 4 * 272,
                "bytes_written": 1024,
                "activation_elements": 256,
                "activation_bytes": 1024,
                "params": 16,
                "param_bytes": 64,
            },
            mended=_BARE,
        ),
        Bad(
            name="bias as an operand",
            graph=_HEAD
            + "b = variable() -> out: f32[16]\nc = conv2d(in: x, weight: w, bias: b) -> out: f32[1,16,4,4]"
            + _TAIL.format(x="c"),
            op="c",
            because="256 additions; the 16 elements of the bias are read",
            gain={"flops": 256, "bytes_read": 64, "params": 16, "param_bytes": 64},
            mended=_BARE,
        ),
        Bad(name="in training", graph=_STEP, op="d", because="the gradient of the norm reads the biased result again"),
    ),
)
