"""One module, explained to people: what it is, how it is called, what it holds and what that costs."""

from __future__ import annotations

from irflops.analysis.analysis import Analysis
from irflops.analysis.layers import Layer, layers
from irflops.ir.graph import Module, Shape
from irflops.report.layers import layer_table
from irflops.report.sections import HEAVIEST, Report, in_units, notes_of
from irflops.report.summary import part_facts
from irflops.report.table import arranged, printable
from irflops.report.tables import op_table, phase_table, shape_text

_CALLS = 4
"""Calls that a module's facts list."""


def module_report(part: Analysis, path: str) -> Report:
    """Of an analysis of one module and what is below it: its calls, its costs as shares of the graph, its layers and operators."""
    module = next((module for module in part.graph.modules if module.path == path), None)
    called = [layer for layer in layers(part, 0) if layer.path == path]
    facts = [*_place(part, module), *_calls(called), *_params(module), *part_facts(part)]
    tables = [
        phase_table(part),
        layer_table(part, 1),
        arranged(op_table(part, fold=True), top=HEAVIEST),
    ]
    shown = [in_units(table, part) for table in tables if len(table.items) > (1 if table.name in ("phase", "layer") else 0)]
    return Report(headline=printable(path), facts=facts, tables=shown, notes=notes_of(part))


def _place(part: Analysis, module: Module | None) -> list[tuple[str, str]]:
    source = part.graph.source
    line = f":{source.line(module.span.start)}" if module is not None and module.span is not None else ""
    facts = [("stands", f"{printable(source.name)}{line}")]
    if module is not None and (module.text or module.class_name):
        facts.append(("is", printable(module.text or module.class_name or "")))
    return facts


def _calls(called: list[Layer]) -> list[tuple[str, str]]:
    """What each call takes and gives."""
    texts = [f"{_shape(one.input_shape)} -> {_shape(one.output_shape)}" for one in called]
    counted = f"{len(called)} times: " if len(called) > 1 else ""
    more = f" and {len(called) - _CALLS} more" if len(called) > _CALLS else ""
    return [("called", f"{counted}{'; '.join(texts[:_CALLS])}{more}")] if texts else []


def _params(module: Module | None) -> list[tuple[str, str]]:
    """Its own parameters and buffers, as its lines declare them."""
    if module is None or not module.parameters:
        return []
    texts = [
        f"{printable(one.name.rpartition('.')[2])} {_shape(one.type.shape)}{f', tied to {one.tied_to}' if one.tied_to else ''}"
        for one in module.parameters
    ]
    return [("holds", "; ".join(texts))]


def _shape(shape: Shape | None) -> str:
    """A shape that no line breaks."""
    return (shape_text(shape) or "?").replace(", ", ",")
