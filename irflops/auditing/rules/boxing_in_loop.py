"""`boxing-in-loop`: each of several sibling modules moves a tensor between devices at the same place."""

from __future__ import annotations

import re
from collections.abc import Iterator

from irflops.auditing.facts import Facts, Use
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.ir.graph import Operand, Phase, Role
from irflops.ir.sbp import NdSbp

_LEVEL = re.compile(r"(?<![^.])\d+(?![^.])")
"""A level of a module path that is a number: one of a list of siblings."""

_PHASES = frozenset({Phase.FORWARD, Phase.BACKWARD, None})
_Place = tuple[str, str | None, str, int, str]


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    places: dict[_Place, dict[str, Use]] = {}
    known: dict[str, NdSbp | None] = {}
    moved = 0
    for op in facts.graph.ops:
        if op.placement is None or len(op.placement.ranks) < 2 or op.phase not in _PHASES or op.role is Role.BOXING:
            continue
        for operand in op.inputs:
            made = _made(operand, facts, known)
            if _is_open(operand, made, facts):
                holds = facts.graph.holds
                never = "" if holds.operand_sbp and holds.result_sbp else "operand_sbp" if not holds.operand_sbp else "result_sbp"
                yield Undecided(reason="the form does not tell how tensors are wanted or made", op=op, never=never)
                break
            change = _change(operand, made)
            if change is None:
                continue
            moved += 1
            pattern = _LEVEL.sub("*", op.module)
            if pattern == op.module:
                continue
            ordinal = facts.ordinal(op)
            place = pattern, op.type, f"{operand.arg}_{operand.index}", ordinal, change
            places.setdefault(place, {}).setdefault(op.module, Use(op, operand))
    by_op: dict[str, list[tuple[_Place, int]]] = {}
    for place, siblings in places.items():
        if len(siblings) > 1:
            first = min(siblings, key=_in_order)  # a form may list modules in another order
            by_op.setdefault(siblings[first].op.name, []).append((place, len(siblings)))
    for name, found in by_op.items():
        found.sort(key=lambda item: item[0][2:])
        said = "; ".join(f"{place[2]} goes {place[4]} in {count} modules like {place[0]}" for place, count in found)
        count = max(count for _, count in found)
        yield Hit(message=said, op=facts.graph.by_name[name], measured=Measure("modules", count), limit=Measure("modules", 1))
    yield Near(message=f"{moved:,} operands are wanted otherwise than they are made")


def _is_open(operand: Operand, made: NdSbp | None, facts: Facts) -> bool:
    """Whether the form leaves out how an operand is wanted or made; what no line makes has no such thing."""
    producer = facts.producer(operand)
    return producer is not None and not facts.is_hidden(producer) and (operand.nd_sbp is None or made is None)


def _in_order(path: str) -> list[tuple[int, str]]:
    return [(int(level), "") if level.isdecimal() else (-1, level) for level in path.split(".")]


def _change(operand: Operand, made: NdSbp | None) -> str | None:
    """From what is made to what is wanted, None where nothing has to move or it is not known."""
    if operand.nd_sbp is None or made is None or made == operand.nd_sbp or len(made) != len(operand.nd_sbp):
        return None
    return f"from ({', '.join(map(str, made))}) to ({', '.join(map(str, operand.nd_sbp))})"


def _made(operand: Operand, facts: Facts, known: dict[str, NdSbp | None]) -> NdSbp | None:
    """How the op behind an operand makes it; boxing identities, which only a printed graph shows, are looked through.

    `known` keeps what was found behind each lbn on the way.
    """
    passed, lbn = [], operand.lbn
    while lbn not in known:
        passed.append(lbn)
        producer = facts.graph.producers.get(lbn)
        if producer is None or producer.role is not Role.BOXING or len(producer.inputs) != 1:
            known[lbn] = facts.results[lbn].nd_sbp if producer is not None else None
        else:
            lbn = producer.inputs[0].lbn
    made = known[lbn]
    known.update(dict.fromkeys(passed, made))
    return made


def _graph(made: str) -> str:
    lines = ["x = input() -> out: f32[4,8] @ 2 (S(0))"]
    for i in range(2):
        before = f"y{i - 1}" if i else "x"
        lines.append(f"layers.{i} | a{i} = relu(x: {before}{{S(0)}}) -> y: f32[4,8] @ 2 ({made})")
        lines.append(f"layers.{i} | y{i} = negative(x: a{i}{{S(0)}}) -> y: f32[4,8] @ 2 (S(0))")
    return "\n".join([*lines, "output(in: y1)"])


RULE = AuditRule(
    name="boxing-in-loop",
    summary="At the same place of two or more sibling modules a tensor is wanted otherwise than it is made.",
    why="Every layer pays for the transfer; one sbp chosen otherwise saves all of them. A tensor-parallel layer has one that is meant.",
    fix="Choose the sbp of the layer's weights so that what one op makes is what the next one wants.",
    severity=Severity.NOTE,
    check=_check,
    needs=("operand_sbp", "result_sbp"),
    undecidable="A saved graph does not hold how consumers want their operands, a forward job neither that nor how tensors are made.",
    good=(Good(name="made as it is wanted", graph=_graph("S(0)")),),
    bad=(
        Bad(
            name="two layers",
            graph=_graph("B"),
            op="y0",
            because="negative wants S(0) of what relu makes as B, in layers.0 and layers.1",
            measured=Measure("modules", 2),
            limit=Measure("modules", 1),
        ),
    ),
)
