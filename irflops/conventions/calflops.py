"""calflops: PyTorch's functions, patched, with a count of FLOPs and one of MACs each."""

from __future__ import annotations

import math

from irflops.conventions.flowflops import EXTRA
from irflops.conventions.fvcore import BATCH_NORM, NORM, product
from irflops.conventions.rule import (
    COUNTS_ZERO,
    Convention,
    NotTold,
    Part,
    Rule,
    biased,
    examples,
    macs,
    numel,
    recurrent_layers,
    rules,
    x,
    y,
)
from irflops.lifting.calls import LiftedCall
from irflops.lifting.steps import Step

ELEMENTWISE = rules(
    Rule(formula="X", count=x),
    "relu", "elu", "prelu", "silu", "gelu", "leaky_relu", "softmax", "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool",
)  # fmt: skip
"""One per element: the functions that calflops and deepspeed patch alike."""

IGNORES = "the operators + and *; @, which a graph cannot tell from matmul and is counted; Sigmoid, Hardtanh, Tanh, Hardswish, means"

RECURRENT = (
    "per layer (2 numel(weight_ih) + 2 numel(weight_hh) - 2 rows + c * hidden + biases) * x0 * x1, c = 10 LSTM, 7 GRU, 1 RNN; "
    "twice if bidirectional"
)


def recurrent_flops(part: Part) -> int:
    """An LSTM, GRU or RNN by its forward layers, doubled where it also runs backwards."""
    assert isinstance(part, LiftedCall)
    layers = recurrent_layers(part)
    one_way = sum(
        2 * numel(ih) - numel(ih[:1]) + 2 * numel(hh) - numel(hh[:1]) + EXTRA[part.class_name or ""] * numel(hh[1:]) + bias
        for ih, hh, bias, is_reverse in layers
        if not is_reverse
    )
    steps = numel(part.x[:2] if part.x is not None else None)
    return one_way * steps * (2 if any(is_reverse for *_, is_reverse in layers) else 1)


def conv_flops(part: Part) -> int:
    """A product is two, a bias one."""
    return 2 * macs(part) + y(part) * biased(part)


def _transposed_macs(part: Part) -> int:
    """The output channels of one group are divided by the groups once more."""
    if part.weight is None or part.x is None or part.y is None:
        raise NotTold("the weight is not known")
    out = numel(part.weight[1:2])
    groups = numel(part.y[1:2]) // max(1, out)
    return x(part) * (out // max(1, groups)) * math.prod(extent or 0 for extent in part.weight[2:])


def _transposed_flops(part: Part) -> int:
    """The bias counts at the positions of a convolution of the same arguments."""
    return 2 * _transposed_macs(part) + (_as_a_conv(part) if biased(part) else 0)


def _as_a_conv(part: Part) -> int:
    assert isinstance(part, Step)
    attrs, shape, data = part.op.attrs, part.weight or (), part.x or ()
    lists = [attrs.get(name) for name in ("strides", "padding_before", "dilation_rate")]
    if not all(isinstance(values, tuple) for values in lists):
        raise NotTold("the stride of a transposed convolution is not known")
    strides, padding, dilation = ([int(v) for v in values if isinstance(v, int)] for values in lists if isinstance(values, tuple))
    extents = [
        ((extent or 0) + 2 * p - (d * ((k or 0) - 1) + 1)) // s + 1
        for extent, k, s, p, d in zip(data[2:], shape[2:], strides, padding, dilation, strict=True)
    ]
    return numel(shape[1:2]) * numel(data[:1]) * math.prod(extents)


_SOURCE = "calflops/pytorch_ops.py, flops_counter.py"
_TRANSPOSED = "a transposed convolution divides its groups out twice, and has its bias at the positions of a convolution"

MACS = Convention(
    name="calflops",
    tool="calflops",
    version="0.3.2",
    figure="calculate_flops(model, ...)[1]",
    unit="MACs",
    basis="macs",
    counts_by="function",
    batch="whole",
    modules=rules(COUNTS_ZERO, "LSTM", "GRU", "RNN"),
    operators={
        **rules(Rule(formula="M", count=macs), "conv", "linear", "*"),
        "conv_transpose": Rule(formula="X * (out / groups / groups) * K", count=_transposed_macs),
        "matmul": Rule(formula="X * last extent of Y", count=product),
        "attention": COUNTS_ZERO,
    },
    ignores="everything but convolutions and matrix products; attention in one call, einsum, recurrent layers",
    errors=("a transposed convolution divides its groups out twice", "a product whose first operand is broadcast is counted too low"),
    source=_SOURCE,
    examples=examples(
        conv_groups=10368, conv_dilated=36864, conv_transpose=36864, linear=256, linear_tokens=1280, batch_norm=0, relu=0, lstm=0
    ),
)

FLOPS = Convention(
    name="calflops-flops",
    tool="calflops",
    version="0.3.2",
    figure="calculate_flops(model, ...)[0]",
    unit="FLOPs",
    basis="flops",
    counts_by="function",
    batch="whole",
    modules=rules(Rule(formula=RECURRENT, count=recurrent_flops), "LSTM", "GRU", "RNN"),
    operators={
        "conv": Rule(formula="2M + Y[bias]", count=conv_flops),
        "conv_transpose": Rule(formula="2X * (out / groups / groups) * K + bias at a convolution's positions", count=_transposed_flops),
        **rules(Rule(formula="2M", count=lambda part: 2 * macs(part)), "linear", "*"),
        "matmul": Rule(formula="2X * last extent of Y", count=lambda part: 2 * product(part)),
        "batch_norm": BATCH_NORM,
        **rules(NORM, "layer_norm", "group_norm", "instance_norm"),
        **ELEMENTWISE,
        "upsample": Rule(formula="X", count=x),
        "attention": COUNTS_ZERO,
    },
    ignores=f"{IGNORES}; attention in one call",
    errors=(
        _TRANSPOSED,
        "an Upsample by a factor counts its operand, since the product is thrown away; one to a size counts the size: not followed",
        "a product whose first operand is broadcast is counted too low",
        "a model without parameters ends it with StopIteration; the figures are those of the layer in a model that has some",
    ),
    source=_SOURCE,
    examples=examples(
        conv_groups=21312,
        conv_dilated=73728,
        linear=512,
        linear_x2=1024,
        linear_tokens=2560,
        batch_norm=1024,
        layer_norm=2560,
        group_norm=2560,
        relu=512,
        silu=512,
        softmax=512,
        max_pool=512,
        avg_pool=512,
        adaptive_avg_pool=512,
        mean=0,
        add=0,
        mul=0,
        lstm=27200,
    ),
)

CONVENTIONS = (MACS, FLOPS)
