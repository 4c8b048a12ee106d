"""torchprofile: operators of the traced model."""

from __future__ import annotations

from irflops.conventions.pytorch import recurrent_macs
from irflops.conventions.rule import COUNTS_ZERO, Convention, NotTold, Part, Rule, affine, examples, macs, numel, rules, spatial, y
from irflops.lifting.steps import Step


def _transposed(part: Part) -> int:
    """By the result's elements; which axis of the weight has the channels is told by the result's."""
    if part.weight is None or part.y is None:
        raise NotTold("the weight is not known")
    has_out_first = part.y[1:2] == part.weight[:1]
    channels = part.weight[1:2] if has_out_first else part.weight[:1]
    return y(part) * numel(channels) * spatial(part.weight)


def _bilinear(part: Part) -> int:
    assert isinstance(part, Step)
    return 4 * y(part) if part.op.type == "upsample_bilinear_2d" else 0


TORCHPROFILE = Convention(
    name="torchprofile",
    tool="torchprofile",
    version="0.1.0",
    figure="profile_macs(model, inputs)",
    unit='"MACs": MACs + 1 per element of some operators',
    basis="macs",
    counts_by="operator",
    batch="whole",
    modules={
        "LSTM": Rule(formula="(numel(weight_ih) + numel(weight_hh)) * x0 * x1", count=recurrent_macs),
        **rules(COUNTS_ZERO, "GRU", "RNN"),
    },
    operators={
        **rules(Rule(formula="M", count=macs), "conv", "linear", "matmul", "attention", "*"),
        "conv_transpose": Rule(formula="Y * in * K: by the result, groups ignored", count=_transposed),
        **rules(
            Rule(formula="Y; 0 if not affine", count=lambda part: y(part) * affine(part)),
            "batch_norm",
            "layer_norm",
            "group_norm",
            "instance_norm",
        ),
        **rules(
            Rule(formula="Y", count=y),
            "leaky_relu",
            "avg_pool",
            "adaptive_avg_pool",
            "mean",
            "broadcast_mul",
            "scalar_mul",
            "scalar_mul_by_tensor",
            "multiply",
        ),
        "upsample": Rule(formula="4Y bilinear; else 0", count=_bilinear),
    },
    ignores="activations, softmax, max pools, additions, biases, GRU, RNN; Python's arithmetic on shapes, which it counts, is in no dump",
    errors=("a transposed convolution is counted by its result, and its groups are ignored",),
    source="torchprofile/handlers.py",
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
        batch_norm=512,
        batch_norm_plain=0,
        layer_norm=512,
        layer_norm_plain=0,
        group_norm=512,
        group_norm_plain=0,
        instance_norm=512,
        relu=0,
        leaky_relu=512,
        gelu=0,
        silu=0,
        softmax=0,
        max_pool=0,
        avg_pool=128,
        adaptive_avg_pool=72,
        adaptive_avg_pool_1=8,
        mean=8,
        add=0,
        mul=512,
        attention=4800,
        upsample_nearest=0,
        upsample_bilinear=8192,
        lstm=12800,
        gru=0,
        rnn=0,
        residual=18432,
    ),
)

CONVENTIONS = (TORCHPROFILE,)
