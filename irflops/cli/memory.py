"""`irflops memory`: what a device holds over a step, as OneFlow plans it."""

from __future__ import annotations

import click

from irflops.analysis.analysis import analyze_graph
from irflops.analysis.limits import limit_called
from irflops.analysis.named import MEMORY
from irflops.cli.exit_codes import FINE, FOUND
from irflops.cli.options import GRAPH_OPTION, MAX_SIZE_OPTION, OUTPUT_OPTION, QUIET_OPTION, Grouped, bytes_of, with_config
from irflops.cli.tables import write_labelled, write_table
from irflops.cli.what_if import WhatIfOptions, what_if_options
from irflops.configuration.config import Config
from irflops.fitting.change import BUDGET, Planner
from irflops.fitting.ways import fitting, ways_down
from irflops.memory.memory import Asked
from irflops.ops.temporary import DeviceKind
from irflops.readers import load
from irflops.report.json_writer import encoded
from irflops.report.memory import class_table, held_table, kind_table, memory_facts, plot, tensor_table
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.summary import short_path
from irflops.report.table import arranged
from irflops.report.ways import fit_table, ways_table
from irflops.teaching import book_of

_AT_ONCE = 5_000
"""Operators of a graph up to which the table has ways down without being asked."""

EPILOG = """\b
Examples:
  irflops memory job.pb
  irflops memory graph.txt --on cuda --memory 24GiB
  irflops memory graph.txt --fit 24GiB
  irflops memory graph.txt --batch 64
  irflops memory graph.txt --fail-on "memory_bytes>24GiB"
  irflops memory job.pb --format json --timeline
"""


class _Memory(Grouped):
    groups = (("top", "What to show"), ("on", "Where it runs"), ("graph", "What to read"), ("batch", "What if"), ("quiet", "Other options"))


@click.command(cls=_Memory, epilog=EPILOG)
@click.argument("path", type=click.Path())
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, metavar="N", help="Tensors to show of those at the peak.")
@click.option("--fit", callback=bytes_of, metavar="SIZE", help="What would fit into SIZE, and what that costs.")
@click.option(
    "--ways/--no-ways", default=None, help="Ways to need less, each worked out.  [default: in the table, of graphs that take seconds]"
)
@click.option("--timeline", is_flag=True, help="The bytes that are alive at each step: in the JSON.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(("table", "json", "csv", "markdown")),
    default="table",
    show_default=True,
    help="How to write it.",
)
@OUTPUT_OPTION
@click.option("--on", type=click.Choice([kind.value for kind in DeviceKind]), help="The kind of device.  [default: as captured]")
@click.option("--compute-stream", is_flag=True, help="As if collectives ran on the stream of the other operators, which no job tells.")
@click.option("--workspace", callback=bytes_of, default="0", metavar="SIZE", help="What cuDNN takes for each convolution: 64M.")
@click.option("--memory", "limit", callback=bytes_of, metavar="SIZE", help="Exit with 1 where a device holds more than SIZE.")
@click.option("--fail-on", multiple=True, metavar="CONDITION", help="Exit with 1 only if memory_bytes>24GiB; repeatable.")
@GRAPH_OPTION
@MAX_SIZE_OPTION
@with_config
@what_if_options(mesh=False)
@QUIET_OPTION
def memory(
    path: str,
    top: int,
    fit: int | None,
    ways: bool | None,
    timeline: bool,
    format_: str,
    output: str | None,
    on: str | None,
    compute_stream: bool,
    workspace: int | None,
    limit: int | None,
    fail_on: tuple[str, ...],
    graph: str | None,
    max_size: int,
    config: Config,
    what_if: WhatIfOptions,
    quiet: bool,
) -> int:
    """Tell what a device holds over a step of PATH.

    How much at most, when, and what that is made of. The figures are those of the memory plan that OneFlow 0.9.0 makes when it compiles
    the graph.

    Exits with 1 where a device holds more than --memory, or with --fail-on where one of its conditions holds or cannot be decided.
    """
    conditions = [limit_called(text, (MEMORY,)) for text in fail_on]
    if timeline and format_ != "json":
        raise click.UsageError("--timeline is for --format json; the table has a plot.")
    refuse_to_overwrite(output, [path])
    with sign_of_life(f"planning {short_path(path)}", quiet):
        analysis = analyze_graph(*what_if.applied(load(path, graph, max_size=max_size), book_of(config)))
        asked = Asked(DeviceKind(on) if on else None, compute_stream or None, workspace or 0)
        planner = Planner(analysis, asked, BUDGET)
        planned = planner.captured
        wanted = ways if ways is not None else format_ == "table" and len(analysis.graph.ops) <= _AT_ONCE
        down = ways_down(planner) if wanted else None
        fitted = fitting(Planner(analysis, asked, BUDGET), fit) if fit is not None else None
    exceeded = limit is not None and any(one.plan.total > limit for one in planned.classes)
    verdicts = [one.judge(*planned.total) for one in conditions]
    with results_to(output) as stream:
        if format_ == "json":
            row = planned.to_dict(timeline=timeline)
            if down is not None:
                row["ways"] = down.to_dict()
            if fitted is not None:
                row["fit"] = fitted.to_dict()
            stream.write(encoded(row) + "\n")
        elif format_ == "csv":
            write_table(class_table(planned), format_, stream)
        else:
            largest = planned.largest
            write_labelled(memory_facts(planned, limit, fitted), format_, stream)
            if format_ == "table" and largest.plan.peak is not None:
                stream.write("\n" + plot(largest) + "\n")
            tables = [class_table(planned)] if len(planned.classes) > 1 else []
            tables += [kind_table(largest), arranged(tensor_table(largest), top=top)] if largest.plan.at_peak else []
            tables += [held_table(largest)] if largest.plan.held else []
            tables += [ways_table(down)] if down is not None and down.found else []
            tables += [fit_table(fitted)] if fitted is not None else []
            for table in tables:
                stream.write("\n")
                write_table(table, format_, stream)
    for verdict in verdicts:
        if verdict.fails:
            click.echo(str(verdict), err=True)
    return FOUND if (any(verdict.fails for verdict in verdicts) if conditions else exceeded) else FINE
