"""`unknown-op`: an op has no rule."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.teaching.advice import lines_for_op


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    for op_type, ops in facts.by_type.items():
        if op_type in facts.book.by_type:
            continue
        if op_type is not None:
            first = min(ops, key=facts.ordinal)
            message = f"no rule counts {op_type}: the cost of {len(ops)} op{'s' if len(ops) > 1 else ''} is unknown"
            advice = "\n".join(lines_for_op(first, facts.analysis.inference.types))
            yield Hit(message=message, op=first, measured=Measure("ops", len(ops)), limit=Measure("ops", 0), advice=advice)
            continue
        for op in ops:
            if not facts.is_hidden(op):  # what no line makes is for dangling-input
                yield Undecided(reason="the op's name does not tell its type", op=op)
    known = [len(ops) for op_type, ops in facts.by_type.items() if op_type in facts.book.by_type]
    if known and all(op_type is None or op_type in facts.book.by_type for op_type in facts.by_type):
        message = f"ops looked at: {sum(known):,}; their types: {len(known):,}, each with a rule"
        yield Near(message=message, measured=Measure("ops", 0), limit=Measure("ops", 0))


RULE = AuditRule(
    name="unknown-op",
    summary="An op type has no rule: what its ops cost is unknown, and every total is a lower bound. One finding per op type.",
    why="A budget that a lower bound keeps is not kept. An unknown type may also be a misspelled or a custom one.",
    fix="Say in irflops.toml how it is counted: the finding has the lines to paste. Or install a package that has a rule for it.",
    severity=Severity.ERROR,
    check=_check,
    undecidable="A printed graph tells the type by the op's name alone; a name that tells none is left open.",
    good=(
        Good(
            name="known types",
            graph="x = input() -> out: f32[2,8]\ny = relu(x: x) -> y: f32[2,8]\noutput(in: y)",
        ),
    ),
    bad=(
        Bad(
            name="a type of nobody",
            graph="""
            x = input() -> out: f32[2,8]
            y = an_op_of_nobody(in: x) -> out: f32[2,8]
            z = an_op_of_nobody(in: y) -> out: f32[2,8]
            output(in: z)
            """,
            op="y",
            because="two ops of one type are one finding, at the first",
            measured=Measure("ops", 2),
            limit=Measure("ops", 0),
        ),
    ),
)
