"""What an op does beside giving results that follow from its operands: it draws at random, keeps a state, or writes to an operand."""

from __future__ import annotations

from irflops.auditing.facts import argument, result
from irflops.ir.graph import Op, Operand
from irflops.ops.book import RuleBook
from irflops.ops.facts import Effect

_NEVER_THE_SAME = frozenset({Effect.RANDOM, Effect.READS_NEXT, Effect.STATEFUL})


def drops(op: Op, book: RuleBook) -> bool | None:
    """Whether an op that drops at a rate has one above 0, None where the form does not tell."""
    rate = op.attrs.get(book.facts(op.type).drop_rate)
    if rate is None:
        return None
    return any(rate) if isinstance(rate, tuple) else bool(rate)


def is_learning(norm: Op) -> bool:
    """Whether a batch norm updates moving statistics, which is when it takes those of the batch and gives them out."""
    return argument(norm, "moving_mean") is not None and result(norm, "mean") is not None


def differs_by_run(op: Op, book: RuleBook) -> bool:
    """Whether an op may give another result of the same operands: two of its kind are never the same."""
    facts = book.facts(op.type)
    if facts.drop_rate:
        return drops(op, book) is not False
    return bool(facts.effects & _NEVER_THE_SAME or written(op, book))


def written(op: Op, book: RuleBook) -> tuple[Operand, ...]:
    """The operands that an op writes to."""
    facts = book.facts(op.type)
    args = facts.updated([operand.arg for operand in op.inputs], [made.arg for made in op.outputs]) if facts.updates else ()
    return tuple(operand for operand in op.inputs if operand.arg in args)
