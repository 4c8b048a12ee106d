"""A diff for people: the whole report for any renderer, and a comment for GitHub with the long parts folded."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TextIO

from irflops.analysis.analysis import Analysis
from irflops.differ import Diff, kinds_of
from irflops.differ.sums import folded
from irflops.report.diff_tables import ROWS, edit_table, module_table, phase_table, total_table, type_table, waterfall_table
from irflops.report.diff_words import counted, relative, signed
from irflops.report.numbers import format_count, format_things
from irflops.report.sections import Report
from irflops.report.summary import short_path
from irflops.report.table import Table, arranged, printable
from irflops.report.text import write_markdown

COSTS, STRUCTURE = "costs", "structure"
ONLY = (COSTS, STRUCTURE)
"""What a report can be asked for alone."""

_UNITS = {"macs": "MACs", "flops": "FLOPs", "params": "params"}


def diff_report(diff: Diff, *, only: str | None = None, full: bool = False, failed: Sequence[str] = ()) -> Report:
    """Totals side by side, what changed, where the change comes from, modules and op types; `failed` are conditions by which it fails."""
    facts = [
        ("old", _graph(diff.old)),
        ("new", _graph(diff.new)),
        ("changes", _changes(diff)),
        *[("" if number else "not compared", text) for number, text in enumerate(diff.not_compared)],
        *[("" if number else "fails", text) for number, text in enumerate(failed)],
    ]
    return Report(headline=_headline(diff), facts=facts, tables=tables(diff, only=only, full=full))


def tables(diff: Diff, *, only: str | None = None, full: bool = False) -> list[Table]:
    """The tables that have rows."""
    found: list[Table | None] = []
    if only != STRUCTURE:
        found.append(total_table(diff))
    if only != COSTS:
        edits = edit_table(diff, full=full)
        found.append(edits if full else arranged(edits, top=2 * ROWS))
    if only != STRUCTURE:
        types = type_table(diff)
        found += [
            waterfall_table(diff, full=full),
            phase_table(diff) if diff.old.graph.training or diff.new.graph.training else None,
            module_table(diff, full=full),
            types if full else arranged(types, top=ROWS),
        ]
    return [table for table in found if table is not None and table.items]


def _headline(diff: Diff) -> str:
    old, new = (printable(short_path(analysis.graph.source.name)) for analysis in (diff.old, diff.new))
    return f"{old} -> {new}" if old != new else f"{printable(diff.old.graph.source.name)} -> {printable(diff.new.graph.source.name)}"


def _graph(analysis: Analysis) -> str:
    graph = analysis.graph
    name = printable(graph.class_name or graph.name or "a graph without a name")
    batch = "" if analysis.batch is None else f", batch {analysis.batch:,}"
    operators = format_things(len(graph.ops), "operator")
    ranks = f", {analysis.ranks:,} ranks" if analysis.is_spread else ""
    return f"{printable(graph.source.name)}: {name}, {'training' if graph.training else 'inference'}{batch}, {operators}{ranks}"


def _changes(diff: Diff) -> str:
    if not diff.edits:
        return "none"
    groups = len(folded(diff.edits))
    together = f"; {format_things(groups, 'different change')} in all" if groups < len(diff.edits) else ""
    return ", ".join(counted(kinds_of(diff.edits))) + together


def write_github(diff: Diff, stream: TextIO, *, only: str | None = None, full: bool = False, failed: Sequence[str] = ()) -> None:
    """A comment for a pull request: one line that says it all, then tables, the long ones folded."""
    figures = [_figure(diff, name, unit) for name, unit in _UNITS.items()]
    verdict = "no change" if not diff.edits else _changes(diff)
    stream.write(f"### {_escaped(_headline(diff))}\n\n**{_escaped(', '.join(figures))}**\n\n{_escaped(verdict)}\n")
    stream.writelines(f"\n> [!WARNING]\n> {_escaped(text)}\n" for text in failed)
    for number, table in enumerate(tables(diff, only=only, full=full)):
        text = io.StringIO()
        write_markdown(table, text)
        left_out = "" if table.total is None else f", {len(table.items):,} of {table.total:,}"
        heading = f"{table.title}{left_out}"
        if number < 2 and len(table.items) <= ROWS:
            stream.write(f"\n#### {heading}\n\n{text.getvalue()}")
        else:
            stream.write(f"\n<details><summary>{heading}</summary>\n\n{text.getvalue()}\n</details>\n")
    if diff.not_compared:
        stream.write("\n<details><summary>Not compared</summary>\n\n")
        stream.writelines(f"- {_escaped(text)}\n" for text in diff.not_compared)
        stream.write("\n</details>\n")


def _figure(diff: Diff, name: str, unit: str) -> str:
    """How a total changed, in words: where that is not known, what it was and is, as far as it is known."""
    old, new = (analysis.total.get(name) for analysis in (diff.old, diff.new))
    before, after = (analysis.total.certainty(name) for analysis in (diff.old, diff.new))
    sure = diff.change.certainty(name)
    if not sure.tells_direction(new - old):
        return f"change of {unit} unknown: {format_count(old, unit, before)} before, {format_count(new, unit, after)} now"
    if new == old:
        return f"{unit} unchanged"
    share = relative(old, new, before, sure)
    return signed(new - old, unit, sure) + (f" ({share})" if share else "")


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in text)
