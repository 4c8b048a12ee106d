"""What each edit costs: the change of a total, split over the edits and what follows from them, so that the parts add up to it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add

from irflops.analysis.analysis import Analysis
from irflops.counting.cost import Cost
from irflops.counting.fold import bounded, unsure_bits
from irflops.differ.edit import Edit, difference
from irflops.differ.shared import Shared, unmarked
from irflops.differ.side import boxed_in
from irflops.ir.graph import Module, Op

_NUMBER = re.compile(r"\d+")
_PER_PLACE = frozenset({"reads", "feeds", "path", "with"})
"""Details that name the place; changes that differ in nothing else are equal."""


def with_costs(
    edits: Sequence[Edit], old: Analysis, new: Analysis, pairs: Mapping[str, str], same: Shared
) -> tuple[tuple[Edit, ...], Cost]:
    """The edits with their costs and groups, and what is left of the totals' change.

    An operator that comes or goes costs what it costs; one that changed by itself has the difference, in the first of its edits. One that
    did not, but reads a variable that did, counts with that. All other differences follow from an edit upstream. Costs that the graphs
    share cancel; what is unknown of an operator is unknown of its edit, and what no edit counts or the form hides of what follows.
    """
    before, after = _costs(old, same.old, same), _costs(new, same.new, same)
    left = (
        {name: cost for name, cost in before.items() if cost.missing | cost.at_most},
        {name: cost for name, cost in after.items() if cost.missing | cost.at_most},
    )
    costs = [Cost()] * len(edits)
    counted: dict[str, int] = {}
    follows = difference(new.total, old.total)
    for number, edit in enumerate(edits):
        one, other = (end.name if isinstance(end, Op) else None for end in (edit.old, edit.new))
        if edit.detail.get("unused") or (other is not None and other in counted) or not (one or other):
            continue
        if other is not None:
            counted[other] = number
        costs[number] = difference(after.get(other or "", Cost()), before.get(one or "", Cost()))
        left[0].pop(one or "", None)
        left[1].pop(other or "", None)
    back = {other: name for name, other in pairs.items()}
    for name, number in _readers(new, counted):
        if name in back:
            costs[number] += difference(after[name], before[back[name]])
            left[0].pop(back[name], None)
            left[1].pop(name, None)
    for cost in costs:
        follows = difference(follows, cost)
    marks = difference(*(_marks(analysis, costs.values(), same) for analysis, costs in zip((new, old), left[::-1], strict=True)))
    follows = replace(follows, missing=marks.missing, at_most=marks.at_most)
    return tuple(replace(edit, cost=cost, group=group_of(edit)) for edit, cost in zip(edits, costs, strict=True)), follows


def _readers(new: Analysis, counted: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Operators without an edit of their own that read a variable with one, and the number of that edit."""
    changed = {
        result.lbn: counted[op.name] for op in new.graph.ops if op.type == "variable" and op.name in counted for result in op.outputs
    }
    if not changed:
        return
    boxed = boxed_in(new.graph.ops)
    for op in new.graph.ops:
        if op.name not in counted:
            read = [boxed.get(operand.lbn, operand.lbn) for operand in op.inputs]
            number = next((changed[lbn] for lbn in read if lbn in changed), None)
            if number is not None:
                yield op.name, number


def _costs(analysis: Analysis, cancelled: Collection[str], same: Shared) -> dict[str, Cost]:
    """Costs by the operator's name, those that cancel without the marks that do."""
    costs = {op.name: found.cost * op.runs for op, found in zip(analysis.graph.ops, analysis.costs, strict=True)}
    return costs | {name: unmarked(costs[name], same.bits(name)) for name in cancelled}


def _marks(analysis: Analysis, costs: Iterable[Cost], same: Shared) -> Cost:
    """What is unknown of the operators at hand, and of what the form hides."""
    total = reduce(add, costs, Cost())
    found = replace(analysis.total, missing=total.missing, at_most=total.at_most)
    return found if same.hidden else bounded(found, unsure_bits(analysis.graph))


def pattern(path: str) -> str:
    """A module path with its numbers left open: `model.layer*.*.conv*`."""
    return _NUMBER.sub("*", path)


def place_of(end: Op | Module) -> str:
    """Where the subject of an edit stands."""
    return end.path if isinstance(end, Module) else end.module


def group_of(edit: Edit) -> str:
    """What equal changes at different places have in common, as a short text."""
    end = edit.new or edit.old
    assert end is not None
    about: dict[str, object] = {"detail": _open(edit.detail)}
    place = pattern(place_of(end)) or "-"
    if isinstance(end, Module):
        what = "module"
    elif edit.kind == "placement_changed":
        what, place = "any", "*"  # a whole graph moves as one
    else:
        what = end.type or "?"
        if edit.kind.startswith("param_"):
            about["results"] = [str(result.type) for result in end.outputs]
        about["last"] = _leaf(end)
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return f"{edit.kind}:{what}:{place}:{digest}"


def _open(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _open(inner) for name, inner in value.items() if name not in _PER_PLACE}
    return pattern(value) if isinstance(value, str) else value


def _leaf(op: Op) -> str:
    return op.name.rpartition(".")[2] if op.type == "variable" else ""
