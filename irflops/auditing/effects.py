"""What an op does beside giving results that follow from its operands: it draws at random, keeps a state, or writes to an operand."""

from __future__ import annotations

from irflops.auditing.facts import argument, result
from irflops.auditing.kinds import BATCH_NORMS, DROPOUT_RATES, RANDOM, STATEFUL, UNEQUAL_READS, UPDATED_IN_PLACE
from irflops.ir.graph import Op, Operand

_NEVER_THE_SAME = RANDOM | UNEQUAL_READS | STATEFUL | frozenset(UPDATED_IN_PLACE)


def drops(op: Op) -> bool | None:
    """Whether an op of `DROPOUT_RATES` has a rate above 0, None where the form does not tell."""
    rate = op.attrs.get(DROPOUT_RATES[op.type or ""])
    if rate is None:
        return None
    return any(rate) if isinstance(rate, tuple) else bool(rate)


def is_learning(norm: Op) -> bool:
    """Whether a batch norm updates moving statistics, which is when it takes those of the batch and gives them out."""
    return argument(norm, "moving_mean") is not None and result(norm, "mean") is not None


def differs_by_run(op: Op) -> bool:
    """Whether an op may give another result of the same operands: two of its kind are never the same."""
    if op.type in DROPOUT_RATES:
        return drops(op) is not False
    return op.type in _NEVER_THE_SAME or (op.type in BATCH_NORMS and is_learning(op))


def written(op: Op) -> tuple[Operand, ...]:
    """The operands that an op writes to."""
    args = UPDATED_IN_PLACE.get(op.type or "", ())
    if op.type in BATCH_NORMS and is_learning(op):
        args = ("moving_mean", "moving_variance")
    return tuple(operand for operand in op.inputs if operand.arg in args) if args else ()
