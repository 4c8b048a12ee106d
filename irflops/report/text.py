"""Tables as CSV, Markdown and LaTeX: nothing is cut, and CSV has the integers themselves."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import TextIO

from irflops.report.json_writer import any_digits
from irflops.report.sections import Report
from irflops.report.table import Drawn, Table, drawn, for_machines

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|])")
_SIGN = re.compile(r"^(>=|<=|~|<) ?")


def write_csv(table: Table, stream: TextIO) -> None:
    """A line per item under a line of names; what is not known is empty."""
    columns = table.for_machines()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    with any_digits():
        writer.writerows([for_machines(column.get(item)) for column in columns] for item in table.items)


def write_markdown(table: Table, stream: TextIO) -> None:
    """A table of GitHub's Markdown."""
    columns = drawn(table)
    stream.write(_markdown_row([_markdown(column.heading) for column in columns]))
    stream.write(_markdown_row(["---:" if column.column.numeric else "---" for column in columns]))
    stream.writelines(_markdown_row([_markdown(text) for text in cells]) for cells in _rows(table, columns))


def write_markdown_report(report: Report, stream: TextIO) -> None:
    """The whole report, its tables under headings."""
    stream.write(f"# {_markdown(report.headline)}\n\n")
    write_facts(report.facts, stream)
    for table in report.tables:
        stream.write(f"\n## {_markdown(table.title)}{left_out(table)}\n\n")
        write_markdown(table, stream)
    if report.notes:
        stream.write("\n## Notes\n\n")
        stream.writelines(f"- {_markdown(note)}\n" for note in report.notes)


def write_facts(facts: Sequence[tuple[str, str]], stream: TextIO) -> None:
    """Labels and their texts, as a list of Markdown."""
    stream.writelines(f"- {label}: {_markdown(text)}\n" if label else f"  - {_markdown(text)}\n" for label, text in facts)


def left_out(table: Table) -> str:
    """What the heading of a table says of rows that are not there."""
    rows = [] if table.total is None else [f"{len(table.items):,} of {table.total:,}"]
    return "".join(f", {_markdown(note)}" for note in [*rows, *table.notes])


def write_latex(table: Table, stream: TextIO) -> None:
    """A tabular for the booktabs package."""
    columns = drawn(table)
    alignment = "".join("r" if column.column.numeric else "l" for column in columns)
    stream.write(f"% \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{alignment}}}\n\\toprule\n")
    stream.write(_latex_row([_latex(column.heading) for column in columns]))
    stream.write("\\midrule\n")
    stream.writelines(_latex_row([_latex_cell(text, c) for text, c in zip(cells, columns, strict=True)]) for cells in _rows(table, columns))
    stream.write("\\bottomrule\n\\end{tabular}\n")


def _rows(table: Table, columns: Sequence[Drawn]) -> Iterator[list[str]]:
    for number in range(len(table.items)):
        yield [column.texts[number] for column in columns]


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)


def _latex_cell(text: str, column: Drawn) -> str:
    if not column.column.numeric:
        return _latex(text)
    signs = {">=": r"$\geq$", "<=": r"$\leq$", "~": r"$\sim$", "<": "$<$"}
    sign = _SIGN.match(text)
    return _latex(text) if sign is None else signs[sign[1]] + _latex(text[sign.end() :])


def _latex_row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\\n"
