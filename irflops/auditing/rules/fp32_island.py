"""`fp32-island`: float32 ops between half-precision ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from irflops.auditing.facts import USERS_PHASES, Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.kinds import NORMS, SOURCES
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.ir.graph import DType, Op

_HALF = frozenset({DType.FLOAT16, DType.BFLOAT16})
_SINGLE = frozenset({DType.FLOAT32})
_ENDS = SOURCES | {"output"}
_SENSITIVE = re.compile(
    r"(?:^|_)(?:softmax|norm|normalize|normalization|loss|entropy|nll|reduce|var|exp2?|expm1|log(?:2|10|1p|sigmoid|sumexp)?|pow"
    r"|r?sqrt|square|cumsum|cumprod|xlogy)(?:$|_)"
)
"""Words in op types that float32 is meant for: softmax, norms, losses and what they are made of."""

_OVERFLOW_CHECKS = ("dynamic_loss_scale_schedule", "count_not_finite", "multi_count_not_finite")
"""What OneFlow's passes add for a scaled loss, which half precision alone needs."""


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    if any(note.code == "mixed-precision" for note in facts.graph.notes):
        yield Undecided(reason="automatic mixed precision is on, and the dump shows none of its casts")
        return
    if any(facts.of(*_OVERFLOW_CHECKS)) and not any(facts.type(made).dtype in _HALF for op in facts.graph.ops for made in op.outputs):
        yield Undecided(reason="the loss is scaled, as under automatic mixed precision, and the dump shows none of its casts")
        return
    seen: set[str] = set()
    for entry in sorted(facts.users("cast"), key=lambda op: facts.place[facts.index[op.name]]):
        if entry.name in seen or not _goes(entry, facts, _HALF, _SINGLE):
            continue
        island = _island(entry, facts)
        seen.update(op.name for op in island.ops)
        if not island.is_closed:
            continue
        work = [op for op in island.ops if op.type != "cast" and op.type not in facts.book.views]
        plain = [op for op in work if not _is_sensitive(op)]
        wanted = len(plain) == len(work) or any(op.type in facts.book.contractions for op in plain)
        if not plain or not wanted:
            yield Near(message="the float32 ops behind it are meant to be", op=entry)
            continue
        first = min(plain, key=lambda op: facts.place[facts.index[op.name]])
        message = f"{len(plain)} float32 op{'s' if len(plain) > 1 else ''} between half-precision ones, from {entry.name}"
        yield Hit(message=message, op=first, measured=Measure("ops", len(plain)), limit=Measure("ops", 0))


@dataclass(frozen=True, slots=True)
class _Island:
    """All ops that float32 tensors connect, up to casts from and to half precision."""

    ops: tuple[Op, ...]
    is_closed: bool
    """Whether float32 values come from half precision, constants and variables alone, and go back to half precision alone."""


def _goes(cast: Op, facts: Facts, from_: frozenset[DType], to: frozenset[DType]) -> bool:
    return bool(cast.inputs and cast.outputs) and facts.type(cast.inputs[0]).dtype in from_ and facts.type(cast.outputs[0]).dtype in to


def _is_sensitive(op: Op) -> bool:
    return op.type in NORMS or _SENSITIVE.search(op.type or "") is not None


def _island(entry: Op, facts: Facts) -> _Island:
    """The island of a cast to float32. It is walked to its end, also where it is open: no other entry of it need be asked then."""
    found = {entry.name: entry}
    waiting = [entry]
    is_closed, comes_back = True, False
    while waiting:
        op = waiting.pop()
        connected = []
        if op.type != "cast" or not _goes(op, facts, _HALF, _SINGLE):
            for operand in op.inputs:
                producer = facts.producer(operand)
                if producer is None or producer.type == "variable" or facts.type(operand).dtype is not DType.FLOAT32:
                    continue
                is_closed &= producer.type not in SOURCES and producer.phase in USERS_PHASES
                connected.append(producer)
        comes_back |= op.type == "cast" and facts.type(op.outputs[0]).dtype in _HALF
        for made in op.outputs:
            dtype = facts.type(made).dtype
            is_closed &= dtype is not DType.FLOAT64
            if dtype is DType.FLOAT32:
                connected += [use.op for use in facts.uses_of(made)]
        for other in connected:
            is_closed &= other.type != "output"
            if other.name not in found and other.phase in USERS_PHASES and other.type not in _ENDS:
                found[other.name] = other
                waiting.append(other)
    return _Island(tuple(found.values()), is_closed and comes_back)


def _graph(middle: str) -> str:
    return f"""
x = input() -> out: f16[2,8]
h = negative(x: x) -> y: f16[2,8]
a = cast(in: h) -> out: f32[2,8]
{middle}
c = cast(in: b) -> out: f16[2,8]
y = negative(x: c) -> y: f16[2,8]
output(in: y)
"""


RULE = AuditRule(
    name="fp32-island",
    summary="Float32 ops stand between casts from and to half precision, and are no softmax, norm or loss.",
    why="They move twice the bytes, and miss the tensor cores, for a precision that the next cast throws away.",
    fix="Let them run in half precision: drop the cast, or the `.float()` that made it.",
    severity=Severity.WARNING,
    check=_check,
    refutable=True,
    undecidable=(
        "A graph under automatic mixed precision that was captured without a GPU shows no casts. A job tells that it is on; a printed "
        "graph does not, unless the loss is scaled."
    ),
    good=(
        Good(name="softmax", graph=_graph("b = softmax(in: a) -> out: f32[2,8]")),
        Good(
            name="a norm of its parts",
            graph=_graph(
                "s = reduce_mean(input_tensor: a) -> output_tensor: f32[2,1]\nb = broadcast_sub(x: a, y: s) -> z: f32[2,8]"
            ).replace("reduce_mean", "reduce_sum"),
        ),
        Good(name="float32 to the end", graph=_graph("b = relu(x: a) -> y: f32[2,8]") + "output(in: b)"),
        Good(name="casts that are not shown", graph="mixed_precision\n" + _graph("b = relu(x: a) -> y: f32[2,8]"), undecided=True),
        Good(
            name="compared alone",
            graph=_graph("m = broadcast_greater(x: a, y: a) -> z: bool[2,8]\nb = cast(in: m) -> out: f32[2,8]\noutput(in: b)"),
        ),
        Good(
            name="a scaled loss without casts",
            graph="x = input() -> out: f32[2,8]\nn = count_not_finite(x: x) -> y: i64[1]\noutput(in: n)",
            undecided=True,
        ),
    ),
    bad=(
        Bad(
            name="an activation",
            graph=_graph("b = relu(x: a) -> y: f32[2,8]"),
            op="b",
            because="one op on float32, and its result is cast back",
            measured=Measure("ops", 1),
            limit=Measure("ops", 0),
        ),
        Bad(
            name="an expansion, which is no exponential",
            graph=_graph("e = expand(in: a) -> out: f32[2,8]\nb = abs(x: e) -> y: f32[2,8]"),
            op="e",
            because="two ops on float32",
            measured=Measure("ops", 2),
            limit=Measure("ops", 0),
        ),
        Bad(
            name="beside a comparison",
            graph=_graph(
                "d = cast(in: h) -> out: f32[2,8]\nm = broadcast_greater(x: d, y: d) -> z: bool[2,8]\n"
                "b = where(condition: m, x: a, y: a) -> out: f32[2,8]"
            )
            + "output(in: m)",
            op="b",
            because="the comparison leaves by itself as bool, and connects nothing",
            measured=Measure("ops", 1),
            limit=Measure("ops", 0),
        ),
        Bad(
            name="with a constant made in it",
            graph=_graph("k = constant() -> out: f32[1,8]\nb = broadcast_add(x: a, y: k) -> z: f32[2,8]"),
            op="k",
            because="a constant and an addition on float32; no value comes in from outside but through the cast",
            measured=Measure("ops", 2),
            limit=Measure("ops", 0),
        ),
        Bad(
            name="a product beside a softmax",
            graph=_graph("w = variable() -> out: f32[8,8]\nm = matmul(a: a, b: w) -> out: f32[2,8]\nb = softmax(in: m) -> out: f32[2,8]"),
            op="m",
            because="the softmax may want float32, the product does not",
            measured=Measure("ops", 1),
            limit=Measure("ops", 0),
        ),
    ),
)
