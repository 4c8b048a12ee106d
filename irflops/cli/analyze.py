"""`irflops analyze`: what a graph costs, or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

import click

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.analysis.select import select_part
from irflops.cli.exit_codes import BAD_INPUT, FINE, FOUND
from irflops.cli.options import MAX_SIZE_OPTION, OUTPUT_OPTION, QUIET_OPTION, Grouped, expanded, names_of, with_config
from irflops.cli.tables import write_report, write_table
from irflops.cli.timing import Wanted, with_machine
from irflops.cli.what_if import WhatIfOptions, what_if_options
from irflops.configuration.config import Config
from irflops.errors import IrflopsError
from irflops.ir.graph import Graph, Phase
from irflops.readers import load, load_all
from irflops.report.json_writer import encoded, error_row, write_json
from irflops.report.layers import COLUMNS as LAYER_COLUMNS
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.sections import BY, Report, Wish, summary_report, table_by, whole_report
from irflops.report.summary import Model, model_of, model_table, short_path
from irflops.report.table import arranged
from irflops.teaching import book_of

FORMATS = ("table", "json", "csv", "markdown", "latex")
ALL = "all"
"""In the place of a graph's name: all that are in a file."""
PARTS = ("phases", "by_type", "by_step", "modules", "ops", "unknown", "shape_disagreements", "notes")


def _parts(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    found = names_of(ctx, param, value)
    for name in found:
        if name not in PARTS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(PARTS)}")
    return found


EPILOG = """\b
Examples:
  irflops analyze graph.txt                       the whole report
  irflops analyze train.log.gz --graph 2          the second graph in a log
  irflops analyze train.log.gz --graph all        one row a graph
  irflops analyze graph.txt --by module --depth 4
  irflops analyze graph.txt --by layer            each call of a module, with its shapes
  irflops analyze graph.txt --by class            all Attention together, all LayerNorm
  irflops analyze graph.txt --by op --sort bytes --top 50
  irflops analyze graph.txt --by type --phase backward
  irflops analyze graph.txt --module "model.layer*" --columns path,macs,params
  irflops analyze graph.txt --format json -o graph.json
  irflops analyze graph.txt --batch 64 --dtype float16
  irflops analyze graph.txt --per-device --mesh 16x8
  irflops analyze graph.txt --machine a100-sxm4-80gb --step-time 420ms
  irflops analyze graph.txt --convention fvcore   what that tool would print
  irflops analyze dumps/*.txt --format csv        one row a model
"""


@click.command(cls=Grouped, epilog=EPILOG)
@click.argument("paths", type=click.Path(), nargs=-1, required=True, metavar="PATH...")
@click.option("--by", type=click.Choice(BY), help="Show one table alone.  [default: the whole report; csv and latex: module]")
@click.option("--convention", metavar="NAME", help="Count as another tool does; irflops conventions lists them.")
@click.option("--depth", type=click.IntRange(min=0), metavar="N", help="Levels of the module tree.  [default: what fits]")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Rows of a table by op, type or location.  [default: 20; csv: all]")
@click.option("--sort", metavar="COLUMN", help="Order by a column, numbers from the greatest down.")
@click.option("--phase", type=click.Choice([phase.value for phase in Phase]), help="Only the operators of a phase.")
@click.option("--module", metavar="PATTERN", help="Only modules that match, with all below: * is part of a level, ** any levels.")
@click.option("--columns", callback=names_of, default="", metavar="A,B,C", help="Columns of a table; a wrong one lists those there are.")
@click.option("--full", is_flag=True, help="Show equal blocks and layers one by one, and op types that cost nothing.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True, help="How to write the result.")
@click.option("--without", callback=_parts, default="", metavar="PARTS", help="Parts to leave out of JSON: ops,modules,...")
@OUTPUT_OPTION
@click.option("--graph", metavar="NAME|N|all", help="Which graph, where a file holds several; all: a row each.")
@click.option("--partial", is_flag=True, help="Analyze what is readable of a damaged graph; totals are lower bounds.")
@MAX_SIZE_OPTION
@with_config
@what_if_options()
@click.option("--per-device", is_flag=True, help="Figures of one device, the busiest, in place of the whole logical graph's.")
@click.option("--rank", type=click.IntRange(min=0), metavar="N", help="Figures of the device of this rank.")
@with_machine
@click.option("--strict", is_flag=True, help="Exit with 1 if any cost is unknown.")
@QUIET_OPTION
def analyze(
    paths: tuple[str, ...],
    by: str | None,
    convention: str | None,
    depth: int | None,
    top: int | None,
    sort: str | None,
    phase: str | None,
    module: str | None,
    columns: tuple[str, ...],
    full: bool,
    format_: str,
    without: tuple[str, ...],
    output: str | None,
    graph: str | None,
    partial: bool,
    what_if: WhatIfOptions,
    per_device: bool,
    rank: int | None,
    wanted: Wanted,
    strict: bool,
    max_size: int,
    config: Config,
    quiet: bool,
) -> int:
    """Tell what the graph in PATH costs, and where.

    PATH holds a graph in any form that `irflops formats` lists: print(graph), also in a log; a job protobuf; a saved graph, its folder
    or its model.mlir alone; a capture.
    It may be compressed, and - is standard input. Several PATHs give a row a model.
    """
    wish = Wish(depth=depth, top=top, sort=sort, columns=columns, full=full)

    book = book_of(config)

    def of_graph(found: Graph) -> Analysis:
        whole = analyze_graph(*what_if.applied(found, book))
        if not per_device and rank is None:
            return whole
        from irflops.analysis.per_device import of_device  # here for start-up time: most runs look at the whole graph

        return of_device(whole, rank)

    def analyzed(path: str) -> Analysis:
        with sign_of_life(f"analyzing {short_path(path)}", quiet):
            return of_graph(load(path, graph, partial=partial, max_size=max_size))

    def each(path: str) -> Iterator[Analysis | IrflopsError]:
        """What `path` holds: one graph, or of a log all; in the place of what cannot be read, the error that says why."""
        found: Sequence[Graph | Analysis | IrflopsError]
        try:
            with sign_of_life(f"analyzing {short_path(path)}", quiet):
                found = load_all(path, partial=partial, max_size=max_size) if graph == ALL else [analyzed(path)]
        except IrflopsError as error:
            found = [error]
        for one in found:
            try:
                yield of_graph(one) if isinstance(one, Graph) else one
            except IrflopsError as error:
                yield error

    if columns and format_ == "json":
        raise click.UsageError("--columns is for tables: JSON has all columns, and --without leaves parts out.")
    if without and format_ != "json":
        raise click.UsageError("--without is for --format json.")
    if convention is not None:
        from irflops.conventions.registry import convention_called  # here for start-up time: the tables of ten tools, which few ask for

        convention_called(convention)
        if phase or module:
            raise click.UsageError("--convention counts a graph whole: without --phase and --module.")
    if not wanted.is_idle and (by not in (None, "summary") or columns or format_ in ("csv", "latex")):
        raise click.UsageError("--machine is for the whole report and JSON; irflops time has tables by op, module and phase.")
    files = expanded(paths)
    refuse_to_overwrite(output, files)
    if len(files) > 1 or graph == ALL:
        if by not in (None, "summary") or phase or module:
            raise click.UsageError("--by, --phase and --module are for one graph; of several, a row each is shown.")
        if convention and format_ != "json":
            raise click.UsageError("--convention is for one PATH, or for --format json.")
        if not wanted.is_idle and format_ != "json":
            raise click.UsageError("--machine is for one PATH, or for --format json.")
        return _several(files, each, wish, format_, without, output, strict, convention, wanted, config)
    analysis = select_part(analyzed(files[0]), phase=phase, module=module)
    if sort or columns:
        by = by or ("layer" if any(name in LAYER_COLUMNS for name in columns) else "module")
    with sign_of_life(f"writing {short_path(output or 'the result')}", quiet or output is None), results_to(output) as stream:
        if format_ == "json":
            write_json(analysis, stream, without, _members(analysis, convention, wanted, config))
        elif convention is not None:
            from irflops.cli.by_convention import write_by_convention  # here for start-up time: the same

            write_by_convention(analysis, convention, by, wish, format_, stream)
        else:
            _write(analysis, by, wish, format_, stream, wanted, config)
    return FOUND if strict and analysis.whole.is_uncertain else FINE


def _members(analysis: Analysis, convention: str | None, wanted: Wanted, config: Config) -> dict[str, object]:
    """What the JSON of an analysis gains by a convention, and by a machine."""
    found: dict[str, object] = {}
    if convention is not None:
        from irflops.cli.by_convention import json_member  # here for start-up time: the tables of ten tools, which few ask for

        found |= json_member(analysis, convention)
    if not wanted.is_idle:
        from irflops.cli.timed import asked_of, timing_of  # here for start-up time: machines and memory plans, which --machine alone asks

        found |= timing_of(analysis, asked_of(wanted, config), wanted).members()
    return found


def _with_times(report: Report, analysis: Analysis, wanted: Wanted, config: Config) -> Report:
    """The report with the times on a machine among its facts."""
    from irflops.cli.timed import timed_report  # here for start-up time: the same

    return timed_report(report, analysis, wanted, config)


def _write(analysis: Analysis, by: str | None, wish: Wish, format_: str, stream: TextIO, wanted: Wanted, config: Config) -> None:
    """One table, or the whole report in a format that has one."""
    if format_ not in ("table", "markdown") or by not in (None, "summary") or wish.columns:
        write_table(table_by(analysis, by or "module", wish, whole=format_ == "csv"), format_, stream)
        return
    report = whole_report(analysis, wish) if by is None else summary_report(analysis)
    if not wanted.is_idle:
        report = _with_times(report, analysis, wanted, config)
    write_report(report, format_, stream)


def _several(
    files: list[str],
    each: Callable[[str], Iterator[Analysis | IrflopsError]],
    wish: Wish,
    format_: str,
    without: tuple[str, ...],
    output: str | None,
    strict: bool,
    convention: str | None,
    wanted: Wanted,
    config: Config,
) -> int:
    """A row or an object a model; those that fail say why, and do not keep the others from being there."""
    models: list[Model] = []
    uncertain = False
    with results_to(output) as stream:
        for number, (path, found) in enumerate((file, one) for file in files for one in each(file)):
            if format_ == "json":
                stream.write(",\n" if number else "[\n")
            if isinstance(found, IrflopsError):
                click.echo(str(found), err=True)
                models.append(Model(path, error=found))
                if format_ == "json":
                    stream.write(encoded(error_row(found, path)) + "\n")
                continue
            uncertain |= found.is_uncertain
            models.append(model_of(path, found))
            if format_ == "json":
                write_json(found, stream, without, _members(found, convention, wanted, config))
        if format_ == "json":
            stream.write("]\n")
        else:
            write_table(arranged(model_table(models), sort=wish.sort, top=wish.top, columns=wish.columns), format_, stream)
    if any(model.error for model in models):
        return BAD_INPUT
    return FOUND if strict and uncertain else FINE
