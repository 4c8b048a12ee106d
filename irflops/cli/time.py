"""`irflops time`: how long a step of a graph takes on a machine, and where."""

from __future__ import annotations

import click

from irflops.analysis.analysis import analyze_graph
from irflops.analysis.rows import source_row
from irflops.cli.options import FORMAT_OPTION, GRAPH_OPTION, MAX_SIZE_OPTION, OUTPUT_OPTION, QUIET_OPTION, Grouped, with_config
from irflops.cli.tables import write_report, write_table
from irflops.cli.timed import asked_of, timing_of
from irflops.cli.timing import Wanted, with_machine
from irflops.cli.what_if import WhatIfOptions, what_if_options
from irflops.configuration.config import Config
from irflops.readers import load
from irflops.report.json_writer import write_members
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.roofline import draw, roofline_of
from irflops.report.roofline import plot as text_plot
from irflops.report.sections import Report
from irflops.report.summary import headline, short_path
from irflops.report.table import arranged, printable
from irflops.report.timing import op_time_table, part_table, time_facts
from irflops.teaching import book_of

SCHEMA = "irflops.time/1"
"""Name and version of the JSON form."""
BY = ("op", "module", "phase")
MODULES = 12

EPILOG = """\b
Examples:
  irflops time graph.txt --machine a100-sxm4-80gb
  irflops time graph.txt --machine a100-sxm4-80gb --dtype float16 --batch 64
  irflops time job.pb --machine h100-sxm5-80gb --step-time 420ms      MFU and HFU
  irflops time job.pb --machine h100-sxm5-80gb --network ib_ndr --ranks-per-node 8
  irflops time graph.txt --machine t4 --by op --format csv
"""


class _Time(Grouped):
    groups = (("by", "What to show"), ("machine", "On what"), ("graph", "What to read"), ("batch", "What if"), ("quiet", "Other options"))


@click.command(cls=_Time, epilog=EPILOG)
@click.argument("path", type=click.Path())
@click.option("--by", type=click.Choice(BY), help="Show one table alone.  [default: all of them; csv: op]")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Rows of a table.  [default: 12; csv: all]")
@click.option("--roofline", is_flag=True, help="Draw the operators under the machine's roofline, in characters.")
@click.option("--plot", metavar="FILE", help="The same as SVG, PNG or PDF, by matplotlib.")
@FORMAT_OPTION
@OUTPUT_OPTION
@with_machine
@GRAPH_OPTION
@MAX_SIZE_OPTION
@with_config
@what_if_options()
@QUIET_OPTION
def time(
    path: str,
    by: str | None,
    top: int | None,
    roofline: bool,
    plot: str | None,
    format_: str,
    output: str | None,
    wanted: Wanted,
    graph: str | None,
    max_size: int,
    config: Config,
    what_if: WhatIfOptions,
    quiet: bool,
) -> None:
    """Tell how long a step of PATH takes on a machine.

    Two times: a floor that no run can beat that does the arithmetic of the graph, and an estimate with each operator a kernel of its own.
    """
    if wanted.is_idle:
        raise click.UsageError("on which machine? --machine NAME; irflops machines lists them.")
    refuse_to_overwrite(output, [path])
    refuse_to_overwrite(plot, [path])
    asked = asked_of(wanted, config)
    with sign_of_life(f"timing {short_path(path)}", quiet):
        found, book = what_if.applied(load(path, graph, max_size=max_size), book_of(config))
        analysis = analyze_graph(found, book)
        timing = timing_of(analysis, asked, wanted)
    if plot is not None:
        draw(roofline_of(timing.time), plot)
    with results_to(output) as stream:
        if format_ == "json":
            head = {"schema": SCHEMA, "source": source_row(found), "graph": {"name": found.name, "class": found.class_name}}
            write_members((head | timing.members()).items(), stream)
            return
        whole = timing.time.slowest.whole.estimate_s
        tables = {
            "phase": part_table(timing.time.by_phase, "phase", "Phases", whole),
            "module": part_table(timing.time.by_module, "module", "Modules", whole),
            "op": op_time_table(timing.time),
        }
        if format_ == "csv" or by is not None:
            write_table(arranged(tables[by or "op"], top=top), format_, stream)
            return
        shown = [tables["phase"]] if len(timing.time.by_phase) > 1 else []
        shown += [arranged(tables[name], top=top or MODULES) for name in ("module", "op")]
        notes = [printable(note.text) for note in (*analysis.notes, *timing.time.notes)]
        facts = time_facts(timing.time, timing.utilization, timing.fit)
        report = Report(headline=headline(analysis), facts=facts, tables=shown, notes=notes)
        write_report(report, format_, stream)
        if roofline:
            stream.write("\n" + text_plot(roofline_of(timing.time)) + "\n")
