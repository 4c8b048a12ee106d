"""The result of a diff: what reports and programs read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from irflops.analysis import notebook
from irflops.analysis.analysis import Analysis
from irflops.analysis.rows import Row, cost_row, flat
from irflops.counting.cost import COST_NAMES, Cost
from irflops.differ.edit import Consequence, Edit
from irflops.differ.sums import Beside, folded, modules, phases, totals, types
from irflops.ir import plain
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

    def __repr__(self) -> str:
        return f"<Diff of {self.old.graph.name} and {self.new.graph.name}: {len(self.edits)} edits>"

    def to_dict(self) -> Row:
        """The diff as plain data, the JSON of `irflops diff --format json`."""
        return {name: list(value) if isinstance(value, Iterator) else value for name, value in self.parts()}

    def parts(self) -> Iterator[tuple[str, Any]]:
        """The members of the JSON object in order; long ones as iterators."""
        yield "schema", SCHEMA
        yield "old", _side_row(self.old)
        yield "new", _side_row(self.new)
        yield "edits", (self._edit_row(edit) for edit in self.edits)
        yield "follows", flat(cost_row(self.follows))
        yield "costs", {name: plain.change(old, new) for name, (old, new) in totals(self.old, self.new).items()}
        yield "phases", {row.key: _beside_row(row) for row in phases(self.old, self.new)}
        yield "by_type", ({"type": row.key, "count": plain.change(*row.count)} | _beside_row(row) for row in types(self.old, self.new))
        yield "modules", (self._module_row(row) for row in modules(self.old, self.new, self.modules))
        yield "not_compared", list(self.not_compared)

    def _repr_html_(self) -> str:
        """The totals that changed and the edits, equal ones as one, as a notebook shows them."""
        both = totals(self.old, self.new)
        changed = [(name.replace("_", " "), old, new, new - old) for name, (old, new) in both.items() if old != new]
        caption = f"{self.old.graph.name} and {self.new.graph.name}: {len(self.edits)} edits" + ("" if changed else ", all totals the same")
        html = notebook.html_table(caption, ("cost", "old", "new", "change"), changed)
        found = folded(self.edits)
        if not found:
            return html
        left_out = f", {len(found) - notebook.ROWS} more below" if len(found) > notebook.ROWS else ""
        shown = [
            (item.edits[0].kind, item.times, item.place or "(graph)", item.cost.get("flops"), item.cost.get("params"))
            for item in found[: notebook.ROWS]
        ]
        return html + notebook.html_table(f"what changed{left_out}", ("change", "times", "where", "FLOPs", "params"), shown)

    def _edit_row(self, edit: Edit) -> Row:
        return {
            "kind": edit.kind,
            "old": _end_row(edit.old, self.old),
            "new": _end_row(edit.new, self.new),
            "detail": plain.finite(dict(edit.detail)),
            "cost": {name: value for name, value in flat(cost_row(edit.cost)).items() if value},
            "group": edit.group,
        }

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
    return plain.change(flat(cost_row(row.old)), flat(cost_row(row.new)))
