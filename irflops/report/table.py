"""A table of no format: columns that know how to read an item, and items. Renderers draw it, `arranged` cuts and orders it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from irflops.counting.ratio import Ratio
from irflops.errors import IrflopsError
from irflops.report.numbers import (
    Figure,
    Units,
    common_scale,
    decimal_ratio,
    format_count,
    format_exact,
    format_ratio,
    format_scaled,
    format_share,
)

Cell = str | int | bool | Figure | Ratio | None
"""A raw value. A plain int is a position or a number of things; costs are figures."""


ESSENTIAL = 2
"""The weight of columns that go only where wrapping is not enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: what it is called, and how it gets its value from an item of its table."""

    name: str
    """As in `--columns`, `--sort` and the head of a CSV file."""
    title: str
    """As people read it."""
    get: Callable[[Any], Cell]
    unit: str = ""
    """Of scaled counts (`MACs`, `bytes`) and of quotients; `` for counts that are shown digit by digit."""
    numeric: bool = True
    """Whether it is set flush right, and sorted from the greatest down."""
    exported: bool = True
    """Whether machines get it unless they choose columns."""
    nothing: str = ""
    """What people read where there is no value; machines get an empty cell."""
    prose: bool = False
    """Whether its texts are sentences, which wrap at words; names, shapes and changes stay in one line as long as that is possible."""
    weight: int = 1
    """What it matters: where room is short, columns of 0 go first and then those of 1; ESSENTIAL ones are what the table is for."""
    implied_by: str = ""
    """The column that says what it says too, where each of its texts stands in that column's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Items in order, and columns to see of them."""

    name: str
    title: str
    columns: tuple[Column, ...]
    items: Sequence[Any]
    people: tuple[str, ...]
    """Names of the columns that people see unless they choose others."""
    total: int | None = None
    """Number of items before some were left out, None if none were."""
    tree: Callable[[Any], tuple[int, str]] | None = None
    """Level and label of an item where the first column is a path and the items stand in the order of a tree."""
    chosen: bool = False
    """Whether the user chose the columns."""
    notes: tuple[str, ...] = ()
    """What the heading says about the rows, as which of them are not there."""
    units: Units = field(default_factory=dict)
    """The units of the report that it is part of; what has none there has one by column."""
    rest: Callable[[Any], bool] | None = None
    """Whether an item stands for all that belongs to no other: it comes last, and is never left out."""

    def column(self, name: str) -> Column:
        """The column of that name. Errors: IrflopsError naming those that there are."""
        for column in self.columns:
            if column.name == name:
                return column
        names = [column.name for column in self.columns]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"columns: {', '.join(names)}"
        raise IrflopsError(f"the table by {self.name} has no column {name!r}", hint=hint)

    def for_people(self) -> tuple[Column, ...]:
        """The columns that a person sees."""
        return self.columns if self.chosen else tuple(self.column(name) for name in self.people)

    def for_machines(self) -> tuple[Column, ...]:
        """The columns that a file for machines has."""
        return self.columns if self.chosen else tuple(column for column in self.columns if column.exported)


def arranged(table: Table, *, sort: str | None = None, top: int | None = None, columns: Sequence[str] = ()) -> Table:
    """The table with its items in order of a column, the first `top` of them and what stands for the rest, and these columns."""
    is_rest = table.rest or (lambda _: False)
    rest = [item for item in table.items if is_rest(item)]
    items: Sequence[Any] = [item for item in table.items if not is_rest(item)] if rest else table.items
    if sort is not None:
        by = table.column(sort)
        known = [item for item in items if _sort_key(by.get(item)) is not None]
        unknown = [item for item in items if _sort_key(by.get(item)) is None]
        items = [*sorted(known, key=lambda item: _sort_key(by.get(item)), reverse=by.numeric), *unknown]  # type: ignore[arg-type, return-value]  # None is excluded above
        table = replace(table, tree=None)
    if top is not None and len(items) > top:
        table = replace(table, total=len(table.items))
        items = items[:top]
    if columns:
        table = replace(table, columns=tuple(table.column(name) for name in columns), chosen=True)
    return replace(table, items=[*items, *rest] if rest else items)


def _sort_key(cell: Cell) -> str | int | tuple[int, int] | None:
    if isinstance(cell, Figure):
        return cell.value
    if isinstance(cell, Ratio):
        return cell.part * 10**9 // cell.whole if cell.whole else None
    return cell


@dataclass(frozen=True, slots=True)
class Drawn:
    """A column as people see it: a heading with the unit, and the text of each cell with the cell itself."""

    column: Column
    heading: str
    texts: Sequence[str]
    cells: Sequence[Cell]


def drawn(table: Table) -> list[Drawn]:
    """The columns that a person sees, counts scaled by column."""
    return [_drawn(table, column) for column in table.for_people()]


def _drawn(table: Table, column: Column) -> Drawn:
    cells = [column.get(item) for item in table.items]
    figures = [cell.value for cell in cells if isinstance(cell, Figure) and cell.value is not None]
    if column.unit and any(isinstance(cell, Ratio) for cell in cells):
        texts = [for_people(cell, column).removesuffix(f" {column.unit}") for cell in cells]
        return Drawn(column, column.unit, texts, cells)
    if not column.unit or not figures:
        return Drawn(column, column.title, [for_people(cell, column) for cell in cells], cells)
    scale = table.units.get(column.unit) or common_scale(max(figures), column.unit)
    heading = scale.unit if column.title == column.unit else f"{scale.unit} {column.title}"
    texts = [format_scaled(c.value, scale, c.certainty) if isinstance(c, Figure) else for_people(c, column) for c in cells]
    return Drawn(column, heading, texts, cells)


def for_people(cell: Cell, column: Column) -> str:
    """A cell by itself as people read it."""
    if isinstance(cell, Figure):
        return format_count(cell.value, column.unit, cell.certainty) if column.unit else format_exact(cell.value, cell.certainty)
    if isinstance(cell, Ratio):
        return format_ratio(cell, column.unit) if column.unit else format_share(cell)
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return str(cell) if column.name == "line" else format_exact(cell)
    return printable(cell) if cell else column.nothing


def for_machines(cell: Cell) -> str | int:
    """A cell as machines read it: integers whole, nothing where something is not known."""
    if isinstance(cell, Figure):
        return "" if cell.value is None else cell.value
    if isinstance(cell, Ratio):
        return decimal_ratio(cell)
    if isinstance(cell, bool):
        return str(cell).lower()
    return "" if cell is None else cell


def printable(text: str) -> str:
    """Text in one line, with what a terminal might obey replaced."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
