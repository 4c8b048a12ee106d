"""Rows of a terminal, or of a mail, that were one line: joined again where a statement is left open at the end of a row that is full."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from irflops.errors import Source
from irflops.readers.intake import lines_of
from irflops.readers.printed.prefix import is_whole, pattern_of
from irflops.readers.unwrapping.rewriting import Edit, rewritten

NARROWEST = 40
"""Columns of a terminal in which a print can be read at all."""

_WORDS = ("GRAPH", "CONFIG", "INPUT", "OUTPUT", "PARAMETER", "BUFFER", "MODULE", "GraphModule", "OPERATOR")
_STATEMENT = re.compile(rf"(?:\[[A-Z]+\])?[ \t]*\([ \t]*({'|'.join(_WORDS)})\b")
_HEADS = tuple(f"({word}" for word in _WORDS)
_OPENING = re.compile(r"\)[ \t]*:[ \t]*\([ \t]*\)?[ \t]*$")
_LEVELS = frozenset({"GRAPH", "MODULE", "GraphModule"})
_DECLARATIONS = frozenset({"PARAMETER", "BUFFER"})
_LAST = re.compile(r"[ \t]*:?[ \t]*\(\)[ \t]*")
"""How their lines end behind the last parenthesis that is open."""
_TAIL = 40
_MOST_PREFIX = 300
_WITHIN_NAME = re.compile(r"[\w./-]{2}")
_RECORD = re.compile(r'[^{"\n]{0,300}\{ ?"\w+" ?:')


def undone(source: Source) -> Source | None:
    """The text with its lines joined; None where no line is left open, or those that are do not all end where a terminal's would."""
    text = source.text
    if _RECORD.match(text):
        return _joined_full(source, lambda row: _RECORD.match(row) is None)
    if "(OPERATOR" in text:
        return _joined_print(source, at_blanks=False)
    if "oneflow." in text or re.match(r"\s*(?:net|job_conf|op)\s*\{", text):
        return _joined_full(source, lambda _row: True)
    return None


def undone_at_blanks(source: Source) -> Source | None:
    """The same of a print whose lines were broken at blanks and behind hyphens, as mails are, each as late as it could be."""
    return _joined_print(source, at_blanks=True) if "(OPERATOR" in source.text else None


def _columns(row: str) -> int:
    """How wide a terminal shows it."""
    if row.isascii():
        return len(row)
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else not unicodedata.combining(one) for one in row)


# Forms in which a line's end is white space like any other


def _joined_full(source: Source, goes_on: Callable[[str], bool]) -> Source | None:
    """The text without the ends of rows that are as wide as the widest, of which there are several, before rows that may go on a line."""
    rows = source.text.split("\n")
    widths = [_columns(row) for row in rows]
    widest, count = max(Counter(widths).items(), default=(0, 0))
    if widest < NARROWEST or count < 2:
        return None

    def edits() -> Iterator[Edit]:
        at = 0
        for (row, following), width in zip(pairwise(rows), widths, strict=False):
            at += len(row) + 1
            if width == widest and goes_on(following):
                yield Edit(at - 1, at, "")

    return rewritten(source, edits())


# Prints


@dataclass(slots=True)
class _Row:
    start: int
    """Where it begins behind a prefix."""
    end: int
    width: int
    """With its prefix."""
    has_prefix: bool


class _Line:
    """A line of a print, as far as its rows were put together."""

    def __init__(self) -> None:
        self.head = self.tail = ""
        self.balance = 0
        self.is_located = False
        """Whether its lines of Python have begun."""

    @property
    def is_operator(self) -> bool:
        """Whether it is an operator's, as far as its placement."""
        return self.head.startswith("(OPERATOR") and not self.is_located

    def add(self, piece: str) -> None:
        """Takes what stands in the next row."""
        if len(self.head) < _TAIL:
            self.head = (self.head + piece).lstrip()[:_TAIL]
        self.tail = (self.tail + piece)[-_TAIL:]
        self.is_located = self.is_located or "location=" in self.tail + piece
        self.tail = (self.tail + piece)[-_TAIL:]
        self.balance += piece.count("(") - piece.count(")")

    def goes_on(self, piece: str) -> bool:
        """Whether its statement is not over, and a row that follows may be more of it."""
        if _STATEMENT.match(piece.lstrip()) is not None:
            return False
        found = _STATEMENT.match(self.head)
        if found is None:
            return any(word.startswith(self.head) for word in _HEADS)
        if found[1] in _LEVELS:
            return _OPENING.search(self.tail) is None
        return self.balance > 0 or (found[1] in _DECLARATIONS and _LAST.fullmatch(piece) is not None)


def _joined_print(source: Source, *, at_blanks: bool) -> Source | None:
    text = source.text
    rows = list(_rows(text, _prefix(text)))
    width = _width(text, rows, at_blanks=at_blanks)
    if width < NARROWEST:
        return None

    if any("(OPERATOR" in text[row.start + 1 : row.end].lstrip()[1:] for row in rows):
        return None  # behind a prefix that is not known, which other rows may have too
    # A logger's prefix stands on each row, or on the first of each line: there, a row that has one begins a line.
    for rows_have_prefixes in (True, False):
        edits = _edits(text, rows, width, at_blanks=at_blanks, rows_have_prefixes=rows_have_prefixes)
        if edits is not None:
            return rewritten(source, edits)
    return None


def _edits(text: str, rows: list[_Row], width: int, *, at_blanks: bool, rows_have_prefixes: bool) -> list[Edit] | None:
    """What joins the rows of lines; None where they can be no such rows."""
    edits: list[Edit] = []
    prefixed: set[bool] = set()
    line = _Line()
    last: _Row | None = None
    for row in rows:
        piece = text[row.start : row.end]
        if last is None or not line.goes_on(piece):
            line = _Line()
            line.add(piece)
        elif (row.has_prefix and not rows_have_prefixes) or (not at_blanks and not _is_full(last, width)):
            line.add(f"\n{piece}")  # OneFlow breaks tensors itself
        else:
            filler = _filler(text, last, row, width, at_blanks=at_blanks)
            if filler == " " and line.is_operator and _WITHIN_NAME.match(line.tail[-1:] + piece[:1]):
                return None  # no print has a blank there: it was no blank that was lost, and the name would be another
            edits.append(Edit(last.end, row.start, filler))
            prefixed.add(row.has_prefix)
            line.add(filler + piece)
        last = row
    return edits if len(prefixed) == 1 else None


def _prefix(text: str) -> re.Pattern[str] | None:
    """What a logger puts before each line, by the line on which the first graph begins."""
    at = text.find("(GRAPH")
    start = text.rfind("\n", 0, max(at, 0)) + 1
    prefix = text[start : max(at, start)]
    if not prefix.strip() or len(prefix) > _MOST_PREFIX:
        return None
    blanks = len(prefix) - len(prefix.rstrip(" "))
    return re.compile(f"{pattern_of(prefix.rstrip(' '))} {{0,{blanks}}}")


def _rows(text: str, prefix: re.Pattern[str] | None) -> Iterator[_Row]:
    for start, end in lines_of(text):
        found = prefix.match(text, start, end) if prefix is not None else None
        behind = found.end() if found is not None and is_whole(text, found.end()) else start
        yield _Row(behind, end, _columns(text[start:end]), behind > start)


def _is_full(row: _Row, width: int) -> bool:
    """Whether nothing more went into a row; a blank at its end may have been lost."""
    return row.width >= width - 1


def _width(text: str, rows: list[_Row], *, at_blanks: bool) -> int:
    """That of the terminal: of the widest row that leaves an operator's line open. 0 where another row is wider, or had room for more."""
    open_rows = []
    widest = 0
    for row, following in pairwise(rows):
        piece = text[row.start : row.end].lstrip()
        if _STATEMENT.match(piece):
            widest = max(widest, row.width)
        if piece.startswith("(OPERATOR") and piece.count("(") > piece.count(")"):
            open_rows.append((row, following))
    if not open_rows:
        return 0
    width = max(row.width for row, _ in open_rows)
    if widest > width:
        if not at_blanks:
            return 0
        width = widest
    for row, following in open_rows:
        word = re.match(r"\S*", text[following.start : following.end].lstrip()[:width]) if at_blanks else None
        if not _is_full(row, width - len(word[0] if word else "")):
            return 0
    return width


def _filler(text: str, row: _Row, following: _Row, width: int, *, at_blanks: bool) -> str:
    """What a wrap took away between two rows: a blank, or nothing where the first is full, or broken behind a hyphen or within a word."""
    before, after = text[row.start : row.end], text[following.start : following.end]
    if after[:1] == " " or before[-1:] in ("", " ", "-") or unicodedata.east_asian_width(after[:1] or " ") in "WF":
        return ""
    if row.width < width:
        return " "
    # A row that is full is broken anywhere, or, at blanks alone, within a word that is longer than a row.
    is_one_word = len(before) - before.rfind(" ") - 1 + len(after.partition(" ")[0]) > width
    return " " if at_blanks and not is_one_word else ""
