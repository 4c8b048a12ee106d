"""The bytes that operators without a rule move if they do as most do: read each operand once and write each result once.

An assumption and no count: it enters no total, and nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from irflops.counting.cost import OpCost
from irflops.counting.infer import operand_type
from irflops.ir.graph import Op, TensorType


@dataclass(frozen=True, slots=True)
class Assumed:
    """Bytes of a step, None where the size of a tensor is not known."""

    operators: int = 0
    bytes_read: int | None = 0
    bytes_written: int | None = 0


def assumed_bytes(ops: Sequence[Op], costs: Sequence[OpCost], types: Mapping[str, TensorType]) -> Assumed:
    """What the operators without a rule are assumed to move, and how many they are."""
    unruled = [op for op, cost in zip(ops, costs, strict=True) if cost.reason == "no_rule"]
    read = _sum((operand_type(operand, types).nbytes, op.runs) for op in unruled for operand in op.inputs)
    written = _sum((types.get(result.lbn, result.type).nbytes, op.runs) for op in unruled for result in op.outputs)
    elided = any(op.elided for op in unruled)
    return Assumed(len(unruled), None if elided else read, None if elided else written)


def _sum(parts: Iterable[tuple[int | None, int]]) -> int | None:
    found = 0
    for nbytes, runs in parts:
        if nbytes is None:
            return None
        found += nbytes * runs
    return found
