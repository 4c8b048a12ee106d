"""The layer table: calls of modules in the order in which the model makes them, with what goes in and comes out."""

from __future__ import annotations

from irflops.analysis.analysis import Analysis
from irflops.analysis.layers import Layer, layers
from irflops.report.table import ESSENTIAL, Cell, Column, Table
from irflops.report.tables import cost_columns, shape_text

COLUMNS = ("input_shape", "output_shape", "kernel")
"""Columns that no other table has."""


def layer_table(analysis: Analysis, depth: int | None = None) -> Table:
    """A row per call of a module, `depth` levels below the outermost; of a training step its forward pass."""
    items = layers(analysis, depth)
    forward = analysis.phases.get("forward", analysis.total)
    whole = None if analysis.selection is None else analysis.selection.whole.phases.get("forward", analysis.selection.whole.total)
    is_repeated = any(layer.calls > 1 for layer in items)

    def text(name: str, title: str, get: object, weight: int = 1) -> Column:
        return Column(name=name, title=title, get=get, numeric=False, weight=weight)  # type: ignore[arg-type]  # a lambda of a Layer

    def params(layer: Layer) -> Cell:
        return _params(layer) if layer.call == 1 else None

    figures = cost_columns(lambda layer: layer.cost, forward, whole=whole)
    _params = next(column.get for column in figures if column.name == "params")
    columns = (
        text("path", "module", lambda layer: layer.path or "(graph)", ESSENTIAL),
        text("class", "class", lambda layer: layer.class_name),
        text("input_shape", "input shape", lambda layer: shape_text(layer.input_shape), 0),
        text("output_shape", "output shape", lambda layer: shape_text(layer.output_shape), ESSENTIAL),
        text("kernel", "kernel", lambda layer: shape_text(layer.kernel)),
        text("repeated", "call", lambda layer: f"{layer.call} of {layer.calls}" if layer.calls > 1 else None),
        Column(name="call", title="call", get=lambda layer: layer.call),
        Column(name="calls", title="calls", get=lambda layer: layer.calls),
        *(Column(name="params", title="params", get=params, weight=ESSENTIAL) if column.name == "params" else column for column in figures),
    )
    people = ("path", "class", "input_shape", "output_shape", "kernel", *["repeated"] * is_repeated, "params", "macs", "macs_share")
    notes = ("in the order of calls, each without those below it",) + ("of the forward pass alone",) * analysis.graph.training
    return Table(name="layer", title="Layers", columns=columns, items=items, people=people, tree=_in_the_tree, notes=notes)


def _in_the_tree(layer: Layer) -> tuple[int, str]:
    return layer.level, layer.label
