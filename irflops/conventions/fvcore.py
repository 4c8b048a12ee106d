"""fvcore: operators of the traced model, by tables of handles."""

from __future__ import annotations

from irflops.conventions.rule import COUNTS_ZERO, Convention, Part, Rule, affine, examples, last_extent, macs, rules, x, y
from irflops.lifting.steps import Step


def product(part: Part) -> int:
    """A product by its first operand alone: one that is broadcast over the second is counted once."""
    return x(part) * last_extent(part.y)


def batch_norm(part: Part) -> int:
    """5X in training, 2X in inference; one X less without scale."""
    assert isinstance(part, Step)
    is_training = part.op.attrs.get("training") is True or "mean" in part.view.output_args
    return x(part) * ((5 if is_training else 2) - 1 + affine(part))


PRODUCT = Rule(formula="X * last extent of Y", count=product)
BATCH_NORM = Rule(formula="2X, 5X in training; X, 4X if not affine", count=batch_norm)
NORM = Rule(formula="5X; 4X if not affine", count=lambda part: x(part) * (4 + affine(part)))
RECURRENT = ("LSTM", "GRU", "RNN")
NO_HANDLE = rules(COUNTS_ZERO, "attention", "dot", "matrix_vector_product")
"""Products whose operators (`aten::dot`, `aten::mv`, fused attention) are in none of fvcore's tables: it warns of them and adds nothing."""


def _adaptive(part: Part) -> int:
    return x(part) if len(part.x or ()) == 4 else 0


def _upsample(part: Part) -> int:
    assert isinstance(part, Step)
    return {"upsample_nearest_2d": 1, "upsample_bilinear_2d": 4}.get(part.op.type or "", 0) * y(part)


FVCORE = Convention(
    name="fvcore",
    tool="fvcore",
    version="0.1.5.post20221221",
    figure="FlopCountAnalysis(model, inputs).total()",
    unit='"flops": MACs + some element counts',
    basis="macs",
    counts_by="operator",
    batch="whole",
    modules=rules(COUNTS_ZERO, *RECURRENT),
    operators={
        **rules(Rule(formula="M", count=macs), "conv", "conv_transpose", "linear", "*"),
        "matmul": PRODUCT,
        "batch_norm": BATCH_NORM,
        **rules(NORM, "layer_norm", "group_norm", "instance_norm"),
        "adaptive_avg_pool": Rule(formula="X; 0 unless 2d", count=_adaptive),
        "upsample": Rule(formula="Y nearest 2d, 4Y bilinear; else 0", count=_upsample),
        **NO_HANDLE,
    },
    ignores="activations, softmax, other pools, sums and products of elements, biases, fused attention, dot, mv, recurrent layers",
    errors=("a product whose first operand is broadcast over the second is counted too low",),
    source="fvcore/nn/flop_count.py, jit_handles.py",
    examples=examples(
        conv_groups=10368,
        conv_dilated=36864,
        conv1d=1152,
        conv3d=373248,
        conv_transpose=36864,
        linear=256,
        linear_x2=512,
        linear_square=512,
        linear_tokens=1280,
        batch_norm=1024,
        batch_norm_plain=512,
        layer_norm=2560,
        layer_norm_plain=2048,
        group_norm=2560,
        group_norm_plain=2048,
        instance_norm=2560,
        relu=0,
        gelu=0,
        silu=0,
        softmax=0,
        max_pool=0,
        avg_pool=0,
        adaptive_avg_pool=512,
        mean=0,
        add=0,
        mul=0,
        upsample_nearest=2048,
        upsample_bilinear=8192,
        lstm=0,
        gru=0,
        rnn=0,
        residual=18432,
    ),
)

ACTIVATIONS = Convention(
    name="fvcore-activations",
    tool="fvcore",
    version="0.1.5.post20221221",
    figure="ActivationCountAnalysis(model, inputs).total()",
    unit="elements of the results of convolutions and products",
    basis="activation_elements",
    counts_by="operator",
    batch="whole",
    modules=rules(COUNTS_ZERO, *RECURRENT),
    operators={**rules(Rule(formula="Y", count=y), "conv", "conv_transpose", "linear", "matmul", "*"), **NO_HANDLE},
    ignores="the results of everything else, of fused attention, dot and mv too",
    source="fvcore/nn/activation_count.py",
    examples=examples(
        conv_groups=576,
        conv_dilated=1024,
        conv1d=96,
        conv3d=3456,
        conv_transpose=4624,
        linear=16,
        linear_tokens=80,
        batch_norm=0,
        layer_norm=0,
        relu=0,
        softmax=0,
        avg_pool=0,
        mean=0,
        lstm=0,
        residual=512,
    ),
)

CONVENTIONS = (FVCORE, ACTIVATIONS)
