"""Text in lines of so many columns: sentences break at blanks, names where their parts meet, and nothing is cut."""

from __future__ import annotations

import re

from rich.cells import cell_len

_PARTS = re.compile(r"[^\s./_,:>)\]-]*(?:[./_,:>)\]-]+|\s+|$)")
"""A part of a name with the sign behind which it may break: a dot, a dash, the end of a shape."""


def wrapped_words(text: str, width: int) -> list[str]:
    """A sentence in lines of `width` columns; a word that is longer stands alone, and whole.

    >>> wrapped_words("kept for the backward pass", 12)
    ['kept for the', 'backward', 'pass']
    """
    return _filled(text.split(), width, " ") or [""]


def wrapped_prose(text: str, width: int) -> list[str]:
    """A sentence in lines of exactly so many columns at most; a name in it that is longer breaks where its parts meet.

    >>> wrapped_prose("the sum of model.layer1.0.conv1", 10)
    ['the sum of', 'model.', 'layer1.0.', 'conv1']
    """
    return [line for words in wrapped_words(text, width) for line in _narrow(words, width)]


def wrapped_name(text: str, width: int) -> list[str]:
    """A name, a shape or a change in lines of `width` columns at most; lines after the first are set in by two more than the first.

    >>> wrapped_name("  model.layer1.0.conv1-conv2d-4", 16)
    ['  model.layer1.', '    0.conv1-', '    conv2d-4']
    """
    if cell_len(text) <= width:
        return [text]
    bare = text.lstrip(" ")
    indent = min(len(text) - len(bare), max(0, width - 8))
    margin = min(indent + 2, max(0, width - 6))
    first, *rest = _narrow(bare, width - indent, width - margin)
    return [" " * indent + first, *(" " * margin + line for line in rest)]


def longest_part(text: str) -> int:
    """Columns of the longest part of a name that does not break."""
    return max([cell_len(part.rstrip()) for part in _PARTS.findall(text)], default=0)


def shortened(text: str, width: int, ellipsis: str) -> str:
    """A sentence without its end, at a word, where it has more than `width` characters.

    >>> shortened("kept for the backward pass", 20, "...")
    'kept for the ...'
    """
    if len(text) <= width:
        return text
    room = max(1, width - len(ellipsis) - 1)
    front, blank, _ = text[: room + 1].rpartition(" ")
    return f"{front if blank else text[:room]} {ellipsis}"


def _narrow(text: str, first: int, others: int | None = None) -> list[str]:
    """A name in lines, the first of so many columns and the others of so many."""
    if cell_len(text) <= first:
        return [text]
    lines: list[str] = []
    line = ""
    for part in _PARTS.findall(text):
        room = first if not lines or others is None else others
        if line and cell_len((line + part).rstrip()) > room >= cell_len(part.rstrip()):
            lines.append(line.rstrip())
            line, room = "", first if others is None else others
        line += part
        while cell_len(line.rstrip()) > room:
            head = _head(line, max(room, 2))
            lines.append(head)
            line, room = line[len(head) :], first if others is None else others
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _head(text: str, room: int) -> str:
    """The first characters of a text, as many as `room` columns hold for sure. (rich cuts from the end in some versions.)"""
    taken = 0
    for number, character in enumerate(text[:room]):
        taken += cell_len(character)
        if taken > room:
            return text[:number]
    return text[:room]


def _filled(words: list[str], width: int, blank: str) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and cell_len(lines[-1]) + len(blank) + cell_len(word) <= width:
            lines[-1] += blank + word
        else:
            lines.append(word)
    return lines
