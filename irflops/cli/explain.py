"""`irflops explain`: all that is known of one operator, or of one module."""

from __future__ import annotations

import click

from irflops.analysis.analysis import analyze_graph
from irflops.analysis.select import escaped, select_part
from irflops.cli.options import GRAPH_OPTION, MAX_SIZE_OPTION, OUTPUT_OPTION, QUIET_OPTION, Grouped, with_config
from irflops.cli.tables import write_labelled, write_report, write_table
from irflops.cli.what_if import WhatIfOptions, what_if_options
from irflops.configuration.config import Config
from irflops.explaining.explanation import explain_op, find_op
from irflops.readers import load
from irflops.report.explanation import answer_table, cost_facts, explanation_facts, layer_table, tensor_table
from irflops.report.json_writer import encoded, write_json
from irflops.report.module import module_report
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.summary import short_path
from irflops.report.table import printable
from irflops.teaching import book_of

EPILOG = """\b
Examples:
  irflops explain graph.txt model.layer1.0.conv1-conv2d-4
  irflops explain graph.txt conv2d-4
  irflops explain graph.txt line:57 --format json
  irflops explain graph.txt conv2d-4 --batch 64
  irflops explain graph.txt model.layer1
"""


class _Explain(Grouped):
    groups = (("format_", "How to write it"), ("graph", "What to read"), ("batch", "What if"), ("quiet", "Other options"))


@click.command(cls=_Explain, epilog=EPILOG)
@click.argument("path", type=click.Path())
@click.argument("op")
@click.option(
    "--format", "format_", type=click.Choice(("table", "json")), default="table", show_default=True, help="How to write the result."
)
@OUTPUT_OPTION
@GRAPH_OPTION
@MAX_SIZE_OPTION
@with_config
@what_if_options()
@QUIET_OPTION
def explain(
    path: str,
    op: str,
    format_: str,
    output: str | None,
    graph: str | None,
    max_size: int,
    config: Config,
    what_if: WhatIfOptions,
    quiet: bool,
) -> None:
    """Tell all about one operator or module of PATH.

    OP is its name, a part that no other name has, or line:N, a line of the file; or the path of a module. The JSON of a module is that of
    irflops analyze --module.
    """
    refuse_to_overwrite(output, [path])
    with sign_of_life(f"analyzing {short_path(path)}", quiet):
        analysis = analyze_graph(*what_if.applied(load(path, graph, max_size=max_size), book_of(config)))
    if op in analysis.modules and op not in analysis.graph.by_name and op:
        part = select_part(analysis, module=escaped(op))
        with results_to(output) as stream:
            if format_ == "json":
                write_json(part, stream)
            else:
                write_report(module_report(part, op), format_, stream)
        return
    found = explain_op(analysis, find_op(analysis, op))
    with results_to(output) as stream:
        if format_ == "json":
            stream.write(encoded(found.to_dict()) + "\n")
            return
        stream.write(f"{printable(found.op.name)}\n\n")
        write_labelled(explanation_facts(found), format_, stream)
        stream.write("\n")
        write_labelled(cost_facts(found), format_, stream)
        for table in (tensor_table(found), layer_table(found), answer_table(found)):
            if table.items:
                stream.write("\n")
                write_table(table, "table", stream)
