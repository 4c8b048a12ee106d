"""A diff as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from irflops.analysis.analysis import Row, cost_row, flat
from irflops.differ.edit import Edit
from irflops.differ.sums import Beside, modules, phases, totals, types
from irflops.ir import plain
from irflops.ir.graph import Module, Op

if TYPE_CHECKING:
    from irflops.differ.result import Diff


def members(diff: Diff) -> Iterator[tuple[str, Any]]:
    """The members of the JSON object behind its schema, in order; long ones as iterators."""
    for name, analysis in (("old", diff.old), ("new", diff.new)):
        graph = analysis.graph
        line = graph.source.line(graph.span.start) if graph.span is not None else None
        source = {"path": graph.source.name, "format": graph.format, "line": line, "graph": graph.name, "class": graph.class_name}
        certainty = {cost: analysis.total.certainty(cost).value for cost in cost_row(analysis.total)}
        yield name, source | {"training": graph.training, "certainty_by": certainty}
    yield "edits", (_edit_row(edit, diff) for edit in diff.edits)
    yield "follows", flat(cost_row(diff.follows))
    yield "costs", {name: {"old": old, "new": new} for name, (old, new) in totals(diff).items()}
    yield "phases", {row.key: _sides_row(row) for row in phases(diff)}
    yield (
        "by_type",
        ({"type": row.key, "count": dict(zip(("old", "new"), row.count, strict=True))} | _sides_row(row) for row in types(diff)),
    )
    yield "modules", (_module_row(row, diff) for row in modules(diff))
    yield "not_compared", list(diff.not_compared)


def _edit_row(edit: Edit, diff: Diff) -> Row:
    cost = {name: value for name, value in flat(cost_row(edit.cost)).items() if value}
    return {
        "kind": edit.kind,
        "old": _end_row(edit.old, diff, new=False),
        "new": _end_row(edit.new, diff, new=True),
        "detail": plain.finite(dict(edit.detail)),
        "cost": cost,
        "group": edit.group,
    }


def _end_row(end: Op | Module | None, diff: Diff, *, new: bool) -> Row | None:
    if end is None:
        return None
    graph = (diff.new if new else diff.old).graph
    line = graph.source.line(end.span.start) if end.span is not None else None
    if isinstance(end, Module):
        return {"name": end.path, "type": end.class_name, "module": end.path, "line": line}
    return {"name": end.name, "type": end.type, "module": end.module, "line": line}


def _sides_row(row: Beside) -> Row:
    return {"old": flat(cost_row(row.old)), "new": flat(cost_row(row.new))}


def _module_row(row: Beside, diff: Diff) -> Row:
    known: Mapping[str, object] = diff.modules
    old = row.was if row.was in known or row.key == "" else None
    return {"path": {"old": old, "new": row.key if row.key or row.was == "" else None}} | _sides_row(row)
