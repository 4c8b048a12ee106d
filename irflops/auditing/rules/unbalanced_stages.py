"""`unbalanced-stages`: a stage of a pipeline has much more work than the others."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, whole_number


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    stages = facts.analysis.devices.stages if facts.analysis.is_spread else ()
    if len(stages) < 2:
        yield Near(message="the graph is no pipeline")
        return
    if not facts.graph.holds.dead_ops:
        yield Undecided(reason="the form leaves out what nothing reads, which is computed as well", never="dead_ops")
        return
    if not facts.analysis.total.is_known("flops"):
        why, never = facts.why_unknown("flops")
        yield Undecided(reason=f"the work of the stages is not known in full: {why}", never=never)
        return
    work = [(stage.flops // len(stage.ranks), -min(stage.ranks)) for stage in stages]  # the same in every order of operators
    (busiest, first), mean = max(work), sum(flops for flops, _ in work) // len(work)
    measured, limit = Measure("flops", busiest), Measure("flops", mean + mean * options["percent"] // 100)
    message = f"the stage from rank {-first} on has {busiest:,} FLOPs for each device, where the mean of {len(stages)} stages is {mean:,}"
    if busiest > limit.value:
        yield Hit(message=message, subject="stages", measured=measured, limit=limit)
    else:
        yield Near(message=message, measured=measured, limit=limit, closeness=busiest / max(limit.value, 1))


def _graph(first: int, second: int, *, second_stage: str = "1+1") -> str:
    """Two stages of so many products each, on rank 0 and from rank 1 on."""
    lines = ["x = input() -> out: f32[4,8] @ 0+1"]
    last = "x"
    for letter, stage, count in (("a", "0+1", first), ("b", second_stage, second)):
        for at in range(count):
            name = f"{letter}{at}"
            lines.append(f"w{name} = variable() -> out: f32[8,8] @ {stage}")
            lines.append(f"{name} = matmul(a: {last}, b: w{name}) -> out: f32[4,8] @ {stage}")
            last = name
    return "\n".join([*lines, f"output(in: {last}) @ {second_stage}"])


RULE = AuditRule(
    name="unbalanced-stages",
    summary="A stage of a pipeline has over a quarter more FLOPs for each of its devices than the mean of the stages.",
    why="All stages wait for the one with most work: the others stand idle for the difference in every micro-batch.",
    fix="Move layers from that stage to the others.",
    severity=Severity.NOTE,
    check=_check,
    settings=(Setting(name="percent", meaning="Percent that a stage may have above the mean of all.", default=25, parse=whole_number),),
    needs=("dead_ops", "recompute", "optimizer", "passes"),
    undecidable="A saved graph leaves out operators that nothing reads; a forward job of a training step holds neither what is computed "
    "again nor the optimizer.",
    good=(
        Good(name="even", graph=_graph(2, 2)),
        Good(name="allowed", graph=_graph(3, 1), settings={"percent": 50}),
        Good(name="twice the work on twice the devices", graph=_graph(2, 4, second_stage="1+2")),
        Good(name="saved", graph="pruned\n" + _graph(3, 1), untold=True),
        Good(name="one device", graph="x = input() -> out: f32[4,8]\ny = relu(x: x) -> y: f32[4,8]\noutput(in: y)"),
    ),
    bad=(
        Bad(
            name="three to one",
            graph=_graph(3, 1),
            op=None,
            because="3 products of 2 x 4 x 8 x 8 FLOPs on one stage, one on the other; 2 and a quarter more are allowed",
            measured=Measure("flops", 1536),
            limit=Measure("flops", 1280),
        ),
    ),
)
