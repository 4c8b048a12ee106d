"""One operator, explained to people."""

from __future__ import annotations

from irflops.conventions.layer_forms import FORMULAS
from irflops.counting.ratio import Ratio
from irflops.explaining.explanation import Explanation, Tensor
from irflops.ir.graph import AttrValue
from irflops.report.numbers import Figure, format_count, format_exact, format_share
from irflops.report.summary import reason
from irflops.report.table import Column, Table, printable

_UNITS = {"macs": "MACs", "flops": "FLOPs", "transcendentals": "transcendentals"} | dict.fromkeys(
    ("bytes_read", "bytes_written", "activation_bytes", "saved_bytes"), "bytes"
)
_WORDS = {
    "macs": "MACs",
    "flops": "FLOPs",
    "transcendentals": "transcend.",
    "bytes_read": "read",
    "bytes_written": "written",
    "activation_bytes": "activations",
    "saved_bytes": "saved",
}


Facts = list[tuple[str, str]]
"""Labels and texts."""


def explanation_facts(found: Explanation) -> Facts:
    """Where it stands, how it is counted, and what comes out; operands and conventions are tables of their own."""
    op, analysis = found.op, found.analysis
    lines: Facts = []
    lines += _labelled("type", op.type or f"one of {', '.join(op.type_candidates)}")
    place = analysis.line(op)
    lines += _labelled("stands", f"{analysis.graph.source.name}{f':{place}' if place is not None else ''}")
    if op.location is not None:
        lines += _labelled("written", f"{op.location.file}:{op.location.line} in {op.location.function}")
    module = next((module for module in analysis.graph.modules if module.path == op.module), None)
    lines += _labelled("module", f"{op.module or '(graph)'}{f': {module.text}' if module is not None and module.text else ''}")
    phase = op.phase.value if op.phase else "unknown"
    lines += _labelled("phase", phase if op.runs == 1 else f"{phase}, runs {op.runs} times in a step")
    if found.step is not None and (len(found.step.ops) > 1 or found.step.kind != op.type):
        others = [analysis.graph.ops[index].name for index in found.step.ops if index != found.index]
        lines += _labelled("part of", f"{found.step.kind}{f', with {_some(others)}' if others else ''}")
    lines += _attributes(found)
    if found.rule is None:
        lines += _labelled("formula", "none: irflops has no rule for the type; in irflops.toml these lines can say how it is counted")
        lines += [("to paste" if not number else "", line) for number, line in enumerate(found.advice)]
    else:
        lines += _labelled("does", found.rule.summary)
        lines += _labelled("formula", found.rule.formula)
        lines += _labelled("by", found.by) if found.by else []
        lines += _labelled("in numbers", found.numbers or "")
        lines += _labelled("leaves out", found.rule.ignores) if found.rule.ignores else []
    return lines


def _attributes(found: Explanation) -> Facts:
    lines: Facts = []
    by_source: dict[str, list[str]] = {}
    for attribute in found.attributes:
        if attribute.known_from is not None:
            by_source.setdefault(attribute.known_from, []).append(f"{attribute.name}={_value(attribute.value)}")
    for known_from, texts in by_source.items():
        lines += _labelled("attributes", f"{', '.join(texts)} (from {known_from})")
    missing = [attribute.name for attribute in found.attributes if attribute.known_from is None]
    return lines + (_labelled("not told", ", ".join(missing)) if missing else [])


def cost_facts(found: Explanation) -> Facts:
    """What it costs, and the part of the graph that this is."""
    facts: Facts = []
    cost, total = found.cost, found.analysis.total
    for name, unit in _UNITS.items():
        if not cost.is_known(name):
            facts.append((_WORDS[name], f"unknown: {reason(found.found.reason or '')}"))
            continue
        value = cost.get(name)
        share = format_share(Ratio(value, total.get(name)))
        scaled = f" ({format_count(value, unit if unit != 'transcendentals' else '')})" if value >= 1000 else ""
        exact = format_exact(value) if value < 10**12 else f"{value:,}"
        part = f", {share} of the graph" if share and value else ""
        facts.append((_WORDS[name], f"{exact}{scaled}{part}"))
    return facts


def tensor_table(found: Explanation) -> Table:
    """A row per operand and result."""

    def bytes_of(tensor: Tensor) -> str:
        moved = [f"{value:,} {word}" for value, word in ((tensor.bytes_read, "read"), (tensor.bytes_written, "written")) if value]
        return ", ".join(moved) or ("unknown" if tensor.bytes_read is None else "0")

    columns = (
        Column(name="role", title="", get=lambda t: t.role, numeric=False),
        Column(
            name="arg", title="argument", get=lambda t: t.operand.arg + (f"[{t.operand.index}]" if t.operand.index else ""), numeric=False
        ),
        Column(name="type", title="type", get=lambda t: str(t.type), numeric=False),
        Column(name="sbp", title="sbp", get=lambda t: ", ".join(map(str, t.operand.nd_sbp)) if t.operand.nd_sbp else None, numeric=False),
        Column(name="bytes", title="bytes moved", get=bytes_of, numeric=True),
        Column(name="known_from", title="shape from", get=lambda t: t.known_from, numeric=False),
        Column(name="made_by", title="made by", get=lambda t: t.maker, numeric=False),
    )
    return Table(name="tensor", title="Operands and results", columns=columns, items=found.tensors, people=tuple(c.name for c in columns))


def answer_table(found: Explanation) -> Table:
    """A row per convention."""

    def value(row: object) -> str:
        counted = getattr(row, "value", None)
        return "-" if counted is None else f"{counted:,}" if isinstance(counted, int) else str(counted)

    columns = (
        Column(name="name", title="convention", get=lambda v: v.convention.name, numeric=False),
        Column(name="value", title="counts", get=value, numeric=True),
        Column(name="why", title="why", get=lambda v: v.why, numeric=False, prose=True),
    )
    return Table(name="convention", title="By other counters", columns=columns, items=found.conventions, people=("name", "value", "why"))


def layer_table(found: Explanation) -> Table:
    """A row per formula of articles: none where the operator is of no convolution or linear layer."""
    layer = found.layer
    columns = (
        Column(name="formula", title="formula", get=lambda form: form.formula, numeric=False),
        Column(name="flops", title="FLOPs", get=lambda form: Figure(layer.value(form)) if layer is not None else None),
        Column(
            name="difference",
            title="counted less it",
            get=lambda form: f"{layer.flops - layer.value(form):+,}" if layer is not None else None,
        ),
        Column(name="why", title="which is", get=lambda form: form.why, numeric=False, prose=True),
    )
    title = ""
    if layer is not None:
        bias = "its bias among them" if layer.bias else "no bias"
        title = f"By the formulas of articles: n = {layer.taps:,} taps, N = {layer.outputs:,} outputs; {layer.flops:,} counted, {bias}"
    items = FORMULAS if layer is not None else ()
    return Table(name="layer", title=title, columns=columns, items=items, people=tuple(column.name for column in columns))


def _labelled(label: str, text: str) -> Facts:
    return [(label, printable(text))]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _value(value: AttrValue) -> str:
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, tuple) else str(value)
