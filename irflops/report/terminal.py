"""Tables and the whole report for people: on a terminal with colour where there is any, laid out by one policy (`layout`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len

from irflops.counting.ratio import Ratio
from irflops.report.layout import GAP, Laid, Layout, laid_out
from irflops.report.numbers import UNKNOWN
from irflops.report.sections import Report
from irflops.report.table import Drawn, Table, drawn, printable
from irflops.report.wrap import shortened, wrapped_words

if TYPE_CHECKING:
    from irflops.report.styled import Segment, StyledScreen

WIDTH = 100
"""Columns where no terminal says how many it has."""

WIDE = 10_000
"""Columns of what knows no limit: no graph has names as long."""

_INDENT = " "
_LABEL = 13
_LEAST = 30
"""Columns that sentences have, however narrow the terminal."""
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


def _styled(stream: TextIO, width: int | None) -> StyledScreen:
    from irflops.report.styled import StyledScreen  # here for start-up time: rich, which only a terminal needs

    return StyledScreen(stream, width)


def _screen(stream: TextIO, wide: bool) -> _PlainScreen | StyledScreen:
    columns = str(WIDE) if wide else os.environ.get("COLUMNS", str(WIDTH))
    if stream.isatty() or any(name in os.environ for name in _FORCING) or not columns.isdecimal():
        return _styled(stream, WIDE if wide else None if stream.isatty() or "COLUMNS" in os.environ else WIDTH)
    return _PlainScreen(stream, int(columns))


class Terminal:
    """Draws on a stream, in its width and encoding; `wide` knows no limit to the width."""

    def __init__(self, stream: TextIO, *, wide: bool = False) -> None:
        self._screen = _screen(stream, wide)
        encoding = getattr(stream, "encoding", None) or "utf-8"
        self._unicode = encoding.lower().startswith("utf")
        self._ellipsis, self._rule = ("…", "─") if self._unicode else ("...", "-")

    def report(self, report: Report) -> None:
        """The whole report."""
        for line in wrapped_words(self._clipped(report.headline), self._screen.width):
            self._screen.line([(line, "bold")])
        self._screen.line([])
        self.facts(report.facts)
        for table in report.tables:
            self._screen.line([])
            self.table(table)
        if report.notes:
            self._screen.line([])
            self._screen.line([("Notes", "bold")])
            for note in report.notes:
                self._item("- ", note)

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Labels, and their texts beside them."""
        width = max([_LABEL, *(len(label) + 1 for label, _ in facts)])
        for label, text in facts:
            for number, line in enumerate(self._sentence(text, len(_INDENT) + width)):
                self._screen.line([(_INDENT, ""), (("" if number else label).ljust(width), "dim"), (line, "")])

    def table(self, table: Table) -> None:
        """A table under its title, as wide as it needs to be."""
        layout = laid_out(self._prepared(table), self._screen.width - len(_INDENT), chosen=table.chosen, tree=table.tree is not None)
        columns = layout.columns if layout.hidden or not self._unicode else _with_bars(layout)
        self._title(table, layout)
        for texts in _lines([column.heading for column in columns], bottom=True):
            self._row([(_aligned(text, column), "dim") for text, column in zip(texts, columns, strict=True)])
        self._screen.line([(_INDENT + self._rule * (sum(c.width for c in columns) + GAP * (len(columns) - 1)), "dim")])
        for n in range(len(table.items)):
            bold = table.tree is not None and table.tree(table.items[n])[0] == 0
            styles = [_style(column.drawn.texts[n], column.drawn, number, bold) for number, column in enumerate(columns)]
            for texts in _lines([column.cells[n] for column in columns]):
                row = zip(texts, columns, styles, strict=True)
                self._row([(_aligned(text, column), style) for text, column, style in row])

    def _title(self, table: Table, layout: Layout) -> None:
        """What the table is, and beside or below it what it does not show."""
        notes = [f"{len(table.items):,} of {table.total:,}"] if table.total is not None else []
        notes += [*table.notes, *layout.notes]
        if layout.hidden:
            notes.append(f"not shown for lack of room: {', '.join(layout.hidden)}; --wide shows all")
        segments, room = [(table.title, "bold")], self._screen.width - cell_len(table.title)
        while notes and cell_len(notes[0]) + GAP <= room:
            room -= cell_len(notes[0]) + GAP
            segments.append((f"  {notes.pop(0)}", "not bold dim"))
        self._screen.line(segments)
        for note in notes:
            self._item("  ", note, "dim")

    def _item(self, mark: str, text: str, style: str = "") -> None:
        for number, line in enumerate(self._sentence(text, len(_INDENT) + len(mark))):
            self._screen.line([(_INDENT, ""), (" " * len(mark) if number else mark, ""), (line, style)])

    def _sentence(self, text: str, indent: int) -> list[str]:
        """A text in lines beside so many columns; words are whole, though they be longer than the line."""
        return wrapped_words(self._clipped(text, _LONGEST_LINE), max(_LEAST, self._screen.width - indent))

    def _row(self, cells: Sequence[Segment]) -> None:
        segments: list[Segment] = []
        for cell in cells:
            segments += ((" " * GAP if segments else _INDENT, ""), cell)
        self._screen.line(segments)

    def _prepared(self, table: Table) -> list[Drawn]:
        """The columns with the indent of a tree, and with nothing that no screen shows."""
        columns = drawn(table)
        if table.tree is not None and columns and columns[0].column.name == "path":
            places = [table.tree(item) for item in table.items]
            columns[0] = replace(columns[0], texts=["  " * level + printable(label) for level, label in places])
        return [replace(column, texts=[self._bounded(text, column) for text in column.texts]) for column in columns]

    def _bounded(self, text: str, column: Drawn) -> str:
        return shortened(text, _LONGEST, self._ellipsis) if column.column.prose else self._clipped(text)

    def _clipped(self, text: str, longest: int = _LONGEST) -> str:
        """A text with its middle left out where it has more characters than any screen shows."""
        longest = max(longest, min(self._screen.width, _LONGEST_LINE))
        return text if len(text) <= longest else text[: longest // 2] + self._ellipsis + text[-(longest // 2) :]


def _lines(cells: Sequence[Sequence[str]], *, bottom: bool = False) -> list[list[str]]:
    """The lines of a row of cells, of which each has its own number: those that are short stand at the top, or at the `bottom`."""
    height = max(map(len, cells), default=0)
    filled = [["" for _ in range(height - len(cell))] for cell in cells]
    whole = [[*empty, *cell] if bottom else [*cell, *empty] for cell, empty in zip(cells, filled, strict=True)]
    return [[cell[n] for cell in whole] for n in range(height)]


def _aligned(text: str, column: Laid) -> str:
    padding = " " * (column.width - cell_len(text))
    return padding + text if column.drawn.column.numeric else text + padding


def _with_bars(layout: Layout) -> list[Laid]:
    """The columns with a bar beside each share, as far as there is room."""
    left, found = layout.left, []
    for column in layout.columns:
        if column.drawn.column.name.endswith("_share") and left >= _BAR + 1:
            left -= _BAR + 1
            found.append(_barred(column))
        else:
            found.append(column)
    return found


def _barred(column: Laid) -> Laid:
    width = column.width
    cells = [[f"{text:>{width}} {_bar(cell)}"] for (text, *_), cell in zip(column.cells, column.drawn.cells, strict=True)]
    return replace(column, width=width + 1 + _BAR, heading=[column.heading[0].rjust(width).ljust(width + 1 + _BAR)], cells=cells)


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


def print_report(report: Report, stream: TextIO, *, wide: bool = False) -> None:
    """The whole report of an analysis."""
    Terminal(stream, wide=wide).report(report)


def print_table(table: Table, stream: TextIO, *, wide: bool = False) -> None:
    """One table."""
    Terminal(stream, wide=wide).table(table)


def print_facts(facts: Sequence[tuple[str, str]], stream: TextIO, *, wide: bool = False) -> None:
    """Labels, and their texts beside them."""
    Terminal(stream, wide=wide).facts(facts)
