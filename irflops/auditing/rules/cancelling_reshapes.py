"""`cancelling-reshapes`: a reshape that brings back the shape before the last one."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Severity
from irflops.auditing.kinds import VIEW_CHAIN
from irflops.auditing.rule import AuditRule, Bad, Good, Near, Options, Outcome, Undecided
from irflops.auditing.rules._pairs import cancel, pairs


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    looked_at = 0
    for first, second in pairs(facts, VIEW_CHAIN):
        before, after = facts.shape(first.inputs[0]), facts.shape(second.outputs[0])
        if before is None or after is None:
            yield Undecided(reason="the shapes of a pair of reshapes are not known", op=second)
        elif before == after:
            yield cancel(first, second, facts, f"it brings back the shape that {first.name} was given")
        looked_at += 1
    yield Near(message=f"{looked_at:,} reshapes stand behind another")


def _graph(shape: str) -> str:
    return (
        "x = input() -> out: f32[2,3,4]\na = flatten(in: x) -> out: f32[24]\n"
        f"b = reshape(in: a) -> out: f32{shape}\ny = relu(x: b) -> y: f32{shape}\noutput(in: y)"
    )


RULE = AuditRule(
    name="cancelling-reshapes",
    summary="Two reshapes, flattens, squeezes or expand_dims stand back to back, and the shape is again what it was.",
    why="They move nothing, but each is an op to schedule, and a tensor that is split on an axis may have to be gathered for it.",
    fix="Remove both; the second alone where something else reads the first.",
    severity=Severity.WARNING,
    check=_check,
    good=(Good(name="another shape", graph=_graph("[6,4]")),),
    bad=(Bad(name="there and back", graph=_graph("[2,3,4]"), op="b", because="views move nothing: there is no gain in bytes"),),
)
