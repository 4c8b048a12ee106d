"""MLIR's text: cut into statements, each read by grammar/saved_mlir.lark. Regions and operations as they are written; no graph here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from irflops.errors import GraphSyntaxError, IrflopsError, Source, Span, error_at
from irflops.readers.meaning.partial import PARTIAL_HINT
from irflops.readers.mlir.mlir_foreign import Part, foreign_name, split_foreign
from irflops.readers.mlir.mlir_plan import MlirOp, OperationPlan, plan_of
from irflops.readers.text.skeleton import Allowance, BadValue, Skeletons, terminal
from irflops.readers.text.syntax import SyntaxProblem

MAX_DEPTH = 100
"""Levels of regions and dictionaries."""

_WORD = (
    r"(?=[bcfmor])(?<![\w.$%@#!^-])(?:(?P<word>(?:builtin\.)?module|oneflow\.job|(?:func\.|builtin\.)?func|(?:oneflow\.|func\.)?return)"
    r"|(?P<calls>oneflow\.kernel_launch|oneflow\.mlir_jit|(?:func\.)?call))(?![\w.$])"
)
_LABEL = r"(?P<label>\^[\w$.-]+\s*(?:\([^()\n]*\)\s*)?:)"
_ALIAS = r"^[ \t]*(?P<alias>[#!][A-Za-z_][\w$]*\s*=(?!=))"
_VALUES = ("STRING", "COMMENT", "SHAPED", "VALUE", "SYMBOL", "NUMBER", "ALIAS", "CARET")
_REST = re.compile(r"(?:\s|//[^\n]*(?:\n|\Z))*")
"""White space and comments. Each comment is matched to its very end, or one of many `//` would be tried as many comments in all ways."""
_NO_NAME = re.compile(r"(?:[(\[,@]|\bat)\s*\Z")
"""What stands before a string that names a place or a symbol, not an operation."""


class Enter(NamedTuple):
    """A region begins."""

    head: MlirOp | None
    """The module, job or function whose form of its own begins so; None in a generic operation, read when its regions are over."""
    span: Span


class Leave(NamedTuple):
    """A region ends."""

    end: int
    """Behind its brace."""


class Operation(NamedTuple):
    """An operation, or the label of a block (`^bb0`), with its place."""

    raw: MlirOp
    span: Span


Event = Enter | Leave | Operation


class _Piece(NamedTuple):
    start: int
    end: int


@dataclass(slots=True)
class _Region:
    """A region that is open, and what is there already of the generic operation that goes on behind it."""

    outer: list[_Piece] | None = None


def mlir_events(source: Source) -> Iterator[Event]:
    """Regions and operations of a module in file order. Errors: GraphSyntaxError at the place where it does not read."""
    return _Cutter(source).events()


@cache
def _marks() -> re.Pattern[str]:
    """What tells where statements begin and end, and what may hold such marks that are none."""
    string, comment = (terminal("saved_mlir", name) for name in ("STRING", "COMMENT"))
    flat = rf'(?P<flat>\{{[^{{}}"/]*(?:{string}[^{{}}"/]*)*\}})'  # a dictionary without others in it: nearly all of a text
    # One without an end is found out at once: to look for its end from each of its quotes would take forever.
    begun = string.removesuffix('"')
    any_string = rf'(?P<string>{begun})(?P<closed>")?(?P<call>(?<=")\s*\()?'
    return re.compile(rf"{any_string}|{flat}|{comment}|[{{}}]|{_WORD}|{_LABEL}|{_ALIAS}", re.MULTILINE)


@dataclass(slots=True)
class _Cutter:
    """The state of going through a text, mark by mark."""

    source: Source
    regions: list[_Region] = field(default_factory=list)
    pieces: list[_Piece] = field(default_factory=list)
    """What has been seen of the statement at hand before regions of its own."""
    begin: int = 0
    """Where the statement at hand, or what is left of it, begins."""
    braces: int = 0
    """Dictionaries that are open."""
    head: bool = False
    """Whether the statement at hand is a module or job, whose brace outside parentheses opens its region."""
    parens: int = 0
    """Parentheses that are open in such a head."""
    read: Skeletons[OperationPlan] = field(init=False)

    def __post_init__(self) -> None:
        allowance = Allowance.of(len(self.source.text))
        self.read = Skeletons("saved_mlir", "statement", _VALUES, plan_of, allowance)

    def events(self) -> Iterator[Event]:
        text, search = self.source.text, _marks().search
        last = 0  # where the mark before this one ends
        operands = False  # whether that one began an operation, so that its operands come first
        while (mark := search(text, last)) is not None:
            start, end = mark.span()
            sign = text[start]
            if mark["string"] is not None and mark["closed"] is None:
                raise self._error(Span(start, start + 1), "the string has no end on its line")
            if self.braces and sign not in "{}":
                last, operands = end, False
                continue
            before = text[last:start]
            if self.head:
                over = self._end_of_declaration(before)
                if over is not None:
                    yield from self._flush(last + over)
                self.parens += before.count("(") - before.count(")")
            if sign == "{":
                if self.braces or not self._is_region(before.rstrip()):
                    self.braces += mark["flat"] is None
                else:
                    end = start + 1
                    yield from self._enter(start, end)
                if self.braces + len(self.regions) > MAX_DEPTH:
                    raise self._error(Span(start, end), f"regions and dictionaries nested deeper than {MAX_DEPTH} levels")
                operands = False
            elif sign == "}":
                yield from self._close(start, end)
                operands = False
            elif (mark["call"] and not _NO_NAME.search(before)) or mark["calls"]:
                yield from self._flush(_results(before, operands) + last)
                operands = True
            elif mark["word"] or mark["label"] or mark["alias"]:
                yield from self._flush(start)
                self.head = bool(mark["word"]) and not mark["word"].endswith("return")
                operands = False
            elif mark["call"] and self.head:
                self.parens += 1
            last = end
        yield from self._flush(len(text))
        if self.braces or self.regions:
            at = len(text.rstrip())
            raise self._error(Span(at, at + 1), "the module is cut off: its last braces are missing", PARTIAL_HINT)

    def _end_of_declaration(self, before: str) -> int | None:
        """Where in the text behind a head, which is then one without a body, a line begins a foreign operation."""
        parens, at = self.parens, 0
        while (line := before.find("\n", at)) >= 0:
            parens += before.count("(", at, line) - before.count(")", at, line)
            at = line + 1
            if not parens and foreign_name(before, at) is not None:
                return at
        return None

    def _is_region(self, before: str) -> bool:
        """Whether a brace outside dictionaries opens a region, by what stands before it."""
        if self.head:
            return not self.parens and not before.endswith("attributes")
        return before.endswith(("(", ","))

    def _enter(self, start: int, end: int) -> Iterator[Event]:
        self.pieces.append(_Piece(self.begin, end))
        if self.head:
            found = [*self._read(self.pieces)]
            yield from found[:-1]
            yield Enter(*found[-1]) if found else Enter(None, Span(start, end))
            self.regions.append(_Region())
        else:
            yield Enter(None, Span(start, end))
            self.regions.append(_Region(self.pieces))
        self.begin, self.pieces, self.head = end, [], False

    def _close(self, start: int, end: int) -> Iterator[Event]:
        if self.braces:
            self.braces -= 1
            return
        yield from self._flush(start)
        if not self.regions:
            raise self._error(Span(start, end), "'}' closes nothing that is open")
        yield Leave(end)
        outer = self.regions.pop().outer
        self.begin, self.pieces = (end, []) if outer is None else (start, outer)

    def _flush(self, end: int) -> Iterator[Event]:
        """Reads the statement at hand, which ends where another begins."""
        pieces = self.pieces
        pieces.append(_Piece(self.begin, end))
        self.begin, self.pieces, self.head, self.parens = end, [], False, 0
        if len(pieces) == 1 and _REST.fullmatch(self.source.text, *pieces[0]):
            return
        yield from self._read(pieces)

    def _read(self, pieces: list[_Piece]) -> Iterator[Operation]:
        """What a statement says, nothing where it is none of an operation's (an alias, the place of a module).

        With it may come operations of other dialects in forms of their own, which no mark tells apart.
        """
        text = self.source.text
        first = _REST.match(text, *pieces[0])
        start = first.end() if first is not None else pieces[0].start
        pieces[0] = _Piece(start, pieces[0].end)
        own = "".join([text[a:b] for a, b in pieces]).rstrip()
        parts = split_foreign(own) if "\n" in own or foreign_name(own) is not None else []
        if parts:
            yield from self._read_parts(pieces, own, parts)
            return
        try:
            plan, values = self.read.read(own)
            if plan.kind != "nothing":
                yield Operation(plan.fill(values), Span(start, _place(pieces, len(own))))
        except SyntaxProblem as problem:
            at = _place(pieces, problem.start)
            raise self._error(Span(at, max(_place(pieces, problem.end), at + 1)), problem.message, problem.hint) from None
        except BadValue as bad:
            first_, last = self.read.offset(own, bad.number)
            raise self._error(Span(_place(pieces, first_), _place(pieces, last)), str(bad)) from None

    def _read_parts(self, pieces: list[_Piece], own: str, parts: list[Part]) -> Iterator[Operation]:
        """Reads statements that foreign operations are among, by their pieces and the text of these."""
        for start, end, name in parts:
            if name is None:
                yield from self._read(_cut(pieces, start, end))
            else:
                raw = MlirOp("foreign", name, [], [], {}, [], [])
                yield Operation(raw, Span(_place(pieces, start), _place(pieces, start + len(own[start:end].rstrip()))))

    def _error(self, span: Span, message: str, hint: str | None = None) -> IrflopsError:
        return error_at(GraphSyntaxError, self.source, span, message, hint)


def _results(before: str, operands: bool) -> int:
    """Where in the text before its name an operation begins: at its first result, if it has any.

    That text has at most the operands of the operation before, its type, and the results of this one; foreign operations may stand
    between, on lines of their own.
    """
    behind = before.find(")") if operands else 0
    if behind < 0:
        return len(before)
    line = before.rfind("\n")
    if line > behind and not before[:line].rstrip().endswith((",", "=")):
        behind = line
    at = before.find("%", behind)
    return at if at >= 0 else len(before)


def _place(pieces: list[_Piece], offset: int) -> int:
    """The offset in the source of an offset into a statement's pieces, put together."""
    for start, end in pieces:
        if offset <= end - start:
            return start + offset
        offset -= end - start
    return pieces[-1].end


def _cut(pieces: list[_Piece], start: int, end: int) -> list[_Piece]:
    """The pieces of what stands between two offsets into a statement's pieces, put together."""
    found = []
    for first, last in pieces:
        size = last - first
        if start < size and end > 0:
            found.append(_Piece(first + max(start, 0), first + min(end, size)))
        start, end = start - size, end - size
    return found
