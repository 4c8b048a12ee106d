"""Python expressions as a printed graph has them, `Conv2d(3, 64, kernel_size=(7, 7))`: what the grammar's rules for them make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lark

from irflops.readers.printed.values import Call, Name
from irflops.readers.text.arrangements import Pieces, Tree

Parts = list[Any]

Program = list[tuple[Callable[[Parts], Any], tuple[int, ...]]]
"""Steps that make a value of a text. Each takes pieces of the text, by number, and what earlier steps made: `~number`."""


def program_of(tree: Tree, number: Callable[[lark.Token], int]) -> Program:
    """The steps for all texts of a tree's arrangement: the value of a tree follows those of its children."""
    steps: Program = []
    made: dict[int, int] = {}
    for node in tree.iter_subtrees():
        parts: list[Tree | lark.Token | None] = list(node.children)
        steps.append((_MAKERS[node.data], tuple(number(p) if isinstance(p, lark.Token) else ~made[id(p)] for p in parts if p is not None)))
        made[id(node)] = len(made)
    return steps


def run(program: Program, text: str, pieces: Pieces) -> Any:
    """The value that a text makes."""
    made: list[Any] = []
    for make, parts in program:
        made.append(make([text[pieces[part]] if part >= 0 else made[~part] for part in parts]))
    return made[-1]


class _Keyword(tuple[str, Any]):
    __slots__ = ()


def _call(name: str, parts: Parts) -> Call:
    keywords = dict(part for part in parts if type(part) is _Keyword)
    return Call(name, tuple([part for part in parts if type(part) is not _Keyword]), keywords)


def _pair(parts: Parts) -> tuple[str | None, Any]:
    key, value = parts
    return str(key) if isinstance(key, (str, int, float)) else None, value


_MAKERS: dict[str, Callable[[Parts], Any]] = {
    "arguments": lambda parts: _call("", parts),
    "call": lambda parts: parts[0],
    "invoke": lambda parts: _call(parts[0], parts[1:]),
    "keyword": _Keyword,
    "name": lambda parts: Name("".join(parts[0].split())),
    "angle": lambda parts: Name(parts[0]),
    "integer": lambda parts: int(parts[0]),
    "number": lambda parts: float(parts[0]),
    "string": lambda parts: parts[0][1:-1],
    "ellipsis": lambda _parts: ...,
    "tuple_value": tuple,
    "list_value": list,
    "dictionary": dict,
    "pair": _pair,
}
