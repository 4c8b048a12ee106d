"""`irflops lines`: the lines of a dump by kind."""

from __future__ import annotations

import click

from irflops.cli.options import MAX_SIZE_OPTION
from irflops.cli.tables import write_table
from irflops.readers import count_lines
from irflops.report.json_writer import encoded
from irflops.report.output import results_to
from irflops.report.tables import line_table


@click.command()
@click.argument("path", type=click.Path())
@click.option("--format", "format_", type=click.Choice(("table", "json", "csv")), default="table", show_default=True)
@MAX_SIZE_OPTION
def lines(path: str, format_: str, max_size: int) -> None:
    """Count the lines of a printed graph by kind."""
    counts = count_lines(path, max_size)
    with results_to(None) as stream:
        if format_ == "json":
            row = {"schema": "irflops.lines/1", "path": path, "lines": counts, "total": sum(counts.values())}
            stream.write(encoded(row) + "\n")
            return
        write_table(line_table(counts, total=format_ == "table"), format_, stream)
