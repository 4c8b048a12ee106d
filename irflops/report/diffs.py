"""A diff for people: the whole report for any renderer, and a comment for GitHub with the long parts folded."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TextIO

from irflops.analysis.analysis import Analysis
from irflops.analysis.named import cost_of
from irflops.differ import Diff, kinds_of
from irflops.differ.stories import told
from irflops.differ.sums import totals
from irflops.report.diff_tables import ROWS, diff_units, edit_table, module_table, phase_table, total_table, type_table, waterfall_table
from irflops.report.diff_words import counted, greatest, relative, signed
from irflops.report.numbers import format_in, format_things
from irflops.report.own import own_rule_facts
from irflops.report.sections import Report
from irflops.report.summary import short_path
from irflops.report.table import Table, arranged, printable
from irflops.report.text import left_out, write_markdown

COSTS, STRUCTURE = "costs", "structure"
ONLY = (COSTS, STRUCTURE)
"""What a report can be asked for alone."""

_UNITS = {"macs": "MACs", "flops": "FLOPs", "params": "params"}


def diff_report(diff: Diff, *, only: str | None = None, full: bool = False, failed: Sequence[str] = ()) -> Report:
    """Totals side by side, what changed, where the change comes from, modules and op types; `failed` are conditions by which it fails."""
    found = _greatest(diff)
    facts = [
        ("old", _graph(diff.old)),
        ("new", _graph(diff.new)),
        ("changes", _changes(diff)),
        ("costs", ", ".join(found) if found else "unchanged" if _is_sure(diff) else "whether they changed is not known in full"),
        *own_rule_facts(diff.own_rules),
        *[("" if number else "not compared", text) for number, text in enumerate(diff.not_compared)],
        *[("" if number else "fails", text) for number, text in enumerate(failed)],
    ]
    return Report(headline=_headline(diff), facts=facts, tables=tables(diff, only=only, full=full))


def tables(diff: Diff, *, only: str | None = None, full: bool = False) -> list[Table]:
    """The tables that have rows."""
    found: list[Table | None] = []
    if only != STRUCTURE:
        found.append(total_table(diff, full=full))
    if only != COSTS:
        edits = edit_table(diff, full=full)
        found.append(edits if full else arranged(edits, top=2 * ROWS))
    if only != STRUCTURE:
        types = type_table(diff, full=full)
        found += [
            waterfall_table(diff, full=full),
            phase_table(diff) if diff.old.graph.training or diff.new.graph.training else None,
            module_table(diff, full=full),
            types if full else arranged(types, top=ROWS),
        ]
    return [table for table in found if table is not None and table.items]


def _greatest(diff: Diff) -> list[str]:
    """The greatest relative changes among all costs, those that the modules' own lines declare too."""
    sides = dict(totals(diff.old, diff.new, diff.also))
    declared = diff.old.declared_params, diff.new.declared_params
    if declared[0] is not None and declared[1] is not None and declared != (sides["params.trainable"][0], sides["params.trainable"][1]):
        sides["declared_params"] = declared[0], declared[1]
    before = {name: cost_of(diff.old, name)[1] for name in sides}
    texts = {name: relative(*both, before[name], diff.certainty(name)) for name, both in sides.items()}
    return greatest(sides, texts)


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
    groups = len(told(diff.edits, diff.old, diff.new))
    together = f": {format_things(groups, 'change')} in all" if groups < len(diff.edits) else ""
    return ", ".join(counted(kinds_of(diff.edits))) + together


def _is_sure(diff: Diff) -> bool:
    return all(diff.certainty(name).is_exact for name in totals(diff.old, diff.new, diff.also))


MARKER = "<!-- irflops diff -->"
"""The first line of a comment, by which a bot finds the one that it is to write anew."""

_SCREEN = 10
"""Rows of what a comment shows unfolded."""


def write_github(diff: Diff, stream: TextIO, *, only: str | None = None, full: bool = False, failed: Sequence[str] = ()) -> None:
    """A comment for a pull request: what changed most and the totals, and all else folded; one line where nothing changed."""
    stream.write(f"{MARKER}\n")
    if not diff.edits and not failed and not _greatest(diff) and _is_sure(diff):
        stream.write(f"**{_escaped(_headline(diff))}**: nothing changed.\n")
        return
    most = ", ".join(_greatest(diff)) or _figures(diff)
    stream.write(f"### {_escaped(_headline(diff))}\n\n**{_escaped(most)}**\n\n{_escaped(_changes(diff))}\n")
    stream.writelines(f"\n> [!WARNING]\n> {_escaped(text)}\n" for text in failed)
    left = _SCREEN
    for table in tables(diff, only=only, full=full):
        text = io.StringIO()
        write_markdown(table, text)
        heading = f"{table.title}{left_out(table)}"
        if table.name in ("totals", "edits") and len(table.items) <= left:
            left -= len(table.items)
            stream.write(f"\n#### {heading}\n\n{text.getvalue()}")
        else:
            left = 0
            stream.write(f"\n<details><summary>{heading}</summary>\n\n{text.getvalue()}\n</details>\n")
    if diff.not_compared:
        stream.write("\n<details><summary>Not compared</summary>\n\n")
        stream.writelines(f"- {_escaped(text)}\n" for text in diff.not_compared)
        stream.write("\n</details>\n")


def _figures(diff: Diff) -> str:
    """How MACs, FLOPs and params changed, or why that is not known."""
    return ", ".join(_figure(diff, name, unit) for name, unit in _UNITS.items())


def _figure(diff: Diff, name: str, unit: str) -> str:
    """How a total changed, in words: where that is not known, what it was and is, as far as it is known."""
    units = diff_units(diff)
    old, new = (analysis.total.get(name) for analysis in (diff.old, diff.new))
    before, after = (analysis.total.certainty(name) for analysis in (diff.old, diff.new))
    sure = diff.change.certainty(name)
    if not sure.tells_direction(new - old):
        return f"change of {unit} unknown: {format_in(old, unit, units, before)} before, {format_in(new, unit, units, after)} now"
    if new == old:
        return f"{unit} unchanged"
    share = relative(old, new, before, sure)
    return signed(new - old, unit, sure, units) + (f" ({share})" if share else "")


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in text)
