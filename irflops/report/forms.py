"""The serialized forms that are read, as plain rows: a paragraph each for people, a table for other formats."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from irflops.report.table import Column, Table

_FACTS = (("make", "make it by"), ("holds", "it holds"), ("lacks", "it lacks"))
_LABEL = 12
_WIDTH = 100


def form_table(rows: Sequence[Mapping[str, str]]) -> Table:
    """A row per form."""

    def text(name: str, title: str) -> Column:
        return Column(name=name, title=title, get=lambda row: row[name], numeric=False)

    columns = (text("title", "form"), text("name", "format"), *(text(name, label) for name, label in _FACTS))
    return Table(name="formats", title="Formats", columns=columns, items=rows, people=tuple(column.name for column in columns))


def form_text(rows: Sequence[Mapping[str, str]]) -> str:
    """The forms below each other, in 100 columns; a line of Python is never wrapped, so that it can be copied."""
    return "\n".join(_paragraph(row) for row in rows)


def _paragraph(row: Mapping[str, str]) -> str:
    lines = [f"{row['title']} ({row['name']})"]
    for name, label in _FACTS:
        wrapped = [row[name]] if name == "make" else textwrap.wrap(row[name], _WIDTH - _LABEL - 1)
        lines += [f" {label if not number else '':<{_LABEL}}{line}" for number, line in enumerate(wrapped)]
    return "".join(f"{line}\n" for line in lines)
