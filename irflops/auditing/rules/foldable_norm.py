"""`foldable-norm`: an inference batch norm that the convolution before it could do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from irflops.auditing.facts import Facts, argument, result
from irflops.auditing.finding import Confidence, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.auditing.rules._biases import Biased, before_norm
from irflops.auditing.rules._gains import only_for
from irflops.counting.cost import KINDS, Cost
from irflops.ir.graph import DType, Op, Operand, TensorType, VariableKind

_INFERENCE = ("normalization", "normalization_infer")


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    if facts.has_backward:
        yield Near(message="the graph trains")
        return
    for norm in facts.users(*_INFERENCE):
        if result(norm, "mean") is not None or argument(norm, "moving_mean") is None:
            continue
        found = before_norm(norm, facts, facts.only_use)
        if isinstance(found, str):
            yield Undecided(reason=found, op=norm)
        elif found is None or not _is_constant(found, norm, facts):
            yield Near(message="no convolution of constant weights feeds it alone along its channels", op=norm)
        else:
            message = f"{found.conv.name} can have its scale and shift in weight and bias"
            certainty = Confidence.LIKELY if facts.may_train else found.certainty
            yield Hit(message=message, op=norm, certainty=certainty, gain=_gain(found, norm, facts))


def _is_constant(found: Biased, norm: Op, facts: Facts) -> bool:
    """Whether weight, bias and statistics are variables, and the weight of one use: a shared one cannot take one norm's scale."""
    weight = argument(found.conv, "weight")
    variable = facts.handed(weight) if weight is not None else None
    folded = [operand for operand in norm.inputs if operand.arg != "x"]
    return (
        variable is not None
        and facts.only_use(variable) is not None
        and argument(found.conv, "_add_to_output") is None
        and argument(norm, "_add_to_output") is None
        and all(facts.handed(operand) is not None for operand in (*folded, *([found.bias] if found.bias is not None else ())))
    )


def _gain(found: Biased, norm: Op, facts: Facts) -> dict[str, int] | None:
    """Without the norm and its four vectors; with a bias where there was none, or one that others read and that stays for them."""
    conv, bias = found.conv, found.bias
    gone = [norm, *(op for operand in norm.inputs if operand.arg != "x" for op in only_for(operand, facts))]
    if bias is not None and facts.handed(bias) in only_for(bias, facts):
        return facts.gain(gone)
    channels, dtype = facts.shape(norm.inputs[1]), facts.type(norm.inputs[1]).dtype
    if channels is None or dtype is None or len(channels) != 1:
        return None
    added = _parameter(channels[0], dtype)
    if bias is not None:
        return facts.gain(gone, [added])
    vector = Operand("bias", 0, f"{conv.name}-bias/out", TensorType(channels, dtype))
    return facts.gain([conv, *gone], [facts.cost_if(replace(conv, inputs=(*conv.inputs, vector))), added])


def _parameter(elements: int, dtype: DType) -> Cost:
    trainable = [int(kind == VariableKind.TRAINABLE.value) for kind in KINDS]
    return Cost(params=tuple(elements * own for own in trainable), param_bytes=tuple(dtype.nbytes(elements) * own for own in trainable))


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
_BIASED = "b = variable() -> out: f32[16]\n" + _CONV.replace("weight: w", "weight: w, bias: b")
_SQUARE = (_HEAD + _CONV.replace("weight: w", 'weight: w, data_format="channels_first"') + _NORM + "output(in: y)").replace(
    ",4,4]", ",4,16]"
)
"""As wide as it has channels."""

_OTHER = "u = variable() -> out: f32[16,8,1,1]\ne = conv2d(in: x, weight: u, bias: b) -> out: f32[1,16,4,4]\noutput(in: e)\n"
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
    refutable=True,
    undecidable="What `oneflow.save` writes holds no backward pass: there it is likely. So it is where the form lacks the axes of norm and "
    "convolution, and the shapes leave open which one has the channels; where a shape is unknown, it is left open.",
    good=(
        Good(
            name="the convolution is read twice",
            graph=_HEAD + _CONV + _NORM + "z = relu(x: c) -> y: f32[1,16,4,4]\noutput(in: y)\noutput(in: z)",
        ),
        Good(
            name="a value for each position is between",
            graph=_HEAD
            + _CONV
            + "p = variable() -> out: f32[1,1,4,4]\ns = broadcast_add(x: c, y: p) -> z: f32[1,16,4,4]\n"
            + _NORM.replace("x: c", "x: s")
            + "output(in: y)",
        ),
        Good(name="a norm along the width", graph=_SQUARE.replace("beta: beta", "beta: beta, axis=3")),
        Good(
            name="a bias that is no constant",
            graph=_HEAD + "b = input() -> out: f32[16]\n" + _CONV.replace("weight: w", "weight: w, bias: b") + _NORM + "output(in: y)",
        ),
        Good(
            name="a shape that is not known",
            graph=(_HEAD + "n = input() -> out: f32[?,8,4,4]\n" + _CONV.replace("in: x", "in: n") + _NORM + "output(in: y)").replace(
                "[1,16,4,4]", "[?,16,4,4]"
            ),
            undecided=True,
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
            name="with a bias that another layer has too",
            graph=_HEAD + _BIASED + _OTHER + _NORM + "output(in: y)",
            op="y",
            because="2 x 256 operations; 256 + 4 x 16 elements read, 256 written; 4 vectors against a bias of its own",
            gain=_BIASED_GAIN | {"params": 48, "param_bytes": 192},
            mended="x = input() -> out: f32[1,8,4,4]\nw = variable() -> out: f32[16,8,1,1]\nb = variable() -> out: f32[16]\n"
            "d = variable() -> out: f32[16]\ny = conv2d(in: x, weight: w, bias: d) -> out: f32[1,16,4,4]\n" + _OTHER + "output(in: y)",
        ),
        Bad(
            name="the axis is not known",
            graph=_SQUARE,
            op="y",
            because="channels and width are 16 each; 1024 operations fewer, as much read and written, and 3 vectors of 16",
            certainty=Confidence.LIKELY,
            gain={
                "flops": 1024,
                "bytes_read": 4096 + 3 * 64,
                "bytes_written": 4096,
                "activation_elements": 1024,
                "activation_bytes": 4096,
                "params": 48,
                "param_bytes": 192,
            },
            mended=_FOLDED.replace(",4,4]", ",4,16]"),
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
            certainty=Confidence.LIKELY,
            gain=_BIASED_GAIN,
            mended=_FOLDED,
        ),
    ),
)
