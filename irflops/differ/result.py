"""The result of a diff: what reports and programs read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from irflops.analysis import notebook
from irflops.analysis.analysis import Analysis
from irflops.analysis.named import MEMORY, NAMES, OF_THE_WHOLE, ON_DEMAND, cost_of
from irflops.analysis.rows import Row, cost_row, flat
from irflops.counting.cost import COST_NAMES, COSTS, Cost
from irflops.counting.own import OwnRule
from irflops.differ.edit import Consequence, Edit
from irflops.differ.peaks import peak_row
from irflops.differ.shared import Shared, open_sums
from irflops.differ.sums import Beside, Sides, folded, modules, phases, total_change, totals, types
from irflops.differ.words import label
from irflops.ir import plain
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Module, Op

SCHEMA = "irflops.diff/1"
"""Name and version of the JSON form; fields may be added within a version, never renamed or dropped."""


@dataclass(frozen=True)
class Diff:
    """The edits between two versions of a graph, and what they and their consequences cost."""

    old: Analysis
    new: Analysis
    edits: tuple[Edit, ...]
    follows: Cost
    """The change of the totals that no edit has by itself: shapes that follow. With the costs of the edits it is the whole change."""
    not_compared: tuple[str, ...]
    """What one of the two forms cannot hold, so that it was no subject of the comparison."""
    pairs: Mapping[str, str] = field(default_factory=dict)
    """Names of the operators of the old graph, and of the same operator in the new one."""
    modules: Mapping[str, str] = field(default_factory=dict)
    """Paths of the modules of the old graph, and of the same module in the new one."""
    consequences: Mapping[str, Consequence] = field(default_factory=dict)
    """By the operator's name in the new graph. What the edits leave open, for those who apply them; no change of its own."""
    shared: Shared = field(default_factory=Shared)
    """What is unknown in both graphs and the same, so that it cancels."""

    also: tuple[str, ...] = ()
    """Costs of ON_DEMAND that are among the totals."""

    def __repr__(self) -> str:
        return f"<Diff of {self.old.graph.name} and {self.new.graph.name}: {len(self.edits)} edits>"

    @cached_property
    def sides(self) -> Sides:
        """The two graphs, to be set side by side."""
        same = self.shared
        old = open_sums(self.old, same.old, same)
        return Sides(self.old, self.new, self.modules, (old, open_sums(self.new, same.new, same)))

    @cached_property
    def change(self) -> Cost:
        """The change of the totals, as sure as it is: what is unknown in both graphs and the same cancels."""
        return total_change(self.sides)

    def to_dict(self) -> Row:
        """The diff as plain data, the JSON of `irflops diff --format json`."""
        return {name: list(value) if isinstance(value, Iterator) else value for name, value in self.parts()}

    @property
    def own_rules(self) -> tuple[OwnRule, ...]:
        """Rules that are not irflops' own and by which operators of either graph are counted; the count is that of the later graph."""
        found = {one.type: one for side in (self.old, self.new) for one in side.own_rules}
        return tuple(found.values())

    def parts(self, conditions: Sequence[Row] = ()) -> Iterator[tuple[str, Any]]:
        """The members of the JSON object in order, long ones as iterators; `conditions` are what became of those that were asked."""
        yield "schema", SCHEMA
        yield "old", _side_row(self.old)
        yield "new", _side_row(self.new)
        yield "conditions", list(conditions)
        yield "edits", self._edit_rows()
        yield "follows", _change_row(self.follows)["cost"]
        yield "costs", dict(self._cost_rows())
        if MEMORY in self.also:
            yield "peak", plain.change(*(peak_row(analysis) for analysis in (self.old, self.new)))
        yield "phases", {row.key: _beside_row(row) for row in phases(self.sides)}
        yield "by_type", ({"type": row.key, "count": plain.change(*row.count)} | _beside_row(row) for row in types(self.sides))
        yield "modules", (self._module_row(row) for row in modules(self.sides))
        yield "not_compared", list(self.not_compared)
        yield "own_rules", [asdict(one) for one in self.own_rules]

    def _repr_html_(self) -> str:
        """The totals that changed and the edits, equal ones as one, as a notebook shows them."""
        both = totals(self.old, self.new)
        changed = [
            (name.replace("_", " "), old, new, _told(new - old, self.certainty(name)))
            for name, (old, new) in both.items()
            if old != new or not self.certainty(name).is_exact
        ]
        caption = f"{self.old.graph.name} and {self.new.graph.name}: {len(self.edits)} edits" + ("" if changed else ", all totals the same")
        html = notebook.html_table(caption, ("cost", "old", "new", "change"), changed)
        found = folded(self.edits)
        if not found:
            return html
        left_out = f", {len(found) - notebook.ROWS} more below" if len(found) > notebook.ROWS else ""
        shown = [
            (item.edits[0].kind, item.times, item.place or "(graph)", *(_told_of(item.cost, name) for name in ("flops", "params")))
            for item in found[: notebook.ROWS]
        ]
        return html + notebook.html_table(f"what changed{left_out}", ("change", "times", "where", "FLOPs", "params"), shown)

    def certainty(self, name: str) -> Certainty:
        """How sure the change of a total is, by any name of a cost."""
        if name not in OF_THE_WHOLE:
            return self.change.certainty(name)
        (_, old), (_, new) = (cost_of(analysis, name) for analysis in (self.old, self.new))
        return new.of_difference(old)

    def _edit_rows(self) -> Iterator[Row]:
        readings = {id(edit): label(group) for group in folded(self.edits) for edit in group.edits}
        for edit in self.edits:
            yield {
                "kind": edit.kind,
                "old": _end_row(edit.old, self.old),
                "new": _end_row(edit.new, self.new),
                "detail": plain.finite(dict(edit.detail)),
                **_change_row(edit.cost),
                "group": edit.group,
                "reading": readings[id(edit)],
            }

    def _cost_rows(self) -> Iterator[tuple[str, Row]]:
        for name in (name for name in NAMES if name not in ON_DEMAND or name in self.also):
            (old, sure), (new, sure_too) = (cost_of(analysis, name) for analysis in (self.old, self.new))
            if old is not None and new is not None:
                yield name, plain.change(old, new) | {"certainty": plain.change(sure.value, sure_too.value)}

    def _module_row(self, row: Beside) -> Row:
        old = row.was if row.was in self.modules or row.key == "" else None
        return {"path": plain.change(old, row.key if row.key or row.was == "" else None)} | _beside_row(row)


def _side_row(analysis: Analysis) -> Row:
    graph = analysis.graph
    line = graph.source.line(graph.span.start) if graph.span is not None else None
    return {
        "path": graph.source.name,
        "format": graph.format,
        "line": line,
        "graph": graph.name,
        "class": graph.class_name,
        "training": graph.training,
        "certainty_by": {name: analysis.total.certainty(name).value for name in COST_NAMES},
    }


def _end_row(end: Op | Module | None, analysis: Analysis) -> Row | None:
    if end is None:
        return None
    line = analysis.graph.source.line(end.span.start) if end.span is not None else None
    if isinstance(end, Module):
        return {"name": end.path, "type": end.class_name, "module": end.path, "line": line}
    return {"name": end.name, "type": end.type, "module": end.module, "line": line}


def _beside_row(row: Beside) -> Row:
    sides = plain.change(_flat(row.old), _flat(row.new))
    sure = _unsure(row.change)
    return sides | {"certainty": sure} if sure else sides


def _flat(cost: Cost) -> Row:
    """A cost by flat names (`params.trainable`), with those that are sums of others."""
    return flat(cost_row(cost)) | {name: cost.get(name) for name in COSTS}


def _change_row(change: Cost) -> Row:
    """What changed by flat names: null where it may be up or down, and how sure each is that is not exact."""
    sure = _unsure(change)
    figures = {name: value if change.certainty(name).tells_direction(value) else None for name, value in _flat(change).items()}
    found: Row = {"cost": {name: value for name, value in figures.items() if value or value is None}}
    return found | {"certainty": sure} if sure else found


def _unsure(change: Cost) -> dict[str, str]:
    return {name: change.certainty(name).value for name in COSTS if not change.is_exact(name)}


def _told(change: int, sure: Certainty) -> str | int:
    """A change for people: a number where it is exact."""
    return change if sure.is_exact else f"{sure.sign}{change:+,}" if sure.tells_direction(change) else "unknown"


def _told_of(change: Cost, name: str) -> str | int:
    return _told(change.get(name), change.certainty(name))
