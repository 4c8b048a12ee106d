"""`irflops sweep`: a graph on many machines, at many batches, types and meshes."""

from __future__ import annotations

import click

from irflops.analysis.rows import source_row
from irflops.analysis.sweeping import swept
from irflops.cli.exit_codes import FINE
from irflops.cli.inputs import mesh_of
from irflops.cli.options import FORMAT_OPTION, GRAPH_OPTION, MAX_SIZE_OPTION, OUTPUT_OPTION, QUIET_OPTION, names_of, with_config
from irflops.cli.tables import write_table
from irflops.cli.timing import EFFICIENCY_OPTION, MACHINE_FILE_OPTION, NETWORK_OPTION, NO_TF32_OPTION
from irflops.configuration.config import Config
from irflops.machines.known import machine_called, network_called, users_machines
from irflops.machines.time import Asked
from irflops.readers import load
from irflops.report.json_writer import write_members
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.summary import short_path
from irflops.report.sweeping import sweep_table
from irflops.teaching import book_of, taught
from irflops.whatif import MeshSize
from irflops.whatif.request import MOST_EXTENT

SCHEMA = "irflops.sweep/1"
"""Name and version of the JSON form."""
MOST_ROWS = 10_000

EPILOG = """\b
Examples:
  irflops sweep graph.txt --machine t4,l4-24gb,a100-sxm4-80gb --batch 1,8,64
  irflops sweep graph.txt --machine h100-sxm5-80gb --dtype float32,float16,bfloat16 --format csv
  irflops sweep graph.txt --machine a100-sxm4-80gb --mesh 1,8
"""


def _batches(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    found = names_of(ctx, param, value)
    for name in found:
        if not name.isdecimal() or len(name) > 19 or not 0 < int(name) <= MOST_EXTENT:
            raise click.BadParameter(f"{name!r} is no batch; write 1,8,64")
    return tuple(map(int, found))


def _meshes(ctx: click.Context, param: click.Parameter, value: str) -> tuple[MeshSize, ...]:
    return tuple(mesh for name in names_of(ctx, param, value) if (mesh := mesh_of(ctx, param, name)) is not None)


@click.command(epilog=EPILOG)
@click.argument("path")
@click.option("--machine", "machines", callback=names_of, required=True, metavar="A,B,C", help="Machines; irflops machines lists them.")
@MACHINE_FILE_OPTION
@click.option("--batch", "batches", callback=_batches, default="", metavar="A,B,C", help="Batches.  [default: as captured]")
@click.option("--dtype", "dtypes", callback=names_of, default="", metavar="A,B,C", help="Commonest float types.  [default: as captured]")
@click.option("--mesh", "meshes", callback=_meshes, default="", metavar="A,BxC", help="Meshes of devices.  [default: as captured]")
@NETWORK_OPTION
@EFFICIENCY_OPTION
@NO_TF32_OPTION
@FORMAT_OPTION
@OUTPUT_OPTION
@GRAPH_OPTION
@MAX_SIZE_OPTION
@with_config
@QUIET_OPTION
def sweep(
    path: str,
    machines: tuple[str, ...],
    machine_file: str | None,
    batches: tuple[int, ...],
    dtypes: tuple[str, ...],
    meshes: tuple[MeshSize, ...],
    network: str | None,
    efficiency: float | None,
    no_tf32: bool,
    format_: str,
    output: str | None,
    graph: str | None,
    max_size: int,
    config: Config,
    quiet: bool,
) -> int:
    """Tell how long a step takes on each of many machines.

    At many batches, types and meshes too, in one table.

    A row each. The best, by samples a second of what fits, is marked, and each other says what it loses by.
    """
    refuse_to_overwrite(output, [path])
    more = users_machines(config, machine_file)
    found = [machine_called(name, more) for name in machines]
    if not found:
        raise click.UsageError("on which machines? --machine A,B,C; irflops machines lists them.")
    if len(found) * max(len(batches), 1) * max(len(dtypes), 1) * max(len(meshes), 1) > MOST_ROWS:
        raise click.UsageError(f"more than {MOST_ROWS:,} rows: ask for fewer at once.")
    joined = network_called(network) if network is not None else None
    asked = [Asked(machine, tf32=not no_tf32, efficiency=efficiency or 1.0, network=joined) for machine in found]
    with sign_of_life(f"sweeping {short_path(path)}", quiet):
        read, book = taught(load(path, graph, max_size=max_size), book_of(config))
        rows = swept(read, asked, batches or (None,), dtypes or (None,), meshes or (None,), book)
    with results_to(output) as stream:
        if format_ == "json":
            head = {"schema": SCHEMA, "source": source_row(read), "graph": {"name": read.name, "class": read.class_name}}
            write_members((head | {"rows": [row.to_dict() for row in rows]}).items(), stream)
        else:
            write_table(sweep_table(rows), format_, stream)
    return FINE
