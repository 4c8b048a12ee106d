"""What a statement of MLIR says: from the tree of one of its arrangement, and its own strings, numbers, values and tensor types."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any, NamedTuple

import lark

from irflops.readers.mlir.mlir_numbers import DataType, integer, number_of_type
from irflops.readers.text.skeleton import BadValue
from irflops.readers.text.syntax import SyntaxProblem

CALLS = {"call": "func.call"}
"""Names of operations that call a function, by what stands for them in their own form, where that is another."""

Make = Callable[[Sequence[str]], Any]
"""What makes something of a statement's own values."""

MAX_NESTED = 100
"""Levels of lists and dictionaries in an attribute."""

_SPLAT_AT_MOST = 4096
"""Elements that a `dense<1>` is spread over; the constants of a model stay what they are."""

_ESCAPE = re.compile(r'\\(?:([0-9A-Fa-f]{2})|([nt"\\])|(.))', re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t"}
_VECTOR = re.compile(r"(?:tensor|vector)<(\d{1,9})x[^x]*>\Z")
_INTEGER = re.compile(r"(?:[su]?i\d+|index)\Z")


class SbpAttr(NamedTuple):
    """How a tensor lies along one dimension of the hierarchy, in the dialect `sbp`."""

    word: str
    """`B`, `P`, `any` or `S`."""
    axis: int | None = None


class SbpSignature(NamedTuple):
    """How an operation's results lie: for each result one attribute, or a tuple with one a dimension of the hierarchy."""

    results: tuple[Any, ...]


@dataclass(slots=True)
class MlirOp:
    """A statement as it is written."""

    kind: str
    """`operation`, `module`, `job`, `function`, `declaration` (a function without a body), `return`, `block` or `foreign`.

    A foreign one is an operation of another dialect in a form of its own, of which the name alone is read.
    """
    name: str
    """The operation's name with its dialect, or the symbol of a module, job or function."""
    results: list[tuple[str, int]]
    """Names, and how many values each stands for; the arguments of a job, function or block."""
    operands: list[str]
    attrs: dict[str, Any]
    operand_types: list[str]
    result_types: list[str]
    regions: int = 0


@dataclass(frozen=True, slots=True)
class OperationPlan:
    """How to make a MlirOp from the values of a statement."""

    kind: str
    name: Make
    results: tuple[tuple[int | None, Make | None], ...] = ()
    operands: tuple[int, ...] = ()
    attrs: tuple[tuple[str | Make, Make], ...] = ()
    operand_types: tuple[Make, ...] = ()
    result_types: tuple[Make, ...] = ()
    regions: int = 0

    def fill(self, values: Sequence[str]) -> MlirOp:
        attrs = {name if isinstance(name, str) else name(values): make(values) for name, make in self.attrs}
        if len(attrs) < len(self.attrs):
            raise BadValue("an attribute is given twice", None)
        return MlirOp(
            self.kind,
            self.name(values),
            [("" if name is None else values[name], count(values) if count is not None else 1) for name, count in self.results],
            [values[number] for number in self.operands],
            attrs,
            [make(values) for make in self.operand_types],
            [make(values) for make in self.result_types],
            self.regions,
        )


def plan_of(tree: lark.Tree[lark.Token], number_of: Callable[[lark.Token], int]) -> OperationPlan:
    """How to read statements of the arrangement that a tree is of."""
    return _Planner(number_of).plan(tree)


@dataclass(frozen=True, slots=True)
class _Planner:
    """Turns one tree into a plan."""

    number_of: Callable[[lark.Token], int]

    def plan(self, tree: lark.Tree[lark.Token]) -> OperationPlan:
        kind = str(tree.data)
        if kind not in ("operation", "call", "module", "function", "declaration", "return", "block"):
            return OperationPlan("nothing", lambda _values: "")
        parts = {str(node.data): node for node in tree.children if isinstance(node, lark.Tree)}
        attrs = tuple(
            entry
            for node in tree.children
            if isinstance(node, lark.Tree) and node.data in ("dictionary", "properties", "attributes")
            for entry in self.entries(node if node.data == "dictionary" else _only(node), 0)
        )
        operands = tuple(self.number_of(token) for token in _tokens(parts.get("operands")))
        symbol = next((token for token in _tokens(tree) if token.type == "SYMBOL"), None)
        name: Make = (lambda _values: "") if symbol is None else self.symbol(symbol)
        if kind in ("operation", "call"):
            *arguments, made = _trees(parts["function_type"])
            called = str(_tokens(tree)[0])
            if kind == "call":
                attrs += (("callee", name),)
            return OperationPlan(
                "operation",
                self.text(_tokens(tree)[0]) if kind == "operation" else lambda _values: CALLS.get(called, called),
                tuple(map(self.result, _trees(parts.get("results")))),
                operands,
                attrs,
                tuple(map(self.type_text, arguments)),
                tuple(map(self.type_text, _types(made))),
                len(_trees(parts.get("regions"))),
            )
        if kind == "function" and _tokens(tree)[0] == "oneflow.job":
            kind = "job"
        given = _trees(parts.get("arguments"))
        types = [node for node in tree.children if isinstance(node, lark.Tree) and node.data in _TYPES] if kind == "return" else []
        types += [_types(argument)[0] for argument in given]
        return OperationPlan(
            kind,
            name,
            tuple((self.number_of(_tokens(argument)[0]) if _tokens(argument) else None, None) for argument in given),
            operands,
            attrs,
            tuple(map(self.type_text, types)),
        )

    def result(self, tree: lark.Tree[lark.Token]) -> tuple[int, Make | None]:
        """A result's value, and how many it stands for (`%0:2`)."""
        value, *count = _tokens(tree)
        return self.number_of(value), self.integer(count[0]) if count else None

    def entries(self, tree: lark.Tree[lark.Token], depth: int) -> list[tuple[str | Make, Make]]:
        """Names and values of a dictionary."""
        found: list[tuple[str | Make, Make]] = []
        seen: set[str] = set()
        for entry in _trees(tree):
            name, *value = entry.children
            assert isinstance(name, lark.Token)
            if name.type == "NAME" and name in seen:
                raise SyntaxProblem(name.start_pos or 0, name.end_pos or 1, f"the attribute {name} is given twice")
            seen.add(str(name))
            made: str | Make = str(name) if name.type == "NAME" else self.text(name)
            if value:
                node = value[0]
                assert isinstance(node, lark.Tree)
                found.append((made, self.attribute(node, depth + 1)))
            else:
                found.append((made, lambda _values: True))
        return found

    def attribute(self, tree: lark.Tree[lark.Token], depth: int) -> Make:
        """What makes an attribute's value: plain data, tuples for lists; None where its syntax is a dialect's own."""
        if depth > MAX_NESTED:
            raise _problem(tree, f"an attribute nested deeper than {MAX_NESTED} levels")
        kind = str(tree.data)
        if kind == "number":
            return self.number(tree)
        if kind == "string":
            return self.text(_tokens(tree)[0])
        if kind in ("true", "false"):
            flag = kind == "true"
            return lambda _values: flag
        if kind in ("list", "typed_array"):
            return self.sequence(tree, depth)
        if kind == "dense":
            return self.dense(tree, depth)
        if kind == "dictionary":
            entries = self.entries(tree, depth)
            return lambda values: tuple((name if isinstance(name, str) else name(values), make(values)) for name, make in entries)
        if kind == "complex":
            parts = [self.plain_number(token) for token in _tokens(tree)]
            return lambda values: tuple(make(values) for make in parts)
        if kind == "symbol":
            names = [self.symbol(token) for token in _tokens(tree) if token.type == "SYMBOL"]
            return lambda values: "::".join([make(values) for make in names])
        if kind == "split":
            axis = self.integer(_tokens(tree)[-1])
            return lambda values: SbpAttr("S", axis(values))
        if kind == "whole":
            word = str(_tokens(tree)[0]).removeprefix("#sbp.")
            sbp = SbpAttr(word if word == "any" else word.upper())
            return lambda _values: sbp
        if kind == "parallel":
            lie = self.sequence(_trees(tree)[1], depth + 1)
            return lambda values: SbpSignature(lie(values))
        if kind in ("shaped", "scalar", "dialect_type"):
            return self.type_text(tree)
        return lambda _values: None

    def sequence(self, tree: lark.Tree[lark.Token], depth: int) -> Make:
        """A tuple of what a list holds."""
        nodes = _trees(tree)
        if tree.data == "typed_array":
            name = str(next(token for token in _tokens(tree) if token.type == "NAME"))
            name = "index" if name == "i32" else name  # counts: lists of data types are no arrays
            kinds = [name if node.data == "number" else None for node in nodes]
        else:
            kinds = [None] * len(nodes)
        makes = [
            self.attribute(node, depth + 1) if kind is None else self.typed_number(node, kind)
            for node, kind in zip(nodes, kinds, strict=True)
        ]
        return lambda values: tuple([make(values) for make in makes])

    def dense(self, tree: lark.Tree[lark.Token], depth: int) -> Make:
        """The elements of `dense<...> : type`; one that stands for all of a vector as often as that has elements."""
        *content, type_ = _trees(tree)
        if not content:
            return lambda _values: ()
        make, shape = self.attribute(content[0], depth + 1), self.type_text(type_)
        if content[0].data != "number":
            return make

        def spread(values: Sequence[str]) -> Any:
            vector = _VECTOR.match(shape(values))
            times = int(vector[1]) if vector is not None else 0
            return (make(values),) * times if vector is not None and times <= _SPLAT_AT_MOST else make(values)

        return spread

    # Leaves

    def text(self, token: lark.Token) -> Make:
        number = self.number_of(token)
        return lambda values: intern(_unescaped(values[number][1:-1]))

    def symbol(self, token: lark.Token) -> Make:
        number = self.number_of(token)
        return lambda values: _symbol(values[number])

    def integer(self, token: lark.Token) -> Make:
        number = self.number_of(token)
        return lambda values: integer(values[number], number)

    def plain_number(self, token: lark.Token) -> Make:
        number = self.number_of(token)
        return lambda values: number_of_type(values[number], number, "")

    def number(self, tree: lark.Tree[lark.Token]) -> Make:
        """A number of the type that stands behind it."""
        types = _trees(tree)
        return self.typed_number(tree, str(_tokens(types[0])[0]) if types and types[0].data == "scalar" else "")

    def typed_number(self, tree: lark.Tree[lark.Token], type_: str) -> Make:
        number = self.number_of(_tokens(tree)[0])
        if type_ == "i32":
            return lambda values: DataType(integer(values[number], number))
        if _INTEGER.match(type_):
            return lambda values: integer(values[number], number)
        return lambda values: number_of_type(values[number], number, type_)

    def type_text(self, tree: lark.Tree[lark.Token]) -> Make:
        """A type as it is written."""
        if tree.data == "shaped":
            number = self.number_of(_tokens(tree)[0])
            return lambda values: intern(values[number])
        text = str(_tokens(tree)[0]) if tree.data in ("scalar", "dialect_type") else "(...)"
        if tree.data == "scalar" and _trees(tree):
            text += f"<{', '.join(str(_tokens(node)[0]) for node in _trees(tree) if _tokens(node))}>"
        return lambda _values: text


_TYPES = frozenset({"shaped", "scalar", "dialect_type", "function_type"})


def _trees(tree: lark.Tree[lark.Token] | None) -> list[lark.Tree[lark.Token]]:
    return [child for child in tree.children if isinstance(child, lark.Tree)] if tree is not None else []


def _tokens(tree: lark.Tree[lark.Token] | None) -> list[lark.Token]:
    return [child for child in tree.children if isinstance(child, lark.Token)] if tree is not None else []


def _only(tree: lark.Tree[lark.Token]) -> lark.Tree[lark.Token]:
    return _trees(tree)[0]


def _types(tree: lark.Tree[lark.Token]) -> list[lark.Tree[lark.Token]]:
    return [node for node in _trees(tree) if node.data in _TYPES]


def _problem(tree: lark.Tree[lark.Token], message: str) -> SyntaxProblem:
    while not _tokens(tree):  # not by recursion: the tree may be deeper than Python's stack
        inner = _trees(tree)
        if not inner:
            return SyntaxProblem(0, 1, message)
        tree = inner[0]
    token = _tokens(tree)[0]
    return SyntaxProblem(token.start_pos or 0, token.end_pos or 1, message)


def _symbol(text: str) -> str:
    return _unescaped(text[2:-1]) if text.startswith('@"') else text[1:]


def _unescaped(body: str) -> str:
    r"""The text between quotes, where `\22` is a byte of UTF-8; bytes that are none become U+FFFD."""
    if "\\" not in body:
        return body
    found = bytearray()
    at = 0
    for match in _ESCAPE.finditer(body):
        found += body[at : match.start()].encode("utf-8", errors="replace")
        code, simple, other = match.groups()
        found += bytes([int(code, 16)]) if code else _SIMPLE.get(simple, simple or other).encode("utf-8", errors="replace")
        at = match.end()
    return (found + body[at:].encode("utf-8", errors="replace")).decode("utf-8", errors="replace")
