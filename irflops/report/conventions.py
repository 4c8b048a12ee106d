"""Tables of conventions: what a tool counts in a graph, the tools side by side, and the conventions themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from irflops.analysis.analysis import Analysis
from irflops.conventions.compare import Comparison, Reason
from irflops.conventions.registry import Answer
from irflops.conventions.rows import module_rows, type_rows
from irflops.conventions.torchstat_table import LayerRow
from irflops.counting.ratio import Ratio
from irflops.ir.tree import tree_of
from irflops.report.numbers import Figure, format_exact
from irflops.report.sections import Report
from irflops.report.summary import headline
from irflops.report.table import ESSENTIAL, Column, Table, printable

_WIDTH = 100
_BYTES_A_MB = 1024**2
CLASS_SOURCES = {
    "module_tree": "the classes of modules in the dump",
    "inferred": "classes inferred from the operators: this form has none",
}


def _text(name: str, title: str, key: str | None = None, *, prose: bool = False) -> Column:
    return Column(name=name, title=title, get=lambda row: row[key or name], numeric=False, prose=prose)


def _number(name: str, title: str) -> Column:
    return Column(name=name, title=title, get=lambda row: _cell(row[name]))


def _cell(value: int | str | None) -> Figure | str | None:
    return Figure(value) if isinstance(value, int) and value >= 0 else None if value is None else spelled_number(value)


def spelled_number(value: int | str | Fraction) -> str:
    """A number with its sign where it is negative, thousands apart; parts of one as a fraction."""
    fraction = Fraction(value)
    if fraction.denominator != 1:
        return str(fraction)
    return f"{'-' if fraction < 0 else ''}{abs(fraction.numerator):,}"


def answer_report(analysis: Analysis, answer: Answer) -> Report:
    """What a tool would print, and by what."""
    convention = answer.convention
    if answer.total is not None:
        total = format_exact(answer.total) if answer.total < 10**12 else f"{answer.total:,}"
    else:
        total = f"none: it raises {answer.raises}" if answer.raises else f"cannot be known: {answer.unknown}"
    facts = [
        ("convention", f"{convention.name}: {convention.figure}"),
        ("tool", f"{convention.tool} {convention.version}"),
        ("counts", f"{convention.unit}, by {convention.counts_by}"),
        ("total", total),
        ("known from", CLASS_SOURCES[answer.source]),
        ("leaves out", convention.ignores),
    ]
    tables = [type_answer_table(answer)] if answer.contributions else []
    return Report(headline=headline(analysis), facts=facts, tables=tables, notes=list(convention.errors))


def type_answer_table(answer: Answer) -> Table:
    """A row per class of module or kind of step."""
    columns = (_text("type", "type"), _number("count", "calls"), _number("total", answer.convention.name))
    return Table(name="type", title="By type", columns=columns, items=type_rows(answer), people=("type", "count", "total"))


def module_answer_table(analysis: Analysis, answer: Answer, depth: int | None = None) -> Table:
    """A row per module with all below it."""
    rows = module_rows(answer, analysis.graph)
    tree = tree_of(row["path"] for row in rows)
    levels = dict(tree.walk())
    shown = [row for row in rows if depth is None or levels[row["path"]] <= depth]

    def label(row: Mapping[str, Any]) -> tuple[int, str]:
        return levels[row["path"]], tree.label(row["path"]) or "(graph)"

    columns = (_text("path", "module"), _text("class", "class"), _number("total", answer.convention.name))
    return Table(name="module", title="Modules", columns=columns, items=shown, people=("path", "class", "total"), tree=label)


def torchstat_table(rows: Sequence[LayerRow]) -> Table:
    """The table that torchstat prints, without what it measures."""

    def shape(extents: tuple[int | None, ...] | None) -> str:
        return "" if extents is None else " ".join("?" if extent is None else str(extent) for extent in extents)

    def number(name: str, title: str) -> Column:
        return Column(name=name, title=title, get=lambda row: getattr(row, name))

    columns = (
        Column(name="name", title="module name", get=lambda row: row.name, numeric=False),
        Column(name="input_shape", title="input shape", get=lambda row: shape(row.input_shape), numeric=False),
        Column(name="output_shape", title="output shape", get=lambda row: shape(row.output_shape), numeric=False),
        number("params", "params"),
        Column(name="memory", title="memory(MB)", get=lambda row: _megabytes(row.memory_bytes), numeric=True),
        number("madd", "MAdd"),
        number("flops", "Flops"),
        number("mem_read", "MemRead(B)"),
        number("mem_write", "MemWrite(B)"),
        number("mem_total", "MemR+W(B)"),
    )
    return Table(name="module", title="torchstat", columns=columns, items=rows, people=tuple(column.name for column in columns))


def _megabytes(count: int | None) -> str | None:
    if count is None:
        return None
    hundredths = (count * 200 + _BYTES_A_MB) // (2 * _BYTES_A_MB)
    return f"{hundredths // 100}.{hundredths % 100:02}"


@dataclass(frozen=True, slots=True)
class Twins:
    """Conventions whose tools print the same of a graph, for the same reasons: one row."""

    names: str
    first: Comparison


def twins(found: Sequence[Comparison]) -> list[Twins]:
    """Comparisons with those together that are twins, in the order of the first of them."""
    groups: list[list[Comparison]] = []
    for comparison in found:
        own = next((group for group in groups if group[0].is_twin(comparison)), None)
        if own is not None:
            own.append(comparison)
        else:
            groups.append([comparison])
    return [Twins(", ".join(one.convention.name for one in group), group[0]) for group in groups]


def crash_notes(found: Sequence[Twins]) -> list[str]:
    """Which tools end with an exception or cannot be answered for, and why."""
    notes = []
    for row in found:
        answer = row.first.answer
        if answer.raises:
            at = f" at {answer.raised_at}" if answer.raised_at else ""
            notes.append(f"{row.names} crashes on the code of this graph{at}: {answer.raises}")
        elif answer.unknown:
            notes.append(f"{row.names} cannot be answered for: {answer.unknown}")
    return notes


def comparison_table(found: Sequence[Comparison], rows: Sequence[Twins] | None = None) -> Table:
    """A row per convention, or per group of twins."""

    def total(row: Comparison) -> Figure | str:
        return Figure(row.answer.total) if row.answer.total is not None else "crashes" if row.answer.raises else "unknown"

    def difference(row: Comparison) -> str | None:
        return None if row.difference is None else f"{row.difference:+,}" if row.difference else "0"

    names = {id(row.first): row.names for row in rows or ()}
    columns = (
        Column(name="convention", title="convention", get=lambda row: names.get(id(row), row.convention.name), numeric=False),
        Column(name="figure", title="figure", get=lambda row: row.convention.figure, numeric=False, prose=True),
        Column(name="unit", title="unit", get=lambda row: row.convention.unit, numeric=False, prose=True),
        Column(name="total", title="total", get=total, weight=ESSENTIAL),
        Column(name="difference", title="difference", get=difference, numeric=True, weight=ESSENTIAL),
        Column(name="ratio", title="of irflops'", get=lambda row: None if row.answer.total is None else Ratio(row.answer.total, row.ours)),
        Column(
            name="compared_with",
            title="",
            get=lambda row: row.convention.basis.replace("activation_elements", "activations"),
            numeric=False,
        ),
        Column(name="irflops", title="irflops", get=lambda row: Figure(row.ours, row.certainty)),
        Column(name="raises", title="raises", get=lambda row: row.answer.raises, numeric=False),
    )
    people = ("convention", "total", "difference", "ratio", "compared_with", "irflops", "unit")
    items = [row.first for row in rows] if rows is not None else found
    return Table(name="convention", title="Conventions", columns=columns, items=items, people=people)


def reason_table(found: Sequence[tuple[str, Reason]], title: str, tool: str = "tool", ours: str = "irflops") -> Table:
    """A row per reason, under the convention that it is for."""
    columns = (
        Column(name="convention", title="convention", get=lambda row: row[0], numeric=False),
        Column(name="effect", title="effect", get=lambda row: row[1].effect, numeric=False),
        Column(
            name="type",
            title="type",
            get=lambda row: row[1].type + (f" ({row[1].phase.value})" if _is_named(row[1]) else ""),
            numeric=False,
            weight=ESSENTIAL,
        ),
        Column(name="count", title="calls", get=lambda row: row[1].count, weight=0),
        Column(name="irflops", title=ours, get=lambda row: Figure(row[1].ours), weight=0),
        Column(name="tool", title=tool, get=lambda row: spelled_number(row[1].theirs), numeric=True, weight=1),
        Column(name="difference", title="difference", get=lambda row: spelled_number(row[1].difference), numeric=True, weight=ESSENTIAL),
        Column(name="formula", title="the tool's rule", get=lambda row: row[1].formula, numeric=False, prose=True),
    )
    return Table(name="reason", title=title, columns=columns, items=found, people=tuple(column.name for column in columns))


def _is_named(reason: Reason) -> bool:
    return reason.phase is not None and reason.phase.value != "forward"


def conventions_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row per convention."""
    columns = (
        _text("name", "convention"),
        _text("tool", "tool"),
        _text("version", "version"),
        _text("figure", "figure"),
        _text("unit", "unit", prose=True),
        _text("counts_by", "counts by"),
        _text("batch", "batch"),
    )
    return Table(
        name="conventions", title="Conventions", columns=columns, items=rows, people=("name", "tool", "unit", "counts_by", "batch")
    )


def convention_text(row: Mapping[str, Any]) -> str:
    """All that is known of one convention, for people."""
    lines = [f"{row['name']}: {row['tool']} {row['version']}", ""]
    facts = [
        ("figure", "figure"),
        ("unit", "unit"),
        ("counts by", "counts_by"),
        ("batch", "batch"),
        ("leaves out", "ignores"),
        ("source", "source"),
    ]
    for label, key in facts:
        lines += _labelled(label, row[key])
    for error in row["errors"]:
        lines += _labelled("known fault", error)
    for title, key in (("Modules", "modules"), ("Operators", "operators")):
        if row[key]:
            lines += ["", f" {title}"]
        for rule in row[key]:
            lines += textwrap.wrap(", ".join(rule["names"]), _WIDTH, initial_indent="  ", subsequent_indent="  ")
            lines += textwrap.wrap(rule["formula"], _WIDTH, initial_indent="      ", subsequent_indent="      ")
    if row["modules"] or row["operators"]:
        lines += ["", f" Whatever else: {row['unknown_operator']}"]
    return "".join(f"{printable(line)}\n" for line in lines)


def _labelled(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f" {label:<13}", subsequent_indent=" " * 14, break_on_hyphens=False)
