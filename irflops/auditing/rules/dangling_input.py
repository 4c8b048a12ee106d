"""`dangling-input`: an operand's producer is not in the dump."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.ir.graph import Role


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    missing: dict[str, list[str]] = {}
    left_out, is_open = 0, False
    for op in facts.graph.ops:
        if not facts.is_hidden(op):
            continue
        if op.role is not Role.USER:  # a printed graph shows some of OneFlow's own only where they are read
            left_out += 1
            continue
        reader = next(facts.uses(op)).op
        if facts.graph.partial:
            is_open = True
            yield Undecided(reason="parts of the graph were not read, and may hold the producer", op=reader)
        else:
            missing.setdefault(reader.name, []).append(op.outputs[0].lbn)
    for name, lbns in missing.items():
        yield Hit(message=f"nothing in the dump makes {_listed(lbns)}", op=facts.graph.by_name[name])
    operands = sum(len(op.inputs) for op in facts.graph.ops)
    if operands and not missing and not is_open:
        message = f"operands looked at: {operands:,}; sources that OneFlow leaves out: {left_out:,}"
        yield Near(message=message, measured=Measure("operands", 0), limit=Measure("operands", 0))


def _listed(lbns: list[str]) -> str:
    return ", ".join(lbns[:3]) + (f" and {len(lbns) - 3} more" if len(lbns) > 3 else "")


RULE = AuditRule(
    name="dangling-input",
    summary="An op reads a tensor that nothing in the dump makes, and that is no source which OneFlow leaves out of its prints.",
    why="The dump is cut, or mixed from two graphs: costs are missing from every total without a trace.",
    fix="Dump the graph again, whole.",
    severity=Severity.WARNING,
    check=_check,
    undecidable="Of a graph that was read in part nothing can be said.",
    good=(Good(name="whole", graph="x = input() -> out: f32[2,8]\ny = relu(x: x) -> y: f32[2,8]\noutput(in: y)"),),
    bad=(
        Bad(
            name="producer missing",
            graph="x = input() -> out: f32[2,8]\ny = broadcast_add(x: x, y: f32[2,8]) -> z: f32[2,8]\noutput(in: y)",
            op="y",
            because="the second operand is a type alone: no line makes it",
        ),
    ),
)
