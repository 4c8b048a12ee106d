"""`large-broadcast-parameter`: a large parameter that devices send one another in every step."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, whole_number
from irflops.auditing.rules._transfers import UNDECIDABLE, all_told
from irflops.ir.graph import VariableKind


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    least = options["mib"] << 20
    limit = Measure("communication_bytes", least)
    transfers, doubts = all_told(facts)
    yield from doubts
    sent: dict[int, int] = {}
    for one in transfers:
        if facts.graph.ops[one.producer].kind in (VariableKind.TRAINABLE, VariableKind.FROZEN):
            sent[one.producer] = sent.get(one.producer, 0) + one.move.bytes
    for at, nbytes in sent.items():
        op = facts.graph.ops[at]
        measured = Measure("communication_bytes", nbytes)
        message = f"{nbytes:,} bytes of {op.name} are sent in every step, to lie as they are wanted"
        if nbytes >= least:
            yield Hit(message=message, op=op, measured=measured, limit=limit)
        else:
            yield Near(message=message, op=op, measured=measured, limit=limit, closeness=nbytes / least)


def _graph(rows: int, sbp: str) -> str:
    return (
        f"x = input() -> out: f32[4,1024] @ 2 (S(0))\nw = variable() -> out: f32[1024,{rows}] @ 2 ({sbp})\n"
        f"y = matmul(a: x{{S(0)}}, b: w{{B}}) -> out: f32[4,{rows}] @ 2 (S(0))\noutput(in: y{{S(0)}}) @ 2"
    )


RULE = AuditRule(
    name="large-broadcast-parameter",
    summary="64 MiB or more of a parameter are sent in every step, for it does not lie as it is wanted.",
    why="It is brought together on every device, each time anew, and held there beside the part.",
    fix="Split the work along the same axis as the parameter (tensor parallelism), or leave the parameter whole. ZeRO sends parameters on "
    "purpose: raise the limit, or ignore the rule.",
    severity=Severity.NOTE,
    check=_check,
    settings=(Setting(name="mib", meaning="The least MiB over all devices in a step that are large.", default=64, parse=whole_number),),
    needs=("operand_sbp", "result_sbp"),
    undecidable=UNDECIDABLE,
    good=(
        Good(name="whole", graph=_graph(16384, "B")),
        Good(name="small", graph=_graph(8192, "S(1)")),
        Good(name="limit set higher", graph=_graph(16384, "S(1)"), settings={"mib": 65}),
    ),
    bad=(
        Bad(
            name="split, and wanted whole",
            graph=_graph(16384, "S(1)"),
            op="w",
            because="1024 x 16384 elements of 4 bytes, of which each of two devices lacks half",
            measured=Measure("communication_bytes", 64 << 20),
            limit=Measure("communication_bytes", 64 << 20),
        ),
    ),
)
