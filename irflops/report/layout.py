"""How a table fits in its width. One policy for all of them: what carries the answer is never cut, whatever else gives way for it.

In this order: a column without a value in any row; a column that another repeats, and the beginning that all names share, which the
heading then states once; columns of least weight, of which one comes back where there is room for it after all; and then names, shapes
and changes wrap where their parts meet. Sentences always wrap in their column. On a screen too narrow even for that, columns of more
weight go too, and the heading names all that are gone.
"""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from irflops.report.table import ESSENTIAL, Drawn
from irflops.report.wrap import longest_part, wrapped_name, wrapped_prose

GAP = 2
"""Blanks between columns."""

_LEAST_NAME, _MOST_OF_A_PART = 14, 32
_LEAST_PROSE = 24
_LEAST_PREFIX = 5
"""Characters that a common beginning must have to be worth a heading."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A column in its place: how wide it is, and the lines of each cell."""

    drawn: Drawn
    width: int
    heading: Sequence[str]
    cells: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table as they stand, and what the heading says about them."""

    columns: Sequence[Laid]
    notes: Sequence[str]
    hidden: Sequence[str]
    """Headings of the columns that are not shown."""
    left: int
    """Columns of the screen that nothing takes."""


def laid_out(columns: Sequence[Drawn], room: int, *, chosen: bool = False, tree: bool = False) -> Layout:
    """The columns of a table in `room` columns of a screen. `chosen` ones were asked for: none is redundant, and all weigh the same."""
    shown = list(columns) if chosen else _with_values(columns)
    notes: list[str] = []
    if not chosen and _needed(shown) > room:
        shown = _not_repeated(shown)
    if not tree and _needed(shown) > room:
        shown, notes = _without_beginnings(shown)
    shown, hidden = (shown, []) if chosen else _without_lightest(shown, room)
    while len(shown) > 2 and _total([_least(column) for column in shown]) > room:
        hidden.append(shown.pop())
    widths = _widths(shown, room)
    laid = [_laid(column, width) for column, width in zip(shown, widths, strict=True)]
    names = [column.heading.strip() or column.column.name for column in columns if any(column is one for one in hidden)]
    names += [column.heading.strip() for column in hidden if not any(column is one for one in columns)]
    return Layout(laid, notes, names, room - _total(widths))


def _with_values(columns: Sequence[Drawn]) -> list[Drawn]:
    """Without columns that are empty in every row; the first stays."""
    return [column for n, column in enumerate(columns) if not n or not column.texts or any(text.strip() for text in column.texts)]


def _not_repeated(columns: Sequence[Drawn]) -> list[Drawn]:
    """Without columns whose every text stands in another column's too."""
    named = {column.column.name: column for column in columns}

    def is_repeated(column: Drawn) -> bool:
        other = named.get(column.column.implied_by)
        return other is not None and all(text in said for text, said in zip(column.texts, other.texts, strict=True))

    return [column for column in columns if not is_repeated(column)]


def _without_beginnings(columns: Sequence[Drawn]) -> tuple[list[Drawn], list[str]]:
    """Names without the levels that all of a column begin with, and a note that states them."""
    found, notes = [], []
    for column in columns:
        start = "" if column.column.numeric or column.column.prose or len(column.texts) < 2 else _beginning(column.texts)
        if start:
            notes.append(f"each {column.heading.strip()} begins with {start}")
            column = replace(column, texts=[text[len(start) :] for text in column.texts])  # noqa: PLW2901 - the same column, shorter
        found.append(column)
    return found, notes


def _beginning(names: Sequence[str]) -> str:
    """The levels that all paths begin with; what is left of each begins with a dot, so that it is not taken for a whole name."""
    common = os.path.commonprefix(list(names)).rpartition(".")[0]  # noqa: RUF071 - of levels with dots, which are no folders
    return common if len(common) >= _LEAST_PREFIX and " " not in common else ""


def _without_lightest(columns: Sequence[Drawn], room: int) -> tuple[list[Drawn], list[Drawn]]:
    """The columns that fit, and those that give way: the lightest first, of which those come back for which one behind them made room."""
    shown, hidden = list(columns), []
    while _needed(shown) > room and (lightest := _lightest(shown)) is not None:
        hidden.append(shown.pop(lightest))
    for column in reversed(hidden[:-1]):
        more = [one for one in columns if one is column or any(one is other for other in shown)]
        if _needed(more) <= room:
            shown = more
            hidden = [one for one in hidden if one is not column]
    return shown, hidden


def _lightest(columns: Sequence[Drawn]) -> int | None:
    """The column to go first: of least weight, the last of several; never the first, and none that is essential."""
    weights = [(column.column.weight, -n) for n, column in enumerate(columns) if n and column.column.weight < ESSENTIAL]
    return -min(weights)[1] if weights else None


def _widths(columns: Sequence[Drawn], room: int) -> list[int]:
    """Widths that fit: names give way only when sentences are as narrow as they can be; what is left goes to sentences."""
    widths = [_at_rest(column) for column in columns]
    least = [_least(column) for column in columns]
    while _total(widths) > room:
        widest = max(range(len(widths)), key=lambda n: (widths[n] > least[n], widths[n]))
        if widths[widest] <= least[widest]:
            break
        widths[widest] -= 1
    whole = [_natural(column) for column in columns]
    for _ in range(room - _total(widths)):
        short = [n for n in range(len(widths)) if widths[n] < whole[n]]
        if not short:
            break
        widths[max(short, key=lambda n: whole[n] / widths[n])] += 1
    return widths


def _laid(column: Drawn, width: int) -> Laid:
    wrap = wrapped_prose if column.column.prose else wrapped_name
    if column.column.numeric or width >= _natural(column):
        return Laid(column, width, [column.heading], [[text] for text in column.texts])
    cells = [wrap(text, width) if cell_len(text) > width else [text] for text in column.texts]
    return Laid(column, width, wrapped_prose(column.heading, width), cells)


def _needed(columns: Sequence[Drawn]) -> int:
    """The width in which no name wraps, and no sentence is too narrow to be read."""
    return _total([_at_rest(column) for column in columns])


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _natural(column: Drawn) -> int:
    return max([cell_len(column.heading), *map(cell_len, column.texts)])


def _at_rest(column: Drawn) -> int:
    natural = _natural(column)
    return min(natural, max(_LEAST_PROSE, _words(column))) if column.column.prose else natural


def _least(column: Drawn) -> int:
    if column.column.numeric:
        return _natural(column)
    longest = max([longest_part(text) + _indent(text) for text in column.texts], default=0)
    return min(_at_rest(column), max(_LEAST_NAME, min(longest, _MOST_OF_A_PART), _words(column)))


def _words(column: Drawn) -> int:
    return max(map(cell_len, column.heading.split()), default=0)


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))
