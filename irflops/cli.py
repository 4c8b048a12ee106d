"""The command line: arguments, exit codes, and nothing else."""

from __future__ import annotations

import difflib
import gc
import glob
import json
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NoReturn, TextIO

import click

from irflops.analysis import Analysis, analyze_graph
from irflops.errors import IrflopsError
from irflops.ir import Phase
from irflops.ops import BY_TYPE
from irflops.readers import count_lines, load
from irflops.readers.intake import MAX_SIZE
from irflops.report.json_writer import encoded, error_row, write_json
from irflops.report.output import prepare_streams, refuse_to_overwrite, results_to, sign_of_life, silence
from irflops.report.rules import rule_table, rule_text, rules_line
from irflops.report.sections import BY, Wish, selected, summary_report, table_by, whole_report
from irflops.report.summary import Model, is_uncertain, model_of, model_table, short_path
from irflops.report.table import Table, arranged
from irflops.report.tables import line_table
from irflops.report.text import write_csv, write_latex, write_markdown, write_markdown_report
from irflops.signatures import op_types

FINE, FOUND, BAD_INPUT, OUR_BUG, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: FOUND is for findings, differences, and `--strict` with something unknown."""

FORMATS = ("table", "json", "csv", "markdown", "latex")
PARTS = ("phases", "by_type", "modules", "ops", "unknown", "shape_disagreements", "notes")
SCHEMAS = ("analysis", "lines", "ops")


class Program(click.Group):
    """Commands whose exit codes are the contract's, however they end."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]  # ends the process always
        prepare_streams()
        extra |= {"standalone_mode": False, "windows_expand_args": False}
        sys.exit(_exit_code(lambda: super(Program, self).main(args, prog_name or "irflops", **extra)))


def _exit_code(run: Callable[[], int | None]) -> int:
    stdout = sys.stdout
    try:
        code = run()
        sys.stdout.flush()
        return code or FINE
    except IrflopsError as error:
        click.echo(str(error), err=True)
        return BAD_INPUT
    except click.ClickException as error:
        error.show()
        return BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as end:
        if isinstance(end, SystemExit) and sys.stdout is stdout:  # click answers a closed pipe with SystemExit too, and wraps the stream
            raise
        silence(sys.stdout)
        return FINE
    except Exception:  # noqa: BLE001 - whatever it is, it is no fault of the user's
        traceback.print_exc()
        click.echo("This is a bug of irflops, not of your file. Please report it with the lines above.", err=True)
        return OUR_BUG


def _size(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    """Bytes of `500M`, `2G`, `2GiB`; the letters go by 1024."""
    match = re.fullmatch(r"(\d{1,18})\s*([kKmMgGtT]?)(?:i?[bB])?", value.strip())
    if match is None or not int(match[1]):
        raise click.BadParameter(f"{value!r} is no size; write 500M or 2G")
    return int(match[1]) << 10 * " KMGT".index(match[2].upper() or " ")


def _names(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, ...]:
    """Names with commas between them, each once."""
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


def _parts(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    names = _names(ctx, param, value)
    for name in names:
        if name not in PARTS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(PARTS)}")
    return names


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib import metadata  # here for start-up time: only this option asks

    try:
        version = metadata.version("irflops")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    click.echo(f"irflops {version}")
    ctx.exit()


class Grouped(click.Command):
    """A command whose options stand in groups, by the first of each."""

    groups: tuple[tuple[str, str], ...] = (
        ("by", "What to show"),
        ("format_", "How to write it"),
        ("graph", "What to read"),
        ("strict", "Other options"),
    )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options under the titles of their groups."""
        titles = dict(self.groups)
        sections: list[tuple[str, list[tuple[str, str]]]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None or not isinstance(param, click.Option):
                continue
            if param.name in titles or not sections:
                sections.append((titles.get(param.name or "", "Options"), []))
            sections[-1][1].append(record)
        for title, records in sections:
            with formatter.section(title):
                formatter.write_dl(records)


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: irflops analyze graph.txt",
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show the version and exit.")
def cli() -> None:
    """What a OneFlow graph costs, and where: from a printed graph alone, without OneFlow."""


MAX_SIZE_OPTION = click.option(
    "--max-size",
    callback=_size,
    default=f"{MAX_SIZE >> 30}G",
    show_default=True,
    metavar="SIZE",
    help="Most bytes to read, decompressed: 500M, 2G.",
)
OUTPUT_OPTION = click.option("-o", "--output", metavar="FILE", help="Write the result to FILE, as UTF-8.")

ANALYZE_EPILOG = """\b
Examples:
  irflops analyze graph.txt                       the whole report
  irflops analyze train.log.gz --graph 2          the second graph in a log
  irflops analyze graph.txt --by module --depth 4
  irflops analyze graph.txt --by op --sort bytes --top 50
  irflops analyze graph.txt --by type --phase backward
  irflops analyze graph.txt --module "model.layer*" --columns path,macs,params
  irflops analyze graph.txt --format json -o graph.json
  irflops analyze dumps/*.txt --format csv        one row a model
"""


@cli.command(cls=Grouped, epilog=ANALYZE_EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--by", type=click.Choice(BY), help="Show one table alone.  [default: the whole report; csv and latex: module]")
@click.option("--depth", type=click.IntRange(min=0), metavar="N", help="Levels of the module tree.  [default: what fits]")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Rows of a table by op, type or location.  [default: 20; csv: all]")
@click.option("--sort", metavar="COLUMN", help="Order by a column, numbers from the greatest down.")
@click.option("--phase", type=click.Choice([phase.value for phase in Phase]), help="Only the operators of a phase.")
@click.option("--module", metavar="PATTERN", help="Only modules that match, with all below: * is part of a level, ** any levels.")
@click.option("--columns", callback=_names, default="", metavar="A,B,C", help="Columns of a table; a wrong one lists those there are.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True, help="How to write the result.")
@click.option("--without", callback=_parts, default="", metavar="PARTS", help="Parts to leave out of JSON: ops,modules,...")
@OUTPUT_OPTION
@click.option("--graph", metavar="NAME|N", help="Which graph, where a file holds several.")
@click.option("--partial", is_flag=True, help="Analyze what is readable of a damaged graph; totals are lower bounds.")
@MAX_SIZE_OPTION
@click.option("--strict", is_flag=True, help="Exit with 1 if any cost is unknown.")
@click.option("-q", "--quiet", is_flag=True, help="No sign of progress on standard error.")
def analyze(
    paths: tuple[str, ...],
    by: str | None,
    depth: int | None,
    top: int | None,
    sort: str | None,
    phase: str | None,
    module: str | None,
    columns: tuple[str, ...],
    format_: str,
    without: tuple[str, ...],
    output: str | None,
    graph: str | None,
    partial: bool,
    strict: bool,
    max_size: int,
    quiet: bool,
) -> int:
    """Tell what the graph in PATH costs, and where.

    PATH is a file with print(graph) in it, also a log, also compressed; - is standard input. Several PATHs give a row a model.
    """
    wish = Wish(depth=depth, top=top, sort=sort, phase=phase, module=module, columns=columns)

    def analyzed(path: str) -> Analysis:
        with sign_of_life(f"analyzing {short_path(path)}", quiet):
            return analyze_graph(load(path, graph, partial=partial, max_size=max_size))

    if columns and format_ == "json":
        raise click.UsageError("--columns is for tables: JSON has all columns, and --without leaves parts out.")
    if without and format_ != "json":
        raise click.UsageError("--without is for --format json.")
    files = expanded(paths)
    refuse_to_overwrite(output, files)
    if len(files) > 1:
        if by not in (None, "summary") or phase or module:
            raise click.UsageError("--by, --phase and --module are for one PATH; of several, a row each is shown.")
        return _several(files, analyzed, wish, format_, without, output, strict)
    analysis = analyzed(files[0])
    if sort or columns:
        by = by or "module"
    with sign_of_life(f"writing {short_path(output or 'the result')}", quiet or output is None), results_to(output) as stream:
        if format_ == "json":
            write_json(selected(analysis, wish), stream, without, {"phase": phase, "module": module} if phase or module else None)
        else:
            _write(analysis, by, wish, format_, stream)
    return FOUND if strict and is_uncertain(analysis) else FINE


def _write(analysis: Analysis, by: str | None, wish: Wish, format_: str, stream: TextIO) -> None:
    """One table, or the whole report in a format that has one."""
    if format_ not in ("table", "markdown") or by not in (None, "summary") or wish.columns:
        write_table(table_by(analysis, by or "module", wish, whole=format_ == "csv"), format_, stream)
        return
    report = whole_report(analysis, wish) if by is None else summary_report(analysis, wish)
    if format_ == "markdown":
        write_markdown_report(report, stream)
        return
    from irflops.report.terminal import print_report  # here for start-up time: rich, which no other format needs

    print_report(report, stream)


def write_table(table: Table, format_: str, stream: TextIO) -> None:
    """A table in a format other than JSON."""
    if format_ == "table":
        from irflops.report.terminal import print_table  # here for start-up time: rich, which no other format needs

        print_table(table, stream)
        return
    {"csv": write_csv, "markdown": write_markdown, "latex": write_latex}[format_](table, stream)


def _several(
    files: list[str],
    analyzed: Callable[[str], Analysis],
    wish: Wish,
    format_: str,
    without: tuple[str, ...],
    output: str | None,
    strict: bool,
) -> int:
    """A row or an object a model; those that fail say why, and do not keep the others from being there."""
    models: list[Model] = []
    uncertain = False
    with results_to(output) as stream:
        for number, path in enumerate(files):
            if format_ == "json":
                stream.write(",\n" if number else "[\n")
            try:
                analysis = analyzed(path)
            except IrflopsError as error:
                click.echo(str(error), err=True)
                models.append(Model(path, error=error))
                if format_ == "json":
                    stream.write(encoded(error_row(error, path)) + "\n")
                continue
            uncertain |= is_uncertain(analysis)
            models.append(model_of(path, analysis))
            if format_ == "json":
                write_json(analysis, stream, without)
        if format_ == "json":
            stream.write("]\n")
        else:
            write_table(arranged(model_table(models), sort=wish.sort, top=wish.top, columns=wish.columns), format_, stream)
    if any(model.error for model in models):
        return BAD_INPUT
    return FOUND if strict and uncertain else FINE


def expanded(paths: Sequence[str]) -> list[str]:
    """The files that are meant: patterns are expanded here too, since not every shell does it. A file of that very name comes first."""
    files: list[str] = []
    for path in paths:
        if path == "-" or os.path.lexists(path) or not glob.has_magic(path):
            files.append(path)
            continue
        files += sorted(glob.glob(path, recursive=True)) or [path]  # noqa: PTH207 - Path.glob takes no absolute pattern
    return files


@cli.command()
@click.argument("path")
@click.option("--format", "format_", type=click.Choice(("table", "json", "csv")), default="table", show_default=True)
@MAX_SIZE_OPTION
def lines(path: str, format_: str, max_size: int) -> None:
    """Count the lines of PATH by kind."""
    counts = count_lines(path, max_size)
    with results_to(None) as stream:
        if format_ == "json":
            row = {"schema": "irflops.lines/1", "path": path, "lines": counts, "total": sum(counts.values())}
            stream.write(encoded(row) + "\n")
            return
        write_table(line_table(counts, total=format_ == "table"), format_, stream)


@cli.command()
@click.argument("name", required=False, type=click.Choice(SCHEMAS))
def schema(name: str | None) -> None:
    """Print the JSON Schema of a result."""
    with results_to(None) as stream:
        if name is None:
            stream.write("".join(f"{known}\n" for known in SCHEMAS))
            return
        content = pkgutil.get_data("irflops.data", f"schemas/{name}.schema.json")
        assert content is not None, "the schema ships in the package"
        stream.write(json.dumps(json.loads(content), indent=2) + "\n")


@cli.command()
@click.argument("op_type", required=False, metavar="[TYPE]")
@click.option("--format", "format_", type=click.Choice(("table", "json", "csv", "markdown")), default="table", show_default=True)
@OUTPUT_OPTION
def ops(op_type: str | None, format_: str, output: str | None) -> None:
    """List the op types, or tell how TYPE is counted."""
    known = sorted({*op_types(), *BY_TYPE})
    if op_type is None:
        rows = [rule_row(name) for name in known]
    elif op_type in known:
        rows = [rule_row(op_type)]
    else:
        near = difflib.get_close_matches(op_type, known, n=1)
        raise IrflopsError(f"OneFlow has no op type {op_type!r}", hint=f"did you mean {near[0]}?" if near else "irflops ops lists them")
    with results_to(output) as stream:
        if format_ == "json":
            stream.write('{"schema":"irflops.ops/1",\n"ops":[\n' + ",\n".join(map(encoded, rows)) + "\n]}\n")
        elif op_type is not None and format_ == "table":
            stream.write(rule_text(rows[0]))
        elif op_type is not None or format_ == "csv":
            write_table(rule_table(rows), format_, stream)
        else:
            write_table(rule_table([row for row in rows if row["type"] in BY_TYPE]), format_, stream)
            stream.write(f"\n{rules_line(rows)}\n")


def rule_row(op_type: str) -> dict[str, Any]:
    """What is known of an op type, as plain data."""
    rule = BY_TYPE.get(op_type)
    if rule is None:
        unknown = dict.fromkeys(("summary", "formula", "ignores", "source"), "")
        return {"type": op_type, "status": "unsupported", **unknown, "reason": "no rule yet", "view": False, "examples": []}
    return {
        "type": op_type,
        "status": "data_dependent" if rule.upper_bound else "ruled",
        "summary": rule.summary,
        "formula": rule.formula,
        "ignores": rule.ignores,
        "source": rule.source,
        "reason": "the work depends on the data; counted at its most" if rule.upper_bound else None,
        "view": rule.view,
        "examples": [asdict(example) for example in rule.examples],
    }


def main() -> NoReturn:
    """The installed command."""
    # A graph is many objects that live to the end: seldom looking for cycles among them saves a tenth of the time.
    gc.set_threshold(100_000, 20, 100)
    cli.main()
