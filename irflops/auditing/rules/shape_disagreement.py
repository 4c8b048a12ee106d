"""`shape-disagreement`: inference and file differ."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    inference = facts.analysis.inference
    reasons: dict[str, list[str]] = {}
    for found in inference.disagreements:
        reasons.setdefault(found.op, []).append(found.reason)
    for name, said in reasons.items():
        yield Hit(message="; ".join(said), op=facts.graph.by_name[name])
    if not reasons:
        yield Near(message=f"{inference.checked:,} results have the shape that their op gives")


RULE = AuditRule(
    name="shape-disagreement",
    summary="The shape that the file states is not the one that the op gives for its operands, or operands do not go together.",
    why="The dump was edited, damaged, or mixed from two graphs, and no figure of it can be trusted; or irflops has a bug.",
    fix="Dump the graph again. If the new dump says the same, report it.",
    severity=Severity.ERROR,
    check=_check,
    undecidable="Where a form lacks the attributes of an op, its shape is not checked.",
    good=(
        Good(
            name="as the op gives it",
            graph="x = input() -> out: f32[2,8]\ny = relu(x: x) -> y: f32[2,8]\noutput(in: y)",
        ),
    ),
    bad=(
        Bad(
            name="result of another shape",
            graph="x = input() -> out: f32[2,8]\ny = relu(x: x) -> y: f32[2,9]\noutput(in: y)",
            op="y",
            because="relu gives the shape of its operand",
        ),
        Bad(
            name="operands that do not go together",
            graph="""
            x = input() -> out: f32[2,8]
            w = variable() -> out: f32[7,4]
            y = matmul(a: x, b: w, transpose_a=false, transpose_b=false, alpha=1.0) -> out: f32[2,4]
            output(in: y)
            """,
            op="y",
            because="8 columns of a against 7 rows of b",
        ),
    ),
)
