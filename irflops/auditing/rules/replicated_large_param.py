"""`replicated-large-param`: a large parameter lies whole on several devices."""

from __future__ import annotations

import math
from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, whole_number
from irflops.auditing.sharding import copies, device_bytes


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    least = options["mib"] << 20
    limit = Measure("param_bytes", least)
    for variable in facts.parameters:
        placement = variable.placement
        made = variable.outputs[0]
        nbytes = facts.type(made).nbytes
        if placement is None or math.prod(placement.hierarchy) < 2:
            continue
        if nbytes is None or made.nd_sbp is None:
            if nbytes is None or nbytes >= least:
                never = "" if facts.graph.holds.result_sbp or nbytes is None else "result_sbp"
                yield Undecided(reason="the size or the sbp of a parameter is not known", op=variable, never=never)
            continue
        part = device_bytes(made, facts.type(made), placement)
        times = copies(made, placement)
        measured = Measure("param_bytes", part)
        message = f"{part:,} bytes of {variable.name} lie on {times} devices each"
        if part >= least and times > 1:
            yield Hit(message=message, op=variable, measured=measured, limit=limit)
        else:
            yield Near(message=message, op=variable, measured=measured, limit=limit, closeness=part / least if times > 1 else 0.0)


def _graph(rows: int, sbp: str) -> str:
    return (
        f"x = input() -> out: f32[4,1024] @ 2 (S(0))\nw = variable() -> out: f32[1024,{rows}] @ 2 ({sbp})\n"
        f"y = matmul(a: x, b: w) -> out: f32[4,{rows}] @ 2 (S(0))\noutput(in: y)"
    )


RULE = AuditRule(
    name="replicated-large-param",
    summary="A parameter of 64 MiB or more is broadcast: two or more devices hold all of it.",
    why="Memory goes with it on each device, and in training an all-reduce of its gradient on each step.",
    fix="Split it over the devices, `flow.sbp.split(0)`, or keep its states apart with ZeRO.",
    severity=Severity.NOTE,
    check=_check,
    settings=(Setting(name="mib", meaning="The least MiB on a device that are large.", default=64, parse=whole_number),),
    undecidable="A form that does not tell how a variable lies leaves it open.",
    good=(
        Good(name="split", graph=_graph(16384, "S(1)")),
        Good(name="small", graph=_graph(8192, "B")),
        Good(name="limit set higher", graph=_graph(16384, "B"), settings={"mib": 65}),
    ),
    bad=(
        Bad(
            name="broadcast",
            graph=_graph(16384, "B"),
            op="w",
            because="1024 x 16384 elements of 4 bytes",
            measured=Measure("param_bytes", 64 << 20),
            limit=Measure("param_bytes", 64 << 20),
        ),
    ),
)
