"""What names an op across versions of a model: its module, its type, and its ordinal among its like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from irflops.ir import Op, Phase

_NUMBER = re.compile(r"-(\d{1,18})$")


def ordinals(ops: Iterable[Op]) -> Mapping[str, int]:
    """1-based ordinals by op name, among the ops of the same module and type.

    They follow the numbers that OneFlow gave the ops, which are the same in every form; the order of a file is not.
    """
    alike: dict[tuple[str, str | None], list[Op]] = {}
    for op in ops:
        alike.setdefault((op.module, op.type), []).append(op)
    found: dict[str, int] = {}
    for group in alike.values():
        if len(group) > 1:
            group.sort(key=_order)
        for ordinal, op in enumerate(group, 1):
            found[op.name] = ordinal
    return found


def _order(op: Op) -> tuple[bool, int, str]:
    """Recomputed ops come after those that they repeat: checkpointing changes no ordinal of another op."""
    return op.phase is Phase.RECOMPUTE, made_as(op), op.name


def made_as(op: Op) -> int:
    """The number that OneFlow gave the op when it was made, -1 for ops without one."""
    number = _NUMBER.search(op.name)
    return int(number[1]) if number else -1
