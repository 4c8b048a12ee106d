"""`irflops formats`: the serialized forms that are read, and how to make each."""

from __future__ import annotations

import click

from irflops.cli.options import FORMAT_OPTION, OUTPUT_OPTION
from irflops.cli.tables import write_table
from irflops.readers.forms import FORMS
from irflops.report.forms import form_table, form_text
from irflops.report.json_writer import encoded
from irflops.report.output import results_to


@click.command()
@FORMAT_OPTION
@OUTPUT_OPTION
def formats(format_: str, output: str | None) -> None:
    """List the forms that are read, and how to make each."""
    rows = [form.row() for form in FORMS]
    with results_to(output) as stream:
        if format_ == "json":
            stream.write('{"schema":"irflops.formats/1",\n"formats":[\n' + ",\n".join(map(encoded, rows)) + "\n]}\n")
        elif format_ == "table":
            stream.write(form_text(rows))
        else:
            write_table(form_table(rows), format_, stream)
