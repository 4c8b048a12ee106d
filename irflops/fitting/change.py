"""What one could do to need less memory, and the plan of the graph as it would then be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.counting.cost import Cost
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph
from irflops.memory.memory import Asked, Memory, memory_of
from irflops.whatif import WhatIf
from irflops.whatif.checkpointing import checkpointed
from irflops.whatif.zero import with_zero

BUDGET = 60_000
"""Operators that are planned for ways down, and again for what fits: some thousand a second."""


@dataclass(frozen=True, slots=True)
class Change:
    """What would be otherwise; nothing by default."""

    modules: tuple[str, ...] = ()
    """Modules with activation checkpointing."""
    pattern: str = ""
    """One path for them: `m.blocks.*`."""
    compute_stream: bool = False
    """Whether collectives run on the stream of the other operators, and the optimizer inside the chain of backward."""
    zero: bool = False
    """Whether ZeRO splits parameters, gradients and states: its stage 1, and with `compute_stream` stage 2."""
    dtype: str | None = None
    """The float type in the place of the commonest one; states of optimizers keep theirs."""
    batch: int | None = None

    @property
    def words(self) -> str:
        """What to do, for people."""
        parts = []
        if self.modules:
            count = f" ({len(self.modules)} modules)" if len(self.modules) > 1 else ""
            parts.append(f"checkpoint {self.pattern or ', '.join(self.modules)}{count}")
        if self.zero:
            parts.append("ZeRO stage 2" if self.compute_stream else "ZeRO stage 1")
        elif self.compute_stream:
            parts.append("one compute stream")
        if self.dtype is not None:
            parts.append(self.dtype)
        if self.batch is not None:
            parts.append(f"batch {self.batch:,}")
        return ", ".join(parts) or "as captured"


@dataclass(frozen=True)
class Way:
    """What a change comes to."""

    change: Change
    memory: Memory
    flops_added: int
    """By what is computed again."""
    flops_certainty: Certainty
    saved: int
    """Bytes of the device that holds most: less than nothing where it would hold more."""

    @property
    def total(self) -> int:
        """Bytes that the device that holds most would hold."""
        return self.memory.total[0]

    @property
    def certainty(self) -> Certainty:
        """How sure the plan is: of a graph that was not captured an estimate."""
        return self.memory.total[1]

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON."""
        change = self.change
        return {
            "way": change.words,
            "modules": list(change.modules),
            "compute_stream": change.compute_stream,
            "zero": change.zero,
            "dtype": change.dtype,
            "batch": change.batch,
            "total": self.total,
            "saved": self.saved,
            "flops_added": self.flops_added,
            "certainty": self.certainty.value,
        }


class Planner:
    """Plans a graph with changes, each once, for as long as its budget of operators lasts."""

    def __init__(self, analysis: Analysis, asked: Asked, budget: int) -> None:
        self.analysis, self.asked = analysis.whole, asked
        self.budget = budget
        """Operators that may be planned yet, beside the graph as captured: what a plan takes grows with them."""
        self.is_spent = False
        """Whether something was left out for want of a budget."""
        self._known: dict[Change, Way | None] = {}
        self._what_if = WhatIf(self.analysis.graph, self.analysis.book)
        self._captured: Memory | None = None

    @property
    def captured(self) -> Memory:
        """The plan as captured."""
        if self._captured is None:
            self._captured = self._planned(self.analysis, self.asked)
        return self._captured

    def way(self, change: Change) -> Way | None:
        """What a change comes to; None where the graph does not take it, nothing changes by it, or the budget is spent."""
        if change not in self._known:
            cost = len(self.analysis.graph.ops) * max(len(self.analysis.devices.classes), 1)
            if change != Change() and cost > self.budget:
                self.is_spent = True
                return None
            self.budget -= cost if change != Change() else 0
            self._known[change] = self._worked_out(change)
        return self._known[change]

    def _worked_out(self, change: Change) -> Way | None:
        try:
            graph = self.analysis.graph
            if change.batch is not None or change.dtype is not None:
                graph = self._what_if.changed(batch=change.batch, dtype=change.dtype)
            again: tuple[int, ...] = ()
            if change.modules:
                graph, again = checkpointed(graph, change.modules)
                if not again:
                    return None
            if change.zero:
                split = with_zero(graph)
                if split is graph:
                    return None
                graph = split
            asked = replace(self.asked, compute_stream=True) if change.compute_stream else self.asked
            memory = self.captured if change == Change() else self._planned(self._analyzed(graph), asked)
        except IrflopsError:
            return None  # the graph is bound to its size, or has no float type: no way that one could go
        added = sum((self.analysis.op_cost(at) for at in again), Cost())
        saved = self.captured.total[0] - memory.total[0]
        return Way(change, memory, added.get("flops"), added.certainty("flops"), saved)

    def _analyzed(self, graph: Graph) -> Analysis:
        return self.analysis if graph is self.analysis.graph else analyze_graph(graph, self.analysis.book)

    @staticmethod
    def _planned(analysis: Analysis, asked: Asked) -> Memory:
        return memory_of(analysis.graph, analysis.inference.types, analysis.devices, analysis.book, asked)
