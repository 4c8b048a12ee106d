"""`irflops ops`: the op types, and how each is counted."""

from __future__ import annotations

import difflib
from dataclasses import asdict
from typing import Any

import click

from irflops.cli.options import OUTPUT_OPTION
from irflops.cli.tables import write_table
from irflops.errors import IrflopsError
from irflops.ir.signatures import op_types
from irflops.ir.versions import versions
from irflops.ops import BOOK
from irflops.report.json_writer import encoded
from irflops.report.output import results_to
from irflops.report.rules import rule_table, rule_text, rules_line


@click.command()
@click.argument("op_type", required=False, metavar="[TYPE]")
@click.option("--format", "format_", type=click.Choice(("table", "json", "csv", "markdown")), default="table", show_default=True)
@OUTPUT_OPTION
def ops(op_type: str | None, format_: str, output: str | None) -> None:
    """List the op types, or tell how TYPE is counted."""
    known = sorted({*op_types(), *BOOK.by_type})
    if op_type is None:
        rows = [op_row(name) for name in known]
    elif op_type in known:
        rows = [op_row(op_type)]
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
            write_table(rule_table([row for row in rows if row["type"] in BOOK.by_type]), format_, stream)
            stream.write(f"\n{rules_line(rows)}\n")


def op_row(op_type: str) -> dict[str, Any]:
    """What is known of an op type, as plain data."""
    rule, found = BOOK.rule(op_type), versions(op_type)
    since = {
        "since": None if found is None else found.since,
        "until": None if found is None else found.until,
        "differs": {} if found is None else dict(found.differs),
    }
    if rule is None:
        unknown = dict.fromkeys(("summary", "formula", "ignores", "source"), "")
        return {
            "type": op_type,
            "status": "unsupported",
            **unknown,
            "reason": BOOK.facts(op_type).reason or "no rule yet",
            "view": False,
            **since,
            "examples": [],
        }
    return {
        "type": op_type,
        "status": "data_dependent" if rule.upper_bound else "ruled",
        "summary": rule.summary,
        "formula": rule.formula,
        "ignores": rule.ignores,
        "source": rule.source,
        "reason": "the work depends on the data; counted at its most" if rule.upper_bound else None,
        "view": rule.is_view,
        **since,
        "examples": [asdict(example) for example in rule.examples],
    }
