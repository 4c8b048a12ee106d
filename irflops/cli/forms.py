"""`irflops forms`: a graph beside the closed forms of transformers, and the difference term by term."""

from __future__ import annotations

from collections.abc import Sequence

import click

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.analysis.rows import Row, source_row
from irflops.cli.options import FORMAT_OPTION, GRAPH_OPTION, MAX_SIZE_OPTION, OUTPUT_OPTION, QUIET_OPTION, count_of, with_config
from irflops.cli.tables import write_report, write_table
from irflops.cli.timed import asked_of, timing_of
from irflops.cli.timing import Wanted, with_machine
from irflops.cli.what_if import WhatIfOptions, what_if_options
from irflops.configuration.config import Config
from irflops.conventions.layer_forms import LayerForms, layers_of
from irflops.errors import IrflopsError
from irflops.readers import load
from irflops.report.closed_forms import BY, closed_forms_report, closed_forms_table, on_a_machine
from irflops.report.json_writer import write_members
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.summary import short_path
from irflops.teaching import book_of
from irflops.transformers.closed_forms import ClosedForms
from irflops.transformers.run import Run

SCHEMA = "irflops.forms/1"
"""Name and version of the JSON form."""

EPILOG = """\b
Examples:
  irflops forms graph.txt                      its structure, 6 T P and other forms, and what makes the difference
  irflops forms graph.txt --context-length 4096 --machine h100-sxm5-80gb
  irflops forms graph.txt --tokens 300e9 --machine h100-sxm5-80gb
  irflops forms graph.txt --batch 64 --format json
  irflops forms graph.txt --by term --format csv
"""


@click.command(epilog=EPILOG)
@click.argument("path")
@click.option("--by", type=click.Choice(BY), help="Show one table alone.  [default: all of them; csv: term, or layer]")
@FORMAT_OPTION
@OUTPUT_OPTION
@click.option(
    "--context-length",
    type=click.IntRange(min=1, max=10**12),
    metavar="N",
    help="Serve with N tokens before in each sequence.  [default: as captured]",
)
@click.option("--tokens", callback=count_of, metavar="N", help="Train over N tokens: 300e9. Device hours with --machine.")
@with_machine
@GRAPH_OPTION
@MAX_SIZE_OPTION
@with_config
@what_if_options(mesh=False)
@QUIET_OPTION
def forms(
    path: str,
    by: str | None,
    format_: str,
    output: str | None,
    context_length: int | None,
    tokens: int | None,
    wanted: Wanted,
    graph: str | None,
    max_size: int,
    config: Config,
    what_if: WhatIfOptions,
    quiet: bool,
) -> None:
    """Hold PATH against the closed forms of transformers.

    Its structure as the graph alone tells it, with the lines where; its own count; 6 T P and the forms of papers, each with what makes
    the difference, term by term and to the unit; and what serving takes. Of a net of convolutions the formulas of articles, by layer.
    """
    refuse_to_overwrite(output, [path])
    asked = None if wanted.is_idle else asked_of(wanted, config)
    with sign_of_life(f"analyzing {short_path(path)}", quiet):
        found, book = what_if.applied(load(path, graph, max_size=max_size), book_of(config))
        analysis = analyze_graph(found, book)
        closed = analysis.closed_forms(context_length)
        layers = layers_of(analysis)
        run = None if tokens is None else _run(analysis, closed, tokens)
        time = None if asked is None else timing_of(analysis, asked, wanted).time
    with results_to(output) as stream:
        if format_ == "json":
            more = {} if run is None else {"run": run.to_dict(*((time.floor_s, time.estimate_s) if time is not None else ()))}
            if time is not None and closed.serving is not None:
                more["decode"] = {"machine": time.machine.id, "floor_s": closed.serving.floor_s(time.machine.memory_bandwidth)}
            write_members((_members(analysis, closed, layers) | more).items(), stream)
        elif by is not None or format_ == "csv":
            first = "term" if closed.tokens is not None else "layer"
            write_table(closed_forms_table(closed, layers, by or first), format_, stream)
        else:
            write_report(closed_forms_report(analysis, closed, layers, on_a_machine(closed, run, time)), format_, stream)


def _run(analysis: Analysis, closed: ClosedForms, tokens: int) -> Run:
    """A run of training steps. Errors: IrflopsError where the graph is none, or works on no tokens."""
    measured = closed.measured
    if measured is None or closed.tokens is None:
        raise IrflopsError("this graph works on no tokens, of which a run could take a number", path=analysis.graph.source.name)
    if not measured.amounts.trains:
        raise IrflopsError("--tokens is for a step of training, and this graph computes no gradients", path=analysis.graph.source.name)
    if closed.tokens < 1:
        raise IrflopsError("a step of this graph works on no token at all", path=analysis.graph.source.name)
    return Run(tokens, closed.tokens, closed.flops, measured.params, analysis.ranks)


def _members(analysis: Analysis, closed: ClosedForms, layers: Sequence[LayerForms]) -> Row:
    graph = analysis.graph
    head = {"name": graph.name, "class": graph.class_name, "training": graph.training}
    return {
        "schema": SCHEMA,
        "source": source_row(graph),
        "graph": head,
        "closed_forms": closed.to_dict(),
        "missing": closed.missing,
        "layers": [layer.to_dict() for layer in layers],
    }
