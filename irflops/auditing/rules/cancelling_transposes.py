"""`cancelling-transposes`: a transpose that undoes the one before it."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Confidence, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Near, Options, Outcome, Undecided
from irflops.auditing.rules._pairs import cancel, pairs
from irflops.ir.graph import Op


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    for first, second in pairs(facts, {"transpose"}):
        perm, next_perm = _perm(first), _perm(second)
        if perm is not None and next_perm is not None:
            if _composed(perm, next_perm) == list(range(len(perm))):
                yield cancel(first, second, facts, f"it undoes {first.name}")
            else:
                yield Near(message=f"{first.name} and {second.name} are one transpose together", op=second)
            continue
        before, after = facts.type(first.inputs[0]).shape, facts.type(second.outputs[0]).shape
        if before is None or after is None or None in before or None in after:
            yield Undecided(reason="neither attributes nor shapes of a pair of transposes are known", op=second)
        elif before == after:
            yield cancel(first, second, facts, f"it undoes {first.name}", Confidence.LIKELY)


def _perm(op: Op) -> list[int] | None:
    perm = op.attrs.get("perm")
    if not isinstance(perm, tuple) or not all(isinstance(axis, int) for axis in perm):
        return None
    return [int(axis) % len(perm) for axis in perm]  # type: ignore[arg-type]  # checked one line above


def _composed(first: list[int], second: list[int]) -> list[int]:
    return [first[axis] for axis in second] if len(first) == len(second) else []


def _graph(perm: str, out: str) -> str:
    return (
        "x = input() -> out: f32[2,3,5]\na = transpose(input: x, perm=[1,2,0]) -> output: f32[3,5,2]\n"
        f"b = transpose(input: a, perm={perm}) -> output: f32{out}\ny = relu(x: b) -> y: f32{out}\noutput(in: y)"
    )


RULE = AuditRule(
    name="cancelling-transposes",
    summary="Two transposes stand back to back, and the second undoes the first.",
    why="Each copies the whole tensor.",
    fix="Remove both; the second alone where something else reads the first.",
    severity=Severity.WARNING,
    check=_check,
    undecidable="Where the form has no attributes, a pair whose shape returns to where it was is likely.",
    good=(
        Good(name="two that are one", graph=_graph("[1,2,0]", "[5,2,3]")),
        Good(
            name="attributes unknown, another shape",
            graph=_graph("[1,2,0]", "[5,2,3]").replace(", perm=[1,2,0]", ""),
        ),
    ),
    bad=(
        Bad(
            name="there and back",
            graph=_graph("[2,0,1]", "[2,3,5]"),
            op="b",
            because="two copies of 30 elements, read and written",
            gain={"bytes_read": 240, "bytes_written": 240, "activation_elements": 60, "activation_bytes": 240},
            mended="x = input() -> out: f32[2,3,5]\ny = relu(x: x) -> y: f32[2,3,5]\noutput(in: y)",
        ),
        Bad(
            name="attributes unknown, the same shape",
            graph=_graph("[2,0,1]", "[2,3,5]").replace(", perm=[1,2,0]", "").replace(", perm=[2,0,1]", ""),
            op="b",
            certainty=Confidence.LIKELY,
            because="the shape is what it was; extents that are equal could hide another order",
            gain={"bytes_read": 240, "bytes_written": 240, "activation_elements": 60, "activation_bytes": 240},
            mended="x = input() -> out: f32[2,3,5]\ny = relu(x: x) -> y: f32[2,3,5]\noutput(in: y)",
        ),
        Bad(
            name="the first is read elsewhere too",
            graph=_graph("[2,0,1]", "[2,3,5]") + "\nz = relu(x: a) -> y: f32[3,5,2]\noutput(in: z)",
            op="b",
            because="one copy alone can go",
            gain={"bytes_read": 120, "bytes_written": 120, "activation_elements": 30, "activation_bytes": 120},
            mended="x = input() -> out: f32[2,3,5]\na = transpose(input: x, perm=[1,2,0]) -> output: f32[3,5,2]\n"
            "y = relu(x: x) -> y: f32[2,3,5]\noutput(in: y)\nz = relu(x: a) -> y: f32[3,5,2]\noutput(in: z)",
        ),
    ),
)
