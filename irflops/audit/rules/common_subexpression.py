"""`common-subexpression`: the same op on the same operands twice."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.audit.facts import USERS_PHASES, Facts, argument, result
from irflops.audit.finding import Measure, Severity
from irflops.audit.kinds import BATCH_NORMS, RANDOM, SOURCES, UNEQUAL_READS
from irflops.audit.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.ir import Op
from irflops.ops import BY_TYPE
from irflops.signatures import signature

_NEVER_THE_SAME = RANDOM | SOURCES | UNEQUAL_READS | {"output"}


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    """Numbers every value: an op whose type, attributes and operands' numbers were seen before gives the value that was seen."""
    ops = facts.graph.ops
    number: dict[str, str] = {}
    seen: dict[object, Op] = {}
    open_: dict[object, Op] = {}
    repeats: dict[str, list[Op]] = {}
    firsts: dict[str, str] = {}
    root: dict[str, str] = {}
    alone: dict[object, int | None] = {}
    compared = 0

    def place(op: Op) -> object:
        operands = tuple((operand.arg, operand.index, number.get(operand.lbn, operand.lbn), operand.nd_sbp) for operand in op.inputs)
        return op.type, op.attrs, operands, op.placement, tuple((made.arg, made.type) for made in op.outputs)

    for index in facts.order:
        op = ops[index]
        if not _is_comparable(op, facts):
            continue
        compared += 1
        # Most ops share type and first operand with no other: only where one does, all is compared.
        rough = op.type, number.get(op.inputs[0].lbn, op.inputs[0].lbn)
        if rough not in alone:
            alone[rough] = index
            continue
        earlier = alone[rough]
        if earlier is not None:
            alone[rough] = None
            other = ops[earlier]
            (seen if facts.attrs_are_known(other) else open_)[place(other)] = other
        where = place(op)
        if not facts.attrs_are_known(op):
            if open_.setdefault(where, op) is not op:
                yield Undecided(reason="ops read the same operands, and the form does not hold their attributes", op=op)
            continue
        first = seen.setdefault(where, op)
        if first is op:
            continue
        firsts[op.name] = first.name
        for made, before in zip(op.outputs, first.outputs, strict=True):
            number[made.lbn] = number.get(before.lbn, before.lbn)
        behind = [root[name] for operand in op.inputs if (name := operand.lbn.partition("/")[0]) in root]
        root[op.name] = behind[0] if behind else op.name
        repeats.setdefault(root[op.name], []).append(op)
    for name, chain in repeats.items():
        op = facts.graph.by_name[name]
        more = f", and {len(chain) - 1} more behind it" if len(chain) > 1 else ""
        message = f"{firsts[name]} gave the same before{more}"
        yield Hit(message=message, op=op, measured=Measure("ops", len(chain)), limit=Measure("ops", 0), gain=facts.gain(chain))
    yield Near(message=f"{compared:,} ops were compared")


def _is_comparable(op: Op, facts: Facts) -> bool:
    """Whether two such ops with equal operands give equal results, and the user's code made them."""
    if op.type is None or op.type in _NEVER_THE_SAME or op.phase not in USERS_PHASES or op.elided or not op.outputs or not op.inputs:
        return False
    if op.type in BATCH_NORMS and argument(op, "moving_mean") is not None and result(op, "mean") is not None:
        return False  # the first updates what the second reads
    return (op.type in BY_TYPE or signature(op.type) is not None) and not facts.is_hidden(op)


_GRAPH = """
x = input() -> out: f32[2,8]
a = {first} -> {result}: f32[2,8]
b = {second} -> {result}: f32[2,8]
{tail}
y = broadcast_add(x: {left}, y: {right}) -> z: f32[2,8]
output(in: y)
"""
_SCALE = "scalar_mul(in: x, has_float_operand=true, float_operand={}, has_int_operand=false, int_operand=0)"


def _two(first: str, second: str, result_: str = "out") -> str:
    return _GRAPH.format(first=first, second=second, result=result_, tail="", left="a", right="b")


_ONCE = "x = input() -> out: f32[2,8]\na = {} -> {}: f32[2,8]\n{}y = broadcast_add(x: {}, y: {}) -> z: f32[2,8]\noutput(in: y)"

RULE = AuditRule(
    name="common-subexpression",
    summary="The same op reads the same operands twice. What follows both and is then the same too belongs to the finding.",
    why="The result is computed and stored twice.",
    fix="Compute it once, and use it in both places.",
    severity=Severity.WARNING,
    check=_check,
    undecidable="Two ops are the same only if all their attributes are known and equal, or their type has none: a printed graph leaves "
    "most open. Random ops and those of OneFlow's own passes are not compared.",
    good=(
        Good(name="other attributes", graph=_two(_SCALE.format("2.0"), _SCALE.format("3.0"))),
        Good(name="attributes that are not known", graph=_two("scalar_mul(in: x)", "scalar_mul(in: x)"), undecided=True),
        Good(
            name="random",
            graph="training\nx = input() -> out: f32[2,8]\na, m = dropout(in: x, rate=0.5) -> out: f32[2,8], mask: bool[2,8]\n"
            "b, n = dropout(in: x, rate=0.5) -> out: f32[2,8], mask: bool[2,8]\ny = add_n(in: [a, b]) -> out: f32[2,8]\noutput(in: y)",
        ),
    ),
    bad=(
        Bad(
            name="a type without attributes",
            graph=_two("relu(x: x)", "relu(x: x)", "y"),
            op="b",
            because="16 comparisons; 16 elements read and written",
            measured=Measure("ops", 1),
            limit=Measure("ops", 0),
            gain={"flops": 16, "bytes_read": 64, "bytes_written": 64, "activation_elements": 16, "activation_bytes": 64},
            mended=_ONCE.format("relu(x: x)", "y", "", "a", "a"),
        ),
        Bad(
            name="all attributes equal",
            graph=_two(_SCALE.format("2.0"), _SCALE.format("2.0")),
            op="b",
            because="16 products; 16 elements read and written",
            measured=Measure("ops", 1),
            limit=Measure("ops", 0),
            gain={"flops": 16, "bytes_read": 64, "bytes_written": 64, "activation_elements": 16, "activation_bytes": 64},
            mended=_ONCE.format(_SCALE.format("2.0"), "out", "", "a", "a"),
        ),
        Bad(
            name="with what follows",
            graph=_GRAPH.format(
                first="relu(x: x)",
                second="relu(x: x)",
                result="y",
                tail="c = negative(x: a) -> y: f32[2,8]\nd = negative(x: b) -> y: f32[2,8]",
                left="c",
                right="d",
            ),
            op="b",
            because="two ops of 16 operations on 16 elements",
            measured=Measure("ops", 2),
            limit=Measure("ops", 0),
            gain={"flops": 32, "bytes_read": 128, "bytes_written": 128, "activation_elements": 32, "activation_bytes": 128},
            mended=_ONCE.format("relu(x: x)", "y", "c = negative(x: a) -> y: f32[2,8]\n", "c", "c"),
        ),
    ),
)
