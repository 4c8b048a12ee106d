"""`irflops forms`: a graph beside the closed forms of transformers, and the difference term by term."""

from __future__ import annotations

import click

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.analysis.rows import Row, source_row
from irflops.cli.options import MAX_SIZE_OPTION, OUTPUT_OPTION, with_config
from irflops.cli.tables import write_report, write_table
from irflops.cli.what_if import WhatIfOptions, what_if_options
from irflops.configuration.config import Config
from irflops.readers import load
from irflops.report.closed_forms import BY, closed_forms_report, closed_forms_table
from irflops.report.json_writer import write_members
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.summary import short_path
from irflops.teaching import book_of
from irflops.transformers.closed_forms import ClosedForms

SCHEMA = "irflops.forms/1"
"""Name and version of the JSON form."""

EPILOG = """\b
Examples:
  irflops forms graph.txt                      its structure, 6 T P and other forms, and what makes the difference
  irflops forms graph.txt --context-length 4096
  irflops forms graph.txt --batch 64 --format json
  irflops forms graph.txt --by term --format csv
"""


@click.command(epilog=EPILOG)
@click.argument("path")
@click.option("--by", type=click.Choice(BY), help="Show one table alone.  [default: all of them; csv: term]")
@click.option("--format", "format_", type=click.Choice(("table", "json", "csv", "markdown")), default="table", show_default=True)
@OUTPUT_OPTION
@click.option(
    "--context-length",
    type=click.IntRange(min=1, max=10**12),
    metavar="N",
    help="Serve with N tokens before in each sequence.  [default: as captured]",
)
@click.option("--graph", metavar="NAME|N", help="Which graph, where a file holds several.")
@MAX_SIZE_OPTION
@with_config
@what_if_options(mesh=False)
@click.option("-q", "--quiet", is_flag=True, help="No sign of progress on standard error.")
def forms(
    path: str,
    by: str | None,
    format_: str,
    output: str | None,
    context_length: int | None,
    graph: str | None,
    max_size: int,
    config: Config,
    what_if: WhatIfOptions,
    quiet: bool,
) -> None:
    """Hold PATH against the closed forms of transformers.

    Its structure as the graph alone tells it, with the lines where; its own count; 6 T P and the forms of papers, each with what makes
    the difference, term by term and to the unit; and what serving takes.
    """
    refuse_to_overwrite(output, [path])
    with sign_of_life(f"analyzing {short_path(path)}", quiet):
        found, book = what_if.applied(load(path, graph, max_size=max_size), book_of(config))
        analysis = analyze_graph(found, book)
        closed = analysis.closed_forms(context_length)
    with results_to(output) as stream:
        if format_ == "json":
            write_members(_members(analysis, closed).items(), stream)
        elif by is not None or format_ == "csv":
            write_table(closed_forms_table(closed, by or "term"), format_, stream)
        else:
            write_report(closed_forms_report(analysis, closed), format_, stream)


def _members(analysis: Analysis, closed: ClosedForms) -> Row:
    graph = analysis.graph
    head = {"name": graph.name, "class": graph.class_name, "training": graph.training}
    return {"schema": SCHEMA, "source": source_row(graph), "graph": head, "closed_forms": closed.to_dict(), "missing": closed.missing}
