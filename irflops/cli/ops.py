"""`irflops ops`: the op types, and how each is counted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, TextIO

import click

from irflops.cli.exit_codes import FINE, FOUND
from irflops.cli.options import FORMAT_OPTION, OUTPUT_OPTION, with_config
from irflops.cli.tables import write_table
from irflops.configuration.config import Config
from irflops.errors import IrflopsError
from irflops.ir.signatures import op_types
from irflops.ir.versions import versions
from irflops.ops.book import RuleBook
from irflops.ops.rule import OpRule
from irflops.report.json_writer import encoded
from irflops.report.output import results_to
from irflops.report.rules import check_lines, rule_table, rule_text, rules_line
from irflops.teaching import book_of
from irflops.teaching.advice import lines_for_type
from irflops.teaching.book import with_packages
from irflops.teaching.proof import failures

MISSPELT = 0.85
"""How alike a name must be to be taken for a slip, and not for an operator of the user's."""


@click.command()
@click.argument("op_type", required=False, metavar="[TYPE]")
@click.option("--check", is_flag=True, help="Hold TYPE's rule to its examples, or all rules of your own; exit with 1 if one fails.")
@FORMAT_OPTION
@OUTPUT_OPTION
@with_config
def ops(op_type: str | None, check: bool, format_: str, output: str | None, config: Config) -> int:
    """List the op types, or tell how TYPE is counted.

    Types of your own too: of the [ops] tables of irflops.toml, of [tool.irflops.ops] of pyproject.toml, and of installed packages.
    """
    book = with_packages(book_of(config))
    known = sorted({*op_types(), *book.by_type})
    if op_type is not None and op_type not in known:
        near = difflib.get_close_matches(op_type, known, n=1, cutoff=MISSPELT)
        lines = "\n".join(lines_for_type(op_type))
        hint = f"did you mean {near[0]}?" if near else f"where it is an operator of your own, irflops.toml can teach it:\n{lines}"
        raise IrflopsError(f"OneFlow has no op type {op_type!r}", hint=hint)
    if check:
        with results_to(output) as stream:
            rule = book.rule(op_type)
            return _check(book.own if op_type is None else () if rule is None else (rule,), stream)
    rows = [op_row(name, book) for name in ([op_type] if op_type is not None else known)]
    with results_to(output) as stream:
        if format_ == "json":
            stream.write('{"schema":"irflops.ops/1",\n"ops":[\n' + ",\n".join(map(encoded, rows)) + "\n]}\n")
        elif op_type is not None and format_ == "table":
            stream.write(rule_text(rows[0]))
        elif op_type is not None or format_ == "csv":
            write_table(rule_table(rows), format_, stream)
        else:
            write_table(rule_table([row for row in rows if row["type"] in book.by_type]), format_, stream)
            stream.write(f"\n{rules_line(rows)}\n")
    return FINE


def _check(rules: Iterable[OpRule], stream: TextIO) -> int:
    """Writes what became of each example."""
    found = [(rule, [(example, failures(rule, example)) for example in rule.examples]) for rule in rules]
    for rule, outcomes in found:
        stream.writelines(check_lines(", ".join(rule.op_types), rule.by, [(example.call, said) for example, said in outcomes]))
    if not found:
        stream.write("there is no rule to hold to examples\n")
    return FOUND if any(said for _, outcomes in found for _, said in outcomes) else FINE


def op_row(op_type: str, book: RuleBook) -> dict[str, Any]:
    """What is known of an op type, as plain data."""
    rule, found = book.rule(op_type), versions(op_type)
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
            "reason": book.facts(op_type).reason or "no rule yet",
            "view": False,
            **since,
            "examples": [],
            "advice": list(lines_for_type(op_type)),
        }
    by = book.taught_by(op_type)
    return {
        "type": op_type,
        "status": "data_dependent" if rule.upper_bound else "ruled",
        **({"by": by} if by is not None else {}),
        "summary": rule.summary,
        "formula": rule.formula,
        "ignores": rule.ignores,
        "source": rule.source,
        "reason": "the work depends on the data; counted at its most" if rule.upper_bound else None,
        "view": rule.is_view,
        **since,
        "examples": [asdict(example) for example in rule.examples],
    }
