"""Positions in the user's file, and the errors that point to them.

Everything else carries a `Span`; this module alone turns one into `file:line:col` and a caret. Standard library only.
"""

from __future__ import annotations

import bisect
import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

E = TypeVar("E", bound="IrflopsError")

WINDOW = 110
"""Characters of a long line that an error shows."""

QUOTED = 100
"""Characters of a name that a message shows."""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of character offsets into a `Source.text`."""

    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """A text and where it came from."""

    name: str
    """What to call it in messages: a path, or `<stdin>`."""
    text: str = field(repr=False)
    origin: Origin | None = field(default=None, repr=False)
    """What the text was made of. Lines and columns are those of the file as it lies on disk, wherever the text differs."""

    @cached_property
    def _line_starts(self) -> array[int]:
        starts = array("q", [0])
        find = self.text.find
        at = find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return starts

    def line_col(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column of a character offset; an offset past the end gives the place behind the last character."""
        if self.origin is not None:
            return self.origin.source.line_col(self.origin.place(offset))
        offset = max(0, min(offset, len(self.text)))
        line = bisect.bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, offset: int) -> int:
        """The 1-based line of a character offset."""
        if self.origin is not None:
            return self.origin.source.line(self.origin.place(offset))
        return bisect.bisect_right(self._line_starts, max(0, min(offset, len(self.text))))

    def line_text(self, line: int) -> str:
        """The text of a 1-based line, without its line end."""
        if self.origin is not None:
            return self.origin.source.line_text(line)
        start = self._line_starts[line - 1]
        end = self._line_starts[line] - 1 if line < len(self._line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r")

    def __getstate__(self) -> dict[str, object]:
        return {"name": self.name, "text": self.text, "origin": self.origin}


@dataclass(frozen=True)
class Origin:
    """The text that another was made of, and where each piece of that one stands in it."""

    source: Source
    at: array[int] = field(repr=False)
    """Offsets in the made text where pieces begin, in order; the first is 0."""
    was: array[int] = field(repr=False)
    """Where each begins in the source's text, in order."""

    def place(self, offset: int) -> int:
        """Where in the source's text a character of the made one stands, or what it was made of."""
        piece = max(0, bisect.bisect_right(self.at, offset) - 1)
        start = self.was[piece]
        last = self.was[piece + 1] - 1 if piece + 1 < len(self.was) else len(self.source.text)
        return max(start, min(start + offset - self.at[piece], last))


class IrflopsError(Exception):
    """The user's input cannot be used as asked.

    Shown as `path:line:col: error: message`, the line with a caret, and at most one hint. `line` and `column` are 1-based,
    and None where the error has no place in a text (a file that does not exist).
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
        width: int = 1,
        excerpt: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line
        self.column = column
        self.width = width
        self.excerpt = excerpt
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, {k: v for k, v in self.__dict__.items() if k != "message"})

    def __str__(self) -> str:
        place = "".join(f"{part}:" for part in (self.path, self.line, self.column) if part is not None)
        lines = [f"{place} error: {self.message}" if place else f"error: {self.message}"]
        if self.excerpt is not None and self.line is not None and self.column is not None:
            lines += draw_caret(self.line, self.column, self.width, self.excerpt)
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


def _rebuild(kind: type[IrflopsError], message: str, state: dict[str, object]) -> IrflopsError:
    error = kind(message)
    error.__dict__.update(state)
    return error


class NotAGraphError(IrflopsError):
    """The input is something else than a graph dump; the hint says how to get one."""


class ChoiceError(IrflopsError):
    """The input holds several graphs and none was chosen, or one that is not there was."""


class GraphSyntaxError(IrflopsError):
    """A graph's text is malformed, cut off, or interrupted by foreign text."""


class GraphError(IrflopsError):
    """A graph's text reads well and contradicts itself: a cycle, a name defined twice."""


def expect(value: object, kinds: type | tuple[type, ...], name: str, what: str) -> None:
    """Raises TypeError in words where an argument of the library is of none of these types: `name` is its own, `what` what it may be."""
    if not isinstance(value, kinds):
        raise TypeError(f"{name} is {what}, not {value!r:.60} of type {type(value).__name__}")


def error_at(kind: type[E], source: Source, span: Span, message: str, hint: str | None = None) -> E:
    """The error of a kind at a span of a source, with its line as excerpt; a source without text (a binary one) has no lines."""
    if not source.text:
        return kind(message, path=source.name, hint=hint)
    start = span.start
    while start < span.end - 1 and source.text[start : start + 1] in (" ", "\t"):
        start += 1  # people look at the text, not at its indentation
    line, column = source.line_col(start)
    text = source.line_text(line)
    last_line, last = source.line_col(max(start, span.end - 1))
    width = max(1, min(last if last_line == line else len(text), len(text)) - column + 1)
    return kind(message, path=source.name, line=line, column=column, width=width, excerpt=text, hint=hint)


def quoted(value: object) -> str:
    """A word or number of the file as messages show it: in quotes, escaped, its middle left out where it is long."""
    if not isinstance(value, (str, int, float)):
        return "a list or call"  # may nest deeper than repr can follow
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= QUOTED else f"{text[: QUOTED // 2]}...{text[-QUOTED // 2 :]}")


def listed(words: Sequence[str]) -> str:
    """Words as a sentence has them.

    >>> listed(["forward", "backward", "system"])
    'forward, backward and system'
    """
    return " and ".join([", ".join(words[:-1])] * (len(words) > 1) + list(words[-1:]))


def draw_caret(line: int, column: int, width: int, text: str) -> list[str]:
    """Two lines: the text with its line number, and carets under `width` characters from a 1-based column.

    A long line shows a window around the column, with an ellipsis where it was cut. Tabs stay in the caret's padding.
    """
    start = 0
    if len(text) > WINDOW:
        start = max(0, min(column - 1 - WINDOW * 2 // 3, len(text) - WINDOW))
    shown = "".join(c if c == "\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[start : start + WINDOW])
    head = "..." if start else ""
    tail = "..." if start + WINDOW < len(text) else ""
    at = max(0, column - 1 - start)
    before = head.replace(".", " ") + "".join("\t" if c == "\t" else " " * _columns(c) for c in shown[:at])
    carets = "^" * max(1, sum(map(_columns, shown[at : at + width])))
    gutter = f"{line:>4} | "
    return [f"{gutter}{head}{shown}{tail}", " " * (len(gutter) - 2) + "| " + before + carets]


def _columns(character: str) -> int:
    """Columns of a terminal that a character takes: two for wide East Asian ones, none for combining ones."""
    if character.isascii():
        return 1
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
