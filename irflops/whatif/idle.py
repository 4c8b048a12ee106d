"""Operators whose result is all of their first operand at the new sizes: a cut that cuts off nothing, a sum over nothing.

OneFlow leaves these out, so they are no operators of the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from irflops.ir.certainty import Certainty
from irflops.ir.graph import Op, Operand
from irflops.ops.book import RuleBook


def without_idle(captured: Iterable[Op], ops: tuple[Op, ...], book: RuleBook) -> tuple[tuple[Op, ...], tuple[str, ...]]:
    """The operators without those that became idle, what read their results reading their operands; and the names of the doubtful ones.

    `captured` are the same operators as they were.
    """
    idle: dict[str, str] = {}
    doubtful = []
    for was, now in zip(captured, ops, strict=True):
        sure = book.facts(now.type).left_out_whole
        if sure is not None and len(now.outputs) == 1 and now.inputs and _takes_all(now) and not _takes_all(was):
            idle[now.outputs[0].lbn] = now.inputs[0].lbn
            doubtful += [now.name] if sure is not Certainty.EXACT else []
    if not idle:
        return ops, ()
    left = (op for op in ops if not op.outputs or op.outputs[0].lbn not in idle)
    return tuple(_rewired(op, idle) for op in left), tuple(doubtful)


def _takes_all(op: Op) -> bool:
    shape = op.inputs[0].type.shape
    return shape is not None and None not in shape and shape == op.outputs[0].type.shape


def _rewired(op: Op, idle: Mapping[str, str]) -> Op:
    if all(operand.lbn not in idle for operand in op.inputs):
        return op

    def read(operand: Operand) -> Operand:
        lbn = operand.lbn
        while lbn in idle:
            lbn = idle[lbn]
        return operand if lbn == operand.lbn else replace(operand, lbn=lbn)

    return replace(op, inputs=tuple(map(read, op.inputs)))
