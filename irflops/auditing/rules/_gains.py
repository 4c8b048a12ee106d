"""Gains that several rules state: without a backward pass, for that changes along with what it differentiates."""

from __future__ import annotations

from collections.abc import Iterable

from irflops.auditing.facts import Facts
from irflops.counting.cost import Cost
from irflops.ir.graph import Op, Operand


def step_gain(facts: Facts, removed: Iterable[Op], added: Iterable[Cost] = ()) -> dict[str, int] | None:
    """What the totals lose without some user's ops and with other costs instead; None in a graph with a backward pass.

    There gradients and updates go too, and others come, and no dump tells which. The form of a training step that shows the forward pass
    alone is a graph of its own, whose totals change as stated.
    """
    return None if facts.has_backward else facts.gain(removed, added)


def only_for(operand: Operand | None, facts: Facts) -> list[Op]:
    """The variable behind an operand and the ops that hand it on, as far as nothing else reads them: they go with the operand's reader.

    In a graph that was read in part there may always be another reader.
    """
    found: list[Op] = []
    while operand is not None and not facts.graph.partial:
        op = facts.producer(operand)
        if op is None or (op.type != "variable" and op.type not in facts.book.handed_on) or facts.only_use(op) is None:
            break
        found.append(op)
        operand = op.inputs[0] if len(op.inputs) == 1 else None
    return found
