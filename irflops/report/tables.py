"""The tables of an analysis: by operator, module, op type, phase and line of Python, and what was unknown in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from irflops.analysis.analysis import Analysis
from irflops.counting.cost import KINDS, Cost
from irflops.counting.ratio import Ratio
from irflops.ir.graph import AttrValue, Location, Operand
from irflops.ir.tree import tree_of
from irflops.report.numbers import Figure
from irflops.report.table import Column, Table

_WORK = ("macs", "flops", "flops_share")

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


def op_table(analysis: Analysis) -> Table:
    """A row per operator, the heaviest first. Items are positions in the graph."""
    ops, types = analysis.graph.ops, analysis.inference.types
    costs = analysis.costs

    def tensors(operands: tuple[Operand, ...]) -> str:
        return " ".join(str(o.type if o.type.numel is not None else types.get(o.lbn, o.type)) for o in operands)

    columns = (
        _text("name", "operator", lambda i: ops[i].name),
        _text("type", "type", lambda i: ops[i].type or "|".join(ops[i].type_candidates) or "?"),
        _text("module", "module", lambda i: ops[i].module),
        _text("phase", "phase", lambda i: ops[i].phase.value if ops[i].phase else None),
        Column(name="runs", title="runs", get=lambda i: ops[i].runs),
        *cost_columns(analysis.op_cost, analysis.total, single=True),
        Column(name="line", title="line", get=lambda i: analysis.line(ops[i])),
        _text("location", "Python", lambda i: _place(ops[i].location)),
        _text("inputs", "operands", lambda i: tensors(ops[i].inputs)),
        _text("outputs", "results", lambda i: tensors(ops[i].outputs)),
        _text("attrs", "attributes", lambda i: " ".join(f"{name}={_value(v)}" for name, v in ops[i].attrs.items())),
        _text("kind", "kind", lambda i: ops[i].kind.value if ops[i].kind else None),
        _text("kind_source", "kind by", lambda i: ops[i].kind_source),
        _text("reason", "unknown for", lambda i: costs[i].reason),
    )
    order = sorted(range(len(ops)), key=lambda i: (-costs[i].cost.get("flops") * ops[i].runs, i))
    people = ("name", "type", *(["phase"] if analysis.graph.training else []), *_WORK, "bytes", "line")
    return Table(name="op", title="Heaviest operators", columns=columns, items=order, people=people)


def module_table(analysis: Analysis, depth: int | None = None) -> Table:
    """A row per module with the costs of all below it, in the order of the tree, `depth` levels down or as many as fit on a screen."""
    tree = tree_of(analysis.modules)
    modules = {module.path: module for module in analysis.graph.modules}
    tops = ("",) if analysis.selection is None else analysis.selection.tops
    levels = [[*tree.walk(top)] for top in tops]
    if depth is None:
        depth = _depth_that_fits([level for walk in levels for _, level in walk])
    paths = [path for walk in levels for path, level in walk if level <= depth]
    level_of = dict(pair for walk in levels for pair in walk)

    def label(path: str) -> tuple[int, str]:
        return level_of[path], (path if path in tops else tree.label(path)) or "(graph)"

    columns = (
        _text("path", "module", lambda path: path, nothing="(graph)"),
        _text(
            "class",
            "class",
            lambda path: (modules[path].class_name if path in modules else None) or ("" if path else analysis.graph.class_name),
        ),
        *cost_columns(lambda path: analysis.modules[path], analysis.total),
        Column(name="declared_params", title="declared", get=analysis.declared.get, exported=False),
        Column(name="line", title="line", get=lambda path: _line(analysis, modules[path].span) if path in modules else None),
        _text("text", "text", lambda path: modules[path].text if path in modules else None),
    )
    people = ("path", "class", *_WORK, "params", "bytes")
    return Table(name="module", title="Modules", columns=columns, items=paths, people=people, tree=label)


def type_table(analysis: Analysis) -> Table:
    """A row per op type, the heaviest first."""
    groups = analysis.types
    columns = (
        _text("type", "op type", lambda op_type: op_type),
        Column(name="count", title="operators", get=lambda op_type: groups[op_type].count),
        *cost_columns(lambda op_type: groups[op_type].cost, analysis.total),
    )
    people = ("type", "count", *_WORK, "transcendentals", "bytes")
    order = sorted(groups, key=lambda op_type: -groups[op_type].cost.get("flops"))
    return Table(name="type", title="Op types", columns=columns, items=order, people=people)


def step_table(analysis: Analysis) -> Table:
    """A row per kind of step, the heaviest first: a layer norm of nine primitives is one."""
    groups = analysis.steps
    columns = (
        _text("kind", "step", lambda kind: kind),
        Column(name="count", title="steps", get=lambda kind: groups[kind].count),
        Column(name="operators", title="operators", get=lambda kind: groups[kind].operators),
        *cost_columns(lambda kind: groups[kind].cost, analysis.total),
    )
    people = ("kind", "count", "operators", *_WORK, "transcendentals", "bytes")
    return Table(name="step", title="Steps", columns=columns, items=list(groups), people=people)


def phase_table(analysis: Analysis) -> Table:
    """A row per phase that has any cost, in the order of a step."""
    phases = analysis.phases
    columns = (
        _text("phase", "phase", lambda phase: phase),
        *cost_columns(lambda phase: phases[phase], analysis.total),
    )
    people = ("phase", *_WORK, "transcendentals", "bytes")
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
        *cost_columns(lambda at: groups[at].cost, analysis.total),
    )
    order = sorted(groups, key=lambda at: (at is None, -groups[at].cost.get("flops")))
    people = ("file", "line", "function", "count", *_WORK, "bytes")
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
        _text("file", "file", lambda d: _shape(d.file)),
        _text("inferred", "inferred", lambda d: _shape(d.inferred)),
        _text("reason", "reason", lambda d: d.reason),
    )
    items = analysis.inference.disagreements
    return Table(name="disagreement", title="Shapes that disagree", columns=columns, items=items, people=tuple(c.name for c in columns))


def cost_columns(cost: Callable[[Any], Cost | None], total: Cost | None = None, *, single: bool = False) -> tuple[Column, ...]:
    """The columns of costs, empty where an item has none; with shares where there is a total.

    `single` says that items are operators, whose counts are unknown where sums would be bounded.
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
            Column(name=name, title=title, get=figure(name), unit=unit),
            *([_share(name, share(name, total))] if name in ("macs", "flops") and total is not None else []),
        )
    ]
    columns += [
        Column(name="bytes", title="moved", get=figure("bytes"), unit="bytes", exported=False),
        Column(name="intensity", title="intensity", get=intensity, unit="FLOP/byte", exported=False),
        Column(name="params", title="params", get=figure("params"), exported=False),
        Column(name="param_bytes", title="params", get=figure("param_bytes"), unit="bytes", exported=False),
        *(Column(name=f"params.{kind}", title=_words(kind), get=figure(f"params.{kind}")) for kind in KINDS),
        *(Column(name=f"param_bytes.{kind}", title=_words(kind), get=figure(f"param_bytes.{kind}"), unit="bytes") for kind in KINDS),
        _text("certainty", "certainty", lambda item: None if (found := cost(item)) is None else found.worst.value),
    ]
    return tuple(columns)


def _share(name: str, get: Callable[[Any], Ratio | None]) -> Column:
    return Column(name=f"{name}_share", title="share", get=get, exported=False)


def _text(name: str, title: str, get: Callable[[Any], str | None], nothing: str = "") -> Column:
    return Column(name=name, title=title, get=get, numeric=False, nothing=nothing)


def _depth_that_fits(levels: list[int]) -> int:
    deepest = max(levels)
    return next((depth for depth in range(deepest, 0, -1) if sum(level <= depth for level in levels) <= MODULE_ROWS), min(1, deepest))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _place(at: Location | None) -> str | None:
    return f"{at.file}:{at.line} {at.function}" if at else None


def _line(analysis: Analysis, span: Any) -> int | None:
    return analysis.graph.source.line(span.start) if span is not None else None


def _shape(shape: tuple[int | None, ...] | None) -> str | None:
    return None if shape is None else f"({', '.join('?' if extent is None else str(extent) for extent in shape)})"


def _value(value: AttrValue) -> str:
    return f"[{','.join(map(_value, value))}]" if isinstance(value, tuple) else str(value)
