"""Equal parts of a model as one: blocks that follow one another and cost the same, and operators that differ in their layer alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from irflops.analysis.analysis import Analysis
from irflops.counting.cost import Cost
from irflops.ir.tree import Tree, tree_of

_LEVEL = re.compile(r"(?<![^.])\d+(?![^.])")
"""A level of a module's path that numbers equal layers."""


def layers_as_one(path: str) -> str:
    """A module's path with `*` for the number of a layer.

    >>> layers_as_one("model.blocks.11.attn.qkv")
    'model.blocks.*.attn.qkv'
    """
    return _LEVEL.sub("*", path)


@dataclass(frozen=True, slots=True)
class Place:
    """A module in a listing of the tree, or several equal ones that follow one another."""

    path: str
    """Of several the first."""
    depth: int
    """Levels below the graph, or below what was selected."""
    level: int
    """Levels below the first place of the listing."""
    label: str
    """What the path adds to that of the place above; of several all of them: `0 ... 23`."""
    cost: Cost
    """Of the module and all below it; of several together, unless it is the place of each of them."""
    times: int = 1
    """How many modules its figures are of."""
    of: int = 1
    """How many equal ones it stands for: its figures are of one of them where `times` is 1."""

    @property
    def name(self) -> str:
        """The path, and what it stands for where that is more than one module."""
        return self.path if self.of == 1 else f"{self.path.rpartition('.')[0]}.{self.label}".strip(".")


def places(analysis: Analysis, *, fold: bool) -> list[Place]:
    """The modules in the order of the tree, parents first, with their levels; with `fold`, equal ones that follow one another as one.

    Several equal modules are two places, the figures of all and of one, or one place where those of all are the figures of the module
    above. The graph is no place of its own where all that it holds is in one module.
    """
    tree = tree_of(analysis.modules)
    tops = ("",) if analysis.selection is None else analysis.selection.tops
    if not fold:
        labels = [(path, level, path if not level else tree.label(path)) for top in tops for path, level in tree.walk(top)]
        return [Place(path, level, level, label or "(graph)", analysis.modules[path]) for path, level, label in labels]
    alike = _alike(analysis, tree)
    found: list[Place] = []
    for top in tops:
        children = tree.children.get(top, ())
        depth = 0
        if top == "" and len(children) == 1 and analysis.modules[children[0]] == analysis.modules[top]:
            top, depth = children[0], 1  # noqa: PLW2901 - the graph and its only module are told as one
        first = Place(top, depth, 0, top or "(graph)", analysis.modules[top])
        found += [first, *_below(analysis.modules, tree, alike, first)]
    return found


def _below(costs: Mapping[str, Cost], tree: Tree, alike: Mapping[str, int], top: Place) -> Iterator[Place]:
    """What stands below a module, without recursion: trees may be deep."""
    waiting = _waiting(costs, tree, alike, top)
    while waiting:
        place = waiting.pop()
        yield place
        if place.times == 1:
            waiting += _waiting(costs, tree, alike, place)


def _waiting(costs: Mapping[str, Cost], tree: Tree, alike: Mapping[str, int], top: Place) -> list[Place]:
    """The places right below a module, the last first."""
    found: list[Place] = []
    depth, level = top.depth + 1, top.level + 1
    for run in _runs(tree, alike, tree.children.get(top.path, ())):
        first, labels = run[0], [tree.label(path) for path in run]
        if len(run) == 1:
            found.append(Place(first, depth, level, labels[0], costs[first]))
            continue
        label = f"{labels[0]} {'and' if len(run) == 2 else '...'} {labels[-1]}"
        together = reduce(add, [costs[path] for path in run])
        if together == costs[top.path]:
            found.append(Place(first, depth, level, f"{label}, each", costs[first], of=len(run)))
        else:
            found.append(Place(first, depth, level, label, together, times=len(run), of=len(run)))
            found.append(Place(first, depth, level + 1, f"each of {label}", costs[first], of=len(run)))
    return found[::-1]


def _runs(tree: Tree, alike: Mapping[str, int], paths: Sequence[str]) -> Iterator[list[str]]:
    """Neighbours that are alike and are numbered one after the other."""
    run: list[str] = []
    for path in paths:
        if run and not (alike[path] == alike[run[0]] and _follows(tree.label(run[-1]), tree.label(path))):
            yield run
            run = []
        run.append(path)
    if run:
        yield run


def _follows(one: str, other: str) -> bool:
    return one.isdecimal() and other.isdecimal() and int(other) == int(one) + 1


def _alike(analysis: Analysis, tree: Tree) -> dict[str, int]:
    """By module a number that those share which have the same class, cost the same, and hold the same."""
    classes = {module.path: module.class_name for module in analysis.graph.modules}
    numbers: dict[object, int] = {}
    found: dict[str, int] = {}
    for path, _ in reversed(list(tree.walk())):
        below = tuple((tree.label(child), found[child]) for child in tree.children.get(path, ()))
        key = classes.get(path), analysis.modules[path], below
        found[path] = numbers.setdefault(key, len(numbers))
    return found


@dataclass(frozen=True, slots=True)
class Alike:
    """Operators that are equal but for the layer that they are in, or one."""

    ops: tuple[int, ...]
    """Their numbers in the graph."""
    name: str
    """Of several with `*` for what differs."""
    module: str
    cost: Cost
    """Of all their runs together."""


def alike_ops(analysis: Analysis, *, fold: bool) -> list[Alike]:
    """Operators, with `fold` those together that do the same in equal layers at the same cost; the heaviest first."""
    ops, costs = analysis.graph.ops, analysis.costs
    groups: dict[object, list[int]] = {}
    for index, op in enumerate(ops):
        key: object = (layers_as_one(op.module), op.stem, op.type, op.phase, op.runs, costs[index]) if fold and op.module else index
        groups.setdefault(key, []).append(index)
    found = [_group(analysis, tuple(group)) for group in groups.values()]
    return sorted(found, key=lambda one: (-one.cost.get("flops"), one.ops[0]))


def _group(analysis: Analysis, group: tuple[int, ...]) -> Alike:
    ops = [analysis.graph.ops[i] for i in group]
    cost = reduce(add, map(analysis.op_cost, group))
    return Alike(group, _pattern([op.name for op in ops]), _pattern([op.module for op in ops]), cost)


def _pattern(names: Sequence[str]) -> str:
    """Names with `*` for a number that differs; the first of them where more differs than that."""
    if len(names) == 1:
        return names[0]
    parts = [re.split(r"(\d+)", name) for name in dict.fromkeys(names)]
    if len({len(split) for split in parts}) != 1:
        return layers_as_one(names[0])
    return "".join(texts[0] if len(set(texts)) == 1 else "*" for texts in zip(*parts, strict=True))


@dataclass(frozen=True, slots=True)
class ClassGroup:
    """The modules of one class, with all below them."""

    paths: tuple[str, ...]
    cost: Cost
    """Of all of them; those that stand below another of the class are in that one's."""


def by_class(analysis: Analysis) -> dict[str, ClassGroup]:
    """Costs by class of module, the one with most FLOPs first. A module's are those of all below it too, so that classes overlap."""
    classes = dict(analysis.module_classes)
    if not any(classes):
        classes = {call.path: call.class_name for call in analysis.structure.calls if call.class_name}
    tree = tree_of(analysis.modules)
    paths: dict[str, list[str]] = {}
    outermost: dict[str, Cost] = {}
    above: dict[str, frozenset[str]] = {}
    """By module the classes of those above it."""
    for path, _ in tree.walk():
        seen = above.get(tree.parents.get(path, ""), frozenset()) if path else frozenset()
        name = classes.get(path)
        above[path] = seen if name is None or name in seen else seen | {name}
        if name is not None and path:
            paths.setdefault(name, []).append(path)
            if name not in seen:
                outermost[name] = outermost.get(name, Cost()) + analysis.modules[path]
    order = sorted(paths, key=lambda name: (-outermost[name].get("flops"), name))
    return {name: ClassGroup(tuple(paths[name]), outermost[name]) for name in order}
