"""What a formula of a user's rule comes to for an operator: exact integers, or an error at the place in the formula."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

from irflops.errors import IrflopsError, Span, listed, quoted
from irflops.ops.op_view import OpView
from irflops.readers.notation.cost_formula import At, Attribute, Call, Chain, Formula, Integer, Name, Negative, Node, Row

MOST = 10**100
"""No number of a formula is as large: no cost comes near, and arithmetic on such numbers takes long."""

Value = int | Fraction | tuple[int, ...]
"""A fraction inside of ceil alone."""


def count(formula: Formula, op: OpView, optional: Collection[str] = (), macs: int | None = None) -> int:
    """A number of operations or bytes. `optional` arguments may be absent; `macs` is what this name stands for.

    Errors: IrflopsError at the place in the formula; Unknowable where a shape or an attribute is not known.
    """
    asked = _Asked(formula, op, optional, macs)
    value = asked.number(formula.root)
    if value < 0:
        raise asked.error(Span(0, len(formula.source.text)), f"this comes to {value:,}, and no count is negative")
    return int(value)


def extents(formula: Formula, op: OpView, optional: Collection[str] = ()) -> tuple[int, ...]:
    """A shape. Errors as of `count`."""
    asked = _Asked(formula, op, optional, None)
    value = asked.value(formula.root)
    whole = Span(0, len(formula.source.text))
    if not isinstance(value, tuple):
        raise asked.error(whole, "a shape is a list, [in[0], 8], or the name of what has the same")
    if any(extent < 0 for extent in value):
        raise asked.error(whole, f"this comes to {list(value)}, and no extent is negative")
    return value


@dataclass(frozen=True, slots=True)
class _Asked:
    """A formula asked of an operator."""

    formula: Formula
    op: OpView
    optional: Collection[str]
    macs: int | None

    def error(self, span: Span, message: str, hint: str | None = None) -> IrflopsError:
        return self.formula.error(span, message, hint)

    def value(self, node: Node, *, fractions: bool = False) -> Value:
        match node:
            case Integer():
                return node.value
            case Name():
                return self._name(node)
            case Attribute():
                return self._attribute(node)
            case Chain():
                return self._chain(node, fractions)
            case Negative():
                value = self._scalar(node.term, node.span, fractions=fractions)
                return -value if node.signs % 2 else value
            case At():
                return self._at(node)
            case Call():
                return self._call(node)
            case Row():
                return tuple(self.number(item, node.span) for item in node.items)

    def number(self, node: Node, span: Span | None = None) -> int:
        """The value of a node, which must be an integer."""
        value = self._scalar(node, span or Span(0, len(self.formula.source.text)), fractions=False)
        assert isinstance(value, int)
        return value

    def _scalar(self, node: Node, span: Span, *, fractions: bool) -> int | Fraction:
        value = self.value(node, fractions=fractions)
        if isinstance(value, tuple):
            raise self.error(
                getattr(node, "span", span), f"{list(value)} is a list, and a number is wanted", "prod(x) and x[0] are numbers"
            )
        return value

    def _name(self, node: Name) -> Value:
        name = node.name
        if name == "macs" and self.macs is not None and not self._is_there(name):
            return self.macs
        self._refuse_unknown(node)
        if not self._is_there(name):
            raise self.error(
                node.span, f"this {self.op.type} has no {name}", "numel and nbytes of what is optional are 0 where it is absent"
            )
        try:
            return self.op.shape(name)
        except ValueError as error:
            raise self.error(node.span, str(error), "numel and nbytes take several tensors together") from None

    def _is_there(self, name: str) -> bool:
        return name in self.op.input_args or name in self.op.output_args

    def _refuse_unknown(self, node: Name) -> None:
        if self._is_there(node.name) or node.name in self.optional:
            return
        there = [*self.op.input_args, *self.op.output_args]
        raise self.error(
            node.span,
            f"{self.op.type} has no operand or result {quoted(node.name)} here",
            f"it has {listed(there) if there else 'none'}; operands = [...] names those of a print, optional = [...] what may be absent",
        )

    def _attribute(self, node: Attribute) -> Value:
        value = self.op.attr(node.name)
        if isinstance(value, (bool, int)):
            return int(value)
        if isinstance(value, tuple) and all(isinstance(item, int) for item in value):
            return tuple(int(item) for item in value if isinstance(item, int))
        raise self.error(node.span, f"attribute {node.name} is {quoted(value)}, no integer and no list of integers")

    def _chain(self, node: Chain, fractions: bool) -> int | Fraction:
        span = node.rest[0][1]
        value = self._scalar(node.first, span, fractions=fractions)
        for sign, span, term in node.rest:
            value = self._applied(sign, span, value, self._scalar(term, span, fractions=fractions), fractions)
            if not -MOST < value < MOST:
                raise self.error(span, "this comes to a number of more than 100 digits")
        return value

    def _applied(self, sign: str, span: Span, left: int | Fraction, right: int | Fraction, fractions: bool) -> int | Fraction:
        match sign:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return _whole(left * right)
        if not right:
            raise self.error(span, f"{left:,} is divided by 0")
        if sign == "/":
            quotient = Fraction(left) / right
            if not fractions and quotient.denominator != 1:
                rest = f"{left:,} / {right:,} leaves a rest of {left % right:,}"
                raise self.error(span, rest, "`//` rounds down, ceil(a / b) rounds up")
            return _whole(quotient)
        return left // right if sign == "//" else left % right

    def _at(self, node: At) -> Value:
        shape = self.value(node.shape)
        if not isinstance(shape, tuple):
            raise self.error(node.span, "this is a number, which has no parts")
        if node.ends is not None:
            first, last = (None if end is None else self.number(end, node.span) for end in node.ends)
            return shape[first:last]
        assert node.at is not None
        place = self.number(node.at, node.span)
        if not -len(shape) <= place < len(shape):
            raise self.error(node.span, f"{list(shape)} has {len(shape)} numbers, and none at {place:,}")
        return shape[place]

    def _call(self, node: Call) -> Value:
        match node.function:
            case "numel" | "nbytes":
                (name,) = node.arguments
                assert isinstance(name, Name)
                self._refuse_unknown(name)
                if not self._is_there(name.name):
                    return 0
                return self.op.numel(name.name) if node.function == "numel" else self.op.nbytes(name.name)
            case "ceil":
                return math.ceil(self._scalar(node.arguments[0], node.span, fractions=True))
            case "prod":
                return math.prod(self._list(node.arguments[0], node.span))
            case "rank":
                return len(self._list(node.arguments[0], node.span))
        least = min if node.function == "min" else max
        if len(node.arguments) > 1:
            return least(self.number(argument, node.span) for argument in node.arguments)
        numbers = self._list(node.arguments[0], node.span)
        if not numbers:
            raise self.error(node.span, f"there is no {node.function} of nothing")
        return least(numbers)

    def _list(self, node: Node, span: Span) -> tuple[int, ...]:
        value = self.value(node)
        if not isinstance(value, tuple):
            raise self.error(span, "this takes a list: a name, or a part of a shape")
        return value


def _whole(value: int | Fraction) -> int | Fraction:
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value
