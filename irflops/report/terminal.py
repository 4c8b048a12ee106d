"""Tables and the whole report for people: on a terminal with colour where there is any, nothing wrapped, numbers never cut."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len, set_cell_size

from irflops.counting.ratio import Ratio
from irflops.report.numbers import UNKNOWN
from irflops.report.sections import Report
from irflops.report.table import Drawn, Table, drawn, printable

if TYPE_CHECKING:
    from irflops.report.styled import Segment, StyledScreen

WIDTH = 100
"""Columns where no terminal says how many it has."""

_GAP = "  "
_INDENT = " "
_LABEL = 13
_LEAST = 14
"""Columns that a text keeps, however narrow the terminal."""
_LONGEST = 400
"""Characters of a cell's text that are ever looked at: a damaged dump has names of megabytes, and to measure those takes minutes."""
_LONGEST_LINE = 2000
"""The same of a fact or a note, which is not a cell."""
_BAR = 8
_EIGHTHS = "▏▎▍▌▋▊▉"


_FORCING = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""Variables by which rich takes for a terminal what is none."""
_DROPPED = dict.fromkeys(map(ord, "\a\b\v\f\r"))
"""Characters that rich never writes."""


class _PlainScreen:
    """Writes on what is no terminal as rich would, without its taking a tenth of the time of a small graph."""

    def __init__(self, stream: TextIO, width: int) -> None:
        self._stream = stream
        self.width = width

    def line(self, segments: Sequence[Segment]) -> None:
        """One line, without the blanks at its end."""
        text = "".join([text for text, _style in segments]).translate(_DROPPED).rstrip()
        self._stream.write("\n".join([part.expandtabs() for part in text.split("\n")]) + "\n")

    def wrapped(self, text: str, width: int) -> list[str]:
        """A text in lines of so many columns."""
        return _styled(self._stream, self.width).wrapped(text, width)


def _styled(stream: TextIO, width: int | None) -> StyledScreen:
    from irflops.report.styled import StyledScreen  # here for start-up time: rich, which only a terminal needs

    return StyledScreen(stream, width)


def _screen(stream: TextIO) -> _PlainScreen | StyledScreen:
    columns = os.environ.get("COLUMNS", str(WIDTH))
    if stream.isatty() or any(name in os.environ for name in _FORCING) or not columns.isdecimal():
        return _styled(stream, None if stream.isatty() or "COLUMNS" in os.environ else WIDTH)
    return _PlainScreen(stream, int(columns))


class Terminal:
    """Draws on a stream, in its width and encoding."""

    def __init__(self, stream: TextIO) -> None:
        self._screen = _screen(stream)
        encoding = getattr(stream, "encoding", None) or "utf-8"
        self._unicode = encoding.lower().startswith("utf")
        self._ellipsis, self._rule = ("…", "─") if self._unicode else ("...", "-")

    def report(self, report: Report) -> None:
        """The whole report."""
        self._screen.line([(self._clipped(report.headline), "bold")])
        self._screen.line([])
        for label, text in report.facts:
            self._screen.line([(_INDENT, ""), (label.ljust(_LABEL), "dim"), (self._clipped(text, _LONGEST_LINE), "")])
        for table in report.tables:
            self._screen.line([])
            self.table(table)
        if report.notes:
            self._screen.line([])
            self._screen.line([("Notes", "bold")])
            for note in report.notes:
                for number, part in enumerate(self._wrapped(note)):
                    self._screen.line([("   " if number else f"{_INDENT}- ", ""), (part, "")])

    def table(self, table: Table) -> None:
        """A table under its title, as wide as it needs to be."""
        columns, hidden = self._fitting(self._prepared(table))
        title = [(table.title, "bold")]
        if table.total is not None:
            title.append((f"  {len(table.items):,} of {table.total:,}", "not bold dim"))
        if hidden:
            title.append((f"  not shown for lack of room: {', '.join(hidden)}", "not bold dim"))
        self._screen.line(title)
        widths = [_width(column) for column in columns]
        self._row([(_aligned(c.heading, c, width), "dim") for c, width in zip(columns, widths, strict=True)])
        self._screen.line([(_INDENT + self._rule * (sum(widths) + len(_GAP) * (len(widths) - 1)), "dim")])
        for n in range(len(table.items)):
            texts = [_aligned(column.texts[n], column, width) for column, width in zip(columns, widths, strict=True)]
            bold = table.tree is not None and table.tree(table.items[n])[0] == 0
            self._row([(text, _style(text, c, number, bold)) for number, (text, c) in enumerate(zip(texts, columns, strict=True))])

    def _row(self, cells: Sequence[Segment]) -> None:
        segments: list[Segment] = []
        for cell in cells:
            segments += ((_GAP if segments else _INDENT, ""), cell)
        self._screen.line(segments)

    def _wrapped(self, note: str) -> Iterable[str]:
        return self._screen.wrapped(self._clipped(note, _LONGEST_LINE), max(20, self._screen.width - 4))

    def _prepared(self, table: Table) -> list[Drawn]:
        """The columns with what a terminal adds: the indent of a tree, and the bars of shares where no text is cut for them."""
        columns = drawn(table)
        if table.tree is not None:
            places = [table.tree(item) for item in table.items]
            columns[0] = replace(columns[0], texts=["  " * level + printable(label) for level, label in places])
        columns = [replace(column, texts=[self._clipped(text) for text in column.texts]) for column in columns]
        barred = [_with_bars(column) if column.column.name.endswith("_share") else column for column in columns]
        return barred if self._unicode and self._room(barred) >= 0 else columns

    def _room(self, columns: Sequence[Drawn]) -> int:
        """Columns of the terminal that are left, negative where it is too narrow."""
        return self._screen.width - len(_INDENT) - sum(map(_width, columns)) - len(_GAP) * (len(columns) - 1)

    def _fitting(self, columns: list[Drawn]) -> tuple[list[Drawn], list[str]]:
        """The columns with long texts cut in the middle; where that is not enough, without those furthest to the right."""
        hidden: list[str] = []
        room = self._screen.width - len(_INDENT)
        while len(columns) > 2 and sum(map(_least_width, columns)) + len(_GAP) * (len(columns) - 1) > room:
            hidden.insert(0, columns[-1].heading.strip())
            columns = columns[:-1]
        widths = [_width(column) for column in columns]
        least = [_least_width(column) for column in columns]
        for _ in range(-self._room(columns)):
            widest = max(range(len(widths)), key=lambda n: (widths[n] > least[n], widths[n]))
            widths[widest] -= widths[widest] > least[widest]
        return [
            replace(column, texts=[self._cut(text, width, column.column.cut_at_end) for text in column.texts])
            if width < _width(column)
            else column
            for column, width in zip(columns, widths, strict=True)
        ], hidden

    def _clipped(self, text: str, longest: int = _LONGEST) -> str:
        """A text with its middle left out where it has more characters than any terminal shows."""
        longest = max(longest, self._screen.width)
        return text if len(text) <= longest else text[: longest // 2] + self._ellipsis + text[-(longest // 2) :]

    def _cut(self, text: str, width: int, at_end: bool) -> str:
        """A text with its middle or its end left out, so that it takes `width` columns at most."""
        if cell_len(text) <= width:
            return text
        room = max(1, width - len(self._ellipsis))
        if at_end:
            return set_cell_size(text, room).rstrip() + self._ellipsis
        indent = len(text) - len(text.lstrip(" "))
        front = set_cell_size(text, min(room, max(indent + 1, room * 2 // 5)))
        return front + self._ellipsis + set_cell_size(text[::-1], room - cell_len(front))[::-1]


def _width(column: Drawn) -> int:
    return max([cell_len(column.heading), *map(cell_len, column.texts)])


def _least_width(column: Drawn) -> int:
    return _width(column) if column.column.numeric else min(_width(column), max(_LEAST, cell_len(column.heading)))


def _aligned(text: str, column: Drawn, width: int) -> str:
    padding = " " * (width - cell_len(text))
    return padding + text if column.column.numeric else text + padding


def _with_bars(column: Drawn) -> Drawn:
    width = _width(column)
    texts = [f"{text:>{width}} {_bar(cell)}" for text, cell in zip(column.texts, column.cells, strict=True)]
    return replace(column, heading=column.heading.rjust(width).ljust(width + 1 + _BAR), texts=texts)


def _bar(cell: object) -> str:
    if not isinstance(cell, Ratio) or cell.whole <= 0:
        return " " * _BAR
    eighths = min(_BAR * 8, (cell.part * _BAR * 16 + cell.whole) // (2 * cell.whole))
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest - 1] if rest else "")).ljust(_BAR)


def _style(text: str, column: Drawn, number: int, bold: bool) -> str:
    word = text.strip()
    if word == UNKNOWN or word.startswith((">=", "<=", "~")):
        return "yellow"
    if word in ("0", "0.0%"):
        return "dim"
    if column.column.name.endswith("_share"):
        return "cyan"
    if number == 0:
        return "bold" if bold else ""
    return "" if column.column.numeric else "green"


def print_report(report: Report, stream: TextIO) -> None:
    """The whole report of an analysis."""
    Terminal(stream).report(report)


def print_table(table: Table, stream: TextIO) -> None:
    """One table."""
    Terminal(stream).table(table)
