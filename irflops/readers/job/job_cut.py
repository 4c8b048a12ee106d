"""Cuts the text of a job into statements: fields of its sections, and of the job itself.

Two ways give the same statements. By lines, where the text is laid out as protobuf's printer does it: a raw line end is never inside a
string, so that a statement ends with the first line that closes a brace as far left. By marks, every brace, string and comment looked at,
where it is not. All else than the cut itself is for the grammar, `grammar/job_text.lark`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from irflops.errors import GraphSyntaxError, Source, Span, error_at
from irflops.readers.job.job_schema import SECTIONS
from irflops.readers.meaning.partial import PARTIAL_HINT
from irflops.readers.text.skeleton import terminal

MAX_DEPTH = 100
"""Levels of messages, as in protobuf's own parsers."""

_HEAD = re.compile(r"(?<!\w)(?P<name>[A-Za-z_]\w*)\s*(?::\s*)?\Z")
_HEAD_LINE = re.compile(r"\s*(?:([A-Za-z_]\w*) \{\n|\})")
_LAST_LINE = "\n}\n", "\n  }\n"
"""Of a statement of the job, and of one of a section."""

_GAP = re.compile(r"[\s,;]*\Z")
_BETWEEN = re.compile(r"\s*(?:#[^\n]*\n\s*)*[,;]?\s*")
_BEFORE = re.compile(r"\s*(?:#[^\n]*\n\s*)*")


class Piece(NamedTuple):
    """A statement in the text."""

    section: str
    """`""` for the job itself."""
    field: str
    """The one field that it is, `""` where it may be several."""
    start: int
    end: int


@dataclass(slots=True)
class Cursor:
    """How far a text was cut: all before is told."""

    at: int
    section: str = ""


def start_of(source: Source) -> Cursor:
    """Before the first statement."""
    return Cursor(_skip(_BEFORE, source.text, 0))


# By lines


def by_lines(source: Source, cursor: Cursor) -> Iterator[Piece]:
    """The statements from a cursor on, as far as the text is laid out in lines.

    The cursor moves along: it is at that of the statement at hand, so that whoever does not trust it can go on by marks from there.
    """
    text, at, blank = source.text, cursor.at, _BEFORE
    while True:
        head = _HEAD_LINE.match(text, at)
        if head is None or not (head[1] or cursor.section):
            break
        if head[1] is None:  # the brace that closes the section
            at, blank, cursor.section = head.end(), _BETWEEN, ""
        elif not cursor.section and head[1] in SECTIONS:
            at, blank, cursor.section = head.end(), _BEFORE, head[1]
        else:
            last_line = _LAST_LINE[bool(cursor.section)]
            last = text.find(last_line, head.end() - 1)
            if last < 0:
                break
            cursor.at, at, blank = head.start(1), last + len(last_line) - 1, _BETWEEN
            yield Piece(cursor.section, head[1], cursor.at, at)
    cursor.at = _skip(blank, text, at)


# By marks


@cache
def _marks() -> re.Pattern[str]:
    """Braces, what may hold braces that are none, and the quotes of strings without an end."""
    return re.compile("|".join(terminal("job_text", name) for name in ("STRING", "COMMENT")) + "|[{}<>\"']")


def by_marks(source: Source, cursor: Cursor) -> Iterator[Piece]:
    """The statements from a cursor on, in any layout.

    Where messages stand in a list of brackets, all from there to the end of the section is one. Errors: GraphSyntaxError where a string has
    no end on its line, or a brace no other.
    """
    text, section, last = source.text, cursor.section, cursor.at
    open_ = ["}"] if section else []  # the braces that close what is open, that of the section first
    head: tuple[str, int] | None = None
    is_listed = False
    for mark in _marks().finditer(text, last):
        sign = text[mark.start()]
        if sign in "{<":
            if len(open_) == bool(section) and not is_listed:
                head = _head(text, last, mark.start())
                is_listed = head is None
                if head is not None and not section and head[0] in SECTIONS:
                    yield from _loose(text, "", last, head[1])
                    section, last = head[0], _skip(_BEFORE, text, mark.end())
            open_.append("}" if sign == "{" else ">")
            if len(open_) > MAX_DEPTH:
                raise error_at(GraphSyntaxError, source, Span(*mark.span()), f"messages nested deeper than {MAX_DEPTH} levels")
        elif sign in "}>":
            if not open_ or open_.pop() != sign:
                raise error_at(GraphSyntaxError, source, Span(*mark.span()), f"{sign!r} closes nothing that is open")
            if section and not open_:
                yield from _loose(text, section, last, mark.start())
                section, last, is_listed = "", _skip(_BETWEEN, text, mark.end()), False
            elif len(open_) == bool(section) and not is_listed:
                assert head is not None
                yield Piece(section, head[0] if head[1] == last else "", last, mark.end())
                last = _skip(_BETWEEN, text, mark.end())
        elif len(mark[0]) == 1 and sign != "#":
            raise error_at(GraphSyntaxError, source, Span(*mark.span()), "a string without an end on its line")
    if open_:
        message = "the job is cut off: its last braces are missing"
        raise error_at(GraphSyntaxError, source, Span(len(text.rstrip()), len(text)), message, PARTIAL_HINT)
    yield from _loose(text, "", last, len(text))


def _head(text: str, start: int, end: int) -> tuple[str, int] | None:
    """The name of the field whose message begins at `end`, and where it stands; None where a list of messages begins."""
    before = text[start:end]
    if "#" in before:
        before = _marks().sub(lambda mark: " " * len(mark[0]) if mark[0][0] == "#" else mark[0], before)
    head = _HEAD.search(before)
    return (head["name"], start + head.start()) if head is not None else None


def _skip(blank: re.Pattern[str], text: str, at: int) -> int:
    """The offset behind what matches there, nothing included."""
    match = blank.match(text, at)
    return match.end() if match else at


def _loose(text: str, section: str, start: int, end: int) -> Iterator[Piece]:
    """What stands between statements, if it is more than white space and separators."""
    if not _GAP.match(text, start, end):
        yield Piece(section, "", start, end)
