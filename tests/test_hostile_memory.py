"""Graphs made to hurt a memory plan: however they hang together, a plan or one clear error, in bounded time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import pytest
from hostile import BYTES, SECONDS, check_error

import irflops
from irflops.errors import IrflopsError

PLACE = 'placement=(oneflow.placement(type="cuda", ranks=[0]))'
LINE = 200
"""Bytes of an operator's line, about."""


def tensor(name: str, size: str) -> str:
    return f"{name}:(sbp=(B), size=({size}), dtype=(oneflow.float32))"


def dump(lines: Sequence[str], *, training: bool = False) -> str:
    config = f"  (CONFIG:config:GraphConfig(training={training}, ))"
    return "\n".join(["(GRAPH:G_0:G): (", config, *lines, ")", ""])


def op(name: str, reads: Sequence[tuple[str, str]], size: str, result: str = "y_0") -> str:
    operands = ", ".join(tensor(one, of) for one, of in reads)
    return f"  (OPERATOR: {name}({operands}) -> ({tensor(f'{name}/{result}', size)}), {PLACE})"


SOURCE = f"  (OPERATOR: w() -> ({tensor('w/out', '8,8')}), {PLACE})"


def chain(size: int) -> str:
    """One behind the other, each written over the last."""
    reads = ["w/out", *(f"a-relu-{at}/y_0" for at in range(size // LINE))]
    return dump([SOURCE, *(op(f"a-relu-{at}", [(read, "8,8")], "8,8") for at, read in enumerate(reads))])


def fan(size: int) -> str:
    """All read one tensor."""
    return dump([SOURCE, op("a-relu-0", [("w/out", "8,8")], "8,8"), *_readers(size)])


def _readers(size: int) -> list[str]:
    return [op(f"a-relu-{at}", [("a-relu-0/y_0", "8,8")], "8,8") for at in range(1, size // LINE)]


def views(size: int) -> str:
    """Views of views, between them what writes over the memory of all of them."""
    lines, last = [SOURCE, op("a-exp-0", [("w/out", "8,8")], "8,8")], "a-exp-0/y_0"
    for at in range(1, size // LINE):
        kind, result = ("reshape", "out_0") if at % 3 else ("relu", "y_0")
        lines.append(op(f"a-{kind}-{at}", [(last if at % 7 else "a-exp-0/y_0", "8,8")], "8,8", result))
        last = f"a-{kind}-{at}/{result}"
    return dump(lines)


def brush(size: int) -> str:
    """Many relus of one tensor, each with a view, each of which wants its memory."""
    lines = [SOURCE, op("a-exp-0", [("w/out", "8,8")], "8,8")]
    for at in range(1, size // LINE // 2):
        lines.append(op(f"a-relu-{2 * at}", [("a-exp-0/y_0", "8,8")], "8,8"))
        lines.append(op(f"a-reshape-{2 * at + 1}", [(f"a-relu-{2 * at}/y_0", "8,8")], "8,8", "out_0"))
    return dump(lines)


def staircase(size: int) -> str:
    """Every tensor of another size, all alive until the end: nothing is alike, and nothing can share."""
    count = size // LINE // 2
    made = [op(f"a-relu-{at}", [("w/out", "8,8")], f"{at + 1},{512 + at}") for at in range(count)]
    return dump([SOURCE, *made, *(op(f"a-exp-{count + at}", [(f"a-relu-{at}/y_0", f"{at + 1},{512 + at}")], "8,8") for at in range(count))])


def ring(size: int) -> str:
    """A circle."""
    count = size // LINE
    return dump([SOURCE, *(op(f"a-relu-{at}", [(f"a-relu-{(at + 1) % count}/y_0", "8,8")], "8,8") for at in range(count))])


def giant(size: int) -> str:
    """Tensors of more bytes than any device has."""
    return dump([SOURCE, *(op(f"a-relu-{at}", [("w/out", "8,8")], "9000000000,9000000000") for at in range(size // LINE))])


def empty(size: int) -> str:
    """Tensors of nothing, and of a shape without axes."""
    return dump([SOURCE, *(op(f"a-relu-{at}", [("w/out", "8,8")], "0,8" if at % 2 else "") for at in range(size // LINE))])


def again(size: int) -> str:
    """Recomputation of what is not there, and of itself."""
    prefix = "Sys-Checkpointing-Fake-Fw-Op_"
    lines = [SOURCE]
    for at in range(size // LINE // 2):
        lines.append(op(f"{prefix}a-relu-{at}", [("w/out", "8,8")], "8,8"))
        lines.append(op(f"{prefix}{prefix}a-relu-{at}", [(f"{prefix}a-relu-{at}/y_0", "8,8")], "8,8"))
    return dump(lines, training=True)


ATTACKS: tuple[Callable[[int], str], ...] = (chain, fan, views, brush, staircase, ring, giant, empty, again)


def seconds(data: str) -> float:
    """Of reading, analysis and both plans; what cannot be planned is one error that is fit to be shown."""
    began = time.process_time()
    try:
        analysis = irflops.analyze(irflops.loads(data))
        for kind in ("cuda", "cpu"):
            memory = irflops.plan_memory(analysis, on=kind)
            memory.to_dict(timeline=True)
            for one in memory.classes:
                assert one.plan.bound <= one.plan.arena
    except IrflopsError as error:
        check_error(error)
    return time.process_time() - began


@pytest.mark.parametrize("content", ATTACKS, ids=lambda content: content.__name__)
def test_plans_take_bounded_time(content: Callable[[int], str]) -> None:
    assert seconds(content(min(BYTES, 5_000_000))) <= SECONDS / 2


if __name__ == "__main__":
    for content in ATTACKS:
        print(content.__name__, round(seconds(content(int(sys.argv[1]))), 1))  # noqa: T201 - run by hand to see them grow
