"""Where the peak of memory was, and where it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irflops.analysis.analysis import Analysis
from irflops.analysis.rows import Row

if TYPE_CHECKING:
    from irflops.memory.memory import ClassMemory

_PARTS = (("variables", "variables"), ("unreused", "what is kept for the whole run"), ("arena", "what shares memory over time"))


def peak_row(analysis: Analysis) -> Row | None:
    """The operator at the peak of the device that holds most, as the JSON has it; None where nothing shares memory over time."""
    op = analysis.memory.largest.plan.peak_op
    if op is None:
        return None
    return {"op": op.name, "module": op.module, "phase": op.phase.value if op.phase is not None else None}


def peak_words(old: Analysis, new: Analysis) -> str:
    """Which part of the memory changed most, and where the peak moved."""
    before, after = old.memory.largest, new.memory.largest
    changes = {words: getattr(after.plan, name) - getattr(before.plan, name) for name, words in _PARTS}
    part, change = max(changes.items(), key=lambda item: abs(item[1]))
    said = [f"{change:+,} in {part}"] if change else []
    was, now = _place(before), _place(after)
    if was and now:
        said.append(f"the peak stays in {now}" if was == now else f"the peak moved from {was} to {now}")
    return ", ".join(said)


def _place(one: ClassMemory) -> str:
    """The module at the peak, with the phase; the operator where it is in none."""
    op = one.plan.peak_op
    if op is None:
        return ""
    phase = f" ({op.phase.value})" if op.phase is not None else ""
    return f"{op.module or op.name}{phase}"
