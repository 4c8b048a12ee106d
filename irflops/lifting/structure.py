"""A graph as the calls that the user wrote: what conventions count, and what `--by step` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from irflops.counting.cost import Cost, OpCost
from irflops.counting.fold import grouped, unsure_bits
from irflops.ir.graph import Graph, Phase, TensorType
from irflops.lifting.calls import LiftedCall, module_calls
from irflops.lifting.steps import Step, lift, plain_steps
from irflops.ops.book import RuleBook


@dataclass(frozen=True, slots=True)
class StepGroup:
    """Steps of one kind: how many, of how many operators, and what they cost together."""

    count: int
    operators: int
    cost: Cost


@dataclass(frozen=True)
class Structure:
    """A graph as the calls that the user wrote: its steps, and the calls of its modules. Made once for all who read it."""

    graph: Graph
    types: Mapping[str, TensorType]
    costs: Sequence[OpCost]
    batch: int
    """Extent of axis 0 of the first input, 1 where there is no such thing."""
    book: RuleBook

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The lifted steps, in the order of the file."""
        return lift(self.graph, self.types, self.costs, self.book)

    @cached_property
    def groups(self) -> Mapping[str, StepGroup]:
        """Costs by kind of step, the one with most FLOPs first: several operators that are one call of the user's count together."""
        kinds = {index: step.kind for step in self.steps for index in step.ops}
        groups = grouped(kinds.values(), [self.graph.ops[i] for i in kinds], [self.costs[i] for i in kinds], unsure_bits(self.graph))
        counts = Counter(step.kind for step in self.steps)
        order = sorted(groups, key=lambda kind: (-groups[kind].cost.get("flops"), -groups[kind].count, kind))
        return {kind: StepGroup(counts[kind], groups[kind].count, groups[kind].cost) for kind in order}

    @cached_property
    def plain(self) -> tuple[Step, ...]:
        """Each operator by itself, in the order of the job."""
        return plain_steps(self.graph, self.types, self.costs, self.book)

    @cached_property
    def _calls(self) -> tuple[tuple[LiftedCall, ...], str]:
        return module_calls(self.graph, self.steps, self.book)

    @property
    def calls(self) -> tuple[LiftedCall, ...]:
        """The calls of all modules."""
        return self._calls[0]

    @property
    def source(self) -> str:
        """Where the classes of modules are known from: `module_tree` or `inferred`."""
        return self._calls[1]

    @cached_property
    def positions(self) -> Mapping[str, tuple[int, ...]]:
        """By module path, the forward operators in it and below."""
        found: dict[str, list[int]] = {}
        for step in self.steps:
            if step.phase is Phase.FORWARD:
                path = step.module
                while path:
                    found.setdefault(path, []).extend(step.ops)
                    path = path.rpartition(".")[0]
        return {path: tuple(ops) for path, ops in found.items()}
