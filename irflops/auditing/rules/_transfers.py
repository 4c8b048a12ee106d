"""What the rules on communication share: the transfers of a graph, or why a form does not tell them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from irflops.auditing.facts import Facts
from irflops.auditing.rule import Near, Outcome, Undecided
from irflops.devices.transfers import Transfer


def told(facts: Facts) -> tuple[tuple[Transfer, ...], Iterator[Outcome]]:
    """The transfers that move bytes, and what stands in place of an answer where there is none, or beside it where one is not known."""
    analysis = facts.analysis
    if not analysis.is_spread:
        return (), iter((Near(message="the graph runs on one device"),))
    found = analysis.communication
    if found.untold:
        reason = "the form does not tell how operators want their operands"
        return (), iter((Undecided(reason=reason, never="operand_sbp"),))
    lost = [one for one in found.not_counted if one.lessens and not facts.graph.ops[one.producer].hidden]
    doubts = (Undecided(reason=one.reason, op=facts.graph.ops[one.consumer]) for one in lost)
    return tuple(one for one in found.transfers if one.move.bytes), doubts


def all_told(facts: Facts) -> tuple[tuple[Transfer, ...], Sequence[Outcome]]:
    """For sums over transfers: all that move bytes, or none of them where one is not known, and what stands in place of an answer."""
    transfers, outcomes = told(facts)
    found = list(outcomes)
    lost = [one for one in found if isinstance(one, Undecided)]
    return (transfers, found) if not lost else ((), [Undecided(reason=lost[0].reason, never=lost[0].never)])


UNDECIDABLE = "A saved graph does not hold how consumers want their operands, a forward job neither that nor how tensors are made."
