"""thop: hooks on modules without others below them."""

from __future__ import annotations

from fractions import Fraction

from irflops.conventions.rule import (
    COUNTS_ZERO,
    Convention,
    NotTold,
    Part,
    Rule,
    affine,
    examples,
    last_extent,
    macs,
    numel,
    recurrent_layers,
    rules,
    spatial,
    x,
    y,
)
from irflops.lifting.calls import LiftedCall

_MODES = {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 259}
"""Operations per element of an upsampled result, by how it is interpolated."""


def _transposed(part: Part) -> int:
    """By the result's elements, where the operand's would be right."""
    shape, data = part.weight, part.x
    groups = numel(part.y[1:2] if part.y else None) // max(1, numel(shape[1:2] if shape else None))
    return y(part) * (numel(data[1:2] if data else None) // max(1, groups)) * spatial(shape)


def _softmax(part: Part) -> int:
    step = part.step if isinstance(part, LiftedCall) else part
    features = last_extent(step.x if step is not None else part.x)
    return x(part) // max(1, features) * (3 * features - 1)


def _adaptive(part: Part) -> int:
    if part.x is None or part.y is None:
        raise NotTold("a shape is not known")
    return int((Fraction(spatial(part.x), max(1, spatial(part.y))) + 1) * y(part))


def _upsample(part: Part) -> int:
    step = part.step if isinstance(part, LiftedCall) else part
    mode = (step.op.type or "").split("_")[1] if step is not None and (step.op.type or "").startswith("upsample_") else ""
    return y(part) * _MODES.get(mode, 0)


def _recurrent(part: Part) -> int:
    assert isinstance(part, LiftedCall)
    products = {"RNN": 0, "GRU": 4, "LSTM": 4}[part.class_name or ""]
    once = sum(numel(ih) + numel(hh) + numel(hh[:1]) + bias + products * numel(hh[1:]) for ih, hh, bias, _ in recurrent_layers(part))
    return once * numel(part.x[:2] if part.x is not None else None)


THOP = Convention(
    name="thop",
    tool="thop",
    version="0.1.1.post2209072238",
    figure="profile(model, inputs)[0]",
    unit='"MACs": MACs + some element counts',
    basis="macs",
    counts_by="module class",
    batch="whole",
    modules={
        **rules(Rule(formula="M", count=macs), "Conv#d", "Linear"),
        **rules(Rule(formula="Y * in / groups * K: by the result", count=_transposed), "ConvTranspose#d"),
        **rules(
            Rule(formula="4X; 2X if not affine", count=lambda part: 2 * x(part) * (1 + affine(part))),
            "BatchNorm#d",
            "InstanceNorm#d",
            "LayerNorm",
        ),
        "PReLU": Rule(formula="X", count=x),
        "Softmax": Rule(formula="X / n * (3n - 1), n = extent of the axis", count=_softmax),
        **rules(Rule(formula="Y", count=y), "AvgPool#d"),
        **rules(Rule(formula="int((prod(in / out) + 1) * Y)", count=_adaptive), "AdaptiveAvgPool#d"),
        "Upsample": Rule(formula="Y * 1 nearest, 5 linear, 11 bilinear, 259 bicubic; else 0", count=_upsample),
        **rules(
            Rule(
                formula="(numel(weight_ih) + numel(weight_hh) + gates * hidden + biases + h * hidden) * x0 * x1, h = 4 LSTM, GRU, 0 RNN",
                count=_recurrent,
            ),
            "LSTM",
            "GRU",
            "RNN",
        ),
        **rules(COUNTS_ZERO, "ReLU", "ReLU6", "LeakyReLU", "MaxPool#d", "AdaptiveMaxPool#d", "Dropout"),
    },
    ignores="functions and operators (+, *, @), GroupNorm, GELU, SiLU, ELU, Embedding; activations it has hooks for count 0; biases",
    errors=(
        "a transposed convolution is counted by its result, too high",
        "a subclass of one of its classes is not counted, though it prints the same",
        "an adaptive pool is worked out in double precision, and may be one less",
    ),
    source="thop/profile.py, vision/basic_hooks.py, vision/calc_func.py, rnn_hooks.py",
    examples=examples(
        conv_groups=10368,
        conv_dilated=36864,
        conv1d=1152,
        conv3d=373248,
        conv_transpose=166464,
        linear=256,
        linear_x2=512,
        linear_square=512,
        linear_tokens=1280,
        batch_norm=2048,
        batch_norm_plain=1024,
        layer_norm=2048,
        layer_norm_plain=1024,
        group_norm=0,
        instance_norm=2048,
        relu=0,
        relu6=0,
        prelu=512,
        elu=0,
        leaky_relu=0,
        gelu=0,
        silu=0,
        sigmoid=0,
        softmax=1472,
        max_pool=0,
        avg_pool=128,
        adaptive_avg_pool=584,
        adaptive_avg_pool_1=520,
        mean=0,
        add=0,
        mul=0,
        upsample_nearest=2048,
        upsample_bilinear=22528,
        lstm=15360,
        gru=11680,
        rnn=3680,
        residual=18432,
    ),
)

CONVENTIONS = (THOP,)
