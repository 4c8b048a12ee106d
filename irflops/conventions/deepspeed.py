"""deepspeed's flops profiler: PyTorch's functions, patched, with a count of FLOPs and one of MACs each."""

from __future__ import annotations

from irflops.conventions.calflops import ELEMENTWISE, IGNORES, RECURRENT, conv_flops, recurrent_flops
from irflops.conventions.fvcore import BATCH_NORM, NORM, product
from irflops.conventions.rule import COUNTS_ZERO, Convention, Rule, examples, macs, rules, y

_SOURCE = "deepspeed/profiling/flops_profiler/profiler.py"

MACS = Convention(
    name="deepspeed",
    tool="deepspeed",
    version="0.19.8",
    figure="get_model_profile(model, ...)[1]",
    unit="MACs",
    basis="macs",
    counts_by="function",
    batch="whole",
    modules=rules(COUNTS_ZERO, "LSTM", "GRU", "RNN"),
    operators={
        **rules(Rule(formula="M", count=macs), "conv", "conv_transpose", "linear", "attention", "*"),
        "matmul": Rule(formula="X * last extent of Y", count=product),
    },
    ignores="everything but convolutions, matrix products and attention; einsum, recurrent layers",
    errors=("a product whose first operand is broadcast is counted too low",),
    source=_SOURCE,
    examples=examples(conv_groups=10368, conv_dilated=36864, conv_transpose=36864, linear=256, linear_tokens=1280, relu=0, lstm=0),
)

FLOPS = Convention(
    name="deepspeed-flops",
    tool="deepspeed",
    version="0.19.8",
    figure="get_model_profile(model, ...)[0]",
    unit="FLOPs",
    basis="flops",
    counts_by="function",
    batch="whole",
    modules=rules(Rule(formula=RECURRENT, count=recurrent_flops), "LSTM", "GRU", "RNN"),
    operators={
        **rules(Rule(formula="2M + Y[bias]", count=conv_flops), "conv", "conv_transpose"),
        **rules(Rule(formula="2M", count=lambda part: 2 * macs(part)), "linear", "attention", "*"),
        "matmul": Rule(formula="2X * last extent of Y", count=lambda part: 2 * product(part)),
        "batch_norm": BATCH_NORM,
        **rules(NORM, "layer_norm", "group_norm", "instance_norm"),
        **ELEMENTWISE,
        "upsample": Rule(formula="Y", count=y),
    },
    ignores=IGNORES,
    errors=(
        "an Upsample by a factor counts its result; one to a size counts the size alone, which is not followed",
        "a product whose first operand is broadcast is counted too low",
    ),
    source=_SOURCE,
    examples=examples(conv_groups=21312, conv_dilated=73728, conv_transpose=78352, linear=512, linear_tokens=2560, lstm=27200),
)

CONVENTIONS = (MACS, FLOPS)
