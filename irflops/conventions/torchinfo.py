"""torchinfo: every module without others below it, by its own parameters."""

from __future__ import annotations

from irflops.conventions.rule import Convention, Part, Rule, examples, numel
from irflops.lifting.calls import LiftedCall


def _parameters(part: Part) -> int:
    """Weight and bias times positions of a convolution, or samples of another module; recurrent weights times steps."""
    assert isinstance(part, LiftedCall)
    total = 0
    for name, shape in part.parameters.items():
        if name in ("weight", "bias"):
            is_conv = "Conv" in (part.printed or part.class_name or "")
            out = part.y
            axes = None if out is None else out[:1] + out[2:] if is_conv else out[:1]
            total += numel(shape) * numel(axes)
        elif "weight" in name or "bias" in name:
            total += numel(shape) * numel(part.y[:2] if part.y is not None else None)
    return total


TORCHINFO = Convention(
    name="torchinfo",
    tool="torchinfo",
    version="1.8.0",
    figure="summary(model, input_size).total_mult_adds",
    unit='"mult-adds": parameters times positions',
    basis="macs",
    counts_by="module class",
    batch="whole",
    modules={
        "*": Rule(
            formula="(W + b) * N, times the spatial elements of Y where the class has Conv in its name; recurrent weights * y0 * y1",
            count=_parameters,
        )
    },
    ignores="what has no parameters of its own: products of activations, functions, pools; parameters of modules with others below",
    errors=(
        "a Linear on tokens counts one token",
        "parameters count by name: others than weight, bias and the like are not seen",
        "a transposed convolution is counted by the positions of its result",
    ),
    source="torchinfo/layer_info.py, calculate_macs",
    examples=examples(
        conv_groups=10944,
        conv_dilated=36864,
        conv1d=1248,
        conv3d=376704,
        conv_transpose=171088,
        linear=272,
        linear_x2=544,
        linear_square=512,
        linear_tokens=272,
        batch_norm=16,
        batch_norm_plain=0,
        layer_norm=32,
        layer_norm_plain=0,
        group_norm=16,
        instance_norm=16,
        relu=0,
        prelu=8,
        gelu=0,
        silu=0,
        softmax=0,
        max_pool=0,
        avg_pool=0,
        adaptive_avg_pool=0,
        mean=0,
        add=0,
        mul=0,
        attention=0,
        lstm=14080,
        gru=10560,
        rnn=3520,
        residual=18944,
    ),
)

CONVENTIONS = (TORCHINFO,)
