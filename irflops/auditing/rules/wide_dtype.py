"""`wide-dtype`: float64, or int64 data that is no index."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import USERS_PHASES, Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.ir.graph import DType, Op

_CARRIES = frozenset({"transpose", "slice", "narrow", "concat", "expand", "copy", "identity", "pad", "where"})
"""Types that hand elements on as they are, beside views."""


def _carries(op: Op, facts: Facts) -> bool:
    return op.type in _CARRIES or op.type in facts.book.views


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    looked_at = 0
    judged: dict[str, bool] = {}
    for op in facts.graph.ops:
        if op.phase not in USERS_PHASES and op.type != "input":
            continue
        for made in op.outputs:
            dtype = made.type.dtype or facts.type(made).dtype
            if dtype is None:
                if not facts.is_hidden(op):
                    yield Undecided(reason="the dtype of a result is not known", op=op)
                break
            looked_at += 1
            if dtype is DType.FLOAT64 and not any(facts.type(operand).dtype is DType.FLOAT64 for operand in op.inputs):
                yield Hit(message=f"{made.lbn} is float64", op=op, measured=_bits(64), limit=_bits(32))
                break
            if dtype is DType.INT64 and op.type == "input" and _is_data(op, facts, judged):
                if facts.graph.partial:
                    yield Undecided(reason="parts of the graph were not read, and may read the input as an index", op=op)
                    break
                yield Hit(
                    message=f"{made.lbn} is int64 and no index: all that reads it casts it to floats",
                    op=op,
                    measured=_bits(64),
                    limit=_bits(32),
                )
                break
    yield Near(message=f"{looked_at:,} results were looked at")


def _bits(value: int) -> Measure:
    return Measure("bits", value)


def _is_data(op: Op, facts: Facts, judged: dict[str, bool]) -> bool:
    """Whether an int64 input has several elements, and every use of them, through what hands elements on, is a cast to a floating type.

    `judged` keeps what was found of each op on the way: inputs may share all of it.
    """
    numel = facts.type(op.outputs[0]).numel
    if numel is None or numel <= 1:
        return False
    waiting = [op]
    while waiting:
        current = waiting[-1]
        uses = [] if current.name in judged else list(facts.uses(current))
        further = [use.op for use in uses if not _is_float_cast(use.op, facts)]
        unjudged = [other for other in further if other.name not in judged]
        if any(not _carries(other, facts) or not other.outputs for other in further):
            judged[current.name] = False
        elif unjudged:
            waiting += unjudged
            continue
        elif current.name not in judged:
            judged[current.name] = bool(uses) and all(judged[other.name] for other in further)
        waiting.pop()
    return judged[op.name]


def _is_float_cast(op: Op, facts: Facts) -> bool:
    dtype = facts.type(op.outputs[0]).dtype if op.type == "cast" and op.outputs else None
    return dtype is not None and dtype.is_float


RULE = AuditRule(
    name="wide-dtype",
    summary="A tensor becomes float64, or an int64 input is no index: all that reads it casts it to a floating type.",
    why="Twice the bytes of float32 or eight times those of uint8, and on most devices float64 runs at a small part of the speed.",
    fix="Make it float32 where it first appears (NumPy gives float64 by itself); hand pixels and masks over as uint8 or bool.",
    severity=Severity.WARNING,
    check=_check,
    good=(
        Good(
            name="an index",
            graph="i = input() -> out: i64[2,3]\nt = variable() -> out: f32[10,8]\n"
            "y = gather(in: t, indices: i) -> out: f32[2,3,8]\noutput(in: y)",
        ),
        Good(
            name="compared, then cast",
            graph="i = input() -> out: i64[2,3]\nj = input() -> out: i64[2,3]\ne = broadcast_equal(x: i, y: j) -> z: bool[2,3]\n"
            "y = cast(in: e) -> out: f32[2,3]\noutput(in: y)",
        ),
    ),
    bad=(
        Bad(
            name="float64",
            graph="x = input() -> out: f32[2,8]\na = cast(in: x) -> out: f64[2,8]\n"
            "b = relu(x: a) -> y: f64[2,8]\ny = cast(in: b) -> out: f32[2,8]\n"
            "output(in: y)",
            op="a",
            because="it is the first; relu only goes on with it",
            measured=Measure("bits", 64),
            limit=Measure("bits", 32),
        ),
        Bad(
            name="pixels in int64",
            graph="x = input() -> out: i64[2,8]\na = reshape(in: x) -> out: i64[16]\ny = cast(in: a) -> out: f32[16]\noutput(in: y)",
            op="x",
            because="a view, and then a cast to float32",
            measured=Measure("bits", 64),
            limit=Measure("bits", 32),
        ),
    ),
)
