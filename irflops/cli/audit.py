"""`irflops audit`: what is over budget, not sound, or wasteful in a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import click

from irflops import __version__
from irflops.analysis.analysis import analyze_graph
from irflops.auditing.config import find_config, read_config
from irflops.auditing.engine import only_new, run_rules
from irflops.auditing.finding import SEVERITIES, Audit
from irflops.auditing.registry import all_rules
from irflops.auditing.rule import AuditRule
from irflops.auditing.settings import Settings, for_explaining, refuse_misfits, settings_of, with_options
from irflops.cli.baseline import known_ids
from irflops.cli.exit_codes import FINE, FOUND
from irflops.cli.options import MAX_SIZE_OPTION, OUTPUT_OPTION, Grouped, names_of
from irflops.cli.rules import audit_rule_row
from irflops.ir.graph import Graph
from irflops.readers import load
from irflops.readers.intake import display_name
from irflops.report.annotations import write_annotations
from irflops.report.findings import TOP, audit_report, explain_report
from irflops.report.json_writer import encoded
from irflops.report.junit import write_junit
from irflops.report.output import refuse_to_overwrite, results_to, sign_of_life
from irflops.report.sarif import write_sarif
from irflops.report.summary import short_path
from irflops.report.text import write_markdown_report

FORMATS = ("table", "json", "markdown", "sarif", "junit", "github")
EPILOG = """\b
Examples:
  irflops audit graph.txt                          all rules
  irflops audit graph.txt --select dead-op,budget  some of them
  irflops audit graph.txt --baseline old.txt       only what is new since old.txt
  irflops audit graph.txt --format sarif -o audit.sarif
  irflops audit graph.txt --explain fragmentation  why a rule did not fire
  irflops rules                                    the rules
"""


class _Audit(Grouped):
    groups = (
        ("select", "What to ask"),
        ("format_", "How to write it"),
        ("graph", "What to read"),
        ("fail_level", "When to fail"),
    )


@click.command(cls=_Audit, epilog=EPILOG)
@click.argument("path")
@click.option("--select", callback=names_of, default="", metavar="A,B", help="Ask only these rules.")
@click.option("--ignore", callback=names_of, default="", metavar="A,B", help="Do not ask these.")
@click.option("--baseline", metavar="OTHER", help="Show only what OTHER has not: another graph, or the JSON of its audit.")
@click.option("--explain", metavar="RULE", help="Show the figures behind a rule, of what did not fire too; an ignored one is asked.")
@click.option("--config", metavar="FILE", help="Read the settings from FILE.  [default: irflops.toml or pyproject.toml, here or above]")
@click.option("--no-config", is_flag=True, help="Read no settings.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True, help="How to write the result.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", default=TOP, show_default=True, help="Findings of a rule in a table.")
@OUTPUT_OPTION
@click.option("--graph", metavar="NAME|N", help="Which graph, where a file holds several.")
@click.option("--graph-baseline", metavar="NAME|N", help="Which graph of OTHER, where it holds several.  [default: as --graph]")
@click.option("--partial", is_flag=True, help="Audit what is readable of a damaged graph.")
@MAX_SIZE_OPTION
@click.option("--fail-level", type=click.Choice([*SEVERITIES]), help="Exit with 1 from findings of this severity up.  [default: error]")
@click.option("--strict", is_flag=True, help="Exit with 1 if something could not be decided, too.")
@click.option("-q", "--quiet", is_flag=True, help="No sign of progress on standard error.")
def audit(
    path: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    baseline: str | None,
    explain: str | None,
    config: str | None,
    no_config: bool,
    format_: str,
    top: int,
    output: str | None,
    graph: str | None,
    graph_baseline: str | None,
    partial: bool,
    max_size: int,
    fail_level: str | None,
    strict: bool,
    quiet: bool,
) -> int:
    """Judge the graph in PATH by rules.

    Is it within budget, sound, and not wasteful? PATH is what `irflops analyze` reads. Settings stand in the
    [audit] table of irflops.toml, or in [tool.irflops.audit] of pyproject.toml.
    """
    if explain and format_ not in ("table", "json", "markdown"):
        raise click.UsageError("--explain is for --format table, json or markdown.")
    if graph_baseline is not None and baseline is None:
        raise click.UsageError("--graph-baseline goes with --baseline.")
    if path == baseline == "-":
        raise click.UsageError("standard input can be PATH or the baseline, not both.")
    rules = all_rules()
    settings = _settings(rules, config, no_config, [explain] if explain else select, ignore)
    ignored = _ignored(settings, explain) if explain else ""
    if explain:
        settings = for_explaining(settings, explain)
    if fail_level is not None:
        settings = replace(settings, fail_level=SEVERITIES[fail_level])
    refuse_to_overwrite(output, [path, *([baseline] if baseline else [])])
    with sign_of_life(f"auditing {short_path(path)}", quiet):
        analysis = analyze_graph(load(path, graph, partial=partial, max_size=max_size))
        refuse_misfits(settings, rules, analysis)
        found = run_rules(analysis, rules, settings)
    if baseline is not None:

        def audited(other: Graph) -> list[str]:
            return [finding.id for finding in run_rules(analyze_graph(other), rules, settings).findings]

        with sign_of_life(f"auditing {short_path(baseline)}", quiet):
            known = known_ids(baseline, audited, choice=graph_baseline, graph=graph, partial=partial, max_size=max_size)
        found = only_new(found, known, display_name(baseline))
    with results_to(output) as stream:
        _write(found, rules, settings, explain, ignored, format_, top, stream)
    worst = found.worst()
    failed = (worst is not None and worst >= settings.fail_level) or (strict and not found.complete)
    return FOUND if failed else FINE


def _settings(rules: Sequence[AuditRule], config: str | None, no_config: bool, select: Sequence[str], ignore: Sequence[str]) -> Settings:
    if config is not None and no_config:
        raise click.UsageError("--config and --no-config contradict each other.")
    if no_config:
        return with_options(Settings(), rules, select=select, ignore=ignore)
    file = read_config(Path(config)) if config is not None else find_config()
    return with_options(settings_of(file.table("audit"), rules, file.path), rules, select=select, ignore=ignore)


def _ignored(settings: Settings, rule: str) -> str:
    """Where the settings ignore a rule, in words; nothing where they do not."""
    patterns = [pattern for pattern, names in settings.per_module_ignores.items() if rule in names]
    if rule not in settings.ignore and not patterns:
        return ""
    where = "" if rule in settings.ignore else f" in {', '.join(patterns)}"
    return f"by the settings{where}; asked here all the same"


def _write(
    found: Audit,
    rules: Sequence[AuditRule],
    settings: Settings,
    explain: str | None,
    ignored: str,
    format_: str,
    top: int,
    stream: TextIO,
) -> None:
    if format_ == "json":
        row = found.to_dict()
        stream.write(encoded(row | {"explained": found.near_rows()} if explain else row) + "\n")
    elif format_ == "sarif":
        write_sarif(found, [audit_rule_row(rule) for rule in rules], __version__, stream)
    elif format_ == "junit":
        write_junit(found, settings.fail_level, stream)
    elif format_ == "github":
        write_annotations(found, stream)
    else:
        row_ = next((audit_rule_row(rule) for rule in rules if rule.name == explain), None)
        limit = None if format_ == "markdown" else top
        report = explain_report(found, row_, limit, ignored) if row_ is not None else audit_report(found, limit)
        if format_ == "markdown":
            write_markdown_report(report, stream)
            return
        from irflops.report.terminal import print_report  # here for start-up time: rich, which no other format needs

        print_report(report, stream)
