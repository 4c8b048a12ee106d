"""PyTorch's own counter, FlopCounterMode: every product that reaches the dispatcher, in the backward pass too."""

from __future__ import annotations

from irflops.conventions.rule import COUNTS_ZERO, Convention, Part, Rule, examples, macs, numel, recurrent_layers, rules
from irflops.ir.graph import Phase
from irflops.lifting.calls import LiftedCall


def recurrent_macs(part: Part) -> int:
    """The matrix products of an LSTM, GRU or RNN, of all layers and directions."""
    assert isinstance(part, LiftedCall)
    once = sum(numel(ih) + numel(hh) for ih, hh, *_ in recurrent_layers(part))
    return once * numel(part.x[:2] if part.x is not None else None)


TORCH = Convention(
    name="torch",
    tool="torch.utils.flop_counter",
    version="torch 2.13",
    figure="FlopCounterMode.get_total_flops()",
    unit="FLOPs, 2 per MAC",
    basis="flops",
    counts_by="operator",
    batch="whole",
    phases=frozenset({Phase.FORWARD, Phase.RECOMPUTE, Phase.BACKWARD}),
    modules={
        "LSTM": COUNTS_ZERO,
        **rules(
            Rule(formula="2 * (numel(weight_ih) + numel(weight_hh)) * x0 * x1", count=lambda part: 2 * recurrent_macs(part)), "GRU", "RNN"
        ),
    },
    operators={"*": Rule(formula="2M", count=lambda part: 2 * macs(part))},
    ignores="everything but convolutions, matrix products and attention: norms, activations, pools, sums, biases",
    errors=("an LSTM runs as one fused operator, which counts nothing",),
    source="torch/utils/flop_counter.py, flop_registry",
    examples=examples(
        conv_groups=20736,
        conv_dilated=73728,
        conv1d=2304,
        conv3d=746496,
        conv_transpose=73728,
        linear=512,
        linear_x2=1024,
        linear_square=1024,
        linear_tokens=2560,
        batch_norm=0,
        layer_norm=0,
        group_norm=0,
        instance_norm=0,
        relu=0,
        gelu=0,
        silu=0,
        softmax=0,
        max_pool=0,
        avg_pool=0,
        adaptive_avg_pool=0,
        mean=0,
        add=0,
        mul=0,
        attention=9600,
        upsample_bilinear=0,
        lstm=0,
        gru=19200,
        rnn=6400,
        residual=36864,
    ),
)

CONVENTIONS = (TORCH,)
