"""Sums costs over the operators of a graph: in total, by phase, by op type, by module, by line of Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from irflops.counting.cost import ALL_FIGURES, ALL_MISSING, COST_NAMES, FIGURES, KINDS, SCALING_BITS, ZERO, Cost, OpCost, multiplied
from irflops.counting.hidden import at_best, is_forward_alone, passes_to_come
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Op, Phase
from irflops.ir.tree import Tree, nearest

UNPHASED = "unphased"
"""The key under which ops of no known phase are summed."""

UNTYPED = "?"
"""The key under which ops are summed whose type the dump does not tell."""

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Group:
    """Ops that share a type, a phase or a line of Python: how many, and what they cost together."""

    count: int
    cost: Cost


@dataclass(frozen=True, slots=True)
class Unknown:
    """Ops of one type whose cost cannot be known, and why."""

    type: str | None
    reason: str
    ops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnsureBits:
    """Bits of COST_NAMES that no sum over a graph is sure of, whatever its operators say."""

    unread: int = 0
    """Of what may be there beside the operators at hand."""
    too_many: int = 0
    """Of what may not be there in truth."""
    missing: int = 0
    at_most: int = 0
    """These two of figures that are not 0: other shapes do not make work of none."""

    def __bool__(self) -> bool:
        return bool(self.unread or self.too_many or self.missing or self.at_most)


SURE = UnsureBits()


def unsure_bits(graph: Graph) -> UnsureBits:
    """What was not read or the form hides may cost anything; a what-if that guessed may be wrong either way, except in its params."""
    best = at_best(graph.holds, training=graph.training and (graph.holds.backward or is_forward_alone(graph)))
    for name, certainty in passes_to_come(graph).items():
        best[name] |= certainty
    hidden = sum(1 << i for i, name in enumerate(COST_NAMES) if not best[name].is_at_most)
    too_many = sum(1 << i for i, name in enumerate(COST_NAMES) if not best[name].is_at_least)
    at_most = 0 if graph.doubt.is_at_least else ALL_FIGURES
    missing = 0 if graph.doubt.is_at_most else SCALING_BITS if graph.doubt is Certainty.LOWER_BOUND else ALL_FIGURES
    return UnsureBits(ALL_MISSING if graph.partial else hidden, too_many, missing, at_most)


@dataclass(frozen=True, slots=True)
class Fold:
    """The sums over some operators."""

    total: Cost
    phases: Mapping[str, Cost]
    types: Mapping[str, Group]
    """By op type, the one with most FLOPs first."""
    modules: Mapping[str, Cost]
    """Inclusive, by module path; `""` is the graph and equals the total."""
    unknown: tuple[Unknown, ...]


def fold(ops: Sequence[Op], costs: Sequence[OpCost], tree: Tree, unsure: UnsureBits) -> Fold:
    """Sums the costs of ops, given one run of each in their order; no sum is surer than `unsure` lets it be."""
    phases = grouped([op.phase.value if op.phase else UNPHASED for op in ops], ops, costs, unsure)
    types = grouped([op.type or UNTYPED for op in ops], ops, costs, unsure)
    own = grouped([op.module for op in ops], ops, costs, SURE)
    modules = {path: bounded(cost, unsure) for path, cost in _inclusive({path: group.cost for path, group in own.items()}, tree).items()}
    names = [phase.value for phase in Phase] + [UNPHASED] * (UNPHASED in phases)
    nothing = bounded(ZERO, unsure)
    return Fold(
        total=modules[""],
        phases={name: phases[name].cost if name in phases else nothing for name in names},
        types=dict(sorted(types.items(), key=lambda item: (-item[1].cost.get("flops"), -item[1].count, item[0]))),
        modules=modules,
        unknown=_unknown(ops, costs),
    )


def grouped(keys: Iterable[K], ops: Sequence[Op], costs: Sequence[OpCost], unsure: UnsureBits) -> dict[K, Group]:
    """Costs summed by key, keys in order of first appearance.

    Equal costs are summed by multiplication: a graph of 100,000 ops has some hundred distinct ones. They are told apart by identity, which
    is safe since a `CostTable` gives equal operators the very same cost, and `with_saved` does so too.
    """
    by_id = {id(found): found.cost for found in costs}
    parts: dict[K, list[tuple[Cost, int, int]]] = {}
    for (key, number, runs), count in Counter(zip(keys, map(id, costs), [op.runs for op in ops], strict=True)).items():
        parts.setdefault(key, []).append((by_id[number], runs, count))
    return {key: Group(sum([count for _, _, count in found]), bounded(_sum(found), unsure)) for key, found in parts.items()}


def _sum(parts: Iterable[tuple[Cost, int, int]]) -> Cost:
    """Sums costs, each with the runs in a step and the number of ops that have it."""
    figures, params, nbytes = [0] * len(FIGURES), [0] * len(KINDS), [0] * len(KINDS)
    missing = at_most = 0
    for cost, runs, count in parts:
        for i, figure in enumerate(multiplied(cost.figures, runs)):
            figures[i] += figure * count
        for i, elements in enumerate(cost.params if any(cost.params) else ()):
            params[i] += elements * count
            nbytes[i] += cost.param_bytes[i] * count
        missing |= cost.missing
        at_most |= cost.at_most
    return Cost(tuple(figures), tuple(params), tuple(nbytes), missing, at_most)


def _inclusive(own: Mapping[str, Cost], tree: Tree) -> dict[str, Cost]:
    """Costs by module, each with those of the modules below; ops of a path that is no module go to the nearest one above."""
    sums = dict.fromkeys((path for path, _ in tree.walk()), ZERO)
    for path, cost in own.items():
        sums[nearest(path, sums)] += cost
    for path in reversed(list(sums)):  # children before parents
        if path:
            sums[tree.parents[path]] += sums[path]
    return sums


def bounded(cost: Cost, unsure: UnsureBits) -> Cost:
    """The same sums, as sure as they can be."""
    if not unsure:
        return cost
    some = sum(1 << i for i, figure in enumerate(cost.figures) if figure)
    missing = cost.missing | unsure.unread | unsure.missing & some
    at_most = cost.at_most | unsure.too_many | unsure.at_most & some
    return Cost(cost.figures, cost.params, cost.param_bytes, missing, at_most)


def _unknown(ops: Sequence[Op], costs: Sequence[OpCost]) -> tuple[Unknown, ...]:
    found: dict[tuple[str | None, str], list[str]] = {}
    for op, cost in zip(ops, costs, strict=True):
        if cost.reason is not None:
            found.setdefault((op.type, cost.reason), []).append(op.name)
    return tuple(Unknown(op_type, reason, tuple(names)) for (op_type, reason), names in found.items())
