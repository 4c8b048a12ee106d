"""`irflops scale`: the totals of a graph as functions of its batch, or of an extent of its input."""

from __future__ import annotations

import click

from irflops.analysis.scale import scaling
from irflops.cli.inputs import templates_of
from irflops.cli.options import MAX_SIZE_OPTION, OUTPUT_OPTION
from irflops.cli.tables import write_table
from irflops.readers import load
from irflops.report.json_writer import encoded
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.scaling import sample_table, scaling_facts, scaling_table
from irflops.report.summary import short_path

EPILOG = """\b
Examples:
  irflops scale graph.txt --batch
  irflops scale graph.txt --input 1x3xNxN
"""


@click.command(epilog=EPILOG)
@click.argument("path")
@click.option("--batch", is_flag=True, help="As functions of the batch: axis 0 of the first input, and of those like it.")
@click.option(
    "--input",
    "template",
    multiple=True,
    callback=templates_of,
    metavar="[NAME=]SHAPE",
    help="As functions of a letter in a shape: 1x3xNxN. NAME where there are several inputs.",
)
@click.option("--format", "format_", type=click.Choice(("table", "json", "csv", "markdown")), default="table", show_default=True)
@OUTPUT_OPTION
@click.option("--graph", metavar="NAME|N", help="Which graph, where a file holds several.")
@MAX_SIZE_OPTION
@click.option("-q", "--quiet", is_flag=True, help="No sign of progress on standard error.")
def scale(
    path: str,
    batch: bool,
    template: tuple[str, dict[str | None, tuple[int | None, ...]]],
    format_: str,
    output: str | None,
    graph: str | None,
    max_size: int,
    quiet: bool,
) -> None:
    """Tell how the totals of the graph in PATH grow.

    Each total is the polynomial of least degree, up to 4, that gives seven analyses exactly; where there is none, the values are shown.
    """
    symbol, shapes = template
    if batch == bool(shapes):
        raise click.UsageError("Write --batch, or --input with a letter for what varies: 1x3xNxN.")
    refuse_to_overwrite(output, [path])
    with sign_of_life(f"analyzing {short_path(path)}", quiet):
        found = scaling(load(path, graph, max_size=max_size), shapes or None, symbol or "N")
    with results_to(output) as stream:
        if format_ == "json":
            stream.write(encoded(found.to_dict()) + "\n")
            return
        if format_ == "csv":
            write_table(scaling_table(found), format_, stream)
            return
        for label, fact in scaling_facts(found):
            stream.write(f" {label:<10}{fact}\n" if format_ == "table" else f"- {label or 'input'}: {fact}\n")
        stream.write("\n")
        write_table(scaling_table(found), format_, stream)
        if found.fitted < len(found.totals):
            stream.write("\n")
            write_table(sample_table(found), format_, stream)
