"""Costs of two graphs side by side, and edits that are equal folded into one: what a report shows of a diff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from irflops.analysis.analysis import Analysis
from irflops.analysis.rows import Row, cost_row, flat
from irflops.counting.cost import Cost
from irflops.counting.fold import Group
from irflops.differ.edit import Edit, difference
from irflops.differ.waterfall import pattern
from irflops.ir.graph import Module, Op


@dataclass(frozen=True, slots=True)
class Beside:
    """What one key costs in either graph; nothing where it is not there."""

    key: str
    was: str
    """The key in the old graph: a module may have been called otherwise."""
    old: Cost
    new: Cost
    count: tuple[int, int] = (0, 0)

    @property
    def change(self) -> Cost:
        """New less old."""
        return difference(self.new, self.old)


def is_changed(change: Cost) -> bool:
    """Whether any figure is not 0."""
    return any(change.figures) or any(change.params) or any(change.param_bytes)


def phases(old: Analysis, new: Analysis) -> list[Beside]:
    """Phases in the order of a step."""
    names = dict.fromkeys([*old.phases, *new.phases])
    return [Beside(name, name, old.phases.get(name, Cost()), new.phases.get(name, Cost())) for name in names]


def types(old: Analysis, new: Analysis) -> list[Beside]:
    """Op types, those with the greatest change of FLOPs first."""
    found = []
    for name in dict.fromkeys([*new.types, *old.types]):
        before, after = (analysis.types.get(name, Group(0, Cost())) for analysis in (old, new))
        found.append(Beside(name, name, before.cost, after.cost, (before.count, after.count)))
    return sorted(found, key=lambda row: -abs(row.change.get("flops")))


def modules(old: Analysis, new: Analysis, pairs: Mapping[str, str]) -> list[Beside]:
    """Modules in the order of the new graph, each beside what it was in the old by the pairs of paths; those that went last."""
    back = {other: path for path, other in pairs.items()}
    found = []
    for module in new.graph.modules:
        was = back.get(module.path)
        before = old.modules.get(was, Cost()) if was is not None else Cost()
        found.append(Beside(module.path, was if was is not None else "", before, new.modules.get(module.path, Cost())))
    gone = [module.path for module in old.graph.modules if module.path not in pairs]
    return found + [Beside("", path, old.modules.get(path, Cost()), Cost()) for path in gone]


def totals(old: Analysis, new: Analysis) -> dict[str, tuple[int, int]]:
    """Every cost there is, by its flat name (`params.trainable`), before and after."""
    before, after = (flat(cost_row(analysis.total)) for analysis in (old, new))
    return {name: (before[name], after[name]) for name in after}


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


def common_place(paths: Sequence[str]) -> str:
    """What paths have in common, `*` for a number or a level that differs and `**` for any number of levels.

    >>> common_place(["m.layer1.0.fc", "m.layer2.7.fc"]), common_place(["m.a", "m.b.c"]), common_place(["m"])
    ('m.layer*.*.fc', 'm.**', 'm')
    """
    levels = [path.split(".") for path in dict.fromkeys(paths)]
    if len({len(path) for path in levels}) == 1:
        return ".".join(map(_common_level, zip(*levels, strict=True)))
    common = []
    for level in zip(*levels, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return ".".join([*filter(None, common), "**"])


def _common_level(names: Sequence[str]) -> str:
    if len(set(names)) == 1:
        return names[0]
    opened = {pattern(name) for name in names}
    return opened.pop() if len(opened) == 1 else "*"
