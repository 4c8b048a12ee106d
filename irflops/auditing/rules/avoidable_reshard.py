"""`avoidable-reshard`: a tensor is brought to lie otherwise for one operator, and what that makes is brought back."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Confidence, Measure, Severity
from irflops.auditing.kinds import ELEMENTWISE
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome
from irflops.auditing.rules._transfers import UNDECIDABLE, told
from irflops.devices.transfers import Transfer


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    transfers, doubts = told(facts)
    yield from doubts
    leaving: dict[int, list[Transfer]] = {}
    for one in transfers:
        leaving.setdefault(one.producer, []).append(one)
    hit: set[int] = set()
    for one in transfers:
        for at in one.consumers:
            op = facts.graph.ops[at]
            if at in hit or op.type not in ELEMENTWISE or not _keeps_its_shape(facts, at):
                continue
            back = [other for other in leaving.get(at, ()) if _is_back(one, other)]
            if back:
                hit.add(at)
                moved = one.move.bytes + back[0].move.bytes
                made, wanted = (", ".join(map(str, nd_sbp)) for nd_sbp in (one.move.made, one.move.wanted))
                message = f"{one.lbn} goes from ({made}) to ({wanted}) for {op.name}, and the result goes back: {moved:,} bytes a step"
                measured = Measure("communication_bytes", moved)
                yield Hit(message=message, op=op, certainty=Confidence.LIKELY, measured=measured, limit=Measure("communication_bytes", 0))
    if not hit:
        yield Near(message=f"{len(transfers):,} tensors move, none there and back again")


def _is_back(one: Transfer, other: Transfer) -> bool:
    """Whether the second transfer undoes the first."""
    there, back = one.move, other.move
    return (there.made, there.wanted) == (back.wanted, back.made) and not there.crosses and not back.crosses


def _keeps_its_shape(facts: Facts, at: int) -> bool:
    """Whether an operator makes one tensor of the shape of each of its operands."""
    op = facts.graph.ops[at]
    if len(op.outputs) != 1:
        return False
    shape = facts.shape(op.outputs[0])
    return shape is not None and all(facts.shape(operand) == shape for operand in op.inputs)


def _graph(way: str) -> str:
    return f"""
x = input() -> out: f32[4,8] @ 2 (S(0))
a = relu(x: x{{S(0)}}) -> y: f32[4,8] @ 2 (S(0))
b = negative(x: a{{{way}}}) -> y: f32[4,8] @ 2 ({way})
c = relu(x: b{{S(0)}}) -> y: f32[4,8] @ 2 (S(0))
output(in: c{{S(0)}}) @ 2
"""


RULE = AuditRule(
    name="avoidable-reshard",
    summary="A tensor is brought to lie otherwise for an element-wise operator, and the result is brought back.",
    why="Both ways are paid in every step, where an element-wise operator can work on the tensor as it lies.",
    fix="Say how the operator's result is to lie: `y.to_global(sbp=...)` before it, or let the one that needs the other sbp come first.",
    severity=Severity.NOTE,
    check=_check,
    needs=("operand_sbp", "result_sbp"),
    undecidable=UNDECIDABLE,
    good=(
        Good(name="as it lies", graph=_graph("S(0)")),
        Good(name="saved", graph="pruned" + _graph("S(0)"), untold=True),
        Good(name="one device", graph="x = input() -> out: f32[4,8]\ny = relu(x: x) -> y: f32[4,8]\noutput(in: y)"),
    ),
    bad=(
        Bad(
            name="there and back",
            graph=_graph("S(1)"),
            op="b",
            because="of 128 bytes each of two devices has half and wants another half, of which it has half: 64 there, 64 back",
            measured=Measure("communication_bytes", 128),
            limit=Measure("communication_bytes", 0),
            certainty=Confidence.LIKELY,
        ),
    ),
)
