"""Reads a formula of a user's rule (`grammar/cost_formula.lark`) into a tree; nothing of it is evaluated here, or by Python anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import lark

from irflops.errors import IrflopsError, Source, Span, error_at, quoted
from irflops.readers.text.grammars import parser

MOST_CHARACTERS = 2000
"""Of a formula."""
MOST_NESTED = 30
"""Brackets in one another."""
MOST_SUBSCRIPTS = 2
"""Behind one another: a part of a shape, and an extent of that."""
MOST_DIGITS = 30
"""Of an integer that a formula states."""

FUNCTIONS = {"ceil": (1, 1), "min": (1, 100), "max": (1, 100), "prod": (1, 1), "numel": (1, 1), "nbytes": (1, 1), "rank": (1, 1)}
"""The least and the most arguments of each; beside them there is attr("name")."""


@dataclass(frozen=True, slots=True)
class Integer:
    """A number as the formula states it."""

    value: int


@dataclass(frozen=True, slots=True)
class Name:
    """An operand or a result: its shape."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the operator: an integer, or a list of integers."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Chain:
    """Terms and what stands between each two, taken from left to right: sums, or products."""

    first: Node
    rest: tuple[tuple[str, Span, Node], ...]
    """Each an operator, where it stands, and the term behind it."""


@dataclass(frozen=True, slots=True)
class Negative:
    """A term with so many signs in front."""

    signs: int
    term: Node
    span: Span


@dataclass(frozen=True, slots=True)
class At:
    """An extent of a shape, or a part of one: `at` alone, or the two ends of which either may be left out."""

    shape: Node
    at: Node | None
    ends: tuple[Node | None, Node | None] | None
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """One of FUNCTIONS of some arguments."""

    function: str
    arguments: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Row:
    """A list of numbers."""

    items: tuple[Node, ...]
    span: Span


Node = Integer | Name | Attribute | Chain | Negative | At | Call | Row


@dataclass(frozen=True, slots=True)
class Formula:
    """What a formula says, and the text that says it."""

    root: Node
    source: Source = field(compare=False)

    def error(self, span: Span, message: str, hint: str | None = None) -> IrflopsError:
        """An error at a place of the formula."""
        return error_at(IrflopsError, self.source, span, message, hint)


def read_formula(source: Source) -> Formula:
    """The formula that a text is. Errors: IrflopsError at the place where it is none, or is larger or deeper than formulas may be."""
    text = source.text
    if len(text) > MOST_CHARACTERS:
        raise error_at(
            IrflopsError, source, Span(MOST_CHARACTERS, MOST_CHARACTERS + 1), f"a formula has more than {MOST_CHARACTERS:,} characters"
        )
    _refuse_depth(source)
    try:
        tree = parser("cost_formula").parse(text)
    except lark.UnexpectedInput as error:
        raise _no_formula(source, error) from None
    return Formula(_Reading(source).node(tree), source)


def _refuse_depth(source: Source) -> None:
    depth = 0
    for place, character in enumerate(source.text):
        depth += (character in "([") - (character in ")]")
        if depth > MOST_NESTED:
            raise error_at(IrflopsError, source, Span(place, place + 1), f"brackets are nested deeper than {MOST_NESTED}")


def _no_formula(source: Source, error: lark.UnexpectedInput) -> IrflopsError:
    text = source.text
    if isinstance(error, lark.UnexpectedToken) and error.token.type == "$END":
        end = max(len(text.rstrip()), 1)
        said = "a formula ends here, and is not complete" if text.strip() else "a formula is empty"
        return error_at(IrflopsError, source, Span(end - 1, end), said)
    at = cast("int | None", error.pos_in_stream) or 0
    width = len(str(error.token)) if isinstance(error, lark.UnexpectedToken) else 1
    hint = None
    if text[max(0, at - 1) : at + 1] == "**":
        hint = "there is no power: write a product"
    elif text[at] == ".":
        hint = "there are integers alone: ceil(a / b) and a // b round"
    return error_at(IrflopsError, source, Span(at, at + width), f"{quoted(text[at : at + width])} cannot stand here in a formula", hint)


class _Reading:
    """Lark's tree as nodes. How deep it goes was bounded before."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def node(self, tree: lark.Tree[lark.Token]) -> Node:
        parts: list[Any] = tree.children
        match tree.data:
            case "integer":
                return self._integer(parts[0])
            case "name":
                return Name(str(parts[0]), _span(parts[0]))
            case "attribute":
                if parts[0] != "attr":
                    raise self._no_function(parts[0])
                return Attribute(str(parts[1])[1:-1], _span(parts[1]))
            case "call":
                return self._call(parts[0], [self.node(part) for part in parts[1:] if part is not None])
            case "list":
                return Row(tuple(self.node(part) for part in parts if part is not None), Span(0, len(self.source.text)))
            case "negative":
                return Negative(len(parts) - 1, self.node(parts[-1]), _span(parts[0]))
            case "indexed":
                return self._indexed(self.node(parts[0]), parts[1:])
            case _:
                rest = [(str(sign), _span(sign), self.node(term)) for sign, term in zip(parts[1::2], parts[2::2], strict=True)]
                return Chain(self.node(parts[0]), tuple(rest))

    def _integer(self, token: lark.Token) -> Integer:
        if len(token) > MOST_DIGITS:
            raise error_at(IrflopsError, self.source, _span(token), f"an integer of a formula has more than {MOST_DIGITS} digits")
        return Integer(int(token))

    def _call(self, token: lark.Token, arguments: list[Node]) -> Call:
        if token not in FUNCTIONS:
            raise self._no_function(token)
        least, most = FUNCTIONS[str(token)]
        if not least <= len(arguments) <= most:
            wanted = f"{least} argument" if least == most else f"{least} to {most} arguments"
            raise error_at(IrflopsError, self.source, _span(token), f"{token} takes {wanted}, and has {len(arguments)}")
        for argument in arguments:
            if token in ("numel", "nbytes") and not isinstance(argument, Name):
                raise error_at(IrflopsError, self.source, _span(token), f"{token} takes the name of an operand or a result")
        return Call(str(token), tuple(arguments), _span(token))

    def _indexed(self, shape: Node, subscripts: list[lark.Tree[lark.Token]]) -> Node:
        if len(subscripts) > MOST_SUBSCRIPTS:
            raise error_at(IrflopsError, self.source, _span_of(shape, self.source), f"more than {MOST_SUBSCRIPTS} subscripts in a row")
        for subscript in subscripts:
            parts: list[Any] = subscript.children
            nodes = [None if part is None else self.node(part) for part in parts]
            span = _span_of(shape, self.source)
            ends = (nodes[0], nodes[1]) if subscript.data == "part" else None
            shape = At(shape, nodes[0] if ends is None else None, ends, span)
        return shape

    def _no_function(self, token: lark.Token) -> IrflopsError:
        hint = f"there are {', '.join(FUNCTIONS)}, and attr of a name in quotes"
        return error_at(IrflopsError, self.source, _span(token), f"there is no function {quoted(str(token))} in formulas", hint)


def _span_of(node: Node, source: Source) -> Span:
    return node.span if isinstance(node, (Name, Attribute, Call, At)) else Span(0, len(source.text))


def _span(token: lark.Token) -> Span:
    return Span(token.start_pos or 0, token.end_pos or 0)
