"""The tables of an analysis: by operator, module, op type, phase and line of Python, and what was unknown in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from irflops.analysis.analysis import Analysis
from irflops.analysis.blocks import Alike, Place, alike_ops, by_class, places
from irflops.counting.cost import KINDS, Cost
from irflops.counting.ratio import Ratio
from irflops.ir.graph import AttrValue, Location, Op, Operand
from irflops.report.numbers import Figure, format_things
from irflops.report.table import ESSENTIAL, Column, Table

MODULE_ROWS = 30
"""Rows up to which the module tree opens by itself."""

_UNITS = {
    "macs": ("MACs", "MACs"),
    "flops": ("FLOPs", "FLOPs"),
    "transcendentals": ("transcend.", ""),
    "bytes_read": ("read", "bytes"),
    "bytes_written": ("written", "bytes"),
    "activation_elements": ("activations", ""),
    "activation_bytes": ("activations", "bytes"),
    "saved_bytes": ("saved", "bytes"),
}
"""Heading and unit of each figure."""

_WEIGHTS = {"macs": ESSENTIAL, "flops": ESSENTIAL}
_SHARED = ("macs", "flops")


def op_table(analysis: Analysis, *, fold: bool = False) -> Table:
    """A row per operator, the heaviest first; with `fold`, those that differ in their layer alone in one."""
    ops, types = analysis.graph.ops, analysis.inference.types
    costs = analysis.costs
    by = {one.type: one.by for one in analysis.own_rules}
    items = alike_ops(analysis, fold=fold)

    def first(one: Alike) -> Op:
        return ops[one.ops[0]]

    def tensors(operands: tuple[Operand, ...]) -> str:
        return " ".join(str(o.type if o.type.numel is not None else types.get(o.lbn, o.type)) for o in operands)

    columns = (
        _text("name", "operator", lambda one: one.name, weight=ESSENTIAL),
        Column(name="count", title="x", get=lambda one: len(one.ops) if len(one.ops) > 1 else None, exported=False),
        _text("type", "type", lambda one: first(one).type or "|".join(first(one).type_candidates) or "?", implied_by="name"),
        _text("module", "module", lambda one: one.module, implied_by="name"),
        _text("phase", "phase", lambda one: phase.value if (phase := first(one).phase) else None),
        Column(name="runs", title="runs", get=lambda one: first(one).runs),
        *cost_columns(lambda one: one.cost, analysis.total, single=True, whole=_whole(analysis)),
        Column(name="line", title="line", get=lambda one: analysis.line(first(one))),
        _text("location", "Python", lambda one: _place(first(one).location)),
        _text("inputs", "operands", lambda one: tensors(first(one).inputs)),
        _text("outputs", "results", lambda one: tensors(first(one).outputs)),
        _text("attrs", "attributes", lambda one: " ".join(f"{name}={_value(v)}" for name, v in first(one).attrs.items())),
        _text("kind", "kind", lambda one: kind.value if (kind := first(one).kind) else None),
        _text("kind_source", "kind by", lambda one: first(one).kind_source),
        _text("reason", "unknown for", lambda one: costs[one.ops[0]].reason),
        *([_text("by", "counted by", lambda one: by.get(first(one).type or ""))] if by else []),
    )
    is_folded = any(len(one.ops) > 1 for one in items)
    people = ("name", *["count"] * is_folded, "type", *["phase"] * analysis.graph.training, *_work(analysis), "bytes", "line")
    notes = ("equal layers together; --full lists each operator",) * is_folded
    return Table(name="op", title="Heaviest operators", columns=columns, items=items, people=people, notes=notes)


def module_table(analysis: Analysis, depth: int | None = None, *, fold: bool = False) -> Table:
    """A row per module with the costs of all below it, in the order of the tree, `depth` levels down or as many as fit on a screen.

    With `fold`, equal modules that follow one another stand in one row, or in two: all of them, and each.
    """
    modules = {module.path: module for module in analysis.graph.modules}
    found = places(analysis, fold=fold)
    deepest = _depth_that_fits([place.depth for place in found]) if depth is None else depth
    items = [place for place in found if place.depth <= deepest]

    def module_class(place: Place) -> str | None:
        module = modules.get(place.path)
        name = (module.class_name if module is not None else None) or ("" if place.path else analysis.graph.class_name)
        return f"{place.of:,} x {name or 'equal'}" if place.of > 1 and not place.label.startswith("each") else name

    columns = (
        _text("path", "module", lambda place: place.name, nothing="(graph)", weight=ESSENTIAL),
        _text("class", "class", module_class),
        *cost_columns(lambda place: place.cost, analysis.total, whole=_whole(analysis)),
        Column(name="declared_params", title="declared", get=lambda place: analysis.declared.get(place.path), exported=False),
        Column(name="line", title="line", get=lambda place: _line(analysis, modules[place.path].span) if place.path in modules else None),
        _text("text", "text", lambda place: modules[place.path].text if place.path in modules else None),
    )
    people = ("path", "class", *_work(analysis), "params", "bytes")
    deeper = max((place.depth for place in found), default=0)
    notes = (f"{deepest} of {deeper} levels; --depth {deeper} shows all",) * (deepest < deeper)
    return Table(name="module", title="Modules", columns=columns, items=items, people=people, tree=_in_the_tree, notes=notes)


def type_table(analysis: Analysis, *, fold: bool = False) -> Table:
    """A row per op type, the heaviest first; with `fold`, without those that do nothing and move nothing."""
    groups = analysis.types
    order = sorted(groups, key=lambda op_type: -groups[op_type].cost.get("flops"))
    items = [op_type for op_type in order if not fold or _does_anything(groups[op_type].cost)]
    free = len(order) - len(items)
    by = {one.type: one.by for one in analysis.own_rules}
    columns = (
        _text("type", "op type", lambda op_type: op_type),
        *([_text("by", "counted by", by.get)] if by else []),
        Column(name="count", title="operators", get=lambda op_type: groups[op_type].count),
        *cost_columns(lambda op_type: groups[op_type].cost, analysis.total, whole=_whole(analysis)),
    )
    people = ("type", *(["by"] if by else []), "count", *_work(analysis), "transcendentals", "bytes")
    notes = (f"without {format_things(free, 'type')} that {'costs' if free == 1 else 'cost'} nothing",) * (free > 0)
    return Table(name="type", title="Op types", columns=columns, items=items, people=people, notes=notes)


def class_table(analysis: Analysis) -> Table:
    """A row per class of module, with all that its modules hold, the heaviest first."""
    groups = by_class(analysis)
    columns = (
        _text("class", "class", lambda name: name, weight=ESSENTIAL),
        Column(name="count", title="modules", get=lambda name: len(groups[name].paths)),
        *cost_columns(lambda name: groups[name].cost, analysis.total, whole=_whole(analysis)),
    )
    people = ("class", "count", *_work(analysis), "params", "bytes")
    notes = ("each with all that its modules hold: rows overlap",)
    return Table(name="class", title="Classes of modules", columns=columns, items=list(groups), people=people, notes=notes)


def step_table(analysis: Analysis) -> Table:
    """A row per kind of step, the heaviest first: a layer norm of nine primitives is one."""
    groups = analysis.steps
    columns = (
        _text("kind", "step", lambda kind: kind),
        Column(name="count", title="steps", get=lambda kind: groups[kind].count),
        Column(name="operators", title="operators", get=lambda kind: groups[kind].operators),
        *cost_columns(lambda kind: groups[kind].cost, analysis.total, whole=_whole(analysis)),
    )
    people = ("kind", "count", "operators", *_work(analysis), "transcendentals", "bytes")
    return Table(name="step", title="Steps", columns=columns, items=list(groups), people=people)


def phase_table(analysis: Analysis) -> Table:
    """A row per phase that has any cost, in the order of a step."""
    phases = analysis.phases
    columns = (
        _text("phase", "phase", lambda phase: phase),
        *cost_columns(lambda phase: phases[phase], analysis.total, whole=_whole(analysis)),
    )
    people = ("phase", *_work(analysis), "transcendentals", "bytes")
    items = [phase for phase, cost in phases.items() if cost != Cost()]
    return Table(name="phase", title="Phases of a step", columns=columns, items=items, people=people)


def location_table(analysis: Analysis) -> Table:
    """A row per line of the user's Python, the heaviest first; operators without one are a row of their own."""
    groups = analysis.locations
    columns = (
        _text("file", "file", lambda at: at.file if at else None, nothing="(not in the dump)"),
        Column(name="line", title="line", get=lambda at: at.line if at else None),
        _text("function", "function", lambda at: at.function if at else None),
        Column(name="count", title="operators", get=lambda at: groups[at].count),
        *cost_columns(lambda at: groups[at].cost, analysis.total, whole=_whole(analysis)),
    )
    order = sorted(groups, key=lambda at: (at is None, -groups[at].cost.get("flops")))
    people = ("file", "line", "function", "count", *_work(analysis), "bytes")
    return Table(name="location", title="Lines of Python", columns=columns, items=order, people=people, rest=lambda at: at is None)


def unknown_table(analysis: Analysis) -> Table:
    """A row per op type and reason for which a cost is unknown."""
    columns = (
        _text("type", "op type", lambda u: u.type or "?"),
        _text("reason", "reason", lambda u: u.reason),
        Column(name="count", title="operators", get=lambda u: len(u.ops)),
        _text("ops", "for example", lambda u: u.ops[0]),
    )
    return Table(name="unknown", title="Unknown", columns=columns, items=analysis.unknown, people=tuple(c.name for c in columns))


def line_table(counts: Mapping[str, int], *, total: bool) -> Table:
    """A row per kind of line in a file, and where it is wanted their sum."""
    columns = (
        _text("kind", "kind", lambda row: row[0]),
        Column(name="lines", title="lines", get=lambda row: row[1]),
    )
    items = [*counts.items(), *([("total", sum(counts.values()))] if total else [])]
    return Table(name="lines", title="Lines by kind", columns=columns, items=items, people=("kind", "lines"))


def disagreement_table(analysis: Analysis) -> Table:
    """A row per tensor whose shape in the file is not the one that follows from its operands."""
    columns = (
        Column(name="line", title="line", get=lambda d: _line(analysis, d.span)),
        _text("lbn", "tensor", lambda d: d.lbn),
        _text("file", "file", lambda d: shape_text(d.file)),
        _text("inferred", "inferred", lambda d: shape_text(d.inferred)),
        _text("reason", "reason", lambda d: d.reason),
    )
    items = analysis.inference.disagreements
    return Table(name="disagreement", title="Shapes that disagree", columns=columns, items=items, people=tuple(c.name for c in columns))


def _whole(analysis: Analysis) -> Cost | None:
    """What the whole graph costs, of which a selection is a part; None where there is none."""
    return None if analysis.selection is None else analysis.selection.whole.total


def _work(analysis: Analysis) -> tuple[str, ...]:
    """The columns of work that people see: of a selection the shares of the graph, and of the selection."""
    return ("macs", "flops", "flops_share", *["flops_own_share"] * (analysis.selection is not None))


def _in_the_tree(place: Place) -> tuple[int, str]:
    return place.level, place.label


def _does_anything(cost: Cost) -> bool:
    return any(cost.get(name) or not cost.is_exact(name) for name in ("macs", "flops", "transcendentals", "bytes"))


def cost_columns(
    cost: Callable[[Any], Cost | None], total: Cost | None = None, *, single: bool = False, whole: Cost | None = None
) -> tuple[Column, ...]:
    """The columns of costs, empty where an item has none; with shares where there is a total.

    `single` says that items are operators, whose counts are unknown where sums would be bounded. With a `whole` of which the total is a
    part, shares are of that, and those of the part stand beside them.
    """

    def figure(name: str) -> Callable[[Any], Figure | None]:
        def get(item: Any) -> Figure | None:
            found = cost(item)
            if found is None:
                return None
            if single and not found.is_known(name):
                return Figure(None)
            return Figure(found.get(name), found.certainty(name))

        return get

    def share(name: str, whole: Cost) -> Callable[[Any], Ratio | None]:
        return lambda item: None if (found := cost(item)) is None else found.share(name, whole)

    def intensity(item: Any) -> Ratio | None:
        return None if (found := cost(item)) is None else found.intensity

    columns = [
        column
        for name, (title, unit) in _UNITS.items()
        for column in (
            Column(name=name, title=title, get=figure(name), unit=unit, weight=_WEIGHTS.get(name, 0)),
            *([_share(name, share(name, whole or total))] if name in _SHARED and total is not None else []),
            *([_share(f"{name}_own", share(name, total), "of selected")] if name in _SHARED and total is not None and whole else []),
        )
    ]
    columns += [
        Column(name="bytes", title="moved", get=figure("bytes"), unit="bytes", exported=False, weight=0),
        Column(name="intensity", title="intensity", get=intensity, unit="FLOP/byte", exported=False, weight=0),
        Column(name="params", title="params", get=figure("params"), exported=False),
        Column(name="param_bytes", title="params", get=figure("param_bytes"), unit="bytes", exported=False),
        *(Column(name=f"params.{kind}", title=_words(kind), get=figure(f"params.{kind}")) for kind in KINDS),
        *(Column(name=f"param_bytes.{kind}", title=_words(kind), get=figure(f"param_bytes.{kind}"), unit="bytes") for kind in KINDS),
        _text("certainty", "certainty", lambda item: None if (found := cost(item)) is None else found.worst.value),
    ]
    return tuple(columns)


def _share(name: str, get: Callable[[Any], Ratio | None], title: str = "share") -> Column:
    return Column(name=f"{name}_share", title=title, get=get, exported=False, weight=1 if title != "share" else ESSENTIAL)


def _text(name: str, title: str, get: Callable[[Any], str | None], nothing: str = "", *, weight: int = 1, implied_by: str = "") -> Column:
    return Column(name=name, title=title, get=get, numeric=False, nothing=nothing, weight=weight, implied_by=implied_by)


def _depth_that_fits(levels: list[int]) -> int:
    deepest = max(levels)
    return next((depth for depth in range(deepest, 0, -1) if sum(level <= depth for level in levels) <= MODULE_ROWS), min(1, deepest))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _place(at: Location | None) -> str | None:
    return f"{at.file}:{at.line} {at.function}" if at else None


def _line(analysis: Analysis, span: Any) -> int | None:
    return analysis.graph.source.line(span.start) if span is not None else None


def shape_text(shape: tuple[int | None, ...] | None) -> str | None:
    """A shape as people write it, `?` for an extent that is not known."""
    return None if shape is None else f"({', '.join('?' if extent is None else str(extent) for extent in shape)})"


def _value(value: AttrValue) -> str:
    return f"[{','.join(map(_value, value))}]" if isinstance(value, tuple) else str(value)
