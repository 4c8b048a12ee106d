"""`irflops conventions`: how other counters count."""

from __future__ import annotations

import click

from irflops.cli.options import FORMAT_OPTION, OUTPUT_OPTION
from irflops.cli.tables import write_table
from irflops.conventions.registry import CONVENTIONS, convention_called
from irflops.conventions.rows import convention_row
from irflops.report.conventions import convention_text, conventions_table
from irflops.report.json_writer import encoded
from irflops.report.output import results_to


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@FORMAT_OPTION
@OUTPUT_OPTION
def conventions(name: str | None, format_: str, output: str | None) -> None:
    """Tell how other counters count, or how NAME does."""
    wanted = CONVENTIONS if name is None else (convention_called(name),)
    rows = [convention_row(convention) for convention in wanted]
    with results_to(output) as stream:
        if format_ == "json":
            stream.write('{"schema":"irflops.conventions/1",\n"conventions":[\n' + ",\n".join(map(encoded, rows)) + "\n]}\n")
        elif name is not None and format_ == "table":
            stream.write(convention_text(rows[0]))
        else:
            write_table(conventions_table(rows), format_, stream)
