"""Pairs of ops that undo each other: what the three rules on them share."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from irflops.auditing.facts import USERS_PHASES, Facts
from irflops.auditing.finding import Confidence
from irflops.auditing.rule import Hit
from irflops.auditing.rules._gains import step_gain
from irflops.ir.graph import Op


def pairs(facts: Facts, op_types: Collection[str]) -> Iterator[tuple[Op, Op]]:
    """First and second op of each pair of these types that stands back to back, in the user's part of the graph."""
    for op in facts.users(*sorted(op_types)):
        first = facts.producer(op.inputs[0]) if op.inputs else None
        if first is None or first.type not in op_types or first.phase not in USERS_PHASES or len(op.outputs) != 1 or not first.inputs:
            continue
        yield first, op


def cancel(first: Op, second: Op, facts: Facts, message: str, certainty: Confidence = Confidence.PROVEN) -> Hit:
    """The finding that two ops undo each other; the first goes too where nothing else reads it, as what was not read of a graph may."""
    both = not facts.graph.partial and facts.only_use(first) is not None
    return Hit(message=message, op=second, certainty=certainty, gain=step_gain(facts, [first, second] if both else [second]))
