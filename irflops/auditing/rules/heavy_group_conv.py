"""`heavy-group-conv`: a convolution in many groups, short of a depthwise one (ShuffleNet V2, G2)."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.channels import conv_channels
from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.kinds import CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, whole_number


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    least = options["groups"]
    for op in facts.users(*sorted(CONVOLUTIONS | TRANSPOSED_CONVOLUTIONS)):
        channels = conv_channels(op, facts)
        if channels is None:
            yield Undecided(reason="the shapes of a convolution do not tell its channels", op=op)
            continue
        if not 1 < channels.groups < channels.ins:
            continue
        measured, limit = Measure("groups", channels.groups), Measure("groups", least)
        message = f"{channels.ins:,} channels in {channels.groups:,} groups"
        if channels.groups >= least:
            yield Hit(message=message, op=op, measured=measured, limit=limit)
        else:
            yield Near(message=message, op=op, measured=measured, limit=limit, closeness=channels.groups / least)


def _graph(channels: int, groups: int) -> str:
    return (
        f"x = input() -> out: f32[1,{channels},4,4]\nw = variable() -> out: f32[{channels},{channels // groups},3,3]\n"
        f"y = conv2d(in: x, weight: w) -> out: f32[1,{channels},2,2]\noutput(in: y)"
    )


RULE = AuditRule(
    name="heavy-group-conv",
    summary="A convolution, transposed or not, has eight groups or more, and fewer than channels.",
    why="Groups cut the arithmetic and not the memory traffic: at equal FLOPs eight groups run several times slower (ShuffleNet V2, G2).",
    fix="Take fewer groups, or a depthwise convolution and a 1x1 one.",
    severity=Severity.NOTE,
    check=_check,
    settings=(Setting(name="groups", meaning="The least number of groups that is heavy.", default=8, parse=whole_number),),
    source="Ma et al., ShuffleNet V2, arXiv 1807.11164, guideline G2",
    good=(
        Good(name="four groups", graph=_graph(32, 4)),
        Good(name="depthwise", graph=_graph(32, 32)),
        Good(
            name="depthwise, transposed",
            graph="x = input() -> out: f32[1,32,4,4]\nw = variable() -> out: f32[32,1,3,3]\n"
            "y = deconv2d(in: x, weight: w) -> out: f32[1,32,6,6]\noutput(in: y)",
        ),
        Good(name="limit set higher", graph=_graph(32, 8), settings={"groups": 16}),
    ),
    bad=(
        Bad(
            name="eight groups",
            graph=_graph(32, 8),
            op="y",
            because="32 channels over 4 in each filter",
            measured=Measure("groups", 8),
            limit=Measure("groups", 8),
        ),
        Bad(
            name="eight groups, transposed",
            graph="x = input() -> out: f32[1,32,4,4]\nw = variable() -> out: f32[32,6,3,3]\n"
            "y = deconv2d(in: x, weight: w) -> out: f32[1,48,6,6]\noutput(in: y)",
            op="y",
            because="48 channels, 6 of each group",
            measured=Measure("groups", 8),
            limit=Measure("groups", 8),
        ),
    ),
)
