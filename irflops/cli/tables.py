"""A table on its way out, for any command."""

from __future__ import annotations

from typing import TextIO

from irflops.report.table import Table
from irflops.report.text import write_csv, write_latex, write_markdown


def write_table(table: Table, format_: str, stream: TextIO) -> None:
    """A table in a format other than JSON."""
    if format_ == "table":
        from irflops.report.terminal import print_table  # here for start-up time: rich, which no other format needs

        print_table(table, stream)
        return
    {"csv": write_csv, "markdown": write_markdown, "latex": write_latex}[format_](table, stream)
