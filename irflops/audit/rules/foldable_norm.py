"""`foldable-norm`: an inference batch norm that the convolution before it could do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from irflops.audit.facts import Facts, argument, result
from irflops.audit.finding import Certainty, Severity
from irflops.audit.kinds import CONVOLUTIONS, HANDED_ON
from irflops.audit.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome
from irflops.cost import KINDS, Cost
from irflops.ir import Op, Operand, TensorType, VariableKind

_INFERENCE = ("normalization", "normalization_infer")
_ADDITIONS = frozenset({"bias_add", "broadcast_add"})


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    if facts.has_backward:
        yield Near(message="the graph trains")
        return
    certainty = Certainty.LIKELY if facts.may_train else Certainty.PROVEN
    for norm in facts.users(*_INFERENCE):
        if result(norm, "mean") is not None or argument(norm, "moving_mean") is None:
            continue
        conv, bias = _conv_before(norm, facts)
        if conv is None or not _is_constant(conv, norm, facts):
            yield Near(message="no convolution of constant weights feeds it alone", op=norm)
            continue
        message = f"{conv.name} can have its scale and shift in weight and bias"
        yield Hit(message=message, op=norm, certainty=certainty, gain=_gain(conv, bias, norm, facts))


def _conv_before(norm: Op, facts: Facts) -> tuple[Op | None, Op | None]:
    """The convolution that a norm alone reads, and the addition of its bias between them, if that is an op."""
    operand = argument(norm, "x")
    before = facts.producer(operand) if operand is not None else None
    if before is None or facts.only_use(before) is None:
        return None, None
    if before.type in _ADDITIONS and len(before.inputs) == 2 and facts.variable(before.inputs[1], HANDED_ON) is not None:
        conv = facts.producer(before.inputs[0])
        alone = conv is not None and facts.only_use(conv) is not None
        return (conv, before) if alone and conv is not None and conv.type in CONVOLUTIONS else (None, None)
    return (before, None) if before.type in CONVOLUTIONS else (None, None)


def _is_constant(conv: Op, norm: Op, facts: Facts) -> bool:
    """Whether weight and statistics are variables of one use: a shared weight cannot take one norm's scale."""
    weight = argument(conv, "weight")
    variable = facts.variable(weight, HANDED_ON) if weight is not None else None
    folded = [operand for operand in norm.inputs if operand.arg != "x"]
    return (
        variable is not None
        and facts.only_use(variable) is not None
        and argument(conv, "_add_to_output") is None
        and argument(norm, "_add_to_output") is None
        and all(facts.variable(operand, HANDED_ON) is not None for operand in folded)
    )


def _gain(conv: Op, addition: Op | None, norm: Op, facts: Facts) -> dict[str, int] | None:
    """Without the norm and its four vectors; with a bias, where there was none."""
    variables = [facts.variable(operand, HANDED_ON) for operand in norm.inputs if operand.arg != "x"]
    alone = [variable for variable in variables if variable is not None and facts.only_use(variable) is not None]
    if addition is not None or argument(conv, "bias") is not None:
        return facts.gain([norm, *alone])
    channels, dtype = facts.shape(norm.inputs[1]), facts.type(norm.inputs[1]).dtype
    if channels is None or dtype is None or len(channels) != 1:
        return None
    bias = Operand("bias", 0, f"{conv.name}-bias/out", TensorType(channels, dtype))
    elements = channels[0]
    added = Cost(
        params=tuple(elements * (kind == VariableKind.TRAINABLE.value) for kind in KINDS),
        param_bytes=tuple(dtype.nbytes(elements) * (kind == VariableKind.TRAINABLE.value) for kind in KINDS),
    )
    return facts.gain([norm, conv, *alone], [facts.cost_if(replace(conv, inputs=(*conv.inputs, bias))), added])


_HEAD = """
x = input() -> out: f32[1,8,4,4]
w = variable() -> out: f32[16,8,1,1]
mean = variable(kind=buffer) -> out: f32[16]
var = variable(kind=buffer) -> out: f32[16]
gamma = variable() -> out: f32[16]
beta = variable() -> out: f32[16]
"""
_CONV = "c = conv2d(in: x, weight: w) -> out: f32[1,16,4,4]\n"
_NORM = "y = normalization(x: c, moving_mean: mean, moving_variance: var, gamma: gamma, beta: beta) -> y: f32[1,16,4,4]\n"
_FOLDED = (
    "x = input() -> out: f32[1,8,4,4]\nw = variable() -> out: f32[16,8,1,1]\nb = variable() -> out: f32[16]\n"
    "y = conv2d(in: x, weight: w, bias: b) -> out: f32[1,16,4,4]\noutput(in: y)"
)
_BIASED_GAIN = {
    "flops": 512,
    "bytes_read": 1024 + 4 * 64,
    "bytes_written": 1024,
    "activation_elements": 256,
    "activation_bytes": 1024,
    "params": 64,
    "param_bytes": 256,
}

RULE = AuditRule(
    name="foldable-norm",
    summary="An inference batch norm follows a convolution that nothing else reads.",
    why="Its scale and shift are constants: multiplied into the weights and added to the bias, they cost nothing at run time.",
    fix="Fold the norm into the convolution before export; some compilers do it by themselves.",
    severity=Severity.NOTE,
    check=_check,
    undecidable="What `oneflow.save` writes holds no backward pass: there it is likely.",
    good=(
        Good(
            name="the convolution is read twice",
            graph=_HEAD + _CONV + _NORM + "z = relu(x: c) -> y: f32[1,16,4,4]\noutput(in: y)\noutput(in: z)",
        ),
        Good(
            name="training",
            graph="training\n"
            + _HEAD
            + _CONV
            + _NORM.replace("y = ", "y, m, v = ").replace(
                "-> y: f32[1,16,4,4]", "-> y: f32[1,16,4,4], mean: f32[16], inv_variance: f32[16]"
            )
            + "output(in: y)",
        ),
    ),
    bad=(
        Bad(
            name="without a bias",
            graph=_HEAD + _CONV + _NORM + "output(in: y)",
            op="y",
            because="2 x 256 operations against 256 additions of a bias; 256 elements read and written; 4 vectors against a bias",
            gain={
                "flops": 256,
                "bytes_read": 1024 + 3 * 64,
                "bytes_written": 1024,
                "activation_elements": 256,
                "activation_bytes": 1024,
                "params": 48,
                "param_bytes": 192,
            },
            mended=_FOLDED,
        ),
        Bad(
            name="with a bias",
            graph=_HEAD + "b = variable() -> out: f32[16]\n" + _CONV.replace("weight: w", "weight: w, bias: b") + _NORM + "output(in: y)",
            op="y",
            because="2 x 256 operations; 256 + 4 x 16 elements read, 256 written",
            gain=_BIASED_GAIN,
            mended=_FOLDED,
        ),
        Bad(
            name="in a saved graph",
            graph="pruned\n"
            + _HEAD
            + "b = variable() -> out: f32[16]\n"
            + _CONV.replace("weight: w", "weight: w, bias: b")
            + _NORM
            + "output(in: y)",
            op="y",
            because="it may be the forward part of a training step; 2 x 256 operations; 256 + 4 x 16 elements read, 256 written",
            certainty=Certainty.LIKELY,
            gain=_BIASED_GAIN,
            mended=_FOLDED,
        ),
    ),
)
