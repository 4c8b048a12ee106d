"""What names an op across versions of a model: its module, its type, and its ordinal among its like."""

from __future__ import annotations

from collections.abc import Iterable

from irflops.ir.graph import Op, Phase


class Ordinals:
    """1-based ordinals of ops among those of the same module and type.

    They follow the numbers that OneFlow gave the ops, which are the same in every form; the order of a file is not.
    """

    def __init__(self, ops: Iterable[Op]) -> None:
        self._alike: dict[tuple[str, str | None], list[Op]] = {}
        for op in ops:
            self._alike.setdefault((op.module, op.type), []).append(op)
        self._found: dict[str, int] = {}

    def of(self, op: Op) -> int:
        """The ordinal of one of the ops. Its like are put in order when the first of them is asked for: few ever are."""
        if op.name not in self._found:
            group = sorted(self._alike[op.module, op.type], key=_order)
            self._found.update((other.name, ordinal) for ordinal, other in enumerate(group, 1))
        return self._found[op.name]


def _order(op: Op) -> tuple[bool, int, str]:
    """Recomputed ops come after those that they repeat: checkpointing changes no ordinal of another op."""
    return op.phase is Phase.RECOMPUTE, made_as(op), op.name


def made_as(op: Op) -> int:
    """The number that OneFlow gave the op when it was made, -1 for ops without one."""
    return op.number if op.number is not None else -1
