"""`irflops compare`: what other counters would print, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TextIO

import click

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.cli.options import GRAPH_OPTION, MAX_SIZE_OPTION, OUTPUT_OPTION, QUIET_OPTION, Grouped, names_of, with_config
from irflops.cli.tables import write_report, write_table
from irflops.cli.what_if import WhatIfOptions, what_if_options
from irflops.configuration.config import Config
from irflops.conventions.compare import SCHEMA, Comparison, between, compare_analysis
from irflops.conventions.registry import CONVENTIONS, USUAL, convention_called
from irflops.readers import load
from irflops.report.conventions import Twins, comparison_table, crash_notes, reason_table, twins
from irflops.report.json_writer import encoded
from irflops.report.numbers import format_exact
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.own import own_rule_facts
from irflops.report.sections import Report
from irflops.report.summary import headline, short_path
from irflops.report.table import Table
from irflops.teaching import book_of

_FOR_PEOPLE = ("table", "markdown")
FORMATS = ("table", "json", "markdown", "csv", "latex")

EPILOG = """\b
Examples:
  irflops compare graph.txt
  irflops compare graph.txt --with fvcore,thop
  irflops compare graph.txt --with all
  irflops compare graph.txt --with flowflops-eager,flowflops-graph
  irflops compare graph.txt --reasons --format csv
  irflops compare graph.txt --batch 8 --with fvcore
"""


class _Compare(Grouped):
    groups = (
        ("names", "What to show"),
        ("format_", "How to write it"),
        ("graph", "What to read"),
        ("batch", "What if"),
        ("quiet", "Other options"),
    )


@click.command(cls=_Compare, epilog=EPILOG)
@click.argument("path", type=click.Path())
@click.option(
    "--with",
    "names",
    callback=names_of,
    default="",
    metavar="A,B",
    help="Conventions to compare with, or all.  [default: those asked for most; all of them in csv, json, latex]",
)
@click.option("--reasons", is_flag=True, help="The reasons alone, of csv and latex too.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True, help="How to write the result.")
@OUTPUT_OPTION
@GRAPH_OPTION
@MAX_SIZE_OPTION
@with_config
@what_if_options()
@QUIET_OPTION
def compare(
    path: str,
    names: tuple[str, ...],
    reasons: bool,
    format_: str,
    output: str | None,
    graph: str | None,
    max_size: int,
    config: Config,
    what_if: WhatIfOptions,
    quiet: bool,
) -> None:
    """Tell what other counters print for PATH, and why.

    Under each figure stand its reasons: what the tool adds, leaves out or counts otherwise, so that irflops' count and the reasons make the
    tool's figure exactly. With two conventions, what the second has that the first has not.
    """
    if not names and format_ in _FOR_PEOPLE:
        names = USUAL
    wanted = CONVENTIONS if names in ((), ("all",)) else tuple(map(convention_called, names))
    refuse_to_overwrite(output, [path])
    with sign_of_life(f"analyzing {short_path(path)}", quiet):
        analysis = analyze_graph(*what_if.applied(load(path, graph, max_size=max_size), book_of(config)))
        found = compare_analysis(analysis, wanted)
    with results_to(output) as stream:
        if format_ == "json":
            _write_json(analysis, found, stream)
            return
        if format_ not in _FOR_PEOPLE:
            write_table(_reason_table(twins(found)) if reasons else comparison_table(found), format_, stream)
            return
        rows = twins(found)
        tables = ([] if reasons else [comparison_table(found, rows)]) + _reason_tables(analysis, found, rows)
        notes = crash_notes(rows)
        if len(wanted) < len(CONVENTIONS):
            notes.append(f"{len(CONVENTIONS)} conventions are known: --with all shows each, irflops conventions explains them")
        write_report(
            Report(headline=headline(analysis), facts=_facts(analysis) + own_rule_facts(analysis.own_rules), tables=tables, notes=notes),
            format_,
            stream,
        )


def _facts(analysis: Analysis) -> list[tuple[str, str]]:
    total = analysis.total
    macs, flops = (format_exact(total.get(name), total.certainty(name)) for name in ("macs", "flops"))
    return [("read from", analysis.graph.source.name), ("irflops", f"{macs} MACs, {flops} FLOPs")]


def _reason_table(rows: Sequence[Twins]) -> Table:
    return reason_table([(row.names, reason) for row in rows for reason in row.first.reasons], "Why they are not irflops' figures")


def _reason_tables(analysis: Analysis, found: tuple[Comparison, ...], rows: Sequence[Twins]) -> list[Table]:
    tables = [_reason_table(rows)]
    if len(found) == 2:
        one, other = (c.answer for c in found)
        names = one.convention.name, other.convention.name
        reasons = [(names[1], reason) for reason in between(analysis, one, other)]
        tables.append(reason_table(reasons, f"From {names[0]} to {names[1]}", tool=names[1], ours=names[0]))
    return [table for table in tables if table.items]


def _write_json(analysis: Analysis, found: tuple[Comparison, ...], stream: TextIO) -> None:
    graph = analysis.graph
    head = {"schema": SCHEMA, "source": {"path": graph.source.name, "format": graph.format}, "graph": graph.name}
    figures = {name: analysis.total.get(name) for name in ("macs", "flops", "activation_elements")}
    rows = ",\n".join(encoded(c.to_dict()) for c in found)
    stream.write(f'{encoded(head)[:-1]},\n"irflops":{encoded(figures)},\n"conventions":[\n{rows}\n]')
    if len(found) == 2:
        reasons = [reason.to_dict() for reason in between(analysis, found[0].answer, found[1].answer)]
        stream.write(f',\n"between":{encoded(reasons)}')
    stream.write(f',\n"own_rules":{encoded([asdict(one) for one in analysis.own_rules])}}}\n')
