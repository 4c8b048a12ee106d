"""`irflops analyze --convention`: the same graph by the rules of another counter."""

from __future__ import annotations

from typing import TextIO

import click

from irflops.analysis.analysis import Analysis
from irflops.cli.tables import write_report, write_table
from irflops.conventions.registry import Answer, convention_called, count
from irflops.conventions.rows import answer_row
from irflops.conventions.torchstat_table import torchstat_rows
from irflops.report.conventions import answer_report, module_answer_table, torchstat_table, type_answer_table
from irflops.report.sections import Wish
from irflops.report.table import Table, arranged


def counted(analysis: Analysis, name: str) -> Answer:
    """What the tool of that convention would print. Errors: IrflopsError where there is none of that name."""
    return count(convention_called(name), analysis.structure)


def json_member(analysis: Analysis, name: str) -> dict[str, object]:
    """What the JSON of an analysis gains."""
    return {"convention": answer_row(counted(analysis, name), analysis.graph)}


def write_by_convention(analysis: Analysis, name: str, by: str | None, wish: Wish, format_: str, stream: TextIO) -> None:
    """The tool's figure and what makes it up; one table alone with `by`, or in a format that has no more."""
    answer = counted(analysis, name)
    if by is None and format_ in ("table", "markdown") and not wish.columns:
        write_report(answer_report(analysis, answer), format_, stream)
        return
    write_table(
        arranged(_table(analysis, answer, by or "module", wish), sort=wish.sort, top=wish.top, columns=wish.columns), format_, stream
    )


def _table(analysis: Analysis, answer: Answer, by: str, wish: Wish) -> Table:
    if by in ("type", "step"):
        return type_answer_table(answer)
    if by != "module":
        raise click.UsageError("--convention goes with --by module and --by type.")
    if answer.convention.tool == "torchstat":
        return torchstat_table(torchstat_rows(analysis.structure))
    return module_answer_table(analysis, answer, wish.depth)
