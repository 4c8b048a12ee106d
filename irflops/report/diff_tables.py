"""The tables of a diff: totals side by side, edits, where the change comes from, and phases, modules and op types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from irflops.analysis.named import COMMUNICATION, MEMORY, cost_of
from irflops.counting.cost import Cost
from irflops.differ import Diff
from irflops.differ.stories import told
from irflops.differ.sums import Beside, Folded, is_changed, modules, phases, summed, totals, types
from irflops.differ.words import folded_words, label
from irflops.ir.certainty import Certainty
from irflops.ir.tree import tree_of
from irflops.report.diff_words import relative, signed_scaled
from irflops.report.numbers import Scale, Units, common_scale, common_units, format_scaled
from irflops.report.table import ESSENTIAL, Column, Table, printable

ROWS = 20
"""Rows of a table of edits or of parts unless the user wants all."""

_BYTES = ("bytes_read", "bytes_written", "activation_bytes", "saved_bytes", COMMUNICATION, MEMORY)
_UNITS = {"macs": "MACs", "flops": "FLOPs"} | dict.fromkeys(_BYTES, "bytes")
_COLUMNS = (("macs", "MACs"), ("flops", "FLOPs"), ("params", ""), ("bytes", "bytes"))
"""What edits, modules and types show the change of."""


def diff_units(diff: Diff) -> Units:
    """The units of a report on a diff: in them the greatest change has digits enough, and all of its tables have the same."""
    changes = [diff.change, *(edit.cost for edit in diff.edits)]
    most = {name: max(abs(change.get(name)) for change in changes) for name in ("macs", "flops", "bytes")}
    whole = [side.total for side in (diff.old, diff.new)]
    work = max(most["macs"], most["flops"]) or max(total.get(name) for total in whole for name in ("macs", "flops"))
    return common_units(work, most["bytes"] or max(total.get("bytes") for total in whole))


def total_table(diff: Diff, *, full: bool) -> Table:
    """A row per cost that changed, with `full` per cost: before, after, and the change."""
    sides = totals(diff.old, diff.new, diff.also)
    units = {unit: scale for unit, scale in diff_units(diff).items() if unit != "bytes"}

    def certainty(name: str, side: int) -> Certainty:
        return cost_of((diff.old, diff.new)[side], name)[1]

    rows = [name for name, (old, new) in sides.items() if old != new or not diff.certainty(name).is_exact or (full and old)]

    def unit(name: str) -> str:
        return "bytes" if name.startswith("param_bytes") else _UNITS.get(name, "")

    def scale(name: str) -> Scale:
        return units.get(unit(name)) or common_scale(max(*map(abs, sides[name]), abs(sides[name][1] - sides[name][0])), unit(name))

    def heading(name: str) -> str:
        told, words = scale(name).unit.strip(), name.replace("_", " ")
        return told if unit(name) in ("MACs", "FLOPs") else f"{words}, {told}" if told else words

    columns = (
        _text("cost", "cost", heading),
        _number("old", "old", lambda name: format_scaled(sides[name][0], scale(name), certainty(name, 0))),
        _number("new", "new", lambda name: format_scaled(sides[name][1], scale(name), certainty(name, 1))),
        _number("change", "change", lambda name: signed_scaled(sides[name][1] - sides[name][0], scale(name), diff.certainty(name))),
        _number("relative", "", lambda name: relative(*sides[name], certainty(name, 0), diff.certainty(name))),
    )
    return Table(name="totals", title="Totals", columns=columns, items=rows, people=tuple(column.name for column in columns))


def edit_table(diff: Diff, *, full: bool) -> Table:
    """A row per change, equal ones at different places as one."""
    items = told(diff.edits, diff.old, diff.new, full=full)

    def place(item: Folded) -> str:
        return printable(item.place) or "(graph)"

    def change(item: Folded) -> str:
        return printable(folded_words(item))

    def line(item: Folded) -> int | None:
        end, analysis = (item.edits[0].new, diff.new) if item.edits[0].new is not None else (item.edits[0].old, diff.old)
        return analysis.graph.source.line(end.span.start) if end is not None and end.span is not None else None

    columns = (
        _text("change", "change", change),
        Column(name="places", title="x", get=lambda item: item.times, weight=ESSENTIAL),
        _text("where", "where", place),
        *_changes(items, lambda item: item.cost, diff_units(diff)),
        Column(name="line", title="line", get=line),
    )
    counts = () if full or all(item.times == 1 for item in items) else ("places",)
    people = (
        "change",
        *counts,
        "where",
        *[name for name in _shown(items, lambda item: item.cost) if name in ("flops", "params")],
        *(["line"] if full else []),
    )
    return Table(name="edits", title="What changed", columns=columns, items=items, people=people)


@dataclass(frozen=True, slots=True)
class _Step:
    """A row of the waterfall."""

    label: str
    cost: Cost
    is_total: bool = False


def waterfall_table(diff: Diff, *, full: bool) -> Table | None:
    """From the old total to the new one, step by step; None where no total changed."""
    if not any(is_changed(edit.cost) for edit in diff.edits) and not is_changed(diff.follows):
        return None
    groups = [item for item in told(diff.edits, diff.old, diff.new) if is_changed(item.cost)]
    if len(groups) < 2 and not is_changed(diff.follows) and not full:
        return None  # the one change is told already, and is all of it
    groups.sort(key=lambda item: (-abs(item.cost.get("flops")), -abs(item.cost.get("params"))))
    shown, rest = (groups, []) if full else (groups[: ROWS // 2], groups[ROWS // 2 :])
    steps = [_Step(printable(label(item)), item.cost) for item in shown]
    if rest:
        steps.append(_Step(f"{len(rest)} smaller changes", summed(item.cost for item in rest)))
    if is_changed(diff.follows):
        steps.append(_Step("what follows from these", diff.follows))
    units = diff_units(diff)
    items = [_Step("old", diff.old.total, is_total=True), *steps, _Step("new", diff.new.total, is_total=True)]

    def column(name: str, unit: str) -> Column:
        scale = units.get(unit) or common_scale(max(abs(item.cost.get(name)) for item in items), unit)

        def get(item: _Step) -> str:
            value, sure = item.cost.get(name), item.cost.certainty(name)
            if item.is_total:
                return format_scaled(value, scale, sure)
            return signed_scaled(value, scale, sure) if value or not sure.is_exact else ""

        return _number(name, _heading(name, unit, scale), get)

    shown_names = [name for name in _shown(steps, lambda item: item.cost) if name != "macs"]
    items = [item for item in items if item.is_total or _any_of(item.cost, shown_names)]
    columns = (
        _text("step", "step", lambda item: item.label),
        *(column(name, unit) for name, unit in _COLUMNS if name in shown_names),
    )
    title = "Where the change comes from"
    return Table(name="waterfall", title=title, columns=columns, items=items, people=tuple(column.name for column in columns))


def phase_table(diff: Diff) -> Table:
    """Phases of a step side by side."""
    rows = [row for row in phases(diff.sides) if row.is_changed]
    return _side_table(diff, "phases", "Phases", "phase", rows, lambda row: row.key)


def type_table(diff: Diff, *, full: bool) -> Table:
    """Op types whose cost changed, with `full` those too of which there are more or fewer, at no cost."""
    rows = [row for row in types(diff.sides) if row.is_changed or (full and row.count[0] != row.count[1])]
    table = _side_table(diff, "types", "Op types", "op type", rows, lambda row: row.key)
    counts = tuple(
        Column(name=f"count_{name}", title=name, get=lambda row, n=n: row.count[n])  # type: ignore[misc]  # a default binds the side
        for n, name in enumerate(("old", "new"))
    )
    label, *others = table.columns
    people = (table.people[0], *(column.name for column in counts), *table.people[1:])
    return Table(name=table.name, title=table.title, columns=(label, *counts, *others), items=table.items, people=people)


def module_table(diff: Diff, *, full: bool) -> Table:
    """Modules whose costs changed, as many levels down as fit."""
    rows = [row for row in modules(diff.sides) if row.is_changed]
    tree = tree_of([module.path for module in diff.new.graph.modules])
    level = dict(tree.walk())
    if not full:
        rows = _without_particles(rows)
        depth = next((d for d in range(12, 0, -1) if sum(level.get(row.key, 0) <= d for row in rows) <= ROWS), 1)
        rows = [row for row in rows if level.get(row.key or row.was, _depth(row.was)) <= depth]

    def label(row: Beside) -> str:
        if not row.key and row.was:
            return f"{row.was} (gone)"
        if row.was and row.was != row.key:
            return f"{row.was} -> {row.key}"
        return row.key or "(graph)"

    return _side_table(diff, "modules", "Modules", "module", rows, lambda row: printable(label(row)))


def _without_particles(rows: Sequence[Beside]) -> list[Beside]:
    """Without modules that went with one above them, and without the graph where one module changed as it did."""
    gone = {row.was for row in rows if not row.key and row.was}
    kept = [row for row in rows if row.key or not row.was or not any(row.was.startswith(f"{path}.") for path in gone)]
    alone = len(kept) > 1 and kept[0].key == "" and not kept[0].was and (kept[0].old, kept[0].new) == (kept[1].old, kept[1].new)
    return kept[1:] if alone else kept


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0


def _side_table(diff: Diff, name: str, title: str, heading: str, rows: Sequence[Beside], label: Callable[[Beside], str]) -> Table:
    def share(row: Beside) -> str:
        return relative(row.old.get("flops"), row.new.get("flops"), row.old.certainty("flops"), row.change.certainty("flops"))

    units = diff_units(diff)
    scale = units.get("FLOPs") or common_scale(max((max(row.old.get("flops"), row.new.get("flops")) for row in rows), default=0), "FLOPs")
    columns = (
        _text("key", heading, label),
        _number("old", f"old {scale.unit}", lambda row: format_scaled(row.old.get("flops"), scale, row.old.certainty("flops"))),
        _number("new", f"new {scale.unit}", lambda row: format_scaled(row.new.get("flops"), scale, row.new.certainty("flops"))),
        _number("change", "change", lambda row: signed_scaled(row.change.get("flops"), scale, row.change.certainty("flops"))),
        _number("relative", "", share),
        *[column for column in _changes(rows, lambda row: row.change, units) if column.name in ("params", "bytes")],
    )
    shown = [name for name in _shown(rows, lambda row: row.change) if name in ("params", "bytes")]
    people = ("key", "old", "new", "change", "relative", *shown)
    return Table(name=name, title=title, columns=columns, items=rows, people=people)


def _changes(items: Sequence[Any], cost: Callable[[Any], Cost], units: Units) -> list[Column]:
    """A column for the change of each cost, in one unit."""
    columns = []
    for name, unit in _COLUMNS:
        scale = units.get(unit) or common_scale(max((abs(cost(item).get(name)) for item in items), default=0), unit)

        def get(item: Any, name: str = name, scale: Scale = scale) -> str:
            value, sure = cost(item).get(name), cost(item).certainty(name)
            return signed_scaled(value, scale, sure) if value or not sure.is_exact else ""

        columns.append(_number(name, _heading(name, unit, scale), get))
    return columns


def _shown(items: Sequence[Any], cost: Callable[[Any], Cost]) -> list[str]:
    """The costs that any of the items changes, or may change."""
    return [name for name, _ in _COLUMNS if any(_any_of(cost(item), (name,)) for item in items)]


def _any_of(change: Cost, names: Sequence[str]) -> bool:
    return any(change.get(name) or not change.is_exact(name) for name in names)


def _heading(name: str, unit: str, scale: Scale) -> str:
    if not unit:
        return f"{scale.unit.strip()} {name}".strip()
    return f"{scale.unit} moved" if unit == "bytes" else scale.unit


def _text(name: str, title: str, get: Callable[[Any], str]) -> Column:
    return Column(name=name, title=title, get=get, numeric=False, weight=ESSENTIAL)


def _number(name: str, title: str, get: Callable[[Any], str]) -> Column:
    return Column(name=name, title=title, get=get, weight=0 if name == "bytes" else 1 if name == "relative" else ESSENTIAL)
