"""`irflops rules`: the audit rules, and what each is for."""

from __future__ import annotations

from typing import Any

import click

from irflops.auditing.registry import all_rules
from irflops.auditing.rule import AuditRule, Bad, Good
from irflops.cli.options import FORMAT_OPTION, OUTPUT_OPTION
from irflops.cli.tables import write_table
from irflops.configuration.choices import one_of
from irflops.errors import IrflopsError
from irflops.report.audit_rules import audit_rule_table, audit_rule_text
from irflops.report.json_writer import encoded
from irflops.report.output import results_to


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@FORMAT_OPTION
@OUTPUT_OPTION
def rules(name: str | None, format_: str, output: str | None) -> None:
    """List the audit rules, or explain the rule NAME."""
    known = {rule.name: rule for rule in all_rules()}
    if name is not None:
        try:
            one_of(known, "rule")(name)
        except ValueError as error:
            text, _, hint = str(error).partition("; ")
            raise IrflopsError(text, hint=hint) from None
    rows = [audit_rule_row(rule) for rule in known.values() if name in (None, rule.name)]
    with results_to(output) as stream:
        if format_ == "json":
            stream.write('{"schema":"irflops.rules/1",\n"rules":[\n' + ",\n".join(map(encoded, rows)) + "\n]}\n")
        elif name is not None and format_ == "table":
            stream.write(audit_rule_text(rows[0]))
        else:
            write_table(audit_rule_table(rows), format_, stream)


def audit_rule_row(rule: AuditRule) -> dict[str, Any]:
    """What is known of a rule, as plain data."""
    return {
        "name": rule.name,
        "summary": rule.summary,
        "why": rule.why,
        "fix": rule.fix,
        "severity": rule.severity.word,
        "settings": [{"name": s.name, "meaning": s.meaning, "default": s.default} for s in rule.settings],
        "undecidable": rule.undecidable,
        "source": rule.source,
        "bad": [_bad_row(example) for example in rule.bad],
        "good": [_good_row(example) for example in rule.good],
    }


def _good_row(example: Good | Bad) -> dict[str, Any]:
    return {"name": example.name, "graph": example.graph, "settings": dict(example.settings)}


def _bad_row(example: Bad) -> dict[str, Any]:
    gain = dict(example.gain) if example.gain is not None else None
    return _good_row(example) | {"op": example.op, "because": example.because, "gain": gain, "certainty": example.certainty.value}
