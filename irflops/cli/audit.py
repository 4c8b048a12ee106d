"""`irflops audit`: what is over budget, not sound, or wasteful in a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TextIO

import click

from irflops import __version__
from irflops.analysis.analysis import analyze_graph
from irflops.auditing.engine import run_rules
from irflops.auditing.finding import SEVERITIES, Audit
from irflops.auditing.ratchet import only_new
from irflops.auditing.registry import all_rules
from irflops.auditing.rule import AuditRule
from irflops.auditing.settings import Settings, for_explaining, misfits_of, refuse_misfits, settings_of, with_options
from irflops.cli.baseline import Baselines
from irflops.cli.exit_codes import BAD_INPUT, FINE, FOUND
from irflops.cli.options import GRAPH_OPTION, MAX_SIZE_OPTION, OUTPUT_OPTION, QUIET_OPTION, Grouped, expanded, names_of, with_config
from irflops.cli.rules import audit_rule_row
from irflops.cli.tables import write_report, write_table
from irflops.cli.what_if import WhatIfOptions, what_if_options
from irflops.configuration.config import Config
from irflops.errors import IrflopsError
from irflops.ir.graph import Graph
from irflops.machines.known import users_machines
from irflops.readers import load
from irflops.report.annotations import write_annotations
from irflops.report.findings import TOP, audit_report, audits_table, explain_report
from irflops.report.json_writer import encoded, error_row
from irflops.report.junit import write_junit
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.sarif import write_sarif
from irflops.report.summary import short_path
from irflops.teaching import book_of

FORMATS = ("table", "json", "markdown", "sarif", "junit", "github")
EPILOG = """\b
Examples:
  irflops audit graph.txt                          all rules
  irflops audit graph.txt --select dead-op,budget  some of them
  irflops audit graph.txt --baseline old.txt       only what is new or worse since old.txt
  irflops audit dumps/                             each dump in a folder: a line a graph, then what was found
  irflops audit dumps/*.txt --strict               several; what cannot be decided fails too
  irflops audit graph.txt --format sarif -o audit.sarif
  irflops audit graph.txt --batch 64               as if captured at that batch
  irflops audit graph.txt --explain fragmentation  why a rule did not fire
  irflops rules                                    the rules
"""


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file of several that was not audited."""

    path: str
    error: IrflopsError


class _Audit(Grouped):
    groups = (
        ("select", "What to ask"),
        ("format_", "How to write it"),
        ("graph", "What to read"),
        ("batch", "What if, of the graphs of OTHER too"),
        ("fail_level", "When to fail"),
    )


@click.command(cls=_Audit, epilog=EPILOG)
@click.argument("paths", type=click.Path(), nargs=-1, required=True, metavar="PATH...")
@click.option("--select", callback=names_of, default="", metavar="A,B", help="Ask only these rules.")
@click.option("--ignore", callback=names_of, default="", metavar="A,B", help="Do not ask these.")
@click.option("--baseline", metavar="OTHER", help="Show only what is new or worse since OTHER: a graph, or the JSON of an audit.")
@click.option("--explain", metavar="RULE", help="Show the figures behind a rule, of what did not fire too; an ignored one is asked.")
@with_config
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True, help="How to write the result.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", default=TOP, show_default=True, help="Findings of a rule in a table.")
@click.option("--full", is_flag=True, help="Show each finding by itself, those too that say the same.")
@OUTPUT_OPTION
@GRAPH_OPTION
@click.option("--graph-baseline", metavar="NAME|N", help="Which graph of OTHER, where it holds several.  [default: as --graph]")
@click.option("--partial", is_flag=True, help="Audit what is readable of a damaged graph.")
@MAX_SIZE_OPTION
@what_if_options()
@click.option("--fail-level", type=click.Choice([*SEVERITIES]), help="Exit with 1 from findings of this severity up.  [default: error]")
@click.option("--strict", is_flag=True, help="Exit with 1 if something that the form can tell could not be decided, too.")
@QUIET_OPTION
def audit(
    paths: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    baseline: str | None,
    explain: str | None,
    config: Config,
    format_: str,
    top: int,
    full: bool,
    output: str | None,
    graph: str | None,
    graph_baseline: str | None,
    partial: bool,
    max_size: int,
    what_if: WhatIfOptions,
    fail_level: str | None,
    strict: bool,
    quiet: bool,
) -> int:
    """Judge the graph in PATH by rules.

    Is it within budget, sound, and not wasteful? PATH is what `irflops analyze` reads, or several of them, a folder of them, a pattern:
    then a line a graph comes first, and findings below it of those graphs that have any. Settings stand in the
    [audit] table of irflops.toml, or in [tool.irflops.audit] of pyproject.toml.
    """
    files = expanded(paths)
    if explain and format_ not in ("table", "json", "markdown"):
        raise click.UsageError("--explain is for --format table, json or markdown.")
    if graph_baseline is not None and baseline is None:
        raise click.UsageError("--graph-baseline goes with --baseline.")
    if [*files, baseline].count("-") > 1:
        raise click.UsageError("standard input can be PATH or the baseline, not both.")
    rules = all_rules()
    settings = _settings(rules, config, [explain] if explain else select, ignore)
    ignored = _ignored(settings, explain) if explain else ""
    if explain:
        settings = for_explaining(settings, explain)
    if fail_level is not None:
        settings = replace(settings, fail_level=SEVERITIES[fail_level])
    book = book_of(config)
    refuse_to_overwrite(output, [*files, *([baseline] if baseline else [])])

    def audited(other: Graph) -> Audit:
        return run_rules(analyze_graph(*what_if.applied(other, book)), rules, settings)

    known = None
    if baseline is not None:
        with sign_of_life(f"auditing {short_path(baseline)}", quiet):
            known = Baselines(baseline, audited, choice=graph_baseline, graph=graph, partial=partial, max_size=max_size)
    found: list[Audit | BadFile] = []
    misfits = []
    for path in files:
        try:
            with sign_of_life(f"auditing {short_path(path)}", quiet):
                analysis = analyze_graph(*what_if.applied(load(path, graph, partial=partial, max_size=max_size), book))
                misfits.append(misfits_of(settings, rules, analysis))
                audit_ = run_rules(analysis, rules, settings)
            found.append(only_new(audit_, known.of(audit_)) if known is not None else audit_)
        except IrflopsError as error:
            if len(files) == 1 or error.path == settings.path:
                raise
            click.echo(str(error), err=True)
            found.append(BadFile(path, error))
    refuse_misfits(settings, misfits)
    with results_to(output) as stream:
        _write(found, rules, settings, explain, ignored, format_, top, stream, fold=not full)
    if any(isinstance(one, BadFile) for one in found):
        return BAD_INPUT
    return FOUND if any(one.fails(settings.fail_level, strict=strict) for one in found if isinstance(one, Audit)) else FINE


def _settings(rules: Sequence[AuditRule], config: Config, select: Sequence[str], ignore: Sequence[str]) -> Settings:
    settings = replace(settings_of(config.table("audit"), rules, config.path), machines=users_machines(config))
    return with_options(settings, rules, select=select, ignore=ignore)


def _ignored(settings: Settings, rule: str) -> str:
    """Where the settings ignore a rule, in words; nothing where they do not."""
    patterns = [pattern for pattern, names in settings.per_module_ignores.items() if rule in names]
    if rule not in settings.ignore and not patterns:
        return ""
    where = "" if rule in settings.ignore else f" in {', '.join(patterns)}"
    return f"by the settings{where}; asked here all the same"


def _write(
    found: Sequence[Audit | BadFile],
    rules: Sequence[AuditRule],
    settings: Settings,
    explain: str | None,
    ignored: str,
    format_: str,
    top: int,
    stream: TextIO,
    *,
    fold: bool,
) -> None:
    audits = [one for one in found if isinstance(one, Audit)]
    if format_ == "json":
        rows = [error_row(one.error, one.path) if isinstance(one, BadFile) else _row(one, explain) for one in found]
        stream.write((encoded(rows[0]) if len(rows) == 1 else "[\n" + ",\n".join(map(encoded, rows)) + "\n]") + "\n")
    elif format_ == "sarif":
        write_sarif(audits, [audit_rule_row(rule) for rule in rules], __version__, stream, fold=fold)
    elif format_ == "junit":
        write_junit(audits, settings.fail_level, stream)
    elif format_ == "github":
        for one in audits:
            write_annotations(one, stream, fold=fold)
    else:
        row = next((audit_rule_row(rule) for rule in rules if rule.name == explain), None)
        limit = None if format_ == "markdown" else top
        if len(found) > 1:
            write_table(audits_table(audits), format_, stream)
        shown = [one for one in audits if len(found) == 1 or one.findings or one.doubts or row is not None]
        for number, one in enumerate(shown):
            report = explain_report(one, row, limit, ignored) if row is not None else audit_report(one, limit, fold=fold)
            stream.write("\n" if number or len(found) > 1 else "")
            write_report(report, format_, stream)


def _row(audit: Audit, explain: str | None) -> dict[str, Any]:
    row = audit.to_dict()
    return row | {"explained": audit.near_rows()} if explain else row
