"""Tables and reports on their way out, for any command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from irflops.cli.wide import is_wide
from irflops.report.sections import Report
from irflops.report.table import Table
from irflops.report.text import write_csv, write_facts, write_latex, write_markdown, write_markdown_report


def write_table(table: Table, format_: str, stream: TextIO) -> None:
    """A table in a format other than JSON."""
    if format_ == "table":
        from irflops.report.terminal import print_table  # here for start-up time: rich, which no other format needs

        print_table(table, stream, wide=is_wide())
        return
    {"csv": write_csv, "markdown": write_markdown, "latex": write_latex}[format_](table, stream)


def write_report(report: Report, format_: str, stream: TextIO) -> None:
    """A whole report, as Markdown or for a terminal."""
    if format_ == "markdown":
        write_markdown_report(report, stream)
        return
    from irflops.report.terminal import print_report  # here for start-up time: rich, which no other format needs

    print_report(report, stream, wide=is_wide())


def write_labelled(facts: Sequence[tuple[str, str]], format_: str, stream: TextIO) -> None:
    """Labels and their texts, as Markdown or for a terminal."""
    if format_ == "markdown":
        write_facts(facts, stream)
        return
    from irflops.report.terminal import print_facts  # here for start-up time: rich, which no other format needs

    print_facts(facts, stream, wide=is_wide())
