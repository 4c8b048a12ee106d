"""`unequal-channels`: a 1x1 convolution changes the number of channels much (ShuffleNet V2, G1)."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.channels import conv_channels
from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.kinds import CONVOLUTIONS
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, whole_number


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    ratio = options["ratio"]
    for op in facts.users(*sorted(CONVOLUTIONS)):
        channels = conv_channels(op, facts)
        if channels is None:
            yield Undecided(reason="the shapes of a convolution do not tell its channels", op=op)
            continue
        if set(channels.kernel) != {1} or channels.groups != 1 or not channels.ins or not channels.outs:
            continue
        fewer, more = sorted((channels.ins, channels.outs))
        measured, limit = Measure("channels", more), Measure("channels", ratio * fewer)
        message = f"{channels.ins:,} channels go in and {channels.outs:,} come out, beyond 1:{ratio}"
        if more > ratio * fewer:
            yield Hit(message=message, op=op, measured=measured, limit=limit)
        else:
            message = f"{channels.ins:,} channels go in and {channels.outs:,} come out"
            yield Near(message=message, op=op, measured=measured, limit=limit, closeness=more / (ratio * fewer))


def _graph(ins: int, outs: int) -> str:
    return (
        f"x = input() -> out: f32[1,{ins},4,4]\nw = variable() -> out: f32[{outs},{ins},1,1]\n"
        f"y = conv2d(in: x, weight: w) -> out: f32[1,{outs},4,4]\noutput(in: y)"
    )


RULE = AuditRule(
    name="unequal-channels",
    summary="A 1x1 convolution has more than four times as many channels on one side as on the other.",
    why="At equal FLOPs it moves the least memory where both sides are equal, and the cost grows with the ratio (ShuffleNet V2, G1).",
    fix="Bring the two numbers closer, where the design leaves room for it: bottlenecks and squeezes are meant.",
    severity=Severity.NOTE,
    check=_check,
    settings=(Setting(name="ratio", meaning="Channels of the wider side for each of the narrower one.", default=4, parse=whole_number),),
    source="Ma et al., ShuffleNet V2, arXiv 1807.11164, guideline G1",
    good=(
        Good(name="at the ratio", graph=_graph(16, 64)),
        Good(name="ratio set higher", graph=_graph(16, 80), settings={"ratio": 5}),
        Good(
            name="another kernel",
            graph="x = input() -> out: f32[1,3,8,8]\nw = variable() -> out: f32[64,3,3,3]\n"
            "y = conv2d(in: x, weight: w) -> out: f32[1,64,6,6]\n"
            "output(in: y)",
        ),
    ),
    bad=(
        Bad(
            name="expansion",
            graph=_graph(16, 80),
            op="y",
            because="80 is 5 times 16",
            measured=Measure("channels", 80),
            limit=Measure("channels", 64),
        ),
        Bad(
            name="squeeze",
            graph=_graph(96, 16),
            op="y",
            because="96 is 6 times 16",
            measured=Measure("channels", 96),
            limit=Measure("channels", 64),
        ),
    ),
)
