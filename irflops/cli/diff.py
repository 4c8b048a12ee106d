"""`irflops diff`: what changed between two versions of a graph, and what it costs."""

from __future__ import annotations

from itertools import chain

import click

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.analysis.named import ON_DEMAND
from irflops.cli.exit_codes import FINE, FOUND
from irflops.cli.options import MAX_SIZE_OPTION, OUTPUT_OPTION, QUIET_OPTION, Grouped, names_of, with_config
from irflops.cli.tables import write_report
from irflops.cli.timing import Wanted, with_machine_alone
from irflops.cli.what_if import WhatIfOptions, what_if_options
from irflops.configuration.config import Config
from irflops.differ import diff_analyses
from irflops.differ.conditions import condition
from irflops.differ.edit import IGNORABLE
from irflops.differ.times import time_change, time_condition
from irflops.readers import load
from irflops.report.diff_times import time_words, with_times
from irflops.report.diffs import COSTS, ONLY, STRUCTURE, diff_report, write_github
from irflops.report.json_writer import write_members
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.summary import short_path
from irflops.teaching import book_of

FORMATS = ("table", "json", "markdown", "github")
_COST_PARTS = ("follows", "costs", "phases", "by_type", "modules")

EPILOG = """\b
Examples:
  irflops diff old.txt new.txt                         what changed, and what it costs
  irflops diff old.job.pb new.txt                      another form of it will do
  irflops diff old.txt new.txt --only costs
  irflops diff old.txt new.txt --ignore renames,moves
  irflops diff old.txt new.txt --format github         a comment for a pull request
  irflops diff old.txt new.txt --fail-on "macs>+1%"    exit with 1 only beyond that
  irflops diff old.txt new.txt --machine t4 --fail-on "estimate_s>+5%"
  irflops diff run.log run.log --graph-old 1 --graph-new 2
  irflops diff old.txt new.txt --batch 64              both as if captured at that batch
"""


class _Diff(Grouped):
    groups = (
        ("only", "What to show"),
        ("format_", "How to write it"),
        ("graph_old", "What to read"),
        ("batch", "What if, of both"),
        ("fail_on", "When to fail"),
        ("machine", "On what"),
        ("quiet", "Other options"),
    )


def _ignored(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    found = names_of(ctx, param, value)
    for name in found:
        if name not in IGNORABLE:
            raise click.BadParameter(f"{name!r} is none of {', '.join(IGNORABLE)}")
    return found


@click.command(cls=_Diff, epilog=EPILOG)
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option("--only", type=click.Choice(ONLY), help="Show costs alone, or structure alone.")
@click.option("--ignore", callback=_ignored, default="", metavar="A,B", help=f"Kinds of change to leave out: {', '.join(IGNORABLE)}.")
@click.option("--full", is_flag=True, help="Show every change by itself, and no table cut off.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True, help="How to write the result.")
@OUTPUT_OPTION
@click.option("--graph-old", metavar="NAME|N", help="Which graph of OLD, where it holds several.")
@click.option("--graph-new", metavar="NAME|N", help="Which graph of NEW.  [default: as --graph-old]")
@click.option("--partial", is_flag=True, help="Compare what is readable of damaged graphs.")
@MAX_SIZE_OPTION
@with_config
@what_if_options()
@click.option("--fail-on", multiple=True, metavar="CONDITION", help="Exit with 1 only if macs>+1%, flops>+1e9, structure...; repeatable.")
@with_machine_alone
@QUIET_OPTION
def diff(
    old: str,
    new: str,
    only: str | None,
    ignore: tuple[str, ...],
    full: bool,
    format_: str,
    output: str | None,
    graph_old: str | None,
    graph_new: str | None,
    partial: bool,
    max_size: int,
    config: Config,
    what_if: WhatIfOptions,
    fail_on: tuple[str, ...],
    wanted: Wanted,
    quiet: bool,
) -> int:
    """Tell what changed from OLD to NEW, and what it costs.

    Both are files that `irflops analyze` reads, of any form: operators are compared, not text, and neither counters nor names count. Exits
    with 1 where anything changed, or with --fail-on where one of its conditions holds or cannot be decided: a cost, a sign and how much it
    may change, in percent of the old total or by itself (`bytes>+3MiB`); `per_sample.macs` is by sample, `structure` any change.
    """
    on_times = [one for one in map(time_condition, fail_on) if one is not None]
    conditions = [condition(text) for text in fail_on if time_condition(text) is None]
    if on_times and wanted.is_idle:
        raise click.UsageError(f"{on_times[0].text} needs a machine: --machine NAME.")
    if old == new == "-":
        raise click.UsageError("standard input can be one of the two, not both.")
    refuse_to_overwrite(output, [old, new])
    book = book_of(config)

    def analyzed(path: str, graph: str | None) -> Analysis:
        with sign_of_life(f"analyzing {short_path(path)}", quiet):
            return analyze_graph(*what_if.applied(load(path, graph, partial=partial, max_size=max_size), book))

    also = [name for name in ON_DEMAND if any(one.cost == name for one in conditions)]
    sides = analyzed(old, graph_old), analyzed(new, graph_new or graph_old)
    with sign_of_life("comparing", quiet):
        found = diff_analyses(*sides, ignore=ignore, also=also)
    verdicts = [one.judge(found) for one in conditions]
    times = None
    if not wanted.is_idle:
        from irflops.cli.timed import asked_of  # here for start-up time: machines, which --machine alone asks

        times = time_change(found, asked_of(wanted, config))
        verdicts += [one.judge(times) for one in on_times]
    failed = [str(verdict) for verdict in verdicts if verdict.fails]
    with results_to(output) as stream:
        if format_ == "json":
            rows = [verdict.to_dict() for verdict in verdicts]
            left_out = {COSTS: ("edits",), STRUCTURE: _COST_PARTS}.get(only or "", ())
            members = chain(found.parts(rows), [("time", times.to_dict())] if times is not None else [])
            write_members(((name, value) for name, value in members if name not in left_out), stream)
        elif format_ == "github":
            write_github(found, stream, only=only, full=full, failed=[*failed, *time_words(times)])
        else:
            write_report(with_times(diff_report(found, only=only, full=full, failed=failed), times), format_, stream)
    for verdict in verdicts:
        if verdict.holds is None:
            click.echo(f"{verdict}; what cannot be decided fails", err=True)
    return FOUND if (failed if fail_on else found.edits) else FINE
