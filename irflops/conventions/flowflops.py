"""flowflops: hooks on modules (`eager`), or a walk over the forward job of a graph (`graph`)."""

from __future__ import annotations

import math

from irflops.conventions.rule import (
    Convention,
    NotTold,
    Number,
    Part,
    Rule,
    ToolError,
    affine,
    biased,
    examples,
    macs,
    numel,
    recurrent_layers,
    rules,
    samples,
    x,
    y,
)
from irflops.ir.graph import Shape
from irflops.lifting.calls import LiftedCall
from irflops.lifting.steps import Step

EXTRA = {"LSTM": 10, "GRU": 7, "RNN": 1}
"""Additions and products per hidden unit beside the matrices."""


def recurrent_count(part: Part) -> int:
    """An LSTM, GRU or RNN by its forward layers, doubled where it also runs backwards."""
    assert isinstance(part, LiftedCall)
    layers = recurrent_layers(part)
    one_way = sum(
        numel(ih) + numel(hh) + EXTRA[part.class_name or ""] * numel(hh[1:]) + bias for ih, hh, bias, is_reverse in layers if not is_reverse
    )
    steps = numel(part.x[:2] if part.x is not None else None)
    return one_way * steps * (2 if any(is_reverse for *_, is_reverse in layers) else 1)


RECURRENT = (
    "per layer (numel(weight_ih) + numel(weight_hh) + c * hidden + biases) * x0 * x1, c = 10 LSTM, 7 GRU, 1 RNN; twice if bidirectional"
)


def _linear(part: Part) -> int:
    shape = part.weight
    if shape is None:
        raise NotTold("the weight is not known")
    out = numel(shape[:1])
    return (x(part) * out + out * biased(part)) * samples(part)


def _transposed(part: Part) -> int:
    name = part.class_name if isinstance(part, LiftedCall) else None
    raise ToolError(f"AttributeError: '{name}' object has no attribute 'in_channels'")


def _instance_norm(part: Part) -> int:
    return (x(part) + 10 * numel(part.x[:2] if part.x is not None else None)) * (1 + affine(part))


EAGER = Convention(
    name="flowflops-eager",
    tool="flowflops",
    version="0.0.1.post2211300851",
    figure='get_model_complexity_info(mode="eager")[0]',
    unit='"Mac": MACs + 1 per element of some layers',
    basis="macs",
    counts_by="module class",
    batch="mean",
    modules={
        **rules(Rule(formula="M + Y[bias]", count=lambda part: macs(part) + y(part) * biased(part)), "Conv#d"),
        **rules(Rule(formula="AttributeError", count=_transposed), "ConvTranspose#d"),
        "Linear": Rule(formula="(X * out + out[bias]) * N", count=_linear),
        **rules(Rule(formula="2X; X if not affine", count=lambda part: x(part) * (1 + affine(part))), "BatchNorm#d", "GroupNorm"),
        **rules(Rule(formula="2(X + 10 * N * channels); once if not affine", count=_instance_norm), "InstanceNorm#d"),
        **rules(Rule(formula="Y", count=y), "ReLU", "ReLU6", "PReLU", "ELU", "LeakyReLU", "GELU"),
        **rules(Rule(formula="X", count=x), "MaxPool#d", "AvgPool#d", "AdaptiveAvgPool#d"),
        "Upsample": Rule(formula="Y / N", count=lambda part: numel(part.y[1:] if part.y is not None else None)),
        **rules(Rule(formula=RECURRENT, count=recurrent_count), "LSTM", "GRU", "RNN"),
    },
    ignores="what is no module of its table: functions, + * @, LayerNorm, SiLU, Sigmoid, Softmax, Embedding, users' classes",
    errors=(
        "a Linear is multiplied by the input's first axis once more, and has its bias once: too high by the windows of a window attention",
        "transposed convolutions end it: AttributeError",
        "a subclass of one of its classes is not counted, though it prints the same",
    ),
    source="flowflops/flow_ops.py, MODULES_MAPPING; flow_engine.py",
    examples=examples(
        conv_groups=5472,
        conv_dilated=18432,
        conv1d=624,
        conv3d=188352,
        conv_transpose="AttributeError: 'ConvTranspose2d' object has no attribute 'in_channels'",
        linear=264,
        linear_x2=520,
        linear_square=512,
        linear_tokens=1288,
        linear_tokens_x2=2568,
        batch_norm=512,
        batch_norm_plain=256,
        layer_norm=0,
        group_norm=512,
        group_norm_plain=256,
        instance_norm=592,
        relu=256,
        relu6=256,
        prelu=256,
        elu=256,
        leaky_relu=256,
        gelu=256,
        silu=0,
        sigmoid=0,
        tanh=0,
        hardswish=0,
        softmax=0,
        max_pool=256,
        avg_pool=256,
        adaptive_avg_pool=256,
        adaptive_avg_pool_1=256,
        mean=0,
        add=0,
        mul=0,
        attention=0,
        upsample_nearest=512,
        upsample_nearest_x2=256,
        lstm=7840,
        gru=5840,
        rnn=1840,
        residual=9984,
    ),
)


def _shape(part: Part, arg: str) -> tuple[int, ...]:
    assert isinstance(part, Step)
    tensors = part.view.inputs(arg)
    shape: Shape | None = tensors[0].shape if tensors else None
    if shape is None or None in shape:
        raise NotTold(f"the shape of {arg} is not known")
    return tuple(extent for extent in shape if extent is not None)


def _conv(part: Part) -> Number:
    """The result's extents as they would be without dilation."""
    assert isinstance(part, Step)
    data, kernel = _shape(part, "in"), _shape(part, "weight")
    attrs = part.op.attrs
    strides, padding, size = attrs.get("strides"), attrs.get("padding_before"), kernel[2:]
    if isinstance(strides, tuple) and isinstance(padding, tuple):
        if not len(data) - 2 == len(size) == len(padding) == len(strides):
            raise NotTold("strides and padding do not have the axes of in and weight")
        extents = [
            (extent - k + 2 * int(p)) // int(s) + 1  # type: ignore[arg-type]  # lists of integers, as the op type has them
            for extent, k, p, s in zip(data[2:], size, padding, strides, strict=True)
        ]
    else:
        extents = [extent or 0 for extent in (part.y or ())[2:]]
    return math.prod(kernel) * math.prod(extents)


def _one_sample(arg: str) -> Rule:
    return Rule(formula=f"X / N, X = numel({arg})", count=lambda part: math.prod(_shape(part, arg)[1:]))


def _matmul(part: Part) -> int:
    return math.prod(_shape(part, "a")) * math.prod(_shape(part, "b")[:-1])


def _add_n(part: Part) -> int:
    assert isinstance(part, Step)
    return math.prod(_shape(part, "in")) * (len(part.view.inputs("in")) - 1)


_FREE = Rule(formula="0", count=lambda _: 0)

GRAPH = Convention(
    name="flowflops-graph",
    tool="flowflops",
    version="0.0.1.post2211300851",
    figure='get_model_complexity_info(mode="graph")[0]',
    unit='"Mac": MACs + 1 per element of the rest',
    basis="macs",
    counts_by="op type",
    batch="whole",
    first=EAGER,
    raw={
        **rules(Rule(formula="W * prod(out'), out' = floor((in - k + 2 padding) / stride) + 1", count=_conv), "conv#d"),
        **rules(
            _one_sample("x"),
            "max_pool_#d",
            "avg_pool_#d",
            "adaptive_max_pool#d",
            "adaptive_avg_pool#d",
            "relu",
            "leaky_relu",
            "prelu",
            "sigmoid",
            "sigmoid_v2",
        ),
        **rules(_one_sample("in"), "hardtanh", "elu", "silu", "scalar_mul", "scalar_add", "scalar_sub", "scalar_div"),
        "bias_add": _one_sample("a"),
        "reduce_sum": _one_sample("input_tensor"),
        "add_n": Rule(formula="X * (operands - 1)", count=_add_n),
        **rules(Rule(formula="numel(a) * prod(b's shape without its last)", count=_matmul), "matmul", "broadcast_matmul"),
        "normalization": Rule(formula="2X / N", count=lambda part: 2 * math.prod(_shape(part, "x")[1:])),
        **rules(
            Rule(formula="elements of the second operand", count=lambda part: math.prod(_shape(part, "y"))),
            "broadcast_mul",
            "broadcast_add",
            "broadcast_sub",
            "broadcast_div",
        ),
        **rules(_FREE, "var", "sqrt", "reshape", "ones_like", "zero_like", "flatten", "concat", "transpose", "slice"),
    },
    ignores="views and concatenations; nothing else, since it knows no other operator",
    errors=(
        "an operator that its table lacks ends it with a KeyError: transformers, GELU, Hardswish, Softmax, transposed convolutions",
        "batch is mixed: convolutions, norms, pools and scalars leave the first axis out; matmul, add_n, broadcasts keep it",
        "matmul is right for a weight [out, in] alone, wrong for [in, out]",
        "dilation is not seen: a dilated convolution is counted too high",
        "it runs the eager mode first, and fails where that fails; an operand without axes ends it with a ValueError",
    ),
    source="flowflops/flow_ops.py, GRAPH_FLOPS_COUNT_FUNC; flow_engine.py",
    examples=examples(
        conv_groups=5472,
        conv_dilated=28800,
        conv1d=624,
        conv3d=188352,
        conv_transpose="AttributeError: 'ConvTranspose2d' object has no attribute 'in_channels'",
        linear=264,
        linear_x2=520,
        linear_tokens=1288,
        linear_tokens_x2=2568,
        batch_norm=512,
        batch_norm_plain="KeyError: 'constant'",
        layer_norm="KeyError: 'rsqrt'",
        group_norm=276,
        group_norm_x2=284,
        group_norm_plain=268,
        instance_norm=288,
        relu=256,
        relu6=256,
        prelu=256,
        elu=256,
        leaky_relu=256,
        gelu="KeyError: 'gelu'",
        silu=256,
        sigmoid=256,
        tanh="KeyError: 'tanh'",
        hardswish="KeyError: 'hardswish'",
        softmax="KeyError: 'softmax'",
        max_pool=256,
        avg_pool=256,
        adaptive_avg_pool=256,
        adaptive_avg_pool_1=256,
        mean=260,
        add=512,
        add_x2=1024,
        mul=512,
        attention="KeyError: 'batch_matmul'",
        upsample_nearest="KeyError: 'upsample_nearest_2d'",
        lstm="KeyError: 'constant'",
        residual=10496,
        residual_x2=11008,
    ),
)

CONVENTIONS = (GRAPH, EAGER)
