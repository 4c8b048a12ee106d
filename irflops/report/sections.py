"""The whole report: what a user sees who asks for nothing in particular. A value, drawn by any renderer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from irflops.analysis.analysis import Analysis
from irflops.errors import IrflopsError
from irflops.report.devices import device_table
from irflops.report.layers import layer_table
from irflops.report.summary import facts, headline, model_of, model_table, units_of
from irflops.report.table import Table, arranged, printable
from irflops.report.tables import (
    class_table,
    disagreement_table,
    location_table,
    module_table,
    op_table,
    phase_table,
    step_table,
    type_table,
    unknown_table,
)

TOP = 20
"""Rows of a table of operators or op types unless the user says otherwise."""

HEAVIEST = 10
"""Operators in the whole report."""

BY = ("summary", "module", "layer", "class", "op", "type", "step", "phase", "location")
"""What `--by` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user wants to see of an analysis."""

    depth: int | None = None
    top: int | None = None
    sort: str | None = None
    columns: Sequence[str] = ()
    full: bool = False
    """Whether equal parts are shown one by one, and what costs nothing too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A headline, facts and tables, and notes below."""

    headline: str
    facts: Sequence[tuple[str, str]]
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()


def summary_report(analysis: Analysis) -> Report:
    """What the graph is and costs, without a table."""
    return Report(headline=headline(analysis), facts=facts(analysis), notes=notes_of(analysis))


def whole_report(analysis: Analysis, wish: Wish) -> Report:
    """Summary, phases of a training step, module tree, heaviest operators, op types, and what is unknown or disagrees."""
    tables = [
        *([device_table(analysis.devices)] if analysis.is_spread else []),
        phase_table(analysis),
        module_table(analysis, wish.depth, fold=not wish.full),
        arranged(op_table(analysis, fold=not wish.full), top=wish.top or HEAVIEST),
        arranged(type_table(analysis, fold=not wish.full), top=wish.top or TOP),
        arranged(unknown_table(analysis), top=wish.top or TOP),
        arranged(disagreement_table(analysis), top=wish.top or TOP),
    ]
    return Report(
        headline=headline(analysis),
        facts=facts(analysis),
        tables=[in_units(table, analysis) for table in tables if len(table.items) > (1 if table.name == "phase" else 0)],
        notes=notes_of(analysis),
    )


def table_by(analysis: Analysis, by: str, wish: Wish, *, whole: bool = False) -> Table:
    """The table that `--by` names; with `whole`, nothing is cut off that the user did not ask to be cut off."""
    top, fold = wish.top, not (whole or wish.full or wish.sort)
    if by == "summary":
        table = model_table([model_of(analysis.graph.source.name, analysis)])
    elif by == "module":
        table = module_table(analysis, 1 << 30 if whole and wish.depth is None else wish.depth, fold=fold)
    elif by == "layer":
        table = layer_table(analysis, wish.depth)
    elif by == "class":
        table, top = class_table(analysis), top or (None if whole else TOP)
    elif by == "op":
        table, top = op_table(analysis, fold=not (whole or wish.full)), top or (None if whole else TOP)
    elif by == "type":
        table, top = type_table(analysis, fold=fold), top or (None if whole else TOP)
    elif by == "step":
        table, top = step_table(analysis), top or (None if whole else TOP)
    elif by == "phase":
        table = phase_table(analysis)
    elif by == "location":
        table, top = location_table(analysis), top or (None if whole else TOP)
    else:
        raise IrflopsError(f"there is no table by {by!r}", hint=f"--by takes {', '.join(BY)}")
    return in_units(arranged(table, sort=wish.sort, top=top, columns=wish.columns), analysis)


def in_units(table: Table, analysis: Analysis) -> Table:
    """The table with its figures in the units of the report on the analysis."""
    return replace(table, units=units_of(analysis.total))


def notes_of(analysis: Analysis) -> list[str]:
    """What a reader of the figures should know, with the lines of the file."""
    line = analysis.graph.source.line
    notes = (*analysis.notes, *(analysis.devices.notes if analysis.is_spread else ()))
    return [printable(note.text) + (f" (line {line(note.span.start)})" if note.span else "") for note in notes]
