"""ptflops: hooks on modules and patched functions (`pytorch` backend), or ATen operators (`aten`)."""

from __future__ import annotations

from irflops.conventions.flowflops import RECURRENT, recurrent_count
from irflops.conventions.fvcore import PRODUCT
from irflops.conventions.rule import (
    COUNTS_ZERO,
    Convention,
    Part,
    Rule,
    affine,
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

_BIASED = Rule(formula="M + Y[bias]", count=lambda part: macs(part) + y(part) * biased(part))
_TWICE = Rule(formula="2Y: its hook, and the function that it calls", count=lambda part: 2 * y(part))
_ELEMENTS = Rule(formula="X", count=x)


def _relu6(part: Part) -> int:
    """Of a clamp from 0 to 6 that no module makes: F.relu6, as far as can be told."""
    assert isinstance(part, Step)
    return x(part) if (part.op.attrs.get("min_val"), part.op.attrs.get("max_val")) == (0.0, 6.0) else 0


PTFLOPS = Convention(
    name="ptflops",
    tool="ptflops",
    version="0.7.5",
    figure='get_model_complexity_info(backend="pytorch")[0]',
    unit='"MACs": MACs + 1 per element of some layers',
    basis="macs",
    counts_by="module class and function",
    batch="one",
    modules={
        **rules(_BIASED, "Conv#d", "ConvTranspose#d", "Linear"),
        **rules(
            Rule(formula="2X; X if not affine", count=lambda part: x(part) * (1 + affine(part))),
            "BatchNorm#d",
            "InstanceNorm#d",
            "GroupNorm",
        ),
        "LayerNorm": _ELEMENTS,
        **rules(_TWICE, "ReLU", "PReLU", "ELU", "GELU"),
        **rules(Rule(formula="Y", count=y), "ReLU6", "LeakyReLU"),
        **rules(
            Rule(formula="2X: its hook, and the function that it calls", count=lambda part: 2 * x(part)),
            "MaxPool#d",
            "AvgPool#d",
            "AdaptiveAvgPool#d",
            "AdaptiveMaxPool#d",
        ),
        "Upsample": Rule(formula="2Y: its hook (of the first sample), and the function that it calls", count=lambda part: 2 * y(part)),
        **rules(Rule(formula=RECURRENT, count=recurrent_count), "LSTM", "GRU", "RNN"),
    },
    operators={
        **rules(
            _ELEMENTS,
            "relu",
            "prelu",
            "elu",
            "gelu",
            "silu",
            "softmax",
            "max_pool",
            "avg_pool",
            "adaptive_avg_pool",
            "adaptive_max_pool",
        ),
        "hardtanh": Rule(formula="X where it is relu6", count=_relu6),
        "upsample": Rule(formula="Y", count=y),
        "matmul": PRODUCT,
    },
    ignores="F.linear, F.conv, attention in one call, einsum, + and *, Sigmoid, Tanh, Hardswish; @ is taken for matmul",
    errors=(
        "ReLU, PReLU, ELU, GELU, all pools and Upsample are counted twice, by their hook and by the function that it calls",
        "a LayerNorm counts once per element, with affine or without",
        "a subclass of one of its classes is not counted, though it prints the same",
        "with timm installed, the projections in its Attention are lost",
    ),
    source="ptflops/pytorch_ops.py, pytorch_engine.py",
    examples=examples(
        conv_groups=5472,
        conv_dilated=18432,
        conv1d=624,
        conv3d=188352,
        conv_transpose=20744,
        linear=136,
        linear_x2=136,
        linear_square=256,
        linear_tokens=680,
        batch_norm=512,
        batch_norm_plain=256,
        layer_norm=256,
        layer_norm_plain=256,
        group_norm=512,
        group_norm_plain=256,
        instance_norm=512,
        relu=512,
        relu6=256,
        prelu=512,
        elu=512,
        leaky_relu=256,
        gelu=512,
        silu=256,
        sigmoid=0,
        tanh=0,
        hardswish=0,
        softmax=256,
        softmax_function=256,
        max_pool=512,
        avg_pool=512,
        adaptive_avg_pool=512,
        adaptive_avg_pool_1=512,
        mean=0,
        add=0,
        mul=0,
        upsample_nearest=2048,
        upsample_bilinear=2048,
        lstm=7840,
        gru=5840,
        rnn=1840,
        residual=10496,
    ),
)


def _linear(part: Part) -> int:
    """PyTorch runs a Linear on a transposed view as a product and an addition, and only products count."""
    assert isinstance(part, Step)
    is_one_operator = len(part.x or ()) == 2 or part.made_by != "transpose"
    return macs(part) + (y(part) * biased(part) if is_one_operator else 0)


def _recurrent(part: Part) -> int:
    assert isinstance(part, LiftedCall)
    once = sum(numel(ih) + numel(hh) + bias for ih, hh, bias, _ in recurrent_layers(part))
    return once * numel(part.x[:2] if part.x is not None else None)


ATEN = Convention(
    name="ptflops-aten",
    tool="ptflops",
    version="0.7.5",
    figure='get_model_complexity_info(backend="aten")[0]',
    unit='"MACs": MACs and additions of biases',
    basis="macs",
    counts_by="operator",
    batch="one",
    modules={
        "LSTM": COUNTS_ZERO,
        **rules(Rule(formula="(numel(weight_ih) + numel(weight_hh) + biases) * x0 * x1", count=_recurrent), "GRU", "RNN"),
    },
    operators={
        **rules(_BIASED, "conv", "conv_transpose"),
        "linear": Rule(formula="M + Y[bias]; M on a transposed view of more than two axes", count=_linear),
        **rules(Rule(formula="M", count=macs), "matmul", "*"),
        "attention": COUNTS_ZERO,
    },
    ignores="everything but convolutions and matrix products; attention in one call",
    errors=("the bias of a Linear on a transposed view is not seen", "an LSTM runs as one fused operator, which counts nothing"),
    source="ptflops/aten_ops.py",
    examples=examples(
        conv_groups=5472,
        conv_dilated=18432,
        conv1d=624,
        conv3d=188352,
        conv_transpose=20744,
        linear=136,
        linear_square=256,
        linear_tokens=680,
        batch_norm=0,
        layer_norm=0,
        relu=0,
        gelu=0,
        softmax=0,
        avg_pool=0,
        mean=0,
        lstm=0,
        gru=5280,
        rnn=1760,
        residual=9472,
    ),
)

CONVENTIONS = (PTFLOPS, ATEN)
