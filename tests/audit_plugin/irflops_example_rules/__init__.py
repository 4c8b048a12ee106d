"""An audit rule of one's own: a kernel that the team's accelerator is slow at."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts, argument
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Options, Outcome, Setting, Undecided, whole_number


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    most = options["size"]
    for op in facts.users("conv2d"):
        weight = argument(op, "weight")
        shape = facts.shape(weight) if weight is not None else None
        if shape is None:
            yield Undecided(reason="the shape of a weight is not known", op=op)
        elif max(shape[2:]) > most:
            measured, limit = Measure("kernel", max(shape[2:])), Measure("kernel", most)
            yield Hit(message=f"a kernel of {max(shape[2:])}", op=op, measured=measured, limit=limit)


def _graph(size: int) -> str:
    return (
        f"x = input() -> out: f32[1,8,9,9]\nw = variable() -> out: f32[8,8,{size},{size}]\n"
        f"y = conv2d(in: x, weight: w) -> out: f32[1,8,{10 - size},{10 - size}]\noutput(in: y)"
    )


LARGE_KERNEL = AuditRule(
    name="large-kernel",
    summary="A convolution has a kernel larger than the accelerator has a fast path for.",
    why="It falls back to a general path, ten times slower.",
    fix="Take two smaller kernels one after the other.",
    severity=Severity.WARNING,
    check=_check,
    settings=(Setting(name="size", meaning="The largest kernel that is fast.", default=5, parse=whole_number),),
    good=(Good(name="five", graph=_graph(5)), Good(name="limit set higher", graph=_graph(7), settings={"size": 7})),
    bad=(
        Bad(name="seven", graph=_graph(7), op="y", because="7 is more than 5", measured=Measure("kernel", 7), limit=Measure("kernel", 5)),
    ),
)

RULES = (LARGE_KERNEL,)
