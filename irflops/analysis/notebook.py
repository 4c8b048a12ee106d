"""What a notebook or `print` shows of a result: small tables, whatever the size of what is in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

LEVELS = 2
"""Levels of the module tree below the model that a notebook shows."""

ROWS = 50
"""Rows that a notebook shows at most."""

_LONGEST = 160
"""Characters of a text that a notebook shows."""


def html_table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """An HTML table; every text is escaped, and its middle left out where it is long."""
    head = "".join(f"<th>{name}</th>" for name in heads)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><caption>{_text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def text_table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """The same as lines of text, numbers flush right; their width is that of what is in them."""
    values = [list(row) for row in rows]
    lines = [list(heads), *([_grouped_digits(value) if isinstance(value, int) else _shortened(value) for value in row] for row in values)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [any(isinstance(row[place], int) for row in values) for place in range(len(heads))]
    texts = [
        "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, numeric, strict=True))
        for line in lines
    ]
    return "\n".join(text.rstrip() for text in [_shortened(caption), *texts])


def _cell(value: str | int) -> str:
    return f"<td>{_grouped_digits(value)}</td>" if isinstance(value, int) else f'<td style="text-align:left">{_text(value)}</td>'


def _text(text: str) -> str:
    import html  # here for start-up time: most results are shown elsewhere

    return html.escape(_shortened(text))


def _shortened(text: str) -> str:
    """A text with its middle left out where it is long, on one line."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: _LONGEST + 1] + text[_LONGEST + 1 :][-_LONGEST:])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 2 :]}"


def _grouped_digits(number: int) -> str:
    """An integer in groups of three digits, only its size where it has too many."""
    size = abs(number)
    return f"{number:,}" if size < 10**30 else f"{'-' if number < 0 else ''}10^{math.floor(math.log10(size))} and more"
