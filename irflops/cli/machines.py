"""`irflops machines`: the machines that times are told for."""

from __future__ import annotations

import click

from irflops.cli.options import FORMAT_OPTION, OUTPUT_OPTION, with_config
from irflops.cli.tables import write_table
from irflops.cli.timing import MACHINE_FILE_OPTION
from irflops.configuration.config import Config
from irflops.machines.known import machine_called, own_machines, users_machines
from irflops.report.json_writer import encoded
from irflops.report.machines import machine_table, machine_text
from irflops.report.output import results_to

SCHEMA = "irflops.machines/1"
"""Name and version of the JSON form."""

EPILOG = """\b
Examples:
  irflops machines                        a row each
  irflops machines h100-sxm5-80gb         all that is known of one
  irflops machines --measure -o own.toml  this computer, as numpy finds it
  irflops machines --machine-file own.toml --format json
"""


@click.command(epilog=EPILOG)
@click.argument("name", required=False)
@MACHINE_FILE_OPTION
@click.option("--measure", is_flag=True, help="Time this computer's own matrix products and copies, and write it as a machine's TOML.")
@FORMAT_OPTION
@OUTPUT_OPTION
@with_config
def machines(name: str | None, machine_file: str | None, measure: bool, format_: str, output: str | None, config: Config) -> None:
    """List the machines, or tell all of NAME."""
    if measure:
        from irflops.machines.measure import measured  # here for start-up time: numpy, which --measure alone needs

        if name is not None or format_ != "table":
            raise click.UsageError("--measure writes TOML of this computer, and takes neither NAME nor --format.")
        with results_to(output) as stream:
            stream.write(measured().to_toml())
        return
    more = users_machines(config, machine_file)
    found = tuple({machine.id: machine for machine in (*own_machines(), *more)}.values())
    if name is not None:
        found = (machine_called(name, more),)
    with results_to(output) as stream:
        if format_ == "json":
            rows = ",\n".join(encoded(machine.to_dict()) for machine in found)
            stream.write(f'{{"schema":"{SCHEMA}",\n"machines":[\n{rows}\n]}}\n')
        elif name is not None and format_ == "table":
            stream.write(machine_text(found[0]))
        else:
            write_table(machine_table(found), format_, stream)
