"""`irflops comm`: what the devices of a graph send one another."""

from __future__ import annotations

from dataclasses import replace

import click

from irflops.analysis.analysis import analyze_graph
from irflops.analysis.rows import source_row
from irflops.cli.options import FORMAT_OPTION, GRAPH_OPTION, MAX_SIZE_OPTION, OUTPUT_OPTION, QUIET_OPTION, with_config
from irflops.cli.tables import write_report, write_table
from irflops.cli.what_if import WhatIfOptions, what_if_options
from irflops.configuration.config import Config
from irflops.devices.nodes import RANKS_PER_NODE
from irflops.readers import load
from irflops.report.communication import BY, communication_report, communication_table
from irflops.report.json_writer import write_members
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.summary import short_path
from irflops.teaching import book_of

SCHEMA = "irflops.comm/1"
"""Name and version of the JSON form."""

EPILOG = """\b
Examples:
  irflops comm graph.txt                       by collective, cause, phase and module; the heaviest transfers
  irflops comm graph.txt --by transfer --top 50
  irflops comm graph.txt --format csv          every transfer
  irflops comm graph.txt --mesh 16x8 --ranks-per-node 4
"""


@click.command(epilog=EPILOG)
@click.argument("path", type=click.Path())
@click.option("--by", type=click.Choice(BY), help="Show one table alone.  [default: all of them; csv: transfer]")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Rows of a table by module or transfer.  [default: 20; csv: all]")
@FORMAT_OPTION
@OUTPUT_OPTION
@GRAPH_OPTION
@MAX_SIZE_OPTION
@with_config
@click.option(
    "--ranks-per-node",
    type=click.IntRange(min=1),
    default=RANKS_PER_NODE,
    show_default=True,
    metavar="N",
    help="Where a dump does not say.",
)
@what_if_options()
@QUIET_OPTION
def comm(
    path: str,
    by: str | None,
    top: int | None,
    format_: str,
    output: str | None,
    graph: str | None,
    max_size: int,
    config: Config,
    ranks_per_node: int,
    what_if: WhatIfOptions,
    quiet: bool,
) -> None:
    """Tell what the devices of PATH send one another, and why.

    Bytes of a step are those over all devices: what each lacks of what it wants, from how tensors are made to how they are wanted.
    """
    refuse_to_overwrite(output, [path])
    with sign_of_life(f"analyzing {short_path(path)}", quiet):
        found, book = what_if.applied(load(path, graph, max_size=max_size), book_of(config))
        analysis = replace(analyze_graph(found, book), ranks_per_node=ranks_per_node)
    with results_to(output) as stream:
        if format_ == "json":
            head = {"name": found.name, "class": found.class_name, "training": found.training}
            members = {"schema": SCHEMA, "source": source_row(found), "graph": head, "communication": analysis.communication_row()}
            write_members(members.items(), stream)
        elif by is not None or format_ == "csv":
            table = communication_table(analysis.communication, by or "transfer", top=top, whole=format_ == "csv")
            write_table(table, format_, stream)
        else:
            write_report(communication_report(analysis, top), format_, stream)
