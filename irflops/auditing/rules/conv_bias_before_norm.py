"""`conv-bias-before-norm`: a bias that the batch norm behind it takes away again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Confidence, Severity
from irflops.auditing.kinds import BATCH_NORMS
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.auditing.rules._biases import before_norm
from irflops.auditing.rules._gains import only_for, step_gain


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    without = 0
    for norm in facts.users(*sorted(BATCH_NORMS)):
        found = before_norm(norm, facts, facts.only_forward_use)
        if isinstance(found, str):
            yield Undecided(reason=found, op=norm)
            continue
        if found is None or found.bias is None:
            without += found is not None
            continue
        gone, addition = only_for(found.bias, facts), found.addition
        if addition is not None:
            message = f"{norm.name} takes the bias away again that it adds"
            yield Hit(message=message, op=addition, certainty=found.certainty, gain=step_gain(facts, [addition, *gone]))
        else:
            conv = found.conv
            bare = facts.cost_if(replace(conv, inputs=tuple(operand for operand in conv.inputs if operand.arg != "bias")))
            message = f"{norm.name} takes its bias away again"
            yield Hit(message=message, op=conv, certainty=found.certainty, gain=step_gain(facts, [conv, *gone], [bare]))
    yield Near(message=f"{without:,} convolutions before a batch norm have no bias")


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
_SQUARE = _HEAD.replace("[1,8,4,4]", "[1,8,4,16]") + "p = variable() -> out: f32[16]\n"
"""As wide as the result has channels."""

_SQUARE_TAIL = _TAIL.replace("[1,16,4,4]", "[1,16,4,16]")
_FIRST = 'c = conv2d(in: x, weight: w, data_format="channels_first") -> out: f32[1,16,4,16]\n'
_BARE = _HEAD + "c = conv2d(in: x, weight: w) -> out: f32[1,16,4,4]" + _TAIL.format(x="c")

_GAIN = {
    "flops": 256,
    "bytes_read": 4 * 272,
    "bytes_written": 1024,
    "activation_elements": 256,
    "activation_bytes": 1024,
    "params": 16,
    "param_bytes": 64,
}

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
    refutable=True,
    good=(
        Good(name="no bias", graph=_BARE),
        Good(
            name="another addition than a bias",
            graph=_HEAD
            + "r = input() -> out: f32[1,16,4,4]\nc = conv2d(in: x, weight: w) -> out: f32[1,16,4,4]\n"
            + "s = add_n(in: [c, r]) -> out: f32[1,16,4,4]"
            + _TAIL.format(x="s"),
        ),
        Good(
            name="a variable along the width",
            graph=_SQUARE + _FIRST + "s = broadcast_add(x: c, y: p) -> z: f32[1,16,4,16]" + _SQUARE_TAIL.format(x="s"),
        ),
        Good(
            name="bias_add along the width",
            graph=_SQUARE + _FIRST + "s = bias_add(a: c, b: p, axis=3) -> out: f32[1,16,4,16]" + _SQUARE_TAIL.format(x="s"),
        ),
        Good(
            name="a value for each position",
            graph=_HEAD
            + "p = variable() -> out: f32[1,1,4,4]\nc = conv2d(in: x, weight: w) -> out: f32[1,16,4,4]\n"
            + "s = broadcast_add(x: c, y: p) -> z: f32[1,16,4,4]"
            + _TAIL.format(x="s"),
        ),
        Good(
            name="a norm along the width",
            graph=_SQUARE
            + _FIRST.replace("weight: w", "weight: w, bias: p")
            + _SQUARE_TAIL.format(x="c").replace("beta: beta", "beta: beta, axis=3"),
        ),
        Good(
            name="a shape that is not known",
            graph=_HEAD
            + "b = variable() -> out: f32[16]\nn = input() -> out: f32[?,8,4,4]\n"
            + "c = conv2d(in: n, weight: w, bias: b) -> out: f32[?,16,4,4]\n"
            + _TAIL.format(x="c").replace("y: f32[1,16,4,4]", "y: f32[?,16,4,4]"),
            undecided=True,
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
            gain=_GAIN,
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
        Bad(
            name="in a layout with the channels last, and the bias first",
            graph=_HEAD.replace("[1,8,4,4]", "[1,4,4,8]").replace("[16,8,1,1]", "[16,1,1,8]")
            + 'b = variable() -> out: f32[16]\nc = conv2d(in: x, weight: w, data_format="channels_last") -> out: f32[1,4,4,16]\n'
            + "d = broadcast_add(x: b, y: c) -> z: f32[1,4,4,16]"
            + _TAIL.format(x="d").replace("[1,16,4,4]", "[1,4,4,16]"),
            op="d",
            because="256 additions; 256 + 16 elements read and 256 written, of 4 bytes",
            gain=_GAIN,
            mended=_HEAD.replace("[1,8,4,4]", "[1,4,4,8]").replace("[16,8,1,1]", "[16,1,1,8]")
            + 'c = conv2d(in: x, weight: w, data_format="channels_last") -> out: f32[1,4,4,16]'
            + _TAIL.format(x="c").replace("[1,16,4,4]", "[1,4,4,16]"),
        ),
        Bad(
            name="the axes are not known",
            graph=_SQUARE + _FIRST + "s = bias_add(a: c, b: p) -> out: f32[1,16,4,16]" + _SQUARE_TAIL.format(x="s"),
            op="s",
            because="channels and width are 16 each; 1024 additions; 1024 + 16 elements read and 1024 written",
            certainty=Confidence.LIKELY,
            gain={
                "flops": 1024,
                "bytes_read": 4 * 1040,
                "bytes_written": 4096,
                "activation_elements": 1024,
                "activation_bytes": 4096,
                "params": 16,
                "param_bytes": 64,
            },
            mended=_SQUARE.replace("p = variable() -> out: f32[16]\n", "") + _FIRST + _SQUARE_TAIL.format(x="c"),
        ),
        Bad(
            name="a bias that another layer has too",
            graph=_HEAD
            + "b = variable() -> out: f32[16]\nc = conv2d(in: x, weight: w, bias: b) -> out: f32[1,16,4,4]\n"
            + "u = variable() -> out: f32[16,8,1,1]\ne = conv2d(in: x, weight: u, bias: b) -> out: f32[1,16,4,4]\noutput(in: e)\n"
            + _TAIL.format(x="c"),
            op="c",
            because="256 additions; the 16 elements of the bias are read, and stay for the other layer",
            gain={"flops": 256, "bytes_read": 64},
            mended=_HEAD
            + "b = variable() -> out: f32[16]\nc = conv2d(in: x, weight: w) -> out: f32[1,16,4,4]\n"
            + "u = variable() -> out: f32[16,8,1,1]\ne = conv2d(in: x, weight: u, bias: b) -> out: f32[1,16,4,4]\noutput(in: e)\n"
            + _TAIL.format(x="c"),
        ),
        Bad(name="in training", graph=_STEP, op="d", because="the gradient of the norm reads the biased result again"),
    ),
)
