"""Costs of two graphs side by side, and edits that are equal folded into one: what a report shows of a diff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from irflops.analysis.analysis import Analysis
from irflops.analysis.named import COMMUNICATION, cost_of
from irflops.analysis.rows import Row, cost_row, flat
from irflops.counting.cost import Cost
from irflops.counting.fold import Group, bounded
from irflops.differ.edit import Edit, difference
from irflops.differ.shared import OpenSums
from irflops.ir.graph import Module, Op
from irflops.ir.tree import common_place


@dataclass(frozen=True, slots=True)
class Sides:
    """Two graphs to be set side by side."""

    old: Analysis
    new: Analysis
    modules: Mapping[str, str]
    """Paths of the modules of the old graph, and of the same module in the new one."""
    opened: tuple[OpenSums, OpenSums]
    """The sums of both by which a change is as sure as it can be."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What one key costs in either graph; nothing where it is not there."""

    key: str
    was: str
    """The key in the old graph: a module may have been called otherwise."""
    old: Cost
    new: Cost
    change: Cost
    """New less old, as sure as the change is: what is unknown in both and the same cancels."""
    is_changed: bool
    """Whether a figure changed, or something unknown may have."""
    count: tuple[int, int] = (0, 0)


def is_changed(change: Cost) -> bool:
    """Whether any figure is not 0, or not known to be."""
    return any(change.figures) or any(change.params) or any(change.param_bytes) or bool(change.missing | change.at_most)


def total_change(sides: Sides) -> Cost:
    """The change of the totals, as sure as it is."""
    old, new = sides.opened
    return difference(bounded(new.total, new.unsure), bounded(old.total, old.unsure))


def phases(sides: Sides) -> list[Beside]:
    """Phases in the order of a step."""
    one, other = (sums.fold.phases for sums in sides.opened)
    names = dict.fromkeys([*sides.old.phases, *sides.new.phases])
    return [
        _beside(sides, name, name, (sides.old.phases.get(name), sides.new.phases.get(name)), (one.get(name), other.get(name)))
        for name in names
    ]


def types(sides: Sides) -> list[Beside]:
    """Op types, those with the greatest change of FLOPs first."""
    found = []
    for name in dict.fromkeys([*sides.new.types, *sides.old.types]):
        groups = [analysis.types.get(name) for analysis in (sides.old, sides.new)]
        opened = [sums.fold.types.get(name) for sums in sides.opened]
        (old, new), sure = map(_costs, (groups, opened))
        counts = [group.count if group is not None else 0 for group in groups]
        found.append(_beside(sides, name, name, (old, new), sure, (counts[0], counts[1])))
    return sorted(found, key=lambda row: -abs(row.change.get("flops")))


def _costs(groups: Sequence[Group | None]) -> tuple[Cost | None, Cost | None]:
    old, new = (group.cost if group is not None else None for group in groups)
    return old, new


def modules(sides: Sides) -> list[Beside]:
    """Modules in the order of the new graph, each beside what it was in the old by the pairs of paths; those that went last."""
    old, new, pairs = sides.old, sides.new, sides.modules
    one, other = (sums.fold.modules for sums in sides.opened)
    back = {path: was for was, path in pairs.items()}
    found = []
    for module in new.graph.modules:
        path, was = module.path, back.get(module.path)
        before, before_open = (costs.get(was) if was is not None else None for costs in (old.modules, one))
        found.append(_beside(sides, path, was or "", (before, new.modules.get(path)), (before_open, other.get(path))))
    gone = [module.path for module in old.graph.modules if module.path not in pairs]
    return found + [_beside(sides, "", path, (old.modules.get(path), None), (one.get(path), None)) for path in gone]


def _beside(
    sides: Sides,
    key: str,
    was: str,
    costs: tuple[Cost | None, Cost | None],
    opened: tuple[Cost | None, Cost | None],
    count: tuple[int, int] = (0, 0),
) -> Beside:
    old, new = sides.opened
    before, after = (cost or Cost() for cost in opened)
    change = difference(bounded(after, new.unsure), bounded(before, old.unsure))
    # What a form hides may lie anywhere: that alone makes no row.
    return Beside(key, was, costs[0] or Cost(), costs[1] or Cost(), change, is_changed(difference(after, before)), count)


def totals(old: Analysis, new: Analysis, also: Sequence[str] = ()) -> dict[str, tuple[int, int]]:
    """Every cost there is, by its flat name (`params.trainable`), before and after; of communication where both forms tell.

    `also` are costs of ON_DEMAND.
    """
    before, after = (flat(cost_row(analysis.total)) for analysis in (old, new))
    found = {name: (before[name], after[name]) for name in after}
    for name in (COMMUNICATION, *also):
        before_, after_ = (cost_of(analysis, name)[0] for analysis in (old, new))
        if before_ is not None and after_ is not None:
            found[name] = before_, after_
    return found


# Folding


@dataclass(frozen=True, slots=True)
class Folded:
    """Equal changes at different places, and of several params of one module."""

    edits: tuple[Edit, ...]
    times: int
    place: str
    """Where: one path, or a pattern with `*` for what differs."""
    names: tuple[str, ...]
    """Of params what they are called, each once."""
    cost: Cost
    words: str = ""
    """What they tell together, where that is more than what each of them does."""


def folded(edits: Sequence[Edit], *, full: bool = False) -> list[Folded]:
    """Edits by group in order of first appearance, those of several params of the same modules together; with `full` each by itself."""
    groups: dict[object, list[Edit]] = {}
    for number, edit in enumerate(edits):
        groups.setdefault(number if full else edit.group, []).append(edit)
    together: dict[object, list[list[Edit]]] = {}
    for number, group in enumerate(groups.values()):
        first = group[0]
        end = first.new or first.old
        is_param = isinstance(end, Op) and end.type == "variable" and not full and "with" not in first.detail
        key = (first.kind, tuple(map(_path, group)), repr(_told(first))) if is_param else number
        together.setdefault(key, []).append(group)
    return [_folded(found) for found in together.values()]


def _folded(groups: Sequence[Sequence[Edit]]) -> Folded:
    edits = tuple(edit for group in groups for edit in group)
    ends = [group[0].new or group[0].old for group in groups]
    names = tuple(dict.fromkeys(end.name.rpartition(".")[2] for end in ends if isinstance(end, Op)))
    return Folded(edits, len(groups[0]), common_place([_path(edit) for edit in edits]), names, summed(edit.cost for edit in edits))


def _told(edit: Edit) -> Row:
    return {name: value for name, value in edit.detail.items() if name not in ("reads", "feeds")}


def summed(costs: Iterable[Cost]) -> Cost:
    """Changes together."""
    return reduce(add, costs, Cost())


def _path(edit: Edit) -> str:
    end = edit.new or edit.old
    assert end is not None
    return end.path if isinstance(end, Module) else end.module
