"""torchstat: every module without others below it, by isinstance; the last call of a module replaces those before."""

from __future__ import annotations

from collections.abc import Callable

from irflops.conventions.rule import (
    Convention,
    Number,
    Part,
    Rule,
    ToolError,
    affine,
    biased,
    examples,
    last_extent,
    macs,
    numel,
    rules,
    samples,
    spatial,
    window,
    x,
    y,
)


def _flat(count: Callable[[Part], Number]) -> Callable[[Part], Number]:
    """For operands of two axes alone."""

    def checked(part: Part) -> Number:
        if len(part.x or ()) != 2:
            raise ToolError("AssertionError")
        return count(part)

    return checked


def _tuple(_part: Part) -> int:
    raise ToolError("AttributeError: 'tuple' object has no attribute 'size'")


def _per_sample(count: Callable[[Part], int]) -> Callable[[Part], int]:
    return lambda part: count(part) // max(1, samples(part))


def _transposed_madd(part: Part) -> int:
    """Multiplications and additions at each position of the operand, for each output channel."""
    channels, shape = numel(part.y[1:2] if part.y else None), part.weight
    groups = channels // max(1, numel(shape[1:2] if shape else None))
    taps = spatial(shape) * (numel(part.x[1:2] if part.x else None) // max(1, groups))
    return (2 * taps - 1 + biased(part)) * channels * spatial(part.x)


_CRASH = Rule(formula="AttributeError: its result is a tuple", count=_tuple)
_ERRORS = (
    "a module that is called again forgets its earlier calls: residual nets that call one ReLU twice print too little",
    "a Linear on more than two axes ends it with an AssertionError, a recurrent layer with an AttributeError",
    "bytes are worked out in 32 bits and wrap",
)
_IGNORES = "functions and operators, LayerNorm, GroupNorm, GELU, SiLU, Sigmoid, adaptive pools, convolutions of one and three dimensions"
_SOURCE = "torchstat/compute_flops.py, compute_madd.py, compute_memory.py, model_hook.py"
_ASSERTION = "AssertionError"

FLOPS = Convention(
    name="torchstat",
    tool="torchstat",
    version="0.0.7",
    figure="stat(model, input_size): Total Flops",
    unit='"Flops": MACs + 1 per element of some layers',
    basis="macs",
    counts_by="module class",
    batch="one",
    last_call_only=True,
    modules={
        "Conv2d": Rule(formula="M + Y[bias]", count=lambda part: macs(part) + y(part) * biased(part)),
        "Linear": Rule(formula="M; AssertionError unless X has two axes", count=_flat(macs)),
        "BatchNorm2d": Rule(formula="2X; X if not affine", count=lambda part: x(part) * (1 + affine(part))),
        **rules(Rule(formula="X", count=x), "ReLU", "ReLU6", "PReLU", "ELU", "LeakyReLU", "MaxPool2d", "AvgPool2d"),
        "Upsample": Rule(formula="N * spatial elements of Y", count=lambda part: samples(part) * spatial(part.y)),
        **rules(_CRASH, "LSTM", "GRU", "RNN"),
    },
    ignores=f"{_IGNORES}; transposed convolutions",
    errors=(*_ERRORS, "Upsample leaves out the channels"),
    source=_SOURCE,
    examples=examples(
        conv_groups=5472,
        conv_dilated=18432,
        conv_transpose=0,
        linear=128,
        linear_x2=128,
        linear_tokens=_ASSERTION,
        batch_norm=512,
        layer_norm=0,
        group_norm=0,
        relu=256,
        silu=0,
        softmax=0,
        max_pool=256,
        avg_pool=256,
        adaptive_avg_pool=0,
        mean=0,
        add=0,
        mul=0,
        attention=0,
    ),
)

MADD = Convention(
    name="torchstat-madd",
    tool="torchstat",
    version="0.0.7",
    figure="stat(model, input_size): Total MAdd",
    unit="FLOPs: multiplications and additions",
    basis="flops",
    counts_by="module class",
    batch="sample",
    last_call_only=True,
    modules={
        "Conv2d": Rule(formula="(2M - Y + Y[bias]) / N", count=_per_sample(lambda part: 2 * macs(part) - y(part) + y(part) * biased(part))),
        "ConvTranspose2d": Rule(formula="(2K * in / groups - 1 + [bias]) * out * spatial elements of X", count=_transposed_madd),
        "Linear": Rule(
            formula="out * (2 in - 1); AssertionError unless X has two axes",
            count=_flat(lambda part: last_extent(part.y) * (2 * last_extent(part.x) - 1)),
        ),
        "BatchNorm2d": Rule(formula="4X / N", count=_per_sample(lambda part: 4 * x(part))),
        **rules(Rule(formula="X / N", count=_per_sample(x)), "ReLU", "ReLU6"),
        "Softmax": Rule(formula="3X / N - 1", count=lambda part: 3 * x(part) // max(1, samples(part)) - 1),
        "MaxPool2d": Rule(formula="(K - 1) * Y / N", count=_per_sample(lambda part: (window(part) - 1) * y(part))),
        "AvgPool2d": Rule(formula="K * Y / N", count=_per_sample(lambda part: window(part) * y(part))),
        **rules(_CRASH, "LSTM", "GRU", "RNN"),
    },
    ignores=f"{_IGNORES}; PReLU, ELU, LeakyReLU",
    errors=_ERRORS,
    source=_SOURCE,
    examples=examples(
        conv_groups=10368,
        conv_dilated=36352,
        conv_transpose=36864,
        linear=248,
        linear_tokens=_ASSERTION,
        batch_norm=1024,
        layer_norm=0,
        group_norm=0,
        relu=256,
        silu=0,
        softmax=767,
        max_pool=192,
        avg_pool=256,
        adaptive_avg_pool=0,
        mean=0,
        add=0,
        mul=0,
    ),
)

CONVENTIONS = (FLOPS, MADD)
