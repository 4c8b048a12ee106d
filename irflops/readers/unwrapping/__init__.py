"""Undoes what tools do to a text on its way: logs as JSON, colours, HTML, typography, a terminal's width, a first parenthesis lost.

Texts to texts, of any form: no graph here. What is made knows where it came from, so that errors point into the file as it lies on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from irflops.errors import Source
from irflops.readers.unwrapping import first_parenthesis, html_text, invisible, json_lines, rows, typography

Undo = Callable[[Source], Source | None]
"""The text without one kind of wrapping; None where it has none of it."""

_KINDS: tuple[tuple[str, Undo], ...] = (
    ("without colours and marks that nobody sees", invisible.undone),
    # Rows before all else, as long as all are as wide as the terminal was: what is undone after that makes them longer or shorter.
    ("with wrapped lines joined", rows.undone),
    ("out of JSON, one object a line", json_lines.undone),
    ("out of HTML", html_text.undone),
    ("with plain blanks and quotes", typography.undone),
    ("with wrapped lines joined", rows.undone_at_blanks),
    ("with its first parenthesis, which was lost", first_parenthesis.undone),
)
"""What a note says of each, and how it is undone; in the order in which they are tried."""

MOST = 8
"""Wrappings around a text that are undone one after another."""


class Unwrapped(NamedTuple):
    """A text, and what was undone to get it."""

    source: Source
    undone: tuple[str, ...]
    """In words; none where the text is as it was."""


def unwrapped(source: Source) -> Unwrapped:
    """A text without its wrappings, from the outermost in. Takes a time and memory that are linear in the text."""
    undone: list[str] = []
    while len(undone) < MOST:
        for words, undo in _KINDS:
            plain = undo(source)
            if plain is not None:
                undone.append(words)
                source = plain
                break
        else:
            break
    return Unwrapped(source, tuple(dict.fromkeys(undone)))
